/* SPDX-License-Identifier: GPL-3.0-or-later */
/* VHDX disks of all kinds: where in which file the bytes are. The rules are in
 * vhdx_disk.h. */

#include <errno.h>

#include "vhd/vhdx_place.h"

uint64_t vhdx_run_of_blocks(const struct vhdx *vx, uint64_t at, uint64_t entry,
			    uint64_t length)
{
	uint64_t bs = vx->metadata.block_size;
	uint64_t here = bs - (at & (bs - 1));

	while (here < length) {
		entry += bs;
		if (vhdx_entry(vx, vhdx_payload_index(vx, at + here)) !=
		    entry) {
			break;
		}
		here += bs;
	}
	return here < length ? here : length;
}

bool vhdx_place_by_bitmap(const struct vhd_disk *disk, uint64_t at,
			  struct vhdx_place *place)
{
	const struct vhdx *vx = vhdx_of(disk);
	uint64_t number = vhdx_page_of(vx, at);
	uint64_t sectors = place->length >> vx->sector_shift;
	uint32_t bit = vhdx_bit_of(vx, at);
	struct vhdx_page *page =
		atomic_load_explicit(&vx->pages[number], memory_order_acquire);
	bool set;

	if (page == NULL) {
		place->kind = VHDX_PLACE_LOAD;
		place->page = number;
		return true;
	}
	if (sectors > VHDX_PAGE_BITS - bit) {
		sectors = VHDX_PAGE_BITS - bit;
	}
	sectors = vhdx_page_run(page, bit, (uint32_t)sectors, &set);
	place->length = sectors << vx->sector_shift;
	place->kind = VHDX_PLACE_DATA;
	return set;
}

/* Is it in this disk itself? @return false: ask the parent */
static bool place_in(const struct vhd_disk *disk, uint64_t at,
		     struct vhdx_place *place)
{
	const struct vhdx *vx = vhdx_of(disk);
	uint64_t bs = vx->metadata.block_size, within = at & (bs - 1);
	uint64_t entry = vhdx_entry(vx, vhdx_payload_index(vx, at));

	place->disk = disk;
	place->offset = VHDX_BAT_OFFSET(entry) + within;
	switch (VHDX_BAT_STATE(entry)) {
	case VHDX_FULLY_PRESENT:
		place->kind = VHDX_PLACE_DATA;
		place->length =
			vhdx_run_of_blocks(vx, at, entry, place->length);
		return true;
	case VHDX_PARTIALLY_PRESENT:
		if (place->length > bs - within) {
			place->length = bs - within;
		}
		return vhdx_place_by_bitmap(disk, at, place);
	default:
		if (place->length > bs - within) {
			place->length = bs - within;
		}
		/* Zeroes, whatever the parent. */
		place->kind = VHDX_PLACE_NOWHERE;
		return VHDX_BAT_STATE(entry) != VHDX_NOT_PRESENT;
	}
}

void vhdx_find_place(const struct vhd_disk *disk, uint64_t at, uint64_t length,
		     struct vhdx_place *place)
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
		if (place_in(disk, at, place)) {
			return;
		}
	}
	place->kind = VHDX_PLACE_NOWHERE;
}

bool vhdx_mapped(const struct vhd_disk *disk, uint64_t offset, uint64_t *length)
{
	struct vhdx_place place;

	vhdx_find_place(disk, offset, *length, &place);
	*length = place.length;
	switch (place.kind) {
	case VHDX_PLACE_NOWHERE:
		return false;
	case VHDX_PLACE_LOAD:
		return true; /* its bitmap is not in memory */
	default:
		return vhd_file_has_data(place.disk->file, place.offset,
					 length);
	}
}

int vhdx_locate(const struct vhd_disk *disk, uint64_t offset, bool wait,
		uint64_t *length, struct vhd_source *place)
{
	struct vhdx_place where;

	vhdx_find_place(disk, offset, *length, &where);
	*length = where.length;
	switch (where.kind) {
	case VHDX_PLACE_LOAD:
		return EOPNOTSUPP; /* a read loads its bitmap */
	case VHDX_PLACE_NOWHERE:
		return ENOENT;
	default:
		place->file = where.disk->file;
		place->offset = where.offset;
		return 0;
	}
}
