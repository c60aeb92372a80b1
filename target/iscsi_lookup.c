/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "target/iscsi_lookup.h"

#include <errno.h>
#include <netdb.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "target/iscsi_conn.h"

/* Names kept; the oldest goes when there are more. */
#define CACHE_MAX 1024
#define ADDRESSES 16
/* A name server that does not answer keeps a thread busy for long. */
#define THREADS 4
/* Look-ups that may wait; logins beyond are told to come again. */
#define JOBS_MAX 1024

struct cached {
	struct list_head link; /* oldest first */
	uint64_t until;
	size_t num;
	struct sockaddr_storage addr[ADDRESSES];
	char name[ISCSI_LOOKUP_VALUE];
};

/* Outlives the server while look-ups are under way: the last thread frees it.
 */
struct iscsi_resolver {
	pthread_mutex_t lock;
	pthread_cond_t work;
	/* All under lock. */
	bool stop;
	unsigned threads, num_jobs, num_cached;
	struct list_head jobs; /* iscsi_lookup.link */
	struct list_head cache;
};

/* ---- the threads ---- */

static bool has_address(const struct cached *c,
			const struct sockaddr_storage *peer)
{
	for (size_t i = 0; i < c->num; i++) {
		if (iscsi_addr_same(&c->addr[i], peer))
			return true;
	}
	return false;
}

/* Under the lock. */
static const struct cached *cache_find(struct iscsi_resolver *resolver,
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
static struct cached *resolve(const char *name)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct addrinfo *list = NULL;
	struct cached *c = calloc(1, sizeof(*c));

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
	return c;
}

static bool look_up_name(struct iscsi_resolver *resolver, const char *name,
			 const struct sockaddr_storage *peer)
{
	const struct cached *known;
	struct cached *c;
	bool matched;

	pthread_mutex_lock(&resolver->lock);
	known = cache_find(resolver, name);
	matched = known && has_address(known, peer);
	pthread_mutex_unlock(&resolver->lock);
	if (known)
		return matched;
	c = resolve(name);
	if (!c)
		return false;
	matched = has_address(c, peer);
	pthread_mutex_lock(&resolver->lock);
	list_add_tail(&c->link, &resolver->cache);
	resolver->num_cached++;
	pthread_mutex_unlock(&resolver->lock);
	return matched;
}

static bool look_up(struct iscsi_resolver *resolver,
		    const struct iscsi_lookup_id *id,
		    const struct sockaddr_storage *peer)
{
	uint8_t mac[6];

	if (id->method == ISCSI_ID_MAC)
		return iscsi_mac_parse(id->value, mac) &&
		       iscsi_neighbour(peer, mac);
	return look_up_name(resolver, id->value, peer);
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

/* Under the lock: lanes are there until the resolver has been stopped. */
static void answer(struct iscsi_resolver *resolver, struct iscsi_lookup *lookup)
{
	lookup->msg.handle = lane_got_answer;
	if (resolver->stop)
		free(lookup);
	else
		msgq_post(&lookup->lane->inbox, &lookup->msg);
}

static void run_job(struct iscsi_resolver *resolver,
		    struct iscsi_lookup *lookup)
{
	for (size_t i = 0; i < lookup->num; i++)
		lookup->ids[i].matched =
			look_up(resolver, &lookup->ids[i], &lookup->peer);
}

static void resolver_free(struct iscsi_resolver *resolver)
{
	struct list_head *pos, *n;

	list_for_each_safe(pos, n, &resolver->jobs)
	{
		free(list_entry(pos, struct iscsi_lookup, link));
	}
	list_for_each_safe(pos, n, &resolver->cache)
	{
		free(list_entry(pos, struct cached, link));
	}
	pthread_cond_destroy(&resolver->work);
	pthread_mutex_destroy(&resolver->lock);
	free(resolver);
}

static void *resolver_main(void *private_data)
{
	struct iscsi_resolver *resolver = private_data;
	bool last;

	pthread_mutex_lock(&resolver->lock);
	while (!resolver->stop) {
		struct iscsi_lookup *lookup;

		if (list_empty(&resolver->jobs)) {
			pthread_cond_wait(&resolver->work, &resolver->lock);
			continue;
		}
		lookup = list_entry(resolver->jobs.next, struct iscsi_lookup,
				    link);
		list_del(&lookup->link);
		resolver->num_jobs--;
		pthread_mutex_unlock(&resolver->lock);
		run_job(resolver, lookup);
		pthread_mutex_lock(&resolver->lock);
		answer(resolver, lookup);
	}
	last = --resolver->threads == 0;
	pthread_mutex_unlock(&resolver->lock);
	if (last)
		resolver_free(resolver);
	return NULL;
}

/* ---- main thread ---- */

static bool start_thread(struct iscsi_resolver *resolver)
{
	pthread_t thread;
	sigset_t all, old;
	int error;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	error = pthread_create(&thread, NULL, resolver_main, resolver);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (error)
		return false;
	pthread_setname_np(thread, "resolver");
	pthread_detach(thread);
	return true;
}

struct iscsi_resolver *iscsi_resolver_create(void)
{
	struct iscsi_resolver *resolver = calloc(1, sizeof(*resolver));

	if (!resolver)
		return NULL;
	list_init(&resolver->jobs);
	list_init(&resolver->cache);
	pthread_mutex_init(&resolver->lock, NULL);
	pthread_cond_init(&resolver->work, NULL);
	pthread_mutex_lock(&resolver->lock);
	while (resolver->threads < THREADS && start_thread(resolver))
		resolver->threads++;
	pthread_mutex_unlock(&resolver->lock);
	if (resolver->threads)
		return resolver;
	resolver_free(resolver);
	return NULL;
}

void iscsi_resolver_stop(struct iscsi_resolver *resolver)
{
	pthread_mutex_lock(&resolver->lock);
	resolver->stop = true;
	pthread_cond_broadcast(&resolver->work);
	pthread_mutex_unlock(&resolver->lock);
}

static bool add_job(struct iscsi_resolver *resolver,
		    struct iscsi_lookup *lookup)
{
	bool room;

	pthread_mutex_lock(&resolver->lock);
	room = resolver->num_jobs < JOBS_MAX;
	if (room) {
		list_add_tail(&lookup->link, &resolver->jobs);
		resolver->num_jobs++;
		pthread_cond_signal(&resolver->work);
	}
	pthread_mutex_unlock(&resolver->lock);
	return room;
}

/* ---- lanes ---- */

static size_t add_ids(struct iscsi_lookup *lookup,
		      const struct iscsi_conf *conf)
{
	size_t n = 0;

	for (size_t i = 0; i < conf->num_looked_up; i++) {
		const struct iscsi_acl_id *id = &conf->ids[conf->looked_up[i]];

		if (strlen(id->value) >= ISCSI_LOOKUP_VALUE)
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
	lookup->lane = conn->lane;
	lookup->conn_id = conn->id;
	lookup->peer = conn->peer;
	if (!add_job(server->resolver, lookup)) {
		free(lookup);
		return EAGAIN;
	}
	conn->waiting = true;
	return 0;
}
