/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Calls that change something, as istm-scale makes them. */
#ifndef ISTM_BENCH_SCALE_CALLS_H
#define ISTM_BENCH_SCALE_CALLS_H

#include "client/libistm/libistm.h"
#include "server/core/errors.h"

struct scale {
	TALLOC_CTX *mem;
	struct istm_client_config config;
	struct istm_client *client;
	struct istm_object *general, *hosts, *disks, *device, *sessions;
	struct istm_object *host;  /* for the latency phase */
	struct istm_object *enumd; /* of all disks */
	const char *volume;	   /* the volume's folder here */
	HRESULT hr;		   /* of the last call */
};

static inline bool good(struct scale *s, HRESULT hr)
{
	s->hr = hr;
	return !ISTM_FAILED(hr);
}

static inline bool create_file(struct scale *s, TALLOC_CTX *mem_ctx,
			       const char *path, uint64_t size, bool sparse)
{
	struct ILocalDeviceMgr_CreateWtFile r = {
		.in = {.FilePath.s = path,
		       .hyFileSize = size,
		       .bSparse = sparse},
	};

	return good(s, istm_call(s->device, mem_ctx,
				 NDR_ILOCALDEVICEMGR_CREATEWTFILE, &r));
}

static inline bool delete_file(struct scale *s, TALLOC_CTX *mem_ctx,
			       const char *path)
{
	struct ILocalDeviceMgr_DeleteWtFile r = {.in.FilePath.s = path};

	return good(s, istm_call(s->device, mem_ctx,
				 NDR_ILOCALDEVICEMGR_DELETEWTFILE, &r));
}

static inline bool create_disk(struct scale *s, TALLOC_CTX *mem_ctx,
			       const char *path, uint32_t *index)
{
	struct IWTDiskMgr_CreateWTDisk r = {
		.in = {.eDeviceType = WTDTypeFileBased,
		       .DevicePath.s = path,
		       .Description.s = "one more"},
	};

	if (!good(s, istm_call(s->disks, mem_ctx, NDR_IWTDISKMGR_CREATEWTDISK,
			       &r))) {
		return false;
	}
	*index = *r.out.pWTD;
	return true;
}

static inline bool delete_disk(struct scale *s, TALLOC_CTX *mem_ctx,
			       uint32_t index)
{
	struct IWTDiskMgr_DeleteWTDisk r = {.in.nWTD = index};

	return good(s, istm_call(s->disks, mem_ctx, NDR_IWTDISKMGR_DELETEWTDISK,
				 &r));
}

static inline bool new_host(struct scale *s, TALLOC_CTX *mem_ctx,
			    const char *name, struct istm_object **host)
{
	struct IHostMgr_NewHost r = {.in.HostName.s = name};

	return good(s,
		    istm_call(s->hosts, mem_ctx, NDR_IHOSTMGR_NEWHOST, &r)) &&
	       good(s, istm_unmarshal(mem_ctx, s->hosts, &com_IHost,
				      *r.out.ppNewHost, host));
}

static inline bool delete_host(struct scale *s, TALLOC_CTX *mem_ctx,
			       const char *name)
{
	struct IHostMgr_DeleteHost r = {.in.HostName.s = name};

	return good(s,
		    istm_call(s->hosts, mem_ctx, NDR_IHOSTMGR_DELETEHOST, &r));
}

static inline bool add_disk(struct scale *s, TALLOC_CTX *mem_ctx,
			    struct istm_object *host, uint32_t index)
{
	struct IHost_AddWTDisk r = {.in.nWTD = index};

	return good(s, istm_call(host, mem_ctx, NDR_IHOST_ADDWTDISK, &r));
}

static inline bool save_host(struct scale *s, TALLOC_CTX *mem_ctx,
			     struct istm_object *host)
{
	struct IHost_Save r = {0};

	return good(s, istm_call(host, mem_ctx, NDR_IHOST_SAVE, &r));
}

#endif /* ISTM_BENCH_SCALE_CALLS_H */
