/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Disks and LUNs: MS-ISTM 3.43 to 3.51 and the mapping methods of 3.21. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model_helpers.h"

static void test_create(void **state)
{
	struct mt *mt = *state;
	struct model_disk *d;
	uint32_t index;
	uint8_t naa[16];

	assert_hr(mt_create_file(mt, "C:\\dir\\a.vhd", 64 * MiB), ISTM_S_OK);
	assert_hr(mt_create_disk(mt, "c:/DIR/A.VHD", &index), ISTM_S_OK);
	d = model_disk_by_index(mt->model, index);
	assert_non_null(d);
	assert_string_equal(d->path, "C:\\dir\\a.vhd");
	assert_int_equal(d->size, 64 * MiB);
	assert_true(d->usable);
	assert_true(d->enabled);
	assert_int_equal(d->vhd_type, VHD_TYPE_FIXED);
	assert_int_equal(d->flags, 1);
	assert_string_equal(d->description, "a disk");
	assert_string_equal(d->snapshot_storage_path, "C:\\");
	assert_int_equal(strlen(d->serial), 32);
	assert_int_equal(model_disk_status(mt->model, d), MODEL_DISK_IDLE);
	assert_true(model_disk_naa(mt->model, d, naa) >= 8);
	assert_int_equal(mt->events[MODEL_EVENT_DISK_ADDED], 1);
	assert_int_equal(mt->events[MODEL_EVENT_LUN_LIST], 1);
	assert_ptr_equal(model_disk_by_guid(mt->model, &d->guid), d);
	assert_ptr_equal(model_disk_by_path(mt->model, "C:\\Dir\\a.vhd"), d);
	/* Persistent at once. */
	mt_restart(mt);
	d = model_disk_by_index(mt->model, index);
	assert_non_null(d);
	assert_true(d->usable);
	assert_string_equal(d->path, "C:\\dir\\a.vhd");
}

static void test_create_refusals(void **state)
{
	struct mt *mt = *state;
	struct model_disk_create create = {
		.type = MODEL_DISK_FILE,
		.description = "",
		.persistent = true,
		.index = -1,
	};
	char path[700];
	uint32_t index;

	assert_hr(mt_create_disk_as(mt, &create, &index), ISTM_POINTER);
	create.path = "C:\\a.vhd";
	create.description = NULL;
	assert_hr(mt_create_disk_as(mt, &create, &index), ISTM_POINTER);
	create.description = "";
	create.type = MODEL_DISK_VOLUME;
	assert_hr(mt_create_disk_as(mt, &create, &index), ISTM_INVALID_ARG);
	assert_hr(mt_create_disk(mt, "nonsense", &index), ISTM_FAIL);
	assert_hr(mt_create_disk(mt, "C:\\a.vhd", &index), ISTM_FILE_NOT_FOUND);
	assert_hr(mt_create_disk(mt, "Q:\\a.vhd", &index), ISTM_PATH_NOT_FOUND);
	assert_hr(mt_create_disk(mt, "C:\\", &index), ISTM_FAIL);
	mt_write(mt, "text.vhd", "this is no VHD");
	assert_hr(mt_create_disk(mt, "C:\\text.vhd", &index),
		  ISTM_INVALID_DATA);
	create.type = MODEL_DISK_FILE;
	create.path = "C:\\text.vhd";
	create.persistent = false;
	assert_hr(mt_create_disk_as(mt, &create, &index), ISTM_INVALID_ARG);
	create.path = "x";
	assert_hr(mt_create_disk_as(mt, &create, &index), ISTM_INVALID_ARG);
	snprintf(path, sizeof(path), "%s/fifo", mt->volume);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_hr(mt_create_disk(mt, "C:\\fifo", &index), ISTM_FAIL);
	snprintf(path, sizeof(path), "%s/link", mt->volume);
	assert_int_equal(symlink("/etc/passwd", path), 0);
	assert_hr(mt_create_disk(mt, "C:\\link", &index), ISTM_PATH_NOT_FOUND);
	/* Nothing is left of them. */
	create.path = "C:\\a.vhd";
	create.persistent = true;
	assert_hr(mt_create_file(mt, "C:\\a.vhd", 8 * MiB), ISTM_S_OK);
	assert_hr(mt_create_disk_as(mt, &create, &index), ISTM_S_OK);
	assert_int_equal(index, 0);
}

/* Every spelling of one file is one file. */
static void test_path_in_use(void **state)
{
	struct mt *mt = *state;
	char unix_path[700], link_path[700], hard[700];
	uint32_t index;

	assert_hr(mt_create_file(mt, "C:\\d\\a.vhd", 8 * MiB), ISTM_S_OK);
	assert_hr(mt_create_disk(mt, "C:\\d\\a.vhd", &index), ISTM_S_OK);
	snprintf(unix_path, sizeof(unix_path), "%s/d/a.vhd", mt->volume);
	snprintf(link_path, sizeof(link_path), "%s/d/link.vhd", mt->volume);
	snprintf(hard, sizeof(hard), "%s/hard.vhd", mt->volume);
	assert_int_equal(symlink("a.vhd", link_path), 0);
	assert_int_equal(link(unix_path, hard), 0);
	assert_hr(mt_create_disk(mt, "c:\\D\\A.vhd", &index),
		  ISTM_ALREADY_EXISTS);
	assert_hr(mt_create_disk(mt, unix_path, &index), ISTM_ALREADY_EXISTS);
	assert_hr(mt_create_disk(mt, "C:\\d\\link.vhd", &index),
		  ISTM_ALREADY_EXISTS);
	assert_hr(mt_create_disk(mt, "C:\\hard.vhd", &index),
		  ISTM_ALREADY_EXISTS);
	assert_hr(mt_create_disk(mt, "\\\\?\\C:\\d\\a.vhd", &index),
		  ISTM_ALREADY_EXISTS);
	assert_hr(model_path_valid(mt->model, unix_path), ISTM_DEVICE_IN_USE);
	assert_hr(model_path_valid(mt->model, "C:\\D\\link.VHD"),
		  ISTM_DEVICE_IN_USE);
	/* A file that differs in case only is another one. */
	assert_int_equal(rename(hard, link_path), 0);
	assert_hr(mt_create_file(mt, "C:\\d\\b.vhd", 8 * MiB), ISTM_S_OK);
	assert_hr(mt_create_disk(mt, "C:\\d\\b.vhd", &index), ISTM_S_OK);
}

static void test_case_twins(void **state)
{
	struct mt *mt = *state;
	char from[700], to[700];
	uint32_t a, b;

	assert_hr(mt_create_file(mt, "C:\\x.vhd", 8 * MiB), ISTM_S_OK);
	snprintf(from, sizeof(from), "%s/x.vhd", mt->volume);
	snprintf(to, sizeof(to), "%s/A.vhd", mt->volume);
	assert_int_equal(rename(from, to), 0);
	assert_hr(mt_create_file(mt, "C:\\x.vhd", 8 * MiB), ISTM_S_OK);
	snprintf(to, sizeof(to), "%s/a.vhd", mt->volume);
	assert_int_equal(rename(from, to), 0);
	assert_hr(mt_create_disk(mt, "C:\\a.vhd", &a), ISTM_S_OK);
	assert_hr(mt_create_disk(mt, "C:\\A.vhd", &b), ISTM_S_OK);
	assert_int_not_equal(a, b);
	assert_string_equal(model_disk_by_path(mt->model, "C:\\A.vhd")->path,
			    "C:\\A.vhd");
}

static void test_indices(void **state)
{
	struct mt *mt = *state;
	struct model_disk_create ram = {
		.type = MODEL_DISK_RAM,
		.path = "8388608",
		.description = "",
		.persistent = true,
		.index = -1,
	};
	uint32_t index, *indices;

	for (uint32_t i = 0; i < 200; i++) {
		assert_hr(mt_create_disk_as(mt, &ram, &index), ISTM_S_OK);
		assert_int_equal(index, i);
	}
	assert_hr(mt_delete_disk(mt, 150), ISTM_S_OK);
	assert_hr(mt_delete_disk(mt, 70), ISTM_S_OK);
	assert_hr(mt_create_disk_as(mt, &ram, &index), ISTM_S_OK);
	assert_int_equal(index, 70);
	assert_hr(mt_create_disk_as(mt, &ram, &index), ISTM_S_OK);
	assert_int_equal(index, 150);
	ram.index = 150;
	assert_hr(mt_create_disk_as(mt, &ram, &index), ISTM_ALREADY_EXISTS);
	ram.index = UINT32_MAX;
	assert_hr(mt_create_disk_as(mt, &ram, &index), ISTM_S_OK);
	assert_int_equal(index, UINT32_MAX);
	ram.index = (int64_t)UINT32_MAX + 1;
	assert_hr(mt_create_disk_as(mt, &ram, &index), ISTM_INVALID_ARG);
	assert_int_equal(model_disks(mt->model, mt->mem, &indices), 201);
	assert_int_equal(indices[70], 70);
	assert_int_equal(indices[200], UINT32_MAX);
	assert_int_equal(model_disks_same_volume(
				 mt->model, model_disk_by_index(mt->model, 3),
				 mt->mem, &indices),
			 1);
	mt_restart(mt);
	assert_int_equal(model_disks(mt->model, mt->mem, &indices), 201);
	assert_true(model_disk_by_index(mt->model, UINT32_MAX)->usable);
}

static void test_ram(void **state)
{
	struct mt *mt = *state;
	struct model_disk_create ram = {
		.type = MODEL_DISK_RAM,
		.path = "16777216",
		.description = "",
		.index = -1,
	};
	uint32_t index;

	assert_hr(mt_create_disk_as(mt, &ram, &index), ISTM_S_OK);
	assert_int_equal(model_disk_by_index(mt->model, index)->size, 16 * MiB);
	ram.path = "1048576";
	assert_hr(mt_create_disk_as(mt, &ram, &index), ISTM_BAD_LENGTH);
	ram.path = "99999999999999999999999999";
	assert_hr(mt_create_disk_as(mt, &ram, &index), ISTM_BAD_LENGTH);
	ram.path = "-1";
	assert_hr(mt_create_disk_as(mt, &ram, &index), ISTM_INVALID_ARG);
	ram.path = "";
	assert_hr(mt_create_disk_as(mt, &ram, &index), ISTM_INVALID_ARG);
	mt_restart(mt);
	assert_null(model_disk_by_index(mt->model, 0));
}

static void test_same_volume(void **state)
{
	struct mt *mt = *state;
	uint32_t a = mt_disk(mt, "C:\\a.vhd"), b = mt_disk(mt, "C:\\b.vhd"),
		 d = mt_disk(mt, "D:\\d.vhd"), *indices;

	assert_int_equal(model_disks_same_volume(
				 mt->model, model_disk_by_index(mt->model, a),
				 mt->mem, &indices),
			 2);
	assert_int_equal(indices[0], a);
	assert_int_equal(indices[1], b);
	assert_int_equal(model_disks_same_volume(
				 mt->model, model_disk_by_index(mt->model, d),
				 mt->mem, &indices),
			 1);
	assert_int_equal(indices[0], d);
}

static void test_mapping(void **state)
{
	struct mt *mt = *state;
	struct model_target *t = mt_target(mt, "A"), *u = mt_target(mt, "B");
	uint32_t a = mt_disk(mt, "C:\\a.vhd"), b = mt_disk(mt, "C:\\b.vhd"),
		 c = mt_disk(mt, "C:\\c.vhd");

	mt_events_clear(mt);
	assert_hr(model_target_add_disk(mt->model, t, 99), ISTM_FILE_NOT_FOUND);
	assert_hr(model_target_add_disk(mt->model, t, b), ISTM_S_OK);
	assert_int_equal(mt->events[MODEL_EVENT_LUN_LIST], 1);
	assert_hr(model_target_add_disk(mt->model, t, b), ISTM_S_OK);
	assert_int_equal(mt->events[MODEL_EVENT_LUN_LIST], 1);
	assert_hr(model_target_add_disk(mt->model, t, a), ISTM_S_OK);
	assert_hr(model_target_add_disk(mt->model, t, c), ISTM_S_OK);
	assert_hr(model_target_add_disk(mt->model, u, a), ISTM_S_OK);
	assert_int_equal(t->num_mappings, 3);
	assert_int_equal(t->mappings[0].lun, 0);
	assert_int_equal(t->mappings[0].disk, b);
	assert_hr(model_target_set_lun(mt->model, t, b, 128), ISTM_INVALID_ARG);
	assert_hr(model_target_set_lun(mt->model, t, b, 1), ISTM_FILE_EXISTS);
	assert_hr(model_target_set_lun(mt->model, t, 99, 9),
		  ISTM_FILE_NOT_FOUND);
	assert_hr(model_target_set_lun(mt->model, u, b, 9),
		  ISTM_FILE_NOT_FOUND);
	assert_hr(model_target_set_lun(mt->model, t, b, 127), ISTM_S_OK);
	assert_int_equal(t->mappings[2].lun, 127);
	assert_int_equal(t->mappings[2].disk, b);
	/* Others keep their numbers; the freed one is next. */
	assert_hr(model_target_remove_disk(mt->model, t, a), ISTM_S_OK);
	assert_int_equal(t->mappings[0].lun, 2);
	assert_hr(model_target_remove_disk(mt->model, t, a),
		  ISTM_FILE_NOT_FOUND);
	assert_hr(model_target_add_disk(mt->model, t, a), ISTM_S_OK);
	assert_int_equal(t->mappings[0].lun, 0);
	assert_int_equal(t->mappings[0].disk, a);
	assert_hr(model_target_remove_all_disks(mt->model, t), ISTM_S_OK);
	assert_hr(model_target_remove_all_disks(mt->model, t), ISTM_S_OK);
	assert_int_equal(t->num_mappings, 0);
	assert_int_equal(u->num_mappings, 1);
}

static void test_mapping_limit(void **state)
{
	struct mt *mt = *state;
	struct model_target *t = mt_target(mt, "A");
	struct model_disk_create ram = {
		.type = MODEL_DISK_RAM,
		.path = "8388608",
		.description = "",
		.index = -1,
	};
	uint32_t index;

	for (uint32_t i = 0; i < 129; i++) {
		assert_hr(mt_create_disk_as(mt, &ram, &index), ISTM_S_OK);
		assert_hr(model_target_add_disk(mt->model, t, index),
			  i < 128 ? ISTM_S_OK : ISTM_HANDLE_EOF);
	}
	assert_int_equal(t->mappings[127].lun, 127);
}

/*
 * Deleting a disk takes its mapping out of the saved targets, and what else
 * was changed and not saved stays unsaved.
 */
static void test_delete(void **state)
{
	struct mt *mt = *state;
	struct model_target *t = mt_target(mt, "A");
	uint32_t a = mt_disk(mt, "C:\\a.vhd"), b = mt_disk(mt, "C:\\b.vhd");

	assert_hr(model_target_add_disk(mt->model, t, a), ISTM_S_OK);
	assert_hr(model_target_add_disk(mt->model, t, b), ISTM_S_OK);
	assert_hr(mt_save(mt, t), ISTM_S_OK);
	assert_hr(model_target_set_description(mt->model, t, "unsaved"),
		  ISTM_S_OK);
	mt_events_clear(mt);
	assert_hr(mt_delete_disk(mt, a), ISTM_S_OK);
	assert_int_equal(mt->events[MODEL_EVENT_DISK_REMOVED], 1);
	assert_true(mt->events[MODEL_EVENT_LUN_LIST] >= 1);
	assert_int_equal(t->num_mappings, 1);
	assert_int_equal(t->mappings[0].lun, 1);
	assert_null(model_disk_by_index(mt->model, a));
	assert_true(mt_file_exists(mt, "a.vhd"));
	assert_hr(mt_delete_disk(mt, a), ISTM_S_OK);
	/* The index goes to another disk, the LUN does not. */
	assert_int_equal(mt_disk(mt, "C:\\other.vhd"), a);
	mt_log_clear(mt);
	mt_restart(mt);
	t = model_target_by_name(mt->model, "A");
	assert_string_equal(t->description, "");
	assert_int_equal(t->num_mappings, 1);
	assert_int_equal(t->mappings[0].lun, 1);
	assert_int_equal(t->mappings[0].disk, b);
	assert_null(strstr(mt->log, "dropped"));
}

/* Removed in memory only, then the disk is deleted: also from the record. */
static void test_delete_unsaved_removal(void **state)
{
	struct mt *mt = *state;
	struct model_target *t = mt_target(mt, "A");
	uint32_t a = mt_disk(mt, "C:\\a.vhd");

	assert_hr(model_target_add_disk(mt->model, t, a), ISTM_S_OK);
	assert_hr(mt_save(mt, t), ISTM_S_OK);
	assert_hr(model_target_remove_disk(mt->model, t, a), ISTM_S_OK);
	assert_hr(mt_delete_disk(mt, a), ISTM_S_OK);
	mt_log_clear(mt);
	mt_restart(mt);
	assert_null(strstr(mt->log, "dropped"));
	assert_int_equal(model_target_by_name(mt->model, "A")->num_mappings, 0);
}

static void test_close(void **state)
{
	struct mt *mt = *state;
	struct model_target *t = mt_target(mt, "A");
	uint32_t a = mt_disk(mt, "C:\\a.vhd");

	assert_hr(model_target_add_disk(mt->model, t, a), ISTM_S_OK);
	assert_hr(mt_save(mt, t), ISTM_S_OK);
	assert_hr(mt_close_disk(mt, a), ISTM_S_OK);
	assert_null(model_disk_by_index(mt->model, a));
	assert_int_equal(t->num_mappings, 0);
	assert_hr(mt_close_disk(mt, a), ISTM_FILE_NOT_FOUND);
	mt_restart(mt);
	assert_non_null(model_disk_by_index(mt->model, a));
	assert_int_equal(model_target_by_name(mt->model, "A")->num_mappings, 1);
}

static void rescan(struct mt *mt)
{
	struct tevent_req *req = model_rescan_send(mt->mem, mt->model);

	assert_true(tevent_req_poll(req, mt->ev));
	assert_hr(model_rescan_recv(req), ISTM_S_OK);
	talloc_free(req);
}

/* A file that is missing or foreign at the start: the disk stays. */
static void test_missing_at_start(void **state)
{
	struct mt *mt = *state;
	struct model_target *t = mt_target(mt, "A");
	uint32_t a = mt_disk(mt, "C:\\a.vhd"), b = mt_disk(mt, "C:\\b.vhd");
	struct model_disk *d;
	char path[700], away[700];

	assert_hr(model_target_add_disk(mt->model, t, a), ISTM_S_OK);
	assert_hr(model_target_add_disk(mt->model, t, b), ISTM_S_OK);
	assert_hr(mt_save(mt, t), ISTM_S_OK);
	mt_stop(mt);
	snprintf(path, sizeof(path), "%s/a.vhd", mt->volume);
	snprintf(away, sizeof(away), "%s/away", mt->volume);
	assert_int_equal(rename(path, away), 0);
	mt_write(mt, "b.vhd", "garbage");
	assert_hr(mt_start(mt), ISTM_S_OK);
	d = model_disk_by_index(mt->model, a);
	assert_false(d->usable);
	assert_int_equal(d->size, 0);
	assert_false(model_disk_by_index(mt->model, b)->usable);
	assert_non_null(strstr(mt->log, "a.vhd"));
	t = model_target_by_name(mt->model, "A");
	assert_int_equal(t->num_mappings, 2);
	/* Its path is still its own. */
	assert_hr(model_path_valid(mt->model, "C:\\A.vhd"), ISTM_DEVICE_IN_USE);
	/* Back again: a rescan is enough. */
	rescan(mt);
	assert_false(model_disk_by_index(mt->model, a)->usable);
	assert_int_equal(rename(away, path), 0);
	mt_events_clear(mt);
	rescan(mt);
	assert_true(model_disk_by_index(mt->model, a)->usable);
	assert_int_equal(model_disk_by_index(mt->model, a)->size, 8 * MiB);
	assert_int_equal(mt->events[MODEL_EVENT_DISK_CHANGED], 1);
	assert_false(model_disk_by_index(mt->model, b)->usable);
	rescan(mt);
	/* The client leaves, the disk is deleted meanwhile. */
	talloc_free(model_rescan_send(mt->mem, mt->model));
	assert_hr(mt_delete_disk(mt, b), ISTM_SHARING_VIOLATION);
	rescan(mt);
	while (ISTM_FAILED(mt_delete_disk(mt, b))) {
		tevent_loop_once(mt->ev);
	}
	mt_restart(mt);
	assert_true(model_disk_by_index(mt->model, a)->usable);
}

static void test_properties(void **state)
{
	struct mt *mt = *state;
	uint32_t a = mt_disk(mt, "C:\\a.vhd"), b = mt_disk(mt, "C:\\b.vhd");
	struct model_disk *d = model_disk_by_index(mt->model, a);
	char serial[40];

	snprintf(serial, sizeof(serial), "%s", d->serial);
	assert_hr(model_disk_set_description(mt->model, d, "new"), ISTM_S_OK);
	assert_hr(mt_save_disk(mt, a), ISTM_S_OK);
	assert_hr(model_disk_set_description(mt->model, d, "unsaved"),
		  ISTM_S_OK);
	assert_hr(model_disk_set_path(mt->model, d, "C:\\b.vhd"),
		  ISTM_ALREADY_EXISTS);
	assert_hr(model_disk_set_path(mt->model, d, "C:\\later.vhd"),
		  ISTM_S_OK);
	assert_string_equal(d->path, "C:\\later.vhd");
	assert_hr(model_disk_set_cache_parent(mt->model, d, true),
		  ISTM_INVALID_ARG);
	assert_hr(model_disk_set_snapshot_storage_size(mt->model, d,
						       (320 << 20) - 1),
		  ISTM_INVALID_ARG);
	assert_hr(model_disk_set_snapshot_storage_size(mt->model, d, 320 << 20),
		  ISTM_S_OK);
	assert_int_equal(d->snapshot_storage_size, 320 << 20);
	mt_events_clear(mt);
	assert_hr(model_disk_set_enabled(mt->model, d, false), ISTM_S_OK);
	assert_hr(model_disk_set_enabled(mt->model, d, false), ISTM_S_OK);
	assert_int_equal(mt->events[MODEL_EVENT_LUN_LIST], 2);
	assert_hr(model_disk_set_snapshot_storage_size(mt->model, d, -1),
		  ISTM_S_OK);
	assert_int_equal(d->snapshot_storage_size, 320 << 20);
	mt_restart(mt);
	d = model_disk_by_index(mt->model, a);
	assert_string_equal(d->description, "new");
	assert_string_equal(d->path, "C:\\a.vhd");
	assert_string_equal(d->serial, serial);
	assert_true(d->enabled);
	assert_int_equal(d->snapshot_storage_size, -1);
	assert_true(model_disk_by_index(mt->model, b)->usable);
}

/*
 * A closed disk's record stays, and its index goes to another disk. When both
 * come back one of them has to move, but to an index that no third disk has.
 */
static void test_index_twice(void **state)
{
	struct mt *mt = *state;
	struct model_disk_create ram = {
		.type = MODEL_DISK_RAM,
		.path = "8388608",
		.description = "",
		.persistent = true,
		.index = -1,
	};
	struct GUID guids[16];
	uint32_t index;

	for (uint32_t i = 0; i < 16; i++) {
		assert_hr(mt_create_disk_as(mt, &ram, &index), ISTM_S_OK);
		assert_int_equal(index, i);
		guids[i] = model_disk_by_index(mt->model, i)->guid;
	}
	for (uint32_t i = 0; i < 4; i++) {
		assert_hr(mt_close_disk(mt, i), ISTM_S_OK);
		assert_hr(mt_create_disk_as(mt, &ram, &index), ISTM_S_OK);
		assert_int_equal(index, i);
	}
	mt_restart(mt);
	for (uint32_t i = 4; i < 16; i++) {
		assert_true(GUID_equal(&model_disk_by_index(mt->model, i)->guid,
				       &guids[i]));
	}
	for (uint32_t i = 0; i < 4; i++) {
		assert_non_null(model_disk_by_guid(mt->model, &guids[i]));
		assert_non_null(model_disk_by_index(mt->model, 16 + i));
	}
}

/* Two saves under way, of which only the second finds room: it is saved, and
 * so its deletion takes the record away. */
static void test_save_after_failed_save(void **state)
{
	struct mt *mt = *state;
	struct model_disk_create ram = {
		.type = MODEL_DISK_RAM,
		.path = "8388608",
		.description = "",
		.index = -1,
	};
	char *large = talloc_zero_size(mt->mem, 32767 + 1);
	struct rlimit before, limit;
	struct tevent_req *first, *second;
	struct model_disk *d;
	uint32_t index;
	char path[300];
	struct stat st;

	memset(large, 'x', 32767);
	assert_hr(mt_create_disk_as(mt, &ram, &index), ISTM_S_OK);
	d = model_disk_by_index(mt->model, index);
	assert_hr(model_disk_set_description(mt->model, d, large), ISTM_S_OK);
	assert_hr(model_disk_set_resource_name(mt->model, d, large), ISTM_S_OK);
	snprintf(path, sizeof(path), "%s/istm.tdb", mt->dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	signal(SIGXFSZ, SIG_IGN);
	limit = before;
	limit.rlim_cur = st.st_size;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	first = model_disk_save_send(mt->mem, mt->model, d);
	assert_hr(model_disk_set_description(mt->model, d, ""), ISTM_S_OK);
	assert_hr(model_disk_set_resource_name(mt->model, d, "r"), ISTM_S_OK);
	second = model_disk_save_send(mt->mem, mt->model, d);
	assert_true(tevent_req_poll(first, mt->ev));
	assert_true(tevent_req_poll(second, mt->ev));
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_true(ISTM_FAILED(model_disk_save_recv(first)));
	assert_hr(model_disk_save_recv(second), ISTM_S_OK);
	assert_true(d->saved);
	assert_hr(mt_delete_disk(mt, index), ISTM_S_OK);
	mt_restart(mt);
	assert_null(model_disk_by_index(mt->model, index));
}

static void test_clear_partition_table(void **state)
{
	struct mt *mt = *state;
	struct model_disk_create create = {
		.type = MODEL_DISK_FILE,
		.path = "C:\\a.vhd",
		.description = "",
		.persistent = true,
		.clear_partition_table = true,
		.index = -1,
	};
	char path[700], bytes[512], zero[512] = {0};
	uint32_t index;
	FILE *file;

	assert_hr(mt_create_file(mt, "C:\\a.vhd", 8 * MiB), ISTM_S_OK);
	snprintf(path, sizeof(path), "%s/a.vhd", mt->volume);
	file = fopen(path, "r+");
	memset(bytes, 0x55, sizeof(bytes));
	fwrite(bytes, 1, sizeof(bytes), file);
	fseek(file, 4 * MiB, SEEK_SET);
	fwrite(bytes, 1, sizeof(bytes), file);
	fseek(file, 8 * MiB - 512, SEEK_SET);
	fwrite(bytes, 1, sizeof(bytes), file);
	fclose(file);
	assert_hr(mt_create_disk_as(mt, &create, &index), ISTM_S_OK);
	file = fopen(path, "r");
	assert_int_equal(fread(bytes, 1, sizeof(bytes), file), sizeof(bytes));
	assert_memory_equal(bytes, zero, sizeof(zero));
	fseek(file, 4 * MiB, SEEK_SET);
	assert_int_equal(fread(bytes, 1, sizeof(bytes), file), sizeof(bytes));
	assert_int_equal(bytes[0], 0x55);
	fseek(file, 8 * MiB - 512, SEEK_SET);
	assert_int_equal(fread(bytes, 1, sizeof(bytes), file), sizeof(bytes));
	assert_memory_equal(bytes, zero, sizeof(zero));
	fclose(file);
}

static void test_client_leaves(void **state)
{
	struct mt *mt = *state;
	struct model_disk_create create = {
		.type = MODEL_DISK_FILE,
		.path = "C:\\a.vhd",
		.description = "",
		.persistent = true,
		.index = -1,
	};
	uint32_t index;

	assert_hr(mt_create_file(mt, "C:\\a.vhd", 8 * MiB), ISTM_S_OK);
	talloc_free(model_disk_create_send(mt->mem, mt->model, &create));
	/* The path is taken from the first moment. */
	assert_hr(mt_create_disk(mt, "C:\\a.vhd", &index), ISTM_ALREADY_EXISTS);
	while (model_disk_by_index(mt->model, 0) == NULL) {
		tevent_loop_once(mt->ev);
	}
	talloc_free(model_disk_delete_send(mt->mem, mt->model, 0));
	/* Stopped in the middle: the next start shows the whole of it. */
	mt_restart(mt);
	assert_null(model_disk_by_index(mt->model, 0));
	talloc_free(model_disk_create_send(mt->mem, mt->model, &create));
	mt_restart(mt);
	assert_hr(mt_create_disk(mt, "C:\\a.vhd", &index), ISTM_S_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_create),
		TEST(test_create_refusals),
		TEST(test_path_in_use),
		TEST(test_case_twins),
		TEST(test_indices),
		TEST(test_ram),
		TEST(test_same_volume),
		TEST(test_mapping),
		TEST(test_mapping_limit),
		TEST(test_delete),
		TEST(test_delete_unsaved_removal),
		TEST(test_close),
		TEST(test_index_twice),
		TEST(test_save_after_failed_save),
		TEST(test_missing_at_start),
		TEST(test_properties),
		TEST(test_clear_partition_table),
		TEST(test_client_leaves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
