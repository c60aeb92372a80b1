/* SPDX-License-Identifier: GPL-3.0-or-later */
/* CHAP responses against vectors that Python's hashlib computed, and the
 * choice of the algorithm. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "target/iscsi_chap.h"
#include "target/iscsi_text.h"

/* digest(0x2a, "twelve-chars", 00 01 … 0f) */
static const struct {
	const char *chap_a, *response;
} vectors[] = {
	{"5", "0x99387e21b73d6c36d885cbc6c96e2fb0"},
	{"6", "0x306b6eaa76786b5b9bdebfd3510e5ecc41dbffbb"},
	{"7", "0x71c0ea5cc5fa0222490bb190a5a104444760f3c51466632ad8fdec5c5"
	      "9a259e6"},
	{"8", "0x1c8277fcd0854a9d52241adc13f6f31ff583cf7a8c036cf6759975416"
	      "a9bd237"},
};

static void test_responses(void **state)
{
	uint8_t challenge[16], out[ISCSI_CHAP_DIGEST_MAX];
	char hex[2 * ISCSI_CHAP_DIGEST_MAX + 3];

	for (unsigned i = 0; i < 16; i++) {
		challenge[i] = (uint8_t)i;
	}
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		const struct iscsi_chap_alg *alg =
			iscsi_chap_choose(vectors[i].chap_a);

		assert_non_null(alg);
		assert_true(iscsi_chap_response(alg, 0x2a, "twelve-chars",
						challenge, 16, out));
		iscsi_text_hex(out, alg->len, hex);
		assert_string_equal(hex, vectors[i].response);
	}
}

static void test_choice(void **state)
{
	/* the initiator's order counts */
	assert_int_equal(iscsi_chap_choose("8,7,6,5")->number, 8);
	assert_int_equal(iscsi_chap_choose("5,8")->number, 5);
	assert_int_equal(iscsi_chap_choose("99,7")->number, 7);
	assert_null(iscsi_chap_choose("99"));
	assert_null(iscsi_chap_choose(""));
	assert_null(iscsi_chap_choose(",5"));
	assert_null(iscsi_chap_choose("MD5"));
	assert_null(iscsi_chap_choose("555555555555555555555,5"));
}

static void test_challenges(void **state)
{
	const struct iscsi_chap_alg *alg = iscsi_chap_choose("7");
	uint8_t a[ISCSI_CHAP_DIGEST_MAX], b[ISCSI_CHAP_DIGEST_MAX], id;

	assert_true(iscsi_chap_challenge(alg, &id, a));
	assert_true(iscsi_chap_challenge(alg, &id, b));
	assert_memory_not_equal(a, b, alg->len);
	assert_true(iscsi_chap_equal(a, a, alg->len));
	assert_false(iscsi_chap_equal(a, b, alg->len));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_responses),
		cmocka_unit_test(test_choice),
		cmocka_unit_test(test_challenges),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
