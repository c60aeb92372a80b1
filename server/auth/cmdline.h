/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Samba's own command line (-s, -d, -U, --use-kerberos, …) for istmd and
 * istmctl: the programs administrators know take the same options. Its library
 * is private to Samba, so that only this folder may touch it.
 *
 * Main thread only.
 */
#ifndef ISTM_AUTH_CMDLINE_H
#define ISTM_AUTH_CMDLINE_H

#include <stdbool.h>
#include <popt.h>
#include <talloc.h>

struct loadparm_context;
struct cli_credentials;

enum cmdline_kind {
	CMDLINE_CLIENT, /* credentials and connection options too */
	CMDLINE_DAEMON, /* -D, -i, -F; smb.conf must exist */
};

/* Once, before cmdline_samba_options(). */
bool cmdline_init(TALLOC_CTX *mem_ctx, enum cmdline_kind kind);

/* An option table to include in the program's own (POPT_ARG_INCLUDE_TABLE).
 * Static; a daemon's has the daemon options, a client's the credentials. */
struct poptOption *cmdline_samba_options(enum cmdline_kind kind);

/* poptGetContext() with Samba's callbacks; NULL on failure. */
poptContext cmdline_context(const char *name, int argc, const char **argv,
			    const struct poptOption *options);

/* Overwrite a password given in argv, so that ps does not show it. */
void cmdline_burn(int argc, char **argv);

/* At a client's end: give back what smb.conf's settings take. A daemon has
 * auth_shutdown() for that. */
void cmdline_shutdown(void);

/* Valid after the options were parsed; owned by the library. */
struct loadparm_context *cmdline_lp(void);
struct cli_credentials *cmdline_credentials(void);

struct cmdline_daemon {
	bool daemon, interactive, fork, no_process_group;
};
struct cmdline_daemon cmdline_daemon_options(void);

#endif /* ISTM_AUTH_CMDLINE_H */
