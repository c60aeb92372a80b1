/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdint.h>
#include <stddef.h>
#include <errno.h>
#include <time.h>
#include <sys/time.h>
#include <core/ntstatus.h>
#include <credentials.h>
#include "lib/cmdline/cmdline.h"

#include "server/auth/cmdline.h"

bool cmdline_init(TALLOC_CTX *mem_ctx, enum cmdline_kind kind)
{
	return samba_cmdline_init(mem_ctx,
				  kind == CMDLINE_DAEMON
					  ? SAMBA_CMDLINE_CONFIG_SERVER
					  : SAMBA_CMDLINE_CONFIG_CLIENT,
				  kind == CMDLINE_DAEMON);
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
