/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Taking back an atomic write that was cut off, before anybody reads the
 * disk. It is done by requests to the disk on a lane of the worker's own, so
 * that it is the same for all formats.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "vhd/journal.h"

struct rollback {
	struct vhd_disk *disk;
	struct vhd_io *io;
	const struct vhd_record *record;
	const uint8_t *before, *record_bytes;
	uint8_t *now;
};

/* ---- what is there ---- */

enum sector_is { SECTOR_OLD, SECTOR_NEW, SECTOR_STRANGE };

static enum sector_is look_at(const struct rollback *r, uint32_t at)
{
	if (memcmp(r->now + at, r->before + at, VHD_RECORD_SECTOR) == 0) {
		return SECTOR_OLD;
	}
	return vhd_record_sum(r->now + at) ==
			       vhd_record_new_sum(r->record_bytes, at)
		       ? SECTOR_NEW
		       : SECTOR_STRANGE;
}

/* Is the record of this disk? */
static bool is_of(const struct rollback *r, char *why, size_t why_len)
{
	const struct vhd_record *record = r->record;
	struct vhd_info info;
	uint64_t size = vhd_disk_size(r->disk);

	vhd_disk_info(r->disk, &info);
	if (memcmp(info.unique_id, record->disk_id, 16) != 0) {
		snprintf(why, why_len, "it is of another disk");
		return false;
	}
	if (record->offset > size || record->length > size - record->offset ||
	    (record->offset | record->length) % r->disk->sector != 0) {
		snprintf(why, why_len,
			 "the disk has no %" PRIu32 " bytes at %" PRIu64,
			 record->length, record->offset);
		return false;
	}
	return true;
}

/*
 * Is the disk as the write left it? Each sector is then as before the write or
 * as after it. One that was restored from a backup or changed elsewhere is not
 * to be touched.
 */
static bool fits(const struct rollback *r, char *why, size_t why_len)
{
	uint32_t at;

	for (at = 0; at < r->record->length; at += VHD_RECORD_SECTOR) {
		if (look_at(r, at) == SECTOR_STRANGE) {
			snprintf(why, why_len,
				 "the disk has been changed since, at %" PRIu64,
				 r->record->offset + at);
			return false;
		}
	}
	return true;
}

/* ---- taking it back ---- */

/* Write what differs. That takes no new space: the write had it. */
static int write_back(struct rollback *r, uint32_t *written)
{
	uint32_t length = r->record->length, at = 0, sector = r->disk->sector;
	int ret = 0;

	while (ret == 0 && at < length) {
		uint32_t end = at;

		while (end < length &&
		       memcmp(r->now + end, r->before + end, sector) != 0) {
			end += sector;
		}
		if (end == at) {
			at += sector;
			continue;
		}
		ret = vhd_request(r->io, r->disk, VHD_WRITE,
				  r->record->offset + at,
				  (uint8_t *)(uintptr_t)(r->before + at),
				  end - at);
		*written += end - at;
		at = end;
	}
	return ret == 0 ? vhd_request(r->io, r->disk, VHD_FLUSH, 0, NULL, 0)
			: ret;
}

/* The record is done with: not a moment before it is. */
static int forget(struct vhd_journal *journal)
{
	static const uint8_t zeroes[VHD_RECORD_SECTOR];
	int ret = vhd_file_pwrite_durable(journal->file, zeroes, sizeof(zeroes),
					  0);

	if (ret == 0 && unlinkat(journal->dir, journal->name, 0) != 0) {
		vhd_log(1, "vhd: %s: cannot be removed: %s",
			journal->file->name, strerror(errno));
	}
	return ret;
}

static int roll_back(struct rollback *r, struct vhd_journal *journal, char *why,
		     size_t why_len)
{
	const struct vhd_record *record = r->record;
	const char *name = r->disk->file->name;
	uint32_t written = 0;
	int ret;

	if (!is_of(r, why, why_len)) {
		goto ignored;
	}
	/* What the disk itself does not have, it did not have before, and a
	 * read leaves alone (vhd_disk.rolling_back). */
	memcpy(r->now, r->before, record->length);
	ret = vhd_request(r->io, r->disk, VHD_READ, record->offset, r->now,
			  record->length);
	if (ret != 0) {
		snprintf(why, why_len,
			 "reading %" PRIu32 " bytes at %" PRIu64
			 ", where an atomic write was cut off: %s",
			 record->length, record->offset, strerror(ret));
		return ret;
	}
	if (!fits(r, why, why_len)) {
		goto ignored;
	}
	ret = write_back(r, &written);
	if (ret == 0) {
		ret = forget(journal);
	}
	if (ret != 0) {
		snprintf(why, why_len,
			 "taking back an atomic write of %" PRIu32
			 " bytes at %" PRIu64 ": %s",
			 record->length, record->offset, strerror(ret));
		return ret;
	}
	vhd_log(1,
		"vhd: %s: an atomic write of %" PRIu32 " bytes at %" PRIu64
		" was cut off and has been taken back (%" PRIu32
		" bytes of it were there)",
		name, record->length, record->offset, written);
	return 0;
ignored:
	vhd_log(1, "vhd: %s: ignored: %s", journal->file->name, why);
	return ENOENT;
}

int vhd_roll_back(struct vhd_disk *disk, struct vhd_found *found, char *why,
		  size_t why_len)
{
	struct rollback r = {
		.disk = disk,
		.record = &found->record,
		.record_bytes = found->journal.buf,
		.before = found->journal.buf + found->record.head,
	};
	struct tevent_context *ev = tevent_context_init(NULL);
	int ret = ENOMEM;

	snprintf(why, why_len, "out of memory");
	r.now = malloc(found->record.length);
	if (r.now != NULL && ev != NULL) {
		r.io = vhd_io_create(ev, ev, 4);
		ret = errno;
		if (r.io != NULL) {
			ret = roll_back(&r, &found->journal, why, why_len);
		} else {
			snprintf(why, why_len, "io_uring: %s", strerror(ret));
		}
	}
	TALLOC_FREE(r.io);
	talloc_free(ev);
	free(r.now);
	return ret;
}
