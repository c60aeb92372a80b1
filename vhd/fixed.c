/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Fixed disks: the data at offset 0 of the file, the footer behind them. */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/falloc.h>
#include <string.h>
#include <unistd.h>

#include "vhd/private.h"

enum {
	FIXED_START = 0,
	FIXED_TRANSFER, /* read or write of the data */
	FIXED_PUNCH,
	FIXED_ZERO_RANGE,
	FIXED_SYNC, /* FUA of what fallocate did */
};

static int fixed_write_zeroes(struct vhd_req *req)
{
	struct vhd_state *st = vhd_state(req);

	st->phase = FIXED_TRANSFER;
	st->cursor = (struct vhd_cursor){.iov = NULL};
	return vhd_transfer(req, st->disk->file, true, st->offset, st->length);
}

static int fixed_fallocate(struct vhd_req *req, uint8_t phase, int mode)
{
	struct vhd_state *st = vhd_state(req);

	st->phase = phase;
	return vhd_transfer_fallocate(req, st->disk->file,
				      mode | FALLOC_FL_KEEP_SIZE, st->offset,
				      st->length);
}

static int fixed_start(struct vhd_req *req)
{
	struct vhd_state *st = vhd_state(req);

	switch (st->op) {
	case VHD_READ:
	case VHD_WRITE:
		st->phase = FIXED_TRANSFER;
		return vhd_transfer(req, st->disk->file, st->op == VHD_WRITE,
				    st->offset, st->length);
	case VHD_ZERO:
		if (st->length <= VHD_ZERO_BY_WRITING) {
			return fixed_write_zeroes(req);
		}
		return fixed_fallocate(req, FIXED_ZERO_RANGE,
				       FALLOC_FL_ZERO_RANGE);
	case VHD_DISCARD:
		return fixed_fallocate(req, FIXED_PUNCH, FALLOC_FL_PUNCH_HOLE);
	default: /* VHD_FLUSH */
		st->phase = FIXED_TRANSFER;
		return vhd_transfer_sync(req, st->disk->file);
	}
}

static int fixed_run(struct vhd_req *req, int result)
{
	struct vhd_state *st = vhd_state(req);

	switch (st->phase) {
	case FIXED_START:
		return fixed_start(req);
	case FIXED_PUNCH:
		if (result == EOPNOTSUPP) {
			return fixed_fallocate(req, FIXED_ZERO_RANGE,
					       FALLOC_FL_ZERO_RANGE);
		}
		break;
	case FIXED_ZERO_RANGE:
		if (result == EOPNOTSUPP) {
			return fixed_write_zeroes(req);
		}
		break;
	default:
		return result;
	}
	if (result == 0 && st->fua) {
		st->phase = FIXED_SYNC;
		return vhd_transfer_sync(req, st->disk->file);
	}
	return result;
}

static void fixed_info(const struct vhd_disk *disk, struct vhd_info *info)
{
	uint64_t size;

	memcpy(info->unique_id, disk->footer.unique_id, 16);
	if (vhd_file_size(disk->file, &size, &info->allocated) != 0) {
		info->allocated = 0;
	}
	if (info->allocated > info->size) {
		info->allocated = info->size;
	}
}

static bool fixed_find(const struct vhd_disk *disk, uint64_t at,
		       struct vhd_place *place)
{
	place->kind = VHD_PLACE_DATA;
	place->disk = disk;
	place->offset = at;
	return true;
}

static bool fixed_source(struct vhd_disk *disk, uint64_t offset,
			 uint64_t length, struct vhd_source *source)
{
	source->file = disk->file;
	source->offset = offset;
	return true;
}

static void fixed_close(struct vhd_disk *disk)
{
	vhd_file_close(disk->file);
}

/* ---- growth ---- */

struct fixed_growth {
	uint64_t old_eof;
	uint64_t old_size, new_size;
	bool written_out; /* no part of the disk may run out of space later */
	uint8_t old_footer[VHD_FOOTER_SIZE], new_footer[VHD_FOOTER_SIZE];
	const char *what; /* being done, for the message */
};

static int grow_reserve(struct vhd_file *file, struct fixed_growth *g)
{
	g->what = "reserving space";
	return vhd_file_fallocate(file, FALLOC_FL_KEEP_SIZE, g->old_size,
				  g->new_size + VHD_FOOTER_SIZE - g->old_size);
}

static int grow_write_footer(struct vhd_file *file, struct fixed_growth *g)
{
	int ret;

	g->what = "writing the new footer";
	ret = vhd_file_pwrite(file, g->new_footer, VHD_FOOTER_SIZE,
			      g->new_size);
	return ret != 0 ? ret : vhd_file_sync(file);
}

int vhd_fixed_finish_growth(struct vhd_file *file, struct vhd_footer *footer,
			    uint64_t footer_at)
{
	uint8_t buf[VHD_FOOTER_SIZE];
	int ret = vhd_file_write_zeroes(file, footer->stale_from,
					footer->stale_to);

	if (ret == 0) {
		ret = vhd_file_sync(file);
	}
	footer->stale_from = footer->stale_to = 0;
	vhd_footer_push(footer, buf);
	if (ret == 0) {
		ret = vhd_file_pwrite(file, buf, sizeof(buf), footer_at);
	}
	return ret != 0 ? ret : vhd_file_sync(file);
}

/* Back to the old size, with the old footer at the end. */
static void grow_undo(struct vhd_file *file, struct fixed_growth *g,
		      size_t old_len)
{
	int ret = vhd_file_pwrite(file, g->old_footer, old_len,
				  g->old_eof - old_len);

	if (ret == 0) {
		ret = vhd_file_sync(file);
	}
	if (ret == 0) {
		ret = vhd_file_truncate(file, g->old_eof);
	}
	if (ret != 0) {
		vhd_log(0, "vhd: %s: cannot undo a failed growth: %s",
			file->name, strerror(ret));
	}
}

/* What lies between the data and the footer is nobody's, and becomes the
 * disk's. */
static int grow_clear_tail(struct vhd_file *file, struct fixed_growth *g,
			   size_t old_len)
{
	uint64_t end = g->old_eof - old_len;
	int ret;

	if (end <= g->old_size) {
		return 0;
	}
	g->what = "clearing what lies behind the data";
	ret = vhd_file_zero(file,
			    FALLOC_FL_KEEP_SIZE |
				    (g->written_out ? FALLOC_FL_ZERO_RANGE
						    : FALLOC_FL_PUNCH_HOLE),
			    g->old_size, end - g->old_size);
	return ret != 0 ? ret : vhd_file_sync(file);
}

/*
 * The order, such that the file opens after a crash at any point:
 *  1. reserve space behind the end of the file, whose size stays: the old
 *     footer is still the last thing in it;
 *  2. write the new footer at its place, which extends the file in the same
 *     step; flush. Both footers are there, the last one counts;
 *  3. the old footer has become data, which the new one says: zero it; flush;
 *  4. write the new footer again, without that; flush.
 * Lanes see the new size only after that. Who opens the file after a crash
 * between 2 and 4 does what is left.
 */
static int grow_file(struct vhd_file *file, struct fixed_growth *g,
		     struct vhd_footer *footer)
{
	bool reserved = false;
	int ret;

	if (g->written_out) {
		ret = grow_reserve(file, g);
		reserved = ret == 0;
		if (ret != 0 && ret != EOPNOTSUPP) {
			return ret;
		}
	}
	ret = grow_write_footer(file, g);
	if (ret == 0 && g->written_out && !reserved) {
		g->what = "writing out zeroes";
		ret = vhd_file_write_zeroes(file, g->old_eof, g->new_size);
	}
	if (ret == 0) {
		g->what = "clearing the old footer";
		ret = vhd_fixed_finish_growth(file, footer, g->new_size);
	}
	return ret;
}

static int fixed_grow(struct vhd_disk *disk, struct vhd_file *file,
		      uint64_t new_size, struct vhd_footer *footer, char *why,
		      size_t why_len)
{
	struct fixed_growth g = {
		.old_size = footer->current_size,
		.new_size = new_size,
		.what = "reading the old footer",
	};
	uint64_t allocated;
	int ret;

	ret = vhd_file_size(file, &g.old_eof, &allocated);
	if (ret == 0) {
		ret = vhd_file_pread(file, g.old_footer, disk->footer_len,
				     g.old_eof - disk->footer_len);
	}
	if (ret != 0) {
		goto fail;
	}
	if (new_size + VHD_FOOTER_SIZE <= g.old_eof) {
		snprintf(why, why_len,
			 "the file already has %" PRIu64
			 " bytes, more than the %" PRIu64 " it would need",
			 g.old_eof, new_size + VHD_FOOTER_SIZE);
		return EINVAL;
	}
	g.written_out = allocated >= g.old_eof;
	footer->current_size = new_size;
	vhd_geometry(new_size, footer);
	footer->stale_from = g.old_eof - disk->footer_len;
	footer->stale_to = g.old_eof < new_size ? g.old_eof : new_size;
	if (footer->stale_from >= footer->stale_to) {
		footer->stale_from = footer->stale_to = 0;
	}
	vhd_footer_push(footer, g.new_footer);
	if (!g.written_out) {
		vhd_file_mark_hole(file, g.old_size, new_size - g.old_size);
	}
	ret = grow_clear_tail(file, &g, disk->footer_len);
	if (ret != 0) {
		goto fail;
	}
	ret = grow_file(file, &g, footer);
	if (ret == 0) {
		return 0;
	}
	grow_undo(file, &g, disk->footer_len);
fail:
	snprintf(why, why_len, "%s: %s", g.what, strerror(ret));
	return ret;
}

const struct vhd_format_ops vhd_fixed_ops = {
	.name = "fixed",
	.max_size = VHD_MAX_SIZE,
	.run = fixed_run,
	.info = fixed_info,
	.find = fixed_find,
	.source = fixed_source,
	.grow = fixed_grow,
	.close = fixed_close,
};
