/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Compacting a VHDX: blocks that hold nothing are released, runs of zeroes
 * become holes, blocks and sector bitmaps move from the end of the file into
 * gaps, and the file is cut behind the last. A fixed disk's blocks stay where
 * they are.
 *
 * The table changes through the log: a block's copy is flushed before an entry
 * leads to it, and its old place is given up when that entry is in the log. The
 * file is cut when the log is empty, since entries tell its size (MS-VHDX
 * 2.3.1.1). The data stay the same, and so does DataWriteGuid, by which
 * children know their parent (2.2.2).
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vhd/bytes.h"
#include "vhd/compact.h"
#include "vhd/vhdx_disk.h"

struct vhdx_compaction {
	struct compact_work *work;
	struct vhd_file *file;
	struct vhdx *vx;
	uint8_t *bits; /* of one block */
	struct vhdx_extents extents;
	size_t left; /* of them: not moved yet */
	struct vhdx_gaps gaps;
	size_t next_small, next_large; /* gaps for bitmaps, for blocks */
};

/* ---- the table ---- */

/* Part of the batch until commit(). */
static int set_entry(struct vhdx_compaction *c, uint64_t index, uint64_t value)
{
	struct vhdx *vx = c->vx;
	uint64_t at = vx->regions.bat.offset + index * 8;
	uint64_t sector = at / VHDX_SECTOR * VHDX_SECTOR;
	int ret = vhdx_worker_session(c->file, vx, false);
	uint8_t *image;

	if (ret != 0) {
		return ret;
	}
	image = vhdx_batch_sector(vx, vx->batch, sector, index, NULL);
	if (image == NULL) {
		ret = vhdx_worker_commit(c->file, vx);
		if (ret != 0) {
			return ret;
		}
		image = vhdx_batch_sector(vx, vx->batch, sector, index, NULL);
	}
	put_le64(image + (at - sector), value);
	atomic_store(&vx->bat[index], value);
	return 0;
}

static int commit(void *data)
{
	struct vhdx_compaction *c = data;

	return c->vx->batch != NULL ? vhdx_worker_commit(c->file, c->vx) : 0;
}

/* ---- what blocks hold ---- */

/* The bits of a partially present block's sectors. */
static int load_bits(struct vhdx_compaction *c, uint64_t block)
{
	struct vhdx *vx = c->vx;
	uint64_t length = vx->metadata.block_size >> vx->sector_shift >> 3;
	uint64_t chunk = block >> vx->chunk_shift;
	uint64_t within = block - (chunk << vx->chunk_shift);
	uint64_t entry =
		vhdx_entry(vx, vhdx_bat_bitmap_index(chunk, vx->chunk_shift));

	return vhd_file_pread(c->file, c->bits, length,
			      VHDX_BAT_OFFSET(entry) + within * length);
}

/* @return are the bits of all sectors set that the disk has? */
static bool all_sectors(const struct vhdx_compaction *c, uint64_t block)
{
	const struct vhdx_metadata *m = &c->vx->metadata;
	uint64_t left = m->size - (block << c->vx->block_shift), i;

	if (left > m->block_size) {
		left = m->block_size;
	}
	for (i = 0; i < left / m->logical_sector; i++) {
		if (!(c->bits[i / 8] >> i % 8 & 1)) {
			return false;
		}
	}
	return true;
}

/*
 * What the block's entry is to be. Zeroes hide a parent's data by the block's
 * state alone, and take no space then; a block without any sector is the
 * parent's.
 */
static int look_at_block(struct vhdx_compaction *c, uint64_t block,
			 uint64_t entry, uint64_t *value)
{
	const struct vhdx_metadata *m = &c->vx->metadata;
	bool partial = VHDX_BAT_STATE(entry) == VHDX_PARTIALLY_PRESENT;
	bool zero;
	int ret = partial ? load_bits(c, block) : 0;

	if (ret == 0) {
		ret = compact_scan(c->work, VHDX_BAT_OFFSET(entry),
				   m->block_size, partial ? c->bits : NULL,
				   m->logical_sector, &zero);
	}
	*value = entry;
	if (ret != 0 || m->leave_allocated) {
		return ret;
	}
	if (partial &&
	    compact_all_zero(c->bits, m->block_size / m->logical_sector / 8)) {
		*value = VHDX_BAT(VHDX_NOT_PRESENT, 0);
	} else if (!partial || all_sectors(c, block)) {
		*value = zero ? VHDX_BAT(VHDX_ZERO, 0)
			      : VHDX_BAT(VHDX_FULLY_PRESENT,
					 VHDX_BAT_OFFSET(entry));
	}
	return 0;
}

static int release_empty(struct vhdx_compaction *c)
{
	struct vhdx *vx = c->vx;
	uint64_t blocks = ((vx->metadata.size - 1) >> vx->block_shift) + 1;
	uint64_t block, value;
	int ret = 0;

	c->work->what = "looking for empty blocks";
	for (block = 0; ret == 0 && block < blocks; block++) {
		uint64_t index = vhdx_bat_index(block, vx->chunk_shift);
		uint64_t entry = vhdx_entry(vx, index);

		if (VHDX_BAT_STATE(entry) < VHDX_FULLY_PRESENT) {
			continue;
		}
		if (vhd_job_cancelled(c->work->job)) {
			return ECANCELED;
		}
		ret = look_at_block(c, block, entry, &value);
		if (ret == 0 && value != entry) {
			ret = set_entry(c, index, value);
			c->work->result.released +=
				VHDX_BAT_STATE(value) < VHDX_FULLY_PRESENT;
		}
		vhd_job_progress(c->work->job, (unsigned)(block * 80 / blocks));
	}
	return ret;
}

static bool chunk_needs_bitmap(const struct vhdx *vx, uint64_t first,
			       uint64_t blocks)
{
	uint64_t block, end = first + (UINT64_C(1) << vx->chunk_shift);

	for (block = first; block < end && block < blocks; block++) {
		uint64_t index = vhdx_bat_index(block, vx->chunk_shift);

		if (VHDX_BAT_STATE(vhdx_entry(vx, index)) ==
		    VHDX_PARTIALLY_PRESENT) {
			return true;
		}
	}
	return false;
}

/* Places that blocks without data have kept. */
static int release_anchors(struct vhdx_compaction *c)
{
	struct vhdx *vx = c->vx;
	int ret = 0;

	while (ret == 0 && vx->anchor_count > 0) {
		uint64_t index = vx->anchor[--vx->anchor_count].entry;

		ret = set_entry(c, index, vhdx_entry(vx, index));
	}
	return ret;
}

/* Bitmaps count for partially present blocks only (2.4). */
static int release_bitmaps(struct vhdx_compaction *c)
{
	struct vhdx *vx = c->vx;
	uint64_t blocks = ((vx->metadata.size - 1) >> vx->block_shift) + 1;
	uint64_t chunk, chunks = ((blocks - 1) >> vx->chunk_shift) + 1;
	int ret = 0;

	for (chunk = 0; ret == 0 && vx->metadata.has_parent && chunk < chunks;
	     chunk++) {
		uint64_t index = vhdx_bat_bitmap_index(chunk, vx->chunk_shift);

		if (VHDX_BAT_STATE(vhdx_entry(vx, index)) ==
			    VHDX_FULLY_PRESENT &&
		    !chunk_needs_bitmap(vx, chunk << vx->chunk_shift, blocks)) {
			ret = set_entry(c, index,
					VHDX_BAT(VHDX_NOT_PRESENT, 0));
		}
	}
	return ret != 0 ? ret : commit(c);
}

/* ---- moving ---- */

/* Blocks from the end of the file on, as long as they find a gap. */
static bool next_move(void *data, struct compact_move *move)
{
	struct vhdx_compaction *c = data;
	const struct vhdx_extent *e;
	bool small;

	do {
		if (c->left == 0) {
			return false;
		}
		e = &c->extents.e[--c->left];
	} while (e->entry == UINT64_MAX); /* a region stays */
	move->entry = e->entry;
	move->from = e->start * VHDX_MB;
	move->length = (e->end - e->start) * VHDX_MB;
	small = move->length == VHDX_BITMAP_BLOCK;
	return vhdx_gap_take(&c->gaps, small ? &c->next_small : &c->next_large,
			     move->length, move->from, &move->to);
}

static int enter_move(void *data, const struct compact_move *move)
{
	struct vhdx_compaction *c = data;
	unsigned state = VHDX_BAT_STATE(vhdx_entry(c->vx, move->entry));

	return set_entry(c, move->entry, VHDX_BAT(state, move->to));
}

static int move_blocks(struct vhdx_compaction *c)
{
	static const struct compact_mover mover = {
		.next = next_move,
		.enter = enter_move,
		.commit = commit,
	};

	c->left = c->extents.count;
	return compact_move_all(c->work, &mover, c);
}

/* ---- the end ---- */

static int cut(struct vhdx_compaction *c)
{
	struct vhdx *vx = c->vx;
	struct vhdx_extents x = {.e = NULL};
	uint64_t end = 0;
	int ret = vhdx_extents(vx, &x);

	c->work->what = "cutting the file";
	if (ret == 0) {
		end = x.e[x.count - 1].end * VHDX_MB;
	}
	free(x.e);
	/* Before the session's start, to which it is nobody's. */
	if (ret == 0 && vx->file_size > end && !atomic_load(&vx->session)) {
		ret = vhdx_worker_session(c->file, vx, false);
	}
	if (ret == 0 && vx->next > end) {
		vx->next = end;
	}
	return ret;
}

static int compact_blocks(struct vhdx_compaction *c)
{
	const struct vhdx_metadata *m = &c->vx->metadata;
	int ret = 0;

	c->bits = malloc(m->block_size / m->logical_sector / 8);
	if (c->bits == NULL) {
		return ENOMEM;
	}
	/* The last block may not be there whole; it is made so. */
	if (c->vx->file_size < c->vx->used_end) {
		ret = vhdx_worker_session(c->file, c->vx, false);
	}
	if (ret == 0) {
		ret = release_empty(c);
	}
	if (ret != 0 || m->leave_allocated) {
		return ret;
	}
	ret = release_anchors(c);
	if (ret == 0) {
		ret = release_bitmaps(c);
	}
	if (ret == 0) {
		ret = vhdx_extents(c->vx, &c->extents);
	}
	if (ret == 0) {
		ret = vhdx_find_gaps(&c->extents, &c->gaps);
	}
	if (ret == 0) {
		ret = move_blocks(c);
	}
	return ret != 0 ? ret : cut(c);
}

int vhdx_compact(struct compact_work *work)
{
	struct vhdx_compaction c = {.work = work, .file = work->w.file};
	int settled, ret;

	ret = vhdx_load(c.file, VHDX_LOAD_REPLAY, &c.vx, work->w.why,
			sizeof(work->w.why));
	if (ret != 0) {
		return ret;
	}
	ret = compact_blocks(&c);
	/* The file is cut there, too, as far as all has gone well. */
	settled = vhdx_settle(c.file, c.vx);
	if (ret == 0 && settled != 0) {
		work->what = "emptying the log";
		ret = settled;
	}
	vhdx_free(c.vx);
	free(c.extents.e);
	free(c.gaps.gap);
	free(c.bits);
	return ret;
}
