/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the files of libistm share. */
#ifndef LIBISTM_INTERNAL_H
#define LIBISTM_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>
#include <core/ntstatus.h>
#include <dcerpc.h>

#include "client/libistm/libistm.h"

/* One TCP connection, bound to several interfaces by alter_context. */
struct istm_connection {
	struct istm_client *client;
	char *host;
	uint16_t port;
	struct dcerpc_pipe *root;
	struct istm_context {
		struct istm_context *next;
		struct GUID iid;
		struct ndr_interface_table table; /* the pipe points here */
		struct dcerpc_pipe *pipe;
	} * contexts;
};

/* One object exporter: the server's process, known by its OXID. */
struct istm_exporter {
	struct istm_exporter *next;
	struct istm_client *client;
	uint64_t oxid;
	struct GUID ipid_rem_unknown;
	struct istm_binding {
		const char *host;
		uint16_t port;
	} * bindings;
	size_t num_bindings;
	struct istm_connection *connection;
	struct istm_object *objects; /* live ones */
	struct REMINTERFACEREF *releases;
	size_t num_releases;
};

struct istm_object {
	struct istm_object *prev, *next;
	struct istm_exporter *exporter;
	const struct com_interface *interface;
	struct GUID ipid;
	uint64_t oid;
	uint32_t refs;
	bool ping;	  /* wants to be pinged */
	bool in_ping_set; /* is */
};

struct istm_client {
	struct tevent_context *ev;
	struct istm_client_config config;
	char *error;
	struct istm_connection *scm; /* TCP 135 */
	struct istm_exporter *exporters;
	uint64_t ping_set;
	uint16_t ping_sequence;
	uint64_t *unping; /* OIDs to take out of the set */
	size_t num_unping;
	struct tevent_timer *ping_timer;
	struct tevent_req *ping;
};

/* Connect when needed, bind or alter_context to the interface. A call on the
 * context's handle wants the context's table, not another one like it. */
HRESULT istm_connection_context(struct istm_connection *connection,
				const struct ndr_interface_table *table,
				struct istm_context **context);
struct istm_connection *istm_connection_new(TALLOC_CTX *mem_ctx,
					    struct istm_client *client,
					    const char *host, uint16_t port);
HRESULT istm_scm_context(struct istm_client *client,
			 const struct ndr_interface_table *table,
			 struct istm_context **context);

/* Note what failed for istm_client_error(); returns it as an HRESULT. */
HRESULT istm_fail(struct istm_client *client, NTSTATUS status, const char *fmt,
		  ...) __attribute__((format(printf, 3, 4)));

struct DUALSTRINGARRAY;
struct STDOBJREF;

/* Where an exporter can be reached, from its string bindings. */
HRESULT istm_exporter_bindings(struct istm_exporter *exporter,
			       const struct DUALSTRINGARRAY *bindings);
/* The exporter of an OXID; made when new. */
HRESULT istm_exporter_get(struct istm_client *client, uint64_t oxid,
			  const struct GUID *ipid_rem_unknown,
			  const struct DUALSTRINGARRAY *bindings,
			  struct istm_exporter **exporter);
HRESULT istm_object_new(TALLOC_CTX *mem_ctx, struct istm_exporter *exporter,
			const struct com_interface *interface,
			const struct STDOBJREF *std,
			struct istm_object **object);

/*
 * Pinging keeps the objects of a long-lived client alive ([MS-DCOM] 3.2.6.1):
 * from the first object on, every PING_PERIOD while the event loop runs.
 */
void istm_ping_start(struct istm_client *client);
void istm_ping_forget(struct istm_client *client, struct istm_object *object);

#endif /* LIBISTM_INTERNAL_H */
