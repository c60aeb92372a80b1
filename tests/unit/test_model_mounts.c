/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Local mounts over a provider of the test's: what goes on when clients leave
 * and when disks and snapshots go half way (server/model/mounts.c). */
#include <string.h>

#include "model_helpers.h"
#include "server/model/provider.h"

static struct {
	struct tevent_req *mounting, *dismounting;
	unsigned mounts, dismounts, gone;
} fake;

struct fake_state {
	struct tevent_req **slot;
};

static int fake_gone(struct fake_state *state)
{
	*state->slot = NULL;
	fake.gone++;
	return 0;
}

static struct tevent_req *fake_req(TALLOC_CTX *mem_ctx,
				   struct tevent_req **slot)
{
	struct fake_state *state;

	*slot = tevent_req_create(mem_ctx, &state, struct fake_state);
	state->slot = slot;
	talloc_set_destructor(state, fake_gone);
	return *slot;
}

static struct tevent_req *fake_mount_send(TALLOC_CTX *mem_ctx,
					  struct tevent_context *ev,
					  void *private_data,
					  const struct model_disk *disk,
					  const struct GUID *snapshot)
{
	fake.mounts++;
	return fake_req(mem_ctx, &fake.mounting);
}

static HRESULT fake_mount_recv(struct tevent_req *req, TALLOC_CTX *mem_ctx,
			       const char **device_id)
{
	*device_id = talloc_strdup(mem_ctx, "device");
	return ISTM_S_OK;
}

static struct tevent_req *fake_dismount_send(TALLOC_CTX *mem_ctx,
					     struct tevent_context *ev,
					     void *private_data,
					     const struct GUID *disk)
{
	fake.dismounts++;
	return fake_req(mem_ctx, &fake.dismounting);
}

static HRESULT fake_dismount_recv(struct tevent_req *req)
{
	return ISTM_S_OK;
}

static size_t fake_mount_points(void *private_data, TALLOC_CTX *mem_ctx,
				const struct GUID *disk, const char ***paths)
{
	*paths = NULL;
	return 0;
}

static const struct model_mount_provider provider = {
	.name = "fake",
	.mount_send = fake_mount_send,
	.mount_recv = fake_mount_recv,
	.dismount_send = fake_dismount_send,
	.dismount_recv = fake_dismount_recv,
	.mount_points = fake_mount_points,
};

static struct model_disk *setup_disk(struct mt *mt)
{
	memset(&fake, 0, sizeof(fake));
	model_set_mount_provider(mt->model, &provider, NULL);
	return model_disk_by_index(mt->model, mt_disk(mt, "C:\\a.vhd"));
}

static enum model_mount mounted(struct mt *mt, const struct model_disk *d)
{
	struct model_mount_info info;

	model_disk_mount_info(mt->model, d, &info);
	return info.type;
}

/* The client leaves while it is mounted: it is mounted all the same. */
static void test_client_leaves(void **state)
{
	struct mt *mt = *state;
	struct model_disk *d = setup_disk(mt);
	struct tevent_req *req = model_disk_mount_send(mt->mem, mt->model, d);

	assert_true(model_disk_mounting(d));
	talloc_free(req);
	assert_non_null(fake.mounting);
	tevent_req_done(fake.mounting);
	assert_int_equal(mounted(mt, d), MODEL_MOUNT_DIRECT);
	assert_false(model_disk_mounting(d));
}

/* Disabled while it is being mounted: it ends up not mounted. */
static void test_disabled_meanwhile(void **state)
{
	struct mt *mt = *state;
	struct model_disk *d = setup_disk(mt);
	struct tevent_req *req = model_disk_mount_send(mt->mem, mt->model, d);

	assert_hr(model_disk_set_enabled(mt->model, d, false), ISTM_S_OK);
	tevent_req_done(fake.mounting);
	assert_hr(model_mount_recv(req), ISTM_FAIL);
	talloc_free(req);
	assert_int_equal(fake.dismounts, 1);
	req = model_disk_settled_send(mt->mem, mt->model, d);
	tevent_req_done(fake.dismounting);
	assert_true(tevent_req_poll(req, mt->ev));
	assert_hr(model_mount_recv(req), ISTM_S_OK);
	talloc_free(req);
	assert_int_equal(mounted(mt, d), MODEL_MOUNT_NONE);
	/* nothing to wait for */
	req = model_disk_settled_send(mt->mem, mt->model, d);
	assert_true(tevent_req_poll(req, mt->ev));
	assert_hr(model_mount_recv(req), ISTM_S_OK);
	talloc_free(req);
}

/* One step at a time; nobody takes the disk away meanwhile. */
static void test_busy(void **state)
{
	struct mt *mt = *state;
	struct model_disk *d = setup_disk(mt);
	struct tevent_req *req = model_disk_mount_send(mt->mem, mt->model, d);
	struct tevent_req *second;

	second = model_disk_mount_send(mt->mem, mt->model, d);
	assert_true(tevent_req_poll(second, mt->ev));
	assert_hr(model_mount_recv(second), ISTM_SHARING_VIOLATION);
	talloc_free(second);
	assert_hr(mt_delete_disk(mt, d->index), ISTM_SHARING_VIOLATION);
	assert_hr(mt_close_disk(mt, d->index), ISTM_SHARING_VIOLATION);
	assert_int_equal(fake.mounts, 1);
	tevent_req_done(fake.mounting);
	assert_hr(model_mount_recv(req), ISTM_S_OK);
	talloc_free(req);
	assert_hr(mt_delete_disk(mt, d->index), ISTM_SHARING_VIOLATION);
}

/* CloseWTDisk waits until it is dismounted. */
static void test_close(void **state)
{
	struct mt *mt = *state;
	struct model_disk *d = setup_disk(mt);
	uint32_t index = d->index;
	struct tevent_req *req = model_disk_mount_send(mt->mem, mt->model, d);

	tevent_req_done(fake.mounting);
	talloc_free(req);
	req = model_disk_close_send(mt->mem, mt->model, index);
	assert_int_equal(fake.dismounts, 1);
	assert_non_null(model_disk_by_index(mt->model, index));
	tevent_req_done(fake.dismounting);
	assert_true(tevent_req_poll(req, mt->ev));
	assert_hr(model_disk_close_recv(req), ISTM_S_OK);
	talloc_free(req);
	assert_null(model_disk_by_index(mt->model, index));
}

/* The service ends half way: the provider's request goes with it. */
static void test_end(void **state)
{
	struct mt *mt = *state;
	struct model_disk *d = setup_disk(mt);
	struct tevent_req *req = model_disk_mount_send(mt->mem, mt->model, d);

	mt_stop(mt);
	assert_int_equal(fake.gone, 1);
	assert_true(tevent_req_is_in_progress(req)); /* without an answer */
	talloc_free(req);
	assert_hr(mt_start(mt), ISTM_S_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_client_leaves), TEST(test_disabled_meanwhile),
		TEST(test_busy),	  TEST(test_close),
		TEST(test_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
