/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The footer's codec and the geometry, without any file. */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "vhd/footer.h"
#include "vhd_helpers.h"

struct geometry {
	uint64_t sectors;
	unsigned cylinders, heads, per_track;
};

/* Worked out by hand from the specification's appendix. */
static const struct geometry geometries[] = {
	/* 8 MiB: 16384/17 = 963 tracks, 4 heads (the least), 240 */
	{16384, 240, 4, 17},
	/* 4 heads' last: 4095 tracks. 4095*17 */
	{69615, 1023, 4, 17},
	/* 4096 tracks: heads = 4, 4096 >= 4*1024: 31 per track, 16 heads;
	 * 69632/31 = 2246, /16 = 140 */
	{69632, 140, 16, 31},
	/* 4097 tracks: heads = (4097+1023)/1024 = 5; 4097/5 = 819 */
	{69649, 819, 5, 17},
	/* 100 MiB: 12047 tracks, 12 heads, 1003 */
	{204800, 1003, 12, 17},
	/* 16383 tracks of 17: heads = 16, 1023 */
	{278511, 1023, 16, 17},
	/* 16384 tracks of 17: >= 16*1024: 31: 278528/31 = 8984, 561 */
	{278528, 561, 16, 31},
	/* 16385 tracks: heads 17 > 16: the same way: 278545/31 = 8985 */
	{278545, 561, 16, 31},
	/* 16383 tracks of 31 */
	{507873, 1023, 16, 31},
	/* 16384 tracks of 31: 63: 507904/63 = 8061, 503 */
	{507904, 503, 16, 63},
	/* 10 GiB: 20971520/63 = 332881, 20805 */
	{20971520, 20805, 16, 63},
	/* Last below 65535*16*63 = 66059280 */
	{66059279, 65534, 16, 63},
	/* From there on 255 per track: 66059280/255 = 259056, 16191 */
	{66059280, 16191, 16, 255},
	/* 100 GiB: 209715200/255 = 822412, 51400 */
	{209715200, 51400, 16, 255},
	/* The largest geometry: 65535*16*255 = 267382800 */
	{267382800, 65535, 16, 255},
	/* Beyond it all are that: 2040 GiB */
	{4278190080, 65535, 16, 255},
};

static void test_geometry(void **state)
{
	size_t i;

	for (i = 0; i < sizeof(geometries) / sizeof(geometries[0]); i++) {
		const struct geometry *g = &geometries[i];
		struct vhd_footer footer = {0};

		vhd_geometry(g->sectors * 512, &footer);
		assert_int_equal(footer.cylinders, g->cylinders);
		assert_int_equal(footer.heads, g->heads);
		assert_int_equal(footer.sectors, g->per_track);
	}
}

static void push_new(uint8_t buf[512], uint64_t size)
{
	struct vhd_footer footer;

	vhd_footer_init(&footer, VHD_TYPE_FIXED, size);
	vhd_footer_push(&footer, buf);
}

/* Sum of all bytes with the checksum's left out, by other means than ours. */
static uint32_t sum_of(const uint8_t *buf, size_t len)
{
	uint32_t sum = 0;
	size_t i;

	for (i = 0; i < len; i++) {
		sum += buf[i];
	}
	for (i = 64; i < 68; i++) {
		sum -= buf[i];
	}
	return ~sum;
}

static void fix_checksum(uint8_t *buf, size_t len)
{
	uint32_t sum = sum_of(buf, len);

	buf[64] = (uint8_t)(sum >> 24);
	buf[65] = (uint8_t)(sum >> 16);
	buf[66] = (uint8_t)(sum >> 8);
	buf[67] = (uint8_t)sum;
}

static void test_bytes(void **state)
{
	/* 2000-01-01 is 946684800 in Unix time. */
	uint32_t before = (uint32_t)(time(NULL) - 946684800);
	uint32_t after, stamp;
	uint8_t buf[512];
	uint32_t sum;

	push_new(buf, 100 * MiB);
	after = (uint32_t)(time(NULL) - 946684800);
	assert_memory_equal(buf, "conectix\0\0\0\2\0\1\0\0", 16);
	assert_memory_equal(buf + 16, "\xff\xff\xff\xff\xff\xff\xff\xff", 8);
	stamp = (uint32_t)buf[24] << 24 | (uint32_t)buf[25] << 16 |
		(uint32_t)buf[26] << 8 | buf[27];
	assert_in_range(stamp, before, after);
	assert_memory_equal(buf + 28, "win ", 4);
	assert_memory_equal(buf + 36, "Wi2k", 4);
	assert_memory_equal(buf + 40, "\0\0\0\0\x06\x40\0\0", 8);
	assert_memory_equal(buf + 48, "\0\0\0\0\x06\x40\0\0", 8);
	/* 1003 cylinders, 12 heads, 17 sectors; type 2 */
	assert_memory_equal(buf + 56, "\x03\xeb\x0c\x11\0\0\0\2", 8);
	sum = sum_of(buf, 512);
	assert_int_equal((uint32_t)buf[64] << 24 | (uint32_t)buf[65] << 16 |
				 (uint32_t)buf[66] << 8 | buf[67],
			 sum);
	assert_false(vt_is_zero(buf + 68, 16));
	assert_int_equal(buf[84], 0);
	assert_true(vt_is_zero(buf + 85, 427));
}

static void test_unique(void **state)
{
	uint8_t a[512], b[512];

	push_new(a, 8 * MiB);
	push_new(b, 8 * MiB);
	assert_memory_not_equal(a + 68, b + 68, 16);
}

static void test_round_trip(void **state)
{
	struct vhd_footer in, out;
	uint8_t buf[512];
	char why[200];

	vhd_footer_init(&in, VHD_TYPE_FIXED, 123 * MiB);
	in.saved_state = true;
	vhd_footer_push(&in, buf);
	assert_int_equal(vhd_footer_pull(buf, 512, &out, why, sizeof(why)), 0);
	assert_int_equal(out.current_size, 123 * MiB);
	assert_int_equal(out.original_size, 123 * MiB);
	assert_int_equal(out.timestamp, in.timestamp);
	assert_int_equal(out.cylinders, in.cylinders);
	assert_int_equal(out.heads, in.heads);
	assert_int_equal(out.sectors, in.sectors);
	assert_int_equal(out.type, VHD_TYPE_FIXED);
	assert_int_equal(out.data_offset, UINT64_MAX);
	assert_memory_equal(out.unique_id, in.unique_id, 16);
	assert_true(out.saved_state);
}

/* Our mark of a growth under way: of fixed disks only, whose data begin at the
 * start of the file. */
static void test_mark(void **state)
{
	struct vhd_footer in, out;
	uint8_t buf[512];
	char why[200];

	vhd_footer_init(&in, VHD_TYPE_FIXED, 123 * MiB);
	in.stale_from = 8 * MiB;
	in.stale_to = 8 * MiB + 512;
	vhd_footer_push(&in, buf);
	assert_int_equal(vhd_footer_pull(buf, 512, &out, why, sizeof(why)), 0);
	assert_int_equal(out.stale_from, 8 * MiB);
	assert_int_equal(out.stale_to, 8 * MiB + 512);
	in.type = VHD_TYPE_DYNAMIC;
	vhd_footer_push(&in, buf);
	assert_int_equal(vhd_footer_pull(buf, 512, &out, why, sizeof(why)), 0);
	assert_int_equal(out.stale_from, 0);
	assert_int_equal(out.stale_to, 0);
}

struct hostile {
	const char *says; /* the message has to contain this */
	size_t offset;
	uint8_t bytes[8];
	size_t len;
	bool keep_checksum;
};

static const struct hostile hostile[] = {
	{"cookie", 0, "konectix", 8, false},
	{"checksum", 200, {1}, 1, true},
	{"checksum", 64, {0, 0, 0, 0}, 4, true},
	{"version", 12, {0, 2, 0, 0}, 4, false},
	{"disk type 0", 60, {0, 0, 0, 0}, 4, false},
	{"disk type 1", 60, {0, 0, 0, 1}, 4, false},
	{"disk type 5", 60, {0, 0, 0, 5}, 4, false},
	{"size 0", 48, {0}, 8, false},
	{"size 1000", 48, {0, 0, 0, 0, 0, 0, 3, 0xe8}, 8, false},
	{"limit", 48, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe, 0}, 8, false},
	/* 2040 GiB and a sector */
	{"limit", 48, {0, 0, 1, 0xfe, 0, 0, 2, 0}, 8, false},
};

static void test_hostile(void **state)
{
	size_t i;

	for (i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++) {
		const struct hostile *h = &hostile[i];
		struct vhd_footer footer;
		uint8_t buf[512];
		char why[200] = "";

		push_new(buf, 8 * MiB);
		memcpy(buf + h->offset, h->bytes, h->len);
		if (!h->keep_checksum) {
			fix_checksum(buf, 512);
		}
		assert_int_equal(vhd_footer_pull(buf, 512, &footer, why,
						 sizeof(why)),
				 EINVAL);
		if (strstr(why, h->says) == NULL) {
			fail_msg("\"%s\" does not mention \"%s\"", why,
				 h->says);
		}
	}
}

/* 2040 GiB itself is allowed. */
static void test_largest(void **state)
{
	struct vhd_footer footer;
	uint8_t buf[512];
	char why[200];

	push_new(buf, VHD_MAX_SIZE);
	assert_int_equal(vhd_footer_pull(buf, 512, &footer, why, sizeof(why)),
			 0);
	assert_int_equal(vhd_footer_check_fixed(&footer, 512,
						VHD_MAX_SIZE + 512, why,
						sizeof(why)),
			 0);
}

static void test_against_file_size(void **state)
{
	struct vhd_footer footer;
	uint8_t buf[512];
	char why[200];

	push_new(buf, 8 * MiB);
	assert_int_equal(vhd_footer_pull(buf, 512, &footer, why, sizeof(why)),
			 0);
	assert_int_equal(vhd_footer_check_fixed(&footer, 512, 8 * MiB + 512,
						why, sizeof(why)),
			 0);
	assert_int_equal(vhd_footer_check_fixed(&footer, 512, 8 * MiB + 511,
						why, sizeof(why)),
			 EINVAL);
	assert_non_null(strstr(why, "truncated"));
	assert_int_equal(vhd_footer_check_fixed(&footer, 512, 511, why,
						sizeof(why)),
			 EINVAL);
	footer.type = VHD_TYPE_DYNAMIC;
	assert_int_equal(vhd_footer_check_fixed(&footer, 512, 8 * MiB + 512,
						why, sizeof(why)),
			 EINVAL);
}

static void test_find(void **state)
{
	uint8_t tail[512] = {0}, buf[512];
	struct vhd_footer footer;
	char why[200];

	assert_int_equal(vhd_footer_find(tail), 0);
	push_new(buf, 8 * MiB);
	assert_int_equal(vhd_footer_find(buf), 512);
	/* The old, short footer: the last byte of data comes first. */
	memcpy(tail + 1, buf, 511);
	tail[0] = 'x';
	assert_int_equal(vhd_footer_find(tail), 511);
	assert_int_equal(
		vhd_footer_pull(tail + 1, 511, &footer, why, sizeof(why)), 0);
	assert_int_equal(footer.current_size, 8 * MiB);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_geometry),
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_unique),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_mark),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_largest),
		cmocka_unit_test(test_against_file_size),
		cmocka_unit_test(test_find),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
