/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A whole file as the engine opens it: footer, dynamic header, table, parent
 * locators. What opens has all its blocks inside the file. Input: the file;
 * checksums are made to fit, or nothing behind them would ever be seen.
 */

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vhd/bytes.h"
#include "vhd/dynamic.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fix(uint8_t *buf, size_t size, size_t at, size_t len, size_t sum)
{
	if (at <= size && len <= size - at) {
		put_be32(buf + at + sum, vhd_checksum(buf + at, len, sum));
	}
}

static void check_opened(const struct vhd_dyn *dyn, uint64_t end)
{
	uint32_t i;

	for (i = 0; i < dyn->loaded_blocks; i++) {
		uint64_t at = (uint64_t)dyn->bat[i] * VHD_SECTOR;

		if (at != 0 &&
		    (at < VHD_FOOTER_SIZE ||
		     at + dyn->bitmap_size + dyn->header.block_size > end)) {
			abort();
		}
	}
	if (memchr(dyn->parent, '\0', sizeof(dyn->parent)) == NULL) {
		abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char why[VHD_WHY_MAX];
	struct vhd_footer footer;
	struct vhd_dyn *dyn = NULL;
	struct vhd_file *file;
	uint64_t file_size;
	size_t footer_len;
	uint8_t *copy;
	int fd;

	if (size < VHD_FOOTER_SIZE || size > 1 << 20) {
		return 0;
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
	file = vhd_file_open(fd, "fuzz", false, why, sizeof(why));
	if (file == NULL) {
		abort();
	}
	if (vhd_read_footer(file, &footer, &footer_len, &file_size, why,
			    sizeof(why)) == 0 &&
	    footer.type != VHD_TYPE_FIXED &&
	    dyn_load(file, &footer, file_size - footer_len, &dyn, why,
		     sizeof(why)) == 0) {
		check_opened(dyn, file_size - footer_len);
		dyn_free(dyn);
	}
	vhd_file_unref(file);
	return 0;
}
