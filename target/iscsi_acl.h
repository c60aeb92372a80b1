/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Who may use a target: the list of initiator identifications. A session
 * remembers which of them admitted it, and ends when that one is taken away
 * (MS-ISTM 3.21.4.42), whether or not another would do.
 *
 * IQNs compare without regard to case, addresses as addresses. What has to be
 * looked up (DNS, NetBIOS, MAC) counts when the login's look-up found it to be
 * the peer's: see iscsi_lookup.h.
 */
#ifndef ISTM_TARGET_ISCSI_ACL_H
#define ISTM_TARGET_ISCSI_ACL_H

#include <stdbool.h>

#include "target/iscsi_server.h"

/* Main thread: parse @id into @out; value is copied. @return 0 or errno;
 * EINVAL: an address that is none, which then matches nobody. */
int iscsi_acl_parse(const struct iscsi_id *id, struct iscsi_acl_id *out);

/* Main thread: for the functions below, once the list is complete, so that they
 * do not search it (iscsi_conf.id_first). @return 0 or ENOMEM */
int iscsi_acl_index(struct iscsi_conf *conf);

/* Any thread; the first entry that fits. @param initiator InitiatorName in
 * lower case
 * @param lookup what the session's look-up found, or NULL */
struct iscsi_lookup;
const struct iscsi_acl_id *iscsi_acl_find(const struct iscsi_conf *conf,
					  const char *initiator,
					  const struct sockaddr_storage *peer,
					  const struct iscsi_lookup *lookup);
bool iscsi_acl_check(const struct iscsi_conf *conf, const char *initiator,
		     const struct sockaddr_storage *peer,
		     const struct iscsi_lookup *lookup);
/* Does the list still have the identification? */
bool iscsi_acl_has(const struct iscsi_conf *conf,
		   const struct iscsi_acl_id *id);

/* Lower case, as iSCSI names compare (RFC 7143 4.2.7.2); ASCII only: names of
 * initiators beyond it have been through stringprep. @return false when it is
 * no iSCSI name */
bool iscsi_name_normalize(const char *name, char out[ISCSI_NAME_MAX + 1]);

#endif /* ISTM_TARGET_ISCSI_ACL_H */
