/* SPDX-License-Identifier: GPL-3.0-or-later */
/* VHDX disks of all kinds: how a request is carried out. The rules are in
 * vhdx_disk.h. */

#include <endian.h>
#include <errno.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <string.h>

#include "vhd/vhdx_disk.h"
#include "vhd/vhdx_place.h"

/* ---- bitmaps ---- */

static int load_page(struct vhd_req *req, const struct vhd_disk *disk,
		     uint64_t number)
{
	struct vhd_state *st = vhd_state(req);
	const struct vhdx *vx = vhdx_of(disk);

	st->vx.page = vhdx_page_new();
	if (st->vx.page == NULL) {
		return ENOMEM;
	}
	st->seg.disk = disk;
	st->vx.index = number;
	st->phase = VHDX_LOADED;
	return vhd_meta_transfer(
		req, disk, false, false, st->vx.page, sizeof(*st->vx.page),
		vhdx_page_at(vhdx_entry(vx, vhdx_page_index(vx, number)),
			     number));
}

static int page_loaded(struct vhd_req *req, int result)
{
	struct vhd_state *st = vhd_state(req);
	struct vhdx *vx = vhdx_of(st->seg.disk);
	struct vhdx_page *page = st->vx.page, *none = NULL;
	uint64_t number = st->vx.index;
	unsigned i;

	vhd_meta_done(req);
	if (result != 0) {
		free(page);
		return result;
	}
	if (vx->overlay.count > 0) {
		vhdx_overlay_apply(
			&vx->overlay, page, sizeof(*page),
			vhdx_page_at(vhdx_entry(vx,
						vhdx_page_index(vx, number)),
				     number));
	}
	for (i = 0; i < VHDX_SECTOR / 8; i++) {
		page->word[i] = le64toh(page->word[i]);
	}
	/* Another request may have been faster, and have set bits since. */
	if (!atomic_compare_exchange_strong(&vx->pages[number], &none, page)) {
		free(page);
	}
	st->phase = VHDX_NEXT;
	return 0;
}

/* ---- segments ---- */

static int read_segment(struct vhd_req *req, uint64_t left)
{
	struct vhd_state *st = vhd_state(req);
	struct vhd_place place;

	vhd_find_place(st->disk, st->seg.at, left, &place);
	st->seg.length = place.length;
	switch (place.kind) {
	case VHD_PLACE_LOAD:
		return load_page(req, place.disk, place.number);
	case VHD_PLACE_NOWHERE:
		vhd_cursor_nowhere(st->disk, &st->cursor, place.length);
		vhd_segment_done(st);
		return 0;
	default:
		return vhd_segment_transfer(req, VHDX_MOVED, false, false,
					    place.disk, place.offset);
	}
}

/* ---- new blocks ---- */

static int commit_entry(struct vhd_req *req, uint64_t value)
{
	struct vhd_state *st = vhd_state(req);

	st->vx.has_entry = true;
	st->vx.has_bits = false;
	st->vx.value = value;
	return vhdx_commit(req);
}

/* A place for @index. @return 0: st->phase says how to go on, unless taken */
static int take(struct vhd_req *req, uint64_t index, uint64_t entry,
		uint32_t length, bool *taken)
{
	vhd_state(req)->phase = VHDX_NEXT; /* where it goes on after waiting */
	*taken = false;
	switch (vhdx_take_place(req, index, entry, length)) {
	case VHDX_TAKEN:
		*taken = true;
		return 0;
	case VHDX_RECLAIM:
		return vhdx_reclaim(req);
	case VHDX_EXTEND:
		return vhdx_extend(req);
	case VHDX_WAIT:
		return VHD_PENDING;
	default:
		return 0;
	}
}

/* The chunk's sector bitmap, before the first block that needs it. */
static int new_bitmap_block(struct vhd_req *req, uint64_t index, uint64_t entry)
{
	struct vhd_state *st = vhd_state(req);
	bool taken;
	int ret = take(req, index, entry, VHDX_BITMAP_BLOCK, &taken);

	if (!taken) {
		return ret;
	}
	st->vx.kind = VHDX_NEW_BITMAP;
	return commit_entry(req, VHDX_BAT(VHDX_FULLY_PRESENT, st->vx.place));
}

static int fill_block(struct vhd_req *req)
{
	struct vhd_state *st = vhd_state(req);
	uint64_t bs = vhdx_of(st->disk)->metadata.block_size;

	return vhd_segment_transfer(req, VHDX_FILLED, true, st->vx.durable,
				    st->disk,
				    st->vx.place + (st->seg.at & (bs - 1)));
}

/* It holds what a request wrote that then failed. */
static int scrub_place(struct vhd_req *req)
{
	struct vhd_state *st = vhd_state(req);

	st->phase = VHDX_SCRUBBED;
	return vhd_transfer_fallocate(
		req, st->disk->file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		st->vx.place, vhdx_of(st->disk)->metadata.block_size);
}

/* Commit what the entry is. @return 0: st->phase says how to go on */
static int commit_again(struct vhd_req *req, uint64_t index, uint64_t entry,
			uint8_t kind)
{
	struct vhd_state *st = vhd_state(req);
	int ret;

	st->phase = VHDX_NEXT;
	switch (vhdx_hold_entry(req, index, entry)) {
	case VHDX_TAKEN:
		st->vx.kind = kind;
		ret = commit_entry(req, entry & ~(VHDX_UNSURE | VHDX_BUSY));
		st->vx.has_bits = kind == VHDX_CLEAR_BITS;
		return ret;
	case VHDX_WAIT:
		return VHD_PENDING;
	default:
		return 0;
	}
}

/*
 * A commit of this entry has failed; the log may hold it all the same. So the
 * log is to say again what the entry is, before anything relies on it.
 */
static int confirm_entry(struct vhd_req *req, uint64_t index, uint64_t entry)
{
	return commit_again(req, index, entry, VHDX_CONFIRM);
}

/*
 * Bitmaps count for partially present blocks only (2.4): what another creator
 * has left in that of an absent block would hide the parent's data as soon as
 * the block becomes one. So all of its bits are cleared before, durably, a
 * page at a time.
 * @return are they, and will be while the block is absent? Else *@ret is
 *         this step's result
 */
static bool clear_bits(struct vhd_req *req, uint64_t index, uint64_t entry,
		       int *ret)
{
	struct vhd_state *st = vhd_state(req);
	struct vhdx *vx = vhdx_of(st->disk);
	uint64_t bs = vx->metadata.block_size, at = st->seg.at & ~(bs - 1);
	uint64_t bits = bs >> vx->sector_shift;
	uint64_t number = vhdx_page_of(vx, at);
	uint32_t first = vhdx_bit_of(vx, at);
	uint32_t count =
		bits < VHDX_PAGE_BITS ? (uint32_t)bits : VHDX_PAGE_BITS;
	uint64_t end = number + bits / count;

	for (; number < end; number++) {
		struct vhdx_page *page = atomic_load(&vx->pages[number]);
		bool set;

		if (page == NULL) {
			*ret = load_page(req, st->disk, number);
			return false;
		}
		if (vhdx_page_run(page, first, count, &set) == count && !set) {
			continue;
		}
		st->vx.page = page;
		st->vx.number = number;
		st->vx.first = first;
		st->vx.count = count;
		*ret = commit_again(req, index, entry, VHDX_CLEAR_BITS);
		return false;
	}
	return true;
}

/*
 * A block's first write. What hides a parent's data has to be on stable
 * storage before the block is there.
 */
static int new_block(struct vhd_req *req, uint64_t index, uint64_t entry)
{
	struct vhd_state *st = vhd_state(req);
	struct vhdx *vx = vhdx_of(st->disk);
	uint64_t bs = vx->metadata.block_size, within = st->seg.at & (bs - 1);
	uint64_t size = vhd_disk_size(st->disk);
	bool hides = vx->metadata.has_parent &&
		     VHDX_BAT_STATE(entry) == VHDX_NOT_PRESENT;
	bool whole = within == 0 && (st->seg.length == bs ||
				     st->seg.at + st->seg.length == size);
	bool taken;
	int ret;

	st->vx.has_bits = hides && !whole;
	if (st->vx.has_bits) {
		uint64_t number = vhdx_page_of(vx, st->seg.at);
		uint64_t bitmap = vhdx_page_index(vx, number);
		uint64_t bitmap_entry = vhdx_entry(vx, bitmap);

		if (VHDX_BAT_STATE(bitmap_entry) != VHDX_FULLY_PRESENT ||
		    (bitmap_entry & VHDX_BUSY)) {
			return new_bitmap_block(req, bitmap, bitmap_entry);
		}
		if (!clear_bits(req, index, entry, &ret)) {
			return ret;
		}
		st->vx.page = atomic_load(&vx->pages[number]);
		st->vx.number = number;
		st->vx.first = vhdx_bit_of(vx, st->seg.at);
		if (st->seg.length >> vx->sector_shift >
		    VHDX_PAGE_BITS - st->vx.first) {
			st->seg.length =
				(uint64_t)(VHDX_PAGE_BITS - st->vx.first)
				<< vx->sector_shift;
		}
		st->vx.count = (uint32_t)(st->seg.length >> vx->sector_shift);
	}
	ret = take(req, index, entry, vx->metadata.block_size, &taken);
	if (!taken) {
		return ret;
	}
	st->vx.kind = VHDX_NEW_BLOCK;
	st->vx.value = VHDX_BAT(st->vx.has_bits ? VHDX_PARTIALLY_PRESENT
						: VHDX_FULLY_PRESENT,
				st->vx.place);
	st->vx.durable = hides || (req->flags & VHD_FUA);
	return st->vx.scrub ? scrub_place(req) : fill_block(req);
}

static int place_scrubbed(struct vhd_req *req, int result)
{
	struct vhd_state *st = vhd_state(req);

	if (result == EOPNOTSUPP) {
		/* Then another place; this one is lost. */
		vhdx_give_back(req, false);
		st->phase = VHDX_NEXT;
		return 0;
	}
	if (result != 0) {
		vhdx_give_back(req, true);
		return result;
	}
	st->phase = VHDX_SCRUB_FLUSHED;
	return vhd_transfer_sync(req, st->disk->file);
}

static int scrub_flushed(struct vhd_req *req, int result)
{
	if (result != 0) {
		vhdx_give_back(req, true);
		return result;
	}
	return fill_block(req);
}

static int block_filled(struct vhd_req *req, int result)
{
	struct vhd_state *st = vhd_state(req);

	if (result != 0) {
		vhdx_give_back(req, true);
		return result;
	}
	st->vx.has_entry = true;
	return vhdx_commit(req);
}

/* ---- writing ---- */

/* Into a block that is there, or a part of it. */
static int write_partial(struct vhd_req *req, uint64_t entry)
{
	struct vhd_state *st = vhd_state(req);
	struct vhd_place place = {.length = st->seg.length};
	struct vhdx *vx = vhdx_of(st->disk);
	uint64_t within = st->seg.at & (vx->metadata.block_size - 1);
	bool set = vhdx_place_by_bitmap(st->disk, st->seg.at, &place);

	if (place.kind == VHD_PLACE_LOAD) {
		return load_page(req, st->disk, place.number);
	}
	st->seg.length = place.length;
	if (!set) {
		st->vx.number = vhdx_page_of(vx, st->seg.at);
		st->vx.page = vx->pages[st->vx.number];
		st->vx.first = vhdx_bit_of(vx, st->seg.at);
		st->vx.count = (uint32_t)(st->seg.length >> vx->sector_shift);
	}
	return vhd_segment_transfer(req, set ? VHDX_MOVED : VHDX_NEW_SECTORS,
				    true, !set || (req->flags & VHD_FUA),
				    st->disk, VHDX_BAT_OFFSET(entry) + within);
}

static int write_segment(struct vhd_req *req, uint64_t left)
{
	struct vhd_state *st = vhd_state(req);
	struct vhdx *vx = vhdx_of(st->disk);
	uint64_t bs = vx->metadata.block_size, within = st->seg.at & (bs - 1);
	uint64_t index = vhdx_payload_index(vx, st->seg.at);
	uint64_t entry = vhdx_entry(vx, index);
	unsigned state = VHDX_BAT_STATE(entry);

	if (state == VHDX_FULLY_PRESENT && !(entry & VHDX_UNSURE)) {
		st->seg.length =
			vhdx_run_of_blocks(vx, st->seg.at, entry, left);
		return vhd_segment_transfer(req, VHDX_MOVED, true,
					    req->flags & VHD_FUA, st->disk,
					    VHDX_BAT_OFFSET(entry) + within);
	}
	st->seg.length = left < bs - within ? left : bs - within;
	if (state < VHDX_FULLY_PRESENT) {
		bool zeroes =
			!vx->metadata.has_parent || state != VHDX_NOT_PRESENT;

		if (zeroes && !(entry & (VHDX_BUSY | VHDX_UNSURE)) &&
		    vhd_copy_skips_hole(req, st->seg.length)) {
			vhd_segment_done(st);
			return 0;
		}
		return new_block(req, index, entry);
	}
	if (entry & VHDX_UNSURE) {
		return confirm_entry(req, index, entry);
	}
	return write_partial(req, entry);
}

/* ---- zeroing and discarding ---- */

static bool covers_block(const struct vhdx *vx, uint64_t size, uint64_t at,
			 uint64_t left)
{
	uint64_t bs = vx->metadata.block_size;

	return (at & (bs - 1)) == 0 && (left >= bs || at + left >= size);
}

/* No block of it is to be given up while others use it: the gate. */
static bool vhdx_wants_alone(const struct vhd_disk *disk,
			     const struct vhd_req *req)
{
	const struct vhdx *vx = vhdx_of(disk);
	uint64_t bs = vx->metadata.block_size;
	uint64_t first = (req->offset + bs - 1) & ~(bs - 1);
	uint64_t end = req->offset + req->length;

	return (req->op == VHD_DISCARD ||
		(req->op == VHD_ZERO && vx->metadata.has_parent)) &&
	       !vx->metadata.leave_allocated && first < end &&
	       covers_block(vx, vhd_disk_size(disk), first, end - first);
}

/* The whole block: its entry says so, and its place is given up. */
static int drop_block(struct vhd_req *req, uint64_t index, uint64_t entry)
{
	struct vhd_state *st = vhd_state(req);

	st->vx.kind = VHDX_DROP_BLOCK;
	st->vx.index = index;
	st->vx.place = VHDX_BAT_STATE(entry) >= VHDX_FULLY_PRESENT
			       ? VHDX_BAT_OFFSET(entry)
			       : 0;
	return commit_entry(req, VHDX_BAT(req->op == VHD_DISCARD ? VHDX_UNMAPPED
								 : VHDX_ZERO,
					  0));
}

static int zero_place(struct vhd_req *req, uint64_t offset)
{
	struct vhd_state *st = vhd_state(req);
	int mode = req->op == VHD_DISCARD ? FALLOC_FL_PUNCH_HOLE
					  : FALLOC_FL_ZERO_RANGE;

	if (req->op == VHD_ZERO && st->seg.length <= VHD_ZERO_BY_WRITING) {
		return vhd_segment_transfer(req, VHDX_MOVED, true,
					    req->flags & VHD_FUA, st->disk,
					    offset);
	}
	st->phase = VHDX_PUNCHED;
	st->seg.need_sync |= req->flags & VHD_FUA;
	return vhd_transfer_fallocate(req, st->disk->file,
				      mode | FALLOC_FL_KEEP_SIZE, offset,
				      st->seg.length);
}

/*
 * ZERO or DISCARD. What is absent is zeroes already; in a differencing disk it
 * is the parent's, which whole blocks hide by their state, and parts by
 * zeroes.
 */
static int zero_segment(struct vhd_req *req, uint64_t left)
{
	struct vhd_state *st = vhd_state(req);
	struct vhdx *vx = vhdx_of(st->disk);
	uint64_t bs = vx->metadata.block_size, within = st->seg.at & (bs - 1);
	uint64_t index = vhdx_payload_index(vx, st->seg.at);
	uint64_t entry = vhdx_entry(vx, index);
	unsigned state = VHDX_BAT_STATE(entry);
	bool parents = vx->metadata.has_parent;
	bool present = state == VHDX_FULLY_PRESENT;

	st->seg.length = left < bs - within ? left : bs - within;
	if (entry & VHDX_BUSY) {
		return write_segment(req, left); /* waits */
	}
	if (entry & VHDX_UNSURE) {
		return confirm_entry(req, index, entry);
	}
	if (!vx->metadata.leave_allocated &&
	    covers_block(vx, vhd_disk_size(st->disk), st->seg.at, left) &&
	    (present ? req->op == VHD_DISCARD
		     : parents && (state == VHDX_NOT_PRESENT ||
				   state == VHDX_PARTIALLY_PRESENT))) {
		return drop_block(req, index, entry);
	}
	if (!present && (state != VHDX_PARTIALLY_PRESENT) &&
	    (state != VHDX_NOT_PRESENT || !parents)) {
		vhd_segment_done(st);
		return 0;
	}
	if (!present) {
		return write_segment(req, st->seg.length);
	}
	return zero_place(req, VHDX_BAT_OFFSET(entry) + within);
}

static int segment_punched(struct vhd_req *req, int result)
{
	struct vhd_state *st = vhd_state(req);

	if (result == EOPNOTSUPP) {
		return vhd_segment_transfer(req, VHDX_MOVED, true,
					    req->flags & VHD_FUA, st->disk,
					    st->file_offset);
	}
	vhd_segment_done(st);
	return result;
}

/* ---- after a commit ---- */

static int committed(struct vhd_req *req)
{
	struct vhd_state *st = vhd_state(req);
	struct vhdx *vx = vhdx_of(st->disk);
	int result = st->vx.result;

	switch (st->vx.kind) {
	case VHDX_NEW_BLOCK:
	case VHDX_NEW_BITMAP:
		if (result != 0) {
			vhdx_give_back(req, true);
			return result;
		}
		if (st->vx.kind == VHDX_NEW_BITMAP) {
			st->phase = VHDX_NEXT;
			return 0;
		}
		atomic_fetch_add(&vx->allocated, 1);
		break;
	case VHDX_DROP_BLOCK:
		if (result != 0) {
			return result;
		}
		if (st->vx.place != 0) {
			atomic_fetch_sub(&vx->allocated, 1);
			st->phase = VHDX_FREED;
			return vhd_transfer_fallocate(
				req, st->disk->file,
				FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				st->vx.place, vx->metadata.block_size);
		}
		break;
	case VHDX_CONFIRM:
	case VHDX_CLEAR_BITS:
		if (result != 0) {
			vhdx_give_back(req, false);
		}
		st->phase = VHDX_NEXT; /* now the data */
		return result;
	default: /* VHDX_NEW_BITS */
		break;
	}
	vhd_segment_done(st);
	return result;
}

static int place_punched(struct vhd_req *req, int result)
{
	struct vhd_state *st = vhd_state(req);

	/* What could not be punched out, is not used again. */
	if (result == 0) {
		vhdx_place_freed(vhdx_of(st->disk), st->vx.place);
	}
	vhd_segment_done(st);
	return result == EOPNOTSUPP ? 0 : result;
}

static int new_sectors(struct vhd_req *req, int result)
{
	struct vhd_state *st = vhd_state(req);

	if (result != 0) {
		return result;
	}
	st->vx.kind = VHDX_NEW_BITS;
	st->vx.has_entry = false;
	st->vx.has_bits = true;
	return vhdx_commit(req);
}

/* ---- the request ---- */

static int flush(struct vhd_req *req)
{
	struct vhd_state *st = vhd_state(req);

	st->phase = VHDX_FLUSHED;
	st->seg.mark = vhdx_flush_mark(vhdx_of(st->disk));
	return vhd_transfer_sync(req, st->disk->file);
}

static int start(struct vhd_req *req)
{
	struct vhd_state *st = vhd_state(req);

	vhd_segment_begin(st);
	return st->op == VHD_FLUSH ? flush(req) : 0;
}

static int next_segment(struct vhd_req *req)
{
	struct vhd_state *st = vhd_state(req);
	uint64_t left = st->offset + st->length - st->seg.at;

	if (left == 0) {
		st->phase = VHDX_FLUSHED;
		return st->seg.need_sync ? flush(req) : 0;
	}
	if (st->op == VHD_READ) {
		return read_segment(req, left);
	}
	if (!atomic_load_explicit(&vhdx_of(st->disk)->session,
				  memory_order_acquire)) {
		return vhdx_session_start(req);
	}
	return st->op == VHD_WRITE ? write_segment(req, left)
				   : zero_segment(req, left);
}

static int segment_moved(struct vhd_req *req, int result)
{
	vhd_segment_done(vhd_state(req));
	return result;
}

/* One step; 0: go on with the phase that it has set. */
static int step(struct vhd_req *req, int result)
{
	switch (vhd_state(req)->phase) {
	case VHDX_START:
		return start(req);
	case VHDX_NEXT:
		return next_segment(req);
	case VHDX_MOVED:
		return segment_moved(req, result);
	case VHDX_LOADED:
		return page_loaded(req, result);
	case VHDX_PUNCHED:
		return segment_punched(req, result);
	case VHDX_SCRUBBED:
		return place_scrubbed(req, result);
	case VHDX_SCRUB_FLUSHED:
		return scrub_flushed(req, result);
	case VHDX_FILLED:
		return block_filled(req, result);
	case VHDX_NEW_SECTORS:
		return new_sectors(req, result);
	case VHDX_COMMITTED:
		return committed(req);
	case VHDX_FREED:
		return place_punched(req, result);
	default:
		return vhdx_commit_step(req, result);
	}
}

/*
 * Who has all of a range that is inside the disk, in one block which is fully
 * present? So it is for most requests.
 * @param parents  look down the chain
 * @return NULL: nobody, or vhd_find_place() has to look more closely
 */
static inline const struct vhd_disk *whole_place(const struct vhd_disk *disk,
						 uint64_t at, uint64_t length,
						 bool parents, uint64_t *offset)
{
	do {
		const struct vhdx *vx = vhdx_of(disk);
		uint64_t bs = vx->metadata.block_size, within = at & (bs - 1);
		uint64_t entry;

		if (length > bs - within ||
		    at + length > atomic_load_explicit(&disk->size,
						       memory_order_acquire)) {
			return NULL;
		}
		entry = vhdx_entry(vx, vhdx_payload_index(vx, at));
		if (VHDX_BAT_STATE(entry) == VHDX_FULLY_PRESENT) {
			*offset = VHDX_BAT_OFFSET(entry) + within;
			return parents || !(entry & VHDX_UNSURE) ? disk : NULL;
		}
		if (VHDX_BAT_STATE(entry) != VHDX_NOT_PRESENT) {
			return NULL;
		}
		disk = disk->parent;
	} while (parents && disk != NULL);
	return NULL;
}

/*
 * A read or write of what is in one place, as most are: no steps.
 * @return false: it takes them
 */
static bool run_at_once(struct vhd_req *req, int *result)
{
	struct vhd_state *st = vhd_state(req);
	const struct vhd_disk *disk = st->disk;
	bool write = st->op == VHD_WRITE;
	uint64_t offset;

	if (write) {
		if (st->fua || !atomic_load_explicit(&vhdx_of(disk)->session,
						     memory_order_acquire)) {
			return false;
		}
	} else if (st->op != VHD_READ) {
		return false;
	}
	disk = whole_place(disk, st->offset, st->length, !write, &offset);
	if (disk == NULL) {
		return false;
	}
	*result = vhd_segment_whole(req, disk, write, offset);
	return true;
}

static int vhdx_run(struct vhd_req *req, int result)
{
	struct vhd_state *st = vhd_state(req);

	if (st->phase == VHDX_START && run_at_once(req, &result)) {
		return result;
	}
	while (st->phase != VHDX_FLUSHED) {
		result = step(req, result);
		if (result != 0) {
			return result; /* pending, or an error */
		}
	}
	if (result == 0 && st->seg.mark != 0) {
		vhdx_flushed(vhdx_of(st->disk), st->seg.mark);
	}
	return result;
}

/* ---- the disk ---- */

static void vhdx_info(const struct vhd_disk *disk, struct vhd_info *info)
{
	const struct vhdx *vx = vhdx_of(disk);

	vhdx_fill_info(vx, info);
	info->allocated = atomic_load(&vx->allocated) * info->block_size;
	if (info->allocated > info->size) {
		info->allocated = info->size;
	}
}

static void vhdx_close(struct vhd_disk *disk)
{
	if (!disk->readonly) {
		vhdx_settle(disk->file, vhdx_of(disk));
	}
	vhdx_free(vhdx_of(disk));
	vhd_file_close(disk->file);
}

const struct vhd_format_ops vhd_vhdx_ops = {
	.name = "VHDX",
	.format = VHD_FORMAT_VHDX,
	.max_size = VHDX_MAX_SIZE,
	.run = vhdx_run,
	.info = vhdx_info,
	.find = vhdx_find,
	.wants_alone = vhdx_wants_alone,
	.grow = vhdx_grow,
	.close = vhdx_close,
};
