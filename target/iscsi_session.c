/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Sessions: the registry, reinstatement, and their end.
 */
#include "target/iscsi_session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "target/iscsi_acl.h"
#include "target/iscsi_conn.h"
#include "target/scsi_codes.h"

struct iscsi_session *iscsi_session_new(struct lane *lane)
{
	struct iscsi_session *session = calloc(1, sizeof(*session));

	if (!session)
		return NULL;
	session->lane = lane;
	/* Orders to all lanes name sessions by it (struct iscsi_drain). */
	session->id = (uint64_t)lane->index << 48 | ++lane->next_id;
	list_init(&session->reg_link);
	list_init(&session->hash_link);
	list_init(&session->waiters);
	list_init(&session->lane_link);
	list_init(&session->conns);
	list_init(&session->tasks);
	list_init(&session->functions);
	list_init(&session->held);
	list_init(&session->line);
	for (int i = 0; i < ISCSI_TASK_HASH; i++)
		list_init(&session->hash[i]);
	iscsi_params_default(&session->params);
	list_add_tail(&session->lane_link, &lane->sessions);
	return session;
}

struct iscsi_session *iscsi_session_by_id(const struct lane *lane, uint64_t id)
{
	const struct list_head *pos;

	list_for_each (pos, &lane->sessions) {
		struct iscsi_session *session =
			list_entry(pos, struct iscsi_session, lane_link);

		if (session->id == id)
			return session;
	}
	return NULL;
}

/* ---- messages to the lane of another session ---- */

struct session_msg {
	struct msg msg;
	uint64_t id; /* of a session or a connection */
};

static void lane_got_kill(struct msg *msg, void *receiver)
{
	struct session_msg *m = (struct session_msg *)(void *)msg;
	struct lane *lane = receiver;
	struct iscsi_session *session = iscsi_session_by_id(lane, m->id);

	if (session && session->num_conns) {
		iscsi_log(lane->server, ISCSI_LOG_NOTICE,
			  "session 0x%04x of %s is reinstated", session->tsih,
			  session->initiator);
		iscsi_session_close(session, NULL);
	}
	free(m);
}

static void lane_got_wake(struct msg *msg, void *receiver)
{
	struct session_msg *m = (struct session_msg *)(void *)msg;

	iscsi_login_wake(receiver, m->id);
	free(m);
}

static bool post(struct lane *lane, uint64_t id,
		 void (*handle)(struct msg *, void *))
{
	struct session_msg *m = calloc(1, sizeof(*m));

	if (!m)
		return false;
	m->msg.handle = handle;
	m->id = id;
	msgq_post(&lane->inbox, &m->msg);
	return true;
}

/* ---- the registry ---- */

static struct list_head *bucket(struct iscsi_server *server,
				const struct iscsi_session *session)
{
	uint32_t h =
		iscsi_hash(session->initiator, strlen(session->initiator)) ^
		iscsi_hash(session->isid, sizeof(session->isid));

	return &server->session_hash[h % ISCSI_HASH];
}

/* RFC 7143 4.4.2: the I_T nexus is InitiatorName + ISID at the target's
 * name + portal group. */
static bool same_nexus(const struct iscsi_session *a,
		       const struct iscsi_session *b)
{
	return a->tgt == b->tgt && a->tpgt == b->tpgt &&
	       memcmp(a->isid, b->isid, sizeof(a->isid)) == 0 &&
	       strcmp(a->initiator, b->initiator) == 0;
}

static struct iscsi_session *find_nexus(struct iscsi_server *server,
					const struct iscsi_session *session)
{
	struct list_head *pos;

	list_for_each (pos, bucket(server, session)) {
		struct iscsi_session *other =
			list_entry(pos, struct iscsi_session, hash_link);

		if (same_nexus(other, session))
			return other;
	}
	return NULL;
}

struct lane *iscsi_session_lane(struct iscsi_server *server, uint16_t tsih)
{
	const struct iscsi_session *session;
	struct lane *lane;

	pthread_mutex_lock(&server->lock);
	session = server->by_tsih[tsih];
	lane = session ? session->lane : NULL;
	pthread_mutex_unlock(&server->lock);
	return lane;
}

struct iscsi_session *iscsi_session_find(const struct iscsi_session *like,
					 uint16_t tsih)
{
	struct iscsi_server *server = like->lane->server;
	struct iscsi_session *session;

	pthread_mutex_lock(&server->lock);
	session = server->by_tsih[tsih];
	if (session &&
	    (session->lane != like->lane || !same_nexus(session, like)))
		session = NULL;
	pthread_mutex_unlock(&server->lock);
	/* Only this lane ends it. One whose last connection has gone waits
	 * for its commands. */
	return session && session->num_conns ? session : NULL;
}

static bool take_tsih(struct iscsi_server *server,
		      struct iscsi_session *session)
{
	for (unsigned i = 0; i < 65535; i++) {
		uint16_t tsih = ++server->last_tsih;

		if (tsih == 0 || server->by_tsih[tsih])
			continue;
		server->by_tsih[tsih] = session;
		session->tsih = tsih;
		return true;
	}
	return false;
}

int iscsi_session_register(struct iscsi_session *session, uint64_t conn_id)
{
	struct iscsi_server *server = session->lane->server;
	struct iscsi_session *old = NULL;
	struct iscsi_waiter *waiter = calloc(1, sizeof(*waiter));
	struct lane *old_lane = NULL;
	uint64_t old_id = 0;
	int ret = 0;

	if (!waiter)
		return ENOMEM;
	pthread_mutex_lock(&server->lock);
	/* Discovery sessions carry no state worth replacing. */
	if (session->tgt)
		old = find_nexus(server, session);
	if (old) {
		waiter->lane = session->lane;
		waiter->conn_id = conn_id;
		list_add_tail(&waiter->link, &old->waiters);
		old_lane = old->lane;
		old_id = old->id;
		ret = EBUSY;
	} else if (!take_tsih(server, session)) {
		ret = ENOSPC;
	} else {
		list_add_tail(&session->reg_link, &server->sessions);
		if (session->tgt)
			list_add_tail(&session->hash_link,
				      bucket(server, session));
	}
	pthread_mutex_unlock(&server->lock);

	if (ret != EBUSY)
		free(waiter);
	else if (!post(old_lane, old_id, lane_got_kill))
		ret = ENOMEM;
	return ret;
}

static void unregister(struct iscsi_session *session)
{
	struct iscsi_server *server = session->lane->server;
	struct list_head waiters, *pos, *n;

	list_init(&waiters);
	pthread_mutex_lock(&server->lock);
	list_del(&session->reg_link);
	list_del(&session->hash_link);
	if (session->tsih)
		server->by_tsih[session->tsih] = NULL;
	list_for_each_safe(pos, n, &session->waiters)
	{
		list_del(pos);
		list_add_tail(pos, &waiters);
	}
	pthread_mutex_unlock(&server->lock);

	list_for_each_safe(pos, n, &waiters)
	{
		struct iscsi_waiter *waiter =
			list_entry(pos, struct iscsi_waiter, link);

		list_del(pos);
		/* Without memory that login times out. */
		post(waiter->lane, waiter->conn_id, lane_got_wake);
		free(waiter);
	}
}

/* ---- the end ---- */

/*
 * Tasks without a running command go at once, others when it finishes. If the
 * session goes on, its initiator hears of it (RFC 7143 7.6).
 */
static void end_tasks(struct iscsi_session *session,
		      const struct iscsi_conn *conn)
{
	struct list_head *pos, *n;

	iscsi_drop_held(session, conn);
	list_for_each_safe(pos, n, &session->tasks)
	{
		struct iscsi_task *task =
			list_entry(pos, struct iscsi_task, link);

		if (task->conn != conn)
			continue;
		if (session->num_conns && task->scsi.lu)
			scsi_nexus_unit_attention(session->nexus, task->scsi.lu,
						  ASC_CLEARED_BY_ISCSI_EVENT);
		conn->share->held -= task->buf.size + task->own;
		task->conn = NULL;
		task->cid = conn->cid;
		list_del(&task->turn.link);
		task->aborted = task->scsi.aborted = true;
		/* A running command cannot be called back from the disk. */
		if (task->state != TASK_RUN)
			iscsi_task_free(task);
	}
}

void iscsi_session_enter(struct iscsi_session *session, struct iscsi_conn *conn)
{
	conn->session = session;
	list_add_tail(&conn->session_link, &session->conns);
	session->num_conns++;
}

void iscsi_session_leave(struct iscsi_conn *conn)
{
	struct iscsi_session *session = conn->session;

	conn->session = NULL;
	list_del(&conn->session_link);
	session->num_conns--;
	iscsi_session_pin(session); /* its end is at the end of this */
	end_tasks(session, conn);
	if (conn->record)
		iscsi_report_conn_end(session->lane->server, session->record,
				      conn->record);
	if (conn->record && !conn->expected_end)
		iscsi_async_dropped(session, conn->cid);
	iscsi_fence_left(session);
	iscsi_session_unpin(session);
}

struct iscsi_conn *iscsi_session_conn(struct iscsi_session *session,
				      uint16_t cid)
{
	struct list_head *pos;

	list_for_each (pos, &session->conns) {
		struct iscsi_conn *conn =
			list_entry(pos, struct iscsi_conn, session_link);

		if (conn->cid == cid)
			return conn;
	}
	return NULL;
}

bool iscsi_session_busy(const struct iscsi_session *session, uint16_t cid)
{
	const struct list_head *pos;

	list_for_each (pos, &session->tasks) {
		const struct iscsi_task *task =
			list_entry(pos, struct iscsi_task, link);

		if (!task->conn && task->cid == cid)
			return true;
	}
	return false;
}

void iscsi_session_close(struct iscsi_session *session,
			 const struct iscsi_conn *except)
{
	struct list_head *pos, *n;

	iscsi_session_pin(session); /* it may end with the last of them */
	list_for_each_safe(pos, n, &session->conns)
	{
		struct iscsi_conn *conn =
			list_entry(pos, struct iscsi_conn, session_link);

		conn->expected_end = true;
		if (conn != except)
			iscsi_conn_close(conn);
	}
	iscsi_session_unpin(session);
}

void iscsi_session_drop(struct iscsi_session *session)
{
	iscsi_session_pin(session); /* it may end with the first of them */
	iscsi_async_session_dropped(session);
	iscsi_session_close(session, NULL);
	iscsi_session_unpin(session);
}

void iscsi_session_unpin(struct iscsi_session *session)
{
	session->pins--;
	iscsi_session_reap(session);
}

void iscsi_session_reap(struct iscsi_session *session)
{
	struct lane *lane = session->lane;

	if (session->num_conns || session->num_tasks || session->pins)
		return;
	list_del(&session->lane_link);
	/* What counts as received and aborted is of no connection. */
	iscsi_drop_held(session, NULL);
	while (!list_empty(&session->functions))
		list_del(session->functions.next);
	iscsi_fence_drop(session);
	/* The nexus goes before a new session may take its place. */
	if (session->nexus) {
		scsi_nexus_lost(session->nexus);
		scsi_nexus_free(session->nexus);
	}
	unregister(session);
	if (session->record)
		iscsi_report_session_end(lane->server, session->record);
	if (session->conf)
		iscsi_conf_unref(session->conf);
	if (session->proven)
		iscsi_conf_unref(session->proven);
	if (session->tgt)
		iscsi_tgt_unref(session->tgt);
	free(session);
	iscsi_drain_check(lane);
}

/* ---- changed configuration ---- */

static bool same_map(const struct scsi_lun_map *a, const struct scsi_lun_map *b)
{
	if (a->count != b->count)
		return false;
	for (uint32_t i = 0; i < a->count; i++) {
		if (a->entry[i].lun != b->entry[i].lun ||
		    a->entry[i].lu != b->entry[i].lu)
			return false;
	}
	return true;
}

/* Those that the configuration does not admit; NULL: all. */
static void logout_conns(struct iscsi_session *session,
			 const struct iscsi_conf *conf)
{
	struct list_head *pos, *n;

	list_for_each_safe(pos, n, &session->conns)
	{
		struct iscsi_conn *conn =
			list_entry(pos, struct iscsi_conn, session_link);

		if (!conf || !iscsi_conf_serves(conf, &conn->local) ||
		    !iscsi_acl_has(conf, &conn->admitted))
			iscsi_async_logout(conn);
	}
}

/* Of what IHost sets, MaxRecvDataSegmentLength alone is not settled by the
 * login for good (RFC 7143 13.12). What was declared before is still taken. */
static void ask_to_negotiate(struct iscsi_session *session)
{
	struct list_head *pos, *n;

	list_for_each_safe(pos, n, &session->conns)
	{
		struct iscsi_conn *conn =
			list_entry(pos, struct iscsi_conn, session_link);

		if (conn->target_mrdsl < session->conf->target_mrdsl)
			conn->target_mrdsl = session->conf->target_mrdsl;
		iscsi_async_negotiate(conn);
	}
}

/* The lane got word that the target's configuration changed. */
static void conf_changed(struct iscsi_session *session)
{
	struct iscsi_conf *conf = iscsi_tgt_conf(session->tgt);
	struct iscsi_conf *old = session->conf;

	if (!conf) {
		/* Removed: no unit is to be reached from here any more. */
		static const struct scsi_lun_map none;

		scsi_nexus_set_map(session->nexus, &none);
		session->conf = NULL;
		iscsi_conf_unref(old);
		iscsi_session_pin(session);
		logout_conns(session, NULL);
		iscsi_session_unpin(session);
		return;
	}
	if (conf == old) {
		iscsi_conf_unref(conf);
		return;
	}
	session->conf = conf;
	iscsi_session_pin(session); /* it may end with its connections */
	if (!same_map(conf->map, old->map))
		scsi_nexus_set_map(session->nexus, conf->map);
	if (conf->target_mrdsl != old->target_mrdsl)
		ask_to_negotiate(session);
	iscsi_conf_unref(old);
	logout_conns(session, conf->enabled ? conf : NULL);
	iscsi_session_unpin(session);
}

struct tgt_msg {
	struct msg msg;
	struct iscsi_tgt *tgt;
};

static void lane_got_tgt_changed(struct msg *msg, void *receiver)
{
	struct tgt_msg *m = (struct tgt_msg *)(void *)msg;
	struct lane *lane = receiver;
	struct list_head *pos, *n;

	list_for_each_safe(pos, n, &lane->sessions)
	{
		struct iscsi_session *session =
			list_entry(pos, struct iscsi_session, lane_link);

		if (session->tgt == m->tgt && session->conf && session->nexus)
			conf_changed(session);
	}
	iscsi_tgt_unref(m->tgt);
	free(m);
}

void iscsi_lane_tgt_changed(struct iscsi_server *server, struct iscsi_tgt *tgt)
{
	for (unsigned i = 0; i < server->num_lanes; i++) {
		struct tgt_msg *m = calloc(1, sizeof(*m));

		if (!m)
			abort();
		m->msg.handle = lane_got_tgt_changed;
		m->tgt = iscsi_tgt_ref(tgt);
		msgq_post(&server->lanes[i].inbox, &m->msg);
	}
}
