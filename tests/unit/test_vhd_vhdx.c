/* SPDX-License-Identifier: GPL-3.0-or-later */
/* VHDX: its log, its sectors, growth, discards, chains, damage; and what
 * qemu-img makes of our files. libvhdi: test_vhd_qemu. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vhd/vhdx.h"
#include "vhd_patterns.h"
#include "vhd_tools.h"

#define LOG 65536u

static void copy(struct vt *vt, const char *from, const char *to)
{
	must(vt,
	     talloc_asprintf(vt->mem, "cp --sparse=always %s %s", from, to));
}

/* ---- GUIDs, the log as bytes ---- */

static void test_guids(void **state)
{
	uint8_t guid[VHDX_GUID], again[VHDX_GUID];
	char text[VHDX_GUID_TEXT];

	/* MS-VHDX 2.6.2.6.3's example. */
	assert_true(vhdx_guid_parse("{83ED0EC3-24c8-49a6-a959-5e4bf1288bfb}",
				    guid));
	assert_int_equal(guid[0], 0xc3);
	assert_int_equal(guid[8], 0xa9);
	vhdx_guid_text(guid, text);
	assert_string_equal(text, "{83ed0ec3-24c8-49a6-a959-5e4bf1288bfb}");
	assert_false(
		vhdx_guid_parse("83ed0ec3-24c8-49a6-a959-5e4bf1288bfb", again));
	assert_false(vhdx_guid_parse("{83ed0ec3-24c8-49a6-a959-5e4bf1288bfg}",
				     again));
}

/* An entry of one sector, written around the end of the log. */
static uint32_t append(uint8_t *log, const uint8_t *guid, uint32_t at,
		       uint64_t sequence, uint32_t tail, uint8_t byte)
{
	struct vhdx_log_entry e = {.tail = tail,
				   .sequence = sequence,
				   .flushed_offset = VHDX_MB,
				   .last_offset = 2 * VHDX_MB};
	uint8_t buf[2 * VHDX_SECTOR], sector[VHDX_SECTOR];
	uint64_t offset = 4 * MiB;
	unsigned i;

	memset(sector, byte, sizeof(sector));
	vhdx_log_entry_push(&e, guid, 1, &offset, sector, buf);
	for (i = 0; i < 2; i++) {
		memcpy(log + (at + i * VHDX_SECTOR) % LOG,
		       buf + i * VHDX_SECTOR, VHDX_SECTOR);
	}
	return (at + 2 * VHDX_SECTOR) % LOG;
}

static void test_active_sequence(void **state)
{
	uint8_t guid[VHDX_GUID], other[VHDX_GUID];
	uint8_t *log = calloc(1, LOG);
	struct vhdx_log_entry head;
	struct vhdx_log_write w;
	uint32_t at, first = 1, data = 0;

	vhdx_guid_new(guid);
	vhdx_guid_new(other);
	assert_int_equal(vhdx_log_find(log, LOG, guid, &first, &head), 0);
	/* Of another session, and an older one of this. */
	append(log, other, 0x4000, 100, 0x4000, 1);
	append(log, guid, 0x2000, 3, 0x2000, 2);
	/* Three, the second of which wraps around; the first is settled. */
	at = append(log, guid, 0xd000, 7, 0xd000, 3);
	at = append(log, guid, at, 8, 0xf000, 4);
	at = append(log, guid, at, 9, 0xf000, 5);
	assert_int_equal(at, 0x3000);
	assert_int_equal(vhdx_log_find(log, LOG, guid, &first, &head), 2);
	assert_int_equal(first, 0xf000);
	assert_int_equal(head.sequence, 9);
	vhdx_log_descriptor(log, LOG, 0x1000, &head, 0, &data, &w);
	assert_int_equal(w.offset, 4 * MiB);
	assert_int_equal(w.data[0], 5);
	assert_int_equal(w.data[4095], 5);
	/* The newest is torn: what was before it counts. */
	log[0x2000 + 100] ^= 1;
	assert_int_equal(vhdx_log_find(log, LOG, guid, &first, &head), 1);
	assert_int_equal(head.sequence, 8);
	/* The tail is gone: nothing of the sequence counts. */
	log[0xf000] ^= 1;
	assert_int_equal(vhdx_log_find(log, LOG, guid, &first, &head), 1);
	assert_int_equal(head.sequence, 7);
	free(log);
}

/* ---- replay ---- */

/* A copy of the file while its disk is used: the log is not empty. Then its
 * block allocation table is emptied: only the log knows the blocks. */
static void make_dirty(struct vt *vt, const char *name)
{
	struct vhd_disk *disk = vt_dynamic(vt, "d.vhdx", 64 * MiB, MiB);
	static uint8_t zero[4096];

	write_at(vt, disk, 3 * MiB, 2 * MiB, 1);
	write_at(vt, disk, 60 * MiB + 4096, 8192, 2);
	copy(vt, "d.vhdx", name);
	vt_file_write(vt, name, 3 * MiB, zero, sizeof(zero));
	vhd_close(disk);
}

static void holds_all(struct vt *vt, struct vhd_disk *disk)
{
	expect_at(vt, disk, 3 * MiB, 2 * MiB, 1);
	expect_at(vt, disk, 60 * MiB + 4096, 8192, 2);
	expect_zero(vt, disk, 60 * MiB, 4096);
}

static void test_replay(void **state)
{
	struct vt *vt = *state;
	struct vhd_disk *disk = NULL;
	struct vhd_check result;

	make_dirty(vt, "x.vhdx");
	copy(vt, "x.vhdx", "before.vhdx");
	/* In memory, of a file that stays as it was. */
	assert_int_equal(vt_open(vt, "x.vhdx", VHD_OPEN_READONLY, &disk), 0);
	holds_all(vt, disk);
	vhd_close(disk);
	result = vt_check(vt, "x.vhdx", 0);
	assert_int_equal(result.errors, 0);
	assert_int_equal(result.mendable, 1);
	must(vt, "cmp x.vhdx before.vhdx");
	/* In the file. */
	assert_int_equal(vt_open(vt, "x.vhdx", 0, &disk), 0);
	holds_all(vt, disk);
	vhd_close(disk);
	assert_int_equal(vt_check(vt, "x.vhdx", 0).mendable, 0);
	/* By the checker. */
	result = vt_check(vt, "before.vhdx", VHD_CHECK_REPAIR);
	assert_int_equal(result.mended, 1);
	assert_int_equal(vt_open(vt, "before.vhdx", VHD_OPEN_READONLY, &disk),
			 0);
	holds_all(vt, disk);
	vhd_close(disk);
}

static void test_replay_refusals(void **state)
{
	struct vt *vt = *state;
	struct vhd_disk *disk = NULL;
	static uint8_t zero[65536];
	unsigned i;

	make_dirty(vt, "x.vhdx");
	copy(vt, "x.vhdx", "y.vhdx");
	for (i = 0; i < 16; i++) {
		vt_file_write(vt, "x.vhdx", MiB + i * sizeof(zero), zero,
			      sizeof(zero));
	}
	assert_int_equal(vt_open(vt, "x.vhdx", 0, &disk), EINVAL);
	assert_non_null(strstr(vt->message, "no valid one"));
	must(vt, "truncate -s 5M y.vhdx");
	assert_int_equal(vt_open(vt, "y.vhdx", 0, &disk), EINVAL);
	assert_non_null(strstr(vt->message, "truncated"));
}

/* More commits than the log has room for, then none is lost. */
static void test_log_wraps(void **state)
{
	struct vt *vt = *state;
	struct vhd_disk *disk = vt_dynamic(vt, "w.vhdx", 600 * MiB, MiB);
	unsigned i;

	for (i = 0; i < 600; i++) {
		write_at(vt, disk, (uint64_t)(i * 7 % 600) * MiB, 512, i);
	}
	copy(vt, "w.vhdx", "x.vhdx");
	vhd_close(disk);
	assert_int_equal(vt_open(vt, "x.vhdx", 0, &disk), 0);
	for (i = 0; i < 600; i++) {
		expect_at(vt, disk, (uint64_t)(i * 7 % 600) * MiB, 512, i);
	}
	vhd_close(disk);
}

/* ---- sectors, sizes ---- */

static void test_sectors_of_4096(void **state)
{
	struct vt *vt = *state;
	struct vhd_create_params params = {
		.format = VHD_FORMAT_VHDX,
		.type = VHD_TYPE_DYNAMIC,
		.size = 64 * MiB,
		.logical_sector = 4096,
		.physical_sector = 4096,
		.block_size = MiB,
	};
	struct vhd_disk *disk = NULL;
	struct vhd_info info;

	assert_int_equal(vt_create_params(vt, "k.vhdx", &params), 0);
	assert_int_equal(vt_open(vt, "k.vhdx", 0, &disk), 0);
	assert_int_equal(vhd_disk_sector(disk), 4096);
	assert_int_equal(vt_rw(vt, disk, VHD_WRITE, 0, 512, big, 4096), EINVAL);
	assert_int_equal(vt_rw(vt, disk, VHD_READ, 0, 0, big, 512), EINVAL);
	write_at(vt, disk, 5 * MiB + 4096, 2 * MiB, 1);
	vhd_close(disk);
	disk = vt_child(vt, "l.vhdx", "k.vhdx");
	vhd_disk_info(disk, &info);
	assert_int_equal(info.logical_sector, 4096);
	write_at(vt, disk, 6 * MiB, 8192, 2);
	expect_at(vt, disk, 6 * MiB, 8192, 2);
	vhd_close(disk);
	disk = vt_open_chain(vt, "l.vhdx", 0);
	expect_at(vt, disk, 6 * MiB, 8192, 2);
	vt_pattern(big, 2 * MiB, 1);
	assert_int_equal(vt_rw(vt, disk, VHD_READ, 0, 5 * MiB + 4096, back,
			       MiB - 4096),
			 0);
	assert_memory_equal(big, back, MiB - 4096);
	vhd_close(disk);
	params.size = 64 * MiB + 512;
	assert_int_equal(vt_create_params(vt, "m.vhdx", &params), EINVAL);
}

static void test_largest(void **state)
{
	struct vt *vt = *state;
	struct vhd_disk *disk =
		vt_dynamic(vt, "64.vhdx", VHDX_MAX_SIZE, 256 * MiB);

	write_at(vt, disk, VHDX_MAX_SIZE - MiB, MiB, 1);
	assert_int_equal(vt_grow(vt, disk, MiB), EINVAL);
	vhd_close(disk);
	assert_int_equal(vt_open(vt, "64.vhdx", 0, &disk), 0);
	expect_at(vt, disk, VHDX_MAX_SIZE - MiB, MiB, 1);
	vhd_close(disk);
}

/* ---- growth, discards ---- */

/* From a table of one MB to one of three: it moves. */
static void test_grow_moves_table(void **state)
{
	struct vt *vt = *state;
	struct vhd_disk *disk = vt_dynamic(vt, "g.vhdx", 100 * GiB, MiB);

	write_at(vt, disk, 99 * GiB, MiB, 1);
	assert_int_equal(vt_grow(vt, disk, 200 * GiB), 0);
	write_at(vt, disk, 299 * GiB, MiB, 2);
	expect_at(vt, disk, 99 * GiB, MiB, 1);
	copy(vt, "g.vhdx", "x.vhdx"); /* to be replayed */
	vhd_close(disk);
	assert_int_equal(vt_check(vt, "g.vhdx", 0).errors, 0);
	assert_int_equal(vt_open(vt, "g.vhdx", 0, &disk), 0);
	expect_at(vt, disk, 99 * GiB, MiB, 1);
	expect_at(vt, disk, 299 * GiB, MiB, 2);
	vhd_close(disk);
	assert_int_equal(vt_open(vt, "x.vhdx", 0, &disk), 0);
	expect_at(vt, disk, 99 * GiB, MiB, 1);
	expect_at(vt, disk, 299 * GiB, MiB, 2);
	vhd_close(disk);
	if (have("qemu-img")) {
		must(vt, "qemu-img check -q -f vhdx g.vhdx");
	}
}

static void test_discard(void **state)
{
	struct vt *vt = *state;
	struct vhd_disk *disk = vt_dynamic(vt, "d.vhdx", 64 * MiB, MiB);
	uint64_t size, allocated, length = MiB;
	unsigned i;

	write_at(vt, disk, 8 * MiB, 4 * MiB, 1);
	assert_int_equal(vt_rw(vt, disk, VHD_FLUSH, 0, 0, NULL, 0), 0);
	size = vt_file_size(vt, "d.vhdx");
	allocated = vt_file_allocated(vt, "d.vhdx");
	for (i = 0; i < 8; i++) {
		assert_int_equal(vt_rw(vt, disk, VHD_DISCARD, 0, 8 * MiB, NULL,
				       4 * MiB),
				 0);
		assert_true(vt_file_allocated(vt, "d.vhdx") <=
			    allocated - 3 * MiB);
		assert_false(vhd_disk_mapped(disk, 8 * MiB, &length));
		expect_zero(vt, disk, 8 * MiB, 4 * MiB);
		assert_int_equal(vt_rw(vt, disk, VHD_FLUSH, 0, 0, NULL, 0), 0);
		/* A part of each: the rest has to read as zeroes. */
		write_at(vt, disk, 8 * MiB + 512, 512, 2);
		write_at(vt, disk, 11 * MiB, 512, 3);
		expect_zero(vt, disk, 8 * MiB + 1024, MiB - 1024);
		write_at(vt, disk, 8 * MiB, 4 * MiB, 1);
	}
	/* The places are used again. */
	assert_true(vt_file_size(vt, "d.vhdx") <= size + 16 * MiB);
	assert_true(vhd_disk_mapped(disk, 8 * MiB, &length));
	expect_at(vt, disk, 8 * MiB, 4 * MiB, 1);
	vhd_close(disk);
	assert_int_equal(vt_check(vt, "d.vhdx", 0).errors, 0);
	assert_int_equal(vt_open(vt, "d.vhdx", 0, &disk), 0);
	expect_at(vt, disk, 8 * MiB, 4 * MiB, 1);
	vhd_close(disk);
}

/* Whole blocks of a child hide the parent's without taking space. */
static void test_child_hides(void **state)
{
	struct vt *vt = *state;
	struct vhd_disk *disk = vt_dynamic(vt, "p.vhdx", 64 * MiB, MiB);
	uint64_t allocated;

	write_at(vt, disk, 8 * MiB, 4 * MiB, 1);
	vhd_close(disk);
	disk = vt_child(vt, "c.vhdx", "p.vhdx");
	write_at(vt, disk, 0, 512, 2); /* the first has costs of its own */
	allocated = vt_file_allocated(vt, "c.vhdx");
	assert_int_equal(
		vt_rw(vt, disk, VHD_DISCARD, 0, 8 * MiB, NULL, 2 * MiB), 0);
	assert_int_equal(vt_rw(vt, disk, VHD_ZERO, 0, 10 * MiB, NULL, MiB), 0);
	expect_zero(vt, disk, 8 * MiB, 3 * MiB);
	assert_true(vt_file_allocated(vt, "c.vhdx") <= allocated + 65536);
	write_at(vt, disk, 8 * MiB + 4096, 512, 3);
	expect_zero(vt, disk, 8 * MiB, 4096);
	vhd_close(disk);
	disk = vt_open_chain(vt, "c.vhdx", 0);
	expect_zero(vt, disk, 8 * MiB, 4096);
	expect_at(vt, disk, 8 * MiB + 4096, 512, 3);
	expect_zero(vt, disk, 9 * MiB, 2 * MiB);
	vhd_close(disk);
}

static void test_parent_changed(void **state)
{
	struct vt *vt = *state;
	struct vhd_disk *disk = vt_dynamic(vt, "p.vhdx", 64 * MiB, MiB);
	struct vhd_disk *parent = NULL;

	vhd_close(disk);
	vhd_close(vt_child(vt, "c.vhdx", "p.vhdx"));
	/* Opened and not written to: the same. */
	assert_int_equal(vt_open(vt, "p.vhdx", 0, &disk), 0);
	vhd_close(disk);
	vhd_close(vt_open_chain(vt, "c.vhdx", 0));
	assert_int_equal(vt_open(vt, "p.vhdx", 0, &disk), 0);
	write_at(vt, disk, 0, 512, 1);
	vhd_close(disk);
	assert_int_equal(vt_open(vt, "c.vhdx", 0, &disk), 0);
	assert_int_equal(vt_open(vt, "p.vhdx", VHD_OPEN_READONLY, &parent), 0);
	assert_int_equal(vhd_set_parent(disk, parent, 0, &vt->message), ESTALE);
	assert_non_null(strstr(vt->message, "changed since"));
	vhd_close(parent);
	vhd_close(vt_disk(vt, "p.vhd", 64 * MiB, true));
	assert_int_equal(vt_open(vt, "p.vhd", VHD_OPEN_READONLY, &parent), 0);
	assert_int_equal(vhd_set_parent(disk, parent, 0, &vt->message), EINVAL);
	vhd_close(parent);
	vhd_close(disk);
}

/* ---- damage ---- */

static void flip(struct vt *vt, const char *name, uint64_t offset)
{
	uint8_t byte;

	vt_file_read(vt, name, offset, &byte, 1);
	byte ^= 0xff;
	vt_file_write(vt, name, offset, &byte, 1);
}

static void test_damage(void **state)
{
	struct vt *vt = *state;
	struct vhd_disk *disk = vt_dynamic(vt, "d.vhdx", 64 * MiB, MiB);
	struct vhd_check result;
	uint8_t entry[8];

	write_at(vt, disk, 0, 2 * MiB, 1);
	vhd_close(disk);
	/* One of each: mended from the other. */
	flip(vt, "d.vhdx", VHDX_HEADER_AT(0) + 20);
	flip(vt, "d.vhdx", VHDX_REGION_AT(0) + 100);
	assert_int_equal(vt_open(vt, "d.vhdx", VHD_OPEN_READONLY, &disk), 0);
	expect_at(vt, disk, 0, 2 * MiB, 1);
	vhd_close(disk);
	result = vt_check(vt, "d.vhdx", VHD_CHECK_REPAIR);
	assert_int_equal(result.mended, 2);
	assert_int_equal(vt_check(vt, "d.vhdx", 0).mendable, 0);
	/* Two blocks in one place. */
	vt_file_read(vt, "d.vhdx", 3 * MiB, entry, 8);
	vt_file_write(vt, "d.vhdx", 3 * MiB + 8, entry, 8);
	assert_int_equal(vt_open(vt, "d.vhdx", 0, &disk), EINVAL);
	assert_non_null(strstr(vt->message, "overlap"));
	result = vt_check(vt, "d.vhdx", VHD_CHECK_REPAIR);
	assert_int_equal(result.errors, 1);
	/* Behind the end. */
	entry[5] = 1;
	vt_file_write(vt, "d.vhdx", 3 * MiB + 8, entry, 8);
	assert_int_equal(vt_open(vt, "d.vhdx", 0, &disk), EINVAL);
	assert_non_null(strstr(vt->message, "truncated"));
	flip(vt, "d.vhdx", 2 * MiB);
	assert_int_equal(vt_open(vt, "d.vhdx", 0, &disk), EINVAL);
	assert_non_null(strstr(vt->message, "metadata"));
	flip(vt, "d.vhdx", VHDX_HEADER_AT(0));
	flip(vt, "d.vhdx", VHDX_HEADER_AT(1));
	assert_int_equal(vt_open(vt, "d.vhdx", 0, &disk), EINVAL);
	assert_non_null(strstr(vt->message, "neither header"));
}

/* ---- others ---- */

static void test_qemu(void **state)
{
	struct vt *vt = *state;
	struct vhd_disk *disk = NULL;

	if (!have("qemu-img") || !have("qemu-io")) {
		print_message("# skip: qemu-img or qemu-io is not installed\n");
		skip();
	}
	/* Our log, replayed by qemu. */
	make_dirty(vt, "x.vhdx");
	must(vt, "qemu-img check -q -r all -f vhdx x.vhdx");
	must(vt, "qemu-img compare -q -f vhdx -F vhdx x.vhdx d.vhdx");
	/* Ours, grown, written by qemu, then by us. */
	assert_int_equal(vt_open(vt, "d.vhdx", 0, &disk), 0);
	assert_int_equal(vt_grow(vt, disk, 64 * MiB), 0);
	vhd_close(disk);
	must(vt, "qemu-io -f vhdx -c 'write -P 0xa5 100M 64k' d.vhdx");
	assert_int_equal(vt_open(vt, "d.vhdx", 0, &disk), 0);
	holds_all(vt, disk);
	write_at(vt, disk, 120 * MiB, MiB, 3);
	assert_int_equal(vt_rw(vt, disk, VHD_READ, 0, 100 * MiB, back, 65536),
			 0);
	memset(big, 0xa5, 65536);
	assert_memory_equal(big, back, 65536);
	vhd_close(disk);
	must(vt, "qemu-img check -q -f vhdx d.vhdx");
	/* qemu's. */
	must(vt, "qemu-img convert -q -f vhdx -O vhdx -o subformat=dynamic,"
		 "block_size=1M d.vhdx q.vhdx");
	assert_int_equal(vt_open(vt, "q.vhdx", 0, &disk), 0);
	holds_all(vt, disk);
	expect_at(vt, disk, 120 * MiB, MiB, 3);
	write_at(vt, disk, 40 * MiB, MiB, 4);
	vhd_close(disk);
	must(vt, "qemu-img check -q -f vhdx q.vhdx && "
		 "qemu-img convert -q -f vhdx -O vhdx -o subformat=fixed "
		 "q.vhdx f.vhdx");
	assert_int_equal(vt_open(vt, "f.vhdx", 0, &disk), 0);
	expect_at(vt, disk, 40 * MiB, MiB, 4);
	vhd_close(disk);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, vt_setup_memory, vt_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_guids),
		cmocka_unit_test(test_active_sequence),
		TEST(test_replay),
		TEST(test_replay_refusals),
		TEST(test_log_wraps),
		TEST(test_sectors_of_4096),
		TEST(test_largest),
		TEST(test_grow_moves_table),
		TEST(test_discard),
		TEST(test_child_hides),
		TEST(test_parent_changed),
		TEST(test_damage),
		TEST(test_qemu),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
