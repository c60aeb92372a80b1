/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Disks and snapshots surfaced on this machine (MS-ISTM 3.43.4.23 to .37,
 * 3.36.4.18, .19): the rules and what is mounted how. What really mounts is a
 * provider; without one the answer is E_NOTIMPL.
 *
 * One step at a time for each disk; it goes on when the client has left.
 */
#include <string.h>

#include "server/model/private.h"

struct mount_op {
	struct disk_entry *disk; /* the parent */
	struct tevent_req *req;	 /* NULL: nobody waits */
	enum model_mount wanted;
	struct GUID snapshot; /* MODEL_MOUNT_SNAPSHOT: of this one */
};

struct mount_state {
	struct mount_op *op; /* NULL: done */
};

static int mount_op_destructor(struct mount_op *op)
{
	if (op->req != NULL) {
		(tevent_req_data(op->req, struct mount_state))->op = NULL;
	}
	op->disk->mount_op = NULL;
	return 0;
}

static int mount_state_destructor(struct mount_state *state)
{
	if (state->op != NULL) {
		state->op->req = NULL;
	}
	return 0;
}

void model_set_mount_provider(struct model *model,
			      const struct model_mount_provider *provider,
			      void *private_data)
{
	model->mounter = provider;
	model->mounter_data = private_data;
}

/* ---- what is mounted ---- */

void model_disk_mount_info(struct model *model, const struct model_disk *disk,
			   struct model_mount_info *info)
{
	const struct disk_entry *entry = disk_entry(disk);

	*info = (struct model_mount_info){
		.type = entry->mount,
		.device_id = entry->device_id,
	};
	if (entry->mount == MODEL_MOUNT_SNAPSHOT && entry->mounted != NULL) {
		info->snapshot = entry->mounted->s.id;
		info->time_stamp = entry->mounted->s.time_stamp;
	}
}

size_t model_disk_mount_points(struct model *model,
			       const struct model_disk *disk,
			       TALLOC_CTX *mem_ctx, const char ***paths)
{
	*paths = NULL;
	if (disk_entry(disk)->mount == MODEL_MOUNT_NONE) {
		return 0;
	}
	return model->mounter->mount_points(model->mounter_data, mem_ctx,
					    &disk->guid, paths);
}

bool model_disk_mounting(const struct model_disk *disk)
{
	return disk_entry(disk)->mount_op != NULL;
}

static void mount_changed(struct disk_entry *disk,
			  struct snapshot_entry *snapshot)
{
	model_emit_disk(disk->model, MODEL_EVENT_DISK_CHANGED, &disk->d);
	if (snapshot != NULL) {
		snapshot_changed(snapshot);
	}
}

static void mount_clear(struct disk_entry *disk)
{
	struct snapshot_entry *snapshot = disk->mounted;

	disk->mount = MODEL_MOUNT_NONE;
	disk->mounted = NULL;
	TALLOC_FREE(disk->device_id);
	if (snapshot != NULL) {
		snapshot->s.status &= ~MODEL_SNAPSHOT_MOUNTED;
	}
	log_msg(LOG_INFO, "disk %u: dismounted", (unsigned)disk->d.index);
	mount_changed(disk, snapshot);
}

bool disk_withheld(const struct disk_entry *disk)
{
	return disk->reverting != NULL || disk->mount == MODEL_MOUNT_DIRECT ||
	       (disk->mount_op != NULL &&
		disk->mount_op->wanted == MODEL_MOUNT_DIRECT);
}

/* ---- doing it ---- */

static void mount_done(struct mount_op *op, HRESULT hr)
{
	struct tevent_req *req = op->req;
	struct disk_entry *disk = op->disk;

	talloc_free(op);
	disk_publish_targets(disk);
	model_req_end(req, hr);
}

static void mount_mounted(struct tevent_req *subreq)
{
	struct mount_op *op = tevent_req_callback_data(subreq, struct mount_op);
	struct disk_entry *disk = op->disk;
	struct model_snapshot *s = NULL;
	const char *device_id = NULL;
	HRESULT hr = disk->model->mounter->mount_recv(subreq, op, &device_id);

	TALLOC_FREE(subreq);
	if (ISTM_FAILED(hr)) {
		mount_done(op, model_refuse(hr, "disk %u: not mounted",
					    (unsigned)disk->d.index));
		return;
	}
	disk->mount = op->wanted;
	disk->device_id =
		talloc_strdup(disk, device_id != NULL ? device_id : "");
	if (op->wanted == MODEL_MOUNT_SNAPSHOT) {
		s = model_snapshot_by_id(disk->model, &op->snapshot);
	}
	if (s != NULL) {
		disk->mounted = snapshot_entry(s);
		s->status |= MODEL_SNAPSHOT_MOUNTED;
	}
	log_msg(LOG_INFO, "disk %u: %smounted on this machine",
		(unsigned)disk->d.index, s != NULL ? "a snapshot of it " : "");
	mount_changed(disk, disk->mounted);
	if (!disk->d.enabled) { /* meanwhile */
		mount_done(op, ISTM_FAIL);
		disk_dismount(disk);
		return;
	}
	mount_done(op, ISTM_S_OK);
}

static void mount_mount(struct mount_op *op)
{
	struct disk_entry *disk = op->disk;
	struct model *model = disk->model;
	struct tevent_req *subreq;

	if (op->wanted == MODEL_MOUNT_NONE) {
		mount_done(op, ISTM_S_OK);
		return;
	}
	subreq = model->mounter->mount_send(
		op, model->ev, model->mounter_data, &disk->d,
		op->wanted == MODEL_MOUNT_SNAPSHOT ? &op->snapshot : NULL);
	if (subreq == NULL) {
		mount_done(op, ISTM_OUT_OF_MEMORY);
		return;
	}
	tevent_req_set_callback(subreq, mount_mounted, op);
}

static void mount_dismounted(struct tevent_req *subreq)
{
	struct mount_op *op = tevent_req_callback_data(subreq, struct mount_op);
	struct disk_entry *disk = op->disk;
	HRESULT hr = disk->model->mounter->dismount_recv(subreq);

	TALLOC_FREE(subreq);
	if (ISTM_FAILED(hr)) {
		mount_done(op, model_refuse(hr, "disk %u: not dismounted",
					    (unsigned)disk->d.index));
		return;
	}
	mount_clear(disk);
	mount_mount(op);
}

/* From what it is to what is wanted, by way of not being mounted. */
static struct mount_op *mount_start(struct disk_entry *disk,
				    enum model_mount wanted,
				    const struct GUID *snapshot)
{
	struct model *model = disk->model;
	struct mount_op *op = talloc_zero(disk, struct mount_op);
	struct tevent_req *subreq;

	if (op == NULL) {
		return NULL;
	}
	op->disk = disk;
	op->wanted = wanted;
	if (snapshot != NULL) {
		op->snapshot = *snapshot;
	}
	disk->mount_op = op;
	talloc_set_destructor(op, mount_op_destructor);
	disk_publish_targets(disk);
	if (disk->mount == MODEL_MOUNT_NONE) {
		mount_mount(op);
		return disk->mount_op;
	}
	subreq = model->mounter->dismount_send(
		op, model->ev, model->mounter_data, &disk->d.guid);
	if (subreq == NULL) {
		talloc_free(op);
		disk_publish_targets(disk);
		return NULL;
	}
	tevent_req_set_callback(subreq, mount_dismounted, op);
	return op;
}

static struct tevent_req *mount_wait(TALLOC_CTX *mem_ctx, struct model *model,
				     struct mount_op *op)
{
	struct mount_state *state;
	struct tevent_req *req;

	if (op == NULL) {
		return model_req_failed(mem_ctx, model, ISTM_OUT_OF_MEMORY);
	}
	req = tevent_req_create(mem_ctx, &state, struct mount_state);
	if (req == NULL) {
		return NULL;
	}
	op->req = req;
	state->op = op;
	talloc_set_destructor(state, mount_state_destructor);
	return req;
}

HRESULT model_mount_recv(struct tevent_req *req)
{
	return model_req_recv(req);
}

/* ---- disks ---- */

static HRESULT mount_refuse(const struct model_disk *d, HRESULT hr,
			    const char *reason)
{
	return model_refuse(hr, "disk %u: neither mounted nor dismounted: %s",
			    (unsigned)d->index, reason);
}

static HRESULT mount_usable(const struct model_disk *d)
{
	if (!d->usable) {
		return mount_refuse(d, ISTM_POINTER, "its file is not open");
	}
	return d->enabled ? ISTM_S_OK
			  : mount_refuse(d, ISTM_FAIL, "is disabled");
}

static HRESULT mount_supported(const struct disk_entry *disk)
{
	return disk->model->mounter != NULL
		       ? ISTM_S_OK
		       : mount_refuse(&disk->d, ISTM_NOT_IMPLEMENTED,
				      "nothing here mounts disks");
}

static HRESULT mount_check(const struct disk_entry *disk)
{
	if (!disk->d.manage_mount_point) {
		return model_refuse(ISTM_FAIL,
				    "disk %u: is not to be mounted on this "
				    "machine",
				    (unsigned)disk->d.index);
	}
	if (disk->reverting != NULL || disk->mount_op != NULL ||
	    disk->d.deleting) {
		return model_refuse(ISTM_SHARING_VIOLATION,
				    "disk %u: is being put back, mounted or "
				    "closed",
				    (unsigned)disk->d.index);
	}
	return ISTM_S_OK;
}

/* MS-ISTM 3.43.4.35, in its order */
static HRESULT mount_direct_check(const struct disk_entry *disk)
{
	const struct model_disk *d = &disk->d;
	HRESULT hr;

	hr = mount_usable(d);
	if (ISTM_FAILED(hr)) {
		return hr;
	}
	if (d->type != MODEL_DISK_FILE) {
		return mount_refuse(d, ISTM_INVALID_ARG, "is in memory");
	}
	if (d->vhd_type == VHD_TYPE_DIFFERENCING ||
	    (d->flags & MODEL_DISK_SHADOW) != 0) {
		return mount_refuse(d, ISTM_INVALID_FUNCTION,
				    "is differencing, or shows a snapshot");
	}
	hr = mount_check(disk);
	if (ISTM_FAILED(hr)) {
		return hr;
	}
	/* Two file systems would write to it, and neither know. */
	if (iscsi_lu_in_use(disk->lu)) {
		return model_refuse(ISTM_SHARING_VIOLATION,
				    "disk %u: an initiator uses it",
				    (unsigned)d->index);
	}
	return mount_supported(disk);
}

struct tevent_req *model_disk_mount_send(TALLOC_CTX *mem_ctx,
					 struct model *model,
					 struct model_disk *d)
{
	HRESULT hr = mount_direct_check(disk_entry(d));

	if (ISTM_FAILED(hr)) {
		return model_req_failed(mem_ctx, model, hr);
	}
	return mount_wait(mem_ctx, model,
			  mount_start(disk_entry(d), MODEL_MOUNT_DIRECT, NULL));
}

/* MS-ISTM 3.43.4.36, in its order */
static HRESULT dismount_check(const struct disk_entry *disk)
{
	const struct model_disk *d = &disk->d;

	HRESULT hr = mount_usable(d);

	if (ISTM_FAILED(hr)) {
		return hr;
	}
	if (d->vhd_type == VHD_TYPE_DIFFERENCING) {
		return mount_refuse(d, ISTM_INVALID_FUNCTION,
				    "is differencing");
	}
	if (disk->mount == MODEL_MOUNT_SNAPSHOT) {
		return mount_refuse(d, ISTM_INVALID_OPERATION,
				    "a snapshot of it is mounted, not itself");
	}
	if (disk->model->mounter == NULL) {
		return mount_refuse(d, ISTM_INVALID_HANDLE,
				    "nothing here mounts disks");
	}
	if (disk->mount_op != NULL) {
		return mount_refuse(d, ISTM_SHARING_VIOLATION,
				    "is being mounted or dismounted");
	}
	/* "The sequence of mount / dismount operation is incorrect." */
	return disk->mount == MODEL_MOUNT_NONE
		       ? mount_refuse(d, ISTM_INVALID_OPERATION,
				      "is not mounted")
		       : ISTM_S_OK;
}

struct tevent_req *model_disk_dismount_send(TALLOC_CTX *mem_ctx,
					    struct model *model,
					    struct model_disk *d)
{
	HRESULT hr = dismount_check(disk_entry(d));

	if (ISTM_FAILED(hr)) {
		return model_req_failed(mem_ctx, model, hr);
	}
	return mount_wait(mem_ctx, model,
			  mount_start(disk_entry(d), MODEL_MOUNT_NONE, NULL));
}

void disk_dismount(struct disk_entry *disk)
{
	if (disk->mount != MODEL_MOUNT_NONE && disk->mount_op == NULL) {
		mount_start(disk, MODEL_MOUNT_NONE, NULL);
	}
}

struct tevent_req *model_disk_settled_send(TALLOC_CTX *mem_ctx,
					   struct model *model,
					   struct model_disk *d)
{
	struct mount_op *op = disk_entry(d)->mount_op;

	/* Another's request has the result of this step. */
	if (op == NULL || op->req != NULL) {
		return model_req_failed(mem_ctx, model, ISTM_S_OK);
	}
	return mount_wait(mem_ctx, model, op);
}

HRESULT model_disk_set_manage_mount_point(struct model *model,
					  struct model_disk *d, bool manage)
{
	d->manage_mount_point = manage;
	model_emit_disk(model, MODEL_EVENT_DISK_CHANGED, d);
	return ISTM_S_OK;
}

/* A directory below a volume; whoever mounts makes it if it is missing. */
HRESULT model_disk_set_mount_point(struct model *model, struct model_disk *d,
				   const char *path)
{
	struct disk_entry *entry = disk_entry(d);
	struct location *location = NULL;
	HRESULT hr = ISTM_S_OK;
	char *copy;

	if (path[0] != '\0') {
		hr = location_find(entry, model, path, &location);
		if (ISTM_FAILED(hr)) {
			return hr;
		}
		if (strcmp(location->relative, ".") == 0 ||
		    (location->exists && !S_ISDIR(location->st.st_mode))) {
			talloc_free(location);
			return model_refuse(ISTM_INVALID_ARG,
					    "disk %u: cannot be mounted on %s",
					    (unsigned)d->index, path);
		}
		path = location->client;
	}
	copy = talloc_strdup(entry, path);
	talloc_free(location);
	if (copy == NULL) {
		return ISTM_OUT_OF_MEMORY;
	}
	talloc_free(discard_const_p(char, d->mount_point));
	d->mount_point = copy;
	model_emit_disk(model, MODEL_EVENT_DISK_CHANGED, d);
	return ISTM_S_OK;
}

/* ---- snapshots ---- */

static struct snapshot_entry *snapshot_by_id(struct model *model,
					     const struct GUID *id)
{
	struct model_snapshot *s = model_snapshot_by_id(model, id);

	return s == NULL ? NULL : snapshot_entry(s);
}

/* MS-ISTM 3.36.4.18, in its order */
static HRESULT snapshot_mount_check(const struct snapshot_entry *entry)
{
	HRESULT hr;

	if (entry == NULL || entry->deleting) {
		return model_refuse(ISTM_FILE_NOT_FOUND,
				    "mount: there is no such snapshot");
	}
	if (entry->disk == NULL) {
		return model_refuse(ISTM_INVALID_ARG,
				    "mount: the snapshot's disk is gone");
	}
	if (!entry->disk->d.enabled) {
		return mount_refuse(&entry->disk->d, ISTM_FAIL, "is disabled");
	}
	if (entry->disk->d.type != MODEL_DISK_FILE ||
	    entry->state != SNAPSHOT_TAKEN) {
		return mount_refuse(&entry->disk->d, ISTM_INVALID_ARG,
				    "the snapshot has not been taken");
	}
	hr = mount_check(entry->disk);
	return ISTM_FAILED(hr) ? hr : mount_supported(entry->disk);
}

struct tevent_req *model_snapshot_mount_send(TALLOC_CTX *mem_ctx,
					     struct model *model,
					     const struct GUID *id)
{
	struct snapshot_entry *entry = snapshot_by_id(model, id);
	HRESULT hr = snapshot_mount_check(entry);

	if (ISTM_FAILED(hr)) {
		return model_req_failed(mem_ctx, model, hr);
	}
	return mount_wait(mem_ctx, model,
			  mount_start(entry->disk, MODEL_MOUNT_SNAPSHOT, id));
}

/* MS-ISTM 3.36.4.19: only the one that is mounted. */
static HRESULT snapshot_dismount_check(const struct snapshot_entry *entry)
{
	const struct model_disk *d;

	if (entry == NULL || entry->disk == NULL) {
		return model_refuse(ISTM_FILE_NOT_FOUND,
				    "dismount: there is no such snapshot");
	}
	d = &entry->disk->d;
	if (!model_disk_online(entry->model, d)) {
		return mount_refuse(d, ISTM_INVALID_FUNCTION, "is offline");
	}
	if (d->type != MODEL_DISK_FILE) {
		return mount_refuse(d, ISTM_INVALID_ARG, "is in memory");
	}
	if (entry->disk->mounted != entry) {
		return mount_refuse(d, ISTM_INVALID_OPERATION,
				    "this snapshot of it is not mounted");
	}
	return entry->disk->mount_op != NULL
		       ? mount_refuse(d, ISTM_SHARING_VIOLATION,
				      "is being mounted or dismounted")
		       : ISTM_S_OK;
}

struct tevent_req *model_snapshot_dismount_send(TALLOC_CTX *mem_ctx,
						struct model *model,
						const struct GUID *id)
{
	struct snapshot_entry *entry = snapshot_by_id(model, id);
	HRESULT hr = snapshot_dismount_check(entry);

	if (ISTM_FAILED(hr)) {
		return model_req_failed(mem_ctx, model, hr);
	}
	return mount_wait(mem_ctx, model,
			  mount_start(entry->disk, MODEL_MOUNT_NONE, NULL));
}
