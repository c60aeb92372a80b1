/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Reception: one large read per turn; payload that is known to come goes to
 * its destination directly, everything else through the lane's buffer, from
 * which all PDUs that have arrived are parsed at once.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "target/iscsi_conn.h"
#include "target/iscsi_crc32c.h"

/* While large bursts are due: room for headers and small PDUs, so that little
 * of the payload is copied before the rest is read to where it belongs. */
#define RX_SHORT 4096

/* Entries of a task's buffer that one read fills. */
#define RX_DIRECT 64

void iscsi_rx_forget(struct iscsi_conn *conn)
{
	if (!conn->rx_owned)
		return;
	iscsi_memory_give(conn, conn->rx_owned_len);
	free(conn->rx_owned);
	conn->rx_owned = NULL;
}

static void rx_next_pdu(struct iscsi_conn *conn)
{
	iscsi_rx_forget(conn);
	conn->rx_task = NULL;
	conn->rx_iov = NULL;
	conn->rx_state = RX_HEADER;
	conn->hdr_have = 0;
	conn->hdr_need = ISCSI_BHS_LEN;
}

static void rx_pdu_done(struct iscsi_conn *conn)
{
	bool ok = true;

	if (conn->rx_digest) {
		uint8_t digest[ISCSI_DIGEST_LEN];

		iscsi_crc32c_finish(conn->rx_crc, digest);
		ok = memcmp(digest,
			    conn->tail + conn->tail_need - ISCSI_DIGEST_LEN,
			    ISCSI_DIGEST_LEN) == 0;
	}
	iscsi_pdu_complete(conn, ok);
	rx_next_pdu(conn);
}

/* The first 48 bytes are in: how long is the whole? */
static bool rx_bhs(struct iscsi_conn *conn)
{
	uint32_t ahs = conn->hdr[4] * 4u;
	uint32_t limit = 8192; /* RFC 7143 13.12, the default during login */

	conn->data_len = get_be24(conn->hdr + 5);
	if (conn->state == CONN_FULL)
		limit = conn->target_mrdsl;
	if (conn->data_len > limit) {
		/* A format error ends the connection (RFC 7143 7.7). */
		iscsi_conn_fail(conn,
				"PDU of opcode 0x%02x has a data segment of "
				"%u bytes, the limit is %u",
				conn->hdr[0] & ISCSI_OP_MASK, conn->data_len,
				limit);
		return false;
	}
	if (ahs && (conn->hdr[0] & ISCSI_OP_MASK) != ISCSI_OP_SCSI_CMD) {
		iscsi_conn_fail(conn,
				"PDU of opcode 0x%02x has %u bytes of "
				"additional header segments",
				conn->hdr[0] & ISCSI_OP_MASK, ahs);
		return false;
	}
	conn->hdr_need = ISCSI_BHS_LEN + ahs +
			 (conn->header_digest ? ISCSI_DIGEST_LEN : 0);
	return true;
}

static bool rx_header_digest_ok(struct iscsi_conn *conn)
{
	unsigned len = conn->hdr_need - ISCSI_DIGEST_LEN;
	uint8_t digest[ISCSI_DIGEST_LEN];
	uint32_t crc;

	if (!conn->header_digest)
		return true;
	crc = iscsi_crc32c_update(ISCSI_CRC32C_INIT, conn->hdr, len);
	iscsi_crc32c_finish(crc, digest);
	return memcmp(digest, conn->hdr + len, ISCSI_DIGEST_LEN) == 0;
}

static void rx_header_done(struct iscsi_conn *conn)
{
	if (!rx_header_digest_ok(conn)) {
		/* At error recovery level 0 nothing else is possible: the
		 * length cannot be trusted (RFC 7143 7.8). */
		iscsi_conn_fail(conn, "header digest error");
		return;
	}
	conn->data_have = 0;
	conn->tail_have = 0;
	conn->tail_need = -conn->data_len & 3;
	conn->rx_digest = conn->data_digest && conn->data_len;
	if (conn->rx_digest)
		conn->tail_need += ISCSI_DIGEST_LEN;
	conn->rx_crc = ISCSI_CRC32C_INIT;
	conn->rx_iov = NULL;
	conn->rx_off = 0;
	iscsi_pdu_header(conn);
	if (conn->state == CONN_DEAD)
		return;
	if (conn->data_len)
		conn->rx_state = RX_DATA;
	else
		rx_pdu_done(conn);
}

static void rx_data_done(struct iscsi_conn *conn)
{
	if (conn->tail_need)
		conn->rx_state = RX_TAIL;
	else
		rx_pdu_done(conn);
}

/* Bytes that were read to where they belong. */
static void rx_direct(struct iscsi_conn *conn, const struct iovec *iov,
		      size_t len)
{
	conn->data_have += (uint32_t)len;
	if (conn->rx_digest) {
		for (; len; iov++) {
			size_t n = iov->iov_len < len ? iov->iov_len : len;

			conn->rx_crc = iscsi_crc32c_update(conn->rx_crc,
							   iov->iov_base, n);
			len -= n;
		}
	}
	if (conn->data_have == conn->data_len)
		rx_data_done(conn);
}

static size_t rx_data(struct iscsi_conn *conn, const uint8_t *data, size_t len)
{
	uint32_t left = conn->data_len - conn->data_have;

	if (len > left)
		len = left;
	if (conn->rx_iov)
		iov_copy_in(conn->rx_iov, conn->rx_iovcnt,
			    (size_t)conn->rx_off + conn->data_have, data, len);
	if (conn->rx_digest)
		conn->rx_crc = iscsi_crc32c_update(conn->rx_crc, data, len);
	conn->data_have += (uint32_t)len;
	if (conn->data_have == conn->data_len)
		rx_data_done(conn);
	return len;
}

static size_t rx_tail(struct iscsi_conn *conn, const uint8_t *data, size_t len)
{
	unsigned left = conn->tail_need - conn->tail_have;

	if (len > left)
		len = left;
	memcpy(conn->tail + conn->tail_have, data, len);
	conn->tail_have += (unsigned)len;
	if (conn->tail_have == conn->tail_need) {
		/* The digest covers the padding (RFC 7143 13.1). */
		if (conn->rx_digest)
			conn->rx_crc = iscsi_crc32c_update(
				conn->rx_crc, conn->tail,
				conn->tail_need - ISCSI_DIGEST_LEN);
		rx_pdu_done(conn);
	}
	return len;
}

static size_t rx_header(struct iscsi_conn *conn, const uint8_t *data,
			size_t len)
{
	unsigned left = conn->hdr_need - conn->hdr_have;

	if (len > left)
		len = left;
	memcpy(conn->hdr + conn->hdr_have, data, len);
	conn->hdr_have += (unsigned)len;
	if (conn->hdr_have < conn->hdr_need)
		return len;
	if (conn->hdr_have == ISCSI_BHS_LEN) {
		if (!rx_bhs(conn))
			return len;
		if (conn->hdr_have < conn->hdr_need)
			return len;
	}
	rx_header_done(conn);
	return len;
}

void iscsi_rx_feed(struct iscsi_conn *conn, const uint8_t *data, size_t len)
{
	while (len && conn->state < CONN_CLOSING) {
		size_t n = 0;

		if (conn->waiting) {
			/* Login is a dialogue (RFC 7143 6.3): nobody may
			 * speak before the answer. */
			iscsi_conn_fail(conn, "data before the login response");
			return;
		}
		switch (conn->rx_state) {
		case RX_HEADER:
			n = rx_header(conn, data, len);
			break;
		case RX_DATA:
			n = rx_data(conn, data, len);
			break;
		case RX_TAIL:
			n = rx_tail(conn, data, len);
			break;
		}
		data += n;
		len -= n;
	}
}

static bool rx_may(const struct iscsi_conn *conn)
{
	return conn->state < CONN_CLOSING && conn->readable && !conn->waiting &&
	       !conn->paused;
}

void iscsi_rx(struct iscsi_conn *conn)
{
	struct iovec iov[RX_DIRECT + 1];
	size_t direct = 0, left = 0, total;
	ssize_t got;
	int n = 0;

	if (conn->out_bytes > ISCSI_OUT_HIGH || conn->out_pdus > ISCSI_OUT_PDUS)
		conn->paused = true;
	if (!rx_may(conn))
		return;
	if (conn->rx_state == RX_DATA && conn->rx_iov) {
		left = conn->data_len - conn->data_have;
		n = iov_slice(conn->rx_iov, conn->rx_iovcnt,
			      (size_t)conn->rx_off + conn->data_have, left, iov,
			      RX_DIRECT);
		for (int i = 0; i < n; i++)
			direct += iov[i].iov_len;
	}
	total = direct;
	if (direct == left) {
		iov[n].iov_base = conn->lane->rxbuf;
		iov[n].iov_len = conn->bursts ? RX_SHORT : LANE_RX_SIZE;
		total += iov[n].iov_len;
		n++;
	}

	do {
		got = readv(conn->fd, iov, n);
	} while (got == -1 && errno == EINTR);
	if (got == -1 && errno == EAGAIN) {
		conn->readable = false;
		return;
	}
	if (got <= 0) {
		if (got == -1 && errno != ECONNRESET)
			iscsi_conn_warn(conn, "receiving failed: %s",
					strerror(errno));
		iscsi_conn_close(conn);
		return;
	}
	conn->last_rx = lane_now();
	conn->ping_sent = false;
	/* Edge-triggered: a short read means that the next arrival is
	 * announced, except that the end of the stream may have been already.
	 */
	if ((size_t)got < total && !conn->hup)
		conn->readable = false;

	if (direct) {
		size_t part = (size_t)got < direct ? (size_t)got : direct;

		rx_direct(conn, iov, part);
		got -= (ssize_t)part;
	}
	iscsi_rx_feed(conn, conn->lane->rxbuf, (size_t)got);
	if (rx_may(conn))
		iscsi_conn_runnable(conn);
}
