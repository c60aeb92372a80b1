/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Compacting a dynamic or differencing VHD: blocks that hold nothing are
 * released, runs of zeroes become holes, blocks move from the end of the file
 * into gaps, and the file is cut behind the last.
 *
 * A block's table entry is changed after its copy has been flushed, and its
 * old place is given up after that entry has been.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vhd/bytes.h"
#include "vhd/compact.h"
#include "vhd/dynamic.h"

/* Gaps, from the start of the file on: between what stays. */
struct gaps {
	uint64_t at;   /* everything before is taken, or too small */
	uint32_t next; /* the first block of the order behind it */
};

struct dyn_work {
	struct compact_work *work;
	const struct vhd_footer *footer;
	struct vhd_dyn *dyn;
	uint8_t *bitmap;
	uint32_t *order; /* blocks by their places */
	uint32_t count;
	uint32_t left; /* of the order: not moved yet */
	struct gaps gaps;
};

static uint64_t place_of(const struct dyn_work *w, uint32_t block)
{
	return (uint64_t)w->dyn->bat[block] * VHD_SECTOR;
}

static uint64_t block_len(const struct dyn_work *w)
{
	return (uint64_t)w->dyn->bitmap_size + w->dyn->header.block_size;
}

/* Write the entries of the blocks from @first to before @end. */
static int write_entries(struct dyn_work *w, uint32_t first, uint32_t end)
{
	uint8_t buf[4096];
	int ret = 0;

	while (ret == 0 && first < end) {
		uint32_t n = end - first < sizeof(buf) / 4 ? end - first
							   : sizeof(buf) / 4;
		uint32_t i;

		for (i = 0; i < n; i++) {
			uint32_t entry = w->dyn->bat[first + i];

			put_be32(buf + (size_t)i * 4,
				 entry == BAT_NONE ? VHD_BAT_UNUSED : entry);
		}
		ret = vhd_file_pwrite(w->work->w.file, buf, (size_t)n * 4,
				      w->dyn->header.table_offset +
					      (uint64_t)first * 4);
		first += n;
	}
	return ret;
}

/* ---- what blocks hold ---- */

/*
 * Look at a block's data. *@empty: it need not exist: it reads as zeroes, or
 * it is a differencing disk's and has no sector.
 */
static int look_at_block(struct dyn_work *w, uint64_t place, bool *empty)
{
	bool parent = w->footer->type == VHD_TYPE_DIFFERENCING;
	uint32_t bs = w->dyn->header.block_size;
	int ret;

	ret = vhd_file_pread(w->work->w.file, w->bitmap, w->dyn->bitmap_size,
			     place);
	if (ret == 0) {
		ret = compact_scan(w->work, place + w->dyn->bitmap_size, bs,
				   w->bitmap, VHD_SECTOR, empty);
	}
	if (parent) {
		*empty = compact_all_zero(w->bitmap, bs / VHD_SECTOR / 8);
	}
	return ret;
}

static int release_empty(struct dyn_work *w)
{
	struct vhd_dyn *dyn = w->dyn;
	uint32_t block;
	int ret = 0;

	w->work->what = "looking for empty blocks";
	for (block = 0; ret == 0 && block < dyn->loaded_blocks; block++) {
		bool empty;

		if (dyn->bat[block] == BAT_NONE) {
			continue;
		}
		if (vhd_job_cancelled(w->work->job)) {
			return ECANCELED;
		}
		ret = look_at_block(w, place_of(w, block), &empty);
		if (ret == 0 && empty) {
			dyn->bat[block] = BAT_NONE;
			w->work->result.released++;
		}
		vhd_job_progress(w->work->job, (unsigned)((uint64_t)block * 80 /
							  dyn->loaded_blocks));
	}
	if (ret != 0 || w->work->result.released == 0) {
		return ret;
	}
	w->work->what = "writing the block allocation table";
	ret = write_entries(w, 0, dyn->loaded_blocks);
	return ret != 0 ? ret : vhd_file_sync(w->work->w.file);
}

/* ---- moving ---- */

static int compare_places(const void *a, const void *b, void *private_data)
{
	const struct vhd_dyn *dyn = private_data;
	uint32_t x = dyn->bat[*(const uint32_t *)a];
	uint32_t y = dyn->bat[*(const uint32_t *)b];

	return x < y ? -1 : x > y;
}

static int sort_blocks(struct dyn_work *w)
{
	struct vhd_dyn *dyn = w->dyn;
	uint32_t block;

	w->order = malloc(((size_t)dyn->loaded_blocks + 1) * 4);
	if (w->order == NULL) {
		return ENOMEM;
	}
	for (block = 0; block < dyn->loaded_blocks; block++) {
		if (dyn->bat[block] != BAT_NONE) {
			w->order[w->count++] = block;
		}
	}
	qsort_r(w->order, w->count, sizeof(*w->order), compare_places, dyn);
	return 0;
}

/* The first place that a block fits in before the file's @limit. */
static bool next_gap(const struct dyn_work *w, struct gaps *gaps,
		     uint64_t limit, uint64_t *place)
{
	const struct vhd_dynheader *h = &w->dyn->header;
	uint64_t table_end = h->table_offset + (uint64_t)h->entries * 4;

	for (;;) {
		uint64_t p = dyn_place_after(w->dyn, gaps->at);
		uint64_t end = p + block_len(w), taken;

		if (end > limit) {
			return false;
		}
		if (end > h->table_offset && gaps->at < table_end) {
			gaps->at = table_end;
			continue;
		}
		taken = gaps->next < w->count
				? place_of(w, w->order[gaps->next])
				: limit;
		if (end <= taken) {
			*place = p;
			gaps->at = end;
			return true;
		}
		gaps->next++;
		if (gaps->at < taken + block_len(w)) {
			gaps->at = taken + block_len(w);
		}
	}
}

static bool next_move(void *data, struct compact_move *move)
{
	struct dyn_work *w = data;

	if (w->left == 0) {
		return false;
	}
	move->entry = w->order[w->left - 1];
	move->from = place_of(w, (uint32_t)move->entry);
	move->length = block_len(w);
	if (!next_gap(w, &w->gaps, move->from, &move->to)) {
		return false;
	}
	w->left--;
	return true;
}

static int enter_move(void *data, const struct compact_move *move)
{
	struct dyn_work *w = data;
	uint32_t block = (uint32_t)move->entry;

	w->dyn->bat[block] = (uint32_t)(move->to / VHD_SECTOR);
	return write_entries(w, block, block + 1);
}

static int commit_moves(void *data)
{
	struct dyn_work *w = data;

	return vhd_file_sync(w->work->w.file);
}

/* From the end of the file on, as long as there are gaps. */
static int move_blocks(struct dyn_work *w)
{
	static const struct compact_mover mover = {
		.next = next_move,
		.enter = enter_move,
		.commit = commit_moves,
	};

	w->gaps.at = dyn_header_end(w->dyn, w->footer);
	w->left = w->count;
	return compact_move_all(w->work, &mover, w);
}

/* ---- the end ---- */

/* The footer follows the last block. */
static int cut(struct dyn_work *w)
{
	struct vhd_dyn *dyn = w->dyn;
	uint64_t end = dyn_metadata_end(dyn, w->footer);
	uint32_t i;
	int ret;

	w->work->what = "cutting the file";
	for (i = 0; i < dyn->loaded_blocks; i++) {
		uint64_t block_end = place_of(w, i) + block_len(w);

		if (dyn->bat[i] != BAT_NONE && end < block_end) {
			end = block_end;
		}
	}
	if (end >= dyn->end) {
		return 0;
	}
	ret = vhd_file_pwrite(w->work->w.file, dyn->footer, VHD_FOOTER_SIZE,
			      end);
	if (ret == 0) {
		ret = vhd_file_sync(w->work->w.file);
	}
	if (ret == 0) {
		ret = vhd_file_truncate(w->work->w.file, end + VHD_FOOTER_SIZE);
	}
	return ret != 0 ? ret : vhd_file_sync(w->work->w.file);
}

/* ---- the whole ---- */

static int compact_blocks(struct dyn_work *w)
{
	int ret;

	w->bitmap = malloc(w->dyn->bitmap_size);
	if (w->bitmap == NULL) {
		return ENOMEM;
	}
	ret = release_empty(w);
	if (ret == 0) {
		ret = sort_blocks(w);
	}
	if (ret == 0) {
		ret = move_blocks(w);
	}
	return ret != 0 ? ret : cut(w);
}

int dyn_compact(struct compact_work *work, const struct vhd_footer *footer,
		uint64_t footer_at)
{
	struct dyn_work w = {.work = work, .footer = footer};
	int ret = dyn_load(work->w.file, footer, footer_at, &w.dyn, work->w.why,
			   sizeof(work->w.why));

	if (ret == 0) {
		ret = compact_blocks(&w);
	}
	dyn_free(w.dyn);
	free(w.bitmap);
	free(w.order);
	return ret;
}
