/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Primary commands (SPC-4) that need no file of their own.
 */
#include <stdlib.h>

#include "target/scsi_commands.h"

/* A command whose preparation was all of it. */
bool scsi_done(struct scsi_task *task)
{
	return scsi_good(task);
}

/* SPC-4 6.47 */
bool scsi_test_unit_ready_prepare(struct scsi_task *task)
{
	return task->lu == NULL || /* the well-known unit is always ready */
	       scsi_lu_not_ready(task->lu) == 0 || scsi_refuse_not_ready(task);
}

/* ---- REQUEST SENSE (SPC-4 6.39) ---------------------------------- */

bool scsi_request_sense_prepare(struct scsi_task *task)
{
	return scsi_prepare_in(task, task->cdb[4]);
}

bool scsi_request_sense(struct scsi_task *task)
{
	struct scsi_sense sense = {.key = SENSE_NO_SENSE};
	uint8_t buf[SCSI_SENSE_MAX];
	struct scsi_itl *itl = NULL;
	enum scsi_ua ua;
	uint8_t len;

	if (task->lu != NULL) {
		itl = scsi_task_itl(task);
		if (itl == NULL) {
			return true;
		}
	}
	if (itl == NULL && scsi_work(task)->kind != SCSI_LUN_REPORT_LUNS) {
		sense.key = SENSE_ILLEGAL_REQUEST;
		sense.asc = ASC_LU_NOT_SUPPORTED;
	} else if (itl != NULL && scsi_ua_take(itl, &ua)) {
		sense.key = SENSE_UNIT_ATTENTION;
		sense.asc = scsi_ua_asc(ua);
	} else if (itl != NULL && scsi_lu_not_ready(itl->lu) != 0) {
		scsi_not_ready_sense(itl->lu, &sense);
	}
	len = scsi_sense_build(buf, task->cdb[1] & 0x01, &sense); /* DESC */
	return scsi_data_in(task, buf, len);
}

/* ---- REPORT LUNS (SPC-4 6.33) ------------------------------------ */

#define SELECT_UNITS	  0x00
#define SELECT_WELL_KNOWN 0x01
#define SELECT_ALL	  0x02

bool scsi_report_luns_prepare(struct scsi_task *task)
{
	if (task->cdb[2] > SELECT_ALL) {
		return scsi_refuse_cdb(task, 2, 7);
	}
	return scsi_prepare_in(task, get_be32(task->cdb + 6));
}

bool scsi_report_luns(struct scsi_task *task)
{
	const struct scsi_nexus *nexus = task->nexus;
	uint8_t select = task->cdb[2];
	uint8_t *buf;
	size_t len = 8;
	unsigned i;

	if (!scsi_task_buffer(task, 8 + 8 * ((size_t)nexus->count + 1))) {
		return true;
	}
	buf = scsi_work(task)->buf;
	if (select != SELECT_WELL_KNOWN) {
		for (i = 0; i < nexus->count; i++) {
			scsi_lun_format(nexus->itls[i]->lun, buf + len);
			len += 8;
		}
	}
	if (select != SELECT_UNITS) {
		put_be16(buf + len, 0xc101); /* REPORT LUNS */
		len += 8;
	}
	put_be32(buf, (uint32_t)(len - 8));
	/* SPC-4 6.33: having read the list, it knows of its change. */
	scsi_ua_luns_told(nexus);
	return scsi_data_in(task, buf, len);
}

/* ---- REPORT TARGET PORT GROUPS (SPC-4 6.37) ---------------------- */

#define FORMAT_LENGTH_ONLY 0
#define FORMAT_EXTENDED	   1

bool scsi_report_port_groups_prepare(struct scsi_task *task)
{
	if (task->cdb[1] >> 5 > FORMAT_EXTENDED) {
		return scsi_refuse_cdb(task, 1, 7);
	}
	return scsi_prepare_in(task, get_be32(task->cdb + 6));
}

/* A portal group is a target port (RFC 7143 4.2.7.1), and that port is its
 * only group: nowhere is a unit reached better than elsewhere. */
bool scsi_report_port_groups(struct scsi_task *task)
{
	bool extended = task->cdb[1] >> 5 == FORMAT_EXTENDED;
	uint8_t buf[8 + 8 + 4] = {0};
	size_t header = extended ? 8 : 4, len = header + 12;
	uint8_t *group = buf + header;

	put_be32(buf, (uint32_t)(len - 4));
	if (extended) {
		buf[4] = 0x10; /* FORMAT TYPE; no transition time told */
	}
	group[0] = 0x00; /* active/optimized */
	group[1] = 0x01; /* AO_SUP, the only state */
	put_be16(group + 2, task->nexus->port);
	group[7] = 1; /* target ports */
	put_be16(group + 10, task->nexus->port);
	return scsi_data_in(task, buf, len);
}

/* ---- diagnostics (SPC-4 6.28, 6.42, 7.2) ------------------------- */

bool scsi_receive_diagnostic_prepare(struct scsi_task *task)
{
	/* PCV with the one page there is: 00h, supported pages */
	if ((task->cdb[1] & 0x01) && task->cdb[2] != 0) {
		return scsi_refuse_cdb(task, 2, 7);
	}
	return scsi_prepare_in(task, get_be16(task->cdb + 3));
}

bool scsi_receive_diagnostic(struct scsi_task *task)
{
	static const uint8_t supported[] = {0x00, 0x00, 0x00, 0x01, 0x00};

	return scsi_data_in(task, supported, sizeof(supported));
}

bool scsi_send_diagnostic_prepare(struct scsi_task *task)
{
	uint16_t len = get_be16(task->cdb + 3);

	/* SELFTEST takes no parameters. */
	if ((task->cdb[1] & 0x04) && len != 0) {
		return scsi_refuse_cdb(task, 3, 7);
	}
	return scsi_prepare_out(task, len);
}

bool scsi_send_diagnostic(struct scsi_task *task)
{
	const uint8_t *p;
	size_t len;

	if (task->length == 0) {
		return scsi_good(task); /* the default self-test passes */
	}
	p = scsi_parameters(task, &len);
	if (p == NULL) {
		return true;
	}
	if (len < 4) {
		return scsi_fail(task, SENSE_ILLEGAL_REQUEST,
				 ASC_PARAMETER_LIST_LENGTH);
	}
	if (p[0] != 0x00) {
		return scsi_fail_parameter(task, 0, 7);
	}
	if (get_be16(p + 2) != 0) {
		return scsi_fail_parameter(task, 2, 7);
	}
	return scsi_good(task);
}

/* ---- LOG SENSE (SPC-4 6.8, 7.3) ---------------------------------- */

/* 00h/00h supported pages */
static size_t log_supported(struct scsi_task *task, uint8_t *buf)
{
	static const uint8_t pages[] = {0x00, 0x0c, 0x2f};

	memcpy(buf + 4, pages, sizeof(pages));
	return 4 + sizeof(pages);
}

/* 00h/FFh supported pages and subpages */
static size_t log_supported_subpages(struct scsi_task *task, uint8_t *buf)
{
	static const uint8_t pages[] = {0x00, 0x00, 0x00, 0xff,
					0x0c, 0x00, 0x2f, 0x00};

	buf[0] = 0x40; /* SPF */
	memcpy(buf + 4, pages, sizeof(pages));
	return 4 + sizeof(pages);
}

/* 2Fh informational exceptions: none */
static size_t log_exceptions(struct scsi_task *task, uint8_t *buf)
{
	/* parameter 0000h: binary list format, 4 bytes */
	static const uint8_t parameter[] = {0x00, 0x00, 0x03, 0x04,
					    0x00, 0x00, 0x00, 0x00};

	memcpy(buf + 4, parameter, sizeof(parameter));
	return 4 + sizeof(parameter);
}

static const struct log_page {
	uint8_t page, subpage;
	size_t (*build)(struct scsi_task *task, uint8_t *buf);
} log_pages[] = {
	{0x00, 0x00, log_supported},
	{0x00, 0xff, log_supported_subpages},
	{0x0c, 0x00, scsi_space_log_page},
	{0x2f, 0x00, log_exceptions},
};

bool scsi_log_sense_prepare(struct scsi_task *task)
{
	uint8_t page = task->cdb[2] & 0x3f;
	size_t i;

	for (i = 0; i < sizeof(log_pages) / sizeof(log_pages[0]); i++) {
		if (log_pages[i].page == page &&
		    log_pages[i].subpage == task->cdb[3]) {
			scsi_work(task)->index = (uint32_t)i;
			break;
		}
	}
	if (i == sizeof(log_pages) / sizeof(log_pages[0])) {
		return scsi_refuse_cdb(task, task->cdb[3] != 0 ? 3 : 2,
				       task->cdb[3] != 0 ? 7 : 5);
	}
	if (get_be16(task->cdb + 5) != 0) {
		return scsi_refuse_cdb(task, 5, 7); /* PARAMETER POINTER */
	}
	return scsi_prepare_in(task, get_be16(task->cdb + 7));
}

bool scsi_log_sense(struct scsi_task *task)
{
	const struct log_page *page = &log_pages[scsi_work(task)->index];
	uint8_t buf[64] = {0};
	size_t len;

	len = page->build(task, buf);
	buf[0] |= page->page;
	buf[1] = page->subpage;
	put_be16(buf + 2, (uint16_t)(len - 4));
	return scsi_data_in(task, buf, len);
}
