/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Copies between units whose blocks differ in length: EXTENDED COPY with DC,
 * CAT and PAD (SPC-4 5.17.7.2) against a model that moves bytes as the
 * standard's table 115 and table 116 say, WRITE USING TOKEN (SBC-3 5.46).
 */
#include "target_scsi_copies.h"

#define INEXACT	  0xa260a
#define PAIR_SIZE (2u << 20) /* 4096 blocks, and 512 */

static const uint8_t lun5[8] = {0, 5};

/* Unit 0 has blocks of 512 bytes, unit 1 of 4096. */
struct pair {
	struct bench b;
	struct vhd_disk disk;
	struct scsi_lu *lu[2];
	struct scsi_lun_map *map;
	uint8_t *before[2], *expected[2];
};

static struct vhd_disk *disk_of(struct pair *p, unsigned n)
{
	return n == 0 ? &p->b.disk : &p->disk;
}

static void contents(struct pair *p, unsigned seed)
{
	unsigned n;
	size_t i;

	for (n = 0; n < 2; n++) {
		for (i = 0; i < PAIR_SIZE; i++) {
			p->before[n][i] =
				(uint8_t)(i * 31 + i / 512 * 7 + i / 4096 * 5 +
					  n * 101 + seed);
		}
		memcpy(disk_of(p, n)->data, p->before[n], PAIR_SIZE);
		memcpy(p->expected[n], p->before[n], PAIR_SIZE);
	}
}

static int pair_setup(void **state)
{
	struct pair *p = calloc(1, sizeof(*p));
	struct scsi_lu_config config = {
		.guid = {1}, .serial = "2", .enabled = true, .disk = &p->disk};
	unsigned n;

	bench_open(&p->b);
	p->b.second = &p->disk;
	p->b.disk.size = PAIR_SIZE;
	p->disk.size = PAIR_SIZE;
	p->disk.sector = BENCH_MAX_BLOCK;
	p->disk.data = calloc(1, PAIR_SIZE);
	p->lu[0] = p->b.lu;
	p->lu[1] = scsi_lu_create(&config);
	p->map = calloc(1, sizeof(*p->map) + 2 * sizeof(p->map->entry[0]));
	p->map->count = 2;
	p->map->entry[0].lu = p->lu[0];
	p->map->entry[1].lun = 5;
	p->map->entry[1].lu = p->lu[1];
	scsi_nexus_set_map(p->b.nexus[0], p->map);
	bench_clear_ua(&p->b);
	while (bench_io(&p->b, CDB(0, 0, 0, 0, 0, 0), 6,
			&(struct bench_io){.lun = lun5}) != SCSI_GOOD) {
	}
	for (n = 0; n < 2; n++) {
		p->before[n] = malloc(PAIR_SIZE);
		p->expected[n] = malloc(PAIR_SIZE);
	}
	contents(p, 0);
	*state = p;
	return 0;
}

static int pair_teardown(void **state)
{
	struct pair *p = *state;
	unsigned n;

	token_lun = NULL;
	scsi_nexus_set_map(p->b.nexus[0], p->b.map);
	scsi_lu_free(p->lu[1]);
	bench_close(&p->b);
	for (n = 0; n < 2; n++) {
		free(p->before[n]);
		free(p->expected[n]);
	}
	free(p->disk.data);
	free(p->map);
	free(p);
	return 0;
}

static void same(struct pair *p)
{
	unsigned n;
	size_t i;

	for (n = 0; n < 2; n++) {
		const uint8_t *data = disk_of(p, n)->data;

		if (memcmp(data, p->expected[n], PAIR_SIZE) == 0) {
			continue;
		}
		for (i = 0; data[i] == p->expected[n][i]; i++) {
		}
		fail_msg("unit %u differs at %zu", n, i);
	}
}

/* ---- EXTENDED COPY ---- */

#define LIST_MAX 16

struct seg {
	unsigned from, to;
	bool dc, cat;
	uint16_t blocks;
	uint64_t from_lba, to_lba;
};

struct plan {
	bool pad[2];
	unsigned count;
	struct seg seg[LIST_MAX];
};

/* The model: bytes in two queues. */
struct queue {
	uint8_t bytes[4 << 20];
	size_t len;
};

static void push(struct queue *q, const uint8_t *p, size_t len)
{
	assert_true(len <= sizeof(q->bytes) - q->len);
	memcpy(q->bytes + q->len, p, len);
	q->len += len;
}

static void drop(struct queue *q, size_t len)
{
	memmove(q->bytes, q->bytes + len, q->len - len);
	q->len -= len;
}

/* One segment; false: UNEXPECTED INEXACT SEGMENT. */
static bool model_segment(struct pair *p, const struct plan *plan,
			  const struct seg *s, struct queue *source,
			  struct queue *data)
{
	size_t from_block = s->from == 0 ? 512 : 4096;
	size_t to_block = s->to == 0 ? 512 : 4096;
	uint64_t lba = s->from_lba, at = s->to_lba * to_block;
	size_t size = s->blocks * from_block;
	size_t write;

	if (s->dc) {
		size = s->blocks * to_block;
		size = size > data->len ? size - data->len : 0;
	}
	while (source->len < size) {
		push(source, p->expected[s->from] + lba++ * from_block,
		     from_block);
	}
	push(data, source->bytes, size);
	drop(source, size);
	write = s->dc ? s->blocks * to_block : data->len / to_block * to_block;
	memcpy(p->expected[s->to] + at, data->bytes, write);
	drop(data, write);
	if (s->cat || source->len + data->len == 0) {
		return true;
	}
	if (!plan->pad[s->from] && !plan->pad[s->to]) {
		return false;
	}
	if (plan->pad[s->from]) {
		source->len = 0;
	}
	if (!plan->pad[s->to]) {
		data->len = 0;
	} else if (data->len != 0) {
		if (s->dc) {
			return false;
		}
		assert_true(data->len < to_block);
		memcpy(p->expected[s->to] + at + write, data->bytes, data->len);
		memset(p->expected[s->to] + at + write + data->len, 0,
		       to_block - data->len);
		data->len = 0;
	}
	return true;
}

static bool model(struct pair *p, const struct plan *plan)
{
	struct queue *source = calloc(1, sizeof(*source));
	struct queue *data = calloc(1, sizeof(*data));
	bool ok = true;
	unsigned i;

	for (i = 0; i < plan->count && ok; i++) {
		ok = model_segment(p, plan, &plan->seg[i], source, data);
	}
	free(source);
	free(data);
	return ok;
}

static uint8_t run(struct pair *p, const struct plan *plan)
{
	struct list l;
	unsigned n;

	list_start(&l, 0, 3);
	for (n = 0; n < 2; n++) {
		list_target_of(&l, p->lu[n], vhd_disk_sector(disk_of(p, n)));
		l.bytes[l.len - 4] = plan->pad[n] ? 0x04 : 0;
	}
	for (n = 0; n < plan->count; n++) {
		const struct seg *s = &plan->seg[n];

		list_segment(&l, s->from, s->to, s->blocks, s->from_lba,
			     s->to_lba);
		l.bytes[l.len - 27] =
			(uint8_t)((s->dc ? 0x02 : 0) | (s->cat ? 0x01 : 0));
	}
	return copy(&p->b, &l);
}

static void check(struct pair *p, const struct plan *plan)
{
	if (model(p, plan)) {
		assert_good(run(p, plan));
		same(p);
		return;
	}
	/* The list is checked before anything is copied. */
	assert_sense(&p->b, run(p, plan), INEXACT);
	memcpy(p->expected[0], p->before[0], PAIR_SIZE);
	memcpy(p->expected[1], p->before[1], PAIR_SIZE);
	same(p);
}

static void either_way(void **state)
{
	struct pair *p = *state;
	const struct plan up = {.count = 1,
				.seg = {{0, 1, .blocks = 80, .from_lba = 3}}};
	const struct plan down = {
		.count = 1, .seg = {{1, 0, .blocks = 10, .to_lba = 3001}}};
	unsigned i;

	for (i = 0; i < 4; i++) {
		p->b.disk.later = p->disk.later = i & 1;
		p->b.disk.copies = p->disk.copies = i & 2;
		contents(p, i);
		assert_true(model(p, &up));
		assert_good(run(p, &up));
		same(p);
		assert_memory_equal(p->disk.data, p->b.disk.data + 3 * 512,
				    80 * 512);
		contents(p, i);
		assert_true(model(p, &down));
		assert_good(run(p, &down));
		same(p);
	}
}

static void inexact_segments(void **state)
{
	struct pair *p = *state;
	/* 13 blocks of 512 bytes are one of 4096, and more */
	struct plan plan = {
		.count = 1,
		.seg = {{0, 1, .blocks = 13, .from_lba = 5, .to_lba = 3}}};

	check(p, &plan);
	assert_int_equal(bench_sense(&p->b), INEXACT);
	/* padded */
	plan.pad[1] = true;
	check(p, &plan);
	assert_memory_equal(p->disk.data + 3 * 4096, p->before[0] + 5 * 512,
			    13 * 512);
	assert_int_equal(p->disk.data[3 * 4096 + 13 * 512], 0);
	assert_int_equal(p->disk.data[5 * 4096 - 1], 0);
	/* discarded */
	contents(p, 1);
	plan.pad[1] = false;
	plan.pad[0] = true;
	check(p, &plan);
	assert_int_equal(p->disk.data[4 * 4096], p->before[1][4 * 4096]);
	/* what is left goes with the next segment: five here, three there */
	contents(p, 2);
	plan.pad[0] = false;
	plan.seg[0].cat = true;
	plan.count = 2;
	plan.seg[1] =
		(struct seg){0, 1, .blocks = 3, .from_lba = 100, .to_lba = 9};
	check(p, &plan);
	assert_memory_equal(p->disk.data + 9 * 4096, p->before[0] + 13 * 512,
			    5 * 512);
	assert_memory_equal(p->disk.data + 9 * 4096 + 5 * 512,
			    p->before[0] + 100 * 512, 3 * 512);
	/* counted at the destination: a part of a source's block is left */
	contents(p, 3);
	plan.count = 1;
	plan.seg[0] = (struct seg){1, 0, true, .blocks = 3, .to_lba = 3000};
	check(p, &plan);
	assert_int_equal(bench_sense(&p->b), INEXACT);
	plan.pad[1] = true;
	check(p, &plan);
	assert_memory_equal(p->b.disk.data + 3000 * 512, p->before[1], 3 * 512);
}

static unsigned random_next;

static unsigned below(unsigned n)
{
	random_next = random_next * 1103515245 + 12345;
	return random_next / 65536 % 32768 % n;
}

/* Sources lie in the first half of each disk, destinations in the other. */
static void random_lists(void **state)
{
	struct pair *p = *state;
	unsigned round, i, good = 0;

	random_next = 1;
	for (round = 0; round < 300; round++) {
		struct plan plan = {
			.pad = {below(2), below(2)},
			.count = 1 + below(round % 2 ? 3 : LIST_MAX),
		};

		for (i = 0; i < plan.count; i++) {
			struct seg *s = &plan.seg[i];

			s->from = below(2);
			s->to = below(2);
			s->dc = below(2);
			s->cat = below(8) != 0;
			s->blocks = (uint16_t)below(below(4) ? 12 : 100);
			s->from_lba = below(s->from == 0 ? 1900 : 150);
			s->to_lba = s->to == 0 ? 2048 + below(1100)
					       : 256 + below(140);
		}
		p->b.disk.later = p->disk.later = below(2);
		p->b.disk.copies = p->disk.copies = below(2);
		memcpy(p->expected[0], p->before[0], PAIR_SIZE);
		memcpy(p->expected[1], p->before[1], PAIR_SIZE);
		memcpy(p->b.disk.data, p->before[0], PAIR_SIZE);
		memcpy(p->disk.data, p->before[1], PAIR_SIZE);
		check(p, &plan);
		good += p->b.task.status == SCSI_GOOD;
	}
	assert_true(good > 50 && good < round);
}

static void bounds(void **state)
{
	struct pair *p = *state;
	struct plan plan = {.count = 1};
	struct list l;

	/* a whole block is read, and written, though a part would do */
	plan.seg[0] = (struct seg){
		0, 1, .blocks = 1, .from_lba = 0, .to_lba = 512, .cat = true};
	assert_good(run(p, &plan)); /* nothing is written yet */
	plan.pad[1] = true;
	plan.seg[0].cat = false;
	assert_sense(&p->b, run(p, &plan), 0xa0000);
	plan.seg[0] = (struct seg){
		1, 0, true, .blocks = 1, .from_lba = 512, .to_lba = 1};
	assert_sense(&p->b, run(p, &plan), 0xa0000);
	plan.seg[0] =
		(struct seg){1, 0, .blocks = 65535, .from_lba = UINT64_MAX - 9};
	assert_sense(&p->b, run(p, &plan), 0xa0000);
	plan.seg[0] = (struct seg){0, 1, .blocks = 8, .to_lba = UINT64_MAX};
	assert_sense(&p->b, run(p, &plan), 0xa0000);
	/* a DISK BLOCK LENGTH that is not the unit's; 0: it knows best */
	list_start(&l, 0, 3);
	list_target(&l, p->lu[0]);
	list_target(&l, p->lu[1]);
	list_segment(&l, 1, 0, 1, 0, 100);
	assert_sense(&p->b, copy(&p->b, &l), 0xa2600);
	put_be24(l.bytes + 16 + 32 + 29, 0);
	assert_good(copy(&p->b, &l));
	assert_memory_equal(p->b.disk.data + 100 * 512, p->disk.data, 4096);
}

/* ---- tokens ---- */

static void token_of(struct pair *p, unsigned n, const struct range *ranges,
		     unsigned count)
{
	token_lun = n == 0 ? NULL : lun5;
	assert_good(populate(&p->b, 1, ranges, count));
	assert_true(information(&p->b, 1));
	assert_int_equal(get_be32(token + 96), n == 0 ? 512 : 4096);
	assert_int_equal(get_be24(token + 45), n == 0 ? 512 : 4096);
	token_lun = n == 0 ? lun5 : NULL;
}

/* Status and transfer count of the last one. */
static void transferred(struct pair *p, uint8_t status, uint64_t blocks)
{
	assert_false(information(&p->b, 9));
	assert_int_equal(p->b.in[5], status);
	assert_int_equal(p->b.in[15], 0xf1);
	assert_int_equal(get_be64(p->b.in + 16), blocks);
}

/* SBC's example: LBAs 15 to 20 and 40 to 100. */
static void tokens_of_small_blocks(void **state)
{
	static const struct range ranges[] = {{15, 6}, {40, 61}};
	struct pair *p = *state;
	uint8_t *bytes = calloc(1, 9 * 4096), *at = p->disk.data;
	unsigned i;

	memcpy(bytes, p->before[0] + 15 * 512, 6 * 512);
	memcpy(bytes + 6 * 512, p->before[0] + 40 * 512, 61 * 512);
	for (i = 0; i < 4; i++) {
		p->b.disk.later = p->disk.later = i & 1;
		p->b.disk.copies = p->disk.copies = i & 2;
		memcpy(at, p->before[1], PAIR_SIZE);
		token_of(p, 0, ranges, 2);
		assert_int_equal(get_be64(token + 56), 67 * 512);
		assert_good(write_using(&p->b, 0, 9, 0, 0,
					(const struct range[]){{7, 1}}, 1));
		transferred(p, 0x01, 1);
		assert_memory_equal(at + 7 * 4096, bytes, 4096);
		/* on from there: LBA 42 */
		assert_good(write_using(&p->b, 0, 9, 0, 1,
					(const struct range[]){{9, 2}}, 1));
		transferred(p, 0x01, 2);
		assert_memory_equal(at + 9 * 4096, bytes + 4096, 2 * 4096);
		/* the last block has 3 of the token's, and zeroes */
		assert_good(write_using(
			&p->b, 0, 9, 0, 7,
			(const struct range[]){{20, 1}, {30, 1}}, 2));
		transferred(p, 0x01, 2);
		assert_memory_equal(at + 20 * 4096, bytes + 7 * 4096, 4096);
		assert_memory_equal(at + 30 * 4096, bytes + 8 * 4096, 4096);
		assert_int_equal(at[31 * 4096], p->before[1][31 * 4096]);
		/* and what is after that is not there */
		assert_good(write_using(&p->b, 0, 9, 0, 8,
					(const struct range[]){{50, 2}}, 1));
		transferred(p, 0x03, 1);
		assert_int_equal(at[51 * 4096], p->before[1][51 * 4096]);
		assert_sense(&p->b,
			     write_using(&p->b, 0, 9, 0, 9,
					 (const struct range[]){{50, 1}}, 1),
			     INVALID_PARAMETER);
		assert_sense(&p->b,
			     write_using(&p->b, 0, 9, 0, UINT64_MAX / 4096 + 2,
					 (const struct range[]){{50, 1}}, 1),
			     INVALID_PARAMETER);
	}
	free(bytes);
}

static void tokens_of_large_blocks(void **state)
{
	static const struct range ranges[] = {{3, 2}, {100, 90}};
	struct pair *p = *state;
	uint8_t *at = p->b.disk.data;
	unsigned i;

	for (i = 0; i < 4; i++) {
		p->b.disk.later = p->disk.later = i & 1;
		p->b.disk.copies = p->disk.copies = i & 2;
		memcpy(at, p->before[0], PAIR_SIZE);
		token_of(p, 1, ranges, 2);
		assert_good(write_using(
			&p->b, 0, 9, 0, 13,
			(const struct range[]){{1001, 5}, {2000, 718}}, 2));
		transferred(p, 0x01, 723);
		assert_memory_equal(at + 1001 * 512,
				    p->before[1] + 3 * 4096 + 13 * 512,
				    3 * 512);
		assert_memory_equal(at + 1004 * 512, p->before[1] + 100 * 4096,
				    2 * 512);
		assert_memory_equal(at + 2000 * 512,
				    p->before[1] + 100 * 4096 + 2 * 512,
				    718 * 512);
		assert_int_equal(at[2718 * 512], p->before[0][2718 * 512]);
		assert_good(write_using(&p->b, 0, 9, 0, 735,
					(const struct range[]){{0, 9}}, 1));
		transferred(p, 0x03, 1);
	}
}

#define PAIR_TEST(f)                                                           \
	cmocka_unit_test_setup_teardown(f, pair_setup, pair_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PAIR_TEST(either_way),
		PAIR_TEST(inexact_segments),
		PAIR_TEST(random_lists),
		PAIR_TEST(bounds),
		PAIR_TEST(tokens_of_small_blocks),
		PAIR_TEST(tokens_of_large_blocks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
