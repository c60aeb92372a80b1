/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The physical disks of this machine, from sysfs. Reading it neither blocks nor
 * touches a disk.
 */
#ifndef ISTM_MODEL_BLOCK_H
#define ISTM_MODEL_BLOCK_H

#include <sys/types.h>
#include <talloc.h>

#include "server/model/model.h"

/* No disk that could be named: volumes on tmpfs, NFS, a stack of devices. */
#define BLOCK_NO_INDEX UINT32_MAX

/*
 * Whole disks with a medium, in the order of their device numbers; not those
 * that only exist in software (loop, RAM, device mapper), nor optical drives.
 * @param sysfs  "/sys", or a tree of a test's own
 * @return how many; none where sysfs cannot be read
 */
size_t block_devices(TALLOC_CTX *mem_ctx, const char *sysfs,
		     struct model_block_device **devices);

/* The index, in that list, of the disk that holds the file system @dev. */
uint32_t block_index(const char *sysfs, dev_t dev);

#endif /* ISTM_MODEL_BLOCK_H */
