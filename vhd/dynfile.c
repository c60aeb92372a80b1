/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A dynamic disk's metadata in its file: read whole and checked at open. */

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vhd/bytes.h"
#include "vhd/dynamic.h"

/* The table is read in such pieces. */
#define TABLE_CHUNK 65536u

/* ---- memory ---- */

static void *reserve(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

void dyn_free(struct vhd_dyn *dyn)
{
	uint32_t i, blocks;

	if (dyn == NULL) {
		return;
	}
	blocks = dyn->bitmaps != NULL ? dyn->loaded_blocks : 0;
	for (i = 0; i < blocks; i++) {
		struct vhd_bitmap *bitmap = dyn->bitmaps[i];

		if (bitmap != &vhd_bitmap_full) {
			free(bitmap);
		}
	}
	if (dyn->bat != NULL) {
		munmap((void *)dyn->bat, dyn->max_blocks * sizeof(*dyn->bat));
	}
	if (dyn->bitmaps != NULL) {
		munmap((void *)dyn->bitmaps,
		       dyn->max_blocks * sizeof(*dyn->bitmaps));
	}
	pthread_mutex_destroy(&dyn->lock);
	pthread_cond_destroy(&dyn->idle);
	for (i = 0; i < dyn->parent_count; i++) {
		free(dyn->parents[i].path);
	}
	free(dyn->spare);
	free(dyn->gap);
	free(dyn->ones);
	free(dyn);
}

static struct vhd_dyn *dyn_new(const struct vhd_dynheader *header)
{
	struct vhd_dyn *dyn = calloc(1, sizeof(*dyn));

	if (dyn == NULL) {
		return NULL;
	}
	dyn->header = *header;
	dyn->block_shift = (unsigned)__builtin_ctz(header->block_size);
	dyn->bitmap_size = vhd_bitmap_size(header->block_size);
	dyn->max_blocks = VHD_MAX_SIZE >> dyn->block_shift;
	dyn->extend_by = 1;
	pthread_mutex_init(&dyn->lock, NULL);
	pthread_cond_init(&dyn->idle, NULL);
	dyn->bat = reserve(dyn->max_blocks * sizeof(*dyn->bat));
	dyn->bitmaps = reserve(dyn->max_blocks * sizeof(*dyn->bitmaps));
	dyn->ones = malloc(dyn->bitmap_size);
	if (dyn->bat == NULL || dyn->bitmaps == NULL || dyn->ones == NULL) {
		dyn_free(dyn);
		return NULL;
	}
	memset(dyn->ones, 0xff, dyn->bitmap_size);
	return dyn;
}

/* ---- ranges of the file ---- */

static int region_add(struct dyn_regions *regions, uint64_t start, uint64_t len,
		      uint64_t file_end, const char *name, char *why,
		      size_t why_len)
{
	unsigned i;

	if (start > file_end || len > file_end - start) {
		snprintf(why, why_len,
			 "%s at %" PRIu64 ", %" PRIu64 " bytes, is beyond the"
			 " file's %" PRIu64,
			 name, start, len, file_end);
		return EINVAL;
	}
	for (i = 0; i < regions->count; i++) {
		if (start < regions->region[i].end &&
		    regions->region[i].start < start + len) {
			snprintf(why, why_len,
				 "%s at %" PRIu64 " overlaps %s at %" PRIu64,
				 name, start, regions->region[i].name,
				 regions->region[i].start);
			return EINVAL;
		}
	}
	regions->region[i].start = start;
	regions->region[i].end = start + len;
	regions->region[i].name = name;
	regions->count++;
	return 0;
}

static int regions_fill(struct dyn_regions *regions,
			const struct vhd_dynheader *header, uint64_t header_at,
			uint64_t file_end, char *why, size_t why_len)
{
	uint64_t table = ((uint64_t)header->entries * 4 + VHD_SECTOR - 1) /
			 VHD_SECTOR * VHD_SECTOR;
	unsigned i;
	int ret;

	regions->count = 0;
	ret = region_add(regions, 0, VHD_FOOTER_SIZE, file_end,
			 "the footer's copy", why, why_len);
	if (ret == 0) {
		ret = region_add(regions, header_at, VHD_DYNHEADER_SIZE,
				 file_end, "the dynamic header", why, why_len);
	}
	if (ret == 0) {
		ret = region_add(regions, header->table_offset, table, file_end,
				 "the block allocation table", why, why_len);
	}
	for (i = 0; ret == 0 && i < VHD_LOCATORS; i++) {
		const struct vhd_locator *l = &header->locator[i];

		if (l->code != 0 && l->length != 0) {
			ret = region_add(regions, l->offset, l->length,
					 file_end, "a parent locator", why,
					 why_len);
		}
	}
	return ret;
}

/* ---- the table ---- */

static int entry_check(const struct vhd_dyn *dyn,
		       const struct dyn_regions *regions, uint32_t block,
		       uint32_t entry, uint64_t file_end, char *why,
		       size_t why_len)
{
	uint64_t start = (uint64_t)entry * VHD_SECTOR;
	uint64_t end = start + dyn->bitmap_size + dyn->header.block_size;
	unsigned i;

	/* It means something else in memory, and nobody puts a block there. */
	if (entry == BAT_BUSY) {
		snprintf(why, why_len,
			 "block %" PRIu32 " at %" PRIu64
			 " overlaps the start of the file",
			 block, start);
		return EINVAL;
	}
	if (end > file_end) {
		snprintf(why, why_len,
			 "block %" PRIu32 " at %" PRIu64 " is beyond the "
			 "file's %" PRIu64 " bytes (truncated?)",
			 block, start, file_end);
		return EINVAL;
	}
	for (i = 0; i < regions->count; i++) {
		if (start < regions->region[i].end &&
		    regions->region[i].start < end) {
			snprintf(why, why_len,
				 "block %" PRIu32 " at %" PRIu64
				 " overlaps %s at %" PRIu64,
				 block, start, regions->region[i].name,
				 regions->region[i].start);
			return EINVAL;
		}
	}
	return 0;
}

static int compare_entries(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* The places in their order. @return NULL: out of memory */
static uint32_t *sort_places(const struct vhd_dyn *dyn, uint32_t blocks,
			     uint32_t used)
{
	uint32_t *sorted = malloc(((size_t)used + 1) * sizeof(*sorted));
	bool ascending = true;
	uint32_t i, n = 0;

	if (sorted == NULL) {
		return NULL;
	}
	for (i = 0; i < blocks; i++) {
		if (dyn->bat[i] != BAT_NONE) {
			sorted[n] = dyn->bat[i];
			ascending &= n == 0 || sorted[n] > sorted[n - 1];
			n++;
		}
	}
	if (!ascending) {
		qsort(sorted, n, sizeof(*sorted), compare_entries);
	}
	return sorted;
}

/* No two blocks in the same place. */
static int overlap_check(const struct vhd_dyn *dyn, const uint32_t *sorted,
			 uint32_t used, char *why, size_t why_len)
{
	uint32_t span =
		(dyn->bitmap_size + dyn->header.block_size) / VHD_SECTOR;
	uint32_t i;

	for (i = 1; i < used; i++) {
		if (sorted[i] - sorted[i - 1] < span) {
			snprintf(why, why_len,
				 "two blocks overlap, at %" PRIu64
				 " and %" PRIu64,
				 (uint64_t)sorted[i - 1] * VHD_SECTOR,
				 (uint64_t)sorted[i] * VHD_SECTOR);
			return EINVAL;
		}
	}
	return 0;
}

/* Blocks behind each other, and what is free between them. */
static int places_check(struct vhd_file *file, struct vhd_dyn *dyn,
			const struct vhd_footer *footer,
			const struct dyn_regions *regions, char *why,
			size_t why_len)
{
	uint32_t used = atomic_load(&dyn->allocated);
	uint32_t *sorted = sort_places(dyn, dyn->loaded_blocks, used);
	int ret;

	if (sorted == NULL) {
		snprintf(why, why_len, "out of memory");
		return ENOMEM;
	}
	ret = overlap_check(dyn, sorted, used, why, why_len);
	if (ret == 0 && !file->readonly) {
		ret = dyn_find_gaps(dyn, footer, regions, sorted, used);
	}
	free(sorted);
	/* What is read here may not be on stable storage, if whoever changed
	 * the table was killed: while the old one may come back with a power
	 * failure, what it leads to is not free. */
	if (ret == 0 && dyn->gap_count > 0) {
		ret = vhd_file_sync(file);
		if (ret != 0) {
			snprintf(why, why_len, "flushing the file: %s",
				 strerror(ret));
		}
	}
	return ret;
}

static int table_load(struct vhd_file *file, struct vhd_dyn *dyn,
		      const struct dyn_regions *regions, uint32_t blocks,
		      uint64_t file_end, char *why, size_t why_len)
{
	uint8_t *chunk = malloc(TABLE_CHUNK);
	uint32_t i, at = 0, used = 0;
	int ret = chunk == NULL ? ENOMEM : 0;

	while (ret == 0 && at < blocks) {
		uint32_t n = blocks - at < TABLE_CHUNK / 4 ? blocks - at
							   : TABLE_CHUNK / 4;

		ret = vhd_file_pread(file, chunk, (size_t)n * 4,
				     dyn->header.table_offset +
					     (uint64_t)at * 4);
		if (ret != 0) {
			snprintf(why, why_len,
				 "reading the block allocation table: %s",
				 strerror(ret));
			break;
		}
		for (i = 0; i < n; i++) {
			uint32_t entry = get_be32(chunk + (size_t)i * 4);

			if (entry == VHD_BAT_UNUSED) {
				continue;
			}
			ret = entry_check(dyn, regions, at + i, entry, file_end,
					  why, why_len);
			if (ret != 0) {
				break;
			}
			dyn->bat[at + i] = entry;
			used++;
		}
		at += n;
	}
	free(chunk);
	atomic_init(&dyn->allocated, used);
	return ret;
}

/* ---- parents ---- */

static int hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9') {
		return c - '0';
	}
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/*
 * "a file URL with UTF-8 encoding conforming to RFC 2396", so with escapes; a
 * path that is no URL is taken as it is. Room for padding with zeroes.
 */
static bool url_path(const uint8_t *p, size_t n, char *path, size_t len)
{
	static const char scheme[] = "file://", host[] = "localhost/";
	bool url = n >= sizeof(scheme) - 1 &&
		   memcmp(p, scheme, sizeof(scheme) - 1) == 0;
	const uint8_t *end = memchr(p, '\0', n);
	size_t at = 0;

	end = end != NULL ? end : p + n;
	if (url) {
		p += sizeof(scheme) - 1;
		if ((size_t)(end - p) >= sizeof(host) - 1 &&
		    strncasecmp((const char *)p, host, sizeof(host) - 1) == 0) {
			p += sizeof(host) - 2;
		}
	}
	while (p < end && at + 1 < len) {
		int high = -1, low = -1;

		if (url && *p == '%' && end - p > 2) {
			high = hex_digit(p[1]);
			low = hex_digit(p[2]);
		}
		if (high >= 0 && low >= 0 && (high | low) != 0) {
			path[at++] = (char)(high << 4 | low);
			p += 3;
		} else {
			path[at++] = (char)*p++;
		}
	}
	path[at] = '\0';
	return p == end && at > 0;
}

static bool locator_path(struct vhd_file *file, const struct vhd_locator *l,
			 char *path, size_t len)
{
	uint8_t buf[2048];

	if (l->length == 0 || l->length > sizeof(buf) ||
	    vhd_file_pread(file, buf, l->length, l->offset) != 0) {
		return false;
	}
	if (l->code == VHD_LOCATOR_MACX) {
		return url_path(buf, l->length, path, len);
	}
	return vhd_utf16_pull(buf, l->length, false, path, len) == 0 &&
	       path[0] != '\0';
}

static void add_parent(struct vhd_dyn *dyn, const char *path, bool relative)
{
	struct dyn_parent_path *p = &dyn->parents[dyn->parent_count];

	p->path = strdup(path);
	p->relative = relative;
	dyn->parent_count += p->path != NULL;
}

/* Of what may be there in several places, the absolute path first. */
static void load_parents(struct vhd_file *file, struct vhd_dyn *dyn)
{
	static const uint32_t best[] = {VHD_LOCATOR_W2KU, VHD_LOCATOR_W2RU,
					VHD_LOCATOR_MACX};
	const struct vhd_dynheader *header = &dyn->header;
	char path[sizeof(dyn->parent)];
	unsigned i, k;

	for (k = 0; k < sizeof(best) / sizeof(best[0]); k++) {
		for (i = 0; i < VHD_LOCATORS; i++) {
			if (header->locator[i].code == best[k] &&
			    locator_path(file, &header->locator[i], path,
					 sizeof(path))) {
				add_parent(dyn, path,
					   best[k] == VHD_LOCATOR_W2RU);
			}
		}
	}
	if (vhd_utf16_pull(header->parent_name, sizeof(header->parent_name),
			   true, path, sizeof(path)) == 0 &&
	    path[0] != '\0') {
		add_parent(dyn, path, true);
	}
	if (dyn->parent_count > 0) {
		snprintf(dyn->parent, sizeof(dyn->parent), "%s",
			 dyn->parents[0].path);
	}
}

/* ---- open ---- */

static int header_load(struct vhd_file *file, const struct vhd_footer *footer,
		       uint64_t file_end, struct vhd_dynheader *header,
		       char *why, size_t why_len)
{
	uint8_t buf[VHD_DYNHEADER_SIZE];
	char reason[VHD_WHY_MAX];
	int ret;

	if (footer->data_offset % VHD_SECTOR != 0 ||
	    footer->data_offset > file_end ||
	    file_end - footer->data_offset < sizeof(buf)) {
		snprintf(why, why_len,
			 "the footer's data offset %" PRIu64
			 " is no place for a dynamic header in %" PRIu64
			 " bytes",
			 footer->data_offset, file_end);
		return EINVAL;
	}
	ret = vhd_file_pread(file, buf, sizeof(buf), footer->data_offset);
	if (ret != 0) {
		snprintf(why, why_len, "reading the dynamic header: %s",
			 strerror(ret));
		return ret;
	}
	ret = vhd_dynheader_pull(buf, footer->current_size, header, reason,
				 sizeof(reason));
	if (ret != 0) {
		snprintf(why, why_len, "%s (at offset %" PRIu64 ")", reason,
			 footer->data_offset);
	}
	return ret;
}

int dyn_load(struct vhd_file *file, const struct vhd_footer *footer,
	     uint64_t footer_at, struct vhd_dyn **result, char *why,
	     size_t why_len)
{
	struct vhd_dynheader header;
	struct dyn_regions regions;
	struct vhd_dyn *dyn;
	uint32_t blocks;
	int ret;

	ret = header_load(file, footer, footer_at, &header, why, why_len);
	if (ret == 0) {
		ret = regions_fill(&regions, &header, footer->data_offset,
				   footer_at, why, why_len);
	}
	if (ret != 0) {
		return ret;
	}
	dyn = dyn_new(&header);
	if (dyn == NULL) {
		snprintf(why, why_len, "out of memory");
		return ENOMEM;
	}
	blocks = (uint32_t)((footer->current_size + header.block_size - 1) >>
			    dyn->block_shift);
	dyn->loaded_blocks = blocks;
	dyn->next = footer_at;
	dyn->end = footer_at;
	ret = table_load(file, dyn, &regions, blocks, footer_at, why, why_len);
	if (ret == 0) {
		dyn_choose_align(dyn, footer->current_size);
		ret = places_check(file, dyn, footer, &regions, why, why_len);
	}
	if (ret != 0) {
		dyn_free(dyn);
		return ret;
	}
	vhd_footer_push(footer, dyn->footer);
	if (footer->type == VHD_TYPE_DIFFERENCING) {
		load_parents(file, dyn);
	}
	*result = dyn;
	return 0;
}

uint64_t dyn_header_end(const struct vhd_dyn *dyn,
			const struct vhd_footer *footer)
{
	uint64_t end = footer->data_offset + VHD_DYNHEADER_SIZE;
	unsigned i;

	for (i = 0; i < VHD_LOCATORS; i++) {
		const struct vhd_locator *l = &dyn->header.locator[i];
		/* Reserved space, in bytes or in sectors. */
		uint64_t len = l->length > l->space ? l->length : l->space;

		/* regions_fill() has checked those that hold anything. */
		if (l->code != 0 && l->length != 0 && end < l->offset + len) {
			end = l->offset + len;
		}
	}
	end = (end + VHD_SECTOR - 1) / VHD_SECTOR * VHD_SECTOR;
	return end < dyn->end ? end : dyn->end;
}

uint64_t dyn_metadata_end(const struct vhd_dyn *dyn,
			  const struct vhd_footer *footer)
{
	uint64_t end = dyn_header_end(dyn, footer);
	uint64_t table_end =
		dyn->header.table_offset +
		((uint64_t)dyn->header.entries * 4 + VHD_SECTOR - 1) /
			VHD_SECTOR * VHD_SECTOR;

	return end > table_end ? end : table_end;
}

/* Released blocks at the end of the file belong to what was not used. */
static void forget_spare_end(struct vhd_dyn *dyn,
			     const struct vhd_footer *footer)
{
	uint64_t end = dyn_metadata_end(dyn, footer);
	uint32_t i;

	for (i = 0; i < dyn->loaded_blocks; i++) {
		uint64_t block_end = (uint64_t)dyn->bat[i] * VHD_SECTOR +
				     dyn->bitmap_size + dyn->header.block_size;

		if (dyn->bat[i] != BAT_NONE && end < block_end) {
			end = block_end;
		}
	}
	if (end < dyn->next) {
		dyn->next = end;
	}
}

/*
 * What was appended lies between next and end. The footer at next is on stable
 * storage before the file is cut: an older one may have been there, from before
 * the disk grew.
 */
void dyn_trim(struct vhd_file *file, struct vhd_dyn *dyn,
	      const struct vhd_footer *footer)
{
	int ret;

	if (dyn->spare_count > 0 && dyn->failed_count == 0 && !dyn->unsure) {
		forget_spare_end(dyn, footer);
	}
	if (dyn->next >= dyn->end || dyn->frozen) {
		return;
	}
	ret = vhd_file_pwrite_durable(file, dyn->footer, VHD_FOOTER_SIZE,
				      dyn->next);
	if (ret == 0) {
		ret = vhd_file_truncate(file, dyn->next + VHD_FOOTER_SIZE);
	}
	if (ret != 0) {
		vhd_log(1, "vhd: %s: cannot give back unused space: %s",
			file->name, strerror(ret));
	}
}
