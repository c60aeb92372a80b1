/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What lanes share of a VHDX disk: the role, places, bitmaps (vhdx_disk.h). */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vhd/vhdx_disk.h"

/* Append this much at a time at most, or one block. */
#define EXTEND_MAX (UINT64_C(512) << 20)

/* ---- waiting, the role ---- */

void vhdx_wait(struct vhdx *vx, struct vhd_req *req)
{
	vhd_wait(&vx->waiters, req);
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
	vhd_wake(&vx->waiters);
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

/* ---- places ---- */

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
static bool take_clean(struct vhdx *vx, uint32_t length, uint64_t *place)
{
	if (length != vx->metadata.block_size || vx->freed.clean_count == 0) {
		return false;
	}
	*place = vx->freed.clean[--vx->freed.clean_count];
	return true;
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

/* What was free when the file was opened. @return is there any for a block */
static bool choose_gaps(struct vhdx *vx, uint32_t length)
{
	unsigned n = 0;

	while (length == vx->metadata.block_size && n < VHDX_RECLAIM_MAX &&
	       vhdx_gap_take(&vx->gaps, &vx->gap_next, length, UINT64_MAX,
			     &vx->reclaim[n])) {
		n++;
	}
	vx->reclaim_count = n;
	return n > 0;
}

/* May the request change the entry? The lock is held. @return TAKEN: it may;
 * LOOK or WAIT */
static enum vhdx_take entry_is_free(struct vhd_req *req, uint64_t index,
				    uint64_t entry)
{
	struct vhdx *vx = vhdx_of(vhd_state(req)->disk);
	uint64_t now = atomic_load(&vx->bat[index]);

	if (now & VHDX_BUSY) {
		vhdx_wait(vx, req);
		return VHDX_WAIT;
	}
	return now == entry ? VHDX_TAKEN : VHDX_LOOK;
}

enum vhdx_take vhdx_take_place(struct vhd_req *req, uint64_t index,
			       uint64_t entry, uint32_t length)
{
	struct vhd_state *st = vhd_state(req);
	struct vhdx *vx = vhdx_of(st->disk);
	enum vhdx_take take;
	bool scrub = false;

	pthread_mutex_lock(&vx->lock);
	take = entry_is_free(req, index, entry);
	if (take != VHDX_TAKEN) {
		pthread_mutex_unlock(&vx->lock);
		return take;
	}
	if ((scrub = take_failed(vx, index, &st->vx.place)) ||
	    take_clean(vx, length, &st->vx.place) ||
	    take_next(vx, length, &st->vx.place)) {
		atomic_store(&vx->bat[index], entry | VHDX_BUSY);
		st->vx.index = index;
		st->vx.scrub = scrub;
	} else if (vx->busy || vx->worker_waits) {
		vhdx_wait(vx, req);
		take = VHDX_WAIT;
	} else if (choose_gaps(vx, length)) {
		vx->busy = true;
		take = VHDX_RECLAIM;
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
	enum vhdx_take take;

	pthread_mutex_lock(&vx->lock);
	take = entry_is_free(req, index, entry);
	if (take == VHDX_TAKEN) {
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
	vhd_wake(&vx->waiters);
	pthread_mutex_unlock(&vx->lock);
}

/* Room for one more of @size bytes, or it is forgotten until the file is
 * opened again. */
static void *grow_list(void *list, size_t size, size_t count, size_t *room)
{
	size_t more = *room != 0 ? 2 * *room : 64;

	if (count < *room) {
		return list;
	}
	if (more > VHDX_FREED_MAX) {
		return NULL;
	}
	list = realloc(list, more * size);
	if (list != NULL) {
		*room = more;
	}
	return list;
}

/* The lock is held. */
static void add_clean(struct vhdx_freed *f, uint64_t place)
{
	uint64_t *clean = grow_list(f->clean, sizeof(*clean), f->clean_count,
				    &f->clean_room);

	if (clean != NULL) {
		f->clean = clean;
		f->clean[f->clean_count++] = place;
	}
}

void vhdx_place_freed(struct vhdx *vx, uint64_t place)
{
	struct vhdx_freed *f = &vx->freed;
	void *list;

	pthread_mutex_lock(&vx->lock);
	list = grow_list(f->freed, sizeof(*f->freed), f->freed_count,
			 &f->freed_room);
	if (list != NULL) {
		f->freed = list;
		f->freed[f->freed_count].place = place;
		f->freed[f->freed_count++].event = ++vx->events;
	}
	pthread_mutex_unlock(&vx->lock);
}

void vhdx_reclaimed(struct vhdx *vx)
{
	unsigned i;

	pthread_mutex_lock(&vx->lock);
	for (i = 0; i < vx->reclaim_count; i++) {
		add_clean(&vx->freed, vx->reclaim[i]);
	}
	pthread_mutex_unlock(&vx->lock);
}

/* ---- flushes ---- */

uint64_t vhdx_flush_mark(struct vhdx *vx)
{
	uint64_t mark;

	pthread_mutex_lock(&vx->lock);
	mark = vx->events;
	pthread_mutex_unlock(&vx->lock);
	return mark;
}

/* What was punched out before the flush may be used. The lock is held. */
static void clean_freed(struct vhdx_freed *f, uint64_t mark)
{
	size_t n = 0;

	while (n < f->freed_count && f->freed[n].event <= mark) {
		add_clean(f, f->freed[n++].place);
	}
	f->freed_count -= n;
	if (n > 0 && f->freed_count > 0) {
		memmove(f->freed, f->freed + n,
			f->freed_count * sizeof(*f->freed));
	}
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
		clean_freed(&vx->freed, mark);
	}
	pthread_mutex_unlock(&vx->lock);
}

/* ---- sector bitmaps ---- */

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
