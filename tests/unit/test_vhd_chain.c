/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Differencing disks: chains, parents that are missing or not the right ones,
 * and the paths that name them. Which one is found: test_vhd_parents. */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vhd/dynheader.h"
#include "vhd_patterns.h"

#define SIZE (64 * MiB)
#define BS   (2 * MiB)

static void test_chain(void **state)
{
	struct vt *vt = *state;
	struct vhd_disk *disk = vt_disk(vt, "base.vhd", SIZE, true);
	struct vhd_info info;
	uint8_t *before, *after;
	struct stat st;

	write_at(vt, disk, 0, 65536, 1);
	vhd_close(disk);
	before = malloc(65536);
	after = malloc(65536);
	vt_file_read(vt, "base.vhd", 0, before, 65536);

	disk = vt_child(vt, "one.vhd", "base.vhd");
	vhd_disk_info(disk, &info);
	assert_int_equal(info.type, VHD_TYPE_DIFFERENCING);
	assert_string_equal(info.parent, "C:\\d\\base.vhd");
	assert_int_equal(info.allocated, 0);
	expect_at(vt, disk, 0, 65536, 1);
	expect_zero(vt, disk, 1 * MiB, 65536);
	write_at(vt, disk, 4096 + 512, 1024, 2);
	write_at(vt, disk, 30 * MiB, 4096, 3);
	/* Reading does not allocate, zeroing hides. */
	assert_int_equal(vt_rw(vt, disk, VHD_DISCARD, 0, 8192, NULL, 4096), 0);
	vhd_close(disk);

	disk = vt_child(vt, "two.vhd", "one.vhd");
	write_at(vt, disk, 5 * BS, 4096, 4);
	vhd_close(disk);
	disk = vt_open_chain(vt, "two.vhd", 0);
	vt_pattern(big, 65536, 1);
	vt_pattern(big + 4096 + 512, 1024, 2);
	memset(big + 8192, 0, 4096);
	assert_int_equal(vt_rw(vt, disk, VHD_READ, 0, 0, back, 65536), 0);
	assert_memory_equal(big, back, 65536);
	expect_at(vt, disk, 30 * MiB, 4096, 3);
	expect_at(vt, disk, 5 * BS, 4096, 4);
	/* Growth beyond the parents: zeroes there. */
	assert_int_equal(vt_grow(vt, disk, 8 * MiB), 0);
	expect_zero(vt, disk, SIZE, 4 * MiB);
	expect_at(vt, disk, 30 * MiB, 4096, 3);
	vhd_close(disk);

	/* The parent is as it was. */
	vt_file_read(vt, "base.vhd", 0, after, 65536);
	assert_memory_equal(before, after, 65536);
	assert_int_equal(stat(vt_path(vt, "base.vhd"), &st), 0);
	free(before);
	free(after);
}

/* Without its parent nothing is served of a disk: absent is not zero. */
static void test_without_parent(void **state)
{
	static const char *const name[][2] = {{"base.vhd", "c.vhd"},
					      {"base.vhdx", "c.vhdx"}};
	struct vt *vt = *state;
	struct vhd_disk *child = NULL, *parent = NULL;
	struct vhd_disk *to = vt_dynamic(vt, "to.vhd", SIZE, 0);
	unsigned i;

	for (i = 0; i < 2; i++) {
		const char *journal = talloc_asprintf(vt->mem, "%s/.%s.atomic",
						      vt->dir, name[i][1]);
		struct vhd_req copy = {.op = VHD_COPY, .length = BS};
		uint64_t length;

		vhd_close(vt_disk(vt, name[i][0], SIZE, true));
		assert_int_equal(vt_create_child(vt, name[i][1], name[i][0]),
				 0);
		assert_int_equal(vt_open(vt, name[i][1], 0, &child), 0);
		assert_int_equal(vt_rw(vt, child, VHD_READ, 0, 0, back, 512),
				 EIO);
		assert_int_equal(vt_rw(vt, child, VHD_WRITE, 0, 0, back, 512),
				 EIO);
		assert_int_equal(vt_rw(vt, child, VHD_WRITE, VHD_FUA, 0, back,
				       512),
				 EIO);
		assert_int_equal(vt_rw(vt, child, VHD_ZERO, 0, 0, NULL, BS),
				 EIO);
		assert_int_equal(vt_rw(vt, child, VHD_DISCARD, 0, 0, NULL, BS),
				 EIO);
		assert_int_equal(vt_rw(vt, child, VHD_COMPARE_AND_WRITE, 0, 0,
				       back, 512),
				 EIO);
		assert_int_equal(vt_rw(vt, child, VHD_WRITE_ATOMIC, 0, 0, back,
				       512),
				 EIO);
		assert_int_equal(access(journal, F_OK), -1);
		assert_int_equal(vt_rw(vt, child, VHD_FLUSH, 0, 0, NULL, 0),
				 EIO);
		/* Nor is it told that there is nothing. */
		length = BS;
		assert_true(vhd_disk_mapped(child, 0, &length));
		copy.source = child;
		assert_int_equal(vt_run(vt->io, vt->ev, to, &copy), EIO);
		/* What is wrong, or nothing, is so before. */
		assert_int_equal(vt_rw(vt, child, VHD_READ, 0, SIZE, back, 512),
				 EINVAL);
		assert_int_equal(vt_rw(vt, child, VHD_READ, 0, 0, NULL, 0), 0);
		assert_int_equal(vt_rw(vt, child, VHD_YIELD, 0, 0, NULL, 0), 0);

		assert_int_equal(
			vt_open(vt, name[i][0], VHD_OPEN_READONLY, &parent), 0);
		assert_int_equal(vhd_set_parent(child, parent, 0, &vt->message),
				 0);
		expect_zero(vt, child, 0, 4096);
		assert_int_equal(vt_rw(vt, child, VHD_FLUSH, 0, 0, NULL, 0), 0);
		vhd_close(child);
	}
	vhd_close(to);
}

static void test_wrong_parents(void **state)
{
	struct vt *vt = *state;
	struct vhd_disk *child = NULL, *parent = NULL;
	struct timespec times[2] = {{.tv_sec = 1700000000},
				    {.tv_sec = 1700000000}};
	char *message;

	vhd_close(vt_disk(vt, "base.vhd", SIZE, true));
	vhd_close(vt_disk(vt, "other.vhd", SIZE, true));
	assert_int_equal(vt_create_child(vt, "c.vhd", "base.vhd"), 0);
	assert_int_equal(vt_open(vt, "c.vhd", 0, &child), 0);
	assert_int_equal(vt_open(vt, "other.vhd", VHD_OPEN_READONLY, &parent),
			 0);
	assert_int_equal(vhd_set_parent(child, parent, 0, &message), EINVAL);
	assert_non_null(strstr(message, "unique id"));
	vhd_close(parent);
	/* Not read-only: somebody might write to it. */
	assert_int_equal(vt_open(vt, "base.vhd", 0, &parent), 0);
	assert_int_equal(vhd_set_parent(child, parent, 0, &message), EINVAL);
	vhd_close(parent);
	/* Changed since. */
	assert_int_equal(utimensat(AT_FDCWD, vt_path(vt, "base.vhd"), times, 0),
			 0);
	assert_int_equal(vt_open(vt, "base.vhd", VHD_OPEN_READONLY, &parent),
			 0);
	assert_int_equal(vhd_set_parent(child, parent, 0, &message), ESTALE);
	assert_non_null(strstr(message, "changed since"));
	assert_int_equal(vhd_set_parent(parent, child, 0, NULL), EINVAL);
	assert_int_equal(
		vhd_set_parent(child, parent, VHD_PARENT_ANY_TIME, NULL), 0);
	expect_zero(vt, child, 0, 4096);
	assert_int_equal(vhd_set_parent(child, parent, 0, NULL), EINVAL);
	vhd_close(child);
}

static void test_utf16(void **state)
{
	static const char *const paths[] = {
		"C:\\a.vhd",
		"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", /* 2, 3 and 4 bytes */
		"",
	};
	static const char *const bad[] = {
		"\x80",		"\xc0\x80",	    "\xe0\x80\x80",
		"\xed\xa0\x80", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80",
		"a\xe2\x82",
	};
	uint8_t utf16[64];
	char path[64];
	size_t i;
	int n;

	for (i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		n = vhd_utf16_push(paths[i], i % 2, utf16, sizeof(utf16));
		assert_true(n >= 0);
		assert_int_equal(vhd_utf16_pull(utf16, (size_t)n, i % 2, path,
						sizeof(path)),
				 0);
		assert_string_equal(path, paths[i]);
	}
	assert_int_equal(vhd_utf16_push(paths[1], true, utf16, 64), 8);
	assert_memory_equal(utf16, "\x00\xe4\x20\xac\xd8\x3d\xde\x00", 8);
	assert_int_equal(vhd_utf16_push(paths[1], true, utf16, 7), -1);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(vhd_utf16_push(bad[i], true, utf16, 64), -1);
	}
	/* Lone and swapped surrogates, no room. */
	assert_int_equal(vhd_utf16_pull((const uint8_t *)"\xd8\x3d", 2, true,
					path, 64),
			 EINVAL);
	assert_int_equal(vhd_utf16_pull((const uint8_t *)"\xde\x00\xd8\x3d", 4,
					true, path, 64),
			 EINVAL);
	assert_int_equal(vhd_utf16_pull((const uint8_t *)"\0a\0b", 4, true,
					path, 2),
			 EINVAL);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, vt_setup, vt_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_chain),
		TEST(test_without_parent),
		TEST(test_wrong_parents),
		cmocka_unit_test(test_utf16),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
