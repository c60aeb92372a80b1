/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Not for TSan: one thread, and long there.
 * builds: default clang asan
 */
/* Places of blocks that were given up: used again, by the same session and the
 * next, and never before they read as zeroes whatever happens. */

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vhd/bytes.h"
#include "vhd/vhdx.h"
#include "vhd_helpers.h"
#include "vhd_recorder.h"

#define BS     MiB
#define BLOCKS 16
#define SIZE   (BLOCKS * BS)

static uint8_t content[SIZE], back[SIZE];
static const uint8_t zeroes[512];

static void put(struct vt *vt, struct vhd_disk *disk, uint32_t block,
		uint32_t seed, uint64_t length)
{
	uint8_t *p = content + block * BS;

	vt_pattern(p, length, seed);
	assert_int_equal(vt_rw(vt, disk, VHD_WRITE, 0, block * BS, p, length),
			 0);
}

static void discard(struct vt *vt, struct vhd_disk *disk, uint32_t block)
{
	memset(content + block * BS, 0, BS);
	assert_int_equal(vt_rw(vt, disk, VHD_DISCARD, 0, block * BS, NULL, BS),
			 0);
}

static void expect(struct vt *vt, struct vhd_disk *disk)
{
	assert_int_equal(vt_rw(vt, disk, VHD_READ, 0, 0, back, SIZE), 0);
	assert_memory_equal(content, back, SIZE);
}

/* ---- the file does not grow ---- */

static void cycles(struct vt *vt, const char *name, struct vhd_disk *disk)
{
	uint64_t size = 0;
	uint32_t cycle, i;

	memset(content, 0, SIZE);
	for (i = 0; i < 12; i++) {
		put(vt, disk, i, i, BS);
	}
	vhd_close(disk);
	for (cycle = 0; cycle < 8; cycle++) {
		/* Four others each time, the last in the file not among
		 * them: else it is cut. */
		disk = vt_open_chain(vt, name, 0);
		for (i = 0; i < 4; i++) {
			discard(vt, disk, (cycle * 4 + i * 5) % 11);
		}
		expect(vt, disk);
		vhd_close(disk);
		disk = vt_open_chain(vt, name, 0);
		for (i = 0; i < 4; i++) {
			put(vt, disk, (cycle * 4 + i * 5) % 11, 100 + i,
			    BS / 2);
		}
		expect(vt, disk);
		vhd_close(disk);
		if (cycle == 0) {
			size = vt_file_size(vt, name);
		}
		assert_int_equal(vt_file_size(vt, name), size);
		vt_assert_sound(vt, vt_open_fd(vt, name, O_RDONLY));
	}
	disk = vt_open_chain(vt, name, 0);
	expect(vt, disk);
	vhd_close(disk);
}

static void test_cycles(void **state)
{
	struct vt *vt = *state;

	cycles(vt, "d.vhd", vt_dynamic(vt, "d.vhd", SIZE, BS));
	cycles(vt, "d.vhdx", vt_dynamic(vt, "d.vhdx", SIZE, BS));
	vhd_close(vt_dynamic(vt, "p.vhd", SIZE, BS));
	cycles(vt, "c.vhd", vt_child(vt, "c.vhd", "p.vhd"));
	vhd_close(vt_dynamic(vt, "p.vhdx", SIZE, BS));
	cycles(vt, "c.vhdx", vt_child(vt, "c.vhdx", "p.vhdx"));
}

/* Many more than are made usable at once; the list is of any length. */
static void test_many(void **state)
{
	static const char *const names[] = {"d.vhd", "d.vhdx"};
	struct vt *vt = *state;
	unsigned kind;
	uint32_t i;

	for (kind = 0; kind < 2; kind++) {
		struct vhd_disk *disk =
			vt_dynamic(vt, names[kind], 1 * GiB, MiB);
		uint8_t sector[512] = {1};
		uint64_t size;

		for (i = 0; i < 1024; i++) {
			assert_int_equal(vt_rw(vt, disk, VHD_WRITE, 0, i * MiB,
					       sector, 512),
					 0);
		}
		vhd_close(disk);
		size = vt_file_size(vt, names[kind]);
		assert_int_equal(vt_open(vt, names[kind], 0, &disk), 0);
		for (i = 0; i < 1022; i += 2) {
			assert_int_equal(vt_rw(vt, disk, VHD_DISCARD, 0,
					       i * MiB, NULL, MiB),
					 0);
		}
		/* In the same session: after a flush. */
		assert_int_equal(vt_rw(vt, disk, VHD_FLUSH, 0, 0, NULL, 0), 0);
		for (i = 0; i < 600; i += 2) {
			assert_int_equal(vt_rw(vt, disk, VHD_WRITE, 0, i * MiB,
					       sector, 512),
					 0);
		}
		vhd_close(disk);
		assert_true(vt_file_size(vt, names[kind]) <= size);
		assert_int_equal(vt_open(vt, names[kind], 0, &disk), 0);
		for (; i < 1022; i += 2) {
			assert_int_equal(vt_rw(vt, disk, VHD_WRITE, 0, i * MiB,
					       sector, 512),
					 0);
		}
		vhd_close(disk);
		assert_true(vt_file_size(vt, names[kind]) <= size);
	}
}

/* ---- what such places hold ---- */

/* Take a block from the table behind the engine's back: its place is free,
 * and full of old data. */
static void lose_block(struct vt *vt, const char *name, uint32_t block)
{
	static const uint8_t unused[8] = {0xff, 0xff, 0xff, 0xff};
	static const uint8_t nothing[8];
	uint8_t buf[VHDX_REGION_SIZE];
	struct vhdx_regions regions;
	char why[200];

	if (strstr(name, "vhdx") == NULL) {
		vt_file_read(vt, name, 512, buf, 1024);
		vt_file_write(vt, name, get_be64(buf + 16) + block * 4, unused,
			      4);
		return;
	}
	vt_file_read(vt, name, VHDX_REGION_AT(0), buf, sizeof(buf));
	assert_int_equal(vhdx_regions_pull(buf, &regions, why, sizeof(why)), 0);
	vt_file_write(vt, name, regions.bat.offset + block * 8, nothing, 8);
}

/* Each sector is as it is to be, or zero where it was not flushed. */
static void crash_at(struct vt *vt, const char *parent, size_t position,
		     uint32_t seed)
{
	int fd = seed % 2 ? recorder_crash_during(position, seed)
			  : recorder_crash(position, seed);
	int second = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	struct vhd_disk *disk = NULL, *below = NULL;
	struct tevent_req *req =
		vhd_open_send(vt->mem, vt->ev, fd, "crashed", 0);
	uint64_t at;

	assert_true(tevent_req_poll(req, vt->ev));
	assert_int_equal(vhd_open_recv(req, vt->mem, &disk, &vt->message), 0);
	talloc_free(req);
	if (parent != NULL) {
		assert_int_equal(vt_open(vt, parent, VHD_OPEN_READONLY, &below),
				 0);
		assert_int_equal(vhd_set_parent(disk, below, 0, NULL), 0);
	}
	assert_int_equal(vt_rw(vt, disk, VHD_READ, 0, 0, back, SIZE), 0);
	for (at = 0; at < SIZE; at += 512) {
		if (memcmp(back + at, content + at, 512) != 0 &&
		    memcmp(back + at, zeroes, 512) != 0) {
			fail_msg("stale data at %llu after a crash at %zu "
				 "(seed %u)",
				 (unsigned long long)at, position, seed);
		}
	}
	vhd_close(disk);
	if (seed % 8 < 2) {
		vt_assert_sound(vt, second);
	} else {
		close(second);
	}
}

static void crash_everywhere(struct vt *vt, const char *parent)
{
	size_t position, end = recorder_position();
	uint32_t seed;

	for (position = 1; position <= end; position++) {
		for (seed = 0; seed < 8; seed++) {
			crash_at(vt, parent, position,
				 seed == 0 ? 0 : (uint32_t)position * 8 + seed);
		}
	}
}

static void stale(struct vt *vt, const char *name, const char *parent,
		  struct vhd_disk *disk)
{
	uint64_t size;
	uint32_t i;

	memset(content, 0, SIZE);
	for (i = 0; i < 5; i++) {
		put(vt, disk, i, i, BS);
	}
	vhd_close(disk);
	lose_block(vt, name, 1);
	memset(content + BS, 0, BS);
	size = vt_file_size(vt, name);
	recorder_start_file(name, vt_open_fd(vt, name, O_RDONLY));
	disk = vt_open_chain(vt, name, 0);
	put(vt, disk, 9, 99, 4096);
	expect(vt, disk);
	assert_int_equal(vt_rw(vt, disk, VHD_FLUSH, 0, 0, NULL, 0), 0);
	vhd_close(disk);
	/* A VHDX' child needs a sector bitmap, too. */
	assert_true(vt_file_size(vt, name) <=
		    size + (strcmp(name, "c.vhdx") == 0 ? MiB : 0));
	crash_everywhere(vt, parent);
	recorder_stop();
}

static void test_stale_dynamic(void **state)
{
	stale(*state, "d.vhd", NULL, vt_dynamic(*state, "d.vhd", SIZE, BS));
}

static void test_stale_vhdx(void **state)
{
	stale(*state, "d.vhdx", NULL, vt_dynamic(*state, "d.vhdx", SIZE, BS));
}

static void test_stale_child(void **state)
{
	struct vt *vt = *state;

	vhd_close(vt_dynamic(vt, "p.vhd", SIZE, BS));
	stale(vt, "c.vhd", "p.vhd", vt_child(vt, "c.vhd", "p.vhd"));
	vhd_close(vt_dynamic(vt, "p.vhdx", SIZE, BS));
	stale(vt, "c.vhdx", "p.vhdx", vt_child(vt, "c.vhdx", "p.vhdx"));
}

/*
 * In the same session: a block is discarded, another one allocated at once.
 * The old data, which had been flushed, must not come up in the new block,
 * however much of the punching is lost.
 */
static void freed_and_taken(struct vt *vt, const char *name)
{
	struct vhd_disk *disk;
	uint64_t size;
	uint32_t i;

	recorder_start(name);
	disk = vt_dynamic(vt, name, SIZE, BS);
	memset(content, 0, SIZE);
	for (i = 0; i < 3; i++) {
		put(vt, disk, i, i, BS);
	}
	assert_int_equal(vt_rw(vt, disk, VHD_FLUSH, 0, 0, NULL, 0), 0);
	vhd_close(disk);
	recorder_start_file(name, vt_open_fd(vt, name, O_RDONLY));
	disk = vt_open_chain(vt, name, 0);
	/* What was block 1's content counts as right until it is gone. */
	assert_int_equal(vt_rw(vt, disk, VHD_DISCARD, 0, BS, NULL, BS), 0);
	for (i = 0; i < 3; i++) {
		put(vt, disk, 5 + i, 50 + i, 4096);
	}
	crash_everywhere(vt, NULL);
	/* It is used again when all that is stable. */
	assert_int_equal(vt_rw(vt, disk, VHD_FLUSH, 0, 0, NULL, 0), 0);
	discard(vt, disk, 1);
	vhd_close(disk);
	recorder_stop();

	assert_int_equal(vt_open(vt, name, 0, &disk), 0);
	for (i = 0; i < 3; i++) {
		discard(vt, disk, 5 + i);
	}
	put(vt, disk, 15, 15, BS);
	vhd_close(disk);
	size = vt_file_size(vt, name);
	assert_int_equal(vt_open(vt, name, 0, &disk), 0);
	discard(vt, disk, 0);
	assert_int_equal(vt_rw(vt, disk, VHD_FLUSH, 0, 0, NULL, 0), 0);
	put(vt, disk, 12, 12, BS);
	expect(vt, disk);
	vhd_close(disk);
	assert_true(vt_file_size(vt, name) <= size);
}

static void test_freed_dynamic(void **state)
{
	freed_and_taken(*state, "d.vhd");
}

static void test_freed_vhdx(void **state)
{
	freed_and_taken(*state, "d.vhdx");
}

/*
 * An unmapped block's entry may tell any place (MS-VHDX 2.5.1.1). What lies
 * between the file's end and one behind it is no gap: the file grows there.
 */
static void test_place_behind_end(void **state)
{
	struct vt *vt = *state;
	struct vhd_disk *disk = vt_dynamic(vt, "e.vhdx", SIZE, BS);
	uint8_t buf[VHDX_REGION_SIZE], entry[8];
	struct vhdx_regions regions;
	char why[200];
	uint32_t i;

	memset(content, 0, SIZE);
	put(vt, disk, 0, 1, BS);
	vhd_close(disk);
	vt_file_read(vt, "e.vhdx", VHDX_REGION_AT(0), buf, sizeof(buf));
	assert_int_equal(vhdx_regions_pull(buf, &regions, why, sizeof(why)), 0);
	put_le64(entry,
		 VHDX_BAT(VHDX_UNMAPPED, vt_file_size(vt, "e.vhdx") + 2 * BS));
	vt_file_write(vt, "e.vhdx", regions.bat.offset + (BLOCKS - 1) * 8,
		      entry, 8);
	assert_int_equal(vt_open(vt, "e.vhdx", 0, &disk), 0);
	for (i = 1; i < BLOCKS - 1; i++) {
		put(vt, disk, i, 1 + i, BS);
	}
	expect(vt, disk);
	vhd_close(disk);
	vt_assert_sound(vt, vt_open_fd(vt, "e.vhdx", O_RDONLY));
	assert_int_equal(vt_open(vt, "e.vhdx", 0, &disk), 0);
	expect(vt, disk);
	vhd_close(disk);
}

#define TEST_MEMORY(f)                                                         \
	cmocka_unit_test_setup_teardown(f, vt_setup_memory, vt_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_MEMORY(test_cycles),
		TEST_MEMORY(test_many),
		TEST_MEMORY(test_stale_dynamic),
		TEST_MEMORY(test_stale_vhdx),
		TEST_MEMORY(test_stale_child),
		TEST_MEMORY(test_freed_dynamic),
		TEST_MEMORY(test_freed_vhdx),
		TEST_MEMORY(test_place_behind_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
