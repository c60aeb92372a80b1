/* SPDX-License-Identifier: GPL-3.0-or-later */
/* EXTENDED COPY and its results (SPC-4 6.5, 6.22, 6.25). */
#include "target_scsi_copies.h"

#define COPY_ABORTED 0xa0000

static uint8_t status(struct bench *b, uint8_t id)
{
	return RUN(b, 0x84, 0, id, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0);
}

static void pattern(uint8_t *p, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++) {
		p[i] = (uint8_t)(i * 31 + i / 512);
	}
}

static void copying(void **state)
{
	struct bench *b = *state;
	struct list l;
	unsigned later;

	for (later = 0; later < 2; later++) {
		b->disk.later = later;
		memset(b->disk.data, 0, BENCH_SIZE);
		pattern(b->disk.data, 2000 * 512);
		list_start(&l, 9, 0);
		list_target(&l, b->lu);
		list_segment(&l, 0, 0, 2000, 0, 8000);
		list_segment(&l, 0, 0, 0, 0, 0);
		list_segment(&l, 0, 0, 1, 1, BENCH_BLOCKS - 1);
		assert_good(copy(b, &l));
		assert_memory_equal(b->disk.data, b->disk.data + 8000 * 512,
				    2000 * 512);
		assert_memory_equal(b->disk.data + 512,
				    b->disk.data + BENCH_SIZE - 512, 512);
		assert_null(b->task.copy_lu[0]);
		/* its result is held until it is told, for its nexus */
		assert_sense(b, status(b, 8), INVALID_CDB);
		assert_sense(b,
			     RUN_AS(b, 1, 0x84, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0,
				    1, 0, 0, 0),
			     INVALID_CDB);
		assert_good(status(b, 9));
		assert_int_equal(b->task.data_in_len, 12);
		assert_int_equal(b->in[4], 1);
		assert_int_equal(get_be16(b->in + 5), 3);
		assert_int_equal(get_be32(b->in + 8), 2001 * 512);
		assert_sense(b, status(b, 9), INVALID_CDB);
	}
	/* and not at all where that is asked for */
	list_start(&l, 0, 3);
	list_target(&l, b->lu);
	list_segment(&l, 0, 0, 1, 0, 1);
	assert_good(copy(b, &l));
	assert_int_equal(b->task.sense_len, 0);
	assert_sense(b, status(b, 0), INVALID_CDB);
	l.bytes[0] = 1; /* an identifier all the same; a reserved usage */
	assert_sense(b, copy(b, &l), INVALID_PARAMETER);
	l.bytes[1] = 1 << 3;
	assert_sense(b, copy(b, &l), INVALID_PARAMETER);
	l.bytes[1] = 2 << 3;
	assert_good(copy(b, &l));
	assert_good(status(b, 1));
	/* an empty list */
	assert_good(copy_bytes(b, NULL, 0));
}

static void overlapping(void **state)
{
	struct bench *b = *state;
	uint8_t *before = malloc(3000 * 512);
	struct list l;

	pattern(before, 3000 * 512);
	/* up and down, by less than a chunk */
	memcpy(b->disk.data, before, 3000 * 512);
	list_start(&l, 0, 3);
	list_target(&l, b->lu);
	list_segment(&l, 0, 0, 2000, 0, 100);
	assert_good(copy(b, &l));
	assert_memory_equal(b->disk.data + 100 * 512, before, 2000 * 512);
	memcpy(b->disk.data, before, 3000 * 512);
	list_start(&l, 0, 3);
	list_target(&l, b->lu);
	list_segment(&l, 0, 0, 2000, 100, 0);
	assert_good(copy(b, &l));
	assert_memory_equal(b->disk.data, before + 100 * 512, 2000 * 512);
	free(before);
}

/* Between two units; the rights and the state of each count. */
/* Turn over a bit of a mode page, as it is now. */
static void turn_mode_bit(struct bench *b, const uint8_t *lun, uint8_t page,
			  unsigned byte, uint8_t bit)
{
	uint8_t list[64];
	size_t len;

	assert_good(bench_io(b, CDB(0x1a, 8, page, 0, sizeof(list), 0), 6,
			     &(struct bench_io){.lun = lun}));
	len = b->task.data_in_len;
	memcpy(list, b->in, len);
	memset(list, 0, 4);
	list[4] &= 0x7f; /* PS */
	list[4 + byte] ^= bit;
	assert_good(bench_io(
		b, CDB(0x15, 0x10, 0, 0, (uint8_t)len, 0), 6,
		&(struct bench_io){.lun = lun, .out = list, .out_len = len}));
}

static void between_units(void **state)
{
	struct bench *b = *state;
	struct vhd_disk disk = {.size = BENCH_SIZE};
	struct scsi_lu_config config = {
		.guid = {1}, .serial = "2", .enabled = true, .disk = &disk};
	struct scsi_lu *lu = scsi_lu_create(&config);
	struct scsi_lun_map *map =
		calloc(1, sizeof(*map) + 2 * sizeof(map->entry[0]));
	uint8_t key[24] = {0};
	static const uint8_t lun5[8] = {0, 5};
	struct list l;

	disk.data = calloc(1, BENCH_SIZE);
	map->count = 2;
	map->entry[0].lu = b->lu;
	map->entry[1].lun = 5;
	map->entry[1].lu = lu;
	scsi_nexus_set_map(b->nexus[0], map);
	scsi_nexus_set_map(b->nexus[1], map);
	bench_clear_ua(b);
	pattern(b->disk.data, 100 * 512);
	list_start(&l, 0, 3);
	list_target(&l, b->lu);
	list_target(&l, lu);
	list_segment(&l, 0, 1, 100, 0, 50);
	assert_good(copy(b, &l));
	assert_memory_equal(b->disk.data, disk.data + 50 * 512, 100 * 512);
	/* without a write cache there, what is copied is on the medium */
	assert_int_equal(disk.flags & VHD_FUA, 0);
	turn_mode_bit(b, lun5, 0x08, 2, 0x04); /* WCE */
	assert_good(copy(b, &l));
	assert_int_equal(disk.flags & VHD_FUA, VHD_FUA);
	turn_mode_bit(b, lun5, 0x08, 2, 0x04);
	/* to a unit that is write-protected, or another's by RESERVE */
	turn_mode_bit(b, lun5, 0x0a, 4, 0x08); /* SWP */
	assert_sense(b, copy(b, &l), COPY_ABORTED | 0x0d02);
	turn_mode_bit(b, lun5, 0x0a, 4, 0x08);
	while (bench_io(b, CDB(0, 0, 0, 0, 0, 0), 6,
			&(struct bench_io){.nexus = 1, .lun = lun5}) !=
	       SCSI_GOOD) {
		assert_int_equal(bench_sense(b) >> 16, 6);
	}
	assert_good(bench_io(b, CDB(0x16, 0, 0, 0, 0, 0), 6,
			     &(struct bench_io){.nexus = 1, .lun = lun5}));
	assert_sense(b, copy(b, &l), COPY_ABORTED | 0x0d02);
	assert_good(bench_io(b, CDB(0x17, 0, 0, 0, 0, 0), 6,
			     &(struct bench_io){.nexus = 1, .lun = lun5}));
	/* another nexus reserves the destination */
	key[15] = 1;
	assert_good(bench_io(
		b, CDB(0x5f, 0, 0, 0, 0, 0, 0, 0, 24, 0), 10,
		&(struct bench_io){
			.nexus = 1, .lun = lun5, .out = key, .out_len = 24}));
	key[15] = 0;
	key[7] = 1;
	assert_good(bench_io(
		b, CDB(0x5f, 1, 1, 0, 0, 0, 0, 0, 24, 0), 10,
		&(struct bench_io){
			.nexus = 1, .lun = lun5, .out = key, .out_len = 24}));
	assert_sense(b, copy(b, &l), COPY_ABORTED | 0x0d02);
	/* reading it is allowed: Write Exclusive */
	list_start(&l, 0, 3);
	list_target(&l, b->lu);
	list_target(&l, lu);
	list_segment(&l, 1, 0, 100, 0, 500);
	assert_good(copy(b, &l));
	scsi_lu_set_enabled(lu, false);
	assert_sense(b, copy(b, &l), COPY_ABORTED | 0x0d02);

	scsi_nexus_set_map(b->nexus[0], b->map);
	scsi_nexus_set_map(b->nexus[1], b->map);
	scsi_lu_free(lu);
	free(disk.data);
	free(map);
}

static void copy_list_refusals(void **state)
{
	struct bench *b = *state;
	struct list l;
	size_t len;
	unsigned i;

	list_start(&l, 0, 3);
	list_target(&l, b->lu);
	list_segment(&l, 0, 0, 4, 0, 100);
	for (len = 1; len < l.len; len++) {
		assert_sense(b, copy_bytes(b, l.bytes, len), PARAMETER_LENGTH);
	}
	/* lengths that lie */
	put_be32(l.bytes + 8, 0xffffffff);
	assert_sense(b, copy(b, &l), PARAMETER_LENGTH);
	put_be32(l.bytes + 8, 27);
	assert_sense(b, copy(b, &l), INVALID_PARAMETER);
	put_be32(l.bytes + 8, 28);
	put_be32(l.bytes + 12, 1); /* inline data */
	assert_sense(b, copy(b, &l), PARAMETER_LENGTH);
	put_be32(l.bytes + 12, 0);
	put_be16(l.bytes + 16 + 32 + 2, 0xffff);
	assert_sense(b, copy(b, &l), INVALID_PARAMETER);
	put_be16(l.bytes + 16 + 32 + 2, 24);
	/* types there are not */
	l.bytes[16 + 32] = 0x03;
	assert_sense(b, copy(b, &l), 0x52609);
	l.bytes[16] = 0xe0;
	assert_sense(b, copy(b, &l), 0x52607);
	/* too many of them */
	list_start(&l, 0, 3);
	for (i = 0; i < 3; i++) {
		list_target(&l, b->lu);
	}
	assert_sense(b, copy(b, &l), 0x52606);
	list_start(&l, 0, 3);
	list_target(&l, b->lu);
	for (i = 0; i < 17; i++) {
		list_segment(&l, 0, 0, 1, 0, 1);
	}
	assert_sense(b, copy(b, &l), 0x52608);
	for (; i < 40; i++) {
		list_segment(&l, 0, 0, 1, 0, 1);
	}
	assert_sense(b, copy(b, &l), PARAMETER_LENGTH);
	/* an index there is not, a unit there is not, blocks there are not */
	list_start(&l, 0, 3);
	list_target(&l, b->lu);
	list_segment(&l, 0, 1, 1, 0, 1);
	assert_sense(b, copy(b, &l), COPY_ABORTED | 0x0804);
	list_start(&l, 0, 3);
	list_target(&l, b->lu);
	l.bytes[16 + 20] ^= 1;
	list_segment(&l, 0, 0, 1, 0, 1);
	assert_sense(b, copy(b, &l), COPY_ABORTED | 0x0804);
	list_start(&l, 0, 3);
	list_target(&l, b->lu);
	list_segment(&l, 0, 0, 2, 0, BENCH_BLOCKS - 1);
	assert_sense(b, copy(b, &l), COPY_ABORTED);
	list_start(&l, 0, 3);
	list_target(&l, b->lu);
	list_segment(&l, 0, 0, 2, UINT64_MAX, 0);
	assert_sense(b, copy(b, &l), COPY_ABORTED);
	assert_int_equal(b->disk.count[VHD_WRITE], 0);
}

static void failing_copy(void **state)
{
	struct bench *b = *state;
	struct list l;

	list_start(&l, 4, 0);
	list_target(&l, b->lu);
	list_segment(&l, 0, 0, 1, 0, 1);
	b->disk.fail = EIO;
	b->disk.fail_op = VHD_WRITE;
	assert_sense(b, copy(b, &l), COPY_ABORTED | 0x0d01);
	assert_good(status(b, 4));
	assert_int_equal(b->in[4], 2);
	assert_int_equal(get_be32(b->in + 8), 0);
	/* and why */
	assert_good(RUN(b, 0x84, 4, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0));
	assert_int_equal(b->task.data_in_len, 60 + 18);
	assert_int_equal(get_be32(b->in), 56 + 18);
	assert_int_equal(b->in[56], SCSI_CHECK_CONDITION);
	assert_int_equal(get_be16(b->in + 58), 18);
	assert_int_equal(b->in[62], 0xa);
	assert_int_equal(get_be16(b->in + 72), 0x0d01);
	assert_sense(b,
		     RUN(b, 0x84, 4, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0),
		     INVALID_CDB);
}

static void copy_parameters(void **state)
{
	struct bench *b = *state;

	assert_good(RUN(b, 0x84, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0));
	assert_int_equal(b->task.data_in_len, 46);
	assert_int_equal(get_be32(b->in), 42);
	assert_int_equal(b->in[4], 1); /* SNLID */
	assert_int_equal(get_be16(b->in + 8), 2);
	assert_int_equal(get_be16(b->in + 10), 16);
	assert_int_equal(get_be32(b->in + 12), 1024);
	assert_int_equal(b->in[43], 2);
	assert_int_equal(b->in[44], 0x02);
	assert_int_equal(b->in[45], 0xe4);
	assert_sense(b,
		     RUN(b, 0x84, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0),
		     INVALID_CDB);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BENCH_TEST(copying),	   BENCH_TEST(overlapping),
		BENCH_TEST(between_units), BENCH_TEST(copy_list_refusals),
		BENCH_TEST(failing_copy),  BENCH_TEST(copy_parameters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
