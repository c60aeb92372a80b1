/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Primary commands (SPC-4) that need no file of their own.
 */
#include <stdlib.h>

#include "target/scsi_commands.h"

/* A command whose preparation was all of it. */
bool scsi_done(struct scsi_task *task)
{
	return scsi_good(task);
}

/* SPC-4 6.47 */
bool scsi_test_unit_ready_prepare(struct scsi_task *task)
{
	return task->lu == NULL || /* the well-known unit is always ready */
	       scsi_lu_not_ready(task->lu) == 0 || scsi_refuse_not_ready(task);
}

/* ---- REQUEST SENSE (SPC-4 6.39) ---- */

bool scsi_request_sense_prepare(struct scsi_task *task)
{
	return scsi_prepare_in(task, task->cdb[4]);
}

bool scsi_request_sense(struct scsi_task *task)
{
	struct scsi_sense sense = {.key = SENSE_NO_SENSE};
	uint8_t buf[SCSI_SENSE_MAX];
	struct scsi_itl *itl = NULL;
	unsigned denied = 0;
	enum scsi_ua ua;
	uint8_t len;
	/* A unit attention stays where its code would be cut off. */
	const uint32_t told = (task->cdb[1] & 0x01) ? 4 : 14;

	if (task->lu != NULL) {
		itl = scsi_task_itl(task);
		if (itl == NULL) {
			return true;
		}
		denied = atomic_load(&itl->denied);
	}
	if (itl == NULL && scsi_work(task)->kind != SCSI_LUN_REPORT_LUNS) {
		sense.key = SENSE_ILLEGAL_REQUEST;
		sense.asc = ASC_LU_NOT_SUPPORTED;
	} else if (itl != NULL && task->length >= told &&
		   scsi_ua_take(itl, &ua)) {
		sense.key = SENSE_UNIT_ATTENTION;
		sense.asc = scsi_ua_asc(ua);
		scsi_ua_information(ua, &sense);
	} else if (itl != NULL && (denied & SCSI_DENIED_ACCESS) != 0) {
		sense.key = SENSE_NOT_READY; /* SPC-4 5.16.2.4.4, .5 */
		sense.asc = scsi_access_asc(denied);
	} else if (itl != NULL && scsi_lu_not_ready(itl->lu) != 0) {
		scsi_not_ready_sense(itl->lu, &sense);
	} else if (itl != NULL && atomic_load(&itl->lu->selftest) != 0) {
		scsi_sense_of_progress(itl->lu, ASC_SELF_TEST_IN_PROGRESS,
				       &sense);
	}
	len = scsi_sense_build(buf, task->cdb[1] & 0x01, &sense); /* DESC */
	return scsi_data_in(task, buf, len);
}

/* ---- REPORT LUNS (SPC-4 6.33) ---- */

#define SELECT_UNITS	  0x00
#define SELECT_WELL_KNOWN 0x01
#define SELECT_ALL	  0x02

bool scsi_report_luns_prepare(struct scsi_task *task)
{
	if (task->cdb[2] > SELECT_ALL) {
		return scsi_refuse_cdb(task, 2, 7);
	}
	return scsi_prepare_in(task, get_be32(task->cdb + 6));
}

bool scsi_report_luns(struct scsi_task *task)
{
	const struct scsi_nexus *nexus = task->nexus;
	uint8_t select = task->cdb[2];
	uint8_t *buf;
	size_t len = 8;
	unsigned i;

	if (!scsi_task_buffer(task, 8 + 8 * ((size_t)nexus->count + 1))) {
		return true;
	}
	buf = scsi_work(task)->buf;
	if (select != SELECT_WELL_KNOWN) {
		for (i = 0; i < nexus->count; i++) {
			scsi_lun_format(nexus->itls[i]->lun, buf + len);
			len += 8;
		}
	}
	if (select != SELECT_UNITS) {
		put_be16(buf + len, 0xc101); /* REPORT LUNS */
		len += 8;
	}
	put_be32(buf, (uint32_t)(len - 8));
	/* SPC-4 6.33: having read the list, it knows of its change. */
	scsi_ua_luns_told(nexus);
	return scsi_data_in(task, buf, len);
}
