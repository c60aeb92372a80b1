/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Sense data (SPC-4 4.5), fixed and descriptor format, and how a task ends.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "target/scsi_priv.h"

static void (*log_sink)(int level, const char *message);

void scsi_set_log(void (*log)(int level, const char *message))
{
	log_sink = log;
}

void scsi_log(int level, const char *fmt, ...)
{
	char message[512];
	va_list ap;

	if (log_sink == NULL) {
		return;
	}
	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	log_sink(level, message);
}

/* SPC-4 4.5.2.4.2 and 4.5.3: the three sense-key specific bytes. */
static void put_key_specific(uint8_t *p, const struct scsi_sense *sense)
{
	p[0] = 0x80; /* SKSV */
	if (sense->progress_valid) {
		put_be16(p + 1, sense->progress);
		return;
	}
	if (sense->in_cdb) {
		p[0] |= 0x40; /* C/D */
	}
	if (sense->bit >= 0) {
		p[0] |= 0x08 | (sense->bit & 7); /* BPV, BIT POINTER */
	}
	put_be16(p + 1, sense->field);
}

static uint8_t build_descriptor(uint8_t *buf, const struct scsi_sense *sense)
{
	uint8_t len = 8;

	buf[0] = 0x72;
	buf[1] = sense->key;
	put_be16(buf + 2, sense->asc);
	if (sense->info_valid) {
		buf[len] = 0x00; /* information descriptor */
		buf[len + 1] = 0x0a;
		buf[len + 2] = 0x80; /* VALID */
		put_be64(buf + len + 4, sense->info);
		len += 12;
	}
	if (sense->command_valid) {
		buf[len] = 0x01; /* command specific information descriptor */
		buf[len + 1] = 0x0a;
		put_be64(buf + len + 4, sense->command);
		len += 12;
	}
	if (sense->field_valid || sense->progress_valid) {
		buf[len] = 0x02; /* sense-key specific descriptor */
		buf[len + 1] = 0x06;
		put_key_specific(buf + len + 4, sense);
		len += 8;
	}
	buf[7] = len - 8;
	return len;
}

static uint8_t build_fixed(uint8_t *buf, const struct scsi_sense *sense)
{
	buf[0] = 0x70;
	buf[2] = sense->key;
	/* An LBA too large for the field is not told (SPC-4 4.5.3). */
	if (sense->info_valid && sense->info <= UINT32_MAX) {
		buf[0] |= 0x80; /* VALID */
		put_be32(buf + 3, (uint32_t)sense->info);
	}
	buf[7] = 10;
	if (sense->command_valid) {
		put_be32(buf + 8, sense->command);
	}
	put_be16(buf + 12, sense->asc);
	if (sense->field_valid || sense->progress_valid) {
		put_key_specific(buf + 15, sense);
	}
	return 18;
}

uint8_t scsi_sense_build(uint8_t *buf, bool descriptor,
			 const struct scsi_sense *sense)
{
	memset(buf, 0, SCSI_SENSE_MAX);
	return descriptor ? build_descriptor(buf, sense)
			  : build_fixed(buf, sense);
}

static void set_sense_of(struct scsi_task *task, const struct scsi_lu *lu,
			 const struct scsi_sense *sense)
{
	bool descriptor = lu != NULL && scsi_lu_is(lu, SCSI_LU_D_SENSE);

	task->status = SCSI_CHECK_CONDITION;
	task->data_in_len = 0;
	task->sense_len = scsi_sense_build(task->sense, descriptor, sense);
}

void scsi_set_sense(struct scsi_task *task, const struct scsi_sense *sense)
{
	set_sense_of(task, task->lu, sense);
}

/* What the administrator sees of a refusal, once. */
static void log_refusal(const struct scsi_task *task,
			const struct scsi_sense *sense)
{
	char command[16], where[64] = "";
	int level = 3;

	/* A unit attention is news and a failed comparison an answer, neither
	 * is a refusal. */
	if (sense->key == SENSE_UNIT_ATTENTION ||
	    sense->key == SENSE_MISCOMPARE) {
		level = 5;
	}
	snprintf(command, sizeof(command), "opcode %02x", task->cdb[0]);
	if (sense->field_valid) {
		snprintf(where, sizeof(where), ", %s byte %u",
			 sense->in_cdb ? "CDB" : "parameter list",
			 sense->field);
	} else if (sense->info_valid) {
		snprintf(where, sizeof(where), ", at %llu",
			 (unsigned long long)sense->info);
	}
	scsi_log(level,
		 "disk %d: %s from %s is answered with sense %x/%02x/%02x%s",
		 task->lu != NULL ? (int)task->lu->config.index : -1,
		 task->op != NULL ? task->op->name : command,
		 scsi_task_initiator(task), sense->key, sense->asc >> 8,
		 sense->asc & 0xff, where);
}

bool scsi_refuse_with(struct scsi_task *task, const struct scsi_sense *sense)
{
	scsi_set_sense(task, sense);
	log_refusal(task, sense);
	return false;
}

bool scsi_refuse(struct scsi_task *task, uint8_t key, uint16_t asc)
{
	struct scsi_sense sense = {.key = key, .asc = asc};

	return scsi_refuse_with(task, &sense);
}

bool scsi_refuse_lba(struct scsi_task *task, uint64_t lba)
{
	uint64_t capacity = scsi_lu_blocks(task->lu);
	struct scsi_sense sense = {
		.key = SENSE_ILLEGAL_REQUEST,
		.asc = ASC_LBA_OUT_OF_RANGE,
		.info_valid = true,
		.info = lba < capacity ? capacity : lba,
	};

	return scsi_refuse_with(task, &sense);
}

static bool refuse_field(struct scsi_task *task, bool in_cdb, uint16_t byte,
			 int bit)
{
	struct scsi_sense sense = {
		.key = SENSE_ILLEGAL_REQUEST,
		.asc = in_cdb ? ASC_INVALID_FIELD_IN_CDB
			      : ASC_INVALID_FIELD_IN_PARAMETERS,
		.field_valid = true,
		.in_cdb = in_cdb,
		.bit = (int8_t)bit,
		.field = byte,
	};

	return scsi_refuse_with(task, &sense);
}

bool scsi_refuse_cdb(struct scsi_task *task, uint16_t byte, int bit)
{
	return refuse_field(task, true, byte, bit);
}

bool scsi_fail(struct scsi_task *task, uint8_t key, uint16_t asc)
{
	scsi_refuse(task, key, asc);
	return true;
}

bool scsi_fail_parameter(struct scsi_task *task, uint16_t byte, int bit)
{
	refuse_field(task, false, byte, bit);
	return true;
}

void scsi_task_fail(struct scsi_task *task, uint8_t key, uint16_t asc_ascq)
{
	const struct scsi_sense sense = {.key = key, .asc = asc_ascq};
	const struct scsi_lu *lu = task->lu;

	if (lu == NULL) {
		lu = scsi_nexus_lookup(task->nexus, task->lun);
	}
	set_sense_of(task, lu, &sense);
}

void scsi_task_not_ready(struct scsi_task *task)
{
	scsi_refuse_not_ready(task);
}

bool scsi_good(struct scsi_task *task)
{
	task->status = SCSI_GOOD;
	task->sense_len = 0;
	return true;
}

bool scsi_good_with(struct scsi_task *task, const struct scsi_sense *sense)
{
	scsi_set_sense(task, sense);
	task->status = SCSI_GOOD;
	return true;
}

struct meaning {
	uint8_t key;
	uint16_t asc;
};

/* A failed block request's errno in SCSI's terms; key 0: BUSY. */
static struct meaning meaning_of(int error, bool reading)
{
	switch (error) {
	case EILSEQ:
		return (struct meaning){SENSE_MISCOMPARE, ASC_MISCOMPARE};
	case EINVAL:
		return (struct meaning){SENSE_ILLEGAL_REQUEST,
					ASC_LBA_OUT_OF_RANGE};
	case ENOSPC:
	case EDQUOT:
		return (struct meaning){SENSE_DATA_PROTECT,
					ASC_SPACE_ALLOCATION_FAILED};
	case EROFS:
	case EPERM:
		return (struct meaning){SENSE_DATA_PROTECT,
					ASC_WRITE_PROTECTED};
	case EOPNOTSUPP:
		/* WRITE ATOMIC, where the volume cannot keep its journal any
		 * more: a unit without that command. */
		return (struct meaning){SENSE_ILLEGAL_REQUEST,
					ASC_INVALID_OPCODE};
	case ENODEV:
		return (struct meaning){SENSE_NOT_READY, ASC_NOT_READY_OFFLINE};
	case ENOMEM:
	case EAGAIN:
		return (struct meaning){0, ASC_NONE};
	case EIO:
		return (struct meaning){SENSE_MEDIUM_ERROR,
					reading ? ASC_UNRECOVERED_READ
						: ASC_WRITE_ERROR};
	default:
		return (struct meaning){SENSE_HARDWARE_ERROR,
					ASC_INTERNAL_FAILURE};
	}
}

bool scsi_fail_io(struct scsi_task *task)
{
	const struct vhd_req *req = &task->req;
	bool reading = req->op == VHD_READ ||
		       (req->op == VHD_COMPARE_AND_WRITE && req->read_failed);
	struct meaning m = meaning_of(req->error, reading);
	struct scsi_sense sense = {.key = m.key, .asc = m.asc};

	if (req->op == VHD_WRITE_ATOMIC && req->error == EOPNOTSUPP) {
		scsi_lu_lost_atomic(task->lu);
	}
	/* Trouble with the disk is for the administrator; that two blocks
	 * differ is what the initiator wanted to know. */
	scsi_log(req->error == EILSEQ ? 5 : 1,
		 "disk %d: %s of %llu bytes at %llu for %s: %s",
		 (int)task->lu->config.index, task->op->name,
		 (unsigned long long)req->length,
		 (unsigned long long)req->offset, scsi_task_initiator(task),
		 strerror(req->error));
	if (m.key == 0) {
		task->status = SCSI_BUSY;
		task->sense_len = 0;
		task->data_in_len = 0;
		return true;
	}
	if (m.key == SENSE_MEDIUM_ERROR || m.key == SENSE_HARDWARE_ERROR) {
		scsi_count_error(task);
	}
	if (req->error == EILSEQ) {
		/* SBC-3 5.2: the offset of the first byte that differs */
		sense.info_valid = true;
		sense.info = req->miscompare;
	} else if (m.key == SENSE_MEDIUM_ERROR && req->op != VHD_FLUSH) {
		/* SPC-4 4.5.2.2: the LBA that the key is about, the
		 * first that could not be read. How much of a write is there
		 * is not known: its first. */
		sense.info_valid = true;
		sense.info = req->offset;
		if (reading && req->read_failed) {
			sense.info += req->read;
		}
		sense.info >>= task->lu->shift;
	}
	scsi_set_sense(task, &sense);
	return true;
}
