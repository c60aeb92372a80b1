/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Places between a dynamic disk's blocks that belong to nobody: released
 * earlier, or appended and lost in a crash. Found when the file is opened; what
 * they hold is not known, so they are punched out and flushed before blocks go
 * there (dynblock.c).
 */

#include <errno.h>
#include <stdlib.h>

#include "vhd/dynamic.h"

static int gap_append(struct vhd_dyn *dyn, uint64_t first, uint64_t count)
{
	if (dyn->gap_count == dyn->gap_room) {
		uint32_t room = dyn->gap_room != 0 ? 2 * dyn->gap_room : 16;
		struct dyn_gap *gap =
			realloc(dyn->gap, (size_t)room * sizeof(*gap));

		if (gap == NULL) {
			return ENOMEM;
		}
		dyn->gap = gap;
		dyn->gap_room = room;
	}
	dyn->gap[dyn->gap_count++] = (struct dyn_gap){
		.first = (uint32_t)(first / VHD_SECTOR),
		.count = (uint32_t)count,
	};
	return 0;
}

/* The places between @from and @to; with data on the usual boundary, if there
 * is room for that. */
static int places_between(struct vhd_dyn *dyn, uint64_t from, uint64_t to)
{
	uint64_t length = (uint64_t)dyn->bitmap_size + dyn->header.block_size;
	uint64_t place = dyn_align_place(dyn, from);

	if (place > to || to - place < length) {
		place = (from + VHD_SECTOR - 1) / VHD_SECTOR * VHD_SECTOR;
	}
	if (place > to || to - place < length) {
		return 0;
	}
	return gap_append(dyn, place,
			  (to - place - length) / dyn->gap_span + 1);
}

/* All but metadata that lie there: a table that growth has moved. */
static int gap_add(struct vhd_dyn *dyn, const struct dyn_regions *regions,
		   uint64_t from, uint64_t to)
{
	unsigned i;
	int ret;

	if (from >= to) {
		return 0;
	}
	for (i = 0; i < regions->count; i++) {
		uint64_t start = regions->region[i].start;
		uint64_t end = regions->region[i].end;

		if (start < to && end > from) {
			ret = gap_add(dyn, regions, from, start);
			return ret != 0 ? ret : gap_add(dyn, regions, end, to);
		}
	}
	return places_between(dyn, from, to);
}

/*
 * Before the first block there may be what others keep behind the table. Only
 * whole places right before @to are taken for such.
 */
static int first_gap(struct vhd_dyn *dyn, uint64_t from, uint64_t to)
{
	uint64_t count = from < to ? (to - from) / dyn->gap_span : 0;

	return count == 0 ? 0
			  : gap_append(dyn, to - count * dyn->gap_span, count);
}

int dyn_find_gaps(struct vhd_dyn *dyn, const struct vhd_footer *footer,
		  const struct dyn_regions *regions, const uint32_t *sorted,
		  uint32_t count)
{
	uint64_t length = (uint64_t)dyn->bitmap_size + dyn->header.block_size;
	uint64_t from = dyn_metadata_end(dyn, footer);
	uint64_t to = count > 0 ? (uint64_t)sorted[0] * VHD_SECTOR : dyn->end;
	uint32_t i;
	int ret;

	dyn->gap_span = dyn_span(dyn);
	ret = first_gap(dyn, from, to);
	for (i = 0; ret == 0 && i < count; i++) {
		from = (uint64_t)sorted[i] * VHD_SECTOR + length;
		to = i + 1 < count ? (uint64_t)sorted[i + 1] * VHD_SECTOR
				   : dyn->end;
		if (to - from >= length) {
			ret = gap_add(dyn, regions, from, to);
		}
	}
	return ret;
}

uint32_t dyn_gap_take(struct vhd_dyn *dyn, uint32_t *place, uint32_t most)
{
	uint32_t n = 0;

	while (n < most && dyn->gap_count > 0) {
		struct dyn_gap *gap = &dyn->gap[dyn->gap_count - 1];

		gap->count--;
		place[n++] =
			gap->first +
			(uint32_t)(gap->count * (dyn->gap_span / VHD_SECTOR));
		if (gap->count == 0) {
			dyn->gap_count--;
		}
	}
	return n;
}
