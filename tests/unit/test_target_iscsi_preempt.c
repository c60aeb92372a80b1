/* SPDX-License-Identifier: GPL-3.0-or-later */
/* PREEMPT AND ABORT (SPC-4 5.13.11.2.6) and what else ends commands and copies
 * under way (SPC-4 5.17.4.6, 5.17.4.7, 5.17.5). */
#include "target_iscsi_copies.h"

/* ---- commands ---- */

/* @p waits for a command of @q, which is kept. */
static void start_preempting(struct peer *p, struct peer *q)
{
	pr_out(p, 6, 0, 0x11);
	register_slowly(q);
	send_pr_out(p, 5, 0x11, 0x22);
	ping(p);
}

/* SPC-4 5.13.11.2.6: its status means that they have ended. */
static void test_preempt_and_abort(void **state)
{
	struct peer *q, *p = keeper_start(&q);

	start_preempting(p, q);
	peer_ready(q);
	keeper.release = true;
	pr_out(q, 6, 0, 0x22);
	peer_expect(p, ISCSI_OP_SCSI_RSP);
	assert_int_equal(p->bhs[3], 0);
	pr_out(q, 6, 0, 0);
	pr_out(p, 6, 0, 0);
	keeper_stop(p, q);
}

/* With FastAbort, too, data that were asked for come first: no message has said
 * that they need not, so that nothing acknowledges one (RFC 7143 4.2.3.4). */
static void test_preempted_awaits_data(void **state)
{
	uint8_t nop[48], data[512] = {0};
	uint32_t itt, ttt;
	struct peer *p, *q;

	p = peer_new(bench_another(2), "");
	q = peer_second(b, "TaskReporting=FastAbort");
	scsi_lu_set_store(b->lu->scsi, keep, NULL);
	set_tas(p, true);
	peer_ready(q);
	pr_out(p, 6, 0, 0x11);
	pr_out(q, 6, 0, 0x22);
	itt = peer_pending(q);
	ttt = get_be32(q->bhs + 20);
	pr_out(p, 5, 0x11, 0x22);
	put_ping(nop, ISCSI_TAG_NONE, q->cmdsn);
	peer_send(q, nop, NULL, 0);
	ping(q);
	data_out(q, itt, ttt, 0, 0, data, 512, true);
	peer_expect(q, ISCSI_OP_SCSI_RSP);
	assert_int_equal(get_be32(q->bhs + 16), itt);
	assert_int_equal(q->bhs[3], 0x40);
	peer_close(p);
	peer_close(q);
	bench_back();
}

/* The session whose commands it waits for goes, or the one that waits. */
static void test_preempted_goes(void **state)
{
	struct peer *q, *r, *p = keeper_start(&q);

	start_preempting(p, q);
	peer_close(q);
	/* its place is free when its command has ended, and so is the end of
	 * PREEMPT AND ABORT */
	peer_works(p);
	let_finish();
	peer_expect(p, ISCSI_OP_SCSI_RSP);
	assert_int_equal(p->bhs[3], 0);
	q = peer_second(b, "");
	pr_out(p, 6, 0, 0);

	start_preempting(p, q);
	peer_close(p);
	r = peer_port(b, 3, "");
	let_finish();
	/* it has preempted all the same */
	peer_ready(q);
	send_pr_out(q, 0, 0x22, 0x33);
	peer_expect(q, ISCSI_OP_SCSI_RSP);
	assert_int_equal(q->bhs[3], 0x18);
	p = peer_new(b, "");
	pr_out(p, 6, 0, 0);
	peer_close(r);
	keeper_stop(p, q);
}

/* The server stops meanwhile: it waits for the command, and for nothing else.
 */
static void test_stop_while_preempting(void **state)
{
	for (unsigned lanes = 1; lanes < 4; lanes++) {
		struct peer *p, *q;

		bench_another(lanes);
		p = keeper_start(&q);
		start_preempting(p, q);
		stop_while(q, let_finish);
		peer_close(p);
		peer_close(q);
	}
}

/* ---- copies ---- */

/* As copies_start(); both have a key. */
static struct peer *registered_start(struct peer **q)
{
	struct peer *p = copies_start(q);

	pr_out(p, 6, 0, 0x11);
	pr_out(*q, 6, 0, 0x22);
	return p;
}

/* Copies in the background end like commands do (5.13.11.2.6 d). */
static void test_copies_of_preempted(void **state)
{
	struct peer *q, *p = registered_start(&q);

	copy_in_background(q);
	send_pr_out(p, 5, 0x11, 0x22);
	ping(p);
	peer_ready(q);
	assert_int_equal(copy_status(q), IN_BACKGROUND);
	ping(p);
	assert_silent(p);
	let_copy();
	expect_good(p, p->itt);
	assert_int_equal(copy_status(q), TERMINATED);
	assert_int_equal(first_byte(p, DESTINATION + BLOCKS - 1), 0);
	copies_stop(p, q);
}

/* They do also when their session has gone, for whose sake they may have been
 * preempted. */
static void test_copies_without_session(void **state)
{
	struct peer *q, *p = registered_start(&q);

	copy_in_background(q);
	peer_close(q);
	bench_wait_sessions(b, 1);
	send_pr_out(p, 5, 0x11, 0x22);
	ping(p);
	ping(p);
	assert_silent(p);
	let_copy();
	expect_good(p, p->itt);
	assert_int_equal(first_byte(p, DESTINATION + BLOCKS - 1), 0);
	copies_stop(p, peer_second(b, ""));
}

/* Others' go on. */
static void test_copies_of_others(void **state)
{
	struct peer *q, *p = registered_start(&q);

	copy_in_background(p);
	pr_out(p, 5, 0x11, 0x22);
	assert_int_equal(copy_status(p), IN_BACKGROUND);
	let_copy();
	while (copy_status(p) == IN_BACKGROUND) {
		usleep(1000);
	}
	assert_int_equal(copy_status(p), 1);
	assert_int_equal(first_byte(p, DESTINATION + BLOCKS - 1), 0x11);
	copies_stop(p, q);
}

/* 5.17.5: as if by COPY OPERATION ABORT */
static void test_copies_and_resets(void **state)
{
	static const uint8_t functions[] = {ISCSI_TMF_LU_RESET,
					    ISCSI_TMF_WARM_RESET};

	for (unsigned i = 0; i < 2; i++) {
		struct peer *q, *p = copies_start(&q);

		copy_in_background(q);
		send_tmf_of_all(p, functions[i]);
		ping(p);
		peer_ready(q);
		ping(p);
		assert_silent(p);
		let_copy();
		expect_last_tmf(p, ISCSI_TMF_COMPLETE);
		assert_int_equal(copy_status(q), TERMINATED);
		peer_ready(p);
		assert_int_equal(first_byte(p, DESTINATION + BLOCKS - 1), 0);
		copies_stop(p, q);
	}
}

/* 5.17.4.7: GOOD means that the copy has ended, in the foreground too. */
static void test_copy_operation_abort(void **state)
{
	struct peer *q, *p = copies_start(&q);
	uint32_t itt[2], copy;
	unsigned aborts = 0, copies = 0;

	send_copy(p, false);
	copy = p->itt;
	itt[0] = send_copy_abort(p);
	itt[1] = send_copy_abort(p);
	ping(p);
	assert_silent(p);
	let_copy();
	while (aborts + copies < 3) {
		uint32_t tag;

		peer_expect(p, ISCSI_OP_SCSI_RSP);
		tag = get_be32(p->bhs + 16);
		if (tag == copy) {
			assert_int_equal(p->bhs[3], 2);
			assert_int_equal(p->data[2 + 2], 0x0a);
			assert_int_equal(get_be16(p->data + 2 + 12), 0x2f02);
			copies++;
		} else {
			assert_true(tag == itt[0] || tag == itt[1]);
			assert_int_equal(p->bhs[3], 0);
			aborts++;
		}
	}
	assert_int_equal(copies, 1);
	assert_int_equal(copy_status(p), TERMINATED);
	assert_int_equal(first_byte(p, DESTINATION + BLOCKS - 1), 0);
	copies_stop(p, q);
}

/* ---- the own key ---- */

/* All commands of the nexus but itself (5.13.11.2.6 c), of those that came
 * before it. */
static void test_own_commands(void **state)
{
	struct peer *q, *p = keeper_start(&q);
	uint8_t bhs[48], data[512] = {0};
	uint32_t before, ttt, later = 0, preempt;

	pr_out(p, 6, 0, 0x11);
	before = peer_pending(p);
	ttt = get_be32(p->bhs + 20);
	send_pr_out(p, 5, 0x11, 0x11);
	preempt = p->itt;
	command(p, bhs, FW, 512, WRITE10, 1, 1);
	peer_send(p, bhs, NULL, 0);
	for (unsigned i = 0; i < 2; i++) {
		if (peer_recv(p) == ISCSI_OP_R2T) {
			assert_int_equal(get_be32(p->bhs + 16), p->itt);
			later = get_be32(p->bhs + 20);
			continue;
		}
		assert_int_equal(p->bhs[0], ISCSI_OP_SCSI_RSP);
		assert_int_equal(get_be32(p->bhs + 16), preempt);
		assert_int_equal(p->bhs[3], 0);
	}
	/* what is sent for it goes nowhere */
	data_out(p, before, ttt, 0, 0, data, 512, true);
	data_out(p, p->itt, later, 0, 0, data, 512, true);
	expect_good(p, p->itt);
	peer_works(p);
	/* those at work are waited for, and not answered */
	register_slowly(p);
	send_pr_out(p, 5, 0x22, 0x22);
	ping(p);
	ping(p);
	assert_silent(p);
	let_finish();
	expect_good(p, p->itt);
	peer_works(p);
	keeper_stop(p, q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_preempt_and_abort),
		cmocka_unit_test(test_preempted_awaits_data),
		cmocka_unit_test(test_preempted_goes),
		cmocka_unit_test(test_stop_while_preempting),
		cmocka_unit_test(test_copies_of_preempted),
		cmocka_unit_test(test_copies_without_session),
		cmocka_unit_test(test_copies_of_others),
		cmocka_unit_test(test_copies_and_resets),
		cmocka_unit_test(test_copy_operation_abort),
		cmocka_unit_test(test_own_commands),
	};

	return cmocka_run_group_tests(tests, bench_setup, bench_teardown);
}
