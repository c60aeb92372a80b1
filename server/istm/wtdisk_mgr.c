/* SPDX-License-Identifier: GPL-3.0-or-later */
/* IWTDiskMgr to IWTDiskMgr4: the disks (MS-ISTM 3.46, 3.48, 3.50, 3.51). */
#include "server/istm/private.h"

/* An enumerator over disks that are given by index. */
static HRESULT return_disks(void *self, struct dcom_call *call,
			    const uint32_t *indices, size_t count,
			    struct MInterfacePointer **out)
{
	struct GUID *guids =
		talloc_zero_array(dcom_call_mem(call), struct GUID, count);
	size_t n = 0;

	if (guids == NULL) {
		return ISTM_OUT_OF_MEMORY;
	}
	for (size_t i = 0; i < count; i++) {
		const struct model_disk *disk =
			model_disk_by_index(model_of(self), indices[i]);

		if (disk != NULL) {
			guids[n++] = disk->guid;
		}
	}
	return istm_return_enum(istm_of(self), call, ISTM_ENUM_WTDISK, guids, n,
				out);
}

HRESULT istm_return_wtdisks(void *self, struct dcom_call *call,
			    struct MInterfacePointer **out)
{
	uint32_t *indices = NULL;
	size_t count =
		model_disks(model_of(self), dcom_call_mem(call), &indices);

	return return_disks(self, call, indices, count, out);
}

static HRESULT wtdisk_mgr_EnumWTDisks(struct dcom_call *call, void *self,
				      struct IWTDiskMgr_EnumWTDisks *r)
{
	return istm_return_wtdisks(self, call, r->out.ppEnumWTDisk);
}

/*
 * WTDTypeVolumeBased is reserved (2.2.3.10), and anything else unknown.
 */
static bool type_from_wire(enum WTDType in, enum model_disk_type *out)
{
	switch (in) {
	case WTDTypeFileBased:
		*out = MODEL_DISK_FILE;
		return true;
	case WTDTypeRamBased:
		*out = MODEL_DISK_RAM;
		return true;
	case WTDTypeVolumeBased:
		break;
	}
	return false;
}

static HRESULT wtdisk_created(struct tevent_req *req, struct dcom_call *call,
			      void *private_data)
{
	struct IWTDiskMgr_CreateWTDisk *r = private_data;

	return model_disk_create_recv(req, r->out.pWTD);
}

static HRESULT wtdisk_mgr_CreateWTDisk(struct dcom_call *call, void *self,
				       struct IWTDiskMgr_CreateWTDisk *r)
{
	struct model_disk_create params = {
		.path = r->in.DevicePath.s,
		.description = r->in.Description.s,
		.clear_partition_table = r->in.bClearPartTable != 0,
		.persistent = true,
		.index = -1,
	};

	if (params.path == NULL || params.description == NULL) {
		return istm_audit(call, ISTM_POINTER,
				  "create disk without path or description");
	}
	if (!type_from_wire(r->in.eDeviceType, &params.type)) {
		return istm_audit(call, ISTM_INVALID_ARG,
				  "create disk of type %d on \"%s\"",
				  (int)r->in.eDeviceType, params.path);
	}
	return istm_defer(call,
			  model_disk_create_send(dcom_call_mem(call),
						 model_of(self), &params),
			  wtdisk_created, r, "create disk on \"%s\"",
			  params.path);
}

static HRESULT wtdisk_deleted(struct tevent_req *req, struct dcom_call *call,
			      void *r)
{
	return model_disk_delete_recv(req);
}

/* An index that does not exist is success (3.46.4.4). */
static HRESULT wtdisk_mgr_DeleteWTDisk(struct dcom_call *call, void *self,
				       struct IWTDiskMgr_DeleteWTDisk *r)
{
	struct model *model = model_of(self);

	if (model_disk_by_index(model, r->in.nWTD) == NULL) {
		return istm_audit(call, ISTM_S_OK,
				  "delete disk %u, which does not exist",
				  r->in.nWTD);
	}
	return istm_defer(call,
			  model_disk_delete_send(dcom_call_mem(call), model,
						 r->in.nWTD),
			  wtdisk_deleted, r, "delete disk %u", r->in.nWTD);
}

static HRESULT wtdisk_mgr_GetWTDisk(struct dcom_call *call, void *self,
				    struct IWTDiskMgr_GetWTDisk *r)
{
	return istm_return_wtdisk(istm_of(self), call,
				  model_disk_by_index(model_of(self),
						      r->in.nWTD),
				  r->out.ppWTDisk);
}

/*
 * Windows answers E_NOTIMPL (<111>); the sibling by index shows what is meant.
 */
static HRESULT wtdisk_mgr_EnumWTDisksOnSameVolumeByPath(
	struct dcom_call *call, void *self,
	struct IWTDiskMgr_EnumWTDisksOnSameVolumeByPath *r)
{
	struct model *model = model_of(self);
	TALLOC_CTX *mem_ctx = dcom_call_mem(call);
	uint32_t *indices = NULL;
	size_t count;
	HRESULT result;

	if (bstr_empty(&r->in.Path)) {
		return ISTM_INVALID_ARG;
	}
	result = model_disks_of_path(model, r->in.Path.s, mem_ctx, &indices,
				     &count);
	if (ISTM_FAILED(result)) {
		return result;
	}
	return return_disks(self, call, indices, count, r->out.ppEnumWTDisk);
}

static HRESULT wtdisk_mgr_EnumWTDisksOnSameVolume(
	struct dcom_call *call, void *self,
	struct IWTDiskMgr_EnumWTDisksOnSameVolume *r)
{
	struct model *model = model_of(self);
	const struct model_disk *disk = model_disk_by_index(model, r->in.nWTD);
	uint32_t *indices = NULL;
	size_t count;

	if (disk == NULL) {
		return ISTM_FILE_NOT_FOUND;
	}
	count = model_disks_same_volume(model, disk, dcom_call_mem(call),
					&indices);
	return return_disks(self, call, indices, count, r->out.ppEnumWTDisk);
}

/* Success without effect (3.46.4.8, <112>). */
static HRESULT wtdisk_mgr_DVMountSelectedWTDisksSnapshotNow(
	struct dcom_call *call, void *self,
	struct IWTDiskMgr_DVMountSelectedWTDisksSnapshotNow *r)
{
	return ISTM_S_OK;
}

static HRESULT wtdisk_mgr_ImportWTDisk(struct dcom_call *call, void *self,
				       struct IWTDiskMgr_ImportWTDisk *r)
{
	return istm_import_wtdisk(istm_of(self), call, r->in.pWTDisk);
}

struct create_non_persistent {
	void *self;
	struct MInterfacePointer **out;
};

static HRESULT return_created(struct dcom_call *call,
			      const struct create_non_persistent *state,
			      HRESULT result, uint32_t index)
{
	if (ISTM_FAILED(result)) {
		return result;
	}
	return istm_return_wtdisk(
		istm_of(state->self), call,
		model_disk_by_index(model_of(state->self), index), state->out);
}

static HRESULT wtdisk_created_non_persistent(struct tevent_req *req,
					     struct dcom_call *call,
					     void *private_data)
{
	uint32_t index;
	HRESULT result = model_disk_create_recv(req, &index);

	return return_created(call, private_data, result, index);
}

/* What 3.48.4.1 and 3.48.4.2 have in common; index -1 is the next free. */
static HRESULT create_non_persistent(struct dcom_call *call, void *self,
				     struct model_disk_create *params,
				     uint32_t index, enum WTDType type,
				     struct MInterfacePointer **out)
{
	struct create_non_persistent *state;

	params->persistent = false;
	params->index = index == UINT32_MAX ? -1 : (int64_t)index;
	if (params->path == NULL || params->description == NULL) {
		return istm_audit(call, ISTM_POINTER,
				  "create disk without path or description");
	}
	if (!type_from_wire(type, &params->type)) {
		return istm_audit(call, ISTM_INVALID_ARG,
				  "create disk of type %d on \"%s\"", (int)type,
				  params->path);
	}
	state = talloc(dcom_call_mem(call), struct create_non_persistent);
	if (state == NULL) {
		return ISTM_OUT_OF_MEMORY;
	}
	state->self = self;
	state->out = out;
	return istm_defer(call,
			  model_disk_create_send(state, model_of(self), params),
			  wtdisk_created_non_persistent, state,
			  "create non-persistent disk on \"%s\"", params->path);
}

static HRESULT wtdisk_mgr_CreateWTDiskNonPersistent(
	struct dcom_call *call, void *self,
	struct IWTDiskMgr2_CreateWTDiskNonPersistent *r)
{
	struct model_disk_create params = {
		.path = r->in.DevicePath.s,
		.description = r->in.Description.s,
		.resource_name = bstr_or_empty(&r->in.ResourceName),
		.clear_partition_table = r->in.bClearPartTable != 0,
	};

	return create_non_persistent(call, self, &params, r->in.nWTD,
				     r->in.eDeviceType, r->out.ppWTDisk);
}

static HRESULT wtdisk_shadow_created(struct tevent_req *req,
				     struct dcom_call *call, void *private_data)
{
	uint32_t index;
	HRESULT result = model_snapshot_export_recv(req, &index);

	return return_created(call, private_data, result, index);
}

static HRESULT create_shadow(
	struct dcom_call *call, void *self,
	struct IWTDiskMgr2_CreateShadowWTDiskNonPersistent *r)
{
	const struct model_snapshot_export how = {
		.path = r->in.DevicePath.s,
		.description = r->in.Description.s,
		.resource_name = bstr_or_empty(&r->in.ResourceName),
		.index = r->in.nWTD == UINT32_MAX ? -1 : (int64_t)r->in.nWTD,
	};
	char id[ISTM_GUID_TEXT_MAX];
	struct create_non_persistent *state;

	istm_guid_text(&r->in.SnapshotId, id);
	if (r->in.eDeviceType != WTDTypeFileBased) {
		return istm_audit(call, ISTM_INVALID_ARG,
				  "create disk of type %d of snapshot %s",
				  (int)r->in.eDeviceType, id);
	}
	state = talloc(dcom_call_mem(call), struct create_non_persistent);
	if (state == NULL) {
		return ISTM_OUT_OF_MEMORY;
	}
	state->self = self;
	state->out = r->out.ppWTDisk;
	return istm_defer(call,
			  model_snapshot_export_send(state, model_of(self),
						     &r->in.SnapshotId, &how),
			  wtdisk_shadow_created, state,
			  "create non-persistent disk of snapshot %s", id);
}

/* Zero is no snapshot at all: the disk is backed by its path alone. */
static HRESULT wtdisk_mgr_CreateShadowWTDiskNonPersistent(
	struct dcom_call *call, void *self,
	struct IWTDiskMgr2_CreateShadowWTDiskNonPersistent *r)
{
	struct model_disk_create params = {
		.path = r->in.DevicePath.s,
		.description = r->in.Description.s,
		.resource_name = bstr_or_empty(&r->in.ResourceName),
	};

	if (params.path != NULL && params.description != NULL &&
	    !GUID_all_zero(&r->in.SnapshotId)) {
		return create_shadow(call, self, r);
	}
	return create_non_persistent(call, self, &params, r->in.nWTD,
				     r->in.eDeviceType, r->out.ppWTDisk);
}

/* Every caller over the network is a remote one (3.48.4.3). */
static HRESULT wtdisk_mgr_OpenWTDisk(struct dcom_call *call, void *self,
				     struct IWTDiskMgr2_OpenWTDisk *r)
{
	return ISTM_ACCESS_DENIED;
}

static HRESULT wtdisk_closed(struct tevent_req *req, struct dcom_call *call,
			     void *r)
{
	return model_disk_close_recv(req);
}

static HRESULT wtdisk_mgr_CloseWTDisk(struct dcom_call *call, void *self,
				      struct IWTDiskMgr2_CloseWTDisk *r)
{
	struct model *model = model_of(self);

	if (model_disk_by_index(model, r->in.nWTD) == NULL) {
		return istm_audit(call, ISTM_S_OK,
				  "close disk %u, which does not exist",
				  r->in.nWTD);
	}
	return istm_defer(call,
			  model_disk_close_send(dcom_call_mem(call), model,
						r->in.nWTD),
			  wtdisk_closed, r, "close disk %u", r->in.nWTD);
}

/* The same as EnumWTDisks outside a cluster. */
static HRESULT wtdisk_mgr_EnumAllClusterWTDisks(
	struct dcom_call *call, void *self,
	struct IWTDiskMgr4_EnumAllClusterWTDisks *r)
{
	return istm_return_wtdisks(self, call, r->out.EnumWTDisk);
}

/*
 * Outside a cluster nobody has anything to notify (3.51.4.2). Within one, the
 * disk that showed a snapshot is deleted, any other is no longer known here.
 */
static HRESULT wtdisk_mgr_ClusterNotifyWTDiskDeletion2(
	struct dcom_call *call, void *self,
	struct IWTDiskMgr4_ClusterNotifyWTDiskDeletion2 *r)
{
	struct model *model = model_of(self);
	const struct model_disk *disk = model_disk_by_index(model, r->in.nWTD);
	TALLOC_CTX *mem_ctx = dcom_call_mem(call);

	if (!model_is_clustered(model)) {
		return ISTM_INVALID_OPERATION;
	}
	if (disk == NULL) {
		return ISTM_INVALID_ARG;
	}
	if (r->in.bShadowDisk && (disk->flags & MODEL_DISK_SHADOW) != 0) {
		return istm_defer(call,
				  model_disk_delete_send(mem_ctx, model,
							 r->in.nWTD),
				  wtdisk_deleted, r,
				  "delete disk %u of a snapshot", r->in.nWTD);
	}
	return istm_defer(call,
			  model_disk_close_send(mem_ctx, model, r->in.nWTD),
			  wtdisk_closed, r,
			  "forget disk %u, which the cluster has deleted",
			  r->in.nWTD);
}

#define NOTIMPL(X)                                                             \
	X(IWTDiskMgr, CreateShadowWTDisk,                                      \
	  "ExportAsWTDisk of a snapshot does that (<109>)")                    \
	X(IWTDiskMgr3, ClusterNotifyWTDiskDeletion,                            \
	  "superseded by ClusterNotifyWTDiskDeletion2 (<123>)")

NOTIMPL(ISTM_NOTIMPL_FUNCTION)

static const struct IWTDiskMgr_vtbl wtdisk_mgr_methods = {
	.EnumWTDisks = wtdisk_mgr_EnumWTDisks,
	.CreateWTDisk = wtdisk_mgr_CreateWTDisk,
	.DeleteWTDisk = wtdisk_mgr_DeleteWTDisk,
	.GetWTDisk = wtdisk_mgr_GetWTDisk,
	.EnumWTDisksOnSameVolumeByPath =
		wtdisk_mgr_EnumWTDisksOnSameVolumeByPath,
	.EnumWTDisksOnSameVolume = wtdisk_mgr_EnumWTDisksOnSameVolume,
	.DVMountSelectedWTDisksSnapshotNow =
		wtdisk_mgr_DVMountSelectedWTDisksSnapshotNow,
	.ImportWTDisk = wtdisk_mgr_ImportWTDisk,
	.CreateWTDiskNonPersistent = wtdisk_mgr_CreateWTDiskNonPersistent,
	.CreateShadowWTDiskNonPersistent =
		wtdisk_mgr_CreateShadowWTDiskNonPersistent,
	.OpenWTDisk = wtdisk_mgr_OpenWTDisk,
	.CloseWTDisk = wtdisk_mgr_CloseWTDisk,
	.EnumAllClusterWTDisks = wtdisk_mgr_EnumAllClusterWTDisks,
	.ClusterNotifyWTDiskDeletion2 = wtdisk_mgr_ClusterNotifyWTDiskDeletion2,
	NOTIMPL(ISTM_NOTIMPL_MEMBER)};

static const struct com_interface *const wtdisk_mgr_interfaces[] = {
	&com_IWTDiskMgr, &com_IWTDiskMgr2, &com_IWTDiskMgr3, &com_IWTDiskMgr4,
	NULL};

const struct dcom_object_type istm_wtdisk_mgr_type = {
	.name = "disk manager",
	.interfaces = wtdisk_mgr_interfaces,
	.vtbl = &wtdisk_mgr_methods,
};

static const struct istm_decision wtdisk_mgr_decisions[] = {
	NOTIMPL(ISTM_NOTIMPL_ROW)};

const struct istm_type istm_wtdisk_mgr_entry = {
	.type = &istm_wtdisk_mgr_type,
	.decisions = wtdisk_mgr_decisions,
	.num_decisions =
		sizeof(wtdisk_mgr_decisions) / sizeof(wtdisk_mgr_decisions[0]),
};
