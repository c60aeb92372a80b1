/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/crc32c.h"

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
static crc_fn chosen = crc32c_update_table;

/*
 * The instruction takes three cycles but can be started every cycle, so three
 * streams run at once over a block of three strides; a stream's state moves
 * past the bytes of the next by a table that applies a stride of zeroes. One
 * block is a little less than 4 KiB.
 */
#define STRIDE 1360u
static uint32_t past[4][256];

static void init_past(void)
{
	static const uint8_t zeroes[STRIDE];

	for (unsigned k = 0; k < 4; k++) {
		for (uint32_t b = 0; b < 256; b++)
			past[k][b] =
				crc32c_update_table(b << 8 * k, zeroes, STRIDE);
	}
}

#if defined(__x86_64__)
#define TARGET_CRC    __attribute__((target("sse4.2")))
#define CRC64(crc, v) ((uint32_t)__builtin_ia32_crc32di(crc, v))
#define CRC8(crc, v)  __builtin_ia32_crc32qi(crc, v)
#elif defined(__aarch64__)
#include <arm_acle.h>
#define TARGET_CRC    __attribute__((target("+crc")))
#define CRC64(crc, v) __crc32cd(crc, v)
#define CRC8(crc, v)  __crc32cb(crc, v)
#endif

#ifdef TARGET_CRC
static uint32_t move_past(uint32_t crc)
{
	return past[0][crc & 0xff] ^ past[1][crc >> 8 & 0xff] ^
	       past[2][crc >> 16 & 0xff] ^ past[3][crc >> 24];
}

static inline uint64_t load(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, 8);
	return v;
}

TARGET_CRC static uint32_t update_cpu(uint32_t crc, const void *data,
				      size_t len)
{
	const uint8_t *p = data;

	for (; len >= 3 * STRIDE; len -= 3 * STRIDE, p += 2 * STRIDE) {
		uint32_t second = 0, third = 0;

		for (const uint8_t *end = p + STRIDE; p < end; p += 8) {
			crc = CRC64(crc, load(p));
			second = CRC64(second, load(p + STRIDE));
			third = CRC64(third, load(p + 2 * STRIDE));
		}
		crc = move_past(move_past(crc) ^ second) ^ third;
	}
	for (; len >= 8; len -= 8, p += 8)
		crc = CRC64(crc, load(p));
	for (; len; len--, p++)
		crc = CRC8(crc, *p);
	return crc;
}
#endif

static crc_fn choose(void)
{
#if defined(__x86_64__)
	__builtin_cpu_init();
	if (__builtin_cpu_supports("sse4.2"))
		return update_cpu;
#elif defined(__aarch64__)
	if (getauxval(AT_HWCAP) & HWCAP_CRC32)
		return update_cpu;
#endif
	return crc32c_update_table;
}

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
	init_past();
	chosen = choose();
}

uint32_t crc32c_update_table(uint32_t crc, const void *data, size_t len)
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

uint32_t crc32c_update(uint32_t crc, const void *data, size_t len)
{
	return chosen(crc, data, len);
}
