/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The record of an atomic write, as bytes: what the range held before, so that
 * a write which was cut off can be taken back (docs/vhd.md, Atomic writes).
 *
 *   0  magic "istmatom"             48  CRC-32C of all behind this sector
 *   8  version, 1                   52  zeroes
 *  12  bytes before the contents   508  CRC-32C of what is before it
 *  16  the disk's unique id        512  CRC-32C of each sector of what is to
 *  32  offset in the disk, bytes         be written; zeroes
 *  40  length, bytes                 n  the range's contents before
 *  44  bytes of such a sector, 512
 *
 * Integers are big-endian. A first sector of zeroes: there is no record. Magic,
 * version and the first sector's checksum are where they are in all versions,
 * so that a newer one is told from a torn one.
 */
#ifndef ISTM_VHD_RECORD_H
#define ISTM_VHD_RECORD_H

#include <stddef.h>
#include <stdint.h>

#include "vhd/vhd.h"

/* What tears: the sectors of a write reach the medium each for itself. */
#define VHD_RECORD_SECTOR 512u

/* Before the contents: the first sector and the checksums, whole pages. */
#define VHD_RECORD_HEAD(length)                                                \
	(((length) / VHD_RECORD_SECTOR * 4u + VHD_RECORD_SECTOR + 4095u) &     \
	 ~4095u)

#define VHD_RECORD_MAX (VHD_RECORD_HEAD(VHD_ATOMIC_MAX) + VHD_ATOMIC_MAX)

struct vhd_record {
	uint8_t disk_id[16];
	uint64_t offset; /* in the disk, bytes */
	uint32_t length; /* bytes */
	uint32_t head;	 /* VHD_RECORD_HEAD(length) */
};

/*
 * Write @record at the start of @buf, which holds the range's contents from
 * record->head on already.
 * @param iov  what is to be written, at least record->length bytes
 */
void vhd_record_push(const struct vhd_record *record, const struct iovec *iov,
		     uint8_t *buf);

/*
 * @return 0, ENOENT (there is none), EINVAL with @why (torn or damaged) or
 *         ENOTSUP with @why (of a newer version)
 */
int vhd_record_pull(const uint8_t *buf, size_t len, struct vhd_record *record,
		    char *why, size_t why_len);

/* Of a pulled record: the checksum of the sector at @at, a multiple of
 * VHD_RECORD_SECTOR below its length, as it was to be; and of one in memory. */
uint32_t vhd_record_new_sum(const uint8_t *buf, uint32_t at);
uint32_t vhd_record_sum(const uint8_t sector[VHD_RECORD_SECTOR]);

#endif /* ISTM_VHD_RECORD_H */
