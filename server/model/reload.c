/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The configuration has been read again: volumes and portals follow it. */
#include <string.h>

#include "server/model/private.h"

struct reload_state {
	struct model *model;
};

static void reload_committed(struct tevent_req *subreq);
static void reload_rescanned(struct tevent_req *subreq);

/* Disks of a volume that was not there belong to it now. */
static void find_volumes(struct model *model)
{
	struct list_head *pos;

	list_for_each (pos, &model->disks) {
		struct disk_entry *disk =
			list_entry(pos, struct disk_entry, link);
		struct location *location = NULL;

		/* One that is still open may be another file by now. */
		if (disk->d.type != MODEL_DISK_FILE || disk->volume != NULL ||
		    disk->vhd != NULL || disk->pending ||
		    ISTM_FAILED(location_find(disk, model, disk->d.path,
					      &location))) {
			continue;
		}
		disk_set_path(disk, disk->d.path, location->volume);
		talloc_free(location);
	}
}

struct tevent_req *model_reload_send(TALLOC_CTX *mem_ctx, struct model *model,
				     const struct model_options *options)
{
	struct change_list changes = {NULL, 0};
	struct reload_state *state;
	struct tevent_req *req =
		tevent_req_create(mem_ctx, &state, struct reload_state);
	struct tevent_req *subreq;

	if (req == NULL) {
		return NULL;
	}
	state->model = model;
	if (portals_reload(model, options) != 0) {
		tevent_req_error(req, HRES_ERROR_V(ISTM_INVALID_ARG));
		return tevent_req_post(req, model->ev);
	}
	if (!volumes_reload(model, options)) {
		tevent_req_done(req);
		return tevent_req_post(req, model->ev);
	}
	if (!volumes_identify(state, model, &changes)) {
		tevent_req_oom(req);
		return tevent_req_post(req, model->ev);
	}
	find_volumes(model);
	subreq = store_commit_send(state, model->ev, model->store,
				   changes.changes, changes.num);
	if (tevent_req_nomem(subreq, req)) {
		return tevent_req_post(req, model->ev);
	}
	tevent_req_set_callback(subreq, reload_committed, req);
	return req;
}

static void reload_committed(struct tevent_req *subreq)
{
	struct tevent_req *req =
		tevent_req_callback_data(subreq, struct tevent_req);
	struct reload_state *state = tevent_req_data(req, struct reload_state);
	int error = store_commit_recv(subreq);

	TALLOC_FREE(subreq);
	if (error != 0) {
		/* They have GUIDs now and will have others after a restart. */
		log_msg(LOG_ERROR, "volumes: their GUIDs cannot be kept: %s",
			strerror(error));
	}
	subreq = model_rescan_send(state, state->model);
	if (tevent_req_nomem(subreq, req)) {
		return;
	}
	tevent_req_set_callback(subreq, reload_rescanned, req);
}

static void reload_rescanned(struct tevent_req *subreq)
{
	struct tevent_req *req =
		tevent_req_callback_data(subreq, struct tevent_req);

	model_rescan_recv(subreq);
	TALLOC_FREE(subreq);
	tevent_req_done(req);
}

HRESULT model_reload_recv(struct tevent_req *req)
{
	return model_req_recv(req);
}
