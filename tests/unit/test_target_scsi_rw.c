/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * READ and WRITE of every size (SBC-3): ranges, lengths that do not fit, errors
 * of the disk, finishing at once and later.
 */
#include "target_scsi_blocks.h"

static const uint8_t reads[] = {0x08, 0x28, 0xa8, 0x88};
static const uint8_t writes[] = {0x0a, 0x2a, 0xaa, 0x8a};

static void write_and_read(void **state)
{
	struct bench *b = *state;
	const size_t block = b->block;
	uint8_t data[5 * BENCH_MAX_BLOCK];
	unsigned later, i;

	for (later = 0; later < 2; later++) {
		b->disk.later = later;
		for (i = 0; i < 4; i++) {
			fill(data, 5 * block, i + later * 16);
			assert_good(block_op(b, writes[i], 0, 100 + i, 5, data,
					     5 * block));
			assert_int_equal(b->task.transfer_len, 5 * block);
			assert_memory_equal(b->disk.data + (100 + i) * block,
					    data, 5 * block);
			assert_int_equal(b->disk.flags, 0);
			assert_good(
				block_op(b, reads[i], 0, 100 + i, 5, NULL, 0));
			assert_int_equal(b->task.data_in_len, 5 * block);
			assert_memory_equal(b->in, data, 5 * block);
		}
	}
}

static void six_byte_length_zero_is_256(void **state)
{
	struct bench *b = *state;
	const size_t block = b->block;

	assert_good(block_op(b, 0x08, 0, 0, 0, NULL, 0));
	assert_int_equal(b->task.data_in_len, 256 * block);
	/* and the other sizes' zero is nothing */
	assert_good(block_op(b, 0x28, 0, 0, 0, NULL, 0));
	assert_int_equal(b->task.data_in_len, 0);
	assert_int_equal(b->task.dir, SCSI_DIR_NONE);
}

static void ranges(void **state)
{
	static const uint8_t opcodes[] = {0x28, 0xa8, 0x88, 0x2a, 0xaa,
					  0x8a, 0x2f, 0xaf, 0x8f, 0x2e,
					  0xae, 0x8e, 0x34, 0x90, 0x35,
					  0x91, 0x41, 0x93, 0x8b};
	struct bench *b = *state;
	size_t i;

	for (i = 0; i < sizeof(opcodes); i++) {
		uint8_t op = opcodes[i];

		assert_sense(b, block_op(b, op, 0, BENCH_BLOCKS, 1, NULL, 0),
			     LBA_OUT_OF_RANGE);
		/* the LBA that is wrong */
		assert_int_equal(b->task.sense[0], 0xf0);
		assert_int_equal(get_be32(b->task.sense + 3), BENCH_BLOCKS);
		assert_sense(b,
			     block_op(b, op, 0, BENCH_BLOCKS - 1, 2, NULL, 0),
			     LBA_OUT_OF_RANGE);
		assert_sense(b, block_op(b, op, 0, 0xffffffff, 1, NULL, 0),
			     LBA_OUT_OF_RANGE);
		assert_sense(b,
			     block_op(b, op, 0, BENCH_BLOCKS + 1, 0, NULL, 0),
			     LBA_OUT_OF_RANGE);
		if (op >> 5 == 4) {
			assert_sense(b,
				     block_op(b, op, 0, UINT64_MAX, UINT32_MAX,
					      NULL, 0),
				     LBA_OUT_OF_RANGE);
			assert_sense(b,
				     block_op(b, op, 0, UINT64_MAX - 1, 2, NULL,
					      0),
				     LBA_OUT_OF_RANGE);
			assert_sense(b,
				     block_op(b, op, 0, 1ull << 63, 1, NULL, 0),
				     LBA_OUT_OF_RANGE);
		}
	}
}

static void lba_wider_than_fixed_sense(void **state)
{
	struct bench *b = *state;

	assert_sense(b, block_op(b, 0x88, 0, 1ull << 40, 1, NULL, 0),
		     LBA_OUT_OF_RANGE);
	assert_int_equal(b->task.sense[0], 0x70); /* VALID clear */
}

static void too_long(void **state)
{
	struct bench *b = *state;
	const size_t block = b->block;

	const uint32_t max = (8u << 20) / (uint32_t)block;

	b->disk.size = 1ull << 40;
	assert_sense(b, block_op(b, 0x88, 0, 0, max + 1, NULL, 0), INVALID_CDB);
	bench_field(b, true, 10, 7);
	assert_sense(b, block_op(b, 0xa8, 0, 0, max + 1, NULL, 0), INVALID_CDB);
	bench_field(b, true, 6, 7);
	assert_sense(b, block_op(b, 0x2a, 0, 0, 65535, NULL, 0), INVALID_CDB);
	bench_field(b, true, 7, 7);
	assert_sense(b,
		     block_op(b, 0x93, 0, 0,
			      (uint32_t)(65528 * 512 / block + 1), NULL, 0),
		     INVALID_CDB);
	bench_field(b, true, 10, 7);
	assert_sense(b, block_op(b, 0x93, 0, 0, 0, NULL, 0), INVALID_CDB);
	assert_sense(b, block_op(b, 0x8b, 0, 0, max + 1, NULL, 0), INVALID_CDB);
	bench_field(b, true, 10, 7);
	assert_sense(b, block_op(b, 0x8f, 2, 0, max + 1, NULL, 0), INVALID_CDB);
	/* all that the largest disk has, and one block more */
	b->disk.size = VHDX_MAX_SIZE;
	assert_good(block_op(b, 0x88, 0, VHDX_MAX_SIZE / block, 0, NULL, 0));
	assert_sense(b, block_op(b, 0x88, 0, VHDX_MAX_SIZE / block, 1, NULL, 0),
		     LBA_OUT_OF_RANGE);
	assert_sense(b,
		     block_op(b, 0x88, 0, UINT64_MAX / block + 1, 1, NULL, 0),
		     LBA_OUT_OF_RANGE);
	b->disk.size = BENCH_BLOCKS * (uint64_t)block;
}

static void protection_is_refused(void **state)
{
	static const uint8_t opcodes[] = {0x28, 0xa8, 0x88, 0x2a, 0xaa, 0x8a,
					  0x2f, 0xaf, 0x8f, 0x2e, 0xae, 0x8e,
					  0x41, 0x93, 0x89, 0x8b};
	struct bench *b = *state;
	unsigned i, protect;

	for (i = 0; i < sizeof(opcodes); i++) {
		for (protect = 1; protect < 8; protect++) {
			assert_sense(b,
				     block_op(b, opcodes[i],
					      (uint8_t)(protect << 5), 0, 1,
					      NULL, 0),
				     INVALID_CDB);
		}
	}
}

static void fua_and_write_cache(void **state)
{
	static const uint8_t no_cache[] = {0, 0, 0, 0, 0x08, 0x12, 0, 0,
					   0, 0, 0, 0, 0,    0,	   0, 0,
					   0, 0, 0, 0, 0,    0,	   0, 0};
	struct bench *b = *state;
	const size_t block = b->block;
	uint8_t data[BENCH_MAX_BLOCK] = {1};
	unsigned i;

	for (i = 1; i < 4; i++) {
		assert_good(block_op(b, writes[i], 0x10, 0, 1, data, block));
		assert_int_equal(b->disk.flags, 0);
		assert_good(block_op(b, writes[i], 0x08, 0, 1, data, block));
		assert_int_equal(b->disk.flags, VHD_FUA);
		/* a FUA read writes the cache out first */
		b->disk.later = i & 1;
		b->disk.count[VHD_FLUSH] = 0;
		assert_good(block_op(b, reads[i], 0x18, 0, 1, NULL, 0));
		assert_int_equal(b->disk.count[VHD_FLUSH], 1);
		assert_int_equal(b->in[0], 1);
	}
	/* WCE off: every write is on the medium, and so is what was cached */
	b->disk.count[VHD_FLUSH] = 0;
	assert_good(RUN_OUT(b, no_cache, sizeof(no_cache), 0x15, 0x10, 0, 0,
			    sizeof(no_cache), 0));
	assert_int_equal(b->disk.count[VHD_FLUSH], 1);
	assert_good(block_op(b, 0x2a, 0, 0, 1, data, block));
	assert_int_equal(b->disk.flags, VHD_FUA);
	assert_good(block_op(b, 0x0a, 0, 0, 1, data, block));
	assert_int_equal(b->disk.flags, VHD_FUA);
	assert_good(block_op(b, 0x41, 0, 0, 1, data, block));
	assert_int_equal(b->disk.flags, VHD_FUA);
}

/* ---- lengths that do not fit ---- */

static void write_of_less_than_announced(void **state)
{
	struct bench *b = *state;
	const size_t block = b->block;
	uint8_t data[2 * BENCH_MAX_BLOCK];

	memset(b->disk.data, 'a', 4 * block);
	memset(data, 'b', 2 * block);
	/* two blocks by the CDB, one from the initiator */
	assert_good(block_op(b, 0x2a, 0, 0, 2, data, block));
	assert_int_equal(b->task.transfer_len, 2 * block);
	assert_int_equal(b->disk.data[block - 1], 'b');
	assert_int_equal(b->disk.data[block], 'a');
	/* one by the CDB, two from the initiator */
	assert_good(block_op(b, 0x2a, 0, 2, 1, data, 2 * block));
	assert_int_equal(b->disk.data[2 * block], 'b');
	assert_int_equal(b->disk.data[3 * block], 'a');
	/* a part of a block is not written */
	assert_sense(b, block_op(b, 0x2a, 0, 1, 1, data, 200), INVALID_IU);
	assert_int_equal(b->disk.data[block], 'a');
	/* nothing at all */
	assert_good(block_op(b, 0x2a, 0, 0, 1, data, 0));
	assert_int_equal(b->task.transfer_len, block);
}

static void read_of_less_than_asked(void **state)
{
	struct bench *b = *state;
	const size_t block = b->block;
	unsigned later;

	memset(b->disk.data, 'x', 2 * block);
	for (later = 0; later < 2; later++) {
		b->disk.later = later;
		assert_good(bench_io(b, CDB(0x28, 0, 0, 0, 0, 0, 0, 0, 2, 0),
				     10, &(struct bench_io){.expect = block}));
		assert_int_equal(b->task.data_in_len, block);
		assert_int_equal(b->task.transfer_len, 2 * block);
		assert_good(bench_io(
			b, CDB(0x28, 0, 0, 0, 0, 0, 0, 0, 2, 0), 10,
			&(struct bench_io){.expect = 700, .split = 99}));
		assert_int_equal(b->task.data_in_len, 700);
		assert_int_equal(b->in[699], 'x');
	}
}

/* ---- the disk's errors ---- */

static void disk_errors(void **state)
{
	static const struct {
		int error;
		uint32_t read, write;
	} cases[] = {
		{EIO, 0x31100, 0x30c00},    {ENOSPC, 0x72707, 0x72707},
		{EDQUOT, 0x72707, 0x72707}, {EROFS, 0x72700, 0x72700},
		{EINVAL, 0x52100, 0x52100}, {ENODEV, 0x20412, 0x20412},
		{EBADF, 0x44400, 0x44400},
	};
	struct bench *b = *state;
	const size_t block = b->block;
	uint8_t data[BENCH_MAX_BLOCK] = {0};
	unsigned i, later;

	b->disk.fail_op = -1;
	for (later = 0; later < 2; later++) {
		b->disk.later = later;
		for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
			b->disk.fail = cases[i].error;
			assert_sense(b, block_op(b, 0x28, 0, 0, 1, NULL, 0),
				     cases[i].read);
			assert_int_equal(b->task.data_in_len, 0);
			assert_sense(b, block_op(b, 0x28, 8, 0, 1, NULL, 0),
				     cases[i].write); /* its flush */
			assert_sense(b, block_op(b, 0x2a, 0, 0, 1, data, block),
				     cases[i].write);
			assert_sense(b, block_op(b, 0x2e, 0, 0, 1, data, block),
				     cases[i].write);
			assert_sense(b, block_op(b, 0x2f, 0, 0, 1, NULL, 0),
				     cases[i].read);
			assert_sense(b, block_op(b, 0x41, 0, 0, 1, data, block),
				     cases[i].write);
			assert_sense(b, block_op(b, 0x35, 0, 0, 0, NULL, 0),
				     cases[i].write);
			assert_sense(b, block_op(b, 0x8b, 0, 0, 1, data, block),
				     cases[i].read);
		}
		b->disk.fail = ENOMEM;
		assert_int_equal(block_op(b, 0x28, 0, 0, 1, NULL, 0),
				 SCSI_BUSY);
		assert_int_equal(b->task.sense_len, 0);
	}
}

static unsigned log_lines;
static char log_last[512];

static void count_log(int level, const char *message)
{
	if (level <= 3) {
		log_lines++;
		snprintf(log_last, sizeof(log_last), "%s", message);
	}
}

/* Every refusal is logged once, with who asked what of which disk. */
static void refusals_are_logged_once(void **state)
{
	struct bench *b = *state;
	const size_t block = b->block;
	uint8_t data[BENCH_MAX_BLOCK] = {0};

	scsi_set_log(count_log);
	assert_sense(b, block_op(b, 0x28, 0, BENCH_BLOCKS, 1, NULL, 0),
		     LBA_OUT_OF_RANGE);
	assert_int_equal(log_lines, 1);
	assert_string_equal(log_last,
			    "disk 7: READ(10) from iqn.2026-01.example:one is "
			    "answered with sense 5/21/00, at 16384");
	assert_sense(b, RUN(b, 0xfe, 0, 0, 0, 0, 0), INVALID_OPCODE);
	assert_int_equal(log_lines, 2);
	assert_non_null(strstr(log_last, "opcode fe"));
	assert_sense(b, RUN(b, 0x12, 0, 1, 0, 36, 0), INVALID_CDB);
	assert_int_equal(log_lines, 3);
	assert_non_null(strstr(log_last, "CDB byte 2"));
	b->disk.fail = EIO;
	b->disk.fail_op = -1;
	assert_sense(b, block_op(b, 0x2a, 0, 0, 1, data, block), 0x30c00);
	assert_int_equal(log_lines, 4);
	b->disk.fail = 0;
	/* what goes well is not */
	assert_good(block_op(b, 0x2a, 0, 0, 1, data, block));
	scsi_lu_capacity_changed(b->lu);
	bench_clear_ua(b);
	assert_int_equal(log_lines, 4);
	scsi_set_log(NULL);
}

/* A command of many steps ends when its task is aborted. */
static void aborted_command(void **state)
{
	struct bench *b = *state;
	const size_t block = b->block;
	struct scsi_task *task = &b->task;
	uint8_t data[BENCH_MAX_BLOCK] = {1};
	struct iovec iov = {data, block};

	b->disk.later = 1;
	memset(task, 0, sizeof(*task));
	make_cdb(task->cdb, 0x41, 0, 0, 8000);
	task->cdb_len = 16;
	task->nexus = b->nexus[0];
	task->done = bench_done;
	task->private_data = b;
	task->edtl = (uint32_t)block;
	assert_true(scsi_task_prepare(task));
	task->iov = &iov;
	task->iovcnt = 1;
	task->data_len = (uint32_t)block;
	b->done = 0;
	assert_false(scsi_task_execute(task));
	task->aborted = true;
	bench_settle(&b->disk);
	assert_int_equal(b->done, 1);
	assert_int_equal(b->disk.count[VHD_WRITE], 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BENCH_TEST_BLOCKS(write_and_read),
		BENCH_TEST_BLOCKS(six_byte_length_zero_is_256),
		BENCH_TEST_BLOCKS(ranges),
		BENCH_TEST(lba_wider_than_fixed_sense),
		BENCH_TEST_BLOCKS(too_long),
		BENCH_TEST(protection_is_refused),
		BENCH_TEST_BLOCKS(fua_and_write_cache),
		BENCH_TEST_BLOCKS(write_of_less_than_announced),
		BENCH_TEST_BLOCKS(read_of_less_than_asked),
		BENCH_TEST_BLOCKS(disk_errors),
		BENCH_TEST(refusals_are_logged_once),
		BENCH_TEST_BLOCKS(aborted_command),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
