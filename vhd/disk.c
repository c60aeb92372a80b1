/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Disks: their life, what they are, their growth. Main thread. */

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "vhd/job.h"
#include "vhd/private.h"

static int disk_destructor(struct vhd_disk *disk)
{
	if (disk->growing) {
		/* A worker uses it; grow_done() frees it. */
		disk->close_when_grown = true;
		return -1;
	}
	vhd_atomic_close(&disk->atomic);
	disk->ops->close(disk);
	vhd_gate_destroy(&disk->gate);
	return 0;
}

void vhd_disk_init(struct vhd_disk *disk, const struct vhd_format_ops *ops,
		   enum vhd_type type, uint64_t size)
{
	disk->ops = ops;
	disk->type = type;
	disk->sector = VHD_SECTOR;
	disk->physical_sector = VHD_SECTOR;
	atomic_init(&disk->size, size);
	/* What an earlier opener wrote may not be on stable storage. */
	atomic_init(&disk->dirty, true);
	vhd_gate_init(&disk->gate);
	vhd_atomic_init(&disk->atomic);
}

struct vhd_disk *vhd_disk_new(TALLOC_CTX *mem_ctx,
			      const struct vhd_format_ops *ops,
			      enum vhd_type type, uint64_t size)
{
	struct vhd_disk *disk = talloc_zero(mem_ctx, struct vhd_disk);

	if (disk == NULL) {
		return NULL;
	}
	vhd_disk_init(disk, ops, type, size);
	talloc_set_destructor(disk, disk_destructor);
	return disk;
}

void vhd_close(struct vhd_disk *disk)
{
	talloc_free(disk);
}

void vhd_disk_info(const struct vhd_disk *disk, struct vhd_info *info)
{
	memset(info, 0, sizeof(*info));
	info->format = disk->ops->format;
	info->type = disk->type;
	info->size = vhd_disk_size(disk);
	info->logical_sector = disk->sector;
	info->physical_sector = disk->physical_sector;
	disk->ops->info(disk, info);
	if (info->format == VHD_FORMAT_VHD) {
		memcpy(info->link_id, info->unique_id, sizeof(info->link_id));
	}
}

uint32_t vhd_disk_sector(const struct vhd_disk *disk)
{
	return disk->sector;
}

uint32_t vhd_disk_physical_sector(const struct vhd_disk *disk)
{
	return disk->physical_sector;
}

uint64_t vhd_disk_size(const struct vhd_disk *disk)
{
	return atomic_load_explicit(&disk->size, memory_order_acquire);
}

bool vhd_disk_writes_atomic(const struct vhd_disk *disk)
{
	return !atomic_load(&disk->atomic.impossible);
}

/* ---- growth ---- */

/* The worker's; the disk outlives it (disk_destructor). */
struct grow_work {
	struct vhd_disk *disk;
	uint64_t new_size;
	struct vhd_footer footer;
	int ret;
	char why[VHD_WHY_MAX];
};

/* The caller's request; may be freed while the growth goes on. */
struct grow_state {
	struct tevent_req *req;
	struct grow_done_context *done;
	char why[VHD_WHY_MAX];
};

/* Child of the disk while it grows. */
struct grow_done_context {
	struct vhd_disk *disk;
	struct grow_state *state; /* NULL: nobody is interested any more */
};

static void grow_work(struct vhd_job *job, void *data)
{
	struct grow_work *work = data;
	struct vhd_disk *disk = work->disk;
	struct vhd_file *file = NULL;

	if (disk->file != NULL) {
		file = vhd_file_reopen(disk->file);
	}
	work->ret = disk->ops->grow(disk, file, work->new_size, &work->footer,
				    work->why, sizeof(work->why));
	vhd_file_unref(file);
}

static const struct vhd_job_ops grow_ops = {
	.work = grow_work,
	.free = free,
	.slow = true,
};

static int grow_state_destructor(struct grow_state *state)
{
	if (state->done != NULL) {
		state->done->state = NULL;
	}
	return 0;
}

static void grow_done(struct tevent_req *subreq)
{
	struct grow_done_context *done =
		tevent_req_callback_data(subreq, struct grow_done_context);
	struct vhd_disk *disk = done->disk;
	struct grow_state *state = done->state;
	struct grow_work *work = vhd_job_recv(subreq);
	int ret = work != NULL ? work->ret : errno;

	disk->growing = false;
	if (ret == 0) {
		disk->footer = work->footer;
		disk->footer_len = VHD_FOOTER_SIZE;
		atomic_store_explicit(&disk->size, work->new_size,
				      memory_order_release);
	}
	if (state != NULL) {
		state->done = NULL;
		if (work != NULL) {
			memcpy(state->why, work->why, sizeof(state->why));
		}
	}
	talloc_free(done); /* and subreq, its child */
	if (disk->close_when_grown) {
		talloc_free(disk);
	}
	if (state == NULL) {
		return;
	}
	if (ret != 0) {
		tevent_req_error(state->req, (uint64_t)ret);
		return;
	}
	tevent_req_done(state->req);
}

static int grow_check(struct vhd_disk *disk, uint64_t additional, char *why,
		      size_t why_len)
{
	uint64_t size = vhd_disk_size(disk);

	if (disk->readonly) {
		snprintf(why, why_len, "the disk is opened read-only");
		return EROFS;
	}
	if (disk->growing) {
		snprintf(why, why_len, "the disk is being grown already");
		return EBUSY;
	}
	if (additional == 0 || additional % disk->sector != 0) {
		snprintf(why, why_len,
			 "%" PRIu64 " additional bytes are not "
			 "a positive multiple of %u",
			 additional, disk->sector);
		return EINVAL;
	}
	if (size > disk->ops->max_size ||
	    additional > disk->ops->max_size - size) {
		snprintf(why, why_len,
			 "%" PRIu64 " bytes and %" PRIu64
			 " more are beyond the limit of %" PRIu64,
			 size, additional, disk->ops->max_size);
		return EINVAL;
	}
	/* "saved state … operations such as compaction and expansion cannot
	 * be performed" (VHD specification, Saved State). */
	if (disk->footer.saved_state) {
		snprintf(why, why_len,
			 "the footer says that a virtual machine"
			 " is in saved state");
		return EINVAL;
	}
	return 0;
}

static struct tevent_req *grow_start(struct tevent_context *ev,
				     struct grow_state *state,
				     struct vhd_disk *disk, uint64_t new_size)
{
	struct grow_done_context *done;
	struct grow_work *work;
	struct tevent_req *subreq;

	done = talloc_zero(disk, struct grow_done_context);
	work = calloc(1, sizeof(*work));
	if (done == NULL || work == NULL) {
		free(work);
		talloc_free(done);
		return NULL;
	}
	work->disk = disk;
	work->new_size = new_size;
	work->footer = disk->footer;
	subreq = vhd_job_send(done, ev, &grow_ops, work);
	if (subreq == NULL) {
		talloc_free(done);
		return NULL;
	}
	done->disk = disk;
	done->state = state;
	state->done = done;
	disk->growing = true;
	tevent_req_set_callback(subreq, grow_done, done);
	return subreq;
}

struct tevent_req *vhd_grow_send(TALLOC_CTX *mem_ctx, struct tevent_context *ev,
				 struct vhd_disk *disk, uint64_t additional)
{
	struct tevent_req *req;
	struct grow_state *state;
	int ret;

	req = tevent_req_create(mem_ctx, &state, struct grow_state);
	if (req == NULL) {
		return NULL;
	}
	state->req = req;
	ret = grow_check(disk, additional, state->why, sizeof(state->why));
	if (ret != 0) {
		tevent_req_error(req, (uint64_t)ret);
		return tevent_req_post(req, ev);
	}
	if (grow_start(ev, state, disk, vhd_disk_size(disk) + additional) ==
	    NULL) {
		tevent_req_oom(req);
		return tevent_req_post(req, ev);
	}
	talloc_set_destructor(state, grow_state_destructor);
	return req;
}

int vhd_grow_recv(struct tevent_req *req, TALLOC_CTX *mem_ctx, char **message)
{
	struct grow_state *state = tevent_req_data(req, struct grow_state);
	int ret = vhd_recv_result(req, state->why, mem_ctx, message);

	tevent_req_received(req);
	return ret;
}
