/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Lanes: the threads that serve connections.
 *
 * A lane owns its connections, their sessions and tasks outright: no other
 * thread touches them. Others reach a lane through its inbox only.
 *
 * It waits in an epoll set of its own, which holds its sockets, the inbox's
 * eventfd and the ring's: one system call finds all that is ready, where tevent
 * would take one event per call. Its tevent loop is the ring's (vhd_io delivers
 * completions from it) and runs when the ring's eventfd says so; nothing else
 * may be registered there.
 */
#ifndef ISTM_TARGET_LANE_H
#define ISTM_TARGET_LANE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>
#include <tevent.h>

#include "lib/list.h"
#include "target/msgq.h"
#include "target/pool.h"
#include "vhd/vhd.h"

struct iscsi_server;

/* What one read from a socket may bring beside payload that goes to its
 * destination directly. */
#define LANE_RX_SIZE  (256u << 10)
#define LANE_TX_IOV   512
#define LANE_IO_DEPTH 256
#define LANE_SHARES   64
/* Commands with IMMED that go on in the background; more wait for their status
 * as without. */
#define LANE_BACKGROUND 32

/* Something in a lane's epoll set. */
struct lane_fd {
	void (*ready)(struct lane_fd *lfd, uint32_t events);
};

struct lane_fd_owner {
	struct lane_fd lfd;
	struct lane *lane;
};

struct lane {
	struct iscsi_server *server;
	unsigned index;
	pthread_t thread;
	struct msgq inbox;
	/* Connections assigned, for the choice of the least loaded lane. */
	atomic_uint load;
	/* Processor that it stands for (iscsi_route.c), since the start. */
	unsigned cpu;

	/* From here on the lane's thread only. */
	struct tevent_context *ev;
	int epfd;
	struct lane_fd_owner inbox_fd, ring_fd;
	struct vhd_io *io;
	uint64_t spin_ns; /* to look for events before sleeping; 0: never */
	int spin;	  /* score of short waits (lane_poll) */
	bool ticking;	  /* connections want iscsi_lane_tick() */
	uint64_t ticked;  /* lane_now() of the last */
	bool stopping;
	bool bound;	    /* runs on its processor only */
	bool idle;	    /* stopping, and nothing is left here */
	bool over;	    /* nor on any other lane */
	uint64_t next_id;   /* of connections and sessions */
	uint64_t delivered; /* commands so far */

	struct list_head conns;	     /* iscsi_conn.lane_link */
	struct list_head dirty;	     /* .dirty_link: have output queued */
	struct list_head runnable;   /* .run_link: more to read */
	struct list_head dead;	     /* .dirty_link: to be freed */
	struct list_head sessions;   /* iscsi_session.lane_link */
	struct list_head drains;     /* iscsi_drain_node.link */
	struct list_head background; /* iscsi_background.c */
	unsigned num_background;     /* of those, such as can be many */
	struct list_head hungry;     /* .hungry_link: wait for memory */
	struct list_head shares[LANE_SHARES]; /* iscsi_share.link */
	struct list_head listeners;
	struct list_head closed; /* listeners, to be freed after the pass */

	struct pool tasks, outs;
	struct buf_pool bufs;
	/* Bytes of memory for data that may be, and are, in use; of these
	 * what commands that run have (iscsi_memory.c). */
	uint64_t budget, held, reserved;
	uint64_t short_logged; /* lane_now() */
	uint8_t *rxbuf;
	struct iovec txiov[LANE_TX_IOV];
};

/* Main thread. @return 0 or errno; the lane runs */
int lane_start(struct lane *lane, struct iscsi_server *server, unsigned index);
/*
 * Main thread: close everything on all lanes of a server, wait for I/O under
 * way and the threads. Lanes wait for each other's answers, so that none goes
 * before all have nothing left; what they post to each other to the last is
 * handled.
 */
void lanes_stop(struct lane *lanes, unsigned num);

/* The lane's thread: watch a descriptor, edge-triggered in both directions,
 * so that no later epoll_ctl is needed. @return 0 or errno */
int lane_watch(struct lane *lane, int fd, struct lane_fd *lfd);
/* Level-triggered and for reading only (listening sockets). */
int lane_watch_level(struct lane *lane, int fd, struct lane_fd *lfd);
/* Have iscsi_lane_tick() called about once a second while there is need. */
void lane_need_tick(struct lane *lane);

/* Seconds, monotonic; cheap. */
uint64_t lane_now(void);

#endif /* ISTM_TARGET_LANE_H */
