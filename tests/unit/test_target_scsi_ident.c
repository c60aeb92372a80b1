/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Identifying information and the time (SPC-4 5.6, 6.32, 6.38, 6.43). */
#include <time.h>

#include "target_scsi_bench.h"

#define IDENTITY  0x00
#define TEXT	  0x04
#define SUPPORTED 0xfe

static uint8_t set(struct bench *b, uint8_t type, const void *data,
		   uint16_t length, size_t sent)
{
	return bench_io(b,
			CDB(0xa4, 6, 0, 0, 0, 0, 0, 0, (uint8_t)(length >> 8),
			    (uint8_t)length, type, 0),
			12, &(struct bench_io){.out = data, .out_len = sent});
}

static uint8_t report(struct bench *b, uint8_t type)
{
	return RUN(b, 0xa3, 5, 0, 0, 0, 0, 0, 0, 2, 0, type, 0);
}

static void assert_ident(struct bench *b, uint8_t type, const char *expected)
{
	size_t len = strlen(expected) + (type == TEXT && *expected ? 1 : 0);

	assert_good(report(b, type));
	assert_int_equal(b->task.data_in_len, 4 + len);
	assert_int_equal(get_be16(b->in + 2), len);
	assert_memory_equal(b->in + 4, expected, len);
}

static void no_ident(struct bench *b)
{
	assert_ident(b, IDENTITY, "");
}

static void identifying_information(void **state)
{
	struct bench *b = *state, *again = malloc(sizeof(*again));
	struct bench_store store = {.max = 1024};
	uint8_t registration[24] = {[15] = 9, [20] = 0x01};

	/* It cannot be kept. */
	assert_sense(b, set(b, IDENTITY, "1", 1, 1), 0x53900);
	scsi_lu_set_store(b->lu, bench_keep, &store);
	assert_ident(b, IDENTITY, "");
	assert_ident(b, TEXT, "");
	assert_good(report(b, SUPPORTED));
	assert_int_equal(b->task.data_in_len, 12);
	assert_memory_equal(b->in, "\0\0\0\x8\0\0\0\x40\4\0\1\0", 12);

	assert_good(set(b, IDENTITY, "shelf 4", 7, 7));
	assert_int_equal(store.calls, 1);
	assert_ident(b, IDENTITY, "shelf 4");
	assert_sense(b, RUN_AS(b, 1, 0, 0, 0, 0, 0, 0), 0x63f05);
	assert_good(RUN(b, 0, 0, 0, 0, 0, 0));
	/* the same again changes nothing */
	assert_good(set(b, IDENTITY, "shelf 4", 7, 7));
	assert_int_equal(store.calls, 1);
	assert_good(RUN_AS(b, 1, 0, 0, 0, 0, 0, 0));
	assert_good(set(b, TEXT, "of the archive", 15, 15));
	assert_ident(b, TEXT, "of the archive");
	/* a reset leaves it; it is cut, but not its length */
	scsi_lu_reset(b->lu, NULL);
	bench_clear_ua(b);
	assert_good(RUN(b, 0xa3, 5, 0, 0, 0, 0, 0, 0, 0, 6, IDENTITY, 0));
	assert_int_equal(b->task.data_in_len, 6);
	assert_int_equal(get_be16(b->in + 2), 7);

	/* after the next start, beside reservations that are kept */
	assert_good(
		RUN_OUT(b, registration, 24, 0x5f, 0, 0, 0, 0, 0, 0, 0, 24, 0));
	bench_open(again);
	assert_int_equal(scsi_lu_restore(again->lu, store.state, store.len), 0);
	bench_clear_ua(again);
	assert_ident(again, IDENTITY, "shelf 4");
	assert_ident(again, TEXT, "of the archive");
	assert_good(RUN(again, 0x5e, 0, 0, 0, 0, 0, 0, 1, 0, 0));
	assert_int_equal(get_be32(again->in + 4), 8);
	bench_close(again);
	free(again);
	bench_cut(&store, no_ident);

	/* none again */
	assert_good(set(b, IDENTITY, NULL, 0, 0));
	assert_ident(b, IDENTITY, "");
	assert_ident(b, TEXT, "of the archive");
	assert_good(set(b, TEXT, NULL, 0, 0));
	registration[7] = 9;
	registration[15] = 0;
	registration[20] = 0;
	assert_good(
		RUN_OUT(b, registration, 24, 0x5f, 0, 0, 0, 0, 0, 0, 0, 24, 0));
	assert_int_equal(store.len, 0);
	scsi_lu_set_store(b->lu, NULL, NULL);
}

static void identifying_text(void **state)
{
	static const char *const bad[] = {
		"\xff",
		"a\xc3",
		"\xc0\x80",
		"\xe0\x80\x80",
		"\xed\xa0\x80",
		"\xf4\x90\x80\x80",
		"\xf0\x80\x80\x80",
		"\xc3\xc3",
		"\x80",
	};
	struct bench *b = *state;
	struct bench_store store = {.max = 1024};
	uint8_t long_one[257];
	size_t i;

	scsi_lu_set_store(b->lu, bench_keep, &store);
	assert_good(
		set(b, TEXT, "B\xc3\xbc\xe2\x82\xac\xf0\x9f\x92\xbe", 11, 11));
	assert_int_equal(store.calls, 1);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_sense(b,
			     set(b, TEXT, bad[i], (uint16_t)strlen(bad[i]) + 1,
				 strlen(bad[i]) + 1),
			     INVALID_PARAMETER);
		bench_field(b, false, i == 1 ? 1 : 0, 7);
	}
	/* without its null, with another one before */
	assert_sense(b, set(b, TEXT, "ab", 2, 2), INVALID_PARAMETER);
	bench_field(b, false, 1, 7);
	assert_sense(b, set(b, TEXT, "a\0b", 4, 4), INVALID_PARAMETER);
	bench_field(b, false, 1, 7);
	/* lengths; less data than announced */
	memset(long_one, 'x', sizeof(long_one));
	long_one[255] = 0;
	assert_good(set(b, TEXT, long_one, 256, 256));
	assert_sense(b, set(b, TEXT, long_one, 257, 257), INVALID_CDB);
	bench_field(b, true, 6, 7);
	assert_good(set(b, IDENTITY, long_one, 64, 64));
	assert_sense(b, set(b, IDENTITY, long_one, 65, 65), INVALID_CDB);
	assert_sense(b, set(b, IDENTITY, long_one, 64, 63), PARAMETER_LENGTH);
	/* other types */
	assert_sense(b, set(b, 0x08, "x", 1, 1), INVALID_CDB);
	bench_field(b, true, 10, 7);
	assert_sense(b, set(b, SUPPORTED, "x", 1, 1), INVALID_CDB);
	assert_sense(b, report(b, 0x02), INVALID_CDB);
	assert_sense(b, report(b, 0x01), INVALID_CDB);
	scsi_lu_set_store(b->lu, NULL, NULL);
}

static void timestamp(void **state)
{
	struct bench *b = *state;
	uint64_t before = (uint64_t)time(NULL) * 1000, ms;

	assert_good(RUN(b, 0xa3, 0x0f, 0, 0, 0, 0, 0, 0, 0, 255, 0, 0));
	assert_int_equal(b->task.data_in_len, 12);
	assert_int_equal(get_be16(b->in), 10);
	assert_int_equal(b->in[2], 3);
	ms = get_be64(b->in + 2) & 0xffffffffffff;
	assert_true(ms >= before && ms <= ((uint64_t)time(NULL) + 2) * 1000);
	/* SCSIP is 0: setting it is illegal */
	assert_sense(b,
		     RUN_OUT(b, b->in, 12, 0xa4, 0x0f, 0, 0, 0, 0, 0, 0, 0, 12,
			     0, 0),
		     INVALID_CDB);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BENCH_TEST(identifying_information),
		BENCH_TEST(identifying_text),
		BENCH_TEST(timestamp),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
