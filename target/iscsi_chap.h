/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * CHAP (RFC 7143 12.1.3, RFC 1994): challenges, responses and their check.
 */
#ifndef ISTM_TARGET_ISCSI_CHAP_H
#define ISTM_TARGET_ISCSI_CHAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ISCSI_CHAP_DIGEST_MAX	 32
#define ISCSI_CHAP_CHALLENGE_MAX 1024 /* RFC 7143 12.1.3 */

/* The CHAP_A registry (IANA "PPP Authentication Algorithms"). */
struct iscsi_chap_alg {
	unsigned number; /* CHAP_A */
	const char *name;
	size_t len; /* of response and of the challenges that we send */
};

/*
 * The first algorithm of the initiator's list that we have (RFC 7143 6.2.1).
 * @return NULL when there is none, or the list is malformed
 */
const struct iscsi_chap_alg *iscsi_chap_choose(const char *list);

/*
 * Response = digest(identifier, secret, challenge).
 * @param out ISCSI_CHAP_DIGEST_MAX bytes; alg->len are written
 * @return false when the digest is not available
 */
bool iscsi_chap_response(const struct iscsi_chap_alg *alg, uint8_t id,
			 const char *secret, const uint8_t *challenge,
			 size_t challenge_len, uint8_t *out);

/* An identifier and a challenge of alg->len random bytes. */
bool iscsi_chap_challenge(const struct iscsi_chap_alg *alg, uint8_t *id,
			  uint8_t *challenge);

/* Compare in constant time. */
bool iscsi_chap_equal(const void *a, const void *b, size_t len);

#endif /* ISTM_TARGET_ISCSI_CHAP_H */
