/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Activation: IRemoteSCMActivator and IActivation, [MS-DCOM] 3.1.2.5.2.3.
 */
#include "librpc/actprops.h"
#include "server/dcom/runtime.h"
#include "gen_ndr/ndr_activation.h"

/* Interfaces asked for at once; each costs an OBJREF in the reply. */
#define MAX_INTERFACES 256

/* One activation, whatever method asked for it. */
struct activation {
	struct dcom_call *call;
	struct GUID clsid;
	bool class_object; /* the class itself, not an instance */
	size_t num_iids;
	const struct GUID *iids;
	struct COMVERSION version; /* agreed upon */
	const char *class_name;	   /* for the log, once it is known */
	/* results, of num_iids elements */
	HRESULT *results;
	struct MInterfacePointer **pointers;
};

/* 1.7: the lower of both minor versions; majors have to be equal. */
static bool agree_version(const struct COMVERSION *client,
			  struct COMVERSION *agreed)
{
	agreed->MajorVersion = COM_MAJOR_VERSION;
	agreed->MinorVersion = MIN(client->MinorVersion, COM_MINOR_VERSION);
	return client->MajorVersion == COM_MAJOR_VERSION;
}

static HRESULT find_object(struct activation *a, struct dcom_object **object)
{
	struct dcom_runtime *runtime = a->call->runtime;
	struct dcom_class_entry *entry = dcom_class_find(runtime, &a->clsid);

	if (entry == NULL) {
		struct GUID_txt_buf buf;

		log_msg(LOG_INFO, "%s from %s asked for the unknown class %s",
			a->call->account, a->call->address,
			GUID_buf_string(&a->clsid, &buf));
		return DCOM_E_CLASS_NOT_REG;
	}
	a->class_name = entry->class.name;
	if (a->class_object) {
		*object = entry->factory;
		return ISTM_S_OK;
	}
	return entry->class.create(runtime, entry->class.private_data, object);
}

static HRESULT give_interface(struct activation *a, struct dcom_object *object,
			      size_t i)
{
	const struct com_interface *interface;
	HRESULT hr = dcom_object_query(object, &a->iids[i], &interface);

	if (ISTM_FAILED(hr)) {
		return hr;
	}
	return dcom_return_object(a->call, object, interface, &a->pointers[i]);
}

/* S_OK, CO_S_NOTALLINTERFACES, or the failure if no interface is there. */
static HRESULT activate(struct activation *a)
{
	struct dcom_object *object;
	size_t good = 0;
	HRESULT hr;

	a->results = talloc_zero_array(a->call, HRESULT, a->num_iids);
	a->pointers = talloc_zero_array(a->call, struct MInterfacePointer *,
					a->num_iids);
	if (a->results == NULL || a->pointers == NULL) {
		return ISTM_OUT_OF_MEMORY;
	}
	a->class_name = "an unknown class";
	hr = find_object(a, &object);
	for (size_t i = 0; i < a->num_iids; i++) {
		a->results[i] =
			ISTM_FAILED(hr) ? hr : give_interface(a, object, i);
		good += !ISTM_FAILED(a->results[i]);
	}
	log_msg(LOG_INFO, "%s from %s: %s of %s: %zu of %zu interfaces",
		a->call->account, a->call->address, a->call->method_name,
		a->class_name, good, a->num_iids);
	if (good == 0) {
		return a->results[0];
	}
	return good == a->num_iids ? ISTM_S_OK : DCOM_S_NOT_ALL_IFACES;
}

static struct DUALSTRINGARRAY *object_bindings(struct dcom_call *call)
{
	struct dualstring ds;

	if (!dcom_bindings(call->runtime, call, &call->local,
			   call->runtime->object_port, &ds)) {
		return NULL;
	}
	return dualstring_pack(call, &ds);
}

/* Before any object is looked at. */
static HRESULT refuse(const struct dcom_call *call, HRESULT hr,
		      const char *reason)
{
	log_msg(LOG_INFO, "%s from %s: %s: %s [0x%08x]", call->account,
		call->address, call->method_name, reason, HRES_ERROR_V(hr));
	return hr;
}

/* ---- IRemoteSCMActivator ---- */

static HRESULT check_request(const struct actprops_in *in, struct activation *a)
{
	const struct InstantiationInfoData *info = in->instantiation;
	const struct customREMOTE_REQUEST_SCM_INFO *remote =
		in->scm_request->remoteRequest;

	if (!agree_version(&info->clientCOMVersion, &a->version)) {
		return refuse(a->call, HRES_ERROR(DCOM_E_VERSION_MISMATCH),
			      "another COM version");
	}
	if (info->pIID == NULL || info->cIID == 0 ||
	    info->cIID > MAX_INTERFACES) {
		return refuse(a->call, ISTM_INVALID_ARG,
			      "no interface asked for, or too many");
	}
	if (remote == NULL || !dcom_wants_tcp(remote->cRequestedProtseqs,
					      remote->pRequestedProtseqs)) {
		return refuse(a->call,
			      ISTM_WIN32(DCOM_RPC_PROTSEQ_NOT_SUPPORTED),
			      "not over TCP");
	}
	a->clsid = info->classId;
	a->iids = info->pIID;
	a->num_iids = info->cIID;
	return ISTM_S_OK;
}

static HRESULT pack_reply(struct activation *a, struct MInterfacePointer **out)
{
	struct dcom_runtime *runtime = a->call->runtime;
	struct PropsOutInfo props = {
		.cIfs = a->num_iids,
		.piid = discard_const_p(struct GUID, a->iids),
		.phresults = a->results,
		.ppIntfData = a->pointers,
	};
	struct customREMOTE_REPLY_SCM_INFO remote = {
		.Oxid = runtime->oxid,
		.pdsaOxidBindings = object_bindings(a->call),
		.ipidRemUnknown = runtime->rem_unknown->ipid,
		.authnHint = DCERPC_AUTH_LEVEL_PRIVACY,
		.serverVersion = a->version,
	};
	struct ScmReplyInfoData scm = {.remoteReply = &remote};
	struct actprops_out reply = {.props_out = &props, .scm_reply = &scm};

	if (remote.pdsaOxidBindings == NULL) {
		return ISTM_OUT_OF_MEMORY;
	}
	*out = actprops_out_pack(a->call, &reply);
	return *out == NULL ? ISTM_OUT_OF_MEMORY : ISTM_S_OK;
}

/*
 * @param malformed  set when the properties are: the caller gets a fault, as
 *                   for a malformed stub
 */
static HRESULT scm_activate(struct dcom_call *call, bool class_object,
			    const struct ORPCTHIS *this,
			    const struct MInterfacePointer *in_blob,
			    struct MInterfacePointer **out, uint32_t *fault)
{
	struct activation a = {.call = call, .class_object = class_object};
	struct actprops_in in;
	enum ndr_err_code ndr_err;
	HRESULT hr, packed;

	if (this->version.MajorVersion != COM_MAJOR_VERSION ||
	    this->version.MinorVersion > COM_MINOR_VERSION) {
		*fault = DCOM_E_VERSION_MISMATCH;
		return ISTM_S_OK;
	}
	if (in_blob == NULL) {
		return refuse(call, ISTM_INVALID_ARG, "no properties");
	}
	ndr_err = actprops_in_unpack(call, in_blob, &in);
	if (!NDR_ERR_CODE_IS_SUCCESS(ndr_err)) {
		log_msg(LOG_WARNING,
			"%s from %s: %s has malformed properties: %s",
			call->account, call->address, call->method_name,
			ndr_map_error2string(ndr_err));
		return ISTM_INVALID_ARG;
	}
	hr = check_request(&in, &a);
	if (ISTM_FAILED(hr)) {
		return hr;
	}
	hr = activate(&a);
	if (ISTM_FAILED(hr)) {
		/* No object, nothing to describe: 3.1.2.5.2.3.3 */
		return hr;
	}
	packed = pack_reply(&a, out);
	return ISTM_FAILED(packed) ? packed : hr;
}

static uint32_t get_class_object(struct dcom_call *call,
				 struct RemoteGetClassObject *r)
{
	uint32_t fault = 0;

	r->out.result =
		scm_activate(call, true, &r->in.ORPCthis, r->in.pActProperties,
			     r->out.ppActProperties, &fault);
	dcom_call_done(call, r->out.result);
	return fault;
}

static uint32_t create_instance(struct dcom_call *call,
				struct RemoteCreateInstance *r)
{
	uint32_t fault = 0;

	if (r->in.pUnkOuter != NULL) {
		r->out.result = DCOM_E_NO_AGGREGATION;
		return 0;
	}
	r->out.result =
		scm_activate(call, false, &r->in.ORPCthis, r->in.pActProperties,
			     r->out.ppActProperties, &fault);
	dcom_call_done(call, r->out.result);
	return fault;
}

static uint32_t scm_dispatch(struct dcom_call *call, uint16_t opnum, void *r)
{
	switch (opnum) {
	case NDR_REMOTEGETCLASSOBJECT:
		return get_class_object(call, r);
	case NDR_REMOTECREATEINSTANCE:
		return create_instance(call, r);
	}
	return DCERPC_FAULT_OP_RNG_ERROR;
}

static uint32_t prepare_refusal(uint16_t opnum, void *r)
{
	NTSTATUS status = dcom_pull_zero(
		&ndr_table_IRemoteSCMActivator.calls[opnum], r, r);

	return NT_STATUS_IS_OK(status) ? 0 : DCERPC_FAULT_ACCESS_DENIED;
}

static uint32_t scm_refuse(struct dcom_call *call, uint16_t opnum, void *r)
{
	uint32_t fault;

	switch (opnum) {
	case NDR_REMOTEGETCLASSOBJECT:
		fault = prepare_refusal(opnum, r);
		((struct RemoteGetClassObject *)r)->out.result =
			ISTM_ACCESS_DENIED;
		return fault;
	case NDR_REMOTECREATEINSTANCE:
		fault = prepare_refusal(opnum, r);
		((struct RemoteCreateInstance *)r)->out.result =
			ISTM_ACCESS_DENIED;
		return fault;
	}
	return DCERPC_FAULT_OP_RNG_ERROR;
}

const struct dcom_rpc_interface dcom_scm_activator = {
	.table = &ndr_table_IRemoteSCMActivator,
	.min_level = DCERPC_AUTH_LEVEL_PRIVACY,
	.dispatch = scm_dispatch,
	.refuse = scm_refuse,
};

/* ---- IActivation ---- */

/* The result of the activation is *phr; the return value is that of the
 * call (3.1.2.5.2.3.1). */
static HRESULT remote_activation(struct dcom_call *call,
				 struct RemoteActivation *r)
{
	struct activation a = {
		.call = call,
		.clsid = *r->in.Clsid,
		.class_object = r->in.Mode == MODE_GET_CLASS_OBJECT,
		.num_iids = r->in.Interfaces,
		.iids = r->in.pIIDs,
	};
	HRESULT hr;

	if (!agree_version(&r->in.ORPCthis.version, &a.version)) {
		return refuse(call, HRES_ERROR(DCOM_E_VERSION_MISMATCH),
			      "another COM version");
	}
	*r->out.pServerVersion = a.version;
	if (a.iids == NULL || a.num_iids > MAX_INTERFACES ||
	    r->in.pwszObjectName != NULL || r->in.pObjectStorage != NULL) {
		return refuse(call, ISTM_INVALID_ARG,
			      "no interfaces, too many, or from a file");
	}
	if (!dcom_wants_tcp(r->in.cRequestedProtseqs,
			    r->in.aRequestedProtseqs)) {
		return refuse(call, ISTM_WIN32(DCOM_RPC_PROTSEQ_NOT_SUPPORTED),
			      "not over TCP");
	}
	hr = activate(&a);
	for (size_t i = 0;
	     a.results != NULL && a.pointers != NULL && i < a.num_iids; i++) {
		r->out.pResults[i] = a.results[i];
		r->out.ppInterfaceData[i] = a.pointers[i];
	}
	if (ISTM_FAILED(hr)) {
		return hr;
	}
	*r->out.ppdsaOxidBindings = object_bindings(call);
	if (*r->out.ppdsaOxidBindings == NULL) {
		return ISTM_OUT_OF_MEMORY;
	}
	*r->out.pOxid = call->runtime->oxid;
	*r->out.pIpidRemUnknown = call->runtime->rem_unknown->ipid;
	*r->out.pAuthnHint = DCERPC_AUTH_LEVEL_PRIVACY;
	return hr;
}

static uint32_t activation_dispatch(struct dcom_call *call, uint16_t opnum,
				    void *r)
{
	struct RemoteActivation *ra = r;

	if (opnum != NDR_REMOTEACTIVATION) {
		return DCERPC_FAULT_OP_RNG_ERROR;
	}
	*ra->out.phr = remote_activation(call, ra);
	ra->out.result = WERR_OK;
	dcom_call_done(call, *ra->out.phr);
	return 0;
}

/* A NULL interface pointer for each that was asked for. */
static uint32_t activation_refuse(struct dcom_call *call, uint16_t opnum,
				  void *r)
{
	struct RemoteActivation *ra = r;

	if (opnum != NDR_REMOTEACTIVATION) {
		return DCERPC_FAULT_OP_RNG_ERROR;
	}
	for (uint32_t i = 0; i < ra->in.Interfaces; i++) {
		ra->out.pResults[i] = ISTM_ACCESS_DENIED;
	}
	*ra->out.phr = ISTM_ACCESS_DENIED;
	ra->out.result = W_ERROR(HRES_ERROR_V(ISTM_ACCESS_DENIED));
	return 0;
}

const struct dcom_rpc_interface dcom_activation = {
	.table = &ndr_table_IActivation,
	.min_level = DCERPC_AUTH_LEVEL_PRIVACY,
	.dispatch = activation_dispatch,
	.refuse = activation_refuse,
	.refuse_needs_arguments = true,
};
