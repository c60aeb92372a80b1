/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Targets and their configuration; main thread, except for look-ups.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "target/iscsi_acl.h"
#include "target/iscsi_keys.h"
#include "target/iscsi_server.h"
#include "target/iscsi_session.h"

/* ---- configurations ---- */

struct iscsi_conf *iscsi_conf_ref(struct iscsi_conf *conf)
{
	atomic_fetch_add(&conf->refs, 1);
	return conf;
}

static void free_secret(char *secret)
{
	if (secret)
		explicit_bzero(secret, strlen(secret));
	free(secret);
}

void iscsi_conf_unref(struct iscsi_conf *conf)
{
	if (atomic_fetch_sub(&conf->refs, 1) > 1)
		return;
	for (size_t i = 0; i < conf->num_ids; i++)
		free(conf->ids[i].value);
	free(conf->ids);
	free(conf->id_first);
	free(conf->looked_up);
	free(conf->portals);
	free(conf->alias);
	free(conf->chap_user);
	free_secret(conf->chap_secret);
	free(conf->reverse_user);
	free_secret(conf->reverse_secret);
	free(conf->map);
	free(conf->lus);
	free(conf);
}

static char *dup(const char *s)
{
	return strdup(s ? s : "");
}

static uint32_t in_range(const char *key, uint32_t value)
{
	const struct iscsi_key *k = iscsi_key_find(key);

	if (value == 0)
		return k->dflt;
	if (value < k->min)
		return k->min;
	return value > k->max ? k->max : value;
}

/* What we take in one PDU at most; larger would only cost memory. */
#define MRDSL_MAX (1u << 20)

static int conf_ids(struct iscsi_conf *conf, struct iscsi_server *server,
		    const struct iscsi_tgt_config *config)
{
	conf->ids = calloc(config->num_ids + 1, sizeof(*conf->ids));
	if (!conf->ids)
		return ENOMEM;
	for (size_t i = 0; i < config->num_ids; i++) {
		int error = iscsi_acl_parse(&config->ids[i], &conf->ids[i]);

		conf->num_ids++;
		if (error == ENOMEM)
			return error;
		if (error)
			iscsi_log(server, ISCSI_LOG_WARN,
				  "target %s: initiator address '%s' is none "
				  "and admits nobody",
				  config->name, config->ids[i].value);
	}
	return iscsi_acl_index(conf);
}

static int conf_portals(struct iscsi_conf *conf,
			const struct iscsi_tgt_config *config)
{
	size_t n = config->num_portals;

	conf->some_portals = config->some_portals;
	conf->portals = calloc(n + 1, sizeof(*conf->portals));
	if (!conf->portals)
		return ENOMEM;
	if (n)
		memcpy(conf->portals, config->portals,
		       n * sizeof(*conf->portals));
	for (size_t i = 0; i < n; i++)
		iscsi_addr_normalize(&conf->portals[i]);
	conf->num_portals = n;
	return 0;
}

bool iscsi_conf_serves(const struct iscsi_conf *conf,
		       const struct sockaddr_storage *local)
{
	for (size_t i = 0; conf->some_portals && i < conf->num_portals; i++) {
		const struct sockaddr_storage *portal = &conf->portals[i];

		if (iscsi_addr_same(portal, local) ||
		    (portal->ss_family == local->ss_family &&
		     iscsi_addr_any(portal)))
			return true;
	}
	return !conf->some_portals;
}

static int compare_luns(const void *a, const void *b)
{
	const struct iscsi_lun *x = a, *y = b;

	return (int)x->lun - (int)y->lun;
}

/* The map, ascending; a LUN that occurs twice is refused. */
static int conf_map(struct iscsi_conf *conf,
		    const struct iscsi_tgt_config *config)
{
	size_t n = config->num_luns;
	struct iscsi_lun *luns = calloc(n + 1, sizeof(*luns));
	int error = 0;

	conf->map =
		calloc(1, sizeof(*conf->map) + n * sizeof(conf->map->entry[0]));
	conf->lus = calloc(n + 1, sizeof(*conf->lus));
	if (!luns || !conf->map || !conf->lus) {
		free(luns);
		return ENOMEM;
	}
	if (n)
		memcpy(luns, config->luns, n * sizeof(*luns));
	qsort(luns, n, sizeof(*luns), compare_luns);
	for (size_t i = 0; i < n; i++) {
		if (luns[i].lun > SCSI_MAX_LUN ||
		    (i && luns[i].lun == luns[i - 1].lun))
			error = EINVAL;
		conf->map->entry[i].lun = luns[i].lun;
		conf->map->entry[i].lu = luns[i].lu->scsi;
		conf->lus[i] = luns[i].lu;
	}
	conf->map->count = (uint32_t)n;
	free(luns);
	return error;
}

static int conf_new(struct iscsi_server *server,
		    const struct iscsi_tgt_config *config,
		    struct iscsi_conf **result)
{
	struct iscsi_conf *conf = calloc(1, sizeof(*conf));
	int error;

	if (!conf)
		return ENOMEM;
	atomic_init(&conf->refs, 1);
	if (!iscsi_name_normalize(config->name, conf->name)) {
		free(conf);
		return EINVAL;
	}
	conf->enabled = config->enabled;
	conf->chap = config->chap;
	conf->reverse_chap = config->reverse_chap;
	conf->enforce_idle_timeout = config->enforce_idle_timeout;
	conf->target_mrdsl = in_range("MaxRecvDataSegmentLength",
				      config->max_recv_data_segment_length);
	if (conf->target_mrdsl > MRDSL_MAX)
		conf->target_mrdsl = MRDSL_MAX;
	conf->max_burst = in_range("MaxBurstLength", config->max_burst_length);
	conf->first_burst =
		in_range("FirstBurstLength", config->first_burst_length);
	/* RFC 7143 13.14 */
	if (conf->first_burst > conf->max_burst)
		conf->first_burst = conf->max_burst;
	conf->alias = dup(config->alias);
	conf->chap_user = dup(config->chap_user);
	conf->chap_secret = dup(config->chap_secret);
	conf->reverse_user = dup(config->reverse_chap_user);
	conf->reverse_secret = dup(config->reverse_chap_secret);
	conf->processors = config->processors;
	if (conf->processors)
		atomic_store(&server->routing, true);
	error = conf_ids(conf, server, config);
	if (!error)
		error = conf_portals(conf, config);
	if (!error)
		error = conf_map(conf, config);
	if (!error && !(conf->alias && conf->chap_user && conf->chap_secret &&
			conf->reverse_user && conf->reverse_secret))
		error = ENOMEM;
	if (error)
		iscsi_conf_unref(conf);
	else
		*result = conf;
	return error;
}

/* The same again but for one unit, through the form that the owner gives it
 * in. */
static struct iscsi_conf *conf_without(struct iscsi_server *server,
				       const struct iscsi_conf *old,
				       const struct iscsi_lu *lu)
{
	struct iscsi_id *ids = calloc(old->num_ids + 1, sizeof(*ids));
	struct iscsi_lun *luns = calloc(old->map->count + 1, sizeof(*luns));
	struct iscsi_conf *conf = NULL;
	struct iscsi_tgt_config config = {
		.name = old->name,
		.alias = old->alias,
		.enabled = old->enabled,
		.chap = old->chap,
		.reverse_chap = old->reverse_chap,
		.chap_user = old->chap_user,
		.chap_secret = old->chap_secret,
		.reverse_chap_user = old->reverse_user,
		.reverse_chap_secret = old->reverse_secret,
		.max_recv_data_segment_length = old->target_mrdsl,
		.first_burst_length = old->first_burst,
		.max_burst_length = old->max_burst,
		.enforce_idle_timeout = old->enforce_idle_timeout,
		.ids = ids,
		.num_ids = old->num_ids,
		.some_portals = old->some_portals,
		.portals = old->portals,
		.num_portals = old->num_portals,
		.processors = old->processors,
		.luns = luns,
	};

	if (ids && luns) {
		for (size_t i = 0; i < old->num_ids; i++) {
			ids[i].method = old->ids[i].method;
			ids[i].value = old->ids[i].value;
		}
		for (uint32_t i = 0; i < old->map->count; i++) {
			if (old->lus[i] == lu)
				continue;
			luns[config.num_luns].lun = old->map->entry[i].lun;
			luns[config.num_luns++].lu = old->lus[i];
		}
		if (conf_new(server, &config, &conf))
			conf = NULL;
	}
	free(ids);
	free(luns);
	return conf;
}

/* ---- targets ---- */

struct iscsi_tgt *iscsi_tgt_ref(struct iscsi_tgt *tgt)
{
	atomic_fetch_add(&tgt->refs, 1);
	return tgt;
}

void iscsi_tgt_unref(struct iscsi_tgt *tgt)
{
	if (atomic_fetch_sub(&tgt->refs, 1) == 1)
		free(tgt);
}

static struct list_head *bucket(struct iscsi_server *server, const char *name)
{
	return &server->tgt_hash[iscsi_hash(name, strlen(name)) % ISCSI_HASH];
}

/* Under the lock. */
static struct iscsi_tgt *find(struct iscsi_server *server, const char *name)
{
	struct list_head *pos;

	list_for_each (pos, bucket(server, name)) {
		struct iscsi_tgt *tgt =
			list_entry(pos, struct iscsi_tgt, hash_link);

		if (strcmp(tgt->conf->name, name) == 0)
			return tgt;
	}
	return NULL;
}

struct iscsi_tgt *iscsi_tgt_find(struct iscsi_server *server, const char *name,
				 struct iscsi_conf **conf)
{
	struct iscsi_tgt *tgt;

	pthread_mutex_lock(&server->lock);
	tgt = find(server, name);
	if (tgt) {
		iscsi_tgt_ref(tgt);
		if (conf)
			*conf = iscsi_conf_ref(tgt->conf);
	}
	pthread_mutex_unlock(&server->lock);
	return tgt;
}

struct iscsi_conf *iscsi_tgt_conf(struct iscsi_tgt *tgt)
{
	struct iscsi_conf *conf;

	pthread_mutex_lock(&tgt->server->lock);
	conf = tgt->conf ? iscsi_conf_ref(tgt->conf) : NULL;
	pthread_mutex_unlock(&tgt->server->lock);
	return conf;
}

struct iscsi_tgt *iscsi_tgt_add(struct iscsi_server *server,
				const struct iscsi_tgt_config *config,
				void *private_data)
{
	struct iscsi_tgt *tgt = calloc(1, sizeof(*tgt));
	int error = tgt ? 0 : ENOMEM;

	if (!error)
		error = conf_new(server, config, &tgt->conf);
	if (error) {
		free(tgt);
		errno = error;
		return NULL;
	}
	atomic_init(&tgt->refs, 1);
	tgt->server = server;
	tgt->private_data = private_data;
	list_init(&tgt->link);
	list_init(&tgt->hash_link);
	list_init(&tgt->records);

	pthread_mutex_lock(&server->lock);
	if (find(server, tgt->conf->name)) {
		error = EEXIST;
	} else {
		list_add_tail(&tgt->link, &server->tgts);
		list_add_tail(&tgt->hash_link, bucket(server, tgt->conf->name));
	}
	pthread_mutex_unlock(&server->lock);
	if (error) {
		iscsi_conf_unref(tgt->conf);
		free(tgt);
		errno = error;
		return NULL;
	}
	return tgt;
}

/* Units count the sessions that see them. */
static void count_lus(const struct iscsi_conf *conf, size_t sessions, bool add)
{
	for (uint32_t i = 0; i < conf->map->count; i++) {
		if (add)
			conf->lus[i]->num_sessions += sessions;
		else
			conf->lus[i]->num_sessions -= sessions;
	}
}

void iscsi_tgt_count(struct iscsi_tgt *tgt, int change)
{
	/* The units' counters follow the target's present map, which the main
	 * thread alone changes: no lock to read it. */
	if (change > 0)
		tgt->num_sessions++;
	else
		tgt->num_sessions--;
	if (tgt->conf)
		count_lus(tgt->conf, 1, change > 0);
}

/* Publish; the sessions follow when their lanes get to it. */
static void swap_conf(struct iscsi_tgt *tgt, struct iscsi_conf *conf)
{
	struct iscsi_server *server = tgt->server;
	struct iscsi_conf *old = tgt->conf;

	pthread_mutex_lock(&server->lock);
	tgt->conf = conf;
	list_del(&tgt->hash_link);
	if (conf)
		list_add_tail(&tgt->hash_link, bucket(server, conf->name));
	else
		list_del(&tgt->link);
	pthread_mutex_unlock(&server->lock);
	if (old)
		count_lus(old, tgt->num_sessions, false);
	if (conf)
		count_lus(conf, tgt->num_sessions, true);
	iscsi_lane_tgt_changed(server, tgt);
	if (old)
		iscsi_conf_unref(old);
}

/* Is the name, when it is to change, free? The main thread alone adds names:
 * it stays so. */
static bool name_free(struct iscsi_tgt *tgt, const char *name)
{
	struct iscsi_server *server = tgt->server;
	struct iscsi_tgt *other;

	pthread_mutex_lock(&server->lock);
	other = find(server, name);
	pthread_mutex_unlock(&server->lock);
	return !other || other == tgt;
}

int iscsi_tgt_update(struct iscsi_tgt *tgt,
		     const struct iscsi_tgt_config *config)
{
	struct iscsi_conf *conf = NULL;
	int error = conf_new(tgt->server, config, &conf);

	if (error)
		return error;
	if (!name_free(tgt, conf->name)) {
		iscsi_conf_unref(conf);
		return EEXIST;
	}
	swap_conf(tgt, conf);
	return 0;
}

void iscsi_tgt_remove(struct iscsi_tgt *tgt)
{
	tgt->removed = true;
	swap_conf(tgt, NULL);
	iscsi_tgt_unref(tgt);
}

void iscsi_tgts_free(struct iscsi_server *server)
{
	struct list_head *pos, *n;

	list_for_each_safe(pos, n, &server->tgts)
	{
		struct iscsi_tgt *tgt = list_entry(pos, struct iscsi_tgt, link);

		iscsi_conf_unref(tgt->conf);
		list_del(pos);
		list_del(&tgt->hash_link);
		iscsi_tgt_unref(tgt);
	}
	list_for_each_safe(pos, n, &server->lus)
	{
		struct iscsi_lu *lu = list_entry(pos, struct iscsi_lu, link);

		list_del(pos);
		scsi_lu_free(lu->scsi);
		free(lu);
	}
}

void *iscsi_tgt_private(const struct iscsi_tgt *tgt)
{
	return tgt->private_data;
}

size_t iscsi_tgt_num_sessions(const struct iscsi_tgt *tgt)
{
	return tgt->num_sessions;
}

void iscsi_tgt_unmap(struct iscsi_tgt *tgt, const struct iscsi_lu *lu)
{
	const struct iscsi_conf *old = tgt->conf;
	struct iscsi_conf *conf;
	bool mapped = false;

	for (uint32_t i = 0; i < old->map->count; i++)
		mapped |= old->lus[i] == lu;
	if (!mapped)
		return;
	conf = conf_without(tgt->server, old, lu);
	if (!conf)
		abort(); /* the unit's memory is about to go */
	swap_conf(tgt, conf);
}
