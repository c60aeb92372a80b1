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
struct auth_session_info;
struct dcesrv_call_state;
struct gensec_security;
struct loadparm_context;
struct sockaddr_storage;

/* ---- the runtime ---- */

/* What the runtime needs to be told; pointers stay the caller's and have to
 * outlive it. Zero members with a default in the comment take that. */
struct dcom_options {
	struct loadparm_context *lp_ctx;
	/* See struct dcesrv_context_callbacks. */
	NTSTATUS(*gensec_prepare)
	(TALLOC_CTX *mem_ctx, struct dcesrv_call_state *call,
	 struct gensec_security **gensec, void *private_data);
	/* The session of callers before they have authenticated. */
	struct auth_session_info *anonymous;
	/* Who may activate and call. Asked for every call. */
	bool (*is_admin)(const struct auth_session_info *session_info);

	/* Every interface that an object may have; NULL-terminated. Those of
	 * the runtime itself (IRemUnknown, IClassFactory) are implied. */
	const struct com_interface *const *interfaces;
	/* Whether calls of a method go into the audit log; NULL: all but
	 * get_ methods. */
	bool (*audited)(const struct com_method *method);

	/* Names under which clients reach this machine; NULL: none told. */
	const char *netbios_name, *dns_name;
	/* Local addresses that remote clients are told although they are not
	 * of global scope; NULL-terminated, or NULL. */
	const char *const *addresses;

	/* Where to listen; none: on all addresses. */
	const struct sockaddr_storage *listen;
	size_t num_listen;

	uint16_t epm_port; /* 135: activation, OXID resolver, endpoint mapper */
	uint16_t object_port_low, object_port_high; /* the first free one */

	unsigned ping_period;	  /* ms; 120000 ([MS-DCOM] 3.1.2.2) */
	unsigned max_connections; /* 1000 */
	unsigned max_objects;	  /* 100000 */
	unsigned max_references;  /* interface pointers a client; 10000 */

	/* For tests: after each call the runtime looks at its own tables and
	 * asks this too; a reason that is returned ends the process. */
	const char *(*check)(void *check_data, TALLOC_CTX *mem_ctx);
	void *check_data;
};

/*
 * Create the runtime: no port is open yet. Classes are registered next, then
 * dcom_runtime_start() serves. talloc_free() closes everything; objects are
 * released, calls in progress vanish without an answer.
 */
struct dcom_runtime *dcom_runtime_create(TALLOC_CTX *mem_ctx,
					 struct tevent_context *ev,
					 const struct dcom_options *options);
struct tevent_context *dcom_runtime_ev(const struct dcom_runtime *runtime);
/* Listen. The reason of a failure has been logged. */
NTSTATUS dcom_runtime_start(struct dcom_runtime *runtime);

/* What there is, for tests and for status output. */
struct dcom_statistics {
	size_t connections, clients, objects, references, ping_sets;
};

void dcom_runtime_statistics(const struct dcom_runtime *runtime,
			     struct dcom_statistics *statistics);

/* For tests: so many milliseconds pass for references and ping sets; what they
 * end is run down when this returns. */
void dcom_runtime_pass_time(struct dcom_runtime *runtime, uint64_t ms);

/* ---- objects ---- */

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
	/* What the object stands for, for the audit log. Optional. */
	const char *(*describe)(void *self, TALLOC_CTX *mem_ctx);
};

/* A class that can be activated ([MS-DCOM] 3.1.2.5.2.3). */
struct dcom_class {
	struct GUID clsid;
	const char *name;
	/* Returns the object to hand out: for a singleton the same each time.
	 */
	HRESULT(*create)
	(struct dcom_runtime *runtime, void *private_data,
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
 * Where the method then fails, the reference is taken back and *out is NULL.
 * @param interface NULL: IUnknown
 * @return S_OK, E_NOINTERFACE, or E_OUTOFMEMORY when over the client's quota
 */
HRESULT dcom_return_object(struct dcom_call *call, struct dcom_object *object,
			   const struct com_interface *interface,
			   struct MInterfacePointer **out);

/*
 * An [in] interface pointer that leads to one of our own objects, which lives
 * at least until dcom_own_object_done() gives back the references that came
 * along.
 * @return S_OK, S_FALSE for an object of somebody else, E_POINTER for NULL,
 *         E_INVALIDARG for what is no reference to an object with @interface
 */
HRESULT dcom_own_object(struct dcom_call *call,
			const struct MInterfacePointer *mip,
			const struct com_interface *interface,
			struct dcom_object **object);
void dcom_own_object_done(struct dcom_call *call,
			  const struct MInterfacePointer *mip);
const struct dcom_object_type *dcom_object_type_of(
	const struct dcom_object *object);

/* Who calls, for audit and policy; strings live as long as the call. */
const char *dcom_call_account(const struct dcom_call *call); /* DOM\user */
const char *dcom_call_client(const struct dcom_call *call);  /* address */
const char *dcom_call_method(const struct dcom_call *call);  /* IHost::Save */
struct dcom_runtime *dcom_call_runtime(const struct dcom_call *call);
struct dcom_object *dcom_call_object(const struct dcom_call *call);
/* talloc parent of everything put into r->out; freed after the reply. */
TALLOC_CTX *dcom_call_mem(struct dcom_call *call);
struct tevent_context *dcom_call_ev(const struct dcom_call *call);

/* What the call is about, for its line in the audit log, where the object that
 * it was made on does not tell enough: "disk 3: enable". Never a secret. */
void dcom_call_audit(struct dcom_call *call, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/*
 * Answer later: the method calls dcom_call_defer(), starts its work with
 * dcom_call_mem() as parent, returns S_OK (ignored), and someone finally calls
 * dcom_call_finish() exactly once. The object stays alive meanwhile. When the
 * client's connection is gone the finish is harmless.
 */
void dcom_call_defer(struct dcom_call *call);
void dcom_call_finish(struct dcom_call *call, HRESULT result);

#endif /* ISTM_DCOM_H */
