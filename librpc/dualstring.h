/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The contents of a DUALSTRINGARRAY ([MS-DCOM] 2.2.19): where a server can be
 * reached (string bindings), and how to authenticate there (security
 * bindings), each in order of preference.
 */
#ifndef _LIBRPC_DUALSTRING_H_
#define _LIBRPC_DUALSTRING_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <talloc.h>

struct DUALSTRINGARRAY;
struct DUALSTRINGARRAY_FLAT;

/* [MS-RPCE] 2.2.1.1.7 */
#define DUALSTRING_AUTHN_SPNEGO	  9
#define DUALSTRING_AUTHN_WINNT	  10
#define DUALSTRING_AUTHN_KERBEROS 16

struct string_binding {
	uint16_t wTowerId;	  /* DCOM_TOWER_TCP, ...; never 0 */
	const char *aNetworkAddr; /* UTF-8: "host" or "host[port]" */
};

struct security_binding {
	uint16_t wAuthnSvc;	/* never 0 */
	const char *aPrincName; /* UTF-8; "" for none */
};

struct dualstring {
	size_t num_strings;
	struct string_binding *strings;
	size_t num_security;
	struct security_binding *security;
};

/* Append a binding; strings are copied. False without memory. @ds and its
 * arrays must be children of @mem_ctx, or the arrays NULL to begin with. */
bool dualstring_add_string(TALLOC_CTX *mem_ctx, struct dualstring *ds,
			   uint16_t tower, const char *addr);
bool dualstring_add_security(TALLOC_CTX *mem_ctx, struct dualstring *ds,
			     uint16_t authn, const char *princ);

/*
 * "host" or "host[port]" of a string binding.
 * @param port  where there is none in it; 0: there has to be one
 * @param host  child of @mem_ctx
 * @return false for anything else
 */
bool string_binding_parse(TALLOC_CTX *mem_ctx, const char *addr, uint16_t port,
			  const char **host, uint16_t *_port);

/*
 * @return child of @mem_ctx; NULL without memory, or when there is more than
 *         65535 units hold
 */
struct DUALSTRINGARRAY *dualstring_pack(TALLOC_CTX *mem_ctx,
					const struct dualstring *ds);
/* The same as part of an OBJREF. */
bool dualstring_pack_flat(TALLOC_CTX *mem_ctx, const struct dualstring *ds,
			  struct DUALSTRINGARRAY_FLAT *flat);

/*
 * Take an array from the wire apart. Every string must end within its half.
 * @return false if it is malformed (or without memory); *ds is then undefined
 */
bool dualstring_unpack(TALLOC_CTX *mem_ctx, const struct DUALSTRINGARRAY *dsa,
		       struct dualstring *ds);
bool dualstring_unpack_flat(TALLOC_CTX *mem_ctx,
			    const struct DUALSTRINGARRAY_FLAT *flat,
			    struct dualstring *ds);

#endif /* _LIBRPC_DUALSTRING_H_ */
