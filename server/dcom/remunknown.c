/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * IRemUnknown and IRemUnknown2 ([MS-DCOM] 3.1.1.5.6, 3.1.1.5.7): what
 * IUnknown's methods become between machines. One object with one IPID, for
 * both interfaces.
 */
#include "server/dcom/runtime.h"
#include "gen_ndr/com_remunknown.h"

/* Per call; a client asks for the interfaces of one object. */
#define MAX_IIDS 1024

static HRESULT query_one(struct dcom_call *call, struct dcom_object *object,
			 const struct GUID *iid, uint32_t refs,
			 struct dcom_ipid **ipid)
{
	const struct com_interface *interface;
	HRESULT hr = dcom_object_query(object, iid, &interface);

	if (ISTM_FAILED(hr)) {
		return hr;
	}
	return dcom_object_reference(call, object, interface, refs, ipid);
}

/* S_OK if all, S_FALSE if some, E_NOINTERFACE if none succeeded. */
static HRESULT summary(size_t good, size_t all)
{
	if (good == all) {
		return ISTM_S_OK;
	}
	return good > 0 ? ISTM_S_FALSE : ISTM_NO_INTERFACE;
}

static HRESULT query_interface(struct dcom_call *call, void *self,
			       struct IRemUnknown_RemQueryInterface *r)
{
	struct dcom_ipid *source = dcom_ipid_find(call->runtime, r->in.ripid);
	struct dcom_object *object;
	struct REMQIRESULT *results;
	size_t good = 0;

	if (source == NULL) {
		return DCOM_E_INVALID_OBJECT;
	}
	if (r->in.cIids == 0 || r->in.cIids > MAX_IIDS || r->in.cRefs == 0) {
		return ISTM_INVALID_ARG;
	}
	object = source->object;
	dcom_object_touch(object);
	results = talloc_zero_array(call, struct REMQIRESULT, r->in.cIids);
	if (results == NULL) {
		return ISTM_OUT_OF_MEMORY;
	}
	for (size_t i = 0; i < r->in.cIids; i++) {
		struct dcom_ipid *ipid = NULL;

		results[i].hResult = query_one(call, object, &r->in.iids[i],
					       r->in.cRefs, &ipid);
		if (!ISTM_FAILED(results[i].hResult)) {
			dcom_std_objref(ipid, r->in.cRefs, &results[i].std);
			good++;
		}
	}
	*r->out.ppQIResults = results;
	return summary(good, r->in.cIids);
}

static HRESULT query_interface2(struct dcom_call *call, void *self,
				struct IRemUnknown2_RemQueryInterface2 *r)
{
	struct dcom_ipid *source = dcom_ipid_find(call->runtime, r->in.ripid);
	struct dcom_object *object;
	size_t good = 0;

	if (source == NULL) {
		return DCOM_E_INVALID_OBJECT;
	}
	if (r->in.cIids == 0 || r->in.cIids > MAX_IIDS) {
		return ISTM_INVALID_ARG;
	}
	object = source->object;
	dcom_object_touch(object);
	for (size_t i = 0; i < r->in.cIids; i++) {
		struct dcom_ipid *ipid = NULL;
		HRESULT hr = query_one(call, object, &r->in.iids[i], 1, &ipid);

		if (!ISTM_FAILED(hr)) {
			hr = dcom_marshal_ipid(call, call, ipid, 1,
					       &r->out.ppMIF[i]);
			if (ISTM_FAILED(hr)) {
				dcom_ipid_release(ipid, 1, 0);
			} else {
				good++;
			}
		}
		r->out.phr[i] = hr;
	}
	return summary(good, r->in.cIids);
}

static HRESULT add_one(struct dcom_runtime *runtime,
		       const struct REMINTERFACEREF *ref)
{
	struct dcom_ipid *ipid = dcom_ipid_find(runtime, &ref->ipid);

	if (ipid == NULL) {
		return ISTM_INVALID_ARG;
	}
	if (ref->cPublicRefs > UINT32_MAX - ipid->public_refs ||
	    ref->cPrivateRefs > UINT32_MAX - ipid->private_refs) {
		return ISTM_OUT_OF_MEMORY;
	}
	ipid->public_refs += ref->cPublicRefs;
	ipid->private_refs += ref->cPrivateRefs;
	dcom_object_touch(ipid->object);
	if (ipid->client != NULL) {
		ipid->client->seen = ipid->object->used;
	}
	return ISTM_S_OK;
}

static HRESULT add_ref(struct dcom_call *call, void *self,
		       struct IRemUnknown_RemAddRef *r)
{
	HRESULT result = ISTM_S_OK;

	for (size_t i = 0; i < r->in.cInterfaceRefs; i++) {
		HRESULT hr = add_one(call->runtime, &r->in.InterfaceRefs[i]);

		r->out.pResults[i] = hr;
		if (ISTM_FAILED(hr)) {
			result = hr;
		}
	}
	return result;
}

static HRESULT release(struct dcom_call *call, void *self,
		       struct IRemUnknown_RemRelease *r)
{
	HRESULT result = ISTM_S_OK;

	for (size_t i = 0; i < r->in.cInterfaceRefs; i++) {
		const struct REMINTERFACEREF *ref = &r->in.InterfaceRefs[i];
		struct dcom_ipid *ipid =
			dcom_ipid_find(call->runtime, &ref->ipid);

		/* The others are released all the same. */
		if (ipid == NULL) {
			result = ISTM_INVALID_ARG;
			continue;
		}
		dcom_ipid_release(ipid, ref->cPublicRefs, ref->cPrivateRefs);
	}
	return result;
}

static const struct IRemUnknown_vtbl vtbl = {
	.RemQueryInterface = query_interface,
	.RemAddRef = add_ref,
	.RemRelease = release,
	.RemQueryInterface2 = query_interface2,
};

static const struct com_interface *const interfaces[] = {
	&com_IRemUnknown,
	&com_IRemUnknown2,
	NULL,
};

static const struct dcom_object_type rem_unknown_type = {
	.name = "remote unknown",
	.interfaces = interfaces,
	.vtbl = &vtbl,
};

bool dcom_rem_unknown_create(struct dcom_runtime *runtime)
{
	struct dcom_object *object =
		dcom_object_create(runtime, &rem_unknown_type, NULL, NULL);

	if (object == NULL) {
		return false;
	}
	dcom_object_pin(object);
	/* Calls for IRemUnknown are on a base of the IPID's interface. */
	runtime->rem_unknown = dcom_object_own_ipid(object, &com_IRemUnknown2);
	return runtime->rem_unknown != NULL;
}
