/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Every call that this program answers or makes, unmarshalled from arbitrary
 * bytes as the server (or, for responses, the client) does it.
 *
 * Input: index of the call table, opnum, direction (odd: response), stub.
 *
 * Beyond not crashing: what was understood can be marshalled, and is then
 * understood again; and any request that was understood can be answered by a
 * failure with all [out] parameters zero.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "gen_ndr/com_istm.h"
#include "gen_ndr/com_remunknown.h"
#include "gen_ndr/ndr_activation.h"
#include "gen_ndr/ndr_ept.h"
#include "gen_ndr/ndr_oxid.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct ndr_interface_table *table(size_t index)
{
	static const struct ndr_interface_table *const plain[] = {
		&ndr_table_IActivation,	    &ndr_table_IRemoteSCMActivator,
		&ndr_table_IObjectExporter, &ndr_table_IRemUnknown,
		&ndr_table_IClassFactory,   &ndr_table_ept};
	const size_t num_plain = sizeof(plain) / sizeof(plain[0]);

	if (index < num_plain) {
		return plain[index];
	}
	index -= num_plain;
	return index < COM_ISTM_NUM_INTERFACES ? com_istm_interfaces[index]->ndr
					       : NULL;
}

static struct ndr_pull *pull_init(TALLOC_CTX *mem_ctx, DATA_BLOB blob)
{
	struct ndr_pull *pull = ndr_pull_init_blob(&blob, mem_ctx);

	assert(pull != NULL);
	pull->flags |= LIBNDR_FLAG_REF_ALLOC;
	pull->current_mem_ctx = mem_ctx;
	return pull;
}

static void check(TALLOC_CTX *mem_ctx, const struct ndr_interface_call *call,
		  int flags, DATA_BLOB stub)
{
	void *r = talloc_zero_size(mem_ctx, call->struct_size);
	void *again = talloc_zero_size(mem_ctx, call->struct_size);
	struct ndr_push *push = ndr_push_init_ctx(mem_ctx);

	assert(r != NULL && again != NULL && push != NULL);
	if (!NDR_ERR_CODE_IS_SUCCESS(
		    call->ndr_pull(pull_init(mem_ctx, stub), flags, r))) {
		return;
	}
	assert(NDR_ERR_CODE_IS_SUCCESS(call->ndr_push(push, flags, r)));
	/* As long as before: arrays that are not there, but counted, are
	 * bounded by the bytes (librpc/ndr_bounds.h). */
	while (push->offset < stub.length) {
		assert(NDR_ERR_CODE_IS_SUCCESS(
			ndr_push_uint8(push, NDR_SCALARS, 0)));
	}
	assert(NDR_ERR_CODE_IS_SUCCESS(call->ndr_pull(
		pull_init(mem_ctx, ndr_push_blob(push)), flags, again)));
	if (flags == NDR_IN) {
		push = ndr_push_init_ctx(mem_ctx);
		assert(push != NULL);
		assert(NDR_ERR_CODE_IS_SUCCESS(
			call->ndr_push(push, NDR_OUT, r)));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct ndr_interface_table *t = NULL;
	TALLOC_CTX *mem_ctx = NULL;

	if (size < 3) {
		return 0;
	}
	t = table(data[0]);
	if (t == NULL || data[1] >= t->num_calls) {
		return 0;
	}
	mem_ctx = talloc_new(NULL);
	assert(mem_ctx != NULL);
	check(mem_ctx, &t->calls[data[1]], data[2] & 1 ? NDR_OUT : NDR_IN,
	      data_blob_const(data + 3, size - 3));
	talloc_free(mem_ctx);
	return 0;
}
