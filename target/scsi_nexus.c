/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * I_T nexuses, their LUN maps, and LUN addressing (SAM-5 4.7).
 */
#include <stdio.h>
#include <stdlib.h>

#include "target/scsi_priv.h"

/* ---- addressing ---- */

enum scsi_lun_kind scsi_lun_parse(const uint8_t lun[8], uint16_t *number)
{
	static const uint8_t zero[6];
	enum scsi_lun_kind kind = SCSI_LUN_BAD;

	*number = 0;
	if (lun[0] == 0xd2) {
		/* extended flat space addressing, 4 bytes: 24-bit LUN */
		if (memcmp(lun + 4, zero, 4) == 0 &&
		    get_be24(lun + 1) <= SCSI_MAX_LUN) {
			*number = (uint16_t)get_be24(lun + 1);
			kind = SCSI_LUN_UNIT;
		}
	} else if (memcmp(lun + 2, zero, 6) != 0) {
		/* a second level, or an address of more than two bytes */
	} else if (lun[0] == 0) {
		/* peripheral device addressing, bus 0 */
		*number = lun[1];
		kind = SCSI_LUN_UNIT;
	} else if (lun[0] >> 6 == 1) {
		/* flat space addressing */
		*number = get_be16(lun) & 0x3fff;
		kind = SCSI_LUN_UNIT;
	} else if (get_be16(lun) == 0xc101) {
		kind = SCSI_LUN_REPORT_LUNS;
	}
	return kind;
}

void scsi_lun_format(uint16_t number, uint8_t lun[8])
{
	memset(lun, 0, 8);
	put_be16(lun, number < 256 ? number : 0x4000 | number);
}

/* Binary search: the lane's own, without the lock. */
struct scsi_itl *scsi_nexus_itl(const struct scsi_nexus *nexus, uint16_t lun)
{
	unsigned low = 0, high = nexus->count;

	while (low < high) {
		unsigned mid = (low + high) / 2;
		uint16_t at = nexus->itls[mid]->lun;

		if (at == lun) {
			return nexus->itls[mid];
		}
		if (at < lun) {
			low = mid + 1;
		} else {
			high = mid;
		}
	}
	return NULL;
}

struct scsi_lu *scsi_nexus_lookup(struct scsi_nexus *nexus,
				  const uint8_t lun[8])
{
	struct scsi_itl *itl;
	uint16_t number;

	if (scsi_lun_parse(lun, &number) != SCSI_LUN_UNIT) {
		return NULL;
	}
	itl = scsi_nexus_itl(nexus, number);
	return itl != NULL ? itl->lu : NULL;
}

/* ---- life ---- */

static struct scsi_itl *itl_create(struct scsi_nexus *nexus, struct scsi_lu *lu,
				   uint16_t lun)
{
	struct scsi_itl *itl = calloc(1, sizeof(*itl));

	if (itl == NULL) {
		return NULL;
	}
	itl->nexus = nexus;
	itl->lu = lu;
	itl->lun = lun;
	atomic_init(&itl->ua, 0);
	atomic_init(&itl->denied, 0);

	pthread_mutex_lock(&lu->lock);
	itl->next = lu->itls;
	if (itl->next != NULL) {
		itl->next->prev = itl;
	}
	lu->itls = itl;
	scsi_port_group_enter(lu, nexus->port);
	scsi_pr_attach(itl);
	pthread_mutex_unlock(&lu->lock);
	return itl;
}

static void itl_free(struct scsi_itl *itl)
{
	struct scsi_lu *lu = itl->lu;

	pthread_mutex_lock(&lu->lock);
	if (itl->prev != NULL) {
		itl->prev->next = itl->next;
	} else {
		lu->itls = itl->next;
	}
	if (itl->next != NULL) {
		itl->next->prev = itl->prev;
	}
	scsi_pr_detach(itl);
	scsi_count_gone(itl);
	pthread_mutex_unlock(&lu->lock);
	free(itl);
}

static void free_itls(struct scsi_itl **itls, unsigned count)
{
	unsigned i;

	for (i = 0; i < count; i++) {
		if (itls[i] != NULL) {
			itl_free(itls[i]);
		}
	}
	free(itls);
}

/* Build the views of @map; those that stay as they are move over from the
 * nexus's present ones (their slots become NULL). */
static struct scsi_itl **build_itls(struct scsi_nexus *nexus,
				    const struct scsi_lun_map *map,
				    enum scsi_ua news)
{
	struct scsi_itl **itls = calloc(map->count + 1, sizeof(*itls));
	unsigned i, old = 0;

	if (itls == NULL) {
		return NULL;
	}
	for (i = 0; i < map->count; i++) {
		uint16_t lun = map->entry[i].lun;

		while (old < nexus->count && (nexus->itls[old] == NULL ||
					      nexus->itls[old]->lun < lun)) {
			old++;
		}
		if (old < nexus->count && nexus->itls[old]->lun == lun &&
		    nexus->itls[old]->lu == map->entry[i].lu) {
			itls[i] = nexus->itls[old];
			nexus->itls[old] = NULL;
		} else {
			itls[i] = itl_create(nexus, map->entry[i].lu, lun);
		}
		if (itls[i] == NULL) {
			free_itls(itls, i);
			return NULL;
		}
		scsi_ua_raise(itls[i], news);
		/* Another unit than before has this number: not only the list
		 * is another (SPC-4 6.6.1). */
		if (old < nexus->count && nexus->itls[old] != NULL &&
		    nexus->itls[old]->lun == lun) {
			scsi_ua_raise(itls[i], SCSI_UA_INQUIRY_CHANGED);
		}
	}
	return itls;
}

struct scsi_nexus *scsi_nexus_create(const struct scsi_nexus_config *config,
				     const struct scsi_lun_map *map)
{
	struct scsi_nexus *nexus = calloc(1, sizeof(*nexus));

	if (nexus == NULL || pthread_mutex_init(&nexus->lock, NULL) != 0) {
		free(nexus);
		return NULL;
	}
	memcpy(nexus->isid, config->isid, sizeof(nexus->isid));
	nexus->port = config->portal_group;
	nexus->protocol_level = config->protocol_level;
	nexus->abort_nexuses = config->abort_nexuses;
	nexus->clear_medium = config->clear_medium;
	nexus->background = config->background;
	nexus->private_data = config->private_data;
	nexus->initiator_name = strdup(config->initiator_name);
	nexus->target_name = strdup(config->target_name);
	if (nexus->initiator_name == NULL || nexus->target_name == NULL) {
		goto fail;
	}
	nexus->itls = build_itls(nexus, map, SCSI_UA_POWER_ON);
	if (nexus->itls == NULL) {
		goto fail;
	}
	nexus->count = map->count;
	return nexus;
fail:
	pthread_mutex_destroy(&nexus->lock);
	free(nexus->initiator_name);
	free(nexus->target_name);
	free(nexus);
	return NULL;
}

void scsi_nexus_set_map(struct scsi_nexus *nexus,
			const struct scsi_lun_map *map)
{
	struct scsi_itl **itls, **old;
	unsigned count;

	pthread_mutex_lock(&nexus->lock);
	old = nexus->itls;
	count = nexus->count;
	itls = build_itls(nexus, map, SCSI_UA_LUNS_CHANGED);
	if (itls == NULL) {
		/* Without memory nothing is mapped: units that the map no
		 * longer has must not stay reachable. */
		scsi_log(0, "%s: out of memory for a map of %u LUNs",
			 nexus->initiator_name, map->count);
	}
	nexus->itls = itls;
	nexus->count = itls != NULL ? map->count : 0;
	pthread_mutex_unlock(&nexus->lock);
	free_itls(old, count);
}

void scsi_nexus_free(struct scsi_nexus *nexus)
{
	if (nexus == NULL) {
		return;
	}
	free_itls(nexus->itls, nexus->count);
	scsi_copy_ops_free(nexus);
	pthread_mutex_destroy(&nexus->lock);
	free(nexus->initiator_name);
	free(nexus->target_name);
	free(nexus);
}

/* ---- names ---- */

void scsi_nexus_get_name(const struct scsi_nexus *nexus,
			 struct scsi_nexus_name *name)
{
	snprintf(name->initiator, sizeof(name->initiator), "%s",
		 nexus->initiator_name);
	snprintf(name->target, sizeof(name->target), "%s", nexus->target_name);
	memcpy(name->isid, nexus->isid, sizeof(name->isid));
	name->port = nexus->port;
}

/* ---- its end ---- */

/* SAM-5 6.3.4 I_T nexus loss: what a RESERVE(6) held is released; persistent
 * reservations stay. */
void scsi_nexus_lost(struct scsi_nexus *nexus)
{
	unsigned i;

	for (i = 0; i < nexus->count; i++) {
		struct scsi_itl *itl = nexus->itls[i];

		pthread_mutex_lock(&itl->lu->lock);
		if (itl->lu->reserved_by == itl) {
			itl->lu->reserved_by = NULL;
			scsi_pr_refresh(itl->lu);
		}
		pthread_mutex_unlock(&itl->lu->lock);
		scsi_ua_raise(itl, SCSI_UA_NEXUS_LOSS);
	}
}
