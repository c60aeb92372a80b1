/* SPDX-License-Identifier: GPL-3.0-or-later */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vhd/work.h"

void *vhd_work_new(size_t size, int fd, const char *name)
{
	struct vhd_work *work = calloc(1, size);

	if (work == NULL) {
		close(fd);
		return NULL;
	}
	work->fd = fd;
	work->name = strdup(name);
	if (work->name == NULL) {
		vhd_work_free(work);
		return NULL;
	}
	return work;
}

void vhd_work_free(struct vhd_work *work)
{
	vhd_file_unref(work->file);
	if (work->fd >= 0) {
		close(work->fd);
	}
	free(work->name);
	free(work);
}

int vhd_work_open(struct vhd_work *work, bool readonly, bool lock)
{
	work->file = vhd_file_open(work->fd, work->name, readonly, work->why,
				   sizeof(work->why));
	work->fd = -1;
	if (work->file == NULL) {
		return errno;
	}
	return lock ? vhd_file_lock(work->file, work->why, sizeof(work->why))
		    : 0;
}

void *vhd_work_done(struct tevent_req *subreq, struct tevent_req *req)
{
	struct vhd_work *work = vhd_job_recv(subreq);
	struct vhd_work_state *state;

	if (work == NULL) {
		tevent_req_error(req, (uint64_t)errno);
		return NULL;
	}
	if (work->ret != 0) {
		state = _tevent_req_data(req);
		memcpy(state->why, work->why, sizeof(state->why));
		tevent_req_error(req, (uint64_t)work->ret);
		return NULL;
	}
	return work;
}
