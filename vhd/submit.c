/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A request's way in and out: validation, the gate, completion. */

#include <errno.h>
#include <inttypes.h>

#include "vhd/journal.h"
#include "vhd/private.h"

/* Do the iovecs hold @need bytes? *@exact: and not one more. */
static bool iov_holds(const struct vhd_req *req, uint64_t need, bool *exact)
{
	uint64_t sum = 0;
	int i;

	if (req->iovcnt < 0 || (req->iovcnt > 0 && req->iov == NULL)) {
		return false;
	}
	for (i = 0; i < req->iovcnt; i++) {
		if (req->iov[i].iov_len > UINT64_MAX - sum) {
			return false;
		}
		sum += req->iov[i].iov_len;
	}
	*exact = sum == need;
	return sum >= need;
}

/* What is to be copied. @return 0, EINVAL, EIO or EOPNOTSUPP */
static int validate_copy(const struct vhd_disk *disk, const struct vhd_req *req)
{
	const struct vhd_disk *source = req->source;
	uint64_t size = vhd_disk_size(source);

	if (((req->source_offset | req->length) & (source->sector - 1)) != 0 ||
	    req->source_offset > size ||
	    req->length > size - req->source_offset) {
		return EINVAL;
	}
	if (vhd_lacks_parent(source)) {
		return EIO;
	}
	return vhd_copy_possible(disk, req) ? 0 : EOPNOTSUPP;
}

/*
 * Check a request whole; what follows may assume that it is sane.
 * @return 0, EINVAL, EROFS; of a VHD_COPY also EIO or EOPNOTSUPP
 */
static int validate_request(const struct vhd_disk *disk,
			    const struct vhd_req *req, bool *exact)
{
	uint64_t size;

	*exact = false;
	if (req->flags & ~VHD_FUA) {
		return EINVAL;
	}
	switch (req->op) {
	case VHD_FLUSH:
	case VHD_MAPPED:
	case VHD_YIELD:
		return 0;
	case VHD_READ:
	case VHD_WRITE:
	case VHD_ZERO:
	case VHD_DISCARD:
	case VHD_COMPARE_AND_WRITE:
	case VHD_WRITE_ATOMIC:
	case VHD_COPY:
		break;
	default:
		return EINVAL;
	}
	if (((req->offset | req->length) & (disk->sector - 1)) != 0) {
		return EINVAL;
	}
	size = atomic_load_explicit(&disk->size, memory_order_acquire);
	if (req->offset > size || req->length > size - req->offset) {
		return EINVAL;
	}
	if (req->op != VHD_READ && disk->readonly) {
		return EROFS;
	}
	switch (req->op) {
	case VHD_READ:
	case VHD_WRITE:
		return iov_holds(req, req->length, exact) ? 0 : EINVAL;
	case VHD_COMPARE_AND_WRITE:
		if (req->length > VHD_CAW_MAX) {
			return EINVAL;
		}
		return iov_holds(req, 2 * req->length, exact) ? 0 : EINVAL;
	case VHD_WRITE_ATOMIC:
		if (req->length > VHD_ATOMIC_MAX) {
			return EINVAL;
		}
		return iov_holds(req, req->length, exact) ? 0 : EINVAL;
	case VHD_COPY:
		return validate_copy(disk, req);
	default:
		return 0;
	}
}

static void state_init(struct vhd_io *io, struct vhd_disk *disk,
		       struct vhd_req *req, bool exact)
{
	struct vhd_state *st = vhd_state(req);

	st->io = io;
	st->disk = disk;
	st->next = NULL;
	st->run = disk->ops->run;
	st->offset = req->offset;
	st->length = req->length;
	st->cursor = (struct vhd_cursor){
		.iov = req->iov,
		.cnt = req->iovcnt,
	};
	/* A copy is a write whose data come from elsewhere (copy.c). */
	st->op = req->op == VHD_COPY ? VHD_WRITE : req->op;
	st->phase = 0;
	st->outer_phase = 0;
	st->gate = 0;
	st->bounce = NULL;
	st->fua = req->flags & VHD_FUA;
	st->exact = exact;
	st->alone = false;
	st->holds_source = false;
	st->refused = 0;
}

/*
 * Has a flush anything to do? Not when nothing is dirty and no other flush
 * is under way. The order matters: a flush that fails sets dirty again before
 * it counts itself out.
 */
static bool flush_needed(struct vhd_disk *disk)
{
	return atomic_load(&disk->dirty) || atomic_load(&disk->flushing) > 0 ||
	       atomic_load(&disk->dirty);
}

/* Tell later flushes of this change; before the request completes. */
static void request_dirties(struct vhd_disk *disk)
{
	if (!atomic_load_explicit(&disk->dirty, memory_order_seq_cst)) {
		atomic_store(&disk->dirty, true);
	}
}

/* ---- flush ---- */

bool vhd_flush_begin(struct vhd_disk *disk)
{
	if (!flush_needed(disk)) {
		return false;
	}
	atomic_fetch_add(&disk->flushing, 1);
	atomic_store(&disk->dirty, false);
	return true;
}

void vhd_flush_end(struct vhd_disk *disk, int result)
{
	if (result != 0) {
		atomic_store(&disk->dirty, true);
	}
	atomic_fetch_sub(&disk->flushing, 1);
}

static int flush_run(struct vhd_req *req, int result)
{
	struct vhd_state *st = vhd_state(req);
	struct vhd_disk *disk = st->disk;
	unsigned errors;

	if (st->outer_phase == 0) {
		if (!vhd_flush_begin(disk)) {
			return 0;
		}
		st->outer_phase = 1;
		/* The format may use left; keep it where it does not. */
		st->offset = atomic_load(&disk->sync_reported);
	}
	result = disk->ops->run(req, result);
	if (result == VHD_PENDING) {
		return VHD_PENDING;
	}
	if (result != 0) {
		atomic_fetch_add(&disk->sync_errors, 1);
	}
	errors = atomic_load(&disk->sync_errors);
	if (result == 0 && errors != (unsigned)st->offset) {
		/* Another took the kernel's only report of the loss. */
		result = EIO;
	}
	if (result != 0) {
		atomic_store(&disk->sync_reported, errors);
	}
	vhd_flush_end(disk, result);
	return result;
}

static int yield_run(struct vhd_req *req, int result)
{
	return result;
}

/* ---- in and out ---- */

/* Can a request of a disk without its parent be carried out all the same?
 * What was written while the parent was there is kept. */
static bool needs_no_data(struct vhd_disk *disk, const struct vhd_req *req)
{
	return req->op == VHD_YIELD || req->op == VHD_MAPPED ||
	       (req->op == VHD_FLUSH &&
		(disk->parent != NULL || !flush_needed(disk)));
}

/* Where the data that a request reads go to. */
static const struct iovec *read_into(const struct vhd_req *req,
				     const struct vhd_state *st)
{
	switch (req->op) {
	case VHD_COMPARE_AND_WRITE:
		return &st->io->bounce_iov;
	case VHD_WRITE_ATOMIC:
		return &st->disk->atomic.journal->iov;
	default:
		return req->iov;
	}
}

/* How far has reading come before it failed? Metadata are not the cursor's by
 * now, so it stands behind the last byte of data that was moved. */
static void note_failed_read(struct vhd_req *req)
{
	struct vhd_state *st = vhd_state(req);
	const struct iovec *iov;

	req->read_failed = st->op == VHD_READ;
	req->read = 0;
	if (!req->read_failed) {
		return;
	}
	for (iov = read_into(req, st); iov < st->cursor.iov; iov++) {
		req->read += iov->iov_len;
	}
	req->read += st->cursor.skip;
}

/* Bookkeeping at the end of a request, before the caller hears of it. */
static void request_end(struct vhd_req *req, int error)
{
	struct vhd_state *st = vhd_state(req);

	if (error != 0) {
		note_failed_read(req);
	}
	switch (req->op) {
	case VHD_READ:
	case VHD_FLUSH:
	case VHD_MAPPED:
	case VHD_YIELD:
		break;
	case VHD_WRITE_ATOMIC:
		/* On stable storage; or a failed step has been counted. */
		if (error != 0) {
			request_dirties(st->disk);
		}
		break;
	default:
		request_dirties(st->disk);
		if ((req->flags & VHD_FUA) && vhd_map_error(error) == EIO) {
			atomic_fetch_add(&st->disk->sync_errors, 1);
		}
		break;
	}
	if (req->op == VHD_COMPARE_AND_WRITE) {
		vhd_caw_done(req);
	}
	if (req->op == VHD_WRITE_ATOMIC) {
		vhd_atomic_done(req);
	}
	vhd_gate_leave(req);
	if (st->holds_source) {
		vhd_gate_release(&req->source->gate, st->io->shard);
	}
	if (error == EOPNOTSUPP &&
	    (req->op == VHD_COPY ||
	     (req->op == VHD_WRITE_ATOMIC &&
	      atomic_load(&st->disk->atomic.impossible)))) {
		req->error = error;
	} else {
		req->error = vhd_map_error(error);
	}
}

void vhd_finish(struct vhd_req *req, int error)
{
	request_end(req, error);
	req->done(req);
}

bool vhd_submit(struct vhd_io *io, struct vhd_disk *disk, struct vhd_req *req)
{
	bool exact;
	int ret;

	req->error = validate_request(disk, req, &exact);
	if (req->error != 0) {
		return true;
	}
	if (req->length == 0 && req->op != VHD_FLUSH && req->op != VHD_YIELD) {
		req->mapped = false;
		return true;
	}
	if (vhd_lacks_parent(disk) && !needs_no_data(disk, req)) {
		req->error = EIO;
		req->read_failed =
			req->op == VHD_READ || req->op == VHD_COMPARE_AND_WRITE;
		req->read = 0;
		return true;
	}
	state_init(io, disk, req, exact);
	switch (req->op) {
	case VHD_FLUSH:
		vhd_state(req)->run = flush_run;
		ret = flush_run(req, 0);
		break;
	case VHD_YIELD:
		vhd_state(req)->run = yield_run;
		vhd_io_post(req);
		return false;
	case VHD_MAPPED:
		vhd_state(req)->run = vhd_mapped_run;
		ret = vhd_mapped_run(req, 0);
		break;
	case VHD_COPY:
		vhd_state(req)->run = vhd_copy_run;
		ret = vhd_gate_enter(req, false);
		if (ret == 0) {
			ret = vhd_copy_run(req, 0);
		}
		break;
	case VHD_COMPARE_AND_WRITE:
		vhd_state(req)->run = vhd_caw_run;
		ret = vhd_caw_run(req, 0);
		break;
	case VHD_WRITE_ATOMIC:
		vhd_state(req)->run = vhd_atomic_run;
		ret = vhd_atomic_run(req, 0);
		break;
	default:
		if ((req->op == VHD_DISCARD || req->op == VHD_ZERO) &&
		    disk->ops->wants_alone != NULL) {
			vhd_state(req)->alone =
				disk->ops->wants_alone(disk, req);
		}
		ret = vhd_gate_enter(req, vhd_state(req)->alone);
		if (ret == 0) {
			ret = disk->ops->run(req, 0);
		}
		break;
	}
	if (ret == VHD_PENDING) {
		return false;
	}
	request_end(req, ret);
	return true;
}
