/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The server behind target.h, as the rest of target/ sees it: what lanes and
 * the main thread share, and the rules for it.
 *
 * - A target's configuration is an immutable, reference-counted snapshot
 *   (struct iscsi_conf). The current one hangs off the target under
 *   server->lock; sessions hold the one that they work with.
 * - The registry (targets by name, sessions by name and TSIH, portals,
 *   connection counts) is under server->lock, held for a few instructions and
 *   never across a system call. The hot path does not take it.
 * - What target.h reports about sessions is the main thread's own copy, fed
 *   by messages from the lanes.
 */
#ifndef ISTM_TARGET_ISCSI_SERVER_H
#define ISTM_TARGET_ISCSI_SERVER_H

#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>

#include "target/lane.h"
#include "lib/list.h"
#include "target/msgq.h"
#include "target/scsi.h"
#include "target/target.h"

struct iscsi_conn;
struct iscsi_session;

/* ---- limits ---- */

#define ISCSI_CONNS_PER_ADDRESS 1024
#define ISCSI_MAX_CONNS		16384
#define ISCSI_LOGIN_TIMEOUT	15 /* seconds from accept to full feature */
/* What an initiator has left to log out after an asynchronous request. */
#define ISCSI_LOGOUT_GRACE 3
/* And to ask what there is to negotiate. */
#define ISCSI_NEGOTIATION_GRACE 15
#define ISCSI_PING_INTERVAL	15 /* of silence; and for the answer */
/* Seconds without a byte of what an R2T has asked for, or into a full socket.
 */
#define ISCSI_DATA_TIMEOUT 60
/* How long a multi-task abort waits for data that R2Ts have asked for, in
 * seconds of silence. Linux's initiator does not send it any more once it has
 * sent a reset (node.session.iscsi.FastAbort, its default), against RFC 7143
 * 4.2.3.3; 11.5.1 would let us drop its connection. */
#define ISCSI_ABORT_TIMEOUT   3
#define ISCSI_MAX_CONNECTIONS 32 /* of a session, unless configured */

/* ---- targets ---- */

/* An initiator identification, parsed. */
struct iscsi_acl_id {
	enum iscsi_id_method method;
	char *value;
	union {
		struct in_addr in4;
		struct in6_addr in6;
	};
};

/* One immutable configuration of a target. */
struct iscsi_conf {
	atomic_uint refs;
	char name[ISCSI_NAME_MAX + 1]; /* lower case */
	bool enabled, chap, reverse_chap, enforce_idle_timeout;
	char *alias;
	char *chap_user, *chap_secret;
	char *reverse_user, *reverse_secret;
	uint32_t target_mrdsl, first_burst, max_burst;
	struct iscsi_acl_id *ids;
	size_t num_ids;
	/* The list by hash: first[hash & mask], next[i] (iscsi_acl.c); and
	 * those of it that have to be looked up. */
	uint32_t *id_first, *id_next, id_mask;
	uint32_t *looked_up;
	size_t num_looked_up;
	bool some_portals;
	struct sockaddr_storage *portals;
	size_t num_portals;
	uint32_t processors; /* 0: any */
	struct scsi_lun_map *map;
	struct iscsi_lu **lus; /* by position in the map; main thread */
};

struct iscsi_tgt {
	atomic_uint refs; /* registry, sessions, messages */
	struct iscsi_server *server;
	struct list_head link;	    /* server->tgts, under lock */
	struct list_head hash_link; /* server->tgt_hash, under lock */
	struct iscsi_conf *conf;    /* under lock; NULL when removed */

	/* Main thread only. */
	void *private_data;
	bool removed;
	size_t num_sessions;
	struct list_head records; /* iscsi_record.tgt_link */
};

struct iscsi_lu {
	struct iscsi_server *server;
	struct scsi_lu *scsi;
	struct vhd_disk *disk;
	void *private_data; /* the owner's */
	/* Main thread only. */
	struct list_head link; /* server->lus */
	size_t num_sessions;   /* that see it */
	bool removing;
	struct iscsi_lu_store *storing; /* the owner has it */
	/* Under store_lock: comes after that, or has not arrived. */
	struct iscsi_lu_store *to_store;
};

struct iscsi_conf *iscsi_conf_ref(struct iscsi_conf *conf);
void iscsi_conf_unref(struct iscsi_conf *conf);
struct iscsi_tgt *iscsi_tgt_ref(struct iscsi_tgt *tgt);
void iscsi_tgt_unref(struct iscsi_tgt *tgt);

/* Any thread: look up by name, case-insensitively. References to the target
 * and, when @conf is not NULL, to its configuration are the caller's. */
struct iscsi_tgt *iscsi_tgt_find(struct iscsi_server *server, const char *name,
				 struct iscsi_conf **conf);
/* Any thread: the target's configuration now; NULL when it was removed. */
struct iscsi_conf *iscsi_tgt_conf(struct iscsi_tgt *tgt);

/* Main thread: a session of the target came (+1) or went (-1). */
void iscsi_tgt_count(struct iscsi_tgt *tgt, int change);
/* Main thread: take a unit out of the target's map, if it is there. */
void iscsi_tgt_unmap(struct iscsi_tgt *tgt, const struct iscsi_lu *lu);
/* When the lanes have stopped. */
void iscsi_tgts_free(struct iscsi_server *server);

/* ---- portals ---- */

/* Is the target reached through this address of ours? */
bool iscsi_conf_serves(const struct iscsi_conf *conf,
		       const struct sockaddr_storage *local);

struct iscsi_portal_group {
	uint16_t tag;
	enum scsi_access access;
};

/* Main thread: tell a new unit of all groups. */
void iscsi_portal_groups_tell(const struct iscsi_server *server,
			      struct scsi_lu *lu);

struct iscsi_portal {
	struct list_head link;	       /* server->portals, under lock */
	struct sockaddr_storage addr;  /* as bound */
	struct sockaddr_storage asked; /* as given, main thread */
	socklen_t len;
	uint16_t tag;
	int fd; /* closed by lane 0 */
};

/* Any thread: does a portal listen at this address, on whatever port? */
bool iscsi_portal_exists(struct iscsi_server *server,
			 const struct sockaddr_storage *local);

/* Main thread, when the lanes have been started. */
void iscsi_lane_processors(struct iscsi_server *server);
/* The lane's thread: run on its processor only, from now on. */
void iscsi_lane_bind(struct lane *lane);

void iscsi_listeners_close(struct lane *lane);
bool iscsi_listeners_tick(struct lane *lane);
void iscsi_listeners_reap(struct lane *lane);

/* ---- the server ---- */

#define ISCSI_HASH 1024

/* Connections of one peer address. */
struct iscsi_peer {
	struct list_head link;
	struct in6_addr addr;
	unsigned conns;
};

struct iscsi_server {
	struct tevent_context *ev;
	struct iscsi_server_ops ops;
	void *private_data;
	unsigned spin; /* µs */
	unsigned login_timeout, ping_interval, data_timeout;
	unsigned max_connections; /* of a session */
	uint64_t lane_buffers;	  /* each lane's part of what data may use */
	bool discovery_chap;
	struct iscsi_redirect *redirects; /* children of the server */
	size_t num_redirects;
	int debug_level;
	void (*log)(int level, const char *message);
	struct msgq inbox; /* of the main thread */
	struct tevent_fd *inbox_fde;
	/* Whose space is being looked at (iscsi_lu.c), or when it will be. */
	struct tevent_timer *space_timer;
	struct tevent_req *space_req;
	struct iscsi_lu *space_lu;
	bool space_again;
	unsigned num_lanes;
	atomic_uint lanes_busy; /* while they stop */
	struct lane *lanes;
	struct iscsi_resolver *resolver;
	atomic_bool routing; /* a target has asked for processors */
	/* Counts iscsi_portals_logout(): connections that have not seen this
	 * one look whether their portal is there. */
	atomic_uint portals_gone;

	pthread_mutex_t lock;
	/* Under lock. */
	struct list_head tgts;
	struct list_head tgt_hash[ISCSI_HASH];
	struct list_head sessions; /* iscsi_session.reg_link */
	struct list_head session_hash[ISCSI_HASH];
	struct iscsi_session *by_tsih[65536];
	uint16_t last_tsih;
	struct list_head portals;
	struct list_head peers[ISCSI_HASH];
	unsigned num_conns;

	pthread_mutex_t store_lock;
	bool closing; /* under it: nothing is stored any more */

	/* Main thread only. */
	struct iscsi_portal_group groups[SCSI_MAX_PORTS];
	unsigned num_groups;
	struct list_head lus;
	struct list_head stores;  /* iscsi_lu_store.link: not answered */
	struct list_head records; /* iscsi_record.link */
	size_t num_records;
	struct iscsi_record *record_by_tsih[65536];
};

/* Main thread: no unit's state is stored any more; what waits is answered. */
void iscsi_lu_stores_close(struct iscsi_server *server);

/* Main thread's record of a session. */
struct iscsi_record {
	struct list_head link, tgt_link;
	struct iscsi_tgt *tgt;		/* reference; NULL for discovery */
	struct iscsi_session_info info; /* without connections */
	struct list_head conns;
	size_t num_conns;
};

/* And of a connection. */
struct iscsi_conn_record {
	struct list_head link;
	struct iscsi_connection_info info;
};

/* Lanes report; each makes a message of it. The record becomes the main
 * thread's and the pointer a handle. */
void iscsi_report_session(struct iscsi_server *server,
			  struct iscsi_record *record);
void iscsi_report_session_end(struct iscsi_server *server,
			      struct iscsi_record *record);
/* Between the two, for each connection. */
void iscsi_report_conn(struct iscsi_server *server, struct iscsi_record *record,
		       struct iscsi_conn_record *conn);
void iscsi_report_conn_end(struct iscsi_server *server,
			   struct iscsi_record *record,
			   struct iscsi_conn_record *conn);
void iscsi_report_login(struct iscsi_server *server,
			const struct iscsi_login_event *event);

/* An address as IPv6, mapped if it is IPv4; without a port. */
struct in6_addr iscsi_addr_key(const struct sockaddr_storage *addr);

/* Counts a peer's connection. @return false when it has too many */
bool iscsi_peer_add(struct iscsi_server *server,
		    const struct sockaddr_storage *peer);
void iscsi_peer_del(struct iscsi_server *server,
		    const struct sockaddr_storage *peer);

/* Any thread: where does this login belong? NULL: here.
 * @param target a normalized name */
const struct iscsi_redirect *iscsi_redirect_find(
	const struct iscsi_server *server, const char *target,
	const struct sockaddr_storage *local);

/* FNV-1a: of bytes, or byte by byte. */
uint32_t iscsi_hash(const void *data, size_t len);
#define ISCSI_HASH_INIT 2166136261u
static inline uint32_t iscsi_hash_byte(uint32_t hash, uint8_t byte)
{
	return (hash ^ byte) * 16777619u;
}

/* Compare and format addresses; IPv4-mapped ones are IPv4. */
void iscsi_addr_normalize(struct sockaddr_storage *addr);
/* The same but for the port? */
bool iscsi_addr_same(const struct sockaddr_storage *a,
		     const struct sockaddr_storage *b);
/* The address that stands for all of its family? */
bool iscsi_addr_any(const struct sockaddr_storage *addr);
#define ISCSI_ADDR_STR 64
const char *iscsi_addr_str(const struct sockaddr_storage *addr, char *out);

/* ---- logging ---- */

#define ISCSI_LOG_ERROR	 0
#define ISCSI_LOG_WARN	 1
#define ISCSI_LOG_NOTICE 3
#define ISCSI_LOG_INFO	 5
#define ISCSI_LOG_DEBUG	 10

void iscsi_log(struct iscsi_server *server, int level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* ---- waiting for I/O on all lanes ---- */

/*
 * An order to all lanes: let go of what matches, and say when that is done.
 * Made by the main thread (removal of a unit) or a lane (task management
 * that reaches other sessions). Freed after its done().
 */
struct iscsi_drain {
	struct msg msg;	       /* of its end, to the lane that wants it */
	atomic_uint remaining; /* lanes that have not finished */
	struct iscsi_server *server;
	/* Which tasks, of those delivered to the device server: */
	struct scsi_lu *lu;	 /* of this unit; NULL: of any */
	struct iscsi_tgt *tgt;	 /* of this target, a reference; NULL: any */
	struct iscsi_conf *conf; /* and all that uses its units, the same */
	uint64_t only;		 /* session id; 0: of any */
	struct scsi_nexus_set *nexuses; /* of these, its own; NULL: of any */
	bool has_itt, has_cid;
	uint32_t itt;
	uint16_t cid; /* of a connection that has gone */
	/* End them; else those that still wait for data get told that their
	 * unit has gone. */
	bool abort;
	bool multi;  /* a multi-task abort of RFC 7143 4.2.3 */
	bool medium; /* those only that use the medium of @lu, and its copies:
		      * end these, and those that do not have their data */
	const struct scsi_task *by_task; /* the command that wants it */
	/* The session that wants it, 0: none does; of its commands not those
	 * that came later (lane->delivered). */
	uint64_t by, by_order;
	bool told; /* others than that hear TASK ABORTED */
	/* The session that wants it ends with its response; those of @tgt, if
	 * there is one, end now. */
	bool close;
	struct list_head function; /* session->functions */
	/* On @lane; without one on the thread of the last to finish. */
	void (*done)(struct iscsi_drain *drain);
	void *private_data;
	struct lane *lane; /* of who started it, if a lane */
	uint64_t conn_id;  /* and what it is for, if a connection's */
	uint32_t tag;
};

/* @return NULL when out of memory */
struct iscsi_drain *iscsi_drain_new(struct iscsi_server *server);
/* For a connection, which may be gone when it is done (iscsi_conn_find()).
 * @param tag of the request */
struct iscsi_drain *iscsi_drain_for(const struct iscsi_conn *conn, uint32_t tag,
				    void (*done)(struct iscsi_drain *drain));
/* @param lane the only one concerned; NULL: all */
void iscsi_drain_start(struct iscsi_drain *drain, struct lane *lane);

#endif /* ISTM_TARGET_ISCSI_SERVER_H */
