/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * VHDX: a whole file as the engine opens it: headers, log, region tables,
 * metadata, block allocation table. The input is a list of pieces
 * (vhdx_pieces.h).
 */

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vhd/vhdx_disk.h"
#include "vhdx_pieces.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What opens, has all of it inside the file. */
static void check_opened(const struct vhdx *vx)
{
	uint64_t i, n = vhdx_bat_entries(&vx->metadata, vx->metadata.size);
	uint64_t end = vx->file_size;

	if (vx->overlay.count > 0 && vx->overlay.last_offset > end) {
		end = vx->overlay.last_offset;
	}
	/* The whole table is looked at already; not twice where it is long. */
	for (i = 0; i < n && i < 65536; i++) {
		uint64_t entry = vx->bat[i];

		if (VHDX_BAT_STATE(entry) >= VHDX_FULLY_PRESENT &&
		    (VHDX_BAT_OFFSET(entry) < VHDX_MB ||
		     VHDX_BAT_OFFSET(entry) >= end)) {
			abort();
		}
	}
	if (memchr(vx->parent, '\0', sizeof(vx->parent)) == NULL) {
		abort();
	}
}

static void open_file(const uint8_t *content, unsigned flags)
{
	char why[VHD_WHY_MAX];
	struct vhd_file *file;
	struct vhdx *vx = NULL;
	int fd = pieces_file(content);

	file = vhd_file_open(fd, "fuzz", false, why, sizeof(why));
	if (file == NULL) {
		abort();
	}
	why[0] = '\0';
	if (vhdx_load(file, flags, &vx, why, sizeof(why)) == 0) {
		if (!(flags & VHDX_LOAD_NO_BAT)) {
			check_opened(vx);
		}
		vhdx_free(vx);
	} else if (why[0] == '\0') {
		abort(); /* refused without a reason */
	}
	vhd_file_unref(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *file;

	if (size > 1 << 20) {
		return 0;
	}
	file = pieces(data, size);
	open_file(file, 0);
	open_file(file, VHDX_LOAD_REPLAY);
	open_file(file, VHDX_LOAD_NO_BAT | VHDX_LOAD_IN_USE);
	free(file);
	return 0;
}
