/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Command numbering and ordering (RFC 7143 4.2.2.1).
 */
#include <stdlib.h>
#include <string.h>

#include "target/iscsi_conn.h"
#include "target/iscsi_session.h"

uint32_t iscsi_max_cmdsn(struct iscsi_session *session)
{
	uint32_t room = session->active < ISCSI_WINDOW
				? ISCSI_WINDOW - session->active
				: 0;
	uint32_t max = session->exp_cmdsn + room - 1;

	/* "a MaxCmdSN … less than the current one is ignored": never back */
	if (sn_lt(session->max_cmdsn, max))
		session->max_cmdsn = max;
	return session->max_cmdsn;
}

enum iscsi_order iscsi_cmdsn_check(struct iscsi_session *session,
				   uint32_t cmdsn)
{
	struct list_head *pos;

	if (cmdsn == session->exp_cmdsn && sn_le(cmdsn, session->max_cmdsn))
		return ORDER_NOW;
	if (sn_lt(cmdsn, session->exp_cmdsn) ||
	    sn_lt(session->max_cmdsn, cmdsn))
		return ORDER_DROP;
	list_for_each (pos, &session->held) {
		const struct iscsi_held *held =
			list_entry(pos, struct iscsi_held, link);

		if (held->cmdsn == cmdsn && !held->immediate)
			return ORDER_DROP;
	}
	return ORDER_AHEAD;
}

void iscsi_cmdsn_advance(struct iscsi_session *session)
{
	session->exp_cmdsn++;
}

/* Does the new one come before? An immediate one was sent before the command
 * that has its number (RFC 7143 4.2.2.1). */
static bool held_before(const struct iscsi_held *new,
			const struct iscsi_held *old)
{
	if (new->cmdsn == old->cmdsn)
		return new->immediate && !old->immediate;
	return sn_lt(new->cmdsn, old->cmdsn);
}

bool iscsi_hold(struct iscsi_session *session, struct iscsi_conn *conn,
		uint32_t cmdsn, struct iscsi_task *task, const uint8_t *bhs,
		const uint8_t *data, uint32_t len)
{
	struct iscsi_held *held;
	struct list_head *pos;

	if (len > ISCSI_HELD_BYTES - session->held_bytes ||
	    (len && !iscsi_memory_may(conn, len)))
		return false;
	held = calloc(1, sizeof(*held) + len);
	if (!held)
		return false;
	held->conn = conn;
	held->cmdsn = cmdsn;
	held->task = task;
	if (bhs) {
		memcpy(held->bhs, bhs, ISCSI_BHS_LEN);
		held->immediate = bhs[0] & ISCSI_OP_IMMEDIATE;
	}
	held->len = len;
	session->held_bytes += len;
	session->lane->held += len;
	if (len)
		memcpy(held->data, data, len);
	list_for_each (pos, &session->held) {
		if (held_before(held, list_entry(pos, struct iscsi_held, link)))
			break;
	}
	list_add_tail(&held->link, pos);
	session->immediate += held->immediate;
	return true;
}

static void held_remove(struct iscsi_session *session, struct iscsi_held *held)
{
	list_del(&held->link);
	session->held_bytes -= held->len;
	session->lane->held -= held->len;
	session->immediate -= held->immediate;
}

void iscsi_release_held(struct iscsi_session *session)
{
	iscsi_session_pin(session); /* what is released may end the session */
	while (session->num_conns && !list_empty(&session->held)) {
		struct iscsi_held *held =
			list_entry(session->held.next, struct iscsi_held, link);

		if (sn_lt(session->exp_cmdsn, held->cmdsn))
			break;
		held_remove(session, held);
		if (!held->immediate)
			iscsi_cmdsn_advance(session);
		if (held->task)
			iscsi_task_deliver(held->task);
		else if (held->conn)
			iscsi_request(held->conn, held->bhs, held->data,
				      held->len);
		free(held);
	}
	iscsi_session_unpin(session);
}

void iscsi_drop_held(struct iscsi_session *session,
		     const struct iscsi_conn *conn)
{
	struct list_head *pos, *n;

	list_for_each_safe(pos, n, &session->held)
	{
		struct iscsi_held *held =
			list_entry(pos, struct iscsi_held, link);

		if (conn && held->conn != conn)
			continue;
		held_remove(session, held);
		free(held);
	}
}
