/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which addresses clients are told. */
#include <arpa/inet.h>

#include "dcom_helpers.h"

static struct sockaddr_storage parse(const char *text)
{
	struct sockaddr_storage ss = {0};
	struct sockaddr_in *sin = (struct sockaddr_in *)&ss;
	struct sockaddr_in6 *sin6 = (struct sockaddr_in6 *)&ss;

	if (inet_pton(AF_INET, text, &sin->sin_addr) == 1) {
		ss.ss_family = AF_INET;
	} else {
		assert_int_equal(inet_pton(AF_INET6, text, &sin6->sin6_addr),
				 1);
		ss.ss_family = AF_INET6;
	}
	return ss;
}

static void global_scope(void **state)
{
	static const char *const yes[] = {
		"192.0.2.1",	   "10.0.0.1",	  "172.16.3.4", "169.253.1.1",
		"223.255.255.255", "2001:db8::1", "fd00::1",	"fec0::1",
	};
	static const char *const no[] = {
		"127.0.0.1",
		"127.255.255.254",
		"169.254.1.1",
		"0.0.0.0",
		"224.0.0.1",
		"255.255.255.255",
		"::",
		"::1",
		"fe80::1",
		"ff02::1",
		"::ffff:192.0.2.1",
	};
	struct sockaddr_storage ss;

	for (size_t i = 0; i < ARRAY_SIZE(yes); i++) {
		ss = parse(yes[i]);
		if (!dcom_address_is_global(&ss)) {
			fail_msg("%s is of global scope", yes[i]);
		}
	}
	for (size_t i = 0; i < ARRAY_SIZE(no); i++) {
		ss = parse(no[i]);
		if (dcom_address_is_global(&ss)) {
			fail_msg("%s is not of global scope", no[i]);
		}
	}
	memset(&ss, 0, sizeof(ss));
	assert_false(dcom_address_is_global(&ss));
}

static struct dualstring tell(struct dcom_runtime *runtime, const char *arrived,
			      uint16_t port)
{
	struct dcom_address local = {.ss = parse(arrived)};
	struct dualstring ds;

	assert_true(dcom_bindings(runtime, runtime, &local, port, &ds));
	return ds;
}

static bool told(const struct dualstring *ds, const char *text)
{
	for (size_t i = 0; i < ds->num_strings; i++) {
		if (strcmp(ds->strings[i].aNetworkAddr, text) == 0) {
			return true;
		}
	}
	return false;
}

/* Loopback is on every machine that builds this. */
static void loopback(void **state)
{
	static const char *const addresses[] = {"127.0.0.1", NULL};
	TALLOC_CTX *mem_ctx = talloc_new(NULL);
	struct dcom_options options = {.netbios_name = "BOX",
				       .dns_name = "box.example"};
	struct dcom_runtime *runtime = helper_runtime(mem_ctx, &options);
	struct dualstring ds = tell(runtime, "192.0.2.99", 0);

	assert_string_equal(ds.strings[0].aNetworkAddr, "192.0.2.99");
	assert_false(told(&ds, "127.0.0.1"));
	assert_true(told(&ds, "BOX"));
	assert_true(told(&ds, "box.example"));
	assert_int_equal(ds.num_security, 3);

	ds = tell(runtime, "127.0.0.1", 49152);
	assert_string_equal(ds.strings[0].aNetworkAddr, "127.0.0.1[49152]");
	assert_true(told(&ds, "BOX[49152]"));
	talloc_free(runtime);

	options.addresses = addresses;
	runtime = helper_runtime(mem_ctx, &options);
	ds = tell(runtime, "192.0.2.99", 7);
	assert_true(told(&ds, "127.0.0.1[7]"));
	ds = tell(runtime, "2001:db8::1", 7);
	assert_string_equal(ds.strings[0].aNetworkAddr, "2001:db8::1[7]");
	talloc_free(mem_ctx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(global_scope),
		cmocka_unit_test(loopback),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
