/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The record of an atomic write, as it is found beside a disk after a crash.
 * What is accepted lies inside the bytes that are there, and says the same
 * when it is written again.
 */

#include <stdlib.h>
#include <string.h>

#include "lib/crc32c.h"
#include "vhd/bytes.h"
#include "vhd/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Checksums that fit, or nothing behind them would ever be seen. */
static void mend(uint8_t *buf, size_t size)
{
	uint32_t head = get_be32(buf + 12), length = get_be32(buf + 40);

	if (head >= 512 && head <= size && length <= size - head) {
		put_be32(buf + 48, ~crc32c_update(CRC32C_INIT, buf + 512,
						  head - 512 + length));
	}
	put_be32(buf + 508, ~crc32c_update(CRC32C_INIT, buf, 508));
}

static void use(const uint8_t *buf, size_t size, const struct vhd_record *r)
{
	struct vhd_record again;
	uint8_t *copy = malloc(size);
	struct iovec iov = {(void *)(uintptr_t)(buf + r->head), r->length};
	uint32_t at;
	char why[32];

	if (r->head + (size_t)r->length > size || r->length > VHD_ATOMIC_MAX) {
		abort();
	}
	for (at = 0; at < r->length; at += VHD_RECORD_SECTOR) {
		vhd_record_new_sum(buf, at);
	}
	memcpy(copy, buf, size);
	vhd_record_push(r, &iov, copy);
	if (vhd_record_pull(copy, size, &again, why, sizeof(why)) != 0 ||
	    again.offset != r->offset || again.length != r->length ||
	    memcmp(again.disk_id, r->disk_id, 16) != 0) {
		abort();
	}
	for (at = 0; at < r->length; at += VHD_RECORD_SECTOR) {
		if (vhd_record_new_sum(copy, at) !=
		    vhd_record_sum(copy + r->head + at)) {
			abort();
		}
	}
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vhd_record record;
	uint8_t *buf;
	char why[32]; /* short: messages have to stay inside */

	if (size > VHD_RECORD_MAX) {
		return 0;
	}
	/* As it is, in a buffer that ends where it does. */
	buf = malloc(size + (size == 0));
	memcpy(buf, data, size);
	if (vhd_record_pull(buf, size, &record, why, sizeof(why)) == 0) {
		use(buf, size, &record);
	}
	if (size >= VHD_RECORD_SECTOR) {
		mend(buf, size);
		if (vhd_record_pull(buf, size, &record, why, sizeof(why)) ==
		    0) {
			use(buf, size, &record);
		}
	}
	free(buf);
	return 0;
}
