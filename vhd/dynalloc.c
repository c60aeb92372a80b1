/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The allocator of a dynamic disk: who gets which place (dynamic.h). */

#include <stdlib.h>
#include <string.h>

#include "vhd/dynamic.h"

/* Append this many blocks at a time at most. */
#define EXTEND_MAX 16

/* Table entries are sector numbers; the last value means unused. */
#define ADDRESSABLE ((uint64_t)VHD_BAT_UNUSED * VHD_SECTOR)

static uint64_t round_up(uint64_t n, uint64_t to)
{
	return (n + to - 1) / to * to;
}

void dyn_choose_align(struct vhd_dyn *dyn, uint64_t size)
{
	uint64_t block = (uint64_t)dyn->bitmap_size + dyn->header.block_size;
	uint64_t blocks =
		(size + dyn->header.block_size - 1) >> dyn->block_shift;
	uint64_t missing = blocks - atomic_load(&dyn->allocated);
	uint64_t room = dyn->end < ADDRESSABLE ? ADDRESSABLE - dyn->end : 0;

	dyn->align = dyn_align_max(dyn);
	/* One more for the gap in front of the first. */
	while (dyn->align > 4096 &&
	       (missing + 1) * round_up(block, dyn->align) > room) {
		dyn->align /= 4;
	}
	if (dyn->align < 4096) {
		dyn->align = 4096;
	}
}

uint64_t dyn_align_place(const struct vhd_dyn *dyn, uint64_t from)
{
	return round_up(from + dyn->bitmap_size, dyn->align) - dyn->bitmap_size;
}

uint64_t dyn_place_after(const struct vhd_dyn *dyn, uint64_t end)
{
	/* Behind the footer, which stays where it is, in the gap. */
	return dyn_align_place(dyn, end + VHD_FOOTER_SIZE);
}

uint64_t dyn_span(const struct vhd_dyn *dyn)
{
	return round_up((uint64_t)dyn->bitmap_size + dyn->header.block_size,
			dyn->align);
}

/* ---- waiting ---- */

void dyn_wait(struct vhd_dyn *dyn, struct vhd_req *req)
{
	vhd_wait(&dyn->waiters, req);
}

void dyn_wake(struct vhd_dyn *dyn)
{
	vhd_wake(&dyn->waiters);
}

/* ---- places ---- */

/* The place that an earlier attempt got. The lock is held. */
static bool take_failed(struct vhd_dyn *dyn, uint32_t block, uint32_t *place)
{
	uint32_t i;

	for (i = 0; i < dyn->failed_count; i++) {
		if (dyn->failed[i].block == block) {
			*place = dyn->failed[i].place;
			dyn->failed[i] = dyn->failed[--dyn->failed_count];
			return true;
		}
	}
	return false;
}

static bool take_spare(struct vhd_dyn *dyn, uint32_t *place)
{
	if (dyn->spare_count == 0) {
		return false;
	}
	*place = dyn->spare[--dyn->spare_count];
	return true;
}

static bool take_free(struct vhd_dyn *dyn, uint32_t *place)
{
	if (dyn->next + dyn->bitmap_size + dyn->header.block_size > dyn->end) {
		return false;
	}
	*place = (uint32_t)(dyn->next / VHD_SECTOR);
	dyn->next += dyn_span(dyn);
	return true;
}

static bool take_place(struct vhd_dyn *dyn, uint32_t block,
		       struct vhd_state *st)
{
	st->dyn.scrub = take_failed(dyn, block, &st->dyn.place);
	st->dyn.used_before = st->dyn.scrub || take_spare(dyn, &st->dyn.place);
	return st->dyn.used_before || take_free(dyn, &st->dyn.place);
}

enum dyn_take dyn_take_block(struct vhd_req *req, uint32_t block)
{
	struct vhd_state *st = vhd_state(req);
	struct vhd_dyn *dyn = vhd_dyn(st->disk);
	enum dyn_take take;
	uint32_t entry;

	pthread_mutex_lock(&dyn->lock);
	entry = atomic_load(&dyn->bat[block]);
	if (entry > BAT_BUSY) {
		take = DYN_LOOK;
	} else if (entry == BAT_BUSY || dyn->frozen) {
		dyn_wait(dyn, req);
		take = DYN_WAIT;
	} else if (take_place(dyn, block, st)) {
		atomic_store(&dyn->bat[block], BAT_BUSY);
		st->dyn.block = block;
		dyn->allocating++;
		take = DYN_TAKEN;
	} else if (dyn->extending) {
		dyn_wait(dyn, req);
		take = DYN_WAIT;
	} else {
		dyn->extending = true;
		dyn->allocating++;
		dyn->reclaim_count =
			dyn_gap_take(dyn, dyn->reclaim, DYN_RECLAIM_MAX);
		take = dyn->reclaim_count > 0 ? DYN_RECLAIM : DYN_EXTEND;
	}
	pthread_mutex_unlock(&dyn->lock);
	return take;
}

/* The lock is held. */
static void allocating_ends(struct vhd_dyn *dyn)
{
	if (--dyn->allocating == 0) {
		pthread_cond_signal(&dyn->idle);
	}
	dyn_wake(dyn);
}

void dyn_publish(struct vhd_req *req, struct vhd_bitmap *bitmap)
{
	struct vhd_state *st = vhd_state(req);
	struct vhd_dyn *dyn = vhd_dyn(st->disk);

	pthread_mutex_lock(&dyn->lock);
	atomic_store(&dyn->bitmaps[st->dyn.block], bitmap);
	atomic_store_explicit(&dyn->bat[st->dyn.block], st->dyn.place,
			      memory_order_release);
	atomic_fetch_add(&dyn->allocated, 1);
	allocating_ends(dyn);
	pthread_mutex_unlock(&dyn->lock);
}

void dyn_give_back(struct vhd_req *req, bool keep)
{
	struct vhd_state *st = vhd_state(req);
	struct vhd_dyn *dyn = vhd_dyn(st->disk);

	pthread_mutex_lock(&dyn->lock);
	atomic_store(&dyn->bat[st->dyn.block], BAT_NONE);
	if (keep && dyn->failed_count < DYN_FAILED_MAX) {
		dyn->failed[dyn->failed_count].block = st->dyn.block;
		dyn->failed[dyn->failed_count++].place = st->dyn.place;
	} else {
		atomic_store(&dyn->unsure, true);
	}
	allocating_ends(dyn);
	pthread_mutex_unlock(&dyn->lock);
}

/* ---- release ---- */

bool dyn_release_begin(struct vhd_req *req)
{
	struct vhd_dyn *dyn = vhd_dyn(vhd_state(req)->disk);
	bool may;

	pthread_mutex_lock(&dyn->lock);
	may = !dyn->frozen;
	if (may) {
		dyn->allocating++;
	} else {
		dyn_wait(dyn, req);
	}
	pthread_mutex_unlock(&dyn->lock);
	return may;
}

/* The lock is held. */
static void add_spares(struct vhd_dyn *dyn, const uint32_t *place,
		       uint32_t count)
{
	if (count > dyn->spare_room - dyn->spare_count) {
		size_t room = ((size_t)dyn->spare_count + count) * 2;
		uint32_t *spare = realloc(dyn->spare, room * sizeof(*spare));

		if (spare == NULL) {
			return; /* lost room, until the file is opened again */
		}
		dyn->spare = spare;
		dyn->spare_room = (uint32_t)room;
	}
	if (count > 0) {
		memcpy(dyn->spare + dyn->spare_count, place,
		       count * sizeof(*place));
		dyn->spare_count += count;
	}
}

void dyn_release_end(struct vhd_dyn *dyn, const uint32_t *place, uint32_t count)
{
	pthread_mutex_lock(&dyn->lock);
	add_spares(dyn, place, count);
	allocating_ends(dyn);
	pthread_mutex_unlock(&dyn->lock);
}

void dyn_reclaimed(struct vhd_dyn *dyn, uint32_t count)
{
	pthread_mutex_lock(&dyn->lock);
	add_spares(dyn, dyn->reclaim, count);
	dyn->extending = false;
	allocating_ends(dyn);
	pthread_mutex_unlock(&dyn->lock);
}

/* ---- extension ---- */

/* Only the request that extends calls this: next and end stand still. */
uint64_t dyn_extension_end(const struct vhd_dyn *dyn)
{
	uint64_t first = dyn_place_after(dyn, dyn->end);

	return first + dyn->extend_by * dyn_span(dyn);
}

void dyn_extended(struct vhd_dyn *dyn, enum dyn_extension result)
{
	uint64_t end = dyn_extension_end(dyn);

	pthread_mutex_lock(&dyn->lock);
	switch (result) {
	case DYN_APPENDED_OK:
		dyn->next = dyn_place_after(dyn, dyn->end);
		dyn->end = end;
		if (dyn->extend_by < EXTEND_MAX) {
			dyn->extend_by *= 2;
		}
		break;
	case DYN_NOT_WRITTEN:
		dyn->extend_by = 1;
		break;
	case DYN_NOT_FLUSHED:
		break;
	}
	dyn->extending = false;
	allocating_ends(dyn);
	pthread_mutex_unlock(&dyn->lock);
}
