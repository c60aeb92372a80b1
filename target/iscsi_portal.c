/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Portals: listening sockets and the connections that arrive on them. Lane 0
 * accepts for all, so that logins do not depend on the main thread's leisure.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "target/iscsi_conn.h"
#include "target/iscsi_server.h"

/* Accepted in one turn, so that a flood leaves time for the others. */
#define ACCEPTS 32

/* Lane 0's view of a portal; also the message that brings it. */
struct listener {
	struct msg msg;
	struct lane_fd lfd;
	struct list_head link; /* lane->listeners */
	struct lane *lane;
	int fd;
	uint16_t tag;
	bool complained;
	bool resting; /* not watched until the next tick */
};

static void refuse(struct listener *l, int fd,
		   const struct sockaddr_storage *peer, const char *why)
{
	char name[ISCSI_ADDR_STR];

	/* A flood is one line, until somebody gets in again. */
	if (!l->complained)
		iscsi_log(l->lane->server, ISCSI_LOG_WARN,
			  "iSCSI connection from %s refused: %s",
			  iscsi_addr_str(peer, name), why);
	l->complained = true;
	close(fd);
}

/* @param gone  iscsi_server.portals_gone when the portal was there */
static void accepted(struct listener *l, int fd, struct sockaddr_storage *peer,
		     unsigned gone)
{
	struct sockaddr_storage local;
	socklen_t len = sizeof(local);

	memset(&local, 0, sizeof(local));
	if (getsockname(fd, (struct sockaddr *)&local, &len)) {
		close(fd);
		return;
	}
	iscsi_addr_normalize(peer);
	iscsi_addr_normalize(&local);
	if (!iscsi_peer_add(l->lane->server, peer)) {
		refuse(l, fd, peer, "too many connections");
		return;
	}
	l->complained = false;
	iscsi_conn_assign(l->lane->server, fd, peer, &local, l->tag, gone);
}

/* Out of descriptors or memory: what waits to be accepted would be reported
 * again and again, so look away for a second. */
static void rest(struct listener *l, int error)
{
	if (!l->complained)
		iscsi_log(l->lane->server, ISCSI_LOG_ERROR,
			  "accepting iSCSI connections: %s", strerror(error));
	l->complained = true;
	l->resting = true;
	epoll_ctl(l->lane->epfd, EPOLL_CTL_DEL, l->fd, NULL);
	lane_need_tick(l->lane);
}

/* Once a second while a listener rests. @return whether one still does */
bool iscsi_listeners_tick(struct lane *lane)
{
	struct list_head *pos;
	bool resting = false;

	list_for_each (pos, &lane->listeners) {
		struct listener *l = list_entry(pos, struct listener, link);

		if (l->resting)
			l->resting = lane_watch_level(lane, l->fd, &l->lfd);
		resting |= l->resting;
	}
	return resting;
}

static void listener_ready(struct lane_fd *lfd, uint32_t events)
{
	struct listener *l = list_entry(lfd, struct listener, lfd);
	unsigned gone = atomic_load(&l->lane->server->portals_gone);

	for (int i = 0; i < ACCEPTS; i++) {
		struct sockaddr_storage peer;
		socklen_t len = sizeof(peer);
		int fd;

		memset(&peer, 0, sizeof(peer));
		fd = accept4(l->fd, (struct sockaddr *)&peer, &len,
			     SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd == -1) {
			int error = errno;

			if (error == EMFILE || error == ENFILE ||
			    error == ENOBUFS || error == ENOMEM)
				rest(l, error);
			/* EINVAL: shut down by iscsi_portal_remove(), whose
			 * message is on its way. */
			if (error == EAGAIN || error == EINVAL || l->resting)
				return;
			/* One that ended while it waited (accept(2) reports
			 * its error here); others wait behind it. */
			continue;
		}
		accepted(l, fd, &peer, gone);
	}
}

static void lane_got_listener(struct msg *msg, void *receiver)
{
	struct listener *l = list_entry(msg, struct listener, msg);
	struct lane *lane = receiver;
	int error;

	l->lane = lane;
	l->lfd.ready = listener_ready;
	list_init(&l->link);
	error = lane->stopping ? ESHUTDOWN
			       : lane_watch_level(lane, l->fd, &l->lfd);
	if (error) {
		close(l->fd);
		free(l);
		return;
	}
	list_add_tail(&l->link, &lane->listeners);
}

struct unlisten {
	struct msg msg;
	int fd;
};

static void listener_closed(struct lane_fd *lfd, uint32_t events)
{
}

/*
 * The kernel may have reported it in this very pass (it was shut down), so that
 * its memory stays to the end of it. Not in a later one: close() alone ends
 * the watch only where no child of a fork() has the socket too.
 */
static void listener_close(struct listener *l)
{
	list_del(&l->link);
	if (!l->resting)
		epoll_ctl(l->lane->epfd, EPOLL_CTL_DEL, l->fd, NULL);
	close(l->fd);
	l->lfd.ready = listener_closed;
	list_add_tail(&l->link, &l->lane->closed);
}

void iscsi_listeners_reap(struct lane *lane)
{
	while (!list_empty(&lane->closed)) {
		struct listener *l =
			list_entry(lane->closed.next, struct listener, link);

		list_del(&l->link);
		free(l);
	}
}

static void lane_got_unlisten(struct msg *msg, void *receiver)
{
	struct unlisten *u = list_entry(msg, struct unlisten, msg);
	struct lane *lane = receiver;
	struct list_head *pos, *n;

	list_for_each_safe(pos, n, &lane->listeners)
	{
		struct listener *l = list_entry(pos, struct listener, link);

		if (l->fd == u->fd)
			listener_close(l);
	}
	free(u);
}

void iscsi_listeners_close(struct lane *lane)
{
	while (!list_empty(&lane->listeners))
		listener_close(list_entry(lane->listeners.next, struct listener,
					  link));
}

/* ---- main thread ---- */

static int open_socket(const struct sockaddr *addr, socklen_t len)
{
	int one = 1, error;
	int fd = socket(addr->sa_family,
			SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd == -1)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	/* An IPv6 portal is one; IPv4 has its own. */
	if (addr->sa_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	if (bind(fd, addr, len) == 0 && listen(fd, 1024) == 0)
		return fd;
	error = errno;
	close(fd);
	errno = error;
	return -1;
}

static struct iscsi_portal *find_portal(struct iscsi_server *server,
					const struct sockaddr *addr,
					socklen_t len)
{
	struct list_head *pos;

	list_for_each (pos, &server->portals) {
		struct iscsi_portal *portal =
			list_entry(pos, struct iscsi_portal, link);

		if (portal->len == len &&
		    memcmp(&portal->asked, addr, len) == 0)
			return portal;
	}
	return NULL;
}

static struct iscsi_portal_group *find_group(struct iscsi_server *server,
					     uint16_t tag)
{
	for (unsigned i = 0; i < server->num_groups; i++) {
		if (server->groups[i].tag == tag)
			return &server->groups[i];
	}
	return NULL;
}

int iscsi_portal_group_set(struct iscsi_server *server, uint16_t tag,
			   enum scsi_access access)
{
	struct iscsi_portal_group *group = find_group(server, tag);
	struct list_head *pos;

	if (tag == 0 || (unsigned)access >= SCSI_ACCESS_NUM)
		return EINVAL;
	if (!group) {
		if (server->num_groups == SCSI_MAX_PORTS)
			return ENOSPC;
		group = &server->groups[server->num_groups++];
		group->tag = tag;
	}
	group->access = access;
	list_for_each (pos, &server->lus)
		scsi_lu_set_access(list_entry(pos, struct iscsi_lu, link)->scsi,
				   tag, access);
	return 0;
}

void iscsi_portal_groups_tell(const struct iscsi_server *server,
			      struct scsi_lu *lu)
{
	for (unsigned i = 0; i < server->num_groups; i++)
		scsi_lu_set_access(lu, server->groups[i].tag,
				   server->groups[i].access);
}

int iscsi_portal_add(struct iscsi_server *server, const struct sockaddr *addr,
		     socklen_t len, uint16_t portal_group_tag)
{
	struct iscsi_portal *portal;
	struct listener *l;
	socklen_t size = sizeof(portal->addr);
	int error;

	if (len > sizeof(portal->addr) ||
	    (addr->sa_family != AF_INET && addr->sa_family != AF_INET6))
		return EAFNOSUPPORT;
	if (find_portal(server, addr, len))
		return EEXIST;
	if (!find_group(server, portal_group_tag)) {
		error = iscsi_portal_group_set(server, portal_group_tag,
					       SCSI_ACCESS_OPTIMIZED);
		if (error)
			return error;
	}
	portal = calloc(1, sizeof(*portal));
	l = calloc(1, sizeof(*l));
	if (!portal || !l) {
		free(portal);
		free(l);
		return ENOMEM;
	}
	portal->fd = open_socket(addr, len);
	if (portal->fd == -1) {
		error = errno;
		free(portal);
		free(l);
		return error;
	}
	memcpy(&portal->asked, addr, len);
	portal->len = len;
	portal->tag = portal_group_tag;
	/* Port 0 has become a real one. */
	getsockname(portal->fd, (struct sockaddr *)&portal->addr, &size);
	pthread_mutex_lock(&server->lock);
	list_add_tail(&portal->link, &server->portals);
	pthread_mutex_unlock(&server->lock);

	l->msg.handle = lane_got_listener;
	l->fd = portal->fd;
	l->tag = portal_group_tag;
	msgq_post(&server->lanes[0].inbox, &l->msg);
	return 0;
}

int iscsi_portal_remove(struct iscsi_server *server,
			const struct sockaddr *addr, socklen_t len)
{
	struct iscsi_portal *portal = find_portal(server, addr, len);
	struct unlisten *u;

	if (!portal)
		return ENOENT;
	u = calloc(1, sizeof(*u));
	if (!u)
		return ENOMEM;
	pthread_mutex_lock(&server->lock);
	list_del(&portal->link);
	pthread_mutex_unlock(&server->lock);
	/* The address is free at once; lane 0 closes the socket. */
	shutdown(portal->fd, SHUT_RDWR);
	u->msg.handle = lane_got_unlisten;
	u->fd = portal->fd;
	msgq_post(&server->lanes[0].inbox, &u->msg);
	free(portal);
	return 0;
}

void iscsi_portals_logout(struct iscsi_server *server)
{
	atomic_fetch_add(&server->portals_gone, 1);
}

bool iscsi_portal_exists(struct iscsi_server *server,
			 const struct sockaddr_storage *local)
{
	struct list_head *pos;
	bool exists = false;

	pthread_mutex_lock(&server->lock);
	list_for_each (pos, &server->portals) {
		const struct sockaddr_storage *addr =
			&list_entry(pos, struct iscsi_portal, link)->addr;

		exists |= iscsi_addr_same(addr, local) ||
			  (addr->ss_family == local->ss_family &&
			   iscsi_addr_any(addr));
	}
	pthread_mutex_unlock(&server->lock);
	return exists;
}

int iscsi_portal_address(struct iscsi_server *server,
			 const struct sockaddr *asked, socklen_t len,
			 struct sockaddr_storage *bound)
{
	const struct iscsi_portal *portal = find_portal(server, asked, len);

	if (!portal)
		return ENOENT;
	*bound = portal->addr;
	return 0;
}
