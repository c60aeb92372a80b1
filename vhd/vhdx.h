/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The VHDX format, MS-VHDX: headers, region table, metadata, block allocation
 * table entries and log entries. Pure functions over bytes: no I/O, any
 * thread. All integers are little-endian; section numbers are MS-VHDX's.
 */
#ifndef ISTM_VHD_VHDX_H
#define ISTM_VHD_VHDX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vhd/vhd.h"

/* 2.1: all that lies in the file is aligned to this. */
#define VHDX_MB	    (1u << 20)
#define VHDX_GUID   16
#define VHDX_SECTOR 4096u /* of the log; also a header's size */

/* 2.6.2.1 */
#define VHDX_BLOCK_MIN	   (1u << 20)
#define VHDX_BLOCK_MAX	   (256u << 20)
#define VHDX_BLOCK_DEFAULT (32u << 20) /* Windows' */
/* Of differencing disks, Windows' too: small, as each may copy little. */
#define VHDX_BLOCK_DIFFERENCING (2u << 20)

/* The header section, 2.2: where its five items are. */
#define VHDX_ID_SIZE	  65536u
#define VHDX_HEADER_AT(i) (65536u * ((i) + 1))
#define VHDX_REGION_AT(i) (65536u * ((i) + 3))
#define VHDX_REGION_SIZE  65536u

/* ---- file type identifier, 2.2.1 ---- */

bool vhdx_is_signature(const uint8_t *buf, size_t len);
void vhdx_id_push(const char *creator, uint8_t buf[VHDX_SECTOR]);

/* ---- headers, 2.2.2 ---- */

struct vhdx_header {
	uint64_t sequence;
	uint8_t file_write_guid[VHDX_GUID];
	uint8_t data_write_guid[VHDX_GUID];
	uint8_t log_guid[VHDX_GUID]; /* zero: there is nothing to replay */
	uint16_t log_version, version;
	uint32_t log_length;
	uint64_t log_offset;
};

void vhdx_header_push(const struct vhdx_header *header,
		      uint8_t buf[VHDX_SECTOR]);
/* By signature and checksum: nothing else makes it a valid one, of which the
 * current one is chosen. @return 0, or EINVAL with @why */
int vhdx_header_pull(const uint8_t buf[VHDX_SECTOR], struct vhdx_header *header,
		     char *why, size_t why_len);
/* Can the current one be worked with? @return 0, or EINVAL with @why */
int vhdx_header_check(const struct vhdx_header *header, char *why,
		      size_t why_len);

/* A new one, at random. */
void vhdx_guid_new(uint8_t guid[VHDX_GUID]);
bool vhdx_guid_is_zero(const uint8_t guid[VHDX_GUID]);
/* As text, "{83ed0ec3-24c8-49a6-a959-5e4bf1288bfb}" (2.6.2.6.3). */
#define VHDX_GUID_TEXT 39
void vhdx_guid_text(const uint8_t guid[VHDX_GUID], char text[VHDX_GUID_TEXT]);
bool vhdx_guid_parse(const char *text, uint8_t guid[VHDX_GUID]);

/* ---- region table, 2.2.3 ---- */

#define VHDX_REGIONS_MAX 2047
struct vhdx_region {
	uint8_t guid[VHDX_GUID];
	uint64_t offset;
	uint32_t length;
	bool required;
};

/* The regions that this engine needs to understand, and all others in their
 * order, which it keeps its hands off. */
struct vhdx_regions {
	struct vhdx_region bat, metadata;
	unsigned others;
	struct vhdx_region other[16];
};

void vhdx_regions_push(const struct vhdx_regions *regions,
		       uint8_t buf[VHDX_REGION_SIZE]);
/* Refuses unknown regions that are required. @return 0, or EINVAL with @why */
int vhdx_regions_pull(const uint8_t buf[VHDX_REGION_SIZE],
		      struct vhdx_regions *regions, char *why, size_t why_len);
/* The same table with the block allocation table elsewhere: in place, the rest
 * as its creator wrote it. */
void vhdx_regions_move_bat(uint8_t buf[VHDX_REGION_SIZE], uint64_t offset,
			   uint32_t length);

/* ---- metadata, 2.6 ---- */

#define VHDX_METADATA_TABLE 65536u
/* What is read of the region; all known items of all known creators are in
 * its first MB. */
#define VHDX_METADATA_MAX VHDX_MB

struct vhdx_metadata {
	uint32_t block_size;
	bool leave_allocated; /* a fixed disk, LeaveBlockAllocated */
	bool has_parent;
	uint64_t size;
	uint8_t disk_id[VHDX_GUID];
	uint32_t logical_sector, physical_sector;
	/* Where the size is, from the start of the region: growth. */
	uint32_t size_at;

	/* The parent locator, 2.6.2.6.3; paths as UTF-8, "" if missing */
	uint8_t parent_linkage[VHDX_GUID], parent_linkage2[VHDX_GUID];
	bool has_linkage2;
	char relative_path[1024], volume_path[1024], absolute_path[1024];
};

/*
 * A region of @len bytes for a new disk.
 * @return 0, or EINVAL: a path that is no UTF-8 or too long
 */
int vhdx_metadata_push(const struct vhdx_metadata *metadata, uint8_t *buf,
		       size_t len);
/*
 * @param buf      the first @len bytes of a region of @region_len
 * @return 0, or EINVAL with @why
 */
int vhdx_metadata_pull(const uint8_t *buf, size_t len, uint32_t region_len,
		       struct vhdx_metadata *metadata, char *why,
		       size_t why_len);

/* ---- block allocation table, 2.5 ---- */

enum vhdx_block_state {
	VHDX_NOT_PRESENT = 0,
	VHDX_UNDEFINED = 1,
	VHDX_ZERO = 2,
	VHDX_UNMAPPED = 3,
	VHDX_FULLY_PRESENT = 6, /* also SB_BLOCK_PRESENT */
	VHDX_PARTIALLY_PRESENT = 7,
};

#define VHDX_BAT_STATE(e)    ((unsigned)((e)&7))
#define VHDX_BAT_RESERVED(e) ((e)&0xffff8)
/* FileOffsetMB in bytes: both are shifts by 20. */
#define VHDX_BAT_OFFSET(e)   ((e) & ~UINT64_C(0xfffff))
#define VHDX_BAT(state, off) ((uint64_t)(off) | (state))

#define VHDX_BITMAP_BLOCK VHDX_MB /* 2.4: a sector bitmap block's size */

/* 2.4: payload blocks that share a sector bitmap block. */
uint32_t vhdx_chunk_ratio(uint32_t block_size, uint32_t logical_sector);
/* How many entries the table needs, 2.5. */
uint64_t vhdx_bat_entries(const struct vhdx_metadata *metadata, uint64_t size);
/* Index of a payload block's entry, of the bitmap block's that follows its
 * chunk. */
static inline uint64_t vhdx_bat_index(uint64_t block, unsigned chunk_shift)
{
	return block + (block >> chunk_shift);
}
static inline uint64_t vhdx_bat_bitmap_index(uint64_t chunk,
					     unsigned chunk_shift)
{
	return ((chunk + 1) << chunk_shift) + chunk;
}

/* ---- log, 2.3 ---- */

/* Descriptors of one entry that its first sector has room for. */
#define VHDX_LOG_DESCRIPTORS 126

struct vhdx_log_entry {
	uint32_t length, tail;
	uint64_t sequence;
	uint32_t descriptors;
	uint64_t flushed_offset, last_offset;
};

/*
 * Build an entry that writes @count sectors (at most VHDX_LOG_DESCRIPTORS) of
 * VHDX_SECTOR bytes.
 * @param entry    tail, sequence and both offsets; gets length, descriptors
 * @param offsets  where in the file each goes
 * @param sectors  their contents, one behind the other
 * @param buf      room for (1 + @count) * VHDX_SECTOR
 */
void vhdx_log_entry_push(struct vhdx_log_entry *entry,
			 const uint8_t log_guid[VHDX_GUID], unsigned count,
			 const uint64_t *offsets, const uint8_t *sectors,
			 uint8_t *buf);

/*
 * Check the entry at @at in a log of @log_len bytes, which may wrap around.
 * @return 0, or EINVAL with @why
 */
int vhdx_log_entry_pull(const uint8_t *log, uint32_t log_len, uint32_t at,
			const uint8_t log_guid[VHDX_GUID],
			struct vhdx_log_entry *entry, char *why,
			size_t why_len);

/* One thing to write: a sector, or zeroes. */
struct vhdx_log_write {
	uint64_t offset, length;
	bool zero;
	uint8_t data[VHDX_SECTOR]; /* unless zero */
};
/*
 * The @index'th descriptor of an entry that was found valid; one after the
 * other, from 0 on.
 * @param data  how many of those before had data; 0 at first, counted here
 */
void vhdx_log_descriptor(const uint8_t *log, uint32_t log_len, uint32_t at,
			 const struct vhdx_log_entry *entry, unsigned index,
			 uint32_t *data, struct vhdx_log_write *write);

/*
 * Find the active sequence (2.3.3).
 * @param first  where its tail is; @param head  its last entry
 * @return how many entries it has, 0: none is valid
 */
unsigned vhdx_log_find(const uint8_t *log, uint32_t log_len,
		       const uint8_t log_guid[VHDX_GUID], uint32_t *first,
		       struct vhdx_log_entry *head);

/* Is there any entry, valid or not, that says to be of this log? */
bool vhdx_log_is_begun(const uint8_t *log, uint32_t log_len,
		       const uint8_t log_guid[VHDX_GUID]);

#endif /* ISTM_VHD_VHDX_H */
