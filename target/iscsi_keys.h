/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The keys of RFC 7143 13: one table with type, range, default and rule, and
 * the negotiation that it drives.
 */
#ifndef ISTM_TARGET_ISCSI_KEYS_H
#define ISTM_TARGET_ISCSI_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Operational parameters of a connection and its session. Booleans are 0 or
 * 1 in 32 bits so that the table can address all alike. */
#define ISCSI_LEVEL_RFC7144 2

struct iscsi_params {
	uint32_t header_digest, data_digest; /* CRC32C */
	uint32_t max_connections;
	uint32_t initial_r2t, immediate_data;
	uint32_t initiator_mrdsl; /* the most that we may send in a PDU */
	uint32_t target_mrdsl;	  /* the most that we take */
	uint32_t max_burst, first_burst;
	uint32_t time2wait, time2retain;
	uint32_t max_r2t;
	uint32_t pdu_in_order, seq_in_order;
	uint32_t erl;
	uint32_t task_reporting; /* TASK_REPORTING_* */
	uint32_t protocol_level; /* from 2 on: all of RFC 7144 */
};

/* RFC 7143 13.23 */
#define TASK_REPORTING_RFC3720	     0
#define TASK_REPORTING_RESPONSEFENCE 1
#define TASK_REPORTING_FASTABORT     2

enum iscsi_key_type {
	KEY_BOOL_AND,
	KEY_BOOL_OR,
	KEY_NUM_MIN,
	KEY_NUM_MAX,
	KEY_NUM_DECLARED, /* the sender's own, not answered */
	KEY_LIST,	  /* first value of the offer that we have */
	KEY_TEXT,	  /* a declared string; the caller handles it */
	KEY_NEGOTIATED,	  /* a list that the caller answers (AuthMethod) */
	KEY_OBSOLETE_NO,  /* RFC 3720 markers: always No */
	KEY_OBSOLETE,	  /* and their intervals */
};

/* RFC 7143 13, "Use" */
enum iscsi_key_use {
	USE_IO,	  /* initialize only: login of each connection */
	USE_LO,	  /* leading only: login of a session's first connection */
	USE_FFPO, /* full feature phase only */
	USE_ALL,
	USE_SECURITY, /* in the security negotiation stage only */
};

#define KEY_FROM_INITIATOR 0x1u
#define KEY_FROM_TARGET	   0x2u
#define KEY_NOT_DISCOVERY  0x4u /* irrelevant to a discovery session */

struct iscsi_key {
	const char *name;
	enum iscsi_key_type type;
	enum iscsi_key_use use;
	unsigned flags;
	uint32_t min, max, dflt;
	size_t offset; /* in struct iscsi_params */
	/* KEY_LIST: values by number, ended by NULL */
	const char *const *values;
};

extern const struct iscsi_key iscsi_keys[];
extern const size_t iscsi_num_keys; /* at most 64: they index a bit mask */

/* @return NULL when no standard has such a key */
const struct iscsi_key *iscsi_key_find(const char *name);

/* The RFC's defaults. */
void iscsi_params_default(struct iscsi_params *params);

enum iscsi_key_result {
	KEY_ANSWER, /* send the answer */
	KEY_SILENT, /* a declaration, nothing to send */
	KEY_REJECT, /* answer "Reject", the value is as before */
	KEY_ERROR,  /* a declaration that makes no sense: refuse the login */
};

#define ISCSI_ANSWER_MAX 64

/*
 * Decide on an offered or declared value.
 * @param ours   what we want
 * @param result where the outcome goes
 * @param answer ISCSI_ANSWER_MAX bytes
 */
enum iscsi_key_result iscsi_key_negotiate(const struct iscsi_key *key,
					  const char *value,
					  const struct iscsi_params *ours,
					  struct iscsi_params *result,
					  char *answer);

#endif /* ISTM_TARGET_ISCSI_KEYS_H */
