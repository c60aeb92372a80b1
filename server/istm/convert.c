/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The model's values as MS-ISTM's structures (2.2.4). */
#include <netinet/in.h>

#include "server/istm/private.h"
#include "server/model/names.h"

HRESULT istm_return_string(struct dcom_call *call, const char *s,
			   struct BSTR *out)
{
	out->s = talloc_strdup(dcom_call_mem(call), s != NULL ? s : "");
	return out->s != NULL ? ISTM_S_OK : ISTM_OUT_OF_MEMORY;
}

/* In the model's form, which is MS-ISTM's (Appendix B <1>). */
static void set_address(uint16_t *array, size_t n,
			const struct sockaddr_storage *addr)
{
	char *text = NULL;

	if (addr->ss_family != AF_UNSPEC) {
		text = name_format_address(NULL, addr);
	}
	wchar_set(array, n, text);
	TALLOC_FREE(text);
}

uint16_t istm_address_port(const struct sockaddr_storage *addr)
{
	switch (addr->ss_family) {
	case AF_INET:
		return ntohs(((const struct sockaddr_in *)addr)->sin_port);
	case AF_INET6:
		return ntohs(((const struct sockaddr_in6 *)addr)->sin6_port);
	}
	return 0;
}

void istm_guid_text(const struct GUID *guid, char text[ISTM_GUID_TEXT_MAX])
{
	snprintf(text, ISTM_GUID_TEXT_MAX,
		 "{%08x-%04x-%04x-%02x%02x-%02x%02x%02x%02x%02x%02x}",
		 guid->time_low, guid->time_mid, guid->time_hi_and_version,
		 guid->clock_seq[0], guid->clock_seq[1], guid->node[0],
		 guid->node[1], guid->node[2], guid->node[3], guid->node[4],
		 guid->node[5]);
}

/*
 * Windows clients insist on NTFS (design.md section 4), and on a mount point
 * with its backslash.
 */
void istm_volume2(const struct model_volume *volume, struct VOLUME2 *out)
{
	char guid[ISTM_GUID_TEXT_MAX];
	const char mount_point[] = {volume->letter, ':', '\\', '\0'};

	istm_guid_text(&volume->guid, guid);
	*out = (struct VOLUME2){
		.dwDiskIndex = volume->device_index,
		.hySize = volume->size,
		.hyTotalVolSize = volume->size,
		.hyFreeSpace = volume->free,
		.bValidWTVolume = 1,
		.bSupportSparseFiles = volume->sparse,
		.MaxFileSize = volume->max_file_size,
	};
	WCHAR_SET(out->szGuid, guid);
	WCHAR_SET(out->szMountPoint, mount_point);
	WCHAR_SET(out->szLabel, volume->label);
	WCHAR_SET(out->szFileSystem, "NTFS");
}

void istm_volume(const struct model_volume *volume, struct VOLUME *out)
{
	struct VOLUME2 v;

	istm_volume2(volume, &v);
	*out = (struct VOLUME){
		.dwDiskIndex = v.dwDiskIndex,
		.hySize = v.hySize,
		.hyTotalVolSize = v.hyTotalVolSize,
		.bValidWTVolume = v.bValidWTVolume,
	};
	memcpy(out->szGuid, v.szGuid, sizeof(out->szGuid));
	memcpy(out->szMountPoint, v.szMountPoint, sizeof(out->szMountPoint));
	memcpy(out->szLabel, v.szLabel, sizeof(out->szLabel));
	memcpy(out->szFileSystem, v.szFileSystem, sizeof(out->szFileSystem));
}

/* bSecure is for IPsec and always false (Appendix B <6>). */
void istm_portal(const struct model_portal *portal, struct PORTAL *out)
{
	*out = (struct PORTAL){
		.Guid = portal->guid,
		.dwPort = istm_address_port(&portal->addr),
		.bListen = portal->listen,
		.bValid = portal->valid,
	};
	WCHAR_SET(out->szIpAddress, portal->text);
}

/* The ISID's bytes as they travel, the first the most significant. */
static uint64_t isid_value(const uint8_t isid[6])
{
	uint64_t value = 0;

	for (int i = 0; i < 6; i++) {
		value = value << 8 | isid[i];
	}
	return value;
}

void istm_session2(struct model *model, const struct iscsi_session_info *info,
		   struct SESSION2 *out)
{
	const struct model_target *target = NULL;

	if (!info->discovery) {
		target = model_target_by_iqn(model, info->target_name);
	}
	*out = (struct SESSION2){
		.TSIH = info->tsih,
		.ISID = isid_value(info->isid),
		.eType = info->discovery ? Discovery : Normal,
		.eAuthMethod = info->chap_used ? Chap : None,
	};
	WCHAR_SET(out->InitiatorIQN, info->initiator_name);
	WCHAR_SET(out->HostTargetIQN, info->target_name);
	WCHAR_SET(out->HostName, target != NULL ? target->name : "");
}

void istm_connection(const struct iscsi_connection_info *info,
		     struct CONNECTION *out)
{
	*out = (struct CONNECTION){
		.CID = info->cid,
		.InitiatorPort = istm_address_port(&info->initiator),
		.TargetPort = istm_address_port(&info->target),
		.HeaderDigestEnabled = info->header_digest,
		.DataDigestEnabled = info->data_digest,
	};
	set_address(out->InitiatorIpAddress,
		    sizeof(out->InitiatorIpAddress) / sizeof(uint16_t),
		    &info->initiator);
	set_address(out->TargetIpAddress,
		    sizeof(out->TargetIpAddress) / sizeof(uint16_t),
		    &info->target);
}
