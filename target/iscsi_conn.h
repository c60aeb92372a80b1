/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Connections: reception, output, and the PDUs that are not about tasks.
 * Everything here runs on the connection's lane.
 */
#ifndef ISTM_TARGET_ISCSI_CONN_H
#define ISTM_TARGET_ISCSI_CONN_H

#include "target/iscsi_proto.h"
#include "target/iscsi_server.h"
#include "target/iscsi_session.h"
#include "target/iscsi_text.h"

struct iscsi_login;

/* Text and other payload that is short enough to be kept in any case. */
#define ISCSI_KEPT_ALWAYS 8192

enum iscsi_conn_state {
	CONN_LOGIN,   /* not yet in full feature phase */
	CONN_FULL,    /* full feature phase */
	CONN_CLOSING, /* nothing more is read; closed when all is sent */
	CONN_DEAD,    /* closed, to be freed at the end of the pass */
};

/* Output queued beyond which nothing more is read from the connection, so
 * that a reader that never drains costs no more than this. */
#define ISCSI_OUT_HIGH (4u << 20)
#define ISCSI_OUT_LOW  (1u << 20)
/* The same for PDUs, which cost more memory than their bytes. */
#define ISCSI_OUT_PDUS 4096

/* Reads from this size on are sent from the page cache without being copied
 * (measured: from 16 KiB on it is cheaper than a read and a copy); unless so
 * much is in line already that the socket is not likely to take them. */
#define ISCSI_SOURCE_MIN  32768
#define ISCSI_SOURCE_LINE (64u << 10)

/* A PDU on its way out. */
struct iscsi_out {
	struct list_head link;
	uint8_t bhs[ISCSI_BHS_LEN + ISCSI_DIGEST_LEN];
	uint8_t hdr_len;
	uint8_t tail_len;
	uint8_t tail[3 + ISCSI_DIGEST_LEN]; /* padding, data digest */
	/* Data: a part of a scattered buffer. */
	const struct iovec *iov;
	int iovcnt;
	uint32_t off, len;
	/* Not read into iov: to be sent from here. Byte @off of the transfer
	 * is at source->offset + off. */
	const struct vhd_source *source;
	struct iovec one;	 /* for data in one piece */
	void *owned;		 /* freed when sent */
	struct iscsi_task *task; /* its last PDU: goes when sent */
};

enum iscsi_rx_state { RX_HEADER, RX_DATA, RX_TAIL };

struct iscsi_conn {
	struct lane_fd lfd;
	struct lane *lane;
	struct iscsi_server *server;
	struct list_head lane_link, dirty_link, run_link;
	struct list_head session_link; /* session->conns */
	uint64_t id;		       /* never used again on this lane */
	int fd;
	enum iscsi_conn_state state;
	struct sockaddr_storage peer, local;
	uint16_t tpgt, cid;
	char name[ISCSI_ADDR_STR]; /* of the peer, for messages */
	uint64_t since, last_rx;   /* lane_now() */
	uint64_t deadline;	   /* close then; 0: none */
	unsigned portals_gone;	   /* of the server, when it last looked */
	bool ping_sent;
	bool logged;	   /* one refusal of input has been logged */
	bool routed;	   /* its lane is final */
	bool expected_end; /* logged out or replaced: no event for it */

	/* Reception. */
	bool readable, hup, paused;
	bool waiting; /* login waits for another thread: read nothing */
	enum iscsi_rx_state rx_state;
	unsigned hdr_have, hdr_need;
	uint32_t data_len; /* of this PDU */
	uint32_t data_have;
	unsigned tail_have, tail_need;
	uint32_t rx_crc;
	bool rx_refused; /* rejected by its header */
	bool rx_digest;	 /* there is a data digest to check */
	/* Where the payload goes; rx_iov NULL: nowhere. */
	const struct iovec *rx_iov;
	int rx_iovcnt;
	uint32_t rx_off;
	struct iovec rx_one;
	uint8_t *rx_owned;	    /* payload of a PDU without a task, */
	uint32_t rx_owned_len;	    /* counted as held */
	struct iscsi_task *rx_task; /* SCSI command or Data-Out */
	uint8_t hdr[ISCSI_HDR_MAX];
	uint8_t tail[3 + ISCSI_DIGEST_LEN];

	/* Output. */
	struct list_head out;
	uint32_t out_sent; /* of the first PDU */
	size_t out_bytes;
	unsigned out_pdus;
	bool writable;
	uint64_t stuck; /* lane->ticked when the socket was last found full */
	uint32_t statsn;
	uint8_t exp_statsn[4]; /* of the last PDU, as it came */
	/* A fence waits for what was sent before this to be acknowledged. */
	bool fence_waits;
	uint32_t fence_statsn;
	uint64_t fence_since;
	bool header_digest, data_digest; /* from full feature phase on */

	struct iscsi_login *login; /* until full feature phase */
	struct iscsi_session *session;
	struct iscsi_lookup *lookup; /* of the peer's names; may be NULL */
	/* The identification that admitted it; value is its own copy, NULL in
	 * a discovery session. */
	struct iscsi_acl_id admitted;
	struct iscsi_conn_record *record;
	uint32_t initiator_mrdsl;     /* the most that we may send in a PDU */
	uint32_t target_mrdsl;	      /* the most that we take */
	struct iscsi_share *share;    /* of memory for data */
	uint64_t reserved;	      /* of running tasks' buffers */
	struct list_head hungry_link; /* lane->hungry */
	unsigned bursts;	      /* large ones that R2Ts have asked for */
	unsigned due; /* answers that wait for tasks to end: TMFs, logouts */
	struct list_head waiters;	   /* tasks that wait for buffers */
	const struct iscsi_task *retrying; /* the first of them, its turn */

	/* Text negotiation in full feature phase. */
	struct iscsi_text text_in, text_out;
	uint32_t text_itt, text_ttt;
	size_t text_held; /* of memory, a login's too */
	bool redeclare;	  /* what we take in a PDU has changed: say so */
	size_t text_off;
};

/* ---- connections (iscsi_conn.c) ---- */

/* Any thread: hand an accepted socket to a lane. Takes the socket; the peer
 * has been counted. */
void iscsi_conn_assign(struct iscsi_server *server, int fd,
		       const struct sockaddr_storage *peer,
		       const struct sockaddr_storage *local, uint16_t tpgt,
		       unsigned portals_gone);
/*
 * Hand a connection whose first PDU this is to another lane, which will read
 * the PDU again, and with @bind stay on its processor. @return false when out
 * of memory: it stays
 */
bool iscsi_conn_move(struct iscsi_conn *conn, struct lane *lane, bool bind,
		     const uint8_t *data, uint32_t len);
/* Close now. Freed at the end of the pass. */
void iscsi_conn_close(struct iscsi_conn *conn);
/* Read nothing more, send what is queued, then close. */
void iscsi_conn_finish(struct iscsi_conn *conn);
/* Log why, once per connection, and close. */
void iscsi_conn_fail(struct iscsi_conn *conn, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* A complaint that does not end the connection; the first is logged. */
void iscsi_conn_warn(struct iscsi_conn *conn, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
struct iscsi_conn *iscsi_conn_find(struct lane *lane, uint64_t id);
/* Let it be read (again) in this pass or the next. */
void iscsi_conn_runnable(struct iscsi_conn *conn);
/* Initiator's name if known, and address. */
const char *iscsi_conn_who(const struct iscsi_conn *conn, char out[320]);

/* For lane.c. */
void iscsi_lane_init_pools(struct lane *lane);
void iscsi_lane_run(struct lane *lane);
void iscsi_lane_pass(struct lane *lane);
bool iscsi_lane_tick(struct lane *lane);
void iscsi_lane_close_all(struct lane *lane);
bool iscsi_lane_stopped(struct lane *lane);
/* Free connections that have been closed. */
void iscsi_lane_reap(struct lane *lane);

/* ---- reception (iscsi_rx.c) ---- */

/* Take what has arrived, up to a fair share. */
void iscsi_rx(struct iscsi_conn *conn);
/* Parse bytes as if they had been received. */
void iscsi_rx_feed(struct iscsi_conn *conn, const uint8_t *data, size_t len);

/* Free the payload that was kept. */
void iscsi_rx_forget(struct iscsi_conn *conn);

/* ---- dispatch (iscsi_dispatch.c) ---- */

/* The header is complete and its lengths are sound: decide where the payload
 * goes. */
void iscsi_pdu_header(struct iscsi_conn *conn);
/* The PDU is complete. */
void iscsi_pdu_complete(struct iscsi_conn *conn, bool digest_ok);
/* A request other than a SCSI command whose turn has come. */
void iscsi_request(struct iscsi_conn *conn, const uint8_t *bhs,
		   const uint8_t *data, uint32_t len);
void iscsi_reject(struct iscsi_conn *conn, uint8_t reason, const uint8_t *bhs);

/* ---- SCSI commands and their data (iscsi_task.c, iscsi_data.c) ---- */

void iscsi_cmd_header(struct iscsi_conn *conn);
void iscsi_cmd_complete(struct iscsi_conn *conn);
void iscsi_data_out_header(struct iscsi_conn *conn);
void iscsi_data_out_complete(struct iscsi_conn *conn, bool digest_ok);

/* ---- memory (iscsi_memory.c) ---- */

/* What the connections of one address have, on one lane. */
struct iscsi_share {
	struct list_head link; /* lane->shares */
	struct in6_addr addr;
	unsigned conns;
	uint64_t held; /* bytes */
};

/* That of a connection's peer. @return NULL when out of memory */
struct iscsi_share *iscsi_share_get(struct lane *lane,
				    const struct sockaddr_storage *peer);
void iscsi_share_put(struct iscsi_share *share);

/* May the connection have so much more? It leaves to others as much as its
 * address has. */
static inline bool iscsi_memory_may(const struct iscsi_conn *conn,
				    uint32_t size)
{
	const struct lane *lane = conn->lane;

	return conn->share->held + lane->held + 2 * (uint64_t)size <=
	       lane->budget;
}

/* It has, and has no longer. */
static inline void iscsi_memory_take(struct iscsi_conn *conn, uint32_t size)
{
	conn->share->held += size;
	conn->lane->held += size;
}

static inline void iscsi_memory_give(struct iscsi_conn *conn, uint32_t size)
{
	conn->share->held -= size;
	conn->lane->held -= size;
}

/* Count what the connection's texts have. @return false: they are to go, it is
 * more than short ones have, and others would lack it */
bool iscsi_memory_text(struct iscsi_conn *conn);
/* They have gone. */
void iscsi_memory_no_text(struct iscsi_conn *conn);

/* Some was given back: let a connection that waits for it try again. */
void iscsi_memory_wake(struct lane *lane);

/* ---- output (iscsi_tx.c) ---- */

#define STATSN_NONE 0 /* leave the field alone */
#define STATSN_SHOW 1 /* the next one, without using it up */
#define STATSN_NEXT 2 /* this PDU has one */

/* @return NULL when out of memory: the connection has been closed then */
struct iscsi_out *iscsi_out_new(struct iscsi_conn *conn, uint8_t opcode);
void iscsi_out_data(struct iscsi_out *out, const void *data, uint32_t len);
/* Number it, add digests and put it in line. */
void iscsi_out_queue(struct iscsi_conn *conn, struct iscsi_out *out,
		     int statsn);
/* Is it worth trying to send a read's data from the page cache? */
bool iscsi_tx_may_source(const struct iscsi_conn *conn);
/* Send now, and read what the socket did not take: when this returns, no PDU
 * in line refers to a file any more. */
void iscsi_tx_source(struct iscsi_conn *conn);
/* Send what the socket takes. */
void iscsi_tx(struct iscsi_conn *conn);
/* The same, and nothing of what may come of it. */
void iscsi_tx_flush(struct iscsi_conn *conn);
void iscsi_tx_drop(struct iscsi_conn *conn);

/* ---- login (iscsi_login.c) ---- */

void iscsi_login_pdu(struct iscsi_conn *conn, const uint8_t *data,
		     uint32_t len);
/* The first request: has the connection gone to another lane? */
bool iscsi_login_route(struct iscsi_conn *conn, const uint8_t *data,
		       uint32_t len);
void iscsi_login_free(struct iscsi_login *login);
/* What the login waited for has happened. */
void iscsi_login_resume(struct iscsi_conn *conn);
/* The same, if it is still there and waiting. */
void iscsi_login_wake(struct lane *lane, uint64_t conn_id);

/* ---- text requests and discovery (iscsi_text_req.c) ---- */

/* May the connection's initiator know of the target where it asks? */
bool iscsi_conf_visible(const struct iscsi_conn *conn,
			const struct iscsi_conf *conf);
void iscsi_text_request(struct iscsi_conn *conn, const uint8_t *bhs,
			const uint8_t *data, uint32_t len);

/* ---- others (iscsi_misc.c, iscsi_tmf.c) ---- */

void iscsi_nop_out(struct iscsi_conn *conn, const uint8_t *bhs,
		   const uint8_t *data, uint32_t len);
void iscsi_nop_in_ping(struct iscsi_conn *conn);
void iscsi_logout(struct iscsi_conn *conn, const uint8_t *bhs);
/* Ask the initiator to log out, and close after the grace period. */
void iscsi_async_logout(struct iscsi_conn *conn);
/* It did not: the connection will be dropped (event 2). */
void iscsi_async_dropping(struct iscsi_conn *conn);
/* All of the session's will be (event 3), at once: told as far as the socket
 * takes it. */
void iscsi_async_session_dropped(struct iscsi_session *session);
/* The target has something to declare (event 4). */
void iscsi_async_negotiate(struct iscsi_conn *conn);
/* The unit's tasks end (event 5). */
void iscsi_async_terminated(struct iscsi_conn *conn, const uint8_t lun[8]);
/* Tell of a connection that has ended, on another one of its session. */
void iscsi_async_dropped(struct iscsi_session *session, uint16_t cid);
void iscsi_tmf(struct iscsi_conn *conn, const uint8_t *bhs);
void iscsi_tmf_respond(struct iscsi_conn *conn, uint32_t itt, uint8_t response);

#endif /* ISTM_TARGET_ISCSI_CONN_H */
