/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdint.h>
#include <stddef.h>
#include <errno.h>
#include <time.h>
#include <sys/time.h>
#include <stdio.h>
#include <stdlib.h>
#include <ndr.h>
#include <credentials.h>
#include "lib/cmdline/cmdline.h"
#include "lib/cmdline/cmdline_private.h"

#include "server/auth/cmdline.h"
#include "server/auth/samba_private.h"

static enum cmdline_kind program_kind;

static bool load_config(void)
{
	const char *env = getenv("SMB_CONF_PATH");
	const char *file;
	bool ok;

	if (is_default_dyn_CONFIGFILE() && env != NULL && env[0] != '\0') {
		set_dyn_CONFIGFILE(env);
	}
	file = get_dyn_CONFIGFILE();
	ok = program_kind == CMDLINE_DAEMON ? lp_load_global(file)
					    : lp_load_client(file);
	if (!ok) {
		fprintf(stderr, "Can't load %s - run testparm to debug it\n",
			file);
		/* A client can do without one. */
		if (program_kind == CMDLINE_DAEMON) {
			return false;
		}
	}
	load_interfaces();
	return true;
}

/*
 * What samba_cmdline_init() does; that is no part of the library but an object
 * that each of Samba's programs links for itself.
 */
bool cmdline_init(TALLOC_CTX *mem_ctx, enum cmdline_kind kind)
{
	struct loadparm_context *lp_ctx;
	struct cli_credentials *creds;

	program_kind = kind;
	smb_init_locale();
	if (!samba_cmdline_init_common(mem_ctx)) {
		return false;
	}
	lp_ctx = loadparm_init_s3(mem_ctx, loadparm_s3_helpers());
	if (lp_ctx == NULL || !samba_cmdline_set_lp_ctx(lp_ctx)) {
		return false;
	}
	creds = cli_credentials_init(mem_ctx);
	if (creds == NULL || !samba_cmdline_set_creds(creds)) {
		return false;
	}
	return samba_cmdline_set_load_config_fn(load_config);
}

struct poptOption *cmdline_samba_options(enum cmdline_kind kind)
{
	static struct poptOption client[5], daemon[4];
	struct poptOption *table = kind == CMDLINE_DAEMON ? daemon : client;
	static const struct {
		enum smb_cmdline_popt_options option;
		const char *title;
	} wanted[][4] = {
		[CMDLINE_CLIENT] =
			{
				{SAMBA_CMDLINE_POPT_OPT_SAMBA,
				 "Common Samba options:"},
				{SAMBA_CMDLINE_POPT_OPT_CONNECTION,
				 "Connection options:"},
				{SAMBA_CMDLINE_POPT_OPT_CREDENTIALS,
				 "Credential options:"},
				{SAMBA_CMDLINE_POPT_OPT_VERSION,
				 "Version options:"},
			},
		[CMDLINE_DAEMON] =
			{
				{SAMBA_CMDLINE_POPT_OPT_SAMBA,
				 "Common Samba options:"},
				{SAMBA_CMDLINE_POPT_OPT_DAEMON,
				 "Daemon options:"},
				{SAMBA_CMDLINE_POPT_OPT_VERSION,
				 "Version options:"},
			},
	};
	size_t i;

	for (i = 0; i < 4 && wanted[kind][i].title != NULL; i++) {
		table[i] = (struct poptOption){
			.argInfo = POPT_ARG_INCLUDE_TABLE,
			.arg = samba_cmdline_get_popt(wanted[kind][i].option),
			.descrip = wanted[kind][i].title,
		};
	}
	table[i] = (struct poptOption)POPT_TABLEEND;
	return table;
}

poptContext cmdline_context(const char *name, int argc, const char **argv,
			    const struct poptOption *options)
{
	return samba_popt_get_context(name, argc, argv, options, 0);
}

void cmdline_burn(int argc, char **argv)
{
	samba_cmdline_burn(argc, argv);
}

void cmdline_shutdown(void)
{
	gfree_loadparm();
}

struct loadparm_context *cmdline_lp(void)
{
	return samba_cmdline_get_lp_ctx();
}

struct cli_credentials *cmdline_credentials(void)
{
	return samba_cmdline_get_creds();
}

struct cmdline_daemon cmdline_daemon_options(void)
{
	const struct samba_cmdline_daemon_cfg *cfg =
		samba_cmdline_get_daemon_cfg();

	return (struct cmdline_daemon){
		.daemon = cfg->daemon,
		.interactive = cfg->interactive,
		.fork = cfg->fork,
		.no_process_group = cfg->no_process_group,
	};
}
