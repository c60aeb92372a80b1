/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * WRITE_ATOMIC over any format (SBC-4 4.29): all of it or nothing of it, also
 * after a crash at any moment. The gate keeps all others off the range; the
 * journal lets what was begun be taken back.
 *
 *  1. read what the range holds; flush, if there is anything to flush, so that
 *     the medium holds the same;
 *  2. write it to the journal as a record; flush. From here on a crash is
 *     followed by its being taken back (rollback.c);
 *  3. write the new data in their place, with FUA;
 *  4. clear the record; flush. From here on the new data stay, and only now
 *     does anybody see them.
 *
 * A failure after step 2 puts back what was there before, then clears the
 * record. No record outlives its write, so none is ever applied over later
 * ones; where it cannot be cleared the disk is written to no more (stuck).
 *
 * As with the bounce buffer of COMPARE_AND_WRITE, the turn at the journal is
 * taken before the gate: who holds a range never waits for the journal.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "vhd/job.h"
#include "vhd/journal.h"

enum {
	ATOMIC_START = 0,
	ATOMIC_TURN,	/* waits for those before it */
	ATOMIC_JOURNAL, /* a worker makes the journal */
	ATOMIC_GATE,	/* waits for the range */
	ATOMIC_READ,
	ATOMIC_FLUSH,
	ATOMIC_RECORD,
	ATOMIC_WRITE,
	ATOMIC_UNDO,
	ATOMIC_COMPARE, /* is it undone, though there was no space? */
	ATOMIC_SETTLE,	/* it is: on the medium, too */
	ATOMIC_CLEAR,
	ATOMIC_TRUNCATE, /* a worker does, where it could not be cleared */
	ATOMIC_TORN,	 /* it stays: the write could not be undone */
	ATOMIC_MEMORY,	 /* the write to a RAM disk */
};

void vhd_atomic_init(struct vhd_atomic *atomic)
{
	pthread_mutex_init(&atomic->lock, NULL);
	atomic->owner = NULL;
	atomic->waiting = (struct vhd_queue){NULL, NULL};
	atomic->journal = NULL;
	atomic_init(&atomic->stuck, false);
	atomic_init(&atomic->impossible, false);
	atomic->torn_offset = atomic->torn_length = 0;
}

void vhd_atomic_close(struct vhd_atomic *atomic)
{
	if (atomic->journal != NULL) {
		vhd_journal_free(atomic->journal, !atomic_load(&atomic->stuck));
	}
	pthread_mutex_destroy(&atomic->lock);
}

/* ---- the turn ---- */

static bool take_turn(struct vhd_atomic *atomic, struct vhd_req *req)
{
	bool mine;

	pthread_mutex_lock(&atomic->lock);
	mine = atomic->owner == NULL;
	if (mine) {
		atomic->owner = req;
	} else {
		vhd_queue_push(&atomic->waiting, req);
	}
	pthread_mutex_unlock(&atomic->lock);
	return mine;
}

void vhd_atomic_done(struct vhd_req *req)
{
	struct vhd_atomic *atomic = &vhd_state(req)->disk->atomic;
	struct vhd_req *next;

	req->flags = atomic->flags;
	pthread_mutex_lock(&atomic->lock);
	next = vhd_queue_pop(&atomic->waiting);
	atomic->owner = next;
	pthread_mutex_unlock(&atomic->lock);
	if (next != NULL) {
		vhd_io_post(next);
	}
}

/* ---- work that blocks ---- */

static void journal_work(struct vhd_job *job, void *data)
{
	struct vhd_req *req = *(struct vhd_req **)data;
	struct vhd_disk *disk = vhd_state(req)->disk;
	struct vhd_atomic *atomic = &disk->atomic;
	char why[VHD_WHY_MAX];

	if (atomic->journal != NULL) {
		/* The disk's file has been moved: so is this. Or somebody has
		 * removed it, or it is not to be trusted any more. */
		vhd_journal_free(atomic->journal, true);
		atomic->journal = NULL;
	}
	atomic->error = vhd_journal_create(disk->file, &atomic->journal, why,
					   sizeof(why));
	if (atomic->error == ENOTSUP) {
		atomic_store(&atomic->impossible, true);
	}
	if (atomic->error != 0 &&
	    atomic_exchange(&disk->file->last_error, atomic->error) !=
		    atomic->error) {
		vhd_log(1, "vhd: %s%s cannot be made: %s", disk->file->name,
			VHD_JOURNAL_OF, why);
	}
	vhd_io_post(req);
}

/* The record stays. The next to open the disk will take the write back. */
static void stop_writes(struct vhd_disk *disk, const char *what, int error)
{
	vhd_log(0,
		"vhd: %s%s: %s: %s: no more writes until the disk is opened "
		"again",
		disk->file->name, VHD_JOURNAL_OF, what, strerror(error));
	atomic_store(&disk->atomic.stuck, true);
	disk->atomic.error = EIO;
}

/* Nor is what was written to be read: it is neither the old nor the new. */
static int stop_torn(struct vhd_req *req, int error)
{
	struct vhd_disk *disk = vhd_state(req)->disk;

	vhd_state(req)->outer_phase = ATOMIC_TORN;
	disk->atomic.torn_offset = req->offset;
	disk->atomic.torn_length = req->length;
	stop_writes(disk, "a failed write cannot be taken back", error);
	return 0;
}

static void truncate_work(struct vhd_job *job, void *data)
{
	struct vhd_req *req = *(struct vhd_req **)data;
	struct vhd_disk *disk = vhd_state(req)->disk;
	int ret = vhd_journal_truncate(disk->atomic.journal);

	if (ret != 0) {
		stop_writes(disk, "cannot be cleared", ret);
	}
	vhd_io_post(req);
}

static const struct vhd_job_ops journal_ops = {
	.work = journal_work,
	.free = free,
};

static const struct vhd_job_ops truncate_ops = {
	.work = truncate_work,
	.free = free,
};

/* ---- the steps ---- */

/* Have the format carry out @op on the range. */
static void set_operation(struct vhd_req *req, uint8_t phase, enum vhd_op op,
			  const struct iovec *iov, int cnt)
{
	struct vhd_state *st = vhd_state(req);

	st->outer_phase = phase;
	st->op = op;
	st->phase = 0;
	st->offset = req->offset;
	st->cursor = (struct vhd_cursor){.iov = iov, .cnt = cnt};
	st->exact = 0;
	st->fua = op == VHD_WRITE ? VHD_FUA : 0;
}

static struct iovec *contents_before(struct vhd_req *req)
{
	struct vhd_journal *journal = vhd_state(req)->disk->atomic.journal;

	journal->iov = (struct iovec){
		journal->buf + VHD_RECORD_HEAD((uint32_t)req->length),
		req->length,
	};
	return &journal->iov;
}

/* @length bytes to the start of the journal, to stable storage. */
static int write_journal(struct vhd_req *req, uint8_t phase, const void *data,
			 uint32_t length)
{
	struct vhd_state *st = vhd_state(req);
	struct vhd_journal *journal = st->disk->atomic.journal;

	journal->iov = (struct iovec){(void *)(uintptr_t)data, length};
	set_operation(req, phase, VHD_WRITE, &journal->iov, 1);
	return vhd_transfer(req, journal->file, true, 0, length);
}

static int write_record(struct vhd_req *req)
{
	struct vhd_disk *disk = vhd_state(req)->disk;
	struct vhd_journal *journal = disk->atomic.journal;
	struct vhd_record record = {
		.offset = req->offset,
		.length = (uint32_t)req->length,
		.head = VHD_RECORD_HEAD((uint32_t)req->length),
	};

	memcpy(record.disk_id, disk->atomic.disk_id, 16);
	vhd_record_push(&record, req->iov, journal->buf);
	return write_journal(req, ATOMIC_RECORD, journal->buf,
			     record.head + record.length);
}

static int clear_record(struct vhd_req *req)
{
	static const uint8_t zeroes[VHD_RECORD_SECTOR];

	return write_journal(req, ATOMIC_CLEAR, zeroes, sizeof(zeroes));
}

/* ---- the request ---- */

/* It is this request's turn. */
static int begin(struct vhd_req *req)
{
	struct vhd_state *st = vhd_state(req);
	struct vhd_atomic *atomic = &st->disk->atomic;
	int ret;

	atomic->flags = req->flags;
	atomic->error = 0;
	/* From now on none is served from the page cache (source.c). */
	atomic_store(&st->disk->gate.had_exclusive, true);
	/* Formats look here for it. */
	req->flags |= VHD_FUA;
	if (atomic_load(&atomic->stuck)) {
		return EROFS;
	}
	if (atomic_load(&atomic->impossible)) {
		return EOPNOTSUPP;
	}
	st->outer_phase = ATOMIC_JOURNAL;
	if (st->disk->file == NULL ||
	    (atomic->journal != NULL &&
	     vhd_journal_in_place(atomic->journal, st->disk->file))) {
		return 0;
	}
	ret = vhd_job_post_request(&journal_ops, req);
	return ret == 0 ? VHD_PENDING : ret;
}

/* The range is this request's alone. */
static void enter(struct vhd_req *req)
{
	if (vhd_state(req)->disk->file == NULL) {
		set_operation(req, ATOMIC_MEMORY, VHD_WRITE, req->iov,
			      req->iovcnt);
		return;
	}
	set_operation(req, ATOMIC_READ, VHD_READ, contents_before(req), 1);
}

/* Is it on the medium, too, what has been read? @return 0: go on */
static int flush_before(struct vhd_req *req)
{
	set_operation(req, ATOMIC_FLUSH, VHD_FLUSH, NULL, 0);
	return vhd_flush_begin(vhd_state(req)->disk) ? 0 : write_record(req);
}

static int recorded(struct vhd_req *req, int result)
{
	if (result != 0) {
		/* It may be there all the same. */
		vhd_state(req)->disk->atomic.error = result;
		return clear_record(req);
	}
	set_operation(req, ATOMIC_WRITE, VHD_WRITE, req->iov, req->iovcnt);
	return 0;
}

/* The new data are in their place, or not all of them. */
static int written(struct vhd_req *req, int result)
{
	struct vhd_disk *disk = vhd_state(req)->disk;

	disk->atomic.error = result;
	if (result == 0) {
		return clear_record(req);
	}
	disk->atomic.sync_errors = atomic_load(&disk->sync_errors);
	set_operation(req, ATOMIC_UNDO, VHD_WRITE, contents_before(req), 1);
	return 0;
}

/*
 * Where there was no space for the new data there is none for the old, but for
 * what had been written, which has its place. Unless the file system writes
 * each time to a new one: what was written may be there still.
 */
static int undone(struct vhd_req *req, int result)
{
	struct vhd_journal *journal = vhd_state(req)->disk->atomic.journal;

	if (result == 0) {
		return clear_record(req);
	}
	if (vhd_map_error(result) != ENOSPC) {
		return stop_torn(req, result);
	}
	journal->iov =
		(struct iovec){journal->buf + VHD_RECORD_MAX, req->length};
	set_operation(req, ATOMIC_COMPARE, VHD_READ, &journal->iov, 1);
	return 0;
}

static int compared(struct vhd_req *req, int result)
{
	struct vhd_disk *disk = vhd_state(req)->disk;
	const uint8_t *buf = disk->atomic.journal->buf;

	if (result == 0 && memcmp(buf + VHD_RECORD_HEAD((uint32_t)req->length),
				  buf + VHD_RECORD_MAX, req->length) == 0) {
		/* Of what was undone, perhaps only the page cache knows. */
		set_operation(req, ATOMIC_SETTLE, VHD_FLUSH, NULL, 0);
		return 0;
	}
	return stop_torn(req, result != 0 ? result : ENOSPC);
}

static int settled(struct vhd_req *req, int result)
{
	struct vhd_disk *disk = vhd_state(req)->disk;

	if (result != 0) {
		/* The kernel's only report of what others have buffered, too:
		 * the next flush fails. */
		atomic_fetch_add(&disk->sync_errors, 1);
	} else if (atomic_load(&disk->sync_errors) !=
		   disk->atomic.sync_errors) {
		/* Another sync took that report, which may be of what was
		 * undone. */
		result = EIO;
	}
	return result == 0 ? clear_record(req) : stop_torn(req, result);
}

static int cleared(struct vhd_req *req, int result)
{
	struct vhd_state *st = vhd_state(req);
	int ret;

	if (result == 0) {
		return 0;
	}
	st->outer_phase = ATOMIC_TRUNCATE;
	ret = vhd_job_post_request(&truncate_ops, req);
	if (ret != 0) {
		stop_writes(st->disk, "cannot be cleared", ret);
		return 0;
	}
	return VHD_PENDING;
}

int vhd_atomic_run(struct vhd_req *req, int result)
{
	struct vhd_state *st = vhd_state(req);
	struct vhd_disk *disk = st->disk;
	struct vhd_atomic *atomic = &disk->atomic;

	while (result != VHD_PENDING) {
		switch (st->outer_phase) {
		case ATOMIC_START:
			st->outer_phase = ATOMIC_TURN;
			result = take_turn(atomic, req) ? 0 : VHD_PENDING;
			break;
		case ATOMIC_TURN:
			result = begin(req);
			if (result != 0) {
				return result;
			}
			break;
		case ATOMIC_JOURNAL:
			if (atomic->error != 0) {
				return atomic->error;
			}
			st->outer_phase = ATOMIC_GATE;
			result = vhd_gate_enter(req, true);
			if (result != 0) {
				return result; /* pending, or an error */
			}
			break;
		case ATOMIC_GATE:
			enter(req);
			break;
		case ATOMIC_READ:
			result = disk->ops->run(req, result);
			if (result != 0) {
				return result;
			}
			result = flush_before(req);
			break;
		case ATOMIC_FLUSH:
			result = disk->ops->run(req, result);
			if (result == VHD_PENDING) {
				break;
			}
			vhd_flush_end(disk, result);
			if (result != 0) {
				/* The next flush is to say so, too. */
				atomic_fetch_add(&disk->sync_errors, 1);
				return result;
			}
			result = write_record(req);
			break;
		case ATOMIC_RECORD:
			result = recorded(req, result);
			break;
		case ATOMIC_WRITE:
			result = disk->ops->run(req, result);
			if (result != VHD_PENDING) {
				result = written(req, result);
			}
			break;
		case ATOMIC_UNDO:
			result = disk->ops->run(req, result);
			if (result != VHD_PENDING) {
				result = undone(req, result);
			}
			break;
		case ATOMIC_COMPARE:
			result = disk->ops->run(req, result);
			if (result != VHD_PENDING) {
				result = compared(req, result);
			}
			break;
		case ATOMIC_SETTLE:
			result = disk->ops->run(req, result);
			if (result != VHD_PENDING) {
				result = settled(req, result);
			}
			break;
		case ATOMIC_CLEAR:
			result = cleared(req, result);
			if (result == 0) {
				return atomic->error;
			}
			break;
		case ATOMIC_TRUNCATE:
		case ATOMIC_TORN:
			return atomic->error;
		default: /* ATOMIC_MEMORY */
			return disk->ops->run(req, result);
		}
	}
	return VHD_PENDING;
}
