/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Waiting until no lane works on something any more.
 */
#include <stdlib.h>
#include <string.h>

#include "target/iscsi_background.h"
#include "target/iscsi_conn.h"
#include "target/iscsi_session.h"

/* A lane's part; also the message that brings it. */
struct drain_node {
	struct msg msg;
	struct list_head link; /* lane->drains */
	struct iscsi_drain *drain;
	uint64_t before; /* commands that were delivered later do not count */
};

struct iscsi_drain *iscsi_drain_new(struct iscsi_server *server)
{
	struct iscsi_drain *drain = calloc(1, sizeof(*drain));

	if (!drain)
		return NULL;
	drain->server = server;
	list_init(&drain->function);
	return drain;
}

struct iscsi_drain *iscsi_drain_for(const struct iscsi_conn *conn, uint32_t tag,
				    void (*done)(struct iscsi_drain *drain))
{
	struct iscsi_drain *drain = iscsi_drain_new(conn->server);

	if (!drain)
		return NULL;
	drain->done = done;
	drain->lane = conn->lane;
	drain->conn_id = conn->id;
	drain->tag = tag;
	return drain;
}

static bool concerns(const struct iscsi_drain *drain,
		     const struct iscsi_session *session)
{
	if (drain->only && session->id != drain->only)
		return false;
	return !drain->nexuses ||
	       (session->nexus &&
		scsi_nexus_set_has(drain->nexuses, session->nexus));
}

static bool copies_with(const struct iscsi_task *task, const struct scsi_lu *lu)
{
	return task->scsi.copy_lu[0] == lu || task->scsi.copy_lu[1] == lu;
}

/* Of the target that is reset */
static const struct scsi_lun_map *units_of(const struct iscsi_drain *drain)
{
	static const struct scsi_lun_map none;

	return drain->conf ? drain->conf->map : &none;
}

/* RFC 7143 11.5.1: "all pending operations on all LUs", which other targets may
 * have, too: each is one and the same unit, as for LOGICAL UNIT RESET. */
static bool is_of_target(const struct iscsi_drain *drain,
			 const struct iscsi_task *task)
{
	const struct scsi_lun_map *map = units_of(drain);

	if (task->session->tgt == drain->tgt)
		return true;
	for (uint32_t i = 0; i < map->count; i++) {
		if (iscsi_task_is_for(task, map->entry[i].lu) ||
		    copies_with(task, map->entry[i].lu))
			return true;
	}
	return false;
}

/* @task of a session that it concerns */
static bool matches(const struct iscsi_drain *drain,
		    const struct iscsi_task *task)
{
	if (task->state == TASK_HELD)
		return false; /* not delivered: comes after */
	if (task->session->id == drain->by && task->order > drain->by_order)
		return false; /* so does this */
	if (&task->scsi == drain->by_task)
		return false;
	if (drain->has_itt && task->itt != drain->itt)
		return false;
	if (drain->has_cid && (task->conn || task->cid != drain->cid))
		return false;
	if (drain->tgt)
		return is_of_target(drain, task);
	return !drain->lu ||
	       (iscsi_task_is_for(task, drain->lu) &&
		(!drain->medium || scsi_task_uses_medium(&task->scsi))) ||
	       copies_with(task, drain->lu);
}

/* SPC-4 table 109: resets end copies, 5.13.11.2.6: so does PREEMPT AND ABORT,
 * and what erases a medium may not have them go on (SBC-3 4.11). They do not
 * wait for what else goes on by itself. */
static bool background_busy(struct lane *lane, const struct iscsi_drain *drain)
{
	const struct scsi_lun_map *map = units_of(drain);

	if (drain->nexuses)
		return iscsi_background_copies(lane, drain->lu, drain->nexuses);
	for (uint32_t i = 0; i < map->count; i++) {
		if (iscsi_background_copies(lane, map->entry[i].lu, NULL))
			return true;
	}
	if (!drain->lu || drain->only)
		return false;
	return drain->abort || drain->medium
		       ? iscsi_background_copies(lane, drain->lu, NULL)
		       : iscsi_background_busy(lane, drain->lu);
}

static void background_end(struct lane *lane, const struct iscsi_drain *drain)
{
	const struct scsi_lun_map *map = units_of(drain);

	for (uint32_t i = 0; i < map->count; i++)
		iscsi_background_end(lane, map->entry[i].lu, true);
	if (drain->nexuses)
		iscsi_background_abort(lane, drain->lu, drain->nexuses);
	else if (drain->medium)
		iscsi_background_abort(lane, drain->lu, NULL);
	else if (drain->lu && !drain->only)
		iscsi_background_end(lane, drain->lu, drain->abort);
}

static bool lane_busy(struct lane *lane, const struct drain_node *node)
{
	const struct iscsi_drain *drain = node->drain;
	struct list_head *s, *t;

	if (background_busy(lane, drain))
		return true;
	list_for_each (s, &lane->sessions) {
		struct iscsi_session *session =
			list_entry(s, struct iscsi_session, lane_link);

		if (!concerns(drain, session))
			continue;
		list_for_each (t, &session->tasks) {
			const struct iscsi_task *task =
				list_entry(t, struct iscsi_task, link);

			if ((task->state != TASK_RUN &&
			     (drain->medium || !iscsi_task_lingers(task))) ||
			    task->order > node->before)
				continue;
			/* Two that preempt each other do not wait for each
			 * other. */
			if (drain->nexuses && task->scsi.preempts)
				continue;
			if (matches(drain, task))
				return true;
		}
	}
	return false;
}

static void drain_done(struct iscsi_drain *drain)
{
	drain->done(drain);
	if (drain->tgt)
		iscsi_tgt_unref(drain->tgt);
	if (drain->conf)
		iscsi_conf_unref(drain->conf);
	scsi_nexus_set_free(drain->nexuses);
	free(drain);
}

static void lane_got_drained(struct msg *msg, void *receiver)
{
	drain_done(list_entry(msg, struct iscsi_drain, msg));
}

static void node_done(struct drain_node *node)
{
	struct iscsi_drain *drain = node->drain;

	list_del(&node->link);
	free(node);
	if (atomic_fetch_sub(&drain->remaining, 1) > 1)
		return;
	if (!drain->lane) {
		drain_done(drain);
		return;
	}
	drain->msg.handle = lane_got_drained;
	msgq_post(&drain->lane->inbox, &drain->msg);
}

void iscsi_drain_check(struct lane *lane)
{
	struct list_head *pos, *n;

	list_for_each_safe(pos, n, &lane->drains)
	{
		struct drain_node *node =
			list_entry(pos, struct drain_node, link);

		if (!lane_busy(lane, node))
			node_done(node);
	}
}

/* The unit goes; what the task still waits for arrives, and then the
 * initiator is told LOGICAL UNIT NOT SUPPORTED. */
static void unit_gone(struct iscsi_task *task)
{
	iscsi_task_no_unit(task);
	task->scsi.lu = NULL;
	if (task->state == TASK_WAIT) {
		list_del(&task->turn.link);
		task->state = TASK_DATA;
		iscsi_task_advance(task);
	}
}

/* The medium is about to be erased: what still waits for its data does not get
 * there, copies end. */
static void medium_taken(struct iscsi_task *task)
{
	if (task->state == TASK_RUN) {
		if (scsi_task_copies(&task->scsi))
			task->scsi.aborted = true;
		return;
	}
	if (task->state == TASK_FENCED)
		return;
	iscsi_task_not_ready(task);
	if (task->state == TASK_WAIT) {
		list_del(&task->turn.link);
		task->state = TASK_DATA;
		iscsi_task_advance(task);
	}
}

/* SAM-5 5.6: is the end of the task told by its own status? */
static bool is_told(const struct iscsi_drain *drain,
		    const struct iscsi_task *task)
{
	return drain->told && task->session->id != drain->by && task->conn &&
	       !task->aborted;
}

static bool is_affected(const struct iscsi_drain *drain,
			const struct iscsi_task *task)
{
	return task->state != TASK_SEND && matches(drain, task) &&
	       !(drain->abort && iscsi_task_lingers(task));
}

/* Of the tasks that share a connection and a LUN, the first has it told. */
static bool is_first(const struct iscsi_drain *drain,
		     const struct iscsi_task *task)
{
	const struct list_head *pos;

	list_for_each (pos, &task->session->tasks) {
		const struct iscsi_task *other =
			list_entry(pos, struct iscsi_task, link);

		if (other == task)
			break;
		if (other->conn == task->conn &&
		    memcmp(other->scsi.lun, task->scsi.lun, 8) == 0 &&
		    is_affected(drain, other))
			return false;
	}
	return true;
}

static void told_by(const struct iscsi_drain *drain,
		    const struct iscsi_task *first, uint32_t statsn)
{
	struct list_head *pos;

	list_for_each (pos, &first->session->tasks) {
		struct iscsi_task *task =
			list_entry(pos, struct iscsi_task, link);

		if (task->conn == first->conn &&
		    memcmp(task->scsi.lun, first->scsi.lun, 8) == 0 &&
		    is_affected(drain, task)) {
			task->announced = true;
			task->told_statsn = statsn;
		}
	}
}

/* RFC 7143 4.2.3.4 d, 4.2.3.5 a: one message for each unit on each connection
 * that has tasks of it, other than the one that asked for this. */
static void tell_terminated(struct iscsi_session *session,
			    const struct iscsi_drain *drain)
{
	struct list_head *pos;

	list_for_each (pos, &session->tasks) {
		struct iscsi_task *task =
			list_entry(pos, struct iscsi_task, link);
		struct iscsi_conn *conn = task->conn;

		if (!conn || !is_affected(drain, task) ||
		    conn->state != CONN_FULL ||
		    (conn->lane == drain->lane && conn->id == drain->conn_id) ||
		    !is_first(drain, task))
			continue;
		told_by(drain, task, conn->statsn);
		iscsi_async_terminated(conn, task->scsi.lun);
		if (conn->state == CONN_DEAD)
			return;
	}
}

/* It has not reached the unit: it ends; or it is at work and waited for, and
 * with the standard semantics of multi-task aborts the data that the session
 * which asked for this has been asked for (4.2.3.3 a). */
static void end_task(struct iscsi_task *task, const struct iscsi_drain *drain,
		     bool fast)
{
	if (drain->medium)
		medium_taken(task);
	else if (drain->abort && is_told(drain, task))
		iscsi_task_abort_told(task);
	else if (drain->multi && task->session->id == drain->by && !fast)
		iscsi_task_abort_later(task);
	else if (drain->abort)
		iscsi_task_abort(task);
	else if (task->state == TASK_FENCED)
		task->scsi.lu = NULL; /* the unit is done with it */
	else if (task->state != TASK_RUN)
		unit_gone(task);
}

static void end_tasks(struct iscsi_session *session,
		      const struct iscsi_drain *drain)
{
	bool fast = session->params.task_reporting == TASK_REPORTING_FASTABORT;
	struct list_head *pos, *n;
	unsigned conns;

	iscsi_session_pin(session); /* this may end it */
	if (drain->multi && fast)
		tell_terminated(session, drain);
	do {
		conns = session->num_conns;
		list_for_each_safe(pos, n, &session->tasks)
		{
			struct iscsi_task *task =
				list_entry(pos, struct iscsi_task, link);

			if (is_affected(drain, task))
				end_task(task, drain, fast);
			/* A response without memory ends its connection, and
			 * with it tasks, the next one perhaps. */
			if (session->num_conns != conns)
				break;
		}
	} while (session->num_conns != conns);
	iscsi_session_unpin(session);
}

static void lane_got_drain(struct msg *msg, void *receiver)
{
	struct drain_node *node = (struct drain_node *)(void *)msg;
	const struct iscsi_drain *drain = node->drain;
	struct lane *lane = receiver;
	struct list_head *pos, *n;

	/* Commands of those whose registrations go are refused from here on:
	 * none gets in behind this. */
	if (drain->nexuses)
		scsi_lu_settle(drain->lu);
	list_for_each_safe(pos, n, &lane->sessions)
	{
		struct iscsi_session *session =
			list_entry(pos, struct iscsi_session, lane_link);

		if (drain->close && drain->tgt && session->num_conns &&
		    session->tgt == drain->tgt && session->id != drain->by)
			iscsi_session_drop(session);
		else if (concerns(drain, session))
			end_tasks(session, node->drain);
	}
	background_end(lane, drain);
	node->before = lane->delivered;
	list_add_tail(&node->link, &lane->drains);
	iscsi_drain_check(lane);
}

void iscsi_drain_start(struct iscsi_drain *drain, struct lane *lane)
{
	struct iscsi_server *server = drain->server;
	unsigned lanes = lane ? 1 : server->num_lanes;

	atomic_init(&drain->remaining, lanes);
	for (unsigned i = 0; i < lanes; i++) {
		struct lane *to = lane ? lane : &server->lanes[i];
		struct drain_node *node = calloc(1, sizeof(*node));

		if (!node)
			abort();
		node->msg.handle = lane_got_drain;
		list_init(&node->link);
		node->drain = drain;
		msgq_post(&to->inbox, &node->msg);
	}
}
