/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The service, iSNS servers, cached initiators, events and the start. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model_helpers.h"
#include "store_disk_v1.h"
#include "server/model/private.h"

#define RUN(mt, hr, send, recv)                                                \
	do {                                                                   \
		struct tevent_req *req_ = send;                                \
		assert_true(tevent_req_poll(req_, (mt)->ev));                  \
		assert_hr(recv(req_), hr);                                     \
		talloc_free(req_);                                             \
	} while (0)

static void test_service(void **state)
{
	struct mt *mt = *state;
	struct GUID guid, again;
	char host[256];

	gethostname(host, sizeof(host));
	host[strcspn(host, ".")] = '\0';
	assert_string_equal(model_service_name(mt->model), host);
	model_service_guid(mt->model, &guid);
	assert_false(GUID_all_zero(&guid));
	RUN(mt, ISTM_S_OK,
	    model_service_set_name_send(mt->mem, mt->model, "storage"),
	    model_service_set_name_recv);
	mt_restart(mt);
	assert_string_equal(model_service_name(mt->model), "storage");
	model_service_guid(mt->model, &again);
	assert_true(GUID_equal(&guid, &again));
}

static void add_sns(struct mt *mt, const char *name, HRESULT hr)
{
	RUN(mt, hr, model_sns_server_add_send(mt->mem, mt->model, name),
	    model_sns_server_add_recv);
}

static void test_sns_servers(void **state)
{
	struct mt *mt = *state;
	const char **names;

	add_sns(mt, "isns.contoso.com", ISTM_S_OK);
	add_sns(mt, "ISNS.contoso.com", ISTM_S_OK);
	add_sns(mt, "10.0.0.5", ISTM_S_OK);
	add_sns(mt, "", ISTM_INVALID_ARG);
	add_sns(mt, NULL, ISTM_INVALID_ARG);
	assert_int_equal(model_sns_servers(mt->model, mt->mem, &names), 2);
	mt_restart(mt);
	assert_int_equal(model_sns_servers(mt->model, mt->mem, &names), 2);
	RUN(mt, ISTM_FILE_NOT_FOUND,
	    model_sns_server_remove_send(mt->mem, mt->model, "none"),
	    model_sns_server_remove_recv);
	RUN(mt, ISTM_S_OK,
	    model_sns_server_remove_send(mt->mem, mt->model,
					 "Isns.Contoso.com"),
	    model_sns_server_remove_recv);
	mt_restart(mt);
	assert_int_equal(model_sns_servers(mt->model, mt->mem, &names), 1);
	assert_string_equal(names[0], "10.0.0.5");
}

/* Added twice at once: neither answers for the other's commit. */
static void test_sns_server_twice(void **state)
{
	struct mt *mt = *state;
	struct tevent_req *first, *second;
	const char **names;

	mt_store_break(mt);
	first = model_sns_server_add_send(mt->mem, mt->model, "isns");
	second = model_sns_server_add_send(mt->mem, mt->model, "ISNS");
	assert_true(tevent_req_is_in_progress(second));
	assert_true(tevent_req_poll(first, mt->ev));
	assert_true(tevent_req_poll(second, mt->ev));
	assert_true(ISTM_FAILED(model_sns_server_add_recv(first)));
	assert_true(ISTM_FAILED(model_sns_server_add_recv(second)));
	assert_int_equal(model_sns_servers(mt->model, mt->mem, &names), 0);
	mt_store_mend(mt);
	first = model_sns_server_add_send(mt->mem, mt->model, "isns");
	second = model_sns_server_add_send(mt->mem, mt->model, "ISNS");
	assert_true(tevent_req_poll(second, mt->ev));
	assert_hr(model_sns_server_add_recv(second), ISTM_S_OK);
	mt_restart(mt);
	assert_int_equal(model_sns_servers(mt->model, mt->mem, &names), 1);
	/* A removal that fails leaves it. */
	mt_store_break(mt);
	first = model_sns_server_remove_send(mt->mem, mt->model, "isns");
	assert_true(tevent_req_poll(first, mt->ev));
	assert_true(ISTM_FAILED(model_sns_server_remove_recv(first)));
	mt_store_mend(mt);
	assert_int_equal(model_sns_servers(mt->model, mt->mem, &names), 1);
}

static void test_initiators(void **state)
{
	struct mt *mt = *state;
	struct model_cached_initiator *initiators;
	struct initiator_entry *entry;

	initiator_seen(mt->model, "iqn.1991-05.com.contoso:a");
	initiator_seen(mt->model, "iqn.1991-05.com.contoso:b");
	initiator_seen(mt->model, "IQN.1991-05.com.contoso:A");
	initiator_seen(mt->model, "\xff\xfe");
	assert_int_equal(
		model_cached_initiators(mt->model, mt->mem, &initiators), 2);
	assert_string_equal(initiators[1].iqn, "iqn.1991-05.com.contoso:a");
	assert_true(initiators[1].last_login >= initiators[0].last_login);
	/* Seven days later. */
	entry = list_entry(mt->model->initiators.next, struct initiator_entry,
			   link);
	entry->i.last_login -= 7ull * 24 * 3600 * 10000000;
	assert_int_equal(
		model_cached_initiators(mt->model, mt->mem, &initiators), 1);
	assert_string_equal(initiators[0].iqn, "iqn.1991-05.com.contoso:a");
	/* No end of names is no end of memory. */
	for (int i = 0; i < 10000; i++) {
		char name[64];

		snprintf(name, sizeof(name), "iqn.2000-01.com.x:%d", i);
		initiator_seen(mt->model, name);
	}
	assert_int_equal(
		model_cached_initiators(mt->model, mt->mem, &initiators), 4096);
	assert_string_equal(initiators[4095].iqn, "iqn.2000-01.com.x:9999");
}

struct listener {
	struct mt *mt;
	struct model_subscription *self, *other;
	unsigned heard;
};

static void hear(const struct model_event *event, void *private_data)
{
	struct listener *listener = private_data;

	listener->heard++;
	TALLOC_FREE(listener->other);
	if (listener->heard == 2) {
		TALLOC_FREE(listener->self);
	}
}

/* Subscribers may leave, and send each other away, from within an event. */
static void test_events(void **state)
{
	struct mt *mt = *state;
	struct listener a = {.mt = mt}, b = {.mt = mt};
	struct model_target *t;

	a.self = model_subscribe(mt->mem, mt->model, hear, &a);
	b.self = model_subscribe(mt->mem, mt->model, hear, &b);
	a.other = b.self;
	b.self = NULL;
	t = mt_target(mt, "A");
	assert_int_equal(a.heard, 1);
	assert_int_equal(b.heard, 0);
	model_target_set_description(mt->model, t, "x");
	assert_int_equal(a.heard, 2);
	assert_null(a.self);
	model_target_set_description(mt->model, t, "y");
	assert_int_equal(a.heard, 2);
	/* One that outlives the model. */
	a.self = model_subscribe(mt->mem, mt->model, hear, &a);
	mt_stop(mt);
	TALLOC_FREE(a.self);
}

/* Refused by name; nothing is lost; all is well when it is gone. */
static void test_bad_records(void **state)
{
	struct mt *mt = *state;
	struct model_target *t = mt_target(mt, "A");

	assert_hr(mt_save(mt, t), ISTM_S_OK);
	mt_stop(mt);
	mt_put_record(mt, "target:garbage", "garbage", 7);
	mt_put_record(mt, "disk:newer", "ISTM\3\0\0\0\0\0\0\0\0\0\0\0", 16);
	mt_log_clear(mt);
	assert_hr(mt_start(mt), ISTM_NOT_READY);
	assert_non_null(strstr(mt->log, "record target:garbage refused"));
	assert_non_null(strstr(mt->log, "record disk:newer refused"));
	assert_non_null(strstr(mt->log, "newer istmd"));
	mt_put_record(mt, "target:garbage", NULL, 0);
	mt_put_record(mt, "disk:newer", NULL, 0);
	assert_hr(mt_start(mt), ISTM_S_OK);
	assert_non_null(model_target_by_name(mt->model, "A"));
}

/* What the first format wrote is read, works and is written anew. */
static void test_older_record(void **state)
{
	struct mt *mt = *state;
	struct model_disk *d;

	mt_stop(mt);
	mt_put_record(mt, "disk:61327a12-4694-4fde-9ee2-154b6af0a483",
		      store_disk_v1, sizeof(store_disk_v1));
	assert_hr(mt_start(mt), ISTM_S_OK);
	d = model_disk_by_index(mt->model, 1);
	assert_non_null(d);
	assert_string_equal(d->path, "C:\\sub\\b.vhd");
	assert_true(d->manage_mount_point);
	assert_string_equal(d->mount_point, "");
	assert_hr(model_disk_set_description(mt->model, d, "upgraded"),
		  ISTM_S_OK);
	assert_hr(model_disk_set_manage_mount_point(mt->model, d, false),
		  ISTM_S_OK);
	assert_hr(mt_save_disk(mt, 1), ISTM_S_OK);
	mt_restart(mt);
	d = model_disk_by_index(mt->model, 1);
	assert_non_null(d);
	assert_string_equal(d->description, "upgraded");
	assert_false(d->manage_mount_point);
}

static void test_dangling_mapping(void **state)
{
	struct mt *mt = *state;
	struct model_target *t = mt_target(mt, "A");
	uint32_t a = mt_disk(mt, "C:\\a.vhd");
	struct GUID guid = model_disk_by_index(mt->model, a)->guid;
	struct GUID_txt_buf buf;
	char key[100];

	assert_hr(model_target_add_disk(mt->model, t, a), ISTM_S_OK);
	assert_hr(mt_save(mt, t), ISTM_S_OK);
	mt_stop(mt);
	snprintf(key, sizeof(key), "disk:%s", GUID_buf_string(&guid, &buf));
	mt_put_record(mt, key, NULL, 0);
	mt_log_clear(mt);
	assert_hr(mt_start(mt), ISTM_S_OK);
	assert_non_null(strstr(mt->log, "dropped"));
	assert_int_equal(model_target_by_name(mt->model, "A")->num_mappings, 0);
}

/* A volume that is missing does not keep the rest from starting. */
static void test_missing_volume(void **state)
{
	struct mt *mt = *state;
	struct model_volume *volumes;
	uint32_t d = mt_disk(mt, "D:\\d.vhd");
	char away[700];

	mt_stop(mt);
	snprintf(away, sizeof(away), "%s-away", mt->second);
	assert_int_equal(rename(mt->second, away), 0);
	mt_log_clear(mt);
	assert_hr(mt_start(mt), ISTM_S_OK);
	assert_non_null(strstr(mt->log, "volume d:"));
	assert_int_equal(model_volumes(mt->model, mt->mem, &volumes), 1);
	assert_false(model_disk_by_index(mt->model, d)->usable);
	mt_stop(mt);
	assert_int_equal(rename(away, mt->second), 0);
	assert_hr(mt_start(mt), ISTM_S_OK);
	assert_true(model_disk_by_index(mt->model, d)->usable);
}

/* ---- cluster ---- */

static size_t two_groups(void *private_data, TALLOC_CTX *mem_ctx,
			 struct model_group **groups)
{
	*groups = talloc_zero_array(mem_ctx, struct model_group, 2);
	(*groups)[0].name = "Group A";
	(*groups)[0].guid.time_low = 1;
	(*groups)[0].local = true;
	(*groups)[1].name = "Group B";
	return 2;
}

static const char *group_a(void *private_data, TALLOC_CTX *mem_ctx,
			   const struct GUID *volume)
{
	return "Group A";
}

static const char *node_of(void *private_data, TALLOC_CTX *mem_ctx,
			   const char *group)
{
	return strcmp(group, "Group B") == 0 ? "node2" : NULL;
}

static HRESULT no_rename(void *private_data, const char *group,
			 const char *name)
{
	return ISTM_ACCESS_DENIED;
}

static int32_t online(void *private_data, const struct GUID *guid)
{
	return 2;
}

static const struct model_cluster_provider cluster = {
	.name = "test",
	.groups = two_groups,
	.group_of_volume = group_a,
	.owner = node_of,
	.rename = no_rename,
	.resource_state = online,
};

static void test_cluster(void **state)
{
	struct mt *mt = *state;
	struct model_group *groups;
	struct GUID guid;
	const char *text;
	size_t num;

	/* A machine by itself. */
	assert_false(model_is_clustered(mt->model));
	assert_hr(model_groups(mt->model, mt->mem, false, &groups, &num),
		  ISTM_NOT_IMPLEMENTED);
	assert_hr(model_group_guid(mt->model, "", &guid), ISTM_INVALID_ARG);
	assert_hr(model_group_guid(mt->model, "x", &guid), ISTM_INVALID_HANDLE);
	assert_hr(model_group_of_path(mt->model, mt->mem, "C:\\a", &text),
		  ISTM_S_OK);
	assert_string_equal(text, "");
	assert_hr(model_group_of_path(mt->model, mt->mem, "", &text),
		  ISTM_INVALID_ARG);
	assert_hr(model_group_rename(mt->model, "x", ""), ISTM_INVALID_ARG);
	assert_hr(model_group_rename(mt->model, "x", "y"), ISTM_INVALID_HANDLE);
	assert_hr(model_group_owner(mt->model, mt->mem, "", &text),
		  ISTM_POINTER);
	assert_hr(model_group_owner(mt->model, mt->mem, "x", &text),
		  ISTM_INVALID_HANDLE);
	assert_int_equal(model_resource_state(mt->model, &guid), -1);
	/* In a cluster. */
	model_set_cluster_provider(mt->model, &cluster, NULL);
	assert_true(model_is_clustered(mt->model));
	assert_hr(model_groups(mt->model, mt->mem, false, &groups, &num),
		  ISTM_S_OK);
	assert_int_equal(num, 2);
	assert_hr(model_groups(mt->model, mt->mem, true, &groups, &num),
		  ISTM_S_OK);
	assert_int_equal(num, 1);
	assert_hr(model_group_guid(mt->model, "group a", &guid), ISTM_S_OK);
	assert_int_equal(guid.time_low, 1);
	assert_hr(model_group_guid(mt->model, "group c", &guid),
		  ISTM_INVALID_HANDLE);
	assert_hr(model_group_of_path(mt->model, mt->mem, "C:\\a", &text),
		  ISTM_S_OK);
	assert_string_equal(text, "Group A");
	assert_hr(model_group_owner(mt->model, mt->mem, "Group B", &text),
		  ISTM_S_OK);
	assert_string_equal(text, "node2");
	assert_hr(model_group_rename(mt->model, "x", "y"), ISTM_ACCESS_DENIED);
	assert_int_equal(model_resource_state(mt->model, &guid), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_service),	     TEST(test_sns_servers),
		TEST(test_sns_server_twice), TEST(test_initiators),
		TEST(test_events),	     TEST(test_bad_records),
		TEST(test_older_record),     TEST(test_dangling_mapping),
		TEST(test_missing_volume),   TEST(test_cluster),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
