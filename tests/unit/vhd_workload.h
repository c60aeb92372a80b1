/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The random workload of test_vhd_crash, and what a disk may hold after it.
 * CRASH_VHDX and CRASH_ATOMIC say which. Included by one source of a program
 * only.
 */
#ifndef VHD_WORKLOAD_H
#define VHD_WORKLOAD_H

#include <stdlib.h>
#include <string.h>

#include "vhd_helpers.h"
#include "vhd_recorder.h"

#define SIZE  (4 * MiB)
#define GROWN (6 * MiB)
#define BLOCK (512 * 1024)

/* The parent holds data up to here. */
#define BASE_SIZE (SIZE / 2)

/* test_vhd_crash_vhdx.c is test_vhd_crash.c on VHDX files. */
#ifdef CRASH_VHDX
#define VHDX true
#define DISK "disk.vhdx"
#else
#define VHDX false
#define DISK "disk.vhd"
#endif

/* An atomic write takes many more steps. */
#ifdef CRASH_ATOMIC
#define ATOMIC true
#define OPS    30
#else
#define ATOMIC false
#define OPS    60
#endif

/* What a sector holds: its number's version; 0: as it was at first. */
struct op {
	enum vhd_op op;
	uint32_t flags;
	uint32_t first, count; /* sectors */
	uint32_t version;
	size_t begin, end; /* in the record */
	int error;
};

struct run {
	struct vt *vt;
	enum vhd_type type;
	bool vhdx;
	bool sparse;
	bool atomic;  /* half of the writes are WRITE_ATOMIC */
	uint8_t base; /* what the parent holds, if any */
	struct op op[OPS + 1];
	unsigned ops;
	size_t created; /* positions in the record */
	size_t grow_begin, grow_end;
};

static const char *disk_name(const struct run *run)
{
	return run->vhdx ? "disk.vhdx" : "disk.vhd";
}

/* The smallest that the format has. */
static uint32_t block_of(const struct run *run)
{
	return run->vhdx ? 2 * BLOCK : BLOCK;
}

static const char *parent_name(const struct run *run)
{
	return run->vhdx ? "parent.vhdx" : "parent.vhd";
}

static void fill(uint8_t *sector, uint32_t number, uint32_t version)
{
	uint32_t i;

	for (i = 0; i < 512; i += 8) {
		memcpy(sector + i, &number, 4);
		memcpy(sector + i + 4, &version, 4);
	}
}

/* ---- the workload ---- */

static void plan(struct run *run, unsigned i, uint32_t *random)
{
	struct op *op = &run->op[i];
	uint32_t r;

	*random = *random * 1664525u + 1013904223u;
	r = *random >> 8;
	op->version = i + 1;
	op->first = r % (SIZE / 512);
	if (run->atomic) {
		/* Over each other, and across the end of a block. */
		op->first = block_of(run) / 512 - 64 + r % 128;
	}
	op->count = 1 + (r >> 13) % 40;
	if (op->count > SIZE / 512 - op->first) {
		op->count = SIZE / 512 - op->first;
	}
	switch (r % 10) {
	case 0:
	case 1:
		op->op = VHD_FLUSH;
		break;
	case 2:
		op->op = VHD_ZERO;
		op->count *= 10;
		if (op->count > SIZE / 512 - op->first) {
			op->count = SIZE / 512 - op->first;
		}
		break;
	case 3:
		op->op = VHD_DISCARD;
		if (r & 64) { /* whole blocks */
			op->first = r / 128 % (SIZE / block_of(run)) *
				    (block_of(run) / 512);
			op->count = block_of(run) / 512 * (1 + (r >> 14) % 2);
			if (op->count > SIZE / 512 - op->first) {
				op->count = SIZE / 512 - op->first;
			}
		}
		break;
	case 4:
		op->op = VHD_WRITE;
		op->flags = VHD_FUA;
		break;
	default:
		op->op = run->atomic && (r & 64) ? VHD_WRITE_ATOMIC : VHD_WRITE;
		break;
	}
}

static bool is_write(const struct op *op)
{
	return op->op == VHD_WRITE || op->op == VHD_WRITE_ATOMIC;
}

static void perform(struct run *run, struct vhd_disk *disk, struct op *op)
{
	uint8_t *buf = malloc((size_t)op->count * 512);
	uint32_t i;

	for (i = 0; i < op->count; i++) {
		fill(buf + (size_t)i * 512, op->first + i, op->version);
	}
	op->begin = recorder_position();
	op->error = vt_rw(run->vt, disk, op->op, op->flags,
			  op->op == VHD_FLUSH ? 0 : (uint64_t)op->first * 512,
			  is_write(op) ? buf : NULL,
			  op->op == VHD_FLUSH ? 0 : (uint64_t)op->count * 512);
	op->end = recorder_position();
	free(buf);
}

static void make_parent(struct run *run)
{
	struct vhd_create_params params = {
		.format = vhd_format_of_name(parent_name(run)),
		.type = VHD_TYPE_FIXED,
		.size = SIZE,
		.sparse = true,
		.block_size = run->vhdx ? block_of(run) : 0,
	};
	struct vhd_disk *disk = NULL;
	uint8_t *buf = malloc(SIZE);

	assert_int_equal(vt_create_params(run->vt, parent_name(run), &params),
			 0);
	assert_int_equal(vt_open(run->vt, parent_name(run), 0, &disk), 0);
	memset(buf, run->base, SIZE);
	assert_int_equal(vt_rw(run->vt, disk, VHD_WRITE, 0, 0, buf, BASE_SIZE),
			 0);
	free(buf);
	vhd_close(disk);
}

static struct vhd_disk *make_disk(struct run *run)
{
	struct vhd_create_params params = {
		.format = vhd_format_of_name(disk_name(run)),
		.type = run->type,
		.size = SIZE,
		.sparse = run->sparse,
		.block_size = run->type == VHD_TYPE_FIXED && !run->vhdx
				      ? 0
				      : block_of(run),
	};

	if (run->type == VHD_TYPE_DIFFERENCING) {
		make_parent(run);
		assert_int_equal(vt_create_child(run->vt, disk_name(run),
						 parent_name(run)),
				 0);
		run->created = recorder_position();
		return vt_open_chain(run->vt, disk_name(run), 0);
	}
	assert_int_equal(vt_create_params(run->vt, disk_name(run), &params), 0);
	run->created = recorder_position();
	{
		struct vhd_disk *disk = NULL;

		assert_int_equal(vt_open(run->vt, disk_name(run), 0, &disk), 0);
		return disk;
	}
}

static void record(struct run *run, uint32_t seed)
{
	struct vhd_disk *disk;
	uint32_t random = seed;

	recorder_start(disk_name(run));
	disk = make_disk(run);
	run->grow_begin = run->grow_end = SIZE_MAX;
	for (run->ops = 0; run->ops < OPS; run->ops++) {
		if (run->ops == OPS / 2) {
			run->grow_begin = recorder_position();
			assert_int_equal(vt_grow(run->vt, disk, GROWN - SIZE),
					 0);
			run->grow_end = recorder_position();
		}
		plan(run, run->ops, &random);
		perform(run, disk, &run->op[run->ops]);
		assert_int_equal(run->op[run->ops].error, 0);
	}
	vhd_close(disk);
}

/* ---- what may be there ---- */

static uint8_t base_of(const struct run *run, uint32_t number)
{
	return number < BASE_SIZE / 512 ? run->base : 0;
}

static bool holds(const uint8_t *sector, uint32_t number, uint32_t version,
		  uint8_t base)
{
	uint8_t expected[512];

	if (version == 0) {
		memset(expected, base, 512);
	} else if (version == UINT32_MAX) {
		memset(expected, 0, 512);
	} else {
		fill(expected, number, version);
	}
	return memcmp(sector, expected, 512) == 0;
}

static uint32_t version_of(const struct op *op)
{
	return is_write(op) ? op->version : UINT32_MAX;
}

/*
 * Is the sector's content one that a crash at @position may leave, all up to
 * @settled having been flushed? The last durable version, or any of a later
 * request that had begun.
 */
static bool allowed(const struct run *run, const uint8_t *sector,
		    uint32_t number, size_t position, size_t settled)
{
	uint8_t base = base_of(run, number);
	int i, k;

	/* From the last request on backwards. */
	for (i = (int)run->ops - 1; i >= 0; i--) {
		const struct op *op = &run->op[i];
		bool durable;

		if (op->op == VHD_FLUSH || op->begin > position ||
		    number < op->first || number >= op->first + op->count) {
			continue;
		}
		if (holds(sector, number, version_of(op), base)) {
			return true;
		}
		durable =
			((op->flags & VHD_FUA) || op->op == VHD_WRITE_ATOMIC) &&
			op->end <= settled;
		for (k = i + 1; k < (int)run->ops && !durable; k++) {
			durable = run->op[k].op == VHD_FLUSH &&
				  run->op[k].end <= settled;
		}
		if (durable) {
			return false;
		}
	}
	return holds(sector, number, 0, base);
}

/* How many of the request's sectors hold what it wrote? */
static uint32_t count_new(const struct run *run, const struct op *op,
			  const uint8_t *content)
{
	uint32_t i, n = 0;

	for (i = op->first; i < op->first + op->count; i++) {
		n += holds(content + (size_t)i * 512, i, op->version,
			   base_of(run, i));
	}
	return n;
}

/* Of an atomic write that was under way all is there, or nothing. */
static void check_whole(const struct run *run, const uint8_t *content,
			size_t position, uint32_t seed)
{
	unsigned i;

	for (i = 0; i < run->ops; i++) {
		const struct op *op = &run->op[i];
		uint32_t n;

		if (op->op != VHD_WRITE_ATOMIC || op->begin > position ||
		    op->end <= position) {
			continue;
		}
		n = count_new(run, op, content);
		if (n != 0 && n != op->count) {
			fail_msg("%u of %u sectors after a crash at %zu (seed "
				 "%u)",
				 n, op->count, position, seed);
		}
	}
}

#endif /* VHD_WORKLOAD_H */
