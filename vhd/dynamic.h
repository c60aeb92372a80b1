/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Dynamic and differencing disks, inside the engine.
 *
 * Shared by all lanes, with these rules:
 *  - The table in memory (bat) is read without a lock. An entry changes once,
 *    from unused to its place, by the request that allocates the block; it
 *    is stored (release) after all that it leads to has been written.
 *  - What is free and who allocates is behind dyn->lock, never held across
 *    I/O. Requests that need a block which another is allocating, or space
 *    which another is appending, wait in dyn->waiters and look again.
 *  - A block's bitmap is loaded at first use; its bits are only ever set, after
 *    the data they stand for are on stable storage and the bitmap is written.
 *
 * On disk, so that a crash at any point leaves a file that opens:
 *  - Space is appended by writing the footer further behind, several blocks
 *    at a time, then fdatasync: no table entry ever leads behind the footer.
 *  - The old footer lies in the gap before the next block's bitmap: the data
 *    start on a boundary (dyn->align), the bitmap right before them.
 *  - Appended space reads as zeroes. A block's bitmap, data and table entry
 *    may then reach the disk in any order: a block without bitmap or data
 *    reads as what it held before, zeroes or the parent's.
 *  - In a differencing disk a set bit hides the parent's sector, so the data
 *    are on stable storage (RWF_DSYNC) before the bitmap is written.
 */
#ifndef ISTM_VHD_DYNAMIC_H
#define ISTM_VHD_DYNAMIC_H

#include "vhd/dynheader.h"
#include "vhd/private.h"

/* In memory: 0 is unused (sector 0 is the footer's copy), else the sector. */
#define BAT_NONE 0u
#define BAT_BUSY 1u /* being allocated; reads as unused */

/* Which sectors of a block are in it. */
struct vhd_bitmap {
	_Atomic bool full; /* all ones */
	/* Behind dyn->lock: */
	bool writing;	 /* a request is writing it */
	uint8_t *shadow; /* what is being written */
	uint8_t bits[];	 /* most significant bit first; atomic accesses */
};

/* Blocks whose place was taken but whose allocation then failed: they get
 * the same place again, since it may hold a part of their data. */
#define DYN_FAILED_MAX 16

struct vhd_dyn {
	struct vhd_dynheader header;
	unsigned block_shift;
	uint32_t bitmap_size;
	/* Sparse mappings for the largest disk with this block size. */
	_Atomic uint32_t *bat;
	_Atomic(struct vhd_bitmap *) *bitmaps;
	size_t max_blocks;
	uint32_t loaded_blocks;	    /* of the disk's size */
	_Atomic uint32_t allocated; /* blocks */
	/*
	 * Table entries and bitmaps that were written, counted before anybody
	 * uses them; how many of them a flush has covered. FUA over others has
	 * to flush: its data alone would not be found after a crash.
	 */
	_Atomic uint64_t meta_written, meta_synced;

	pthread_mutex_t lock;
	pthread_cond_t idle; /* for growth: nobody allocates */
	uint64_t next;	     /* the next block's bitmap goes here */
	uint64_t end;	     /* the footer is here; next + span <= end: free */
	uint64_t align;	     /* of new blocks' data */
	uint32_t extend_by;  /* blocks, the next time */
	bool extending, frozen;
	unsigned allocating;
	struct vhd_req *waiters;
	uint32_t failed_count;
	struct {
		uint32_t block, place;
	} failed[DYN_FAILED_MAX];
	uint8_t footer[VHD_FOOTER_SIZE]; /* as on disk */
	uint8_t *ones;			 /* the bitmap of a new block */
	char parent[1024];		 /* path, or "" */
};

static inline struct vhd_dyn *vhd_dyn(const struct vhd_disk *disk)
{
	return disk->format;
}

/* The widest that a block's data are ever aligned. */
static inline uint64_t dyn_align_max(const struct vhd_dyn *dyn)
{
	return dyn->header.block_size / 8;
}

/*
 * Choose the boundary on which new blocks' data start: as wide as a disk of
 * @size can afford whose table counts sectors in 32 bits, 4 KiB at least.
 * The page cache keeps what is aligned in larger pieces (docs/vhd.md); the gap
 * is a hole. Nobody allocates meanwhile.
 */
void dyn_choose_align(struct vhd_dyn *dyn, uint64_t size);
/* From one block's bitmap to the next block's: gap, bitmap, data. */
uint64_t dyn_span(const struct vhd_dyn *dyn);
/* Where the bitmap goes of a block behind a footer at @end. */
uint64_t dyn_place_after(const struct vhd_dyn *dyn, uint64_t end);

/* ---- the allocator (dynalloc.c); lane ---------------------------- */

enum dyn_take {
	DYN_TAKEN, /* st->dyn.place; dyn_publish() or dyn_give_back() follows */
	DYN_LOOK,  /* somebody has allocated it meanwhile */
	DYN_WAIT,  /* the request will be posted; look again then */
	DYN_EXTEND, /* append space first, then dyn_extended() */
};

enum dyn_take dyn_take_block(struct vhd_req *req, uint32_t block);
void dyn_publish(struct vhd_req *req, struct vhd_bitmap *bitmap);
void dyn_give_back(struct vhd_req *req);
/* The footer's new place while the request extends. */
uint64_t dyn_extension_end(const struct vhd_dyn *dyn);
enum dyn_extension {
	DYN_APPENDED_OK,
	DYN_NOT_WRITTEN, /* the footer: less space may be had */
	DYN_NOT_FLUSHED, /* the footer is there: no other place for it now, or
			  * it would stay behind as a block's data */
};
void dyn_extended(struct vhd_dyn *dyn, enum dyn_extension result);

/* Wait for others, with dyn->lock held. */
void dyn_wait(struct vhd_dyn *dyn, struct vhd_req *req);
void dyn_wake(struct vhd_dyn *dyn);

/* ---- bitmaps (dynbitmap.c) --------------------------------------- */

extern struct vhd_bitmap vhd_bitmap_full;

/* @return a bitmap with no bit set, or NULL */
struct vhd_bitmap *dyn_bitmap_new(const struct vhd_dyn *dyn);
/* @return how many of the sectors from @first on, up to @count, are alike;
 * *@set: whether their bits are set */
uint32_t dyn_bitmap_run(const struct vhd_bitmap *bitmap, uint32_t first,
			uint32_t count, bool *set);
void dyn_bitmap_set(const struct vhd_dyn *dyn, struct vhd_bitmap *bitmap,
		    uint32_t first, uint32_t count);

/* ---- files (dynfile.c); worker threads --------------------------- */

/*
 * Read and check the metadata of a dynamic or differencing file whose footer
 * is known.
 * @param footer_at  where it is, or the file's size if it is missing there
 * @return 0 with *@dyn to be freed with dyn_free(), or errno with @why
 */
int dyn_load(struct vhd_file *file, const struct vhd_footer *footer,
	     uint64_t footer_at, struct vhd_dyn **dyn, char *why,
	     size_t why_len);
void dyn_free(struct vhd_dyn *dyn);
/* The parent's path as the locators tell it, best first; "" if none. */
void dyn_parent_path(struct vhd_file *file, const struct vhd_dynheader *header,
		     char *path, size_t len);

/* Write a new one into the empty file. @return 0 or errno */
int dyn_create(struct vhd_file *file, const struct vhd_create_params *params);

/* Give back what was appended and not used. */
void dyn_trim(struct vhd_file *file, struct vhd_dyn *dyn);
int dyn_grow(struct vhd_disk *disk, uint64_t new_size,
	     struct vhd_footer *footer, char *why, size_t why_len);

extern const struct vhd_format_ops vhd_dynamic_ops;

#endif /* ISTM_VHD_DYNAMIC_H */
