/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * VHDX' log: entries and sequences (MS-VHDX 2.3). The log is handled as bytes
 * in memory; an entry may wrap around its end.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/crc32c.h"
#include "vhd/bytes.h"
#include "vhd/vhdx_bytes.h"

enum {
	L_CHECKSUM = 4,
	L_LENGTH = 8,
	L_TAIL = 12,
	L_SEQUENCE = 16,
	L_COUNT = 24,
	L_GUID = 32,
	L_FLUSHED = 48,
	L_LAST = 56,
	L_HEADER = 64,
	D_TRAILING = 4,
	D_LEADING = 8, /* a zero descriptor's length */
	D_OFFSET = 16,
	D_SEQUENCE = 24,
	D_SIZE = 32,
	S_HIGH = 4,
	S_LOW = VHDX_SECTOR - 4,
};

/* ---- writing ---- */

void vhdx_log_entry_push(struct vhdx_log_entry *entry,
			 const uint8_t log_guid[VHDX_GUID], unsigned count,
			 const uint64_t *offsets, const uint8_t *sectors,
			 uint8_t *buf)
{
	unsigned i;

	entry->length = (1 + count) * VHDX_SECTOR;
	entry->descriptors = count;
	memset(buf, 0, VHDX_SECTOR);
	memcpy(buf, "loge", 4);
	put_le32(buf + L_LENGTH, entry->length);
	put_le32(buf + L_TAIL, entry->tail);
	put_le64(buf + L_SEQUENCE, entry->sequence);
	put_le32(buf + L_COUNT, count);
	memcpy(buf + L_GUID, log_guid, VHDX_GUID);
	put_le64(buf + L_FLUSHED, entry->flushed_offset);
	put_le64(buf + L_LAST, entry->last_offset);
	for (i = 0; i < count; i++) {
		uint8_t *d = buf + L_HEADER + (size_t)i * D_SIZE;
		const uint8_t *from = sectors + (size_t)i * VHDX_SECTOR;
		uint8_t *to = buf + (size_t)(1 + i) * VHDX_SECTOR;

		memcpy(d, "desc", 4);
		memcpy(d + D_TRAILING, from + S_LOW, 4);
		memcpy(d + D_LEADING, from, 8);
		put_le64(d + D_OFFSET, offsets[i]);
		put_le64(d + D_SEQUENCE, entry->sequence);
		memcpy(to, "data", 4);
		put_le32(to + S_HIGH, (uint32_t)(entry->sequence >> 32));
		memcpy(to + 8, from + 8, S_LOW - 8);
		put_le32(to + S_LOW, (uint32_t)entry->sequence);
	}
	put_le32(buf + L_CHECKSUM,
		 vhdx_checksum(buf, entry->length, L_CHECKSUM));
}

/* ---- reading ---- */

/* The sector @index of an entry at @at. */
static const uint8_t *log_sector(const uint8_t *log, uint32_t log_len,
				 uint32_t at, uint32_t index)
{
	return log + ((uint64_t)at + (uint64_t)index * VHDX_SECTOR) % log_len;
}

/* Sectors that hold the header and @count descriptors, 2.3.1. */
static uint32_t descriptor_sectors(uint32_t count)
{
	return (uint32_t)((L_HEADER + (uint64_t)count * D_SIZE + VHDX_SECTOR -
			   1) /
			  VHDX_SECTOR);
}

static const uint8_t *log_descriptor(const uint8_t *log, uint32_t log_len,
				     uint32_t at, uint32_t index)
{
	uint64_t byte = L_HEADER + (uint64_t)index * D_SIZE;

	return log_sector(log, log_len, at, (uint32_t)(byte / VHDX_SECTOR)) +
	       byte % VHDX_SECTOR;
}

static uint32_t log_checksum(const uint8_t *log, uint32_t log_len, uint32_t at,
			     uint32_t length)
{
	static const uint8_t zero[4];
	const uint8_t *p = log + at;
	uint32_t crc = crc32c_update(CRC32C_INIT, p, L_CHECKSUM), i;

	crc = crc32c_update(crc, zero, 4);
	crc = crc32c_update(crc, p + 8, VHDX_SECTOR - 8);
	for (i = 1; i < length / VHDX_SECTOR; i++) {
		crc = crc32c_update(crc, log_sector(log, log_len, at, i),
				    VHDX_SECTOR);
	}
	return ~crc;
}

/* All but the last sector number that a range may reach: what follows can
 * add without overflow. */
static bool range_is_valid(uint64_t offset, uint64_t length)
{
	return offset % VHDX_SECTOR == 0 && length % VHDX_SECTOR == 0 &&
	       offset <= INT64_MAX && length <= INT64_MAX - offset;
}

/* Descriptors and data sectors, 2.3.1.2 to 2.3.1.4. */
static int descriptors_check(const uint8_t *log, uint32_t log_len, uint32_t at,
			     const struct vhdx_log_entry *e, char *why,
			     size_t why_len)
{
	uint32_t i, data = descriptor_sectors(e->descriptors);

	for (i = 0; i < e->descriptors; i++) {
		const uint8_t *d = log_descriptor(log, log_len, at, i);
		bool is_data = memcmp(d, "desc", 4) == 0;
		uint64_t length =
			is_data ? VHDX_SECTOR : get_le64(d + D_LEADING);

		if ((!is_data && memcmp(d, "zero", 4) != 0) ||
		    get_le64(d + D_SEQUENCE) != e->sequence ||
		    !range_is_valid(get_le64(d + D_OFFSET), length)) {
			snprintf(why, why_len,
				 "descriptor %" PRIu32 " is not valid", i);
			return EINVAL;
		}
		if (is_data) {
			const uint8_t *s;

			if (data >= e->length / VHDX_SECTOR) {
				snprintf(why, why_len,
					 "more data descriptors than sectors");
				return EINVAL;
			}
			s = log_sector(log, log_len, at, data++);
			if (memcmp(s, "data", 4) != 0 ||
			    get_le32(s + S_HIGH) != e->sequence >> 32 ||
			    get_le32(s + S_LOW) != (uint32_t)e->sequence) {
				snprintf(why, why_len,
					 "the data of descriptor %" PRIu32
					 " are not valid",
					 i);
				return EINVAL;
			}
		}
	}
	if (data != e->length / VHDX_SECTOR) {
		snprintf(why, why_len, "fewer data descriptors than sectors");
		return EINVAL;
	}
	return 0;
}

int vhdx_log_entry_pull(const uint8_t *log, uint32_t log_len, uint32_t at,
			const uint8_t log_guid[VHDX_GUID],
			struct vhdx_log_entry *e, char *why, size_t why_len)
{
	const uint8_t *p = log + at;

	if (memcmp(p, "loge", 4) != 0) {
		snprintf(why, why_len, "no log entry");
		return EINVAL;
	}
	e->length = get_le32(p + L_LENGTH);
	e->tail = get_le32(p + L_TAIL);
	e->sequence = get_le64(p + L_SEQUENCE);
	e->descriptors = get_le32(p + L_COUNT);
	e->flushed_offset = get_le64(p + L_FLUSHED);
	e->last_offset = get_le64(p + L_LAST);
	if (e->length < VHDX_SECTOR || e->length % VHDX_SECTOR != 0 ||
	    e->length > log_len || e->tail % VHDX_SECTOR != 0 ||
	    e->tail >= log_len || e->sequence == 0 ||
	    e->descriptors > e->length / D_SIZE ||
	    descriptor_sectors(e->descriptors) > e->length / VHDX_SECTOR ||
	    e->flushed_offset % VHDX_MB != 0 || e->last_offset % VHDX_MB != 0 ||
	    e->last_offset > INT64_MAX) {
		snprintf(why, why_len, "the entry's header is not valid");
		return EINVAL;
	}
	if (memcmp(p + L_GUID, log_guid, VHDX_GUID) != 0) {
		snprintf(why, why_len, "the entry is of another time");
		return EINVAL;
	}
	/* Before the checksum: a sector is a header, or descriptors, or data.
	 * So no two candidates share many, and their checksums, however they
	 * are made up, take no longer than the log is. */
	if (descriptors_check(log, log_len, at, e, why, why_len) != 0) {
		return EINVAL;
	}
	if (log_checksum(log, log_len, at, e->length) !=
	    get_le32(p + L_CHECKSUM)) {
		snprintf(why, why_len, "the entry's checksum is wrong");
		return EINVAL;
	}
	return 0;
}

void vhdx_log_descriptor(const uint8_t *log, uint32_t log_len, uint32_t at,
			 const struct vhdx_log_entry *entry, unsigned index,
			 uint32_t *data, struct vhdx_log_write *write)
{
	const uint8_t *d = log_descriptor(log, log_len, at, index), *s;

	write->offset = get_le64(d + D_OFFSET);
	write->zero = memcmp(d, "zero", 4) == 0;
	if (write->zero) {
		write->length = get_le64(d + D_LEADING);
		return;
	}
	write->length = VHDX_SECTOR;
	s = log_sector(log, log_len, at,
		       descriptor_sectors(entry->descriptors) + (*data)++);
	memcpy(write->data, d + D_LEADING, 8);
	memcpy(write->data + 8, s + 8, S_LOW - 8);
	memcpy(write->data + S_LOW, d + D_TRAILING, 4);
}

/* ---- the active sequence, 2.3.3 ---- */

/*
 * How many of the @count entries from @at on are there from @tail on? 0: none
 * of them begins there.
 */
static unsigned entries_from(const uint8_t *log, uint32_t log_len, uint32_t at,
			     unsigned count, uint32_t tail)
{
	while (count > 0 && at != tail) {
		at = (uint32_t)(((uint64_t)at + get_le32(log + at + L_LENGTH)) %
				log_len);
		count--;
	}
	return count;
}

unsigned vhdx_log_find(const uint8_t *log, uint32_t log_len,
		       const uint8_t log_guid[VHDX_GUID], uint32_t *first,
		       struct vhdx_log_entry *head)
{
	unsigned found = 0;
	uint32_t tail = 0;
	char why[64];

	head->sequence = 0;
	while (tail < log_len) {
		struct vhdx_log_entry entry, last = {.sequence = 0};
		uint32_t at = tail;
		uint64_t length = 0;
		unsigned count = 0;

		while (length < log_len &&
		       vhdx_log_entry_pull(log, log_len, at, log_guid, &entry,
					   why, sizeof(why)) == 0 &&
		       (count == 0 || entry.sequence == last.sequence + 1) &&
		       length + entry.length <= log_len) {
			last = entry;
			length += entry.length;
			at = (uint32_t)(((uint64_t)at + entry.length) %
					log_len);
			count++;
		}
		/* The head says where the sequence begins, which may be later
		 * than where this scan began. */
		count = entries_from(log, log_len, tail, count, last.tail);
		if (count > 0 && last.sequence > head->sequence) {
			*head = last;
			*first = last.tail;
			found = count;
		}
		if (length >= log_len - tail) {
			break; /* wrapped around */
		}
		tail += length > 0 ? (uint32_t)length : VHDX_SECTOR;
	}
	return found;
}

bool vhdx_log_is_begun(const uint8_t *log, uint32_t log_len,
		       const uint8_t log_guid[VHDX_GUID])
{
	uint32_t at;

	for (at = 0; at < log_len; at += VHDX_SECTOR) {
		if (memcmp(log + at, "loge", 4) == 0 &&
		    memcmp(log + at + L_GUID, log_guid, VHDX_GUID) == 0) {
			return true;
		}
	}
	return false;
}
