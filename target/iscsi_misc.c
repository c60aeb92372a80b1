/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * NOP, logout and asynchronous messages (RFC 7143 11.18, 11.19, 11.14, 11.15,
 * 11.9).
 */
#include <stdlib.h>
#include <string.h>

#include "target/iscsi_conn.h"

void iscsi_nop_out(struct iscsi_conn *conn, const uint8_t *bhs,
		   const uint8_t *data, uint32_t len)
{
	uint32_t itt = get_be32(bhs + 16);
	struct iscsi_out *out;

	/* The answer to our ping, or a carrier of ExpStatSN. */
	if (itt == ISCSI_TAG_NONE) {
		iscsi_task_told(conn, bhs + 8, get_be32(bhs + 28));
		return;
	}
	/* 11.18.3: as much of the ping data as the initiator takes */
	if (len > conn->initiator_mrdsl)
		len = conn->initiator_mrdsl;
	if (len && !iscsi_memory_may(conn, len)) {
		/* 11.17.1: out of resources; it may try again */
		iscsi_reject(conn, ISCSI_REJECT_LONG_OP, bhs);
		return;
	}
	out = iscsi_out_new(conn, ISCSI_OP_NOP_IN);
	if (!out)
		return;
	if (len) {
		out->owned = malloc(len);
		if (!out->owned) {
			pool_put(&conn->lane->outs, out);
			iscsi_conn_fail(conn, "out of memory for a NOP-In");
			return;
		}
		memcpy(out->owned, data, len);
		iscsi_out_data(out, out->owned, len);
	}
	memcpy(out->bhs + 8, bhs + 8, 8); /* LUN */
	put_be32(out->bhs + 16, itt);
	put_be32(out->bhs + 20, ISCSI_TAG_NONE);
	iscsi_out_queue(conn, out, STATSN_NEXT);
}

void iscsi_nop_in_ping(struct iscsi_conn *conn)
{
	struct iscsi_out *out = iscsi_out_new(conn, ISCSI_OP_NOP_IN);

	if (!out)
		return;
	put_be32(out->bhs + 16, ISCSI_TAG_NONE);
	/* Any tag but ffffffff asks for an answer; there is one ping only. */
	put_be32(out->bhs + 20, 1);
	conn->ping_sent = true;
	iscsi_out_queue(conn, out, STATSN_SHOW);
}

static void logout_respond(struct iscsi_conn *conn, uint32_t itt,
			   uint8_t response)
{
	const struct iscsi_params *params = &conn->session->params;
	struct iscsi_out *out = iscsi_out_new(conn, ISCSI_OP_LOGOUT_RSP);

	if (!out)
		return;
	out->bhs[2] = response;
	put_be32(out->bhs + 16, itt);
	put_be16(out->bhs + 40, (uint16_t)params->time2wait);
	put_be16(out->bhs + 42, 0); /* nothing is retained: ERL 0 */
	iscsi_out_queue(conn, out, STATSN_NEXT);
}

static void logout_drained(struct iscsi_drain *drain)
{
	struct iscsi_conn *conn = iscsi_conn_find(drain->lane, drain->conn_id);

	if (conn && conn->state == CONN_FULL) {
		conn->due--;
		logout_respond(conn, drain->tag, ISCSI_LOGOUT_OK);
	}
}

/* Another connection of the session, which may have gone already: the answer
 * waits for its last command at work (7.6). */
static void logout_other(struct iscsi_conn *conn, uint16_t cid, uint32_t itt)
{
	struct iscsi_session *session = conn->session;
	struct iscsi_conn *other = iscsi_session_conn(session, cid);
	struct iscsi_drain *drain;

	if (other) {
		other->expected_end = true;
		iscsi_conn_close(other);
	} else if (!iscsi_session_busy(session, cid)) {
		logout_respond(conn, itt, ISCSI_LOGOUT_NO_CID);
		return;
	}
	if (conn->due >= ISCSI_MAX_DUE) {
		iscsi_conn_warn(conn, "more than %d logouts under way",
				ISCSI_MAX_DUE);
		logout_respond(conn, itt, ISCSI_LOGOUT_FAILED);
		return;
	}
	drain = iscsi_drain_for(conn, itt, logout_drained);
	if (!drain) {
		iscsi_conn_fail(conn, "out of memory for a logout");
		return;
	}
	conn->due++;
	drain->only = session->id;
	drain->has_cid = true;
	drain->cid = cid;
	iscsi_drain_start(drain, conn->lane);
}

void iscsi_logout(struct iscsi_conn *conn, const uint8_t *bhs)
{
	uint8_t reason = bhs[1] & 0x7f;
	uint16_t cid = get_be16(bhs + 20);
	uint32_t itt = get_be32(bhs + 16);

	switch (reason) {
	case ISCSI_LOGOUT_CONNECTION:
		if (cid != conn->cid) {
			logout_other(conn, cid, itt);
			return;
		}
		break;
	case ISCSI_LOGOUT_SESSION:
		iscsi_session_close(conn->session, conn);
		break;
	case ISCSI_LOGOUT_RECOVERY:
		/* 11.15.1: for error recovery level 2 */
		logout_respond(conn, itt, ISCSI_LOGOUT_NO_RECOVER);
		return;
	default:
		iscsi_conn_warn(conn, "logout for unknown reason %u", reason);
		iscsi_reject(conn, ISCSI_REJECT_INVALID_FIELD, bhs);
		return;
	}
	conn->expected_end = true;
	logout_respond(conn, itt, ISCSI_LOGOUT_OK);
	iscsi_conn_finish(conn);
}

static void async_event(struct iscsi_conn *conn, uint8_t event,
			const uint8_t lun[8], uint16_t parameter1,
			uint16_t parameter2, uint16_t parameter3)
{
	struct iscsi_out *out = iscsi_out_new(conn, ISCSI_OP_ASYNC);

	if (!out)
		return;
	if (lun)
		memcpy(out->bhs + 8, lun, 8);
	put_be32(out->bhs + 16, ISCSI_TAG_NONE);
	out->bhs[36] = event;
	put_be16(out->bhs + 38, parameter1);
	put_be16(out->bhs + 40, parameter2);
	put_be16(out->bhs + 42, parameter3);
	iscsi_out_queue(conn, out, STATSN_NEXT);
}

/* Where the session can be told something. @return NULL: nowhere */
static struct iscsi_conn *any_conn(struct iscsi_session *session)
{
	struct list_head *pos;

	list_for_each (pos, &session->conns) {
		struct iscsi_conn *conn =
			list_entry(pos, struct iscsi_conn, session_link);

		if (conn->state == CONN_FULL)
			return conn;
	}
	return NULL;
}

/* On @conn: the connection @cid will be, or has been, dropped. */
static void tell_dropped(struct iscsi_conn *conn, uint16_t cid)
{
	async_event(conn, ISCSI_ASYNC_DROP_CONN, NULL, cid,
		    (uint16_t)conn->session->params.time2wait, 0);
}

void iscsi_async_dropped(struct iscsi_session *session, uint16_t cid)
{
	struct iscsi_conn *conn = any_conn(session);

	if (conn)
		tell_dropped(conn, cid);
}

void iscsi_async_logout(struct iscsi_conn *conn)
{
	if (conn->state != CONN_FULL || conn->deadline)
		return;
	conn->deadline = lane_now() + ISCSI_LOGOUT_GRACE;
	conn->expected_end = true;
	async_event(conn, ISCSI_ASYNC_LOGOUT, NULL, 0, 0, ISCSI_LOGOUT_GRACE);
}

void iscsi_async_dropping(struct iscsi_conn *conn)
{
	tell_dropped(conn, conn->cid);
}

void iscsi_async_session_dropped(struct iscsi_session *session)
{
	struct iscsi_conn *conn = any_conn(session);

	if (!conn)
		return;
	async_event(conn, ISCSI_ASYNC_DROP_SESSION, NULL, 0,
		    (uint16_t)session->params.time2wait, 0);
	iscsi_tx_flush(conn);
}

void iscsi_async_negotiate(struct iscsi_conn *conn)
{
	if (conn->state != CONN_FULL || conn->deadline)
		return;
	conn->redeclare = true;
	async_event(conn, ISCSI_ASYNC_NEGOTIATE, NULL, 0, 0,
		    ISCSI_NEGOTIATION_GRACE);
}

void iscsi_async_terminated(struct iscsi_conn *conn, const uint8_t lun[8])
{
	async_event(conn, ISCSI_ASYNC_TERMINATED, lun, 0, 0, 0);
}
