/* SPDX-License-Identifier: GPL-3.0-or-later */
/* istm:portal group N and istm:portal group N access. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "server/model/names.h"
#include "server/model/private.h"

static uint16_t group_of(const struct portal_groups *groups, const char *text)
{
	struct sockaddr_storage addr;

	assert_true(name_parse_address(text, &addr));
	return portal_group_of(groups, &addr);
}

static void test_default(void **state)
{
	const struct model_options options = {.lanes = 1};
	struct portal_groups *groups = portal_groups_parse(NULL, &options);

	assert_non_null(groups);
	assert_int_equal(group_of(groups, "192.0.2.1"), 1);
	assert_int_equal(group_of(groups, "2001:db8::1"), 1);
	talloc_free(groups);
}

static void test_networks(void **state)
{
	const char *two[] = {"192.0.2.128/25", "2001:db8:0:2::/63",
			     "198.51.100.7", NULL};
	const char *three[] = {"192.0.2.200", "[2001:db8:0:3::1]", NULL};
	const char *nine[] = {"0.0.0.0/0", NULL};
	struct model_portal_group_config config[] = {
		{.tag = 2, .networks = two, .access = "non-optimized"},
		{.tag = 3, .networks = three, .access = "Standby"},
		{.tag = 9, .networks = nine, .access = "unavailable"},
	};
	const struct model_options options = {
		.portal_groups = config,
		.num_portal_groups = 3,
	};
	struct portal_groups *groups = portal_groups_parse(NULL, &options);

	assert_non_null(groups);
	assert_int_equal(group_of(groups, "192.0.2.127"), 9);
	assert_int_equal(group_of(groups, "192.0.2.128"), 2);
	assert_int_equal(group_of(groups, "192.0.2.255"), 2);
	assert_int_equal(group_of(groups, "192.0.2.200"), 3);
	assert_int_equal(group_of(groups, "198.51.100.7"), 2);
	assert_int_equal(group_of(groups, "198.51.100.6"), 9);
	assert_int_equal(group_of(groups, "2001:db8:0:1::1"), 1);
	assert_int_equal(group_of(groups, "2001:db8:0:2::1"), 2);
	assert_int_equal(group_of(groups, "2001:db8:0:3::2"), 2);
	assert_int_equal(group_of(groups, "2001:db8:0:3::1"), 3);
	assert_int_equal(group_of(groups, "2001:db8:0:4::1"), 1);
	talloc_free(groups);
}

static void refuse(const struct model_portal_group_config *groups, size_t n)
{
	const struct model_options options = {
		.portal_groups =
			(struct model_portal_group_config *)(uintptr_t)groups,
		.num_portal_groups = n,
	};

	assert_null(portal_groups_parse(NULL, &options));
}

static void test_nonsense(void **state)
{
	static const char *const bad[] = {
		"",
		"eth0",
		"192.0.2.0/33",
		"192.0.2.0/",
		"192.0.2.0/x",
		"192.0.2.0/+8",
		"192.0.2.0/-8",
		"2001:db8::/129",
		"[2001:db8::",
		"192.0.2",
		"192.0.2.1:80",
		"192.0.2.0/08x",
		"::/00000064",
	};
	const char *network[] = {"192.0.2.1", NULL}, *none[] = {NULL};
	struct model_portal_group_config many[SCSI_MAX_PORTS];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const char *list[] = {bad[i], NULL};

		refuse(&(struct model_portal_group_config){.tag = 2,
							   .networks = list},
		       1);
	}
	refuse(&(struct model_portal_group_config){.tag = 2,
						   .networks = network,
						   .access = "active"},
	       1);
	/* a state of nothing */
	refuse(&(struct model_portal_group_config){.tag = 2,
						   .networks = none,
						   .access = "standby"},
	       1);
	/* one network twice */
	refuse(
		(struct model_portal_group_config[]){
			{.tag = 2, .networks = network},
			{.tag = 3, .networks = network},
		},
		2);
	for (size_t i = 0; i < SCSI_MAX_PORTS; i++) {
		many[i] = (struct model_portal_group_config){
			.tag = (uint16_t)(1 + i),
			.networks = none,
		};
	}
	refuse(many, SCSI_MAX_PORTS);
}

/* The first group needs no addresses. */
static void test_first(void **state)
{
	struct model_portal_group_config config = {
		.tag = 1,
		.access = "non-optimized",
	};
	const struct model_options options = {
		.portal_groups = &config,
		.num_portal_groups = 1,
	};
	struct portal_groups *groups = portal_groups_parse(NULL, &options);

	assert_non_null(groups);
	assert_int_equal(group_of(groups, "192.0.2.1"), 1);
	talloc_free(groups);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_default),
		cmocka_unit_test(test_networks),
		cmocka_unit_test(test_nonsense),
		cmocka_unit_test(test_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
