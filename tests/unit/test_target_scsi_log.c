/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Log pages, diagnostics and self-tests (SPC-4 5.15, 6.7, 6.8, 6.28, 6.42). */
#include "target_scsi_bench.h"

static uint8_t sense_page(struct bench *b, uint8_t pc_page, uint16_t pointer)
{
	return RUN(b, 0x4d, 0, pc_page, 0, 0, (uint8_t)(pointer >> 8),
		   (uint8_t)pointer, 2, 0, 0);
}

static void log_sense(void **state)
{
	static const uint8_t pages[] = {0,    0,    0,	  9,	0x00,
					0x02, 0x03, 0x05, 0x06, 0x0c,
					0x10, 0x19, 0x2f};
	struct bench *b = *state;
	size_t i;

	assert_good(sense_page(b, 0x40, 0));
	assert_int_equal(b->task.data_in_len, sizeof(pages));
	assert_memory_equal(b->in, pages, sizeof(pages));
	assert_good(RUN(b, 0x4d, 0, 0x40, 0xff, 0, 0, 0, 0, 255, 0));
	assert_int_equal(b->in[0], 0x40);
	assert_int_equal(b->in[1], 0xff);
	assert_int_equal(get_be16(b->in + 2), 2 * 10);
	assert_memory_equal(b->in + 4, "\0\0\0\xff\2\0", 6);
	/* Each is there, with parameters of ascending codes. */
	scsi_lu_set_space(b->lu, &(struct vhd_space){.used = 5 << 20,
						     .available = 1 << 30,
						     .total = 1 << 30});
	for (i = 5; i < sizeof(pages); i++) {
		size_t at = 4, end;
		unsigned last = 0, code, params = 0;

		assert_good(sense_page(b, 0x40 | pages[i], 0));
		assert_int_equal(b->in[0], pages[i]);
		end = 4 + get_be16(b->in + 2);
		assert_int_equal(b->task.data_in_len, end);
		for (; at < end; at += 4 + b->in[at + 3]) {
			code = get_be16(b->in + at);
			assert_true(params == 0 || code > last);
			last = code;
			params++;
		}
		assert_int_equal(at, end);
		/* from the last one on, past it */
		assert_good(sense_page(b, 0x40 | pages[i], (uint16_t)last));
		assert_int_equal(get_be16(b->in + 4), last);
		assert_int_equal(4 + b->in[7], get_be16(b->in + 2));
		assert_sense(
			b, sense_page(b, 0x40 | pages[i], (uint16_t)(last + 1)),
			INVALID_CDB);
		bench_field(b, true, 5, 7);
	}
	/* no temperature */
	assert_good(sense_page(b, 0x6f, 0));
	assert_int_equal(b->in[10], 0xff);
	assert_sense(b, sense_page(b, 0x41, 0), INVALID_CDB);
	bench_field(b, true, 2, 5);
	assert_sense(b, RUN(b, 0x4d, 0, 0x6f, 1, 0, 0, 0, 0, 255, 0),
		     INVALID_CDB);
	bench_field(b, true, 3, 7);
	/* thresholds of counters; lists have no kinds of values */
	assert_sense(b, sense_page(b, 0x03, 0), INVALID_CDB);
	bench_field(b, true, 2, 7);
	assert_sense(b, sense_page(b, 0x99, 0), INVALID_CDB);
	assert_good(sense_page(b, 0x10, 0));
	/* the list of pages has no parameters; SP */
	assert_sense(b, sense_page(b, 0x40, 1), INVALID_CDB);
	assert_sense(b, RUN(b, 0x4d, 1, 0x43, 0, 0, 0, 0, 0, 255, 0),
		     INVALID_CDB);
}

/* A parameter's value of 8 bytes. */
static uint64_t counter(struct bench *b, uint8_t page, uint16_t code)
{
	assert_good(sense_page(b, 0x40 | page, code));
	assert_int_equal(get_be16(b->in + 4), code);
	assert_int_equal(b->in[7], 8);
	return get_be64(b->in + 8);
}

struct statistics {
	uint64_t reads, writes, received, sent;
};

static void assert_statistics(struct bench *b, struct statistics expected)
{
	assert_good(sense_page(b, 0x59, 1));
	assert_int_equal(b->in[7], 64);
	assert_int_equal(get_be64(b->in + 8), expected.reads);
	assert_int_equal(get_be64(b->in + 16), expected.writes);
	assert_int_equal(get_be64(b->in + 24), expected.received);
	assert_int_equal(get_be64(b->in + 32), expected.sent);
}

static void log_counters(void **state)
{
	static const uint8_t data[8 * 512];
	struct bench *b = *state;

	assert_statistics(b, (struct statistics){0});
	assert_good(RUN(b, 0x28, 0, 0, 0, 0, 0, 0, 0, 5, 0));
	assert_good(RUN_AS(b, 1, 0x08, 0, 0, 0, 3, 0));
	assert_good(RUN_OUT(b, data, 8 * 512, 0x2a, 0, 0, 0, 0, 0, 0, 0, 8, 0));
	assert_good(RUN_OUT(b, data, 1 * 512, 0x2e, 0, 0, 0, 0, 0, 0, 0, 1, 0));
	assert_good(RUN(b, 0x2f, 0, 0, 0, 0, 0, 0, 0, 2, 0));
	assert_statistics(b, (struct statistics){2, 2, 9, 8});
	assert_int_equal(counter(b, 0x02, 5), 9 * 512);
	assert_int_equal(counter(b, 0x03, 5), 8 * 512);
	assert_int_equal(counter(b, 0x05, 5), 2 * 512);
	/* by default they are nothing */
	assert_good(sense_page(b, 0xd9, 1));
	assert_int_equal(get_be64(b->in + 8), 0);
	/* What is refused does not count. */
	assert_sense(b, RUN(b, 0x28, 0, 1, 0, 0, 0, 0, 0, 5, 0),
		     LBA_OUT_OF_RANGE);
	assert_statistics(b, (struct statistics){2, 2, 9, 8});
	/* A nexus that goes leaves its counts. */
	scsi_nexus_free(b->nexus[1]);
	b->nexus[1] = NULL;
	assert_statistics(b, (struct statistics){2, 2, 9, 8});

	b->disk.fail_op = -1;
	b->disk.fail = EIO;
	assert_sense(b, RUN(b, 0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0), 0x31100);
	assert_sense(b, RUN(b, 0x2f, 0, 0, 0, 0, 0, 0, 0, 1, 0), 0x31100);
	assert_sense(b, RUN_OUT(b, data, 512, 0x41, 0, 0, 0, 0, 0, 0, 0, 1, 0),
		     0x30c00);
	assert_sense(b, RUN(b, 0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0), 0x30c00);
	b->disk.fail = ENOSPC; /* no error of the medium */
	assert_sense(b, RUN_OUT(b, data, 512, 0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0),
		     0x72707);
	b->disk.fail = 0;
	assert_int_equal(counter(b, 0x02, 6), 1);
	assert_int_equal(counter(b, 0x03, 6), 1);
	assert_int_equal(counter(b, 0x05, 6), 1);
	assert_int_equal(counter(b, 0x06, 0), 1);
	assert_int_equal(counter(b, 0x03, 3), 0);
}

static void log_select(void **state)
{
	static const uint8_t data[512];
	struct bench *b = *state;

	assert_good(RUN(b, 0x28, 0, 0, 0, 0, 0, 0, 0, 5, 0));
	assert_good(RUN_OUT(b, data, 512, 0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0));
	/* nothing to change: cumulative values, thresholds */
	assert_good(RUN(b, 0x4c, 0, 0x40, 0, 0, 0, 0, 0, 0, 0));
	assert_good(RUN(b, 0x4c, 0, 0x80, 0, 0, 0, 0, 0, 0, 0));
	assert_good(RUN_AS(b, 1, 0, 0, 0, 0, 0, 0));
	/* one page by its default values; the others hear of it */
	assert_good(RUN(b, 0x4c, 0, 0xc3, 0, 0, 0, 0, 0, 0, 0));
	assert_int_equal(counter(b, 0x03, 5), 0);
	assert_int_equal(counter(b, 0x02, 5), 512);
	assert_statistics(b, (struct statistics){1, 1, 1, 5});
	assert_sense(b, RUN_AS(b, 1, 0, 0, 0, 0, 0, 0), 0x62a02);
	assert_good(RUN(b, 0, 0, 0, 0, 0, 0));
	/* PCR: all pages, whatever PC says */
	assert_good(RUN(b, 0x28, 0, 0, 0, 0, 0, 0, 0, 2, 0));
	assert_good(RUN(b, 0x4c, 2, 0, 0, 0, 0, 0, 0, 0, 0));
	assert_int_equal(counter(b, 0x02, 5), 0);
	assert_statistics(b, (struct statistics){0});
	assert_good(RUN(b, 0x28, 0, 0, 0, 0, 0, 0, 0, 2, 0));
	assert_statistics(b, (struct statistics){1, 0, 0, 2});
	assert_int_equal(counter(b, 0x03, 5), 2 * 512);
	/* a page with its subpages; without one that is there */
	assert_good(RUN(b, 0x4c, 2, 0x19, 0xff, 0, 0, 0, 0, 0, 0));
	assert_statistics(b, (struct statistics){0});
	assert_sense(b, RUN(b, 0x4c, 2, 0x01, 0, 0, 0, 0, 0, 0, 0),
		     INVALID_CDB);
	assert_sense(b, RUN(b, 0x4c, 2, 0x19, 1, 0, 0, 0, 0, 0, 0),
		     INVALID_CDB);
	/* saving; a list */
	assert_sense(b, RUN(b, 0x4c, 1, 0x40, 0, 0, 0, 0, 0, 0, 0),
		     INVALID_CDB);
	bench_field(b, true, 1, 0);
	assert_good(RUN(b, 0x4c, 3, 0xc0, 0, 0, 0, 0, 0, 0, 0));
	assert_sense(b, RUN(b, 0x4c, 0, 0x40, 0, 0, 0, 0, 0, 4, 0),
		     INVALID_CDB);
	bench_field(b, true, 8, 2);
}

/* ---- diagnostics ---- */

static void diagnostics(void **state)
{
	static const uint8_t supported[] = {0, 0, 0, 1, 0};
	struct bench *b = *state;

	assert_good(RUN(b, 0x1c, 1, 0, 0, 255, 0));
	assert_int_equal(b->task.data_in_len, sizeof(supported));
	assert_memory_equal(b->in, supported, sizeof(supported));
	assert_sense(b, RUN(b, 0x1c, 1, 1, 0, 255, 0), INVALID_CDB);
	assert_sense(b, RUN(b, 0x1d, 0x04, 0, 0, 4, 0), INVALID_CDB);
	assert_good(RUN_OUT(b, "\0\0\0\0", 4, 0x1d, 0x10, 0, 0, 4, 0));
	assert_sense(b, RUN_OUT(b, "\1\0\0\0", 4, 0x1d, 0x10, 0, 0, 4, 0),
		     INVALID_PARAMETER);
	assert_sense(b, RUN_OUT(b, "\0\0\0\1", 4, 0x1d, 0x10, 0, 0, 4, 0),
		     INVALID_PARAMETER);
	assert_sense(b, RUN_OUT(b, "\0\0\0", 3, 0x1d, 0x10, 0, 0, 4, 0),
		     PARAMETER_LENGTH);
	assert_sense(b, RUN_OUT(b, "\0\0\0", 3, 0x1d, 0x10, 0, 0, 3, 0),
		     INVALID_CDB);
	bench_field(b, true, 3, 7);
}

static void fail_at(struct bench *b, uint64_t byte, int error)
{
	b->disk.fail = error;
	b->disk.fail_op = VHD_READ;
	b->disk.bad = byte;
}

/* The latest entry of the log: code and result, and where it failed. */
static void assert_result(struct bench *b, uint8_t code, uint8_t result,
			  uint64_t lba)
{
	assert_good(sense_page(b, 0x50, 0));
	assert_int_equal(b->task.data_in_len, 4 + 20 * 20);
	assert_int_equal(get_be16(b->in + 4), 1);
	assert_int_equal(b->in[8], code << 5 | result);
	assert_int_equal(get_be64(b->in + 12), lba);
}

static void selftest_short(void **state)
{
	struct bench *b = *state;

	/* by default: it reads, and is not logged */
	assert_good(RUN(b, 0x1d, 0x04, 0, 0, 0, 0));
	assert_true(b->disk.count[VHD_READ] > 1);
	assert_result(b, 0, 0, 0);
	fail_at(b, BENCH_SIZE - 1, EIO);
	assert_sense(b, RUN(b, 0x1d, 0x04, 0, 0, 0, 0), 0x43e03);
	assert_result(b, 0, 0, 0);
	fail_at(b, 0, 0);

	b->background = true;
	assert_good(RUN(b, 0x1d, 0x20, 0, 0, 0, 0));
	assert_int_equal(b->bg_done, 1);
	assert_result(b, 1, 0, UINT64_MAX);
	assert_int_equal(b->in[24 + 4], 0); /* the one before: none */
	assert_good(RUN(b, 0x1d, 0xb0, 0, 0, 0, 0));
	assert_result(b, 5, 0, UINT64_MAX);
	assert_int_equal(b->in[24 + 4], 0x20);
}

static void selftest_extended(void **state)
{
	struct bench *b = *state;

	/* What has no data is not read. */
	b->disk.hole = BENCH_SIZE / 2;
	assert_good(RUN(b, 0x1d, 0xc0, 0, 0, 0, 0));
	assert_result(b, 6, 0, UINT64_MAX);
	assert_int_equal(b->disk.count[VHD_READ], 64 + BENCH_SIZE / 2 / 262144);
	/* how long it takes: seconds, minutes */
	assert_good(RUN(b, 0x1a, 0x08, 0x0a, 0, 255, 0));
	assert_int_equal(get_be16(b->in + 4 + 10), 1);
	assert_good(RUN(b, 0x12, 1, 0x86, 0, 255, 0));
	assert_int_equal(get_be16(b->in + 10), 1);
}

static void selftest_failures(void **state)
{
	struct bench *b = *state;
	uint64_t lba;

	b->background = true;
	/* not in the sample: the second segment, at that block */
	for (lba = 200; lba < 211; lba++) {
		fail_at(b, lba * 512 + 1, EIO);
		assert_good(RUN(b, 0x1d, 0x20, 0, 0, 0, 0));
		assert_result(b, 1, 0, UINT64_MAX);
		assert_good(RUN(b, 0x1d, 0x40, 0, 0, 0, 0));
		assert_result(b, 2, 6, lba);
		assert_int_equal(b->in[20], 3);
		assert_int_equal(get_be16(b->in + 21), 0x1100);
	}
	/* in the sample */
	fail_at(b, BENCH_SIZE - 1, EIO);
	assert_good(RUN(b, 0x1d, 0x40, 0, 0, 0, 0));
	assert_result(b, 2, 5, BENCH_BLOCKS - 1);
	/* in the foreground it is told */
	assert_sense(b, RUN(b, 0x1d, 0xc0, 0, 0, 0, 0), 0x43e03);
	assert_result(b, 6, 5, BENCH_BLOCKS - 1);
	/* not the medium's fault */
	fail_at(b, BENCH_SIZE - 1, ENOMEM);
	assert_good(RUN(b, 0x1d, 0x40, 0, 0, 0, 0));
	assert_result(b, 2, 3, UINT64_MAX);
	/* twenty are remembered */
	assert_int_equal(get_be16(b->in + 4 + 19 * 20), 20);
	assert_int_equal(b->in[4 + 19 * 20 + 4], 0x46);
}

/* Start a test in the background that waits for its first read. */
static struct vhd_req *start_test(struct bench *b, uint8_t code)
{
	struct vhd_req *req;

	b->disk.later = 1;
	b->bg_done = 0;
	assert_good(RUN(b, 0x1d, (uint8_t)(code << 5), 0, 0, 0, 0));
	b->disk.later = 0;
	req = b->disk.pending;
	assert_non_null(req);
	b->disk.pending = NULL;
	assert_result(b, code, 0xf, UINT64_MAX);
	return req;
}

static void go_on(struct bench *b, struct vhd_req *req)
{
	assert_int_equal(b->bg_done, 0);
	req->error = 0;
	req->done(req);
	assert_int_equal(b->bg_done, 1);
}

static void selftest_aborts(void **state)
{
	struct bench *b = *state;
	struct vhd_req *req;
	unsigned way;

	b->background = true;
	assert_sense(b, RUN(b, 0x1d, 0x80, 0, 0, 0, 0), INVALID_CDB);
	bench_field(b, true, 1, 7);
	for (way = 0; way < 8; way++) {
		req = start_test(b, 2);
		/* It is told of, others go on, and there is only one. */
		assert_good(RUN(b, 3, 0, 0, 0, 96, 0));
		assert_int_equal(b->in[2], 2);
		assert_int_equal(get_be16(b->in + 12), 0x0409);
		assert_int_equal(b->in[15], 0x80);
		assert_good(RUN_AS(b, 1, 0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0));
		assert_sense(b, RUN(b, 0x1d, 0x20, 0, 0, 0, 0), 0x20409);
		assert_sense(b, RUN(b, 0x1d, 0x04, 0, 0, 0, 0), 0x20409);
		assert_good(RUN(b, 0x1d, 0x10, 0, 0, 0, 0));
		switch (way) {
		case 0:
			assert_good(RUN(b, 0x1d, 0x80, 0, 0, 0, 0));
			break;
		case 1:
			scsi_lu_reset(b->lu, b->nexus[0]);
			break;
		case 2:
			assert_good(RUN(b, 0x1b, 0, 0, 0, 0, 0));
			assert_good(RUN(b, 0x1b, 0, 0, 0, 1, 0));
			break;
		case 3:
			scsi_lu_set_enabled(b->lu, false);
			scsi_lu_set_enabled(b->lu, true);
			break;
		case 4:
			assert_good(RUN(b, 0x04, 0, 0, 0, 0, 0));
			break;
		case 5:
			b->background = false;
			assert_good(RUN(b, 0x48, 2, 0, 0, 0, 0, 0, 0, 0, 0));
			b->background = true;
			break;
		case 6:
			b->bg->aborted = true;
			go_on(b, req);
			break;
		case 7:
			b->bg->aborted = b->bg->ending = true;
			go_on(b, req);
			break;
		}
		bench_clear_ua(b);
		assert_result(b, 2, way == 0 ? 1 : 2, UINT64_MAX);
		assert_good(RUN(b, 3, 0, 0, 0, 96, 0));
		assert_int_equal(b->in[2], 0);
		if (way < 6) {
			/* Another may begin before the first has seen it. */
			assert_good(RUN(b, 0x1d, 0xa0, 0, 0, 0, 0));
			go_on(b, req);
			assert_result(b, 5, 0, UINT64_MAX);
		}
	}
}

static void selftest_foreground(void **state)
{
	struct bench *b = *state;
	struct scsi_task task = {.cdb = {0x1d, 0xc0}, .cdb_len = 16};
	struct vhd_req *req;

	task.nexus = b->nexus[0];
	task.done = bench_done;
	task.private_data = b;
	b->disk.later = 1;
	assert_true(scsi_task_prepare(&task));
	assert_false(scsi_task_execute(&task));
	b->disk.later = 0;
	req = b->disk.pending;
	b->disk.pending = NULL;
	assert_sense(b, RUN_AS(b, 1, 0, 0, 0, 0, 0, 0), 0x20409);
	assert_sense(b, RUN_AS(b, 1, 0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0), 0x20409);
	assert_sense(b, RUN_AS(b, 1, 0x1a, 0, 0x3f, 0, 255, 0), 0x20409);
	assert_sense(b, RUN_AS(b, 1, 0x1d, 0x80, 0, 0, 0, 0), 0x20409);
	assert_good(RUN_AS(b, 1, 0x12, 0, 0, 0, 96, 0));
	assert_good(RUN_AS(b, 1, 0xa0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0));
	assert_good(RUN_AS(b, 1, 3, 0, 0, 0, 96, 0));
	assert_int_equal(get_be16(b->in + 12), 0x0409);
	/* ABORT TASK */
	b->done = 0;
	task.aborted = true;
	req->error = 0;
	req->done(req);
	assert_int_equal(b->done, 1);
	assert_good(RUN_AS(b, 1, 0, 0, 0, 0, 0, 0));
	assert_result(b, 6, 2, UINT64_MAX);
}

static void selftest_refusals(void **state)
{
	struct bench *b = *state;

	/* reserved codes, SELFTEST with a code, parameters */
	assert_sense(b, RUN(b, 0x1d, 0x60, 0, 0, 0, 0), INVALID_CDB);
	bench_field(b, true, 1, 7);
	assert_sense(b, RUN(b, 0x1d, 0xe0, 0, 0, 0, 0), INVALID_CDB);
	assert_sense(b, RUN(b, 0x1d, 0x24, 0, 0, 0, 0), INVALID_CDB);
	assert_sense(b, RUN(b, 0x1d, 0x20, 0, 0, 4, 0), INVALID_CDB);
	bench_field(b, true, 3, 7);
	/* a unit that cannot be read */
	scsi_lu_set_enabled(b->lu, false);
	assert_sense(b, RUN(b, 0x1d, 0x20, 0, 0, 0, 0), 0x20412);
	assert_sense(b, RUN(b, 0x1d, 0x04, 0, 0, 0, 0), 0x20412);
	assert_good(RUN(b, 0x1d, 0, 0, 0, 0, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BENCH_TEST(log_sense),		 BENCH_TEST(log_counters),
		BENCH_TEST(log_select),		 BENCH_TEST(diagnostics),
		BENCH_TEST(selftest_short),	 BENCH_TEST(selftest_extended),
		BENCH_TEST(selftest_failures),	 BENCH_TEST(selftest_aborts),
		BENCH_TEST(selftest_foreground), BENCH_TEST(selftest_refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
