/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Block commands (SBC-3) that move no blocks: capacity, cache, start and stop,
 * FORMAT UNIT, defects.
 */
#include "target_scsi_blocks.h"

static void capacity(void **state)
{
	struct bench *b = *state;
	const size_t block = b->block;

	assert_good(RUN(b, 0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0));
	assert_int_equal(b->task.data_in_len, 8);
	assert_int_equal(get_be32(b->in), BENCH_BLOCKS - 1);
	assert_int_equal(get_be32(b->in + 4), block);
	assert_good(
		RUN(b, 0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 0, 0));
	assert_int_equal(b->task.data_in_len, 32);
	assert_int_equal(get_be64(b->in), BENCH_BLOCKS - 1);
	assert_int_equal(get_be32(b->in + 8), block);
	assert_int_equal(b->in[13], 0); /* as long physically */
	assert_int_equal(b->in[14], 0xc0);
	assert_good(
		RUN(b, 0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0));
	assert_int_equal(b->task.data_in_len, 9);

	b->disk.size = 1ull << 45;
	scsi_lu_capacity_changed(b->lu);
	assert_sense(b, RUN(b, 0, 0, 0, 0, 0, 0), 0x62a09);
	assert_good(RUN(b, 0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0));
	assert_int_equal(get_be32(b->in), 0xffffffff);
	/* and what needs the long form: more blocks than 32 bits count */
	assert_good(
		RUN(b, 0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 0, 0));
	assert_int_equal(get_be64(b->in), (1ull << 45) / block - 1);
	b->disk.size = BENCH_BLOCKS * (uint64_t)block;
}

static void synchronize_cache(void **state)
{
	struct bench *b = *state;

	b->disk.later = 1;
	assert_good(block_op(b, 0x35, 0, 0, 0, NULL, 0));
	assert_good(block_op(b, 0x91, 0x02, BENCH_BLOCKS - 1, 1, NULL, 0));
	assert_int_equal(b->disk.count[VHD_FLUSH], 2);
}

static void prefetch(void **state)
{
	struct bench *b = *state;

	b->disk.later = 1;
	assert_good(block_op(b, 0x34, 0, 0, 1, NULL, 0));
	assert_good(block_op(b, 0x34, 0x02, 0, 0, NULL, 0));
	assert_good(block_op(b, 0x90, 0, 0, BENCH_BLOCKS, NULL, 0));
	assert_int_equal(b->disk.count[VHD_READ], 3);
}

/* IMMED: the status does not wait, and nobody hears of what fails then. */
static void prefetch_in_the_background(void **state)
{
	struct bench *b = *state;
	struct vhd_req *req;

	b->background = true;
	b->disk.later = 1;
	assert_good(block_op(b, 0x34, 0x02, 0, 1, NULL, 0));
	req = b->disk.pending;
	assert_non_null(req);
	b->disk.pending = NULL;
	b->disk.later = 0;
	assert_int_equal(req->op, VHD_READ);
	assert_int_equal(b->bg_done, 0);
	req->error = EIO;
	req->done(req);
	assert_int_equal(b->bg_done, 1);
	assert_good(block_op(b, 0x34, 0x02, 0, 1, NULL, 0));
	assert_int_equal(b->bg_done, 2);
	assert_int_equal(b->disk.count[VHD_READ], 1);
	/* what makes no sense is told at once */
	assert_sense(b, block_op(b, 0x34, 0x02, BENCH_BLOCKS, 1, NULL, 0),
		     LBA_OUT_OF_RANGE);
}

static void start_and_stop(void **state)
{
	struct bench *b = *state;

	assert_good(RUN(b, 0x1b, 0, 0, 0, 0, 0));
	assert_int_equal(b->disk.count[VHD_FLUSH], 1);
	assert_sense(b, RUN(b, 0, 0, 0, 0, 0, 0), 0x20402);
	assert_sense(b, RUN_AS(b, 1, 0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0), 0x20402);
	assert_good(RUN(b, 0x1b, 0, 0, 0, 1, 0));
	assert_good(RUN(b, 0, 0, 0, 0, 0, 0));
	/* NO_FLUSH */
	assert_good(RUN(b, 0x1b, 0, 0, 0, 4, 0));
	assert_int_equal(b->disk.count[VHD_FLUSH], 1);
	/* a reset starts it again */
	scsi_lu_reset(b->lu, NULL);
	bench_clear_ua(b);
	assert_good(RUN(b, 0, 0, 0, 0, 0, 0));
	assert_sense(b, RUN(b, 0x1b, 0, 0, 0, 2, 0), INVALID_CDB);
	assert_sense(b, RUN(b, 0x1b, 0, 0, 0, 0x10, 0), INVALID_CDB);
}

static void format(void **state)
{
	struct bench *b = *state;
	const size_t block = b->block;
	struct scsi_task *task = &b->task;
	uint8_t header[8] = {0};
	struct scsi_task other;

	memset(b->disk.data, 'f', BENCH_BLOCKS * (uint64_t)block);
	assert_good(RUN(b, 0x04, 0, 0, 0, 0, 0));
	assert_int_equal(b->disk.data[0], 0);
	assert_int_equal(b->disk.data[BENCH_BLOCKS * (uint64_t)block - 1], 0);
	/* with a header, short and long */
	b->disk.data[0] = 'f';
	assert_good(RUN_OUT(b, header, 4, 0x04, 0x10, 0, 0, 0, 0));
	assert_int_equal(b->disk.data[0], 0);
	assert_good(RUN_OUT(b, header, 8, 0x04, 0x30, 0, 0, 0, 0));
	assert_sense(b, RUN_OUT(b, header, 3, 0x04, 0x10, 0, 0, 0, 0),
		     PARAMETER_LENGTH);
	/* a list of defects, protection, an initialization pattern */
	header[3] = 1;
	b->disk.data[0] = 'f';
	assert_sense(b, RUN_OUT(b, header, 4, 0x04, 0x10, 0, 0, 0, 0),
		     INVALID_PARAMETER);
	header[3] = 0;
	header[7] = 1;
	assert_sense(b, RUN_OUT(b, header, 8, 0x04, 0x30, 0, 0, 0, 0),
		     INVALID_PARAMETER);
	header[1] = 0x08;
	assert_sense(b, RUN_OUT(b, header, 4, 0x04, 0x10, 0, 0, 0, 0),
		     INVALID_PARAMETER);
	header[0] = 1;
	assert_sense(b, RUN_OUT(b, header, 4, 0x04, 0x10, 0, 0, 0, 0),
		     INVALID_PARAMETER);
	assert_sense(b, RUN(b, 0x04, 0x08, 0, 0, 0, 0), INVALID_CDB);
	assert_sense(b, RUN(b, 0x04, 0x80, 0, 0, 0, 0), INVALID_CDB);
	assert_int_equal(b->disk.data[0], 'f');

	/* while it is under way, others are told so */
	b->disk.later = 1;
	memset(task, 0, sizeof(*task));
	task->cdb[0] = 0x04;
	task->cdb_len = 16;
	task->nexus = b->nexus[0];
	task->done = bench_done;
	task->private_data = b;
	assert_true(scsi_task_prepare(task));
	b->done = 0;
	assert_false(scsi_task_execute(task));
	memset(&other, 0, sizeof(other));
	other.cdb_len = 16;
	other.nexus = b->nexus[1];
	assert_false(scsi_task_prepare(&other));
	assert_int_equal(other.status, SCSI_CHECK_CONDITION);
	assert_int_equal(get_be16(other.sense + 12), 0x0404);
	bench_settle(&b->disk);
	assert_int_equal(b->done, 1);
	assert_good(RUN(b, 0, 0, 0, 0, 0, 0));
	/* also when it fails */
	b->disk.fail = EIO;
	b->disk.fail_op = VHD_DISCARD;
	assert_sense(b, RUN(b, 0x04, 0, 0, 0, 0, 0), 0x30c00);
	assert_good(RUN(b, 0, 0, 0, 0, 0, 0));
}

static void defects(void **state)
{
	struct bench *b = *state;

	assert_good(RUN(b, 0x37, 0, 0x1d, 0, 0, 0, 0, 0, 255, 0));
	assert_int_equal(b->task.data_in_len, 4);
	assert_int_equal(get_be32(b->in), 0x001d0000);
	assert_good(RUN(b, 0xb7, 0x1d, 0, 0, 0, 0, 0, 0, 0, 255, 0, 0));
	assert_int_equal(b->task.data_in_len, 8);
	assert_int_equal(b->in[1], 0x1d);
	assert_int_equal(get_be32(b->in + 4), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BENCH_TEST_BLOCKS(capacity),
		BENCH_TEST(synchronize_cache),
		BENCH_TEST_BLOCKS(prefetch),
		BENCH_TEST(prefetch_in_the_background),
		BENCH_TEST(start_and_stop),
		BENCH_TEST_BLOCKS(format),
		BENCH_TEST(defects),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
