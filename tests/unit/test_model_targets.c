/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Targets: MS-ISTM 3.21 to 3.29 as spec/notes.md reads them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model_helpers.h"

static void test_defaults(void **state)
{
	struct mt *mt = *state;
	struct model_target *t = mt_target(mt, "DatabaseTarget");

	assert_true(t->enabled);
	assert_false(t->chap);
	assert_false(t->reverse_chap);
	assert_int_equal(t->max_recv_data_segment_length, 65536);
	assert_int_equal(t->first_burst_length, 65536);
	assert_int_equal(t->max_burst_length, 262144);
	assert_int_equal(t->num_recv_buffers, 10);
	assert_true(t->enforce_idle_timeout);
	assert_int_equal(t->num_ids, 0);
	assert_int_equal(t->last_login, 0);
	assert_string_equal(t->description, "");
	assert_true(strncmp(t->iqn, "iqn.1991-05.com.microsoft:", 26) == 0);
	assert_non_null(strstr(t->iqn, "-databasetarget-target"));
	assert_int_equal(model_target_num_sessions(mt->model, t), 0);
	assert_int_equal(mt->events[MODEL_EVENT_TARGET_ADDED], 1);
}

static void test_names(void **state)
{
	struct mt *mt = *state;
	struct model_target *a = mt_target(mt, "A"), *t;

	assert_hr(model_target_new(mt->model, "", true, NULL, &t),
		  ISTM_INVALID_ARG);
	assert_hr(model_target_new(mt->model, NULL, true, NULL, &t),
		  ISTM_INVALID_ARG);
	assert_hr(model_target_new(mt->model, "a", true, NULL, &t),
		  ISTM_FILE_EXISTS);
	assert_hr(model_target_new(mt->model, "a b", true, NULL, &t),
		  ISTM_INVALID_DATA);
	t = mt_target(mt, "B");
	assert_hr(model_target_set_name(mt->model, t, "A"), ISTM_FILE_EXISTS);
	assert_hr(model_target_set_name(mt->model, t, "b"), ISTM_S_OK);
	assert_hr(model_target_set_name(mt->model, t, "no good"),
		  ISTM_INVALID_DATA);
	assert_hr(model_target_set_name(mt->model, t, ""), ISTM_INVALID_DATA);
	assert_string_equal(t->name, "b");
	assert_hr(model_target_set_name(mt->model, t, "C"), ISTM_S_OK);
	assert_ptr_equal(model_target_by_name(mt->model, "c"), t);
	assert_null(model_target_by_name(mt->model, "B"));
	assert_ptr_equal(model_target_by_name(mt->model, "A"), a);
	/* The IQN stays what it was made from. */
	assert_non_null(strstr(t->iqn, "-b-target"));
}

static void test_iqn(void **state)
{
	struct mt *mt = *state;
	struct model_target *a = mt_target(mt, "A"), *b = mt_target(mt, "B");
	char *before = talloc_strdup(mt->mem, a->iqn);

	assert_hr(model_target_set_iqn(mt->model, b, a->iqn), ISTM_FILE_EXISTS);
	assert_hr(model_target_set_iqn(mt->model, a, "nonsense"),
		  ISTM_INVALID_DATA);
	assert_hr(
		model_target_set_iqn(
			mt->model, a,
			"iqn.1991-5.com.contoso:test-server-istmtarget-target"),
		ISTM_S_OK);
	assert_ptr_equal(
		model_target_by_iqn(
			mt->model,
			"IQN.1991-5.com.contoso:Test-Server-istmtarget-target"),
		a);
	assert_null(model_target_by_iqn(mt->model, before));
	/* A generated name avoids one that was put by hand. */
	assert_hr(model_target_set_iqn(mt->model, b, before), ISTM_S_OK);
	assert_hr(model_target_set_name(mt->model, a, "X"), ISTM_S_OK);
	a = mt_target(mt, "A");
	assert_string_not_equal(a->iqn, before);
	assert_non_null(strstr(a->iqn, "-a-target-2"));
}

static void test_numbers(void **state)
{
	struct mt *mt = *state;
	struct model_target *t = mt_target(mt, "A");
	HRESULT(*const set[])
	(struct model *, struct model_target *, uint32_t) = {
		model_target_set_max_recv_data_segment_length,
		model_target_set_first_burst_length,
		model_target_set_max_burst_length,
	};
	const uint32_t *const field[] = {&t->max_recv_data_segment_length,
					 &t->first_burst_length,
					 &t->max_burst_length};

	for (int i = 0; i < 3; i++) {
		assert_hr(set[i](mt->model, t, 512), ISTM_S_OK);
		assert_int_equal(*field[i], 512);
		assert_hr(set[i](mt->model, t, 16777215), ISTM_S_OK);
		assert_hr(set[i](mt->model, t, 511), ISTM_INVALID_ARG);
		assert_hr(set[i](mt->model, t, 16777216), ISTM_INVALID_ARG);
		assert_int_equal(*field[i], 16777215);
	}
	assert_hr(model_target_set_num_recv_buffers(mt->model, t, 0),
		  ISTM_INVALID_ARG);
	assert_hr(model_target_set_num_recv_buffers(mt->model, t, 129),
		  ISTM_INVALID_ARG);
	assert_hr(model_target_set_num_recv_buffers(mt->model, t, 128),
		  ISTM_S_OK);
	assert_int_equal(t->num_recv_buffers, 128);
}

static void test_secrets(void **state)
{
	struct mt *mt = *state;
	struct model_target *t = mt_target(mt, "A");

	assert_hr(model_target_set_chap_secret(mt->model, t, "abcdefghijkl"),
		  ISTM_S_OK);
	assert_string_equal(t->chap_secret, "abcdefghijkl");
	assert_hr(model_target_validate_secret(mt->model, t, false,
					       "12345678901"),
		  ISTM_BAD_LENGTH);
	assert_hr(model_target_validate_secret(mt->model, t, false,
					       "12345678901234567"),
		  ISTM_BAD_LENGTH);
	assert_hr(model_target_validate_secret(mt->model, t, true,
					       "abcdefghijkl"),
		  ISTM_DUP_NAME);
	assert_hr(model_target_validate_secret(mt->model, t, false,
					       "abcdefghijkl"),
		  ISTM_S_OK);
	/* Twelve characters, more bytes. */
	assert_hr(model_target_validate_secret(
			  mt->model, t, false,
			  "\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4"
			  "\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4"),
		  ISTM_S_OK);
	/* Puts do not validate. */
	assert_hr(model_target_set_reverse_chap_secret(mt->model, t, "short"),
		  ISTM_S_OK);
	assert_hr(mt_save(mt, t), ISTM_S_OK);
	assert_null(strstr(mt->log, "abcdefghijkl"));
	assert_null(strstr(mt->log, "12345678901"));
	assert_null(strstr(mt->log, "short"));
}

static HRESULT add_id(struct mt *mt, struct model_target *t, int method,
		      const char *value)
{
	struct model_id id = {.method = method, .value = value};

	return model_target_add_id(mt->model, t, &id);
}

static HRESULT remove_id(struct mt *mt, struct model_target *t, int method,
			 const char *value)
{
	struct model_id id = {.method = method, .value = value};

	return model_target_remove_id(mt->model, t, &id);
}

static void test_ids(void **state)
{
	struct mt *mt = *state;
	struct model_target *t = mt_target(mt, "A");

	assert_hr(add_id(mt, t, 4, "iqn.1991-05.com.contoso:test-server"),
		  ISTM_S_OK);
	assert_hr(add_id(mt, t, 4, "IQN.1991-05.com.contoso:Test-Server"),
		  ISTM_S_OK);
	assert_int_equal(t->num_ids, 1);
	assert_hr(add_id(mt, t, 2, "10.0.0.1"), ISTM_S_OK);
	assert_hr(add_id(mt, t, 5, "fd00::1"), ISTM_S_OK);
	assert_hr(add_id(mt, t, 5, "fd00:0:0:0:0:0:0:1"), ISTM_S_OK);
	assert_hr(add_id(mt, t, 3, "00-15-5d-01-02-03"), ISTM_S_OK);
	assert_hr(add_id(mt, t, 1, "host.contoso.com"), ISTM_S_OK);
	assert_int_equal(t->num_ids, 5);
	assert_hr(add_id(mt, t, -1, "x"), ISTM_INVALID_ARG);
	assert_hr(add_id(mt, t, 6, "x"), ISTM_INVALID_ARG);
	assert_hr(add_id(mt, t, 2, "x"), ISTM_INVALID_DATA);
	assert_hr(add_id(mt, t, 4, "x"), ISTM_INVALID_DATA);
	assert_int_equal(t->num_ids, 5);
	assert_hr(remove_id(mt, t, 2, "10.0.0.2"), ISTM_S_OK);
	assert_hr(remove_id(mt, t, 2, "nonsense"), ISTM_S_OK);
	assert_hr(remove_id(mt, t, 5, "FD00::1"), ISTM_S_OK);
	assert_int_equal(t->num_ids, 4);
	assert_string_equal(t->ids[2].value, "00-15-5d-01-02-03");
	assert_hr(model_target_remove_all_ids(mt->model, t), ISTM_S_OK);
	assert_int_equal(t->num_ids, 0);
}

static void test_deleted_and_closed(void **state)
{
	struct mt *mt = *state;
	struct model_target *t = mt_target(mt, "A");
	struct GUID guid = t->guid, *guids;

	assert_hr(mt_save(mt, t), ISTM_S_OK);
	assert_hr(mt_delete(mt, t), ISTM_S_OK);
	assert_null(model_target_by_guid(mt->model, &guid));
	assert_null(model_target_by_name(mt->model, "A"));
	assert_int_equal(model_targets(mt->model, mt->mem, &guids), 0);
	mt_restart(mt);
	assert_null(model_target_by_guid(mt->model, &guid));

	/* Closing leaves the saved copy. */
	t = mt_target(mt, "A");
	guid = t->guid;
	assert_hr(mt_save(mt, t), ISTM_S_OK);
	assert_hr(model_target_close(mt->model, t), ISTM_S_OK);
	assert_null(model_target_by_guid(mt->model, &guid));
	mt_restart(mt);
	assert_non_null(model_target_by_guid(mt->model, &guid));
	assert_int_equal(model_targets(mt->model, mt->mem, &guids), 1);
}

/* Save, not before; and nothing that came after it. */
static void test_saved(void **state)
{
	struct mt *mt = *state;
	struct model_target *t = mt_target(mt, "Saved");
	struct GUID guid = t->guid;

	mt_target(mt, "Unsaved");
	assert_hr(model_target_set_description(mt->model, t,
					       "ISTM Test target"),
		  ISTM_S_OK);
	assert_hr(model_target_set_chap(mt->model, t, true), ISTM_S_OK);
	assert_hr(model_target_set_chap_user(mt->model, t, "user"), ISTM_S_OK);
	assert_hr(model_target_set_chap_secret(mt->model, t, "secretsecret"),
		  ISTM_S_OK);
	assert_hr(add_id(mt, t, 4, "iqn.1991-05.com.contoso:test-server"),
		  ISTM_S_OK);
	assert_hr(model_target_set_max_burst_length(mt->model, t, 524288),
		  ISTM_S_OK);
	assert_hr(mt_save(mt, t), ISTM_S_OK);
	assert_true(t->saved);
	assert_hr(model_target_set_description(mt->model, t, "later"),
		  ISTM_S_OK);
	assert_hr(model_target_set_name(mt->model, t, "Later"), ISTM_S_OK);
	mt_restart(mt);
	assert_null(model_target_by_name(mt->model, "Unsaved"));
	t = model_target_by_name(mt->model, "Saved");
	assert_non_null(t);
	assert_true(GUID_equal(&t->guid, &guid));
	assert_string_equal(t->description, "ISTM Test target");
	assert_true(t->chap);
	assert_string_equal(t->chap_user, "user");
	assert_string_equal(t->chap_secret, "secretsecret");
	assert_int_equal(t->max_burst_length, 524288);
	assert_int_equal(t->num_ids, 1);
	assert_string_equal(t->ids[0].value,
			    "iqn.1991-05.com.contoso:test-server");
}

/* A saved name that was given up in memory can be saved for another. */
static void test_same_name_twice(void **state)
{
	struct mt *mt = *state;
	struct model_target *a = mt_target(mt, "A"), *b;
	struct GUID *guids;

	assert_hr(mt_save(mt, a), ISTM_S_OK);
	assert_hr(model_target_set_name(mt->model, a, "Z"), ISTM_S_OK);
	b = mt_target(mt, "A");
	assert_hr(mt_save(mt, b), ISTM_S_OK);
	mt_restart(mt);
	assert_int_equal(model_targets(mt->model, mt->mem, &guids), 2);
	a = model_target_by_name(mt->model, "A");
	b = model_target_by_name(mt->model, "A-2");
	assert_non_null(a);
	assert_non_null(b);
	assert_true(a->enabled);
	assert_false(b->enabled);
	assert_non_null(strstr(mt->log, "two targets"));
}

/* The client goes while the store works. */
static void test_client_leaves(void **state)
{
	struct mt *mt = *state;
	struct model_target *t = mt_target(mt, "A");
	struct GUID guid = t->guid;

	talloc_free(model_target_save_send(mt->mem, mt->model, t));
	mt_restart(mt);
	t = model_target_by_guid(mt->model, &guid);
	assert_non_null(t);
	talloc_free(model_target_delete_send(mt->mem, mt->model, t));
	while (model_target_by_guid(mt->model, &guid) != NULL) {
		tevent_loop_once(mt->ev);
	}
	mt_restart(mt);
	assert_null(model_target_by_guid(mt->model, &guid));
}

static void test_non_persistent(void **state)
{
	struct mt *mt = *state;
	struct model_target *t;

	assert_hr(model_target_new(mt->model, "N", false, "res", &t),
		  ISTM_S_OK);
	assert_string_equal(t->resource_name, "res");
	assert_hr(model_target_set_resource_name(mt->model, t, ""),
		  ISTM_INVALID_ARG);
	mt_restart(mt);
	assert_null(model_target_by_name(mt->model, "N"));
}

/* Any move of LUNs leaves all disks where they belong, ascending. */
static void test_moving_luns(void **state)
{
	struct mt *mt = *state;
	struct model_target *t = mt_target(mt, "A");
	struct model_disk_create ram = {
		.type = MODEL_DISK_RAM,
		.path = "8388608",
		.description = "",
		.index = -1,
	};
	uint32_t disk[6], lun[6];
	unsigned seed = 1;

	for (uint32_t i = 0; i < 6; i++) {
		assert_hr(mt_create_disk_as(mt, &ram, &disk[i]), ISTM_S_OK);
		assert_hr(model_target_add_disk(mt->model, t, disk[i]),
			  ISTM_S_OK);
		lun[i] = i;
	}
	for (int n = 0; n < 500; n++) {
		uint32_t which = rand_r(&seed) % 6, to = rand_r(&seed) % 12;
		bool taken = false;

		for (uint32_t i = 0; i < 6; i++) {
			taken |= i != which && lun[i] == to;
		}
		assert_hr(model_target_set_lun(mt->model, t, disk[which], to),
			  taken ? ISTM_FILE_EXISTS : ISTM_S_OK);
		if (!taken) {
			lun[which] = to;
		}
		assert_int_equal(t->num_mappings, 6);
		for (uint32_t i = 0; i < 6; i++) {
			uint32_t at = 0;

			while (t->mappings[at].disk != disk[i]) {
				at++;
				assert_true(at < 6);
			}
			assert_int_equal(t->mappings[at].lun, lun[i]);
			assert_true(i == 0 || t->mappings[i - 1].lun <
						      t->mappings[i].lun);
		}
		assert_null(model_check(mt->model, mt->mem));
	}
	assert_hr(mt_save(mt, t), ISTM_S_OK);
	assert_hr(model_target_remove_all_disks(mt->model, t), ISTM_S_OK);
	assert_null(model_check(mt->model, mt->mem));
}

/* Portals and processors: what is refused, kept, and comes back. */
static void test_portals_and_processors(void **state)
{
	struct mt *mt = *state;
	struct model_target *t = mt_target(mt, "A");
	uint32_t all = model_processors(mt->model);
	struct model_portal *portals;
	char *address = talloc_strdup(mt->mem, mt->portal);

	*strrchr(address, ':') = '\0';
	assert_true(t->listen_all);
	assert_hr(model_target_add_portal(mt->model, t, "x"), ISTM_INVALID_ARG);
	assert_hr(model_target_add_portal(mt->model, t, NULL),
		  ISTM_INVALID_ARG);
	assert_hr(model_target_add_portal(mt->model, t, "192.0.2.200"),
		  ISTM_FILE_NOT_FOUND);
	assert_hr(model_target_add_portal(mt->model, t, address), ISTM_S_OK);
	assert_hr(model_target_add_portal(mt->model, t, address), ISTM_S_OK);
	assert_int_equal(t->num_portals, 1);
	assert_hr(model_target_set_listen_all(mt->model, t, false), ISTM_S_OK);
	assert_int_equal(model_target_portals(mt->model, t, mt->mem, &portals),
			 1);
	assert_int_equal(model_target_processors(mt->model, t), all);
	assert_hr(model_target_set_processors(mt->model, t, 0),
		  ISTM_INVALID_ARG);
	assert_hr(model_target_set_processors(mt->model, t, all & -all),
		  ISTM_S_OK);
	assert_hr(mt_save(mt, t), ISTM_S_OK);
	assert_hr(model_target_remove_all_portals(mt->model, t), ISTM_S_OK);
	assert_int_equal(model_target_portals(mt->model, t, mt->mem, &portals),
			 0);
	mt_restart(mt);
	t = model_target_by_name(mt->model, "A");
	assert_false(t->listen_all);
	assert_int_equal(t->num_portals, 1);
	assert_string_equal(t->portals[0], address);
	assert_int_equal(model_target_processors(mt->model, t), all & -all);
	assert_hr(model_target_remove_portal(mt->model, t, "nonsense"),
		  ISTM_S_OK);
	assert_hr(model_target_remove_portal(mt->model, t, address), ISTM_S_OK);
	assert_int_equal(t->num_portals, 0);
}

/* Any number of names that lead to one IQN. */
static void test_many_alike(void **state)
{
	struct mt *mt = *state;
	char name[224];

	memset(name, 'x', 223);
	name[223] = '\0';
	for (int i = 0; i < 300; i++) {
		struct model_target *t;

		snprintf(name + 217, 7, "%06u", (unsigned)i % 1000000);
		t = mt_target(mt, name);
		assert_ptr_equal(model_target_by_iqn(mt->model, t->iqn), t);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_moving_luns),	  TEST(test_portals_and_processors),
		TEST(test_many_alike),	  TEST(test_defaults),
		TEST(test_names),	  TEST(test_iqn),
		TEST(test_numbers),	  TEST(test_secrets),
		TEST(test_ids),		  TEST(test_deleted_and_closed),
		TEST(test_saved),	  TEST(test_same_name_twice),
		TEST(test_client_leaves), TEST(test_non_persistent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
