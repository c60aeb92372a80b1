/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * VERIFY, WRITE AND VERIFY, PRE-FETCH (SBC-3 5.29 to 5.31, 5.37 to 5.39, 5.8,
 * 5.9): commands that read into a buffer of ours, a chunk at a time.
 */
#include <errno.h>

#include "target/scsi_commands.h"

#define BYTCHK(cdb)    ((cdb)[1] >> 1 & 3)
#define BYTCHK_MEDIUM  0 /* read only */
#define BYTCHK_COMPARE 1 /* with the data-out buffer */
#define BYTCHK_REPEAT  3 /* every block with the one sent */

enum phase { PHASE_START, PHASE_WRITTEN, PHASE_READ };

/* The chunk just read against what was sent: the offset of the first byte
 * that differs, or the chunk's length. */
static uint32_t compare_chunk(const struct scsi_task *task,
			      const struct scsi_work *work, bool repeat)
{
	uint8_t expected[SCSI_MAX_BLOCK];
	const uint32_t block = task->lu->block;
	uint32_t at, i;

	for (at = 0; at < work->chunk; at += block) {
		size_t from = repeat ? 0 : work->pos + at;

		scsi_iov_read(task, from, expected, block);
		if (memcmp(expected, work->buf + at, block) == 0) {
			continue;
		}
		for (i = 0; expected[i] == work->buf[at + i]; i++) {
		}
		return at + i;
	}
	return work->chunk;
}

static bool chunk_done(struct scsi_task *task)
{
	struct scsi_work *work = scsi_work(task);
	uint8_t bytchk = BYTCHK(task->cdb);
	uint32_t same;

	if (task->req.error != 0) {
		scsi_fail_io(task);
		return false;
	}
	if (task->op->execute != scsi_prefetch && bytchk != BYTCHK_MEDIUM) {
		same = compare_chunk(task, work, bytchk == BYTCHK_REPEAT);
		if (same != work->chunk) {
			task->req.error = EILSEQ;
			task->req.miscompare = work->pos + same;
			scsi_fail_io(task);
			return false;
		}
	}
	work->pos += work->chunk;
	return true;
}

/* Read from pos to total, chunk by chunk. */
static bool read_step(struct scsi_task *task)
{
	struct scsi_work *work = scsi_work(task);

	for (;;) {
		if (work->phase == PHASE_READ && !chunk_done(task)) {
			return true;
		}
		if (work->pos == work->total || task->aborted) {
			return scsi_good(task);
		}
		work->phase = PHASE_READ;
		work->chunk = work->total - work->pos < SCSI_CHUNK
				      ? (uint32_t)(work->total - work->pos)
				      : SCSI_CHUNK;
		work->iov[0].iov_base = work->buf;
		work->iov[0].iov_len = work->chunk;
		if (!scsi_submit(task, VHD_READ, 0, work->offset + work->pos,
				 work->chunk, work->iov, 1)) {
			return false;
		}
	}
}

static uint32_t chunk_max(struct scsi_task *task)
{
	uint64_t total = scsi_work(task)->total;

	return total < SCSI_CHUNK ? (uint32_t)total : SCSI_CHUNK;
}

static bool start_reading(struct scsi_task *task)
{
	struct scsi_work *work = scsi_work(task);

	if (!scsi_task_buffer(task, chunk_max(task))) {
		return true;
	}
	work->phase = PHASE_START;
	return scsi_run(task, read_step);
}

/* ---- VERIFY ---- */

bool scsi_verify_prepare(struct scsi_task *task)
{
	uint8_t bytchk = BYTCHK(task->cdb);
	uint32_t length = 0;

	if (bytchk == 2) {
		return scsi_refuse_cdb(task, 1, 2);
	}
	if (!scsi_range_prepare(task)) {
		return false;
	}
	task->allocates = chunk_max(task);
	if (bytchk == BYTCHK_COMPARE) {
		length = (uint32_t)scsi_work(task)->total;
	} else if (bytchk == BYTCHK_REPEAT && scsi_work(task)->total != 0) {
		length = task->lu->block;
	}
	return scsi_prepare_out(task, length);
}

bool scsi_verify(struct scsi_task *task)
{
	if (task->data_len < task->length) {
		return scsi_fail(task, SENSE_ILLEGAL_REQUEST,
				 ASC_INVALID_FIELD_IN_IU);
	}
	if (scsi_work(task)->total == 0) {
		return scsi_good(task);
	}
	return start_reading(task);
}

/* ---- WRITE AND VERIFY ---- */

bool scsi_write_verify_prepare(struct scsi_task *task)
{
	if (BYTCHK(task->cdb) > BYTCHK_COMPARE) {
		return scsi_refuse_cdb(task, 1, 2);
	}
	if (!scsi_range_prepare(task)) {
		return false;
	}
	task->allocates = chunk_max(task);
	return scsi_prepare_out(task, (uint32_t)scsi_work(task)->total);
}

static bool written(struct scsi_task *task)
{
	if (task->req.error != 0) {
		return scsi_fail_io(task);
	}
	return start_reading(task);
}

bool scsi_write_verify(struct scsi_task *task)
{
	if (!scsi_take_blocks(task)) {
		return true;
	}
	/* What is verified is on the medium, not in a volatile cache. */
	return scsi_submit_data(task, VHD_WRITE, VHD_FUA, task->data_len,
				written);
}

/* ---- PRE-FETCH ---- */

#define CDB_IMMED 0x02

bool scsi_prefetch_prepare(struct scsi_task *task)
{
	uint64_t lba, capacity = scsi_lu_blocks(task->lu);
	uint32_t blocks;

	scsi_cdb_range(task, &lba, &blocks);
	if (!scsi_check_range(task, lba, blocks, SCSI_NO_MAX)) {
		return false;
	}
	/* 0: to the end. More than the maximum: what fits is fetched and the
	 * status says that not all is cached (SBC-3 5.8). */
	if (blocks == 0) {
		scsi_work(task)->total = (capacity - lba) << task->lu->shift;
	}
	if (scsi_work(task)->total > SCSI_CHUNK) {
		scsi_work(task)->total = SCSI_CHUNK;
	}
	task->allocates = chunk_max(task);
	return true;
}

bool scsi_prefetch(struct scsi_task *task)
{
	struct scsi_task *bg;

	/* GOOD in every case: whether the page cache keeps it all, which
	 * CONDITION MET would promise, is not known. */
	if (scsi_work(task)->total == 0) {
		return scsi_good(task);
	}
	/* With IMMED the status comes once the CDB has been checked. */
	bg = (task->cdb[1] & CDB_IMMED) ? scsi_background(task, false) : NULL;
	if (bg != NULL) {
		scsi_run_background(bg, start_reading);
		return scsi_good(task);
	}
	return start_reading(task);
}
