/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A lane's io_uring: queue, submission, completions, messages to the lane. */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "vhd/private.h"

/* Worker threads of a lane's ring, at most. */
#define SYNC_WORKERS 32

static int io_destructor(struct vhd_io *io)
{
	TALLOC_FREE(io->fde);
	if (io->ring_ok) {
		io_uring_queue_exit(&io->ring);
	}
	if (io->eventfd >= 0) {
		close(io->eventfd);
	}
	if (io->vmstat_fd >= 0) {
		close(io->vmstat_fd);
	}
	free(io->bounce);
	return 0;
}

/* ---- running requests ---- */

static void io_run(struct vhd_req *req, int result)
{
	int ret = vhd_state(req)->run(req, result);

	if (ret != VHD_PENDING) {
		vhd_finish(req, ret);
	}
}

static void io_completed(struct vhd_io *io)
{
	struct io_uring_cqe *cqe;

	while (io_uring_peek_cqe(&io->ring, &cqe) == 0) {
		struct vhd_req *req = io_uring_cqe_get_data(cqe);
		int res = cqe->res;
		int ret;

		/* Before the request runs on: it may submit and wait. */
		io_uring_cqe_seen(&io->ring, cqe);
		io->inflight--;
		ret = vhd_transfer_completed(req, res);
		if (ret != VHD_PENDING) {
			io_run(req, ret);
		}
	}
}

static void io_inbox(struct vhd_io *io)
{
	struct vhd_req *req = atomic_exchange(&io->inbox, NULL);
	struct vhd_req *fifo = NULL;

	while (req != NULL) {
		struct vhd_req *next = vhd_state(req)->next;

		vhd_state(req)->next = fifo;
		fifo = req;
		req = next;
	}
	while (fifo != NULL) {
		req = fifo;
		fifo = vhd_state(req)->next;
		if (vhd_state(req)->refused != 0) {
			vhd_finish(req, vhd_state(req)->refused);
		} else {
			io_run(req, 0);
		}
	}
}

static void io_wake(struct vhd_io *io)
{
	uint64_t one = 1;
	ssize_t n;

	/* EAGAIN: the counter is full, the lane is about to wake anyway. */
	do {
		n = write(io->eventfd, &one, sizeof(one));
	} while (n < 0 && errno == EINTR);
}

static void io_ready(struct tevent_context *ev, struct tevent_fd *fde,
		     uint16_t flags, void *private_data)
{
	struct vhd_io *io = talloc_get_type_abort(private_data, struct vhd_io);
	uint64_t count;

	if (read(io->eventfd, &count, sizeof(count)) < 0 && errno != EAGAIN &&
	    errno != EINTR) {
		vhd_log(0, "vhd: read of a lane's eventfd: %s",
			strerror(errno));
	}
	io_inbox(io);
	io_completed(io);
	/* What these have queued must not wait for the lane's own kick. */
	vhd_io_kick(io);
}

void vhd_io_post(struct vhd_req *req)
{
	struct vhd_state *st = vhd_state(req);
	struct vhd_io *io = st->io;
	struct vhd_req *head = atomic_load(&io->inbox);

	do {
		st->next = head;
	} while (!atomic_compare_exchange_weak(&io->inbox, &head, req));
	if (head == NULL) {
		io_wake(io);
	}
}

void vhd_wait(struct vhd_req **waiters, struct vhd_req *req)
{
	vhd_state(req)->next = *waiters;
	*waiters = req;
}

void vhd_wake(struct vhd_req **waiters)
{
	struct vhd_req *req = *waiters;

	*waiters = NULL;
	while (req != NULL) {
		struct vhd_req *next = vhd_state(req)->next;

		vhd_io_post(req);
		req = next;
	}
}

/* ---- submission ---- */

void vhd_io_queue(struct vhd_req *req)
{
	vhd_queue_push(&vhd_state(req)->io->queue, req);
}

void vhd_io_kick(struct vhd_io *io)
{
	int ret;

	while (io->queue.first != NULL && io->inflight < io->depth) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(&io->ring);
		struct vhd_req *req;

		if (sqe == NULL) {
			break;
		}
		req = vhd_queue_pop(&io->queue);
		vhd_transfer_prepare(req, sqe);
		io_uring_sqe_set_data(sqe, req);
		io->inflight++;
	}
	if (io_uring_sq_ready(&io->ring) == 0) {
		return;
	}
	do {
		ret = io_uring_submit(&io->ring);
	} while (ret == -EINTR);
	if (ret < 0 || io_uring_sq_ready(&io->ring) != 0) {
		/* EAGAIN, EBUSY: short of memory or completions to reap. The
		 * entries stay in the ring; come back in the next pass. */
		if (ret < 0 && ret != -EAGAIN && ret != -EBUSY) {
			vhd_log(0, "vhd: io_uring_enter: %s", strerror(-ret));
		}
		io_wake(io);
	}
}

/* ---- one request, waited for ---- */

static void request_done(struct vhd_req *req)
{
	*(bool *)req->private_data = true;
}

int vhd_request(struct vhd_io *io, struct vhd_disk *disk, enum vhd_op op,
		uint64_t offset, void *buf, uint64_t length)
{
	struct iovec iov = {buf, length};
	bool done = false;
	struct vhd_req req = {
		.op = op,
		.offset = offset,
		.length = length,
		.iov = &iov,
		.iovcnt = buf != NULL ? 1 : 0,
		.done = request_done,
		.private_data = &done,
	};

	if (vhd_submit(io, disk, &req)) {
		return req.error;
	}
	vhd_io_kick(io);
	while (!done) {
		if (tevent_loop_once(io->ev) != 0) {
			/* The request lies on our stack. */
			abort();
		}
	}
	return req.error;
}

/* ---- the watermark of dirty data ---- */

/* How often /proc/vmstat is read at most while the answer is no, ms. */
#define DIRTY_LOOK_INTERVAL 20
/* Lanes share the room: none takes more of it at a time, bytes. */
#define DIRTY_BUDGET_MAX (32 << 20)

static uint64_t vmstat_value(const char *buf, const char *key)
{
	const char *p = strstr(buf, key);

	return p != NULL ? strtoull(p + strlen(key), NULL, 10) : 0;
}

/*
 * How many bytes may be dirtied before the kernel starts to throttle writers:
 * it does so above the mean of its two thresholds (balance_dirty_pages).
 */
static int64_t dirty_room(struct vhd_io *io)
{
	char buf[16384];
	ssize_t n = pread(io->vmstat_fd, buf, sizeof(buf) - 1, 0);
	uint64_t dirty, limit;

	if (n <= 0) {
		return 0;
	}
	buf[n] = '\0';
	dirty = vmstat_value(buf, "\nnr_dirty ") +
		vmstat_value(buf, "\nnr_writeback ");
	limit = (vmstat_value(buf, "\nnr_dirty_threshold ") +
		 vmstat_value(buf, "\nnr_dirty_background_threshold ")) /
		2;
	if (dirty >= limit) {
		return 0;
	}
	return (int64_t)((limit - dirty) * (uint64_t)sysconf(_SC_PAGESIZE));
}

bool vhd_io_dirty_ok(struct vhd_io *io, uint64_t length)
{
	struct timespec ts;
	uint64_t now;
	int64_t room;

	if ((int64_t)length <= io->dirty_budget) {
		io->dirty_budget -= (int64_t)length;
		return true;
	}
	if (io->vmstat_fd < 0 || length > DIRTY_BUDGET_MAX) {
		return false;
	}
	clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
	now = (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
	if (now < io->dirty_next_look) {
		return false;
	}
	room = dirty_room(io) / 4;
	if (room > DIRTY_BUDGET_MAX) {
		room = DIRTY_BUDGET_MAX;
	}
	if ((int64_t)length > room) {
		io->dirty_budget = 0;
		io->dirty_next_look = now + DIRTY_LOOK_INTERVAL;
		return false;
	}
	io->dirty_budget = room - (int64_t)length;
	return true;
}

/* ---- creation ---- */

static int io_ring_init(struct vhd_io *io, unsigned depth)
{
	unsigned workers[2] = {SYNC_WORKERS, 0}; /* bounded; unbounded: as is */
	int ret;

	/* No interrupt for completions: the lane enters the kernel often. */
	ret = io_uring_queue_init(depth, &io->ring, IORING_SETUP_COOP_TASKRUN);
	if (ret == -EINVAL) {
		ret = io_uring_queue_init(depth, &io->ring, 0);
	}
	if (ret < 0) {
		return -ret;
	}
	io->ring_ok = true;
	/* Durable writes are synced side by side: the more wait, the more
	 * share a flush of the device. The kernel's own limit is four for each
	 * processor. */
	io_uring_register_iowq_max_workers(&io->ring, workers);
	return -io_uring_register_eventfd(&io->ring, io->eventfd);
}

struct vhd_io *vhd_io_create(TALLOC_CTX *mem_ctx, struct tevent_context *ev,
			     unsigned depth)
{
	static _Atomic unsigned lanes;
	struct vhd_io *io;
	int ret;

	io = talloc_zero(mem_ctx, struct vhd_io);
	if (io == NULL) {
		errno = ENOMEM;
		return NULL;
	}
	io->eventfd = -1;
	io->vmstat_fd = -1;
	talloc_set_destructor(io, io_destructor);

	io->ev = ev;
	io->depth = depth > 0 ? depth : 1;
	io->shard = atomic_fetch_add(&lanes, 1) % VHD_GATE_SHARDS;
	atomic_init(&io->inbox, NULL);
	io->eventfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (io->eventfd < 0) {
		ret = errno;
		goto fail;
	}
	ret = io_ring_init(io, io->depth);
	if (ret != 0) {
		goto fail;
	}
	io->vmstat_fd = open("/proc/vmstat", O_RDONLY | O_CLOEXEC);
	io->bounce = aligned_alloc(4096, VHD_CAW_MAX);
	io->fde = tevent_add_fd(ev, io, io->eventfd, TEVENT_FD_READ, io_ready,
				io);
	if (io->bounce == NULL || io->fde == NULL) {
		ret = ENOMEM;
		goto fail;
	}
	return io;
fail:
	talloc_free(io);
	errno = ret;
	return NULL;
}

int vhd_io_fd(const struct vhd_io *io)
{
	return io->eventfd;
}
