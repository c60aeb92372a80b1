/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Sessions and tasks (RFC 7143 4.2, 4.4). A session, its connections and its
 * tasks belong to one lane; other threads read only the fields named so, under
 * server->lock. A connection that joins a session moves to its lane.
 */
#ifndef ISTM_TARGET_ISCSI_SESSION_H
#define ISTM_TARGET_ISCSI_SESSION_H

#include "target/iscsi_keys.h"
#include "target/iscsi_proto.h"
#include "target/iscsi_server.h"
#include "lib/list.h"
#include "target/scsi.h"

struct iscsi_conn;
struct iscsi_task;

/* Commands that a session may have outstanding: the command window. */
#define ISCSI_WINDOW 128
/* Immediate commands beside them (RFC 7143 4.2.2.1). */
#define ISCSI_MAX_IMMEDIATE 32
#define ISCSI_TASK_HASH	    64
/* Data of requests ahead of their turn. */
#define ISCSI_HELD_BYTES (1u << 20)
/* R2Ts of one task outstanding at a time. */
#define ISCSI_MAX_R2T 4
/* Buffers of running commands of one connection beyond which others wait. */
#define ISCSI_CONN_BUFFERS (16u << 20)
/* Requests of a connection whose answers wait for tasks to end. */
#define ISCSI_MAX_DUE 32
/* The longest transfer of one command, as the device server's limit (VPD B0h)
 * has it: an allocation length alone gets no more. */
#define ISCSI_MAX_TRANSFER (8u << 20)

/* Who wants to know when a session has ended: a login that replaces it. */
struct iscsi_waiter {
	struct list_head link;
	struct lane *lane;
	uint64_t conn_id;
};

enum iscsi_fence_state {
	FENCE_NONE,
	FENCE_BEFORE, /* what was sent before it is not yet acknowledged */
	FENCE_AFTER,  /* its response is not */
};

struct iscsi_session {
	/* Any thread under server->lock; immutable once registered. */
	struct list_head reg_link, hash_link;
	char initiator[ISCSI_NAME_MAX + 1];
	uint8_t isid[6];
	uint16_t tsih, tpgt;
	struct iscsi_tgt *tgt; /* reference; NULL for discovery */
	struct lane *lane;
	uint64_t id;		  /* of all lanes; never used again */
	struct list_head waiters; /* changes, under lock */

	/* The lane's thread only. */
	struct list_head lane_link;
	struct list_head conns; /* iscsi_conn.session_link, by age */
	unsigned num_conns;
	struct iscsi_conf *conf;
	struct iscsi_conf *proven; /* discovery: whose secret it knew */
	struct scsi_nexus *nexus;
	struct iscsi_params params;
	struct iscsi_record *record;
	bool chap_used;
	/* It has used a task attribute other than SIMPLE: what it reads is
	 * fetched before what it orders behind that runs. */
	bool orders;

	uint32_t exp_cmdsn, max_cmdsn;
	unsigned active;	/* tasks in the window without a response */
	unsigned immediate;	/* immediate ones */
	unsigned num_tasks;	/* all that exist */
	unsigned pins;		/* iscsi_session_pin() */
	struct list_head tasks; /* iscsi_task.link, by arrival */
	/* iscsi_drain.function: of task management, not yet responded to */
	struct list_head functions;
	struct list_head hash[ISCSI_TASK_HASH];
	struct list_head held; /* iscsi_held.link, by CmdSN */
	struct list_head line; /* iscsi_turn.link (iscsi_fence.c) */
	enum iscsi_fence_state fence;
	bool fencing; /* that is not NONE, or somebody is in line */
	const struct iscsi_turn *fenced; /* whose fence it is */
	size_t held_bytes;		 /* of data kept in held */
	uint32_t next_ttt;
};

/* A response that waits for a fence (iscsi_fence.c). */
struct iscsi_turn {
	struct list_head link;
	bool tmf; /* a struct of iscsi_fence.c, else a task's */
};

/* A request ahead of its turn: CmdSNs before it are missing. */
struct iscsi_held {
	struct list_head link;
	struct iscsi_conn *conn; /* NULL: nobody's */
	uint32_t cmdsn;
	bool immediate; /* waits for those before it, has no number itself */
	struct iscsi_task *task; /* a SCSI command, else the PDU: */
	uint8_t bhs[ISCSI_BHS_LEN];
	uint32_t len;
	uint8_t data[];
};

enum iscsi_task_state {
	TASK_HELD,    /* for its turn by CmdSN */
	TASK_BLOCKED, /* for others of its task set (iscsi_order.c) */
	TASK_DATA,    /* for data from the initiator */
	TASK_WAIT,    /* for memory */
	TASK_RUN,     /* in the device server */
	TASK_FENCED,  /* in line with its response */
	TASK_SEND,    /* for its response to leave */
};

/* Worth reading past the lane's buffer (iscsi_rx.c). */
#define ISCSI_LARGE_BURST 16384u

struct iscsi_burst {
	uint32_t ttt, off, len, datasn;
};

struct iscsi_task {
	struct scsi_task scsi;
	struct list_head link, hash_link;
	struct iscsi_turn turn; /* conn->waiters or session->line */
	struct iscsi_session *session;
	struct iscsi_conn *conn; /* its allegiance; NULL once it has gone */
	uint16_t cid;		 /* of the one that has gone */
	enum iscsi_task_state state;
	uint32_t itt, cmdsn, edtl;
	uint64_t order; /* lane->delivered, from delivery on */
	bool immediate, read, write;
	bool unsol_done; /* no more unsolicited data to come */
	bool failed;	 /* has its status before execution */
	bool aborted;	 /* no response */
	bool told;	 /* aborted, and TASK ABORTED is the response */
	bool announced;	 /* its end, by a message that has: */
	uint32_t told_statsn;

	/* Data from the initiator, in order. */
	uint32_t wanted;    /* bytes the command takes */
	uint32_t received;  /* so far */
	uint32_t solicited; /* asked for so far */
	uint32_t unsol_datasn;
	uint32_t r2tsn;
	unsigned r2ts; /* under way */
	struct iscsi_burst burst[ISCSI_MAX_R2T];

	struct buf buf;
	uint32_t counted; /* in conn->reserved */
	uint32_t own;	  /* of that, what the command allocates itself */
	uint64_t heard;	  /* lane->ticked when data came or was asked for */
	uint8_t sense[2 + SCSI_SENSE_MAX];
};

/* ---- sessions (iscsi_session.c) ---- */

struct iscsi_session *iscsi_session_new(struct lane *lane);
/* By struct iscsi_session.id; NULL: it is not there any more. */
struct iscsi_session *iscsi_session_by_id(const struct lane *lane, uint64_t id);
/* A connection becomes one of the session's, or is no longer: its tasks end,
 * and with the last connection the session. */
void iscsi_session_enter(struct iscsi_session *session,
			 struct iscsi_conn *conn);
void iscsi_session_leave(struct iscsi_conn *conn);
/* NULL: there is none. */
struct iscsi_conn *iscsi_session_conn(struct iscsi_session *session,
				      uint16_t cid);
/* Does a command of a connection that has gone still run? */
bool iscsi_session_busy(const struct iscsi_session *session, uint16_t cid);
void iscsi_session_close(struct iscsi_session *session,
			 const struct iscsi_conn *except);
/* The same for all, and tell the initiator (RFC 7143 11.9.1, event 3). */
void iscsi_session_drop(struct iscsi_session *session);
/* Any thread: where is the session? @return NULL: there is none */
struct lane *iscsi_session_lane(struct iscsi_server *server, uint16_t tsih);
/* That of a login, which has the same names, on the session's own lane.
 * @return NULL: there is none */
struct iscsi_session *iscsi_session_find(const struct iscsi_session *like,
					 uint16_t tsih);
/*
 * Enter a session into the registry and give it a TSIH.
 * @return 0; EBUSY when a session of the same name and ISID has to end first
 *         (@conn_id is told then); ENOSPC without free TSIHs
 */
int iscsi_session_register(struct iscsi_session *session, uint64_t conn_id);
/* After a task has gone: is the ended session finished too? */
void iscsi_session_reap(struct iscsi_session *session);
/* Between the two it stays there, whatever ends in it. */
static inline void iscsi_session_pin(struct iscsi_session *session)
{
	session->pins++;
}
void iscsi_session_unpin(struct iscsi_session *session);

/* For the device server: scsi_nexus_config.abort_nexuses, @private_data the
 * session. On its lane. */
bool iscsi_session_abort_nexuses(struct scsi_nexus_set *set, struct scsi_lu *lu,
				 struct scsi_task *by, void *private_data);
/* The same for .clear_medium */
bool iscsi_session_clear_medium(struct scsi_task *by, void *private_data);

/* A target's configuration has changed: have all lanes told. */
void iscsi_lane_tgt_changed(struct iscsi_server *server, struct iscsi_tgt *tgt);

/* ---- command ordering (iscsi_cmdsn.c) ---- */

enum iscsi_order {
	ORDER_NOW,   /* its turn */
	ORDER_AHEAD, /* within the window, but others are missing before */
	ORDER_DROP,  /* outside the window or a duplicate */
};
enum iscsi_order iscsi_cmdsn_check(struct iscsi_session *session,
				   uint32_t cmdsn);
/* It is in: expect the next. */
void iscsi_cmdsn_advance(struct iscsi_session *session);
/* Recompute what MaxCmdSN may be; it never goes back. */
uint32_t iscsi_max_cmdsn(struct iscsi_session *session);
/* @param conn where it came from; NULL: the number counts as received and has
 * nothing to it */
bool iscsi_hold(struct iscsi_session *session, struct iscsi_conn *conn,
		uint32_t cmdsn, struct iscsi_task *task, const uint8_t *bhs,
		const uint8_t *data, uint32_t len);
/* Deliver what waits for exactly this turn. */
void iscsi_release_held(struct iscsi_session *session);
/* What came on this connection, or with NULL all. */
void iscsi_drop_held(struct iscsi_session *session,
		     const struct iscsi_conn *conn);

/* ---- tasks (iscsi_task.c, iscsi_data.c, iscsi_memory.c) ---- */

struct iscsi_task *iscsi_task_find(struct iscsi_session *session, uint32_t itt);
/* Is it for that unit? */
bool iscsi_task_is_for(const struct iscsi_task *task, const struct scsi_lu *lu);
/* Free; the task is in no queue and not running. */
void iscsi_task_free(struct iscsi_task *task);
/* A task's last PDU has left. */
void iscsi_task_sent(struct iscsi_task *task);
/* Its turn has come: have it checked by the device server and go on. */
void iscsi_task_deliver(struct iscsi_task *task);
/* The same where others of its task set may have to end first. */
void iscsi_task_enable(struct iscsi_task *task);
/* Something has arrived or been freed: take the next step. */
void iscsi_task_advance(struct iscsi_task *task);
/* End with BUSY (SAM-5 5.3.1: try again later), when its data is in. */
void iscsi_task_busy(struct iscsi_task *task);
/* End with CHECK CONDITION, ABORTED COMMAND, when its data is in. */
void iscsi_task_fail(struct iscsi_task *task, uint16_t asc_ascq);
/* The same with LOGICAL UNIT NOT SUPPORTED: its unit has gone. */
void iscsi_task_no_unit(struct iscsi_task *task);
/* The same with NOT READY, of a task that has been prepared: its unit is about
 * to be erased. */
void iscsi_task_not_ready(struct iscsi_task *task);
/* End without a response. */
void iscsi_task_abort(struct iscsi_task *task);
/* The same, but what R2Ts have asked for comes first (RFC 7143 4.2.3.3). */
void iscsi_task_abort_later(struct iscsi_task *task);
/* Is it aborted, and data still to come? */
bool iscsi_task_lingers(const struct iscsi_task *task);
/* Data that R2Ts have asked for will not come: the initiator says that it has
 * heard of the end of the unit's tasks, in a message of an earlier StatSN than
 * this. */
void iscsi_task_told(struct iscsi_conn *conn, const uint8_t lun[8],
		     uint32_t exp_statsn);
/* What has been waited for for too long goes. */
void iscsi_task_end_lingering(struct iscsi_conn *conn, uint64_t now);
/* End with TASK ABORTED (SAM-5 5.6, TAS 1), when its data is in. */
void iscsi_task_abort_told(struct iscsi_task *task);
/* Make room for @size bytes. @return 0 or ENOMEM */
int iscsi_task_room(struct iscsi_task *task, uint32_t size);
/* The same for all that the task will need, within what its connection may
 * have. EAGAIN: the task waits in line and is advanced again. */
int iscsi_task_reserve(struct iscsi_task *task, uint32_t size);
void iscsi_task_respond(struct iscsi_task *task);
/* The same, past the session's fence. */
void iscsi_task_respond_now(struct iscsi_task *task);
/* Memory was given back: let the connection's tasks that wait go on. */
void iscsi_task_retry(struct iscsi_conn *conn);
/* The burst of the first R2T is over. */
void iscsi_task_burst_done(struct iscsi_task *task);
/* More R2Ts, as many as may be. */
void iscsi_task_solicit(struct iscsi_task *task);

/* ---- task attributes (iscsi_order.c) ---- */

/* Does the command, which has been delivered, have to wait for others? */
bool iscsi_order_blocks(const struct iscsi_task *task);
/* A task of the session has ended: let those run that waited for it. */
void iscsi_order_release(struct iscsi_session *session);

/* ---- response fences (iscsi_fence.c) ---- */

/* @return true: the response has to wait its turn, and comes by itself */
bool iscsi_fence_task(struct iscsi_task *task);
/* The response of a multi-task abort: now, or in its turn.
 * @param conn  NULL: the connection that wants it has gone
 * @param close the session goes with it, answered or not */
void iscsi_fence_tmf(struct iscsi_session *session, struct iscsi_conn *conn,
		     uint32_t itt, uint8_t response, bool close);
/* An acknowledgement may have come, while a fence stands. */
void iscsi_fence_heard(struct iscsi_conn *conn);
/* A connection has gone. */
void iscsi_fence_left(struct iscsi_session *session);
/* Is it time for who is in line? At the end of a pass. */
void iscsi_fence_check(struct iscsi_session *session);
/* Is the response of that request in line? */
bool iscsi_fence_has_tmf(const struct iscsi_session *session, uint32_t itt);
/* The session's end: nobody is in line any more. */
void iscsi_fence_drop(struct iscsi_session *session);

/* ---- drains (iscsi_drain.c) ---- */

/* A task has gone from a lane that has drains under way. */
void iscsi_drain_check(struct lane *lane);

#endif /* ISTM_TARGET_ISCSI_SESSION_H */
