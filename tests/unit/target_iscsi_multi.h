/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Sessions of several connections, over the bench. The bench has two lanes and
 * connections are spread over them, so that every other join is from a foreign
 * lane.
 */
#ifndef ISCSI_MULTI_H
#define ISCSI_MULTI_H

#include "target_iscsi_commands.h"

#define PR_OUT 0x5f

#define CLEARED_BY_ISCSI_EVENT 0x477f

#define MAX_CONNS 40

/* Command numbers and task tags are the session's. */
struct multi {
	uint32_t cmdsn, itt;
	unsigned num;
	struct peer *c[MAX_CONNS];
};

static UNUSED struct peer *joiner(struct multi *m, uint16_t cid)
{
	struct peer *p = peer_connect(b);

	p->tsih = m->c[0]->tsih;
	p->cid = cid;
	p->cmdsn = m->cmdsn;
	p->statsn = cid * 1000u;
	peer_answers(p);
	return p;
}

static UNUSED struct peer *join(struct multi *m, uint16_t cid, const char *more)
{
	struct peer *p = joiner(m, cid);
	uint16_t tsih = p->tsih;

	peer_login(p, more);
	assert_int_equal(p->tsih, tsih);
	/* the session's numbers, the connection's StatSN */
	assert_int_equal(get_be32(p->bhs + 28), m->cmdsn);
	assert_int_equal(get_be32(p->bhs + 24), cid * 1000u);
	return p;
}

/* What connections that join ask for. */
static const char *multi_keys = "";

/* @num connections, with CIDs from 100 */
static UNUSED struct multi open_multi(unsigned num, const char *more)
{
	struct multi m = {.num = num};
	char keys[256];

	snprintf(keys, sizeof(keys), "MaxConnections=%u%s%s", num,
		 *more ? ";" : "", more);
	m.c[0] = peer_connect(b);
	m.c[0]->cid = 100;
	peer_answers(m.c[0]);
	peer_login(m.c[0], keys);
	peer_ready(m.c[0]);
	m.cmdsn = m.c[0]->cmdsn;
	m.itt = 1000;
	for (unsigned i = 1; i < num; i++) {
		m.c[i] = join(&m, (uint16_t)(100 + i), multi_keys);
	}
	return m;
}

static UNUSED void close_multi(struct multi *m)
{
	for (unsigned i = 0; i < m->num; i++) {
		if (m->c[i]) {
			peer_close(m->c[i]);
		}
	}
	bench_wait_sessions(b, 0);
}

/* The next command of the session, for whatever connection. */
static UNUSED uint32_t next(struct multi *m, uint8_t *bhs, uint8_t flags,
			    uint32_t edtl, uint8_t opcode, uint32_t lba,
			    uint16_t blocks)
{
	struct peer numbers = {.cmdsn = m->cmdsn, .itt = m->itt};

	command(&numbers, bhs, flags, edtl, opcode, lba, blocks);
	m->cmdsn = numbers.cmdsn;
	m->itt = numbers.itt;
	return m->itt;
}

static UNUSED void works(struct multi *m, struct peer *p)
{
	uint8_t bhs[48];
	uint32_t itt = next(m, bhs, ISCSI_FLAG_FINAL, 0, 0, 0, 0);

	peer_send(p, bhs, NULL, 0);
	expect_status(p, itt, 0);
}

/* Past unit attentions. */
static UNUSED void settle(struct multi *m, struct peer *p)
{
	uint8_t bhs[48];

	do {
		next(m, bhs, ISCSI_FLAG_FINAL, 0, 0, 0, 0);
		peer_send(p, bhs, NULL, 0);
		peer_expect(p, ISCSI_OP_SCSI_RSP);
	} while (p->bhs[3] != 0);
}

static UNUSED void expect_attention(struct multi *m, struct peer *p,
				    uint16_t code)
{
	uint8_t bhs[48];

	next(m, bhs, ISCSI_FLAG_FINAL, 0, 0, 0, 0);
	peer_send(p, bhs, NULL, 0);
	expect_sense(p, 6, code);
}

/* A write that waits for its data. */
static UNUSED uint32_t pending(struct multi *m, struct peer *p)
{
	uint8_t bhs[48];
	uint32_t itt = next(m, bhs, FW, 512, WRITE10, 0, 1);

	peer_send(p, bhs, NULL, 0);
	peer_expect(p, ISCSI_OP_R2T);
	return itt;
}

static UNUSED void immediate(struct multi *m, struct peer *p, uint8_t *bhs,
			     uint8_t opcode, uint8_t flags)
{
	memset(bhs, 0, 48);
	bhs[0] = opcode | ISCSI_OP_IMMEDIATE;
	bhs[1] = ISCSI_FLAG_FINAL | flags;
	put_be32(bhs + 16, ++m->itt);
	put_be32(bhs + 24, m->cmdsn);
}

static UNUSED void ping_on(struct multi *m, struct peer *p)
{
	uint8_t bhs[48];

	put_ping(bhs, ++m->itt, m->cmdsn);
	peer_send(p, bhs, NULL, 0);
	peer_expect(p, ISCSI_OP_NOP_IN);
	assert_int_equal(get_be32(p->bhs + 16), m->itt);
}

static UNUSED void send_logout(struct multi *m, struct peer *p, uint8_t reason,
			       uint16_t cid)
{
	uint8_t bhs[48];

	immediate(m, p, bhs, ISCSI_OP_LOGOUT, reason);
	put_be16(bhs + 20, cid);
	peer_send(p, bhs, NULL, 0);
}

static UNUSED void expect_logout(struct peer *p, uint8_t response)
{
	peer_expect(p, ISCSI_OP_LOGOUT_RSP);
	assert_int_equal(p->bhs[2], response);
}

static UNUSED void send_tmf_on(struct multi *m, struct peer *p,
			       uint8_t function, uint32_t rtt)
{
	uint8_t bhs[48];

	put_tmf(bhs, function, ++m->itt, rtt, m->cmdsn, m->cmdsn - 1);
	peer_send(p, bhs, NULL, 0);
}

static UNUSED void expect_dropped(struct peer *p, uint16_t cid)
{
	peer_expect(p, ISCSI_OP_ASYNC);
	assert_int_equal(p->bhs[36], ISCSI_ASYNC_DROP_CONN);
	assert_int_equal(get_be16(p->bhs + 38), cid);
	assert_int_equal(get_be16(p->bhs + 40), 2); /* Time2Wait */
	assert_int_equal(get_be16(p->bhs + 42), 0); /* Time2Retain */
}

/* Main thread: a session of so many connections, the only one. */
static UNUSED void wait_conns(size_t want)
{
	struct iscsi_session_info *infos;
	size_t num, conns = SIZE_MAX;

	for (;;) {
		assert_int_equal(iscsi_sessions(b->server, b->tgt, b->ev,
						&infos, &num),
				 0);
		conns = num == 1 ? infos[0].num_connections : 0;
		talloc_free(infos);
		if (conns == want) {
			return;
		}
		assert_int_equal(tevent_loop_once(b->ev), 0);
	}
}

#endif /* ISCSI_MULTI_H */
