/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Included in front of what pidl writes: an array that comes from the wire has
 * no more elements than the wire has bytes. pidl allocates as many as the array
 * says, or as an [in] count says for [out] arrays, which it zeroes, and looks
 * afterwards whether they are there: up to 256 MiB for a few bytes.
 */
#ifndef _LIBRPC_NDR_BOUNDS_H_
#define _LIBRPC_NDR_BOUNDS_H_

#include <ndr.h>

/* Where elements have come already, as [out] arrays with the count of an [in]
 * array have, those do not remain: so all of the buffer counts. */
#define NDR_BOUNDED_ALLOC_N(ndr, s, n)                                         \
	do {                                                                   \
		if ((n) > (ndr)->data_size) {                                  \
			return ndr_pull_error(                                 \
				ndr, NDR_ERR_ARRAY_SIZE,                       \
				"%u elements of %s in %u bytes: %s\n",         \
				(unsigned)(n), #s, (unsigned)(ndr)->data_size, \
				__location__);                                 \
		}                                                              \
		_NDR_PULL_FIX_CURRENT_MEM_CTX(ndr);                            \
		(s) = talloc_array_ptrtype((ndr)->current_mem_ctx, (s), n);    \
		if ((s) == NULL) {                                             \
			return ndr_pull_error(ndr, NDR_ERR_ALLOC,              \
					      "%u elements of %s: %s\n",       \
					      (unsigned)(n), #s,               \
					      __location__);                   \
		}                                                              \
	} while (0)

#undef NDR_PULL_ALLOC_N
#define NDR_PULL_ALLOC_N NDR_BOUNDED_ALLOC_N

#endif /* _LIBRPC_NDR_BOUNDS_H_ */
