/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Several lanes on one disk: what they write stays apart, compare-and-write
 * is atomic between them. Made for ThreadSanitizer too. */

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vhd_helpers.h"

#define SIZE  (16 * MiB)
#define LANES 3

struct lane {
	struct vhd_disk *disk;
	unsigned index;
	void (*work)(struct lane *lane, struct vhd_io *io,
		     struct tevent_context *ev);
	pthread_t thread;
	unsigned won;
};

static void *lane_main(void *arg)
{
	struct lane *lane = arg;
	TALLOC_CTX *mem = talloc_new(NULL);
	struct tevent_context *ev = tevent_context_init(mem);
	struct vhd_io *io = vhd_io_create(mem, ev, 8);

	assert_non_null(io);
	lane->work(lane, io, ev);
	talloc_free(io);
	talloc_free(mem);
	return NULL;
}

static void run_lanes(struct vhd_disk *disk, struct lane lanes[LANES],
		      void (*work)(struct lane *lane, struct vhd_io *io,
				   struct tevent_context *ev))
{
	unsigned i;

	for (i = 0; i < LANES; i++) {
		lanes[i] = (struct lane){
			.disk = disk,
			.index = i,
			.work = work,
		};
		assert_int_equal(pthread_create(&lanes[i].thread, NULL,
						lane_main, &lanes[i]),
				 0);
	}
	for (i = 0; i < LANES; i++) {
		pthread_join(lanes[i].thread, NULL);
	}
}

static void on_all(void **state, void (*test)(struct vhd_disk *disk))
{
	struct vt *vt = *state;
	struct vhd_disk *disk;
	unsigned kind;

	for (kind = 0; kind < VT_KINDS; kind++) {
		disk = vt_kind(vt, kind, SIZE);
		if (disk == NULL) {
			continue; /* no direct I/O here */
		}
		test(disk);
		vhd_close(disk);
	}
}

static int lane_rw(struct vhd_io *io, struct tevent_context *ev,
		   struct lane *lane, enum vhd_op op, uint32_t flags,
		   uint64_t offset, void *buf, uint64_t length)
{
	struct iovec iov = {buf,
			    op == VHD_COMPARE_AND_WRITE ? 2 * length : length};
	struct vhd_req req = {
		.op = op,
		.flags = flags,
		.offset = offset,
		.length = length,
		.iov = &iov,
		.iovcnt = 1,
	};

	return vt_run(io, ev, lane->disk, &req);
}

/* ---- each its own sectors, interleaved ---- */

enum { ROUNDS = 300 };

static void apart_work(struct lane *lane, struct vhd_io *io,
		       struct tevent_context *ev)
{
	uint8_t buf[512], back[512];
	unsigned i;

	for (i = 0; i < ROUNDS; i++) {
		uint64_t offset = ((uint64_t)i * LANES + lane->index) * 512;

		vt_pattern(buf, 512, i * LANES + lane->index);
		assert_int_equal(lane_rw(io, ev, lane, VHD_WRITE,
					 i % 16 ? 0 : VHD_FUA, offset, buf,
					 512),
				 0);
		if (i % 50 == 0) {
			assert_int_equal(lane_rw(io, ev, lane, VHD_FLUSH, 0, 0,
						 NULL, 0),
					 0);
			assert_int_equal(lane_rw(io, ev, lane, VHD_DISCARD, 0,
						 (8 + lane->index) * MiB, NULL,
						 1 * MiB),
					 0);
		}
		assert_int_equal(lane_rw(io, ev, lane, VHD_READ, 0, offset,
					 back, 512),
				 0);
		assert_memory_equal(buf, back, 512);
	}
}

static void check_apart_work(struct lane *lane, struct vhd_io *io,
			     struct tevent_context *ev)
{
	uint8_t buf[512], back[512];
	unsigned i;

	for (i = 0; i < ROUNDS * LANES; i++) {
		vt_pattern(buf, 512, i);
		assert_int_equal(lane_rw(io, ev, lane, VHD_READ, 0,
					 (uint64_t)i * 512, back, 512),
				 0);
		assert_memory_equal(buf, back, 512);
	}
}

static void apart(struct vhd_disk *disk)
{
	struct lane lanes[LANES];

	run_lanes(disk, lanes, apart_work);
	run_lanes(disk, lanes, check_apart_work);
}

static void test_apart(void **state)
{
	on_all(state, apart);
}

/* ---- a lock-free counter on one sector ---- */

enum { INCREMENTS = 100 };

/* Read, add one, compare-and-write; again when another was faster. No lost
 * update means that the comparison and the write were one. */
static void count_work(struct lane *lane, struct vhd_io *io,
		       struct tevent_context *ev)
{
	uint8_t buf[1024];
	unsigned done = 0;

	while (done < INCREMENTS) {
		uint32_t n;
		int ret;

		ret = lane_rw(io, ev, lane, VHD_READ, 0, 512, buf, 512);
		assert_int_equal(ret, 0);
		memcpy(buf + 512, buf, 512);
		memcpy(&n, buf, 4);
		n++;
		memcpy(buf + 512, &n, 4);
		ret = lane_rw(io, ev, lane, VHD_COMPARE_AND_WRITE, 0, 512, buf,
			      512);
		if (ret == 0) {
			done++;
		} else {
			assert_int_equal(ret, EILSEQ);
		}
	}
}

static void final_count_work(struct lane *lane, struct vhd_io *io,
			     struct tevent_context *ev)
{
	uint8_t buf[512];
	uint32_t n;

	assert_int_equal(lane_rw(io, ev, lane, VHD_READ, 0, 512, buf, 512), 0);
	memcpy(&n, buf, 4);
	assert_int_equal(n, INCREMENTS * LANES);
}

static void count(struct vhd_disk *disk)
{
	struct lane lanes[LANES];

	run_lanes(disk, lanes, count_work);
	run_lanes(disk, lanes, final_count_work);
}

static void test_count(void **state)
{
	on_all(state, count);
}

/* ---- compare-and-write against plain writes ---- */

#define AREA 16384

/*
 * Lane 0 turns an area of all x into all y by compare-and-write; the others
 * write whole areas of one value and read: nobody ever sees a mixture in
 * what a compare-and-write compared, so it succeeds or miscompares at 0.
 */
static void mixture_work(struct lane *lane, struct vhd_io *io,
			 struct tevent_context *ev)
{
	uint8_t *buf = malloc(2 * AREA);
	unsigned i;

	for (i = 0; i < 150; i++) {
		struct iovec iov = {buf, 2 * AREA};
		struct vhd_req req = {
			.op = VHD_COMPARE_AND_WRITE,
			.offset = 4096,
			.length = AREA,
			.iov = &iov,
			.iovcnt = 1,
		};
		int ret;

		if (lane->index == 0) {
			memset(buf, (int)(i % 3), AREA);
			memset(buf + AREA, (int)((i + 1) % 3), AREA);
			ret = vt_run(io, ev, lane->disk, &req);
			if (ret == 0) {
				lane->won++;
			} else {
				assert_int_equal(ret, EILSEQ);
				assert_int_equal(req.miscompare, 0);
			}
		} else {
			memset(buf, (int)(i % 3), AREA);
			/* By the ring, to have it under way for a while. */
			ret = lane_rw(io, ev, lane, VHD_WRITE,
				      i % 8 ? 0 : VHD_FUA, 4096, buf, AREA);
			assert_int_equal(ret, 0);
		}
		/* Traffic elsewhere, which nobody has to wait for. */
		ret = lane_rw(io, ev, lane, VHD_WRITE, 0,
			      (1 + lane->index) * MiB, buf, AREA);
		assert_int_equal(ret, 0);
	}
	free(buf);
}

static void mixture(struct vhd_disk *disk)
{
	struct lane lanes[LANES];

	run_lanes(disk, lanes, mixture_work);
}

/* Plain writes of two lanes may mix with one another where the disk has no
 * lock of its own; so only one other lane writes here. */
static void two_writers_work(struct lane *lane, struct vhd_io *io,
			     struct tevent_context *ev)
{
	if (lane->index < 2) {
		mixture_work(lane, io, ev);
	}
}

static void mixture_of_two(struct vhd_disk *disk)
{
	struct lane lanes[LANES];

	run_lanes(disk, lanes, two_writers_work);
}

static void test_mixture(void **state)
{
	struct vt *vt = *state;
	struct vhd_disk *disk;

	/* The kernel serialises buffered writes to a file. */
	disk = vt_disk(vt, "out.vhd", SIZE, false);
	mixture(disk);
	vhd_close(disk);
	disk = vhd_open_ram(vt->mem, SIZE);
	mixture_of_two(disk);
	vhd_close(disk);
}

/* ---- many at once from one lane, beside compare-and-writes and atomic writes
 */

enum { FLIGHT = 64 };

struct flight {
	struct vhd_req req[FLIGHT];
	struct iovec iov[FLIGHT];
	unsigned done;
};

static void flight_done(struct vhd_req *req)
{
	struct flight *flight = req->private_data;

	assert_true(req->error == 0 || req->error == EILSEQ);
	flight->done++;
}

static void flight_work(struct lane *lane, struct vhd_io *io,
			struct tevent_context *ev)
{
	struct flight *flight = calloc(1, sizeof(*flight));
	static const enum vhd_op ops[] = {VHD_READ,  VHD_WRITE,
					  VHD_ZERO,  VHD_COMPARE_AND_WRITE,
					  VHD_FLUSH, VHD_DISCARD};
	uint8_t *buf = malloc(FLIGHT * 2048);
	unsigned round, i;

	vt_pattern(buf, FLIGHT * 2048, lane->index);
	for (round = 0; round < 10; round++) {
		flight->done = 0;
		for (i = 0; i < FLIGHT; i++) {
			unsigned k = i * 7 + round + lane->index;

			flight->iov[i] = (struct iovec){buf + i * 2048, 2048};
			flight->req[i] = (struct vhd_req){
				/* Few: each is three flushes. */
				.op = k % 64 == 5 ? VHD_WRITE_ATOMIC
						  : ops[k % 6],
				.flags = k % 5 ? 0 : VHD_FUA,
				.offset =
					(k * 13 % 16) * 512 + lane->index * MiB,
				.length = 1024,
				.iov = &flight->iov[i],
				.iovcnt = 1,
				.done = flight_done,
				.private_data = flight,
			};
			if (vhd_submit(io, lane->disk, &flight->req[i])) {
				flight_done(&flight->req[i]);
			}
		}
		vhd_io_kick(io);
		while (flight->done < FLIGHT) {
			assert_int_equal(tevent_loop_once(ev), 0);
		}
	}
	free(buf);
	free(flight);
}

static void flight(struct vhd_disk *disk)
{
	struct lane lanes[LANES];

	run_lanes(disk, lanes, flight_work);
}

static void test_flight(void **state)
{
	on_all(state, flight);
}

/* ---- blocks come and go ---- */

enum { TURNS = 40 };

/* A block of its own for each lane at a time; their places change hands. */
static void release_work(struct lane *lane, struct vhd_io *io,
			 struct tevent_context *ev)
{
	uint64_t unit = 512 * 1024;
	uint8_t *buf = malloc(8192), *back = malloc(16384);
	unsigned i;

	for (i = 0; i < TURNS; i++) {
		uint64_t block = (uint64_t)i * LANES + lane->index;
		uint64_t offset = block % (SIZE / unit / LANES * LANES) * unit;
		uint64_t at = offset + 4096 * (i % 8);

		vt_pattern(buf, 8192, (uint32_t)block);
		assert_int_equal(
			lane_rw(io, ev, lane, VHD_WRITE, 0, at, buf, 8192), 0);
		assert_int_equal(
			lane_rw(io, ev, lane, VHD_READ, 0, at, back, 16384), 0);
		assert_memory_equal(buf, back, 8192);
		assert_true(vt_is_zero(back + 8192, 8192));
		assert_int_equal(lane_rw(io, ev, lane, VHD_DISCARD, 0, offset,
					 NULL, unit),
				 0);
		assert_int_equal(
			lane_rw(io, ev, lane, VHD_READ, 0, at, back, 16384), 0);
		assert_true(vt_is_zero(back, 16384));
	}
	free(back);
	free(buf);
}

static void release(struct vhd_disk *disk)
{
	struct lane lanes[LANES];
	struct vhd_info info;

	run_lanes(disk, lanes, release_work);
	vhd_disk_info(disk, &info);
	if (info.block_size == 512 * 1024) {
		assert_int_equal(info.allocated, 0);
	}
}

static void test_release(void **state)
{
	on_all(state, release);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_apart, vt_setup,
						vt_teardown),
		cmocka_unit_test_setup_teardown(test_count, vt_setup,
						vt_teardown),
		cmocka_unit_test_setup_teardown(test_mixture, vt_setup,
						vt_teardown),
		cmocka_unit_test_setup_teardown(test_flight, vt_setup,
						vt_teardown),
		cmocka_unit_test_setup_teardown(test_release, vt_setup,
						vt_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
