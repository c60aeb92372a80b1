/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The server: lanes, the main thread's inbox, and what all of target/ uses.
 */
#include "target/iscsi_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "target/iscsi_acl.h"
#include "target/iscsi_lookup.h"
#include "target/iscsi_session.h"

/* ---- helpers ---- */

void iscsi_log(struct iscsi_server *server, int level, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	if (level > server->debug_level || !server->log)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	server->log(level, text);
}

/* The device server's messages go the same way. One server at a time has
 * them, as its log is the process's. */
static _Atomic int scsi_level;
static void (*_Atomic scsi_sink)(int level, const char *message);

static void scsi_log_line(int level, const char *message)
{
	void (*sink)(int, const char *) = scsi_sink;

	if (sink && level <= scsi_level)
		sink(level, message);
}

uint32_t iscsi_hash(const void *data, size_t len)
{
	const uint8_t *p = data;
	uint32_t h = ISCSI_HASH_INIT;

	for (; len; len--, p++)
		h = iscsi_hash_byte(h, *p);
	return h;
}

void iscsi_addr_normalize(struct sockaddr_storage *addr)
{
	struct sockaddr_in6 in6;
	struct sockaddr_in *in = (struct sockaddr_in *)(void *)addr;

	if (addr->ss_family != AF_INET6)
		return;
	memcpy(&in6, addr, sizeof(in6));
	if (!IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr))
		return;
	memset(addr, 0, sizeof(*addr));
	in->sin_family = AF_INET;
	in->sin_port = in6.sin6_port;
	memcpy(&in->sin_addr, in6.sin6_addr.s6_addr + 12, 4);
}

bool iscsi_addr_same(const struct sockaddr_storage *a,
		     const struct sockaddr_storage *b)
{
	const struct sockaddr_in *a4 = (const void *)a, *b4 = (const void *)b;
	const struct sockaddr_in6 *a6 = (const void *)a, *b6 = (const void *)b;

	if (a->ss_family != b->ss_family)
		return false;
	if (a->ss_family == AF_INET)
		return a4->sin_addr.s_addr == b4->sin_addr.s_addr;
	return memcmp(&a6->sin6_addr, &b6->sin6_addr, 16) == 0;
}

bool iscsi_addr_any(const struct sockaddr_storage *addr)
{
	if (addr->ss_family == AF_INET) {
		const struct sockaddr_in *in = (const void *)addr;

		return in->sin_addr.s_addr == INADDR_ANY;
	}
	return IN6_IS_ADDR_UNSPECIFIED(
		&((const struct sockaddr_in6 *)(const void *)addr)->sin6_addr);
}

const char *iscsi_addr_str(const struct sockaddr_storage *addr, char *out)
{
	char host[INET6_ADDRSTRLEN] = "?";

	if (addr->ss_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const void *)addr;

		inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof(host));
		snprintf(out, ISCSI_ADDR_STR, "[%s]:%u", host,
			 ntohs(in6->sin6_port));
	} else {
		const struct sockaddr_in *in = (const void *)addr;

		inet_ntop(AF_INET, &in->sin_addr, host, sizeof(host));
		snprintf(out, ISCSI_ADDR_STR, "%s:%u", host,
			 ntohs(in->sin_port));
	}
	return out;
}

/* ---- connections per address ---- */

struct in6_addr iscsi_addr_key(const struct sockaddr_storage *peer)
{
	struct in6_addr key;

	memset(&key, 0, sizeof(key));
	if (peer->ss_family == AF_INET6) {
		key = ((const struct sockaddr_in6 *)(const void *)peer)
			      ->sin6_addr;
	} else {
		key.s6_addr[10] = key.s6_addr[11] = 0xff;
		memcpy(key.s6_addr + 12,
		       &((const struct sockaddr_in *)(const void *)peer)
				->sin_addr,
		       4);
	}
	return key;
}

static struct iscsi_peer *peer_find(struct list_head *head,
				    const struct in6_addr *key)
{
	struct list_head *pos;

	list_for_each (pos, head) {
		struct iscsi_peer *p = list_entry(pos, struct iscsi_peer, link);

		if (memcmp(&p->addr, key, sizeof(*key)) == 0)
			return p;
	}
	return NULL;
}

bool iscsi_peer_add(struct iscsi_server *server,
		    const struct sockaddr_storage *peer)
{
	struct in6_addr key = iscsi_addr_key(peer);
	struct list_head *head =
		&server->peers[iscsi_hash(&key, sizeof(key)) % ISCSI_HASH];
	struct iscsi_peer *p;
	bool ok = false;

	pthread_mutex_lock(&server->lock);
	p = peer_find(head, &key);
	if (!p) {
		p = calloc(1, sizeof(*p));
		if (p) {
			p->addr = key;
			list_add_tail(&p->link, head);
		}
	}
	if (p && p->conns < ISCSI_CONNS_PER_ADDRESS &&
	    server->num_conns < ISCSI_MAX_CONNS) {
		p->conns++;
		server->num_conns++;
		ok = true;
	} else if (p && p->conns == 0) {
		list_del(&p->link);
		free(p);
	}
	pthread_mutex_unlock(&server->lock);
	return ok;
}

void iscsi_peer_del(struct iscsi_server *server,
		    const struct sockaddr_storage *peer)
{
	struct in6_addr key = iscsi_addr_key(peer);
	struct list_head *head =
		&server->peers[iscsi_hash(&key, sizeof(key)) % ISCSI_HASH];
	struct iscsi_peer *p;

	pthread_mutex_lock(&server->lock);
	p = peer_find(head, &key);
	if (p) {
		server->num_conns--;
		if (--p->conns == 0) {
			list_del(&p->link);
			free(p);
		}
	}
	pthread_mutex_unlock(&server->lock);
}

/* ---- the server ---- */

static void server_inbox_ready(struct tevent_context *ev, struct tevent_fd *fde,
			       uint16_t flags, void *private_data)
{
	struct iscsi_server *server = private_data;

	msgq_drain(&server->inbox, server);
}

static void stop_lanes(struct iscsi_server *server)
{
	lanes_stop(server->lanes, server->num_lanes);
	server->num_lanes = 0;
	free(server->lanes);
	server->lanes = NULL;
}

static int server_destructor(struct iscsi_server *server)
{
	struct list_head *pos, *n;

	/* No callbacks from what the lanes report while they end: their
	 * owner is going away. */
	memset(&server->ops, 0, sizeof(server->ops));
	if (server->resolver)
		iscsi_resolver_stop(server->resolver);
	iscsi_lu_stores_close(server);
	stop_lanes(server);
	TALLOC_FREE(server->inbox_fde);
	msgq_drain(&server->inbox, server);
	iscsi_tgts_free(server);
	list_for_each_safe(pos, n, &server->portals)
		free(list_entry(pos, struct iscsi_portal, link));
	msgq_fini(&server->inbox);
	pthread_mutex_destroy(&server->store_lock);
	pthread_mutex_destroy(&server->lock);
	return 0;
}

static bool copy_redirects(struct iscsi_server *server,
			   const struct iscsi_server_config *cfg)
{
	char name[ISCSI_NAME_MAX + 1];

	server->redirects =
		talloc_array(server, struct iscsi_redirect, cfg->num_redirects);
	if (!server->redirects)
		return false;
	for (size_t i = 0; i < cfg->num_redirects; i++) {
		struct iscsi_redirect *r = &server->redirects[i];

		*r = cfg->redirects[i];
		iscsi_addr_normalize(&r->portal);
		r->to = talloc_strdup(server->redirects, r->to);
		if (r->target)
			r->target =
				iscsi_name_normalize(r->target, name)
					? talloc_strdup(server->redirects, name)
					: NULL;
		if (!r->to || (cfg->redirects[i].target && !r->target))
			return false;
	}
	server->num_redirects = cfg->num_redirects;
	return true;
}

/* Who has been sent to another portal of this server has arrived. */
static bool leads_to(const struct iscsi_redirect *r,
		     const struct sockaddr_storage *local)
{
	char here[ISCSI_ADDR_STR];
	size_t len = strlen(r->to);

	iscsi_addr_str(local, here);
	return strncasecmp(here, r->to, len) == 0 &&
	       (here[len] == '\0' || strcmp(here + len, ":3260") == 0);
}

const struct iscsi_redirect *iscsi_redirect_find(
	const struct iscsi_server *server, const char *target,
	const struct sockaddr_storage *local)
{
	for (size_t i = 0; i < server->num_redirects; i++) {
		const struct iscsi_redirect *r = &server->redirects[i];

		if ((r->target ? strcmp(r->target, target) == 0
			       : iscsi_addr_same(&r->portal, local)) &&
		    !leads_to(r, local))
			return r;
	}
	return NULL;
}

/* So little that a lane could not do with less. */
#define LANE_BUFFERS_MIN (8u << 20)

static uint64_t lane_buffers(uint64_t all, unsigned lanes)
{
	long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);

	if (all == 0 && pages > 0 && size > 0)
		all = (uint64_t)pages * (uint64_t)size / 8;
	all /= lanes;
	return all < LANE_BUFFERS_MIN ? LANE_BUFFERS_MIN : all;
}

static int start_lanes(struct iscsi_server *server, unsigned num)
{
	server->lanes = calloc(num, sizeof(*server->lanes));
	if (!server->lanes)
		return ENOMEM;
	for (unsigned i = 0; i < num; i++) {
		int error = lane_start(&server->lanes[i], server, i);

		if (error)
			return error;
		server->num_lanes++;
	}
	return 0;
}

static void set_config(struct iscsi_server *server,
		       const struct iscsi_server_config *cfg, unsigned lanes)
{
	if (cfg->ops)
		server->ops = *cfg->ops;
	server->private_data = cfg->private_data;
	server->debug_level = cfg->debug_level;
	server->login_timeout =
		cfg->login_timeout ? cfg->login_timeout : ISCSI_LOGIN_TIMEOUT;
	server->ping_interval =
		cfg->ping_interval ? cfg->ping_interval : ISCSI_PING_INTERVAL;
	server->data_timeout =
		cfg->data_timeout ? cfg->data_timeout : ISCSI_DATA_TIMEOUT;
	server->max_connections = cfg->max_connections ? cfg->max_connections
						       : ISCSI_MAX_CONNECTIONS;
	server->lane_buffers = lane_buffers(cfg->buffers, lanes);
	server->discovery_chap = cfg->discovery_chap;
	server->spin = cfg->spin;
	server->log = cfg->log;
	scsi_level = cfg->debug_level;
	scsi_sink = cfg->log;
	scsi_set_log(scsi_log_line);
}

static void init_lists(struct iscsi_server *server)
{
	list_init(&server->tgts);
	list_init(&server->sessions);
	list_init(&server->portals);
	list_init(&server->lus);
	list_init(&server->stores);
	list_init(&server->records);
	for (int i = 0; i < ISCSI_HASH; i++) {
		list_init(&server->tgt_hash[i]);
		list_init(&server->session_hash[i]);
		list_init(&server->peers[i]);
	}
}

/* What the destructor undoes. @return 0 or errno */
static int start(struct iscsi_server *server,
		 const struct iscsi_server_config *cfg, unsigned lanes)
{
	int error;

	server->inbox_fde =
		tevent_add_fd(server->ev, server, server->inbox.efd,
			      TEVENT_FD_READ, server_inbox_ready, server);
	server->resolver = iscsi_resolver_create();
	if (!server->inbox_fde || !server->resolver ||
	    !copy_redirects(server, cfg))
		return ENOMEM;
	error = start_lanes(server, lanes);
	if (!error)
		iscsi_lane_processors(server);
	return error;
}

struct iscsi_server *iscsi_server_create(TALLOC_CTX *mem_ctx,
					 struct tevent_context *ev,
					 const struct iscsi_server_config *cfg)
{
	struct iscsi_server *server = talloc_zero(mem_ctx, struct iscsi_server);
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned lanes = cfg->lanes;
	int error;

	if (!server) {
		errno = ENOMEM;
		return NULL;
	}
	if (lanes == 0)
		lanes = cores > 0 ? (unsigned)cores : 1;
	server->ev = ev;
	set_config(server, cfg, lanes);
	init_lists(server);
	error = msgq_init(&server->inbox);
	if (!error) {
		pthread_mutex_init(&server->lock, NULL);
		pthread_mutex_init(&server->store_lock, NULL);
		talloc_set_destructor(server, server_destructor);
		error = start(server, cfg, lanes);
	}
	if (error) {
		talloc_free(server);
		errno = error;
		return NULL;
	}
	return server;
}

/* ---- what lanes report ---- */

struct record_msg {
	struct msg msg;
	struct iscsi_record *record;
	struct iscsi_conn_record *conn;
};

static void session_changed(struct iscsi_server *server, struct iscsi_tgt *tgt)
{
	if (tgt && tgt->removed)
		return;
	if (server->ops.session_changed)
		server->ops.session_changed(tgt, server->private_data);
}

static void main_got_session(struct msg *msg, void *receiver)
{
	struct record_msg *m = list_entry(msg, struct record_msg, msg);
	struct iscsi_server *server = receiver;
	struct iscsi_record *record = m->record;

	free(m);
	record->info.tgt = record->tgt;
	list_init(&record->conns);
	list_add_tail(&record->link, &server->records);
	server->num_records++;
	server->record_by_tsih[record->info.tsih] = record;
	list_init(&record->tgt_link);
	if (record->tgt) {
		list_add_tail(&record->tgt_link, &record->tgt->records);
		iscsi_tgt_count(record->tgt, 1);
	}
}

static void main_got_conn(struct msg *msg, void *receiver)
{
	struct record_msg *m = list_entry(msg, struct record_msg, msg);
	struct iscsi_record *record = m->record;

	list_add_tail(&m->conn->link, &record->conns);
	record->num_conns++;
	free(m);
	session_changed(receiver, record->tgt);
}

/* The last one's end is told with the session's. */
static void main_got_conn_end(struct msg *msg, void *receiver)
{
	struct record_msg *m = list_entry(msg, struct record_msg, msg);
	struct iscsi_record *record = m->record;

	list_del(&m->conn->link);
	free(m->conn);
	free(m);
	if (--record->num_conns)
		session_changed(receiver, record->tgt);
}

static void main_got_session_end(struct msg *msg, void *receiver)
{
	struct record_msg *m = list_entry(msg, struct record_msg, msg);
	struct iscsi_server *server = receiver;
	struct iscsi_record *record = m->record;

	free(m);
	list_del(&record->link);
	list_del(&record->tgt_link);
	server->num_records--;
	/* Another lane's new session may have the number already. */
	if (server->record_by_tsih[record->info.tsih] == record)
		server->record_by_tsih[record->info.tsih] = NULL;
	if (record->tgt)
		iscsi_tgt_count(record->tgt, -1);
	session_changed(server, record->tgt);
	if (record->tgt)
		iscsi_tgt_unref(record->tgt);
	free(record);
}

static void post_record(struct iscsi_server *server,
			struct iscsi_record *record,
			struct iscsi_conn_record *conn,
			void (*handle)(struct msg *, void *))
{
	struct record_msg *m = calloc(1, sizeof(*m));

	if (!m)
		abort();
	m->msg.handle = handle;
	m->record = record;
	m->conn = conn;
	msgq_post(&server->inbox, &m->msg);
}

void iscsi_report_session(struct iscsi_server *server,
			  struct iscsi_record *record)
{
	post_record(server, record, NULL, main_got_session);
}

void iscsi_report_session_end(struct iscsi_server *server,
			      struct iscsi_record *record)
{
	post_record(server, record, NULL, main_got_session_end);
}

void iscsi_report_conn(struct iscsi_server *server, struct iscsi_record *record,
		       struct iscsi_conn_record *conn)
{
	post_record(server, record, conn, main_got_conn);
}

void iscsi_report_conn_end(struct iscsi_server *server,
			   struct iscsi_record *record,
			   struct iscsi_conn_record *conn)
{
	post_record(server, record, conn, main_got_conn_end);
}

struct login_msg {
	struct msg msg;
	struct iscsi_login_event event;
	char initiator[ISCSI_NAME_MAX + 1], target[ISCSI_NAME_MAX + 1];
};

static void main_got_login(struct msg *msg, void *receiver)
{
	struct login_msg *m = list_entry(msg, struct login_msg, msg);
	struct iscsi_server *server = receiver;

	if (server->ops.login)
		server->ops.login(&m->event, server->private_data);
	free(m);
}

void iscsi_report_login(struct iscsi_server *server,
			const struct iscsi_login_event *event)
{
	struct login_msg *m = calloc(1, sizeof(*m));

	if (!m)
		return;
	m->msg.handle = main_got_login;
	m->event = *event;
	snprintf(m->initiator, sizeof(m->initiator), "%s",
		 event->initiator_name);
	snprintf(m->target, sizeof(m->target), "%s", event->target_name);
	m->event.initiator_name = m->initiator;
	m->event.target_name = m->target;
	msgq_post(&server->inbox, &m->msg);
}

static bool copy_conns(TALLOC_CTX *mem_ctx, struct iscsi_session_info *info,
		       const struct iscsi_record *record)
{
	struct list_head *pos;
	size_t n = 0;

	info->connections = talloc_array(mem_ctx, struct iscsi_connection_info,
					 record->num_conns);
	if (!info->connections)
		return false;
	list_for_each (pos, &record->conns) {
		info->connections[n++] =
			list_entry(pos, struct iscsi_conn_record, link)->info;
	}
	info->num_connections = n;
	return true;
}

static bool copy_session(struct iscsi_session_info *infos,
			 struct iscsi_session_info *info,
			 const struct iscsi_record *record)
{
	*info = record->info;
	if (record->tgt && record->tgt->removed)
		info->tgt = NULL;
	return copy_conns(infos, info, record);
}

int iscsi_sessions(struct iscsi_server *server, struct iscsi_tgt *only,
		   TALLOC_CTX *mem_ctx, struct iscsi_session_info **sessions,
		   size_t *num)
{
	struct iscsi_session_info *infos;
	struct list_head *head = only ? &only->records : &server->records;
	struct list_head *pos;
	size_t n = 0;

	infos = talloc_zero_array(mem_ctx, struct iscsi_session_info,
				  only ? only->num_sessions
				       : server->num_records);
	if (!infos)
		return ENOMEM;
	list_for_each (pos, head) {
		const struct iscsi_record *record =
			only ? list_entry(pos, struct iscsi_record, tgt_link)
			     : list_entry(pos, struct iscsi_record, link);

		if (!copy_session(infos, &infos[n++], record)) {
			talloc_free(infos);
			return ENOMEM;
		}
	}
	*num = n;
	*sessions = infos;
	return 0;
}

int iscsi_session_by_tsih(struct iscsi_server *server, uint16_t tsih,
			  TALLOC_CTX *mem_ctx,
			  struct iscsi_session_info **session)
{
	const struct iscsi_record *record = server->record_by_tsih[tsih];

	*session = NULL;
	if (!record)
		return ENOENT;
	*session = talloc_zero(mem_ctx, struct iscsi_session_info);
	if (!*session || !copy_session(*session, *session, record)) {
		TALLOC_FREE(*session);
		return ENOMEM;
	}
	return 0;
}
