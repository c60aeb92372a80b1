/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is done with a snapshot: put it back, show it as a disk. */
#include <errno.h>
#include <string.h>

#include "server/model/private.h"

static struct snapshot_entry *snapshot_of(const struct model_snapshot *s)
{
	return (struct snapshot_entry *)(void *)(uintptr_t)s;
}

/* ---- rollback (MS-ISTM 3.36.4.14, .15; 3.42.4.2)
 * ----------------------------- */

static void disk_status_event(struct disk_entry *disk)
{
	struct GUID guid = disk->d.guid;

	model_emit(disk->model,
		   &(struct model_event){
			   .type = MODEL_EVENT_LUN_STATUS,
			   .guid = &guid,
			   .disk = disk->d.index,
			   .percent = disk->percent,
			   .completion = HRES_ERROR_V(disk->completion),
		   });
}

static void rollback_progress(unsigned percent, void *private_data)
{
	struct snapshot_entry *entry =
		talloc_get_type_abort(private_data, struct snapshot_entry);

	if (entry->disk != NULL && percent <= 100 &&
	    entry->disk->percent != percent) {
		entry->disk->percent = percent;
		disk_status_event(entry->disk);
	}
}

static void rollback_end(struct snapshot_entry *entry, HRESULT hr)
{
	struct disk_entry *disk = entry->disk;
	struct GUID_txt_buf buf;

	entry->working = NULL;
	entry->s.status &= ~MODEL_SNAPSHOT_ROLLBACK;
	disk->reverting = NULL;
	disk->completion = hr;
	if (!ISTM_FAILED(hr)) {
		disk->percent = 100;
	}
	log_msg(ISTM_FAILED(hr) ? LOG_WARNING : LOG_INFO,
		"disk %u: put back to snapshot %s: %s [0x%08x]",
		(unsigned)disk->d.index, GUID_buf_string(&entry->s.id, &buf),
		ISTM_FAILED(hr) ? "failed, its content is undefined" : "done",
		(unsigned)HRES_ERROR_V(hr));
	disk_publish_targets(disk);
	disk_status_event(disk);
}

static void rollback_done(struct tevent_req *subreq)
{
	struct snapshot_entry *entry =
		tevent_req_callback_data(subreq, struct snapshot_entry);
	HRESULT hr = entry->model->provider->rollback_recv(subreq);

	TALLOC_FREE(subreq);
	rollback_end(entry, hr);
}

HRESULT model_snapshot_rollback(struct model *model, struct model_snapshot *s)
{
	struct snapshot_entry *entry = snapshot_of(s);
	struct disk_entry *disk = entry->disk;

	if (disk == NULL || entry->state != SNAPSHOT_TAKEN) {
		return model_refuse(ISTM_FILE_NOT_FOUND,
				    "rollback: the original or the snapshot "
				    "is not there");
	}
	if (disk->reverting == entry) {
		return ISTM_IO_PENDING;
	}
	if (disk->reverting != NULL ||
	    (s->status & MODEL_SNAPSHOT_MOUNTED) != 0 ||
	    (disk->lu != NULL && iscsi_lu_in_use(disk->lu))) {
		return model_refuse(ISTM_SHARING_VIOLATION,
				    "rollback: disk %u is in use",
				    (unsigned)disk->d.index);
	}
	if (!disk->d.enabled) {
		return model_refuse(ISTM_INVALID_HANDLE,
				    "rollback: disk %u is disabled",
				    (unsigned)disk->d.index);
	}
	if (model->provider == NULL) {
		return ISTM_VSS_NOT_SUPPORTED;
	}
	/* No initiator may come while its content changes. */
	disk->reverting = entry;
	disk->percent = 0;
	disk_publish_targets(disk);
	entry->working = model->provider->rollback_send(
		entry, model->ev, model->provider_data, &disk->d, &s->id,
		rollback_progress, entry);
	if (entry->working == NULL) {
		disk->reverting = NULL;
		disk_publish_targets(disk);
		return ISTM_OUT_OF_MEMORY;
	}
	s->status |= MODEL_SNAPSHOT_ROLLBACK;
	tevent_req_set_callback(entry->working, rollback_done, entry);
	disk_status_event(disk);
	return ISTM_S_OK;
}

HRESULT model_snapshot_abort_rollback(struct model *model,
				      struct model_snapshot *s)
{
	struct snapshot_entry *entry = snapshot_of(s);

	if (entry->disk == NULL) {
		return model_refuse(ISTM_INVALID_ARG,
				    "abort of a rollback: the disk is gone");
	}
	if (entry->disk->reverting != entry) {
		return ISTM_S_OK;
	}
	TALLOC_FREE(entry->working);
	rollback_end(entry, ISTM_ABORT);
	return ISTM_S_OK;
}

/* ---- export (MS-ISTM 3.36.4.16)
 * ------------------------------------------------ */

struct snapshot_export_state {
	struct model *model;
	struct GUID id;
	uint32_t index;
};

static int snapshot_export_destructor(struct snapshot_export_state *state)
{
	struct model_snapshot *s =
		model_snapshot_by_id(state->model, &state->id);

	if (s != NULL) {
		snapshot_of(s)->exporting = false;
	}
	return 0;
}

static void snapshot_export_opened(struct tevent_req *subreq);

struct tevent_req *model_snapshot_export_send(TALLOC_CTX *mem_ctx,
					      struct model *model,
					      const struct GUID *id)
{
	struct model_snapshot *s = model_snapshot_by_id(model, id);
	struct snapshot_entry *entry = s == NULL ? NULL : snapshot_of(s);
	struct snapshot_export_state *state;
	struct tevent_req *req, *subreq;
	HRESULT hr = ISTM_S_OK;

	if (s == NULL || entry->disk == NULL || entry->deleting ||
	    entry->state != SNAPSHOT_TAKEN) {
		hr = ISTM_FILE_NOT_FOUND;
	} else if (s->exported) {
		hr = ISTM_ABORT;
	} else if (entry->exporting) {
		hr = ISTM_BUSY;
	} else if (model->provider == NULL) {
		hr = ISTM_VSS_NOT_SUPPORTED;
	}
	if (ISTM_FAILED(hr)) {
		return model_req_failed(mem_ctx, model,
					model_refuse(hr, "export of a "
							 "snapshot"));
	}
	req = tevent_req_create(mem_ctx, &state, struct snapshot_export_state);
	if (req == NULL) {
		return NULL;
	}
	state->model = model;
	state->id = *id;
	entry->exporting = true;
	talloc_set_destructor(state, snapshot_export_destructor);
	subreq = model->provider->open_send(
		state, model->ev, model->provider_data, &entry->disk->d, id);
	if (tevent_req_nomem(subreq, req)) {
		return tevent_req_post(req, model->ev);
	}
	tevent_req_set_callback(subreq, snapshot_export_opened, req);
	return req;
}

/* The disk that shows the snapshot. Its path is the original's, under which it
 * is not to be found. */
static struct disk_entry *snapshot_export_disk(struct snapshot_entry *entry,
					       struct vhd_disk *vhd)
{
	struct model *model = entry->model;
	uint32_t index = index_set_lowest_free(&model->indices);
	struct GUID guid = GUID_random();
	struct disk_entry *disk;
	struct vhd_info info;

	if (index >= INDEX_SET_SIZE) {
		return NULL;
	}
	disk = disk_create(model, &guid, index, MODEL_DISK_FILE);
	if (disk == NULL) {
		return NULL;
	}
	vhd_disk_info(vhd, &info);
	disk->vhd = talloc_steal(disk, vhd);
	disk->d.size = info.size;
	disk->d.vhd_type = info.type;
	disk->d.flags = 1 | 2; /* WTFlagShadowLun, 3.1.1.4 */
	disk->d.persistent = false;
	disk->d.path = talloc_strdup(disk, entry->disk->d.path);
	if (disk->d.path == NULL || disk_publish(disk) != 0) {
		talloc_free(disk);
		return NULL;
	}
	return disk;
}

static void snapshot_export_opened(struct tevent_req *subreq)
{
	struct tevent_req *req =
		tevent_req_callback_data(subreq, struct tevent_req);
	struct snapshot_export_state *state =
		tevent_req_data(req, struct snapshot_export_state);
	struct model *model = state->model;
	struct model_snapshot *s = model_snapshot_by_id(model, &state->id);
	struct vhd_disk *vhd = NULL;
	HRESULT hr = model->provider->open_recv(subreq, state, &vhd);
	struct disk_entry *disk;

	TALLOC_FREE(subreq);
	if (!ISTM_FAILED(hr) && (s == NULL || snapshot_of(s)->disk == NULL)) {
		hr = ISTM_FILE_NOT_FOUND;
	}
	if (ISTM_FAILED(hr)) {
		if (vhd != NULL) {
			vhd_close(vhd);
		}
		tevent_req_error(req, HRES_ERROR_V(hr));
		return;
	}
	disk = snapshot_export_disk(snapshot_of(s), vhd);
	if (disk == NULL) {
		tevent_req_oom(req);
		return;
	}
	disk->shadow_of = snapshot_of(s);
	s->exported = true;
	s->exported_disk = state->index = disk->d.index;
	s->status |= MODEL_SNAPSHOT_EXPORTED;
	s->time_stamp = filetime_now(); /* the text has it so */
	log_msg(LOG_INFO, "disk %u: shows a snapshot of disk %u",
		(unsigned)disk->d.index, (unsigned)s->disk);
	model_emit_disk(model, MODEL_EVENT_DISK_ADDED, &disk->d);
	model_emit_luns(model);
	tevent_req_done(req);
}

HRESULT model_snapshot_export_recv(struct tevent_req *req, uint32_t *disk)
{
	HRESULT hr = model_req_recv(req);

	*disk = 0;
	if (!ISTM_FAILED(hr)) {
		struct snapshot_export_state *state =
			tevent_req_data(req, struct snapshot_export_state);

		*disk = state->index;
	}
	return hr;
}

void snapshot_unexport(struct disk_entry *disk)
{
	struct snapshot_entry *entry = disk->shadow_of;

	if (entry != NULL) {
		entry->s.exported = false;
		entry->s.exported_disk = 0;
		entry->s.status &= ~MODEL_SNAPSHOT_EXPORTED;
		disk->shadow_of = NULL;
	}
}
