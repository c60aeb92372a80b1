/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * UTF-8, strictly (RFC 3629): no more bytes than needed, no surrogates, nothing
 * above U+10FFFF. Any thread.
 */
#ifndef ISTM_UTF8_H
#define ISTM_UTF8_H

#include <stddef.h>
#include <stdint.h>

#define UTF8_INVALID UINT32_MAX

/* The next code point and how many bytes it takes; @len at least 1.
 * UTF8_INVALID (one byte) for what is no UTF-8. */
uint32_t utf8_next(const char *s, size_t len, size_t *taken);

#endif /* ISTM_UTF8_H */
