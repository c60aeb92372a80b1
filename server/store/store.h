/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The model's persistence: records under string keys in a TDB (istm.tdb, mode
 * 0600: CHAP secrets are in it). A thread owns the TDB. It takes all commits
 * that wait, does them as one transaction and syncs it, so that many clients
 * share one fsync; a commit is answered when its transaction is on disk.
 *
 * Main thread only.
 */
#ifndef ISTM_STORE_H
#define ISTM_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <talloc.h>
#include <tevent.h>

struct store;

/* One record at opening; false stops. */
typedef bool (*store_load_fn)(const char *key, const uint8_t *data,
			      size_t length, void *private_data);

/*
 * Open or create the store and hand all its records to @load. Reads the whole
 * file: for the start, before anyone is served. Another process that has the
 * store open is a refusal. talloc_free() finishes all commits, then closes.
 * @return 0, or errno with the reason logged; ECANCELED when @load stopped
 */
int store_open(TALLOC_CTX *mem_ctx, struct tevent_context *ev, const char *path,
	       store_load_fn load, void *private_data, struct store **store);

struct store_change {
	const char *key;
	const uint8_t *data; /* NULL: delete the record */
	size_t length;
};

/*
 * All changes, or on error none. Commits take effect in the order in which
 * they were sent. Freeing the request takes nothing back.
 */
struct tevent_req *store_commit_send(TALLOC_CTX *mem_ctx,
				     struct tevent_context *ev,
				     struct store *store,
				     const struct store_change *changes,
				     size_t num_changes);
/* @return 0 or errno (ENOSPC, EIO…), already logged */
int store_commit_recv(struct tevent_req *req);

#endif /* ISTM_STORE_H */
