/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Block commands (SBC-3) that move no blocks: capacity, cache, start and
 * stop, defects.
 */
#include "target/scsi_commands.h"

/* ---- READ CAPACITY (SBC-3 5.15, 5.16) ---- */

bool scsi_read_capacity10_prepare(struct scsi_task *task)
{
	return scsi_prepare_in(task, 8);
}

bool scsi_read_capacity10(struct scsi_task *task)
{
	uint64_t last = scsi_lu_blocks(task->lu) - 1;
	uint8_t buf[8];

	put_be32(buf, last > UINT32_MAX ? UINT32_MAX : (uint32_t)last);
	put_be32(buf + 4, task->lu->block);
	return scsi_data_in(task, buf, sizeof(buf));
}

bool scsi_read_capacity16_prepare(struct scsi_task *task)
{
	return scsi_prepare_in(task, get_be32(task->cdb + 10));
}

uint8_t scsi_lu_physical_exponent(const struct scsi_lu *lu)
{
	/* A VHD's blocks are 512 bytes, and no larger physical ones lie behind
	 * them that a write could tear; a VHDX says what it has. That pages
	 * are written best is told by the granularities of VPD page B0h. */
	const uint32_t physical = vhd_disk_physical_sector(lu->config.disk);
	uint8_t exponent = 0;

	while (exponent < 15 && lu->block << exponent < physical) {
		exponent++;
	}
	return exponent;
}

bool scsi_read_capacity16(struct scsi_task *task)
{
	uint8_t buf[32] = {0};

	put_be64(buf, scsi_lu_blocks(task->lu) - 1);
	put_be32(buf + 8, task->lu->block);
	buf[13] = scsi_lu_physical_exponent(task->lu);
	buf[14] = 0xc0; /* LBPME, LBPRZ */
	return scsi_data_in(task, buf, sizeof(buf));
}

/* ---- SYNCHRONIZE CACHE (SBC-3 5.26, 5.27) ---- */

bool scsi_synchronize_cache_prepare(struct scsi_task *task)
{
	uint64_t lba;
	uint32_t blocks;

	/* 0 blocks: to the end. The whole disk is flushed whatever is asked
	 * for. */
	scsi_cdb_range(task, &lba, &blocks);
	return scsi_check_range(task, lba, blocks, SCSI_NO_MAX);
}

#define CDB_IMMED 0x02

/* What fails when nobody waits is told by the next SYNCHRONIZE CACHE. */
static bool flushed_later(struct scsi_task *task)
{
	if (task->req.error != 0) {
		scsi_fail_io(task); /* for its message */
		atomic_store(&task->lu->flush_failed, true);
	}
	return true;
}

static bool start_flush(struct scsi_task *task)
{
	return scsi_flush(task, flushed_later);
}

bool scsi_synchronize_cache(struct scsi_task *task)
{
	struct scsi_task *bg;

	if (atomic_exchange(&task->lu->flush_failed, false)) {
		return scsi_fail(task, SENSE_MEDIUM_ERROR, ASC_WRITE_ERROR);
	}
	bg = (task->cdb[1] & CDB_IMMED) ? scsi_background(task, false) : NULL;
	if (bg != NULL) {
		scsi_run_background(bg, start_flush);
		return scsi_good(task);
	}
	return scsi_flush(task, scsi_finished);
}

/* ---- START STOP UNIT (SBC-3 5.25) ---- */

/* There is nothing to eject, and there are no power conditions: the usage map
 * has neither LOEJ nor these. */

#define CDB_START    0x01
#define CDB_NO_FLUSH 0x04

bool scsi_start_stop_prepare(struct scsi_task *task)
{
	if (scsi_lu_not_ready(task->lu) != 0 &&
	    scsi_lu_not_ready(task->lu) != ASC_NOT_READY_START_NEEDED) {
		return scsi_refuse_not_ready(task);
	}
	/* Table 14: stopping conflicts with reservations, starting does not. */
	if (!(task->cdb[4] & CDB_START)) {
		struct scsi_itl *itl = scsi_task_itl(task);

		if (itl != NULL &&
		    (atomic_load(&itl->denied) & SCSI_NEEDS_WRITE)) {
			task->status = SCSI_RESERVATION_CONFLICT;
			return false;
		}
	}
	return true;
}

static bool stopped(struct scsi_task *task)
{
	if (task->req.error != 0) {
		return scsi_fail_io(task);
	}
	atomic_fetch_or(&task->lu->state, SCSI_LU_STOPPED);
	scsi_selftest_interrupt(task->lu);
	scsi_log(3, "disk %d: stopped by %s", (int)task->lu->config.index,
		 task->nexus->initiator_name);
	return scsi_good(task);
}

bool scsi_start_stop(struct scsi_task *task)
{
	if (task->cdb[4] & CDB_START) {
		atomic_fetch_and(&task->lu->state, ~SCSI_LU_STOPPED);
		return scsi_good(task);
	}
	task->req.error = 0;
	if (task->cdb[4] & CDB_NO_FLUSH) {
		return stopped(task);
	}
	return scsi_flush(task, stopped);
}

/* ---- READ DEFECT DATA (SBC-3 5.17, 5.18): there are none ---- */

bool scsi_read_defect10_prepare(struct scsi_task *task)
{
	return scsi_prepare_in(task, get_be16(task->cdb + 7));
}

bool scsi_read_defect10(struct scsi_task *task)
{
	/* the lists asked for, in the format asked for, empty */
	uint8_t buf[4] = {0, task->cdb[2] & 0x1f, 0, 0};

	return scsi_data_in(task, buf, sizeof(buf));
}

bool scsi_read_defect12_prepare(struct scsi_task *task)
{
	return scsi_prepare_in(task, get_be32(task->cdb + 6));
}

bool scsi_read_defect12(struct scsi_task *task)
{
	uint8_t buf[8] = {0, task->cdb[1] & 0x1f};

	return scsi_data_in(task, buf, sizeof(buf));
}
