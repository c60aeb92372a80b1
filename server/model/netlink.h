/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The addresses of this machine's interfaces, from the kernel's netlink. */
#ifndef ISTM_MODEL_NETLINK_H
#define ISTM_MODEL_NETLINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <talloc.h>

/*
 * All addresses of global scope that can be bound now: no loopback, link-local,
 * tentative, duplicate or temporary (RFC 8981) ones.
 * @return 0 or errno
 */
int netlink_addresses(TALLOC_CTX *mem_ctx, struct sockaddr_storage **addresses,
		      size_t *num);

/* A socket that gets readable when addresses change. @return fd or -errno */
int netlink_watch(void);
void netlink_drain(int fd);

/* One answer of the kernel, or anything: for tests and fuzzing.
 * @return false at the end of the dump or when it makes no sense */
bool netlink_parse(TALLOC_CTX *mem_ctx, const uint8_t *bytes, size_t len,
		   struct sockaddr_storage **addresses, size_t *num);

#endif /* ISTM_MODEL_NETLINK_H */
