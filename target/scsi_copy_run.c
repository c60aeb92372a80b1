/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Copying: segment by segment, by the block engine where it can (extents shared
 * or copied inside the file system), else by reading and writing.
 */
#include <errno.h>
#include <stdlib.h>

#include "target/scsi_copy.h"

/* One request of the block engine: long enough to be quick, short enough for an
 * abort to be heard. */
#define ENGINE_CHUNK (16u << 20)
#define ZERO_CHUNK   (64u << 20)

enum phase { PHASE_NEXT, PHASE_READ, PHASE_WRITTEN };

static struct scsi_copy *copy_of(struct scsi_task *task)
{
	return (struct scsi_copy *)(void *)scsi_work(task)->buf;
}

struct scsi_copy *scsi_copy_new(struct scsi_task *task)
{
	if (!scsi_task_buffer(task, sizeof(struct scsi_copy))) {
		return NULL;
	}
	copy_of(task)->good = COPY_STATUS_GOOD;
	return copy_of(task);
}

static const struct scsi_copy_segment *segment_of(struct scsi_task *task)
{
	return &copy_of(task)->segment[scsi_work(task)->index];
}

/* Do the two ranges share bytes? */
static bool overlaps(const struct scsi_copy *copy,
		     const struct scsi_copy_segment *s)
{
	uint64_t apart = s->to_at > s->from_at ? s->to_at - s->from_at
					       : s->from_at - s->to_at;

	return s->from != COPY_ZEROES && copy->lu[s->from] == copy->lu[s->to] &&
	       apart < s->length;
}

/* The chunk under way: where it begins in its segment. Where the two ranges
 * overlap and the blocks move up, the end goes first. */
static uint64_t chunk_start(const struct scsi_work *work,
			    const struct scsi_copy *copy,
			    const struct scsi_copy_segment *s)
{
	bool up = overlaps(copy, s) && s->to_at > s->from_at;

	return up ? work->total - work->pos - work->chunk : work->pos;
}

static uint32_t chunk_max(const struct scsi_copy *copy,
			  const struct scsi_copy_segment *s)
{
	if (s->from == COPY_ZEROES) {
		return ZERO_CHUNK;
	}
	return copy->by_hand || overlaps(copy, s) ? SCSI_CHUNK : ENGINE_CHUNK;
}

/* The next chunk's length; false when all is copied. */
static bool next_chunk(struct scsi_task *task)
{
	struct scsi_work *work = scsi_work(task);
	struct scsi_copy *copy = copy_of(task);

	while (work->index < copy->segments) {
		const struct scsi_copy_segment *s = segment_of(task);
		uint64_t left, max = chunk_max(copy, s);

		work->total = s->length;
		left = work->total - work->pos;
		if (left != 0) {
			work->chunk = (uint32_t)(left < max ? left : max);
			return true;
		}
		work->index++;
		work->pos = 0;
	}
	return false;
}

static uint32_t write_flags(const struct scsi_lu *lu)
{
	return scsi_lu_is(lu, SCSI_LU_WCE) ? 0 : VHD_FUA;
}

/* One step of a chunk. @return as scsi_submit_lu() */
static bool submit_chunk(struct scsi_task *task, enum vhd_op op)
{
	struct scsi_work *work = scsi_work(task);
	struct scsi_copy *copy = copy_of(task);
	const struct scsi_copy_segment *s = segment_of(task);
	uint64_t at = chunk_start(work, copy, s);
	uint64_t from = s->from_at + at;
	uint64_t to = s->to_at + at;

	work->iov[0].iov_base = copy->data;
	work->iov[0].iov_len = work->chunk;
	if (op == VHD_READ) {
		return scsi_submit_lu(task, copy->lu[s->from], op, 0, from,
				      work->chunk, work->iov, 1);
	}
	if (op == VHD_COPY) {
		task->req.source = copy->lu[s->from]->config.disk;
		task->req.source_offset = from;
	}
	return scsi_submit_lu(task, copy->lu[s->to], op,
			      write_flags(copy->lu[s->to]), to, work->chunk,
			      work->iov, 1);
}

/* Begin the next chunk. @return as scsi_submit_lu(); false in *@more: all is
 * done */
static bool start_chunk(struct scsi_task *task, bool *more)
{
	struct scsi_work *work = scsi_work(task);
	struct scsi_copy *copy = copy_of(task);
	const struct scsi_copy_segment *s;

	*more = next_chunk(task);
	if (!*more) {
		return true;
	}
	s = segment_of(task);
	work->phase = PHASE_WRITTEN;
	if (s->from == COPY_ZEROES) {
		return submit_chunk(task, VHD_ZERO);
	}
	if (!copy->by_hand && !overlaps(copy, s)) {
		return submit_chunk(task, VHD_COPY);
	}
	if (copy->data == NULL) {
		copy->data = malloc(SCSI_CHUNK);
	}
	if (copy->data == NULL) {
		task->req.error = ENOMEM;
		return true;
	}
	work->phase = PHASE_READ;
	return submit_chunk(task, VHD_READ);
}

/* ---- its end ------------------------------------------------------------- */

static bool copy_end(struct scsi_task *task, uint8_t status)
{
	struct scsi_copy *copy = copy_of(task);

	if (copy->delete_token && status == copy->good) {
		scsi_token_delete(copy->token);
	}
	if (copy->op != NULL) {
		copy->op->segments = (uint16_t)scsi_work(task)->index;
		copy->op->bytes = copy->copied;
		scsi_copy_op_end(copy->op, task, status);
		scsi_copy_op_unref(copy->op);
		copy->op = NULL;
	}
	free(copy->data);
	copy->data = NULL;
	task->copy_lu[0] = task->copy_lu[1] = NULL;
	return true;
}

static bool copy_fail(struct scsi_task *task, uint16_t asc)
{
	struct scsi_sense sense = {.key = SENSE_COPY_ABORTED, .asc = asc};

	scsi_set_sense(task, &sense);
	return copy_end(task, COPY_STATUS_ERROR);
}

/* The data is not any more what the token stands for. */
static bool token_lost(struct scsi_task *task)
{
	const struct scsi_copy *copy = copy_of(task);

	return copy->token != 0 && !scsi_token_valid(copy->token);
}

static bool copy_step(struct scsi_task *task)
{
	struct scsi_work *work = scsi_work(task);
	struct scsi_copy *copy = copy_of(task);

	for (;;) {
		bool now, more = true;

		if (task->req.error == EOPNOTSUPP && !copy->by_hand) {
			/* Not between these two: the same chunk again, in
			 * smaller ones. */
			copy->by_hand = true;
			task->req.error = 0;
			work->phase = PHASE_NEXT;
		}
		if (task->req.error != 0) {
			scsi_fail_io(task); /* for its message */
			return copy_fail(task, ASC_THIRD_PARTY_FAILURE);
		}
		/* Whoever writes revokes first: what was read before is good.
		 */
		if (token_lost(task)) {
			scsi_log(3,
				 "disk %d: a token was revoked while %s "
				 "used it",
				 (int)task->lu->config.index, task->op->name);
			return copy_fail(task, ASC_TOKEN_REVOKED);
		}
		if (work->phase == PHASE_READ) {
			work->phase = PHASE_WRITTEN;
			now = submit_chunk(task, VHD_WRITE);
		} else {
			if (work->phase == PHASE_WRITTEN) {
				work->pos += work->chunk;
				copy->copied += work->chunk;
				copy->op->bytes = copy->copied;
			}
			if (task->aborted || task->ending || copy->op->abort) {
				scsi_fail(task, SENSE_COPY_ABORTED, ASC_NONE);
				return copy_end(task, COPY_STATUS_TERMINATED);
			}
			work->phase = PHASE_NEXT;
			now = start_chunk(task, &more);
		}
		if (!more) {
			scsi_good(task);
			return copy_end(task, copy->good);
		}
		if (!now) {
			return false;
		}
	}
}

bool scsi_copy_run(struct scsi_task *task, bool immediate)
{
	struct scsi_copy *copy = copy_of(task);
	struct scsi_task *bg = NULL;

	/* Units that go away wait for this. */
	task->copy_lu[0] = copy->lu[0];
	task->copy_lu[1] = copy->lu[1];
	scsi_work(task)->phase = PHASE_NEXT;
	task->req.error = 0;
	if (immediate) {
		bg = scsi_background(task);
	}
	if (bg == NULL) {
		return scsi_run(task, copy_step);
	}
	copy->op->status = COPY_STATUS_BACKGROUND;
	scsi_run_background(bg, copy_step);
	return scsi_good(task);
}
