/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What we write is read by qemu-img and libvhdi's vhdiinfo, what qemu-img
 * writes is read by us. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vhd_helpers.h"

static uint8_t big[2 * MiB], back[2 * MiB];

static bool have(const char *program)
{
	char command[100];

	snprintf(command, sizeof(command), "command -v %s >/dev/null", program);
	return system(command) == 0;
}

/* Run a shell command in the test's folder. @return its status and output */
static int run(struct vt *vt, char *output, size_t len, const char *command)
{
	char *line = talloc_asprintf(vt->mem, "cd %s && { %s; } 2>&1", vt->dir,
				     command);
	FILE *f = popen(line, "r");
	size_t n;

	assert_non_null(f);
	n = fread(output, 1, len - 1, f);
	output[n] = '\0';
	return pclose(f);
}

static void must(struct vt *vt, const char *command)
{
	char output[4096];

	if (run(vt, output, sizeof(output), command) != 0) {
		fail_msg("%s: %s", command, output);
	}
}

static void must_say(struct vt *vt, const char *command, const char *what)
{
	char output[4096];

	if (run(vt, output, sizeof(output), command) != 0 ||
	    strstr(output, what) == NULL) {
		fail_msg("%s: no \"%s\" in: %s", command, what, output);
	}
}

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
		skip();
	}
	disk = vt_disk(vt, "ours.vhd", 20 * MiB + 512, true);
	vt_pattern(big, sizeof(big), 1);
	assert_int_equal(vt_rw(vt, disk, VHD_WRITE, 0, 5 * MiB + 512, big,
			       sizeof(big)),
			 0);
	assert_int_equal(vt_rw(vt, disk, VHD_WRITE, 0, 20 * MiB, big, 512), 0);
	assert_int_equal(vt_grow(vt, disk, 4 * MiB), 0);
	vhd_close(disk);
	must(vt, "truncate -s $((24*1024*1024+512)) raw");
	vt_file_write(vt, "raw", 5 * MiB + 512, big, sizeof(big));
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
		skip();
	}
	vt_pattern(big, sizeof(big), 2);
	vt_file_write(vt, "raw", 0, big, sizeof(big));
	must(vt, "truncate -s 10M raw && qemu-img convert -f raw -O vpc -o "
		 "subformat=fixed,force_size=on raw theirs.vhd");
	assert_int_equal(vt_open(vt, "theirs.vhd", 0, &disk), 0);
	assert_int_equal(vhd_disk_size(disk), 10 * MiB);
	assert_int_equal(vt_rw(vt, disk, VHD_READ, 0, 0, back, sizeof(back)),
			 0);
	assert_memory_equal(big, back, sizeof(big));
	assert_int_equal(vt_rw(vt, disk, VHD_WRITE, VHD_FUA, 8 * MiB, big,
			       sizeof(big)),
			 0);
	vhd_close(disk);
	vt_file_write(vt, "raw", 8 * MiB, big, sizeof(big));
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

static void test_libvhdi(void **state)
{
	struct vt *vt = *state;

	if (!have("vhdiinfo")) {
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
		TEST(test_sizes_for_qemu), TEST(test_qemu_reads_ours),
		TEST(test_we_read_qemus),  TEST(test_locks_with_qemu),
		TEST(test_libvhdi),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
