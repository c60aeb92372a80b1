/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a unit keeps through a power loss, as one piece of bytes: saved mode
 * pages (SPC-4 6.11, SP) and, with APTPL, persistent reservations (SPC-4
 * 5.13.5.1). Where they are kept is the caller's business.
 *
 * Big-endian: magic, format, flags, saved mode parameters; with FLAG_THRESHOLD
 * that of thin provisioning: whether it is enabled, its count; then identifying
 * information, if there is any: both lengths, two bytes each, and both; then
 * what scsi_pr_pack() makes of the reservations, to the end.
 */
#include <errno.h>
#include <stdlib.h>

#include "target/scsi_pr.h"

#define MAGIC	   0x49534c55u /* "ISLU" */
#define FORMAT	   1
#define HEADER	   16
#define FLAG_MODES 0x01
#define FLAG_PR	   0x02
/* A SANITIZE has begun; a failure can be left without another. */
#define FLAG_SANITIZE  0x04
#define FLAG_MAY_EXIT  0x08
#define FLAG_IDENT     0x10
#define FLAG_THRESHOLD 0x20
#define THRESHOLD      8 /* bytes */

/* By number, so that the bits of scsi_lu.state may move. */
static const unsigned kept_modes[] = {
	SCSI_LU_WCE,
	SCSI_LU_SWP,
	SCSI_LU_D_SENSE,
	SCSI_LU_TAS,
};

#define NUM_MODES (sizeof(kept_modes) / sizeof(kept_modes[0]))

static uint32_t modes_to_kept(unsigned modes)
{
	uint32_t kept = 0;
	size_t i;

	for (i = 0; i < NUM_MODES; i++) {
		kept |= (modes & kept_modes[i]) ? 1u << i : 0;
	}
	return kept;
}

static unsigned modes_from_kept(uint32_t kept)
{
	unsigned modes = 0;
	size_t i;

	for (i = 0; i < NUM_MODES; i++) {
		modes |= (kept & 1u << i) ? kept_modes[i] : 0;
	}
	return modes;
}

static size_t ident_len(const struct scsi_lu *lu)
{
	size_t len = (size_t)lu->ident.len + lu->ident_text.len;

	return len != 0 ? 4 + len : 0;
}

static void pack_ident(const struct scsi_lu *lu, uint8_t *p)
{
	put_be16(p, lu->ident.len);
	put_be16(p + 2, lu->ident_text.len);
	memcpy(p + 4, lu->ident.data, lu->ident.len);
	memcpy(p + 4 + lu->ident.len, lu->ident_text.data, lu->ident_text.len);
}

/* Moves on @state and @len. */
static bool unpack_ident(struct scsi_lu *lu, const uint8_t **state, size_t *len)
{
	const uint8_t *p = *state;
	uint16_t ident, text;

	if (*len < 4) {
		return false;
	}
	ident = get_be16(p);
	text = get_be16(p + 2);
	if (ident > SCSI_IDENT_MAX || text > SCSI_IDENT_TEXT_MAX ||
	    *len < 4 + (size_t)ident + text) {
		return false;
	}
	lu->ident.len = ident;
	lu->ident_text.len = text;
	memcpy(lu->ident.data, p + 4, ident);
	memcpy(lu->ident_text.data, p + 4 + ident, text);
	*state += ident_len(lu);
	*len -= ident_len(lu);
	return true;
}

/* NULL without memory; *@len 0: there is nothing to keep. */
static uint8_t *pack(const struct scsi_lu *lu, size_t *len)
{
	uint32_t flags = 0;
	size_t head = HEADER;
	uint8_t *buf;

	if (lu->saved != lu->defaults) {
		flags |= FLAG_MODES;
	}
	if (lu->pr.aptpl) {
		flags |= FLAG_PR;
	}
	if (lu->sanitize != SANITIZE_NONE) {
		flags |= FLAG_SANITIZE;
		flags |= lu->sanitize == SANITIZE_MAY_EXIT ? FLAG_MAY_EXIT : 0;
	}
	if (lu->saved_threshold.set) {
		flags |= FLAG_THRESHOLD;
		head += THRESHOLD;
	}
	if (ident_len(lu) != 0) {
		flags |= FLAG_IDENT;
	}
	*len = head + ident_len(lu) +
	       (lu->pr.aptpl ? scsi_pr_pack(lu, NULL) : 0);
	buf = calloc(1, *len);
	if (buf == NULL) {
		return NULL;
	}
	put_be32(buf, MAGIC);
	put_be32(buf + 4, FORMAT);
	put_be32(buf + 8, flags);
	put_be32(buf + 12, modes_to_kept(lu->saved));
	if (flags & FLAG_THRESHOLD) {
		put_be32(buf + HEADER, lu->saved_threshold.enabled);
		put_be32(buf + HEADER + 4, lu->saved_threshold.count);
	}
	if (flags & FLAG_IDENT) {
		pack_ident(lu, buf + head);
	}
	if (lu->pr.aptpl) {
		scsi_pr_pack(lu, buf + head + ident_len(lu));
	}
	if (flags == 0) {
		*len = 0;
	}
	return buf;
}

static bool unpack(struct scsi_lu *lu, const uint8_t *state, size_t len)
{
	uint32_t flags;

	if (len < HEADER || get_be32(state) != MAGIC ||
	    get_be32(state + 4) != FORMAT) {
		return false;
	}
	flags = get_be32(state + 8);
	if (flags & FLAG_MODES) {
		lu->saved = modes_from_kept(get_be32(state + 12));
	}
	if (flags & FLAG_SANITIZE) {
		lu->sanitize = (flags & FLAG_MAY_EXIT) ? SANITIZE_MAY_EXIT
						       : SANITIZE_MUST_REPEAT;
	}
	state += HEADER;
	len -= HEADER;
	if (flags & FLAG_THRESHOLD) {
		if (len < THRESHOLD) {
			return false;
		}
		lu->saved_threshold = (struct scsi_space_threshold){
			.set = true,
			.enabled = get_be32(state) != 0,
			.count = get_be32(state + 4),
		};
		state += THRESHOLD;
		len -= THRESHOLD;
	}
	if ((flags & FLAG_IDENT) && !unpack_ident(lu, &state, &len)) {
		return false;
	}
	if (flags & FLAG_PR) {
		return scsi_pr_unpack(lu, state, len);
	}
	return len == 0;
}

void scsi_lu_set_store(struct scsi_lu *lu, scsi_store_fn store,
		       void *private_data)
{
	pthread_mutex_lock(&lu->lock);
	lu->store = store;
	lu->store_private = private_data;
	pthread_mutex_unlock(&lu->lock);
}

int scsi_lu_restore(struct scsi_lu *lu, const void *state, size_t len)
{
	int ret = 0;

	pthread_mutex_lock(&lu->lock);
	if (!unpack(lu, state, len)) {
		scsi_pr_free(lu);
		memset(&lu->pr, 0, sizeof(lu->pr));
		lu->saved = lu->defaults;
		lu->saved_threshold.set = false;
		lu->sanitize = SANITIZE_NONE;
		lu->ident.len = lu->ident_text.len = 0;
		ret = EINVAL;
	}
	if (lu->sanitize != SANITIZE_NONE) {
		atomic_fetch_or(&lu->state, SCSI_LU_SANITIZE_FAILED);
	}
	atomic_fetch_and(&lu->state, ~SCSI_LU_MODES);
	atomic_fetch_or(&lu->state, lu->saved);
	lu->threshold = lu->saved_threshold;
	scsi_pr_refresh(lu);
	pthread_mutex_unlock(&lu->lock);
	return ret;
}

static void not_kept(struct scsi_task *task, int error)
{
	scsi_log(0, "disk %d: state after %s from %s is not kept: %s",
		 (int)task->lu->config.index, task->op->name,
		 task->nexus->initiator_name, strerror(error));
	scsi_fail(task, SENSE_HARDWARE_ERROR, ASC_INTERNAL_FAILURE);
}

/* @return as scsi_store_fn; there is a store. Caller holds the lock. */
static int keep(struct scsi_lu *lu, struct scsi_task *task)
{
	size_t len;
	uint8_t *state = pack(lu, &len);
	int error = ENOMEM;

	if (state != NULL) {
		error = lu->store(lu, task, len != 0 ? state : NULL, len,
				  lu->store_private);
	}
	free(state);
	return error;
}

bool scsi_keep(struct scsi_task *task)
{
	int error;

	if (task->lu->store == NULL) {
		return true;
	}
	error = keep(task->lu, task);
	if (error == EINPROGRESS) {
		task->waits++;
		return false;
	}
	if (error != 0) {
		not_kept(task, error);
	}
	return true;
}

void scsi_keep_later(struct scsi_lu *lu)
{
	int error;

	if (lu->store == NULL) {
		return;
	}
	error = keep(lu, NULL);
	if (error != 0 && error != EINPROGRESS) {
		scsi_log(0, "disk %d: its state is not kept: %s",
			 (int)lu->config.index, strerror(error));
	}
}

void scsi_stored(struct scsi_task *task, int error)
{
	if (error != 0) {
		not_kept(task, error);
	}
	scsi_tasks_aborted(task); /* one thing less to wait for */
}
