/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store_helpers.h"

int st_setup(void **state)
{
	struct st *st = calloc(1, sizeof(*st));
	const char *tmp = getenv("TMPDIR");

	snprintf(st->dir, sizeof(st->dir), "%s/store-XXXXXX",
		 tmp != NULL ? tmp : "/tmp");
	assert_non_null(mkdtemp(st->dir));
	snprintf(st->path, sizeof(st->path), "%s/istm.tdb", st->dir);
	st->mem = talloc_new(NULL);
	st->ev = tevent_context_init(st->mem);
	*state = st;
	return 0;
}

int st_teardown(void **state)
{
	struct st *st = *state;
	char command[400];

	talloc_free(st->mem);
	snprintf(command, sizeof(command), "rm -rf '%s'", st->dir);
	assert_int_equal(system(command), 0);
	free(st);
	return 0;
}

static bool st_load(const char *key, const uint8_t *data, size_t length,
		    void *private_data)
{
	struct st *st = private_data;
	size_t at = strlen(st->found);

	if (at + strlen(key) + length + 8 < sizeof(st->found)) {
		snprintf(st->found + at, sizeof(st->found) - at, ";%s=%.*s;",
			 key, (int)length, (const char *)data);
	}
	st->num_found++;
	return true;
}

int st_open(struct st *st)
{
	st->found[0] = '\0';
	st->num_found = 0;
	return store_open(st->mem, st->ev, st->path, st_load, st, &st->store);
}

void st_close(struct st *st)
{
	TALLOC_FREE(st->store);
}

int st_commit_many(struct st *st, const struct store_change *changes,
		   size_t num)
{
	struct tevent_req *req =
		store_commit_send(st->mem, st->ev, st->store, changes, num);
	int error;

	assert_non_null(req);
	assert_true(tevent_req_poll(req, st->ev));
	error = store_commit_recv(req);
	talloc_free(req);
	return error;
}

int st_commit(struct st *st, const char *key, const char *value)
{
	struct store_change change = {
		.key = key,
		.data = (const uint8_t *)value,
		.length = value == NULL ? 0 : strlen(value),
	};

	return st_commit_many(st, &change, 1);
}

bool st_has(const struct st *st, const char *key, const char *value)
{
	char text[1024];

	snprintf(text, sizeof(text), ";%s=%s;", key, value);
	return strstr(st->found, text) != NULL;
}
