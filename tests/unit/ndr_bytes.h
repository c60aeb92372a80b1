/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Comparing what the NDR engine makes with bytes derived by hand.
 *
 * Expected bytes are strings of hex digits; blanks are ignored, so that they
 * can be grouped by what they are. They are derived from C706 chapter 14,
 * [MS-RPCE] 2.2.4 and docs/design.md, never taken from the engine. Referent
 * IDs may be any non-zero numbers (C706 14.3.10); libndr counts from
 * 0x00020000 in steps of 4, which is what the strings have. Padding is zero.
 */
#ifndef ISTM_TESTS_NDR_BYTES_H
#define ISTM_TESTS_NDR_BYTES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <ndr.h>
#include "librpc/com.h"

/* ORPCTHIS of version 5.7 without flags and extensions, 32 bytes, with the
 * causality ID that ndr_bytes_this() sets */
#define ORPCTHIS_BYTES                                                         \
	"0500 0700  00000000  00000000"                                        \
	"44332211 6655 8877 99aa bbccddeeff00"                                 \
	"00000000"
/* ORPCTHAT without flags and extensions, 8 bytes */
#define ORPCTHAT_BYTES "00000000 00000000"

struct ORPCTHIS ndr_bytes_this(void);

/* @return child of @mem_ctx */
DATA_BLOB ndr_bytes_parse(TALLOC_CTX *mem_ctx, const char *hex);

/* @n times the same digits */
char *ndr_bytes_repeat(TALLOC_CTX *mem_ctx, const char *hex, size_t n);

/* Fail with both in hex unless they are equal. */
void ndr_bytes_compare(const char *what, DATA_BLOB have, const char *want);

/*
 * Marshal one direction of a call and compare; then unmarshal the expected
 * bytes, marshal what came out of them, and compare again.
 * @param flags  NDR_IN or NDR_OUT
 * @param r      the call structure, filled
 * @param back   if not NULL: gets what was unmarshalled, for a look at it;
 *               its pointers are children of @mem_ctx
 */
void ndr_bytes_check(TALLOC_CTX *mem_ctx, const struct ndr_interface_table *t,
		     const char *call, int flags, void *r, const char *want,
		     void *back);

/* Unmarshal; the caller looks at the result. */
enum ndr_err_code ndr_bytes_pull(TALLOC_CTX *mem_ctx,
				 const struct ndr_interface_table *t,
				 const char *call, int flags, const char *hex,
				 void *r);

#endif /* ISTM_TESTS_NDR_BYTES_H */
