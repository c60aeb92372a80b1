/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Pointers, arrays and interface pointers, byte for byte.
 *
 * C706 14.3.10 to 14.3.12: a unique pointer is a referent ID, or zero; what it
 * points to follows at once behind a parameter, and behind the whole structure
 * or array that contains it. A conformant array has its max count before it,
 * before the structure where it ends one. An interface pointer is a unique
 * pointer to MInterfacePointer, a conformant structure ([MS-DCOM] 2.2.14).
 */
#include "tests/unit/ndr_bytes.h"

#include "gen_ndr/ndr_istm.h"
#include "gen_ndr/ndr_oxid.h"
#include "gen_ndr/ndr_remunknown.h"

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

static uint8_t five[] = {1, 2, 3, 4, 5};
static struct MInterfacePointer mip5 = {.ulCntData = 5, .abData = five};
static uint8_t two[] = {6, 7};
static struct MInterfacePointer mip2 = {.ulCntData = 2, .abData = two};

/* referent, max count, ulCntData, bytes; what follows is aligned for itself */
#define MIP5 "00000200 05000000 05000000 0102030405"

static void test_interface_in(void **state)
{
	struct IWTGeneral_RegisterNotification r = {
		.in.ORPCthis = ndr_bytes_this(),
		.in.pStatusNotify = &mip5,
		.in.lCookie = 0x11223344,
	};
	struct IWTGeneral_RegisterNotification back;

	ndr_bytes_check(*state, &ndr_table_IWTGeneral,
			"IWTGeneral_RegisterNotification", NDR_IN, &r,
			ORPCTHIS_BYTES MIP5 "000000 44332211", &back);
	assert_int_equal(back.in.pStatusNotify->ulCntData, 5);
	assert_memory_equal(back.in.pStatusNotify->abData, five, 5);
	/* NULL */
	r.in.pStatusNotify = NULL;
	ndr_bytes_check(*state, &ndr_table_IWTGeneral,
			"IWTGeneral_RegisterNotification", NDR_IN, &r,
			ORPCTHIS_BYTES "00000000 44332211", &back);
	assert_null(back.in.pStatusNotify);
}

static void test_interface_out(void **state)
{
	struct ORPCTHAT that = {0};
	struct MInterfacePointer *host = &mip5;
	struct IHostMgr_GetHost r = {
		.out.ORPCthat = &that, .out.ppHost = &host, .out.result = OK};

	ndr_bytes_check(*state, &ndr_table_IHostMgr, "IHostMgr_GetHost",
			NDR_OUT, &r, ORPCTHAT_BYTES MIP5 "000000 00000000",
			NULL);
	/* a failed call returns NULL */
	host = NULL;
	r.out.result = HRES_ERROR(0x80070002);
	ndr_bytes_check(*state, &ndr_table_IHostMgr, "IHostMgr_GetHost",
			NDR_OUT, &r, ORPCTHAT_BYTES "00000000 02000780", NULL);
}

/* Next of interface pointers: one goes in, NULL as a rule, one comes out. */
static void test_interface_in_out(void **state)
{
	struct ORPCTHAT that = {0};
	struct MInterfacePointer *in = NULL, *out = &mip5;
	uint32_t returned = 1;
	struct IEnumHost_Next r = {
		.in.ORPCthis = ndr_bytes_this(),
		.in.ulNumElements = 1,
		.in.pElements = &in,
		.out.ORPCthat = &that,
		.out.pElements = &out,
		.out.pNumElementsReturned = &returned,
		.out.result = OK,
	};

	ndr_bytes_check(*state, &ndr_table_IEnumHost, "IEnumHost_Next", NDR_IN,
			&r, ORPCTHIS_BYTES "01000000 00000000", NULL);
	ndr_bytes_check(*state, &ndr_table_IEnumHost, "IEnumHost_Next", NDR_OUT,
			&r, ORPCTHAT_BYTES MIP5 "000000 01000000 00000000",
			NULL);
	in = &mip2;
	ndr_bytes_check(*state, &ndr_table_IEnumHost, "IEnumHost_Next", NDR_IN,
			&r,
			ORPCTHIS_BYTES
			"01000000 00000200 02000000 02000000 0607",
			NULL);
	/* at the end: NULL, none, S_FALSE */
	out = NULL;
	returned = 0;
	r.out.result = HRES_ERROR(1);
	ndr_bytes_check(*state, &ndr_table_IEnumHost, "IEnumHost_Next", NDR_OUT,
			&r, ORPCTHAT_BYTES "00000000 00000000 01000000", NULL);
}

/* [in] IEnumX **: a pointer goes in, nothing but the result comes out. */
static void test_clone(void **state)
{
	struct ORPCTHAT that = {0};
	struct MInterfacePointer *p = NULL;
	struct IEnumHost_Clone r = {
		.in.ORPCthis = ndr_bytes_this(),
		.in.ppNewEnum = &p,
		.out.ORPCthat = &that,
		.out.result = HRES_ERROR(0x80004001),
	};

	ndr_bytes_check(*state, &ndr_table_IEnumHost, "IEnumHost_Clone", NDR_IN,
			&r, ORPCTHIS_BYTES "00000000", NULL);
	p = &mip5;
	ndr_bytes_check(*state, &ndr_table_IEnumHost, "IEnumHost_Clone", NDR_IN,
			&r, ORPCTHIS_BYTES MIP5, NULL);
	ndr_bytes_check(*state, &ndr_table_IEnumHost, "IEnumHost_Clone",
			NDR_OUT, &r, ORPCTHAT_BYTES "01400080", NULL);
}

/* IUnknown * between a long and a string */
static void test_stream(void **state)
{
	struct IWTDiskMgr2_OpenWTDisk r = {
		.in.ORPCthis = ndr_bytes_this(),
		.in.pStream = &mip5,
		.in.ResourceName.s = "r",
	};

	ndr_bytes_check(*state, &ndr_table_IWTDiskMgr, "IWTDiskMgr2_OpenWTDisk",
			NDR_IN, &r,
			ORPCTHIS_BYTES MIP5
			"000000"
			"55736572 01000000 02000000 01000000 7200",
			NULL);
}

/* What is said twice must agree, and be there. */
static void test_interface_refused(void **state)
{
	static const char *const cases[] = {
		/* max count is not ulCntData */
		"00000200 04000000 05000000 0102030405 000000 00000000",
		"00000200 06000000 05000000 0102030405 000000 00000000",
		/* cut short */
		"00000200",
		"00000200 05000000 05000000 01020304",
		/* far more than there is, and than is sensible */
		"00000200 ffffffff ffffffff 0102030405",
		"00000200 00001100 00001100 0102030405",
	};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct IWTGeneral_RegisterNotification r = {.in.lCookie = 0};
		char *hex = talloc_asprintf(*state, "%s %s", ORPCTHIS_BYTES,
					    cases[i]);

		if (NDR_ERR_CODE_IS_SUCCESS(
			    ndr_bytes_pull(*state, &ndr_table_IWTGeneral,
					   "IWTGeneral_RegisterNotification",
					   NDR_IN, hex, &r))) {
			fail_msg("accepted: %s", cases[i]);
		}
	}
}

/* A conformant array of char: its size, max count, bytes */
static void test_char_array(void **state)
{
	struct IHost_SetCHAPInfoByBlob r = {
		.in.ORPCthis = ndr_bytes_this(),
		.in.nBlobSize = 5,
		.in.Blob = five,
	};
	struct IHost_SetCHAPInfoByBlob back = {.in.nBlobSize = 0};

	ndr_bytes_check(*state, &ndr_table_IHost, "IHost_SetCHAPInfoByBlob",
			NDR_IN, &r,
			ORPCTHIS_BYTES "05000000 05000000 0102030405", &back);
	assert_int_equal(back.in.nBlobSize, 5);
	r.in.nBlobSize = 0;
	ndr_bytes_check(*state, &ndr_table_IHost, "IHost_SetCHAPInfoByBlob",
			NDR_IN, &r, ORPCTHIS_BYTES "00000000 00000000", NULL);
	assert_int_equal(ndr_bytes_pull(*state, &ndr_table_IHost,
					"IHost_SetCHAPInfoByBlob", NDR_IN,
					ORPCTHIS_BYTES
					"05000000 04000000 01020304",
					&back),
			 NDR_ERR_ARRAY_SIZE);
}

/*
 * VDS_LUN_INFORMATION, [MS-VDS] 2.2.1.3.16, with two identifiers, as ISTM
 * returns it: 68 bytes
 *
 *	 0 m_version  4 m_DeviceType  5 m_DeviceTypeModifier  8 BOOL
 *	12 m_BusType (16 bits)  16 four string pointers  32 GUID
 *	48 descriptor: version, count, pointer  60 count, pointer
 *
 * then in the order of the pointers what they point to: strings of char (max
 * count, offset, actual count, with NUL), the array of identifiers (max count,
 * then 12 bytes each), and behind the array what these point to.
 */
static void test_vds_lun_information(void **state)
{
	struct ORPCTHAT that = {0};
	struct VDS_STORAGE_IDENTIFIER ids[2] = {
		{.m_CodeSet = VDSStorageIdCodeSetBinary,
		 .m_Type = VDSStorageIdTypeFCPHName,
		 .m_cbIdentifier = 5,
		 .m_rgbIdentifier = five},
		{.m_CodeSet = VDSStorageIdCodeSetBinary,
		 .m_Type = VDSStorageIdTypeVendorSpecific,
		 .m_cbIdentifier = 2,
		 .m_rgbIdentifier = two},
	};
	struct VDS_LUN_INFORMATION info = {
		.m_version = 1,
		.m_BusType = VDSBusTypeScsi,
		.m_bCommandQueuing = 1,
		.m_szVendorId = "MSFT",
		.m_szSerialNumber = "",
		.m_deviceIdDescriptor = {.m_version = 1,
					 .m_cIdentifiers = 2,
					 .m_rgIdentifiers = ids},
	};
	struct IWTDisk_GetVdsLunInfo r = {
		.in.ORPCthis = ndr_bytes_this(),
		.in.pVdsLunInfo = &info,
		.out.ORPCthat = &that,
		.out.pVdsLunInfo = &info,
		.out.result = OK,
	};
	struct IWTDisk_GetVdsLunInfo back;

	ndr_bytes_check(
		*state, &ndr_table_IWTDisk, "IWTDisk_GetVdsLunInfo", NDR_OUT,
		&r,
		ORPCTHAT_BYTES
		"01000000 00 00 0000 01000000 0100 0000"
		"00000200 00000000 00000000 04000200" /* the four strings */
		"00000000000000000000000000000000"
		"01000000 02000000 08000200" /* the descriptor */
		"00000000 00000000"	     /* no interconnects */
		/* "MSFT" with NUL, 5; pad 3 */
		"05000000 00000000 05000000 4d53465400 000000"
		/* "" with NUL, 1; pad 3 */
		"01000000 00000000 01000000 00 000000"
		/* two identifiers: code set, type, size, pointer */
		"02000000"
		"0100 0300 05000000 0c000200"
		"0100 0000 02000000 10000200"
		"05000000 0102030405 000000"
		"02000000 0607 0000"
		"00000000",
		&back);
	assert_int_equal(back.out.pVdsLunInfo->m_deviceIdDescriptor
				 .m_rgIdentifiers[1]
				 .m_cbIdentifier,
			 2);

	/* What a client sends: zeros, 68 of them. */
	memset(&info, 0, sizeof(info));
	ndr_bytes_check(*state, &ndr_table_IWTDisk, "IWTDisk_GetVdsLunInfo",
			NDR_IN, &r,
			talloc_asprintf(*state, "%s %s", ORPCTHIS_BYTES,
					ndr_bytes_repeat(*state, "00", 68)),
			NULL);
}

/*
 * [out] unsigned long * beside the structure: ExportAsWTDisk's response starts
 * the structure at 12.
 */
static void test_export(void **state)
{
	struct ORPCTHAT that = {0};
	struct VDS_LUN_INFORMATION info = {.m_version = 1};
	uint32_t wtd = 4;
	struct ISnapshot_ExportAsWTDisk r = {
		.out.ORPCthat = &that,
		.out.pWTD = &wtd,
		.out.pVdsLunInfo = &info,
		.out.result = OK,
	};

	ndr_bytes_check(*state, &ndr_table_ISnapshot,
			"ISnapshot_ExportAsWTDisk", NDR_OUT, &r,
			talloc_asprintf(*state, "%s 04000000 01000000 %s %s",
					ORPCTHAT_BYTES,
					ndr_bytes_repeat(*state, "00", 64),
					"00000000"),
			NULL);
}

/*
 * ORPCTHIS with an extension, [MS-DCOM] 2.2.13.1 and 2.2.13.2: the array of
 * pointers has an even count, the data a multiple of 8; the counts in the
 * structures do not include either padding. ORPC_EXTENT ends with its array:
 * max count first.
 */
static void test_extensions(void **state)
{
	uint8_t data[8] = {1, 2, 3, 4, 5};
	struct ORPC_EXTENT extent = {
		.id = ndr_bytes_this().cid, .size = 5, .data = data};
	struct ORPC_EXTENT *extents[2] = {&extent, NULL};
	struct ORPC_EXTENT_ARRAY array = {.size = 1, .extent = extents};
	struct IHost_put_Enable r = {.in.ORPCthis = ndr_bytes_this(),
				     .in.bEnable = 1};
	struct IHost_put_Enable back;

	r.in.ORPCthis.extensions = &array;
	ndr_bytes_check(*state, &ndr_table_IHost, "IHost_put_Enable", NDR_IN,
			&r,
			"0500 0700 00000000 00000000"
			"44332211 6655 8877 99aa bbccddeeff00"
			"00000200"
			"01000000 00000000 04000200" /* size, reserved */
			"02000000 08000200 00000000" /* two pointers */
			"08000000"
			"44332211 6655 8877 99aa bbccddeeff00"
			"05000000 0102030405000000"
			"01",
			&back);
	assert_int_equal(back.in.ORPCthis.extensions->extent[0]->size, 5);
	assert_int_equal(back.in.bEnable, 1);
}

static void test_extensions_refused(void **state)
{
	struct IHost_put_Enable r = {.in.bEnable = 0};

	/* an odd count of pointers */
	assert_int_equal(ndr_bytes_pull(*state, &ndr_table_IHost,
					"IHost_put_Enable", NDR_IN,
					"0500 0700 00000000 00000000"
					"44332211 6655 8877 99aa bbccddeeff00"
					"00000200 01000000 00000000 04000200"
					"01000000 00000000 01",
					&r),
			 NDR_ERR_ARRAY_SIZE);
	/* more extents than anyone sends */
	assert_int_equal(ndr_bytes_pull(*state, &ndr_table_IHost,
					"IHost_put_Enable", NDR_IN,
					"0500 0700 00000000 00000000"
					"44332211 6655 8877 99aa bbccddeeff00"
					"00000200 ffffffff 00000000 04000200"
					"00000000 01",
					&r),
			 NDR_ERR_RANGE);
}

/* [in, size_is] GUID *: after a short, max count aligned to 4. The result: a
 * pointer to a conformant array of structures with hypers, 48 bytes each. */
static void test_rem_query_interface(void **state)
{
	struct ORPCTHAT that = {0};
	struct GUID ipid = {.time_low = 1},
		    iids[2] = {{.time_low = 2}, {.time_low = 3}};
	struct REMQIRESULT results[2] = {
		{.hResult = OK,
		 .std = {.cPublicRefs = 5,
			 .oxid = 0x1122,
			 .oid = 0x3344,
			 .ipid = {.time_low = 4}}},
		{.hResult = HRES_ERROR(0x80004002)},
	};
	struct REMQIRESULT *p = results;
	struct IRemUnknown_RemQueryInterface r = {
		.in.ORPCthis = ndr_bytes_this(),
		.in.ripid = &ipid,
		.in.cRefs = 5,
		.in.cIids = 2,
		.in.iids = iids,
		.out.ORPCthat = &that,
		.out.ppQIResults = &p,
		.out.result = HRES_ERROR(1),
	};

	ndr_bytes_check(*state, &ndr_table_IRemUnknown,
			"IRemUnknown_RemQueryInterface", NDR_IN, &r,
			ORPCTHIS_BYTES "01000000000000000000000000000000"
				       "05000000 0200 0000 02000000"
				       "02000000000000000000000000000000"
				       "03000000000000000000000000000000",
			NULL);
	/* 8 + pointer 4 + max count 4 = 16: aligned to 8 already */
	ndr_bytes_check(*state, &ndr_table_IRemUnknown,
			"IRemUnknown_RemQueryInterface", NDR_OUT, &r,
			ORPCTHAT_BYTES "00000200 02000000"
				       "00000000 00000000 00000000 05000000"
				       "2211000000000000 4433000000000000"
				       "04000000000000000000000000000000"
				       "02400080 00000000 00000000 00000000"
				       "0000000000000000 0000000000000000"
				       "00000000000000000000000000000000"
				       "01000000",
			NULL);
	/* nothing to return */
	p = NULL;
	ndr_bytes_check(*state, &ndr_table_IRemUnknown,
			"IRemUnknown_RemQueryInterface", NDR_OUT, &r,
			ORPCTHAT_BYTES "00000000 01000000", NULL);
}

/* An array of interface pointers: all pointers, then what they point to. */
static void test_rem_query_interface2(void **state)
{
	struct ORPCTHAT that = {0};
	struct GUID ipid = {.time_low = 1}, iids[3] = {{.time_low = 2}};
	HRESULT hr[3] = {OK, HRES_ERROR(0x80004002), OK};
	struct MInterfacePointer *mifs[3] = {&mip5, NULL, &mip2};
	struct IRemUnknown2_RemQueryInterface2 r = {
		.in.ORPCthis = ndr_bytes_this(),
		.in.ripid = &ipid,
		.in.cIids = 3,
		.in.iids = iids,
		.out.ORPCthat = &that,
		.out.phr = hr,
		.out.ppMIF = mifs,
		.out.result = HRES_ERROR(1),
	};

	ndr_bytes_check(*state, &ndr_table_IRemUnknown,
			"IRemUnknown2_RemQueryInterface2", NDR_OUT, &r,
			ORPCTHAT_BYTES "03000000 00000000 02400080 00000000"
				       "03000000 00000200 00000000 04000200"
				       "05000000 05000000 0102030405 000000"
				       "02000000 02000000 0607 0000"
				       "01000000",
			NULL);
}

static void test_rem_add_ref(void **state)
{
	struct ORPCTHAT that = {0};
	struct REMINTERFACEREF ref = {
		.ipid = {.time_low = 1}, .cPublicRefs = 2, .cPrivateRefs = 3};
	HRESULT hr[1] = {OK};
	struct IRemUnknown_RemAddRef r = {
		.in.ORPCthis = ndr_bytes_this(),
		.in.cInterfaceRefs = 1,
		.in.InterfaceRefs = &ref,
		.out.ORPCthat = &that,
		.out.pResults = hr,
		.out.result = OK,
	};

	ndr_bytes_check(*state, &ndr_table_IRemUnknown, "IRemUnknown_RemAddRef",
			NDR_IN, &r,
			ORPCTHIS_BYTES "0100 0000 01000000"
				       "01000000000000000000000000000000"
				       "02000000 03000000",
			NULL);
	ndr_bytes_check(*state, &ndr_table_IRemUnknown, "IRemUnknown_RemAddRef",
			NDR_OUT, &r,
			ORPCTHAT_BYTES "01000000 00000000 00000000", NULL);
}

/* The resolver: plain RPC, no ORPCTHIS. */
static void test_resolver(void **state)
{
	uint64_t oxid = 0x1122334455667788ULL, set = 9;
	uint64_t oids[2] = {0xa, 0xb};
	uint16_t protseqs[1] = {7};
	struct ResolveOxid2 r = {
		.in.pOxid = &oxid,
		.in.cRequestedProtseqs = 1,
		.in.arRequestedProtseqs = protseqs,
	};
	struct ComplexPing c = {
		.in.pSetId = &set,
		.in.SequenceNum = 1,
		.in.cAddToSet = 2,
		.in.cDelFromSet = 0,
		.in.AddToSet = oids,
	};

	ndr_bytes_check(*state, &ndr_table_IObjectExporter, "ResolveOxid2",
			NDR_IN, &r, "8877665544332211 0100 0000 01000000 0700",
			NULL);
	/* 8 + 6, pad to 16, pointer, max count, to 24: two hypers, NULL */
	ndr_bytes_check(*state, &ndr_table_IObjectExporter, "ComplexPing",
			NDR_IN, &c,
			"0900000000000000 0100 0200 0000 0000"
			"00000200 02000000 0a00000000000000 0b00000000000000"
			"00000000",
			NULL);
}

/* DUALSTRINGARRAY is conformant: max count, two shorts, then the units. */
static void test_server_alive2(void **state)
{
	uint16_t units[5] = {7, 0x31, 0, 0, 0};
	struct COMVERSION version = {5, 7};
	struct DUALSTRINGARRAY dsa = {
		.wNumEntries = 5, .wSecurityOffset = 4, .aStringArray = units};
	struct DUALSTRINGARRAY *p = &dsa;
	uint32_t reserved = 0;
	struct ServerAlive2 r = {.out.pComVersion = &version,
				 .out.ppdsaOrBindings = &p,
				 .out.pReserved = &reserved,
				 .out.result = WERR_OK};

	/* 4 + 4 + 4 + 4 + 10 = 26, pad 2 */
	ndr_bytes_check(*state, &ndr_table_IObjectExporter, "ServerAlive2",
			NDR_OUT, &r,
			"0500 0700 00000200 05000000 0500 0400"
			"0700 3100 0000 0000 0000"
			"0000 00000000 00000000",
			NULL);
}

/* CreateInstance over ORPC: an IID goes in, an interface pointer comes out. */
static void test_class_factory(void **state)
{
	struct ORPCTHAT that = {0};
	struct GUID iid = {.time_low = 1};
	struct MInterfacePointer *p = NULL;
	struct IClassFactory_CreateInstance r = {
		.in.ORPCthis = ndr_bytes_this(),
		.in.riid = &iid,
		.out.ORPCthat = &that,
		.out.ppvObject = &p,
		.out.result = HRES_ERROR(0x80004002),
	};

	ndr_bytes_check(*state, &ndr_table_IClassFactory,
			"IClassFactory_CreateInstance", NDR_IN, &r,
			ORPCTHIS_BYTES "01000000000000000000000000000000",
			NULL);
	ndr_bytes_check(*state, &ndr_table_IClassFactory,
			"IClassFactory_CreateInstance", NDR_OUT, &r,
			ORPCTHAT_BYTES "00000000 02400080", NULL);
}

/* What is too much for the bytes there are is not even allocated
 * (librpc/ndr_bounds.h): pidl's own check would come after that. */
static void test_arrays_bounded(void **state)
{
	struct ComplexPing ping = {0};
	struct IRemUnknown_RemQueryInterface query = {0};

	assert_int_equal(ndr_bytes_pull(*state, &ndr_table_IObjectExporter,
					"ComplexPing", NDR_IN,
					"0000000000000000 0100 0100 0000 0000"
					"00000200 ffffff0f 0000000000000000"
					"00000000",
					&ping),
			 NDR_ERR_ARRAY_SIZE);
	assert_int_equal(ndr_bytes_pull(*state, &ndr_table_IRemUnknown,
					"IRemUnknown_RemQueryInterface", NDR_IN,
					ORPCTHIS_BYTES
					"00000000000000000000000000000000"
					"01000000 0100 0000 00ffff00"
					"00000000000000000000000000000000",
					&query),
			 NDR_ERR_ARRAY_SIZE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_interface_in),
		TEST(test_interface_out),
		TEST(test_interface_in_out),
		TEST(test_clone),
		TEST(test_stream),
		TEST(test_interface_refused),
		TEST(test_char_array),
		TEST(test_vds_lun_information),
		TEST(test_export),
		TEST(test_extensions),
		TEST(test_extensions_refused),
		TEST(test_rem_query_interface),
		TEST(test_rem_query_interface2),
		TEST(test_rem_add_ref),
		TEST(test_resolver),
		TEST(test_server_alive2),
		TEST(test_class_factory),
		TEST(test_arrays_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
