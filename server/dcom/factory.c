/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Classes and their class objects (IClassFactory). */
#include "server/dcom/runtime.h"
#include "gen_ndr/com_remunknown.h"

struct factory {
	struct dcom_class_entry *entry;
};

static HRESULT create_instance(struct dcom_call *call, void *self,
			       struct IClassFactory_CreateInstance *r)
{
	const struct factory *factory = self;
	const struct dcom_class *class = &factory->entry->class;
	const struct com_interface *interface;
	struct dcom_object *object;
	HRESULT hr;

	hr = class->create(call->runtime, class->private_data, &object);
	if (ISTM_FAILED(hr)) {
		return hr;
	}
	hr = dcom_object_query(object, r->in.riid, &interface);
	if (ISTM_FAILED(hr)) {
		return hr;
	}
	return dcom_return_object(call, object, interface, r->out.ppvObject);
}

/* The server runs on its own; there is nothing to lock. */
static HRESULT lock_server(struct dcom_call *call, void *self,
			   struct IClassFactory_LockServer *r)
{
	return ISTM_S_OK;
}

static const struct IClassFactory_vtbl vtbl = {
	.CreateInstance = create_instance,
	.LockServer = lock_server,
};

static const struct com_interface *const interfaces[] = {
	&com_IClassFactory,
	NULL,
};

static const char *describe(void *self, TALLOC_CTX *mem_ctx)
{
	return ((const struct factory *)self)->entry->class.name;
}

static const struct dcom_object_type factory_type = {
	.name = "class",
	.interfaces = interfaces,
	.vtbl = &vtbl,
	.describe = describe,
};

struct dcom_class_entry *dcom_class_find(struct dcom_runtime *runtime,
					 const struct GUID *clsid)
{
	struct dcom_class_entry *entry = runtime->classes;

	while (entry != NULL && !GUID_equal(&entry->class.clsid, clsid)) {
		entry = entry->next;
	}
	return entry;
}

HRESULT dcom_class_register(struct dcom_runtime *runtime,
			    const struct dcom_class *dcom_class)
{
	struct dcom_class_entry *entry;
	struct factory *factory;

	if (dcom_class_find(runtime, &dcom_class->clsid) != NULL) {
		return ISTM_ALREADY_EXISTS;
	}
	entry = talloc_zero(runtime, struct dcom_class_entry);
	if (entry == NULL) {
		return ISTM_OUT_OF_MEMORY;
	}
	entry->class = *dcom_class;
	factory = talloc_zero(entry, struct factory);
	if (factory == NULL) {
		talloc_free(entry);
		return ISTM_OUT_OF_MEMORY;
	}
	factory->entry = entry;
	entry->factory =
		dcom_object_create(runtime, &factory_type, factory, NULL);
	if (entry->factory == NULL) {
		talloc_free(entry);
		return ISTM_OUT_OF_MEMORY;
	}
	dcom_object_pin(entry->factory);
	entry->next = runtime->classes;
	runtime->classes = entry;
	return ISTM_S_OK;
}
