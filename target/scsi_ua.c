/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Unit attentions (SAM-5 5.14). What is pending for a nexus on a unit is a bit
 * per condition: raising and taking are single atomic operations, so that
 * anyone may raise while the nexus's lane takes.
 */
#include "target/scsi_commands.h"

/* The order decides which is told first. */
static const uint16_t ua_asc[SCSI_UA_NUM] = {
	[SCSI_UA_POWER_ON] = ASC_POWER_ON,
	[SCSI_UA_RESET] = ASC_BUS_DEVICE_RESET,
	[SCSI_UA_NEXUS_LOSS] = ASC_NEXUS_LOSS,
	[SCSI_UA_LUNS_CHANGED] = ASC_REPORTED_LUNS_CHANGED,
	[SCSI_UA_CAPACITY] = ASC_CAPACITY_CHANGED,
	[SCSI_UA_MODE_CHANGED] = ASC_MODE_PARAMETERS_CHANGED,
	[SCSI_UA_LOG_CHANGED] = ASC_LOG_PARAMETERS_CHANGED,
	[SCSI_UA_RES_PREEMPTED] = ASC_RESERVATIONS_PREEMPTED,
	[SCSI_UA_RES_RELEASED] = ASC_RESERVATIONS_RELEASED,
	[SCSI_UA_REG_PREEMPTED] = ASC_REGISTRATIONS_PREEMPTED,
	[SCSI_UA_ACCESS_STATE] = ASC_ACCESS_STATE_CHANGED,
	[SCSI_UA_INQUIRY_CHANGED] = ASC_INQUIRY_DATA_CHANGED,
	[SCSI_UA_IDENT_CHANGED] = ASC_DEVICE_IDENTIFIER_CHANGED,
	[SCSI_UA_COMMANDS_CLEARED] = ASC_COMMANDS_CLEARED,
	[SCSI_UA_ISCSI_EVENT] = ASC_CLEARED_BY_ISCSI_EVENT,
	[SCSI_UA_THRESHOLD] = ASC_THRESHOLD_REACHED,
};

/* SAM-5 5.14: these say more than anything that was pending before. */
#define RESETS                                                                 \
	(1u << SCSI_UA_POWER_ON | 1u << SCSI_UA_RESET |                        \
	 1u << SCSI_UA_NEXUS_LOSS)

uint16_t scsi_ua_asc(enum scsi_ua ua)
{
	return ua_asc[ua];
}

void scsi_ua_information(enum scsi_ua ua, struct scsi_sense *sense)
{
	if (ua == SCSI_UA_THRESHOLD) {
		sense->info_valid = true;
		sense->info = SCSI_SPACE_DESCRIPTOR;
	}
}

void scsi_ua_raise(struct scsi_itl *itl, enum scsi_ua ua)
{
	atomic_fetch_or(&itl->ua, 1u << ua);
}

void scsi_ua_luns_told(const struct scsi_nexus *nexus)
{
	unsigned i;

	for (i = 0; i < nexus->count; i++) {
		atomic_fetch_and(&nexus->itls[i]->ua,
				 ~(1u << SCSI_UA_LUNS_CHANGED));
	}
}

/* Those that are still pending when the first has been told. */
static unsigned but_first(unsigned pending)
{
	unsigned bit = pending & -pending;

	return (bit & RESETS) != 0 ? pending & ~RESETS : pending & ~bit;
}

bool scsi_ua_take(struct scsi_itl *itl, enum scsi_ua *ua)
{
	unsigned pending = atomic_load(&itl->ua);

	do {
		if (pending == 0) {
			return false;
		}
	} while (!atomic_compare_exchange_weak(&itl->ua, &pending,
					       but_first(pending)));
	*ua = (enum scsi_ua)__builtin_ctz(pending);
	/* Told for one unit, it is told for all (SPC-4 7.8.7, LUICLR). */
	if (*ua == SCSI_UA_LUNS_CHANGED) {
		scsi_ua_luns_told(itl->nexus);
	}
	return true;
}

bool scsi_nexus_pending(const struct scsi_nexus *nexus, const uint8_t lun[8],
			uint8_t info[3])
{
	const struct scsi_itl *itl;
	unsigned pending;
	uint16_t number;

	if (scsi_lun_parse(lun, &number) != SCSI_LUN_UNIT) {
		return false;
	}
	itl = scsi_nexus_itl(nexus, number);
	pending = itl != NULL ? atomic_load(&itl->ua) : 0;
	if (pending == 0) {
		return false;
	}
	/* UADE DEPTH: one, or more; then sense key and code */
	info[0] =
		(but_first(pending) == 0 ? 0x10 : 0x20) | SENSE_UNIT_ATTENTION;
	put_be16(info + 1, ua_asc[__builtin_ctz(pending)]);
	return true;
}

void scsi_ua_raise_others(struct scsi_lu *lu, const struct scsi_itl *except,
			  enum scsi_ua ua)
{
	struct scsi_itl *itl;

	for (itl = lu->itls; itl != NULL; itl = itl->next) {
		if (itl != except) {
			scsi_ua_raise(itl, ua);
		}
	}
}

static bool ua_by_asc(uint16_t asc, enum scsi_ua *ua)
{
	unsigned i;

	for (i = 0; i < SCSI_UA_NUM; i++) {
		if (ua_asc[i] == asc) {
			*ua = (enum scsi_ua)i;
			return true;
		}
	}
	return false;
}

void scsi_nexus_unit_attention(struct scsi_nexus *nexus, struct scsi_lu *lu,
			       uint16_t asc_ascq)
{
	enum scsi_ua ua;
	unsigned i;

	if (!ua_by_asc(asc_ascq, &ua)) {
		scsi_log(0, "no such unit attention: %04x", asc_ascq);
		return;
	}
	pthread_mutex_lock(&nexus->lock);
	for (i = 0; i < nexus->count; i++) {
		if (lu == NULL || nexus->itls[i]->lu == lu) {
			scsi_ua_raise(nexus->itls[i], ua);
		}
	}
	pthread_mutex_unlock(&nexus->lock);
}
