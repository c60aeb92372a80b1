/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What may be a name: of a target, of an iSCSI node (RFC 7143 4.2.7, RFC 3722),
 * of an initiator to be admitted (MS-ISTM 2.2.4.7). Pure functions.
 */
#ifndef ISTM_MODEL_NAMES_H
#define ISTM_MODEL_NAMES_H

#include <stdbool.h>
#include <talloc.h>

#include "target/target.h"

/* IHost::Name: the characters and the length of an iSCSI name, without its
 * structure ("DatabaseTarget", MS-ISTM 4.2). */
bool name_valid_target(const char *name);

/*
 * iqn., eui. or naa. name. The month of an iqn. may have one digit: MS-ISTM
 * 4.5's own example is "iqn.1991-5.com.contoso:…".
 */
bool name_valid_iscsi(const char *name);

/* The form to compare and to put on the wire: lower case (RFC 3722). */
char *name_normalise_iscsi(TALLOC_CTX *mem_ctx, const char *name);

/*
 * The name that Windows gives a new target,
 * iqn.1991-05.com.microsoft:HOST-TARGET-target, in lower case, other characters
 * replaced by dashes. @param attempt 0 first, then a number that is appended
 */
char *name_generate_iqn(TALLOC_CTX *mem_ctx, const char *host,
			const char *target, unsigned attempt);

/*
 * The canonical value of an initiator's identification, by which two
 * spellings compare equal.
 * @return NULL when the syntax is not that of the method
 */
char *name_canonical_id(TALLOC_CTX *mem_ctx, enum iscsi_id_method method,
			const char *value);

/* An IP address in any spelling, with or without brackets, to MS-ISTM's: IPv6
 * in eight groups without "::" and leading zeros (spec/notes 1). */
struct sockaddr_storage;
bool name_parse_address(const char *text, struct sockaddr_storage *addr);
/* "10.0.0.1", "10.0.0.1:3261", "fd00::1", "[fd00::1]:3261"; *@port is 0 where
 * none is given. */
bool name_parse_portal(const char *text, struct sockaddr_storage *addr,
		       uint16_t *port);
char *name_format_address(TALLOC_CTX *mem_ctx,
			  const struct sockaddr_storage *addr);

#endif /* ISTM_MODEL_NAMES_H */
