/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The client's side of a proxy: its object exporter and its resolver. */
#ifndef ISTM_DCOM_PEER_H
#define ISTM_DCOM_PEER_H

#include <stddef.h>
#include <stdint.h>
#include <talloc.h>
#include <tevent.h>
#include <core/ntstatus.h>
#include <gen_ndr/misc.h>

struct DUALSTRINGARRAY_FLAT;
struct dcerpc_pipe;
struct ndr_interface_table;

struct dcom_peer_address {
	const char *host;
	uint16_t port;
};

/* One object exporter of a client. */
struct dcom_peer {
	uint64_t oxid;
	const char *address; /* that the client called from */
	struct dcom_peer_address *resolvers;
	size_t num_resolvers;
	/* from ResolveOxid2 */
	struct dcom_peer_address *bindings;
	size_t num_bindings;
	struct GUID ipid_rem_unknown;
	uint32_t authn_hint;
};

/*
 * @param resolver  of the OBJREF; where it tells nothing usable, port 135 of
 *                  @address is taken
 * @return NULL when malformed or without memory
 */
struct dcom_peer *dcom_peer_create(TALLOC_CTX *mem_ctx, uint64_t oxid,
				   const char *address,
				   const struct DUALSTRINGARRAY_FLAT *resolver);

/* Connect to the first resolver that answers. */
struct tevent_req *dcom_peer_resolver_send(TALLOC_CTX *mem_ctx,
					   struct tevent_context *ev,
					   struct dcom_peer *peer);
NTSTATUS dcom_peer_resolver_recv(struct tevent_req *req, TALLOC_CTX *mem_ctx,
				 struct dcerpc_pipe **pipe);

/* Connect to the exporter, resolving its OXID when that is not known yet;
 * @table must live as long as the pipe. */
struct tevent_req *dcom_peer_exporter_send(
	TALLOC_CTX *mem_ctx, struct tevent_context *ev, struct dcom_peer *peer,
	const struct ndr_interface_table *table);
NTSTATUS dcom_peer_exporter_recv(struct tevent_req *req, TALLOC_CTX *mem_ctx,
				 struct dcerpc_pipe **pipe);

#endif /* ISTM_DCOM_PEER_H */
