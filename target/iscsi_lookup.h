/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Initiator identifications that cannot be compared on a lane: DNS names,
 * NetBIOS names and MAC addresses. Threads of their own look them up, which
 * may take their time; the login waits for it, nobody else does.
 *
 * - A DNS name matches a peer whose address it resolves to. Names are resolved
 *   forward only: what an address calls itself is for its owner to say.
 * - A NetBIOS name is resolved the same way, so through whatever nsswitch.conf
 *   has (hosts, DNS with its search list, WINS with libnss-winbind).
 * - A MAC address matches a peer for which the neighbour table has it; so only
 *   one on a link of this machine.
 *
 * Answers are kept for ISCSI_LOOKUP_TTL seconds.
 */
#ifndef ISTM_TARGET_ISCSI_LOOKUP_H
#define ISTM_TARGET_ISCSI_LOOKUP_H

#include "target/iscsi_server.h"

struct iscsi_conn;

#define ISCSI_LOOKUP_TTL   30
#define ISCSI_LOOKUP_VALUE 256

/* Which of these identifications are the peer's? */
struct iscsi_lookup {
	struct msg msg;
	struct list_head link; /* of those that wait for a thread */
	struct lane *lane;
	uint64_t conn_id;
	struct sockaddr_storage peer;
	size_t num;
	struct iscsi_lookup_id {
		enum iscsi_id_method method;
		bool matched;
		char value[ISCSI_LOOKUP_VALUE];
	} ids[];
};

static inline bool iscsi_lookup_needed(enum iscsi_id_method method)
{
	return method == ISCSI_ID_DNS || method == ISCSI_ID_NETBIOS ||
	       method == ISCSI_ID_MAC;
}

/*
 * Lanes: ask for the identifications of one configuration, or with @conf NULL
 * of all targets. The answer becomes @conn's lookup and the login goes on.
 * @return 0; ENOENT when there is nothing to look up; EAGAIN when too many
 *         look-ups wait; ENOMEM
 */
int iscsi_lookup_start(struct iscsi_conn *conn, const struct iscsi_conf *conf);

/* Main thread. */
struct iscsi_resolver *iscsi_resolver_create(void);
/* Does not wait for a look-up under way; its answer goes nowhere. */
void iscsi_resolver_stop(struct iscsi_resolver *resolver);

/* Parse 12 hexadecimal digits with or without separators. */
bool iscsi_mac_parse(const char *text, uint8_t mac[6]);

/* Does the neighbour table have this address at that MAC? Blocks briefly. */
bool iscsi_neighbour(const struct sockaddr_storage *addr, const uint8_t mac[6]);

#endif /* ISTM_TARGET_ISCSI_LOOKUP_H */
