/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Work of the device server that goes on after its command's status, without
 * the command and its session (SPC-4's IMMED). It is the lane's.
 */
#include <stdlib.h>

#include "target/iscsi_background.h"
#include "target/iscsi_conn.h"
#include "target/iscsi_session.h"

struct background {
	struct list_head link; /* lane->background */
	struct lane *lane;
	struct scsi_nexus_name begun_by;
	bool only;
	struct scsi_task scsi;
};

static struct background *entry(struct list_head *pos)
{
	return list_entry(pos, struct background, link);
}

static void background_done(struct scsi_task *scsi)
{
	struct background *bg = scsi->private_data;
	struct lane *lane = bg->lane;

	list_del(&bg->link);
	lane->num_background -= !bg->only;
	lane->held -= scsi->allocates;
	free(bg);
	iscsi_memory_wake(lane);
	iscsi_drain_check(lane);
}

/* No command window bounds them: initiators could have any number. */
struct scsi_task *iscsi_background_new(struct scsi_nexus *nexus,
				       const struct scsi_task *task, bool only,
				       void *private_data)
{
	struct iscsi_session *session = private_data;
	struct lane *lane = session->lane;
	struct background *bg;

	/* Commands in the foreground need room, too. */
	if (!only && (lane->num_background >= LANE_BACKGROUND ||
		      lane->held + task->allocates > lane->budget / 2))
		return NULL;
	bg = calloc(1, sizeof(*bg));
	if (!bg)
		return NULL;
	bg->lane = lane;
	bg->only = only;
	scsi_nexus_get_name(nexus, &bg->begun_by);
	lane->num_background += !only;
	bg->scsi.allocates = task->allocates;
	lane->held += task->allocates;
	bg->scsi.io = lane->io;
	/* Its command waited until now. */
	bg->scsi.aborted = bg->scsi.ending = lane->stopping;
	bg->scsi.done = background_done;
	bg->scsi.private_data = bg;
	list_add_tail(&bg->link, &lane->background);
	return &bg->scsi;
}

static bool uses(const struct background *bg, const struct scsi_lu *lu)
{
	return bg->scsi.lu == lu || bg->scsi.copy_lu[0] == lu ||
	       bg->scsi.copy_lu[1] == lu;
}

void iscsi_background_end(struct lane *lane, const struct scsi_lu *lu,
			  bool reset)
{
	struct list_head *pos;

	list_for_each (pos, &lane->background) {
		struct background *bg = entry(pos);

		if (lu && !uses(bg, lu))
			continue;
		bg->scsi.aborted = true;
		if (!reset)
			bg->scsi.ending = true;
	}
}

static bool is_copy_of(const struct background *bg, const struct scsi_lu *lu,
		       const struct scsi_nexus_set *nexuses)
{
	return scsi_task_copies(&bg->scsi) && uses(bg, lu) &&
	       (!nexuses || scsi_nexus_set_names(nexuses, &bg->begun_by));
}

void iscsi_background_abort(struct lane *lane, const struct scsi_lu *lu,
			    const struct scsi_nexus_set *nexuses)
{
	struct list_head *pos;

	list_for_each (pos, &lane->background) {
		if (is_copy_of(entry(pos), lu, nexuses))
			entry(pos)->scsi.aborted = true;
	}
}

bool iscsi_background_copies(struct lane *lane, const struct scsi_lu *lu,
			     const struct scsi_nexus_set *nexuses)
{
	struct list_head *pos;

	list_for_each (pos, &lane->background) {
		if (entry(pos)->scsi.aborted &&
		    is_copy_of(entry(pos), lu, nexuses))
			return true;
	}
	return false;
}

bool iscsi_background_busy(struct lane *lane, const struct scsi_lu *lu)
{
	struct list_head *pos;

	list_for_each (pos, &lane->background) {
		if (uses(entry(pos), lu))
			return true;
	}
	return false;
}
