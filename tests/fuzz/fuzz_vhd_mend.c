/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A whole file, compacted, checked and mended. What opened before opens
 * afterwards and reads the same, to its last byte. Input: the file; or "vhdx"
 * and the pieces of one (vhdx_pieces.h). Checksums are made to fit.
 */

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vhd/bytes.h"
#include "vhd/footer.h"
#include "vhd/dynheader.h"
#include "vhd/vhd.h"
#include "vhdx_pieces.h"

/* How much of a disk is compared. */
#define WINDOW (16u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static TALLOC_CTX *mem;
static struct tevent_context *ev;
static struct vhd_io *io;

static void fix(uint8_t *buf, size_t size, size_t at, size_t len, size_t sum)
{
	if (at <= size && len <= size - at) {
		put_be32(buf + at + sum, vhd_checksum(buf + at, len, sum));
	}
}

static void read_done(struct vhd_req *req)
{
	*(bool *)req->private_data = true;
}

/* @return false: it does not open, or is not to be read alone */
static bool contents(int fd, uint8_t *buf)
{
	struct vhd_disk *disk = NULL;
	struct tevent_req *req =
		vhd_open_send(mem, ev, fcntl(fd, F_DUPFD_CLOEXEC, 0), "fuzz",
			      VHD_OPEN_READONLY);
	struct iovec iov = {buf, WINDOW};
	bool done = false;
	struct vhd_req read = {
		.op = VHD_READ,
		.iov = &iov,
		.iovcnt = 1,
		.done = read_done,
		.private_data = &done,
	};

	if (!tevent_req_poll(req, ev) ||
	    vhd_open_recv(req, mem, &disk, NULL) != 0) {
		talloc_free(req);
		return false;
	}
	talloc_free(req);
	read.length =
		vhd_disk_size(disk) < WINDOW ? vhd_disk_size(disk) : WINDOW;
	if (!vhd_submit(io, disk, &read)) {
		vhd_io_kick(io);
		while (!done) {
			tevent_loop_once(ev);
		}
	}
	vhd_close(disk);
	return read.error == 0;
}

static void compact(int fd)
{
	struct tevent_req *req = vhd_compact_send(
		mem, ev, fcntl(fd, F_DUPFD_CLOEXEC, 0), "fuzz", NULL, NULL);
	struct vhd_compact result;

	if (tevent_req_poll(req, ev)) {
		vhd_compact_recv(req, mem, &result, NULL);
	}
	talloc_free(req);
}

static void mend(int fd)
{
	struct tevent_req *req =
		vhd_check_send(mem, ev, fcntl(fd, F_DUPFD_CLOEXEC, 0), "fuzz",
			       VHD_CHECK_REPAIR);
	struct vhd_check check;

	if (tevent_req_poll(req, ev) &&
	    vhd_check_recv(req, mem, &check, NULL) == 0) {
		talloc_free(check.report);
	}
	talloc_free(req);
}

static int make_file(const uint8_t *data, size_t size)
{
	bool vhdx = memcmp(data, "vhdx", 4) == 0;
	uint8_t *copy;
	int fd;

	if (vhdx) {
		copy = pieces(data + 4, size - 4);
		fd = pieces_file(copy);
		free(copy);
		return fd;
	}
	copy = malloc(size);
	memcpy(copy, data, size);
	fix(copy, size, VHD_FOOTER_SIZE, VHD_DYNHEADER_SIZE, 36);
	fix(copy, size, size - VHD_FOOTER_SIZE, VHD_FOOTER_SIZE, 64);
	fd = memfd_create("fuzz", MFD_CLOEXEC);
	if (fd < 0 || write(fd, copy, size) != (ssize_t)size) {
		abort();
	}
	free(copy);
	return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t before[WINDOW], after[WINDOW];
	int fd;

	if (size < VHD_FOOTER_SIZE || size > 4 << 20) {
		return 0;
	}
	if (io == NULL) {
		mem = talloc_new(NULL);
		ev = tevent_context_init(mem);
		io = vhd_io_create(mem, ev, 8);
	}
	fd = make_file(data, size);
	memset(before, 0, sizeof(before));
	memset(after, 0, sizeof(after));
	if (contents(fd, before)) {
		compact(fd);
		mend(fd);
		if (!contents(fd, after) ||
		    memcmp(before, after, WINDOW) != 0) {
			abort();
		}
	} else {
		compact(fd);
		mend(fd);
	}
	close(fd);
	return 0;
}
