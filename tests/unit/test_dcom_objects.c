/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Objects, interface pointers and who keeps them. */
#include "dcom_helpers.h"
#include "gen_ndr/com_istm.h"

#define ALICE "S-1-5-21-1-2-3-1000@192.0.2.1"
#define BOB   "S-1-5-21-1-2-3-1001@192.0.2.1"

static int setup(void **state)
{
	TALLOC_CTX *mem_ctx = talloc_new(NULL);

	helper_alive = 0;
	log_set_level(-1);
	*state = helper_runtime(mem_ctx,
				&(struct dcom_options){.max_references = 3,
						       .max_objects = 10});
	return 0;
}

static int teardown(void **state)
{
	struct dcom_runtime *runtime = *state;
	TALLOC_CTX *mem_ctx = talloc_parent(runtime);

	talloc_free(mem_ctx);
	assert_int_equal(helper_alive, 0);
	return 0;
}

static struct dcom_ipid *reference(struct dcom_call *call,
				   struct dcom_object *object,
				   const struct com_interface *interface)
{
	struct dcom_ipid *ipid = NULL;
	HRESULT hr = dcom_object_reference(call, object, interface, 1, &ipid);

	assert_int_equal(HRES_ERROR_V(hr), 0);
	assert_non_null(ipid);
	return ipid;
}

static void unreferenced(void **state)
{
	struct dcom_runtime *runtime = *state;

	helper_object(runtime, NULL);
	helper_object(runtime, NULL);
	assert_int_equal(helper_alive, 2);
	helper_sweep(runtime);
	assert_int_equal(helper_alive, 0);
}

static void pinned(void **state)
{
	struct dcom_runtime *runtime = *state;
	struct dcom_object *object;

	helper_object(runtime, NULL);
	object = helper_object(runtime, NULL);
	dcom_object_pin(object);
	helper_object(runtime, NULL);
	helper_sweep(runtime);
	assert_int_equal(helper_alive, 1);
	dcom_object_run_down(object, false);
	assert_int_equal(helper_alive, 1);
}

static void last_reference(void **state)
{
	struct dcom_runtime *runtime = *state;
	struct dcom_call *alice = helper_call(runtime, ALICE);
	struct dcom_call *bob = helper_call(runtime, BOB);
	struct dcom_object *object = helper_object(runtime, NULL);
	struct dcom_ipid *a = reference(alice, object, &com_IWTGeneral);
	struct dcom_ipid *b = reference(bob, object, &com_IWTGeneral);
	struct dcom_ipid *u = reference(alice, object, NULL);
	struct GUID ipid = a->ipid;

	helper_sweep(runtime);
	assert_ptr_not_equal(a, b);
	assert_ptr_equal(reference(alice, object, &com_IWTGeneral), a);
	assert_int_equal(a->public_refs, 2);
	assert_ptr_equal(dcom_ipid_find(runtime, &ipid), a);
	dcom_ipid_release(a, 1, 0);
	assert_ptr_equal(dcom_ipid_find(runtime, &ipid), a);
	dcom_ipid_release(a, 100, 0);
	assert_null(dcom_ipid_find(runtime, &ipid));
	dcom_ipid_release(u, 1, 0);
	assert_int_equal(helper_alive, 1);
	assert_int_equal(runtime->clients.count, 1);
	dcom_ipid_release(b, 1, 0);
	assert_int_equal(helper_alive, 0);
	assert_int_equal(runtime->clients.count, 0);
}

static void by_oid_and_key(void **state)
{
	struct dcom_runtime *runtime = *state;
	struct GUID key = {.time_low = 42}, other = {.time_low = 43};
	struct dcom_object *object = helper_object(runtime, &key);
	uint64_t oid = object->oid;

	assert_ptr_equal(dcom_object_by_oid(runtime, oid), object);
	assert_null(dcom_object_by_oid(runtime, oid + 1));
	assert_ptr_equal(dcom_object_find(runtime, &helper_type, &key), object);
	assert_null(dcom_object_find(runtime, &helper_type, &other));
	assert_null(dcom_object_find(runtime,
				     runtime->rem_unknown->object->type, &key));
	helper_sweep(runtime);
	assert_null(dcom_object_find(runtime, &helper_type, &key));
	assert_null(dcom_object_by_oid(runtime, oid));
}

static void quota(void **state)
{
	struct dcom_runtime *runtime = *state;
	struct dcom_call *alice = helper_call(runtime, ALICE);
	struct dcom_object *one = helper_object(runtime, NULL);
	struct dcom_object *two = helper_object(runtime, NULL);
	struct dcom_ipid *ipid = NULL, *held;

	reference(alice, one, &com_IWTGeneral);
	reference(alice, one, &com_IWTGeneral2);
	held = reference(alice, one, NULL);
	/* More of what is held costs nothing. */
	reference(alice, one, NULL);
	assert_int_equal(
		HRES_ERROR_V(dcom_object_reference(alice, two, NULL, 1, &ipid)),
		HRES_ERROR_V(ISTM_OUT_OF_MEMORY));
	assert_null(ipid);
	reference(helper_call(runtime, BOB), two, NULL);
	dcom_ipid_release(held, 2, 0);
	reference(alice, two, NULL);
}

static void reference_overflow(void **state)
{
	struct dcom_runtime *runtime = *state;
	struct dcom_call *alice = helper_call(runtime, ALICE);
	struct dcom_object *object = helper_object(runtime, NULL);
	struct dcom_ipid *ipid = reference(alice, object, NULL);

	ipid->public_refs = UINT32_MAX;
	assert_int_equal(HRES_ERROR_V(dcom_object_reference(alice, object, NULL,
							    1, &ipid)),
			 HRES_ERROR_V(ISTM_OUT_OF_MEMORY));
	assert_int_equal(ipid->public_refs, UINT32_MAX);
}

static void object_limit(void **state)
{
	struct dcom_runtime *runtime = *state;
	unsigned made = 0;

	while (helper_object(runtime, NULL) != NULL) {
		made++;
	}
	/* The remote unknown is the tenth. */
	assert_int_equal(made, 9);
	helper_sweep(runtime);
	assert_non_null(helper_object(runtime, NULL));
}

static void run_down(void **state)
{
	struct dcom_runtime *runtime = *state;
	struct dcom_call *alice = helper_call(runtime, ALICE);
	struct dcom_object *object = helper_object(runtime, NULL);

	reference(alice, object, &com_IWTGeneral);
	reference(alice, object, NULL);
	helper_sweep(runtime);
	/* Not while a call is in progress. */
	object->calls = 1;
	dcom_object_run_down(object, false);
	assert_int_equal(helper_alive, 1);
	object->calls = 0;
	dcom_object_run_down(object, false);
	assert_int_equal(helper_alive, 0);
	assert_int_equal(runtime->clients.count, 0);
}

static void query(void **state)
{
	struct dcom_runtime *runtime = *state;
	struct dcom_object *object = helper_object(runtime, NULL);
	const struct com_interface *interface = &com_IHost;

	assert_int_equal(HRES_ERROR_V(dcom_object_query(
				 object, &dcom_iid_iunknown, &interface)),
			 0);
	assert_null(interface);
	assert_int_equal(HRES_ERROR_V(dcom_object_query(
				 object, &com_IWTGeneral2.iid, &interface)),
			 0);
	assert_ptr_equal(interface, &com_IWTGeneral2);
	assert_int_equal(HRES_ERROR_V(dcom_object_query(object, &com_IHost.iid,
							&interface)),
			 HRES_ERROR_V(ISTM_NO_INTERFACE));
}

/* A reference in a marshalled pointer, and what it says. */
static void returned(void **state)
{
	struct dcom_runtime *runtime = *state;
	struct dcom_call *alice = helper_call(runtime, ALICE);
	struct dcom_object *object = helper_object(runtime, NULL);
	struct MInterfacePointer *mip = NULL;
	const struct STDOBJREF *std;
	struct OBJREF *objref;

	assert_int_equal(HRES_ERROR_V(dcom_return_object(alice, object,
							 &com_IHost, &mip)),
			 HRES_ERROR_V(ISTM_NO_INTERFACE));
	assert_null(mip);
	assert_int_equal(HRES_ERROR_V(dcom_return_object(
				 alice, object, &com_IWTGeneral2, &mip)),
			 0);
	objref = objref_unpack(alice, mip);
	assert_non_null(objref);
	std = objref_std(objref);
	assert_true(GUID_equal(&objref->iid, &com_IWTGeneral2.iid));
	assert_int_equal(std->oxid, runtime->oxid);
	assert_int_equal(std->oid, object->oid);
	assert_int_equal(std->cPublicRefs, 1);
	assert_non_null(dcom_ipid_find(runtime, &std->ipid));
	assert_ptr_equal(alice->grants->out, &mip);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(unreferenced),   T(pinned),	T(last_reference),
		T(by_oid_and_key), T(quota),	T(reference_overflow),
		T(object_limit),   T(run_down), T(query),
		T(returned),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
