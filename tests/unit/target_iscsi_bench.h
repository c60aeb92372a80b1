/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A bench for the iSCSI target: the whole of it in this process on a RAM disk,
 * and an initiator that sends what a test says, right or wrong. Included by one
 * source of a program only.
 */
#ifndef ISCSI_BENCH_H
#define ISCSI_BENCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "target/iscsi_crc32c.h"
#include "target/iscsi_proto.h"
#include "target/iscsi_server.h"
#include "target/iscsi_session.h"
#include "target/iscsi_text.h"
#include "target/target.h"

#define UNUSED __attribute__((unused))

#define TARGET	  "iqn.2026-01.test.istmd:one"
#define INITIATOR "iqn.2026-01.test.istmd:client"
#define DISK_SIZE (64u << 20)

/* Nothing here takes this long; what does has failed. */
#define PATIENCE_MS 200000

/* ---- time ---- */

/* Seconds; 0: time runs by itself. */
static uint64_t bench_stands_at;
static uint64_t bench_passed;

/*
 * The clock by which lanes see who is silent (lane_now()) can stand, so that a
 * test need not do anything within a time: that passes when the test says so.
 */
int clock_gettime(clockid_t clock, struct timespec *ts)
{
	int ret = (int)syscall(SYS_clock_gettime, clock, ts);

	if (clock == CLOCK_MONOTONIC_COARSE) {
		uint64_t at =
			__atomic_load_n(&bench_stands_at, __ATOMIC_SEQ_CST);

		if (at) {
			ts->tv_sec = (time_t)at;
			ts->tv_nsec = 0;
		}
		ts->tv_sec += (time_t)__atomic_load_n(&bench_passed,
						      __ATOMIC_SEQ_CST);
	}
	return ret;
}

static UNUSED void bench_hold_time(void)
{
	struct timespec ts;

	syscall(SYS_clock_gettime, CLOCK_MONOTONIC_COARSE, &ts);
	__atomic_store_n(&bench_stands_at, (uint64_t)ts.tv_sec,
			 __ATOMIC_SEQ_CST);
}

static UNUSED void bench_run_time(void)
{
	__atomic_store_n(&bench_stands_at, 0, __ATOMIC_SEQ_CST);
}

/* A lane notices when something happens on it, or within a second. */
static UNUSED void bench_pass(unsigned seconds)
{
	__atomic_fetch_add(&bench_passed, seconds, __ATOMIC_SEQ_CST);
}

/* ---- the target ---- */

static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned log_warnings;
static char log_last[1024];

static void bench_log(int level, const char *message)
{
	pthread_mutex_lock(&log_lock);
	if (level <= 1) {
		log_warnings++;
		snprintf(log_last, sizeof(log_last), "%s", message);
	}
	pthread_mutex_unlock(&log_lock);
	if (getenv("ISCSI_BENCH_VERBOSE")) {
		fprintf(stderr, "%d: %s\n", level, message);
	}
}

/* Warnings since the last call; the last of them is in log_last. */
static UNUSED unsigned bench_warnings(void)
{
	unsigned n;

	pthread_mutex_lock(&log_lock);
	n = log_warnings;
	log_warnings = 0;
	pthread_mutex_unlock(&log_lock);
	return n;
}

struct bench {
	struct tevent_context *ev;
	struct iscsi_server *server;
	struct vhd_disk *disk;
	struct iscsi_lu *lu;
	struct iscsi_tgt *tgt;
	struct sockaddr_in addr;
	/* callbacks */
	unsigned logins, refused, changes;
	uint16_t last_status;
};

static void bench_login(const struct iscsi_login_event *event, void *private)
{
	struct bench *b = private;

	if (event->accepted) {
		b->logins++;
	} else {
		b->refused++;
	}
	b->last_status =
		(uint16_t)(event->status_class << 8 | event->status_detail);
}

static void bench_changed(struct iscsi_tgt *tgt, void *private)
{
	struct bench *b = private;

	b->changes++;
}

/* Of the next server: keeps states of units; NULL: nobody does. */
static void (*bench_store)(void *lu_private, const void *state, size_t len,
			   struct iscsi_lu_store *store, void *private_data);

static const struct iscsi_id bench_ids[] = {
	{ISCSI_ID_IQN, "IQN.2026-01.test.istmd:Client"},
	{ISCSI_ID_IQN, "iqn.2026-01.test.istmd:second"},
};
static struct iscsi_lun bench_luns[1];

/* What the tests start from. */
static struct iscsi_tgt_config bench_config(struct bench *b)
{
	bench_luns[0].lun = 0;
	bench_luns[0].lu = b->lu;
	return (struct iscsi_tgt_config){
		.name = "iqn.2026-01.test.ISTMD:One",
		.alias = "one",
		.enabled = true,
		.max_recv_data_segment_length = 65536,
		.first_burst_length = 65536,
		.max_burst_length = 262144,
		.ids = bench_ids,
		.num_ids = 2,
		.luns = bench_luns,
		.num_luns = 1,
	};
}

/* Of the next server; 0: as ever. With a timeout of its own time stands while
 * it is there. */
static unsigned bench_timeout, bench_connections;
static uint64_t bench_buffers;
static bool bench_discovery_chap;
static const struct iscsi_redirect *bench_redirects;
static size_t bench_num_redirects;
/* The next server's disk is this file, made anew; -1: a RAM disk. */
static int bench_fd = -1;
/* And a VHDX with logical sectors of so many bytes; 0: a VHD. */
static uint32_t bench_sector;

static UNUSED struct vhd_disk *bench_disk(struct bench *b)
{
	struct vhd_create_params params = {
		.format = bench_sector ? VHD_FORMAT_VHDX : VHD_FORMAT_VHD,
		.type = VHD_TYPE_FIXED,
		.size = DISK_SIZE,
		.logical_sector = bench_sector,
		.sparse = true,
	};
	struct vhd_disk *disk = NULL;
	struct tevent_req *req;

	if (bench_fd < 0) {
		return vhd_open_ram(b->ev, DISK_SIZE);
	}
	req = vhd_create_send(b->ev, b->ev, dup(bench_fd), "bench", &params);
	assert_true(tevent_req_poll(req, b->ev));
	assert_int_equal(vhd_create_recv(req, NULL, NULL), 0);
	talloc_free(req);
	req = vhd_open_send(b->ev, b->ev, dup(bench_fd), "bench", 0);
	assert_true(tevent_req_poll(req, b->ev));
	assert_int_equal(vhd_open_recv(req, b->ev, &disk, NULL), 0);
	talloc_free(req);
	return disk;
}

static UNUSED struct bench *bench_start(unsigned lanes)
{
	struct bench *b = calloc(1, sizeof(*b));
	const struct iscsi_server_ops ops = {
		.login = bench_login,
		.session_changed = bench_changed,
		.lu_store = bench_store,
	};
	struct iscsi_server_config config = {
		.lanes = lanes,
		.login_timeout = bench_timeout,
		.ping_interval = bench_timeout,
		.data_timeout = bench_timeout,
		.max_connections = bench_connections,
		.buffers = bench_buffers,
		.discovery_chap = bench_discovery_chap,
		.redirects = bench_redirects,
		.num_redirects = bench_num_redirects,
		.ops = &ops,
		.private_data = b,
		.debug_level = 10,
		.log = bench_log,
	};
	struct iscsi_lu_config lu = {
		.vendor = "istmd",
		.product = "VIRTUAL-DISK",
		.revision = "1",
		.serial = "1",
		.guid = {1, 2, 3},
		.enabled = true,
	};
	struct sockaddr_in any = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	struct iscsi_tgt_config tgt;
	struct sockaddr_storage bound;

	assert_non_null(b);
	if (bench_timeout) {
		bench_hold_time();
	}
	b->ev = tevent_context_init(NULL);
	b->server = iscsi_server_create(b->ev, b->ev, &config);
	assert_non_null(b->server);
	b->disk = bench_disk(b);
	assert_non_null(b->disk);
	lu.disk = b->disk;
	b->lu = iscsi_lu_add(b->server, &lu);
	assert_non_null(b->lu);
	tgt = bench_config(b);
	b->tgt = iscsi_tgt_add(b->server, &tgt, b);
	assert_non_null(b->tgt);
	assert_int_equal(iscsi_portal_add(b->server, (struct sockaddr *)&any,
					  sizeof(any), 1),
			 0);
	assert_int_equal(iscsi_portal_address(b->server,
					      (struct sockaddr *)&any,
					      sizeof(any), &bound),
			 0);
	memcpy(&b->addr, &bound, sizeof(b->addr));
	bench_warnings();
	return b;
}

static UNUSED void bench_stop(struct bench *b)
{
	bench_run_time();
	talloc_free(b->server);
	talloc_free(b->ev);
	free(b);
}

/* Let the main thread hear until *value reaches at least @want. */
static UNUSED void bench_wait(struct bench *b, const unsigned *value,
			      unsigned want)
{
	while (*value < want) {
		assert_int_equal(tevent_loop_once(b->ev), 0);
	}
}

static UNUSED void bench_wait_sessions(struct bench *b, size_t want)
{
	while (iscsi_tgt_num_sessions(b->tgt) != want) {
		assert_int_equal(tevent_loop_once(b->ev), 0);
	}
}

struct bench_stored {
	struct msg msg;
	struct scsi_task *task;
};

static void lane_got_stored(struct msg *msg, void *receiver)
{
	struct bench_stored *m = list_entry(msg, struct bench_stored, msg);

	scsi_stored(m->task, 0);
	free(m);
}

/* The unit's store answers a command that it has kept waiting, on the command's
 * own lane. Any thread. */
static UNUSED void bench_stored(struct scsi_task *task)
{
	const struct iscsi_task *iscsi = task->private_data;
	struct bench_stored *m = calloc(1, sizeof(*m));

	if (m == NULL) {
		abort();
	}
	m->msg.handle = lane_got_stored;
	m->task = task;
	msgq_post(&iscsi->session->lane->inbox, &m->msg);
}

/* ---- the initiator ---- */

struct peer {
	int fd;
	uint32_t cmdsn, statsn, itt;
	uint32_t expstatsn; /* what it acknowledges */
	bool answers;	    /* pings, while another one is read */
	bool header_digest, data_digest;
	uint8_t isid[6];
	uint16_t tsih, cid;
	/* What was received last. */
	uint8_t bhs[48];
	uint32_t len;
	uint8_t data[300000];
};

/* Those that answer pings at any time, if nothing else is to be read before. */
static struct peer *bench_peers[64];
static unsigned bench_num_peers;

static UNUSED void peer_answers(struct peer *p)
{
	assert_in_range(bench_num_peers, 0, 63);
	p->answers = true;
	bench_peers[bench_num_peers++] = p;
}

/* @param address own one, in host byte order; 0: any */
static UNUSED struct peer *peer_connect_from(struct bench *b, uint32_t address)
{
	struct sockaddr_in from = {.sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(address)};
	struct peer *p = calloc(1, sizeof(*p));
	int one = 1;

	assert_non_null(p);
	p->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(p->fd, (struct sockaddr *)&from, sizeof(from)),
			 0);
	assert_int_equal(connect(p->fd, (struct sockaddr *)&b->addr,
				 sizeof(b->addr)),
			 0);
	setsockopt(p->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	p->cmdsn = 100;
	p->itt = 1;
	p->isid[0] = 0x80; /* random format */
	p->isid[5] = 1;
	p->cid = 7;
	return p;
}

static UNUSED struct peer *peer_connect(struct bench *b)
{
	return peer_connect_from(b, 0);
}

static UNUSED void peer_close(struct peer *p)
{
	for (unsigned i = 0; i < bench_num_peers; i++) {
		if (bench_peers[i] == p) {
			bench_peers[i] = bench_peers[--bench_num_peers];
		}
	}
	close(p->fd);
	free(p);
}

static UNUSED void peer_write(struct peer *p, const void *data, size_t len)
{
	const char *c = data;

	while (len) {
		ssize_t n = send(p->fd, c, len, MSG_NOSIGNAL);

		assert_true(n > 0);
		c += n;
		len -= (size_t)n;
	}
}

static void answer_pings(void);

/* What the main thread does while it waits for an answer; may be NULL. */
static void (*bench_waits)(void);

/* @return false at the end of the stream */
static bool peer_read(struct peer *p, void *data, size_t len)
{
	char *c = data;

	while (len) {
		struct pollfd pfd = {.fd = p->fd, .events = POLLIN};
		unsigned waited = 0;
		ssize_t n;

		while (poll(&pfd, 1, 10) == 0) {
			waited += 10;
			assert_in_range(waited, 0, PATIENCE_MS);
			answer_pings();
			if (bench_waits) {
				bench_waits();
			}
		}
		n = recv(p->fd, c, len, 0);
		if (n <= 0) {
			return false;
		}
		c += n;
		len -= (size_t)n;
	}
	return true;
}

/* Wait for something from the target, or the end of the stream. @return
 * whether it has come */
static UNUSED bool peer_wait(struct peer *p, int ms)
{
	struct pollfd pfd = {.fd = p->fd, .events = POLLIN};

	return poll(&pfd, 1, ms) != 0;
}

/* Let time pass until there is something to read. Whoever else owes the target
 * an answer is late then. */
static UNUSED void peer_pass_time(struct peer *p)
{
	for (unsigned waited = 0; !peer_wait(p, 10); waited += 10) {
		assert_in_range(waited, 0, PATIENCE_MS);
		bench_pass(1);
	}
}

/* The connection has been closed, and nothing came before. */
static UNUSED void peer_expect_close(struct peer *p)
{
	char c;

	assert_false(peer_read(p, &c, 1));
}

static UNUSED void peer_send(struct peer *p, uint8_t *bhs, const void *data,
			     uint32_t len)
{
	static const uint8_t pad[3];
	uint8_t digest[4];
	uint32_t crc;

	put_be24(bhs + 5, len);
	if ((bhs[0] & ISCSI_OP_MASK) != ISCSI_OP_LOGIN) {
		put_be32(bhs + 28, p->expstatsn);
	}
	peer_write(p, bhs, 48);
	if (p->header_digest) {
		crc = iscsi_crc32c_update(ISCSI_CRC32C_INIT, bhs, 48);
		iscsi_crc32c_finish(crc, digest);
		peer_write(p, digest, 4);
	}
	if (len == 0) {
		return;
	}
	peer_write(p, data, len);
	peer_write(p, pad, -len & 3);
	if (p->data_digest) {
		crc = iscsi_crc32c_update(ISCSI_CRC32C_INIT, data, len);
		crc = iscsi_crc32c_update(crc, pad, -len & 3);
		iscsi_crc32c_finish(crc, digest);
		peer_write(p, digest, 4);
	}
}

/* The answer to a ping, and with it an acknowledgement. */
static void peer_pong(struct peer *p)
{
	uint8_t bhs[48] = {ISCSI_OP_NOP_OUT | ISCSI_OP_IMMEDIATE, 0x80};

	memcpy(bhs + 8, p->bhs + 8, 8);
	put_be32(bhs + 16, ISCSI_TAG_NONE);
	memcpy(bhs + 20, p->bhs + 20, 4);
	put_be32(bhs + 24, p->cmdsn);
	peer_send(p, bhs, NULL, 0);
}

static bool is_ping(const uint8_t *bhs)
{
	return (bhs[0] & ISCSI_OP_MASK) == ISCSI_OP_NOP_IN &&
	       get_be32(bhs + 16) == ISCSI_TAG_NONE &&
	       get_be32(bhs + 20) != ISCSI_TAG_NONE;
}

static int peer_recv_any(struct peer *p);

static void answer_pings(void)
{
	for (unsigned i = 0; i < bench_num_peers; i++) {
		struct peer *p = bench_peers[i];
		uint8_t bhs[48];

		if (p->answers &&
		    recv(p->fd, bhs, 48, MSG_PEEK | MSG_DONTWAIT) == 48 &&
		    is_ping(bhs)) {
			peer_recv_any(p);
			peer_pong(p);
		}
	}
}

/* Does it use up a StatSN? */
static bool is_numbered(const uint8_t *bhs)
{
	switch (bhs[0] & ISCSI_OP_MASK) {
	case ISCSI_OP_DATA_IN:
		return bhs[1] & ISCSI_DATA_STATUS;
	case ISCSI_OP_R2T:
		return false;
	case ISCSI_OP_NOP_IN:
		return get_be32(bhs + 16) != ISCSI_TAG_NONE;
	default:
		return true;
	}
}

/* @return the opcode, or -1 at the end of the stream */
static UNUSED int peer_recv(struct peer *p)
{
	int op;

	while ((op = peer_recv_any(p)) >= 0 && p->answers && is_ping(p->bhs)) {
		peer_pong(p);
	}
	return op;
}

static int peer_recv_any(struct peer *p)
{
	uint8_t digest[4], want[4], pad[3];
	uint32_t crc;

	if (!peer_read(p, p->bhs, 48)) {
		return -1;
	}
	if (p->header_digest) {
		assert_true(peer_read(p, digest, 4));
		crc = iscsi_crc32c_update(ISCSI_CRC32C_INIT, p->bhs, 48);
		iscsi_crc32c_finish(crc, want);
		assert_memory_equal(digest, want, 4);
	}
	if (is_numbered(p->bhs)) {
		p->expstatsn = get_be32(p->bhs + 24) + 1;
	}
	p->len = get_be24(p->bhs + 5);
	assert_in_range(p->len, 0, sizeof(p->data));
	if (p->len) {
		assert_true(peer_read(p, p->data, p->len));
		assert_true(peer_read(p, pad, -p->len & 3));
		if (p->data_digest) {
			assert_true(peer_read(p, digest, 4));
			crc = iscsi_crc32c_update(ISCSI_CRC32C_INIT, p->data,
						  p->len);
			crc = iscsi_crc32c_update(crc, pad, -p->len & 3);
			iscsi_crc32c_finish(crc, want);
			assert_memory_equal(digest, want, 4);
		}
	}
	return p->bhs[0] & 0x3f;
}

static UNUSED void peer_expect(struct peer *p, int opcode)
{
	assert_int_equal(peer_recv(p), opcode);
}

/* ---- login ---- */

/* A text of pairs: "A=1;B=2" with the semicolons as NULs. */
static UNUSED size_t text_of(const char *pairs, char *out)
{
	size_t len = strlen(pairs);

	for (size_t i = 0; i < len; i++) {
		out[i] = pairs[i] == ';' ? '\0' : pairs[i];
	}
	out[len] = '\0';
	return len ? len + 1 : 0;
}

/* One login request. @return the status; the answer's text is in p->data */
static UNUSED int peer_login_step(struct peer *p, uint8_t flags,
				  const char *pairs)
{
	uint8_t bhs[48] = {ISCSI_OP_LOGIN | ISCSI_OP_IMMEDIATE, flags};
	char text[8192];
	size_t len = text_of(pairs, text);

	memcpy(bhs + 8, p->isid, 6);
	put_be16(bhs + 14, p->tsih);
	put_be32(bhs + 16, p->itt);
	put_be16(bhs + 20, p->cid);
	put_be32(bhs + 24, p->cmdsn);
	put_be32(bhs + 28, p->statsn);
	peer_send(p, bhs, text, (uint32_t)len);
	if (peer_recv(p) < 0) {
		return -1;
	}
	assert_int_equal(p->bhs[0], ISCSI_OP_LOGIN_RSP);
	assert_int_equal(get_be32(p->bhs + 16), p->itt);
	return get_be16(p->bhs + 36);
}

/* A pair of the last answer; NULL: not there. */
static UNUSED const char *peer_value(struct peer *p, const char *name)
{
	struct iscsi_text_iter it = {(char *)p->data, (char *)p->data + p->len};
	const char *key, *value;
	size_t len = strlen(name);

	while (iscsi_text_next(&it, &key, &value) > 0) {
		if (strncmp(key, name, len) == 0 && key[len] == '=') {
			return value;
		}
	}
	return NULL;
}

#define NAMES "InitiatorName=" INITIATOR ";TargetName=" TARGET
#define OP_TO_FULL                                                             \
	(ISCSI_LOGIN_TRANSIT | ISCSI_STAGE_OP << 2 | ISCSI_STAGE_FULL)

/* The whole login with one request. */
static UNUSED void peer_login(struct peer *p, const char *more)
{
	char pairs[2048];
	const char *value;

	snprintf(pairs, sizeof(pairs), NAMES ";SessionType=Normal%s%s",
		 *more ? ";" : "", more);
	assert_int_equal(peer_login_step(p, OP_TO_FULL, pairs), 0);
	assert_int_equal(p->bhs[1], OP_TO_FULL);
	p->tsih = get_be16(p->bhs + 14);
	assert_int_not_equal(p->tsih, 0);
	value = peer_value(p, "HeaderDigest");
	p->header_digest = value && strcmp(value, "CRC32C") == 0;
	value = peer_value(p, "DataDigest");
	p->data_digest = value && strcmp(value, "CRC32C") == 0;
}

/* ---- commands ---- */

/* A SCSI Command PDU with a 10-byte CDB; flags: R, W, F bits. */
static UNUSED void command(struct peer *p, uint8_t *bhs, uint8_t flags,
			   uint32_t edtl, uint8_t opcode, uint32_t lba,
			   uint16_t blocks)
{
	memset(bhs, 0, 48);
	bhs[0] = ISCSI_OP_SCSI_CMD;
	bhs[1] = flags;
	put_be32(bhs + 16, ++p->itt);
	put_be32(bhs + 20, edtl);
	put_be32(bhs + 24, p->cmdsn++);
	bhs[32] = opcode;
	put_be32(bhs + 34, lba);
	put_be16(bhs + 39, blocks);
}

#define WRITE10 0x2a
#define READ10	0x28

#define FR (ISCSI_FLAG_FINAL | ISCSI_CMD_READ)
#define FW (ISCSI_FLAG_FINAL | ISCSI_CMD_WRITE)

static UNUSED void send_test_unit_ready(struct peer *p)
{
	uint8_t bhs[48];

	command(p, bhs, ISCSI_FLAG_FINAL, 0, 0x00, 0, 0);
	peer_send(p, bhs, NULL, 0);
}

/* The power-on unit attention is out of the way. */
static UNUSED void peer_ready(struct peer *p)
{
	do {
		send_test_unit_ready(p);
		peer_expect(p, ISCSI_OP_SCSI_RSP);
	} while (p->bhs[3] != 0);
}

static UNUSED struct peer *peer_new(struct bench *b, const char *more)
{
	struct peer *p = peer_connect(b);

	peer_login(p, more);
	peer_ready(p);
	return p;
}

/* The connection works: somebody else's mistake has done it no harm. */
static UNUSED void peer_works(struct peer *p)
{
	send_test_unit_ready(p);
	peer_expect(p, ISCSI_OP_SCSI_RSP);
	assert_int_equal(get_be32(p->bhs + 16), p->itt);
	assert_int_equal(p->bhs[3], 0);
}

/* Another initiator port, on the other lane as a rule. */
static UNUSED struct peer *peer_second(struct bench *b, const char *more)
{
	struct peer *p = peer_connect(b);

	p->isid[5] = 2;
	peer_login(p, more);
	peer_ready(p);
	return p;
}

/* A write that waits for its data. @return its task tag */
static UNUSED uint32_t peer_pending(struct peer *p)
{
	uint8_t bhs[48];

	command(p, bhs, FW, 512, WRITE10, 0, 1);
	peer_send(p, bhs, NULL, 0);
	peer_expect(p, ISCSI_OP_R2T);
	return p->itt;
}

/* CHECK CONDITION with this sense key and code. */
static UNUSED void expect_sense(struct peer *p, uint8_t key, uint16_t code)
{
	peer_expect(p, ISCSI_OP_SCSI_RSP);
	assert_int_equal(p->bhs[3], 2);
	assert_true(p->len >= 2 + 14);
	assert_int_equal(p->data[2 + 2] & 0xf, key);
	assert_int_equal(get_be16(p->data + 2 + 12), code);
}

static UNUSED void expect_r2t(struct peer *p, uint32_t r2tsn, uint32_t off,
			      uint32_t len)
{
	peer_expect(p, ISCSI_OP_R2T);
	assert_int_equal(get_be32(p->bhs + 16), p->itt);
	assert_int_not_equal(get_be32(p->bhs + 20), ISCSI_TAG_NONE);
	assert_int_equal(get_be32(p->bhs + 36), r2tsn);
	assert_int_equal(get_be32(p->bhs + 40), off);
	assert_int_equal(get_be32(p->bhs + 44), len);
}

static UNUSED void data_out(struct peer *p, uint32_t itt, uint32_t ttt,
			    uint32_t datasn, uint32_t off, const void *data,
			    uint32_t len, bool final)
{
	uint8_t bhs[48] = {ISCSI_OP_DATA_OUT};

	bhs[1] = final ? ISCSI_FLAG_FINAL : 0;
	put_be32(bhs + 16, itt);
	put_be32(bhs + 20, ttt);
	put_be32(bhs + 36, datasn);
	put_be32(bhs + 40, off);
	peer_send(p, bhs, data, len);
}

/* Send the rest of @total bytes, from @off on, as R2Ts ask for it in bursts of
 * @burst: in PDUs of @size. @return how many R2Ts that were */
static UNUSED uint32_t send_bursts(struct peer *p, const uint8_t *data,
				   uint32_t off, uint32_t total, uint32_t burst,
				   uint32_t size)
{
	uint32_t n = 0;

	while (off < total) {
		uint32_t len = total - off < burst ? total - off : burst;
		uint32_t ttt, sent = 0, datasn = 0;

		expect_r2t(p, n++, off, len);
		ttt = get_be32(p->bhs + 20);
		while (sent < len) {
			uint32_t part = len - sent < size ? len - sent : size;

			data_out(p, p->itt, ttt, datasn++, off + sent,
				 data + off + sent, part, sent + part == len);
			sent += part;
		}
		off += len;
	}
	return n;
}

static UNUSED void fill(uint8_t *data, size_t len, unsigned seed)
{
	for (size_t i = 0; i < len; i++) {
		seed = seed * 1103515245u + 12345u;
		data[i] = (uint8_t)(seed >> 16);
	}
}

#endif /* ISCSI_BENCH_H */
