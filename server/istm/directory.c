/* SPDX-License-Identifier: GPL-3.0-or-later */
/* IDirectoryEnum: browsing the volumes (MS-ISTM 3.3). */
#include "server/istm/private.h"

struct istm_directory {
	struct istm_object object;
	/* Between FindFirst and FindClose: the directory as FindFirst found
	 * it, child of this structure. */
	bool open;
	struct model_dirent *entries;
	size_t count, pos;
};

static void directory_close(struct istm_directory *dir)
{
	TALLOC_FREE(dir->entries);
	dir->open = false;
	dir->count = dir->pos = 0;
}

static HRESULT directory_next(struct istm_directory *dir,
			      struct DIRECTORY_DATA *out)
{
	while (dir->pos < dir->count) {
		const struct model_dirent *entry = &dir->entries[dir->pos++];

		*out = (struct DIRECTORY_DATA){
			.eType = entry->is_directory ? Directory : File,
		};
		/* What does not fit cannot be named to the server either. */
		if (WCHAR_SET(out->szFileName, entry->name) &&
		    WCHAR_SET(out->szFullPath, entry->full_path)) {
			return ISTM_S_OK;
		}
	}
	*out = (struct DIRECTORY_DATA){0};
	return ISTM_NO_MORE_FILES;
}

/* A browse that was not closed is closed by the next (<16>). */
static HRESULT directory_FindFirst(struct dcom_call *call, void *self,
				   struct IDirectoryEnum_FindFirst *r)
{
	struct istm_directory *dir = self;
	HRESULT result;

	*r->out.pDirectoryData = (struct DIRECTORY_DATA){0};
	directory_close(dir);
	if (bstr_empty(&r->in.bstrSearchPath)) {
		return ISTM_INVALID_ARG;
	}
	result = model_directory(model_of(self), dir, r->in.bstrSearchPath.s,
				 &dir->entries, &dir->count);
	if (ISTM_FAILED(result)) {
		directory_close(dir);
		return result;
	}
	dir->open = true;
	return directory_next(dir, r->out.pDirectoryData);
}

static HRESULT directory_FindNext(struct dcom_call *call, void *self,
				  struct IDirectoryEnum_FindNext *r)
{
	struct istm_directory *dir = self;

	*r->out.pDirectoryData = (struct DIRECTORY_DATA){0};
	if (!dir->open) {
		return ISTM_INVALID_HANDLE;
	}
	return directory_next(dir, r->out.pDirectoryData);
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
