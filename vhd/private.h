/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Inside the engine: disks, formats, the state of a request, lanes.
 *
 * A request passes four layers, each a file:
 *   submit.c  validates it whole, then lets it through the gate
 *   gate.c    makes COMPARE_AND_WRITE and others atomic against all others
 *   FORMAT.c  turns it into transfers of file ranges (vhd_format_ops.run)
 *   transfer.c  one transfer: inline where that cannot block, else the ring
 */
#ifndef ISTM_VHD_PRIVATE_H
#define ISTM_VHD_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <liburing.h>

#include "vhd/footer.h"
#include "vhd/tap.h"
#include "vhd/vhd.h"

/* Room for "what is wrong and where". */
#define VHD_WHY_MAX 400

/* What run() and the functions below return while the request goes on; all
 * other values are 0 or an errno. */
#define VHD_PENDING (-1)

/* ---- files (file.c) ---- */

/* How a read or a write may be tried on the lane itself. */
enum vhd_inline {
	VHD_INLINE_NEVER,   /* the file system does not tell: ring only */
	VHD_INLINE_NOWAIT,  /* RWF_NOWAIT: answers EAGAIN instead of waiting */
	VHD_INLINE_GUARDED, /* plain write, where it is expected not to block */
	VHD_INLINE_ALWAYS,  /* memory: tmpfs */
};

/* Granularity of the map of holes. */
#define VHD_HOLE_CHUNK 65536u

/* An open file and its I/O policy. Reference-counted: a disk has one, each
 * job that works on the file another. Any thread. */
struct vhd_file {
	_Atomic unsigned refs;
	int fd;
	char *name; /* for messages */
	bool readonly;
	int direct_fd;	       /* for the data, with O_DIRECT; -1: none */
	uint32_t direct_align; /* of buffers then */
	_Atomic int inline_read, inline_write; /* enum vhd_inline */
	/*
	 * One bit a chunk: it may have a hole (or did, when last looked at).
	 * A hint for the policy of writes, never for correctness. Sparse
	 * mapping that covers the largest disk; untouched costs nothing.
	 */
	_Atomic uint64_t *holes;
	uint64_t hole_chunks;	/* that the map has */
	struct vhd_file *of;	/* whose map it is, if it is not ours */
	_Atomic int last_error; /* log an error once, not per request */
	_Atomic bool no_source; /* read, do not send: see source.c */
	uint32_t fs_block;	/* extents are shared by whole ones of these */
	/* Opened read-only: what it was when it was locked. */
	struct timespec locked_mtime;
	off_t locked_size;
	/* Of a differencing disk's file: a parent's has been changed since. */
	_Atomic bool parent_changed;
	const struct vhd_tap *tap; /* tests only, else NULL */
};

/*
 * Wrap @fd (takes it). Refuses all but regular files, and descriptors whose
 * access mode does not fit @readonly.
 * @return NULL with errno and @why set; @fd is then closed
 */
struct vhd_file *vhd_file_open(int fd, const char *name, bool readonly,
			       char *why, size_t why_len);
struct vhd_file *vhd_file_ref(struct vhd_file *file);
/*
 * The same file on a descriptor of its own: the kernel tells of data that could
 * not be written back once per open descriptor, whoever syncs first. What is
 * synced here is told here, and takes nothing from those who sync @file. Where
 * that is not possible, @file itself. Never NULL; vhd_file_unref() it.
 */
struct vhd_file *vhd_file_reopen(struct vhd_file *file);
void vhd_file_unref(struct vhd_file *file);
/* Its disk's reference, and with it the lock, whoever still has others. */
void vhd_file_close(struct vhd_file *file);

/* OFD lock on the whole file. @return 0, EWOULDBLOCK or another errno */
int vhd_file_lock(struct vhd_file *file, char *why, size_t why_len);

/* Has somebody else opened it for writing? */
bool vhd_file_is_locked(const struct vhd_file *file);

/* Keep the map for files of up to @size bytes; before lanes use it.
 * @return 0 or ENOMEM */
int vhd_file_map_holes(struct vhd_file *file, uint64_t size);
/* Learn where the file's holes are. May block: worker threads. */
void vhd_file_scan_holes(struct vhd_file *file);
bool vhd_file_may_have_hole(const struct vhd_file *file, uint64_t offset,
			    uint64_t length);
void vhd_file_mark_hole(struct vhd_file *file, uint64_t offset,
			uint64_t length);
/* After a write into what may be a hole: look again, whether it still is. */
void vhd_file_recheck_holes(struct vhd_file *file, uint64_t offset,
			    uint64_t length);

/* Has the file data at @offset? *@length: how far the answer holds. */
bool vhd_file_has_data(const struct vhd_file *file, uint64_t offset,
		       uint64_t *length);

/* Is the byte at @offset in the page cache? Does not wait; what is only being
 * read in is not there. Any thread. */
bool vhd_file_is_cached(struct vhd_file *file, uint64_t offset);

/* Whole reads and writes for worker threads; continue short ones.
 * @return 0 or errno (EIO on end of file) */
int vhd_file_pread(struct vhd_file *file, void *buf, size_t len,
		   uint64_t offset);
int vhd_file_pwrite(struct vhd_file *file, const void *buf, size_t len,
		    uint64_t offset);
/* The same, and on stable storage when it returns (RWF_DSYNC). */
int vhd_file_pwrite_durable(struct vhd_file *file, const void *buf, size_t len,
			    uint64_t offset);
int vhd_file_sync(struct vhd_file *file);
int vhd_file_truncate(struct vhd_file *file, uint64_t size);
int vhd_file_stat(const struct vhd_file *file, struct stat *st);
int vhd_file_fallocate(struct vhd_file *file, int mode, uint64_t offset,
		       uint64_t length);
/* Nothing where @from is not before @to. */
int vhd_file_write_zeroes(struct vhd_file *file, uint64_t from, uint64_t to);
/* Zeroes within the file: by fallocate in @mode, where there is none by
 * writing. */
int vhd_file_zero(struct vhd_file *file, int mode, uint64_t offset,
		  uint64_t length);
/* copy_file_range(2). @return bytes, or -errno */
ssize_t vhd_file_copy(const struct vhd_file *from, off_t *from_offset,
		      struct vhd_file *to, off_t *to_offset, uint64_t length);
/* Tell the tap of a fallocate that has been done. */
void vhd_file_tap_fallocate(struct vhd_file *file, int mode, uint64_t offset,
			    uint64_t length);
int vhd_file_size(struct vhd_file *file, uint64_t *size, uint64_t *allocated);

bool vhd_file_space(const struct vhd_file *file, struct vhd_space *space);

/* Worker thread: has somebody changed a file that is open and locked
 * read-only? What cannot be told is not. @how: was and is, when it has */
bool vhd_file_was_changed(const struct vhd_file *file, char *how,
			  size_t how_len);

/* ---- lists of requests ---- */

/* First in, first out, by vhd_state.next. */
struct vhd_queue {
	struct vhd_req *first, *last;
};

/* ---- the gate (gate.c) ---- */

#define VHD_GATE_SHARDS 8

/* Requests that run or wait, in order of arrival. */
struct vhd_gate_list {
	struct vhd_req *first, *last;
};

struct vhd_gate {
	/* A cache line apart. */
	struct {
		_Atomic uint64_t inflight;
		uint64_t pad[7];
	} shard[VHD_GATE_SHARDS];
	/* How many exclusive requests run or wait; 0: all take the fast way */
	_Atomic unsigned exclusive;
	_Atomic bool had_exclusive; /* there has ever been one */
	pthread_mutex_t lock;	    /* of the list */
	struct vhd_gate_list list;
};

void vhd_gate_init(struct vhd_gate *gate);
void vhd_gate_destroy(struct vhd_gate *gate);

/*
 * @return 0 when the request may run; VHD_PENDING when it has to wait, it then
 *         resumes on its own lane (vhd_io_post), or fails there; or errno: an
 *         atomic write has not been taken back (vhd_atomic.stuck)
 */
int vhd_gate_enter(struct vhd_req *req, bool exclusive);
void vhd_gate_leave(struct vhd_req *req);
/*
 * Keep exclusive requests out without being a request; until vhd_gate_release()
 * with the same lane's shard. @return false: there are some
 */
bool vhd_gate_hold(struct vhd_gate *gate, unsigned shard);
void vhd_gate_release(struct vhd_gate *gate, unsigned shard);

/* ---- atomic writes (atomic.c) ---- */

struct vhd_journal;

/* One atomic write to a disk at a time; the others wait for their turn. */
struct vhd_atomic {
	uint8_t disk_id[16];  /* vhd_info.unique_id; constant */
	pthread_mutex_t lock; /* of owner and waiting */
	struct vhd_req *owner;
	struct vhd_queue waiting;
	/* The owner's: */
	struct vhd_journal *journal; /* NULL until it is needed */
	uint32_t flags;		     /* the request's own */
	int error;
	unsigned sync_errors; /* the disk's, when the undo began */
	/* A record could not be removed: what is written now would be taken
	 * back after a restart. So nothing is. */
	_Atomic bool stuck;
	/* Set before stuck: where neither the old nor the new contents are
	 * whole, and nobody is to read; bytes. */
	uint64_t torn_offset, torn_length;
	/* The volume cannot keep a journal. */
	_Atomic bool impossible;
};

void vhd_atomic_init(struct vhd_atomic *atomic);
/* The disk is closed: no request is under way. */
void vhd_atomic_close(struct vhd_atomic *atomic);

int vhd_atomic_run(struct vhd_req *req, int result);
void vhd_atomic_done(struct vhd_req *req);

/* What messages call a disk's journal: the disk's name and this. */
#define VHD_JOURNAL_OF "'s journal"

/* ---- places (place.c) ---- */

enum vhd_place_kind {
	VHD_PLACE_DATA,
	VHD_PLACE_NOWHERE, /* zeroes */
	VHD_PLACE_LOAD,	   /* metadata have to be read first: which sectors
			    * of a block are in the disk */
};

/* Where in which file of a chain a disk's bytes are. */
struct vhd_place {
	enum vhd_place_kind kind;
	uint64_t length;	     /* how far this holds */
	const struct vhd_disk *disk; /* DATA: in its file; LOAD: its metadata */
	uint64_t offset; /* in the file; LOAD: if the disk has them */
	uint64_t number; /* LOAD: of a block (VHD), of a page (VHDX) */
};

/* Down the chain, within the disk: who has the bytes at @at? Any thread, no
 * I/O. */
void vhd_find_place(const struct vhd_disk *disk, uint64_t at, uint64_t length,
		    struct vhd_place *place);
/*
 * The same for copies, within the gate.
 * @param wait  on a worker thread: metadata may be read
 * @param length  in and out: how far the answer holds
 * @return 0: at *@source; ENOENT: nowhere, reads as zeroes; else errno,
 *         EOPNOTSUPP where it would have had to wait
 */
int vhd_locate(const struct vhd_disk *disk, uint64_t offset, bool wait,
	       uint64_t *length, struct vhd_source *source);

/* Lane. A VHD_MAPPED. */
int vhd_mapped_run(struct vhd_req *req, int result);

/* ---- disks and formats ---- */

/*
 * A format. Stack-like: a format's run() may hand parts to another disk's
 * (a differencing disk to its parent).
 */
struct vhd_format_ops {
	const char *name;
	enum vhd_format format;
	uint64_t max_size; /* the format's limit */
	/*
	 * Lane. Carry the request on: first with @result 0 and state->phase 0,
	 * then with the result of each step that had returned VHD_PENDING.
	 * The operation is state->op with the cursor's data, its range
	 * state->offset and state->length.
	 */
	int (*run)(struct vhd_req *req, int result);
	/*
	 * Lane. Has this VHD_ZERO or VHD_DISCARD to run alone in its range, as
	 * a COMPARE_AND_WRITE? NULL: never. It is then told so (state->alone).
	 */
	bool (*wants_alone)(const struct vhd_disk *disk,
			    const struct vhd_req *req);
	/* Any thread. Everything but type and size. */
	void (*info)(const struct vhd_disk *disk, struct vhd_info *info);
	/*
	 * Any thread, no I/O; NULL: there is no file. Is what is at @at in this
	 * disk itself? With *@place, whose length is cut to what that holds
	 * for. @return false: ask the parent
	 */
	bool (*find)(const struct vhd_disk *disk, uint64_t at,
		     struct vhd_place *place);
	/* Worker thread; may be NULL: read the metadata that @place wants.
	 * @return 0 or errno */
	int (*load)(const struct vhd_place *place);
	/*
	 * Lane; may be NULL. The file and place in it that hold all of the
	 * range, if there is one such place.
	 */
	bool (*source)(struct vhd_disk *disk, uint64_t offset, uint64_t length,
		       struct vhd_source *source);
	/*
	 * Worker thread. Make room for @new_size; lanes go on using what is
	 * below the old size. The main thread then publishes the new size
	 * and *@footer, which comes in as a copy of the disk's.
	 * @param file  the disk's, reopened
	 */
	int (*grow)(struct vhd_disk *disk, struct vhd_file *file,
		    uint64_t new_size, struct vhd_footer *footer, char *why,
		    size_t why_len);
	/* Main thread, no request under way. */
	void (*close)(struct vhd_disk *disk);
};

struct vhd_disk {
	const struct vhd_format_ops *ops;
	enum vhd_type type;
	bool readonly;
	_Atomic uint64_t size;
	uint32_t sector, physical_sector; /* bytes */
	struct vhd_file *file;		  /* NULL for a RAM disk */
	/* Differencing: where absent sectors come from; read-only, immutable
	 * once lanes use the disk. */
	struct vhd_disk *parent;
	struct vhd_footer footer;
	size_t footer_len;
	void *format; /* the format's own */

	/*
	 * Something has been written since the last good flush; flushes under
	 * way. See flush_needed().
	 */
	_Atomic bool dirty;
	_Atomic unsigned flushing;
	/*
	 * The kernel reports a failed write-back to one fsync only, whoever
	 * asks first: FUA writes count failures here, so that the next flush
	 * fails, and flushes that were under way fail together.
	 */
	_Atomic unsigned sync_errors, sync_reported;

	struct vhd_gate gate;
	struct vhd_atomic atomic;
	/* On a worker that opens it (rollback.c): the parent is not there yet,
	 * and reads leave the buffer alone where the disk has nothing. */
	bool rolling_back;
	/* Main thread: growth under way; the disk was closed meanwhile. */
	bool growing, close_when_grown;
};

/* vhd_set_parent() was forgotten: what is absent is not zero. Or a parent has
 * been changed under the disk (space.c): what is absent is not what it was. */
static inline bool vhd_lacks_parent(const struct vhd_disk *disk)
{
	return disk->type == VHD_TYPE_DIFFERENCING && !disk->rolling_back &&
	       (disk->parent == NULL ||
		atomic_load_explicit(&disk->file->parent_changed,
				     memory_order_relaxed));
}

extern const struct vhd_format_ops vhd_fixed_ops;
extern const struct vhd_format_ops vhd_ram_ops;

/* Fill in what is the same for all; @disk is zeroed. */
void vhd_disk_init(struct vhd_disk *disk, const struct vhd_format_ops *ops,
		   enum vhd_type type, uint64_t size);
/* Allocate a disk (talloc, with the destructor that closes it). */
struct vhd_disk *vhd_disk_new(TALLOC_CTX *mem_ctx,
			      const struct vhd_format_ops *ops,
			      enum vhd_type type, uint64_t size);

/* Worker thread: zero what a growth that was interrupted has left among the
 * data of a fixed disk, then write the footer at @footer_at without the mark
 * of it. @return 0 or errno */
int vhd_fixed_finish_growth(struct vhd_file *file, struct vhd_footer *footer,
			    uint64_t footer_at);

/* Worker thread that has opened and locked the file: has an atomic write been
 * cut off? It is taken back, unless the file is opened read-only.
 * @return 0 or errno with @why */
int vhd_recover_file(struct vhd_file *file, struct vhd_cut_off *cut_off,
		     char *why, size_t why_len);

/*
 * Worker thread: find and check the footer at the end of @file.
 * @param footer_len  0: there is none, or a damaged one, for which the copy
 *                    may stand in; else what is wrong with it is as meant
 */
int vhd_read_footer(struct vhd_file *file, struct vhd_footer *footer,
		    size_t *footer_len, uint64_t *file_size, char *why,
		    size_t why_len);

/* ---- parents (parent.c) ---- */

/* The paths by which a differencing disk knows its parent, in the order in
 * which they are to be tried. @return false: there are not so many */
bool vhd_disk_parent_path(const struct vhd_disk *disk, unsigned index,
			  const char **path, bool *relative);
/* Is a file that was probed the parent of a differencing disk, by its
 * identity? @return 0, EINVAL or ESTALE with @why */
int vhd_parent_match(const struct vhd_disk *child,
		     const struct vhd_info *candidate, char *why,
		     size_t why_len);

/* ---- requests ---- */

/* Where in the caller's iovec a transfer stands. */
struct vhd_cursor {
	const struct iovec *iov; /* NULL: zeroes */
	int cnt;
	size_t skip; /* bytes of iov[0] already used; copied of a VHD_COPY */
};

#define VHD_SLICE 4

/* A request's state, in vhd_req.engine. */
struct vhd_state {
	struct vhd_io *io;
	struct vhd_disk *disk;
	struct vhd_req *next; /* in a vhd_queue, or a list of such as wait */
	/* How the request continues: caw_run, or the format's run. */
	int (*run)(struct vhd_req *req, int result);

	/* What the format is to do. */
	uint64_t offset, length;
	struct vhd_cursor cursor;
	uint8_t op; /* enum vhd_op */
	uint8_t phase, outer_phase;
	uint8_t gate; /* enum vhd_gate_way */
	uint8_t fua;
	uint8_t exact;	      /* the iovec's sum is the length */
	uint8_t alone;	      /* no other request touches its range meanwhile */
	uint8_t holds_source; /* VHD_COPY: its gate */
	int copy_error;

	/* The step handed to the ring. */
	uint8_t sqe_op; /* IORING_OP_* */
	uint8_t retries;
	uint8_t refused; /* by the gate, while it waited: errno */
	void *bounce;	 /* an aligned copy of the data, for direct I/O */
	int inject;	 /* fail with this errno (tests, and no memory) */
	int sqe_arg;	 /* fallocate mode */
	struct vhd_file *file;
	uint64_t file_offset, left;
	uint64_t most; /* of left, by this call: all but in tests */
	/* A durable write, whole: what has to be synced behind it. */
	struct {
		uint64_t offset, length;
		struct vhd_cursor cursor; /* for tests */
	} durable;
	struct iovec slice[VHD_SLICE];
	/* In the gate's list; see gate.c. */
	struct vhd_req *gate_prev, *gate_next;

	/* Of formats whose data lie in several places (segment.c). */
	struct {
		uint64_t at, length; /* being done, in the disk, bytes */
		const struct vhd_disk
			*disk;		 /* whose metadata the step is about */
		struct vhd_cursor saved; /* while metadata are transferred */
		struct iovec iov;	 /* of metadata */
		uint64_t mark;		 /* of changes, before a flush */
		bool need_sync;		 /* at the end */
	} seg;
	/* The format's own. */
	union {
		struct {			   /* dynamic.c */
			struct vhd_bitmap *bitmap; /* loaded, new or written */
			uint32_t block, place;
			uint32_t *released; /* places, while blocks are */
			uint32_t first, end, released_count; /* blocks */
			uint32_t word;	  /* big-endian table entry */
			bool used_before; /* the place has held a block */
			bool scrub;	  /* and is not clean */
			bool keep; /* holes cannot be punched: no release */
		} dyn;
		struct {			/* vhdx_run.c, vhdx_commit.c */
			struct vhdx_page *page; /* loaded, or that gets bits */
			struct vhd_req *link;	/* in the queue of commits */
			uint64_t index, value;	/* a table entry's change */
			uint64_t place; /* a new or a given-up block's */
			union {
				uint64_t need;	 /* extension */
				uint64_t number; /* the page's that gets bits */
			};
			uint64_t end;	       /* extension */
			uint32_t first, count; /* bits to set or clear */
			int result;	       /* of the commit */
			uint8_t kind;	       /* what is committed */
			uint8_t step;	       /* of writing a log entry */
			bool has_entry, has_bits, queued, committed;
			bool log_starts;
			bool scrub, durable; /* the place, before; its data */
		} vx;
	};
};

_Static_assert(sizeof(struct vhd_state) <=
		       sizeof(((struct vhd_req *)0)->engine),
	       "vhd_req.engine is too small");

static inline struct vhd_state *vhd_state(struct vhd_req *req)
{
	return (struct vhd_state *)(void *)req->engine;
}

static inline void vhd_queue_push(struct vhd_queue *queue, struct vhd_req *req)
{
	vhd_state(req)->next = NULL;
	if (queue->last != NULL) {
		vhd_state(queue->last)->next = req;
	} else {
		queue->first = req;
	}
	queue->last = req;
}

/* @return NULL: it is empty */
static inline struct vhd_req *vhd_queue_pop(struct vhd_queue *queue)
{
	struct vhd_req *req = queue->first;

	if (req != NULL) {
		queue->first = vhd_state(req)->next;
		if (queue->first == NULL) {
			queue->last = NULL;
		}
	}
	return req;
}

/* Skip @n bytes of the cursor's data. */
void vhd_cursor_advance(struct vhd_cursor *cursor, uint64_t n);
void vhd_cursor_copy_to(struct vhd_cursor *cursor, const void *from,
			uint64_t len);
void vhd_cursor_copy_from(struct vhd_cursor *cursor, void *to, uint64_t len);
void vhd_cursor_zero(struct vhd_cursor *cursor, uint64_t len);
/* A read of what no disk of the chain has: zeroes. */
void vhd_cursor_nowhere(const struct vhd_disk *disk, struct vhd_cursor *cursor,
			uint64_t len);

/* Around a format's flush. @return false: there is nothing to flush */
bool vhd_flush_begin(struct vhd_disk *disk);
void vhd_flush_end(struct vhd_disk *disk, int result);

/* Complete a request that had returned VHD_PENDING. On its lane. */
void vhd_finish(struct vhd_req *req, int error);

/* ---- transfers (transfer.c) ---- */

/* Zeroing up to this much by writing is cheaper than a worker's fallocate. */
#define VHD_ZERO_BY_WRITING 65536u

/* Read into / write from the cursor, which is advanced. */
int vhd_transfer(struct vhd_req *req, struct vhd_file *file, bool write,
		 uint64_t file_offset, uint64_t length);
int vhd_transfer_fallocate(struct vhd_req *req, struct vhd_file *file, int mode,
			   uint64_t file_offset, uint64_t length);
int vhd_transfer_sync(struct vhd_req *req, struct vhd_file *file);

/* The ring's answer to the step. @return VHD_PENDING: queued again */
int vhd_transfer_completed(struct vhd_req *req, int res);
/* Fill @sqe for the step. */
void vhd_transfer_prepare(struct vhd_req *req, struct io_uring_sqe *sqe);

/* ---- segments (segment.c) ---- */

/* A format's phases begin with these. */
enum {
	VHD_SEGMENT_START = 0,
	VHD_SEGMENT_NEXT,  /* look at what is next */
	VHD_SEGMENT_MOVED, /* a segment's data are read, written or zeroed */
	VHD_SEGMENT_PHASES,
};

/* Start with the first byte; zeroes are what ZERO and DISCARD write. */
void vhd_segment_begin(struct vhd_state *st);
/* Transfer the segment's data, then enter @phase. */
int vhd_segment_transfer(struct vhd_req *req, uint8_t phase, bool write,
			 bool durable, const struct vhd_disk *disk,
			 uint64_t offset);
void vhd_segment_done(struct vhd_state *st);
/* A read or write, not durable, of what is in one place: no steps, unless it
 * has to wait. */
int vhd_segment_whole(struct vhd_req *req, const struct vhd_disk *disk,
		      bool write, uint64_t offset);
/* Transfer metadata in place of the request's data; @durable: RWF_DSYNC. The
 * next phase begins with vhd_meta_done(). */
int vhd_meta_transfer(struct vhd_req *req, const struct vhd_disk *disk,
		      bool write, bool durable, const void *buf, size_t len,
		      uint64_t offset);
void vhd_meta_done(struct vhd_req *req);

/* ---- direct I/O (direct.c) ---- */

/* Are these buffers aligned for it? */
bool vhd_direct_takes(const struct vhd_file *file, const struct iovec *iov,
		      int cnt);
/* A copy of the transfer's next part in one buffer that is. @return 0, ENOMEM
 */
int vhd_direct_bounce(struct vhd_req *req, bool write, struct iovec *iov);
/* @res bytes have been moved, or the step has failed: give it up. */
void vhd_direct_done(struct vhd_req *req, bool write, int res);

/* The errno that a request may end with (vhd.h) for a system call's. */
int vhd_map_error(int error);

/* ---- lanes (io.c) ---- */

struct vhd_io {
	struct tevent_context *ev;
	struct io_uring ring;
	bool ring_ok;
	int eventfd;
	struct tevent_fd *fde;
	unsigned depth, inflight;
	unsigned shard; /* of gates */
	struct vhd_queue queue;
	/* Requests that other threads let go on: a lock-free stack. */
	_Atomic(struct vhd_req *) inbox;

	/* How much may still be written inline before the system's dirty
	 * data is looked at again. */
	int64_t dirty_budget;
	uint64_t dirty_next_look; /* ms, CLOCK_MONOTONIC_COARSE */
	int vmstat_fd;

	/* COMPARE_AND_WRITE reads here; one at a time, the others wait. */
	uint8_t *bounce;
	struct iovec bounce_iov;
	struct vhd_req *bounce_owner;
	struct vhd_queue bounce_waiting;
};

/* Append to what vhd_io_kick() submits. */
void vhd_io_queue(struct vhd_req *req);
/* Any thread: have the request carry on (run with result 0) on its lane. */
void vhd_io_post(struct vhd_req *req);
/* Add to those who wait for others; let all of them carry on, and look again.
 * Whoever owns the list holds its lock. */
void vhd_wait(struct vhd_req **waiters, struct vhd_req *req);
void vhd_wake(struct vhd_req **waiters);
/* Is a buffered write of @length expected not to be throttled? */
bool vhd_io_dirty_ok(struct vhd_io *io, uint64_t length);

/* ---- copies (copy.c) ---- */

/* Can the request be tried at all? */
bool vhd_copy_possible(const struct vhd_disk *disk, const struct vhd_req *req);
/* How the request begins, within its disk's gate. */
int vhd_copy_run(struct vhd_req *req, int result);
/* Copy what is next to that place, durably with state->fua; then run() goes on
 * with the result. @return VHD_PENDING or EOPNOTSUPP */
int vhd_copy_transfer(struct vhd_req *req, struct vhd_file *file,
		      uint64_t file_offset, uint64_t length);
/* For a format's run(), where absent blocks are zeroes: pass over the next
 * bytes if it is a copy, and of a hole. */
bool vhd_copy_skips_hole(struct vhd_req *req, uint64_t length);

/* ---- compare and write (caw.c) ---- */

int vhd_caw_run(struct vhd_req *req, int result);
void vhd_caw_done(struct vhd_req *req);

/* What the *_recv functions answer: the request's errno, @why as message. */
int vhd_recv_result(struct tevent_req *req, const char *why,
		    TALLOC_CTX *mem_ctx, char **message);

/* ---- messages ---- */

void vhd_log(int level, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#endif /* ISTM_VHD_PRIVATE_H */
