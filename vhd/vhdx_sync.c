/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Changing a VHDX file's metadata outside of lanes: growth on a worker thread,
 * leaving the file tidy when it is closed.
 */

#include <errno.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <string.h>

#include "vhd/bytes.h"
#include "vhd/vhdx_disk.h"

#define MB_UP(n) (((n) + VHDX_MB - 1) / VHDX_MB * VHDX_MB)

/* ---- closing ---- */

/*
 * What is in the log is in its place, too, but maybe not on stable storage
 * there. A few sectors: written once more, flushed, no data waited for.
 */
static int settle_sectors(struct vhd_file *file, struct vhdx *vx)
{
	uint8_t buf[VHDX_SECTOR];
	unsigned i;
	int ret = 0;

	for (i = 0; ret == 0 && i < vx->unsettled_count; i++) {
		ret = vhd_file_pread(file, buf, sizeof(buf),
				     vx->unsettled[i].offset);
		if (ret == 0) {
			ret = vhd_file_pwrite_durable(file, buf, sizeof(buf),
						      vx->unsettled[i].offset);
		}
	}
	return ret;
}

int vhdx_settle(struct vhd_file *file, struct vhdx *vx)
{
	struct vhdx_header header = vx->header;
	int ret = 0;

	if (!vx->session) {
		return 0;
	}
	if (!vhdx_guid_is_zero(header.log_guid)) {
		ret = settle_sectors(file, vx);
		memset(header.log_guid, 0, VHDX_GUID);
		if (ret == 0) {
			ret = vhdx_write_headers(file, vx, &header);
		}
	}
	/* The log is empty: nobody asks for what was appended and not used. */
	if (ret == 0 && vx->next < vx->end && !vx->metadata.leave_allocated) {
		ret = vhd_file_truncate(file, vx->next);
	}
	if (ret != 0) {
		vhd_log(1,
			"vhd: %s: closing: %s; whoever opens it next has its "
			"log to replay",
			file->name, strerror(ret));
	}
	return ret;
}

/* ---- commits ---- */

static int write_entry(struct vhd_file *file, struct vhdx *vx,
		       const struct vhdx_batch *b)
{
	uint32_t first = vx->header.log_length - vx->log_at;
	int ret;

	if (first > b->head.length) {
		first = b->head.length;
	}
	ret = vhd_file_pwrite_durable(file, b->entry, first,
				      vx->header.log_offset + vx->log_at);
	if (ret == 0 && first < b->head.length) {
		ret = vhd_file_pwrite_durable(file, b->entry + first,
					      b->head.length - first,
					      vx->header.log_offset);
	}
	return ret;
}

static int flush(struct vhd_file *file, struct vhdx *vx)
{
	uint64_t mark = vhdx_flush_mark(vx);
	int ret = vhd_file_sync(file);

	if (ret == 0) {
		vhdx_flushed(vx, mark);
	}
	return ret;
}

int vhdx_worker_commit(struct vhd_file *file, struct vhdx *vx)
{
	struct vhdx_batch *b = vx->batch;
	unsigned i;
	int ret = 0;

	if (b->count == 0) {
		return 0;
	}
	if (vhdx_guid_is_zero(vx->log_guid)) {
		vhdx_guid_new(vx->log_guid);
	}
	while (ret == 0 && !vhdx_batch_entry(vx, b)) {
		ret = flush(file, vx);
	}
	if (ret == 0) {
		ret = write_entry(file, vx, b);
	}
	if (ret != 0) {
		return ret;
	}
	vhdx_batch_logged(vx, b);
	if (!vx->log_active) {
		struct vhdx_header header = vx->header;

		memcpy(header.log_guid, vx->log_guid, VHDX_GUID);
		ret = vhdx_write_headers(file, vx, &header);
		vx->log_active = ret == 0;
	}
	for (i = 0; ret == 0 && i < b->count; i++) {
		ret = vhd_file_pwrite(file, b->image[i], VHDX_SECTOR,
				      b->offset[i]);
	}
	vhdx_batch_applied(vx, b);
	b->count = 0;
	return ret;
}

/* ---- sessions ---- */

int vhdx_worker_session(struct vhd_file *file, struct vhdx *vx, bool data)
{
	struct vhdx_header header = vx->header;
	uint64_t end = MB_UP(vx->file_size);
	int ret = 0;

	if (vx->batch == NULL) {
		vx->batch = malloc(sizeof(*vx->batch));
		if (vx->batch != NULL) {
			vx->batch->count = 0;
		}
	}
	if (vx->unsettled == NULL) {
		vx->unsettled =
			malloc(vx->unsettled_max * sizeof(*vx->unsettled));
	}
	if (vx->batch == NULL || vx->unsettled == NULL) {
		return ENOMEM;
	}
	if (atomic_load(&vx->session)) {
		return 0;
	}
	/* As vhdx_session_start(): what is behind all structures. */
	if (vx->file_size > vx->used_end) {
		vhd_file_mark_hole(file, vx->used_end, end - vx->used_end);
		ret = vhd_file_fallocate(
			file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			vx->used_end, vx->file_size - vx->used_end);
		if (ret == EOPNOTSUPP) {
			vx->next = end;
			ret = 0;
		}
		if (ret == 0 && end != vx->file_size) {
			ret = vhd_file_truncate(file, end);
		}
		if (ret == 0) {
			ret = vhd_file_sync(file);
		}
		if (ret == 0) {
			vx->end = end;
		}
	} else if (vx->file_size < vx->used_end) {
		vhd_file_mark_hole(file, vx->end, vx->used_end - vx->end);
		ret = vhd_file_truncate(file, vx->used_end);
		if (ret == 0) {
			ret = vhd_file_sync(file);
		}
		if (ret == 0) {
			vx->end = vx->used_end;
		}
	}
	vhdx_guid_new(header.file_write_guid);
	if (data) {
		vhdx_guid_new(header.data_write_guid);
	}
	if (ret == 0) {
		ret = vhdx_write_headers(file, vx, &header);
	}
	if (ret == 0) {
		atomic_store(&vx->session, true);
	}
	return ret;
}

/* ---- growth ---- */

struct growth {
	struct vhd_file *file;
	struct vhdx *vx;
	uint64_t old_size, new_size;
	uint64_t old_blocks, new_blocks;
	uint64_t old_entries, new_entries;
	bool written_out; /* no part of the disk may run out of space later */
	const char *what;
};

/* Take @length bytes of new space that read as zeroes. */
static int append(struct growth *g, uint64_t length, uint64_t *place)
{
	struct vhdx *vx = g->vx;
	uint64_t end;
	int ret = 0;

	pthread_mutex_lock(&vx->lock);
	*place = vx->next;
	vx->next += length;
	end = vx->next > vx->end ? vx->next : 0;
	pthread_mutex_unlock(&vx->lock);
	if (end != 0) {
		vhd_file_mark_hole(g->file, vx->end, end - vx->end);
		ret = vhd_file_truncate(g->file, end);
		if (ret == 0) {
			ret = vhd_file_sync(g->file);
		}
		pthread_mutex_lock(&vx->lock);
		if (ret == 0) {
			vx->end = end;
		} else if (vx->next == *place + length) {
			vx->next = *place;
		}
		pthread_mutex_unlock(&vx->lock);
	}
	return ret;
}

/* The last block's rest becomes part of the disk. */
static int clear_tail(struct growth *g)
{
	uint32_t bs = g->vx->metadata.block_size;
	uint64_t used = g->old_size % bs, entry;
	int ret;

	if (used == 0) {
		return 0;
	}
	entry = vhdx_entry(g->vx, vhdx_payload_index(g->vx, g->old_size - 1));
	if (VHDX_BAT_STATE(entry) < VHDX_FULLY_PRESENT) {
		return 0;
	}
	g->what = "clearing the last block's rest";
	ret = vhd_file_zero(g->file, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
			    VHDX_BAT_OFFSET(entry) + used, bs - used);
	return ret != 0 ? ret : vhd_file_sync(g->file);
}

/* ---- a longer table ---- */

static int write_table(struct growth *g, uint64_t offset)
{
	uint64_t at = 0, i;
	uint8_t buf[65536];
	int ret = 0;

	while (ret == 0 && at < g->old_entries) {
		uint64_t n = sizeof(buf) / 8;

		memset(buf, 0, sizeof(buf));
		for (i = at; i < at + n && i < g->old_entries; i++) {
			put_le64(buf + (i - at) * 8,
				 vhdx_entry(g->vx, i) &
					 ~(VHDX_BUSY | VHDX_UNSURE));
		}
		ret = vhd_file_pwrite(g->file, buf, sizeof(buf),
				      offset + at * 8);
		at += n;
	}
	return ret;
}

/* Both copies of the region table lead to the new one: in one log entry where
 * only their first sectors change, as they do. */
static int move_region(struct growth *g, uint64_t offset, uint32_t length)
{
	uint8_t *buf = malloc(2 * VHDX_REGION_SIZE);
	uint8_t *old = buf + VHDX_REGION_SIZE;
	unsigned i, at;
	int ret = buf == NULL ? ENOMEM : 0;

	for (i = 0; ret == 0 && i < 2; i++) {
		/* The first copy was good, or the second; both are now. */
		ret = vhd_file_pread(g->file, buf, VHDX_REGION_SIZE,
				     VHDX_REGION_AT(g->vx->good_regions));
		if (ret == 0) {
			ret = vhd_file_pread(g->file, old, VHDX_REGION_SIZE,
					     VHDX_REGION_AT(i));
		}
		if (ret != 0) {
			break;
		}
		vhdx_regions_move_bat(buf, offset, length);
		for (at = 0; at < VHDX_REGION_SIZE; at += VHDX_SECTOR) {
			uint8_t *image;

			if (memcmp(buf + at, old + at, VHDX_SECTOR) == 0) {
				continue;
			}
			image = vhdx_batch_sector(g->vx, g->vx->batch,
						  VHDX_REGION_AT(i) + at, 0,
						  NULL);
			if (image == NULL) {
				ret = vhdx_worker_commit(g->file, g->vx);
				at -= VHDX_SECTOR;
				if (ret != 0) {
					break;
				}
				continue;
			}
			memcpy(image, buf + at, VHDX_SECTOR);
		}
	}
	free(buf);
	return ret != 0 ? ret : vhdx_worker_commit(g->file, g->vx);
}

static int move_table(struct growth *g)
{
	struct vhdx *vx = g->vx;
	struct vhdx_region old = vx->regions.bat;
	uint32_t length = (uint32_t)MB_UP(g->new_entries * 8);
	uint64_t offset;
	int ret;

	g->what = "appending a longer block allocation table";
	ret = append(g, length, &offset);
	if (ret == 0) {
		ret = write_table(g, offset);
	}
	if (ret == 0) {
		ret = flush(g->file, vx);
	}
	if (ret == 0) {
		g->what = "changing the region table";
		ret = move_region(g, offset, length);
	}
	if (ret == 0) {
		vx->regions.bat.offset = offset;
		vx->regions.bat.length = length;
		/* Nobody reads it any more; it is not used again, since the
		 * log may still write there. */
		vhd_file_fallocate(g->file,
				   FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				   old.offset, old.length);
	}
	return ret;
}

/* ---- its entries ---- */

/* What the file has for the new blocks may be anything; what is as it shall
 * be is not written. */
static int commit_entries(struct growth *g)
{
	struct vhdx *vx = g->vx;
	uint64_t per = VHDX_SECTOR / 8;
	uint64_t first = g->old_entries / per * per;
	uint8_t now[VHDX_SECTOR];
	int ret = 0;

	g->what = "writing the block allocation table";
	for (; ret == 0 && first < g->new_entries; first += per) {
		uint64_t at = vx->regions.bat.offset + first * 8;
		uint8_t *image =
			vhdx_batch_sector(vx, vx->batch, at, first, NULL);

		if (image == NULL) {
			ret = vhdx_worker_commit(g->file, vx);
			first -= per;
			continue;
		}
		ret = vhd_file_pread(g->file, now, sizeof(now), at);
		if (ret == 0 && memcmp(now, image, sizeof(now)) == 0) {
			vx->batch->count--;
		}
	}
	return ret != 0 ? ret : vhdx_worker_commit(g->file, vx);
}

static int append_blocks(struct growth *g)
{
	struct vhdx *vx = g->vx;
	uint64_t bs = vx->metadata.block_size, block, place;
	uint64_t length = (g->new_blocks - g->old_blocks) * bs;
	int ret;

	if (length == 0) {
		return 0;
	}
	g->what = "appending blocks";
	ret = append(g, length, &place);
	if (ret == 0 && g->written_out) {
		g->what = "reserving space";
		ret = vhd_file_fallocate(g->file, FALLOC_FL_KEEP_SIZE, place,
					 length);
		if (ret == EOPNOTSUPP) {
			ret = vhd_file_zero(g->file,
					    FALLOC_FL_ZERO_RANGE |
						    FALLOC_FL_KEEP_SIZE,
					    place, length);
		}
	}
	for (block = g->old_blocks; ret == 0 && block < g->new_blocks;
	     block++) {
		atomic_store(&vx->bat[vhdx_bat_index(block, vx->chunk_shift)],
			     VHDX_BAT(VHDX_FULLY_PRESENT, place));
		place += bs;
	}
	return ret;
}

static void forget_entries(struct growth *g)
{
	uint64_t i;

	for (i = g->old_entries; i < g->new_entries; i++) {
		if (vhdx_entry(g->vx, i) != 0) {
			atomic_store(&g->vx->bat[i], 0);
		}
	}
}

/* The item may lie in two sectors: items are not aligned. */
static int commit_size(struct growth *g)
{
	struct vhdx *vx = g->vx;
	uint64_t item = vx->regions.metadata.offset + vx->metadata.size_at;
	uint64_t first = item / VHDX_SECTOR * VHDX_SECTOR;
	uint64_t last = (item + 7) / VHDX_SECTOR * VHDX_SECTOR, at;
	uint8_t buf[2 * VHDX_SECTOR];
	int ret;

	g->what = "changing the virtual disk size";
	ret = vhd_file_pread(g->file, buf, last - first + VHDX_SECTOR, first);
	if (ret != 0) {
		return ret;
	}
	put_le64(buf + (item - first), g->new_size);
	for (at = first; at <= last; at += VHDX_SECTOR) {
		memcpy(vhdx_batch_sector(vx, vx->batch, at, 0, NULL),
		       buf + (at - first), VHDX_SECTOR);
	}
	return vhdx_worker_commit(g->file, vx);
}

/* Is the file written out, but for what the session's start has appended to a
 * short one? */
static bool is_written_out(const struct vhdx *vx, uint64_t size,
			   uint64_t allocated)
{
	uint64_t tail =
		vx->used_end > vx->file_size ? vx->used_end - vx->file_size : 0;

	return allocated + tail >= size;
}

static int grow(struct growth *g)
{
	struct vhdx *vx = g->vx;
	uint64_t size = 0, allocated = 0;
	int ret;

	g->what = "preparing the file";
	ret = vhdx_worker_session(g->file, vx, true);

	if (ret == 0) {
		vx->batch->count = 0; /* whatever failed before */
		ret = vhd_file_size(g->file, &size, &allocated);
		g->written_out = vx->metadata.leave_allocated &&
				 is_written_out(vx, size, allocated);
	}
	if (ret == 0) {
		ret = clear_tail(g);
	}
	if (ret == 0 && g->new_entries * 8 > vx->regions.bat.length) {
		ret = move_table(g);
	}
	if (ret == 0 && vx->metadata.leave_allocated) {
		ret = append_blocks(g);
	}
	if (ret == 0) {
		ret = commit_entries(g);
	}
	if (ret == 0) {
		ret = commit_size(g);
	}
	return ret;
}

int vhdx_grow(struct vhd_disk *disk, struct vhd_file *file, uint64_t new_size,
	      struct vhd_footer *footer, char *why, size_t why_len)
{
	struct vhdx *vx = vhdx_of(disk);
	uint32_t bs = vx->metadata.block_size;
	struct growth g = {
		.file = file,
		.vx = vx,
		.old_size = vx->metadata.size,
		.new_size = new_size,
		.old_blocks = (vx->metadata.size + bs - 1) / bs,
		.new_blocks = (new_size + bs - 1) / bs,
		.old_entries =
			vhdx_bat_entries(&vx->metadata, vx->metadata.size),
		.new_entries = vhdx_bat_entries(&vx->metadata, new_size),
	};
	int ret;

	(void)footer;
	if (new_size % vx->metadata.logical_sector != 0) {
		snprintf(
			why, why_len,
			"the new size is not a multiple of the disk's sectors");
		return EINVAL;
	}
	vhdx_worker_takes_role(vx);
	ret = grow(&g);
	if (ret == 0) {
		vx->metadata.size = new_size;
		if (vx->metadata.leave_allocated) {
			atomic_fetch_add(&vx->allocated,
					 g.new_blocks - g.old_blocks);
		}
	} else {
		forget_entries(&g);
		snprintf(why, why_len, "%s: %s", g.what, strerror(ret));
	}
	vhdx_release_role(vx);
	return ret;
}
