/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * FORMAT UNIT (SBC-3 5.3), which every direct-access device has: all blocks
 * are unmapped and read as zeroes. There are no defects to manage and no
 * protection information to initialize.
 */
#include "target/scsi_commands.h"

#define CDB_FMTDATA  0x10
#define CDB_LONGLIST 0x20
#define HEADER_IMMED 0x02 /* of byte 1 */

/* One discard: long enough to be quick, short enough to be interrupted. */
#define STEP (1ull << 30)

bool scsi_format_prepare(struct scsi_task *task)
{
	uint32_t header = (task->cdb[1] & CDB_LONGLIST) ? 8 : 4;

	if (!(task->cdb[1] & CDB_FMTDATA)) {
		/* CMPLST, DEFECT LIST FORMAT and LONGLIST describe a list. */
		if (task->cdb[1] & 0x2f) {
			return scsi_refuse_cdb(task, 1, 5);
		}
		header = 0;
	}
	return scsi_prepare_list(task, header);
}

static bool format_end(struct scsi_task *task)
{
	atomic_fetch_and(&task->lu->state, ~SCSI_LU_FORMATTING);
	return true;
}

static bool format_step(struct scsi_task *task)
{
	struct scsi_work *work = scsi_work(task);

	for (;;) {
		uint64_t length;

		if (task->req.error != 0) {
			format_end(task);
			return scsi_fail_io(task);
		}
		/* Aborting the command does not stop it once it goes on by
		 * itself; its unit's end does. */
		if (work->pos == work->total || task->ending ||
		    (task->aborted && task->nexus != NULL)) {
			format_end(task);
			return scsi_good(task);
		}
		scsi_lu_set_progress(task->lu, work->pos, work->total);
		length = work->total - work->pos < STEP
				 ? work->total - work->pos
				 : STEP;
		work->pos += length;
		if (!scsi_submit(task, VHD_DISCARD, VHD_FUA, work->pos - length,
				 length, NULL, 0)) {
			return false;
		}
	}
}

/* 5.3.2.2, 5.3.2.3: the parameter list header */
static bool check_header(struct scsi_task *task)
{
	const uint8_t *p;
	size_t len;

	if (task->length == 0) {
		return true;
	}
	p = scsi_parameters(task, &len);
	if (p == NULL) {
		return false;
	}
	if (len < task->length) {
		scsi_refuse(task, SENSE_ILLEGAL_REQUEST,
			    ASC_PARAMETER_LIST_LENGTH);
		return false;
	}
	if (p[0] & 0x07) { /* PROTECTION FIELD USAGE */
		scsi_fail_parameter(task, 0, 2);
		return false;
	}
	if (p[1] & 0x08) { /* IP: an initialization pattern */
		scsi_fail_parameter(task, 1, 3);
		return false;
	}
	if (len == 8 ? get_be32(p + 4) != 0 : get_be16(p + 2) != 0) {
		scsi_fail_parameter(task, len == 8 ? 4 : 2, 7);
		return false;
	}
	return true;
}

/* Nobody else is at work on the medium: begin. As scsi_opcode.execute. */
static bool format_begin(struct scsi_task *task)
{
	struct scsi_work *work = scsi_work(task);
	struct scsi_task *bg = NULL;

	if (task->aborted || scsi_lu_leaves(task->lu)) {
		format_end(task);
		return task->aborted ? scsi_good(task)
				     : scsi_fail(task, SENSE_NOT_READY,
						 ASC_NOT_READY_OFFLINE);
	}
	work->pos = 0;
	work->total = vhd_disk_size(task->lu->config.disk);
	task->req.error = 0;
	if (task->length != 0 && (work->buf[1] & HEADER_IMMED)) {
		bg = scsi_background(task, true);
	}
	if (bg != NULL) {
		scsi_run_background(bg, format_step);
		return scsi_good(task);
	}
	return scsi_run(task, format_step);
}

bool scsi_format(struct scsi_task *task)
{
	if (!check_header(task) ||
	    !scsi_clear_medium(task, SCSI_LU_FORMATTING, format_begin)) {
		return true;
	}
	scsi_log(1, "disk %d: formatted by %s", (int)task->lu->config.index,
		 task->nexus->initiator_name);
	return scsi_wait(task);
}
