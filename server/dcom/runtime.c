/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The runtime as a whole: creation, interfaces, start, end. */
#include <util/idtree.h>
#include <util/idtree_random.h>

#include "server/dcom/runtime.h"
#include "gen_ndr/com_remunknown.h"

#define DEFAULT_EPM_PORT	135
#define DEFAULT_PORT_LOW	49152 /* RFC 6335: dynamic ports */
#define DEFAULT_PORT_HIGH	65535
#define DEFAULT_PING_PERIOD	120000 /* [MS-DCOM] 3.1.2.2.2 */
#define DEFAULT_MAX_CONNECTIONS 1000
#define DEFAULT_MAX_OBJECTS	100000
#define DEFAULT_MAX_REFERENCES	10000

/*
 * Names of Samba's endpoints, which it wants unique; the ports that are really
 * listened on are our own affair.
 */
#define EPM_ENDPOINT	"ncacn_ip_tcp:[135]"
#define OBJECT_ENDPOINT "ncacn_ip_tcp:[1]"

/* ---- callbacks of Samba's RPC server ---- */

static void log_authz(struct dcesrv_call_state *call, void *private_data)
{
	call->auth_state->auth_audited = true;
}

static void nothing(void)
{
}

static int assoc_group_destructor(struct dcesrv_assoc_group *group)
{
	idr_remove(group->dce_ctx->assoc_groups_idr, group->id);
	return 0;
}

static NTSTATUS assoc_group_new(struct dcesrv_connection *conn)
{
	struct idr_context *idr = conn->dce_ctx->assoc_groups_idr;
	struct dcesrv_assoc_group *group =
		talloc_zero(conn, struct dcesrv_assoc_group);
	int id;

	if (group == NULL) {
		return NT_STATUS_NO_MEMORY;
	}
	id = idr_get_new_random(idr, group, UINT16_MAX);
	if (id == -1) {
		talloc_free(group);
		return NT_STATUS_RPC_OUT_OF_RESOURCES;
	}
	group->id = id;
	group->dce_ctx = conn->dce_ctx;
	group->transport = NCACN_IP_TCP;
	talloc_set_destructor(group, assoc_group_destructor);
	conn->assoc_group = group;
	return NT_STATUS_OK;
}

/*
 * The group that the client asks for. One that is not known (any more: its
 * last connection is gone, or the server was started again) becomes a new one,
 * since nothing here hangs on groups: IPIDs are valid on all connections.
 */
static NTSTATUS assoc_group_find(struct dcesrv_call_state *call,
				 void *private_data)
{
	struct dcesrv_connection *conn = call->conn;
	uint32_t id = call->pkt.u.bind.assoc_group_id;
	void *group = NULL;

	if (id != 0 && id <= INT_MAX) {
		group = idr_find(conn->dce_ctx->assoc_groups_idr, id);
	}
	if (group == NULL) {
		return assoc_group_new(conn);
	}
	conn->assoc_group = talloc_reference(
		conn, talloc_get_type_abort(group, struct dcesrv_assoc_group));
	return conn->assoc_group != NULL ? NT_STATUS_OK : NT_STATUS_NO_MEMORY;
}

/* ---- interfaces ---- */

static NTSTATUS find_endpoint(struct dcom_runtime *runtime, const char *name,
			      struct dcesrv_endpoint **endpoint)
{
	struct dcerpc_binding *binding;
	NTSTATUS status = dcerpc_parse_binding(runtime, name, &binding);

	if (NT_STATUS_IS_OK(status)) {
		status = dcesrv_find_endpoint(runtime->dce_ctx, binding,
					      endpoint);
		talloc_free(binding);
	}
	return status;
}

static NTSTATUS register_interfaces(struct dcom_runtime *runtime)
{
	static const struct dcom_rpc_interface *const epm[] = {
		&dcom_object_exporter,
		&dcom_scm_activator,
		&dcom_activation,
		&dcom_endpoint_mapper,
	};
	static const struct com_interface *const own[] = {
		&com_IRemUnknown,
		&com_IRemUnknown2,
		&com_IClassFactory,
	};
	const struct com_interface *const *i = runtime->options.interfaces;
	NTSTATUS status;

	for (size_t n = 0; n < ARRAY_SIZE(epm); n++) {
		status = dcom_rpc_register(runtime, EPM_ENDPOINT, epm[n]);
		if (!NT_STATUS_IS_OK(status)) {
			return status;
		}
	}
	for (size_t n = 0; n < ARRAY_SIZE(own); n++) {
		status = dcom_orpc_register(runtime, OBJECT_ENDPOINT, own[n]);
		if (!NT_STATUS_IS_OK(status)) {
			return status;
		}
	}
	for (; i != NULL && *i != NULL; i++) {
		status = dcom_orpc_register(runtime, OBJECT_ENDPOINT, *i);
		if (!NT_STATUS_IS_OK(status)) {
			return status;
		}
	}
	status = find_endpoint(runtime, EPM_ENDPOINT, &runtime->epm_endpoint);
	if (!NT_STATUS_IS_OK(status)) {
		return status;
	}
	return find_endpoint(runtime, OBJECT_ENDPOINT,
			     &runtime->object_endpoint);
}

/* ---- life ---- */

static void fill_defaults(struct dcom_options *o)
{
	if (o->epm_port == 0) {
		o->epm_port = DEFAULT_EPM_PORT;
	}
	if (o->object_port_low == 0) {
		o->object_port_low = DEFAULT_PORT_LOW;
		o->object_port_high = DEFAULT_PORT_HIGH;
	}
	if (o->object_port_high < o->object_port_low) {
		o->object_port_high = o->object_port_low;
	}
	if (o->ping_period == 0) {
		o->ping_period = DEFAULT_PING_PERIOD;
	}
	if (o->max_connections == 0) {
		o->max_connections = DEFAULT_MAX_CONNECTIONS;
	}
	if (o->max_objects == 0) {
		o->max_objects = DEFAULT_MAX_OBJECTS;
	}
	if (o->max_references == 0) {
		o->max_references = DEFAULT_MAX_REFERENCES;
	}
}

static int runtime_destructor(struct dcom_runtime *runtime)
{
	/* In this order: connections end calls, calls keep objects. What is
	 * left of calls are those that were deferred. */
	dcom_connections_close(runtime);
	while (runtime->calls != NULL) {
		talloc_free(runtime->calls);
	}
	dcom_objects_free_all(runtime);
	return 0;
}

struct dcom_runtime *dcom_runtime_create(TALLOC_CTX *mem_ctx,
					 struct tevent_context *ev,
					 const struct dcom_options *options)
{
	struct dcom_runtime *runtime =
		talloc_zero(mem_ctx, struct dcom_runtime);
	NTSTATUS status;

	if (runtime == NULL) {
		return NULL;
	}
	runtime->ev = ev;
	runtime->reserve_fd = -1;
	runtime->options = *options;
	fill_defaults(&runtime->options);
	hash_init(&runtime->oids, runtime);
	hash_init(&runtime->ipids, runtime);
	hash_init(&runtime->keys, runtime);
	hash_init(&runtime->clients, runtime);
	hash_init(&runtime->sets, runtime);
	dcom_random(&runtime->oxid, sizeof(runtime->oxid));
	runtime->callbacks = (struct dcesrv_context_callbacks){
		.log.successful_authz = log_authz,
		.auth.gensec_prepare = options->gensec_prepare,
		.auth.become_root = nothing,
		.auth.unbecome_root = nothing,
		.assoc_group.find = assoc_group_find,
	};
	talloc_set_destructor(runtime, runtime_destructor);

	status = dcesrv_init_context(runtime, options->lp_ctx,
				     &runtime->callbacks, &runtime->dce_ctx);
	if (NT_STATUS_IS_OK(status)) {
		status = register_interfaces(runtime);
	}
	if (!NT_STATUS_IS_OK(status) || !dcom_rem_unknown_create(runtime)) {
		log_msg(LOG_ERROR, "the RPC server cannot be set up: %s",
			nt_errstr(status));
		talloc_free(runtime);
		return NULL;
	}
	return runtime;
}

struct tevent_context *dcom_runtime_ev(const struct dcom_runtime *runtime)
{
	return runtime->ev;
}

NTSTATUS dcom_runtime_start(struct dcom_runtime *runtime)
{
	if (!dcom_ping_start(runtime)) {
		return NT_STATUS_NO_MEMORY;
	}
	return dcom_listen(runtime);
}

void dcom_runtime_statistics(const struct dcom_runtime *runtime,
			     struct dcom_statistics *statistics)
{
	*statistics = (struct dcom_statistics){
		.connections = runtime->num_connections,
		.clients = runtime->clients.count,
		.objects = runtime->num_objects,
		.references = runtime->ipids.count,
		.ping_sets = runtime->num_sets,
	};
}
