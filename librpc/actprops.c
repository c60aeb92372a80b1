/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "gen_ndr/ndr_activation.h"
#include "gen_ndr/ndr_orpc.h"
#include "librpc/actprops.h"
#include "librpc/objref.h"

/* Common and private header of type serialization, [MS-RPCE] 2.2.6.1/2. */
#define TS1_HEADER     16
#define TS1_VERSION    1
#define TS1_LITTLE     0x10
#define TS1_BIG	       0x00
#define TS1_COMMON_LEN 8
#define TS1_FILLER     0xcccccccc

/* dwSize and dwReserved */
#define BLOB_HEADER 8

/* destCtx: a different machine; ignored by everyone */
#define MSHCTX_DIFFERENTMACHINE 2

/* The CLSIDs of [MS-DCOM] 1.9, all of the form 0000xxxx-0000-0000-C000-... */
#define DCOM_GUID(n)                                                           \
	{                                                                      \
		(n), 0, 0, {0xc0, 0},                                          \
		{                                                              \
			0, 0, 0, 0, 0, 0x46                                    \
		}                                                              \
	}

static const struct GUID CLSID_ActivationPropertiesIn = DCOM_GUID(0x338);
static const struct GUID CLSID_ActivationPropertiesOut = DCOM_GUID(0x339);
static const struct GUID IID_IActivationPropertiesIn = DCOM_GUID(0x1a2);
static const struct GUID IID_IActivationPropertiesOut = DCOM_GUID(0x1a3);

/* One kind of property: its class, and where its data is kept. */
struct property {
	struct GUID clsid;
	size_t size;
	size_t offset; /* of the pointer in struct actprops_in or _out */
	ndr_pull_flags_fn_t pull;
	ndr_push_flags_fn_t push;
	bool mandatory;
	bool lenient; /* one that cannot be read counts as absent */
};

#define PROPERTY(clsid_, type, where, member, mandatory_, lenient_)            \
	{                                                                      \
		.clsid = DCOM_GUID(clsid_), .size = sizeof(struct type),       \
		.offset = offsetof(struct where, member),                      \
		.pull = (ndr_pull_flags_fn_t)ndr_pull_##type,                  \
		.push = (ndr_push_flags_fn_t)ndr_push_##type,                  \
		.mandatory = mandatory_, .lenient = lenient_                   \
	}

/* In the order in which Windows sends them. */
static const struct property in_properties[] = {
	PROPERTY(0x1b9, SpecialPropertiesData, actprops_in, special, false,
		 true),
	PROPERTY(0x1ab, InstantiationInfoData, actprops_in, instantiation, true,
		 false),
	PROPERTY(0x1a5, ActivationContextInfoData, actprops_in, context, false,
		 false),
	PROPERTY(0x1a6, SecurityInfoData, actprops_in, security, false, false),
	PROPERTY(0x1a4, LocationInfoData, actprops_in, location, true, false),
	PROPERTY(0x1aa, ScmRequestInfoData, actprops_in, scm_request, true,
		 false),
	PROPERTY(0x1ad, InstanceInfoData, actprops_in, instance, false, false),
	{.size = 0},
};

/* Clients exist that expect this order instead of looking at the header. */
static const struct property out_properties[] = {
	PROPERTY(0x339, PropsOutInfo, actprops_out, props_out, true, false),
	PROPERTY(0x1b6, ScmReplyInfoData, actprops_out, scm_reply, true, false),
	{.size = 0},
};

static void **member(void *container, const struct property *p)
{
	return (void **)((uint8_t *)container + p->offset);
}

static void *const *const_member(const void *container,
				 const struct property *p)
{
	return (void *const *)((const uint8_t *)container + p->offset);
}

/*
 * Unpickle one structure at the start of @data.
 * @param used  gets the bytes that it takes with its headers
 */
static enum ndr_err_code ts1_pull(TALLOC_CTX *mem_ctx, DATA_BLOB data, void *r,
				  ndr_pull_flags_fn_t pull, size_t *used)
{
	struct ndr_pull *ndr = NULL;
	enum ndr_err_code err;
	uint32_t length;

	if (data.length < TS1_HEADER || data.data[0] != TS1_VERSION ||
	    (data.data[1] != TS1_LITTLE && data.data[1] != TS1_BIG)) {
		return NDR_ERR_SUBCONTEXT;
	}
	if (data.data[1] == TS1_LITTLE) {
		length = data.data[8] | data.data[9] << 8 |
			 data.data[10] << 16 | (uint32_t)data.data[11] << 24;
	} else {
		length = data.data[11] | data.data[10] << 8 |
			 data.data[9] << 16 | (uint32_t)data.data[8] << 24;
	}
	if (length > data.length - TS1_HEADER) {
		return NDR_ERR_BUFSIZE;
	}
	*used = TS1_HEADER + length;
	data.data += TS1_HEADER;
	data.length = length;
	ndr = ndr_pull_init_blob(&data, mem_ctx);
	if (ndr == NULL) {
		return NDR_ERR_ALLOC;
	}
	if (data.data[1 - TS1_HEADER] == TS1_BIG) {
		ndr_set_flags(&ndr->flags, LIBNDR_FLAG_BIGENDIAN);
	}
	ndr->current_mem_ctx = mem_ctx;
	err = pull(ndr, NDR_SCALARS | NDR_BUFFERS, r);
	talloc_free(ndr);
	return err;
}

/* Pickle one structure and append it. */
static enum ndr_err_code ts1_push(struct ndr_push *out, const void *r,
				  ndr_push_flags_fn_t push)
{
	DATA_BLOB body = {0};
	uint32_t padding;

	NDR_CHECK(ndr_push_struct_blob(&body, out, r, push));
	padding = -body.length & 7;
	NDR_CHECK(ndr_push_uint8(out, NDR_SCALARS, TS1_VERSION));
	NDR_CHECK(ndr_push_uint8(out, NDR_SCALARS, TS1_LITTLE));
	NDR_CHECK(ndr_push_uint16(out, NDR_SCALARS, TS1_COMMON_LEN));
	NDR_CHECK(ndr_push_uint32(out, NDR_SCALARS, TS1_FILLER));
	NDR_CHECK(ndr_push_uint32(out, NDR_SCALARS, body.length + padding));
	NDR_CHECK(ndr_push_uint32(out, NDR_SCALARS, 0));
	NDR_CHECK(ndr_push_bytes(out, body.data, body.length));
	NDR_CHECK(ndr_push_zero(out, padding));
	talloc_free(body.data);
	return NDR_ERR_SUCCESS;
}

static enum ndr_err_code pull_property(TALLOC_CTX *mem_ctx,
				       const struct property *p, DATA_BLOB data,
				       void *container)
{
	void **where = member(container, p);
	enum ndr_err_code err;
	size_t used;

	if (*where != NULL) {
		return NDR_ERR_SUBCONTEXT; /* twice */
	}
	*where = talloc_zero_size(mem_ctx, p->size);
	if (*where == NULL) {
		return NDR_ERR_ALLOC;
	}
	err = ts1_pull(*where, data, *where, p->pull, &used);
	if (!NDR_ERR_CODE_IS_SUCCESS(err)) {
		TALLOC_FREE(*where);
		return p->lenient ? NDR_ERR_SUCCESS : err;
	}
	return NDR_ERR_SUCCESS;
}

static enum ndr_err_code pull_blob(TALLOC_CTX *mem_ctx, DATA_BLOB data,
				   const struct property *properties,
				   void *container)
{
	struct CustomHeader *header = talloc_zero(mem_ctx, struct CustomHeader);
	const struct property *p = NULL;
	size_t used;
	uint32_t i;

	if (header == NULL) {
		return NDR_ERR_ALLOC;
	}
	if (data.length < BLOB_HEADER) {
		return NDR_ERR_BUFSIZE;
	}
	data.data += BLOB_HEADER;
	data.length -= BLOB_HEADER;
	NDR_CHECK(ts1_pull(header, data, header,
			   (ndr_pull_flags_fn_t)ndr_pull_CustomHeader, &used));
	if (header->pclsid == NULL || header->pSizes == NULL) {
		return NDR_ERR_INVALID_POINTER;
	}
	/* The header's own length decides, not what headerSize says of it. */
	for (i = 0; i < header->cIfs; i++) {
		DATA_BLOB one;

		if (header->pSizes[i] > data.length - used) {
			return NDR_ERR_BUFSIZE;
		}
		one = data_blob_const(data.data + used, header->pSizes[i]);
		used += header->pSizes[i];
		for (p = properties; p->size != 0; p++) {
			if (GUID_equal(&p->clsid, &header->pclsid[i])) {
				NDR_CHECK(pull_property(mem_ctx, p, one,
							container));
			}
		}
	}
	for (p = properties; p->size != 0; p++) {
		if (p->mandatory && *member(container, p) == NULL) {
			return NDR_ERR_INVALID_POINTER;
		}
	}
	talloc_free(header);
	return NDR_ERR_SUCCESS;
}

static enum ndr_err_code push_blob(struct ndr_push *out,
				   const struct property *properties,
				   const void *container)
{
	struct GUID clsids[MAX_ACTPROP_LIMIT];
	uint32_t sizes[MAX_ACTPROP_LIMIT];
	struct CustomHeader header = {
		.destCtx = MSHCTX_DIFFERENTMACHINE,
		.pclsid = clsids,
		.pSizes = sizes,
	};
	struct ndr_push *body = ndr_push_init_ctx(out);
	struct ndr_push *trial = ndr_push_init_ctx(out);
	const struct property *p = NULL;

	if (body == NULL || trial == NULL) {
		return NDR_ERR_ALLOC;
	}
	for (p = properties; p->size != 0; p++) {
		void *const *where = const_member(container, p);
		uint32_t before = body->offset;

		if (*where == NULL) {
			continue;
		}
		NDR_CHECK(ts1_push(body, *where, p->push));
		clsids[header.cIfs] = p->clsid;
		sizes[header.cIfs++] = body->offset - before;
	}
	/* The size of the header does not depend on what it says. */
	NDR_CHECK(ts1_push(trial, &header,
			   (ndr_push_flags_fn_t)ndr_push_CustomHeader));
	header.headerSize = trial->offset;
	header.totalSize = trial->offset + body->offset;

	NDR_CHECK(ndr_push_uint32(out, NDR_SCALARS, header.totalSize));
	NDR_CHECK(ndr_push_uint32(out, NDR_SCALARS, 0));
	NDR_CHECK(ts1_push(out, &header,
			   (ndr_push_flags_fn_t)ndr_push_CustomHeader));
	return ndr_push_bytes(out, body->data, body->offset);
}

static enum ndr_err_code unpack(TALLOC_CTX *mem_ctx,
				const struct MInterfacePointer *mip,
				const struct GUID *iid,
				const struct GUID *clsid,
				const struct property *properties,
				void *container)
{
	struct OBJREF *objref = objref_unpack(mem_ctx, mip);
	const struct OBJREF_CUSTOM *custom = NULL;
	enum ndr_err_code err;

	if (objref == NULL) {
		return NDR_ERR_SUBCONTEXT;
	}
	custom = &objref->u_objref.u_custom;
	if (objref->flags != OBJREF_CUSTOM_FLAG ||
	    !GUID_equal(&objref->iid, iid) ||
	    !GUID_equal(&custom->clsid, clsid)) {
		talloc_free(objref);
		return NDR_ERR_BAD_SWITCH;
	}
	err = pull_blob(mem_ctx, custom->pObjectData, properties, container);
	talloc_free(objref);
	return err;
}

static struct MInterfacePointer *pack(TALLOC_CTX *mem_ctx,
				      const struct GUID *iid,
				      const struct GUID *clsid,
				      const struct property *properties,
				      const void *container)
{
	struct ndr_push *ndr = ndr_push_init_ctx(mem_ctx);
	struct MInterfacePointer *mip = NULL;
	struct OBJREF objref = {.flags = OBJREF_CUSTOM_FLAG, .iid = *iid};

	if (ndr == NULL) {
		return NULL;
	}
	if (NDR_ERR_CODE_IS_SUCCESS(push_blob(ndr, properties, container))) {
		objref.u_objref.u_custom = (struct OBJREF_CUSTOM){
			.clsid = *clsid,
			.reserved = ndr->offset,
			.pObjectData = ndr_push_blob(ndr),
		};
		mip = objref_pack(mem_ctx, &objref);
	}
	talloc_free(ndr);
	return mip;
}

enum ndr_err_code actprops_in_unpack(TALLOC_CTX *mem_ctx,
				     const struct MInterfacePointer *mip,
				     struct actprops_in *in)
{
	*in = (struct actprops_in){0};
	return unpack(mem_ctx, mip, &IID_IActivationPropertiesIn,
		      &CLSID_ActivationPropertiesIn, in_properties, in);
}

struct MInterfacePointer *actprops_in_pack(TALLOC_CTX *mem_ctx,
					   const struct actprops_in *in)
{
	return pack(mem_ctx, &IID_IActivationPropertiesIn,
		    &CLSID_ActivationPropertiesIn, in_properties, in);
}

enum ndr_err_code actprops_out_unpack(TALLOC_CTX *mem_ctx,
				      const struct MInterfacePointer *mip,
				      struct actprops_out *out)
{
	*out = (struct actprops_out){0};
	return unpack(mem_ctx, mip, &IID_IActivationPropertiesOut,
		      &CLSID_ActivationPropertiesOut, out_properties, out);
}

struct MInterfacePointer *actprops_out_pack(TALLOC_CTX *mem_ctx,
					    const struct actprops_out *out)
{
	return pack(mem_ctx, &IID_IActivationPropertiesOut,
		    &CLSID_ActivationPropertiesOut, out_properties, out);
}
