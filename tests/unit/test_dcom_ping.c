/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Ping sets: members, order of requests, limits. */
#include "dcom_helpers.h"

#define HERE "192.0.2.1"

static int setup(void **state)
{
	log_set_level(-1);
	*state = helper_runtime(talloc_new(NULL), NULL);
	return 0;
}

static int teardown(void **state)
{
	TALLOC_CTX *mem_ctx = talloc_parent(*state);

	talloc_free(mem_ctx);
	return 0;
}

static uint32_t ping(struct dcom_runtime *runtime, uint64_t *set,
		     uint16_t sequence, struct dcom_object *add,
		     struct dcom_object *del)
{
	uint64_t a = add != NULL ? add->oid : 0, d = del != NULL ? del->oid : 0;

	return dcom_ping_complex(runtime, HERE, set, sequence, &a, add != NULL,
				 &d, del != NULL);
}

static void members(void **state)
{
	struct dcom_runtime *runtime = *state;
	struct dcom_object *one = helper_object(runtime, NULL);
	struct dcom_object *two = helper_object(runtime, NULL);
	uint64_t a = 0, b = 0;

	assert_int_equal(ping(runtime, &a, 1, one, NULL), 0);
	assert_int_equal(ping(runtime, &b, 1, one, NULL), 0);
	assert_int_not_equal(a, b);
	assert_int_equal(one->ping_sets, 2);
	/* Twice is once. */
	assert_int_equal(ping(runtime, &a, 2, one, NULL), 0);
	assert_int_equal(one->ping_sets, 2);
	assert_int_equal(ping(runtime, &a, 3, two, one), 0);
	assert_int_equal(one->ping_sets, 1);
	assert_int_equal(two->ping_sets, 1);
	/* What is not there cannot be removed. */
	assert_int_equal(ping(runtime, &b, 2, NULL, two), 0);
	assert_int_equal(two->ping_sets, 1);
}

static void order(void **state)
{
	struct dcom_runtime *runtime = *state;
	struct dcom_object *object = helper_object(runtime, NULL);
	uint64_t set = 0;

	assert_int_equal(ping(runtime, &set, 65535, object, NULL), 0);
	assert_int_equal(object->ping_sets, 1);
	assert_int_equal(ping(runtime, &set, 65534, NULL, object), 0);
	assert_int_equal(object->ping_sets, 1);
	/* After 65535 comes 0. */
	assert_int_equal(ping(runtime, &set, 0, NULL, object), 0);
	assert_int_equal(object->ping_sets, 0);
	assert_int_equal(ping(runtime, &set, 65535, object, NULL), 0);
	assert_int_equal(object->ping_sets, 0);
	assert_int_equal(ping(runtime, &set, 1, object, NULL), 0);
	assert_int_equal(object->ping_sets, 1);
}

static void unknown(void **state)
{
	struct dcom_runtime *runtime = *state;
	uint64_t set = 4711, oids[] = {1, 2};

	assert_int_equal(dcom_ping_simple(runtime, 0), DCOM_OR_INVALID_SET);
	assert_int_equal(ping(runtime, &set, 1, NULL, NULL),
			 DCOM_OR_INVALID_SET);
	assert_int_equal(set, 4711);
	set = 0;
	assert_int_equal(dcom_ping_complex(runtime, HERE, &set, 1, oids, 2,
					   NULL, 0),
			 DCOM_OR_INVALID_OID);
	assert_int_equal(dcom_ping_simple(runtime, set), 0);
}

/* An object that goes while it is in a set does no harm. */
static void vanished_member(void **state)
{
	struct dcom_runtime *runtime = *state;
	struct dcom_object *object = helper_object(runtime, NULL);
	uint64_t set = 0, oid = object->oid;

	assert_int_equal(ping(runtime, &set, 1, object, NULL), 0);
	helper_sweep(runtime);
	assert_null(dcom_object_by_oid(runtime, oid));
	assert_int_equal(
		dcom_ping_complex(runtime, HERE, &set, 2, NULL, 0, &oid, 1), 0);
}

static void limit(void **state)
{
	struct dcom_runtime *runtime = *state;
	unsigned made = 0;
	uint64_t set = 0;

	while (ping(runtime, &set, 1, NULL, NULL) == 0) {
		set = 0;
		made++;
		assert_true(made < 100000);
	}
	assert_int_equal(made, 500);
	set = 0;
	assert_int_equal(dcom_ping_complex(runtime, "192.0.2.2", &set, 1, NULL,
					   0, NULL, 0),
			 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(members), T(order), T(unknown), T(vanished_member), T(limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
