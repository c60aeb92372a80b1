/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * builds: default asan
 */
/*
 * What worker threads do with a file (creating, opening, growing, checking,
 * compacting, copying), with each of their calls of the system failing in turn:
 * the caller gets the error and a message, nothing is left behind that is in
 * the way of the next attempt, and interrupted or short calls are not noticed.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vhd_faults.h"
#include "vhd_helpers.h"

#define SIZE (2 * MiB)
#define MORE MiB
#define DATA (64 * 1024) /* so much is written, around the middle */

struct kind {
	const char *name, *parent;
	enum vhd_type type;
	bool sparse;
};

static const struct kind kinds[] = {
	{"sparse.vhd", NULL, VHD_TYPE_FIXED, true},
	{"out.vhd", NULL, VHD_TYPE_FIXED, false},
	{"dynamic.vhd", NULL, VHD_TYPE_DYNAMIC, true},
	{"child.vhd", "parent.vhd", VHD_TYPE_DIFFERENCING, true},
	{"sparse.vhdx", NULL, VHD_TYPE_FIXED, true},
	{"out.vhdx", NULL, VHD_TYPE_FIXED, false},
	{"dynamic.vhdx", NULL, VHD_TYPE_DYNAMIC, true},
	{"child.vhdx", "parent.vhdx", VHD_TYPE_DIFFERENCING, true},
};

#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static int create(struct vt *vt, const struct kind *kind)
{
	struct vhd_create_params params = {
		.format = vhd_format_of_name(kind->name),
		.type = kind->type,
		.size = SIZE,
		.sparse = kind->sparse,
		.block_size = MiB,
	};

	if (kind->parent != NULL) {
		return vt_create_child(vt, kind->name, kind->parent);
	}
	return vt_create_params(vt, kind->name, &params);
}

static void create_parent(struct vt *vt, const struct kind *kind)
{
	struct vhd_disk *disk;
	uint8_t *data;

	if (kind->parent == NULL) {
		return;
	}
	data = malloc(DATA);
	disk = vt_dynamic(vt, kind->parent, SIZE, MiB);
	vt_pattern(data, DATA, 77);
	assert_int_equal(vt_rw(vt, disk, VHD_WRITE, 0, DATA, data, DATA), 0);
	vhd_close(disk);
	free(data);
}

static void remove_files(struct vt *vt, const struct kind *kind)
{
	unlink(vt_path(vt, kind->name));
	if (kind->parent != NULL) {
		unlink(vt_path(vt, kind->parent));
	}
}

/* Opening a chain, whichever of its files fails. */
static int try_open(struct vt *vt, const char *name, uint32_t flags,
		    struct vhd_disk **disk)
{
	struct vhd_disk *parent = NULL;
	struct vhd_info info;
	int ret = vt_open(vt, name, flags, disk);

	if (ret != 0) {
		return ret;
	}
	vhd_disk_info(*disk, &info);
	if (info.type != VHD_TYPE_DIFFERENCING) {
		return 0;
	}
	ret = try_open(vt, strrchr(info.parent, '\\') + 1, VHD_OPEN_READONLY,
		       &parent);
	if (ret == 0) {
		ret = vhd_set_parent(*disk, parent, 0, &vt->message);
	}
	if (ret != 0) {
		if (parent != NULL && vt->message != NULL) {
			vt->message = talloc_strdup(vt->mem, vt->message);
			vhd_close(parent);
		}
		vhd_close(*disk);
	}
	return ret;
}

static int grow(struct vt *vt, const struct kind *kind)
{
	struct vhd_disk *disk = NULL;
	int ret = try_open(vt, kind->name, 0, &disk);

	if (ret == 0) {
		ret = vt_grow(vt, disk, MORE);
		vhd_close(disk);
	}
	return ret;
}

static int open_close(struct vt *vt, const struct kind *kind)
{
	struct vhd_disk *disk = NULL;
	int ret = try_open(vt, kind->name, 0, &disk);

	if (ret == 0) {
		vhd_close(disk);
	}
	return ret;
}

static int probe(struct vt *vt, const struct kind *kind)
{
	struct vhd_info info;

	return vt_probe(vt, kind->name, &info);
}

static int check(struct vt *vt, const struct kind *kind)
{
	struct vhd_check result = {0};
	int ret = vt_check_fd(vt, vt_open_fd(vt, kind->name, O_RDWR),
			      kind->name, VHD_CHECK_REPAIR, &result);

	/* A file that cannot be read in part is reported as damaged there. */
	if (ret == 0 && result.errors != 0) {
		vt->message = result.report;
		ret = EIO;
	}
	return ret;
}

static int compact(struct vt *vt, const struct kind *kind)
{
	struct vhd_compact result;

	return vt_compact_fd(vt, vt_open_fd(vt, kind->name, O_RDWR), kind->name,
			     &result);
}

static const struct operation {
	const char *name;
	int (*run)(struct vt *vt, const struct kind *kind);
	bool creates;
} operations[] = {
	{"create", create, true}, {"open", open_close, false},
	{"probe", probe, false},  {"grow", grow, false},
	{"check", check, false},  {"compact", compact, false},
};

#define OPERATIONS (sizeof(operations) / sizeof(operations[0]))

/* A disk with some data, that are there after whatever is done with it. */
static void fill(struct vt *vt, const struct kind *kind, uint8_t *data)
{
	struct vhd_disk *disk = vt_open_chain(vt, kind->name, 0);

	assert_int_equal(vt_rw(vt, disk, VHD_READ, 0, 0, data, SIZE), 0);
	vt_pattern(data + MiB, MiB, 1);
	assert_int_equal(vt_rw(vt, disk, VHD_WRITE, 0, MiB, data + MiB, MiB),
			 0);
	vhd_close(disk);
}

static void expect(struct vt *vt, const struct kind *kind, const uint8_t *data)
{
	struct vhd_disk *disk = vt_open_chain(vt, kind->name, 0);
	uint8_t *back = malloc(SIZE);

	assert_true(vhd_disk_size(disk) >= SIZE);
	assert_int_equal(vt_rw(vt, disk, VHD_READ, 0, 0, back, SIZE), 0);
	assert_memory_equal(back, data, SIZE);
	vhd_close(disk);
	free(back);
}

struct fault {
	unsigned steps;
	int error;     /* 0: cut short */
	uint64_t most; /* then: bytes */
	bool noticed;
};

/* @return whether there was an @nth call */
static bool one(struct vt *vt, const struct kind *kind,
		const struct operation *op, const struct fault *f, unsigned nth)
{
	uint8_t *data = calloc(1, SIZE);
	bool hit;
	int ret;

	faults_start();
	create_parent(vt, kind);
	if (!op->creates) {
		assert_int_equal(create(vt, kind), 0);
		fill(vt, kind, data);
	}
	faults_only(op->creates ? kind->name : NULL);
	if (f->error != 0) {
		faults_fail(f->steps, nth, f->error);
	} else {
		faults_short(nth, f->most);
	}
	vt->message = NULL;
	ret = op->run(vt, kind);
	hit = faults_hit(NULL);
	faults_none();
	/* What can be done without is not noticed: reservations, trimming. */
	if (ret != 0) {
		if (!hit || !f->noticed || vt->message == NULL) {
			fail_msg("%s of %s, call %u fails with %d: %s (%s)",
				 op->name, kind->name, nth, f->error,
				 strerror(ret),
				 vt->message ? vt->message : "no message");
		}
		assert_int_equal(ret, f->error != 0 ? f->error : EIO);
	}
	if (op->creates && ret != 0) {
		unlink(vt_path(vt, kind->name));
	}
	/* The next attempt finds nothing in its way. */
	ret = op->creates && ret == 0 ? 0 : op->run(vt, kind);
	if (ret != 0) {
		fail_msg("%s of %s after call %u had failed with %d: %s",
			 op->name, kind->name, nth, f->error,
			 vt->message ? vt->message : strerror(ret));
	}
	if (!op->creates) {
		expect(vt, kind, data);
	}
	assert_int_equal(check(vt, kind), 0);
	faults_stop();
	remove_files(vt, kind);
	free(data);
	return hit;
}

static void each(void **state, const struct fault *f)
{
	unsigned k, o, nth, runs = 0;

	for (k = 0; k < KINDS; k++) {
		for (o = 0; o < OPERATIONS; o++) {
			for (nth = 0;
			     one(*state, &kinds[k], &operations[o], f, nth);
			     nth++) {
			}
			runs += nth;
		}
	}
	assert_true(runs > 4 * KINDS);
}

static void test_io_error(void **state)
{
	each(state, &(struct fault){FAULTS_ANY, EIO, 0, true});
}

static void test_no_space(void **state)
{
	each(state, &(struct fault){FAULTS_CHANGE, ENOSPC, 0, true});
}

static void test_nothing_moved(void **state)
{
	each(state, &(struct fault){0, 0, 0, true});
}

static void test_short(void **state)
{
	each(state, &(struct fault){0, 0, 100, false});
}

static void test_interrupted(void **state)
{
	each(state,
	     &(struct fault){FAULTS_READ | FAULTS_CHANGE, EINTR, 0, false});
}

#define TEST_MEMORY(f)                                                         \
	cmocka_unit_test_setup_teardown(f, vt_setup_memory, vt_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_MEMORY(test_io_error),	 TEST_MEMORY(test_no_space),
		TEST_MEMORY(test_nothing_moved), TEST_MEMORY(test_short),
		TEST_MEMORY(test_interrupted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
