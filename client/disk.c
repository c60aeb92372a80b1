/* SPDX-License-Identifier: GPL-3.0-or-later */
/* istmctl disk … : virtual disks and their files. */
#include <stdio.h>

#include "client/istmctl.h"
#include "server/core/errors.h"

static const char *const status_names[] = {"idle", "in use", "reverting"};
static const char *const type_names[] = {"volume", "file", "ram"};
static const char *const vhd_names[] = {"none", "fixed", "differencing",
					"dynamic"};

#define NAME_OF(names, value)                                                  \
	((size_t)(value) < sizeof(names) / sizeof((names)[0]) ? (names)[value] \
							      : "unknown")

static struct istm_object *disk_mgr(struct ctl *ctl)
{
	return ctl_class(ctl, &com_class_WTDiskMgr, &com_IWTDiskMgr);
}

static struct istm_object *device_mgr(struct ctl *ctl)
{
	return ctl_class(ctl, &com_class_LocalDeviceMgr, &com_ILocalDeviceMgr);
}

struct istm_object *ctl_disk(struct ctl *ctl, uint32_t index)
{
	struct istm_object *mgr = disk_mgr(ctl);
	struct IWTDiskMgr_GetWTDisk r = {.in.nWTD = index};
	HRESULT hr;

	if (mgr == NULL) {
		return NULL;
	}
	hr = istm_call(mgr, ctl->mem, NDR_IWTDISKMGR_GETWTDISK, &r);
	if (!ctl_is_ok(hr)) {
		ctl_fail(ctl, hr, "getting disk %u", index);
		return NULL;
	}
	return ctl_object(ctl, mgr, &com_IWTDisk, r.out.ppWTDisk, "disk");
}

static bool disk_argument(struct ctl *ctl, uint32_t *index)
{
	if (!ctl_parse_number(ctl->args[0], UINT32_MAX, index)) {
		ctl_usage("'%s' is not the number of a disk", ctl->args[0]);
		return false;
	}
	return true;
}

static int disk_record(struct ctl *ctl, struct istm_object *disk, bool all)
{
	TALLOC_CTX *mem = ctl->mem;
	struct IWTDisk_get_WTD wtd = {0};
	struct IWTDisk_get_DevicePath path = {0};
	struct IWTDisk_get_Description description = {0};
	struct IWTDisk_get_Size size = {0};
	struct IWTDisk_get_Status status = {0};
	struct IWTDisk_get_Type type = {0};
	struct IWTDisk_get_SerialNumber serial = {0};
	struct IWTDisk_get_Guid guid = {0};
	bool usable;
	HRESULT hr;

	hr = istm_call(disk, mem, NDR_IWTDISK_GET_WTD, &wtd);
	if (ctl_is_ok(hr)) {
		hr = istm_call(disk, mem, NDR_IWTDISK_GET_DEVICEPATH, &path);
	}
	if (ctl_is_ok(hr)) {
		hr = istm_call(disk, mem, NDR_IWTDISK_GET_SIZE, &size);
	}
	if (ctl_is_ok(hr)) {
		hr = istm_call(disk, mem, NDR_IWTDISK_GET_STATUS, &status);
	}
	if (ctl_is_ok(hr)) {
		hr = istm_call(disk, mem, NDR_IWTDISK_GET_DESCRIPTION,
			       &description);
	}
	/* Of one whose file the server cannot use it knows no size, or has the
	 * size and cannot serve it. */
	usable = ctl_is_ok(hr) && *size.out.pSize != 0;
	if (ctl_is_ok(hr) && all) {
		hr = istm_call(disk, mem, NDR_IWTDISK_GET_TYPE, &type);
		if (ctl_is_ok(hr) && usable) {
			hr = istm_call(disk, mem, NDR_IWTDISK_GET_SERIALNUMBER,
				       &serial);
			if (HRES_ERROR_V(hr) == HRES_ERROR_V(ISTM_POINTER)) {
				usable = false;
				hr = ISTM_S_OK;
			}
		}
		if (ctl_is_ok(hr)) {
			hr = istm_call(disk, mem, NDR_IWTDISK_GET_GUID, &guid);
		}
	}
	if (!ctl_is_ok(hr)) {
		return ctl_fail(ctl, hr, "reading a disk's properties");
	}
	output_record(ctl->out);
	output_number(ctl->out, "disk", *wtd.out.pWTD);
	output_size(ctl->out, "size", *size.out.pSize);
	output_string(ctl->out, "status",
		      usable ? NAME_OF(status_names, *status.out.pStatus)
			     : "unusable");
	output_string(ctl->out, "path", path.out.pDevicePath->s);
	output_string(ctl->out, "description", description.out.pDescription->s);
	if (all) {
		output_string(ctl->out, "type",
			      NAME_OF(type_names, *type.out.pType));
		output_string(ctl->out, "serial",
			      usable ? serial.out.pSerialNumber->s : "");
		output_string(ctl->out, "guid",
			      GUID_string(mem, guid.out.pGuid));
	}
	return 0;
}

static int disk_list(struct ctl *ctl)
{
	struct istm_object *mgr = disk_mgr(ctl), *list = NULL;
	struct IWTDiskMgr_EnumWTDisks r = {0};
	HRESULT hr;

	if (mgr == NULL) {
		return 1;
	}
	hr = istm_call(mgr, ctl->mem, NDR_IWTDISKMGR_ENUMWTDISKS, &r);
	if (!ctl_is_ok(hr)) {
		return ctl_fail(ctl, hr, "listing the disks");
	}
	list = ctl_object(ctl, mgr, &com_IEnumWTDisk, r.out.ppEnumWTDisk,
			  "list of disks");
	if (list == NULL) {
		return 1;
	}
	for (;;) {
		struct MInterfacePointer *none = NULL;
		struct IEnumWTDisk_Next next = {
			.in.ulNumElements = 1,
			.in.pElements = &none,
			.out.pElements = &none,
		};
		struct istm_object *disk;

		hr = istm_call(list, ctl->mem, NDR_IENUMWTDISK_NEXT, &next);
		if (ctl_failed(hr)) {
			return ctl_fail(ctl, hr, "listing the disks");
		}
		if (!ctl_is_ok(hr)) {
			break; /* S_FALSE: the end */
		}
		disk = ctl_object(ctl, list, &com_IWTDisk, next.out.pElements,
				  "disk");
		if (disk == NULL || disk_record(ctl, disk, false) != 0) {
			return 1;
		}
		talloc_free(disk);
	}
	output_list(ctl->out);
	return 0;
}

static int disk_show(struct ctl *ctl)
{
	struct istm_object *disk;
	struct IWTDisk2_get_Enable enable = {0};
	struct IWTDisk3_get_VhdType vhd = {0};
	uint32_t index;

	if (!disk_argument(ctl, &index)) {
		return 2;
	}
	disk = ctl_disk(ctl, index);
	if (disk == NULL || disk_record(ctl, disk, true) != 0) {
		return 1;
	}
	disk = istm_query(ctl->mem, disk, &com_IWTDisk3);
	if (disk != NULL) {
		if (ctl_is_ok(istm_call(disk, ctl->mem, NDR_IWTDISK2_GET_ENABLE,
					&enable))) {
			output_bool(ctl->out, "enabled",
				    *enable.out.pEnable != 0);
		}
		if (ctl_is_ok(istm_call(disk, ctl->mem,
					NDR_IWTDISK3_GET_VHDTYPE, &vhd))) {
			output_string(ctl->out, "format",
				      NAME_OF(vhd_names, *vhd.out.Type));
		}
	}
	output_one(ctl->out);
	return 0;
}

/* A disk on an existing file; both create and import end here. */
static int create_on_file(struct ctl *ctl, const char *path)
{
	struct istm_object *mgr = disk_mgr(ctl);
	struct IWTDiskMgr_CreateWTDisk r = {
		.in.eDeviceType = WTDTypeFileBased,
		.in.DevicePath.s = path,
		.in.Description.s = ctl->opt.description != NULL
					    ? ctl->opt.description
					    : "",
	};
	HRESULT hr;

	if (mgr == NULL) {
		return 1;
	}
	hr = istm_call(mgr, ctl->mem, NDR_IWTDISKMGR_CREATEWTDISK, &r);
	if (!ctl_is_ok(hr)) {
		return ctl_fail(ctl, hr, "creating a disk on %s", path);
	}
	output_record(ctl->out);
	output_number(ctl->out, "disk", *r.out.pWTD);
	output_string(ctl->out, "path", path);
	output_one(ctl->out);
	return 0;
}

/* The steps of MS-ISTM 4.1, as Windows' wizard takes them. */
static int disk_create(struct ctl *ctl)
{
	const char *path = ctl->args[0];
	struct istm_object *devices;
	struct ILocalDeviceMgr_IsPathValid valid = {.in.FilePath.s = path};
	struct ILocalDeviceMgr_DoesFileExist exist = {.in.FilePath.s = path};
	struct ILocalDeviceMgr_CreateWtFile create = {
		.in.FilePath.s = path,
		.in.bSparse = ctl->opt.sparse,
	};
	struct ILocalDeviceMgr_DeleteWtFile undo = {.in.FilePath.s = path};
	uint64_t size;
	HRESULT hr;
	int status;

	if (!ctl_parse_size(ctl->args[1], &size) || size > INT64_MAX) {
		return ctl_usage("'%s' is not a size: give a number with K, M,"
				 " G or T",
				 ctl->args[1]);
	}
	devices = device_mgr(ctl);
	if (devices == NULL) {
		return 1;
	}
	create.in.hyFileSize = size;
	hr = istm_call(devices, ctl->mem, NDR_ILOCALDEVICEMGR_ISPATHVALID,
		       &valid);
	if (!ctl_is_ok(hr)) {
		return ctl_fail(ctl, hr, "a disk cannot be at %s", path);
	}
	hr = istm_call(devices, ctl->mem, NDR_ILOCALDEVICEMGR_DOESFILEEXIST,
		       &exist);
	if (ctl_is_ok(hr)) {
		fprintf(stderr,
			"istmctl: %s exists; 'istmctl disk import'"
			" makes a disk of it\n",
			path);
		return 1;
	}
	hr = istm_call(devices, ctl->mem, NDR_ILOCALDEVICEMGR_CREATEWTFILE,
		       &create);
	if (!ctl_is_ok(hr)) {
		return ctl_fail(ctl, hr, "creating %s", path);
	}
	status = create_on_file(ctl, path);
	if (status != 0) {
		istm_call(devices, ctl->mem, NDR_ILOCALDEVICEMGR_DELETEWTFILE,
			  &undo);
	}
	return status;
}

static int disk_import(struct ctl *ctl)
{
	const char *path = ctl->args[0];
	struct istm_object *devices = device_mgr(ctl);
	struct ILocalDeviceMgr_IsValidWtDevice valid = {
		.in.DevicePath.s = path,
	};
	HRESULT hr;

	if (devices == NULL) {
		return 1;
	}
	hr = istm_call(devices, ctl->mem, NDR_ILOCALDEVICEMGR_ISVALIDWTDEVICE,
		       &valid);
	if (!ctl_is_ok(hr)) {
		return ctl_fail(ctl, hr,
				"%s is not a disk that the server"
				" can use",
				path);
	}
	return create_on_file(ctl, path);
}

static int disk_delete(struct ctl *ctl)
{
	struct istm_object *disk, *mgr, *devices;
	struct IWTDisk_get_DevicePath path = {0};
	struct IWTDiskMgr_DeleteWTDisk r = {0};
	struct ILocalDeviceMgr_DeleteWtFile del = {0};
	uint32_t index;
	HRESULT hr;

	if (!disk_argument(ctl, &index)) {
		return 2;
	}
	disk = ctl_disk(ctl, index);
	mgr = disk != NULL ? disk_mgr(ctl) : NULL;
	if (mgr == NULL) {
		return 1;
	}
	hr = istm_call(disk, ctl->mem, NDR_IWTDISK_GET_DEVICEPATH, &path);
	if (ctl_is_ok(hr)) {
		r.in.nWTD = index;
		hr = istm_call(mgr, ctl->mem, NDR_IWTDISKMGR_DELETEWTDISK, &r);
	}
	if (!ctl_is_ok(hr)) {
		return ctl_fail(ctl, hr, "deleting disk %u", index);
	}
	if (!ctl->opt.file) {
		return 0;
	}
	devices = device_mgr(ctl);
	if (devices == NULL) {
		return 1;
	}
	del.in.FilePath = *path.out.pDevicePath;
	hr = istm_call(devices, ctl->mem, NDR_ILOCALDEVICEMGR_DELETEWTFILE,
		       &del);
	if (!ctl_is_ok(hr)) {
		return ctl_fail(ctl, hr, "deleting the file %s",
				del.in.FilePath.s);
	}
	return 0;
}

static int disk_grow(struct ctl *ctl)
{
	struct istm_object *disk, *devices;
	struct IWTDisk_get_DevicePath path = {0};
	struct ILocalDeviceMgr_GrowWtFile grow = {0};
	uint64_t more;
	uint32_t index;
	HRESULT hr;

	if (!disk_argument(ctl, &index)) {
		return 2;
	}
	if (!ctl_parse_size(ctl->args[1], &more) || more > INT64_MAX) {
		return ctl_usage("'%s' is not a size", ctl->args[1]);
	}
	disk = ctl_disk(ctl, index);
	devices = disk != NULL ? device_mgr(ctl) : NULL;
	if (devices == NULL) {
		return 1;
	}
	hr = istm_call(disk, ctl->mem, NDR_IWTDISK_GET_DEVICEPATH, &path);
	if (ctl_is_ok(hr)) {
		grow.in.FilePath = *path.out.pDevicePath;
		grow.in.hyAdditionalSize = more;
		hr = istm_call(devices, ctl->mem,
			       NDR_ILOCALDEVICEMGR_GROWWTFILE, &grow);
	}
	if (!ctl_is_ok(hr)) {
		return ctl_fail(ctl, hr,
				"growing disk %u (fixed disks grow, by 1M or "
				"more)",
				index);
	}
	return 0;
}

static int disk_set(struct ctl *ctl)
{
	struct istm_object *disk, *disk2;
	struct IWTDisk_put_Description description = {0};
	struct IWTDisk2_put_Enable enable = {.in.bEnable = ctl->opt.enable};
	struct IWTDisk_Save save = {0};
	uint32_t index;
	HRESULT hr = ISTM_S_OK;

	if (!disk_argument(ctl, &index)) {
		return 2;
	}
	if (ctl->opt.description == NULL && !ctl->opt.enable &&
	    !ctl->opt.disable) {
		return ctl_usage("give --description, --enable or --disable");
	}
	disk = ctl_disk(ctl, index);
	if (disk == NULL) {
		return 1;
	}
	if (ctl->opt.description != NULL) {
		description.in.Description.s = ctl->opt.description;
		hr = istm_call(disk, ctl->mem, NDR_IWTDISK_PUT_DESCRIPTION,
			       &description);
	}
	if (ctl_is_ok(hr) && (ctl->opt.enable || ctl->opt.disable)) {
		disk2 = istm_query(ctl->mem, disk, &com_IWTDisk2);
		hr = disk2 == NULL
			     ? ISTM_NO_INTERFACE
			     : istm_call(disk2, ctl->mem,
					 NDR_IWTDISK2_PUT_ENABLE, &enable);
	}
	if (ctl_is_ok(hr)) {
		hr = istm_call(disk, ctl->mem, NDR_IWTDISK_SAVE, &save);
	}
	if (!ctl_is_ok(hr)) {
		return ctl_fail(ctl, hr, "changing disk %u", index);
	}
	return 0;
}

const struct ctl_command ctl_disk_commands[] = {
	{"disk", "list", "", 0, 0, disk_list, "all disks", 0},
	{"disk", "show", "DISK", 1, 1, disk_show, "one disk", 0},
	{"disk", "create", "PATH SIZE", 2, 2, disk_create,
	 "make a VHD file and a disk of it", CTL_DESCRIPTION | CTL_SPARSE},
	{"disk", "import", "PATH", 1, 1, disk_import,
	 "make a disk of a VHD file that exists", CTL_DESCRIPTION},
	{"disk", "set", "DISK", 1, 1, disk_set,
	 "--description, --enable, --disable", CTL_DESCRIPTION | CTL_ENABLE},
	{"disk", "grow", "DISK SIZE", 2, 2, disk_grow,
	 "add this much to a fixed disk, online", 0},
	{"disk", "delete", "DISK", 1, 1, disk_delete,
	 "forget a disk; --file: and its file", CTL_FILE},
	{"disk", "check", "FILE", 1, 1, ctl_disk_check,
	 "look at a file of this machine that is not served", CTL_LOCAL},
	{"disk", "repair", "FILE", 1, 1, ctl_disk_repair,
	 "mend what can be mended without guessing", CTL_LOCAL},
	{0},
};
