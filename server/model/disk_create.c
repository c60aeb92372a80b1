/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Making a disk: open, clear, keep, show. The steps go on when the client that
 * asked has gone.
 */
#include <errno.h>
#include <string.h>

#include "server/model/private.h"

/* ---- create ---- */

struct disk_create_op {
	struct model *model;
	struct tevent_req *req; /* NULL: nobody waits any more */
	struct disk_entry *entry;
	bool clear_partition_table;
	struct vhd_io *io; /* for that: the main thread as a lane */
	struct tevent_immediate *immediate;
	struct vhd_req zero[2];
	unsigned zeroing;
	int zero_error;
};

struct disk_create_state {
	struct disk_create_op *op; /* NULL: done */
	uint32_t index;
};

static int disk_create_state_destructor(struct disk_create_state *state)
{
	if (state->op != NULL) {
		state->op->req = NULL;
	}
	return 0;
}

/* The model goes first: the request stays without an answer. */
static int disk_create_op_destructor(struct disk_create_op *op)
{
	if (op->req != NULL) {
		(tevent_req_data(op->req, struct disk_create_state))->op = NULL;
	}
	return 0;
}

static void disk_create_done(struct disk_create_op *op, HRESULT hr)
{
	struct tevent_req *req = op->req;
	struct disk_entry *entry = op->entry;
	uint32_t index = entry == NULL ? 0 : entry->d.index;

	if (req != NULL) {
		struct disk_create_state *state =
			tevent_req_data(req, struct disk_create_state);

		state->index = index;
	}
	if (entry != NULL) {
		entry->op = NULL;
	}
	talloc_free(op);
	if (ISTM_FAILED(hr)) {
		talloc_free(entry); /* never was visible */
	}
	model_req_end(req, hr);
}

/* The last step: from now on everybody sees it. */
static void disk_create_show(struct disk_create_op *op)
{
	struct disk_entry *entry = op->entry;
	struct model *model = op->model;

	entry->pending = false;
	log_msg(LOG_INFO, "disk %u: new, %s, %llu bytes",
		(unsigned)entry->d.index, entry->d.path,
		(unsigned long long)entry->d.size);
	disk_create_done(op, ISTM_S_OK);
	model_emit_disk(model, MODEL_EVENT_DISK_ADDED, &entry->d);
	model_emit_luns(model);
}

static void disk_create_saved(struct tevent_req *subreq);

static void disk_create_publish(struct disk_create_op *op)
{
	struct disk_entry *entry = op->entry;
	struct change_list changes = {NULL, 0};
	struct tevent_req *subreq;
	DATA_BLOB blob;

	TALLOC_FREE(op->io);
	if (disk_publish(entry) != 0) {
		disk_create_done(op, ISTM_OUT_OF_MEMORY);
		return;
	}
	if (!entry->d.persistent) {
		disk_create_show(op);
		return;
	}
	if (!record_of_disk(op, entry, &blob) ||
	    !change_add(op, &changes,
			record_key(op, ISTM_STATE_DISK, &entry->d.guid),
			&blob)) {
		disk_create_done(op, ISTM_OUT_OF_MEMORY);
		return;
	}
	subreq = store_commit_send(op, op->model->ev, op->model->store,
				   changes.changes, changes.num);
	if (subreq == NULL) {
		disk_create_done(op, ISTM_OUT_OF_MEMORY);
		return;
	}
	tevent_req_set_callback(subreq, disk_create_saved, op);
}

static void disk_create_withdrawn(struct tevent_req *subreq);

static void disk_create_saved(struct tevent_req *subreq)
{
	struct disk_create_op *op =
		tevent_req_callback_data(subreq, struct disk_create_op);
	int error = store_commit_recv(subreq);

	TALLOC_FREE(subreq);
	if (error == 0) {
		op->entry->d.saved = true;
		disk_create_show(op);
		return;
	}
	/* The engine has it already; no target can have it. */
	op->zero_error = error;
	subreq = iscsi_lu_remove_send(op, op->model->ev, op->entry->lu);
	op->entry->lu = NULL;
	if (subreq == NULL) {
		disk_create_done(op, hresult_from_errno(error));
		return;
	}
	tevent_req_set_callback(subreq, disk_create_withdrawn, op);
}

static void disk_create_withdrawn(struct tevent_req *subreq)
{
	struct disk_create_op *op =
		tevent_req_callback_data(subreq, struct disk_create_op);

	iscsi_lu_remove_recv(subreq);
	TALLOC_FREE(subreq);
	disk_create_done(op, hresult_from_errno(op->zero_error));
}

static void disk_create_cleared(struct tevent_context *ev,
				struct tevent_immediate *im, void *private_data)
{
	struct disk_create_op *op = private_data;

	if (op->zero_error != 0) {
		HRESULT hr = model_refuse(
			hresult_from_errno(op->zero_error),
			"disk %u: %s: clearing its partition table: %s",
			(unsigned)op->entry->d.index, op->entry->d.path,
			strerror(op->zero_error));

		TALLOC_FREE(op->io);
		disk_create_done(op, hr);
		return;
	}
	disk_create_publish(op);
}

static void disk_create_zeroed(struct vhd_req *zero)
{
	struct disk_create_op *op = zero->private_data;

	if (zero->error != 0) {
		op->zero_error = zero->error;
	}
	if (--op->zeroing == 0) {
		/* Not from within its I/O context, which goes now. */
		tevent_schedule_immediate(op->immediate, op->model->ev,
					  disk_create_cleared, op);
	}
}

/* Protective MBR, GPT and its backup: 34 blocks at the front, 33 at the end
 * (UEFI 5.3.1); 1 MiB covers them for any alignment. */
#define PARTITION_TABLE_BYTES (1u << 20)

static void disk_create_clear(struct disk_create_op *op)
{
	uint64_t size = op->entry->d.size;

	op->immediate = tevent_create_immediate(op);
	op->io = vhd_io_create(op, op->model->ev, 4);
	if (op->immediate == NULL || op->io == NULL) {
		disk_create_done(op, hresult_from_errno(ENOMEM));
		return;
	}
	/* One more than the requests: nothing ends before all are under way. */
	op->zeroing = 3;
	for (int i = 0; i < 2; i++) {
		op->zero[i] = (struct vhd_req){
			.op = VHD_ZERO,
			.flags = VHD_FUA,
			.offset = i == 0 ? 0 : size - PARTITION_TABLE_BYTES,
			.length = PARTITION_TABLE_BYTES,
			.done = disk_create_zeroed,
			.private_data = op,
		};
		if (vhd_submit(op->io, op->entry->vhd, &op->zero[i])) {
			op->zeroing--;
			if (op->zero[i].error != 0) {
				op->zero_error = op->zero[i].error;
			}
		}
	}
	vhd_io_kick(op->io);
	disk_create_zeroed(&(struct vhd_req){.private_data = op});
}

/* What CreateWTDisk (MS-ISTM 3.46.4.2) and CreateWTDiskNonPersistent (3.48.4.1)
 * make of a file that cannot be served. */
static HRESULT disk_create_error(const struct disk_create_op *op, HRESULT hr)
{
	if (!op->entry->d.persistent && HRES_IS_EQUAL(hr, ISTM_INVALID_DATA)) {
		return ISTM_INVALID_ARG;
	}
	if (op->entry->d.type == MODEL_DISK_RAM &&
	    HRES_IS_EQUAL(hr, ISTM_INVALID_DATA)) {
		return ISTM_FAIL;
	}
	return hr;
}

static void disk_create_opened(struct tevent_req *subreq)
{
	struct disk_create_op *op =
		tevent_req_callback_data(subreq, struct disk_create_op);
	HRESULT hr = disk_open_recv(subreq);

	TALLOC_FREE(subreq);
	if (ISTM_FAILED(hr)) {
		disk_create_done(op, disk_create_error(op, hr));
		return;
	}
	if (op->clear_partition_table) {
		disk_create_clear(op);
	} else {
		disk_create_publish(op);
	}
}

HRESULT disk_choose_index(struct model *model, int64_t wanted, uint32_t *index)
{
	if (wanted < 0) {
		*index = index_set_lowest_free(&model->indices);
		if (*index >= INDEX_SET_SIZE) {
			return model_refuse(ISTM_HANDLE_EOF,
					    "new disk: all %u indices are used",
					    INDEX_SET_SIZE);
		}
		return ISTM_S_OK;
	}
	if (wanted > UINT32_MAX) {
		return ISTM_INVALID_ARG;
	}
	*index = wanted;
	if (disk_index_taken(model, *index)) {
		return model_refuse(ISTM_ALREADY_EXISTS,
				    "new disk: index %u is in use",
				    (unsigned)*index);
	}
	return ISTM_S_OK;
}

/* Where a new disk is to live: a path that no disk has. */
static HRESULT disk_create_location(TALLOC_CTX *mem_ctx, struct model *model,
				    const struct model_disk_create *create,
				    struct location **location)
{
	struct disk_entry *other;
	HRESULT hr = location_find(mem_ctx, model, create->path, location);

	if (ISTM_FAILED(hr)) {
		return HRES_IS_EQUAL(hr, ISTM_INVALID_ARG) && create->persistent
			       ? ISTM_FAIL
			       : hr;
	}
	other = disk_by_location(model, *location);
	if (other != NULL) {
		return model_refuse(ISTM_ALREADY_EXISTS,
				    "new disk: %s is disk %u's already",
				    (*location)->client,
				    (unsigned)other->d.index);
	}
	if (!(*location)->exists) {
		return model_refuse(ISTM_FILE_NOT_FOUND,
				    "new disk: %s does not exist",
				    (*location)->client);
	}
	if (!S_ISREG((*location)->st.st_mode) ||
	    (*location)->trailing_separator) {
		return model_refuse(
			create->persistent ? ISTM_FAIL : ISTM_INVALID_ARG,
			"new disk: %s is no file", (*location)->client);
	}
	return ISTM_S_OK;
}

static HRESULT disk_create_prepare(struct disk_create_op *op,
				   const struct model_disk_create *create)
{
	struct model *model = op->model;
	struct GUID guid = create->guid;
	struct location *location = NULL;
	struct disk_entry *entry;
	const char *path = create->path;
	uint32_t index;
	HRESULT hr;

	if (create->path == NULL || create->description == NULL) {
		return model_refuse(ISTM_POINTER,
				    "new disk: path or description is NULL");
	}
	if (create->type != MODEL_DISK_FILE && create->type != MODEL_DISK_RAM) {
		return model_refuse(ISTM_INVALID_ARG,
				    "new disk %.300s: type %d is reserved",
				    path, (int)create->type);
	}
	hr = model_check_string("new disk's path", create->path);
	if (!ISTM_FAILED(hr)) {
		hr = model_check_string("new disk's description",
					create->description);
	}
	if (!ISTM_FAILED(hr) && create->type == MODEL_DISK_FILE) {
		hr = disk_create_location(op, model, create, &location);
	}
	if (!ISTM_FAILED(hr)) {
		hr = disk_choose_index(model, create->index, &index);
	}
	if (ISTM_FAILED(hr)) {
		return hr;
	}
	if (GUID_all_zero(&guid)) {
		guid = GUID_random();
	} else if (model_disk_by_guid(model, &guid) != NULL) {
		return model_refuse(ISTM_ALREADY_EXISTS,
				    "new disk: its GUID is in use");
	}
	entry = disk_create(model, &guid, index, create->type);
	if (entry == NULL) {
		return ISTM_OUT_OF_MEMORY;
	}
	/* Holds path and index while the file is opened. */
	entry->pending = true;
	entry->op = op;
	op->entry = entry;
	entry->d.persistent = create->persistent;
	entry->online = !create->persistent;
	entry->d.description = talloc_strdup(entry, create->description);
	if (create->resource_name != NULL) {
		entry->d.resource_name =
			talloc_strdup(entry, create->resource_name);
	}
	if (location != NULL) {
		/* "Sets the snapshot storage location": the same volume. */
		path = location->client;
		entry->d.snapshot_storage_path = talloc_asprintf(
			entry, "%c:\\", location->volume->letter);
	}
	if (!disk_set_path(entry, path,
			   location == NULL ? NULL : location->volume) ||
	    entry->d.description == NULL || entry->d.resource_name == NULL ||
	    entry->d.snapshot_storage_path == NULL) {
		return ISTM_OUT_OF_MEMORY;
	}
	return ISTM_S_OK;
}

struct tevent_req *model_disk_create_send(
	TALLOC_CTX *mem_ctx, struct model *model,
	const struct model_disk_create *create)
{
	struct disk_create_op *op = talloc_zero(model, struct disk_create_op);
	struct disk_create_state *state;
	struct tevent_req *req =
		tevent_req_create(mem_ctx, &state, struct disk_create_state);
	struct tevent_req *subreq;
	HRESULT hr;

	if (op == NULL || req == NULL) {
		talloc_free(op);
		talloc_free(req);
		return NULL;
	}
	op->model = model;
	op->clear_partition_table = create->clear_partition_table;
	hr = disk_create_prepare(op, create);
	subreq = ISTM_FAILED(hr) ? NULL : disk_open_send(op, model, op->entry);
	if (subreq == NULL) {
		hr = ISTM_FAILED(hr) ? hr : ISTM_OUT_OF_MEMORY;
		if (op->entry != NULL) {
			op->entry->op = NULL;
		}
		talloc_free(op->entry);
		talloc_free(op);
		tevent_req_error(req, HRES_ERROR_V(hr));
		return tevent_req_post(req, model->ev);
	}
	op->req = req;
	state->op = op;
	talloc_set_destructor(op, disk_create_op_destructor);
	talloc_set_destructor(state, disk_create_state_destructor);
	tevent_req_set_callback(subreq, disk_create_opened, op);
	return req;
}

HRESULT model_disk_create_recv(struct tevent_req *req, uint32_t *index)
{
	struct disk_create_state *state =
		tevent_req_data(req, struct disk_create_state);
	HRESULT hr = model_req_recv(req);

	*index = ISTM_FAILED(hr) ? 0 : state->index;
	return hr;
}
