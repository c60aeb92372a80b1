/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The VHD hard disk footer (VHD specification, "Hard Disk Footer Format").
 * Pure functions over bytes: no I/O, no allocation, any thread.
 */
#ifndef ISTM_VHD_FOOTER_H
#define ISTM_VHD_FOOTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VHD_FOOTER_SIZE 512u
/* Versions before Virtual PC 2004 wrote a footer one byte shorter. */
#define VHD_FOOTER_OLD_SIZE 511u

/* The most that is left to be zeroed after a growth that was interrupted. */
#define VHD_STALE_MAX (1u << 20)

/* Data Offset of a fixed disk: there is no dynamic disk header. */
#define VHD_NO_DATA_OFFSET UINT64_MAX

/* The footer's fields in host order. */
struct vhd_footer {
	uint32_t features;
	uint32_t version; /* File Format Version, 0x00010000 */
	uint64_t data_offset;
	uint32_t timestamp; /* seconds since 2000-01-01 00:00:00 UTC */
	char creator_app[4];
	uint32_t creator_version;
	char creator_host[4];
	uint64_t original_size; /* bytes, at creation */
	uint64_t current_size;	/* bytes */
	uint16_t cylinders;
	uint8_t heads;
	uint8_t sectors; /* per track */
	uint32_t type;	 /* Disk Type, enum vhd_type's values */
	uint8_t unique_id[16];
	bool saved_state;
	/*
	 * Ours, in the reserved part and only while a fixed disk grows: this
	 * range of data holds what was behind them before, not yet zeroes.
	 * Both 0: none.
	 */
	uint64_t stale_from, stale_to;
};

/*
 * Fill @cylinders, @heads and @sectors from @size (bytes) as the
 * specification's appendix "CHS Calculation" does.
 */
void vhd_geometry(uint64_t size, struct vhd_footer *footer);

/*
 * Fill a footer for a new disk of @size bytes and kind @type: creator, time,
 * geometry, unique id.
 */
void vhd_footer_init(struct vhd_footer *footer, uint32_t type, uint64_t size);

/* Encode; computes the checksum. */
void vhd_footer_push(const struct vhd_footer *footer,
		     uint8_t buf[VHD_FOOTER_SIZE]);

/*
 * Decode and check cookie, checksum, version, type and size.
 * @param len  VHD_FOOTER_SIZE or VHD_FOOTER_OLD_SIZE
 * @param why  on failure, what is wrong (a phrase with field and value)
 * @return 0, or EINVAL
 */
int vhd_footer_pull(const uint8_t *buf, size_t len, struct vhd_footer *footer,
		    char *why, size_t why_len);

/* Are cookie and checksum as they should be, whatever the rest says? */
bool vhd_footer_is_whole(const uint8_t *buf, size_t len);

/*
 * Find the footer in the last 512 bytes of a file.
 * @param tail  those bytes
 * @return the footer's length (512 or 511), or 0 when there is none
 */
size_t vhd_footer_find(const uint8_t tail[VHD_FOOTER_SIZE]);

/*
 * Is this a fixed disk that fits in a file of @file_size bytes whose footer
 * takes @footer_len? The data precede the footer, from offset 0.
 * @return 0, or EINVAL with @why
 */
int vhd_footer_check_fixed(const struct vhd_footer *footer, size_t footer_len,
			   uint64_t file_size, char *why, size_t why_len);

/* One's complement of the sum of all bytes of @buf, with the four bytes at
 * @skip (the checksum itself) taken as zero. Also the dynamic header's. */
uint32_t vhd_checksum(const uint8_t *buf, size_t len, size_t skip);

#endif /* ISTM_VHD_FOOTER_H */
