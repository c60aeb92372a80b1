/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * SANITIZE (SBC-3 4.11, 5.24): BLOCK ERASE unmaps all blocks, OVERWRITE fills
 * them with a pattern. Once begun it goes on by itself: neither the end of its
 * command nor of its session nor a reset stops it. What stops it (an error, the
 * end of the server) leaves the unit in failure mode, also through a restart.
 */
#include <stdlib.h>

#include "target/scsi_commands.h"

#define CDB_IMMED 0x80
#define CDB_AUSE  0x20

#define ERASE_STEP (1ull << 30) /* one discard */

/* In the work buffer. */
struct sanitize {
	struct scsi_task *waiter; /* the command without IMMED; NULL: gone */
	bool overwrite, invert;
	uint8_t passes; /* left, this one included */
	uint8_t before; /* the unit's state, if this one cannot be kept */
	uint8_t pattern[SCSI_CHUNK];
};

static struct sanitize *sanitize_of(struct scsi_task *task)
{
	return (struct sanitize *)(void *)scsi_work(task)->buf;
}

/* ---- parameters ---- */

bool scsi_sanitize_prepare(struct scsi_task *task)
{
	uint16_t length = get_be16(task->cdb + 7);

	if (!scsi_lu_is(task->lu, SCSI_LU_ENABLED)) {
		return scsi_refuse(task, SENSE_NOT_READY,
				   ASC_NOT_READY_OFFLINE);
	}
	if (scsi_lu_is(task->lu, SCSI_LU_SANITIZING) ||
	    scsi_lu_is(task->lu, SCSI_LU_FORMATTING)) {
		return scsi_refuse_not_ready(task);
	}
	if (task->op->action == SANITIZE_OVERWRITE) {
		if (length < 5 || length > task->lu->block + 4) {
			return scsi_refuse_cdb(task, 7, 7);
		}
	} else if (length != 0) {
		return scsi_refuse_cdb(task, 7, 7);
	}
	task->allocates = sizeof(struct sanitize);
	return scsi_prepare_out(task, length);
}

static void fill_pattern(struct sanitize *s, uint32_t block,
			 const uint8_t *pattern, size_t len)
{
	size_t i;

	/* It begins anew in each block. */
	for (i = 0; i < block; i++) {
		s->pattern[i] = pattern[i % len];
	}
	for (i = block; i < sizeof(s->pattern); i += block) {
		memcpy(s->pattern + i, s->pattern, block);
	}
}

/* 5.24.2.2; false: sense is set. */
static bool parse_overwrite(struct scsi_task *task, struct sanitize *s)
{
	uint8_t p[4 + SCSI_MAX_BLOCK];
	size_t len = scsi_iov_read(task, 0, p, task->length), pattern;

	if (len < task->length) {
		return scsi_refuse(task, SENSE_ILLEGAL_REQUEST,
				   ASC_PARAMETER_LIST_LENGTH);
	}
	pattern = get_be16(p + 2);
	s->overwrite = true;
	s->invert = p[0] & 0x80;
	s->passes = p[0] & 0x1f;
	if (s->passes == 0) {
		scsi_fail_parameter(task, 0, 4);
		return false;
	}
	if (p[0] & 0x60) { /* TEST: nothing vendor specific */
		scsi_fail_parameter(task, 0, 6);
		return false;
	}
	if (pattern == 0 || pattern > task->lu->block || 4 + pattern > len) {
		scsi_fail_parameter(task, 2, 7);
		return false;
	}
	fill_pattern(s, task->lu->block, p + 4, pattern);
	return true;
}

/* ---- the operation ---- */

/* The command that waits is answered; the operation may go on. */
static void answer(struct sanitize *s, struct scsi_task *bg)
{
	struct scsi_task *task = s->waiter;

	s->waiter = NULL;
	if (task == NULL || task == bg) {
		return;
	}
	task->status = bg->status;
	task->sense_len = bg->sense_len;
	memcpy(task->sense, bg->sense, bg->sense_len);
	scsi_tasks_aborted(task);
}

static bool sanitize_end(struct scsi_task *task, bool good)
{
	struct scsi_lu *lu = task->lu;

	scsi_log(1, "disk %d: sanitizing %s", (int)lu->config.index,
		 good ? "is done" : "has failed");
	pthread_mutex_lock(&lu->lock);
	if (good) {
		lu->sanitize = SANITIZE_NONE;
		atomic_fetch_and(&lu->state, ~SCSI_LU_SANITIZE_FAILED);
	} else {
		atomic_fetch_or(&lu->state, SCSI_LU_SANITIZE_FAILED);
	}
	atomic_fetch_and(&lu->state, ~SCSI_LU_SANITIZING);
	if (good) {
		scsi_keep_later(lu);
	}
	pthread_mutex_unlock(&lu->lock);
	if (good) {
		scsi_good(task);
	} else {
		struct scsi_sense sense = {
			.key = SENSE_MEDIUM_ERROR,
			.asc = ASC_SANITIZE_FAILED,
		};

		scsi_set_sense(task, &sense);
	}
	answer(sanitize_of(task), task);
	return true;
}

static void next_pass(struct scsi_work *work, struct sanitize *s)
{
	size_t i;

	work->pos = 0;
	s->passes--;
	if (s->invert && s->passes > 0) {
		for (i = 0; i < sizeof(s->pattern); i++) {
			s->pattern[i] ^= 0xff;
		}
	}
}

static bool submit_step(struct scsi_task *task)
{
	struct scsi_work *work = scsi_work(task);
	struct sanitize *s = sanitize_of(task);
	uint64_t at = work->pos, left = work->total - work->pos;
	uint64_t step = s->overwrite ? SCSI_CHUNK : ERASE_STEP;

	if (left == 0) {
		work->phase = 1;
		return scsi_submit(task, VHD_FLUSH, 0, 0, 0, NULL, 0);
	}
	if (step > left) {
		step = left;
	}
	work->pos += step;
	if (!s->overwrite) {
		return scsi_submit(task, VHD_DISCARD, VHD_FUA, at, step, NULL,
				   0);
	}
	work->iov[0].iov_base = s->pattern;
	work->iov[0].iov_len = step;
	return scsi_submit(task, VHD_WRITE, 0, at, step, work->iov, 1);
}

static bool sanitize_step(struct scsi_task *task)
{
	struct scsi_work *work = scsi_work(task);
	struct sanitize *s = sanitize_of(task);

	for (;;) {
		if (task->req.error != 0) {
			scsi_fail_io(task); /* for its message */
			return sanitize_end(task, false);
		}
		if (work->phase == 1) {
			return sanitize_end(task, true);
		}
		if (task->ending) {
			return sanitize_end(task, false);
		}
		if (s->waiter != NULL && s->waiter != task &&
		    s->waiter->aborted) {
			answer(s, task);
		}
		if (work->pos == work->total && s->passes > 1) {
			next_pass(work, s);
		}
		scsi_lu_set_progress(task->lu, work->pos, work->total);
		if (!submit_step(task)) {
			return false;
		}
	}
}

/* The unit's state is kept, and nobody else is at work on its medium: begin. As
 * scsi_opcode.execute. */
static bool sanitize_begin(struct scsi_task *task)
{
	struct scsi_work *work = scsi_work(task);
	struct sanitize *s = sanitize_of(task);
	bool immediate = task->cdb[1] & CDB_IMMED;
	struct scsi_task *bg;

	if (task->status != SCSI_GOOD) { /* it could not be kept */
		pthread_mutex_lock(&task->lu->lock);
		task->lu->sanitize = s->before;
		scsi_keep_later(task->lu);
		pthread_mutex_unlock(&task->lu->lock);
		atomic_fetch_and(&task->lu->state, ~SCSI_LU_SANITIZING);
		return true;
	}
	work->pos = 0;
	work->total = vhd_disk_size(task->lu->config.disk);
	work->phase = 0;
	task->req.error = 0;
	s->waiter = immediate ? NULL : task;
	if (scsi_lu_leaves(task->lu)) {
		s->waiter = NULL;
		return sanitize_end(task, false);
	}
	bg = scsi_background(task, true);
	if (bg == NULL) {
		s->waiter = task;
		return scsi_run(task, sanitize_step);
	}
	if (immediate) {
		scsi_run_background(bg, sanitize_step);
		return scsi_good(task);
	}
	/* It may end before this returns, and must not end the task then. */
	task->waits += 2;
	scsi_run_background(bg, sanitize_step);
	task->waits--;
	if (task->waits == 1) {
		return false;
	}
	task->waits = 0;
	return true;
}

bool scsi_sanitize(struct scsi_task *task)
{
	struct scsi_lu *lu = task->lu;
	struct sanitize *s;

	if (!scsi_task_buffer(task, sizeof(*s))) {
		return true;
	}
	s = sanitize_of(task);
	s->passes = 1;
	if (task->op->action == SANITIZE_OVERWRITE &&
	    !parse_overwrite(task, s)) {
		return true;
	}
	if (!scsi_clear_medium(task, SCSI_LU_SANITIZING, sanitize_begin)) {
		return true;
	}
	scsi_log(1, "disk %d: %s from %s", (int)lu->config.index,
		 task->op->name, scsi_task_initiator(task));
	scsi_good(task);
	pthread_mutex_lock(&lu->lock);
	s->before = lu->sanitize;
	lu->sanitize = (task->cdb[1] & CDB_AUSE) ? SANITIZE_MAY_EXIT
						 : SANITIZE_MUST_REPEAT;
	scsi_keep(task);
	pthread_mutex_unlock(&lu->lock);
	return scsi_wait(task);
}

/* ---- EXIT FAILURE MODE ---- */

bool scsi_sanitize_exit(struct scsi_task *task)
{
	struct scsi_lu *lu = task->lu;
	bool now = true;

	if (!scsi_lu_is(lu, SCSI_LU_SANITIZE_FAILED)) {
		return scsi_good(task);
	}
	scsi_good(task);
	pthread_mutex_lock(&lu->lock);
	if (lu->sanitize == SANITIZE_MUST_REPEAT) {
		scsi_refuse_cdb(task, 1, 4);
	} else {
		lu->sanitize = SANITIZE_NONE;
		atomic_fetch_and(&lu->state, ~SCSI_LU_SANITIZE_FAILED);
		now = scsi_keep(task);
	}
	pthread_mutex_unlock(&lu->lock);
	return now;
}
