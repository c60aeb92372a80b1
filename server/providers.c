/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The engines beneath the model (server/model/model.h: snapshots, local mounts,
 * cluster). A machine by itself has none of them so far: the model then answers
 * as MS-ISTM has it for what is not supported.
 */
#include "server/model/model.h"
#include "server/providers.h"

bool service_providers(TALLOC_CTX *mem_ctx, struct tevent_context *ev,
		       struct model_options *options)
{
	return true;
}
