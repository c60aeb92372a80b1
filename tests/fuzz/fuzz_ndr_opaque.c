/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What DCOM carries as opaque bytes: object references with their bindings,
 * activation properties of requests and replies, towers.
 *
 * Input: one byte that says which, then the bytes. What was understood must be
 * possible to pack again.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "gen_ndr/ndr_ept.h"
#include "gen_ndr/ndr_orpc.h"
#include "librpc/actprops.h"
#include "librpc/dualstring.h"
#include "librpc/objref.h"
#include "librpc/tower.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_objref(TALLOC_CTX *mem_ctx, struct MInterfacePointer *mip)
{
	struct OBJREF *objref = objref_unpack(mem_ctx, mip);
	const struct DUALSTRINGARRAY_FLAT *flat = NULL;
	struct dualstring ds;

	if (objref == NULL) {
		return;
	}
	assert(objref_pack(mem_ctx, objref) != NULL);
	flat = objref_resolver(objref);
	assert((flat != NULL) == (objref_std(objref) != NULL));
	if (flat != NULL && dualstring_unpack_flat(mem_ctx, flat, &ds)) {
		/* Replaced characters may make it longer, never wrong. */
		dualstring_pack(mem_ctx, &ds);
	}
}

static void fuzz_in(TALLOC_CTX *mem_ctx, struct MInterfacePointer *mip)
{
	struct actprops_in in;

	if (actprops_in_unpack(mem_ctx, mip, &in) == NDR_ERR_SUCCESS) {
		mip = actprops_in_pack(mem_ctx, &in);
		assert(mip != NULL);
		assert(actprops_in_unpack(mem_ctx, mip, &in) ==
		       NDR_ERR_SUCCESS);
	}
}

static void fuzz_out(TALLOC_CTX *mem_ctx, struct MInterfacePointer *mip)
{
	struct actprops_out out;

	if (actprops_out_unpack(mem_ctx, mip, &out) == NDR_ERR_SUCCESS) {
		mip = actprops_out_pack(mem_ctx, &out);
		assert(mip != NULL);
		assert(actprops_out_unpack(mem_ctx, mip, &out) ==
		       NDR_ERR_SUCCESS);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct MInterfacePointer mip;
	TALLOC_CTX *mem_ctx = NULL;
	struct tower tower;
	struct twr_t twr;

	if (size < 1) {
		return 0;
	}
	mem_ctx = talloc_new(NULL);
	assert(mem_ctx != NULL);
	mip.ulCntData = size - 1;
	mip.abData = talloc_memdup(mem_ctx, data + 1, size - 1);
	twr.tower_length = mip.ulCntData;
	twr.tower_octet_string = mip.abData;
	switch (data[0]) {
	case 0:
		fuzz_objref(mem_ctx, &mip);
		break;
	case 1:
		fuzz_in(mem_ctx, &mip);
		break;
	case 2:
		fuzz_out(mem_ctx, &mip);
		break;
	case 3:
		if (tower_unpack(&twr, &tower)) {
			assert(tower_pack(mem_ctx, &tower) != NULL);
		}
		break;
	}
	talloc_free(mem_ctx);
	return 0;
}
