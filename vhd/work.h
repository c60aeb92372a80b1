/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Work on one file on a worker thread: what opening, checking, compacting and
 * creating have in common around their job.
 */
#ifndef ISTM_VHD_WORK_H
#define ISTM_VHD_WORK_H

#include "vhd/job.h"
#include "vhd/private.h"

/* First member of each kind's own work. */
struct vhd_work {
	int fd; /* until the file is opened */
	char *name;
	struct vhd_file *file;
	int ret;
	char why[VHD_WHY_MAX];
};

/* First member of each kind's tevent_req state. */
struct vhd_work_state {
	char why[VHD_WHY_MAX];
};

/* Zeroed work of @size bytes that owns @fd. @return NULL: @fd is closed */
void *vhd_work_new(size_t size, int fd, const char *name);
/* Free it and what is above. */
void vhd_work_free(struct vhd_work *work);

/* Worker: open the file, take the lock. @return 0, or errno with work->why */
int vhd_work_open(struct vhd_work *work, bool readonly, bool lock);

/*
 * The job is done: its work, or NULL when it has failed, and @req, whose state
 * begins with a vhd_work_state, has been told.
 */
void *vhd_work_done(struct tevent_req *subreq, struct tevent_req *req);

#endif /* ISTM_VHD_WORK_H */
