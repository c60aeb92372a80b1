/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The security stage of login (RFC 7143 12): none, or CHAP, which may be
 * mutual.
 */
#include <stdlib.h>
#include <string.h>

#include "target/iscsi_login.h"

static bool choose_method(struct iscsi_conn *conn, const char *offer,
			  struct iscsi_refusal *refusal)
{
	struct iscsi_login *login = conn->login;
	const char *want = login->chap_needed ? "CHAP" : "None";

	if (login->auth != AUTH_START)
		return iscsi_refuse(refusal, ISCSI_LOGIN_INITIATOR_ERR,
				    "AuthMethod comes too late");
	if (!iscsi_text_list_has(offer, want))
		return iscsi_refuse(refusal, ISCSI_LOGIN_AUTH_FAILED,
				    "it does not offer the authentication "
				    "method %s",
				    want);
	iscsi_text_add(&login->out, "AuthMethod", want);
	login->auth = login->chap_needed ? AUTH_CHAP_A : AUTH_DONE;
	return true;
}

static bool send_challenge(struct iscsi_conn *conn, const char *algs,
			   struct iscsi_refusal *refusal)
{
	struct iscsi_login *login = conn->login;
	char hex[2 * ISCSI_CHAP_DIGEST_MAX + 3];

	if (login->auth != AUTH_CHAP_A)
		return iscsi_refuse(refusal, ISCSI_LOGIN_INITIATOR_ERR,
				    "CHAP_A out of order");
	login->alg = iscsi_chap_choose(algs);
	if (!login->alg)
		return iscsi_refuse(refusal, ISCSI_LOGIN_AUTH_FAILED,
				    "it offers no CHAP algorithm that is "
				    "known here");
	if (!iscsi_chap_challenge(login->alg, &login->chap_id,
				  login->challenge))
		return iscsi_refuse(refusal, ISCSI_LOGIN_TARGET_ERR,
				    "no random numbers for a challenge");
	iscsi_text_hex(login->challenge, login->alg->len, hex);
	iscsi_text_add_number(&login->out, "CHAP_A", login->alg->number);
	iscsi_text_add_number(&login->out, "CHAP_I", login->chap_id);
	iscsi_text_add(&login->out, "CHAP_C", hex);
	login->auth = AUTH_CHAP_R;
	return true;
}

/* The initiator wants to know that we are who we say. */
static bool answer_challenge(struct iscsi_conn *conn, const char *id_text,
			     const char *challenge_text,
			     struct iscsi_refusal *refusal)
{
	struct iscsi_login *login = conn->login;
	const struct iscsi_conf *conf = login->conf;
	uint8_t challenge[ISCSI_CHAP_CHALLENGE_MAX];
	uint8_t response[ISCSI_CHAP_DIGEST_MAX];
	char hex[2 * ISCSI_CHAP_DIGEST_MAX + 3];
	uint32_t id;
	int len;

	if (!conf->reverse_chap || !conf->reverse_secret[0])
		return iscsi_refuse(refusal, ISCSI_LOGIN_AUTH_FAILED,
				    "it asks for mutual CHAP, which this "
				    "target has no secret for");
	/* 12.1.3: one secret for both directions can be played back. */
	if (strcmp(conf->chap_secret, conf->reverse_secret) == 0)
		return iscsi_refuse(refusal, ISCSI_LOGIN_AUTH_FAILED,
				    "the target has the same secret in both "
				    "directions");
	len = iscsi_text_binary(challenge_text, challenge, sizeof(challenge));
	if (len < 0 || !iscsi_text_number(id_text, &id) || id > 255)
		return iscsi_refuse(refusal, ISCSI_LOGIN_INITIATOR_ERR,
				    "malformed CHAP_I or CHAP_C");
	/* 12.1.3: a challenge of ours that comes back is a reflection. */
	if ((size_t)len == login->alg->len &&
	    memcmp(challenge, login->challenge, login->alg->len) == 0)
		return iscsi_refuse(refusal, ISCSI_LOGIN_AUTH_FAILED,
				    "its CHAP challenge is our own");
	if (!iscsi_chap_response(login->alg, (uint8_t)id, conf->reverse_secret,
				 challenge, (size_t)len, response))
		return iscsi_refuse(refusal, ISCSI_LOGIN_TARGET_ERR,
				    "the CHAP digest %s is not available",
				    login->alg->name);
	iscsi_text_hex(response, login->alg->len, hex);
	iscsi_text_add(&login->out, "CHAP_N", conf->reverse_user);
	iscsi_text_add(&login->out, "CHAP_R", hex);
	return true;
}

/* What the initiator has answered to the challenge. */
struct answer {
	const char *name;
	uint8_t response[ISCSI_CHAP_DIGEST_MAX];
	bool sound;	/* of the right length */
	bool no_digest; /* it could not be checked */
};

/* Which of name and secret is wrong is nobody's business. */
static bool matches(const struct iscsi_login *login,
		    const struct iscsi_conf *conf, struct answer *answer)
{
	uint8_t expected[ISCSI_CHAP_DIGEST_MAX];

	if (!iscsi_chap_response(login->alg, login->chap_id, conf->chap_secret,
				 login->challenge, login->alg->len, expected)) {
		answer->no_digest = true;
		return false;
	}
	return answer->sound &&
	       iscsi_chap_equal(answer->response, expected, login->alg->len) &&
	       strcmp(answer->name, conf->chap_user) == 0 &&
	       conf->chap_secret[0];
}

/* Targets whose names a discovery session may use are few: those that admit
 * the initiator and have this name. */
#define CANDIDATES 64

/* A discovery session is who one of the targets that it may use says. */
static bool matches_any(struct iscsi_conn *conn, struct answer *answer)
{
	struct iscsi_server *server = conn->server;
	struct iscsi_login *login = conn->login;
	struct iscsi_conf *conf[CANDIDATES];
	struct list_head *pos;
	size_t num = 0;

	pthread_mutex_lock(&server->lock);
	list_for_each (pos, &server->tgts) {
		struct iscsi_tgt *tgt = list_entry(pos, struct iscsi_tgt, link);

		if (num < CANDIDATES && tgt->conf->chap &&
		    strcmp(tgt->conf->chap_user, answer->name) == 0 &&
		    iscsi_conf_visible(conn, tgt->conf))
			conf[num++] = iscsi_conf_ref(tgt->conf);
	}
	pthread_mutex_unlock(&server->lock);
	for (size_t i = 0; i < num; i++) {
		if (!login->conf && matches(login, conf[i], answer))
			login->conf = conf[i];
		else
			iscsi_conf_unref(conf[i]);
	}
	return login->conf != NULL;
}

static bool check_response(struct iscsi_conn *conn, const char *name,
			   const char *response_text,
			   struct iscsi_refusal *refusal)
{
	struct iscsi_login *login = conn->login;
	const char *id = iscsi_login_value(login, "CHAP_I");
	const char *challenge = iscsi_login_value(login, "CHAP_C");
	struct answer answer = {.name = name};

	if (login->auth != AUTH_CHAP_R)
		return iscsi_refuse(refusal, ISCSI_LOGIN_INITIATOR_ERR,
				    "CHAP_N and CHAP_R out of order");
	answer.sound = iscsi_text_binary(response_text, answer.response,
					 sizeof(answer.response)) ==
		       (int)login->alg->len;
	if (!(login->discovery ? matches_any(conn, &answer)
			       : matches(login, login->conf, &answer))) {
		if (answer.no_digest)
			return iscsi_refuse(refusal, ISCSI_LOGIN_TARGET_ERR,
					    "the CHAP digest %s is not "
					    "available",
					    login->alg->name);
		return iscsi_refuse(refusal, ISCSI_LOGIN_AUTH_FAILED,
				    "wrong CHAP name or secret");
	}
	if (id || challenge) {
		if (!id || !challenge)
			return iscsi_refuse(refusal, ISCSI_LOGIN_INITIATOR_ERR,
					    "CHAP_I and CHAP_C belong "
					    "together");
		if (!answer_challenge(conn, id, challenge, refusal))
			return false;
	}
	login->auth = AUTH_DONE;
	conn->session->chap_used = true;
	/* What the session may see follows from that. */
	if (login->discovery)
		conn->session->proven = iscsi_conf_ref(login->conf);
	return true;
}

bool iscsi_auth_step(struct iscsi_conn *conn, struct iscsi_refusal *refusal)
{
	struct iscsi_login *login = conn->login;
	const char *method = iscsi_login_value(login, "AuthMethod");
	const char *algs = iscsi_login_value(login, "CHAP_A");
	const char *name = iscsi_login_value(login, "CHAP_N");
	const char *response = iscsi_login_value(login, "CHAP_R");

	if (method && !choose_method(conn, method, refusal))
		return false;
	if (algs && !send_challenge(conn, algs, refusal))
		return false;
	if (name || response) {
		if (!name || !response)
			return iscsi_refuse(refusal, ISCSI_LOGIN_MISSING_PARAM,
					    "CHAP_N and CHAP_R belong "
					    "together");
		return check_response(conn, name, response, refusal);
	}
	return true;
}
