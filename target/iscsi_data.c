/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Data from the initiator: R2T and Data-Out (RFC 7143 11.7, 11.8).
 */
#include <errno.h>

#include "target/iscsi_conn.h"
#include "target/iscsi_session.h"

/* ---- R2T ---- */

static bool send_r2t(struct iscsi_task *task, uint32_t off, uint32_t len)
{
	struct iscsi_conn *conn = task->conn;
	struct iscsi_session *session = task->session;
	struct iscsi_burst *burst = &task->burst[task->r2ts];
	struct iscsi_out *out = iscsi_out_new(conn, ISCSI_OP_R2T);

	if (!out)
		return false;
	if (session->next_ttt == ISCSI_TAG_NONE)
		session->next_ttt = 0;
	burst->ttt = session->next_ttt++;
	burst->off = off;
	burst->len = len;
	burst->datasn = 0;
	task->heard = conn->lane->ticked;
	task->r2ts++;
	conn->bursts += len >= ISCSI_LARGE_BURST;
	for (int i = 0; i < 8; i++)
		out->bhs[8 + i] = task->scsi.lun[i];
	put_be32(out->bhs + 16, task->itt);
	put_be32(out->bhs + 20, burst->ttt);
	put_be32(out->bhs + 36, task->r2tsn++);
	put_be32(out->bhs + 40, off);
	put_be32(out->bhs + 44, len);
	iscsi_out_queue(conn, out, STATSN_SHOW);
	return true;
}

void iscsi_task_solicit(struct iscsi_task *task)
{
	const struct iscsi_params *params = &task->session->params;
	unsigned max = params->max_r2t < ISCSI_MAX_R2T ? params->max_r2t
						       : ISCSI_MAX_R2T;

	switch (iscsi_task_reserve(task, task->wanted)) {
	case EAGAIN:
		return;
	case ENOMEM:
		iscsi_task_busy(task);
		if (task->r2ts == 0)
			iscsi_task_respond(task);
		return;
	}
	if (task->solicited < task->received)
		task->solicited = task->received;
	while (task->r2ts < max && task->solicited < task->wanted) {
		uint32_t len = task->wanted - task->solicited;

		if (len > params->max_burst)
			len = params->max_burst;
		if (!send_r2t(task, task->solicited, len))
			return;
		task->solicited += len;
	}
}

/* ---- Data-Out ---- */

static void data_failed(struct iscsi_conn *conn, struct iscsi_task *task,
			uint16_t asc_ascq, const char *what, uint32_t got,
			uint32_t expected)
{
	if (task->failed)
		return;
	iscsi_conn_warn(conn, "Data-Out for task 0x%08x: %s %u, expected %u",
			task->itt, what, got, expected);
	iscsi_task_fail(task, asc_ascq);
}

/* Check what both kinds have in common, and take the payload. */
static void data_accept(struct iscsi_conn *conn, struct iscsi_task *task,
			uint32_t datasn, uint32_t limit)
{
	const uint8_t *bhs = conn->hdr;
	uint32_t off = get_be32(bhs + 40), len = conn->data_len;

	task->heard = conn->lane->ticked;
	if (task->failed)
		return;
	/* DataPDUInOrder and DataSequenceInOrder are always Yes. A PDU that
	 * is missing was lost to a digest error, 7.9 says, and at error
	 * recovery level 0 that ends the task (7.8). */
	if (get_be32(bhs + 36) != datasn) {
		data_failed(conn, task, ISCSI_ASC_CRC_ERROR, "DataSN",
			    get_be32(bhs + 36), datasn);
		return;
	}
	if (off != task->received) {
		data_failed(conn, task, ISCSI_ASC_INCORRECT_AMOUNT, "offset",
			    off, task->received);
		return;
	}
	if (off > limit || len > limit - off) {
		data_failed(conn, task, ISCSI_ASC_INCORRECT_AMOUNT,
			    "end beyond the burst, length", len, limit - off);
		return;
	}
	if (off + len > task->buf.size &&
	    !iscsi_memory_may(conn, off + len - task->buf.size)) {
		iscsi_task_busy(task);
		return;
	}
	if (iscsi_task_room(task, off + len)) {
		iscsi_conn_fail(conn, "out of memory for data");
		return;
	}
	conn->rx_iov = task->buf.iov;
	conn->rx_iovcnt = task->buf.num;
	conn->rx_off = off;
}

static void data_unsolicited(struct iscsi_conn *conn, struct iscsi_task *task)
{
	uint32_t limit = conn->session->params.first_burst;

	if (limit > task->edtl)
		limit = task->edtl;
	data_accept(conn, task, task->unsol_datasn++, limit);
}

void iscsi_data_out_header(struct iscsi_conn *conn)
{
	const uint8_t *bhs = conn->hdr;
	uint32_t itt = get_be32(bhs + 16), ttt = get_be32(bhs + 20);
	struct iscsi_task *task = iscsi_task_find(conn->session, itt);

	/* Data of an aborted task arrives rightly and goes nowhere. */
	if (!task || task->state > TASK_WAIT) {
		iscsi_log(conn->server, ISCSI_LOG_DEBUG,
			  "%s: Data-Out for no task 0x%08x", conn->name, itt);
		return;
	}
	if (task->conn != conn) {
		/* 4.2.5.1: a task's PDUs are its connection's. */
		iscsi_conn_warn(conn,
				"Data-Out for task 0x%08x of another "
				"connection",
				itt);
		iscsi_reject(conn, ISCSI_REJECT_PROTOCOL, bhs);
	} else if (ttt == ISCSI_TAG_NONE && !task->unsol_done) {
		conn->rx_task = task;
		data_unsolicited(conn, task);
	} else if (ttt != ISCSI_TAG_NONE && task->r2ts &&
		   task->burst[0].ttt == ttt) {
		struct iscsi_burst *burst = &task->burst[0];

		conn->rx_task = task;
		data_accept(conn, task, burst->datasn++,
			    burst->off + burst->len);
	} else {
		/* 7.13 protocol errors: for another task's R2T, or for none. */
		iscsi_conn_warn(conn,
				"Data-Out for task 0x%08x has target transfer "
				"tag 0x%08x, which is not awaited",
				itt, ttt);
		iscsi_reject(conn, ISCSI_REJECT_PROTOCOL, bhs);
	}
}

void iscsi_task_burst_done(struct iscsi_task *task)
{
	task->r2ts--;
	task->conn->bursts -= task->burst[0].len >= ISCSI_LARGE_BURST;
	for (unsigned i = 0; i < task->r2ts; i++)
		task->burst[i] = task->burst[i + 1];
}

static void data_solicited_done(struct iscsi_conn *conn,
				struct iscsi_task *task, bool final)
{
	struct iscsi_burst *burst = &task->burst[0];
	uint32_t end = burst->off + burst->len;

	if (!task->failed && final != (task->received == end))
		data_failed(conn, task, ISCSI_ASC_INCORRECT_AMOUNT,
			    final ? "sequence ended at" : "no F bit at",
			    task->received, end);
	if (final)
		iscsi_task_burst_done(task);
}

void iscsi_data_out_complete(struct iscsi_conn *conn, bool digest_ok)
{
	const uint8_t *bhs = conn->hdr;
	bool final = bhs[1] & ISCSI_FLAG_FINAL;
	struct iscsi_task *task;

	if (!digest_ok) {
		/* RFC 7143 7.8: Reject, and the task ends with its data. */
		iscsi_conn_warn(conn, "data digest error in Data-Out");
		iscsi_reject(conn, ISCSI_REJECT_DATA_DIGEST, bhs);
	}
	task = conn->rx_task;
	if (!task)
		return;
	if (!digest_ok)
		iscsi_task_fail(task, ISCSI_ASC_CRC_ERROR);
	conn->rx_task = NULL;
	if (!task->failed)
		task->received += conn->data_len;
	if (get_be32(bhs + 20) == ISCSI_TAG_NONE)
		task->unsol_done = final;
	else
		data_solicited_done(conn, task, final);
	if (task->failed || task->r2ts == 0)
		iscsi_task_advance(task);
	else if (task->state == TASK_DATA)
		iscsi_task_solicit(task);
}
