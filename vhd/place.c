/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Where in which file of a chain a disk's bytes are; for all formats. */

#include <errno.h>

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
