/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ISnapshotMgr and ISnapshot (MS-ISTM 3.38, 3.36). Whether there are snapshots
 * at all depends on the model's provider; without one, making a snapshot fails
 * after the documented checks.
 */
#include "server/istm/private.h"

/* ---- ISnapshotMgr ---- */

HRESULT istm_return_snapshot(struct istm *istm, struct dcom_call *call,
			     const struct model_snapshot *snapshot,
			     struct MInterfacePointer **out)
{
	struct dcom_object *object;

	if (snapshot == NULL) {
		return ISTM_FILE_NOT_FOUND;
	}
	object = istm_keyed_object(istm, &istm_snapshot_type, &snapshot->id);
	if (object == NULL) {
		return ISTM_OUT_OF_MEMORY;
	}
	return dcom_return_object(call, object, &com_ISnapshot, out);
}

static const char *id_text(struct dcom_call *call, const struct GUID *id)
{
	char text[ISTM_GUID_TEXT_MAX];

	istm_guid_text(id, text);
	return talloc_strdup(dcom_call_mem(call), text);
}

static HRESULT snapshot_mgr_EnumSnapshots(struct dcom_call *call, void *self,
					  struct ISnapshotMgr_EnumSnapshots *r)
{
	struct GUID *ids = NULL;
	size_t count =
		model_snapshots(model_of(self), dcom_call_mem(call), &ids);

	return istm_return_enum(istm_of(self), call, ISTM_ENUM_SNAPSHOT, ids,
				count, r->out.ppEnumSnapshot);
}

static HRESULT snapshot_mgr_GetSnapshot(struct dcom_call *call, void *self,
					struct ISnapshotMgr_GetSnapshot *r)
{
	return istm_return_snapshot(istm_of(self), call,
				    model_snapshot_by_id(model_of(self),
							 &r->in.SnapshotId),
				    r->out.ppSnapshot);
}

/* The GUID that comes in is the one to use, or zero (3.38.4.3). */
static HRESULT snapshot_mgr_PrepareCreateSnapshot(
	struct dcom_call *call, void *self,
	struct ISnapshotMgr_PrepareCreateSnapshot *r)
{
	struct GUID id = *r->in.pSnapshotId;
	HRESULT result =
		model_snapshot_prepare(model_of(self), r->in.nWTD, &id);

	*r->out.pSnapshotId = (struct GUID){0};
	if (ISTM_FAILED(result)) {
		return istm_audit(call, result, "snapshot of disk %u",
				  r->in.nWTD);
	}
	*r->out.pSnapshotId = id;
	return istm_audit(call, result, "snapshot %s of disk %u",
			  id_text(call, &id), r->in.nWTD);
}

static HRESULT snapshot_mgr_DoCreateSnapshot(
	struct dcom_call *call, void *self,
	struct ISnapshotMgr_DoCreateSnapshot *r)
{
	return istm_audit(call,
			  model_snapshot_do(model_of(self), &r->in.SnapshotId),
			  "snapshot %s", id_text(call, &r->in.SnapshotId));
}

static HRESULT snapshot_ended(struct tevent_req *req, struct dcom_call *call,
			      void *r)
{
	return model_snapshot_end_recv(req);
}

/* Answers when the snapshot has been taken. */
static HRESULT snapshot_mgr_DoEndSnapshot(struct dcom_call *call, void *self,
					  struct ISnapshotMgr_DoEndSnapshot *r)
{
	return istm_defer(call,
			  model_snapshot_end_send(dcom_call_mem(call),
						  model_of(self),
						  &r->in.SnapshotId),
			  snapshot_ended, r, "snapshot %s",
			  id_text(call, &r->in.SnapshotId));
}

static HRESULT snapshot_deleted(struct tevent_req *req, struct dcom_call *call,
				void *r)
{
	return model_snapshot_delete_recv(req);
}

/* Deleting what does not exist is success (3.38.4.6). */
static HRESULT snapshot_mgr_DeleteSnapshot(
	struct dcom_call *call, void *self,
	struct ISnapshotMgr_DeleteSnapshot *r)
{
	struct model *model = model_of(self);
	const struct GUID *id = &r->in.SnapshotId;

	if (model_snapshot_by_id(model, id) == NULL) {
		return istm_audit(call, ISTM_S_OK,
				  "delete snapshot %s, which does not exist",
				  id_text(call, id));
	}
	return istm_defer(
		call,
		model_snapshot_delete_send(dcom_call_mem(call), model, id),
		snapshot_deleted, r, "delete snapshot %s", id_text(call, id));
}

#define NOTIMPL(X)                                                             \
	X(ISnapshotMgr, ImportSnapshot,                                        \
	  "all snapshots are in the collection anyway (<81>)")

NOTIMPL(ISTM_NOTIMPL_FUNCTION)

static const struct ISnapshotMgr_vtbl snapshot_mgr_methods = {
	.EnumSnapshots = snapshot_mgr_EnumSnapshots,
	.GetSnapshot = snapshot_mgr_GetSnapshot,
	.PrepareCreateSnapshot = snapshot_mgr_PrepareCreateSnapshot,
	.DoCreateSnapshot = snapshot_mgr_DoCreateSnapshot,
	.DoEndSnapshot = snapshot_mgr_DoEndSnapshot,
	.DeleteSnapshot = snapshot_mgr_DeleteSnapshot,
	NOTIMPL(ISTM_NOTIMPL_MEMBER)};

static const struct com_interface *const snapshot_mgr_interfaces[] = {
	&com_ISnapshotMgr, NULL};

const struct dcom_object_type istm_snapshot_mgr_type = {
	.name = "snapshot manager",
	.interfaces = snapshot_mgr_interfaces,
	.vtbl = &snapshot_mgr_methods,
};

static const struct istm_decision snapshot_mgr_decisions[] = {
	NOTIMPL(ISTM_NOTIMPL_ROW)};

const struct istm_type istm_snapshot_mgr_entry = {
	.type = &istm_snapshot_mgr_type,
	.decisions = snapshot_mgr_decisions,
	.num_decisions = sizeof(snapshot_mgr_decisions) /
			 sizeof(snapshot_mgr_decisions[0]),
};

/* ---- ISnapshot ---- */

/* NULL when the snapshot has been deleted. */
static struct model_snapshot *self_snapshot(void *self)
{
	struct istm_object *object = self;

	return model_snapshot_by_id(model_of(self), &object->guid);
}

#define SNAPSHOT_GET(prop, param, value)                                       \
	static HRESULT snapshot_get_##prop(struct dcom_call *call, void *self, \
					   struct ISnapshot_get_##prop *r)     \
	{                                                                      \
		const struct model_snapshot *s = self_snapshot(self);          \
                                                                               \
		if (s == NULL) {                                               \
			return ISTM_FILE_NOT_FOUND;                            \
		}                                                              \
		*r->out.param = (value);                                       \
		return ISTM_S_OK;                                              \
	}

SNAPSHOT_GET(Id, pId, s->id)
SNAPSHOT_GET(OrigWTD, pWTD, s->disk)
SNAPSHOT_GET(TimeStamp, pTimeStamp, s->time_stamp)
SNAPSHOT_GET(ExportedWTD, pWTD, s->exported_disk)
SNAPSHOT_GET(Persistent, pPersistent, s->persistent)
/* The bits of 3.1.1.5 are the model's. */
SNAPSHOT_GET(Status, pStatus, s->status)

static HRESULT snapshot_saved(struct tevent_req *req, struct dcom_call *call,
			      void *r)
{
	return model_snapshot_save_recv(req);
}

static HRESULT snapshot_Save(struct dcom_call *call, void *self,
			     struct ISnapshot_Save *r)
{
	const struct model_snapshot *s = self_snapshot(self);

	if (s == NULL) {
		return ISTM_FILE_NOT_FOUND;
	}
	return istm_defer(call,
			  model_snapshot_save_send(dcom_call_mem(call),
						   model_of(self), &s->id),
			  snapshot_saved, r, "snapshot %s: save",
			  id_text(call, &s->id));
}

static HRESULT snapshot_Rollback(struct dcom_call *call, void *self,
				 struct ISnapshot_Rollback *r)
{
	struct model_snapshot *s = self_snapshot(self);
	HRESULT result;

	if (s == NULL) {
		return ISTM_FILE_NOT_FOUND;
	}
	result = model_snapshot_rollback(model_of(self), s);
	return istm_audit(call, result, "roll disk %u back to snapshot %s",
			  s->disk, id_text(call, &s->id));
}

static HRESULT snapshot_AbortRollback(struct dcom_call *call, void *self,
				      struct ISnapshot_AbortRollback *r)
{
	struct model_snapshot *s = self_snapshot(self);
	HRESULT result;

	if (s == NULL) {
		return ISTM_FILE_NOT_FOUND;
	}
	result = model_snapshot_abort_rollback(model_of(self), s);
	return istm_audit(call, result, "stop rolling disk %u back", s->disk);
}

struct snapshot_export {
	struct istm_object *object; /* the call keeps it */
	struct ISnapshot_ExportAsWTDisk *r;
};

static HRESULT snapshot_exported(struct tevent_req *req, struct dcom_call *call,
				 void *private_data)
{
	struct snapshot_export *state = private_data;
	struct ISnapshot_ExportAsWTDisk *r = state->r;
	struct model *model = state->object->istm->model;
	const struct model_disk *disk;
	uint32_t index;
	HRESULT result = model_snapshot_export_recv(req, &index);

	if (ISTM_FAILED(result)) {
		return result;
	}
	disk = model_disk_by_index(model, index);
	if (disk == NULL) {
		return ISTM_FILE_NOT_FOUND;
	}
	result = istm_vds_lun_information(
		call, model, disk, &state->object->guid, r->out.pVdsLunInfo);
	if (!ISTM_FAILED(result)) {
		*r->out.pWTD = index;
	}
	return result;
}

static HRESULT snapshot_ExportAsWTDisk(struct dcom_call *call, void *self,
				       struct ISnapshot_ExportAsWTDisk *r)
{
	struct model_snapshot *s = self_snapshot(self);
	struct snapshot_export *state;

	*r->out.pVdsLunInfo = (struct VDS_LUN_INFORMATION){0};
	if (s == NULL) {
		return ISTM_FILE_NOT_FOUND;
	}
	state = talloc(dcom_call_mem(call), struct snapshot_export);
	if (state == NULL) {
		return ISTM_OUT_OF_MEMORY;
	}
	state->object = self;
	state->r = r;
	return istm_defer(call,
			  model_snapshot_export_send(state, model_of(self),
						     &s->id, NULL),
			  snapshot_exported, state,
			  "show snapshot %s of disk %u as a disk",
			  id_text(call, &s->id), s->disk);
}

static HRESULT snapshot_GetVdsLunInfo(struct dcom_call *call, void *self,
				      struct ISnapshot_GetVdsLunInfo *r)
{
	const struct model_snapshot *s = self_snapshot(self);
	const struct model_disk *disk;

	*r->out.pVdsLunInfo = (struct VDS_LUN_INFORMATION){0};
	if (s == NULL) {
		return ISTM_FILE_NOT_FOUND;
	}
	if (!s->exported) {
		return ISTM_FAIL;
	}
	disk = model_disk_by_index(model_of(self), s->exported_disk);
	if (disk == NULL) {
		return ISTM_FILE_NOT_FOUND;
	}
	return istm_vds_lun_information(call, model_of(self), disk, &s->id,
					r->out.pVdsLunInfo);
}

static HRESULT snapshot_DVMount(struct dcom_call *call, void *self,
				struct ISnapshot_DVMount *r)
{
	const struct model_snapshot *s = self_snapshot(self);

	if (s == NULL) {
		return ISTM_FILE_NOT_FOUND;
	}
	return istm_defer(call,
			  model_snapshot_mount_send(dcom_call_mem(call),
						    model_of(self), &s->id),
			  istm_mounted, r, "mount snapshot %s of disk %u",
			  id_text(call, &s->id), s->disk);
}

static HRESULT snapshot_DVDismount(struct dcom_call *call, void *self,
				   struct ISnapshot_DVDismount *r)
{
	const struct model_snapshot *s = self_snapshot(self);

	if (s == NULL) {
		return ISTM_FILE_NOT_FOUND;
	}
	return istm_defer(call,
			  model_snapshot_dismount_send(dcom_call_mem(call),
						       model_of(self), &s->id),
			  istm_mounted, r, "dismount snapshot %s of disk %u",
			  id_text(call, &s->id), s->disk);
}

#undef NOTIMPL
#define NOTIMPL(X)                                                             \
	X(ISnapshot, put_Id, "given at creation (<73>)")                       \
	X(ISnapshot, put_VssSnapshotId, "there is no VSS (<74>)")              \
	X(ISnapshot, put_VssSnapshotSetId, "there is no VSS (<75>)")           \
	X(ISnapshot, put_OrigWTD, "given at creation (<76>)")                  \
	X(ISnapshot, put_ExportedWTD, "ExportAsWTDisk sets it (<77>)")         \
	X(ISnapshot, put_Status, "kept by the server (<78>)")

NOTIMPL(ISTM_NOTIMPL_FUNCTION)

static const struct ISnapshot_vtbl snapshot_methods = {
	.get_Id = snapshot_get_Id,
	.get_OrigWTD = snapshot_get_OrigWTD,
	.get_TimeStamp = snapshot_get_TimeStamp,
	.get_ExportedWTD = snapshot_get_ExportedWTD,
	.get_Persistent = snapshot_get_Persistent,
	.get_Status = snapshot_get_Status,
	.Save = snapshot_Save,
	.Rollback = snapshot_Rollback,
	.AbortRollback = snapshot_AbortRollback,
	.ExportAsWTDisk = snapshot_ExportAsWTDisk,
	.GetVdsLunInfo = snapshot_GetVdsLunInfo,
	.DVMount = snapshot_DVMount,
	.DVDismount = snapshot_DVDismount,
	NOTIMPL(ISTM_NOTIMPL_MEMBER)};

static const char *snapshot_describe(void *self, TALLOC_CTX *mem_ctx)
{
	char text[ISTM_GUID_TEXT_MAX];

	istm_guid_text(&((struct istm_object *)self)->guid, text);
	return talloc_asprintf(mem_ctx, "snapshot %s", text);
}

static const struct com_interface *const snapshot_interfaces[] = {
	&com_ISnapshot, NULL};

const struct dcom_object_type istm_snapshot_type = {
	.name = "snapshot",
	.interfaces = snapshot_interfaces,
	.vtbl = &snapshot_methods,
	.describe = snapshot_describe,
};

static const struct istm_decision snapshot_decisions[] = {
	NOTIMPL(ISTM_NOTIMPL_ROW)};

const struct istm_type istm_snapshot_entry = {
	.type = &istm_snapshot_type,
	.decisions = snapshot_decisions,
	.num_decisions =
		sizeof(snapshot_decisions) / sizeof(snapshot_decisions[0]),
};
