/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * IHost, IHost2, IHost3: one target (MS-ISTM 3.21, 3.23, 3.24). Puts act at
 * once on the target that all clients share; Save() makes them durable.
 */
#include "server/istm/private.h"

/* NULL when the target has been deleted. */
static struct model_target *host_target(void *self)
{
	struct istm_object *object = self;

	return model_target_by_guid(model_of(self), &object->guid);
}

/* Also NULL when, in a cluster, its resource is not online. */
static struct model_target *online_host(void *self)
{
	struct model_target *target = host_target(self);

	return target != NULL && model_target_online(model_of(self), target)
		       ? target
		       : NULL;
}

/* Why there is no target: most methods have ERROR_INVALID_FUNCTION for one
 * that is offline. */
static HRESULT no_host(void *self)
{
	return host_target(self) == NULL ? ISTM_FILE_NOT_FOUND
					 : ISTM_INVALID_FUNCTION;
}

/* ---- properties ---- */

/* A property that is a member of the target, of any scalar type. */
#define HOST_GET_OF(find, prop, iface, param, value)                           \
	static HRESULT host_get_##prop(struct dcom_call *call, void *self,     \
				       struct iface##_get_##prop *r)           \
	{                                                                      \
		const struct model_target *target = find(self);                \
                                                                               \
		if (target == NULL) {                                          \
			return no_host(self);                                  \
		}                                                              \
		*r->out.param = (value);                                       \
		return ISTM_S_OK;                                              \
	}

#define HOST_GET_STRING_OF(find, prop, iface, param, member)                   \
	static HRESULT host_get_##prop(struct dcom_call *call, void *self,     \
				       struct iface##_get_##prop *r)           \
	{                                                                      \
		const struct model_target *target = find(self);                \
                                                                               \
		if (target == NULL) {                                          \
			return no_host(self);                                  \
		}                                                              \
		return istm_return_string(call, target->member, r->out.param); \
	}

/*
 * What every put has in common: the value goes to the model, which decides.
 * @fmt and what follows say in the audit what was set (never a secret).
 */
#define HOST_PUT_OF(find, prop, iface, set, value, fmt, ...)                   \
	static HRESULT host_put_##prop(struct dcom_call *call, void *self,     \
				       struct iface##_put_##prop *r)           \
	{                                                                      \
		struct model_target *target = find(self);                      \
		const char *name;                                              \
                                                                               \
		if (target == NULL) {                                          \
			return no_host(self);                                  \
		}                                                              \
		name = talloc_strdup(dcom_call_mem(call), target->name);       \
		return istm_audit(call, set(model_of(self), target, value),    \
				  "target \"%s\": " fmt, name, ##__VA_ARGS__); \
	}

#define HOST_GET(prop, iface, param, value)                                    \
	HOST_GET_OF(online_host, prop, iface, param, value)
#define HOST_GET_STRING(prop, iface, param, member)                            \
	HOST_GET_STRING_OF(online_host, prop, iface, param, member)
#define HOST_PUT(prop, iface, set, value, ...)                                 \
	HOST_PUT_OF(online_host, prop, iface, set, value, __VA_ARGS__)

HOST_GET(Guid, IHost, pGuid, target->guid)
HOST_GET(Enable, IHost, pEnable, target->enabled)
HOST_PUT(Enable, IHost, model_target_set_enabled, r->in.bEnable != 0, "%s",
	 r->in.bEnable ? "enable" : "disable")
/* The names can be had of one that is offline, too. */
HOST_GET_STRING_OF(host_target, Name, IHost, pName, name)
HOST_PUT_OF(host_target, Name, IHost, model_target_set_name,
	    bstr_or_empty(&r->in.Name), "name \"%s\"",
	    bstr_or_empty(&r->in.Name))
HOST_GET_STRING(Description, IHost, pDescription, description)
HOST_PUT(Description, IHost, model_target_set_description,
	 bstr_or_empty(&r->in.Description), "description \"%s\"",
	 bstr_or_empty(&r->in.Description))
HOST_GET_STRING(TargetIQN, IHost, pTargetIQN, iqn)
HOST_PUT(TargetIQN, IHost, model_target_set_iqn,
	 bstr_or_empty(&r->in.TargetIQN), "IQN \"%s\"",
	 bstr_or_empty(&r->in.TargetIQN))

/* 3.21.4.10: from the sessions there are now. */
static HRESULT host_get_Status(struct dcom_call *call, void *self,
			       struct IHost_get_Status *r)
{
	struct model_target *target = online_host(self);

	if (target == NULL) {
		return no_host(self);
	}
	*r->out.pStatus = model_target_num_sessions(model_of(self), target) > 0
				  ? HostStatusConnected
				  : HostStatusIdle;
	return ISTM_S_OK;
}

HOST_GET(LastLogIn, IHost, pTimeStamp, target->last_login)

HOST_GET(EnableCHAP, IHost, pEnable, target->chap)
HOST_PUT(EnableCHAP, IHost, model_target_set_chap, r->in.bEnable != 0,
	 "CHAP %s", r->in.bEnable ? "on" : "off")
HOST_GET_STRING(CHAPUserName, IHost, pUserName, chap_user)
HOST_PUT(CHAPUserName, IHost, model_target_set_chap_user,
	 bstr_or_empty(&r->in.UserName), "CHAP user \"%s\"",
	 bstr_or_empty(&r->in.UserName))
HOST_GET_STRING(CHAPSecret, IHost, pSecret, chap_secret)
HOST_PUT(CHAPSecret, IHost, model_target_set_chap_secret,
	 bstr_or_empty(&r->in.Secret), "CHAP secret")
HOST_GET(EnableReverseCHAP, IHost, pEnable, target->reverse_chap)
HOST_PUT(EnableReverseCHAP, IHost, model_target_set_reverse_chap,
	 r->in.bEnable != 0, "reverse CHAP %s", r->in.bEnable ? "on" : "off")
HOST_GET_STRING(ReverseCHAPUserName, IHost, pUserName, reverse_chap_user)
HOST_PUT(ReverseCHAPUserName, IHost, model_target_set_reverse_chap_user,
	 bstr_or_empty(&r->in.UserName), "reverse CHAP user \"%s\"",
	 bstr_or_empty(&r->in.UserName))
HOST_GET_STRING(ReverseCHAPSecret, IHost, pSecret, reverse_chap_secret)
HOST_PUT(ReverseCHAPSecret, IHost, model_target_set_reverse_chap_secret,
	 bstr_or_empty(&r->in.Secret), "reverse CHAP secret")

HOST_GET(TargetMaxRecvDataSegmentLength, IHost, pLength,
	 target->max_recv_data_segment_length)
HOST_PUT(TargetMaxRecvDataSegmentLength, IHost,
	 model_target_set_max_recv_data_segment_length, r->in.nLength,
	 "MaxRecvDataSegmentLength %u", r->in.nLength)
HOST_GET(TargetFirstBurstLength, IHost, pLength, target->first_burst_length)
HOST_PUT(TargetFirstBurstLength, IHost, model_target_set_first_burst_length,
	 r->in.nLength, "FirstBurstLength %u", r->in.nLength)
HOST_GET(TargetMaxBurstLength, IHost, pLength, target->max_burst_length)
HOST_PUT(TargetMaxBurstLength, IHost, model_target_set_max_burst_length,
	 r->in.nLength, "MaxBurstLength %u", r->in.nLength)
HOST_GET(NumRecvBuffers, IHost, pNumBuffers, target->num_recv_buffers)
HOST_PUT(NumRecvBuffers, IHost, model_target_set_num_recv_buffers,
	 r->in.nNumBuffers, "receive buffers %u", r->in.nNumBuffers)
HOST_GET(EnforceIdleTimeoutDetection, IHost, pEnable,
	 target->enforce_idle_timeout)
HOST_PUT(EnforceIdleTimeoutDetection, IHost,
	 model_target_set_enforce_idle_timeout, r->in.bEnable != 0,
	 "idle timeout detection %s", r->in.bEnable ? "on" : "off")

/* ---- who may log in ---- */

static HRESULT host_EnumIDs(struct dcom_call *call, void *self,
			    struct IHost_EnumIDs *r)
{
	const struct model_target *target = online_host(self);
	struct ID *ids;

	if (target == NULL) {
		return no_host(self);
	}
	ids = talloc_zero_array(dcom_call_mem(call), struct ID,
				target->num_ids);
	if (ids == NULL) {
		return ISTM_OUT_OF_MEMORY;
	}
	for (size_t i = 0; i < target->num_ids; i++) {
		ids[i].eMethod = (enum IDMethod)target->ids[i].method;
		WCHAR_SET(ids[i].szValue, target->ids[i].value);
	}
	return istm_return_enum(istm_of(self), call, ISTM_ENUM_ID_METHOD, ids,
				target->num_ids, r->out.ppEnumIDMethod);
}

static const char *id_method_name(enum IDMethod method)
{
	switch (method) {
	case IDNetBiosName:
		return "NetBIOS name";
	case IDDNSName:
		return "DNS name";
	case IDIPAddress:
		return "IPv4 address";
	case IDMACAddress:
		return "MAC address";
	case IDIQN:
		return "IQN";
	case IDIPv6Address:
		return "IPv6 address";
	default:
		return NULL;
	}
}

/*
 * AddID and RemoveID. The values of IDMethod and of the target's enumeration
 * are the same; IDInvalid is reserved (3.1.4.2.4).
 */
static HRESULT host_change_id(struct dcom_call *call, void *self,
			      const struct ID *in, const char *what,
			      HRESULT (*change)(struct model *,
						struct model_target *,
						const struct model_id *))
{
	struct model_target *target = online_host(self);
	const char *method = id_method_name(in->eMethod);
	struct model_id id = {
		.method = (enum iscsi_id_method)in->eMethod,
		.value = WCHAR_GET(dcom_call_mem(call), in->szValue),
	};

	if (target == NULL) {
		return no_host(self);
	}
	if (id.value == NULL) {
		return ISTM_OUT_OF_MEMORY;
	}
	if (method == NULL) {
		return istm_audit(call, ISTM_INVALID_ARG,
				  "target \"%s\": %s of unknown method %d",
				  target->name, what, (int)in->eMethod);
	}
	return istm_audit(call, change(model_of(self), target, &id),
			  "target \"%s\": %s %s \"%s\"", target->name, what,
			  method, id.value);
}

static HRESULT host_AddID(struct dcom_call *call, void *self,
			  struct IHost_AddID *r)
{
	return host_change_id(call, self, r->in.pIDMethod, "admit",
			      model_target_add_id);
}

static HRESULT host_RemoveID(struct dcom_call *call, void *self,
			     struct IHost_RemoveID *r)
{
	return host_change_id(call, self, r->in.pIDMethod, "no longer admit",
			      model_target_remove_id);
}

static HRESULT host_RemoveAllIDs(struct dcom_call *call, void *self,
				 struct IHost_RemoveAllIDs *r)
{
	struct model_target *target = online_host(self);

	if (target == NULL) {
		return no_host(self);
	}
	return istm_audit(call,
			  model_target_remove_all_ids(model_of(self), target),
			  "target \"%s\": admit nobody", target->name);
}

/* ---- disks ---- */

static HRESULT host_EnumWTDiskLunMappings(struct dcom_call *call, void *self,
					  struct IHost_EnumWTDiskLunMappings *r)
{
	const struct model_target *target = online_host(self);
	struct LUN_MAPPING *mappings;

	if (target == NULL) {
		return no_host(self);
	}
	mappings = talloc_zero_array(dcom_call_mem(call), struct LUN_MAPPING,
				     target->num_mappings);
	if (mappings == NULL) {
		return ISTM_OUT_OF_MEMORY;
	}
	for (size_t i = 0; i < target->num_mappings; i++) {
		mappings[i].dwLun = target->mappings[i].lun;
		mappings[i].dwWTD = target->mappings[i].disk;
	}
	return istm_return_enum(istm_of(self), call,
				ISTM_ENUM_WTDISK_LUN_MAPPING, mappings,
				target->num_mappings,
				r->out.ppEnumWTDiskLunMapping);
}

static HRESULT host_AddWTDisk(struct dcom_call *call, void *self,
			      struct IHost_AddWTDisk *r)
{
	struct model_target *target = online_host(self);

	if (target == NULL) {
		return no_host(self);
	}
	return istm_audit(
		call, model_target_add_disk(model_of(self), target, r->in.nWTD),
		"target \"%s\": assign disk %u", target->name, r->in.nWTD);
}

static HRESULT host_RemoveWTDisk(struct dcom_call *call, void *self,
				 struct IHost_RemoveWTDisk *r)
{
	struct model_target *target = online_host(self);

	if (target == NULL) {
		return no_host(self);
	}
	return istm_audit(
		call,
		model_target_remove_disk(model_of(self), target, r->in.nWTD),
		"target \"%s\": take disk %u away", target->name, r->in.nWTD);
}

static HRESULT host_RemoveAllWTDisks(struct dcom_call *call, void *self,
				     struct IHost_RemoveAllWTDisks *r)
{
	struct model_target *target = online_host(self);

	if (target == NULL) {
		return no_host(self);
	}
	return istm_audit(call,
			  model_target_remove_all_disks(model_of(self), target),
			  "target \"%s\": take all disks away", target->name);
}

static HRESULT host_SetWTDiskLunMapping(struct dcom_call *call, void *self,
					struct IHost_SetWTDiskLunMapping *r)
{
	struct model_target *target = online_host(self);

	if (target == NULL) {
		return no_host(self);
	}
	return istm_audit(call,
			  model_target_set_lun(model_of(self), target,
					       r->in.nWTD, r->in.nNewLun),
			  "target \"%s\": disk %u is LUN %u", target->name,
			  r->in.nWTD, r->in.nNewLun);
}

/* ---- portals ---- */

/* Windows' is always empty (<37>). */
static HRESULT host_EnumPortals(struct dcom_call *call, void *self,
				struct IHost_EnumPortals *r)
{
	const struct model_target *target = online_host(self);

	if (target == NULL) {
		return no_host(self);
	}
	return istm_return_portals(self, call, target, r->out.ppEnumPortal);
}

static HRESULT host_AddPortal(struct dcom_call *call, void *self,
			      struct IHost_AddPortal *r)
{
	struct model_target *target = online_host(self);
	const char *address = bstr_or_empty(&r->in.IpAddress);

	if (target == NULL) {
		return no_host(self);
	}
	return istm_audit(
		call, model_target_add_portal(model_of(self), target, address),
		"target \"%s\": portal %s", target->name, address);
}

/* Windows' succeed without doing anything (<39>, <40>): what is not there is no
 * error. */
static HRESULT host_RemovePortal(struct dcom_call *call, void *self,
				 struct IHost_RemovePortal *r)
{
	struct model_target *target = online_host(self);
	const char *address = bstr_or_empty(&r->in.IpAddress);

	if (target == NULL) {
		return no_host(self);
	}
	return istm_audit(call,
			  model_target_remove_portal(model_of(self), target,
						     address),
			  "target \"%s\": no portal %s", target->name, address);
}

static HRESULT host_RemoveAllPortals(struct dcom_call *call, void *self,
				     struct IHost_RemoveAllPortals *r)
{
	struct model_target *target = online_host(self);

	if (target == NULL) {
		return no_host(self);
	}
	return istm_audit(
		call, model_target_remove_all_portals(model_of(self), target),
		"target \"%s\": no portals of its own", target->name);
}

HOST_GET(ListenAllNetworkAdapters, IHost, pListenAll, target->listen_all)
HOST_PUT(ListenAllNetworkAdapters, IHost, model_target_set_listen_all,
	 r->in.bListenAll != 0, "%s",
	 r->in.bListenAll ? "all portals" : "its own portals only")
HOST_GET(Processor, IHost, pProcessor,
	 model_target_processors(model_of(self), target))
HOST_PUT(Processor, IHost, model_target_set_processors, r->in.nProcessor,
	 "processors 0x%x", r->in.nProcessor)

/* ---- the rest ---- */

static HRESULT host_saved(struct tevent_req *req, struct dcom_call *call,
			  void *r)
{
	return model_target_save_recv(req);
}

static HRESULT host_Save(struct dcom_call *call, void *self,
			 struct IHost_Save *r)
{
	struct model_target *target = online_host(self);

	if (target == NULL) {
		return no_host(self);
	}
	return istm_defer(call,
			  model_target_save_send(dcom_call_mem(call),
						 model_of(self), target),
			  host_saved, r, "target \"%s\": save", target->name);
}

static HRESULT host_ValidateChapSecret(struct dcom_call *call, void *self,
				       struct IHost_ValidateChapSecret *r)
{
	struct model_target *target = online_host(self);

	if (target == NULL) {
		return no_host(self);
	}
	return model_target_validate_secret(model_of(self), target, false,
					    bstr_or_empty(&r->in.Secret));
}

static HRESULT host_ValidateReverseChapSecret(
	struct dcom_call *call, void *self,
	struct IHost_ValidateReverseChapSecret *r)
{
	struct model_target *target = online_host(self);

	if (target == NULL) {
		return no_host(self);
	}
	return model_target_validate_secret(model_of(self), target, true,
					    bstr_or_empty(&r->in.Secret));
}

/* No target redirects (<44>). */
static HRESULT host_CheckTargetRedirect(struct dcom_call *call, void *self,
					struct IHost_CheckTargetRedirect *r)
{
	return host_target(self) != NULL ? ISTM_S_FALSE : no_host(self);
}

HOST_GET_STRING_OF(host_target, ResourceName, IHost2, pResourceName,
		   resource_name)

static HRESULT host_put_ResourceName(struct dcom_call *call, void *self,
				     struct IHost2_put_ResourceName *r)
{
	struct model_target *target = host_target(self);
	const char *name = bstr_or_empty(&r->in.resourceName);

	if (target == NULL) {
		return no_host(self);
	}
	return istm_audit(
		call,
		model_target_set_resource_name(model_of(self), target, name),
		"target \"%s\": resource name \"%s\"", target->name, name);
}

/* Empty outside a cluster (3.23.4.3). */
static HRESULT host_get_ResourceGroupName(
	struct dcom_call *call, void *self,
	struct IHost2_get_ResourceGroupName *r)
{
	if (online_host(self) == NULL) {
		return no_host(self);
	}
	return istm_return_string(call, "", r->out.pResourceGroup);
}

/* Every caller over the network is a remote one (3.23.4.5). */
static HRESULT host_SaveToStream(struct dcom_call *call, void *self,
				 struct IHost2_SaveToStream *r)
{
	if (host_target(self) != NULL && online_host(self) == NULL) {
		return ISTM_INVALID_FUNCTION;
	}
	return ISTM_ACCESS_DENIED;
}

static HRESULT host_EnumSessions(struct dcom_call *call, void *self,
				 struct IHost2_EnumSessions *r)
{
	const struct model_target *target = online_host(self);

	if (target == NULL) {
		return no_host(self);
	}
	return istm_return_sessions2(self, call, target, r->out.ppEnumSession);
}

/* ClusterResourceStateUnknown ([MS-CMRP] 3.1.4.1.13) outside a cluster. */
HOST_GET_OF(host_target, ResourceState, IHost3, ResourceState,
	    model_resource_state(model_of(self), &target->guid))

#define NOTIMPL(X)                                                             \
	X(IHost, put_Status, "computed from the sessions (3.21.4.10, <20>)")   \
	X(IHost, put_LastLogIn, "set by logins alone (3.21.4.12, <21>)")       \
	X(IHost, SetCHAPInfoByBlob,                                            \
	  "the encrypted form is not documented (<41>)")                       \
	X(IHost2, put_ResourceGroupName,                                       \
	  "a group is chosen at creation, Windows refuses too (<47>)")         \
	X(IHost3, put_ResourceState,                                           \
	  "the cluster sets it, Windows refuses too (<51>)")

NOTIMPL(ISTM_NOTIMPL_FUNCTION)

static const struct IHost_vtbl host_methods = {
	.get_Guid = host_get_Guid,
	.get_Enable = host_get_Enable,
	.put_Enable = host_put_Enable,
	.get_Name = host_get_Name,
	.put_Name = host_put_Name,
	.get_Description = host_get_Description,
	.put_Description = host_put_Description,
	.get_TargetIQN = host_get_TargetIQN,
	.put_TargetIQN = host_put_TargetIQN,
	.get_Status = host_get_Status,
	.get_LastLogIn = host_get_LastLogIn,
	.get_EnableCHAP = host_get_EnableCHAP,
	.put_EnableCHAP = host_put_EnableCHAP,
	.get_CHAPUserName = host_get_CHAPUserName,
	.put_CHAPUserName = host_put_CHAPUserName,
	.get_CHAPSecret = host_get_CHAPSecret,
	.put_CHAPSecret = host_put_CHAPSecret,
	.get_EnableReverseCHAP = host_get_EnableReverseCHAP,
	.put_EnableReverseCHAP = host_put_EnableReverseCHAP,
	.get_ReverseCHAPUserName = host_get_ReverseCHAPUserName,
	.put_ReverseCHAPUserName = host_put_ReverseCHAPUserName,
	.get_ReverseCHAPSecret = host_get_ReverseCHAPSecret,
	.put_ReverseCHAPSecret = host_put_ReverseCHAPSecret,
	.get_TargetMaxRecvDataSegmentLength =
		host_get_TargetMaxRecvDataSegmentLength,
	.put_TargetMaxRecvDataSegmentLength =
		host_put_TargetMaxRecvDataSegmentLength,
	.get_TargetFirstBurstLength = host_get_TargetFirstBurstLength,
	.put_TargetFirstBurstLength = host_put_TargetFirstBurstLength,
	.get_TargetMaxBurstLength = host_get_TargetMaxBurstLength,
	.put_TargetMaxBurstLength = host_put_TargetMaxBurstLength,
	.get_NumRecvBuffers = host_get_NumRecvBuffers,
	.put_NumRecvBuffers = host_put_NumRecvBuffers,
	.get_EnforceIdleTimeoutDetection = host_get_EnforceIdleTimeoutDetection,
	.put_EnforceIdleTimeoutDetection = host_put_EnforceIdleTimeoutDetection,
	.EnumIDs = host_EnumIDs,
	.AddID = host_AddID,
	.RemoveID = host_RemoveID,
	.RemoveAllIDs = host_RemoveAllIDs,
	.EnumWTDiskLunMappings = host_EnumWTDiskLunMappings,
	.AddWTDisk = host_AddWTDisk,
	.RemoveWTDisk = host_RemoveWTDisk,
	.RemoveAllWTDisks = host_RemoveAllWTDisks,
	.SetWTDiskLunMapping = host_SetWTDiskLunMapping,
	.get_ListenAllNetworkAdapters = host_get_ListenAllNetworkAdapters,
	.put_ListenAllNetworkAdapters = host_put_ListenAllNetworkAdapters,
	.get_Processor = host_get_Processor,
	.put_Processor = host_put_Processor,
	.EnumPortals = host_EnumPortals,
	.AddPortal = host_AddPortal,
	.RemovePortal = host_RemovePortal,
	.RemoveAllPortals = host_RemoveAllPortals,
	.Save = host_Save,
	.ValidateChapSecret = host_ValidateChapSecret,
	.ValidateReverseChapSecret = host_ValidateReverseChapSecret,
	.CheckTargetRedirect = host_CheckTargetRedirect,
	.get_ResourceName = host_get_ResourceName,
	.put_ResourceName = host_put_ResourceName,
	.get_ResourceGroupName = host_get_ResourceGroupName,
	.SaveToStream = host_SaveToStream,
	.EnumSessions = host_EnumSessions,
	.get_ResourceState = host_get_ResourceState,
	NOTIMPL(ISTM_NOTIMPL_MEMBER)};

static const char *host_describe(void *self, TALLOC_CTX *mem_ctx)
{
	const struct model_target *target = host_target(self);

	if (target == NULL) {
		return "target that has been deleted";
	}
	return talloc_asprintf(mem_ctx, "target \"%s\"", target->name);
}

static const struct com_interface *const host_interfaces[] = {
	&com_IHost, &com_IHost2, &com_IHost3, NULL};

const struct dcom_object_type istm_host_type = {
	.name = "target",
	.interfaces = host_interfaces,
	.vtbl = &host_methods,
	.describe = host_describe,
};

static const struct istm_decision host_decisions[] = {
	NOTIMPL(ISTM_NOTIMPL_ROW)};

const struct istm_type istm_host_entry = {
	.type = &istm_host_type,
	.decisions = host_decisions,
	.num_decisions = sizeof(host_decisions) / sizeof(host_decisions[0]),
};
