/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The bytes that a connection carries, against a whole target. The first byte
 * chooses where they begin: 0 at the first login request, 1 in full feature
 * phase, 2 the same in a discovery session, 3 in text alone. Of PDUs in full
 * feature phase the command numbers are put right, or none would be seen.
 */
#include <fcntl.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "target/iscsi_conn.h"
#include "target/iscsi_keys.h"
#include "target/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NAMES                                                                  \
	"InitiatorName=iqn.2026-01.test:fuzz\0"                                \
	"MaxRecvDataSegmentLength=4096\0"                                      \
	"FirstBurstLength=4096\0MaxBurstLength=8192\0"
#define NORMAL	  NAMES "TargetName=iqn.2026-01.test:disk"
#define DISCOVERY NAMES "SessionType=Discovery"

static struct tevent_context *ev;
static struct iscsi_server *server;

static void quiet(int level, const char *message)
{
}

static void start(void)
{
	static const struct iscsi_id id = {ISCSI_ID_IQN,
					   "iqn.2026-01.test:fuzz"};
	struct iscsi_server_config config = {
		.lanes = 1, .log = quiet, .debug_level = 10};
	struct iscsi_lu_config lu = {
		.vendor = "istmd", .product = "FUZZ", .enabled = true};
	struct iscsi_lun lun = {0};
	struct iscsi_tgt_config tgt = {
		.name = "iqn.2026-01.test:disk",
		.enabled = true,
		.max_recv_data_segment_length = 8192,
		.first_burst_length = 4096,
		.max_burst_length = 8192,
		.ids = &id,
		.num_ids = 1,
		.luns = &lun,
		.num_luns = 1,
	};

	ev = tevent_context_init(NULL);
	server = iscsi_server_create(ev, ev, &config);
	if (!server) {
		abort();
	}
	lu.disk = vhd_open_ram(ev, 8u << 20);
	lun.lu = iscsi_lu_add(server, &lu);
	if (!lun.lu || !iscsi_tgt_add(server, &tgt, NULL)) {
		abort();
	}
}

static void login(int fd, const char *text, size_t len)
{
	uint8_t pdu[512] = {ISCSI_OP_LOGIN | ISCSI_OP_IMMEDIATE,
			    ISCSI_LOGIN_TRANSIT | ISCSI_STAGE_OP << 2 |
				    ISCSI_STAGE_FULL};

	put_be24(pdu + 5, (uint32_t)len);
	pdu[8] = 0x80;
	put_be32(pdu + 16, 1);
	memcpy(pdu + 48, text, len);
	if (send(fd, pdu, 48 + ((len + 3) & ~3u), MSG_NOSIGNAL) < 0) {
		return;
	}
	/* the dialogue: nothing more before the answer */
	if (recv(fd, pdu, sizeof(pdu), 0) < 48) {
		abort();
	}
}

/* Give non-immediate PDUs the number that is due. */
static void renumber(uint8_t *data, size_t size)
{
	uint32_t cmdsn = 0;

	while (size >= 48) {
		size_t len =
			48 + data[4] * 4u + ((get_be24(data + 5) + 3) & ~3u);
		uint8_t op = data[0] & ISCSI_OP_MASK;

		if (!(data[0] & ISCSI_OP_IMMEDIATE) &&
		    op != ISCSI_OP_DATA_OUT && op != ISCSI_OP_SNACK &&
		    !(data[27] & 0x80)) {
			put_be32(data + 24, cmdsn++);
		}
		if (len > size) {
			break;
		}
		data += len;
		size -= len;
	}
}

static void text_only(const uint8_t *data, size_t size)
{
	char *copy = malloc(size + 1), answer[ISCSI_ANSWER_MAX];
	struct iscsi_text_iter it = {copy, copy + size};
	struct iscsi_params ours, result;
	const char *key, *value;
	uint8_t binary[16];
	uint32_t number;

	memcpy(copy, data, size);
	iscsi_params_default(&ours);
	result = ours;
	while (iscsi_text_next(&it, &key, &value) > 0) {
		const struct iscsi_key *k = iscsi_key_find(key);

		iscsi_text_binary(value, binary, sizeof(binary));
		iscsi_text_number(value, &number);
		if (k) {
			iscsi_key_negotiate(k, value, &ours, &result, answer);
		}
	}
	/* whatever was said, what came out is within the table's ranges */
	if (result.initiator_mrdsl < 512 || result.max_burst < 512 ||
	    result.first_burst < 512 || result.max_r2t < 1 ||
	    result.max_connections != 1 || result.erl != 0) {
		abort();
	}
	free(copy);
}

/* Everything that the target says, until it closes. */
static void drain(int fd)
{
	static uint8_t sink[65536];

	while (recv(fd, sink, sizeof(sink), 0) > 0) {
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sockaddr_storage peer = {0};
	struct sockaddr_in *in = (struct sockaddr_in *)(void *)&peer;
	uint8_t *copy;
	int fds[2];

	if (size < 1 || size > 65536) {
		return 0;
	}
	if (data[0] == 3) {
		text_only(data + 1, size - 1);
		return 0;
	}
	if (!server) {
		start();
	}
	in->sin_family = AF_INET;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) ||
	    fcntl(fds[1], F_SETFL, O_NONBLOCK) ||
	    !iscsi_peer_add(server, &peer)) {
		abort();
	}
	iscsi_conn_assign(server, fds[1], &peer, &peer, 1, 0);
	copy = malloc(size);
	memcpy(copy, data + 1, size - 1);
	if (data[0] == 1) {
		login(fds[0], NORMAL, sizeof(NORMAL));
		renumber(copy, size - 1);
	} else if (data[0] == 2) {
		login(fds[0], DISCOVERY, sizeof(DISCOVERY));
		renumber(copy, size - 1);
	}
	/* It may close at any point; its answers fit into the socket. */
	if (size > 1 && send(fds[0], copy, size - 1, MSG_NOSIGNAL) < 0) {
		/* closed already */
	}
	shutdown(fds[0], SHUT_WR);
	drain(fds[0]);
	close(fds[0]);
	free(copy);
	msgq_drain(&server->inbox, server);
	return 0;
}
