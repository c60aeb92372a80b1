/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Direct I/O: reads and writes around the page cache, for servers whose
 * memory is small beside their disks.
 *
 * A disk is direct for all its data or not at all. Were some requests to go
 * through the page cache (those that are badly aligned, say), the write-back
 * of a page could undo what another had written to its neighbour sectors
 * directly. So only disks qualify whose data have pages of their own, on file
 * systems that take single sectors, and buffers that are badly aligned are
 * copied.
 */
/* statx() */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vhd/private.h"

#define PAGE 4096u

/* Linux 6.1; older headers do not have it. */
#ifndef STATX_DIOALIGN
#define STATX_DIOALIGN 0x2000u
#endif

/* Bytes of a transfer whose buffer has to be copied, at a time. */
#define BOUNCE_MAX (1u << 20)

/* struct statx as far as STATX_DIOALIGN needs it, whatever the headers. */
struct statx_dio {
	uint32_t mask;
	uint8_t other[0x94];
	uint32_t mem_align, offset_align;
	uint8_t more[0x60];
};

_Static_assert(sizeof(struct statx_dio) >= sizeof(struct statx),
	       "struct statx has grown");

static int probe_alignment(int fd, uint32_t *mem_align, char *why,
			   size_t why_len)
{
	struct statx_dio stx;

	memset(&stx, 0, sizeof(stx));
	if (statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN,
		  (struct statx *)(void *)&stx) != 0) {
		int ret = errno;

		snprintf(why, why_len, "statx: %s", strerror(ret));
		return ret;
	}
	if (!(stx.mask & STATX_DIOALIGN)) {
		/* It does not say: sectors, and what suits all devices. */
		*mem_align = VHD_SECTOR;
		return 0;
	}
	if (stx.offset_align == 0 || stx.offset_align > VHD_SECTOR) {
		snprintf(why, why_len,
			 stx.offset_align == 0
				 ? "the file system has no direct I/O"
				 : "direct I/O takes no single sectors there, "
				   "only multiples of %u bytes",
			 stx.offset_align);
		return ENOTSUP;
	}
	*mem_align = stx.mem_align;
	return 0;
}

/* Does the file take what it promises? Its first sector is data. */
static int try_sector(int fd, char *why, size_t why_len)
{
	void *sector = aligned_alloc(PAGE, PAGE);
	int ret = 0;

	if (sector == NULL) {
		return ENOMEM;
	}
	if (pread(fd, sector, VHD_SECTOR, VHD_SECTOR) != VHD_SECTOR) {
		ret = errno != 0 ? errno : EIO;
		snprintf(why, why_len, "direct I/O of a sector: %s",
			 strerror(ret));
	}
	free(sector);
	return ret;
}

static int set_direct(struct vhd_disk *disk, char *why, size_t why_len)
{
	struct vhd_file *file = disk->file;
	char link[40];
	int fd, ret;

	if (disk->type != VHD_TYPE_FIXED || file == NULL ||
	    vhd_disk_size(disk) % PAGE != 0) {
		snprintf(why, why_len,
			 "direct I/O is for fixed disks of whole %u bytes",
			 PAGE);
		return ENOTSUP;
	}
	snprintf(link, sizeof(link), "/proc/self/fd/%d", file->fd);
	fd = open(link,
		  (file->readonly ? O_RDONLY : O_RDWR) | O_DIRECT | O_CLOEXEC);
	if (fd < 0) {
		ret = errno;
		snprintf(why, why_len, "opening for direct I/O: %s",
			 strerror(ret));
		return ret == EINVAL ? ENOTSUP : ret;
	}
	ret = probe_alignment(fd, &file->direct_align, why, why_len);
	if (ret == 0) {
		errno = 0;
		ret = try_sector(fd, why, why_len);
	}
	if (ret != 0) {
		close(fd);
		return ret;
	}
	if (file->direct_align < 1) {
		file->direct_align = 1;
	}
	file->direct_fd = fd;
	return 0;
}

int vhd_set_direct(struct vhd_disk *disk, char **message)
{
	char why[VHD_WHY_MAX] = "";
	int ret = set_direct(disk, why, sizeof(why));

	if (message != NULL) {
		*message =
			ret == 0 ? NULL
				 : talloc_strdup(disk, why[0] != '\0'
							       ? why
							       : strerror(ret));
	}
	return ret;
}

/* ---- buffers ---- */

bool vhd_direct_takes(const struct vhd_file *file, const struct iovec *iov,
		      int cnt)
{
	for (int i = 0; i < cnt; i++) {
		if ((uintptr_t)iov[i].iov_base % file->direct_align != 0 ||
		    iov[i].iov_len % VHD_SECTOR != 0) {
			return false;
		}
	}
	return true;
}

int vhd_direct_bounce(struct vhd_req *req, bool write, struct iovec *iov)
{
	struct vhd_state *st = vhd_state(req);
	size_t n = st->left < BOUNCE_MAX ? st->left : BOUNCE_MAX;
	struct vhd_cursor cursor = st->cursor;

	free(st->bounce);
	st->bounce = aligned_alloc(PAGE, (n + PAGE - 1) / PAGE * PAGE);
	if (st->bounce == NULL) {
		return ENOMEM;
	}
	if (write) {
		vhd_cursor_copy_from(&cursor, st->bounce, n);
	}
	*iov = (struct iovec){st->bounce, n};
	return 0;
}

void vhd_direct_done(struct vhd_req *req, bool write, int res)
{
	struct vhd_state *st = vhd_state(req);
	struct vhd_cursor cursor = st->cursor;

	if (!write && res > 0) {
		vhd_cursor_copy_to(&cursor, st->bounce, (uint64_t)res);
	}
	free(st->bounce);
	st->bounce = NULL;
}
