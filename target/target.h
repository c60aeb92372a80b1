/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The iSCSI target: the one public header of target/.
 *
 * Everything here is called on the main thread. The target runs its lanes
 * (one thread per core, each with its own tevent context, io_uring and epoll)
 * and publishes configuration to them as immutable snapshots; nothing here
 * waits for a lane. What lanes report (sessions, logins) arrives on the main
 * thread as callbacks.
 */
#ifndef ISTM_TARGET_H
#define ISTM_TARGET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <talloc.h>
#include <tevent.h>

#include "target/scsi_access.h"
#include "vhd/vhd.h"

struct iscsi_server;
struct iscsi_tgt;
struct iscsi_lu;

#define ISCSI_NAME_MAX 223 /* RFC 7143 4.2.7.1 */

/* ---- the server ---- */

struct iscsi_login_event {
	const char *initiator_name;
	const char *target_name; /* "" for discovery */
	struct sockaddr_storage peer;
	bool discovery;
	bool accepted;
	uint8_t status_class, status_detail; /* RFC 7143 11.13.5 */
};

/* One request to keep a unit's state. */
struct iscsi_lu_store;

struct iscsi_server_ops {
	/* Every login attempt that got as far as an initiator name. */
	void (*login)(const struct iscsi_login_event *event,
		      void *private_data);
	/* A session has begun or ended; @tgt NULL for discovery. Counters
	 * and lists are up to date when it is called. */
	void (*session_changed)(struct iscsi_tgt *tgt, void *private_data);
	/*
	 * Keep what of a unit has to outlive a power loss (persistent
	 * reservations with APTPL, saved mode pages, identifying information,
	 * that it is being sanitized), in place of what was kept before; len 0:
	 * nothing any more. @state is opaque, valid during the call;
	 * iscsi_lu_config hands it back. Of a unit one comes at a time, with
	 * all changes until then. Initiators wait: answer with
	 * iscsi_lu_stored(), at once or later, when it is on stable storage.
	 * NULL: nothing is kept, and what needs that is not offered.
	 * @param lu_private  of the unit's configuration
	 */
	void (*lu_store)(void *lu_private, const void *state, size_t len,
			 struct iscsi_lu_store *store, void *private_data);
};

struct iscsi_server_config {
	unsigned lanes; /* 0: one per core */
	/* µs that a lane looks for events before it sleeps, while they follow
	 * each other that closely; 0: it sleeps at once. */
	unsigned spin;
	/* Seconds, 0: the default of 15. From accept to full feature phase;
	 * of silence before a ping, where idle timeouts are enforced, and for
	 * its answer. */
	unsigned login_timeout, ping_interval;
	/* Seconds, 0: the default of 60. Without progress of the data that a
	 * command waits for, or of what is sent. */
	unsigned data_timeout;
	/* Of one session (RFC 7143 13.2), 0: the default of 32. */
	unsigned max_connections;
	/* Bytes of memory for data on its way, of all connections together, in
	 * equal parts for the lanes; 0: an eighth of the machine's. */
	uint64_t buffers;
	/* Discovery sessions have to authenticate by CHAP, with the name and
	 * secret of a target that admits them. They see the targets that have
	 * the same, and those without CHAP. */
	bool discovery_chap;
	/* Logins that are sent elsewhere (RFC 7143 11.13.5); copied. */
	const struct iscsi_redirect {
		const char *target; /* this one, or NULL: those that came */
		struct sockaddr_storage portal; /* through this address */
		const char *to;			/* ADDRESS[:PORT] or a name */
		bool permanent;
	} * redirects;
	size_t num_redirects;
	const struct iscsi_server_ops *ops;
	void *private_data;
	int debug_level;
	/* Log sink, any thread: level 0 (error) … 10 (every PDU) as Samba's. */
	void (*log)(int level, const char *message);
};

/* @return NULL with errno set. talloc_free() stops lanes and closes all. */
struct iscsi_server *iscsi_server_create(TALLOC_CTX *mem_ctx,
					 struct tevent_context *ev,
					 const struct iscsi_server_config *cfg);

/*
 * How all units are reached through a portal group, which is a target port
 * group of its own (scsi_access.h). Groups are there from this, or from their
 * first portal, on: active/optimized. What initiators have set since for single
 * units ends, of all groups, when the state is another than before; what is
 * UNAVAILABLE they cannot change. Before the first unit, so that initiators
 * never see another state.
 * @param tag  1 to 65535
 * @return 0, EINVAL, or ENOSPC: there are SCSI_MAX_PORTS already
 */
int iscsi_portal_group_set(struct iscsi_server *server, uint16_t tag,
			   enum scsi_access access);

/* Listen on an address and port. @return 0 or errno: EEXIST, EAFNOSUPPORT, what
 * iscsi_portal_group_set(), bind(2) and listen(2) say */
int iscsi_portal_add(struct iscsi_server *server, const struct sockaddr *addr,
		     socklen_t len, uint16_t portal_group_tag);
/* What a portal is bound to: tells the port where 0 was asked for.
 * @return 0 or ENOENT */
int iscsi_portal_address(struct iscsi_server *server,
			 const struct sockaddr *asked, socklen_t len,
			 struct sockaddr_storage *bound);
/* Stop listening; the address is free on return. Connections already accepted
 * stay, unless iscsi_portals_logout() is called. @return 0, ENOENT or ENOMEM */
int iscsi_portal_remove(struct iscsi_server *server,
			const struct sockaddr *addr, socklen_t len);
/* Initiators that came through addresses where no portal listens now, whatever
 * the port, are asked to log out (RFC 7143 11.9.1), and disconnected if they do
 * not. Within a second each; logins under way fail. */
void iscsi_portals_logout(struct iscsi_server *server);

/* ---- logical units ---- */

struct iscsi_lu_config {
	uint8_t guid[16];
	char serial[33];
	char vendor[9], product[17], revision[5];
	uint32_t index; /* ISTM disk index */
	bool enabled;
	bool write_through; /* no write cache by default (SBC-3 6.5.5 WCE) */
	char volume[32];    /* what its space is of, for messages */
	/* Space is low when less of it is available than so many bytes, or
	 * than this part of the volume's size if that is not 0; both 0: never
	 */
	uint64_t threshold;
	unsigned threshold_percent; /* up to 100 */
	struct vhd_disk *disk;	    /* the caller's, until lu_remove is done */
	void *private_data;
	/* What lu_store() kept last; NULL: nothing. Only read by lu_add. */
	const void *state;
	size_t state_len;
};

/* A unit that no target maps yet. @return NULL with errno set; else there until
 * iscsi_lu_remove_send() is done, or the server is freed */
struct iscsi_lu *iscsi_lu_add(struct iscsi_server *server,
			      const struct iscsi_lu_config *config);
/* The answer to lu_store(), once for each, before the server is freed or not at
 * all. @error errno, or 0 */
void iscsi_lu_stored(struct iscsi_lu_store *store, int error);
/* Initiators see a disabled unit as not ready. */
void iscsi_lu_set_enabled(struct iscsi_lu *lu, bool enabled);
/* Tell initiators that the disk has another size than before. */
void iscsi_lu_capacity_changed(struct iscsi_lu *lu);
/* Unmaps from all targets, waits for I/O under way on every lane. When the
 * request is done no lane touches the disk any more. */
struct tevent_req *iscsi_lu_remove_send(TALLOC_CTX *mem_ctx,
					struct tevent_context *ev,
					struct iscsi_lu *lu);
/* @return 0, EALREADY (it is being removed) or ENOMEM */
int iscsi_lu_remove_recv(struct tevent_req *req);
/* NAA designator as VPD 83h answers it; returns its length. */
size_t iscsi_lu_naa(const struct iscsi_lu *lu, uint8_t naa[16]);

/* ---- targets ---- */

/* MS-ISTM 2.2.4.7 */
enum iscsi_id_method {
	ISCSI_ID_NETBIOS = 0,
	ISCSI_ID_DNS = 1,
	ISCSI_ID_IPV4 = 2,
	ISCSI_ID_MAC = 3,
	ISCSI_ID_IQN = 4,
	ISCSI_ID_IPV6 = 5,
};

struct iscsi_id {
	enum iscsi_id_method method;
	const char *value;
};

/* The whole configuration of a target; copied. An update replaces it all at
 * once for later logins and commands. */
struct iscsi_tgt_config {
	const char *name; /* the target's IQN */
	const char *alias;
	bool enabled;
	bool chap, reverse_chap;
	/* secrets are UTF-8; never logged */
	const char *chap_user, *chap_secret;
	const char *reverse_chap_user, *reverse_chap_secret;
	uint32_t max_recv_data_segment_length;
	uint32_t first_burst_length, max_burst_length;
	bool enforce_idle_timeout;
	const struct iscsi_id *ids; /* who may log in; none: nobody */
	size_t num_ids;
	/* Addresses through which the target is there; ports do not count.
	 * Through others it cannot be seen. Of the wildcard address: all. */
	bool some_portals; /* false: all portals */
	const struct sockaddr_storage *portals;
	size_t num_portals;
	/* Processors that later logins are to be served by, bit 0 for CPU 0;
	 * 0, or where no lane runs on one of them: any. */
	uint32_t processors;
	const struct iscsi_lun {
		uint16_t lun;
		struct iscsi_lu *lu;
	} * luns; /* any order */
	size_t num_luns;
};

/* @return NULL with errno set: EEXIST (the name is in use), EINVAL (it is no
 * iSCSI name, or a LUN is too large or there twice), ENOMEM; else there until
 * iscsi_tgt_remove(), or the server is freed */
struct iscsi_tgt *iscsi_tgt_add(struct iscsi_server *server,
				const struct iscsi_tgt_config *config,
				void *private_data);
/* Sessions see a changed LUN map as unit attention; sessions admitted by an
 * id that is no longer in the list are disconnected, so are those through a
 * portal that is no longer the target's, and all of them when enabled goes
 * false. @return 0 or errno, as iscsi_tgt_add() */
int iscsi_tgt_update(struct iscsi_tgt *tgt,
		     const struct iscsi_tgt_config *config);
/* Disconnects all sessions; @tgt is gone on return. */
void iscsi_tgt_remove(struct iscsi_tgt *tgt);
/* What iscsi_tgt_add() was given. */
void *iscsi_tgt_private(const struct iscsi_tgt *tgt);

/* ---- sessions, as the main thread last heard of them ---- */

struct iscsi_connection_info {
	uint16_t cid;
	struct sockaddr_storage initiator, target;
	bool header_digest, data_digest;
};

struct iscsi_session_info {
	char initiator_name[ISCSI_NAME_MAX + 1];
	char target_name[ISCSI_NAME_MAX + 1]; /* "" for discovery */
	struct iscsi_tgt *tgt;		      /* NULL for discovery */
	uint16_t tsih;
	uint8_t isid[6];
	bool discovery, chap_used;
	struct iscsi_connection_info *connections; /* child of the array */
	size_t num_connections;
};

/* A copy on @mem_ctx, all sessions or one target's. @return 0 or ENOMEM */
int iscsi_sessions(struct iscsi_server *server, struct iscsi_tgt *only,
		   TALLOC_CTX *mem_ctx, struct iscsi_session_info **sessions,
		   size_t *num);
/* One of them. @return 0, ENOENT or ENOMEM */
int iscsi_session_by_tsih(struct iscsi_server *server, uint16_t tsih,
			  TALLOC_CTX *mem_ctx,
			  struct iscsi_session_info **session);
/* O(1): sessions of a target, and whether any session sees this unit. */
size_t iscsi_tgt_num_sessions(const struct iscsi_tgt *tgt);
bool iscsi_lu_in_use(const struct iscsi_lu *lu);

#endif /* ISTM_TARGET_H */
