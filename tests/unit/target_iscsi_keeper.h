/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * PERSISTENT RESERVE OUT over the bench, as a command that takes its time: the
 * unit's store keeps it until it is told.
 */
#ifndef ISCSI_KEEPER_H
#define ISCSI_KEEPER_H

#include "target_iscsi_commands.h"

#include <sched.h>
#include <stdatomic.h>

#define PR_OUT 0x5f

/* Stores reservations when told to: keeps a command waiting. */
static struct {
	atomic_bool hold, release;
	struct scsi_task *task;
} keeper;

static int keep(struct scsi_lu *lu, struct scsi_task *task, const void *state,
		size_t len, void *private_data)
{
	struct scsi_task *old = keeper.task;
	bool hold = keeper.hold;

	keeper.hold = false;
	if (keeper.release) {
		keeper.release = false;
		keeper.task = NULL;
		scsi_stored(old, 0);
	}
	if (hold)
		keeper.task = task;
	return hold ? EINPROGRESS : 0;
}

static UNUSED void send_pr_out(struct peer *p, uint8_t action, uint64_t key,
			       uint64_t action_key)
{
	uint8_t bhs[48], list[24] = {0};

	command(p, bhs, FW, 24, PR_OUT, 0, 0);
	memset(bhs + 33, 0, 15);
	bhs[33] = action;
	bhs[34] = action == 5 ? 1 : 0; /* write exclusive */
	put_be32(bhs + 37, 24);
	put_be64(list, key);
	put_be64(list + 8, action_key);
	list[20] = 1; /* APTPL */
	peer_send(p, bhs, list, 24);
}

static UNUSED void pr_out(struct peer *p, uint8_t action, uint64_t key,
			  uint64_t action_key)
{
	send_pr_out(p, action, key, action_key);
	expect_good(p, p->itt);
}

/* A registration by @p that is not finished until let_finish(). */
static UNUSED void register_slowly(struct peer *p)
{
	keeper.hold = true;
	send_pr_out(p, 6, 0, 0x22);
	while (keeper.hold)
		sched_yield();
}

static UNUSED struct peer *keeper_start(struct peer **q)
{
	struct peer *p = peer_new(b, "");

	*q = peer_second(b, "");
	scsi_lu_set_store(b->lu->scsi, keep, NULL);
	return p;
}

/* The command that is kept finishes. Any thread. */
static UNUSED void let_finish(void)
{
	struct scsi_task *task = keeper.task;

	keeper.task = NULL;
	bench_stored(task);
}

static UNUSED void keeper_stop(struct peer *p, struct peer *q)
{
	peer_close(p);
	peer_close(q);
	bench_wait_sessions(b, 0);
	scsi_lu_set_store(b->lu->scsi, NULL, NULL);
}

/* ---- the server stops meanwhile ---- */

struct after_close {
	struct peer *p;
	void (*then)(void);
};

static void *wait_for_close(void *private_data)
{
	struct after_close *after = private_data;

	while (peer_read(after->p, after->p->data, 48)) {
	}
	after->then();
	return NULL;
}

/* It has something to wait for, which ends with @then as soon as @p has been
 * closed. As bench_back(). */
static UNUSED void stop_while(struct peer *p, void (*then)(void))
{
	struct after_close after = {p, then};
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, wait_for_close, &after),
			 0);
	bench_back();
	pthread_join(thread, NULL);
}

#endif /* ISCSI_KEEPER_H */
