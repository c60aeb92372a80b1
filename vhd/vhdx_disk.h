/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * VHDX disks, inside the engine.
 *
 * Shared by all lanes, with these rules:
 *  - The table in memory (bat) holds the file's entries, with two flags in
 *    reserved bits. It is read without a lock; entries change behind vx->lock,
 *    after what they lead to is written and they are in the log.
 *  - The headers, the log and the file's end belong to whoever has the *role*
 *    (vx->busy), one request or worker at a time; others wait in vx->waiters
 *    and look again. The lock is never held across I/O, the role is.
 *  - All changes of the table and of sector bitmaps are committed: queued,
 *    written by whoever gets the role, several at a time, as one log entry,
 *    flushed (RWF_DSYNC), and then applied in place (MS-VHDX 2.3). What a
 *    commit makes visible is thereby on stable storage: FUA needs no more.
 *  - A block that is given up is so by a request that the gate runs alone on
 *    its range. Its place is punched out and used again after a flush.
 *
 * On disk, so that a crash at any point leaves a file that opens:
 *  - The headers get new GUIDs before the first change of a session, the log's
 *    with its first entry.
 *  - The file is extended, flushed, before a log entry leads there.
 *  - Appended space reads as zeroes: a new block's data need be stable before
 *    its entry only where they hide a parent's.
 */
#ifndef ISTM_VHD_VHDX_DISK_H
#define ISTM_VHD_VHDX_DISK_H

#include "vhd/private.h"
#include "vhd/vhdx.h"

/* Flags of entries in memory. */
#define VHDX_BUSY UINT64_C(0x8) /* being allocated; reads as it was */
#define VHDX_UNSURE                                                            \
	UINT64_C(0x10) /* a commit failed, the log may hold it:                \
			* commit again before writing there */

/* 4 KiB of a sector bitmap, the piece that the log handles. */
#define VHDX_PAGE_BITS (VHDX_SECTOR * 8)
struct vhdx_page {
	_Atomic uint64_t word[VHDX_SECTOR / 8]; /* bit 0 first, 2.4 */
};

/* Sectors of one log entry of ours. */
#define VHDX_BATCH     16u
#define VHDX_ENTRY_MAX ((1 + VHDX_BATCH) * VHDX_SECTOR)

#define VHDX_FAILED_MAX 16
/* Places that are remembered for new blocks, at most. */
#define VHDX_FREED_MAX (1u << 20)
/* Free places that are made usable at once. */
#define VHDX_RECLAIM_MAX 16

/* Free space between structures, in bytes; in its order. */
struct vhdx_gaps {
	struct vhdx_gap {
		uint64_t start, end;
	} * gap; /* malloc */
	size_t count;
};

/*
 * Places that were given up in this session, in the order of the events; and
 * those that may be used: they read as zeroes durably.
 */
struct vhdx_freed {
	struct {
		uint64_t place, event;
	} * freed;
	uint64_t *clean;
	size_t freed_count, freed_room, clean_count, clean_room;
};

/* What is written to the metadata through the log at once. */
struct vhdx_batch {
	unsigned count;
	uint64_t offset[VHDX_BATCH];
	uint8_t image[VHDX_BATCH][VHDX_SECTOR];
	uint8_t entry[VHDX_ENTRY_MAX];
	struct vhdx_log_entry head;
};

/* A log that a read-only opener has replayed in memory. */
struct vhdx_overlay {
	unsigned count, room;
	struct vhdx_log_write *write; /* in their order */
	uint64_t last_offset;
};

struct vhdx {
	struct vhdx_metadata metadata;
	struct vhdx_header header; /* the current one */
	unsigned current;	   /* which of the two it is */
	struct vhdx_regions regions;
	unsigned block_shift, chunk_shift, sector_shift;
	/* Sparse mappings for the largest disk with this block size. */
	_Atomic uint64_t *bat;
	size_t max_entries;
	_Atomic(struct vhdx_page *) *pages; /* differencing */
	size_t max_pages;
	_Atomic uint64_t allocated; /* blocks with a place */
	struct vhdx_overlay overlay;
	unsigned good_regions; /* which copy of the region table was taken */
	uint64_t used_end;     /* at open */
	uint64_t file_size;    /* at open */
	/*
	 * Entries without data that told a place all the same, when the file
	 * was opened: their creator may count on it (2.5.1.1). No other block
	 * goes there.
	 */
	struct {
		uint64_t entry, place;
	} * anchor;
	size_t anchor_count, anchor_room;
	char parent[1024]; /* path, or "" */

	/* The headers have new GUIDs: writing may begin. */
	_Atomic bool session;

	pthread_mutex_t lock;
	pthread_cond_t idle; /* for workers that want the role */
	bool busy, worker_waits;
	struct vhd_req *waiters;
	struct vhd_req *pending_first, *pending_last; /* to be committed */
	struct vhd_req *batch_first;		      /* being committed */

	/* Space; behind the lock. */
	uint64_t next; /* the next place */
	uint64_t end;  /* of the file; stable, whole MB */
	uint32_t extend_by;
	unsigned failed_count;
	struct {
		uint64_t index, place;
	} failed[VHDX_FAILED_MAX];
	struct vhdx_freed freed;
	/* What was free at open and may hold anything; those from gap_next on
	 * have room for a block. Places that the role is punching out. */
	struct vhdx_gaps gaps;
	size_t gap_next;
	uint64_t reclaim[VHDX_RECLAIM_MAX];
	unsigned reclaim_count;
	/*
	 * Applied log entries and punched places, counted; up to which a
	 * flush has made them stable in place.
	 */
	uint64_t events, flushed;

	/* The log; the role's. */
	bool log_active; /* the header names its GUID */
	uint8_t log_guid[VHDX_GUID];
	uint32_t log_at, log_tail; /* next entry; the newest entry's tail */
	uint64_t log_sequence;	   /* of the newest entry, 0: none */
	uint64_t log_event;	   /* of the newest applied entry */
	/* Sectors applied and not known to be stable; behind the lock. */
	struct {
		uint64_t offset, event;
	} * unsettled;
	unsigned unsettled_count, unsettled_max;

	struct vhdx_batch *batch; /* from the first commit on */
	uint8_t header_buf[VHDX_SECTOR];
};

static inline struct vhdx *vhdx_of(const struct vhd_disk *disk)
{
	return disk->format;
}

static inline uint64_t vhdx_entry(const struct vhdx *vx, uint64_t index)
{
	return atomic_load_explicit(&vx->bat[index], memory_order_acquire);
}

static inline uint64_t vhdx_payload_index(const struct vhdx *vx, uint64_t at)
{
	return vhdx_bat_index(at >> vx->block_shift, vx->chunk_shift);
}

/* Sector bitmaps: which page holds the bit of the sector at @at, which bit. */
static inline uint64_t vhdx_page_of(const struct vhdx *vx, uint64_t at)
{
	return (at >> vx->sector_shift) / VHDX_PAGE_BITS;
}

static inline uint32_t vhdx_bit_of(const struct vhdx *vx, uint64_t at)
{
	return (at >> vx->sector_shift) % VHDX_PAGE_BITS;
}

/* The chunk's entry that leads to the bitmap block with @page. */
static inline uint64_t vhdx_page_index(const struct vhdx *vx, uint64_t page)
{
	return vhdx_bat_bitmap_index(page / (VHDX_BITMAP_BLOCK / VHDX_SECTOR),
				     vx->chunk_shift);
}

/* Where in the file @page is, given its bitmap block's entry. */
static inline uint64_t vhdx_page_at(uint64_t entry, uint64_t page)
{
	return VHDX_BAT_OFFSET(entry) +
	       page % (VHDX_BITMAP_BLOCK / VHDX_SECTOR) * VHDX_SECTOR;
}

/* ---- files (vhdx_load.c, vhdx_replay.c); worker threads ---- */

/* Is it a VHDX, by its signature? @return 0 or errno */
int vhdx_detect(struct vhd_file *file, bool *is_vhdx);

enum vhdx_load_flags {
	VHDX_LOAD_REPLAY = 1, /* write the log's contents to the file */
	VHDX_LOAD_NO_BAT = 2, /* only what a probe needs */
	VHDX_LOAD_IN_USE = 4, /* somebody may be writing it: the log counts
			       * where it can be read */
	VHDX_LOAD_FORGET = 8, /* with REPLAY: a log without any entry is none */
};

/*
 * Read and check all metadata.
 * @return 0 with *@vx to be freed with vhdx_free(), or errno with @why
 */
int vhdx_load(struct vhd_file *file, unsigned flags, struct vhdx **vx,
	      char *why, size_t why_len);
void vhdx_free(struct vhdx *vx);
enum vhd_type vhdx_type(const struct vhdx *vx);
const char *vhdx_without_prefix(const char *path);
/* Everything but size and allocation, which a probe takes from the file. */
void vhdx_fill_info(const struct vhdx *vx, struct vhd_info *info);

/* A structure in the file, in whole MB. */
struct vhdx_extent {
	uint64_t start, end; /* MB */
	uint64_t entry;	     /* of the table; UINT64_MAX: none */
	const char *name;
	bool anchor; /* vhdx->anchor: may lie anywhere */
};
struct vhdx_extents {
	struct vhdx_extent *e; /* malloc */
	size_t count, room;
};
/* All that is in the file, in its order. @return 0 or ENOMEM */
int vhdx_extents(const struct vhdx *vx, struct vhdx_extents *x);
/* What lies between them. @return 0 or ENOMEM */
int vhdx_find_gaps(const struct vhdx_extents *x, struct vhdx_gaps *gaps);
/*
 * The first place of @length in a gap that starts before @limit. Gaps only
 * become smaller, so that those before *@next are none for this length.
 */
bool vhdx_gap_take(struct vhdx_gaps *gaps, size_t *next, uint64_t length,
		   uint64_t limit, uint64_t *place);

/* The current one of the two headers. @return 0, or EINVAL: neither is good,
 * the current one cannot be worked with, or two differ under one number */
int vhdx_load_headers(struct vhd_file *file, struct vhdx_header *header,
		      unsigned *current, char *why, size_t why_len);

/* Find what the log says, and apply it to the file or keep it as overlay. */
int vhdx_replay(struct vhd_file *file, struct vhdx *vx, unsigned flags,
		char *why, size_t why_len);
/* Read metadata as the overlay has them. */
int vhdx_read(struct vhd_file *file, const struct vhdx *vx, void *buf,
	      size_t len, uint64_t offset);
/* Put the overlay over @len bytes that were read from @offset. */
void vhdx_overlay_apply(const struct vhdx_overlay *overlay, void *buf,
			size_t len, uint64_t offset);

/* Make @header the current one, both copies, flushed. */
int vhdx_write_headers(struct vhd_file *file, struct vhdx *vx,
		       const struct vhdx_header *header);

int vhdx_create(struct vhd_file *file, const struct vhd_create_params *params,
		int (*write_out)(void *data, uint64_t from, uint64_t length),
		void *data, const char **what);
/* Empty log, both headers: nobody has to replay; the file is cut behind
 * vx->next. @return 0, or errno, which is logged: the log still counts */
int vhdx_settle(struct vhd_file *file, struct vhdx *vx);
/*
 * For a worker that has the role, or the file for itself: prepare for changes,
 * once (vhdx_session_start()). @param data  what is read may change: a new
 * DataWriteGuid
 */
int vhdx_worker_session(struct vhd_file *file, struct vhdx *vx, bool data);
/* Commit the batch, in the session (vhdx_commit()). */
int vhdx_worker_commit(struct vhd_file *file, struct vhdx *vx);
int vhdx_grow(struct vhd_disk *disk, struct vhd_file *file, uint64_t new_size,
	      struct vhd_footer *footer, char *why, size_t why_len);

/* ---- metadata shared by lanes (vhdx_alloc.c) ---- */

/* Wait for others, with the lock held. */
void vhdx_wait(struct vhdx *vx, struct vhd_req *req);
/* Take the role. @return false: the request waits, and looks again */
bool vhdx_take_role(struct vhd_req *req);
void vhdx_release_role(struct vhdx *vx);
/* The same for a worker, which waits for it. */
void vhdx_worker_takes_role(struct vhdx *vx);

enum vhdx_take {
	VHDX_TAKEN,   /* st->vx.place; a commit or vhdx_give_back() follows */
	VHDX_LOOK,    /* the entry has changed meanwhile */
	VHDX_WAIT,    /* the request will be posted; look again then */
	VHDX_RECLAIM, /* make vx->reclaim[] usable first, with the role */
	VHDX_EXTEND,  /* append space first, with the role */
};
/* A place for the block or bitmap block of @index, whose entry is @entry. */
enum vhdx_take vhdx_take_place(struct vhd_req *req, uint64_t index,
			       uint64_t entry, uint32_t length);
/* The block is absent as before. @param keep  its place is the next attempt's
 */
void vhdx_give_back(struct vhd_req *req, bool keep);
/* Nobody else may change the entry @index, which is @entry, until a commit
 * does. @return TAKEN, LOOK or WAIT */
enum vhdx_take vhdx_hold_entry(struct vhd_req *req, uint64_t index,
			       uint64_t entry);
/* A place that no entry leads to any more, and that was punched out. */
void vhdx_place_freed(struct vhdx *vx, uint64_t place);
/* vx->reclaim[] is punched out, and that is flushed. */
void vhdx_reclaimed(struct vhdx *vx);

struct vhdx_page *vhdx_page_new(void);
/* @return how many bits from @first on, up to @count, are alike */
uint32_t vhdx_page_run(const struct vhdx_page *page, uint32_t first,
		       uint32_t count, bool *set);

/* A flush has covered all events up to @mark. */
uint64_t vhdx_flush_mark(struct vhdx *vx);
void vhdx_flushed(struct vhdx *vx, uint64_t mark);

/* ---- commits (vhdx_commit.c) ---- */

/* Put the sector's present contents in the batch. @return its image, NULL:
 * the batch is full */
uint8_t *vhdx_batch_sector(struct vhdx *vx, struct vhdx_batch *batch,
			   uint64_t offset, uint64_t bat_index,
			   const struct vhdx_page *page);
/* Build the log entry. @return whether all before it is settled, else flush
 * first and build it again */
bool vhdx_batch_entry(struct vhdx *vx, struct vhdx_batch *batch);
/* The entry is on stable storage. */
void vhdx_batch_logged(struct vhdx *vx, struct vhdx_batch *batch);
/* Its sectors are written in place. */
void vhdx_batch_applied(struct vhdx *vx, struct vhdx_batch *batch);

/*
 * The request's phases from VHDX_COMMIT_FIRST on belong to the commit.
 * They end with phase VHDX_NEXT and the result.
 */
int vhdx_commit_step(struct vhd_req *req, int result);
/* Before the first change of a session. */
int vhdx_session_start(struct vhd_req *req);
/* Commit st->vx.index, .value (if .has_entry) and .page, .number, .first,
 * .count (if .has_bits): these bits are set, or with VHDX_CLEAR_BITS cleared.
 */
int vhdx_commit(struct vhd_req *req);
/* Append space for st->vx.need bytes; with the role. */
int vhdx_extend(struct vhd_req *req);
/* Make places usable that were free at open; with the role. */
int vhdx_reclaim(struct vhd_req *req);

enum {
	VHDX_START = VHD_SEGMENT_START,
	VHDX_NEXT = VHD_SEGMENT_NEXT,
	VHDX_MOVED = VHD_SEGMENT_MOVED,
	VHDX_LOADED = VHD_SEGMENT_PHASES,
	VHDX_PUNCHED,  /* a part of a block */
	VHDX_SCRUBBED, /* a place that a failed attempt wrote to */
	VHDX_SCRUB_FLUSHED,
	VHDX_FILLED,	  /* a new block's data */
	VHDX_NEW_SECTORS, /* data that are to hide the parent's */
	VHDX_COMMITTED,	  /* back from vhdx_commit() */
	VHDX_FREED,	  /* a given-up place is punched out */
	VHDX_FLUSHED,
	VHDX_COMMIT_FIRST,
	VHDX_TAIL_PUNCHED = VHDX_COMMIT_FIRST,
	VHDX_TAIL_FLUSHED,
	VHDX_TAIL_ROUNDED,
	VHDX_HEADER_FIRST,
	VHDX_HEADER_SECOND,
	VHDX_EXTENDED,
	VHDX_RECLAIM_PUNCHED,
	VHDX_RECLAIM_FLUSHED,
	VHDX_COMMIT,
	VHDX_LOG_FLUSHED,
	VHDX_LOG_WRITTEN,
	VHDX_APPLIED,
};

/* What is committed: st->vx.kind */
enum {
	VHDX_NEW_BLOCK,
	VHDX_NEW_BITMAP, /* a sector bitmap block */
	VHDX_NEW_BITS,
	VHDX_DROP_BLOCK,
	VHDX_CONFIRM,	 /* an unsure entry, as it was */
	VHDX_CLEAR_BITS, /* the same, and bits of the absent block */
};

extern const struct vhd_format_ops vhd_vhdx_ops;

#endif /* ISTM_VHD_VHDX_DISK_H */
