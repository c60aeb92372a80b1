/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Who holds references: an account at an address, whatever its connections. */
#include "server/dcom/runtime.h"

static int client_destructor(struct dcom_client *client)
{
	hash_del(&client->runtime->clients, &client->node);
	return 0;
}

void dcom_client_check(struct dcom_client *client)
{
	if (client->num_ipids == 0) {
		talloc_free(client);
	} else if (client->refused &&
		   client->num_ipids <
			   client->runtime->options.max_references / 2) {
		client->refused = false;
	}
}

/*
 * The caller's entry. It has no owner until an IPID is charged to it, which
 * is what the only callers do right after; an unused one is found again.
 */
struct dcom_client *dcom_call_client_entry(struct dcom_call *call)
{
	struct dcom_runtime *runtime = call->runtime;
	uint64_t value = hash_string(call->client_name);
	struct dcom_client *client;
	struct hash_node *n = hash_first(&runtime->clients, value);

	for (; n != NULL; n = hash_next(n, value)) {
		client = hash_entry(n, struct dcom_client, node);
		if (strcmp(client->name, call->client_name) == 0) {
			return client;
		}
	}
	client = talloc_zero(runtime, struct dcom_client);
	if (client == NULL) {
		return NULL;
	}
	client->runtime = runtime;
	client->name = talloc_strdup(client, call->client_name);
	if (client->name == NULL ||
	    !hash_add(&runtime->clients, &client->node, value)) {
		talloc_free(client);
		return NULL;
	}
	client->address = strchr(client->name, '@') + 1;
	talloc_set_destructor(client, client_destructor);
	return client;
}
