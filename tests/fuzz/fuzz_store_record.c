/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Records of the store: what is accepted has to survive being written and read
 * again. */
#include <stdlib.h>
#include <string.h>

#include "server/store/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* CRC-32 bit by bit: not the code under test. */
static uint32_t crc32_slow(const uint8_t *p, size_t len)
{
	uint32_t crc = ~0u;

	for (size_t i = 0; i < len; i++) {
		crc ^= p[i];
		for (int bit = 0; bit < 8; bit++) {
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
		}
	}
	return ~crc;
}

static void put32(uint8_t *p, uint32_t value)
{
	for (int i = 0; i < 4; i++) {
		p[i] = value >> 8 * i;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	TALLOC_CTX *mem = talloc_new(NULL);
	struct istm_state_data record, again;
	const char *reason = NULL;
	uint8_t *copy = malloc(size + 16);
	DATA_BLOB blob;

	/* As it is, and behind a header that fits, or nothing behind it would
	 * ever be seen. */
	if (!store_record_decode(mem, data, size, &record, &reason) &&
	    reason == NULL) {
		abort();
	}
	memcpy(copy, "ISTM", 4);
	put32(copy + 8, crc32_slow(data, size));
	put32(copy + 12, size);
	memcpy(copy + 16, data, size);
	for (uint32_t version = 1; version <= ISTM_STATE_VERSION; version++) {
		put32(copy + 4, version);
		if (store_record_decode(mem, copy, size + 16, &record,
					&reason) &&
		    (!store_record_encode(mem, &record, &blob) ||
		     !store_record_decode(mem, blob.data, blob.length, &again,
					  &reason))) {
			abort();
		}
	}
	free(copy);
	talloc_free(mem);
	return 0;
}
