/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * For tests: see every change to a file, in the order in which the changes
 * were made, and let steps fail. Nothing of it is used in service.
 */
#ifndef ISTM_VHD_TAP_H
#define ISTM_VHD_TAP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

enum vhd_tap_change {
	VHD_TAP_TRUNCATE, /* to offset */
	VHD_TAP_PUNCH,
	VHD_TAP_ZERO,
	VHD_TAP_RESERVE,
};

enum vhd_tap_step {
	VHD_TAP_STEP_READ,
	VHD_TAP_STEP_WRITE,
	VHD_TAP_STEP_FALLOCATE,
	VHD_TAP_STEP_SYNC,
	VHD_TAP_STEP_TRUNCATE,
	VHD_TAP_STEP_COPY, /* copy_file_range; asked of the destination */
	VHD_TAP_STEP_STAT, /* what file it is, how large, when changed */
	VHD_TAP_STEP_LOCK,
	VHD_TAP_STEPS
};

/*
 * Called on lanes and worker threads. @name is the file's. All may be NULL;
 * VHD_COPY is refused (EOPNOTSUPP) where write is not, which would not see it.
 */
struct vhd_tap {
	/* @len bytes of @iov have been written; durable: with RWF_DSYNC */
	void (*write)(const char *name, uint64_t offset,
		      const struct iovec *iov, int iovcnt, uint64_t len,
		      bool durable);
	void (*change)(const char *name, enum vhd_tap_change change,
		       uint64_t offset, uint64_t len);
	/* What was changed before sync_begin, is durable after sync_end.
	 * Neither or both. */
	uint64_t (*sync_begin)(const char *name);
	void (*sync_end)(const char *name, uint64_t begin);
	/*
	 * Before each call of the system. Shall it fail? @return 0 or an errno.
	 * A read, write or copy may also be cut short: *@len lowered, to 0 as
	 * at the end of a file. With EINTR and EAGAIN it is tried again, as
	 * a step of its own; so is what is left by a short one.
	 */
	int (*fault)(const char *name, enum vhd_tap_step step, uint64_t offset,
		     uint64_t *len);
};

/* For files opened from now on; NULL: none. */
void vhd_set_tap(const struct vhd_tap *tap);

#endif /* ISTM_VHD_TAP_H */
