/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Response fences (RFC 7143 4.2.2.3): what several connections carry may arrive
 * in another order than it was sent. A fenced response leaves when all that was
 * sent before it, on any connection of its session, has been acknowledged; what
 * follows waits in line until it has been itself. While a fence stands all
 * responses of SCSI commands are in that line, those of other units too.
 *
 * Fenced are the responses of multi-task aborts (in every session: 4.2.3.3 d,
 * 11.6.1), and where TaskReporting asks for it the unit attentions that they
 * establish and PREEMPT AND ABORT (4.2.2.3.4). There is no ACA.
 */
#include <stdlib.h>
#include <string.h>

#include "target/iscsi_conn.h"
#include "target/iscsi_session.h"

/* A function's response in line. */
struct fenced_tmf {
	struct iscsi_turn turn;
	uint64_t conn_id;
	uint32_t itt;
	uint8_t response;
	bool close;
};

static struct iscsi_turn *first_turn(const struct iscsi_session *session)
{
	return list_empty(&session->line) ? NULL
					  : list_entry(session->line.next,
						       struct iscsi_turn, link);
}

static struct iscsi_task *turn_task(struct iscsi_turn *turn)
{
	return list_entry(turn, struct iscsi_task, turn);
}

/* SENSE: RESET OCCURRED and its kin, COMMANDS CLEARED BY ANOTHER INITIATOR */
static bool is_abort_attention(const struct scsi_task *scsi)
{
	const uint8_t *sense = scsi->sense;
	bool fixed = (sense[0] & 0x7e) == 0x70;
	uint8_t key = fixed ? sense[2] : sense[1];
	uint8_t asc = fixed ? sense[12] : sense[2];

	return scsi->sense_len >= (fixed ? 14 : 8) && (key & 0x0f) == 0x06 &&
	       (asc == 0x29 || asc == 0x2f);
}

static bool is_preempt_and_abort(const struct scsi_task *scsi)
{
	return scsi->cdb[0] == 0x5f && (scsi->cdb[1] & 0x1f) == 0x05;
}

static bool wants_fence(const struct iscsi_task *task)
{
	return task->session->num_conns > 1 &&
	       task->session->params.task_reporting != TASK_REPORTING_RFC3720 &&
	       (is_abort_attention(&task->scsi) ||
		is_preempt_and_abort(&task->scsi));
}

static bool is_acknowledged(const struct iscsi_conn *conn)
{
	uint32_t expected = get_be32(conn->exp_statsn);

	return sn_le(conn->fence_statsn, expected) &&
	       sn_le(expected, conn->statsn);
}

/* Has all that was sent so far on the connection to be acknowledged? Asks. */
static void await_ack(struct iscsi_conn *conn)
{
	conn->fence_statsn = conn->statsn;
	conn->fence_waits = conn->state == CONN_FULL && !is_acknowledged(conn);
	conn->fence_since = conn->lane->ticked;
	if (conn->fence_waits)
		iscsi_nop_in_ping(conn);
}

static bool all_acknowledged(struct iscsi_session *session)
{
	struct list_head *pos;
	bool all = true;

	list_for_each (pos, &session->conns) {
		struct iscsi_conn *conn =
			list_entry(pos, struct iscsi_conn, session_link);

		if (conn->fence_waits &&
		    (conn->state != CONN_FULL || is_acknowledged(conn)))
			conn->fence_waits = false;
		all = all && !conn->fence_waits;
	}
	return all;
}

static void begin(struct iscsi_session *session, const struct iscsi_turn *turn)
{
	struct list_head *pos, *n;

	session->fence = FENCE_BEFORE;
	session->fenced = turn;
	list_for_each_safe(pos, n, &session->conns)
		await_ack(list_entry(pos, struct iscsi_conn, session_link));
}

static void end(struct iscsi_session *session)
{
	struct list_head *pos;

	session->fence = FENCE_NONE;
	session->fenced = NULL;
	list_for_each (pos, &session->conns)
		list_entry(pos, struct iscsi_conn, session_link)->fence_waits =
			false;
}

/* @conn NULL: it has gone, and nobody is answered. */
static void tmf_send(struct iscsi_session *session, struct iscsi_conn *conn,
		     uint32_t itt, uint8_t response, bool close)
{
	iscsi_session_pin(session); /* this may end it */
	if (conn) {
		conn->due--;
		iscsi_tmf_respond(conn, itt, response);
	}
	if (conn && conn->state != CONN_FULL)
		conn = NULL;
	if (close) {
		iscsi_session_close(session, conn);
		if (conn)
			iscsi_conn_finish(conn);
	}
	iscsi_session_unpin(session);
}

/* The first in line gets its response. @return where; NULL: nowhere */
static struct iscsi_conn *deliver(struct iscsi_session *session,
				  struct iscsi_turn *turn)
{
	struct iscsi_conn *conn;

	list_del(&turn->link);
	if (turn->tmf) {
		struct fenced_tmf *tmf =
			list_entry(turn, struct fenced_tmf, turn);

		conn = iscsi_conn_find(session->lane, tmf->conn_id);
		if (conn && conn->state != CONN_FULL)
			conn = NULL;
		tmf_send(session, conn, tmf->itt, tmf->response, tmf->close);
		free(tmf);
	} else {
		struct iscsi_task *task = turn_task(turn);

		conn = task->conn;
		task->state = TASK_DATA;
		iscsi_task_respond_now(task);
	}
	return conn && conn->state == CONN_FULL ? conn : NULL;
}

/* Its response leaves behind the fence, which stands until that is known to
 * have arrived. */
static void deliver_fenced(struct iscsi_session *session,
			   struct iscsi_turn *turn)
{
	struct iscsi_conn *conn = deliver(session, turn);

	session->fence = FENCE_AFTER;
	session->fenced = NULL;
	if (conn)
		await_ack(conn);
}

/* @return false: there is nothing to do but wait */
static bool step(struct iscsi_session *session)
{
	struct iscsi_turn *turn = first_turn(session);

	switch (session->fence) {
	case FENCE_NONE:
		if (!turn)
			return false;
		if (turn->tmf || wants_fence(turn_task(turn)))
			begin(session, turn);
		else
			deliver(session, turn);
		break;
	case FENCE_BEFORE:
		if (turn != session->fenced) /* aborted meanwhile */
			end(session);
		else if (all_acknowledged(session))
			deliver_fenced(session, turn);
		else
			return false;
		break;
	case FENCE_AFTER:
		if (!all_acknowledged(session))
			return false;
		end(session);
		break;
	}
	return true;
}

void iscsi_fence_check(struct iscsi_session *session)
{
	if (!session->fencing)
		return;
	iscsi_session_pin(session); /* what is sent may end the session */
	while (session->num_conns && step(session))
		;
	session->fencing =
		session->fence != FENCE_NONE || !list_empty(&session->line);
	iscsi_session_unpin(session);
}

/* At the end of the pass, where nothing else is at work. */
static void check_later(struct iscsi_conn *conn)
{
	if (list_empty(&conn->dirty_link))
		list_add_tail(&conn->dirty_link, &conn->lane->dirty);
}

void iscsi_fence_heard(struct iscsi_conn *conn)
{
	if (conn->state != CONN_DEAD)
		check_later(conn);
}

void iscsi_fence_left(struct iscsi_session *session)
{
	if (session->fencing && !list_empty(&session->conns))
		check_later(list_entry(session->conns.next, struct iscsi_conn,
				       session_link));
}

static void get_in_line(struct iscsi_session *session, struct iscsi_conn *conn,
			struct iscsi_turn *turn, bool tmf)
{
	turn->tmf = tmf;
	list_add_tail(&turn->link, &session->line);
	session->fencing = true;
	check_later(conn);
}

bool iscsi_fence_task(struct iscsi_task *task)
{
	struct scsi_task *scsi = &task->scsi;

	if (!task->session->fencing && !wants_fence(task))
		return false;
	if (scsi->sourced) {
		/* Where the data is may change before its turn comes. */
		scsi->sourced = false;
		if (vhd_source_read(&scsi->source, 0, scsi->iov, scsi->iovcnt,
				    scsi->data_in_len)) {
			iscsi_conn_fail(task->conn, "reading what was to be "
						    "sent failed");
			return true;
		}
	}
	task->state = TASK_FENCED;
	get_in_line(task->session, task->conn, &task->turn, false);
	return true;
}

void iscsi_fence_tmf(struct iscsi_session *session, struct iscsi_conn *conn,
		     uint32_t itt, uint8_t response, bool close)
{
	struct fenced_tmf *tmf;

	if (!conn || (session->num_conns < 2 && !session->fencing)) {
		tmf_send(session, conn, itt, response, close);
		return;
	}
	tmf = calloc(1, sizeof(*tmf));
	if (!tmf) {
		iscsi_session_pin(session);
		iscsi_conn_fail(conn, "out of memory for task management");
		tmf_send(session, NULL, itt, response, close);
		iscsi_session_unpin(session);
		return;
	}
	tmf->conn_id = conn->id;
	tmf->itt = itt;
	tmf->response = response;
	tmf->close = close;
	get_in_line(session, conn, &tmf->turn, true);
}

bool iscsi_fence_has_tmf(const struct iscsi_session *session, uint32_t itt)
{
	const struct list_head *pos;

	list_for_each (pos, &session->line) {
		const struct iscsi_turn *turn =
			list_entry(pos, struct iscsi_turn, link);

		if (turn->tmf &&
		    list_entry(turn, struct fenced_tmf, turn)->itt == itt)
			return true;
	}
	return false;
}

void iscsi_fence_drop(struct iscsi_session *session)
{
	/* Its tasks have gone, and left the line. */
	while (!list_empty(&session->line)) {
		struct iscsi_turn *turn = first_turn(session);

		list_del(&turn->link);
		free(list_entry(turn, struct fenced_tmf, turn));
	}
}
