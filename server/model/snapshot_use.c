/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is done with a snapshot: put it back, show it as a disk. */
#include <errno.h>
#include <string.h>

#include "server/model/private.h"

/* ---- rollback (MS-ISTM 3.36.4.14, .15; 3.42.4.2) ---- */

static void rollback_progress(unsigned percent, void *private_data)
{
	struct snapshot_entry *entry =
		talloc_get_type_abort(private_data, struct snapshot_entry);

	if (entry->disk != NULL && percent <= 100 &&
	    entry->disk->percent != percent) {
		entry->disk->percent = percent;
		disk_tell_status(entry->disk);
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
	disk_tell_status(disk);
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
	struct snapshot_entry *entry = snapshot_entry(s);
	struct disk_entry *disk = entry->disk;

	if (disk == NULL || entry->state != SNAPSHOT_TAKEN) {
		return model_refuse(ISTM_FILE_NOT_FOUND,
				    "rollback: the original or the snapshot "
				    "is not there");
	}
	if (disk->reverting == entry) {
		return ISTM_IO_PENDING;
	}
	if (disk->reverting != NULL || disk->mount != MODEL_MOUNT_NONE ||
	    disk->mount_op != NULL ||
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
		return model_refuse(ISTM_VSS_NOT_SUPPORTED,
				    "rollback: nothing here has snapshots");
	}
	/* No initiator may come while its content changes. */
	disk->reverting = entry;
	disk->percent = 0;
	disk->completion = ISTM_S_OK; /* of the previous one */
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
	disk_tell_status(disk);
	return ISTM_S_OK;
}

void snapshot_stop_rollback(struct snapshot_entry *entry)
{
	TALLOC_FREE(entry->working);
	rollback_end(entry, ISTM_ABORT);
}

HRESULT model_snapshot_abort_rollback(struct model *model,
				      struct model_snapshot *s)
{
	struct snapshot_entry *entry = snapshot_entry(s);

	if (entry->disk == NULL) {
		return model_refuse(ISTM_INVALID_ARG,
				    "abort of a rollback: the disk is gone");
	}
	if (entry->disk->reverting != entry) {
		return ISTM_S_OK;
	}
	snapshot_stop_rollback(entry);
	return ISTM_S_OK;
}

/* ---- export (MS-ISTM 3.36.4.16, 3.48.4.2) ---- */
/* Goes on when the client has left: open, keep, show. */

struct snapshot_export_op {
	struct model *model;
	struct tevent_req *req; /* NULL: nobody waits any more */
	struct GUID id;
	struct disk_entry *disk; /* hidden until it is shown */
	char *path;		 /* NULL: the original's */
	struct volume *volume;
	const char *description, *resource_name;
	int64_t index;
	bool persistent;
};

struct snapshot_export_state {
	struct snapshot_export_op *op; /* NULL: done */
	uint32_t index;
};

static int snapshot_export_state_destructor(struct snapshot_export_state *state)
{
	if (state->op != NULL) {
		state->op->req = NULL;
	}
	return 0;
}

static int snapshot_export_op_destructor(struct snapshot_export_op *op)
{
	struct model_snapshot *s = model_snapshot_by_id(op->model, &op->id);

	if (s != NULL) {
		snapshot_entry(s)->exporting = false;
	}
	if (op->req != NULL) {
		(tevent_req_data(op->req, struct snapshot_export_state))->op =
			NULL;
	}
	return 0;
}

static void snapshot_export_done(struct snapshot_export_op *op, HRESULT hr)
{
	struct tevent_req *req = op->req;

	if (req != NULL && !ISTM_FAILED(hr)) {
		struct snapshot_export_state *state =
			tevent_req_data(req, struct snapshot_export_state);

		state->index = op->disk->d.index;
	}
	if (op->disk != NULL) {
		op->disk->op = NULL;
	}
	if (ISTM_FAILED(hr)) {
		TALLOC_FREE(op->disk);
	}
	talloc_free(op);
	model_req_end(req, hr);
}

struct disk_entry *snapshot_shadow(const struct snapshot_entry *entry)
{
	struct model_disk *disk =
		entry->s.exported ? model_disk_by_index(entry->model,
							entry->s.exported_disk)
				  : NULL;

	return disk == NULL || disk_entry(disk)->shadow_of != entry
		       ? NULL
		       : disk_entry(disk);
}

void snapshot_export_to(struct snapshot_entry *entry, struct disk_entry *disk)
{
	disk->shadow_of = entry;
	entry->s.exported = true;
	entry->s.exported_disk = disk->d.index;
	entry->s.status |= MODEL_SNAPSHOT_EXPORTED;
}

/* The last step: from now on everybody sees it. */
static void snapshot_export_show(struct snapshot_export_op *op)
{
	struct disk_entry *disk = op->disk;
	struct model *model = op->model;

	disk->pending = false;
	/* One that the engine does not take is there, and not usable. */
	disk_publish(disk);
	log_msg(LOG_INFO, "disk %u: shows a snapshot of disk %u",
		(unsigned)disk->d.index, (unsigned)disk->shadow_of->s.disk);
	snapshot_export_done(op, ISTM_S_OK);
	model_emit_disk(model, MODEL_EVENT_DISK_ADDED, &disk->d);
	model_emit_luns(model);
	snapshot_changed(disk->shadow_of);
}

static void snapshot_export_kept(struct tevent_req *subreq)
{
	struct snapshot_export_op *op =
		tevent_req_callback_data(subreq, struct snapshot_export_op);
	int error = store_commit_recv(subreq);

	TALLOC_FREE(subreq);
	if (error != 0) {
		snapshot_export_done(op, hresult_from_errno(error));
		return;
	}
	op->disk->d.saved = true;
	snapshot_export_show(op);
}

/* Both records in one transaction: the disk's and the snapshot's. */
static void snapshot_export_keep(struct snapshot_export_op *op)
{
	struct disk_entry *disk = op->disk;
	struct change_list changes = {NULL, 0};
	struct tevent_req *subreq = NULL;
	DATA_BLOB blob;

	if (record_of_disk(op, disk, &blob) &&
	    change_add(op, &changes,
		       record_key(op, ISTM_STATE_DISK, &disk->d.guid), &blob) &&
	    snapshot_record(op, disk->shadow_of, disk, &changes)) {
		subreq = store_commit_send(op, op->model->ev, op->model->store,
					   changes.changes, changes.num);
	}
	if (subreq == NULL) {
		snapshot_export_done(op, ISTM_OUT_OF_MEMORY);
		return;
	}
	tevent_req_set_callback(subreq, snapshot_export_kept, op);
}

/* The disk that shows the snapshot. Under the original's path it is not to be
 * found. */
static HRESULT snapshot_export_disk(struct snapshot_export_op *op,
				    struct snapshot_entry *entry)
{
	struct GUID guid = GUID_random();
	struct disk_entry *disk;
	uint32_t index;
	HRESULT hr = disk_choose_index(op->model, op->index, &index);
	bool ok;

	if (ISTM_FAILED(hr)) {
		return hr;
	}
	disk = disk_create(op->model, &guid, index, MODEL_DISK_FILE);
	if (disk == NULL) {
		return ISTM_OUT_OF_MEMORY;
	}
	op->disk = disk;
	disk->pending = true;
	disk->op = op;
	disk->d.flags = MODEL_DISK_MAPPABLE | MODEL_DISK_SHADOW;
	disk->d.persistent = op->persistent;
	disk->online = op->path != NULL;
	disk->d.description = talloc_strdup(disk, op->description);
	disk->d.resource_name = talloc_strdup(disk, op->resource_name);
	ok = op->path == NULL ? disk_set_shadow_path(disk, entry->disk->d.path,
						     entry->disk->volume)
			      : disk_set_path(disk, op->path, op->volume);
	return ok && disk->d.description != NULL &&
			       disk->d.resource_name != NULL
		       ? ISTM_S_OK
		       : ISTM_OUT_OF_MEMORY;
}

static void snapshot_export_opened(struct tevent_req *subreq)
{
	struct snapshot_export_op *op =
		tevent_req_callback_data(subreq, struct snapshot_export_op);
	struct model_snapshot *s = model_snapshot_by_id(op->model, &op->id);
	HRESULT hr = disk_open_recv(subreq);

	TALLOC_FREE(subreq);
	if (!ISTM_FAILED(hr) &&
	    (s == NULL || snapshot_entry(s)->disk == NULL)) {
		hr = ISTM_FILE_NOT_FOUND;
	}
	if (ISTM_FAILED(hr)) {
		snapshot_export_done(op, hr);
		return;
	}
	snapshot_export_to(snapshot_entry(s), op->disk);
	s->time_stamp = filetime_now(); /* the text has it so */
	if (op->persistent) {
		snapshot_export_keep(op);
	} else {
		snapshot_export_show(op);
	}
}

/* Suitable? Then: where is the original? In this order. */
static HRESULT snapshot_export_check(const struct snapshot_entry *entry)
{
	if (entry == NULL || entry->deleting) {
		return model_refuse(ISTM_FILE_NOT_FOUND,
				    "export: there is no such snapshot");
	}
	if (entry->s.exported) {
		return model_refuse(
			ISTM_ABORT,
			"export: disk %u shows the snapshot already",
			(unsigned)entry->s.exported_disk);
	}
	if (entry->exporting) {
		return model_refuse(ISTM_BUSY, "export: is under way already");
	}
	if (entry->state != SNAPSHOT_TAKEN) {
		return model_refuse(ISTM_UNEXPECTED,
				    "export: the snapshot has not been taken");
	}
	if (entry->disk == NULL) {
		return model_refuse(ISTM_INVALID_ARG,
				    "export: the snapshot's disk is gone");
	}
	return entry->model->provider == NULL
		       ? model_refuse(ISTM_VSS_NOT_SUPPORTED,
				      "export: nothing here has snapshots")
		       : ISTM_S_OK;
}

/* MS-ISTM 3.48.4.2: path, then index. */
static HRESULT snapshot_export_where(struct snapshot_export_op *op,
				     const struct model_snapshot_export *how)
{
	struct location *location;
	struct disk_entry *other;
	HRESULT hr = location_find(op, op->model, how->path, &location);

	if (ISTM_FAILED(hr)) {
		return hr;
	}
	other = disk_by_location(op->model, location);
	if (other != NULL) {
		return model_refuse(ISTM_ALREADY_EXISTS,
				    "new disk: %s is disk %u's already",
				    location->client, (unsigned)other->d.index);
	}
	if (location->trailing_separator ||
	    strcmp(location->relative, ".") == 0 ||
	    (location->exists && !S_ISREG(location->st.st_mode))) {
		return model_refuse(ISTM_INVALID_ARG, "new disk: %s is no file",
				    location->client);
	}
	if (how->index >= 0 && disk_index_taken(op->model, how->index)) {
		return model_refuse(ISTM_ALREADY_EXISTS,
				    "new disk: index %u is in use",
				    (unsigned)how->index);
	}
	op->path = location->client;
	op->volume = location->volume;
	op->index = how->index;
	op->description = talloc_strdup(op, how->description);
	op->resource_name = talloc_strdup(op, how->resource_name);
	return op->description == NULL || op->resource_name == NULL
		       ? ISTM_OUT_OF_MEMORY
		       : ISTM_S_OK;
}

static HRESULT snapshot_export_prepare(struct snapshot_export_op *op,
				       const struct model_snapshot_export *how)
{
	struct model_snapshot *s = model_snapshot_by_id(op->model, &op->id);
	struct snapshot_entry *entry = s == NULL ? NULL : snapshot_entry(s);
	HRESULT hr = ISTM_S_OK;

	op->index = -1;
	op->description = op->resource_name = "";
	if (how != NULL) {
		hr = snapshot_export_where(op, how);
	}
	if (!ISTM_FAILED(hr)) {
		hr = snapshot_export_check(entry);
	}
	if (ISTM_FAILED(hr)) {
		return hr;
	}
	op->persistent = how == NULL && s->persistent;
	return snapshot_export_disk(op, entry);
}

struct tevent_req *model_snapshot_export_send(
	TALLOC_CTX *mem_ctx, struct model *model, const struct GUID *id,
	const struct model_snapshot_export *how)
{
	struct snapshot_export_op *op =
		talloc_zero(model, struct snapshot_export_op);
	struct snapshot_export_state *state;
	struct snapshot_entry *entry;
	struct tevent_req *req, *subreq = NULL;
	HRESULT hr;

	if (op == NULL) {
		return NULL;
	}
	op->model = model;
	op->id = *id;
	hr = snapshot_export_prepare(op, how);
	if (!ISTM_FAILED(hr)) {
		entry = snapshot_entry(model_snapshot_by_id(model, id));
		subreq = snapshot_open_send(op, entry, op->disk);
		hr = subreq == NULL ? ISTM_OUT_OF_MEMORY : ISTM_S_OK;
	}
	if (ISTM_FAILED(hr)) {
		if (op->disk != NULL) {
			op->disk->op = NULL;
		}
		talloc_free(op->disk);
		talloc_free(op);
		return model_req_failed(mem_ctx, model, hr);
	}
	entry->exporting = true;
	talloc_set_destructor(op, snapshot_export_op_destructor);
	tevent_req_set_callback(subreq, snapshot_export_opened, op);
	req = tevent_req_create(mem_ctx, &state, struct snapshot_export_state);
	if (req == NULL) {
		return NULL;
	}
	op->req = req;
	state->op = op;
	talloc_set_destructor(state, snapshot_export_state_destructor);
	return req;
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

/* ---- the disk that shows one ---- */

struct snapshot_open_state {
	struct disk_entry *disk;
};

static void snapshot_opened(struct tevent_req *subreq)
{
	struct tevent_req *req =
		tevent_req_callback_data(subreq, struct tevent_req);
	struct snapshot_open_state *state =
		tevent_req_data(req, struct snapshot_open_state);
	struct disk_entry *disk = state->disk;
	struct vhd_disk *vhd = NULL;
	struct vhd_info info;
	HRESULT hr = disk->model->provider->open_recv(subreq, state, &vhd);

	TALLOC_FREE(subreq);
	if (ISTM_FAILED(hr)) {
		tevent_req_error(req, HRES_ERROR_V(hr));
		return;
	}
	vhd_disk_info(vhd, &info);
	disk->vhd = talloc_steal(disk, vhd);
	disk->d.size = info.size;
	disk->d.vhd_type = info.type;
	tevent_req_done(req);
}

struct tevent_req *snapshot_open_send(TALLOC_CTX *mem_ctx,
				      struct snapshot_entry *entry,
				      struct disk_entry *disk)
{
	struct model *model = disk->model;
	struct snapshot_open_state *state;
	struct tevent_req *req, *subreq;

	if (entry == NULL || entry->disk == NULL || entry->disk->vhd == NULL ||
	    model->provider == NULL) {
		return model_req_failed(
			mem_ctx, model,
			model_refuse(ISTM_VSS_NOT_SUPPORTED,
				     "disk %u: shows a snapshot that is not "
				     "there",
				     (unsigned)disk->d.index));
	}
	req = tevent_req_create(mem_ctx, &state, struct snapshot_open_state);
	if (req == NULL) {
		return NULL;
	}
	state->disk = disk;
	subreq = model->provider->open_send(state, model->ev,
					    model->provider_data,
					    &entry->disk->d, &entry->s.id);
	if (tevent_req_nomem(subreq, req)) {
		return tevent_req_post(req, model->ev);
	}
	tevent_req_set_callback(subreq, snapshot_opened, req);
	return req;
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
