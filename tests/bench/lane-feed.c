/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Feed scripted PDUs to one lane in this process, in batches of a fixed size,
 * to be counted by callgrind: such counts repeat where times do not.
 *
 *   lane-feed KIND BATCHES
 *
 * KIND is one of the cases below. A batch is one send of all its commands;
 * the next follows when all answers are there. The server is whole (portal,
 * login, session, LUN); its disk is memory. tests/interop/target_instructions
 * runs this with two numbers of batches and takes the difference, so that
 * start, login and end do not count.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "target/target.h"
#include "tests/bench/wire.h"

#define TARGET	"iqn.2026-01.test.istmd:feed"
#define BLOCK	512
#define DISK	(16u << 20)
#define MAX_DSL 262144

static const struct kind {
	const char *name;
	unsigned batch, size;
	bool write, digests;
} kinds[] = {
	{"read-4k-x32", 32, 4096, false, false},
	{"write-4k-x32", 32, 4096, true, false},
	{"read-4k-x1", 1, 4096, false, false},
	{"write-4k-x1", 1, 4096, true, false},
	{"read-4k-x32-digests", 32, 4096, false, true},
	{"write-4k-x32-digests", 32, 4096, true, true},
	{"read-64k-x4", 4, 65536, false, false},
	{"write-64k-x4", 4, 65536, true, false},
};

static struct {
	const struct kind *kind;
	struct sockaddr_in addr;
	unsigned batches;
	uint32_t cmd_sn, stat_sn;
	int fd;
	int done[2]; /* a pipe: the main thread waits for it */
} feed;

static void die(const char *what)
{
	fprintf(stderr, "lane-feed: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* ---- the initiator, a thread of its own ---- */

static void write_all(const void *data, size_t len)
{
	const uint8_t *p = data;

	while (len > 0) {
		ssize_t n = send(feed.fd, p, len, MSG_NOSIGNAL);

		if (n <= 0) {
			die("send");
		}
		p += n;
		len -= n;
	}
}

static void read_all(void *data, size_t len)
{
	if (recv(feed.fd, data, len, MSG_WAITALL) != (ssize_t)len) {
		die("receive");
	}
}

static void login(void)
{
	uint8_t bhs[BHS] = {OP_LOGIN | IMMEDIATE, 0x87};
	char text[4096];
	size_t len;
	const char *digest = feed.kind->digests ? "CRC32C" : "None";

	len = 1 +
	      (size_t)snprintf(text, sizeof(text),
			       "InitiatorName=iqn.2026-01.test.istmd:feeder%c"
			       "TargetName=" TARGET "%cSessionType=Normal%c"
			       "HeaderDigest=%s%cDataDigest=%s%c"
			       "MaxRecvDataSegmentLength=%u%cInitialR2T=No%c"
			       "ImmediateData=Yes%cFirstBurstLength=65536",
			       0, 0, 0, digest, 0, digest, 0, MAX_DSL, 0, 0, 0);
	put24(bhs + 5, len);
	bhs[8] = 0x80;
	put32(bhs + 24, 1);
	write_all(bhs, BHS);
	write_all(text, pad4(len));
	read_all(bhs, BHS);
	if (bhs[0] != OP_LOGIN_RSP || bhs[36] != 0 || (bhs[1] & 0x83) != 0x83 ||
	    get24(bhs + 5) >= sizeof(text)) {
		fprintf(stderr, "lane-feed: login refused\n");
		exit(1);
	}
	read_all(text, pad4(get24(bhs + 5)));
	feed.stat_sn = get32(bhs + 24) + 1;
	feed.cmd_sn = get32(bhs + 28);
}

static uint8_t *command(uint8_t *p, unsigned itt, unsigned number)
{
	const struct kind *k = feed.kind;
	uint32_t crc, blocks = k->size / BLOCK;

	memset(p, 0, BHS);
	p[0] = OP_SCSI_CMD;
	p[1] = FINAL | (k->write ? 0x20 : 0x40) | 1;
	put24(p + 5, k->write ? k->size : 0);
	put32(p + 16, itt);
	put32(p + 20, k->size);
	put32(p + 24, feed.cmd_sn++);
	put32(p + 28, feed.stat_sn);
	p[32] = k->write ? 0x8a : 0x88;
	put64(p + 34,
	      (uint64_t)(number * 2654435761u % (DISK / k->size)) * blocks);
	put32(p + 42, blocks);
	crc = crc32c(p, BHS);
	p += BHS;
	if (k->digests) {
		memcpy(p, &crc, 4);
		p += 4;
	}
	if (k->write) {
		memset(p, (int)number, k->size);
		crc = crc32c(p, k->size);
		p += k->size;
		if (k->digests) {
			memcpy(p, &crc, 4);
			p += 4;
		}
	}
	return p;
}

/* What a GOOD answer to each command of a batch takes on the wire. */
static void answers(uint8_t *buffer)
{
	const struct kind *k = feed.kind;
	size_t extra = k->digests ? 4 : 0;
	unsigned left = k->batch;

	while (left > 0) {
		uint8_t *bhs = buffer;
		uint32_t len;

		read_all(bhs, BHS + extra);
		len = get24(bhs + 5);
		if (len > MAX_DSL) {
			fprintf(stderr, "lane-feed: too long an answer\n");
			exit(1);
		}
		if (len > 0) {
			read_all(buffer + BHS + extra, pad4(len) + extra);
		}
		if (bhs[0] == OP_DATA_IN && !(bhs[1] & 1)) {
			continue;
		}
		if ((bhs[0] != OP_DATA_IN && bhs[0] != OP_SCSI_RSP) ||
		    bhs[2] != 0 || bhs[3] != 0) {
			fprintf(stderr, "lane-feed: PDU %02x, status %02x\n",
				bhs[0], bhs[3]);
			exit(1);
		}
		feed.stat_sn = get32(bhs + 24) + 1;
		left--;
	}
}

/* TEST UNIT READY, until no unit attention is left from the login. */
static void clear_unit_attentions(void)
{
	uint8_t bhs[BHS + 4], sense[256], status = 2;
	size_t extra = feed.kind->digests ? 4 : 0;

	for (unsigned i = 0; i < 8 && status != 0; i++) {
		uint32_t crc, len;

		memset(bhs, 0, sizeof(bhs));
		bhs[0] = OP_SCSI_CMD;
		bhs[1] = FINAL;
		put32(bhs + 24, feed.cmd_sn++);
		put32(bhs + 28, feed.stat_sn);
		crc = crc32c(bhs, BHS);
		memcpy(bhs + BHS, &crc, 4);
		write_all(bhs, BHS + extra);
		read_all(bhs, BHS + extra);
		len = pad4(get24(bhs + 5));
		if (len > 0) {
			read_all(sense, (len <= 250 ? len : 250) + extra);
		}
		status = bhs[3];
		feed.stat_sn = get32(bhs + 24) + 1;
	}
}

static void *initiator(void *private_data)
{
	const struct kind *k = feed.kind;
	size_t most = (size_t)k->batch * (BHS + 8 + k->size);
	uint8_t *out = malloc(most), *in = malloc(MAX_DSL + BHS + 8);
	int one = 1, buffer = 4 << 20;

	feed.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (feed.fd < 0 || out == NULL || in == NULL) {
		die("socket");
	}
	setsockopt(feed.fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof(buffer));
	setsockopt(feed.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(feed.fd, (struct sockaddr *)&feed.addr,
		    sizeof(feed.addr)) != 0) {
		die("connect");
	}
	login();
	clear_unit_attentions();
	for (unsigned i = 0; i < feed.batches; i++) {
		uint8_t *p = out;

		for (unsigned j = 0; j < k->batch; j++) {
			p = command(p, j, i * k->batch + j);
		}
		write_all(out, (size_t)(p - out));
		answers(in);
	}
	close(feed.fd);
	free(out);
	free(in);
	if (write(feed.done[1], "", 1) != 1) {
		die("pipe");
	}
	return NULL;
}

/* ---- the target ---- */

static void log_line(int level, const char *message)
{
	if (level <= 0) {
		fprintf(stderr, "lane-feed: %s\n", message);
	}
}

static void got_done(struct tevent_context *ev, struct tevent_fd *fde,
		     uint16_t flags, void *private_data)
{
	*(bool *)private_data = true;
}

static struct iscsi_server *serve(struct tevent_context *ev)
{
	struct iscsi_server_config server_config = {.lanes = 1,
						    .log = log_line};
	struct iscsi_lu_config lu_config = {
		.vendor = "istmd",
		.product = "VIRTUAL-DISK",
		.revision = "1",
		.serial = "FEED",
		.guid = {1},
		.enabled = true,
		.disk = vhd_open_ram(ev, DISK),
	};
	struct iscsi_id id = {ISCSI_ID_IPV4, "127.0.0.1"};
	struct iscsi_lun lun = {0, NULL};
	struct iscsi_tgt_config config = {
		.name = TARGET,
		.alias = "feed",
		.enabled = true,
		.max_recv_data_segment_length = MAX_DSL,
		.first_burst_length = 65536,
		.max_burst_length = 1048576,
		.ids = &id,
		.num_ids = 1,
		.luns = &lun,
		.num_luns = 1,
	};
	struct sockaddr_in any = {.sin_family = AF_INET};
	struct sockaddr_storage bound;
	struct iscsi_server *server =
		iscsi_server_create(ev, ev, &server_config);

	any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (server == NULL || lu_config.disk == NULL ||
	    (lun.lu = iscsi_lu_add(server, &lu_config)) == NULL ||
	    iscsi_tgt_add(server, &config, NULL) == NULL ||
	    iscsi_portal_add(server, (struct sockaddr *)&any, sizeof(any), 1) ||
	    iscsi_portal_address(server, (struct sockaddr *)&any, sizeof(any),
				 &bound)) {
		die("target");
	}
	memcpy(&feed.addr, &bound, sizeof(feed.addr));
	return server;
}

int main(int argc, char **argv)
{
	struct tevent_context *ev = tevent_context_init(NULL);
	struct iscsi_server *server;
	pthread_t thread;
	bool done = false;
	size_t i;

	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]) && argc == 3; i++) {
		if (strcmp(argv[1], kinds[i].name) == 0) {
			feed.kind = &kinds[i];
		}
	}
	if (feed.kind == NULL) {
		fprintf(stderr, "usage: lane-feed KIND BATCHES\nKIND:");
		for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
			fprintf(stderr, " %s*%u", kinds[i].name,
				kinds[i].batch);
		}
		fprintf(stderr, "\n");
		return 2;
	}
	feed.batches = strtoul(argv[2], NULL, 10);
	server = serve(ev);
	if (pipe(feed.done) != 0 ||
	    tevent_add_fd(ev, ev, feed.done[0], TEVENT_FD_READ, got_done,
			  &done) == NULL ||
	    pthread_create(&thread, NULL, initiator, NULL) != 0) {
		die("thread");
	}
	while (!done) {
		tevent_loop_once(ev);
	}
	pthread_join(thread, NULL);
	talloc_free(server);
	talloc_free(ev);
	return 0;
}
