/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Commands that move blocks (SBC-3): every size of READ and WRITE, VERIFY,
 * WRITE AND VERIFY, WRITE SAME, UNMAP, COMPARE AND WRITE, ORWRITE; ranges,
 * lengths that do not fit, errors of the disk, finishing at once and later.
 */
#include "target_scsi_bench.h"

/* A CDB of a kind: 6, 10, 12 or 16 bytes. */
static size_t make_cdb(uint8_t cdb[16], uint8_t opcode, uint8_t flags,
		       uint64_t lba, uint32_t blocks)
{
	memset(cdb, 0, 16);
	cdb[0] = opcode;
	cdb[1] = flags;
	switch (opcode >> 5) {
	case 0:
		put_be24(cdb + 1, (uint32_t)lba);
		cdb[4] = (uint8_t)blocks;
		return 6;
	case 1:
	case 2:
		put_be32(cdb + 2, (uint32_t)lba);
		put_be16(cdb + 7, (uint16_t)blocks);
		return 10;
	case 5:
		put_be32(cdb + 2, (uint32_t)lba);
		put_be32(cdb + 6, blocks);
		return 12;
	default:
		put_be64(cdb + 2, lba);
		put_be32(cdb + 10, blocks);
		return 16;
	}
}

static uint8_t block_op(struct bench *b, uint8_t opcode, uint8_t flags,
			uint64_t lba, uint32_t blocks, const void *out,
			size_t out_len)
{
	uint8_t cdb[16];
	size_t len = make_cdb(cdb, opcode, flags, lba, blocks);

	return bench_io(b, cdb, len,
			&(struct bench_io){
				.out = out,
				.out_len = out_len,
				.split = out_len > 1024 ? 700 : 0,
			});
}

static void fill(uint8_t *p, size_t len, unsigned seed)
{
	size_t i;

	for (i = 0; i < len; i++) {
		p[i] = (uint8_t)(seed + i * 7 + i / 512);
	}
}

static const uint8_t reads[] = {0x08, 0x28, 0xa8, 0x88};
static const uint8_t writes[] = {0x0a, 0x2a, 0xaa, 0x8a};

static void write_and_read(void **state)
{
	struct bench *b = *state;
	uint8_t data[5 * 512];
	unsigned later, i;

	for (later = 0; later < 2; later++) {
		b->disk.later = later;
		for (i = 0; i < 4; i++) {
			fill(data, sizeof(data), i + later * 16);
			assert_good(block_op(b, writes[i], 0, 100 + i, 5, data,
					     sizeof(data)));
			assert_int_equal(b->task.transfer_len, sizeof(data));
			assert_memory_equal(b->disk.data + (100 + i) * 512,
					    data, sizeof(data));
			assert_int_equal(b->disk.flags, 0);
			assert_good(
				block_op(b, reads[i], 0, 100 + i, 5, NULL, 0));
			assert_int_equal(b->task.data_in_len, sizeof(data));
			assert_memory_equal(b->in, data, sizeof(data));
		}
	}
}

static void six_byte_length_zero_is_256(void **state)
{
	struct bench *b = *state;

	assert_good(block_op(b, 0x08, 0, 0, 0, NULL, 0));
	assert_int_equal(b->task.data_in_len, 256 * 512);
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

	b->disk.size = 1ull << 40;
	assert_sense(b, block_op(b, 0x88, 0, 0, 16385, NULL, 0), INVALID_CDB);
	bench_field(b, true, 10, 7);
	assert_sense(b, block_op(b, 0xa8, 0, 0, 16385, NULL, 0), INVALID_CDB);
	bench_field(b, true, 6, 7);
	assert_sense(b, block_op(b, 0x2a, 0, 0, 65535, NULL, 0), INVALID_CDB);
	bench_field(b, true, 7, 7);
	assert_sense(b, block_op(b, 0x93, 0, 0, 65529, NULL, 0), INVALID_CDB);
	bench_field(b, true, 10, 7);
	assert_sense(b, block_op(b, 0x93, 0, 0, 0, NULL, 0), INVALID_CDB);
	b->disk.size = BENCH_SIZE;
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
	uint8_t data[512] = {1};
	unsigned i;

	for (i = 1; i < 4; i++) {
		assert_good(block_op(b, writes[i], 0x10, 0, 1, data, 512));
		assert_int_equal(b->disk.flags, 0);
		assert_good(block_op(b, writes[i], 0x08, 0, 1, data, 512));
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
	assert_good(block_op(b, 0x2a, 0, 0, 1, data, 512));
	assert_int_equal(b->disk.flags, VHD_FUA);
	assert_good(block_op(b, 0x0a, 0, 0, 1, data, 512));
	assert_int_equal(b->disk.flags, VHD_FUA);
	assert_good(block_op(b, 0x41, 0, 0, 1, data, 512));
	assert_int_equal(b->disk.flags, VHD_FUA);
}

/* ---- lengths that do not fit ------------------------------------------ */

static void write_of_less_than_announced(void **state)
{
	struct bench *b = *state;
	uint8_t data[1024];

	memset(b->disk.data, 'a', 2048);
	memset(data, 'b', sizeof(data));
	/* two blocks by the CDB, one from the initiator */
	assert_good(block_op(b, 0x2a, 0, 0, 2, data, 512));
	assert_int_equal(b->task.transfer_len, 1024);
	assert_int_equal(b->disk.data[511], 'b');
	assert_int_equal(b->disk.data[512], 'a');
	/* one by the CDB, two from the initiator */
	assert_good(block_op(b, 0x2a, 0, 2, 1, data, 1024));
	assert_int_equal(b->disk.data[2 * 512], 'b');
	assert_int_equal(b->disk.data[3 * 512], 'a');
	/* a part of a block is not written */
	assert_sense(b, block_op(b, 0x2a, 0, 1, 1, data, 200), INVALID_IU);
	assert_int_equal(b->disk.data[512], 'a');
	/* nothing at all */
	assert_good(block_op(b, 0x2a, 0, 0, 1, data, 0));
	assert_int_equal(b->task.transfer_len, 512);
}

static void read_of_less_than_asked(void **state)
{
	struct bench *b = *state;
	unsigned later;

	memset(b->disk.data, 'x', 1024);
	for (later = 0; later < 2; later++) {
		b->disk.later = later;
		assert_good(bench_io(b, CDB(0x28, 0, 0, 0, 0, 0, 0, 0, 2, 0),
				     10, &(struct bench_io){.expect = 512}));
		assert_int_equal(b->task.data_in_len, 512);
		assert_int_equal(b->task.transfer_len, 1024);
		assert_good(bench_io(
			b, CDB(0x28, 0, 0, 0, 0, 0, 0, 0, 2, 0), 10,
			&(struct bench_io){.expect = 700, .split = 99}));
		assert_int_equal(b->task.data_in_len, 700);
		assert_int_equal(b->in[699], 'x');
	}
}

/* ---- the disk's errors -------------------------------------------------- */

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
	uint8_t data[512] = {0};
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
			assert_sense(b, block_op(b, 0x2a, 0, 0, 1, data, 512),
				     cases[i].write);
			assert_sense(b, block_op(b, 0x2e, 0, 0, 1, data, 512),
				     cases[i].write);
			assert_sense(b, block_op(b, 0x2f, 0, 0, 1, NULL, 0),
				     cases[i].read);
			assert_sense(b, block_op(b, 0x41, 0, 0, 1, data, 512),
				     cases[i].write);
			assert_sense(b, block_op(b, 0x35, 0, 0, 0, NULL, 0),
				     cases[i].write);
			assert_sense(b, block_op(b, 0x8b, 0, 0, 1, data, 512),
				     cases[i].read);
		}
		b->disk.fail = ENOMEM;
		assert_int_equal(block_op(b, 0x28, 0, 0, 1, NULL, 0),
				 SCSI_BUSY);
		assert_int_equal(b->task.sense_len, 0);
	}
}

/* ---- VERIFY and WRITE AND VERIFY ----------------------------------------- */

static void verify(void **state)
{
	static const uint8_t opcodes[] = {0x2f, 0xaf, 0x8f};
	struct bench *b = *state;
	size_t len = 600 * 512; /* more than a chunk */
	uint8_t *data = malloc(len);
	unsigned i;

	fill(data, len, 3);
	memcpy(b->disk.data + 512, data, len);
	for (i = 0; i < 3; i++) {
		b->disk.later = i & 1;
		/* the medium only: no data goes out */
		assert_good(block_op(b, opcodes[i], 0, 1, 600, NULL, 0));
		assert_int_equal(b->task.dir, SCSI_DIR_NONE);
		/* with data that is the same */
		assert_good(block_op(b, opcodes[i], 0x02, 1, 600, data, len));
		assert_int_equal(b->task.transfer_len, len);
		/* and with one byte that is not, in the second chunk */
		data[599 * 512 + 33] ^= 1;
		assert_sense(b,
			     block_op(b, opcodes[i], 0x02, 1, 600, data, len),
			     0xe1d00);
		assert_int_equal(get_be32(b->task.sense + 3), 599 * 512 + 33);
		data[599 * 512 + 33] ^= 1;
		/* too little of it */
		assert_sense(b, block_op(b, opcodes[i], 0x02, 1, 2, data, 512),
			     INVALID_IU);
		/* one block against all */
		memset(b->disk.data + 3 * 512, 'v', 5 * 512);
		assert_good(block_op(b, opcodes[i], 0x06, 3, 5,
				     b->disk.data + 3 * 512, 512));
		assert_sense(b,
			     block_op(b, opcodes[i], 0x06, 3, 6,
				      b->disk.data + 3 * 512, 512),
			     0xe1d00);
		assert_int_equal(get_be32(b->task.sense + 3), 5 * 512);
		assert_sense(b, block_op(b, opcodes[i], 0x04, 3, 1, NULL, 0),
			     INVALID_CDB);
		assert_good(block_op(b, opcodes[i], 0x02, 3, 0, NULL, 0));
		memcpy(b->disk.data + 512, data, len);
	}
	free(data);
}

static void write_and_verify(void **state)
{
	static const uint8_t opcodes[] = {0x2e, 0xae, 0x8e};
	struct bench *b = *state;
	size_t len = 600 * 512;
	uint8_t *data = malloc(len);
	unsigned i;

	for (i = 0; i < 3; i++) {
		b->disk.later = i & 1;
		fill(data, len, 50 + i);
		b->disk.count[VHD_READ] = 0;
		assert_good(block_op(b, opcodes[i], 0x02, 9, 600, data, len));
		assert_memory_equal(b->disk.data + 9 * 512, data, len);
		assert_true(b->disk.count[VHD_READ] > 0);
		assert_good(block_op(b, opcodes[i], 0, 9, 600, data, len));
		assert_sense(b, block_op(b, opcodes[i], 0x06, 9, 1, data, 512),
			     INVALID_CDB);
		assert_sense(b, block_op(b, opcodes[i], 0x02, 9, 1, data, 99),
			     INVALID_IU);
		/* of two blocks, one is sent: that one is written */
		memset(b->disk.data + 9 * 512, 0, 1024);
		assert_good(block_op(b, opcodes[i], 0x02, 9, 2, data, 512));
		assert_memory_equal(b->disk.data + 9 * 512, data, 512);
		assert_int_equal(b->disk.data[10 * 512 + 1], 0);
	}
	free(data);
}

/* ---- WRITE SAME --------------------------------------------------------- */

static void write_same(void **state)
{
	struct bench *b = *state;
	uint8_t pattern[512], zero[512] = {0};
	unsigned later, i;

	fill(pattern, sizeof(pattern), 77);
	for (later = 0; later < 2; later++) {
		b->disk.later = later;
		memset(b->disk.data, 'z', 1000 * 512);
		assert_good(block_op(b, 0x41, 0, 1, 500, pattern, 512));
		assert_int_equal(b->disk.data[0], 'z');
		for (i = 1; i < 501; i++) {
			assert_memory_equal(b->disk.data + i * 512, pattern,
					    512);
		}
		assert_int_equal(b->disk.data[501 * 512], 'z');

		/* zeroes, unmapped or not, and without a data-out buffer */
		b->disk.count[VHD_ZERO] = b->disk.count[VHD_DISCARD] = 0;
		assert_good(block_op(b, 0x93, 0, 1, 10, zero, 512));
		assert_int_equal(b->disk.count[VHD_ZERO], 1);
		assert_good(block_op(b, 0x93, 0x08, 20, 10, zero, 512));
		assert_int_equal(b->disk.count[VHD_DISCARD], 1);
		assert_good(block_op(b, 0x93, 0x09, 40, 10, NULL, 0));
		assert_int_equal(b->disk.count[VHD_DISCARD], 2);
		assert_good(block_op(b, 0x93, 0x01, 60, 10, NULL, 0));
		assert_int_equal(b->disk.count[VHD_ZERO], 2);
		assert_int_equal(b->disk.data[65 * 512], 0);
		/* UNMAP with other data writes that data */
		assert_good(block_op(b, 0x93, 0x08, 70, 2, pattern, 512));
		assert_memory_equal(b->disk.data + 71 * 512, pattern, 512);
	}
}

static void write_same_refusals(void **state)
{
	struct bench *b = *state;
	uint8_t data[1024] = {0};

	assert_sense(b, block_op(b, 0x41, 0, 0, 1, data, 256), INVALID_CDB);
	assert_sense(b, block_op(b, 0x41, 0, 0, 1, data, 1024), INVALID_CDB);
	assert_sense(b, block_op(b, 0x93, 0x01, 0, 1, data, 512), INVALID_CDB);
	/* 0 blocks, to the end: WSNZ */
	assert_sense(b, block_op(b, 0x41, 0, 0, 0, data, 512), INVALID_CDB);
	bench_field(b, true, 7, 7);
	assert_sense(b, block_op(b, 0x93, 0, 0, 0, data, 512), INVALID_CDB);
	bench_field(b, true, 10, 7);
	/* ANCHOR: VPD page B2h does not offer it */
	assert_sense(b, block_op(b, 0x93, 0x18, 0, 1, data, 512), INVALID_CDB);
	bench_field(b, true, 1, 4);
	assert_sense(b, block_op(b, 0x41, 0x18, 0, 1, data, 512), INVALID_CDB);
	/* NDOB is not WRITE SAME(10)'s */
	assert_sense(b, block_op(b, 0x41, 0x01, 0, 1, NULL, 0), INVALID_CDB);
}

/* ---- UNMAP --------------------------------------------------------------- */

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
	uint8_t list[256];
	unsigned later;

	for (later = 0; later < 2; later++) {
		b->disk.later = later;
		b->disk.count[VHD_DISCARD] = 0;
		memset(b->disk.data, 'u', 32 * 512);
		assert_good(unmap(b, list, unmap_list(list, 5, ranges)));
		assert_int_equal(b->disk.count[VHD_DISCARD], 3);
		assert_int_equal(b->disk.data[0], 0);
		assert_int_equal(b->disk.data[512], 'u');
		assert_int_equal(b->disk.data[24 * 512], 0);
		assert_int_equal(b->disk.data[25 * 512], 'u');
	}
	assert_good(unmap(b, list, unmap_list(list, 0, NULL)));
	assert_good(unmap(b, list, 0));
}

static void unmap_refusals(void **state)
{
	static const uint64_t past[][2] = {{0, 1}, {BENCH_BLOCKS, 1}};
	static const uint64_t wrap[][2] = {{UINT64_MAX, 2}};
	static const uint64_t much[][2] = {{0, 1048576}, {0, 1}};
	struct bench *b = *state;
	uint8_t list[8 + 257 * 16] = {0};
	size_t len;

	memset(b->disk.data, 'u', 512);
	assert_sense(b, unmap(b, list, unmap_list(list, 2, past)),
		     LBA_OUT_OF_RANGE);
	assert_int_equal(b->disk.data[0], 'u'); /* none of it was done */
	assert_sense(b, unmap(b, list, unmap_list(list, 1, wrap)),
		     LBA_OUT_OF_RANGE);
	b->disk.size = 1ull << 40;
	assert_sense(b, unmap(b, list, unmap_list(list, 2, much)),
		     INVALID_PARAMETER);
	bench_field(b, false, 8 + 16 + 8, 7);
	b->disk.size = BENCH_SIZE;
	/* truncated: the header, a descriptor */
	assert_sense(b, unmap(b, list, 7), PARAMETER_LENGTH);
	len = unmap_list(list, 2, past);
	assert_sense(b, unmap(b, list, len - 1), PARAMETER_LENGTH);
	put_be16(list + 2, 0xffff);
	assert_sense(b, unmap(b, list, len), PARAMETER_LENGTH);
	/* too many */
	memset(list, 0, sizeof(list));
	put_be16(list + 2, 257 * 16);
	assert_sense(b, unmap(b, list, sizeof(list)), INVALID_PARAMETER);
	/* ANCHOR */
	assert_sense(b, RUN(b, 0x42, 1, 0, 0, 0, 0, 0, 0, 8, 0), INVALID_CDB);
}

/* ---- COMPARE AND WRITE, ORWRITE -------------------------------------------
 */

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
	size_t half = 255 * 512;
	uint8_t *data = malloc(2 * half);
	unsigned later;

	for (later = 0; later < 2; later++) {
		b->disk.later = later;
		fill(data, half, 1 + later);
		fill(data + half, half, 9 + later);
		memcpy(b->disk.data + 512, data, half);
		assert_good(compare_and_write(b, 0, 1, 255, data, 2 * half));
		assert_memory_equal(b->disk.data + 512, data + half, half);
		/* now the comparison fails, and where it does is told */
		memcpy(data, data + half, half);
		data[1000] ^= 0x80;
		assert_sense(b, compare_and_write(b, 0, 1, 255, data, 2 * half),
			     0xe1d00);
		assert_int_equal(b->task.sense[0], 0xf0);
		assert_int_equal(get_be32(b->task.sense + 3), 1000);
		assert_memory_equal(b->disk.data + 512, data + half, half);
		data[1000] ^= 0x80;
		assert_good(compare_and_write(b, 8, 1, 255, data, 2 * half));
		assert_int_equal(b->disk.flags, VHD_FUA);
	}
	assert_good(compare_and_write(b, 0, 1, 0, NULL, 0));
	/* a buffer of another size */
	assert_sense(b, compare_and_write(b, 0, 1, 1, data, 2048), INVALID_CDB);
	assert_sense(b, compare_and_write(b, 0, 1, 3, data, 2048), INVALID_CDB);
	assert_sense(b, compare_and_write(b, 0, BENCH_BLOCKS, 1, data, 1024),
		     LBA_OUT_OF_RANGE);
	free(data);
}

static void orwrite(void **state)
{
	struct bench *b = *state;
	size_t len = 600 * 512, i;
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

/* ---- everything without blocks ----------------------------------------------
 */

static void capacity(void **state)
{
	struct bench *b = *state;

	assert_good(RUN(b, 0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0));
	assert_int_equal(b->task.data_in_len, 8);
	assert_int_equal(get_be32(b->in), BENCH_BLOCKS - 1);
	assert_int_equal(get_be32(b->in + 4), 512);
	assert_good(
		RUN(b, 0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 0, 0));
	assert_int_equal(b->task.data_in_len, 32);
	assert_int_equal(get_be64(b->in), BENCH_BLOCKS - 1);
	assert_int_equal(b->in[14], 0xc0);
	assert_good(
		RUN(b, 0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0));
	assert_int_equal(b->task.data_in_len, 9);

	b->disk.size = 1ull << 42;
	scsi_lu_capacity_changed(b->lu);
	assert_sense(b, RUN(b, 0, 0, 0, 0, 0, 0), 0x62a09);
	assert_good(RUN(b, 0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0));
	assert_int_equal(get_be32(b->in), 0xffffffff);
	b->disk.size = BENCH_SIZE;
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
	struct scsi_task *task = &b->task;
	uint8_t header[8] = {0};
	struct scsi_task other;

	memset(b->disk.data, 'f', BENCH_SIZE);
	assert_good(RUN(b, 0x04, 0, 0, 0, 0, 0));
	assert_int_equal(b->disk.data[0], 0);
	assert_int_equal(b->disk.data[BENCH_SIZE - 1], 0);
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

static void lba_status(void **state)
{
	struct bench *b = *state;
	uint8_t cdb[16] = {0x9e, 0x12};

	put_be64(cdb + 2, 100);
	put_be32(cdb + 10, 24);
	assert_good(bench_cdb(b, cdb, 16));
	assert_int_equal(b->task.data_in_len, 24);
	assert_int_equal(get_be32(b->in), 20);
	assert_int_equal(get_be64(b->in + 8), 100);
	assert_int_equal(get_be32(b->in + 16), BENCH_BLOCKS - 100);
	assert_int_equal(b->in[20], 0); /* mapped */
	b->disk.hole = 200 * 512;
	assert_good(bench_cdb(b, cdb, 16));
	assert_int_equal(get_be32(b->in + 16), 100);
	assert_int_equal(b->in[20], 0);
	put_be64(cdb + 2, 200);
	assert_good(bench_cdb(b, cdb, 16));
	assert_int_equal(get_be64(b->in + 8), 200);
	assert_int_equal(get_be32(b->in + 16), BENCH_BLOCKS - 200);
	assert_int_equal(b->in[20], 1); /* deallocated */
	put_be64(cdb + 2, BENCH_BLOCKS);
	assert_sense(b, bench_cdb(b, cdb, 16), LBA_OUT_OF_RANGE);
	put_be64(cdb + 2, UINT64_MAX);
	assert_sense(b, bench_cdb(b, cdb, 16), LBA_OUT_OF_RANGE);
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
	uint8_t data[512] = {0};

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
	assert_sense(b, block_op(b, 0x2a, 0, 0, 1, data, 512), 0x30c00);
	assert_int_equal(log_lines, 4);
	b->disk.fail = 0;
	/* what goes well is not */
	assert_good(block_op(b, 0x2a, 0, 0, 1, data, 512));
	scsi_lu_capacity_changed(b->lu);
	bench_clear_ua(b);
	assert_int_equal(log_lines, 4);
	scsi_set_log(NULL);
}

/* A command of many steps ends when its task is aborted. */
static void aborted_command(void **state)
{
	struct bench *b = *state;
	struct scsi_task *task = &b->task;
	uint8_t data[512] = {1};
	struct iovec iov = {data, 512};

	b->disk.later = 1;
	memset(task, 0, sizeof(*task));
	make_cdb(task->cdb, 0x41, 0, 0, 16000);
	task->cdb_len = 16;
	task->nexus = b->nexus[0];
	task->done = bench_done;
	task->private_data = b;
	task->edtl = 512;
	assert_true(scsi_task_prepare(task));
	task->iov = &iov;
	task->iovcnt = 1;
	task->data_len = 512;
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
		BENCH_TEST(write_and_read),
		BENCH_TEST(six_byte_length_zero_is_256),
		BENCH_TEST(ranges),
		BENCH_TEST(lba_wider_than_fixed_sense),
		BENCH_TEST(too_long),
		BENCH_TEST(protection_is_refused),
		BENCH_TEST(fua_and_write_cache),
		BENCH_TEST(write_of_less_than_announced),
		BENCH_TEST(read_of_less_than_asked),
		BENCH_TEST(disk_errors),
		BENCH_TEST(verify),
		BENCH_TEST(write_and_verify),
		BENCH_TEST(write_same),
		BENCH_TEST(write_same_refusals),
		BENCH_TEST(unmap_ranges),
		BENCH_TEST(unmap_refusals),
		BENCH_TEST(compare_and_writes),
		BENCH_TEST(orwrite),
		BENCH_TEST(capacity),
		BENCH_TEST(synchronize_cache),
		BENCH_TEST(prefetch),
		BENCH_TEST(start_and_stop),
		BENCH_TEST(format),
		BENCH_TEST(defects),
		BENCH_TEST(lba_status),
		BENCH_TEST(refusals_are_logged_once),
		BENCH_TEST(aborted_command),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
