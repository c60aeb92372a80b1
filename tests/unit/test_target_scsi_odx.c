/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Tokens (SBC-3 5.7, 5.46; SPC-4 5.17.6, 6.26) and EXTENDED COPY(LID4) with
 * what can be asked about it (SPC-4 6.3, 6.4, 6.24).
 */
#include "target_scsi_copies.h"

#include <poll.h>

#define TOKEN_UNKNOWN 0x52304
#define TOKEN_CORRUPT 0x52305
#define TOKEN_REVOKED 0x52306
#define TOKEN_EXPIRED 0x52307
#define TOKEN_DELETED 0x52309

#define IN_FOREGROUND 0x11
#define IN_BACKGROUND 0x12

static void pattern(uint8_t *p, size_t len, unsigned seed)
{
	size_t i;

	for (i = 0; i < len; i++) {
		p[i] = (uint8_t)(i * 31 + i / 512 * 7 + seed);
	}
}

static void make_token(struct bench *b, uint64_t lba, uint32_t blocks)
{
	assert_good(POPULATE(b, 1, {lba, blocks}));
	assert_true(information(b, 1));
}

static const uint8_t *block(const struct bench *b, uint64_t lba)
{
	return b->disk.data + lba * b->block;
}

/* ---- tokens ---- */

static void offloaded_copies(void **state)
{
	struct bench *b = *state;
	unsigned i;

	for (i = 0; i < 4; i++) {
		b->disk.later = i & 1;
		b->disk.copies = i & 2;
		memset(b->disk.data, 0, b->disk.size);
		pattern(b->disk.data, 4000 * b->block, i);
		assert_good(POPULATE(b, 7, {0, 1000}, {2000, 500}, {1500, 3}));
		assert_true(information(b, 7));
		assert_int_equal(b->in[4], 0x10);
		assert_int_equal(b->in[5], 1);
		assert_int_equal(b->in[15], 0xf1);
		assert_int_equal(get_be64(b->in + 16), 1503);
		assert_int_equal(get_be16(b->in + 24), 0); /* no segments */
		assert_int_equal(get_be32(token), 0x00800001);
		assert_int_equal(get_be16(token + 6), 0x1f8);
		assert_int_equal(get_be64(token + 56), 1503 * b->block);
		/* by another initiator, in other pieces */
		assert_good(write_using(
			b, 1, 9, 0, 0,
			(const struct range[]){{8000, 10}, {9000, 1493}}, 2));
		assert_memory_equal(block(b, 8000), block(b, 0), 10 * b->block);
		assert_memory_equal(block(b, 9000), block(b, 10),
				    990 * b->block);
		assert_memory_equal(block(b, 9990), block(b, 2000),
				    500 * b->block);
		assert_memory_equal(block(b, 10490), block(b, 1500),
				    3 * b->block);
		assert_int_equal(block(b, 10493)[0], 0);
		assert_null(b->task.copy_lu[0]);
		/* its own list identifiers */
		assert_sense(b,
			     RUN(b, 0x84, 7, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 4, 0,
				 0, 0),
			     INVALID_CDB);
		/* from within; more than there is */
		assert_good(WRITE(b, 8, 0, 1501, {12000, 5}));
		assert_memory_equal(block(b, 12000), block(b, 1501),
				    2 * b->block);
		assert_int_equal(block(b, 12002)[5], 0);
		assert_false(information(b, 8));
		assert_int_equal(b->in[4], 0x11);
		assert_int_equal(b->in[5], 3);
		assert_int_equal(get_be64(b->in + 16), 2);
		if (b->disk.copies) {
			assert_int_equal(b->disk.count[VHD_READ], 0);
		} else {
			b->disk.count[VHD_READ] = 0;
		}
	}
}

/* A token that stands for zeroes needs nobody to make it. */
static void zero_token(void **state)
{
	struct bench *b = *state;

	memset(b->disk.data, 0xee, b->disk.size);
	memset(token, 0, sizeof(token));
	put_be32(token, 0xffff0001);
	put_be16(token + 6, 0x1f8);
	assert_good(WRITE(b, 3, 0, 12345678, {10, 20}, {100, 1}));
	assert_int_equal(block(b, 9)[b->block - 1], 0xee);
	assert_int_equal(block(b, 10)[0], 0);
	assert_int_equal(block(b, 29)[b->block - 1], 0);
	assert_int_equal(block(b, 30)[0], 0xee);
	assert_int_equal(block(b, 100)[0], 0);
	assert_int_equal(b->disk.count[VHD_WRITE], 0);
	assert_false(information(b, 3));
	assert_int_equal(get_be64(b->in + 16), 21);
}

/* Whatever changes a block of it revokes a token; nothing else does. */
static void revoked_by_writes(void **state)
{
	static const uint8_t data[BENCH_MAX_BLOCK] = {1},
			     two[2 * BENCH_MAX_BLOCK] = {0};
	static const uint8_t unmap[24] = {0, 22, 0, 16, 0, 0,	0, 0, 0, 0,
					  0, 0,	 0, 0,	0, 105, 0, 0, 0, 1};
	struct bench *b = *state;
	unsigned i;

	for (i = 0; i < 6; i++) {
		memset(b->disk.data, 0, b->disk.size);
		make_token(b, 100, 10);
		assert_good(RUN_OUT(b, data, b->block, 0x2a, 0, 0, 0, 0, 99, 0,
				    0, 1, 0));
		assert_good(RUN_OUT(b, data, b->block, 0x2a, 0, 0, 0, 0, 110, 0,
				    0, 1, 0));
		assert_good(RUN(b, 0x28, 0, 0, 0, 0, 100, 0, 0, 1, 0));
		assert_good(RUN(b, 0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0));
		/* GET LBA STATUS */
		assert_good(RUN(b, 0x9e, 0x12, 0, 0, 0, 0, 0, 0, 0, 100, 0, 0,
				0, 24, 0, 0));
		assert_good(WRITE(b, 2, 0, 0, {500, 10}));
		switch (i) {
		case 0:
			assert_good(RUN_OUT(b, data, b->block, 0x2a, 0, 0, 0, 0,
					    109, 0, 0, 1, 0));
			break;
		case 1:
			assert_good(RUN_OUT(b, unmap, 24, 0x42, 0, 0, 0, 0, 0,
					    0, 0, 24, 0));
			break;
		case 2:
			assert_good(RUN_OUT(b, data, b->block, 0x41, 0, 0, 0, 0,
					    90, 0, 0, 11, 0));
			break;
		case 3:
			assert_good(RUN_OUT(b, two, 2 * b->block, 0x89, 0, 0, 0,
					    0, 0, 0, 0, 0, 104, 0, 0, 0, 1, 0,
					    0));
			break;
		case 4: /* itself */
			assert_sense(b, WRITE(b, 2, 0, 0, {95, 10}), 0xa2306);
			assert_false(information(b, 2));
			assert_int_equal(b->in[5], 2);
			assert_int_equal(b->in[12], 2);
			assert_int_equal(b->in[14], 18);
			assert_int_equal(b->in[32 + 2], 0xa);
			break;
		default:
			scsi_lu_set_enabled(b->lu, false);
			scsi_lu_set_enabled(b->lu, true);
			bench_clear_ua(b);
			break;
		}
		assert_sense(b, WRITE(b, 2, 0, 0, {500, 10}), TOKEN_REVOKED);
	}
	/* a write while the copy runs */
	make_token(b, 100, 10);
	b->disk.later = 1;
	{
		uint8_t list[4096] = {0};
		uint8_t cdb[16] = {0x83, 0x11};
		struct scsi_task task;
		struct iovec iov;
		size_t len;

		memcpy(list + 16, token, 512);
		len = put_ranges(list, 536, (const struct range[]){{500, 10}},
				 1);
		put_be32(cdb + 10, (uint32_t)len);
		memset(&task, 0, sizeof(task));
		memcpy(task.cdb, cdb, 16);
		task.cdb_len = 16;
		task.nexus = b->nexus[0];
		task.done = bench_done;
		task.private_data = b;
		task.edtl = (uint32_t)len;
		assert_true(scsi_task_prepare(&task));
		iov = (struct iovec){list, len};
		task.iov = &iov;
		task.iovcnt = 1;
		task.data_len = (uint32_t)len;
		b->done = 0;
		assert_false(scsi_task_execute(&task));
		assert_ptr_equal(task.copy_lu[0], b->lu);
		{
			struct vhd_req *first = b->disk.pending;

			b->disk.pending = NULL;
			b->disk.later = 0;
			assert_good(RUN_OUT(b, data, b->block, 0x2a, 0, 0, 0, 0,
					    101, 0, 0, 1, 0));
			b->done = 0;
			first->error = 0;
			first->done(first);
		}
		assert_int_equal(b->done, 1);
		assert_int_equal(task.status, SCSI_CHECK_CONDITION);
		assert_int_equal(get_be16(task.sense + 12), 0x2306);
	}
}

static void token_refusals(void **state)
{
	struct bench *b = *state;
	uint8_t list[2048] = {0}, good[512];
	size_t len, i;

	make_token(b, 0, 100);
	memcpy(good, token, 512);
	/* every byte counts */
	for (i = 0; i < 512; i += 7) {
		token[i] ^= 0x10;
		assert_int_equal(WRITE(b, 1, 0, 0, {500, 1}),
				 SCSI_CHECK_CONDITION);
		assert_int_equal(bench_sense(b) >> 8, 0x523);
		token[i] ^= 0x10;
	}
	token[500] ^= 1;
	assert_sense(b, WRITE(b, 1, 0, 0, {500, 1}), TOKEN_CORRUPT);
	token[500] ^= 1;
	token[3] ^= 2; /* a type that there is, but not here */
	assert_sense(b, WRITE(b, 1, 0, 0, {500, 1}), 0x52301);
	token[3] ^= 2;
	token[9] ^= 1;
	assert_sense(b, WRITE(b, 1, 0, 0, {500, 1}), TOKEN_UNKNOWN);
	memcpy(token, good, 512);
	/* where it may lead */
	assert_sense(b, WRITE(b, 1, 0, 100, {500, 1}), INVALID_PARAMETER);
	assert_sense(b, WRITE(b, 1, 0, UINT64_MAX, {500, 1}),
		     INVALID_PARAMETER);
	assert_sense(b, WRITE(b, 1, 0, 0, {BENCH_BLOCKS - 1, 2}),
		     LBA_OUT_OF_RANGE);
	assert_sense(b, WRITE(b, 1, 0, 0, {UINT64_MAX, 1}), LBA_OUT_OF_RANGE);
	assert_sense(b, WRITE(b, 1, 0, 0, {500, 5}, {504, 1}),
		     INVALID_PARAMETER);
	/* DEL_TKN */
	assert_good(WRITE(b, 1, 2, 0, {500, 1}));
	assert_sense(b, WRITE(b, 1, 0, 0, {500, 1}), TOKEN_DELETED);
	/* parameter lists */
	len = put_ranges(list, 16, (const struct range[]){{0, 1}}, 1);
	for (i = 1; i < len; i++) {
		assert_int_equal(send_as(b, 0, 0x10, 1, list, i),
				 SCSI_CHECK_CONDITION);
		assert_int_equal(send_as(b, 0, 0x11, 1, list, i),
				 SCSI_CHECK_CONDITION);
	}
	assert_good(send_as(b, 0, 0x10, 1, list, 0));
	put_be16(list + 14, 8);
	assert_sense(b, send_as(b, 0, 0x10, 1, list, len), INVALID_PARAMETER);
	/* what is not a whole descriptor is ignored */
	put_be16(list + 14, 0xfff0);
	assert_good(send_as(b, 0, 0x10, 1, list, len));
	assert_true(information(b, 1));
	assert_int_equal(get_be64(b->in + 16), 1);
	len = put_ranges(list, 16, (const struct range[]){{0, 1}, {5, 2}}, 2);
	assert_good(send_as(b, 0, 0x10, 1, list, len - 1));
	assert_true(information(b, 1));
	assert_int_equal(get_be64(b->in + 16), 1);
	put_be16(list + 14, 31);
	assert_good(send_as(b, 0, 0x10, 1, list, len));
	assert_true(information(b, 1));
	assert_int_equal(get_be64(b->in + 16), 1);
	put_be16(list + 14, 32);
	assert_good(send_as(b, 0, 0x10, 1, list, len));
	assert_true(information(b, 1));
	assert_int_equal(get_be64(b->in + 16), 3);
	len = put_ranges(list, 16, (const struct range[]){{0, 1}}, 1);
	put_be16(list, 0x1d); /* one byte short of a range */
	assert_sense(b, send_as(b, 0, 0x10, 1, list, len), INVALID_PARAMETER);
	put_be16(list, 0x1e);
	assert_sense(b, send_as(b, 0, 0x10, 1, list, len - 1), 0x51a00);
	put_be32(list + 4, 0xffffffff);
	assert_sense(b, send_as(b, 0, 0x10, 1, list, len), INVALID_PARAMETER);
	put_be32(list + 4, 0);
	list[2] = 2; /* RTV */
	put_be32(list + 8, 0x10000);
	assert_sense(b, send_as(b, 0, 0x10, 1, list, len), INVALID_PARAMETER);
	put_be32(list + 8, 0x800000);
	assert_good(send_as(b, 0, 0x10, 1, list, len));
	/* too many ranges */
	{
		struct range many[65];

		for (i = 0; i < 65; i++) {
			many[i] = (struct range){i, 1};
		}
		assert_sense(b, populate(b, 1, many, 65), 0x52608);
		assert_good(populate(b, 1, many, 64));
	}
	assert_sense(b, POPULATE(b, 1, {5, 5}, {1, 5}), INVALID_PARAMETER);
}

/* Many tokens: the oldest make room, none outlives its unit. */
static void many_tokens(void **state)
{
	struct bench *b = *state;
	uint8_t first[512];
	unsigned i;

	make_token(b, 0, 1);
	memcpy(first, token, 512);
	for (i = 0; i < 300; i++) {
		make_token(b, 0, 1);
	}
	assert_good(WRITE(b, 1, 0, 0, {500, 1}));
	memcpy(token, first, 512);
	assert_sense(b, WRITE(b, 1, 0, 0, {500, 1}), TOKEN_UNKNOWN);
	make_token(b, 0, 1);
	scsi_lu_retire(b->lu);
	assert_sense(b, WRITE(b, 1, 0, 0, {500, 1}), TOKEN_REVOKED);
	assert_sense(b, POPULATE(b, 1, {0, 1}), 0x52300);
}

/* SPC-4 5.17.6.5; nothing in the reserved bytes, 32 random ones at least */
static void token_format(void **state)
{
	static const uint8_t zeroes[32];
	struct bench *b = *state;
	uint8_t naa[16], first[512];
	size_t len, i, same = 0;

	make_token(b, 0, 100);
	memcpy(first, token, 512);
	assert_int_equal(get_be32(token), 0x00800001);
	assert_int_equal(get_be16(token + 6), 0x1f8);
	scsi_lu_naa(b->lu, naa);
	assert_int_equal(token[16], 0xe4);
	assert_int_equal(get_be32(token + 20), 0x01030010);
	assert_memory_equal(token + 24, naa, 16);
	assert_int_equal(get_be24(token + 45), b->block);
	assert_memory_equal(token + 48, zeroes, 8);
	assert_int_equal(get_be64(token + 56), 100 * b->block);
	assert_memory_equal(token + 64, zeroes, 32);
	/* as READ CAPACITY(16), but for the capacity */
	assert_good(
		RUN(b, 0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0));
	assert_memory_equal(token + 96, b->in + 8, 24);
	/* the target device's designation descriptor */
	len = token[131];
	assert_int_equal(get_be24(token + 128), 0x53a800);
	assert_int_equal(len, (strlen(BENCH_TARGET) + 4) & ~3u);
	assert_string_equal((char *)token + 132, BENCH_TARGET);
	make_token(b, 0, 100);
	assert_memory_equal(token + 16, first + 16, 116 + len);
	assert_memory_not_equal(token + 8, first + 8, 8);
	for (i = 132 + len; i < 512; i++) {
		same += token[i] == first[i];
	}
	assert_true(i - 132 - len >= 32 && same < 32);
}

/* ---- EXTENDED COPY(LID4) ---- */

static size_t lid4(const struct bench *b, uint8_t *list, uint32_t id,
		   bool immediate, uint16_t blocks)
{
	struct list l;

	list_start_lid4(&l, id, 0, immediate);
	list_target(&l, b->lu);
	list_segment(&l, 0, 0, blocks, 0, 8000);
	memcpy(list, l.bytes, l.len);
	return l.len;
}

static uint8_t copy_status(struct bench *b, uint32_t id)
{
	uint8_t cdb[16] = {0x84, 0x05};

	put_be32(cdb + 2, id);
	put_be32(cdb + 10, 256);
	if (bench_cdb(b, cdb, 16) != SCSI_GOOD) {
		assert_int_equal(bench_sense(b), INVALID_CDB);
		return 0;
	}
	assert_int_equal(b->in[4], 0x01);
	return b->in[5];
}

static void long_list_identifiers(void **state)
{
	struct bench *b = *state;
	uint8_t list[256];
	size_t len, i;

	pattern(b->disk.data, 1000 * 512, 3);
	len = lid4(b, list, 0xdeadbeef, false, 1000);
	assert_int_equal(copy_status(b, 0xdeadbeef), 0);
	assert_good(send_as(b, 0, 0x01, 0, list, len));
	assert_memory_equal(block(b, 8000), block(b, 0), 1000 * 512);
	assert_int_equal(copy_status(b, 0xdeadbeef), 1);
	assert_int_equal(get_be32(b->in + 8),
			 0xfffffffe); /* do not ask again */
	assert_int_equal(get_be64(b->in + 16), 1000 * 512);
	assert_int_equal(get_be16(b->in + 24), 1);
	/* and is still known */
	assert_int_equal(copy_status(b, 0xdeadbeef), 1);
	assert_sense(
		b, RUN(b, 0x84, 0, 0xef, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0),
		INVALID_CDB);
	for (i = 1; i < len; i++) {
		assert_int_equal(send_as(b, 0, 0x01, 0, list, i),
				 SCSI_CHECK_CONDITION);
	}
	list[0] = 2;
	assert_sense(b, send_as(b, 0, 0x01, 0, list, len), INVALID_PARAMETER);
	list[0] = 1;
	/* G_SENSE: how many segments, with GOOD */
	list[15] = 2;
	assert_good(send_as(b, 0, 0x01, 0, list, len));
	assert_int_equal(b->task.sense_len, 18);
	assert_int_equal(b->task.sense[2], 0x0f); /* COMPLETED */
	assert_int_equal(get_be16(b->task.sense + 12), 0x0020);
	assert_int_equal(get_be32(b->task.sense + 8), 1);
	/* which none is there for that goes on in the background */
	list[15] = 3;
	assert_sense(b, send_as(b, 0, 0x01, 0, list, len), INVALID_CDB);
	list[15] = 1;
	list[1] = 3 << 3;
	put_be32(list + 20, 0);
	assert_sense(b, send_as(b, 0, 0x01, 0, list, len), INVALID_CDB);
	list[15] = 0;
	assert_good(send_as(b, 0, 0x01, 0, list, len));
	assert_int_equal(copy_status(b, 0), 0);
	list[1] = 1 << 3;
	assert_sense(b, send_as(b, 0, 0x01, 0, list, len), INVALID_PARAMETER);
	/* one that fails */
	b->disk.fail = EIO;
	b->disk.fail_op = VHD_WRITE;
	len = lid4(b, list, 5, false, 1);
	assert_sense(b, send_as(b, 0, 0x01, 0, list, len), 0xa0d01);
	assert_int_equal(copy_status(b, 5), 2);
	assert_int_equal(b->in[12], 2);
	assert_int_equal(b->in[13], 20); /* sense data in multiples of four */
	assert_int_equal(b->in[14], 18);
	assert_int_equal(b->task.data_in_len, 32 + 20);
	assert_int_equal(get_be32(b->in), 32 + 20 - 4);
	assert_int_equal(get_be16(b->in + 32 + 12), 0x0d01);
	/* what fails is told to LID1's commands of LID1's copies */
	assert_sense(b,
		     RUN(b, 0x84, 4, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0),
		     INVALID_CDB);
}

static void copying_in_the_background(void **state)
{
	struct bench *b = *state;
	uint8_t list[256], cdb[16] = {0x83, 0x1c};
	struct list lid1;
	struct vhd_req *req;
	size_t len = lid4(b, list, 77, true, 2000);

	pattern(b->disk.data, 2000 * 512, 4);
	b->background = true;
	b->disk.later = 1;
	/* bench_io() settles what waits: keep the request from it */
	b->disk.pending = NULL;
	assert_good(send_as(b, 0, 0x01, 0, list, len));
	assert_int_equal(b->bg_done, 0);
	assert_non_null(b->bg);
	assert_ptr_equal(b->bg->copy_lu[0], b->lu);
	assert_null(b->bg->nexus);
	req = b->disk.pending;
	b->disk.pending = NULL;
	b->disk.later = 0;
	assert_int_equal(copy_status(b, 77), IN_BACKGROUND);
	assert_int_equal(get_be32(b->in + 8), 100); /* ms */
	assert_sense(b, send_as(b, 0, 0x01, 0, list, len), 0x50016);
	/* an identifier of eight bits is the same (SPC-4 5.17.4.2) */
	list_start(&lid1, 77, 0);
	list_target(&lid1, b->lu);
	list_segment(&lid1, 0, 0, 1, 0, 100);
	assert_sense(b, copy(b, &lid1), INVALID_PARAMETER);
	assert_sense(b, populate(b, 77, (const struct range[]){{0, 1}}, 1),
		     0x50016);
	req->error = EOPNOTSUPP;
	req->done(req);
	assert_int_equal(b->bg_done, 1);
	assert_int_equal(copy_status(b, 77), 1);
	assert_memory_equal(block(b, 8000), block(b, 0), 2000 * 512);
	/* COPY OPERATION ABORT waits for its end (SPC-4 5.17.4.7) */
	b->disk.later = 1;
	assert_good(send_as(b, 0, 0x01, 0, list, len));
	assert_non_null(b->disk.pending);
	put_be32(cdb + 2, 77);
	assert_good(bench_cdb(b, cdb, 16));
	b->disk.later = 0;
	assert_int_equal(b->bg_done, 2);
	assert_int_equal(copy_status(b, 77), 0x60);
	assert_int_equal(b->in[12], SCSI_TASK_ABORTED); /* 6.24 */
	assert_int_equal(b->in[13], 0);
	assert_int_equal(b->in[14], 0);
	assert_int_equal(b->task.data_in_len, 32);
	assert_good(bench_cdb(b, cdb, 16)); /* it has ended */
	put_be32(cdb + 2, 78);
	assert_sense(b, bench_cdb(b, cdb, 16), INVALID_CDB);
	/* the unit goes, and so does the nexus */
	b->disk.later = 1;
	assert_good(send_as(b, 0, 0x01, 0, list, len));
	req = b->disk.pending;
	b->disk.pending = NULL;
	b->bg->ending = true;
	scsi_nexus_free(b->nexus[0]);
	b->nexus[0] = NULL;
	req->error = 0;
	req->done(req);
	assert_int_equal(b->bg_done, 3);
}

/* ---- VPD 8Fh ---- */

/* SPC-4 7.8.17.4: what REPORT SUPPORTED OPERATION CODES has of 83h and 84h */
static void check_commands(struct bench *b, const uint8_t *d)
{
	const uint8_t *p = d + 5, *end = p + d[4];
	unsigned opcode, action;

	for (opcode = 0x83; opcode <= 0x84; opcode++) {
		const uint8_t *listed = p + 2;

		assert_int_equal(p[0], opcode);
		p = listed + p[1];
		for (action = 0; action < 0x20; action++) {
			assert_good(RUN(b, 0xa3, 0x0c, 2, opcode, 0, action, 0,
					0, 0, 4, 0, 0));
			if ((b->in[1] & 7) == 3) {
				assert_true(listed < p);
				assert_int_equal(*listed++, action);
			}
		}
		assert_ptr_equal(listed, p);
	}
	assert_ptr_equal(p, end);
}

/* 7.8.17.9: ascending; all that is preferred is zero or FFFFh */
static void check_rod_types(const uint8_t *d)
{
	const unsigned len = get_be16(d + 6);
	uint32_t before = 0;
	unsigned sum = 0, at;

	assert_int_equal(len % 64, 0);
	for (at = 8; at < 8 + len; at += 64) {
		assert_true(get_be32(d + at) > before);
		before = get_be32(d + at);
		/* nobody is given the token for zeroes */
		assert_int_equal(d[at + 4], before == 0xffff0001 ? 2 : 3);
		sum += get_be16(d + at + 6);
	}
	assert_true(sum == 0 || sum == 0xffff);
	assert_int_equal(before, 0xffff0001);
}

static void third_party_page(void **state)
{
	static const uint16_t types[] = {0x0000, 0x0001, 0x0004, 0x0008,
					 0x000c, 0x0106, 0x0108, 0x8001};
	struct bench *b = *state;
	const uint8_t *of[8];
	uint8_t page[1024];
	unsigned at = 4, i, len;

	assert_good(RUN(b, 0x12, 1, 0x8f, 0x04, 0, 0));
	len = b->task.data_in_len;
	assert_int_equal(b->in[1], 0x8f);
	assert_int_equal(get_be16(b->in + 2) + 4, len);
	memcpy(page, b->in, len);
	for (i = 0; i < 8; i++) {
		of[i] = page + at;
		assert_int_equal(get_be16(page + at), types[i]);
		assert_int_equal(get_be16(page + at + 2) % 4, 0);
		at += 4 + get_be16(page + at + 2);
	}
	assert_int_equal(at, len);
	/* the first: Windows looks here */
	assert_int_equal(get_be16(of[0] + 2), 32);
	assert_int_equal(get_be16(of[0] + 10), 64);
	assert_int_equal(get_be64(of[0] + 20), (256u << 20) / b->block);
	check_commands(b, of[1]);
	/* as bytes what is blocks there (SBC-3 6.6.6.3) */
	assert_int_equal(get_be16(of[5] + 46), 48);
	assert_int_equal(get_be64(of[5] + 48 + 8), 256u << 20);
	assert_int_equal(get_be64(of[5] + 48 + 16),
			 get_be64(of[0] + 28) * b->block);
	check_rod_types(of[6]);
	/* the rest is in RECEIVE COPY OPERATING PARAMETERS, too (6.22) */
	assert_good(RUN(b, 0x84, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0));
	assert_memory_equal(of[2] + 8, b->in + 8, 8);
	assert_int_equal(of[3][4], b->in[43]);
	assert_memory_equal(of[3] + 5, b->in + 44, b->in[43]);
	assert_int_equal(get_be32(of[7] + 4), get_be16(b->in + 34));
	assert_int_equal(get_be32(of[7] + 8), b->in[36]);
	assert_int_equal(get_be32(of[7] + 12), get_be32(b->in + 16));
	assert_int_equal(of[7][16], b->in[37]);
}

/* A token that nobody uses for as long as was asked for is none any more. */
static void token_expires(void **state)
{
	struct bench *b = *state;
	uint8_t lasting[512], short_lived[512];

	make_token(b, 0, 10);
	memcpy(lasting, token, 512);
	inactivity_timeout = 1;
	make_token(b, 20, 10);
	inactivity_timeout = 0;
	memcpy(short_lived, token, 512);
	poll(NULL, 0, 2100);
	assert_sense(b, WRITE(b, 1, 0, 0, {500, 1}), TOKEN_EXPIRED);
	memcpy(token, lasting, 512);
	assert_good(WRITE(b, 1, 0, 0, {500, 1}));
	/* and forgotten, when there is another one */
	make_token(b, 40, 10);
	memcpy(token, short_lived, 512);
	assert_sense(b, WRITE(b, 1, 0, 0, {500, 1}), TOKEN_UNKNOWN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BENCH_TEST_BLOCKS(offloaded_copies),
		BENCH_TEST_BLOCKS(zero_token),
		BENCH_TEST_BLOCKS(revoked_by_writes),
		BENCH_TEST_BLOCKS(token_format),
		BENCH_TEST(token_refusals),
		BENCH_TEST(token_expires),
		BENCH_TEST(many_tokens),
		BENCH_TEST(long_list_identifiers),
		BENCH_TEST(copying_in_the_background),
		BENCH_TEST_BLOCKS(third_party_page),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
