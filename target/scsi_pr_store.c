/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Persistent reservations through a power loss (SPC-4 5.13.5.1, APTPL): their
 * part of what a unit keeps (scsi_store.c).
 *
 * Big-endian: magic, generation, type, holder's index or ffffffffh, count;
 * then per registration key, flags, port, ISID, and two strings with a
 * 16-bit length before each.
 */
#include <errno.h>
#include <stdlib.h>

#include "target/scsi_pr.h"

#define MAGIC	   0x49535250u /* "ISRP" */
#define HEADER	   20
#define FIXED_PART 18
/* 0002h was ALL_TG_PT, when there was one port; that port is told too. */
#define FLAG_ANY_ISID 0x01

static uint8_t *put_string(uint8_t *p, const char *s)
{
	size_t len = strlen(s);

	put_be16(p, (uint16_t)len);
	memcpy(p + 2, s, len);
	return p + 2 + len;
}

size_t scsi_pr_pack(const struct scsi_lu *lu, uint8_t *buf)
{
	const struct scsi_registration *reg;
	uint32_t holder = UINT32_MAX, i = 0;
	size_t size = HEADER;
	uint8_t *p;

	for (reg = lu->pr.registrations; reg != NULL; reg = reg->next, i++) {
		size += FIXED_PART + 4 + strlen(reg->initiator) +
			strlen(reg->target);
		if (reg == lu->pr.holder) {
			holder = i;
		}
	}
	if (buf == NULL) {
		return size;
	}
	put_be32(buf, MAGIC);
	put_be32(buf + 4, lu->pr.generation);
	put_be32(buf + 8, lu->pr.type);
	put_be32(buf + 12, holder);
	put_be32(buf + 16, lu->pr.count);
	p = buf + HEADER;
	for (reg = lu->pr.registrations; reg != NULL; reg = reg->next) {
		put_be64(p, reg->key);
		put_be16(p + 8, reg->any_isid ? FLAG_ANY_ISID : 0);
		put_be16(p + 10, reg->port);
		memcpy(p + 12, reg->isid, 6);
		p = put_string(p + FIXED_PART, reg->initiator);
		p = put_string(p, reg->target);
	}
	return size;
}

static bool get_string(const uint8_t **p, const uint8_t *end, char *to,
		       size_t size)
{
	size_t len;

	if (end - *p < 2) {
		return false;
	}
	len = get_be16(*p);
	if (len >= size || (size_t)(end - *p - 2) < len) {
		return false;
	}
	memcpy(to, *p + 2, len);
	to[len] = '\0';
	*p += 2 + len;
	return len != 0;
}

static bool unpack_registration(struct scsi_lu *lu, const uint8_t **p,
				const uint8_t *end)
{
	char initiator[PR_NAME_MAX + 1], target[PR_NAME_MAX + 1];
	struct scsi_pr_port port = {.initiator = initiator, .target = target};
	const uint8_t *fixed = *p;
	uint16_t flags;

	if (end - *p < FIXED_PART) {
		return false;
	}
	flags = get_be16(fixed + 8);
	port.any_isid = flags & FLAG_ANY_ISID;
	port.port = get_be16(fixed + 10);
	port.isid = fixed + 12;
	*p += FIXED_PART;
	return get_string(p, end, initiator, sizeof(initiator)) &&
	       get_string(p, end, target, sizeof(target)) &&
	       scsi_pr_add(lu, &port, get_be64(fixed)) != NULL;
}

bool scsi_pr_unpack(struct scsi_lu *lu, const uint8_t *state, size_t len)
{
	const uint8_t *p = state + HEADER, *end = state + len;
	struct scsi_registration *reg;
	uint32_t type, holder, count, i;

	if (len < HEADER || get_be32(state) != MAGIC) {
		return false;
	}
	type = get_be32(state + 8);
	holder = get_be32(state + 12);
	count = get_be32(state + 16);
	if ((type != 0 && !scsi_pr_is_type(type)) ||
	    count > SCSI_MAX_REGISTRATIONS) {
		return false;
	}
	for (i = 0; i < count; i++) {
		if (!unpack_registration(lu, &p, end)) {
			return false;
		}
	}
	for (i = 0, reg = lu->pr.registrations; reg != NULL;
	     reg = reg->next, i++) {
		if (i == holder) {
			lu->pr.holder = reg;
		}
	}
	if (type != 0 &&
	    (count == 0 || (lu->pr.holder == NULL) !=
				   scsi_pr_all_registrants((uint8_t)type))) {
		return false;
	}
	lu->pr.generation = get_be32(state + 4);
	lu->pr.type = (uint8_t)type;
	lu->pr.aptpl = true;
	return p == end;
}
