/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Patterns that are written to a disk and looked for there. What has been
 * written or expected is in big[] afterwards, what has been read in back[].
 */
#ifndef VHD_PATTERNS_H
#define VHD_PATTERNS_H

#include <string.h>

#include "vhd_helpers.h"

static uint8_t big[4 * MiB], back[4 * MiB];

static inline void write_at(struct vt *vt, struct vhd_disk *disk,
			    uint64_t offset, uint64_t len, uint32_t seed)
{
	assert_in_range(len, 0, sizeof(big));
	vt_pattern(big, len, seed);
	assert_int_equal(vt_rw(vt, disk, VHD_WRITE, 0, offset, big, len), 0);
}

static inline void expect_at(struct vt *vt, struct vhd_disk *disk,
			     uint64_t offset, uint64_t len, uint32_t seed)
{
	assert_in_range(len, 0, sizeof(big));
	vt_pattern(big, len, seed);
	assert_int_equal(vt_rw(vt, disk, VHD_READ, 0, offset, back, len), 0);
	assert_memory_equal(big, back, len);
}

static inline void expect_zero(struct vt *vt, struct vhd_disk *disk,
			       uint64_t offset, uint64_t len)
{
	assert_in_range(len, 0, sizeof(back));
	memset(back, 1, len);
	assert_int_equal(vt_rw(vt, disk, VHD_READ, 0, offset, back, len), 0);
	assert_true(vt_is_zero(back, len));
}

#endif /* VHD_PATTERNS_H */
