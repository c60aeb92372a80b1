/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <dcerpc.h>
#include <util/tevent_ntstatus.h>

#include "gen_ndr/com_remunknown.h"
#include "gen_ndr/ndr_oxid.h"
#include "server/dcom/peer.h"
#include "server/dcom/proxy.h"
#include "server/dcom/runtime.h"

/* References that nobody would hand over; more is nonsense or mischief. */
#define MAX_REFS 0x10000000u

struct dcom_proxy {
	struct dcom_runtime *runtime;
	const struct com_interface *interface;
	struct ndr_interface_table table; /* the pipe points here */
	struct dcom_peer *peer;
	uint64_t oid;
	struct GUID ipid;
	uint32_t refs;
	const char *name;
	struct dcerpc_pipe *pipe;
	/* pinging */
	struct tevent_req *ping;
	uint64_t set;
	uint16_t sequence;
};

static void ping_schedule(struct dcom_proxy *proxy, unsigned ms);

/* ---- releasing ---- */

struct release {
	struct dcom_runtime *runtime;
	struct dcom_peer *peer;
	struct dcerpc_pipe *pipe;
	struct ndr_interface_table table;
	struct IRemUnknown_RemRelease r;
	struct REMINTERFACEREF ref;
};

static void release_done(struct tevent_req *subreq)
{
	struct release *release =
		tevent_req_callback_data(subreq, struct release);

	/* Whatever came of it: the client's garbage collection does it
	 * otherwise. */
	dcerpc_binding_handle_call_recv(subreq);
	talloc_free(release);
}

static void release_connected(struct tevent_req *subreq)
{
	struct release *release =
		tevent_req_callback_data(subreq, struct release);
	NTSTATUS status =
		dcom_peer_exporter_recv(subreq, release, &release->pipe);

	talloc_free(subreq);
	if (!NT_STATUS_IS_OK(status)) {
		talloc_free(release);
		return;
	}
	release->r.in.ORPCthis = (struct ORPCTHIS){
		.version = {COM_MAJOR_VERSION, COM_MINOR_VERSION},
		.cid = GUID_random(),
	};
	release->r.in.cInterfaceRefs = 1;
	release->r.in.InterfaceRefs = &release->ref;
	subreq = dcerpc_binding_handle_call_send(
		release, release->runtime->ev, release->pipe->binding_handle,
		&release->peer->ipid_rem_unknown, &release->table,
		NDR_IREMUNKNOWN_REMRELEASE, release, &release->r);
	if (subreq == NULL) {
		talloc_free(release);
		return;
	}
	tevent_req_set_endtime(subreq, release->runtime->ev,
			       tevent_timeval_current_ofs(DCOM_PROXY_TIMEOUT,
							  0));
	tevent_req_set_callback(subreq, release_done, release);
}

static void release_start(struct dcom_proxy *proxy)
{
	struct release *release = talloc_zero(proxy->runtime, struct release);
	struct tevent_req *subreq;

	if (release == NULL) {
		return;
	}
	release->runtime = proxy->runtime;
	release->peer = talloc_steal(release, proxy->peer);
	release->ref = (struct REMINTERFACEREF){
		.ipid = proxy->ipid,
		.cPublicRefs = proxy->refs,
	};
	com_interface_table(&com_IRemUnknown, &release->table);
	subreq = dcom_peer_exporter_send(release, proxy->runtime->ev,
					 release->peer, &release->table);
	if (subreq == NULL) {
		talloc_free(release);
		return;
	}
	tevent_req_set_endtime(subreq, proxy->runtime->ev,
			       tevent_timeval_current_ofs(DCOM_PROXY_TIMEOUT,
							  0));
	tevent_req_set_callback(subreq, release_connected, release);
}

static int proxy_destructor(struct dcom_proxy *proxy)
{
	if (proxy->refs > 0 && !proxy->runtime->stopping) {
		release_start(proxy);
	}
	return 0;
}

/* ---- proxies ---- */

HRESULT dcom_proxy_create(TALLOC_CTX *mem_ctx, struct dcom_call *call,
			  const struct MInterfacePointer *mip,
			  const struct com_interface *interface,
			  struct dcom_proxy **result)
{
	struct dcom_proxy *proxy;
	const struct STDOBJREF *std = NULL;
	struct OBJREF *objref;

	*result = NULL;
	if (mip == NULL) {
		return ISTM_POINTER;
	}
	proxy = talloc_zero(mem_ctx, struct dcom_proxy);
	if (proxy == NULL) {
		return ISTM_OUT_OF_MEMORY;
	}
	objref = objref_unpack(proxy, mip);
	if (objref != NULL) {
		std = objref_std(objref);
	}
	if (std == NULL || !GUID_equal(&objref->iid, &interface->iid) ||
	    std->cPublicRefs > MAX_REFS) {
		log_msg(LOG_WARNING,
			"%s: %s: the interface pointer from %s is malformed or"
			" none to %s",
			dcom_call_method(call), dcom_call_account(call),
			dcom_call_client(call), interface->name);
		talloc_free(proxy);
		return ISTM_INVALID_ARG;
	}
	proxy->runtime = dcom_call_runtime(call);
	proxy->interface = interface;
	com_interface_table(interface, &proxy->table);
	proxy->oid = std->oid;
	proxy->ipid = std->ipid;
	proxy->peer = dcom_peer_create(proxy, std->oxid, dcom_call_client(call),
				       objref_resolver(objref));
	proxy->name = talloc_asprintf(proxy, "%s of %s", interface->name,
				      dcom_call_client(call));
	if (proxy->peer == NULL || proxy->name == NULL) {
		talloc_free(proxy);
		return ISTM_INVALID_ARG;
	}
	proxy->refs = std->cPublicRefs;
	if (!(std->flags & SORF_NOPING)) {
		ping_schedule(proxy, 1);
	}
	talloc_free(objref);
	talloc_set_destructor(proxy, proxy_destructor);
	*result = proxy;
	return ISTM_S_OK;
}

bool dcom_proxy_same(const struct dcom_proxy *a, const struct dcom_proxy *b)
{
	return a->oid == b->oid && a->peer->oxid == b->peer->oxid;
}

void dcom_proxy_merge(struct dcom_proxy *proxy, struct dcom_proxy *other)
{
	if (GUID_equal(&proxy->ipid, &other->ipid) &&
	    other->refs <= MAX_REFS - proxy->refs) {
		proxy->refs += other->refs;
		other->refs = 0;
	}
	talloc_free(other);
}

const char *dcom_proxy_name(const struct dcom_proxy *proxy)
{
	return proxy->name;
}

/* ---- calling ---- */

struct proxy_call_state {
	struct tevent_context *ev;
	struct dcom_proxy *proxy;
	const struct com_method *method;
	uint32_t opnum;
	void *r;
	HRESULT result;
};

static void proxy_call_connected(struct tevent_req *subreq);
static void proxy_call_done(struct tevent_req *subreq);

static void proxy_call_start(struct tevent_req *req)
{
	struct proxy_call_state *state =
		tevent_req_data(req, struct proxy_call_state);
	struct dcom_proxy *proxy = state->proxy;
	struct tevent_req *subreq;

	*com_call_this(state->method, state->r) = (struct ORPCTHIS){
		.version = {COM_MAJOR_VERSION, COM_MINOR_VERSION},
		.cid = GUID_random(),
	};
	subreq = dcerpc_binding_handle_call_send(state, state->ev,
						 proxy->pipe->binding_handle,
						 &proxy->ipid, &proxy->table,
						 state->opnum, state, state->r);
	if (!tevent_req_nomem(subreq, req)) {
		tevent_req_set_callback(subreq, proxy_call_done, req);
	}
}

struct tevent_req *dcom_proxy_call_send(TALLOC_CTX *mem_ctx,
					struct tevent_context *ev,
					struct dcom_proxy *proxy,
					uint32_t opnum, void *r)
{
	struct proxy_call_state *state = NULL;
	struct tevent_req *req, *subreq;

	req = tevent_req_create(mem_ctx, &state, struct proxy_call_state);
	if (req == NULL) {
		return NULL;
	}
	*state = (struct proxy_call_state){
		.ev = ev,
		.proxy = proxy,
		.method = com_method_by_opnum(proxy->interface, opnum),
		.opnum = opnum,
		.r = r,
		.result = DCOM_PROXY_UNREACHABLE,
	};
	if (state->method == NULL) {
		tevent_req_nterror(req, NT_STATUS_RPC_PROCNUM_OUT_OF_RANGE);
		return tevent_req_post(req, ev);
	}
	tevent_req_set_endtime(
		req, ev, tevent_timeval_current_ofs(DCOM_PROXY_TIMEOUT, 0));
	if (proxy->pipe != NULL &&
	    !dcerpc_binding_handle_is_connected(proxy->pipe->binding_handle)) {
		TALLOC_FREE(proxy->pipe);
	}
	if (proxy->pipe != NULL) {
		proxy_call_start(req);
		return tevent_req_is_in_progress(req)
			       ? req
			       : tevent_req_post(req, ev);
	}
	subreq = dcom_peer_exporter_send(state, ev, proxy->peer, &proxy->table);
	if (tevent_req_nomem(subreq, req)) {
		return tevent_req_post(req, ev);
	}
	tevent_req_set_callback(subreq, proxy_call_connected, req);
	return req;
}

static void proxy_call_connected(struct tevent_req *subreq)
{
	struct tevent_req *req =
		tevent_req_callback_data(subreq, struct tevent_req);
	struct proxy_call_state *state =
		tevent_req_data(req, struct proxy_call_state);
	struct dcerpc_pipe *pipe = NULL;
	NTSTATUS status = dcom_peer_exporter_recv(subreq, state->proxy, &pipe);

	talloc_free(subreq);
	if (tevent_req_nterror(req, status)) {
		return;
	}
	if (state->proxy->pipe == NULL) {
		state->proxy->pipe = pipe;
	} else {
		/* Another call was faster and uses its own. */
		talloc_free(pipe);
	}
	proxy_call_start(req);
}

static void proxy_call_done(struct tevent_req *subreq)
{
	struct tevent_req *req =
		tevent_req_callback_data(subreq, struct tevent_req);
	struct proxy_call_state *state =
		tevent_req_data(req, struct proxy_call_state);
	NTSTATUS status = dcerpc_binding_handle_call_recv(subreq);

	talloc_free(subreq);
	if (tevent_req_nterror(req, status)) {
		return;
	}
	state->result = *com_call_result(state->method, state->r);
	tevent_req_done(req);
}

HRESULT dcom_proxy_call_recv(struct tevent_req *req)
{
	struct proxy_call_state *state =
		tevent_req_data(req, struct proxy_call_state);
	HRESULT result = state->result;
	NTSTATUS status;

	if (tevent_req_is_nterror(req, &status)) {
		log_msg(LOG_INFO, "%s: %s: %s", state->proxy->name,
			state->method != NULL ? state->method->name : "?",
			nt_errstr(status));
		result = DCOM_PROXY_UNREACHABLE;
	}
	/* Not tevent_req_received(): r's [out] values are in the request. */
	return result;
}

/* ---- pinging ([MS-DCOM] 3.2.6.1) ---- */

struct ping {
	struct dcom_proxy *proxy;
	struct dcerpc_pipe *pipe;
	struct ComplexPing complex;
	struct SimplePing simple;
	uint64_t set, oid;
};

static void ping_done(struct tevent_req *subreq)
{
	struct ping *ping = tevent_req_callback_data(subreq, struct ping);
	struct dcom_proxy *proxy = ping->proxy;
	NTSTATUS status = dcerpc_binding_handle_call_recv(subreq);

	proxy->ping = NULL;
	if (!NT_STATUS_IS_OK(status)) {
		proxy->set = 0;
	} else if (proxy->set == 0) {
		if (W_ERROR_IS_OK(ping->complex.out.result)) {
			proxy->set = *ping->complex.out.pSetId;
		}
	} else if (!W_ERROR_IS_OK(ping->simple.out.result)) {
		proxy->set = 0; /* forgotten there: a new one next time */
	}
	talloc_free(ping);
}

static void ping_connected(struct tevent_req *subreq)
{
	struct ping *ping = tevent_req_callback_data(subreq, struct ping);
	struct dcom_proxy *proxy = ping->proxy;
	NTSTATUS status = dcom_peer_resolver_recv(subreq, ping, &ping->pipe);

	talloc_free(subreq);
	proxy->ping = NULL;
	if (!NT_STATUS_IS_OK(status)) {
		talloc_free(ping);
		return;
	}
	ping->set = proxy->set;
	ping->oid = proxy->oid;
	if (ping->set == 0) {
		ping->complex.in.pSetId = &ping->set;
		ping->complex.out.pSetId = &ping->set;
		ping->complex.in.SequenceNum = ++proxy->sequence;
		ping->complex.in.cAddToSet = 1;
		ping->complex.in.AddToSet = &ping->oid;
		proxy->ping = dcerpc_binding_handle_call_send(
			ping, proxy->runtime->ev, ping->pipe->binding_handle,
			NULL, &ndr_table_IObjectExporter, NDR_COMPLEXPING, ping,
			&ping->complex);
	} else {
		ping->simple.in.pSetId = &ping->set;
		proxy->ping = dcerpc_binding_handle_call_send(
			ping, proxy->runtime->ev, ping->pipe->binding_handle,
			NULL, &ndr_table_IObjectExporter, NDR_SIMPLEPING, ping,
			&ping->simple);
	}
	if (proxy->ping == NULL) {
		talloc_free(ping);
		return;
	}
	tevent_req_set_endtime(proxy->ping, proxy->runtime->ev,
			       tevent_timeval_current_ofs(DCOM_PROXY_TIMEOUT,
							  0));
	tevent_req_set_callback(proxy->ping, ping_done, ping);
}

static void ping_timer(struct tevent_context *ev, struct tevent_timer *timer,
		       struct timeval now, void *private_data)
{
	struct dcom_proxy *proxy = private_data;
	struct ping *ping;

	ping_schedule(proxy, proxy->runtime->options.ping_period);
	if (proxy->ping != NULL) {
		return;
	}
	ping = talloc_zero(proxy, struct ping);
	if (ping == NULL) {
		return;
	}
	ping->proxy = proxy;
	proxy->ping = dcom_peer_resolver_send(ping, ev, proxy->peer);
	if (proxy->ping == NULL) {
		talloc_free(ping);
		return;
	}
	tevent_req_set_endtime(proxy->ping, ev,
			       tevent_timeval_current_ofs(DCOM_PROXY_TIMEOUT,
							  0));
	tevent_req_set_callback(proxy->ping, ping_connected, ping);
}

static void ping_schedule(struct dcom_proxy *proxy, unsigned ms)
{
	if (tevent_add_timer(proxy->runtime->ev, proxy,
			     tevent_timeval_current_ofs(ms / 1000,
							ms % 1000 * 1000),
			     ping_timer, proxy) == NULL) {
		log_msg(LOG_WARNING, "%s: no more pings: out of memory",
			proxy->name);
	}
}
