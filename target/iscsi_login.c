/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The login phase (RFC 7143 6.3, 11.12, 11.13): a dialogue of requests and
 * responses through the security and operational stages.
 */
#include "target/iscsi_login.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "target/iscsi_acl.h"
#include "target/iscsi_lookup.h"

void iscsi_login_free(struct iscsi_login *login)
{
	if (!login)
		return;
	if (login->conf)
		iscsi_conf_unref(login->conf);
	iscsi_text_free(&login->in);
	iscsi_text_free(&login->out);
	free(login);
}

bool iscsi_refuse(struct iscsi_refusal *refusal, uint16_t status,
		  const char *fmt, ...)
{
	va_list ap;

	refusal->status = status;
	va_start(ap, fmt);
	vsnprintf(refusal->why, sizeof(refusal->why), fmt, ap);
	va_end(ap);
	return false;
}

const char *iscsi_login_value(struct iscsi_login *login, const char *name)
{
	struct iscsi_text_iter it = iscsi_text_pairs(&login->in);
	const char *key, *value;

	while (iscsi_text_next(&it, &key, &value) > 0) {
		size_t len = strlen(name);

		if (strncmp(key, name, len) == 0 && key[len] == '=')
			return value;
	}
	return NULL;
}

/* ---- responses ---- */

/* ExpCmdSN and MaxCmdSN are the session's that the connection is to join. */
static void show_numbers(struct iscsi_conn *conn)
{
	struct iscsi_session *session = conn->session;
	const struct iscsi_session *whole;

	if (!conn->login->tsih || conn->login->joined)
		return;
	whole = iscsi_session_find(session, conn->login->tsih);
	if (whole) {
		session->exp_cmdsn = whole->exp_cmdsn;
		session->max_cmdsn = whole->max_cmdsn;
		session->active = whole->active;
	}
}

void iscsi_login_respond(struct iscsi_conn *conn, uint8_t flags,
			 uint16_t status)
{
	struct iscsi_login *login = conn->login;
	struct iscsi_session *session = conn->session;
	struct iscsi_out *out = iscsi_out_new(conn, ISCSI_OP_LOGIN_RSP);

	if (!out)
		return;
	out->bhs[1] = flags;
	memcpy(out->bhs + 8, session->isid, 6);
	put_be16(out->bhs + 14, login->tsih ? login->tsih : session->tsih);
	put_be32(out->bhs + 16, login->itt);
	put_be16(out->bhs + 36, status);
	show_numbers(conn);
	/* A new address is the only thing that a refusal has to say. */
	if (login->out.len && (!status || ISCSI_LOGIN_IS_MOVED(status))) {
		out->owned = login->out.data;
		iscsi_out_data(out, out->owned, (uint32_t)login->out.len);
		memset(&login->out, 0, sizeof(login->out));
	}
	/* 11.13.4: StatSN is there for success only */
	iscsi_out_queue(conn, out, status ? STATSN_NONE : STATSN_NEXT);
}

void iscsi_login_event(struct iscsi_conn *conn, uint16_t status)
{
	struct iscsi_login *login = conn->login;
	struct iscsi_login_event event = {
		.initiator_name = conn->session->initiator,
		.target_name = login->target_name,
		.peer = conn->peer,
		.discovery = login->discovery,
		.accepted = status == ISCSI_LOGIN_SUCCESS,
		.status_class = (uint8_t)(status >> 8),
		.status_detail = (uint8_t)status,
	};

	if (conn->session->initiator[0])
		iscsi_report_login(conn->server, &event);
}

static void login_refused(struct iscsi_conn *conn,
			  const struct iscsi_refusal *refusal)
{
	char who[320];

	iscsi_log(conn->server,
		  ISCSI_LOGIN_IS_MOVED(refusal->status) ? ISCSI_LOG_NOTICE
							: ISCSI_LOG_WARN,
		  "login of %s%s%s %s (status 0x%04x): %s",
		  iscsi_conn_who(conn, who),
		  conn->login->target_name[0] ? " to " : "",
		  conn->login->target_name,
		  ISCSI_LOGIN_IS_MOVED(refusal->status) ? "redirected"
							: "refused",
		  refusal->status, refusal->why);
	iscsi_login_event(conn, refusal->status);
	iscsi_login_respond(conn, 0, refusal->status);
	iscsi_conn_finish(conn);
}

/* ---- the first request ---- */

static bool login_start(struct iscsi_conn *conn, struct iscsi_refusal *refusal)
{
	struct iscsi_session *session = iscsi_session_new(conn->lane);
	struct iscsi_login *login;
	const uint8_t *bhs = conn->hdr;

	if (!session) {
		iscsi_conn_fail(conn, "out of memory for a session");
		return false;
	}
	iscsi_session_enter(session, conn);
	login = calloc(1, sizeof(*login));
	if (!login) {
		iscsi_conn_fail(conn, "out of memory for a login");
		return false;
	}
	conn->login = login;
	memcpy(session->isid, bhs + 8, 6);
	session->tpgt = conn->tpgt;
	session->exp_cmdsn = get_be32(bhs + 24);
	session->max_cmdsn = session->exp_cmdsn - 1;
	conn->statsn = get_be32(bhs + 28);
	conn->cid = get_be16(bhs + 20);
	login->itt = get_be32(bhs + 16);
	login->tsih = get_be16(bhs + 14);
	login->stage = ISCSI_LOGIN_CSG(bhs[1]);
	iscsi_params_default(&login->ours);
	login->ours.immediate_data = 1;
	login->ours.initial_r2t = 0;
	login->ours.max_r2t = ISCSI_MAX_R2T;
	login->ours.max_connections = conn->server->max_connections;
	login->ours.time2wait = 0;
	login->ours.time2retain = 0;
	login->ours.protocol_level = ISCSI_LEVEL_RFC7144;
	/* 11.12.4: ours is version 0 */
	if (bhs[3] > 0)
		return iscsi_refuse(refusal, ISCSI_LOGIN_VERSION,
				    "its lowest version is %u", bhs[3]);
	return true;
}

static bool login_header(struct iscsi_conn *conn, struct iscsi_refusal *refusal)
{
	struct iscsi_login *login = conn->login;
	const uint8_t *bhs = conn->hdr;
	uint8_t flags = bhs[1], csg = ISCSI_LOGIN_CSG(flags),
		nsg = ISCSI_LOGIN_NSG(flags);

	login->flags = flags;
	if (flags & ISCSI_LOGIN_TRANSIT && flags & ISCSI_TEXT_CONTINUE)
		return iscsi_refuse(refusal, ISCSI_LOGIN_INITIATOR_ERR,
				    "T and C bits together");
	if (csg != login->stage || csg > ISCSI_STAGE_OP)
		return iscsi_refuse(refusal, ISCSI_LOGIN_INVALID_REQ,
				    "current stage %u, where %u is due", csg,
				    login->stage);
	if (flags & ISCSI_LOGIN_TRANSIT && (nsg <= csg || nsg == 2))
		return iscsi_refuse(refusal, ISCSI_LOGIN_INVALID_REQ,
				    "next stage %u after stage %u", nsg, csg);
	if (memcmp(bhs + 8, conn->session->isid, 6) != 0 ||
	    get_be16(bhs + 14) != login->tsih ||
	    get_be16(bhs + 20) != conn->cid || get_be32(bhs + 16) != login->itt)
		return iscsi_refuse(refusal, ISCSI_LOGIN_INITIATOR_ERR,
				    "ISID, TSIH, CID or task tag changed");
	return true;
}

bool iscsi_login_no_session(const struct iscsi_conn *conn,
			    struct iscsi_refusal *refusal)
{
	return iscsi_refuse(refusal, ISCSI_LOGIN_NO_SESSION,
			    "there is no session 0x%04x of it in this portal "
			    "group",
			    conn->login->tsih);
}

/* Configuration that login takes from the target. */
static void take_conf(struct iscsi_login *login, struct iscsi_conf *conf)
{
	login->conf = conf;
	login->chap_needed = conf->chap;
	login->ours.target_mrdsl = conf->target_mrdsl;
	login->ours.max_burst = conf->max_burst;
	login->ours.first_burst = conf->first_burst;
}

static bool no_lookup(struct iscsi_refusal *refusal, int error)
{
	return iscsi_refuse(refusal, ISCSI_LOGIN_NO_RESOURCES,
			    "its names cannot be looked up now: %s",
			    strerror(error));
}

/* May the initiator use the target? The answer may take a look-up. */
static bool admitted(struct iscsi_conn *conn, struct iscsi_refusal *refusal)
{
	struct iscsi_session *session = conn->session;
	struct iscsi_login *login = conn->login;

	if (iscsi_acl_check(login->conf, session->initiator, &conn->peer,
			    conn->lookup))
		return true;
	if (!conn->lookup) {
		int error = iscsi_lookup_start(conn, login->conf);

		login->looking_up = error == 0;
		if (error == 0)
			return true;
		if (error != ENOENT)
			return no_lookup(refusal, error);
	}
	return iscsi_refuse(refusal, ISCSI_LOGIN_FORBIDDEN,
			    "the target does not list the initiator");
}

static bool find_target(struct iscsi_conn *conn, const char *name,
			struct iscsi_refusal *refusal)
{
	struct iscsi_login *login = conn->login;
	struct iscsi_conf *conf = NULL;

	if (!iscsi_name_normalize(name, login->target_name))
		return iscsi_refuse(refusal, ISCSI_LOGIN_NOT_FOUND,
				    "TargetName is no iSCSI name");
	conn->session->tgt =
		iscsi_tgt_find(conn->server, login->target_name, &conf);
	if (!conn->session->tgt)
		return iscsi_refuse(refusal, ISCSI_LOGIN_NOT_FOUND,
				    "there is no such target");
	take_conf(login, conf);
	/* 11.13.5: "does not exist at this address" */
	if (!iscsi_conf_serves(conf, &conn->local))
		return iscsi_refuse(refusal, ISCSI_LOGIN_NOT_FOUND,
				    "the target has not this portal");
	if (!conf->enabled)
		return iscsi_refuse(refusal, ISCSI_LOGIN_UNAVAILABLE,
				    "the target is disabled");
	return admitted(conn, refusal);
}

/* 6.3.1: the first request names initiator, session type and target. */
static bool login_identify(struct iscsi_conn *conn,
			   struct iscsi_refusal *refusal)
{
	struct iscsi_login *login = conn->login;
	const char *initiator = iscsi_login_value(login, "InitiatorName");
	const char *type = iscsi_login_value(login, "SessionType");
	const char *target = iscsi_login_value(login, "TargetName");
	int error;

	if (!initiator)
		return iscsi_refuse(refusal, ISCSI_LOGIN_MISSING_PARAM,
				    "InitiatorName is missing");
	if (!iscsi_name_normalize(initiator, conn->session->initiator)) {
		conn->session->initiator[0] = '\0';
		return iscsi_refuse(refusal, ISCSI_LOGIN_INITIATOR_ERR,
				    "InitiatorName is no iSCSI name");
	}
	login->discovery = type && strcmp(type, "Discovery") == 0;
	if (type && !login->discovery && strcmp(type, "Normal") != 0)
		return iscsi_refuse(refusal, ISCSI_LOGIN_SESSION_TYPE,
				    "unknown session type");
	if (login->discovery) {
		login->ours.target_mrdsl = 65536;
		login->chap_needed = conn->server->discovery_chap;
		login->placed = true;
		/* What SendTargets may show: with nothing to look up, all is
		 * known. */
		error = iscsi_lookup_start(conn, NULL);
		login->looking_up = error == 0;
		return error == 0 || error == ENOENT ||
		       no_lookup(refusal, error);
	}
	if (!target)
		return iscsi_refuse(refusal, ISCSI_LOGIN_MISSING_PARAM,
				    "TargetName is missing");
	if (!find_target(conn, target, refusal))
		return false;
	/* 6.3.1: a TSIH asks to join a session, which is on this lane if
	 * there is one (iscsi_route.c). */
	if (login->tsih && !iscsi_session_find(conn->session, login->tsih))
		return iscsi_login_no_session(conn, refusal);
	iscsi_text_add_number(&login->out, "TargetPortalGroupTag", conn->tpgt);
	if (login->conf->alias[0])
		iscsi_text_add(&login->out, "TargetAlias", login->conf->alias);
	return true;
}

/* 11.13.5, 13.8: those whom the target admits learn where it is now. */
static bool login_place(struct iscsi_conn *conn, struct iscsi_refusal *refusal)
{
	struct iscsi_login *login = conn->login;
	const struct iscsi_redirect *r = iscsi_redirect_find(
		conn->server, login->target_name, &conn->local);

	login->placed = true;
	if (!r)
		return true;
	iscsi_text_free(&login->out);
	iscsi_text_add(&login->out, "TargetAddress", r->to);
	return iscsi_refuse(refusal,
			    r->permanent ? ISCSI_LOGIN_MOVED_PERM
					 : ISCSI_LOGIN_MOVED_TEMP,
			    "it is at %s", r->to);
}

/* ---- keys ---- */

static bool is_answer(const char *value)
{
	return strcmp(value, "Reject") == 0 ||
	       strcmp(value, "NotUnderstood") == 0 ||
	       strcmp(value, "Irrelevant") == 0;
}

/* 13.14: FirstBurstLength never exceeds MaxBurstLength, in whatever order the
 * two come. */
static void limit_first_burst(struct iscsi_conn *conn)
{
	const struct iscsi_params *params = &conn->session->params;
	struct iscsi_login *login = conn->login;
	const char *value = iscsi_login_value(login, "MaxBurstLength");
	const struct iscsi_key *key = iscsi_key_find("MaxBurstLength");
	uint32_t max = params->max_burst;

	if (value && iscsi_text_number(value, &max) &&
	    (max < key->min || max > key->max))
		max = params->max_burst;
	if (login->ours.first_burst > max)
		login->ours.first_burst = max;
}

static bool login_key(struct iscsi_conn *conn, const char *name,
		      const char *value, struct iscsi_refusal *refusal)
{
	struct iscsi_login *login = conn->login;
	const struct iscsi_key *key = iscsi_key_find(name);
	char answer[ISCSI_ANSWER_MAX], own[ISCSI_KEY_MAX + 1];
	uint64_t bit;

	if (!key) {
		snprintf(own, sizeof(own), "%.*s", (int)strcspn(name, "="),
			 name);
		if (!is_answer(value))
			iscsi_text_add(&login->out, own, "NotUnderstood");
		return true;
	}
	/* 6.1: no value but a binary one is longer. */
	if (key->use != USE_SECURITY && strlen(value) > ISCSI_VALUE_MAX)
		return iscsi_refuse(refusal, ISCSI_LOGIN_INITIATOR_ERR,
				    "%s has a value of %zu bytes", key->name,
				    strlen(value));
	if (key->use == USE_SECURITY && login->stage != ISCSI_STAGE_SECURITY)
		return iscsi_refuse(refusal, ISCSI_LOGIN_INVALID_REQ,
				    "%s outside the security stage", key->name);
	if (login->tsih && key->use == USE_LO && key->type != KEY_TEXT) {
		/* 13: "LO", for a session's leading connection only */
		iscsi_text_add(&login->out, key->name, "Reject");
		return true;
	}
	/* 6.3: no parameter is negotiated more than once. */
	bit = 1ull << (key - iscsi_keys);
	if (login->seen & bit)
		return iscsi_refuse(refusal, ISCSI_LOGIN_INITIATOR_ERR,
				    "%s more than once", key->name);
	login->seen |= bit;
	if (key->use == USE_SECURITY)
		return true; /* iscsi_auth_step() */
	if (is_answer(value))
		return true;
	if (key->use == USE_FFPO || !(key->flags & KEY_FROM_INITIATOR)) {
		iscsi_text_add(&login->out, key->name, "Reject");
		return true;
	}
	if (login->discovery && key->flags & KEY_NOT_DISCOVERY) {
		iscsi_text_add(&login->out, key->name, "Irrelevant");
		return true;
	}
	limit_first_burst(conn);
	switch (iscsi_key_negotiate(key, value, &login->ours,
				    &conn->session->params, answer)) {
	case KEY_ANSWER:
		iscsi_text_add(&login->out, key->name, answer);
		break;
	case KEY_REJECT:
		iscsi_text_add(&login->out, key->name, "Reject");
		break;
	case KEY_SILENT:
		break;
	case KEY_ERROR:
		return iscsi_refuse(refusal, ISCSI_LOGIN_INITIATOR_ERR,
				    "%s is out of range", key->name);
	}
	return true;
}

static bool login_keys(struct iscsi_conn *conn, struct iscsi_refusal *refusal)
{
	struct iscsi_login *login = conn->login;
	struct iscsi_text_iter it = iscsi_text_pairs(&login->in);
	const char *key, *value;
	int ret = 0;

	while ((ret = iscsi_text_next(&it, &key, &value)) > 0) {
		if (!login_key(conn, key, value, refusal))
			return false;
	}
	if (ret < 0)
		return iscsi_refuse(refusal, ISCSI_LOGIN_INITIATOR_ERR,
				    "malformed text");
	if (login->stage == ISCSI_STAGE_OP && !login->declared) {
		login->declared = true;
		conn->session->params.target_mrdsl = login->ours.target_mrdsl;
		iscsi_text_add_number(&login->out, "MaxRecvDataSegmentLength",
				      login->ours.target_mrdsl);
	}
	if (login->out.failed || login->out.len > ISCSI_LOGIN_TEXT_MAX)
		return iscsi_refuse(refusal, ISCSI_LOGIN_INITIATOR_ERR,
				    "more keys than can be answered");
	return true;
}

/* ---- steps ---- */

static bool may_leave_security(struct iscsi_login *login,
			       struct iscsi_refusal *refusal)
{
	/* 12: with no AuthMethod there is no authentication */
	if (login->auth == AUTH_START && !login->chap_needed)
		login->auth = AUTH_DONE;
	if (login->auth == AUTH_START)
		return iscsi_refuse(refusal, ISCSI_LOGIN_AUTH_FAILED,
				    "the target asks for CHAP");
	return true;
}

/* The whole text of a request is here. */
static bool login_step(struct iscsi_conn *conn, struct iscsi_refusal *refusal)
{
	struct iscsi_login *login = conn->login;
	uint8_t flags = (uint8_t)(login->stage << 2), next;

	if (!login->identified) {
		if (!login_identify(conn, refusal))
			return false;
		login->identified = true;
		if (login->looking_up)
			return true; /* iscsi_login_resume() */
	}
	if (!login->placed && !login_place(conn, refusal))
		return false;
	if (!login_keys(conn, refusal))
		return false;
	if (login->stage == ISCSI_STAGE_SECURITY &&
	    !iscsi_auth_step(conn, refusal))
		return false;
	/* Leaving the security stage, or never having been in it. */
	if ((login->stage == ISCSI_STAGE_OP ||
	     login->flags & ISCSI_LOGIN_TRANSIT) &&
	    !may_leave_security(login, refusal))
		return false;
	if (!(login->flags & ISCSI_LOGIN_TRANSIT) || login->auth != AUTH_DONE) {
		iscsi_login_respond(conn, flags, ISCSI_LOGIN_SUCCESS);
		return true;
	}
	next = ISCSI_LOGIN_NSG(login->flags);
	if (next == ISCSI_STAGE_FULL)
		return iscsi_login_finish(conn, refusal);
	iscsi_login_respond(conn, flags | ISCSI_LOGIN_TRANSIT | next,
			    ISCSI_LOGIN_SUCCESS);
	login->stage = next;
	return true;
}

static bool login_request(struct iscsi_conn *conn, const uint8_t *data,
			  uint32_t len, struct iscsi_refusal *refusal)
{
	struct iscsi_login *login;
	bool ok;

	if (!conn->login && !login_start(conn, refusal))
		return false;
	login = conn->login;
	if (!login_header(conn, refusal))
		return false;
	iscsi_text_append(&login->in, data, len, ISCSI_TEXT_MAX);
	if (login->in.failed)
		return iscsi_refuse(refusal, ISCSI_LOGIN_INITIATOR_ERR,
				    "more than %u bytes of text",
				    ISCSI_TEXT_MAX);
	if (!iscsi_memory_text(conn))
		return iscsi_refuse(refusal, ISCSI_LOGIN_NO_RESOURCES,
				    "there is no memory for its text");
	if (login->flags & ISCSI_TEXT_CONTINUE) {
		/* 6.2: the answer to a part is empty */
		iscsi_login_respond(conn, (uint8_t)(login->stage << 2),
				    ISCSI_LOGIN_SUCCESS);
		return true;
	}
	ok = login_step(conn, refusal);
	if (conn->login && !conn->login->looking_up)
		iscsi_text_free(&conn->login->in);
	return ok;
}

/* The look-up of the peer's names is done: the request may go on. */
static bool login_looked_up(struct iscsi_conn *conn,
			    struct iscsi_refusal *refusal)
{
	struct iscsi_login *login = conn->login;
	bool ok;

	login->looking_up = false;
	ok = (login->discovery || admitted(conn, refusal)) &&
	     login_step(conn, refusal);
	if (conn->login && !conn->login->looking_up)
		iscsi_text_free(&conn->login->in);
	return ok;
}

void iscsi_login_resume(struct iscsi_conn *conn)
{
	struct iscsi_refusal refusal;
	bool ok;

	conn->waiting = false;
	if (conn->login->looking_up)
		ok = login_looked_up(conn, &refusal);
	else
		ok = iscsi_login_finish(conn, &refusal);
	if (conn->state == CONN_DEAD)
		return;
	if (!ok)
		login_refused(conn, &refusal);
	else if (!conn->waiting)
		iscsi_conn_runnable(conn);
	if (conn->state != CONN_DEAD)
		iscsi_memory_text(conn);
}

void iscsi_login_wake(struct lane *lane, uint64_t conn_id)
{
	struct iscsi_conn *conn = iscsi_conn_find(lane, conn_id);

	if (conn && conn->waiting && conn->state == CONN_LOGIN)
		iscsi_login_resume(conn);
}

void iscsi_login_pdu(struct iscsi_conn *conn, const uint8_t *data, uint32_t len)
{
	struct iscsi_refusal refusal;

	if (!conn->login && iscsi_login_route(conn, data, len))
		return;
	if (!login_request(conn, data, len, &refusal) &&
	    conn->state != CONN_DEAD)
		login_refused(conn, &refusal);
	if (conn->state != CONN_DEAD)
		iscsi_memory_text(conn);
}
