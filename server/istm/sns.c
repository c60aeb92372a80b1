/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ISnsMgr: iSNS servers and the initiators heard of (MS-ISTM 3.40). */
#include "server/istm/private.h"

/* Longer names would not fit the SNS_SERVER that enumerates them. */
static bool name_fits(const char *name)
{
	uint16_t buffer[512];

	return WCHAR_SET(buffer, name);
}

static HRESULT sns_EnumSnsServers(struct dcom_call *call, void *self,
				  struct ISnsMgr_EnumSnsServers *r)
{
	TALLOC_CTX *mem_ctx = dcom_call_mem(call);
	const char **names = NULL;
	size_t count = model_sns_servers(model_of(self), mem_ctx, &names);
	struct SNS_SERVER *items =
		talloc_zero_array(mem_ctx, struct SNS_SERVER, count);

	if (items == NULL) {
		return ISTM_OUT_OF_MEMORY;
	}
	for (size_t i = 0; i < count; i++) {
		WCHAR_SET(items[i].szName, names[i]);
	}
	return istm_return_enum(istm_of(self), call, ISTM_ENUM_SNS_SERVER,
				items, count, r->out.ppEnumSnsServer);
}

static HRESULT sns_added(struct tevent_req *req, struct dcom_call *call,
			 void *r)
{
	return model_sns_server_add_recv(req);
}

static HRESULT sns_AddSnsServer(struct dcom_call *call, void *self,
				struct ISnsMgr_AddSnsServer *r)
{
	const char *name = bstr_or_empty(&r->in.SnsServerName);

	if (name[0] == '\0' || !name_fits(name)) {
		return istm_audit(call, ISTM_INVALID_ARG,
				  "add iSNS server \"%.64s\"", name);
	}
	return istm_defer(call,
			  model_sns_server_add_send(dcom_call_mem(call),
						    model_of(self), name),
			  sns_added, r, "add iSNS server \"%s\"", name);
}

static HRESULT sns_removed(struct tevent_req *req, struct dcom_call *call,
			   void *r)
{
	return model_sns_server_remove_recv(req);
}

static HRESULT sns_RemoveSnsServer(struct dcom_call *call, void *self,
				   struct ISnsMgr_RemoveSnsServer *r)
{
	const char *name = bstr_or_empty(&r->in.SnsServerName);

	return istm_defer(call,
			  model_sns_server_remove_send(dcom_call_mem(call),
						       model_of(self), name),
			  sns_removed, r, "remove iSNS server \"%s\"", name);
}

static HRESULT sns_EnumCachedInitiators(struct dcom_call *call, void *self,
					struct ISnsMgr_EnumCachedInitiators *r)
{
	TALLOC_CTX *mem_ctx = dcom_call_mem(call);
	struct model_cached_initiator *initiators = NULL;
	size_t count =
		model_cached_initiators(model_of(self), mem_ctx, &initiators);
	struct CACHED_INITIATOR *items =
		talloc_zero_array(mem_ctx, struct CACHED_INITIATOR, count);

	if (items == NULL) {
		return ISTM_OUT_OF_MEMORY;
	}
	for (size_t i = 0; i < count; i++) {
		WCHAR_SET(items[i].szInitiatorIqn, initiators[i].iqn);
		items[i].hyLastLoggedOnTime = initiators[i].last_login;
	}
	return istm_return_enum(istm_of(self), call, ISTM_ENUM_CACHED_INITIATOR,
				items, count, r->out.ppEnumCachedInitiator);
}

static const struct ISnsMgr_vtbl sns_methods = {
	.EnumSnsServers = sns_EnumSnsServers,
	.AddSnsServer = sns_AddSnsServer,
	.RemoveSnsServer = sns_RemoveSnsServer,
	.EnumCachedInitiators = sns_EnumCachedInitiators,
};

static const struct com_interface *const sns_interfaces[] = {&com_ISnsMgr,
							     NULL};

const struct dcom_object_type istm_sns_mgr_type = {
	.name = "iSNS manager",
	.interfaces = sns_interfaces,
	.vtbl = &sns_methods,
};

const struct istm_type istm_sns_mgr_entry = {.type = &istm_sns_mgr_type};
