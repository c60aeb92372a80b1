/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Text requests in full feature phase (RFC 7143 6.4, 11.10, 11.11) and
 * SendTargets (appendix C).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "target/iscsi_acl.h"
#include "target/iscsi_conn.h"

/* ---- SendTargets ---- */

/* A wildcard portal is where the initiator found us. */
static void add_portal(const struct iscsi_portal *portal,
		       const struct iscsi_conn *conn, struct iscsi_text *list)
{
	const struct sockaddr_storage *addr = &portal->addr;
	char host[ISCSI_ADDR_STR], address[ISCSI_ADDR_STR + 8];

	if (iscsi_addr_any(addr))
		addr = &conn->local;
	snprintf(address, sizeof(address), "%s,%u", iscsi_addr_str(addr, host),
		 portal->tag);
	iscsi_text_add(list, "TargetAddress", address);
}

/* All portals as text, or those of one target. Under the lock. */
static void portal_list(struct iscsi_conn *conn, const struct iscsi_conf *only,
			struct iscsi_text *list)
{
	struct list_head *pos;

	list_for_each (pos, &conn->server->portals) {
		const struct iscsi_portal *portal =
			list_entry(pos, struct iscsi_portal, link);

		if (!only ||
		    iscsi_conf_serves(only, iscsi_addr_any(&portal->addr)
						    ? &conn->local
						    : &portal->addr))
			add_portal(portal, conn, list);
	}
}

/* @portals is the list of all, made once per request. */
static void add_target(struct iscsi_conn *conn, struct iscsi_text *text,
		       const struct iscsi_conf *conf,
		       const struct iscsi_text *portals)
{
	iscsi_text_add(text, "TargetName", conf->name);
	if (conf->some_portals)
		portal_list(conn, conf, text);
	else
		iscsi_text_append(text, portals->data, portals->len, SIZE_MAX);
}

/* May it know of the target where it asks? */
bool iscsi_conf_visible(const struct iscsi_conn *conn,
			const struct iscsi_conf *conf)
{
	const struct iscsi_session *session = conn->session;

	return conf->enabled && iscsi_conf_serves(conf, &conn->local) &&
	       iscsi_acl_check(conf, session->initiator, &conn->peer,
			       conn->lookup);
}

/* Has the session authenticated itself as far as this target asks for? */
static bool proven(const struct iscsi_conn *conn, const struct iscsi_conf *conf)
{
	const struct iscsi_conf *as = conn->session->proven;

	if (!conn->server->discovery_chap || !conf->chap)
		return true;
	return as && strcmp(as->chap_user, conf->chap_user) == 0 &&
	       strcmp(as->chap_secret, conf->chap_secret) == 0;
}

static void send_targets(struct iscsi_conn *conn, const char *value,
			 struct iscsi_text *text)
{
	struct iscsi_session *session = conn->session;
	struct iscsi_server *server = conn->server;
	char name[ISCSI_NAME_MAX + 1] = "";
	struct iscsi_text portals = {0};
	struct list_head *pos;

	/* Appendix C: All in discovery sessions only, nothing in others. */
	if (session->tgt ? strcmp(value, "All") == 0
			 : strcmp(value, "All") != 0 &&
				   !iscsi_name_normalize(value, name)) {
		iscsi_text_add(text, "SendTargets", "Reject");
		return;
	}
	pthread_mutex_lock(&server->lock);
	portal_list(conn, NULL, &portals);
	if (session->tgt) {
		/* Appendix C: in a normal session this target only */
		if (session->conf && (*value == '\0' ||
				      (iscsi_name_normalize(value, name) &&
				       strcmp(name, session->conf->name) == 0)))
			add_target(conn, text, session->conf, &portals);
		pthread_mutex_unlock(&server->lock);
		iscsi_text_free(&portals);
		return;
	}
	/* Only what this initiator may use: it learns of nothing else. */
	list_for_each (pos, &server->tgts) {
		const struct iscsi_conf *conf =
			list_entry(pos, struct iscsi_tgt, link)->conf;

		if (name[0] && strcmp(name, conf->name) != 0)
			continue;
		if (iscsi_conf_visible(conn, conf) && proven(conn, conf))
			add_target(conn, text, conf, &portals);
	}
	pthread_mutex_unlock(&server->lock);
	iscsi_text_free(&portals);
}

/* ---- requests ---- */

static void declare(struct iscsi_conn *conn, const struct iscsi_key *key,
		    const char *name, const char *value,
		    struct iscsi_text *text)
{
	struct iscsi_params params = conn->session->params;
	char answer[ISCSI_ANSWER_MAX];

	if (!key) {
		iscsi_text_append(text, name, strcspn(name, "="), SIZE_MAX);
		iscsi_text_append(text, "=NotUnderstood", 15, SIZE_MAX);
		return;
	}
	if (key->use == USE_FFPO) {
		send_targets(conn, value, text);
		return;
	}
	if (key->use == USE_ALL && key->flags & KEY_FROM_INITIATOR &&
	    (key->type == KEY_TEXT ||
	     iscsi_key_negotiate(key, value, &params, &params, answer) ==
		     KEY_SILENT)) {
		/* Of this connection alone (13.12) */
		if (key->type == KEY_NUM_DECLARED)
			conn->initiator_mrdsl = params.initiator_mrdsl;
		return;
	}
	/* What only a login may settle. */
	iscsi_text_add(text, key->name, "Reject");
}

/* Send the next part of the answer. */
static void text_respond(struct iscsi_conn *conn, uint8_t flags)
{
	struct iscsi_text *text = &conn->text_out;
	size_t len = text->len - conn->text_off;
	struct iscsi_out *out = iscsi_out_new(conn, ISCSI_OP_TEXT_RSP);
	bool more = len > conn->initiator_mrdsl;

	if (!out)
		return;
	if (more)
		len = conn->initiator_mrdsl;
	if (len) {
		out->owned = malloc(len);
		if (!out->owned) {
			pool_put(&conn->lane->outs, out);
			iscsi_conn_fail(conn, "out of memory for text");
			return;
		}
		memcpy(out->owned, text->data + conn->text_off, len);
		iscsi_out_data(out, out->owned, (uint32_t)len);
	}
	conn->text_off += len;
	if (!more) {
		/* An exchange that goes on does not pile up its answers. */
		iscsi_text_free(text);
		conn->text_off = 0;
	}
	/* 11.11.1: F only in answer to F; then no transfer tag */
	if (more || !(flags & ISCSI_FLAG_FINAL))
		out->bhs[1] = more ? ISCSI_TEXT_CONTINUE : 0;
	put_be32(out->bhs + 16, conn->text_itt);
	if (out->bhs[1] & ISCSI_FLAG_FINAL) {
		put_be32(out->bhs + 20, ISCSI_TAG_NONE);
		conn->text_ttt = ISCSI_TAG_NONE;
	} else {
		put_be32(out->bhs + 20, conn->text_ttt);
	}
	iscsi_out_queue(conn, out, STATSN_NEXT);
}

/* The keys of a whole request. @return false when it is malformed */
static bool text_parse(struct iscsi_conn *conn)
{
	struct iscsi_text_iter it = iscsi_text_pairs(&conn->text_in);
	const char *key, *value;
	uint64_t seen = 0;
	int ret = 0;

	while ((ret = iscsi_text_next(&it, &key, &value)) > 0) {
		const struct iscsi_key *k = iscsi_key_find(key);

		if (k) {
			uint64_t bit = 1ull << (k - iscsi_keys);

			/* 6.4: no key twice in one negotiation */
			if (seen & bit)
				return false;
			seen |= bit;
		}
		declare(conn, k, key, value, &conn->text_out);
		if (conn->text_out.failed)
			return false;
	}
	return ret == 0;
}

static void text_reset(struct iscsi_conn *conn)
{
	iscsi_text_free(&conn->text_in);
	iscsi_text_free(&conn->text_out);
	conn->text_off = 0;
	iscsi_memory_text(conn);
}

void iscsi_text_request(struct iscsi_conn *conn, const uint8_t *bhs,
			const uint8_t *data, uint32_t len)
{
	uint8_t flags = bhs[1];
	uint32_t itt = get_be32(bhs + 16), ttt = get_be32(bhs + 20);
	bool begins = ttt == ISCSI_TAG_NONE;

	if ((flags & ISCSI_FLAG_FINAL && flags & ISCSI_TEXT_CONTINUE) ||
	    itt == ISCSI_TAG_NONE) {
		iscsi_conn_warn(conn,
				"Text Request with flags 0x%02x, "
				"task tag 0x%08x",
				flags, itt);
		iscsi_reject(conn, ISCSI_REJECT_INVALID_FIELD, bhs);
		return;
	}
	if (begins) {
		/* 11.10.4: a new exchange; an old one is over. */
		text_reset(conn);
		conn->text_itt = itt;
		conn->text_ttt = conn->session->next_ttt++ & 0x7fffffff;
	} else if (ttt != conn->text_ttt || itt != conn->text_itt ||
		   (len && conn->text_off < conn->text_out.len)) {
		/* 6.2: while parts of an answer are due, requests are empty. */
		iscsi_conn_warn(conn,
				"Text Request with target transfer tag "
				"0x%08x, which is not in use",
				ttt);
		iscsi_reject(conn, ISCSI_REJECT_PROTOCOL, bhs);
		return;
	}
	iscsi_text_append(&conn->text_in, data, len, ISCSI_TEXT_MAX);
	if (conn->text_in.failed || !iscsi_memory_text(conn)) {
		iscsi_conn_warn(conn, "more text than can be kept");
		iscsi_reject(conn, ISCSI_REJECT_LONG_OP, bhs);
		text_reset(conn);
		return;
	}
	if (flags & ISCSI_TEXT_CONTINUE) {
		text_respond(conn, 0);
		return;
	}
	if (!text_parse(conn)) {
		iscsi_conn_warn(conn, "malformed text");
		iscsi_reject(conn, ISCSI_REJECT_PROTOCOL, bhs);
		text_reset(conn);
		conn->text_ttt = ISCSI_TAG_NONE;
		return;
	}
	iscsi_text_free(&conn->text_in);
	if (conn->redeclare && conn->session->conf)
		iscsi_text_add_number(&conn->text_out,
				      "MaxRecvDataSegmentLength",
				      conn->session->conf->target_mrdsl);
	conn->redeclare = false;
	if (!iscsi_memory_text(conn)) {
		iscsi_conn_warn(conn, "no memory for an answer of %zu bytes",
				conn->text_out.len);
		iscsi_reject(conn, ISCSI_REJECT_LONG_OP, bhs);
		text_reset(conn);
		conn->text_ttt = ISCSI_TAG_NONE;
		return;
	}
	text_respond(conn, flags);
	iscsi_memory_text(conn);
}
