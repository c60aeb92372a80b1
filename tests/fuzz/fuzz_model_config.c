/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What smb.conf says in istm:portals and istm:redirect, a line an entry. */
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
	check_redirects(mem, entries);
	talloc_free(mem);
	return 0;
}
