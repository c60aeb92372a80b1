/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <arpa/inet.h>
#include <stdbool.h>
#include <string.h>

#include <dcerpc.h>
#include <util/tevent_ntstatus.h>

#include "gen_ndr/ndr_oxid.h"
#include "librpc/dualstring.h"
#include "server/auth/connect.h"
#include "server/core/log.h"
#include "server/dcom/peer.h"

#define RESOLVER_PORT 135

/* A client with more addresses than this is not searched for the right one. */
#define MAX_ADDRESSES 8

/* ---- addresses ---- */

static bool is_literal(const char *host)
{
	struct in6_addr any;

	return inet_pton(AF_INET, host, &any) == 1 ||
	       inet_pton(AF_INET6, host, &any) == 1;
}

/* The address that the client called from works for sure, others may, names
 * cost a look-up. */
static int rank(const struct dcom_peer_address *a, const char *from)
{
	if (strcmp(a->host, from) == 0) {
		return 0;
	}
	return is_literal(a->host) ? 1 : 2;
}

static size_t take_addresses(TALLOC_CTX *mem_ctx, const struct dualstring *ds,
			     const char *from, uint16_t port,
			     struct dcom_peer_address **list)
{
	size_t num = 0, i;
	int wanted;

	*list = talloc_zero_array(mem_ctx, struct dcom_peer_address,
				  MAX_ADDRESSES);
	if (*list == NULL) {
		return 0;
	}
	for (wanted = 0; wanted <= 2; wanted++) {
		for (i = 0; i < ds->num_strings && num < MAX_ADDRESSES; i++) {
			struct dcom_peer_address a;

			if (ds->strings[i].wTowerId == DCOM_TOWER_TCP &&
			    string_binding_parse(*list,
						 ds->strings[i].aNetworkAddr,
						 port, &a.host, &a.port) &&
			    rank(&a, from) == wanted) {
				(*list)[num++] = a;
			}
		}
	}
	return num;
}

struct dcom_peer *dcom_peer_create(TALLOC_CTX *mem_ctx, uint64_t oxid,
				   const char *address,
				   const struct DUALSTRINGARRAY_FLAT *resolver)
{
	struct dcom_peer *peer = talloc_zero(mem_ctx, struct dcom_peer);
	struct dualstring ds = {0};
	TALLOC_CTX *frame;

	if (peer == NULL) {
		return NULL;
	}
	frame = talloc_new(peer);
	peer->oxid = oxid;
	peer->address = talloc_strdup(peer, address);
	if (frame == NULL || peer->address == NULL || resolver == NULL ||
	    !dualstring_unpack_flat(frame, resolver, &ds)) {
		talloc_free(peer);
		return NULL;
	}
	peer->num_resolvers = take_addresses(peer, &ds, address, RESOLVER_PORT,
					     &peer->resolvers);
	if (peer->resolvers == NULL) {
		talloc_free(peer);
		return NULL;
	}
	if (peer->num_resolvers == 0) {
		peer->resolvers[peer->num_resolvers++] =
			(struct dcom_peer_address){peer->address,
						   RESOLVER_PORT};
	}
	talloc_free(frame);
	return peer;
}

/* ---- the first of several that answers ---- */

struct any_state {
	struct tevent_context *ev;
	const struct dcom_peer_address *list;
	size_t num, next;
	const struct ndr_interface_table *table;
	uint32_t level;
	NTSTATUS status;
	struct dcerpc_pipe *pipe;
};

static void any_connected(struct tevent_req *subreq);

static void any_next(struct tevent_req *req)
{
	struct any_state *state = tevent_req_data(req, struct any_state);
	const struct dcom_peer_address *a;
	struct tevent_req *subreq;

	if (state->next == state->num) {
		tevent_req_nterror(req, state->status);
		return;
	}
	a = &state->list[state->next++];
	subreq = auth_connect_send(state, state->ev, a->host, a->port,
				   state->table, state->level);
	if (!tevent_req_nomem(subreq, req)) {
		tevent_req_set_callback(subreq, any_connected, req);
	}
}

static struct tevent_req *any_send(TALLOC_CTX *mem_ctx,
				   struct tevent_context *ev,
				   const struct dcom_peer_address *list,
				   size_t num,
				   const struct ndr_interface_table *table,
				   uint32_t level)
{
	struct any_state *state = NULL;
	struct tevent_req *req =
		tevent_req_create(mem_ctx, &state, struct any_state);

	if (req == NULL) {
		return NULL;
	}
	*state = (struct any_state){
		.ev = ev,
		.list = list,
		.num = num,
		.table = table,
		.level = level,
		.status = NT_STATUS_HOST_UNREACHABLE,
	};
	any_next(req);
	return tevent_req_is_in_progress(req) ? req : tevent_req_post(req, ev);
}

static void any_connected(struct tevent_req *subreq)
{
	struct tevent_req *req =
		tevent_req_callback_data(subreq, struct tevent_req);
	struct any_state *state = tevent_req_data(req, struct any_state);

	state->status = auth_connect_recv(subreq, state, &state->pipe);
	talloc_free(subreq);
	if (NT_STATUS_IS_OK(state->status)) {
		tevent_req_done(req);
		return;
	}
	any_next(req);
}

static NTSTATUS any_recv(struct tevent_req *req, TALLOC_CTX *mem_ctx,
			 struct dcerpc_pipe **pipe)
{
	struct any_state *state = tevent_req_data(req, struct any_state);
	NTSTATUS status = NT_STATUS_OK;

	*pipe = NULL;
	if (!tevent_req_is_nterror(req, &status)) {
		*pipe = talloc_move(mem_ctx, &state->pipe);
	}
	tevent_req_received(req);
	return status;
}

/* ---- resolver ---- */

/* The resolver is there for everybody ([MS-DCOM] 3.1.2.1): no authentication.
 */
struct tevent_req *dcom_peer_resolver_send(TALLOC_CTX *mem_ctx,
					   struct tevent_context *ev,
					   struct dcom_peer *peer)
{
	return any_send(mem_ctx, ev, peer->resolvers, peer->num_resolvers,
			&ndr_table_IObjectExporter, DCERPC_AUTH_LEVEL_NONE);
}

NTSTATUS dcom_peer_resolver_recv(struct tevent_req *req, TALLOC_CTX *mem_ctx,
				 struct dcerpc_pipe **pipe)
{
	return any_recv(req, mem_ctx, pipe);
}

/* ---- exporter ---- */

struct exporter_state {
	struct tevent_context *ev;
	struct dcom_peer *peer;
	const struct ndr_interface_table *table;
	struct dcerpc_pipe *resolver;
	struct ResolveOxid2 r;
	uint64_t oxid;
	uint16_t protseqs[1];
	struct dcerpc_pipe *pipe;
};

static void exporter_got_resolver(struct tevent_req *subreq);
static void exporter_resolved(struct tevent_req *subreq);
static void exporter_connected(struct tevent_req *subreq);

static void exporter_connect(struct tevent_req *req)
{
	struct exporter_state *state =
		tevent_req_data(req, struct exporter_state);
	struct tevent_req *subreq =
		any_send(state, state->ev, state->peer->bindings,
			 state->peer->num_bindings, state->table,
			 state->peer->authn_hint);

	if (!tevent_req_nomem(subreq, req)) {
		tevent_req_set_callback(subreq, exporter_connected, req);
	}
}

struct tevent_req *dcom_peer_exporter_send(
	TALLOC_CTX *mem_ctx, struct tevent_context *ev, struct dcom_peer *peer,
	const struct ndr_interface_table *table)
{
	struct exporter_state *state = NULL;
	struct tevent_req *req, *subreq;

	req = tevent_req_create(mem_ctx, &state, struct exporter_state);
	if (req == NULL) {
		return NULL;
	}
	state->ev = ev;
	state->peer = peer;
	state->table = table;
	if (peer->num_bindings > 0) {
		exporter_connect(req);
		return tevent_req_is_in_progress(req)
			       ? req
			       : tevent_req_post(req, ev);
	}
	subreq = dcom_peer_resolver_send(state, ev, peer);
	if (tevent_req_nomem(subreq, req)) {
		return tevent_req_post(req, ev);
	}
	tevent_req_set_callback(subreq, exporter_got_resolver, req);
	return req;
}

static void exporter_got_resolver(struct tevent_req *subreq)
{
	struct tevent_req *req =
		tevent_req_callback_data(subreq, struct tevent_req);
	struct exporter_state *state =
		tevent_req_data(req, struct exporter_state);
	NTSTATUS status =
		dcom_peer_resolver_recv(subreq, state, &state->resolver);

	talloc_free(subreq);
	if (tevent_req_nterror(req, status)) {
		return;
	}
	state->oxid = state->peer->oxid;
	state->protseqs[0] = DCOM_TOWER_TCP;
	state->r.in.pOxid = &state->oxid;
	state->r.in.cRequestedProtseqs = 1;
	state->r.in.arRequestedProtseqs = state->protseqs;
	subreq = dcerpc_binding_handle_call_send(
		state, state->ev, state->resolver->binding_handle, NULL,
		&ndr_table_IObjectExporter, NDR_RESOLVEOXID2, state, &state->r);
	if (!tevent_req_nomem(subreq, req)) {
		tevent_req_set_callback(subreq, exporter_resolved, req);
	}
}

static void exporter_resolved(struct tevent_req *subreq)
{
	struct tevent_req *req =
		tevent_req_callback_data(subreq, struct tevent_req);
	struct exporter_state *state =
		tevent_req_data(req, struct exporter_state);
	struct dcom_peer *peer = state->peer;
	NTSTATUS status = dcerpc_binding_handle_call_recv(subreq);
	struct dualstring ds = {0};

	talloc_free(subreq);
	if (tevent_req_nterror(req, status)) {
		return;
	}
	TALLOC_FREE(state->resolver);
	if (!W_ERROR_IS_OK(state->r.out.result) ||
	    *state->r.out.ppdsaOxidBindings == NULL ||
	    !dualstring_unpack(state, *state->r.out.ppdsaOxidBindings, &ds)) {
		tevent_req_nterror(req, NT_STATUS_RPC_UNKNOWN_IF);
		return;
	}
	/* Without a port a binding says nothing. */
	TALLOC_FREE(peer->bindings);
	peer->num_bindings =
		take_addresses(peer, &ds, peer->address, 0, &peer->bindings);
	peer->ipid_rem_unknown = *state->r.out.pipidRemUnknown;
	peer->authn_hint = *state->r.out.pAuthnHint;
	if (peer->num_bindings == 0) {
		tevent_req_nterror(req, NT_STATUS_RPC_NO_PROTSEQS);
		return;
	}
	exporter_connect(req);
}

static void exporter_connected(struct tevent_req *subreq)
{
	struct tevent_req *req =
		tevent_req_callback_data(subreq, struct tevent_req);
	struct exporter_state *state =
		tevent_req_data(req, struct exporter_state);
	NTSTATUS status = any_recv(subreq, state, &state->pipe);

	talloc_free(subreq);
	if (!NT_STATUS_IS_OK(status)) {
		/* Perhaps it has moved: ask the resolver next time. */
		state->peer->num_bindings = 0;
	}
	if (!tevent_req_nterror(req, status)) {
		tevent_req_done(req);
	}
}

NTSTATUS dcom_peer_exporter_recv(struct tevent_req *req, TALLOC_CTX *mem_ctx,
				 struct dcerpc_pipe **pipe)
{
	struct exporter_state *state =
		tevent_req_data(req, struct exporter_state);
	NTSTATUS status = NT_STATUS_OK;

	*pipe = NULL;
	if (!tevent_req_is_nterror(req, &status)) {
		*pipe = talloc_move(mem_ctx, &state->pipe);
	}
	tevent_req_received(req);
	return status;
}
