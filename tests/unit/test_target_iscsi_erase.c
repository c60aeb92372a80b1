/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * SANITIZE and FORMAT UNIT (SBC-3 4.11, 5.3) while commands and copies are at
 * work on the unit: what these have read before is not there afterwards.
 *
 * builds: default asan tsan
 */
#include "target_iscsi_copies.h"

struct erasing {
	uint8_t opcode;
	bool immediate;
	uint16_t in_progress; /* sense while it goes on */
};

static const struct erasing all_kinds[] = {
	{0x48, false, 0x041b},
	{0x48, true, 0x041b},
	{0x04, false, 0x0404},
	{0x04, true, 0x0404},
};

#define KINDS	 (sizeof(all_kinds) / sizeof(all_kinds[0]))
#define SANITIZE (&all_kinds[0])

/* @return its task tag */
static uint32_t send_erase(struct peer *p, const struct erasing *kind)
{
	uint8_t bhs[48], list[4] = {0, 0x02};
	bool out = kind->opcode == 0x04 && kind->immediate;

	command(p, bhs, out ? FW : ISCSI_FLAG_FINAL, out ? 4 : 0, kind->opcode,
		0, 0);
	if (kind->opcode == 0x48) {
		bhs[33] = 0x02 | (kind->immediate ? 0x80 : 0);
	} else {
		bhs[33] = out ? 0x10 : 0;
	}
	peer_send(p, bhs, list, out ? 4 : 0);
	return p->itt;
}

static void expect_end(struct peer *p, uint32_t itt, uint8_t key, uint16_t asc)
{
	peer_expect(p, ISCSI_OP_SCSI_RSP);
	assert_int_equal(get_be32(p->bhs + 16), itt);
	assert_int_equal(p->bhs[3], key != 0 ? 2 : 0);
	if (key != 0) {
		assert_int_equal(p->data[2 + 2], key);
		assert_int_equal(get_be16(p->data + 2 + 12), asc);
	}
}

/* It is under way, and whoever sent it has not been answered. */
static void assert_waits(struct peer *p, const struct erasing *kind)
{
	for (unsigned i = 0; i < 2; i++) {
		send_test_unit_ready(p);
		expect_end(p, p->itt, 2, kind->in_progress);
	}
	ping(p);
	assert_silent(p);
}

/* It has ended: no byte of the disk is what it was. */
static void assert_erased(struct peer *p)
{
	static uint8_t content[DISK_SIZE];
	static const uint8_t zeroes[DISK_SIZE];

	peer_ready(p);
	assert_int_equal(pread(bench_fd, content, DISK_SIZE, 0), DISK_SIZE);
	assert_memory_equal(content, zeroes, DISK_SIZE);
}

/* @q's copy has read and is about to write; @p erases. */
static uint32_t start_erasing(struct peer *p, struct peer *q, bool background,
			      const struct erasing *kind)
{
	uint32_t itt;

	copying.reads = true;
	if (background) {
		copy_in_background(q);
	} else {
		send_copy(q, false);
	}
	itt = send_erase(p, kind);
	assert_waits(p, kind);
	return itt;
}

static void copies_end(bool background)
{
	for (unsigned i = 0; i < KINDS; i++) {
		const struct erasing *kind = &all_kinds[i];
		struct peer *q, *p = copies_start(&q);
		uint32_t copy = q->itt + 1, itt;

		itt = start_erasing(p, q, background, kind);
		/* only one at a time */
		expect_end(q, send_erase(q, &all_kinds[i ^ 1]), 2,
			   kind->in_progress);
		expect_end(q, send_erase(q, &all_kinds[i ^ 2]), 2,
			   kind->in_progress);
		let_copy();
		expect_end(p, itt, 0, 0);
		if (background) {
			assert_int_equal(copy_status(q), TERMINATED);
		} else {
			expect_end(q, copy, 0x0a, 0x2f02);
		}
		assert_erased(p);
		copies_stop(p, q);
	}
}

static void test_foreground_copies(void **state)
{
	copies_end(false);
}

static void test_background_copies(void **state)
{
	copies_end(true);
}

/* The own session's are no exception. */
static void test_own_copy(void **state)
{
	struct peer *q, *p = copies_start(&q);
	uint32_t copy = p->itt + 1, itt;

	itt = start_erasing(p, p, false, SANITIZE);
	let_copy();
	expect_end(p, copy, 0x0a, 0x2f02);
	expect_end(p, itt, 0, 0);
	assert_erased(p);
	copies_stop(p, q);
}

/* Commands that have not got their data do not reach the unit, and nobody waits
 * for who sends it. */
static void test_data_to_come(void **state)
{
	static const uint8_t data[512] = {1, 2, 3};

	for (unsigned i = 0; i < KINDS; i++) {
		struct peer *q, *p = copies_start(&q);
		uint32_t pending = peer_pending(q), ttt;

		ttt = get_be32(q->bhs + 20);
		expect_end(p, send_erase(p, &all_kinds[i]), 0, 0);
		assert_erased(p);
		data_out(q, pending, ttt, 0, 0, data, 512, true);
		expect_end(q, pending, 2, all_kinds[i].in_progress);
		assert_erased(q);
		copies_stop(p, q);
	}
}

/* Once it has begun no reset ends it (SBC-3 4.11). */
static void test_reset(void **state)
{
	struct peer *q, *p = copies_start(&q);

	start_erasing(p, q, true, SANITIZE);
	send_tmf_of_all(p, ISCSI_TMF_LU_RESET);
	ping(p);
	assert_silent(p);
	let_copy();
	expect_last_tmf(p, ISCSI_TMF_COMPLETE);
	assert_erased(p);
	copies_stop(p, q);
}

/* What has been done at the unit is not waited for because its initiator does
 * not read the answers. */
static void test_slow_reader(void **state)
{
	enum { BLOCKS_READ = 16384 };
	struct peer *q, *p = copies_start(&q);
	uint8_t bhs[48];
	uint32_t itt;
	int room = 4096;

	setsockopt(q->fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
	send_copy(q, false);
	command(q, bhs, FR, BLOCKS_READ * 512, READ10, 0, BLOCKS_READ);
	peer_send(q, bhs, NULL, 0);
	/* It is being answered, and no more of that is read. */
	assert_true(peer_read(q, bhs, sizeof(bhs)));
	itt = send_erase(p, SANITIZE);
	assert_waits(p, SANITIZE);
	let_copy();
	expect_end(p, itt, 0, 0);
	assert_erased(p);
	copies_stop(p, q);
}

/* Its session goes, and with it that of the copy. */
static void test_sessions_go(void **state)
{
	struct peer *q, *p = copies_start(&q);

	start_erasing(p, q, true, SANITIZE);
	peer_close(p);
	peer_close(q);
	p = peer_connect(b);
	p->isid[5] = 3;
	peer_login(p, "");
	let_copy();
	assert_erased(p);
	q = peer_port(b, 4, "");
	copies_stop(p, q);
}

/* The server stops: it waits for the copy, and erases nothing any more. */
static void test_stop(void **state)
{
	for (unsigned i = 0; i < KINDS; i++) {
		struct peer *q, *p = copies_start(&q);
		uint8_t first;

		start_erasing(p, q, true, &all_kinds[i]);
		stop_while(p, let_copy);
		assert_int_equal(pread(bench_fd, &first, 1, 0), 1);
		assert_int_equal(first, 0x11);
		peer_close(p);
		peer_close(q);
		bench_file_close();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_foreground_copies),
		cmocka_unit_test(test_background_copies),
		cmocka_unit_test(test_own_copy),
		cmocka_unit_test(test_data_to_come),
		cmocka_unit_test(test_reset),
		cmocka_unit_test(test_slow_reader),
		cmocka_unit_test(test_sessions_go),
		cmocka_unit_test(test_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
