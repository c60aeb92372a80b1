/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Snapshots that go: deleted (MS-ISTM 3.38.4.6), or with their disk (3.46.4.4).
 */
#include <string.h>

#include "server/model/private.h"

struct snapshot_delete_state {
	struct model *model;
	struct GUID id;
};

/* Failed, or the client has left half way: it can be tried again. */
static int snapshot_delete_destructor(struct snapshot_delete_state *state)
{
	struct model_snapshot *s =
		model_snapshot_by_id(state->model, &state->id);

	if (s != NULL) {
		snapshot_entry(s)->deleting = false;
	}
	return 0;
}

static void snapshot_delete_failed(struct tevent_req *req, HRESULT hr,
				   const char *reason)
{
	const struct snapshot_delete_state *state =
		tevent_req_data(req, struct snapshot_delete_state);
	struct GUID_txt_buf buf;

	tevent_req_error(req,
			 HRES_ERROR_V(model_refuse(
				 hr, "snapshot %s: not deleted: %s",
				 GUID_buf_string(&state->id, &buf), reason)));
}

static void snapshot_delete_done(struct tevent_req *subreq);
static void snapshot_delete_released(struct tevent_req *subreq);
static void snapshot_delete_unexported(struct tevent_req *subreq);

static void snapshot_delete_release(struct tevent_req *req)
{
	struct snapshot_delete_state *state =
		tevent_req_data(req, struct snapshot_delete_state);
	struct model *model = state->model;
	struct model_snapshot *s = model_snapshot_by_id(model, &state->id);
	struct tevent_req *subreq;

	if (s == NULL) {
		tevent_req_done(req);
		return;
	}
	/* One that is being taken is given up. */
	TALLOC_FREE(snapshot_entry(s)->working);
	if (model->provider == NULL) {
		snapshot_delete_failed(req, ISTM_VSS_NOT_SUPPORTED,
				       "nothing here has snapshots");
		return;
	}
	subreq = model->provider->delete_send(
		state, model->ev, model->provider_data, &s->disk_guid, &s->id);
	if (subreq == NULL) {
		snapshot_delete_failed(req, ISTM_OUT_OF_MEMORY,
				       "out of memory");
		return;
	}
	tevent_req_set_callback(subreq, snapshot_delete_released, req);
}

static void snapshot_delete_unexported(struct tevent_req *subreq)
{
	struct tevent_req *req =
		tevent_req_callback_data(subreq, struct tevent_req);
	HRESULT hr = model_disk_delete_recv(subreq);

	TALLOC_FREE(subreq);
	if (ISTM_FAILED(hr)) {
		snapshot_delete_failed(req, hr, "the disk that shows it stays");
		return;
	}
	snapshot_delete_release(req);
}

static void snapshot_delete_released(struct tevent_req *subreq)
{
	struct tevent_req *req =
		tevent_req_callback_data(subreq, struct tevent_req);
	struct snapshot_delete_state *state =
		tevent_req_data(req, struct snapshot_delete_state);
	struct model *model = state->model;
	struct change_list changes = {NULL, 0};
	HRESULT hr = model->provider->delete_recv(subreq);

	TALLOC_FREE(subreq);
	if (ISTM_FAILED(hr)) {
		snapshot_delete_failed(req, hr, "its contents stay");
		return;
	}
	if (!change_add(state, &changes,
			record_key(state, ISTM_STATE_SNAPSHOT, &state->id),
			NULL)) {
		snapshot_delete_failed(req, ISTM_OUT_OF_MEMORY,
				       "out of memory");
		return;
	}
	subreq = store_commit_send(state, model->ev, model->store,
				   changes.changes, changes.num);
	if (subreq == NULL) {
		snapshot_delete_failed(req, ISTM_OUT_OF_MEMORY,
				       "out of memory");
		return;
	}
	tevent_req_set_callback(subreq, snapshot_delete_done, req);
}

static void snapshot_delete_done(struct tevent_req *subreq)
{
	struct tevent_req *req =
		tevent_req_callback_data(subreq, struct tevent_req);
	struct snapshot_delete_state *state =
		tevent_req_data(req, struct snapshot_delete_state);
	struct model_snapshot *s =
		model_snapshot_by_id(state->model, &state->id);
	int error = store_commit_recv(subreq);
	struct GUID_txt_buf buf;

	TALLOC_FREE(subreq);
	if (error != 0) {
		snapshot_delete_failed(req, hresult_from_errno(error),
				       "its record stays");
		return;
	}
	if (s != NULL) {
		struct snapshot_entry *entry = snapshot_entry(s);

		log_msg(LOG_INFO, "snapshot %s: deleted",
			GUID_buf_string(&state->id, &buf));
		snapshot_wake(entry, ISTM_FILE_NOT_FOUND);
		talloc_free(entry);
		model_emit(state->model, &(struct model_event){
						 .type = MODEL_EVENT_SNAPSHOTS,
						 .guid = &state->id,
					 });
	}
	tevent_req_done(req);
}

/* MS-ISTM 3.38.4.6 */
struct tevent_req *model_snapshot_delete_send(TALLOC_CTX *mem_ctx,
					      struct model *model,
					      const struct GUID *id)
{
	struct model_snapshot *s = model_snapshot_by_id(model, id);
	struct snapshot_delete_state *state;
	struct tevent_req *req, *subreq;
	struct GUID_txt_buf buf;

	if (s == NULL) {
		return model_req_failed(mem_ctx, model, ISTM_S_OK);
	}
	if ((s->status & (MODEL_SNAPSHOT_MOUNTED | MODEL_SNAPSHOT_ROLLBACK)) !=
		    0 ||
	    snapshot_entry(s)->exporting || snapshot_entry(s)->deleting ||
	    (snapshot_entry(s)->disk != NULL &&
	     snapshot_entry(s)->disk->mount_op != NULL)) {
		return model_req_failed(
			mem_ctx, model,
			model_refuse(ISTM_SHARING_VIOLATION,
				     "snapshot %s: in use",
				     GUID_buf_string(id, &buf)));
	}
	req = tevent_req_create(mem_ctx, &state, struct snapshot_delete_state);
	if (req == NULL) {
		return NULL;
	}
	state->model = model;
	state->id = *id;
	snapshot_entry(s)->deleting = true;
	talloc_set_destructor(state, snapshot_delete_destructor);
	if (s->exported) {
		/* ERROR_DRIVE_LOCKED where an initiator uses it */
		subreq = model_disk_delete_send(state, model, s->exported_disk);
		if (tevent_req_nomem(subreq, req)) {
			return tevent_req_post(req, model->ev);
		}
		tevent_req_set_callback(subreq, snapshot_delete_unexported,
					req);
		return req;
	}
	snapshot_delete_release(req);
	if (!tevent_req_is_in_progress(req)) {
		return tevent_req_post(req, model->ev);
	}
	return req;
}

HRESULT model_snapshot_delete_recv(struct tevent_req *req)
{
	return model_req_recv(req);
}

/* ---- when disks go ---- */

/* MS-ISTM 3.46.4.4, in its order */
HRESULT snapshots_check_delete(const struct disk_entry *disk)
{
	struct list_head *pos;

	if (disk->mount != MODEL_MOUNT_NONE || disk->mount_op != NULL) {
		return model_refuse(ISTM_SHARING_VIOLATION,
				    "disk %u: is mounted on this machine",
				    (unsigned)disk->d.index);
	}
	list_for_each (pos, &disk->snapshots) {
		struct snapshot_entry *entry =
			list_entry(pos, struct snapshot_entry, link_disk);

		if ((entry->s.status &
		     (MODEL_SNAPSHOT_MOUNTED | MODEL_SNAPSHOT_ROLLBACK)) != 0) {
			return model_refuse(ISTM_SHARING_VIOLATION,
					    "disk %u: a snapshot of it is "
					    "mounted or put back",
					    (unsigned)disk->d.index);
		}
	}
	list_for_each (pos, &disk->snapshots) {
		if (list_entry(pos, struct snapshot_entry, link_disk)
			    ->s.exported) {
			return model_refuse(ISTM_DEPENDENT_RESOURCE_EXISTS,
					    "disk %u: a snapshot of it is a "
					    "disk",
					    (unsigned)disk->d.index);
		}
	}
	return ISTM_S_OK;
}

bool snapshots_delete_records(TALLOC_CTX *mem_ctx, struct disk_entry *disk,
			      struct change_list *changes)
{
	struct list_head *pos;

	list_for_each (pos, &disk->snapshots) {
		struct snapshot_entry *entry =
			list_entry(pos, struct snapshot_entry, link_disk);

		if (!change_add(mem_ctx, changes,
				record_key(mem_ctx, ISTM_STATE_SNAPSHOT,
					   &entry->s.id),
				NULL)) {
			return false;
		}
	}
	return true;
}

/* The provider forgets in its own time; nobody waits for that. */
static void snapshot_forgotten(struct tevent_req *subreq)
{
	struct model *model = tevent_req_callback_data(subreq, struct model);

	model->provider->delete_recv(subreq);
	talloc_free(subreq);
}

void snapshots_disk_gone(struct disk_entry *disk)
{
	struct model *model = disk->model;

	while (!list_empty(&disk->snapshots)) {
		struct snapshot_entry *entry = list_entry(
			disk->snapshots.next, struct snapshot_entry, link_disk);
		struct tevent_req *subreq;

		/* Closed disks come back (CloseWTDisk), deleted ones do not. */
		if (disk->d.deleting && disk->forget_snapshots &&
		    model->provider != NULL) {
			subreq = model->provider->delete_send(
				model, model->ev, model->provider_data,
				&entry->s.disk_guid, &entry->s.id);
			if (subreq != NULL) {
				tevent_req_set_callback(
					subreq, snapshot_forgotten, model);
			}
		}
		snapshot_wake(entry, ISTM_FILE_NOT_FOUND);
		talloc_free(entry);
	}
}
