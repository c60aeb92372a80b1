/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Headers of a VHDX file, and its log: what an earlier session, anybody's, has
 * left to be written (MS-VHDX 2.2.2.1, 2.3.3). Worker threads.
 */

#include <errno.h>
#include <inttypes.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <string.h>

#include "vhd/vhdx_disk.h"

/* What is read of a log to replay it. Windows' and qemu's take 1 MB. */
#define LOG_MAX (256u << 20)

/* Descriptors of an overlay; a log of 256 MB has fewer. */
#define OVERLAY_MAX 65536u

/* No file that the engine can serve is longer: 64 TB, bitmaps and metadata. */
#define FILE_MAX (UINT64_C(80) << 40)

/* ---- headers ---- */

/*
 * Which of two valid headers is the current one: that of the greater sequence
 * number, also if it is not to be worked with, since what the older one says
 * is no longer true. Microsoft's Disk2VHD writes the same header twice.
 */
static int choose_header(const struct vhdx_header h[2],
			 uint8_t buf[2][VHDX_SECTOR], unsigned *current,
			 char *why, size_t why_len)
{
	if (h[0].sequence == h[1].sequence &&
	    memcmp(buf[0], buf[1], VHDX_SECTOR) != 0) {
		snprintf(why, why_len,
			 "the headers at %u and %u differ, and both have the "
			 "sequence number %" PRIu64 ": neither is current",
			 VHDX_HEADER_AT(0), VHDX_HEADER_AT(1), h[0].sequence);
		return EINVAL;
	}
	*current = h[1].sequence > h[0].sequence;
	return 0;
}

/* What can be done with the current one? */
static int check_current(const struct vhdx_header *header, unsigned current,
			 char *why, size_t why_len)
{
	char reason[VHD_WHY_MAX - 64];

	if (vhdx_header_check(header, reason, sizeof(reason)) != 0) {
		snprintf(why, why_len, "%s (in the current header, at %u)",
			 reason, VHDX_HEADER_AT(current));
		return EINVAL;
	}
	/* Each session takes some; none may come to the end of them. */
	if (header->sequence > UINT64_MAX - 1000000) {
		snprintf(why, why_len,
			 "the header's sequence number %" PRIu64
			 " leaves no room for changes",
			 header->sequence);
		return EINVAL;
	}
	return 0;
}

int vhdx_load_headers(struct vhd_file *file, struct vhdx_header *header,
		      unsigned *current, char *why, size_t why_len)
{
	uint8_t buf[2][VHDX_SECTOR];
	struct vhdx_header h[2];
	char reason[2][VHD_WHY_MAX / 3];
	bool good[2];
	unsigned i;
	int ret;

	for (i = 0; i < 2; i++) {
		ret = vhd_file_pread(file, buf[i], sizeof(buf[i]),
				     VHDX_HEADER_AT(i));
		if (ret != 0 && ret != EIO) {
			snprintf(why, why_len, "reading header %u: %s", i + 1,
				 strerror(ret));
			return ret;
		}
		if (ret != 0) {
			snprintf(reason[i], sizeof(reason[i]), "%s",
				 strerror(ret));
		}
		good[i] = ret == 0 && vhdx_header_pull(buf[i], &h[i], reason[i],
						       sizeof(reason[i])) == 0;
	}
	if (!good[0] && !good[1]) {
		snprintf(why, why_len,
			 "a VHDX, neither header is good: %s (at %u); %s (at "
			 "%u)",
			 reason[0], VHDX_HEADER_AT(0), reason[1],
			 VHDX_HEADER_AT(1));
		return EINVAL;
	}
	*current = !good[0];
	if (good[0] && good[1]) {
		ret = choose_header(h, buf, current, why, why_len);
		if (ret != 0) {
			return ret;
		}
	}
	*header = h[*current];
	return check_current(header, *current, why, why_len);
}

int vhdx_write_headers(struct vhd_file *file, struct vhdx *vx,
		       const struct vhdx_header *header)
{
	struct vhdx_header h = *header;
	uint8_t buf[VHDX_SECTOR];
	unsigned i;

	h.sequence = vx->header.sequence;
	for (i = 0; i < 2; i++) {
		int ret;

		h.sequence++;
		vhdx_header_push(&h, buf);
		ret = vhd_file_pwrite_durable(file, buf, sizeof(buf),
					      VHDX_HEADER_AT(!vx->current));
		if (ret != 0) {
			return ret;
		}
		vx->current = !vx->current;
		vx->header = h;
	}
	return 0;
}

/* ---- the overlay ---- */

void vhdx_overlay_apply(const struct vhdx_overlay *overlay, void *buf,
			size_t len, uint64_t offset)
{
	unsigned i;

	for (i = 0; i < overlay->count; i++) {
		const struct vhdx_log_write *w = &overlay->write[i];
		uint64_t from = w->offset > offset ? w->offset : offset;
		uint64_t end = offset + len;

		if (w->offset + w->length < end) {
			end = w->offset + w->length;
		}
		if (from >= end) {
			continue;
		}
		if (w->zero) {
			memset((uint8_t *)buf + (from - offset), 0, end - from);
		} else {
			memcpy((uint8_t *)buf + (from - offset),
			       w->data + (from - w->offset), end - from);
		}
	}
}

/* What the log has, may lie behind the end of the file. */
static int read_zero_filled(struct vhd_file *file, void *buf, size_t len,
			    uint64_t offset)
{
	uint64_t size;
	int ret = vhd_file_size(file, &size, NULL);

	if (ret != 0) {
		return ret;
	}
	memset(buf, 0, len);
	if (offset >= size) {
		return 0;
	}
	if (len > size - offset) {
		len = (size_t)(size - offset);
	}
	return vhd_file_pread(file, buf, len, offset);
}

int vhdx_read(struct vhd_file *file, const struct vhdx *vx, void *buf,
	      size_t len, uint64_t offset)
{
	int ret;

	if (vx->overlay.count == 0) {
		return vhd_file_pread(file, buf, len, offset);
	}
	ret = read_zero_filled(file, buf, len, offset);
	if (ret == 0) {
		vhdx_overlay_apply(&vx->overlay, buf, len, offset);
	}
	return ret;
}

static int overlay_add(struct vhdx_overlay *overlay,
		       const struct vhdx_log_write *w)
{
	if (overlay->count == overlay->room) {
		unsigned room = overlay->room != 0 ? 2 * overlay->room : 64;
		struct vhdx_log_write *write;

		if (room > OVERLAY_MAX) {
			return EFBIG;
		}
		write = realloc(overlay->write, room * sizeof(*write));
		if (write == NULL) {
			return ENOMEM;
		}
		overlay->write = write;
		overlay->room = room;
	}
	overlay->write[overlay->count++] = *w;
	return 0;
}

/* ---- replay ---- */

struct replay {
	struct vhd_file *file;
	struct vhdx *vx;
	bool to_file;
	bool forget; /* a log that was never begun */
	bool check_only;
	char *why;
	size_t why_len;
};

/* No space is taken for them, however many a log asks for. */
static int write_zeroes(struct vhd_file *file, uint64_t offset, uint64_t length)
{
	uint64_t size, end = offset + length;
	int ret = vhd_file_size(file, &size, NULL);

	if (ret == 0 && end > size) {
		ret = vhd_file_truncate(file, end);
		end = size; /* behind it are zeroes now */
	}
	if (ret != 0 || offset >= end) {
		return ret;
	}
	return vhd_file_zero(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			     offset, end - offset);
}

/* What no log may change: file identifier, headers, the log itself. */
static bool is_forbidden(const struct vhdx *vx, const struct vhdx_log_write *w)
{
	uint64_t end = w->offset + w->length;

	return w->offset < VHDX_REGION_AT(0) || end > FILE_MAX ||
	       (w->offset < vx->header.log_offset + vx->header.log_length &&
		end > vx->header.log_offset);
}

static int replay_write(struct replay *r, const struct vhdx_log_write *w)
{
	int ret;

	if (is_forbidden(r->vx, w)) {
		snprintf(r->why, r->why_len,
			 "the log would change %" PRIu64 " bytes at %" PRIu64
			 ", which it must not",
			 w->length, w->offset);
		return EINVAL;
	}
	if (w->length == 0 || r->check_only) {
		return 0;
	}
	if (!r->to_file) {
		ret = overlay_add(&r->vx->overlay, w);
	} else if (w->zero) {
		ret = write_zeroes(r->file, w->offset, w->length);
	} else {
		ret = vhd_file_pwrite(r->file, w->data, VHDX_SECTOR, w->offset);
	}
	if (ret != 0) {
		snprintf(r->why, r->why_len,
			 "replaying the log at %" PRIu64 ": %s", w->offset,
			 strerror(ret));
	}
	return ret;
}

static int replay_entries(struct replay *r, const uint8_t *log, uint32_t at,
			  unsigned count)
{
	uint32_t log_len = r->vx->header.log_length;
	struct vhdx_log_write w;
	unsigned i;
	int ret = 0;

	while (ret == 0 && count-- > 0) {
		struct vhdx_log_entry e;
		uint32_t data = 0;

		ret = vhdx_log_entry_pull(log, log_len, at,
					  r->vx->header.log_guid, &e, r->why,
					  r->why_len);
		for (i = 0; ret == 0 && i < e.descriptors; i++) {
			vhdx_log_descriptor(log, log_len, at, &e, i, &data, &w);
			ret = replay_write(r, &w);
		}
		at = (uint32_t)(((uint64_t)at + e.length) % log_len);
	}
	return ret;
}

/* The file's length is to be the log's, and then nothing is left of it. */
static int replay_finish(struct replay *r, uint64_t last_offset)
{
	struct vhdx_header header = r->vx->header;
	uint64_t size;
	int ret = vhd_file_size(r->file, &size, NULL);

	if (ret == 0 && size < last_offset) {
		ret = vhd_file_truncate(r->file, last_offset);
	}
	if (ret == 0) {
		ret = vhd_file_sync(r->file);
	}
	memset(header.log_guid, 0, VHDX_GUID);
	if (ret == 0) {
		ret = vhdx_write_headers(r->file, r->vx, &header);
	}
	return ret;
}

/* A new FileWriteGuid before anything else is modified, 2.2.2. */
static int replay_announce(struct replay *r)
{
	struct vhdx_header header = r->vx->header;

	vhdx_guid_new(header.file_write_guid);
	return vhdx_write_headers(r->file, r->vx, &header);
}

/* Of the file: as the log knows it, as the log wants it. */
static int check_sizes(struct replay *r, const struct vhdx_log_entry *head)
{
	uint64_t size;
	int ret = vhd_file_size(r->file, &size, NULL);

	if (ret != 0) {
		return ret;
	}
	if (size < head->flushed_offset) {
		snprintf(r->why, r->why_len,
			 "the log says that the file had %" PRIu64
			 " bytes, it has %" PRIu64 " (truncated?)",
			 head->flushed_offset, size);
		return EINVAL;
	}
	if (head->last_offset > FILE_MAX) {
		snprintf(r->why, r->why_len,
			 "the log asks for a file of %" PRIu64 " bytes",
			 head->last_offset);
		return EINVAL;
	}
	return 0;
}

static int replay_log(struct replay *r, const uint8_t *log)
{
	struct vhdx *vx = r->vx;
	struct vhdx_log_entry head;
	uint32_t first = 0;
	bool begun;
	unsigned count = vhdx_log_find(log, vx->header.log_length,
				       vx->header.log_guid, &first, &head);
	int ret;

	/*
	 * qemu names a log before it writes the first entry, for a moment. No
	 * change is in its place then. Since that is not to be told from a log
	 * that was wiped, only a repair takes it for such.
	 */
	begun = count > 0 || vhdx_log_is_begun(log, vx->header.log_length,
					       vx->header.log_guid);
	if (!begun && r->forget) {
		return replay_finish(r, 0);
	}
	if (count == 0) {
		snprintf(r->why, r->why_len,
			 "the header says that there is a log to replay, but "
			 "its %" PRIu32 " bytes at %" PRIu64
			 " hold no valid one%s",
			 vx->header.log_length, vx->header.log_offset,
			 begun ? ""
			       : ", nor any entry of it (repair "
				 "forgets it)");
		return EINVAL;
	}
	ret = check_sizes(r, &head);
	vx->overlay.last_offset = head.last_offset;
	/* Nothing of it is written if any of it may not be. */
	r->check_only = true;
	if (ret == 0) {
		ret = replay_entries(r, log, first, count);
	}
	r->check_only = false;
	if (ret == 0 && r->to_file) {
		vhd_log(2,
			"vhd: %s: replaying the log of an earlier opener, %u "
			"entries",
			r->file->name, count);
		ret = replay_announce(r);
	}
	if (ret == 0) {
		ret = replay_entries(r, log, first, count);
	}
	if (ret == 0 && r->to_file) {
		ret = replay_finish(r, head.last_offset);
	}
	if (ret != 0 && r->why[0] == '\0') {
		snprintf(r->why, r->why_len, "replaying the log: %s",
			 strerror(ret));
	}
	return ret;
}

int vhdx_replay(struct vhd_file *file, struct vhdx *vx, unsigned flags,
		char *why, size_t why_len)
{
	struct replay r = {
		.file = file,
		.vx = vx,
		.to_file = flags & VHDX_LOAD_REPLAY,
		.forget = flags & VHDX_LOAD_FORGET,
		.why = why,
		.why_len = why_len,
	};
	uint8_t *log;
	int ret;

	why[0] = '\0';
	if (vx->header.log_length > LOG_MAX) {
		snprintf(why, why_len,
			 "a log of %" PRIu32 " bytes would have to be replayed,"
			 " %u at most can be",
			 vx->header.log_length, LOG_MAX);
		return EFBIG;
	}
	log = malloc(vx->header.log_length);
	if (log == NULL) {
		snprintf(why, why_len, "out of memory");
		return ENOMEM;
	}
	ret = read_zero_filled(file, log, vx->header.log_length,
			       vx->header.log_offset);
	if (ret != 0) {
		snprintf(why, why_len, "reading the log: %s", strerror(ret));
	} else {
		ret = replay_log(&r, log);
	}
	free(log);
	return ret;
}
