/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * UTF-16, as COM has it, to and from UTF-8, as the rest of this program has
 * it. Nothing here fails on strange input, and whatever comes out is valid:
 * what is no character (a lone surrogate, a malformed or overlong sequence of
 * bytes) becomes U+FFFD. So a name can be refused for what it contains, but
 * never means one thing to the check and another to the file system.
 *
 * Safe on any thread, as far as the talloc context is.
 */
#ifndef _LIBRPC_UTF16_H_
#define _LIBRPC_UTF16_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <talloc.h>

/*
 * Convert @len bytes (an odd last one is ignored) of little-endian UTF-16.
 * Ends at the first NUL, as every Windows API that takes a string would.
 * @return NUL-terminated, child of @mem_ctx; NULL without memory
 */
char *utf8_from_utf16le(TALLOC_CTX *mem_ctx, const uint8_t *data, size_t len);

/*
 * @param len  gets the bytes of the result, always even
 * @return little-endian UTF-16 without NUL, child of @mem_ctx (never NULL for
 *         an empty string); NULL without memory
 */
uint8_t *utf16le_from_utf8(TALLOC_CTX *mem_ctx, const char *s, size_t *len);

/*
 * Read a WCHAR array of a structure: up to its NUL, or whole if it has none.
 * @param n  elements of the array: use WCHAR_GET(mem_ctx, disk->szWin32Path)
 * @return child of @mem_ctx; NULL without memory
 */
char *wchar_get(TALLOC_CTX *mem_ctx, const uint16_t *array, size_t n);

/*
 * Fill a WCHAR array of a structure, the rest of it with zeros. An array that
 * is just full has no NUL. NULL stands for the empty string.
 * @return false if the string was cut (between two characters) to fit
 */
bool wchar_set(uint16_t *array, size_t n, const char *s);

#define WCHAR_GET(mem_ctx, array)                                              \
	wchar_get((mem_ctx), (array), sizeof(array) / sizeof((array)[0]))
#define WCHAR_SET(array, s)                                                    \
	wchar_set((array), sizeof(array) / sizeof((array)[0]), (s))

#endif /* _LIBRPC_UTF16_H_ */
