/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reads that copy nothing: where the bytes lie in the page cache. */

#include <errno.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "vhd/private.h"

#define PAGE 4096u

/* cachestat(2), Linux 6.5; older headers do not have it. */
#ifndef SYS_cachestat
#define SYS_cachestat 451
#endif

struct cache_range {
	uint64_t off, len;
};

struct cache_stat {
	uint64_t cached, dirty, writeback, evicted, recently_evicted;
};

/*
 * Is the range in the page cache, so that the kernel does not wait for the
 * medium when it sends it? cachestat() counts pages that are being read as
 * well; readahead reads in order, so the last page tells about them.
 */
static bool is_cached(struct vhd_file *file, uint64_t offset, uint64_t length)
{
	struct cache_range range = {offset, length};
	struct cache_stat stat;
	uint64_t pages = (offset + length - 1) / PAGE - offset / PAGE + 1;

	if (atomic_load_explicit(&file->inline_read, memory_order_relaxed) ==
		    VHD_INLINE_NEVER ||
	    atomic_load_explicit(&file->no_source, memory_order_relaxed)) {
		return false;
	}
	if (syscall(SYS_cachestat, file->fd, &range, &stat, 0) != 0) {
		/* An older kernel, or a file system without: as ever. */
		atomic_store(&file->no_source, true);
		return false;
	}
	return stat.cached >= pages &&
	       vhd_file_is_cached(file, offset + length - 1) &&
	       vhd_file_is_cached(file, offset);
}

bool vhd_disk_source(struct vhd_disk *disk, uint64_t offset, uint64_t length,
		     struct vhd_source *source)
{
	uint64_t size = vhd_disk_size(disk);

	if (disk->ops->source == NULL || length == 0 || offset > size ||
	    length > size - offset || atomic_load(&disk->gate.had_exclusive)) {
		return false;
	}
	if (!disk->ops->source(disk, offset, length, source)) {
		return false;
	}
	/* Tests that let reads fail want reads; direct I/O is to leave the page
	 * cache alone. */
	if (source->file->tap != NULL || source->file->direct_fd >= 0) {
		return false;
	}
	return is_cached(source->file, source->offset, length);
}

int vhd_source_fd(const struct vhd_source *source)
{
	return source->file->fd;
}

int vhd_source_read(const struct vhd_source *source, uint64_t skip,
		    const struct iovec *iov, int iovcnt, uint64_t length)
{
	struct vhd_cursor cursor = {.iov = iov, .cnt = iovcnt};

	while (length > 0) {
		size_t here = cursor.iov->iov_len - cursor.skip;
		ssize_t n;

		if (here > length) {
			here = length;
		}
		n = pread(source->file->fd,
			  (uint8_t *)cursor.iov->iov_base + cursor.skip, here,
			  (off_t)(source->offset + skip));
		if (n <= 0) {
			if (n < 0 && errno == EINTR) {
				continue;
			}
			int error = n < 0 ? errno : EIO;

			/* The next reads of this file are to find out, and
			 * to answer, what is wrong. */
			atomic_store(&source->file->no_source, true);
			return error;
		}
		vhd_cursor_advance(&cursor, (uint64_t)n);
		skip += (uint64_t)n;
		length -= (uint64_t)n;
	}
	return 0;
}
