/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Chains: is this the parent that the child was made from? Main thread. */

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "vhd/dynamic.h"
#include "vhd/vhdx_disk.h"

bool vhd_disk_parent_path(const struct vhd_disk *disk, unsigned index,
			  const char **path, bool *relative)
{
	const struct vhdx_metadata *m;
	const char *order[3];
	unsigned i;

	if (disk->type != VHD_TYPE_DIFFERENCING) {
		return false;
	}
	if (disk->ops->format == VHD_FORMAT_VHD) {
		const struct vhd_dyn *dyn = vhd_dyn(disk);

		if (index >= dyn->parent_count) {
			return false;
		}
		*path = dyn->parents[index].path;
		*relative = dyn->parents[index].relative;
		return true;
	}
	/* "in a specific order", 2.6.2.6.3 */
	m = &vhdx_of(disk)->metadata;
	order[0] = m->relative_path;
	order[1] = m->volume_path;
	order[2] = m->absolute_path;
	for (i = 0; i < 3; i++) {
		if (order[i][0] != '\0' && index-- == 0) {
			*path = vhdx_without_prefix(order[i]);
			*relative = i == 0;
			return true;
		}
	}
	return false;
}

/* By DataWriteGuid, which changes with the parent's data (MS-VHDX
 * 2.6.2.6.3). */
static int vhdx_parent_match(const struct vhd_disk *child, const uint8_t *id,
			     char *why, size_t why_len)
{
	const struct vhdx_metadata *m = &vhdx_of(child)->metadata;
	char is[VHDX_GUID_TEXT], wanted[VHDX_GUID_TEXT];

	if (memcmp(m->parent_linkage, id, 16) == 0 ||
	    (m->has_linkage2 && memcmp(m->parent_linkage2, id, 16) == 0)) {
		return 0;
	}
	vhdx_guid_text(id, is);
	vhdx_guid_text(m->parent_linkage, wanted);
	snprintf(why, why_len,
		 "not the parent of %s, or changed since: its data are %s, "
		 "not %s",
		 child->file->name, is, wanted);
	return ESTALE;
}

int vhd_parent_match(const struct vhd_disk *child,
		     const struct vhd_info *candidate, char *why,
		     size_t why_len)
{
	if (candidate->format != child->ops->format) {
		snprintf(why, why_len,
			 "a VHD's parent is a VHD, a VHDX' a VHDX");
		return EINVAL;
	}
	if (candidate->format == VHD_FORMAT_VHDX) {
		return vhdx_parent_match(child, candidate->link_id, why,
					 why_len);
	}
	if (memcmp(vhd_dyn(child)->header.parent_id, candidate->link_id, 16) !=
	    0) {
		snprintf(why, why_len,
			 "not the parent of %s: the unique id differs",
			 child->file->name);
		return EINVAL;
	}
	return 0;
}

static int parent_check(struct vhd_disk *child, struct vhd_disk *parent,
			uint32_t flags, char *why, size_t why_len)
{
	struct vhd_info info;
	struct stat st;
	uint32_t changed, recorded;
	int ret;

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
	vhd_disk_info(parent, &info);
	ret = vhd_parent_match(child, &info, why, why_len);
	if (ret != 0) {
		return ret;
	}
	if (child->sector != parent->sector) {
		snprintf(why, why_len,
			 "its sectors of %" PRIu32 " bytes are not the"
			 " parent's of %" PRIu32,
			 child->sector, parent->sector);
		return EINVAL;
	}
	if (child->ops->format == VHD_FORMAT_VHDX) {
		return 0;
	}
	recorded = vhd_dyn(child)->header.parent_timestamp;
	ret = vhd_file_stat(parent->file, &st);
	if (ret != 0) {
		snprintf(why, why_len, "fstat: %s", strerror(ret));
		return ret;
	}
	changed = vhd_timestamp(st.st_mtime);
	if (!(flags & VHD_PARENT_ANY_TIME) && changed != recorded) {
		snprintf(why, why_len,
			 "changed since %s was made from it: at %" PRIu32
			 ", not at %" PRIu32 " (seconds since 2000)",
			 child->file->name, changed, recorded);
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
