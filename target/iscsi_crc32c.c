/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "target/iscsi_crc32c.h"

#include <string.h>

#if defined(__aarch64__)
#include <sys/auxv.h>
#include <asm/hwcap.h>
#endif

/* Castagnoli's polynomial, bits reversed. */
#define POLY 0x82f63b78u

typedef uint32_t (*crc_fn)(uint32_t crc, const void *data, size_t len);

/* Slicing by eight: table[k][b] is byte b followed by k zero bytes. */
static uint32_t table[8][256];
static crc_fn chosen = iscsi_crc32c_update_table;

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t update_sse42(uint32_t crc,
							       const void *data,
							       size_t len)
{
	const uint8_t *p = data;
	uint64_t c = crc;

	for (; len >= 8; len -= 8, p += 8) {
		uint64_t v;

		memcpy(&v, p, 8);
		c = __builtin_ia32_crc32di(c, v);
	}
	crc = (uint32_t)c;
	for (; len; len--, p++)
		crc = __builtin_ia32_crc32qi(crc, *p);
	return crc;
}

static crc_fn choose(void)
{
	__builtin_cpu_init();
	return __builtin_cpu_supports("sse4.2") ? update_sse42
						: iscsi_crc32c_update_table;
}
#elif defined(__aarch64__)
#include <arm_acle.h>

__attribute__((target("+crc"))) static uint32_t update_arm(uint32_t crc,
							   const void *data,
							   size_t len)
{
	const uint8_t *p = data;

	for (; len >= 8; len -= 8, p += 8) {
		uint64_t v;

		memcpy(&v, p, 8);
		crc = __crc32cd(crc, v);
	}
	for (; len; len--, p++)
		crc = __crc32cb(crc, *p);
	return crc;
}

static crc_fn choose(void)
{
	return getauxval(AT_HWCAP) & HWCAP_CRC32 ? update_arm
						 : iscsi_crc32c_update_table;
}
#else
static crc_fn choose(void)
{
	return iscsi_crc32c_update_table;
}
#endif

/* Before main(): the choice never changes while threads run. */
__attribute__((constructor)) static void init(void)
{
	for (uint32_t b = 0; b < 256; b++) {
		uint32_t crc = b;

		for (int bit = 0; bit < 8; bit++)
			crc = crc & 1 ? crc >> 1 ^ POLY : crc >> 1;
		table[0][b] = crc;
	}
	for (int k = 1; k < 8; k++) {
		for (int b = 0; b < 256; b++) {
			uint32_t prev = table[k - 1][b];

			table[k][b] = prev >> 8 ^ table[0][prev & 0xff];
		}
	}
	chosen = choose();
}

uint32_t iscsi_crc32c_update_table(uint32_t crc, const void *data, size_t len)
{
	const uint8_t *p = data;

	for (; len >= 8; len -= 8, p += 8) {
		uint32_t low =
			crc ^ ((uint32_t)p[0] | (uint32_t)p[1] << 8 |
			       (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24);

		crc = table[7][low & 0xff] ^ table[6][low >> 8 & 0xff] ^
		      table[5][low >> 16 & 0xff] ^ table[4][low >> 24] ^
		      table[3][p[4]] ^ table[2][p[5]] ^ table[1][p[6]] ^
		      table[0][p[7]];
	}
	for (; len; len--, p++)
		crc = crc >> 8 ^ table[0][(crc ^ *p) & 0xff];
	return crc;
}

uint32_t iscsi_crc32c_update(uint32_t crc, const void *data, size_t len)
{
	return chosen(crc, data, len);
}
