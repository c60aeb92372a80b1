/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * IWTDiskMgr::ImportWTDisk (MS-ISTM 3.46.4.9). Windows answers E_NOTIMPL
 * (<113>), and the text says no more than that the disk given becomes a known
 * one. What is given is an interface pointer:
 *
 * - to a disk of this server, which knows it already: success, or
 *   ERROR_FILE_NOT_FOUND where it has been deleted;
 * - to anybody else's IWTDisk, of which type, path, description and GUID are
 *   asked for: the VHD, of whatever form, is here under that path, and
 *   becomes a disk as by CreateWTDisk. It keeps its GUID, by which initiators
 *   know it. What is in somebody's memory cannot be imported, nor a snapshot.
 */
#include "server/dcom/proxy.h"
#include "server/istm/private.h"

struct import {
	struct model *model;
	struct dcom_call *call;
	struct dcom_proxy *proxy;
	struct IWTDisk_get_Guid guid;
	struct IWTDisk_get_Type type;
	struct IWTDisk_get_Flags flags;
	struct IWTDisk_get_DevicePath path;
	struct IWTDisk_get_Description description;
	unsigned asked; /* questions that have been answered */
};

static void import_ask(struct import *import);

static void import_end(struct import *import, HRESULT result)
{
	struct dcom_call *call = import->call;

	TALLOC_FREE(import->proxy);
	dcom_call_finish(call, result);
}

static void import_created(struct tevent_req *req)
{
	struct import *import = tevent_req_callback_data(req, struct import);
	uint32_t index;
	HRESULT result = model_disk_create_recv(req, &index);

	talloc_free(req);
	import_end(import, result);
}

static void import_create(struct import *import)
{
	const struct GUID *guid = import->guid.out.pGuid;
	const struct model_disk_create params = {
		.type = MODEL_DISK_FILE,
		.path = bstr_or_empty(import->path.out.pDevicePath),
		.description =
			bstr_or_empty(import->description.out.pDescription),
		.persistent = true,
		.index = -1,
		.guid = *guid,
	};
	struct tevent_req *req;

	dcom_call_audit(import->call, "import disk on \"%s\"", params.path);
	if (*import->type.out.pType != WTDTypeFileBased ||
	    (*import->flags.out.pFlags & MODEL_DISK_SHADOW) != 0 ||
	    GUID_all_zero(guid)) {
		import_end(import, ISTM_INVALID_ARG);
		return;
	}
	if (model_disk_by_guid(import->model, guid) != NULL) {
		import_end(import, ISTM_S_OK); /* is known */
		return;
	}
	req = model_disk_create_send(import, import->model, &params);
	if (req == NULL) {
		import_end(import, ISTM_OUT_OF_MEMORY);
		return;
	}
	tevent_req_set_callback(req, import_created, import);
}

static void import_answered(struct tevent_req *req)
{
	struct import *import = tevent_req_callback_data(req, struct import);
	HRESULT result = dcom_proxy_call_recv(req);

	/* The request holds what was answered. */
	if (ISTM_FAILED(result)) {
		dcom_call_audit(import->call, "import of %s",
				dcom_proxy_name(import->proxy));
		import_end(import, result);
		return;
	}
	import->asked++;
	import_ask(import);
}

/* The properties, one after the other. */
static void import_ask(struct import *import)
{
	const struct {
		uint32_t opnum;
		void *r;
	} questions[] = {
		{NDR_IWTDISK_GET_GUID, &import->guid},
		{NDR_IWTDISK_GET_TYPE, &import->type},
		{NDR_IWTDISK_GET_FLAGS, &import->flags},
		{NDR_IWTDISK_GET_DEVICEPATH, &import->path},
		{NDR_IWTDISK_GET_DESCRIPTION, &import->description},
	};
	struct tevent_req *req;

	if (import->asked == sizeof(questions) / sizeof(questions[0])) {
		import_create(import);
		return;
	}
	req = dcom_proxy_call_send(import, dcom_call_ev(import->call),
				   import->proxy,
				   questions[import->asked].opnum,
				   questions[import->asked].r);
	if (req == NULL) {
		import_end(import, ISTM_OUT_OF_MEMORY);
		return;
	}
	tevent_req_set_callback(req, import_answered, import);
}

static HRESULT import_own(struct dcom_call *call, struct model *model,
			  struct dcom_object *object)
{
	const struct istm_object *disk = dcom_object_self(object);
	const struct model_disk *known =
		dcom_object_type_of(object) == &istm_wtdisk_type
			? model_disk_by_guid(model, &disk->guid)
			: NULL;

	return known != NULL ? istm_audit(call, ISTM_S_OK, "import disk %u",
					  known->index)
			     : istm_audit(call, ISTM_FILE_NOT_FOUND,
					  "import disk that has been deleted");
}

HRESULT istm_import_wtdisk(struct istm *istm, struct dcom_call *call,
			   const struct MInterfacePointer *mip)
{
	struct dcom_object *object;
	struct import *import;
	HRESULT result = dcom_own_object(call, mip, &com_IWTDisk, &object);

	if (ISTM_FAILED(result)) {
		return istm_audit(call, result, "import of no disk");
	}
	if (object != NULL) {
		result = import_own(call, istm->model, object);
		dcom_own_object_done(call, mip);
		return result;
	}
	import = talloc_zero(dcom_call_mem(call), struct import);
	if (import == NULL) {
		return ISTM_OUT_OF_MEMORY;
	}
	import->model = istm->model;
	import->call = call;
	result = dcom_proxy_create(import, call, mip, &com_IWTDisk,
				   &import->proxy);
	if (ISTM_FAILED(result)) {
		return result;
	}
	dcom_call_defer(call);
	import_ask(import);
	return ISTM_S_OK;
}
