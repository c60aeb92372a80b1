/* SPDX-License-Identifier: GPL-3.0-or-later */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/crc32c.h"
#include "vhd/bytes.h"
#include "vhd/record.h"

#define VERSION 1u

#define AT_VERSION 8
#define AT_HEAD	   12
#define AT_DISK	   16
#define AT_OFFSET  32
#define AT_LENGTH  40
#define AT_SECTOR  44
#define AT_REST	   48
#define AT_SUM	   508

static const uint8_t magic[8] = "istmatom";

static uint32_t sum_of(const uint8_t *p, size_t len)
{
	return ~crc32c_update(CRC32C_INIT, p, len);
}

uint32_t vhd_record_sum(const uint8_t sector[VHD_RECORD_SECTOR])
{
	return sum_of(sector, VHD_RECORD_SECTOR);
}

uint32_t vhd_record_new_sum(const uint8_t *buf, uint32_t at)
{
	return get_be32(buf + VHD_RECORD_SECTOR +
			(size_t)at / VHD_RECORD_SECTOR * 4);
}

/* The checksums of the sectors in @iov, whose pieces may be of any size. */
static void push_sums(const struct iovec *iov, uint32_t length, uint8_t *to)
{
	uint32_t crc = CRC32C_INIT, at = 0;
	size_t used = 0;

	while (at < length) {
		size_t n = iov->iov_len - used;
		uint32_t room = VHD_RECORD_SECTOR - at % VHD_RECORD_SECTOR;

		if (n > room) {
			n = room;
		}
		crc = crc32c_update(crc, (uint8_t *)iov->iov_base + used, n);
		at += (uint32_t)n;
		used += n;
		if (used == iov->iov_len) {
			iov++;
			used = 0;
		}
		if (n == room) {
			put_be32(to, ~crc);
			to += 4;
			crc = CRC32C_INIT;
		}
	}
}

void vhd_record_push(const struct vhd_record *record, const struct iovec *iov,
		     uint8_t *buf)
{
	uint32_t head = record->head;

	memset(buf, 0, head);
	push_sums(iov, record->length, buf + VHD_RECORD_SECTOR);
	memcpy(buf, magic, sizeof(magic));
	put_be32(buf + AT_VERSION, VERSION);
	put_be32(buf + AT_HEAD, head);
	memcpy(buf + AT_DISK, record->disk_id, 16);
	put_be64(buf + AT_OFFSET, record->offset);
	put_be32(buf + AT_LENGTH, record->length);
	put_be32(buf + AT_SECTOR, VHD_RECORD_SECTOR);
	put_be32(buf + AT_REST,
		 sum_of(buf + VHD_RECORD_SECTOR,
			head - VHD_RECORD_SECTOR + record->length));
	put_be32(buf + AT_SUM, sum_of(buf, AT_SUM));
}

static int check_fields(const uint8_t *buf, const struct vhd_record *record,
			char *why, size_t why_len)
{
	uint32_t sector = get_be32(buf + AT_SECTOR);

	if (sector != VHD_RECORD_SECTOR) {
		snprintf(why, why_len, "sectors of %" PRIu32 " bytes, not %u",
			 sector, VHD_RECORD_SECTOR);
		return EINVAL;
	}
	if (record->length == 0 || record->length > VHD_ATOMIC_MAX ||
	    record->length % VHD_RECORD_SECTOR != 0 ||
	    record->offset % VHD_RECORD_SECTOR != 0 ||
	    record->head != VHD_RECORD_HEAD(record->length)) {
		snprintf(why, why_len,
			 "%" PRIu32 " bytes at %" PRIu64
			 ", contents at %" PRIu32 ", are no range of sectors",
			 record->length, record->offset, record->head);
		return EINVAL;
	}
	return 0;
}

int vhd_record_pull(const uint8_t *buf, size_t len, struct vhd_record *record,
		    char *why, size_t why_len)
{
	static const uint8_t zeroes[VHD_RECORD_SECTOR];
	uint32_t version;
	size_t total;

	if (len == 0) {
		return ENOENT;
	}
	if (len < VHD_RECORD_SECTOR) {
		snprintf(why, why_len, "%zu bytes are too few", len);
		return EINVAL;
	}
	if (memcmp(buf, zeroes, sizeof(zeroes)) == 0) {
		return ENOENT;
	}
	if (memcmp(buf, magic, sizeof(magic)) != 0) {
		snprintf(why, why_len, "it does not begin with \"%.8s\"",
			 (const char *)magic);
		return EINVAL;
	}
	if (get_be32(buf + AT_SUM) != sum_of(buf, AT_SUM)) {
		snprintf(why, why_len, "the first sector's checksum is wrong");
		return EINVAL;
	}
	version = get_be32(buf + AT_VERSION);
	if (version != VERSION) {
		snprintf(why, why_len, "it is of version %" PRIu32 ", not %u",
			 version, VERSION);
		return version > VERSION ? ENOTSUP : EINVAL;
	}
	memcpy(record->disk_id, buf + AT_DISK, 16);
	record->offset = get_be64(buf + AT_OFFSET);
	record->length = get_be32(buf + AT_LENGTH);
	record->head = get_be32(buf + AT_HEAD);
	if (check_fields(buf, record, why, why_len) != 0) {
		return EINVAL;
	}
	total = (size_t)record->head + record->length;
	if (len < total) {
		snprintf(why, why_len, "%zu bytes of %zu are there", len,
			 total);
		return EINVAL;
	}
	if (get_be32(buf + AT_REST) !=
	    sum_of(buf + VHD_RECORD_SECTOR, total - VHD_RECORD_SECTOR)) {
		snprintf(why, why_len,
			 "the checksum of what it holds is "
			 "wrong");
		return EINVAL;
	}
	return 0;
}
