/* SPDX-License-Identifier: GPL-3.0-or-later */
/* SANITIZE (SBC-3 4.11, 5.24), and commands that end before their work. */
#include "target_scsi_bench.h"

#define IN_PROGRESS 0x2041b
#define FAILED	    0x33103

static uint8_t erase(struct bench *b, uint8_t flags)
{
	return RUN(b, 0x48, 0x02 | flags, 0, 0, 0, 0, 0, 0, 0, 0);
}

static uint8_t overwrite(struct bench *b, uint8_t flags, uint8_t count,
			 const void *pattern, uint16_t len)
{
	uint8_t list[4 + BENCH_MAX_BLOCK + 1] = {count};

	put_be16(list + 2, len);
	memcpy(list + 4, pattern, len);
	return RUN_OUT(b, list, 4 + len, 0x48, 0x01 | flags, 0, 0, 0, 0, 0,
		       (uint8_t)((4 + len) >> 8), (uint8_t)(4 + len), 0);
}

static bool filled(const struct bench *b, const uint8_t *pattern, size_t len)
{
	size_t i;

	for (i = 0; i < b->disk.size; i++) {
		if (b->disk.data[i] != pattern[i % b->block % len]) {
			return false;
		}
	}
	return true;
}

static void erasing(void **state)
{
	struct bench *b = *state;

	b->disk.size = BENCH_SIZE; /* it takes its time */
	memset(b->disk.data, 7, b->disk.size);
	assert_good(erase(b, 0));
	assert_true(filled(b, (const uint8_t[]){0}, 1));
	assert_int_equal(b->disk.count[VHD_DISCARD], 1);
	assert_int_equal(b->disk.count[VHD_FLUSH], 1);
	assert_good(RUN(b, 0, 0, 0, 0, 0, 0));
	assert_sense(b,
		     RUN_OUT(b, "12345678", 8, 0x48, 2, 0, 0, 0, 0, 0, 0, 8, 0),
		     INVALID_CDB);
	/* there is no key to forget */
	assert_sense(b, RUN(b, 0x48, 3, 0, 0, 0, 0, 0, 0, 0, 0), INVALID_CDB);
	assert_good(RUN(b, 0x48, 0x1f, 0, 0, 0, 0, 0, 0, 0, 0));
}

static void overwriting(void **state)
{
	static const uint8_t pattern[BENCH_MAX_BLOCK + 1] = {1, 2, 3, 4,
							     5, 6, 7};
	struct bench *b = *state;
	uint8_t inverted[3] = {0xfe, 0xfd, 0xfc};
	unsigned i;

	b->disk.size = BENCH_SIZE; /* it takes its time */
	assert_good(overwrite(b, 0, 1, pattern, (uint16_t)b->block));
	assert_true(filled(b, pattern, (uint16_t)b->block));
	assert_good(overwrite(b, 0, 3, pattern, 7));
	assert_true(filled(b, pattern, 7));
	/* INVERT: every other pass; the first is as given */
	assert_good(overwrite(b, 0, 0x82, pattern, 3));
	assert_true(filled(b, inverted, 3));
	assert_good(overwrite(b, 0, 0x83, pattern, 3));
	assert_true(filled(b, pattern, 3));
	b->disk.count[VHD_WRITE] = 0;
	assert_sense(b, overwrite(b, 0, 0, pattern, 4), INVALID_PARAMETER);
	assert_sense(b, overwrite(b, 0, 0x21, pattern, 4), INVALID_PARAMETER);
	assert_sense(b, overwrite(b, 0, 1, pattern, (uint16_t)b->block + 1),
		     INVALID_CDB);
	for (i = 0; i < 5; i++) {
		assert_sense(b,
			     RUN_OUT(b, pattern, i, 0x48, 1, 0, 0, 0, 0, 0, 0,
				     (uint8_t)i, 0),
			     INVALID_CDB);
	}
	assert_int_equal(b->disk.count[VHD_WRITE], 0);
}

static struct vhd_req *take_pending(struct bench *b)
{
	struct vhd_req *req = b->disk.pending;

	assert_non_null(req);
	b->disk.pending = NULL;
	return req;
}

/* REQUEST SENSE's sense data: key, ASC, ASCQ; and the progress. */
static uint32_t request_sense(struct bench *b, unsigned *progress)
{
	assert_good(RUN(b, 3, 0, 0, 0, 252, 0));
	*progress = (b->in[15] & 0x80) ? get_be16(b->in + 16) : 0;
	return (uint32_t)(b->in[2] << 16) | get_be16(b->in + 12);
}

/* Start an OVERWRITE with IMMED whose first write waits. */
static struct vhd_req *start(struct bench *b, uint8_t flags)
{
	struct vhd_req *req;

	b->background = true;
	b->disk.later = 1;
	assert_good(overwrite(b, 0x80 | flags, 1, "abcd", 4));
	assert_non_null(b->bg);
	req = take_pending(b);
	return req;
}

static void in_progress(void **state)
{
	struct bench *b = *state;
	struct vhd_req *req = start(b, 0);
	unsigned progress, steps = 0, before = 0;

	assert_sense(b, RUN(b, 0, 0, 0, 0, 0, 0), IN_PROGRESS);
	assert_int_equal(b->task.sense[15], 0x80);
	assert_sense(b, RUN(b, 0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0), IN_PROGRESS);
	assert_sense(b, RUN(b, 0x1b, 0, 0, 0, 1, 0), IN_PROGRESS);
	assert_sense(b, erase(b, 0), IN_PROGRESS);
	assert_sense(b, RUN(b, 0x04, 0, 0, 0, 0, 0), IN_PROGRESS);
	assert_good(RUN(b, 0x12, 0, 0, 0, 36, 0));
	assert_good(RUN(b, 0xa0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0));
	assert_int_equal(request_sense(b, &progress), IN_PROGRESS);
	/* a reset does not stop it, nor the end of its session */
	scsi_lu_reset(b->lu, NULL);
	b->bg->aborted = true;
	assert_int_equal(request_sense(b, &progress), 0x62903);
	scsi_nexus_free(b->nexus[0]);
	b->nexus[0] = bench_login(b, "iqn.2026-01.example:one", 1);
	assert_int_equal(request_sense(b, &progress), 0x62900);
	for (;;) {
		req->error = bench_run(&b->disk, req);
		req->done(req);
		if (b->bg == NULL) {
			break;
		}
		req = take_pending(b);
		b->disk.later = 1;
		assert_int_equal(request_sense(b, &progress), IN_PROGRESS);
		assert_true(progress >= before);
		before = progress;
		steps++;
	}
	assert_true(steps > 10);
	assert_true(before > 60000);
	b->disk.later = 0;
	assert_int_equal(b->bg_status, SCSI_GOOD);
	assert_true(filled(b, (const uint8_t *)"abcd", 4));
	assert_good(RUN(b, 0, 0, 0, 0, 0, 0));
}

static void failure_mode(void **state)
{
	struct bench *b = *state, *again = malloc(sizeof(*again));
	struct bench_store store = {.max = 64};
	struct vhd_req *req;
	unsigned progress;

	scsi_lu_set_store(b->lu, bench_keep, &store);
	/* AUSE 0: only another SANITIZE helps */
	req = start(b, 0);
	assert_int_equal(store.calls, 1);
	b->disk.later = 0;
	req->error = EIO;
	req->done(req);
	assert_int_equal(b->bg_status, SCSI_CHECK_CONDITION);
	assert_sense(b, RUN(b, 0, 0, 0, 0, 0, 0), FAILED);
	assert_sense(b, RUN(b, 0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0), FAILED);
	assert_int_equal(request_sense(b, &progress), FAILED);
	assert_sense(b, RUN(b, 0x48, 0x1f, 0, 0, 0, 0, 0, 0, 0, 0),
		     INVALID_CDB);
	/* also after a restart */
	bench_open(again);
	assert_int_equal(scsi_lu_restore(again->lu, store.state, store.len), 0);
	assert_sense(again, RUN(again, 0, 0, 0, 0, 0, 0), POWER_ON);
	assert_sense(again, RUN(again, 0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0),
		     FAILED);
	bench_close(again);
	free(again);
	assert_good(erase(b, 0));
	assert_good(RUN(b, 0, 0, 0, 0, 0, 0));
	assert_int_equal(store.len, 0);
	/* AUSE 1: it may be left */
	req = start(b, 0x20);
	b->disk.later = 0;
	b->bg->ending = true;
	req->error = 0;
	req->done(req);
	assert_sense(b, RUN(b, 0, 0, 0, 0, 0, 0), FAILED);
	assert_true(store.len != 0);
	assert_good(RUN(b, 0x48, 0x1f, 0, 0, 0, 0, 0, 0, 0, 0));
	assert_good(RUN(b, 0, 0, 0, 0, 0, 0));
	assert_int_equal(store.len, 0);
	scsi_lu_set_store(b->lu, NULL, NULL);
}

/* A state that could not be kept is not that of a disk with all its data. */
static void not_kept(void **state)
{
	struct bench *b = *state;
	struct bench_store store = {.max = 64, .later = true};
	struct scsi_task task = {
		.cdb = {0x48, 0x02},
		.cdb_len = 16,
		.nexus = b->nexus[0],
		.done = bench_done,
		.private_data = b,
	};

	scsi_lu_set_store(b->lu, bench_keep, &store);
	b->done = 0;
	assert_true(scsi_task_prepare(&task));
	assert_false(scsi_task_execute(&task));
	assert_true(store.len != 0);
	scsi_stored(store.task, ENOSPC);
	assert_int_equal(b->done, 1);
	assert_int_equal(task.status, SCSI_CHECK_CONDITION);
	assert_int_equal(task.sense[2], SENSE_HARDWARE_ERROR);
	assert_int_equal(store.calls, 2);
	assert_null(store.task);
	assert_int_equal(store.len, 0);
	assert_good(RUN(b, 0, 0, 0, 0, 0, 0));
	scsi_lu_set_store(b->lu, NULL, NULL);
}

/* Without IMMED: the status waits, but an abort does not stop the work. */
static void waiting_command(void **state)
{
	struct bench *b = *state;
	struct bench_store store = {.max = 64, .later = true};
	struct scsi_task task = {0};
	struct vhd_req *req;
	unsigned abort;

	scsi_lu_set_store(b->lu, bench_keep, &store);
	b->background = true;
	for (abort = 0; abort < 2; abort++) {
		memset(&task, 0, sizeof(task));
		task.cdb[0] = 0x48;
		task.cdb[1] = 0x02;
		task.cdb_len = 16;
		task.nexus = b->nexus[0];
		task.done = bench_done;
		task.private_data = b;
		b->done = 0;
		b->disk.later = 1;
		assert_true(scsi_task_prepare(&task));
		assert_false(scsi_task_execute(&task));
		assert_null(b->bg); /* the store first */
		scsi_stored(store.task, 0);
		assert_non_null(b->bg);
		req = take_pending(b); /* the discard */
		assert_int_equal(b->done, 0);
		task.aborted = abort;
		b->disk.later = 1;
		req->error = 0;
		req->done(req);
		assert_int_equal(b->done, abort);
		req = take_pending(b); /* the flush */
		b->disk.later = 0;
		req->error = 0;
		req->done(req);
		assert_null(b->bg);
		assert_int_equal(b->done, 1);
		assert_null(store.task);
		if (!abort) {
			assert_int_equal(task.status, SCSI_GOOD);
		}
		assert_good(RUN(b, 0, 0, 0, 0, 0, 0));
	}
	scsi_lu_set_store(b->lu, NULL, NULL);
}

static void format_in_the_background(void **state)
{
	static const uint8_t header[4] = {0, 0x02};
	struct bench *b = *state;
	struct vhd_req *req;
	unsigned progress;

	b->background = true;
	b->disk.later = 1;
	memset(b->disk.data, 3, BENCH_SIZE);
	assert_good(RUN_OUT(b, header, 4, 0x04, 0x10, 0, 0, 0, 0));
	req = take_pending(b);
	b->disk.later = 0;
	assert_int_equal(request_sense(b, &progress), 0x20404);
	b->bg->aborted = true;
	req->error = bench_run(&b->disk, req);
	req->done(req);
	assert_int_equal(b->bg_done, 1);
	assert_true(filled(b, (const uint8_t[]){0}, 1));
	assert_good(RUN(b, 0, 0, 0, 0, 0, 0));
}

static void flush_in_the_background(void **state)
{
	struct bench *b = *state;
	struct vhd_req *req;

	b->background = true;
	b->disk.later = 1;
	assert_good(RUN(b, 0x35, 2, 0, 0, 0, 0, 0, 0, 0, 0));
	req = take_pending(b);
	b->disk.later = 0;
	assert_int_equal(req->op, VHD_FLUSH);
	assert_int_equal(b->bg_done, 0);
	/* its failure is told later */
	req->error = EIO;
	req->done(req);
	assert_int_equal(b->bg_done, 1);
	assert_sense(b, RUN(b, 0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0), 0x30c00);
	assert_good(RUN(b, 0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BENCH_TEST_BLOCKS(erasing),
		BENCH_TEST_BLOCKS(overwriting),
		BENCH_TEST(in_progress),
		BENCH_TEST(failure_mode),
		BENCH_TEST(not_kept),
		BENCH_TEST(waiting_command),
		BENCH_TEST(format_in_the_background),
		BENCH_TEST(flush_in_the_background),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
