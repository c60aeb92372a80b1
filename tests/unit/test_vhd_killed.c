/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Not for TSan: one thread, and long there.
 * builds: default asan
 */
/*
 * A process is killed, another opens the disk and sees all that the kernel has
 * of it; then the power fails, and what neither had flushed may be gone, in any
 * part. Nothing that the second did may rest on what may go.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vhd_helpers.h"
#include "vhd_recorder.h"

/* Small: each power failure writes the file anew. */
#define BLOCKS 6

static uint8_t content[BLOCKS * MiB], next[BLOCKS * MiB], back[BLOCKS * MiB];

struct shape {
	const char *name;
	uint32_t block;	    /* bytes */
	const char *parent; /* or NULL */
	/* Files of VHDX are larger: less of all that might happen. */
	uint32_t seeds, step;
};

static const struct shape shapes[] = {
	{"d.vhd", 512 * 1024, NULL, 6, 1},
	{"c.vhd", 512 * 1024, "p.vhd", 6, 1},
	{"d.vhdx", MiB, NULL, 2, 4},
	{"c.vhdx", MiB, "p.vhdx", 2, 4},
};

static uint64_t size_of(const struct shape *s)
{
	return (uint64_t)BLOCKS * s->block;
}

static struct vhd_disk *make(struct vt *vt, const struct shape *s)
{
	if (s->parent == NULL) {
		return vt_dynamic(vt, s->name, size_of(s), s->block);
	}
	vhd_close(vt_dynamic(vt, s->parent, size_of(s), s->block));
	return vt_child(vt, s->name, s->parent);
}

static void write_block(struct vt *vt, const struct shape *s,
			struct vhd_disk *disk, uint32_t block, uint32_t seed,
			uint8_t *to)
{
	uint64_t at = (uint64_t)block * s->block;

	if (seed != 0) {
		vt_pattern(to + at, s->block, seed);
	} else {
		memset(to + at, 0, s->block);
	}
	assert_int_equal(vt_rw(vt, disk, VHD_WRITE, 0, at, to + at, s->block),
			 0);
}

static void copy_file(struct vt *vt, const char *from, const char *to)
{
	char *command = talloc_asprintf(vt->mem, "cp '%s' '%s'",
					vt_path(vt, from), vt_path(vt, to));

	assert_int_equal(system(command), 0);
}

static void assert_sound(struct vt *vt, int fd)
{
	struct tevent_req *req = vhd_check_send(vt->mem, vt->ev, fd, "c", 0);
	struct vhd_check result;

	assert_true(tevent_req_poll(req, vt->ev));
	assert_int_equal(vhd_check_recv(req, vt->mem, &result, &vt->message),
			 0);
	talloc_free(req);
	if (result.errors != 0) {
		fail_msg("the checker: %s", result.report);
	}
}

/*
 * The power fails at @position: each sector is as the first session left it or
 * as the second one wrote it; behind @flushed as it was then.
 */
static void fail_power(struct vt *vt, const struct shape *s, size_t killed,
		       size_t position, size_t flushed, uint32_t seed)
{
	int fd = seed % 2 ? recorder_crash_during(position, seed)
			  : recorder_crash(position, seed);
	int second = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	struct vhd_disk *disk = NULL, *parent = NULL;
	struct tevent_req *req =
		vhd_open_send(vt->mem, vt->ev, fd, "crashed", 0);
	bool stable = position >= flushed + (seed % 2);
	uint64_t at;

	assert_true(tevent_req_poll(req, vt->ev));
	if (vhd_open_recv(req, vt->mem, &disk, &vt->message) != 0) {
		fail_msg("%s, killed at %zu, power lost at %zu, seed %u: %s",
			 s->name, killed, position, seed, vt->message);
	}
	talloc_free(req);
	if (s->parent != NULL) {
		assert_int_equal(
			vt_open(vt, s->parent, VHD_OPEN_READONLY, &parent), 0);
		assert_int_equal(vhd_set_parent(disk, parent,
						VHD_PARENT_ANY_TIME, NULL),
				 0);
	}
	assert_int_equal(vt_rw(vt, disk, VHD_READ, 0, 0, back, size_of(s)), 0);
	for (at = 0; at < size_of(s); at += 512) {
		if (memcmp(back + at, next + at, 512) != 0 &&
		    (stable || memcmp(back + at, content + at, 512) != 0)) {
			fail_msg("%s, killed at %zu, power lost at %zu of %zu, "
				 "seed %u: wrong at %llu",
				 s->name, killed, position, flushed, seed,
				 (unsigned long long)at);
		}
	}
	vhd_close(disk);
	assert_sound(vt, second);
}

/* After the kill: the next opener, who uses what is free. */
static void second_session(struct vt *vt, const struct shape *s, size_t killed,
			   const uint32_t *blocks, uint32_t count)
{
	struct vhd_disk *disk = vt_open_chain(vt, s->name, 0);
	size_t position, flushed, end;
	uint32_t i, seed;

	memcpy(next, content, sizeof(next));
	for (i = 0; i < count; i++) {
		write_block(vt, s, disk, blocks[i], 90 + i, next);
	}
	assert_int_equal(vt_rw(vt, disk, VHD_FLUSH, 0, 0, NULL, 0), 0);
	flushed = recorder_position();
	end = flushed;
	for (position = killed; position <= end; position++) {
		for (seed = 1; seed <= s->seeds; seed++) {
			fail_power(vt, s, killed, position, flushed,
				   (uint32_t)position * 64 + seed);
		}
	}
	recorder_stop();
	vhd_close(disk);
}

static void compact(struct vt *vt, const char *name)
{
	struct vhd_compact result;
	struct tevent_req *req =
		vhd_compact_send(vt->mem, vt->ev, vt_open_fd(vt, name, O_RDWR),
				 name, NULL, NULL);

	assert_true(tevent_req_poll(req, vt->ev));
	assert_int_equal(vhd_compact_recv(req, vt->mem, &result, &vt->message),
			 0);
	talloc_free(req);
	assert_true(result.moved > 0);
}

/* The last one always: then the file has been cut. */
static size_t next_kill(const struct shape *s, size_t position, size_t end)
{
	return position == end || position + s->step < end ? position + s->step
							   : end;
}

/* Who is compacting moves blocks; their old places are the next one's. */
static void test_compaction(void **state)
{
	static const uint32_t blocks[] = {5};
	struct vt *vt = *state;
	unsigned k;

	for (k = 0; k < sizeof(shapes) / sizeof(shapes[0]); k++) {
		const struct shape *s = &shapes[k];
		struct vhd_disk *disk = make(vt, s);
		size_t position, end;
		uint32_t i;

		memset(content, 0, sizeof(content));
		for (i = 0; i < 4; i++) {
			write_block(vt, s, disk, i, i + 1, content);
		}
		assert_int_equal(
			vt_rw(vt, disk, VHD_DISCARD, 0, 0, NULL, s->block), 0);
		memset(content, 0, s->block);
		vhd_close(disk);
		copy_file(vt, s->name, "kept");
		for (position = 1, end = 1; position <= end;
		     position = next_kill(s, position, end)) {
			copy_file(vt, "kept", s->name);
			recorder_start_file(s->name,
					    vt_open_fd(vt, s->name, O_RDONLY));
			compact(vt, s->name);
			end = recorder_position();
			recorder_kill(position, vt_path(vt, s->name));
			second_session(vt, s, position, blocks, 1);
		}
	}
}

/* What neither session had flushed may be as it was before. */
static void lose_power(struct vt *vt, const struct shape *s, size_t killed,
		       const uint32_t blocks[2])
{
	struct vhd_disk *disk = vt_open_chain(vt, s->name, 0);
	size_t flushed;
	uint32_t i, seed;

	memcpy(next, content, sizeof(next));
	for (i = 0; i < 2; i++) {
		write_block(vt, s, disk, blocks[i], 90 + i, next);
	}
	assert_int_equal(vt_rw(vt, disk, VHD_FLUSH, 0, 0, NULL, 0), 0);
	flushed = recorder_position();
	for (seed = 1; seed <= 8; seed++) {
		fail_power(vt, s, killed, flushed, flushed, seed * 2);
	}
	recorder_stop();
	vhd_close(disk);
}

/* Blocks given up, written anew and written over, without a flush. */
static void test_work(void **state)
{
	static const uint32_t blocks[] = {0, 5};
	struct vt *vt = *state;
	unsigned k;

	for (k = 0; k < sizeof(shapes) / sizeof(shapes[0]); k++) {
		const struct shape *s = &shapes[k];
		struct vhd_disk *disk = make(vt, s);
		size_t position;
		uint32_t i;

		memset(content, 0, sizeof(content));
		for (i = 0; i < 3; i++) {
			write_block(vt, s, disk, i, i + 1, content);
		}
		vhd_close(disk);
		recorder_start_file(s->name, vt_open_fd(vt, s->name, O_RDONLY));
		disk = vt_open_chain(vt, s->name, 0);
		assert_int_equal(vt_rw(vt, disk, VHD_DISCARD, 0, s->block, NULL,
				       s->block),
				 0);
		memset(content + s->block, 0, s->block);
		write_block(vt, s, disk, 3, 11, content);
		write_block(vt, s, disk, 4, 12, content);
		position = recorder_position();
		vhd_close(disk);
		recorder_kill(position, vt_path(vt, s->name));
		/* Of the first session nothing was flushed at its end: the
		 * second one's flush is for that, too. */
		disk = vt_open_chain(vt, s->name, VHD_OPEN_READONLY);
		assert_int_equal(
			vt_rw(vt, disk, VHD_READ, 0, 0, back, size_of(s)), 0);
		assert_memory_equal(back, content, size_of(s));
		vhd_close(disk);
		lose_power(vt, s, position, blocks);
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, vt_setup_memory, vt_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_compaction),
		TEST(test_work),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
