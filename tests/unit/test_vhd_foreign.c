/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Files as others make them, and damage that is not to be guessed away. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vhd/bytes.h"
#include "vhd/dynheader.h"
#include "vhd/footer.h"
#include "vhd/vhdx.h"
#include "vhd_helpers.h"

#define BS (2 * MiB)

static uint8_t big[8 * MiB], back[8 * MiB];

static void refused(struct vt *vt, const char *name, const char *why)
{
	struct vhd_disk *disk = NULL;
	uint64_t size = vt_file_size(vt, name);
	uint8_t *before = malloc(size), *after = malloc(size);
	struct vhd_check check;

	vt_file_read(vt, name, 0, before, size);
	assert_int_equal(vt_open(vt, name, 0, &disk), EINVAL);
	assert_non_null(strstr(vt->message, why));
	assert_int_equal(vt_open(vt, name, VHD_OPEN_READONLY, &disk), EINVAL);
	/* Nor does a repair know better. */
	if (vt_check_fd(vt, vt_open_fd(vt, name, O_RDWR), name,
			VHD_CHECK_REPAIR, &check) == 0) {
		assert_int_not_equal(check.errors, 0);
		assert_int_equal(check.mended, 0);
		assert_non_null(strstr(check.report, why));
	} else {
		assert_non_null(strstr(vt->message, why));
	}
	assert_int_equal(vt_file_size(vt, name), size);
	vt_file_read(vt, name, 0, after, size);
	assert_memory_equal(before, after, size);
	free(before);
	free(after);
}

static void holds(struct vt *vt, struct vhd_disk *disk, uint64_t offset,
		  uint64_t length, int byte)
{
	memset(big, byte, length);
	assert_int_equal(vt_rw(vt, disk, VHD_READ, 0, offset, back, length), 0);
	assert_memory_equal(big, back, length);
}

static void put(struct vt *vt, struct vhd_disk *disk, uint64_t offset,
		uint64_t length, int byte)
{
	memset(big, byte, length);
	assert_int_equal(vt_rw(vt, disk, VHD_WRITE, 0, offset, big, length), 0);
}

/* ---- VHDX headers ---- */

static void get_header(struct vt *vt, const char *name, unsigned i,
		       struct vhdx_header *h)
{
	uint8_t buf[VHDX_SECTOR];
	char why[VHDX_SECTOR];

	vt_file_read(vt, name, VHDX_HEADER_AT(i), buf, sizeof(buf));
	assert_int_equal(vhdx_header_pull(buf, h, why, sizeof(why)), 0);
}

static void put_header(struct vt *vt, const char *name, unsigned i,
		       const struct vhdx_header *h)
{
	uint8_t buf[VHDX_SECTOR];

	vhdx_header_push(h, buf);
	vt_file_write(vt, name, VHDX_HEADER_AT(i), buf, sizeof(buf));
}

/* "Only data from the current header", MS-VHDX 2.2.2: not from the older one
 * where the current one is beyond us. */
static void test_current_header(void **state)
{
	struct vt *vt = *state;
	struct vhdx_header h[2], changed;
	struct vhd_disk *disk = vt_dynamic(vt, "h.vhdx", 8 * MiB, MiB);
	unsigned i, current;

	put(vt, disk, 0, MiB, 1);
	vhd_close(disk);
	for (i = 0; i < 2; i++) {
		get_header(vt, "h.vhdx", i, &h[i]);
	}
	current = h[1].sequence > h[0].sequence;

	changed = h[current];
	changed.version = 2;
	put_header(vt, "h.vhdx", current, &changed);
	refused(vt, "h.vhdx", "header version is 2");
	changed = h[current];
	changed.log_version = 1;
	memset(changed.log_guid, 7, VHDX_GUID);
	put_header(vt, "h.vhdx", current, &changed);
	refused(vt, "h.vhdx", "a log of version 1");
	changed = h[current];
	changed.log_offset += VHDX_SECTOR;
	put_header(vt, "h.vhdx", current, &changed);
	refused(vt, "h.vhdx", "the log's place");

	/* The older one may be anything. */
	put_header(vt, "h.vhdx", current, &h[current]);
	changed = h[!current];
	changed.version = 2;
	put_header(vt, "h.vhdx", !current, &changed);
	assert_int_equal(vt_open(vt, "h.vhdx", 0, &disk), 0);
	holds(vt, disk, 0, MiB, 1);
	vhd_close(disk);
}

/* The same number twice: whole headers that differ leave nothing to go by. */
static void test_no_current_header(void **state)
{
	struct vt *vt = *state;
	struct vhdx_header h;
	struct vhd_disk *disk = vt_dynamic(vt, "t.vhdx", 8 * MiB, MiB);

	put(vt, disk, 0, MiB, 1);
	vhd_close(disk);
	get_header(vt, "t.vhdx", 0, &h);
	put_header(vt, "t.vhdx", 1, &h);
	/* As Disk2VHD makes them. */
	assert_int_equal(vt_open(vt, "t.vhdx", 0, &disk), 0);
	holds(vt, disk, 0, MiB, 1);
	put(vt, disk, MiB, MiB, 2);
	vhd_close(disk);
	assert_int_equal(vt_open(vt, "t.vhdx", 0, &disk), 0);
	holds(vt, disk, 0, MiB, 1);
	holds(vt, disk, MiB, MiB, 2);
	vhd_close(disk);

	get_header(vt, "t.vhdx", 0, &h);
	h.data_write_guid[0] ^= 1;
	put_header(vt, "t.vhdx", 1, &h);
	refused(vt, "t.vhdx", "neither is current");
}

/* ---- logs ---- */

/* A crash may leave the file shorter than the log wants it (2.3.1.1,
 * LastFileOffset): that is done by whoever may write to it. */
static void test_log_makes_longer(void **state)
{
	struct vt *vt = *state;
	struct vhdx_log_entry e = {.sequence = 1};
	struct vhdx_header h;
	struct vhd_disk *disk = vt_dynamic(vt, "l.vhdx", 8 * MiB, MiB);
	uint8_t table[VHDX_SECTOR], log[2 * VHDX_SECTOR];
	uint64_t at = 3 * MiB, size;
	unsigned i;

	put(vt, disk, 0, MiB, 1);
	vhd_close(disk);
	size = vt_file_size(vt, "l.vhdx");
	vt_file_read(vt, "l.vhdx", at, table, sizeof(table));
	put_le64(table + 8, VHDX_BAT(VHDX_FULLY_PRESENT, size));
	for (i = 0; i < 2; i++) {
		get_header(vt, "l.vhdx", i, &h);
		memset(h.log_guid, 7, VHDX_GUID);
		put_header(vt, "l.vhdx", i, &h);
	}
	e.flushed_offset = size;
	e.last_offset = size + MiB;
	vhdx_log_entry_push(&e, h.log_guid, 1, &at, table, log);
	vt_file_write(vt, "l.vhdx", h.log_offset, log, sizeof(log));

	assert_int_equal(vt_open(vt, "l.vhdx", VHD_OPEN_READONLY, &disk),
			 EINVAL);
	assert_non_null(strstr(vt->message, "makes the file longer"));
	assert_int_equal(vt_file_size(vt, "l.vhdx"), size);
	assert_int_equal(vt_check(vt, "l.vhdx", VHD_CHECK_REPAIR).errors, 0);
	assert_int_equal(vt_file_size(vt, "l.vhdx"), size + MiB);
	assert_int_equal(vt_open(vt, "l.vhdx", VHD_OPEN_READONLY, &disk), 0);
	holds(vt, disk, 0, MiB, 1);
	holds(vt, disk, MiB, MiB, 0);
	vhd_close(disk);
}

/* ---- a VHDX that ends within its last block ---- */

/* Cut it behind the disk's data, as qemu's fixed ones are. */
static void test_short_last_block(void **state)
{
	static const uint64_t sizes[] = {7 * MiB + 512, 8 * MiB - 512,
					 5 * MiB - 4096};
	struct vhd_create_params params = {
		.format = VHD_FORMAT_VHDX,
		.type = VHD_TYPE_FIXED,
		.sparse = true,
		.block_size = 4 * MiB,
	};
	struct vt *vt = *state;
	unsigned i;

	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		char *name = talloc_asprintf(vt->mem, "s%u.vhdx", i);
		uint64_t size = sizes[i], end;
		struct vhd_disk *disk = NULL;

		params.size = size;
		assert_int_equal(vt_create_params(vt, name, &params), 0);
		end = vt_file_size(vt, name) - (8 * MiB - size);
		assert_int_equal(vt_open(vt, name, 0, &disk), 0);
		put(vt, disk, size - 4096, 4096, 5);
		vhd_close(disk);
		assert_int_equal(truncate(vt_path(vt, name), (off_t)end), 0);

		/* Looked at, it stays as it is. */
		assert_int_equal(vt_open(vt, name, 0, &disk), 0);
		holds(vt, disk, size - 4096, 4096, 5);
		vhd_close(disk);
		assert_int_equal(vt_file_size(vt, name), end);
		assert_int_equal(vt_check(vt, name, 0).errors, 0);

		/* Written to, it becomes whole, and grows within the block. */
		assert_int_equal(vt_open(vt, name, 0, &disk), 0);
		put(vt, disk, 0, 4096, 6);
		assert_int_equal(vt_grow(vt, disk, 512), 0);
		holds(vt, disk, 0, 4096, 6);
		holds(vt, disk, size - 4096, 4096, 5);
		holds(vt, disk, size, 512, 0);
		vhd_close(disk);
		assert_int_equal(vt_file_size(vt, name),
				 end + (8 * MiB - size));
		assert_int_equal(vt_check(vt, name, 0).errors, 0);

		/* One sector less than the disk is damage. */
		assert_int_equal(truncate(vt_path(vt, name), (off_t)end), 0);
		refused(vt, name, "truncated");
	}
}

/* Growth first; compacting first. */
static void test_short_last_block_by_workers(void **state)
{
	struct vhd_create_params params = {
		.format = VHD_FORMAT_VHDX,
		.type = VHD_TYPE_FIXED,
		.sparse = true,
		.block_size = 4 * MiB,
		.size = 7 * MiB,
	};
	struct vt *vt = *state;
	struct vhd_compact result;
	struct vhd_disk *disk = NULL;
	uint64_t end;

	assert_int_equal(vt_create_params(vt, "g.vhdx", &params), 0);
	end = vt_file_size(vt, "g.vhdx");
	assert_int_equal(vt_open(vt, "g.vhdx", 0, &disk), 0);
	put(vt, disk, 6 * MiB, MiB, 5);
	vhd_close(disk);

	assert_int_equal(truncate(vt_path(vt, "g.vhdx"), (off_t)(end - MiB)),
			 0);
	assert_int_equal(vt_compact_fd(vt, vt_open_fd(vt, "g.vhdx", O_RDWR),
				       "g.vhdx", &result),
			 0);
	assert_int_equal(vt_open(vt, "g.vhdx", 0, &disk), 0);
	holds(vt, disk, 6 * MiB, MiB, 5);
	vhd_close(disk);

	assert_int_equal(truncate(vt_path(vt, "g.vhdx"), (off_t)(end - MiB)),
			 0);
	assert_int_equal(vt_open(vt, "g.vhdx", 0, &disk), 0);
	assert_int_equal(vt_grow(vt, disk, 512), 0);
	holds(vt, disk, 7 * MiB, 512, 0);
	assert_int_equal(vt_grow(vt, disk, 3 * MiB - 512), 0);
	holds(vt, disk, 6 * MiB, MiB, 5);
	holds(vt, disk, 7 * MiB, 3 * MiB, 0);
	put(vt, disk, 7 * MiB, 3 * MiB, 6);
	holds(vt, disk, 6 * MiB, MiB, 5);
	vhd_close(disk);
	assert_int_equal(vt_check(vt, "g.vhdx", 0).errors, 0);
}

/* What is written out grows written out: to be made whole first, by a write or
 * by the growth itself, does not change that. */
static void test_short_last_block_written_out(void **state)
{
	struct vhd_create_params params = {
		.format = VHD_FORMAT_VHDX,
		.type = VHD_TYPE_FIXED,
		.block_size = 4 * MiB,
		.size = 7 * MiB,
	};
	struct vt *vt = *state;
	unsigned i;

	for (i = 0; i < 2; i++) {
		char *name = talloc_asprintf(vt->mem, "o%u.vhdx", i);
		struct vhd_disk *disk = NULL;
		uint64_t end, before;

		assert_int_equal(vt_create_params(vt, name, &params), 0);
		end = vt_file_size(vt, name);
		assert_int_equal(
			truncate(vt_path(vt, name), (off_t)(end - MiB)), 0);
		before = vt_file_allocated(vt, name);
		assert_true(before >= end - MiB);
		assert_int_equal(vt_open(vt, name, 0, &disk), 0);
		if (i == 1) {
			put(vt, disk, 0, 4096, 6);
		}
		assert_int_equal(vt_grow(vt, disk, 4 * MiB), 0);
		vhd_close(disk);
		assert_true(vt_file_allocated(vt, name) >= before + 4 * MiB);
	}
}

/* ---- VHD ---- */

static void get_footer(struct vt *vt, const char *name, uint64_t at,
		       struct vhd_footer *footer)
{
	uint8_t buf[VHD_FOOTER_SIZE];
	char why[VHD_FOOTER_SIZE];

	vt_file_read(vt, name, at, buf, sizeof(buf));
	assert_int_equal(
		vhd_footer_pull(buf, sizeof(buf), footer, why, sizeof(why)), 0);
}

static void put_footer(struct vt *vt, const char *name, uint64_t at,
		       const struct vhd_footer *footer)
{
	uint8_t buf[VHD_FOOTER_SIZE];

	vhd_footer_push(footer, buf);
	vt_file_write(vt, name, at, buf, sizeof(buf));
}

/* A whole footer at the end counts, though its copy would suit us better; the
 * message says what is wrong with which. */
static void test_whole_footer_counts(void **state)
{
	struct vt *vt = *state;
	struct vhd_footer footer, changed;
	uint64_t at;

	vhd_close(vt_dynamic(vt, "v.vhd", 8 * MiB, 0));
	at = vt_file_size(vt, "v.vhd") - VHD_FOOTER_SIZE;
	get_footer(vt, "v.vhd", at, &footer);
	changed = footer;
	changed.version = 0x00020000;
	put_footer(vt, "v.vhd", at, &changed);
	refused(vt, "v.vhd", "file format version 0x00020000");
	changed = footer;
	changed.type = 5;
	put_footer(vt, "v.vhd", at, &changed);
	refused(vt, "v.vhd", "unknown disk type 5");
	/* Of both. */
	put_footer(vt, "v.vhd", 0, &changed);
	refused(vt, "v.vhd", "unknown disk type 5");
	vt_file_write(vt, "v.vhd", at, "x", 1);
	refused(vt, "v.vhd", "no footer");
}

/* What others leave in the last block behind the disk's end is not to come up
 * when the disk grows over it. */
static void test_growth_over_junk(void **state)
{
	struct vt *vt = *state;
	uint64_t size = 3 * MiB + 512, place;
	struct vhd_disk *disk = vt_dynamic(vt, "j.vhd", size, (uint32_t)BS);
	uint8_t entry[4], header[VHD_DYNHEADER_SIZE];
	struct vhd_dynheader h;
	char why[400];

	put(vt, disk, BS, MiB + 512, 1);
	vhd_close(disk);
	vt_file_read(vt, "j.vhd", 512, header, sizeof(header));
	assert_int_equal(vhd_dynheader_pull(header, size, &h, why, sizeof(why)),
			 0);
	vt_file_read(vt, "j.vhd", h.table_offset + 4, entry, 4);
	place = (uint64_t)(entry[0] << 24 | entry[1] << 16 | entry[2] << 8 |
			   entry[3]) *
		512;
	memset(big, 'j', MiB - 512);
	vt_file_write(vt, "j.vhd", place + 512 + MiB + 512, big, MiB - 512);

	assert_int_equal(vt_open(vt, "j.vhd", 0, &disk), 0);
	assert_int_equal(vt_grow(vt, disk, 4 * MiB), 0);
	holds(vt, disk, BS, MiB + 512, 1);
	holds(vt, disk, size, 4 * MiB, 0);
	vhd_close(disk);
	assert_int_equal(vt_open(vt, "j.vhd", 0, &disk), 0);
	holds(vt, disk, BS, MiB + 512, 1);
	holds(vt, disk, size, 4 * MiB, 0);
	vhd_close(disk);
}

static void test_vhdx_growth_over_junk(void **state)
{
	struct vt *vt = *state;
	uint64_t size = MiB + 512;
	struct vhd_disk *disk = vt_dynamic(vt, "j.vhdx", size, MiB);

	put(vt, disk, MiB, 512, 1);
	vhd_close(disk);
	memset(big, 'j', MiB - 512);
	vt_file_write(vt, "j.vhdx", vt_file_size(vt, "j.vhdx") - MiB + 512, big,
		      MiB - 512);
	assert_int_equal(vt_open(vt, "j.vhdx", 0, &disk), 0);
	holds(vt, disk, MiB, 512, 1);
	assert_int_equal(vt_grow(vt, disk, 2 * MiB), 0);
	holds(vt, disk, MiB, 512, 1);
	holds(vt, disk, size, 2 * MiB, 0);
	vhd_close(disk);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define f(t) cmocka_unit_test_setup_teardown(t, vt_setup, vt_teardown)
		f(test_current_header),
		f(test_no_current_header),
		f(test_log_makes_longer),
		f(test_short_last_block),
		f(test_short_last_block_by_workers),
		f(test_short_last_block_written_out),
		f(test_whole_footer_counts),
		f(test_growth_over_junk),
		f(test_vhdx_growth_over_junk),
#undef f
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
