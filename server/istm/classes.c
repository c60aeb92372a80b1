/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The seven classes (MS-ISTM 1.9), the objects behind them, and the identity
 * of targets and disks. */
#include "server/core/log.h"
#include "server/istm/private.h"

void *istm_object_alloc(struct istm *istm, size_t size, const char *name)
{
	struct istm_object *object = talloc_zero_size(istm, size);

	if (object != NULL) {
		talloc_set_name_const(object, name);
		object->istm = istm;
	}
	return object;
}

struct dcom_object *istm_keyed_object(struct istm *istm,
				      const struct dcom_object_type *type,
				      const struct GUID *guid)
{
	struct dcom_object *object =
		dcom_object_find(istm->runtime, type, guid);
	struct istm_object *self;

	if (object != NULL) {
		return object;
	}
	self = ISTM_OBJECT(istm, struct istm_object);
	if (self == NULL) {
		return NULL;
	}
	self->guid = *guid;
	object = dcom_object_create(istm->runtime, type, self, guid);
	if (object == NULL) {
		TALLOC_FREE(self);
	}
	return object;
}

static HRESULT return_keyed(struct istm *istm, struct dcom_call *call,
			    const struct dcom_object_type *type,
			    const struct GUID *guid,
			    const struct com_interface *interface,
			    struct MInterfacePointer **out)
{
	struct dcom_object *object = istm_keyed_object(istm, type, guid);

	if (object == NULL) {
		return ISTM_OUT_OF_MEMORY;
	}
	return dcom_return_object(call, object, interface, out);
}

HRESULT istm_return_host(struct istm *istm, struct dcom_call *call,
			 const struct model_target *target,
			 struct MInterfacePointer **out)
{
	if (target == NULL) {
		return ISTM_FILE_NOT_FOUND;
	}
	return return_keyed(istm, call, &istm_host_type, &target->guid,
			    &com_IHost, out);
}

HRESULT istm_return_wtdisk(struct istm *istm, struct dcom_call *call,
			   const struct model_disk *disk,
			   struct MInterfacePointer **out)
{
	if (disk == NULL) {
		return ISTM_FILE_NOT_FOUND;
	}
	return return_keyed(istm, call, &istm_wtdisk_type, &disk->guid,
			    &com_IWTDisk, out);
}

static const struct istm_class {
	const struct com_class *com;
	const struct dcom_object_type *type;
} classes[] = {
	{&com_class_WTGeneral, &istm_general_type},
	{&com_class_SessionManager, &istm_session_manager_type},
	{&com_class_LocalDeviceMgr, &istm_local_device_mgr_type},
	{&com_class_WTDiskMgr, &istm_wtdisk_mgr_type},
	{&com_class_SnapshotMgr, &istm_snapshot_mgr_type},
	{&com_class_SnsMgr, &istm_sns_mgr_type},
	{&com_class_HostMgr, &istm_host_mgr_type},
};

/* A class's object is made once and given to everybody. */
static HRESULT class_object(struct dcom_runtime *runtime, void *private_data,
			    struct dcom_object **object)
{
	*object = private_data;
	return ISTM_S_OK;
}

static HRESULT class_register(struct istm *istm, const struct istm_class *c)
{
	struct istm_object *self = ISTM_OBJECT(istm, struct istm_object);
	struct dcom_object *object;
	struct dcom_class dcom_class;

	if (self == NULL) {
		return ISTM_OUT_OF_MEMORY;
	}
	object = dcom_object_create(istm->runtime, c->type, self, NULL);
	if (object == NULL) {
		TALLOC_FREE(self);
		return ISTM_OUT_OF_MEMORY;
	}
	dcom_object_pin(object);
	dcom_class = (struct dcom_class){
		.clsid = c->com->clsid,
		.name = c->com->name,
		.create = class_object,
		.private_data = object,
	};
	return dcom_class_register(istm->runtime, &dcom_class);
}

HRESULT istm_register(struct dcom_runtime *runtime, struct model *model)
{
	struct istm *istm = talloc_zero(runtime, struct istm);

	if (istm == NULL) {
		return ISTM_OUT_OF_MEMORY;
	}
	istm->runtime = runtime;
	istm->model = model;
	istm->notifier = istm_notifier_create(istm);
	if (istm->notifier == NULL) {
		return ISTM_OUT_OF_MEMORY;
	}
	for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
		HRESULT result = class_register(istm, &classes[i]);

		if (ISTM_FAILED(result)) {
			log_msg(LOG_ERROR,
				"istm: cannot register the class %s: 0x%08x",
				classes[i].com->name, HRES_ERROR_V(result));
			return result;
		}
	}
	return ISTM_S_OK;
}

const struct istm_type *const istm_types[] = {
	&istm_general_entry,
	&istm_session_manager_entry,
	&istm_local_device_mgr_entry,
	&istm_directory_entry,
	&istm_wtdisk_mgr_entry,
	&istm_wtdisk_entry,
	&istm_snapshot_mgr_entry,
	&istm_snapshot_entry,
	&istm_sns_mgr_entry,
	&istm_host_mgr_entry,
	&istm_host_entry,
	&istm_enum_entries[ISTM_ENUM_CACHED_INITIATOR],
	&istm_enum_entries[ISTM_ENUM_CONNECTION],
	&istm_enum_entries[ISTM_ENUM_DISK],
	&istm_enum_entries[ISTM_ENUM_DISK2],
	&istm_enum_entries[ISTM_ENUM_HOST],
	&istm_enum_entries[ISTM_ENUM_ID_METHOD],
	&istm_enum_entries[ISTM_ENUM_LM_MOUNT_POINT],
	&istm_enum_entries[ISTM_ENUM_PORTAL],
	&istm_enum_entries[ISTM_ENUM_RESOURCE_GROUP],
	&istm_enum_entries[ISTM_ENUM_SESSION],
	&istm_enum_entries[ISTM_ENUM_SESSION2],
	&istm_enum_entries[ISTM_ENUM_SNAPSHOT],
	&istm_enum_entries[ISTM_ENUM_SNS_SERVER],
	&istm_enum_entries[ISTM_ENUM_VOLUME],
	&istm_enum_entries[ISTM_ENUM_VOLUME2],
	&istm_enum_entries[ISTM_ENUM_WTDISK],
	&istm_enum_entries[ISTM_ENUM_WTDISK_LUN_MAPPING],
};
const size_t istm_num_types = sizeof(istm_types) / sizeof(istm_types[0]);
