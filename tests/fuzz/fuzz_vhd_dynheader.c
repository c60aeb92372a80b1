/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The dynamic header's parser, and the UTF-16 of parents' names. Input: eight
 * bytes of disk size, a header. */

#include <stdlib.h>
#include <string.h>

#include "vhd/bytes.h"
#include "vhd/dynheader.h"
#include "vhd/footer.h"
#include "vhd/vhd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void names(const uint8_t *data, size_t size)
{
	char path[100];
	uint8_t utf16[200];
	int big_endian;

	for (big_endian = 0; big_endian < 2; big_endian++) {
		int n;

		if (vhd_utf16_pull(data, size, big_endian, path,
				   sizeof(path)) != 0) {
			continue;
		}
		n = vhd_utf16_push(path, big_endian, utf16, sizeof(utf16));
		if (n < 0 || (size_t)n > size ||
		    memcmp(utf16, data, (size_t)n) != 0) {
			abort();
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t buf[VHD_DYNHEADER_SIZE] = {0}, again[VHD_DYNHEADER_SIZE];
	struct vhd_dynheader header, second;
	uint64_t disk_size;
	char why[32];

	if (size < 8) {
		return 0;
	}
	disk_size = get_be64(data) % (VHD_MAX_SIZE + 1);
	data += 8;
	size -= 8;
	memcpy(buf, data, size < sizeof(buf) ? size : sizeof(buf));
	/* A checksum that fits, or nothing behind it would ever be seen. */
	if (size % 2 == 0) {
		put_be32(buf + 36, vhd_checksum(buf, sizeof(buf), 36));
	}
	names(data, size);
	memset(&header, 0, sizeof(header));
	memset(&second, 0, sizeof(second));
	if (vhd_dynheader_pull(buf, disk_size, &header, why, sizeof(why)) !=
	    0) {
		return 0;
	}
	if (header.block_size == 0 ||
	    (uint64_t)header.entries * header.block_size < disk_size) {
		abort();
	}
	vhd_dynheader_push(&header, again);
	if (vhd_dynheader_pull(again, disk_size, &second, why, sizeof(why)) !=
		    0 ||
	    memcmp(&header, &second, sizeof(header)) != 0) {
		abort();
	}
	return 0;
}
