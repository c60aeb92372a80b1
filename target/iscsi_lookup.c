/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "target/iscsi_lookup.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "target/iscsi_conn.h"

/* Names kept; the oldest goes when there are more. */
#define CACHE_MAX 1024
#define ADDRESSES 16

struct cached {
	struct list_head link; /* oldest first */
	uint64_t until;
	size_t num;
	struct sockaddr_storage addr[ADDRESSES];
	char name[ISCSI_LOOKUP_VALUE];
};

/* Outlives the server while a look-up is under way. */
struct iscsi_resolver {
	pthread_mutex_t lock;
	bool stop; /* under lock */
	struct msgq jobs;
	/* The thread's own. */
	struct list_head cache;
	unsigned num_cached;
};

/* ---- the thread ---------------------------------------------------------- */

static struct cached *cache_find(struct iscsi_resolver *resolver,
				 const char *name)
{
	struct list_head *pos, *n;
	uint64_t now = lane_now();

	list_for_each_safe(pos, n, &resolver->cache)
	{
		struct cached *c = list_entry(pos, struct cached, link);

		if (now >= c->until || resolver->num_cached > CACHE_MAX) {
			list_del(pos);
			free(c);
			resolver->num_cached--;
		} else if (strcasecmp(c->name, name) == 0) {
			return c;
		}
	}
	return NULL;
}

/* A name that does not resolve is kept as well: without addresses. */
static struct cached *resolve(struct iscsi_resolver *resolver, const char *name)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct addrinfo *list = NULL;
	struct cached *c = cache_find(resolver, name);

	if (c)
		return c;
	c = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	strcpy(c->name, name);
	if (getaddrinfo(name, NULL, &hints, &list) == 0) {
		for (struct addrinfo *ai = list; ai && c->num < ADDRESSES;
		     ai = ai->ai_next) {
			if (ai->ai_addrlen > sizeof(c->addr[0]))
				continue;
			memcpy(&c->addr[c->num], ai->ai_addr, ai->ai_addrlen);
			iscsi_addr_normalize(&c->addr[c->num++]);
		}
		freeaddrinfo(list);
	}
	c->until = lane_now() + ISCSI_LOOKUP_TTL;
	list_add_tail(&c->link, &resolver->cache);
	resolver->num_cached++;
	return c;
}

static bool look_up(struct iscsi_resolver *resolver,
		    const struct iscsi_lookup_id *id,
		    const struct sockaddr_storage *peer)
{
	const struct cached *c;
	uint8_t mac[6];

	if (id->method == ISCSI_ID_MAC)
		return iscsi_mac_parse(id->value, mac) &&
		       iscsi_neighbour(peer, mac);
	c = resolve(resolver, id->value);
	for (size_t i = 0; c && i < c->num; i++) {
		if (iscsi_addr_same(&c->addr[i], peer))
			return true;
	}
	return false;
}

/* On the lane again. */
static void lane_got_answer(struct msg *msg, void *receiver)
{
	struct iscsi_lookup *lookup = list_entry(msg, struct iscsi_lookup, msg);
	struct iscsi_conn *conn = iscsi_conn_find(receiver, lookup->conn_id);

	if (!conn || !conn->waiting || conn->state != CONN_LOGIN) {
		free(lookup);
		return;
	}
	free(conn->lookup);
	conn->lookup = lookup;
	iscsi_login_resume(conn);
}

static void answer(struct iscsi_resolver *resolver, struct iscsi_lookup *lookup)
{
	lookup->msg.handle = lane_got_answer;
	/* Lanes are there until the resolver has been stopped. */
	pthread_mutex_lock(&resolver->lock);
	if (resolver->stop)
		free(lookup);
	else
		msgq_post(&lookup->lane->inbox, &lookup->msg);
	pthread_mutex_unlock(&resolver->lock);
}

static void got_job(struct msg *msg, void *receiver)
{
	struct iscsi_lookup *lookup = list_entry(msg, struct iscsi_lookup, msg);
	struct iscsi_resolver *resolver = receiver;
	bool stop;

	pthread_mutex_lock(&resolver->lock);
	stop = resolver->stop;
	pthread_mutex_unlock(&resolver->lock);
	for (size_t i = 0; !stop && i < lookup->num; i++)
		lookup->ids[i].matched =
			look_up(resolver, &lookup->ids[i], &lookup->peer);
	answer(resolver, lookup);
}

static void *resolver_main(void *private_data)
{
	struct iscsi_resolver *resolver = private_data;
	struct pollfd pfd = {.fd = resolver->jobs.efd, .events = POLLIN};
	struct list_head *pos, *n;
	bool stop = false;

	while (!stop) {
		poll(&pfd, 1, -1);
		msgq_drain(&resolver->jobs, resolver);
		pthread_mutex_lock(&resolver->lock);
		stop = resolver->stop;
		pthread_mutex_unlock(&resolver->lock);
	}
	msgq_drain(&resolver->jobs, resolver);
	list_for_each_safe(pos, n, &resolver->cache)
	{
		free(list_entry(pos, struct cached, link));
	}
	msgq_fini(&resolver->jobs);
	pthread_mutex_destroy(&resolver->lock);
	free(resolver);
	return NULL;
}

/* ---- main thread -----------------------------------------------------------
 */

struct iscsi_resolver *iscsi_resolver_create(void)
{
	struct iscsi_resolver *resolver = calloc(1, sizeof(*resolver));
	pthread_t thread;
	sigset_t all, old;
	int error;

	if (!resolver)
		return NULL;
	list_init(&resolver->cache);
	pthread_mutex_init(&resolver->lock, NULL);
	error = msgq_init(&resolver->jobs);
	if (error) {
		free(resolver);
		return NULL;
	}
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	error = pthread_create(&thread, NULL, resolver_main, resolver);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (error) {
		msgq_fini(&resolver->jobs);
		free(resolver);
		return NULL;
	}
	pthread_setname_np(thread, "resolver");
	pthread_detach(thread);
	return resolver;
}

static void got_stop(struct msg *msg, void *receiver)
{
	free(msg);
}

void iscsi_resolver_stop(struct iscsi_resolver *resolver)
{
	struct msg *wake = calloc(1, sizeof(*wake));

	if (!wake)
		abort();
	wake->handle = got_stop;
	/* Posted before the thread may see the flag and free everything. */
	pthread_mutex_lock(&resolver->lock);
	msgq_post(&resolver->jobs, wake);
	resolver->stop = true;
	pthread_mutex_unlock(&resolver->lock);
}

/* ---- lanes
 * -------------------------------------------------------------------- */

static size_t add_ids(struct iscsi_lookup *lookup,
		      const struct iscsi_conf *conf)
{
	size_t n = 0;

	for (size_t i = 0; i < conf->num_ids; i++) {
		const struct iscsi_acl_id *id = &conf->ids[i];

		if (!iscsi_lookup_needed(id->method) ||
		    strlen(id->value) >= ISCSI_LOOKUP_VALUE)
			continue;
		if (lookup) {
			struct iscsi_lookup_id *to =
				&lookup->ids[lookup->num++];

			to->method = id->method;
			strcpy(to->value, id->value);
		}
		n++;
	}
	return n;
}

/* Of all targets, under the lock. */
static size_t add_all(struct iscsi_lookup *lookup, struct iscsi_server *server)
{
	struct list_head *pos;
	size_t n = 0;

	list_for_each (pos, &server->tgts) {
		n += add_ids(lookup,
			     list_entry(pos, struct iscsi_tgt, link)->conf);
	}
	return n;
}

static struct iscsi_lookup *lookup_new(size_t n)
{
	if (n == 0)
		return NULL;
	return calloc(1, sizeof(struct iscsi_lookup) +
				 n * sizeof(struct iscsi_lookup_id));
}

int iscsi_lookup_start(struct iscsi_conn *conn, const struct iscsi_conf *conf)
{
	struct iscsi_server *server = conn->server;
	struct iscsi_lookup *lookup;
	size_t n;

	if (conf) {
		n = add_ids(NULL, conf);
		lookup = lookup_new(n);
		if (lookup)
			add_ids(lookup, conf);
	} else {
		pthread_mutex_lock(&server->lock);
		n = add_all(NULL, server);
		lookup = lookup_new(n);
		if (lookup)
			add_all(lookup, server);
		pthread_mutex_unlock(&server->lock);
	}
	if (n == 0)
		return ENOENT;
	if (!lookup)
		return ENOMEM;
	lookup->msg.handle = got_job;
	lookup->lane = conn->lane;
	lookup->conn_id = conn->id;
	lookup->peer = conn->peer;
	conn->waiting = true;
	msgq_post(&server->resolver->jobs, &lookup->msg);
	return 0;
}

bool iscsi_lookup_matched(const struct iscsi_lookup *lookup,
			  const struct iscsi_acl_id *id)
{
	for (size_t i = 0; lookup && i < lookup->num; i++) {
		if (lookup->ids[i].matched &&
		    lookup->ids[i].method == id->method &&
		    strcasecmp(lookup->ids[i].value, id->value) == 0)
			return true;
	}
	return false;
}
