/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The checker: what it finds, what it mends, what it leaves alone. */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vhd_helpers.h"

#define SIZE (64 * MiB)
#define BS   (2 * MiB)

static uint8_t big[4096], back[4096];

static int check(struct vt *vt, const char *name, bool repair,
		 struct vhd_check *result)
{
	return vt_check_fd(vt, vt_open_fd(vt, name, repair ? O_RDWR : O_RDONLY),
			   name, repair ? VHD_CHECK_REPAIR : 0, result);
}

static void assert_clean(struct vt *vt, const char *name)
{
	struct vhd_check result;

	assert_int_equal(check(vt, name, false, &result), 0);
	assert_string_equal(result.report, "");
	assert_int_equal(result.errors, 0);
	assert_int_equal(result.mendable, 0);
	assert_int_equal(result.leaked, 0);
}

static void make(struct vt *vt, const char *name)
{
	struct vhd_disk *disk = vt_dynamic(vt, name, SIZE, 0);
	int i;

	for (i = 0; i < 7; i++) {
		vt_pattern(big, 4096, (uint32_t)i);
		assert_int_equal(vt_rw(vt, disk, VHD_WRITE, 0,
				       (uint64_t)(i * 3 % 7) * BS, big, 4096),
				 0);
	}
	vhd_close(disk);
}

static void expect_content(struct vt *vt, const char *name)
{
	struct vhd_disk *disk = NULL;
	int i;

	assert_int_equal(vt_open(vt, name, 0, &disk), 0);
	for (i = 0; i < 7; i++) {
		vt_pattern(big, 4096, (uint32_t)i);
		assert_int_equal(vt_rw(vt, disk, VHD_READ, 0,
				       (uint64_t)(i * 3 % 7) * BS, back, 4096),
				 0);
		assert_memory_equal(big, back, 4096);
	}
	vhd_close(disk);
}

static void test_clean(void **state)
{
	struct vt *vt = *state;
	struct vhd_disk *disk;

	assert_int_equal(vt_create(vt, "f.vhd", SIZE, true), 0);
	assert_clean(vt, "f.vhd");
	make(vt, "d.vhd");
	assert_clean(vt, "d.vhd");
	assert_int_equal(vt_create_child(vt, "c.vhd", "d.vhd"), 0);
	assert_clean(vt, "c.vhd");
	disk = vt_open_chain(vt, "c.vhd", 0);
	assert_int_equal(vt_rw(vt, disk, VHD_WRITE, 0, 0, big, 512), 0);
	vhd_close(disk);
	assert_clean(vt, "c.vhd");
}

static void test_lost_footer(void **state)
{
	struct vt *vt = *state;
	struct vhd_check result;
	uint64_t size;

	make(vt, "d.vhd");
	size = vt_file_size(vt, "d.vhd");
	assert_int_equal(truncate(vt_path(vt, "d.vhd"), (off_t)size - 512), 0);
	assert_int_equal(check(vt, "d.vhd", false, &result), 0);
	assert_int_equal(result.mendable, 1);
	assert_int_equal(result.mended, 0);
	assert_non_null(strstr(result.report, "its copy at 0 is good"));
	assert_int_equal(vt_file_size(vt, "d.vhd"), size - 512);
	assert_int_equal(check(vt, "d.vhd", true, &result), 0);
	assert_int_equal(result.mended, 1);
	assert_int_equal(vt_file_size(vt, "d.vhd"), size);
	assert_clean(vt, "d.vhd");
	expect_content(vt, "d.vhd");
}

static void test_damaged_copy(void **state)
{
	struct vt *vt = *state;
	struct vhd_check result;

	make(vt, "d.vhd");
	vt_file_write(vt, "d.vhd", 100, "x", 1);
	assert_int_equal(check(vt, "d.vhd", true, &result), 0);
	assert_int_equal(result.mended, 1);
	assert_non_null(strstr(result.report, "copy at 0 is damaged"));
	assert_clean(vt, "d.vhd");
	/* Of another disk: which of the two is right? */
	make(vt, "e.vhd");
	vt_file_read(vt, "e.vhd", 0, big, 512);
	vt_file_write(vt, "d.vhd", 0, big, 512);
	assert_int_equal(check(vt, "d.vhd", true, &result), 0);
	assert_int_equal(result.mended, 0);
	assert_int_equal(result.errors, 1);
	assert_non_null(strstr(result.report, "another disk's"));
}

/* As a crash leaves it: appended space in front of the footer. */
static void test_leaks(void **state)
{
	struct vt *vt = *state;
	struct vhd_check result;
	uint8_t footer[512];
	uint64_t size;

	make(vt, "d.vhd");
	size = vt_file_size(vt, "d.vhd");
	vt_file_read(vt, "d.vhd", size - 512, footer, 512);
	vt_file_write(vt, "d.vhd", size + 5 * BS, footer, 512);
	assert_int_equal(check(vt, "d.vhd", false, &result), 0);
	assert_true(result.leaked >= 5 * BS);
	assert_int_equal(result.errors, 0);
	expect_content(vt, "d.vhd");
	assert_int_equal(check(vt, "d.vhd", true, &result), 0);
	assert_true(vt_file_size(vt, "d.vhd") <= size);
	assert_clean(vt, "d.vhd");
	expect_content(vt, "d.vhd");

	/* In the middle: a block that the table has forgotten. */
	vt_file_read(vt, "d.vhd", 1536, big, 512);
	memset(big, 0xff, 4);
	vt_file_write(vt, "d.vhd", 1536, big, 512);
	assert_int_equal(check(vt, "d.vhd", false, &result), 0);
	assert_int_equal(result.errors, 0);
}

static void test_errors(void **state)
{
	struct vt *vt = *state;
	struct vhd_check result;
	struct vhd_disk *disk = NULL;
	uint64_t size;

	make(vt, "d.vhd");
	size = vt_file_size(vt, "d.vhd");
	vt_file_write(vt, "d.vhd", 1536, "\0\0\0\1", 4);
	assert_int_equal(check(vt, "d.vhd", true, &result), 0);
	assert_int_equal(result.errors, 1);
	assert_non_null(strstr(result.report, "block 0 at 512 overlaps"));
	/* Nothing was cut. */
	assert_int_equal(vt_file_size(vt, "d.vhd"), size);

	vt_file_write(vt, "zero", 1 * MiB, "\0", 1);
	assert_int_equal(check(vt, "zero", true, &result), EINVAL);
	assert_non_null(strstr(vt->message, "not a VHD"));
	assert_int_equal(vt_file_size(vt, "zero"), 1 * MiB + 1);

	/* In use. */
	make(vt, "u.vhd");
	assert_int_equal(vt_open(vt, "u.vhd", 0, &disk), 0);
	assert_int_equal(check(vt, "u.vhd", false, &result), EWOULDBLOCK);
	vhd_close(disk);
	assert_clean(vt, "u.vhd");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, vt_setup, vt_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_clean),	 TEST(test_lost_footer),
		TEST(test_damaged_copy), TEST(test_leaks),
		TEST(test_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
