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
		if (list_entry(pos, struct iscsi_held, link)->cmdsn == cmdsn)
			return ORDER_DROP;
	}
	return ORDER_AHEAD;
}

void iscsi_cmdsn_advance(struct iscsi_session *session)
{
	session->exp_cmdsn++;
}

bool iscsi_hold(struct iscsi_session *session, uint32_t cmdsn,
		struct iscsi_task *task, const uint8_t *bhs,
		const uint8_t *data, uint32_t len)
{
	struct iscsi_held *held = calloc(1, sizeof(*held) + len);
	struct list_head *pos;

	if (!held)
		return false;
	held->cmdsn = cmdsn;
	held->task = task;
	if (bhs)
		memcpy(held->bhs, bhs, ISCSI_BHS_LEN);
	held->len = len;
	if (len)
		memcpy(held->data, data, len);
	list_for_each (pos, &session->held) {
		if (sn_lt(cmdsn,
			  list_entry(pos, struct iscsi_held, link)->cmdsn))
			break;
	}
	list_add_tail(&held->link, pos);
	return true;
}

void iscsi_release_held(struct iscsi_session *session)
{
	session->num_tasks++; /* what is released may end the session */
	while (session->conn && !list_empty(&session->held)) {
		struct iscsi_held *held =
			list_entry(session->held.next, struct iscsi_held, link);

		if (held->cmdsn != session->exp_cmdsn)
			break;
		list_del(&held->link);
		iscsi_cmdsn_advance(session);
		if (held->task)
			iscsi_task_deliver(held->task);
		else if (held->bhs[0] != ISCSI_OP_ABORTED)
			iscsi_request(session->conn, held->bhs, held->data,
				      held->len);
		free(held);
	}
	session->num_tasks--;
	iscsi_session_reap(session);
}

void iscsi_drop_held(struct iscsi_session *session)
{
	struct list_head *pos, *n;

	list_for_each_safe(pos, n, &session->held)
	{
		list_del(pos);
		free(list_entry(pos, struct iscsi_held, link));
	}
}
