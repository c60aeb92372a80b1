/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Worker threads. A job is shared by its request and its worker, reference
 * counted, plain malloc memory: talloc is not for two threads. The worker
 * tells the loop through the job's eventfd. (tevent_threaded_context would
 * have to outlive every worker, which a cancelled job's does not care about.)
 */

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "vhd/job.h"

#define THREADS_MAX  6
#define SLOW_MAX     2 /* of them */
#define COPIES_MAX   2 /* of the others */
#define SLOW_NICE    10
#define IDLE_SECONDS 10

struct vhd_job {
	_Atomic unsigned refs;
	const struct vhd_job_ops *ops;
	void *data;
	int eventfd;
	_Atomic bool cancelled, finished;
	_Atomic unsigned percent;
	struct vhd_job *next; /* in the queue */
};

static struct {
	pthread_mutex_t lock;
	pthread_cond_t work;
	struct vhd_job *first, *last;
	unsigned threads, idle, slow, copies, queued;
} pool = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.work = PTHREAD_COND_INITIALIZER,
};

static void job_unref(struct vhd_job *job)
{
	if (atomic_fetch_sub(&job->refs, 1) != 1) {
		return;
	}
	job->ops->free(job->data);
	if (job->eventfd >= 0) {
		close(job->eventfd);
	}
	free(job);
}

static void job_notify(struct vhd_job *job)
{
	uint64_t one = 1;
	ssize_t n;

	if (job->eventfd < 0) {
		return; /* posted: nobody listens */
	}
	do {
		n = write(job->eventfd, &one, sizeof(one));
	} while (n < 0 && errno == EINTR);
}

/* ---- the pool ---- */

/* Count @n of a job's kind in, or out. The lock is held. */
static void pool_count(const struct vhd_job_ops *ops, int n)
{
	pool.slow += ops->slow ? (unsigned)n : 0;
	pool.copies += ops->copies ? (unsigned)n : 0;
}

/* Take the first job that may run. The lock is held. */
static struct vhd_job *pool_take(void)
{
	struct vhd_job *job, *prev = NULL;

	for (job = pool.first; job != NULL; prev = job, job = job->next) {
		if ((job->ops->slow && pool.slow >= SLOW_MAX) ||
		    (job->ops->copies && pool.copies >= COPIES_MAX)) {
			continue;
		}
		if (prev != NULL) {
			prev->next = job->next;
		} else {
			pool.first = job->next;
		}
		if (pool.last == job) {
			pool.last = prev;
		}
		pool_count(job->ops, 1);
		pool.queued--;
		return job;
	}
	return NULL;
}

/* What takes long yields to lanes that want the processor. Who may not raise
 * a priority again (not root) leaves it lowered: the thread ends when idle. */
static void job_work(struct vhd_job *job)
{
	id_t self = (id_t)gettid();
	int nice;

	if (!job->ops->slow && !job->ops->copies) {
		job->ops->work(job, job->data);
		return;
	}
	nice = getpriority(PRIO_PROCESS, self);
	setpriority(PRIO_PROCESS, self, nice + SLOW_NICE);
	job->ops->work(job, job->data);
	setpriority(PRIO_PROCESS, self, nice);
}

static void job_run(struct vhd_job *job)
{
	if (!atomic_load(&job->cancelled)) {
		job_work(job);
	}
	atomic_store(&job->finished, true);
	job_notify(job);
}

static void *pool_thread(void *arg)
{
	pthread_mutex_lock(&pool.lock);
	for (;;) {
		struct vhd_job *job = pool_take();
		struct timespec until;
		int ret;

		if (job != NULL) {
			const struct vhd_job_ops *ops = job->ops;

			pthread_mutex_unlock(&pool.lock);
			job_run(job);
			job_unref(job);
			pthread_mutex_lock(&pool.lock);
			pool_count(ops, -1);
			if (ops->slow || ops->copies) {
				pthread_cond_signal(&pool.work);
			}
			continue;
		}
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec += IDLE_SECONDS;
		pool.idle++;
		ret = pthread_cond_timedwait(&pool.work, &pool.lock, &until);
		pool.idle--;
		if (ret == ETIMEDOUT && pool.first == NULL) {
			break;
		}
	}
	pool.threads--;
	pthread_mutex_unlock(&pool.lock);
	return NULL;
}

/* The lock is held. @return 0 or errno */
static int pool_add_thread(void)
{
	pthread_attr_t attr;
	pthread_t thread;
	int ret;

	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	ret = pthread_create(&thread, &attr, pool_thread, NULL);
	pthread_attr_destroy(&attr);
	if (ret == 0) {
		pool.threads++;
	}
	return ret;
}

static int pool_queue(struct vhd_job *job)
{
	int ret = 0;

	pthread_mutex_lock(&pool.lock);
	if (pool.queued >= pool.idle && pool.threads < THREADS_MAX) {
		ret = pool_add_thread();
		if (pool.threads > 0) {
			ret = 0; /* one of the others will do it */
		}
	}
	if (ret == 0) {
		job->next = NULL;
		if (pool.last != NULL) {
			pool.last->next = job;
		} else {
			pool.first = job;
		}
		pool.last = job;
		pool.queued++;
		pthread_cond_signal(&pool.work);
	}
	pthread_mutex_unlock(&pool.lock);
	return ret;
}

int vhd_job_post(const struct vhd_job_ops *ops, void *data)
{
	struct vhd_job *job = calloc(1, sizeof(*job));
	int ret;

	if (job == NULL) {
		ops->free(data);
		return ENOMEM;
	}
	job->eventfd = -1;
	job->ops = ops;
	job->data = data;
	atomic_init(&job->refs, 1);
	ret = pool_queue(job);
	if (ret != 0) {
		job_unref(job);
	}
	return ret;
}

int vhd_job_post_request(const struct vhd_job_ops *ops, struct vhd_req *req)
{
	struct vhd_req **data = malloc(sizeof(*data));

	if (data == NULL) {
		return ENOMEM;
	}
	*data = req;
	return vhd_job_post(ops, data);
}

/* ---- the request ---- */

struct job_state {
	struct tevent_req *req;
	struct vhd_job *job;
	struct tevent_fd *fde;
	unsigned percent;
	void (*progress)(unsigned percent, void *private_data);
	void *private_data;
};

static int job_state_destructor(struct job_state *state)
{
	TALLOC_FREE(state->fde);
	if (state->job != NULL) {
		atomic_store(&state->job->cancelled, true);
		job_unref(state->job);
	}
	return 0;
}

static void job_ready(struct tevent_context *ev, struct tevent_fd *fde,
		      uint16_t flags, void *private_data)
{
	struct job_state *state =
		talloc_get_type_abort(private_data, struct job_state);
	struct vhd_job *job = state->job;
	bool finished;
	unsigned percent;
	uint64_t count;

	if (read(job->eventfd, &count, sizeof(count)) < 0) {
		return; /* EAGAIN */
	}
	finished = atomic_load(&job->finished);
	percent = atomic_load(&job->percent);
	if (finished) {
		TALLOC_FREE(state->fde);
		tevent_req_done(state->req);
		return;
	}
	if (percent != state->percent) {
		state->percent = percent;
		if (state->progress != NULL) {
			state->progress(percent, state->private_data);
		}
	}
}

struct tevent_req *vhd_job_send(TALLOC_CTX *mem_ctx, struct tevent_context *ev,
				const struct vhd_job_ops *ops, void *data)
{
	struct tevent_req *req;
	struct job_state *state;
	struct vhd_job *job;
	int ret;

	req = tevent_req_create(mem_ctx, &state, struct job_state);
	job = calloc(1, sizeof(*job));
	if (req == NULL || job == NULL) {
		goto nomem;
	}
	job->eventfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (job->eventfd < 0) {
		goto nomem;
	}
	job->ops = ops;
	job->data = data;
	atomic_init(&job->refs, 1);
	state->req = req;
	state->job = job;
	talloc_set_destructor(state, job_state_destructor);
	state->fde = tevent_add_fd(ev, state, job->eventfd, TEVENT_FD_READ,
				   job_ready, state);
	if (tevent_req_nomem(state->fde, req)) {
		return tevent_req_post(req, ev);
	}
	atomic_fetch_add(&job->refs, 1);
	ret = pool_queue(job);
	if (ret != 0) {
		job_unref(job);
		tevent_req_error(req, (uint64_t)ret);
		return tevent_req_post(req, ev);
	}
	return req;
nomem:
	free(job);
	talloc_free(req);
	ops->free(data);
	return NULL;
}

void vhd_job_set_progress(struct tevent_req *req,
			  void (*progress)(unsigned percent,
					   void *private_data),
			  void *private_data)
{
	struct job_state *state = tevent_req_data(req, struct job_state);

	state->progress = progress;
	state->private_data = private_data;
}

void *vhd_job_recv(struct tevent_req *req)
{
	struct job_state *state = tevent_req_data(req, struct job_state);
	enum tevent_req_state req_state;
	uint64_t error;

	if (tevent_req_is_error(req, &req_state, &error)) {
		errno = req_state == TEVENT_REQ_USER_ERROR ? (int)error
							   : ENOMEM;
		return NULL;
	}
	return state->job->data;
}

bool vhd_job_cancelled(struct vhd_job *job)
{
	return atomic_load(&job->cancelled);
}

void vhd_job_progress(struct vhd_job *job, unsigned percent)
{
	if (atomic_exchange(&job->percent, percent) != percent) {
		job_notify(job);
	}
}
