/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What DCOM carries as opaque bytes: string and security bindings, OBJREF,
 * activation properties, and the endpoint mapper's towers.
 */
#include "tests/unit/ndr_bytes.h"

#include "gen_ndr/ndr_activation.h"
#include "gen_ndr/ndr_ept.h"
#include "gen_ndr/ndr_orpc.h"
#include "librpc/actprops.h"
#include "librpc/dualstring.h"
#include "librpc/objref.h"
#include "librpc/tower.h"

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

/* [MS-DCOM] 2.2.19.1: "1[2]" over TCP, NTLM without a principal name, each
 * list ended by a zero: 7 units and 4 units. */
#define UNITS	 "0700 3100 5b00 3200 5d00 0000 0000  0a00 ffff 0000 0000"
#define FLAT	 "0b00 0700" UNITS
#define NO_UNITS "0000 0000 0000 0000"

static struct dualstring bindings(TALLOC_CTX *mem_ctx)
{
	struct dualstring ds = {0};

	assert_true(
		dualstring_add_string(mem_ctx, &ds, DCOM_TOWER_TCP, "1[2]"));
	assert_true(dualstring_add_security(mem_ctx, &ds,
					    DUALSTRING_AUTHN_WINNT, ""));
	return ds;
}

static DATA_BLOB units_blob(TALLOC_CTX *mem_ctx,
			    const struct DUALSTRINGARRAY *dsa)
{
	DATA_BLOB blob = {.data = talloc_array(mem_ctx, uint8_t,
					       dsa->wNumEntries * 2),
			  .length = dsa->wNumEntries * 2};
	size_t i;

	assert_non_null(blob.data);
	for (i = 0; i < dsa->wNumEntries; i++) {
		blob.data[2 * i] = dsa->aStringArray[i] & 0xff;
		blob.data[2 * i + 1] = dsa->aStringArray[i] >> 8;
	}
	return blob;
}

static void test_dualstring(void **state)
{
	struct dualstring ds = bindings(*state), back;
	struct DUALSTRINGARRAY *dsa = dualstring_pack(*state, &ds);

	assert_non_null(dsa);
	assert_int_equal(dsa->wNumEntries, 11);
	assert_int_equal(dsa->wSecurityOffset, 7);
	ndr_bytes_compare("units", units_blob(*state, dsa), UNITS);
	assert_true(dualstring_unpack(*state, dsa, &back));
	assert_int_equal(back.num_strings, 1);
	assert_int_equal(back.strings[0].wTowerId, 7);
	assert_string_equal(back.strings[0].aNetworkAddr, "1[2]");
	assert_int_equal(back.num_security, 1);
	assert_int_equal(back.security[0].wAuthnSvc, 10);
	assert_string_equal(back.security[0].aPrincName, "");
}

/* "The smallest possible": 4 entries, security at 2, all zero. */
static void test_dualstring_empty(void **state)
{
	struct dualstring ds = {0}, back;
	struct DUALSTRINGARRAY *dsa = dualstring_pack(*state, &ds);

	assert_non_null(dsa);
	assert_int_equal(dsa->wSecurityOffset, 2);
	ndr_bytes_compare("units", units_blob(*state, dsa), NO_UNITS);
	assert_true(dualstring_unpack(*state, dsa, &back));
	assert_int_equal(back.num_strings, 0);
	assert_int_equal(back.num_security, 0);
}

static void test_dualstring_refused(void **state)
{
	static const struct {
		uint16_t n, security;
		uint16_t units[6];
	} cases[] = {
		{0, 0, {0}},		/* not even the ends */
		{4, 5, {0}},		/* offset past the end */
		{4, 0xffff, {0}},	/* far past it */
		{3, 3, {7, 'a', 'b'}},	/* string without end */
		{3, 2, {7, 'a', 0}},	/* it ends in the other half */
		{4, 3, {7, 'a', 0, 0}}, /* list without end */
		{5, 1, {0, 10, 0xffff, 'a', 'b'}}, /* name without end */
		{3, 1, {0, 10, 0xffff}},	   /* no name */
		{2, 1, {0, 10}},		   /* not even Reserved */
	};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		/* exactly as long, for the sanitizer to see more */
		uint16_t *units =
			talloc_memdup(*state, cases[i].units, cases[i].n * 2);
		struct DUALSTRINGARRAY dsa = {.wNumEntries = cases[i].n,
					      .wSecurityOffset =
						      cases[i].security,
					      .aStringArray = units};
		struct dualstring ds;

		if (dualstring_unpack(*state, &dsa, &ds)) {
			fail_msg("case %zu accepted", i);
		}
	}
}

/* More than 65535 units do not fit. */
static void test_dualstring_too_long(void **state)
{
	struct dualstring ds = {0};
	char *s = ndr_bytes_repeat(*state, "a", 65535);

	assert_true(dualstring_add_string(*state, &ds, 7, s));
	assert_null(dualstring_pack(*state, &ds));
}

/* [MS-DCOM] 2.2.18: signature "MEOW", flags, IID, 40 bytes, bindings */
#define IID_HEX "78563412 0000 0000 0000 000000000000"
#define STD_HEX                                                                \
	"00000000 05000000 8877665544332211 0200000000000000"                  \
	"04030201 0000 0000 0000 000000000000"
static const struct GUID iid = {.time_low = 0x12345678};
static const struct STDOBJREF std = {.cPublicRefs = 5,
				     .oxid = 0x1122334455667788ULL,
				     .oid = 2,
				     .ipid = {.time_low = 0x01020304}};

static void test_objref_standard(void **state)
{
	struct dualstring ds = bindings(*state), back;
	struct MInterfacePointer *mip =
		objref_pack_standard(*state, &iid, &std, &ds);
	struct OBJREF *objref = NULL;

	assert_non_null(mip);
	/* 24 + 40 + 4 + 22: not a multiple of 4, and not filled up */
	assert_int_equal(mip->ulCntData, 90);
	ndr_bytes_compare("OBJREF", (DATA_BLOB){mip->abData, mip->ulCntData},
			  "4d454f57 01000000" IID_HEX STD_HEX FLAT);
	objref = objref_unpack(*state, mip);
	assert_non_null(objref);
	assert_memory_equal(&objref->iid, &iid, sizeof(iid));
	assert_int_equal(objref_std(objref)->oxid, std.oxid);
	assert_true(
		dualstring_unpack_flat(*state, objref_resolver(objref), &back));
	assert_string_equal(back.strings[0].aNetworkAddr, "1[2]");
}

static struct OBJREF *unpack(TALLOC_CTX *mem_ctx, const char *hex)
{
	DATA_BLOB b = ndr_bytes_parse(mem_ctx, hex);
	struct MInterfacePointer mip = {.ulCntData = b.length,
					.abData = b.data};

	return objref_unpack(mem_ctx, &mip);
}

/* 2.2.18.5: the same with a CLSID between */
static void test_objref_handler(void **state)
{
	struct OBJREF *o =
		unpack(*state, "4d454f57 02000000" IID_HEX STD_HEX
			       "99000000 0000 0000 0000 000000000000" FLAT);

	assert_non_null(o);
	assert_int_equal(objref_std(o)->oid, 2);
	assert_int_equal(o->u_objref.u_handler.clsid.time_low, 0x99);
	assert_int_equal(objref_resolver(o)->wNumEntries, 11);
}

/* 2.2.18.7: two signatures, one element of which cbRounded bytes are there */
static void test_objref_extended(void **state)
{
	struct OBJREF *o = unpack(*state, "4d454f57 08000000" IID_HEX STD_HEX
					  "5659534e" FLAT "01000000 5659534e"
					  "99000000 0000 0000 0000 000000000000"
					  "03000000 08000000 0102030000000000");

	assert_non_null(o);
	assert_int_equal(objref_std(o)->oid, 2);
	assert_int_equal(o->u_objref.u_extended.ElmArray.cbSize, 3);
	assert_int_equal(o->u_objref.u_extended.ElmArray.Data[2], 3);
}

/* 2.2.18.6: everything behind "reserved" is the object's */
static void test_objref_custom(void **state)
{
	struct OBJREF *o = unpack(*state, "4d454f57 04000000" IID_HEX
					  "99000000 0000 0000 0000 000000000000"
					  "00000000 07000000 010203");

	assert_non_null(o);
	assert_null(objref_std(o));
	assert_null(objref_resolver(o));
	assert_int_equal(o->u_objref.u_custom.pObjectData.length, 3);
	assert_int_equal(o->u_objref.u_custom.pObjectData.data[2], 3);
}

static void test_objref_refused(void **state)
{
	static const char *const cases[] = {
		"",
		"4d454f57",
		/* signature */
		"4d454f58 01000000" IID_HEX STD_HEX FLAT,
		/* no such kind; two kinds at once */
		"4d454f57 00000000" IID_HEX STD_HEX FLAT,
		"4d454f57 05000000" IID_HEX STD_HEX FLAT,
		"4d454f57 10000000" IID_HEX STD_HEX FLAT,
		/* IID of zeros */
		"4d454f57 01000000 00000000000000000000000000000000" STD_HEX
			FLAT,
		/* cut short: in STDOBJREF, in the bindings */
		"4d454f57 01000000" IID_HEX "00000000 05000000",
		"4d454f57 01000000" IID_HEX STD_HEX "0b00 0700 0700",
		"4d454f57 01000000" IID_HEX STD_HEX "ffff 0700" UNITS,
	};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (unpack(*state, cases[i]) != NULL) {
			fail_msg("case %zu accepted", i);
		}
	}
}

/* [MS-RPCE] 2.2.6.1 and 2.2.6.2: version 1, little-endian, length 8, filler;
 * length of the body, a multiple of 8; filler */
#define TS1(length)	"01 10 0800 cccccccc" length "00000000"
#define DCOM_CLSID(low) low "0000 0000 0000 c000 000000000046"

/*
 * A reply without interfaces to speak of, by hand.
 *
 * CustomHeader: 16 + body. Body: totalSize, headerSize, 0, destCtx 2, cIfs 2,
 * CLSID of zeros, three pointers = 48; max count and two CLSIDs, 36, to 84;
 * max count and two sizes, 12, to 96; the last pointer is NULL. So 112.
 *
 * PropsOutInfo: count 1, three pointers, 16; max count, IID, 20, to 36; max
 * count, HRESULT, 8, to 44; max count, NULL, 8, to 52, to 56 with padding.
 * With headers 72.
 *
 * ScmReplyInfo: NULL, pointer, 8; OXID, 8, pointer, 4, IPID, 16, hint, 4,
 * version, 4, to 44; the structure is aligned to 8; bindings: max count, two
 * shorts, 11 units = 30, to 74, to 80. With headers 96.
 *
 * totalSize = 112 + 72 + 96 = 280 = 0x118
 */
#define REPLY                                                                  \
	"18010000 00000000"                                                    \
	"01 10 0800 cccccccc 60000000 00000000"                                \
	"18010000 70000000 00000000 02000000 02000000"                         \
	"00000000000000000000000000000000"                                     \
	"00000200 04000200 00000000"                                           \
	"02000000"                                                             \
	"39030000 0000 0000 c000 000000000046"                                 \
	"b6010000 0000 0000 c000 000000000046"                                 \
	"02000000 48000000 60000000"                                           \
	"01 10 0800 cccccccc 38000000 00000000"                                \
	"01000000 00000200 04000200 08000200"                                  \
	"01000000" IID_HEX "01000000 02400080"                                 \
	"01000000 00000000"                                                    \
	"00000000"                                                             \
	"01 10 0800 cccccccc 50000000 00000000"                                \
	"00000000 00000200"                                                    \
	"8877665544332211 04000200"                                            \
	"04030201 0000 0000 0000 000000000000"                                 \
	"06000000 0500 0700"                                                   \
	"0b000000 0b00 0700" UNITS "000000000000"

/* IID_IActivationPropertiesOut, CLSID_ActivationPropertiesOut */
#define REPLY_OBJREF                                                           \
	"4d454f57 04000000"                                                    \
	"a3010000 0000 0000 c000 000000000046"                                 \
	"39030000 0000 0000 c000 000000000046"                                 \
	"00000000 20010000"

static void test_actprops_out(void **state)
{
	struct dualstring ds = bindings(*state);
	struct GUID iids[1] = {iid};
	HRESULT hr[1] = {HRES_ERROR(0x80004002)};
	struct MInterfacePointer *ifs[1] = {NULL};
	struct PropsOutInfo props = {
		.cIfs = 1, .piid = iids, .phresults = hr, .ppIntfData = ifs};
	struct customREMOTE_REPLY_SCM_INFO remote = {
		.Oxid = std.oxid,
		.pdsaOxidBindings = dualstring_pack(*state, &ds),
		.ipidRemUnknown = std.ipid,
		.authnHint = 6,
		.serverVersion = {5, 7},
	};
	struct ScmReplyInfoData scm = {.remoteReply = &remote};
	struct actprops_out out = {.props_out = &props, .scm_reply = &scm};
	struct actprops_out back;
	struct MInterfacePointer *mip = actprops_out_pack(*state, &out);

	assert_non_null(mip);
	ndr_bytes_compare("activation reply",
			  (DATA_BLOB){mip->abData, mip->ulCntData},
			  REPLY_OBJREF REPLY);
	assert_int_equal(actprops_out_unpack(*state, mip, &back),
			 NDR_ERR_SUCCESS);
	assert_int_equal(back.props_out->cIfs, 1);
	assert_null(back.props_out->ppIntfData[0]);
	assert_int_equal(back.scm_reply->remoteReply->Oxid, std.oxid);
	assert_int_equal(
		back.scm_reply->remoteReply->pdsaOxidBindings->wNumEntries, 11);
}

static struct MInterfacePointer *from_hex(TALLOC_CTX *mem_ctx, const char *hex)
{
	struct MInterfacePointer *mip =
		talloc(mem_ctx, struct MInterfacePointer);
	DATA_BLOB b = ndr_bytes_parse(mem_ctx, hex);

	assert_non_null(mip);
	*mip = (struct MInterfacePointer){.ulCntData = b.length,
					  .abData = b.data};
	return mip;
}

/*
 * A request as Windows makes it, with a property that is unknown here and one
 * (SpecialPropertiesData) in the form that lacks the 64-bit member.
 *
 * CustomHeader, 5 properties: 48, 4 + 80 to 132, 4 + 20 to 156, to 160; 176.
 * unknown: 24 bytes of whatever.
 * Special, alternate: 5 * 4, GUID, 3 * 4, 8 * 4 = 80; 96.
 * Instantiation: GUID 16, 3 longs to 28, cIID, instFlag to 36, pointer to 40,
 *	thisSize, version to 48, max count, two IIDs, 36, to 84, to 88; 104.
 * Location: four times NULL or 0, 16; 32.
 * ScmRequest: NULL, pointer, 8; level 2, short 1, pad, pointer, to 20;
 *	max count, short, to 26, to 32; 48.
 * total = 176 + 24 + 96 + 104 + 32 + 48 = 480 = 0x1e0
 */
#define REQUEST_HEAD                                                           \
	"4d454f57 04000000"                                                    \
	"a2010000 0000 0000 c000 000000000046"                                 \
	"38030000 0000 0000 c000 000000000046"                                 \
	"00000000 00000000"                                                    \
	"e0010000 00000000"                                                    \
	"01 10 0800 cccccccc a0000000 00000000"                                \
	"e0010000 b0000000 00000000 02000000 05000000"                         \
	"00000000000000000000000000000000"                                     \
	"00000200 04000200 00000000"                                           \
	"05000000"                                                             \
	"0f0f0f0f 0000 0000 c000 000000000046"                                 \
	"b9010000 0000 0000 c000 000000000046"                                 \
	"ab010000 0000 0000 c000 000000000046"                                 \
	"a4010000 0000 0000 c000 000000000046"                                 \
	"aa010000 0000 0000 c000 000000000046"                                 \
	"05000000 18000000 60000000 68000000 20000000"
#define REQUEST_BODY                                                           \
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"                     \
	"01 10 0800 cccccccc 50000000 00000000"                                \
	"ffffffff 00000000 00000000 00000000 02000000"                         \
	"00000000000000000000000000000000"                                     \
	"00000000 14000000 00000000"                                           \
	"0000000000000000000000000000000000000000000000000000000000000000"     \
	"01 10 0800 cccccccc 58000000 00000000"                                \
	"99000000 0000 0000 0000 000000000000"                                 \
	"14000000 00000000 00000000 02000000 00000000"                         \
	"00000200 68000000 0500 0600"                                          \
	"02000000" IID_HEX "01000000 0000 0000 0000 000000000000"              \
	"00000000"                                                             \
	"01 10 0800 cccccccc 10000000 00000000"                                \
	"00000000000000000000000000000000"                                     \
	"01 10 0800 cccccccc 20000000 00000000"                                \
	"00000000 00000200 02000000 0100 0000 04000200"                        \
	"01000000 0700 000000000000"
#define REQUEST REQUEST_HEAD "30000000 00000000" REQUEST_BODY

static void test_actprops_in(void **state)
{
	struct actprops_in in;
	struct MInterfacePointer *mip = from_hex(*state, REQUEST);

	assert_int_equal(actprops_in_unpack(*state, mip, &in), NDR_ERR_SUCCESS);
	assert_null(in.special);
	assert_null(in.security);
	assert_int_equal(in.instantiation->classId.time_low, 0x99);
	assert_int_equal(in.instantiation->cIID, 2);
	assert_int_equal(in.instantiation->pIID[1].time_low, 1);
	assert_int_equal(in.instantiation->clientCOMVersion.MinorVersion, 6);
	assert_int_equal(in.scm_request->remoteRequest->cRequestedProtseqs, 1);
	assert_int_equal(in.scm_request->remoteRequest->pRequestedProtseqs[0],
			 7);
	assert_null(in.location->machineName);

	/* What we send is understood again. */
	mip = actprops_in_pack(*state, &in);
	assert_non_null(mip);
	assert_int_equal(actprops_in_unpack(*state, mip, &in), NDR_ERR_SUCCESS);
	assert_int_equal(in.instantiation->pIID[0].time_low, 0x12345678);
}

/* Every length in the request at which it may be cut, and every byte of it
 * changed: refused or understood, but nothing is read outside (sanitizer). */
static void test_actprops_hostile(void **state)
{
	struct MInterfacePointer *mip = from_hex(*state, REQUEST);
	uint32_t whole = mip->ulCntData, i;
	struct actprops_in in;

	for (i = 0; i < whole; i++) {
		TALLOC_CTX *frame = talloc_new(*state);
		struct MInterfacePointer cut = {
			.ulCntData = i,
			.abData = talloc_memdup(frame, mip->abData, i)};

		assert_int_not_equal(actprops_in_unpack(frame, &cut, &in),
				     NDR_ERR_SUCCESS);
		cut = (struct MInterfacePointer){
			.ulCntData = whole,
			.abData = talloc_memdup(frame, mip->abData, whole)};
		cut.abData[i] ^= 0xff;
		actprops_in_unpack(frame, &cut, &in);
		cut.abData[i] ^= 0x81;
		actprops_in_unpack(frame, &cut, &in);
		talloc_free(frame);
	}
}

static void test_actprops_refused(void **state)
{
	struct actprops_in in;
	struct actprops_out out;
	struct MInterfacePointer *mip = from_hex(*state, REQUEST);

	/* a request is no reply */
	assert_int_not_equal(actprops_out_unpack(*state, mip, &out),
			     NDR_ERR_SUCCESS);
	/* the last size is larger than what is left */
	mip = from_hex(*state, REQUEST_HEAD "38000000 00000000" REQUEST_BODY);
	assert_int_equal(actprops_in_unpack(*state, mip, &in), NDR_ERR_BUFSIZE);
	mip = from_hex(*state, REQUEST_HEAD "ffffffff 00000000" REQUEST_BODY);
	assert_int_equal(actprops_in_unpack(*state, mip, &in), NDR_ERR_BUFSIZE);
	/* without InstantiationInfo: its CLSID, at 48 + 8 + 16 + 48 + 4 + 32,
	 * becomes an unknown one */
	mip = from_hex(*state, REQUEST);
	assert_int_equal(mip->abData[156], 0xab);
	mip->abData[156] = 0;
	assert_int_equal(actprops_in_unpack(*state, mip, &in),
			 NDR_ERR_INVALID_POINTER);
	/* the same property twice */
	mip = from_hex(*state, REQUEST);
	mip->abData[172] = 0xab;
	assert_int_not_equal(actprops_in_unpack(*state, mip, &in),
			     NDR_ERR_SUCCESS);
}

/*
 * C706 appendix L, the tower of IObjectExporter version 0.0 over NDR 2.0 at
 * port 135 of 192.0.2.1. A floor: length and left side, length and right
 * side; lengths and versions little-endian, port and address big-endian.
 */
#define TOWER                                                                  \
	"0500"                                                                 \
	"1300 0d c4fefc99 6052 1b10 bbcb 00aa0021347a 0000 0200 0000"          \
	"1300 0d 045d888a eb1c c911 9fe8 08002b104860 0200 0200 0000"          \
	"0100 0b 0200 0000"                                                    \
	"0100 07 0200 0087"                                                    \
	"0100 09 0400 c0000201"

static void test_tower(void **state)
{
	struct tower t = {.port = 135, .ipv4 = 0xc0000201}, back;
	struct twr_t *twr = NULL;
	uint32_t i;

	assert_true(NT_STATUS_IS_OK(GUID_from_string(
		"99fcfec4-5260-101b-bbcb-00aa0021347a", &t.interface.uuid)));
	assert_true(NT_STATUS_IS_OK(GUID_from_string(
		"8a885d04-1ceb-11c9-9fe8-08002b104860", &t.transfer.uuid)));
	t.transfer.if_version = 2;
	twr = tower_pack(*state, &t);
	assert_non_null(twr);
	assert_int_equal(twr->tower_length, 75);
	ndr_bytes_compare(
		"tower",
		(DATA_BLOB){twr->tower_octet_string, twr->tower_length}, TOWER);
	assert_true(tower_unpack(twr, &back));
	assert_int_equal(back.port, 135);
	assert_int_equal(back.ipv4, 0xc0000201);
	assert_int_equal(back.transfer.if_version, 2);
	assert_true(GUID_equal(&back.interface.uuid, &t.interface.uuid));
	/* cut anywhere */
	for (i = 0; i < 75; i++) {
		struct twr_t cut = {.tower_length = i,
				    .tower_octet_string = talloc_memdup(
					    *state, twr->tower_octet_string,
					    i)};

		assert_false(tower_unpack(&cut, &back));
	}
	/* UDP in place of TCP */
	twr->tower_octet_string[2 + 25 + 25 + 7 + 2] = 0x08;
	assert_false(tower_unpack(twr, &back));
}

/*
 * ept_map: the referents of full pointers, which libndr numbers from 1; a tower
 * is conformant: max count, length, bytes; the handle is 20 bytes. The towers
 * that come back are varying too: max count, offset, actual count.
 */
static void test_ept_map(void **state)
{
	uint8_t data[3] = {1, 2, 3};
	struct twr_t twr = {.tower_length = 3, .tower_octet_string = data};
	struct twr_p_t towers[1] = {{&twr}};
	struct policy_handle handle = {.handle_type = 0};
	uint32_t num = 1;
	struct ept_map r = {
		.in.map_tower = &twr,
		.in.entry_handle = &handle,
		.in.max_towers = 4,
		.out.entry_handle = &handle,
		.out.num_towers = &num,
		.out.towers = towers,
	};

	ndr_bytes_check(*state, &ndr_table_ept, "ept_map", NDR_IN, &r,
			"00000000"
			"01000000 03000000 03000000 010203 00"
			"0000000000000000000000000000000000000000"
			"04000000",
			NULL);
	ndr_bytes_check(*state, &ndr_table_ept, "ept_map", NDR_OUT, &r,
			"0000000000000000000000000000000000000000"
			"01000000"
			"04000000 00000000 01000000 01000000"
			"03000000 03000000 010203 00"
			"00000000",
			NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static void test_string_binding(void **state)
{
	static const struct {
		const char *text;
		uint16_t fallback;
		const char *host; /* NULL: refused */
		uint16_t port;
	} rows[] = {
		{"host[1]", 0, "host", 1},
		{"host", 135, "host", 135},
		{"192.0.2.1[65535]", 135, "192.0.2.1", 65535},
		{"2001:db8::1[49152]", 0, "2001:db8::1", 49152},
		{"host", 0, NULL, 0},
		{"", 135, NULL, 0},
		{"[135]", 135, NULL, 0},
		{"host[]", 135, NULL, 0},
		{"host[0]", 135, NULL, 0},
		{"host[65536]", 135, NULL, 0},
		{"host[18446744073709551617]", 135, NULL, 0},
		{"host[-1]", 135, NULL, 0},
		{"host[ 1]", 135, NULL, 0},
		{"host[1", 135, NULL, 0},
		{"host[1]x", 135, NULL, 0},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *host = NULL;
		uint16_t port = 0;
		bool ok = string_binding_parse(*state, rows[i].text,
					       rows[i].fallback, &host, &port);

		assert_int_equal(ok, rows[i].host != NULL);
		if (ok) {
			assert_string_equal(host, rows[i].host);
			assert_int_equal(port, rows[i].port);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_dualstring),
		TEST(test_dualstring_empty),
		TEST(test_dualstring_refused),
		TEST(test_dualstring_too_long),
		TEST(test_string_binding),
		TEST(test_objref_standard),
		TEST(test_objref_handler),
		TEST(test_objref_extended),
		TEST(test_objref_custom),
		TEST(test_objref_refused),
		TEST(test_actprops_out),
		TEST(test_actprops_in),
		TEST(test_actprops_hostile),
		TEST(test_actprops_refused),
		TEST(test_tower),
		TEST(test_ept_map),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
