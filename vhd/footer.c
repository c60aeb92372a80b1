/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The VHD footer: its one parser, its one writer, and the geometry. */

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include <uuid/uuid.h>

#include "vhd/bytes.h"
#include "vhd/footer.h"
#include "vhd/vhd.h"

/* Offsets of the fields (VHD specification, "Hard Disk Footer Format"). */
enum {
	F_COOKIE = 0,
	F_FEATURES = 8,
	F_VERSION = 12,
	F_DATA_OFFSET = 16,
	F_TIMESTAMP = 24,
	F_CREATOR_APP = 28,
	F_CREATOR_VERSION = 32,
	F_CREATOR_HOST = 36,
	F_ORIGINAL_SIZE = 40,
	F_CURRENT_SIZE = 48,
	F_CYLINDERS = 56,
	F_HEADS = 58,
	F_SECTORS = 59,
	F_TYPE = 60,
	F_CHECKSUM = 64,
	F_UNIQUE_ID = 68,
	F_SAVED_STATE = 84,
	/* Reserved; while a disk of ours grows: */
	F_STALE_COOKIE = 256,
	F_STALE_FROM = 264,
	F_STALE_TO = 272,
};

static const char stale_cookie[8] = {'i', 's', 't', 'm', 'g', 'r', 'o', 'w'};
static const char cookie[8] = {'c', 'o', 'n', 'e', 'c', 't', 'i', 'x'};

#define FEATURE_RESERVED 0x2u /* "must be set to 1" */
#define FORMAT_VERSION	 0x00010000u

/* 2000-01-01 00:00:00 UTC as Unix time */
#define VHD_EPOCH 946684800

uint32_t vhd_checksum(const uint8_t *buf, size_t len, size_t skip)
{
	uint32_t sum = 0;
	size_t i;

	for (i = 0; i < len; i++) {
		if (i < skip || i >= skip + 4) {
			sum += buf[i];
		}
	}
	return ~sum;
}

void vhd_geometry(uint64_t size, struct vhd_footer *footer)
{
	uint64_t total = size / VHD_SECTOR;
	uint64_t tracks; /* the specification's cylinderTimesHeads */
	uint32_t heads, sectors;

	if (total > 65535ull * 16 * 255) {
		total = 65535ull * 16 * 255;
	}
	if (total >= 65535ull * 16 * 63) {
		sectors = 255;
		heads = 16;
		tracks = total / sectors;
	} else {
		sectors = 17;
		tracks = total / sectors;
		heads = (tracks + 1023) / 1024;
		if (heads < 4) {
			heads = 4;
		}
		if (tracks >= heads * 1024ull || heads > 16) {
			sectors = 31;
			heads = 16;
			tracks = total / sectors;
		}
		if (tracks >= heads * 1024ull) {
			sectors = 63;
			heads = 16;
			tracks = total / sectors;
		}
	}
	footer->cylinders = tracks / heads;
	footer->heads = heads;
	footer->sectors = sectors;
}

uint32_t vhd_timestamp(int64_t unix_time)
{
	if (unix_time < VHD_EPOCH) {
		return 0;
	}
	if (unix_time - VHD_EPOCH > UINT32_MAX) {
		return UINT32_MAX;
	}
	return (uint32_t)(unix_time - VHD_EPOCH);
}

void vhd_footer_init(struct vhd_footer *footer, uint32_t type, uint64_t size)
{
	*footer = (struct vhd_footer){
		.features = FEATURE_RESERVED,
		.version = FORMAT_VERSION,
		.data_offset = VHD_NO_DATA_OFFSET,
		.timestamp = vhd_timestamp(time(NULL)),
		/*
		 * qemu takes the disk's size from the footer rather than from
		 * its rounded-down geometry for few creators only; the one
		 * that Windows writes is among them (docs/vhd.md).
		 */
		.creator_app = {'w', 'i', 'n', ' '},
		.creator_version = 0x00060003,
		.creator_host = {'W', 'i', '2', 'k'},
		.original_size = size,
		.current_size = size,
		.type = type,
	};
	vhd_geometry(size, footer);
	uuid_generate(footer->unique_id);
}

void vhd_footer_push(const struct vhd_footer *footer,
		     uint8_t buf[VHD_FOOTER_SIZE])
{
	memset(buf, 0, VHD_FOOTER_SIZE);
	memcpy(buf + F_COOKIE, cookie, sizeof(cookie));
	put_be32(buf + F_FEATURES, footer->features);
	put_be32(buf + F_VERSION, footer->version);
	put_be64(buf + F_DATA_OFFSET, footer->data_offset);
	put_be32(buf + F_TIMESTAMP, footer->timestamp);
	memcpy(buf + F_CREATOR_APP, footer->creator_app, 4);
	put_be32(buf + F_CREATOR_VERSION, footer->creator_version);
	memcpy(buf + F_CREATOR_HOST, footer->creator_host, 4);
	put_be64(buf + F_ORIGINAL_SIZE, footer->original_size);
	put_be64(buf + F_CURRENT_SIZE, footer->current_size);
	put_be16(buf + F_CYLINDERS, footer->cylinders);
	buf[F_HEADS] = footer->heads;
	buf[F_SECTORS] = footer->sectors;
	put_be32(buf + F_TYPE, footer->type);
	memcpy(buf + F_UNIQUE_ID, footer->unique_id, 16);
	buf[F_SAVED_STATE] = footer->saved_state ? 1 : 0;
	if (footer->stale_to != 0) {
		memcpy(buf + F_STALE_COOKIE, stale_cookie,
		       sizeof(stale_cookie));
		put_be64(buf + F_STALE_FROM, footer->stale_from);
		put_be64(buf + F_STALE_TO, footer->stale_to);
	}
	put_be32(buf + F_CHECKSUM,
		 vhd_checksum(buf, VHD_FOOTER_SIZE, F_CHECKSUM));
}

size_t vhd_footer_find(const uint8_t tail[VHD_FOOTER_SIZE])
{
	if (memcmp(tail, cookie, sizeof(cookie)) == 0) {
		return VHD_FOOTER_SIZE;
	}
	if (memcmp(tail + 1, cookie, sizeof(cookie)) == 0) {
		return VHD_FOOTER_OLD_SIZE;
	}
	return 0;
}

static void pull_fields(const uint8_t *buf, struct vhd_footer *footer)
{
	footer->features = get_be32(buf + F_FEATURES);
	footer->version = get_be32(buf + F_VERSION);
	footer->data_offset = get_be64(buf + F_DATA_OFFSET);
	footer->timestamp = get_be32(buf + F_TIMESTAMP);
	memcpy(footer->creator_app, buf + F_CREATOR_APP, 4);
	footer->creator_version = get_be32(buf + F_CREATOR_VERSION);
	memcpy(footer->creator_host, buf + F_CREATOR_HOST, 4);
	footer->original_size = get_be64(buf + F_ORIGINAL_SIZE);
	footer->current_size = get_be64(buf + F_CURRENT_SIZE);
	footer->cylinders = get_be16(buf + F_CYLINDERS);
	footer->heads = buf[F_HEADS];
	footer->sectors = buf[F_SECTORS];
	footer->type = get_be32(buf + F_TYPE);
	memcpy(footer->unique_id, buf + F_UNIQUE_ID, 16);
	footer->saved_state = buf[F_SAVED_STATE] != 0;
	footer->stale_from = footer->stale_to = 0;
	if (footer->type == VHD_TYPE_FIXED &&
	    memcmp(buf + F_STALE_COOKIE, stale_cookie, sizeof(stale_cookie)) ==
		    0) {
		uint64_t from = get_be64(buf + F_STALE_FROM);
		uint64_t to = get_be64(buf + F_STALE_TO);

		/* Never more than a footer and what it was padded with. */
		if (from < to && to <= footer->current_size &&
		    to - from <= VHD_STALE_MAX) {
			footer->stale_from = from;
			footer->stale_to = to;
		}
	}
}

static int check_fields(const struct vhd_footer *footer, char *why,
			size_t why_len)
{
	/* "The major version … will be incremented only when the file format
	 * is modified such that it is no longer compatible". */
	if (footer->version >> 16 != FORMAT_VERSION >> 16) {
		snprintf(why, why_len,
			 "file format version 0x%08" PRIx32
			 " in the footer, expected 0x%08x",
			 footer->version, FORMAT_VERSION);
		return EINVAL;
	}
	switch (footer->type) {
	case VHD_TYPE_FIXED:
	case VHD_TYPE_DYNAMIC:
	case VHD_TYPE_DIFFERENCING:
		break;
	default:
		snprintf(why, why_len,
			 "unknown disk type %" PRIu32 " in the footer",
			 footer->type);
		return EINVAL;
	}
	if (footer->current_size == 0 ||
	    footer->current_size % VHD_SECTOR != 0) {
		snprintf(why, why_len,
			 "current size %" PRIu64 " in the footer"
			 " is not a positive multiple of %u",
			 footer->current_size, VHD_SECTOR);
		return EINVAL;
	}
	if (footer->current_size > VHD_MAX_SIZE) {
		snprintf(why, why_len,
			 "current size %" PRIu64 " in the footer"
			 " is beyond the format's limit of %llu",
			 footer->current_size, VHD_MAX_SIZE);
		return EINVAL;
	}
	return 0;
}

bool vhd_footer_is_whole(const uint8_t *buf, size_t len)
{
	return memcmp(buf + F_COOKIE, cookie, sizeof(cookie)) == 0 &&
	       get_be32(buf + F_CHECKSUM) == vhd_checksum(buf, len, F_CHECKSUM);
}

int vhd_footer_pull(const uint8_t *buf, size_t len, struct vhd_footer *footer,
		    char *why, size_t why_len)
{
	uint32_t stored, computed;

	if (len != VHD_FOOTER_SIZE && len != VHD_FOOTER_OLD_SIZE) {
		snprintf(why, why_len, "footer of %zu bytes", len);
		return EINVAL;
	}
	if (memcmp(buf + F_COOKIE, cookie, sizeof(cookie)) != 0) {
		snprintf(why, why_len,
			 "no footer: cookie \"conectix\" "
			 "not found");
		return EINVAL;
	}
	stored = get_be32(buf + F_CHECKSUM);
	computed = vhd_checksum(buf, len, F_CHECKSUM);
	if (!vhd_footer_is_whole(buf, len)) {
		snprintf(why, why_len,
			 "footer checksum is 0x%08" PRIx32
			 ", computed 0x%08" PRIx32,
			 stored, computed);
		return EINVAL;
	}
	pull_fields(buf, footer);
	return check_fields(footer, why, why_len);
}

int vhd_footer_check_fixed(const struct vhd_footer *footer, size_t footer_len,
			   uint64_t file_size, char *why, size_t why_len)
{
	uint64_t room;

	if (footer->type != VHD_TYPE_FIXED) {
		snprintf(why, why_len, "disk type %" PRIu32 ", not fixed",
			 footer->type);
		return EINVAL;
	}
	if (file_size < footer_len) {
		snprintf(why, why_len,
			 "file of %" PRIu64 " bytes is shorter "
			 "than a footer",
			 file_size);
		return EINVAL;
	}
	room = file_size - footer_len;
	if (footer->current_size > room) {
		snprintf(why, why_len,
			 "footer promises %" PRIu64
			 " bytes of data, the file holds %" PRIu64
			 " before it (truncated?)",
			 footer->current_size, room);
		return EINVAL;
	}
	return 0;
}
