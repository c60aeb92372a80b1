/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A task's way through the device server: every check that all commands share,
 * in the order of SAM-5 and SPC-4, then the command's own functions.
 */
#include <errno.h>
#include <stdlib.h>

#include "target/scsi_priv.h"

/* What a READ or WRITE may move at once, is done without a break. */
#define BURST_MAX SCSI_MAX_TRANSFER

/* ---- prepare ---- */

/* SPC-4 6.35.3: a bit outside the usage map is an invalid field. */
static bool check_cdb(struct scsi_task *task)
{
	int wrong = scsi_opcode_forbids(task->op, task->cdb);

	return wrong < 0 ||
	       scsi_refuse_cdb(task, (uint16_t)(wrong / 8), wrong % 8);
}

/* SAM-5 5.14: the oldest pending one is told instead of running. */
static bool check_unit_attention(struct scsi_task *task, struct scsi_itl *itl)
{
	struct scsi_sense sense = {.key = SENSE_UNIT_ATTENTION};
	enum scsi_ua ua;

	if (atomic_load_explicit(&itl->ua, memory_order_acquire) == 0 ||
	    (task->op->flags & SCSI_OP_NO_UA) || !scsi_ua_take(itl, &ua)) {
		return true;
	}
	sense.asc = scsi_ua_asc(ua);
	scsi_ua_information(ua, &sense);
	return scsi_refuse_with(task, &sense);
}

/* What its nexus may not do now: one load, and for most that is all. */
static bool check_rights(struct scsi_task *task, struct scsi_itl *itl)
{
	const struct scsi_opcode *op = task->op;
	unsigned denied =
		atomic_load_explicit(&itl->denied, memory_order_acquire);

	if (denied == 0) {
		return true;
	}
	if ((op->needs & denied) != 0) {
		scsi_log(3, "disk %d: %s from %s conflicts with a reservation",
			 (int)itl->lu->config.index, op->name,
			 task->nexus->initiator_name);
		task->status = SCSI_RESERVATION_CONFLICT;
		return false;
	}
	if (((denied & SCSI_DENIED_STANDBY) &&
	     !(op->flags & SCSI_OP_STANDBY)) ||
	    ((denied & SCSI_DENIED_UNAVAILABLE) &&
	     !(op->flags & SCSI_OP_UNAVAILABLE))) {
		return scsi_refuse(task, SENSE_NOT_READY,
				   scsi_access_asc(denied));
	}
	return true;
}

static bool check_ready(struct scsi_task *task)
{
	if ((task->op->flags & SCSI_OP_MEDIUM) &&
	    scsi_lu_not_ready(task->lu) != 0) {
		return scsi_refuse_not_ready(task);
	}
	/* SPC-4 5.15.4.2: of a self-test in the foreground all but INQUIRY,
	 * REPORT LUNS and REQUEST SENSE hear. */
	if (!(task->op->flags & (SCSI_OP_MEDIUM | SCSI_OP_NO_UA)) &&
	    scsi_lu_is(task->lu, SCSI_LU_TESTING)) {
		return scsi_refuse_not_ready(task);
	}
	if ((task->op->flags & SCSI_OP_WRITES) &&
	    scsi_lu_is(task->lu, SCSI_LU_SWP)) {
		return scsi_refuse(task, SENSE_DATA_PROTECT,
				   ASC_SOFTWARE_WRITE_PROTECTED);
	}
	return true;
}

static bool find_opcode(struct scsi_task *task)
{
	bool known;

	task->op = scsi_opcode_find(task->cdb, &known);
	if (task->op != NULL && task->lu != NULL &&
	    !scsi_lu_has(task->lu, task->op)) {
		task->op = NULL;
		known = false;
	}
	if (task->op == NULL) {
		if (known) {
			return scsi_refuse_cdb(task, 1, 4);
		}
		return scsi_refuse(task, SENSE_ILLEGAL_REQUEST,
				   ASC_INVALID_OPCODE);
	}
	if (task->cdb_len < task->op->cdb_len) {
		return scsi_refuse_cdb(task, task->cdb_len, -1);
	}
	return true;
}

/* A LUN with no unit behind it (SPC-4 6.4.2, 6.33, 6.39), or the well-known
 * one: only a few commands are for them. */
static bool prepare_elsewhere(struct scsi_task *task)
{
	const uint8_t need = scsi_work(task)->kind == SCSI_LUN_REPORT_LUNS
				     ? SCSI_OP_WLUN
				     : SCSI_OP_NO_LU;

	/* Before the opcode: a unit that is not there has no opcodes. */
	task->op = scsi_opcode_find(task->cdb, &(bool){false});
	if (need == SCSI_OP_NO_LU &&
	    (task->op == NULL || !(task->op->flags & need))) {
		return scsi_refuse(task, SENSE_ILLEGAL_REQUEST,
				   ASC_LU_NOT_SUPPORTED);
	}
	if (task->op == NULL || !(task->op->flags & need)) {
		return scsi_refuse(task, SENSE_ILLEGAL_REQUEST,
				   ASC_INVALID_OPCODE);
	}
	return find_opcode(task) && check_cdb(task) && task->op->prepare(task);
}

/* For the log pages: what begins, with the bytes of its range. */
static void count(struct scsi_itl *itl, struct scsi_task *task)
{
	unsigned kind = SCSI_OP_COUNTED(task->op);

	scsi_count_up(&itl->commands[kind], 1);
	scsi_count_up(&itl->bytes[kind], scsi_work(task)->total);
}

bool scsi_task_prepare(struct scsi_task *task)
{
	struct scsi_work *work = scsi_work(task);
	struct scsi_itl *itl = NULL;
	bool ok;

	memset(work, 0, sizeof(*work));
	task->dir = SCSI_DIR_NONE;
	task->length = 0;
	task->allocates = 0;
	task->lu = NULL;
	task->copy_lu[0] = task->copy_lu[1] = NULL;
	task->op = NULL;
	task->waits = 0;
	task->preempts = false;
	task->status = SCSI_GOOD;
	task->sense_len = 0;
	task->data_in_len = 0;
	task->transfer_len = 0;

	work->kind = scsi_lun_parse(task->lun, &work->lun);
	if (work->kind == SCSI_LUN_UNIT) {
		itl = scsi_nexus_itl(task->nexus, work->lun);
	}
	if (itl == NULL) {
		ok = prepare_elsewhere(task);
	} else {
		task->lu = itl->lu;
		ok = find_opcode(task) && check_unit_attention(task, itl) &&
		     check_rights(task, itl) && check_cdb(task) &&
		     check_ready(task) && task->op->prepare(task);
		if (ok) {
			count(itl, task);
		}
	}
	if (!ok) {
		task->dir = SCSI_DIR_NONE;
		task->length = 0;
		task->transfer_len = 0;
	}
	return ok;
}

bool scsi_prepare_none(struct scsi_task *task)
{
	(void)task;
	return true;
}

bool scsi_prepare_in(struct scsi_task *task, uint32_t allocation_length)
{
	task->dir = SCSI_DIR_IN;
	task->length = allocation_length;
	return true;
}

bool scsi_prepare_out(struct scsi_task *task, uint32_t length)
{
	if (length != 0) {
		task->dir = SCSI_DIR_OUT;
	}
	task->length = length;
	task->transfer_len = length;
	return true;
}

bool scsi_prepare_list(struct scsi_task *task, uint32_t length)
{
	task->allocates = length;
	return scsi_prepare_out(task, length);
}

/* ---- execute ---- */

static void task_end(struct scsi_task *task)
{
	struct scsi_work *work = scsi_work(task);

	free(work->buf);
	work->buf = NULL;
}

bool scsi_task_execute(struct scsi_task *task)
{
	if (!task->op->execute(task)) {
		return false;
	}
	task_end(task);
	return true;
}

static void io_done(struct vhd_req *req)
{
	struct scsi_task *task = req->private_data;

	if (scsi_work(task)->step(task)) {
		task_end(task);
		task->done(task);
	}
}

bool scsi_run(struct scsi_task *task, bool (*step)(struct scsi_task *task))
{
	scsi_work(task)->step = step;
	if (task->nexus != NULL) {
		task->ending = false; /* for the background's only */
	}
	return step(task);
}

bool scsi_submit(struct scsi_task *task, enum vhd_op op, uint32_t flags,
		 uint64_t offset, uint64_t length, struct iovec *iov,
		 int iovcnt)
{
	return scsi_submit_lu(task, task->lu, op, flags, offset, length, iov,
			      iovcnt);
}

bool scsi_submit_lu(struct scsi_task *task, struct scsi_lu *lu, enum vhd_op op,
		    uint32_t flags, uint64_t offset, uint64_t length,
		    struct iovec *iov, int iovcnt)
{
	struct vhd_req *req = &task->req;

	req->op = op;
	req->flags = flags;
	req->offset = offset;
	req->length = length;
	req->iov = iov;
	req->iovcnt = iovcnt;
	req->done = io_done;
	req->private_data = task;
	req->error = 0;
	if (op != VHD_READ && op != VHD_MAPPED &&
	    scsi_lu_is(lu, SCSI_LU_TOKENS)) {
		scsi_tokens_written(lu, offset, length);
	}
	if (!vhd_submit(task->io, lu->config.disk, req)) {
		return false;
	}
	/* A long command that finds all in the cache is not to keep the lane
	 * from its other connections. */
	scsi_work(task)->burst += (uint32_t)length;
	if (scsi_work(task)->burst <= BURST_MAX || req->error != 0) {
		return true;
	}
	scsi_work(task)->burst = 0;
	req->op = VHD_YIELD;
	return vhd_submit(task->io, lu->config.disk, req);
}

bool scsi_flush(struct scsi_task *task, bool (*step)(struct scsi_task *task))
{
	scsi_work(task)->step = step;
	return scsi_submit(task, VHD_FLUSH, 0, 0, 0, NULL, 0) && step(task);
}

/* ---- erasing the medium ---- */

bool scsi_task_uses_medium(const struct scsi_task *task)
{
	return task->op != NULL && (task->op->flags & SCSI_OP_MEDIUM);
}

bool scsi_clear_medium(struct scsi_task *task, unsigned state,
		       bool (*then)(struct scsi_task *task))
{
	const struct scsi_nexus *nexus = task->nexus;
	struct scsi_lu *lu = task->lu;
	unsigned before = atomic_load(&lu->state);

	do {
		if (before & (SCSI_LU_FORMATTING | SCSI_LU_SANITIZING)) {
			return scsi_refuse_not_ready(task);
		}
	} while (!atomic_compare_exchange_weak(&lu->state, &before,
					       before | state));
	if (nexus->clear_medium != NULL) {
		if (!nexus->clear_medium(task, nexus->private_data)) {
			atomic_fetch_and(&lu->state, ~state);
			task->status = SCSI_BUSY;
			task->sense_len = 0;
			return false;
		}
		task->waits++;
	}
	scsi_work(task)->then = then;
	scsi_selftest_interrupt(lu);
	atomic_store(&lu->progress, 0);
	scsi_tokens_revoke(lu);
	return true;
}

/* ---- in the background ---- */

struct scsi_task *scsi_background(struct scsi_task *task, bool only)
{
	struct scsi_nexus *nexus = task->nexus;
	struct scsi_task *bg = NULL;

	if (nexus->background != NULL) {
		bg = nexus->background(nexus, task, only, nexus->private_data);
	}
	if (bg == NULL) {
		return NULL;
	}
	bg->lu = task->lu;
	bg->op = task->op;
	memcpy(bg->cdb, task->cdb, sizeof(bg->cdb));
	memcpy(bg->copy_lu, task->copy_lu, sizeof(bg->copy_lu));
	*scsi_work(bg) = *scsi_work(task);
	scsi_work(task)->buf = NULL;
	return bg;
}

void scsi_run_background(struct scsi_task *bg,
			 bool (*step)(struct scsi_task *task))
{
	if (scsi_run(bg, step)) {
		task_end(bg);
		bg->done(bg);
	}
}

const char *scsi_task_initiator(const struct scsi_task *task)
{
	return task->nexus != NULL ? task->nexus->initiator_name
				   : "(in the background)";
}

bool scsi_task_buffer(struct scsi_task *task, size_t size)
{
	struct scsi_work *work = scsi_work(task);

	free(work->buf);
	work->buf = calloc(1, size != 0 ? size : 1);
	work->buf_len = (uint32_t)size;
	if (work->buf == NULL) {
		scsi_log(1, "no memory for %zu bytes of %s", size,
			 task->op->name);
		task->status = SCSI_BUSY;
		task->sense_len = 0;
		return false;
	}
	return true;
}

bool scsi_wait(struct scsi_task *task)
{
	struct scsi_work *work = scsi_work(task);
	bool (*then)(struct scsi_task * task) = work->then;

	if (task->waits > 0) {
		return false;
	}
	work->then = NULL;
	return then == NULL || then(task);
}

void scsi_tasks_aborted(struct scsi_task *by)
{
	by->waits--;
	if (scsi_wait(by)) {
		task_end(by);
		by->done(by);
	}
}

struct scsi_itl *scsi_task_itl(struct scsi_task *task)
{
	struct scsi_itl *itl =
		scsi_nexus_itl(task->nexus, scsi_work(task)->lun);

	if (itl == NULL || itl->lu != task->lu) {
		scsi_refuse(task, SENSE_ILLEGAL_REQUEST, ASC_LU_NOT_SUPPORTED);
		return NULL;
	}
	return itl;
}

/* ---- data ---- */

static size_t min_size(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* One pass over the task's iovec in either direction. */
static size_t iov_copy(const struct scsi_task *task, size_t offset,
		       uint8_t *flat, size_t len, bool to_iov)
{
	size_t done = 0;
	int i;

	if (offset >= task->data_len) {
		return 0;
	}
	len = min_size(len, task->data_len - offset);
	for (i = 0; i < task->iovcnt && done < len; i++) {
		const struct iovec *v = &task->iov[i];
		size_t n;

		if (offset >= v->iov_len) {
			offset -= v->iov_len;
			continue;
		}
		n = min_size(len - done, v->iov_len - offset);
		if (to_iov) {
			memcpy((uint8_t *)v->iov_base + offset, flat + done, n);
		} else {
			memcpy(flat + done, (uint8_t *)v->iov_base + offset, n);
		}
		done += n;
		offset = 0;
	}
	return done;
}

size_t scsi_iov_read(const struct scsi_task *task, size_t offset, void *to,
		     size_t len)
{
	return iov_copy(task, offset, to, len, false);
}

size_t scsi_iov_write(struct scsi_task *task, size_t offset, const void *from,
		      size_t len)
{
	return iov_copy(task, offset, (uint8_t *)(uintptr_t)from, len, true);
}

bool scsi_data_in(struct scsi_task *task, const void *data, size_t len)
{
	task->transfer_len = (uint32_t)min_size(len, task->length);
	task->data_in_len =
		(uint32_t)scsi_iov_write(task, 0, data, task->transfer_len);
	return scsi_good(task);
}

const uint8_t *scsi_parameters(struct scsi_task *task, size_t *len)
{
	*len = min_size(task->length, task->data_len);
	if (!scsi_task_buffer(task, *len)) {
		return NULL;
	}
	*len = scsi_iov_read(task, 0, scsi_work(task)->buf, *len);
	return scsi_work(task)->buf;
}
