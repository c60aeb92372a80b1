/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Sector bitmaps: lanes read and set bits without a lock. */

#include <stdlib.h>

#include "vhd/dynamic.h"

struct vhd_bitmap vhd_bitmap_full = {.full = true};

struct vhd_bitmap *dyn_bitmap_new(const struct vhd_dyn *dyn)
{
	struct vhd_bitmap *bitmap;

	bitmap = calloc(1, sizeof(*bitmap) + 2 * (size_t)dyn->bitmap_size);
	if (bitmap != NULL) {
		bitmap->shadow = bitmap->bits + dyn->bitmap_size;
	}
	return bitmap;
}

static bool bit_at(const struct vhd_bitmap *bitmap, uint32_t i)
{
	uint8_t byte = __atomic_load_n(&bitmap->bits[i / 8], __ATOMIC_ACQUIRE);

	return byte & 0x80 >> i % 8;
}

uint32_t dyn_bitmap_run(const struct vhd_bitmap *bitmap, uint32_t first,
			uint32_t count, bool *set)
{
	uint32_t i = first, end = first + count;
	uint8_t all;

	if (atomic_load_explicit(&bitmap->full, memory_order_acquire)) {
		*set = true;
		return count;
	}
	*set = bit_at(bitmap, first);
	all = *set ? 0xff : 0;
	while (i < end) {
		/* Eight at a time, as pages are. */
		if (i % 8 == 0 && end - i >= 8 &&
		    __atomic_load_n(&bitmap->bits[i / 8], __ATOMIC_ACQUIRE) ==
			    all) {
			i += 8;
		} else if (bit_at(bitmap, i) == *set) {
			i++;
		} else {
			break;
		}
	}
	return i - first;
}

/* Of a block that nobody uses; yet vhd_disk_mapped() may be looking. */
void dyn_bitmap_clear(const struct vhd_dyn *dyn, struct vhd_bitmap *bitmap)
{
	uint32_t i;

	atomic_store(&bitmap->full, false);
	for (i = 0; i < dyn->bitmap_size; i++) {
		__atomic_store_n(&bitmap->bits[i], 0, __ATOMIC_RELAXED);
	}
}

void dyn_bitmap_set(const struct vhd_dyn *dyn, struct vhd_bitmap *bitmap,
		    uint32_t first, uint32_t count)
{
	uint32_t sectors = dyn->header.block_size / VHD_SECTOR;
	uint32_t i;

	for (i = first; i < first + count; i++) {
		__atomic_fetch_or(&bitmap->bits[i / 8], 0x80 >> i % 8,
				  __ATOMIC_RELEASE);
	}
	for (i = 0; i < sectors / 8; i++) {
		if (__atomic_load_n(&bitmap->bits[i], __ATOMIC_RELAXED) !=
		    0xff) {
			return;
		}
	}
	atomic_store_explicit(&bitmap->full, true, memory_order_release);
}
