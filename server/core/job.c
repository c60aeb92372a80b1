/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "server/core/job.h"

/* Shared with the threads, so plain malloc. */
struct job {
	struct job *next;
	void (*fn)(void *data);
	void (*free_data)(void *data);
	void *data;
	struct tevent_req *req; /* main thread; NULL: nobody waits */
	bool finished;		/* main thread */
};

struct job_queue {
	struct job *first, **last;
};

struct job_pool {
	pthread_mutex_t mutex;
	pthread_cond_t work;
	/* under the mutex */
	struct job_queue waiting, finished;
	unsigned num_waiting;
	unsigned idle; /* threads, also those that have been woken up */
	bool stop;
	pthread_t *threads;
	unsigned num_threads, max_threads;
	int event_fd;
	struct tevent_fd *fde;
};

struct job_state {
	struct job *job; /* NULL: the pool is gone */
};

static void queue_init(struct job_queue *queue)
{
	queue->first = NULL;
	queue->last = &queue->first;
}

static void queue_put(struct job_queue *queue, struct job *job)
{
	job->next = NULL;
	*queue->last = job;
	queue->last = &job->next;
}

static struct job *queue_get(struct job_queue *queue)
{
	struct job *job = queue->first;

	if (job != NULL) {
		queue->first = job->next;
		if (queue->first == NULL) {
			queue->last = &queue->first;
		}
	}
	return job;
}

static void job_free(struct job *job)
{
	if (job->free_data != NULL) {
		job->free_data(job->data);
	}
	free(job);
}

static void job_signal(struct job_pool *pool)
{
	const uint64_t one = 1;

	if (write(pool->event_fd, &one, sizeof(one)) < 0) {
		/* The counter is full: readable, which is all we want. */
		return;
	}
}

static void *job_thread(void *private_data)
{
	struct job_pool *pool = private_data;

	pthread_mutex_lock(&pool->mutex);
	while (!pool->stop) {
		struct job *job = queue_get(&pool->waiting);

		if (job == NULL) {
			pool->idle++;
			pthread_cond_wait(&pool->work, &pool->mutex);
			pool->idle--;
			continue;
		}
		pool->num_waiting--;
		pthread_mutex_unlock(&pool->mutex);
		job->fn(job->data);
		pthread_mutex_lock(&pool->mutex);
		queue_put(&pool->finished, job);
		job_signal(pool);
	}
	pthread_mutex_unlock(&pool->mutex);
	return NULL;
}

static void job_finished(struct tevent_context *ev, struct tevent_fd *fde,
			 uint16_t flags, void *private_data)
{
	struct job_pool *pool =
		talloc_get_type_abort(private_data, struct job_pool);
	struct job *job;
	uint64_t count;
	bool more;

	if (read(pool->event_fd, &count, sizeof(count)) < 0) {
		return;
	}
	pthread_mutex_lock(&pool->mutex);
	job = queue_get(&pool->finished);
	more = pool->finished.first != NULL;
	pthread_mutex_unlock(&pool->mutex);
	if (more) {
		/* Not in a loop here: the callback may free the pool. */
		job_signal(pool);
	}
	if (job == NULL) {
		return;
	}
	if (job->req == NULL) {
		job_free(job);
		return;
	}
	job->finished = true;
	tevent_req_done(job->req);
}

static int job_pool_destructor(struct job_pool *pool)
{
	struct job *job;

	pthread_mutex_lock(&pool->mutex);
	pool->stop = true;
	pthread_cond_broadcast(&pool->work);
	pthread_mutex_unlock(&pool->mutex);
	for (unsigned i = 0; i < pool->num_threads; i++) {
		pthread_join(pool->threads[i], NULL);
	}
	TALLOC_FREE(pool->fde);
	/* Requests may outlive the pool, then without an answer. */
	while ((job = queue_get(&pool->waiting)) != NULL ||
	       (job = queue_get(&pool->finished)) != NULL) {
		if (job->req != NULL) {
			struct job_state *state =
				tevent_req_data(job->req, struct job_state);

			state->job = NULL;
		}
		job_free(job);
	}
	close(pool->event_fd);
	pthread_cond_destroy(&pool->work);
	pthread_mutex_destroy(&pool->mutex);
	return 0;
}

struct job_pool *job_pool_create(TALLOC_CTX *mem_ctx, struct tevent_context *ev,
				 unsigned threads)
{
	struct job_pool *pool = talloc_zero(mem_ctx, struct job_pool);

	if (pool == NULL) {
		errno = ENOMEM;
		return NULL;
	}
	pool->max_threads = threads;
	pool->threads = talloc_zero_array(pool, pthread_t, threads);
	pool->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (pool->threads == NULL || pool->event_fd < 0) {
		int error = pool->event_fd < 0 ? errno : ENOMEM;

		if (pool->event_fd >= 0) {
			close(pool->event_fd);
		}
		talloc_free(pool);
		errno = error;
		return NULL;
	}
	pthread_mutex_init(&pool->mutex, NULL);
	pthread_cond_init(&pool->work, NULL);
	queue_init(&pool->waiting);
	queue_init(&pool->finished);
	talloc_set_destructor(pool, job_pool_destructor);
	pool->fde = tevent_add_fd(ev, pool, pool->event_fd, TEVENT_FD_READ,
				  job_finished, pool);
	if (pool->fde == NULL) {
		talloc_free(pool);
		errno = ENOMEM;
		return NULL;
	}
	return pool;
}

static int job_state_destructor(struct job_state *state)
{
	if (state->job == NULL) {
		return 0;
	}
	if (state->job->finished) {
		job_free(state->job);
	} else {
		/* A thread may have it: freed when it comes back. */
		state->job->req = NULL;
	}
	state->job = NULL;
	return 0;
}

/*
 * Hand the job to a thread, a new one where all that are idle have been woken
 * up for others. @return false: there is none, and none can be made
 */
static bool pool_put(struct job_pool *pool, struct job *job)
{
	bool ok;

	pthread_mutex_lock(&pool->mutex);
	if (pool->num_waiting >= pool->idle &&
	    pool->num_threads < pool->max_threads &&
	    pthread_create(&pool->threads[pool->num_threads], NULL, job_thread,
			   pool) == 0) {
		pool->num_threads++;
	}
	ok = pool->num_threads > 0;
	if (ok) {
		queue_put(&pool->waiting, job);
		pool->num_waiting++;
		pthread_cond_signal(&pool->work);
	}
	pthread_mutex_unlock(&pool->mutex);
	return ok;
}

struct tevent_req *job_send(TALLOC_CTX *mem_ctx, struct tevent_context *ev,
			    struct job_pool *pool, void (*fn)(void *data),
			    void (*free_data)(void *data), void *data)
{
	struct job_state *state;
	struct tevent_req *req =
		tevent_req_create(mem_ctx, &state, struct job_state);
	struct job *job;

	if (req == NULL) {
		if (free_data != NULL) {
			free_data(data);
		}
		return NULL;
	}
	job = calloc(1, sizeof(*job));
	if (job == NULL) {
		if (free_data != NULL) {
			free_data(data);
		}
		tevent_req_error(req, ENOMEM);
		return tevent_req_post(req, ev);
	}
	*job = (struct job){
		.fn = fn,
		.free_data = free_data,
		.data = data,
		.req = req,
	};
	if (!pool_put(pool, job)) {
		job_free(job);
		tevent_req_error(req, EAGAIN);
		return tevent_req_post(req, ev);
	}
	state->job = job;
	talloc_set_destructor(state, job_state_destructor);
	return req;
}

int job_recv(struct tevent_req *req, void **data)
{
	struct job_state *state = tevent_req_data(req, struct job_state);
	enum tevent_req_state req_state;
	uint64_t error;

	*data = NULL;
	if (tevent_req_is_error(req, &req_state, &error)) {
		return req_state == TEVENT_REQ_USER_ERROR ? (int)error : ENOMEM;
	}
	*data = state->job->data;
	return 0;
}
