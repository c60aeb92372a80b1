/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the daemon serves, between the process around it (main.c) and the
 * subsystems: the model first, then its COM classes, then the ports.
 *
 * Main thread only.
 */
#ifndef ISTM_SERVICE_H
#define ISTM_SERVICE_H

#include <stdbool.h>
#include <talloc.h>
#include <tevent.h>

struct config;
struct dcom_options;
struct dcom_runtime;
struct service;

/*
 * Start everything. @config and @dcom stay the caller's and have to outlive
 * the service; talloc_free() of the service stops it, clients first.
 * @param dcom  filled but for what the service itself knows (interfaces,
 *              which methods are audited)
 */
struct tevent_req *service_start_send(TALLOC_CTX *mem_ctx,
				      struct tevent_context *ev,
				      const struct config *config,
				      const struct dcom_options *dcom);
/* @return NULL when something does not start; it has been logged */
struct service *service_start_recv(struct tevent_req *req, TALLOC_CTX *mem_ctx);

/* The configuration has been read again: volumes and portals follow it.
 * Nothing is kept of @config. */
void service_reload(struct service *service, const struct config *config);

#endif /* ISTM_SERVICE_H */
