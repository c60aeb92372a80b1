/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is kept of a disk's logical unit lives as long as the disk does. */
#include <string.h>

#include "model_helpers.h"
#include "server/model/private.h"
#include "server/store/record.h"

/* The target refuses it, and so tells that it was given it. */
static const char bytes[] = "of no unit";

static bool handed_over(struct mt *mt)
{
	return strstr(mt->log, "what was kept of reservations and mode pages "
			       "is damaged") != NULL;
}

/* A disk with a record of its unit. @return the record's key */
static const char *disk_with_record(struct mt *mt, uint32_t *index,
				    struct GUID *guid)
{
	struct istm_state_data data = {.kind = ISTM_STATE_UNIT};
	const char *key;
	DATA_BLOB blob;

	*index = mt_disk(mt, "C:\\a.vhd");
	assert_false(handed_over(mt));
	*guid = model_disk_by_index(mt->model, *index)->guid;
	mt_stop(mt);
	key = record_key(mt->mem, ISTM_STATE_UNIT, guid);
	data.body.unit.disk = *guid;
	data.body.unit.length = sizeof(bytes);
	data.body.unit.state = discard_const_p(uint8_t, bytes);
	assert_true(store_record_encode(mt->mem, &data, &blob));
	mt_put_record(mt, key, blob.data, blob.length);
	assert_hr(mt_start(mt), ISTM_S_OK);
	assert_true(handed_over(mt));
	mt_log_clear(mt);
	return key;
}

static bool is_kept(struct mt *mt, const struct GUID *guid)
{
	DATA_BLOB state = unit_state_of(mt->model, guid);

	if (state.length == 0) {
		return false;
	}
	assert_int_equal(state.length, sizeof(bytes));
	assert_memory_equal(state.data, bytes, sizeof(bytes));
	return true;
}

/* The disk as it was, by the GUID that its record has. */
static void create_again(struct mt *mt, const struct GUID *guid)
{
	struct model_disk_create create = {
		.type = MODEL_DISK_FILE,
		.path = "C:\\a.vhd",
		.description = "",
		.persistent = true,
		.index = -1,
		.guid = *guid,
	};
	uint32_t index;

	assert_hr(mt_create_disk_as(mt, &create, &index), ISTM_S_OK);
	assert_true(model_disk_by_index(mt->model, index)->usable);
}

static void test_deleted(void **state)
{
	struct mt *mt = *state;
	struct GUID guid;
	uint32_t index;
	const char *key = disk_with_record(mt, &index, &guid);

	assert_true(is_kept(mt, &guid));
	assert_hr(mt_delete_disk(mt, index), ISTM_S_OK);
	assert_false(is_kept(mt, &guid));
	mt_stop(mt);
	assert_false(mt_has_record(mt, key));
	assert_hr(mt_start(mt), ISTM_S_OK);
	create_again(mt, &guid);
	assert_false(handed_over(mt));
}

/* A deletion that fails takes nothing away. */
static void test_not_deleted(void **state)
{
	struct mt *mt = *state;
	struct GUID guid;
	uint32_t index;
	const char *key = disk_with_record(mt, &index, &guid);

	mt_store_break(mt);
	assert_true(ISTM_FAILED(mt_delete_disk(mt, index)));
	mt_store_mend(mt);
	assert_true(is_kept(mt, &guid));
	mt_stop(mt);
	assert_true(mt_has_record(mt, key));
	assert_hr(mt_start(mt), ISTM_S_OK);
	assert_true(handed_over(mt));
}

static void test_closed_and_created(void **state)
{
	struct mt *mt = *state;
	struct GUID guid;
	uint32_t index;
	const char *key = disk_with_record(mt, &index, &guid);

	assert_hr(mt_close_disk(mt, index), ISTM_S_OK);
	assert_true(is_kept(mt, &guid));
	assert_false(handed_over(mt));
	create_again(mt, &guid);
	assert_true(handed_over(mt));
	mt_stop(mt);
	assert_true(mt_has_record(mt, key));
	assert_hr(mt_start(mt), ISTM_S_OK);
}

static void test_closed_and_restarted(void **state)
{
	struct mt *mt = *state;
	struct GUID guid;
	uint32_t index;
	const char *key = disk_with_record(mt, &index, &guid);

	assert_hr(mt_close_disk(mt, index), ISTM_S_OK);
	mt_stop(mt);
	assert_true(mt_has_record(mt, key));
	assert_false(handed_over(mt));
	assert_hr(mt_start(mt), ISTM_S_OK);
	assert_true(model_disk_by_index(mt->model, index)->usable);
	assert_true(handed_over(mt));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_deleted),
		TEST(test_not_deleted),
		TEST(test_closed_and_created),
		TEST(test_closed_and_restarted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
