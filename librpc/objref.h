/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Object references: OBJREF ([MS-DCOM] 2.2.18) to and from the bytes that an
 * MInterfacePointer carries.
 */
#ifndef _LIBRPC_OBJREF_H_
#define _LIBRPC_OBJREF_H_

#include <talloc.h>

struct GUID;
struct MInterfacePointer;
struct OBJREF;
struct STDOBJREF;
struct dualstring;

/* @return child of @mem_ctx, NULL without memory */
struct MInterfacePointer *objref_pack(TALLOC_CTX *mem_ctx,
				      const struct OBJREF *objref);

/*
 * OBJREF_STANDARD of an object whose resolver listens at @resolver.
 * @return child of @mem_ctx, NULL without memory
 */
struct MInterfacePointer *objref_pack_standard(
	TALLOC_CTX *mem_ctx, const struct GUID *iid,
	const struct STDOBJREF *std, const struct dualstring *resolver);

/*
 * Take an interface pointer from the wire apart. Refused: a wrong signature,
 * an unknown kind, an IID of zeros, anything truncated.
 * @return child of @mem_ctx; NULL if malformed, or without memory
 */
struct OBJREF *objref_unpack(TALLOC_CTX *mem_ctx,
			     const struct MInterfacePointer *mip);

/* The standard part, whatever kind it is in; NULL for OBJREF_CUSTOM. */
const struct STDOBJREF *objref_std(const struct OBJREF *objref);

/* The resolver's bindings that go with it; NULL for OBJREF_CUSTOM. */
const struct DUALSTRINGARRAY_FLAT *objref_resolver(const struct OBJREF *objref);

#endif /* _LIBRPC_OBJREF_H_ */
