/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Several connections of one session: who may join, order across them, what
 * becomes of a connection's commands when it ends (RFC 7143 4.2.2, 4.2.5.1,
 * 6.3.4, 7.6, 11.14). The bench has two lanes and connections are spread over
 * them, so that every other join is from a foreign lane. */
#include "target_iscsi_multi.h"

#include <sched.h>
#include <stdatomic.h>

/* ---- joining ---- */

static void test_join(void **state)
{
	struct multi m = open_multi(4, "");
	uint32_t statsn[4];

	wait_conns(4);
	for (unsigned i = 0; i < 4; i++) {
		works(&m, m.c[i]);
		statsn[i] = get_be32(m.c[i]->bhs + 24);
	}
	/* StatSN counts on each for itself */
	for (unsigned n = 1; n < 5; n++) {
		for (unsigned i = 0; i < 4; i++) {
			works(&m, m.c[i]);
			assert_int_equal(get_be32(m.c[i]->bhs + 24),
					 statsn[i] + n);
			assert_int_equal(get_be32(m.c[i]->bhs + 28), m.cmdsn);
		}
	}
	/* the session is there while one of them is */
	for (unsigned i = 0; i < 3; i++) {
		peer_close(m.c[i]);
		m.c[i] = NULL;
	}
	wait_conns(1);
	/* how many asynchronous messages came here is a matter of time */
	while (peer_recv(m.c[3]) == ISCSI_OP_ASYNC) {
		if (get_be16(m.c[3]->bhs + 38) == 102) {
			break;
		}
	}
	works(&m, m.c[3]);
	close_multi(&m);
}

/* What the leading login settles, and what each login does. */
static void test_keys_of_connections(void **state)
{
	struct multi m = open_multi(2, "MaxRecvDataSegmentLength=512;"
				       "MaxBurstLength=4096");
	struct peer *p;
	uint8_t bhs[48];
	uint32_t itt;

	peer_close(m.c[1]);
	expect_dropped(m.c[0], 101);
	p = m.c[1] = joiner(&m, 101);
	peer_login(p, "HeaderDigest=CRC32C;DataDigest=CRC32C;"
		      "MaxRecvDataSegmentLength=8192;"
		      "MaxBurstLength=65536;MaxConnections=9");
	assert_true(p->header_digest);
	assert_string_equal(peer_value(p, "MaxBurstLength"), "Reject");
	assert_string_equal(peer_value(p, "MaxConnections"), "Reject");
	assert_string_equal(peer_value(p, "TargetPortalGroupTag"), "1");
	/* segments of the connection's length, bursts of the session's */
	itt = next(&m, bhs, FR, 8192, READ10, 0, 16);
	peer_send(p, bhs, NULL, 0);
	for (unsigned i = 0; i < 2; i++) {
		peer_expect(p, ISCSI_OP_DATA_IN);
		assert_int_equal(get_be32(p->bhs + 16), itt);
		assert_int_equal(p->len, 4096);
		assert_int_equal(p->bhs[1] & ISCSI_FLAG_FINAL,
				 ISCSI_FLAG_FINAL);
	}
	next(&m, bhs, FR, 1024, READ10, 0, 2);
	peer_send(m.c[0], bhs, NULL, 0);
	for (unsigned i = 0; i < 2; i++) {
		peer_expect(m.c[0], ISCSI_OP_DATA_IN);
		assert_int_equal(m.c[0]->len, 512);
	}
	close_multi(&m);
}

static void refuse_join(struct multi *m, struct peer *p, const char *initiator,
			const char *target, int status)
{
	char pairs[512];

	snprintf(pairs, sizeof(pairs), "InitiatorName=%s;TargetName=%s",
		 initiator, target);
	assert_int_equal(peer_login_step(p, OP_TO_FULL, pairs), status);
	assert_int_equal(get_be16(p->bhs + 14), p->tsih);
	peer_expect_close(p);
	peer_close(p);
	works(m, m->c[0]);
}

static void test_refused_joins(void **state)
{
	static const char other[] = "iqn.2026-01.test.istmd:two";
	struct multi m = open_multi(2, "");
	struct iscsi_tgt_config config = bench_config(b);
	struct iscsi_tgt *tgt;
	struct peer *p;

	config.name = other;
	tgt = iscsi_tgt_add(b->server, &config, b);
	assert_non_null(tgt);
	for (unsigned i = 0; i < 2; i++) { /* from either lane */
		p = joiner(&m, 200);
		p->tsih = (uint16_t)(p->tsih + 77);
		refuse_join(&m, p, INITIATOR, TARGET, ISCSI_LOGIN_NO_SESSION);
		p = joiner(&m, 200);
		p->isid[5] = 99;
		refuse_join(&m, p, INITIATOR, TARGET, ISCSI_LOGIN_NO_SESSION);
		refuse_join(&m, joiner(&m, 200), INITIATOR, other,
			    ISCSI_LOGIN_NO_SESSION);
		refuse_join(&m, joiner(&m, 200),
			    "iqn.2026-01.test.istmd:second", TARGET,
			    ISCSI_LOGIN_NO_SESSION);
		refuse_join(&m, joiner(&m, 200), "iqn.2026-01.test:stranger",
			    TARGET, ISCSI_LOGIN_FORBIDDEN);
		refuse_join(&m, joiner(&m, 200), INITIATOR, TARGET,
			    ISCSI_LOGIN_TOO_MANY);
	}
	wait_conns(2);
	close_multi(&m);
	iscsi_tgt_remove(tgt);
}

/* The portal group is part of what the session belongs to (4.4.2). */
static void test_other_portal_group(void **state)
{
	struct multi m = open_multi(1, "");
	struct sockaddr_in first = b->addr,
			   any = {
				   .sin_family = AF_INET,
				   .sin_addr.s_addr =
					   htonl(INADDR_LOOPBACK + 1),
			   };
	struct sockaddr_storage bound;

	assert_int_equal(iscsi_portal_add(b->server, (struct sockaddr *)&any,
					  sizeof(any), 2),
			 0);
	assert_int_equal(iscsi_portal_address(b->server,
					      (struct sockaddr *)&any,
					      sizeof(any), &bound),
			 0);
	memcpy(&b->addr, &bound, sizeof(b->addr));
	refuse_join(&m, joiner(&m, 200), INITIATOR, TARGET,
		    ISCSI_LOGIN_NO_SESSION);
	b->addr = first;
	assert_int_equal(iscsi_portal_remove(b->server, (struct sockaddr *)&any,
					     sizeof(any)),
			 0);
	close_multi(&m);
}

/* A login that has begun, on the session's lane or on its way there, when the
 * session ends; and one that never ends. */
static void test_join_of_ending_session(void **state)
{
	for (unsigned i = 0; i < 4; i++) {
		struct multi m = open_multi(2, "");
		struct peer *p = joiner(&m, 300), *q = joiner(&m, 301);

		peer_close(m.c[1]);
		expect_dropped(m.c[0], 101);
		m.c[1] = NULL;
		assert_int_equal(peer_login_step(p, ISCSI_STAGE_OP << 2, NAMES),
				 0);
		assert_int_equal(get_be16(p->bhs + 14), p->tsih);
		assert_int_equal(get_be32(p->bhs + 28), m.cmdsn);
		assert_int_equal(peer_login_step(q, ISCSI_STAGE_OP << 2, NAMES),
				 0);
		close_multi(&m);
		assert_int_equal(peer_login_step(p, OP_TO_FULL, ""),
				 ISCSI_LOGIN_NO_SESSION);
		peer_close(p);
		peer_close(q);
	}
}

static void test_limit_of_server(void **state)
{
	struct multi m = {.num = 2};

	bench_connections = 2;
	bench_another(2);
	bench_connections = 0;
	m.c[0] = peer_connect(b);
	m.c[0]->cid = 100;
	peer_login(m.c[0], "MaxConnections=8");
	assert_string_equal(peer_value(m.c[0], "MaxConnections"), "2");
	peer_ready(m.c[0]);
	m.cmdsn = m.c[0]->cmdsn;
	m.c[1] = join(&m, 101, "");
	refuse_join(&m, joiner(&m, 102), INITIATOR, TARGET,
		    ISCSI_LOGIN_TOO_MANY);
	works(&m, m.c[1]);
	close_multi(&m);
	bench_back();
}

/* ---- order (4.2.2.1) ---- */

static void test_order(void **state)
{
	struct multi m = open_multi(3, "");
	uint8_t write[48], text[48] = {ISCSI_OP_TEXT, 0x80}, read[48];

	for (unsigned i = 0; i < 20; i++) {
		next(&m, write, FW, 512, WRITE10, 7, 1);
		put_be32(text + 16, ++m.itt);
		put_be32(text + 20, ISCSI_TAG_NONE);
		put_be32(text + 24, m.cmdsn++);
		next(&m, read, FR, 512, READ10, 7, 1);
		/* backwards, each answered where it came from */
		peer_send(m.c[2], read, NULL, 0);
		ping_on(&m, m.c[2]);
		peer_send(m.c[1], text, "SendTargets=", 13);
		ping_on(&m, m.c[1]);
		peer_send(m.c[0], write, pattern + 512 * i, 512);
		expect_status(m.c[0], get_be32(write + 16), 0);
		peer_expect(m.c[1], ISCSI_OP_TEXT_RSP);
		assert_string_equal(peer_value(m.c[1], "TargetName"), TARGET);
		peer_expect(m.c[2], ISCSI_OP_DATA_IN);
		assert_memory_equal(m.c[2]->data, pattern + 512 * i, 512);
	}
	close_multi(&m);
}

/* A number twice, on two connections: the first counts. */
static void test_same_number(void **state)
{
	struct multi m = open_multi(2, "");
	uint8_t gap[48], bhs[48];

	next(&m, gap, ISCSI_FLAG_FINAL, 0, 0, 0, 0);
	next(&m, bhs, ISCSI_FLAG_FINAL, 0, 0, 0, 0);
	peer_send(m.c[0], bhs, NULL, 0);
	ping_on(&m, m.c[0]);
	put_be32(bhs + 16, 0xabcd);
	peer_send(m.c[1], bhs, NULL, 0);
	peer_send(m.c[1], gap, NULL, 0);
	expect_status(m.c[1], get_be32(gap + 16), 0);
	expect_status(m.c[0], get_be32(gap + 16) + 1, 0);
	works(&m, m.c[1]);
	close_multi(&m);
}

/* 4.2.5.1: data comes where the command came. */
static void test_allegiance(void **state)
{
	struct multi m = open_multi(2, "ImmediateData=No");
	uint32_t itt = pending(&m, m.c[0]), ttt = get_be32(m.c[0]->bhs + 20);

	data_out(m.c[1], itt, ttt, 0, 0, pattern, 512, true);
	peer_expect(m.c[1], ISCSI_OP_REJECT);
	assert_int_equal(m.c[1]->bhs[2], ISCSI_REJECT_PROTOCOL);
	data_out(m.c[0], itt, ttt, 0, 0, pattern, 512, true);
	expect_status(m.c[0], itt, 0);
	close_multi(&m);
}

static unsigned seed = 1;

static unsigned chance(unsigned n)
{
	seed = seed * 1103515245u + 12345u;
	return (seed >> 16) % n;
}

/* 32 connections, a window full of commands in any order over all of them. */
static void test_many(void **state)
{
	struct multi m = open_multi(32, "");
	uint8_t pdu[96][48];
	unsigned on[96], to_come[32];

	refuse_join(&m, joiner(&m, 200), INITIATOR, TARGET,
		    ISCSI_LOGIN_TOO_MANY);
	wait_conns(32);
	for (unsigned round = 0; round < 10; round++) {
		memset(to_come, 0, sizeof(to_come));
		for (unsigned i = 0; i < 96; i++) {
			/* a write and two reads of its block in turn */
			if (i % 3 == 0) {
				next(&m, pdu[i], FW, 512, WRITE10, i / 3, 1);
			} else {
				next(&m, pdu[i], FR, 512, READ10, i / 3, 1);
			}
		}
		for (unsigned i = 95; i > 0; i--) {
			unsigned j = chance(i + 1);
			uint8_t swap[48];

			memcpy(swap, pdu[i], 48);
			memcpy(pdu[i], pdu[j], 48);
			memcpy(pdu[j], swap, 48);
		}
		for (unsigned i = 0; i < 96; i++) {
			bool write = pdu[i][32] == WRITE10;
			uint32_t lba = get_be32(pdu[i] + 34);

			on[i] = chance(32);
			to_come[on[i]]++;
			peer_send(m.c[on[i]], pdu[i],
				  pattern + 512 * (lba + round),
				  write ? 512 : 0);
		}
		for (unsigned i = 0; i < 32; i++) {
			for (; to_come[i]; to_come[i]--) {
				struct peer *p = m.c[i];
				int op = peer_recv(p);
				uint32_t lba = 0;

				if (op == ISCSI_OP_SCSI_RSP) {
					assert_int_equal(p->bhs[3], 0);
					continue;
				}
				assert_int_equal(op, ISCSI_OP_DATA_IN);
				for (unsigned j = 0; j < 96; j++) {
					if (get_be32(pdu[j] + 16) ==
					    get_be32(p->bhs + 16)) {
						assert_int_equal(on[j], i);
						lba = get_be32(pdu[j] + 34);
					}
				}
				assert_memory_equal(
					p->data, pattern + 512 * (lba + round),
					512);
			}
		}
	}
	close_multi(&m);
}

/* ---- connections that end ---- */

/* RFC 7143 7.6, 7.14: with a command that waits for data, one that has been
 * received ahead of its turn, one half sent. */
static void test_cut(void **state)
{
	struct multi m = open_multi(3, "ImmediateData=No");
	uint8_t lost[48], after[48], half[48];

	pending(&m, m.c[1]);
	pending(&m, m.c[1]);
	next(&m, lost, ISCSI_FLAG_FINAL, 0, 0, 0, 0);
	next(&m, after, ISCSI_FLAG_FINAL, 0, 0, 0, 0);
	peer_send(m.c[1], after, NULL, 0);
	ping_on(&m, m.c[1]);
	memcpy(half, after, 48);
	peer_write(m.c[1], half, 20);
	peer_close(m.c[1]);
	m.c[1] = NULL;
	expect_dropped(m.c[0], 101);
	/* what was received out of turn was not acknowledged: both numbers are
	 * free for another connection (7.2.1) */
	assert_int_equal(get_be32(m.c[0]->bhs + 28), get_be32(lost + 24));
	peer_send(m.c[2], after, NULL, 0);
	peer_send(m.c[0], lost, NULL, 0);
	expect_sense(m.c[0], 6, CLEARED_BY_ISCSI_EVENT);
	expect_status(m.c[2], get_be32(after + 16), 0);
	works(&m, m.c[0]);
	works(&m, m.c[2]);
	/* the window is whole */
	assert_int_equal(get_be32(m.c[2]->bhs + 32), m.cmdsn + 127);
	wait_conns(2);
	/* and its CID free */
	m.c[1] = join(&m, 101, "");
	works(&m, m.c[1]);
	close_multi(&m);
}

static void test_logout_of_one(void **state)
{
	struct multi m = open_multi(3, "ImmediateData=No");

	/* itself: nobody else is told of it */
	pending(&m, m.c[1]);
	send_logout(&m, m.c[1], ISCSI_LOGOUT_CONNECTION, 101);
	expect_logout(m.c[1], ISCSI_LOGOUT_OK);
	peer_expect_close(m.c[1]);
	expect_attention(&m, m.c[0], CLEARED_BY_ISCSI_EVENT);
	works(&m, m.c[2]);
	/* another one, which has a command */
	pending(&m, m.c[2]);
	send_logout(&m, m.c[0], ISCSI_LOGOUT_CONNECTION, 102);
	expect_logout(m.c[0], ISCSI_LOGOUT_OK);
	peer_expect_close(m.c[2]);
	expect_attention(&m, m.c[0], CLEARED_BY_ISCSI_EVENT);
	/* twice; one that never was; for recovery */
	send_logout(&m, m.c[0], ISCSI_LOGOUT_CONNECTION, 102);
	expect_logout(m.c[0], ISCSI_LOGOUT_NO_CID);
	send_logout(&m, m.c[0], ISCSI_LOGOUT_CONNECTION, 999);
	expect_logout(m.c[0], ISCSI_LOGOUT_NO_CID);
	send_logout(&m, m.c[0], ISCSI_LOGOUT_RECOVERY, 100);
	expect_logout(m.c[0], ISCSI_LOGOUT_NO_RECOVER);
	assert_int_equal(get_be16(m.c[0]->bhs + 40), 2); /* Time2Wait */
	assert_int_equal(get_be16(m.c[0]->bhs + 42), 0);
	works(&m, m.c[0]);
	close_multi(&m);
}

static void test_logout_of_all(void **state)
{
	struct multi m = open_multi(3, "ImmediateData=No");

	pending(&m, m.c[2]);
	send_logout(&m, m.c[1], ISCSI_LOGOUT_SESSION, 0);
	expect_logout(m.c[1], ISCSI_LOGOUT_OK);
	for (unsigned i = 0; i < 3; i++) {
		peer_expect_close(m.c[i]);
	}
	close_multi(&m);
}

/* ---- with a command that takes its time ---- */

static struct {
	atomic_bool hold;
	struct scsi_task *_Atomic task;
} keeper;

static int keep(struct scsi_lu *lu, struct scsi_task *task, const void *state,
		size_t len, void *private_data)
{
	bool hold = keeper.hold;

	if (hold) {
		keeper.task = task;
		keeper.hold = false;
	} else if (keeper.task) {
		struct scsi_task *old = keeper.task;

		keeper.task = NULL;
		bench_stored(old);
	}
	return hold ? EINPROGRESS : 0;
}

static void send_register(struct multi *m, struct peer *p, uint64_t key)
{
	uint8_t bhs[48], list[24] = {0};

	next(m, bhs, FW, 24, PR_OUT, 0, 0);
	memset(bhs + 33, 0, 15);
	bhs[33] = 6; /* REGISTER AND IGNORE EXISTING KEY */
	put_be32(bhs + 37, 24);
	put_be64(list + 8, key);
	list[20] = 1; /* APTPL */
	peer_send(p, bhs, list, 24);
}

static struct multi keeper_start(void)
{
	struct multi m = open_multi(3, "");

	scsi_lu_set_store(b->lu->scsi, keep, NULL);
	keeper.hold = true;
	send_register(&m, m.c[1], 0x11);
	while (keeper.hold) {
		sched_yield();
	}
	return m;
}

static void keeper_stop(struct multi *m)
{
	close_multi(m);
	scsi_lu_set_store(b->lu->scsi, NULL, NULL);
}

static void do_register(struct multi *m, struct peer *p, uint64_t key)
{
	do { /* past unit attentions */
		send_register(m, p, key);
		peer_expect(p, ISCSI_OP_SCSI_RSP);
	} while (p->bhs[3] != 0);
}

/* Another registration lets the first one finish. */
static void let_go(struct multi *m, struct peer *p)
{
	do_register(m, p, 0x22);
	do_register(m, p, 0);
}

static void test_logout_waits(void **state)
{
	struct multi m = keeper_start();

	send_logout(&m, m.c[0], ISCSI_LOGOUT_CONNECTION, 101);
	peer_expect_close(m.c[1]);
	/* no answer yet; nothing else is kept from going on */
	ping_on(&m, m.c[0]);
	/* the same again by who lost patience */
	send_logout(&m, m.c[0], ISCSI_LOGOUT_CONNECTION, 101);
	ping_on(&m, m.c[0]);
	let_go(&m, m.c[2]);
	expect_logout(m.c[0], ISCSI_LOGOUT_OK);
	expect_logout(m.c[0], ISCSI_LOGOUT_OK);
	works(&m, m.c[0]);
	keeper_stop(&m);
}

static void test_replacement_waits(void **state)
{
	struct multi m = keeper_start();
	struct peer *p = joiner(&m, 101);
	struct pollfd pfd = {.fd = p->fd, .events = POLLIN};
	uint8_t bhs[48] = {ISCSI_OP_LOGIN | ISCSI_OP_IMMEDIATE, OP_TO_FULL};
	char text[512];
	size_t len = text_of(NAMES, text);

	memcpy(bhs + 8, p->isid, 6);
	put_be16(bhs + 14, p->tsih);
	put_be32(bhs + 16, 55);
	put_be16(bhs + 20, p->cid);
	put_be32(bhs + 24, m.cmdsn);
	peer_send(p, bhs, text, (uint32_t)len);
	peer_expect_close(m.c[1]);
	peer_close(m.c[1]);
	m.c[1] = p;
	ping_on(&m, m.c[0]);
	assert_int_equal(poll(&pfd, 1, 0), 0);
	let_go(&m, m.c[2]);
	peer_expect(p, ISCSI_OP_LOGIN_RSP);
	assert_int_equal(get_be16(p->bhs + 36), 0);
	works(&m, p);
	keeper_stop(&m);
}

/* The replacement gives up, and so does everybody else. */
static void test_nobody_waits(void **state)
{
	struct multi m = keeper_start();
	struct peer *p = joiner(&m, 101);
	uint8_t bhs[48] = {ISCSI_OP_LOGIN | ISCSI_OP_IMMEDIATE, OP_TO_FULL};
	char text[512];
	size_t len = text_of(NAMES, text);
	struct peer *q;

	memcpy(bhs + 8, p->isid, 6);
	put_be16(bhs + 14, p->tsih);
	put_be16(bhs + 20, p->cid);
	peer_send(p, bhs, text, (uint32_t)len);
	peer_expect_close(m.c[1]);
	peer_close(p);
	for (unsigned i = 0; i < 3; i++) {
		peer_close(m.c[i]);
	}
	q = peer_port(b, 7, "");
	m.num = 1;
	m.c[0] = q;
	m.cmdsn = q->cmdsn;
	m.itt = q->itt;
	let_go(&m, q);
	keeper_stop(&m);
}

/* ---- replacement (6.3.4) ---- */

static void test_replacement(void **state)
{
	struct multi m = open_multi(3, "ImmediateData=No");

	for (unsigned i = 0; i < 6; i++) {
		unsigned n = i % 3;
		struct peer *p;

		pending(&m, m.c[n]);
		p = join(&m, (uint16_t)(100 + n), "");
		peer_expect_close(m.c[n]);
		peer_close(m.c[n]);
		m.c[n] = p;
		expect_attention(&m, p, CLEARED_BY_ISCSI_EVENT);
		works(&m, m.c[(n + 1) % 3]);
		wait_conns(3);
	}
	close_multi(&m);
}

/* The only connection there may be: the session outlives it. */
static void test_replacement_of_the_only_one(void **state)
{
	struct multi m = open_multi(1, "");
	struct peer *p;

	refuse_join(&m, joiner(&m, 200), INITIATOR, TARGET,
		    ISCSI_LOGIN_TOO_MANY);
	for (unsigned i = 0; i < 4; i++) {
		p = join(&m, 100, "");
		peer_expect_close(m.c[0]);
		peer_close(m.c[0]);
		m.c[0] = p;
		works(&m, p);
	}
	close_multi(&m);
}

/* The session is reinstated (6.3.5): all its connections go. */
static void test_reinstatement_of_many(void **state)
{
	struct multi m = open_multi(4, "ImmediateData=No");
	struct peer *p;

	pending(&m, m.c[3]);
	p = peer_connect(b);
	peer_login(p, "");
	assert_int_not_equal(p->tsih, m.c[0]->tsih);
	for (unsigned i = 0; i < 4; i++) {
		peer_expect_close(m.c[i]);
		peer_close(m.c[i]);
	}
	m.num = 1;
	m.c[0] = p;
	peer_ready(p);
	wait_conns(1);
	close_multi(&m);
}

/* ---- the server goes ---- */

static void test_stop(void **state)
{
	for (unsigned i = 0; i < 10; i++) {
		struct multi m;
		struct peer *p;
		uint8_t bhs[48] = {ISCSI_OP_LOGIN | ISCSI_OP_IMMEDIATE,
				   OP_TO_FULL};
		char text[512];
		size_t len = text_of(NAMES, text);

		bench_another(3);
		m = open_multi(4, "ImmediateData=No");
		pending(&m, m.c[3]);
		/* joins that are under way */
		for (unsigned n = 0; n < 4; n++) {
			p = m.c[4 + n] = joiner(&m, 101);
			memcpy(bhs + 8, p->isid, 6);
			put_be16(bhs + 14, p->tsih);
			put_be16(bhs + 20, p->cid);
			peer_send(p, bhs, text, (uint32_t)len);
		}
		bench_back();
		for (unsigned n = 0; n < 8; n++) {
			peer_close(m.c[n]);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_join),
		cmocka_unit_test(test_keys_of_connections),
		cmocka_unit_test(test_refused_joins),
		cmocka_unit_test(test_other_portal_group),
		cmocka_unit_test(test_join_of_ending_session),
		cmocka_unit_test(test_limit_of_server),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_same_number),
		cmocka_unit_test(test_allegiance),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_logout_of_one),
		cmocka_unit_test(test_logout_of_all),
		cmocka_unit_test(test_logout_waits),
		cmocka_unit_test(test_replacement_waits),
		cmocka_unit_test(test_nobody_waits),
		cmocka_unit_test(test_replacement),
		cmocka_unit_test(test_replacement_of_the_only_one),
		cmocka_unit_test(test_reinstatement_of_many),
		cmocka_unit_test(test_stop),
	};

	return cmocka_run_group_tests(tests, bench_setup, bench_teardown);
}
