/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * IStatusNotify (MS-ISTM 3.42): clients that want to know are called back when
 * the list of LUNs or the status of one changes.
 *
 * A sink is one client's object, with the cookies that it registered. Calls to
 * a sink go out one after the other; what happens meanwhile is merged: the list
 * has changed or has not, and of each disk only the newest status counts. A
 * client that answers with an error is told nothing more (3.42.4.1); one that
 * cannot be reached is given two more chances.
 */
#include <string.h>

#include "server/core/log.h"
#include "server/dcom/proxy.h"
#include "server/istm/private.h"

#define MAX_SINKS    256
#define MAX_COOKIES  256 /* of one sink */
#define MAX_STATUSES 1024
#define MAX_FAILURES 3
#define RETRY_DELAY  5 /* seconds */

struct pending {
	bool list;
	struct LUN_STATUS *statuses;
	size_t num_statuses;
};

struct sink {
	struct sink *next;
	struct istm_notifier *notifier;
	struct dcom_proxy *proxy;
	uint32_t *cookies;
	size_t num_cookies;
	struct pending pending;
	/* under way: what, to which cookie */
	struct tevent_req *req;
	struct pending now;
	size_t cookie;
	union {
		struct IStatusNotify_LunListChanged list;
		struct IStatusNotify_LunStatusUpdate status;
	} r;
	unsigned failures;
	struct tevent_timer *retry;
};

struct istm_notifier {
	struct istm *istm;
	struct tevent_context *ev;
	struct sink *sinks;
	size_t num_sinks;
	struct model_subscription *subscription;
};

static void sink_work(struct sink *sink);

/* ---- what is to be told ---- */

static void pending_status(struct sink *sink, const struct LUN_STATUS *status)
{
	struct pending *p = &sink->pending;
	struct LUN_STATUS *more;
	size_t i;

	for (i = 0; i < p->num_statuses; i++) {
		if (p->statuses[i].dwLun == status->dwLun) {
			p->statuses[i] = *status;
			return;
		}
	}
	if (p->num_statuses == MAX_STATUSES) {
		return;
	}
	more = talloc_realloc(sink, p->statuses, struct LUN_STATUS,
			      p->num_statuses + 1);
	if (more == NULL) {
		return;
	}
	p->statuses = more;
	p->statuses[p->num_statuses++] = *status;
}

static void notifier_event(const struct model_event *event, void *private_data)
{
	struct istm_notifier *notifier = private_data;
	struct LUN_STATUS status = {0};
	struct model_disk *disk;
	struct sink *sink, *next;

	switch (event->type) {
	case MODEL_EVENT_LUN_LIST:
		break;
	case MODEL_EVENT_LUN_STATUS:
		disk = model_disk_by_index(notifier->istm->model, event->disk);
		status = (struct LUN_STATUS){
			.dwLun = event->disk,
			.eStatus =
				disk != NULL
					? (enum DeviceStatus)model_disk_status(
						  notifier->istm->model, disk)
					: Idle,
			.dwProgressPercent = event->percent,
			.dwCompletionError = event->completion,
		};
		break;
	default:
		return;
	}
	for (sink = notifier->sinks; sink != NULL; sink = next) {
		next = sink->next;
		if (event->type == MODEL_EVENT_LUN_LIST) {
			sink->pending.list = true;
		} else {
			pending_status(sink, &status);
		}
		sink_work(sink);
	}
}

/* ---- telling it ---- */

static void sink_remove(struct sink *sink)
{
	struct sink **p = &sink->notifier->sinks;

	while (*p != sink) {
		p = &(*p)->next;
	}
	*p = sink->next;
	sink->notifier->num_sinks--;
	talloc_free(sink);
}

static void sink_retry(struct tevent_context *ev, struct tevent_timer *timer,
		       struct timeval now, void *private_data)
{
	struct sink *sink = private_data;

	sink->retry = NULL;
	sink_work(sink);
}

static void sink_told(struct tevent_req *req)
{
	struct sink *sink = tevent_req_callback_data(req, struct sink);
	HRESULT result = dcom_proxy_call_recv(req);

	TALLOC_FREE(sink->req);
	if (HRES_ERROR_V(result) == HRES_ERROR_V(DCOM_PROXY_UNREACHABLE) &&
	    ++sink->failures < MAX_FAILURES) {
		sink->retry = tevent_add_timer(
			sink->notifier->ev, sink,
			tevent_timeval_current_ofs(RETRY_DELAY, 0), sink_retry,
			sink);
		if (sink->retry != NULL) {
			return;
		}
	}
	if (ISTM_FAILED(result)) {
		log_msg(LOG_WARNING,
			"%s: no more notifications to it: error 0x%08x",
			dcom_proxy_name(sink->proxy), HRES_ERROR_V(result));
		sink_remove(sink);
		return;
	}
	sink->failures = 0;
	sink->cookie++;
	sink_work(sink);
}

/* Go to the next call of this round, or begin a new round.
 * @return the opnum, or 0 when there is nothing to tell */
static uint32_t sink_next(struct sink *sink)
{
	bool round = sink->now.list || sink->now.num_statuses > 0;

	if (round && sink->cookie == sink->num_cookies) {
		sink->cookie = 0;
		if (sink->now.list) {
			sink->now.list = false;
		} else {
			sink->now.num_statuses--;
		}
		round = sink->now.list || sink->now.num_statuses > 0;
	}
	if (!round) {
		TALLOC_FREE(sink->now.statuses);
		sink->now = sink->pending;
		sink->pending = (struct pending){0};
		sink->cookie = 0;
	}
	if (sink->now.list) {
		return NDR_ISTATUSNOTIFY_LUNLISTCHANGED;
	}
	return sink->now.num_statuses > 0 ? NDR_ISTATUSNOTIFY_LUNSTATUSUPDATE
					  : 0;
}

static void sink_work(struct sink *sink)
{
	uint32_t opnum;

	if (sink->req != NULL || sink->retry != NULL) {
		return;
	}
	opnum = sink_next(sink);
	if (opnum == 0) {
		return;
	}
	memset(&sink->r, 0, sizeof(sink->r));
	if (opnum == NDR_ISTATUSNOTIFY_LUNLISTCHANGED) {
		sink->r.list.in.lCookie = sink->cookies[sink->cookie];
	} else {
		sink->r.status.in.lCookie = sink->cookies[sink->cookie];
		sink->r.status.in.pLunStatus =
			&sink->now.statuses[sink->now.num_statuses - 1];
	}
	sink->req = dcom_proxy_call_send(sink, sink->notifier->ev, sink->proxy,
					 opnum, &sink->r);
	if (sink->req != NULL) {
		tevent_req_set_callback(sink->req, sink_told, sink);
	}
}

/* ---- registrations ---- */

static struct sink *sink_find(struct istm_notifier *notifier,
			      const struct dcom_proxy *proxy)
{
	struct sink *sink;

	for (sink = notifier->sinks; sink != NULL; sink = sink->next) {
		if (dcom_proxy_same(sink->proxy, proxy)) {
			return sink;
		}
	}
	return NULL;
}

static HRESULT sink_add_cookie(struct sink *sink, uint32_t cookie)
{
	uint32_t *cookies;
	size_t i;

	for (i = 0; i < sink->num_cookies; i++) {
		if (sink->cookies[i] == cookie) {
			return ISTM_S_OK;
		}
	}
	if (sink->num_cookies == MAX_COOKIES) {
		log_msg(LOG_WARNING, "%s: it has %u cookies already",
			dcom_proxy_name(sink->proxy), MAX_COOKIES);
		return ISTM_OUT_OF_MEMORY;
	}
	cookies = talloc_realloc(sink, sink->cookies, uint32_t,
				 sink->num_cookies + 1);
	if (cookies == NULL) {
		return ISTM_OUT_OF_MEMORY;
	}
	sink->cookies = cookies;
	sink->cookies[sink->num_cookies++] = cookie;
	return ISTM_S_OK;
}

static struct sink *sink_create(struct istm_notifier *notifier,
				struct dcom_proxy *proxy)
{
	struct sink *sink;

	if (notifier->num_sinks == MAX_SINKS) {
		log_msg(LOG_WARNING,
			"%s: %u clients have registered for notifications"
			" already",
			dcom_proxy_name(proxy), MAX_SINKS);
		return NULL;
	}
	sink = talloc_zero(notifier, struct sink);
	if (sink == NULL) {
		return NULL;
	}
	sink->notifier = notifier;
	sink->proxy = talloc_steal(sink, proxy);
	sink->next = notifier->sinks;
	notifier->sinks = sink;
	notifier->num_sinks++;
	return sink;
}

HRESULT istm_notify_register(struct istm *istm, struct dcom_call *call,
			     const struct MInterfacePointer *mip,
			     uint32_t cookie)
{
	struct istm_notifier *notifier = istm->notifier;
	struct dcom_proxy *proxy = NULL;
	struct sink *sink;
	HRESULT result = dcom_proxy_create(notifier, call, mip,
					   &com_IStatusNotify, &proxy);

	if (ISTM_FAILED(result)) {
		return result;
	}
	sink = sink_find(notifier, proxy);
	if (sink != NULL) {
		dcom_proxy_merge(sink->proxy, proxy);
		return sink_add_cookie(sink, cookie);
	}
	sink = sink_create(notifier, proxy);
	if (sink == NULL) {
		talloc_free(proxy);
		return ISTM_OUT_OF_MEMORY;
	}
	result = sink_add_cookie(sink, cookie);
	if (ISTM_FAILED(result)) {
		sink_remove(sink);
	}
	return result;
}

HRESULT istm_notify_unregister(struct istm *istm, struct dcom_call *call,
			       const struct MInterfacePointer *mip)
{
	struct istm_notifier *notifier = istm->notifier;
	struct dcom_proxy *proxy = NULL;
	struct sink *sink;
	HRESULT result = dcom_proxy_create(notifier, call, mip,
					   &com_IStatusNotify, &proxy);

	if (ISTM_FAILED(result)) {
		return result;
	}
	sink = sink_find(notifier, proxy);
	if (sink == NULL) {
		talloc_free(proxy);
		return ISTM_S_OK; /* all that match are removed */
	}
	dcom_proxy_merge(sink->proxy, proxy);
	sink_remove(sink);
	return ISTM_S_OK;
}

struct istm_notifier *istm_notifier_create(struct istm *istm)
{
	struct istm_notifier *notifier =
		talloc_zero(istm, struct istm_notifier);

	if (notifier == NULL) {
		return NULL;
	}
	notifier->istm = istm;
	notifier->ev = dcom_runtime_ev(istm->runtime);
	notifier->subscription = model_subscribe(notifier, istm->model,
						 notifier_event, notifier);
	if (notifier->subscription == NULL) {
		TALLOC_FREE(notifier);
	}
	return notifier;
}
