/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * COMPARE_AND_WRITE over any format: read into the lane's bounce buffer,
 * compare, write the second half. The gate keeps all others off the range.
 *
 * The bounce buffer is taken before the gate is entered: whoever holds a
 * range then never waits for a buffer.
 */

#include <errno.h>

#include "vhd/private.h"

enum {
	CAW_START = 0,
	CAW_BOUNCE, /* waits for the lane's buffer */
	CAW_GATE,   /* waits for the range */
	CAW_READ,
	CAW_WRITE,
};

static int caw_compare(struct vhd_req *req)
{
	struct vhd_state *st = vhd_state(req);
	struct vhd_cursor c = {.iov = req->iov, .cnt = req->iovcnt};
	const uint8_t *p = st->io->bounce;
	uint64_t at = 0;

	while (at < req->length) {
		const uint8_t *mine = c.iov->iov_base;
		size_t i, n = c.iov->iov_len;

		if (n > req->length - at) {
			n = req->length - at;
		}
		for (i = 0; i < n; i++) {
			if (mine[i] != p[at + i]) {
				req->miscompare = at + i;
				return EILSEQ;
			}
		}
		at += n;
		c.iov++;
	}
	return 0;
}

static void caw_start_read(struct vhd_req *req)
{
	struct vhd_state *st = vhd_state(req);

	st->outer_phase = CAW_READ;
	st->io->bounce_iov = (struct iovec){st->io->bounce, req->length};
	st->op = VHD_READ;
	st->phase = 0;
	st->cursor = (struct vhd_cursor){.iov = &st->io->bounce_iov, .cnt = 1};
	st->exact = 1;
}

static void caw_start_write(struct vhd_req *req)
{
	struct vhd_state *st = vhd_state(req);

	st->outer_phase = CAW_WRITE;
	st->op = VHD_WRITE;
	st->phase = 0;
	st->cursor = (struct vhd_cursor){.iov = req->iov, .cnt = req->iovcnt};
	vhd_cursor_advance(&st->cursor, req->length);
	st->exact = 0;
	st->fua = req->flags & VHD_FUA; /* the read was without */
}

int vhd_caw_run(struct vhd_req *req, int result)
{
	struct vhd_state *st = vhd_state(req);
	struct vhd_io *io = st->io;

	switch (st->outer_phase) {
	case CAW_START:
		if (io->bounce_owner != NULL) {
			st->outer_phase = CAW_BOUNCE;
			vhd_queue_push(&io->bounce_waiting, req);
			return VHD_PENDING;
		}
		io->bounce_owner = req;
		/* fall through */
	case CAW_BOUNCE:
		st->outer_phase = CAW_GATE;
		result = vhd_gate_enter(req, true);
		if (result != 0) {
			return result; /* pending, or an error */
		}
		/* fall through */
	case CAW_GATE:
		caw_start_read(req);
		/* fall through */
	case CAW_READ:
		result = st->disk->ops->run(req, result);
		if (result == 0) {
			result = caw_compare(req);
		}
		if (result != 0) {
			return result; /* pending, or an error */
		}
		caw_start_write(req);
		/* fall through */
	default:
		return st->disk->ops->run(req, result);
	}
}

void vhd_caw_done(struct vhd_req *req)
{
	struct vhd_io *io = vhd_state(req)->io;
	struct vhd_req *next;

	if (io->bounce_owner != req) {
		return;
	}
	next = vhd_queue_pop(&io->bounce_waiting);
	io->bounce_owner = next;
	if (next != NULL) {
		vhd_io_post(next);
	}
}
