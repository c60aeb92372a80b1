/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Where in which file a VHDX disk's bytes are. On any thread, without a lock;
 * nothing is read from a file. */
#ifndef ISTM_VHD_VHDX_PLACE_H
#define ISTM_VHD_VHDX_PLACE_H

#include "vhd/vhdx_disk.h"

/*
 * Sectors of a partially present block, up to place->length, which is cut.
 * @return are they in this disk? With place->kind LOAD: not known
 */
bool vhdx_place_by_bitmap(const struct vhd_disk *disk, uint64_t at,
			  struct vhd_place *place);
/*
 * Blocks in their order, as a fixed disk's are: one transfer for all.
 * @param entry  of the block at @at, which is fully present
 * @return how much of @length
 */
uint64_t vhdx_run_of_blocks(const struct vhdx *vx, uint64_t at, uint64_t entry,
			    uint64_t length);

/* vhd_format_ops.find */
bool vhdx_find(const struct vhd_disk *disk, uint64_t at,
	       struct vhd_place *place);

#endif /* ISTM_VHD_VHDX_PLACE_H */
