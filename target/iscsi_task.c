/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * SCSI commands: from the PDU to the device server and back
 * (RFC 7143 11.3, 11.4).
 */
#include <errno.h>
#include <string.h>

#include "target/iscsi_conn.h"
#include "target/iscsi_session.h"
#include "target/scsi_codes.h"

struct iscsi_task *iscsi_task_find(struct iscsi_session *session, uint32_t itt)
{
	struct list_head *head = &session->hash[itt % ISCSI_TASK_HASH], *pos;

	list_for_each (pos, head) {
		struct iscsi_task *task =
			list_entry(pos, struct iscsi_task, hash_link);

		if (task->itt == itt)
			return task;
	}
	return NULL;
}

bool iscsi_task_is_for(const struct iscsi_task *task, const struct scsi_lu *lu)
{
	/* One that others of its task set hold up has not been looked at. */
	if (task->state == TASK_BLOCKED)
		return scsi_nexus_lookup(task->scsi.nexus, task->scsi.lun) ==
		       lu;
	return task->scsi.lu == lu;
}

static void task_done(struct scsi_task *scsi);

/* It ends so, with neither sense nor data. */
static void set_status(struct scsi_task *scsi, uint8_t status)
{
	scsi->status = status;
	scsi->sense_len = 0;
	scsi->data_in_len = 0;
	scsi->transfer_len = 0;
}

static void scsi_init(struct scsi_task *scsi, const uint8_t *bhs)
{
	scsi->cdb_len = 16;
	memcpy(scsi->cdb, bhs + 32, 16);
	scsi->attr = bhs[1] & ISCSI_CMD_ATTR;
	memcpy(scsi->lun, bhs + 8, 8);
	scsi->edtl = bhs[1] & (ISCSI_CMD_READ | ISCSI_CMD_WRITE)
			     ? get_be32(bhs + 20)
			     : 0;
	scsi->done = task_done;
	scsi->aborted = false;
	scsi->dir = SCSI_DIR_NONE;
	scsi->length = 0;
	scsi->lu = NULL;
	scsi->copy_lu[0] = scsi->copy_lu[1] = NULL;
	scsi->waits = 0;
	scsi->preempts = false;
	scsi->op = NULL;
	scsi->iov = NULL;
	scsi->iovcnt = 0;
	scsi->data_len = 0;
	set_status(scsi, SCSI_GOOD);
	scsi->may_source = scsi->sourced = false;
}

/* Fields one by one: zeroing the whole, with its embedded request, would cost
 * as much as the command. */
static struct iscsi_task *task_new(struct iscsi_conn *conn)
{
	struct iscsi_session *session = conn->session;
	const uint8_t *bhs = conn->hdr;
	struct iscsi_task *task = pool_get(&conn->lane->tasks);

	if (!task)
		return NULL;
	task->session = session;
	task->conn = conn;
	task->state = TASK_HELD;
	task->itt = get_be32(bhs + 16);
	task->edtl = get_be32(bhs + 20);
	task->cmdsn = get_be32(bhs + 24);
	task->immediate = bhs[0] & ISCSI_OP_IMMEDIATE;
	task->read = bhs[1] & ISCSI_CMD_READ;
	task->write = bhs[1] & ISCSI_CMD_WRITE;
	task->unsol_done = bhs[1] & ISCSI_FLAG_FINAL;
	task->failed = task->aborted = task->told = task->announced = false;
	task->wanted = task->received = task->solicited = 0;
	task->unsol_datasn = task->r2tsn = 0;
	task->r2ts = 0;
	task->counted = task->own = 0;
	task->heard = conn->lane->ticked;
	buf_init(&task->buf);
	list_init(&task->turn.link);

	scsi_init(&task->scsi, bhs);
	task->scsi.nexus = session->nexus;
	task->scsi.io = conn->lane->io;
	task->scsi.private_data = task;
	if (task->scsi.attr > ISCSI_ATTR_SIMPLE)
		session->orders = true;

	list_add_tail(&task->link, &session->tasks);
	list_add_tail(&task->hash_link,
		      &session->hash[task->itt % ISCSI_TASK_HASH]);
	session->num_tasks++;
	return task;
}

/* Leaves the command window: a response is on its way, or none will be. */
static void task_inactive(struct iscsi_task *task)
{
	if (task->state == TASK_SEND)
		return;
	task->state = TASK_SEND;
	if (task->immediate)
		task->session->immediate--;
	else
		task->session->active--;
}

void iscsi_task_free(struct iscsi_task *task)
{
	struct iscsi_session *session = task->session;
	struct iscsi_conn *conn = task->conn;
	struct lane *lane = session->lane;

	task_inactive(task);
	list_del(&task->link);
	list_del(&task->hash_link);
	list_del(&task->turn.link);
	lane->reserved -= task->counted;
	lane->held -= task->buf.size + task->own;
	if (conn) {
		conn->reserved -= task->counted;
		conn->share->held -= task->buf.size + task->own;
		for (unsigned i = 0; i < task->r2ts; i++)
			conn->bursts -= task->burst[i].len >= ISCSI_LARGE_BURST;
		if (conn->rx_task == task) {
			/* What still arrives for it goes nowhere. */
			conn->rx_task = NULL;
			conn->rx_iov = NULL;
		}
		/* Others may have waited for these buffers. */
		if ((!list_empty(&conn->waiters) || session->orders) &&
		    list_empty(&conn->dirty_link) && conn->state != CONN_DEAD)
			list_add_tail(&conn->dirty_link, &lane->dirty);
	}
	buf_release(&lane->bufs, &task->buf);
	if (!list_empty(&lane->hungry))
		iscsi_memory_wake(lane);
	pool_put(&lane->tasks, task);
	session->num_tasks--;
	if (!list_empty(&lane->drains))
		iscsi_drain_check(lane);
	if (!session->num_conns)
		iscsi_session_reap(session);
}

void iscsi_task_sent(struct iscsi_task *task)
{
	iscsi_task_free(task);
}

/* ---- arrival ---- */

/* Additional header segments (RFC 7143 11.2.2): a CDB of more than 16 bytes,
 * a bidirectional read length (which no command here has a use for). */
static bool parse_ahs(struct iscsi_task *task, const uint8_t *p, size_t len)
{
	while (len >= 4) {
		size_t n = get_be16(p), whole = (n + 3 + 3) & ~(size_t)3;

		if (whole > len || n == 0)
			return false;
		if (p[2] == 1) {
			if (n - 1 > SCSI_CDB_MAX - 16)
				return false;
			memcpy(task->scsi.cdb + 16, p + 4, n - 1);
			task->scsi.cdb_len = (uint8_t)(16 + n - 1);
		}
		p += whole;
		len -= whole;
	}
	return len == 0;
}

/* Where immediate data goes, if it may come at all. */
static void cmd_immediate_data(struct iscsi_conn *conn, struct iscsi_task *task)
{
	const struct iscsi_params *params = &conn->session->params;
	uint32_t len = conn->data_len;

	if (!task->unsol_done && (!task->write || params->initial_r2t)) {
		iscsi_conn_warn(conn, "command announces unsolicited data "
				      "that was not negotiated");
		iscsi_task_fail(task, ISCSI_ASC_UNEXPECTED_DATA);
	}
	if (len == 0)
		return;
	if (!task->write || !params->immediate_data) {
		iscsi_conn_warn(conn, "immediate data where none may be");
		iscsi_task_fail(task, ISCSI_ASC_UNEXPECTED_DATA);
	} else if (len > task->edtl || len > params->first_burst) {
		iscsi_conn_warn(conn,
				"%u bytes of immediate data, expected length "
				"%u, FirstBurstLength %u",
				len, task->edtl, params->first_burst);
		iscsi_task_fail(task, ISCSI_ASC_INCORRECT_AMOUNT);
	}
	if (task->failed)
		return;
	if (!iscsi_memory_may(conn, len)) {
		iscsi_task_busy(task);
		return;
	}
	if (iscsi_task_room(task, len)) {
		iscsi_conn_fail(conn, "out of memory for immediate data");
		return;
	}
	conn->rx_iov = task->buf.iov;
	conn->rx_iovcnt = task->buf.num;
	conn->rx_off = 0;
}

void iscsi_cmd_header(struct iscsi_conn *conn)
{
	struct iscsi_session *session = conn->session;
	const uint8_t *bhs = conn->hdr;
	bool immediate = bhs[0] & ISCSI_OP_IMMEDIATE;
	uint32_t itt = get_be32(bhs + 16);
	struct iscsi_task *task;

	if (!immediate &&
	    iscsi_cmdsn_check(session, get_be32(bhs + 24)) == ORDER_DROP) {
		/* Silently, says 4.2.2.1; once in the log, say we. */
		iscsi_conn_warn(conn, "CmdSN %u is outside the window %u to %u",
				get_be32(bhs + 24), session->exp_cmdsn,
				session->max_cmdsn);
		return;
	}
	if (itt == ISCSI_TAG_NONE || iscsi_task_find(session, itt)) {
		iscsi_conn_warn(conn, "initiator task tag 0x%08x is in use",
				itt);
		iscsi_reject(conn,
			     itt == ISCSI_TAG_NONE ? ISCSI_REJECT_INVALID_FIELD
						   : ISCSI_REJECT_IN_PROGRESS,
			     bhs);
		return;
	}
	if (immediate && session->immediate >= ISCSI_MAX_IMMEDIATE) {
		iscsi_conn_warn(conn, "more than %d immediate commands",
				ISCSI_MAX_IMMEDIATE);
		iscsi_reject(conn, ISCSI_REJECT_TOO_MANY_IMM, bhs);
		return;
	}
	task = task_new(conn);
	if (!task) {
		iscsi_conn_fail(conn, "out of memory for a command");
		return;
	}
	if (immediate)
		session->immediate++;
	else
		session->active++;
	if (bhs[4] && !parse_ahs(task, bhs + ISCSI_BHS_LEN, bhs[4] * 4u)) {
		iscsi_conn_fail(conn, "malformed additional header segments");
		return;
	}
	conn->rx_task = task;
	cmd_immediate_data(conn, task);
}

void iscsi_cmd_complete(struct iscsi_conn *conn)
{
	struct iscsi_session *session = conn->session;
	struct iscsi_task *task = conn->rx_task;

	if (!task)
		return;
	conn->rx_task = NULL;
	if (!task->failed)
		task->received = conn->data_len;
	if (task->immediate) {
		iscsi_task_deliver(task);
		return;
	}
	switch (iscsi_cmdsn_check(session, task->cmdsn)) {
	case ORDER_NOW:
		iscsi_cmdsn_advance(session);
		iscsi_task_deliver(task);
		if (conn->session && !list_empty(&session->held))
			iscsi_release_held(session);
		break;
	case ORDER_AHEAD:
		if (!iscsi_hold(session, conn, task->cmdsn, task, NULL, NULL,
				0))
			iscsi_conn_fail(conn, "out of memory for a command");
		break;
	case ORDER_DROP:
		iscsi_task_free(task);
		break;
	}
}

/* ---- execution ---- */

static void fail(struct iscsi_task *task, uint8_t key, uint16_t asc_ascq)
{
	if (task->failed)
		return;
	task->failed = true;
	set_status(&task->scsi, SCSI_CHECK_CONDITION);
	scsi_task_fail(&task->scsi, key, asc_ascq);
}

void iscsi_task_fail(struct iscsi_task *task, uint16_t asc_ascq)
{
	fail(task, SENSE_ABORTED_COMMAND, asc_ascq);
}

void iscsi_task_no_unit(struct iscsi_task *task)
{
	fail(task, SENSE_ILLEGAL_REQUEST, ASC_LU_NOT_SUPPORTED);
}

void iscsi_task_not_ready(struct iscsi_task *task)
{
	if (task->failed)
		return;
	task->failed = true;
	set_status(&task->scsi, SCSI_CHECK_CONDITION);
	scsi_task_not_ready(&task->scsi);
}

void iscsi_task_busy(struct iscsi_task *task)
{
	task->failed = true;
	set_status(&task->scsi, SCSI_BUSY);
}

void iscsi_task_deliver(struct iscsi_task *task)
{
	if (task->aborted) {
		iscsi_task_free(task);
		return;
	}
	task->order = ++task->session->lane->delivered;
	if (task->session->orders && iscsi_order_blocks(task)) {
		task->state = TASK_BLOCKED;
		return;
	}
	iscsi_task_enable(task);
}

void iscsi_task_enable(struct iscsi_task *task)
{
	struct scsi_task *scsi = &task->scsi;

	task->state = TASK_DATA;
	if (!task->failed && !scsi_task_prepare(scsi)) {
		task->failed = true;
	} else if (!task->failed && scsi->dir == SCSI_DIR_OUT && task->write) {
		task->wanted =
			scsi->length < task->edtl ? scsi->length : task->edtl;
		if (task->wanted > ISCSI_MAX_TRANSFER)
			iscsi_task_fail(task, ISCSI_ASC_INCORRECT_AMOUNT);
	}
	iscsi_task_advance(task);
}

/* All that a command writes is here, or it reads: run it. */
static void task_run(struct iscsi_task *task)
{
	struct scsi_task *scsi = &task->scsi;
	uint32_t len = 0;

	if (scsi->dir == SCSI_DIR_OUT)
		len = task->wanted;
	else if (scsi->dir == SCSI_DIR_IN && task->read)
		len = scsi->length < task->edtl ? scsi->length : task->edtl;
	if (len > ISCSI_MAX_TRANSFER)
		len = ISCSI_MAX_TRANSFER;

	switch (iscsi_task_reserve(task, len)) {
	case EAGAIN:
		return;
	case ENOMEM:
		iscsi_task_busy(task);
		iscsi_task_respond(task);
		return;
	}
	scsi->may_source = len >= ISCSI_SOURCE_MIN &&
			   scsi->dir == SCSI_DIR_IN &&
			   iscsi_tx_may_source(task->conn);
	scsi->data_len = len;
	scsi->iovcnt = buf_trim(&task->buf, len);
	scsi->iov = task->buf.iov;
	task->state = TASK_RUN;
	if (scsi_task_execute(scsi))
		task_done(scsi);
}

static void task_done(struct scsi_task *scsi)
{
	struct iscsi_task *task = scsi->private_data;
	struct lane *lane = task->session->lane;

	task->state = TASK_DATA;
	if (task->told)
		set_status(scsi, SCSI_TASK_ABORTED);
	if (task->aborted || !task->conn) {
		iscsi_task_free(task);
		return;
	}
	iscsi_task_respond(task);
	/* The unit is done with it, however slowly its initiator reads. */
	if (!list_empty(&lane->drains))
		iscsi_drain_check(lane);
}

void iscsi_task_advance(struct iscsi_task *task)
{
	if (task->state != TASK_DATA || !task->unsol_done || task->r2ts)
		return;
	/* "the target MUST wait until it receives a data PDU with the F bit
	 * set … before sending the Response" (RFC 7143 11.4.2): it has. */
	if (task->failed && task->aborted)
		iscsi_task_free(task);
	else if (task->failed)
		iscsi_task_respond(task);
	else if (task->scsi.dir == SCSI_DIR_OUT &&
		 task->received < task->wanted)
		iscsi_task_solicit(task);
	else
		task_run(task);
}

void iscsi_task_abort(struct iscsi_task *task)
{
	task->aborted = true;
	task->scsi.aborted = true;
	/* Held: a gap in the CmdSNs is before it; it ends at its turn. */
	if (task->state == TASK_DATA || task->state == TASK_WAIT ||
	    task->state == TASK_BLOCKED || task->state == TASK_FENCED)
		iscsi_task_free(task);
}

bool iscsi_task_lingers(const struct iscsi_task *task)
{
	return task->aborted && task->state == TASK_DATA;
}

void iscsi_task_abort_later(struct iscsi_task *task)
{
	if (iscsi_task_lingers(task))
		return;
	if (task->state != TASK_DATA || task->r2ts == 0) {
		iscsi_task_abort(task);
		return;
	}
	task->aborted = task->scsi.aborted = true;
	task->failed = true; /* its data goes nowhere */
	task->heard = task->conn->lane->ticked;
}

void iscsi_task_told(struct iscsi_conn *conn, const uint8_t lun[8],
		     uint32_t exp_statsn)
{
	struct iscsi_session *session = conn->session;
	struct list_head *pos, *n;

	if (session->params.task_reporting != TASK_REPORTING_FASTABORT)
		return;
	list_for_each_safe(pos, n, &session->tasks)
	{
		struct iscsi_task *task =
			list_entry(pos, struct iscsi_task, link);

		if (task->conn != conn || task->state != TASK_DATA ||
		    !task->told || !task->announced ||
		    !sn_lt(task->told_statsn, exp_statsn) ||
		    memcmp(task->scsi.lun, lun, 8) != 0)
			continue;
		while (task->r2ts)
			iscsi_task_burst_done(task);
		task->unsol_done = true;
		iscsi_task_advance(task);
		if (conn->state == CONN_DEAD)
			return;
	}
}

void iscsi_task_end_lingering(struct iscsi_conn *conn, uint64_t now)
{
	struct iscsi_session *session = conn->session;
	unsigned timeout = conn->server->data_timeout;
	struct list_head *pos, *n;

	if (timeout > ISCSI_ABORT_TIMEOUT)
		timeout = ISCSI_ABORT_TIMEOUT;
	list_for_each_safe(pos, n, &session->tasks)
	{
		struct iscsi_task *task =
			list_entry(pos, struct iscsi_task, link);

		if (task->conn != conn || !iscsi_task_lingers(task) ||
		    now <= task->heard + timeout)
			continue;
		iscsi_conn_warn(conn,
				"aborted task 0x%08x gets no data for its "
				"R2Ts",
				task->itt);
		iscsi_task_free(task);
	}
}

void iscsi_task_abort_told(struct iscsi_task *task)
{
	task->scsi.aborted = task->told = true;
	if (task->state == TASK_RUN)
		return;
	task->failed = true;
	set_status(&task->scsi, SCSI_TASK_ABORTED);
	list_del(&task->turn.link);
	task->state = TASK_DATA;
	iscsi_task_advance(task);
}

/* ---- response ---- */

/* RFC 7143 11.4.1, 11.4.5.2 */
static uint8_t task_residual(const struct iscsi_task *task, uint32_t *count)
{
	uint32_t expected = task->scsi.edtl, moved = task->scsi.transfer_len;

	if (moved > expected) {
		*count = moved - expected;
		return ISCSI_RSP_OVERFLOW;
	}
	*count = expected - moved;
	return *count ? ISCSI_RSP_UNDERFLOW : 0;
}

/* Data-In PDUs; the last carries the status when it is GOOD.
 * @return false when the connection broke */
static bool task_data_in(struct iscsi_task *task, uint32_t len, uint32_t *count)
{
	struct iscsi_conn *conn = task->conn;
	const struct iscsi_params *params = &conn->session->params;
	bool good = task->scsi.status == SCSI_GOOD;
	uint32_t off = 0, burst = 0, datasn = 0;

	while (off < len) {
		struct iscsi_out *out = iscsi_out_new(conn, ISCSI_OP_DATA_IN);
		uint32_t n = len - off, residual;
		bool last;

		if (!out)
			return false;
		if (n > conn->initiator_mrdsl)
			n = conn->initiator_mrdsl;
		if (n > params->max_burst - burst)
			n = params->max_burst - burst;
		burst += n;
		last = off + n == len;
		if (burst == params->max_burst)
			burst = 0;
		else if (!last)
			out->bhs[1] = 0;
		put_be32(out->bhs + 16, task->itt);
		put_be32(out->bhs + 20, ISCSI_TAG_NONE);
		put_be32(out->bhs + 36, datasn++);
		put_be32(out->bhs + 40, off);
		out->iov = task->buf.iov;
		out->iovcnt = task->buf.num;
		out->off = off;
		out->len = n;
		if (task->scsi.sourced)
			out->source = &task->scsi.source;
		if (last && good) {
			out->bhs[1] |= ISCSI_DATA_STATUS |
				       task_residual(task, &residual);
			out->bhs[3] = SCSI_GOOD;
			put_be32(out->bhs + 44, residual);
			out->task = task;
			task_inactive(task);
		}
		iscsi_out_queue(conn, out,
				last && good ? STATSN_NEXT : STATSN_NONE);
		off += n;
	}
	*count = datasn;
	return true;
}

void iscsi_task_respond(struct iscsi_task *task)
{
	struct iscsi_session *session = task->session;

	if ((session->num_conns > 1 || session->fencing) &&
	    iscsi_fence_task(task))
		return;
	iscsi_task_respond_now(task);
}

void iscsi_task_respond_now(struct iscsi_task *task)
{
	struct iscsi_conn *conn = task->conn;
	struct scsi_task *scsi = &task->scsi;
	struct iscsi_out *out;
	uint32_t residual, len = 0, count = task->r2tsn;

	if (scsi->dir == SCSI_DIR_IN && task->read) {
		len = scsi->data_in_len < task->edtl ? scsi->data_in_len
						     : task->edtl;
		if (len > scsi->data_len)
			len = scsi->data_len;
	}
	if (len) {
		bool sourced = scsi->sourced;

		if (!task_data_in(task, len, &count))
			return;
		/* The task may be gone from here on. */
		if (sourced)
			iscsi_tx_source(conn);
		if (scsi->status == SCSI_GOOD)
			return;
	}
	out = iscsi_out_new(conn, ISCSI_OP_SCSI_RSP);
	if (!out)
		return;
	out->bhs[1] |= task_residual(task, &residual);
	out->bhs[3] = scsi->status;
	put_be32(out->bhs + 16, task->itt);
	put_be32(out->bhs + 36, count); /* ExpDataSN */
	put_be32(out->bhs + 44, residual);
	if (scsi->sense_len) {
		/* 11.4.7: SenseLength, then the sense data */
		put_be16(task->sense, scsi->sense_len);
		memcpy(task->sense + 2, scsi->sense, scsi->sense_len);
		iscsi_out_data(out, task->sense, 2u + scsi->sense_len);
	}
	out->task = task;
	task_inactive(task);
	iscsi_out_queue(conn, out, STATSN_NEXT);
}
