/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ISnapshotMgr and ISnapshot (MS-ISTM 3.38, 3.36). The model has no snapshots
 * yet: IsSnapshotsSupported says so, there are none to enumerate or to find,
 * and making one fails after the documented checks. No ISnapshot object ever
 * comes into being, so that its methods are still to be written.
 */
#include "server/istm/private.h"

static HRESULT snapshot_mgr_EnumSnapshots(struct dcom_call *call, void *self,
					  struct ISnapshotMgr_EnumSnapshots *r)
{
	return istm_return_enum(istm_of(self), call, ISTM_ENUM_SNAPSHOT, NULL,
				0, r->out.ppEnumSnapshot);
}

static HRESULT snapshot_mgr_GetSnapshot(struct dcom_call *call, void *self,
					struct ISnapshotMgr_GetSnapshot *r)
{
	return ISTM_FILE_NOT_FOUND;
}

static HRESULT snapshot_mgr_PrepareCreateSnapshot(
	struct dcom_call *call, void *self,
	struct ISnapshotMgr_PrepareCreateSnapshot *r)
{
	const struct model_disk *disk =
		model_disk_by_index(model_of(self), r->in.nWTD);

	*r->out.pSnapshotId = (struct GUID){0};
	if (disk == NULL || !disk->enabled) {
		return ISTM_FILE_NOT_FOUND;
	}
	if (disk->vhd_type != VHD_TYPE_FIXED) {
		return ISTM_INVALID_FUNCTION;
	}
	return ISTM_VSS_NOT_SUPPORTED;
}

static HRESULT snapshot_mgr_DoCreateSnapshot(
	struct dcom_call *call, void *self,
	struct ISnapshotMgr_DoCreateSnapshot *r)
{
	return ISTM_FILE_NOT_FOUND;
}

static HRESULT snapshot_mgr_DoEndSnapshot(struct dcom_call *call, void *self,
					  struct ISnapshotMgr_DoEndSnapshot *r)
{
	return ISTM_FILE_NOT_FOUND;
}

/* Deleting what does not exist is success (3.38.4.6). */
static HRESULT snapshot_mgr_DeleteSnapshot(
	struct dcom_call *call, void *self,
	struct ISnapshotMgr_DeleteSnapshot *r)
{
	return ISTM_S_OK;
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
	NOTIMPL(ISTM_NOTIMPL_MEMBER)};

static const struct com_interface *const snapshot_interfaces[] = {
	&com_ISnapshot, NULL};

static const struct dcom_object_type snapshot_type = {
	.name = "snapshot",
	.interfaces = snapshot_interfaces,
	.vtbl = &snapshot_methods,
};

static const struct istm_decision snapshot_decisions[] = {
	NOTIMPL(ISTM_NOTIMPL_ROW)};

const struct istm_type istm_snapshot_entry = {
	.type = &snapshot_type,
	.decisions = snapshot_decisions,
	.num_decisions =
		sizeof(snapshot_decisions) / sizeof(snapshot_decisions[0]),
};
