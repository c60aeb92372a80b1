/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Output: PDUs are put in line during a pass and leave together at its end,
 * as many per sendmsg as fit.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>

#include "target/iscsi_conn.h"
#include "target/iscsi_crc32c.h"

struct iscsi_out *iscsi_out_new(struct iscsi_conn *conn, uint8_t opcode)
{
	struct iscsi_out *out = pool_get(&conn->lane->outs);

	if (!out) {
		iscsi_conn_fail(conn, "out of memory for a response");
		return NULL;
	}
	memset(out->bhs, 0, sizeof(out->bhs));
	out->bhs[0] = opcode;
	out->bhs[1] = ISCSI_FLAG_FINAL;
	out->hdr_len = ISCSI_BHS_LEN;
	out->tail_len = 0;
	out->iov = NULL;
	out->iovcnt = 0;
	out->off = out->len = 0;
	out->source = NULL;
	out->owned = NULL;
	out->task = NULL;
	list_init(&out->link);
	return out;
}

void iscsi_out_data(struct iscsi_out *out, const void *data, uint32_t len)
{
	out->one.iov_base = (void *)(uintptr_t)data;
	out->one.iov_len = len;
	out->iov = &out->one;
	out->iovcnt = 1;
	out->off = 0;
	out->len = len;
}

static uint32_t out_crc_data(const struct iscsi_out *out)
{
	uint32_t crc = ISCSI_CRC32C_INIT;
	size_t off = out->off, len = out->len;

	for (int i = 0; i < out->iovcnt && len; i++) {
		size_t n = out->iov[i].iov_len;

		if (off >= n) {
			off -= n;
			continue;
		}
		n -= off;
		if (n > len)
			n = len;
		crc = iscsi_crc32c_update(
			crc, (const char *)out->iov[i].iov_base + off, n);
		off = 0;
		len -= n;
	}
	return crc;
}

static void out_digests(struct iscsi_conn *conn, struct iscsi_out *out)
{
	uint32_t crc;

	out->tail_len = (uint8_t)(-out->len & 3);
	memset(out->tail, 0, sizeof(out->tail));
	if (conn->data_digest && out->len) {
		crc = out_crc_data(out);
		crc = iscsi_crc32c_update(crc, out->tail, out->tail_len);
		iscsi_crc32c_finish(crc, out->tail + out->tail_len);
		out->tail_len += ISCSI_DIGEST_LEN;
	}
	if (conn->header_digest) {
		crc = iscsi_crc32c_update(ISCSI_CRC32C_INIT, out->bhs,
					  ISCSI_BHS_LEN);
		iscsi_crc32c_finish(crc, out->bhs + ISCSI_BHS_LEN);
		out->hdr_len += ISCSI_DIGEST_LEN;
	}
}

static uint32_t out_size(const struct iscsi_out *out)
{
	return out->hdr_len + out->len + out->tail_len;
}

static void out_free(struct iscsi_conn *conn, struct iscsi_out *out)
{
	struct iscsi_task *task = out->task;

	list_del(&out->link);
	if (out->owned) {
		iscsi_memory_give(conn, out->len);
		free(out->owned);
	}
	pool_put(&conn->lane->outs, out);
	if (task)
		iscsi_task_sent(task);
}

void iscsi_out_queue(struct iscsi_conn *conn, struct iscsi_out *out, int statsn)
{
	if (out->owned)
		iscsi_memory_take(conn, out->len);
	if (conn->state == CONN_DEAD) {
		out_free(conn, out);
		return;
	}
	put_be24(out->bhs + 5, out->len);
	if (statsn != STATSN_NONE)
		put_be32(out->bhs + 24, conn->statsn);
	if (statsn == STATSN_NEXT)
		conn->statsn++;
	if (conn->session) {
		put_be32(out->bhs + 28, conn->session->exp_cmdsn);
		put_be32(out->bhs + 32, iscsi_max_cmdsn(conn->session));
	}
	out_digests(conn, out);
	list_add_tail(&out->link, &conn->out);
	conn->out_bytes += out_size(out);
	conn->out_pdus++;
	if (list_empty(&conn->dirty_link))
		list_add_tail(&conn->dirty_link, &conn->lane->dirty);
}

/* Add bytes to the vector, less those of @skip that have been sent. */
static void add(struct iovec *iov, int *n, void *base, size_t len, size_t *skip)
{
	if (*skip >= len) {
		*skip -= len;
		return;
	}
	iov[*n].iov_base = (char *)base + *skip;
	iov[*n].iov_len = len - *skip;
	*skip = 0;
	(*n)++;
}

/* Describe one PDU. @return false when it did not fit whole */
static bool tx_fill(struct iscsi_out *out, size_t skip, struct iovec *iov,
		    int *n)
{
	size_t done;
	int used;

	if (*n + 3 > LANE_TX_IOV)
		return false;
	add(iov, n, out->bhs, out->hdr_len, &skip);
	done = skip < out->len ? skip : out->len;
	skip -= done;
	if (done < out->len) {
		size_t want = out->len - done, got = 0;

		used = iov_slice(out->iov, out->iovcnt, out->off + done, want,
				 iov + *n, LANE_TX_IOV - *n - 1);
		for (int i = 0; i < used; i++)
			got += iov[*n + i].iov_len;
		*n += used;
		if (got < want)
			return false;
	}
	if (out->tail_len)
		add(iov, n, out->tail, out->tail_len, &skip);
	return true;
}

static void tx_sent(struct iscsi_conn *conn, size_t sent)
{
	conn->out_bytes -= sent;
	sent += conn->out_sent;
	while (!list_empty(&conn->out)) {
		struct iscsi_out *out =
			list_entry(conn->out.next, struct iscsi_out, link);

		if (sent < out_size(out))
			break;
		sent -= out_size(out);
		conn->out_pdus--;
		out_free(conn, out);
	}
	conn->out_sent = (uint32_t)sent;
}

/* @return false when the connection broke */
static bool tx_result(struct iscsi_conn *conn, ssize_t sent, size_t total)
{
	if (sent == -1 && errno != EAGAIN) {
		if (errno != EPIPE && errno != ECONNRESET)
			iscsi_conn_warn(conn, "sending failed: %s",
					strerror(errno));
		iscsi_conn_close(conn);
		return false;
	}
	/* The edge that announces room again comes after a short send too. */
	if (sent == -1 || (size_t)sent < total) {
		conn->writable = false;
		conn->stuck = conn->lane->ticked;
	}
	if (sent > 0)
		tx_sent(conn, (size_t)sent);
	return true;
}

/* What was not sent is read: its place may change once others run. */
static void tx_read_rest(struct iscsi_conn *conn)
{
	struct list_head *pos;
	size_t skip = conn->out_sent;

	list_for_each (pos, &conn->out) {
		struct iscsi_out *out = list_entry(pos, struct iscsi_out, link);
		struct iovec iov[ISCSI_MAX_TRANSFER / BUF_LARGE + 1];
		size_t done = skip > out->hdr_len ? skip - out->hdr_len : 0;
		int n, error;

		skip = 0;
		if (!out->source)
			continue;
		n = iov_slice(out->iov, out->iovcnt, out->off + done,
			      out->len - done, iov,
			      (int)(sizeof(iov) / sizeof(iov[0])));
		error = vhd_source_read(out->source, out->off + done, iov, n,
					out->len - done);
		out->source = NULL;
		if (error) {
			/* Nothing else can end a PDU that has been begun. The
			 * initiator's next try is read, and gets its sense. */
			iscsi_conn_fail(conn, "reading what was to be sent: %s",
					strerror(error));
			return;
		}
	}
}

/* The data of the first PDU in line, whose header has been sent. */
static bool tx_file(struct iscsi_conn *conn, const struct iscsi_out *out)
{
	size_t done = conn->out_sent - out->hdr_len;
	off_t pos = (off_t)(out->source->offset + out->off + done);
	size_t left = out->len - done;
	ssize_t sent;

	do {
		sent = sendfile(conn->fd, vhd_source_fd(out->source), &pos,
				left);
	} while (sent == -1 && errno == EINTR);
	if (sent == 0) {
		/* The file does not have them any more: a read tells why. */
		tx_read_rest(conn);
		return conn->state != CONN_DEAD;
	}
	/* Fewer bytes than asked for do not say that the socket is full, and
	 * then no edge would follow. The next try will say so. */
	return tx_result(conn, sent, sent > 0 ? (size_t)sent : left);
}

static bool tx_once(struct iscsi_conn *conn)
{
	struct iovec *iov = conn->lane->txiov;
	struct msghdr msg = {.msg_iov = iov};
	const struct iscsi_out *file = NULL;
	struct list_head *pos;
	size_t skip = conn->out_sent, total = 0;
	ssize_t sent;
	int n = 0, flags = MSG_DONTWAIT | MSG_NOSIGNAL;

	list_for_each (pos, &conn->out) {
		struct iscsi_out *out = list_entry(pos, struct iscsi_out, link);

		if (out->source) {
			if (n == LANE_TX_IOV)
				break;
			add(iov, &n, out->bhs, out->hdr_len, &skip);
			file = out;
			flags |= MSG_MORE;
			break;
		}
		if (!tx_fill(out, skip, iov, &n))
			break;
		skip = 0;
	}
	for (int i = 0; i < n; i++)
		total += iov[i].iov_len;
	msg.msg_iovlen = (size_t)n;
	if (n) {
		do {
			sent = sendmsg(conn->fd, &msg, flags);
		} while (sent == -1 && errno == EINTR);
		if (!tx_result(conn, sent, total))
			return false;
	}
	return !file || !conn->writable || tx_file(conn, file);
}

bool iscsi_tx_may_source(const struct iscsi_conn *conn)
{
	return conn->writable && !conn->data_digest && !conn->session->orders &&
	       conn->out_bytes < ISCSI_SOURCE_LINE;
}

static bool tx_flush(struct iscsi_conn *conn)
{
	while (conn->writable && !list_empty(&conn->out)) {
		if (!tx_once(conn))
			return false;
	}
	return true;
}

void iscsi_tx_source(struct iscsi_conn *conn)
{
	if (tx_flush(conn))
		tx_read_rest(conn);
}

void iscsi_tx_flush(struct iscsi_conn *conn)
{
	tx_flush(conn);
}

void iscsi_tx(struct iscsi_conn *conn)
{
	do {
		if (!tx_flush(conn))
			return;
		/* What was sent gave buffers back. */
		iscsi_task_retry(conn);
		if (conn->session && conn->session->orders)
			iscsi_order_release(conn->session);
		if (conn->session && conn->session->fencing)
			iscsi_fence_check(conn->session);
		if (conn->state == CONN_DEAD)
			return;
	} while (conn->writable && !list_empty(&conn->out));

	if (conn->state == CONN_CLOSING && list_empty(&conn->out)) {
		iscsi_conn_close(conn);
		return;
	}
	if (conn->paused && conn->out_bytes < ISCSI_OUT_LOW &&
	    conn->out_pdus < ISCSI_OUT_PDUS / 2) {
		conn->paused = false;
		iscsi_conn_runnable(conn);
	}
}

void iscsi_tx_drop(struct iscsi_conn *conn)
{
	struct list_head *pos, *n;

	list_for_each_safe(pos, n, &conn->out)
		out_free(conn, list_entry(pos, struct iscsi_out, link));
	conn->out_bytes = 0;
	conn->out_pdus = 0;
	conn->out_sent = 0;
}
