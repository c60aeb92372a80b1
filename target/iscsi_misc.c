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
	if (itt == ISCSI_TAG_NONE)
		return;
	out = iscsi_out_new(conn, ISCSI_OP_NOP_IN);
	if (!out)
		return;
	/* 11.19.2: as much of the ping data as the initiator takes */
	if (len > conn->session->params.initiator_mrdsl)
		len = conn->session->params.initiator_mrdsl;
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

void iscsi_logout(struct iscsi_conn *conn, const uint8_t *bhs)
{
	uint8_t reason = bhs[1] & 0x7f, response = ISCSI_LOGOUT_OK;
	struct iscsi_out *out;

	if (reason == ISCSI_LOGOUT_CONNECTION &&
	    get_be16(bhs + 20) != conn->cid)
		response = ISCSI_LOGOUT_NO_CID;
	else if (reason == ISCSI_LOGOUT_RECOVERY)
		response = ISCSI_LOGOUT_NO_RECOVER;
	else if (reason > ISCSI_LOGOUT_RECOVERY) {
		iscsi_conn_warn(conn, "logout for unknown reason %u", reason);
		iscsi_reject(conn, ISCSI_REJECT_INVALID_FIELD, bhs);
		return;
	}
	out = iscsi_out_new(conn, ISCSI_OP_LOGOUT_RSP);
	if (!out)
		return;
	out->bhs[2] = response;
	put_be32(out->bhs + 16, get_be32(bhs + 16));
	put_be16(out->bhs + 40, (uint16_t)conn->session->params.time2wait);
	put_be16(out->bhs + 42, 0); /* nothing is retained: ERL 0 */
	iscsi_out_queue(conn, out, STATSN_NEXT);
	if (response == ISCSI_LOGOUT_OK)
		iscsi_conn_finish(conn);
}

void iscsi_async_logout(struct iscsi_conn *conn)
{
	struct iscsi_out *out;

	if (conn->state != CONN_FULL || conn->deadline)
		return;
	out = iscsi_out_new(conn, ISCSI_OP_ASYNC);
	if (!out)
		return;
	put_be32(out->bhs + 16, ISCSI_TAG_NONE);
	out->bhs[36] = ISCSI_ASYNC_LOGOUT;
	put_be16(out->bhs + 42, ISCSI_LOGOUT_GRACE); /* Parameter3 */
	iscsi_out_queue(conn, out, STATSN_NEXT);
	conn->deadline = lane_now() + ISCSI_LOGOUT_GRACE;
}
