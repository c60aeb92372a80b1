/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What may lie beneath the model (struct model_providers): what takes and keeps
 * snapshots, mounts disks on this machine, knows a cluster. docs/istm.md has
 * what the answers are without them.
 *
 * Main thread; nothing may block. Functions get the private data that came with
 * the provider; the _send functions' requests end with an HRESULT.
 */
#ifndef ISTM_MODEL_PROVIDER_H
#define ISTM_MODEL_PROVIDER_H

#include "server/model/model.h"

struct vhd_disk;

/* ---- cluster ---- */

struct model_cluster_provider {
	const char *name;
	/* All of them, on the given parent. */
	size_t (*groups)(void *private_data, TALLOC_CTX *,
			 struct model_group **groups);
	/* Group of a volume, "" for none. */
	const char *(*group_of_volume)(void *private_data, TALLOC_CTX *,
				       const struct GUID *volume);
	/* Node that owns a group; NULL: no such group. */
	const char *(*owner)(void *private_data, TALLOC_CTX *,
			     const char *group);
	HRESULT(*rename)
	(void *private_data, const char *group, const char *name);
	/* [MS-CMRP] state of a target or disk by its GUID. */
	int32_t (*resource_state)(void *private_data, const struct GUID *guid);
};

/* @provider outlives the model; NULL: a machine by itself. */
void model_set_cluster_provider(struct model *,
				const struct model_cluster_provider *,
				void *private_data);

/* ---- snapshots ---- */

/* What snapshots are made of. */
struct model_snapshot_provider {
	const char *name;
	/* Take the snapshot: its content is the disk's of this moment. */
	struct tevent_req *(*create_send)(TALLOC_CTX *, struct tevent_context *,
					  void *private_data,
					  const struct model_disk *disk,
					  const struct GUID *id);
	HRESULT (*create_recv)(struct tevent_req *);
	/* Release what it holds; also of one that was never taken. */
	struct tevent_req *(*delete_send)(TALLOC_CTX *, struct tevent_context *,
					  void *private_data,
					  const struct GUID *disk_guid,
					  const struct GUID *id);
	HRESULT (*delete_recv)(struct tevent_req *);
	/* Put the disk's content back. Freeing the request aborts. */
	struct tevent_req *(*rollback_send)(
		TALLOC_CTX *, struct tevent_context *, void *private_data,
		const struct model_disk *disk, const struct GUID *id,
		void (*progress)(unsigned percent, void *progress_data),
		void *progress_data);
	HRESULT (*rollback_recv)(struct tevent_req *);
	/* The snapshot as a disk to be read, for ExportAsWTDisk. */
	struct tevent_req *(*open_send)(TALLOC_CTX *, struct tevent_context *,
					void *private_data,
					const struct model_disk *disk,
					const struct GUID *id);
	HRESULT(*open_recv)
	(struct tevent_req *, TALLOC_CTX *, struct vhd_disk **);
	/* Bytes that the snapshots of a disk take up. NULL: none */
	uint64_t (*used)(void *private_data, const struct GUID *disk_guid);
};

/* @provider outlives the model; NULL: none. */
void model_set_snapshot_provider(struct model *,
				 const struct model_snapshot_provider *,
				 void *private_data);

/* ---- local mounts ---- */

/* The model asks for one thing at a time of a disk and dismounts before it
 * mounts anew. */
struct model_mount_provider {
	const char *name;
	/*
	 * Surface @disk for reading and writing, or, read only, its
	 * @snapshot (not NULL), at disk->mount_point where that is set.
	 */
	struct tevent_req *(*mount_send)(TALLOC_CTX *, struct tevent_context *,
					 void *private_data,
					 const struct model_disk *disk,
					 const struct GUID *snapshot);
	/* @device_id  the system's name of the device, for
	 *             LMCurrMountDeviceId; on the given parent */
	HRESULT(*mount_recv)
	(struct tevent_req *, TALLOC_CTX *, const char **device_id);
	struct tevent_req *(*dismount_send)(TALLOC_CTX *,
					    struct tevent_context *,
					    void *private_data,
					    const struct GUID *disk_guid);
	HRESULT (*dismount_recv)(struct tevent_req *);
	/* Where the volumes of a mounted disk are seen. */
	size_t (*mount_points)(void *private_data, TALLOC_CTX *,
			       const struct GUID *disk_guid,
			       const char ***paths);
};

/* @provider outlives the model; NULL: none. */
void model_set_mount_provider(struct model *,
			      const struct model_mount_provider *,
			      void *private_data);

#endif /* ISTM_MODEL_PROVIDER_H */
