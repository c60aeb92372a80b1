/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A daemon for tests of the DCOM runtime alone: istmd's process around classes
 * of its own, which have the shape of ISTM's but no model behind them.
 *
 *   WTGeneral  get_WTCliPath       what the runtime holds, as text
 *              IsSnapshotsSupported  answers when it is told to
 *              AddLicense(command)   "answer": those that wait; "pass MS": as
 *                                    much time for references and ping sets
 *              put_Name            E_FAIL, at once, deferred
 *              all others          E_NOTIMPL
 *   HostMgr    NewHost(name)       a new object each time
 *              GetHost(name)       one object a name
 *              NewHost2(name)      hands out an object, then fails
 *              DeleteHost          frees nothing, succeeds (for the audit log)
 */
#include <stdio.h>
#include <string.h>
#include <util/tevent_ntstatus.h>

#include "gen_ndr/com_istm.h"
#include "server/config.h"
#include "server/core/errors.h"
#include "server/core/hash.h"
#include "server/core/log.h"
#include "server/dcom/dcom.h"
#include "server/dcom/list.h"
#include "server/istm/istm.h"
#include "server/service.h"

struct service {
	struct dcom_runtime *runtime;
};

struct slow {
	struct slow *prev, *next;
	struct dcom_call *call;
};

static unsigned hosts_alive;
static struct slow *waiting;
static unsigned num_waiting;

/* ---- WTGeneral ---- */

static HRESULT get_statistics(struct dcom_call *call, void *self,
			      struct IWTGeneral_get_WTCliPath *r)
{
	struct dcom_statistics s;

	dcom_runtime_statistics(dcom_call_runtime(call), &s);
	r->out.pWtCliPath->s = talloc_asprintf(
		dcom_call_mem(call),
		"connections=%zu clients=%zu objects=%zu references=%zu "
		"sets=%zu hosts=%u waiting=%u",
		s.connections, s.clients, s.objects, s.references, s.ping_sets,
		hosts_alive, num_waiting);
	return ISTM_S_OK;
}

static HRESULT check_access(struct dcom_call *call, void *self,
			    struct IWTGeneral_CheckAccess *r)
{
	return ISTM_S_OK;
}

static int slow_gone(struct slow *slow)
{
	DCOM_LIST_REMOVE(waiting, slow);
	num_waiting--;
	return 0;
}

static HRESULT slow(struct dcom_call *call, void *self,
		    struct IWTGeneral_IsSnapshotsSupported *r)
{
	struct slow *slow = talloc_zero(dcom_call_mem(call), struct slow);

	slow->call = call;
	DCOM_LIST_ADD(waiting, slow);
	num_waiting++;
	talloc_set_destructor(slow, slow_gone);
	dcom_call_defer(call);
	return ISTM_S_OK;
}

static HRESULT command(struct dcom_call *call, void *self,
		       struct IWTGeneral_AddLicense *r)
{
	const char *text = r->in.License.s != NULL ? r->in.License.s : "";
	unsigned long long ms;

	if (strcmp(text, "answer") == 0) {
		while (waiting != NULL) {
			struct dcom_call *waits = waiting->call;

			talloc_free(waiting);
			dcom_call_finish(waits, ISTM_S_OK);
		}
		return ISTM_S_OK;
	}
	if (sscanf(text, "pass %llu", &ms) == 1) {
		dcom_runtime_pass_time(dcom_call_runtime(call), ms);
		return ISTM_S_OK;
	}
	return ISTM_INVALID_ARG;
}

static HRESULT fail_deferred(struct dcom_call *call, void *self,
			     struct IWTGeneral_put_Name *r)
{
	dcom_call_defer(call);
	dcom_call_finish(call, ISTM_FAIL);
	return ISTM_S_OK;
}

static const struct IWTGeneral_vtbl general_vtbl = {
	.get_WTCliPath = get_statistics,
	.CheckAccess = check_access,
	.AddLicense = command,
	.IsSnapshotsSupported = slow,
	.put_Name = fail_deferred,
};

static const struct com_interface *const general_interfaces[] = {
	&com_IWTGeneral,
	&com_IWTGeneral2,
	NULL,
};

static const struct dcom_object_type general_type = {
	.name = "general",
	.interfaces = general_interfaces,
	.vtbl = &general_vtbl,
};

/* ---- HostMgr ---- */

struct host {
	char *name;
};

static HRESULT host_get_name(struct dcom_call *call, void *self,
			     struct IHost_get_Name *r)
{
	r->out.pName->s = ((struct host *)self)->name;
	return ISTM_S_OK;
}

static void host_released(void *self)
{
	hosts_alive--;
}

static const char *host_describe(void *self, TALLOC_CTX *mem_ctx)
{
	return ((struct host *)self)->name;
}

static const struct IHost_vtbl host_vtbl = {.get_Name = host_get_name};

static const struct com_interface *const host_interfaces[] = {
	&com_IHost,
	&com_IHost2,
	&com_IHost3,
	NULL,
};

static const struct dcom_object_type host_type = {
	.name = "host",
	.interfaces = host_interfaces,
	.vtbl = &host_vtbl,
	.released = host_released,
	.describe = host_describe,
};

static struct dcom_object *host_create(struct dcom_call *call, const char *name,
				       const struct GUID *key)
{
	struct dcom_runtime *runtime = dcom_call_runtime(call);
	struct host *host = talloc_zero(runtime, struct host);
	struct dcom_object *object;

	host->name = talloc_strdup(host, name != NULL ? name : "(null)");
	object = dcom_object_create(runtime, &host_type, host, key);
	if (object == NULL) {
		talloc_free(host);
		return NULL;
	}
	hosts_alive++;
	return object;
}

static HRESULT new_host(struct dcom_call *call, void *self,
			struct IHostMgr_NewHost *r)
{
	struct dcom_object *object = host_create(call, r->in.HostName.s, NULL);

	if (object == NULL) {
		return ISTM_OUT_OF_MEMORY;
	}
	dcom_call_audit(call, "%s", r->in.HostName.s);
	return dcom_return_object(call, object, &com_IHost, r->out.ppNewHost);
}

static HRESULT get_host(struct dcom_call *call, void *self,
			struct IHostMgr_GetHost *r)
{
	const char *name = r->in.HostName.s != NULL ? r->in.HostName.s : "";
	uint64_t value = hash_string(name);
	struct dcom_object *object;
	struct GUID key = {0};

	memcpy(&key, &value, sizeof(value));
	object = dcom_object_find(dcom_call_runtime(call), &host_type, &key);
	if (object == NULL) {
		object = host_create(call, name, &key);
	}
	if (object == NULL) {
		return ISTM_OUT_OF_MEMORY;
	}
	return dcom_return_object(call, object, &com_IHost, r->out.ppHost);
}

static HRESULT failing_new_host(struct dcom_call *call, void *self,
				struct IHostMgr2_NewHost2 *r)
{
	struct dcom_object *object = host_create(call, r->in.HostName.s, NULL);

	if (object == NULL) {
		return ISTM_OUT_OF_MEMORY;
	}
	(void)dcom_return_object(call, object, &com_IHost, r->out.ppNewHost);
	return ISTM_FAIL;
}

static HRESULT delete_host(struct dcom_call *call, void *self,
			   struct IHostMgr_DeleteHost *r)
{
	dcom_call_audit(call, "target %s", r->in.HostName.s);
	return ISTM_S_OK;
}

static const struct IHostMgr_vtbl host_mgr_vtbl = {
	.NewHost = new_host,
	.GetHost = get_host,
	.NewHost2 = failing_new_host,
	.DeleteHost = delete_host,
};

static const struct com_interface *const host_mgr_interfaces[] = {
	&com_IHostMgr,
	&com_IHostMgr2,
	&com_IHostMgr3,
	NULL,
};

static const struct dcom_object_type host_mgr_type = {
	.name = "host manager",
	.interfaces = host_mgr_interfaces,
	.vtbl = &host_mgr_vtbl,
};

/* ---- service ---- */

static HRESULT singleton(struct dcom_runtime *runtime, void *private_data,
			 struct dcom_object **object)
{
	*object = private_data;
	return ISTM_S_OK;
}

static bool add_class(struct dcom_runtime *runtime,
		      const struct com_class *com_class,
		      const struct dcom_object_type *type)
{
	struct dcom_class class = {
		.clsid = com_class->clsid,
		.name = com_class->name,
		.create = singleton,
		.private_data = dcom_object_create(runtime, type,
						   talloc_new(runtime), NULL),
	};

	if (class.private_data == NULL) {
		return false;
	}
	dcom_object_pin(class.private_data);
	return !ISTM_FAILED(dcom_class_register(runtime, &class));
}

struct start_state {
	struct service *service;
};

struct tevent_req *service_start_send(TALLOC_CTX *mem_ctx,
				      struct tevent_context *ev,
				      const struct config *config,
				      const struct dcom_options *dcom)
{
	struct dcom_options options = *dcom;
	struct start_state *state;
	struct tevent_req *req =
		tevent_req_create(mem_ctx, &state, struct start_state);
	struct dcom_runtime *runtime;

	if (req == NULL) {
		return NULL;
	}
	options.interfaces = com_istm_interfaces;
	options.audited = istm_method_is_audited;
	state->service = talloc_zero(state, struct service);
	runtime = dcom_runtime_create(state->service, ev, &options);
	state->service->runtime = runtime;
	if (runtime == NULL ||
	    !add_class(runtime, &com_class_WTGeneral, &general_type) ||
	    !add_class(runtime, &com_class_HostMgr, &host_mgr_type)) {
		tevent_req_oom(req);
		return tevent_req_post(req, ev);
	}
	if (tevent_req_nterror(req, dcom_runtime_start(runtime))) {
		return tevent_req_post(req, ev);
	}
	tevent_req_done(req);
	return tevent_req_post(req, ev);
}

struct service *service_start_recv(struct tevent_req *req, TALLOC_CTX *mem_ctx)
{
	struct start_state *state = tevent_req_data(req, struct start_state);
	struct service *service = NULL;
	NTSTATUS status;

	if (!tevent_req_is_nterror(req, &status)) {
		service = talloc_move(mem_ctx, &state->service);
	}
	tevent_req_received(req);
	return service;
}

/* It has neither volumes nor portals. */
void service_reload(struct service *service, const struct config *config)
{
}
