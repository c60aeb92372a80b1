/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A runtime without ports, and calls without a network. */
#ifndef DCOM_HELPERS_H
#define DCOM_HELPERS_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "server/dcom/runtime.h"

struct dcom_runtime *helper_runtime(TALLOC_CTX *mem_ctx,
				    const struct dcom_options *options);

/* A call of that client (SID@address); talloc_free() ends it. */
struct dcom_call *helper_call(struct dcom_runtime *runtime, const char *client);

/* Objects of two interfaces, IWTGeneral and IWTGeneral2, that count. */
extern unsigned helper_alive;
extern const struct dcom_object_type helper_type;
struct dcom_object *helper_object(struct dcom_runtime *runtime,
				  const struct GUID *key);

/* End the pass of the event loop: what nobody refers to goes. */
void helper_sweep(struct dcom_runtime *runtime);

#endif /* DCOM_HELPERS_H */
