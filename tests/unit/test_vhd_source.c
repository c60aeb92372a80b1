/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Where a read's bytes lie, for lanes that send them from there. */

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "vhd_helpers.h"

#define SIZE (16 * MiB)

static bool source(struct vhd_disk *disk, uint64_t offset, uint64_t length)
{
	struct vhd_source s;

	return vhd_disk_source(disk, offset, length, &s);
}

static void test_fixed(void **state)
{
	static uint8_t data[MiB], back[MiB];
	struct vt *vt = *state;
	struct vhd_disk *disk = vt_disk(vt, "a.vhd", SIZE, false);
	struct iovec iov[2] = {{back, 1000},
			       {back + 1000, sizeof(back) - 1000}};
	struct vhd_source s;

	vt_pattern(data, sizeof(data), 1);
	assert_int_equal(vt_rw(vt, disk, VHD_WRITE, 0, MiB, data, MiB), 0);
	if (!vhd_disk_source(disk, MiB, MiB, &s)) {
		print_message("cachestat(2) is not to be had\n");
		skip();
	}
	assert_int_equal(pread(vhd_source_fd(&s), back, MiB, (off_t)s.offset),
			 MiB);
	assert_memory_equal(back, data, MiB);
	memset(back, 0, sizeof(back));
	assert_int_equal(vhd_source_read(&s, 512, iov, 2, MiB - 512), 0);
	assert_memory_equal(back, data + 512, MiB - 512);

	/* Nothing beyond the disk: there is the footer. */
	assert_true(source(disk, MiB, 512));
	assert_false(source(disk, SIZE, 512));
	assert_false(source(disk, SIZE - MiB, MiB + 512));
	assert_false(source(disk, UINT64_MAX - 511, 512));
	assert_false(source(disk, 512, UINT64_MAX - 511));
	assert_false(source(disk, MiB, 0));

	/* What is not in the cache is to be read. */
	assert_int_equal(vt_rw(vt, disk, VHD_FLUSH, 0, 0, NULL, 0), 0);
	assert_int_equal(posix_fadvise(vhd_source_fd(&s), MiB, MiB,
				       POSIX_FADV_DONTNEED),
			 0);
	assert_false(source(disk, MiB, MiB));

	/* Nor is a file that has lost its end. */
	assert_int_equal(ftruncate(vhd_source_fd(&s), MiB), 0);
	assert_int_equal(vhd_source_read(&s, 0, iov, 2, MiB), EIO);
	assert_false(source(disk, 0, 512));
	vhd_close(disk);
}

static void test_not_after_compare_and_write(void **state)
{
	static uint8_t both[1024];
	struct vt *vt = *state;
	struct vhd_disk *disk = vt_disk(vt, "a.vhd", SIZE, true);
	struct iovec iov = {both, sizeof(both)};
	struct vhd_req req = {
		.op = VHD_COMPARE_AND_WRITE,
		.length = 512,
		.iov = &iov,
		.iovcnt = 1,
	};

	memset(both + 512, 1, 512);
	assert_int_equal(vt_run(vt->io, vt->ev, disk, &req), 0);
	assert_false(source(disk, 0, 512));
	vhd_close(disk);
}

static void test_other_kinds(void **state)
{
	struct vt *vt = *state;
	struct vhd_disk *ram = vhd_open_ram(vt->mem, SIZE);
	struct vhd_disk *dynamic = vt_dynamic(vt, "d.vhd", SIZE, 0);

	assert_false(source(ram, 0, 4096));
	assert_false(source(dynamic, 0, 4096));
	vhd_close(ram);
	vhd_close(dynamic);
}

/* ---- direct I/O ---- */

/* Buffers of any alignment, long ones too; what is read does not come from the
 * page cache, nor does anything stay there. */
static void test_direct(void **state)
{
	static uint8_t data[3 * MiB + 4096],
		back[3 * MiB + 4096] __attribute__((aligned(4096)));
	static const unsigned shift[] = {0, 512, 4, 1};
	struct vt *vt = *state;
	struct vhd_disk *disk = vt_direct(vt, "a.vhd", SIZE);
	int fd;

	if (disk == NULL) {
		skip();
	}
	fd = vt_open_fd(vt, "a.vhd", O_RDONLY);
	for (unsigned i = 0; i < 4; i++) {
		uint8_t *p = data + shift[i], *q = back + shift[i];
		uint32_t flags = i % 2 ? VHD_FUA : 0;

		vt_pattern(p, 3 * MiB, i);
		assert_int_equal(
			vt_rw(vt, disk, VHD_WRITE, flags, 512, p, 3 * MiB), 0);
		memset(back, 0, sizeof(back));
		assert_int_equal(vt_rw(vt, disk, VHD_READ, 0, 512, q, 3 * MiB),
				 0);
		assert_memory_equal(q, p, 3 * MiB);
		assert_int_equal(pread(fd, back, 3 * MiB, 512), 3 * MiB);
		assert_memory_equal(back, p, 3 * MiB);
		assert_false(source(disk, 512, MiB));
	}
	/* Nor does the file system copy into it by way of the page cache. */
	assert_int_equal(vt_run(vt->io, vt->ev, disk,
				&(struct vhd_req){
					.op = VHD_COPY,
					.length = MiB,
					.source = disk,
					.source_offset = 4 * MiB,
				}),
			 EOPNOTSUPP);
	close(fd);
	vhd_close(disk);
}

static void test_direct_is_refused(void **state)
{
	struct vt *vt = *state;
	struct vhd_disk *ram = vhd_open_ram(vt->mem, SIZE);
	struct vhd_disk *dynamic = vt_dynamic(vt, "d.vhd", SIZE, 0);
	struct vhd_disk *odd = vt_disk(vt, "odd.vhd", SIZE + 512, true);

	assert_int_equal(vhd_set_direct(ram, &vt->message), ENOTSUP);
	assert_int_equal(vhd_set_direct(dynamic, NULL), ENOTSUP);
	/* Its last sector shares a page with the footer. */
	assert_int_equal(vhd_set_direct(odd, &vt->message), ENOTSUP);
	assert_non_null(strstr(vt->message, "whole 4096 bytes"));
	vhd_close(ram);
	vhd_close(dynamic);
	vhd_close(odd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_fixed, vt_setup,
						vt_teardown),
		cmocka_unit_test_setup_teardown(
			test_not_after_compare_and_write, vt_setup,
			vt_teardown),
		cmocka_unit_test_setup_teardown(test_other_kinds, vt_setup,
						vt_teardown),
		cmocka_unit_test_setup_teardown(test_direct, vt_setup,
						vt_teardown),
		cmocka_unit_test_setup_teardown(test_direct_is_refused,
						vt_setup, vt_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
