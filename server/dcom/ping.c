/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Pinging and garbage collection ([MS-DCOM] 3.1.2.5.1.2, 3.1.2.5.1.3, 3.1.2.6):
 * a client tells which objects it uses in a ping set, and that it is alive by
 * pinging the set. A set that misses three periods is forgotten; an object
 * that is in no set, and was neither called nor handed out for three periods,
 * loses all its references.
 *
 * The protocol does not say whose references a ping keeps: sets have OIDs, and
 * pings nobody's name. So a client that vanishes would keep its references to
 * an object that another one pings. Here IPIDs belong to clients, and both have
 * an address: references go where nothing has come from their client's address
 * for three periods, neither call nor ping, and each address that pings the
 * object has references of its own to do so for. A client that pings from
 * another of its addresses than it calls from keeps them all.
 */
#include "server/dcom/runtime.h"
#include "server/dcom/list.h"

#define MISSED_PINGS 3

/* A set costs memory and everyone may make one: [MS-DCOM] leaves the resolver
 * open to unauthenticated callers. */
#define MAX_SETS	     10000
#define MAX_SETS_PER_ADDRESS 500
#define MAX_MEMBERS	     65536

struct dcom_ping_set {
	struct dcom_ping_set *prev, *next;
	struct dcom_runtime *runtime;
	struct hash_node node;
	uint64_t id;
	const char *address; /* of whoever created it */
	uint16_t sequence;
	uint64_t pinged; /* dcom_ping_clock() */
	/* Of OIDs, not objects: members may go before the set does. Each
	 * counts in its object's ping_sets. */
	struct hash members;
};

struct ping_member {
	struct hash_node node;
	uint64_t oid;
};

uint64_t dcom_ping_clock(const struct dcom_runtime *runtime)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000 +
	       runtime->passed;
}

/* Have three periods gone by since? */
static bool is_over(const struct dcom_runtime *runtime, uint64_t since,
		    uint64_t now)
{
	return since + (uint64_t)runtime->options.ping_period * MISSED_PINGS <
	       now;
}

uint64_t dcom_ping_set_id(const struct hash_node *node)
{
	return hash_entry(node, struct dcom_ping_set, node)->id;
}

static struct dcom_ping_set *set_find(struct dcom_runtime *runtime, uint64_t id)
{
	uint64_t value = hash_bytes(&id, sizeof(id));
	struct hash_node *n = hash_first(&runtime->sets, value);

	for (; n != NULL; n = hash_next(n, value)) {
		struct dcom_ping_set *set =
			hash_entry(n, struct dcom_ping_set, node);

		if (set->id == id) {
			return set;
		}
	}
	return NULL;
}

static struct ping_member *member_find(struct dcom_ping_set *set, uint64_t oid)
{
	uint64_t value = hash_bytes(&oid, sizeof(oid));
	struct hash_node *n = hash_first(&set->members, value);

	for (; n != NULL; n = hash_next(n, value)) {
		struct ping_member *m = hash_entry(n, struct ping_member, node);

		if (m->oid == oid) {
			return m;
		}
	}
	return NULL;
}

static void member_left(struct dcom_runtime *runtime, uint64_t oid)
{
	struct dcom_object *object = dcom_object_by_oid(runtime, oid);

	if (object != NULL && object->ping_sets > 0) {
		object->ping_sets--;
		/* Other clients' references have three periods from now. */
		dcom_object_touch(object);
	}
}

static void member_remove(struct dcom_ping_set *set, struct ping_member *m)
{
	hash_del(&set->members, &m->node);
	member_left(set->runtime, m->oid);
	talloc_free(m);
}

static void set_free(struct dcom_ping_set *set)
{
	struct dcom_runtime *runtime = set->runtime;

	hash_del(&runtime->sets, &set->node);
	DCOM_LIST_REMOVE(runtime->set_list, set);
	runtime->num_sets--;
	talloc_free(set);
}

/* Forget the set; what nobody else pings is run down at once. */
static void set_expire(struct dcom_ping_set *set)
{
	struct dcom_runtime *runtime = set->runtime;
	struct hash_node *n;
	size_t bucket = 0;

	log_msg(LOG_INFO, "ping set %016llx with %zu objects has expired",
		(unsigned long long)set->id, set->members.count);
	while ((n = hash_walk(&set->members, &bucket, NULL)) != NULL) {
		struct ping_member *m = hash_entry(n, struct ping_member, node);
		struct dcom_object *object =
			dcom_object_by_oid(runtime, m->oid);

		hash_del(&set->members, n);
		talloc_free(m);
		bucket = 0;
		if (object == NULL) {
			continue;
		}
		if (object->ping_sets > 0) {
			object->ping_sets--;
		}
	}
	set_free(set);
}

static bool too_many_sets(const struct dcom_runtime *runtime,
			  const char *address)
{
	size_t same = 0;

	if (runtime->num_sets >= MAX_SETS) {
		return true;
	}
	if (runtime->num_sets < MAX_SETS_PER_ADDRESS) {
		return false;
	}
	for (const struct dcom_ping_set *set = runtime->set_list; set != NULL;
	     set = set->next) {
		same += strcmp(set->address, address) == 0;
	}
	return same >= MAX_SETS_PER_ADDRESS;
}

static struct dcom_ping_set *set_create(struct dcom_runtime *runtime,
					const char *address)
{
	struct dcom_ping_set *set;

	if (too_many_sets(runtime, address)) {
		log_msg(LOG_WARNING, "%s: no new ping set, there are %zu",
			address, runtime->num_sets);
		return NULL;
	}
	set = talloc_zero(runtime, struct dcom_ping_set);
	if (set == NULL) {
		return NULL;
	}
	set->address = talloc_strdup(set, address);
	if (set->address == NULL) {
		talloc_free(set);
		return NULL;
	}
	set->runtime = runtime;
	hash_init(&set->members, set);
	do {
		dcom_random(&set->id, sizeof(set->id));
	} while (set->id == 0);
	if (!hash_add(&runtime->sets, &set->node,
		      hash_bytes(&set->id, sizeof(set->id)))) {
		talloc_free(set);
		return NULL;
	}
	DCOM_LIST_ADD(runtime->set_list, set);
	runtime->num_sets++;
	return set;
}

/* @return false without memory */
static bool set_add(struct dcom_ping_set *set, uint64_t oid, bool *unknown)
{
	struct dcom_object *object = dcom_object_by_oid(set->runtime, oid);
	struct ping_member *m;

	if (object == NULL) {
		*unknown = true;
		return true;
	}
	if (member_find(set, oid) != NULL) {
		return true;
	}
	if (set->members.count >= MAX_MEMBERS) {
		return false;
	}
	m = talloc_zero(set, struct ping_member);
	if (m == NULL) {
		return false;
	}
	m->oid = oid;
	if (!hash_add(&set->members, &m->node, hash_bytes(&oid, sizeof(oid)))) {
		talloc_free(m);
		return false;
	}
	object->ping_sets++;
	return true;
}

uint32_t dcom_ping_simple(struct dcom_runtime *runtime, uint64_t set_id)
{
	struct dcom_ping_set *set = set_find(runtime, set_id);

	if (set == NULL) {
		return DCOM_OR_INVALID_SET;
	}
	set->pinged = dcom_ping_clock(runtime);
	return 0;
}

/*
 * A request that arrives late must not undo a later one: sequence numbers go
 * up, modulo 2^16. Equal ones are let through, as repeated or from a client
 * that does not count; adding twice changes nothing.
 */
static bool out_of_order(const struct dcom_ping_set *set, uint16_t sequence)
{
	return (int16_t)(uint16_t)(sequence - set->sequence) < 0 &&
	       sequence != 0;
}

uint32_t dcom_ping_complex(struct dcom_runtime *runtime, const char *address,
			   uint64_t *set_id, uint16_t sequence,
			   const uint64_t *add, size_t num_add,
			   const uint64_t *del, size_t num_del)
{
	struct dcom_ping_set *set;
	bool unknown = false;

	if (*set_id == 0) {
		set = set_create(runtime, address);
		if (set == NULL) {
			return DCOM_WIN32_OUTOFMEMORY;
		}
		set->sequence = sequence;
	} else {
		set = set_find(runtime, *set_id);
		if (set == NULL) {
			return DCOM_OR_INVALID_SET;
		}
	}
	set->pinged = dcom_ping_clock(runtime);
	*set_id = set->id;
	if (out_of_order(set, sequence)) {
		return 0;
	}
	set->sequence = sequence;
	for (size_t i = 0; i < num_add; i++) {
		if (!set_add(set, add[i], &unknown)) {
			return DCOM_WIN32_OUTOFMEMORY;
		}
	}
	for (size_t i = 0; i < num_del; i++) {
		struct ping_member *m = member_find(set, del[i]);

		if (m != NULL) {
			member_remove(set, m);
		}
	}
	/* The set stays: the client has been told its ID. */
	return unknown ? DCOM_OR_INVALID_OID : 0;
}

/* ---- garbage collection ---- */

/* Of addresses from which sets are pinged; for one collection. */
struct pinger {
	struct hash_node node;
	const char *address;
};

static bool pingers_have(const struct hash *pingers, const char *address)
{
	uint64_t value = hash_string(address);
	struct hash_node *n = hash_first(pingers, value);

	while (n != NULL && strcmp(hash_entry(n, struct pinger, node)->address,
				   address) != 0) {
		n = hash_next(n, value);
	}
	return n != NULL;
}

/* Which clients are silent. @return whether any is */
static bool find_silent(struct dcom_runtime *runtime, uint64_t now)
{
	TALLOC_CTX *tmp = talloc_new(NULL);
	struct hash_node *n = NULL;
	struct hash pingers;
	size_t bucket = 0;
	bool any = false;

	hash_init(&pingers, tmp);
	for (const struct dcom_ping_set *set = runtime->set_list; set != NULL;
	     set = set->next) {
		struct pinger *pinger;

		if (pingers_have(&pingers, set->address)) {
			continue;
		}
		pinger = talloc_zero(tmp, struct pinger);
		if (pinger == NULL) {
			talloc_free(tmp);
			return false;
		}
		pinger->address = set->address;
		if (!hash_add(&pingers, &pinger->node,
			      hash_string(set->address))) {
			talloc_free(tmp);
			return false;
		}
	}
	while ((n = hash_walk(&runtime->clients, &bucket, n)) != NULL) {
		struct dcom_client *client =
			hash_entry(n, struct dcom_client, node);

		client->silent = is_over(runtime, client->seen, now) &&
				 !pingers_have(&pingers, client->address);
		any |= client->silent;
	}
	talloc_free(tmp);
	return any;
}

static bool address_refers(const struct dcom_object *object,
			   const char *address)
{
	const struct dcom_ipid *ipid = object->ipids;

	while (ipid != NULL && (ipid->client == NULL ||
				strcmp(ipid->client->address, address) != 0)) {
		ipid = ipid->next;
	}
	return ipid != NULL;
}

/* Do others ping it, and silent clients refer to it all the same? */
static bool outlived(struct dcom_runtime *runtime,
		     const struct dcom_object *object)
{
	const struct dcom_ipid *ipid = object->ipids;

	while (ipid != NULL &&
	       (ipid->client == NULL || !ipid->client->silent)) {
		ipid = ipid->next;
	}
	if (ipid == NULL) {
		return false;
	}
	for (struct dcom_ping_set *set = runtime->set_list; set != NULL;
	     set = set->next) {
		if (member_find(set, object->oid) != NULL &&
		    !address_refers(object, set->address)) {
			return false;
		}
	}
	return true;
}

static void collect_timer(struct tevent_context *ev, struct tevent_timer *timer,
			  struct timeval now, void *private_data);

static bool schedule(struct dcom_runtime *runtime)
{
	/* Often enough for a run-down soon after the third missed period. */
	unsigned ms = MAX(runtime->options.ping_period / 4, 10);

	runtime->ping_timer = tevent_add_timer(
		runtime->ev, runtime,
		tevent_timeval_current_ofs(ms / 1000, ms % 1000 * 1000),
		collect_timer, runtime);
	return runtime->ping_timer != NULL;
}

static void collect(struct dcom_runtime *runtime)
{
	uint64_t now = dcom_ping_clock(runtime);
	struct dcom_ping_set *set, *next_set;
	struct dcom_object *object, *next;
	bool silent;

	for (set = runtime->set_list; set != NULL; set = next_set) {
		next_set = set->next;
		if (is_over(runtime, set->pinged, now)) {
			set_expire(set);
		}
	}
	silent = find_silent(runtime, now);
	for (object = runtime->objects; object != NULL; object = next) {
		next = object->next;
		if (object->ping_sets == 0 &&
		    is_over(runtime, object->used, now)) {
			dcom_object_run_down(object, false);
		} else if (silent && outlived(runtime, object)) {
			dcom_object_run_down(object, true);
		}
	}
}

static void collect_timer(struct tevent_context *ev, struct tevent_timer *timer,
			  struct timeval now, void *private_data)
{
	struct dcom_runtime *runtime =
		talloc_get_type_abort(private_data, struct dcom_runtime);

	collect(runtime);
	if (!schedule(runtime)) {
		log_msg(LOG_ERROR, "out of memory: vanished clients are no "
				   "longer noticed");
	}
}

void dcom_runtime_pass_time(struct dcom_runtime *runtime, uint64_t ms)
{
	runtime->passed += ms;
	collect(runtime);
}

bool dcom_ping_start(struct dcom_runtime *runtime)
{
	return schedule(runtime);
}
