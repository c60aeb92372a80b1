/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What lanes share of a VHDX disk: the role, places, bitmaps (vhdx_disk.h). */

#include <errno.h>
#include <stdlib.h>

#include "vhd/vhdx_disk.h"

/* Append this much at a time at most, or one block. */
#define EXTEND_MAX (UINT64_C(512) << 20)

/* ---- waiting, the role ------------------------------------------- */

void vhdx_wait(struct vhdx *vx, struct vhd_req *req)
{
	vhd_state(req)->next = vx->waiters;
	vx->waiters = req;
}

/* The lock is held. */
static void wake(struct vhdx *vx)
{
	struct vhd_req *req = vx->waiters;

	vx->waiters = NULL;
	while (req != NULL) {
		struct vhd_req *next = vhd_state(req)->next;

		vhd_io_post(req);
		req = next;
	}
}

bool vhdx_take_role(struct vhd_req *req)
{
	struct vhdx *vx = vhdx_of(vhd_state(req)->disk);
	bool taken;

	pthread_mutex_lock(&vx->lock);
	taken = !vx->busy && !vx->worker_waits;
	if (taken) {
		vx->busy = true;
	} else {
		vhdx_wait(vx, req);
	}
	pthread_mutex_unlock(&vx->lock);
	return taken;
}

void vhdx_release_role(struct vhdx *vx)
{
	pthread_mutex_lock(&vx->lock);
	vx->busy = false;
	pthread_cond_signal(&vx->idle);
	wake(vx);
	pthread_mutex_unlock(&vx->lock);
}

void vhdx_worker_takes_role(struct vhdx *vx)
{
	pthread_mutex_lock(&vx->lock);
	vx->worker_waits = true;
	while (vx->busy) {
		pthread_cond_wait(&vx->idle, &vx->lock);
	}
	vx->worker_waits = false;
	vx->busy = true;
	pthread_mutex_unlock(&vx->lock);
}

/* ---- places ------------------------------------------------------ */

/* The place that an earlier attempt got. The lock is held. */
static bool take_failed(struct vhdx *vx, uint64_t index, uint64_t *place)
{
	unsigned i;

	for (i = 0; i < vx->failed_count; i++) {
		if (vx->failed[i].index == index) {
			*place = vx->failed[i].place;
			vx->failed[i] = vx->failed[--vx->failed_count];
			return true;
		}
	}
	return false;
}

/* One that was punched out, and reads as zeroes whatever happens. */
static bool take_freed(struct vhdx *vx, uint32_t length, uint64_t *place)
{
	unsigned i;

	if (length != vx->metadata.block_size) {
		return false;
	}
	for (i = 0; i < vx->freed_count; i++) {
		if (vx->freed[i].event <= vx->flushed) {
			*place = vx->freed[i].place;
			vx->freed[i] = vx->freed[--vx->freed_count];
			return true;
		}
	}
	return false;
}

static bool take_next(struct vhdx *vx, uint32_t length, uint64_t *place)
{
	if (vx->next > vx->end || vx->end - vx->next < length) {
		return false;
	}
	*place = vx->next;
	vx->next += length;
	return true;
}

enum vhdx_take vhdx_take_place(struct vhd_req *req, uint64_t index,
			       uint64_t entry, uint32_t length)
{
	struct vhd_state *st = vhd_state(req);
	struct vhdx *vx = vhdx_of(st->disk);
	enum vhdx_take take;
	bool scrub = false;
	uint64_t now;

	pthread_mutex_lock(&vx->lock);
	now = atomic_load(&vx->bat[index]);
	if (now & VHDX_BUSY) {
		vhdx_wait(vx, req);
		take = VHDX_WAIT;
	} else if (now != entry) {
		take = VHDX_LOOK;
	} else if ((scrub = take_failed(vx, index, &st->vx.place)) ||
		   take_freed(vx, length, &st->vx.place) ||
		   take_next(vx, length, &st->vx.place)) {
		atomic_store(&vx->bat[index], entry | VHDX_BUSY);
		st->vx.index = index;
		st->vx.scrub = scrub;
		take = VHDX_TAKEN;
	} else if (vx->busy || vx->worker_waits) {
		vhdx_wait(vx, req);
		take = VHDX_WAIT;
	} else {
		uint64_t by = (uint64_t)vx->extend_by * length;

		vx->busy = true;
		st->vx.need = by < EXTEND_MAX || by == length ? by : EXTEND_MAX;
		take = VHDX_EXTEND;
	}
	pthread_mutex_unlock(&vx->lock);
	return take;
}

enum vhdx_take vhdx_hold_entry(struct vhd_req *req, uint64_t index,
			       uint64_t entry)
{
	struct vhdx *vx = vhdx_of(vhd_state(req)->disk);
	enum vhdx_take take = VHDX_TAKEN;
	uint64_t now;

	pthread_mutex_lock(&vx->lock);
	now = atomic_load(&vx->bat[index]);
	if (now & VHDX_BUSY) {
		vhdx_wait(vx, req);
		take = VHDX_WAIT;
	} else if (now != entry) {
		take = VHDX_LOOK;
	} else {
		atomic_store(&vx->bat[index], entry | VHDX_BUSY);
		vhd_state(req)->vx.index = index;
	}
	pthread_mutex_unlock(&vx->lock);
	return take;
}

void vhdx_give_back(struct vhd_req *req, bool keep)
{
	struct vhd_state *st = vhd_state(req);
	struct vhdx *vx = vhdx_of(st->disk);
	uint64_t index = st->vx.index;

	pthread_mutex_lock(&vx->lock);
	atomic_fetch_and(&vx->bat[index], ~VHDX_BUSY);
	if (keep && vx->failed_count < VHDX_FAILED_MAX) {
		vx->failed[vx->failed_count].index = index;
		vx->failed[vx->failed_count++].place = st->vx.place;
	}
	wake(vx);
	pthread_mutex_unlock(&vx->lock);
}

void vhdx_place_freed(struct vhdx *vx, uint64_t place)
{
	pthread_mutex_lock(&vx->lock);
	if (vx->freed_count < VHDX_FREED_MAX) {
		vx->freed[vx->freed_count].place = place;
		vx->freed[vx->freed_count++].event = ++vx->events;
	}
	pthread_mutex_unlock(&vx->lock);
}

/* ---- flushes ----------------------------------------------------- */

uint64_t vhdx_flush_mark(struct vhdx *vx)
{
	uint64_t mark;

	pthread_mutex_lock(&vx->lock);
	mark = vx->events;
	pthread_mutex_unlock(&vx->lock);
	return mark;
}

void vhdx_flushed(struct vhdx *vx, uint64_t mark)
{
	unsigned i, kept = 0;

	pthread_mutex_lock(&vx->lock);
	if (mark > vx->flushed) {
		vx->flushed = mark;
		for (i = 0; i < vx->unsettled_count; i++) {
			if (vx->unsettled[i].event > mark) {
				vx->unsettled[kept++] = vx->unsettled[i];
			}
		}
		vx->unsettled_count = kept;
	}
	pthread_mutex_unlock(&vx->lock);
}

/* ---- sector bitmaps ---------------------------------------------- */

struct vhdx_page *vhdx_page_new(void)
{
	return calloc(1, sizeof(struct vhdx_page));
}

uint32_t vhdx_page_run(const struct vhdx_page *page, uint32_t first,
		       uint32_t count, bool *set)
{
	uint32_t at = first, end = first + count;

	*set = atomic_load_explicit(&page->word[first / 64],
				    memory_order_acquire) >>
		       first % 64 &
	       1;
	while (at < end) {
		uint64_t word = atomic_load_explicit(&page->word[at / 64],
						     memory_order_acquire);
		uint64_t differ = (*set ? ~word : word) >> at % 64;

		if (differ != 0) {
			at += (uint32_t)__builtin_ctzll(differ);
			break;
		}
		at = (at / 64 + 1) * 64;
	}
	return (at < end ? at : end) - first;
}
