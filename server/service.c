/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <util/tevent_ntstatus.h>

#include "gen_ndr/com_istm.h"
#include "server/config.h"
#include "server/core/log.h"
#include "server/dcom/dcom.h"
#include "server/istm/istm.h"
#include "server/model/model.h"
#include "server/providers.h"
#include "server/service.h"

struct service {
	struct dcom_runtime *runtime;
	struct model *model;
};

struct start_state {
	struct tevent_context *ev;
	struct dcom_options dcom;
	struct model_options options;
	struct service *service;
};

static void model_started(struct tevent_req *subreq);

/* Objects refer to the model: they go first. */
static int service_destructor(struct service *service)
{
	TALLOC_FREE(service->runtime);
	TALLOC_FREE(service->model);
	return 0;
}

static bool fill_model_options(TALLOC_CTX *mem_ctx, struct model_options *o,
			       const struct config *config)
{
	o->store_path = talloc_asprintf(mem_ctx, "%s/istm.tdb",
					config->state_directory);
	o->volumes = talloc_zero_array(mem_ctx, struct model_volume_config,
				       config->num_volumes);
	o->portal_groups =
		talloc_zero_array(mem_ctx, struct model_portal_group_config,
				  config->num_portal_groups);
	if (o->store_path == NULL || o->volumes == NULL ||
	    o->portal_groups == NULL) {
		return false;
	}
	for (size_t i = 0; i < config->num_volumes; i++) {
		o->volumes[i].letter = config->volumes[i].letter;
		o->volumes[i].path = config->volumes[i].path;
	}
	o->num_volumes = config->num_volumes;
	for (size_t i = 0; i < 26; i++) {
		o->thresholds[i].bytes = config->thresholds[i].bytes;
		o->thresholds[i].percent = config->thresholds[i].percent;
	}
	for (size_t i = 0; i < config->num_portal_groups; i++) {
		o->portal_groups[i].tag = config->portal_groups[i].tag;
		o->portal_groups[i].networks =
			config->portal_groups[i].networks;
		o->portal_groups[i].access = config->portal_groups[i].access;
	}
	o->num_portal_groups = config->num_portal_groups;
	o->lanes = config->lanes;
	o->direct_io = config->direct_io;
	o->write_through = config->write_through;
	o->portals = config->portals;
	o->max_luns = config->max_luns;
	o->max_disk_size = config->max_disk_size;
	o->vhdx_sector = config->vhdx_sector;
	o->dns_name = config->dns_name;
	o->redirect = config->redirect;
	o->redirect_permanently = config->redirect_permanently;
	o->lane_spin = config->lane_spin;
	o->session_connections = config->session_connections;
	o->buffers = config->buffers;
	o->discovery_chap = config->discovery_chap;
	o->debug_level = log_level();
	return true;
}

static const char *check_model(void *check_data, TALLOC_CTX *mem_ctx)
{
	struct service *service = check_data;

	return model_check(service->model, mem_ctx);
}

struct tevent_req *service_start_send(TALLOC_CTX *mem_ctx,
				      struct tevent_context *ev,
				      const struct config *config,
				      const struct dcom_options *dcom)
{
	struct tevent_req *req, *subreq;
	struct start_state *state;

	req = tevent_req_create(mem_ctx, &state, struct start_state);
	if (req == NULL) {
		return NULL;
	}
	state->ev = ev;
	state->dcom = *dcom;
	state->dcom.interfaces = com_istm_interfaces;
	state->dcom.audited = istm_method_is_audited;
	state->service = talloc_zero(state, struct service);
	if (tevent_req_nomem(state->service, req)) {
		return tevent_req_post(req, ev);
	}
	talloc_set_destructor(state->service, service_destructor);
	if (config->self_check) {
		log_msg(LOG_INFO, "self check after each call");
		state->dcom.check = check_model;
		state->dcom.check_data = state->service;
	}
	if (!fill_model_options(state, &state->options, config)) {
		tevent_req_oom(req);
		return tevent_req_post(req, ev);
	}
	if (!service_providers(state->service, ev, &state->options)) {
		tevent_req_nterror(req, NT_STATUS_UNSUCCESSFUL);
		return tevent_req_post(req, ev);
	}
	subreq = model_start_send(state, ev, &state->options);
	if (tevent_req_nomem(subreq, req)) {
		return tevent_req_post(req, ev);
	}
	tevent_req_set_callback(subreq, model_started, req);
	return req;
}

static void model_started(struct tevent_req *subreq)
{
	struct tevent_req *req =
		tevent_req_callback_data(subreq, struct tevent_req);
	struct start_state *state = tevent_req_data(req, struct start_state);
	struct service *service = state->service;
	NTSTATUS status;
	HRESULT hr;

	hr = model_start_recv(subreq, service, &service->model);
	TALLOC_FREE(subreq);
	if (ISTM_FAILED(hr)) {
		tevent_req_nterror(req, NT_STATUS_UNSUCCESSFUL);
		return;
	}
	service->runtime =
		dcom_runtime_create(service, state->ev, &state->dcom);
	if (tevent_req_nomem(service->runtime, req)) {
		return;
	}
	hr = istm_register(service->runtime, service->model);
	if (ISTM_FAILED(hr)) {
		log_msg(LOG_ERROR, "the classes cannot be registered: 0x%08x",
			HRES_ERROR_V(hr));
		tevent_req_nterror(req, NT_STATUS_UNSUCCESSFUL);
		return;
	}
	status = dcom_runtime_start(service->runtime);
	if (tevent_req_nterror(req, status)) {
		return;
	}
	tevent_req_done(req);
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

/* What it had to do it has done or logged. */
static void reloaded(struct tevent_req *req)
{
	model_reload_recv(req);
	talloc_free(req);
}

void service_reload(struct service *service, const struct config *config)
{
	struct model_options options = {0};
	TALLOC_CTX *tmp = talloc_new(service);
	struct tevent_req *req = NULL;

	if (fill_model_options(tmp, &options, config)) {
		req = model_reload_send(service, service->model, &options);
	}
	if (req == NULL) {
		log_msg(LOG_ERROR, "volumes and portals stay: out of memory");
	} else {
		tevent_req_set_callback(req, reloaded, NULL);
	}
	talloc_free(tmp);
}
