/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The login phase (RFC 7143 6.3): what its parts share.
 */
#ifndef ISTM_TARGET_ISCSI_LOGIN_H
#define ISTM_TARGET_ISCSI_LOGIN_H

#include "target/iscsi_chap.h"
#include "target/iscsi_conn.h"

/* One answer of ours fits into what an initiator takes before it has said
 * how much that is (RFC 7143 13.12). */
#define ISCSI_LOGIN_TEXT_MAX 8192u

enum iscsi_auth_state {
	AUTH_START,  /* no method chosen */
	AUTH_CHAP_A, /* CHAP; algorithms are awaited */
	AUTH_CHAP_R, /* challenge sent; the response is awaited */
	AUTH_DONE,
};

struct iscsi_login {
	bool identified; /* names are known, the target is found */
	bool placed;	 /* it does not belong elsewhere */
	bool discovery;
	bool chap_needed;
	bool declared;	 /* our MaxRecvDataSegmentLength has been sent */
	bool looking_up; /* names of the peer, on another thread */
	bool joined;	 /* is one of its connections */
	uint8_t stage, flags;
	uint32_t itt;
	uint16_t tsih;
	uint64_t seen; /* bit per key in iscsi_keys */
	char target_name[ISCSI_NAME_MAX + 1];
	struct iscsi_params ours, result;
	struct iscsi_conf *conf;
	struct iscsi_text in, out;

	enum iscsi_auth_state auth;
	const struct iscsi_chap_alg *alg;
	uint8_t chap_id;
	uint8_t challenge[ISCSI_CHAP_DIGEST_MAX];
};

/* What one step of the login came to: 0, or a status to refuse with
 * (ISCSI_LOGIN_*), with a reason for the log. */
struct iscsi_refusal {
	uint16_t status;
	char why[192];
};

bool iscsi_refuse(struct iscsi_refusal *refusal, uint16_t status,
		  const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* The text of one whole request; values point into login->in. */
const char *iscsi_login_value(struct iscsi_login *login, const char *key);

/* It asks to join a session that is not there: refused. */
bool iscsi_login_no_session(const struct iscsi_conn *conn,
			    struct iscsi_refusal *refusal);
void iscsi_login_respond(struct iscsi_conn *conn, uint8_t flags,
			 uint16_t status);
void iscsi_login_event(struct iscsi_conn *conn, uint16_t status);
/* To full feature phase (iscsi_login_end.c). conn->waiting: not yet.
 * @return false: refused */
bool iscsi_login_finish(struct iscsi_conn *conn, struct iscsi_refusal *refusal);

/* Security stage. @return false: refused */
bool iscsi_auth_step(struct iscsi_conn *conn, struct iscsi_refusal *refusal);

#endif /* ISTM_TARGET_ISCSI_LOGIN_H */
