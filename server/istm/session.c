/* SPDX-License-Identifier: GPL-3.0-or-later */
/* ISessionManager, ISessionManager2 (MS-ISTM 3.34, 3.35). */
#include "server/istm/private.h"

/* The sessions of one target, or all. */
static HRESULT sessions(void *self, struct dcom_call *call,
			const struct model_target *only,
			struct iscsi_session_info **list, size_t *count)
{
	*list = NULL;
	*count = 0;
	return model_sessions(model_of(self), only, dcom_call_mem(call), list,
			      count) == 0
		       ? ISTM_S_OK
		       : ISTM_OUT_OF_MEMORY;
}

static HRESULT session_EnumSessions(struct dcom_call *call, void *self,
				    struct ISessionManager_EnumSessions *r)
{
	struct iscsi_session_info *list;
	struct SESSION *items;
	size_t count;
	HRESULT result = sessions(self, call, NULL, &list, &count);

	if (ISTM_FAILED(result)) {
		return result;
	}
	items = talloc_zero_array(dcom_call_mem(call), struct SESSION, count);
	if (items == NULL) {
		return ISTM_OUT_OF_MEMORY;
	}
	for (size_t i = 0; i < count; i++) {
		WCHAR_SET(items[i].InitiatorIQN, list[i].initiator_name);
		WCHAR_SET(items[i].HostTargetIQN, list[i].target_name);
	}
	return istm_return_enum(istm_of(self), call, ISTM_ENUM_SESSION, items,
				count, r->out.ppEnumSession);
}

HRESULT istm_return_sessions2(void *self, struct dcom_call *call,
			      const struct model_target *only,
			      struct MInterfacePointer **out)
{
	struct iscsi_session_info *list;
	struct SESSION2 *items;
	size_t count;
	HRESULT result = sessions(self, call, only, &list, &count);

	if (ISTM_FAILED(result)) {
		return result;
	}
	items = talloc_zero_array(dcom_call_mem(call), struct SESSION2, count);
	if (items == NULL) {
		return ISTM_OUT_OF_MEMORY;
	}
	for (size_t i = 0; i < count; i++) {
		istm_session2(model_of(self), &list[i], &items[i]);
	}
	return istm_return_enum(istm_of(self), call, ISTM_ENUM_SESSION2, items,
				count, out);
}

static HRESULT session_EnumSessions2(struct dcom_call *call, void *self,
				     struct ISessionManager2_EnumSessions2 *r)
{
	return istm_return_sessions2(self, call, NULL, r->out.ppEnumSession);
}

/* TSIH 0 is refused first: it names no session (RFC 7143 11.12.6). */
static HRESULT session_by_tsih(void *self, struct dcom_call *call,
			       uint16_t tsih,
			       struct iscsi_session_info **session)
{
	if (tsih == 0) {
		return ISTM_INVALID_ARG;
	}
	return model_session_by_tsih(model_of(self), tsih, dcom_call_mem(call),
				     session);
}

static HRESULT session_EnumConnections(
	struct dcom_call *call, void *self,
	struct ISessionManager2_EnumConnections *r)
{
	struct iscsi_session_info *session;
	struct CONNECTION *items;
	HRESULT result = session_by_tsih(self, call, r->in.TSIH, &session);

	if (ISTM_FAILED(result)) {
		return result;
	}
	items = talloc_zero_array(dcom_call_mem(call), struct CONNECTION,
				  session->num_connections);
	if (items == NULL) {
		return ISTM_OUT_OF_MEMORY;
	}
	for (size_t i = 0; i < session->num_connections; i++) {
		istm_connection(&session->connections[i], &items[i]);
	}
	return istm_return_enum(istm_of(self), call, ISTM_ENUM_CONNECTION,
				items, session->num_connections,
				r->out.ppEnumConnection);
}

static HRESULT session_GetSession(struct dcom_call *call, void *self,
				  struct ISessionManager2_GetSession *r)
{
	struct iscsi_session_info *session;
	HRESULT result = session_by_tsih(self, call, r->in.TSIH, &session);

	if (!ISTM_FAILED(result)) {
		istm_session2(model_of(self), session, r->out.pSessionInfo);
	}
	return result;
}

static HRESULT session_GetConnection(struct dcom_call *call, void *self,
				     struct ISessionManager2_GetConnection *r)
{
	struct iscsi_session_info *session;
	HRESULT result = session_by_tsih(self, call, r->in.TSIH, &session);

	if (ISTM_FAILED(result)) {
		return result;
	}
	for (size_t i = 0; i < session->num_connections; i++) {
		if (session->connections[i].cid == r->in.CID) {
			istm_connection(&session->connections[i],
					r->out.pConnectionInfo);
			return ISTM_S_OK;
		}
	}
	return ISTM_FILE_NOT_FOUND;
}

static const struct ISessionManager_vtbl session_methods = {
	.EnumSessions = session_EnumSessions,
	.EnumSessions2 = session_EnumSessions2,
	.EnumConnections = session_EnumConnections,
	.GetSession = session_GetSession,
	.GetConnection = session_GetConnection,
};

static const struct com_interface *const session_interfaces[] = {
	&com_ISessionManager, &com_ISessionManager2, NULL};

const struct dcom_object_type istm_session_manager_type = {
	.name = "session manager",
	.interfaces = session_interfaces,
	.vtbl = &session_methods,
};

const struct istm_type istm_session_manager_entry = {
	.type = &istm_session_manager_type,
};
