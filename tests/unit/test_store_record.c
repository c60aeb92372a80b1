/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Records: what comes back, and what is refused. */
#include <stdlib.h>
#include <string.h>

#include "store_helpers.h"
#include "store_disk_v1.h"
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

/* The header's bytes, by hand: little-endian magic "ISTM" and version 2. */
static void test_header(void **state)
{
	struct st *st = *state;
	DATA_BLOB blob = encode_target(st->mem);

	assert_memory_equal(blob.data, "ISTM\x02\0\0\0", 8);
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

	blob.data[4] = ISTM_STATE_VERSION + 1;
	refuse(st, blob.data, blob.length, "newer istmd");
	refuse(st, blob.data, blob.length, "format 3");
}

static void test_older_disk(void **state)
{
	struct st *st = *state;
	struct istm_state_data data;
	const char *reason;
	DATA_BLOB blob;

	assert_true(store_record_decode(st->mem, store_disk_v1,
					sizeof(store_disk_v1), &data, &reason));
	assert_int_equal(data.kind, ISTM_STATE_DISK);
	assert_int_equal(data.body.disk.guid.time_low, 0x61327a12);
	assert_int_equal(data.body.disk.index, 1);
	assert_string_equal(data.body.disk.path, "C:\\sub\\b.vhd");
	assert_string_equal(data.body.disk.serial,
			    "61327A1246944FDE9EE2154B6AF0A483");
	assert_int_equal(data.body.disk.enabled, 1);
	assert_string_equal(data.body.disk.snapshot_storage_path, "C:\\");
	assert_int_equal(data.body.disk.snapshot_storage_size, -1);
	/* what it lacks: as for a new disk */
	assert_int_equal(data.body.disk.manage_mount_point, 1);
	assert_string_equal(data.body.disk.mount_point, "");
	/* written again it is of this format, and the same */
	assert_true(store_record_encode(st->mem, &data, &blob));
	assert_int_equal(blob.data[4], ISTM_STATE_VERSION);
	assert_true(store_record_decode(st->mem, blob.data, blob.length, &data,
					&reason));
	assert_string_equal(data.body.disk.path, "C:\\sub\\b.vhd");
	assert_int_equal(data.body.disk.manage_mount_point, 1);
	refuse(st, store_disk_v1, sizeof(store_disk_v1) - 1, "length");
}

/* Written by version 1, which had none of its last five bytes. */
static void test_older_target(void **state)
{
	/* Target A, iqn.x, enabled, MaxBurstLength 262144. */
	static const uint8_t old[] = {
		0x49, 0x53, 0x54, 0x4d, 0x01, 0x00, 0x00, 0x00, 0xd1, 0xc4,
		0xa2, 0x54, 0x48, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00,
		0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
		0x00, 0x00, 0x00, 0x00, 0x41, 0x00, 0x00, 0x69, 0x71, 0x6e,
		0x2e, 0x78, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00,
		0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
		0x00, 0x00, 0x04, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
		0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
		0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
	};
	struct st *st = *state;
	struct istm_state_data data;
	const char *reason = "";
	uint8_t copy[sizeof(old)];

	if (!store_record_decode(st->mem, old, sizeof(old), &data, &reason)) {
		fail_msg("%s", reason);
	}
	assert_string_equal(data.body.target.name, "A");
	assert_string_equal(data.body.target.iqn, "iqn.x");
	assert_int_equal(data.body.target.enabled, 1);
	assert_int_equal(data.body.target.max_burst_length, 262144);
	assert_int_equal(data.body.target.num_portals, 0);
	/* What it did without saying so. */
	assert_int_equal(data.body.target.listen_all, 1);
	assert_int_equal(data.body.target.processors, 0);
	/* The present version has those bytes, or is refused. */
	memcpy(copy, old, sizeof(old));
	copy[4] = 2;
	refuse(st, copy, sizeof(copy), "cannot be decoded");
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
		TEST(test_round_trip),	 TEST(test_header),
		TEST(test_newer),	 TEST(test_damaged),
		TEST(test_bad_string),	 TEST(test_older_disk),
		TEST(test_older_target),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
