/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An open file: its lock, its I/O policy, what is known of its holes. */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/falloc.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "vhd/private.h"

/* Files of VHDs; those of larger formats ask for more. */
#define HOLES_SIZE (VHD_MAX_SIZE + VHD_HOLE_CHUNK)

/* A file in more pieces than this is taken as full of holes. */
#define HOLES_SCAN_MAX 100000

/* Most file systems have blocks of this size, none larger ones than that. */
#define FS_BLOCK     4096
#define FS_BLOCK_MAX 65536

static _Atomic(const struct vhd_tap *) current_tap;

void vhd_set_tap(const struct vhd_tap *tap)
{
	atomic_store(&current_tap, tap);
}

/* Tests: shall this call fail, or move fewer bytes? */
static int file_fault(const struct vhd_file *file, enum vhd_tap_step step,
		      uint64_t offset, uint64_t *len)
{
	if (file->tap == NULL || file->tap->fault == NULL) {
		return 0;
	}
	return file->tap->fault(file->name, step, offset, len);
}

/* The same for a call that moves no bytes. */
static int file_fails(const struct vhd_file *file, enum vhd_tap_step step,
		      uint64_t offset, uint64_t len)
{
	return file_fault(file, step, offset, &len);
}

/*
 * How I/O may be tried inline. RWF_NOWAIT is tried where it may exist; the
 * first EOPNOTSUPP ends it (transfer.c), and a write is then guarded instead:
 * measured on ext4, a worker of io_uring costs 2.5 times a plain write.
 */
static void file_choose_policy(struct vhd_file *file)
{
	struct statfs fs;

	atomic_init(&file->inline_read, VHD_INLINE_NOWAIT);
	atomic_init(&file->inline_write, VHD_INLINE_NOWAIT);
	file->fs_block = FS_BLOCK;
	if (fstatfs(file->fd, &fs) != 0) {
		return;
	}
	/* Network file systems tell what they like to transfer. */
	if (fs.f_bsize > FS_BLOCK && fs.f_bsize <= FS_BLOCK_MAX &&
	    (fs.f_bsize & (fs.f_bsize - 1)) == 0) {
		file->fs_block = (uint32_t)fs.f_bsize;
	}
	if (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC) {
		/* Memory. tmpfs refuses RWF_NOWAIT, yet never waits for it. */
		atomic_init(&file->inline_read, VHD_INLINE_ALWAYS);
		atomic_init(&file->inline_write, VHD_INLINE_ALWAYS);
	}
}

static int file_check(struct vhd_file *file, char *why, size_t why_len)
{
	struct stat st;
	int flags, ret = vhd_file_stat(file, &st);

	if (ret != 0) {
		snprintf(why, why_len, "fstat: %s", strerror(ret));
		return ret;
	}
	if (!S_ISREG(st.st_mode)) {
		snprintf(why, why_len, "not a regular file (mode 0%o)",
			 st.st_mode & S_IFMT);
		return EINVAL;
	}
	flags = fcntl(file->fd, F_GETFL);
	if (flags < 0) {
		ret = errno;
		snprintf(why, why_len, "F_GETFL: %s", strerror(ret));
		return ret;
	}
	if ((flags & O_ACCMODE) == O_WRONLY ||
	    (!file->readonly && (flags & O_ACCMODE) != O_RDWR)) {
		snprintf(why, why_len, "opened %s",
			 (flags & O_ACCMODE) == O_WRONLY ? "for writing only"
							 : "read-only");
		return EBADF;
	}
	/* Linux' pwrite appends then, wherever it was told to write. */
	if (flags & O_APPEND) {
		snprintf(why, why_len, "opened for appending");
		return EBADF;
	}
	return 0;
}

static size_t holes_bytes(uint64_t chunks)
{
	return (chunks + 63) / 64 * sizeof(uint64_t);
}

static void holes_unmap(struct vhd_file *file)
{
	if (file->holes != NULL) {
		munmap((void *)file->holes, holes_bytes(file->hole_chunks));
		file->holes = NULL;
	}
}

int vhd_file_map_holes(struct vhd_file *file, uint64_t size)
{
	uint64_t chunks = (size + VHD_HOLE_CHUNK - 1) / VHD_HOLE_CHUNK;
	void *map;

	if (chunks <= file->hole_chunks) {
		return 0;
	}
	map = mmap(NULL, holes_bytes(chunks), PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (map == MAP_FAILED) {
		return ENOMEM;
	}
	holes_unmap(file);
	file->holes = map;
	file->hole_chunks = chunks;
	return 0;
}

struct vhd_file *vhd_file_open(int fd, const char *name, bool readonly,
			       char *why, size_t why_len)
{
	struct vhd_file *file;
	int ret;

	file = calloc(1, sizeof(*file));
	if (file == NULL) {
		snprintf(why, why_len, "out of memory");
		close(fd);
		errno = ENOMEM;
		return NULL;
	}
	atomic_init(&file->refs, 1);
	file->fd = fd;
	file->direct_fd = -1;
	file->tap = atomic_load(&current_tap);
	file->readonly = readonly;
	file->name = strdup(name);
	if (file->name == NULL || vhd_file_map_holes(file, HOLES_SIZE) != 0) {
		snprintf(why, why_len, "out of memory");
		ret = ENOMEM;
		goto fail;
	}
	ret = file_check(file, why, why_len);
	if (ret != 0) {
		goto fail;
	}
	file_choose_policy(file);
	return file;
fail:
	vhd_file_unref(file);
	errno = ret;
	return NULL;
}

struct vhd_file *vhd_file_ref(struct vhd_file *file)
{
	atomic_fetch_add(&file->refs, 1);
	return file;
}

/* On SMB a lock is mandatory and one handle's: what goes through another one,
 * be it the kernel's write-back, is refused. */
static bool locks_bind_handles(const struct vhd_file *file)
{
	struct statfs fs;

	if (fstatfs(file->fd, &fs) != 0) {
		return false;
	}
	switch ((uint32_t)fs.f_type) {
	case SMB_SUPER_MAGIC:
	case CIFS_SUPER_MAGIC:
	case SMB2_SUPER_MAGIC:
		return true;
	}
	return false;
}

struct vhd_file *vhd_file_reopen(struct vhd_file *file)
{
	struct vhd_file *own;
	char path[40];

	if (locks_bind_handles(file)) {
		return vhd_file_ref(file);
	}
	own = calloc(1, sizeof(*own));
	if (own == NULL) {
		return vhd_file_ref(file);
	}
	snprintf(path, sizeof(path), "/proc/self/fd/%d", file->fd);
	own->fd = open(path, (file->readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC);
	own->name = strdup(file->name);
	if (own->fd < 0 || own->name == NULL) {
		if (own->fd >= 0) {
			close(own->fd);
		}
		free(own->name);
		free(own);
		return vhd_file_ref(file);
	}
	atomic_init(&own->refs, 1);
	own->direct_fd = -1;
	own->tap = file->tap;
	own->readonly = file->readonly;
	own->fs_block = file->fs_block;
	own->holes = file->holes;
	own->hole_chunks = file->hole_chunks;
	own->of = vhd_file_ref(file);
	return own;
}

void vhd_file_unref(struct vhd_file *file)
{
	if (file == NULL || atomic_fetch_sub(&file->refs, 1) != 1) {
		return;
	}
	if (file->of != NULL) {
		vhd_file_unref(file->of);
	} else {
		holes_unmap(file);
	}
	if (file->direct_fd >= 0) {
		close(file->direct_fd);
	}
	close(file->fd);
	free(file->name);
	free(file);
}

void vhd_file_close(struct vhd_file *file)
{
	struct flock lock = {.l_type = F_UNLCK, .l_whence = SEEK_SET};

	if (file != NULL) {
		(void)fcntl(file->fd, F_OFD_SETLK, &lock);
	}
	vhd_file_unref(file);
}

bool vhd_file_is_cached(struct vhd_file *file, uint64_t offset)
{
	int policy =
		atomic_load_explicit(&file->inline_read, memory_order_relaxed);
	uint8_t byte;
	struct iovec iov = {&byte, 1};

	return policy != VHD_INLINE_NEVER &&
	       preadv2(file->fd, &iov, 1, (off_t)offset,
		       policy == VHD_INLINE_NOWAIT ? RWF_NOWAIT : 0) == 1;
}

/* Who has the lock that is in the way of @lock? Linux tells the process of a
 * POSIX lock only: an OFD lock is a descriptor's, which may have many. */
static void describe_holder(const struct vhd_file *file, struct flock lock,
			    char *why, size_t why_len)
{
	if (fcntl(file->fd, F_OFD_GETLK, &lock) == 0 &&
	    lock.l_type != F_UNLCK && lock.l_pid > 0) {
		snprintf(why, why_len, "in use: locked by process %d",
			 (int)lock.l_pid);
		return;
	}
	snprintf(why, why_len, "in use: locked by another opener");
}

/* Nobody who heeds the lock changes it from now on. */
static int note_state(struct vhd_file *file, char *why, size_t why_len)
{
	struct stat st;
	int ret = vhd_file_stat(file, &st);

	if (ret != 0) {
		snprintf(why, why_len, "fstat: %s", strerror(ret));
		return ret;
	}
	file->locked_mtime = st.st_mtim;
	file->locked_size = st.st_size;
	return 0;
}

int vhd_file_lock(struct vhd_file *file, char *why, size_t why_len)
{
	struct flock lock = {
		.l_type = file->readonly ? F_RDLCK : F_WRLCK,
		.l_whence = SEEK_SET,
	};
	int ret;

	ret = file_fails(file, VHD_TAP_STEP_LOCK, 0, 0);
	if (ret == 0) {
		if (fcntl(file->fd, F_OFD_SETLK, &lock) == 0) {
			return file->readonly ? note_state(file, why, why_len)
					      : 0;
		}
		ret = errno;
	}
	if (ret == EAGAIN || ret == EACCES) {
		describe_holder(file, lock, why, why_len);
		return EWOULDBLOCK;
	}
	snprintf(why, why_len, "cannot lock: %s", strerror(ret));
	return ret;
}

bool vhd_file_is_locked(const struct vhd_file *file)
{
	struct flock lock = {
		.l_type = F_RDLCK,
		.l_whence = SEEK_SET,
	};

	return fcntl(file->fd, F_OFD_GETLK, &lock) != 0 ||
	       lock.l_type != F_UNLCK;
}

/* ---- holes ---- */

static void holes_set(struct vhd_file *file, uint64_t first, uint64_t last,
		      bool hole)
{
	uint64_t chunk = first;

	if (last >= file->hole_chunks) {
		last = file->hole_chunks - 1;
	}
	while (chunk <= last) {
		uint64_t word = chunk / 64;
		uint64_t mask = UINT64_MAX << chunk % 64;

		if (last / 64 == word && last % 64 != 63) {
			mask &= (UINT64_C(1) << (last % 64 + 1)) - 1;
		}
		if (hole) {
			atomic_fetch_or_explicit(&file->holes[word], mask,
						 memory_order_relaxed);
		} else {
			atomic_fetch_and_explicit(&file->holes[word], ~mask,
						  memory_order_relaxed);
		}
		chunk = (word + 1) * 64;
	}
}

bool vhd_file_may_have_hole(const struct vhd_file *file, uint64_t offset,
			    uint64_t length)
{
	uint64_t chunk = offset / VHD_HOLE_CHUNK;
	uint64_t last = (offset + length - 1) / VHD_HOLE_CHUNK;

	if (last >= file->hole_chunks) {
		return true;
	}
	for (; chunk <= last; chunk++) {
		uint64_t word = atomic_load_explicit(&file->holes[chunk / 64],
						     memory_order_relaxed);

		if (word & UINT64_C(1) << chunk % 64) {
			return true;
		}
	}
	return false;
}

void vhd_file_mark_hole(struct vhd_file *file, uint64_t offset, uint64_t length)
{
	if (length > 0) {
		holes_set(file, offset / VHD_HOLE_CHUNK,
			  (offset + length - 1) / VHD_HOLE_CHUNK, true);
	}
}

void vhd_file_recheck_holes(struct vhd_file *file, uint64_t offset,
			    uint64_t length)
{
	uint64_t first = offset / VHD_HOLE_CHUNK;
	uint64_t last = (offset + length - 1) / VHD_HOLE_CHUNK;
	off_t hole;

	hole = lseek(file->fd, first * VHD_HOLE_CHUNK, SEEK_HOLE);
	if (hole < 0) {
		return;
	}
	/* Whole chunks that end before the next hole. */
	if ((uint64_t)hole / VHD_HOLE_CHUNK <= last) {
		last = (uint64_t)hole / VHD_HOLE_CHUNK;
		if (last == first) {
			return;
		}
		last--;
	}
	holes_set(file, first, last, false);
}

void vhd_file_scan_holes(struct vhd_file *file)
{
	struct stat st;
	off_t pos = 0;
	unsigned n;

	if (file->readonly || fstat(file->fd, &st) != 0) {
		return;
	}
	/* Written out, or reserved with fallocate. */
	if ((uint64_t)st.st_blocks * 512 >= (uint64_t)st.st_size) {
		return;
	}
	for (n = 0; pos < st.st_size; n++) {
		off_t hole = lseek(file->fd, pos, SEEK_HOLE);
		off_t data;

		if (hole < 0 || hole >= st.st_size) {
			return;
		}
		data = lseek(file->fd, hole, SEEK_DATA);
		if (data < 0 || n >= HOLES_SCAN_MAX) {
			data = st.st_size; /* the last hole, or give up */
		}
		vhd_file_mark_hole(file, hole, data - hole);
		pos = data;
	}
}

bool vhd_file_has_data(const struct vhd_file *file, uint64_t offset,
		       uint64_t *length)
{
	off_t data = lseek(file->fd, (off_t)offset, SEEK_DATA);
	off_t hole;

	if (data < 0) {
		/* ENXIO: a hole up to the end of the file. */
		return errno != ENXIO;
	}
	if ((uint64_t)data > offset) {
		if ((uint64_t)data - offset < *length) {
			*length = (uint64_t)data - offset;
		}
		return false;
	}
	hole = lseek(file->fd, (off_t)offset, SEEK_HOLE);
	if (hole > data && (uint64_t)hole - offset < *length) {
		*length = (uint64_t)hole - offset;
	}
	return true;
}

/* ---- worker threads' I/O ---- */

int vhd_file_pread(struct vhd_file *file, void *buf, size_t len,
		   uint64_t offset)
{
	uint8_t *p = buf;

	while (len > 0) {
		uint64_t most = len;
		int ret = file_fault(file, VHD_TAP_STEP_READ, offset, &most);
		ssize_t n = 0;

		if (ret == 0) {
			n = pread(file->fd, p, most, (off_t)offset);
			ret = n < 0 ? errno : 0;
		}
		if (ret == EINTR) {
			continue;
		}
		if (ret != 0 || n == 0) {
			return ret != 0 ? ret : EIO;
		}
		p += n;
		len -= (size_t)n;
		offset += (uint64_t)n;
	}
	return 0;
}

static void tap_written(struct vhd_file *file, const void *buf, size_t len,
			uint64_t offset, bool durable)
{
	struct iovec iov = {(void *)(uintptr_t)buf, len};

	if (file->tap != NULL && file->tap->write != NULL) {
		file->tap->write(file->name, offset, &iov, 1, len, durable);
	}
}

static int write_whole(struct vhd_file *file, const void *buf, size_t len,
		       uint64_t offset, bool durable)
{
	const uint8_t *p = buf;

	while (len > 0) {
		uint64_t most = len;
		int ret = file_fault(file, VHD_TAP_STEP_WRITE, offset, &most);
		struct iovec iov = {(void *)(uintptr_t)p, most};
		ssize_t n = 0;

		if (ret == 0) {
			n = pwritev2(file->fd, &iov, 1, (off_t)offset,
				     durable ? RWF_DSYNC : 0);
			ret = n < 0 ? errno : 0;
		}
		if (ret == EINTR) {
			continue;
		}
		if (ret != 0 || n == 0) {
			return ret != 0 ? ret : EIO;
		}
		tap_written(file, p, (size_t)n, offset, durable);
		p += n;
		len -= (size_t)n;
		offset += (uint64_t)n;
	}
	return 0;
}

int vhd_file_pwrite(struct vhd_file *file, const void *buf, size_t len,
		    uint64_t offset)
{
	return write_whole(file, buf, len, offset, false);
}

int vhd_file_pwrite_durable(struct vhd_file *file, const void *buf, size_t len,
			    uint64_t offset)
{
	return write_whole(file, buf, len, offset, true);
}

int vhd_file_sync(struct vhd_file *file)
{
	uint64_t begin = 0;
	int ret;

	if (file->tap != NULL && file->tap->sync_begin != NULL) {
		begin = file->tap->sync_begin(file->name);
	}
	do {
		ret = file_fails(file, VHD_TAP_STEP_SYNC, 0, 0);
		if (ret == 0 && fsync(file->fd) != 0) {
			ret = errno;
		}
	} while (ret == EINTR);
	if (ret != 0) {
		return ret;
	}
	if (file->tap != NULL && file->tap->sync_end != NULL) {
		file->tap->sync_end(file->name, begin);
	}
	return 0;
}

int vhd_file_truncate(struct vhd_file *file, uint64_t size)
{
	int ret;

	do {
		ret = file_fails(file, VHD_TAP_STEP_TRUNCATE, size, 0);
		if (ret == 0 && ftruncate(file->fd, (off_t)size) != 0) {
			ret = errno;
		}
	} while (ret == EINTR);
	if (ret != 0) {
		return ret;
	}
	if (file->tap != NULL && file->tap->change != NULL) {
		file->tap->change(file->name, VHD_TAP_TRUNCATE, size, 0);
	}
	return 0;
}

void vhd_file_tap_fallocate(struct vhd_file *file, int mode, uint64_t offset,
			    uint64_t length)
{
	enum vhd_tap_change change = VHD_TAP_RESERVE;

	if (file->tap == NULL || file->tap->change == NULL) {
		return;
	}
	if (mode & FALLOC_FL_PUNCH_HOLE) {
		change = VHD_TAP_PUNCH;
	} else if (mode & FALLOC_FL_ZERO_RANGE) {
		change = VHD_TAP_ZERO;
	}
	file->tap->change(file->name, change, offset, length);
	if (!(mode & FALLOC_FL_KEEP_SIZE)) {
		file->tap->change(file->name, VHD_TAP_TRUNCATE, offset + length,
				  0);
	}
}

int vhd_file_fallocate(struct vhd_file *file, int mode, uint64_t offset,
		       uint64_t length)
{
	int ret;

	do {
		ret = file_fails(file, VHD_TAP_STEP_FALLOCATE, offset, length);
		if (ret == 0 && fallocate(file->fd, mode, (off_t)offset,
					  (off_t)length) != 0) {
			ret = errno;
		}
	} while (ret == EINTR);
	if (ret != 0) {
		return ret;
	}
	vhd_file_tap_fallocate(file, mode, offset, length);
	return 0;
}

int vhd_file_write_zeroes(struct vhd_file *file, uint64_t from, uint64_t to)
{
	static const uint8_t zero[65536];
	int ret = 0;

	while (ret == 0 && from < to) {
		size_t n = to - from < sizeof(zero) ? to - from : sizeof(zero);

		ret = vhd_file_pwrite(file, zero, n, from);
		from += n;
	}
	return ret;
}

int vhd_file_zero(struct vhd_file *file, int mode, uint64_t offset,
		  uint64_t length)
{
	int ret = vhd_file_fallocate(file, mode, offset, length);

	return ret != EOPNOTSUPP
		       ? ret
		       : vhd_file_write_zeroes(file, offset, offset + length);
}

ssize_t vhd_file_copy(const struct vhd_file *from, off_t *from_offset,
		      struct vhd_file *to, off_t *to_offset, uint64_t length)
{
	int ret = file_fault(to, VHD_TAP_STEP_COPY, (uint64_t)*to_offset,
			     &length);
	ssize_t n;

	if (ret != 0 || length == 0) {
		return -ret;
	}
	n = copy_file_range(from->fd, from_offset, to->fd, to_offset, length,
			    0);
	return n < 0 ? -errno : n;
}

int vhd_file_stat(const struct vhd_file *file, struct stat *st)
{
	int ret = file_fails(file, VHD_TAP_STEP_STAT, 0, 0);

	if (ret != 0) {
		return ret;
	}
	return fstat(file->fd, st) == 0 ? 0 : errno;
}

int vhd_file_size(struct vhd_file *file, uint64_t *size, uint64_t *allocated)
{
	struct stat st;
	int ret = vhd_file_stat(file, &st);

	if (ret != 0) {
		return ret;
	}
	*size = (uint64_t)st.st_size;
	if (allocated != NULL) {
		*allocated = (uint64_t)st.st_blocks * 512;
	}
	return 0;
}

bool vhd_file_space(const struct vhd_file *file, struct vhd_space *space)
{
	struct statvfs fs;
	struct stat st;

	if (fstatvfs(file->fd, &fs) != 0 || vhd_file_stat(file, &st) != 0) {
		return false;
	}
	space->used = (uint64_t)st.st_blocks * 512;
	space->available = (uint64_t)fs.f_bavail * fs.f_frsize;
	space->total = (uint64_t)fs.f_blocks * fs.f_frsize;
	return true;
}

/*
 * A backup that has read the file may put its time back less precisely: whole
 * seconds, milliseconds, SMB's 100 ns, or rounded up, as floating point does.
 */
static bool is_same_time(const struct timespec *was, const struct timespec *is)
{
	/* No overflow, whatever a file system says. */
	int64_t seconds =
		(int64_t)((uint64_t)is->tv_sec - (uint64_t)was->tv_sec);
	int64_t nsec = is->tv_nsec - was->tv_nsec;

	if (seconds == 0 && is->tv_nsec == 0) {
		return true;
	}
	if (seconds < -1 || seconds > 1) {
		return false;
	}
	nsec += seconds * 1000000000;
	return nsec > -1000000 && nsec < 1000000;
}

bool vhd_file_was_changed(const struct vhd_file *file, char *how,
			  size_t how_len)
{
	struct stat st;

	/* Not ctime: chmod, a link or another name leave the data alone. */
	if (vhd_file_stat(file, &st) != 0 ||
	    (st.st_size == file->locked_size &&
	     is_same_time(&file->locked_mtime, &st.st_mtim))) {
		return false;
	}
	snprintf(how, how_len,
		 "%jd bytes of %jd.%09ld, now %jd of %jd.%09ld (seconds since "
		 "1970)",
		 (intmax_t)file->locked_size,
		 (intmax_t)file->locked_mtime.tv_sec,
		 file->locked_mtime.tv_nsec, (intmax_t)st.st_size,
		 (intmax_t)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
	return true;
}
