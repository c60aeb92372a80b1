/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Names of targets and initiators. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <cmocka.h>

#include "server/core/utf8.h"
#include "server/model/names.h"

static void test_iscsi_names(void **state)
{
	static const char *const good[] = {
		"iqn.1991-05.com.microsoft:host-a-target",
		/* MS-ISTM 4.5 */
		"iqn.1991-5.com.contoso:test-server-istmtarget-target",
		"iqn.2001-04.com.example",
		"IQN.2001-04.COM.EXAMPLE:Storage",
		"iqn.2001-12.com.example:storage:diskarrays-sn-a8675309",
		"eui.02004567A425678D",
		"naa.52004567BA64678D",
		"naa.62004567BA64678D0123456789ABCDEF",
	};
	static const char *const bad[] = {
		"",
		"iqn.",
		"iqn.2001",
		"iqn.2001-",
		"iqn.2001-04",
		"iqn.2001-04.",
		"iqn.2001-13.com.example",
		"iqn.2001-00.com.example",
		"iqn.2001-0.com.example",
		"iqn.20a1-04.com.example",
		"iqn.2001-04:x",
		"iqn.2001-04..example",
		"iqn.2001-04.com.",
		"iqn.2001-04.com.:x",
		"iqn.2001-04.com.example:a b",
		"iqn.2001-04.com.example:a_b",
		"iqn.2001-04.com.example:a/b",
		"eui.02004567A425678",
		"eui.02004567A425678G",
		"naa.1234",
		"DatabaseTarget",
		"iqn.2001-04.com.example:\xff",
	};
	char name[300];

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		if (!name_valid_iscsi(good[i])) {
			fail_msg("refused: %s", good[i]);
		}
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (name_valid_iscsi(bad[i])) {
			fail_msg("accepted: %s", bad[i]);
		}
	}
	memset(name, 'x', sizeof(name));
	memcpy(name, "iqn.2001-04.com.example:", 24);
	name[ISCSI_NAME_MAX] = '\0';
	assert_true(name_valid_iscsi(name));
	name[ISCSI_NAME_MAX] = 'x';
	name[ISCSI_NAME_MAX + 1] = '\0';
	assert_false(name_valid_iscsi(name));
}

static void test_target_names(void **state)
{
	assert_true(name_valid_target("DatabaseTarget"));
	assert_true(name_valid_target("a-b.c:d"));
	assert_true(name_valid_target("Z\xc3\xbcrich"));
	assert_false(name_valid_target(""));
	assert_false(name_valid_target("a b"));
	assert_false(name_valid_target("a_b"));
	assert_false(name_valid_target("a\\b"));
	assert_false(name_valid_target("a\nb"));
}

static void test_generated(void **state)
{
	char longest[ISCSI_NAME_MAX + 1];
	char *name =
		name_generate_iqn(NULL, "Test_Server", "DatabaseTarget", 0);

	assert_string_equal(name, "iqn.1991-05.com.microsoft:test-server-"
				  "databasetarget-target");
	assert_true(name_valid_iscsi(name));
	talloc_free(name);
	name = name_generate_iqn(NULL, "h", "a", 1);
	assert_string_equal(name, "iqn.1991-05.com.microsoft:h-a-target-2");
	talloc_free(name);
	memset(longest, 't', sizeof(longest));
	longest[ISCSI_NAME_MAX] = '\0';
	name = name_generate_iqn(NULL, "h", longest, 1233);
	assert_int_equal(strlen(name), ISCSI_NAME_MAX);
	assert_true(name_valid_iscsi(name));
	assert_string_equal(name + ISCSI_NAME_MAX - 12, "-target-1234");
	talloc_free(name);
}

static void check_id(enum iscsi_id_method method, const char *value,
		     const char *canonical)
{
	char *got = name_canonical_id(NULL, method, value);

	if (canonical == NULL) {
		assert_null(got);
	} else {
		assert_non_null(got);
		assert_string_equal(got, canonical);
	}
	talloc_free(got);
}

static void test_ids(void **state)
{
	check_id(ISCSI_ID_IPV4, "10.0.0.1", "10.0.0.1");
	check_id(ISCSI_ID_IPV4, "10.0.0.256", NULL);
	check_id(ISCSI_ID_IPV4, "10.0.0", NULL);
	check_id(ISCSI_ID_IPV4, "010.0.0.1", NULL);
	check_id(ISCSI_ID_IPV4, "fd00::1", NULL);
	check_id(ISCSI_ID_IPV6, "FD00:0:0:0:0:0:0:1", "fd00:0:0:0:0:0:0:1");
	check_id(ISCSI_ID_IPV6, "fd00::1", "fd00:0:0:0:0:0:0:1");
	check_id(ISCSI_ID_IPV6, "fd00::g", NULL);
	check_id(ISCSI_ID_IPV6, "[fd00::1]", NULL);
	check_id(ISCSI_ID_IPV6, "10.0.0.1", NULL);
	check_id(ISCSI_ID_MAC, "00-15-5D-01-02-03", "00-15-5d-01-02-03");
	check_id(ISCSI_ID_MAC, "00:15:5d:01:02:03", NULL);
	check_id(ISCSI_ID_MAC, "00-15-5d-01-02", NULL);
	check_id(ISCSI_ID_DNS, "Host.Contoso.com.", "host.contoso.com");
	check_id(ISCSI_ID_DNS, "-host.contoso.com", NULL);
	check_id(ISCSI_ID_DNS, "a..b", NULL);
	check_id(ISCSI_ID_DNS, "", NULL);
	check_id(ISCSI_ID_IQN, "IQN.1991-05.com.contoso:Test-Server",
		 "iqn.1991-05.com.contoso:test-server");
	check_id(ISCSI_ID_IQN, "test-server", NULL);
	check_id(ISCSI_ID_NETBIOS, "SERVER1", "server1");
	check_id(ISCSI_ID_NETBIOS, "much-too-long-for-netbios", NULL);
	check_id((enum iscsi_id_method)17, "x", NULL);
}

static void test_addresses(void **state)
{
	struct sockaddr_storage addr;
	char *text;

	assert_true(name_parse_address("[fd00::1]", &addr));
	text = name_format_address(NULL, &addr);
	assert_string_equal(text, "fd00:0:0:0:0:0:0:1");
	talloc_free(text);
	assert_true(name_parse_address("192.0.2.7", &addr));
	text = name_format_address(NULL, &addr);
	assert_string_equal(text, "192.0.2.7");
	talloc_free(text);
	assert_false(name_parse_address("", &addr));
	assert_false(name_parse_address("[]", &addr));
	assert_false(name_parse_address("fe80::1%eth0", &addr));
	assert_false(name_parse_address(
		"0000000000000000000000000000000000000000000000000000000000",
		&addr));
}

static void test_utf8(void **state)
{
	char *text;

	assert_true(utf8_valid("a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"));
	assert_false(utf8_valid("\xc0\x80"));
	assert_false(utf8_valid("\xed\xa0\x80"));
	assert_false(utf8_valid("\xf4\x90\x80\x80"));
	assert_false(utf8_valid("\xe2\x82"));
	assert_int_equal(utf8_utf16_units("a\xc3\xa4\xf0\x9f\x98\x80"), 4);
	assert_true(utf8_equal_fold("\xc3\xa4"
				    "A",
				    "\xc3\x84"
				    "a"));
	assert_false(utf8_equal_fold("a", "ab"));
	assert_false(utf8_equal_fold("\xff", "\xfe"));
	text = utf8_lower(NULL, "\xc3\x84"
				"B\xff");
	assert_string_equal(text, "\xc3\xa4"
				  "b\xff");
	talloc_free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_iscsi_names),
		cmocka_unit_test(test_target_names),
		cmocka_unit_test(test_generated),
		cmocka_unit_test(test_ids),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_utf8),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
