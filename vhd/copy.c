/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * VHD_COPY: from one fixed disk to another without the data passing through
 * us. copy_file_range shares extents where the file system can and copies in
 * the kernel elsewhere; what is a hole becomes one. It blocks, so a worker
 * thread does it and posts the request back to its lane.
 */
#include <errno.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vhd/job.h"
#include "vhd/private.h"

/* Extents are shared by whole blocks of the file system; most have these. */
#define FS_BLOCK 4096u

bool vhd_copy_possible(const struct vhd_disk *disk, const struct vhd_req *req)
{
	const struct vhd_disk *from = req->source;
	uint64_t apart = req->offset > req->source_offset
				 ? req->offset - req->source_offset
				 : req->source_offset - req->offset;

	/* The file system may copy through the page cache, where direct I/O has
	 * nothing (direct.c). */
	return disk->ops == &vhd_fixed_ops && from->ops == &vhd_fixed_ops &&
	       (disk->file->tap == NULL || disk->file->tap->write == NULL) &&
	       disk->file->direct_fd < 0 &&
	       (disk != from || apart >= req->length);
}

static int copy_data(struct vhd_file *from, uint64_t from_offset,
		     struct vhd_file *to, uint64_t to_offset, uint64_t length)
{
	off_t in = (off_t)from_offset, out = (off_t)to_offset;

	while (length > 0) {
		ssize_t n = vhd_file_copy(from, &in, to, &out, length);

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
static int copy_aligned(struct vhd_file *from, uint64_t from_offset,
			struct vhd_file *to, uint64_t to_offset,
			uint64_t length)
{
	uint64_t head = -from_offset % FS_BLOCK, whole;
	int ret;

	if (from_offset % FS_BLOCK != to_offset % FS_BLOCK ||
	    head + FS_BLOCK > length) {
		return copy_data(from, from_offset, to, to_offset, length);
	}
	whole = (length - head) / FS_BLOCK * FS_BLOCK;
	ret = copy_data(from, from_offset, to, to_offset, head);
	if (ret == 0) {
		ret = copy_data(from, from_offset + head, to, to_offset + head,
				whole);
	}
	if (ret == 0) {
		ret = copy_data(from, from_offset + head + whole, to,
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

static int copy_range(const struct vhd_req *req, struct vhd_file *from,
		      struct vhd_file *to)
{
	uint64_t at = 0;
	int ret = 0;

	while (at < req->length && ret == 0) {
		uint64_t n = req->length - at;
		bool data =
			vhd_file_has_data(from, req->source_offset + at, &n);

		if (data) {
			ret = copy_aligned(from, req->source_offset + at, to,
					   req->offset + at, n);
		} else {
			ret = copy_hole(to, req->offset + at, n);
		}
		at += n;
	}
	return ret;
}

static void copy_work(struct vhd_job *job, void *data)
{
	struct vhd_req *req = *(struct vhd_req **)data;
	struct vhd_state *st = vhd_state(req);
	struct vhd_file *from = req->source->file, *to = st->disk->file;
	int ret = copy_range(req, from, to);

	/* Write access may have ended what could be known of these. */
	vhd_file_recheck_holes(to, req->offset, req->length);
	if (ret == 0 && st->fua) {
		ret = vhd_file_sync(to);
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
		vhd_log(0, "vhd: copy from %s to %s: %s", from->name, to->name,
			strerror(ret));
		break;
	}
	st->left = (uint64_t)ret;
	vhd_io_post(req);
}

static const struct vhd_job_ops copy_ops = {
	.work = copy_work,
	.free = free,
	.slow = true,
};

int vhd_copy_start(struct vhd_req *req)
{
	struct vhd_req **data = malloc(sizeof(*data));
	int ret;

	if (data == NULL) {
		return EOPNOTSUPP;
	}
	*data = req;
	ret = vhd_job_post(&copy_ops, data);
	return ret == 0 ? VHD_PENDING : EOPNOTSUPP;
}

int vhd_copy_result(struct vhd_req *req)
{
	return (int)vhd_state(req)->left;
}
