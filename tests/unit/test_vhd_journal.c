/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The file of the journal of atomic writes: where it is, whom it is trusted
 * from, and what is done without one. What is in it: test_vhd_atomic. */

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vhd/record.h"
#include "vhd_atomic.h"

/* Where none can be made nothing is written, and the disk goes on. */
static void test_no_journal(void **state)
{
	struct vt *vt = *state;
	struct vhd_disk *disk = vt_disk(vt, "a.vhd", SIZE, true);
	uint8_t data[4096], back[4096];

	vt_pattern(data, sizeof(data), 5);
	assert_int_equal(mkdir(vt_path(vt, ".a.vhd.atomic"), 0700), 0);
	assert_int_equal(write_atomic(vt, disk, 0, data, 4096), EIO);
	assert_int_equal(vt_rw(vt, disk, VHD_READ, 0, 0, back, 4096), 0);
	assert_true(vt_is_zero(back, 4096));
	assert_int_equal(vt_rw(vt, disk, VHD_WRITE, 0, 4096, data, 4096), 0);
	assert_int_equal(rmdir(vt_path(vt, ".a.vhd.atomic")), 0);
	assert_int_equal(write_atomic(vt, disk, 0, data, 4096), 0);
	/* The disk's file is gone from its folder. */
	assert_int_equal(unlink(vt_path(vt, "a.vhd")), 0);
	assert_int_equal(write_atomic(vt, disk, 0, data, 4096), EIO);
	vhd_close(disk);
	assert_int_equal(count_journals(vt), 0);
}

static bool modes_ignored;

/* In place of libc's: of a volume where everybody may write everything. */
int fstat(int fd, struct stat *st)
{
	int ret = fstatat(fd, "", st, AT_EMPTY_PATH);

	if (ret == 0 && modes_ignored) {
		st->st_mode |= 0666;
	}
	return ret;
}

/* A journal that nobody would believe in after a crash is no promise. */
static void test_modes_ignored(void **state)
{
	struct vt *vt = *state;
	struct vhd_disk *disk = vt_disk(vt, "a.vhd", SIZE, true);
	uint8_t data[4096], back[4096];

	vt_pattern(data, sizeof(data), 5);
	assert_true(vhd_disk_writes_atomic(disk));
	modes_ignored = true;
	assert_int_equal(write_atomic(vt, disk, 0, data, 4096), EOPNOTSUPP);
	modes_ignored = false;
	assert_false(vhd_disk_writes_atomic(disk));
	assert_int_equal(count_journals(vt), 0);
	assert_int_equal(vt_rw(vt, disk, VHD_READ, 0, 0, back, 4096), 0);
	assert_true(vt_is_zero(back, 4096));
	/* It does not try again each time. */
	assert_int_equal(write_atomic(vt, disk, 0, data, 4096), EOPNOTSUPP);
	assert_int_equal(vt_rw(vt, disk, VHD_WRITE, VHD_FUA, 0, data, 4096), 0);
	vhd_close(disk);
	assert_int_equal(vt_open(vt, "a.vhd", 0, &disk), 0);
	assert_true(vhd_disk_writes_atomic(disk));
	assert_int_equal(write_atomic(vt, disk, 0, data, 4096), 0);
	/* Mounted anew with such options. */
	modes_ignored = true;
	assert_int_equal(write_atomic(vt, disk, 0, data, 4096), EOPNOTSUPP);
	modes_ignored = false;
	assert_false(vhd_disk_writes_atomic(disk));
	assert_int_equal(count_journals(vt), 0);
	vhd_close(disk);
}

static bool nameless_refused, nameless_tried;

/* In place of libc's: of a volume without O_TMPFILE. */
int openat(int dir, const char *name, int flags, ...)
{
	va_list args;
	mode_t mode;

	va_start(args, flags);
	mode = (flags & (O_CREAT | __O_TMPFILE)) != 0 ? va_arg(args, mode_t)
						      : 0;
	va_end(args);
	if ((flags & O_TMPFILE) == O_TMPFILE) {
		nameless_tried = true;
		if (nameless_refused) {
			errno = EOPNOTSUPP;
			return -1;
		}
	}
	return (int)syscall(SYS_openat, dir, name, flags, mode);
}

/* Known as soon as the disk is open, and nothing is left in its folder. */
static void test_modes_ignored_at_open(void **state)
{
	struct vt *vt = *state;
	struct vhd_disk *disk = vt_disk(vt, "a.vhd", SIZE, true);
	uint8_t data[4096] = {1};
	struct stat before, after;
	unsigned i;

	vhd_close(disk);
	for (i = 0; i < 4; i++) {
		modes_ignored = i & 1;
		nameless_refused = i & 2;
		nameless_tried = false;
		assert_int_equal(stat(vt->dir, &before), 0);
		assert_int_equal(vt_open(vt, "a.vhd", 0, &disk), 0);
		assert_int_equal(stat(vt->dir, &after), 0);
		assert_true(nameless_tried);
		assert_int_equal(count_journals(vt), 0);
		if (!nameless_refused) {
			assert_memory_equal(&before.st_mtim, &after.st_mtim,
					    sizeof(before.st_mtim));
		}
		assert_int_equal(vhd_disk_writes_atomic(disk), !modes_ignored);
		modes_ignored = false;
		assert_int_equal(write_atomic(vt, disk, 0, data, 4096),
				 i & 1 ? EOPNOTSUPP : 0);
		vhd_close(disk);
	}
	/* Of one that is not written to nobody asks. */
	nameless_tried = false;
	assert_int_equal(vt_open(vt, "a.vhd", VHD_OPEN_READONLY, &disk), 0);
	assert_false(nameless_tried);
	vhd_close(disk);
}

/* Where its name is all that could be tried, what lies there tells; if it is
 * not to be trusted it stays. */
static void test_not_trusted_at_open(void **state)
{
	struct vt *vt = *state;
	struct vhd_disk *disk = vt_disk(vt, "a.vhd", SIZE, true);
	const char *path = vt_path(vt, ".a.vhd.atomic");
	uint8_t data[4096] = {1};
	unsigned i;

	vhd_close(disk);
	nameless_refused = true;
	for (i = 0; i < 2; i++) {
		if (i == 0) {
			assert_int_equal(mkdir(path, 0700), 0);
		} else {
			vt_file_write(vt, ".a.vhd.atomic", 0, data, 512);
			assert_int_equal(chmod(path, 0666), 0);
		}
		assert_int_equal(vt_open(vt, "a.vhd", 0, &disk), 0);
		assert_false(vhd_disk_writes_atomic(disk));
		assert_int_equal(write_atomic(vt, disk, 0, data, 4096),
				 EOPNOTSUPP);
		vhd_close(disk);
		assert_int_equal(remove(path), 0);
	}
	nameless_refused = false;
}

/* It follows the disk. */
static void test_moved(void **state)
{
	struct vt *vt = *state;
	struct vhd_disk *disk = vt_disk(vt, "a.vhd", SIZE, true);
	uint8_t data[4096] = {1};

	assert_int_equal(write_atomic(vt, disk, 0, data, 4096), 0);
	assert_true(exists(vt, ".a.vhd.atomic"));
	assert_int_equal(mkdir(vt_path(vt, "sub"), 0700), 0);
	assert_int_equal(rename(vt_path(vt, "a.vhd"), vt_path(vt, "sub/c.vhd")),
			 0);
	assert_int_equal(write_atomic(vt, disk, 0, data, 4096), 0);
	assert_false(exists(vt, ".a.vhd.atomic"));
	assert_true(exists(vt, "sub/.c.vhd.atomic"));
	vhd_close(disk);
	assert_false(exists(vt, "sub/.c.vhd.atomic"));
}

/* What has come to its old place is left alone. */
static void test_place_taken(void **state)
{
	struct vt *vt = *state;
	struct vhd_disk *a = vt_disk(vt, "a.vhd", SIZE, true), *b;
	uint8_t data[4096] = {1};

	assert_int_equal(write_atomic(vt, a, 0, data, 4096), 0);
	assert_int_equal(rename(vt_path(vt, "a.vhd"), vt_path(vt, "b.vhd")), 0);
	b = vt_disk(vt, "a.vhd", SIZE, true);
	assert_int_equal(write_atomic(vt, b, 0, data, 4096), 0);
	assert_int_equal(count_journals(vt), 1);
	assert_int_equal(write_atomic(vt, a, 0, data, 4096), 0);
	assert_int_equal(count_journals(vt), 2);
	/* Removed by somebody: a new one. */
	assert_int_equal(unlink(vt_path(vt, ".a.vhd.atomic")), 0);
	assert_int_equal(write_atomic(vt, b, 0, data, 4096), 0);
	assert_true(exists(vt, ".a.vhd.atomic"));
	vhd_close(a);
	vhd_close(b);
	assert_int_equal(count_journals(vt), 0);
}

/* One that is not to be trusted any more is no promise: there is a new one. */
static void test_trust_lost(void **state)
{
	static const char journal[] = ".a.vhd.atomic", copy[] = "copy";
	struct vt *vt = *state;
	struct vhd_disk *disk = vt_disk(vt, "a.vhd", SIZE, true);
	uint8_t data[4096] = {1};
	struct stat st;
	unsigned i;

	for (i = 0; i < 3; i++) {
		assert_int_equal(write_atomic(vt, disk, 0, data, 4096), 0);
		/* What chmod -R g+w, o+w and cp -al on the volume do. */
		if (i < 2) {
			assert_int_equal(chmod(vt_path(vt, journal),
					       i == 0 ? 0620 : 0602),
					 0);
		} else {
			assert_int_equal(link(vt_path(vt, journal),
					      vt_path(vt, copy)),
					 0);
		}
		assert_int_equal(write_atomic(vt, disk, 0, data, 4096), 0);
		assert_int_equal(stat(vt_path(vt, journal), &st), 0);
		assert_int_equal(st.st_mode, S_IFREG | 0600);
		assert_int_equal(st.st_nlink, 1);
	}
	/* The other name is nobody's business here. */
	assert_int_equal(unlink(vt_path(vt, copy)), 0);
	vhd_close(disk);
	assert_int_equal(count_journals(vt), 0);
}

static void test_names(void **state)
{
	char name[256], other[256], disk[256];

	assert_true(vhd_journal_name("a.vhd", name, sizeof(name)));
	assert_string_equal(name, ".a.vhd.atomic");
	memset(disk, 'x', 255);
	disk[255] = '\0';
	assert_true(vhd_journal_name(disk, name, sizeof(name)));
	disk[254] = 'y';
	assert_true(vhd_journal_name(disk, other, sizeof(other)));
	assert_string_not_equal(name, other);
	assert_false(vhd_journal_name(disk, name, 100));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, vt_setup_memory, vt_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_no_journal),
		TEST(test_modes_ignored),
		TEST(test_modes_ignored_at_open),
		TEST(test_not_trusted_at_open),
		TEST(test_moved),
		TEST(test_place_taken),
		TEST(test_trust_lost),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
