/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The gate of a disk: COMPARE_AND_WRITE is atomic with respect to all other
 * requests to overlapping blocks, from all lanes (SBC-3 5.2).
 *
 * The fast way, while no exclusive request exists: count in, run, count out,
 * one atomic addition each on a counter that few lanes share. An exclusive
 * request announces itself in gate->exclusive and waits until those counted in
 * have gone; both sides write before they read, sequentially consistent, so
 * that one of them sees the other.
 *
 * While exclusive requests exist, the others take the list: in order of
 * arrival, an entry runs when no earlier entry overlaps it, unless both are
 * shared. The fast counter then only falls.
 */

#include "vhd/private.h"

enum vhd_gate_way {
	GATE_NONE,
	GATE_FAST,
	GATE_SHARED,	/* in the list, runs */
	GATE_EXCLUSIVE, /* in the list, runs */
	GATE_SHARED_WAITS,
	GATE_EXCLUSIVE_WAITS,
};

void vhd_gate_init(struct vhd_gate *gate)
{
	unsigned i;

	for (i = 0; i < VHD_GATE_SHARDS; i++) {
		atomic_init(&gate->shard[i].inflight, 0);
	}
	atomic_init(&gate->exclusive, 0);
	atomic_init(&gate->had_exclusive, false);
	pthread_mutex_init(&gate->lock, NULL);
	gate->list = (struct vhd_gate_list){NULL, NULL};
}

void vhd_gate_destroy(struct vhd_gate *gate)
{
	pthread_mutex_destroy(&gate->lock);
}

static bool gate_is_exclusive(const struct vhd_state *st)
{
	return st->gate == GATE_EXCLUSIVE || st->gate == GATE_EXCLUSIVE_WAITS;
}

static bool gate_drained(struct vhd_gate *gate)
{
	unsigned i;

	for (i = 0; i < VHD_GATE_SHARDS; i++) {
		if (atomic_load(&gate->shard[i].inflight) != 0) {
			return false;
		}
	}
	return true;
}

/* Ranges were validated: no overflow. */
static bool gate_overlap(const struct vhd_req *a, const struct vhd_req *b)
{
	return a->offset < b->offset + b->length &&
	       b->offset < a->offset + a->length;
}

/* May the waiting @req run? The lock is held. */
static bool gate_may_run(struct vhd_gate *gate, struct vhd_req *req)
{
	bool exclusive = gate_is_exclusive(vhd_state(req));
	struct vhd_req *r;

	if (exclusive && !gate_drained(gate)) {
		return false;
	}
	for (r = vhd_state(req)->gate_prev; r != NULL;
	     r = vhd_state(r)->gate_prev) {
		if ((exclusive || gate_is_exclusive(vhd_state(r))) &&
		    gate_overlap(r, req)) {
			return false;
		}
	}
	return true;
}

/* Who was before may have left a record that will be applied to the disk. It
 * had the range alone, so this is seen. */
static int gate_refuses(const struct vhd_req *req)
{
	const struct vhd_atomic *atomic =
		&vhd_state((struct vhd_req *)(uintptr_t)req)->disk->atomic;

	if (!atomic_load_explicit(&atomic->stuck, memory_order_acquire)) {
		return 0;
	}
	if (req->op != VHD_READ) {
		return EROFS;
	}
	return req->offset < atomic->torn_offset + atomic->torn_length &&
			       atomic->torn_offset < req->offset + req->length
		       ? EIO
		       : 0;
}

static void gate_set_running(struct vhd_req *req)
{
	struct vhd_state *st = vhd_state(req);

	st->gate = gate_is_exclusive(st) ? GATE_EXCLUSIVE : GATE_SHARED;
	st->refused = gate_refuses(req);
}

/* Let all go that may by now. The lock is held. */
static void gate_wake(struct vhd_gate *gate)
{
	struct vhd_req *req, *next;

	for (req = gate->list.first; req != NULL; req = next) {
		struct vhd_state *st = vhd_state(req);

		next = st->gate_next;
		if ((st->gate == GATE_SHARED_WAITS ||
		     st->gate == GATE_EXCLUSIVE_WAITS) &&
		    gate_may_run(gate, req)) {
			gate_set_running(req);
			vhd_io_post(req);
		}
	}
}

static void gate_append(struct vhd_gate *gate, struct vhd_req *req)
{
	struct vhd_state *st = vhd_state(req);

	st->gate_next = NULL;
	st->gate_prev = gate->list.last;
	if (gate->list.last != NULL) {
		vhd_state(gate->list.last)->gate_next = req;
	} else {
		gate->list.first = req;
	}
	gate->list.last = req;
}

static void gate_remove(struct vhd_gate *gate, struct vhd_req *req)
{
	struct vhd_state *st = vhd_state(req);

	if (st->gate_prev != NULL) {
		vhd_state(st->gate_prev)->gate_next = st->gate_next;
	} else {
		gate->list.first = st->gate_next;
	}
	if (st->gate_next != NULL) {
		vhd_state(st->gate_next)->gate_prev = st->gate_prev;
	} else {
		gate->list.last = st->gate_prev;
	}
}

static int gate_enter_listed(struct vhd_gate *gate, struct vhd_req *req)
{
	int ret = VHD_PENDING;

	pthread_mutex_lock(&gate->lock);
	gate_append(gate, req);
	if (gate_may_run(gate, req)) {
		gate_set_running(req);
		ret = vhd_state(req)->refused;
	}
	pthread_mutex_unlock(&gate->lock);
	return ret;
}

/* Count out of the fast way; tell an exclusive request that waits for it. */
static void gate_count_out(struct vhd_gate *gate, unsigned shard)
{
	atomic_fetch_sub(&gate->shard[shard].inflight, 1);
	if (atomic_load(&gate->exclusive) != 0) {
		pthread_mutex_lock(&gate->lock);
		gate_wake(gate);
		pthread_mutex_unlock(&gate->lock);
	}
}

bool vhd_gate_hold(struct vhd_gate *gate, unsigned shard)
{
	atomic_fetch_add(&gate->shard[shard].inflight, 1);
	if (atomic_load(&gate->exclusive) == 0) {
		return true;
	}
	gate_count_out(gate, shard);
	return false;
}

void vhd_gate_release(struct vhd_gate *gate, unsigned shard)
{
	gate_count_out(gate, shard);
}

int vhd_gate_enter(struct vhd_req *req, bool exclusive)
{
	struct vhd_state *st = vhd_state(req);
	struct vhd_gate *gate = &st->disk->gate;

	if (exclusive) {
		st->gate = GATE_EXCLUSIVE_WAITS;
		atomic_store(&gate->had_exclusive, true);
		atomic_fetch_add(&gate->exclusive, 1);
		return gate_enter_listed(gate, req);
	}
	atomic_fetch_add(&gate->shard[st->io->shard].inflight, 1);
	if (atomic_load(&gate->exclusive) == 0) {
		st->gate = GATE_FAST;
		return gate_refuses(req);
	}
	/* Listed before counted out, so that it cannot be overtaken. */
	st->gate = GATE_SHARED_WAITS;
	{
		unsigned shard = st->io->shard;
		int ret = gate_enter_listed(gate, req);

		gate_count_out(gate, shard);
		return ret;
	}
}

void vhd_gate_leave(struct vhd_req *req)
{
	struct vhd_state *st = vhd_state(req);
	struct vhd_gate *gate = &st->disk->gate;

	switch (st->gate) {
	case GATE_NONE:
		return;
	case GATE_FAST:
		st->gate = GATE_NONE;
		gate_count_out(gate, st->io->shard);
		return;
	default:
		break;
	}
	pthread_mutex_lock(&gate->lock);
	gate_remove(gate, req);
	if (gate_is_exclusive(st)) {
		atomic_fetch_sub(&gate->exclusive, 1);
	}
	st->gate = GATE_NONE;
	gate_wake(gate);
	pthread_mutex_unlock(&gate->lock);
}
