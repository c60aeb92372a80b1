/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdint.h>

#include "gen_ndr/ndr_orpc.h"
#include "librpc/dualstring.h"
#include "librpc/objref.h"

struct MInterfacePointer *objref_pack(TALLOC_CTX *mem_ctx,
				      const struct OBJREF *objref)
{
	struct MInterfacePointer *mip =
		talloc_zero(mem_ctx, struct MInterfacePointer);
	DATA_BLOB blob = {0};
	enum ndr_err_code err;

	if (mip == NULL) {
		return NULL;
	}
	err = ndr_push_struct_blob(&blob, mip, objref,
				   (ndr_push_flags_fn_t)ndr_push_OBJREF);
	if (!NDR_ERR_CODE_IS_SUCCESS(err)) {
		talloc_free(mip);
		return NULL;
	}
	mip->ulCntData = blob.length;
	mip->abData = blob.data;
	return mip;
}

struct MInterfacePointer *objref_pack_standard(
	TALLOC_CTX *mem_ctx, const struct GUID *iid,
	const struct STDOBJREF *std, const struct dualstring *resolver)
{
	struct OBJREF objref = {
		.flags = OBJREF_STANDARD_FLAG,
		.iid = *iid,
		.u_objref.u_standard.std = *std,
	};
	struct DUALSTRINGARRAY_FLAT *flat =
		&objref.u_objref.u_standard.saResAddr;
	struct MInterfacePointer *mip = NULL;

	if (!dualstring_pack_flat(NULL, resolver, flat)) {
		return NULL;
	}
	mip = objref_pack(mem_ctx, &objref);
	talloc_free(flat->aStringArray);
	return mip;
}

struct OBJREF *objref_unpack(TALLOC_CTX *mem_ctx,
			     const struct MInterfacePointer *mip)
{
	struct OBJREF *objref = talloc_zero(mem_ctx, struct OBJREF);
	DATA_BLOB blob = {.data = mip->abData, .length = mip->ulCntData};
	enum ndr_err_code err;

	if (objref == NULL) {
		return NULL;
	}
	err = ndr_pull_struct_blob(&blob, objref, objref,
				   (ndr_pull_flags_fn_t)ndr_pull_OBJREF);
	if (!NDR_ERR_CODE_IS_SUCCESS(err) ||
	    objref->signature != OBJREF_SIGNATURE ||
	    GUID_all_zero(&objref->iid)) {
		talloc_free(objref);
		return NULL;
	}
	return objref;
}

const struct STDOBJREF *objref_std(const struct OBJREF *objref)
{
	switch (objref->flags) {
	case OBJREF_STANDARD_FLAG:
		return &objref->u_objref.u_standard.std;
	case OBJREF_HANDLER_FLAG:
		return &objref->u_objref.u_handler.std;
	case OBJREF_EXTENDED_FLAG:
		return &objref->u_objref.u_extended.std;
	case OBJREF_CUSTOM_FLAG:
		break;
	}
	return NULL;
}

const struct DUALSTRINGARRAY_FLAT *objref_resolver(const struct OBJREF *objref)
{
	switch (objref->flags) {
	case OBJREF_STANDARD_FLAG:
		return &objref->u_objref.u_standard.saResAddr;
	case OBJREF_HANDLER_FLAG:
		return &objref->u_objref.u_handler.saResAddr;
	case OBJREF_EXTENDED_FLAG:
		return &objref->u_objref.u_extended.saResAddr;
	case OBJREF_CUSTOM_FLAG:
		break;
	}
	return NULL;
}
