/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A VHDX file's metadata: read whole and checked at open. Worker threads. */

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>

#include "vhd/bytes.h"
#include "vhd/vhdx_disk.h"

/* The table is read in such pieces. */
#define TABLE_CHUNK 65536u

/* ---- memory ---- */

static void *reserve(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static void free_pages(struct vhdx *vx)
{
	/* Those of all of the last block: its first write looks at them. */
	uint64_t last = vhdx_page_of(vx, (vx->metadata.size - 1) |
						 (vx->metadata.block_size - 1));
	uint64_t i;

	for (i = 0; i <= last; i++) {
		free(atomic_load(&vx->pages[i]));
	}
	munmap((void *)vx->pages, vx->max_pages * sizeof(*vx->pages));
}

void vhdx_free(struct vhdx *vx)
{
	if (vx == NULL) {
		return;
	}
	if (vx->bat != NULL) {
		munmap((void *)vx->bat, vx->max_entries * sizeof(*vx->bat));
	}
	if (vx->pages != NULL) {
		free_pages(vx);
	}
	pthread_mutex_destroy(&vx->lock);
	pthread_cond_destroy(&vx->idle);
	free(vx->overlay.write);
	free(vx->unsettled);
	free(vx->anchor);
	free(vx->gaps.gap);
	free(vx->freed.freed);
	free(vx->freed.clean);
	free(vx->batch);
	free(vx);
}

static struct vhdx *vhdx_new(void)
{
	struct vhdx *vx = calloc(1, sizeof(*vx));

	if (vx != NULL) {
		pthread_mutex_init(&vx->lock, NULL);
		pthread_cond_init(&vx->idle, NULL);
		vx->extend_by = 1;
	}
	return vx;
}

static int tables_new(struct vhdx *vx)
{
	const struct vhdx_metadata *m = &vx->metadata;

	vx->block_shift = (unsigned)__builtin_ctz(m->block_size);
	vx->sector_shift = (unsigned)__builtin_ctz(m->logical_sector);
	vx->chunk_shift = (unsigned)__builtin_ctz(
		vhdx_chunk_ratio(m->block_size, m->logical_sector));
	vx->max_entries = vhdx_bat_entries(m, VHDX_MAX_SIZE);
	vx->bat = reserve(vx->max_entries * sizeof(*vx->bat));
	if (m->has_parent) {
		vx->max_pages = vhdx_page_of(vx, VHDX_MAX_SIZE - 1) + 1;
		vx->pages = reserve(vx->max_pages * sizeof(*vx->pages));
	}
	return vx->bat == NULL || (m->has_parent && vx->pages == NULL) ? ENOMEM
								       : 0;
}

/* ---- ranges of the file ---- */

static int extent_add(struct vhdx_extents *x, uint64_t offset, uint64_t length,
		      uint64_t entry, const char *name)
{
	if (x->count == x->room) {
		size_t room = x->room != 0 ? 2 * x->room : 256;
		struct vhdx_extent *e = realloc(x->e, room * sizeof(*e));

		if (e == NULL) {
			return ENOMEM;
		}
		x->e = e;
		x->room = room;
	}
	x->e[x->count++] = (struct vhdx_extent){
		.start = offset / VHDX_MB,
		.end = (offset + length + VHDX_MB - 1) / VHDX_MB,
		.entry = entry,
		.name = name,
	};
	return 0;
}

static int compare_extents(const void *a, const void *b)
{
	const struct vhdx_extent *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

static void extent_name(const struct vhdx_extent *e, char *buf, size_t len)
{
	if (e->entry != UINT64_MAX) {
		snprintf(buf, len, "%s (entry %" PRIu64 " of the table)",
			 e->name, e->entry);
	} else {
		snprintf(buf, len, "%s", e->name);
	}
}

static bool is_bitmap_entry(const struct vhdx *vx, uint64_t index)
{
	uint64_t period = (UINT64_C(1) << vx->chunk_shift) + 1;

	return index % period == period - 1;
}

/*
 * Where the file may end at the earliest: qemu's fixed disks end with the last
 * sector of the disk, within its last block.
 */
static uint64_t end_of_data(const struct vhdx *vx, const struct vhdx_extent *e)
{
	uint64_t end = e->end * VHDX_MB, block, left;

	if (e->entry == UINT64_MAX || is_bitmap_entry(vx, e->entry)) {
		return end;
	}
	block = e->entry - e->entry / ((UINT64_C(1) << vx->chunk_shift) + 1);
	if (block << vx->block_shift >= vx->metadata.size) {
		return end;
	}
	left = vx->metadata.size - (block << vx->block_shift);
	return left < vx->metadata.block_size ? e->start * VHDX_MB + left : end;
}

/* Nothing over anything else, all of it in the file. */
static int extents_check(const struct vhdx *vx, struct vhdx_extents *x,
			 uint64_t file_size, uint64_t *used_end, char *why,
			 size_t why_len)
{
	uint64_t file_end = (file_size + VHDX_MB - 1) / VHDX_MB;
	uint64_t anchors_end = 0;
	const struct vhdx_extent *before = NULL;
	char name[2][80];
	size_t i;

	for (i = 0; i < x->count; i++) {
		const struct vhdx_extent *e = &x->e[i];

		if (e->anchor) {
			if (e->end <= file_end && anchors_end < e->end) {
				anchors_end = e->end;
			}
			continue;
		}
		if (end_of_data(vx, e) > file_size) {
			extent_name(e, name[0], sizeof(name[0]));
			snprintf(why, why_len,
				 "%s at %" PRIu64
				 " is beyond the file's %" PRIu64
				 " bytes (truncated?)",
				 name[0], e->start * VHDX_MB, file_size);
			return EINVAL;
		}
		if (before != NULL && e->start < before->end) {
			extent_name(before, name[0], sizeof(name[0]));
			extent_name(e, name[1], sizeof(name[1]));
			snprintf(why, why_len,
				 "%s at %" PRIu64 " and %s at %" PRIu64
				 " overlap",
				 name[0], before->start * VHDX_MB, name[1],
				 e->start * VHDX_MB);
			return EINVAL;
		}
		before = e;
	}
	*used_end = (before != NULL ? before->end : 0) * VHDX_MB;
	if (*used_end < anchors_end * VHDX_MB) {
		*used_end = anchors_end * VHDX_MB;
	}
	return 0;
}

int vhdx_find_gaps(const struct vhdx_extents *x, struct vhdx_gaps *gaps)
{
	uint64_t end = x->count > 0 ? x->e[0].end : 0;
	size_t i, n = 0;

	/* Most files have none. */
	for (i = 1; i < x->count; i++) {
		n += x->e[i].start > x->e[i - 1].end;
	}
	gaps->count = 0;
	gaps->gap = n > 0 ? malloc(n * sizeof(*gaps->gap)) : NULL;
	if (n > 0 && gaps->gap == NULL) {
		return ENOMEM;
	}
	for (i = 1; i < x->count; i++) {
		if (x->e[i].start > end) {
			gaps->gap[gaps->count].start = end * VHDX_MB;
			gaps->gap[gaps->count++].end = x->e[i].start * VHDX_MB;
		}
		if (end < x->e[i].end) {
			end = x->e[i].end;
		}
	}
	return 0;
}

bool vhdx_gap_take(struct vhdx_gaps *gaps, size_t *next, uint64_t length,
		   uint64_t limit, uint64_t *place)
{
	while (*next < gaps->count &&
	       gaps->gap[*next].end - gaps->gap[*next].start < length) {
		(*next)++;
	}
	if (*next == gaps->count || gaps->gap[*next].start >= limit) {
		return false;
	}
	*place = gaps->gap[*next].start;
	gaps->gap[*next].start += length;
	return true;
}

static int extents_of_regions(struct vhdx_extents *x, const struct vhdx *vx)
{
	const struct vhdx_regions *r = &vx->regions;
	unsigned i;
	int ret = extent_add(x, 0, VHDX_MB, UINT64_MAX, "the header section");

	if (ret == 0) {
		ret = extent_add(x, vx->header.log_offset,
				 vx->header.log_length, UINT64_MAX, "the log");
	}
	if (ret == 0) {
		ret = extent_add(x, r->bat.offset, r->bat.length, UINT64_MAX,
				 "the block allocation table");
	}
	if (ret == 0) {
		ret = extent_add(x, r->metadata.offset, r->metadata.length,
				 UINT64_MAX, "the metadata region");
	}
	for (i = 0; ret == 0 && i < r->others; i++) {
		ret = extent_add(x, r->other[i].offset, r->other[i].length,
				 UINT64_MAX, "an unknown region");
	}
	return ret;
}

int vhdx_extents(const struct vhdx *vx, struct vhdx_extents *x)
{
	uint64_t i, n = vhdx_bat_entries(&vx->metadata, vx->metadata.size);
	int ret = extents_of_regions(x, vx);

	for (i = 0; ret == 0 && i < n; i++) {
		uint64_t entry = vhdx_entry(vx, i);

		if (VHDX_BAT_STATE(entry) >= VHDX_FULLY_PRESENT) {
			bool bitmap = is_bitmap_entry(vx, i);

			ret = extent_add(x, VHDX_BAT_OFFSET(entry),
					 bitmap ? VHDX_BITMAP_BLOCK
						: vx->metadata.block_size,
					 i,
					 bitmap ? "a sector bitmap block"
						: "a block");
		}
	}
	for (i = 0; ret == 0 && i < vx->anchor_count; i++) {
		ret = extent_add(x, vx->anchor[i].place,
				 vx->metadata.block_size, UINT64_MAX,
				 "an unmapped block");
		if (ret == 0) {
			x->e[x->count - 1].anchor = true;
		}
	}
	/* Tables are in order more often than not. */
	for (i = 1; i < x->count; i++) {
		if (x->e[i].start < x->e[i - 1].start) {
			qsort(x->e, x->count, sizeof(*x->e), compare_extents);
			break;
		}
	}
	return ret;
}

/* ---- the table ---- */

static int entry_refuse(uint64_t index, uint64_t entry, const char *what,
			char *why, size_t why_len)
{
	snprintf(why, why_len,
		 "entry %" PRIu64
		 " of the block allocation table, 0x%016" PRIx64 ", %s",
		 index, entry, what);
	return EINVAL;
}

/* 2.5.1.1: undefined and unmapped blocks may keep their place. */
static int add_anchor(struct vhdx *vx, uint64_t entry, uint64_t place)
{
	if (vx->anchor_count == vx->anchor_room) {
		size_t room = vx->anchor_room != 0 ? 2 * vx->anchor_room : 64;
		void *anchor = realloc(vx->anchor, room * sizeof(*vx->anchor));

		if (anchor == NULL) {
			return ENOMEM;
		}
		vx->anchor = anchor;
		vx->anchor_room = room;
	}
	vx->anchor[vx->anchor_count].entry = entry;
	vx->anchor[vx->anchor_count++].place = place;
	return 0;
}

/* An entry as it is kept in memory: what has no data has no offset. */
static int entry_load(struct vhdx *vx, uint64_t index, uint64_t entry,
		      char *why, size_t why_len)
{
	unsigned state = VHDX_BAT_STATE(entry);
	bool bitmap = is_bitmap_entry(vx, index);
	bool placed = state >= VHDX_FULLY_PRESENT;

	if (bitmap ? state != VHDX_NOT_PRESENT && state != VHDX_FULLY_PRESENT
		   : state == 4 || state == 5) {
		return entry_refuse(index, entry, "has a reserved state", why,
				    why_len);
	}
	if (!vx->metadata.has_parent &&
	    (state == VHDX_PARTIALLY_PRESENT || (bitmap && placed))) {
		return entry_refuse(index, entry,
				    "has a state for differencing disks only",
				    why, why_len);
	}
	if (!placed) {
		atomic_init(&vx->bat[index], VHDX_BAT(state, 0));
		return (state == VHDX_UNDEFINED || state == VHDX_UNMAPPED) &&
				       VHDX_BAT_OFFSET(entry) != 0 &&
				       VHDX_BAT_OFFSET(entry) <=
					       INT64_MAX - VHDX_BLOCK_MAX
			       ? add_anchor(vx, index, VHDX_BAT_OFFSET(entry))
			       : 0;
	}
	if (VHDX_BAT_OFFSET(entry) > INT64_MAX - VHDX_BLOCK_MAX) {
		return entry_refuse(index, entry, "leads nowhere", why,
				    why_len);
	}
	atomic_init(&vx->bat[index], VHDX_BAT(state, VHDX_BAT_OFFSET(entry)));
	if (!bitmap) {
		atomic_fetch_add(&vx->allocated, 1);
	}
	return 0;
}

/* A partially present block needs its bitmap, 2.5.1.2. */
static int bitmaps_check(const struct vhdx *vx, uint64_t entries, char *why,
			 size_t why_len)
{
	uint64_t period = (UINT64_C(1) << vx->chunk_shift) + 1, i;

	for (i = 0; vx->metadata.has_parent && i < entries; i++) {
		uint64_t bitmap = i / period * period + period - 1;

		if (VHDX_BAT_STATE(vx->bat[i]) == VHDX_PARTIALLY_PRESENT &&
		    VHDX_BAT_STATE(vx->bat[bitmap]) != VHDX_FULLY_PRESENT) {
			return entry_refuse(i, vx->bat[i],
					    "has no sector bitmap", why,
					    why_len);
		}
	}
	return 0;
}

static int table_load(struct vhd_file *file, struct vhdx *vx, char *why,
		      size_t why_len)
{
	uint64_t at = 0, entries;
	uint8_t *chunk = malloc(TABLE_CHUNK);
	int ret = chunk == NULL ? ENOMEM : 0;

	entries = vhdx_bat_entries(&vx->metadata, vx->metadata.size);
	if (entries * 8 > vx->regions.bat.length) {
		snprintf(why, why_len,
			 "the block allocation table's %" PRIu32
			 " bytes are too few for %" PRIu64 " entries",
			 vx->regions.bat.length, entries);
		ret = EINVAL;
	}
	while (ret == 0 && at < entries) {
		uint64_t n = entries - at < TABLE_CHUNK / 8 ? entries - at
							    : TABLE_CHUNK / 8;
		uint64_t i;

		ret = vhdx_read(file, vx, chunk, n * 8,
				vx->regions.bat.offset + at * 8);
		if (ret != 0) {
			snprintf(why, why_len,
				 "reading the block allocation table: %s",
				 strerror(ret));
			break;
		}
		for (i = 0; ret == 0 && i < n; i++) {
			uint64_t entry = get_le64(chunk + i * 8);

			if (entry != 0) { /* memory is only used then */
				ret = entry_load(vx, at + i, entry, why,
						 why_len);
			}
		}
		at += n;
	}
	free(chunk);
	return ret != 0 ? ret : bitmaps_check(vx, entries, why, why_len);
}

/* ---- the other metadata ---- */

static int regions_load(struct vhd_file *file, struct vhdx *vx, char *why,
			size_t why_len)
{
	uint8_t *buf = malloc(VHDX_REGION_SIZE);
	char reason[2][VHD_WHY_MAX / 3];
	int ret = EINVAL;
	unsigned i;

	if (buf == NULL) {
		snprintf(why, why_len, "out of memory");
		return ENOMEM;
	}
	for (i = 0; i < 2 && ret != 0; i++) {
		ret = vhdx_read(file, vx, buf, VHDX_REGION_SIZE,
				VHDX_REGION_AT(i));
		if (ret != 0) {
			snprintf(reason[i], sizeof(reason[i]), "%s",
				 strerror(ret));
		} else {
			ret = vhdx_regions_pull(buf, &vx->regions, reason[i],
						sizeof(reason[i]));
			vx->good_regions = i;
		}
	}
	free(buf);
	if (ret != 0) {
		snprintf(why, why_len, "%s (at %u); %s (at %u)", reason[0],
			 VHDX_REGION_AT(0), reason[1], VHDX_REGION_AT(1));
	}
	return ret;
}

static int metadata_load(struct vhd_file *file, struct vhdx *vx, char *why,
			 size_t why_len)
{
	const struct vhdx_region *r = &vx->regions.metadata;
	uint32_t len =
		r->length < VHDX_METADATA_MAX ? r->length : VHDX_METADATA_MAX;
	uint8_t *buf = malloc(len);
	char reason[VHD_WHY_MAX - 64];
	int ret;

	if (buf == NULL) {
		snprintf(why, why_len, "out of memory");
		return ENOMEM;
	}
	ret = vhdx_read(file, vx, buf, len, r->offset);
	if (ret != 0) {
		snprintf(why, why_len,
			 "reading the metadata at %" PRIu64 ": %s", r->offset,
			 strerror(ret));
	} else {
		ret = vhdx_metadata_pull(buf, len, r->length, &vx->metadata,
					 reason, sizeof(reason));
		if (ret != 0) {
			snprintf(why, why_len,
				 "%s (in the region at %" PRIu64 ")", reason,
				 r->offset);
		}
	}
	free(buf);
	return ret;
}

/* "\\?\C:\a\b.vhdx" as the rest of the world calls it. */
const char *vhdx_without_prefix(const char *path)
{
	return strncmp(path, "\\\\?\\", 4) == 0 &&
			       strncasecmp(path + 4, "Volume{", 7) != 0
		       ? path + 4
		       : path;
}

/* The one that says most: callers look beside the child, too. */
static void parent_path(struct vhdx *vx)
{
	const struct vhdx_metadata *m = &vx->metadata;
	const char *best = m->absolute_path[0] != '\0'
				   ? vhdx_without_prefix(m->absolute_path)
			   : m->volume_path[0] != '\0' ? m->volume_path
						       : m->relative_path;

	snprintf(vx->parent, sizeof(vx->parent), "%s", best);
}

/* ---- what it is ---- */

enum vhd_type vhdx_type(const struct vhdx *vx)
{
	return vx->metadata.has_parent	      ? VHD_TYPE_DIFFERENCING
	       : vx->metadata.leave_allocated ? VHD_TYPE_FIXED
					      : VHD_TYPE_DYNAMIC;
}

void vhdx_fill_info(const struct vhdx *vx, struct vhd_info *info)
{
	const struct vhdx_metadata *m = &vx->metadata;

	info->format = VHD_FORMAT_VHDX;
	info->type = vhdx_type(vx);
	info->block_size = m->block_size;
	info->logical_sector = m->logical_sector;
	info->physical_sector = m->physical_sector;
	memcpy(info->unique_id, m->disk_id, 16);
	memcpy(info->link_id, vx->header.data_write_guid, 16);
	memcpy(info->parent, vx->parent, sizeof(info->parent));
	memcpy(info->parent_id, m->parent_linkage, 16);
}

/* ---- open ---- */

int vhdx_detect(struct vhd_file *file, bool *is_vhdx)
{
	uint8_t buf[8];
	uint64_t size;
	int ret = vhd_file_size(file, &size, NULL);

	*is_vhdx = false;
	if (ret != 0 || size < sizeof(buf)) {
		return ret;
	}
	ret = vhd_file_pread(file, buf, sizeof(buf), 0);
	*is_vhdx = ret == 0 && vhdx_is_signature(buf, sizeof(buf));
	return ret;
}

static int log_load(struct vhd_file *file, struct vhdx *vx, unsigned flags,
		    char *why, size_t why_len)
{
	int ret;

	if (vhdx_guid_is_zero(vx->header.log_guid)) {
		return 0;
	}
	ret = vhdx_replay(file, vx, flags, why, why_len);
	if (ret != 0 && (flags & VHDX_LOAD_IN_USE)) {
		vx->overlay.count = 0;
		ret = 0;
	}
	return ret;
}

/*
 * A log in memory is put over metadata when they are read, not over data, for
 * which it is not meant (2.3).
 */
static int overlay_check(const struct vhdx *vx, const struct vhdx_extents *x,
			 char *why, size_t why_len)
{
	unsigned i;

	for (i = 0; i < vx->overlay.count; i++) {
		const struct vhdx_log_write *w = &vx->overlay.write[i];
		size_t low = 0, high = x->count;

		/* The first that ends behind the write's start. */
		while (low < high) {
			size_t middle = low + (high - low) / 2;

			if (x->e[middle].end * VHDX_MB > w->offset) {
				high = middle;
			} else {
				low = middle + 1;
			}
		}
		for (; low < x->count &&
		       x->e[low].start * VHDX_MB < w->offset + w->length;
		     low++) {
			if (x->e[low].entry != UINT64_MAX &&
			    !is_bitmap_entry(vx, x->e[low].entry)) {
				snprintf(why, why_len,
					 "its log changes data at %" PRIu64
					 ": it has to be replayed (repair) "
					 "before the file is read",
					 w->offset);
				return EINVAL;
			}
		}
	}
	return 0;
}

static int load_table(struct vhd_file *file, struct vhdx *vx, char *why,
		      size_t why_len)
{
	struct vhdx_extents x = {.e = NULL};
	uint64_t size = vx->file_size;
	int ret = table_load(file, vx, why, why_len);

	if (ret != 0) {
		return ret;
	}
	/* A log in memory may not have extended the file. */
	if (vx->overlay.count > 0 && size < vx->overlay.last_offset) {
		size = vx->overlay.last_offset;
	}
	ret = vhdx_extents(vx, &x);
	if (ret != 0) {
		snprintf(why, why_len, "out of memory");
	} else {
		ret = extents_check(vx, &x, size, &vx->used_end, why, why_len);
	}
	if (ret == 0) {
		ret = overlay_check(vx, &x, why, why_len);
	}
	if (ret == 0 && vx->file_size < size && vx->file_size < vx->used_end) {
		snprintf(why, why_len,
			 "its log makes the file longer than its %" PRIu64
			 " bytes: it has to be replayed (repair) before the "
			 "file is read",
			 vx->file_size);
		ret = EINVAL;
	}
	if (ret == 0 && !file->readonly && !vx->metadata.leave_allocated) {
		ret = vhdx_find_gaps(&x, &vx->gaps);
	}
	/* Before an anchor behind the file's end: the file grows there. */
	while (vx->gaps.count > 0 &&
	       vx->gaps.gap[vx->gaps.count - 1].start >= vx->used_end) {
		vx->gaps.count--;
	}
	free(x.e);
	return ret;
}

static int load_all(struct vhd_file *file, struct vhdx *vx, unsigned flags,
		    char *why, size_t why_len)
{
	int ret = vhdx_load_headers(file, &vx->header, &vx->current, why,
				    why_len);

	if (ret == 0) {
		ret = log_load(file, vx, flags, why, why_len);
	}
	if (ret == 0) {
		ret = vhd_file_size(file, &vx->file_size, NULL);
	}
	if (ret == 0) {
		ret = regions_load(file, vx, why, why_len);
	}
	if (ret == 0) {
		ret = metadata_load(file, vx, why, why_len);
	}
	if (ret != 0) {
		return ret;
	}
	parent_path(vx);
	if (flags & VHDX_LOAD_NO_BAT) {
		return 0;
	}
	ret = tables_new(vx);
	if (ret != 0) {
		snprintf(why, why_len, "out of memory");
		return ret;
	}
	return load_table(file, vx, why, why_len);
}

int vhdx_load(struct vhd_file *file, unsigned flags, struct vhdx **result,
	      char *why, size_t why_len)
{
	struct vhdx *vx = vhdx_new();
	int ret;

	if (vx == NULL) {
		snprintf(why, why_len, "out of memory");
		return ENOMEM;
	}
	ret = load_all(file, vx, flags, why, why_len);
	/* What is read here may not be on stable storage, if whoever wrote it
	 * was killed, or cut the file last: nor what is free by that. */
	if (ret == 0 && !file->readonly) {
		ret = vhd_file_sync(file);
		if (ret != 0) {
			snprintf(why, why_len, "flushing the file: %s",
				 strerror(ret));
		}
	}
	if (ret != 0) {
		vhdx_free(vx);
		return ret;
	}
	/* What is behind all structures is punched out before it is used
	 * (vhdx_session_start). */
	vx->next = vx->used_end;
	vx->end = vx->file_size / VHDX_MB * VHDX_MB;
	vx->unsettled_max = vx->header.log_length / VHDX_SECTOR;
	*result = vx;
	return 0;
}
