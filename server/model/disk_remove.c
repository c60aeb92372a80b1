/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Disks saved, closed and deleted. The steps go on when the client that asked
 * has gone.
 */
#include <errno.h>
#include <string.h>

#include "server/model/private.h"

/* ---- save ---- */

struct disk_save {
	struct GUID guid;
	bool was_saved;
};

static void disk_saved(struct model *model, int error, void *private_data)
{
	struct disk_save *save = private_data;
	struct model_disk *disk = model_disk_by_guid(model, &save->guid);

	if (disk != NULL) {
		/* Also on success: an earlier save may have failed since. */
		disk->saved = error == 0 || save->was_saved;
	}
}

struct tevent_req *model_disk_save_send(TALLOC_CTX *mem_ctx,
					struct model *model,
					struct model_disk *disk)
{
	struct disk_save *save = talloc_zero(model, struct disk_save);
	struct change_list changes = {NULL, 0};
	struct tevent_req *req;
	DATA_BLOB blob;

	if (save == NULL) {
		return NULL;
	}
	save->guid = disk->guid;
	save->was_saved = disk->saved;
	if (disk->deleting) {
		talloc_free(save);
		return model_req_failed(mem_ctx, model,
					model_refuse(ISTM_DELETE_PENDING,
						     "disk %u: being deleted",
						     (unsigned)disk->index));
	}
	if (!record_of_disk(save, disk_entry(disk), &blob) ||
	    !change_add(save, &changes,
			record_key(save, ISTM_STATE_DISK, &disk->guid),
			&blob) ||
	    (disk_entry(disk)->shadow_of != NULL &&
	     disk_entry(disk)->shadow_of->s.persistent &&
	     !snapshot_record(save, disk_entry(disk)->shadow_of,
			      disk_entry(disk), &changes))) {
		talloc_free(save);
		return model_req_failed(
			mem_ctx, model,
			model_refuse(ISTM_OUT_OF_MEMORY,
				     "disk %u: no record can be made of it",
				     (unsigned)disk->index));
	}
	req = model_commit_send(mem_ctx, model, &changes, disk_saved, save);
	if (req != NULL) {
		disk->saved = true;
		disk->persistent = true;
	}
	return req;
}

HRESULT model_disk_save_recv(struct tevent_req *req)
{
	return model_req_recv(req);
}

/* ---- delete and close ---- */

struct disk_remove_op {
	struct model *model;
	struct tevent_req *req; /* NULL: nobody waits any more */
	struct disk_entry *entry;
	/* Of the targets' records: what the store holds if this fails. */
	struct replaced {
		struct GUID guid;
		uint64_t generation;
		DATA_BLOB previous;
	} * replaced;
	size_t num_replaced;
	const char *what;
};

struct disk_remove_state {
	struct disk_remove_op *op; /* NULL: done */
};

static int disk_remove_op_destructor(struct disk_remove_op *op)
{
	for (size_t i = 0; i < op->num_replaced; i++) {
		secret_blob_free(&op->replaced[i].previous);
	}
	if (op->req != NULL) {
		(tevent_req_data(op->req, struct disk_remove_state))->op = NULL;
	}
	return 0;
}

static int disk_remove_state_destructor(struct disk_remove_state *state)
{
	if (state->op != NULL) {
		state->op->req = NULL;
	}
	return 0;
}

static void disk_remove_done(struct disk_remove_op *op, HRESULT hr)
{
	struct tevent_req *req = op->req;

	talloc_free(op);
	model_req_end(req, hr);
}

static void disk_remove_drop(struct disk_remove_op *op)
{
	log_msg(LOG_INFO, "disk %u: %s (%s)", (unsigned)op->entry->d.index,
		op->what, op->entry->d.path);
	disk_drop(op->entry);
	disk_remove_done(op, ISTM_S_OK);
}

static void disk_remove_released(struct tevent_req *subreq)
{
	struct disk_remove_op *op =
		tevent_req_callback_data(subreq, struct disk_remove_op);

	iscsi_lu_remove_recv(subreq);
	TALLOC_FREE(subreq);
	disk_remove_drop(op);
}

/* Durable where it had to be: take it out of memory. */
static void disk_remove_now(struct disk_remove_op *op)
{
	struct disk_entry *entry = op->entry;
	struct tevent_req *subreq;

	disk_unmap_all(entry);
	if (entry->lu == NULL) {
		disk_remove_drop(op);
		return;
	}
	subreq = iscsi_lu_remove_send(op, op->model->ev, entry->lu);
	entry->lu = NULL;
	if (subreq == NULL) {
		/* The engine still reads it: keep it, out of sight. */
		entry->d.usable = false;
		disk_remove_done(op, ISTM_OUT_OF_MEMORY);
		return;
	}
	tevent_req_set_callback(subreq, disk_remove_released, op);
}

/* The commit failed: the store still has the records as they were. */
static void disk_delete_restore(struct disk_remove_op *op)
{
	for (size_t i = 0; i < op->num_replaced; i++) {
		struct replaced *r = &op->replaced[i];
		struct model_target *t =
			model_target_by_guid(op->model, &r->guid);
		struct target_entry *target;

		if (t == NULL) {
			continue;
		}
		target = target_entry(t);
		if (target->saved_generation == r->generation) {
			target_replace_saved(target, &r->previous);
		}
	}
}

/* Take the disk out of one target's saved record. */
static bool disk_delete_unsave(struct disk_remove_op *op,
			       struct target_entry *target,
			       struct change_list *changes)
{
	struct replaced *r;
	DATA_BLOB blob;

	op->replaced = talloc_realloc(op, op->replaced, struct replaced,
				      op->num_replaced + 1);
	if (op->replaced == NULL) {
		op->num_replaced = 0;
		return false;
	}
	if (!record_without_disk(target, &target->saved_blob,
				 &op->entry->d.guid, &blob)) {
		return false;
	}
	r = &op->replaced[op->num_replaced++];
	r->guid = target->t.guid;
	r->previous = target->saved_blob;
	talloc_steal(op, r->previous.data);
	target->saved_blob = data_blob_null;
	target_replace_saved(target, &blob);
	r->generation = target->saved_generation;
	return change_add(op, changes,
			  record_key(op, ISTM_STATE_TARGET, &target->t.guid),
			  &target->saved_blob);
}

static void disk_delete_committed(struct tevent_req *subreq)
{
	struct disk_remove_op *op =
		tevent_req_callback_data(subreq, struct disk_remove_op);
	int error = store_commit_recv(subreq);

	TALLOC_FREE(subreq);
	if (error != 0) {
		op->entry->d.deleting = false;
		disk_delete_restore(op);
		disk_remove_done(op, hresult_from_errno(error));
		return;
	}
	if (op->entry->forget_snapshots) {
		unit_state_forget(op->model, &op->entry->d.guid);
	}
	disk_remove_now(op);
}

/*
 * The disk's record goes, and out of the targets' saved records goes its
 * mapping, in one transaction. What else of a target was changed and not
 * saved stays unsaved.
 */
static struct tevent_req *disk_delete_commit(struct disk_remove_op *op)
{
	struct disk_entry *entry = op->entry;
	struct change_list changes = {NULL, 0};
	struct list_head *pos;

	if (entry->d.saved &&
	    !change_add(op, &changes,
			record_key(op, ISTM_STATE_DISK, &entry->d.guid),
			NULL)) {
		return NULL;
	}
	if (!snapshots_delete_records(op, entry, &changes) ||
	    !unit_state_delete_record(op, op->model, &entry->d.guid,
				      &changes) ||
	    (entry->d.saved && entry->shadow_of != NULL &&
	     !snapshot_record(op, entry->shadow_of, NULL, &changes))) {
		return NULL;
	}
	list_for_each (pos, &entry->saved_maps) {
		struct target_entry *target =
			list_entry(pos, struct saved_map, link_disk)->target;

		/* One that is being deleted takes its record with it. */
		if (!target->deleting &&
		    !disk_delete_unsave(op, target, &changes)) {
			disk_delete_restore(op);
			return NULL;
		}
	}
	return store_commit_send(op, op->model->ev, op->model->store,
				 changes.changes, changes.num);
}

/* One that is mounted on this machine is dismounted before it goes. */
static void disk_close_settled(struct tevent_req *subreq)
{
	struct disk_remove_op *op =
		tevent_req_callback_data(subreq, struct disk_remove_op);
	HRESULT hr = model_mount_recv(subreq);

	TALLOC_FREE(subreq);
	if (ISTM_FAILED(hr)) {
		op->entry->d.deleting = false;
		disk_remove_done(op, hr);
		return;
	}
	subreq =
		store_commit_send(op, op->model->ev, op->model->store, NULL, 0);
	if (subreq == NULL) {
		op->entry->d.deleting = false;
		disk_remove_done(op, ISTM_OUT_OF_MEMORY);
		return;
	}
	tevent_req_set_callback(subreq, disk_delete_committed, op);
}

/* MS-ISTM 3.48.4.4: dismount, abort a rollback. */
static struct tevent_req *disk_close_start(struct disk_remove_op *op)
{
	struct tevent_req *subreq;

	if (op->entry->reverting != NULL) {
		snapshot_stop_rollback(op->entry->reverting);
	}
	disk_dismount(op->entry);
	subreq = model_disk_settled_send(op, op->model, &op->entry->d);
	if (subreq != NULL) {
		tevent_req_set_callback(subreq, disk_close_settled, op);
	}
	return subreq;
}

static struct tevent_req *disk_remove_send(TALLOC_CTX *mem_ctx,
					   struct model *model,
					   struct disk_entry *entry,
					   bool from_store)
{
	struct disk_remove_op *op = talloc_zero(model, struct disk_remove_op);
	struct disk_remove_state *state;
	struct tevent_req *req =
		tevent_req_create(mem_ctx, &state, struct disk_remove_state);
	struct tevent_req *subreq;

	if (op == NULL || req == NULL) {
		talloc_free(op);
		talloc_free(req);
		return NULL;
	}
	if (entry->opening || entry->mount_op != NULL) {
		talloc_free(op);
		tevent_req_error(req, HRES_ERROR_V(model_refuse(
					      ISTM_SHARING_VIOLATION,
					      "disk %u: is being opened or "
					      "mounted",
					      (unsigned)entry->d.index)));
		return tevent_req_post(req, model->ev);
	}
	op->model = model;
	op->entry = entry;
	op->req = req;
	op->what = from_store ? "deleted" : "closed";
	entry->forget_snapshots = from_store;
	talloc_set_destructor(op, disk_remove_op_destructor);
	state->op = op;
	talloc_set_destructor(state, disk_remove_state_destructor);
	entry->d.deleting = true;
	/* Also without records: it always ends in a later pass. */
	if (!from_store) {
		if (disk_close_start(op) != NULL) {
			return req;
		}
		subreq = NULL;
	} else {
		subreq = disk_delete_commit(op);
	}
	if (subreq == NULL) {
		entry->d.deleting = false;
		talloc_free(op);
		tevent_req_error(req, HRES_ERROR_V(ISTM_OUT_OF_MEMORY));
		return tevent_req_post(req, model->ev);
	}
	tevent_req_set_callback(subreq, disk_delete_committed, op);
	return req;
}

/* MS-ISTM 3.46.4.4 */
struct tevent_req *model_disk_delete_send(TALLOC_CTX *mem_ctx,
					  struct model *model, uint32_t index)
{
	struct model_disk *disk = model_disk_by_index(model, index);
	struct disk_entry *entry;
	HRESULT hr;

	if (disk == NULL) {
		return model_req_failed(mem_ctx, model, ISTM_S_OK);
	}
	entry = disk_entry(disk);
	if (disk->deleting) {
		return model_req_failed(mem_ctx, model,
					model_refuse(ISTM_DELETE_PENDING,
						     "disk %u: being deleted "
						     "already",
						     (unsigned)index));
	}
	if (entry->lu != NULL && iscsi_lu_in_use(entry->lu)) {
		return model_req_failed(mem_ctx, model,
					model_refuse(ISTM_DRIVE_LOCKED,
						     "disk %u: an initiator "
						     "uses it",
						     (unsigned)index));
	}
	hr = snapshots_check_delete(entry);
	if (ISTM_FAILED(hr)) {
		return model_req_failed(mem_ctx, model, hr);
	}
	return disk_remove_send(mem_ctx, model, entry, true);
}

HRESULT model_disk_delete_recv(struct tevent_req *req)
{
	return model_req_recv(req);
}

/* CloseWTDisk: the persistent copy stays (spec/notes 5). */
struct tevent_req *model_disk_close_send(TALLOC_CTX *mem_ctx,
					 struct model *model, uint32_t index)
{
	struct model_disk *disk = model_disk_by_index(model, index);

	if (disk == NULL) {
		return model_req_failed(mem_ctx, model,
					model_refuse(ISTM_FILE_NOT_FOUND,
						     "close: there is no disk "
						     "%u",
						     (unsigned)index));
	}
	if (disk->deleting) {
		return model_req_failed(mem_ctx, model, ISTM_S_OK);
	}
	return disk_remove_send(mem_ctx, model, disk_entry(disk), false);
}

HRESULT model_disk_close_recv(struct tevent_req *req)
{
	return model_req_recv(req);
}
