/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Text segments, values, and the table of keys (RFC 7143 6.1, 6.2, 13). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "target/iscsi_keys.h"
#include "target/iscsi_text.h"

static int pairs(const char *data, size_t len)
{
	struct iscsi_text_iter it = {data, data + len};
	const char *key, *value;
	int n = 0, ret;

	while ((ret = iscsi_text_next(&it, &key, &value)) > 0) {
		n++;
	}
	return ret < 0 ? -1 : n;
}

#define PAIRS(literal) pairs(literal, sizeof(literal) - 1)

static void test_segments(void **state)
{
	assert_int_equal(PAIRS(""), 0);
	assert_int_equal(PAIRS("A=1\0"), 1);
	assert_int_equal(PAIRS("A=1\0B=\0"), 2);
	assert_int_equal(PAIRS("X-com.example_a+b@c=1=2\0"), 1);
	/* padding that was counted in */
	assert_int_equal(PAIRS("A=1\0\0\0"), 1);
	/* no NUL at the end, no '=', no key, no key's character */
	assert_int_equal(PAIRS("A=1"), -1);
	assert_int_equal(PAIRS("A=1\0B=2"), -1);
	assert_int_equal(PAIRS("A\0"), -1);
	assert_int_equal(PAIRS("=1\0"), -1);
	assert_int_equal(PAIRS("A B=1\0"), -1);
	assert_int_equal(PAIRS("1A=1\0"), -1);
	assert_int_equal(PAIRS("A\n=1\0"), -1);
	/* 63 characters are a key, 64 none */
	assert_int_equal(PAIRS("Aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
			       "aaaaaaaaaaaaaaaa=1\0"),
			 1);
	assert_int_equal(PAIRS("Aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
			       "aaaaaaaaaaaaaaaaa=1\0"),
			 -1);
}

static void test_numbers(void **state)
{
	uint32_t n = 0;

	assert_true(iscsi_text_number("0", &n));
	assert_int_equal(n, 0);
	assert_true(iscsi_text_number("4294967295", &n));
	assert_int_equal(n, 4294967295u);
	assert_true(iscsi_text_number("0xFfff", &n));
	assert_int_equal(n, 65535);
	assert_false(iscsi_text_number("4294967296", &n));
	assert_false(iscsi_text_number("99999999999999999999999", &n));
	assert_false(iscsi_text_number("", &n));
	assert_false(iscsi_text_number("0x", &n));
	assert_false(iscsi_text_number("-1", &n));
	assert_false(iscsi_text_number("1 ", &n));
	assert_false(iscsi_text_number("12a", &n));
}

static void test_binary(void **state)
{
	static const uint8_t expected[] = {0x01, 0xab, 0xff};
	uint8_t out[8];
	char hex[9];

	assert_int_equal(iscsi_text_binary("0x01aBff", out, 8), 3);
	assert_memory_equal(out, expected, 3);
	assert_int_equal(iscsi_text_binary("0x1abff", out, 8), 3);
	assert_memory_equal(out, expected, 3);
	assert_int_equal(iscsi_text_binary("0bAav/", out, 8), 3);
	assert_memory_equal(out, expected, 3);
	assert_int_equal(iscsi_text_binary("0bAas=", out, 8), 2);
	assert_memory_equal(out, expected, 2);
	assert_int_equal(iscsi_text_binary("0bAQ==", out, 8), 1);
	assert_int_equal(out[0], 1);
	/* too long, empty, odd digits, not coded at all */
	assert_int_equal(iscsi_text_binary("0x112233445566778899", out, 8), -1);
	assert_int_equal(iscsi_text_binary("0x", out, 8), -1);
	assert_int_equal(iscsi_text_binary("0b", out, 8), -1);
	assert_int_equal(iscsi_text_binary("0bAav", out, 8), -1);
	assert_int_equal(iscsi_text_binary("0bA===", out, 8), -1);
	assert_int_equal(iscsi_text_binary("0xgg", out, 8), -1);
	assert_int_equal(iscsi_text_binary("12", out, 8), -1);

	iscsi_text_hex(expected, 3, hex);
	assert_string_equal(hex, "0x01abff");
}

static void test_lists(void **state)
{
	assert_true(iscsi_text_list_has("CHAP,None", "None"));
	assert_true(iscsi_text_list_has("CHAP", "CHAP"));
	assert_false(iscsi_text_list_has("CHAPS,NoneX", "CHAP"));
	assert_false(iscsi_text_list_has("", "None"));
}

/* One offer: what it makes of the parameter, and the answer. */
static enum iscsi_key_result offer(const char *key, const char *value,
				   const struct iscsi_params *ours,
				   struct iscsi_params *result, char *answer)
{
	const struct iscsi_key *k = iscsi_key_find(key);

	assert_non_null(k);
	iscsi_params_default(result);
	return iscsi_key_negotiate(k, value, ours, result, answer);
}

#define OFFER(key, value) offer(key, value, &ours, &result, answer)

static void test_defaults(void **state)
{
	struct iscsi_params p;

	/* RFC 7143 13 */
	iscsi_params_default(&p);
	assert_int_equal(p.header_digest, 0);
	assert_int_equal(p.data_digest, 0);
	assert_int_equal(p.max_connections, 1);
	assert_int_equal(p.initial_r2t, 1);
	assert_int_equal(p.immediate_data, 1);
	assert_int_equal(p.initiator_mrdsl, 8192);
	assert_int_equal(p.target_mrdsl, 8192);
	assert_int_equal(p.max_burst, 262144);
	assert_int_equal(p.first_burst, 65536);
	assert_int_equal(p.time2wait, 2);
	assert_int_equal(p.time2retain, 20);
	assert_int_equal(p.max_r2t, 1);
	assert_int_equal(p.pdu_in_order, 1);
	assert_int_equal(p.seq_in_order, 1);
	assert_int_equal(p.erl, 0);
}

static void test_rules(void **state)
{
	struct iscsi_params ours, result;
	char answer[ISCSI_ANSWER_MAX];

	iscsi_params_default(&ours);
	ours.initial_r2t = 0;
	ours.max_burst = 100000;

	/* OR */
	assert_int_equal(OFFER("InitialR2T", "No"), KEY_ANSWER);
	assert_string_equal(answer, "No");
	assert_int_equal(result.initial_r2t, 0);
	assert_int_equal(OFFER("InitialR2T", "Yes"), KEY_ANSWER);
	assert_string_equal(answer, "Yes");
	/* AND */
	assert_int_equal(OFFER("ImmediateData", "No"), KEY_ANSWER);
	assert_string_equal(answer, "No");
	assert_int_equal(result.immediate_data, 0);
	assert_int_equal(OFFER("ImmediateData", "Yes"), KEY_ANSWER);
	assert_string_equal(answer, "Yes");
	/* case matters */
	assert_int_equal(OFFER("ImmediateData", "yes"), KEY_REJECT);
	/* minimum */
	assert_int_equal(OFFER("MaxBurstLength", "99999"), KEY_ANSWER);
	assert_string_equal(answer, "99999");
	assert_int_equal(OFFER("MaxBurstLength", "0x20000"), KEY_ANSWER);
	assert_string_equal(answer, "100000");
	assert_int_equal(result.max_burst, 100000);
	/* maximum */
	assert_int_equal(OFFER("DefaultTime2Wait", "5"), KEY_ANSWER);
	assert_string_equal(answer, "5");
	assert_int_equal(OFFER("DefaultTime2Wait", "0"), KEY_ANSWER);
	assert_string_equal(answer, "2");
	/* declaration */
	assert_int_equal(OFFER("MaxRecvDataSegmentLength", "65536"),
			 KEY_SILENT);
	assert_int_equal(result.initiator_mrdsl, 65536);
	/* the first of the list that we have */
	assert_int_equal(OFFER("HeaderDigest", "CRC32C,None"), KEY_ANSWER);
	assert_string_equal(answer, "CRC32C");
	assert_int_equal(result.header_digest, 1);
	assert_int_equal(OFFER("DataDigest", "X-foo,None,CRC32C"), KEY_ANSWER);
	assert_string_equal(answer, "None");
	assert_int_equal(OFFER("DataDigest", "X-foo"), KEY_REJECT);
	assert_int_equal(OFFER("DataDigest", ""), KEY_REJECT);
	/* obsolete markers */
	assert_int_equal(OFFER("IFMarker", "Yes"), KEY_ANSWER);
	assert_string_equal(answer, "No");
	/* error recovery stays at 0 */
	assert_int_equal(OFFER("ErrorRecoveryLevel", "2"), KEY_ANSWER);
	assert_string_equal(answer, "0");
}

/* Every number of the table: its ends are admissible, beyond is not. */
static void test_ranges(void **state)
{
	struct iscsi_params ours, result;
	char answer[ISCSI_ANSWER_MAX], value[16];
	unsigned tried = 0;

	iscsi_params_default(&ours);
	for (size_t i = 0; i < iscsi_num_keys; i++) {
		const struct iscsi_key *k = &iscsi_keys[i];
		enum iscsi_key_result bad = KEY_REJECT;

		if (k->type == KEY_NUM_DECLARED) {
			bad = KEY_ERROR;
		} else if (k->type != KEY_NUM_MIN && k->type != KEY_NUM_MAX) {
			continue;
		}
		tried++;
		snprintf(value, sizeof(value), "%u", k->min);
		assert_int_not_equal(OFFER(k->name, value), bad);
		snprintf(value, sizeof(value), "%u", k->max);
		assert_int_not_equal(OFFER(k->name, value), bad);
		snprintf(value, sizeof(value), "%u", k->max + 1);
		assert_int_equal(OFFER(k->name, value), bad);
		if (k->min) {
			snprintf(value, sizeof(value), "%u", k->min - 1);
			assert_int_equal(OFFER(k->name, value), bad);
		}
		assert_int_equal(OFFER(k->name, "ten"), bad);
	}
	assert_int_equal(tried, 9);
	assert_null(iscsi_key_find("MaxBurst"));
	assert_null(iscsi_key_find("MaxBurstLengthX"));
	assert_null(iscsi_key_find("maxburstlength"));
}

static void test_limit(void **state)
{
	struct iscsi_text text = {0};

	iscsi_text_append(&text, "0123456789", 10, 16);
	assert_false(text.failed);
	iscsi_text_append(&text, "0123456789", 10, 16);
	assert_true(text.failed);
	assert_int_equal(text.len, 10);
	iscsi_text_free(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_segments), cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_binary),	 cmocka_unit_test(test_lists),
		cmocka_unit_test(test_defaults), cmocka_unit_test(test_rules),
		cmocka_unit_test(test_ranges),	 cmocka_unit_test(test_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
