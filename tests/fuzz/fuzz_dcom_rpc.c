/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the runtime answers by itself: activation, OXID resolver, endpoint
 * mapper, IRemUnknown, IClassFactory. A sequence of calls from arbitrary bytes
 * on one runtime, from the stub to the marshalled answer.
 *
 * Input, repeated: interface, opnum, length of the stub (16 bits), stub.
 *
 * Beyond not crashing: every answer can be marshalled, and once all clients
 * have vanished only what the runtime keeps for itself is left.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "server/dcom/runtime.h"
#include "gen_ndr/com_istm.h"
#include "gen_ndr/com_remunknown.h"
#include "gen_ndr/ndr_oxid.h"

#include <param.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static HRESULT create(struct dcom_runtime *runtime, void *private_data,
		      struct dcom_object **object)
{
	static const struct com_interface *const interfaces[] = {
		&com_IWTGeneral, &com_IWTGeneral2, NULL};
	static const struct IWTGeneral_vtbl vtbl;
	static const struct dcom_object_type type = {
		.name = "general", .interfaces = interfaces, .vtbl = &vtbl};

	/* A new one each time. */
	*object = dcom_object_create(runtime, &type, talloc_new(runtime), NULL);
	if (*object == NULL) {
		return ISTM_OUT_OF_MEMORY;
	}
	return ISTM_S_OK;
}

static bool everyone(const struct auth_session_info *session_info)
{
	return true;
}

static struct dcom_runtime *start(TALLOC_CTX *mem_ctx)
{
	struct dcom_options options = {
		.lp_ctx = loadparm_init(mem_ctx),
		.is_admin = everyone,
		.interfaces = com_istm_interfaces,
		.max_references = 50,
		.max_objects = 50,
	};
	struct dcom_class class = {.clsid = com_class_WTGeneral.clsid,
				   .name = "WTGeneral",
				   .create = create};
	struct dcom_runtime *runtime;

	runtime = dcom_runtime_create(mem_ctx, tevent_context_init(mem_ctx),
				      &options);
	assert(runtime != NULL);
	assert(HRES_IS_OK(dcom_class_register(runtime, &class)));
	return runtime;
}

static struct dcom_call *fake_call(struct dcom_runtime *runtime)
{
	struct dcom_call *call = talloc_zero(runtime, struct dcom_call);

	call->runtime = runtime;
	call->account = "FUZZ\\er";
	call->address = "192.0.2.9";
	call->client_name = "S-1-2-3@192.0.2.9";
	call->method_name = "fuzz";
	call->local.ss.ss_family = AF_INET;
	call->remote.ss.ss_family = AF_INET;
	return call;
}

/* IDs are random: small numbers in the input stand for those that are. */
static void real_ids(struct dcom_runtime *runtime, struct ComplexPing *r)
{
	for (size_t i = 0; r->in.AddToSet != NULL && i < r->in.cAddToSet; i++) {
		if (r->in.AddToSet[i] < 4 && runtime->objects != NULL) {
			r->in.AddToSet[i] = runtime->objects->oid;
		}
	}
	for (size_t i = 0; r->in.DelFromSet != NULL && i < r->in.cDelFromSet;
	     i++) {
		if (r->in.DelFromSet[i] < 4 && runtime->objects != NULL) {
			r->in.DelFromSet[i] = runtime->objects->oid;
		}
	}
	if (*r->in.pSetId == 1 && runtime->sets.count > 0) {
		size_t bucket = 0;
		struct hash_node *n = hash_walk(&runtime->sets, &bucket, NULL);

		*r->in.pSetId = dcom_ping_set_id(n);
	}
}

static void real_ipids(struct dcom_runtime *runtime, uint16_t opnum, void *r)
{
	struct dcom_ipid *ipid =
		runtime->objects != NULL ? runtime->objects->ipids : NULL;

	if (ipid == NULL) {
		return;
	}
	switch (opnum) {
	case NDR_IREMUNKNOWN_REMQUERYINTERFACE:
		*((struct IRemUnknown_RemQueryInterface *)r)->in.ripid =
			ipid->ipid;
		break;
	case NDR_IREMUNKNOWN_REMADDREF: {
		struct IRemUnknown_RemAddRef *a = r;

		for (size_t i = 0; i < a->in.cInterfaceRefs; i++) {
			a->in.InterfaceRefs[i].ipid = ipid->ipid;
		}
		break;
	}
	case NDR_IREMUNKNOWN_REMRELEASE: {
		struct IRemUnknown_RemRelease *a = r;

		for (size_t i = 0; i < a->in.cInterfaceRefs; i += 2) {
			a->in.InterfaceRefs[i].ipid = ipid->ipid;
		}
		break;
	}
	}
}

static bool pull(const struct ndr_interface_call *call, TALLOC_CTX *mem_ctx,
		 DATA_BLOB stub, void *r)
{
	struct ndr_pull *ndr = ndr_pull_init_blob(&stub, mem_ctx);

	ndr->flags |= LIBNDR_FLAG_REF_ALLOC;
	return NDR_ERR_CODE_IS_SUCCESS(call->ndr_pull(ndr, NDR_IN, r));
}

static void push(const struct ndr_interface_call *call, TALLOC_CTX *mem_ctx,
		 void *r)
{
	struct ndr_push *ndr = ndr_push_init_ctx(mem_ctx);

	assert(NDR_ERR_CODE_IS_SUCCESS(call->ndr_push(ndr, NDR_OUT, r)));
}

static void plain(struct dcom_runtime *runtime,
		  const struct dcom_rpc_interface *interface, uint16_t opnum,
		  DATA_BLOB stub)
{
	const struct ndr_interface_call *ndr_call;
	struct dcom_call *call;

	if (opnum >= interface->table->num_calls) {
		return;
	}
	ndr_call = &interface->table->calls[opnum];
	call = fake_call(runtime);
	call->r = talloc_zero_size(call, ndr_call->struct_size);
	if (pull(ndr_call, call->r, stub, call->r)) {
		if (interface == &dcom_object_exporter &&
		    opnum == NDR_COMPLEXPING) {
			real_ids(runtime, call->r);
		}
		if (interface->dispatch(call, opnum, call->r) == 0) {
			push(ndr_call, call, call->r);
		}
	}
	talloc_free(call);
	dcom_objects_sweep_fresh(runtime);
}

static void orpc(struct dcom_runtime *runtime, struct dcom_object *object,
		 const struct com_interface *interface, uint16_t opnum,
		 DATA_BLOB stub)
{
	const struct com_method *method = com_method_by_opnum(interface, opnum);
	const struct ndr_interface_call *ndr_call;
	struct dcom_call *call;

	if (method == NULL || object == NULL) {
		return;
	}
	ndr_call = &interface->ndr->calls[opnum];
	call = fake_call(runtime);
	call->r = talloc_zero_size(call, method->size);
	if (pull(ndr_call, call->r, stub, call->r)) {
		if (interface == &com_IRemUnknown2) {
			real_ipids(runtime, opnum, call->r);
		}
		*com_call_result(method, call->r) = method->thunk(
			object->type->vtbl, call, object->self, call->r);
		push(ndr_call, call, call->r);
	}
	talloc_free(call);
	dcom_objects_sweep_fresh(runtime);
}

static void one_call(struct dcom_runtime *runtime, uint8_t which,
		     uint16_t opnum, DATA_BLOB stub)
{
	static const struct dcom_rpc_interface *const interfaces[] = {
		&dcom_object_exporter, &dcom_scm_activator, &dcom_activation,
		&dcom_endpoint_mapper};

	which %= ARRAY_SIZE(interfaces) + 2;
	if (which < ARRAY_SIZE(interfaces)) {
		plain(runtime, interfaces[which], opnum, stub);
	} else if (which == ARRAY_SIZE(interfaces)) {
		orpc(runtime, runtime->rem_unknown->object, &com_IRemUnknown2,
		     opnum, stub);
	} else {
		orpc(runtime, runtime->classes->factory, &com_IClassFactory,
		     opnum, stub);
	}
}

static void check_gone(struct dcom_runtime *runtime)
{
	struct dcom_object *object, *next;
	struct dcom_statistics s;

	for (object = runtime->objects; object != NULL; object = next) {
		next = object->next;
		dcom_object_run_down(object, false);
	}
	dcom_runtime_statistics(runtime, &s);
	/* The remote unknown with its IPID, and the class object. */
	assert(s.objects == 2 && s.references == 1 && s.clients == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	TALLOC_CTX *mem_ctx = talloc_new(NULL);
	struct dcom_runtime *runtime;

	log_set_level(-1);
	runtime = start(mem_ctx);
	while (size >= 4) {
		size_t length = data[2] | (size_t)data[3] << 8;

		length = MIN(length, size - 4);
		one_call(runtime, data[0], data[1],
			 data_blob_const(data + 4, length));
		data += 4 + length;
		size -= 4 + length;
	}
	check_gone(runtime);
	talloc_free(mem_ctx);
	return 0;
}
