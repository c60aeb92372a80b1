/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Logical units: identity, state, resets.
 */
#include <stdlib.h>
#include <time.h>

#include "target/scsi_priv.h"

/*
 * A 16-byte NAA 6 name (SPC-4 7.8.6.6.5), the form of MS-ISTM 2.2.4.9. The
 * company identifier is a locally administered one (its U/L bit is set), so it
 * cannot meet a vendor's; the other 100 bits are the unit's GUID, folded. This
 * must never change: initiators know their disks by it.
 */
static void naa_from_guid(const uint8_t guid[16], uint8_t naa[16])
{
	static const uint32_t company_id = 0x024953;
	uint64_t high = get_be64(guid) ^ get_be64(guid) >> 36;
	uint64_t vsid = high & 0xfffffffffull;

	put_be64(naa, 6ull << 60 | (uint64_t)company_id << 36 | vsid);
	memcpy(naa + 8, guid + 8, 8);
}

struct scsi_lu *scsi_lu_create(const struct scsi_lu_config *config)
{
	struct scsi_lu *lu = calloc(1, sizeof(*lu));
	struct timespec now;

	if (lu == NULL) {
		return NULL;
	}
	if (pthread_mutex_init(&lu->lock, NULL) != 0) {
		free(lu);
		return NULL;
	}
	lu->config = *config;
	lu->block = vhd_disk_sector(config->disk);
	lu->shift = (unsigned)__builtin_ctz(lu->block);
	lu->config.serial[sizeof(lu->config.serial) - 1] = '\0';
	lu->config.volume[sizeof(lu->config.volume) - 1] = '\0';
	lu->config.vendor[sizeof(lu->config.vendor) - 1] = '\0';
	lu->config.product[sizeof(lu->config.product) - 1] = '\0';
	lu->config.revision[sizeof(lu->config.revision) - 1] = '\0';
	naa_from_guid(config->guid, lu->naa);
	clock_gettime(CLOCK_MONOTONIC, &now);
	lu->since = now.tv_sec;
	lu->defaults = config->write_through ? SCSI_LU_DEFAULTS & ~SCSI_LU_WCE
					     : SCSI_LU_DEFAULTS;
	lu->saved = lu->defaults;
	atomic_init(&lu->state,
		    lu->defaults | (config->enabled ? SCSI_LU_ENABLED : 0) |
			    (vhd_disk_writes_atomic(config->disk)
				     ? 0
				     : SCSI_LU_NO_ATOMIC));
	return lu;
}

void scsi_lu_free(struct scsi_lu *lu)
{
	if (lu == NULL) {
		return;
	}
	if (lu->itls != NULL) {
		scsi_log(0, "disk %d is freed while %s still sees it",
			 (int)lu->config.index,
			 lu->itls->nexus->initiator_name);
	}
	scsi_lu_retire(lu);
	scsi_pr_free(lu);
	pthread_mutex_destroy(&lu->lock);
	free(lu);
}

size_t scsi_lu_naa(const struct scsi_lu *lu, uint8_t naa[16])
{
	memcpy(naa, lu->naa, 16);
	return 16;
}

void scsi_lu_retire(struct scsi_lu *lu)
{
	atomic_fetch_or(&lu->state, SCSI_LU_RETIRED);
	scsi_tokens_revoke(lu);
}

void scsi_lu_capacity_changed(struct scsi_lu *lu)
{
	pthread_mutex_lock(&lu->lock);
	scsi_ua_raise_others(lu, NULL, SCSI_UA_CAPACITY);
	pthread_mutex_unlock(&lu->lock);
}

void scsi_lu_set_enabled(struct scsi_lu *lu, bool enabled)
{
	unsigned before;

	/* While it is disabled its owner may change it. */
	scsi_tokens_revoke(lu);
	if (enabled) {
		before = atomic_fetch_or(&lu->state, SCSI_LU_ENABLED);
	} else {
		before = atomic_fetch_and(&lu->state, ~SCSI_LU_ENABLED);
		scsi_selftest_interrupt(lu);
	}
	if (enabled && !(before & SCSI_LU_ENABLED)) {
		/* It may have been away for long: start afresh. */
		pthread_mutex_lock(&lu->lock);
		scsi_ua_raise_others(lu, NULL, SCSI_UA_POWER_ON);
		pthread_mutex_unlock(&lu->lock);
	}
}

void scsi_lu_lost_atomic(struct scsi_lu *lu)
{
	if (atomic_fetch_or(&lu->state, SCSI_LU_NO_ATOMIC) &
	    SCSI_LU_NO_ATOMIC) {
		return;
	}
	scsi_log(1, "disk %d has no WRITE ATOMIC any more",
		 (int)lu->config.index);
	/* Page B0h is another (SPC-4 6.6). */
	pthread_mutex_lock(&lu->lock);
	scsi_ua_raise_others(lu, NULL, SCSI_UA_INQUIRY_CHANGED);
	pthread_mutex_unlock(&lu->lock);
}

#define NOT_READY                                                              \
	(SCSI_LU_FORMATTING | SCSI_LU_SANITIZING | SCSI_LU_SANITIZE_FAILED |   \
	 SCSI_LU_STOPPED | SCSI_LU_TESTING)

uint16_t scsi_lu_not_ready(const struct scsi_lu *lu)
{
	unsigned state = atomic_load_explicit(&((struct scsi_lu *)lu)->state,
					      memory_order_relaxed);

	if ((state & (SCSI_LU_ENABLED | NOT_READY)) == SCSI_LU_ENABLED) {
		return 0;
	}
	if (!(state & SCSI_LU_ENABLED)) {
		return ASC_NOT_READY_OFFLINE;
	}
	if (state & SCSI_LU_FORMATTING) {
		return ASC_FORMAT_IN_PROGRESS;
	}
	if (state & SCSI_LU_SANITIZING) {
		return ASC_SANITIZE_IN_PROGRESS;
	}
	if (state & SCSI_LU_SANITIZE_FAILED) {
		return ASC_SANITIZE_FAILED;
	}
	if (state & SCSI_LU_TESTING) {
		return ASC_SELF_TEST_IN_PROGRESS;
	}
	return ASC_NOT_READY_START_NEEDED;
}

bool scsi_lu_leaves(const struct scsi_lu *lu)
{
	return !scsi_lu_is(lu, SCSI_LU_ENABLED) ||
	       scsi_lu_is(lu, SCSI_LU_RETIRED);
}

void scsi_sense_of_progress(const struct scsi_lu *lu, uint16_t asc,
			    struct scsi_sense *sense)
{
	*sense = (struct scsi_sense){
		.key = SENSE_NOT_READY,
		.asc = asc,
		.progress_valid = true,
		.progress = (uint16_t)atomic_load(
			&((struct scsi_lu *)lu)->progress),
	};
}

void scsi_not_ready_sense(const struct scsi_lu *lu, struct scsi_sense *sense)
{
	uint16_t asc = scsi_lu_not_ready(lu);

	if (asc == ASC_SANITIZE_IN_PROGRESS || asc == ASC_FORMAT_IN_PROGRESS ||
	    asc == ASC_SELF_TEST_IN_PROGRESS) {
		scsi_sense_of_progress(lu, asc, sense);
		return;
	}
	*sense = (struct scsi_sense){
		.key = SENSE_NOT_READY,
		.asc = asc,
	};
	if (asc == ASC_SANITIZE_FAILED) {
		sense->key = SENSE_MEDIUM_ERROR; /* SBC-3 4.11.4 */
	}
}

void scsi_lu_set_progress(struct scsi_lu *lu, uint64_t done, uint64_t total)
{
	/* No disk has less than 65536 bytes; all of it is not told. */
	atomic_store(&lu->progress,
		     done < total ? (unsigned)(done / (total / 65536 + 1))
				  : 65535);
}

bool scsi_refuse_not_ready(struct scsi_task *task)
{
	struct scsi_sense sense;

	scsi_not_ready_sense(task->lu, &sense);
	return scsi_refuse_with(task, &sense);
}

void scsi_lu_settle(struct scsi_lu *lu)
{
	pthread_mutex_lock(&lu->lock);
	pthread_mutex_unlock(&lu->lock);
}

bool scsi_lu_tells_aborts(const struct scsi_lu *lu)
{
	return scsi_lu_is(lu, SCSI_LU_TAS);
}

/* SAM-5 6.3.3 logical unit reset condition */
void scsi_lu_reset(struct scsi_lu *lu, struct scsi_nexus *by)
{
	const unsigned stays = SCSI_LU_ENABLED | SCSI_LU_FORMATTING |
			       SCSI_LU_TOKENS | SCSI_LU_RETIRED |
			       SCSI_LU_SANITIZING | SCSI_LU_SANITIZE_FAILED |
			       SCSI_LU_NO_ATOMIC;
	unsigned state = atomic_load(&lu->state);

	scsi_log(3, "disk %d: reset by %s", (int)lu->config.index,
		 by != NULL ? by->initiator_name : "the server");
	scsi_selftest_interrupt(lu);
	pthread_mutex_lock(&lu->lock);
	while (!atomic_compare_exchange_weak(&lu->state, &state,
					     (state & stays) | lu->saved)) {
	}
	lu->threshold = lu->saved_threshold;
	lu->reserved_by = NULL;
	scsi_pr_refresh(lu);
	scsi_ua_raise_others(lu, NULL, SCSI_UA_RESET);
	pthread_mutex_unlock(&lu->lock);
}
