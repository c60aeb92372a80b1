/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Records: what comes back, and what is refused. */
#include <stdlib.h>
#include <string.h>

#include "store_helpers.h"
#include "server/store/record.h"

static DATA_BLOB encode_target(TALLOC_CTX *mem)
{
	struct istm_state_id ids[2] = {
		{.method = 4, .value = "iqn.1991-05.com.contoso:a"},
		{.method = 2, .value = "10.0.0.1"},
	};
	struct istm_state_mapping mappings[1] = {{.lun = 7}};
	struct istm_state_data data = {
		.kind = ISTM_STATE_TARGET,
		.body.target =
			{
				.name = "DatabaseTarget",
				.description = "na\xc3\xafve \xf0\x9f\x98\x80",
				.iqn = "iqn.1991-05.com.microsoft:x-target",
				.resource_name = "",
				.enabled = 1,
				.chap_user = "u",
				.chap_secret = "secretsecret",
				.reverse_chap_user = "",
				.reverse_chap_secret = "",
				.max_burst_length = 262144,
				.last_login = UINT64_MAX,
				.num_ids = 2,
				.ids = ids,
				.num_mappings = 1,
				.mappings = mappings,
			},
	};
	DATA_BLOB blob;

	memset(&mappings[0].disk, 0x5a, sizeof(mappings[0].disk));
	assert_true(store_record_encode(mem, &data, &blob));
	return blob;
}

static void test_round_trip(void **state)
{
	struct st *st = *state;
	DATA_BLOB blob = encode_target(st->mem);
	struct istm_state_data data;
	const char *reason;

	assert_true(store_record_decode(st->mem, blob.data, blob.length, &data,
					&reason));
	assert_int_equal(data.kind, ISTM_STATE_TARGET);
	assert_string_equal(data.body.target.name, "DatabaseTarget");
	assert_string_equal(data.body.target.description,
			    "na\xc3\xafve \xf0\x9f\x98\x80");
	assert_string_equal(data.body.target.chap_secret, "secretsecret");
	assert_string_equal(data.body.target.reverse_chap_user, "");
	assert_int_equal(data.body.target.last_login, UINT64_MAX);
	assert_int_equal(data.body.target.num_ids, 2);
	assert_string_equal(data.body.target.ids[1].value, "10.0.0.1");
	assert_int_equal(data.body.target.mappings[0].lun, 7);
}

/* The header's bytes, by hand: little-endian magic "ISTM" and version 1. */
static void test_header(void **state)
{
	struct st *st = *state;
	DATA_BLOB blob = encode_target(st->mem);

	assert_memory_equal(blob.data, "ISTM\x01\0\0\0", 8);
}

static void refuse(struct st *st, const uint8_t *bytes, size_t length,
		   const char *what)
{
	struct istm_state_data data;
	const char *reason = NULL;

	assert_false(
		store_record_decode(st->mem, bytes, length, &data, &reason));
	assert_non_null(reason);
	if (strstr(reason, what) == NULL) {
		fail_msg("\"%s\" does not say \"%s\"", reason, what);
	}
}

static void test_newer(void **state)
{
	struct st *st = *state;
	DATA_BLOB blob = encode_target(st->mem);

	blob.data[4] = 2;
	refuse(st, blob.data, blob.length, "newer istmd");
	refuse(st, blob.data, blob.length, "format 2");
}

/* Every single flipped bit, every length that is too short. */
static void test_damaged(void **state)
{
	struct st *st = *state;
	DATA_BLOB blob = encode_target(st->mem);

	for (size_t i = 0; i < blob.length * 8; i++) {
		blob.data[i / 8] ^= 1 << i % 8;
		refuse(st, blob.data, blob.length, "");
		blob.data[i / 8] ^= 1 << i % 8;
	}
	for (size_t i = 0; i < blob.length; i++) {
		uint8_t *copy = malloc(i + 1);

		memcpy(copy, blob.data, i);
		refuse(st, copy, i, "");
		free(copy);
	}
	blob.data[16] ^= 1;
	refuse(st, blob.data, blob.length, "checksum");
}

static void test_bad_string(void **state)
{
	struct st *st = *state;
	struct istm_state_data data = {
		.kind = ISTM_STATE_SNS_SERVER,
		.body.sns_server = {.name = "isns.contoso.com"},
	};
	DATA_BLOB blob;

	assert_true(store_record_encode(st->mem, &data, &blob));
	refuse(st, (const uint8_t *)"", 0, "too short");
	refuse(st, (const uint8_t *)"0123456789abcdef0123456789", 26,
	       "not a record");
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, st_setup, st_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_round_trip), TEST(test_header),     TEST(test_newer),
		TEST(test_damaged),    TEST(test_bad_string),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
