/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Task management (RFC 7143 11.5, 11.6; RFC 7144 6; SAM-5 7). The tasks in
 * question end without a response of their own, then the function's response is
 * sent.
 */
#include <string.h>

#include "target/iscsi_conn.h"
#include "target/iscsi_session.h"

/* @info additional response information (RFC 7144 6.4.1), or NULL */
static void respond(struct iscsi_conn *conn, uint32_t itt, uint8_t response,
		    const uint8_t info[3])
{
	struct iscsi_out *out = iscsi_out_new(conn, ISCSI_OP_TMF_RSP);

	if (!out)
		return;
	out->bhs[2] = response;
	if (info)
		memcpy(out->bhs + 8, info, 3);
	put_be32(out->bhs + 16, itt);
	iscsi_out_queue(conn, out, STATSN_NEXT);
}

void iscsi_tmf_respond(struct iscsi_conn *conn, uint32_t itt, uint8_t response)
{
	respond(conn, itt, response, NULL);
}

static void tmf_drained(struct iscsi_drain *drain)
{
	struct iscsi_session *session =
		iscsi_session_by_id(drain->lane, drain->by);
	struct iscsi_conn *conn = iscsi_conn_find(drain->lane, drain->conn_id);

	list_del(&drain->function);
	if (conn && conn->state != CONN_FULL)
		conn = NULL;
	if (drain->multi && session)
		iscsi_fence_tmf(session, conn, drain->tag, ISCSI_TMF_COMPLETE,
				drain->close);
	else if (conn) {
		conn->due--;
		iscsi_tmf_respond(conn, drain->tag, ISCSI_TMF_COMPLETE);
	}
}

/* Functions that wait cost memory, and time whenever a task ends: nobody has
 * any number of them under way. */
static bool too_many(struct iscsi_conn *conn, const uint8_t *bhs)
{
	if (conn->due < ISCSI_MAX_DUE)
		return false;
	iscsi_conn_warn(conn, "more than %d task management functions",
			ISCSI_MAX_DUE);
	if (bhs[0] & ISCSI_OP_IMMEDIATE)
		iscsi_reject(conn, ISCSI_REJECT_TOO_MANY_IMM, bhs);
	else
		iscsi_tmf_respond(conn, get_be32(bhs + 16), ISCSI_TMF_REJECTED);
	return true;
}

/* NULL: the connection has ended. */
static struct iscsi_drain *new_drain(struct iscsi_conn *conn,
				     const uint8_t *bhs)
{
	struct iscsi_drain *drain =
		iscsi_drain_for(conn, get_be32(bhs + 16), tmf_drained);

	if (!drain) {
		iscsi_conn_fail(conn, "out of memory for task management");
		return NULL;
	}
	conn->due++;
	drain->abort = true;
	drain->by = conn->session->id;
	drain->by_order = conn->lane->delivered;
	list_add_tail(&drain->function, &conn->session->functions);
	return drain;
}

/* NULL: answered, or the connection has ended. */
static struct iscsi_drain *tmf_drain(struct iscsi_conn *conn,
				     const uint8_t *bhs)
{
	return too_many(conn, bhs) ? NULL : new_drain(conn, bhs);
}

/* Is it the tag of a task management request that has no response yet? */
static bool is_function(const struct iscsi_session *session, uint32_t itt)
{
	const struct list_head *pos;

	list_for_each (pos, &session->functions) {
		if (list_entry(pos, struct iscsi_drain, function)->tag == itt)
			return true;
	}
	list_for_each (pos, &session->held) {
		const struct iscsi_held *held =
			list_entry(pos, struct iscsi_held, link);

		if (!held->task &&
		    (held->bhs[0] & ISCSI_OP_MASK) == ISCSI_OP_TMF &&
		    get_be32(held->bhs + 16) == itt)
			return true;
	}
	return iscsi_fence_has_tmf(session, itt);
}

/*
 * RFC 7143 4.2.3.3: commands that were sent before an immediate request, on
 * other connections as a rule, are among those that it is for: wait for them.
 * @return true: the request is kept until they are here
 */
static bool overtook(struct iscsi_conn *conn, const uint8_t *bhs)
{
	struct iscsi_session *session = conn->session;
	uint32_t cmdsn = get_be32(bhs + 24);

	if (!(bhs[0] & ISCSI_OP_IMMEDIATE) ||
	    !sn_lt(session->exp_cmdsn, cmdsn) ||
	    sn_lt(session->max_cmdsn + 1, cmdsn))
		return false;
	if (session->immediate >= ISCSI_MAX_IMMEDIATE) {
		iscsi_conn_warn(conn, "more than %d immediate requests",
				ISCSI_MAX_IMMEDIATE);
		iscsi_reject(conn, ISCSI_REJECT_TOO_MANY_IMM, bhs);
	} else if (!iscsi_hold(session, conn, cmdsn, NULL, bhs, NULL, 0)) {
		iscsi_conn_fail(conn, "out of memory for task management");
	}
	return true;
}

/* A reset of the target does not wait: the same paragraph lets it take for
 * received, and aborted, what was sent before. */
static bool plug(struct iscsi_session *session, uint32_t cmdsn)
{
	struct list_head *pos;

	list_for_each (pos, &session->tasks) {
		struct iscsi_task *task =
			list_entry(pos, struct iscsi_task, link);

		if (task->state == TASK_HELD && sn_lt(task->cmdsn, cmdsn))
			iscsi_task_abort(task);
	}
	for (uint32_t sn = session->exp_cmdsn; sn_lt(sn, cmdsn); sn++) {
		if (sn_lt(session->max_cmdsn, sn))
			break;
		if (iscsi_cmdsn_check(session, sn) != ORDER_DROP &&
		    !iscsi_hold(session, NULL, sn, NULL, NULL, NULL, 0))
			return false;
	}
	iscsi_release_held(session);
	return true;
}

/* 11.6.1: a command that has not arrived, though its number shows that it was
 * sent before, counts as received and aborted.
 * @return it is so; iscsi_release_held() comes after the response */
static bool is_missing(struct iscsi_conn *conn, const uint8_t *bhs)
{
	struct iscsi_session *session = conn->session;
	uint32_t cmdsn = get_be32(bhs + 24), ref = get_be32(bhs + 32);

	if (!sn_lt(ref, cmdsn) || iscsi_cmdsn_check(session, ref) == ORDER_DROP)
		return false;
	if (!iscsi_hold(session, NULL, ref, NULL, NULL, NULL, 0))
		iscsi_conn_fail(conn, "out of memory");
	return true;
}

/* What came behind the missing command goes on; the response may have ended the
 * connection. */
static void answer_missing(struct iscsi_conn *conn, uint32_t itt)
{
	struct iscsi_session *session = conn->session;

	iscsi_session_pin(session);
	iscsi_tmf_respond(conn, itt, ISCSI_TMF_COMPLETE);
	iscsi_release_held(session);
	iscsi_session_unpin(session);
}

static void abort_task(struct iscsi_conn *conn, const uint8_t *bhs)
{
	struct iscsi_session *session = conn->session;
	uint32_t itt = get_be32(bhs + 16), rtt = get_be32(bhs + 20);
	struct iscsi_task *task = iscsi_task_find(session, rtt);
	struct iscsi_drain *drain;

	if (is_function(session, rtt)) {
		iscsi_tmf_respond(conn, itt, ISCSI_TMF_REJECTED);
		return;
	}
	if (task && task->state != TASK_SEND) {
		if (task->state == TASK_HELD) {
			iscsi_task_abort(task);
			iscsi_tmf_respond(conn, itt, ISCSI_TMF_COMPLETE);
			return;
		}
		drain = tmf_drain(conn, bhs);
		if (!drain)
			return;
		drain->only = session->id;
		drain->has_itt = true;
		drain->itt = rtt;
		iscsi_drain_start(drain, conn->lane);
		return;
	}
	if (!task && is_missing(conn, bhs)) {
		if (conn->state == CONN_DEAD)
			return;
		answer_missing(conn, itt);
		return;
	}
	iscsi_tmf_respond(conn, itt, ISCSI_TMF_NO_TASK);
}

static void lu_function(struct iscsi_conn *conn, const uint8_t *bhs,
			uint8_t function)
{
	struct iscsi_session *session = conn->session;
	struct scsi_lu *lu = scsi_nexus_lookup(session->nexus, bhs + 8);
	uint32_t itt = get_be32(bhs + 16);
	struct iscsi_drain *drain;

	if (!lu) {
		iscsi_tmf_respond(conn, itt, ISCSI_TMF_NO_LUN);
		return;
	}
	drain = tmf_drain(conn, bhs);
	if (!drain)
		return;
	drain->lu = lu;
	drain->multi = true;
	/* Each nexus has its own task set (TST 001b): to clear it or to abort
	 * what is in it is the same. */
	if (function != ISCSI_TMF_LU_RESET) {
		drain->only = session->id;
		iscsi_drain_start(drain, conn->lane);
		return;
	}
	/* As it is before the reset; hard resets tell nobody (SAM-5 6.3). */
	drain->told = scsi_lu_tells_aborts(lu);
	scsi_lu_reset(lu, session->nexus);
	iscsi_drain_start(drain, NULL);
}

/* Cold is as after power-on: no session survives (11.5.1). */
static void target_reset(struct iscsi_conn *conn, const uint8_t *bhs, bool cold)
{
	struct iscsi_session *session = conn->session;
	const struct scsi_lun_map *map;
	struct iscsi_drain *drain;

	if (too_many(conn, bhs))
		return;
	if (!plug(session, get_be32(bhs + 24))) {
		iscsi_conn_fail(conn, "out of memory for task management");
		return;
	}
	drain = conn->state == CONN_FULL ? new_drain(conn, bhs) : NULL;
	if (!drain)
		return;
	drain->tgt = iscsi_tgt_ref(session->tgt);
	drain->multi = true;
	drain->close = cold;
	if (session->conf) {
		drain->conf = iscsi_conf_ref(session->conf);
		map = session->conf->map;
		for (uint32_t i = 0; i < map->count; i++)
			scsi_lu_reset(map->entry[i].lu, session->nexus);
	}
	iscsi_drain_start(drain, NULL);
}

/* ---- RFC 7144 6.3 ---- */

static bool in_task_set(const struct iscsi_task *task, const struct scsi_lu *lu)
{
	return task->state != TASK_HELD && task->state != TASK_SEND &&
	       !task->aborted && !task->told && iscsi_task_is_for(task, lu);
}

static void query_task(struct iscsi_conn *conn, const uint8_t *bhs,
		       const struct scsi_lu *lu)
{
	struct iscsi_session *session = conn->session;
	uint32_t itt = get_be32(bhs + 16), rtt = get_be32(bhs + 20);
	const struct iscsi_task *task = iscsi_task_find(session, rtt);

	if (is_function(session, rtt)) {
		iscsi_tmf_respond(conn, itt, ISCSI_TMF_REJECTED);
	} else if (task && in_task_set(task, lu)) {
		iscsi_tmf_respond(conn, itt, ISCSI_TMF_SUCCEEDED);
	} else if (!task && is_missing(conn, bhs)) {
		/* 6.3.3: RefCmdSN as for ABORT TASK */
		if (conn->state == CONN_DEAD)
			return;
		answer_missing(conn, itt);
	} else {
		iscsi_tmf_respond(conn, itt, ISCSI_TMF_COMPLETE);
	}
}

static uint8_t query_task_set(const struct iscsi_conn *conn,
			      const struct scsi_lu *lu)
{
	const struct list_head *pos;

	list_for_each (pos, &conn->session->tasks) {
		if (in_task_set(list_entry(pos, struct iscsi_task, link), lu))
			return ISCSI_TMF_SUCCEEDED;
	}
	return ISCSI_TMF_COMPLETE;
}

static void query(struct iscsi_conn *conn, const uint8_t *bhs, uint8_t function)
{
	struct scsi_nexus *nexus = conn->session->nexus;
	const struct scsi_lu *lu = scsi_nexus_lookup(nexus, bhs + 8);
	uint8_t response = ISCSI_TMF_COMPLETE, info[3] = {0};

	if (lu && function == ISCSI_TMF_QUERY_TASK) {
		query_task(conn, bhs, lu);
		return;
	}
	if (!lu)
		response = ISCSI_TMF_NO_LUN;
	else if (function == ISCSI_TMF_QUERY_TASK_SET)
		response = query_task_set(conn, lu);
	else if (scsi_nexus_pending(nexus, bhs + 8, info))
		response = ISCSI_TMF_SUCCEEDED;
	respond(conn, get_be32(bhs + 16), response, info);
}

/* All tasks, then the session with all its connections. */
static void nexus_reset(struct iscsi_conn *conn, const uint8_t *bhs)
{
	struct iscsi_drain *drain = tmf_drain(conn, bhs);

	if (!drain)
		return;
	drain->only = conn->session->id;
	drain->multi = true;
	drain->close = true;
	iscsi_drain_start(drain, conn->lane);
}

/* @return false: there is no such function, or it was not negotiated */
static bool rfc7144_function(struct iscsi_conn *conn, const uint8_t *bhs,
			     uint8_t function)
{
	if (conn->session->params.protocol_level < ISCSI_LEVEL_RFC7144)
		return false;
	switch (function) {
	case ISCSI_TMF_QUERY_TASK:
	case ISCSI_TMF_QUERY_TASK_SET:
	case ISCSI_TMF_QUERY_EVENT:
		query(conn, bhs, function);
		return true;
	case ISCSI_TMF_NEXUS_RESET:
		nexus_reset(conn, bhs);
		return true;
	}
	return false;
}

void iscsi_tmf(struct iscsi_conn *conn, const uint8_t *bhs)
{
	uint8_t function = bhs[1] & 0x7f;
	uint32_t itt = get_be32(bhs + 16);
	char who[320];

	iscsi_log(conn->server, ISCSI_LOG_NOTICE,
		  "task management function %u from %s", function,
		  iscsi_conn_who(conn, who));
	switch (function) {
	case ISCSI_TMF_ABORT_TASK:
		abort_task(conn, bhs);
		break;
	case ISCSI_TMF_ABORT_TASK_SET:
	case ISCSI_TMF_CLEAR_TASK_SET:
	case ISCSI_TMF_LU_RESET:
		if (!overtook(conn, bhs))
			lu_function(conn, bhs, function);
		break;
	case ISCSI_TMF_WARM_RESET:
	case ISCSI_TMF_COLD_RESET:
		target_reset(conn, bhs, function == ISCSI_TMF_COLD_RESET);
		break;
	case ISCSI_TMF_REASSIGN:
		/* 11.6.1: needs error recovery level 2 */
		iscsi_tmf_respond(conn, itt, ISCSI_TMF_NO_REASSIGN);
		break;
	case ISCSI_TMF_CLEAR_ACA:
		iscsi_tmf_respond(conn, itt, ISCSI_TMF_UNSUPPORTED);
		break;
	default:
		if (!rfc7144_function(conn, bhs, function))
			iscsi_tmf_respond(conn, itt, ISCSI_TMF_REJECTED);
		break;
	}
}

/* ---- commands that wait for others (PREEMPT AND ABORT, SANITIZE) ---- */

static void others_ended(struct iscsi_drain *drain)
{
	/* It is there: it waits for this. */
	scsi_tasks_aborted(drain->private_data);
}

bool iscsi_session_abort_nexuses(struct scsi_nexus_set *set, struct scsi_lu *lu,
				 struct scsi_task *by, void *private_data)
{
	struct iscsi_session *session = private_data;
	struct iscsi_drain *drain = iscsi_drain_new(session->lane->server);

	if (!drain)
		return false;
	drain->lu = lu;
	drain->nexuses = set;
	drain->abort = true;
	drain->by_task = by;
	drain->by = session->id;
	drain->by_order = session->lane->delivered;
	drain->told = scsi_lu_tells_aborts(lu);
	drain->done = others_ended;
	drain->private_data = by;
	drain->lane = session->lane;
	iscsi_drain_start(drain, NULL);
	return true;
}

bool iscsi_session_clear_medium(struct scsi_task *by, void *private_data)
{
	struct iscsi_session *session = private_data;
	struct iscsi_drain *drain = iscsi_drain_new(session->lane->server);

	if (!drain)
		return false;
	drain->lu = by->lu;
	drain->medium = true;
	drain->by_task = by;
	drain->done = others_ended;
	drain->private_data = by;
	drain->lane = session->lane;
	iscsi_drain_start(drain, NULL);
	return true;
}
