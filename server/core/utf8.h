/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Strings of UTF-8 (lib/utf8.h) and the case folding of names: Samba's table,
 * so that what is one file or target here is one for smbd too.
 */
#ifndef ISTM_CORE_UTF8_H
#define ISTM_CORE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <talloc.h>

#include "lib/utf8.h"

/* Write @c (valid) to @out (at least 4 bytes). @return bytes written */
size_t utf8_put(uint32_t c, char *out);

bool utf8_valid(const char *s);
/* Length in UTF-16 code units; @s must be valid. */
size_t utf8_utf16_units(const char *s);

/* Lower case, as far as single code points map; invalid bytes stay. */
char *utf8_lower(TALLOC_CTX *mem_ctx, const char *s);
/* Fold for comparing: upper case, Samba's and NTFS's way. */
char *utf8_fold(TALLOC_CTX *mem_ctx, const char *s);
bool utf8_equal_fold(const char *a, const char *b);
/* Equal for what utf8_equal_fold() calls equal. */
uint32_t utf8_hash_fold(const char *s);

#endif /* ISTM_CORE_UTF8_H */
