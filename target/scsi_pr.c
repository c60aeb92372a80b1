/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Persistent reservations: registrations, and what they take from whom
 * (SPC-4 5.13). Each nexus on a unit carries the rights that it is denied, so
 * that a command's check is one atomic load; whatever changes reservations
 * recomputes them all.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "target/scsi_pr.h"

/* ---- TransportIDs ---- */

static bool parse_isid(const char *hex, uint8_t isid[6])
{
	unsigned i;

	for (i = 0; i < 6; i++) {
		unsigned value;

		if (!isxdigit((unsigned char)hex[2 * i]) ||
		    !isxdigit((unsigned char)hex[2 * i + 1]) ||
		    sscanf(hex + 2 * i, "%2x", &value) != 1) {
			return false;
		}
		isid[i] = (uint8_t)value;
	}
	return hex[12] == '\0';
}

size_t scsi_transport_id_parse(const uint8_t *p, size_t len,
			       struct scsi_transport_id *id)
{
	char text[256];
	size_t size;
	char *sep;

	/* PROTOCOL IDENTIFIER 5, FORMAT CODE 00b or 01b; at least 24 bytes, a
	 * multiple of four, null-terminated */
	if (len < 24 || (p[0] & 0x3f) != 0x05 || (p[0] & 0xc0) > 0x40) {
		return 0;
	}
	size = get_be16(p + 2);
	if (size < 20 || size % 4 != 0 || size > len - 4 ||
	    size > sizeof(text) || p[4 + size - 1] != '\0') {
		return 0;
	}
	memcpy(text, p + 4, size);
	memset(id, 0, sizeof(*id));
	id->any_isid = (p[0] & 0xc0) == 0;
	if (!id->any_isid) {
		sep = strstr(text, ",i,0x");
		if (sep == NULL || !parse_isid(sep + 5, id->isid)) {
			return 0;
		}
		*sep = '\0';
	}
	if (text[0] == '\0' || strlen(text) >= sizeof(id->initiator)) {
		return 0;
	}
	strcpy(id->initiator, text);
	return 4 + size;
}

size_t scsi_transport_id_build(const struct scsi_registration *reg, uint8_t *p)
{
	char text[PR_TRANSPORT_ID_MAX - 4] = {0};
	size_t size;
	int n;

	if (reg->any_isid) {
		n = snprintf(text, sizeof(text), "%s", reg->initiator);
	} else {
		n = snprintf(text, sizeof(text),
			     "%s,i,0x%02x%02x%02x%02x%02x%02x", reg->initiator,
			     reg->isid[0], reg->isid[1], reg->isid[2],
			     reg->isid[3], reg->isid[4], reg->isid[5]);
	}
	size = ((size_t)n + 4) & ~(size_t)3;
	if (size < 20) {
		size = 20;
	}
	p[0] = reg->any_isid ? 0x05 : 0x45;
	p[1] = 0;
	put_be16(p + 2, (uint16_t)size);
	memcpy(p + 4, text, size);
	return 4 + size;
}

/* ---- registrations ---- */

struct scsi_pr_port scsi_pr_port_of(const struct scsi_nexus *nexus)
{
	return (struct scsi_pr_port){
		.initiator = nexus->initiator_name,
		.isid = nexus->isid,
		.target = nexus->target_name,
		.port = nexus->port,
	};
}

static struct scsi_pr_port port_of(const struct scsi_registration *reg)
{
	return (struct scsi_pr_port){
		.initiator = reg->initiator,
		.isid = reg->isid,
		.any_isid = reg->any_isid,
		.target = reg->target,
		.port = reg->port,
	};
}

/* Is what has been registered for @port for @other, too? */
static bool covers(const struct scsi_pr_port *port,
		   const struct scsi_pr_port *other)
{
	return port->port == other->port &&
	       (port->any_isid || (!other->any_isid &&
				   memcmp(port->isid, other->isid, 6) == 0)) &&
	       strcasecmp(port->initiator, other->initiator) == 0 &&
	       strcasecmp(port->target, other->target) == 0;
}

struct scsi_registration *scsi_pr_find_port(const struct scsi_lu *lu,
					    const struct scsi_pr_port *port)
{
	struct scsi_registration *reg;

	for (reg = lu->pr.registrations; reg != NULL; reg = reg->next) {
		struct scsi_pr_port of = port_of(reg);

		if (covers(&of, port)) {
			return reg;
		}
	}
	return NULL;
}

struct scsi_registration *scsi_pr_find(const struct scsi_lu *lu,
				       const struct scsi_itl *itl)
{
	struct scsi_pr_port port = scsi_pr_port_of(itl->nexus);

	return scsi_pr_find_port(lu, &port);
}

static void registration_free(struct scsi_registration *reg)
{
	free(reg->initiator);
	free(reg->target);
	free(reg);
}

struct scsi_registration *scsi_pr_add(struct scsi_lu *lu,
				      const struct scsi_pr_port *port,
				      uint64_t key)
{
	struct scsi_registration *reg, **end;

	if (lu->pr.count >= SCSI_MAX_REGISTRATIONS) {
		return NULL;
	}
	reg = calloc(1, sizeof(*reg));
	if (reg == NULL) {
		return NULL;
	}
	reg->key = key;
	reg->any_isid = port->any_isid;
	reg->port = port->port;
	memcpy(reg->isid, port->isid, 6);
	reg->initiator = strdup(port->initiator);
	reg->target = strdup(port->target);
	if (reg->initiator == NULL || reg->target == NULL) {
		registration_free(reg);
		return NULL;
	}
	for (end = &lu->pr.registrations; *end != NULL; end = &(*end)->next) {
	}
	*end = reg;
	lu->pr.count++;
	return reg;
}

void scsi_pr_remove(struct scsi_lu *lu, struct scsi_registration *reg)
{
	struct scsi_registration **at = &lu->pr.registrations;

	while (*at != reg) {
		at = &(*at)->next;
	}
	*at = reg->next;
	lu->pr.count--;
	if (lu->pr.holder == reg) {
		lu->pr.holder = NULL;
	}
	registration_free(reg);
}

void scsi_pr_free(struct scsi_lu *lu)
{
	while (lu->pr.registrations != NULL) {
		scsi_pr_remove(lu, lu->pr.registrations);
	}
}

/* One of any ISID is not that of who has one of its own, which came before. */
static bool is_registration_of(const struct scsi_lu *lu,
			       const struct scsi_registration *reg,
			       const struct scsi_itl *itl)
{
	struct scsi_pr_port of = port_of(reg);
	struct scsi_pr_port port = scsi_pr_port_of(itl->nexus);

	return covers(&of, &port) &&
	       (!reg->any_isid || scsi_pr_find(lu, itl) == reg);
}

void scsi_pr_tell(struct scsi_lu *lu, const struct scsi_registration *reg,
		  const struct scsi_itl *except, enum scsi_ua ua)
{
	struct scsi_itl *itl;

	for (itl = lu->itls; itl != NULL; itl = itl->next) {
		if (itl != except && is_registration_of(lu, reg, itl)) {
			scsi_ua_raise(itl, ua);
		}
	}
}

void scsi_pr_tell_all(struct scsi_lu *lu, const struct scsi_itl *except,
		      enum scsi_ua ua)
{
	struct scsi_itl *itl;

	for (itl = lu->itls; itl != NULL; itl = itl->next) {
		if (itl != except && scsi_pr_find(lu, itl) != NULL) {
			scsi_ua_raise(itl, ua);
		}
	}
}

/* ---- nexuses by their registrations ---- */

/* All registrations as they were: who has one of its own, which is not in it,
 * is not in it by one of any ISID either. */
struct scsi_nexus_set {
	unsigned count;
	struct {
		struct scsi_pr_port port; /* points to isid and behind all */
		uint8_t isid[6];
		bool in;
	} entry[];
};

static const char *pack_name(char **to, const char *name)
{
	size_t size = strlen(name) + 1;
	char *packed = memcpy(*to, name, size);

	*to += size;
	return packed;
}

struct scsi_nexus_set *scsi_pr_nexuses(const struct scsi_lu *lu, uint64_t key,
				       const struct scsi_registration *own)
{
	const struct scsi_registration *reg;
	struct scsi_nexus_set *set;
	size_t names = 0;
	char *to;

	for (reg = lu->pr.registrations; reg != NULL; reg = reg->next) {
		names += strlen(reg->initiator) + strlen(reg->target) + 2;
	}
	set = malloc(sizeof(*set) + lu->pr.count * sizeof(set->entry[0]) +
		     names);
	if (set == NULL) {
		return NULL;
	}
	set->count = 0;
	to = (char *)&set->entry[lu->pr.count];
	for (reg = lu->pr.registrations; reg != NULL; reg = reg->next) {
		unsigned i = set->count++;

		memcpy(set->entry[i].isid, reg->isid, 6);
		set->entry[i].port = port_of(reg);
		set->entry[i].port.isid = set->entry[i].isid;
		set->entry[i].port.initiator = pack_name(&to, reg->initiator);
		set->entry[i].port.target = pack_name(&to, reg->target);
		set->entry[i].in = key != 0 ? reg->key == key : reg != own;
	}
	return set;
}

static bool set_has(const struct scsi_nexus_set *set,
		    const struct scsi_pr_port *port)
{
	unsigned i;

	for (i = 0; i < set->count; i++) {
		if (covers(&set->entry[i].port, port)) {
			return set->entry[i].in;
		}
	}
	return false;
}

bool scsi_nexus_set_has(const struct scsi_nexus_set *set,
			const struct scsi_nexus *nexus)
{
	struct scsi_pr_port port = scsi_pr_port_of(nexus);

	return set_has(set, &port);
}

bool scsi_nexus_set_names(const struct scsi_nexus_set *set,
			  const struct scsi_nexus_name *name)
{
	struct scsi_pr_port port = {
		.initiator = name->initiator,
		.isid = name->isid,
		.target = name->target,
		.port = name->port,
	};

	return set_has(set, &port);
}

void scsi_nexus_set_free(struct scsi_nexus_set *set)
{
	free(set);
}

/* ---- the reservation ---- */

bool scsi_pr_holds(const struct scsi_lu *lu,
		   const struct scsi_registration *reg)
{
	if (lu->pr.type == 0 || reg == NULL) {
		return false;
	}
	return scsi_pr_all_registrants(lu->pr.type) || lu->pr.holder == reg;
}

void scsi_pr_clear_reservation(struct scsi_lu *lu)
{
	lu->pr.type = 0;
	lu->pr.holder = NULL;
}

static unsigned denied_rights(struct scsi_lu *lu, const struct scsi_itl *itl)
{
	const struct scsi_registration *reg = scsi_pr_find(lu, itl);
	unsigned denied = scsi_access_denied(lu, itl);
	bool may;

	if (lu->reserved_by != NULL && lu->reserved_by != itl) {
		denied |= SCSI_NEEDS_LEGACY;
	}
	if (lu->pr.type == 0) {
		return denied;
	}
	/* SPC-4 table 66 */
	may = scsi_pr_registrants(lu->pr.type) ? reg != NULL
					       : scsi_pr_holds(lu, reg);
	if (may) {
		return denied;
	}
	denied |= SCSI_NEEDS_WRITE;
	if (lu->pr.type == PR_EXCLUSIVE_ACCESS ||
	    lu->pr.type == PR_EXCLUSIVE_ACCESS_RO ||
	    lu->pr.type == PR_EXCLUSIVE_ACCESS_AR) {
		denied |= SCSI_NEEDS_READ;
	}
	return denied;
}

void scsi_pr_refresh(struct scsi_lu *lu)
{
	struct scsi_itl *itl;

	for (itl = lu->itls; itl != NULL; itl = itl->next) {
		atomic_store_explicit(&itl->denied, denied_rights(lu, itl),
				      memory_order_release);
	}
}

void scsi_pr_attach(struct scsi_itl *itl)
{
	atomic_store_explicit(&itl->denied, denied_rights(itl->lu, itl),
			      memory_order_release);
}

void scsi_pr_detach(struct scsi_itl *itl)
{
	if (itl->lu->reserved_by == itl) {
		itl->lu->reserved_by = NULL;
		scsi_pr_refresh(itl->lu);
	}
}
