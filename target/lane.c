/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "target/lane.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "target/iscsi_conn.h"
#include "target/iscsi_server.h"

/* What is allowed for a wake-up when a lane judges whether looking for events
 * would have paid. */
#define LANE_WAKE_NS 20000u
/* The score: how often events came in time lately. From FROM on the lane looks;
 * to look in vain costs MISS. */
#define LANE_SPIN_MAX  64
#define LANE_SPIN_FROM 16
#define LANE_SPIN_MISS 8

/* Events taken from the epoll set in one system call. */
#define LANE_EVENTS 128

uint64_t lane_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
	return (uint64_t)ts.tv_sec;
}

static int watch(struct lane *lane, int fd, uint32_t events,
		 struct lane_fd *lfd)
{
	struct epoll_event event = {.events = events, .data.ptr = lfd};

	return epoll_ctl(lane->epfd, EPOLL_CTL_ADD, fd, &event) ? errno : 0;
}

int lane_watch(struct lane *lane, int fd, struct lane_fd *lfd)
{
	return watch(lane, fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, lfd);
}

int lane_watch_level(struct lane *lane, int fd, struct lane_fd *lfd)
{
	return watch(lane, fd, EPOLLIN, lfd);
}

static void inbox_ready(struct lane_fd *lfd, uint32_t events)
{
	struct lane *lane = list_entry(lfd, struct lane_fd_owner, lfd)->lane;

	msgq_drain(&lane->inbox, lane);
}

/* Completions: the loop has an event, so this does not wait. */
static void ring_ready(struct lane_fd *lfd, uint32_t events)
{
	struct lane *lane = list_entry(lfd, struct lane_fd_owner, lfd)->lane;

	tevent_loop_once(lane->ev);
}

void lane_need_tick(struct lane *lane)
{
	if (!lane->ticking)
		lane->ticked = lane_now();
	lane->ticking = true;
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* Look without sleeping. @return as epoll_wait; 0: nothing came in time */
static int lane_spin(struct lane *lane, struct epoll_event *events,
		     uint64_t start)
{
	int n;

	do {
		n = epoll_wait(lane->epfd, events, LANE_EVENTS, 0);
	} while (n == 0 && now_ns() - start < lane->spin_ns);
	return n;
}

/*
 * Wait for events. To be woken up costs more time (an interrupt of the other
 * processor, which may have to leave its sleep) than a short look: while
 * requests follow each other closely the lane looks a little first. An idle
 * lane sleeps.
 */
static int lane_poll(struct lane *lane, struct epoll_event *events, int timeout)
{
	uint64_t start;
	int n;

	if (timeout == 0 || lane->spin_ns == 0)
		return epoll_wait(lane->epfd, events, LANE_EVENTS, timeout);
	start = now_ns();
	if (lane->spin >= LANE_SPIN_FROM) {
		n = lane_spin(lane, events, start);
		if (n) {
			if (lane->spin < LANE_SPIN_MAX)
				lane->spin++;
			return n;
		}
		lane->spin -= LANE_SPIN_MISS;
	}
	n = epoll_wait(lane->epfd, events, LANE_EVENTS, timeout);
	/* Would it have come in time? With what the wake-up took. */
	if (now_ns() - start < LANE_WAKE_NS + lane->spin_ns) {
		if (lane->spin < LANE_SPIN_MAX)
			lane->spin++;
	} else if (lane->spin) {
		lane->spin--;
	}
	return n;
}

static void lane_wait(struct lane *lane)
{
	struct epoll_event events[LANE_EVENTS];
	int timeout = lane->ticking ? 1000 : -1;
	int n;

	if (!list_empty(&lane->runnable))
		timeout = 0;
	n = lane_poll(lane, events, timeout);
	/* Those that were runnable before; who becomes so now has just had
	 * its turn. */
	iscsi_lane_run(lane);
	/* Nothing that a handler does frees another's lane_fd before the end
	 * of the pass: connections are reaped there. */
	for (int i = 0; i < n; i++) {
		struct lane_fd *lfd = events[i].data.ptr;

		lfd->ready(lfd, events[i].events);
	}
	iscsi_listeners_reap(lane);
	if (lane->ticking && lane->ticked != lane_now()) {
		lane->ticked = lane_now();
		lane->ticking = iscsi_lane_tick(lane);
	}
}

/* What the lane's own thread sets up; a failure here ends the start. */
static int lane_open(struct lane *lane)
{
	int error;

	lane->ev = tevent_context_init(NULL);
	if (!lane->ev)
		return ENOMEM;
	lane->rxbuf = malloc(LANE_RX_SIZE);
	if (!lane->rxbuf)
		return ENOMEM;
	lane->io = vhd_io_create(lane->ev, lane->ev, LANE_IO_DEPTH);
	if (!lane->io)
		return errno;
	lane->inbox_fd.lfd.ready = inbox_ready;
	lane->ring_fd.lfd.ready = ring_ready;
	lane->inbox_fd.lane = lane->ring_fd.lane = lane;
	error = lane_watch_level(lane, lane->inbox.efd, &lane->inbox_fd.lfd);
	if (!error)
		error = lane_watch_level(lane, vhd_io_fd(lane->io),
					 &lane->ring_fd.lfd);
	return error;
}

static void lane_close(struct lane *lane)
{
	/* The ring before the loop that watches it. */
	TALLOC_FREE(lane->io);
	TALLOC_FREE(lane->ev);
	pool_fini(&lane->tasks);
	pool_fini(&lane->outs);
	buf_pool_fini(&lane->bufs);
	free(lane->rxbuf);
}

struct lane_starter {
	struct lane *lane;
	pthread_mutex_t lock;
	pthread_cond_t cond;
	bool done;
	int error;
};

static void post_all(struct lane *lanes, unsigned num,
		     void (*handle)(struct msg *, void *))
{
	for (unsigned i = 0; i < num; i++) {
		struct msg *msg = calloc(1, sizeof(*msg));

		/* A process that cannot get 16 bytes while it ends may as
		 * well. */
		if (!msg)
			abort();
		msg->handle = handle;
		msgq_post(&lanes[i].inbox, msg);
	}
}

static void lane_got_over(struct msg *msg, void *receiver)
{
	struct lane *lane = receiver;

	free(msg);
	lane->over = true;
}

static bool lane_over(struct lane *lane)
{
	struct iscsi_server *server = lane->server;

	if (!lane->idle && iscsi_lane_stopped(lane)) {
		lane->idle = true;
		if (atomic_fetch_sub(&server->lanes_busy, 1) == 1)
			post_all(server->lanes, server->num_lanes,
				 lane_got_over);
	}
	return lane->over;
}

static void *lane_main(void *private_data)
{
	struct lane_starter *starter = private_data;
	struct lane *lane = starter->lane;
	int error = lane_open(lane);

	pthread_mutex_lock(&starter->lock);
	starter->error = error;
	starter->done = true;
	pthread_cond_signal(&starter->cond);
	pthread_mutex_unlock(&starter->lock);
	/* The starter is gone from here on. */

	while (!error && !lane_over(lane)) {
		lane_wait(lane);
		/* One pass is over: its I/O and its replies leave together. */
		iscsi_lane_pass(lane);
	}
	lane_close(lane);
	return NULL;
}

/* Signals are the main thread's. */
static int create_thread(struct lane *lane, struct lane_starter *starter)
{
	sigset_t all, old;
	char name[16] = "lane";
	int error;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	error = pthread_create(&lane->thread, NULL, lane_main, starter);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (error)
		return error;
	name[4] = (char)('0' + lane->index / 10 % 10);
	name[5] = (char)('0' + lane->index % 10);
	pthread_setname_np(lane->thread, name);
	return 0;
}

int lane_start(struct lane *lane, struct iscsi_server *server, unsigned index)
{
	struct lane_starter starter = {
		.lane = lane,
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.cond = PTHREAD_COND_INITIALIZER,
	};
	int error;

	memset(lane, 0, sizeof(*lane));
	lane->server = server;
	lane->index = index;
	atomic_init(&lane->load, 0);
	/* On one processor nobody else could work meanwhile. */
	if (sysconf(_SC_NPROCESSORS_ONLN) > 1)
		lane->spin_ns = server->spin * UINT64_C(1000);
	list_init(&lane->conns);
	list_init(&lane->dirty);
	list_init(&lane->runnable);
	list_init(&lane->dead);
	list_init(&lane->sessions);
	list_init(&lane->drains);
	list_init(&lane->background);
	list_init(&lane->hungry);
	for (unsigned i = 0; i < LANE_SHARES; i++)
		list_init(&lane->shares[i]);
	lane->budget = server->lane_buffers;
	list_init(&lane->listeners);
	list_init(&lane->closed);
	iscsi_lane_init_pools(lane);
	buf_pool_init(&lane->bufs);

	lane->epfd = epoll_create1(EPOLL_CLOEXEC);
	if (lane->epfd == -1)
		return errno;
	error = msgq_init(&lane->inbox);
	if (error) {
		close(lane->epfd);
		return error;
	}
	error = create_thread(lane, &starter);
	if (!error) {
		pthread_mutex_lock(&starter.lock);
		while (!starter.done)
			pthread_cond_wait(&starter.cond, &starter.lock);
		pthread_mutex_unlock(&starter.lock);
		error = starter.error;
		if (error)
			pthread_join(lane->thread, NULL);
	}
	if (error) {
		msgq_fini(&lane->inbox);
		close(lane->epfd);
	}
	return error;
}

static void lane_got_stop(struct msg *msg, void *receiver)
{
	free(msg);
	iscsi_lane_close_all(receiver);
}

void lanes_stop(struct lane *lanes, unsigned num)
{
	bool more;

	if (num == 0)
		return;
	atomic_store(&lanes[0].server->lanes_busy, num);
	post_all(lanes, num, lane_got_stop);
	for (unsigned i = 0; i < num; i++)
		pthread_join(lanes[i].thread, NULL);
	do {
		more = false;
		for (unsigned i = 0; i < num; i++)
			more |= msgq_drain(&lanes[i].inbox, &lanes[i]);
	} while (more);
	for (unsigned i = 0; i < num; i++) {
		iscsi_lane_reap(&lanes[i]);
		msgq_fini(&lanes[i].inbox);
		close(lanes[i].epfd);
	}
}
