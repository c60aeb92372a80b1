/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The DCOM runtime: exports COM objects to DCOM clients ([MS-DCOM]) on Samba's
 * DCE/RPC server library. It knows nothing of ISTM: interfaces come as
 * generated descriptors (librpc/com.h), objects as types with typed vtables.
 *
 * Main thread only.
 */
#ifndef ISTM_DCOM_H
#define ISTM_DCOM_H

#include <stdbool.h>
#include <stdint.h>
#include <talloc.h>
#include <tevent.h>

#include "librpc/com.h"

struct dcom_runtime; /* the object exporter: one OXID */
struct dcom_object;  /* one OID; has an IPID per interface handed out */
struct dcom_call;    /* one ORPC call in progress */
struct MInterfacePointer;

/*
 * A kind of object. One vtable serves the whole family of interfaces: the
 * base's methods first, each derived interface's after them, by opnum. A NULL
 * member answers E_NOTIMPL with all [out] parameters zero.
 */
struct dcom_object_type {
	const char *name; /* for logs: "target", "disk" */
	/* NULL-terminated: every interface QueryInterface leads to (IUnknown
	 * is implied); all of one family. */
	const struct com_interface *const *interfaces;
	const void *vtbl;
	/* The last reference is gone; the object's talloc memory (and with it
	 * self, which was stolen into it) is freed right after. Optional. */
	void (*released)(void *self);
};

/* A class that can be activated ([MS-DCOM] 3.1.2.5.2.3). */
struct dcom_class {
	struct GUID clsid;
	const char *name;
	/* Returns the object to hand out: for a singleton the same each time.
	 * @param mem_ctx for messages only */
	HRESULT (*create)(struct dcom_runtime *runtime, void *private_data,
			  struct dcom_object **object);
	void *private_data;
};

HRESULT dcom_class_register(struct dcom_runtime *runtime,
			    const struct dcom_class *dcom_class);

/*
 * Make an object known. @self is stolen (talloc) into it.
 * @param key   non-NULL: the identity of what the object stands for; asking
 *              dcom_object_find() with the same type and key gives the same
 *              object (same OID) as long as it lives
 * @return NULL when out of memory or over the server's limit
 */
struct dcom_object *dcom_object_create(struct dcom_runtime *runtime,
				       const struct dcom_object_type *type,
				       void *self, const struct GUID *key);
struct dcom_object *dcom_object_find(struct dcom_runtime *runtime,
				     const struct dcom_object_type *type,
				     const struct GUID *key);
void *dcom_object_self(struct dcom_object *object);
/* Keep an object although no client refers to it (singletons). */
void dcom_object_pin(struct dcom_object *object);

/*
 * Marshal a reference to @object for the caller of @call into an [out]
 * interface pointer (OBJREF_STANDARD with public references that the caller
 * now owns). An object that is never returned and not pinned is freed when
 * the call ends.
 * @return S_OK, E_NOINTERFACE, or E_OUTOFMEMORY when over the client's quota
 */
HRESULT dcom_return_object(struct dcom_call *call, struct dcom_object *object,
			   const struct com_interface *interface,
			   struct MInterfacePointer **out);

/* Who calls, for audit and policy; strings live as long as the call. */
const char *dcom_call_account(const struct dcom_call *call); /* DOM\user */
const char *dcom_call_client(const struct dcom_call *call);  /* address */
const char *dcom_call_method(const struct dcom_call *call);  /* IHost::Save */
struct dcom_runtime *dcom_call_runtime(const struct dcom_call *call);
struct dcom_object *dcom_call_object(const struct dcom_call *call);
/* talloc parent of everything put into r->out; freed after the reply. */
TALLOC_CTX *dcom_call_mem(struct dcom_call *call);
struct tevent_context *dcom_call_ev(const struct dcom_call *call);

/*
 * Answer later: the method calls dcom_call_defer(), starts its work with
 * dcom_call_mem() as parent, returns S_OK (ignored), and someone finally calls
 * dcom_call_finish() exactly once. The object stays alive meanwhile. When the
 * client's connection is gone the finish is harmless.
 */
void dcom_call_defer(struct dcom_call *call);
void dcom_call_finish(struct dcom_call *call, HRESULT result);

#endif /* ISTM_DCOM_H */
