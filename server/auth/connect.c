/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdbool.h>
#include <stdint.h>
#include <core/ntstatus.h>
#include <credentials.h>
#include <dcerpc.h>
#include <util/tevent_ntstatus.h>

#include "server/auth/cmdline.h"
#include "server/auth/connect.h"
#include "server/auth/samba_private.h"

struct connect_state {
	struct dcerpc_pipe *pipe;
};

static void connect_done(struct composite_context *c);

static uint32_t binding_flags(uint32_t level)
{
	switch (level) {
	case 0: /* default */
	case DCERPC_AUTH_LEVEL_NONE:
		return 0;
	case DCERPC_AUTH_LEVEL_CONNECT:
	case DCERPC_AUTH_LEVEL_CALL:
		return DCERPC_CONNECT | DCERPC_AUTH_SPNEGO;
	case DCERPC_AUTH_LEVEL_PACKET:
	case DCERPC_AUTH_LEVEL_INTEGRITY:
		return DCERPC_SIGN | DCERPC_AUTH_SPNEGO;
	default:
		return DCERPC_SIGN | DCERPC_SEAL | DCERPC_AUTH_SPNEGO;
	}
}

static NTSTATUS make_binding(TALLOC_CTX *mem_ctx, const char *host,
			     uint16_t port, uint32_t level,
			     struct dcerpc_binding **binding)
{
	char *endpoint = talloc_asprintf(mem_ctx, "%u", port);
	NTSTATUS status;

	if (endpoint == NULL) {
		return NT_STATUS_NO_MEMORY;
	}
	status = dcerpc_parse_binding(mem_ctx, "ncacn_ip_tcp:", binding);
	if (NT_STATUS_IS_OK(status)) {
		status = dcerpc_binding_set_flags(*binding,
						  binding_flags(level), 0);
	}
	if (NT_STATUS_IS_OK(status)) {
		status = dcerpc_binding_set_string_option(*binding, "host",
							  host);
	}
	if (NT_STATUS_IS_OK(status)) {
		status = dcerpc_binding_set_string_option(*binding, "endpoint",
							  endpoint);
	}
	return status;
}

static struct cli_credentials *make_credentials(TALLOC_CTX *mem_ctx,
						uint32_t level)
{
	struct cli_credentials *creds = cli_credentials_init(mem_ctx);

	if (creds == NULL) {
		return NULL;
	}
	cli_credentials_guess(creds, cmdline_lp());
	if (binding_flags(level) == 0 ||
	    !NT_STATUS_IS_OK(
		    cli_credentials_set_machine_account(creds, cmdline_lp()))) {
		cli_credentials_set_anonymous(creds);
	}
	return creds;
}

struct tevent_req *auth_connect_send(TALLOC_CTX *mem_ctx,
				     struct tevent_context *ev,
				     const char *host, uint16_t port,
				     const struct ndr_interface_table *table,
				     uint32_t level)
{
	struct connect_state *state = NULL;
	struct dcerpc_binding *binding = NULL;
	struct cli_credentials *creds;
	struct composite_context *c;
	struct tevent_req *req;
	NTSTATUS status;

	req = tevent_req_create(mem_ctx, &state, struct connect_state);
	if (req == NULL) {
		return NULL;
	}
	status = dcerpc_init();
	if (NT_STATUS_IS_OK(status)) {
		status = make_binding(state, host, port, level, &binding);
	}
	if (tevent_req_nterror(req, status)) {
		return tevent_req_post(req, ev);
	}
	creds = make_credentials(state, level);
	if (tevent_req_nomem(creds, req)) {
		return tevent_req_post(req, ev);
	}
	c = dcerpc_pipe_connect_b_send(state, binding, table, creds, ev,
				       cmdline_lp());
	if (tevent_req_nomem(c, req)) {
		return tevent_req_post(req, ev);
	}
	c->async.fn = connect_done;
	c->async.private_data = req;
	return req;
}

static void connect_done(struct composite_context *c)
{
	struct tevent_req *req = c->async.private_data;
	struct connect_state *state =
		tevent_req_data(req, struct connect_state);
	NTSTATUS status = dcerpc_pipe_connect_b_recv(c, state, &state->pipe);

	if (tevent_req_nterror(req, status)) {
		return;
	}
	/* [out] parameters are allocated for the caller. */
	state->pipe->conn->flags |= DCERPC_NDR_REF_ALLOC;
	tevent_req_done(req);
}

NTSTATUS auth_connect_recv(struct tevent_req *req, TALLOC_CTX *mem_ctx,
			   struct dcerpc_pipe **pipe)
{
	struct connect_state *state =
		tevent_req_data(req, struct connect_state);
	NTSTATUS status = NT_STATUS_OK;

	*pipe = NULL;
	if (!tevent_req_is_nterror(req, &status)) {
		*pipe = talloc_move(mem_ctx, &state->pipe);
	}
	tevent_req_received(req);
	return status;
}
