/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * VHD_COPY: from one disk to another without the data passing through us.
 * copy_file_range shares extents where the file system can and copies in the
 * kernel elsewhere; what is a hole becomes one.
 *
 * To the destination's format it is a VHD_WRITE without data. Where that has
 * found, or made, a place in its file, vhd_transfer() comes here instead of
 * writing: a worker thread, since it blocks, finds the source's places and
 * copies. While it does, the source's gate is held, so that no block of the
 * source is given up.
 */
#include <errno.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <string.h>

#include "vhd/job.h"
#include "vhd/private.h"

/* One step: to one place of the destination. */
struct copy_step {
	struct vhd_req *req;
	struct vhd_file *to;
	uint64_t to_offset, from_offset, length;
	bool durable;
};

bool vhd_copy_possible(const struct vhd_disk *disk, const struct vhd_req *req)
{
	const struct vhd_disk *from = req->source;
	uint64_t apart = req->offset > req->source_offset
				 ? req->offset - req->source_offset
				 : req->source_offset - req->offset;

	/* The file system may copy through the page cache, where direct I/O has
	 * nothing (direct.c). */
	return disk->ops->find != NULL && from->ops->find != NULL &&
	       (disk->file->tap == NULL || disk->file->tap->write == NULL) &&
	       disk->file->direct_fd < 0 &&
	       (disk != from || apart >= req->length);
}

/* ---- worker ---- */

static int copy_data(const struct vhd_source *from, uint64_t skip,
		     struct vhd_file *to, uint64_t to_offset, uint64_t length)
{
	off_t in = (off_t)(from->offset + skip), out = (off_t)to_offset;

	while (length > 0) {
		ssize_t n = vhd_file_copy(from->file, &in, to, &out, length);

		if (n == -EINTR) {
			continue;
		}
		if (n < 0) {
			return (int)-n;
		}
		if (n == 0) {
			return EIO; /* the end of the source, which is ours */
		}
		length -= (uint64_t)n;
	}
	return 0;
}

/* The part of whole blocks by itself, so that it can be shared. */
static int copy_aligned(const struct vhd_source *from, struct vhd_file *to,
			uint64_t to_offset, uint64_t length)
{
	uint64_t block = to->fs_block;
	uint64_t head = -from->offset & (block - 1), whole;
	int ret;

	if (((from->offset ^ to_offset) & (block - 1)) != 0 ||
	    head + block > length) {
		return copy_data(from, 0, to, to_offset, length);
	}
	whole = (length - head) & ~(block - 1);
	ret = copy_data(from, 0, to, to_offset, head);
	if (ret == 0) {
		ret = copy_data(from, head, to, to_offset + head, whole);
	}
	if (ret == 0) {
		ret = copy_data(from, head + whole, to,
				to_offset + head + whole,
				length - head - whole);
	}
	return ret;
}

static int copy_hole(struct vhd_file *to, uint64_t offset, uint64_t length)
{
	int ret = vhd_file_fallocate(
		to, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length);

	if (ret == EOPNOTSUPP) {
		ret = vhd_file_fallocate(
			to, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, offset,
			length);
	}
	if (ret == 0) {
		vhd_file_mark_hole(to, offset, length);
	}
	return ret;
}

static int copy_range(const struct copy_step *step)
{
	const struct vhd_disk *source = step->req->source;
	uint64_t at = 0;
	int ret = 0;

	while (at < step->length && ret == 0) {
		uint64_t n = step->length - at;
		uint64_t to_offset = step->to_offset + at;
		struct vhd_source from;

		ret = vhd_locate(source, step->from_offset + at, true, &n,
				 &from);
		if (ret == ENOENT ||
		    (ret == 0 &&
		     !vhd_file_has_data(from.file, from.offset, &n))) {
			ret = copy_hole(step->to, to_offset, n);
		} else if (ret == 0) {
			ret = copy_aligned(&from, step->to, to_offset, n);
		}
		at += n;
	}
	return ret;
}

static void copy_work(struct vhd_job *job, void *data)
{
	struct copy_step *step = data;
	struct vhd_req *req = step->req;
	int ret = copy_range(step);

	/* Write access may have ended what could be known of these. */
	vhd_file_recheck_holes(step->to, step->to_offset, step->length);
	if (ret == 0 && step->durable) {
		ret = vhd_file_sync(step->to);
		if (ret != 0) {
			/* The kernel tells this once: so does the next flush.
			 */
			atomic_fetch_add(&vhd_state(req)->disk->sync_errors, 1);
		}
	}
	switch (ret) {
	case EXDEV:
	case EINVAL:
	case ENOSYS:
	case EPERM:
	case ETXTBSY:
		/* The file system cannot; reading and writing can. */
		ret = EOPNOTSUPP;
		break;
	case 0:
	case EOPNOTSUPP:
		break;
	default:
		vhd_log(0, "vhd: copy from %s to %s: %s",
			req->source->file->name, step->to->name, strerror(ret));
		break;
	}
	vhd_state(req)->copy_error = ret;
	vhd_io_post(req);
}

static const struct vhd_job_ops copy_ops = {
	.work = copy_work,
	.free = free,
	.copies = true,
};

/* ---- lane ---- */

int vhd_copy_run(struct vhd_req *req, int result)
{
	struct vhd_state *st = vhd_state(req);

	st->run = st->disk->ops->run;
	st->cursor = (struct vhd_cursor){.iov = NULL};
	/* Who waits for one gate while he is within another may wait for ever:
	 * let it be read and written then. */
	if (!vhd_gate_hold(&req->source->gate, st->io->shard)) {
		return EOPNOTSUPP;
	}
	st->holds_source = true;
	if (atomic_load(&req->source->atomic.stuck)) {
		return EOPNOTSUPP; /* a part may not be for reading */
	}
	return st->run(req, result);
}

static int copy_resumed(struct vhd_req *req, int result)
{
	struct vhd_state *st = vhd_state(req);

	st->run = st->disk->ops->run;
	return st->run(req, st->copy_error);
}

/* The source's bytes that are next; they count as taken. */
static uint64_t take_source(struct vhd_req *req, uint64_t length)
{
	struct vhd_cursor *cursor = &vhd_state(req)->cursor;
	uint64_t offset = req->source_offset + cursor->skip;

	cursor->skip += length;
	return offset;
}

int vhd_copy_transfer(struct vhd_req *req, struct vhd_file *file,
		      uint64_t file_offset, uint64_t length)
{
	struct vhd_state *st = vhd_state(req);
	struct copy_step *step = malloc(sizeof(*step));

	if (step == NULL) {
		return EOPNOTSUPP;
	}
	*step = (struct copy_step){
		.req = req,
		.to = file,
		.to_offset = file_offset,
		.from_offset = take_source(req, length),
		.length = length,
		.durable = st->fua,
	};
	st->run = copy_resumed;
	if (vhd_job_post(&copy_ops, step) != 0) {
		st->run = st->disk->ops->run;
		return EOPNOTSUPP;
	}
	return VHD_PENDING;
}

/* Without waiting: does the source read as zeroes there, for certain? */
static bool source_is_hole(const struct vhd_req *req, uint64_t offset,
			   uint64_t length)
{
	uint64_t end = offset + length, n;

	for (; offset < end; offset += n) {
		struct vhd_source from;
		int ret;

		n = end - offset;
		ret = vhd_locate(req->source, offset, false, &n, &from);
		if (ret == ENOENT) {
			continue;
		}
		/* Of parents' files there is no map. */
		if (ret != 0 ||
		    (!from.file->readonly &&
		     !vhd_file_may_have_hole(from.file, from.offset, n)) ||
		    vhd_file_has_data(from.file, from.offset, &n)) {
			return false;
		}
	}
	return true;
}

bool vhd_copy_skips_hole(struct vhd_req *req, uint64_t length)
{
	uint64_t from = req->source_offset + vhd_state(req)->cursor.skip;

	if (req->op != VHD_COPY || !source_is_hole(req, from, length)) {
		return false;
	}
	take_source(req, length);
	return true;
}
