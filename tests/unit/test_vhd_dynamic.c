/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Dynamic disks: what is in the file, what is refused, growth. Chains of
 * differencing disks are in test_vhd_chain; that all of them serve requests is
 * in test_vhd_io. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vhd/bytes.h"
#include "vhd/dynheader.h"
#include "vhd/footer.h"
#include "vhd_patterns.h"

#define SIZE (64 * MiB)
#define BS   (2 * MiB)

static void assert_says(struct vt *vt, const char *what)
{
	assert_non_null(vt->message);
	if (strstr(vt->message, what) == NULL) {
		fail_msg("\"%s\" does not mention \"%s\"", vt->message, what);
	}
}

static uint32_t bat_entry(struct vt *vt, const char *name, uint32_t block)
{
	uint8_t header[1024], entry[4];

	vt_file_read(vt, name, 512, header, sizeof(header));
	vt_file_read(vt, name, get_be64(header + 16) + block * 4, entry, 4);
	return get_be32(entry);
}

static void set_bat_entry(struct vt *vt, const char *name, uint32_t block,
			  uint32_t value)
{
	uint8_t header[1024], entry[4];

	vt_file_read(vt, name, 512, header, sizeof(header));
	put_be32(entry, value);
	vt_file_write(vt, name, get_be64(header + 16) + block * 4, entry, 4);
}

/* ---- the file ---- */

static void test_new_file(void **state)
{
	struct vt *vt = *state;
	uint8_t first[512], last[512], header[1024];
	struct vhd_info info;

	vhd_close(vt_dynamic(vt, "d.vhd", SIZE, 0));
	/* Copy, header, a table of 32 entries in a sector, footer. */
	assert_int_equal(vt_file_size(vt, "d.vhd"), 512 + 1024 + 512 + 512);
	vt_file_read(vt, "d.vhd", 0, first, 512);
	vt_file_read(vt, "d.vhd", 2048, last, 512);
	assert_memory_equal(first, last, 512);
	assert_memory_equal(first, "conectix", 8);
	assert_int_equal(get_be64(first + 16), 512);
	assert_int_equal(get_be32(first + 60), 3);
	vt_file_read(vt, "d.vhd", 512, header, 1024);
	assert_memory_equal(header, "cxsparse", 8);
	assert_int_equal(get_be64(header + 8), UINT64_MAX);
	assert_int_equal(get_be64(header + 16), 1536);
	assert_int_equal(get_be32(header + 24), 0x10000);
	assert_int_equal(get_be32(header + 28), 32);
	assert_int_equal(get_be32(header + 32), BS);
	assert_true(vt_is_zero(header + 40, 1024 - 40));
	assert_int_equal(bat_entry(vt, "d.vhd", 0), UINT32_MAX);
	assert_int_equal(bat_entry(vt, "d.vhd", 127), UINT32_MAX);
	assert_int_equal(vt_probe(vt, "d.vhd", &info), 0);
	assert_int_equal(info.type, VHD_TYPE_DYNAMIC);
	assert_int_equal(info.size, SIZE);
	assert_int_equal(info.block_size, BS);
}

/* Blocks come when they are written, not before; nothing else stays. */
static void test_allocation(void **state)
{
	struct vt *vt = *state;
	struct vhd_disk *disk = vt_dynamic(vt, "d.vhd", SIZE, 0);
	struct vhd_info info;
	uint8_t bitmap[512];
	uint32_t block;
	int i;

	expect_zero(vt, disk, 0, 4 * MiB);
	assert_int_equal(vt_rw(vt, disk, VHD_ZERO, 0, 0, NULL, SIZE), 0);
	assert_int_equal(vt_rw(vt, disk, VHD_DISCARD, 0, 0, NULL, SIZE), 0);
	vhd_disk_info(disk, &info);
	assert_int_equal(info.allocated, 0);
	assert_int_equal(vt_file_size(vt, "d.vhd"), 2560);

	write_at(vt, disk, 5 * BS + 4096, 4096, 1);
	write_at(vt, disk, 9 * BS - 512, 1024, 2); /* two blocks */
	vhd_disk_info(disk, &info);
	assert_int_equal(info.allocated, 3 * BS);
	vhd_close(disk);
	/* At most a gap before each block, and two for appending. */
	assert_true(vt_file_size(vt, "d.vhd") < 3 * BS + 5 * BS / 8 + 2560);
	assert_true(vt_file_allocated(vt, "d.vhd") <= 128 * 1024);

	for (i = 0; i < 3; i++) {
		block = i == 0 ? 5 : 7 + (uint32_t)i;
		/* The data are on a wide boundary, the bitmap is all ones. */
		assert_int_equal(
			((uint64_t)bat_entry(vt, "d.vhd", block) * 512 + 512) %
				(BS / 8),
			0);
		vt_file_read(vt, "d.vhd",
			     (uint64_t)bat_entry(vt, "d.vhd", block) * 512,
			     bitmap, 512);
		memset(big, 0xff, 512);
		assert_memory_equal(bitmap, big, 512);
	}
	assert_int_equal(vt_open(vt, "d.vhd", 0, &disk), 0);
	expect_at(vt, disk, 5 * BS + 4096, 4096, 1);
	expect_at(vt, disk, 9 * BS - 512, 1024, 2);
	expect_zero(vt, disk, 5 * BS, 4096);
	expect_zero(vt, disk, 6 * BS, BS);
	/* And it goes on from there. */
	write_at(vt, disk, 0, 4 * MiB, 3);
	expect_at(vt, disk, 0, 4 * MiB, 3);
	expect_at(vt, disk, 5 * BS + 4096, 4096, 1);
	vhd_close(disk);
}

static void discard(struct vt *vt, struct vhd_disk *disk, uint64_t offset,
		    uint64_t len)
{
	assert_int_equal(vt_rw(vt, disk, VHD_DISCARD, 0, offset, NULL, len), 0);
}

static uint64_t allocated(struct vhd_disk *disk)
{
	struct vhd_info info;

	vhd_disk_info(disk, &info);
	return info.allocated;
}

static bool mapped(struct vhd_disk *disk, uint64_t offset, uint64_t len)
{
	uint64_t at = 0, n;

	while (at < len) {
		n = len - at;
		if (vhd_disk_mapped(disk, offset + at, &n)) {
			return true;
		}
		at += n;
	}
	return false;
}

/* Whole blocks go, parts of others become holes. */
static void test_discard_gives_back(void **state)
{
	struct vt *vt = *state;
	struct vhd_disk *disk = vt_dynamic(vt, "d.vhd", SIZE, 0);
	uint64_t before, size;

	write_at(vt, disk, 0, 2 * BS, 1);
	write_at(vt, disk, 2 * BS, 2 * BS, 2);
	assert_int_equal(vt_rw(vt, disk, VHD_FLUSH, 0, 0, NULL, 0), 0);
	before = vt_file_allocated(vt, "d.vhd");
	assert_int_equal(allocated(disk), 4 * BS);
	discard(vt, disk, 4096, 3 * BS - 4096);
	assert_int_equal(allocated(disk), 2 * BS);
	assert_true(vt_file_allocated(vt, "d.vhd") + 3 * BS - 65536 < before);
	assert_int_equal(bat_entry(vt, "d.vhd", 1), UINT32_MAX);
	assert_int_equal(bat_entry(vt, "d.vhd", 2), UINT32_MAX);
	assert_true(bat_entry(vt, "d.vhd", 0) != UINT32_MAX);
	assert_true(mapped(disk, 0, 4096));
	assert_false(mapped(disk, 4096, 3 * BS - 4096));
	assert_true(mapped(disk, 3 * BS, 4096));
	expect_zero(vt, disk, 4096, BS);
	expect_zero(vt, disk, BS, 2 * BS);

	/* Their places are used again, and hold nothing old. */
	size = vt_file_size(vt, "d.vhd");
	write_at(vt, disk, 20 * BS + 8192, 4096, 3);
	write_at(vt, disk, 21 * BS + 8192, 4096, 4);
	assert_int_equal(vt_file_size(vt, "d.vhd"), size);
	expect_zero(vt, disk, 20 * BS, 8192);
	expect_zero(vt, disk, 20 * BS + 12288, BS - 12288);
	expect_zero(vt, disk, 1 * BS, BS);

	/* Those at the end of the file are cut off. */
	discard(vt, disk, 3 * BS, BS);
	discard(vt, disk, 20 * BS, 2 * BS);
	vhd_close(disk);
	assert_true(vt_file_size(vt, "d.vhd") < BS + BS / 2);
	assert_int_equal(vt_open(vt, "d.vhd", 0, &disk), 0);
	expect_zero(vt, disk, 4096, BS);
	expect_zero(vt, disk, 20 * BS, 2 * BS);
	assert_int_equal(allocated(disk), BS);
	write_at(vt, disk, 9 * BS, BS, 5);
	vhd_close(disk);
	assert_int_equal(vt_open(vt, "d.vhd", VHD_OPEN_READONLY, &disk), 0);
	expect_at(vt, disk, 9 * BS, BS, 5);
	vhd_close(disk);
}

/* What the parent does not hold is released; what it holds is hidden by holes.
 * Nothing is written but metadata. */
static void test_discard_in_child(void **state)
{
	struct vt *vt = *state;
	struct vhd_disk *disk = vt_dynamic(vt, "base.vhd", SIZE, 0);
	uint64_t before;

	write_at(vt, disk, 0, BS, 1);
	write_at(vt, disk, 8 * BS, BS, 1);
	vhd_close(disk);
	disk = vt_child(vt, "c.vhd", "base.vhd");
	write_at(vt, disk, 0, BS, 2);
	write_at(vt, disk, BS, BS, 3);
	before = vt_file_allocated(vt, "c.vhd");
	/* In both, in the child only, in none. */
	discard(vt, disk, 0, 4 * BS);
	assert_int_equal(bat_entry(vt, "c.vhd", 1), UINT32_MAX);
	assert_int_equal(bat_entry(vt, "c.vhd", 2), UINT32_MAX);
	assert_int_equal(allocated(disk), BS);
	/* In the parent only. */
	discard(vt, disk, 8 * BS + 65536, BS - 65536);
	assert_int_equal(allocated(disk), 2 * BS);
	assert_true(vt_file_allocated(vt, "c.vhd") + 2 * BS - 65536 < before);
	expect_zero(vt, disk, 0, 2 * BS);
	expect_zero(vt, disk, 2 * BS, 2 * BS);
	expect_zero(vt, disk, 8 * BS + 65536, BS - 65536);
	assert_false(mapped(disk, 0, 4 * BS));
	expect_at(vt, disk, 8 * BS, 65536, 1);
	vhd_close(disk);

	disk = vt_open_chain(vt, "c.vhd", 0);
	expect_zero(vt, disk, 0, 4 * BS / 2);
	expect_zero(vt, disk, 8 * BS + 65536, BS - 65536);
	expect_at(vt, disk, 8 * BS, 65536, 1);
	/* A place that held another block: its old bits are gone. */
	write_at(vt, disk, 5 * BS, BS, 4);
	discard(vt, disk, 5 * BS, BS);
	write_at(vt, disk, 8 * BS, 512, 5);
	discard(vt, disk, 20 * BS, BS);
	write_at(vt, disk, 21 * BS + 4096, 512, 6);
	expect_zero(vt, disk, 21 * BS, 4096);
	vhd_close(disk);
	disk = vt_open_chain(vt, "c.vhd", 0);
	expect_at(vt, disk, 21 * BS + 4096, 512, 6);
	expect_zero(vt, disk, 21 * BS, 4096);
	vhd_close(disk);
}

/* The last block may be cut by the disk's size. */
static void test_odd_size(void **state)
{
	struct vt *vt = *state;
	uint64_t size = 3 * BS + 512;
	struct vhd_disk *disk = vt_dynamic(vt, "o.vhd", size, 0);

	write_at(vt, disk, size - 1024, 1024, 1);
	assert_int_equal(vt_rw(vt, disk, VHD_WRITE, 0, size, big, 512), EINVAL);
	vhd_close(disk);
	assert_int_equal(vt_open(vt, "o.vhd", 0, &disk), 0);
	expect_at(vt, disk, size - 1024, 1024, 1);
	vhd_close(disk);
}

/* A block of which others wrote some sectors only. */
static void test_partial_bitmap(void **state)
{
	struct vt *vt = *state;
	struct vhd_disk *disk = vt_dynamic(vt, "p.vhd", SIZE, 0);
	uint8_t bitmap[512] = {0};
	uint64_t at;

	write_at(vt, disk, 0, 4096, 1);
	vhd_close(disk);
	/* Sectors 1 and 2 only, sector 0 holds what nobody may see. */
	at = (uint64_t)bat_entry(vt, "p.vhd", 0) * 512;
	bitmap[0] = 0x60;
	vt_file_write(vt, "p.vhd", at, bitmap, 512);

	assert_int_equal(vt_open(vt, "p.vhd", 0, &disk), 0);
	assert_int_equal(vt_rw(vt, disk, VHD_READ, 0, 0, back, 4096), 0);
	vt_pattern(big, 4096, 1);
	memset(big, 0, 512);
	memset(big + 1536, 0, 4096 - 1536);
	assert_memory_equal(big, back, 4096);
	/* Written across the border: their bits follow. */
	write_at(vt, disk, 1024, 1024, 2);
	vhd_close(disk);
	vt_file_read(vt, "p.vhd", at, bitmap, 512);
	assert_int_equal(bitmap[0], 0x70);
	assert_int_equal(vt_open(vt, "p.vhd", 0, &disk), 0);
	expect_at(vt, disk, 1024, 1024, 2);
	expect_zero(vt, disk, 0, 512);
	expect_zero(vt, disk, 2048, 2048);
	vhd_close(disk);
}

/* ---- crashes ---- */

/* The footer at the end was lost: its copy serves, and it is restored. */
static void test_lost_footer(void **state)
{
	struct vt *vt = *state;
	struct vhd_disk *disk = vt_dynamic(vt, "l.vhd", SIZE, 0);
	struct vhd_info info;
	uint64_t size;

	write_at(vt, disk, 0, 4096, 1);
	vhd_close(disk);
	size = vt_file_size(vt, "l.vhd");
	assert_int_equal(truncate(vt_path(vt, "l.vhd"), (off_t)size - 512), 0);
	assert_int_equal(vt_probe(vt, "l.vhd", &info), 0);
	assert_int_equal(info.size, SIZE);
	/* Read-only it stays as it is. */
	assert_int_equal(vt_open(vt, "l.vhd", VHD_OPEN_READONLY, &disk), 0);
	expect_at(vt, disk, 0, 4096, 1);
	vhd_close(disk);
	assert_int_equal(vt_file_size(vt, "l.vhd"), size - 512);
	assert_int_equal(vt_open(vt, "l.vhd", 0, &disk), 0);
	expect_at(vt, disk, 0, 4096, 1);
	write_at(vt, disk, 8 * BS, 4096, 2);
	vhd_close(disk);
	vt_file_read(vt, "l.vhd", vt_file_size(vt, "l.vhd") - 512, back, 8);
	assert_memory_equal(back, "conectix", 8);
	assert_int_equal(vt_open(vt, "l.vhd", 0, &disk), 0);
	expect_at(vt, disk, 0, 4096, 1);
	expect_at(vt, disk, 8 * BS, 4096, 2);
	vhd_close(disk);
}

/* Not closed: what was appended in advance is no obstacle. */
static void test_not_closed(void **state)
{
	struct vt *vt = *state;
	struct vhd_disk *disk = vt_dynamic(vt, "n.vhd", SIZE, 0);
	uint8_t *copy;
	uint64_t size;
	int i;

	for (i = 0; i < 5; i++) {
		write_at(vt, disk, (uint64_t)i * BS, 4096, (uint32_t)i);
	}
	size = vt_file_size(vt, "n.vhd");
	copy = malloc(size);
	vt_file_read(vt, "n.vhd", 0, copy, size);
	vhd_close(disk);
	assert_true(vt_file_size(vt, "n.vhd") < size);
	vt_file_write(vt, "crashed.vhd", 0, copy, size);
	free(copy);
	assert_int_equal(vt_open(vt, "crashed.vhd", 0, &disk), 0);
	for (i = 0; i < 5; i++) {
		expect_at(vt, disk, (uint64_t)i * BS, 4096, (uint32_t)i);
	}
	write_at(vt, disk, 20 * BS, 4096, 20);
	vhd_close(disk);
	assert_int_equal(vt_open(vt, "crashed.vhd", 0, &disk), 0);
	expect_at(vt, disk, 20 * BS, 4096, 20);
	expect_at(vt, disk, 4 * BS, 4096, 4);
	vhd_close(disk);
}

/* ---- strangers ---- */

static void refused(struct vt *vt, const char *name, const char *why)
{
	struct vhd_disk *disk = NULL;

	assert_int_equal(vt_open(vt, name, 0, &disk), EINVAL);
	assert_null(disk);
	assert_says(vt, why);
}

static void test_bad_entries(void **state)
{
	struct vt *vt = *state;
	struct vhd_disk *disk = vt_dynamic(vt, "b.vhd", SIZE, 0);
	uint32_t good;

	write_at(vt, disk, 0, 4096, 1);
	write_at(vt, disk, BS, 4096, 2);
	vhd_close(disk);
	good = bat_entry(vt, "b.vhd", 1);

	set_bat_entry(vt, "b.vhd", 1, 0);
	refused(vt, "b.vhd", "block 1 at 0 overlaps the footer's copy");
	set_bat_entry(vt, "b.vhd", 1, 3);
	refused(vt, "b.vhd", "overlaps the block allocation table");
	set_bat_entry(vt, "b.vhd", 1, bat_entry(vt, "b.vhd", 0));
	refused(vt, "b.vhd", "two blocks overlap");
	set_bat_entry(vt, "b.vhd", 1, bat_entry(vt, "b.vhd", 0) + 4096);
	refused(vt, "b.vhd", "two blocks overlap");
	set_bat_entry(vt, "b.vhd", 1, good + 4096);
	refused(vt, "b.vhd", "beyond the file");
	set_bat_entry(vt, "b.vhd", 1, 0xfffffffe);
	refused(vt, "b.vhd", "beyond the file");
	set_bat_entry(vt, "b.vhd", 1, good);
	assert_int_equal(vt_open(vt, "b.vhd", 0, &disk), 0);
	vhd_close(disk);
}

/* Change one field of the header (with a good checksum), see it refused. */
static void bad_header(struct vt *vt, size_t offset, uint64_t value,
		       size_t width, const char *why)
{
	uint8_t header[1024], saved[1024];

	vt_file_read(vt, "h.vhd", 512, saved, 1024);
	memcpy(header, saved, 1024);
	if (width == 8) {
		put_be64(header + offset, value);
	} else {
		put_be32(header + offset, (uint32_t)value);
	}
	if (offset != 36) {
		put_be32(header + 36, vhd_checksum(header, 1024, 36));
	}
	vt_file_write(vt, "h.vhd", 512, header, 1024);
	refused(vt, "h.vhd", why);
	vt_file_write(vt, "h.vhd", 512, saved, 1024);
}

static void test_bad_headers(void **state)
{
	struct vt *vt = *state;
	struct vhd_disk *disk = vt_dynamic(vt, "h.vhd", SIZE, 0);
	uint8_t footer[512];
	uint64_t end;

	write_at(vt, disk, 0, 4096, 1);
	vhd_close(disk);
	bad_header(vt, 0, 0, 8, "cxsparse");
	bad_header(vt, 36, 0, 4, "checksum");
	bad_header(vt, 24, 0x20000, 4, "version");
	bad_header(vt, 32, 0, 4, "block size 0");
	bad_header(vt, 32, 3 << 20, 4, "block size 3145728");
	bad_header(vt, 32, 512, 4, "block size 512");
	bad_header(vt, 32, 0x80000000, 4, "block size");
	bad_header(vt, 28, 31, 4, "table of 31 entries for a disk of 32");
	bad_header(vt, 28, 0xffffffff, 4, "beyond the file");
	bad_header(vt, 16, 1000, 8, "not a multiple");
	bad_header(vt, 16, UINT64_MAX - 511, 8, "beyond the file");
	bad_header(vt, 16, 512, 8, "overlaps the dynamic header");
	bad_header(vt, 16, 0, 8, "overlaps the footer's copy");

	/* The footer leads nowhere. */
	end = vt_file_size(vt, "h.vhd") - 512;
	vt_file_read(vt, "h.vhd", end, footer, 512);
	put_be64(footer + 16, UINT64_MAX);
	put_be32(footer + 64, vhd_checksum(footer, 512, 64));
	vt_file_write(vt, "h.vhd", end, footer, 512);
	refused(vt, "h.vhd", "data offset");
	put_be64(footer + 16, end - 512);
	put_be32(footer + 64, vhd_checksum(footer, 512, 64));
	vt_file_write(vt, "h.vhd", end, footer, 512);
	refused(vt, "h.vhd", "data offset");
}

static void test_create_refusals(void **state)
{
	struct vt *vt = *state;
	struct vhd_create_params params = {
		.type = VHD_TYPE_DYNAMIC,
		.size = SIZE,
		.block_size = 1000000,
	};

	assert_int_equal(vt_create_params(vt, "x", &params), EINVAL);
	assert_says(vt, "block size");
	params.block_size = 256 * 1024;
	assert_int_equal(vt_create_params(vt, "x", &params), EINVAL);
	params.block_size = 0;
	params.size = VHD_MAX_SIZE + 512;
	assert_int_equal(vt_create_params(vt, "x", &params), EINVAL);
	params.size = SIZE;
	params.type = VHD_TYPE_DIFFERENCING;
	assert_int_equal(vt_create_params(vt, "x", &params), EINVAL);
	assert_says(vt, "no parent");
	params.parent_path = "\xff";
	assert_int_equal(vt_create_params(vt, "x", &params), EINVAL);
}

/* ---- growth ---- */

static void grow(struct vt *vt, uint64_t size, uint64_t additional)
{
	struct vhd_disk *disk = vt_dynamic(vt, "g.vhd", size, 512 * 1024);
	uint64_t grown = size + additional;
	uint8_t first[512], last[512];

	write_at(vt, disk, 0, 4096, 1);
	write_at(vt, disk, size - 4096, 4096, 2);
	assert_int_equal(vt_grow(vt, disk, additional), 0);
	assert_int_equal(vhd_disk_size(disk), grown);
	expect_at(vt, disk, 0, 4096, 1);
	expect_at(vt, disk, size - 4096, 4096, 2);
	expect_zero(vt, disk, size,
		    additional < 4 * MiB ? additional : 4 * MiB);
	write_at(vt, disk, grown - 4096, 4096, 3);
	write_at(vt, disk, 1 * MiB, 4096, 4);
	vhd_close(disk);

	vt_file_read(vt, "g.vhd", 0, first, 512);
	vt_file_read(vt, "g.vhd", vt_file_size(vt, "g.vhd") - 512, last, 512);
	assert_memory_equal(first, last, 512);
	assert_int_equal(get_be64(first + 48), grown);
	assert_int_equal(get_be64(first + 40), size);
	assert_int_equal(vt_open(vt, "g.vhd", 0, &disk), 0);
	assert_int_equal(vhd_disk_size(disk), grown);
	expect_at(vt, disk, 0, 4096, 1);
	expect_at(vt, disk, size - 4096, 4096, 2);
	expect_at(vt, disk, grown - 4096, 4096, 3);
	expect_at(vt, disk, 1 * MiB, 4096, 4);
	vhd_close(disk);
	unlink(vt_path(vt, "g.vhd"));
}

static void test_grow(void **state)
{
	/* Within the last block, within the table's sector, far beyond. */
	grow(*state, 8 * MiB + 4096, 4096);
	grow(*state, 8 * MiB, 8 * MiB);
	grow(*state, 8 * MiB, 4 * GiB);
}

/* Lanes allocate while the table moves. */
static void test_grow_under_io(void **state)
{
	struct vt *vt = *state;
	struct vhd_disk *disk = vt_dynamic(vt, "u.vhd", 256 * MiB, 512 * 1024);
	struct tevent_req *req =
		vhd_grow_send(vt->mem, vt->ev, disk, 1024 * GiB);
	uint32_t n = 0, i;

	while (n < 512 && (tevent_req_is_in_progress(req) || n < 64)) {
		vt_pattern(big, 4096, n);
		assert_int_equal(vt_rw(vt, disk, VHD_WRITE, VHD_FUA,
				       (uint64_t)n * 512 * 1024, big, 4096),
				 0);
		n++;
	}
	assert_true(tevent_req_poll(req, vt->ev));
	assert_int_equal(vhd_grow_recv(req, vt->mem, NULL), 0);
	talloc_free(req);
	vhd_close(disk);
	assert_int_equal(vt_open(vt, "u.vhd", 0, &disk), 0);
	assert_int_equal(vhd_disk_size(disk), 1024 * GiB + 256 * MiB);
	for (i = 0; i < n; i++) {
		expect_at(vt, disk, (uint64_t)i * 512 * 1024, 4096, i);
	}
	vhd_close(disk);
}

/* The largest: 2040 GiB, open and written at both ends. */
static void test_largest(void **state)
{
	struct vt *vt = *state;
	struct vhd_disk *disk = vt_dynamic(vt, "m.vhd", VHD_MAX_SIZE, 0);

	write_at(vt, disk, 0, 4096, 1);
	write_at(vt, disk, VHD_MAX_SIZE - 4096, 4096, 2);
	write_at(vt, disk, BS, 4096, 3);
	vhd_close(disk);
	/* Wider gaps than this, and its last blocks had no sector number. */
	assert_int_equal(bat_entry(vt, "m.vhd", 1) -
				 bat_entry(vt, "m.vhd", VHD_MAX_SIZE / BS - 1),
			 (BS + 4096) / 512);
	assert_int_equal(vt_open(vt, "m.vhd", 0, &disk), 0);
	expect_at(vt, disk, 0, 4096, 1);
	expect_at(vt, disk, VHD_MAX_SIZE - 4096, 4096, 2);
	assert_int_equal(vt_grow(vt, disk, 512), EINVAL);
	vhd_close(disk);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, vt_setup, vt_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_new_file),	       TEST(test_allocation),
		TEST(test_discard_gives_back), TEST(test_discard_in_child),
		TEST(test_odd_size),	       TEST(test_partial_bitmap),
		TEST(test_lost_footer),	       TEST(test_not_closed),
		TEST(test_bad_entries),	       TEST(test_bad_headers),
		TEST(test_create_refusals),    TEST(test_grow),
		TEST(test_grow_under_io),      TEST(test_largest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
