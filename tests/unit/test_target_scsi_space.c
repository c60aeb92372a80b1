/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Thresholds of thin provisioning: pages, unit attentions, log lines. */

#include "target_scsi_bench.h"

#define MB (UINT64_C(1) << 20)
#define GB (1000 * MB)

#define THRESHOLD    0x63807 /* THIN PROVISIONING SOFT THRESHOLD REACHED */
#define MODE_CHANGED 0x62a01

static bool space(struct bench *b, uint64_t available)
{
	return scsi_lu_set_space(b->lu,
				 &(struct vhd_space){.used = 5 * MB,
						     .total = 20 * GB,
						     .available = available});
}

static uint8_t ready(struct bench *b, unsigned who)
{
	return RUN_AS(b, who, 0x00, 0, 0, 0, 0, 0);
}

/* The unit attention, with the offset of the descriptor (SBC-3 4.7.3.7.5). */
static void told(struct bench *b, unsigned who)
{
	assert_sense(b, ready(b, who), THRESHOLD);
	assert_int_equal(b->task.sense[0], 0xf0); /* VALID */
	assert_int_equal(get_be32(b->task.sense + 3), 16);
	assert_good(ready(b, who));
}

/* The page's threshold, by page control: ENABLED and THRESHOLD COUNT. */
static void page(struct bench *b, unsigned control, uint8_t enabled,
		 uint32_t count)
{
	assert_good(RUN(b, 0x1a, 0x08, (uint8_t)(control << 6 | 0x1c), 0x02,
			255, 0));
	assert_int_equal(b->task.data_in_len, 4 + 24);
	assert_int_equal(b->in[4] & 0x7f, 0x5c);
	assert_int_equal(b->in[5], 0x02);
	assert_int_equal(get_be16(b->in + 6), 20);
	assert_int_equal(b->in[20], enabled);
	if (control != 1) {
		assert_int_equal(b->in[21], 0x01);
	}
	assert_int_equal(get_be32(b->in + 24), count);
}

static uint8_t change(struct bench *b, bool save, const uint8_t page[24])
{
	uint8_t list[28] = {0};

	memcpy(list + 4, page, 24);
	return RUN_OUT(b, list, 28, 0x15, save ? 0x11 : 0x10, 0, 0, 28, 0);
}

static void fill_page(uint8_t page[24], bool enabled, uint32_t count)
{
	memset(page, 0, 24);
	page[0] = 0x5c;
	page[1] = 0x02;
	page[3] = 20;
	page[16] = enabled ? 0x80 : 0;
	page[17] = 0x01;
	put_be32(page + 20, count);
}

static uint8_t set(struct bench *b, bool save, bool enabled, uint32_t count)
{
	uint8_t page[24];

	fill_page(page, enabled, count);
	return change(b, save, page);
}

static void pages(void **state)
{
	struct bench *b = *state;

	/* Not known, as of a RAM disk: nothing to be seen or changed. */
	assert_good(RUN(b, 0x4d, 0, 0x4c, 0, 0, 0, 0, 0, 255, 0));
	assert_int_equal(b->task.data_in_len, 4);
	assert_good(RUN(b, 0x1a, 0x08, 0x1c, 0x02, 255, 0));
	assert_int_equal(b->in[20], 0);
	assert_sense(b, set(b, false, true, 1), INVALID_PARAMETER);

	assert_false(space(b, 3 * GB));
	assert_good(RUN(b, 0x4d, 0, 0x4c, 0, 0, 0, 0, 0, 255, 0));
	assert_int_equal(b->task.data_in_len, 28);
	assert_int_equal(get_be16(b->in + 4), 1);
	assert_int_equal(get_be32(b->in + 8), 3000);
	assert_int_equal(get_be16(b->in + 16), 2);
	assert_int_equal(get_be32(b->in + 20), 5);
	assert_good(RUN(b, 0x12, 1, 0xb2, 0, 255, 0));
	assert_int_equal(b->block << b->in[4], MB);

	page(b, 0, 0x80, 2000);
	page(b, 1, 0x80, UINT32_MAX);
	page(b, 2, 0x80, 2000);
	assert_good(RUN(b, 0x1a, 0x08, 0x1c, 0xff, 255, 0));
	assert_int_equal(b->task.data_in_len, 4 + 12 + 24);
	assert_sense(b, RUN(b, 0x1a, 0x08, 0x08, 0x02, 255, 0), INVALID_CDB);
	/* SBC-3 4.7.3.7.5: nothing would be told without LBPERE. */
	assert_good(RUN(b, 0x1a, 0x08, 0x01, 0x00, 255, 0));
	assert_int_equal(b->in[4 + 7], 0x80);
}

static void crossings(void **state)
{
	struct bench *b = *state;

	assert_false(space(b, 3 * GB));
	assert_good(ready(b, 0));
	/* once for each crossing and nexus */
	assert_true(space(b, 2 * GB - 1));
	assert_true(space(b, 1 * GB));
	told(b, 0);
	told(b, 1);
	assert_true(space(b, 1 * GB - 1));
	assert_good(ready(b, 0));
	/* armed again a fifth above it */
	assert_true(space(b, 2 * GB + GB / 5));
	assert_true(space(b, 1 * GB));
	assert_good(ready(b, 0));
	assert_false(space(b, 3 * GB));
	told(b, 2); /* from before */
	assert_good(ready(b, 0));
	assert_true(space(b, 0));
	told(b, 0);
	/* REQUEST SENSE tells it, too */
	assert_good(RUN_AS(b, 1, 0x03, 0, 0, 0, 255, 0));
	assert_int_equal(b->in[0], 0xf0);
	assert_int_equal(get_be32(b->in + 3), 16);
	assert_int_equal(get_be16(b->in + 12), 0x3807);
	/* A reset forgets what has been told. */
	scsi_lu_reset(b->lu, NULL);
	bench_clear_ua(b);
	assert_true(space(b, 0));
	told(b, 1);
	/* A disk that has all its space needs none. */
	assert_false(space(b, 10 * GB));
	assert_false(scsi_lu_set_space(
		b->lu, &(struct vhd_space){.used = b->disk.size, .total = GB}));
	bench_clear_ua(b);
}

static void changes(void **state)
{
	struct bench *b = *state;
	uint8_t wrong[24];
	unsigned i;

	assert_false(space(b, 3 * GB));
	assert_good(set(b, false, true, 2999));
	page(b, 0, 0x80, 2999);
	page(b, 2, 0x80, 2000);
	assert_good(ready(b, 0));
	assert_sense(b, ready(b, 1), MODE_CHANGED);
	assert_good(ready(b, 1));
	/* What it is crossed by at once is told at once, to all. */
	assert_good(set(b, false, true, 3001));
	told(b, 0);
	assert_sense(b, ready(b, 1), MODE_CHANGED);
	told(b, 1);
	/* the same again: nothing has changed */
	assert_good(set(b, false, true, 3001));
	assert_good(ready(b, 1));
	/* disabled */
	assert_good(set(b, false, false, 3001));
	page(b, 0, 0, 3001);
	assert_false(space(b, 1 * GB));
	assert_good(ready(b, 0));
	/* a reset brings back what is saved, here what is configured */
	scsi_lu_reset(b->lu, NULL);
	bench_clear_ua(b);
	page(b, 0, 0x80, 2000);

	for (i = 2; i < 20; i++) {
		fill_page(wrong, true, 7);
		wrong[i] ^= i == 16 ? 0x08 : 0x01;
		assert_sense(b, change(b, false, wrong), INVALID_PARAMETER);
		bench_field(b, false, (uint16_t)(4 + i), i == 16 ? 3 : 0);
	}
	page(b, 0, 0x80, 2000);
	for (i = 0; i < 24; i++) {
		uint8_t list[28] = {0};

		fill_page(list + 4, true, 7);
		assert_int_equal(RUN_OUT(b, list, 4 + i, 0x15, 0x10, 0, 0,
					 (uint8_t)(4 + i), 0),
				 i == 0 ? SCSI_GOOD : SCSI_CHECK_CONDITION);
	}
	page(b, 0, 0x80, 2000);
}

/* ---- saved, and told to the administrator ---- */

static void saved(void **state)
{
	struct bench *b = *state, *again = malloc(sizeof(*again));
	struct bench_store store = {.max = 64};

	scsi_lu_set_store(b->lu, bench_keep, &store);
	assert_false(space(b, 3 * GB));
	assert_good(set(b, true, true, 123));
	assert_true(store.len > 0);
	page(b, 3, 0x80, 123);
	assert_good(set(b, false, true, 124));
	page(b, 0, 0x80, 124);
	scsi_lu_reset(b->lu, NULL);
	bench_clear_ua(b);
	page(b, 0, 0x80, 123);

	bench_open(again);
	assert_int_equal(scsi_lu_restore(again->lu, store.state, store.len), 0);
	bench_clear_ua(again);
	scsi_lu_set_store(again->lu, bench_keep, &store);
	assert_false(space(again, 3 * GB));
	page(again, 0, 0x80, 123);
	page(again, 2, 0x80, 2000);
	page(again, 3, 0x80, 123);
	assert_int_equal(again->in[4], 0xdc); /* PS */
	bench_close(again);
	free(again);
	bench_cut(&store, NULL);
}

static unsigned lines;
static char line[512];

static void note(int level, const char *message)
{
	if (level <= 2) {
		lines++;
		snprintf(line, sizeof(line), "%s", message);
	}
}

static void logged(void **state)
{
	struct bench *b = *state;

	lines = 0;
	scsi_set_log(note);
	space(b, 3 * GB);
	assert_int_equal(lines, 0);
	space(b, 1 * GB);
	space(b, 1 * GB);
	assert_int_equal(lines, 1);
	assert_non_null(strstr(line, "volume C: has 1000 MiB left"));
	assert_non_null(strstr(line, "threshold of 2000 MiB"));
	space(b, 3 * GB);
	assert_int_equal(lines, 2);
	assert_non_null(strstr(line, "volume C: has 3000 MiB left"));
	scsi_set_log(NULL);
	bench_clear_ua(b);
}

/* A volume's name that fills its field has no null. */
static void long_name(void **state)
{
	struct bench *b = *state;
	struct scsi_lu_config config = {.disk = &b->disk,
					.threshold = {.bytes = 2 * GB}};
	struct scsi_lu *lu;
	char expected[64];

	memset(config.volume, 'v', sizeof(config.volume));
	snprintf(expected, sizeof(expected), "volume %.31s has", config.volume);
	lu = scsi_lu_create(&config);
	line[0] = '\0';
	scsi_set_log(note);
	scsi_lu_set_space(lu, &(struct vhd_space){.used = 5 * MB,
						  .total = 20 * GB,
						  .available = GB});
	scsi_set_log(NULL);
	assert_non_null(strstr(line, expected));
	scsi_lu_free(lu);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BENCH_TEST_BLOCKS(pages), BENCH_TEST_BLOCKS(crossings),
		BENCH_TEST(changes),	  BENCH_TEST(saved),
		BENCH_TEST(logged),	  BENCH_TEST(long_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
