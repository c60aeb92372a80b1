/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * RESERVE and RELEASE, (6) and (10), of SPC-2: a unit for one nexus until it
 * releases it, is lost, or the unit is reset. Not beside persistent
 * reservations (SPC-3 5.6.3, CRH 0).
 */
#include "target/scsi_commands.h"

static bool conflict(struct scsi_task *task)
{
	scsi_log(3, "disk %d: %s from %s conflicts with a reservation",
		 (int)task->lu->config.index, task->op->name,
		 task->nexus->initiator_name);
	task->status = SCSI_RESERVATION_CONFLICT;
	return true;
}

bool scsi_refuse_beside_reserve(struct scsi_task *task)
{
	struct scsi_lu *lu = task->lu;
	bool reserved;

	pthread_mutex_lock(&lu->lock);
	reserved = lu->reserved_by != NULL;
	pthread_mutex_unlock(&lu->lock);
	if (reserved) {
		conflict(task);
	}
	return reserved;
}

bool scsi_reserve(struct scsi_task *task)
{
	struct scsi_itl *itl = scsi_task_itl(task);
	struct scsi_lu *lu = task->lu;
	bool ok;

	if (itl == NULL) {
		return true;
	}
	pthread_mutex_lock(&lu->lock);
	ok = lu->pr.count == 0 &&
	     (lu->reserved_by == NULL || lu->reserved_by == itl);
	if (ok) {
		lu->reserved_by = itl;
		scsi_pr_refresh(lu);
	}
	pthread_mutex_unlock(&lu->lock);
	return ok ? scsi_good(task) : conflict(task);
}

bool scsi_release(struct scsi_task *task)
{
	struct scsi_itl *itl = scsi_task_itl(task);
	struct scsi_lu *lu = task->lu;
	bool ok;

	if (itl == NULL) {
		return true;
	}
	pthread_mutex_lock(&lu->lock);
	ok = lu->pr.count == 0;
	/* Another's reservation stays, and that is no error (SPC-2 7.17). */
	if (ok && lu->reserved_by == itl) {
		lu->reserved_by = NULL;
		scsi_pr_refresh(lu);
	}
	pthread_mutex_unlock(&lu->lock);
	return ok ? scsi_good(task) : conflict(task);
}
