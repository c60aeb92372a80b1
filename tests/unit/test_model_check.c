/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The invariant checker finds what other tests rely on it to find. */
#include <string.h>

#include "model_helpers.h"
#include "server/model/private.h"

static void expect_wrong(struct mt *mt, const char *what)
{
	const char *wrong = model_check(mt->model, mt->mem);

	assert_non_null(wrong);
	if (strstr(wrong, what) == NULL) {
		fail_msg("found \"%s\", not \"%s\"", wrong, what);
	}
}

static void test_check(void **state)
{
	struct mt *mt = *state;
	uint32_t a = mt_disk(mt, "C:\\a.vhd"), b = mt_disk(mt, "C:\\b.vhd");
	struct model_disk *disk = model_disk_by_index(mt->model, a);
	struct model_target *t;
	struct target_entry *target;
	struct mapping *m;
	const char *name;

	assert_hr(model_target_new(mt->model, "t", true, NULL, &t), ISTM_S_OK);
	assert_hr(model_target_add_disk(mt->model, t, a), ISTM_S_OK);
	assert_hr(model_target_add_disk(mt->model, t, b), ISTM_S_OK);
	target = target_entry(t);
	assert_null(model_check(mt->model, mt->mem));

	t->num_mappings--;
	expect_wrong(mt, "2 mappings, tells 1");
	t->num_mappings++;
	target->luns[0] |= 8;
	expect_wrong(mt, "2 LUNs, 3 used");
	target->luns[0] &= ~8ull;
	t->mappings[1].disk = 99;
	expect_wrong(mt, "LUN 1 is disk 99, which is not");
	t->mappings[1].disk = b;
	m = target_mapping(target, disk_entry(disk));
	hash_del(&mt->model->mappings, &m->node);
	expect_wrong(mt, "its mapping to t is not found");
	assert_true(hash_add(&mt->model->mappings, &m->node, m->node.hash));
	index_set_remove(&mt->model->indices, a);
	expect_wrong(mt, "its index counts as free");
	index_set_add(&mt->model->indices, a);
	disk->guid.time_low ^= 1;
	expect_wrong(mt, "not found by its GUID");
	disk->guid.time_low ^= 1;
	name = t->name;
	t->name = "u";
	expect_wrong(mt, "not found by its name");
	t->name = name;
	assert_null(model_check(mt->model, mt->mem));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_check, mt_setup,
						mt_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
