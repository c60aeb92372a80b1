/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Jobs: work that blocks, run on a bounded number of worker threads for a
 * tevent loop that must not.
 */
#ifndef ISTM_VHD_JOB_H
#define ISTM_VHD_JOB_H

#include <stdbool.h>
#include <talloc.h>
#include <tevent.h>

struct vhd_job;
struct vhd_req;

struct vhd_job_ops {
	/* Worker thread. @data belongs to it until it returns. */
	void (*work)(struct vhd_job *job, void *data);
	/*
	 * Free @data and what it still holds. Runs on whichever thread lets
	 * go last; so @data is not talloc memory.
	 */
	void (*free)(void *data);
	/* May take minutes: few of these run at a time, so that short jobs
	 * need not wait for them. */
	bool slow;
	/* Copies of a request's data. Few at a time, but they wait for no slow
	 * ones: those may be waiting for the request. */
	bool copies;
};

/*
 * Run ops->work on a worker thread, then done(req) on @ev's loop. The
 * subrequest's *_recv is vhd_job_recv(). Freeing the request cancels.
 */
struct tevent_req *vhd_job_send(TALLOC_CTX *mem_ctx, struct tevent_context *ev,
				const struct vhd_job_ops *ops, void *data);

/*
 * Run ops->work and tell nobody but what it tells itself. For lanes, whose
 * loops are not for requests. @return 0 or errno, @data then freed
 */
int vhd_job_post(const struct vhd_job_ops *ops, void *data);

/* The same for a request: @data points to a pointer to it, and ops->free is
 * free(). Of no thread and no memory nobody but the caller hears. */
int vhd_job_post_request(const struct vhd_job_ops *ops, struct vhd_req *req);

/* Called on the loop with the latest value whenever it has changed. */
void vhd_job_set_progress(struct tevent_req *req,
			  void (*progress)(unsigned percent,
					   void *private_data),
			  void *private_data);

/* @return the job's data, valid until the request is freed, or NULL when no
 * thread could be had (errno) */
void *vhd_job_recv(struct tevent_req *req);

/* For work(): has the request been freed? */
bool vhd_job_cancelled(struct vhd_job *job);
void vhd_job_progress(struct vhd_job *job, unsigned percent);

#endif /* ISTM_VHD_JOB_H */
