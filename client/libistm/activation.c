/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Activation through IRemoteSCMActivator ([MS-DCOM] 3.2.4.1.1.2). */
#include <string.h>

#include "client/libistm/internal.h"
#include "gen_ndr/ndr_activation.h"
#include "gen_ndr/ndr_orpc.h"
#include "librpc/actprops.h"
#include "librpc/dualstring.h"
#include "librpc/objref.h"
#include "server/core/errors.h"

#define CLSCTX_REMOTE_SERVER  0x10
#define IMP_LEVEL_IMPERSONATE 3

HRESULT istm_exporter_bindings(struct istm_exporter *e,
			       const struct DUALSTRINGARRAY *dsa)
{
	TALLOC_CTX *frame = talloc_new(e);
	struct dualstring ds = {0};
	size_t i;

	if (dsa == NULL || !dualstring_unpack(frame, dsa, &ds)) {
		talloc_free(frame);
		return ISTM_UNEXPECTED;
	}
	e->bindings =
		talloc_zero_array(e, struct istm_binding, ds.num_strings + 1);
	if (e->bindings == NULL) {
		talloc_free(frame);
		return ISTM_OUT_OF_MEMORY;
	}
	for (i = 0; i < ds.num_strings; i++) {
		struct istm_binding *b = &e->bindings[e->num_bindings];

		if (ds.strings[i].wTowerId == DCOM_TOWER_TCP &&
		    string_binding_parse(e->bindings,
					 ds.strings[i].aNetworkAddr, 0,
					 &b->host, &b->port)) {
			e->num_bindings++;
		}
	}
	talloc_free(frame);
	return e->num_bindings > 0 ? ISTM_S_OK : ISTM_UNEXPECTED;
}

/* Take what we asked for out of the answer. */
static HRESULT take_reply(TALLOC_CTX *mem_ctx, TALLOC_CTX *frame,
			  struct istm_client *client,
			  const struct com_interface *interface,
			  const struct MInterfacePointer *mip,
			  struct istm_object **object)
{
	struct actprops_out props = {0};
	struct customREMOTE_REPLY_SCM_INFO *scm;
	struct istm_exporter *exporter = NULL;
	struct OBJREF *objref;
	const struct STDOBJREF *std;
	HRESULT hr;

	if (mip == NULL ||
	    !NDR_ERR_CODE_IS_SUCCESS(actprops_out_unpack(frame, mip, &props))) {
		return ISTM_UNEXPECTED;
	}
	scm = props.scm_reply->remoteReply;
	if (props.props_out->cIfs != 1 || props.props_out->phresults == NULL ||
	    props.props_out->ppIntfData == NULL || scm == NULL) {
		return ISTM_UNEXPECTED;
	}
	hr = props.props_out->phresults[0];
	if (ISTM_FAILED(hr)) {
		return hr;
	}
	if (props.props_out->ppIntfData[0] == NULL) {
		return ISTM_UNEXPECTED;
	}
	objref = objref_unpack(frame, props.props_out->ppIntfData[0]);
	std = objref != NULL ? objref_std(objref) : NULL;
	if (std == NULL || std->oxid != scm->Oxid) {
		return ISTM_UNEXPECTED;
	}
	hr = istm_exporter_get(client, scm->Oxid, &scm->ipidRemUnknown,
			       scm->pdsaOxidBindings, &exporter);
	if (ISTM_FAILED(hr)) {
		return hr;
	}
	return istm_object_new(mem_ctx, exporter, interface, std, object);
}

static HRESULT activate(TALLOC_CTX *mem_ctx, TALLOC_CTX *frame,
			struct istm_client *client,
			const struct com_class *com_class,
			const struct com_interface *interface,
			struct istm_object **object)
{
	const struct COMVERSION version = {COM_MAJOR_VERSION,
					   COM_MINOR_VERSION};
	uint16_t protseqs[] = {DCOM_TOWER_TCP};
	struct GUID iid = interface->iid;
	struct InstantiationInfoData instantiation = {
		.classId = com_class->clsid,
		.classCtx = CLSCTX_REMOTE_SERVER,
		.cIID = 1,
		.pIID = &iid,
		.clientCOMVersion = version,
	};
	struct customREMOTE_REQUEST_SCM_INFO request = {
		.ClientImpLevel = IMP_LEVEL_IMPERSONATE,
		.cRequestedProtseqs = 1,
		.pRequestedProtseqs = protseqs,
	};
	struct ScmRequestInfoData scm = {.remoteRequest = &request};
	struct LocationInfoData location = {0};
	struct SecurityInfoData security = {0};
	struct ActivationContextInfoData context = {0};
	struct actprops_in props = {
		.instantiation = &instantiation,
		.scm_request = &scm,
		.location = &location,
		.security = &security,
		.context = &context,
	};
	struct RemoteCreateInstance r = {
		.in.ORPCthis = {.version = version, .cid = GUID_random()},
		.in.pActProperties = actprops_in_pack(frame, &props),
	};
	struct istm_context *scm_context = NULL;
	NTSTATUS status;
	HRESULT hr;

	if (r.in.pActProperties == NULL) {
		return ISTM_OUT_OF_MEMORY;
	}
	hr = istm_scm_context(client, &ndr_table_IRemoteSCMActivator,
			      &scm_context);
	if (ISTM_FAILED(hr)) {
		return hr;
	}
	status =
		dcerpc_binding_handle_call(scm_context->pipe->binding_handle,
					   NULL, &scm_context->table,
					   NDR_REMOTECREATEINSTANCE, frame, &r);
	if (!NT_STATUS_IS_OK(status)) {
		return istm_fail(client, status, "Activation of %s",
				 com_class->name);
	}
	if (ISTM_FAILED(r.out.result)) {
		return r.out.result;
	}
	return take_reply(mem_ctx, frame, client, interface,
			  *r.out.ppActProperties, object);
}

HRESULT istm_activate(TALLOC_CTX *mem_ctx, struct istm_client *client,
		      const struct com_class *com_class,
		      const struct com_interface *interface,
		      struct istm_object **object)
{
	TALLOC_CTX *frame = talloc_new(client);
	HRESULT hr;

	*object = NULL;
	TALLOC_FREE(client->error);
	if (frame == NULL) {
		return ISTM_OUT_OF_MEMORY;
	}
	hr = activate(mem_ctx, frame, client, com_class, interface, object);
	talloc_free(frame);
	return hr;
}
