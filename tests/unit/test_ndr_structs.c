/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Structures, enumerations and alignment, byte for byte.
 *
 * C706 14.3.1: a structure is aligned as its most demanding member, members
 * each for themselves, nothing is filled up at the end. A [ref] pointer at
 * the top level has no bytes of its own, so that a structure behind one, in
 * or out, stands where the parameter is.
 */
#include "tests/unit/ndr_bytes.h"

#include "gen_ndr/ndr_istm.h"
#include "librpc/utf16.h"

static int setup(void **state)
{
	*state = talloc_new(NULL);
	return *state == NULL ? -1 : 0;
}

static int teardown(void **state)
{
	talloc_free(*state);
	return 0;
}

#define OK HRES_ERROR(0)

/* Enumerations have 16 bits; the result after one is aligned to 4. */
static void test_enum_out(void **state)
{
	struct ORPCTHAT that = {0};
	enum HostStatus status = HostStatusConnected;
	struct IHost_get_Status r = {.out.ORPCthat = &that,
				     .out.pStatus = &status,
				     .out.result = OK};

	ndr_bytes_check(*state, &ndr_table_IHost, "IHost_get_Status", NDR_OUT,
			&r, ORPCTHAT_BYTES "0100 0000 00000000", NULL);
}

/* enum, two strings, two booleans: 32 + 2, pad 2, 22, pad 2, 18, 1, 1 */
static void test_enum_strings_booleans(void **state)
{
	struct IWTDiskMgr_CreateWTDisk r = {
		.in.ORPCthis = ndr_bytes_this(),
		.in.eDeviceType = WTDTypeRamBased,
		.in.DevicePath.s = "abc",
		.in.Description.s = "d",
		.in.bClearPartTable = 1,
		.in.bForceDismount = 0,
	};

	ndr_bytes_check(*state, &ndr_table_IWTDiskMgr,
			"IWTDiskMgr_CreateWTDisk", NDR_IN, &r,
			ORPCTHIS_BYTES
			"0200 0000"
			"55736572 03000000 06000000 03000000 6100 6200 6300"
			"0000"
			"55736572 01000000 02000000 01000000 6400"
			"01 00",
			NULL);
}

/* boolean has one byte: 32 + 22 for the string, pad 2, 4, 1 */
static void test_boolean_last(void **state)
{
	struct ILocalDeviceMgr_SetPortalConfig r = {
		.in.ORPCthis = ndr_bytes_this(),
		.in.IpAddress.s = "::1",
		.in.nPort = 3260, /* 0xcbc */
		.in.bUse = 1,
	};

	ndr_bytes_check(*state, &ndr_table_ILocalDeviceMgr,
			"ILocalDeviceMgr_SetPortalConfig", NDR_IN, &r,
			ORPCTHIS_BYTES
			"55736572 03000000 06000000 03000000 3a00 3a00 3100"
			"0000 bc0c0000 01",
			NULL);
}

/* hyper is aligned to 8, also between parameters */
static void test_hyper_parameters(void **state)
{
	struct ILocalDeviceMgr_CreateVolume r = {
		.in.ORPCthis = ndr_bytes_this(),
		.in.nDiskIndex = 1,
		.in.hyOffset = 0x0102030405060708ULL,
		.in.hyLength = 0x1112131415161718ULL,
		.in.nVolumeType = 2,
	};

	ndr_bytes_check(*state, &ndr_table_ILocalDeviceMgr,
			"ILocalDeviceMgr_CreateVolume", NDR_IN, &r,
			ORPCTHIS_BYTES	    /* to 32 */
			"01000000 00000000" /* 36, padded to 40 */
			"0807060504030201 1817161514131211 02000000",
			NULL);
}

/* ORPCTHAT ends at 8; long, then nothing to align */
static void test_long_out(void **state)
{
	struct ORPCTHAT that = {0};
	int32_t resource_state = -1;
	struct IHost3_get_ResourceState r = {.out.ORPCthat = &that,
					     .out.ResourceState =
						     &resource_state,
					     .out.result = OK};

	ndr_bytes_check(*state, &ndr_table_IHost, "IHost3_get_ResourceState",
			NDR_OUT, &r, ORPCTHAT_BYTES "ffffffff 00000000", NULL);
}

/* GUID: a long and two shorts little-endian, eight bytes as they are */
#define GUID_HEX "d3c2b1a0 f5e4 1706 2839 4a5b6c7d8e9f"
static const struct GUID guid = {0xa0b1c2d3,
				 0xe4f5,
				 0x0617,
				 {0x28, 0x39},
				 {0x4a, 0x5b, 0x6c, 0x7d, 0x8e, 0x9f}};

static void test_guid_by_value(void **state)
{
	struct ISnapshotMgr_DoCreateSnapshot r = {
		.in.ORPCthis = ndr_bytes_this(),
		.in.SnapshotId = guid,
	};

	ndr_bytes_check(*state, &ndr_table_ISnapshotMgr,
			"ISnapshotMgr_DoCreateSnapshot", NDR_IN, &r,
			ORPCTHIS_BYTES GUID_HEX, NULL);
}

/* after a string: aligned to 4; [in, out] GUID *: the same bytes each way */
static void test_guid_after_string(void **state)
{
	struct IWTDiskMgr_CreateShadowWTDisk r = {
		.in.ORPCthis = ndr_bytes_this(),
		.in.eDeviceType = WTDTypeFileBased,
		.in.DevicePath.s = "",
		.in.Description.s = "d",
		.in.SnapshotId = guid,
	};
	struct GUID id = guid;
	struct ISnapshotMgr_PrepareCreateSnapshot p = {
		.in.ORPCthis = ndr_bytes_this(),
		.in.nWTD = 3,
		.in.pSnapshotId = &id,
	};
	struct ORPCTHAT that = {0};

	ndr_bytes_check(*state, &ndr_table_IWTDiskMgr,
			"IWTDiskMgr_CreateShadowWTDisk", NDR_IN, &r,
			ORPCTHIS_BYTES
			"0100 0000"
			"55736572 00000000 00000000 00000000"
			"55736572 01000000 02000000 01000000 6400"
			"0000" GUID_HEX,
			NULL);
	ndr_bytes_check(*state, &ndr_table_ISnapshotMgr,
			"ISnapshotMgr_PrepareCreateSnapshot", NDR_IN, &p,
			ORPCTHIS_BYTES "03000000" GUID_HEX, NULL);
	p.out.ORPCthat = &that;
	p.out.pSnapshotId = &id;
	p.out.result = OK;
	ndr_bytes_check(*state, &ndr_table_ISnapshotMgr,
			"ISnapshotMgr_PrepareCreateSnapshot", NDR_OUT, &p,
			ORPCTHAT_BYTES GUID_HEX "00000000", NULL);
}

/* ID: aligned to 2, 2 + 1024 = 1026 bytes. IDInvalid is -1, 0xffff. */
static void test_id(void **state)
{
	struct ID id = {.eMethod = IDIQN};
	struct IHost_AddID r = {.in.ORPCthis = ndr_bytes_this(),
				.in.pIDMethod = &id};
	struct IHost_AddID back;
	char *want = NULL;

	/* two characters, 510 units of padding */
	assert_true(WCHAR_SET(id.szValue, "iq"));
	want = talloc_asprintf(*state, "%s 0400 6900 7100 %s", ORPCTHIS_BYTES,
			       ndr_bytes_repeat(*state, "0000", 510));
	ndr_bytes_check(*state, &ndr_table_IHost, "IHost_AddID", NDR_IN, &r,
			want, &back);
	assert_int_equal(back.in.pIDMethod->eMethod, IDIQN);

	id.eMethod = IDInvalid;
	want = talloc_asprintf(*state, "%s ffff 6900 7100 %s", ORPCTHIS_BYTES,
			       ndr_bytes_repeat(*state, "0000", 510));
	ndr_bytes_check(*state, &ndr_table_IHost, "IHost_AddID", NDR_IN, &r,
			want, &back);
	assert_int_equal(back.in.pIDMethod->eMethod, IDInvalid);
}

/*
 * [in, out] ID * of Next, once each way, with an array that is full and has
 * no NUL. In: 32, 4, ID 1026 = 1062. Out: 8, ID to 1034, pad 2, 4, 4.
 */
static void test_full_wchar_array_in_out(void **state)
{
	char *a512 = ndr_bytes_repeat(*state, "A", 512);
	struct ORPCTHAT that = {0};
	struct ID in = {.eMethod = IDNetBiosName};
	struct ID out = {.eMethod = IDIPv6Address};
	uint32_t returned = 1;
	struct IEnumIDMethod_Next r = {
		.in.ORPCthis = ndr_bytes_this(),
		.in.ulNumElements = 1,
		.in.pElements = &in,
		.out.ORPCthat = &that,
		.out.pElements = &out,
		.out.pNumElementsReturned = &returned,
		.out.result = OK,
	};
	struct IEnumIDMethod_Next back;
	char *want = NULL;

	assert_true(WCHAR_SET(in.szValue, a512));
	assert_true(WCHAR_SET(out.szValue, a512));
	want = talloc_asprintf(*state, "%s 01000000 0000 %s", ORPCTHIS_BYTES,
			       ndr_bytes_repeat(*state, "4100", 512));
	ndr_bytes_check(*state, &ndr_table_IEnumIDMethod, "IEnumIDMethod_Next",
			NDR_IN, &r, want, &back);
	assert_string_equal(WCHAR_GET(*state, back.in.pElements->szValue),
			    a512);
	want = talloc_asprintf(*state, "%s 0500 %s 0000 01000000 00000000",
			       ORPCTHAT_BYTES,
			       ndr_bytes_repeat(*state, "4100", 512));
	ndr_bytes_check(*state, &ndr_table_IEnumIDMethod, "IEnumIDMethod_Next",
			NDR_OUT, &r, want, &back);
	assert_string_equal(WCHAR_GET(*state, back.out.pElements->szValue),
			    a512);
}

/* One element each way, whatever ulNumElements says. */
static void test_next_is_one_element(void **state)
{
	struct LUN_MAPPING in = {0};
	struct IEnumWTDiskLunMapping_Next r = {
		.in.ORPCthis = ndr_bytes_this(),
		.in.ulNumElements = 0xffffffff,
		.in.pElements = &in,
	};

	ndr_bytes_check(*state, &ndr_table_IEnumWTDiskLunMapping,
			"IEnumWTDiskLunMapping_Next", NDR_IN, &r,
			ORPCTHIS_BYTES "ffffffff 00000000 00000000", NULL);
}

/*
 * DRIVE_INFO: WCHAR[20] is 40 bytes, two hypers to 56, boolean: 57 and no
 * more. In: 32 + 18 (string) = 50, pad to 56, to 113. Out: 8 to 65, pad 3,
 * result.
 */
static void test_drive_info(void **state)
{
	struct ORPCTHAT that = {0};
	struct DRIVE_INFO info = {
		.hySize = 0x1122334455667788ULL,
		.hyFreeSpace = 0x99,
		.bSupportSparseFiles = 1,
	};
	struct ILocalDeviceMgr_GetDriveInfo r = {
		.in.ORPCthis = ndr_bytes_this(),
		.in.Drive.s = "C",
		.in.pDriveInfo = &info,
		.out.ORPCthat = &that,
		.out.pDriveInfo = &info,
		.out.result = HRES_ERROR(0x80070003),
	};
	char *body = NULL, *want = NULL;

	assert_true(WCHAR_SET(info.szDrive, "C:"));
	body = talloc_asprintf(*state,
			       "4300 3a00 %s"
			       "8877665544332211 9900000000000000 01",
			       ndr_bytes_repeat(*state, "0000", 18));
	want = talloc_asprintf(*state,
			       "%s 55736572 01000000 02000000 01000000 4300"
			       "000000000000 %s",
			       ORPCTHIS_BYTES, body);
	ndr_bytes_check(*state, &ndr_table_ILocalDeviceMgr,
			"ILocalDeviceMgr_GetDriveInfo", NDR_IN, &r, want, NULL);
	want = talloc_asprintf(*state, "%s %s 000000 03000780", ORPCTHAT_BYTES,
			       body);
	ndr_bytes_check(*state, &ndr_table_ILocalDeviceMgr,
			"ILocalDeviceMgr_GetDriveInfo", NDR_OUT, &r, want,
			NULL);
}

/*
 * VOLUME, boolean beside boolean, BOOL beside BOOL:
 *	dwDiskIndex 0; szGuid 4; szMountPoint 132; szLabel 1156;
 *	szFileSystem 1284; bSystemVolume 1412; bPageFile 1413; pad 2;
 *	hyOffset 1416; hySize 1424; hyTotalVolSize 1432; four BOOL 1440; 1456
 * In: 32 + 4 = 36, pad to 40 for the hypers inside.
 */
static void test_volume(void **state)
{
	struct VOLUME v = {
		.dwDiskIndex = 7,
		.bSystemVolume = 1,
		.bPageFile = 0,
		.hyOffset = 1,
		.hySize = 2,
		.hyTotalVolSize = 3,
		.bValidWTVolume = 1,
		.bUnallocated = 1,
	};
	struct IEnumVolume_Next r = {
		.in.ORPCthis = ndr_bytes_this(),
		.in.ulNumElements = 1,
		.in.pElements = &v,
	};
	char *want = NULL;

	assert_true(WCHAR_SET(v.szFileSystem, "NTFS"));
	want = talloc_asprintf(*state,
			       "%s 01000000 00000000"
			       "07000000 %s %s %s"
			       "4e00 5400 4600 5300 %s"
			       "01 00 0000"
			       "0100000000000000 0200000000000000"
			       "0300000000000000"
			       "01000000 00000000 00000000 01000000",
			       ORPCTHIS_BYTES,
			       ndr_bytes_repeat(*state, "0000", 64),
			       ndr_bytes_repeat(*state, "0000", 512),
			       ndr_bytes_repeat(*state, "0000", 64),
			       ndr_bytes_repeat(*state, "0000", 60));
	ndr_bytes_check(*state, &ndr_table_IEnumVolume, "IEnumVolume_Next",
			NDR_IN, &r, want, NULL);
}

/*
 * SNAPSHOT_SCHEDULE_SETTINGS by value: boolean 0, pad 1, enum 2, pad 4,
 * hyper 8: 16 bytes, aligned to 8, which 32 is.
 */
static void test_schedule(void **state)
{
	struct IWTGeneral_DVSetSnapshotSchedule r = {
		.in.ORPCthis = ndr_bytes_this(),
		.in.Schedule = {.bEveryday = 1,
				.eDay = Saturday,
				.hyStartTime = 0x0807060504030201ULL},
	};

	ndr_bytes_check(*state, &ndr_table_IWTGeneral,
			"IWTGeneral_DVSetSnapshotSchedule", NDR_IN, &r,
			ORPCTHIS_BYTES "01 00 0600 00000000 0102030405060708",
			NULL);
}

/* LUN_STATUS: DWORD, enum, pad 2, DWORD, DWORD; the IDL lost it once. */
static void test_lun_status(void **state)
{
	struct ORPCTHAT that = {0};
	struct LUN_STATUS s = {.dwLun = 1,
			       .eStatus = Reverting,
			       .dwProgressPercent = 50,
			       .dwCompletionError = 0x80070005};
	struct IWTDisk3_GetLunStatus r = {
		.out.ORPCthat = &that, .out.Status = &s, .out.result = OK};
	struct IStatusNotify_LunStatusUpdate n = {
		.in.ORPCthis = ndr_bytes_this(),
		.in.lCookie = 9,
		.in.pLunStatus = &s,
	};

	ndr_bytes_check(*state, &ndr_table_IWTDisk, "IWTDisk3_GetLunStatus",
			NDR_OUT, &r,
			ORPCTHAT_BYTES
			"01000000 0200 0000 32000000 05000780 00000000",
			NULL);
	ndr_bytes_check(*state, &ndr_table_IStatusNotify,
			"IStatusNotify_LunStatusUpdate", NDR_IN, &n,
			ORPCTHIS_BYTES
			"09000000 01000000 0200 0000 32000000 05000780",
			NULL);
}

/*
 * CONNECTION: DWORD, WCHAR[128] to 260, DWORD 264, WCHAR[128] to 520,
 * DWORD 524, two booleans 526. Out: 8 to 534, pad 2, result.
 */
static void test_connection(void **state)
{
	struct ORPCTHAT that = {0};
	struct CONNECTION c = {.CID = 1,
			       .InitiatorPort = 2,
			       .TargetPort = 3260,
			       .HeaderDigestEnabled = 1};
	struct ISessionManager2_GetConnection r = {
		.in.ORPCthis = ndr_bytes_this(),
		.in.TSIH = 0x1234,
		.in.CID = 0x56789abc,
		.out.ORPCthat = &that,
		.out.pConnectionInfo = &c,
		.out.result = OK,
	};
	char *want = talloc_asprintf(*state,
				     "%s 01000000 %s 02000000 %s bc0c0000"
				     "01 00 0000 00000000",
				     ORPCTHAT_BYTES,
				     ndr_bytes_repeat(*state, "0000", 128),
				     ndr_bytes_repeat(*state, "0000", 128));

	ndr_bytes_check(*state, &ndr_table_ISessionManager,
			"ISessionManager2_GetConnection", NDR_OUT, &r, want,
			NULL);
	/* WORD, pad 2, DWORD */
	ndr_bytes_check(*state, &ndr_table_ISessionManager,
			"ISessionManager2_GetConnection", NDR_IN, &r,
			ORPCTHIS_BYTES "3412 0000 bc9a7856", NULL);
}

/*
 * SESSION2: 512 + 512 + 1024 = 2048, WORD 2050, pad 6, DWORDLONG 2064, two
 * enums 2068.
 */
static void test_session2(void **state)
{
	struct ORPCTHAT that = {0};
	struct SESSION2 s = {.TSIH = 0xabcd,
			     .ISID = 0x0000400001370000ULL,
			     .eType = Normal,
			     .eAuthMethod = Chap};
	struct ISessionManager2_GetSession r = {.out.ORPCthat = &that,
						.out.pSessionInfo = &s,
						.out.result = OK};
	char *want = talloc_asprintf(*state,
				     "%s %s cdab 000000000000"
				     "0000370100400000 0200 0100 00000000",
				     ORPCTHAT_BYTES,
				     ndr_bytes_repeat(*state, "0000", 1024));

	ndr_bytes_check(*state, &ndr_table_ISessionManager,
			"ISessionManager2_GetSession", NDR_OUT, &r, want, NULL);
}

/*
 * LICENSE: boolean, pad 3, three ints to 16, then WCHAR[10][64], which are
 * 640 units in a row: 1296 bytes.
 */
static void test_license(void **state)
{
	struct ORPCTHAT that = {0};
	struct LICENSE l = {.bDemo = 1,
			    .nNumDemoDaysLeft = 2,
			    .nNumSeats = 3,
			    .nFeatures = 4};
	struct IWTGeneral_get_License r = {.out.ORPCthat = &that,
					   .out.pLicense = &l,
					   .out.result =
						   HRES_ERROR(0x80004001)};
	char *want = NULL;

	/* the second of the ten */
	assert_true(wchar_set(l.LicenseKeys + 64, 64, "k"));
	want = talloc_asprintf(
		*state, "%s 01 000000 02000000 03000000 04000000 %s 6b00 %s %s",
		ORPCTHAT_BYTES, ndr_bytes_repeat(*state, "0000", 64),
		ndr_bytes_repeat(*state, "0000", 575), "01400080");
	ndr_bytes_check(*state, &ndr_table_IWTGeneral, "IWTGeneral_get_License",
			NDR_OUT, &r, want, NULL);
}

/* A structure that ends early is an error, not zeros. */
static void test_truncated(void **state)
{
	struct IHost_AddID r = {.in.pIDMethod = NULL};
	char *want = talloc_asprintf(*state, "%s 0400 %s", ORPCTHIS_BYTES,
				     ndr_bytes_repeat(*state, "4100", 511));

	assert_int_equal(ndr_bytes_pull(*state, &ndr_table_IHost, "IHost_AddID",
					NDR_IN, want, &r),
			 NDR_ERR_BUFSIZE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_enum_out),
		TEST(test_enum_strings_booleans),
		TEST(test_boolean_last),
		TEST(test_hyper_parameters),
		TEST(test_long_out),
		TEST(test_guid_by_value),
		TEST(test_guid_after_string),
		TEST(test_id),
		TEST(test_full_wchar_array_in_out),
		TEST(test_next_is_one_element),
		TEST(test_drive_info),
		TEST(test_volume),
		TEST(test_schedule),
		TEST(test_lun_status),
		TEST(test_connection),
		TEST(test_session2),
		TEST(test_license),
		TEST(test_truncated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
