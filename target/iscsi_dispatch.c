/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which PDU may come when, where its payload goes, and who answers it
 * (RFC 7143 11.2.1.2, 11.17).
 */
#include <stdlib.h>
#include <string.h>

#include "target/iscsi_conn.h"

/* What an initiator may send in full feature phase. */
static const struct pdu_kind {
	uint8_t opcode;
	bool discovery; /* in a discovery session too (4.3) */
	bool data;	/* may have a data segment */
	bool cmdsn;	/* is numbered */
	const char *name;
} kinds[] = {
	{ISCSI_OP_NOP_OUT, true, true, true, "NOP-Out"},
	{ISCSI_OP_SCSI_CMD, false, true, true, "SCSI Command"},
	{ISCSI_OP_TMF, false, false, true, "Task Management Request"},
	{ISCSI_OP_TEXT, true, true, true, "Text Request"},
	{ISCSI_OP_DATA_OUT, false, true, false, "SCSI Data-Out"},
	{ISCSI_OP_LOGOUT, true, false, true, "Logout Request"},
	{ISCSI_OP_SNACK, false, false, false, "SNACK Request"},
};

static const struct pdu_kind *find_kind(uint8_t opcode)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (kinds[i].opcode == opcode)
			return &kinds[i];
	}
	return NULL;
}

void iscsi_reject(struct iscsi_conn *conn, uint8_t reason, const uint8_t *bhs)
{
	struct iscsi_out *out;

	if (conn->state == CONN_DEAD)
		return;
	out = iscsi_out_new(conn, ISCSI_OP_REJECT);
	if (!out)
		return;
	out->owned = malloc(ISCSI_BHS_LEN);
	if (out->owned) {
		/* 11.17.4: the whole header of the PDU in question */
		memcpy(out->owned, bhs, ISCSI_BHS_LEN);
		iscsi_out_data(out, out->owned, ISCSI_BHS_LEN);
	}
	out->bhs[2] = reason;
	put_be32(out->bhs + 16, ISCSI_TAG_NONE);
	iscsi_out_queue(conn, out, STATSN_NEXT);
}

/* Payload that no task has asked for: kept until the PDU is complete. */
static void keep_payload(struct iscsi_conn *conn)
{
	if (conn->data_len == 0)
		return;
	/* Short ones always: logins, pings. */
	if (conn->data_len <= ISCSI_KEPT_ALWAYS ||
	    iscsi_memory_may(conn, conn->data_len))
		conn->rx_owned = malloc(conn->data_len);
	if (!conn->rx_owned) {
		iscsi_conn_fail(conn, "no memory for a PDU of %u bytes",
				conn->data_len);
		return;
	}
	conn->rx_owned_len = conn->data_len;
	iscsi_memory_take(conn, conn->data_len);
	conn->rx_one.iov_base = conn->rx_owned;
	conn->rx_one.iov_len = conn->data_len;
	conn->rx_iov = &conn->rx_one;
	conn->rx_iovcnt = 1;
	conn->rx_off = 0;
}

/*
 * May this PDU come here and now? All that can be refused by its header
 * alone is refused here.
 * @return 0, or the reason to reject it for
 */
static uint8_t check(struct iscsi_conn *conn, const struct pdu_kind *kind)
{
	uint8_t opcode = conn->hdr[0] & ISCSI_OP_MASK;

	if (opcode == ISCSI_OP_LOGIN) {
		iscsi_conn_warn(conn, "Login Request in full feature phase");
		return ISCSI_REJECT_PROTOCOL;
	}
	if (!kind) {
		iscsi_conn_warn(conn, "unknown opcode 0x%02x", opcode);
		return ISCSI_REJECT_UNSUPPORTED;
	}
	if (!conn->session->tgt && !kind->discovery) {
		iscsi_conn_warn(conn, "%s in a discovery session", kind->name);
		return ISCSI_REJECT_PROTOCOL;
	}
	if (conn->data_len && !kind->data) {
		iscsi_conn_warn(conn, "%s with a data segment of %u bytes",
				kind->name, conn->data_len);
		return ISCSI_REJECT_INVALID_FIELD;
	}
	return 0;
}

void iscsi_pdu_header(struct iscsi_conn *conn)
{
	uint8_t opcode = conn->hdr[0] & ISCSI_OP_MASK, reason;

	conn->rx_refused = false;
	if (conn->state == CONN_LOGIN) {
		/* 6.3: nothing else may be sent, and answering anything else
		 * would help nobody. */
		if (opcode != ISCSI_OP_LOGIN)
			iscsi_conn_fail(conn,
					"PDU of opcode 0x%02x before login",
					opcode);
		else
			keep_payload(conn);
		return;
	}
	memcpy(conn->exp_statsn, conn->hdr + 28, sizeof(conn->exp_statsn));
	if (conn->session->fencing)
		iscsi_fence_heard(conn);
	reason = check(conn, find_kind(opcode));
	if (reason) {
		iscsi_reject(conn, reason, conn->hdr);
		conn->rx_refused = true;
		return;
	}
	switch (opcode) {
	case ISCSI_OP_SCSI_CMD:
		iscsi_cmd_header(conn);
		break;
	case ISCSI_OP_DATA_OUT:
		iscsi_data_out_header(conn);
		break;
	default:
		keep_payload(conn);
		break;
	}
}

/* Everything numbered but SCSI commands: in its turn, or kept until then. */
static void numbered(struct iscsi_conn *conn)
{
	struct iscsi_session *session = conn->session;
	const uint8_t *bhs = conn->hdr;
	uint32_t cmdsn = get_be32(bhs + 24);

	if (bhs[0] & ISCSI_OP_IMMEDIATE) {
		iscsi_request(conn, bhs, conn->rx_owned, conn->data_len);
		return;
	}
	switch (iscsi_cmdsn_check(session, cmdsn)) {
	case ORDER_NOW:
		iscsi_cmdsn_advance(session);
		iscsi_request(conn, bhs, conn->rx_owned, conn->data_len);
		if (conn->session && !list_empty(&session->held))
			iscsi_release_held(session);
		break;
	case ORDER_AHEAD:
		if (!iscsi_hold(session, conn, cmdsn, NULL, bhs, conn->rx_owned,
				conn->data_len))
			iscsi_conn_fail(conn, "no room for requests ahead of "
					      "their turn");
		break;
	case ORDER_DROP:
		iscsi_conn_warn(conn, "CmdSN %u is outside the window %u to %u",
				cmdsn, session->exp_cmdsn, session->max_cmdsn);
		break;
	}
}

void iscsi_pdu_complete(struct iscsi_conn *conn, bool digest_ok)
{
	uint8_t opcode = conn->hdr[0] & ISCSI_OP_MASK;

	if (conn->state == CONN_LOGIN) {
		iscsi_login_pdu(conn, conn->rx_owned, conn->data_len);
		return;
	}
	if (conn->state != CONN_FULL || conn->rx_refused)
		return;
	if (opcode == ISCSI_OP_DATA_OUT) {
		iscsi_data_out_complete(conn, digest_ok);
		return;
	}
	if (!digest_ok) {
		/* 7.8: the PDU is discarded; it has not been received as far
		 * as CmdSN is concerned (11.17.1). */
		iscsi_conn_warn(conn, "data digest error in opcode 0x%02x",
				opcode);
		iscsi_reject(conn, ISCSI_REJECT_DATA_DIGEST, conn->hdr);
		if (conn->rx_task)
			iscsi_task_free(conn->rx_task);
		return;
	}
	if (opcode == ISCSI_OP_SCSI_CMD)
		iscsi_cmd_complete(conn);
	else if (opcode == ISCSI_OP_SNACK)
		/* 11.16: not at error recovery level 0 */
		iscsi_reject(conn, ISCSI_REJECT_SNACK, conn->hdr);
	else
		numbered(conn);
}

void iscsi_request(struct iscsi_conn *conn, const uint8_t *bhs,
		   const uint8_t *data, uint32_t len)
{
	switch (bhs[0] & ISCSI_OP_MASK) {
	case ISCSI_OP_NOP_OUT:
		iscsi_nop_out(conn, bhs, data, len);
		break;
	case ISCSI_OP_TEXT:
		iscsi_text_request(conn, bhs, data, len);
		break;
	case ISCSI_OP_TMF:
		iscsi_tmf(conn, bhs);
		break;
	case ISCSI_OP_LOGOUT:
		iscsi_logout(conn, bhs);
		break;
	}
}
