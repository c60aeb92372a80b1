/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Growth of a dynamic disk. Its data do not move; the block allocation table
 * may become too short, and is then written anew at the end of the file.
 *
 * The order: the new table, zeroes behind the disk's old end; fsync. The
 * header's first sector, which leads to it: one sector, the old or the new;
 * fsync. The footer at the end, then the copy at the start, each one sector;
 * the one at the end counts. The old table's place is lost.
 */

#include <errno.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <string.h>

#include "vhd/bytes.h"
#include "vhd/dynamic.h"

#define SECTOR_UP(n) (((n) + VHD_SECTOR - 1) / VHD_SECTOR * VHD_SECTOR)

struct dyn_growth {
	uint64_t old_size;
	uint32_t old_blocks, new_blocks;
	uint64_t table_offset;
	uint64_t footer_at; /* afterwards */
	uint8_t footer[VHD_FOOTER_SIZE];
	const char *what;
};

static void table_push(const struct vhd_dyn *dyn, uint32_t blocks,
		       uint8_t *table, size_t size)
{
	uint32_t i;

	memset(table, 0xff, size);
	for (i = 0; i < blocks; i++) {
		uint32_t entry = atomic_load(&dyn->bat[i]);

		if (entry > BAT_BUSY) {
			put_be32(table + (size_t)i * 4, entry);
		}
	}
}

/* A longer table at the end, the footer behind it. */
static int move_table(struct vhd_file *file, struct vhd_dyn *dyn,
		      struct dyn_growth *g)
{
	size_t size = SECTOR_UP((size_t)g->new_blocks * 4);
	uint8_t *table = malloc(size);
	int ret;

	if (table == NULL) {
		return ENOMEM;
	}
	table_push(dyn, g->old_blocks, table, size);
	g->table_offset = dyn->end + VHD_FOOTER_SIZE;
	g->footer_at = g->table_offset + size;
	g->what = "appending a longer table";
	/* The footer first: it keeps the file one that opens. Still the old
	 * one, since the header leads to the old table. */
	ret = vhd_file_pwrite(file, dyn->footer, VHD_FOOTER_SIZE, g->footer_at);
	if (ret == 0) {
		ret = vhd_file_pwrite(file, table, size, g->table_offset);
	}
	if (ret == 0) {
		ret = vhd_file_sync(file);
	}
	free(table);
	return ret;
}

/* The table is long enough; what it has for the new blocks may be anything. */
static int clear_entries(struct vhd_file *file, struct dyn_growth *g)
{
	size_t size = (size_t)(g->new_blocks - g->old_blocks) * 4;
	uint8_t *unused = malloc(size + 1);
	int ret;

	if (unused == NULL) {
		return ENOMEM;
	}
	g->what = "clearing table entries";
	memset(unused, 0xff, size);
	ret = vhd_file_pwrite(file, unused, size,
			      g->table_offset + (uint64_t)g->old_blocks * 4);
	free(unused);
	return ret != 0 ? ret : vhd_file_sync(file);
}

/*
 * The last block's rest becomes part of the disk. We leave zeroes there, others
 * need not. It is flushed with the table.
 */
static int clear_tail(struct vhd_file *file, const struct vhd_dyn *dyn,
		      struct dyn_growth *g)
{
	uint64_t used = g->old_size % dyn->header.block_size;
	uint32_t entry = atomic_load(&dyn->bat[g->old_blocks - 1]);
	uint64_t at, left = dyn->header.block_size - used;

	if (used == 0 || entry <= BAT_BUSY) {
		return 0;
	}
	g->what = "clearing the last block's rest";
	at = (uint64_t)entry * VHD_SECTOR + dyn->bitmap_size + used;
	vhd_file_mark_hole(file, at, left);
	return vhd_file_zero(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			     at, left);
}

static int write_header(struct vhd_file *file, struct dyn_growth *g,
			uint64_t offset)
{
	uint8_t buf[VHD_DYNHEADER_SIZE];
	int ret;

	g->what = "changing the dynamic header";
	ret = vhd_file_pread(file, buf, sizeof(buf), offset);
	if (ret == 0) {
		vhd_dynheader_set_table(buf, g->table_offset, g->new_blocks);
		ret = vhd_file_pwrite(file, buf, VHD_DYNHEADER_HOT, offset);
	}
	return ret != 0 ? ret : vhd_file_sync(file);
}

static int write_footers(struct vhd_file *file, struct dyn_growth *g)
{
	int ret;

	g->what = "writing the footer";
	ret = vhd_file_pwrite(file, g->footer, VHD_FOOTER_SIZE, g->footer_at);
	if (ret == 0) {
		ret = vhd_file_sync(file);
	}
	if (ret == 0) {
		ret = vhd_file_pwrite(file, g->footer, VHD_FOOTER_SIZE, 0);
	}
	return ret != 0 ? ret : vhd_file_sync(file);
}

static int grow_frozen(struct vhd_file *file, struct vhd_dyn *dyn,
		       struct dyn_growth *g, uint64_t header_at)
{
	bool move = g->new_blocks > dyn->header.entries;
	uint64_t size;
	int ret;

	/* An extension that could not be flushed has left its footer. */
	ret = vhd_file_size(file, &size, NULL);
	if (ret != 0) {
		return ret;
	}
	if (size > dyn->end + VHD_FOOTER_SIZE) {
		dyn->next = dyn->end = size - VHD_FOOTER_SIZE;
	}

	g->table_offset = dyn->header.table_offset;
	g->footer_at = dyn->end;
	ret = clear_tail(file, dyn, g);
	if (ret != 0) {
		return ret;
	}
	if (move) {
		ret = move_table(file, dyn, g);
		if (g->footer_at > dyn->end) {
			/* Whatever came of it, what is behind is taken. */
			dyn->next = dyn->end = g->footer_at;
		}
		if (ret == 0) {
			ret = write_header(file, g, header_at);
		}
		if (ret == 0) {
			/* Lanes look at these only while they allocate. */
			dyn->header.table_offset = g->table_offset;
			dyn->header.entries = g->new_blocks;
		}
	} else {
		ret = clear_entries(file, g);
	}
	if (ret == 0) {
		ret = write_footers(file, g);
	}
	if (ret == 0) {
		memcpy(dyn->footer, g->footer, sizeof(dyn->footer));
		dyn->loaded_blocks = g->new_blocks;
	}
	return ret;
}

int dyn_grow(struct vhd_disk *disk, struct vhd_file *file, uint64_t new_size,
	     struct vhd_footer *footer, char *why, size_t why_len)
{
	struct vhd_dyn *dyn = vhd_dyn(disk);
	uint32_t bs = dyn->header.block_size;
	struct dyn_growth g = {
		.old_size = footer->current_size,
		.old_blocks = (uint32_t)((footer->current_size + bs - 1) / bs),
		.new_blocks = (uint32_t)((new_size + bs - 1) / bs),
		.what = "fstat",
	};
	int ret;

	footer->current_size = new_size;
	vhd_geometry(new_size, footer);
	vhd_footer_push(footer, g.footer);

	/* Nobody may allocate: the table moves. */
	pthread_mutex_lock(&dyn->lock);
	dyn->frozen = true;
	while (dyn->allocating > 0) {
		pthread_cond_wait(&dyn->idle, &dyn->lock);
	}
	pthread_mutex_unlock(&dyn->lock);

	ret = grow_frozen(file, dyn, &g, footer->data_offset);

	pthread_mutex_lock(&dyn->lock);
	dyn_choose_align(dyn, ret == 0 ? new_size : vhd_disk_size(disk));
	dyn->frozen = false;
	dyn_wake(dyn);
	pthread_mutex_unlock(&dyn->lock);
	if (ret != 0) {
		snprintf(why, why_len, "%s: %s", g.what, strerror(ret));
	}
	return ret;
}
