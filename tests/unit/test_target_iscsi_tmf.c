/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Task management and task attributes in a session of one connection, and what
 * other sessions see of it (RFC 7143 11.5, 11.6; SAM-5 5.6, 7, 8.7). */
#include "target_iscsi_keeper.h"

/* The function has reached the tasks, if two pings have come back. */
static void send_tmf_and_wait(struct peer *p, uint8_t function)
{
	send_tmf_of_all(p, function);
	ping(p);
	ping(p);
}

static void test_abort_task(void **state)
{
	struct peer *p = peer_new(b, "ImmediateData=No");
	uint32_t itt = peer_pending(p), ttt = get_be32(p->bhs + 20);

	tmf(p, ISCSI_TMF_ABORT_TASK, itt, p->cmdsn - 1, 0, ISCSI_TMF_COMPLETE);
	/* its data goes nowhere, and there is no response to it */
	data_out(p, itt, ttt, 0, 0, pattern, 512, true);
	peer_works(p);
	tmf(p, ISCSI_TMF_ABORT_TASK, itt, p->cmdsn - 1, 0, ISCSI_TMF_NO_TASK);
	tmf(p, ISCSI_TMF_ABORT_TASK, 0x4444, p->cmdsn + 50, 0,
	    ISCSI_TMF_NO_TASK);
	peer_close(p);
}

/* 11.5.1: a command that was sent before and has not arrived. */
static void test_abort_missing(void **state)
{
	struct peer *p = peer_new(b, "");
	uint8_t bhs[48];
	uint32_t lost = p->cmdsn++;

	command(p, bhs, ISCSI_FLAG_FINAL, 0, 0, 0, 0);
	peer_send(p, bhs, NULL, 0);
	tmf(p, ISCSI_TMF_ABORT_TASK, 0x5555, lost, 0, ISCSI_TMF_COMPLETE);
	/* the gap is closed: the command behind it runs */
	peer_expect(p, ISCSI_OP_SCSI_RSP);
	assert_int_equal(get_be32(p->bhs + 16), get_be32(bhs + 16));
	peer_works(p);
	peer_close(p);
}

/* The same of one that is not next, and then the session ends: nothing of it is
 * left (LeakSanitizer). */
static void test_abort_ahead(void **state)
{
	struct peer *p = peer_new(b, "");

	p->cmdsn += 10;
	for (uint32_t i = 1; i < 10; i++) {
		tmf(p, ISCSI_TMF_ABORT_TASK, 0x5555, p->cmdsn - i, 0,
		    ISCSI_TMF_COMPLETE);
	}
	peer_close(p);
	bench_wait_sessions(b, 0);
}

/* What is sent after a function is none of its tasks (RFC 7143 4.2.3.3: "CmdSN
 * earlier"), even if it is there before they have ended. */
static void test_commands_behind(void **state)
{
	static const uint8_t functions[] = {ISCSI_TMF_ABORT_TASK_SET,
					    ISCSI_TMF_CLEAR_TASK_SET};
	struct peer *p = peer_new(b, "ImmediateData=No");
	static uint8_t block[512];

	for (unsigned i = 0; i < 2; i++) {
		uint8_t both[2 * 48];
		uint32_t ttt = 0;

		put_tmf(both, functions[i], ++p->itt, ISCSI_TAG_NONE, p->cmdsn,
			0);
		command(p, both + 48, FW, 512, WRITE10, 0, 1);
		peer_write(p, both, sizeof(both));
		for (unsigned n = 0; n < 2; n++) {
			int op = peer_recv(p);

			if (op == ISCSI_OP_R2T) {
				ttt = get_be32(p->bhs + 20);
			} else {
				assert_int_equal(op, ISCSI_OP_TMF_RSP);
				assert_int_equal(p->bhs[2], ISCSI_TMF_COMPLETE);
			}
		}
		data_out(p, p->itt, ttt, 0, 0, block, 512, true);
		peer_expect(p, ISCSI_OP_SCSI_RSP);
		assert_int_equal(get_be32(p->bhs + 16), p->itt);
		assert_int_equal(p->bhs[3], 0);
	}
	peer_close(p);
}

static void test_task_sets(void **state)
{
	static const uint8_t functions[] = {ISCSI_TMF_ABORT_TASK_SET,
					    ISCSI_TMF_CLEAR_TASK_SET,
					    ISCSI_TMF_LU_RESET};
	struct peer *p = peer_new(b, "ImmediateData=No");

	for (size_t i = 0; i < sizeof(functions); i++) {
		uint32_t first = peer_pending(p), ttt = get_be32(p->bhs + 20);

		peer_pending(p);
		peer_pending(p);
		tmf(p, functions[i], ISCSI_TAG_NONE, 0, 1, ISCSI_TMF_NO_LUN);
		send_tmf_and_wait(p, functions[i]);
		for (uint32_t n = 0; n < 3; n++)
			data_out(p, first + n, ttt + n, 0, 0, pattern, 512,
				 true);
		expect_last_tmf(p, ISCSI_TMF_COMPLETE);
		peer_ready(p);
		/* the window is open again */
		assert_int_equal(get_be32(p->bhs + 32), p->cmdsn + 127);
	}
	tmf(p, ISCSI_TMF_WARM_RESET, ISCSI_TAG_NONE, 0, 0, ISCSI_TMF_COMPLETE);
	peer_ready(p);
	tmf(p, ISCSI_TMF_CLEAR_ACA, ISCSI_TAG_NONE, 0, 0,
	    ISCSI_TMF_UNSUPPORTED);
	tmf(p, ISCSI_TMF_REASSIGN, 1, 0, 0, ISCSI_TMF_NO_REASSIGN);
	tmf(p, 0x7f, 1, 0, 0, ISCSI_TMF_REJECTED);
	peer_close(p);
}

/* Each nexus has a task set of its own: others' tasks go on. */
static void test_clear_task_set_of_others(void **state)
{
	struct peer *p = peer_new(b, ""),
		    *q = peer_second(b, "ImmediateData=No");
	uint32_t itt, ttt;

	itt = peer_pending(q);
	ttt = get_be32(q->bhs + 20);
	tmf(p, ISCSI_TMF_CLEAR_TASK_SET, ISCSI_TAG_NONE, 0, 0,
	    ISCSI_TMF_COMPLETE);
	data_out(q, itt, ttt, 0, 0, pattern, 512, true);
	peer_expect(q, ISCSI_OP_SCSI_RSP);
	assert_int_equal(get_be32(q->bhs + 16), itt);
	assert_int_equal(q->bhs[3], 0);
	peer_works(q);
	peer_works(p);
	peer_close(p);
	peer_close(q);
}

/* One that waits for another of its task set is in it, too. */
static void test_blocked_is_aborted(void **state)
{
	struct peer *p = peer_new(b, "ImmediateData=No");
	uint32_t itt = peer_pending(p), ttt = get_be32(p->bhs + 20);
	uint8_t bhs[48];

	command(p, bhs, ISCSI_FLAG_FINAL | ISCSI_ATTR_ORDERED, 0, 0x00, 0, 0);
	peer_send(p, bhs, NULL, 0);
	send_tmf_and_wait(p, ISCSI_TMF_ABORT_TASK_SET);
	data_out(p, itt, ttt, 0, 0, pattern, 512, true);
	expect_last_tmf(p, ISCSI_TMF_COMPLETE);
	peer_works(p);
	peer_close(p);
}

/* TAS: those whose tasks others end hear TASK ABORTED. */
static void test_task_aborted_status(void **state)
{
	struct peer *p = peer_new(b, ""),
		    *q = peer_second(b, "ImmediateData=No");
	uint32_t itt, ttt;

	set_tas(p, true);
	send_test_unit_ready(q);
	expect_sense(q, 6, 0x2a01);
	itt = peer_pending(q);
	ttt = get_be32(q->bhs + 20);
	tmf(p, ISCSI_TMF_LU_RESET, ISCSI_TAG_NONE, 0, 0, ISCSI_TMF_COMPLETE);
	/* when the data that was asked for is in */
	data_out(q, itt, ttt, 0, 0, pattern, 512, true);
	peer_expect(q, ISCSI_OP_SCSI_RSP);
	assert_int_equal(get_be32(q->bhs + 16), itt);
	assert_int_equal(q->bhs[3], 0x40);
	send_test_unit_ready(q);
	expect_sense(q, 6, 0x2903);
	send_test_unit_ready(p);
	expect_sense(p, 6, 0x2903);
	set_tas(p, true); /* the reset took it back */
	send_test_unit_ready(q);
	expect_sense(q, 6, 0x2a01);
	/* its own doing it need not hear of */
	itt = peer_pending(q);
	ttt = get_be32(q->bhs + 20);
	send_tmf_and_wait(q, ISCSI_TMF_ABORT_TASK_SET);
	data_out(q, itt, ttt, 0, 0, pattern, 512, true);
	expect_last_tmf(q, ISCSI_TMF_COMPLETE);
	peer_works(q);
	set_tas(p, false);
	send_test_unit_ready(q);
	expect_sense(q, 6, 0x2a01);
	peer_close(p);
	peer_close(q);
}

/* A command with a task attribute; no data comes along. */
static uint32_t attributed(struct peer *p, uint8_t attr, uint8_t opcode,
			   uint32_t lba)
{
	uint8_t bhs[48];
	bool writes = opcode == WRITE10;

	command(p, bhs, writes ? FW : 0x80, writes ? 512 : 0, opcode, lba,
		writes);
	bhs[1] = (bhs[1] & ~0x07) | attr;
	if (!writes)
		memset(bhs + 33, 0, 15);
	peer_send(p, bhs, NULL, 0);
	return p->itt;
}

/* A response and that of a task management function, in either order. */
static void expect_good_and_done(struct peer *p, uint32_t itt)
{
	unsigned seen = 0, i;

	for (i = 0; i < 2; i++) {
		if (peer_recv(p) == ISCSI_OP_SCSI_RSP) {
			assert_int_equal(get_be32(p->bhs + 16), itt);
			assert_int_equal(p->bhs[3], 0);
			seen |= 1;
		} else {
			assert_int_equal(p->bhs[0] & 0x3f, ISCSI_OP_TMF_RSP);
			assert_int_equal(p->bhs[2], ISCSI_TMF_COMPLETE);
			seen |= 2;
		}
	}
	assert_int_equal(seen, 3);
}

/* SAM-5 8.7: what may overtake what. */
static void test_task_attributes(void **state)
{
	struct peer *p = peer_new(b, "ImmediateData=No"),
		    *q = peer_second(b, "");
	uint32_t write1, ttt1, write2, ttt2, simple, ordered, head;

	/* two writes wait for data: ORDERED waits for both, SIMPLE for it */
	write1 = attributed(p, ISCSI_ATTR_SIMPLE, WRITE10, 0);
	peer_expect(p, ISCSI_OP_R2T);
	ttt1 = get_be32(p->bhs + 20);
	write2 = attributed(p, ISCSI_ATTR_SIMPLE, WRITE10, 1);
	peer_expect(p, ISCSI_OP_R2T);
	ttt2 = get_be32(p->bhs + 20);
	ordered = attributed(p, ISCSI_ATTR_ORDERED, 0, 0);
	simple = attributed(p, ISCSI_ATTR_SIMPLE, 0, 0);
	/* HEAD OF QUEUE for none; other nexuses have their own task sets */
	head = attributed(p, ISCSI_ATTR_HEAD, 0, 0);
	expect_good(p, head);
	peer_works(q);
	data_out(p, write2, ttt2, 0, 0, pattern, 512, true);
	expect_good(p, write2);
	data_out(p, write1, ttt1, 0, 0, pattern, 512, true);
	expect_good(p, write1);
	expect_good(p, ordered);
	expect_good(p, simple);

	/* an ORDERED write holds up what comes later, but not what is at the
	 * head; while that runs, nothing else begins */
	ordered = attributed(p, ISCSI_ATTR_ORDERED, WRITE10, 0);
	peer_expect(p, ISCSI_OP_R2T);
	ttt1 = get_be32(p->bhs + 20);
	simple = attributed(p, ISCSI_ATTR_SIMPLE, 0, 0);
	head = attributed(p, ISCSI_ATTR_HEAD, WRITE10, 1);
	peer_expect(p, ISCSI_OP_R2T);
	ttt2 = get_be32(p->bhs + 20);
	data_out(p, ordered, ttt1, 0, 0, pattern, 512, true);
	expect_good(p, ordered);
	data_out(p, head, ttt2, 0, 0, pattern, 512, true);
	expect_good(p, head);
	expect_good(p, simple);

	/* what waits can be aborted, and what it held up goes on */
	write1 = attributed(p, ISCSI_ATTR_SIMPLE, WRITE10, 0);
	peer_expect(p, ISCSI_OP_R2T);
	ttt1 = get_be32(p->bhs + 20);
	ordered = attributed(p, ISCSI_ATTR_ORDERED, 0, 0);
	simple = attributed(p, ISCSI_ATTR_SIMPLE, 0, 0);
	send_tmf(p, ISCSI_TMF_ABORT_TASK, ordered, p->cmdsn - 2, 0);
	expect_good_and_done(p, simple);
	ordered = attributed(p, ISCSI_ATTR_ORDERED, 0, 0);
	send_tmf(p, ISCSI_TMF_ABORT_TASK, write1, p->cmdsn - 3, 0);
	expect_good_and_done(p, ordered);
	data_out(p, write1, ttt1, 0, 0, pattern, 512, true);
	peer_works(p);
	/* and a connection may end while some wait */
	attributed(p, ISCSI_ATTR_SIMPLE, WRITE10, 0);
	attributed(p, ISCSI_ATTR_ORDERED, 0, 0);
	peer_close(p);
	peer_works(q);
	peer_close(q);
}

static void test_cold_reset(void **state)
{
	struct peer *p = peer_new(b, "ImmediateData=No"),
		    *q = peer_second(b, "");
	uint32_t itt = peer_pending(p), ttt = get_be32(p->bhs + 20);

	send_tmf_and_wait(p, ISCSI_TMF_COLD_RESET);
	data_out(p, itt, ttt, 0, 0, pattern, 512, true);
	expect_last_tmf(p, ISCSI_TMF_COMPLETE);
	peer_expect_close(p);
	/* others are told why */
	peer_expect(q, ISCSI_OP_ASYNC);
	assert_int_equal(q->bhs[36], ISCSI_ASYNC_DROP_SESSION);
	peer_expect_close(q);
	peer_close(p);
	peer_close(q);
	peer_close(peer_new(b, ""));
}

/* Sessions that are the first of their lanes are not one and the same. */
static void test_cold_reset_of_lanes(void **state)
{
	struct peer *p = peer_new(bench_another(2), ""),
		    *q = peer_second(b, "");

	tmf(p, ISCSI_TMF_COLD_RESET, ISCSI_TAG_NONE, 0, 0, ISCSI_TMF_COMPLETE);
	peer_expect(q, ISCSI_OP_ASYNC);
	peer_expect_close(q);
	peer_expect_close(p);
	peer_close(p);
	peer_close(q);
	bench_back();
}

/* Task management waits for what was there before it, for nothing else. */
static void test_reset_under_load(void **state)
{
	struct peer *q, *p = keeper_start(&q);
	uint8_t bhs[48];

	register_slowly(q);
	/* without its data: it will be lost */
	command(q, bhs, FW, 512, WRITE10, 0, 1);
	peer_send(q, bhs, NULL, 0);
	peer_expect(q, ISCSI_OP_R2T);
	send_tmf_of_all(p, ISCSI_TMF_LU_RESET);
	ping(p);
	/* It is on its way to q's lane, which sees to it before it sends. */
	send_test_unit_ready(q);
	expect_sense(q, 6, 0x2903);
	/* the order has reached q's lane; now the first command ends and
	 * another one is under way */
	keeper.release = true;
	register_slowly(q);
	expect_last_tmf(p, ISCSI_TMF_COMPLETE);
	keeper.release = true;
	send_pr_out(q, 6, 0, 0);
	expect_good(q, q->itt - 1);
	expect_good(q, q->itt);
	send_test_unit_ready(p);
	expect_sense(p, 6, 0x2903);
	keeper_stop(p, q);
}

/* ---- a disk of two targets ---- */

#define OTHER_TARGET "iqn.2026-01.test.istmd:two"

/* A target that has the bench's disk, and as LUN 1 one of its own. */
static void add_target(struct bench *b)
{
	struct iscsi_lu_config config = {
		.vendor = "istmd",
		.product = "VIRTUAL-DISK",
		.revision = "1",
		.serial = "2",
		.guid = {4, 5, 6},
		.enabled = true,
		.disk = vhd_open_ram(b->ev, DISK_SIZE),
	};
	struct iscsi_tgt_config tgt = bench_config(b);
	struct iscsi_lun luns[] = {
		{.lun = 0, .lu = b->lu},
		{.lun = 1, .lu = iscsi_lu_add(b->server, &config)},
	};

	assert_non_null(luns[1].lu);
	tgt.name = OTHER_TARGET;
	tgt.luns = luns;
	tgt.num_luns = 2;
	assert_non_null(iscsi_tgt_add(b->server, &tgt, b));
}

static uint32_t send_to(struct peer *p, uint8_t lun, uint8_t flags,
			uint8_t opcode)
{
	uint8_t bhs[48];

	command(p, bhs, flags, flags == FW ? 512 : 0, opcode, 0, flags == FW);
	if (flags != FW) {
		memset(bhs + 33, 0, 15);
	}
	bhs[9] = lun;
	peer_send(p, bhs, NULL, 0);
	return p->itt;
}

static struct peer *peer_of_other_target(struct bench *b)
{
	struct peer *p = peer_connect(b);

	assert_int_equal(peer_login_step(p, OP_TO_FULL,
					 "InitiatorName=" INITIATOR
					 ";TargetName=" OTHER_TARGET
					 ";SessionType=Normal"),
			 0);
	for (uint8_t lun = 0; lun < 2; lun++) {
		send_to(p, lun, ISCSI_FLAG_FINAL, 0);
		expect_sense(p, 6, 0x2900);
	}
	return p;
}

#define RESERVE6 0x16

/* A reset reaches what goes on there through other targets, and waits for what
 * cannot be stopped; not their other units. */
static void test_resets_of_shared_unit(void **state)
{
	static const uint8_t functions[] = {
		ISCSI_TMF_LU_RESET, ISCSI_TMF_WARM_RESET, ISCSI_TMF_COLD_RESET};

	for (unsigned i = 0; i < 3; i++) {
		uint32_t shared, shared_ttt, own, own_ttt;
		struct peer *p, *r;

		bench_another(2);
		add_target(b);
		p = peer_new(b, "");
		r = peer_of_other_target(b);
		scsi_lu_set_store(b->lu->scsi, keep, NULL);
		register_slowly(r);
		shared = send_to(r, 0, FW, WRITE10);
		peer_expect(r, ISCSI_OP_R2T);
		shared_ttt = get_be32(r->bhs + 20);
		own = send_to(r, 1, FW, WRITE10);
		peer_expect(r, ISCSI_OP_R2T);
		own_ttt = get_be32(r->bhs + 20);

		send_tmf_and_wait(p, functions[i]);
		send_to(r, 0, ISCSI_FLAG_FINAL, 0);
		expect_sense(r, 6, 0x2903);
		assert_false(peer_wait(p, 0));
		let_finish();
		expect_tmf(p, ISCSI_TMF_COMPLETE);
		if (functions[i] == ISCSI_TMF_COLD_RESET) {
			peer_expect_close(p);
		}
		/* what was sent for it goes nowhere, the other goes on */
		data_out(r, shared, shared_ttt, 0, 0, pattern, 512, true);
		data_out(r, own, own_ttt, 0, 0, pattern, 512, true);
		expect_good(r, own);
		peer_works(r);
		peer_close(p);
		peer_close(r);
		bench_back();
	}
}

/* What RESERVE holds for a nexus of another target is released. */
static void test_reset_of_shared_reservation(void **state)
{
	struct peer *p, *r;

	bench_another(2);
	add_target(b);
	p = peer_new(b, "");
	r = peer_of_other_target(b);
	expect_good(r, send_to(r, 0, ISCSI_FLAG_FINAL, RESERVE6));
	send_test_unit_ready(p);
	peer_expect(p, ISCSI_OP_SCSI_RSP);
	assert_int_equal(p->bhs[3], 0x18);
	tmf(p, ISCSI_TMF_WARM_RESET, ISCSI_TAG_NONE, 0, 0, ISCSI_TMF_COMPLETE);
	send_test_unit_ready(p);
	expect_sense(p, 6, 0x2903);
	peer_works(p);
	send_test_unit_ready(r);
	expect_sense(r, 6, 0x2903);
	peer_close(p);
	peer_close(r);
	bench_back();
}

/* ---- without memory ---- */

#define OUT_ALIGN 16 /* of PDUs on their way out, here */

static atomic_bool no_memory;
static atomic_uint starved;

/* What libc has; for the next such PDU nothing, if that is to be so. */
void *aligned_alloc(size_t align, size_t size)
{
	void *p;

	if (align == OUT_ALIGN && atomic_exchange(&no_memory, false)) {
		return NULL;
	}
	return posix_memalign(&p, align, size) == 0 ? p : NULL;
}

static void lane_got_starve(struct msg *msg, void *receiver)
{
	struct lane *lane = receiver;

	lane->outs.align = OUT_ALIGN;
	pool_fini(&lane->outs); /* none is left over */
	free(msg);
	starved++;
}

/* The next PDU of any lane cannot be had. */
static void starve(void)
{
	starved = 0;
	for (unsigned i = 0; i < b->server->num_lanes; i++) {
		struct msg *msg = calloc(1, sizeof(*msg));

		assert_non_null(msg);
		msg->handle = lane_got_starve;
		msgq_post(&b->server->lanes[i].inbox, msg);
	}
	while (starved < b->server->num_lanes) {
		sched_yield();
	}
	no_memory = true;
}

/* TASK ABORTED cannot be told: that connection ends with all of its tasks, of
 * which the reset has seen some and others not. */
static void test_reset_without_memory(void **state)
{
	struct peer *p, *q;

	bench_another(2);
	p = peer_new(b, "");
	q = peer_second(b, "ImmediateData=No");
	set_tas(p, true);
	send_test_unit_ready(q);
	expect_sense(q, 6, 0x2a01);
	peer_pending(q);
	for (unsigned i = 0; i < 5; i++) {
		attributed(q, ISCSI_ATTR_ORDERED, 0, 0);
	}
	ping(q);
	starve();
	tmf(p, ISCSI_TMF_LU_RESET, ISCSI_TAG_NONE, 0, 0, ISCSI_TMF_COMPLETE);
	assert_false(no_memory);
	peer_expect_close(q);
	peer_ready(p);
	peer_close(p);
	peer_close(q);
	bench_back();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_abort_task),
		cmocka_unit_test(test_abort_missing),
		cmocka_unit_test(test_abort_ahead),
		cmocka_unit_test(test_commands_behind),
		cmocka_unit_test(test_task_sets),
		cmocka_unit_test(test_clear_task_set_of_others),
		cmocka_unit_test(test_blocked_is_aborted),
		cmocka_unit_test(test_task_aborted_status),
		cmocka_unit_test(test_task_attributes),
		cmocka_unit_test(test_cold_reset),
		cmocka_unit_test(test_cold_reset_of_lanes),
		cmocka_unit_test(test_reset_under_load),
		cmocka_unit_test(test_resets_of_shared_unit),
		cmocka_unit_test(test_reset_of_shared_reservation),
		cmocka_unit_test(test_reset_without_memory),
	};

	return cmocka_run_group_tests(tests, bench_setup, bench_teardown);
}
