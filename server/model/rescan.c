/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Disks whose file was not there at the start: tried again when asked to. */
#include "server/model/private.h"

/* Lives on the model: the files are opened although the client has left. */
struct rescan {
	struct model *model;
	struct tevent_req *req; /* NULL: nobody waits any more */
	unsigned opening;
	bool shadows; /* what shows snapshots comes last */
};

static void rescan_open(struct rescan *rescan);

struct rescan_state {
	struct rescan *rescan; /* NULL: done */
};

struct rescan_disk {
	struct rescan *rescan;
	struct GUID guid;
};

static int rescan_state_destructor(struct rescan_state *state)
{
	if (state->rescan != NULL) {
		state->rescan->req = NULL;
	}
	return 0;
}

static int rescan_destructor(struct rescan *rescan)
{
	struct rescan_state *state;

	if (rescan->req != NULL) {
		state = tevent_req_data(rescan->req, struct rescan_state);
		state->rescan = NULL;
	}
	return 0;
}

static void rescan_opened(struct tevent_req *subreq)
{
	struct rescan_disk *one =
		tevent_req_callback_data(subreq, struct rescan_disk);
	struct rescan *rescan = one->rescan;
	struct model *model = rescan->model;
	struct model_disk *disk = model_disk_by_guid(model, &one->guid);
	HRESULT hr = disk_open_recv(subreq);
	struct tevent_req *req;

	TALLOC_FREE(subreq);
	if (disk != NULL) {
		disk_entry(disk)->opening = false;
	}
	if (disk != NULL && !ISTM_FAILED(hr) &&
	    disk_publish(disk_entry(disk)) == 0) {
		log_msg(LOG_INFO, "disk %u: is there again (%s)",
			(unsigned)disk->index, disk->path);
		disk_publish_targets(disk_entry(disk));
		model_emit_disk(model, MODEL_EVENT_DISK_CHANGED, disk);
		model_emit_luns(model);
	}
	talloc_free(one);
	if (--rescan->opening == 0 && !rescan->shadows) {
		rescan->shadows = true;
		rescan_open(rescan);
	}
	if (rescan->opening > 0) {
		return;
	}
	req = rescan->req;
	talloc_free(rescan);
	model_req_end(req, ISTM_S_OK);
}

/* Open what is closed: originals, or in the second pass what shows them. */
static void rescan_open(struct rescan *rescan)
{
	struct model *model = rescan->model;
	struct list_head *pos;

	list_for_each (pos, &model->disks) {
		struct disk_entry *entry =
			list_entry(pos, struct disk_entry, link);
		struct rescan_disk *one;
		struct tevent_req *subreq;

		if (entry->vhd != NULL || entry->pending || entry->opening ||
		    entry->d.deleting ||
		    disk_is_shadow(entry) != rescan->shadows) {
			continue;
		}
		one = talloc_zero(rescan, struct rescan_disk);
		subreq = one == NULL ? NULL : disk_open_send(one, model, entry);
		if (subreq == NULL) {
			talloc_free(one);
			continue;
		}
		one->rescan = rescan;
		one->guid = entry->d.guid;
		entry->opening = true;
		rescan->opening++;
		tevent_req_set_callback(subreq, rescan_opened, one);
	}
}

struct tevent_req *model_rescan_send(TALLOC_CTX *mem_ctx, struct model *model)
{
	struct rescan *rescan = talloc_zero(model, struct rescan);
	struct rescan_state *state;
	struct tevent_req *req =
		tevent_req_create(mem_ctx, &state, struct rescan_state);

	if (rescan == NULL || req == NULL) {
		talloc_free(rescan);
		talloc_free(req);
		return NULL;
	}
	rescan->model = model;
	rescan_open(rescan);
	if (rescan->opening == 0) {
		rescan->shadows = true;
		rescan_open(rescan);
	}
	if (rescan->opening == 0) {
		talloc_free(rescan);
		tevent_req_done(req);
		return tevent_req_post(req, model->ev);
	}
	rescan->req = req;
	state->rescan = rescan;
	talloc_set_destructor(state, rescan_state_destructor);
	talloc_set_destructor(rescan, rescan_destructor);
	return req;
}

HRESULT model_rescan_recv(struct tevent_req *req)
{
	return model_req_recv(req);
}
