/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * BSTR on the wire ([MS-OAUT] 2.2.23.2): a unique pointer to
 *
 *	struct FLAGGED_WORD_BLOB {
 *		uint32 cBytes;
 *		uint32 clSize;
 *		[size_is(clSize)] uint16 asData[];
 *	};
 *
 * As with every user-marshalled type the pointer's referent ID is "User". A
 * NULL BSTR is not a null pointer but one whose blob has cBytes 0xffffffff
 * and clSize 0; that is what tells it from an empty string. A null pointer,
 * which some clients send, is taken for a NULL BSTR.
 */
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "gen_ndr/ndr_oaut.h"
#include "librpc/utf16.h"

#define BSTR_REFERENT	0x72657355 /* "User" */
#define BSTR_NULL_BYTES 0xffffffff

/*
 * The units are 16-bit integers in the sender's byte order (C706 14.1), while
 * utf16.h wants and makes little-endian ones.
 */
static void to_wire_order(bool big_endian, uint8_t *data, size_t len)
{
	size_t i;

	if (!big_endian) {
		return;
	}
	for (i = 0; i + 1 < len; i += 2) {
		uint8_t first = data[i];

		data[i] = data[i + 1];
		data[i + 1] = first;
	}
}

enum ndr_err_code ndr_push_BSTR(struct ndr_push *ndr, int ndr_flags,
				const struct BSTR *r)
{
	uint8_t *data = NULL;
	size_t len = 0;

	NDR_PUSH_CHECK_FLAGS(ndr, ndr_flags);
	if (ndr_flags & NDR_SCALARS) {
		NDR_CHECK(ndr_push_align(ndr, 4));
		NDR_CHECK(ndr_push_uint32(ndr, NDR_SCALARS, BSTR_REFERENT));
	}
	if (!(ndr_flags & NDR_BUFFERS)) {
		return NDR_ERR_SUCCESS;
	}
	if (r->s == NULL) {
		NDR_CHECK(ndr_push_uint32(ndr, NDR_SCALARS, 0));
		NDR_CHECK(ndr_push_uint32(ndr, NDR_SCALARS, BSTR_NULL_BYTES));
		NDR_CHECK(ndr_push_uint32(ndr, NDR_SCALARS, 0));
		return NDR_ERR_SUCCESS;
	}
	data = utf16le_from_utf8(ndr, r->s, &len);
	if (data == NULL) {
		return ndr_push_error(ndr, NDR_ERR_ALLOC,
				      "BSTR of %zu bytes of UTF-8",
				      strlen(r->s));
	}
	to_wire_order(NDR_BE(ndr), data, len);
	NDR_CHECK(ndr_push_uint32(ndr, NDR_SCALARS, len / 2));
	NDR_CHECK(ndr_push_uint32(ndr, NDR_SCALARS, len));
	NDR_CHECK(ndr_push_uint32(ndr, NDR_SCALARS, len / 2));
	NDR_CHECK(ndr_push_array_uint8(ndr, NDR_SCALARS, data, len));
	talloc_free(data);
	return NDR_ERR_SUCCESS;
}

static enum ndr_err_code pull_blob(struct ndr_pull *ndr, struct BSTR *r)
{
	uint32_t max_count, bytes, size;
	uint8_t *data = NULL;

	NDR_CHECK(ndr_pull_align(ndr, 4));
	NDR_CHECK(ndr_pull_uint32(ndr, NDR_SCALARS, &max_count));
	NDR_CHECK(ndr_pull_uint32(ndr, NDR_SCALARS, &bytes));
	NDR_CHECK(ndr_pull_uint32(ndr, NDR_SCALARS, &size));
	if (max_count != size) {
		return ndr_pull_error(ndr, NDR_ERR_ARRAY_SIZE,
				      "BSTR: max count %u but clSize %u",
				      max_count, size);
	}
	if (bytes == BSTR_NULL_BYTES && size == 0) {
		return NDR_ERR_SUCCESS;
	}
	if (bytes / 2 != size || bytes % 2 != 0) {
		return ndr_pull_error(ndr, NDR_ERR_LENGTH,
				      "BSTR: cBytes %u but clSize %u", bytes,
				      size);
	}
	NDR_PULL_NEED_BYTES(ndr, bytes);
	data = talloc_memdup(ndr, ndr->data + ndr->offset, bytes);
	if (data != NULL) {
		to_wire_order(NDR_BE(ndr), data, bytes);
		r->s = utf8_from_utf16le(ndr->current_mem_ctx, data, bytes);
		talloc_free(data);
	}
	if (r->s == NULL) {
		return ndr_pull_error(ndr, NDR_ERR_ALLOC, "BSTR of %u bytes",
				      bytes);
	}
	ndr->offset += bytes;
	return NDR_ERR_SUCCESS;
}

/*
 * A null pointer is remembered from the scalars to the buffers pass in r->s
 * itself: it points to null_referent in between.
 */
enum ndr_err_code ndr_pull_BSTR(struct ndr_pull *ndr, int ndr_flags,
				struct BSTR *r)
{
	static const char null_referent[] = "";
	uint32_t referent;

	NDR_PULL_CHECK_FLAGS(ndr, ndr_flags);
	if (ndr_flags & NDR_SCALARS) {
		NDR_CHECK(ndr_pull_align(ndr, 4));
		NDR_CHECK(ndr_pull_uint32(ndr, NDR_SCALARS, &referent));
		r->s = referent != 0 ? NULL : null_referent;
	}
	if (ndr_flags & NDR_BUFFERS) {
		if (r->s == null_referent) {
			r->s = NULL;
			return NDR_ERR_SUCCESS;
		}
		NDR_CHECK(pull_blob(ndr, r));
	}
	return NDR_ERR_SUCCESS;
}

/* LIBNDR_FLAG_IS_SECRET is what [secret] in the IDL becomes. */
void ndr_print_BSTR(struct ndr_print *ndr, const char *name,
		    const struct BSTR *r)
{
	if ((ndr->flags & LIBNDR_FLAG_IS_SECRET) && !ndr->print_secrets) {
		ndr->print(ndr, "%-25s: <REDACTED SECRET VALUE>", name);
		return;
	}
	if (r->s == NULL) {
		ndr->print(ndr, "%-25s: NULL", name);
		return;
	}
	ndr->print(ndr, "%-25s: '%s'", name, r->s);
}
