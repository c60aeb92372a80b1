/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What is Samba's own: log, event loop, authentication, and the question who
 * is an administrator. The one folder that links Samba's private libraries;
 * command line and smb.conf are in cmdline.h.
 *
 * Main thread only.
 */
#ifndef ISTM_AUTH_H
#define ISTM_AUTH_H

#include <stdbool.h>
#include <talloc.h>
#include <tevent.h>
#include <core/ntstatus.h>

struct auth_session_info;
struct dcesrv_call_state;
struct gensec_security;
struct sockaddr_storage;

/* ---- process ---- */

/* Samba's functions allocate scratch memory on a stack of frames: have one
 * around main() and one around each pass of the event loop. */
TALLOC_CTX *auth_frame(void);

/* Samba's event loop of this process; auth_shutdown() frees it. */
struct tevent_context *auth_event_context(void);

/* Send log_msg() to Samba's log, by its levels, under this program's name. */
void auth_log_init(const char *program, bool to_stdout);

/* Read smb.conf again. Where it is not there, the old settings stay. */
bool auth_config_reload(void);

/*
 * The addresses of "interfaces" with "bind interfaces only".
 * @param addresses  child of @mem_ctx
 * @return how many; 0: all addresses of the machine
 */
size_t auth_listen_addresses(TALLOC_CTX *mem_ctx,
			     struct sockaddr_storage **addresses);

/* Create DIR/PROGRAM.pid from "pid directory"; ends the process when another
 * one runs. */
void auth_pidfile_create(const char *program);
void auth_pidfile_remove(const char *program);

/* ---- authentication ---- */

/* Open the account database, prepare the tokens of guest and system. */
NTSTATUS auth_init(void);
void auth_shutdown(void);

/* For dcesrv_context_callbacks: the file server's way to authenticate. */
NTSTATUS auth_gensec_prepare(TALLOC_CTX *mem_ctx,
			     struct dcesrv_call_state *call,
			     struct gensec_security **gensec,
			     void *private_data);

/* The session of a caller that has not authenticated. */
NTSTATUS auth_anonymous_session(TALLOC_CTX *mem_ctx,
				struct auth_session_info **session_info);

/*
 * Who else but BUILTIN\Administrators administers: users and groups, as in
 * smb.conf's "admin users" (names, DOM\names, @group, SIDs).
 * NULL: nobody else.
 */
bool auth_set_admin_users(const char *const *names);

/* @return true for a member of BUILTIN\Administrators or of the list */
bool auth_is_admin(const struct auth_session_info *session_info);

#endif /* ISTM_AUTH_H */
