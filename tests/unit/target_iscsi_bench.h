/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A bench for the iSCSI target: the whole of it in this process, on a RAM disk
 * or a file. What initiators send it is in target_iscsi_peer.h and
 * target_iscsi_commands.h. Included by one source of a program only.
 */
#ifndef ISCSI_BENCH_H
#define ISCSI_BENCH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "target/iscsi_proto.h"
#include "target/iscsi_server.h"
#include "target/iscsi_session.h"
#include "target/target.h"

#define UNUSED __attribute__((unused))

#define TARGET	  "iqn.2026-01.test.istmd:one"
#define INITIATOR "iqn.2026-01.test.istmd:client"
#define DISK_SIZE (64u << 20)

/* Nothing here takes this long; what does has failed. */
#define PATIENCE_MS 200000

/* ---- time ---- */

/* Seconds; 0: time runs by itself. */
static uint64_t bench_stands_at;
static uint64_t bench_passed;

/*
 * The clock by which lanes see who is silent (lane_now()) can stand, so that a
 * test need not do anything within a time: that passes when the test says so.
 */
int clock_gettime(clockid_t clock, struct timespec *ts)
{
	int ret = (int)syscall(SYS_clock_gettime, clock, ts);

	if (clock == CLOCK_MONOTONIC_COARSE) {
		uint64_t at =
			__atomic_load_n(&bench_stands_at, __ATOMIC_SEQ_CST);

		if (at) {
			ts->tv_sec = (time_t)at;
			ts->tv_nsec = 0;
		}
		ts->tv_sec += (time_t)__atomic_load_n(&bench_passed,
						      __ATOMIC_SEQ_CST);
	}
	return ret;
}

static UNUSED void bench_hold_time(void)
{
	struct timespec ts;

	syscall(SYS_clock_gettime, CLOCK_MONOTONIC_COARSE, &ts);
	__atomic_store_n(&bench_stands_at, (uint64_t)ts.tv_sec,
			 __ATOMIC_SEQ_CST);
}

static UNUSED void bench_run_time(void)
{
	__atomic_store_n(&bench_stands_at, 0, __ATOMIC_SEQ_CST);
}

/* A lane notices when something happens on it, or within a second. */
static UNUSED void bench_pass(unsigned seconds)
{
	__atomic_fetch_add(&bench_passed, seconds, __ATOMIC_SEQ_CST);
}

/* ---- the target ---- */

static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned log_warnings;
static char log_last[1024];

static void bench_log(int level, const char *message)
{
	pthread_mutex_lock(&log_lock);
	if (level <= 1) {
		log_warnings++;
		snprintf(log_last, sizeof(log_last), "%s", message);
	}
	pthread_mutex_unlock(&log_lock);
	if (getenv("ISCSI_BENCH_VERBOSE")) {
		fprintf(stderr, "%d: %s\n", level, message);
	}
}

/* Warnings since the last call; the last of them is in log_last. */
static UNUSED unsigned bench_warnings(void)
{
	unsigned n;

	pthread_mutex_lock(&log_lock);
	n = log_warnings;
	log_warnings = 0;
	pthread_mutex_unlock(&log_lock);
	return n;
}

struct bench {
	struct tevent_context *ev;
	struct iscsi_server *server;
	struct vhd_disk *disk;
	struct iscsi_lu *lu;
	struct iscsi_tgt *tgt;
	struct sockaddr_in addr;
	struct bench *before; /* bench_another() */
	/* callbacks */
	unsigned logins, refused, changes;
	uint16_t last_status;
};

static void bench_login(const struct iscsi_login_event *event, void *private)
{
	struct bench *b = private;

	if (event->accepted) {
		b->logins++;
	} else {
		b->refused++;
	}
	b->last_status =
		(uint16_t)(event->status_class << 8 | event->status_detail);
}

static void bench_changed(struct iscsi_tgt *tgt, void *private)
{
	struct bench *b = private;

	b->changes++;
}

/* Of the next server: keeps states of units; NULL: nobody does. */
static void (*bench_store)(void *lu_private, const void *state, size_t len,
			   struct iscsi_lu_store *store, void *private_data);

static const struct iscsi_id bench_ids[] = {
	{ISCSI_ID_IQN, "IQN.2026-01.test.istmd:Client"},
	{ISCSI_ID_IQN, "iqn.2026-01.test.istmd:second"},
};
static struct iscsi_lun bench_luns[1];

/* What the tests start from. */
static struct iscsi_tgt_config bench_config(struct bench *b)
{
	bench_luns[0].lun = 0;
	bench_luns[0].lu = b->lu;
	return (struct iscsi_tgt_config){
		.name = "iqn.2026-01.test.ISTMD:One",
		.alias = "one",
		.enabled = true,
		.max_recv_data_segment_length = 65536,
		.first_burst_length = 65536,
		.max_burst_length = 262144,
		.ids = bench_ids,
		.num_ids = 2,
		.luns = bench_luns,
		.num_luns = 1,
	};
}

/* Of the next server; 0: as ever. With a timeout of its own time stands while
 * it is there. */
static unsigned bench_timeout, bench_connections;
static uint64_t bench_buffers;
static bool bench_discovery_chap;
static const struct iscsi_redirect *bench_redirects;
static size_t bench_num_redirects;
/* The next server's disk is this file, made anew; -1: a RAM disk. */
static int bench_fd = -1;
/* And a VHDX with logical sectors of so many bytes; 0: a VHD. */
static uint32_t bench_sector;

/* The next server's disk is a file of its own, which has no name. */
static UNUSED void bench_file_open(void)
{
	char path[] = "/tmp/istm-bench-XXXXXX";

	bench_fd = mkstemp(path);
	assert_true(bench_fd >= 0);
	unlink(path);
}

static UNUSED void bench_file_close(void)
{
	close(bench_fd);
	bench_fd = -1;
}

static UNUSED struct vhd_disk *bench_disk(struct bench *b)
{
	struct vhd_create_params params = {
		.format = bench_sector ? VHD_FORMAT_VHDX : VHD_FORMAT_VHD,
		.type = VHD_TYPE_FIXED,
		.size = DISK_SIZE,
		.logical_sector = bench_sector,
		.sparse = true,
	};
	struct vhd_disk *disk = NULL;
	struct tevent_req *req;

	if (bench_fd < 0) {
		return vhd_open_ram(b->ev, DISK_SIZE);
	}
	req = vhd_create_send(b->ev, b->ev, dup(bench_fd), "bench", &params);
	assert_true(tevent_req_poll(req, b->ev));
	assert_int_equal(vhd_create_recv(req, NULL, NULL), 0);
	talloc_free(req);
	req = vhd_open_send(b->ev, b->ev, dup(bench_fd), "bench", 0);
	assert_true(tevent_req_poll(req, b->ev));
	assert_int_equal(vhd_open_recv(req, b->ev, &disk, NULL), 0);
	talloc_free(req);
	return disk;
}

static UNUSED struct bench *bench_start(unsigned lanes)
{
	struct bench *b = calloc(1, sizeof(*b));
	const struct iscsi_server_ops ops = {
		.login = bench_login,
		.session_changed = bench_changed,
		.lu_store = bench_store,
	};
	struct iscsi_server_config config = {
		.lanes = lanes,
		.login_timeout = bench_timeout,
		.ping_interval = bench_timeout,
		.data_timeout = bench_timeout,
		.max_connections = bench_connections,
		.buffers = bench_buffers,
		.discovery_chap = bench_discovery_chap,
		.redirects = bench_redirects,
		.num_redirects = bench_num_redirects,
		.ops = &ops,
		.private_data = b,
		.debug_level = 10,
		.log = bench_log,
	};
	struct iscsi_lu_config lu = {
		.vendor = "istmd",
		.product = "VIRTUAL-DISK",
		.revision = "1",
		.serial = "1",
		.guid = {1, 2, 3},
		.enabled = true,
	};
	struct sockaddr_in any = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	struct iscsi_tgt_config tgt;
	struct sockaddr_storage bound;

	assert_non_null(b);
	if (bench_timeout) {
		bench_hold_time();
	}
	b->ev = tevent_context_init(NULL);
	b->server = iscsi_server_create(b->ev, b->ev, &config);
	assert_non_null(b->server);
	b->disk = bench_disk(b);
	assert_non_null(b->disk);
	lu.disk = b->disk;
	b->lu = iscsi_lu_add(b->server, &lu);
	assert_non_null(b->lu);
	tgt = bench_config(b);
	b->tgt = iscsi_tgt_add(b->server, &tgt, b);
	assert_non_null(b->tgt);
	assert_int_equal(iscsi_portal_add(b->server, (struct sockaddr *)&any,
					  sizeof(any), 1),
			 0);
	assert_int_equal(iscsi_portal_address(b->server,
					      (struct sockaddr *)&any,
					      sizeof(any), &bound),
			 0);
	memcpy(&b->addr, &bound, sizeof(b->addr));
	bench_warnings();
	return b;
}

static UNUSED void bench_stop(struct bench *b)
{
	bench_run_time();
	talloc_free(b->server);
	talloc_free(b->ev);
	free(b);
}

/* Let the main thread hear until *value reaches at least @want. */
static UNUSED void bench_wait(struct bench *b, const unsigned *value,
			      unsigned want)
{
	while (*value < want) {
		assert_int_equal(tevent_loop_once(b->ev), 0);
	}
}

static UNUSED void bench_wait_sessions(struct bench *b, size_t want)
{
	while (iscsi_tgt_num_sessions(b->tgt) != want) {
		assert_int_equal(tevent_loop_once(b->ev), 0);
	}
}

struct bench_stored {
	struct msg msg;
	struct scsi_task *task;
};

static void lane_got_stored(struct msg *msg, void *receiver)
{
	struct bench_stored *m = list_entry(msg, struct bench_stored, msg);

	scsi_stored(m->task, 0);
	free(m);
}

/* The unit's store answers a command that it has kept waiting, on the command's
 * own lane. Any thread. */
static UNUSED void bench_stored(struct scsi_task *task)
{
	const struct iscsi_task *iscsi = task->private_data;
	struct bench_stored *m = calloc(1, sizeof(*m));

	if (m == NULL) {
		abort();
	}
	m->msg.handle = lane_got_stored;
	m->task = task;
	msgq_post(&iscsi->session->lane->inbox, &m->msg);
}

/* ---- of most tests ---- */

static UNUSED struct bench *b;

/* To be written: no two blocks are alike. */
static UNUSED uint8_t pattern[262144];

static UNUSED void fill(uint8_t *data, size_t len, unsigned seed)
{
	for (size_t i = 0; i < len; i++) {
		seed = seed * 1103515245u + 12345u;
		data[i] = (uint8_t)(seed >> 16);
	}
}

/* Of a group of tests: one server for all. */
static UNUSED int bench_setup(void **state)
{
	fill(pattern, sizeof(pattern), 7);
	b = bench_start(2);
	return 0;
}

/* One with one lane, on which connections have their turns together. */
static UNUSED int bench_setup_lane(void **state)
{
	fill(pattern, sizeof(pattern), 7);
	b = bench_start(1);
	return 0;
}

static UNUSED int bench_teardown(void **state)
{
	bench_stop(b);
	return 0;
}

/* For a while there is another server. @return what is b until bench_back() */
static UNUSED struct bench *bench_another(unsigned lanes)
{
	struct bench *before = b;

	b = bench_start(lanes);
	b->before = before;
	return b;
}

/* One that gives up on silence after so many seconds. */
static UNUSED struct bench *bench_impatient(unsigned seconds)
{
	bench_timeout = seconds;
	bench_another(2);
	bench_timeout = 0;
	return b;
}

#define BENCH_POOR (8u << 20)

/* One with one lane, which has BENCH_POOR bytes for data. */
static UNUSED struct bench *bench_poor(void)
{
	bench_buffers = BENCH_POOR;
	bench_another(1);
	bench_buffers = 0;
	return b;
}

static UNUSED void bench_back(void)
{
	struct bench *before = b->before;

	bench_stop(b);
	b = before;
}

/* ---- what a lane has ---- */

struct bench_probe {
	struct msg msg;
	sem_t done;
	uint64_t held, reserved;
	unsigned background;
};

static void lane_got_probe(struct msg *msg, void *receiver)
{
	struct bench_probe *probe = list_entry(msg, struct bench_probe, msg);
	struct lane *lane = receiver;
	const struct list_head *pos;

	probe->held = lane->held;
	probe->reserved = lane->reserved;
	list_for_each (pos, &lane->background) {
		probe->background++;
	}
	sem_post(&probe->done);
}

/* The first lane at this moment. */
static UNUSED struct bench_probe bench_probe(void)
{
	struct bench_probe probe = {.msg.handle = lane_got_probe};

	sem_init(&probe.done, 0, 0);
	msgq_post(&b->server->lanes[0].inbox, &probe.msg);
	while (sem_wait(&probe.done) != 0) {
	}
	sem_destroy(&probe.done);
	assert_true(probe.reserved <= probe.held);
	return probe;
}

/* All memory is given back, as connections end. */
static UNUSED void bench_wait_nothing_held(void)
{
	unsigned waited = 0;

	while (bench_probe().held != 0) {
		assert_in_range(waited++, 0, PATIENCE_MS);
		poll(NULL, 0, 1);
	}
}

#endif /* ISCSI_BENCH_H */
