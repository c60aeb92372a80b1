/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How much space a disk takes and has left: a file system may let wait. */

#include <errno.h>
#include <stdlib.h>

#include "vhd/job.h"
#include "vhd/private.h"

struct space_work {
	struct vhd_file *file;
	struct vhd_space space;
	bool known;
};

struct space_state {
	struct vhd_space space;
};

static void space_free(void *data)
{
	struct space_work *work = data;

	vhd_file_unref(work->file);
	free(work);
}

static void space_work(struct vhd_job *job, void *data)
{
	struct space_work *work = data;

	work->known = vhd_file_space(work->file, &work->space);
}

static const struct vhd_job_ops space_ops = {
	.work = space_work,
	.free = space_free,
	.slow = true, /* a server of files that is away keeps only these */
};

static void space_done(struct tevent_req *subreq)
{
	struct tevent_req *req =
		tevent_req_callback_data(subreq, struct tevent_req);
	struct space_state *state = tevent_req_data(req, struct space_state);
	struct space_work *work = vhd_job_recv(subreq);

	if (work == NULL || !work->known) {
		tevent_req_error(req, EIO);
		return;
	}
	state->space = work->space;
	tevent_req_done(req);
}

struct tevent_req *vhd_space_send(TALLOC_CTX *mem_ctx,
				  struct tevent_context *ev,
				  const struct vhd_disk *disk)
{
	struct tevent_req *req, *subreq;
	struct space_state *state;
	struct space_work *work;

	req = tevent_req_create(mem_ctx, &state, struct space_state);
	if (req == NULL) {
		return NULL;
	}
	if (disk->file == NULL) {
		tevent_req_error(req, ENOTSUP);
		return tevent_req_post(req, ev);
	}
	work = calloc(1, sizeof(*work));
	if (tevent_req_nomem(work, req)) {
		return tevent_req_post(req, ev);
	}
	work->file = vhd_file_ref(disk->file);
	subreq = vhd_job_send(state, ev, &space_ops, work);
	if (tevent_req_nomem(subreq, req)) {
		return tevent_req_post(req, ev);
	}
	tevent_req_set_callback(subreq, space_done, req);
	return req;
}

int vhd_space_recv(struct tevent_req *req, struct vhd_space *space)
{
	struct space_state *state = tevent_req_data(req, struct space_state);
	int ret = vhd_recv_result(req, "", NULL, NULL);

	if (ret == 0) {
		*space = state->space;
	}
	tevent_req_received(req);
	return ret;
}
