/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Atomic writes, and what there is of journals in the test's folder. */
#ifndef VHD_ATOMIC_H
#define VHD_ATOMIC_H

#include <dirent.h>
#include <string.h>
#include <unistd.h>

#include "vhd_helpers.h"

#define SIZE (8 * MiB)

static inline int write_atomic(struct vt *vt, struct vhd_disk *disk,
			       uint64_t offset, void *buf, uint64_t length)
{
	return vt_rw(vt, disk, VHD_WRITE_ATOMIC, 0, offset, buf, length);
}

static inline bool exists(struct vt *vt, const char *name)
{
	return access(vt_path(vt, name), F_OK) == 0;
}

static inline unsigned count_journals(struct vt *vt)
{
	DIR *dir = opendir(vt->dir);
	struct dirent *entry;
	unsigned n = 0;

	while ((entry = readdir(dir)) != NULL) {
		n += strstr(entry->d_name, ".atomic") != NULL;
	}
	closedir(dir);
	return n;
}

#endif /* VHD_ATOMIC_H */
