/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The virtual-disk engine: VHD and VHDX files and RAM disks behind one
 * asynchronous block API.
 *
 * Two kinds of caller:
 *  - the main thread opens, creates, grows and closes disks: the *_send/_recv
 *    pairs. Their file I/O runs on worker threads, the main loop never waits.
 *  - I/O lanes read and write: vhd_submit() from any lane, with completion on
 *    that lane. Nothing there allocates, locks or blocks on an allocated
 *    range of a fixed disk.
 *
 * The engine knows nothing of paths' policy: callers hand it descriptors that
 * they opened beneath their volume. Errors are errno values.
 */
#ifndef ISTM_VHD_H
#define ISTM_VHD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>
#include <talloc.h>
#include <tevent.h>

/* What VHDs and RAM disks address in (VHD specification); VHDX files may have
 * sectors of 4096 bytes: vhd_disk_sector(). */
#define VHD_SECTOR 512u

/* The smallest disk that ISTM accepts, 8 MiB (MS-ISTM 3.30.4.8). */
#define VHD_MIN_SIZE (8ull << 20)

/* The largest that the VHD format allows, 2040 GiB. */
#define VHD_MAX_SIZE (2040ull << 30)

/* The largest VHDX, 64 TB (MS-VHDX 2.6.2.2). */
#define VHDX_MAX_SIZE (UINT64_C(64) << 40)

enum vhd_format {
	VHD_FORMAT_VHD = 0, /* also of a RAM disk */
	VHD_FORMAT_VHDX,
};

/* The format that a new file of this name is to have: VHDX where it ends in
 * ".vhdx", in any case. */
enum vhd_format vhd_format_of_name(const char *name);

enum vhd_type {
	VHD_TYPE_NONE = 0,
	VHD_TYPE_FIXED = 2, /* VHD specification, Disk Type */
	VHD_TYPE_DYNAMIC = 3,
	VHD_TYPE_DIFFERENCING = 4,
	VHD_TYPE_RAM = 100, /* not a file */
};

/* The longest COMPARE_AND_WRITE, bytes: the SCSI command counts its blocks
 * in one byte. */
#define VHD_CAW_MAX (128u << 10)

/* The longest WRITE_ATOMIC, bytes. */
#define VHD_ATOMIC_MAX (1u << 20)

/*
 * Where the engine's messages go: level 0 (error) to 10, as Samba's. Called
 * on any thread. NULL, the default: nowhere.
 */
void vhd_set_log(void (*log)(int level, const char *message));

/* One opened disk. Shared by all lanes; owned by the main thread. */
struct vhd_disk;

/* One lane's I/O context: an io_uring and its completions. */
struct vhd_io;

/* A VHD_WRITE_ATOMIC that a crash has cut off: where in the disk, bytes. */
struct vhd_cut_off {
	uint64_t offset;
	uint32_t length; /* 0: there is none */
};

/* What a disk is; filled by vhd_disk_info() and vhd_probe_recv(). */
struct vhd_info {
	enum vhd_format format;
	enum vhd_type type;
	uint64_t size;	    /* virtual size, bytes */
	uint64_t allocated; /* bytes of data the file holds */
	uint32_t logical_sector, physical_sector; /* bytes */
	uint8_t unique_id[16]; /* footer's Unique Id, or VHDX' Virtual Disk
				* ID, as on disk */
	/* What children record of their parent: the unique id, or VHDX'
	 * DataWriteGuid, which changes with every opener that writes. */
	uint8_t link_id[16];
	uint32_t block_size;   /* dynamic and differencing, else 0 */
	char parent[1024];     /* differencing: parent's path, else "" */
	uint8_t parent_id[16]; /* and its unique id */
	/* vhd_probe_recv() only: it is taken back when the disk is opened. */
	struct vhd_cut_off cut_off;
};

/* ---- lanes ---- */

/*
 * Create the I/O context of the calling lane. Completions are delivered from
 * @ev's loop (an eventfd of the ring is watched there).
 * @param mem_ctx talloc parent; belongs to the lane's thread
 * @param depth   how many requests may be under way in the kernel at once;
 *                more are queued
 * @return NULL with errno set when io_uring cannot be set up
 */
struct vhd_io *vhd_io_create(TALLOC_CTX *mem_ctx, struct tevent_context *ev,
			     unsigned depth);

/*
 * A descriptor that is readable when @ev's loop has completions to deliver, for
 * a lane that waits on a set of its own and runs the loop when this says so.
 */
int vhd_io_fd(const struct vhd_io *io);

enum vhd_op {
	VHD_READ,
	VHD_WRITE,
	VHD_ZERO,    /* reads as zeroes afterwards; may deallocate */
	VHD_DISCARD, /* contents no longer needed; reads as zeroes */
	VHD_FLUSH,   /* all completed writes are on stable storage */
	/*
	 * The iovec holds length bytes to compare with, then length bytes to
	 * write; atomic with respect to all other requests that overlap.
	 */
	VHD_COMPARE_AND_WRITE,
	/*
	 * All or nothing: for all other requests, which see the range as
	 * before or as after it; when it fails; and after a crash of the
	 * process, the system or the power at any moment. It is on stable
	 * storage when it completes. It needs a file beside the disk's own
	 * (vhd_journal_name()); EOPNOTSUPP: its volume does not keep others
	 * from writing that. At most VHD_ATOMIC_MAX bytes.
	 */
	VHD_WRITE_ATOMIC,
	/*
	 * Copy from req->source; ranges of one disk do not overlap. The file
	 * system does it, by sharing extents where it can: both are on files
	 * that it can copy between, else EOPNOTSUPP (then some of it may have
	 * been copied), also for reasons that pass. Holes stay holes. Takes
	 * its time: 16 MiB are a good amount.
	 */
	VHD_COPY,
	/*
	 * vhd_disk_mapped() of offset and length, which is cut to what the
	 * answer, req->mapped, holds for. For lanes: a file system may have to
	 * read for it.
	 */
	VHD_MAPPED,
	/* Nothing; finishes in a later pass of the lane's loop. For callers
	 * whose requests finish at once too long. */
	VHD_YIELD,
};

/* Data is on stable storage before the request completes. */
#define VHD_FUA 0x1u

/*
 * One request. The caller allocates it (from its pool), keeps it and the iovec
 * alive until done, and may reuse it from within done(). The iovec may hold
 * more than length needs; what is beyond is not touched. VHD_FLUSH takes no
 * range.
 */
struct vhd_req {
	enum vhd_op op;
	uint32_t flags;	 /* VHD_FUA */
	uint64_t offset; /* bytes, a multiple of vhd_disk_sector() */
	uint64_t length; /* bytes, a multiple of vhd_disk_sector() */
	struct iovec *iov;
	int iovcnt;
	struct vhd_disk *source; /* VHD_COPY; open until it is done */
	uint64_t source_offset;	 /* a multiple of its sectors, as length is */
	/* Called on the submitting lane, never from within vhd_submit(). */
	void (*done)(struct vhd_req *req);
	void *private_data;

	/* Result: 0, or an errno: EIO, ENOSPC, EINVAL (out of range, too few
	 * bytes in the iovec), EROFS, EILSEQ (comparison failed), EOPNOTSUPP
	 * (of VHD_COPY only). */
	int error;
	bool mapped; /* VHD_MAPPED */
	/* EILSEQ: offset of the first differing byte within the request. */
	uint64_t miscompare;
	/* EIO and others: was it reading that failed, also in a
	 * COMPARE_AND_WRITE? How many bytes from offset on had been read? */
	bool read_failed;
	uint64_t read;

	/* The engine's own while the request is under way. */
	uint64_t engine[52];
};

/*
 * Start a request against a disk, on the lane that owns @io. What cannot
 * finish at once is queued until vhd_io_kick().
 * @return true when it finished at once (req->error is set and done() will
 *         not be called), false when done() will be called later
 */
bool vhd_submit(struct vhd_io *io, struct vhd_disk *disk, struct vhd_req *req);

/*
 * Hand all requests queued since the last call to the kernel in one
 * io_uring_enter. A lane calls it once at the end of each pass of its loop.
 * Completions are not delivered from here but from the lane's loop; what
 * these submit is kicked by the engine.
 */
void vhd_io_kick(struct vhd_io *io);

/*
 * Carry one request out and wait for it, in the loop of @io, whose thread has
 * nothing else to do: a tool's, or a worker's.
 * @param buf  @length bytes; NULL where @op takes none
 * @return 0 or errno, as vhd_req.error
 */
int vhd_request(struct vhd_io *io, struct vhd_disk *disk, enum vhd_op op,
		uint64_t offset, void *buf, uint64_t length);

/*
 * Where the bytes of a large read lie, for a lane that has the kernel send them
 * from the page cache (sendfile(2)) instead of reading them first.
 */
struct vhd_file;
struct vhd_source {
	struct vhd_file *file;
	uint64_t offset; /* in the file */
};

/*
 * Lane. Can a read of the range be served that way, without waiting for the
 * medium? It then counts as done: what the lane does with @source before it
 * returns to its loop is part of it. Not on a disk that has seen a
 * VHD_COMPARE_AND_WRITE or VHD_WRITE_ATOMIC: pages that are on their way may
 * still change, and readers of such disks rely on never seeing half of one.
 */
bool vhd_disk_source(struct vhd_disk *disk, uint64_t offset, uint64_t length,
		     struct vhd_source *source);
int vhd_source_fd(const struct vhd_source *source);
/*
 * Read @length bytes from @skip on after all; may wait.
 * @return 0 or errno (EIO on end of file)
 */
int vhd_source_read(const struct vhd_source *source, uint64_t skip,
		    const struct iovec *iov, int iovcnt, uint64_t length);

/* ---- disks: main thread ---- */

#define VHD_OPEN_READONLY 0x1u /* as a parent, or for a check */

/*
 * Open the VHD or VHDX in @fd; its signature tells which. A VHDX that was left
 * with a log to replay (MS-VHDX 2.3.3) has it replayed in the file, or, opened
 * read-only, in memory. A VHD_WRITE_ATOMIC that was cut off is taken back;
 * opened read-only, such a disk is refused. Takes ownership of @fd in every
 * case (closes it on failure). Takes an OFD lock: exclusive, shared with
 * VHD_OPEN_READONLY.
 * @param name  for messages only
 * errors: EWOULDBLOCK (locked by someone else), EINVAL (not a VHD, damaged or
 *         an unsupported kind; the reason is in vhd_open_recv's message),
 *         EBADF (@fd's access mode does not fit)
 */
struct tevent_req *vhd_open_send(TALLOC_CTX *mem_ctx, struct tevent_context *ev,
				 int fd, const char *name, uint32_t flags);
/* @param message talloc'ed on mem_ctx, what was wrong; may be NULL */
int vhd_open_recv(struct tevent_req *req, TALLOC_CTX *mem_ctx,
		  struct vhd_disk **disk, char **message);

/*
 * The name of the file beside a disk's, named @disk, that VHD_WRITE_ATOMIC
 * makes: ".NAME.atomic". It goes when the disk is closed. After a crash it
 * belongs to the disk, and goes where that goes.
 * @param name  for 256 bytes; @return false: too small
 */
bool vhd_journal_name(const char *disk, char *name, size_t size);

/* A RAM disk of @size bytes, zero-filled; its content is gone when closed. */
struct vhd_disk *vhd_open_ram(TALLOC_CTX *mem_ctx, uint64_t size);

/*
 * Have a disk's data go around the page cache (O_DIRECT). Before any lane uses
 * the disk.
 * @param message  talloc'ed on @disk, why it is not possible; may be NULL
 * errors: ENOTSUP (not a fixed disk of whole 4 KiB pages, or the file system
 *         has no direct I/O of single sectors) and others; the disk is then as
 *         before
 */
int vhd_set_direct(struct vhd_disk *disk, char **message);

/*
 * Give a differencing disk its parent, which may itself be one that has its
 * own. Checks that it is the one that the child was made from: unique id and
 * time of the last change of a VHD, DataWriteGuid of a VHDX, which also tells
 * of changes. Before any lane uses the child, whose talloc child
 * the parent becomes; until then all requests fail with EIO.
 * @param parent   opened with VHD_OPEN_READONLY
 * @param message  talloc'ed on @child, what is wrong; may be NULL
 * errors: EINVAL (no differencing disk, another parent, or a parent that is not
 *         read-only), ESTALE (the parent has been changed since)
 */
#define VHD_PARENT_ANY_TIME 0x1u /* accept a changed parent: a copied file */
int vhd_set_parent(struct vhd_disk *child, struct vhd_disk *parent,
		   uint32_t flags, char **message);

/*
 * Find a differencing disk's parent and open it with VHD_OPEN_READONLY; tying
 * them is vhd_set_parent()'s. The paths by which the child knows it are tried
 * in turn: a VHD's W2ku, W2ru and MacX locators and name, a VHDX' relative,
 * volume and absolute path (MS-VHDX 2.6.2.6.3); then the same names in the
 * child's folder, where both may have been copied from elsewhere. The first
 * file that is the parent by its identity is taken, whatever its time.
 * @param open_path  main thread. Opens the file at @path for reading, as the
 *                   child's creator wrote it, but for "\\?\"; @relative: to
 *                   the child's folder. @return descriptor or -errno; sets
 *                   *@name, talloc'ed on @mem_ctx, to what it is called, if it
 *                   knows. Its last call is about the file that is taken.
 * errors: ENOENT (there is none), else why the first that is there was not
 *         taken; the message tells of each
 */
typedef int (*vhd_open_path_fn)(TALLOC_CTX *mem_ctx, const char *path,
				bool relative, const char **name,
				void *private_data);
struct tevent_req *vhd_open_parent_send(TALLOC_CTX *mem_ctx,
					struct tevent_context *ev,
					const struct vhd_disk *child,
					vhd_open_path_fn open_path,
					void *private_data);
/* @param message  talloc'ed on @mem_ctx; may be NULL */
int vhd_open_parent_recv(struct tevent_req *req, TALLOC_CTX *mem_ctx,
			 struct vhd_disk **parent, char **message);

/* A time as VHDs keep it: seconds since 2000-01-01 00:00:00 UTC. */
uint32_t vhd_timestamp(int64_t unix_time);

/*
 * Close. The caller has made sure that no lane submits any more (the target
 * has let go of the disk). talloc_free() of an opened disk does the same.
 */
void vhd_close(struct vhd_disk *disk);

/* Size and kind. Any thread. */
void vhd_disk_info(const struct vhd_disk *disk, struct vhd_info *info);
uint64_t vhd_disk_size(const struct vhd_disk *disk);
/* Logical and physical sector size, bytes: 512 or 4096. Any thread. */
uint32_t vhd_disk_sector(const struct vhd_disk *disk);
uint32_t vhd_disk_physical_sector(const struct vhd_disk *disk);
/*
 * Can VHD_WRITE_ATOMIC be carried out? Not where the volume does not keep
 * others from writing a journal, which is looked at when the disk is opened for
 * writing, and with each journal that is made: what was possible may end, with
 * EOPNOTSUPP. Any thread.
 */
bool vhd_disk_writes_atomic(const struct vhd_disk *disk);

/* Of a disk's file and its file system, bytes. */
struct vhd_space {
	uint64_t used;		   /* the file takes */
	uint64_t available, total; /* the file system has left, and has */
};

/*
 * Ask the file system, on a worker thread: it may take long. The disk may be
 * closed meanwhile. To be asked now and then: a differencing disk whose parent
 * is found changed, by its size or mtime, since it was opened, is read and
 * written no more (EIO) until it is opened again; flushes go on.
 * errors: ENOTSUP (a RAM disk), EIO (not known)
 */
struct tevent_req *vhd_space_send(TALLOC_CTX *mem_ctx,
				  struct tevent_context *ev,
				  const struct vhd_disk *disk);
int vhd_space_recv(struct tevent_req *req, struct vhd_space *space);

/*
 * Is there data at @offset, or a hole that reads as zeroes? Any thread; asks
 * the file system, which may have to read its metadata: lanes have VHD_MAPPED
 * for that. What is not known counts as data.
 * @param length  in: how far to look; out: how far the answer holds, at least
 *                one sector
 * @return false when the range is deallocated
 */
bool vhd_disk_mapped(const struct vhd_disk *disk, uint64_t offset,
		     uint64_t *length);

/* Read what a file is without opening it for service and without a lock. */
struct tevent_req *vhd_probe_send(TALLOC_CTX *mem_ctx,
				  struct tevent_context *ev, int fd,
				  const char *name);
int vhd_probe_recv(struct tevent_req *req, TALLOC_CTX *mem_ctx,
		   struct vhd_info *info, char **message);

struct vhd_create_params {
	enum vhd_format format;
	enum vhd_type type; /* FIXED, DYNAMIC or DIFFERENCING */
	uint64_t size;	    /* bytes, rounded up to a sector by the caller */
	/* VHDX: 512 or 4096; 0: 512 and 4096. A differencing disk's are its
	 * parent's. */
	uint32_t logical_sector, physical_sector;
	bool sparse; /* leave holes instead of writing out zeroes */
	/* DYNAMIC, DIFFERENCING: a power of two from 512 KiB to 64 MiB;
	 * 0: 2 MiB, as Windows. VHDX, all types: from 1 to 256 MiB; 0: 32
	 * MiB, of differencing disks 2 */
	uint32_t block_size;
	/*
	 * DIFFERENCING: the parent's link_id (vhd_info), when it was last
	 * changed (vhd_timestamp() of its mtime), its absolute path and its
	 * path relative to the child's folder (may be NULL), both as the
	 * reader of the file is to see them (Windows' way), UTF-8. The size
	 * is to be the parent's.
	 */
	uint8_t parent_id[16];
	uint32_t parent_timestamp;
	const char *parent_path;
	const char *parent_relative;
	/* VHDX: the parent's unique_id, which is its child's, too; its path by
	 * its volume's GUID ("\\\\?\\Volume{...}\\..."), may be NULL. */
	uint8_t parent_disk_id[16];
	const char *parent_volume;
	/* main thread; percent 0..100 */
	void (*progress)(unsigned percent, void *private_data);
	void *private_data;
};

/*
 * Write a new VHD into the empty file @fd (takes ownership, locks it). When
 * the request is done, the file is on stable storage; its name is not, the
 * caller syncs the directory. Until then it does not open as a VHD. Freeing
 * the request cancels: the worker stops soon and the file is left as it is
 * for the caller to unlink.
 * errors: EINVAL, EEXIST (@fd is not empty), ENOSPC and others with a message
 */
struct tevent_req *vhd_create_send(TALLOC_CTX *mem_ctx,
				   struct tevent_context *ev, int fd,
				   const char *name,
				   const struct vhd_create_params *params);
int vhd_create_recv(struct tevent_req *req, TALLOC_CTX *mem_ctx,
		    char **message);

/*
 * Grow an opened disk by @additional bytes; lanes may be using it. Crash-safe:
 * the file has the old or the new size. Once started it runs to its end, also
 * when the request or the disk is freed meanwhile.
 * errors: EINVAL (beyond the format's limit, not a multiple of VHD_SECTOR),
 *         EROFS, EBUSY (grows already), ENOSPC and others with a message
 */
struct tevent_req *vhd_grow_send(TALLOC_CTX *mem_ctx, struct tevent_context *ev,
				 struct vhd_disk *disk, uint64_t additional);
int vhd_grow_recv(struct tevent_req *req, TALLOC_CTX *mem_ctx, char **message);

/* ---- checking ---- */

/* Mend what can be mended without guessing: a footer or its copy from the
 * other; space that belongs to no block is given back. */
#define VHD_CHECK_REPAIR 0x1u

struct vhd_check {
	unsigned errors;   /* the file cannot be served, or not safely */
	unsigned mendable; /* damage that VHD_CHECK_REPAIR mends */
	unsigned mended;
	uint64_t leaked; /* bytes in the file that belong to no block */
	char *report;	 /* a line for each finding; "" if all is well */
};

/*
 * Check a VHD that nobody uses. Takes @fd (read-write for a repair) and the
 * lock of an opener. Findings are no errors of the request.
 * errors: EWOULDBLOCK, EBADF, EINVAL (not even the start of a VHD) and others
 *         with a message
 */
struct tevent_req *vhd_check_send(TALLOC_CTX *mem_ctx,
				  struct tevent_context *ev, int fd,
				  const char *name, uint32_t flags);
/* @param check  its report is talloc'ed on mem_ctx */
int vhd_check_recv(struct tevent_req *req, TALLOC_CTX *mem_ctx,
		   struct vhd_check *check, char **message);

/* ---- compacting ---- */

struct vhd_compact {
	uint32_t released, moved;		    /* blocks */
	uint64_t size_before, size_after;	    /* of the file, bytes */
	uint64_t allocated_before, allocated_after; /* in the file system */
};

/*
 * Make a file that nobody uses smaller: release blocks that hold nothing, turn
 * runs of zeroes into holes, move blocks forward and cut the file behind the
 * last. A fixed disk's blocks stay. What is read stays the same throughout, a
 * crash included, and so do the time of the last change and a VHDX'
 * DataWriteGuid, by which children know it. A VHDX' log is replayed first.
 * Takes @fd, opened read-write, and the lock. Freeing the request cancels: the
 * file stays sound.
 * @param progress  main thread; percent 0..100; may be NULL
 * errors: EWOULDBLOCK, EBADF, EINVAL (damaged: check it first; a virtual
 *         machine in saved state) and others with a message
 */
struct tevent_req *vhd_compact_send(TALLOC_CTX *mem_ctx,
				    struct tevent_context *ev, int fd,
				    const char *name,
				    void (*progress)(unsigned percent,
						     void *private_data),
				    void *private_data);
int vhd_compact_recv(struct tevent_req *req, TALLOC_CTX *mem_ctx,
		     struct vhd_compact *result, char **message);

#endif /* ISTM_VHD_H */
