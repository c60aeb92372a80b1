/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Objects of clients: the server as DCOM client ([MS-DCOM] 3.2), for the
 * callbacks that clients register. An interface pointer that came as [in]
 * parameter becomes a proxy, which resolves the client's OXID at the client's
 * resolver, connects as this machine, calls, pings, and releases at its end.
 *
 * Nothing here waits: what takes time is a tevent_req. Main thread only.
 */
#ifndef ISTM_DCOM_PROXY_H
#define ISTM_DCOM_PROXY_H

#include <stdbool.h>
#include <stdint.h>
#include <talloc.h>
#include <tevent.h>

#include "librpc/com.h"

struct dcom_call;
struct dcom_proxy;
struct MInterfacePointer;

/* RPC_S_CALL_FAILED: the client could not be reached, or did not answer. */
#define DCOM_PROXY_UNREACHABLE HRES_ERROR(0x800706be)

/* One call, connecting included, takes no longer than this. */
#define DCOM_PROXY_TIMEOUT 10 /* seconds */

/*
 * Take over the references of an interface pointer that @call brought. Nothing
 * is sent yet; a first ping follows soon. Freeing the proxy gives its
 * references back in the background.
 * @return E_POINTER for NULL, E_INVALIDARG for anything that is no reference
 *         to an object with @interface, E_OUTOFMEMORY
 */
HRESULT dcom_proxy_create(TALLOC_CTX *mem_ctx, struct dcom_call *call,
			  const struct MInterfacePointer *mip,
			  const struct com_interface *interface,
			  struct dcom_proxy **proxy);

/* Do both stand for one object of one client? */
bool dcom_proxy_same(const struct dcom_proxy *a, const struct dcom_proxy *b);

/* The references that came with a second interface pointer to the same object
 * are given back with those of @proxy. Frees @other. */
void dcom_proxy_merge(struct dcom_proxy *proxy, struct dcom_proxy *other);

/* For logs: the client's address and the object. */
const char *dcom_proxy_name(const struct dcom_proxy *proxy);

/*
 * Call a method; r's ORPCTHIS is filled here, r must live as long as the
 * request. r's [out] pointers are set, and what they lead to lives as long.
 * @return the method's HRESULT, or DCOM_PROXY_UNREACHABLE
 */
struct tevent_req *dcom_proxy_call_send(TALLOC_CTX *mem_ctx,
					struct tevent_context *ev,
					struct dcom_proxy *proxy,
					uint32_t opnum, void *r);
HRESULT dcom_proxy_call_recv(struct tevent_req *req);

#endif /* ISTM_DCOM_PROXY_H */
