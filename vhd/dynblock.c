/* SPDX-License-Identifier: GPL-3.0-or-later */
/* New blocks of a dynamic or differencing disk: space is appended, a place
 * filled, the table entry written. The rules are in dynamic.h. */

#include <errno.h>
#include <linux/falloc.h>
#include <stdlib.h>

#include "vhd/bytes.h"
#include "vhd/dynamic.h"

/* ---- places that were free at open ---- */

/* Punch out the next, whose number is st->dyn.first; or all are. */
static int reclaim_next(struct vhd_req *req)
{
	struct vhd_state *st = vhd_state(req);
	struct vhd_dyn *dyn = vhd_dyn(st->disk);

	if (st->dyn.first == dyn->reclaim_count) {
		st->phase = DYN_RECLAIM_SYNCED;
		return vhd_transfer_sync(req, st->disk->file);
	}
	st->phase = DYN_RECLAIM_PUNCHED;
	return vhd_transfer_fallocate(
		req, st->disk->file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		(uint64_t)dyn->reclaim[st->dyn.first] * VHD_SECTOR,
		(uint64_t)dyn->bitmap_size + dyn->header.block_size);
}

int dyn_reclaim_punched(struct vhd_req *req, int result)
{
	struct vhd_state *st = vhd_state(req);
	struct vhd_dyn *dyn = vhd_dyn(st->disk);

	if (result == 0) {
		st->dyn.first++;
		return reclaim_next(req);
	}
	if (result == EOPNOTSUPP) {
		dyn->gap_count = 0; /* none of them can be had */
		result = 0;
	}
	dyn_reclaimed(dyn, 0);
	st->phase = DYN_NEXT;
	return result;
}

int dyn_reclaim_synced(struct vhd_req *req, int result)
{
	struct vhd_state *st = vhd_state(req);
	struct vhd_dyn *dyn = vhd_dyn(st->disk);

	dyn_reclaimed(dyn, result == 0 ? dyn->reclaim_count : 0);
	st->phase = DYN_NEXT;
	return result;
}

/* ---- appending space ---- */

static int extend(struct vhd_req *req)
{
	struct vhd_state *st = vhd_state(req);
	struct vhd_dyn *dyn = vhd_dyn(st->disk);
	uint64_t end = dyn_extension_end(dyn);

	/* Up to sector numbers that the table can hold. */
	if (end / VHD_SECTOR >= VHD_BAT_UNUSED) {
		dyn_extended(dyn, DYN_NOT_WRITTEN);
		return ENOSPC;
	}
	vhd_file_mark_hole(st->disk->file, dyn->end, end - dyn->end);
	st->phase = DYN_FOOTER;
	return vhd_meta_transfer(req, st->disk, true, false, dyn->footer,
				 VHD_FOOTER_SIZE, end);
}

int dyn_footer_written(struct vhd_req *req, int result)
{
	struct vhd_state *st = vhd_state(req);

	vhd_meta_done(req);
	if (result != 0) {
		dyn_extended(vhd_dyn(st->disk), DYN_NOT_WRITTEN);
		return result;
	}
	st->phase = DYN_APPENDED;
	return vhd_transfer_sync(req, st->disk->file);
}

int dyn_extension_flushed(struct vhd_req *req, int result)
{
	struct vhd_state *st = vhd_state(req);

	dyn_extended(vhd_dyn(st->disk),
		     result == 0 ? DYN_APPENDED_OK : DYN_NOT_FLUSHED);
	st->phase = DYN_NEXT;
	return result;
}

/* ---- the block ---- */

static int new_block_table_entry(struct vhd_req *req)
{
	struct vhd_state *st = vhd_state(req);
	struct vhd_dyn *dyn = vhd_dyn(st->disk);

	st->phase = DYN_ENTERED;
	st->seg.need_sync |= req->flags & VHD_FUA;
	st->dyn.word = htobe32(st->dyn.place);
	return vhd_meta_transfer(req, st->disk, true, false, &st->dyn.word, 4,
				 dyn->header.table_offset +
					 (uint64_t)st->dyn.block * 4);
}

static int new_block_failed(struct vhd_req *req, int error)
{
	struct vhd_state *st = vhd_state(req);
	struct vhd_dyn *dyn = vhd_dyn(st->disk);

	if (st->dyn.bitmap != &vhd_bitmap_full &&
	    st->dyn.bitmap != atomic_load(&dyn->bitmaps[st->dyn.block])) {
		free(st->dyn.bitmap);
	}
	dyn_give_back(req, true);
	return error;
}

/* An earlier block in the same place of the table may have left a bitmap:
 * it stays until the disk is closed, since vhd_disk_mapped() may look at it. */
static struct vhd_bitmap *new_bitmap(const struct vhd_dyn *dyn, uint32_t block)
{
	struct vhd_bitmap *bitmap = atomic_load(&dyn->bitmaps[block]);

	if (bitmap == NULL || bitmap == &vhd_bitmap_full) {
		return dyn_bitmap_new(dyn);
	}
	dyn_bitmap_clear(dyn, bitmap);
	return bitmap;
}

/* The same where all bits are set, as the block's sectors will be. */
static struct vhd_bitmap *full_bitmap(const struct vhd_dyn *dyn, uint32_t block)
{
	struct vhd_bitmap *bitmap = atomic_load(&dyn->bitmaps[block]);

	if (bitmap == NULL || bitmap == &vhd_bitmap_full) {
		return &vhd_bitmap_full;
	}
	atomic_store(&bitmap->full, true);
	return bitmap;
}

static int new_parents_block(struct vhd_req *req)
{
	static const uint8_t no_bits[VHD_BLOCK_MAX / VHD_SECTOR / 8];
	struct vhd_state *st = vhd_state(req);
	struct vhd_dyn *dyn = vhd_dyn(st->disk);

	/* An empty bitmap: the block is the parent's still. */
	st->dyn.bitmap = new_bitmap(dyn, st->dyn.block);
	if (st->dyn.bitmap == NULL) {
		dyn_give_back(req, true);
		return ENOMEM;
	}
	if (!st->dyn.used_before) {
		return new_block_table_entry(req);
	}
	st->phase = DYN_CLEARED;
	return vhd_meta_transfer(req, st->disk, true, true, no_bits,
				 dyn->bitmap_size,
				 (uint64_t)st->dyn.place * VHD_SECTOR);
}

static int new_full_block(struct vhd_req *req)
{
	struct vhd_state *st = vhd_state(req);
	struct vhd_dyn *dyn = vhd_dyn(st->disk);

	st->dyn.bitmap = full_bitmap(dyn, st->dyn.block);
	st->phase = DYN_ONES;
	return vhd_meta_transfer(req, st->disk, true, false, dyn->ones,
				 dyn->bitmap_size,
				 (uint64_t)st->dyn.place * VHD_SECTOR);
}

static int new_block(struct vhd_req *req)
{
	struct vhd_state *st = vhd_state(req);
	struct vhd_dyn *dyn = vhd_dyn(st->disk);

	if (st->disk->type == VHD_TYPE_DIFFERENCING) {
		return new_parents_block(req);
	}
	if (!st->dyn.scrub) {
		return new_full_block(req);
	}
	/* Zeroes may have been promised since. */
	st->phase = DYN_SCRUBBED;
	return vhd_transfer_fallocate(
		req, st->disk->file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		(uint64_t)st->dyn.place * VHD_SECTOR + dyn->bitmap_size,
		dyn->header.block_size);
}

int dyn_block_scrubbed(struct vhd_req *req, int result)
{
	struct vhd_state *st = vhd_state(req);

	if (result == EOPNOTSUPP) {
		/* Then another place. */
		dyn_give_back(req, false);
		st->phase = DYN_NEXT;
		return 0;
	}
	if (result != 0) {
		dyn_give_back(req, true);
		return result;
	}
	st->phase = DYN_SCRUB_SYNCED;
	return vhd_transfer_sync(req, st->disk->file);
}

int dyn_scrub_synced(struct vhd_req *req, int result)
{
	if (result != 0) {
		dyn_give_back(req, true);
		return result;
	}
	return new_full_block(req);
}

int dyn_block_cleared(struct vhd_req *req, int result)
{
	vhd_meta_done(req);
	return result != 0 ? new_block_failed(req, result)
			   : new_block_table_entry(req);
}

int dyn_block_ones(struct vhd_req *req, int result)
{
	struct vhd_state *st = vhd_state(req);
	struct vhd_dyn *dyn = vhd_dyn(st->disk);
	uint64_t within = st->seg.at & (dyn->header.block_size - 1);

	vhd_meta_done(req);
	if (result != 0) {
		return new_block_failed(req, result);
	}
	return vhd_segment_transfer(req, DYN_FILLED, true, false, st->disk,
				    (uint64_t)st->dyn.place * VHD_SECTOR +
					    dyn->bitmap_size + within);
}

int dyn_block_filled(struct vhd_req *req, int result)
{
	if (result != 0) {
		return new_block_failed(req, result);
	}
	return new_block_table_entry(req);
}

int dyn_block_entered(struct vhd_req *req, int result)
{
	struct vhd_state *st = vhd_state(req);

	vhd_meta_done(req);
	if (result != 0) {
		return new_block_failed(req, result);
	}
	atomic_fetch_add(&vhd_dyn(st->disk)->meta_written, 1);
	dyn_publish(req, st->dyn.bitmap);
	if (st->disk->type == VHD_TYPE_DIFFERENCING) {
		st->phase = DYN_NEXT; /* now its sectors */
	} else {
		vhd_segment_done(st);
	}
	return 0;
}

int dyn_write_absent_block(struct vhd_req *req, uint32_t block)
{
	struct vhd_state *st = vhd_state(req);

	st->phase = DYN_NEXT; /* where it goes on after waiting */
	switch (dyn_take_block(req, block)) {
	case DYN_TAKEN:
		return new_block(req);
	case DYN_RECLAIM:
		st->dyn.first = 0;
		return reclaim_next(req);
	case DYN_EXTEND:
		return extend(req);
	case DYN_WAIT:
		return VHD_PENDING;
	default:
		return 0;
	}
}
