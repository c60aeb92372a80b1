/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * istmctl: administers an iSCSI target over MS-ISTM, by the same DCOM calls
 * that Windows' consoles make, so it works with Windows servers too.
 */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>
#include <tevent.h>
#include <popt.h>

#include "client/istmctl.h"
#include "server/auth/auth.h"
#include "server/auth/cmdline.h"
#include "server/core/utf8.h"

static const struct ctl_command *const tables[] = {
	ctl_disk_commands,
	ctl_target_commands,
	ctl_server_commands,
};
#define NUM_TABLES (sizeof(tables) / sizeof(tables[0]))

int ctl_fail(struct ctl *ctl, HRESULT hr, const char *fmt, ...)
{
	const char *why = istm_client_error(ctl->client);
	va_list ap;

	fprintf(stderr, "istmctl: ");
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, ": %s (0x%08x)\n", istm_hresult_name(ctl->mem, hr),
		HRES_ERROR_V(hr));
	if (why[0] != '\0') {
		fprintf(stderr, "istmctl: %s\n", why);
	}
	return 1;
}

int ctl_usage(const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "istmctl: ");
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\nTry 'istmctl --help'.\n");
	return 2;
}

struct istm_object *ctl_class(struct ctl *ctl, const struct com_class *c,
			      const struct com_interface *interface)
{
	struct istm_object *object = NULL;
	HRESULT hr =
		istm_activate(ctl->mem, ctl->client, c, interface, &object);

	if (!ctl_is_ok(hr)) {
		ctl_fail(ctl, hr, "activating %s on %s", c->name,
			 ctl->opt.server);
		return NULL;
	}
	return object;
}

struct istm_object *ctl_object(struct ctl *ctl, struct istm_object *from,
			       const struct com_interface *interface,
			       struct MInterfacePointer *const *mip,
			       const char *what)
{
	struct istm_object *object = NULL;
	HRESULT hr = istm_unmarshal(ctl->mem, from, interface,
				    mip != NULL ? *mip : NULL, &object);

	if (!ctl_is_ok(hr)) {
		ctl_fail(ctl, hr, "using the %s that the server returned",
			 what);
		return NULL;
	}
	return object;
}

bool ctl_parse_size(const char *text, uint64_t *bytes)
{
	static const char units[] = "bkmgt";
	char *end = NULL;
	unsigned long long value;
	unsigned shift = 0;

	if (!isdigit((unsigned char)text[0])) {
		return false;
	}
	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno != 0) {
		return false;
	}
	if (*end != '\0') {
		const char *unit = strchr(units, tolower((unsigned char)*end));

		if (unit == NULL) {
			return false;
		}
		shift = 10 * (unit - units);
		end++;
		if (strcasecmp(end, "ib") == 0 || strcasecmp(end, "b") == 0) {
			end += strlen(end);
		}
	}
	if (*end != '\0' || value > (UINT64_MAX >> shift)) {
		return false;
	}
	*bytes = (uint64_t)value << shift;
	return true;
}

bool ctl_parse_number(const char *text, uint32_t max, uint32_t *value)
{
	char *end = NULL;
	unsigned long n;

	if (!isdigit((unsigned char)text[0])) {
		return false;
	}
	errno = 0;
	n = strtoul(text, &end, 10);
	if (errno != 0 || *end != '\0' || n > max) {
		return false;
	}
	*value = n;
	return true;
}

/* @return whether there are any; @noun NULL: of all */
static bool print_commands(FILE *f, const char *noun)
{
	bool any = false;
	size_t t;

	for (t = 0; t < NUM_TABLES; t++) {
		const struct ctl_command *c;

		for (c = tables[t]; c->noun != NULL; c++) {
			char line[80];

			if (noun != NULL && strcmp(noun, c->noun) != 0) {
				continue;
			}
			snprintf(line, sizeof(line), "%s %s %s", c->noun,
				 c->verb, c->args);
			fprintf(f, "%s  %-34s %s\n", any ? "" : "Commands:\n",
				line, c->summary);
			any = true;
		}
	}
	return any;
}

static void print_help(poptContext pc)
{
	poptPrintHelp(pc, stdout, 0);
	printf("\n");
	print_commands(stdout, NULL);
}

/* What there is, in fewer lines than all of Samba's options take. */
static int print_usage(const char *noun)
{
	fprintf(stderr, "Usage: istmctl [OPTION...] NOUN VERB [ARGUMENT...]\n"
			"'istmctl --help' tells the options, too.\n\n");
	if (!print_commands(stderr, noun)) {
		print_commands(stderr, NULL);
	}
	return 2;
}

static const struct ctl_command *find_command(const char *noun,
					      const char *verb)
{
	size_t t;

	for (t = 0; t < NUM_TABLES; t++) {
		const struct ctl_command *c;

		for (c = tables[t]; c->noun != NULL; c++) {
			if (strcmp(c->noun, noun) == 0 &&
			    strcmp(c->verb, verb) == 0) {
				return c;
			}
		}
	}
	return NULL;
}

/* An option that was given and means nothing to the command; NULL: none */
static const char *foreign_option(const struct ctl_options *o, unsigned takes)
{
	const struct {
		const char *name;
		bool given;
		unsigned option;
	} options[] = {
		{"--description", o->description != NULL, CTL_DESCRIPTION},
		{"--sparse", o->sparse != 0, CTL_SPARSE},
		{"--file", o->file != 0, CTL_FILE},
		{"--name", o->name != NULL, CTL_NAME},
		{"--iqn", o->iqn != NULL, CTL_IQN},
		{"--enable", o->enable != 0, CTL_ENABLE},
		{"--disable", o->disable != 0, CTL_ENABLE},
		{"--lun", o->lun != NULL, CTL_LUN},
		{"--chap-user", o->chap_user != NULL, CTL_CHAP},
		{"--secret-file", o->secret_file != NULL, CTL_CHAP},
		{"--off", o->off != 0, CTL_CHAP},
	};

	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		if (options[i].given && (takes & options[i].option) == 0) {
			return options[i].name;
		}
	}
	return NULL;
}

/* What is sent is UTF-16: other bytes would become another name. */
static bool is_utf8(const char *s)
{
	return s == NULL || utf8_valid(s);
}

static bool all_utf8(const struct ctl *ctl)
{
	const struct ctl_options *o = &ctl->opt;

	for (int i = 0; i < ctl->num_args; i++) {
		if (!is_utf8(ctl->args[i])) {
			return false;
		}
	}
	return is_utf8(o->name) && is_utf8(o->iqn) && is_utf8(o->description) &&
	       is_utf8(o->chap_user);
}

static int run(struct ctl *ctl, poptContext pc)
{
	const struct ctl_command *c;
	const char *noun = poptGetArg(pc), *verb = poptGetArg(pc);
	const char *foreign;

	if (noun != NULL && strcmp(noun, "help") == 0) {
		print_help(pc);
		return 0;
	}
	if (noun == NULL || verb == NULL) {
		return print_usage(noun);
	}
	c = find_command(noun, verb);
	if (c == NULL) {
		return ctl_usage("there is no command '%s %s'", noun, verb);
	}
	ctl->args = poptGetArgs(pc);
	while (ctl->args != NULL && ctl->args[ctl->num_args] != NULL) {
		ctl->num_args++;
	}
	if (ctl->num_args < c->min_args || ctl->num_args > c->max_args) {
		return ctl_usage("usage: istmctl %s %s%s%s", noun, verb,
				 c->args[0] != '\0' ? " " : "", c->args);
	}
	foreign = foreign_option(&ctl->opt, c->takes);
	if (foreign != NULL) {
		return ctl_usage("'%s %s' has no option %s", noun, verb,
				 foreign);
	}
	if ((c->takes & CTL_LOCAL) == 0 && !all_utf8(ctl)) {
		return ctl_usage("an argument is not UTF-8");
	}
	if (ctl->opt.port < 0 || ctl->opt.port > 65535) {
		return ctl_usage("there is no port %d", ctl->opt.port);
	}
	if (ctl->opt.enable && ctl->opt.disable) {
		return ctl_usage("give --enable or --disable, not both");
	}
	ctl->out = output_new(ctl->mem, ctl->opt.json);
	ctl->ev = tevent_context_init(ctl->mem);
	ctl->client =
		istm_client_create(ctl->mem, ctl->ev,
				   &(struct istm_client_config){
					   .server = ctl->opt.server,
					   .port = ctl->opt.port,
					   .lp = cmdline_lp(),
					   .credentials = cmdline_credentials(),
				   });
	if (ctl->out == NULL || ctl->ev == NULL || ctl->client == NULL) {
		fprintf(stderr, "istmctl: out of memory\n");
		return 1;
	}
	return c->fn(ctl);
}

int main(int argc, const char **argv)
{
	TALLOC_CTX *mem = auth_frame();
	struct ctl ctl = {.mem = mem};
	struct ctl_options *o = &ctl.opt;
	poptContext pc;
	int rc, status = 2;

	if (!cmdline_init(mem, CMDLINE_CLIENT)) {
		fprintf(stderr, "istmctl: cannot read smb.conf\n");
		talloc_free(mem);
		return 1;
	}
	const struct poptOption options[] = {
		{"help", '?', POPT_ARG_NONE, NULL, '?',
		 "show this, and all commands", NULL},
		{"server", 'S', POPT_ARG_STRING, &o->server, 0,
		 "server to administer [this machine]", "HOST"},
		{"port", 0, POPT_ARG_INT, &o->port, 0,
		 "port of its endpoint mapper [135]", "PORT"},
		{"json", 'j', POPT_ARG_NONE, &o->json, 0, "print JSON", NULL},
		{"description", 0, POPT_ARG_STRING, &o->description, 0,
		 "description of a disk or target", "TEXT"},
		{"sparse", 0, POPT_ARG_NONE, &o->sparse, 0,
		 "disk create: do not write the disk out", NULL},
		{"file", 0, POPT_ARG_NONE, &o->file, 0,
		 "disk delete: delete its file too", NULL},
		{"name", 0, POPT_ARG_STRING, &o->name, 0,
		 "target set: new name", "NAME"},
		{"iqn", 0, POPT_ARG_STRING, &o->iqn, 0,
		 "target create, set: its iSCSI name", "IQN"},
		{"enable", 0, POPT_ARG_NONE, &o->enable, 0,
		 "target set, disk set: enable", NULL},
		{"disable", 0, POPT_ARG_NONE, &o->disable, 0,
		 "target set, disk set: disable", NULL},
		{"lun", 0, POPT_ARG_STRING, &o->lun, 0,
		 "target map: at this LUN [the lowest free]", "LUN"},
		{"chap-user", 0, POPT_ARG_STRING, &o->chap_user, 0,
		 "target chap, reverse-chap: user name", "NAME"},
		{"secret-file", 0, POPT_ARG_STRING, &o->secret_file, 0,
		 "target chap, reverse-chap: file with the secret"
		 " [ask for it]",
		 "FILE"},
		{"off", 0, POPT_ARG_NONE, &o->off, 0,
		 "target chap, reverse-chap: turn it off", NULL},
		{NULL, 0, POPT_ARG_INCLUDE_TABLE,
		 cmdline_samba_options(CMDLINE_CLIENT), 0, NULL, NULL},
		POPT_TABLEEND};
	pc = cmdline_context("istmctl", argc, argv, options);
	if (pc == NULL) {
		fprintf(stderr, "istmctl: cannot read the options\n");
		talloc_free(mem);
		return 1;
	}
	poptSetOtherOptionHelp(pc, "[OPTION...] NOUN VERB [ARGUMENT...]");
	rc = poptGetNextOpt(pc);
	if (rc == '?') {
		print_help(pc);
		status = 0;
	} else if (rc < -1) {
		status = ctl_usage("%s: %s",
				   poptBadOption(pc, POPT_BADOPTION_NOALIAS),
				   poptStrerror(rc));
	} else {
		cmdline_burn(argc, (char **)(uintptr_t)argv);
		if (o->server == NULL) {
			o->server = strdup("localhost");
		}
		status = run(&ctl, pc);
	}
	poptFreeContext(pc);
	talloc_free(mem);
	cmdline_shutdown();
	free(o->server);
	free(o->description);
	free(o->name);
	free(o->iqn);
	free(o->lun);
	free(o->chap_user);
	free(o->secret_file);
	return status;
}
