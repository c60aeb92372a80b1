/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Not for TSan: one thread, and long there.
 * builds: default clang asan
 */
/* Growth that needs a longer block allocation table, which is written anew
 * behind the blocks: the power fails at each of its steps. */

#include <string.h>
#include <unistd.h>

#include "vhd_helpers.h"
#include "vhd_recorder.h"

/* Before: tables of 1 MiB and of 32 KiB, full. */
static const struct {
	const char *name;
	uint64_t size, more;
} disks[] = {
	{"t.vhdx", 127 * GiB, 200 * GiB},
	{"t.vhd", 16 * GiB, 64 * GiB},
};

static uint8_t big[MiB], back[MiB];

static void put(struct vt *vt, struct vhd_disk *disk, uint64_t offset,
		uint32_t seed)
{
	vt_pattern(big, sizeof(big), seed);
	assert_int_equal(
		vt_rw(vt, disk, VHD_WRITE, 0, offset, big, sizeof(big)), 0);
}

static void holds(struct vt *vt, struct vhd_disk *disk, uint64_t offset,
		  uint32_t seed)
{
	vt_pattern(big, sizeof(big), seed);
	assert_int_equal(
		vt_rw(vt, disk, VHD_READ, 0, offset, back, sizeof(back)), 0);
	assert_memory_equal(big, back, sizeof(big));
}

static void crash(struct vt *vt, unsigned i, size_t begin, size_t position,
		  size_t end, uint32_t seed)
{
	uint64_t old = disks[i].size, size;
	struct vhd_disk *disk = NULL;
	bool during = seed % 2 != 0 && position > begin;
	int fd = during ? recorder_crash_during(position, seed)
			: recorder_crash(position, seed);
	int ret;
	struct tevent_req *req;

	req = vhd_open_send(vt->mem, vt->ev, dup(fd), "crashed", 0);
	assert_true(tevent_req_poll(req, vt->ev));
	ret = vhd_open_recv(req, vt->mem, &disk, &vt->message);
	talloc_free(req);
	if (ret != 0) {
		fail_msg("%s: a crash at %zu (seed %u): %s", disks[i].name,
			 position, seed, vt->message);
	}
	size = vhd_disk_size(disk);
	assert_true(size == old + disks[i].more ||
		    (size == old && position - during < end));
	holds(vt, disk, 0, 1);
	holds(vt, disk, old - 2 * MiB, 2);
	put(vt, disk, size - MiB, 3);
	vhd_close(disk);
	vt_assert_sound(vt, fd);
}

static void test_crash(void **state)
{
	struct vt *vt = *state;
	struct vhd_disk *disk;
	size_t begin, end, at;
	uint32_t seed;
	unsigned i;

	for (i = 0; i < sizeof(disks) / sizeof(disks[0]); i++) {
		recorder_start(disks[i].name);
		disk = vt_dynamic(vt, disks[i].name, disks[i].size,
				  i == 0 ? MiB : 2 * MiB);
		put(vt, disk, 0, 1);
		put(vt, disk, disks[i].size - 2 * MiB, 2);
		assert_int_equal(vt_rw(vt, disk, VHD_FLUSH, 0, 0, NULL, 0), 0);
		begin = recorder_position();
		assert_int_equal(vt_grow(vt, disk, disks[i].more), 0);
		end = recorder_position();
		assert_true(end > begin + 4);
		for (at = begin; at <= end; at++) {
			for (seed = 0; seed < 16; seed++) {
				crash(vt, i, begin, at, end,
				      seed == 0 ? 0 : (uint32_t)at * 16 + seed);
			}
		}
		vhd_close(disk);
		recorder_stop();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_crash, vt_setup_memory,
						vt_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
