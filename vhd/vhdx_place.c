/* SPDX-License-Identifier: GPL-3.0-or-later */
/* VHDX disks of all kinds: where in which file the bytes are. The rules are in
 * vhdx_disk.h. */

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
			  struct vhd_place *place)
{
	const struct vhdx *vx = vhdx_of(disk);
	uint64_t number = vhdx_page_of(vx, at);
	uint64_t sectors = place->length >> vx->sector_shift;
	uint32_t bit = vhdx_bit_of(vx, at);
	struct vhdx_page *page =
		atomic_load_explicit(&vx->pages[number], memory_order_acquire);
	bool set;

	if (page == NULL) {
		place->kind = VHD_PLACE_LOAD;
		place->number = number;
		return true;
	}
	if (sectors > VHDX_PAGE_BITS - bit) {
		sectors = VHDX_PAGE_BITS - bit;
	}
	sectors = vhdx_page_run(page, bit, (uint32_t)sectors, &set);
	place->length = sectors << vx->sector_shift;
	place->kind = VHD_PLACE_DATA;
	return set;
}

bool vhdx_find(const struct vhd_disk *disk, uint64_t at,
	       struct vhd_place *place)
{
	const struct vhdx *vx = vhdx_of(disk);
	uint64_t bs = vx->metadata.block_size, within = at & (bs - 1);
	uint64_t entry = vhdx_entry(vx, vhdx_payload_index(vx, at));

	place->disk = disk;
	place->offset = VHDX_BAT_OFFSET(entry) + within;
	switch (VHDX_BAT_STATE(entry)) {
	case VHDX_FULLY_PRESENT:
		place->kind = VHD_PLACE_DATA;
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
		place->kind = VHD_PLACE_NOWHERE;
		return VHDX_BAT_STATE(entry) != VHDX_NOT_PRESENT;
	}
}
