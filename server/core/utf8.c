/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "server/core/utf8.h"

#include <string.h>
#include <charset.h>

size_t utf8_put(uint32_t c, char *out)
{
	if (c < 0x80) {
		out[0] = c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = 0xc0 | c >> 6;
		out[1] = 0x80 | (c & 0x3f);
		return 2;
	}
	if (c < 0x10000) {
		out[0] = 0xe0 | c >> 12;
		out[1] = 0x80 | (c >> 6 & 0x3f);
		out[2] = 0x80 | (c & 0x3f);
		return 3;
	}
	out[0] = 0xf0 | c >> 18;
	out[1] = 0x80 | (c >> 12 & 0x3f);
	out[2] = 0x80 | (c >> 6 & 0x3f);
	out[3] = 0x80 | (c & 0x3f);
	return 4;
}

bool utf8_valid(const char *s)
{
	size_t len = strlen(s), taken;

	for (; len > 0; s += taken, len -= taken) {
		if (utf8_next(s, len, &taken) == UTF8_INVALID) {
			return false;
		}
	}
	return true;
}

size_t utf8_utf16_units(const char *s)
{
	size_t len = strlen(s), taken, units = 0;

	for (; len > 0; s += taken, len -= taken) {
		units += utf8_next(s, len, &taken) > 0xffff ? 2 : 1;
	}
	return units;
}

static char *utf8_map(TALLOC_CTX *mem_ctx, const char *s,
		      codepoint_t (*map)(codepoint_t))
{
	size_t len = strlen(s), taken, n = 0;
	/* A mapped code point may be longer, but never over 4 bytes. */
	char *out = talloc_size(mem_ctx, len * 4 + 1);

	if (out == NULL) {
		return NULL;
	}
	for (; len > 0; s += taken, len -= taken) {
		uint32_t c = utf8_next(s, len, &taken);

		if (c == UTF8_INVALID) {
			out[n++] = *s;
		} else {
			n += utf8_put(map(c), out + n);
		}
	}
	out[n] = '\0';
	talloc_set_name_const(out, "utf8_map");
	return talloc_realloc(mem_ctx, out, char, n + 1);
}

char *utf8_lower(TALLOC_CTX *mem_ctx, const char *s)
{
	return utf8_map(mem_ctx, s, tolower_m);
}

char *utf8_fold(TALLOC_CTX *mem_ctx, const char *s)
{
	return utf8_map(mem_ctx, s, toupper_m);
}

bool utf8_equal_fold(const char *a, const char *b)
{
	size_t alen = strlen(a), blen = strlen(b), ataken, btaken;

	while (alen > 0 && blen > 0) {
		uint32_t ca = utf8_next(a, alen, &ataken);
		uint32_t cb = utf8_next(b, blen, &btaken);

		if (ca == UTF8_INVALID || cb == UTF8_INVALID) {
			if (ca != cb || *a != *b) {
				return false;
			}
		} else if (ca != cb && toupper_m(ca) != toupper_m(cb)) {
			return false;
		}
		a += ataken;
		alen -= ataken;
		b += btaken;
		blen -= btaken;
	}
	return alen == 0 && blen == 0;
}

uint32_t utf8_hash_fold(const char *s)
{
	size_t len = strlen(s), taken;
	uint32_t hash = 2166136261u; /* FNV-1a */

	for (; len > 0; s += taken, len -= taken) {
		uint32_t c = utf8_next(s, len, &taken);

		c = c == UTF8_INVALID ? (uint8_t)*s : toupper_m(c);
		hash = (hash ^ c) * 16777619u;
	}
	return hash;
}
