/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One record of the store: librpc/idl/istm_state.idl behind a header with
 * format version and checksum.
 */
#ifndef ISTM_STORE_RECORD_H
#define ISTM_STORE_RECORD_H

#include <stdbool.h>
#include <stdint.h>
#include <talloc.h>
#include <util/data_blob.h>

#include "librpc/gen_ndr/istm_state.h"

/* @return false when out of memory or a string is no UTF-8 */
bool store_record_encode(TALLOC_CTX *mem_ctx,
			 const struct istm_state_data *data, DATA_BLOB *blob);

/*
 * Any bytes may come: what is no record of a version that this build knows is
 * refused.
 * @param reason what is wrong, static or on mem_ctx
 */
bool store_record_decode(TALLOC_CTX *mem_ctx, const uint8_t *bytes, size_t len,
			 struct istm_state_data *data, const char **reason);

#endif /* ISTM_STORE_RECORD_H */
