/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Clients' paths and names, and the kernel's address messages. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/core/utf8.h"
#include "server/model/names.h"
#include "server/model/netlink.h"
#include "server/model/path.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What was accepted names nothing but plain components. */
static void check_path(const char *text, unsigned flags)
{
	const char *reason = NULL;
	struct path *path = path_parse(NULL, text, flags, &reason);

	if (path == NULL) {
		if (reason == NULL) {
			abort();
		}
		return;
	}
	for (size_t i = 0; i < path->num_components; i++) {
		const char *c = path->components[i];

		if (c[0] == '\0' || strcmp(c, ".") == 0 ||
		    strcmp(c, "..") == 0 || strpbrk(c, "/\\:") != NULL ||
		    !utf8_valid(c)) {
			abort();
		}
		path_match(c, c);
	}
	talloc_free(path);
}

static void check_names(const char *text)
{
	char *copy;

	if (name_valid_iscsi(text)) {
		copy = name_normalise_iscsi(NULL, text);
		if (!name_valid_iscsi(copy)) {
			abort();
		}
		talloc_free(copy);
	}
	if (name_valid_target(text)) {
		copy = name_generate_iqn(NULL, "host", text, 0);
		if (!name_valid_iscsi(copy)) {
			abort();
		}
		talloc_free(copy);
	}
	for (int method = 0; method <= 5; method++) {
		char *again;

		copy = name_canonical_id(NULL, method, text);
		if (copy == NULL) {
			continue;
		}
		again = name_canonical_id(NULL, method, copy);
		if (again == NULL || strcmp(copy, again) != 0) {
			fprintf(stderr, "%d: '%s' '%s' '%s'\n", method, text,
				copy, again == NULL ? "" : again);
			abort();
		}
		talloc_free(copy);
		talloc_free(again);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sockaddr_storage *addresses = NULL;
	TALLOC_CTX *mem = talloc_new(NULL);
	char *text = malloc(size + 1);
	size_t num = 0;

	memcpy(text, data, size);
	text[size] = '\0';
	check_path(text, 0);
	check_path(text, PATH_PATTERN);
	check_names(text);
	free(text);
	netlink_parse(mem, data, size, &addresses, &num);
	talloc_free(mem);
	return 0;
}
