/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The configuration is read again: volumes that come, go and move. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "model_helpers.h"

static void reload(struct mt *mt, const char *c, const char *d)
{
	const char *portals[] = {mt->portal, NULL};
	struct model_volume_config volumes[2];
	struct model_options options = {
		.volumes = volumes,
		.portals = portals,
	};
	struct tevent_req *req;

	if (c != NULL) {
		volumes[options.num_volumes].letter = 'C';
		volumes[options.num_volumes++].path = c;
	}
	if (d != NULL) {
		volumes[options.num_volumes].letter = 'D';
		volumes[options.num_volumes++].path = d;
	}
	req = model_reload_send(mt->mem, mt->model, &options);
	/* Nothing is kept of it. */
	memset(volumes, 0, sizeof(volumes));
	assert_true(tevent_req_poll(req, mt->ev));
	assert_hr(model_reload_recv(req), ISTM_S_OK);
	talloc_free(req);
}

static struct GUID guid_of(struct mt *mt, const char *path)
{
	struct model_volume *volume;

	assert_hr(model_volume_of_path(mt->model, mt->mem, path, &volume),
		  ISTM_S_OK);
	return volume->guid;
}

static size_t count(struct mt *mt)
{
	struct model_volume *volumes;

	return model_volumes(mt->model, mt->mem, &volumes);
}

/* Nothing has changed. */
static void test_same(void **state)
{
	struct mt *mt = *state;
	struct GUID guid = guid_of(mt, "C:\\"), now;
	uint32_t a = mt_disk(mt, "C:\\a.vhd");

	mt_events_clear(mt);
	reload(mt, mt->volume, mt->second);
	now = guid_of(mt, "C:\\");
	assert_true(GUID_equal(&guid, &now));
	assert_true(model_disk_by_index(mt->model, a)->usable);
	for (int i = 0; i < MODEL_EVENT_NUM_TYPES; i++) {
		assert_int_equal(mt->events[i], 0);
	}
}

/* A volume goes: its disks are served on, nothing new is found there. When it
 * comes back it is the same volume. */
static void test_goes_and_comes(void **state)
{
	struct mt *mt = *state;
	struct GUID guid = guid_of(mt, "D:\\"), now;
	uint32_t a = mt_disk(mt, "D:\\a.vhd"), *indices;
	uint32_t c = mt_disk(mt, "C:\\c.vhd");
	struct model_disk *disk = model_disk_by_index(mt->model, a);
	size_t before = count(mt);

	reload(mt, mt->volume, NULL);
	assert_int_equal(count(mt), before - 1);
	assert_hr(model_path_valid(mt->model, "D:\\b.vhd"),
		  ISTM_PATH_NOT_FOUND);
	assert_true(disk->usable);
	assert_non_null(strstr(mt->log, "no longer configured; 1 disks stay"));
	assert_int_equal(model_disks_same_volume(
				 mt->model, model_disk_by_index(mt->model, c),
				 mt->mem, &indices),
			 1);
	reload(mt, mt->volume, mt->second);
	now = guid_of(mt, "D:\\");
	assert_true(GUID_equal(&guid, &now));
	assert_hr(model_path_valid(mt->model, "D:\\b.vhd"), ISTM_S_OK);
	assert_hr(model_path_valid(mt->model, "D:\\a.vhd"), ISTM_DEVICE_IN_USE);
	assert_hr(mt_delete_disk(mt, a), ISTM_S_OK);
}

/* A volume that was not there at the start: its disks wait for it. */
static void test_disks_wait(void **state)
{
	struct mt *mt = *state;
	uint32_t a = mt_disk(mt, "D:\\a.vhd"), b = mt_disk(mt, "D:\\b.vhd");
	uint32_t *indices;
	struct GUID guid = guid_of(mt, "D:\\"), now;
	char away[320];

	snprintf(away, sizeof(away), "%s.away", mt->second);
	mt_stop(mt);
	assert_int_equal(rename(mt->second, away), 0);
	assert_hr(mt_start(mt), ISTM_S_OK);
	assert_false(model_disk_by_index(mt->model, a)->usable);
	assert_int_equal(rename(away, mt->second), 0);
	mt_events_clear(mt);
	reload(mt, mt->volume, mt->second);
	assert_true(model_disk_by_index(mt->model, a)->usable);
	assert_true(model_disk_by_index(mt->model, b)->usable);
	assert_int_equal(mt->events[MODEL_EVENT_DISK_CHANGED], 2);
	assert_int_equal(model_disks_same_volume(
				 mt->model, model_disk_by_index(mt->model, a),
				 mt->mem, &indices),
			 2);
	now = guid_of(mt, "D:\\");
	assert_true(GUID_equal(&guid, &now));
}

/* The letter is another directory's now. A volume that is new keeps its GUID
 * through a restart. */
static void test_moves(void **state)
{
	struct mt *mt = *state;
	struct GUID first = guid_of(mt, "D:\\"), second, now;
	char third[320];

	snprintf(third, sizeof(third), "%s.third", mt->second);
	assert_int_equal(mkdir(third, 0700), 0);
	assert_hr(mt_create_file(mt, "D:\\old.vhd", 8 * MiB), ISTM_S_OK);
	reload(mt, mt->volume, third);
	second = guid_of(mt, "D:\\");
	assert_false(GUID_equal(&first, &second));
	assert_hr(model_file_exists(mt->model, "D:\\old.vhd"), ISTM_FAIL);
	assert_hr(mt_create_file(mt, "D:\\new.vhd", 8 * MiB), ISTM_S_OK);
	reload(mt, mt->volume, mt->second);
	assert_hr(model_file_exists(mt->model, "D:\\old.vhd"), ISTM_S_OK);
	mt_stop(mt);
	assert_hr(mt_start(mt), ISTM_S_OK);
	reload(mt, mt->volume, third);
	now = guid_of(mt, "D:\\");
	assert_true(GUID_equal(&second, &now));
	assert_hr(model_file_exists(mt->model, "D:\\new.vhd"), ISTM_S_OK);
}

/* While a file is being written there. */
static void test_in_use(void **state)
{
	struct mt *mt = *state;
	struct tevent_req *req = model_file_create_send(
		mt->mem, mt->model, "D:\\a.vhd", 64 * MiB, false);
	HRESULT hr;

	reload(mt, mt->volume, NULL);
	assert_true(tevent_req_poll(req, mt->ev));
	hr = model_file_create_recv(req);
	talloc_free(req);
	assert_hr(hr, ISTM_S_OK);
	reload(mt, mt->volume, mt->second);
	assert_hr(model_file_exists(mt->model, "D:\\a.vhd"), ISTM_S_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_same),       TEST(test_goes_and_comes),
		TEST(test_disks_wait), TEST(test_moves),
		TEST(test_in_use),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
