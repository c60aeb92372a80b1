/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Logical block provisioning: WRITE SAME (SBC-3 5.43, 5.44), UNMAP (5.28),
 * GET LBA STATUS (5.4).
 */
#include "target/scsi_commands.h"

/* ---- WRITE SAME ---- */

#define CDB_UNMAP 0x08
#define CDB_NDOB  0x01

/* The buffer of a pattern that is not zero: iovecs that repeat it. */
#define FILL_BYTES 65536u

static bool no_data_out(const struct scsi_task *task)
{
	return task->cdb[0] == 0x93 && (task->cdb[1] & CDB_NDOB);
}

bool scsi_write_same_prepare(struct scsi_task *task)
{
	uint64_t lba;
	uint32_t blocks;

	scsi_cdb_range(task, &lba, &blocks);
	if (!scsi_check_range(task, lba, blocks, SCSI_MAX_WRITE_SAME)) {
		return false;
	}
	/* To the end of a disk is more than the longest WRITE SAME: WSNZ. */
	if (blocks == 0) {
		return scsi_refuse_cdb(task, task->cdb[0] == 0x93 ? 10 : 7, 7);
	}
	if (no_data_out(task)) {
		return scsi_prepare_out(task, 0);
	}
	task->allocates = FILL_BYTES;
	return scsi_prepare_out(task, task->lu->block);
}

static uint32_t write_flags(const struct scsi_task *task)
{
	return scsi_lu_is(task->lu, SCSI_LU_WCE) ? 0 : VHD_FUA;
}

static bool fill_step(struct scsi_task *task)
{
	struct scsi_work *work = scsi_work(task);

	for (;;) {
		if (task->req.error != 0) {
			return scsi_fail_io(task);
		}
		work->pos += work->chunk;
		if (work->pos == work->total || task->aborted) {
			return scsi_good(task);
		}
		work->chunk = work->total - work->pos < work->buf_len
				      ? (uint32_t)(work->total - work->pos)
				      : work->buf_len;
		work->iov[0].iov_base = work->buf;
		work->iov[0].iov_len = work->chunk;
		if (!scsi_submit(task, VHD_WRITE, write_flags(task),
				 work->offset + work->pos, work->chunk,
				 work->iov, 1)) {
			return false;
		}
	}
}

static bool fill(struct scsi_task *task, const uint8_t *data)
{
	struct scsi_work *work = scsi_work(task);
	size_t size = work->total < FILL_BYTES ? work->total : FILL_BYTES;
	size_t at, block = task->lu->block;

	if (!scsi_task_buffer(task, size)) {
		return true;
	}
	for (at = 0; at < size; at += block) {
		memcpy(work->buf + at, data, block);
	}
	task->req.error = 0;
	return scsi_run(task, fill_step);
}

static bool is_zero(const uint8_t *p, size_t len)
{
	return len == 0 || (p[0] == 0 && memcmp(p, p + 1, len - 1) == 0);
}

bool scsi_write_same(struct scsi_task *task)
{
	struct scsi_work *work = scsi_work(task);
	uint8_t data[SCSI_MAX_BLOCK];
	size_t len;
	enum vhd_op op = (task->cdb[1] & CDB_UNMAP) ? VHD_DISCARD : VHD_ZERO;

	if (task->edtl != task->length || task->data_len != task->length) {
		return scsi_fail(task, SENSE_ILLEGAL_REQUEST,
				 ASC_INVALID_FIELD_IN_CDB);
	}
	len = scsi_iov_read(task, 0, data, task->length);
	/* Only what reads back as zeroes may be unmapped (SBC-3 4.7.3.4.3,
	 * LBPRZ); other data is written whatever UNMAP says. */
	if (!is_zero(data, len)) {
		return fill(task, data);
	}
	work->step = scsi_finished;
	return scsi_submit(task, op, write_flags(task), work->offset,
			   work->total, NULL, 0) &&
	       scsi_finished(task);
}

/* ---- UNMAP ---- */

#define UNMAP_HEADER	 8
#define UNMAP_DESCRIPTOR 16

bool scsi_unmap_prepare(struct scsi_task *task)
{
	return scsi_prepare_list(task, get_be16(task->cdb + 7));
}

/* The whole list is checked before any of it is done. */
static bool unmap_check(struct scsi_task *task, const uint8_t *p,
			uint32_t count)
{
	uint64_t capacity = scsi_lu_blocks(task->lu), total = 0;
	uint32_t i;

	if (count > SCSI_MAX_UNMAP_DESC) {
		scsi_fail_parameter(task, 2, 7);
		return false;
	}
	for (i = 0; i < count; i++) {
		const uint8_t *d = p + UNMAP_HEADER + i * UNMAP_DESCRIPTOR;
		uint64_t lba = get_be64(d);
		uint32_t blocks = get_be32(d + 8);

		if (lba > capacity || blocks > capacity - lba) {
			return scsi_refuse_lba(task, lba);
		}
		total += blocks;
		if (total > SCSI_MAX_UNMAP >> task->lu->shift) {
			scsi_fail_parameter(task,
					    (uint16_t)(UNMAP_HEADER +
						       i * UNMAP_DESCRIPTOR +
						       8),
					    7);
			return false;
		}
	}
	return true;
}

/* work->total: descriptors; work->index: the next one */
static bool unmap_step(struct scsi_task *task)
{
	struct scsi_work *work = scsi_work(task);

	for (;;) {
		const uint8_t *d;

		if (task->req.error != 0) {
			return scsi_fail_io(task);
		}
		if (work->index == work->total || task->aborted) {
			return scsi_good(task);
		}
		d = work->buf + UNMAP_HEADER +
		    (size_t)work->index++ * UNMAP_DESCRIPTOR;
		if (get_be32(d + 8) == 0) {
			continue;
		}
		if (!scsi_submit(task, VHD_DISCARD, write_flags(task),
				 get_be64(d) << task->lu->shift,
				 (uint64_t)get_be32(d + 8) << task->lu->shift,
				 NULL, 0)) {
			return false;
		}
	}
}

bool scsi_unmap(struct scsi_task *task)
{
	struct scsi_work *work = scsi_work(task);
	const uint8_t *p;
	uint32_t count;
	size_t len;

	if (task->length == 0) {
		return scsi_good(task);
	}
	p = scsi_parameters(task, &len);
	if (p == NULL) {
		return true;
	}
	if (len < UNMAP_HEADER) {
		return scsi_fail(task, SENSE_ILLEGAL_REQUEST,
				 ASC_PARAMETER_LIST_LENGTH);
	}
	/* UNMAP BLOCK DESCRIPTOR DATA LENGTH: whole descriptors of it count,
	 * and of the parameter list (SBC-3 5.28.2); all of those are here. */
	count = get_be16(p + 2);
	if (count > task->length - UNMAP_HEADER) {
		count = task->length - UNMAP_HEADER;
	}
	count /= UNMAP_DESCRIPTOR;
	if ((size_t)count * UNMAP_DESCRIPTOR > len - UNMAP_HEADER) {
		return scsi_fail(task, SENSE_ILLEGAL_REQUEST,
				 ASC_PARAMETER_LIST_LENGTH);
	}
	if (!unmap_check(task, p, count)) {
		return true;
	}
	work->total = count;
	work->index = 0;
	task->req.error = 0;
	return scsi_run(task, unmap_step);
}

/* ---- GET LBA STATUS ---- */

bool scsi_get_lba_status_prepare(struct scsi_task *task)
{
	uint64_t lba = get_be64(task->cdb + 2);
	uint64_t capacity = scsi_lu_blocks(task->lu);

	/* The starting LBA itself has to be there. */
	if (!scsi_check_range(task, lba, lba < capacity ? 0 : 1, SCSI_NO_MAX)) {
		return false;
	}
	return scsi_prepare_in(task, get_be32(task->cdb + 10));
}

static bool lba_status_known(struct scsi_task *task)
{
	const unsigned shift = task->lu->shift;
	/* What a descriptor holds, in whole granules: Windows rounds the length
	 * up to one, in 32 bits. */
	const uint32_t most =
		UINT32_MAX & ~((SCSI_OPTIMAL_GRANULE >> shift) - 1);
	uint8_t buf[24] = {0};
	uint64_t blocks = task->req.length >> shift;

	if (task->req.error != 0) {
		return scsi_fail_io(task);
	}
	/* One extent: SBC-3 5.4.2 leaves their number to us. */
	put_be32(buf, sizeof(buf) - 4);
	put_be64(buf + 8, scsi_work(task)->offset >> shift);
	put_be32(buf + 16, blocks > most ? most : (uint32_t)blocks);
	/* provisioning status: mapped or deallocated */
	buf[20] = task->req.mapped ? 0 : 1;
	return scsi_data_in(task, buf, sizeof(buf));
}

bool scsi_get_lba_status(struct scsi_task *task)
{
	uint64_t offset = scsi_work(task)->offset;
	uint64_t length = vhd_disk_size(task->lu->config.disk) - offset;

	scsi_work(task)->step = lba_status_known;
	return scsi_submit(task, VHD_MAPPED, 0, offset, length, NULL, 0) &&
	       lba_status_known(task);
}
