/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * VDS_LUN_INFORMATION ([MS-VDS] 2.2.1.3.16) of a disk: by it a VDS or VSS
 * provider on the initiator's side finds the unit among those that it sees,
 * so that everything here has to equal what the unit answers to INQUIRY.
 */
#include "server/istm/private.h"

#define LOGICAL_UNIT_IDENTIFIER_SIZE 16	 /* MS-ISTM 2.2.4.9 */
#define WINTARGET_IDENTIFIER_SIZE    180 /* MS-ISTM 2.2.4.21 */
#define SIGNATURE_SIZE		     10
#define SERVER_NAME_SIZE	     150

static void put_le32(uint8_t *p, uint32_t v)
{
	p[0] = v;
	p[1] = v >> 8;
	p[2] = v >> 16;
	p[3] = v >> 24;
}

static void put_guid(uint8_t *p, const struct GUID *guid)
{
	put_le32(p, guid->time_low);
	p[4] = guid->time_mid;
	p[5] = guid->time_mid >> 8;
	p[6] = guid->time_hi_and_version;
	p[7] = guid->time_hi_and_version >> 8;
	memcpy(p + 8, guid->clock_seq, 2);
	memcpy(p + 10, guid->node, 6);
}

/* WINTARGET_DISK_DEVICE_IDENTIFIER, little-endian as a Windows server has
 * it in memory. */
static void wintarget_identifier(struct model *model,
				 const struct model_disk *disk,
				 const struct GUID *snapshot, uint8_t *p)
{
	memset(p, 0, WINTARGET_IDENTIFIER_SIZE);
	memcpy(p, "sapporo21", SIGNATURE_SIZE);
	snprintf((char *)p + SIGNATURE_SIZE, SERVER_NAME_SIZE, "%s",
		 model_dns_name(model));
	p += SIGNATURE_SIZE + SERVER_NAME_SIZE;
	put_le32(p, disk->index);
	if (snapshot != NULL) {
		put_guid(p + 4, snapshot);
	}
}

HRESULT istm_vds_lun_information(struct dcom_call *call, struct model *model,
				 const struct model_disk *disk,
				 const struct GUID *snapshot,
				 struct VDS_LUN_INFORMATION *info)
{
	TALLOC_CTX *mem_ctx = dcom_call_mem(call);
	struct VDS_STORAGE_IDENTIFIER *ids =
		talloc_zero_array(mem_ctx, struct VDS_STORAGE_IDENTIFIER, 2);
	uint8_t *naa = talloc_zero_size(mem_ctx, LOGICAL_UNIT_IDENTIFIER_SIZE);
	uint8_t *vendor = talloc_zero_size(mem_ctx, WINTARGET_IDENTIFIER_SIZE);
	struct model_inquiry inquiry;

	if (ids == NULL || naa == NULL || vendor == NULL) {
		return ISTM_OUT_OF_MEMORY;
	}
	model_disk_naa(model, disk, naa);
	ids[0] = (struct VDS_STORAGE_IDENTIFIER){
		.m_CodeSet = VDSStorageIdCodeSetBinary,
		.m_Type = VDSStorageIdTypeFCPHName,
		.m_cbIdentifier = LOGICAL_UNIT_IDENTIFIER_SIZE,
		.m_rgbIdentifier = naa,
	};
	wintarget_identifier(model, disk, snapshot, vendor);
	ids[1] = (struct VDS_STORAGE_IDENTIFIER){
		.m_CodeSet = VDSStorageIdCodeSetBinary,
		.m_Type = VDSStorageIdTypeVendorSpecific,
		.m_cbIdentifier = WINTARGET_IDENTIFIER_SIZE,
		.m_rgbIdentifier = vendor,
	};
	model_disk_inquiry(model, disk, &inquiry);
	*info = (struct VDS_LUN_INFORMATION){
		.m_version = 1,
		.m_bCommandQueuing = 1,
		.m_BusType = VDSBusTypeScsi,
		.m_szVendorId = talloc_strdup(mem_ctx, inquiry.vendor),
		.m_szProductId = talloc_strdup(mem_ctx, inquiry.product),
		.m_szProductRevision = talloc_strdup(mem_ctx, inquiry.revision),
		.m_szSerialNumber = talloc_strdup(mem_ctx, disk->serial),
		.m_deviceIdDescriptor =
			{
				.m_version = 1,
				.m_cIdentifiers = 2,
				.m_rgIdentifiers = ids,
			},
	};
	if (info->m_szVendorId == NULL || info->m_szProductId == NULL ||
	    info->m_szProductRevision == NULL ||
	    info->m_szSerialNumber == NULL) {
		memset(info, 0, sizeof(*info));
		return ISTM_OUT_OF_MEMORY;
	}
	return ISTM_S_OK;
}
