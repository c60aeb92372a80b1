/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ILocalDeviceMgr to ILocalDeviceMgr3: volumes, VHD files, portals (MS-ISTM
 * 3.30, 3.32, 3.33). Paths are checked in the model (design.md section 4); a
 * NULL path is a malformed one.
 */
#include "server/istm/private.h"

/* ---- disks and volumes ---- */

/*
 * Windows returns an empty enumeration (<7>, <8>, <58>, <71>). The form of the
 * path is that of Appendix B <3>, which clients know; the index leads from a
 * volume to its disk.
 */
static void disk2(const struct model_block_device *device, struct DISK2 *out)
{
	char path[32];

	snprintf(path, sizeof(path), "\\\\.\\PhysicalDrive%u", device->index);
	*out = (struct DISK2){
		.dwIndex = device->index,
		.hySize = device->size,
	};
	WCHAR_SET(out->szWin32Path, path);
}

static HRESULT device_EnumDisks(struct dcom_call *call, void *self,
				struct ILocalDeviceMgr_EnumDisks *r)
{
	TALLOC_CTX *mem_ctx = dcom_call_mem(call);
	struct model_block_device *devices = NULL;
	size_t count = model_block_devices(model_of(self), mem_ctx, &devices);
	struct DISK *items = talloc_zero_array(mem_ctx, struct DISK, count);

	if (items == NULL) {
		return ISTM_OUT_OF_MEMORY;
	}
	for (size_t i = 0; i < count; i++) {
		struct DISK2 d;

		disk2(&devices[i], &d);
		items[i].dwIndex = d.dwIndex;
		items[i].hySize = d.hySize;
		memcpy(items[i].szWin32Path, d.szWin32Path,
		       sizeof(items[i].szWin32Path));
	}
	return istm_return_enum(istm_of(self), call, ISTM_ENUM_DISK, items,
				count, r->out.ppEnumDisk);
}

static HRESULT device_EnumDisks2(struct dcom_call *call, void *self,
				 struct ILocalDeviceMgr2_EnumDisks2 *r)
{
	TALLOC_CTX *mem_ctx = dcom_call_mem(call);
	struct model_block_device *devices = NULL;
	size_t count = model_block_devices(model_of(self), mem_ctx, &devices);
	struct DISK2 *items = talloc_zero_array(mem_ctx, struct DISK2, count);

	if (items == NULL) {
		return ISTM_OUT_OF_MEMORY;
	}
	for (size_t i = 0; i < count; i++) {
		disk2(&devices[i], &items[i]);
	}
	return istm_return_enum(istm_of(self), call, ISTM_ENUM_DISK2, items,
				count, r->out.ppEnumDisk);
}

static HRESULT device_EnumVolumes(struct dcom_call *call, void *self,
				  struct ILocalDeviceMgr_EnumVolumes *r)
{
	TALLOC_CTX *mem_ctx = dcom_call_mem(call);
	struct model_volume *volumes = NULL;
	size_t count = model_volumes(model_of(self), mem_ctx, &volumes);
	struct VOLUME *items = talloc_zero_array(mem_ctx, struct VOLUME, count);

	if (items == NULL) {
		return ISTM_OUT_OF_MEMORY;
	}
	for (size_t i = 0; i < count; i++) {
		istm_volume(&volumes[i], &items[i]);
	}
	return istm_return_enum(istm_of(self), call, ISTM_ENUM_VOLUME, items,
				count, r->out.ppEnumVolume);
}

static HRESULT device_EnumVolumes2(struct dcom_call *call, void *self,
				   struct ILocalDeviceMgr2_EnumVolumes2 *r)
{
	TALLOC_CTX *mem_ctx = dcom_call_mem(call);
	struct model_volume *volumes = NULL;
	size_t count = model_volumes(model_of(self), mem_ctx, &volumes);
	struct VOLUME2 *items =
		talloc_zero_array(mem_ctx, struct VOLUME2, count);

	if (items == NULL) {
		return ISTM_OUT_OF_MEMORY;
	}
	for (size_t i = 0; i < count; i++) {
		istm_volume2(&volumes[i], &items[i]);
		WCHAR_SET(items[i].szResourceGroup,
			  model_volume_group(model_of(self), mem_ctx,
					     &volumes[i]));
	}
	return istm_return_enum(istm_of(self), call, ISTM_ENUM_VOLUME2, items,
				count, r->out.ppEnumVolume);
}

/* The volume of a path; ERROR_FILE_NOT_FOUND where there is none. */
static HRESULT find_volume(struct dcom_call *call, void *self,
			   const struct BSTR *path,
			   struct model_volume **volume)
{
	HRESULT result;

	*volume = NULL;
	if (bstr_empty(path)) {
		return ISTM_FILE_NOT_FOUND;
	}
	result = model_volume_of_path(model_of(self), dcom_call_mem(call),
				      path->s, volume);
	return ISTM_FAILED(result) || *volume == NULL ? ISTM_FILE_NOT_FOUND
						      : ISTM_S_OK;
}

static HRESULT device_GetVolumeInfo(struct dcom_call *call, void *self,
				    struct ILocalDeviceMgr2_GetVolumeInfo *r)
{
	struct model_volume *volume;
	HRESULT result = find_volume(call, self, &r->in.VolumePath, &volume);

	*r->out.pVolumeInfo = (struct VOLUME2){0};
	if (!ISTM_FAILED(result)) {
		istm_volume2(volume, r->out.pVolumeInfo);
		WCHAR_SET(r->out.pVolumeInfo->szResourceGroup,
			  model_volume_group(model_of(self),
					     dcom_call_mem(call), volume));
	}
	return result;
}

static HRESULT device_GetDriveInfo(struct dcom_call *call, void *self,
				   struct ILocalDeviceMgr_GetDriveInfo *r)
{
	struct model_volume *volume;
	HRESULT result = find_volume(call, self, &r->in.Drive, &volume);

	*r->out.pDriveInfo = (struct DRIVE_INFO){0};
	if (!ISTM_FAILED(result)) {
		char drive[] = {volume->letter, ':', '\\', '\0'};

		WCHAR_SET(r->out.pDriveInfo->szDrive, drive);
		r->out.pDriveInfo->hySize = volume->size;
		r->out.pDriveInfo->hyFreeSpace = volume->free;
		r->out.pDriveInfo->bSupportSparseFiles = volume->sparse;
	}
	return result;
}

/* Always true (<60>): clients show a page less otherwise. */
static HRESULT device_IsDiskPartAvailable(
	struct dcom_call *call, void *self,
	struct ILocalDeviceMgr_IsDiskPartAvailable *r)
{
	*r->out.bAvail = 1;
	return ISTM_S_OK;
}

/* ---- files ---- */

static HRESULT device_probed(struct tevent_req *req, struct dcom_call *call,
			     void *r)
{
	struct vhd_info info;

	return model_file_probe_recv(req, &info);
}

static HRESULT device_IsValidWtDevice(struct dcom_call *call, void *self,
				      struct ILocalDeviceMgr_IsValidWtDevice *r)
{
	if (bstr_empty(&r->in.DevicePath)) {
		return ISTM_INVALID_ARG;
	}
	return istm_defer(call,
			  model_file_probe_send(dcom_call_mem(call),
						model_of(self),
						r->in.DevicePath.s),
			  device_probed, r, NULL);
}

static HRESULT device_file_created(struct tevent_req *req,
				   struct dcom_call *call, void *r)
{
	return model_file_create_recv(req);
}

/* hyFileSize is signed on the wire: less than nothing is too small, and too
 * small comes before too big (3.30.4.6). */
static HRESULT device_CreateWtFile(struct dcom_call *call, void *self,
				   struct ILocalDeviceMgr_CreateWtFile *r)
{
	int64_t size = r->in.hyFileSize;
	const char *path = bstr_or_empty(&r->in.FilePath);

	return istm_defer(call,
			  model_file_create_send(
				  dcom_call_mem(call), model_of(self), path,
				  size < 0 ? 0 : size, r->in.bSparse != 0),
			  device_file_created, r,
			  "create file \"%s\" of %lld bytes%s", path,
			  (long long)size, r->in.bSparse ? ", sparse" : "");
}

static HRESULT device_diff_created(struct tevent_req *req,
				   struct dcom_call *call, void *r)
{
	return model_file_create_diff_recv(req);
}

static HRESULT device_CreateDiffWtFile(
	struct dcom_call *call, void *self,
	struct ILocalDeviceMgr3_CreateDiffWtFile *r)
{
	const char *path = bstr_or_empty(&r->in.FilePath);
	const char *parent = bstr_or_empty(&r->in.ParentPath);

	return istm_defer(call,
			  model_file_create_diff_send(dcom_call_mem(call),
						      model_of(self), path,
						      parent),
			  device_diff_created, r,
			  "create file \"%s\" over \"%s\"", path, parent);
}

static HRESULT device_file_grown(struct tevent_req *req, struct dcom_call *call,
				 void *r)
{
	return model_file_grow_recv(req);
}

/* hyAdditionalSize counts as unsigned (3.30.4.7). */
static HRESULT device_GrowWtFile(struct dcom_call *call, void *self,
				 struct ILocalDeviceMgr_GrowWtFile *r)
{
	const char *path = bstr_or_empty(&r->in.FilePath);

	return istm_defer(call,
			  model_file_grow_send(dcom_call_mem(call),
					       model_of(self), path,
					       r->in.hyAdditionalSize),
			  device_file_grown, r, "grow \"%s\" by %llu bytes",
			  path, (unsigned long long)r->in.hyAdditionalSize);
}

static HRESULT device_file_deleted(struct tevent_req *req,
				   struct dcom_call *call, void *r)
{
	return model_file_delete_recv(req);
}

static HRESULT device_DeleteWtFile(struct dcom_call *call, void *self,
				   struct ILocalDeviceMgr_DeleteWtFile *r)
{
	const char *path = bstr_or_empty(&r->in.FilePath);

	return istm_defer(call,
			  model_file_delete_send(dcom_call_mem(call),
						 model_of(self), path),
			  device_file_deleted, r, "delete file \"%s\"", path);
}

/* A malformed path is E_FAIL here, as in DoesFileExist it is not. */
static HRESULT device_IsPathValid(struct dcom_call *call, void *self,
				  struct ILocalDeviceMgr_IsPathValid *r)
{
	if (bstr_empty(&r->in.FilePath)) {
		return ISTM_FAIL;
	}
	return model_path_valid(model_of(self), r->in.FilePath.s);
}

/* Every volume passes for NTFS (design.md section 4). */
static HRESULT device_IsPathNtfs(struct dcom_call *call, void *self,
				 struct ILocalDeviceMgr_IsPathNtfs *r)
{
	struct model_volume *volume = NULL;
	HRESULT result;

	if (bstr_empty(&r->in.Path)) {
		return ISTM_INVALID_ARG;
	}
	result = model_volume_of_path(model_of(self), dcom_call_mem(call),
				      r->in.Path.s, &volume);
	if (HRES_IS_EQUAL(result, ISTM_INVALID_ARG)) {
		return result;
	}
	return ISTM_FAILED(result) || volume == NULL ? ISTM_S_FALSE : ISTM_S_OK;
}

static HRESULT device_DoesFileExist(struct dcom_call *call, void *self,
				    struct ILocalDeviceMgr_DoesFileExist *r)
{
	if (bstr_empty(&r->in.FilePath)) {
		return ISTM_INVALID_ARG;
	}
	return model_file_exists(model_of(self), r->in.FilePath.s);
}

static HRESULT device_EnumDirectory(struct dcom_call *call, void *self,
				    struct ILocalDeviceMgr_EnumDirectory *r)
{
	return istm_return_directory(istm_of(self), call,
				     r->out.ppDirectoryEnum);
}

/* ---- portals ---- */

HRESULT istm_return_portals(void *self, struct dcom_call *call,
			    const struct model_target *only,
			    struct MInterfacePointer **out)
{
	TALLOC_CTX *mem_ctx = dcom_call_mem(call);
	struct model *model = model_of(self);
	struct model_portal *portals = NULL;
	size_t count = only == NULL ? model_portals(model, mem_ctx, &portals)
				    : model_target_portals(model, only, mem_ctx,
							   &portals);
	struct PORTAL *items = talloc_zero_array(mem_ctx, struct PORTAL, count);

	if (items == NULL) {
		return ISTM_OUT_OF_MEMORY;
	}
	for (size_t i = 0; i < count; i++) {
		istm_portal(&portals[i], &items[i]);
	}
	return istm_return_enum(istm_of(self), call, ISTM_ENUM_PORTAL, items,
				count, out);
}

static HRESULT device_EnumPortals(struct dcom_call *call, void *self,
				  struct ILocalDeviceMgr_EnumPortals *r)
{
	return istm_return_portals(self, call, NULL, r->out.ppEnumPortal);
}

/* Outside a cluster all portals, whatever the group (3.32.4.9). */
static HRESULT device_EnumLocalPortals(
	struct dcom_call *call, void *self,
	struct ILocalDeviceMgr2_EnumLocalPortals *r)
{
	return istm_return_portals(self, call, NULL, r->out.ppEnumPortal);
}

static HRESULT device_GetPortal(struct dcom_call *call, void *self,
				struct ILocalDeviceMgr_GetPortal *r)
{
	struct model_portal *portal = NULL;
	HRESULT result =
		model_portal_by_address(model_of(self), dcom_call_mem(call),
					bstr_or_empty(&r->in.IpAddress),
					&portal);

	if (ISTM_FAILED(result)) {
		return result;
	}
	istm_portal(portal, r->out.pPortal);
	return ISTM_S_OK;
}

static HRESULT device_portal_set(struct tevent_req *req, struct dcom_call *call,
				 void *r)
{
	return model_portal_set_recv(req);
}

/* The portal is looked for before the port is (3.30.4.16). */
static HRESULT device_SetPortalConfig(struct dcom_call *call, void *self,
				      struct ILocalDeviceMgr_SetPortalConfig *r)
{
	struct model *model = model_of(self);
	TALLOC_CTX *mem_ctx = dcom_call_mem(call);
	const char *address = bstr_or_empty(&r->in.IpAddress);
	struct model_portal *portal = NULL;
	HRESULT result =
		model_portal_by_address(model, mem_ctx, address, &portal);

	if (!ISTM_FAILED(result) &&
	    (r->in.nPort == 0 || r->in.nPort > UINT16_MAX)) {
		result = ISTM_INVALID_ARG;
	}
	if (ISTM_FAILED(result)) {
		return istm_audit(call, result, "portal \"%s\": port %u",
				  address, r->in.nPort);
	}
	return istm_defer(call,
			  model_portal_set_send(mem_ctx, model, address,
						r->in.nPort, r->in.bUse != 0),
			  device_portal_set, r, "portal \"%s\": port %u, %s",
			  address, r->in.nPort,
			  r->in.bUse ? "listen" : "do not listen");
}

/* ---- the machine ---- */

static HRESULT device_rescanned(struct tevent_req *req, struct dcom_call *call,
				void *r)
{
	return model_rescan_recv(req);
}

/* Disks whose file was not there are tried again; the rest is looked at in
 * each call. What was begun goes on when nobody waits for it. */
static HRESULT device_DeviceManagerRescan(
	struct dcom_call *call, void *self,
	struct ILocalDeviceMgr_DeviceManagerRescan *r)
{
	struct tevent_req *req =
		model_rescan_send(dcom_call_mem(call), model_of(self));

	if (r->in.bSynchronous != 0 || req == NULL) {
		return istm_defer(call, req, device_rescanned, r,
				  "look for disks again");
	}
	talloc_free(req);
	return istm_audit(call, ISTM_S_OK, "look for disks again");
}

/* Windows answers E_NOTIMPL (<64>). The processors that this process may use,
 * as far as the mask has bits. */
static HRESULT device_GetProcessors(struct dcom_call *call, void *self,
				    struct ILocalDeviceMgr_GetProcessors *r)
{
	*r->out.pProcessors = model_processors(model_of(self));
	return ISTM_S_OK;
}

/* ---- resource groups: what the model's cluster knows ---- */

static HRESULT return_groups(struct dcom_call *call, void *self,
			     bool local_only, struct MInterfacePointer **out)
{
	TALLOC_CTX *mem_ctx = dcom_call_mem(call);
	struct model_group *groups = NULL;
	struct RESOURCE_GROUP *items;
	size_t num;
	HRESULT result = model_groups(model_of(self), mem_ctx, local_only,
				      &groups, &num);

	if (ISTM_FAILED(result)) {
		return result; /* E_NOTIMPL outside a cluster */
	}
	items = talloc_zero_array(mem_ctx, struct RESOURCE_GROUP, num);
	if (items == NULL) {
		return ISTM_OUT_OF_MEMORY;
	}
	for (size_t i = 0; i < num; i++) {
		WCHAR_SET(items[i].szName, groups[i].name);
	}
	return istm_return_enum(istm_of(self), call, ISTM_ENUM_RESOURCE_GROUP,
				items, num, out);
}

static HRESULT device_EnumResourceGroup(
	struct dcom_call *call, void *self,
	struct ILocalDeviceMgr2_EnumResourceGroup *r)
{
	return return_groups(call, self, false, r->out.ppEnumResourceGroup);
}

static HRESULT device_EnumLocalResourceGroup(
	struct dcom_call *call, void *self,
	struct ILocalDeviceMgr2_EnumLocalResourceGroup *r)
{
	return return_groups(call, self, true, r->out.ppEnumResourceGroup);
}

static HRESULT device_GetResourceGroupGuid(
	struct dcom_call *call, void *self,
	struct ILocalDeviceMgr2_GetResourceGroupGuid *r)
{
	return model_group_guid(model_of(self), r->in.ResourceGroup.s,
				r->out.pGuid);
}

/* A path that no group owns: as the properties of a disk, the empty name. */
static HRESULT device_GetResourceGroupFromPath(
	struct dcom_call *call, void *self,
	struct ILocalDeviceMgr2_GetResourceGroupFromPath *r)
{
	const char *group = NULL;
	HRESULT result = model_group_of_path(
		model_of(self), dcom_call_mem(call), r->in.FilePath.s, &group);

	return ISTM_FAILED(result)
		       ? result
		       : istm_return_string(call, group, r->out.pResourceGroup);
}

static HRESULT device_RenameResourceGroup(
	struct dcom_call *call, void *self,
	struct ILocalDeviceMgr2_RenameResourceGroup *r)
{
	const char *group = bstr_or_empty(&r->in.ResourceGroup);
	const char *name = bstr_or_empty(&r->in.NewResourceGroup);

	return istm_audit(call, model_group_rename(model_of(self), group, name),
			  "resource group \"%s\": name \"%s\"", group, name);
}

static HRESULT device_GetResourceGroupOwner(
	struct dcom_call *call, void *self,
	struct ILocalDeviceMgr2_GetResourceGroupOwner *r)
{
	const char *node = NULL;
	HRESULT result = model_group_owner(model_of(self), dcom_call_mem(call),
					   r->in.ResourceGroup.s, &node);

	return ISTM_FAILED(result)
		       ? result
		       : istm_return_string(call, node, r->out.pOwner);
}

#define NOTIMPL(X)                                                             \
	X(ILocalDeviceMgr, CreateVolume,                                       \
	  "volumes are directories that smb.conf names (<59>)")

NOTIMPL(ISTM_NOTIMPL_FUNCTION)

static const struct ILocalDeviceMgr_vtbl device_methods = {
	.EnumDisks = device_EnumDisks,
	.EnumVolumes = device_EnumVolumes,
	.IsValidWtDevice = device_IsValidWtDevice,
	.IsDiskPartAvailable = device_IsDiskPartAvailable,
	.CreateWtFile = device_CreateWtFile,
	.CreateDiffWtFile = device_CreateDiffWtFile,
	.GrowWtFile = device_GrowWtFile,
	.DeleteWtFile = device_DeleteWtFile,
	.IsPathValid = device_IsPathValid,
	.IsPathNtfs = device_IsPathNtfs,
	.DoesFileExist = device_DoesFileExist,
	.GetDriveInfo = device_GetDriveInfo,
	.EnumDirectory = device_EnumDirectory,
	.EnumPortals = device_EnumPortals,
	.GetPortal = device_GetPortal,
	.SetPortalConfig = device_SetPortalConfig,
	.DeviceManagerRescan = device_DeviceManagerRescan,
	.GetProcessors = device_GetProcessors,
	.EnumDisks2 = device_EnumDisks2,
	.EnumVolumes2 = device_EnumVolumes2,
	.GetVolumeInfo = device_GetVolumeInfo,
	.EnumResourceGroup = device_EnumResourceGroup,
	.EnumLocalResourceGroup = device_EnumLocalResourceGroup,
	.GetResourceGroupGuid = device_GetResourceGroupGuid,
	.GetResourceGroupFromPath = device_GetResourceGroupFromPath,
	.RenameResourceGroup = device_RenameResourceGroup,
	.EnumLocalPortals = device_EnumLocalPortals,
	.GetResourceGroupOwner = device_GetResourceGroupOwner,
	NOTIMPL(ISTM_NOTIMPL_MEMBER)};

static const struct com_interface *const device_interfaces[] = {
	&com_ILocalDeviceMgr, &com_ILocalDeviceMgr2, &com_ILocalDeviceMgr3,
	NULL};

const struct dcom_object_type istm_local_device_mgr_type = {
	.name = "local device manager",
	.interfaces = device_interfaces,
	.vtbl = &device_methods,
};

static const struct istm_decision device_decisions[] = {
	NOTIMPL(ISTM_NOTIMPL_ROW)};

const struct istm_type istm_local_device_mgr_entry = {
	.type = &istm_local_device_mgr_type,
	.decisions = device_decisions,
	.num_decisions = sizeof(device_decisions) / sizeof(device_decisions[0]),
};
