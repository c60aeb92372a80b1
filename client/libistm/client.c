/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Connections, objects and calls. Activation is in activation.c. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <credentials.h>
#include <param.h>

#include "client/libistm/internal.h"
#include "gen_ndr/com_remunknown.h"
#include "gen_ndr/ndr_remunknown.h"
#include "librpc/objref.h"
#include "server/core/errors.h"

#define RPC_UNAVAILABLE	 ISTM_WIN32(1722)
#define RPC_CALL_FAILED	 ISTM_WIN32(1726)
#define LOGON_FAILURE	 ISTM_WIN32(1326)
#define RPC_DISCONNECTED HRES_ERROR(0x80010108u)

/* Released interface pointers are returned in batches of this. */
#define RELEASE_BATCH 64

/* ---- errors ---- */

static HRESULT hresult_of(NTSTATUS status)
{
	static const struct {
		uint32_t nt;
		uint32_t hr;
	} map[] = {
		{0xc0000022, 0x80070005}, /* ACCESS_DENIED */
		{0xc002000a, 0x80010108}, /* RPC_INVALID_OBJECT */
		{0xc000006d, 0x8007052e}, /* LOGON_FAILURE */
		{0xc000006a, 0x8007052e}, /* WRONG_PASSWORD */
		{0xc0000064, 0x8007052e}, /* NO_SUCH_USER */
		{0xc0000236, 0x800706ba}, /* CONNECTION_REFUSED */
		{0xc0000034, 0x800706ba}, /* OBJECT_NAME_NOT_FOUND */
		{0xc00000be, 0x800706ba}, /* BAD_NETWORK_NAME */
		{0xc000023c, 0x800706ba}, /* NETWORK_UNREACHABLE */
		{0xc000023d, 0x800706ba}, /* HOST_UNREACHABLE */
		{0xc00000b5, 0x800706ba}, /* IO_TIMEOUT */
		{0xc0000017, 0x8007000e}, /* NO_MEMORY */
	};
	size_t i;

	for (i = 0; i < sizeof(map) / sizeof(map[0]); i++) {
		if (NT_STATUS_V(status) == map[i].nt) {
			return HRES_ERROR(map[i].hr);
		}
	}
	return RPC_CALL_FAILED;
}

HRESULT istm_fail(struct istm_client *client, NTSTATUS status, const char *fmt,
		  ...)
{
	va_list ap;

	TALLOC_FREE(client->error);
	va_start(ap, fmt);
	client->error = talloc_vasprintf(client, fmt, ap);
	va_end(ap);
	client->error = talloc_asprintf_append(client->error, ": %s",
					       nt_errstr(status));
	return hresult_of(status);
}

const char *istm_client_error(const struct istm_client *client)
{
	return client->error != NULL ? client->error : "";
}

/* ---- connections ---- */

struct istm_connection *istm_connection_new(TALLOC_CTX *mem_ctx,
					    struct istm_client *client,
					    const char *host, uint16_t port)
{
	struct istm_connection *c =
		talloc_zero(mem_ctx, struct istm_connection);

	if (c == NULL) {
		return NULL;
	}
	c->client = client;
	c->host = talloc_strdup(c, host);
	c->port = port;
	if (c->host == NULL) {
		TALLOC_FREE(c);
	}
	return c;
}

static NTSTATUS connect_root(struct istm_connection *c,
			     const struct ndr_interface_table *table,
			     struct dcerpc_pipe **pipe)
{
	struct istm_client *client = c->client;
	struct dcerpc_binding *b = NULL;
	char *port = talloc_asprintf(c, "%u", c->port);
	NTSTATUS status;

	/* Packet privacy (MS-ISTM 5.1); the name for Kerberos is what the
	 * user typed, also where a binding gave an address. */
	status = dcerpc_parse_binding(c, "ncacn_ip_tcp:", &b);
	if (NT_STATUS_IS_OK(status)) {
		status = dcerpc_binding_set_flags(
			b, DCERPC_SIGN | DCERPC_SEAL | DCERPC_AUTH_SPNEGO, 0);
	}
	if (NT_STATUS_IS_OK(status)) {
		status = dcerpc_binding_set_string_option(b, "host", c->host);
	}
	if (NT_STATUS_IS_OK(status)) {
		status = dcerpc_binding_set_string_option(
			b, "target_hostname", client->config.server);
	}
	if (NT_STATUS_IS_OK(status)) {
		status = dcerpc_binding_set_string_option(b, "endpoint", port);
	}
	if (NT_STATUS_IS_OK(status)) {
		status = dcerpc_pipe_connect_b(c, pipe, b, table,
					       client->config.credentials,
					       client->ev, client->config.lp);
	}
	if (NT_STATUS_IS_OK(status)) {
		/* [out] parameters are allocated for the caller. */
		(*pipe)->conn->flags |= DCERPC_NDR_REF_ALLOC;
	}
	talloc_free(port);
	return status;
}

HRESULT istm_connection_context(struct istm_connection *c,
				const struct ndr_interface_table *table,
				struct istm_context **found)
{
	struct istm_context *context;
	NTSTATUS status;

	if (c->root != NULL &&
	    !dcerpc_binding_handle_is_connected(c->root->binding_handle)) {
		TALLOC_FREE(c->root);
		while ((context = c->contexts) != NULL) {
			c->contexts = context->next;
			talloc_free(context);
		}
	}
	for (context = c->contexts; context != NULL; context = context->next) {
		if (GUID_equal(&context->iid, &table->syntax_id.uuid)) {
			*found = context;
			return ISTM_S_OK;
		}
	}
	context = talloc_zero(c, struct istm_context);
	if (context == NULL) {
		return ISTM_OUT_OF_MEMORY;
	}
	context->iid = table->syntax_id.uuid;
	context->table = *table;
	if (c->root == NULL) {
		status = connect_root(c, &context->table, &c->root);
		context->pipe = c->root;
	} else {
		status = dcerpc_secondary_context(c->root, &context->pipe,
						  &context->table);
	}
	if (!NT_STATUS_IS_OK(status)) {
		talloc_free(context);
		return istm_fail(c->client, status,
				 "Connecting to %s port %u for %s", c->host,
				 c->port, table->name);
	}
	/* Creating a large disk that is written out takes its time. */
	dcerpc_binding_handle_set_timeout(context->pipe->binding_handle,
					  24 * 3600);
	context->next = c->contexts;
	c->contexts = context;
	*found = context;
	return ISTM_S_OK;
}

HRESULT istm_scm_context(struct istm_client *client,
			 const struct ndr_interface_table *table,
			 struct istm_context **context)
{
	if (client->scm == NULL) {
		client->scm = istm_connection_new(client, client,
						  client->config.server,
						  client->config.port);
	}
	if (client->scm == NULL) {
		return ISTM_OUT_OF_MEMORY;
	}
	return istm_connection_context(client->scm, table, context);
}

/* ---- exporters ---- */

/*
 * The server lists every address it has; the one that it was reached at comes
 * first and is tried first. Once one works, it stays.
 */
static HRESULT exporter_context(struct istm_exporter *e,
				const struct com_interface *interface,
				struct istm_context **context)
{
	struct ndr_interface_table table;
	HRESULT hr = RPC_UNAVAILABLE;
	size_t i;

	com_interface_table(interface, &table);
	if (e->connection != NULL) {
		return istm_connection_context(e->connection, &table, context);
	}
	for (i = 0; i < e->num_bindings; i++) {
		struct istm_connection *c = istm_connection_new(
			e, e->client, e->bindings[i].host, e->bindings[i].port);

		if (c == NULL) {
			return ISTM_OUT_OF_MEMORY;
		}
		hr = istm_connection_context(c, &table, context);
		if (!ISTM_FAILED(hr)) {
			e->connection = c;
			return hr;
		}
		talloc_free(c);
		if (HRES_ERROR_V(hr) != HRES_ERROR_V(RPC_UNAVAILABLE)) {
			break;
		}
	}
	return hr;
}

static HRESULT exporter_call(struct istm_exporter *e,
			     const struct com_interface *interface,
			     const struct GUID *ipid, TALLOC_CTX *mem_ctx,
			     uint32_t opnum, void *r)
{
	const struct com_method *method = com_method_by_opnum(interface, opnum);
	struct istm_context *context = NULL;
	struct ORPCTHIS *this = NULL;
	NTSTATUS status;
	HRESULT hr;

	if (method == NULL) {
		return ISTM_NO_INTERFACE;
	}
	TALLOC_FREE(e->client->error);
	hr = exporter_context(e, interface, &context);
	if (ISTM_FAILED(hr)) {
		return hr;
	}
	this = com_call_this(method, r);
	*this = (struct ORPCTHIS){
		.version = {COM_MAJOR_VERSION, COM_MINOR_VERSION},
		.cid = GUID_random(),
	};
	status = dcerpc_binding_handle_call(context->pipe->binding_handle, ipid,
					    &context->table, opnum, mem_ctx, r);
	if (!NT_STATUS_IS_OK(status)) {
		return istm_fail(e->client, status, "%s::%s", interface->name,
				 method->name);
	}
	return *com_call_result(method, r);
}

/* A release that fails is nothing to act on: pings end, and so does it. */
static void exporter_flush_releases(struct istm_exporter *e)
{
	struct IRemUnknown_RemRelease r = {
		.in.cInterfaceRefs = e->num_releases,
		.in.InterfaceRefs = e->releases,
	};
	TALLOC_CTX *frame;

	if (e->num_releases == 0 || e->connection == NULL) {
		return;
	}
	frame = talloc_new(e);
	exporter_call(e, &com_IRemUnknown, &e->ipid_rem_unknown, frame,
		      NDR_IREMUNKNOWN_REMRELEASE, &r);
	talloc_free(frame);
	TALLOC_FREE(e->releases);
	e->num_releases = 0;
}

static int exporter_destructor(struct istm_exporter *e)
{
	struct istm_object *o, *next;

	for (o = e->objects; o != NULL; o = next) {
		next = o->next;
		talloc_free(o);
	}
	exporter_flush_releases(e);
	return 0;
}

HRESULT istm_exporter_get(struct istm_client *client, uint64_t oxid,
			  const struct GUID *ipid_rem_unknown,
			  const struct DUALSTRINGARRAY *bindings,
			  struct istm_exporter **exporter)
{
	struct istm_exporter *e;
	HRESULT hr;

	for (e = client->exporters; e != NULL; e = e->next) {
		if (e->oxid == oxid) {
			*exporter = e;
			return ISTM_S_OK;
		}
	}
	e = talloc_zero(client, struct istm_exporter);
	if (e == NULL) {
		return ISTM_OUT_OF_MEMORY;
	}
	e->client = client;
	e->oxid = oxid;
	e->ipid_rem_unknown = *ipid_rem_unknown;
	hr = istm_exporter_bindings(e, bindings);
	if (ISTM_FAILED(hr)) {
		talloc_free(e);
		return hr;
	}
	talloc_set_destructor(e, exporter_destructor);
	e->next = client->exporters;
	client->exporters = e;
	*exporter = e;
	return ISTM_S_OK;
}

/* ---- objects ---- */

static int object_destructor(struct istm_object *o)
{
	struct istm_exporter *e = o->exporter;
	struct REMINTERFACEREF *releases;

	*(o->prev != NULL ? &o->prev->next : &e->objects) = o->next;
	if (o->next != NULL) {
		o->next->prev = o->prev;
	}
	istm_ping_forget(e->client, o);
	releases = talloc_realloc(e, e->releases, struct REMINTERFACEREF,
				  e->num_releases + 1);
	if (releases == NULL) {
		return 0;
	}
	e->releases = releases;
	e->releases[e->num_releases++] = (struct REMINTERFACEREF){
		.ipid = o->ipid,
		.cPublicRefs = o->refs,
	};
	if (e->num_releases >= RELEASE_BATCH) {
		exporter_flush_releases(e);
	}
	return 0;
}

HRESULT istm_object_new(TALLOC_CTX *mem_ctx, struct istm_exporter *e,
			const struct com_interface *interface,
			const struct STDOBJREF *std,
			struct istm_object **object)
{
	struct istm_object *o = talloc_zero(mem_ctx, struct istm_object);

	if (o == NULL) {
		return ISTM_OUT_OF_MEMORY;
	}
	o->exporter = e;
	o->interface = interface;
	o->ipid = std->ipid;
	o->oid = std->oid;
	o->refs = std->cPublicRefs;
	o->ping = (std->flags & SORF_NOPING) == 0;
	o->next = e->objects;
	if (o->next != NULL) {
		o->next->prev = o;
	}
	e->objects = o;
	talloc_set_destructor(o, object_destructor);
	istm_ping_start(e->client);
	*object = o;
	return ISTM_S_OK;
}

HRESULT istm_unmarshal(TALLOC_CTX *mem_ctx, struct istm_object *from,
		       const struct com_interface *interface,
		       const struct MInterfacePointer *mip,
		       struct istm_object **object)
{
	const struct STDOBJREF *std = NULL;
	struct istm_client *client = from->exporter->client;
	struct OBJREF *objref;
	TALLOC_CTX *frame;
	HRESULT hr = ISTM_UNEXPECTED;

	*object = NULL;
	if (mip == NULL) {
		return ISTM_POINTER;
	}
	frame = talloc_new(mem_ctx);
	objref = objref_unpack(frame, mip);
	if (objref != NULL) {
		std = objref_std(objref);
	}
	/* One server, one exporter: ISTM hands out no other's objects. */
	if (std == NULL || std->oxid != from->exporter->oxid ||
	    !GUID_equal(&objref->iid, &interface->iid)) {
		TALLOC_FREE(client->error);
		client->error = talloc_strdup(
			client, "The server's interface pointer is malformed"
				" or for something else");
	} else {
		hr = istm_object_new(mem_ctx, from->exporter, interface, std,
				     object);
	}
	talloc_free(frame);
	return hr;
}

HRESULT istm_call(struct istm_object *object, TALLOC_CTX *mem_ctx,
		  uint32_t opnum, void *r)
{
	return exporter_call(object->exporter, object->interface, &object->ipid,
			     mem_ctx, opnum, r);
}

struct istm_object *istm_query(TALLOC_CTX *mem_ctx, struct istm_object *object,
			       const struct com_interface *interface)
{
	struct istm_exporter *e = object->exporter;
	struct GUID ipid = object->ipid, iid = interface->iid;
	struct IRemUnknown_RemQueryInterface r = {
		.in.ripid = &ipid,
		.in.cRefs = 1,
		.in.cIids = 1,
		.in.iids = &iid,
	};
	TALLOC_CTX *frame = talloc_new(mem_ctx);
	struct istm_object *found = NULL;
	HRESULT hr;

	hr = exporter_call(e, &com_IRemUnknown, &e->ipid_rem_unknown, frame,
			   NDR_IREMUNKNOWN_REMQUERYINTERFACE, &r);
	if (HRES_ERROR_V(hr) == 0 && *r.out.ppQIResults != NULL &&
	    HRES_ERROR_V((*r.out.ppQIResults)->hResult) == 0) {
		istm_object_new(mem_ctx, e, interface,
				&(*r.out.ppQIResults)->std, &found);
	}
	talloc_free(frame);
	return found;
}

/* ---- client ---- */

static int client_destructor(struct istm_client *client)
{
	struct istm_exporter *e;

	while ((e = client->exporters) != NULL) {
		client->exporters = e->next;
		talloc_free(e);
	}
	return 0;
}

struct istm_client *istm_client_create(TALLOC_CTX *mem_ctx,
				       struct tevent_context *ev,
				       const struct istm_client_config *config)
{
	struct istm_client *client;

	/* Registers the authentication mechanisms; once is enough, more do
	 * no harm. */
	if (!NT_STATUS_IS_OK(dcerpc_init())) {
		return NULL;
	}
	client = talloc_zero(mem_ctx, struct istm_client);
	if (client == NULL) {
		return NULL;
	}
	client->ev = ev;
	client->config = *config;
	client->config.server = talloc_strdup(client, config->server);
	if (client->config.server == NULL) {
		talloc_free(client);
		return NULL;
	}
	if (client->config.port == 0) {
		client->config.port = 135;
	}
	talloc_set_destructor(client, client_destructor);
	return client;
}
