/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * READ and WRITE (SBC-3 5.11 to 5.13, 5.33 to 5.35): the hot path. No lock,
 * no allocation, one block request.
 */
#include "target/scsi_commands.h"

#define CDB_FUA 0x08

void scsi_cdb_range(const struct scsi_task *task, uint64_t *lba,
		    uint32_t *blocks)
{
	const uint8_t *cdb = task->cdb;

	switch (cdb[0] >> 5) {
	case 0: /* 6 bytes: a length of 0 means 256 */
		*lba = get_be24(cdb + 1) & 0x1fffff;
		*blocks = cdb[4] != 0 ? cdb[4] : 256;
		break;
	case 1:
	case 2: /* 10 bytes */
		*lba = get_be32(cdb + 2);
		*blocks = get_be16(cdb + 7);
		break;
	case 5: /* 12 bytes */
		*lba = get_be32(cdb + 2);
		*blocks = get_be32(cdb + 6);
		break;
	default: /* 16 bytes */
		*lba = get_be64(cdb + 2);
		*blocks = get_be32(cdb + 10);
		break;
	}
}

/* Where the length is, for the field pointer. */
static uint16_t length_field(const struct scsi_task *task)
{
	switch (task->cdb[0] >> 5) {
	case 1:
	case 2:
		return 7;
	case 5:
		return 6;
	case 4:
		return task->cdb[0] == 0x89 ? 13 : 10; /* COMPARE AND WRITE */
	default:
		return 10;
	}
}

/* Inline for the hot path. */
static inline bool check_range(struct scsi_task *task, uint64_t lba,
			       uint64_t blocks, uint64_t max)
{
	const unsigned shift = task->lu->shift;
	uint64_t capacity = vhd_disk_size(task->lu->config.disk) >> shift;
	struct scsi_work *work = scsi_work(task);
	uint64_t total;

	/* SBC-3 4.5: an LBA past the end, even with nothing to move; the end
	 * itself is allowed then. */
	if (lba > capacity || blocks > capacity - lba) {
		return scsi_refuse_lba(task, lba);
	}
	total = blocks << shift;
	if (total > max) {
		return scsi_refuse_cdb(task, length_field(task), 7);
	}
	work->offset = lba << shift;
	work->total = total;
	return true;
}

bool scsi_check_range(struct scsi_task *task, uint64_t lba, uint64_t blocks,
		      uint64_t max)
{
	return check_range(task, lba, blocks, max);
}

static inline bool range_prepare(struct scsi_task *task)
{
	uint64_t lba;
	uint32_t blocks;

	scsi_cdb_range(task, &lba, &blocks);
	return check_range(task, lba, blocks, SCSI_MAX_TRANSFER);
}

bool scsi_range_prepare(struct scsi_task *task)
{
	return range_prepare(task);
}

/* READ(6) and WRITE(6) have no flags: byte 1 is the LBA. */
static bool has_fua(const struct scsi_task *task)
{
	return task->cdb[0] >> 5 != 0 && (task->cdb[1] & CDB_FUA);
}

/* ---- READ ---- */

bool scsi_read_prepare(struct scsi_task *task)
{
	if (!range_prepare(task)) {
		return false;
	}
	task->length = (uint32_t)scsi_work(task)->total;
	task->transfer_len = task->length;
	task->dir = task->length != 0 ? SCSI_DIR_IN : SCSI_DIR_NONE;
	return true;
}

static bool read_finished(struct scsi_task *task)
{
	struct scsi_work *work = scsi_work(task);

	if (task->req.error != 0) {
		return scsi_fail_io(task);
	}
	task->data_in_len = task->data_len;
	if (work->buf != NULL) {
		task->data_in_len = (uint32_t)scsi_iov_write(task, 0, work->buf,
							     task->data_len);
	}
	return scsi_good(task);
}

/* An initiator that expects a part of a block: read whole blocks aside. */
static bool read_partial(struct scsi_task *task)
{
	struct scsi_work *work = scsi_work(task);
	uint32_t block = task->lu->block;
	uint32_t size = (task->data_len + block - 1) & ~(block - 1);

	if (!scsi_task_buffer(task, size)) {
		return true;
	}
	work->iov[0].iov_base = work->buf;
	work->iov[0].iov_len = size;
	work->step = read_finished;
	return scsi_submit(task, VHD_READ, 0, work->offset, size, work->iov,
			   1) &&
	       read_finished(task);
}

static bool read_start(struct scsi_task *task)
{
	struct scsi_work *work = scsi_work(task);

	if (!scsi_whole_blocks(task)) {
		return read_partial(task);
	}
	if (task->may_source &&
	    vhd_disk_source(task->lu->config.disk, work->offset, task->data_len,
			    &task->source)) {
		task->sourced = true;
		task->data_in_len = task->data_len;
		return scsi_good(task);
	}
	return scsi_submit_data(task, VHD_READ, 0, task->data_len,
				read_finished);
}

static bool read_flushed(struct scsi_task *task)
{
	if (task->req.error != 0) {
		return scsi_fail_io(task);
	}
	return read_start(task);
}

bool scsi_read(struct scsi_task *task)
{
	if (task->data_len > task->length) {
		task->data_len = task->length;
	}
	if (task->data_len == 0) {
		return scsi_good(task);
	}
	if (!has_fua(task)) {
		return read_start(task);
	}
	/* SBC-3 5.11: with FUA, what the volatile cache has is written to the
	 * medium before it is read. */
	return scsi_flush(task, read_flushed);
}

/* ---- WRITE ---- */

bool scsi_write_prepare(struct scsi_task *task)
{
	return range_prepare(task) &&
	       scsi_prepare_out(task, (uint32_t)scsi_work(task)->total);
}

bool scsi_write(struct scsi_task *task)
{
	uint32_t flags = 0;

	if (!scsi_take_blocks(task)) {
		return true;
	}
	if (has_fua(task) || !scsi_lu_is(task->lu, SCSI_LU_WCE)) {
		flags = VHD_FUA;
	}
	return scsi_submit_data(task, VHD_WRITE, flags, task->data_len,
				scsi_finished);
}
