/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * BSTR byte for byte, and the UTF-16 conversions under it.
 *
 * [MS-OAUT] 2.2.23.2 and user marshalling: referent 0x72657355 ("User"), then
 * the FLAGGED_WORD_BLOB as a conformant structure: max count, cBytes, clSize,
 * clSize 16-bit units. Aligned to 4 at the start, no terminator, no padding
 * at the end.
 */
#include "tests/unit/ndr_bytes.h"

#include "gen_ndr/ndr_istm.h"
#include "gen_ndr/ndr_oaut.h"
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

static void check_in(TALLOC_CTX *mem_ctx, const char *s, const char *bstr)
{
	struct IHost_put_Name r = {.in.ORPCthis = ndr_bytes_this(),
				   .in.Name.s = s};
	struct IHost_put_Name back;
	char *want = talloc_asprintf(mem_ctx, "%s %s", ORPCTHIS_BYTES, bstr);

	ndr_bytes_check(mem_ctx, &ndr_table_IHost, "IHost_put_Name", NDR_IN, &r,
			want, &back);
	if (s == NULL) {
		assert_null(back.in.Name.s);
	} else {
		assert_string_equal(back.in.Name.s, s);
	}
}

static void test_in(void **state)
{
	/* 4 units: max count 4, cBytes 8, clSize 4 */
	check_in(*state, "C:\\a",
		 "55736572 04000000 08000000 04000000 4300 3a00 5c00 6100");
	/* an odd number of units: nothing is filled up behind */
	check_in(*state, "abc",
		 "55736572 03000000 06000000 03000000 6100 6200 6300");
}

static void test_in_empty(void **state)
{
	check_in(*state, "", "55736572 00000000 00000000 00000000");
}

static void test_in_null(void **state)
{
	check_in(*state, NULL, "55736572 00000000 ffffffff 00000000");
}

static void test_in_non_bmp(void **state)
{
	/* U+00FC, U+20AC; U+1F4BE is the pair d83d dcbe: three characters,
	 * four units */
	check_in(*state, "\xc3\xbc\xe2\x82\xac\xf0\x9f\x92\xbe",
		 "55736572 04000000 08000000 04000000 fc00 ac20 3dd8 bedc");
}

/* The second string starts at the next multiple of 4. */
static void test_in_two(void **state)
{
	struct IHostMgr2_NewHost2 r = {.in.ORPCthis = ndr_bytes_this(),
				       .in.HostName.s = "a",
				       .in.ResourceGroup.s = "b"};

	ndr_bytes_check(*state, &ndr_table_IHostMgr, "IHostMgr2_NewHost2",
			NDR_IN, &r,
			ORPCTHIS_BYTES
			"55736572 01000000 02000000 01000000 6100" /* to 50 */
			"0000"
			"55736572 01000000 02000000 01000000 6200",
			NULL);
}

/* What follows a string is aligned for itself: boolean to 1, hyper to 8. */
static void test_in_then_others(void **state)
{
	struct ILocalDeviceMgr_CreateWtFile r = {
		.in.ORPCthis = ndr_bytes_this(),
		.in.FilePath.s = "abc",
		.in.hyFileSize = 0x1122334455667788ULL,
		.in.bSparse = 1,
	};

	/* 32 + 22 = 54, padding to 56, hyper to 64, boolean: 65 bytes */
	ndr_bytes_check(*state, &ndr_table_ILocalDeviceMgr,
			"ILocalDeviceMgr_CreateWtFile", NDR_IN, &r,
			ORPCTHIS_BYTES
			"55736572 03000000 06000000 03000000 6100 6200 6300"
			"0000 8877665544332211 01",
			NULL);
}

static void check_out(TALLOC_CTX *mem_ctx, const char *s, HRESULT result,
		      const char *bytes)
{
	struct ORPCTHAT that = {0};
	struct BSTR name = {.s = s};
	struct IHost_get_Name r = {.out.ORPCthat = &that,
				   .out.pName = &name,
				   .out.result = result};
	struct IHost_get_Name back;
	char *want = talloc_asprintf(mem_ctx, "%s %s", ORPCTHAT_BYTES, bytes);

	ndr_bytes_check(mem_ctx, &ndr_table_IHost, "IHost_get_Name", NDR_OUT,
			&r, want, &back);
	if (s == NULL) {
		assert_null(back.out.pName->s);
	} else {
		assert_string_equal(back.out.pName->s, s);
	}
	assert_true(HRES_IS_EQUAL(back.out.result, result));
}

static void test_out(void **state)
{
	/* [out] BSTR * is a ref pointer, without bytes of its own */
	check_out(*state, "abc", HRES_ERROR(0),
		  "55736572 03000000 06000000 03000000 6100 6200 6300"
		  "0000 00000000");
	check_out(*state, "", HRES_ERROR(0),
		  "55736572 00000000 00000000 00000000 00000000");
	check_out(*state, "\xf0\x9f\x92\xbe", HRES_ERROR(1),
		  "55736572 02000000 04000000 02000000 3dd8 bedc 01000000");
}

/* A call that fails still returns its parameters: a NULL BSTR. */
static void test_out_failed(void **state)
{
	check_out(*state, NULL, HRES_ERROR(0x80070002),
		  "55736572 00000000 ffffffff 00000000 02000780");
}

/* A big-endian peer sends everything so, the units too. */
static void test_big_endian(void **state)
{
	static const char want[] = "55736572 00000002 00000004 00000002"
				   "0061 20ac";
	DATA_BLOB blob = ndr_bytes_parse(*state, want);
	struct ndr_pull *pull = ndr_pull_init_blob(&blob, *state);
	struct ndr_push *push = ndr_push_init_ctx(*state);
	struct BSTR bstr = {.s = NULL};

	assert_non_null(pull);
	assert_non_null(push);
	/* the referent is a number as well, but any will do */
	pull->flags |= LIBNDR_FLAG_BIGENDIAN;
	push->flags |= LIBNDR_FLAG_BIGENDIAN;
	assert_int_equal(ndr_pull_BSTR(pull, NDR_SCALARS | NDR_BUFFERS, &bstr),
			 NDR_ERR_SUCCESS);
	assert_string_equal(bstr.s, "a\xe2\x82\xac");
	assert_int_equal(ndr_push_BSTR(push, NDR_SCALARS | NDR_BUFFERS, &bstr),
			 NDR_ERR_SUCCESS);
	ndr_bytes_compare("BSTR", ndr_push_blob(push),
			  "72657355 00000002 00000004 00000002 0061 20ac");
}

/* What a server hands out before the method has set anything is NULL. */
static void test_out_is_null_at_first(void **state)
{
	struct IHost_get_Name r = {.out.pName = NULL};
	enum ndr_err_code err =
		ndr_bytes_pull(*state, &ndr_table_IHost, "IHost_get_Name",
			       NDR_IN, ORPCTHIS_BYTES, &r);

	assert_int_equal(err, NDR_ERR_SUCCESS);
	assert_non_null(r.out.ORPCthat);
	assert_non_null(r.out.pName);
	assert_null(r.out.pName->s);
}

static enum ndr_err_code pull(TALLOC_CTX *mem_ctx, const char *bstr,
			      const char **s)
{
	struct IHost_put_Name r = {.in.Name.s = NULL};
	char *hex = talloc_asprintf(mem_ctx, "%s %s", ORPCTHIS_BYTES, bstr);
	enum ndr_err_code err = ndr_bytes_pull(
		mem_ctx, &ndr_table_IHost, "IHost_put_Name", NDR_IN, hex, &r);

	*s = r.in.Name.s;
	return err;
}

/* impacket sends this for None; it stands for the same. */
static void test_null_pointer(void **state)
{
	const char *s = "not null";

	assert_int_equal(pull(*state, "00000000", &s), NDR_ERR_SUCCESS);
	assert_null(s);
}

/* Other clients use referents of their own. */
static void test_any_referent(void **state)
{
	const char *s = NULL;

	assert_int_equal(pull(*state,
			      "00000200 01000000 02000000 01000000 6100", &s),
			 NDR_ERR_SUCCESS);
	assert_string_equal(s, "a");
}

static void test_refused(void **state)
{
	static const struct {
		const char *bytes;
		enum ndr_err_code err;
	} cases[] = {
		/* truncated at each part */
		{"5573", NDR_ERR_BUFSIZE},
		{"55736572", NDR_ERR_BUFSIZE},
		{"55736572 01000000", NDR_ERR_BUFSIZE},
		{"55736572 01000000 02000000", NDR_ERR_BUFSIZE},
		{"55736572 01000000 02000000 01000000", NDR_ERR_BUFSIZE},
		{"55736572 01000000 02000000 01000000 61", NDR_ERR_BUFSIZE},
		/* cBytes odd; cBytes not twice clSize */
		{"55736572 01000000 01000000 01000000 6100", NDR_ERR_LENGTH},
		{"55736572 02000000 03000000 02000000 61006200",
		 NDR_ERR_LENGTH},
		{"55736572 01000000 04000000 01000000 6100", NDR_ERR_LENGTH},
		{"55736572 01000000 00000000 01000000 6100", NDR_ERR_LENGTH},
		/* the length of NULL with something behind */
		{"55736572 01000000 ffffffff 01000000 6100", NDR_ERR_LENGTH},
		/* max count is not clSize */
		{"55736572 02000000 02000000 01000000 6100",
		 NDR_ERR_ARRAY_SIZE},
		{"55736572 00000000 02000000 01000000 6100",
		 NDR_ERR_ARRAY_SIZE},
		/* as long as can be said: 4 GiB less 2 */
		{"55736572 ffffff7f feffffff ffffff7f 6100", NDR_ERR_BUFSIZE},
		/* twice clSize overflows to cBytes */
		{"55736572 01000080 02000000 01000080 6100", NDR_ERR_LENGTH},
	};
	const char *s = NULL;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		enum ndr_err_code err = pull(*state, cases[i].bytes, &s);

		if (err != cases[i].err) {
			fail_msg("%s: %s, not %s", cases[i].bytes,
				 ndr_errstr(err), ndr_errstr(cases[i].err));
		}
	}
}

/* Ends at the first NUL, as for any Windows API. */
static void test_embedded_nul(void **state)
{
	const char *s = NULL;

	assert_int_equal(pull(*state,
			      "55736572 03000000 06000000 03000000"
			      "6100 0000 6200",
			      &s),
			 NDR_ERR_SUCCESS);
	assert_string_equal(s, "a");
}

/* U+FFFD (ef bf bd) for each surrogate without its other half. */
static void test_lone_surrogates(void **state)
{
	const char *s = NULL;

	assert_int_equal(pull(*state,
			      "55736572 05000000 0a000000 05000000"
			      "3dd8 6100 bedc 6200 3dd8",
			      &s),
			 NDR_ERR_SUCCESS);
	assert_string_equal(s, "\xef\xbf\xbd"
			       "a\xef\xbf\xbd"
			       "b\xef\xbf\xbd");
	/* high, high, low: the first is alone */
	assert_int_equal(pull(*state,
			      "55736572 03000000 06000000 03000000"
			      "3dd8 3dd8 bedc",
			      &s),
			 NDR_ERR_SUCCESS);
	assert_string_equal(s, "\xef\xbf\xbd\xf0\x9f\x92\xbe");
}

/* Malformed UTF-8 becomes U+FFFD (fd ff) byte by byte, never a character
 * that was not there. */
static void test_malformed_utf8(void **state)
{
	static const struct {
		const char *utf8;
		const char *utf16;
	} cases[] = {
		/* overlong '/', overlong NUL */
		{"\xc0\xaf", "fdff fdff"},
		{"\xe0\x80\x80", "fdff fdff fdff"},
		/* an encoded surrogate, and beyond U+10FFFF */
		{"\xed\xa0\xbd", "fdff fdff fdff"},
		{"\xf4\x90\x80\x80", "fdff fdff fdff fdff"},
		/* cut short; a continuation alone; then a good one */
		{"\xe2\x82", "fdff fdff"},
		{"\x80/", "fdff 2f00"},
		{"\xf0\x9f\x92/", "fdff fdff fdff 2f00"},
		/* the last that there is: U+10FFFF is dbff dfff */
		{"\xf4\x8f\xbf\xbf", "ffdb ffdf"},
	};
	size_t i, len;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t *w = utf16le_from_utf8(*state, cases[i].utf8, &len);

		ndr_bytes_compare(cases[i].utf16, (DATA_BLOB){w, len},
				  cases[i].utf16);
	}
}

static void test_wchar_arrays(void **state)
{
	uint16_t a[4] = {1, 2, 3, 4};

	assert_true(WCHAR_SET(a, "ab"));
	assert_int_equal(a[1], 'b');
	assert_int_equal(a[2], 0);
	assert_int_equal(a[3], 0);
	assert_string_equal(WCHAR_GET(*state, a), "ab");
	/* full, without NUL */
	assert_true(WCHAR_SET(a, "abcd"));
	assert_string_equal(WCHAR_GET(*state, a), "abcd");
	/* too long: cut, and never in the middle of a pair */
	assert_false(WCHAR_SET(a, "abcde"));
	assert_string_equal(WCHAR_GET(*state, a), "abcd");
	assert_false(WCHAR_SET(a, "abc\xf0\x9f\x92\xbe"));
	assert_string_equal(WCHAR_GET(*state, a), "abc");
	assert_int_equal(a[3], 0);
	assert_true(WCHAR_SET(a, NULL));
	assert_string_equal(WCHAR_GET(*state, a), "");
}

/* A secret does not appear in what libndr prints for debugging. */
static void test_secret_is_not_printed(void **state)
{
	struct IHost_put_CHAPSecret r = {.in.Secret.s = "open sesame 1"};
	char *s = ndr_print_function_string(
		*state, (ndr_print_function_t)ndr_print_IHost_put_CHAPSecret,
		"IHost_put_CHAPSecret", NDR_IN, &r);

	assert_non_null(s);
	assert_non_null(strstr(s, "REDACTED"));
	assert_null(strstr(s, "sesame"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_in),
		TEST(test_in_empty),
		TEST(test_in_null),
		TEST(test_in_non_bmp),
		TEST(test_in_two),
		TEST(test_in_then_others),
		TEST(test_out),
		TEST(test_out_failed),
		TEST(test_out_is_null_at_first),
		TEST(test_big_endian),
		TEST(test_null_pointer),
		TEST(test_any_referent),
		TEST(test_refused),
		TEST(test_embedded_nul),
		TEST(test_lone_surrogates),
		TEST(test_malformed_utf8),
		TEST(test_wchar_arrays),
		TEST(test_secret_is_not_printed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
