/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "dcom_helpers.h"
#include "gen_ndr/com_istm.h"

#include <param.h>

unsigned helper_alive;

static bool everyone(const struct auth_session_info *session_info)
{
	return true;
}

struct dcom_runtime *helper_runtime(TALLOC_CTX *mem_ctx,
				    const struct dcom_options *options)
{
	struct dcom_options o = {0};
	struct dcom_runtime *runtime;

	if (options != NULL) {
		o = *options;
	}
	o.lp_ctx = loadparm_init(mem_ctx);
	o.is_admin = everyone;
	runtime =
		dcom_runtime_create(mem_ctx, tevent_context_init(mem_ctx), &o);
	assert_non_null(runtime);
	return runtime;
}

struct dcom_call *helper_call(struct dcom_runtime *runtime, const char *client)
{
	struct dcom_call *call = talloc_zero(runtime, struct dcom_call);

	assert_non_null(call);
	call->runtime = runtime;
	call->account = "TEST\\user";
	call->address = strchr(client, '@') + 1;
	call->client_name = client;
	call->method_name = "test";
	call->local.ss.ss_family = AF_INET;
	call->remote.ss.ss_family = AF_INET;
	return call;
}

static void released(void *self)
{
	helper_alive--;
}

static const struct IWTGeneral_vtbl vtbl;

static const struct com_interface *const interfaces[] = {
	&com_IWTGeneral,
	&com_IWTGeneral2,
	NULL,
};

const struct dcom_object_type helper_type = {
	.name = "test",
	.interfaces = interfaces,
	.vtbl = &vtbl,
	.released = released,
};

struct dcom_object *helper_object(struct dcom_runtime *runtime,
				  const struct GUID *key)
{
	struct dcom_object *object = dcom_object_create(
		runtime, &helper_type, talloc_new(runtime), key);

	if (object != NULL) {
		helper_alive++;
	}
	return object;
}

void helper_sweep(struct dcom_runtime *runtime)
{
	dcom_objects_sweep_fresh(runtime);
}
