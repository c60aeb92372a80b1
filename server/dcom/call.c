/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One ORPC call: from Samba's request to the method and back ([MS-DCOM]
 * 3.1.1.5.4). Generic over the interface descriptors.
 */
#include "server/dcom/runtime.h"
#include "server/dcom/list.h"

#include <gen_ndr/auth.h>

#include "gen_ndr/com_remunknown.h"

/* Ties a call to Samba's; freed with that. */
struct call_link {
	struct dcom_call *call;
};

static int link_destructor(struct call_link *link)
{
	struct dcom_call *call = link->call;

	if (call->deferred && !call->finished) {
		call->dce = NULL; /* dcom_call_finish() frees it */
		return 0;
	}
	talloc_free(call);
	return 0;
}

static int call_destructor(struct dcom_call *call)
{
	DCOM_LIST_REMOVE(call->runtime->calls, call);
	if (call->object != NULL) {
		call->object->calls--;
		dcom_object_check(call->object);
	}
	return 0;
}

static const char *account_name(TALLOC_CTX *mem_ctx,
				const struct auth_session_info *session_info)
{
	const struct auth_user_info *info = session_info->info;

	if (info == NULL || info->account_name == NULL) {
		return "anonymous";
	}
	return talloc_asprintf(mem_ctx, "%s\\%s",
			       info->domain_name ? info->domain_name : "",
			       info->account_name);
}

/* SID@address: the identity to which references are charged. */
static const char *client_name(TALLOC_CTX *mem_ctx,
			       const struct auth_session_info *session_info,
			       const char *address)
{
	const struct security_token *token = session_info->security_token;
	const struct dom_sid *sid;
	uint64_t authority = 0;
	char *name;

	if (token == NULL || token->num_sids == 0) {
		return talloc_asprintf(mem_ctx, "@%s", address);
	}
	sid = &token->sids[0];
	for (int i = 0; i < 6; i++) {
		authority = authority << 8 | sid->id_auth[i];
	}
	name = talloc_asprintf(mem_ctx, "S-%u-%llu", sid->sid_rev_num,
			       (unsigned long long)authority);
	for (int i = 0; i < sid->num_auths && i < 15 && name != NULL; i++) {
		name = talloc_asprintf_append(name, "-%u", sid->sub_auths[i]);
	}
	if (name == NULL) {
		return NULL;
	}
	return talloc_asprintf_append(name, "@%s", address);
}

struct dcom_call *dcom_call_create(struct dcom_connection *conn,
				   struct dcesrv_call_state *dce,
				   const struct com_interface *interface,
				   const char *method_name)
{
	const struct auth_session_info *session_info =
		dcesrv_call_session_info(dce);
	struct dcom_call *call = talloc_zero(conn->runtime, struct dcom_call);
	struct call_link *link;

	if (call == NULL) {
		return NULL;
	}
	link = talloc_zero(dce, struct call_link);
	if (link == NULL) {
		talloc_free(call);
		return NULL;
	}
	call->runtime = conn->runtime;
	call->dce = dce;
	call->interface = interface;
	call->opnum = dce->pkt.u.request.opnum;
	call->method_name = method_name;
	call->local = conn->local;
	call->remote = conn->remote;
	call->address = talloc_strdup(call, conn->remote_text);
	call->account = account_name(call, session_info);
	call->client_name = client_name(call, session_info, conn->remote_text);
	if (call->address == NULL || call->account == NULL ||
	    call->client_name == NULL) {
		talloc_free(link);
		talloc_free(call);
		return NULL;
	}
	DCOM_LIST_ADD(call->runtime->calls, call);
	link->call = call;
	talloc_set_destructor(link, link_destructor);
	talloc_set_destructor(call, call_destructor);
	return call;
}

bool dcom_call_allowed(struct dcom_call *call)
{
	const struct auth_session_info *session_info =
		dcesrv_call_session_info(call->dce);

	if (call->runtime->options.is_admin(session_info)) {
		return true;
	}
	log_msg(LOG_WARNING, "%s from %s refused %s: not an administrator",
		call->account, call->address, dcom_call_method(call));
	return false;
}

/* ---- accessors ---- */

const char *dcom_call_account(const struct dcom_call *call)
{
	return call->account;
}

const char *dcom_call_client(const struct dcom_call *call)
{
	return call->address;
}

const char *dcom_call_method(const struct dcom_call *call)
{
	struct dcom_call *c = discard_const_p(struct dcom_call, call);

	if (c->method_name == NULL) {
		c->method_name =
			talloc_asprintf(c, "%s::%s",
					call->method->declared_by->name,
					call->method->name);
	}
	return c->method_name != NULL ? c->method_name : call->method->name;
}

struct dcom_runtime *dcom_call_runtime(const struct dcom_call *call)
{
	return call->runtime;
}

struct dcom_object *dcom_call_object(const struct dcom_call *call)
{
	return call->object;
}

TALLOC_CTX *dcom_call_mem(struct dcom_call *call)
{
	return call;
}

struct tevent_context *dcom_call_ev(const struct dcom_call *call)
{
	return call->runtime->ev;
}

void dcom_call_audit(struct dcom_call *call, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	call->audit_object = talloc_vasprintf(call, fmt, ap);
	va_end(ap);
}

/* ---- audit ---- */

static bool audited(const struct dcom_call *call)
{
	const struct dcom_options *options = &call->runtime->options;

	if (call->method == NULL) {
		return false; /* activation */
	}
	if (com_interface_derives(call->interface, &com_IRemUnknown) ||
	    call->interface == &com_IClassFactory) {
		return false;
	}
	if (options->audited != NULL) {
		return options->audited(call->method);
	}
	return strncmp(call->method->name, "get_", 4) != 0;
}

/* What the call was about: what the method said, or else what the object that
 * it was made on is. */
static const char *audit_object(struct dcom_call *call)
{
	const struct dcom_object_type *type;
	const char *object = NULL;

	if (call->audit_object != NULL) {
		return call->audit_object;
	}
	if (call->object == NULL) {
		return "class";
	}
	type = call->object->type;
	if (type->describe != NULL) {
		object = type->describe(call->object->self, call);
	}
	return object != NULL ? object : type->name;
}

static void audit(struct dcom_call *call)
{
	if (!audited(call)) {
		return;
	}
	log_msg(LOG_AUDIT, "audit: %s from %s: %s: %s: 0x%08x", call->account,
		call->address, dcom_call_method(call), audit_object(call),
		HRES_ERROR_V(call->result));
}

/* ---- from request to method ---- */

static struct dcom_call *call_of(void *r)
{
	return talloc_get_type_abort(r, struct dcom_call);
}

static const struct ndr_interface_call *ndr_call_of(
	const struct dcom_call *call)
{
	return &call->interface->ndr->calls[call->opnum];
}

/* RPC_E_VERSION_MISMATCH: 1.7, 3.1.1.5.4 */
static bool version_ok(const struct ORPCTHIS *this)
{
	return this->version.MajorVersion == COM_MAJOR_VERSION &&
	       this->version.MinorVersion <= COM_MINOR_VERSION;
}

static uint32_t find_object(struct dcom_call *call)
{
	const struct dcesrv_call_state *dce = call->dce;
	struct dcom_ipid *ipid = NULL;

	if (dce->pkt.pfc_flags & DCERPC_PFC_FLAG_OBJECT_UUID) {
		ipid = dcom_ipid_find(call->runtime,
				      &dce->pkt.u.request.object.object);
	}
	if (ipid == NULL) {
		log_msg(LOG_INFO, "%s from %s: %s on an unknown IPID",
			call->account, call->address, dcom_call_method(call));
		return DCOM_E_DISCONNECTED;
	}
	/* The IPID's interface, or one that it derives from. */
	if (ipid->interface == NULL ||
	    !com_interface_derives(ipid->interface, call->interface)) {
		log_msg(LOG_INFO, "%s from %s: %s on an IPID of %s",
			call->account, call->address, dcom_call_method(call),
			ipid->interface == NULL ? "IUnknown"
						: ipid->interface->name);
		return DCOM_E_INVALID_IPID;
	}
	call->object = ipid->object;
	call->object->calls++;
	dcom_object_touch(call->object);
	if (ipid->client != NULL) {
		ipid->client->seen = call->object->used;
	}
	return 0;
}

static uint32_t pull_arguments(struct dcom_call *call, struct ndr_pull *pull)
{
	enum ndr_err_code ndr_err;

	pull->current_mem_ctx = call->r;
	ndr_err = ndr_call_of(call)->ndr_pull(pull, NDR_IN, call->r);
	if (!NDR_ERR_CODE_IS_SUCCESS(ndr_err)) {
		log_msg(LOG_WARNING, "%s from %s: %s has a malformed stub: %s",
			call->account, call->address, dcom_call_method(call),
			ndr_map_error2string(ndr_err));
		return DCERPC_FAULT_NDR;
	}
	if (!version_ok(com_call_this(call->method, call->r))) {
		log_msg(LOG_INFO, "%s from %s: %s with COM version %u.%u",
			call->account, call->address, dcom_call_method(call),
			com_call_this(call->method, call->r)
				->version.MajorVersion,
			com_call_this(call->method, call->r)
				->version.MinorVersion);
		return DCOM_E_VERSION_MISMATCH;
	}
	return 0;
}

static NTSTATUS orpc_fault(struct dcesrv_call_state *dce, uint32_t code)
{
	dce->fault_code = code;
	return NT_STATUS_NET_WRITE_FAULT;
}

/* In front of the arguments: is there such a method, object, permission? */
static NTSTATUS orpc_pull(struct dcesrv_call_state *dce, TALLOC_CTX *mem_ctx,
			  struct ndr_pull *pull, void **r)
{
	struct dcom_connection *conn = dcom_connection_of(dce->conn);
	const struct com_interface *interface =
		dce->context->iface->private_data;
	const struct com_method *method =
		com_method_by_opnum(interface, dce->pkt.u.request.opnum);
	struct dcom_call *call;
	uint32_t fault;

	if (!dcom_level_sufficient(dce, DCERPC_AUTH_LEVEL_PRIVACY)) {
		return orpc_fault(dce, DCERPC_FAULT_ACCESS_DENIED);
	}
	if (method == NULL) {
		log_msg(LOG_INFO, "%s: %s has no opnum %u", conn->remote_text,
			interface->name, dce->pkt.u.request.opnum);
		return orpc_fault(dce, DCERPC_FAULT_OP_RNG_ERROR);
	}
	call = dcom_call_create(conn, dce, interface, NULL);
	if (call == NULL) {
		return orpc_fault(dce, DCERPC_FAULT_OUT_OF_RESOURCES);
	}
	call->method = method;
	call->r = talloc_zero_size(call, method->size);
	if (call->r == NULL) {
		return orpc_fault(dce, DCERPC_FAULT_OUT_OF_RESOURCES);
	}
	*r = call;
	if (!dcom_call_allowed(call)) {
		call->refused = true;
		return dcom_pull_zero(ndr_call_of(call), call->r, call->r);
	}
	fault = find_object(call);
	if (fault == 0) {
		fault = pull_arguments(call, pull);
	}
	return fault == 0 ? NT_STATUS_OK : orpc_fault(dce, fault);
}

/* References handed out by a call that then fails never existed. */
static void revoke_grants(struct dcom_call *call)
{
	for (struct dcom_grant *g = call->grants; g != NULL; g = g->next) {
		struct dcom_ipid *ipid =
			dcom_ipid_find(call->runtime, &g->ipid);

		if (ipid != NULL) {
			dcom_ipid_release(ipid, g->refs, 0);
		}
		*g->out = NULL;
	}
	call->grants = NULL;
}

void dcom_call_done(struct dcom_call *call, HRESULT result)
{
	call->result = result;
	call->finished = true;
	if (ISTM_FAILED(result)) {
		revoke_grants(call);
	}
	audit(call);
}

static void call_end(struct dcom_call *call)
{
	*com_call_result(call->method, call->r) = call->result;
	dcom_call_done(call, call->result);
}

static NTSTATUS orpc_dispatch(struct dcesrv_call_state *dce,
			      TALLOC_CTX *mem_ctx, void *r)
{
	struct dcom_call *call = call_of(r);
	HRESULT hr = ISTM_ACCESS_DENIED;

	if (!call->refused) {
		const struct dcom_object *object = call->object;

		call->dispatching = true;
		hr = call->method->thunk(object->type->vtbl, call, object->self,
					 call->r);
		call->dispatching = false;
	}
	if (!call->deferred) {
		call->result = hr;
	}
	if (!call->deferred || call->finished) {
		call_end(call);
	} else {
		dce->state_flags |= DCESRV_CALL_STATE_FLAG_ASYNC;
	}
	dcom_objects_sweep_fresh(call->runtime);
	dcom_self_check(call->runtime);
	return NT_STATUS_OK;
}

static NTSTATUS orpc_reply(struct dcesrv_call_state *dce, TALLOC_CTX *mem_ctx,
			   void *r)
{
	return NT_STATUS_OK;
}

static NTSTATUS orpc_push(struct dcesrv_call_state *dce, TALLOC_CTX *mem_ctx,
			  struct ndr_push *push, const void *r)
{
	struct dcom_call *call = call_of(discard_const(r));
	enum ndr_err_code ndr_err;

	ndr_err = ndr_call_of(call)->ndr_push(push, NDR_OUT, call->r);
	if (!NDR_ERR_CODE_IS_SUCCESS(ndr_err)) {
		log_msg(LOG_ERROR, "the answer of %s cannot be marshalled: %s",
			dcom_call_method(call), ndr_map_error2string(ndr_err));
		return orpc_fault(dce, DCERPC_FAULT_NDR);
	}
	return NT_STATUS_OK;
}

/* ---- deferred calls ---- */

void dcom_call_defer(struct dcom_call *call)
{
	call->deferred = true;
}

void dcom_call_finish(struct dcom_call *call, HRESULT result)
{
	struct dcom_runtime *runtime = call->runtime;
	struct dcesrv_call_state *dce = call->dce;
	struct dcesrv_connection *conn;
	NTSTATUS status;

	call->result = result;
	if (call->dispatching) {
		call->finished = true; /* orpc_dispatch() goes on */
		return;
	}
	if (dce == NULL) {
		/* The client has gone: what it would have got, nobody has. */
		revoke_grants(call);
		*com_call_result(call->method, call->r) = result;
		audit(call);
		talloc_free(call);
		dcom_objects_sweep_fresh(runtime);
		dcom_self_check(runtime);
		return;
	}
	call_end(call);
	conn = dce->conn;
	status = dcesrv_reply(dce); /* frees the call, now or later */
	if (!NT_STATUS_IS_OK(status)) {
		dcesrv_terminate_connection(conn, nt_errstr(status));
	}
	dcom_objects_sweep_fresh(runtime);
	dcom_self_check(runtime);
}

/* ---- registration ---- */

NTSTATUS dcom_orpc_register(struct dcom_runtime *runtime, const char *endpoint,
			    const struct com_interface *interface)
{
	struct dcesrv_interface iface = {
		.name = interface->name,
		/* Versions of COM interfaces are 0.0 ([MS-DCOM] 2.1). */
		.syntax_id = {.uuid = interface->iid, .if_version = 0},
		.bind = dcom_interface_bind,
		.unbind = dcom_interface_unbind,
		.ndr_pull = orpc_pull,
		.dispatch = orpc_dispatch,
		.reply = orpc_reply,
		.ndr_push = orpc_push,
		.private_data = interface,
		.flags = 0,
	};

	return dcesrv_interface_register(runtime->dce_ctx, endpoint, NULL,
					 &iface, NULL);
}
