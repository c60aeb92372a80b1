/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Dynamic VHDs: blocks whose allocation failed, and blocks that come again
 * where others were. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vhd/bytes.h"
#include "vhd/tap.h"
#include "vhd_helpers.h"

#define BS   MiB
#define SIZE (64 * MiB)

static uint8_t data[BS], back[BS];

/* ---- failures ---- */

static bool entries_fail, cannot_punch;
static uint32_t place; /* of the bitmap that was written last */

static int fault(const char *name, enum vhd_tap_step step, uint64_t offset,
		 uint64_t *len)
{
	if (step == VHD_TAP_STEP_WRITE && *len == 512) {
		place = (uint32_t)(offset / 512);
	}
	if (entries_fail && step == VHD_TAP_STEP_WRITE && *len == 4) {
		return EIO;
	}
	return cannot_punch && step == VHD_TAP_STEP_FALLOCATE ? EOPNOTSUPP : 0;
}

static const struct vhd_tap tap = {.fault = fault};

static int setup(void **state)
{
	entries_fail = cannot_punch = false;
	vhd_set_tap(&tap);
	return vt_setup_memory(state);
}

static int teardown(void **state)
{
	vhd_set_tap(NULL);
	return vt_teardown(state);
}

static int write_block(struct vt *vt, struct vhd_disk *disk, uint64_t block,
		       uint64_t length)
{
	vt_pattern(data, length, (uint32_t)block);
	return vt_rw(vt, disk, VHD_WRITE, 0, block * BS, data, length);
}

static void expect(struct vt *vt, struct vhd_disk *disk, uint64_t block,
		   uint64_t length)
{
	vt_pattern(data, length, (uint32_t)block);
	memset(data + length, 0, BS - length);
	assert_int_equal(vt_rw(vt, disk, VHD_READ, 0, block * BS, back, BS), 0);
	assert_memory_equal(data, back, BS);
}

/* What a failed write has left does not come up with the next one, where it
 * cannot be punched out either. */
static void test_cannot_punch(void **state)
{
	struct vt *vt = *state;
	struct vhd_disk *disk = vt_dynamic(vt, "d.vhd", SIZE, BS);

	entries_fail = cannot_punch = true;
	assert_int_equal(write_block(vt, disk, 3, BS), EIO);
	expect(vt, disk, 3, 0);
	entries_fail = false;
	assert_int_equal(write_block(vt, disk, 3, 4096), 0);
	expect(vt, disk, 3, 4096);
	vhd_close(disk);
	assert_int_equal(vt_open(vt, "d.vhd", 0, &disk), 0);
	expect(vt, disk, 3, 4096);
	vhd_close(disk);
}

static uint64_t entry_at(struct vt *vt, const char *name, uint64_t block)
{
	uint8_t header[1024];

	vt_file_read(vt, name, 512, header, sizeof(header));
	return get_be64(header + 16) + block * 4;
}

static uint32_t entry_of(struct vt *vt, const char *name, uint64_t block)
{
	uint8_t entry[4];

	vt_file_read(vt, name, entry_at(vt, name, block), entry, 4);
	return get_be32(entry);
}

/*
 * More than are remembered. Entries that could not be written may be in the
 * file all the same: it is not cut before what they lead to.
 */
static void test_many_fail(void **state)
{
	const uint64_t first = 2, many = 24, remembered = 16;
	struct vt *vt = *state;
	struct vhd_disk *disk = vt_dynamic(vt, "d.vhd", SIZE, BS);
	uint8_t entry[4];
	uint64_t i;

	assert_int_equal(write_block(vt, disk, 0, BS), 0);
	assert_int_equal(write_block(vt, disk, 1, BS), 0);
	entries_fail = true;
	for (i = 0; i < many; i++) {
		assert_int_equal(write_block(vt, disk, first + i, BS), EIO);
	}
	entries_fail = false;
	put_be32(entry, place);
	for (i = 0; i < remembered; i++) {
		assert_int_equal(write_block(vt, disk, first + i, BS), 0);
	}
	/* The last one's is there, and leads behind all of these. */
	vt_file_write(vt, "d.vhd", entry_at(vt, "d.vhd", first + many - 1),
		      entry, sizeof(entry));
	assert_int_equal(vt_rw(vt, disk, VHD_DISCARD, 0, BS, NULL, BS), 0);
	vhd_close(disk);
	assert_int_equal(vt_open(vt, "d.vhd", 0, &disk), 0);
	expect(vt, disk, 0, BS);
	expect(vt, disk, 1, 0);
	for (i = 0; i < remembered; i++) {
		expect(vt, disk, first + i, BS);
	}
	vhd_close(disk);
}

/* ---- blocks that come again ---- */

/* Others write bitmaps with holes in dynamic disks, too. Nothing is lost of
 * such a block's when it is discarded and written again: LeakSanitizer. */
static void test_partial_again(void **state)
{
	struct vt *vt = *state;
	struct vhd_disk *disk = vt_dynamic(vt, "d.vhd", SIZE, BS);
	static const uint8_t holes[16];
	unsigned i;

	assert_int_equal(write_block(vt, disk, 2, BS), 0);
	vhd_close(disk);
	/* The bits of 128 sectors from the first on. */
	vt_file_write(vt, "d.vhd", (uint64_t)entry_of(vt, "d.vhd", 2) * 512,
		      holes, sizeof(holes));
	assert_int_equal(vt_open(vt, "d.vhd", 0, &disk), 0);
	for (i = 0; i < 3; i++) {
		assert_int_equal(
			vt_rw(vt, disk, VHD_READ, 0, 2 * BS, back, 65536), 0);
		assert_int_equal(vt_is_zero(back, 65536), i == 0);
		assert_int_equal(
			vt_rw(vt, disk, VHD_DISCARD, 0, 2 * BS, NULL, BS), 0);
		expect(vt, disk, 2, 0);
		assert_int_equal(write_block(vt, disk, 2, BS / 2), 0);
		expect(vt, disk, 2, BS / 2);
	}
	vhd_close(disk);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_cannot_punch),
		TEST(test_many_fail),
		TEST(test_partial_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
