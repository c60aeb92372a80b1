/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One transfer between a request's buffers and a range of a file: inline
 * where that cannot block, otherwise on the lane's ring; short ones continued.
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "vhd/private.h"

#define PAGE 4096u

/* Kernels take this many iovecs (UIO_MAXIOV). */
#define IOV_LIMIT 1024

/* Iovecs built on the stack for an inline call that needs only a part. */
#define STACK_IOV 64

/* Answers of the ring that ask for another try, in a row. */
#define RETRIES_MAX 100

/* The source of zeroes. */
static uint8_t zeroes[256 * 1024] __attribute__((aligned(PAGE)));

/* ---- the cursor ---- */

void vhd_cursor_advance(struct vhd_cursor *cursor, uint64_t n)
{
	if (cursor->iov == NULL) {
		return;
	}
	while (n > 0) {
		size_t here = cursor->iov->iov_len - cursor->skip;

		if (n < here) {
			cursor->skip += n;
			return;
		}
		n -= here;
		cursor->iov++;
		cursor->cnt--;
		cursor->skip = 0;
	}
}

/* Describe the next @len bytes in at most @max iovecs.
 * @return how many; *@covered is what they hold */
static int cursor_slice(const struct vhd_cursor *cursor, uint64_t len,
			struct iovec *slice, int max, uint64_t *covered)
{
	struct vhd_cursor c = *cursor;
	uint64_t left = len;
	int n = 0;

	while (left > 0 && n < max) {
		size_t here;

		if (c.iov == NULL) {
			here = left < sizeof(zeroes) ? left : sizeof(zeroes);
			slice[n].iov_base = zeroes;
		} else {
			here = c.iov->iov_len - c.skip;
			if (here > left) {
				here = left;
			}
			slice[n].iov_base = (uint8_t *)c.iov->iov_base + c.skip;
			c.iov++;
			c.skip = 0;
		}
		if (here > 0) {
			slice[n++].iov_len = here;
		}
		left -= here;
	}
	*covered = len - left;
	return n;
}

void vhd_cursor_copy_to(struct vhd_cursor *cursor, const void *from,
			uint64_t len)
{
	const uint8_t *p = from;

	while (len > 0) {
		struct iovec part;
		uint64_t n;

		cursor_slice(cursor, len, &part, 1, &n);
		memcpy(part.iov_base, p, n);
		vhd_cursor_advance(cursor, n);
		p += n;
		len -= n;
	}
}

void vhd_cursor_copy_from(struct vhd_cursor *cursor, void *to, uint64_t len)
{
	uint8_t *p = to;

	while (len > 0) {
		struct iovec part;
		uint64_t n;

		cursor_slice(cursor, len, &part, 1, &n);
		memcpy(p, part.iov_base, n);
		vhd_cursor_advance(cursor, n);
		p += n;
		len -= n;
	}
}

void vhd_cursor_zero(struct vhd_cursor *cursor, uint64_t len)
{
	while (len > 0) {
		struct iovec part;
		uint64_t n;

		cursor_slice(cursor, len, &part, 1, &n);
		memset(part.iov_base, 0, n);
		vhd_cursor_advance(cursor, n);
		len -= n;
	}
}

void vhd_cursor_nowhere(const struct vhd_disk *disk, struct vhd_cursor *cursor,
			uint64_t len)
{
	if (disk->rolling_back) {
		vhd_cursor_advance(cursor, len);
	} else {
		vhd_cursor_zero(cursor, len);
	}
}

/* ---- inline ---- */

/* Iovecs for the next @len bytes: the caller's own when they fit exactly. */
static int transfer_iov(struct vhd_req *req, uint64_t len, struct iovec *slice,
			int max, const struct iovec **iov)
{
	struct vhd_state *st = vhd_state(req);
	uint64_t covered;

	if (st->exact && st->cursor.iov != NULL && st->cursor.skip == 0 &&
	    st->cursor.cnt <= IOV_LIMIT && len == st->length) {
		*iov = st->cursor.iov;
		return st->cursor.cnt;
	}
	*iov = slice;
	return cursor_slice(&st->cursor, len, slice, max, &covered);
}

/* Count @n transferred bytes. */
static void transfer_advance(struct vhd_state *st, uint64_t n)
{
	vhd_cursor_advance(&st->cursor, n);
	st->file_offset += n;
	st->left -= n;
}

/*
 * How a write becomes durable. Around the page cache it is so when it is done
 * (RWF_DSYNC). A buffered one is synced in a second step, its range only.
 * RWF_DSYNC would do both, but io_uring lets only one worker write to a file
 * at a time, so that each write would wait for the syncs of those before it.
 * Syncs run side by side, and share the device's flushes.
 */
static bool durable_when_written(const struct vhd_state *st)
{
	return st->fua && st->file->direct_fd >= 0;
}

static bool must_sync(const struct vhd_state *st, bool write)
{
	return write && st->fua && !durable_when_written(st);
}

/* Tests: these bytes have been written, from where the transfer stands. */
static void tap_written(struct vhd_state *st, const struct iovec *iov, int cnt,
			uint64_t n)
{
	if (st->file->tap != NULL && st->file->tap->write != NULL) {
		st->file->tap->write(st->file->name, st->file_offset, iov, cnt,
				     n, durable_when_written(st));
	}
}

/* Tests: shall this step fail, or move fewer bytes? It then goes by the ring;
 * as a no-op if it moves none. */
static bool tap_injects(struct vhd_state *st, enum vhd_tap_step step)
{
	st->inject = 0;
	st->most = st->left;
	if (st->file->tap != NULL && st->file->tap->fault != NULL) {
		st->inject = st->file->tap->fault(st->file->name, step,
						  st->file_offset, &st->most);
	}
	return st->inject != 0 || st->most != st->left;
}

static int read_inline(struct vhd_req *req)
{
	struct vhd_state *st = vhd_state(req);
	int policy = atomic_load_explicit(&st->file->inline_read,
					  memory_order_relaxed);
	int flags = policy == VHD_INLINE_NOWAIT ? RWF_NOWAIT : 0;

	if (policy == VHD_INLINE_NEVER) {
		return VHD_PENDING;
	}
	while (st->left > 0) {
		struct iovec slice[STACK_IOV];
		const struct iovec *iov;
		int cnt = transfer_iov(req, st->left, slice, STACK_IOV, &iov);
		ssize_t n = preadv2(st->file->fd, iov, cnt,
				    (off_t)st->file_offset, flags);

		if (n <= 0) {
			if (n < 0 && errno == EOPNOTSUPP) {
				atomic_store(&st->file->inline_read,
					     VHD_INLINE_NEVER);
			}
			/* Not in the cache, end of file, an error: the ring
			 * finds out which. */
			return VHD_PENDING;
		}
		transfer_advance(st, (uint64_t)n);
	}
	return 0;
}

/*
 * May a plain buffered write be expected not to wait? Not for the allocation
 * of blocks, not for writeback that throttles writers, not for reading the
 * rest of a page of which only a part is written.
 */
static bool write_is_harmless(struct vhd_io *io, struct vhd_state *st)
{
	uint64_t end = st->file_offset + st->left;

	if (vhd_file_may_have_hole(st->file, st->file_offset, st->left)) {
		return false;
	}
	if (st->file_offset % PAGE != 0 &&
	    !vhd_file_is_cached(st->file, st->file_offset)) {
		return false;
	}
	if (end % PAGE != 0 && !vhd_file_is_cached(st->file, end - 1)) {
		return false;
	}
	return vhd_io_dirty_ok(io, st->left);
}

static int write_inline(struct vhd_req *req)
{
	struct vhd_state *st = vhd_state(req);
	int policy = atomic_load_explicit(&st->file->inline_write,
					  memory_order_relaxed);
	int flags = policy == VHD_INLINE_NOWAIT ? RWF_NOWAIT : 0;

	if (policy == VHD_INLINE_NEVER) {
		return VHD_PENDING;
	}
	if (policy == VHD_INLINE_GUARDED && !write_is_harmless(st->io, st)) {
		return VHD_PENDING;
	}
	while (st->left > 0) {
		struct iovec slice[STACK_IOV];
		const struct iovec *iov;
		int cnt = transfer_iov(req, st->left, slice, STACK_IOV, &iov);
		ssize_t n = pwritev2(st->file->fd, iov, cnt,
				     (off_t)st->file_offset, flags);

		if (n <= 0) {
			if (n < 0 && errno == EOPNOTSUPP) {
				/* ext4 and others without non-blocking
				 * buffered writes. */
				atomic_store(&st->file->inline_write,
					     VHD_INLINE_GUARDED);
			}
			return VHD_PENDING;
		}
		tap_written(st, iov, cnt, (uint64_t)n);
		transfer_advance(st, (uint64_t)n);
	}
	return 0;
}

/* ---- durable writes ---- */

static int sync_range(struct vhd_req *req)
{
	struct vhd_state *st = vhd_state(req);

	st->sqe_op = IORING_OP_SYNC_FILE_RANGE;
	st->retries = 0;
	tap_injects(st, VHD_TAP_STEP_SYNC);
	vhd_io_queue(req);
	return VHD_PENDING;
}

/* Tests: what was written is durable now. */
static void tap_range_synced(struct vhd_state *st)
{
	struct vhd_cursor cursor = st->durable.cursor;
	uint64_t at = 0, n;

	if (st->file->tap->write == NULL) {
		return;
	}
	while (at < st->durable.length) {
		struct iovec slice[STACK_IOV];
		int cnt = cursor_slice(&cursor, st->durable.length - at, slice,
				       STACK_IOV, &n);

		st->file->tap->write(st->file->name, st->durable.offset + at,
				     slice, cnt, n, true);
		vhd_cursor_advance(&cursor, n);
		at += n;
	}
}

/* ---- the ring ---- */

int vhd_transfer(struct vhd_req *req, struct vhd_file *file, bool write,
		 uint64_t file_offset, uint64_t length)
{
	struct vhd_state *st = vhd_state(req);
	int ret;

	if (write && st->cursor.iov == NULL && req->op == VHD_COPY) {
		return vhd_copy_transfer(req, file, file_offset, length);
	}
	st->file = file;
	st->file_offset = file_offset;
	st->left = length;
	st->retries = 0;
	if (must_sync(st, write)) {
		st->durable.offset = file_offset;
		st->durable.length = length;
		st->durable.cursor = st->cursor;
	}
	if (tap_injects(st, write ? VHD_TAP_STEP_WRITE : VHD_TAP_STEP_READ)) {
		ret = VHD_PENDING;
	} else if (file->direct_fd >= 0) {
		ret = VHD_PENDING;
	} else {
		ret = write ? write_inline(req) : read_inline(req);
		st->most = st->left;
	}
	if (ret == VHD_PENDING) {
		st->sqe_op = write ? IORING_OP_WRITEV : IORING_OP_READV;
		vhd_io_queue(req);
		return ret;
	}
	return must_sync(st, write) ? sync_range(req) : ret;
}

int vhd_transfer_fallocate(struct vhd_req *req, struct vhd_file *file, int mode,
			   uint64_t file_offset, uint64_t length)
{
	struct vhd_state *st = vhd_state(req);

	vhd_file_mark_hole(file, file_offset, length);
	st->file = file;
	st->file_offset = file_offset;
	st->left = length;
	st->retries = 0;
	st->sqe_op = IORING_OP_FALLOCATE;
	st->sqe_arg = mode;
	tap_injects(st, VHD_TAP_STEP_FALLOCATE);
	vhd_io_queue(req);
	return VHD_PENDING;
}

int vhd_transfer_sync(struct vhd_req *req, struct vhd_file *file)
{
	struct vhd_state *st = vhd_state(req);

	st->file = file;
	st->file_offset = 0;
	st->left = 0;
	st->retries = 0;
	st->sqe_op = IORING_OP_FSYNC;
	tap_injects(st, VHD_TAP_STEP_SYNC);
	if (file->tap != NULL && file->tap->sync_begin != NULL) {
		st->file_offset = file->tap->sync_begin(file->name);
	}
	vhd_io_queue(req);
	return VHD_PENDING;
}

/* Data to or from the file. */
static void prepare_rw(struct vhd_req *req, struct io_uring_sqe *sqe)
{
	struct vhd_state *st = vhd_state(req);
	bool write = st->sqe_op == IORING_OP_WRITEV;
	const struct iovec *iov;
	int cnt = transfer_iov(req, st->most, st->slice, VHD_SLICE, &iov);
	int fd = st->file->fd;

	if (st->file->direct_fd >= 0) {
		fd = st->file->direct_fd;
		if (!vhd_direct_takes(st->file, iov, cnt)) {
			st->inject = vhd_direct_bounce(req, write, st->slice);
			if (st->inject != 0) {
				io_uring_prep_nop(sqe);
				return;
			}
			iov = st->slice;
			cnt = 1;
		}
	}
	if (write) {
		io_uring_prep_writev(sqe, fd, iov, (unsigned)cnt,
				     st->file_offset);
		sqe->rw_flags = durable_when_written(st) ? RWF_DSYNC : 0;
	} else {
		io_uring_prep_readv(sqe, fd, iov, (unsigned)cnt,
				    st->file_offset);
	}
}

void vhd_transfer_prepare(struct vhd_req *req, struct io_uring_sqe *sqe)
{
	struct vhd_state *st = vhd_state(req);

	if (st->inject != 0) {
		io_uring_prep_nop(sqe);
		return;
	}
	switch (st->sqe_op) {
	case IORING_OP_READV:
	case IORING_OP_WRITEV:
		if (st->most == 0) {
			io_uring_prep_nop(sqe);
			break;
		}
		prepare_rw(req, sqe);
		break;
	case IORING_OP_FALLOCATE:
		io_uring_prep_fallocate(sqe, st->file->fd, st->sqe_arg,
					(off_t)st->file_offset,
					(off_t)st->left);
		break;
	case IORING_OP_FSYNC:
		io_uring_prep_fsync(sqe, st->file->fd, IORING_FSYNC_DATASYNC);
		break;
	case IORING_OP_SYNC_FILE_RANGE:
		/* fdatasync of a range: that operation is not durable. */
		io_uring_prep_fsync(sqe, st->file->fd, IORING_FSYNC_DATASYNC);
		if (st->durable.length <= UINT32_MAX) { /* else all of it */
			sqe->off = st->durable.offset;
			sqe->len = (uint32_t)st->durable.length;
		}
		break;
	}
}

static const char *step_name(const struct vhd_state *st)
{
	switch (st->sqe_op) {
	case IORING_OP_READV:
		return "read";
	case IORING_OP_WRITEV:
		return "write";
	case IORING_OP_FALLOCATE:
		return "fallocate";
	default:
		return "fdatasync";
	}
}

int vhd_map_error(int error)
{
	switch (error) {
	case 0:
		return 0;
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
		return ENOSPC;
	case EILSEQ:
	case EINVAL:
	case EROFS:
		return error;
	default:
		return EIO;
	}
}

/* Log the failure of a step, once until another error follows. */
static void step_log(struct vhd_state *st, int error, const char *text)
{
	if (atomic_exchange(&st->file->last_error, error) != error) {
		vhd_log(error == ENOSPC ? 1 : 0,
			"vhd: %s: %s at %" PRIu64 ", %" PRIu64 " bytes: %s",
			st->file->name, step_name(st), st->file_offset,
			st->left, text);
	}
}

static enum vhd_tap_step tap_step(const struct vhd_state *st)
{
	switch (st->sqe_op) {
	case IORING_OP_READV:
		return VHD_TAP_STEP_READ;
	case IORING_OP_WRITEV:
		return VHD_TAP_STEP_WRITE;
	case IORING_OP_FALLOCATE:
		return VHD_TAP_STEP_FALLOCATE;
	default:
		return VHD_TAP_STEP_SYNC;
	}
}

/* What is left of the step, or all of it once more. */
static int step_again(struct vhd_req *req)
{
	struct vhd_state *st = vhd_state(req);

	tap_injects(st, tap_step(st));
	vhd_io_queue(req);
	return VHD_PENDING;
}

static void tap_completed(struct vhd_req *req, int res)
{
	struct vhd_state *st = vhd_state(req);
	const struct iovec *iov;
	int cnt;

	switch (st->sqe_op) {
	case IORING_OP_WRITEV:
		cnt = transfer_iov(req, st->most, st->slice, VHD_SLICE, &iov);
		tap_written(st, iov, cnt, (uint64_t)res);
		break;
	case IORING_OP_FALLOCATE:
		vhd_file_tap_fallocate(st->file, st->sqe_arg, st->file_offset,
				       st->left);
		break;
	case IORING_OP_SYNC_FILE_RANGE:
		tap_range_synced(st);
		break;
	case IORING_OP_FSYNC:
		if (st->file->tap->sync_end != NULL) {
			st->file->tap->sync_end(st->file->name,
						st->file_offset);
		}
		break;
	}
}

int vhd_transfer_completed(struct vhd_req *req, int res)
{
	struct vhd_state *st = vhd_state(req);
	bool rw =
		st->sqe_op == IORING_OP_READV || st->sqe_op == IORING_OP_WRITEV;

	if (st->inject != 0) {
		res = -st->inject;
	}
	if (st->bounce != NULL) {
		vhd_direct_done(req, st->sqe_op == IORING_OP_WRITEV, res);
	}
	if ((res == -EINTR || res == -EAGAIN) && st->retries++ < RETRIES_MAX) {
		return step_again(req);
	}
	if (res < 0) {
		/* The kernel tells this once: the next flush fails, too. (Not
		 * of an atomic write's journal.) */
		if (st->file == st->disk->file &&
		    (st->sqe_op == IORING_OP_FSYNC ||
		     st->sqe_op == IORING_OP_SYNC_FILE_RANGE ||
		     (st->sqe_op == IORING_OP_WRITEV && st->fua)) &&
		    vhd_map_error(-res) == EIO) {
			atomic_fetch_add(&st->disk->sync_errors, 1);
		}
		/* The format has another way then. */
		if (st->sqe_op != IORING_OP_FALLOCATE || res != -EOPNOTSUPP) {
			step_log(st, -res, strerror(-res));
		}
		return -res;
	}
	if (st->file->tap != NULL) {
		tap_completed(req, res);
	}
	if (!rw) {
		return 0;
	}
	if (res == 0) {
		step_log(st, EIO,
			 st->sqe_op == IORING_OP_READV
				 ? "unexpected end of file"
				 : "nothing written");
		return EIO;
	}
	if (st->sqe_op == IORING_OP_WRITEV &&
	    atomic_load_explicit(&st->file->inline_write,
				 memory_order_relaxed) == VHD_INLINE_GUARDED &&
	    vhd_file_may_have_hole(st->file, st->file_offset, (uint64_t)res)) {
		vhd_file_recheck_holes(st->file, st->file_offset,
				       (uint64_t)res);
	}
	transfer_advance(st, (uint64_t)res);
	if (st->left > 0) {
		st->retries = 0;
		return step_again(req);
	}
	return must_sync(st, st->sqe_op == IORING_OP_WRITEV) ? sync_range(req)
							     : 0;
}
