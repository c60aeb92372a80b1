/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Not for TSan: one lane, many runs.
 * builds: default asan
 */
/*
 * Differencing VHDX disks whose sector bitmaps have bits of a block that is
 * not there, as another creator may have left them (MS-VHDX 2.4 gives them no
 * meaning): they never hide the parent's data.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vhd/bytes.h"
#include "vhd/vhdx.h"
#include "vhd_faults.h"
#include "vhd_helpers.h"
#include "vhd_recorder.h"

#define PIECE  65536u /* what the parent holds of the block, three times */
#define PLACES 3u
#define LENGTH 4096u /* of a write */

#define PARENT	  1u /* seeds */
#define NEIGHBOUR 2u
#define FIRST	  3u
#define SECOND	  4u

/* The block's beginning, middle and end: several pages of the bitmap, where
 * it has so many. */
static uint64_t place(uint64_t block, unsigned i)
{
	static const unsigned none[PLACES] = {0, 0, PIECE};

	return block + i * block / 2 - none[i];
}

static void put(struct vt *vt, struct vhd_disk *disk, uint64_t at,
		uint32_t length, uint32_t seed)
{
	static uint8_t data[PIECE];

	vt_pattern(data, length, seed);
	assert_int_equal(vt_rw(vt, disk, VHD_WRITE, 0, at, data, length), 0);
}

/* Where the bitmap of the first chunk is in the file. */
static uint64_t bitmap_at(struct vt *vt, uint32_t block)
{
	static uint8_t buf[VHDX_REGION_SIZE];
	struct vhdx_regions regions;
	char why[200];

	vt_file_read(vt, "c.vhdx", VHDX_REGION_AT(0), buf, sizeof(buf));
	assert_int_equal(vhdx_regions_pull(buf, &regions, why, sizeof(why)), 0);
	vt_file_read(vt, "c.vhdx",
		     regions.bat.offset +
			     8 * (uint64_t)vhdx_chunk_ratio(block, 512),
		     buf, 8);
	assert_int_equal(VHDX_BAT_STATE(get_le64(buf)), VHDX_FULLY_PRESENT);
	return VHDX_BAT_OFFSET(get_le64(buf));
}

/* Two blocks, of which the child has the first, and all bits of the second. */
static void prepare(struct vt *vt, uint32_t block)
{
	size_t bytes = block / 512 / 8;
	uint8_t *ones = malloc(bytes);
	struct vhd_disk *disk;
	struct vhd_info info;
	unsigned i;

	disk = vt_dynamic(vt, "p.vhdx", 2 * (uint64_t)block, block);
	for (i = 0; i < PLACES; i++) {
		put(vt, disk, place(block, i), PIECE, PARENT + 16 * i);
	}
	vhd_close(disk);
	disk = vt_child(vt, "c.vhdx", "p.vhdx");
	vhd_disk_info(disk, &info);
	assert_int_equal(info.block_size, block);
	put(vt, disk, 0, LENGTH, NEIGHBOUR);
	vhd_close(disk);
	memset(ones, 0xff, bytes);
	vt_file_write(vt, "c.vhdx", bitmap_at(vt, block) + bytes, ones, bytes);
	free(ones);
}

static void clean(struct vt *vt)
{
	unlink(vt_path(vt, "c.vhdx"));
	unlink(vt_path(vt, "p.vhdx"));
}

/* The first write goes to the middle, the second one to the beginning. */
static uint64_t written_at(uint32_t block, unsigned which)
{
	return place(block, which == 0 ? 1 : 0) + 2 * LENGTH;
}

enum is { NOT, MAYBE, THERE };

static bool is_of(const uint8_t *data, uint32_t seed)
{
	static uint8_t expected[LENGTH];

	vt_pattern(expected, sizeof(expected), seed);
	return memcmp(data, expected, sizeof(expected)) == 0;
}

static void check(struct vt *vt, struct vhd_disk *disk, uint32_t block,
		  enum is first, enum is second, const char *when)
{
	static uint8_t back[PIECE], parents[PIECE];
	const enum is is[2] = {first, second};
	unsigned i, k;

	assert_int_equal(vt_rw(vt, disk, VHD_READ, 0, 0, back, LENGTH), 0);
	assert_true(is_of(back, NEIGHBOUR));
	for (i = 0; i < PLACES; i++) {
		uint64_t at = place(block, i);

		vt_pattern(parents, PIECE, PARENT + 16 * i);
		assert_int_equal(vt_rw(vt, disk, VHD_READ, 0, at, back, PIECE),
				 0);
		for (k = 0; k < 2; k++) {
			uint64_t within = written_at(block, k) - at;

			if (within < PIECE && is[k] != NOT &&
			    is_of(back + within, FIRST + k)) {
				memcpy(parents + within, back + within, LENGTH);
			} else if (within < PIECE && is[k] == THERE) {
				fail_msg("%s: write %u is not there", when, k);
			}
		}
		if (memcmp(back, parents, PIECE) != 0) {
			fail_msg("%s: place %u of a block of %u is not the "
				 "parent's",
				 when, i, block);
		}
	}
}

static void test_ignored(void **state)
{
	static const uint32_t blocks[] = {MiB, 16 * MiB, 32 * MiB, 256 * MiB};
	struct vt *vt = *state;
	struct vhd_disk *disk;
	unsigned i;

	for (i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++) {
		prepare(vt, blocks[i]);
		disk = vt_open_chain(vt, "c.vhdx", 0);
		check(vt, disk, blocks[i], NOT, NOT, "before");
		put(vt, disk, written_at(blocks[i], 0), LENGTH, FIRST);
		check(vt, disk, blocks[i], THERE, NOT, "after one");
		put(vt, disk, written_at(blocks[i], 1), LENGTH, SECOND);
		check(vt, disk, blocks[i], THERE, THERE, "after two");
		vhd_close(disk);
		disk = vt_open_chain(vt, "c.vhdx", 0);
		check(vt, disk, blocks[i], THERE, THERE, "opened again");
		vhd_close(disk);
		vt_assert_sound(vt, vt_open_fd(vt, "c.vhdx", O_RDONLY));
		clean(vt);
	}
}

/* Whatever of the writes is there after a crash. */
static void test_crash(void **state)
{
	const uint32_t block = 64 * MiB;
	struct vt *vt = *state;
	struct vhd_disk *disk;
	size_t position, begin, done, end;
	uint32_t seed;

	prepare(vt, block);
	recorder_start_file("c.vhdx", vt_open_fd(vt, "c.vhdx", O_RDONLY));
	begin = recorder_position();
	disk = vt_open_chain(vt, "c.vhdx", 0);
	put(vt, disk, written_at(block, 0), LENGTH, FIRST);
	assert_int_equal(vt_rw(vt, disk, VHD_FLUSH, 0, 0, NULL, 0), 0);
	done = recorder_position();
	put(vt, disk, written_at(block, 1), LENGTH, SECOND);
	vhd_close(disk);
	end = recorder_position();
	assert_true(done > begin + 8);
	for (position = begin; position <= end; position++) {
		for (seed = 0; seed < 4; seed++) {
			enum is first = position < done ? MAYBE : THERE;
			char when[60];

			snprintf(when, sizeof(when), "crash at %zu, seed %u",
				 position, seed);
			recorder_crash_at(
				position,
				seed != 0 ? 4 * (uint32_t)position + seed : 0,
				vt_path(vt, "x.vhdx"),
				vt_path(vt, ".x.vhdx.atomic"));
			disk = vt_open_chain(vt, "x.vhdx", 0);
			check(vt, disk, block, first, MAYBE, when);
			put(vt, disk, written_at(block, 1), LENGTH, SECOND);
			check(vt, disk, block, first, THERE, when);
			vhd_close(disk);
			unlink(vt_path(vt, "x.vhdx"));
		}
	}
	recorder_stop();
	clean(vt);
}

/* @return false: there are not so many calls of the system */
static bool fail_one(struct vt *vt, unsigned nth, bool again)
{
	const uint32_t block = 64 * MiB;
	static uint8_t data[LENGTH];
	struct vhd_disk *disk;
	enum vhd_tap_step step;
	char when[60];
	bool hit;
	int ret;

	snprintf(when, sizeof(when), "call %u fails", nth);
	prepare(vt, block);
	faults_start();
	disk = vt_open_chain(vt, "c.vhdx", 0);
	vt_pattern(data, LENGTH, FIRST);
	faults_fail(FAULTS_ANY, nth, EIO);
	ret = vt_rw(vt, disk, VHD_WRITE, 0, written_at(block, 0), data, LENGTH);
	hit = faults_hit(&step);
	faults_none();
	assert_int_equal(ret, hit ? EIO : 0);
	check(vt, disk, block, hit ? MAYBE : THERE, NOT, when);
	if (again) {
		put(vt, disk, written_at(block, 1), LENGTH, SECOND);
	}
	vhd_close(disk);
	faults_stop();
	disk = vt_open_chain(vt, "c.vhdx", 0);
	check(vt, disk, block, hit ? MAYBE : THERE, again ? THERE : NOT, when);
	vhd_close(disk);
	clean(vt);
	return hit;
}

static void test_failures(void **state)
{
	unsigned nth = 0;

	while (fail_one(*state, nth, false)) {
		assert_true(fail_one(*state, nth, true));
		nth++;
	}
	assert_true(nth > 8);
}

#define TEST_MEMORY(f)                                                         \
	cmocka_unit_test_setup_teardown(f, vt_setup_memory, vt_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_MEMORY(test_ignored),
		TEST_MEMORY(test_crash),
		TEST_MEMORY(test_failures),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
