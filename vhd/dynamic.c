/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Dynamic and differencing disks: how a request is carried out. The rules are
 * in dynamic.h. */

#include <errno.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <string.h>

#include "vhd/bytes.h"
#include "vhd/dynamic.h"

/* Zeroing up to this much by writing is cheaper than a worker's fallocate. */
#define ZERO_BY_WRITING 65536u

enum {
	DYN_START = 0,
	DYN_NEXT,	 /* look at the next segment */
	DYN_MOVED,	 /* a segment's data are read, written or zeroed */
	DYN_LOADED,	 /* a bitmap is read */
	DYN_PUNCHED,	 /* a segment's data are punched out */
	DYN_FOOTER,	 /* extension: the new footer is written */
	DYN_APPENDED,	 /* extension: and flushed */
	DYN_ONES,	 /* new block: its bitmap is written */
	DYN_FILLED,	 /* new block: its data are */
	DYN_ENTERED,	 /* new block: its table entry is */
	DYN_NEW_SECTORS, /* data of absent sectors are written, durable */
	DYN_SET_BITS,	 /* now their bits */
	DYN_BITS_WRITTEN,
	DYN_FLUSHED,
};

/* ---- where a segment is ------------------------------------------ */

enum place_kind { PLACE_DATA, PLACE_NOWHERE, PLACE_LOAD };

struct place {
	enum place_kind kind;
	uint64_t length;	     /* how far this holds */
	const struct vhd_disk *disk; /* DATA: in its file; LOAD: its bitmap */
	uint64_t offset;	     /* DATA */
	uint32_t block;		     /* LOAD */
};

/* Is it in this disk itself? @return false: ask the parent */
static bool place_in(const struct vhd_disk *disk, uint64_t at,
		     struct place *place)
{
	struct vhd_dyn *dyn = vhd_dyn(disk);
	uint32_t bs = dyn->header.block_size;
	uint32_t within = at & (bs - 1), block, entry, run;
	struct vhd_bitmap *bitmap;
	bool set;

	block = (uint32_t)(at >> dyn->block_shift);
	if (place->length > bs - within) {
		place->length = bs - within;
	}
	entry = atomic_load_explicit(&dyn->bat[block], memory_order_acquire);
	if (entry <= BAT_BUSY) {
		return false;
	}
	bitmap = atomic_load_explicit(&dyn->bitmaps[block],
				      memory_order_acquire);
	place->disk = disk;
	if (bitmap == NULL) {
		place->kind = PLACE_LOAD;
		place->block = block;
		return true;
	}
	run = dyn_bitmap_run(bitmap, within / VHD_SECTOR,
			     (uint32_t)(place->length / VHD_SECTOR), &set);
	place->length = (uint64_t)run * VHD_SECTOR;
	if (!set) {
		return false;
	}
	place->kind = PLACE_DATA;
	place->offset =
		(uint64_t)entry * VHD_SECTOR + dyn->bitmap_size + within;
	return true;
}

/* Down the chain: who has the bytes at @at? */
static void find_place(const struct vhd_disk *disk, uint64_t at,
		       uint64_t length, struct place *place)
{
	place->length = length;
	for (; disk != NULL; disk = disk->parent) {
		uint64_t size =
			atomic_load_explicit(&disk->size, memory_order_acquire);

		/* A child may be larger than its parent. */
		if (at >= size) {
			break;
		}
		if (place->length > size - at) {
			place->length = size - at;
		}
		if (disk->type == VHD_TYPE_FIXED) {
			place->kind = PLACE_DATA;
			place->disk = disk;
			place->offset = at;
			return;
		}
		if (place_in(disk, at, place)) {
			return;
		}
	}
	place->kind = PLACE_NOWHERE;
}

/* ---- metadata ---------------------------------------------------- */

static int meta_transfer(struct vhd_req *req, const struct vhd_disk *disk,
			 bool write, void *buf, size_t len, uint64_t offset)
{
	struct vhd_state *st = vhd_state(req);

	st->dyn.saved = st->cursor;
	st->dyn.iov = (struct iovec){buf, len};
	st->cursor = (struct vhd_cursor){.iov = &st->dyn.iov, .cnt = 1};
	st->fua = 0;
	return vhd_transfer(req, disk->file, write, offset, len);
}

static void meta_done(struct vhd_req *req)
{
	vhd_state(req)->cursor = vhd_state(req)->dyn.saved;
}

static int load_bitmap(struct vhd_req *req, const struct place *place)
{
	struct vhd_state *st = vhd_state(req);
	struct vhd_dyn *dyn = vhd_dyn(place->disk);
	struct vhd_bitmap *bitmap = dyn_bitmap_new(dyn);
	uint64_t offset;

	if (bitmap == NULL) {
		return ENOMEM;
	}
	st->dyn.disk = place->disk;
	st->dyn.block = place->block;
	st->phase = DYN_LOADED;
	offset = (uint64_t)atomic_load(&dyn->bat[place->block]) * VHD_SECTOR;
	return meta_transfer(req, place->disk, false, bitmap->bits,
			     dyn->bitmap_size, offset);
}

static int bitmap_loaded(struct vhd_req *req, int result)
{
	struct vhd_state *st = vhd_state(req);
	struct vhd_dyn *dyn = vhd_dyn(st->dyn.disk);
	uint8_t *bits = st->dyn.iov.iov_base;
	struct vhd_bitmap *bitmap, *none = NULL;

	bitmap =
		(struct vhd_bitmap *)(void *)(bits - offsetof(struct vhd_bitmap,
							      bits));
	meta_done(req);
	if (result != 0) {
		free(bitmap);
		return result;
	}
	dyn_bitmap_set(dyn, bitmap, 0, 0); /* notices a full one */
	if (atomic_load(&bitmap->full)) {
		free(bitmap);
		bitmap = &vhd_bitmap_full;
	}
	/* Another request may have been faster, and have set bits since. */
	if (!atomic_compare_exchange_strong(&dyn->bitmaps[st->dyn.block], &none,
					    bitmap) &&
	    bitmap != &vhd_bitmap_full) {
		free(bitmap);
	}
	st->phase = DYN_NEXT;
	return 0;
}

/* ---- segments ---------------------------------------------------- */

static void segment_done(struct vhd_state *st)
{
	st->dyn.at += st->dyn.seg;
	st->phase = DYN_NEXT;
}

static int segment_transfer(struct vhd_req *req, uint8_t phase, bool write,
			    bool durable, const struct vhd_disk *disk,
			    uint64_t offset)
{
	struct vhd_state *st = vhd_state(req);

	st->phase = phase;
	st->fua = durable;
	return vhd_transfer(req, disk->file, write, offset, st->dyn.seg);
}

static int read_segment(struct vhd_req *req, const struct place *place)
{
	struct vhd_state *st = vhd_state(req);

	st->dyn.seg = place->length;
	if (place->kind == PLACE_NOWHERE) {
		vhd_cursor_zero(&st->cursor, place->length);
		segment_done(st);
		return 0;
	}
	return segment_transfer(req, DYN_MOVED, false, false, place->disk,
				place->offset);
}

/* A dynamic disk's: absent sectors are zeroes already. */
static int zero_segment(struct vhd_req *req, const struct place *place)
{
	struct vhd_state *st = vhd_state(req);
	int mode = st->op == VHD_DISCARD ? FALLOC_FL_PUNCH_HOLE
					 : FALLOC_FL_ZERO_RANGE;

	st->dyn.seg = place->length;
	if (place->kind == PLACE_NOWHERE) {
		segment_done(st);
		return 0;
	}
	if (st->op == VHD_ZERO && place->length <= ZERO_BY_WRITING) {
		return segment_transfer(req, DYN_MOVED, true,
					req->flags & VHD_FUA, place->disk,
					place->offset);
	}
	st->phase = DYN_PUNCHED;
	st->dyn.need_sync = req->flags & VHD_FUA;
	return vhd_transfer_fallocate(req, place->disk->file,
				      mode | FALLOC_FL_KEEP_SIZE, place->offset,
				      place->length);
}

static int segment_punched(struct vhd_req *req, int result)
{
	struct vhd_state *st = vhd_state(req);

	if (result == EOPNOTSUPP) {
		return segment_transfer(req, DYN_MOVED, true,
					req->flags & VHD_FUA, st->disk,
					st->file_offset);
	}
	segment_done(st);
	return result;
}

/* ---- allocation -------------------------------------------------- */

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
	return meta_transfer(req, st->disk, true, dyn->footer, VHD_FOOTER_SIZE,
			     end);
}

static int footer_written(struct vhd_req *req, int result)
{
	struct vhd_state *st = vhd_state(req);

	meta_done(req);
	if (result != 0) {
		dyn_extended(vhd_dyn(st->disk), DYN_NOT_WRITTEN);
		return result;
	}
	st->phase = DYN_APPENDED;
	return vhd_transfer_sync(req, st->disk->file);
}

static int extension_flushed(struct vhd_req *req, int result)
{
	struct vhd_state *st = vhd_state(req);

	dyn_extended(vhd_dyn(st->disk),
		     result == 0 ? DYN_APPENDED_OK : DYN_NOT_FLUSHED);
	st->phase = DYN_NEXT;
	return result;
}

static int new_block_table_entry(struct vhd_req *req)
{
	struct vhd_state *st = vhd_state(req);
	struct vhd_dyn *dyn = vhd_dyn(st->disk);

	st->phase = DYN_ENTERED;
	st->dyn.need_sync |= req->flags & VHD_FUA;
	st->dyn.word = htobe32(st->dyn.place);
	return meta_transfer(req, st->disk, true, &st->dyn.word, 4,
			     dyn->header.table_offset +
				     (uint64_t)st->dyn.block * 4);
}

static int new_block(struct vhd_req *req)
{
	struct vhd_state *st = vhd_state(req);
	struct vhd_dyn *dyn = vhd_dyn(st->disk);

	if (st->disk->type == VHD_TYPE_DIFFERENCING) {
		/* An empty bitmap, which the place holds already: the block
		 * is the parent's still. */
		st->dyn.bitmap = dyn_bitmap_new(dyn);
		if (st->dyn.bitmap == NULL) {
			dyn_give_back(req);
			return ENOMEM;
		}
		return new_block_table_entry(req);
	}
	st->dyn.bitmap = &vhd_bitmap_full;
	st->phase = DYN_ONES;
	return meta_transfer(req, st->disk, true, dyn->ones, dyn->bitmap_size,
			     (uint64_t)st->dyn.place * VHD_SECTOR);
}

static int new_block_failed(struct vhd_req *req, int error)
{
	struct vhd_state *st = vhd_state(req);

	if (st->dyn.bitmap != &vhd_bitmap_full) {
		free(st->dyn.bitmap);
	}
	dyn_give_back(req);
	return error;
}

static int new_block_ones(struct vhd_req *req, int result)
{
	struct vhd_state *st = vhd_state(req);
	struct vhd_dyn *dyn = vhd_dyn(st->disk);
	uint64_t within = st->dyn.at & (dyn->header.block_size - 1);

	meta_done(req);
	if (result != 0) {
		return new_block_failed(req, result);
	}
	return segment_transfer(req, DYN_FILLED, true, false, st->disk,
				(uint64_t)st->dyn.place * VHD_SECTOR +
					dyn->bitmap_size + within);
}

static int new_block_filled(struct vhd_req *req, int result)
{
	if (result != 0) {
		return new_block_failed(req, result);
	}
	return new_block_table_entry(req);
}

static int new_block_entered(struct vhd_req *req, int result)
{
	struct vhd_state *st = vhd_state(req);

	meta_done(req);
	if (result != 0) {
		return new_block_failed(req, result);
	}
	atomic_fetch_add(&vhd_dyn(st->disk)->meta_written, 1);
	dyn_publish(req, st->dyn.bitmap);
	if (st->disk->type == VHD_TYPE_DIFFERENCING) {
		st->phase = DYN_NEXT; /* now its sectors */
	} else {
		segment_done(st);
	}
	return 0;
}

static int write_absent_block(struct vhd_req *req, uint32_t block)
{
	struct vhd_state *st = vhd_state(req);

	st->phase = DYN_NEXT; /* where it goes on after waiting */
	switch (dyn_take_block(req, block)) {
	case DYN_TAKEN:
		return new_block(req);
	case DYN_EXTEND:
		return extend(req);
	case DYN_WAIT:
		return VHD_PENDING;
	default:
		return 0;
	}
}

/* ---- writing ----------------------------------------------------- */

static int write_segment(struct vhd_req *req, uint64_t left)
{
	struct vhd_state *st = vhd_state(req);
	struct vhd_dyn *dyn = vhd_dyn(st->disk);
	uint32_t bs = dyn->header.block_size;
	uint32_t within = st->dyn.at & (bs - 1), run;
	uint32_t block = (uint32_t)(st->dyn.at >> dyn->block_shift);
	struct place place = {.disk = st->disk, .block = block};
	struct vhd_bitmap *bitmap;
	uint32_t entry;
	bool set;

	st->dyn.seg = left < bs - within ? left : bs - within;
	entry = atomic_load_explicit(&dyn->bat[block], memory_order_acquire);
	if (entry <= BAT_BUSY) {
		return write_absent_block(req, block);
	}
	bitmap = atomic_load_explicit(&dyn->bitmaps[block],
				      memory_order_acquire);
	if (bitmap == NULL) {
		return load_bitmap(req, &place);
	}
	run = dyn_bitmap_run(bitmap, within / VHD_SECTOR,
			     (uint32_t)(st->dyn.seg / VHD_SECTOR), &set);
	st->dyn.seg = (uint64_t)run * VHD_SECTOR;
	place.offset = (uint64_t)entry * VHD_SECTOR + dyn->bitmap_size + within;
	if (set) {
		/* What leads here may be in the cache only. */
		st->dyn.need_sync |= (req->flags & VHD_FUA) &&
				     atomic_load(&dyn->meta_synced) <
					     atomic_load(&dyn->meta_written);
		return segment_transfer(req, DYN_MOVED, true,
					req->flags & VHD_FUA, st->disk,
					place.offset);
	}
	st->dyn.bitmap = bitmap;
	st->dyn.block = block;
	st->dyn.place = entry;
	return segment_transfer(req, DYN_NEW_SECTORS, true, true, st->disk,
				place.offset);
}

static uint32_t first_sector(const struct vhd_state *st)
{
	uint32_t bs = vhd_dyn(st->disk)->header.block_size;

	return (uint32_t)(st->dyn.at & (bs - 1)) / VHD_SECTOR;
}

/*
 * One request at a time writes a block's bitmap, with all bits so far and its
 * own. In memory they are set afterwards, so that nobody reads what a restart
 * would take back.
 */
static int write_bitmap(struct vhd_req *req)
{
	struct vhd_state *st = vhd_state(req);
	struct vhd_dyn *dyn = vhd_dyn(st->disk);
	struct vhd_bitmap *bitmap = st->dyn.bitmap;
	uint32_t i, first = first_sector(st);

	pthread_mutex_lock(&dyn->lock);
	if (bitmap->writing) {
		dyn_wait(dyn, req);
		pthread_mutex_unlock(&dyn->lock);
		return VHD_PENDING;
	}
	bitmap->writing = true;
	for (i = 0; i < dyn->bitmap_size; i++) {
		bitmap->shadow[i] =
			__atomic_load_n(&bitmap->bits[i], __ATOMIC_ACQUIRE);
	}
	for (i = first; i < first + st->dyn.seg / VHD_SECTOR; i++) {
		bitmap->shadow[i / 8] |= 0x80 >> i % 8;
	}
	pthread_mutex_unlock(&dyn->lock);
	st->phase = DYN_BITS_WRITTEN;
	st->dyn.need_sync |= req->flags & VHD_FUA;
	return meta_transfer(req, st->disk, true, bitmap->shadow,
			     dyn->bitmap_size,
			     (uint64_t)st->dyn.place * VHD_SECTOR);
}

static int bitmap_written(struct vhd_req *req, int result)
{
	struct vhd_state *st = vhd_state(req);
	struct vhd_dyn *dyn = vhd_dyn(st->disk);

	meta_done(req);
	if (result == 0) {
		atomic_fetch_add(&dyn->meta_written, 1);
		dyn_bitmap_set(dyn, st->dyn.bitmap, first_sector(st),
			       (uint32_t)(st->dyn.seg / VHD_SECTOR));
	}
	pthread_mutex_lock(&dyn->lock);
	st->dyn.bitmap->writing = false;
	dyn_wake(dyn);
	pthread_mutex_unlock(&dyn->lock);
	segment_done(st);
	return result;
}

/* ---- the request ------------------------------------------------- */

/* All that has been written so far goes to stable storage. */
static int flush(struct vhd_req *req)
{
	struct vhd_state *st = vhd_state(req);

	st->phase = DYN_FLUSHED;
	st->dyn.mark = atomic_load(&vhd_dyn(st->disk)->meta_written);
	return vhd_transfer_sync(req, st->disk->file);
}

static void flushed(struct vhd_state *st)
{
	struct vhd_dyn *dyn = vhd_dyn(st->disk);
	uint64_t before = atomic_load(&dyn->meta_synced);

	while (before < st->dyn.mark &&
	       !atomic_compare_exchange_weak(&dyn->meta_synced, &before,
					     st->dyn.mark)) {
	}
}

static int start(struct vhd_req *req)
{
	struct vhd_state *st = vhd_state(req);

	/* vhd_set_parent() was forgotten: absent is not zero. */
	if (st->disk->type == VHD_TYPE_DIFFERENCING &&
	    st->disk->parent == NULL) {
		return EIO;
	}
	st->dyn.at = st->offset;
	st->dyn.need_sync = false;
	st->dyn.mark = 0;
	st->phase = DYN_NEXT;
	switch (st->op) {
	case VHD_FLUSH:
		return flush(req);
	case VHD_ZERO:
	case VHD_DISCARD:
		st->cursor = (struct vhd_cursor){.iov = NULL};
		/* The parent's sectors have to be hidden. */
		if (st->disk->type == VHD_TYPE_DIFFERENCING) {
			st->op = VHD_WRITE;
		}
		break;
	default:
		break;
	}
	return 0;
}

static int next_segment(struct vhd_req *req)
{
	struct vhd_state *st = vhd_state(req);
	uint64_t left = st->offset + st->length - st->dyn.at;
	struct place place;

	if (left == 0) {
		st->phase = DYN_FLUSHED;
		return st->dyn.need_sync ? flush(req) : 0;
	}
	if (st->op == VHD_WRITE) {
		return write_segment(req, left);
	}
	find_place(st->disk, st->dyn.at, left, &place);
	if (place.kind == PLACE_LOAD) {
		return load_bitmap(req, &place);
	}
	return st->op == VHD_READ ? read_segment(req, &place)
				  : zero_segment(req, &place);
}

static int segment_moved(struct vhd_req *req, int result)
{
	segment_done(vhd_state(req));
	return result;
}

/* One step; 0: go on with the phase that it has set. */
static int step(struct vhd_req *req, int result)
{
	switch (vhd_state(req)->phase) {
	case DYN_START:
		return start(req);
	case DYN_NEXT:
		return next_segment(req);
	case DYN_MOVED:
		return segment_moved(req, result);
	case DYN_LOADED:
		return bitmap_loaded(req, result);
	case DYN_PUNCHED:
		return segment_punched(req, result);
	case DYN_FOOTER:
		return footer_written(req, result);
	case DYN_APPENDED:
		return extension_flushed(req, result);
	case DYN_ONES:
		return new_block_ones(req, result);
	case DYN_FILLED:
		return new_block_filled(req, result);
	case DYN_ENTERED:
		return new_block_entered(req, result);
	case DYN_NEW_SECTORS:
		vhd_state(req)->phase = DYN_SET_BITS;
		return result;
	case DYN_SET_BITS:
		return write_bitmap(req);
	default:
		return bitmap_written(req, result);
	}
}

static int dyn_run(struct vhd_req *req, int result)
{
	struct vhd_state *st = vhd_state(req);

	while (st->phase != DYN_FLUSHED) {
		result = step(req, result);
		if (result != 0) {
			return result; /* pending, or an error */
		}
	}
	if (result == 0) {
		flushed(st);
	}
	return result;
}

/* ---- the disk ---------------------------------------------------- */

static void dyn_info(const struct vhd_disk *disk, struct vhd_info *info)
{
	const struct vhd_dyn *dyn = vhd_dyn(disk);

	memcpy(info->unique_id, disk->footer.unique_id, 16);
	info->block_size = dyn->header.block_size;
	info->allocated =
		(uint64_t)atomic_load(&dyn->allocated) * dyn->header.block_size;
	if (info->allocated > info->size) {
		info->allocated = info->size;
	}
	memcpy(info->parent, dyn->parent, sizeof(info->parent));
	memcpy(info->parent_id, dyn->header.parent_id, 16);
}

static bool dyn_mapped(const struct vhd_disk *disk, uint64_t offset,
		       uint64_t *length)
{
	struct place place;

	find_place(disk, offset, *length, &place);
	*length = place.length;
	switch (place.kind) {
	case PLACE_NOWHERE:
		return false;
	case PLACE_LOAD:
		return true; /* its bitmap is not in memory */
	default:
		return vhd_file_has_data(place.disk->file, place.offset,
					 length);
	}
}

static void dyn_close(struct vhd_disk *disk)
{
	if (!disk->readonly) {
		dyn_trim(disk->file, vhd_dyn(disk));
	}
	dyn_free(vhd_dyn(disk));
	vhd_file_unref(disk->file);
}

const struct vhd_format_ops vhd_dynamic_ops = {
	.name = "dynamic",
	.run = dyn_run,
	.info = dyn_info,
	.mapped = dyn_mapped,
	.grow = dyn_grow,
	.close = dyn_close,
};
