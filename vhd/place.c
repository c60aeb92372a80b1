/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Where in which file of a chain a disk's bytes are; for all formats. */

#include <errno.h>
#include <stdlib.h>

#include "vhd/job.h"
#include "vhd/private.h"

void vhd_find_place(const struct vhd_disk *disk, uint64_t at, uint64_t length,
		    struct vhd_place *place)
{
	place->length = length;
	for (; disk != NULL; disk = disk->parent) {
		uint64_t size =
			atomic_load_explicit(&disk->size, memory_order_acquire);

		/* A child may be larger than its parent. */
		if (at >= size) {
			break;
		}
		if (place->length > size - at) {
			place->length = size - at;
		}
		if (disk->ops->find(disk, at, place)) {
			return;
		}
	}
	place->kind = VHD_PLACE_NOWHERE;
}

int vhd_locate(const struct vhd_disk *disk, uint64_t offset, bool wait,
	       uint64_t *length, struct vhd_source *source)
{
	struct vhd_place place;
	int ret;

	for (;;) {
		vhd_find_place(disk, offset, *length, &place);
		if (place.kind != VHD_PLACE_LOAD) {
			break;
		}
		ret = wait && place.disk->ops->load != NULL
			      ? place.disk->ops->load(&place)
			      : EOPNOTSUPP;
		if (ret != 0) {
			return ret;
		}
	}
	*length = place.length;
	if (place.kind == VHD_PLACE_NOWHERE) {
		return ENOENT;
	}
	source->file = place.disk->file;
	source->offset = place.offset;
	return 0;
}

static bool is_mapped(const struct vhd_disk *disk, uint64_t offset,
		      uint64_t *length)
{
	struct vhd_place place;

	if (disk->ops->find == NULL || vhd_lacks_parent(disk)) {
		return true;
	}
	vhd_find_place(disk, offset, *length, &place);
	*length = place.length;
	switch (place.kind) {
	case VHD_PLACE_NOWHERE:
		return false;
	case VHD_PLACE_LOAD:
		/* Where its file has a hole the answer is clear, but for what
		 * a parent may have. */
		if (place.disk->type == VHD_TYPE_DIFFERENCING) {
			return true;
		}
		break;
	default:
		break;
	}
	return vhd_file_has_data(place.disk->file, place.offset, length);
}

bool vhd_disk_mapped(const struct vhd_disk *disk, uint64_t offset,
		     uint64_t *length)
{
	uint64_t size = vhd_disk_size(disk);
	bool mapped;

	if (offset >= size) {
		*length = 0;
		return false;
	}
	if (*length > size - offset) {
		*length = size - offset;
	}
	mapped = is_mapped(disk, offset, length);
	/* File systems answer by bytes: a sector that begins with a hole may
	 * go on with data. */
	if (*length < disk->sector) {
		*length = disk->sector;
		return true;
	}
	*length = *length / disk->sector * disk->sector;
	return mapped;
}

/* ---- the same for lanes ---- */

static void look(struct vhd_req *req)
{
	req->mapped = vhd_disk_mapped(vhd_state(req)->disk, req->offset,
				      &req->length);
}

static void mapped_work(struct vhd_job *job, void *data)
{
	struct vhd_req *req = *(struct vhd_req **)data;

	look(req);
	vhd_io_post(req);
}

/* However many ask, others are to find a thread. */
static const struct vhd_job_ops mapped_ops = {
	.work = mapped_work,
	.free = free,
	.copies = true,
};

int vhd_mapped_run(struct vhd_req *req, int result)
{
	struct vhd_state *st = vhd_state(req);

	if (st->outer_phase != 0) {
		return result; /* a worker has looked */
	}
	st->outer_phase = 1;
	if (st->disk->file != NULL &&
	    vhd_job_post_request(&mapped_ops, req) == 0) {
		return VHD_PENDING;
	}
	look(req);
	return 0;
}
