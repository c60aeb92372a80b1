/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A store in a temporary folder, commits made synchronous. */
#ifndef STORE_HELPERS_H
#define STORE_HELPERS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "server/store/store.h"

struct st {
	TALLOC_CTX *mem;
	struct tevent_context *ev;
	struct store *store;
	char dir[256], path[300];
	/* What the last opening found, "key=value;" in no order. */
	char found[65536];
	unsigned num_found;
};

int st_setup(void **state);
int st_teardown(void **state);
int st_open(struct st *st);
void st_close(struct st *st);
/* Key, value, …, NULL; a NULL value deletes. @return 0 or errno */
int st_commit(struct st *st, const char *key, const char *value);
int st_commit_many(struct st *st, const struct store_change *changes,
		   size_t num);
bool st_has(const struct st *st, const char *key, const char *value);

#endif /* STORE_HELPERS_H */
