/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Audit, and calls that are answered later. */
#include "server/core/log.h"
#include "server/istm/private.h"

struct istm_deferred {
	struct dcom_call *call;
	istm_recv_fn recv;
	void *r;
	const char *what; /* for the audit; NULL: nothing changes */
};

static void audit(struct dcom_call *call, HRESULT result, const char *what)
{
	log_msg(LOG_AUDIT, "audit: %s from %s: %s: %s: 0x%08x",
		dcom_call_account(call), dcom_call_client(call),
		dcom_call_method(call), what, HRES_ERROR_V(result));
}

HRESULT istm_audit(struct dcom_call *call, HRESULT result, const char *fmt, ...)
{
	char *what;
	va_list ap;

	va_start(ap, fmt);
	what = talloc_vasprintf(dcom_call_mem(call), fmt, ap);
	va_end(ap);
	audit(call, result, what != NULL ? what : "(no memory)");
	return result;
}

static void istm_deferred_done(struct tevent_req *req)
{
	struct istm_deferred *deferred =
		tevent_req_callback_data(req, struct istm_deferred);
	struct dcom_call *call = deferred->call;
	HRESULT result = deferred->recv(req, call, deferred->r);

	TALLOC_FREE(req);
	if (deferred->what != NULL) {
		audit(call, result, deferred->what);
	}
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
		deferred->what = talloc_vasprintf(deferred, fmt, ap);
		va_end(ap);
		if (deferred->what == NULL) {
			deferred->what = "(no memory)";
		}
	}
	dcom_call_defer(call);
	tevent_req_set_callback(req, istm_deferred_done, deferred);
	return ISTM_S_OK;
}
