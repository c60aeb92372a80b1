/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A VHDX from a list of pieces, since a file is mostly empty: 2 bytes where (in
 * units of 4 KiB), 2 bytes length, the bytes. Checksums are made to fit, or
 * nothing behind them would ever be seen.
 */
#ifndef FUZZ_VHDX_PIECES_H
#define FUZZ_VHDX_PIECES_H

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vhd/bytes.h"
#include "vhd/vhdx.h"
#include "vhd/vhdx_bytes.h"

#define FILE_SIZE (6u << 20)
#define LOG_AT	  VHDX_MB

/* Which sectors are not zeroes. */
static uint8_t used[FILE_SIZE / VHDX_SECTOR];

static void fix_vhdx(uint8_t *file, size_t at, size_t len)
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
		fix_vhdx(file, at, length);
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

/* The file in memory; malloc. */
static uint8_t *pieces(const uint8_t *data, size_t size)
{
	uint8_t *file = calloc(1, FILE_SIZE);
	unsigned i;

	if (file == NULL) {
		abort();
	}
	memset(used, 0, sizeof(used));
	scatter(file, data, size);
	fix_log(file);
	for (i = 0; i < 2; i++) {
		fix_vhdx(file, VHDX_HEADER_AT(i), VHDX_SECTOR);
		fix_vhdx(file, VHDX_REGION_AT(i), VHDX_REGION_SIZE);
		used[VHDX_HEADER_AT(i) / VHDX_SECTOR] = 1;
		used[VHDX_REGION_AT(i) / VHDX_SECTOR] = 1;
	}
	return file;
}

/* As a file; the descriptor is the caller's. */
static int pieces_file(const uint8_t *content)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);
	uint32_t at;

	if (fd < 0 || ftruncate(fd, FILE_SIZE) != 0) {
		abort();
	}
	for (at = 0; at < FILE_SIZE; at += VHDX_SECTOR) {
		if (used[at / VHDX_SECTOR] &&
		    pwrite(fd, content + at, VHDX_SECTOR, at) != VHDX_SECTOR) {
			abort();
		}
	}
	return fd;
}

#endif /* FUZZ_VHDX_PIECES_H */
