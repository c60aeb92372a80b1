/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Where in which file a VHDX disk's bytes are. On any thread, without a lock;
 * nothing is read from a file. */
#ifndef ISTM_VHD_VHDX_PLACE_H
#define ISTM_VHD_VHDX_PLACE_H

#include "vhd/vhdx_disk.h"

enum vhdx_place_kind {
	VHDX_PLACE_DATA,
	VHDX_PLACE_NOWHERE, /* zeroes */
	VHDX_PLACE_LOAD,    /* a page of a sector bitmap has to be read first */
};

struct vhdx_place {
	enum vhdx_place_kind kind;
	uint64_t length;	     /* how far this holds */
	const struct vhd_disk *disk; /* DATA: in its file; LOAD: its bitmap */
	uint64_t offset;	     /* DATA */
	uint64_t page;		     /* LOAD */
};

/* Down the chain: who has the bytes at @at? */
void vhdx_find_place(const struct vhd_disk *disk, uint64_t at, uint64_t length,
		     struct vhdx_place *place);
/*
 * Sectors of a partially present block, up to place->length, which is cut.
 * @return are they in this disk? With place->kind LOAD: not known
 */
bool vhdx_place_by_bitmap(const struct vhd_disk *disk, uint64_t at,
			  struct vhdx_place *place);
/*
 * Blocks in their order, as a fixed disk's are: one transfer for all.
 * @param entry  of the block at @at, which is fully present
 * @return how much of @length
 */
uint64_t vhdx_run_of_blocks(const struct vhdx *vx, uint64_t at, uint64_t entry,
			    uint64_t length);

/* Of struct vhd_format_ops. */
bool vhdx_mapped(const struct vhd_disk *disk, uint64_t offset,
		 uint64_t *length);
int vhdx_locate(const struct vhd_disk *disk, uint64_t offset, bool wait,
		uint64_t *length, struct vhd_source *place);

#endif /* ISTM_VHD_VHDX_PLACE_H */
