/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What we write is read by qemu-img and libvhdi's vhdiinfo, what qemu-img
 * writes is read by us. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vhd_patterns.h"
#include "vhd_tools.h"

#define LEN (2 * MiB)

/* Open the files as a chain, compare with raw. */
static const char chain_script[] =
	"import sys, pyvhdi\n"
	"files = []\n"
	"for name in sys.argv[1:]:\n"
	"    f = pyvhdi.file()\n"
	"    f.open(name)\n"
	"    files.append(f)\n"
	"for child, parent in reversed(list(zip(files, files[1:]))):\n"
	"    assert child.parent_identifier == parent.identifier\n"
	"    child.set_parent(parent)\n"
	"raw = open('raw', 'rb').read()\n"
	"data = files[0].read_buffer_at_offset(len(raw), 0)\n"
	"sys.exit(data != raw)\n";

/* Sizes whose geometry is smaller than the disk: qemu has to take the size
 * from the footer. */
static void test_sizes_for_qemu(void **state)
{
	struct vt *vt = *state;
	static const uint64_t sizes[] = {
		8 * MiB,   8 * MiB + 512, 100 * MiB,	      100 * GiB,
		127 * GiB, 200 * GiB,	  VHD_MAX_SIZE - 512, VHD_MAX_SIZE,
	};
	size_t i;

	if (!have("qemu-img")) {
		print_message("# skip: qemu-img is not installed\n");
		skip();
	}
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		char what[100];

		assert_int_equal(vt_create(vt, "a.vhd", sizes[i], true), 0);
		snprintf(what, sizeof(what), "\"virtual-size\": %llu,",
			 (unsigned long long)sizes[i]);
		must_say(vt, "qemu-img info -f vpc --output=json a.vhd", what);
		unlink(vt_path(vt, "a.vhd"));
	}
}

static void test_qemu_reads_ours(void **state)
{
	struct vt *vt = *state;
	struct vhd_disk *disk;

	if (!have("qemu-img") || !have("qemu-io")) {
		print_message("# skip: qemu-img or qemu-io is not installed\n");
		skip();
	}
	disk = vt_disk(vt, "ours.vhd", 20 * MiB + 512, true);
	vt_pattern(big, LEN, 1);
	assert_int_equal(vt_rw(vt, disk, VHD_WRITE, 0, 5 * MiB + 512, big, LEN),
			 0);
	assert_int_equal(vt_rw(vt, disk, VHD_WRITE, 0, 20 * MiB, big, 512), 0);
	assert_int_equal(vt_grow(vt, disk, 4 * MiB), 0);
	vhd_close(disk);
	must(vt, "truncate -s $((24*1024*1024+512)) raw");
	vt_file_write(vt, "raw", 5 * MiB + 512, big, LEN);
	vt_file_write(vt, "raw", 20 * MiB, big, 512);
	must_say(vt, "qemu-img compare -f vpc -F raw ours.vhd raw",
		 "Images are identical.");
	/* And what qemu then writes, we read. */
	must(vt, "qemu-io -f vpc -c 'write -P 0xa5 1M 64k' ours.vhd");
	assert_int_equal(vt_open(vt, "ours.vhd", 0, &disk), 0);
	assert_int_equal(vt_rw(vt, disk, VHD_READ, 0, 1 * MiB, back, 65536), 0);
	memset(big, 0xa5, 65536);
	assert_memory_equal(big, back, 65536);
	vhd_close(disk);
}

static void test_we_read_qemus(void **state)
{
	struct vt *vt = *state;
	struct vhd_disk *disk = NULL;

	if (!have("qemu-img")) {
		print_message("# skip: qemu-img is not installed\n");
		skip();
	}
	vt_pattern(big, LEN, 2);
	vt_file_write(vt, "raw", 0, big, LEN);
	must(vt, "truncate -s 10M raw && qemu-img convert -f raw -O vpc -o "
		 "subformat=fixed,force_size=on raw theirs.vhd");
	assert_int_equal(vt_open(vt, "theirs.vhd", 0, &disk), 0);
	assert_int_equal(vhd_disk_size(disk), 10 * MiB);
	assert_int_equal(vt_rw(vt, disk, VHD_READ, 0, 0, back, LEN), 0);
	assert_memory_equal(big, back, LEN);
	assert_int_equal(vt_rw(vt, disk, VHD_WRITE, VHD_FUA, 8 * MiB, big, LEN),
			 0);
	vhd_close(disk);
	vt_file_write(vt, "raw", 8 * MiB, big, LEN);
	must_say(vt, "qemu-img compare -f vpc -F raw theirs.vhd raw",
		 "Images are identical.");

	/* Sized by its geometry, as qemu does by default. */
	must(vt, "qemu-img create -q -f vpc -o subformat=fixed g.vhd 10M");
	assert_int_equal(vt_open(vt, "g.vhd", 0, &disk), 0);
	assert_true(vhd_disk_size(disk) >= 10 * MiB);
	vhd_close(disk);
}

/* qemu takes locks of its own on the files it opens: they exclude ours. */
static void test_locks_with_qemu(void **state)
{
	struct vt *vt = *state;
	struct vhd_disk *disk;
	char output[4096];

	if (!have("qemu-img")) {
		print_message("# skip: qemu-img is not installed\n");
		skip();
	}
	disk = vt_disk(vt, "l.vhd", 8 * MiB, true);
	assert_int_not_equal(run(vt, output, sizeof(output),
				 "qemu-img info -f vpc l.vhd"),
			     0);
	assert_non_null(strstr(output, "lock"));
	vhd_close(disk);
	must(vt, "qemu-img info -f vpc l.vhd");
}

/* ---- dynamic and differencing disks ---- */

/* What qemu has written is served, what we add to it is read by qemu, and what
 * qemu then adds by us. */
static void test_dynamic_of_qemu(void **state)
{
	struct vt *vt = *state;
	struct vhd_disk *disk = NULL;

	if (!have("qemu-img") || !have("qemu-io")) {
		print_message("# skip: qemu-img or qemu-io is not installed\n");
		skip();
	}
	vt_pattern(big, LEN, 2);
	vt_file_write(vt, "raw", 3 * MiB, big, LEN);
	must(vt, "truncate -s 64M raw && qemu-img convert -f raw -O vpc -o "
		 "subformat=dynamic,force_size=on raw d.vhd");
	assert_int_equal(vt_open(vt, "d.vhd", 0, &disk), 0);
	assert_int_equal(vhd_disk_size(disk), 64 * MiB);
	assert_int_equal(vt_rw(vt, disk, VHD_READ, 0, 3 * MiB, back, LEN), 0);
	assert_memory_equal(big, back, LEN);
	assert_int_equal(vt_rw(vt, disk, VHD_WRITE, 0, 33 * MiB, big, LEN), 0);
	assert_int_equal(vt_rw(vt, disk, VHD_WRITE, 0, 3 * MiB + 512, big, 512),
			 0);
	vhd_close(disk);
	vt_file_write(vt, "raw", 33 * MiB, big, LEN);
	vt_file_write(vt, "raw", 3 * MiB + 512, big, 512);
	must_say(vt, "qemu-img compare -f vpc -F raw d.vhd raw",
		 "Images are identical.");
	must(vt, "qemu-io -f vpc -c 'write -P 0xa5 50M 64k' d.vhd && "
		 "qemu-io -f raw -c 'write -P 0xa5 50M 64k' raw");
	assert_int_equal(vt_open(vt, "d.vhd", 0, &disk), 0);
	assert_int_equal(vt_rw(vt, disk, VHD_READ, 0, 50 * MiB, back, 65536),
			 0);
	memset(big, 0xa5, 65536);
	assert_memory_equal(big, back, 65536);
	vhd_close(disk);
}

static void test_dynamic_of_ours(void **state)
{
	struct vt *vt = *state;
	struct vhd_disk *disk;
	static const uint32_t block_sizes[] = {512 * 1024, 2 * MiB, 4 * MiB};
	size_t i;

	if (!have("qemu-img") || !have("vhdiinfo")) {
		print_message(
			"# skip: qemu-img or vhdiinfo is not installed\n");
		skip();
	}
	for (i = 0; i < 3; i++) {
		disk = vt_dynamic(vt, "o.vhd", 64 * MiB + 512, block_sizes[i]);
		vt_pattern(big, LEN, 1);
		assert_int_equal(vt_rw(vt, disk, VHD_WRITE, 0, 5 * MiB + 512,
				       big, LEN),
				 0);
		assert_int_equal(
			vt_rw(vt, disk, VHD_WRITE, 0, 64 * MiB, big, 512), 0);
		assert_int_equal(vt_grow(vt, disk, 100 * MiB), 0);
		assert_int_equal(
			vt_rw(vt, disk, VHD_WRITE, 0, 160 * MiB, big, LEN), 0);
		vhd_close(disk);
		unlink(vt_path(vt, "raw"));
		vt_file_write(vt, "raw", 5 * MiB + 512, big, LEN);
		vt_file_write(vt, "raw", 64 * MiB, big, 512);
		vt_file_write(vt, "raw", 160 * MiB, big, LEN);
		must(vt, "truncate -s $((164*1024*1024+512)) raw");
		must_say(vt, "qemu-img compare -f vpc -F raw o.vhd raw",
			 "Images are identical.");
		/* It takes the size at creation, not the current one. */
		must_say(vt, "vhdiinfo o.vhd", "(67109376 bytes)");
		must_say(vt, "vhdiinfo o.vhd", "Dynamic");
		unlink(vt_path(vt, "o.vhd"));
	}
}

/*
 * libvhdi reads a chain of ours, three deep, as we do. In whole groups of eight
 * sectors: of its bitmaps, libvhdi 20210425 takes all bits of a byte from the
 * first set one on as set.
 */
static void chain_for_libvhdi(struct vt *vt, const char *extension,
			      uint32_t block_size)
{
	static const struct {
		uint64_t offset, len;
	} piece[] = {
		{MiB, 2 * MiB}, {MiB + 8192, 4096}, {9 * MiB + 12288, 4096}};
	char *name[3];

	if (system("/usr/bin/python3 -c 'import pyvhdi' 2>/dev/null") != 0) {
		print_message("# skip: python3-libvhdi is not installed\n");
		skip();
	}
	for (unsigned i = 0; i < 3; i++) {
		struct vhd_disk *disk;

		name[i] = talloc_asprintf(vt->mem, "%c.%s", 'a' + i, extension);
		disk = i == 0 ? vt_dynamic(vt, name[0], 16 * MiB, block_size)
			      : vt_child(vt, name[i], name[i - 1]);
		write_at(vt, disk, piece[i].offset, piece[i].len, i + 1);
		vhd_close(disk);
		vt_file_write(vt, "raw", piece[i].offset, big, piece[i].len);
	}
	must(vt, "truncate -s 16M raw");
	must_say(vt, talloc_asprintf(vt->mem, "vhdiinfo %s", name[2]),
		 "Differential");
	vt_file_write(vt, "chain.py", 0, chain_script, strlen(chain_script));
	must(vt, talloc_asprintf(vt->mem, "/usr/bin/python3 chain.py %s %s %s",
				 name[2], name[1], name[0]));
}

static void test_chain_for_libvhdi(void **state)
{
	chain_for_libvhdi(*state, "vhd", 0);
}

static void test_vhdx_chain_for_libvhdi(void **state)
{
	chain_for_libvhdi(*state, "vhdx", MiB);
}

static void test_libvhdi(void **state)
{
	struct vt *vt = *state;

	if (!have("vhdiinfo")) {
		print_message("# skip: vhdiinfo is not installed\n");
		skip();
	}
	assert_int_equal(vt_create(vt, "v.vhd", 20 * MiB + 512, true), 0);
	must_say(vt, "vhdiinfo v.vhd", "(20972032 bytes)");
	must_say(vt, "vhdiinfo v.vhd", "Fixed");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, vt_setup, vt_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_sizes_for_qemu),
		TEST(test_qemu_reads_ours),
		TEST(test_we_read_qemus),
		TEST(test_locks_with_qemu),
		TEST(test_libvhdi),
		TEST(test_dynamic_of_qemu),
		TEST(test_dynamic_of_ours),
		TEST(test_chain_for_libvhdi),
		TEST(test_vhdx_chain_for_libvhdi),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
