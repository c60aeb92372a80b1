/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Requests on one lane: each test runs on every kind of disk. */

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vhd/private.h"
#include "vhd/tap.h"
#include "vhd_helpers.h"

#define SIZE (16 * MiB)

static uint8_t big[2 * MiB], back[2 * MiB];

static void on_all(void **state,
		   void (*test)(struct vt *vt, struct vhd_disk *disk))
{
	struct vt *vt = *state;
	struct vhd_disk *disk;
	unsigned kind;

	for (kind = 0; kind < VT_KINDS; kind++) {
		disk = vt_kind(vt, kind, SIZE);
		if (disk == NULL) {
			continue; /* no direct I/O here */
		}
		assert_int_equal(vhd_disk_size(disk), SIZE);
		test(vt, disk);
		vhd_close(disk);
	}
}

/* ---- round trips ---- */

static void expect(struct vt *vt, struct vhd_disk *disk, uint64_t offset,
		   const void *data, uint64_t len)
{
	memset(back, 0x5a, len);
	assert_int_equal(vt_rw(vt, disk, VHD_READ, 0, offset, back, len), 0);
	assert_memory_equal(back, data, len);
}

static void expect_zero(struct vt *vt, struct vhd_disk *disk, uint64_t offset,
			uint64_t len)
{
	memset(back, 0x5a, len);
	assert_int_equal(vt_rw(vt, disk, VHD_READ, 0, offset, back, len), 0);
	assert_true(vt_is_zero(back, len));
}

static void round_trip(struct vt *vt, struct vhd_disk *disk)
{
	static const struct {
		uint64_t offset, len;
	} range[] = {
		{0, 512},
		{512, 512},
		{4096, 4096},
		{3584, 1024},
		{1 * MiB, 2 * MiB},
		{SIZE - 512, 512},
		{65536 - 512, 1024},
		{SIZE - 2 * MiB, 2 * MiB},
	};
	size_t i;

	expect_zero(vt, disk, 0, 2 * MiB);
	expect_zero(vt, disk, SIZE - 512, 512);
	for (i = 0; i < sizeof(range) / sizeof(range[0]); i++) {
		vt_pattern(big, range[i].len, (uint32_t)i);
		assert_int_equal(vt_rw(vt, disk, VHD_WRITE, i % 2 ? VHD_FUA : 0,
				       range[i].offset, big, range[i].len),
				 0);
		expect(vt, disk, range[i].offset, big, range[i].len);
	}
	assert_int_equal(vt_rw(vt, disk, VHD_FLUSH, 0, 0, NULL, 0), 0);
	assert_int_equal(vt_rw(vt, disk, VHD_FLUSH, 0, 0, NULL, 0), 0);
}

static void test_round_trip(void **state)
{
	on_all(state, round_trip);
}

/* Neighbours of what is written stay as they are. */
static void neighbours(struct vt *vt, struct vhd_disk *disk)
{
	uint8_t sector[512];

	vt_pattern(big, 16384, 1);
	assert_int_equal(vt_rw(vt, disk, VHD_WRITE, 0, 8192, big, 16384), 0);
	vt_pattern(sector, 512, 2);
	assert_int_equal(
		vt_rw(vt, disk, VHD_WRITE, 0, 8192 + 512 * 5, sector, 512), 0);
	memcpy(big + 512 * 5, sector, 512);
	expect(vt, disk, 8192, big, 16384);
	expect_zero(vt, disk, 8192 - 512, 512);
	expect_zero(vt, disk, 8192 + 16384, 512);
}

static void test_neighbours(void **state)
{
	on_all(state, neighbours);
}

/* The iovec in many pieces, odd lengths, empty pieces, more than needed. */
static void scattered(struct vt *vt, struct vhd_disk *disk)
{
	enum { LEN = 256 * 1024 };
	struct iovec iov[300];
	struct vhd_req req = {
		.op = VHD_WRITE,
		.offset = 1024,
		.length = LEN,
		.iov = iov,
	};
	size_t at = 0;
	int n = 0;

	vt_pattern(big, LEN + 4096, 3);
	while (at < LEN + 4096) {
		size_t here = n % 7 == 3 ? 0 : 1 + (size_t)(n * 37 % 2000);

		if (here > LEN + 4096 - at) {
			here = LEN + 4096 - at;
		}
		iov[n].iov_base = big + at;
		iov[n++].iov_len = here;
		at += here;
		assert_true(n < 300);
		if (n == 299) {
			iov[n].iov_base = big + at;
			iov[n++].iov_len = LEN + 4096 - at;
			break;
		}
	}
	req.iovcnt = n;
	assert_int_equal(vt_run(vt->io, vt->ev, disk, &req), 0);
	expect(vt, disk, 1024, big, LEN);
	expect_zero(vt, disk, 1024 + LEN, 512);

	/* And back, through the same pieces. */
	req.op = VHD_READ;
	memcpy(back, big, LEN + 4096);
	memset(big, 0, LEN);
	assert_int_equal(vt_run(vt->io, vt->ev, disk, &req), 0);
	assert_memory_equal(big, back, LEN + 4096);
}

static void test_scattered(void **state)
{
	on_all(state, scattered);
}

/* More iovecs than one system call takes. */
static void many_iovecs(struct vt *vt, struct vhd_disk *disk)
{
	enum { N = 2048 };
	struct iovec *iov = calloc(N, sizeof(*iov));
	struct vhd_req req = {
		.op = VHD_WRITE,
		.length = (uint64_t)N * 512,
		.iov = iov,
		.iovcnt = N,
	};
	int i;

	vt_pattern(big, N * 512, 4);
	for (i = 0; i < N; i++) {
		iov[i].iov_base = big + (size_t)i * 512;
		iov[i].iov_len = 512;
	}
	assert_int_equal(vt_run(vt->io, vt->ev, disk, &req), 0);
	req.flags = VHD_FUA; /* by the ring */
	req.offset = 4 * MiB;
	assert_int_equal(vt_run(vt->io, vt->ev, disk, &req), 0);
	free(iov);
	expect(vt, disk, 0, big, N * 512);
	expect(vt, disk, 4 * MiB, big, N * 512);
}

static void test_many_iovecs(void **state)
{
	on_all(state, many_iovecs);
}

/* ---- zero and discard ---- */

static void zeroing(struct vt *vt, struct vhd_disk *disk)
{
	static const uint64_t length[] = {512, 4096, 65536, 66048, 1 * MiB};
	static const enum vhd_op op[] = {VHD_ZERO, VHD_DISCARD};
	size_t i, k;

	for (k = 0; k < 2; k++) {
		for (i = 0; i < sizeof(length) / sizeof(length[0]); i++) {
			uint64_t len = length[i];

			vt_pattern(big, 2 * MiB, (uint32_t)i);
			assert_int_equal(vt_rw(vt, disk, VHD_WRITE, 0, 2 * MiB,
					       big, 2 * MiB),
					 0);
			assert_int_equal(vt_rw(vt, disk, op[k],
					       i % 2 ? VHD_FUA : 0,
					       2 * MiB + 1536, NULL, len),
					 0);
			memset(big + 1536, 0, len);
			expect(vt, disk, 2 * MiB, big, 2 * MiB);
		}
	}
}

static void test_zeroing(void **state)
{
	on_all(state, zeroing);
}

static void test_discard_frees(void **state)
{
	struct vt *vt = *state;
	struct vhd_disk *disk = vt_disk(vt, "d.vhd", SIZE, false);
	struct vhd_info info;

	assert_true(vt_file_allocated(vt, "d.vhd") >= SIZE);
	vhd_disk_info(disk, &info);
	assert_int_equal(info.allocated, SIZE);
	assert_int_equal(vt_rw(vt, disk, VHD_DISCARD, 0, 0, NULL, 8 * MiB), 0);
	assert_true(vt_file_allocated(vt, "d.vhd") <= SIZE / 2 + 65536);
	/* Zeroing keeps the space. */
	assert_int_equal(vt_rw(vt, disk, VHD_ZERO, 0, 8 * MiB, NULL, 8 * MiB),
			 0);
	assert_true(vt_file_allocated(vt, "d.vhd") >= SIZE / 2);
	/* And what was discarded can be written again. */
	vt_pattern(big, 2 * MiB, 1);
	assert_int_equal(vt_rw(vt, disk, VHD_WRITE, 0, 4096, big, 2 * MiB), 0);
	assert_int_equal(vt_rw(vt, disk, VHD_WRITE, 0, 8192, big, 512), 0);
	memcpy(big + 4096, big, 512);
	expect(vt, disk, 4096, big, 2 * MiB);
	vhd_close(disk);
}

/* What was discarded or never written is told as deallocated, what was
 * written as data. */
static void test_mapped(void **state)
{
	struct vt *vt = *state;
	/* sparse, dynamic, dynamic of small blocks */
	static const unsigned kinds[] = {1, 3, 4};
	struct vhd_disk *disk;
	uint64_t length;
	size_t i;

	for (i = 0; i < 3; i++) {
		disk = vt_kind(vt, kinds[i], SIZE);
		length = SIZE;
		assert_false(vhd_disk_mapped(disk, 0, &length));
		assert_true(length >= 512 * 1024);
		vt_pattern(big, 2 * MiB, 1);
		assert_int_equal(vt_rw(vt, disk, VHD_WRITE, 0, 4 * MiB, big,
				       2 * MiB),
				 0);
		length = SIZE;
		assert_true(vhd_disk_mapped(disk, 5 * MiB, &length));
		assert_in_range(length, 512 * 1024, 1 * MiB);
		assert_int_equal(vt_rw(vt, disk, VHD_DISCARD, 0, 4 * MiB, NULL,
				       1 * MiB),
				 0);
		length = SIZE;
		assert_false(vhd_disk_mapped(disk, 4 * MiB, &length));
		assert_in_range(length, 512 * 1024, 1 * MiB);
		length = 8192;
		assert_true(vhd_disk_mapped(disk, 5 * MiB, &length));
		assert_int_equal(length, 8192);
		length = SIZE;
		assert_false(vhd_disk_mapped(disk, 8 * MiB, &length));
		length = SIZE;
		vhd_disk_mapped(disk, SIZE - 512, &length);
		assert_int_equal(length, 512);
		vhd_close(disk);
	}
	disk = vhd_open_ram(vt->mem, SIZE);
	length = 4 * SIZE;
	assert_true(vhd_disk_mapped(disk, 0, &length));
	assert_int_equal(length, SIZE);
	vhd_close(disk);
}

static pthread_t lane;
static sem_t seek_begun, seek_may_end;
static atomic_bool seeks_wait, sought_on_lane;

/* In place of libc's: of a file system that has to read for it. */
off_t lseek(int fd, off_t offset, int whence)
{
	if (atomic_load(&seeks_wait)) {
		if (pthread_equal(pthread_self(), lane)) {
			atomic_store(&sought_on_lane, true);
		} else {
			sem_post(&seek_begun);
			sem_wait(&seek_may_end);
		}
	}
	return (off_t)syscall(SYS_lseek, fd, offset, whence);
}

static void mapped_done(struct vhd_req *req)
{
	*(bool *)req->private_data = true;
}

/* A lane that asks does not wait: other requests go on meanwhile. */
static void test_mapped_elsewhere(void **state)
{
	struct vt *vt = *state;
	struct vhd_disk *disk = vt_kind(vt, 1, SIZE);
	bool done = false;
	struct vhd_req req = {
		.op = VHD_MAPPED,
		.offset = 1 * MiB,
		.length = SIZE - 1 * MiB,
		.done = mapped_done,
		.private_data = &done,
	};

	vt_pattern(big, MiB, 1);
	assert_int_equal(vt_rw(vt, disk, VHD_WRITE, 0, 4 * MiB, big, MiB), 0);
	assert_int_equal(vt_rw(vt, disk, VHD_FLUSH, 0, 0, NULL, 0), 0);
	lane = pthread_self();
	assert_int_equal(sem_init(&seek_begun, 0, 0), 0);
	assert_int_equal(sem_init(&seek_may_end, 0, 0), 0);
	atomic_store(&seeks_wait, true);
	assert_false(vhd_submit(vt->io, disk, &req));
	while (sem_wait(&seek_begun) != 0) {
	}
	assert_int_equal(vt_rw(vt, disk, VHD_READ, 0, 4 * MiB, big, 4096), 0);
	assert_false(done);
	atomic_store(&seeks_wait, false);
	sem_post(&seek_may_end);
	while (!done) {
		assert_int_equal(tevent_loop_once(vt->ev), 0);
	}
	assert_false(atomic_load(&sought_on_lane));
	assert_int_equal(req.error, 0);
	assert_false(req.mapped);
	assert_int_equal(req.length, 3 * MiB);
	/* It writes nothing: there is still nothing to flush. */
	assert_false(atomic_load(&disk->dirty));
	req.offset = 4 * MiB;
	req.length = 4096;
	assert_int_equal(vt_run(vt->io, vt->ev, disk, &req), 0);
	assert_true(req.mapped);
	assert_int_equal(req.length, 4096);
	vhd_close(disk);
	disk = vhd_open_ram(vt->mem, SIZE);
	req.length = 4 * SIZE;
	assert_true(vhd_submit(vt->io, disk, &req));
	assert_int_equal(req.error, 0);
	assert_true(req.mapped);
	assert_int_equal(req.length, SIZE - 4 * MiB);
	req.length = 0;
	assert_true(vhd_submit(vt->io, disk, &req));
	assert_int_equal(req.error, 0);
	assert_false(req.mapped);
	vhd_close(disk);
}

/* ---- bounds ---- */

struct bad {
	enum vhd_op op;
	uint32_t flags;
	uint64_t offset, length;
};

static void bounds(struct vt *vt, struct vhd_disk *disk)
{
	static const struct bad bad[] = {
		{VHD_READ, 0, SIZE, 512},
		{VHD_READ, 0, SIZE - 512, 1024},
		{VHD_WRITE, 0, SIZE, 512},
		{VHD_WRITE, 0, UINT64_MAX - 511, 512},
		{VHD_WRITE, 0, UINT64_MAX - 511, 1024},
		{VHD_READ, 0, 512, UINT64_MAX - 511},
		{VHD_ZERO, 0, 512, UINT64_MAX - 511},
		{VHD_ZERO, 0, 0, SIZE + 512},
		{VHD_DISCARD, 0, SIZE - 512, 1024},
		{VHD_COMPARE_AND_WRITE, 0, SIZE, 512},
		{VHD_COMPARE_AND_WRITE, 0, 0, VHD_CAW_MAX + 512},
		{VHD_READ, 0, 1, 512},
		{VHD_READ, 0, 0, 511},
		{VHD_WRITE, 0, 256, 512},
		{VHD_ZERO, 0, 0, 100},
		{VHD_READ, 2, 0, 512},
		{(enum vhd_op)99, 0, 0, 512},
	};
	size_t i;

	vt_pattern(big, 4096, 1);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct iovec iov = {big, sizeof(big)};
		struct vhd_req req = {
			.op = bad[i].op,
			.flags = bad[i].flags,
			.offset = bad[i].offset,
			.length = bad[i].length,
			.iov = &iov,
			.iovcnt = 1,
		};

		assert_true(vhd_submit(vt->io, disk, &req));
		assert_int_equal(req.error, EINVAL);
	}
	expect_zero(vt, disk, SIZE - 4096, 4096);
	expect_zero(vt, disk, 0, 4096);
}

static void test_bounds(void **state)
{
	on_all(state, bounds);
}

/* Too few bytes in the iovec, lengths that overflow, no iovec at all. */
static void iovec_bounds(struct vt *vt, struct vhd_disk *disk)
{
	struct iovec iov[2] = {{big, 512}, {big, 511}};
	struct vhd_req req = {
		.op = VHD_WRITE,
		.length = 1024,
		.iov = iov,
		.iovcnt = 2,
	};

	assert_true(vhd_submit(vt->io, disk, &req));
	assert_int_equal(req.error, EINVAL);
	iov[0].iov_len = SIZE_MAX;
	assert_true(vhd_submit(vt->io, disk, &req));
	assert_int_equal(req.error, EINVAL);
	req.iov = NULL;
	assert_true(vhd_submit(vt->io, disk, &req));
	assert_int_equal(req.error, EINVAL);
	req.iovcnt = 0;
	assert_true(vhd_submit(vt->io, disk, &req));
	assert_int_equal(req.error, EINVAL);
	req.iovcnt = -1;
	assert_true(vhd_submit(vt->io, disk, &req));
	assert_int_equal(req.error, EINVAL);
	/* A compare-and-write needs twice its length. */
	iov[0].iov_len = 512;
	req.op = VHD_COMPARE_AND_WRITE;
	req.length = 512;
	req.iov = iov;
	req.iovcnt = 2;
	assert_true(vhd_submit(vt->io, disk, &req));
	assert_int_equal(req.error, EINVAL);
	/* Nothing to do is fine, at the very end too. */
	req = (struct vhd_req){.op = VHD_READ, .offset = SIZE};
	assert_true(vhd_submit(vt->io, disk, &req));
	assert_int_equal(req.error, 0);
}

static void test_iovec_bounds(void **state)
{
	on_all(state, iovec_bounds);
}

/* ---- compare and write ---- */

static void compare_and_write(struct vt *vt, struct vhd_disk *disk)
{
	struct iovec iov[3];
	struct vhd_req req = {
		.op = VHD_COMPARE_AND_WRITE,
		.offset = 3 * 512,
		.length = 1024,
		.iov = iov,
		.iovcnt = 3,
	};

	/* The disk holds zeroes: matches, writes. In awkward pieces. */
	memset(big, 0, 1024);
	vt_pattern(big + 1024, 1024, 7);
	iov[0] = (struct iovec){big, 700};
	iov[1] = (struct iovec){big + 700, 600};
	iov[2] = (struct iovec){big + 1300, 748};
	assert_int_equal(vt_run(vt->io, vt->ev, disk, &req), 0);
	expect(vt, disk, 3 * 512, big + 1024, 1024);
	expect_zero(vt, disk, 5 * 512, 512);

	/* Differs in one byte: nothing is written, the place is told. */
	memcpy(big, big + 1024, 1024);
	big[777] ^= 1;
	vt_pattern(big + 1024, 1024, 8);
	req.flags = VHD_FUA;
	assert_int_equal(vt_run(vt->io, vt->ev, disk, &req), EILSEQ);
	assert_int_equal(req.miscompare, 777);
	big[777] ^= 1;
	expect(vt, disk, 3 * 512, big, 1024);
	assert_int_equal(vt_run(vt->io, vt->ev, disk, &req), 0);
	expect(vt, disk, 3 * 512, big + 1024, 1024);
}

static void test_compare_and_write(void **state)
{
	on_all(state, compare_and_write);
}

/* How many writes; is the last not on stable storage yet? */
static uint64_t writes;
static bool unstable;

static void tap_write(const char *name, uint64_t offset,
		      const struct iovec *iov, int iovcnt, uint64_t len,
		      bool durable)
{
	writes++;
	unstable = !durable; /* a write made durable is reported again */
}

static uint64_t tap_sync_begin(const char *name)
{
	return writes;
}

static void tap_sync_end(const char *name, uint64_t begin)
{
	unstable = unstable && begin != writes;
}

static void compare_and_write_fua(struct vt *vt, struct vhd_disk *disk)
{
	uint8_t buf[1024];

	vt_pattern(buf, sizeof(buf), 3);
	assert_int_equal(vt_rw(vt, disk, VHD_WRITE, 0, 512, buf, 512), 0);
	assert_int_equal(vt_rw(vt, disk, VHD_FLUSH, 0, 0, NULL, 0), 0);
	assert_false(unstable);
	assert_int_equal(vt_rw(vt, disk, VHD_COMPARE_AND_WRITE, VHD_FUA, 512,
			       buf, 512),
			 0);
	assert_false(unstable);
	expect(vt, disk, 512, buf + 512, 512);
}

/* Its read is not the last word on whether the write is durable. */
static void test_compare_and_write_fua(void **state)
{
	static const struct vhd_tap tap = {
		.write = tap_write,
		.sync_begin = tap_sync_begin,
		.sync_end = tap_sync_end,
	};
	struct vt *vt = *state;
	struct vhd_disk *disk;
	unsigned kind;

	vhd_set_tap(&tap);
	for (kind = 0; kind < VT_KINDS; kind++) {
		disk = vt_kind(vt, kind, SIZE);
		if (disk == NULL) {
			continue; /* no direct I/O here */
		}
		unstable = false;
		compare_and_write_fua(vt, disk);
		vhd_close(disk);
	}
	vhd_set_tap(NULL);
}

/* ---- many at once ---- */

enum { BATCH = 500 };

struct batch {
	struct vhd_req req[BATCH];
	struct iovec iov[BATCH];
	unsigned done;
};

static void batch_done(struct vhd_req *req)
{
	struct batch *batch = req->private_data;

	assert_int_equal(req->error, 0);
	batch->done++;
}

/* More under way than the ring is deep; one kick for all. */
static void batch(struct vt *vt, struct vhd_disk *disk)
{
	struct batch *batch = calloc(1, sizeof(*batch));
	unsigned i, round;

	for (round = 0; round < 2; round++) {
		vt_pattern(big, BATCH * 1024, round);
		batch->done = 0;
		for (i = 0; i < BATCH; i++) {
			/* FUA: by the ring; in turn from both ends */
			batch->iov[i] = (struct iovec){big + i * 1024, 1024};
			batch->req[i] = (struct vhd_req){
				.op = VHD_WRITE,
				.flags = i % 3 ? 0 : VHD_FUA,
				.offset = i * 1024,
				.length = 1024,
				.iov = &batch->iov[i],
				.iovcnt = 1,
				.done = batch_done,
				.private_data = batch,
			};
			if (vhd_submit(vt->io, disk, &batch->req[i])) {
				batch_done(&batch->req[i]);
			}
		}
		vhd_io_kick(vt->io);
		while (batch->done < BATCH) {
			assert_int_equal(tevent_loop_once(vt->ev), 0);
		}
		expect(vt, disk, 0, big, BATCH * 1024);
	}
	free(batch);
}

static void test_batch(void **state)
{
	on_all(state, batch);
}

/* Compare-and-writes of one lane queue up for its buffer and the range. */
static void caw_queue(struct vt *vt, struct vhd_disk *disk)
{
	enum { N = 20 };
	static uint8_t buf[N][1024];
	struct batch *batch = calloc(1, sizeof(*batch));
	uint8_t zero[512] = {0};
	unsigned i;

	assert_int_equal(vt_rw(vt, disk, VHD_WRITE, 0, 0, zero, 512), 0);
	for (i = 0; i < N; i++) {
		memset(buf[i], (int)i, 512);
		memset(buf[i] + 512, (int)i + 1, 512);
		batch->iov[i] = (struct iovec){buf[i], 1024};
		batch->req[i] = (struct vhd_req){
			.op = VHD_COMPARE_AND_WRITE,
			.flags = VHD_FUA,
			.length = 512,
			.iov = &batch->iov[i],
			.iovcnt = 1,
			.done = batch_done,
			.private_data = batch,
		};
		if (vhd_submit(vt->io, disk, &batch->req[i])) {
			batch_done(&batch->req[i]);
		}
	}
	vhd_io_kick(vt->io);
	while (batch->done < N) {
		assert_int_equal(tevent_loop_once(vt->ev), 0);
	}
	memset(zero, N, 512);
	expect(vt, disk, 0, zero, 512);
	free(batch);
}

static void test_caw_queue(void **state)
{
	on_all(state, caw_queue);
}

/* ---- trouble ---- */

static char logged[512];

static void log_sink(int level, const char *message)
{
	snprintf(logged, sizeof(logged), "%d %s", level, message);
}

/* The file is cut short behind our back: an error, a log line, no hang. */
static void test_truncated_under_us(void **state)
{
	struct vt *vt = *state;
	struct vhd_disk *disk = vt_disk(vt, "t.vhd", SIZE, false);

	assert_int_equal(truncate(vt_path(vt, "t.vhd"), 4 * MiB + 1024), 0);
	vhd_set_log(log_sink);
	logged[0] = '\0';
	assert_int_equal(vt_rw(vt, disk, VHD_READ, 0, 4 * MiB, big, 4096), EIO);
	vhd_set_log(NULL);
	assert_non_null(strstr(logged, "t.vhd"));
	assert_non_null(strstr(logged, "end of file"));
	/* What is there is still served. */
	assert_int_equal(vt_rw(vt, disk, VHD_READ, 0, 4 * MiB, big, 1024), 0);
	vhd_close(disk);
}

static void test_readonly(void **state)
{
	struct vt *vt = *state;
	struct vhd_disk *disk = vt_disk(vt, "r.vhd", SIZE, true);
	enum vhd_op op;

	vt_pattern(big, 4096, 1);
	assert_int_equal(vt_rw(vt, disk, VHD_WRITE, 0, 0, big, 4096), 0);
	vhd_close(disk);
	assert_int_equal(vt_open(vt, "r.vhd", VHD_OPEN_READONLY, &disk), 0);
	expect(vt, disk, 0, big, 4096);
	for (op = VHD_WRITE; op <= VHD_COMPARE_AND_WRITE; op++) {
		if (op != VHD_FLUSH) {
			assert_int_equal(vt_rw(vt, disk, op, 0, 0, big, 512),
					 EROFS);
		}
	}
	expect(vt, disk, 0, big, 4096);
	assert_int_equal(vt_grow(vt, disk, 1 * MiB), EROFS);
	vhd_close(disk);
}

/* The ring's range of a sync has 32 bits for its length: a longer one is all of
 * the file (0 at 0), not what is left of the length. */
static void test_long_sync(void **state)
{
	static const struct {
		uint64_t length, offset, len;
	} cases[] = {
		{4096, 8192, 4096},
		{UINT32_MAX, 8192, UINT32_MAX},
		{4 * GiB, 0, 0},
		{5 * GiB, 0, 0},
	};
	struct vhd_file file = {.fd = 1, .direct_fd = -1};
	unsigned i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct vhd_req req = {.op = VHD_ZERO};
		struct io_uring_sqe sqe = {.len = 1};

		vhd_state(&req)->sqe_op = IORING_OP_SYNC_FILE_RANGE;
		vhd_state(&req)->file = &file;
		vhd_state(&req)->durable.offset = 8192;
		vhd_state(&req)->durable.length = cases[i].length;
		vhd_transfer_prepare(&req, &sqe);
		assert_int_equal(sqe.off, cases[i].offset);
		assert_int_equal(sqe.len, cases[i].len);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_round_trip, vt_setup,
						vt_teardown),
		cmocka_unit_test_setup_teardown(test_neighbours, vt_setup,
						vt_teardown),
		cmocka_unit_test_setup_teardown(test_scattered, vt_setup,
						vt_teardown),
		cmocka_unit_test_setup_teardown(test_many_iovecs, vt_setup,
						vt_teardown),
		cmocka_unit_test_setup_teardown(test_zeroing, vt_setup,
						vt_teardown),
		cmocka_unit_test_setup_teardown(test_discard_frees, vt_setup,
						vt_teardown),
		cmocka_unit_test_setup_teardown(test_mapped, vt_setup,
						vt_teardown),
		cmocka_unit_test_setup_teardown(test_mapped_elsewhere, vt_setup,
						vt_teardown),
		cmocka_unit_test_setup_teardown(test_bounds, vt_setup,
						vt_teardown),
		cmocka_unit_test_setup_teardown(test_iovec_bounds, vt_setup,
						vt_teardown),
		cmocka_unit_test_setup_teardown(test_compare_and_write,
						vt_setup, vt_teardown),
		cmocka_unit_test_setup_teardown(test_compare_and_write_fua,
						vt_setup, vt_teardown),
		cmocka_unit_test_setup_teardown(test_batch, vt_setup,
						vt_teardown),
		cmocka_unit_test_setup_teardown(test_caw_queue, vt_setup,
						vt_teardown),
		cmocka_unit_test_setup_teardown(test_truncated_under_us,
						vt_setup, vt_teardown),
		cmocka_unit_test_setup_teardown(test_readonly, vt_setup,
						vt_teardown),
		cmocka_unit_test(test_long_sync),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
