/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Snapshots over a provider of the test's: MS-ISTM 3.36 and 3.38. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "model_helpers.h"
#include "server/model/provider.h"

static struct {
	struct tevent_req *creating, *rolling;
	void (*progress)(unsigned percent, void *private_data);
	void *progress_data;
	unsigned deleted;
	HRESULT result;
} fake;

struct fake_state {
	int nothing;
};

static int fake_gone(struct fake_state *state)
{
	fake.creating = fake.rolling = NULL;
	return 0;
}

static struct tevent_req *fake_req(TALLOC_CTX *mem_ctx)
{
	struct fake_state *state;
	struct tevent_req *req =
		tevent_req_create(mem_ctx, &state, struct fake_state);

	talloc_set_destructor(state, fake_gone);
	return req;
}

static struct tevent_req *fake_create_send(TALLOC_CTX *mem_ctx,
					   struct tevent_context *ev,
					   void *private_data,
					   const struct model_disk *disk,
					   const struct GUID *id)
{
	fake.creating = fake_req(mem_ctx);
	return fake.creating;
}

static HRESULT fake_recv(struct tevent_req *req)
{
	return fake.result;
}

static struct tevent_req *fake_delete_send(TALLOC_CTX *mem_ctx,
					   struct tevent_context *ev,
					   void *private_data,
					   const struct GUID *disk_guid,
					   const struct GUID *id)
{
	struct tevent_req *req = fake_req(mem_ctx);

	fake.deleted++;
	tevent_req_done(req);
	return tevent_req_post(req, ev);
}

static struct tevent_req *fake_rollback_send(
	TALLOC_CTX *mem_ctx, struct tevent_context *ev, void *private_data,
	const struct model_disk *disk, const struct GUID *id,
	void (*progress)(unsigned percent, void *private_data),
	void *progress_data)
{
	fake.progress = progress;
	fake.progress_data = progress_data;
	fake.rolling = fake_req(mem_ctx);
	return fake.rolling;
}

static struct tevent_req *fake_open_send(TALLOC_CTX *mem_ctx,
					 struct tevent_context *ev,
					 void *private_data,
					 const struct model_disk *disk,
					 const struct GUID *id)
{
	struct tevent_req *req = fake_req(mem_ctx);

	tevent_req_done(req);
	return tevent_req_post(req, ev);
}

static HRESULT fake_open_recv(struct tevent_req *req, TALLOC_CTX *mem_ctx,
			      struct vhd_disk **disk)
{
	*disk = vhd_open_ram(mem_ctx, 8 * MiB);
	return fake.result;
}

static const struct model_snapshot_provider provider = {
	.name = "fake",
	.create_send = fake_create_send,
	.create_recv = fake_recv,
	.delete_send = fake_delete_send,
	.delete_recv = fake_recv,
	.rollback_send = fake_rollback_send,
	.rollback_recv = fake_recv,
	.open_send = fake_open_send,
	.open_recv = fake_open_recv,
};

static int setup(void **state)
{
	struct mt *mt;

	mt_setup(state);
	mt = *state;
	memset(&fake, 0, sizeof(fake));
	model_set_snapshot_provider(mt->model, &provider, NULL);
	return 0;
}

static HRESULT end(struct mt *mt, const struct GUID *id)
{
	struct tevent_req *req =
		model_snapshot_end_send(mt->mem, mt->model, id);
	HRESULT hr;

	assert_true(tevent_req_poll(req, mt->ev));
	hr = model_snapshot_end_recv(req);
	talloc_free(req);
	return hr;
}

static HRESULT delete (struct mt *mt, const struct GUID *id)
{
	struct tevent_req *req =
		model_snapshot_delete_send(mt->mem, mt->model, id);
	HRESULT hr;

	assert_true(tevent_req_poll(req, mt->ev));
	hr = model_snapshot_delete_recv(req);
	talloc_free(req);
	return hr;
}

static HRESULT export(struct mt *mt, const struct GUID *id, uint32_t *disk)
{
	struct tevent_req *req =
		model_snapshot_export_send(mt->mem, mt->model, id, NULL);
	HRESULT hr;

	assert_true(tevent_req_poll(req, mt->ev));
	hr = model_snapshot_export_recv(req, disk);
	talloc_free(req);
	return hr;
}

/* Prepared, done and ended. */
static struct GUID take(struct mt *mt, uint32_t disk)
{
	struct GUID id = {0};
	struct tevent_req *req;

	assert_hr(model_snapshot_prepare(mt->model, disk, &id), ISTM_S_OK);
	assert_hr(model_snapshot_do(mt->model, &id), ISTM_S_OK);
	req = model_snapshot_end_send(mt->mem, mt->model, &id);
	assert_true(tevent_req_is_in_progress(req));
	tevent_req_done(fake.creating);
	assert_true(tevent_req_poll(req, mt->ev));
	assert_hr(model_snapshot_end_recv(req), ISTM_S_OK);
	talloc_free(req);
	return id;
}

static void test_no_provider(void **state)
{
	struct mt *mt = *state;
	uint32_t a = mt_disk(mt, "C:\\a.vhd");
	struct GUID id = {0};

	model_set_snapshot_provider(mt->model, NULL, NULL);
	assert_false(model_snapshots_supported(mt->model));
	assert_hr(model_snapshot_prepare(mt->model, 99, &id),
		  ISTM_FILE_NOT_FOUND);
	assert_hr(model_snapshot_prepare(mt->model, a, &id),
		  ISTM_VSS_NOT_SUPPORTED);
}

static void test_create(void **state)
{
	struct mt *mt = *state;
	uint32_t a = mt_disk(mt, "C:\\a.vhd");
	struct GUID id = {0}, none = GUID_random(), *ids;
	struct model_snapshot *s;
	struct tevent_req *req;

	assert_hr(model_snapshot_prepare(mt->model, 99, &id),
		  ISTM_FILE_NOT_FOUND);
	assert_hr(model_snapshot_do(mt->model, &none), ISTM_FILE_NOT_FOUND);
	assert_hr(end(mt, &none), ISTM_FILE_NOT_FOUND);
	assert_hr(model_snapshot_prepare(mt->model, a, &id), ISTM_S_OK);
	assert_false(GUID_all_zero(&id));
	assert_hr(model_snapshot_prepare(mt->model, a, &id), ISTM_INVALID_ARG);
	s = model_snapshot_by_id(mt->model, &id);
	assert_int_equal(s->disk, a);
	assert_int_equal(s->status, 0);
	assert_int_equal(s->time_stamp, 0);
	assert_int_equal(model_snapshots(mt->model, mt->mem, &ids), 1);
	assert_hr(model_snapshot_do(mt->model, &id), ISTM_S_OK);
	assert_true(s->time_stamp > 0);
	req = model_snapshot_end_send(mt->mem, mt->model, &id);
	assert_true(tevent_req_is_in_progress(req));
	/* One who waits may leave. */
	talloc_free(model_snapshot_end_send(mt->mem, mt->model, &id));
	tevent_req_done(fake.creating);
	assert_true(tevent_req_poll(req, mt->ev));
	assert_hr(model_snapshot_end_recv(req), ISTM_S_OK);
	assert_hr(end(mt, &id), ISTM_S_OK);
	mt_restart(mt);
	assert_non_null(model_snapshot_by_id(mt->model, &id));
	assert_int_equal(model_snapshot_by_id(mt->model, &id)->disk, a);
}

static void test_failed(void **state)
{
	struct mt *mt = *state;
	uint32_t a = mt_disk(mt, "C:\\a.vhd");
	struct GUID id = {0};
	struct tevent_req *req;

	assert_hr(model_snapshot_prepare(mt->model, a, &id), ISTM_S_OK);
	assert_hr(model_snapshot_do(mt->model, &id), ISTM_S_OK);
	req = model_snapshot_end_send(mt->mem, mt->model, &id);
	fake.result = ISTM_DISK_FULL;
	tevent_req_done(fake.creating);
	assert_true(tevent_req_poll(req, mt->ev));
	assert_hr(model_snapshot_end_recv(req), ISTM_DISK_FULL);
	assert_hr(end(mt, &id), ISTM_DISK_FULL);
	mt_restart(mt);
	assert_null(model_snapshot_by_id(mt->model, &id));
}

static void test_delete(void **state)
{
	struct mt *mt = *state;
	uint32_t a = mt_disk(mt, "C:\\a.vhd");
	struct GUID id = take(mt, a), none = GUID_random();

	assert_hr(delete (mt, &none), ISTM_S_OK);
	assert_hr(delete (mt, &id), ISTM_S_OK);
	assert_int_equal(fake.deleted, 1);
	assert_null(model_snapshot_by_id(mt->model, &id));
	mt_restart(mt);
	assert_null(model_snapshot_by_id(mt->model, &id));
}

/* Its snapshots go with a disk, in the store too. */
static void test_disk_deleted(void **state)
{
	struct mt *mt = *state;
	uint32_t a = mt_disk(mt, "C:\\a.vhd");
	struct GUID id = take(mt, a);

	assert_hr(mt_delete_disk(mt, a), ISTM_S_OK);
	assert_int_equal(fake.deleted, 1);
	assert_null(model_snapshot_by_id(mt->model, &id));
	mt_log_clear(mt);
	mt_restart(mt);
	assert_null(strstr(mt->log, "dropped"));
	/* A closed one comes back with them. */
	model_set_snapshot_provider(mt->model, &provider, NULL);
	a = mt_disk(mt, "C:\\b.vhd");
	id = take(mt, a);
	assert_hr(mt_close_disk(mt, a), ISTM_S_OK);
	assert_null(model_snapshot_by_id(mt->model, &id));
	mt_restart(mt);
	assert_non_null(model_snapshot_by_id(mt->model, &id));
	assert_int_equal(fake.deleted, 1);
}

static void test_rollback(void **state)
{
	struct mt *mt = *state;
	uint32_t a = mt_disk(mt, "C:\\a.vhd"), percent;
	struct model_disk *d = model_disk_by_index(mt->model, a);
	struct GUID id = take(mt, a);
	struct model_snapshot *s = model_snapshot_by_id(mt->model, &id);
	HRESULT completion;

	mt_events_clear(mt);
	assert_hr(model_snapshot_rollback(mt->model, s), ISTM_S_OK);
	assert_int_equal(model_disk_status(mt->model, d), MODEL_DISK_REVERTING);
	assert_int_equal(s->status, MODEL_SNAPSHOT_ROLLBACK);
	assert_hr(model_snapshot_rollback(mt->model, s), ISTM_IO_PENDING);
	assert_hr(model_disk_set_enabled(mt->model, d, false),
		  ISTM_SHARING_VIOLATION);
	assert_hr(mt_delete_disk(mt, a), ISTM_SHARING_VIOLATION);
	assert_hr(delete (mt, &id), ISTM_SHARING_VIOLATION);
	fake.progress(10, fake.progress_data);
	fake.progress(10, fake.progress_data);
	fake.progress(55, fake.progress_data);
	model_disk_progress(mt->model, d, &percent, &completion);
	assert_int_equal(percent, 55);
	tevent_req_done(fake.rolling);
	/* Start, 10, 55, completion. */
	assert_int_equal(mt->events[MODEL_EVENT_LUN_STATUS], 4);
	assert_int_equal(model_disk_status(mt->model, d), MODEL_DISK_IDLE);
	assert_int_equal(s->status, 0);
	model_disk_progress(mt->model, d, &percent, &completion);
	assert_int_equal(percent, 100);
	assert_hr(completion, ISTM_S_OK);
	/* And one that is aborted. */
	assert_hr(model_snapshot_rollback(mt->model, s), ISTM_S_OK);
	assert_hr(model_snapshot_abort_rollback(mt->model, s), ISTM_S_OK);
	assert_null(fake.rolling);
	assert_int_equal(model_disk_status(mt->model, d), MODEL_DISK_IDLE);
	model_disk_progress(mt->model, d, &percent, &completion);
	assert_hr(completion, ISTM_ABORT);
	assert_hr(model_disk_set_enabled(mt->model, d, false), ISTM_S_OK);
	assert_hr(model_snapshot_rollback(mt->model, s), ISTM_INVALID_HANDLE);
}

static void test_export(void **state)
{
	struct mt *mt = *state;
	uint32_t a = mt_disk(mt, "C:\\a.vhd"), shadow, other;
	struct model_target *t = mt_target(mt, "A");
	struct GUID id = take(mt, a);
	struct model_snapshot *s = model_snapshot_by_id(mt->model, &id);
	struct model_disk *d;

	assert_hr(export(mt, &id, &shadow), ISTM_S_OK);
	assert_int_equal(s->status, MODEL_SNAPSHOT_EXPORTED);
	assert_int_equal(s->exported_disk, shadow);
	d = model_disk_by_index(mt->model, shadow);
	assert_int_equal(d->flags, 3);
	assert_true(d->usable);
	assert_hr(model_target_add_disk(mt->model, t, shadow), ISTM_S_OK);
	assert_hr(export(mt, &id, &other), ISTM_ABORT);
	assert_hr(mt_delete_disk(mt, a), ISTM_DEPENDENT_RESOURCE_EXISTS);
	assert_int_equal(model_disk_by_path(mt->model, "C:\\a.vhd")->index, a);
	/* Not of a shadow. */
	id = GUID_random();
	assert_hr(model_snapshot_prepare(mt->model, shadow, &id),
		  ISTM_INVALID_FUNCTION);
	/* The exported disk goes with the snapshot. */
	id = s->id;
	assert_hr(delete (mt, &id), ISTM_S_OK);
	assert_null(model_disk_by_index(mt->model, shadow));
	assert_int_equal(t->num_mappings, 0);
	/* Or before it. */
	id = take(mt, a);
	assert_hr(export(mt, &id, &shadow), ISTM_S_OK);
	assert_hr(mt_delete_disk(mt, shadow), ISTM_S_OK);
	s = model_snapshot_by_id(mt->model, &id);
	assert_int_equal(s->status, 0);
	assert_false(s->exported);
	assert_hr(mt_delete_disk(mt, a), ISTM_S_OK);
}

static void test_schedule(void **state)
{
	struct mt *mt = *state;
	struct model_schedule schedule = {.day = 6, .start = 1234567}, now;
	struct tevent_req *req =
		model_schedule_set_send(mt->mem, mt->model, &schedule);

	assert_true(tevent_req_poll(req, mt->ev));
	assert_hr(model_schedule_set_recv(req), ISTM_S_OK);
	talloc_free(req);
	mt_restart(mt);
	model_schedule(mt->model, &now);
	assert_int_equal(now.day, 6);
	assert_int_equal(now.start, 1234567);
	assert_false(now.everyday);
	schedule.day = 7;
	req = model_schedule_set_send(mt->mem, mt->model, &schedule);
	assert_true(tevent_req_poll(req, mt->ev));
	assert_hr(model_schedule_set_recv(req), ISTM_INVALID_ARG);
	talloc_free(req);
}

#undef TEST
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, mt_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_no_provider),	 TEST(test_create),
		TEST(test_failed),	 TEST(test_delete),
		TEST(test_disk_deleted), TEST(test_rollback),
		TEST(test_export),	 TEST(test_schedule),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
