/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * COMPARE AND WRITE (SBC-3 5.2), ORWRITE (SBC-3 5.5) and WRITE ATOMIC (SBC-4
 * 5.48). All are one uninterrupted action to everyone else; the block engine's
 * compare-and-write and atomic write make them so.
 */
#include <errno.h>

#include "target/scsi_commands.h"

#define CDB_FUA 0x08

static uint32_t write_flags(const struct scsi_task *task)
{
	return (task->cdb[1] & CDB_FUA) || !scsi_lu_is(task->lu, SCSI_LU_WCE)
		       ? VHD_FUA
		       : 0;
}

/* ---- COMPARE AND WRITE ---- */

bool scsi_compare_and_write_prepare(struct scsi_task *task)
{
	uint32_t blocks = task->cdb[13];

	return scsi_check_range(task, get_be64(task->cdb + 2), blocks,
				SCSI_MAX_COMPARE) &&
	       scsi_prepare_out(task, 2 * blocks * task->lu->block);
}

/* All of the data at once. What a buffer of another size than the CDB's holds
 * is not what was to be written; of a comparison, which half is which? */
static bool submit_whole(struct scsi_task *task, enum vhd_op op, uint32_t flags)
{
	struct scsi_work *work = scsi_work(task);

	if (task->edtl != task->length || task->data_len != task->length) {
		return scsi_fail(task, SENSE_ILLEGAL_REQUEST,
				 ASC_INVALID_FIELD_IN_CDB);
	}
	if (work->total == 0) {
		return scsi_good(task);
	}
	return scsi_submit_data(task, op, flags, work->total, scsi_finished);
}

bool scsi_compare_and_write(struct scsi_task *task)
{
	return submit_whole(task, VHD_COMPARE_AND_WRITE, write_flags(task));
}

/* ---- ORWRITE ---- */

/* The buffer: the chunk as read, then the chunk as it shall be. */
#define ORWRITE_CHUNK (SCSI_CHUNK / 2)

enum phase { PHASE_NEXT, PHASE_READ, PHASE_WRITTEN };

static uint32_t chunk_max(uint64_t left)
{
	return left < ORWRITE_CHUNK ? (uint32_t)left : ORWRITE_CHUNK;
}

bool scsi_orwrite_prepare(struct scsi_task *task)
{
	if (!scsi_range_prepare(task)) {
		return false;
	}
	task->allocates = 2 * chunk_max(scsi_work(task)->total);
	return scsi_prepare_out(task, (uint32_t)scsi_work(task)->total);
}

static void or_chunk(struct scsi_task *task)
{
	struct scsi_work *work = scsi_work(task);
	uint8_t *old = work->buf, *new = work->buf + work->chunk;
	uint32_t i;

	scsi_iov_read(task, work->pos, new, work->chunk);
	for (i = 0; i < work->chunk; i++) {
		new[i] |= old[i];
	}
}

static bool submit_chunk(struct scsi_task *task, enum vhd_op op)
{
	struct scsi_work *work = scsi_work(task);
	bool writes = op == VHD_COMPARE_AND_WRITE;

	work->iov[0].iov_base = work->buf;
	work->iov[0].iov_len = (size_t)work->chunk * (writes ? 2 : 1);
	return scsi_submit(task, op, writes ? write_flags(task) : 0,
			   work->offset + work->pos, work->chunk, work->iov, 1);
}

static bool orwrite_step(struct scsi_task *task)
{
	struct scsi_work *work = scsi_work(task);

	for (;;) {
		bool now;

		if (work->phase == PHASE_WRITTEN && task->req.error == EILSEQ) {
			/* Someone wrote in between: read again. */
			task->req.error = 0;
		} else if (task->req.error != 0) {
			return scsi_fail_io(task);
		} else if (work->phase == PHASE_WRITTEN) {
			work->pos += work->chunk;
		}
		if (work->phase == PHASE_READ) {
			or_chunk(task);
			work->phase = PHASE_WRITTEN;
			now = submit_chunk(task, VHD_COMPARE_AND_WRITE);
		} else if (work->pos == work->total || task->aborted) {
			return scsi_good(task);
		} else {
			work->chunk = chunk_max(work->total - work->pos);
			work->phase = PHASE_READ;
			now = submit_chunk(task, VHD_READ);
		}
		if (!now) {
			return false;
		}
	}
}

bool scsi_orwrite(struct scsi_task *task)
{
	struct scsi_work *work = scsi_work(task);

	if (!scsi_take_blocks(task)) {
		return true;
	}
	if (!scsi_task_buffer(task, 2 * chunk_max(work->total))) {
		return true;
	}
	work->phase = PHASE_NEXT;
	task->req.error = 0;
	return scsi_run(task, orwrite_step);
}

/* ---- WRITE ATOMIC ---- */

/*
 * Without an ATOMIC BOUNDARY it is one atomic write operation, with one it may
 * be several (SBC-4 4.29.1); it is one here in any case.
 */
bool scsi_write_atomic_prepare(struct scsi_task *task)
{
	uint32_t max = VHD_ATOMIC_MAX / task->lu->block;
	uint16_t boundary = get_be16(task->cdb + 10);
	uint16_t blocks = get_be16(task->cdb + 12);

	if (!scsi_check_range(task, get_be64(task->cdb + 2), blocks,
			      SCSI_MAX_TRANSFER)) {
		return false;
	}
	if (boundary > max) {
		return scsi_refuse_cdb(task, 10, 7);
	}
	if (blocks > max) {
		return scsi_refuse_cdb(task, 12, 7);
	}
	return scsi_prepare_out(task, (uint32_t)scsi_work(task)->total);
}

bool scsi_write_atomic(struct scsi_task *task)
{
	/* It is on stable storage at the end with FUA or without. */
	return submit_whole(task, VHD_WRITE_ATOMIC, 0);
}
