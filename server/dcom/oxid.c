/* SPDX-License-Identifier: GPL-3.0-or-later */
/* IObjectExporter, the OXID resolver: [MS-DCOM] 3.1.2.5.1. */
#include "server/dcom/runtime.h"
#include "gen_ndr/ndr_oxid.h"

static bool pack_bindings(struct dcom_call *call, uint16_t port,
			  struct DUALSTRINGARRAY **out)
{
	struct dualstring ds;

	*out = NULL;
	if (dcom_bindings(call->runtime, call, &call->local, port, &ds)) {
		*out = dualstring_pack(call, &ds);
	}
	return *out != NULL;
}

static WERROR resolve(struct dcom_call *call, uint64_t oxid,
		      struct DUALSTRINGARRAY **bindings, struct GUID *ipid,
		      uint32_t *authn_hint)
{
	const struct dcom_runtime *runtime = call->runtime;

	if (oxid != runtime->oxid) {
		log_msg(LOG_INFO, "%s: %s of an unknown OXID", call->address,
			call->method_name);
		return W_ERROR(DCOM_OR_INVALID_OXID);
	}
	if (!pack_bindings(call, runtime->object_port, bindings)) {
		return W_ERROR(DCOM_WIN32_OUTOFMEMORY);
	}
	*ipid = runtime->rem_unknown->ipid;
	*authn_hint = DCERPC_AUTH_LEVEL_PRIVACY;
	return WERR_OK;
}

static const struct COMVERSION version = {COM_MAJOR_VERSION, COM_MINOR_VERSION};

static void resolve_oxid(struct dcom_call *call, struct ResolveOxid *r)
{
	if (!dcom_wants_tcp(r->in.cRequestedProtseqs,
			    r->in.arRequestedProtseqs)) {
		r->out.result = W_ERROR(DCOM_RPC_PROTSEQ_NOT_SUPPORTED);
		return;
	}
	r->out.result = resolve(call, *r->in.pOxid, r->out.ppdsaOxidBindings,
				r->out.pipidRemUnknown, r->out.pAuthnHint);
}

static void resolve_oxid2(struct dcom_call *call, struct ResolveOxid2 *r)
{
	*r->out.pComVersion = version;
	if (!dcom_wants_tcp(r->in.cRequestedProtseqs,
			    r->in.arRequestedProtseqs)) {
		r->out.result = W_ERROR(DCOM_RPC_PROTSEQ_NOT_SUPPORTED);
		return;
	}
	r->out.result = resolve(call, *r->in.pOxid, r->out.ppdsaOxidBindings,
				r->out.pipidRemUnknown, r->out.pAuthnHint);
}

static void complex_ping(struct dcom_call *call, struct ComplexPing *r)
{
	/* A NULL list has no members, whatever the count says. */
	size_t num_add = r->in.AddToSet == NULL ? 0 : r->in.cAddToSet;
	size_t num_del = r->in.DelFromSet == NULL ? 0 : r->in.cDelFromSet;

	*r->out.pSetId = *r->in.pSetId;
	*r->out.pPingBackoffFactor = 0;
	r->out.result = W_ERROR(dcom_ping_complex(
		call->runtime, call->address, r->out.pSetId, r->in.SequenceNum,
		r->in.AddToSet, num_add, r->in.DelFromSet, num_del));
}

static void server_alive2(struct dcom_call *call, struct ServerAlive2 *r)
{
	*r->out.pComVersion = version;
	*r->out.pReserved = 0;
	r->out.result = pack_bindings(call, 0, r->out.ppdsaOrBindings)
				? WERR_OK
				: W_ERROR(DCOM_WIN32_OUTOFMEMORY);
}

static uint32_t dispatch(struct dcom_call *call, uint16_t opnum, void *r)
{
	switch (opnum) {
	case NDR_RESOLVEOXID:
		resolve_oxid(call, r);
		return 0;
	case NDR_SIMPLEPING:
		((struct SimplePing *)r)->out.result = W_ERROR(dcom_ping_simple(
			call->runtime, *((struct SimplePing *)r)->in.pSetId));
		return 0;
	case NDR_COMPLEXPING:
		complex_ping(call, r);
		return 0;
	case NDR_SERVERALIVE:
		((struct ServerAlive *)r)->out.result = WERR_OK;
		return 0;
	case NDR_RESOLVEOXID2:
		resolve_oxid2(call, r);
		return 0;
	case NDR_SERVERALIVE2:
		server_alive2(call, r);
		return 0;
	}
	return DCERPC_FAULT_OP_RNG_ERROR;
}

const struct dcom_rpc_interface dcom_object_exporter = {
	.table = &ndr_table_IObjectExporter,
	.min_level = 0,
	.dispatch = dispatch,
};
