/* SPDX-License-Identifier: GPL-3.0-or-later */
/* IWTDisk, IWTDisk2, IWTDisk3: one virtual disk (MS-ISTM 3.43 to 3.45). */
#include "server/istm/private.h"

/* NULL when the disk has been deleted. */
static struct model_disk *self_disk(void *self)
{
	struct istm_object *object = self;

	return model_disk_by_guid(model_of(self), &object->guid);
}

/* Also NULL when, in a cluster, its resource is not online. */
static struct model_disk *online_disk(void *self)
{
	struct model_disk *disk = self_disk(self);

	return disk != NULL && model_disk_online(model_of(self), disk) ? disk
								       : NULL;
}

/* Why there is no disk: most methods have ERROR_INVALID_FUNCTION for one that
 * is offline. */
static HRESULT no_disk(void *self)
{
	return self_disk(self) == NULL ? ISTM_FILE_NOT_FOUND
				       : ISTM_INVALID_FUNCTION;
}

/* ---- properties ---- */

#define WTDISK_GET_OF(find, prop, iface, param, value)                         \
	static HRESULT wtdisk_get_##prop(struct dcom_call *call, void *self,   \
					 struct iface##_get_##prop *r)         \
	{                                                                      \
		const struct model_disk *disk = find(self);                    \
                                                                               \
		if (disk == NULL) {                                            \
			return no_disk(self);                                  \
		}                                                              \
		*r->out.param = (value);                                       \
		return ISTM_S_OK;                                              \
	}

#define WTDISK_GET_STRING_OF(find, prop, iface, param, value)                  \
	static HRESULT wtdisk_get_##prop(struct dcom_call *call, void *self,   \
					 struct iface##_get_##prop *r)         \
	{                                                                      \
		const struct model_disk *disk = find(self);                    \
                                                                               \
		if (disk == NULL) {                                            \
			return no_disk(self);                                  \
		}                                                              \
		return istm_return_string(call, (value), r->out.param);        \
	}

#define WTDISK_GET(prop, iface, param, value)                                  \
	WTDISK_GET_OF(online_disk, prop, iface, param, value)
#define WTDISK_GET_STRING(prop, iface, param, value)                           \
	WTDISK_GET_STRING_OF(online_disk, prop, iface, param, value)

WTDISK_GET(Guid, IWTDisk, pGuid, disk->guid)

static HRESULT wtdisk_get_SerialNumber(struct dcom_call *call, void *self,
				       struct IWTDisk_get_SerialNumber *r)
{
	const struct model_disk *disk = online_disk(self);

	if (disk == NULL) {
		return no_disk(self);
	}
	if (!disk->usable) {
		return ISTM_POINTER; /* 3.43.4.2: not properly initialised */
	}
	return istm_return_string(call, disk->serial, r->out.pSerialNumber);
}

/* Offline too, as are path, resource and group. */
WTDISK_GET_OF(self_disk, WTD, IWTDisk, pWTD, disk->index)
/* The values of WTDType and of the model's enumeration are the same. */
WTDISK_GET(Type, IWTDisk, pType, (enum WTDType)disk->type)
WTDISK_GET(Flags, IWTDisk, pFlags, disk->flags)
/* So are those of DeviceStatus. */
WTDISK_GET(Status, IWTDisk, pStatus,
	   (enum DeviceStatus)model_disk_status(model_of(self), disk))
/* Windows answers E_NOTIMPL (<93>). */
WTDISK_GET(Assigned, IWTDisk, pAssigned, model_disk_assigned(disk))
WTDISK_GET_STRING(Description, IWTDisk, pDescription, disk->description)

static HRESULT wtdisk_put_Description(struct dcom_call *call, void *self,
				      struct IWTDisk_put_Description *r)
{
	struct model_disk *disk = online_disk(self);

	if (disk == NULL) {
		return no_disk(self);
	}
	return istm_audit(
		call,
		model_disk_set_description(model_of(self), disk,
					   bstr_or_empty(&r->in.Description)),
		"disk %u: description \"%s\"", disk->index,
		bstr_or_empty(&r->in.Description));
}

WTDISK_GET_STRING_OF(self_disk, DevicePath, IWTDisk, pDevicePath, disk->path)

static HRESULT wtdisk_put_DevicePath(struct dcom_call *call, void *self,
				     struct IWTDisk_put_DevicePath *r)
{
	struct model_disk *disk = online_disk(self);

	if (disk == NULL) {
		return no_disk(self);
	}
	return istm_audit(call,
			  model_disk_set_path(model_of(self), disk,
					      bstr_or_empty(&r->in.DevicePath)),
			  "disk %u: path \"%s\"", disk->index,
			  bstr_or_empty(&r->in.DevicePath));
}

WTDISK_GET(Size, IWTDisk, pSize, disk->size)

/* ---- snapshot storage ---- */

/*
 * 3.43.4.18, .20 and .22.
 * @return whether there is a value; otherwise *result is the answer, with an
 *         empty value if that is S_OK
 */
static bool snapshot_storage_readable(void *self, const struct model_disk *disk,
				      HRESULT *result)
{
	*result = ISTM_S_OK;
	if (disk == NULL) {
		*result = no_disk(self);
	} else if (disk->type != MODEL_DISK_FILE) {
		*result = ISTM_INVALID_ARG;
	} else if (disk->enabled && (disk->flags & MODEL_DISK_SHADOW) == 0 &&
		   disk->vhd_type != VHD_TYPE_DIFFERENCING) {
		return true;
	}
	return false;
}

static HRESULT wtdisk_get_SnapshotStoragePath(
	struct dcom_call *call, void *self,
	struct IWTDisk_get_SnapshotStoragePath *r)
{
	const struct model_disk *disk = online_disk(self);
	const char *path = "";
	HRESULT result;

	if (snapshot_storage_readable(self, disk, &result)) {
		path = disk->snapshot_storage_path;
	} else if (ISTM_FAILED(result)) {
		return result;
	}
	return istm_return_string(call, path, r->out.pSnapshotStoragePath);
}

static HRESULT wtdisk_put_SnapshotStoragePath(
	struct dcom_call *call, void *self,
	struct IWTDisk_put_SnapshotStoragePath *r)
{
	struct model_disk *disk = online_disk(self);
	const char *path = bstr_or_empty(&r->in.SnapshotStoragePath);

	if (disk == NULL) {
		return no_disk(self);
	}
	return istm_audit(call,
			  model_disk_set_snapshot_storage_path(model_of(self),
							       disk, path),
			  "disk %u: snapshot storage \"%s\"", disk->index,
			  path);
}

static HRESULT wtdisk_get_SnapshotStorageSize(
	struct dcom_call *call, void *self,
	struct IWTDisk_get_SnapshotStorageSize *r)
{
	const struct model_disk *disk = online_disk(self);
	HRESULT result;

	*r->out.pSize = 0;
	if (snapshot_storage_readable(self, disk, &result)) {
		*r->out.pSize = disk->snapshot_storage_size;
	}
	return result;
}

static HRESULT wtdisk_put_SnapshotStorageSize(
	struct dcom_call *call, void *self,
	struct IWTDisk_put_SnapshotStorageSize *r)
{
	struct model_disk *disk = online_disk(self);
	int64_t size = r->in.nSize;

	if (disk == NULL) {
		return no_disk(self);
	}
	return istm_audit(call,
			  model_disk_set_snapshot_storage_size(model_of(self),
							       disk, size),
			  "disk %u: snapshot storage of %lld bytes",
			  disk->index, (long long)size);
}

static HRESULT wtdisk_get_SnapshotStorageUsedSize(
	struct dcom_call *call, void *self,
	struct IWTDisk_get_SnapshotStorageUsedSize *r)
{
	const struct model_disk *disk = online_disk(self);
	HRESULT result;

	*r->out.pSize = 0;
	if (snapshot_storage_readable(self, disk, &result)) {
		*r->out.pSize = model_disk_snapshot_used(model_of(self), disk);
	}
	return result;
}

/* ---- local mounts ---- */

static struct model_mount_info mount_info(void *self,
					  const struct model_disk *disk)
{
	struct model_mount_info info;

	model_disk_mount_info(model_of(self), disk, &info);
	return info;
}

/* The values of MountType and of the model's enumeration are the same. */
WTDISK_GET(LMType, IWTDisk, pType, (enum MountType)mount_info(self, disk).type)
WTDISK_GET(LMStatus, IWTDisk, pStatus,
	   (enum MountType)mount_info(self, disk).type)
WTDISK_GET(LMTimeStamp, IWTDisk, pTimeStamp, mount_info(self, disk).time_stamp)
WTDISK_GET_STRING(LMCurrMountDeviceId, IWTDisk, pDeviceId,
		  mount_info(self, disk).device_id)
WTDISK_GET(LMSnapshotId, IWTDisk, pLMSnapshotId,
	   mount_info(self, disk).snapshot)

/* These two Windows answers with E_NOTIMPL (<97> to <100>). */
WTDISK_GET(LMWTManageMountPoint, IWTDisk, pManage, disk->manage_mount_point)
WTDISK_GET_STRING(LMMountPoint, IWTDisk, pPath, disk->mount_point)

static HRESULT wtdisk_put_LMWTManageMountPoint(
	struct dcom_call *call, void *self,
	struct IWTDisk_put_LMWTManageMountPoint *r)
{
	struct model_disk *disk = online_disk(self);

	if (disk == NULL) {
		return no_disk(self);
	}
	return istm_audit(call,
			  model_disk_set_manage_mount_point(
				  model_of(self), disk, r->in.bManage != 0),
			  "disk %u: %s be mounted on the server", disk->index,
			  r->in.bManage ? "may" : "may not");
}

static HRESULT wtdisk_put_LMMountPoint(struct dcom_call *call, void *self,
				       struct IWTDisk_put_LMMountPoint *r)
{
	struct model_disk *disk = online_disk(self);
	const char *path = bstr_or_empty(&r->in.Path);

	if (disk == NULL) {
		return no_disk(self);
	}
	return istm_audit(
		call, model_disk_set_mount_point(model_of(self), disk, path),
		"disk %u: mount point \"%s\"", disk->index, path);
}

HRESULT istm_mounted(struct tevent_req *req, struct dcom_call *call, void *r)
{
	return model_mount_recv(req);
}

static HRESULT wtdisk_DVMountDirect(struct dcom_call *call, void *self,
				    struct IWTDisk_DVMountDirect *r)
{
	struct model_disk *disk = online_disk(self);

	if (disk == NULL) {
		return no_disk(self);
	}
	return istm_defer(call,
			  model_disk_mount_send(dcom_call_mem(call),
						model_of(self), disk),
			  istm_mounted, r, "disk %u: mount on the server",
			  disk->index);
}

static HRESULT wtdisk_DVDismount(struct dcom_call *call, void *self,
				 struct IWTDisk_DVDismount *r)
{
	struct model_disk *disk = online_disk(self);

	if (disk == NULL) {
		return no_disk(self);
	}
	return istm_defer(call,
			  model_disk_dismount_send(dcom_call_mem(call),
						   model_of(self), disk),
			  istm_mounted, r, "disk %u: dismount", disk->index);
}

static HRESULT wtdisk_EnumLMMountPoints(struct dcom_call *call, void *self,
					struct IWTDisk_EnumLMMountPoints *r)
{
	TALLOC_CTX *mem_ctx = dcom_call_mem(call);
	const struct model_disk *disk = online_disk(self);
	struct MOUNT_POINT *items;
	const char **paths = NULL;
	size_t num;

	if (disk == NULL) {
		return no_disk(self);
	}
	num = model_disk_mount_points(model_of(self), disk, mem_ctx, &paths);
	items = talloc_zero_array(mem_ctx, struct MOUNT_POINT, num);
	if (items == NULL) {
		return ISTM_OUT_OF_MEMORY;
	}
	for (size_t i = 0; i < num; i++) {
		WCHAR_SET(items[i].szPath, paths[i]);
	}
	return istm_return_enum(istm_of(self), call, ISTM_ENUM_LM_MOUNT_POINT,
				items, num, r->out.ppEnumLMMountPoint);
}

/* ---- the rest ---- */

static HRESULT wtdisk_saved(struct tevent_req *req, struct dcom_call *call,
			    void *r)
{
	return model_disk_save_recv(req);
}

static HRESULT wtdisk_Save(struct dcom_call *call, void *self,
			   struct IWTDisk_Save *r)
{
	struct model_disk *disk = online_disk(self);

	if (disk == NULL) {
		return no_disk(self);
	}
	return istm_defer(call,
			  model_disk_save_send(dcom_call_mem(call),
					       model_of(self), disk),
			  wtdisk_saved, r, "disk %u: save", disk->index);
}

static HRESULT wtdisk_GetVdsLunInfo(struct dcom_call *call, void *self,
				    struct IWTDisk_GetVdsLunInfo *r)
{
	const struct model_disk *disk = online_disk(self);

	*r->out.pVdsLunInfo = (struct VDS_LUN_INFORMATION){0};
	if (disk == NULL) {
		return no_disk(self);
	}
	if (!disk->usable) {
		return ISTM_POINTER;
	}
	return istm_vds_lun_information(call, model_of(self), disk, NULL,
					r->out.pVdsLunInfo);
}

static HRESULT wtdisk_GetDeviceVolumeGuid(struct dcom_call *call, void *self,
					  struct IWTDisk_GetDeviceVolumeGuid *r)
{
	const struct model_disk *disk = online_disk(self);
	struct model_volume *volume = NULL;
	HRESULT result;

	if (disk == NULL) {
		return no_disk(self);
	}
	if (disk->type != MODEL_DISK_FILE) {
		return ISTM_INVALID_ARG;
	}
	if ((disk->flags & MODEL_DISK_SHADOW) != 0) {
		disk = model_disk_original(model_of(self), disk);
		if (disk == NULL) {
			return ISTM_FILE_NOT_FOUND;
		}
	}
	result = model_volume_of_path(model_of(self), dcom_call_mem(call),
				      disk->path, &volume);
	if (ISTM_FAILED(result)) {
		return ISTM_FILE_NOT_FOUND;
	}
	*r->out.pGuid = volume->guid;
	return ISTM_S_OK;
}

WTDISK_GET(Enable, IWTDisk2, pEnable, disk->enabled)

static HRESULT wtdisk_put_Enable(struct dcom_call *call, void *self,
				 struct IWTDisk2_put_Enable *r)
{
	struct model_disk *disk = online_disk(self);
	const char *what = r->in.bEnable ? "enable" : "disable";
	HRESULT result;

	if (disk == NULL) {
		return no_disk(self);
	}
	result = model_disk_set_enabled(model_of(self), disk,
					r->in.bEnable != 0);
	if (ISTM_FAILED(result) || !model_disk_mounting(disk)) {
		return istm_audit(call, result, "disk %u: %s", disk->index,
				  what);
	}
	return istm_defer(call,
			  model_disk_settled_send(dcom_call_mem(call),
						  model_of(self), disk),
			  istm_mounted, r, "disk %u: %s", disk->index, what);
}

WTDISK_GET_STRING_OF(self_disk, ResourceName, IWTDisk2, pResourceName,
		     disk->resource_name)

static HRESULT wtdisk_put_ResourceName(struct dcom_call *call, void *self,
				       struct IWTDisk2_put_ResourceName *r)
{
	struct model_disk *disk = self_disk(self);
	const char *name = bstr_or_empty(&r->in.ResourceName);

	if (disk == NULL) {
		return no_disk(self);
	}
	return istm_audit(
		call, model_disk_set_resource_name(model_of(self), disk, name),
		"disk %u: resource name \"%s\"", disk->index, name);
}

/* Empty outside a cluster (3.44.4.5). */
WTDISK_GET_STRING_OF(self_disk, ResourceGroupName, IWTDisk2, pResourceGroup,
		     model_disk_group(model_of(self), dcom_call_mem(call),
				      disk))

/* Always success (3.44.4.7, <104>). */
static HRESULT wtdisk_IsAlive(struct dcom_call *call, void *self,
			      struct IWTDisk2_IsAlive *r)
{
	return self_disk(self) != NULL ? ISTM_S_OK : ISTM_FILE_NOT_FOUND;
}

/* Every caller over the network is a remote one (3.44.4.8). */
static HRESULT wtdisk_SaveToStream(struct dcom_call *call, void *self,
				   struct IWTDisk2_SaveToStream *r)
{
	return ISTM_ACCESS_DENIED;
}

static enum VhdType vhd_type(const struct model_disk *disk)
{
	switch (disk->vhd_type) {
	case VHD_TYPE_FIXED:
		return FixedVhd;
	case VHD_TYPE_DIFFERENCING:
		return DifferencingVhd;
	case VHD_TYPE_DYNAMIC:
		return DynamicVhd;
	case VHD_TYPE_RAM:
	case VHD_TYPE_NONE:
		break;
	}
	return InvalidVhd;
}

WTDISK_GET(VhdType, IWTDisk3, Type, vhd_type(disk))

/* Only a differencing disk has a parent: no string is assigned to others
 * (3.45.4.2). */
static HRESULT wtdisk_get_ParentPath(struct dcom_call *call, void *self,
				     struct IWTDisk3_get_ParentPath *r)
{
	const struct model_disk *disk = online_disk(self);

	if (disk == NULL) {
		return no_disk(self);
	}
	if (disk->vhd_type != VHD_TYPE_DIFFERENCING) {
		return ISTM_S_OK;
	}
	return istm_return_string(call, disk->parent_path, r->out.ParentPath);
}

/* Likewise (3.45.4.3). */
WTDISK_GET(AllocatedSize, IWTDisk3, Size,
	   disk->vhd_type == VHD_TYPE_DIFFERENCING
		   ? model_disk_allocated(model_of(self), disk)
		   : 0)
WTDISK_GET(CacheParent, IWTDisk3, CacheParent, disk->cache_parent)

static HRESULT wtdisk_put_CacheParent(struct dcom_call *call, void *self,
				      struct IWTDisk3_put_CacheParent *r)
{
	struct model_disk *disk = online_disk(self);

	if (disk == NULL) {
		return no_disk(self);
	}
	return istm_audit(call,
			  model_disk_set_cache_parent(model_of(self), disk,
						      r->in.CacheParent != 0),
			  "disk %u: cache of the parent %s", disk->index,
			  r->in.CacheParent ? "on" : "off");
}

WTDISK_GET_OF(self_disk, ResourceState, IWTDisk3, ResourceState,
	      model_disk_resource_state(model_of(self), disk))

static HRESULT wtdisk_GetLunStatus(struct dcom_call *call, void *self,
				   struct IWTDisk3_GetLunStatus *r)
{
	const struct model_disk *disk = online_disk(self);
	uint32_t percent;
	HRESULT completion;

	if (disk == NULL) {
		return no_disk(self);
	}
	if (!disk->enabled || !disk->usable) {
		return ISTM_FAIL;
	}
	model_disk_progress(model_of(self), disk, &percent, &completion);
	*r->out.Status = (struct LUN_STATUS){
		.dwLun = disk->index,
		.eStatus = (enum DeviceStatus)model_disk_status(model_of(self),
								disk),
		.dwProgressPercent = percent,
		.dwCompletionError = HRES_ERROR_V(completion),
	};
	return ISTM_S_OK;
}

#define NOTIMPL(X)                                                             \
	X(IWTDisk, put_WTD, "the index identifies the disk (<89>)")            \
	X(IWTDisk, put_Type, "fixed at creation (<90>)")                       \
	X(IWTDisk, put_Flags, "kept by the server (<91>)")                     \
	X(IWTDisk, put_Status, "computed from the sessions (<92>)")            \
	X(IWTDisk, put_Assigned, "AddWTDisk of a target does that (<94>)")     \
	X(IWTDisk, put_LMType, "DVMountDirect and DVMount do that (<96>)")     \
	X(IWTDisk, put_LMCurrMountDeviceId, "kept by the server (<101>)")      \
	X(IWTDisk2, put_ResourceGroupName,                                     \
	  "a group is chosen at creation, Windows refuses too (<103>)")        \
	X(IWTDisk3, put_ResourceState,                                         \
	  "the cluster sets it, Windows refuses too (<107>)")

NOTIMPL(ISTM_NOTIMPL_FUNCTION)

static const struct IWTDisk_vtbl wtdisk_methods = {
	.get_Guid = wtdisk_get_Guid,
	.get_SerialNumber = wtdisk_get_SerialNumber,
	.get_WTD = wtdisk_get_WTD,
	.get_Type = wtdisk_get_Type,
	.get_Flags = wtdisk_get_Flags,
	.get_Status = wtdisk_get_Status,
	.get_Assigned = wtdisk_get_Assigned,
	.get_Description = wtdisk_get_Description,
	.put_Description = wtdisk_put_Description,
	.get_DevicePath = wtdisk_get_DevicePath,
	.put_DevicePath = wtdisk_put_DevicePath,
	.get_Size = wtdisk_get_Size,
	.get_SnapshotStoragePath = wtdisk_get_SnapshotStoragePath,
	.put_SnapshotStoragePath = wtdisk_put_SnapshotStoragePath,
	.get_SnapshotStorageSize = wtdisk_get_SnapshotStorageSize,
	.put_SnapshotStorageSize = wtdisk_put_SnapshotStorageSize,
	.get_SnapshotStorageUsedSize = wtdisk_get_SnapshotStorageUsedSize,
	.get_LMType = wtdisk_get_LMType,
	.get_LMStatus = wtdisk_get_LMStatus,
	.get_LMTimeStamp = wtdisk_get_LMTimeStamp,
	.get_LMCurrMountDeviceId = wtdisk_get_LMCurrMountDeviceId,
	.get_LMWTManageMountPoint = wtdisk_get_LMWTManageMountPoint,
	.put_LMWTManageMountPoint = wtdisk_put_LMWTManageMountPoint,
	.get_LMMountPoint = wtdisk_get_LMMountPoint,
	.put_LMMountPoint = wtdisk_put_LMMountPoint,
	.DVMountDirect = wtdisk_DVMountDirect,
	.get_LMSnapshotId = wtdisk_get_LMSnapshotId,
	.Save = wtdisk_Save,
	.DVDismount = wtdisk_DVDismount,
	.EnumLMMountPoints = wtdisk_EnumLMMountPoints,
	.GetVdsLunInfo = wtdisk_GetVdsLunInfo,
	.GetDeviceVolumeGuid = wtdisk_GetDeviceVolumeGuid,
	.get_Enable = wtdisk_get_Enable,
	.put_Enable = wtdisk_put_Enable,
	.get_ResourceName = wtdisk_get_ResourceName,
	.put_ResourceName = wtdisk_put_ResourceName,
	.get_ResourceGroupName = wtdisk_get_ResourceGroupName,
	.IsAlive = wtdisk_IsAlive,
	.SaveToStream = wtdisk_SaveToStream,
	.get_VhdType = wtdisk_get_VhdType,
	.get_ParentPath = wtdisk_get_ParentPath,
	.get_AllocatedSize = wtdisk_get_AllocatedSize,
	.get_CacheParent = wtdisk_get_CacheParent,
	.put_CacheParent = wtdisk_put_CacheParent,
	.get_ResourceState = wtdisk_get_ResourceState,
	.GetLunStatus = wtdisk_GetLunStatus,
	NOTIMPL(ISTM_NOTIMPL_MEMBER)};

static const char *wtdisk_describe(void *self, TALLOC_CTX *mem_ctx)
{
	const struct model_disk *disk = self_disk(self);

	if (disk == NULL) {
		return "disk that has been deleted";
	}
	return talloc_asprintf(mem_ctx, "disk %u", disk->index);
}

static const struct com_interface *const wtdisk_interfaces[] = {
	&com_IWTDisk, &com_IWTDisk2, &com_IWTDisk3, NULL};

const struct dcom_object_type istm_wtdisk_type = {
	.name = "disk",
	.interfaces = wtdisk_interfaces,
	.vtbl = &wtdisk_methods,
	.describe = wtdisk_describe,
};

static const struct istm_decision wtdisk_decisions[] = {
	NOTIMPL(ISTM_NOTIMPL_ROW)};

const struct istm_type istm_wtdisk_entry = {
	.type = &istm_wtdisk_type,
	.decisions = wtdisk_decisions,
	.num_decisions = sizeof(wtdisk_decisions) / sizeof(wtdisk_decisions[0]),
};
