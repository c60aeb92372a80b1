/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Chains: is this the parent that the child was made from? Main thread. */

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "vhd/dynamic.h"

static int parent_check(struct vhd_disk *child, struct vhd_disk *parent,
			uint32_t flags, char *why, size_t why_len)
{
	const struct vhd_dynheader *header;
	struct stat st;
	uint32_t changed;

	if (child->type != VHD_TYPE_DIFFERENCING || child->parent != NULL) {
		snprintf(why, why_len, "the disk takes no parent");
		return EINVAL;
	}
	if (parent->file == NULL || !parent->readonly || parent == child) {
		snprintf(why, why_len, "the parent is not opened read-only");
		return EINVAL;
	}
	if (parent->type == VHD_TYPE_DIFFERENCING && parent->parent == NULL) {
		snprintf(why, why_len, "the parent has no parent of its own");
		return EINVAL;
	}
	header = &vhd_dyn(child)->header;
	if (memcmp(header->parent_id, parent->footer.unique_id, 16) != 0) {
		snprintf(why, why_len,
			 "not the parent of %s: the unique id differs",
			 child->file->name);
		return EINVAL;
	}
	if (fstat(parent->file->fd, &st) != 0) {
		int ret = errno;

		snprintf(why, why_len, "fstat: %s", strerror(ret));
		return ret;
	}
	changed = vhd_timestamp(st.st_mtime);
	if (!(flags & VHD_PARENT_ANY_TIME) &&
	    changed != header->parent_timestamp) {
		snprintf(why, why_len,
			 "changed since %s was made from it: at %" PRIu32
			 ", not at %" PRIu32 " (seconds since 2000)",
			 child->file->name, changed, header->parent_timestamp);
		return ESTALE;
	}
	return 0;
}

int vhd_set_parent(struct vhd_disk *child, struct vhd_disk *parent,
		   uint32_t flags, char **message)
{
	char why[VHD_WHY_MAX];
	int ret = parent_check(child, parent, flags, why, sizeof(why));

	if (message != NULL) {
		*message = ret != 0 ? talloc_strdup(child, why) : NULL;
	}
	if (ret == 0) {
		child->parent = talloc_steal(child, parent);
	}
	return ret;
}
