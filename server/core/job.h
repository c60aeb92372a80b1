/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Work that may block (fsync of a directory, reading a slow device) on a
 * small pool of threads, completed on the main loop.
 */
#ifndef ISTM_CORE_JOB_H
#define ISTM_CORE_JOB_H

#include <talloc.h>
#include <tevent.h>

struct job_pool;

/*
 * @param threads at most so many at once; they are started when needed
 * talloc_free() waits for the work under way and drops what waits.
 * @return NULL with errno set
 */
struct job_pool *job_pool_create(TALLOC_CTX *mem_ctx, struct tevent_context *ev,
				 unsigned threads);

/*
 * Run fn(data) on a thread. @data must be malloc'ed; free_data(data) is called
 * when it has run and the result was taken, or when nobody waits any more.
 * fn must not touch talloc, tevent or the log. Jobs that there are no threads
 * for wait for their turn.
 */
struct tevent_req *job_send(TALLOC_CTX *mem_ctx, struct tevent_context *ev,
			    struct job_pool *pool, void (*fn)(void *data),
			    void (*free_data)(void *data), void *data);
/* @return 0 or errno (EAGAIN: no thread for it); @data stays valid until the
 * request is freed */
int job_recv(struct tevent_req *req, void **data);

#endif /* ISTM_CORE_JOB_H */
