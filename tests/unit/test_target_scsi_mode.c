/* SPDX-License-Identifier: GPL-3.0-or-later */
/* MODE SENSE and MODE SELECT (SPC-4 6.11 to 6.14, 7.5). */
#include "target_scsi_bench.h"

static const uint8_t caching[20] = {0x08, 0x12, 0x04};
/* an extended self-test of 8 MiB takes a second */
static const uint8_t control[12] = {0x0a, 0x0a, 0x20, 0x10, [11] = 1};

static const uint8_t control_extension[32] = {0x4a, 0x01, 0, 0x1c, 0x05};

/* A mode parameter list of one page for MODE SELECT(6). */
static uint8_t select6(struct bench *b, unsigned who, const uint8_t *page,
		       size_t len)
{
	uint8_t list[64] = {0};

	memcpy(list + 4, page, len);
	return bench_io(b, CDB(0x15, 0x10, 0, 0, (uint8_t)(4 + len), 0), 6,
			&(struct bench_io){.nexus = who,
					   .out = list,
					   .out_len = 4 + len,
					   .split = 3});
}

static void all_pages(void **state)
{
	struct bench *b = *state;

	assert_good(RUN(b, 0x1a, 0, 0x3f, 0, 255, 0));
	assert_int_equal(b->task.data_in_len, 4 + 8 + 12 + 20 + 12 + 12);
	assert_int_equal(b->in[0], b->task.data_in_len - 1);
	assert_int_equal(b->in[2], 0x10); /* DPOFUA, not WP */
	assert_int_equal(b->in[3], 8);
	assert_int_equal(get_be32(b->in + 4), BENCH_BLOCKS);
	assert_int_equal(get_be24(b->in + 9), b->block);
	assert_int_equal(b->in[12], 0x01);
	assert_int_equal(b->in[24], 0x08);
	assert_int_equal(b->in[44], 0x0a);
	assert_int_equal(b->in[56], 0x1c);

	/* (10), long LBA block descriptor */
	assert_good(RUN(b, 0x5a, 0x10, 0x3f, 0xff, 0, 0, 0, 0, 255, 0));
	assert_int_equal(get_be16(b->in), b->task.data_in_len - 2);
	assert_int_equal(b->in[4], 1);
	assert_int_equal(get_be16(b->in + 6), 16);
	assert_int_equal(get_be64(b->in + 8), BENCH_BLOCKS);
	assert_int_equal(get_be32(b->in + 20), b->block);
	assert_int_equal(b->task.data_in_len,
			 8 + 16 + 12 + 20 + 12 + 32 + 12 + 24);
	/* one with its subpages, a subpage by itself */
	assert_good(RUN(b, 0x1a, 0x08, 0x0a, 0xff, 255, 0));
	assert_int_equal(b->task.data_in_len, 4 + 12 + 32);
	assert_good(RUN(b, 0x1a, 0x08, 0x0a, 0x01, 255, 0));
	assert_int_equal(b->task.data_in_len, 4 + 32);
	assert_memory_equal(b->in + 4, control_extension,
			    sizeof(control_extension));
	assert_sense(b, RUN(b, 0x1a, 0x08, 0x3f, 0x01, 255, 0), INVALID_CDB);
	bench_field(b, true, 3, 7);
	/* no block descriptor */
	assert_good(RUN(b, 0x1a, 0x08, 0x08, 0, 255, 0));
	assert_int_equal(b->task.data_in_len, 24);
	assert_memory_equal(b->in + 4, caching, sizeof(caching));
	/* page 0: what comes before pages, and only as it is now */
	assert_good(RUN(b, 0x1a, 0, 0, 0, 255, 0));
	assert_int_equal(b->task.data_in_len, 4 + 8);
	assert_int_equal(b->in[0], 11);
	assert_sense(b, RUN(b, 0x1a, 0, 0x40, 0, 255, 0), INVALID_CDB);
	assert_sense(b, RUN(b, 0x1a, 0, 0, 1, 255, 0), INVALID_CDB);
	/* cut */
	assert_good(RUN(b, 0x1a, 0, 0x3f, 0, 4, 0));
	assert_int_equal(b->task.data_in_len, 4);
}

static void page_control(void **state)
{
	struct bench *b = *state;

	/* changeable */
	assert_good(RUN(b, 0x1a, 0x08, 0x48, 0, 255, 0));
	assert_int_equal(b->in[4 + 2], 0x04);
	assert_int_equal(b->in[4 + 12], 0);
	assert_good(RUN(b, 0x1a, 0x08, 0x4a, 0, 255, 0));
	assert_int_equal(b->in[4 + 2], 0x04);
	assert_int_equal(b->in[4 + 3], 0);
	assert_int_equal(b->in[4 + 4], 0x08);
	/* default */
	assert_good(RUN(b, 0x1a, 0x08, 0x88, 0, 255, 0));
	assert_int_equal(b->in[4 + 2], 0x04);
	/* saved: nothing is */
	assert_sense(b, RUN(b, 0x1a, 0x08, 0xc8, 0, 255, 0), 0x53900);
	/* pages that are not there */
	assert_sense(b, RUN(b, 0x1a, 0x08, 0x05, 0, 255, 0), INVALID_CDB);
	assert_sense(b, RUN(b, 0x1a, 0x08, 0x08, 1, 255, 0), INVALID_CDB);
}

static void write_protection(void **state)
{
	struct bench *b = *state;
	uint8_t page[12], data[512] = {0};

	memcpy(page, control, sizeof(page));
	page[4] = 0x08; /* SWP */
	assert_good(select6(b, 0, page, sizeof(page)));
	assert_good(RUN(b, 0x1a, 0, 0x0a, 0, 255, 0));
	assert_int_equal(b->in[2], 0x90); /* WP */
	/* The header is current, the page the default. */
	assert_good(RUN(b, 0x1a, 0x08, 0x8a, 0, 255, 0));
	assert_int_equal(b->in[2], 0x90);
	assert_int_equal(b->in[4 + 4], 0);
	assert_good(RUN(b, 0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0));
	assert_sense(b, RUN_OUT(b, data, 512, 0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0),
		     0x72702);
	assert_sense(b, RUN_OUT(b, data, 512, 0x41, 0, 0, 0, 0, 0, 0, 0, 1, 0),
		     0x72702);
	assert_sense(b, RUN_OUT(b, data, 8, 0x42, 0, 0, 0, 0, 0, 0, 0, 8, 0),
		     0x72702);
	/* the other nexuses hear of it, once; this one knows */
	assert_sense(b, RUN_AS(b, 1, 0, 0, 0, 0, 0, 0), 0x62a01);
	assert_good(RUN_AS(b, 1, 0, 0, 0, 0, 0, 0));
	assert_good(RUN(b, 0, 0, 0, 0, 0, 0));
	assert_good(select6(b, 0, control, sizeof(control)));
	assert_good(RUN_OUT(b, data, 512, 0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0));
	/* setting what is so already is no change */
	bench_clear_ua(b);
	assert_good(select6(b, 0, control, sizeof(control)));
	assert_good(RUN_AS(b, 1, 0, 0, 0, 0, 0, 0));
}

static void descriptor_sense(void **state)
{
	struct bench *b = *state;
	uint8_t page[12];

	memcpy(page, control, sizeof(page));
	page[2] |= 0x04; /* D_SENSE */
	assert_good(select6(b, 0, page, sizeof(page)));
	assert_sense(b,
		     RUN(b, 0x88, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0),
		     LBA_OUT_OF_RANGE);
	assert_int_equal(b->task.sense[0], 0x72);
	assert_int_equal(b->task.sense[8], 0x00); /* information */
	assert_int_equal(b->task.sense[10], 0x80);
	assert_int_equal(get_be64(b->task.sense + 12), 1ull << 56);
	assert_sense(b, RUN(b, 0x12, 0, 1, 0, 36, 0), INVALID_CDB);
	assert_int_equal(b->task.sense[8], 0x02); /* sense-key specific */
	assert_int_equal(b->task.sense[12], 0xcf);
	assert_int_equal(get_be16(b->task.sense + 13), 2);
	/* a reset brings the default back */
	scsi_lu_reset(b->lu, NULL);
	bench_clear_ua(b);
	assert_sense(b, RUN(b, 0x12, 0, 1, 0, 36, 0), INVALID_CDB);
	assert_int_equal(b->task.sense[0], 0x70);
}

static void select_with_descriptor(void **state)
{
	struct bench *b = *state;
	uint8_t list[8 + 16 + 20] = {0};

	/* (6): short descriptor */
	list[3] = 8;
	put_be32(list + 4, BENCH_BLOCKS);
	put_be24(list + 9, b->block);
	memcpy(list + 12, caching, 20);
	assert_good(RUN_OUT(b, list, 32, 0x15, 0x10, 0, 0, 32, 0));
	put_be24(list + 9, 4096 + 512 - b->block);
	assert_sense(b, RUN_OUT(b, list, 32, 0x15, 0x10, 0, 0, 32, 0),
		     INVALID_PARAMETER);
	bench_field(b, false, 9, 7);
	put_be24(list + 9, b->block);
	put_be32(list + 4, 1);
	assert_sense(b, RUN_OUT(b, list, 32, 0x15, 0x10, 0, 0, 32, 0),
		     INVALID_PARAMETER);
	bench_field(b, false, 4, 7);
	list[3] = 7;
	assert_sense(b, RUN_OUT(b, list, 32, 0x15, 0x10, 0, 0, 32, 0),
		     INVALID_PARAMETER);

	/* (10): long descriptor */
	memset(list, 0, sizeof(list));
	list[4] = 1;
	put_be16(list + 6, 16);
	put_be64(list + 8, BENCH_BLOCKS);
	put_be32(list + 20, b->block);
	memcpy(list + 24, caching, 20);
	assert_good(RUN_OUT(b, list, 44, 0x55, 0x10, 0, 0, 0, 0, 0, 0, 44, 0));
}

static void select_refusals(void **state)
{
	struct bench *b = *state;
	uint8_t page[20];
	unsigned i;

	/* every bit that cannot be changed, at its place */
	for (i = 2 * 8; i < 20 * 8; i++) {
		if (i == 2 * 8 + 2) { /* WCE */
			continue;
		}
		memcpy(page, caching, sizeof(page));
		page[i / 8] ^= (uint8_t)(1 << i % 8);
		assert_sense(b, select6(b, 0, page, sizeof(page)),
			     INVALID_PARAMETER);
		bench_field(b, false, (uint16_t)(4 + i / 8), (int)(i % 8));
	}
	/* an unknown page, a wrong length, PS, subpages, truncation */
	assert_sense(b, select6(b, 0, (const uint8_t[]){0x05, 2, 0, 0}, 4),
		     INVALID_PARAMETER);
	memcpy(page, caching, sizeof(page));
	page[1] = 0x11;
	assert_sense(b, select6(b, 0, page, sizeof(page)), INVALID_PARAMETER);
	bench_field(b, false, 5, 7);
	page[1] = 0x12;
	page[0] = 0x88;
	assert_sense(b, select6(b, 0, page, sizeof(page)), INVALID_PARAMETER);
	page[0] = 0x48;
	assert_sense(b, select6(b, 0, page, sizeof(page)), INVALID_PARAMETER);
	for (i = 1; i < 20; i++) {
		assert_sense(b, select6(b, 0, caching, i), PARAMETER_LENGTH);
	}
	for (i = 1; i < 4; i++) {
		assert_sense(
			b, RUN_OUT(b, page, i, 0x15, 0x10, 0, 0, (uint8_t)i, 0),
			PARAMETER_LENGTH);
	}
	assert_good(RUN(b, 0x15, 0x10, 0, 0, 0, 0));
	/* PF clear, SP set */
	assert_sense(b, RUN(b, 0x15, 0, 0, 0, 24, 0), INVALID_CDB);
	bench_field(b, true, 1, 4);
	assert_sense(b, RUN(b, 0x15, 0x11, 0, 0, 24, 0), INVALID_CDB);
	bench_field(b, true, 1, 0);
}

static void select_subpage(void **state)
{
	struct bench *b = *state;
	uint8_t page[32];
	unsigned i;

	memcpy(page, control_extension, sizeof(page));
	assert_good(select6(b, 0, page, sizeof(page)));
	for (i = 4; i < sizeof(page); i++) {
		page[i] ^= 0x10;
		assert_sense(b, select6(b, 0, page, sizeof(page)),
			     INVALID_PARAMETER);
		bench_field(b, false, (uint16_t)(4 + i), 4);
		page[i] ^= 0x10;
		assert_sense(b, select6(b, 0, page, i), PARAMETER_LENGTH);
	}
	for (i = 1; i < 4; i++) {
		assert_sense(b, select6(b, 0, page, i), PARAMETER_LENGTH);
	}
	page[3]++;
	assert_sense(b, select6(b, 0, page, sizeof(page)), INVALID_PARAMETER);
	bench_field(b, false, 4 + 2, 7);
	page[3]--;
	page[1] = 0x02;
	assert_sense(b, select6(b, 0, page, sizeof(page)), INVALID_PARAMETER);
	bench_field(b, false, 4, 6);
}

/* Nothing of a list is done if any of it is wrong. */
static void select_is_all_or_nothing(void **state)
{
	struct bench *b = *state;
	uint8_t pages[24] = {0};

	memcpy(pages, control, 12);
	pages[4] = 0x08;
	pages[12] = 0x05;
	assert_sense(b, select6(b, 0, pages, 24), INVALID_PARAMETER);
	assert_good(RUN(b, 0x1a, 0, 0x0a, 0, 255, 0));
	assert_int_equal(b->in[2], 0x10);
}

/* ---- saved pages ---- */

static uint8_t caching_saved(struct bench *b, uint8_t control)
{
	assert_good(RUN(b, 0x1a, 0x08, (uint8_t)(control << 6 | 8), 0, 255, 0));
	assert_int_equal(b->in[4], 0x88); /* PS */
	return b->in[6] & 4;
}

static void saved_pages(void **state)
{
	struct bench *b = *state, *again = malloc(sizeof(*again));
	uint8_t list[24] = {[4] = 0x08, [5] = 18};
	struct bench_store store = {.max = 256};

	scsi_lu_set_store(b->lu, bench_keep, &store);
	assert_int_equal(caching_saved(b, 3), 4);
	/* as it is: nothing to store */
	list[6] = 4;
	assert_good(RUN_OUT(b, list, 24, 0x15, 0x11, 0, 0, 24, 0));
	assert_int_equal(store.calls, 0);
	list[6] = 0;
	assert_good(RUN_OUT(b, list, 24, 0x15, 0x10, 0, 0, 24, 0));
	assert_int_equal(caching_saved(b, 0), 0);
	assert_int_equal(caching_saved(b, 3), 4);
	/* SP without pages saves the current values */
	assert_good(RUN_OUT(b, list, 4, 0x15, 0x11, 0, 0, 4, 0));
	assert_int_equal(store.calls, 1);
	assert_int_equal(caching_saved(b, 3), 0);
	assert_int_equal(caching_saved(b, 2), 4);
	/* a reset brings the saved values */
	list[6] = 4;
	assert_good(RUN_OUT(b, list, 24, 0x15, 0x10, 0, 0, 24, 0));
	scsi_lu_reset(b->lu, NULL);
	bench_clear_ua(b);
	assert_int_equal(caching_saved(b, 0), 0);
	/* and so does the next start */
	bench_open(again);
	assert_int_equal(scsi_lu_restore(again->lu, store.state, store.len), 0);
	bench_clear_ua(again);
	scsi_lu_set_store(again->lu, bench_keep, &store);
	assert_int_equal(caching_saved(again, 0), 0);
	assert_int_equal(caching_saved(again, 3), 0);
	bench_close(again);
	free(again);
	bench_cut(&store, NULL);
	/* the defaults again: nothing is left to keep */
	assert_good(RUN_OUT(b, list, 24, 0x15, 0x11, 0, 0, 24, 0));
	assert_int_equal(store.calls, 2);
	assert_int_equal(store.len, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BENCH_TEST(saved_pages),
		BENCH_TEST_BLOCKS(all_pages),
		BENCH_TEST(page_control),
		BENCH_TEST(write_protection),
		BENCH_TEST(descriptor_sense),
		BENCH_TEST_BLOCKS(select_with_descriptor),
		BENCH_TEST(select_refusals),
		BENCH_TEST(select_subpage),
		BENCH_TEST(select_is_all_or_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
