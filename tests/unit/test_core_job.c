/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The pool of threads for what may block: whatever waits has a thread as long
 * as there may be more of them.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <cmocka.h>

#include "server/core/job.h"

/* Only for a pool that is wrong: nothing takes that long. */
#define PATIENCE 20 /* seconds */

struct fixture {
	TALLOC_CTX *mem;
	struct tevent_context *ev;
	struct job_pool *pool;
};

static void setup(struct fixture *f, unsigned threads)
{
	f->mem = talloc_new(NULL);
	f->ev = tevent_context_init(f->mem);
	assert_non_null(f->ev);
	f->pool = job_pool_create(f->mem, f->ev, threads);
	assert_non_null(f->pool);
}

/* Several jobs that all have to be on their way before one ends. */
struct meeting {
	pthread_mutex_t mutex;
	pthread_cond_t cond;
	unsigned wanted, there;
	bool missed;
};

static void meet(void *data)
{
	struct meeting *m = *(struct meeting **)data;
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += PATIENCE;
	pthread_mutex_lock(&m->mutex);
	m->there++;
	pthread_cond_broadcast(&m->cond);
	while (m->there < m->wanted && !m->missed) {
		m->missed = pthread_cond_timedwait(&m->cond, &m->mutex,
						   &until) != 0;
	}
	pthread_mutex_unlock(&m->mutex);
}

static struct tevent_req *send_to_meeting(struct fixture *f, struct meeting *m)
{
	struct meeting **data = malloc(sizeof(*data));
	struct tevent_req *req;

	assert_non_null(data);
	*data = m;
	req = job_send(f->mem, f->ev, f->pool, meet, free, data);
	assert_non_null(req);
	return req;
}

static void hold_meeting(struct fixture *f, unsigned wanted)
{
	struct meeting m = {
		.mutex = PTHREAD_MUTEX_INITIALIZER,
		.cond = PTHREAD_COND_INITIALIZER,
		.wanted = wanted,
	};
	struct tevent_req *reqs[4];
	void *data;

	for (unsigned i = 0; i < wanted; i++) {
		reqs[i] = send_to_meeting(f, &m);
	}
	for (unsigned i = 0; i < wanted; i++) {
		assert_true(tevent_req_poll(reqs[i], f->ev));
		assert_int_equal(job_recv(reqs[i], &data), 0);
		assert_non_null(data);
		talloc_free(reqs[i]);
	}
	assert_false(m.missed);
}

static void test_jobs_run_at_once(void **state)
{
	struct fixture f;

	setup(&f, 4);
	hold_meeting(&f, 4);
	talloc_free(f.mem);
}

/* A thread that waits for work has not taken the job it was woken for yet when
 * the next one comes: that one needs another thread. */
static void test_idle_thread_is_counted_once(void **state)
{
	struct fixture f;

	setup(&f, 4);
	for (unsigned i = 0; i < 50; i++) {
		hold_meeting(&f, 1);
		hold_meeting(&f, 2);
		TALLOC_FREE(f.pool);
		f.pool = job_pool_create(f.mem, f.ev, 4);
		assert_non_null(f.pool);
	}
	talloc_free(f.mem);
}

/* More than there are threads wait for their turn. */
static void test_more_jobs_than_threads(void **state)
{
	struct meeting m = {
		.mutex = PTHREAD_MUTEX_INITIALIZER,
		.cond = PTHREAD_COND_INITIALIZER,
		.wanted = 1,
	};
	struct tevent_req *reqs[100];
	struct fixture f;
	void *data;

	setup(&f, 2);
	for (unsigned i = 0; i < 100; i++) {
		reqs[i] = send_to_meeting(&f, &m);
	}
	for (unsigned i = 0; i < 100; i++) {
		assert_true(tevent_req_poll(reqs[i], f.ev));
		assert_int_equal(job_recv(reqs[i], &data), 0);
	}
	assert_int_equal(m.there, 100);
	talloc_free(f.mem);
}

static unsigned freed;

static void count_freed(void *data)
{
	freed++;
	free(data);
}

static void nothing(void *data)
{
}

/* What nobody waits for any more is freed all the same, by the pool at last. */
static void test_given_up(void **state)
{
	struct fixture f;

	setup(&f, 1);
	freed = 0;
	for (unsigned i = 0; i < 10; i++) {
		struct tevent_req *req = job_send(f.mem, f.ev, f.pool, nothing,
						  count_freed, malloc(1));

		assert_non_null(req);
		talloc_free(req);
	}
	TALLOC_FREE(f.pool);
	assert_int_equal(freed, 10);
	talloc_free(f.mem);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_jobs_run_at_once),
		cmocka_unit_test(test_idle_thread_is_counted_once),
		cmocka_unit_test(test_more_jobs_than_threads),
		cmocka_unit_test(test_given_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
