/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <string.h>

#include "librpc/utf16.h"

#define REPLACEMENT 0xfffd

static bool is_high_surrogate(uint32_t c)
{
	return c >= 0xd800 && c <= 0xdbff;
}

static bool is_low_surrogate(uint32_t c)
{
	return c >= 0xdc00 && c <= 0xdfff;
}

/* Write one character; at most 4 bytes. Returns how many. */
static size_t put_utf8(char *out, uint32_t c)
{
	uint8_t *o = (uint8_t *)out;

	if (c < 0x80) {
		o[0] = c;
		return 1;
	}
	if (c < 0x800) {
		o[0] = 0xc0 | c >> 6;
		o[1] = 0x80 | (c & 0x3f);
		return 2;
	}
	if (c < 0x10000) {
		o[0] = 0xe0 | c >> 12;
		o[1] = 0x80 | (c >> 6 & 0x3f);
		o[2] = 0x80 | (c & 0x3f);
		return 3;
	}
	o[0] = 0xf0 | c >> 18;
	o[1] = 0x80 | (c >> 12 & 0x3f);
	o[2] = 0x80 | (c >> 6 & 0x3f);
	o[3] = 0x80 | (c & 0x3f);
	return 4;
}

/*
 * Read one character and advance. Of a malformed sequence one byte is taken,
 * so that no character hidden behind it is lost.
 */
static uint32_t get_utf8(const char **s)
{
	static const uint32_t smallest[] = {0, 0x80, 0x800, 0x10000};
	const uint8_t *p = (const uint8_t *)*s;
	unsigned int more, i;
	uint32_t c = p[0];

	*s += 1;
	if (c < 0x80) {
		return c;
	}
	if (c >= 0xc2 && c <= 0xdf) {
		more = 1;
		c &= 0x1f;
	} else if (c >= 0xe0 && c <= 0xef) {
		more = 2;
		c &= 0x0f;
	} else if (c >= 0xf0 && c <= 0xf4) {
		more = 3;
		c &= 0x07;
	} else {
		return REPLACEMENT;
	}
	for (i = 1; i <= more; i++) {
		/* A NUL is no continuation byte: never read past the end. */
		if ((p[i] & 0xc0) != 0x80) {
			return REPLACEMENT;
		}
		c = c << 6 | (p[i] & 0x3f);
	}
	if (c < smallest[more] || c > 0x10ffff ||
	    (c >= 0xd800 && c <= 0xdfff)) {
		return REPLACEMENT;
	}
	*s += more;
	return c;
}

/* Write one character as one or two units; returns how many. */
static size_t put_utf16(uint16_t unit[2], uint32_t c)
{
	if (c < 0x10000) {
		unit[0] = c;
		return 1;
	}
	c -= 0x10000;
	unit[0] = 0xd800 | c >> 10;
	unit[1] = 0xdc00 | (c & 0x3ff);
	return 2;
}

char *utf8_from_utf16le(TALLOC_CTX *mem_ctx, const uint8_t *data, size_t len)
{
	size_t units = len / 2, i, used = 0;
	char *out = NULL;

	if (units > (SIZE_MAX - 1) / 3) {
		return NULL;
	}
	/* A unit makes at most 3 bytes: 4 come from two. */
	out = talloc_array(mem_ctx, char, units * 3 + 1);
	if (out == NULL) {
		return NULL;
	}
	for (i = 0; i < units; i++) {
		uint32_t c = data[2 * i] | data[2 * i + 1] << 8;

		if (c == 0) {
			break;
		}
		if (is_high_surrogate(c) && i + 1 < units) {
			uint32_t low = data[2 * i + 2] | data[2 * i + 3] << 8;

			if (is_low_surrogate(low)) {
				c = 0x10000 + ((c & 0x3ff) << 10) +
				    (low & 0x3ff);
				i++;
			}
		}
		if (c >= 0xd800 && c <= 0xdfff) {
			c = REPLACEMENT;
		}
		used += put_utf8(out + used, c);
	}
	out[used] = '\0';
	return talloc_realloc(mem_ctx, out, char, used + 1);
}

uint8_t *utf16le_from_utf8(TALLOC_CTX *mem_ctx, const char *s, size_t *len)
{
	size_t n = strlen(s), used = 0;
	uint8_t *out = NULL;

	if (n > (SIZE_MAX - 2) / 2) {
		return NULL;
	}
	/* A byte makes at most one unit. */
	out = talloc_array(mem_ctx, uint8_t, n * 2 + 2);
	if (out == NULL) {
		return NULL;
	}
	while (*s != '\0') {
		uint16_t unit[2];
		size_t i, units = put_utf16(unit, get_utf8(&s));

		for (i = 0; i < units; i++) {
			out[used++] = unit[i] & 0xff;
			out[used++] = unit[i] >> 8;
		}
	}
	*len = used;
	return out;
}

char *wchar_get(TALLOC_CTX *mem_ctx, const uint16_t *array, size_t n)
{
	uint8_t *bytes = talloc_array(mem_ctx, uint8_t, n * 2 + 1);
	char *out = NULL;
	size_t i;

	if (bytes == NULL) {
		return NULL;
	}
	for (i = 0; i < n; i++) {
		bytes[2 * i] = array[i] & 0xff;
		bytes[2 * i + 1] = array[i] >> 8;
	}
	out = utf8_from_utf16le(mem_ctx, bytes, n * 2);
	talloc_free(bytes);
	return out;
}

bool wchar_set(uint16_t *array, size_t n, const char *s)
{
	size_t used = 0;

	memset(array, 0, n * sizeof(array[0]));
	if (s == NULL) {
		return true;
	}
	while (*s != '\0') {
		uint16_t unit[2];
		size_t i, units = put_utf16(unit, get_utf8(&s));

		if (units > n - used) {
			return false;
		}
		for (i = 0; i < units; i++) {
			array[used++] = unit[i];
		}
	}
	return true;
}
