/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * libistm: a DCOM client for MS-ISTM on Samba's libdcerpc. It goes the way
 * that Windows' clients go: activation on TCP 135, then calls on the object
 * exporter at packet privacy.
 *
 * Calls wait for their answer on the caller's event loop. One thread.
 */
#ifndef LIBISTM_H
#define LIBISTM_H

#include <stdint.h>
#include <talloc.h>
#include <tevent.h>

#include "librpc/com.h"
#include "gen_ndr/com_istm.h"

struct loadparm_context;
struct cli_credentials;

struct istm_client; /* one server */
struct istm_object; /* one interface pointer */

struct istm_client_config {
	const char *server; /* name or address */
	uint16_t port;	    /* 0: 135 */
	struct loadparm_context *lp;
	struct cli_credentials *credentials;
};

/*
 * Nothing is sent yet. Freeing the client releases every object and closes
 * the connections.
 */
struct istm_client *istm_client_create(TALLOC_CTX *mem_ctx,
				       struct tevent_context *ev,
				       const struct istm_client_config *config);

/* What went wrong on the way of the last call that failed with an error of
 * the transport; "" when the server itself gave the answer. */
const char *istm_client_error(const struct istm_client *client);

/*
 * Activate a class and ask for one of its interfaces ([MS-DCOM] 3.2.4.1.1.2).
 * @param mem_ctx parent of the object; freeing that releases its reference
 */
HRESULT istm_activate(TALLOC_CTX *mem_ctx, struct istm_client *client,
		      const struct com_class *com_class,
		      const struct com_interface *interface,
		      struct istm_object **object);

/*
 * Call a method: fill r's in (ORPCTHIS is filled here) and pass its opnum,
 * NDR_IHOST_SAVE or the like. [out] parameters are allocated on @mem_ctx.
 * @return the method's HRESULT, or a Win32 RPC error in HRESULT form when the
 *         call did not get through
 */
HRESULT istm_call(struct istm_object *object, TALLOC_CTX *mem_ctx,
		  uint32_t opnum, void *r);

/* Take over a reference that came as [out] parameter; E_POINTER when NULL. */
HRESULT istm_unmarshal(TALLOC_CTX *mem_ctx, struct istm_object *from,
		       const struct com_interface *interface,
		       const struct MInterfacePointer *mip,
		       struct istm_object **object);

/* QueryInterface through IRemUnknown. NULL when the object has no such
 * interface, or the call did not get through. */
struct istm_object *istm_query(TALLOC_CTX *mem_ctx, struct istm_object *object,
			       const struct com_interface *interface);

/* Name of an error, as the specification spells it, or its number. Static
 * or on @mem_ctx. */
const char *istm_hresult_name(TALLOC_CTX *mem_ctx, HRESULT hr);

#endif /* LIBISTM_H */
