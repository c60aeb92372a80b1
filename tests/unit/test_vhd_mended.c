/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Compacted and repaired files as qemu-img and libvhdi read them.
 * builds: default
 */

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vhd_tools.h"

#define SIZE (32 * MiB)

static uint8_t data[2 * MiB];
static uint8_t base[SIZE], all[SIZE]; /* what a, and what the chain holds */

/* Open the files as a chain, compare with the first. */
static const char chain_script[] =
	"import sys, pyvhdi\n"
	"files = []\n"
	"for name in sys.argv[2:]:\n"
	"    f = pyvhdi.file()\n"
	"    f.open(name)\n"
	"    files.append(f)\n"
	"for child, parent in reversed(list(zip(files, files[1:]))):\n"
	"    assert child.parent_identifier == parent.identifier\n"
	"    child.set_parent(parent)\n"
	"raw = open(sys.argv[1], 'rb').read()\n"
	"data = files[0].read_buffer_at_offset(len(raw), 0)\n"
	"for at in range(0, len(raw), 512):\n"
	"    if data[at:at + 512] != raw[at:at + 512]:\n"
	"        sys.exit(f'{sys.argv[2]}: differs at {at}')\n"
	"assert len(data) == len(raw)\n";

static void put(struct vt *vt, struct vhd_disk *disk, uint64_t offset,
		size_t len, uint32_t seed)
{
	if (seed != 0) {
		vt_pattern(data, len, seed);
	} else {
		memset(data, 0, len);
	}
	assert_int_equal(vt_rw(vt, disk, VHD_WRITE, 0, offset, data, len), 0);
	memcpy(all + offset, data, len);
}

/* a is the parent of b, which is the parent of c. */
static void make_chain(struct vt *vt, const char *a, const char *b,
		       const char *c)
{
	struct vhd_disk *disk = vt_dynamic(vt, a, SIZE, MiB);

	memset(all, 0, SIZE);
	put(vt, disk, 9 * MiB, 2 * MiB, 0); /* to be released */
	put(vt, disk, 1 * MiB, 2 * MiB, 1);
	put(vt, disk, 20 * MiB, 1 * MiB, 2); /* to be moved */
	vhd_close(disk);
	memcpy(base, all, SIZE);
	/* In groups of eight sectors: test_vhd_qemu says why. */
	disk = vt_child(vt, b, a);
	put(vt, disk, 1 * MiB + 8192, 4096, 3);
	put(vt, disk, 20 * MiB + 65536, 8192, 0); /* hides what a has */
	vhd_close(disk);
	disk = vt_child(vt, c, b);
	put(vt, disk, 9 * MiB + 12288, 4096, 4);
	put(vt, disk, 2 * MiB, 1 * MiB, 5);
	vhd_close(disk);
	vt_file_write(vt, "base", 0, base, SIZE);
	vt_file_write(vt, "all", 0, all, SIZE);
	vt_file_write(vt, "chain.py", 0, chain_script, strlen(chain_script));
}

/* All three as others see them. */
static void others_agree(struct vt *vt, const char *ext)
{
	bool vhdx = strcmp(ext, "vhdx") == 0;

	must(vt,
	     talloc_asprintf(vt->mem, "qemu-img compare -f %s -F raw a.%s base",
			     vhdx ? "vhdx" : "vpc", ext));
	if (vhdx) {
		must(vt, "qemu-img check -f vhdx a.vhdx");
	}
	must(vt, talloc_asprintf(vt->mem, "/usr/bin/python3 chain.py base a.%s",
				 ext));
	must(vt, talloc_asprintf(vt->mem,
				 "/usr/bin/python3 chain.py all c.%s b.%s a.%s",
				 ext, ext, ext));
	must(vt, talloc_asprintf(vt->mem,
				 "vhdiinfo a.%s | grep 'Disk type.*Dynamic' && "
				 "vhdiinfo b.%s | grep 'Disk type.*Diff' && "
				 "vhdiinfo c.%s | grep 'Disk type.*Diff'",
				 ext, ext, ext));
}

static void compact(struct vt *vt, const char *name, struct vhd_compact *result)
{
	assert_int_equal(vt_compact_fd(vt, vt_open_fd(vt, name, O_RDWR), name,
				       result),
			 0);
}

/* Zeroes over that part of a file. */
static void wipe(struct vt *vt, const char *name, uint64_t offset, size_t len)
{
	memset(data, 0, len);
	vt_file_write(vt, name, offset, data, len);
}

static void mend(struct vt *vt, const char *name)
{
	struct vhd_check check = vt_check(vt, name, 0);

	assert_int_equal(check.errors, 0);
	assert_true(check.mendable > 0);
	check = vt_check(vt, name, VHD_CHECK_REPAIR);
	assert_int_equal(check.mended, check.mendable);
	check = vt_check(vt, name, 0);
	assert_int_equal(check.errors + check.mendable, 0);
}

static void skip_without_others(void)
{
	if (system("command -v qemu-img >/dev/null && "
		   "command -v vhdiinfo >/dev/null && "
		   "/usr/bin/python3 -c 'import pyvhdi' 2>/dev/null") != 0) {
		print_message("# skip: qemu-img, vhdiinfo or python3-libvhdi "
			      "is not installed\n");
		skip();
	}
}

static void make_and_compact(struct vt *vt, const char *const chain[3],
			     const char *ext, struct vhd_compact *result)
{
	skip_without_others();
	make_chain(vt, chain[0], chain[1], chain[2]);
	others_agree(vt, ext);
	compact(vt, chain[2], result);
	compact(vt, chain[1], result);
	compact(vt, chain[0], result);
	assert_int_equal(result->released, 2);
	assert_true(result->moved > 0);
	others_agree(vt, ext);
}

static void mend_all(struct vt *vt, const char *const chain[3], const char *ext)
{
	for (unsigned i = 0; i < 3; i++) {
		mend(vt, chain[i]);
	}
	others_agree(vt, ext);
}

static void test_vhd(void **state)
{
	struct vt *vt = *state;
	struct vhd_compact result;
	const char *const chain[] = {"a.vhd", "b.vhd", "c.vhd"};

	make_and_compact(vt, chain, "vhd", &result);
	/* The footer, its copy, both of different files. */
	assert_int_equal(truncate(vt_path(vt, "a.vhd"),
				  (off_t)result.size_after - 512),
			 0);
	wipe(vt, "b.vhd", 0, 512);
	wipe(vt, "c.vhd", 0, 512);
	mend_all(vt, chain, "vhd");
}

static void test_vhdx(void **state)
{
	struct vt *vt = *state;
	struct vhd_compact result;
	const char *const chain[] = {"a.vhdx", "b.vhdx", "c.vhdx"};

	make_and_compact(vt, chain, "vhdx", &result);
	/* MS-VHDX 2.2: a header, the other, a region table */
	wipe(vt, "a.vhdx", 64 * 1024, 4096);
	wipe(vt, "b.vhdx", 128 * 1024, 4096);
	wipe(vt, "c.vhdx", 192 * 1024, 65536);
	mend_all(vt, chain, "vhdx");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, vt_setup_memory, vt_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_vhd),
		TEST(test_vhdx),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
