/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is always true of the runtime's tables between two calls, for tests. */
#include <stdlib.h>

#include "server/dcom/runtime.h"

static const char *check_object(struct dcom_runtime *runtime,
				const struct dcom_object *object,
				TALLOC_CTX *mem_ctx, size_t *ipids)
{
	if (dcom_object_by_oid(runtime, object->oid) != object) {
		return talloc_asprintf(mem_ctx, "%s: not found by its OID",
				       object->type->name);
	}
	if (object->key_node.linked &&
	    dcom_object_find(runtime, object->type, &object->key) != object) {
		return talloc_asprintf(mem_ctx, "%s: not found by its key",
				       object->type->name);
	}
	if (object->ipids == NULL && !object->pinned && object->calls == 0 &&
	    !object->fresh) {
		return talloc_asprintf(mem_ctx, "%s: nobody refers to it",
				       object->type->name);
	}
	for (const struct dcom_ipid *i = object->ipids; i != NULL;
	     i = i->next) {
		if (dcom_ipid_find(runtime, &i->ipid) != i ||
		    i->object != object) {
			return talloc_asprintf(mem_ctx,
					       "%s: an IPID is not found",
					       object->type->name);
		}
		if (i->client != NULL && i->public_refs == 0 &&
		    i->private_refs == 0) {
			return talloc_asprintf(mem_ctx,
					       "%s: an IPID without references",
					       object->type->name);
		}
		(*ipids)++;
	}
	return NULL;
}

static size_t clients_ipids(const struct dcom_runtime *runtime)
{
	struct hash_node *n = NULL;
	size_t bucket = 0, sum = 0;

	while ((n = hash_walk(&runtime->clients, &bucket, n)) != NULL) {
		sum += hash_entry(n, struct dcom_client, node)->num_ipids;
	}
	return sum;
}

const char *dcom_runtime_check(struct dcom_runtime *runtime,
			       TALLOC_CTX *mem_ctx)
{
	size_t objects = 0, ipids = 0, own = 0;

	for (const struct dcom_object *o = runtime->objects; o != NULL;
	     o = o->next) {
		const char *wrong = check_object(runtime, o, mem_ctx, &ipids);

		if (wrong != NULL) {
			return wrong;
		}
		for (const struct dcom_ipid *i = o->ipids; i != NULL;
		     i = i->next) {
			own += i->client == NULL;
		}
		objects++;
	}
	if (objects != runtime->num_objects || objects != runtime->oids.count ||
	    ipids != runtime->ipids.count) {
		return talloc_asprintf(mem_ctx,
				       "%zu objects (%zu, %zu by OID), %zu "
				       "IPIDs (%zu by IPID)",
				       objects, runtime->num_objects,
				       runtime->oids.count, ipids,
				       runtime->ipids.count);
	}
	if (clients_ipids(runtime) != ipids - own) {
		return talloc_asprintf(mem_ctx,
				       "%zu IPIDs, %zu of clients that count "
				       "%zu",
				       ipids, ipids - own,
				       clients_ipids(runtime));
	}
	return NULL;
}

void dcom_self_check(struct dcom_runtime *runtime)
{
	TALLOC_CTX *mem_ctx;
	const char *wrong;

	if (runtime->options.check == NULL || runtime->stopping) {
		return;
	}
	mem_ctx = talloc_new(NULL);
	wrong = dcom_runtime_check(runtime, mem_ctx);
	if (wrong == NULL) {
		wrong = runtime->options.check(runtime->options.check_data,
					       mem_ctx);
	}
	if (wrong != NULL) {
		log_msg(LOG_ERROR, "self check: %s", wrong);
		abort();
	}
	talloc_free(mem_ctx);
}
