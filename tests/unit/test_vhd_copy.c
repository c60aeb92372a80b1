/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * VHD_COPY: between disks of all kinds, any alignment, holes; extents that are
 * shared, where the file system can; what it refuses.
 *
 * TMPDIR decides on the file system; with ISTM_SHARES=1 it is one that has to
 * share (interop/vhd_shared_extents).
 */

#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "vhd/job.h"
#include "vhd/tap.h"
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
	struct vhd_disk *ram = vhd_open_ram(vt->mem, SIZE);

	assert_int_equal(copy(vt, ram, 0, fixed, 0, MiB), EOPNOTSUPP);
	assert_int_equal(copy(vt, fixed, 0, ram, 0, MiB), EOPNOTSUPP);
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
	vhd_close(ram);
}

/* ---- all kinds ---- */

enum { FIXED, DYNAMIC, CHILD, VHDX_FIXED, VHDX_DYNAMIC, KINDS };

static const char *const kind_name[KINDS] = {
	"fixed.vhd", "dynamic.vhd", "child.vhd", "fixed.vhdx", "dynamic.vhdx",
};

/* Files of one pair of kinds make room for those of the next. */
static struct vhd_disk *new_disk(struct vt *vt, unsigned kind, const char *role)
{
	struct vhd_create_params params = {
		.format = vhd_format_of_name(kind_name[kind]),
		.type = kind == DYNAMIC || kind == VHDX_DYNAMIC
				? VHD_TYPE_DYNAMIC
				: VHD_TYPE_FIXED,
		.size = SIZE,
		.sparse = true,
	};
	char *name = talloc_asprintf(vt->mem, "%s-%s", role, kind_name[kind]);
	struct vhd_disk *disk;

	unlink(vt_path(vt, name));
	if (kind == CHILD) {
		char *parent = talloc_asprintf(vt->mem, "%s-parent.vhd", role);

		unlink(vt_path(vt, parent));
		assert_int_equal(vt_create(vt, parent, SIZE, true), 0);
		return vt_child(vt, name, parent);
	}
	assert_int_equal(vt_create_params(vt, name, &params), 0);
	assert_int_equal(vt_open(vt, name, 0, &disk), 0);
	return disk;
}

/* Bytes of the file's data that others have too. */
static uint64_t shared_bytes(struct vt *vt, const char *role, unsigned kind)
{
	struct fiemap *map =
		calloc(1, sizeof(*map) + 512 * sizeof(struct fiemap_extent));
	char *name = talloc_asprintf(vt->mem, "%s-%s", role, kind_name[kind]);
	int fd = vt_open_fd(vt, name, O_RDONLY);
	uint64_t sum = 0;
	unsigned i;

	assert_non_null(map);
	map->fm_length = FIEMAP_MAX_OFFSET;
	map->fm_flags = FIEMAP_FLAG_SYNC;
	map->fm_extent_count = 512;
	if (ioctl(fd, FS_IOC_FIEMAP, map) == 0) {
		for (i = 0; i < map->fm_mapped_extents; i++) {
			const struct fiemap_extent *e = &map->fm_extents[i];

			if (e->fe_flags & FIEMAP_EXTENT_SHARED) {
				sum += e->fe_length;
			}
		}
	}
	free(map);
	close(fd);
	return sum;
}

static bool must_share(void)
{
	const char *shares = getenv("ISTM_SHARES");

	return shares != NULL && strcmp(shares, "1") == 0;
}

static void check_range(struct vt *vt, struct vhd_disk *disk, uint64_t at,
			const uint8_t *want, size_t length)
{
	assert_int_equal(vt_rw(vt, disk, VHD_READ, 0, at, back, length), 0);
	assert_memory_equal(back, want, length);
}

/*
 * 4 MiB of data at 2 MiB, with a hole of 1 MiB in them at 3 MiB, copied to
 * 10 MiB and, with ends that are not aligned, to 20 MiB and 512.
 */
static void copy_kind(struct vt *vt, unsigned from_kind, unsigned to_kind)
{
	static uint8_t zero[MiB], part[MiB];
	struct vhd_disk *from = new_disk(vt, from_kind, "from");
	struct vhd_disk *to = new_disk(vt, to_kind, "to");
	uint64_t allocated, hole = MiB;
	struct vhd_info info;

	vt_pattern(data, sizeof(data), 7 + from_kind);
	memset(data + MiB, 0, MiB);
	assert_int_equal(vt_rw(vt, from, VHD_WRITE, 0, 2 * MiB, data, MiB), 0);
	assert_int_equal(vt_rw(vt, from, VHD_WRITE, 0, 4 * MiB, data + 2 * MiB,
			       2 * MiB),
			 0);
	assert_int_equal(copy(vt, from, 2 * MiB, to, 10 * MiB, 4 * MiB), 0);
	check_range(vt, to, 10 * MiB, data, 4 * MiB);
	if (must_share()) {
		/* All but the hole; a dynamic VHD's bitmaps are its own. */
		assert_true(shared_bytes(vt, "to", to_kind) >= 3 * MiB);
		assert_false(vhd_disk_mapped(to, 11 * MiB, &hole));
		assert_int_equal(hole, MiB);
	}
	/* unaligned to each other, and with ends that are not aligned */
	assert_int_equal(
		copy(vt, from, 2 * MiB + 512, to, 20 * MiB, MiB - 1024), 0);
	check_range(vt, to, 20 * MiB, data + 512, MiB - 1024);
	assert_int_equal(copy(vt, from, 4 * MiB + 1536, to, 24 * MiB + 1536,
			      MiB - 2048),
			 0);
	check_range(vt, to, 24 * MiB + 1536, data + 2 * MiB + 1536, MiB - 2048);
	check_range(vt, to, 24 * MiB, zero, 1536);
	/* The source goes its own ways, and so does the copy. */
	memset(part, 0x5a, sizeof(part));
	assert_int_equal(vt_rw(vt, from, VHD_WRITE, 0, 2 * MiB, part, MiB), 0);
	assert_int_equal(
		vt_rw(vt, from, VHD_DISCARD, 0, 4 * MiB, NULL, 2 * MiB), 0);
	check_range(vt, to, 10 * MiB, data, 4 * MiB);
	assert_int_equal(vt_rw(vt, to, VHD_WRITE, 0, 10 * MiB, zero, MiB), 0);
	check_range(vt, from, 2 * MiB, part, MiB);
	/* What nobody has written needs no block. */
	vhd_disk_info(to, &info);
	allocated = info.allocated;
	assert_int_equal(copy(vt, from, 12 * MiB, to, 28 * MiB, 2 * MiB), 0);
	check_range(vt, to, 28 * MiB, zero, MiB);
	vhd_disk_info(to, &info);
	if (to_kind == DYNAMIC || to_kind == VHDX_DYNAMIC) {
		assert_int_equal(info.allocated, allocated);
	}
	vhd_close(from);
	vhd_close(to);
}

static void test_kinds(void **state)
{
	struct vt *vt = *state;
	unsigned i, j;

	for (i = 0; i < KINDS; i++) {
		for (j = 0; j < KINDS; j++) {
			copy_kind(vt, i, j);
		}
	}
}

/* Around what is copied into new blocks there are zeroes. */
static void test_nothing_else(void **state)
{
	struct vt *vt = *state;
	struct vhd_disk *from = vt_disk(vt, "from.vhd", SIZE, true), *to;
	uint64_t at;
	unsigned i;

	memset(data, 0xee, sizeof(data));
	for (at = 0; at < SIZE; at += sizeof(data)) {
		assert_int_equal(vt_rw(vt, from, VHD_WRITE, 0, at, data,
				       sizeof(data)),
				 0);
	}
	for (i = 0; i < KINDS; i++) {
		to = new_disk(vt, i, "to");
		assert_int_equal(copy(vt, from, MiB, to, 8 * MiB, 4 * MiB), 0);
		for (at = 0; at < SIZE; at += sizeof(back)) {
			assert_int_equal(vt_rw(vt, to, VHD_READ, 0, at, back,
					       sizeof(back)),
					 0);
			if (at == 8 * MiB) {
				assert_memory_equal(back, data, sizeof(back));
			} else {
				assert_true(vt_is_zero(back, sizeof(back)));
			}
		}
		vhd_close(to);
	}
	vhd_close(from);
}

static bool fail_sync;

static int fault(const char *name, enum vhd_tap_step step, uint64_t offset,
		 uint64_t *len)
{
	if (step != VHD_TAP_STEP_SYNC || !fail_sync) {
		return 0;
	}
	fail_sync = false;
	return EIO;
}

/* What a copy's own flush finds lost may be others' data. */
static void test_failed_flush_is_told(void **state)
{
	static const struct vhd_tap tap = {.fault = fault};
	struct vt *vt = *state;
	struct vhd_disk *from = new_disk(vt, FIXED, "from"), *to;
	struct vhd_req req = {
		.op = VHD_COPY,
		.offset = 65536,
		.length = 65536,
		.source = from,
	};

	memset(data, 0xee, 65536);
	assert_int_equal(vt_rw(vt, from, VHD_WRITE, 0, 0, data, 65536), 0);
	vhd_set_tap(&tap);
	to = new_disk(vt, CHILD, "to");
	assert_int_equal(vt_rw(vt, to, VHD_WRITE, 0, 0, data, 65536), 0);
	fail_sync = true;
	assert_int_equal(vt_run(vt->io, vt->ev, to, &req), EIO);
	assert_false(fail_sync);
	assert_int_equal(vt_rw(vt, to, VHD_FLUSH, 0, 0, NULL, 0), EIO);
	assert_int_equal(vt_rw(vt, to, VHD_FLUSH, 0, 0, NULL, 0), 0);
	vhd_set_tap(NULL);
	vhd_close(from);
	vhd_close(to);
}

/* ---- beside long work ---- */

static sem_t long_work_ends;

static void wait_for_end(struct vhd_job *job, void *unused)
{
	while (sem_wait(&long_work_ends) != 0) {
	}
}

/* Growths may be such work, and wait for a copy to have filled its block. */
static void test_waits_for_no_long_work(void **state)
{
	static const struct vhd_job_ops ops = {
		.work = wait_for_end,
		.free = free,
		.slow = true,
	};
	struct vt *vt = *state;
	struct vhd_disk *disk = vt_disk(vt, "l.vhd", SIZE, true);
	unsigned i;

	assert_int_equal(sem_init(&long_work_ends, 0, 0), 0);
	for (i = 0; i < 4; i++) {
		assert_int_equal(vhd_job_post(&ops, NULL), 0);
	}
	assert_int_equal(copy(vt, disk, 0, disk, MiB, MiB), 0);
	for (i = 0; i < 4; i++) {
		sem_post(&long_work_ends);
	}
	vhd_close(disk);
}

/* Bitmaps that no read has loaded, and the parent's blocks. */
static void test_of_opened_disks(void **state)
{
	struct vt *vt = *state;
	struct vhd_disk *parent = vt_disk(vt, "p.vhd", SIZE, true);
	struct vhd_disk *child, *to, *dynamic;

	vt_pattern(data, sizeof(data), 3);
	assert_int_equal(
		vt_rw(vt, parent, VHD_WRITE, 0, MiB, data, sizeof(data)), 0);
	vhd_close(parent);
	child = vt_child(vt, "c.vhd", "p.vhd");
	memset(data + MiB, 0x77, 4096);
	assert_int_equal(
		vt_rw(vt, child, VHD_WRITE, 0, 2 * MiB, data + MiB, 4096), 0);
	vhd_close(child);
	child = vt_open_chain(vt, "c.vhd", 0);
	dynamic = vt_dynamic(vt, "t.vhd", SIZE, 0);
	assert_int_equal(copy(vt, child, MiB, dynamic, 0, 4 * MiB), 0);
	check_range(vt, dynamic, 0, data, 4 * MiB);
	vhd_close(child);
	vhd_close(dynamic);
	assert_int_equal(vt_open(vt, "t.vhd", 0, &dynamic), 0);
	to = vt_disk(vt, "to.vhd", SIZE, true);
	assert_int_equal(copy(vt, dynamic, 512, to, 0, 3 * MiB), 0);
	check_range(vt, to, 0, data + 512, 3 * MiB);
	/* within one disk */
	assert_int_equal(copy(vt, dynamic, 0, dynamic, 8 * MiB, 4 * MiB), 0);
	check_range(vt, dynamic, 8 * MiB, data, 4 * MiB);
	vhd_close(dynamic);
	vhd_close(to);
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
		cmocka_unit_test_setup_teardown(test_kinds, vt_setup,
						vt_teardown),
		cmocka_unit_test_setup_teardown(test_nothing_else, vt_setup,
						vt_teardown),
		cmocka_unit_test_setup_teardown(test_failed_flush_is_told,
						vt_setup, vt_teardown),
		cmocka_unit_test_setup_teardown(test_waits_for_no_long_work,
						vt_setup, vt_teardown),
		cmocka_unit_test_setup_teardown(test_of_opened_disks, vt_setup,
						vt_teardown),
		cmocka_unit_test_setup_teardown(test_yield, vt_setup,
						vt_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
