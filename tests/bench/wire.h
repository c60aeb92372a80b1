/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The little of iSCSI that a load generator and a responder need (RFC 7143 11).
 * Independent of target/: what measures a thing should not be made of it.
 */
#ifndef BENCH_WIRE_H
#define BENCH_WIRE_H

#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define BHS 48

enum {
	OP_NOP_OUT = 0x00,
	OP_SCSI_CMD = 0x01,
	OP_LOGIN = 0x03,
	OP_DATA_OUT = 0x05,
	OP_LOGOUT = 0x06,
	OP_NOP_IN = 0x20,
	OP_SCSI_RSP = 0x21,
	OP_LOGIN_RSP = 0x23,
	OP_DATA_IN = 0x25,
	OP_LOGOUT_RSP = 0x26,
	OP_R2T = 0x31,
	OP_ASYNC = 0x32,
	OP_REJECT = 0x3f,
};

#define IMMEDIATE 0x40
#define FINAL	  0x80

static inline void put32(uint8_t *p, uint32_t v)
{
	v = htobe32(v);
	memcpy(p, &v, 4);
}

static inline uint32_t get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, 4);
	return be32toh(v);
}

static inline void put64(uint8_t *p, uint64_t v)
{
	v = htobe64(v);
	memcpy(p, &v, 8);
}

static inline uint64_t get64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, 8);
	return be64toh(v);
}

static inline void put24(uint8_t *p, uint32_t v)
{
	p[0] = v >> 16;
	p[1] = v >> 8;
	p[2] = v;
}

static inline uint32_t get24(const uint8_t *p)
{
	return (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
}

static inline uint32_t pad4(uint32_t n)
{
	return (n + 3) & ~3u;
}

/* CRC32C with SSE 4.2; the benchmark runs on x86-64 only. */
__attribute__((target("sse4.2"))) static inline uint32_t crc32c_update(
	uint32_t crc, const void *data, size_t len)
{
	const uint8_t *p = data;
	uint64_t c = crc;

	while (len >= 8) {
		uint64_t word;

		memcpy(&word, p, 8);
		c = __builtin_ia32_crc32di(c, word);
		p += 8;
		len -= 8;
	}
	while (len-- > 0) {
		c = __builtin_ia32_crc32qi(c, *p++);
	}
	return c;
}

static inline uint32_t crc32c(const void *data, size_t len)
{
	return ~crc32c_update(~0u, data, len);
}

/* A key's value in a text of pairs; NULL: not there. */
static inline const char *key_of(const char *text, size_t len, const char *key)
{
	const char *end = text + len;

	for (; text < end; text += strlen(text) + 1) {
		size_t n = strlen(key);

		if (strncmp(text, key, n) == 0 && text[n] == '=') {
			return text + n + 1;
		}
	}
	return NULL;
}

/* One more pair. @return the new length */
static inline size_t add_key(char *text, size_t len, const char *key,
			     const char *value)
{
	return len + sprintf(text + len, "%s=%s", key, value) + 1;
}

#endif /* BENCH_WIRE_H */
