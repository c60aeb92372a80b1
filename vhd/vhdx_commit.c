/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Changing a VHDX file's metadata from a lane: headers, the end of the file,
 * and commits through the log (vhdx_disk.h). All of it by the request that has
 * the role.
 */

#include <endian.h>
#include <errno.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <string.h>

#include "vhd/bytes.h"
#include "vhd/vhdx_disk.h"

#define MB_UP(n) (((n) + VHDX_MB - 1) / VHDX_MB * VHDX_MB)

/* Done with the role: the request goes on, or ends with @result. */
static int role_done(struct vhd_req *req, int result)
{
	struct vhd_state *st = vhd_state(req);

	vhdx_release_role(vhdx_of(st->disk));
	st->phase = VHDX_NEXT;
	return result;
}

/* ---- headers ---- */

/* Write the copy that is not current, which makes it current, 2.2.2.1. */
static int write_header(struct vhd_req *req, uint8_t phase)
{
	struct vhd_state *st = vhd_state(req);
	struct vhdx *vx = vhdx_of(st->disk);
	struct vhdx_header h = vx->header;

	st->phase = phase;
	h.sequence++;
	if (!atomic_load(&vx->session)) {
		vhdx_guid_new(h.file_write_guid);
		vhdx_guid_new(h.data_write_guid);
	}
	if (st->vx.log_starts) {
		memcpy(h.log_guid, vx->log_guid, VHDX_GUID);
	}
	/* Both copies shall say the same. */
	if (phase == VHDX_HEADER_SECOND) {
		memcpy(h.file_write_guid, vx->header.file_write_guid,
		       VHDX_GUID);
		memcpy(h.data_write_guid, vx->header.data_write_guid,
		       VHDX_GUID);
	}
	vhdx_header_push(&h, vx->header_buf);
	return vhd_meta_transfer(req, st->disk, true, true, vx->header_buf,
				 VHDX_SECTOR, VHDX_HEADER_AT(!vx->current));
}

static void header_written(struct vhdx *vx)
{
	char why[VHD_WHY_MAX];

	vhdx_header_pull(vx->header_buf, &vx->header, why, sizeof(why));
	vx->current = !vx->current;
}

/* Make the file longer: it ends at @from, or what is behind is not needed. */
static int extend_to(struct vhd_req *req, uint8_t phase, uint64_t from,
		     uint64_t end)
{
	static uint8_t zeroes[VHDX_SECTOR];
	struct vhd_state *st = vhd_state(req);
	struct vhdx *vx = vhdx_of(st->disk);
	size_t n = end - from < sizeof(zeroes) ? end - from : sizeof(zeroes);

	st->phase = phase;
	vhd_file_mark_hole(st->disk->file, vx->end, end - vx->end);
	st->vx.end = end;
	/* Durable: the size is on stable storage with it. Zeroes of its own:
	 * a VHD_COPY's data are the source's (copy.c). */
	return vhd_meta_transfer(req, st->disk, true, true, zeroes, n, end - n);
}

/* ---- the session ---- */

/*
 * What lies behind all structures belongs to nobody: space that a crash has
 * left. It has to read as zeroes before blocks are placed there.
 */
int vhdx_session_start(struct vhd_req *req)
{
	struct vhd_state *st = vhd_state(req);
	struct vhdx *vx = vhdx_of(st->disk);

	if (!vhdx_take_role(req)) {
		return VHD_PENDING;
	}
	if (atomic_load(&vx->session)) {
		return role_done(req, 0); /* somebody was faster */
	}
	st->vx.log_starts = false;
	if (vx->file_size > vx->used_end) {
		st->phase = VHDX_TAIL_PUNCHED;
		return vhd_transfer_fallocate(
			req, st->disk->file,
			FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			vx->used_end, vx->file_size - vx->used_end);
	}
	/* A last block of which the file has what the disk has. */
	if (vx->file_size < vx->used_end) {
		return extend_to(req, VHDX_TAIL_ROUNDED, vx->file_size,
				 vx->used_end);
	}
	return write_header(req, VHDX_HEADER_FIRST);
}

static int tail_punched(struct vhd_req *req, int result)
{
	struct vhd_state *st = vhd_state(req);
	struct vhdx *vx = vhdx_of(st->disk);

	if (result == EOPNOTSUPP) {
		vx->next = MB_UP(vx->file_size);
	} else if (result != 0) {
		return role_done(req, result);
	}
	st->phase = VHDX_TAIL_FLUSHED;
	return vhd_transfer_sync(req, st->disk->file);
}

/* Log entries tell the size in whole MB, 2.3.1.1. */
static int tail_flushed(struct vhd_req *req, int result)
{
	struct vhdx *vx = vhdx_of(vhd_state(req)->disk);

	if (result != 0) {
		return role_done(req, result);
	}
	if (vx->file_size % VHDX_MB != 0) {
		return extend_to(req, VHDX_TAIL_ROUNDED, vx->file_size,
				 MB_UP(vx->file_size));
	}
	return write_header(req, VHDX_HEADER_FIRST);
}

static int tail_rounded(struct vhd_req *req, int result)
{
	struct vhdx *vx = vhdx_of(vhd_state(req)->disk);

	vhd_meta_done(req);
	if (result != 0) {
		return role_done(req, result);
	}
	vx->end = vhd_state(req)->vx.end;
	return write_header(req, VHDX_HEADER_FIRST);
}

/* ---- space ---- */

int vhdx_extend(struct vhd_req *req)
{
	struct vhd_state *st = vhd_state(req);
	uint64_t end = vhdx_of(st->disk)->end;

	return extend_to(req, VHDX_EXTENDED, end, end + st->vx.need);
}

static int extended(struct vhd_req *req, int result)
{
	struct vhd_state *st = vhd_state(req);
	struct vhdx *vx = vhdx_of(st->disk);

	vhd_meta_done(req);
	pthread_mutex_lock(&vx->lock);
	if (result == 0) {
		vx->end = st->vx.end;
		if (vx->extend_by < 16) {
			vx->extend_by *= 2;
		}
	} else {
		vx->extend_by = 1;
	}
	pthread_mutex_unlock(&vx->lock);
	return role_done(req, result);
}

/* ---- places that were free at open ---- */

static int reclaim_next(struct vhd_req *req)
{
	struct vhd_state *st = vhd_state(req);
	struct vhdx *vx = vhdx_of(st->disk);

	if (st->vx.first == vx->reclaim_count) {
		st->phase = VHDX_RECLAIM_FLUSHED;
		st->seg.mark = vhdx_flush_mark(vx);
		return vhd_transfer_sync(req, st->disk->file);
	}
	st->phase = VHDX_RECLAIM_PUNCHED;
	return vhd_transfer_fallocate(
		req, st->disk->file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		vx->reclaim[st->vx.first], vx->metadata.block_size);
}

int vhdx_reclaim(struct vhd_req *req)
{
	vhd_state(req)->vx.first = 0;
	return reclaim_next(req);
}

static int reclaim_punched(struct vhd_req *req, int result)
{
	struct vhd_state *st = vhd_state(req);
	struct vhdx *vx = vhdx_of(st->disk);

	if (result == 0) {
		st->vx.first++;
		return reclaim_next(req);
	}
	if (result != EOPNOTSUPP) {
		return role_done(req, result);
	}
	pthread_mutex_lock(&vx->lock);
	vx->gap_next = vx->gaps.count; /* none of them can be had */
	pthread_mutex_unlock(&vx->lock);
	return role_done(req, 0);
}

static int reclaim_flushed(struct vhd_req *req, int result)
{
	struct vhd_state *st = vhd_state(req);
	struct vhdx *vx = vhdx_of(st->disk);

	if (result == 0) {
		vhdx_flushed(vx, st->seg.mark);
		vhdx_reclaimed(vx);
	}
	return role_done(req, result);
}

/* ---- the batch ---- */

static void bat_image(const struct vhdx *vx, uint64_t first, uint8_t *image)
{
	uint64_t i;

	for (i = 0; i < VHDX_SECTOR / 8; i++) {
		uint64_t e = first + i < vx->max_entries
				     ? atomic_load(&vx->bat[first + i])
				     : 0;

		put_le64(image + i * 8, e & ~(VHDX_BUSY | VHDX_UNSURE));
	}
}

static void page_image(const struct vhdx_page *page, uint8_t *image)
{
	unsigned i;

	for (i = 0; i < VHDX_SECTOR / 8; i++) {
		put_le64(image + i * 8, atomic_load(&page->word[i]));
	}
}

uint8_t *vhdx_batch_sector(struct vhdx *vx, struct vhdx_batch *batch,
			   uint64_t offset, uint64_t bat_index,
			   const struct vhdx_page *page)
{
	unsigned i;

	for (i = 0; i < batch->count; i++) {
		if (batch->offset[i] == offset) {
			return batch->image[i];
		}
	}
	if (batch->count == VHDX_BATCH) {
		return NULL;
	}
	batch->offset[i] = offset;
	batch->count++;
	if (page != NULL) {
		page_image(page, batch->image[i]);
	} else {
		bat_image(vx, bat_index / (VHDX_SECTOR / 8) * (VHDX_SECTOR / 8),
			  batch->image[i]);
	}
	return batch->image[i];
}

static void image_bits(const struct vhd_state *st, uint8_t *image)
{
	uint32_t i;

	for (i = st->vx.first; i < st->vx.first + st->vx.count; i++) {
		uint8_t bit = (uint8_t)(1u << i % 8);

		if (st->vx.kind == VHDX_CLEAR_BITS) {
			image[i / 8] &= (uint8_t)~bit;
		} else {
			image[i / 8] |= bit;
		}
	}
}

/* The same in memory, once they are committed. */
static void page_bits(const struct vhd_state *st)
{
	uint32_t i;

	for (i = st->vx.first; i < st->vx.first + st->vx.count; i++) {
		_Atomic uint64_t *word = &st->vx.page->word[i / 64];
		uint64_t bit = UINT64_C(1) << i % 64;

		if (st->vx.kind == VHDX_CLEAR_BITS) {
			atomic_fetch_and_explicit(word, ~bit,
						  memory_order_release);
		} else {
			atomic_fetch_or_explicit(word, bit,
						 memory_order_release);
		}
	}
}

/* A request's changes: its table entry before its bits, so that of a batch
 * that fails half way no bit is without its block. */
static bool batch_add(struct vhdx *vx, struct vhdx_batch *batch,
		      struct vhd_req *req)
{
	struct vhd_state *st = vhd_state(req);

	if (batch->count + st->vx.has_entry + st->vx.has_bits > VHDX_BATCH) {
		return false;
	}
	if (st->vx.has_entry) {
		uint64_t at = vx->regions.bat.offset + st->vx.index * 8;
		uint8_t *image =
			vhdx_batch_sector(vx, batch,
					  at / VHDX_SECTOR * VHDX_SECTOR,
					  st->vx.index, NULL);

		put_le64(image + at % VHDX_SECTOR, st->vx.value);
	}
	if (st->vx.has_bits) {
		uint64_t page = st->vx.number;

		image_bits(
			st,
			vhdx_batch_sector(
				vx, batch,
				vhdx_page_at(vhdx_entry(vx, vhdx_page_index(
								    vx, page)),
					     page),
				0, st->vx.page));
	}
	return true;
}

bool vhdx_batch_entry(struct vhdx *vx, struct vhdx_batch *batch)
{
	uint32_t log_len = vx->header.log_length;
	uint32_t length = (1 + batch->count) * VHDX_SECTOR;
	uint32_t used = (vx->log_at + log_len - vx->log_tail) % log_len;
	struct vhdx_log_entry *e = &batch->head;
	bool settled;

	pthread_mutex_lock(&vx->lock);
	settled = vx->log_event <= vx->flushed;
	e->flushed_offset = vx->end;
	e->last_offset = MB_UP(vx->next);
	pthread_mutex_unlock(&vx->lock);
	/*
	 * Should this entry be torn, the newest one before it counts, and all
	 * from its tail on. Room for a largest entry is always left; where
	 * this one would take of it, it has to be the beginning of the
	 * sequence itself.
	 */
	if (!settled && used + length + VHDX_ENTRY_MAX > log_len) {
		return false;
	}
	e->sequence = vx->log_sequence + 1;
	e->tail = settled ? vx->log_at : vx->log_tail;
	vhdx_log_entry_push(e, vx->log_guid, batch->count, batch->offset,
			    batch->image[0], batch->entry);
	return true;
}

void vhdx_batch_logged(struct vhdx *vx, struct vhdx_batch *batch)
{
	vx->log_sequence = batch->head.sequence;
	vx->log_tail = batch->head.tail;
	vx->log_at = (uint32_t)(((uint64_t)vx->log_at + batch->head.length) %
				vx->header.log_length);
	/* Not settled until it is applied and flushed. */
	vx->log_event = UINT64_MAX;
}

void vhdx_batch_applied(struct vhdx *vx, struct vhdx_batch *batch)
{
	unsigned i, k;

	pthread_mutex_lock(&vx->lock);
	vx->log_event = ++vx->events;
	for (i = 0; i < batch->count; i++) {
		for (k = 0; k < vx->unsettled_count; k++) {
			if (vx->unsettled[k].offset == batch->offset[i]) {
				break;
			}
		}
		if (k == vx->unsettled_count) {
			/* As many as the log has room for. */
			if (k == vx->unsettled_max) {
				continue;
			}
			vx->unsettled_count++;
		}
		vx->unsettled[k].offset = batch->offset[i];
		vx->unsettled[k].event = vx->log_event;
	}
	pthread_mutex_unlock(&vx->lock);
}

/* ---- committing ---- */

int vhdx_commit(struct vhd_req *req)
{
	struct vhd_state *st = vhd_state(req);

	st->phase = VHDX_COMMIT;
	st->vx.committed = false;
	st->vx.queued = false;
	st->vx.result = 0;
	return 0;
}

static int batch_alloc(struct vhdx *vx)
{
	if (vx->batch == NULL) {
		vx->batch = malloc(sizeof(*vx->batch));
	}
	if (vx->unsettled == NULL) {
		vx->unsettled =
			malloc(vx->unsettled_max * sizeof(*vx->unsettled));
	}
	return vx->batch == NULL || vx->unsettled == NULL ? ENOMEM : 0;
}

/* What came of the batch, for all that are in it; then others may. Whoever has
 * written it may not have had room in it, and looks again. */
static int batch_end(struct vhd_req *req, int result)
{
	struct vhd_state *st = vhd_state(req);
	struct vhdx *vx = vhdx_of(st->disk);
	struct vhd_req *r;
	bool committed;

	pthread_mutex_lock(&vx->lock);
	for (r = vx->batch_first; r != NULL; r = vhd_state(r)->vx.link) {
		struct vhd_state *s = vhd_state(r);

		s->vx.result = result;
		s->vx.committed = true;
		/* Those that may have come into the file with a block that has
		 * not: the next one to make it sees that there is something to
		 * clear. */
		if (s->vx.has_bits &&
		    (result == 0 || s->vx.kind == VHDX_NEW_BLOCK)) {
			page_bits(s);
		}
		if (!s->vx.has_entry) {
			continue;
		}
		if (result == 0) {
			atomic_store_explicit(&vx->bat[s->vx.index],
					      s->vx.value,
					      memory_order_release);
		} else {
			/* The log may hold it, and bring it up again. */
			atomic_fetch_or(&vx->bat[s->vx.index], VHDX_UNSURE);
		}
	}
	vx->batch_first = NULL;
	/* The next batch may have it from now on. */
	committed = st->vx.committed;
	pthread_mutex_unlock(&vx->lock);
	vhdx_release_role(vx);
	st->phase = committed ? VHDX_COMMITTED : VHDX_COMMIT;
	return 0;
}

static int write_entry(struct vhd_req *req)
{
	struct vhd_state *st = vhd_state(req);
	struct vhdx *vx = vhdx_of(st->disk);

	if (!vhdx_batch_entry(vx, vx->batch)) {
		st->phase = VHDX_LOG_FLUSHED;
		st->seg.mark = vhdx_flush_mark(vx);
		return vhd_transfer_sync(req, st->disk->file);
	}
	/* The log is a ring: an entry may come in two pieces. */
	st->phase = VHDX_LOG_WRITTEN;
	st->vx.step = 0;
	return 0;
}

/* The request carries out what queued ones want, as many as there is room for,
 * in their order. */
static int batch_start(struct vhd_req *req)
{
	struct vhd_state *st = vhd_state(req);
	struct vhdx *vx = vhdx_of(st->disk);
	struct vhd_req *r, *next, *last = NULL;
	int ret = batch_alloc(vx);

	pthread_mutex_lock(&vx->lock);
	r = vx->pending_first;
	vx->pending_first = vx->pending_last = NULL;
	if (vx->batch != NULL) {
		vx->batch->count = 0;
	}
	for (; r != NULL; r = next) {
		next = vhd_state(r)->vx.link;
		if (ret != 0 || batch_add(vx, vx->batch, r)) {
			if (last != NULL) {
				vhd_state(last)->vx.link = r;
			} else {
				vx->batch_first = r;
			}
			last = r;
			vhd_state(r)->vx.link = NULL;
			continue;
		}
		/* No room: they look again when this batch is done. */
		vx->pending_first = r;
		for (; vhd_state(r)->vx.link != NULL;
		     r = vhd_state(r)->vx.link) {
		}
		vx->pending_last = r;
		break;
	}
	pthread_mutex_unlock(&vx->lock);
	if (ret == 0 && vhdx_guid_is_zero(vx->log_guid)) {
		vhdx_guid_new(vx->log_guid);
	}
	return ret != 0 ? batch_end(req, ret) : write_entry(req);
}

static int commit_wait(struct vhd_req *req)
{
	struct vhd_state *st = vhd_state(req);
	struct vhdx *vx = vhdx_of(st->disk);
	bool role = false;

	pthread_mutex_lock(&vx->lock);
	if (st->vx.committed) {
		pthread_mutex_unlock(&vx->lock);
		st->phase = VHDX_COMMITTED;
		return 0;
	}
	if (!st->vx.queued) {
		st->vx.queued = true;
		st->vx.link = NULL;
		if (vx->pending_last != NULL) {
			vhd_state(vx->pending_last)->vx.link = req;
		} else {
			vx->pending_first = req;
		}
		vx->pending_last = req;
	}
	if (vx->busy || vx->worker_waits) {
		vhdx_wait(vx, req);
	} else {
		vx->busy = role = true;
	}
	pthread_mutex_unlock(&vx->lock);
	return role ? batch_start(req) : VHD_PENDING;
}

static int log_flushed(struct vhd_req *req, int result)
{
	struct vhd_state *st = vhd_state(req);
	struct vhdx *vx = vhdx_of(st->disk);

	if (result != 0) {
		st->seg.mark = 0;
		return batch_end(req, result);
	}
	vhdx_flushed(vx, st->seg.mark);
	return write_entry(req);
}

static int apply_next(struct vhd_req *req)
{
	struct vhd_state *st = vhd_state(req);
	struct vhdx *vx = vhdx_of(st->disk);
	struct vhdx_batch *b = vx->batch;

	if (st->vx.step == b->count) {
		vhdx_batch_applied(vx, b);
		return batch_end(req, 0);
	}
	st->phase = VHDX_APPLIED;
	return vhd_meta_transfer(req, st->disk, true, false,
				 b->image[st->vx.step], VHDX_SECTOR,
				 b->offset[st->vx.step]);
}

/* Pieces 1 and 2 of the entry are written; then the header leads to it. */
static int log_written(struct vhd_req *req, int result)
{
	struct vhd_state *st = vhd_state(req);
	struct vhdx *vx = vhdx_of(st->disk);
	struct vhdx_batch *b = vx->batch;
	uint32_t first = vx->header.log_length - vx->log_at;

	if (first > b->head.length) {
		first = b->head.length;
	}
	if (st->vx.step > 0) {
		vhd_meta_done(req);
	}
	if (result != 0) {
		return batch_end(req, result);
	}
	switch (st->vx.step++) {
	case 0:
		return vhd_meta_transfer(req, st->disk, true, true, b->entry,
					 first,
					 vx->header.log_offset + vx->log_at);
	case 1:
		if (first < b->head.length) {
			return vhd_meta_transfer(req, st->disk, true, true,
						 b->entry + first,
						 b->head.length - first,
						 vx->header.log_offset);
		}
		break;
	default:
		break;
	}
	vhdx_batch_logged(vx, b);
	st->vx.step = 0;
	if (!vx->log_active) {
		st->vx.log_starts = true;
		return write_header(req, VHDX_HEADER_FIRST);
	}
	return apply_next(req);
}

static int applied(struct vhd_req *req, int result)
{
	struct vhd_state *st = vhd_state(req);
	struct vhdx *vx = vhdx_of(st->disk);

	vhd_meta_done(req);
	if (result != 0) {
		/* Whoever wanted it is told so: the log need not keep it. */
		vhdx_batch_applied(vx, vx->batch);
		return batch_end(req, result);
	}
	st->vx.step++;
	return apply_next(req);
}

/* A header of the session's start, or of the log's. */
static int header_step(struct vhd_req *req, int result)
{
	struct vhd_state *st = vhd_state(req);
	struct vhdx *vx = vhdx_of(st->disk);

	vhd_meta_done(req);
	if (result == 0) {
		header_written(vx);
		if (st->phase == VHDX_HEADER_FIRST) {
			return write_header(req, VHDX_HEADER_SECOND);
		}
	}
	if (!st->vx.log_starts) {
		if (result == 0) {
			atomic_store(&vx->session, true);
		}
		return role_done(req, result);
	}
	st->vx.log_starts = false;
	if (result != 0) {
		vhdx_batch_applied(vx, vx->batch);
		return batch_end(req, result);
	}
	vx->log_active = true;
	st->vx.step = 0;
	return apply_next(req);
}

int vhdx_commit_step(struct vhd_req *req, int result)
{
	switch (vhd_state(req)->phase) {
	case VHDX_TAIL_PUNCHED:
		return tail_punched(req, result);
	case VHDX_TAIL_FLUSHED:
		return tail_flushed(req, result);
	case VHDX_TAIL_ROUNDED:
		return tail_rounded(req, result);
	case VHDX_HEADER_FIRST:
	case VHDX_HEADER_SECOND:
		return header_step(req, result);
	case VHDX_EXTENDED:
		return extended(req, result);
	case VHDX_RECLAIM_PUNCHED:
		return reclaim_punched(req, result);
	case VHDX_RECLAIM_FLUSHED:
		return reclaim_flushed(req, result);
	case VHDX_COMMIT:
		return commit_wait(req);
	case VHDX_LOG_FLUSHED:
		return log_flushed(req, result);
	case VHDX_LOG_WRITTEN:
		return log_written(req, result);
	default:
		return applied(req, result);
	}
}
