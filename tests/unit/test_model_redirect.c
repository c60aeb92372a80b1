/* SPDX-License-Identifier: GPL-3.0-or-later */
/* istm:redirect and istm:redirect permanently. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <arpa/inet.h>
#include <cmocka.h>

#include "server/model/private.h"

static void test_entries(void **state)
{
	const char *now[] = {"iqn.2026-01.test:a=192.0.2.7:3261",
			     "192.0.2.1=storage.example", NULL};
	const char *ever[] = {"2001:db8::1=[2001:db8::2]:3260", NULL};
	const struct model_options options = {.redirect = now,
					      .redirect_permanently = ever};
	struct iscsi_server_config config = {.lanes = 1};
	TALLOC_CTX *tmp = talloc_new(NULL);
	const struct iscsi_redirect *r;
	const struct sockaddr_in *in;

	assert_true(redirects_configured(tmp, &options, &config));
	assert_int_equal(config.num_redirects, 3);
	r = config.redirects;
	assert_string_equal(r[0].target, "iqn.2026-01.test:a");
	assert_string_equal(r[0].to, "192.0.2.7:3261");
	assert_false(r[0].permanent);
	assert_null(r[1].target);
	in = (const void *)&r[1].portal;
	assert_int_equal(in->sin_family, AF_INET);
	assert_int_equal(ntohl(in->sin_addr.s_addr), 0xc0000201);
	assert_string_equal(r[1].to, "storage.example");
	assert_int_equal(r[2].portal.ss_family, AF_INET6);
	assert_string_equal(r[2].to, "[2001:db8::2]:3260");
	assert_true(r[2].permanent);
	talloc_free(tmp);
}

static void test_none(void **state)
{
	const char *empty[] = {NULL};
	const struct model_options options = {.redirect = empty};
	struct iscsi_server_config config = {.lanes = 1};
	TALLOC_CTX *tmp = talloc_new(NULL);

	assert_true(redirects_configured(tmp, &options, &config));
	assert_int_equal(config.num_redirects, 0);
	talloc_free(tmp);
}

static void test_nonsense(void **state)
{
	static const char *const bad[] = {
		"192.0.2.7",	      "iqn.2026-01.test:a=",   "=192.0.2.7",
		"nonsense=192.0.2.7", "192.0.2.1=192.0.2.2,1", "192.0.2=x",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const char *list[] = {bad[i], NULL};
		const struct model_options options = {.redirect = list};
		struct iscsi_server_config config = {.lanes = 1};
		TALLOC_CTX *tmp = talloc_new(NULL);

		assert_false(redirects_configured(tmp, &options, &config));
		talloc_free(tmp);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_entries),
		cmocka_unit_test(test_none),
		cmocka_unit_test(test_nonsense),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
