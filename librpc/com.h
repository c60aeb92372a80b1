/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Descriptors of COM interfaces and classes. buildtools/objidl.py writes them
 * from object IDL (gen_ndr/com_istm.h, gen_ndr/com_remunknown.h); the DCOM
 * runtime and the client work from them alone, without knowing an interface.
 *
 * Everything here is constant and may be used from any thread.
 */
#ifndef _LIBRPC_COM_H_
#define _LIBRPC_COM_H_

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <core/ntstatus.h>
#include <core/hresult.h>
#include <ndr.h>

/*
 * What has only a meaning on the runtime's side: one ORPC call in progress
 * (server/dcom/dcom.h).
 */
struct dcom_call;

struct com_interface;

/*
 * IUnknown has opnums 0 to 2, which never travel ([MS-DCOM] 3.1.1.5.4): they
 * go through IRemUnknown.
 */
#define COM_FIRST_OPNUM 3

/*
 * Runs one method of a typed function table.
 * @param vtbl  the object's `const struct IHost_vtbl *' or the like
 * @param call  handed through to the method
 * @param self  the object's state, handed through
 * @param r     the method's call structure, [in] filled, [out] allocated
 * @return the method's HRESULT (r's out.result is left alone), or
 *         HRES_E_NOTIMPL where the function table has no such method
 */
typedef HRESULT (*com_thunk_fn)(const void *vtbl, struct dcom_call *call,
				void *self, void *r);

/* One method of a family. Offsets are into its call structure. */
struct com_method {
	const char *name;			 /* "get_Name" */
	const struct com_interface *declared_by; /* com_IHost */
	size_t size;				 /* of the call structure */
	size_t orpcthis;			 /* struct ORPCTHIS */
	size_t orpcthat;			 /* struct ORPCTHAT * */
	size_t result;				 /* HRESULT */
	com_thunk_fn thunk;
	/* Whether a function table has the method (does not answer
	 * E_NOTIMPL for want of it). */
	bool (*implemented)(const void *vtbl);
};

/*
 * One interface. Interfaces that derive from one base form a family; they
 * share one call table, of which each uses the first num_calls entries.
 */
struct com_interface {
	const char *name;
	struct GUID iid;
	const struct com_interface *base; /* NULL: IUnknown */
	/* the root of the chain of bases; itself where base is NULL */
	const struct com_interface *family;
	/* The family's table: its UUID is that of the root. See
	 * com_interface_table() for one with this interface's. */
	const struct ndr_interface_table *ndr;
	uint16_t first_opnum; /* of its own methods */
	uint16_t num_calls;   /* inherited and IUnknown's ones included */
	/* by opnum, from COM_FIRST_OPNUM to num_calls - 1 */
	const struct com_method *methods;
};

#define COM_CLASS_MAX_INTERFACES 8

/* A class that can be activated, and the interfaces of its objects. */
struct com_class {
	const char *name;
	struct GUID clsid;
	/* base first, all of one family; ended by NULL */
	const struct com_interface *const interfaces[COM_CLASS_MAX_INTERFACES];
};

/*
 * Look an interface up in a NULL-terminated list, such as
 * com_istm_interfaces. Returns NULL when it is not there.
 */
const struct com_interface *com_interface_by_iid(
	const struct com_interface *const *list, const struct GUID *iid);
const struct com_interface *com_interface_by_name(
	const struct com_interface *const *list, const char *name);

const struct com_class *com_class_by_clsid(const struct com_class *const *list,
					   const struct GUID *clsid);

/*
 * The method behind an opnum; NULL for IUnknown's and for those the interface
 * does not have (a member of its family may).
 */
const struct com_method *com_method_by_opnum(const struct com_interface *iface,
					     uint32_t opnum);

/* Whether @iface is @base or derives from it. */
bool com_interface_derives(const struct com_interface *iface,
			   const struct com_interface *base);

/*
 * The call table of one interface for libdcerpc, which binds to the UUID that
 * it finds in the table. *table must live as long as the binding uses it.
 */
void com_interface_table(const struct com_interface *iface,
			 struct ndr_interface_table *table);

/* The implicit arguments and the result within a call structure. */
static inline struct ORPCTHIS *com_call_this(const struct com_method *method,
					     void *r)
{
	return (struct ORPCTHIS *)((uint8_t *)r + method->orpcthis);
}

static inline struct ORPCTHAT **com_call_that(const struct com_method *method,
					      void *r)
{
	return (struct ORPCTHAT **)((uint8_t *)r + method->orpcthat);
}

static inline HRESULT *com_call_result(const struct com_method *method, void *r)
{
	return (HRESULT *)((uint8_t *)r + method->result);
}

#endif /* _LIBRPC_COM_H_ */
