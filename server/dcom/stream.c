/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A client's byte stream as Samba's RPC server reads it, and what has to be
 * known before that server sees a PDU: that it is a bind once more.
 *
 * C706's association machine (9.3.1) has one bind for a connection, and so has
 * Samba. Windows takes another one as the beginning of a new association on
 * the same connection, and impacket relies on that: it binds before every
 * activation and every ping. So whatever the earlier bind has negotiated is
 * dropped, presentation and security contexts alike, and the bind is answered
 * as the first one was. While calls are in progress, which need those
 * contexts, Samba's refusal (a bind_nak) stands.
 */
#include <tsocket.h>
#include <tsocket_internal.h>

#include "server/dcom/runtime.h"

/* The common header (C706 12.6.3.1); others are in Samba's dcerpc.h. */
#define PTYPE_OFFSET 2

struct stream {
	struct tstream_context *socket;
	struct dcom_connection *conn;
	size_t body; /* what is still to come of the PDU being read */
};

struct readv_state {
	struct stream *stream;
	const uint8_t
		*header; /* where the PDU's header goes; NULL: no header */
	size_t length;
};

/* ---- a bind on a connection that has been bound ---- */

static bool idle(const struct dcesrv_connection *dce)
{
	return dce->pending_call_list == NULL && dce->call_list == NULL &&
	       dce->incoming_fragmented_call_list == NULL;
}

static void association_reset(struct dcesrv_connection *dce)
{
	struct dcesrv_auth *auth, *next;

	while (dce->contexts != NULL) {
		talloc_free(dce->contexts); /* its destructor unlinks it */
	}
	for (auth = dce->auth_states; auth != NULL; auth = next) {
		next = auth->next;
		talloc_free(auth);
	}
	dce->auth_states = NULL;
	dce->default_auth_level_connect = NULL;
	dce->got_explicit_auth_level_connect = false;
	dce->client_hdr_signing = false;
	dce->negotiated_hdr_signing = false;
	dce->default_auth_state->auth_started = false;
	dce->default_auth_state->auth_finished = false;
	talloc_unlink(dce, dce->assoc_group);
	dce->assoc_group = NULL;
	dce->state_flags &= ~DCESRV_CALL_STATE_FLAG_MULTIPLEXED;
	dce->allow_alter = false;
	dce->allow_bind = true;
}

/* @param header  its 16 bytes are those that all PDUs have in common */
static void header_read(struct stream *stream, const uint8_t *header)
{
	struct dcesrv_connection *dce = stream->conn->dce;
	bool little = header[DCERPC_DREP_OFFSET] & DCERPC_DREP_LE;
	const uint8_t *length = header + DCERPC_FRAG_LEN_OFFSET;
	uint16_t frag_length = little ? length[0] | length[1] << 8
				      : length[0] << 8 | length[1];

	stream->body = frag_length > DCERPC_NCACN_PAYLOAD_OFFSET
			       ? frag_length - DCERPC_NCACN_PAYLOAD_OFFSET
			       : 0;
	/* allow_alter: a bind was accepted, and nothing has been wrong since */
	if (header[PTYPE_OFFSET] == DCERPC_PKT_BIND && dce->allow_alter &&
	    !dce->allow_bind && idle(dce)) {
		log_msg(LOG_DEBUG, "%s: bound anew", stream->conn->remote_text);
		association_reset(dce);
	}
}

/* ---- struct tstream_context_ops ---- */

static ssize_t stream_pending_bytes(struct tstream_context *context)
{
	struct stream *stream = tstream_context_data(context, struct stream);

	return tstream_pending_bytes(stream->socket);
}

static void stream_readv_done(struct tevent_req *subreq)
{
	struct tevent_req *req =
		tevent_req_callback_data(subreq, struct tevent_req);
	struct readv_state *state = tevent_req_data(req, struct readv_state);
	int error, length = tstream_readv_recv(subreq, &error);

	TALLOC_FREE(subreq);
	if (length == -1) {
		tevent_req_error(req, error);
		return;
	}
	state->length = length;
	if (state->header != NULL) {
		header_read(state->stream, state->header);
	} else {
		state->stream->body -= MIN(state->length, state->stream->body);
	}
	tevent_req_done(req);
}

/* Samba asks for a PDU's header alone first, then for the rest. */
static struct tevent_req *stream_readv_send(TALLOC_CTX *mem_ctx,
					    struct tevent_context *ev,
					    struct tstream_context *context,
					    struct iovec *vector, size_t count)
{
	struct readv_state *state;
	struct tevent_req *subreq,
		*req = tevent_req_create(mem_ctx, &state, struct readv_state);

	if (req == NULL) {
		return NULL;
	}
	state->stream = tstream_context_data(context, struct stream);
	if (state->stream->body == 0 && count == 1 &&
	    vector[0].iov_len == DCERPC_NCACN_PAYLOAD_OFFSET) {
		state->header = vector[0].iov_base;
	}
	subreq = tstream_readv_send(state, ev, state->stream->socket, vector,
				    count);
	if (tevent_req_nomem(subreq, req)) {
		return tevent_req_post(req, ev);
	}
	tevent_req_set_callback(subreq, stream_readv_done, req);
	return req;
}

static int stream_readv_recv(struct tevent_req *req, int *error)
{
	struct readv_state *state = tevent_req_data(req, struct readv_state);
	int ret = tsocket_simple_int_recv(req, error);

	if (ret == 0) {
		ret = state->length;
	}
	tevent_req_received(req);
	return ret;
}

static struct tevent_req *stream_writev_send(TALLOC_CTX *mem_ctx,
					     struct tevent_context *ev,
					     struct tstream_context *context,
					     const struct iovec *vector,
					     size_t count)
{
	struct stream *stream = tstream_context_data(context, struct stream);

	return tstream_writev_send(mem_ctx, ev, stream->socket, vector, count);
}

static struct tevent_req *stream_disconnect_send(
	TALLOC_CTX *mem_ctx, struct tevent_context *ev,
	struct tstream_context *context)
{
	struct stream *stream = tstream_context_data(context, struct stream);

	return tstream_disconnect_send(mem_ctx, ev, stream->socket);
}

static const struct tstream_context_ops stream_ops = {
	.name = "dcom",
	.pending_bytes = stream_pending_bytes,
	.readv_send = stream_readv_send,
	.readv_recv = stream_readv_recv,
	.writev_send = stream_writev_send,
	.writev_recv = tstream_writev_recv,
	.disconnect_send = stream_disconnect_send,
	.disconnect_recv = tstream_disconnect_recv,
};

struct tstream_context *dcom_stream_create(TALLOC_CTX *mem_ctx,
					   struct dcom_connection *conn,
					   struct tstream_context **socket)
{
	struct stream *stream;
	struct tstream_context *context = tstream_context_create(
		mem_ctx, &stream_ops, &stream, struct stream, __location__);

	if (context != NULL) {
		stream->conn = conn;
		stream->body = 0;
		stream->socket = talloc_move(stream, socket);
	}
	return context;
}
