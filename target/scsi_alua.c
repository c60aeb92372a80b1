/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Asymmetric access (SPC-4 5.16.2): target port groups and their states.
 *
 * A portal group is a target port (RFC 7143 4.4.2), and each port is a group
 * of its own; all have the same number. The owner of the unit says how it is
 * reached through each (implicit), initiators may change that for the unit
 * (explicit), as long as the process lasts. What a state denies is in
 * scsi_itl.denied with what reservations deny.
 */
#include <errno.h>

#include "target/scsi_commands.h"
#include "target/scsi_pr.h"

#define FORMAT_EXTENDED 1

#define PREF	  0x80
#define SUPPORTED 0x0f /* U_SUP, S_SUP, AN_SUP, AO_SUP */

/* STATUS CODE (SPC-4 6.37) */
#define STATUS_NONE	0
#define STATUS_EXPLICIT 1
#define STATUS_IMPLICIT 2

#define DESCRIPTOR	12 /* with its one port */
#define SET_HEADER	4
#define SET_DESCRIPTOR	4
#define MAX_DESCRIPTORS (2u * SCSI_MAX_PORTS) /* each group, each port */

static const char *const state_names[SCSI_ACCESS_NUM] = {
	[SCSI_ACCESS_OPTIMIZED] = "active/optimized",
	[SCSI_ACCESS_NON_OPTIMIZED] = "active/non-optimized",
	[SCSI_ACCESS_STANDBY] = "standby",
	[SCSI_ACCESS_UNAVAILABLE] = "unavailable",
};

/* ---- groups; with the unit's lock held ---- */

struct scsi_port_group *scsi_port_group_find(struct scsi_lu *lu, uint16_t port)
{
	unsigned i;

	for (i = 0; i < lu->num_groups; i++) {
		if (lu->groups[i].number == port) {
			return &lu->groups[i];
		}
	}
	return NULL;
}

static struct scsi_port_group *group_add(struct scsi_lu *lu, uint16_t port)
{
	unsigned i = lu->num_groups;

	if (i == SCSI_MAX_PORTS) {
		return NULL;
	}
	for (; i > 0 && lu->groups[i - 1].number > port; i--) {
		lu->groups[i] = lu->groups[i - 1];
	}
	lu->num_groups++;
	lu->groups[i] = (struct scsi_port_group){.number = port};
	return &lu->groups[i];
}

void scsi_port_group_enter(struct scsi_lu *lu, uint16_t port)
{
	if (scsi_port_group_find(lu, port) == NULL) {
		group_add(lu, port);
	}
}

unsigned scsi_access_denied(struct scsi_lu *lu, const struct scsi_itl *itl)
{
	const struct scsi_port_group *group =
		scsi_port_group_find(lu, itl->nexus->port);

	if (group != NULL && group->state == SCSI_ACCESS_STANDBY) {
		return SCSI_DENIED_STANDBY;
	}
	if (group != NULL && group->state == SCSI_ACCESS_UNAVAILABLE) {
		return SCSI_DENIED_UNAVAILABLE;
	}
	return 0;
}

uint16_t scsi_access_asc(unsigned denied)
{
	return denied & SCSI_DENIED_STANDBY ? ASC_PORT_STANDBY
					    : ASC_PORT_UNAVAILABLE;
}

/* The units of a nexus agree about ports. */
unsigned scsi_target_ports(const struct scsi_nexus *nexus,
			   uint16_t ports[SCSI_MAX_PORTS])
{
	struct scsi_lu *lu;
	unsigned i;

	if (nexus->count == 0) {
		ports[0] = nexus->port;
		return 1;
	}
	lu = nexus->itls[0]->lu;
	pthread_mutex_lock(&lu->lock);
	for (i = 0; i < lu->num_groups; i++) {
		ports[i] = lu->groups[i].number;
	}
	pthread_mutex_unlock(&lu->lock);
	return i;
}

/* @return the state is another than before */
static bool set_state(struct scsi_lu *lu, struct scsi_port_group *group,
		      uint8_t state, uint8_t status, const char *by)
{
	if (group->state == state) {
		return false;
	}
	scsi_log(3, "disk %d: target port group %u is %s, was %s: %s",
		 (int)lu->config.index, group->number, state_names[state],
		 state_names[group->state], by);
	group->state = state;
	group->status = status;
	return true;
}

/* All nexuses, but the one that did it, hear of it (5.16.2.2, 5.16.2.3). */
static void states_changed(struct scsi_lu *lu, const struct scsi_itl *by)
{
	scsi_pr_refresh(lu);
	scsi_ua_raise_others(lu, by, SCSI_UA_ACCESS_STATE);
}

static bool as_configured(struct scsi_lu *lu)
{
	bool changed = false;
	unsigned i;

	for (i = 0; i < lu->num_groups; i++) {
		changed |=
			set_state(lu, &lu->groups[i], lu->groups[i].configured,
				  STATUS_IMPLICIT, "configured so");
	}
	return changed;
}

int scsi_lu_set_access(struct scsi_lu *lu, uint16_t number,
		       enum scsi_access access)
{
	struct scsi_port_group *group;
	bool created;
	int error = 0;

	if (number == 0 || (unsigned)access >= SCSI_ACCESS_NUM) {
		return EINVAL;
	}
	pthread_mutex_lock(&lu->lock);
	group = scsi_port_group_find(lu, number);
	created = group == NULL;
	if (created) {
		group = group_add(lu, number);
	}
	if (group == NULL) {
		error = ENOSPC;
	} else if (created && lu->itls == NULL) {
		group->configured = group->state = access;
	} else if (group->configured != access) {
		group->configured = access;
		if (as_configured(lu)) {
			states_changed(lu, NULL);
		}
	}
	pthread_mutex_unlock(&lu->lock);
	return error;
}

/* ---- REPORT TARGET PORT GROUPS (SPC-4 6.37) ---- */

bool scsi_report_port_groups_prepare(struct scsi_task *task)
{
	if (task->cdb[1] >> 5 > FORMAT_EXTENDED) {
		return scsi_refuse_cdb(task, 1, 7);
	}
	return scsi_prepare_in(task, get_be32(task->cdb + 6));
}

/* Is there a group that is configured to be used rather than another? */
static bool has_preference(const struct scsi_lu *lu)
{
	unsigned i;

	for (i = 0; i < lu->num_groups; i++) {
		if (lu->groups[i].configured != SCSI_ACCESS_OPTIMIZED) {
			return true;
		}
	}
	return false;
}

static size_t put_groups(struct scsi_lu *lu, uint8_t *buf)
{
	bool preference = has_preference(lu);
	unsigned i;

	for (i = 0; i < lu->num_groups; i++, buf += DESCRIPTOR) {
		const struct scsi_port_group *group = &lu->groups[i];

		buf[0] = group->state;
		if (preference && group->configured == SCSI_ACCESS_OPTIMIZED) {
			buf[0] |= PREF;
		}
		buf[1] = SUPPORTED;
		put_be16(buf + 2, group->number);
		buf[5] = group->status;
		buf[7] = 1; /* target ports */
		put_be16(buf + 10, group->number);
	}
	return lu->num_groups * DESCRIPTOR;
}

bool scsi_report_port_groups(struct scsi_task *task)
{
	bool extended = task->cdb[1] >> 5 == FORMAT_EXTENDED;
	uint8_t buf[8 + SCSI_MAX_PORTS * DESCRIPTOR] = {0};
	size_t len = extended ? 8 : 4;

	if (extended) {
		/* FORMAT TYPE; IMPLICIT TRANSITION TIME 0: changes take none */
		buf[4] = FORMAT_EXTENDED << 4;
	}
	pthread_mutex_lock(&task->lu->lock);
	len += put_groups(task->lu, buf + len);
	pthread_mutex_unlock(&task->lu->lock);
	put_be32(buf, (uint32_t)(len - 4));
	return scsi_data_in(task, buf, len);
}

/* ---- SET TARGET PORT GROUPS (SPC-4 6.45) ---- */

bool scsi_set_port_groups_prepare(struct scsi_task *task)
{
	uint32_t len = get_be32(task->cdb + 6);

	/* No list: nothing changes. */
	if (len != 0 && (len < SET_HEADER || len % SET_DESCRIPTOR != 0 ||
			 len > SET_HEADER + MAX_DESCRIPTORS * SET_DESCRIPTOR)) {
		return scsi_refuse_cdb(task, 6, 7);
	}
	return scsi_prepare_list(task, len);
}

/* All of it, before anything changes. What is configured to be unavailable is
 * meant so: not for hosts to change. */
static bool check_descriptors(struct scsi_task *task, const uint8_t *p,
			      size_t len)
{
	const struct scsi_port_group *group;
	bool fixed = false;
	size_t at;

	for (at = SET_HEADER; at < len; at += SET_DESCRIPTOR) {
		/* Offline (Eh) is for ports, which we have no states for. */
		if ((p[at] & 0x0f) >= SCSI_ACCESS_NUM) {
			scsi_fail_parameter(task, (uint16_t)at, 3);
			return false;
		}
		group = scsi_port_group_find(task->lu, get_be16(p + at + 2));
		if (group == NULL) {
			scsi_fail_parameter(task, (uint16_t)(at + 2), 7);
			return false;
		}
		fixed |= group->configured == SCSI_ACCESS_UNAVAILABLE &&
			 (p[at] & 0x0f) != SCSI_ACCESS_UNAVAILABLE;
	}
	if (fixed) {
		scsi_fail(task, SENSE_HARDWARE_ERROR, ASC_SET_GROUPS_FAILED);
	}
	return !fixed;
}

static bool is_named(uint16_t number, const uint8_t *p, size_t len)
{
	size_t at;

	for (at = SET_HEADER; at < len; at += SET_DESCRIPTOR) {
		if (get_be16(p + at + 2) == number) {
			return true;
		}
	}
	return false;
}

/*
 * Groups that the command does not name follow what it makes of others
 * (5.16.2.3), or hosts that fail over would never come back: while a group is
 * optimized that is not configured so, no other is; when one is that is, the
 * other active ones are as configured.
 */
static bool follow(struct scsi_lu *lu, const uint8_t *p, size_t len,
		   const char *by)
{
	bool optimized = false, preferred = false, changed = false;
	unsigned i;
	size_t at;

	for (at = SET_HEADER; at < len; at += SET_DESCRIPTOR) {
		const struct scsi_port_group *group =
			scsi_port_group_find(lu, get_be16(p + at + 2));

		if (group->state == SCSI_ACCESS_OPTIMIZED) {
			optimized = true;
			preferred |= group->configured == SCSI_ACCESS_OPTIMIZED;
		}
	}
	for (i = 0; optimized && i < lu->num_groups; i++) {
		struct scsi_port_group *group = &lu->groups[i];
		uint8_t state = preferred ? group->configured
					  : SCSI_ACCESS_NON_OPTIMIZED;

		if (is_named(group->number, p, len) ||
		    group->state > (preferred ? SCSI_ACCESS_NON_OPTIMIZED
					      : SCSI_ACCESS_OPTIMIZED)) {
			continue;
		}
		changed |= set_state(lu, group, state, STATUS_IMPLICIT, by);
	}
	return changed;
}

bool scsi_set_port_groups(struct scsi_task *task)
{
	struct scsi_itl *itl = scsi_task_itl(task);
	struct scsi_lu *lu = task->lu;
	const char *by = task->nexus->initiator_name;
	bool changed = false;
	const uint8_t *p;
	size_t len, at;

	if (itl == NULL) {
		return true;
	}
	p = scsi_parameters(task, &len);
	if (p == NULL) {
		return true;
	}
	if (len != task->length) {
		return scsi_fail(task, SENSE_ILLEGAL_REQUEST,
				 ASC_PARAMETER_LIST_LENGTH);
	}
	scsi_good(task);
	pthread_mutex_lock(&lu->lock);
	if (check_descriptors(task, p, len)) {
		for (at = SET_HEADER; at < len; at += SET_DESCRIPTOR) {
			changed |= set_state(
				lu,
				scsi_port_group_find(lu, get_be16(p + at + 2)),
				p[at] & 0x0f, STATUS_EXPLICIT, by);
		}
		changed |= follow(lu, p, len, by);
		if (changed) {
			states_changed(lu, itl);
		}
	}
	pthread_mutex_unlock(&lu->lock);
	return true;
}
