/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What all interfaces share on their way through Samba's RPC server, and the
 * plain RPC interfaces (those without an object): activation, OXID resolver,
 * endpoint mapper.
 */
#include "server/dcom/runtime.h"

/* A client of all 42 interfaces of ISTM needs fewer. */
#define MAX_CONTEXTS 256

/* Longer than the [in] arguments of any method as zeros. */
static const uint8_t zeros[16384];

struct dcom_connection *dcom_connection_of(struct dcesrv_connection *conn)
{
	return talloc_get_type_abort(conn->transport.private_data,
				     struct dcom_connection);
}

NTSTATUS dcom_interface_bind(struct dcesrv_connection_context *context,
			     const struct dcesrv_interface *iface)
{
	struct dcom_connection *conn = dcom_connection_of(context->conn);

	if (conn->num_contexts >= MAX_CONTEXTS) {
		log_msg(LOG_WARNING,
			"%s: more than %d presentation contexts refused",
			conn->remote_text, MAX_CONTEXTS);
		return NT_STATUS_INSUFFICIENT_RESOURCES;
	}
	conn->num_contexts++;
	conn->greeted = true;
	/* Samba would refuse calls below a level too, but says so only at a
	 * log level that nobody has: dcom_level_sufficient() does. */
	context->min_auth_level = DCERPC_AUTH_LEVEL_NONE;
	context->allow_connect = true;
	return NT_STATUS_OK;
}

bool dcom_level_sufficient(struct dcesrv_call_state *dce,
			   enum dcerpc_AuthLevel min_level)
{
	struct dcom_connection *conn = dcom_connection_of(dce->conn);
	enum dcerpc_AuthLevel level = DCERPC_AUTH_LEVEL_NONE;

	dcesrv_call_auth_info(dce, NULL, &level);
	if (level >= min_level) {
		return true;
	}
	if (!conn->level_logged) {
		conn->level_logged = true;
		log_msg(LOG_WARNING,
			"%s: calls of %s refused at authentication level %u, "
			"%u is required",
			conn->remote_text, dce->context->iface->name, level,
			min_level);
	}
	return false;
}

void dcom_interface_unbind(struct dcesrv_connection_context *context,
			   const struct dcesrv_interface *iface)
{
	dcom_connection_of(context->conn)->num_contexts--;
}

NTSTATUS dcom_pull_zero(const struct ndr_interface_call *ndr_call,
			TALLOC_CTX *mem_ctx, void *r)
{
	DATA_BLOB blob = data_blob_const(zeros, sizeof(zeros));
	struct ndr_pull *pull = ndr_pull_init_blob(&blob, mem_ctx);
	enum ndr_err_code ndr_err;

	if (pull == NULL) {
		return NT_STATUS_NO_MEMORY;
	}
	pull->flags |= LIBNDR_FLAG_REF_ALLOC;
	ndr_err = ndr_call->ndr_pull(pull, NDR_IN, r);
	return ndr_map_error2ntstatus(ndr_err);
}

/* ---- plain RPC interfaces ---- */

static const struct dcom_rpc_interface *interface_of(
	const struct dcesrv_call_state *dce)
{
	return dce->context->iface->private_data;
}

static const struct ndr_interface_call *ndr_call_of(
	const struct dcesrv_call_state *dce)
{
	return &interface_of(dce)->table->calls[dce->pkt.u.request.opnum];
}

static NTSTATUS rpc_fault(struct dcesrv_call_state *dce, uint32_t code)
{
	dce->fault_code = code;
	return NT_STATUS_NET_WRITE_FAULT;
}

static NTSTATUS rpc_pull(struct dcesrv_call_state *dce, TALLOC_CTX *mem_ctx,
			 struct ndr_pull *pull, void **r)
{
	struct dcom_connection *conn = dcom_connection_of(dce->conn);
	const struct dcom_rpc_interface *interface = interface_of(dce);
	uint16_t opnum = dce->pkt.u.request.opnum;
	const struct ndr_interface_call *ndr_call;
	enum ndr_err_code ndr_err;
	struct dcom_call *call;

	if (!dcom_level_sufficient(dce, interface->min_level)) {
		return rpc_fault(dce, DCERPC_FAULT_ACCESS_DENIED);
	}
	/* Opnums that are not used on the wire have neither [in] nor [out]:
	 * dispatch() answers for them. */
	if (opnum >= interface->table->num_calls) {
		log_msg(LOG_INFO, "%s: %s has no opnum %u", conn->remote_text,
			interface->table->name, opnum);
		return rpc_fault(dce, DCERPC_FAULT_OP_RNG_ERROR);
	}
	ndr_call = ndr_call_of(dce);
	call = dcom_call_create(conn, dce, NULL, ndr_call->name);
	if (call == NULL) {
		return rpc_fault(dce, DCERPC_FAULT_OUT_OF_RESOURCES);
	}
	call->r = talloc_zero_size(call, ndr_call->struct_size);
	if (call->r == NULL) {
		return rpc_fault(dce, DCERPC_FAULT_OUT_OF_RESOURCES);
	}
	*r = call;
	if (interface->refuse != NULL && !dcom_call_allowed(call)) {
		call->refused = true;
		if (!interface->refuse_needs_arguments) {
			return NT_STATUS_OK;
		}
	}
	pull->current_mem_ctx = call->r;
	ndr_err = ndr_call->ndr_pull(pull, NDR_IN, call->r);
	if (!NDR_ERR_CODE_IS_SUCCESS(ndr_err)) {
		log_msg(LOG_WARNING, "%s: %s has a malformed stub: %s",
			conn->remote_text, ndr_call->name,
			ndr_map_error2string(ndr_err));
		return rpc_fault(dce, DCERPC_FAULT_NDR);
	}
	return NT_STATUS_OK;
}

static NTSTATUS rpc_dispatch(struct dcesrv_call_state *dce, TALLOC_CTX *mem_ctx,
			     void *r)
{
	struct dcom_call *call = talloc_get_type_abort(r, struct dcom_call);
	const struct dcom_rpc_interface *interface = interface_of(dce);
	uint32_t fault;

	if (call->refused) {
		fault = interface->refuse(call, call->opnum, call->r);
	} else {
		fault = interface->dispatch(call, call->opnum, call->r);
	}
	dcom_objects_sweep_fresh(call->runtime);
	dcom_self_check(call->runtime);
	return fault == 0 ? NT_STATUS_OK : rpc_fault(dce, fault);
}

static NTSTATUS rpc_reply(struct dcesrv_call_state *dce, TALLOC_CTX *mem_ctx,
			  void *r)
{
	return NT_STATUS_OK;
}

static NTSTATUS rpc_push(struct dcesrv_call_state *dce, TALLOC_CTX *mem_ctx,
			 struct ndr_push *push, const void *r)
{
	struct dcom_call *call =
		talloc_get_type_abort(discard_const(r), struct dcom_call);
	enum ndr_err_code ndr_err;

	ndr_err = ndr_call_of(dce)->ndr_push(push, NDR_OUT, call->r);
	if (!NDR_ERR_CODE_IS_SUCCESS(ndr_err)) {
		log_msg(LOG_ERROR, "the answer of %s cannot be marshalled: %s",
			ndr_call_of(dce)->name, ndr_map_error2string(ndr_err));
		return rpc_fault(dce, DCERPC_FAULT_NDR);
	}
	return NT_STATUS_OK;
}

NTSTATUS dcom_rpc_register(struct dcom_runtime *runtime, const char *endpoint,
			   const struct dcom_rpc_interface *interface)
{
	struct dcesrv_interface iface = {
		.name = interface->table->name,
		.syntax_id = interface->table->syntax_id,
		.bind = dcom_interface_bind,
		.unbind = dcom_interface_unbind,
		.ndr_pull = rpc_pull,
		.dispatch = rpc_dispatch,
		.reply = rpc_reply,
		.ndr_push = rpc_push,
		.private_data = interface,
	};

	return dcesrv_interface_register(runtime->dce_ctx, endpoint, NULL,
					 &iface, NULL);
}
