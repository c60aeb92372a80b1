/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Requests that cost the server more than their sender: task management
 * without end, commands that allocate what is in no PDU, state that has to be
 * kept again and again. What they hold is bounded, and others are served.
 */
#include "target_iscsi_bench.h"

#include "target/iscsi_session.h"

static struct bench *b;

static int setup(void **state)
{
	b = bench_start(1);
	return 0;
}

static int teardown(void **state)
{
	bench_stop(b);
	return 0;
}

/* ---- task management ------------------------------------------------------
 */

/* An ABORT TASK SET as it is sent; @return what follows it */
static uint8_t *put_abort_task_set(struct peer *p, uint8_t *bhs, bool immediate)
{
	memset(bhs, 0, 48);
	bhs[0] = ISCSI_OP_TMF | (immediate ? ISCSI_OP_IMMEDIATE : 0);
	bhs[1] = ISCSI_FLAG_FINAL | ISCSI_TMF_ABORT_TASK_SET;
	put_be32(bhs + 16, ++p->itt);
	put_be32(bhs + 20, ISCSI_TAG_NONE);
	put_be32(bhs + 24, immediate ? p->cmdsn : p->cmdsn++);
	return bhs + 48;
}

/* Functions wait for data that an R2T has asked for (RFC 7143 4.2.3.3), but not
 * any number of them. All arrive at once: it does not wait for long. */
static void flood_of_functions(bool immediate)
{
	enum { MANY = 100 };
	struct peer *p = peer_new(b, "ImmediateData=No"),
		    *q = peer_second(b, "");
	static uint8_t block[512], flood[48 * (1 + MANY)];
	uint8_t *end = flood + 48, bhs[48];
	uint32_t itt, ttt;

	command(p, flood, FW, 512, WRITE10, 0, 1);
	itt = p->itt;
	for (unsigned i = 0; i < MANY; i++) {
		end = put_abort_task_set(p, end, immediate);
	}
	peer_write(p, flood, sizeof(flood));
	peer_expect(p, ISCSI_OP_R2T);
	ttt = get_be32(p->bhs + 20);
	for (unsigned i = 0; i < MANY - ISCSI_MAX_DUE; i++) {
		peer_expect(p, immediate ? ISCSI_OP_REJECT : ISCSI_OP_TMF_RSP);
		assert_int_equal(p->bhs[2], immediate
						    ? ISCSI_REJECT_TOO_MANY_IMM
						    : ISCSI_TMF_REJECTED);
	}
	peer_works(q);
	/* those that were taken are answered as ever */
	data_out(p, itt, ttt, 0, 0, block, 512, true);
	for (unsigned i = 0; i < ISCSI_MAX_DUE; i++) {
		peer_expect(p, ISCSI_OP_TMF_RSP);
		assert_int_equal(p->bhs[2], ISCSI_TMF_COMPLETE);
	}
	put_abort_task_set(p, bhs, immediate);
	peer_send(p, bhs, NULL, 0);
	peer_expect(p, ISCSI_OP_TMF_RSP);
	assert_int_equal(p->bhs[2], ISCSI_TMF_COMPLETE);
	peer_works(p);
	peer_close(p);
	peer_close(q);
	bench_wait_sessions(b, 0);
}

static void test_immediate_functions(void **state)
{
	flood_of_functions(true);
}

static void test_numbered_functions(void **state)
{
	flood_of_functions(false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_immediate_functions),
		cmocka_unit_test(test_numbered_functions),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
