/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What iSCSIProtocolLevel=2 brings: QUERY TASK, QUERY TASK SET, I_T NEXUS RESET
 * and QUERY ASYNCHRONOUS EVENT (RFC 7144). */
#include "target_iscsi_multi.h"

#define LEVEL2 "iSCSIProtocolLevel=2"

/* A function that is no single task's. */
static void function(struct peer *p, uint8_t number, uint8_t lun, uint8_t want)
{
	tmf(p, number, ISCSI_TAG_NONE, 0, lun, want);
}

static void query_task(struct peer *p, uint8_t lun, uint32_t rtt, uint8_t want)
{
	tmf(p, ISCSI_TMF_QUERY_TASK, rtt, p->cmdsn - 1, lun, want);
}

/* 6.3: not without the key, and not at level 1 */
static void test_not_negotiated(void **state)
{
	static const char *const keys[] = {"", "iSCSIProtocolLevel=1",
					   "iSCSIProtocolLevel=0"};

	for (unsigned i = 0; i < 3; i++) {
		struct peer *p = peer_new(b, keys[i]);

		for (uint8_t n = ISCSI_TMF_QUERY_TASK; n < 16; n++) {
			function(p, n, 0, ISCSI_TMF_REJECTED);
		}
		peer_works(p);
		peer_close(p);
	}
}

static uint8_t response_of(struct peer *p, uint8_t cdb0, uint8_t cdb1,
			   unsigned at)
{
	uint8_t bhs[48];

	command(p, bhs, FR, 96, cdb0, 0, 0);
	memset(bhs + 33, 0, 15);
	bhs[33] = cdb1;
	bhs[36] = cdb0 == 0x12 ? 96 : 0;
	bhs[41] = 96;
	peer_send(p, bhs, NULL, 0);
	peer_expect(p, ISCSI_OP_DATA_IN);
	assert_in_range(p->len, at + 1, 96);
	return p->data[at];
}

/* 4.2: the version descriptor, and what REPORT SUPPORTED TMFs says */
static void test_told_by_scsi(void **state)
{
	static const struct {
		const char *keys;
		uint8_t version, tmfs[2];
	} levels[] = {
		{"", 0x60, {0xda, 0x00}},
		{"iSCSIProtocolLevel=0", 0x60, {0xda, 0x00}},
		{"iSCSIProtocolLevel=1", 0x61, {0xda, 0x00}},
		{"iSCSIProtocolLevel=2", 0x62, {0xde, 0x07}},
		{"iSCSIProtocolLevel=31", 0x62, {0xde, 0x07}},
	};

	for (unsigned i = 0; i < 5; i++) {
		struct peer *p = peer_new(b, levels[i].keys);

		assert_int_equal(response_of(p, 0x12, 0, 64), 0x09);
		assert_int_equal(response_of(p, 0x12, 0, 65),
				 levels[i].version);
		for (unsigned n = 0; n < 2; n++) {
			assert_int_equal(response_of(p, 0xa3, 0x0d, n),
					 levels[i].tmfs[n]);
		}
		peer_close(p);
	}
}

static void test_query_task(void **state)
{
	struct peer *p = peer_new(b, LEVEL2 ";ImmediateData=No");
	uint8_t bhs[48];
	uint32_t itt = peer_pending(p), ttt = get_be32(p->bhs + 20), blocked;

	query_task(p, 0, itt, ISCSI_TMF_SUCCEEDED);
	query_task(p, 9, itt, ISCSI_TMF_NO_LUN);
	query_task(p, 0, itt + 100, ISCSI_TMF_COMPLETE);
	/* one that waits for it to end */
	command(p, bhs, ISCSI_FLAG_FINAL | ISCSI_ATTR_ORDERED, 0, 0x00, 0, 0);
	peer_send(p, bhs, NULL, 0);
	blocked = p->itt;
	query_task(p, 0, blocked, ISCSI_TMF_SUCCEEDED);
	data_out(p, itt, ttt, 0, 0, pattern, 512, true);
	expect_status(p, itt, 0);
	expect_status(p, blocked, 0);
	query_task(p, 0, itt, ISCSI_TMF_COMPLETE);
	peer_works(p);
	peer_close(p);
}

/* 6.3.3: one that has not arrived, though it was sent before */
static void test_query_missing(void **state)
{
	struct peer *p = peer_new(b, LEVEL2);
	uint32_t lost = p->cmdsn++;
	uint8_t bhs[48];

	command(p, bhs, ISCSI_FLAG_FINAL, 0, 0, 0, 0);
	peer_send(p, bhs, NULL, 0);
	tmf(p, ISCSI_TMF_QUERY_TASK, 0x5555, lost, 0, ISCSI_TMF_COMPLETE);
	/* that closes the gap */
	expect_status(p, get_be32(bhs + 16), 0);
	peer_works(p);
	peer_close(p);
}

/* Functions are no tasks: 6.3, and RFC 7143 11.5.1 for ABORT TASK. */
static void test_functions_are_no_tasks(void **state)
{
	struct multi m = open_multi(2, LEVEL2 ";ImmediateData=No");
	uint32_t itt = pending(&m, m.c[0]), ttt = get_be32(m.c[0]->bhs + 20);
	uint32_t reset;
	uint8_t bhs[48];

	works(&m, m.c[1]);
	m.c[1]->answers = false;
	send_tmf_on(&m, m.c[0], ISCSI_TMF_LU_RESET, ISCSI_TAG_NONE);
	reset = m.itt;
	for (unsigned i = 0; i < 2; i++) {
		send_tmf_on(&m, m.c[0],
			    i ? ISCSI_TMF_ABORT_TASK : ISCSI_TMF_QUERY_TASK,
			    reset);
		expect_tmf(m.c[0], ISCSI_TMF_REJECTED);
		assert_int_equal(get_be32(m.c[0]->bhs + 16), m.itt);
	}
	/* its response is in line, behind what is not acknowledged */
	data_out(m.c[0], itt, ttt, 0, 0, pattern, 512, true);
	peer_expect(m.c[1], ISCSI_OP_NOP_IN);
	send_tmf_on(&m, m.c[0], ISCSI_TMF_ABORT_TASK, reset);
	expect_tmf(m.c[0], ISCSI_TMF_REJECTED);
	peer_pong(m.c[1]);
	m.c[1]->answers = true;
	expect_tmf(m.c[0], ISCSI_TMF_COMPLETE);
	assert_int_equal(get_be32(m.c[0]->bhs + 16), reset);
	settle(&m, m.c[1]);
	/* and one that waits for a command that was sent before it */
	next(&m, bhs, ISCSI_FLAG_FINAL, 0, 0, 0, 0);
	send_tmf_on(&m, m.c[0], ISCSI_TMF_ABORT_TASK_SET, ISCSI_TAG_NONE);
	reset = m.itt;
	send_tmf_on(&m, m.c[0], ISCSI_TMF_ABORT_TASK, reset);
	expect_tmf(m.c[0], ISCSI_TMF_REJECTED);
	peer_send(m.c[1], bhs, NULL, 0);
	expect_status(m.c[1], get_be32(bhs + 16), 0);
	expect_tmf(m.c[0], ISCSI_TMF_COMPLETE);
	assert_int_equal(get_be32(m.c[0]->bhs + 16), reset);
	close_multi(&m);
}

static void test_query_task_set(void **state)
{
	struct peer *p = peer_new(b, LEVEL2 ";ImmediateData=No"),
		    *q = peer_second(b, LEVEL2);
	uint32_t itt, ttt;

	function(p, ISCSI_TMF_QUERY_TASK_SET, 0, ISCSI_TMF_COMPLETE);
	itt = peer_pending(p);
	ttt = get_be32(p->bhs + 20);
	function(p, ISCSI_TMF_QUERY_TASK_SET, 0, ISCSI_TMF_SUCCEEDED);
	function(p, ISCSI_TMF_QUERY_TASK_SET, 9, ISCSI_TMF_NO_LUN);
	/* of this nexus */
	function(q, ISCSI_TMF_QUERY_TASK_SET, 0, ISCSI_TMF_COMPLETE);
	/* what has been aborted is not in it, though its data is awaited */
	send_tmf_of_all(p, ISCSI_TMF_ABORT_TASK_SET);
	for (unsigned i = 0; i < 3; i++) {
		peer_works(p);
	}
	function(p, ISCSI_TMF_QUERY_TASK_SET, 0, ISCSI_TMF_COMPLETE);
	data_out(p, itt, ttt, 0, 0, pattern, 512, true);
	expect_tmf(p, ISCSI_TMF_COMPLETE);
	peer_close(p);
	peer_close(q);
}

/* Unit attentions are told, not taken. */
static void test_query_event(void **state)
{
	static const uint8_t power_on[] = {0x16, 0x29, 0x00}, none[3],
			     both[] = {0x26, 0x29, 0x03},
			     capacity[] = {0x16, 0x2a, 0x09};
	struct peer *q = peer_second(b, LEVEL2), *p = peer_connect(b);

	peer_login(p, LEVEL2);
	for (unsigned i = 0; i < 2; i++) {
		function(p, ISCSI_TMF_QUERY_EVENT, 0, ISCSI_TMF_SUCCEEDED);
		assert_memory_equal(p->bhs + 8, power_on, 3);
	}
	peer_ready(p);
	function(p, ISCSI_TMF_QUERY_EVENT, 0, ISCSI_TMF_COMPLETE);
	assert_memory_equal(p->bhs + 8, none, 3);
	function(p, ISCSI_TMF_QUERY_EVENT, 9, ISCSI_TMF_NO_LUN);
	assert_memory_equal(p->bhs + 8, none, 3);
	/* more than one, of which the first is told */
	function(q, ISCSI_TMF_LU_RESET, 0, ISCSI_TMF_COMPLETE);
	iscsi_lu_capacity_changed(b->lu);
	function(p, ISCSI_TMF_QUERY_EVENT, 0, ISCSI_TMF_SUCCEEDED);
	assert_memory_equal(p->bhs + 8, both, 3);
	send_test_unit_ready(p);
	expect_sense(p, 6, 0x2903);
	function(p, ISCSI_TMF_QUERY_EVENT, 0, ISCSI_TMF_SUCCEEDED);
	assert_memory_equal(p->bhs + 8, capacity, 3);
	peer_ready(p);
	function(p, ISCSI_TMF_QUERY_EVENT, 0, ISCSI_TMF_COMPLETE);
	peer_close(p);
	peer_close(q);
}

/* The session goes with all its connections and tasks; nobody else's does. */
static void test_nexus_reset(void **state)
{
	struct multi m = open_multi(2, LEVEL2 ";ImmediateData=No");
	struct peer *q = peer_second(b, LEVEL2 ";ImmediateData=No"), *d, *p;
	uint32_t itt, ttt, other;

	d = peer_connect(b);
	assert_int_equal(peer_login_step(d, OP_TO_FULL,
					 "InitiatorName=" INITIATOR
					 ";SessionType=Discovery"),
			 0);
	other = peer_pending(q);
	itt = pending(&m, m.c[1]);
	ttt = get_be32(m.c[1]->bhs + 20);
	send_tmf_on(&m, m.c[0], ISCSI_TMF_NEXUS_RESET, ISCSI_TAG_NONE);
	for (unsigned i = 0; i < 3; i++) {
		ping_on(&m, m.c[0]);
	}
	data_out(m.c[1], itt, ttt, 0, 0, pattern, 512, true);
	expect_tmf(m.c[0], ISCSI_TMF_COMPLETE);
	peer_expect_close(m.c[0]);
	peer_expect_close(m.c[1]);
	query_task(q, 0, other, ISCSI_TMF_SUCCEEDED);
	peer_works(q);
	/* the same nexus again */
	p = peer_connect(b);
	peer_login(p, LEVEL2);
	send_test_unit_ready(p);
	expect_sense(p, 6, 0x2900);
	/* nor have sessions for discovery gone, which have no target */
	ping(d);
	peer_close(p);
	peer_close(q);
	peer_close(d);
	close_multi(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_not_negotiated),
		cmocka_unit_test(test_told_by_scsi),
		cmocka_unit_test(test_query_task),
		cmocka_unit_test(test_query_missing),
		cmocka_unit_test(test_functions_are_no_tasks),
		cmocka_unit_test(test_query_task_set),
		cmocka_unit_test(test_query_event),
		cmocka_unit_test(test_nexus_reset),
	};

	return cmocka_run_group_tests(tests, bench_setup, bench_teardown);
}
