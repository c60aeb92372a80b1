/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Copy operations and what can be asked about them: RECEIVE COPY STATUS (LID1
 * and LID4), RECEIVE COPY FAILURE DETAILS, RECEIVE ROD TOKEN INFORMATION,
 * RECEIVE COPY OPERATING PARAMETERS, COPY OPERATION ABORT (SPC-4 6.3, 6.22 to
 * 6.26). An operation is known to the nexus that began it and held until told
 * (LID1), until its identifier is used again, or until many newer ones came.
 */
#include <stdlib.h>

#include "target/scsi_copy.h"

/* ---- operations ---- */

void scsi_copy_op_unref(struct scsi_copy_op *op)
{
	if (--op->refs == 0) {
		free(op->token);
		free(op);
	}
}

static bool runs(const struct scsi_copy_op *op)
{
	return op->status == COPY_STATUS_FOREGROUND ||
	       op->status == COPY_STATUS_BACKGROUND;
}

static void forget(struct scsi_nexus *nexus, struct scsi_copy_op *op)
{
	struct scsi_copy_op **at = &nexus->copies;

	while (*at != op) {
		at = &(*at)->next;
	}
	*at = op->next;
	scsi_copy_op_unref(op);
}

void scsi_copy_ops_free(struct scsi_nexus *nexus)
{
	while (nexus->copies != NULL) {
		forget(nexus, nexus->copies);
	}
}

/* Those of eight bits are the same as those of 32 (5.17.4.2). */
static struct scsi_copy_op *find(const struct scsi_nexus *nexus,
				 uint32_t list_id)
{
	struct scsi_copy_op *op;

	for (op = nexus->copies; op != NULL; op = op->next) {
		if (op->list_id == list_id) {
			return op;
		}
	}
	return NULL;
}

struct scsi_copy_op *scsi_copy_op_unheld(struct scsi_task *task)
{
	struct scsi_copy_op *op = calloc(1, sizeof(*op));

	if (op == NULL) {
		task->status = SCSI_BUSY;
		return NULL;
	}
	op->refs = 1;
	op->action = (uint8_t)task->op->action;
	op->status = COPY_STATUS_FOREGROUND;
	op->shift = task->lu->shift;
	return op;
}

/* Room for one more: the oldest of those that have ended goes. */
static void make_room(struct scsi_nexus *nexus)
{
	struct scsi_copy_op *op, *oldest = NULL;
	unsigned count = 0;

	for (op = nexus->copies; op != NULL; op = op->next) {
		count++;
		if (!runs(op)) {
			oldest = op;
		}
	}
	if (count >= COPY_HELD && oldest != NULL) {
		forget(nexus, oldest);
	}
}

static bool is_extended_copy(uint8_t action)
{
	return action == COPY_LID1 || action == COPY_LID4;
}

struct scsi_copy_op *scsi_copy_op_new(struct scsi_task *task, uint32_t list_id)
{
	struct scsi_nexus *nexus = task->nexus;
	struct scsi_copy_op *op = find(nexus, list_id);

	if (op != NULL && runs(op)) {
		/* 5.17.4.2; 6.4.3.2, where one has LID1's and one LID4's */
		bool formats = is_extended_copy(op->action) &&
			       is_extended_copy((uint8_t)task->op->action) &&
			       op->action != (uint8_t)task->op->action;

		scsi_fail(task, SENSE_ILLEGAL_REQUEST,
			  formats ? ASC_INVALID_FIELD_IN_PARAMETERS
				  : ASC_OPERATION_IN_PROGRESS);
		return NULL;
	}
	if (op != NULL) {
		forget(nexus, op);
	}
	make_room(nexus);
	op = scsi_copy_op_unheld(task);
	if (op != NULL) {
		op->refs++;
		op->list_id = list_id;
		op->next = nexus->copies;
		nexus->copies = op;
	}
	return op;
}

void scsi_copy_op_end(struct scsi_copy_op *op, const struct scsi_task *task,
		      uint8_t status)
{
	op->status = status;
	op->scsi_status = task->status;
	op->sense_len = task->sense_len;
	memcpy(op->sense, task->sense, task->sense_len);
	while (op->aborts != NULL) {
		struct scsi_task *by = op->aborts;

		op->aborts = by->next;
		scsi_tasks_aborted(by);
	}
}

/* ---- LID1 ---- */

bool scsi_copy_status1_prepare(struct scsi_task *task)
{
	if (find(task->nexus, task->cdb[2]) == NULL) {
		return scsi_refuse_cdb(task, 2, 7);
	}
	return scsi_prepare_in(task, get_be32(task->cdb + 10));
}

bool scsi_copy_status1(struct scsi_task *task)
{
	struct scsi_copy_op *op = find(task->nexus, task->cdb[2]);
	uint64_t bytes;
	uint8_t buf[12] = {0};

	if (op == NULL) {
		scsi_refuse_cdb(task, 2, 7);
		return true;
	}
	bytes = op->bytes;
	put_be32(buf, sizeof(buf) - 4);
	/* COPY MANAGER STATUS: in progress, without errors, with errors */
	if (!runs(op)) {
		buf[4] = op->status == COPY_STATUS_GOOD ? 1 : 2;
	}
	put_be16(buf + 5, op->segments);
	put_be32(buf + 8, /* TRANSFER COUNT UNITS 0: bytes */
		 bytes > UINT32_MAX ? UINT32_MAX : (uint32_t)bytes);
	/* Told: no longer held, but for what went wrong. */
	if (op->status == COPY_STATUS_GOOD) {
		forget(task->nexus, op);
	}
	return scsi_data_in(task, buf, sizeof(buf));
}

/* 6.23: nothing where the copy of that identifier has not failed */
bool scsi_copy_failure(struct scsi_task *task)
{
	struct scsi_copy_op *op = find(task->nexus, task->cdb[2]);
	uint8_t buf[60 + SCSI_SENSE_MAX] = {0};
	size_t len = 4;

	if (op == NULL || op->action != COPY_LID1 || runs(op)) {
		scsi_refuse_cdb(task, 2, 7);
		return true;
	}
	if (op->status != COPY_STATUS_GOOD) {
		len = 60 + (size_t)op->sense_len;
		put_be32(buf, (uint32_t)(len - 4));
		buf[56] = op->scsi_status; /* EXTENDED COPY COMMAND STATUS */
		put_be16(buf + 58, op->sense_len);
		memcpy(buf + 60, op->sense, op->sense_len);
		forget(task->nexus, op);
	}
	return scsi_data_in(task, buf, len);
}

/* ---- LID4 and tokens ---- */

bool scsi_copy_status4_prepare(struct scsi_task *task)
{
	if (find(task->nexus, get_be32(task->cdb + 2)) == NULL) {
		return scsi_refuse_cdb(task, 2, 7);
	}
	return scsi_prepare_in(task, get_be32(task->cdb + 10));
}

#define UNITS_BYTES  0x00
#define UNITS_BLOCKS 0xf1
#define STATUS_FIXED 32
#define POLL_DELAY   100 /* ms, when to ask again */
#define POLL_NEVER   0xfffffffeu

/* 6.24. Returns the length, @buf being zeroes. */
static size_t put_status(uint8_t *buf, const struct scsi_copy_op *op)
{
	buf[4] = op->action;
	buf[5] = op->status;
	put_be16(buf + 6, op->segments); /* OPERATION COUNTER */
	put_be32(buf + 8, runs(op) ? POLL_DELAY : POLL_NEVER);
	if (op->status == COPY_STATUS_TERMINATED) { /* without sense data */
		buf[12] = SCSI_TASK_ABORTED;
	} else {
		buf[12] = op->scsi_status;
		buf[13] = (op->sense_len + 3u) & ~3u;
		buf[14] = op->sense_len;
		memcpy(buf + STATUS_FIXED, op->sense, op->sense_len);
	}
	if (is_extended_copy(op->action)) {
		buf[15] = UNITS_BYTES;
		put_be64(buf + 16, op->bytes);
		put_be16(buf + 24, op->segments);
	} else { /* SEGMENTS PROCESSED: tokens have no segments */
		buf[15] = UNITS_BLOCKS;
		put_be64(buf + 16, op->bytes >> op->shift);
	}
	return STATUS_FIXED + (size_t)buf[13];
}

bool scsi_copy_status4(struct scsi_task *task)
{
	const struct scsi_copy_op *op =
		find(task->nexus, get_be32(task->cdb + 2));
	uint8_t buf[STATUS_FIXED + SCSI_SENSE_MAX] = {0};
	size_t len;

	if (op == NULL) {
		scsi_refuse_cdb(task, 2, 7);
		return true;
	}
	len = put_status(buf, op);
	put_be32(buf, (uint32_t)(len - 4));
	return scsi_data_in(task, buf, len);
}

bool scsi_token_information(struct scsi_task *task)
{
	const struct scsi_copy_op *op =
		find(task->nexus, get_be32(task->cdb + 2));
	uint8_t buf[STATUS_FIXED + SCSI_SENSE_MAX + 4 + 2 + ROD_TOKEN_LEN] = {
		0};
	size_t len;

	if (op == NULL) {
		scsi_refuse_cdb(task, 2, 7);
		return true;
	}
	len = put_status(buf, op);
	if (op->token != NULL) {
		put_be32(buf + len, 2 + ROD_TOKEN_LEN);
		memcpy(buf + len + 6, op->token, ROD_TOKEN_LEN);
		len += 2 + ROD_TOKEN_LEN;
	}
	len += 4;
	put_be32(buf, (uint32_t)(len - 4));
	return scsi_data_in(task, buf, len);
}

/* ---- COPY OPERATION ABORT ---- */

bool scsi_copy_abort(struct scsi_task *task)
{
	struct scsi_copy_op *op = find(task->nexus, get_be32(task->cdb + 2));

	if (op == NULL) {
		scsi_refuse_cdb(task, 2, 7);
		return true;
	}
	scsi_good(task);
	if (!runs(op)) {
		return true;
	}
	/* 5.17.4.7: GOOD means that nothing is copied any more. */
	op->abort = true;
	task->waits = 1;
	task->next = op->aborts;
	op->aborts = task;
	return false;
}

/* ---- RECEIVE COPY OPERATING PARAMETERS ---- */

bool scsi_copy_parameters_prepare(struct scsi_task *task)
{
	return scsi_prepare_in(task, get_be32(task->cdb + 10));
}

bool scsi_copy_parameters(struct scsi_task *task)
{
	uint8_t buf[46] = {0};

	put_be32(buf, sizeof(buf) - 4);
	buf[4] = 0x01; /* SNLID: LIST IDENTIFIER may be unused */
	put_be16(buf + 8, SCSI_COPY_UNITS);
	put_be16(buf + 10, COPY_MAX_SEGMENTS);
	put_be32(buf + 12, COPY_MAX_LIST);
	put_be32(buf + 16, COPY_SEGMENT_BLOCKS << task->lu->shift);
	put_be16(buf + 34, COPY_HELD); /* total, and of one nexus: */
	buf[36] = COPY_HELD;
	buf[37] = (uint8_t)task->lu->shift; /* granularity, log 2 */
	buf[43] = 2;
	buf[44] = COPY_SEGMENT_TYPE;
	buf[45] = COPY_CSCD_TYPE;
	return scsi_data_in(task, buf, sizeof(buf));
}
