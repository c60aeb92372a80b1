/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Connections that the daemon opens itself, for callbacks: to RPC servers of
 * its clients, as this machine.
 *
 * Main thread only.
 */
#ifndef ISTM_AUTH_CONNECT_H
#define ISTM_AUTH_CONNECT_H

#include <stdint.h>
#include <talloc.h>
#include <tevent.h>
#include <core/ntstatus.h>

struct dcerpc_pipe;
struct ndr_interface_table;

/*
 * Connect to TCP @port of @host and bind to the interface of @table, which
 * must live as long as the pipe.
 * @param level  authentication level that the server asks for ([MS-RPCE]
 *               2.2.1.1.8); none (1) or lower: anonymous. Otherwise this
 *               machine's account in the domain is used, which there is only
 *               on a member.
 * errors: whatever Samba's client library gives; freeing the request gives up
 */
struct tevent_req *auth_connect_send(TALLOC_CTX *mem_ctx,
				     struct tevent_context *ev,
				     const char *host, uint16_t port,
				     const struct ndr_interface_table *table,
				     uint32_t level);
NTSTATUS auth_connect_recv(struct tevent_req *req, TALLOC_CTX *mem_ctx,
			   struct dcerpc_pipe **pipe);

#endif /* ISTM_AUTH_CONNECT_H */
