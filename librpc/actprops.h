/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Activation properties ([MS-DCOM] 2.2.22): what IRemoteSCMActivator's methods
 * take and return, an OBJREF_CUSTOM around a blob of
 *
 *	dwSize, dwReserved, CustomHeader, Property...
 *
 * where header and properties are each pickled by type serialization version
 * 1 ([MS-RPCE] 2.2.6).
 */
#ifndef _LIBRPC_ACTPROPS_H_
#define _LIBRPC_ACTPROPS_H_

#include <talloc.h>
#include <ndr.h>

#include "gen_ndr/activation.h"

/* A request. Properties that are absent are NULL. */
struct actprops_in {
	struct InstantiationInfoData *instantiation; /* mandatory */
	struct ScmRequestInfoData *scm_request;	     /* mandatory */
	struct LocationInfoData *location;	     /* mandatory */
	struct SecurityInfoData *security;
	struct SpecialPropertiesData *special;
	struct InstanceInfoData *instance;
	struct ActivationContextInfoData *context;
};

/* A reply, both mandatory. */
struct actprops_out {
	struct PropsOutInfo *props_out;
	struct ScmReplyInfoData *scm_reply;
};

/*
 * Take a request apart. Properties that are unknown are skipped, and so is
 * SpecialPropertiesData in its alternate form; nothing here needs either.
 * @param in  its members become children of @mem_ctx
 * @return NDR_ERR_SUCCESS; NDR_ERR_INVALID_POINTER if a mandatory property is
 *         missing, or whatever else is wrong with it
 */
enum ndr_err_code actprops_in_unpack(TALLOC_CTX *mem_ctx,
				     const struct MInterfacePointer *mip,
				     struct actprops_in *in);
/* @return child of @mem_ctx, NULL without memory */
struct MInterfacePointer *actprops_in_pack(TALLOC_CTX *mem_ctx,
					   const struct actprops_in *in);

enum ndr_err_code actprops_out_unpack(TALLOC_CTX *mem_ctx,
				      const struct MInterfacePointer *mip,
				      struct actprops_out *out);
struct MInterfacePointer *actprops_out_pack(TALLOC_CTX *mem_ctx,
					    const struct actprops_out *out);

#endif /* _LIBRPC_ACTPROPS_H_ */
