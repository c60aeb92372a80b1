/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ISnapshot and ISnapshotMgr (MS-ISTM 3.36, 3.38) over the real model with a
 * provider of the test's; the runtime is the test's too, so that methods are
 * called as it would call them.
 */
#include <stdio.h>
#include <stdlib.h>

#include "model_helpers.h"
#include "server/dcom/proxy.h"
#include "server/istm/private.h"
#include "server/model/provider.h"

/* ---- the runtime ---- */

struct dcom_object {
	const struct dcom_object_type *type;
	void *self;
	struct GUID key;
};

/* The one call in progress. */
struct dcom_call {
	TALLOC_CTX *mem;
	bool deferred, finished;
	HRESULT result;
	struct dcom_object *returned;
	char audit[256];
};

struct dcom_runtime {
	struct dcom_object *keyed[8];
	size_t num_keyed;
};

struct dcom_object *dcom_object_create(struct dcom_runtime *runtime,
				       const struct dcom_object_type *type,
				       void *self, const struct GUID *key)
{
	struct dcom_object *object = talloc_zero(runtime, struct dcom_object);

	object->type = type;
	object->self = talloc_steal(object, self);
	if (key != NULL) {
		object->key = *key;
		runtime->keyed[runtime->num_keyed++] = object;
	}
	return object;
}

void *dcom_object_self(struct dcom_object *object)
{
	return object->self;
}

/* Nobody here asks for the object of the one call. */
struct dcom_object *dcom_call_object(const struct dcom_call *call)
{
	return NULL;
}

struct dcom_object *dcom_object_find(struct dcom_runtime *runtime,
				     const struct dcom_object_type *type,
				     const struct GUID *key)
{
	for (size_t i = 0; i < runtime->num_keyed; i++) {
		struct dcom_object *object = runtime->keyed[i];

		if (object->type == type && GUID_equal(&object->key, key)) {
			return object;
		}
	}
	return NULL;
}

void dcom_object_pin(struct dcom_object *object)
{
}

HRESULT dcom_class_register(struct dcom_runtime *runtime,
			    const struct dcom_class *dcom_class)
{
	return ISTM_S_OK;
}

HRESULT dcom_return_object(struct dcom_call *call, struct dcom_object *object,
			   const struct com_interface *interface,
			   struct MInterfacePointer **out)
{
	call->returned = object;
	return ISTM_S_OK;
}

TALLOC_CTX *dcom_call_mem(struct dcom_call *call)
{
	return call->mem;
}

void dcom_call_audit(struct dcom_call *call, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(call->audit, sizeof(call->audit), fmt, ap);
	va_end(ap);
}

void dcom_call_defer(struct dcom_call *call)
{
	call->deferred = true;
}

void dcom_call_finish(struct dcom_call *call, HRESULT result)
{
	call->finished = true;
	call->result = result;
}

struct tevent_context *dcom_runtime_ev(const struct dcom_runtime *runtime)
{
	return NULL;
}

/* Nor does anybody hand in objects. */
HRESULT dcom_own_object(struct dcom_call *call,
			const struct MInterfacePointer *mip,
			const struct com_interface *interface,
			struct dcom_object **object)
{
	abort();
}

void dcom_own_object_done(struct dcom_call *call,
			  const struct MInterfacePointer *mip)
{
	abort();
}

const struct dcom_object_type *dcom_object_type_of(
	const struct dcom_object *object)
{
	return object->type;
}

struct tevent_context *dcom_call_ev(const struct dcom_call *call)
{
	abort();
}

/* Nobody registers for notifications here. */
HRESULT dcom_proxy_create(TALLOC_CTX *mem_ctx, struct dcom_call *call,
			  const struct MInterfacePointer *mip,
			  const struct com_interface *interface,
			  struct dcom_proxy **proxy)
{
	abort();
}

bool dcom_proxy_same(const struct dcom_proxy *a, const struct dcom_proxy *b)
{
	abort();
}

void dcom_proxy_merge(struct dcom_proxy *proxy, struct dcom_proxy *other)
{
	abort();
}

const char *dcom_proxy_name(const struct dcom_proxy *proxy)
{
	abort();
}

struct tevent_req *dcom_proxy_call_send(TALLOC_CTX *mem_ctx,
					struct tevent_context *ev,
					struct dcom_proxy *proxy,
					uint32_t opnum, void *r)
{
	abort();
}

HRESULT dcom_proxy_call_recv(struct tevent_req *req)
{
	abort();
}

/* ---- the provider ---- */

static struct {
	struct tevent_req *rolling;
	void (*progress)(unsigned percent, void *private_data);
	void *progress_data;
} fake;

struct fake_state {
	int nothing;
};

static struct tevent_req *fake_req(TALLOC_CTX *mem_ctx,
				   struct tevent_context *ev)
{
	struct fake_state *state;
	struct tevent_req *req =
		tevent_req_create(mem_ctx, &state, struct fake_state);

	if (ev != NULL) {
		tevent_req_done(req);
		tevent_req_post(req, ev);
	}
	return req;
}

static struct tevent_req *fake_create_send(TALLOC_CTX *mem_ctx,
					   struct tevent_context *ev,
					   void *private_data,
					   const struct model_disk *disk,
					   const struct GUID *id)
{
	return fake_req(mem_ctx, ev);
}

static struct tevent_req *fake_delete_send(TALLOC_CTX *mem_ctx,
					   struct tevent_context *ev,
					   void *private_data,
					   const struct GUID *disk_guid,
					   const struct GUID *id)
{
	return fake_req(mem_ctx, ev);
}

static struct tevent_req *fake_rollback_send(
	TALLOC_CTX *mem_ctx, struct tevent_context *ev, void *private_data,
	const struct model_disk *disk, const struct GUID *id,
	void (*progress)(unsigned percent, void *progress_data),
	void *progress_data)
{
	fake.progress = progress;
	fake.progress_data = progress_data;
	fake.rolling = fake_req(mem_ctx, NULL);
	return fake.rolling;
}

static struct tevent_req *fake_open_send(TALLOC_CTX *mem_ctx,
					 struct tevent_context *ev,
					 void *private_data,
					 const struct model_disk *disk,
					 const struct GUID *id)
{
	return fake_req(mem_ctx, ev);
}

static HRESULT fake_recv(struct tevent_req *req)
{
	return ISTM_S_OK;
}

static HRESULT fake_open_recv(struct tevent_req *req, TALLOC_CTX *mem_ctx,
			      struct vhd_disk **disk)
{
	*disk = vhd_open_ram(mem_ctx, 8 * MiB);
	return ISTM_S_OK;
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

/* ---- calling ---- */

static struct fixture {
	struct mt *mt;
	struct dcom_runtime *runtime;
	struct istm *istm;
	struct istm_object *mgr;
	struct dcom_call call;
	uint32_t disk;
} f;

static int setup(void **state)
{
	mt_setup(state);
	memset(&f, 0, sizeof(f));
	memset(&fake, 0, sizeof(fake));
	f.mt = *state;
	model_set_snapshot_provider(f.mt->model, &provider, NULL);
	f.runtime = talloc_zero(f.mt->mem, struct dcom_runtime);
	f.istm = talloc_zero(f.runtime, struct istm);
	f.istm->runtime = f.runtime;
	f.istm->model = f.mt->model;
	f.mgr = ISTM_OBJECT(f.istm, struct istm_object);
	f.disk = mt_disk(f.mt, "C:\\a.vhd");
	return 0;
}

/*
 * Run a method as the runtime does: by opnum, waiting for one that answers
 * later.
 */
static HRESULT call(const struct dcom_object_type *type, void *self,
		    const struct com_interface *iface, uint32_t opnum, void *r)
{
	const struct com_method *method = com_method_by_opnum(iface, opnum);

	assert_non_null(method);
	talloc_free(f.call.mem);
	memset(&f.call, 0, sizeof(f.call));
	f.call.mem = talloc_new(f.mt->mem);
	f.call.result = method->thunk(type->vtbl, &f.call, self, r);
	while (f.call.deferred && !f.call.finished) {
		assert_int_equal(tevent_loop_once(f.mt->ev), 0);
	}
	return f.call.result;
}

static HRESULT mgr(uint32_t opnum, void *r)
{
	return call(&istm_snapshot_mgr_type, f.mgr, &com_ISnapshotMgr, opnum,
		    r);
}

static HRESULT snapshot(void *self, uint32_t opnum, void *r)
{
	return call(&istm_snapshot_type, self, &com_ISnapshot, opnum, r);
}

static HRESULT prepare(uint32_t disk, struct GUID *id)
{
	struct GUID out = *id;
	struct ISnapshotMgr_PrepareCreateSnapshot r = {
		.in = {.nWTD = disk, .pSnapshotId = id},
		.out = {.pSnapshotId = &out},
	};
	HRESULT hr = mgr(NDR_ISNAPSHOTMGR_PREPARECREATESNAPSHOT, &r);

	*id = out;
	return hr;
}

static HRESULT get_snapshot(const struct GUID *id)
{
	struct MInterfacePointer *out = NULL;
	struct ISnapshotMgr_GetSnapshot r = {
		.in = {.SnapshotId = *id},
		.out = {.ppSnapshot = &out},
	};

	return mgr(NDR_ISNAPSHOTMGR_GETSNAPSHOT, &r);
}

static HRESULT delete_snapshot(const struct GUID *id)
{
	struct ISnapshotMgr_DeleteSnapshot r = {.in.SnapshotId = *id};

	return mgr(NDR_ISNAPSHOTMGR_DELETESNAPSHOT, &r);
}

/* Prepared, done and ended; the object. */
static void *take(struct GUID *id)
{
	struct ISnapshotMgr_DoCreateSnapshot create = {0};
	struct ISnapshotMgr_DoEndSnapshot end = {0};

	*id = (struct GUID){0};
	assert_hr(prepare(f.disk, id), ISTM_S_OK);
	create.in.SnapshotId = end.in.SnapshotId = *id;
	assert_hr(mgr(NDR_ISNAPSHOTMGR_DOCREATESNAPSHOT, &create), ISTM_S_OK);
	assert_hr(mgr(NDR_ISNAPSHOTMGR_DOENDSNAPSHOT, &end), ISTM_S_OK);
	assert_hr(get_snapshot(id), ISTM_S_OK);
	assert_non_null(f.call.returned);
	return f.call.returned->self;
}

static uint32_t status(void *self)
{
	uint32_t value = ~0u;
	struct ISnapshot_get_Status r = {.out.pStatus = &value};

	assert_hr(snapshot(self, NDR_ISNAPSHOT_GET_STATUS, &r), ISTM_S_OK);
	return value;
}

/* ---- the tests ---- */

static void test_prepare(void **state)
{
	struct GUID id = {0}, given = GUID_random(), same;

	assert_hr(prepare(99, &id), ISTM_FILE_NOT_FOUND);
	assert_true(GUID_all_zero(&id));
	assert_hr(prepare(f.disk, &id), ISTM_S_OK);
	assert_false(GUID_all_zero(&id));
	assert_non_null(strstr(f.call.audit, "snapshot {"));
	same = given;
	assert_hr(prepare(f.disk, &given), ISTM_S_OK);
	assert_true(GUID_equal(&given, &same));
	/* it exists now; what comes back of a failure is zero */
	assert_hr(prepare(f.disk, &given), ISTM_INVALID_ARG);
	assert_true(GUID_all_zero(&given));
}

static void test_unknown(void **state)
{
	struct GUID id = GUID_random();
	struct ISnapshotMgr_DoCreateSnapshot create = {.in.SnapshotId = id};
	struct ISnapshotMgr_DoEndSnapshot end = {.in.SnapshotId = id};

	assert_hr(get_snapshot(&id), ISTM_FILE_NOT_FOUND);
	assert_hr(mgr(NDR_ISNAPSHOTMGR_DOCREATESNAPSHOT, &create),
		  ISTM_FILE_NOT_FOUND);
	assert_hr(mgr(NDR_ISNAPSHOTMGR_DOENDSNAPSHOT, &end),
		  ISTM_FILE_NOT_FOUND);
	assert_hr(delete_snapshot(&id), ISTM_S_OK);
}

static void test_properties(void **state)
{
	struct GUID id, guid = {0};
	void *self = take(&id);
	uint32_t wtd = ~0u;
	uint8_t persistent = 0;
	uint64_t stamp = 0;
	struct ISnapshot_get_Id get_id = {.out.pId = &guid};
	struct ISnapshot_get_OrigWTD get_orig = {.out.pWTD = &wtd};
	struct ISnapshot_get_TimeStamp get_stamp = {.out.pTimeStamp = &stamp};
	struct ISnapshot_get_Persistent get_persistent = {.out.pPersistent =
								  &persistent};
	struct ISnapshot_Save save = {0};

	assert_hr(snapshot(self, NDR_ISNAPSHOT_GET_ID, &get_id), ISTM_S_OK);
	assert_true(GUID_equal(&guid, &id));
	assert_hr(snapshot(self, NDR_ISNAPSHOT_GET_ORIGWTD, &get_orig),
		  ISTM_S_OK);
	assert_int_equal(wtd, f.disk);
	assert_hr(snapshot(self, NDR_ISNAPSHOT_GET_TIMESTAMP, &get_stamp),
		  ISTM_S_OK);
	assert_true(stamp > 0);
	assert_hr(snapshot(self, NDR_ISNAPSHOT_GET_PERSISTENT, &get_persistent),
		  ISTM_S_OK);
	assert_int_equal(persistent, 1);
	assert_int_equal(status(self), 0);
	assert_hr(snapshot(self, NDR_ISNAPSHOT_SAVE, &save), ISTM_S_OK);
}

static void test_one_object_and_enumeration(void **state)
{
	struct GUID id;
	struct dcom_object *first;
	struct MInterfacePointer *out = NULL;
	uint32_t returned = ~0u;
	struct ISnapshotMgr_EnumSnapshots all = {.out.ppEnumSnapshot = &out};
	struct IEnumSnapshot_Next next = {
		.in.ulNumElements = 1,
		.out = {.pElements = &out, .pNumElementsReturned = &returned},
	};
	const struct dcom_object *list;

	take(&id);
	first = f.call.returned;
	assert_hr(mgr(NDR_ISNAPSHOTMGR_ENUMSNAPSHOTS, &all), ISTM_S_OK);
	list = f.call.returned;
	assert_hr(call(list->type, list->self, &com_IEnumSnapshot,
		       NDR_IENUMSNAPSHOT_NEXT, &next),
		  ISTM_S_OK);
	assert_int_equal(returned, 1);
	assert_ptr_equal(f.call.returned, first);
	assert_hr(call(list->type, list->self, &com_IEnumSnapshot,
		       NDR_IENUMSNAPSHOT_NEXT, &next),
		  ISTM_S_FALSE);
	assert_int_equal(returned, 0);
}

static void test_rollback(void **state)
{
	struct GUID id;
	void *self = take(&id);
	struct ISnapshot_Rollback rollback = {0};
	struct ISnapshot_AbortRollback abort = {0};
	const struct model_disk *disk =
		model_disk_by_index(f.mt->model, f.disk);
	struct istm_object *object = ISTM_OBJECT(f.istm, struct istm_object);
	struct LUN_STATUS s = {0};
	struct IWTDisk3_GetLunStatus lun = {.out.Status = &s};

	object->guid = disk->guid;
	assert_hr(snapshot(self, NDR_ISNAPSHOT_ROLLBACK, &rollback), ISTM_S_OK);
	assert_int_equal(status(self), 4);
	assert_hr(snapshot(self, NDR_ISNAPSHOT_ROLLBACK, &rollback),
		  ISTM_IO_PENDING);
	assert_hr(delete_snapshot(&id), ISTM_SHARING_VIOLATION);
	fake.progress(42, fake.progress_data);
	assert_hr(call(&istm_wtdisk_type, object, &com_IWTDisk3,
		       NDR_IWTDISK3_GETLUNSTATUS, &lun),
		  ISTM_S_OK);
	assert_int_equal(s.dwLun, f.disk);
	assert_int_equal(s.eStatus, Reverting);
	assert_int_equal(s.dwProgressPercent, 42);
	assert_hr(snapshot(self, NDR_ISNAPSHOT_ABORTROLLBACK, &abort),
		  ISTM_S_OK);
	assert_int_equal(status(self), 0);
	assert_hr(snapshot(self, NDR_ISNAPSHOT_ROLLBACK, &rollback), ISTM_S_OK);
	tevent_req_done(fake.rolling);
	assert_int_equal(status(self), 0);
	assert_hr(call(&istm_wtdisk_type, object, &com_IWTDisk3,
		       NDR_IWTDISK3_GETLUNSTATUS, &lun),
		  ISTM_S_OK);
	assert_int_equal(s.eStatus, Idle);
	assert_int_equal(s.dwProgressPercent, 100);
	assert_int_equal(s.dwCompletionError, 0);
}

static uint32_t le32(const uint8_t *p)
{
	return p[0] | p[1] << 8 | p[2] << 16 | (uint32_t)p[3] << 24;
}

static void test_export(void **state)
{
	struct GUID id;
	void *self = take(&id);
	uint32_t wtd = ~0u, exported = ~0u;
	struct VDS_LUN_INFORMATION info = {0};
	struct ISnapshot_GetVdsLunInfo get = {.out.pVdsLunInfo = &info};
	struct ISnapshot_get_ExportedWTD get_exported = {.out.pWTD = &exported};
	struct ISnapshot_ExportAsWTDisk r = {
		.out = {.pWTD = &wtd, .pVdsLunInfo = &info},
	};
	const struct VDS_STORAGE_IDENTIFIER *vendor;
	const struct model_disk *disk;

	assert_hr(snapshot(self, NDR_ISNAPSHOT_GETVDSLUNINFO, &get), ISTM_FAIL);
	assert_hr(snapshot(self, NDR_ISNAPSHOT_EXPORTASWTDISK, &r), ISTM_S_OK);
	assert_int_equal(status(self), 1);
	disk = model_disk_by_index(f.mt->model, wtd);
	assert_non_null(disk);
	assert_int_not_equal(wtd, f.disk);
	assert_int_equal(disk->flags & 2, 2);
	assert_hr(snapshot(self, NDR_ISNAPSHOT_GET_EXPORTEDWTD, &get_exported),
		  ISTM_S_OK);
	assert_int_equal(exported, wtd);

	/* 2.2.4.21: the snapshot's Id, as it lies in memory on Windows. */
	assert_hr(snapshot(self, NDR_ISNAPSHOT_GETVDSLUNINFO, &get), ISTM_S_OK);
	assert_int_equal(info.m_deviceIdDescriptor.m_cIdentifiers, 2);
	vendor = &info.m_deviceIdDescriptor.m_rgIdentifiers[1];
	assert_int_equal(vendor->m_cbIdentifier, 180);
	assert_int_equal(le32(vendor->m_rgbIdentifier + 160), wtd);
	assert_int_equal(le32(vendor->m_rgbIdentifier + 164), id.time_low);
	assert_memory_equal(vendor->m_rgbIdentifier + 174, id.node, 6);

	assert_hr(snapshot(self, NDR_ISNAPSHOT_EXPORTASWTDISK, &r), ISTM_ABORT);
	/* The exported disk goes with its snapshot. */
	assert_hr(delete_snapshot(&id), ISTM_S_OK);
	assert_null(model_disk_by_index(f.mt->model, wtd));
}

static void test_deleted(void **state)
{
	struct GUID id;
	void *self = take(&id);
	uint32_t value;
	struct ISnapshot_get_Status get = {.out.pStatus = &value};
	struct ISnapshot_Rollback rollback = {0};
	struct ISnapshot_DVDismount dismount = {0};

	assert_hr(snapshot(self, NDR_ISNAPSHOT_DVDISMOUNT, &dismount),
		  ISTM_INVALID_OPERATION);
	assert_hr(delete_snapshot(&id), ISTM_S_OK);
	assert_hr(snapshot(self, NDR_ISNAPSHOT_GET_STATUS, &get),
		  ISTM_FILE_NOT_FOUND);
	assert_hr(snapshot(self, NDR_ISNAPSHOT_ROLLBACK, &rollback),
		  ISTM_FILE_NOT_FOUND);
	assert_hr(snapshot(self, NDR_ISNAPSHOT_DVDISMOUNT, &dismount),
		  ISTM_FILE_NOT_FOUND);
	assert_hr(get_snapshot(&id), ISTM_FILE_NOT_FOUND);
}

#define SNAPSHOT_TEST(fn)                                                      \
	cmocka_unit_test_setup_teardown(fn, setup, mt_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SNAPSHOT_TEST(test_prepare),
		SNAPSHOT_TEST(test_unknown),
		SNAPSHOT_TEST(test_properties),
		SNAPSHOT_TEST(test_one_object_and_enumeration),
		SNAPSHOT_TEST(test_rollback),
		SNAPSHOT_TEST(test_export),
		SNAPSHOT_TEST(test_deleted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
