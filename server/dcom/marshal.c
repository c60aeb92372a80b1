/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Object references: [MS-DCOM] 2.2.18, 3.1.1.5.1. */
#include "server/dcom/runtime.h"

const struct GUID dcom_iid_iunknown = {
	0, 0, 0, {0xc0, 0}, {0, 0, 0, 0, 0, 0x46}};

/*
 * How many references come with an interface pointer. Windows gives 5, to save
 * clients that marshal it on a RemAddRef; with one, a client that releases what
 * it was given once (impacket does) has released it.
 */
#define RETURNED_REFS 1

void dcom_std_objref(const struct dcom_ipid *ipid, uint32_t refs,
		     struct STDOBJREF *std)
{
	*std = (struct STDOBJREF){
		.flags = 0,
		.cPublicRefs = refs,
		.oxid = ipid->object->runtime->oxid,
		.oid = ipid->object->oid,
		.ipid = ipid->ipid,
	};
}

HRESULT dcom_marshal_ipid(struct dcom_call *call, TALLOC_CTX *mem_ctx,
			  const struct dcom_ipid *ipid, uint32_t refs,
			  struct MInterfacePointer **out)
{
	TALLOC_CTX *tmp = talloc_new(mem_ctx);
	struct dualstring resolver;
	struct STDOBJREF std;

	dcom_std_objref(ipid, refs, &std);
	*out = NULL;
	if (tmp != NULL &&
	    dcom_bindings(call->runtime, tmp, &call->local, 0, &resolver)) {
		*out = objref_pack_standard(mem_ctx,
					    ipid->interface == NULL
						    ? &dcom_iid_iunknown
						    : &ipid->interface->iid,
					    &std, &resolver);
	}
	talloc_free(tmp);
	return *out == NULL ? ISTM_OUT_OF_MEMORY : ISTM_S_OK;
}

HRESULT dcom_return_object(struct dcom_call *call, struct dcom_object *object,
			   const struct com_interface *interface,
			   struct MInterfacePointer **out)
{
	struct dcom_grant *grant;
	struct dcom_ipid *ipid;
	HRESULT hr;

	*out = NULL;
	if (interface != NULL &&
	    com_interface_by_iid(object->type->interfaces, &interface->iid) ==
		    NULL) {
		return ISTM_NO_INTERFACE;
	}
	grant = talloc_zero(call, struct dcom_grant);
	if (grant == NULL) {
		return ISTM_OUT_OF_MEMORY;
	}
	hr = dcom_object_reference(call, object, interface, RETURNED_REFS,
				   &ipid);
	if (ISTM_FAILED(hr)) {
		talloc_free(grant);
		return hr;
	}
	hr = dcom_marshal_ipid(call, call, ipid, RETURNED_REFS, out);
	if (ISTM_FAILED(hr)) {
		dcom_ipid_release(ipid, RETURNED_REFS, 0);
		talloc_free(grant);
		return hr;
	}
	grant->ipid = ipid->ipid;
	grant->refs = RETURNED_REFS;
	grant->out = out;
	grant->next = call->grants;
	call->grants = grant;
	return ISTM_S_OK;
}

HRESULT dcom_own_object(struct dcom_call *call,
			const struct MInterfacePointer *mip,
			const struct com_interface *interface,
			struct dcom_object **object)
{
	const struct STDOBJREF *std = NULL;
	struct dcom_ipid *ipid;
	struct OBJREF *objref;
	HRESULT hr = ISTM_S_OK;

	*object = NULL;
	if (mip == NULL) {
		return ISTM_POINTER;
	}
	objref = objref_unpack(call, mip);
	if (objref != NULL) {
		std = objref_std(objref);
	}
	if (std == NULL || !GUID_equal(&objref->iid, &interface->iid)) {
		hr = ISTM_INVALID_ARG;
	} else if (std->oxid != call->runtime->oxid) {
		hr = ISTM_S_FALSE;
	} else {
		ipid = dcom_ipid_find(call->runtime, &std->ipid);
		if (ipid == NULL || ipid->interface == NULL ||
		    ipid->object->oid != std->oid ||
		    ipid->interface->family != interface->family) {
			hr = ISTM_INVALID_ARG;
		} else {
			*object = ipid->object;
		}
	}
	talloc_free(objref);
	return hr;
}

void dcom_own_object_done(struct dcom_call *call,
			  const struct MInterfacePointer *mip)
{
	struct OBJREF *objref = objref_unpack(call, mip);
	const struct STDOBJREF *std =
		objref == NULL ? NULL : objref_std(objref);
	struct dcom_ipid *ipid =
		std == NULL ? NULL : dcom_ipid_find(call->runtime, &std->ipid);

	if (ipid != NULL) {
		dcom_ipid_release(ipid, std->cPublicRefs, 0);
	}
	talloc_free(objref);
}

const struct dcom_object_type *dcom_object_type_of(
	const struct dcom_object *object)
{
	return object->type;
}
