/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * VHDX: a whole file as the engine opens it: headers, log, region tables,
 * metadata, block allocation table. The input is a list of pieces, since a
 * file is mostly empty: 2 bytes where (in units of 4 KiB), 2 bytes length, the
 * bytes. Checksums are made to fit, or nothing behind them would ever be seen.
 */

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vhd/bytes.h"
#include "vhd/vhdx_bytes.h"
#include "vhd/vhdx_disk.h"

#define FILE_SIZE (6u << 20)
#define LOG_AT	  VHDX_MB

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Which sectors are not zeroes. */
static uint8_t used[FILE_SIZE / VHDX_SECTOR];

static void fix(uint8_t *file, size_t at, size_t len)
{
	put_le32(file + at + 4, vhdx_checksum(file + at, len, 4));
}

/* The first entries of a log where ours have it. */
static void fix_log(uint8_t *file)
{
	unsigned n;
	size_t at = LOG_AT;

	for (n = 0; n < 8 && at < 2 * LOG_AT; n++) {
		uint32_t length = get_le32(file + at + 8);

		if (memcmp(file + at, "loge", 4) != 0 || length < VHDX_SECTOR ||
		    length > 2 * LOG_AT - at) {
			break;
		}
		fix(file, at, length);
		at += length / VHDX_SECTOR * VHDX_SECTOR;
	}
}

/* Where the pieces go. */
static void scatter(uint8_t *file, const uint8_t *data, size_t size)
{
	while (size >= 4) {
		size_t at = (size_t)get_le16(data) * VHDX_SECTOR;
		size_t len = get_le16(data + 2);

		data += 4;
		size -= 4;
		if (len > size) {
			len = size;
		}
		if (at < FILE_SIZE && len <= FILE_SIZE - at) {
			memcpy(file + at, data, len);
			memset(used + at / VHDX_SECTOR, 1,
			       (len + VHDX_SECTOR - 1) / VHDX_SECTOR);
		}
		data += len;
		size -= len;
	}
}

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
	uint32_t at;
	char why[VHD_WHY_MAX];
	struct vhd_file *file;
	struct vhdx *vx = NULL;
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, FILE_SIZE) != 0) {
		abort();
	}
	for (at = 0; at < FILE_SIZE; at += VHDX_SECTOR) {
		if (used[at / VHDX_SECTOR] &&
		    pwrite(fd, content + at, VHDX_SECTOR, at) != VHDX_SECTOR) {
			abort();
		}
	}
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
	unsigned i;

	if (size > 1 << 20) {
		return 0;
	}
	file = calloc(1, FILE_SIZE);
	if (file == NULL) {
		abort();
	}
	memset(used, 0, sizeof(used));
	scatter(file, data, size);
	fix_log(file);
	for (i = 0; i < 2; i++) {
		fix(file, VHDX_HEADER_AT(i), VHDX_SECTOR);
		fix(file, VHDX_REGION_AT(i), VHDX_REGION_SIZE);
		used[VHDX_HEADER_AT(i) / VHDX_SECTOR] = 1;
		used[VHDX_REGION_AT(i) / VHDX_SECTOR] = 1;
	}
	open_file(file, 0);
	open_file(file, VHDX_LOAD_REPLAY);
	open_file(file, VHDX_LOAD_NO_BAT | VHDX_LOAD_IN_USE);
	free(file);
	return 0;
}
