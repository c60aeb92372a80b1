/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the files of istmctl share. */
#ifndef ISTMCTL_H
#define ISTMCTL_H

#include <stdbool.h>
#include <stdint.h>
#include <talloc.h>
#include <tevent.h>

#include "client/libistm/libistm.h"
#include "client/output.h"
#include "gen_ndr/ndr_istm.h"

struct ctl {
	TALLOC_CTX *mem; /* all of one command */
	struct tevent_context *ev;
	struct istm_client *client;
	struct output *out;
	const char **args; /* behind noun and verb, NULL-terminated */
	int num_args;
	struct ctl_options {
		int json, sparse, enable, disable, file, off;
		char *server, *name, *iqn, *description, *lun, *chap_user;
		char *secret_file;
		int port;
	} opt;
};

/* A command returns its exit status. */
typedef int (*ctl_fn)(struct ctl *ctl);

struct ctl_command {
	const char *noun, *verb;
	const char *args; /* for the usage */
	int min_args, max_args;
	ctl_fn fn;
	const char *summary;
	unsigned takes; /* CTL_… */
};

/* Options that not all commands take. */
#define CTL_DESCRIPTION 0x01u
#define CTL_SPARSE	0x02u
#define CTL_FILE	0x04u
#define CTL_NAME	0x08u
#define CTL_IQN		0x10u
#define CTL_ENABLE	0x20u /* and --disable */
#define CTL_LUN		0x40u
#define CTL_CHAP	0x80u /* --chap-user, --secret-file, --off */
/* Its argument is a file of this machine, of any name. */
#define CTL_LOCAL 0x100u

extern const struct ctl_command ctl_disk_commands[];
extern const struct ctl_command ctl_target_commands[];
extern const struct ctl_command ctl_server_commands[];

/* Report a failure: what was tried, the error, what the transport said. */
int ctl_fail(struct ctl *ctl, HRESULT hr, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
int ctl_usage(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static inline bool ctl_failed(HRESULT hr)
{
	return (HRES_ERROR_V(hr) & 0x80000000u) != 0;
}

static inline bool ctl_is_ok(HRESULT hr)
{
	return HRES_ERROR_V(hr) == 0;
}

/* The object of a class; a failure has been reported and gives NULL. */
struct istm_object *ctl_class(struct ctl *ctl, const struct com_class *c,
			      const struct com_interface *interface);
/* An object from an [out] parameter. */
struct istm_object *ctl_object(struct ctl *ctl, struct istm_object *from,
			       const struct com_interface *interface,
			       struct MInterfacePointer *const *mip,
			       const char *what);

/* "64M", "1G", "512k", "1048576": bytes; false when malformed. */
bool ctl_parse_size(const char *text, uint64_t *bytes);
bool ctl_parse_number(const char *text, uint32_t max, uint32_t *value);

/* Both report failures and return NULL. */
struct istm_object *ctl_target(struct ctl *ctl, const char *name);
struct istm_object *ctl_disk(struct ctl *ctl, uint32_t index);

/* Of disk_file.c: on files of this machine. */
int ctl_disk_check(struct ctl *ctl);
int ctl_disk_repair(struct ctl *ctl);

#endif /* ISTMCTL_H */
