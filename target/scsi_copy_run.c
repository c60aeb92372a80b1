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

enum phase { PHASE_NEXT, PHASE_READ, PHASE_READ_BLOCK, PHASE_WRITTEN };

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

/* Where they overlap and the bytes move up, the end goes first. */
static bool backwards(const struct scsi_copy *copy,
		      const struct scsi_copy_segment *s)
{
	return overlaps(copy, s) && s->to_at > s->from_at;
}

static uint32_t chunk_max(const struct scsi_copy *copy,
			  const struct scsi_copy_segment *s)
{
	uint32_t from, to;

	if (s->from == COPY_ZEROES) {
		return ZERO_CHUNK;
	}
	from = copy->lu[s->from]->block;
	to = copy->lu[s->to]->block;
	if (copy->by_hand != 0 || overlaps(copy, s) ||
	    ((s->from_at - s->to_at) & ((from < to ? from : to) - 1)) != 0) {
		return SCSI_CHUNK;
	}
	return ENGINE_CHUNK;
}

/* The next chunk of a segment that has @left bytes to go: whole blocks of the
 * unit that has the longer ones, or what lies in one of those. */
static uint32_t chunk_length(const struct scsi_copy *copy,
			     const struct scsi_copy_segment *s, uint64_t left)
{
	uint64_t at = s->to_at, block = copy->lu[s->to]->block;
	uint64_t max = chunk_max(copy, s), part;

	if (s->from != COPY_ZEROES && copy->lu[s->from]->block > block) {
		at = s->from_at;
		block = copy->lu[s->from]->block;
	}
	part = backwards(copy, s) ? (at + left) % block
				  : -(at + s->length - left) % block;
	if (part != 0) {
		max = part;
	} else if (left > block) {
		left -= left % block;
	}
	return (uint32_t)(left < max ? left : max);
}

/* False when all is copied. */
static bool next_chunk(struct scsi_task *task)
{
	struct scsi_work *work = scsi_work(task);
	struct scsi_copy *copy = copy_of(task);

	while (work->index < copy->segments) {
		const struct scsi_copy_segment *s = segment_of(task);

		work->total = s->length;
		if (work->pos < work->total) {
			work->chunk =
				chunk_length(copy, s, work->total - work->pos);
			return true;
		}
		work->index++;
		work->pos = 0;
	}
	return false;
}

/* ---- one chunk ---- */

/* Where the chunk under way is. Of a source's block that it has a part of, the
 * whole is read; into a block of the destination that it fills a part of, that
 * part is put. */
struct chunk {
	const struct scsi_copy_segment *segment;
	struct scsi_lu *from, *to; /* from NULL: zeroes */
	uint64_t from_at, to_at;   /* of whole blocks */
	uint32_t skew, length;	   /* what is in them that is copied */
	uint32_t part;		   /* the same in a block of the destination */
	bool whole;		   /* blocks are written */
	bool aligned;		   /* and read */
};

static void get_chunk(struct scsi_task *task, struct chunk *c)
{
	struct scsi_work *work = scsi_work(task);
	struct scsi_copy *copy = copy_of(task);
	const struct scsi_copy_segment *s = segment_of(task);
	uint64_t at = backwards(copy, s) ? work->total - work->pos - work->chunk
					 : work->pos;

	c->segment = s;
	c->length = work->chunk;
	c->from = s->from != COPY_ZEROES ? copy->lu[s->from] : NULL;
	c->from_at = s->from_at + at;
	c->skew = 0;
	if (c->from != NULL) {
		c->skew = (uint32_t)(c->from_at & (c->from->block - 1));
		c->from_at -= c->skew;
	}
	c->to = copy->lu[s->to];
	c->to_at = s->to_at + at;
	c->part = (uint32_t)(c->to_at & (c->to->block - 1));
	c->to_at -= c->part;
	c->whole = c->part == 0 && (c->length & (c->to->block - 1)) == 0;
	c->aligned =
		c->whole && c->skew == 0 &&
		(c->from == NULL || (c->length & (c->from->block - 1)) == 0);
}

/* The buffer: what is read of the source, then a block of the destination. */
#define SOURCE_SIZE (SCSI_CHUNK + 2 * SCSI_MAX_BLOCK)
#define BUFFER_SIZE (SOURCE_SIZE + SCSI_MAX_BLOCK)

uint32_t scsi_copy_allocates(void)
{
	return sizeof(struct scsi_copy) + BUFFER_SIZE;
}

static bool submit(struct scsi_task *task, struct scsi_lu *lu, enum vhd_op op,
		   uint64_t offset, uint8_t *data, uint32_t length)
{
	struct scsi_work *work = scsi_work(task);
	uint32_t flags = 0;

	if (op != VHD_READ && !scsi_lu_is(lu, SCSI_LU_WCE)) {
		flags = VHD_FUA;
	}
	work->iov[0].iov_base = data;
	work->iov[0].iov_len = length;
	return scsi_submit_lu(task, lu, op, flags, offset, length, work->iov,
			      1);
}

static bool read_source(struct scsi_task *task, const struct chunk *c)
{
	uint32_t block = c->from->block;

	scsi_work(task)->phase = PHASE_READ;
	return submit(task, c->from, VHD_READ, c->from_at, copy_of(task)->data,
		      (c->skew + c->length + block - 1) & ~(block - 1));
}

/* What the chunk fills a part of. */
static bool read_block(struct scsi_task *task, const struct chunk *c)
{
	scsi_work(task)->phase = PHASE_READ_BLOCK;
	return submit(task, c->to, VHD_READ, c->to_at,
		      copy_of(task)->data + SOURCE_SIZE, c->to->block);
}

static bool write_chunk(struct scsi_task *task, const struct chunk *c)
{
	uint8_t *data = copy_of(task)->data, *block = data + SOURCE_SIZE;

	scsi_work(task)->phase = PHASE_WRITTEN;
	if (c->whole) {
		return submit(task, c->to, VHD_WRITE, c->to_at, data + c->skew,
			      c->length);
	}
	if (c->from != NULL) {
		memcpy(block + c->part, data + c->skew, c->length);
	} else {
		memset(block + c->part, 0, c->length);
	}
	return submit(task, c->to, VHD_WRITE, c->to_at, block, c->to->block);
}

/* Cut a chunk that is copied by hand to what is data, or to a hole. */
static bool cut_to_hole(struct scsi_work *work, struct chunk *c)
{
	uint64_t length = c->length;
	bool data = vhd_disk_mapped(c->from->config.disk, c->from_at, &length);

	/* The file system's blocks are not the disk's. */
	length &= ~((uint64_t)c->to->block - 1);
	if (length == 0) {
		return false;
	}
	c->length = work->chunk = (uint32_t)length;
	return !data;
}

/* Begin the next chunk. @return as scsi_submit_lu(); false in *@more: all is
 * done */
static bool start_chunk(struct scsi_task *task, bool *more)
{
	struct scsi_copy *copy = copy_of(task);
	struct chunk c;

	*more = next_chunk(task);
	if (!*more) {
		return true;
	}
	get_chunk(task, &c);
	scsi_work(task)->phase = PHASE_WRITTEN;
	if (c.from == NULL && c.whole) {
		return submit(task, c.to, VHD_ZERO, c.to_at, NULL, c.length);
	}
	if (c.aligned && !overlaps(copy, c.segment)) {
		if (copy->by_hand == 0) {
			task->req.source = c.from->config.disk;
			task->req.source_offset = c.from_at;
			return submit(task, c.to, VHD_COPY, c.to_at, NULL,
				      c.length);
		}
		if (cut_to_hole(scsi_work(task), &c)) {
			return submit(task, c.to, VHD_ZERO, c.to_at, NULL,
				      c.length);
		}
	}
	if (copy->data == NULL) {
		copy->data = malloc(BUFFER_SIZE);
	}
	if (copy->data == NULL) {
		task->req.error = ENOMEM;
		return true;
	}
	return c.from != NULL ? read_source(task, &c) : read_block(task, &c);
}

/* Go on with a chunk after a read; as scsi_submit_lu(). */
static bool chunk_read(struct scsi_task *task)
{
	struct chunk c;

	get_chunk(task, &c);
	if (scsi_work(task)->phase == PHASE_READ && !c.whole) {
		return read_block(task, &c);
	}
	return write_chunk(task, &c);
}

/* ---- its end ---- */

static uint16_t descriptors_done(struct scsi_task *task)
{
	const struct scsi_copy *copy = copy_of(task);

	return scsi_work(task)->index < copy->segments
		       ? segment_of(task)->number
		       : (uint16_t)copy->descriptors;
}

/* G_SENSE (SPC-4 6.4.2) */
static void tell_of_segments(struct scsi_task *task)
{
	struct scsi_sense sense = {
		.key = SENSE_COMPLETED,
		.asc = ASC_COPY_INFORMATION,
		.command_valid = true,
		.command = copy_of(task)->descriptors,
	};

	scsi_good_with(task, &sense);
}

static bool copy_end(struct scsi_task *task, uint8_t status)
{
	struct scsi_copy *copy = copy_of(task);

	if (copy->delete_token && status == copy->good) {
		scsi_token_delete(copy->token);
	}
	if (copy->op != NULL) {
		copy->op->segments = descriptors_done(task);
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

		if (task->req.error == EOPNOTSUPP && copy->by_hand == 0) {
			/* Not this one: the same again, in smaller ones. */
			copy->by_hand = work->chunk;
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
		if (work->phase == PHASE_READ ||
		    work->phase == PHASE_READ_BLOCK) {
			now = chunk_read(task);
		} else {
			if (work->phase == PHASE_WRITTEN) {
				work->pos += work->chunk;
				copy->copied += work->chunk;
				copy->by_hand -= work->chunk < copy->by_hand
							 ? work->chunk
							 : copy->by_hand;
				copy->op->bytes = copy->copied;
			}
			if (task->aborted || task->ending || copy->op->abort) {
				scsi_fail(task, SENSE_COPY_ABORTED,
					  ASC_CLEARED_BY_DEVICE_SERVER);
				return copy_end(task, COPY_STATUS_TERMINATED);
			}
			work->phase = PHASE_NEXT;
			now = start_chunk(task, &more);
		}
		if (!more) {
			scsi_good(task);
			if (copy->good_sense) {
				tell_of_segments(task);
			}
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
		bg = scsi_background(task, false);
	}
	if (bg == NULL) {
		return scsi_run(task, copy_step);
	}
	copy->op->status = COPY_STATUS_BACKGROUND;
	scsi_run_background(bg, copy_step);
	return scsi_good(task);
}
