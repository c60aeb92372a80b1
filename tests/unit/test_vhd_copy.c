/* SPDX-License-Identifier: GPL-3.0-or-later */
/* VHD_COPY: between fixed disks, any alignment, holes; what it refuses. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>

#include "vhd_helpers.h"

#define SIZE (32 * MiB)

static uint8_t data[4 * MiB], back[4 * MiB];

static int copy(struct vt *vt, struct vhd_disk *from, uint64_t from_offset,
		struct vhd_disk *to, uint64_t offset, uint64_t length)
{
	struct vhd_req req = {
		.op = VHD_COPY,
		.flags = VHD_FUA,
		.offset = offset,
		.length = length,
		.source = from,
		.source_offset = from_offset,
	};

	return vt_run(vt->io, vt->ev, to, &req);
}

static void test_copies(void **state)
{
	static const struct {
		uint64_t from, to, length;
	} cases[] = {
		{0, 0, 4 * MiB},	 {4096, 8192, 1 * MiB},
		{512, 512, 1 * MiB},	 {1024, 512, 65536},
		{4096, 512, 3584},	 {2560, 6656, 8192},
		{0, 4 * MiB - 512, 512},
	};
	struct vt *vt = *state;
	struct vhd_disk *from = vt_disk(vt, "from.vhd", SIZE, true);
	struct vhd_disk *to = vt_disk(vt, "to.vhd", SIZE, true);
	size_t i;

	vt_pattern(data, sizeof(data), 1);
	assert_int_equal(vt_rw(vt, from, VHD_WRITE, 0, 0, data, sizeof(data)),
			 0);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t at = cases[i].to, n = cases[i].length;

		memset(back, 0xee, sizeof(back));
		assert_int_equal(
			vt_rw(vt, to, VHD_WRITE, 0, 0, back, sizeof(back)), 0);
		assert_int_equal(copy(vt, from, cases[i].from, to, at, n), 0);
		assert_int_equal(
			vt_rw(vt, to, VHD_READ, 0, 0, back, sizeof(back)), 0);
		assert_memory_equal(back + at, data + cases[i].from, n);
		assert_true(at == 0 || back[at - 1] == 0xee);
		assert_true(at + n == sizeof(back) || back[at + n] == 0xee);
	}
	/* within one disk */
	assert_int_equal(copy(vt, from, 0, from, 8 * MiB, 4 * MiB), 0);
	assert_int_equal(
		vt_rw(vt, from, VHD_READ, 0, 8 * MiB, back, sizeof(back)), 0);
	assert_memory_equal(back, data, sizeof(back));
	vhd_close(from);
	vhd_close(to);
}

/* A hole stays one and does not take space. */
static void test_holes(void **state)
{
	struct vt *vt = *state;
	struct vhd_disk *from = vt_disk(vt, "hole.vhd", SIZE, true);
	struct vhd_disk *to = vt_disk(vt, "full.vhd", SIZE, true);
	struct statfs fs;
	uint64_t length = 8 * MiB, before;

	vt_pattern(data, sizeof(data), 2);
	assert_int_equal(
		vt_rw(vt, from, VHD_WRITE, VHD_FUA, 4 * MiB, data, 1 * MiB), 0);
	assert_int_equal(
		vt_rw(vt, to, VHD_WRITE, VHD_FUA, 0, data, sizeof(data)), 0);
	before = vt_file_allocated(vt, "full.vhd");
	assert_int_equal(copy(vt, from, 0, to, 0, 8 * MiB), 0);
	assert_int_equal(vt_rw(vt, to, VHD_READ, 0, 0, back, sizeof(back)), 0);
	assert_true(vt_is_zero(back, sizeof(back)));
	assert_int_equal(
		vt_rw(vt, to, VHD_READ, 0, 4 * MiB, back, sizeof(back)), 0);
	assert_memory_equal(back, data, 1 * MiB);
	assert_true(vt_is_zero(back + 1 * MiB, 3 * MiB));
	assert_int_equal(statfs(vt->dir, &fs), 0);
	if (vhd_disk_mapped(from, 0, &length)) {
		print_message("# skip: this file system tells of no holes\n");
	} else {
		assert_true(vt_file_allocated(vt, "full.vhd") < before);
	}
	vhd_close(from);
	vhd_close(to);
}

static void test_refusals(void **state)
{
	struct vt *vt = *state;
	struct vhd_disk *fixed = vt_disk(vt, "f.vhd", SIZE, true);
	struct vhd_disk *dynamic = vt_dynamic(vt, "d.vhd", SIZE, 0);
	struct vhd_disk *ram = vhd_open_ram(vt->mem, SIZE);

	assert_int_equal(copy(vt, dynamic, 0, fixed, 0, MiB), EOPNOTSUPP);
	assert_int_equal(copy(vt, fixed, 0, dynamic, 0, MiB), EOPNOTSUPP);
	assert_int_equal(copy(vt, ram, 0, fixed, 0, MiB), EOPNOTSUPP);
	/* overlapping */
	assert_int_equal(copy(vt, fixed, 0, fixed, MiB - 512, MiB), EOPNOTSUPP);
	assert_int_equal(copy(vt, fixed, MiB - 512, fixed, 0, MiB), EOPNOTSUPP);
	assert_int_equal(copy(vt, fixed, 0, fixed, MiB, MiB), 0);
	/* not there */
	assert_int_equal(copy(vt, fixed, SIZE - 512, fixed, 0, MiB), EINVAL);
	assert_int_equal(copy(vt, fixed, 0, fixed, SIZE - 512, MiB), EINVAL);
	assert_int_equal(copy(vt, fixed, 1, fixed, MiB, 512), EINVAL);
	assert_int_equal(copy(vt, fixed, UINT64_MAX - 511, fixed, 0, 512),
			 EINVAL);
	vhd_close(fixed);
	vhd_close(dynamic);
	vhd_close(ram);
}

static void test_yield(void **state)
{
	struct vt *vt = *state;
	struct vhd_disk *disk = vt_disk(vt, "y.vhd", SIZE, true);
	struct vhd_req req = {.op = VHD_YIELD};

	assert_int_equal(vt_run(vt->io, vt->ev, disk, &req), 0);
	vhd_close(disk);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_copies, vt_setup,
						vt_teardown),
		cmocka_unit_test_setup_teardown(test_holes, vt_setup,
						vt_teardown),
		cmocka_unit_test_setup_teardown(test_refusals, vt_setup,
						vt_teardown),
		cmocka_unit_test_setup_teardown(test_yield, vt_setup,
						vt_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
