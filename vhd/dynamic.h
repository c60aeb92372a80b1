/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Dynamic and differencing disks, inside the engine.
 *
 * Shared by all lanes, with these rules:
 *  - The table in memory (bat) is read without a lock. An entry changes from
 *    unused to its place by the request that allocates the block, and is
 *    stored (release) after all that it leads to has been written; and back
 *    by a discard of the whole block, which the gate lets run alone.
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
 *  - A discarded block's data are punched out, then its table entry is cleared,
 *    then both are flushed: the block reads as before or as zeroes throughout.
 *    After that its place may become another block's: the data there read as
 *    zeroes, as those of appended space do, and a differencing disk's old
 *    bitmap is cleared (RWF_DSYNC) before the new table entry is written.
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
 * the same place again, since the table in the file may lead there. */
#define DYN_FAILED_MAX 16

/* Free places between blocks: the first one's sector, how many. */
struct dyn_gap {
	uint32_t first, count;
};

/* Free places that are made usable at once. */
#define DYN_RECLAIM_MAX 16

/* What blocks must not overlap: footer's copy, header, table, locators. */
#define DYN_REGIONS_MAX (3 + VHD_LOCATORS)

struct dyn_regions {
	unsigned count;
	struct {
		uint64_t start, end;
		const char *name;
	} region[DYN_REGIONS_MAX];
};

/*
 * What a request does next. Each phase is entered with the result of the step
 * before it.
 */
enum dyn_phase {
	DYN_START = VHD_SEGMENT_START,
	DYN_NEXT = VHD_SEGMENT_NEXT,
	DYN_MOVED = VHD_SEGMENT_MOVED,
	DYN_LOADED = VHD_SEGMENT_PHASES, /* a bitmap is read */
	DYN_NEW_SECTORS, /* data of absent sectors are written, durable */
	DYN_SET_BITS,	 /* now their bits */
	DYN_BITS_WRITTEN,
	/* dynblock.c: */
	DYN_RECLAIM_PUNCHED, /* free places: one is punched out */
	DYN_RECLAIM_SYNCED,  /* and all are flushed */
	DYN_FOOTER,	     /* extension: the new footer is written */
	DYN_APPENDED,	     /* extension: and flushed */
	DYN_SCRUBBED, /* new block: what a failed attempt left is punched out */
	DYN_SCRUB_SYNCED,
	DYN_CLEARED, /* new block: its place's old bitmap is */
	DYN_ONES,    /* new block: its bitmap is written */
	DYN_FILLED,  /* new block: its data are */
	DYN_ENTERED, /* new block: its table entry is */
	/* dyndiscard.c: */
	DYN_PUNCHED, /* a segment's data are punched out */
	DYN_HIDDEN,  /* so are those that will hide the parent's */
	DYN_HIDDEN_SYNCED,
	DYN_RELEASE_PUNCHED, /* a whole block's data are */
	DYN_RELEASE_ENTERED, /* the table entries are cleared */
	DYN_RELEASE_SYNCED,
	DYN_FLUSHED,
};

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
	/* The table in the file may lead to places that it does not in
	 * memory: their release could not be flushed, or a block's allocation
	 * has failed and its place is not among the failed. */
	_Atomic bool unsure;
	/* Places of released blocks, to be used again: their data read as
	 * zeroes durably. */
	uint32_t *spare, spare_count, spare_room;
	/*
	 * Places that were free when the file was opened and may hold
	 * anything; and those that are being punched out. Of whoever has set
	 * extending.
	 */
	struct dyn_gap *gap;
	uint32_t gap_count, gap_room;
	uint64_t gap_span; /* from one place to the next */
	uint32_t reclaim[DYN_RECLAIM_MAX], reclaim_count;
	uint8_t footer[VHD_FOOTER_SIZE]; /* as on disk */
	uint8_t *ones;			 /* the bitmap of a new block */
	char parent[1024];		 /* path, or "" */
	/* All that the locators tell, the best first; malloc. */
	struct dyn_parent_path {
		char *path;
		bool relative; /* to the child's folder */
	} parents[VHD_LOCATORS + 1];
	unsigned parent_count;
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
/* The first place for a block from @from on. */
uint64_t dyn_align_place(const struct vhd_dyn *dyn, uint64_t from);
/* The same behind a footer at @end. */
uint64_t dyn_place_after(const struct vhd_dyn *dyn, uint64_t end);

/* ---- the allocator (dynalloc.c); lane ---- */

enum dyn_take {
	/* st->dyn.place; dyn_publish() or dyn_give_back() follows. With
	 * st->dyn.used_before, a block has been there; with scrub, a part of
	 * its data may be left. */
	DYN_TAKEN,
	DYN_LOOK,    /* somebody has allocated it meanwhile */
	DYN_WAIT,    /* the request will be posted; look again then */
	DYN_RECLAIM, /* dyn->reclaim[] is to be punched out and flushed, then
		      * dyn_reclaimed() */
	DYN_EXTEND,  /* append space first, then dyn_extended() */
};

enum dyn_take dyn_take_block(struct vhd_req *req, uint32_t block);
void dyn_publish(struct vhd_req *req, struct vhd_bitmap *bitmap);
/* The block is absent as before. @param keep  its place is the next attempt's;
 * else it is lost until the file is opened again */
void dyn_give_back(struct vhd_req *req, bool keep);
/* Blocks are about to be released: growth waits. @return false: the request
 * will be posted; try again then */
bool dyn_release_begin(struct vhd_req *req);
/* Done; their places may be used again, unless @count is 0. */
void dyn_release_end(struct vhd_dyn *dyn, const uint32_t *place,
		     uint32_t count);
/* The first @count of dyn->reclaim[] may be used. */
void dyn_reclaimed(struct vhd_dyn *dyn, uint32_t count);
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

/* ---- requests (dynamic.c); lane ---- */

/* Load the bitmap of @place->number in @place->disk, then look again. */
int dyn_load_bitmap(struct vhd_req *req, const struct vhd_place *place);

/* Allocation (dynblock.c): the disk has no such block. For a dynamic disk the
 * segment is written with it; for a differencing one the block is empty. */
int dyn_write_absent_block(struct vhd_req *req, uint32_t block);
int dyn_reclaim_punched(struct vhd_req *req, int result);
int dyn_reclaim_synced(struct vhd_req *req, int result);
int dyn_footer_written(struct vhd_req *req, int result);
int dyn_extension_flushed(struct vhd_req *req, int result);
int dyn_block_scrubbed(struct vhd_req *req, int result);
int dyn_scrub_synced(struct vhd_req *req, int result);
int dyn_block_cleared(struct vhd_req *req, int result);
int dyn_block_ones(struct vhd_req *req, int result);
int dyn_block_filled(struct vhd_req *req, int result);
int dyn_block_entered(struct vhd_req *req, int result);

/* Zeroing and discarding (dyndiscard.c). */
int dyn_zero_next(struct vhd_req *req, uint64_t left);
int dyn_punched(struct vhd_req *req, int result);
int dyn_hidden(struct vhd_req *req, int result);
int dyn_hidden_synced(struct vhd_req *req, int result);
int dyn_release_punched(struct vhd_req *req, int result);
int dyn_release_entered(struct vhd_req *req, int result);
int dyn_release_synced(struct vhd_req *req, int result);
/* vhd_format_ops.wants_alone */
bool dyn_wants_alone(const struct vhd_disk *disk, const struct vhd_req *req);

/* ---- bitmaps (dynbitmap.c) ---- */

extern struct vhd_bitmap vhd_bitmap_full;

/* @return a bitmap with no bit set, or NULL */
struct vhd_bitmap *dyn_bitmap_new(const struct vhd_dyn *dyn);
/* @return how many of the sectors from @first on, up to @count, are alike;
 * *@set: whether their bits are set */
uint32_t dyn_bitmap_run(const struct vhd_bitmap *bitmap, uint32_t first,
			uint32_t count, bool *set);
void dyn_bitmap_clear(const struct vhd_dyn *dyn, struct vhd_bitmap *bitmap);
void dyn_bitmap_set(const struct vhd_dyn *dyn, struct vhd_bitmap *bitmap,
		    uint32_t first, uint32_t count);

/* ---- free places (dyngap.c) ---- */

/*
 * Learn what is free between and behind the blocks, whose @count places
 * @sorted has in order. Worker thread, at open. @return 0 or ENOMEM
 */
int dyn_find_gaps(struct vhd_dyn *dyn, const struct vhd_footer *footer,
		  const struct dyn_regions *regions, const uint32_t *sorted,
		  uint32_t count);
/* Take up to @most places from the list. @return how many */
uint32_t dyn_gap_take(struct vhd_dyn *dyn, uint32_t *place, uint32_t most);

/* ---- files (dynfile.c); worker threads ---- */

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

/* Write a new one into the empty file. @return 0 or errno */
int dyn_create(struct vhd_file *file, const struct vhd_create_params *params);

/* Where header and locators end, at most where the footer is; and the table. */
uint64_t dyn_header_end(const struct vhd_dyn *dyn,
			const struct vhd_footer *footer);
uint64_t dyn_metadata_end(const struct vhd_dyn *dyn,
			  const struct vhd_footer *footer);

/* Give back what was appended and not used, or released at the end. */
void dyn_trim(struct vhd_file *file, struct vhd_dyn *dyn,
	      const struct vhd_footer *footer);
int dyn_grow(struct vhd_disk *disk, struct vhd_file *file, uint64_t new_size,
	     struct vhd_footer *footer, char *why, size_t why_len);

extern const struct vhd_format_ops vhd_dynamic_ops;

#endif /* ISTM_VHD_DYNAMIC_H */
