/* SPDX-License-Identifier: GPL-3.0-or-later */
/* IDirectoryEnum: browsing the volumes (MS-ISTM 3.3). */
#include "server/istm/private.h"

struct istm_directory {
	struct istm_object object;
	/* The directory as FindFirst found it, until FindClose; NULL: no
	 * browse is open. */
	struct model_listing *listing;
	size_t pos;
};

static void directory_close(struct istm_directory *dir)
{
	TALLOC_FREE(dir->listing);
	dir->pos = 0;
}

static HRESULT directory_next(struct istm_directory *dir, TALLOC_CTX *mem_ctx,
			      struct DIRECTORY_DATA *out)
{
	*out = (struct DIRECTORY_DATA){0};
	while (dir->pos < model_listing_count(dir->listing)) {
		struct model_dirent entry;

		if (!model_listing_entry(dir->listing, dir->pos++, mem_ctx,
					 &entry)) {
			return ISTM_OUT_OF_MEMORY;
		}
		out->eType = entry.is_directory ? Directory : File;
		/* What does not fit cannot be named to the server either. */
		if (WCHAR_SET(out->szFileName, entry.name) &&
		    WCHAR_SET(out->szFullPath, entry.full_path)) {
			return ISTM_S_OK;
		}
		*out = (struct DIRECTORY_DATA){0};
	}
	return ISTM_NO_MORE_FILES;
}

static HRESULT directory_found(struct tevent_req *req, struct dcom_call *call,
			       void *_r)
{
	struct IDirectoryEnum_FindFirst *r = _r;
	struct istm_directory *dir = dcom_object_self(dcom_call_object(call));
	struct model_listing *listing;
	HRESULT result = model_directory_recv(req, dir, &listing);

	/* Another browse may have begun meanwhile: the later answer counts. */
	directory_close(dir);
	dir->listing = listing;
	if (ISTM_FAILED(result)) {
		return result;
	}
	return directory_next(dir, dcom_call_mem(call), r->out.pDirectoryData);
}

/* A browse that was not closed is closed by the next (<16>). */
static HRESULT directory_FindFirst(struct dcom_call *call, void *self,
				   struct IDirectoryEnum_FindFirst *r)
{
	*r->out.pDirectoryData = (struct DIRECTORY_DATA){0};
	directory_close(self);
	if (bstr_empty(&r->in.bstrSearchPath)) {
		return ISTM_INVALID_ARG;
	}
	return istm_defer(call,
			  model_directory_send(dcom_call_mem(call),
					       model_of(self),
					       r->in.bstrSearchPath.s),
			  directory_found, r, NULL);
}

static HRESULT directory_FindNext(struct dcom_call *call, void *self,
				  struct IDirectoryEnum_FindNext *r)
{
	struct istm_directory *dir = self;

	*r->out.pDirectoryData = (struct DIRECTORY_DATA){0};
	if (dir->listing == NULL) {
		return ISTM_INVALID_HANDLE;
	}
	return directory_next(dir, dcom_call_mem(call), r->out.pDirectoryData);
}

static HRESULT directory_FindClose(struct dcom_call *call, void *self,
				   struct IDirectoryEnum_FindClose *r)
{
	directory_close(self);
	return ISTM_S_OK;
}

#define NOTIMPL(X)                                                             \
	X(IDirectoryEnum, GetDriveString,                                      \
	  "the form of the list is not documented; EnumVolumes tells the "     \
	  "drives (<15>)")

NOTIMPL(ISTM_NOTIMPL_FUNCTION)

static const struct IDirectoryEnum_vtbl directory_methods = {
	.FindFirst = directory_FindFirst,
	.FindNext = directory_FindNext,
	.FindClose = directory_FindClose,
	NOTIMPL(ISTM_NOTIMPL_MEMBER)};

static const struct com_interface *const directory_interfaces[] = {
	&com_IDirectoryEnum, NULL};

const struct dcom_object_type istm_directory_type = {
	.name = "directory browser",
	.interfaces = directory_interfaces,
	.vtbl = &directory_methods,
};

static const struct istm_decision directory_decisions[] = {
	NOTIMPL(ISTM_NOTIMPL_ROW)};

const struct istm_type istm_directory_entry = {
	.type = &istm_directory_type,
	.decisions = directory_decisions,
	.num_decisions =
		sizeof(directory_decisions) / sizeof(directory_decisions[0]),
};

HRESULT istm_return_directory(struct istm *istm, struct dcom_call *call,
			      struct MInterfacePointer **out)
{
	struct istm_directory *dir = ISTM_OBJECT(istm, struct istm_directory);
	struct dcom_object *object;

	if (dir == NULL) {
		return ISTM_OUT_OF_MEMORY;
	}
	object = dcom_object_create(istm->runtime, &istm_directory_type, dir,
				    NULL);
	if (object == NULL) {
		TALLOC_FREE(dir);
		return ISTM_OUT_OF_MEMORY;
	}
	return dcom_return_object(call, object, &com_IDirectoryEnum, out);
}
