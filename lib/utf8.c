/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "lib/utf8.h"

uint32_t utf8_next(const char *s, size_t len, size_t *taken)
{
	static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
	const uint8_t *p = (const uint8_t *)s;
	size_t more;
	uint32_t c;

	*taken = 1;
	if (p[0] < 0x80) {
		return p[0];
	}
	if (p[0] >= 0xc2 && p[0] <= 0xdf) {
		more = 1;
		c = p[0] & 0x1f;
	} else if ((p[0] & 0xf0) == 0xe0) {
		more = 2;
		c = p[0] & 0x0f;
	} else if (p[0] >= 0xf0 && p[0] <= 0xf4) {
		more = 3;
		c = p[0] & 0x07;
	} else {
		return UTF8_INVALID;
	}
	if (len <= more) {
		return UTF8_INVALID;
	}
	for (size_t i = 1; i <= more; i++) {
		if ((p[i] & 0xc0) != 0x80) {
			return UTF8_INVALID;
		}
		c = c << 6 | (p[i] & 0x3f);
	}
	if (c < least[more] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff)) {
		return UTF8_INVALID;
	}
	*taken = more + 1;
	return c;
}
