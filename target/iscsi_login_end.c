/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The end of a login: its connection becomes the first one of a new session, or
 * one more of a session that exists (RFC 7143 6.3.1, 6.3.4, 6.3.5).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "target/iscsi_acl.h"
#include "target/iscsi_background.h"
#include "target/iscsi_login.h"

/* What INQUIRY tells: nothing where the initiator does not know of the key. */
static uint8_t protocol_level(const struct iscsi_login *login,
			      const struct iscsi_params *params)
{
	const struct iscsi_key *key = iscsi_key_find("iSCSIProtocolLevel");
	uint64_t bit = 1ull << (key - iscsi_keys);

	return login->seen & bit ? (uint8_t)params->protocol_level : 0;
}

static bool make_nexus(struct iscsi_session *session,
		       const struct iscsi_login *login)
{
	struct scsi_nexus_config config = {
		.initiator_name = session->initiator,
		.target_name = session->conf->name,
		.portal_group = session->tpgt,
		.protocol_level = protocol_level(login, &session->params),
		.abort_nexuses = iscsi_session_abort_nexuses,
		.clear_medium = iscsi_session_clear_medium,
		.background = iscsi_background_new,
		.private_data = session,
	};

	memcpy(config.isid, session->isid, sizeof(config.isid));
	session->nexus = scsi_nexus_create(&config, session->conf->map);
	return session->nexus != NULL;
}

/* Tell the main thread. */
static bool report_session(struct iscsi_conn *conn)
{
	struct iscsi_session *session = conn->session;
	struct iscsi_record *record = calloc(1, sizeof(*record));
	struct iscsi_session_info *info;

	if (!record)
		return false;
	info = &record->info;
	memcpy(info->initiator_name, session->initiator,
	       sizeof(info->initiator_name));
	if (session->tgt) {
		record->tgt = iscsi_tgt_ref(session->tgt);
		memcpy(info->target_name, session->conf->name,
		       sizeof(info->target_name));
	}
	info->tsih = session->tsih;
	memcpy(info->isid, session->isid, sizeof(info->isid));
	info->discovery = conn->login->discovery;
	info->chap_used = session->chap_used;
	session->record = record;
	iscsi_report_session(conn->server, record);
	return true;
}

static bool report_conn(struct iscsi_conn *conn,
			const struct iscsi_params *params)
{
	struct iscsi_conn_record *record = calloc(1, sizeof(*record));

	if (!record)
		return false;
	record->info.cid = conn->cid;
	record->info.initiator = conn->peer;
	record->info.target = conn->local;
	record->info.header_digest = params->header_digest;
	record->info.data_digest = params->data_digest;
	conn->record = record;
	iscsi_report_conn(conn->server, conn->session->record, record);
	return true;
}

/* The target as it is now: a change during the login counts. */
static bool final_check(struct iscsi_conn *conn, struct iscsi_refusal *refusal)
{
	struct iscsi_session *session = conn->session;
	struct iscsi_conf *conf = iscsi_tgt_conf(session->tgt);
	const struct iscsi_acl_id *id;

	if (!conf)
		return iscsi_refuse(refusal, ISCSI_LOGIN_REMOVED,
				    "the target was removed");
	if (session->conf)
		iscsi_conf_unref(session->conf);
	session->conf = conf;
	if (!iscsi_conf_serves(conf, &conn->local))
		return iscsi_refuse(refusal, ISCSI_LOGIN_NOT_FOUND,
				    "the target no longer has this portal");
	if (!conf->enabled)
		return iscsi_refuse(refusal, ISCSI_LOGIN_UNAVAILABLE,
				    "the target is disabled");
	id = iscsi_acl_find(conf, session->initiator, &conn->peer,
			    conn->lookup);
	if (!id)
		return iscsi_refuse(refusal, ISCSI_LOGIN_FORBIDDEN,
				    "the target does not list the initiator");
	free(conn->admitted.value);
	conn->admitted = *id;
	conn->admitted.value = strdup(id->value);
	if (!conn->admitted.value)
		return iscsi_refuse(refusal, ISCSI_LOGIN_NO_RESOURCES,
				    "out of memory for a session");
	if (conf->chap && !session->chap_used)
		return iscsi_refuse(refusal, ISCSI_LOGIN_AUTH_FAILED,
				    "the target now asks for CHAP");
	return true;
}

/* ---- a new session ---- */

static bool enter_new(struct iscsi_conn *conn, struct iscsi_refusal *refusal)
{
	struct iscsi_session *session = conn->session;
	char who[320];

	switch (iscsi_session_register(session, conn->id)) {
	case 0:
		break;
	case EBUSY:
		conn->waiting = true; /* iscsi_login_resume() */
		return true;
	default:
		return iscsi_refuse(refusal, ISCSI_LOGIN_NO_RESOURCES,
				    "no session is free");
	}
	if ((session->tgt && !make_nexus(session, conn->login)) ||
	    !report_session(conn))
		return iscsi_refuse(refusal, ISCSI_LOGIN_NO_RESOURCES,
				    "out of memory for a session");
	iscsi_log(conn->server, ISCSI_LOG_NOTICE,
		  "%s logged in to %s, session 0x%04x%s, lane %u",
		  iscsi_conn_who(conn, who),
		  session->tgt ? session->conf->name : "discovery",
		  session->tsih, session->chap_used ? ", CHAP" : "",
		  conn->lane->index);
	return true;
}

/* ---- one more connection ---- */

static void replaced_drained(struct iscsi_drain *drain)
{
	iscsi_login_wake(drain->lane, drain->conn_id);
}

/* Commands of the connection that this one replaces still run: theirs must not
 * come after its own (6.3.4: "immediately terminated"). */
static bool await_replaced(struct iscsi_conn *conn,
			   struct iscsi_refusal *refusal)
{
	struct iscsi_drain *drain = iscsi_drain_for(conn, 0, replaced_drained);

	if (!drain)
		return iscsi_refuse(refusal, ISCSI_LOGIN_NO_RESOURCES,
				    "out of memory");
	drain->only = conn->session->id;
	drain->has_cid = true;
	drain->cid = conn->cid;
	conn->waiting = true; /* iscsi_login_resume() */
	iscsi_drain_start(drain, conn->lane);
	return true;
}

static bool join(struct iscsi_conn *conn, struct iscsi_refusal *refusal)
{
	struct iscsi_session *session =
		iscsi_session_find(conn->session, conn->login->tsih);
	struct iscsi_conn *old;
	char who[320];

	if (!session)
		return iscsi_login_no_session(conn, refusal);
	old = iscsi_session_conn(session, conn->cid);
	if (!old && session->num_conns >= session->params.max_connections)
		return iscsi_refuse(refusal, ISCSI_LOGIN_TOO_MANY,
				    "session 0x%04x has its %u connections",
				    session->tsih, session->num_conns);
	iscsi_log(conn->server, ISCSI_LOG_NOTICE,
		  "connection %u of %s %s session 0x%04x", conn->cid,
		  iscsi_conn_who(conn, who), old ? "is replaced in" : "joins",
		  session->tsih);
	/* The session that the login was made with goes. */
	iscsi_session_leave(conn);
	iscsi_session_enter(session, conn);
	conn->login->joined = true;
	if (old) {
		old->expected_end = true;
		iscsi_conn_close(old);
	}
	if (iscsi_session_busy(session, conn->cid))
		return await_replaced(conn, refusal);
	return true;
}

/* ---- both ---- */

static bool login_done(struct iscsi_conn *conn, struct iscsi_refusal *refusal)
{
	struct iscsi_params params = conn->login->result;

	if (!report_conn(conn, &params))
		return iscsi_refuse(refusal, ISCSI_LOGIN_NO_RESOURCES,
				    "out of memory for a connection");
	iscsi_login_event(conn, ISCSI_LOGIN_SUCCESS);
	iscsi_login_respond(conn,
			    (uint8_t)(ISCSI_LOGIN_TRANSIT |
				      conn->login->stage << 2 |
				      ISCSI_STAGE_FULL),
			    ISCSI_LOGIN_SUCCESS);
	if (conn->state == CONN_DEAD)
		return true;
	conn->state = CONN_FULL;
	/* 13.1: digests begin with the first PDU after the login. */
	conn->header_digest = params.header_digest;
	conn->data_digest = params.data_digest;
	conn->initiator_mrdsl = params.initiator_mrdsl;
	conn->target_mrdsl = params.target_mrdsl;
	conn->text_ttt = ISCSI_TAG_NONE;
	iscsi_login_free(conn->login);
	conn->login = NULL;
	return true;
}

bool iscsi_login_finish(struct iscsi_conn *conn, struct iscsi_refusal *refusal)
{
	struct iscsi_login *login = conn->login;
	struct iscsi_session *session = conn->session;

	if (!login->joined) {
		if (session->tgt && !final_check(conn, refusal))
			return false;
		login->result = session->params;
		if (!(login->tsih ? join(conn, refusal)
				  : enter_new(conn, refusal)))
			return false;
		if (conn->waiting)
			return true;
	}
	return login_done(conn, refusal);
}
