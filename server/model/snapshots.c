/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Snapshots: the entries, their rules and their records (MS-ISTM 3.36, 3.38).
 * What takes and keeps their contents is the provider.
 */
#include <string.h>

#include "server/model/private.h"

/* Who waits in DoEndSnapshot. */
struct snapshot_waiter {
	struct list_head link;
	struct tevent_req *req;
};

#define snapshot_from(node) hash_entry(node, struct snapshot_entry, by_id)

static const char *snapshot_name(const struct snapshot_entry *entry,
				 struct GUID_txt_buf *buf)
{
	return GUID_buf_string(&entry->s.id, buf);
}

void model_set_snapshot_provider(struct model *model,
				 const struct model_snapshot_provider *provider,
				 void *private_data)
{
	model->provider = provider;
	model->provider_data = private_data;
}

bool model_snapshots_supported(struct model *model)
{
	return model->provider != NULL;
}

uint64_t model_disk_snapshot_used(struct model *model,
				  const struct model_disk *disk)
{
	if (model->provider == NULL || model->provider->used == NULL) {
		return 0;
	}
	return model->provider->used(model->provider_data, &disk->guid);
}

const struct model_disk *model_disk_original(struct model *model,
					     const struct model_disk *disk)
{
	const struct snapshot_entry *entry = disk_entry(disk)->shadow_of;

	return entry == NULL || entry->disk == NULL ? NULL : &entry->disk->d;
}

/* ---- looking up ---- */

size_t model_snapshots(struct model *model, TALLOC_CTX *mem_ctx,
		       struct GUID **ids)
{
	struct list_head *pos;
	size_t num = 0;

	*ids = talloc_array(mem_ctx, struct GUID, model->snapshots_by_id.count);
	if (*ids == NULL) {
		return 0;
	}
	list_for_each (pos, &model->snapshots) {
		(*ids)[num++] =
			list_entry(pos, struct snapshot_entry, link)->s.id;
	}
	return num;
}

struct model_snapshot *model_snapshot_by_id(struct model *model,
					    const struct GUID *id)
{
	uint64_t hash = hash_guid(id);
	struct hash_node *node;

	for (node = hash_first(&model->snapshots_by_id, hash); node != NULL;
	     node = hash_next(node, hash)) {
		if (GUID_equal(&snapshot_from(node)->s.id, id)) {
			return &snapshot_from(node)->s;
		}
	}
	return NULL;
}

void snapshot_changed(struct snapshot_entry *entry)
{
	struct GUID id = entry->s.id;

	model_emit(entry->model, &(struct model_event){
					 .type = MODEL_EVENT_SNAPSHOTS,
					 .guid = &id,
				 });
}

/* ---- life ---- */

void snapshot_wake(struct snapshot_entry *entry, HRESULT hr)
{
	while (!list_empty(&entry->waiting)) {
		struct snapshot_waiter *waiter = list_entry(
			entry->waiting.next, struct snapshot_waiter, link);
		struct tevent_req *req = waiter->req;

		list_del(&waiter->link);
		model_req_end(req, hr);
	}
}

static int snapshot_destructor(struct snapshot_entry *entry)
{
	/* Answered with "not found" by those who look again. */
	while (!list_empty(&entry->waiting)) {
		list_del(entry->waiting.next);
	}
	if (entry->disk != NULL && entry->disk->reverting == entry) {
		entry->disk->reverting = NULL;
	}
	if (entry->disk != NULL && entry->disk->mounted == entry) {
		entry->disk->mounted = NULL;
	}
	if (snapshot_shadow(entry) != NULL) {
		snapshot_shadow(entry)->shadow_of = NULL;
	}
	hash_del(&entry->model->snapshots_by_id, &entry->by_id);
	list_del(&entry->link);
	list_del(&entry->link_disk);
	return 0;
}

static struct snapshot_entry *snapshot_create(struct model *model,
					      const struct GUID *id,
					      struct disk_entry *disk)
{
	struct snapshot_entry *entry =
		talloc_zero(model, struct snapshot_entry);

	if (entry == NULL) {
		return NULL;
	}
	entry->model = model;
	list_init(&entry->link);
	list_init(&entry->link_disk);
	list_init(&entry->waiting);
	entry->disk = disk;
	entry->s.id = *id;
	entry->s.disk = disk->d.index;
	entry->s.disk_guid = disk->d.guid;
	entry->s.persistent = disk->d.persistent;
	entry->s.vss_snapshot_id = *id;
	entry->s.vss_snapshot_set_id = GUID_random();
	entry->s.description = talloc_strdup(entry, "");
	talloc_set_destructor(entry, snapshot_destructor);
	if (entry->s.description == NULL ||
	    !hash_add(&model->snapshots_by_id, &entry->by_id, hash_guid(id))) {
		talloc_free(entry);
		return NULL;
	}
	list_add_tail(&entry->link, &model->snapshots);
	list_add_tail(&entry->link_disk, &disk->snapshots);
	return entry;
}

bool snapshot_record(TALLOC_CTX *mem_ctx, const struct snapshot_entry *entry,
		     const struct disk_entry *shadow,
		     struct change_list *changes)
{
	struct istm_state_data data = {.kind = ISTM_STATE_SNAPSHOT};

	data.body.snapshot = (struct istm_state_snapshot){
		.id = entry->s.id,
		.disk = entry->s.disk_guid,
		.description = entry->s.description,
		.time_stamp = entry->s.time_stamp,
		.persistent = entry->s.persistent,
		.vss_snapshot_id = entry->s.vss_snapshot_id,
		.vss_snapshot_set_id = entry->s.vss_snapshot_set_id,
	};
	if (shadow != NULL) {
		data.body.snapshot.exported = 1;
		data.body.snapshot.exported_disk = shadow->d.guid;
	}
	return change_add_record(
		mem_ctx, changes,
		record_key(mem_ctx, ISTM_STATE_SNAPSHOT, &entry->s.id), &data);
}

bool snapshot_load(struct model *model, const struct istm_state_snapshot *r)
{
	struct model_disk *disk = model_disk_by_guid(model, &r->disk);
	struct snapshot_entry *entry;

	if (disk == NULL) {
		struct GUID_txt_buf buf;

		log_msg(LOG_WARNING,
			"snapshot %s: its disk is no more: dropped",
			GUID_buf_string(&r->id, &buf));
		return true;
	}
	entry = snapshot_create(model, &r->id, disk_entry(disk));
	if (entry == NULL) {
		return false;
	}
	entry->state = SNAPSHOT_TAKEN;
	entry->s.description = talloc_strdup(entry, r->description);
	entry->s.time_stamp = r->time_stamp;
	entry->s.persistent = r->persistent;
	entry->s.vss_snapshot_id = r->vss_snapshot_id;
	entry->s.vss_snapshot_set_id = r->vss_snapshot_set_id;
	disk = r->exported ? model_disk_by_guid(model, &r->exported_disk)
			   : NULL;
	if (disk != NULL && (disk->flags & MODEL_DISK_SHADOW) != 0) {
		snapshot_export_to(entry, disk_entry(disk));
	}
	return entry->s.description != NULL;
}

/* MS-ISTM 3.36.4.13; one that was not taken is kept nowhere. */
struct tevent_req *model_snapshot_save_send(TALLOC_CTX *mem_ctx,
					    struct model *model,
					    const struct GUID *id)
{
	struct model_snapshot *s = model_snapshot_by_id(model, id);
	struct change_list changes = {NULL, 0};
	struct snapshot_entry *entry;
	struct disk_entry *shadow;
	TALLOC_CTX *tmp;

	if (s == NULL || snapshot_entry(s)->deleting) {
		return model_req_failed(mem_ctx, model, ISTM_FILE_NOT_FOUND);
	}
	entry = snapshot_entry(s);
	if (entry->state != SNAPSHOT_TAKEN || !s->persistent) {
		return model_req_failed(mem_ctx, model, ISTM_S_OK);
	}
	tmp = talloc_new(model);
	shadow = snapshot_shadow(entry);
	if (shadow != NULL && !shadow->d.saved) {
		shadow = NULL;
	}
	if (tmp == NULL || !snapshot_record(tmp, entry, shadow, &changes)) {
		talloc_free(tmp);
		return NULL;
	}
	return model_commit_send(mem_ctx, model, &changes, NULL, tmp);
}

HRESULT model_snapshot_save_recv(struct tevent_req *req)
{
	return model_req_recv(req);
}

/* ---- create ---- */

/* MS-ISTM 3.38.4.3 */
HRESULT model_snapshot_prepare(struct model *model, uint32_t index,
			       struct GUID *id)
{
	struct model_disk *disk = model_disk_by_index(model, index);
	struct snapshot_entry *entry;
	struct GUID_txt_buf buf;

	if (disk == NULL || !disk->enabled || disk->deleting) {
		return model_refuse(ISTM_FILE_NOT_FOUND,
				    "snapshot: disk %u is not there or "
				    "disabled",
				    (unsigned)index);
	}
	/* Appendix B <80>: not of differencing disks; nor of memory. */
	if (disk->type != MODEL_DISK_FILE ||
	    disk->vhd_type == VHD_TYPE_DIFFERENCING ||
	    (disk->flags & MODEL_DISK_SHADOW) != 0) {
		return model_refuse(ISTM_INVALID_FUNCTION,
				    "snapshot: not of a disk like %u",
				    (unsigned)index);
	}
	if (GUID_all_zero(id)) {
		*id = GUID_random();
	} else if (model_snapshot_by_id(model, id) != NULL) {
		return model_refuse(ISTM_INVALID_ARG,
				    "snapshot: there is a %s already",
				    GUID_buf_string(id, &buf));
	}
	if (model->provider == NULL) {
		return model_refuse(ISTM_VSS_NOT_SUPPORTED,
				    "snapshot of disk %u: nothing here takes "
				    "snapshots",
				    (unsigned)index);
	}
	entry = snapshot_create(model, id, disk_entry(disk));
	if (entry == NULL) {
		return ISTM_OUT_OF_MEMORY;
	}
	log_msg(LOG_INFO, "snapshot %s of disk %u: prepared",
		snapshot_name(entry, &buf), (unsigned)index);
	snapshot_changed(entry);
	return ISTM_S_OK;
}

static void snapshot_kept(struct tevent_req *subreq)
{
	struct snapshot_entry *entry =
		tevent_req_callback_data(subreq, struct snapshot_entry);
	int error = store_commit_recv(subreq);

	TALLOC_FREE(subreq);
	entry->working = NULL;
	entry->state = error == 0 ? SNAPSHOT_TAKEN : SNAPSHOT_FAILED;
	entry->result = hresult_from_errno(error);
	snapshot_wake(entry, entry->result);
}

static void snapshot_taken(struct tevent_req *subreq)
{
	struct snapshot_entry *entry =
		tevent_req_callback_data(subreq, struct snapshot_entry);
	struct model *model = entry->model;
	struct change_list changes = {NULL, 0};
	HRESULT hr = model->provider->create_recv(subreq);
	TALLOC_CTX *tmp = talloc_new(entry);
	struct GUID_txt_buf buf;

	TALLOC_FREE(subreq);
	entry->working = NULL;
	if (!ISTM_FAILED(hr) && entry->s.persistent) {
		if (snapshot_record(tmp, entry, NULL, &changes)) {
			subreq =
				store_commit_send(entry, model->ev,
						  model->store, changes.changes,
						  changes.num);
		}
		if (subreq == NULL) {
			hr = ISTM_OUT_OF_MEMORY;
		} else {
			tevent_req_set_callback(subreq, snapshot_kept, entry);
			entry->working = subreq;
			talloc_free(tmp);
			return;
		}
	}
	talloc_free(tmp);
	entry->state = ISTM_FAILED(hr) ? SNAPSHOT_FAILED : SNAPSHOT_TAKEN;
	entry->result = hr;
	if (ISTM_FAILED(hr)) {
		model_refuse(hr, "snapshot %s of disk %u: not taken",
			     snapshot_name(entry, &buf),
			     (unsigned)entry->s.disk);
	}
	snapshot_wake(entry, hr);
}

static struct snapshot_entry *snapshot_find(struct model *model,
					    const struct GUID *id)
{
	struct model_snapshot *s = model_snapshot_by_id(model, id);
	struct GUID_txt_buf buf;

	if (s == NULL || snapshot_entry(s)->deleting) {
		model_refuse(ISTM_FILE_NOT_FOUND, "snapshot %s: there is none",
			     GUID_buf_string(id, &buf));
		return NULL;
	}
	return snapshot_entry(s);
}

/* MS-ISTM 3.38.4.4: starts, does not wait. */
HRESULT model_snapshot_do(struct model *model, const struct GUID *id)
{
	struct snapshot_entry *entry = snapshot_find(model, id);
	struct GUID_txt_buf buf;

	if (entry == NULL) {
		return ISTM_FILE_NOT_FOUND;
	}
	if (entry->state == SNAPSHOT_TAKING || entry->state == SNAPSHOT_TAKEN) {
		return ISTM_S_OK; /* has been started already */
	}
	if (model->provider == NULL || entry->disk == NULL ||
	    entry->disk->vhd == NULL) {
		return model_refuse(ISTM_VSS_NOT_SUPPORTED,
				    "snapshot %s: its disk cannot be read",
				    snapshot_name(entry, &buf));
	}
	entry->working =
		model->provider->create_send(entry, model->ev,
					     model->provider_data,
					     &entry->disk->d, &entry->s.id);
	if (entry->working == NULL) {
		return ISTM_OUT_OF_MEMORY;
	}
	entry->state = SNAPSHOT_TAKING;
	entry->s.time_stamp = filetime_now();
	tevent_req_set_callback(entry->working, snapshot_taken, entry);
	snapshot_changed(entry);
	return ISTM_S_OK;
}

struct snapshot_end_state {
	struct snapshot_waiter waiter;
};

static int snapshot_end_destructor(struct snapshot_end_state *state)
{
	list_del(&state->waiter.link);
	return 0;
}

/* MS-ISTM 3.38.4.5: waits. */
struct tevent_req *model_snapshot_end_send(TALLOC_CTX *mem_ctx,
					   struct model *model,
					   const struct GUID *id)
{
	struct snapshot_entry *entry = snapshot_find(model, id);
	struct snapshot_end_state *state;
	struct tevent_req *req;

	if (entry == NULL || entry->state != SNAPSHOT_TAKING) {
		HRESULT hr = ISTM_S_OK;

		if (entry == NULL) {
			hr = ISTM_FILE_NOT_FOUND;
		} else if (entry->state == SNAPSHOT_FAILED) {
			hr = entry->result;
		} else if (entry->state == SNAPSHOT_PREPARED) {
			hr = model_refuse(ISTM_INVALID_OPERATION,
					  "snapshot: was never started");
		}
		return model_req_failed(mem_ctx, model, hr);
	}
	req = tevent_req_create(mem_ctx, &state, struct snapshot_end_state);
	if (req == NULL) {
		return NULL;
	}
	state->waiter.req = req;
	list_add_tail(&state->waiter.link, &entry->waiting);
	talloc_set_destructor(state, snapshot_end_destructor);
	return req;
}

HRESULT model_snapshot_end_recv(struct tevent_req *req)
{
	return model_req_recv(req);
}
