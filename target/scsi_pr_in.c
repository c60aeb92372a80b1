/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * PERSISTENT RESERVE IN (SPC-4 6.15). Answers are built under the unit's lock,
 * in a buffer sized before.
 */
#include <stdlib.h>

#include "target/scsi_commands.h"
#include "target/scsi_pr.h"

/* key, flags, port, length, TransportID */
#define FULL_STATUS_MAX (24 + PR_TRANSPORT_ID_MAX)

bool scsi_pr_in_prepare(struct scsi_task *task)
{
	return !scsi_refuse_beside_reserve(task) &&
	       scsi_prepare_in(task, get_be16(task->cdb + 7));
}

/* Lock, with room for @each bytes of every registration after the header. */
static uint8_t *lock_with_room(struct scsi_task *task, size_t each)
{
	struct scsi_lu *lu = task->lu;

	pthread_mutex_lock(&lu->lock);
	if (!scsi_task_buffer(task, 8 + lu->pr.count * each)) {
		pthread_mutex_unlock(&lu->lock);
		return NULL;
	}
	put_be32(scsi_work(task)->buf, lu->pr.generation);
	return scsi_work(task)->buf;
}

bool scsi_pr_read_keys(struct scsi_task *task)
{
	const struct scsi_registration *reg;
	uint8_t *buf = lock_with_room(task, 8);
	size_t len = 8;

	if (buf == NULL) {
		return true;
	}
	for (reg = task->lu->pr.registrations; reg != NULL; reg = reg->next) {
		put_be64(buf + len, reg->key);
		len += 8;
	}
	pthread_mutex_unlock(&task->lu->lock);
	put_be32(buf + 4, (uint32_t)(len - 8));
	return scsi_data_in(task, buf, len);
}

bool scsi_pr_read_reservation(struct scsi_task *task)
{
	const struct scsi_pr *pr = &task->lu->pr;
	uint8_t buf[24] = {0};
	size_t len = 8;

	pthread_mutex_lock(&task->lu->lock);
	put_be32(buf, pr->generation);
	if (pr->type != 0) {
		/* All registrants hold it: no one's key (6.15.3.3). */
		if (pr->holder != NULL) {
			put_be64(buf + 8, pr->holder->key);
		}
		buf[21] = pr->type; /* scope 0: the unit */
		len = 24;
	}
	pthread_mutex_unlock(&task->lu->lock);
	put_be32(buf + 4, (uint32_t)(len - 8));
	return scsi_data_in(task, buf, len);
}

bool scsi_pr_report_capabilities(struct scsi_task *task)
{
	uint8_t buf[8] = {0};

	pthread_mutex_lock(&task->lu->lock);
	put_be16(buf, sizeof(buf));
	buf[2] = 0x0c; /* SIP_C, ATP_C */
	if (task->lu->store != NULL) {
		buf[2] |= 0x01; /* PTPL_C */
	}
	buf[3] = 0x80 | 0x40; /* TMV; ALLOW COMMANDS 100b: all of table 208 */
	if (task->lu->pr.aptpl) {
		buf[3] |= 0x01; /* PTPL_A */
	}
	/* WR_EX_AR, EX_AC_RO, WR_EX_RO, EX_AC, WR_EX; EX_AC_AR */
	put_be16(buf + 4, 0xea01);
	pthread_mutex_unlock(&task->lu->lock);
	return scsi_data_in(task, buf, sizeof(buf));
}

static size_t put_full_status(const struct scsi_lu *lu,
			      const struct scsi_registration *reg, uint8_t *p)
{
	size_t len;

	put_be64(p, reg->key);
	/* ALL_TG_PT 0: each registration is one nexus's. */
	put_be16(p + 18, reg->port);
	if (scsi_pr_holds(lu, reg)) {
		p[12] |= 0x01; /* R_HOLDER */
		p[13] = lu->pr.type;
	}
	len = scsi_transport_id_build(reg, p + 24);
	put_be32(p + 20, (uint32_t)len);
	return 24 + len;
}

bool scsi_pr_read_full_status(struct scsi_task *task)
{
	const struct scsi_registration *reg;
	uint8_t *buf = lock_with_room(task, FULL_STATUS_MAX);
	size_t len = 8;

	if (buf == NULL) {
		return true;
	}
	for (reg = task->lu->pr.registrations; reg != NULL; reg = reg->next) {
		len += put_full_status(task->lu, reg, buf + len);
	}
	pthread_mutex_unlock(&task->lu->lock);
	put_be32(buf + 4, (uint32_t)(len - 8));
	return scsi_data_in(task, buf, len);
}
