/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * PERSISTENT RESERVE OUT (SPC-4 5.13.7 to 5.13.11, 6.16).
 */
#include <strings.h>

#include "target/scsi_commands.h"
#include "target/scsi_pr.h"

enum pr_action {
	PR_REGISTER,
	PR_RESERVE,
	PR_RELEASE,
	PR_CLEAR,
	PR_PREEMPT,
	PR_PREEMPT_AND_ABORT,
	PR_REGISTER_AND_IGNORE,
	PR_REGISTER_AND_MOVE,
};

#define PARAMETER_LIST 24
#define FLAG_APTPL     0x01
#define FLAG_ALL_TG_PT 0x04
#define FLAG_SPEC_I_PT 0x08
#define MOVE_UNREG     0x02

/* One command. Its functions run with the unit's lock held, set the task's
 * status and say whether anything has changed. */
struct pr_command {
	struct scsi_task *task;
	struct scsi_lu *lu;
	struct scsi_itl *itl;
	struct scsi_registration *own; /* of this nexus, or NULL */
	const uint8_t *p;
	size_t len;
	uint64_t key, action_key;
	uint8_t type;
};

static bool pr_conflict(struct pr_command *c)
{
	scsi_log(3, "disk %d: %s from %s: key %016llx conflicts",
		 (int)c->lu->config.index, c->task->op->name,
		 c->task->nexus->initiator_name, (unsigned long long)c->key);
	c->task->status = SCSI_RESERVATION_CONFLICT;
	return false;
}

static bool pr_invalid(struct pr_command *c, uint16_t byte, int bit)
{
	scsi_fail_parameter(c->task, byte, bit);
	return false;
}

static bool pr_no_resources(struct pr_command *c)
{
	scsi_fail(c->task, SENSE_ILLEGAL_REQUEST, ASC_REGISTRATION_RESOURCES);
	return false;
}

/* SCOPE and TYPE of the CDB: the unit, and one that there is. */
static bool check_type(struct scsi_task *task)
{
	uint8_t type = task->cdb[2] & 0x0f;

	if (task->cdb[2] >> 4 != 0) {
		return scsi_refuse_cdb(task, 2, 7);
	}
	if (!scsi_pr_is_type(type)) {
		return scsi_refuse_cdb(task, 2, 3);
	}
	return true;
}

/* ---- registering (5.13.7) ---- */

/* The target ports that a registration is for: with ALL_TG_PT all that are
 * known now, each as if by a command of its own (6.16.3). */
static unsigned target_ports(const struct pr_command *c,
			     uint16_t ports[SCSI_MAX_PORTS])
{
	unsigned i;

	if (!(c->p[20] & FLAG_ALL_TG_PT)) {
		ports[0] = c->task->nexus->port;
		return 1;
	}
	for (i = 0; i < c->lu->num_groups; i++) {
		ports[i] = c->lu->groups[i].number;
	}
	return i;
}

/* An initiator port is registered at the target ports where it is not yet.
 * @return false when there is no room */
static bool register_port(struct pr_command *c, struct scsi_pr_port port)
{
	uint16_t ports[SCSI_MAX_PORTS];
	unsigned i, n = target_ports(c, ports);

	for (i = 0; i < n; i++) {
		struct scsi_registration *reg;

		port.port = ports[i];
		reg = scsi_pr_find_port(c->lu, &port);
		if (reg == NULL) {
			reg = scsi_pr_add(c->lu, &port, c->action_key);
		}
		if (reg == NULL) {
			return false;
		}
	}
	return true;
}

/*
 * A registration goes. If it held the reservation, that goes too, and those
 * who stay are told where the type is one of registrants (5.13.11.2.2).
 */
static void unregister(struct pr_command *c, struct scsi_registration *reg)
{
	struct scsi_lu *lu = c->lu;
	bool held = scsi_pr_holds(lu, reg);
	uint8_t type = lu->pr.type;

	scsi_pr_remove(lu, reg);
	if (!held || (scsi_pr_all_registrants(type) && lu->pr.count != 0)) {
		return;
	}
	scsi_pr_clear_reservation(lu);
	if (scsi_pr_registrants(type)) {
		scsi_pr_tell_all(lu, c->itl, SCSI_UA_RES_RELEASED);
	}
}

/* SPEC_I_PT: the initiator ports listed after the header are registered with
 * the same key, all or none. */
static bool check_listed_ports(struct pr_command *c, size_t *count)
{
	size_t at = PARAMETER_LIST + 4, end, used;
	struct scsi_transport_id id;

	if (c->len < at) {
		return pr_invalid(c, PARAMETER_LIST, 7);
	}
	end = get_be32(c->p + PARAMETER_LIST);
	if (end > c->len - at) {
		scsi_fail(c->task, SENSE_ILLEGAL_REQUEST,
			  ASC_PARAMETER_LIST_LENGTH);
		return false;
	}
	end += at;
	for (; at < end; at += used, ++*count) {
		used = scsi_transport_id_parse(c->p + at, end - at, &id);
		if (used == 0) {
			return pr_invalid(c, (uint16_t)at, 7);
		}
	}
	return true;
}

static bool register_listed_ports(struct pr_command *c)
{
	size_t at = PARAMETER_LIST + 4;
	size_t end = at + get_be32(c->p + PARAMETER_LIST);
	struct scsi_transport_id id;

	while (at < end) {
		struct scsi_pr_port port = scsi_pr_port_of(c->task->nexus);

		at += scsi_transport_id_parse(c->p + at, end - at, &id);
		port.initiator = id.initiator;
		port.isid = id.isid;
		port.any_isid = id.any_isid;
		if (!register_port(c, port)) {
			return pr_no_resources(c);
		}
	}
	return true;
}

static bool register_new(struct pr_command *c, bool listed)
{
	uint16_t ports[SCSI_MAX_PORTS];
	size_t count = 1;

	if (listed && !check_listed_ports(c, &count)) {
		return false;
	}
	if (c->lu->pr.count + count * target_ports(c, ports) >
	    SCSI_MAX_REGISTRATIONS) {
		return pr_no_resources(c);
	}
	if (!register_port(c, scsi_pr_port_of(c->task->nexus))) {
		return pr_no_resources(c);
	}
	return !listed || register_listed_ports(c);
}

static bool pr_register(struct pr_command *c, bool ignore)
{
	bool listed = c->p[20] & FLAG_SPEC_I_PT;

	/* 6.16.3: only a new registration may list ports, and REGISTER AND
	 * IGNORE EXISTING KEY never. */
	if (listed && (ignore || c->own != NULL)) {
		return pr_invalid(c, 20, 3);
	}
	if ((c->p[20] & FLAG_APTPL) && c->lu->store == NULL) {
		return pr_invalid(c, 20, 0);
	}
	if (!ignore && c->key != (c->own != NULL ? c->own->key : 0)) {
		return pr_conflict(c);
	}
	if (c->own == NULL) {
		if (c->action_key == 0) {
			return false; /* nothing to do, GOOD */
		}
		if (!register_new(c, listed)) {
			return false;
		}
	} else if (c->action_key == 0) {
		unregister(c, c->own);
	} else {
		c->own->key = c->action_key;
	}
	c->lu->pr.aptpl = c->p[20] & FLAG_APTPL;
	c->lu->pr.generation++;
	return true;
}

/* ---- reserving and releasing (5.13.9, 5.13.11.2) ---- */

static bool pr_reserve(struct pr_command *c)
{
	struct scsi_pr *pr = &c->lu->pr;

	if (pr->type != 0) {
		if (scsi_pr_holds(c->lu, c->own) && pr->type == c->type) {
			return false; /* it is so already: GOOD */
		}
		return pr_conflict(c);
	}
	pr->type = c->type;
	pr->holder = scsi_pr_all_registrants(c->type) ? NULL : c->own;
	return true;
}

static bool pr_release(struct pr_command *c)
{
	uint8_t type = c->lu->pr.type;

	if (!scsi_pr_holds(c->lu, c->own)) {
		return false; /* nothing of its own to release: GOOD */
	}
	if (type != c->type) {
		scsi_fail(c->task, SENSE_ILLEGAL_REQUEST, ASC_INVALID_RELEASE);
		return false;
	}
	scsi_pr_clear_reservation(c->lu);
	if (scsi_pr_registrants(type)) {
		scsi_pr_tell_all(c->lu, c->itl, SCSI_UA_RES_RELEASED);
	}
	return true;
}

static bool pr_clear(struct pr_command *c)
{
	scsi_pr_tell_all(c->lu, c->itl, SCSI_UA_RES_PREEMPTED);
	scsi_pr_free(c->lu);
	scsi_pr_clear_reservation(c->lu);
	c->own = NULL;
	c->lu->pr.generation++;
	return true;
}

/* ---- preempting (5.13.11.2.4, .6) ---- */

/* @return false: that could not be arranged, and nothing has been done */
static bool abort_preempted(struct pr_command *c)
{
	struct scsi_nexus *nexus = c->task->nexus;
	struct scsi_nexus_set *set;

	if (nexus->abort_nexuses == NULL) {
		return true;
	}
	set = scsi_pr_nexuses(c->lu, c->action_key, c->own);
	if (set == NULL ||
	    !nexus->abort_nexuses(set, c->lu, c->task, nexus->private_data)) {
		scsi_nexus_set_free(set);
		scsi_log(1, "disk %d: no memory for %s from %s",
			 (int)c->lu->config.index, c->task->op->name,
			 nexus->initiator_name);
		c->task->status = SCSI_BUSY;
		return false;
	}
	c->task->waits++;
	c->task->preempts = true;
	return true;
}

static bool is_registered(const struct scsi_lu *lu, uint64_t key)
{
	const struct scsi_registration *reg = lu->pr.registrations;

	while (reg != NULL && reg->key != key) {
		reg = reg->next;
	}
	return reg != NULL;
}

/* Remove the registrations with the action key, or all of them for key 0; the
 * own one with @own only. */
static void preempt_registrations(struct pr_command *c, bool own)
{
	struct scsi_registration *reg, *next;

	for (reg = c->lu->pr.registrations; reg != NULL; reg = next) {
		next = reg->next;
		if ((c->action_key != 0 && reg->key != c->action_key) ||
		    (reg == c->own && !own)) {
			continue;
		}
		scsi_pr_tell(c->lu, reg, c->itl, SCSI_UA_REG_PREEMPTED);
		if (reg == c->own) {
			c->own = NULL;
		}
		scsi_pr_remove(c->lu, reg);
	}
}

/* The reservation is taken over, with a type that may be another. */
static void preempt_reservation(struct pr_command *c)
{
	struct scsi_pr *pr = &c->lu->pr;
	uint8_t before = pr->type;

	preempt_registrations(c, false);
	pr->type = c->type;
	pr->holder = scsi_pr_all_registrants(c->type) ? NULL : c->own;
	if (before != c->type) {
		scsi_pr_tell_all(c->lu, c->itl, SCSI_UA_RES_RELEASED);
	}
}

static bool pr_preempt(struct pr_command *c)
{
	struct scsi_pr *pr = &c->lu->pr;
	bool all = scsi_pr_all_registrants(pr->type);
	bool reservation =
		all ? c->action_key == 0
		    : pr->type != 0 && pr->holder->key == c->action_key;

	if (c->action_key == 0 && !all) {
		return pr_invalid(c, 8, 7);
	}
	if (reservation && !check_type(c->task)) {
		return false;
	}
	if (!reservation && !is_registered(c->lu, c->action_key)) {
		return pr_conflict(c);
	}
	if (c->task->op->action == PR_PREEMPT_AND_ABORT &&
	    !abort_preempted(c)) {
		return false;
	}
	/* 5.13.11.2.5: with its own key the nexus's registration goes too,
	 * unless that holds the reservation, as all do. */
	if (reservation) {
		preempt_reservation(c);
	} else {
		preempt_registrations(c, !all);
	}
	pr->generation++;
	return true;
}

/* ---- moving (5.13.8) ---- */

/* The destination: an initiator port at this target, by the relative target
 * port of one of its portal groups. */
static bool move_destination(struct pr_command *c, struct scsi_transport_id *id,
			     struct scsi_pr_port *port)
{
	uint32_t size = get_be32(c->p + 20);

	if (size < 24 || size % 4 != 0 || size > c->len - PARAMETER_LIST ||
	    scsi_transport_id_parse(c->p + PARAMETER_LIST, size, id) != size) {
		return pr_invalid(c, PARAMETER_LIST, 7);
	}
	*port = (struct scsi_pr_port){
		.initiator = id->initiator,
		.isid = id->isid,
		.any_isid = id->any_isid,
		.target = c->task->nexus->target_name,
		.port = get_be16(c->p + 18),
	};
	/* 5.13.8: a port that the target has */
	if (scsi_port_group_find(c->lu, port->port) == NULL) {
		return pr_invalid(c, 18, 7);
	}
	return true;
}

static bool pr_move(struct pr_command *c)
{
	const struct scsi_nexus *nexus = c->task->nexus;
	struct scsi_registration *to;
	struct scsi_transport_id id;
	struct scsi_pr_port port;
	struct scsi_pr *pr = &c->lu->pr;

	if (!scsi_pr_holds(c->lu, c->own) ||
	    scsi_pr_all_registrants(pr->type)) {
		return pr_conflict(c);
	}
	if (c->action_key == 0) {
		return pr_invalid(c, 8, 7);
	}
	if ((c->p[17] & FLAG_APTPL) && c->lu->store == NULL) {
		return pr_invalid(c, 17, 0);
	}
	if (!move_destination(c, &id, &port)) {
		return false;
	}
	if (strcasecmp(port.initiator, nexus->initiator_name) == 0 &&
	    (port.any_isid || memcmp(port.isid, nexus->isid, 6) == 0) &&
	    port.port == nexus->port) {
		return pr_invalid(c, PARAMETER_LIST, 7); /* to itself */
	}
	to = scsi_pr_find_port(c->lu, &port);
	if (to == NULL) {
		to = scsi_pr_add(c->lu, &port, c->action_key);
		if (to == NULL) {
			return pr_no_resources(c);
		}
	} else if (to == c->own) {
		return pr_invalid(c, PARAMETER_LIST, 7);
	}
	to->key = c->action_key;
	pr->holder = to;
	if (c->p[17] & MOVE_UNREG) {
		scsi_pr_remove(c->lu, c->own);
		c->own = NULL;
	}
	pr->aptpl = c->p[17] & FLAG_APTPL;
	pr->generation++;
	return true;
}

/* ---- the command ---- */

bool scsi_pr_out_prepare(struct scsi_task *task)
{
	uint32_t length = get_be32(task->cdb + 5);
	int8_t action = task->op->action;

	if (scsi_refuse_beside_reserve(task)) {
		return false;
	}
	/* PREEMPT has a type only where there is a reservation to preempt. */
	if ((action == PR_RESERVE || action == PR_RELEASE) &&
	    !check_type(task)) {
		return false;
	}
	if (length < PARAMETER_LIST || length > SCSI_MAX_PARAMETER) {
		return scsi_refuse(task, SENSE_ILLEGAL_REQUEST,
				   ASC_PARAMETER_LIST_LENGTH);
	}
	return scsi_prepare_list(task, length);
}

/* 6.16.2: 24 bytes exactly, but for ports listed or moved to. */
static bool check_length(struct pr_command *c)
{
	int8_t action = c->task->op->action;
	bool longer = action == PR_REGISTER_AND_MOVE ||
		      (c->len > 20 && (c->p[20] & FLAG_SPEC_I_PT));

	if (c->len < PARAMETER_LIST || c->len != c->task->length ||
	    (!longer && c->len != PARAMETER_LIST)) {
		scsi_fail(c->task, SENSE_ILLEGAL_REQUEST,
			  ASC_PARAMETER_LIST_LENGTH);
		return false;
	}
	/* Elsewhere the flags have no meaning and are reserved. */
	if (action != PR_REGISTER && action != PR_REGISTER_AND_IGNORE &&
	    action != PR_REGISTER_AND_MOVE && (c->p[20] & FLAG_SPEC_I_PT)) {
		return pr_invalid(c, 20, 3);
	}
	return true;
}

static bool run(struct pr_command *c)
{
	int8_t action = c->task->op->action;

	if (action == PR_REGISTER || action == PR_REGISTER_AND_IGNORE) {
		return pr_register(c, action == PR_REGISTER_AND_IGNORE);
	}
	/* All others are for registered nexuses that know their key. */
	if (c->own == NULL || c->own->key != c->key) {
		return pr_conflict(c);
	}
	switch (action) {
	case PR_RESERVE:
		return pr_reserve(c);
	case PR_RELEASE:
		return pr_release(c);
	case PR_CLEAR:
		return pr_clear(c);
	case PR_REGISTER_AND_MOVE:
		return pr_move(c);
	default:
		return pr_preempt(c);
	}
}

/* Everyone's rights anew, and the state to stable storage where APTPL asks for
 * it. */
static void changed(struct pr_command *c, bool was_kept)
{
	struct scsi_lu *lu = c->lu;

	scsi_pr_refresh(lu);
	scsi_log(3, "disk %d: %s from %s: %u registrations, type %u",
		 (int)lu->config.index, c->task->op->name,
		 c->task->nexus->initiator_name, lu->pr.count, lu->pr.type);
	if (lu->pr.aptpl || was_kept) {
		scsi_keep(c->task);
	}
}

bool scsi_pr_out(struct scsi_task *task)
{
	struct pr_command c = {.task = task, .lu = task->lu};
	bool was_kept;

	c.itl = scsi_task_itl(task);
	if (c.itl == NULL) {
		return true;
	}
	c.p = scsi_parameters(task, &c.len);
	if (c.p == NULL || !check_length(&c)) {
		return true;
	}
	c.key = get_be64(c.p);
	c.action_key = get_be64(c.p + 8);
	c.type = task->cdb[2] & 0x0f;

	scsi_good(task);
	pthread_mutex_lock(&c.lu->lock);
	c.own = scsi_pr_find(c.lu, c.itl);
	was_kept = c.lu->pr.aptpl;
	if (run(&c)) {
		changed(&c, was_kept);
	}
	pthread_mutex_unlock(&c.lu->lock);
	return task->waits == 0;
}
