/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Who is an administrator, by token and by `istm:admin users`. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <ndr.h>
#include <gen_ndr/auth.h>

#include "server/auth/auth.h"
#include "server/core/log.h"

static const struct dom_sid user = {
	1, 5, {0, 0, 0, 0, 0, 5}, {21, 1, 2, 3, 1000}};
static const struct dom_sid group = {
	1, 5, {0, 0, 0, 0, 0, 5}, {21, 1, 2, 3, 512}};
static const struct dom_sid administrators = {
	1, 2, {0, 0, 0, 0, 0, 5}, {32, 544}};
static const struct dom_sid users = {1, 2, {0, 0, 0, 0, 0, 5}, {32, 545}};
static const struct dom_sid anonymous = {1, 1, {0, 0, 0, 0, 0, 5}, {7}};

static bool is_admin(const struct dom_sid *a, const struct dom_sid *b,
		     const struct dom_sid *c)
{
	struct dom_sid sids[3] = {*a};
	struct security_token token = {.num_sids = 1, .sids = sids};
	struct auth_session_info info = {.security_token = &token};

	if (b != NULL) {
		sids[token.num_sids++] = *b;
	}
	if (c != NULL) {
		sids[token.num_sids++] = *c;
	}
	return auth_is_admin(&info);
}

static void builtin(void **state)
{
	assert_true(is_admin(&user, &users, &administrators));
	assert_true(is_admin(&user, &administrators, NULL));
	assert_false(is_admin(&user, &users, NULL));
	assert_false(is_admin(&user, &group, &users));
}

static void nobody(void **state)
{
	struct auth_session_info none = {0};

	assert_false(auth_is_admin(NULL));
	assert_false(auth_is_admin(&none));
	/* Whatever groups somebody puts the anonymous user into. */
	assert_false(is_admin(&anonymous, &administrators, NULL));
}

static void listed(void **state)
{
	static const char *const by_user[] = {"S-1-5-21-1-2-3-1000", NULL};
	static const char *const by_group[] = {"S-1-5-32-546",
					       "S-1-5-21-1-2-3-512", NULL};

	assert_true(auth_set_admin_users(by_user));
	assert_true(is_admin(&user, &users, NULL));
	assert_false(is_admin(&group, &users, NULL));
	assert_true(auth_set_admin_users(by_group));
	assert_true(is_admin(&user, &group, NULL));
	assert_false(is_admin(&user, &users, NULL));
	assert_true(auth_set_admin_users(NULL));
	assert_false(is_admin(&user, &group, NULL));
	assert_true(is_admin(&user, &administrators, NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(builtin),
		cmocka_unit_test(nobody),
		cmocka_unit_test(listed),
	};

	log_set_level(-1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
