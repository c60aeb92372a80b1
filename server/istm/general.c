/* SPDX-License-Identifier: GPL-3.0-or-later */
/* IWTGeneral, IWTGeneral2: the service as a whole (MS-ISTM 3.52, 3.54). */
#include "server/istm/private.h"

/* The program that can be scheduled to make snapshots (3.52.4.5). */
#define CLI_PATH "/usr/bin/istmctl"

static HRESULT general_get_Guid(struct dcom_call *call, void *self,
				struct IWTGeneral_get_Guid *r)
{
	model_service_guid(model_of(self), r->out.pGuid);
	return ISTM_S_OK;
}

static HRESULT general_get_Name(struct dcom_call *call, void *self,
				struct IWTGeneral_get_Name *r)
{
	return istm_return_string(call, model_service_name(model_of(self)),
				  r->out.pName);
}

static HRESULT general_named(struct tevent_req *req, struct dcom_call *call,
			     void *r)
{
	return model_service_set_name_recv(req);
}

static HRESULT general_put_Name(struct dcom_call *call, void *self,
				struct IWTGeneral_put_Name *r)
{
	const char *name = bstr_or_empty(&r->in.Name);

	return istm_defer(call,
			  model_service_set_name_send(dcom_call_mem(call),
						      model_of(self), name),
			  general_named, r, "service: name \"%s\"", name);
}

/*
 * Windows answers E_NOTIMPL (<125>). There is nothing to license: no
 * demonstration, no end, as many users as there are.
 */
static HRESULT general_get_License(struct dcom_call *call, void *self,
				   struct IWTGeneral_get_License *r)
{
	*r->out.pLicense = (struct LICENSE){
		.nNumSeats = UINT32_MAX,
		.nFeatures = UINT32_MAX,
	};
	return ISTM_S_OK;
}

static HRESULT general_get_WTCliPath(struct dcom_call *call, void *self,
				     struct IWTGeneral_get_WTCliPath *r)
{
	return istm_return_string(call, CLI_PATH, r->out.pWtCliPath);
}

/* The runtime has checked what 3.1.4.2.1 demands of every call: whoever gets
 * here has access. */
static HRESULT general_CheckAccess(struct dcom_call *call, void *self,
				   struct IWTGeneral_CheckAccess *r)
{
	return ISTM_S_OK;
}

static HRESULT general_IsSnapshotsSupported(
	struct dcom_call *call, void *self,
	struct IWTGeneral_IsSnapshotsSupported *r)
{
	return model_snapshots_supported(model_of(self)) ? ISTM_S_OK
							 : ISTM_S_FALSE;
}

static HRESULT general_scheduled(struct tevent_req *req, struct dcom_call *call,
				 void *r)
{
	return model_schedule_set_recv(req);
}

/* Only one schedule is active; a start of zero ends it (3.52.4.12). */
static HRESULT general_DVSetSnapshotSchedule(
	struct dcom_call *call, void *self,
	struct IWTGeneral_DVSetSnapshotSchedule *r)
{
	const struct SNAPSHOT_SCHEDULE_SETTINGS *in = &r->in.Schedule;
	const struct model_schedule schedule = {
		.everyday = in->bEveryday != 0,
		.day = in->eDay,
		.start = in->hyStartTime,
	};
	const char *when = schedule.everyday ? "every day" : "every week";

	if (in->eDay > Saturday) {
		return istm_audit(call, ISTM_INVALID_ARG,
				  "snapshot schedule on day %d", (int)in->eDay);
	}
	return istm_defer(call,
			  model_schedule_set_send(dcom_call_mem(call),
						  model_of(self), &schedule),
			  general_scheduled, r, "snapshot schedule: %s",
			  schedule.start == 0 ? "none" : when);
}

/*
 * Windows answers E_NOTIMPL (<128>), and 3.1.1.1 calls the collection
 * write-only; but only one is active, and this is it.
 */
static HRESULT general_DVGetSnapshotSchedule(
	struct dcom_call *call, void *self,
	struct IWTGeneral_DVGetSnapshotSchedule *r)
{
	struct model_schedule schedule;

	model_schedule(model_of(self), &schedule);
	*r->out.pSchedule = (struct SNAPSHOT_SCHEDULE_SETTINGS){
		.bEveryday = schedule.everyday,
		.eDay = (enum DayOfWeek)schedule.day,
		.hyStartTime = schedule.start,
	};
	return ISTM_S_OK;
}

static HRESULT general_IsClustered(struct dcom_call *call, void *self,
				   struct IWTGeneral2_IsClustered *r)
{
	return model_is_clustered(model_of(self)) ? ISTM_S_OK : ISTM_S_FALSE;
}

static HRESULT general_RegisterNotification(
	struct dcom_call *call, void *self,
	struct IWTGeneral_RegisterNotification *r)
{
	return istm_audit(call,
			  istm_notify_register(istm_of(self), call,
					       r->in.pStatusNotify,
					       r->in.lCookie),
			  "notification: cookie %u", r->in.lCookie);
}

static HRESULT general_UnregisterNotification(
	struct dcom_call *call, void *self,
	struct IWTGeneral_UnregisterNotification *r)
{
	return istm_audit(call,
			  istm_notify_unregister(istm_of(self), call,
						 r->in.pStatusNotify),
			  "notification");
}

#define NOTIMPL(X)                                                             \
	X(IWTGeneral, AddLicense, "there are no licences to add (<127>)")

NOTIMPL(ISTM_NOTIMPL_FUNCTION)

static const struct IWTGeneral_vtbl general_methods = {
	.get_Guid = general_get_Guid,
	.get_Name = general_get_Name,
	.put_Name = general_put_Name,
	.get_License = general_get_License,
	.get_WTCliPath = general_get_WTCliPath,
	.CheckAccess = general_CheckAccess,
	.IsSnapshotsSupported = general_IsSnapshotsSupported,
	.DVGetSnapshotSchedule = general_DVGetSnapshotSchedule,
	.DVSetSnapshotSchedule = general_DVSetSnapshotSchedule,
	.RegisterNotification = general_RegisterNotification,
	.UnregisterNotification = general_UnregisterNotification,
	.IsClustered = general_IsClustered,
	NOTIMPL(ISTM_NOTIMPL_MEMBER)};

static const struct com_interface *const general_interfaces[] = {
	&com_IWTGeneral, &com_IWTGeneral2, NULL};

const struct dcom_object_type istm_general_type = {
	.name = "service",
	.interfaces = general_interfaces,
	.vtbl = &general_methods,
};

static const struct istm_decision general_decisions[] = {
	NOTIMPL(ISTM_NOTIMPL_ROW)};

const struct istm_type istm_general_entry = {
	.type = &istm_general_type,
	.decisions = general_decisions,
	.num_decisions =
		sizeof(general_decisions) / sizeof(general_decisions[0]),
};
