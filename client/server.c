/* SPDX-License-Identifier: GPL-3.0-or-later */
/* istmctl server, session, portal, volume: what there is. */
#include <stdio.h>

#include "client/istmctl.h"
#include "librpc/utf16.h"
#include "server/core/errors.h"

static int server_info(struct ctl *ctl)
{
	struct istm_object *general =
		ctl_class(ctl, &com_class_WTGeneral, &com_IWTGeneral);
	struct IWTGeneral_get_Guid guid = {0};
	struct IWTGeneral_get_Name name = {0};
	struct IWTGeneral_IsSnapshotsSupported snapshots = {0};
	HRESULT hr;

	if (general == NULL) {
		return 1;
	}
	hr = istm_call(general, ctl->mem, NDR_IWTGENERAL_GET_NAME, &name);
	if (ctl_is_ok(hr)) {
		hr = istm_call(general, ctl->mem, NDR_IWTGENERAL_GET_GUID,
			       &guid);
	}
	if (!ctl_is_ok(hr)) {
		return ctl_fail(ctl, hr, "asking %s what it is",
				ctl->opt.server);
	}
	hr = istm_call(general, ctl->mem, NDR_IWTGENERAL_ISSNAPSHOTSSUPPORTED,
		       &snapshots);
	output_record(ctl->out);
	output_string(ctl->out, "name", name.out.pName->s);
	output_string(ctl->out, "guid", GUID_string(ctl->mem, guid.out.pGuid));
	output_bool(ctl->out, "snapshots", ctl_is_ok(hr));
	output_one(ctl->out);
	return 0;
}

static const char *isid_string(TALLOC_CTX *mem_ctx, uint64_t isid)
{
	return talloc_asprintf(mem_ctx, "%012llx", (unsigned long long)isid);
}

static int session_list(struct ctl *ctl)
{
	struct istm_object *mgr = ctl_class(ctl, &com_class_SessionManager,
					    &com_ISessionManager2);
	struct ISessionManager2_EnumSessions2 r = {0};
	struct istm_object *list;
	HRESULT hr;

	if (mgr == NULL) {
		return 1;
	}
	hr = istm_call(mgr, ctl->mem, NDR_ISESSIONMANAGER2_ENUMSESSIONS2, &r);
	if (!ctl_is_ok(hr)) {
		return ctl_fail(ctl, hr, "listing the sessions");
	}
	list = ctl_object(ctl, mgr, &com_IEnumSession2, r.out.ppEnumSession,
			  "list of sessions");
	if (list == NULL) {
		return 1;
	}
	for (;;) {
		struct SESSION2 s = {0};
		struct IEnumSession2_Next next = {
			.in.ulNumElements = 1,
			.in.pElements = &s,
			.out.pElements = &s,
		};

		hr = istm_call(list, ctl->mem, NDR_IENUMSESSION2_NEXT, &next);
		if (ctl_failed(hr)) {
			return ctl_fail(ctl, hr, "listing the sessions");
		}
		if (!ctl_is_ok(hr)) {
			break;
		}
		s = *next.out.pElements;
		output_record(ctl->out);
		output_number(ctl->out, "tsih", s.TSIH);
		output_string(ctl->out, "isid", isid_string(ctl->mem, s.ISID));
		output_string(ctl->out, "kind",
			      s.eType == Discovery ? "discovery" : "normal");
		output_bool(ctl->out, "chap", s.eAuthMethod == Chap);
		output_string(ctl->out, "target",
			      WCHAR_GET(ctl->mem, s.HostName));
		output_string(ctl->out, "initiator",
			      WCHAR_GET(ctl->mem, s.InitiatorIQN));
	}
	output_list(ctl->out);
	return 0;
}

static struct istm_object *device_mgr(struct ctl *ctl)
{
	return ctl_class(ctl, &com_class_LocalDeviceMgr, &com_ILocalDeviceMgr2);
}

static int portal_list(struct ctl *ctl)
{
	struct istm_object *mgr = device_mgr(ctl), *list;
	struct ILocalDeviceMgr_EnumPortals r = {0};
	HRESULT hr;

	if (mgr == NULL) {
		return 1;
	}
	hr = istm_call(mgr, ctl->mem, NDR_ILOCALDEVICEMGR_ENUMPORTALS, &r);
	if (!ctl_is_ok(hr)) {
		return ctl_fail(ctl, hr, "listing the portals");
	}
	list = ctl_object(ctl, mgr, &com_IEnumPortal, r.out.ppEnumPortal,
			  "list of portals");
	if (list == NULL) {
		return 1;
	}
	for (;;) {
		struct PORTAL p = {0};
		struct IEnumPortal_Next next = {
			.in.ulNumElements = 1,
			.in.pElements = &p,
			.out.pElements = &p,
		};

		hr = istm_call(list, ctl->mem, NDR_IENUMPORTAL_NEXT, &next);
		if (ctl_failed(hr)) {
			return ctl_fail(ctl, hr, "listing the portals");
		}
		if (!ctl_is_ok(hr)) {
			break;
		}
		p = *next.out.pElements;
		output_record(ctl->out);
		output_string(ctl->out, "address",
			      WCHAR_GET(ctl->mem, p.szIpAddress));
		output_number(ctl->out, "port", p.dwPort);
		output_bool(ctl->out, "listens", p.bListen != 0);
		output_bool(ctl->out, "valid", p.bValid != 0);
	}
	output_list(ctl->out);
	return 0;
}

static int portal_set(struct ctl *ctl)
{
	struct istm_object *mgr;
	struct ILocalDeviceMgr_SetPortalConfig r = {0};
	uint32_t port;
	HRESULT hr;

	if (!ctl_parse_number(ctl->args[1], 65535, &port) || port == 0) {
		return ctl_usage("'%s' is no port", ctl->args[1]);
	}
	if (!ctl->opt.enable && !ctl->opt.disable) {
		return ctl_usage("give --enable or --disable");
	}
	mgr = device_mgr(ctl);
	if (mgr == NULL) {
		return 1;
	}
	r.in.IpAddress.s = ctl->args[0];
	r.in.nPort = port;
	r.in.bUse = ctl->opt.enable;
	hr = istm_call(mgr, ctl->mem, NDR_ILOCALDEVICEMGR_SETPORTALCONFIG, &r);
	if (!ctl_is_ok(hr)) {
		return ctl_fail(ctl, hr, "changing portal %s", ctl->args[0]);
	}
	return 0;
}

static int volume_list(struct ctl *ctl)
{
	struct istm_object *mgr = device_mgr(ctl), *list;
	struct ILocalDeviceMgr2_EnumVolumes2 r = {0};
	HRESULT hr;

	if (mgr == NULL) {
		return 1;
	}
	hr = istm_call(mgr, ctl->mem, NDR_ILOCALDEVICEMGR2_ENUMVOLUMES2, &r);
	if (!ctl_is_ok(hr)) {
		return ctl_fail(ctl, hr, "listing the volumes");
	}
	list = ctl_object(ctl, mgr, &com_IEnumVolume2, r.out.ppEnumVolume,
			  "list of volumes");
	if (list == NULL) {
		return 1;
	}
	for (;;) {
		struct VOLUME2 v = {0};
		struct IEnumVolume2_Next next = {
			.in.ulNumElements = 1,
			.in.pElements = &v,
			.out.pElements = &v,
		};

		hr = istm_call(list, ctl->mem, NDR_IENUMVOLUME2_NEXT, &next);
		if (ctl_failed(hr)) {
			return ctl_fail(ctl, hr, "listing the volumes");
		}
		if (!ctl_is_ok(hr)) {
			break;
		}
		v = *next.out.pElements;
		output_record(ctl->out);
		output_string(ctl->out, "volume",
			      WCHAR_GET(ctl->mem, v.szMountPoint));
		output_string(ctl->out, "label",
			      WCHAR_GET(ctl->mem, v.szLabel));
		output_size(ctl->out, "size", v.hySize);
		output_size(ctl->out, "free", v.hyFreeSpace);
		output_string(ctl->out, "guid", WCHAR_GET(ctl->mem, v.szGuid));
	}
	output_list(ctl->out);
	return 0;
}

const struct ctl_command ctl_server_commands[] = {
	{"server", "info", "", 0, 0, server_info, "what answers there", 0},
	{"session", "list", "", 0, 0, session_list,
	 "initiators that are logged in", 0},
	{"portal", "list", "", 0, 0, portal_list,
	 "addresses that initiators may use", 0},
	{"portal", "set", "ADDRESS PORT", 2, 2, portal_set,
	 "--enable, --disable", CTL_ENABLE},
	{"volume", "list", "", 0, 0, volume_list, "where disks can be", 0},
	{0},
};
