/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Task attributes (SAM-5 8.7): which command may run while others of its task
 * set have not ended. Each I_T nexus has a task set of its own (TST 001b in the
 * control mode page), which is why a session alone decides this, on its lane,
 * and no initiator can hold up another. Sessions that only ever use SIMPLE do
 * not come here.
 */
#include <string.h>

#include "target/iscsi_conn.h"
#include "target/iscsi_session.h"

static bool is_under_way(const struct iscsi_task *task)
{
	return task->state != TASK_HELD && task->state != TASK_SEND;
}

/* Does @task have to wait for @other? */
static bool waits_for(const struct iscsi_task *task,
		      const struct iscsi_task *other)
{
	bool older = other->order < task->order;

	if (other->scsi.attr == ISCSI_ATTR_HEAD)
		return true;
	if (task->scsi.attr == ISCSI_ATTR_ORDERED)
		return older;
	return older && other->scsi.attr == ISCSI_ATTR_ORDERED;
}

bool iscsi_order_blocks(const struct iscsi_task *task)
{
	const struct iscsi_session *session = task->session;
	struct list_head *pos;

	if (task->scsi.attr == ISCSI_ATTR_HEAD)
		return false;
	list_for_each (pos, &session->tasks) {
		const struct iscsi_task *other =
			list_entry(pos, struct iscsi_task, link);

		if (other != task && is_under_way(other) &&
		    memcmp(other->scsi.lun, task->scsi.lun, 8) == 0 &&
		    waits_for(task, other))
			return true;
	}
	return false;
}

static struct iscsi_task *next_unblocked(struct iscsi_session *session)
{
	struct list_head *pos;

	list_for_each (pos, &session->tasks) {
		struct iscsi_task *task =
			list_entry(pos, struct iscsi_task, link);

		if (task->state == TASK_BLOCKED && !iscsi_order_blocks(task))
			return task;
	}
	return NULL;
}

void iscsi_order_release(struct iscsi_session *session)
{
	struct iscsi_task *task;

	iscsi_session_pin(session); /* what is released may end the session */
	while (session->num_conns && (task = next_unblocked(session)))
		iscsi_task_enable(task);
	iscsi_session_unpin(session);
}
