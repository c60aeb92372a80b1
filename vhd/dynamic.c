/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Dynamic and differencing disks: how a request is carried out. The rules are
 * in dynamic.h. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vhd/bytes.h"
#include "vhd/dynamic.h"

/* ---- where a segment is ---- */

/* vhd_format_ops.find */
static bool dyn_find(const struct vhd_disk *disk, uint64_t at,
		     struct vhd_place *place)
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
	place->offset =
		(uint64_t)entry * VHD_SECTOR + dyn->bitmap_size + within;
	if (bitmap == NULL) {
		place->kind = VHD_PLACE_LOAD;
		place->number = block;
		return true;
	}
	run = dyn_bitmap_run(bitmap, within / VHD_SECTOR,
			     (uint32_t)(place->length / VHD_SECTOR), &set);
	place->length = (uint64_t)run * VHD_SECTOR;
	place->kind = VHD_PLACE_DATA;
	return set;
}

/*
 * Who has all of a range that is inside the disk, in one block? So it is for
 * most requests.
 * @param parents  look down the chain
 * @return NULL: nobody, or vhd_find_place() has to look more closely
 */
static inline const struct vhd_disk *whole_place(const struct vhd_disk *disk,
						 uint64_t at, uint64_t length,
						 bool parents, uint64_t *offset)
{
	uint32_t count = (uint32_t)(length / VHD_SECTOR);

	do {
		const struct vhd_dyn *dyn;
		const struct vhd_bitmap *bitmap;
		uint32_t bs, within, block, entry;
		bool set = false;

		if (at + length >
		    atomic_load_explicit(&disk->size, memory_order_acquire)) {
			return NULL;
		}
		if (disk->type == VHD_TYPE_FIXED) {
			*offset = at;
			return disk;
		}
		dyn = vhd_dyn(disk);
		bs = dyn->header.block_size;
		within = at & (bs - 1);
		if (length > bs - within) {
			return NULL;
		}
		block = (uint32_t)(at >> dyn->block_shift);
		entry = atomic_load_explicit(&dyn->bat[block],
					     memory_order_acquire);
		if (entry > BAT_BUSY) {
			bitmap = atomic_load_explicit(&dyn->bitmaps[block],
						      memory_order_acquire);
			if (bitmap == NULL) {
				return NULL;
			}
			set = atomic_load_explicit(&bitmap->full,
						   memory_order_acquire);
			if (!set && dyn_bitmap_run(bitmap, within / VHD_SECTOR,
						   count, &set) < count) {
				return NULL;
			}
		}
		if (set) {
			*offset = (uint64_t)entry * VHD_SECTOR +
				  dyn->bitmap_size + within;
			return disk;
		}
		disk = disk->parent;
	} while (parents && disk != NULL);
	return NULL;
}

/* ---- metadata ---- */

int dyn_load_bitmap(struct vhd_req *req, const struct vhd_place *place)
{
	struct vhd_state *st = vhd_state(req);
	struct vhd_dyn *dyn = vhd_dyn(place->disk);
	struct vhd_bitmap *bitmap = dyn_bitmap_new(dyn);
	uint64_t offset;

	if (bitmap == NULL) {
		return ENOMEM;
	}
	st->seg.disk = place->disk;
	st->dyn.block = (uint32_t)place->number;
	st->phase = DYN_LOADED;
	offset = (uint64_t)atomic_load(&dyn->bat[place->number]) * VHD_SECTOR;
	return vhd_meta_transfer(req, place->disk, false, false, bitmap->bits,
				 dyn->bitmap_size, offset);
}

/* A bitmap as read from the file; takes it. */
static void publish_loaded(struct vhd_dyn *dyn, uint32_t block,
			   struct vhd_bitmap *bitmap)
{
	struct vhd_bitmap *none = NULL;

	dyn_bitmap_set(dyn, bitmap, 0, 0); /* notices a full one */
	if (atomic_load(&bitmap->full)) {
		free(bitmap);
		bitmap = &vhd_bitmap_full;
	}
	/* Another request may have been faster, and have set bits since. */
	if (!atomic_compare_exchange_strong(&dyn->bitmaps[block], &none,
					    bitmap) &&
	    bitmap != &vhd_bitmap_full) {
		free(bitmap);
	}
}

static int bitmap_loaded(struct vhd_req *req, int result)
{
	struct vhd_state *st = vhd_state(req);
	struct vhd_dyn *dyn = vhd_dyn(st->seg.disk);
	uint8_t *bits = st->seg.iov.iov_base;
	struct vhd_bitmap *bitmap;

	bitmap =
		(struct vhd_bitmap *)(void *)(bits - offsetof(struct vhd_bitmap,
							      bits));
	vhd_meta_done(req);
	if (result != 0) {
		free(bitmap);
		return result;
	}
	publish_loaded(dyn, st->dyn.block, bitmap);
	st->phase = DYN_NEXT;
	return 0;
}

/* The same at once, on a worker thread: vhd_format_ops.load. */
static int load_now(const struct vhd_place *place)
{
	struct vhd_dyn *dyn = vhd_dyn(place->disk);
	uint64_t entry = atomic_load(&dyn->bat[place->number]);
	struct vhd_bitmap *bitmap = dyn_bitmap_new(dyn);
	int ret;

	if (bitmap == NULL) {
		return ENOMEM;
	}
	ret = vhd_file_pread(place->disk->file, bitmap->bits, dyn->bitmap_size,
			     entry * VHD_SECTOR);
	if (ret != 0) {
		free(bitmap);
		return ret;
	}
	publish_loaded(dyn, (uint32_t)place->number, bitmap);
	return 0;
}

/* ---- segments ---- */

static int read_segment(struct vhd_req *req, const struct vhd_place *place)
{
	struct vhd_state *st = vhd_state(req);

	st->seg.length = place->length;
	if (place->kind == VHD_PLACE_NOWHERE) {
		vhd_cursor_nowhere(st->disk, &st->cursor, place->length);
		vhd_segment_done(st);
		return 0;
	}
	return vhd_segment_transfer(req, DYN_MOVED, false, false, place->disk,
				    place->offset);
}

/* ---- writing ---- */

static int write_segment(struct vhd_req *req, uint64_t left)
{
	struct vhd_state *st = vhd_state(req);
	struct vhd_dyn *dyn = vhd_dyn(st->disk);
	uint32_t bs = dyn->header.block_size;
	uint32_t within = st->seg.at & (bs - 1), run;
	uint32_t block = (uint32_t)(st->seg.at >> dyn->block_shift);
	struct vhd_place place = {.disk = st->disk, .number = block};
	struct vhd_bitmap *bitmap;
	uint32_t entry;
	bool set;

	st->seg.length = left < bs - within ? left : bs - within;
	entry = atomic_load_explicit(&dyn->bat[block], memory_order_acquire);
	if (entry <= BAT_BUSY) {
		if (st->disk->parent == NULL &&
		    vhd_copy_skips_hole(req, st->seg.length)) {
			vhd_segment_done(st);
			return 0;
		}
		return dyn_write_absent_block(req, block);
	}
	bitmap = atomic_load_explicit(&dyn->bitmaps[block],
				      memory_order_acquire);
	if (bitmap == NULL) {
		return dyn_load_bitmap(req, &place);
	}
	run = dyn_bitmap_run(bitmap, within / VHD_SECTOR,
			     (uint32_t)(st->seg.length / VHD_SECTOR), &set);
	st->seg.length = (uint64_t)run * VHD_SECTOR;
	place.offset = (uint64_t)entry * VHD_SECTOR + dyn->bitmap_size + within;
	if (set) {
		/* What leads here may be in the cache only. */
		st->seg.need_sync |= (req->flags & VHD_FUA) &&
				     atomic_load(&dyn->meta_synced) <
					     atomic_load(&dyn->meta_written);
		return vhd_segment_transfer(req, DYN_MOVED, true,
					    req->flags & VHD_FUA, st->disk,
					    place.offset);
	}
	st->dyn.bitmap = bitmap;
	st->dyn.block = block;
	st->dyn.place = entry;
	return vhd_segment_transfer(req, DYN_NEW_SECTORS, true, true, st->disk,
				    place.offset);
}

static uint32_t first_sector(const struct vhd_state *st)
{
	uint32_t bs = vhd_dyn(st->disk)->header.block_size;

	return (uint32_t)(st->seg.at & (bs - 1)) / VHD_SECTOR;
}

/*
 * One request at a time writes a block's bitmap, with all bits so far and its
 * own. In memory they are set afterwards, so that nobody reads what a restart
 * would take back.
 */
static int write_bitmap(struct vhd_req *req, int result)
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
	for (i = first; i < first + st->seg.length / VHD_SECTOR; i++) {
		bitmap->shadow[i / 8] |= 0x80 >> i % 8;
	}
	pthread_mutex_unlock(&dyn->lock);
	st->phase = DYN_BITS_WRITTEN;
	st->seg.need_sync |= req->flags & VHD_FUA;
	return vhd_meta_transfer(req, st->disk, true, false, bitmap->shadow,
				 dyn->bitmap_size,
				 (uint64_t)st->dyn.place * VHD_SECTOR);
}

static int bitmap_written(struct vhd_req *req, int result)
{
	struct vhd_state *st = vhd_state(req);
	struct vhd_dyn *dyn = vhd_dyn(st->disk);

	vhd_meta_done(req);
	if (result == 0) {
		atomic_fetch_add(&dyn->meta_written, 1);
		dyn_bitmap_set(dyn, st->dyn.bitmap, first_sector(st),
			       (uint32_t)(st->seg.length / VHD_SECTOR));
	}
	pthread_mutex_lock(&dyn->lock);
	st->dyn.bitmap->writing = false;
	dyn_wake(dyn);
	pthread_mutex_unlock(&dyn->lock);
	vhd_segment_done(st);
	return result;
}

/* ---- the request ---- */

/* All that has been written so far goes to stable storage. */
static int flush(struct vhd_req *req)
{
	struct vhd_state *st = vhd_state(req);

	st->phase = DYN_FLUSHED;
	st->seg.mark = atomic_load(&vhd_dyn(st->disk)->meta_written);
	return vhd_transfer_sync(req, st->disk->file);
}

static void flushed(struct vhd_state *st)
{
	struct vhd_dyn *dyn = vhd_dyn(st->disk);
	uint64_t before = atomic_load(&dyn->meta_synced);

	while (before < st->seg.mark &&
	       !atomic_compare_exchange_weak(&dyn->meta_synced, &before,
					     st->seg.mark)) {
	}
}

static int begin(struct vhd_req *req, int result)
{
	struct vhd_state *st = vhd_state(req);

	vhd_segment_begin(st);
	st->dyn.keep = false;
	return st->op == VHD_FLUSH ? flush(req) : 0;
}

static int next_segment(struct vhd_req *req, int result)
{
	struct vhd_state *st = vhd_state(req);
	uint64_t left = st->offset + st->length - st->seg.at;
	struct vhd_place place;

	if (left == 0) {
		st->phase = DYN_FLUSHED;
		return st->seg.need_sync ? flush(req) : 0;
	}
	if (st->op == VHD_WRITE) {
		return write_segment(req, left);
	}
	if (st->op != VHD_READ) {
		return dyn_zero_next(req, left);
	}
	vhd_find_place(st->disk, st->seg.at, left, &place);
	return place.kind == VHD_PLACE_LOAD ? dyn_load_bitmap(req, &place)
					    : read_segment(req, &place);
}

static int segment_moved(struct vhd_req *req, int result)
{
	vhd_segment_done(vhd_state(req));
	return result;
}

static int new_sectors_written(struct vhd_req *req, int result)
{
	vhd_state(req)->phase = DYN_SET_BITS;
	return result;
}

/* One step each; 0: go on with the phase that it has set. */
static int (*const steps[DYN_FLUSHED])(struct vhd_req *req, int result) = {
	[DYN_START] = begin,
	[DYN_NEXT] = next_segment,
	[DYN_MOVED] = segment_moved,
	[DYN_LOADED] = bitmap_loaded,
	[DYN_NEW_SECTORS] = new_sectors_written,
	[DYN_SET_BITS] = write_bitmap,
	[DYN_BITS_WRITTEN] = bitmap_written,
	[DYN_RECLAIM_PUNCHED] = dyn_reclaim_punched,
	[DYN_RECLAIM_SYNCED] = dyn_reclaim_synced,
	[DYN_FOOTER] = dyn_footer_written,
	[DYN_APPENDED] = dyn_extension_flushed,
	[DYN_SCRUBBED] = dyn_block_scrubbed,
	[DYN_SCRUB_SYNCED] = dyn_scrub_synced,
	[DYN_CLEARED] = dyn_block_cleared,
	[DYN_ONES] = dyn_block_ones,
	[DYN_FILLED] = dyn_block_filled,
	[DYN_ENTERED] = dyn_block_entered,
	[DYN_PUNCHED] = dyn_punched,
	[DYN_HIDDEN] = dyn_hidden,
	[DYN_HIDDEN_SYNCED] = dyn_hidden_synced,
	[DYN_RELEASE_PUNCHED] = dyn_release_punched,
	[DYN_RELEASE_ENTERED] = dyn_release_entered,
	[DYN_RELEASE_SYNCED] = dyn_release_synced,
};

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

	/* What leads to a block may be in the cache only. */
	if (write ? st->fua : st->op != VHD_READ) {
		return false;
	}
	disk = whole_place(disk, st->offset, st->length, !write, &offset);
	if (disk == NULL) {
		return false;
	}
	*result = vhd_segment_whole(req, disk, write, offset);
	return true;
}

static int dyn_run(struct vhd_req *req, int result)
{
	struct vhd_state *st = vhd_state(req);

	if (st->phase == DYN_START && run_at_once(req, &result)) {
		return result;
	}
	while (st->phase != DYN_FLUSHED) {
		result = steps[st->phase](req, result);
		if (result != 0) {
			return result; /* pending, or an error */
		}
	}
	if (result == 0) {
		flushed(st);
	}
	return result;
}

/* ---- the disk ---- */

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

static void dyn_close(struct vhd_disk *disk)
{
	if (!disk->readonly) {
		dyn_trim(disk->file, vhd_dyn(disk), &disk->footer);
	}
	dyn_free(vhd_dyn(disk));
	vhd_file_close(disk->file);
}

const struct vhd_format_ops vhd_dynamic_ops = {
	.name = "dynamic",
	.max_size = VHD_MAX_SIZE,
	.run = dyn_run,
	.wants_alone = dyn_wants_alone,
	.info = dyn_info,
	.find = dyn_find,
	.load = load_now,
	.grow = dyn_grow,
	.close = dyn_close,
};
