/* SPDX-License-Identifier: GPL-3.0-or-later */
/* VHDX' headers, region table and block allocation table (MS-VHDX 2.2, 2.5). */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <uuid/uuid.h>

#include "lib/crc32c.h"
#include "vhd/bytes.h"
#include "vhd/dynheader.h"
#include "vhd/vhdx_bytes.h"

static const uint8_t guid_bat[VHDX_GUID] = {0x66, 0x77, 0xc2, 0x2d, 0x23, 0xf6,
					    0x00, 0x42, 0x9d, 0x64, 0x11, 0x5e,
					    0x9b, 0xfd, 0x4a, 0x08};
static const uint8_t guid_metadata[VHDX_GUID] = {0x06, 0xa2, 0x7c, 0x8b,
						 0x90, 0x47, 0x9a, 0x4b,
						 0xb8, 0xfe, 0x57, 0x5f,
						 0x05, 0x0f, 0x88, 0x6e};

uint32_t vhdx_checksum(const uint8_t *buf, size_t len, size_t skip)
{
	static const uint8_t zero[4];
	uint32_t crc = crc32c_update(CRC32C_INIT, buf, skip);

	crc = crc32c_update(crc, zero, 4);
	return ~crc32c_update(crc, buf + skip + 4, len - skip - 4);
}

/* ---- GUIDs ---- */

bool vhdx_guid_is_zero(const uint8_t guid[VHDX_GUID])
{
	static const uint8_t zero[VHDX_GUID];

	return memcmp(guid, zero, VHDX_GUID) == 0;
}

/* The first three fields are integers, and so little-endian. */
static const uint8_t guid_order[VHDX_GUID] = {3, 2, 1,	0,  5,	4,  7,	6,
					      8, 9, 10, 11, 12, 13, 14, 15};

void vhdx_guid_new(uint8_t guid[VHDX_GUID])
{
	uuid_t uuid;
	unsigned i;

	uuid_generate(uuid);
	for (i = 0; i < VHDX_GUID; i++) {
		guid[guid_order[i]] = uuid[i];
	}
}

static bool guid_dash_before(unsigned i)
{
	return i == 4 || i == 6 || i == 8 || i == 10;
}

void vhdx_guid_text(const uint8_t guid[VHDX_GUID], char text[VHDX_GUID_TEXT])
{
	static const char digits[] = "0123456789abcdef";
	char *p = text;
	unsigned i;

	*p++ = '{';
	for (i = 0; i < VHDX_GUID; i++) {
		if (guid_dash_before(i)) {
			*p++ = '-';
		}
		*p++ = digits[guid[guid_order[i]] >> 4];
		*p++ = digits[guid[guid_order[i]] & 15];
	}
	*p++ = '}';
	*p = '\0';
}

static int digit_value(char c)
{
	if (c >= '0' && c <= '9') {
		return c - '0';
	}
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool vhdx_guid_parse(const char *text, uint8_t guid[VHDX_GUID])
{
	unsigned i;

	if (strlen(text) != VHDX_GUID_TEXT - 1 || *text++ != '{') {
		return false;
	}
	for (i = 0; i < VHDX_GUID; i++) {
		int high, low;

		if (guid_dash_before(i) && *text++ != '-') {
			return false;
		}
		high = digit_value(*text++);
		low = high < 0 ? -1 : digit_value(*text++);
		if (low < 0) {
			return false;
		}
		guid[guid_order[i]] = (uint8_t)(high << 4 | low);
	}
	return *text == '}';
}

/* ---- file type identifier ---- */

static const char signature[8] = {'v', 'h', 'd', 'x', 'f', 'i', 'l', 'e'};

bool vhdx_is_signature(const uint8_t *buf, size_t len)
{
	return len >= sizeof(signature) &&
	       memcmp(buf, signature, sizeof(signature)) == 0;
}

void vhdx_id_push(const char *creator, uint8_t buf[VHDX_SECTOR])
{
	memset(buf, 0, VHDX_SECTOR);
	memcpy(buf, signature, sizeof(signature));
	vhd_utf16_push(creator, false, buf + 8, 510);
}

/* ---- headers ---- */

enum {
	H_SIGNATURE = 0,
	H_CHECKSUM = 4,
	H_SEQUENCE = 8,
	H_FILE_WRITE = 16,
	H_DATA_WRITE = 32,
	H_LOG_GUID = 48,
	H_LOG_VERSION = 64,
	H_VERSION = 66,
	H_LOG_LENGTH = 68,
	H_LOG_OFFSET = 72,
};

void vhdx_header_push(const struct vhdx_header *h, uint8_t buf[VHDX_SECTOR])
{
	memset(buf, 0, VHDX_SECTOR);
	memcpy(buf + H_SIGNATURE, "head", 4);
	put_le64(buf + H_SEQUENCE, h->sequence);
	memcpy(buf + H_FILE_WRITE, h->file_write_guid, VHDX_GUID);
	memcpy(buf + H_DATA_WRITE, h->data_write_guid, VHDX_GUID);
	memcpy(buf + H_LOG_GUID, h->log_guid, VHDX_GUID);
	put_le16(buf + H_LOG_VERSION, h->log_version);
	put_le16(buf + H_VERSION, h->version);
	put_le32(buf + H_LOG_LENGTH, h->log_length);
	put_le64(buf + H_LOG_OFFSET, h->log_offset);
	put_le32(buf + H_CHECKSUM, vhdx_checksum(buf, VHDX_SECTOR, H_CHECKSUM));
}

static int checksum_check(const uint8_t *buf, size_t len, size_t at,
			  const char *what, char *why, size_t why_len)
{
	uint32_t stored = get_le32(buf + at);
	uint32_t computed = vhdx_checksum(buf, len, at);

	if (stored == computed) {
		return 0;
	}
	snprintf(why, why_len,
		 "%s checksum is 0x%08" PRIx32 ", computed 0x%08" PRIx32, what,
		 stored, computed);
	return EINVAL;
}

int vhdx_header_pull(const uint8_t buf[VHDX_SECTOR], struct vhdx_header *h,
		     char *why, size_t why_len)
{
	if (memcmp(buf + H_SIGNATURE, "head", 4) != 0) {
		snprintf(why, why_len, "no header: signature \"head\" missing");
		return EINVAL;
	}
	if (checksum_check(buf, VHDX_SECTOR, H_CHECKSUM, "header", why,
			   why_len) != 0) {
		return EINVAL;
	}
	h->sequence = get_le64(buf + H_SEQUENCE);
	memcpy(h->file_write_guid, buf + H_FILE_WRITE, VHDX_GUID);
	memcpy(h->data_write_guid, buf + H_DATA_WRITE, VHDX_GUID);
	memcpy(h->log_guid, buf + H_LOG_GUID, VHDX_GUID);
	h->log_version = get_le16(buf + H_LOG_VERSION);
	h->version = get_le16(buf + H_VERSION);
	h->log_length = get_le32(buf + H_LOG_LENGTH);
	h->log_offset = get_le64(buf + H_LOG_OFFSET);
	return 0;
}

int vhdx_header_check(const struct vhdx_header *h, char *why, size_t why_len)
{
	if (h->version != 1) {
		snprintf(why, why_len, "header version is %u, not 1",
			 h->version);
		return EINVAL;
	}
	if (h->log_version != 0 && !vhdx_guid_is_zero(h->log_guid)) {
		snprintf(why, why_len,
			 "a log of version %u, not 0, would have to be "
			 "replayed",
			 h->log_version);
		return EINVAL;
	}
	if (h->log_length == 0 || h->log_length % VHDX_MB != 0 ||
	    h->log_offset % VHDX_MB != 0 || h->log_offset < VHDX_MB ||
	    h->log_offset > INT64_MAX - UINT32_MAX) {
		snprintf(why, why_len,
			 "the log's place, %" PRIu32 " bytes at %" PRIu64
			 ", is not of whole MB behind the first",
			 h->log_length, h->log_offset);
		return EINVAL;
	}
	return 0;
}

/* ---- region table ---- */

enum {
	R_CHECKSUM = 4,
	R_COUNT = 8,
	R_ENTRIES = 16,
	R_ENTRY = 32, /* size */
	R_OFFSET = 16,
	R_LENGTH = 24,
	R_REQUIRED = 28,
};

static void region_push(const struct vhdx_region *r, uint8_t *p)
{
	memcpy(p, r->guid, VHDX_GUID);
	put_le64(p + R_OFFSET, r->offset);
	put_le32(p + R_LENGTH, r->length);
	put_le32(p + R_REQUIRED, r->required);
}

void vhdx_regions_push(const struct vhdx_regions *regions,
		       uint8_t buf[VHDX_REGION_SIZE])
{
	struct vhdx_region bat = regions->bat, metadata = regions->metadata;
	unsigned i;

	memset(buf, 0, VHDX_REGION_SIZE);
	memcpy(buf, "regi", 4);
	put_le32(buf + R_COUNT, 2 + regions->others);
	memcpy(bat.guid, guid_bat, VHDX_GUID);
	bat.required = true;
	region_push(&bat, buf + R_ENTRIES);
	memcpy(metadata.guid, guid_metadata, VHDX_GUID);
	metadata.required = true;
	region_push(&metadata, buf + R_ENTRIES + R_ENTRY);
	for (i = 0; i < regions->others; i++) {
		region_push(&regions->other[i],
			    buf + R_ENTRIES + (size_t)(2 + i) * R_ENTRY);
	}
	put_le32(buf + R_CHECKSUM,
		 vhdx_checksum(buf, VHDX_REGION_SIZE, R_CHECKSUM));
}

void vhdx_regions_move_bat(uint8_t buf[VHDX_REGION_SIZE], uint64_t offset,
			   uint32_t length)
{
	uint32_t i, count = get_le32(buf + R_COUNT);

	for (i = 0; i < count && i < VHDX_REGIONS_MAX; i++) {
		uint8_t *p = buf + R_ENTRIES + (size_t)i * R_ENTRY;

		if (memcmp(p, guid_bat, VHDX_GUID) == 0) {
			put_le64(p + R_OFFSET, offset);
			put_le32(p + R_LENGTH, length);
		}
	}
	put_le32(buf + R_CHECKSUM,
		 vhdx_checksum(buf, VHDX_REGION_SIZE, R_CHECKSUM));
}

static int region_check(const struct vhdx_region *r, char *why, size_t why_len)
{
	if (r->offset % VHDX_MB == 0 && r->offset >= VHDX_MB &&
	    r->offset <= INT64_MAX - UINT32_MAX && r->length % VHDX_MB == 0 &&
	    r->length != 0) {
		return 0;
	}
	snprintf(why, why_len,
		 "a region's place, %" PRIu32 " bytes at %" PRIu64
		 ", is not of whole MB behind the first",
		 r->length, r->offset);
	return EINVAL;
}

/* Keep an entry under its name, each once. */
static int region_take(struct vhdx_regions *regions,
		       const struct vhdx_region *r, char *why, size_t why_len)
{
	struct vhdx_region *place = NULL;
	char text[VHDX_GUID_TEXT];
	unsigned i;

	vhdx_guid_text(r->guid, text);
	if (memcmp(r->guid, guid_bat, VHDX_GUID) == 0) {
		place = &regions->bat;
	} else if (memcmp(r->guid, guid_metadata, VHDX_GUID) == 0) {
		place = &regions->metadata;
	}
	for (i = 0; i < regions->others; i++) {
		if (memcmp(regions->other[i].guid, r->guid, VHDX_GUID) == 0) {
			place = &regions->other[i];
		}
	}
	if (place != NULL && place->length != 0) {
		snprintf(why, why_len, "region %s is there twice", text);
		return EINVAL;
	}
	if (place == NULL && r->required) {
		snprintf(why, why_len, "unknown region %s is required", text);
		return EINVAL;
	}
	if (place == NULL) {
		if (regions->others ==
		    sizeof(regions->other) / sizeof(regions->other[0])) {
			snprintf(why, why_len, "too many unknown regions");
			return EINVAL;
		}
		place = &regions->other[regions->others++];
	}
	*place = *r;
	return 0;
}

int vhdx_regions_pull(const uint8_t buf[VHDX_REGION_SIZE],
		      struct vhdx_regions *regions, char *why, size_t why_len)
{
	uint32_t i, count;
	int ret;

	memset(regions, 0, sizeof(*regions));
	if (memcmp(buf, "regi", 4) != 0) {
		snprintf(why, why_len,
			 "no region table: signature \"regi\" missing");
		return EINVAL;
	}
	if (checksum_check(buf, VHDX_REGION_SIZE, R_CHECKSUM, "region table",
			   why, why_len) != 0) {
		return EINVAL;
	}
	count = get_le32(buf + R_COUNT);
	if (count > VHDX_REGIONS_MAX) {
		snprintf(why, why_len,
			 "region table of %" PRIu32 " entries, %u at most",
			 count, VHDX_REGIONS_MAX);
		return EINVAL;
	}
	for (i = 0; i < count; i++) {
		const uint8_t *p = buf + R_ENTRIES + (size_t)i * R_ENTRY;
		struct vhdx_region r = {
			.offset = get_le64(p + R_OFFSET),
			.length = get_le32(p + R_LENGTH),
			.required = get_le32(p + R_REQUIRED) & 1,
		};

		memcpy(r.guid, p, VHDX_GUID);
		ret = region_check(&r, why, why_len);
		if (ret == 0) {
			ret = region_take(regions, &r, why, why_len);
		}
		if (ret != 0) {
			return ret;
		}
	}
	if (regions->bat.length == 0 || regions->metadata.length == 0) {
		snprintf(why, why_len, "the region table lists no %s",
			 regions->bat.length == 0 ? "block allocation table"
						  : "metadata");
		return EINVAL;
	}
	return 0;
}

/* ---- block allocation table ---- */

uint32_t vhdx_chunk_ratio(uint32_t block_size, uint32_t logical_sector)
{
	return (uint32_t)(((uint64_t)logical_sector << 23) / block_size);
}

uint64_t vhdx_bat_entries(const struct vhdx_metadata *m, uint64_t size)
{
	uint32_t ratio = vhdx_chunk_ratio(m->block_size, m->logical_sector);
	uint64_t blocks = (size + m->block_size - 1) / m->block_size;
	uint64_t chunks = (blocks + ratio - 1) / ratio;

	if (m->has_parent) {
		return chunks * (ratio + UINT64_C(1));
	}
	return blocks + (blocks != 0 ? (blocks - 1) / ratio : 0);
}
