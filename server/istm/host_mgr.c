/* SPDX-License-Identifier: GPL-3.0-or-later */
/* IHostMgr, IHostMgr2, IHostMgr3: the targets (MS-ISTM 3.25, 3.27, 3.29). */
#include "server/istm/private.h"

/* @param offline  in a cluster, also those that are not online */
static HRESULT return_hosts(void *self, struct dcom_call *call, bool offline,
			    struct MInterfacePointer **out)
{
	struct model *model = model_of(self);
	struct GUID *guids = NULL;
	size_t all = model_targets(model, dcom_call_mem(call), &guids);
	size_t count = 0;

	for (size_t i = 0; i < all; i++) {
		if (offline ||
		    model_target_online(
			    model, model_target_by_guid(model, &guids[i]))) {
			guids[count++] = guids[i];
		}
	}
	return istm_return_enum(istm_of(self), call, ISTM_ENUM_HOST, guids,
				count, out);
}

static HRESULT host_mgr_EnumHosts(struct dcom_call *call, void *self,
				  struct IHostMgr_EnumHosts *r)
{
	return return_hosts(self, call, false, r->out.ppEnumHost);
}

/* What NewHost, NewHost2 and NewHostNonPersistent have in common. */
static HRESULT new_host(struct dcom_call *call, void *self,
			const struct BSTR *name, bool persistent,
			const char *resource_name,
			struct MInterfacePointer **out)
{
	struct model_target *target = NULL;
	HRESULT result;

	if (bstr_empty(name)) {
		return istm_audit(call, ISTM_INVALID_ARG,
				  "new target without a name");
	}
	result = model_target_new(model_of(self), name->s, persistent,
				  resource_name, &target);
	istm_audit(call, result, "new target \"%s\"", name->s);
	if (ISTM_FAILED(result)) {
		return result;
	}
	return istm_return_host(istm_of(self), call, target, out);
}

static HRESULT host_mgr_NewHost(struct dcom_call *call, void *self,
				struct IHostMgr_NewHost *r)
{
	/* In a cluster NewHost2 has to say in which group (3.25.4.2). */
	if (model_is_clustered(model_of(self))) {
		return istm_audit(call, ISTM_INVALID_ARG,
				  "new target without a group");
	}
	return new_host(call, self, &r->in.HostName, true, NULL,
			r->out.ppNewHost);
}

static HRESULT host_mgr_GetHost(struct dcom_call *call, void *self,
				struct IHostMgr_GetHost *r)
{
	if (bstr_empty(&r->in.HostName)) {
		return ISTM_INVALID_ARG;
	}
	return istm_return_host(istm_of(self), call,
				model_target_by_name(model_of(self),
						     r->in.HostName.s),
				r->out.ppHost);
}

static HRESULT host_mgr_GetHostByTargetIQN(
	struct dcom_call *call, void *self,
	struct IHostMgr_GetHostByTargetIQN *r)
{
	const struct model_target *target;

	if (bstr_empty(&r->in.TargetIQN)) {
		return ISTM_INVALID_ARG;
	}
	target = model_target_by_iqn(model_of(self), r->in.TargetIQN.s);
	/* Offline ones have GetHost (3.25.4.3, .4). */
	if (target != NULL && !model_target_online(model_of(self), target)) {
		target = NULL;
	}
	return istm_return_host(istm_of(self), call, target, r->out.ppHost);
}

static HRESULT host_deleted(struct tevent_req *req, struct dcom_call *call,
			    void *r)
{
	return model_target_delete_recv(req);
}

static HRESULT host_mgr_DeleteHost(struct dcom_call *call, void *self,
				   struct IHostMgr_DeleteHost *r)
{
	struct model *model = model_of(self);
	struct model_target *target;

	if (bstr_empty(&r->in.HostName)) {
		return istm_audit(call, ISTM_INVALID_ARG,
				  "delete target without a name");
	}
	target = model_target_by_name(model, r->in.HostName.s);
	if (target == NULL) {
		return istm_audit(call, ISTM_FILE_NOT_FOUND,
				  "delete target \"%s\"", r->in.HostName.s);
	}
	return istm_defer(
		call,
		model_target_delete_send(dcom_call_mem(call), model, target),
		host_deleted, r, "delete target \"%s\"", r->in.HostName.s);
}

/* Outside a cluster there are no groups to choose from (3.27.4.1). */
static HRESULT host_mgr_NewHost2(struct dcom_call *call, void *self,
				 struct IHostMgr2_NewHost2 *r)
{
	struct model *model = model_of(self);
	struct GUID group;

	if (model_is_clustered(model) && !bstr_empty(&r->in.ResourceGroup) &&
	    ISTM_FAILED(
		    model_group_guid(model, r->in.ResourceGroup.s, &group))) {
		return istm_audit(call, ISTM_INVALID_ARG,
				  "new target in the group \"%s\"",
				  r->in.ResourceGroup.s);
	}
	return new_host(call, self, &r->in.HostName, true, NULL,
			r->out.ppNewHost);
}

static HRESULT host_mgr_NewHostNonPersistent(
	struct dcom_call *call, void *self,
	struct IHostMgr2_NewHostNonPersistent *r)
{
	return new_host(call, self, &r->in.HostName, false,
			bstr_or_empty(&r->in.ResourceName), r->out.ppNewHost);
}

/* Every caller over the network is a remote one (3.27.4.3). */
static HRESULT host_mgr_OpenHost(struct dcom_call *call, void *self,
				 struct IHostMgr2_OpenHost *r)
{
	return ISTM_ACCESS_DENIED;
}

static HRESULT host_mgr_CloseHost(struct dcom_call *call, void *self,
				  struct IHostMgr2_CloseHost *r)
{
	struct model *model = model_of(self);
	const char *name = bstr_or_empty(&r->in.HostName);
	struct model_target *target = model_target_by_name(model, name);
	HRESULT result = ISTM_FILE_NOT_FOUND;

	if (target != NULL) {
		result = model_target_close(model, target);
	}
	return istm_audit(call, result, "close target \"%s\"", name);
}

/* The same as EnumHosts outside a cluster, in one also those that are offline
 * (3.29.4.1). */
static HRESULT host_mgr_EnumAllClusterHosts(
	struct dcom_call *call, void *self,
	struct IHostMgr3_EnumAllClusterHosts *r)
{
	return return_hosts(self, call, true, r->out.EnumHost);
}

static const struct IHostMgr_vtbl host_mgr_methods = {
	.EnumHosts = host_mgr_EnumHosts,
	.NewHost = host_mgr_NewHost,
	.GetHost = host_mgr_GetHost,
	.GetHostByTargetIQN = host_mgr_GetHostByTargetIQN,
	.DeleteHost = host_mgr_DeleteHost,
	.NewHost2 = host_mgr_NewHost2,
	.NewHostNonPersistent = host_mgr_NewHostNonPersistent,
	.OpenHost = host_mgr_OpenHost,
	.CloseHost = host_mgr_CloseHost,
	.EnumAllClusterHosts = host_mgr_EnumAllClusterHosts,
};

static const struct com_interface *const host_mgr_interfaces[] = {
	&com_IHostMgr, &com_IHostMgr2, &com_IHostMgr3, NULL};

const struct dcom_object_type istm_host_mgr_type = {
	.name = "target manager",
	.interfaces = host_mgr_interfaces,
	.vtbl = &host_mgr_methods,
};

const struct istm_type istm_host_mgr_entry = {.type = &istm_host_mgr_type};
