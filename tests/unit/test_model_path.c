/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Clients' paths, hostile ones first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "server/model/path.h"

/* What was parsed as text: root, components, trailing separator. */
static const char *parsed(const char *text, unsigned flags)
{
	static char out[8192];
	const char *reason;
	struct path *path = path_parse(NULL, text, flags, &reason);
	char root[8] = "u";

	if (path == NULL) {
		assert_non_null(reason);
		return "-";
	}
	if (path->root == PATH_DRIVE) {
		snprintf(root, sizeof(root), "%c", path->drive);
	} else if (path->root == PATH_VOLUME) {
		snprintf(root, sizeof(root), "v");
	}
	snprintf(out, sizeof(out), "%s", root);
	for (size_t i = 0; i < path->num_components; i++) {
		strcat(out, "|");
		strcat(out, path->components[i]);
	}
	if (path->trailing_separator) {
		strcat(out, "|/");
	}
	talloc_free(path);
	return out;
}

static void test_accepted(void **state)
{
	static const char *const cases[][2] = {
		{"C:\\dir\\a.vhd", "C|dir|a.vhd"},
		{"c:/dir/a.vhd", "C|dir|a.vhd"},
		{"C:\\dir/a.vhd", "C|dir|a.vhd"},
		{"C:\\\\dir\\\\\\a.vhd", "C|dir|a.vhd"},
		{"C:", "C"},
		{"C:\\", "C|/"},
		{"C:\\dir\\", "C|dir|/"},
		{"\\\\?\\C:\\a.vhd", "C|a.vhd"},
		{"\\\\?\\Volume{01234567-89ab-cdef-0123-456789abcdef}\\a",
		 "v|a"},
		{"\\\\?\\volume{01234567-89ab-cdef-0123-456789abcdef}", "v"},
		{"/srv/iscsi/a.vhd", "u|srv|iscsi|a.vhd"},
		{"/", "u|/"},
		{"C:\\\xc3\xa4\xf0\x9f\x98\x80.vhd",
		 "C|\xc3\xa4\xf0\x9f\x98\x80.vhd"},
		{"C:\\.hidden", "C|.hidden"},
		{"C:\\a b.vhd", "C|a b.vhd"},
		{"C:\\console.vhd", "C|console.vhd"},
		{"C:\\com.vhd", "C|com.vhd"},
		{"C:\\com10.vhd", "C|com10.vhd"},
		{"C:\\a.nul", "C|a.nul"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_string_equal(parsed(cases[i][0], 0), cases[i][1]);
	}
}

static void test_refused(void **state)
{
	static const char *const cases[] = {
		"",
		"a.vhd",
		"dir\\a.vhd",
		"C:a.vhd",
		"\\a.vhd",
		"\\\\server\\share\\a.vhd",
		"//server/share/a.vhd",
		"\\/server\\share",
		"\\\\.\\C:",
		"\\\\.\\PhysicalDrive0",
		"\\\\?\\UNC\\server\\share\\a.vhd",
		"\\\\?\\GLOBALROOT\\Device",
		"\\\\?\\Volume{nonsense}\\a.vhd",
		"\\\\?\\Volume{01234567-89ab-cdef-0123-456789abcdef}a",
		"\\\\?\\C:a.vhd",
		"C:\\..\\a.vhd",
		"C:\\dir\\..",
		"C:\\dir\\..\\..\\etc\\passwd",
		"/srv/../etc/passwd",
		"C:\\.\\a.vhd",
		"C:\\dir.\\a.vhd",
		"C:\\a.vhd.",
		"C:\\a.vhd ",
		"C:\\...",
		"C:\\a.vhd:stream",
		"C:\\a.vhd::$DATA",
		"C:\\dir:x\\a.vhd",
		"C:\\NUL",
		"C:\\nul.vhd",
		"C:\\NUL .vhd",
		"C:\\nul.tar.gz",
		"C:\\CON\\a.vhd",
		"C:\\com1",
		"C:\\Com9.vhd",
		"C:\\LPT\xc2\xb9.vhd",
		"C:\\conin$",
		"C:\\a*.vhd",
		"C:\\a?.vhd",
		"C:\\a<b",
		"C:\\a>b",
		"C:\\a|b",
		"C:\\a\"b",
		"C:\\a\nb",
		"C:\\a\177b",
		"C:\\\xff\xfe.vhd",
		"C:\\\xc0\xaf..\xc0\xaf",
		"C:\\\xed\xa0\x80.vhd",
		"1:\\a.vhd",
		"CC:\\a.vhd",
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (strcmp(parsed(cases[i], 0), "-") != 0) {
			fail_msg("accepted: %s", cases[i]);
		}
	}
}

static void test_limits(void **state)
{
	char text[8192];

	memset(text, 'a', sizeof(text));
	memcpy(text, "C:\\", 3);
	text[3 + 255] = '\0';
	assert_string_not_equal(parsed(text, 0), "-");
	text[3 + 255] = 'a';
	text[3 + 256] = '\0';
	assert_string_equal(parsed(text, 0), "-");
	for (int i = 2; i < 8190; i += 2) {
		text[i] = '\\';
		text[i + 1] = 'a';
	}
	text[2 + 2 * PATH_MAX_COMPONENTS] = '\0';
	assert_string_not_equal(parsed(text, 0), "-");
	text[2 + 2 * PATH_MAX_COMPONENTS] = '\\';
	text[4 + 2 * PATH_MAX_COMPONENTS] = '\0';
	assert_string_equal(parsed(text, 0), "-");
}

static void test_patterns(void **state)
{
	assert_string_equal(parsed("C:\\dir\\*.vhd", PATH_PATTERN),
			    "C|dir|*.vhd");
	assert_string_equal(parsed("C:\\d*r\\a.vhd", PATH_PATTERN), "-");
	assert_string_equal(parsed("C:\\dir\\*.vhd", 0), "-");
	assert_true(path_match("*", "anything"));
	assert_true(path_match("*.*", "nodot"));
	assert_true(path_match("*.vhd", "A.VHD"));
	assert_true(path_match("a?c", "abc"));
	assert_true(path_match("a?c", "a\xc3\xa4"
				      "c"));
	assert_true(path_match("\xc3\xa4*", "\xc3\x84.vhd"));
	assert_true(path_match("*a*b*", "xxaxxbxx"));
	assert_false(path_match("*.vhd", "a.vhdx"));
	assert_false(path_match("a", ""));
	assert_false(path_match("?", ""));
	assert_true(path_match("", ""));
	assert_false(path_match("*a*a*a*a*a*a*a*b",
				"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_accepted),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_patterns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
