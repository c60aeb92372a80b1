/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Requests of formats whose data lie in several places: one segment after the
 * other, with metadata between them. */

#include "vhd/private.h"

void vhd_segment_begin(struct vhd_state *st)
{
	st->seg.at = st->offset;
	st->seg.need_sync = false;
	st->seg.mark = 0;
	st->phase = VHD_SEGMENT_NEXT;
	if (st->op == VHD_ZERO || st->op == VHD_DISCARD) {
		st->cursor = (struct vhd_cursor){.iov = NULL};
	}
}

int vhd_segment_transfer(struct vhd_req *req, uint8_t phase, bool write,
			 bool durable, const struct vhd_disk *disk,
			 uint64_t offset)
{
	struct vhd_state *st = vhd_state(req);

	st->phase = phase;
	st->fua = durable;
	return vhd_transfer(req, disk->file, write, offset, st->seg.length);
}

void vhd_segment_done(struct vhd_state *st)
{
	st->seg.at += st->seg.length;
	st->phase = VHD_SEGMENT_NEXT;
}

int vhd_segment_whole(struct vhd_req *req, const struct vhd_disk *disk,
		      bool write, uint64_t offset)
{
	struct vhd_state *st = vhd_state(req);

	/* Where the request goes on if the transfer has to wait. */
	st->seg.at = st->offset;
	st->seg.length = st->length;
	st->seg.need_sync = false;
	st->seg.mark = 0;
	return vhd_segment_transfer(req, VHD_SEGMENT_MOVED, write, false, disk,
				    offset);
}

int vhd_meta_transfer(struct vhd_req *req, const struct vhd_disk *disk,
		      bool write, bool durable, const void *buf, size_t len,
		      uint64_t offset)
{
	struct vhd_state *st = vhd_state(req);

	st->seg.saved = st->cursor;
	st->seg.iov = (struct iovec){(void *)(uintptr_t)buf, len};
	st->cursor = (struct vhd_cursor){.iov = &st->seg.iov, .cnt = 1};
	st->fua = durable;
	return vhd_transfer(req, disk->file, write, offset, len);
}

void vhd_meta_done(struct vhd_req *req)
{
	vhd_state(req)->cursor = vhd_state(req)->seg.saved;
}
