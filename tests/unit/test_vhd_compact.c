/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Compacting: what is read stays the same, the file gets smaller, a crash at
 * any point harms nothing. */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vhd/bytes.h"
#include "vhd/footer.h"
#include "vhd_helpers.h"
#include "vhd_recorder.h"

/* test_vhd_compact_vhdx.c is this file on VHDX files. */
#ifdef COMPACT_VHDX
#define EXT	  ".vhdx"
#define VHDX	  true
#define BS	  (1024 * 1024)
#define PER_BLOCK BS
#define METADATA  (6 * MiB)
#define LONGER	  (200 * GiB) /* than the table has room for */
#else
#define EXT	  ".vhd"
#define VHDX	  false
#define BS	  (512 * 1024)
#define PER_BLOCK (BS + BS / 8)
#define METADATA  BS
#define LONGER	  (1 * GiB)
#endif
#define DISK   "c" EXT
#define BASE   "base" EXT
#define BLOCKS 32
#define SIZE   (BLOCKS * BS)

static uint8_t content[SIZE], back[SIZE];

static int compact(struct vt *vt, const char *name, struct vhd_compact *result)
{
	return vt_compact_fd(vt, vt_open_fd(vt, name, O_RDWR), DISK, result);
}

static void put(struct vt *vt, struct vhd_disk *disk, uint32_t block,
		uint32_t seed)
{
	uint8_t *p = content + (uint64_t)block * BS;

	if (seed == 0) {
		memset(p, 0, BS);
	} else {
		vt_pattern(p, BS, seed);
	}
	assert_int_equal(
		vt_rw(vt, disk, VHD_WRITE, 0, (uint64_t)block * BS, p, BS), 0);
}

static void expect(struct vt *vt, struct vhd_disk *disk)
{
	uint32_t block;

	assert_int_equal(vt_rw(vt, disk, VHD_READ, 0, 0, back, SIZE), 0);
	for (block = 0; block < BLOCKS; block++) {
		if (memcmp(content + (uint64_t)block * BS,
			   back + (uint64_t)block * BS, BS) != 0) {
			fail_msg("block %u differs", block);
		}
	}
}

/* Blocks in random order, some zeroed again. */
static void fill(struct vt *vt, struct vhd_disk *disk)
{
	uint32_t i;

	for (i = 0; i < 24; i++) {
		put(vt, disk, i * 7 % 32, i + 1);
	}
	for (i = 0; i < 24; i += 3) {
		put(vt, disk, i * 7 % 32, 0);
	}
	/* A part only. */
	memset(content + 7 * BS + 65536, 0, 3 * 65536);
	assert_int_equal(vt_rw(vt, disk, VHD_WRITE, 0, 7 * BS + 65536,
			       content + 7 * BS + 65536, 3 * 65536),
			 0);
}

static void test_dynamic(void **state)
{
	struct vt *vt = *state;
	struct vhd_disk *disk = vt_dynamic(vt, DISK, SIZE, BS);
	struct vhd_compact result;
	struct stat before, after;
	struct vhd_info info;

	memset(content, 0, SIZE);
	fill(vt, disk);
	vhd_close(disk);
	assert_int_equal(stat(vt_path(vt, DISK), &before), 0);
	assert_int_equal(compact(vt, DISK, &result), 0);
	assert_int_equal(result.released, 8);
	assert_true(result.moved > 0);
	assert_true(result.size_after <= 16 * PER_BLOCK + METADATA);
	assert_true(result.size_after + 8 * BS <= result.size_before);
	assert_true(result.allocated_after + 8 * BS + 2 * 65536 <=
		    result.allocated_before);
	assert_int_equal(vt_file_size(vt, DISK), result.size_after);
	/* Children would notice. */
	assert_int_equal(stat(vt_path(vt, DISK), &after), 0);
	assert_int_equal(before.st_mtime, after.st_mtime);

	vt_assert_sound(vt, vt_open_fd(vt, DISK, O_RDONLY));
	assert_int_equal(vt_open(vt, DISK, 0, &disk), 0);
	expect(vt, disk);
	vhd_disk_info(disk, &info);
	assert_int_equal(info.allocated, 16 * BS);
	put(vt, disk, 30, 99);
	put(vt, disk, 3, 98);
	vhd_close(disk);
	assert_int_equal(vt_open(vt, DISK, 0, &disk), 0);
	expect(vt, disk);
	vhd_close(disk);

	/* Nothing more to gain. */
	assert_int_equal(compact(vt, DISK, &result), 0);
	assert_int_equal(result.released, 0);
	assert_int_equal(compact(vt, DISK, &result), 0);
	assert_int_equal(result.moved, 0);
	assert_int_equal(result.size_before, result.size_after);
}

/* A table that growth has moved stays, and blocks go around it. */
static void test_moved_table(void **state)
{
	struct vt *vt = *state;
	struct vhd_disk *disk = vt_dynamic(vt, DISK, SIZE, BS);
	struct vhd_compact result;

	memset(content, 0, SIZE);
	put(vt, disk, 0, 1);
	put(vt, disk, 1, 2);
	assert_int_equal(vt_grow(vt, disk, LONGER), 0);
	put(vt, disk, 2, 3);
	put(vt, disk, 3, 4);
	put(vt, disk, 0, 0);
	put(vt, disk, 2, 0);
	vhd_close(disk);
	assert_int_equal(compact(vt, DISK, &result), 0);
	assert_int_equal(result.released, 2);
	/* A VHDX' table leaves a gap that another takes. */
	assert_int_equal(result.moved, VHDX ? 2 : 1);
	vt_assert_sound(vt, vt_open_fd(vt, DISK, O_RDONLY));
	assert_int_equal(vt_open(vt, DISK, 0, &disk), 0);
	assert_int_equal(vhd_disk_size(disk), SIZE + LONGER);
	expect(vt, disk);
	vhd_close(disk);
}

/* A child's zeroes hide the parent's data. VHDX has a state for blocks of
 * them, which take no place; of VHDs only empty blocks go. */
static void test_differencing(void **state)
{
	struct vt *vt = *state;
	struct vhd_disk *disk = vt_dynamic(vt, BASE, SIZE, BS);
	struct vhd_compact result;
	uint32_t i;

	memset(content, 0, SIZE);
	for (i = 0; i < 8; i++) {
		put(vt, disk, i, i + 1);
	}
	vhd_close(disk);
	disk = vt_child(vt, DISK, BASE);
	for (i = 0; i < 12; i++) {
		put(vt, disk, i, i % 2 ? i + 20 : 0);
	}
	vhd_close(disk);
	assert_int_equal(compact(vt, DISK, &result), 0);
	assert_int_equal(result.released, VHDX ? 6 : 0);
	assert_true(result.allocated_after + 6 * BS <=
		    result.allocated_before + 65536);
	disk = vt_open_chain(vt, DISK, 0);
	expect(vt, disk);
	vhd_close(disk);
	/* The parent, too, and the child still takes it. */
	assert_int_equal(compact(vt, BASE, &result), 0);
	disk = vt_open_chain(vt, DISK, 0);
	expect(vt, disk);
	vhd_close(disk);
}

#ifdef COMPACT_VHDX
/* Parts of blocks, and what knows of them: the chunk's sector bitmap. */
static void test_partial(void **state)
{
	struct vt *vt = *state;
	struct vhd_disk *disk = vt_dynamic(vt, BASE, SIZE, BS);
	struct vhd_compact result;
	uint8_t buf[65536];
	uint32_t i;

	memset(content, 0, SIZE);
	for (i = 0; i < 8; i++) {
		put(vt, disk, i, i + 1);
	}
	vhd_close(disk);
	disk = vt_child(vt, DISK, BASE);
	put(vt, disk, 7, 77);
	vt_pattern(buf, sizeof(buf), 5);
	for (i = 0; i < 4; i++) {
		/* Not at the start of a piece. */
		memcpy(content + i * BS + 4096, buf, sizeof(buf));
		assert_int_equal(vt_rw(vt, disk, VHD_WRITE, 0, i * BS + 4096,
				       buf, sizeof(buf)),
				 0);
	}
	/* Zeroes in a part hide as well. */
	memset(content + 5 * BS, 0, BS / 2);
	assert_int_equal(vt_rw(vt, disk, VHD_WRITE, 0, 5 * BS, content + 5 * BS,
			       BS / 2),
			 0);
	vhd_close(disk);
	assert_int_equal(compact(vt, DISK, &result), 0);
	assert_int_equal(result.released, 0);
	vt_assert_sound(vt, vt_open_fd(vt, DISK, O_RDONLY));
	disk = vt_open_chain(vt, DISK, 0);
	expect(vt, disk);
	/* No part of a block is left: nor is the bitmap. */
	for (i = 0; i < 6; i++) {
		put(vt, disk, i, 0);
	}
	vhd_close(disk);
	assert_int_equal(compact(vt, DISK, &result), 0);
	assert_true(result.size_after + 4 * BS <= result.size_before);
	assert_true(result.size_after <= METADATA);
	vt_assert_sound(vt, vt_open_fd(vt, DISK, O_RDONLY));
	disk = vt_open_chain(vt, DISK, 0);
	expect(vt, disk);
	/* And it comes back. */
	memcpy(content + 20 * BS, buf, 512);
	assert_int_equal(vt_rw(vt, disk, VHD_WRITE, 0, 20 * BS, buf, 512), 0);
	expect(vt, disk);
	vhd_close(disk);
	disk = vt_open_chain(vt, DISK, 0);
	expect(vt, disk);
	vhd_close(disk);
}
#endif

/* Its blocks stay; what is zero becomes holes. */
static void test_fixed(void **state)
{
	struct vt *vt = *state;
	struct vhd_compact result;
	struct vhd_disk *disk;

	assert_int_equal(vt_create(vt, DISK, SIZE, false), 0);
	assert_int_equal(vt_open(vt, DISK, 0, &disk), 0);
	memset(content, 0, SIZE);
	put(vt, disk, 1, 1);
	put(vt, disk, BLOCKS - 1, 2);
	vhd_close(disk);
	assert_int_equal(compact(vt, DISK, &result), 0);
	assert_int_equal(result.released, 0);
	assert_int_equal(result.moved, 0);
	assert_int_equal(result.size_after, result.size_before);
	assert_true(result.allocated_after + 29 * BS <=
		    result.allocated_before);
	vt_assert_sound(vt, vt_open_fd(vt, DISK, O_RDONLY));
	assert_int_equal(vt_open(vt, DISK, 0, &disk), 0);
	expect(vt, disk);
	put(vt, disk, 3, 3);
	expect(vt, disk);
	vhd_close(disk);
}

static void test_refusals(void **state)
{
	struct vt *vt = *state;
	struct vhd_compact result;
	struct vhd_disk *disk;

	disk = vt_dynamic(vt, DISK, SIZE, BS);
	assert_int_equal(compact(vt, DISK, &result), EWOULDBLOCK);
	vhd_close(disk);
	/* Not for compacting to mend. */
	vt_file_write(vt, DISK, VHDX ? 65536 * 3 : 512, "damaged", 8);
	vt_file_write(vt, DISK, VHDX ? 65536 * 4 : 512, "damaged", 8);
	assert_int_equal(compact(vt, DISK, &result), EINVAL);
	assert_non_null(vt->message);
	vt_file_write(vt, "s", 0, "stranger", 8);
	assert_int_equal(compact(vt, "s", &result), EINVAL);
}

static void crash_at(struct vt *vt, size_t position, uint32_t seed)
{
	int fd = recorder_crash(position, seed);
	int second = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	struct vhd_disk *disk = NULL;
	struct tevent_req *req =
		vhd_open_send(vt->mem, vt->ev, fd, "crashed", 0);
	int ret;

	assert_true(tevent_req_poll(req, vt->ev));
	ret = vhd_open_recv(req, vt->mem, &disk, &vt->message);
	talloc_free(req);
	if (ret != 0) {
		fail_msg("a crash at %zu (seed %u): %s", position, seed,
			 vt->message);
	}
	expect(vt, disk);
	vhd_close(disk);
	vt_assert_sound(vt, second);
}

/* The recorder has to see the file from its first byte on. */
static void test_crash(void **state)
{
	struct vt *vt = *state;
	struct vhd_disk *disk;
	struct vhd_compact result;
	size_t begin, end, position;
	uint32_t seed;

	recorder_start(DISK);
	disk = vt_dynamic(vt, DISK, SIZE, BS);
	memset(content, 0, SIZE);
	fill(vt, disk);
	assert_int_equal(vt_rw(vt, disk, VHD_FLUSH, 0, 0, NULL, 0), 0);
	vhd_close(disk);
	begin = recorder_position();
	assert_int_equal(compact(vt, DISK, &result), 0);
	end = recorder_position();
	assert_true(result.moved > 0 && result.released > 0);
	assert_true(end > begin + 20);
	for (position = begin; position <= end;
	     position += 1 + (end - begin) / 25) {
		for (seed = 0; seed < 3; seed++) {
			crash_at(vt, position,
				 seed == 0 ? 0 : (uint32_t)position * 3 + seed);
		}
	}
	crash_at(vt, end, 0);
	recorder_stop();
}

/* Each step fails in turn: the file stays sound, and another try succeeds. */
static void test_failures(void **state)
{
	struct vt *vt = *state;
	struct vhd_compact result;
	struct vhd_disk *disk;
	unsigned nth;
	int ret = EIO;

	recorder_start(DISK);
	disk = vt_dynamic(vt, DISK, SIZE, BS);
	memset(content, 0, SIZE);
	fill(vt, disk);
	vhd_close(disk);
	for (nth = 0; ret != 0 && nth < 2000; nth += 13) {
		recorder_fail(nth, nth % 2 ? EIO : ENOSPC);
		ret = compact(vt, DISK, &result);
		assert_true(ret == 0 || recorder_failed());
		recorder_fail(0, 0);
		if (nth % 39 == 0 || ret == 0) {
			vt_assert_sound(vt, vt_open_fd(vt, DISK, O_RDONLY));
			assert_int_equal(
				vt_open(vt, DISK, VHD_OPEN_READONLY, &disk), 0);
			expect(vt, disk);
			vhd_close(disk);
		}
	}
	assert_int_equal(ret, 0);
	recorder_stop();
}

/* A file that nobody finds has no journal, which is nothing to tell of: it is
 * another failure that is told. */
static void test_nameless(void **state)
{
	struct vt *vt = *state;
	struct vhd_compact result;
	struct vhd_disk *disk;
	char path[40];
	unsigned nth;
	int fd, ret;

	recorder_start(DISK);
	disk = vt_dynamic(vt, DISK, SIZE, BS);
	memset(content, 0, SIZE);
	fill(vt, disk);
	vhd_close(disk);
	fd = vt_open_fd(vt, DISK, O_RDWR);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	unlink(vt_path(vt, DISK));
	for (nth = 0; nth < 40; nth += 3) {
		recorder_fail(nth, EIO);
		ret = vt_compact_fd(vt, open(path, O_RDWR | O_CLOEXEC), DISK,
				    &result);
		recorder_fail(0, 0);
		if (ret != 0) {
			assert_int_equal(ret, EIO);
			assert_non_null(strstr(vt->message, strerror(EIO)));
		}
		assert_true(ret != 0 || nth > 0);
	}
	close(fd);
	recorder_stop();
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, vt_setup, vt_teardown)
#define TEST_MEMORY(f)                                                         \
	cmocka_unit_test_setup_teardown(f, vt_setup_memory, vt_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_dynamic),	    TEST(test_moved_table),
		TEST(test_differencing),    TEST(test_refusals),
		TEST(test_fixed),
#ifdef COMPACT_VHDX
		TEST(test_partial),
#endif
		TEST_MEMORY(test_crash),    TEST_MEMORY(test_failures),
		TEST_MEMORY(test_nameless),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
