/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Not for TSan: what replays is one thread, for minutes there.
 * builds: default clang asan
 */
/*
 * Crashes and failing steps. A random workload runs on each format while every
 * change to the file is recorded; the file is then rebuilt for each point of
 * that record, with and without what no flush had made durable, and has to
 * open, to hold all that was flushed, and to pass the checker.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vhd_workload.h"

/* ---- the check ---- */

static struct vhd_disk *open_crashed(struct run *run, int fd)
{
	struct vt *vt = run->vt;
	struct vhd_disk *disk = NULL, *parent = NULL;
	struct tevent_req *req =
		vhd_open_send(vt->mem, vt->ev, fd, "crashed", 0);
	int ret;

	assert_true(tevent_req_poll(req, vt->ev));
	ret = vhd_open_recv(req, vt->mem, &disk, &vt->message);
	talloc_free(req);
	if (ret != 0) {
		return NULL;
	}
	if (run->type == VHD_TYPE_DIFFERENCING) {
		assert_int_equal(vt_open(vt, parent_name(run),
					 VHD_OPEN_READONLY, &parent),
				 0);
		assert_int_equal(vhd_set_parent(disk, parent, 0, NULL), 0);
	}
	return disk;
}

static void check_content(struct run *run, struct vhd_disk *disk,
			  size_t position, size_t settled, uint32_t seed)
{
	uint64_t size = vhd_disk_size(disk);
	uint8_t *content = malloc(GROWN);
	uint32_t i;

	if (position < run->grow_begin) {
		assert_int_equal(size, SIZE);
	} else if (settled >= run->grow_end) {
		assert_int_equal(size, GROWN);
	} else {
		assert_true(size == SIZE || size == GROWN);
	}
	assert_int_equal(vt_rw(run->vt, disk, VHD_READ, 0, 0, content, size),
			 0);
	for (i = 0; i < size / 512; i++) {
		if (!allowed(run, content + (size_t)i * 512, i, position,
			     settled)) {
			fail_msg("sector %u after a crash at %zu (seed %u)", i,
				 position, seed);
		}
	}
	check_whole(run, content, position, seed);
	free(content);
}

/* The disk goes on working after it. */
static void check_usable(struct run *run, struct vhd_disk *disk)
{
	uint8_t buf[8192], back[8192];
	unsigned i;

	for (i = 0; i < 8; i++) {
		vt_pattern(buf, sizeof(buf), i);
		assert_int_equal(vt_rw(run->vt, disk, VHD_WRITE, 0,
				       (uint64_t)i * BLOCK + 3584, buf,
				       sizeof(buf)),
				 0);
	}
	for (i = 0; i < 8; i++) {
		vt_pattern(buf, sizeof(buf), i);
		assert_int_equal(vt_rw(run->vt, disk, VHD_READ, 0,
				       (uint64_t)i * BLOCK + 3584, back,
				       sizeof(back)),
				 0);
		assert_memory_equal(buf, back, sizeof(buf));
	}
}

/*
 * @param during  in the middle of the last change or of the flushes behind it:
 * what they were to make durable need not be there
 */
static void crash_at(struct run *run, size_t position, uint32_t seed,
		     bool during)
{
	struct vhd_disk *disk;
	int fd, second;

	if (run->atomic) {
		/* A journal belongs to a name. */
		char *path = vt_path(run->vt, "crashed");

		recorder_crash_at(position, seed, path,
				  vt_path(run->vt, ".crashed.atomic"));
		fd = vt_open_fd(run->vt, "crashed", O_RDWR);
	} else {
		fd = during ? recorder_crash_during(position, seed)
			    : recorder_crash(position, seed);
	}
	second = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	disk = open_crashed(run, fd);
	if (disk == NULL) {
		/* Only while it is created, and then as no VHD at all. */
		if (position - during >= run->created) {
			fail_msg("a crash at %zu (seed %u): %s", position, seed,
				 run->vt->message);
		}
		close(second);
		return;
	}
	check_content(run, disk, position, position - during, seed);
	if (position % 4 == 0) {
		check_usable(run, disk);
	}
	vhd_close(disk);
	vt_assert_sound(run->vt, second);
}

static void crash_everywhere(struct vt *vt, bool vhdx, enum vhd_type type,
			     bool sparse, uint8_t base, uint32_t seed)
{
	struct run *run = calloc(1, sizeof(*run));
	size_t position, end;
	uint32_t variant;

	run->vt = vt;
	run->vhdx = vhdx;
	run->type = type;
	run->sparse = sparse;
	run->base = base;
	run->atomic = ATOMIC;
	record(run, seed);
	end = recorder_position();
	assert_true(end > OPS / 2);
	for (position = 0; position <= end; position++) {
		for (variant = 0; variant < 4; variant++) {
			crash_at(run, position,
				 variant == 0 ? 0
					      : seed + (uint32_t)position * 4 +
							variant,
				 variant >= 2 && position > 0 && !run->atomic);
		}
	}
	recorder_stop();
	free(run);
}

static void test_crash_fixed(void **state)
{
	crash_everywhere(*state, VHDX, VHD_TYPE_FIXED, true, 0, 1);
}

static void test_crash_written_out(void **state)
{
	crash_everywhere(*state, VHDX, VHD_TYPE_FIXED, false, 0, 2);
}

static void test_crash_dynamic(void **state)
{
	crash_everywhere(*state, VHDX, VHD_TYPE_DYNAMIC, false, 0, 3);
}

static void test_crash_differencing(void **state)
{
	crash_everywhere(*state, VHDX, VHD_TYPE_DIFFERENCING, false, 0x77, 4);
}

#ifndef CRASH_ATOMIC
/* ---- FUA ---- */

/*
 * What FUA wrote is there after a crash, though what leads to it (a new
 * block's table entry, a sector's bit) was written by an earlier request that
 * nobody has flushed.
 */
static void fua_over_unflushed(struct vt *vt, bool vhdx, enum vhd_type type,
			       uint8_t base, uint32_t first)
{
	struct run *run = calloc(1, sizeof(*run));
	struct vhd_disk *disk;
	uint32_t seed;
	unsigned i;

	run->vt = vt;
	run->vhdx = vhdx;
	run->type = type;
	run->base = base;
	run->grow_begin = run->grow_end = SIZE_MAX;
	run->ops = 2;
	recorder_start(disk_name(run));
	disk = make_disk(run);
	run->op[0] = (struct op){
		.op = VHD_WRITE, .first = 8, .count = 8, .version = 1};
	run->op[1] = (struct op){.op = VHD_WRITE,
				 .first = first,
				 .count = 8,
				 .version = 2,
				 .flags = VHD_FUA};
	for (i = 0; i < 2; i++) {
		perform(run, disk, &run->op[i]);
		assert_int_equal(run->op[i].error, 0);
	}
	for (seed = 0; seed < 64; seed++) {
		crash_at(run, run->op[1].end, seed, false);
	}
	vhd_close(disk);
	recorder_stop();
	free(run);
}

static void test_fua_dynamic(void **state)
{
	fua_over_unflushed(*state, VHDX, VHD_TYPE_DYNAMIC, 0, 16);
}

static void test_fua_differencing(void **state)
{
	fua_over_unflushed(*state, VHDX, VHD_TYPE_DIFFERENCING, 0x77, 8);
}

#endif /* CRASH_ATOMIC */

/* ---- failing steps ---- */

/* Of an atomic write that has failed there is nothing. */
static void check_none(const struct run *run, struct vhd_disk *disk,
		       const struct op *op)
{
	uint8_t *content;

	if (op->op != VHD_WRITE_ATOMIC) {
		return;
	}
	content = malloc(SIZE);
	assert_int_equal(vt_rw(run->vt, disk, VHD_READ, 0, 0, content, SIZE),
			 0);
	assert_int_equal(count_new(run, op, content), 0);
	free(content);
}

/*
 * Each step of the workload fails once, in turn: the request that needed it
 * says so, all others are served, and what is read is what a request has
 * written; the file stays sound.
 */
static bool fail_step(struct vt *vt, bool vhdx, enum vhd_type type,
		      uint8_t base, unsigned nth, int error)
{
	struct run *run = calloc(1, sizeof(*run));
	struct vhd_disk *disk;
	uint32_t random = 5, i;
	unsigned errors = 0;
	uint8_t *content = malloc(SIZE);
	int failed;

	run->vt = vt;
	run->vhdx = vhdx;
	run->type = type;
	run->base = base;
	run->sparse = true;
	run->atomic = ATOMIC;
	recorder_start(disk_name(run));
	disk = make_disk(run);
	run->grow_begin = run->grow_end = SIZE_MAX;
	recorder_fail(nth, error);
	for (run->ops = 0; run->ops < OPS; run->ops++) {
		plan(run, run->ops, &random);
		perform(run, disk, &run->op[run->ops]);
		if (run->op[run->ops].error != 0) {
			/* An atomic write's flush fails: the next says EIO. */
			assert_true(run->op[run->ops].error == error ||
				    (run->atomic &&
				     run->op[run->ops].op == VHD_FLUSH &&
				     run->op[run->ops].error == EIO));
			check_none(run, disk, &run->op[run->ops]);
			errors++;
		}
	}
	failed = recorder_failed();
	recorder_fail(0, 0);
	/* A lost flush may be told to the next one, too. */
	assert_true(errors <= 2);
	/* A record that could not be cleared may be truncated instead. */
	assert_true(!failed || errors >= 1 || run->atomic);
	assert_int_equal(vt_rw(vt, disk, VHD_READ, 0, 0, content, SIZE), 0);
	vhd_close(disk);
	/* All is in the file: nothing is left in memory only. Failed ones
	 * may have left anything that they or their predecessors wrote. */
	disk = type == VHD_TYPE_DIFFERENCING
		       ? vt_open_chain(vt, disk_name(run), 0)
		       : NULL;
	if (disk == NULL) {
		assert_int_equal(vt_open(vt, disk_name(run), 0, &disk), 0);
	}
	for (i = 0; i < SIZE / 512; i++) {
		int k;
		bool good = false;

		for (k = (int)run->ops - 1; k >= 0 && !good; k--) {
			struct op *op = &run->op[k];

			if (op->op == VHD_FLUSH || i < op->first ||
			    i >= op->first + op->count) {
				continue;
			}
			good = holds(content + (size_t)i * 512, i,
				     version_of(op), base_of(run, i));
			if (op->error == 0) {
				assert_true(good);
			}
		}
		if (!good &&
		    !holds(content + (size_t)i * 512, i, 0, base_of(run, i))) {
			uint32_t w[2];

			memcpy(w, content + (size_t)i * 512, sizeof(w));
			fail_msg("step %u fails with %d: sector %u holds %x %x",
				 nth, error, i, w[0], w[1]);
		}
	}
	{
		uint8_t *again = malloc(SIZE);

		assert_int_equal(vt_rw(vt, disk, VHD_READ, 0, 0, again, SIZE),
				 0);
		assert_memory_equal(content, again, SIZE);
		free(again);
	}
	vhd_close(disk);
	vt_assert_sound(run->vt, vt_open_fd(vt, disk_name(run), O_RDONLY));
	recorder_stop();
	unlink(vt_path(vt, disk_name(run)));
	unlink(vt_path(vt, parent_name(run)));
	free(content);
	free(run);
	return failed;
}

static void fail_all(struct vt *vt, bool vhdx, enum vhd_type type, uint8_t base)
{
	static const int errors[] = {EIO, ENOSPC};
	unsigned nth, i;

	for (i = 0; i < 2; i++) {
		for (nth = 0; fail_step(vt, vhdx, type, base, nth, errors[i]);
		     nth++) {
		}
		assert_true(nth > OPS / 2);
	}
}

static void test_fail_fixed(void **state)
{
	fail_all(*state, VHDX, VHD_TYPE_FIXED, 0);
}

static void test_fail_dynamic(void **state)
{
	fail_all(*state, VHDX, VHD_TYPE_DYNAMIC, 0);
}

static void test_fail_differencing(void **state)
{
	fail_all(*state, VHDX, VHD_TYPE_DIFFERENCING, 0x77);
}

#ifndef CRASH_ATOMIC
/* ---- failing steps of creation, growth and opening ---- */

/* Creation: an error, and no VHD; no error, and a good one. */
static bool fail_create(struct vt *vt, enum vhd_type type, bool sparse,
			unsigned nth, int error)
{
	struct vhd_create_params params = {
		.format = vhd_format_of_name(DISK),
		.type = type,
		.size = SIZE,
		.sparse = sparse,
		.block_size = type == VHD_TYPE_FIXED ? 0 : 2 * BLOCK,
		.parent_path = "C:\\parent.vhd",
	};
	struct vhd_disk *disk = NULL;
	int ret, failed;

	recorder_start(DISK);
	recorder_fail(nth, error);
	ret = vt_create_params(vt, DISK, &params);
	failed = recorder_failed();
	recorder_fail(0, 0);
	if (failed) {
		/* The reservation alone may be done without. */
		assert_int_equal(ret, error);
		assert_non_null(vt->message);
	} else {
		assert_int_equal(ret, 0);
		assert_int_equal(vt_open(vt, DISK, 0, &disk), 0);
		vhd_close(disk);
	}
	recorder_stop();
	unlink(vt_path(vt, DISK));
	return failed;
}

static void test_fail_create(void **state)
{
	static const int errors[] = {EIO, ENOSPC};
	static const struct {
		enum vhd_type type;
		bool sparse;
	} kinds[] = {
		{VHD_TYPE_FIXED, true},
		{VHD_TYPE_FIXED, false},
		{VHD_TYPE_DYNAMIC, false},
		{VHD_TYPE_DIFFERENCING, false},
	};
	unsigned i, k, nth;

	for (i = 0; i < 2; i++) {
		for (k = 0; k < 4; k++) {
			for (nth = 0;
			     fail_create(*state, kinds[k].type, kinds[k].sparse,
					 nth, errors[i]);
			     nth++) {
			}
			assert_true(nth >= 2);
		}
	}
}

/* Growth: with an error the disk has its old size, and grows at the next
 * try; what it holds is there in either case, also after a restart. */
static bool fail_grow(struct vt *vt, enum vhd_type type, bool sparse,
		      unsigned nth, int error)
{
	struct run run = {
		.vt = vt, .vhdx = VHDX, .type = type, .sparse = sparse};
	uint8_t *data = malloc(SIZE), *back = malloc(GROWN);
	struct vhd_disk *disk;
	int ret, failed;

	recorder_start(DISK);
	disk = make_disk(&run);
	vt_pattern(data, SIZE, nth);
	assert_int_equal(vt_rw(vt, disk, VHD_WRITE, 0, 0, data, SIZE), 0);
	recorder_fail(nth, error);
	ret = vt_grow(vt, disk, GROWN - SIZE);
	failed = recorder_failed();
	recorder_fail(0, 0);
	assert_int_equal(ret, failed ? error : 0);
	assert_int_equal(vhd_disk_size(disk), failed ? SIZE : GROWN);
	if (failed && nth % 2) {
		vhd_close(disk);
		assert_int_equal(vt_open(vt, DISK, 0, &disk), 0);
	}
	/* A footer that could not be taken back counts after a restart. */
	if (vhd_disk_size(disk) == SIZE) {
		assert_int_equal(vt_grow(vt, disk, GROWN - SIZE), 0);
	}
	vhd_close(disk);
	assert_int_equal(vt_open(vt, DISK, 0, &disk), 0);
	assert_int_equal(vhd_disk_size(disk), GROWN);
	assert_int_equal(vt_rw(vt, disk, VHD_READ, 0, 0, back, GROWN), 0);
	assert_memory_equal(data, back, SIZE);
	assert_true(vt_is_zero(back + SIZE, GROWN - SIZE));
	vhd_close(disk);
	vt_assert_sound(vt, vt_open_fd(vt, DISK, O_RDONLY));
	recorder_stop();
	unlink(vt_path(vt, DISK));
	free(data);
	free(back);
	return failed;
}

static void test_fail_grow(void **state)
{
	static const int errors[] = {EIO, ENOSPC};
	unsigned i, nth;

	for (i = 0; i < 2; i++) {
		for (nth = 0;
		     fail_grow(*state, VHD_TYPE_FIXED, true, nth, errors[i]);
		     nth++) {
		}
		assert_true(nth >= 6);
		for (nth = 0;
		     fail_grow(*state, VHD_TYPE_FIXED, false, nth, errors[i]);
		     nth++) {
		}
		assert_true(nth >= 7);
		for (nth = 0;
		     fail_grow(*state, VHD_TYPE_DYNAMIC, true, nth, errors[i]);
		     nth++) {
		}
		assert_true(nth >= (VHDX ? 4 : 5));
	}
}

/* Opening: an error with a message, and the next try succeeds. */
static void test_fail_open(void **state)
{
	struct vt *vt = *state;
	struct vhd_disk *disk = NULL;
	unsigned kind, nth;

	for (kind = 0; kind < 2; kind++) {
		recorder_start(DISK);
		if (kind == 0) {
			assert_int_equal(vt_create(vt, DISK, SIZE, true), 0);
		} else {
			vhd_close(vt_dynamic(vt, DISK, SIZE, 2 * BLOCK));
		}
		for (nth = 0;; nth++) {
			recorder_fail(nth, EIO);
			if (vt_open(vt, DISK, 0, &disk) == 0) {
				break;
			}
			assert_true(recorder_failed());
			assert_non_null(vt->message);
		}
		assert_true(nth >= 1);
		recorder_fail(0, 0);
		vhd_close(disk);
		recorder_stop();
		unlink(vt_path(vt, DISK));
	}
}

#endif /* CRASH_ATOMIC */

#define TEST_MEMORY(f)                                                         \
	cmocka_unit_test_setup_teardown(f, vt_setup_memory, vt_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_MEMORY(test_crash_fixed),
		TEST_MEMORY(test_crash_written_out),
		TEST_MEMORY(test_crash_dynamic),
		TEST_MEMORY(test_crash_differencing),
#ifndef CRASH_ATOMIC
		TEST_MEMORY(test_fua_dynamic),
		TEST_MEMORY(test_fua_differencing),
#endif
		TEST_MEMORY(test_fail_fixed),
		TEST_MEMORY(test_fail_dynamic),
		TEST_MEMORY(test_fail_differencing),
#ifndef CRASH_ATOMIC
		TEST_MEMORY(test_fail_create),
		TEST_MEMORY(test_fail_grow),
		TEST_MEMORY(test_fail_open),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
