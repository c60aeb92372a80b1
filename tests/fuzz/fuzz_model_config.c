/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What smb.conf says in istm:portals, istm:portal group N and istm:redirect, a
 * line an entry. */
#include <stdlib.h>
#include <string.h>

#include "server/model/names.h"
#include "server/model/private.h"

#define ENTRIES 16

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_portal(const char *text)
{
	struct sockaddr_storage addr;
	uint16_t port;

	if (name_parse_portal(text, &addr, &port) &&
	    addr.ss_family != AF_INET && addr.ss_family != AF_INET6) {
		abort();
	}
}

/* The first half of the lines is one group's networks, the other another's; the
 * last line is how well that is reached, too. */
static void check_groups(TALLOC_CTX *mem_ctx, const char **entries, size_t n)
{
	const char *first[ENTRIES + 1] = {NULL};
	struct model_portal_group_config config[] = {
		{.tag = 2, .networks = first, .access = "standby"},
		{.tag = 3, .networks = entries + n / 2},
	};
	struct model_options options = {.portal_groups = config,
					.num_portal_groups = 2};
	struct portal_groups *groups;
	struct sockaddr_storage addr;
	uint16_t port, tag;

	memcpy(first, entries, n / 2 * sizeof(entries[0]));
	config[1].access = n > 0 ? entries[n - 1] : NULL;
	for (unsigned i = 0; i < 2; i++, config[1].access = NULL) {
		groups = portal_groups_parse(mem_ctx, &options);
		if (groups == NULL) {
			continue;
		}
		for (size_t k = 0; k < n; k++) {
			if (!name_parse_portal(entries[k], &addr, &port)) {
				continue;
			}
			tag = portal_group_of(groups, &addr);
			if (tag < 1 || tag > 3) {
				abort();
			}
		}
		talloc_free(groups);
	}
}

static void check_redirects(TALLOC_CTX *mem_ctx, const char **entries)
{
	struct model_options options = {.redirect = entries,
					.redirect_permanently = entries};
	struct iscsi_server_config config = {0};

	if (!redirects_configured(mem_ctx, &options, &config)) {
		return;
	}
	for (size_t i = 0; i < config.num_redirects; i++) {
		const struct iscsi_redirect *r = &config.redirects[i];

		if (r->to == NULL || r->to[0] == '\0' ||
		    strchr(r->to, ',') != NULL ||
		    (r->target == NULL) == (r->portal.ss_family == 0)) {
			abort();
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	TALLOC_CTX *mem = talloc_new(NULL);
	char *text = talloc_strndup(mem, (const char *)data, size), *save;
	const char *entries[ENTRIES + 1] = {NULL};
	size_t n = 0;
	char *line;

	for (line = strtok_r(text, "\n", &save); line != NULL && n < ENTRIES;
	     line = strtok_r(NULL, "\n", &save)) {
		check_portal(line);
		entries[n++] = line;
	}
	check_groups(mem, entries, n);
	check_redirects(mem, entries);
	talloc_free(mem);
	return 0;
}
