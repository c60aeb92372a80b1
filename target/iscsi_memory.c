/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Memory for data: how much of it connections may have. A lane has its part of
 * what the server may use for all of them (iscsi_server_config.buffers). Beside
 * the limit of each connection those of one address may have no more than they
 * leave to others, so that nobody gets all, with however many connections.
 * Commands wait in line for their buffers; data that nobody asked for is
 * refused with BUSY.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "target/iscsi_conn.h"
#include "target/iscsi_login.h"
#include "target/iscsi_session.h"

/* Seconds between messages that memory is short. */
#define SHORT_LOG_INTERVAL 60

struct iscsi_share *iscsi_share_get(struct lane *lane,
				    const struct sockaddr_storage *peer)
{
	struct in6_addr addr = iscsi_addr_key(peer);
	struct list_head *head =
		&lane->shares[iscsi_hash(&addr, sizeof(addr)) % LANE_SHARES];
	struct iscsi_share *share;
	struct list_head *pos;

	list_for_each (pos, head) {
		share = list_entry(pos, struct iscsi_share, link);
		if (memcmp(&share->addr, &addr, sizeof(addr)) == 0) {
			share->conns++;
			return share;
		}
	}
	share = calloc(1, sizeof(*share));
	if (!share)
		return NULL;
	share->addr = addr;
	share->conns = 1;
	list_add_tail(&share->link, head);
	return share;
}

void iscsi_share_put(struct iscsi_share *share)
{
	if (--share->conns)
		return;
	list_del(&share->link);
	free(share);
}

static void hold_text(struct iscsi_conn *conn, size_t now)
{
	size_t before = conn->text_held;

	iscsi_memory_give(conn, (uint32_t)before);
	iscsi_memory_take(conn, (uint32_t)now);
	conn->text_held = now;
	if (now < before)
		iscsi_memory_wake(conn->lane);
}

/* A SendTargets may be answered with megabytes, and logins in parts need not
 * end. Who has nothing else but the request itself has its text. */
bool iscsi_memory_text(struct iscsi_conn *conn)
{
	size_t before = conn->text_held;
	size_t now = conn->text_in.size + conn->text_out.size;
	size_t has = before + (conn->rx_owned ? conn->rx_owned_len : 0);

	if (conn->login)
		now += conn->login->in.size + conn->login->out.size;
	if (now > before && now > ISCSI_KEPT_ALWAYS &&
	    conn->share->held > has &&
	    !iscsi_memory_may(conn, (uint32_t)(now - before)))
		return false;
	hold_text(conn, now);
	return true;
}

void iscsi_memory_no_text(struct iscsi_conn *conn)
{
	hold_text(conn, 0);
}

/* Somebody may find room now. Each who does wakes the next. */
void iscsi_memory_wake(struct lane *lane)
{
	while (!list_empty(&lane->hungry)) {
		struct iscsi_conn *conn = list_entry(
			lane->hungry.next, struct iscsi_conn, hungry_link);

		list_del(&conn->hungry_link);
		if (list_empty(&conn->waiters))
			continue;
		if (list_empty(&conn->dirty_link))
			list_add_tail(&conn->dirty_link, &lane->dirty);
		return;
	}
}

static void be_hungry(struct iscsi_conn *conn)
{
	struct lane *lane = conn->lane;
	char who[320];

	if (!list_empty(&conn->hungry_link))
		return;
	list_add_tail(&conn->hungry_link, &lane->hungry);
	if (lane->short_logged &&
	    lane->ticked < lane->short_logged + SHORT_LOG_INTERVAL)
		return;
	lane->short_logged = lane->ticked;
	iscsi_log(lane->server, ISCSI_LOG_WARN,
		  "memory for data is short (%llu of %llu KiB): commands of %s "
		  "wait, whose address has %llu KiB",
		  (unsigned long long)lane->held >> 10,
		  (unsigned long long)lane->budget >> 10,
		  iscsi_conn_who(conn, who),
		  (unsigned long long)conn->share->held >> 10);
}

int iscsi_task_room(struct iscsi_task *task, uint32_t size)
{
	uint32_t before = task->buf.size;
	int error = buf_grow(&task->session->lane->bufs, &task->buf, size);

	iscsi_memory_take(task->conn, task->buf.size - before);
	return error;
}

/* What runs or has R2Ts out holds its whole buffer and can finish without
 * more; what waits holds its unsolicited data only, which does not count in
 * 'reserved'. So the line always moves: without anything reserved the first
 * gets what it wants. */
int iscsi_task_reserve(struct iscsi_task *task, uint32_t size)
{
	struct iscsi_conn *conn = task->conn;
	struct lane *lane = conn->lane;

	if (task->counted == 0) {
		uint32_t own = task->scsi.allocates, all = size + own;
		uint32_t more =
			own +
			(size > task->buf.size ? size - task->buf.size : 0);
		bool first = conn->retrying == task;
		bool none =
			more && lane->reserved && !iscsi_memory_may(conn, more);

		/* First come, first served: small ones do not overtake a
		 * large one for ever. */
		if (none ||
		    (conn->reserved &&
		     conn->reserved + all > ISCSI_CONN_BUFFERS) ||
		    (all && !first && !list_empty(&conn->waiters))) {
			if (first)
				list_add(&task->turn.link, &conn->waiters);
			else
				list_add_tail(&task->turn.link, &conn->waiters);
			conn->retrying = NULL;
			task->state = TASK_WAIT;
			if (none)
				be_hungry(conn);
			return EAGAIN;
		}
		task->counted = all;
		conn->reserved += all;
		lane->reserved += all;
		task->own = own;
		iscsi_memory_take(conn, own);
	}
	return iscsi_task_room(task, size);
}

void iscsi_task_retry(struct iscsi_conn *conn)
{
	/* The first that has to wait again stops it. */
	while (!list_empty(&conn->waiters)) {
		struct list_head *first = conn->waiters.next;
		struct iscsi_task *task =
			list_entry(first, struct iscsi_task, turn.link);

		if (conn->reserved >= ISCSI_CONN_BUFFERS)
			break;
		list_del(first);
		task->state = TASK_DATA;
		conn->retrying = task;
		iscsi_task_advance(task);
		if (conn->state == CONN_DEAD || !conn->retrying)
			break;
		conn->retrying = NULL;
		iscsi_memory_wake(conn->lane);
	}
	conn->retrying = NULL;
}
