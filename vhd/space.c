/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How much space a disk takes and has left, asked now and then: a file system
 * may let wait. At the same time its parents are looked at. They are open and
 * locked, but locks bind only those who ask for them, and a disk whose parent
 * is written to is a mixture of two.
 */

#include <errno.h>
#include <stdlib.h>

#include "vhd/job.h"
#include "vhd/private.h"

struct space_work {
	struct vhd_file *file;
	struct vhd_file **parents; /* of the whole chain */
	unsigned parent_count;
	struct vhd_space space;
	bool known;
};

struct space_state {
	struct vhd_space space;
};

static void space_free(void *data)
{
	struct space_work *work = data;
	unsigned i;

	for (i = 0; i < work->parent_count; i++) {
		vhd_file_unref(work->parents[i]);
	}
	free(work->parents);
	vhd_file_unref(work->file);
	free(work);
}

/* @return false: no memory */
static bool space_add_parents(struct space_work *work,
			      const struct vhd_disk *disk)
{
	const struct vhd_disk *d;
	unsigned n = 0;

	for (d = disk->parent; d != NULL; d = d->parent) {
		n++;
	}
	if (n == 0) {
		return true;
	}
	work->parents = calloc(n, sizeof(work->parents[0]));
	if (work->parents == NULL) {
		return false;
	}
	for (d = disk->parent; d != NULL; d = d->parent) {
		work->parents[work->parent_count++] = vhd_file_ref(d->file);
	}
	return true;
}

static void look_at_parents(const struct space_work *work)
{
	char how[VHD_WHY_MAX];
	unsigned i;

	for (i = 0; i < work->parent_count; i++) {
		if (!vhd_file_was_changed(work->parents[i], how, sizeof(how)) ||
		    atomic_exchange(&work->file->parent_changed, true)) {
			continue;
		}
		vhd_log(0,
			"vhd: %s: its parent %s has been changed by somebody "
			"who ignores its lock: it was %s: nothing is read or "
			"written any more until the disk is opened again",
			work->file->name, work->parents[i]->name, how);
	}
}

static void space_work(struct vhd_job *job, void *data)
{
	struct space_work *work = data;

	look_at_parents(work);
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
	if (!space_add_parents(work, disk)) {
		space_free(work);
		tevent_req_oom(req);
		return tevent_req_post(req, ev);
	}
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
