/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What compacting has in common in all formats. Worker threads. */
#ifndef ISTM_VHD_COMPACT_H
#define ISTM_VHD_COMPACT_H

#include "vhd/work.h"

/* Zeroes are looked for in such pieces: 16 bytes of a bitmap of 512-byte
 * sectors, 2 of one of 4096. */
#define COMPACT_PIECE 65536u

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

/* A block, or a sector bitmap, that goes to another place. */
struct compact_move {
	uint64_t entry; /* the format's own: who leads there */
	uint64_t from, to, length;
};

struct compact_mover {
	/* The next to be moved, and where to. @return false: no more */
	bool (*next)(void *data, struct compact_move *move);
	/* Its copy is stable: let its entry lead there. @return 0 or errno */
	int (*enter)(void *data, const struct compact_move *move);
	/* Have all that was entered on stable storage. @return 0 or errno */
	int (*commit)(void *data);
};

/*
 * Move all, a batch at a time: a place is given up when nothing leads there any
 * more. @return 0, ECANCELED or errno
 */
int compact_move_all(struct compact_work *work,
		     const struct compact_mover *mover, void *data);

/* Each format's own: @return 0, or an errno with work->w.why, or one that
 * happened while work->what was being done. */
int dyn_compact(struct compact_work *work, const struct vhd_footer *footer,
		uint64_t footer_at);
int vhdx_compact(struct compact_work *work);

#endif /* ISTM_VHD_COMPACT_H */
