/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Garbage collection pinging, the client's side ([MS-DCOM] 3.2.6.1): one ping
 * set for the server, told with ComplexPing what it gained and lost since the
 * last time. A ping that fails is tried anew at the next turn; the server
 * forgives two.
 */
#include <string.h>
#include <util/time.h>

#include "client/libistm/internal.h"
#include "gen_ndr/ndr_oxid.h"
#include "server/core/errors.h"

#define PING_PERIOD 120 /* seconds, [MS-DCOM] 3.1.1.2.1 */

struct ping_state {
	struct istm_client *client;
	struct ComplexPing r;
	uint64_t set;
};

static void ping_timer(struct tevent_context *ev, struct tevent_timer *te,
		       struct timeval now, void *private_data);

static void ping_schedule(struct istm_client *client)
{
	client->ping_timer =
		tevent_add_timer(client->ev, client,
				 timeval_current_ofs(PING_PERIOD, 0),
				 ping_timer, client);
}

void istm_ping_start(struct istm_client *client)
{
	if (client->ping_timer == NULL) {
		ping_schedule(client);
	}
}

void istm_ping_forget(struct istm_client *client, struct istm_object *object)
{
	uint64_t *unping;

	if (!object->in_ping_set) {
		return;
	}
	unping = talloc_realloc(client, client->unping, uint64_t,
				client->num_unping + 1);
	if (unping == NULL) {
		return; /* stays in the set until the client ends */
	}
	client->unping = unping;
	client->unping[client->num_unping++] = object->oid;
}

static void ping_done(struct tevent_req *subreq)
{
	struct ping_state *state =
		tevent_req_callback_data(subreq, struct ping_state);
	struct istm_client *client = state->client;
	NTSTATUS status = dcerpc_binding_handle_call_recv(subreq);

	TALLOC_FREE(subreq);
	client->ping = NULL;
	if (NT_STATUS_IS_OK(status) && W_ERROR_IS_OK(state->r.out.result)) {
		client->ping_set = *state->r.out.pSetId;
	} else {
		/* Perhaps the set is gone: begin a new one next time. */
		struct istm_exporter *e;
		struct istm_object *o;

		client->ping_set = 0;
		client->ping_sequence = 0;
		for (e = client->exporters; e != NULL; e = e->next) {
			for (o = e->objects; o != NULL; o = o->next) {
				o->in_ping_set = false;
			}
		}
	}
	talloc_free(state);
}

/* Everything that is not in the set yet; marked as if it were. */
static size_t collect_new(struct istm_client *client, TALLOC_CTX *mem_ctx,
			  uint64_t **oids)
{
	struct istm_exporter *e;
	struct istm_object *o;
	size_t num = 0;

	for (e = client->exporters; e != NULL; e = e->next) {
		for (o = e->objects; o != NULL; o = o->next) {
			uint64_t *more;

			if (!o->ping || o->in_ping_set || num == UINT16_MAX) {
				continue;
			}
			more = talloc_realloc(mem_ctx, *oids, uint64_t,
					      num + 1);
			if (more == NULL) {
				return num;
			}
			*oids = more;
			(*oids)[num++] = o->oid;
			o->in_ping_set = true;
		}
	}
	return num;
}

static void ping_timer(struct tevent_context *ev, struct tevent_timer *te,
		       struct timeval now, void *private_data)
{
	struct istm_client *client =
		talloc_get_type_abort(private_data, struct istm_client);
	struct istm_context *scm_context = NULL;
	struct ping_state *state;

	ping_schedule(client);
	if (client->ping != NULL ||
	    ISTM_FAILED(istm_scm_context(client, &ndr_table_IObjectExporter,
					 &scm_context))) {
		return;
	}
	state = talloc_zero(client, struct ping_state);
	if (state == NULL) {
		return;
	}
	state->client = client;
	state->set = client->ping_set;
	state->r.in.pSetId = &state->set;
	state->r.out.pSetId = &state->set;
	state->r.in.SequenceNum = ++client->ping_sequence;
	state->r.in.cAddToSet =
		collect_new(client, state, &state->r.in.AddToSet);
	if (client->num_unping > 0) {
		state->r.in.cDelFromSet = client->num_unping < UINT16_MAX
						  ? client->num_unping
						  : UINT16_MAX;
		state->r.in.DelFromSet = talloc_steal(state, client->unping);
		client->unping = NULL;
		client->num_unping = 0;
	}
	client->ping = dcerpc_binding_handle_call_send(
		state, client->ev, scm_context->pipe->binding_handle, NULL,
		&scm_context->table, NDR_COMPLEXPING, state, &state->r);
	if (client->ping == NULL) {
		talloc_free(state);
		return;
	}
	tevent_req_set_callback(client->ping, ping_done, state);
}
