/* SPDX-License-Identifier: GPL-3.0-or-later */
/* istm:redirect: logins that are sent elsewhere (RFC 7143 11.13.5). */
#include <string.h>

#include "server/model/names.h"
#include "server/model/private.h"

static bool parse(TALLOC_CTX *mem_ctx, struct iscsi_redirect *r,
		  const char *option, const char *entry)
{
	char *from = talloc_strdup(mem_ctx, entry), *to;

	to = from != NULL ? strchr(from, '=') : NULL;
	if (to != NULL) {
		*to++ = '\0';
	}
	if (to == NULL || *to == '\0' || strchr(to, ',') != NULL) {
		log_msg(LOG_ERROR, "istm:%s: '%s' is no FROM=TO", option,
			entry);
		return false;
	}
	r->to = to;
	if (name_valid_iscsi(from)) {
		r->target = from;
		return true;
	}
	if (!name_parse_address(from, &r->portal)) {
		log_msg(LOG_ERROR,
			"istm:%s: '%s' is neither a target's name nor an "
			"address",
			option, from);
		return false;
	}
	return true;
}

static bool add(TALLOC_CTX *mem_ctx, struct iscsi_server_config *config,
		const char *option, const char **entries, bool permanent)
{
	for (size_t i = 0; entries != NULL && entries[i] != NULL; i++) {
		struct iscsi_redirect *list = talloc_realloc(
			mem_ctx, (struct iscsi_redirect *)config->redirects,
			struct iscsi_redirect, config->num_redirects + 1);
		struct iscsi_redirect *r;

		if (list == NULL) {
			return false;
		}
		config->redirects = list;
		r = &list[config->num_redirects++];
		memset(r, 0, sizeof(*r));
		r->permanent = permanent;
		if (!parse(mem_ctx, r, option, entries[i])) {
			return false;
		}
	}
	return true;
}

bool redirects_configured(TALLOC_CTX *mem_ctx,
			  const struct model_options *options,
			  struct iscsi_server_config *config)
{
	return add(mem_ctx, config, "redirect", options->redirect, false) &&
	       add(mem_ctx, config, "redirect permanently",
		   options->redirect_permanently, true);
}
