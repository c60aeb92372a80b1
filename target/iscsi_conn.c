/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The life of a connection, and what its lane does each pass.
 */
#include "target/iscsi_background.h"
#include "target/iscsi_conn.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/* How long what is queued may take to leave a connection that is ending. */
#define FINISH_TIMEOUT 5

const char *iscsi_conn_who(const struct iscsi_conn *conn, char out[320])
{
	if (conn->session && conn->session->initiator[0])
		snprintf(out, 320, "%s at %s", conn->session->initiator,
			 conn->name);
	else
		snprintf(out, 320, "%s", conn->name);
	return out;
}

void iscsi_conn_fail(struct iscsi_conn *conn, const char *fmt, ...)
{
	char text[256], who[320];
	va_list ap;

	if (conn->state == CONN_DEAD)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	iscsi_log(conn->server, ISCSI_LOG_WARN,
		  "iSCSI connection of %s closed: %s",
		  iscsi_conn_who(conn, who), text);
	iscsi_conn_close(conn);
}

void iscsi_conn_warn(struct iscsi_conn *conn, const char *fmt, ...)
{
	int level = conn->logged ? ISCSI_LOG_DEBUG : ISCSI_LOG_WARN;
	char text[256], who[320];
	va_list ap;

	if (level > conn->server->debug_level)
		return;
	conn->logged = true;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	iscsi_log(conn->server, level, "iSCSI connection of %s: %s",
		  iscsi_conn_who(conn, who), text);
}

struct iscsi_conn *iscsi_conn_find(struct lane *lane, uint64_t id)
{
	struct list_head *pos;

	list_for_each (pos, &lane->conns) {
		struct iscsi_conn *conn =
			list_entry(pos, struct iscsi_conn, lane_link);

		if (conn->id == id)
			return conn;
	}
	return NULL;
}

void iscsi_conn_runnable(struct iscsi_conn *conn)
{
	if (list_empty(&conn->run_link))
		list_add_tail(&conn->run_link, &conn->lane->runnable);
}

static void conn_ready(struct lane_fd *lfd, uint32_t events)
{
	struct iscsi_conn *conn = list_entry(lfd, struct iscsi_conn, lfd);

	if (conn->state == CONN_DEAD)
		return;
	if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		conn->hup = true;
	if (events & EPOLLOUT) {
		conn->writable = true;
		if (!list_empty(&conn->out) && list_empty(&conn->dirty_link))
			list_add_tail(&conn->dirty_link, &conn->lane->dirty);
	}
	if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) {
		conn->readable = true;
		/* A connection that is only to be flushed has nobody left to
		 * flush to. */
		if (conn->state == CONN_CLOSING && conn->hup)
			iscsi_conn_close(conn);
		else
			iscsi_rx(conn);
	}
}

/* ---- arrival ---- */

struct accepted {
	struct msg msg;
	struct iscsi_server *server;
	int fd;
	struct sockaddr_storage peer, local;
	uint16_t tpgt;
	unsigned portals_gone;
	bool bind;	/* the lane to its processor */
	bool routed;	/* by its first PDU, which is: */
	uint64_t since; /* of a routed one */
	uint32_t len;
	uint8_t pdu[];
};

static void set_int(int fd, int level, int option, int value)
{
	/* Nothing depends on success. */
	setsockopt(fd, level, option, &value, sizeof(value));
}

static void conn_socket_options(int fd)
{
	set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	/* A peer that vanished without a word is noticed within two minutes
	 * when idle, and within one while data is on its way. */
	set_int(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	set_int(fd, IPPROTO_TCP, TCP_KEEPIDLE, 60);
	set_int(fd, IPPROTO_TCP, TCP_KEEPINTVL, 15);
	set_int(fd, IPPROTO_TCP, TCP_KEEPCNT, 4);
	set_int(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, 60000);
}

static void conn_start(struct lane *lane, const struct accepted *a)
{
	struct iscsi_conn *conn = calloc(1, sizeof(*conn));
	int error = ENOMEM;

	if (conn)
		conn->share = iscsi_share_get(lane, &a->peer);
	if (conn && conn->share) {
		conn->lfd.ready = conn_ready;
		conn->lane = lane;
		conn->server = lane->server;
		conn->id = ++lane->next_id;
		conn->fd = a->fd;
		conn->peer = a->peer;
		conn->local = a->local;
		conn->tpgt = a->tpgt;
		conn->portals_gone = a->portals_gone;
		iscsi_addr_str(&a->peer, conn->name);
		conn->since = conn->last_rx = conn->stuck = lane_now();
		if (a->routed) {
			conn->routed = true;
			conn->since = a->since;
		}
		conn->hdr_need = ISCSI_BHS_LEN;
		list_init(&conn->lane_link);
		list_init(&conn->dirty_link);
		list_init(&conn->run_link);
		list_init(&conn->session_link);
		list_init(&conn->out);
		list_init(&conn->waiters);
		list_init(&conn->hungry_link);
		conn_socket_options(a->fd);
		list_add_tail(&conn->lane_link, &lane->conns);
		lane_need_tick(lane);
		error = lane_watch(lane, a->fd, &conn->lfd);
		if (error)
			list_del(&conn->lane_link);
	}
	if (!error && a->routed) {
		if (a->bind)
			iscsi_lane_bind(lane);
		iscsi_rx_feed(conn, a->pdu, a->len);
	}
	if (error) {
		iscsi_log(lane->server, ISCSI_LOG_ERROR,
			  "iSCSI connection refused: %s", strerror(error));
		close(a->fd);
		if (conn && conn->share)
			iscsi_share_put(conn->share);
		free(conn);
		iscsi_peer_del(lane->server, &a->peer);
		atomic_fetch_sub(&lane->load, 1);
	}
}

static void lane_got_conn(struct msg *msg, void *receiver)
{
	struct accepted *a = (struct accepted *)(void *)msg;
	struct lane *lane = receiver;

	if (lane->stopping) {
		close(a->fd);
		iscsi_peer_del(lane->server, &a->peer);
		atomic_fetch_sub(&lane->load, 1);
	} else {
		conn_start(lane, a);
	}
	free(a);
}

void iscsi_conn_assign(struct iscsi_server *server, int fd,
		       const struct sockaddr_storage *peer,
		       const struct sockaddr_storage *local, uint16_t tpgt,
		       unsigned portals_gone)
{
	struct accepted *a = calloc(1, sizeof(*a));
	struct lane *best = &server->lanes[0];

	if (!a) {
		close(fd);
		iscsi_peer_del(server, peer);
		return;
	}
	for (unsigned i = 1; i < server->num_lanes; i++) {
		if (atomic_load(&server->lanes[i].load) <
		    atomic_load(&best->load))
			best = &server->lanes[i];
	}
	atomic_fetch_add(&best->load, 1);
	a->msg.handle = lane_got_conn;
	a->fd = fd;
	a->peer = *peer;
	a->local = *local;
	a->tpgt = tpgt;
	a->portals_gone = portals_gone;
	msgq_post(&best->inbox, &a->msg);
}

bool iscsi_conn_move(struct iscsi_conn *conn, struct lane *lane, bool bind,
		     const uint8_t *data, uint32_t len)
{
	struct lane *from = conn->lane;
	uint32_t padded = (len + 3) & ~3u;
	struct accepted *a = calloc(1, sizeof(*a) + ISCSI_BHS_LEN + padded);

	if (!a)
		return false;
	a->msg.handle = lane_got_conn;
	a->fd = conn->fd;
	a->peer = conn->peer;
	a->local = conn->local;
	a->tpgt = conn->tpgt;
	a->portals_gone = conn->portals_gone;
	a->routed = true;
	a->bind = bind;
	a->since = conn->since;
	a->len = ISCSI_BHS_LEN + padded;
	memcpy(a->pdu, conn->hdr, ISCSI_BHS_LEN);
	memcpy(a->pdu + ISCSI_BHS_LEN, data, len);

	conn->state = CONN_DEAD;
	conn->fd = -1;
	list_del(&conn->run_link);
	list_del(&conn->dirty_link);
	list_del(&conn->lane_link);
	list_add_tail(&conn->dirty_link, &from->dead);
	epoll_ctl(from->epfd, EPOLL_CTL_DEL, a->fd, NULL);
	atomic_fetch_sub(&from->load, 1);
	atomic_fetch_add(&lane->load, 1);
	msgq_post(&lane->inbox, &a->msg);
	return true;
}

/* ---- end ---- */

void iscsi_conn_close(struct iscsi_conn *conn)
{
	struct lane *lane = conn->lane;

	if (conn->state == CONN_DEAD)
		return;
	conn->state = CONN_DEAD;
	conn->rx_task = NULL;
	list_del(&conn->hungry_link);
	list_del(&conn->run_link);
	list_del(&conn->dirty_link);
	list_del(&conn->lane_link);
	list_add_tail(&conn->dirty_link, &lane->dead);
	/* Or a child of a fork() that has the socket too would keep it in the
	 * set, with a pointer to what is gone. */
	epoll_ctl(lane->epfd, EPOLL_CTL_DEL, conn->fd, NULL);
	close(conn->fd);
	iscsi_tx_drop(conn);
	if (conn->session)
		iscsi_session_leave(conn);
	iscsi_peer_del(conn->server, &conn->peer);
	atomic_fetch_sub(&lane->load, 1);
}

static void conn_free(struct iscsi_conn *conn)
{
	list_del(&conn->dirty_link);
	iscsi_login_free(conn->login);
	iscsi_rx_forget(conn);
	iscsi_memory_no_text(conn);
	iscsi_share_put(conn->share);
	free(conn->lookup);
	free(conn->admitted.value);
	iscsi_text_free(&conn->text_in);
	iscsi_text_free(&conn->text_out);
	free(conn);
}

void iscsi_conn_finish(struct iscsi_conn *conn)
{
	if (conn->state >= CONN_CLOSING)
		return;
	conn->state = CONN_CLOSING;
	conn->deadline = lane_now() + FINISH_TIMEOUT;
	list_del(&conn->run_link);
	if (list_empty(&conn->dirty_link))
		list_add_tail(&conn->dirty_link, &conn->lane->dirty);
}

/* ---- the lane's turn ---- */

void iscsi_lane_init_pools(struct lane *lane)
{
	lane->tasks.size = sizeof(struct iscsi_task);
	lane->tasks.max_free = 4096;
	lane->outs.size = sizeof(struct iscsi_out);
	lane->outs.max_free = 8192;
}

void iscsi_lane_run(struct lane *lane)
{
	struct list_head turn;

	/* Those that are runnable now; who becomes so again waits for the
	 * sockets and completions between. */
	list_init(&turn);
	while (!list_empty(&lane->runnable)) {
		struct list_head *item = lane->runnable.next;

		list_del(item);
		list_add_tail(item, &turn);
	}
	while (!list_empty(&turn)) {
		struct iscsi_conn *conn =
			list_entry(turn.next, struct iscsi_conn, run_link);

		list_del(&conn->run_link);
		iscsi_rx(conn);
	}
}

void iscsi_lane_reap(struct lane *lane)
{
	while (!list_empty(&lane->dead))
		conn_free(list_entry(lane->dead.next, struct iscsi_conn,
				     dirty_link));
}

void iscsi_lane_pass(struct lane *lane)
{
	vhd_io_kick(lane->io);
	while (!list_empty(&lane->dirty)) {
		struct iscsi_conn *conn = list_entry(
			lane->dirty.next, struct iscsi_conn, dirty_link);

		list_del(&conn->dirty_link);
		iscsi_tx(conn);
	}
	iscsi_lane_reap(lane);
	vhd_io_kick(lane->io);
}

/* A command that waits for data which does not come, however busy the
 * connection is otherwise: its buffers are not to be had for ever. */
static const struct iscsi_task *overdue(const struct iscsi_conn *conn,
					uint64_t now)
{
	const struct list_head *pos;

	list_for_each (pos, &conn->session->tasks) {
		const struct iscsi_task *task =
			list_entry(pos, struct iscsi_task, link);

		if (task->conn == conn && task != conn->rx_task &&
		    task->state < TASK_WAIT && !task->aborted &&
		    (task->r2ts || !task->unsol_done) &&
		    now > task->heard + conn->server->data_timeout)
			return task;
	}
	return NULL;
}

/* @return false: the connection has been closed */
static bool tick_progress(struct iscsi_conn *conn, uint64_t now)
{
	unsigned timeout = conn->server->data_timeout;
	const struct iscsi_task *task;

	/* A half-open connection, or a reader that does not read. */
	if (!conn->writable && !list_empty(&conn->out) &&
	    now > conn->stuck + timeout) {
		iscsi_conn_fail(conn, "nothing can be sent for %u seconds",
				timeout);
		return false;
	}
	if ((conn->rx_state != RX_HEADER || conn->hdr_have) && !conn->paused &&
	    now > conn->last_rx + timeout) {
		iscsi_conn_fail(conn, "silent for %u seconds within a PDU",
				timeout);
		return false;
	}
	if (conn->fence_waits && now > conn->fence_since + timeout) {
		iscsi_conn_fail(conn, "no acknowledgement for %u seconds",
				timeout);
		return false;
	}
	iscsi_task_end_lingering(conn, now);
	task = overdue(conn, now);
	if (task) {
		iscsi_conn_fail(conn, "no data for task 0x%08x for %u seconds",
				task->itt, timeout);
		return false;
	}
	return true;
}

/* Portals have gone since the connection last looked: is its own there? */
static void check_portal(struct iscsi_conn *conn, unsigned gone)
{
	char who[320], address[ISCSI_ADDR_STR];

	conn->portals_gone = gone;
	if (iscsi_portal_exists(conn->server, &conn->local))
		return;
	if (conn->state != CONN_FULL) {
		iscsi_conn_fail(conn, "its portal is gone");
		return;
	}
	iscsi_log(conn->server, ISCSI_LOG_NOTICE,
		  "%s is asked to log out: portal %s is gone",
		  iscsi_conn_who(conn, who),
		  iscsi_addr_str(&conn->local, address));
	iscsi_async_logout(conn);
}

static void conn_tick(struct iscsi_conn *conn, uint64_t now)
{
	const struct iscsi_server *server = conn->server;
	unsigned interval = server->ping_interval;
	unsigned gone = atomic_load_explicit(&server->portals_gone,
					     memory_order_acquire);

	if (conn->deadline && now >= conn->deadline) {
		if (conn->state == CONN_FULL) {
			/* RFC 7143 11.9.1: it did not log out. */
			iscsi_async_dropping(conn);
			iscsi_conn_finish(conn);
		} else {
			iscsi_conn_close(conn);
		}
		return;
	}
	if (conn->state == CONN_LOGIN &&
	    now >= conn->since + server->login_timeout) {
		iscsi_conn_fail(conn, "no login within %u seconds",
				server->login_timeout);
		return;
	}
	if (conn->portals_gone != gone)
		check_portal(conn, gone);
	if (conn->state != CONN_FULL || !tick_progress(conn, now))
		return;
	/* EnforceIdleTimeoutDetection (MS-ISTM): a ping, and the end if
	 * nothing at all comes back. */
	if (!conn->session->conf ||
	    !conn->session->conf->enforce_idle_timeout || conn->paused)
		return;
	if (conn->ping_sent && now >= conn->last_rx + 2 * interval)
		iscsi_conn_fail(conn, "no answer to a NOP-In for %u seconds",
				interval);
	else if (!conn->ping_sent && now >= conn->last_rx + interval)
		iscsi_nop_in_ping(conn);
}

bool iscsi_lane_tick(struct lane *lane)
{
	struct list_head *pos, *n;
	uint64_t now = lane_now();

	list_for_each_safe(pos, n, &lane->conns)
	{
		conn_tick(list_entry(pos, struct iscsi_conn, lane_link), now);
		/* One that ends may take others along: the rest have their
		 * turn in a second. */
		if (n != &lane->conns && list_empty(n))
			break;
	}
	return iscsi_listeners_tick(lane) || !list_empty(&lane->conns);
}

void iscsi_lane_close_all(struct lane *lane)
{
	struct list_head *pos, *n;

	lane->stopping = true;
	iscsi_listeners_close(lane);
	iscsi_background_end(lane, NULL, false);
	list_for_each_safe(pos, n, &lane->sessions)
	{
		iscsi_session_drop(
			list_entry(pos, struct iscsi_session, lane_link));
	}
	while (!list_empty(&lane->conns))
		iscsi_conn_close(list_entry(lane->conns.next, struct iscsi_conn,
					    lane_link));
}

bool iscsi_lane_stopped(struct lane *lane)
{
	return lane->stopping && list_empty(&lane->sessions) &&
	       list_empty(&lane->background);
}
