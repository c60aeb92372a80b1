/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The dynamic disk header (VHD specification, "Dynamic Disk Header Format")
 * and its parent locators. Pure functions over bytes, any thread.
 */
#ifndef ISTM_VHD_DYNHEADER_H
#define ISTM_VHD_DYNHEADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VHD_DYNHEADER_SIZE 1024u
/* All that ever changes after creation is in its first sector, so that one
 * sector's write changes it as a whole. */
#define VHD_DYNHEADER_HOT 512u

/* Block Allocation Table: a block that is not there. */
#define VHD_BAT_UNUSED UINT32_MAX

/* What is served; Windows writes 512 KiB and 2 MiB. */
#define VHD_BLOCK_MIN	  (512u << 10)
#define VHD_BLOCK_MAX	  (64u << 20)
#define VHD_BLOCK_DEFAULT (2u << 20)

/* Platform codes of parent locators */
#define VHD_LOCATOR_W2RU 0x57327275u /* relative path, UTF-16LE */
#define VHD_LOCATOR_W2KU 0x57326b75u /* absolute path, UTF-16LE */
#define VHD_LOCATOR_MACX 0x4d616358u /* file URL, UTF-8 */
#define VHD_LOCATORS	 8

struct vhd_locator {
	uint32_t code;	 /* 0: none */
	uint32_t space;	 /* sectors reserved (some creators: bytes) */
	uint32_t length; /* bytes of data */
	uint64_t offset; /* in the file */
};

/* The header's fields in host order. */
struct vhd_dynheader {
	uint64_t table_offset;
	uint32_t entries; /* Max Table Entries */
	uint32_t block_size;
	uint8_t parent_id[16];
	uint32_t parent_timestamp; /* seconds since 2000-01-01 */
	uint8_t parent_name[512];  /* UTF-16BE */
	struct vhd_locator locator[VHD_LOCATORS];
};

void vhd_dynheader_push(const struct vhd_dynheader *header,
			uint8_t buf[VHD_DYNHEADER_SIZE]);

/* Change an encoded header's table, leaving all else as its creator wrote it,
 * within the first VHD_DYNHEADER_HOT bytes. */
void vhd_dynheader_set_table(uint8_t buf[VHD_DYNHEADER_SIZE],
			     uint64_t table_offset, uint32_t entries);

/*
 * Decode and check what can be checked without the rest of the file: cookie,
 * checksum, version, block size, and whether the table covers @disk_size.
 * @return 0, or EINVAL with @why
 */
int vhd_dynheader_pull(const uint8_t buf[VHD_DYNHEADER_SIZE],
		       uint64_t disk_size, struct vhd_dynheader *header,
		       char *why, size_t why_len);

/* The bitmap in front of each block's data, bytes, whole sectors. */
uint32_t vhd_bitmap_size(uint32_t block_size);

/*
 * UTF-16 of a parent's name or locator to UTF-8, at most @len bytes with the
 * final NUL; stops at a NUL.
 * @return 0, or EINVAL for lone surrogates or when it does not fit
 */
int vhd_utf16_pull(const uint8_t *from, size_t from_len, bool big_endian,
		   char *to, size_t len);
/* The other way. @return bytes written (no NUL), or -1 */
int vhd_utf16_push(const char *from, bool big_endian, uint8_t *to, size_t len);

#endif /* ISTM_VHD_DYNHEADER_H */
