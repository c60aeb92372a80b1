/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Identifying information, which initiators give a unit (SPC-4 5.6, 6.32,
 * 6.43), and the time (5.2, 6.38).
 */
#include <time.h>

#include "lib/utf8.h"
#include "target/scsi_commands.h"

/* INFORMATION TYPE, with the reserved bit below it */
#define TYPE_IDENTITY  (0x00 << 1)
#define TYPE_TEXT      (0x02 << 1)
#define TYPE_SUPPORTED (0x7f << 1)

static struct scsi_ident *ident_of(struct scsi_lu *lu, uint8_t type)
{
	return type == TYPE_TEXT ? &lu->ident_text : &lu->ident;
}

static uint16_t ident_max(uint8_t type)
{
	return type == TYPE_TEXT ? SCSI_IDENT_TEXT_MAX : SCSI_IDENT_MAX;
}

/* ---- REPORT IDENTIFYING INFORMATION (SPC-4 6.32) ---- */

bool scsi_report_ident_prepare(struct scsi_task *task)
{
	uint8_t type = task->cdb[10];

	if (type != TYPE_IDENTITY && type != TYPE_TEXT &&
	    type != TYPE_SUPPORTED) {
		return scsi_refuse_cdb(task, 10, 7);
	}
	return scsi_prepare_in(task, get_be32(task->cdb + 6));
}

static uint8_t *put_supported(uint8_t *p, uint8_t type)
{
	p[0] = type;
	put_be16(p + 2, ident_max(type));
	return p + 4;
}

bool scsi_report_ident(struct scsi_task *task)
{
	uint8_t buf[4 + SCSI_IDENT_TEXT_MAX] = {0};
	uint8_t type = task->cdb[10], *p = buf + 4;

	if (type == TYPE_SUPPORTED) {
		p = put_supported(p, TYPE_IDENTITY);
		p = put_supported(p, TYPE_TEXT);
	} else {
		struct scsi_lu *lu = task->lu;
		const struct scsi_ident *ident = ident_of(lu, type);

		pthread_mutex_lock(&lu->lock);
		memcpy(p, ident->data, ident->len);
		p += ident->len;
		pthread_mutex_unlock(&lu->lock);
	}
	put_be16(buf + 2, (uint16_t)(p - buf - 4));
	return scsi_data_in(task, buf, (size_t)(p - buf));
}

/* ---- SET IDENTIFYING INFORMATION (SPC-4 6.43) ---- */

bool scsi_set_ident_prepare(struct scsi_task *task)
{
	uint8_t type = task->cdb[10];
	uint32_t len = get_be32(task->cdb + 6);

	if (type != TYPE_IDENTITY && type != TYPE_TEXT) {
		return scsi_refuse_cdb(task, 10, 7);
	}
	if (len > ident_max(type)) {
		return scsi_refuse_cdb(task, 6, 7);
	}
	/* It has to outlive a power loss. */
	if (task->lu->store == NULL) {
		return scsi_refuse(task, SENSE_ILLEGAL_REQUEST,
				   ASC_SAVING_NOT_SUPPORTED);
	}
	return scsi_prepare_list(task, len);
}

/* Null-terminated UTF-8 (SPC-4 4.3.2); @return where it is not, or @len. */
static size_t check_text(const char *text, size_t len)
{
	size_t at = 0, n;

	while (at < len && text[at] != '\0') {
		if (utf8_next(text + at, len - at, &n) == UTF8_INVALID) {
			return at;
		}
		at += n;
	}
	/* The null is the last byte. */
	return at == len - 1 ? len : at == len ? len - 1 : at;
}

bool scsi_set_ident(struct scsi_task *task)
{
	struct scsi_itl *itl = scsi_task_itl(task);
	struct scsi_lu *lu = task->lu;
	uint8_t type = task->cdb[10];
	struct scsi_ident *ident = ident_of(lu, type);
	const uint8_t *p = NULL;
	size_t len = 0, wrong;
	bool now = true;

	if (itl == NULL) {
		return true;
	}
	if (task->length != 0) {
		p = scsi_parameters(task, &len);
		if (p == NULL) {
			return true;
		}
		if (len < task->length) {
			return scsi_fail(task, SENSE_ILLEGAL_REQUEST,
					 ASC_PARAMETER_LIST_LENGTH);
		}
		wrong = type == TYPE_TEXT ? check_text((const char *)p, len)
					  : len;
		if (wrong != len) {
			return scsi_fail_parameter(task, (uint16_t)wrong, 7);
		}
	}
	scsi_good(task);
	pthread_mutex_lock(&lu->lock);
	if (ident->len != len ||
	    (len != 0 && memcmp(ident->data, p, len) != 0)) {
		scsi_log(3, "disk %d: %s sets identifying information",
			 (int)lu->config.index, task->nexus->initiator_name);
		ident->len = (uint16_t)len;
		if (len != 0) {
			memcpy(ident->data, p, len);
		}
		scsi_ua_raise_others(lu, itl, SCSI_UA_IDENT_CHANGED);
		now = scsi_keep(task);
	}
	pthread_mutex_unlock(&lu->lock);
	return now;
}

/* ---- REPORT TIMESTAMP (SPC-4 6.38) ---- */

bool scsi_report_timestamp_prepare(struct scsi_task *task)
{
	return scsi_prepare_in(task, get_be32(task->cdb + 6));
}

/* The server's clock, which no initiator may set (SCSIP is 0, 7.5.9). */
bool scsi_report_timestamp(struct scsi_task *task)
{
	uint8_t buf[12] = {0};
	struct timespec now;
	uint64_t ms;

	clock_gettime(CLOCK_REALTIME, &now);
	ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
	put_be16(buf, sizeof(buf) - 2);
	buf[2] = 0x03; /* set by other means than SCSI */
	put_be16(buf + 4, (uint16_t)(ms >> 32));
	put_be32(buf + 6, (uint32_t)ms);
	return scsi_data_in(task, buf, sizeof(buf));
}
