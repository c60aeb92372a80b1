/* SPDX-License-Identifier: GPL-3.0-or-later */
/* RAM disks: anonymous memory, everything finishes at once. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "vhd/private.h"

/* Growth appends a mapping: lanes may be using those that exist. */
#define RAM_SEGMENTS 64

struct ram {
	_Atomic unsigned count;
	struct {
		uint8_t *base;
		uint64_t start, length; /* in the disk, bytes */
	} segment[RAM_SEGMENTS];
};

static int ram_append(struct ram *ram, uint64_t start, uint64_t length)
{
	unsigned n = atomic_load(&ram->count);
	void *map;

	if (n == RAM_SEGMENTS) {
		return ENOSPC;
	}
	map = mmap(NULL, length, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (map == MAP_FAILED) {
		return ENOMEM;
	}
	ram->segment[n].base = map;
	ram->segment[n].start = start;
	ram->segment[n].length = length;
	atomic_store_explicit(&ram->count, n + 1, memory_order_release);
	return 0;
}

/* Zero, giving whole pages back to the system. */
static void ram_discard(uint8_t *p, uint64_t length)
{
	uintptr_t first = ((uintptr_t)p + 4095) & ~(uintptr_t)4095;
	uintptr_t last = ((uintptr_t)p + length) & ~(uintptr_t)4095;

	if (last <= first ||
	    madvise((void *)first, last - first, MADV_DONTNEED) != 0) {
		memset(p, 0, length);
		return;
	}
	memset(p, 0, first - (uintptr_t)p);
	memset((void *)last, 0, (uintptr_t)p + length - last);
}

static void ram_part(struct vhd_state *st, uint8_t *p, uint64_t length)
{
	switch (st->op) {
	case VHD_READ:
		vhd_cursor_copy_to(&st->cursor, p, length);
		break;
	case VHD_WRITE:
		vhd_cursor_copy_from(&st->cursor, p, length);
		break;
	default: /* VHD_ZERO, VHD_DISCARD */
		ram_discard(p, length);
		break;
	}
}

static int ram_run(struct vhd_req *req, int result)
{
	struct vhd_state *st = vhd_state(req);
	struct ram *ram = st->disk->format;
	uint64_t at = st->offset, end = st->offset + st->length;
	unsigned i, count;

	if (st->op == VHD_FLUSH) {
		return 0;
	}
	count = atomic_load_explicit(&ram->count, memory_order_acquire);
	for (i = 0; i < count && at < end; i++) {
		uint64_t start = ram->segment[i].start;
		uint64_t stop = start + ram->segment[i].length;
		uint64_t n;

		if (at >= stop) {
			continue;
		}
		n = (end < stop ? end : stop) - at;
		ram_part(st, ram->segment[i].base + (at - start), n);
		at += n;
	}
	return 0;
}

static void ram_info(const struct vhd_disk *disk, struct vhd_info *info)
{
	info->allocated = info->size;
}

static int ram_grow(struct vhd_disk *disk, struct vhd_file *file,
		    uint64_t new_size, struct vhd_footer *footer, char *why,
		    size_t why_len)
{
	uint64_t size = atomic_load(&disk->size);
	int ret = ram_append(disk->format, size, new_size - size);

	if (ret != 0) {
		snprintf(why, why_len, "more memory: %s", strerror(ret));
	}
	return ret;
}

static void ram_close(struct vhd_disk *disk)
{
	struct ram *ram = disk->format;
	unsigned i;

	if (ram == NULL) {
		return;
	}
	for (i = 0; i < ram->count; i++) {
		munmap(ram->segment[i].base, ram->segment[i].length);
	}
	free(ram);
}

const struct vhd_format_ops vhd_ram_ops = {
	.name = "ram",
	.max_size = VHD_MAX_SIZE,
	.run = ram_run,
	.info = ram_info,
	.grow = ram_grow,
	.close = ram_close,
};

struct vhd_disk *vhd_open_ram(TALLOC_CTX *mem_ctx, uint64_t size)
{
	struct vhd_disk *disk;
	struct ram *ram;

	if (size == 0 || size % VHD_SECTOR != 0) {
		errno = EINVAL;
		return NULL;
	}
	disk = vhd_disk_new(mem_ctx, &vhd_ram_ops, VHD_TYPE_RAM, size);
	ram = calloc(1, sizeof(*ram));
	if (disk == NULL || ram == NULL || ram_append(ram, 0, size) != 0) {
		free(ram);
		talloc_free(disk);
		errno = ENOMEM;
		return NULL;
	}
	disk->format = ram;
	return disk;
}
