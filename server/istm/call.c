/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Audit, and calls that are answered later. */
#include "server/istm/private.h"

struct istm_deferred {
	struct dcom_call *call;
	istm_recv_fn recv;
	void *r;
};

/* The runtime writes the line, once the call has been answered. */
static void note(struct dcom_call *call, const char *fmt, va_list ap)
{
	char *what = talloc_vasprintf(dcom_call_mem(call), fmt, ap);

	if (what != NULL) {
		dcom_call_audit(call, "%s", what);
		talloc_free(what);
	}
}

HRESULT istm_audit(struct dcom_call *call, HRESULT result, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	note(call, fmt, ap);
	va_end(ap);
	return result;
}

static void istm_deferred_done(struct tevent_req *req)
{
	struct istm_deferred *deferred =
		tevent_req_callback_data(req, struct istm_deferred);
	struct dcom_call *call = deferred->call;
	HRESULT result = deferred->recv(req, call, deferred->r);

	TALLOC_FREE(req);
	dcom_call_finish(call, result);
}

HRESULT istm_defer(struct dcom_call *call, struct tevent_req *req,
		   istm_recv_fn recv, void *r, const char *fmt, ...)
{
	TALLOC_CTX *mem_ctx = dcom_call_mem(call);
	struct istm_deferred *deferred;
	va_list ap;

	if (req == NULL) {
		return ISTM_OUT_OF_MEMORY;
	}
	deferred = talloc_zero(mem_ctx, struct istm_deferred);
	if (deferred == NULL) {
		TALLOC_FREE(req);
		return ISTM_OUT_OF_MEMORY;
	}
	deferred->call = call;
	deferred->recv = recv;
	deferred->r = r;
	if (fmt != NULL) {
		va_start(ap, fmt);
		note(call, fmt, ap);
		va_end(ap);
	}
	dcom_call_defer(call);
	tevent_req_set_callback(req, istm_deferred_done, deferred);
	return ISTM_S_OK;
}
