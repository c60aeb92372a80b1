/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "gen_ndr/ndr_orpc.h"
#include "librpc/dualstring.h"
#include "librpc/utf16.h"

bool dualstring_add_string(TALLOC_CTX *mem_ctx, struct dualstring *ds,
			   uint16_t tower, const char *addr)
{
	struct string_binding *b =
		talloc_realloc(mem_ctx, ds->strings, struct string_binding,
			       ds->num_strings + 1);

	if (b == NULL) {
		return false;
	}
	ds->strings = b;
	b[ds->num_strings].wTowerId = tower;
	b[ds->num_strings].aNetworkAddr = talloc_strdup(b, addr);
	return b[ds->num_strings++].aNetworkAddr != NULL;
}

bool dualstring_add_security(TALLOC_CTX *mem_ctx, struct dualstring *ds,
			     uint16_t authn, const char *princ)
{
	struct security_binding *b =
		talloc_realloc(mem_ctx, ds->security, struct security_binding,
			       ds->num_security + 1);

	if (b == NULL) {
		return false;
	}
	ds->security = b;
	b[ds->num_security].wAuthnSvc = authn;
	b[ds->num_security].aPrincName = talloc_strdup(b, princ);
	return b[ds->num_security++].aPrincName != NULL;
}

/* An array of units that is being filled. */
struct units {
	uint16_t *u;
	size_t n;
};

static bool put(struct units *a, uint16_t unit)
{
	uint16_t *u = NULL;

	if (a->n >= UINT16_MAX) {
		return false;
	}
	u = talloc_realloc(NULL, a->u, uint16_t, a->n + 1);
	if (u == NULL) {
		return false;
	}
	a->u = u;
	a->u[a->n++] = unit;
	return true;
}

static bool put_string(struct units *a, const char *s)
{
	size_t len, i;
	uint8_t *w = utf16le_from_utf8(NULL, s, &len);
	bool ok = w != NULL;

	for (i = 0; ok && i + 1 < len; i += 2) {
		ok = put(a, w[i] | w[i + 1] << 8);
	}
	talloc_free(w);
	return ok && put(a, 0);
}

/*
 * Each list ends with a zero. An empty one has another, since the smallest
 * array has four (2.2.19.1).
 */
static bool fill(const struct dualstring *ds, struct units *a,
		 uint16_t *security_offset)
{
	size_t i;

	for (i = 0; i < ds->num_strings; i++) {
		if (!put(a, ds->strings[i].wTowerId) ||
		    !put_string(a, ds->strings[i].aNetworkAddr)) {
			return false;
		}
	}
	if ((ds->num_strings == 0 && !put(a, 0)) || !put(a, 0)) {
		return false;
	}
	*security_offset = a->n;
	for (i = 0; i < ds->num_security; i++) {
		if (!put(a, ds->security[i].wAuthnSvc) ||
		    !put(a, COM_C_AUTHZ_NONE) ||
		    !put_string(a, ds->security[i].aPrincName)) {
			return false;
		}
	}
	return (ds->num_security != 0 || put(a, 0)) && put(a, 0);
}

bool dualstring_pack_flat(TALLOC_CTX *mem_ctx, const struct dualstring *ds,
			  struct DUALSTRINGARRAY_FLAT *flat)
{
	struct units a = {NULL, 0};

	if (!fill(ds, &a, &flat->wSecurityOffset)) {
		talloc_free(a.u);
		return false;
	}
	flat->wNumEntries = a.n;
	flat->aStringArray = talloc_steal(mem_ctx, a.u);
	return true;
}

struct DUALSTRINGARRAY *dualstring_pack(TALLOC_CTX *mem_ctx,
					const struct dualstring *ds)
{
	struct DUALSTRINGARRAY *dsa = talloc(mem_ctx, struct DUALSTRINGARRAY);
	struct units a = {NULL, 0};

	if (dsa == NULL) {
		return NULL;
	}
	if (!fill(ds, &a, &dsa->wSecurityOffset)) {
		talloc_free(a.u);
		talloc_free(dsa);
		return NULL;
	}
	dsa->wNumEntries = a.n;
	dsa->aStringArray = talloc_steal(dsa, a.u);
	return dsa;
}

/* Read a string at *pos that must end before @end. */
static char *get_string(TALLOC_CTX *mem_ctx, const uint16_t *u, size_t *pos,
			size_t end)
{
	size_t start = *pos;

	while (*pos < end) {
		if (u[(*pos)++] == 0) {
			return wchar_get(mem_ctx, u + start, *pos - start);
		}
	}
	return NULL;
}

static bool unpack_strings(TALLOC_CTX *mem_ctx, const uint16_t *u, size_t end,
			   struct dualstring *ds)
{
	size_t pos = 0;

	while (pos < end && u[pos] != 0) {
		uint16_t tower = u[pos++];
		char *s = get_string(mem_ctx, u, &pos, end);

		if (s == NULL ||
		    !dualstring_add_string(mem_ctx, ds, tower, s)) {
			talloc_free(s);
			return false;
		}
		talloc_free(s);
	}
	return pos < end;
}

static bool unpack_security(TALLOC_CTX *mem_ctx, const uint16_t *u, size_t pos,
			    size_t end, struct dualstring *ds)
{
	while (pos < end && u[pos] != 0) {
		uint16_t authn = u[pos];
		char *s = NULL;

		pos += 2; /* Reserved */
		s = get_string(mem_ctx, u, &pos, end);
		if (s == NULL ||
		    !dualstring_add_security(mem_ctx, ds, authn, s)) {
			talloc_free(s);
			return false;
		}
		talloc_free(s);
	}
	return pos < end;
}

static bool unpack(TALLOC_CTX *mem_ctx, const uint16_t *u, size_t n,
		   size_t security_offset, struct dualstring *ds)
{
	*ds = (struct dualstring){0};
	if (security_offset > n) {
		return false;
	}
	return unpack_strings(mem_ctx, u, security_offset, ds) &&
	       unpack_security(mem_ctx, u, security_offset, n, ds);
}

bool dualstring_unpack(TALLOC_CTX *mem_ctx, const struct DUALSTRINGARRAY *dsa,
		       struct dualstring *ds)
{
	return unpack(mem_ctx, dsa->aStringArray, dsa->wNumEntries,
		      dsa->wSecurityOffset, ds);
}

bool dualstring_unpack_flat(TALLOC_CTX *mem_ctx,
			    const struct DUALSTRINGARRAY_FLAT *flat,
			    struct dualstring *ds)
{
	return unpack(mem_ctx, flat->aStringArray, flat->wNumEntries,
		      flat->wSecurityOffset, ds);
}

bool string_binding_parse(TALLOC_CTX *mem_ctx, const char *addr, uint16_t port,
			  const char **host, uint16_t *_port)
{
	const char *open = strrchr(addr, '[');
	size_t len = open != NULL ? (size_t)(open - addr) : strlen(addr);
	unsigned long n = port;
	char *end;

	if (open != NULL) {
		n = isdigit((unsigned char)open[1])
			    ? strtoul(open + 1, &end, 10)
			    : 0;
		if (n == 0 || strcmp(end, "]") != 0) {
			return false;
		}
	}
	if (len == 0 || n == 0 || n > UINT16_MAX) {
		return false;
	}
	*_port = n;
	*host = talloc_strndup(mem_ctx, addr, len);
	return *host != NULL;
}
