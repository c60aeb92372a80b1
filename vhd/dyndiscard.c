/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Zeroing and discarding in dynamic and differencing disks.
 *
 * Blocks that are discarded whole are released (dynamic.h has the order): the
 * request then runs alone in its range, since others must not use a place that
 * becomes another block's. Smaller parts are punched out of their block. What
 * a parent holds is hidden by set bits over a hole.
 */

#include <errno.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <string.h>

#include "vhd/dynamic.h"

/* Table entries are cleared at once within such a part of the file: a page,
 * which a failing write leaves as it was. */
#define TABLE_PAGE 4096u

static int zero_mode(const struct vhd_state *st)
{
	return FALLOC_FL_KEEP_SIZE |
	       (st->op == VHD_DISCARD ? FALLOC_FL_PUNCH_HOLE
				      : FALLOC_FL_ZERO_RANGE);
}

/* ---- whole blocks ---- */

bool dyn_wants_alone(const struct vhd_disk *disk, const struct vhd_req *req)
{
	const struct vhd_dyn *dyn = vhd_dyn(disk);
	uint64_t bs = dyn->header.block_size;
	uint64_t block, end;

	if (req->op != VHD_DISCARD || req->length < bs) {
		return false;
	}
	block = (req->offset + bs - 1) >> dyn->block_shift;
	end = (req->offset + req->length) >> dyn->block_shift;
	for (; block < end; block++) {
		if (atomic_load_explicit(&dyn->bat[block],
					 memory_order_relaxed) != BAT_NONE) {
			return true;
		}
	}
	return false;
}

/*
 * Would the block read as zeroes without this disk?
 * @return 1 or 0, or VHD_PENDING: *@place's bitmap has to be loaded first
 */
static int parent_is_zero(const struct vhd_disk *disk, uint64_t block,
			  struct vhd_place *place)
{
	uint64_t at = block << vhd_dyn(disk)->block_shift;
	uint64_t end = at + vhd_dyn(disk)->header.block_size;

	while (disk->parent != NULL && at < end) {
		vhd_find_place(disk->parent, at, end - at, place);
		if (place->kind == VHD_PLACE_LOAD) {
			return VHD_PENDING;
		}
		if (place->kind == VHD_PLACE_DATA &&
		    vhd_file_has_data(place->disk->file, place->offset,
				      &place->length)) {
			return 0;
		}
		at += place->length;
	}
	return 1;
}

/*
 * How many blocks from the present position on may be released, or are not
 * there: st->dyn.first to end.
 * @return 0, or VHD_PENDING as above
 */
static int find_releasable(struct vhd_state *st, uint64_t left, bool *any,
			   struct vhd_place *place)
{
	struct vhd_dyn *dyn = vhd_dyn(st->disk);
	uint64_t bs = dyn->header.block_size;
	uint64_t block = st->seg.at >> dyn->block_shift;
	uint64_t entry_at = dyn->header.table_offset + block * 4;
	uint64_t most = (TABLE_PAGE - entry_at % TABLE_PAGE) / 4;

	*any = false;
	st->dyn.first = st->dyn.end = (uint32_t)block;
	if (!st->alone || st->dyn.keep || st->seg.at % bs != 0) {
		return 0;
	}
	for (; most > 0 && left >= bs; most--, left -= bs) {
		int zero = parent_is_zero(st->disk, st->dyn.end, place);

		if (zero == VHD_PENDING && st->dyn.end == st->dyn.first) {
			return VHD_PENDING;
		}
		if (zero != 1) {
			break;
		}
		*any |= atomic_load(&dyn->bat[st->dyn.end]) != BAT_NONE;
		st->dyn.end++;
	}
	return 0;
}

static void release_ends(struct vhd_state *st, uint32_t count)
{
	dyn_release_end(vhd_dyn(st->disk), st->dyn.released, count);
	free(st->dyn.released);
	st->dyn.released = NULL;
}

static int clear_entries(struct vhd_req *req)
{
	static const uint8_t unused[TABLE_PAGE] = {[0 ... TABLE_PAGE - 1] =
							   0xff};
	struct vhd_state *st = vhd_state(req);
	uint32_t first = st->dyn.first;

	st->phase = DYN_RELEASE_ENTERED;
	return vhd_meta_transfer(req, st->disk, true, false, unused,
				 (size_t)(st->dyn.end - first) * 4,
				 vhd_dyn(st->disk)->header.table_offset +
					 (uint64_t)first * 4);
}

/* Punch the next block, st->dyn.block being the one to look at. */
static int punch_next(struct vhd_req *req)
{
	struct vhd_state *st = vhd_state(req);
	struct vhd_dyn *dyn = vhd_dyn(st->disk);
	uint32_t entry = BAT_NONE;

	while (st->dyn.block < st->dyn.end) {
		entry = atomic_load(&dyn->bat[st->dyn.block]);
		if (entry != BAT_NONE) {
			break;
		}
		st->dyn.block++;
	}
	if (st->dyn.block == st->dyn.end) {
		return clear_entries(req);
	}
	st->phase = DYN_RELEASE_PUNCHED;
	return vhd_transfer_fallocate(
		req, st->disk->file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		(uint64_t)entry * VHD_SECTOR + dyn->bitmap_size,
		dyn->header.block_size);
}

static int release(struct vhd_req *req)
{
	struct vhd_state *st = vhd_state(req);

	st->phase = DYN_NEXT; /* where it goes on after waiting */
	if (!dyn_release_begin(req)) {
		return VHD_PENDING;
	}
	st->dyn.released_count = 0;
	st->dyn.released = malloc((size_t)(st->dyn.end - st->dyn.first) *
				  sizeof(uint32_t));
	if (st->dyn.released == NULL) {
		release_ends(st, 0);
		return ENOMEM;
	}
	st->dyn.block = st->dyn.first;
	return punch_next(req);
}

int dyn_release_punched(struct vhd_req *req, int result)
{
	struct vhd_state *st = vhd_state(req);

	if (result == 0) {
		st->dyn.block++;
		return punch_next(req);
	}
	release_ends(st, 0);
	if (result == EOPNOTSUPP) {
		st->dyn.keep = true; /* the blocks stay, and are zeroed */
		st->phase = DYN_NEXT;
		return 0;
	}
	return result;
}

int dyn_release_entered(struct vhd_req *req, int result)
{
	struct vhd_state *st = vhd_state(req);
	struct vhd_dyn *dyn = vhd_dyn(st->disk);
	uint32_t block;

	vhd_meta_done(req);
	if (result != 0) {
		release_ends(st, 0); /* still there, and zero */
		return result;
	}
	for (block = st->dyn.first; block < st->dyn.end; block++) {
		uint32_t place = atomic_exchange(&dyn->bat[block], BAT_NONE);

		if (place != BAT_NONE) {
			st->dyn.released[st->dyn.released_count++] = place;
		}
	}
	atomic_fetch_sub(&dyn->allocated, st->dyn.released_count);
	atomic_fetch_add(&dyn->meta_written, 1);
	st->phase = DYN_RELEASE_SYNCED;
	return vhd_transfer_sync(req, st->disk->file);
}

int dyn_release_synced(struct vhd_req *req, int result)
{
	struct vhd_state *st = vhd_state(req);
	struct vhd_dyn *dyn = vhd_dyn(st->disk);

	if (result != 0) {
		/* Nobody knows whether the table in the file leads there. */
		atomic_store(&dyn->unsure, true);
		release_ends(st, 0);
		return result;
	}
	release_ends(st, st->dyn.released_count);
	st->seg.length = (uint64_t)(st->dyn.end - st->dyn.first)
			 << dyn->block_shift;
	vhd_segment_done(st);
	return 0;
}

/* ---- parts of blocks ---- */

/* This disk's own data. */
static int zero_own(struct vhd_req *req, const struct vhd_place *place)
{
	struct vhd_state *st = vhd_state(req);

	if (st->op == VHD_ZERO && place->length <= VHD_ZERO_BY_WRITING) {
		return vhd_segment_transfer(req, DYN_MOVED, true,
					    req->flags & VHD_FUA, place->disk,
					    place->offset);
	}
	st->phase = DYN_PUNCHED;
	st->seg.need_sync |= req->flags & VHD_FUA;
	return vhd_transfer_fallocate(req, place->disk->file, zero_mode(st),
				      place->offset, place->length);
}

int dyn_punched(struct vhd_req *req, int result)
{
	struct vhd_state *st = vhd_state(req);

	if (result == EOPNOTSUPP) {
		return vhd_segment_transfer(req, DYN_MOVED, true,
					    req->flags & VHD_FUA, st->disk,
					    st->file_offset);
	}
	vhd_segment_done(st);
	return result;
}

/*
 * The parent's data: the sectors become this disk's, and zero. What is in
 * their place goes before their bits are set, as with a write of new sectors.
 */
static int hide(struct vhd_req *req)
{
	struct vhd_state *st = vhd_state(req);
	struct vhd_dyn *dyn = vhd_dyn(st->disk);
	uint32_t within = st->seg.at & (dyn->header.block_size - 1);
	uint32_t block = (uint32_t)(st->seg.at >> dyn->block_shift);
	uint32_t entry =
		atomic_load_explicit(&dyn->bat[block], memory_order_acquire);
	uint64_t at;

	if (entry <= BAT_BUSY) {
		return dyn_write_absent_block(req, block);
	}
	st->dyn.bitmap = atomic_load_explicit(&dyn->bitmaps[block],
					      memory_order_acquire);
	if (st->dyn.bitmap == NULL) {
		st->phase = DYN_NEXT; /* to load it */
		return 0;
	}
	st->dyn.block = block;
	st->dyn.place = entry;
	at = (uint64_t)entry * VHD_SECTOR + dyn->bitmap_size + within;
	if (st->op == VHD_ZERO && st->seg.length <= VHD_ZERO_BY_WRITING) {
		return vhd_segment_transfer(req, DYN_NEW_SECTORS, true, true,
					    st->disk, at);
	}
	st->phase = DYN_HIDDEN;
	return vhd_transfer_fallocate(req, st->disk->file, zero_mode(st), at,
				      st->seg.length);
}

int dyn_hidden(struct vhd_req *req, int result)
{
	struct vhd_state *st = vhd_state(req);

	if (result == EOPNOTSUPP) {
		return vhd_segment_transfer(req, DYN_NEW_SECTORS, true, true,
					    st->disk, st->file_offset);
	}
	if (result != 0) {
		return result;
	}
	st->phase = DYN_HIDDEN_SYNCED;
	return vhd_transfer_sync(req, st->disk->file);
}

int dyn_hidden_synced(struct vhd_req *req, int result)
{
	vhd_state(req)->phase = DYN_SET_BITS;
	return result;
}

/* ---- the next segment ---- */

int dyn_zero_next(struct vhd_req *req, uint64_t left)
{
	struct vhd_state *st = vhd_state(req);
	struct vhd_place place;
	bool any;

	if (find_releasable(st, left, &any, &place) == VHD_PENDING) {
		return dyn_load_bitmap(req, &place);
	}
	if (any) {
		return release(req);
	}
	if (st->dyn.end > st->dyn.first) { /* nothing there */
		st->seg.length = (uint64_t)(st->dyn.end - st->dyn.first)
				 << vhd_dyn(st->disk)->block_shift;
		vhd_segment_done(st);
		return 0;
	}
	vhd_find_place(st->disk, st->seg.at, left, &place);
	st->seg.length = place.length;
	if (place.kind == VHD_PLACE_LOAD) {
		return dyn_load_bitmap(req, &place);
	}
	if (place.kind == VHD_PLACE_DATA && place.disk == st->disk) {
		return zero_own(req, &place);
	}
	if (place.kind == VHD_PLACE_DATA &&
	    vhd_file_has_data(place.disk->file, place.offset,
			      &st->seg.length)) {
		/* File systems answer by bytes. */
		st->seg.length = (st->seg.length + VHD_SECTOR - 1) /
				 VHD_SECTOR * VHD_SECTOR;
		return hide(req);
	}
	/* Nobody's, or a hole of a parent's. */
	st->seg.length = st->seg.length / VHD_SECTOR * VHD_SECTOR;
	if (st->seg.length > 0) {
		vhd_segment_done(st);
		return 0;
	}
	st->seg.length = place.length;
	return hide(req);
}
