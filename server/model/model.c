/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Start and end of the model, and what it hears from the target engine. */
#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "server/model/private.h"
#include "vhd/vhd.h"

/* Disks that are opened at the same time at the start. */
#define START_PARALLEL 32
#define JOB_THREADS    4

struct model_start_state {
	struct model *model;
	const struct model_options *options;
	struct loaded *loaded;
	struct list_head *next; /* disk to be opened next */
	unsigned opening;
	bool shadows; /* what shows snapshots comes last */
};

/* ---- from the engine ---- */

static void engine_login(const struct iscsi_login_event *event,
			 void *private_data)
{
	struct model *model = private_data;
	struct model_target *target;

	initiator_seen(model, event->initiator_name);
	if (!event->accepted || event->discovery) {
		return;
	}
	target = model_target_by_iqn(model, event->target_name);
	if (target != NULL) {
		target->last_login = filetime_now(); /* 3.21.4.12 */
	}
}

static void engine_session_changed(struct iscsi_tgt *tgt, void *private_data)
{
	struct model *model = private_data;
	struct target_entry *entry =
		tgt == NULL ? NULL : iscsi_tgt_private(tgt);
	struct list_head *pos;

	if (entry == NULL) {
		model_emit(model,
			   &(struct model_event){.type = MODEL_EVENT_SESSIONS});
		return;
	}
	model_emit_target(model, MODEL_EVENT_SESSIONS, &entry->t);
	list_for_each (pos, &entry->mappings) {
		disk_tell_new_status(
			list_entry(pos, struct mapping, link_target)->disk);
	}
	/* "A target starts, stops using a LUN", 3.42.4.1 */
	if (entry->t.num_mappings > 0) {
		model_emit_luns(model);
	}
}

static const struct iscsi_server_ops engine_ops = {
	.login = engine_login,
	.session_changed = engine_session_changed,
	.lu_store = unit_state_store,
};

int model_sessions(struct model *model, const struct model_target *only,
		   TALLOC_CTX *mem_ctx, struct iscsi_session_info **sessions,
		   size_t *num)
{
	struct iscsi_tgt *tgt = NULL;

	*sessions = NULL;
	*num = 0;
	if (only != NULL) {
		tgt = target_entry(only)->engine;
		if (tgt == NULL) {
			return 0;
		}
	}
	return iscsi_sessions(model->engine, tgt, mem_ctx, sessions, num);
}

HRESULT model_session_by_tsih(struct model *model, uint16_t tsih,
			      TALLOC_CTX *mem_ctx,
			      struct iscsi_session_info **session)
{
	switch (iscsi_session_by_tsih(model->engine, tsih, mem_ctx, session)) {
	case 0:
		return ISTM_S_OK;
	case ENOENT:
		return ISTM_FILE_NOT_FOUND;
	default:
		return ISTM_OUT_OF_MEMORY;
	}
}

/* ---- end ---- */

static int model_destructor(struct model *model)
{
	model->starting = true; /* no events any more */
	portals_stop(model);
	while (!list_empty(&model->targets)) {
		talloc_free(list_entry(model->targets.next, struct target_entry,
				       link));
	}
	while (!list_empty(&model->snapshots)) {
		talloc_free(list_entry(model->snapshots.next,
				       struct snapshot_entry, link));
	}
	/* The lanes stop before the disks that they use are closed. */
	TALLOC_FREE(model->engine);
	while (!list_empty(&model->disks)) {
		talloc_free(
			list_entry(model->disks.next, struct disk_entry, link));
	}
	TALLOC_FREE(model->store);
	TALLOC_FREE(model->jobs);
	return 0;
}

/* ---- start ---- */

static char *host_name(TALLOC_CTX *mem_ctx)
{
	char name[256] = "localhost";

	gethostname(name, sizeof(name) - 1);
	name[strcspn(name, ".")] = '\0';
	return talloc_strdup(mem_ctx, name);
}

static struct model *model_create(TALLOC_CTX *mem_ctx,
				  struct tevent_context *ev,
				  const struct model_options *options)
{
	struct model *model = talloc_zero(mem_ctx, struct model);

	if (model == NULL) {
		return NULL;
	}
	model->ev = ev;
	model->starting = true;
	model->netlink_fd = -1;
	model->max_luns = options->max_luns != 0 ? options->max_luns
						 : MODEL_MAX_LUN_DEFAULT;
	if (model->max_luns > MODEL_MAX_LUN_LIMIT) {
		model->max_luns = MODEL_MAX_LUN_LIMIT;
	}
	model->direct_io = options->direct_io;
	model->write_through = options->write_through;
	memcpy(model->thresholds, options->thresholds,
	       sizeof(model->thresholds));
	model->max_disk_size = options->max_disk_size;
	model->vhdx_sector = options->vhdx_sector;
	model_set_snapshot_provider(model, options->providers.snapshots,
				    options->providers.snapshots_data);
	model_set_mount_provider(model, options->providers.mounts,
				 options->providers.mounts_data);
	model_set_cluster_provider(model, options->providers.cluster,
				   options->providers.cluster_data);
	list_init(&model->targets);
	list_init(&model->disks);
	list_init(&model->subscribers);
	list_init(&model->portals);
	list_init(&model->initiators);
	list_init(&model->sns_servers);
	list_init(&model->snapshots);
	list_init(&model->volume_ids);
	hash_init(&model->targets_by_guid, model);
	hash_init(&model->targets_by_name, model);
	hash_init(&model->targets_by_iqn, model);
	hash_init(&model->disks_by_guid, model);
	hash_init(&model->disks_by_index, model);
	hash_init(&model->disks_by_path, model);
	hash_init(&model->disks_by_file, model);
	hash_init(&model->mappings, model);
	hash_init(&model->portals_by_address, model);
	hash_init(&model->initiators_by_iqn, model);
	hash_init(&model->snapshots_by_id, model);
	hash_init(&model->unit_states, model);
	model->host = host_name(model);
	model->service_guid = GUID_random();
	model->service_name = talloc_strdup(model, model->host);
	model->jobs = job_pool_create(model, ev, JOB_THREADS);
	if (model->host == NULL || model->service_name == NULL ||
	    model->jobs == NULL || !index_set_init(&model->indices, model) ||
	    !dns_name_start(model, options->dns_name)) {
		talloc_free(model);
		return NULL;
	}
	talloc_set_destructor(model, model_destructor);
	return model;
}

/* Every disk is a descriptor. */
static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 &&
	    limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static void start_committed(struct tevent_req *subreq);
static void start_open_disks(struct tevent_req *req);

static bool start_load(struct model_start_state *state)
{
	struct model *model = state->model;
	int error;

	state->loaded = talloc_zero(state, struct loaded);
	if (state->loaded == NULL || volumes_open(model, state->options) != 0) {
		return false;
	}
	error = store_open(model, model->ev, state->options->store_path,
			   model_load_record, state->loaded, &model->store);
	if (error != 0) {
		return false;
	}
	if (state->loaded->refused > 0) {
		log_msg(LOG_ERROR,
			"%s: %u records cannot be read; nothing was changed. "
			"Restore it from a backup, or take the records out "
			"with tdbtool",
			state->options->store_path, state->loaded->refused);
		return false;
	}
	return true;
}

/* The target engine, with its portal groups. @return false, having logged why
 */
static bool start_engine(struct model_start_state *state)
{
	const struct model_options *options = state->options;
	struct model *model = state->model;
	struct iscsi_server_config config = {
		.lanes = options->lanes,
		.spin = options->lane_spin,
		.max_connections = options->session_connections,
		.buffers = options->buffers,
		.discovery_chap = options->discovery_chap,
		.ops = &engine_ops,
		.debug_level = options->debug_level,
		.log = log_from_thread,
		.private_data = model,
	};
	struct portal_groups *groups;

	if (!redirects_configured(state, options, &config)) {
		return false;
	}
	model->engine = iscsi_server_create(model, model->ev, &config);
	if (model->engine == NULL) {
		log_msg(LOG_ERROR, "target engine: %s", strerror(errno));
		return false;
	}
	/* Before disks are opened, so that nobody sees them otherwise. */
	groups = portal_groups_parse(state, options);
	if (groups == NULL) {
		return false;
	}
	portal_groups_apply(model, groups);
	return true;
}

struct tevent_req *model_start_send(TALLOC_CTX *mem_ctx,
				    struct tevent_context *ev,
				    const struct model_options *options)
{
	struct model_start_state *state;
	struct tevent_req *req =
		tevent_req_create(mem_ctx, &state, struct model_start_state);
	struct change_list changes = {NULL, 0};
	struct tevent_req *subreq;
	struct model *model;

	if (req == NULL) {
		return NULL;
	}
	state->options = options;
	raise_descriptor_limit();
	model = state->model = model_create(state, ev, options);
	if (tevent_req_nomem(model, req)) {
		return tevent_req_post(req, ev);
	}
	if (!start_load(state)) {
		tevent_req_error(req, HRES_ERROR_V(ISTM_NOT_READY));
		return tevent_req_post(req, ev);
	}
	if (!log_threads_start(model, ev)) {
		tevent_req_oom(req);
		return tevent_req_post(req, ev);
	}
	vhd_set_log(log_from_thread);
	if (!start_engine(state) || !model_load_objects(model, state->loaded) ||
	    !volumes_identify(state, model, &changes) ||
	    (!model->service_saved &&
	     !service_record(state, model, &changes))) {
		tevent_req_error(req, HRES_ERROR_V(ISTM_NOT_READY));
		return tevent_req_post(req, ev);
	}
	subreq = store_commit_send(state, ev, model->store, changes.changes,
				   changes.num);
	if (tevent_req_nomem(subreq, req)) {
		return tevent_req_post(req, ev);
	}
	tevent_req_set_callback(subreq, start_committed, req);
	return req;
}

static void start_committed(struct tevent_req *subreq)
{
	struct tevent_req *req =
		tevent_req_callback_data(subreq, struct tevent_req);
	struct model_start_state *state =
		tevent_req_data(req, struct model_start_state);
	int error = store_commit_recv(subreq);

	TALLOC_FREE(subreq);
	if (error != 0) {
		tevent_req_error(req, HRES_ERROR_V(hresult_from_errno(error)));
		return;
	}
	state->next = state->model->disks.next;
	start_open_disks(req);
}

struct disk_start {
	struct tevent_req *req;
	struct disk_entry *entry;
};

static void start_finish(struct tevent_req *req)
{
	struct model_start_state *state =
		tevent_req_data(req, struct model_start_state);
	struct model *model = state->model;
	struct list_head *pos;

	model_load_targets(model, state->loaded);
	TALLOC_FREE(state->loaded);
	model->starting = false;
	list_for_each (pos, &model->targets) {
		target_publish(list_entry(pos, struct target_entry, link));
	}
	if (portals_start(model, state->options) != 0) {
		tevent_req_error(req, HRES_ERROR_V(ISTM_NOT_READY));
		return;
	}
	log_msg(LOG_INFO, "model: %zu targets, %zu disks",
		model->targets_by_guid.count, model->disks_by_guid.count);
	tevent_req_done(req);
}

static void start_disk_opened(struct tevent_req *subreq)
{
	struct disk_start *start =
		tevent_req_callback_data(subreq, struct disk_start);
	struct tevent_req *req = start->req;
	struct model_start_state *state =
		tevent_req_data(req, struct model_start_state);
	HRESULT hr = disk_open_recv(subreq);

	TALLOC_FREE(subreq);
	/* One that cannot be opened stays in the model, unusable: it may be
	 * back at the next start, and nothing that refers to it is lost. */
	if (!ISTM_FAILED(hr)) {
		disk_publish(start->entry);
	}
	talloc_free(start);
	state->opening--;
	start_open_disks(req);
}

static void start_open_disks(struct tevent_req *req)
{
	struct model_start_state *state =
		tevent_req_data(req, struct model_start_state);
	struct model *model = state->model;

	while (state->next != &model->disks &&
	       state->opening < START_PARALLEL) {
		struct disk_entry *entry =
			list_entry(state->next, struct disk_entry, link);
		struct disk_start *start;
		struct tevent_req *subreq;

		state->next = state->next->next;
		if (disk_is_shadow(entry) != state->shadows) {
			continue;
		}
		start = talloc(state, struct disk_start);
		if (tevent_req_nomem(start, req)) {
			return;
		}
		start->req = req;
		start->entry = entry;
		subreq = disk_open_send(start, model, start->entry);
		if (tevent_req_nomem(subreq, req)) {
			return;
		}
		tevent_req_set_callback(subreq, start_disk_opened, start);
		state->opening++;
	}
	if (state->opening > 0 || state->next != &model->disks) {
		return;
	}
	if (!state->shadows) {
		state->shadows = true;
		state->next = model->disks.next;
		start_open_disks(req);
		return;
	}
	start_finish(req);
}

HRESULT model_start_recv(struct tevent_req *req, TALLOC_CTX *mem_ctx,
			 struct model **model)
{
	struct model_start_state *state =
		tevent_req_data(req, struct model_start_state);
	HRESULT hr = model_req_recv(req);

	*model = ISTM_FAILED(hr) ? NULL : talloc_steal(mem_ctx, state->model);
	return hr;
}
