/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Objects and their interface pointers: the OID and IPID tables of [MS-DCOM]
 * 3.1.1.1. An IPID belongs to one client, so that one client's RemRelease
 * cannot take away another's reference and each has its own quota.
 */
#include <stdlib.h>
#include <unistd.h>

#include "server/dcom/runtime.h"
#include "server/dcom/list.h"

void dcom_random(void *buffer, size_t length)
{
	/* Blocks only before the kernel's generator is seeded, at boot. */
	if (getentropy(buffer, length) != 0) {
		log_msg(LOG_ERROR, "no random numbers: %s", strerror(errno));
		abort();
	}
}

static uint64_t random_id(void)
{
	uint64_t id;

	do {
		dcom_random(&id, sizeof(id));
	} while (id == 0);
	return id;
}

struct dcom_object *dcom_object_by_oid(struct dcom_runtime *runtime,
				       uint64_t oid)
{
	uint64_t value = hash_bytes(&oid, sizeof(oid));
	struct hash_node *n = hash_first(&runtime->oids, value);

	for (; n != NULL; n = hash_next(n, value)) {
		struct dcom_object *object =
			hash_entry(n, struct dcom_object, oid_node);

		if (object->oid == oid) {
			return object;
		}
	}
	return NULL;
}

static uint64_t ipid_hash(const struct GUID *ipid)
{
	/* struct GUID has no padding. */
	return hash_bytes(ipid, sizeof(*ipid));
}

struct dcom_ipid *dcom_ipid_find(struct dcom_runtime *runtime,
				 const struct GUID *ipid)
{
	uint64_t value = ipid_hash(ipid);
	struct hash_node *n = hash_first(&runtime->ipids, value);

	for (; n != NULL; n = hash_next(n, value)) {
		struct dcom_ipid *entry = hash_entry(n, struct dcom_ipid, node);

		if (GUID_equal(&entry->ipid, ipid)) {
			return entry;
		}
	}
	return NULL;
}

static uint64_t key_hash(const struct dcom_object_type *type,
			 const struct GUID *key)
{
	uint8_t buffer[sizeof(*key) + sizeof(type)];

	memcpy(buffer, key, sizeof(*key));
	memcpy(buffer + sizeof(*key), &type, sizeof(type));
	return hash_bytes(buffer, sizeof(buffer));
}

struct dcom_object *dcom_object_find(struct dcom_runtime *runtime,
				     const struct dcom_object_type *type,
				     const struct GUID *key)
{
	uint64_t value = key_hash(type, key);
	struct hash_node *n = hash_first(&runtime->keys, value);

	for (; n != NULL; n = hash_next(n, value)) {
		struct dcom_object *object =
			hash_entry(n, struct dcom_object, key_node);

		if (object->type == type && GUID_equal(&object->key, key)) {
			return object;
		}
	}
	return NULL;
}

static void ipid_free(struct dcom_ipid *entry)
{
	struct dcom_object *object = entry->object;
	struct dcom_client *client = entry->client;

	hash_del(&object->runtime->ipids, &entry->node);
	DCOM_LIST_REMOVE(object->ipids, entry);
	talloc_free(entry);
	if (client != NULL) {
		client->num_ipids--;
		dcom_client_check(client);
	}
}

static int object_destructor(struct dcom_object *object)
{
	struct dcom_runtime *runtime = object->runtime;

	while (object->ipids != NULL) {
		ipid_free(object->ipids);
	}
	hash_del(&runtime->oids, &object->oid_node);
	hash_del(&runtime->keys, &object->key_node);
	DCOM_LIST_REMOVE(runtime->objects, object);
	runtime->num_objects--;
	if (object->type->released != NULL) {
		object->type->released(object->self);
	}
	return 0;
}

struct dcom_object *dcom_object_create(struct dcom_runtime *runtime,
				       const struct dcom_object_type *type,
				       void *self, const struct GUID *key)
{
	struct dcom_object *object;

	if (runtime->num_objects >= runtime->options.max_objects) {
		log_msg(LOG_WARNING,
			"no object of type %s: there are %u, the limit",
			type->name, runtime->options.max_objects);
		return NULL;
	}
	object = talloc_zero(runtime, struct dcom_object);
	if (object == NULL) {
		return NULL;
	}
	object->runtime = runtime;
	object->type = type;
	object->oid = random_id();
	if (!hash_add(&runtime->oids, &object->oid_node,
		      hash_bytes(&object->oid, sizeof(object->oid)))) {
		talloc_free(object);
		return NULL;
	}
	if (key != NULL) {
		object->key = *key;
		if (!hash_add(&runtime->keys, &object->key_node,
			      key_hash(type, key))) {
			hash_del(&runtime->oids, &object->oid_node);
			talloc_free(object);
			return NULL;
		}
	}
	object->self = talloc_steal(object, self);
	DCOM_LIST_ADD(runtime->objects, object);
	runtime->num_objects++;
	object->fresh = true;
	runtime->have_fresh = true;
	dcom_object_touch(object);
	talloc_set_destructor(object, object_destructor);
	return object;
}

void *dcom_object_self(struct dcom_object *object)
{
	return object->self;
}

void dcom_object_pin(struct dcom_object *object)
{
	object->pinned = true;
}

void dcom_object_touch(struct dcom_object *object)
{
	object->used = dcom_ping_clock(object->runtime);
}

void dcom_object_check(struct dcom_object *object)
{
	if (object->ipids == NULL && !object->pinned && object->calls == 0 &&
	    !object->fresh) {
		talloc_free(object);
	}
}

void dcom_object_run_down(struct dcom_object *object, bool silent)
{
	struct dcom_ipid *entry, *next;
	unsigned count = 0;

	/* While a call is in progress someone is there. */
	if (object->calls > 0) {
		return;
	}
	for (entry = object->ipids; entry != NULL; entry = next) {
		next = entry->next;
		if (entry->client != NULL &&
		    (!silent || entry->client->silent)) {
			count++;
			ipid_free(entry);
		}
	}
	if (count > 0) {
		log_msg(LOG_INFO,
			"%s %016llx: %u interface pointers run down, their "
			"clients have stopped pinging",
			object->type->name, (unsigned long long)object->oid,
			count);
	}
	dcom_object_check(object);
}

/*
 * Newly created objects are at the head of the list. They are looked at once
 * the call that made them has ended or been deferred.
 */
void dcom_objects_sweep_fresh(struct dcom_runtime *runtime)
{
	struct dcom_object *object, *next;

	if (!runtime->have_fresh) {
		return;
	}
	runtime->have_fresh = false;
	for (object = runtime->objects; object != NULL && object->fresh;
	     object = next) {
		next = object->next;
		object->fresh = false;
		dcom_object_check(object);
	}
}

void dcom_objects_free_all(struct dcom_runtime *runtime)
{
	while (runtime->objects != NULL) {
		talloc_free(runtime->objects);
	}
}

HRESULT dcom_object_query(const struct dcom_object *object,
			  const struct GUID *iid,
			  const struct com_interface **interface)
{
	if (GUID_equal(iid, &dcom_iid_iunknown)) {
		*interface = NULL;
		return ISTM_S_OK;
	}
	*interface = com_interface_by_iid(object->type->interfaces, iid);
	return *interface == NULL ? ISTM_NO_INTERFACE : ISTM_S_OK;
}

static struct dcom_ipid *ipid_create(struct dcom_object *object,
				     const struct com_interface *interface,
				     struct dcom_client *client)
{
	struct dcom_runtime *runtime = object->runtime;
	struct dcom_ipid *entry = talloc_zero(object, struct dcom_ipid);

	if (entry == NULL) {
		return NULL;
	}
	dcom_random(&entry->ipid, sizeof(entry->ipid));
	entry->object = object;
	entry->interface = interface;
	entry->client = client;
	if (!hash_add(&runtime->ipids, &entry->node, ipid_hash(&entry->ipid))) {
		talloc_free(entry);
		return NULL;
	}
	DCOM_LIST_ADD(object->ipids, entry);
	if (client != NULL) {
		client->num_ipids++;
	}
	return entry;
}

struct dcom_ipid *dcom_object_own_ipid(struct dcom_object *object,
				       const struct com_interface *interface)
{
	return ipid_create(object, interface, NULL);
}

static bool over_quota(struct dcom_client *client)
{
	unsigned max = client->runtime->options.max_references;

	if (client->num_ipids < max) {
		return false;
	}
	if (!client->refused) {
		client->refused = true;
		log_msg(LOG_WARNING,
			"client %s holds %zu interface pointers, the limit: "
			"it gets no more until it releases some",
			client->name, client->num_ipids);
	}
	return true;
}

HRESULT dcom_object_reference(struct dcom_call *call,
			      struct dcom_object *object,
			      const struct com_interface *interface,
			      uint32_t refs, struct dcom_ipid **ipid)
{
	struct dcom_client *client = dcom_call_client_entry(call);
	struct dcom_ipid *entry;

	if (client == NULL) {
		return ISTM_OUT_OF_MEMORY;
	}
	for (entry = object->ipids; entry != NULL; entry = entry->next) {
		if (entry->client == client && entry->interface == interface) {
			break;
		}
	}
	if (entry == NULL) {
		if (over_quota(client)) {
			return ISTM_OUT_OF_MEMORY;
		}
		entry = ipid_create(object, interface, client);
		if (entry == NULL) {
			dcom_client_check(client);
			return ISTM_OUT_OF_MEMORY;
		}
	}
	if (entry->public_refs > UINT32_MAX - refs) {
		return ISTM_OUT_OF_MEMORY;
	}
	entry->public_refs += refs;
	dcom_object_touch(object);
	client->seen = object->used;
	*ipid = entry;
	return ISTM_S_OK;
}

void dcom_ipid_release(struct dcom_ipid *entry, uint32_t public_refs,
		       uint32_t private_refs)
{
	struct dcom_object *object = entry->object;

	if (entry->client == NULL) {
		return; /* the runtime's own */
	}
	entry->public_refs -= MIN(public_refs, entry->public_refs);
	entry->private_refs -= MIN(private_refs, entry->private_refs);
	if (entry->public_refs == 0 && entry->private_refs == 0) {
		ipid_free(entry);
		dcom_object_check(object);
	}
}
