/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Differencing disks and their parents: MS-ISTM 3.33.4.1. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model_helpers.h"
#include "server/model/private.h"

static void test_create_and_serve(void **state)
{
	struct mt *mt = *state;
	struct vhd_info info;
	struct model_disk *d;
	uint32_t index, other;

	assert_hr(mt_create_file(mt, "C:\\base\\p.vhd", 16 * MiB), ISTM_S_OK);
	assert_hr(mt_create_diff(mt, "C:\\kids\\a.vhd", "c:\\BASE\\P.vhd"),
		  ISTM_S_OK);
	assert_hr(mt_create_diff(mt, "C:\\base\\b.vhd", "C:\\base\\p.vhd"),
		  ISTM_S_OK);
	assert_hr(mt_probe(mt, "C:\\kids\\a.vhd", &info), ISTM_S_OK);
	assert_int_equal(info.type, VHD_TYPE_DIFFERENCING);
	assert_int_equal(info.size, 16 * MiB);
	assert_hr(mt_create_disk(mt, "C:\\kids\\a.vhd", &index), ISTM_S_OK);
	assert_hr(mt_create_disk(mt, "C:\\base\\b.vhd", &other), ISTM_S_OK);
	d = model_disk_by_index(mt->model, index);
	assert_true(d->usable);
	assert_int_equal(d->vhd_type, VHD_TYPE_DIFFERENCING);
	assert_string_equal(d->parent_path, "C:\\base\\p.vhd");
	assert_hr(model_disk_set_cache_parent(mt->model, d, true), ISTM_S_OK);
	/* The parent is theirs now. */
	assert_hr(mt_delete_file(mt, "C:\\base\\p.vhd"),
		  ISTM_SHARING_VIOLATION);
	assert_hr(mt_grow_file(mt, "C:\\base\\p.vhd", MiB),
		  ISTM_SHARING_VIOLATION);
	assert_hr(mt_create_file(mt, "C:\\base\\p.vhd", 8 * MiB),
		  ISTM_SHARING_VIOLATION);
	assert_hr(mt_create_disk(mt, "C:\\base\\p.vhd", &other),
		  ISTM_SHARING_VIOLATION);
	assert_hr(mt_grow_file(mt, "C:\\kids\\a.vhd", MiB), ISTM_INVALID_ARG);
	mt_restart(mt);
	assert_true(model_disk_by_index(mt->model, index)->usable);
}

static uint32_t sector_of(struct mt *mt, const char *path)
{
	struct vhd_info info;

	assert_hr(mt_probe(mt, path, &info), ISTM_S_OK);
	return info.logical_sector;
}

/* New VHDX files have the sectors that the option says, VHDs never, children
 * those of their parent; all are served. */
static void test_sectors(void **state)
{
	struct mt *mt = *state;
	uint32_t index;

	mt->vhdx_sector = 4096;
	mt_restart(mt);
	assert_hr(mt_create_file(mt, "C:\\large.vhdx", 8 * MiB), ISTM_S_OK);
	assert_hr(mt_create_file(mt, "C:\\small.vhd", 8 * MiB), ISTM_S_OK);
	mt->vhdx_sector = 0;
	mt_restart(mt);
	assert_hr(mt_create_file(mt, "C:\\small.vhdx", 8 * MiB), ISTM_S_OK);
	assert_hr(mt_create_diff(mt, "C:\\child.vhdx", "C:\\large.vhdx"),
		  ISTM_S_OK);
	mt->vhdx_sector = 4096;
	mt_restart(mt);
	assert_hr(mt_create_diff(mt, "C:\\other.vhdx", "C:\\small.vhdx"),
		  ISTM_S_OK);
	assert_int_equal(sector_of(mt, "C:\\large.vhdx"), 4096);
	assert_int_equal(sector_of(mt, "C:\\small.vhd"), 512);
	assert_int_equal(sector_of(mt, "C:\\small.vhdx"), 512);
	assert_int_equal(sector_of(mt, "C:\\child.vhdx"), 4096);
	assert_int_equal(sector_of(mt, "C:\\other.vhdx"), 512);
	assert_hr(mt_create_disk(mt, "C:\\child.vhdx", &index), ISTM_S_OK);
	assert_true(model_disk_by_index(mt->model, index)->usable);
	assert_int_equal(model_disk_by_index(mt->model, index)->size, 8 * MiB);
}

static void test_refusals(void **state)
{
	struct mt *mt = *state;

	assert_hr(mt_create_file(mt, "C:\\p.vhd", 16 * MiB), ISTM_S_OK);
	assert_hr(mt_create_diff(mt, NULL, "C:\\p.vhd"), ISTM_INVALID_ARG);
	assert_hr(mt_create_diff(mt, "C:\\a.vhd", NULL), ISTM_INVALID_ARG);
	assert_hr(mt_create_diff(mt, "x", "C:\\p.vhd"), ISTM_INVALID_ARG);
	assert_hr(mt_create_diff(mt, "C:\\a.vhd", "x"), ISTM_INVALID_ARG);
	assert_hr(mt_create_diff(mt, "C:\\", "C:\\p.vhd"), ISTM_INVALID_ARG);
	assert_hr(mt_create_diff(mt, "C:\\a.vhd", "C:\\"), ISTM_INVALID_ARG);
	assert_hr(mt_create_diff(mt, "C:\\a.vhd", "C:\\none.vhd"),
		  ISTM_FILE_NOT_FOUND);
	assert_hr(mt_create_diff(mt, "C:\\p.vhd", "C:\\P.vhd"),
		  ISTM_INVALID_ARG);
	assert_hr(mt_create_diff(mt, "C:\\a.vhd", "C:\\p.vhd"), ISTM_S_OK);
	/* "The parent VHD file is of type FixedVhd" */
	assert_hr(mt_create_diff(mt, "C:\\b.vhd", "C:\\a.vhd"),
		  ISTM_INVALID_ARG);
	mt_write(mt, "text.vhd", "this is no VHD");
	assert_hr(mt_create_diff(mt, "C:\\b.vhd", "C:\\text.vhd"),
		  ISTM_INVALID_ARG);
	mt_disk(mt, "C:\\served.vhd");
	assert_hr(mt_create_diff(mt, "C:\\b.vhd", "C:\\served.vhd"),
		  ISTM_SHARING_VIOLATION);
	assert_false(mt_file_exists(mt, "b.vhd"));
	/* Overwrites. */
	assert_hr(mt_create_diff(mt, "C:\\a.vhd", "C:\\p.vhd"), ISTM_S_OK);
}

/* Moved together, found together; another file of that name is refused. */
static void test_moved(void **state)
{
	struct mt *mt = *state;
	char command[1500];
	uint32_t index;

	assert_hr(mt_create_file(mt, "C:\\old\\p.vhd", 16 * MiB), ISTM_S_OK);
	assert_hr(mt_create_diff(mt, "C:\\old\\a.vhd", "C:\\old\\p.vhd"),
		  ISTM_S_OK);
	snprintf(command, sizeof(command), "mv '%s/old' '%s/new'", mt->volume,
		 mt->second);
	assert_int_equal(system(command), 0);
	assert_hr(mt_create_disk(mt, "D:\\new\\a.vhd", &index), ISTM_S_OK);
	assert_string_equal(model_disk_by_index(mt->model, index)->parent_path,
			    "D:\\new\\p.vhd");
	assert_hr(mt_delete_disk(mt, index), ISTM_S_OK);
	assert_hr(mt_create_file(mt, "D:\\new\\p.vhd", 16 * MiB), ISTM_S_OK);
	assert_hr(mt_create_disk(mt, "D:\\new\\a.vhd", &index),
		  ISTM_INVALID_DATA);
	assert_hr(mt_delete_file(mt, "D:\\new\\p.vhd"), ISTM_S_OK);
	assert_hr(mt_create_disk(mt, "D:\\new\\a.vhd", &index),
		  ISTM_FILE_NOT_FOUND);
}

/* A VHD or VHDX in the volume, over @parent or without; by the engine, since
 * ISTM has differencing disks over fixed ones only. */
static void make_file(struct mt *mt, const char *name, const char *parent)
{
	struct vhd_create_params params = {
		.format = vhd_format_of_name(name),
		.type = parent != NULL ? VHD_TYPE_DIFFERENCING
				       : VHD_TYPE_DYNAMIC,
		.size = 16 * MiB,
	};
	char *path = talloc_asprintf(mt->mem, "%s/%s", mt->volume, name);
	struct tevent_req *req;
	struct vhd_info info;
	struct stat st;
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	if (parent != NULL) {
		char *below =
			talloc_asprintf(mt->mem, "%s/%s", mt->volume, parent);

		assert_hr(mt_probe(mt,
				   talloc_asprintf(mt->mem, "C:\\%s", parent),
				   &info),
			  ISTM_S_OK);
		assert_int_equal(stat(below, &st), 0);
		memcpy(params.parent_id, info.link_id, 16);
		memcpy(params.parent_disk_id, info.unique_id, 16);
		params.parent_timestamp = vhd_timestamp(st.st_mtime);
		/* It has been moved since. */
		params.parent_path =
			talloc_asprintf(mt->mem, "Q:\\x\\%s", parent);
		params.parent_relative =
			talloc_asprintf(mt->mem, ".\\%s", parent);
	}
	req = vhd_create_send(mt->mem, mt->ev, fd, name, &params);
	assert_true(tevent_req_poll(req, mt->ev));
	assert_int_equal(vhd_create_recv(req, mt->mem, NULL), 0);
	talloc_free(req);
}

/* A stranger where the child's first path leads is passed over for the right
 * file, as istm-vhd does. */
static void test_stranger_first(void **state)
{
	static const char *const ext[] = {"vhd", "vhdx"};
	struct mt *mt = *state;
	char child[40], parent[40], command[1500];
	uint32_t index;
	unsigned i;

	for (i = 0; i < 2; i++) {
		snprintf(child, sizeof(child), "C:\\old\\a.%s", ext[i]);
		snprintf(parent, sizeof(parent), "C:\\old\\p.%s", ext[i]);
		assert_hr(mt_create_file(mt, parent, 16 * MiB), ISTM_S_OK);
		assert_hr(mt_create_diff(mt, child, parent), ISTM_S_OK);
		snprintf(command, sizeof(command),
			 "mkdir -p '%s/new' && cd '%s/old' && mv a.%s p.%s"
			 " '%s/new'",
			 mt->second, mt->volume, ext[i], ext[i], mt->second);
		assert_int_equal(system(command), 0);
		/* The absolute path's; the relative one's is the right one. */
		assert_hr(mt_create_file(mt, parent, 16 * MiB), ISTM_S_OK);
		snprintf(child, sizeof(child), "D:\\new\\a.%s", ext[i]);
		snprintf(parent, sizeof(parent), "D:\\new\\p.%s", ext[i]);
		assert_hr(mt_create_disk(mt, child, &index), ISTM_S_OK);
		assert_string_equal(
			model_disk_by_index(mt->model, index)->parent_path,
			parent);
	}
}

/* Deep chains are served; those that end in themselves are not. */
static void test_deep(void **state)
{
	struct mt *mt = *state;
	static const char *const ext[] = {"vhd", "vhdx"};
	char name[40], above[40], command[1500];
	uint32_t index;
	unsigned kind, i;

	for (kind = 0; kind < 2; kind++) {
		snprintf(name, sizeof(name), "d0.%s", ext[kind]);
		make_file(mt, name, NULL);
		for (i = 1; i <= 70; i++) {
			snprintf(above, sizeof(above), "d%u.%s", i, ext[kind]);
			make_file(mt, above, name);
			memcpy(name, above, sizeof(name));
		}
		snprintf(command, sizeof(command), "C:\\%s", name);
		assert_hr(mt_create_disk(mt, command, &index), ISTM_S_OK);
		assert_true(model_disk_by_index(mt->model, index)->usable);
		assert_hr(mt_delete_disk(mt, index), ISTM_S_OK);
		/* The last parent is its own child's now. */
		snprintf(command, sizeof(command),
			 "cd '%s' && cp -p d5.%s d2.%s", mt->volume, ext[kind],
			 ext[kind]);
		assert_int_equal(system(command), 0);
		snprintf(command, sizeof(command), "C:\\%s", name);
		assert_true(ISTM_FAILED(mt_create_disk(mt, command, &index)));
	}
}

static void check_relative(const char *child, const char *parent,
			   const char *wanted)
{
	char *got = path_relative_to(NULL, child, parent);

	if (wanted == NULL) {
		assert_null(got);
	} else {
		assert_string_equal(got, wanted);
	}
	talloc_free(got);
}

static void test_relative(void **state)
{
	check_relative("C:\\a.vhd", "C:\\p.vhd", ".\\p.vhd");
	check_relative("C:\\d\\a.vhd", "C:\\d\\p.vhd", ".\\p.vhd");
	check_relative("C:\\d\\a.vhd", "C:\\d\\e\\p.vhd", ".\\e\\p.vhd");
	check_relative("C:\\d\\a.vhd", "C:\\p.vhd", "..\\p.vhd");
	check_relative("C:\\d\\e\\a.vhd", "C:\\x\\p.vhd", "..\\..\\x\\p.vhd");
	check_relative("C:\\dd\\a.vhd", "C:\\d\\p.vhd", "..\\d\\p.vhd");
	check_relative("C:\\a.vhd", "D:\\p.vhd", NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_create_and_serve),
		TEST(test_sectors),
		TEST(test_refusals),
		TEST(test_moved),
		TEST(test_stranger_first),
		TEST(test_deep),
		cmocka_unit_test(test_relative),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
