/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The dynamic disk header: its one parser and its one writer. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "vhd/bytes.h"
#include "vhd/dynheader.h"
#include "vhd/footer.h"
#include "vhd/vhd.h"

/* Offsets (VHD specification, "Dynamic Disk Header Format"). */
enum {
	H_COOKIE = 0,
	H_DATA_OFFSET = 8,
	H_TABLE_OFFSET = 16,
	H_VERSION = 24,
	H_ENTRIES = 28,
	H_BLOCK_SIZE = 32,
	H_CHECKSUM = 36,
	H_PARENT_ID = 40,
	H_PARENT_TIMESTAMP = 56,
	H_PARENT_NAME = 64,
	H_LOCATORS = 576,
};

/* Within a locator entry */
enum {
	L_CODE = 0,
	L_SPACE = 4,
	L_LENGTH = 8,
	L_OFFSET = 16,
	L_SIZE = 24,
};

static const char cookie[8] = {'c', 'x', 's', 'p', 'a', 'r', 's', 'e'};

#define HEADER_VERSION 0x00010000u

uint32_t vhd_bitmap_size(uint32_t block_size)
{
	uint32_t bytes = block_size / VHD_SECTOR / 8;

	return (bytes + VHD_SECTOR - 1) / VHD_SECTOR * VHD_SECTOR;
}

void vhd_dynheader_push(const struct vhd_dynheader *header,
			uint8_t buf[VHD_DYNHEADER_SIZE])
{
	unsigned i;

	memset(buf, 0, VHD_DYNHEADER_SIZE);
	memcpy(buf + H_COOKIE, cookie, sizeof(cookie));
	/* The text says 0xFFFFFFFF; Windows writes all 64 bits. */
	put_be64(buf + H_DATA_OFFSET, UINT64_MAX);
	put_be64(buf + H_TABLE_OFFSET, header->table_offset);
	put_be32(buf + H_VERSION, HEADER_VERSION);
	put_be32(buf + H_ENTRIES, header->entries);
	put_be32(buf + H_BLOCK_SIZE, header->block_size);
	memcpy(buf + H_PARENT_ID, header->parent_id, 16);
	put_be32(buf + H_PARENT_TIMESTAMP, header->parent_timestamp);
	memcpy(buf + H_PARENT_NAME, header->parent_name,
	       sizeof(header->parent_name));
	for (i = 0; i < VHD_LOCATORS; i++) {
		uint8_t *p = buf + H_LOCATORS + i * L_SIZE;

		put_be32(p + L_CODE, header->locator[i].code);
		put_be32(p + L_SPACE, header->locator[i].space);
		put_be32(p + L_LENGTH, header->locator[i].length);
		put_be64(p + L_OFFSET, header->locator[i].offset);
	}
	put_be32(buf + H_CHECKSUM,
		 vhd_checksum(buf, VHD_DYNHEADER_SIZE, H_CHECKSUM));
}

void vhd_dynheader_set_table(uint8_t buf[VHD_DYNHEADER_SIZE],
			     uint64_t table_offset, uint32_t entries)
{
	put_be64(buf + H_TABLE_OFFSET, table_offset);
	put_be32(buf + H_ENTRIES, entries);
	put_be32(buf + H_CHECKSUM,
		 vhd_checksum(buf, VHD_DYNHEADER_SIZE, H_CHECKSUM));
}

static int check_fields(const struct vhd_dynheader *header, uint64_t disk_size,
			char *why, size_t why_len)
{
	uint32_t bs = header->block_size;
	uint64_t blocks;

	if (bs < VHD_BLOCK_MIN || bs > VHD_BLOCK_MAX || (bs & (bs - 1)) != 0) {
		snprintf(why, why_len,
			 "block size %" PRIu32 " in the dynamic header is not "
			 "a power of two from %u to %u",
			 bs, VHD_BLOCK_MIN, VHD_BLOCK_MAX);
		return EINVAL;
	}
	blocks = (disk_size + bs - 1) / bs;
	if (header->entries < blocks) {
		snprintf(why, why_len,
			 "block allocation table of %" PRIu32 " entries for a "
			 "disk of %" PRIu64 " blocks",
			 header->entries, blocks);
		return EINVAL;
	}
	if (header->table_offset % VHD_SECTOR != 0) {
		snprintf(why, why_len,
			 "block allocation table at %" PRIu64 ", not a "
			 "multiple of %u",
			 header->table_offset, VHD_SECTOR);
		return EINVAL;
	}
	return 0;
}

int vhd_dynheader_pull(const uint8_t buf[VHD_DYNHEADER_SIZE],
		       uint64_t disk_size, struct vhd_dynheader *header,
		       char *why, size_t why_len)
{
	uint32_t stored, computed, version;
	unsigned i;

	if (memcmp(buf + H_COOKIE, cookie, sizeof(cookie)) != 0) {
		snprintf(why, why_len,
			 "no dynamic header: cookie \"cxsparse\" not found");
		return EINVAL;
	}
	stored = get_be32(buf + H_CHECKSUM);
	computed = vhd_checksum(buf, VHD_DYNHEADER_SIZE, H_CHECKSUM);
	if (stored != computed) {
		snprintf(why, why_len,
			 "dynamic header's checksum is 0x%08" PRIx32
			 ", computed 0x%08" PRIx32,
			 stored, computed);
		return EINVAL;
	}
	version = get_be32(buf + H_VERSION);
	if (version >> 16 != HEADER_VERSION >> 16) {
		snprintf(why, why_len,
			 "dynamic header of version 0x%08" PRIx32
			 ", expected 0x%08x",
			 version, HEADER_VERSION);
		return EINVAL;
	}
	header->table_offset = get_be64(buf + H_TABLE_OFFSET);
	header->entries = get_be32(buf + H_ENTRIES);
	header->block_size = get_be32(buf + H_BLOCK_SIZE);
	memcpy(header->parent_id, buf + H_PARENT_ID, 16);
	header->parent_timestamp = get_be32(buf + H_PARENT_TIMESTAMP);
	memcpy(header->parent_name, buf + H_PARENT_NAME,
	       sizeof(header->parent_name));
	for (i = 0; i < VHD_LOCATORS; i++) {
		const uint8_t *p = buf + H_LOCATORS + i * L_SIZE;

		header->locator[i].code = get_be32(p + L_CODE);
		header->locator[i].space = get_be32(p + L_SPACE);
		header->locator[i].length = get_be32(p + L_LENGTH);
		header->locator[i].offset = get_be64(p + L_OFFSET);
	}
	return check_fields(header, disk_size, why, why_len);
}

/* ---- UTF-16 ---- */

static uint16_t unit_at(const uint8_t *p, bool big_endian)
{
	return big_endian ? (uint16_t)(p[0] << 8 | p[1])
			  : (uint16_t)(p[1] << 8 | p[0]);
}

/* @return the bytes that @c takes in UTF-8, written to @to */
static size_t put_utf8(uint32_t c, uint8_t to[4])
{
	if (c < 0x80) {
		to[0] = (uint8_t)c;
		return 1;
	}
	if (c < 0x800) {
		to[0] = (uint8_t)(0xc0 | c >> 6);
		to[1] = (uint8_t)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		to[0] = (uint8_t)(0xe0 | c >> 12);
		to[1] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
		to[2] = (uint8_t)(0x80 | (c & 0x3f));
		return 3;
	}
	to[0] = (uint8_t)(0xf0 | c >> 18);
	to[1] = (uint8_t)(0x80 | (c >> 12 & 0x3f));
	to[2] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
	to[3] = (uint8_t)(0x80 | (c & 0x3f));
	return 4;
}

int vhd_utf16_pull(const uint8_t *from, size_t from_len, bool big_endian,
		   char *to, size_t len)
{
	size_t i, at = 0;

	for (i = 0; i + 2 <= from_len; i += 2) {
		uint32_t c = unit_at(from + i, big_endian);
		uint8_t utf8[4];
		size_t n;

		if (c == 0) {
			break;
		}
		if (c >= 0xdc00 && c <= 0xdfff) {
			return EINVAL;
		}
		if (c >= 0xd800 && c <= 0xdbff) {
			uint32_t low;

			if (i + 4 > from_len) {
				return EINVAL;
			}
			i += 2;
			low = unit_at(from + i, big_endian);
			if (low < 0xdc00 || low > 0xdfff) {
				return EINVAL;
			}
			c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
		}
		n = put_utf8(c, utf8);
		if (at + n >= len) {
			return EINVAL;
		}
		memcpy(to + at, utf8, n);
		at += n;
	}
	if (at >= len) {
		return EINVAL;
	}
	to[at] = '\0';
	return 0;
}

/* Decode one character of UTF-8. @return its bytes, 0 if it is none */
static size_t get_utf8(const uint8_t *p, uint32_t *c)
{
	static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
	size_t n, i;

	if (p[0] < 0x80) {
		*c = p[0];
		return 1;
	}
	n = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : p[0] >= 0xc0 ? 2 : 0;
	if (n == 0 || p[0] > 0xf4) {
		return 0;
	}
	*c = p[0] & (0xffu >> (n + 1));
	for (i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80) {
			return 0;
		}
		*c = *c << 6 | (p[i] & 0x3f);
	}
	if (*c < least[n] || *c > 0x10ffff || (*c >= 0xd800 && *c <= 0xdfff)) {
		return 0;
	}
	return n;
}

static void put_unit(uint16_t unit, bool big_endian, uint8_t *to)
{
	to[big_endian ? 0 : 1] = (uint8_t)(unit >> 8);
	to[big_endian ? 1 : 0] = (uint8_t)unit;
}

int vhd_utf16_push(const char *from, bool big_endian, uint8_t *to, size_t len)
{
	const uint8_t *p = (const uint8_t *)from;
	size_t at = 0;

	while (*p != 0) {
		uint32_t c = 0;
		size_t n = get_utf8(p, &c);
		size_t need = c >= 0x10000 ? 4 : 2;

		if (n == 0 || at + need > len) {
			return -1;
		}
		if (need == 4) {
			c -= 0x10000;
			put_unit((uint16_t)(0xd800 + (c >> 10)), big_endian,
				 to + at);
			put_unit((uint16_t)(0xdc00 + (c & 0x3ff)), big_endian,
				 to + at + 2);
		} else {
			put_unit((uint16_t)c, big_endian, to + at);
		}
		p += n;
		at += need;
	}
	return (int)at;
}
