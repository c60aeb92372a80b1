/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef ISTM_PROVIDERS_H
#define ISTM_PROVIDERS_H

#include <stdbool.h>
#include <talloc.h>
#include <tevent.h>

struct model_options;

/*
 * Fill options->providers; the rest of @options is filled. Tests have a
 * function of their own instead (tests/providerd).
 * @param mem_ctx  lives as long as the model
 * @return false, having logged why, when the daemon must not start
 */
bool service_providers(TALLOC_CTX *mem_ctx, struct tevent_context *ev,
		       struct model_options *options);

#endif /* ISTM_PROVIDERS_H */
