/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Commands that compare, repeat and unmap blocks (SBC-3): VERIFY, WRITE AND
 * VERIFY, WRITE SAME, UNMAP, GET LBA STATUS, COMPARE AND WRITE, ORWRITE.
 */
#include "target_scsi_blocks.h"

/* ---- VERIFY and WRITE AND VERIFY ---- */

static void verify(void **state)
{
	static const uint8_t opcodes[] = {0x2f, 0xaf, 0x8f};
	struct bench *b = *state;
	const size_t block = b->block;
	size_t len = 600 * block; /* more than a chunk */
	uint8_t *data = malloc(len);
	unsigned i;

	fill(data, len, 3);
	memcpy(b->disk.data + block, data, len);
	for (i = 0; i < 3; i++) {
		b->disk.later = i & 1;
		/* the medium only: no data goes out */
		assert_good(block_op(b, opcodes[i], 0, 1, 600, NULL, 0));
		assert_int_equal(b->task.dir, SCSI_DIR_NONE);
		/* with data that is the same */
		assert_good(block_op(b, opcodes[i], 0x02, 1, 600, data, len));
		assert_int_equal(b->task.transfer_len, len);
		/* and with one byte that is not, in the second chunk */
		data[599 * block + 33] ^= 1;
		assert_sense(b,
			     block_op(b, opcodes[i], 0x02, 1, 600, data, len),
			     0xe1d00);
		assert_int_equal(get_be32(b->task.sense + 3), 599 * block + 33);
		data[599 * block + 33] ^= 1;
		/* too little of it */
		assert_sense(b,
			     block_op(b, opcodes[i], 0x02, 1, 2, data, block),
			     INVALID_IU);
		/* one block against all */
		memset(b->disk.data + 3 * block, 'v', 5 * block);
		assert_good(block_op(b, opcodes[i], 0x06, 3, 5,
				     b->disk.data + 3 * block, block));
		assert_sense(b,
			     block_op(b, opcodes[i], 0x06, 3, 6,
				      b->disk.data + 3 * block, block),
			     0xe1d00);
		assert_int_equal(get_be32(b->task.sense + 3), 5 * block);
		assert_sense(b, block_op(b, opcodes[i], 0x04, 3, 1, NULL, 0),
			     INVALID_CDB);
		assert_good(block_op(b, opcodes[i], 0x02, 3, 0, NULL, 0));
		memcpy(b->disk.data + block, data, len);
	}
	free(data);
}

static void write_and_verify(void **state)
{
	static const uint8_t opcodes[] = {0x2e, 0xae, 0x8e};
	struct bench *b = *state;
	const size_t block = b->block;
	size_t len = 600 * block;
	uint8_t *data = malloc(len);
	unsigned i;

	for (i = 0; i < 3; i++) {
		b->disk.later = i & 1;
		fill(data, len, 50 + i);
		b->disk.count[VHD_READ] = 0;
		assert_good(block_op(b, opcodes[i], 0x02, 9, 600, data, len));
		assert_memory_equal(b->disk.data + 9 * block, data, len);
		assert_true(b->disk.count[VHD_READ] > 0);
		assert_good(block_op(b, opcodes[i], 0, 9, 600, data, len));
		assert_sense(b,
			     block_op(b, opcodes[i], 0x06, 9, 1, data, block),
			     INVALID_CDB);
		assert_sense(b, block_op(b, opcodes[i], 0x02, 9, 1, data, 99),
			     INVALID_IU);
		/* of two blocks, one is sent: that one is written */
		memset(b->disk.data + 9 * block, 0, 2 * block);
		assert_good(block_op(b, opcodes[i], 0x02, 9, 2, data, block));
		assert_memory_equal(b->disk.data + 9 * block, data, block);
		assert_int_equal(b->disk.data[10 * block + 1], 0);
	}
	free(data);
}

/* ---- WRITE SAME ---- */

static void write_same(void **state)
{
	struct bench *b = *state;
	const size_t block = b->block;
	uint8_t pattern[BENCH_MAX_BLOCK], zero[BENCH_MAX_BLOCK] = {0};
	unsigned later, i;

	fill(pattern, sizeof(pattern), 77);
	for (later = 0; later < 2; later++) {
		b->disk.later = later;
		memset(b->disk.data, 'z', 1000 * block);
		assert_good(block_op(b, 0x41, 0, 1, 500, pattern, block));
		assert_int_equal(b->disk.data[0], 'z');
		for (i = 1; i < 501; i++) {
			assert_memory_equal(b->disk.data + i * block, pattern,
					    block);
		}
		assert_int_equal(b->disk.data[501 * block], 'z');

		/* zeroes, unmapped or not, and without a data-out buffer */
		b->disk.count[VHD_ZERO] = b->disk.count[VHD_DISCARD] = 0;
		assert_good(block_op(b, 0x93, 0, 1, 10, zero, block));
		assert_int_equal(b->disk.count[VHD_ZERO], 1);
		assert_good(block_op(b, 0x93, 0x08, 20, 10, zero, block));
		assert_int_equal(b->disk.count[VHD_DISCARD], 1);
		assert_good(block_op(b, 0x93, 0x09, 40, 10, NULL, 0));
		assert_int_equal(b->disk.count[VHD_DISCARD], 2);
		assert_good(block_op(b, 0x93, 0x01, 60, 10, NULL, 0));
		assert_int_equal(b->disk.count[VHD_ZERO], 2);
		assert_int_equal(b->disk.data[65 * block], 0);
		/* UNMAP with other data writes that data */
		assert_good(block_op(b, 0x93, 0x08, 70, 2, pattern, block));
		assert_memory_equal(b->disk.data + 71 * block, pattern, block);
	}
}

static void write_same_refusals(void **state)
{
	struct bench *b = *state;
	const size_t block = b->block;
	uint8_t data[2 * BENCH_MAX_BLOCK] = {0};

	assert_sense(b, block_op(b, 0x41, 0, 0, 1, data, block / 2),
		     INVALID_CDB);
	assert_sense(b, block_op(b, 0x41, 0, 0, 1, data, 2 * block),
		     INVALID_CDB);
	assert_sense(b, block_op(b, 0x93, 0x01, 0, 1, data, block),
		     INVALID_CDB);
	/* 0 blocks, to the end: WSNZ */
	assert_sense(b, block_op(b, 0x41, 0, 0, 0, data, block), INVALID_CDB);
	bench_field(b, true, 7, 7);
	assert_sense(b, block_op(b, 0x93, 0, 0, 0, data, block), INVALID_CDB);
	bench_field(b, true, 10, 7);
	/* ANCHOR: VPD page B2h does not offer it */
	assert_sense(b, block_op(b, 0x93, 0x18, 0, 1, data, block),
		     INVALID_CDB);
	bench_field(b, true, 1, 4);
	assert_sense(b, block_op(b, 0x41, 0x18, 0, 1, data, block),
		     INVALID_CDB);
	/* NDOB is not WRITE SAME(10)'s */
	assert_sense(b, block_op(b, 0x41, 0x01, 0, 1, NULL, 0), INVALID_CDB);
}

/* ---- UNMAP ---- */

static size_t unmap_list(uint8_t *p, unsigned count, const uint64_t (*range)[2])
{
	unsigned i;

	memset(p, 0, 8 + 16 * count);
	put_be16(p, (uint16_t)(6 + 16 * count));
	put_be16(p + 2, (uint16_t)(16 * count));
	for (i = 0; i < count; i++) {
		put_be64(p + 8 + 16 * i, range[i][0]);
		put_be32(p + 16 + 16 * i, (uint32_t)range[i][1]);
	}
	return 8 + 16 * count;
}

static uint8_t unmap(struct bench *b, const uint8_t *list, size_t len)
{
	uint8_t cdb[10] = {0x42};

	put_be16(cdb + 7, (uint16_t)len);
	return bench_io(
		b, cdb, 10,
		&(struct bench_io){.out = list, .out_len = len, .split = 7});
}

static void unmap_ranges(void **state)
{
	static const uint64_t ranges[][2] = {
		{0, 1}, {10, 0}, {20, 5}, {BENCH_BLOCKS, 0}, {20, 5}};
	struct bench *b = *state;
	const size_t block = b->block;
	uint8_t list[256];
	unsigned later;

	for (later = 0; later < 2; later++) {
		b->disk.later = later;
		b->disk.count[VHD_DISCARD] = 0;
		memset(b->disk.data, 'u', 32 * block);
		assert_good(unmap(b, list, unmap_list(list, 5, ranges)));
		assert_int_equal(b->disk.count[VHD_DISCARD], 3);
		assert_int_equal(b->disk.data[0], 0);
		assert_int_equal(b->disk.data[block], 'u');
		assert_int_equal(b->disk.data[24 * block], 0);
		assert_int_equal(b->disk.data[25 * block], 'u');
	}
	assert_good(unmap(b, list, unmap_list(list, 0, NULL)));
	assert_good(unmap(b, list, 0));
}

static void unmap_refusals(void **state)
{
	static const uint64_t past[][2] = {{0, 1}, {BENCH_BLOCKS, 1}};
	static const uint64_t wrap[][2] = {{UINT64_MAX, 2}};
	static const uint64_t across[][2] = {{BENCH_BLOCKS - 1, 3}};
	struct bench *b = *state;
	const size_t block = b->block;
	const uint64_t much[][2] = {{0, (512u << 20) / block}, {0, 1}};
	uint8_t list[8 + 257 * 16] = {0};
	size_t len;

	memset(b->disk.data, 'u', block);
	assert_sense(b, unmap(b, list, unmap_list(list, 2, past)),
		     LBA_OUT_OF_RANGE);
	assert_int_equal(b->disk.data[0], 'u'); /* none of it was done */
	assert_sense(b, unmap(b, list, unmap_list(list, 1, wrap)),
		     LBA_OUT_OF_RANGE);
	/* It tells the first that is not there. */
	assert_sense(b, unmap(b, list, unmap_list(list, 1, across)),
		     LBA_OUT_OF_RANGE);
	assert_int_equal(b->task.sense[0], 0xf0);
	assert_int_equal(get_be32(b->task.sense + 3), BENCH_BLOCKS);
	b->disk.size = 1ull << 40;
	assert_sense(b, unmap(b, list, unmap_list(list, 2, much)),
		     INVALID_PARAMETER);
	bench_field(b, false, 8 + 16 + 8, 7);
	b->disk.size = BENCH_BLOCKS * (uint64_t)block;
	/* truncated: the header; a descriptor, which is ignored */
	assert_sense(b, unmap(b, list, 7), PARAMETER_LENGTH);
	len = unmap_list(list, 2, past);
	b->disk.count[VHD_DISCARD] = 0;
	assert_good(unmap(b, list, len - 1));
	assert_int_equal(b->disk.count[VHD_DISCARD], 1);
	assert_int_equal(b->disk.data[0], 0);
	b->disk.data[0] = 'u';
	put_be16(list + 2, 0xffff);
	assert_good(unmap(b, list, len - 1));
	assert_int_equal(b->disk.data[0], 0);
	assert_sense(b, unmap(b, list, len), LBA_OUT_OF_RANGE);
	assert_good(unmap(b, list, 8 + 15));
	assert_int_equal(b->disk.count[VHD_DISCARD], 2);
	/* too many */
	memset(list, 0, sizeof(list));
	put_be16(list + 2, 257 * 16);
	assert_sense(b, unmap(b, list, sizeof(list)), INVALID_PARAMETER);
	/* ANCHOR */
	assert_sense(b, RUN(b, 0x42, 1, 0, 0, 0, 0, 0, 0, 8, 0), INVALID_CDB);
}

/* ---- COMPARE AND WRITE, ORWRITE ---- */

static uint8_t compare_and_write(struct bench *b, uint8_t flags, uint64_t lba,
				 uint8_t blocks, const void *data, size_t len)
{
	uint8_t cdb[16] = {0x89, flags};

	put_be64(cdb + 2, lba);
	cdb[13] = blocks;
	return bench_io(
		b, cdb, 16,
		&(struct bench_io){.out = data, .out_len = len, .split = 300});
}

static void compare_and_writes(void **state)
{
	struct bench *b = *state;
	const size_t block = b->block;
	/* as many as the engine compares at once, or a byte counts */
	uint8_t most = block == 512 ? 255 : VHD_CAW_MAX / BENCH_MAX_BLOCK;
	size_t half = most * block;
	uint8_t *data = malloc(2 * half);
	unsigned later;

	for (later = 0; later < 2; later++) {
		b->disk.later = later;
		fill(data, half, 1 + later);
		fill(data + half, half, 9 + later);
		memcpy(b->disk.data + block, data, half);
		assert_good(compare_and_write(b, 0, 1, most, data, 2 * half));
		assert_memory_equal(b->disk.data + block, data + half, half);
		/* now the comparison fails, and where it does is told */
		memcpy(data, data + half, half);
		data[1000] ^= 0x80;
		assert_sense(b,
			     compare_and_write(b, 0, 1, most, data, 2 * half),
			     0xe1d00);
		assert_int_equal(b->task.sense[0], 0xf0);
		assert_int_equal(get_be32(b->task.sense + 3), 1000);
		assert_memory_equal(b->disk.data + block, data + half, half);
		data[1000] ^= 0x80;
		assert_good(compare_and_write(b, 8, 1, most, data, 2 * half));
		assert_int_equal(b->disk.flags, VHD_FUA);
	}
	assert_good(compare_and_write(b, 0, 1, 0, NULL, 0));
	/* a buffer of another size */
	assert_sense(b, compare_and_write(b, 0, 1, 1, data, 4 * block),
		     INVALID_CDB);
	assert_sense(b, compare_and_write(b, 0, 1, 3, data, 4 * block),
		     INVALID_CDB);
	assert_sense(b,
		     compare_and_write(b, 0, BENCH_BLOCKS, 1, data, 2 * block),
		     LBA_OUT_OF_RANGE);
	if (most < 255) {
		assert_sense(b,
			     compare_and_write(b, 0, 1, most + 1, data,
					       2 * half + 2 * block),
			     INVALID_CDB);
		bench_field(b, true, 13, 7);
	}
	free(data);
}

static void orwrite(void **state)
{
	struct bench *b = *state;
	const size_t block = b->block;
	size_t len = 600 * block, i;
	uint8_t *data = malloc(len), *before = malloc(len);
	unsigned later;

	for (later = 0; later < 2; later++) {
		b->disk.later = later;
		fill(data, len, 5 + later);
		fill(before, len, 21 + later);
		memcpy(b->disk.data, before, len);
		assert_good(block_op(b, 0x8b, 0, 0, 600, data, len));
		for (i = 0; i < len; i++) {
			if (b->disk.data[i] != (data[i] | before[i])) {
				fail_msg("byte %zu", i);
			}
		}
	}
	assert_sense(b, block_op(b, 0x8b, 0, 0, 1, data, 100), INVALID_IU);
	assert_good(block_op(b, 0x8b, 0, 0, 0, NULL, 0));
	free(data);
	free(before);
}

/* ---- GET LBA STATUS ---- */

static void lba_status(void **state)
{
	struct bench *b = *state;
	const size_t block = b->block;
	uint8_t cdb[16] = {0x9e, 0x12};

	put_be64(cdb + 2, 100);
	put_be32(cdb + 10, 24);
	assert_good(bench_cdb(b, cdb, 16));
	assert_int_equal(b->task.data_in_len, 24);
	assert_int_equal(get_be32(b->in), 20);
	assert_int_equal(get_be64(b->in + 8), 100);
	assert_int_equal(get_be32(b->in + 16), BENCH_BLOCKS - 100);
	assert_int_equal(b->in[20], 0); /* mapped */
	b->disk.hole = 200 * block;
	assert_good(bench_cdb(b, cdb, 16));
	assert_int_equal(get_be32(b->in + 16), 100);
	assert_int_equal(b->in[20], 0);
	put_be64(cdb + 2, 200);
	assert_good(bench_cdb(b, cdb, 16));
	assert_int_equal(get_be64(b->in + 8), 200);
	assert_int_equal(get_be32(b->in + 16), BENCH_BLOCKS - 200);
	assert_int_equal(b->in[20], 1); /* deallocated */
	b->disk.later = 1;
	memset(b->in, 0, 24);
	assert_good(bench_cdb(b, cdb, 16));
	assert_int_equal(get_be64(b->in + 8), 200);
	assert_int_equal(get_be32(b->in + 16), BENCH_BLOCKS - 200);
	assert_int_equal(b->in[20], 1);
	b->disk.later = 0;
	put_be64(cdb + 2, BENCH_BLOCKS);
	assert_sense(b, bench_cdb(b, cdb, 16), LBA_OUT_OF_RANGE);
	put_be64(cdb + 2, UINT64_MAX);
	assert_sense(b, bench_cdb(b, cdb, 16), LBA_OUT_OF_RANGE);
	/* more than a descriptor can tell: whole granules of 4096 bytes */
	b->disk.size = 40ull << 40;
	put_be64(cdb + 2, 800);
	assert_good(bench_cdb(b, cdb, 16));
	assert_int_equal(get_be64(b->in + 8), 800);
	assert_int_equal(get_be32(b->in + 16),
			 block == 512 ? 0xfffffff8 : 0xffffffff);
	b->disk.size = BENCH_BLOCKS * block;
}

/* ---- WRITE ATOMIC ---- */

static uint8_t write_atomic(struct bench *b, uint8_t flags, uint64_t lba,
			    uint16_t boundary, uint16_t blocks,
			    const void *data, size_t len)
{
	uint8_t cdb[16] = {0x9c, flags};

	put_be64(cdb + 2, lba);
	put_be16(cdb + 10, boundary);
	put_be16(cdb + 12, blocks);
	return bench_io(
		b, cdb, 16,
		&(struct bench_io){.out = data, .out_len = len, .split = 3000});
}

static void atomic_writes(void **state)
{
	struct bench *b = *state;
	const size_t block = b->block;
	const uint16_t most = (uint16_t)(VHD_ATOMIC_MAX / block);
	uint8_t *data = malloc(VHD_ATOMIC_MAX);
	unsigned later;

	for (later = 0; later < 2; later++) {
		b->disk.later = later;
		b->disk.count[VHD_WRITE_ATOMIC] = 0;
		fill(data, most * block, 3 + later);
		assert_good(write_atomic(b, 0, 1, 0, most, data, most * block));
		assert_memory_equal(b->disk.data + block, data, most * block);
		/* one operation, with an atomic boundary or without */
		assert_good(write_atomic(b, 0x18, 0, 2, 8, data, 8 * block));
		assert_good(write_atomic(b, 0, 0, most, 1, data, block));
		assert_int_equal(b->disk.count[VHD_WRITE_ATOMIC], 3);
	}
	b->disk.count[VHD_WRITE_ATOMIC] = 0;
	assert_good(write_atomic(b, 0, 1, 0, 0, NULL, 0));
	assert_sense(b, write_atomic(b, 0, 1, 0, most + 1, NULL, 0),
		     INVALID_CDB);
	bench_field(b, true, 12, 7);
	assert_sense(b, write_atomic(b, 0, 1, 1, most + 1, NULL, 0),
		     INVALID_CDB);
	bench_field(b, true, 12, 7);
	assert_sense(b, write_atomic(b, 0, 1, most + 1, 1, NULL, 0),
		     INVALID_CDB);
	bench_field(b, true, 10, 7);
	assert_sense(b, write_atomic(b, 0, BENCH_BLOCKS, 0, 1, NULL, 0),
		     LBA_OUT_OF_RANGE);
	assert_sense(b, write_atomic(b, 0, UINT64_MAX, 0, 2, NULL, 0),
		     LBA_OUT_OF_RANGE);
	assert_sense(b, write_atomic(b, 0, BENCH_BLOCKS - 1, 0, 2, NULL, 0),
		     LBA_OUT_OF_RANGE);
	/* WRPROTECT; data for more or fewer blocks */
	assert_sense(b, write_atomic(b, 0x20, 0, 0, 1, NULL, 0), INVALID_CDB);
	assert_sense(b, write_atomic(b, 0, 0, 0, 2, data, block), INVALID_CDB);
	assert_sense(b, write_atomic(b, 0, 0, 0, 1, data, 2 * block),
		     INVALID_CDB);
	assert_int_equal(b->disk.count[VHD_WRITE_ATOMIC], 0);
	/* the disk's errors */
	b->disk.fail = ENOSPC;
	b->disk.fail_op = VHD_WRITE_ATOMIC;
	assert_sense(b, write_atomic(b, 0, 0, 0, 1, data, block), 0x72707);
	b->disk.fail = EIO;
	assert_sense(b, write_atomic(b, 0, 0, 0, 1, data, block), 0x30c00);
	b->disk.fail = EROFS;
	assert_sense(b, write_atomic(b, 0, 0, 0, 1, data, block), 0x72700);
	b->disk.fail = 0;
	/* what page B0h says */
	assert_good(RUN(b, 0x12, 1, 0xb0, 0, 255, 0));
	assert_int_equal(get_be32(b->in + 44), most);
	assert_int_equal(get_be32(b->in + 48), 0);
	assert_int_equal(get_be32(b->in + 52), 0);
	assert_int_equal(get_be32(b->in + 56), most);
	assert_int_equal(get_be32(b->in + 60), most);
	assert_true(most <= get_be32(b->in + 8));
	free(data);
}

#define INVALID_OPCODE	     0x52000
#define INQUIRY_DATA_CHANGED 0x63f03

/* REPORT SUPPORTED OPERATION CODES: WRITE ATOMIC(16), asked for and in the list
 * of all. */
static void assert_opcode(struct bench *b, bool there)
{
	uint32_t at, len;
	bool listed = false;

	assert_good(RUN(b, 0xa3, 0x0c, 1, 0x9c, 0, 0, 0, 0, 1, 0, 0, 0));
	assert_int_equal(b->in[1] & 7, there ? 3 : 1);
	assert_good(RUN(b, 0xa3, 0x0c, 3, 0x9c, 0, 0, 0, 0, 1, 0, 0, 0));
	assert_int_equal(b->in[1] & 7, there ? 3 : 1);
	assert_good(RUN(b, 0xa3, 0x0c, 0, 0, 0, 0, 0, 0, 0x40, 0, 0, 0));
	len = 4 + get_be32(b->in);
	assert_int_equal(b->task.data_in_len, len);
	for (at = 4; at < len; at += 8) {
		listed |= b->in[at] == 0x9c;
	}
	assert_int_equal(listed, there);
}

static void assert_no_atomic(struct bench *b)
{
	const uint8_t data[BENCH_MAX_BLOCK] = {1};
	unsigned i;

	assert_good(RUN(b, 0x12, 1, 0xb0, 0, 255, 0));
	for (i = 44; i < 64; i += 4) {
		assert_int_equal(get_be32(b->in + i), 0);
	}
	assert_opcode(b, false);
	b->disk.count[VHD_WRITE_ATOMIC] = 0;
	assert_sense(b, write_atomic(b, 0, 0, 0, 1, data, b->block),
		     INVALID_OPCODE);
	/* Whatever else is in the CDB. */
	assert_sense(b, write_atomic(b, 0xe0, 0, 0, 0, NULL, 0),
		     INVALID_OPCODE);
	assert_int_equal(b->disk.count[VHD_WRITE_ATOMIC], 0);
}

/* A volume that cannot keep the promise: nothing is promised. */
static void no_atomic_writes(void **state)
{
	struct bench *b = *state;
	struct scsi_lu_config config = {.enabled = true, .disk = &b->disk};
	struct scsi_lun_map *map = calloc(1, sizeof(*map) + 64);

	assert_opcode(b, true);
	b->disk.not_atomic = true;
	map->count = 1;
	map->entry[0].lu = scsi_lu_create(&config);
	assert_non_null(map->entry[0].lu);
	scsi_nexus_set_map(b->nexus[0], map);
	while (RUN(b, 0x00, 0, 0, 0, 0, 0) != SCSI_GOOD) {
	}
	assert_no_atomic(b);
	scsi_lu_reset(map->entry[0].lu, NULL);
	while (RUN(b, 0x00, 0, 0, 0, 0, 0) != SCSI_GOOD) {
	}
	assert_no_atomic(b);
	scsi_nexus_set_map(b->nexus[0], b->map);
	scsi_lu_free(map->entry[0].lu);
	free(map);
}

/* It cannot any more: all initiators are told, once. */
static void atomic_writes_lost(void **state)
{
	struct bench *b = *state;
	const uint8_t data[BENCH_MAX_BLOCK] = {1};
	const uint8_t ready[16] = {0};
	unsigned nexus;

	b->disk.fail = EOPNOTSUPP;
	b->disk.fail_op = VHD_WRITE_ATOMIC;
	assert_sense(b, write_atomic(b, 0, 0, 0, 1, data, b->block),
		     INVALID_OPCODE);
	b->disk.fail = 0;
	for (nexus = 0; nexus < BENCH_NEXUSES; nexus++) {
		struct bench_io io = {.nexus = nexus};

		assert_sense(b, bench_io(b, ready, 16, &io),
			     INQUIRY_DATA_CHANGED);
		assert_good(bench_io(b, ready, 16, &io));
	}
	assert_no_atomic(b);
	assert_good(RUN(b, 0x00, 0, 0, 0, 0, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BENCH_TEST_BLOCKS(verify),
		BENCH_TEST_BLOCKS(write_and_verify),
		BENCH_TEST_BLOCKS(write_same),
		BENCH_TEST_BLOCKS(write_same_refusals),
		BENCH_TEST_BLOCKS(unmap_ranges),
		BENCH_TEST_BLOCKS(unmap_refusals),
		BENCH_TEST_BLOCKS(compare_and_writes),
		BENCH_TEST_BLOCKS(orwrite),
		BENCH_TEST_BLOCKS(atomic_writes),
		BENCH_TEST_BLOCKS(no_atomic_writes),
		BENCH_TEST_BLOCKS(atomic_writes_lost),
		BENCH_TEST_BLOCKS(lba_status),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
