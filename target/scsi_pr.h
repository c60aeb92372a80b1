/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Persistent reservations: what their files share. Everything here is called
 * with the unit's lock held.
 */
#ifndef ISTM_TARGET_SCSI_PR_H
#define ISTM_TARGET_SCSI_PR_H

#include "target/scsi_priv.h"

#define PR_WRITE_EXCLUSIVE     1
#define PR_EXCLUSIVE_ACCESS    3
#define PR_WRITE_EXCLUSIVE_RO  5
#define PR_EXCLUSIVE_ACCESS_RO 6
#define PR_WRITE_EXCLUSIVE_AR  7
#define PR_EXCLUSIVE_ACCESS_AR 8

#define PR_NAME_MAX 223 /* of initiators and targets: RFC 7143 4.2.7.1 */

static inline bool scsi_pr_is_type(uint32_t type)
{
	return type == PR_WRITE_EXCLUSIVE || type == PR_EXCLUSIVE_ACCESS ||
	       (type >= PR_WRITE_EXCLUSIVE_RO &&
		type <= PR_EXCLUSIVE_ACCESS_AR);
}

/* TransportID of iSCSI (SPC-4 7.6.4.6) */
struct scsi_transport_id {
	char initiator[PR_NAME_MAX + 1];
	uint8_t isid[6];
	bool any_isid; /* format 00b: no ISID */
};

/* Bytes used, 0 when it is none of ours or damaged. */
size_t scsi_transport_id_parse(const uint8_t *p, size_t len,
			       struct scsi_transport_id *id);
/* Bytes written into @p, at most PR_TRANSPORT_ID_MAX. */
#define PR_TRANSPORT_ID_MAX 248
size_t scsi_transport_id_build(const struct scsi_registration *reg, uint8_t *p);

/* Who a registration is for. */
struct scsi_pr_port {
	const char *initiator;
	const uint8_t *isid;
	bool any_isid;
	const char *target;
	uint16_t port;
};

/* That of a nexus. */
struct scsi_pr_port scsi_pr_port_of(const struct scsi_nexus *nexus);
/* The registration of exactly that port; NULL if there is none. */
struct scsi_registration *scsi_pr_find_port(const struct scsi_lu *lu,
					    const struct scsi_pr_port *port);
/* NULL: out of memory or too many. */
struct scsi_registration *scsi_pr_add(struct scsi_lu *lu,
				      const struct scsi_pr_port *port,
				      uint64_t key);
void scsi_pr_remove(struct scsi_lu *lu, struct scsi_registration *reg);
/* Raise @ua on the nexuses of one registration. */
void scsi_pr_tell(struct scsi_lu *lu, const struct scsi_registration *reg,
		  const struct scsi_itl *except, enum scsi_ua ua);
/* …and of all registrations. */
void scsi_pr_tell_all(struct scsi_lu *lu, const struct scsi_itl *except,
		      enum scsi_ua ua);
bool scsi_pr_holds(const struct scsi_lu *lu,
		   const struct scsi_registration *reg);
/* The nexuses whose registrations have that key; 0: all but @own's. NULL: out
 * of memory. */
struct scsi_nexus_set *scsi_pr_nexuses(const struct scsi_lu *lu, uint64_t key,
				       const struct scsi_registration *own);
/* The reservation is over; nobody is told. */
void scsi_pr_clear_reservation(struct scsi_lu *lu);

/* scsi_pr_store.c: the state as it is kept. @buf NULL: only how long it is. */
size_t scsi_pr_pack(const struct scsi_lu *lu, uint8_t *buf);
/* Into a unit without registrations. @return false: damaged, and the unit has
 * some of it */
bool scsi_pr_unpack(struct scsi_lu *lu, const uint8_t *state, size_t len);

#endif /* ISTM_TARGET_SCSI_PR_H */
