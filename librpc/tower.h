/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Protocol towers of the endpoint mapper (C706 appendix L) for RPC over TCP
 * with NDR: the five floors interface, transfer syntax, connection-oriented
 * RPC, TCP port, IPv4 address. A tower has no room for an IPv6 address; a
 * client over IPv6 gets 0.0.0.0, which stands for the host it asked.
 */
#ifndef _LIBRPC_TOWER_H_
#define _LIBRPC_TOWER_H_

#include <stdbool.h>
#include <stdint.h>
#include <talloc.h>

#include <gen_ndr/misc.h>

struct twr_t;

struct tower {
	struct ndr_syntax_id interface; /* if_version: minor << 16 | major */
	struct ndr_syntax_id transfer;
	uint16_t port;
	uint32_t ipv4; /* host byte order */
};

/* @return child of @mem_ctx, NULL without memory */
struct twr_t *tower_pack(TALLOC_CTX *mem_ctx, const struct tower *tower);

/* @return false if it is malformed, or not for RPC over TCP */
bool tower_unpack(const struct twr_t *twr, struct tower *tower);

#endif /* _LIBRPC_TOWER_H_ */
