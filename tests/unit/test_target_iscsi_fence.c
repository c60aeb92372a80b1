/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Multi-task aborts: what they wait for, who is told, and the fences that their
 * responses need in sessions of several connections (RFC 7143 4.2.2.3, 4.2.3,
 * 11.5, 11.9, 13.23). */
#include "target_iscsi_multi.h"

/* @p gets nothing, though the session's lane has turned over a few times. Not
 * for the connection that is asked. */
static void is_quiet(struct multi *m, struct peer *via, struct peer *p)
{
	struct pollfd pfd = {.fd = p->fd, .events = POLLIN};

	for (unsigned i = 0; i < 6; i++) {
		ping_on(m, via);
	}
	assert_int_equal(poll(&pfd, 1, 0), 0);
}

static void expect_terminated(struct peer *p, uint8_t lun)
{
	peer_expect(p, ISCSI_OP_ASYNC);
	assert_int_equal(p->bhs[36], ISCSI_ASYNC_TERMINATED);
	assert_int_equal(p->bhs[9], lun);
	assert_int_equal(get_be32(p->bhs + 16), ISCSI_TAG_NONE);
}

/* What the initiator says to that (11.9.1): no ping. */
static void acknowledge(struct peer *p, uint8_t lun)
{
	uint8_t bhs[48] = {ISCSI_OP_NOP_OUT | ISCSI_OP_IMMEDIATE, 0x80};

	bhs[9] = lun;
	put_be32(bhs + 16, ISCSI_TAG_NONE);
	put_be32(bhs + 20, ISCSI_TAG_NONE);
	put_be32(bhs + 24, p->cmdsn);
	peer_send(p, bhs, NULL, 0);
}

/* ---- standard semantics (4.2.3.3) ---- */

static const uint8_t functions[] = {
	ISCSI_TMF_ABORT_TASK_SET,
	ISCSI_TMF_CLEAR_TASK_SET,
	ISCSI_TMF_LU_RESET,
	ISCSI_TMF_WARM_RESET,
};

/* Step a: data that has been asked for comes first, and no more is asked for.
 */
static void test_r2ts_are_answered_first(void **state)
{
	struct multi m = open_multi(3, "ImmediateData=No;MaxBurstLength=512;"
				       "FirstBurstLength=512");

	for (size_t i = 0; i < sizeof(functions); i++) {
		uint32_t itt[2], ttt[2], all, one;
		uint8_t bhs[48];

		for (unsigned n = 0; n < 2; n++) {
			itt[n] = next(&m, bhs, FW, 1024, WRITE10, 8, 2);
			peer_send(m.c[n], bhs, NULL, 0);
			peer_expect(m.c[n], ISCSI_OP_R2T);
			assert_int_equal(get_be32(m.c[n]->bhs + 44), 512);
			ttt[n] = get_be32(m.c[n]->bhs + 20);
		}
		send_tmf_on(&m, m.c[2], functions[i], ISCSI_TAG_NONE);
		all = m.itt;
		is_quiet(&m, m.c[2], m.c[1]);
		/* a second one waits for the same */
		send_tmf_on(&m, m.c[2], ISCSI_TMF_ABORT_TASK, itt[1]);
		one = m.itt;
		/* in parts, with a tag that is still valid */
		data_out(m.c[1], itt[1], ttt[1], 0, 0, pattern, 256, false);
		is_quiet(&m, m.c[2], m.c[1]);
		data_out(m.c[1], itt[1], ttt[1], 1, 256, pattern, 256, true);
		expect_tmf(m.c[2], ISCSI_TMF_COMPLETE);
		assert_int_equal(get_be32(m.c[2]->bhs + 16), one);
		is_quiet(&m, m.c[2], m.c[0]);
		/* the other's, cut short by its F bit (11.5.1) */
		data_out(m.c[0], itt[0], ttt[0], 0, 0, pattern, 100, true);
		expect_tmf(m.c[2], ISCSI_TMF_COMPLETE);
		assert_int_equal(get_be32(m.c[2]->bhs + 16), all);
		settle(&m, m.c[0]);
		works(&m, m.c[1]);
		assert_int_equal(get_be32(m.c[1]->bhs + 32), m.cmdsn + 127);
	}
	close_multi(&m);
}

/* Nor does it wait for ever, nor with a connection that goes. */
static void test_r2ts_without_answer(void **state)
{
	struct multi m;
	uint32_t itt, ttt;

	bench_impatient(1);
	m = open_multi(2, "ImmediateData=No");
	itt = pending(&m, m.c[1]);
	ttt = get_be32(m.c[1]->bhs + 20);
	bench_warnings();
	send_tmf_on(&m, m.c[0], ISCSI_TMF_LU_RESET, ISCSI_TAG_NONE);
	is_quiet(&m, m.c[0], m.c[1]);
	peer_pass_time(m.c[0]);
	expect_tmf(m.c[0], ISCSI_TMF_COMPLETE);
	assert_int_equal(bench_warnings(), 1);
	/* late, and good for nothing */
	data_out(m.c[1], itt, ttt, 0, 0, pattern, 512, true);
	settle(&m, m.c[1]);
	works(&m, m.c[0]);
	close_multi(&m);
	bench_back();

	m = open_multi(2, "ImmediateData=No");
	pending(&m, m.c[1]);
	send_tmf_on(&m, m.c[0], ISCSI_TMF_ABORT_TASK_SET, ISCSI_TAG_NONE);
	ping_on(&m, m.c[0]);
	peer_close(m.c[1]);
	m.c[1] = NULL;
	expect_dropped(m.c[0], 101);
	expect_tmf(m.c[0], ISCSI_TMF_COMPLETE);
	close_multi(&m);
}

/* Whoever else has been asked for data is not waited for (MAY). */
static void test_third_parties_are_not_awaited(void **state)
{
	struct peer *p = peer_new(b, ""),
		    *q = peer_second(b, "ImmediateData=No");
	uint32_t itt = peer_pending(q), ttt = get_be32(q->bhs + 20);

	send_tmf_of_all(p, ISCSI_TMF_LU_RESET);
	expect_tmf(p, ISCSI_TMF_COMPLETE);
	data_out(q, itt, ttt, 0, 0, pattern, 512, true);
	send_test_unit_ready(q);
	expect_sense(q, 6, 0x2903);
	peer_works(q);
	peer_close(p);
	peer_close(q);
	bench_wait_sessions(b, 0);
}

/* One command is another matter: its data need not come any more. */
static void test_tmf_across(void **state)
{
	struct multi m = open_multi(3, "ImmediateData=No");
	uint32_t itt = pending(&m, m.c[1]);

	send_tmf_on(&m, m.c[0], ISCSI_TMF_ABORT_TASK, itt);
	expect_tmf(m.c[0], ISCSI_TMF_COMPLETE);
	send_tmf_on(&m, m.c[0], ISCSI_TMF_ABORT_TASK, itt);
	expect_tmf(m.c[0], ISCSI_TMF_NO_TASK);
	works(&m, m.c[1]);
	close_multi(&m);
}

/* 4.2.3.3: an immediate function overtakes commands on other connections that
 * were sent before it. It is for them too, and waits until they are here. */
static void test_tmf_overtakes(void **state)
{
	struct multi m = open_multi(3, "ImmediateData=No");

	for (size_t i = 0; i < 3; i++) { /* all but the target's reset */
		uint8_t late[48], later[48];

		next(&m, late, FW, 512, WRITE10, 0, 1);
		next(&m, later, FW, 512, WRITE10, 0, 1);
		send_tmf_on(&m, m.c[0], functions[i], ISCSI_TAG_NONE);
		ping_on(&m, m.c[0]);
		peer_send(m.c[2], later, NULL, 0);
		ping_on(&m, m.c[2]);
		peer_send(m.c[1], late, NULL, 0);
		/* each is asked for its data before it ends */
		for (unsigned n = 1; n < 3; n++) {
			peer_expect(m.c[n], ISCSI_OP_R2T);
			data_out(m.c[n], get_be32(m.c[n]->bhs + 16),
				 get_be32(m.c[n]->bhs + 20), 0, 0, pattern, 512,
				 true);
		}
		expect_tmf(m.c[0], ISCSI_TMF_COMPLETE);
		settle(&m, m.c[1]);
		works(&m, m.c[2]);
	}
	close_multi(&m);
}

/* Resets of the target do not wait: what was to come is taken for aborted. */
static void test_target_reset_plugs(void **state)
{
	struct multi m = open_multi(2, "ImmediateData=No");
	uint8_t late[48], later[48];

	next(&m, late, FW, 512, WRITE10, 0, 1);
	next(&m, later, FW, 512, WRITE10, 0, 1);
	peer_send(m.c[1], later, NULL, 0);
	ping_on(&m, m.c[1]);
	send_tmf_on(&m, m.c[0], ISCSI_TMF_WARM_RESET, ISCSI_TAG_NONE);
	expect_tmf(m.c[0], ISCSI_TMF_COMPLETE);
	assert_int_equal(get_be32(m.c[0]->bhs + 28), m.cmdsn);
	peer_send(m.c[1], late, NULL, 0);
	settle(&m, m.c[1]);
	/* cold: all connections */
	send_tmf_on(&m, m.c[1], ISCSI_TMF_COLD_RESET, ISCSI_TAG_NONE);
	expect_tmf(m.c[1], ISCSI_TMF_COMPLETE);
	peer_expect_close(m.c[0]);
	peer_expect_close(m.c[1]);
	close_multi(&m);
}
/* ---- FastAbort (4.2.3.4) ---- */

#define FAST "ImmediateData=No;TaskReporting=FastAbort,ResponseFence,RFC3720"

/* Nothing is waited for but acknowledgements: one message for each connection
 * with tasks, but that of the function. */
static void test_fast_abort(void **state)
{
	struct multi m = open_multi(4, FAST);

	for (size_t i = 0; i < sizeof(functions); i++) {
		uint32_t itt, ttt;

		pending(&m, m.c[0]);
		pending(&m, m.c[1]);
		itt = pending(&m, m.c[1]);
		ttt = get_be32(m.c[1]->bhs + 20);
		pending(&m, m.c[2]);
		for (unsigned n = 0; n < 4; n++) {
			m.c[n]->answers = n == 0 || n == 3;
		}
		send_tmf_on(&m, m.c[0], functions[i], ISCSI_TAG_NONE);
		for (unsigned n = 1; n < 3; n++) {
			expect_terminated(m.c[n], 0);
			peer_expect(m.c[n], ISCSI_OP_NOP_IN); /* the fence */
			m.c[n]->answers = true;
		}
		/* its tag is valid until then */
		data_out(m.c[1], itt, ttt, 0, 0, pattern, 512, true);
		acknowledge(m.c[1], 0);
		is_quiet(&m, m.c[3], m.c[0]);
		acknowledge(m.c[2], 0);
		expect_tmf(m.c[0], ISCSI_TMF_COMPLETE);
		settle(&m, m.c[0]);
		works(&m, m.c[1]);
		works(&m, m.c[2]);
		assert_int_equal(get_be32(m.c[2]->bhs + 32), m.cmdsn + 127);
	}
	close_multi(&m);
}

/* 4.2.3.5: a session is told if it has agreed to that, whoever asks. */
static void test_fast_abort_of_others(void **state)
{
	struct peer *p = peer_new(b, ""), *q = peer_second(b, FAST);
	uint32_t itt = peer_pending(q), ttt = get_be32(q->bhs + 20);

	send_tmf_of_all(p, ISCSI_TMF_LU_RESET);
	expect_terminated(q, 0);
	data_out(q, itt, ttt, 0, 0, pattern, 512, true);
	acknowledge(q, 0);
	expect_tmf(p, ISCSI_TMF_COMPLETE);
	send_test_unit_ready(q);
	expect_sense(q, 6, 0x2903);
	/* without tasks it hears nothing */
	send_tmf_of_all(p, ISCSI_TMF_LU_RESET);
	expect_tmf(p, ISCSI_TMF_COMPLETE);
	send_test_unit_ready(q);
	expect_sense(q, 6, 0x2903);
	/* and the other way round, nobody */
	peer_ready(p);
	peer_close(p);
	p = peer_port(b, 3, "ImmediateData=No");
	peer_pending(p);
	send_tmf_of_all(q, ISCSI_TMF_LU_RESET);
	expect_tmf(q, ISCSI_TMF_COMPLETE);
	send_test_unit_ready(p);
	expect_sense(p, 6, 0x2903);
	peer_close(p);
	peer_close(q);
	bench_wait_sessions(b, 0);
}

/* One message for each unit. A unit may have two numbers. */
static void test_fast_abort_of_units(void **state)
{
	struct iscsi_lun luns[2] = {{0, b->lu}, {1, b->lu}};
	struct iscsi_tgt_config config = bench_config(b);
	struct peer *p, *q;
	uint8_t bhs[48];

	config.luns = luns;
	config.num_luns = 2;
	assert_int_equal(iscsi_tgt_update(b->tgt, &config), 0);
	p = peer_new(b, "");
	q = peer_second(b, FAST);
	for (unsigned i = 0; i < 4; i++) {
		do { /* past the other number's unit attention */
			command(q, bhs, FW, 512, WRITE10, 0, 1);
			bhs[9] = i % 2;
			peer_send(q, bhs, NULL, 0);
		} while (peer_recv(q) != ISCSI_OP_R2T);
	}
	send_tmf_of_all(p, ISCSI_TMF_LU_RESET);
	expect_terminated(q, 0);
	expect_terminated(q, 1);
	acknowledge(q, 0);
	acknowledge(q, 1);
	expect_tmf(p, ISCSI_TMF_COMPLETE);
	send_test_unit_ready(q);
	expect_sense(q, 6, 0x2903);
	peer_close(p);
	peer_close(q);
	bench_wait_sessions(b, 0);
	config = bench_config(b);
	assert_int_equal(iscsi_tgt_update(b->tgt, &config), 0);
}

/* TASK ABORTED comes when the initiator has stopped sending data. */
static void test_fast_abort_with_status(void **state)
{
	struct peer *p = peer_new(b, ""), *q = peer_second(b, FAST);
	uint32_t itt;

	set_tas(p, true);
	send_test_unit_ready(q);
	expect_sense(q, 6, 0x2a01);
	itt = peer_pending(q);
	send_tmf_of_all(p, ISCSI_TMF_LU_RESET);
	expect_terminated(q, 0);
	expect_tmf(p, ISCSI_TMF_COMPLETE);
	/* another unit's is no answer, nor is one to an earlier message */
	acknowledge(q, 1);
	q->expstatsn--;
	acknowledge(q, 0);
	q->expstatsn++;
	send_test_unit_ready(q);
	expect_sense(q, 6, 0x2903);
	acknowledge(q, 0);
	peer_expect(q, ISCSI_OP_SCSI_RSP);
	assert_int_equal(get_be32(q->bhs + 16), itt);
	assert_int_equal(q->bhs[3], 0x40);
	peer_works(q);
	peer_close(p);
	peer_close(q);
	bench_wait_sessions(b, 0);
}

/* ---- response fences (4.2.2.3) ---- */

#define FENCED "ImmediateData=No;TaskReporting=ResponseFence,RFC3720"

/* A response that is not acknowledged keeps a function's from leaving, and that
 * keeps others. */
static void test_fence(void **state)
{
	struct multi m = open_multi(4, FENCED);
	uint8_t bhs[48];
	uint32_t itt;

	for (unsigned n = 0; n < 3; n++) {
		works(&m, m.c[n]);
		m.c[n]->answers = false;
	}
	send_tmf_on(&m, m.c[0], ISCSI_TMF_LU_RESET, ISCSI_TAG_NONE);
	peer_expect(m.c[1], ISCSI_OP_NOP_IN);
	peer_pong(m.c[1]);
	is_quiet(&m, m.c[3], m.c[0]);
	/* any PDU will do */
	peer_expect(m.c[2], ISCSI_OP_NOP_IN);
	itt = next(&m, bhs, ISCSI_FLAG_FINAL, 0, 0, 0, 0);
	peer_send(m.c[2], bhs, NULL, 0);
	/* the one with the function had not acknowledged all either */
	expect_tmf(m.c[0], ISCSI_TMF_COMPLETE);
	/* that is the last fence's end: until then the command is in line */
	is_quiet(&m, m.c[3], m.c[2]);
	peer_expect(m.c[0], ISCSI_OP_NOP_IN);
	peer_pong(m.c[0]);
	/* its unit attention is fenced as well: what follows waits for it */
	expect_sense(m.c[2], 6, 0x2903);
	assert_int_equal(get_be32(m.c[2]->bhs + 16), itt);
	itt = next(&m, bhs, ISCSI_FLAG_FINAL, 0, 0, 0, 0);
	peer_send(m.c[1], bhs, NULL, 0);
	is_quiet(&m, m.c[3], m.c[1]);
	peer_expect(m.c[2], ISCSI_OP_NOP_IN);
	peer_pong(m.c[2]);
	expect_status(m.c[1], itt, 0);
	close_multi(&m);
}

/* Reads are in that line with their data; what is aborted leaves it. */
static void test_line(void **state)
{
	struct multi m = open_multi(3, FENCED);
	uint8_t bhs[48];
	uint32_t read, aborted;

	next(&m, bhs, FW, 512, WRITE10, 3, 1);
	peer_send(m.c[0], bhs, NULL, 0);
	peer_expect(m.c[0], ISCSI_OP_R2T);
	data_out(m.c[0], m.itt, get_be32(m.c[0]->bhs + 20), 0, 0, pattern, 512,
		 true);
	expect_status(m.c[0], m.itt, 0);
	works(&m, m.c[1]);
	m.c[1]->answers = false;
	send_tmf_on(&m, m.c[0], ISCSI_TMF_ABORT_TASK_SET, ISCSI_TAG_NONE);
	peer_expect(m.c[1], ISCSI_OP_NOP_IN);
	read = next(&m, bhs, FR, 512, READ10, 3, 1);
	peer_send(m.c[2], bhs, NULL, 0);
	aborted = next(&m, bhs, FR, 512, READ10, 3, 1);
	peer_send(m.c[2], bhs, NULL, 0);
	ping_on(&m, m.c[2]);
	send_tmf_on(&m, m.c[2], ISCSI_TMF_ABORT_TASK, aborted);
	expect_tmf(m.c[2], ISCSI_TMF_COMPLETE);
	is_quiet(&m, m.c[2], m.c[0]);
	peer_pong(m.c[1]);
	expect_tmf(m.c[0], ISCSI_TMF_COMPLETE);
	peer_expect(m.c[2], ISCSI_OP_DATA_IN);
	assert_int_equal(get_be32(m.c[2]->bhs + 16), read);
	assert_memory_equal(m.c[2]->data, pattern, 512);
	works(&m, m.c[2]);
	close_multi(&m);
}

/* PREEMPT AND ABORT, whatever its status; without TaskReporting only task
 * management is fenced. */
static void test_what_is_fenced(void **state)
{
	for (unsigned i = 0; i < 2; i++) {
		struct multi m = open_multi(3, i ? FENCED : "ImmediateData=No");
		uint8_t bhs[48], list[24] = {[7] = 1};
		uint32_t itt;

		works(&m, m.c[1]);
		m.c[1]->answers = false;
		itt = next(&m, bhs, FW, 24, PR_OUT, 0, 0);
		memset(bhs + 33, 0, 15);
		bhs[33] = 5;
		bhs[34] = 1;
		put_be32(bhs + 37, 24);
		peer_send(m.c[0], bhs, NULL, 0);
		peer_expect(m.c[0], ISCSI_OP_R2T);
		data_out(m.c[0], itt, get_be32(m.c[0]->bhs + 20), 0, 0, list,
			 24, true);
		if (i) {
			is_quiet(&m, m.c[2], m.c[0]);
			peer_expect(m.c[1], ISCSI_OP_NOP_IN);
			peer_pong(m.c[1]);
		}
		expect_status(m.c[0], itt, 0x18);
		/* in either kind of session */
		works(&m, m.c[1]);
		send_tmf_on(&m, m.c[0], ISCSI_TMF_CLEAR_TASK_SET,
			    ISCSI_TAG_NONE);
		is_quiet(&m, m.c[2], m.c[0]);
		peer_expect(m.c[1], ISCSI_OP_NOP_IN);
		peer_pong(m.c[1]);
		expect_tmf(m.c[0], ISCSI_TMF_COMPLETE);
		close_multi(&m);
	}
}

/* Connections that go, for themselves or because they do not answer; with the
 * function, and with its session. */
static void test_fence_and_cut(void **state)
{
	struct multi m;
	uint8_t bhs[48];

	bench_impatient(1);
	m = open_multi(4, FENCED);
	works(&m, m.c[1]);
	m.c[1]->answers = false;
	send_tmf_on(&m, m.c[0], ISCSI_TMF_ABORT_TASK_SET, ISCSI_TAG_NONE);
	peer_expect(m.c[1], ISCSI_OP_NOP_IN);
	peer_close(m.c[1]);
	m.c[1] = NULL;
	/* told of on the connection that is the eldest */
	expect_dropped(m.c[0], 101);
	expect_tmf(m.c[0], ISCSI_TMF_COMPLETE);

	works(&m, m.c[2]);
	m.c[2]->answers = false;
	send_tmf_on(&m, m.c[3], ISCSI_TMF_ABORT_TASK_SET, ISCSI_TAG_NONE);
	peer_expect(m.c[2], ISCSI_OP_NOP_IN);
	/* The others' answers are there. */
	for (unsigned i = 0; i < 2; i++) {
		ping_on(&m, m.c[0]);
		ping_on(&m, m.c[3]);
	}
	peer_pass_time(m.c[2]);
	peer_expect_close(m.c[2]);
	expect_dropped(m.c[0], 102);
	expect_tmf(m.c[3], ISCSI_TMF_COMPLETE);

	/* the function's own, with somebody else in line */
	works(&m, m.c[0]);
	m.c[0]->answers = false;
	send_tmf_on(&m, m.c[3], ISCSI_TMF_ABORT_TASK_SET, ISCSI_TAG_NONE);
	peer_expect(m.c[0], ISCSI_OP_NOP_IN);
	next(&m, bhs, ISCSI_FLAG_FINAL, 0, 0, 0, 0);
	peer_send(m.c[0], bhs, NULL, 0);
	peer_close(m.c[3]);
	m.c[3] = NULL;
	while (peer_recv(m.c[0]) != ISCSI_OP_SCSI_RSP) {
		if (is_ping(m.c[0]->bhs)) {
			peer_pong(m.c[0]);
		}
	}
	assert_int_equal(get_be32(m.c[0]->bhs + 16), m.itt);
	works(&m, m.c[0]);
	close_multi(&m);

	/* all of them, with some in line */
	m = open_multi(3, FENCED);
	works(&m, m.c[1]);
	m.c[1]->answers = false;
	send_tmf_on(&m, m.c[0], ISCSI_TMF_LU_RESET, ISCSI_TAG_NONE);
	peer_expect(m.c[1], ISCSI_OP_NOP_IN);
	next(&m, bhs, ISCSI_FLAG_FINAL, 0, 0, 0, 0);
	peer_send(m.c[2], bhs, NULL, 0);
	ping_on(&m, m.c[2]);
	close_multi(&m);

	/* and the server */
	m = open_multi(3, FENCED);
	works(&m, m.c[1]);
	m.c[1]->answers = false;
	send_tmf_on(&m, m.c[0], ISCSI_TMF_COLD_RESET, ISCSI_TAG_NONE);
	peer_expect(m.c[1], ISCSI_OP_NOP_IN);
	bench_back();
	for (unsigned n = 0; n < m.num; n++) {
		peer_close(m.c[n]);
	}
}

/* The session goes though the connection that asked for it has gone before,
 * while tasks were waited for, and while its response was in line. */
static void test_cold_reset_and_cut(void **state)
{
	struct multi m = open_multi(2, FENCED);
	uint32_t itt = pending(&m, m.c[1]), ttt = get_be32(m.c[1]->bhs + 20);

	send_tmf_on(&m, m.c[0], ISCSI_TMF_COLD_RESET, ISCSI_TAG_NONE);
	is_quiet(&m, m.c[1], m.c[0]);
	peer_close(m.c[0]);
	m.c[0] = NULL;
	expect_dropped(m.c[1], 100);
	data_out(m.c[1], itt, ttt, 0, 0, pattern, 512, true);
	peer_expect_close(m.c[1]);
	close_multi(&m);

	m = open_multi(2, FENCED);
	works(&m, m.c[1]);
	m.c[1]->answers = false;
	send_tmf_on(&m, m.c[0], ISCSI_TMF_COLD_RESET, ISCSI_TAG_NONE);
	peer_expect(m.c[1], ISCSI_OP_NOP_IN);
	peer_close(m.c[0]);
	m.c[0] = NULL;
	expect_dropped(m.c[1], 100);
	acknowledge(m.c[1], 0);
	peer_expect_close(m.c[1]);
	close_multi(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_r2ts_are_answered_first),
		cmocka_unit_test(test_r2ts_without_answer),
		cmocka_unit_test(test_third_parties_are_not_awaited),
		cmocka_unit_test(test_tmf_across),
		cmocka_unit_test(test_tmf_overtakes),
		cmocka_unit_test(test_target_reset_plugs),
		cmocka_unit_test(test_fast_abort),
		cmocka_unit_test(test_fast_abort_of_others),
		cmocka_unit_test(test_fast_abort_of_units),
		cmocka_unit_test(test_fast_abort_with_status),
		cmocka_unit_test(test_fence),
		cmocka_unit_test(test_line),
		cmocka_unit_test(test_what_is_fenced),
		cmocka_unit_test(test_fence_and_cut),
		cmocka_unit_test(test_cold_reset_and_cut),
	};

	return cmocka_run_group_tests(tests, bench_setup, bench_teardown);
}
