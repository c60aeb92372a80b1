/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What compacting has in common in all formats. Worker threads. */
#ifndef ISTM_VHD_COMPACT_H
#define ISTM_VHD_COMPACT_H

#include "vhd/work.h"

/* Zeroes are looked for in such pieces: 16 bytes of a bitmap of 512-byte
 * sectors, 2 of one of 4096. */
#define COMPACT_PIECE 65536u

/* Blocks are copied, then their entries written, so many at a time. */
#define COMPACT_BATCH 32

struct compact_work {
	struct vhd_work w;
	struct vhd_job *job;
	const char *what; /* being done, for the message */
	uint64_t size;	  /* of the file */
	uint8_t *piece;
	struct vhd_compact result;
};

bool compact_all_zero(const uint8_t *p, size_t len);

/* What cannot be punched out, stays: no error. */
int compact_punch(struct compact_work *work, uint64_t at, uint64_t len);

/*
 * Look at @len bytes of data and punch out the pieces that hold nothing:
 * zeroes, or sectors that are not there.
 * @param bits  of the sectors that are, NULL: all of them
 * @param zero  what is there, is zeroes
 */
int compact_scan(struct compact_work *work, uint64_t data, uint64_t len,
		 const uint8_t *bits, uint32_t sector, bool *zero);

/* Copy a block to a place that may hold anything. */
int compact_copy(struct compact_work *work, uint64_t from, uint64_t to,
		 uint64_t len);

/* Each format's own: @return 0, or an errno with work->w.why, or one that
 * happened while work->what was being done. */
int dyn_compact(struct compact_work *work, const struct vhd_footer *footer,
		uint64_t footer_at);
int vhdx_compact(struct compact_work *work);

#endif /* ISTM_VHD_COMPACT_H */
