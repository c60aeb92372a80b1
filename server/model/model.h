/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The model: targets, disks, mappings, portals, volumes, and the rules between
 * them. The one source of truth; the COM layer, start-up and later failover
 * all go through it. It drives target/ and vhd/, persists through store/, and
 * tells subscribers of changes.
 *
 * Main thread only. Errors are HRESULTs as MS-ISTM documents them for the
 * method that asks; each refusal has been logged with its reason.
 * Objects are the model's; callers keep GUIDs or indices and look them up per
 * call (O(1), NULL where there is none), since an object may be deleted between
 * two calls. Lists are on the context given, all that there is at the moment of
 * the call; without memory they are NULL or lack what did not fit. Texts are
 * UTF-8 and copied. A request whose caller went away comes to its end all the
 * same, if it has begun to change something.
 */
#ifndef ISTM_MODEL_H
#define ISTM_MODEL_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>
#include <sys/socket.h>
#include <talloc.h>
#include <tevent.h>
#include <core/hresult.h>
#include <util/data_blob.h>
#include <gen_ndr/misc.h> /* struct GUID */

#include "target/target.h"

struct model;
struct tevent_req;

#define MODEL_MAX_LUN_DEFAULT 128u /* disks per target, Appendix B <35> */

/* What the flat space of LUN addressing holds (SAM-4 4.6.7.2). */
#define MODEL_MAX_LUN_LIMIT 16384u

/* MS-ISTM 2.2.3.10, 2.2.3.3, 2.2.3.9 */
enum model_disk_type { MODEL_DISK_VOLUME = 0, MODEL_DISK_FILE, MODEL_DISK_RAM };
enum model_disk_status {
	MODEL_DISK_IDLE = 0,
	MODEL_DISK_INUSE,
	MODEL_DISK_REVERTING
};

struct model_id {
	enum iscsi_id_method method;
	const char *value;     /* UTF-8 */
	const char *canonical; /* by which it compares; the model's */
};

struct model_mapping {
	uint32_t lun;
	uint32_t disk; /* index */
};

/* Read freely, change only through the functions below. */
struct model_target {
	struct GUID guid;
	const char *name;
	const char *description;
	const char *iqn;
	const char *resource_name;
	bool enabled;
	bool chap, reverse_chap;
	const char *chap_user, *chap_secret;		     /* secret! */
	const char *reverse_chap_user, *reverse_chap_secret; /* secret! */
	uint32_t max_recv_data_segment_length;
	uint32_t first_burst_length, max_burst_length;
	uint32_t num_recv_buffers;
	bool enforce_idle_timeout;
	uint64_t last_login; /* FILETIME, 0: never */
	struct model_id *ids;
	size_t num_ids;
	struct model_mapping *mappings; /* ascending by lun */
	size_t num_mappings;
	bool listen_all;      /* all portals; false: only those below */
	const char **portals; /* addresses, as model_portal.text */
	size_t num_portals;
	uint32_t processors; /* bit 0: CPU 0; 0: any */
	bool persistent;     /* false: NewHostNonPersistent */
	bool saved;	     /* a record is in the store */
};

/* MS-ISTM 3.1.1.4 */
#define MODEL_DISK_MAPPABLE 0x1u /* WTFlagEnableLunMapping */
#define MODEL_DISK_SHADOW   0x2u /* WTFlagShadowLun */

struct model_disk {
	struct GUID guid;
	uint32_t index; /* WTDIndex */
	enum model_disk_type type;
	const char *path; /* as clients see it: X:\dir\a.vhd */
	const char *serial;
	const char *description;
	const char *resource_name;
	bool enabled;
	bool cache_parent;
	uint32_t flags; /* MODEL_DISK_… */
	uint64_t size;	/* bytes; 0 when it could not be opened */
	bool usable;	/* opened and served */
	enum vhd_type vhd_type;
	const char *parent_path; /* differencing, else NULL */
	const char *snapshot_storage_path;
	int64_t snapshot_storage_size; /* bytes, -1: unlimited */
	bool manage_mount_point;       /* may be mounted on this machine */
	const char *mount_point;       /* where; "": as the provider likes */
	bool persistent;
	bool saved;
	bool deleting;
};

/* ---- life ---- */

struct model_snapshot_provider;
struct model_mount_provider;
struct model_cluster_provider;

/* The engines beneath the model that there need not be; they outlive it. */
struct model_providers {
	const struct model_snapshot_provider *snapshots;
	void *snapshots_data;
	const struct model_mount_provider *mounts;
	void *mounts_data;
	const struct model_cluster_provider *cluster;
	void *cluster_data;
};

/* A volume's space is low when less is available than so many bytes, or, if
 * percent is not 0, than that part of its size; both 0: never. */
struct model_threshold {
	uint64_t bytes;
	unsigned percent;
};

struct model_options {
	const char *store_path; /* istm.tdb */
	unsigned lanes;
	struct model_volume_config {
		char letter;	  /* 'C' */
		const char *path; /* directory */
	} * volumes;
	size_t num_volumes;
	/* Of volumes A to Z, for disks that are opened from now on. */
	struct model_threshold thresholds[26];
	/* "ADDRESS[:PORT]"…; empty: all global-scope addresses, port 3260 */
	const char **portals;
	/* Portals that are not in group 1, and how well disks are reached
	 * through a group; one entry a group. */
	struct model_portal_group_config {
		uint16_t tag;
		/* "ADDRESS[/PREFIX]"…, NULL-terminated, or NULL */
		const char **networks;
		/* optimized, non-optimized, standby, unavailable; NULL: the
		 * first */
		const char *access;
	} * portal_groups;
	size_t num_portal_groups;
	/* "TARGET=TO"… or "ADDRESS=TO"…, NULL-terminated or NULL: logins that
	 * are sent to TO, an ADDRESS[:PORT] or a name. */
	const char **redirect, **redirect_permanently;
	unsigned lane_spin;	      /* µs, iscsi_server_config.spin */
	unsigned session_connections; /* at most; 0: the default */
	uint64_t buffers;	      /* iscsi_server_config.buffers */
	bool discovery_chap;
	int debug_level;
	/* Limits; 0: as Windows (MODEL_MAX_LUN_DEFAULT; VHD_MAX_SIZE, and
	 * VHDX_MAX_SIZE of VHDX files). */
	uint32_t max_luns; /* disks per target, up to MODEL_MAX_LUN_LIMIT */
	uint64_t max_disk_size;
	/* Bytes of a logical sector of new VHDX files; 0: 512. A differencing
	 * disk's are its parent's. */
	uint32_t vhdx_sector;
	const char
		*dns_name; /* of this machine; NULL: what it is resolved to */
	/* Disks are read and written around the page cache where that is
	 * possible; have no volatile write cache by default. */
	bool direct_io, write_through;
	struct model_providers providers; /* NULL: none */
};

/* Opens the store, loads, opens disks, starts the target. Fails with a logged
 * reason. Asynchronous because disks are opened on worker threads. */
struct tevent_req *model_start_send(TALLOC_CTX *mem_ctx,
				    struct tevent_context *ev,
				    const struct model_options *options);
HRESULT model_start_recv(struct tevent_req *req, TALLOC_CTX *mem_ctx,
			 struct model **model);

/*
 * Volumes, portals and states of portal groups move to what @options says now
 * (a portal is of the group where it was when it began to listen); the rest of
 * it is not looked at, and nothing is kept of it. Disks that waited for a
 * volume are opened before it answers. E_INVALIDARG (nothing has changed):
 * malformed.
 */
struct tevent_req *model_reload_send(TALLOC_CTX *, struct model *,
				     const struct model_options *options);
HRESULT model_reload_recv(struct tevent_req *);

/* ---- events ---- */

enum model_event_type {
	MODEL_EVENT_LUN_LIST,	/* spec/notes 7: LunListChanged */
	MODEL_EVENT_LUN_STATUS, /* LunStatusUpdate */
	MODEL_EVENT_TARGET_ADDED,
	MODEL_EVENT_TARGET_CHANGED,
	MODEL_EVENT_TARGET_REMOVED,
	MODEL_EVENT_DISK_ADDED,
	MODEL_EVENT_DISK_CHANGED,
	MODEL_EVENT_DISK_REMOVED,
	MODEL_EVENT_PORTALS,
	MODEL_EVENT_SESSIONS,
	MODEL_EVENT_SNAPSHOTS, /* @guid: the one that changed */
	MODEL_EVENT_NUM_TYPES
};

struct model_event {
	enum model_event_type type;
	const struct GUID *guid;
	uint32_t disk;		      /* index, LUN_STATUS and DISK_* */
	uint32_t percent, completion; /* LUN_STATUS */
};

typedef void (*model_event_fn)(const struct model_event *event,
			       void *private_data);
/* talloc_free() of the result unsubscribes. */
struct model_subscription *model_subscribe(TALLOC_CTX *mem_ctx,
					   struct model *model,
					   model_event_fn fn,
					   void *private_data);

/* ---- targets ---- */

/* GUIDs of all, on @mem_ctx: enumerators are populated at creation. */
size_t model_targets(struct model *model, TALLOC_CTX *mem_ctx,
		     struct GUID **guids);
struct model_target *model_target_by_guid(struct model *, const struct GUID *);
struct model_target *model_target_by_name(struct model *, const char *name);
struct model_target *model_target_by_iqn(struct model *, const char *iqn);

HRESULT model_target_new(struct model *, const char *name, bool persistent,
			 const char *resource_name,
			 struct model_target **target);
/* Answers when the deletion is durable. */
struct tevent_req *model_target_delete_send(TALLOC_CTX *, struct model *,
					    struct model_target *);
HRESULT model_target_delete_recv(struct tevent_req *);
/* CloseHost: out of memory only, the saved copy stays. */
HRESULT model_target_close(struct model *, struct model_target *);
/* Answers when the record is durable. */
struct tevent_req *model_target_save_send(TALLOC_CTX *, struct model *,
					  struct model_target *);
HRESULT model_target_save_recv(struct tevent_req *);

/* Each acts at once on the shared object and on the target engine; what is in
 * the store stays until it is saved. */
HRESULT model_target_set_name(struct model *, struct model_target *,
			      const char *);
HRESULT model_target_set_description(struct model *, struct model_target *,
				     const char *);
HRESULT model_target_set_iqn(struct model *, struct model_target *,
			     const char *);
HRESULT model_target_set_resource_name(struct model *, struct model_target *,
				       const char *);
HRESULT model_target_set_enabled(struct model *, struct model_target *, bool);
HRESULT model_target_set_chap(struct model *, struct model_target *, bool);
HRESULT model_target_set_chap_user(struct model *, struct model_target *,
				   const char *);
HRESULT model_target_set_chap_secret(struct model *, struct model_target *,
				     const char *);
HRESULT model_target_set_reverse_chap(struct model *, struct model_target *,
				      bool);
HRESULT model_target_set_reverse_chap_user(struct model *,
					   struct model_target *, const char *);
HRESULT model_target_set_reverse_chap_secret(struct model *,
					     struct model_target *,
					     const char *);
HRESULT model_target_set_max_recv_data_segment_length(struct model *,
						      struct model_target *,
						      uint32_t);
HRESULT model_target_set_first_burst_length(struct model *,
					    struct model_target *, uint32_t);
HRESULT model_target_set_max_burst_length(struct model *, struct model_target *,
					  uint32_t);
HRESULT model_target_set_num_recv_buffers(struct model *, struct model_target *,
					  uint32_t);
HRESULT model_target_set_enforce_idle_timeout(struct model *,
					      struct model_target *, bool);

/*
 * Portals of a target (3.21.4.36 and .50). AddPortal takes one of the
 * server's: E_INVALIDARG for what is no address, ERROR_FILE_NOT_FOUND for what
 * is no portal. The list decides while listen_all is false: then the target
 * cannot be seen through others, and sessions through them end. Removing one
 * that is not in it succeeds.
 */
HRESULT model_target_set_listen_all(struct model *, struct model_target *,
				    bool);
HRESULT model_target_add_portal(struct model *, struct model_target *,
				const char *address);
HRESULT model_target_remove_portal(struct model *, struct model_target *,
				   const char *address);
HRESULT model_target_remove_all_portals(struct model *, struct model_target *);
/*
 * The processors whose lanes serve later logins, a bit mask. E_INVALIDARG for
 * none and for those that this process may not use.
 */
HRESULT model_target_set_processors(struct model *, struct model_target *,
				    uint32_t mask);
uint32_t model_target_processors(struct model *, const struct model_target *);

/* 12 to 16 characters, different from the target's other secret
 * (3.21.4.55/.56); nothing is stored. */
HRESULT model_target_validate_secret(struct model *, struct model_target *,
				     bool reverse, const char *secret);

HRESULT model_target_add_id(struct model *, struct model_target *,
			    const struct model_id *);
HRESULT model_target_remove_id(struct model *, struct model_target *,
			       const struct model_id *);
HRESULT model_target_remove_all_ids(struct model *, struct model_target *);

HRESULT model_target_add_disk(struct model *, struct model_target *,
			      uint32_t disk);
HRESULT model_target_remove_disk(struct model *, struct model_target *,
				 uint32_t disk);
HRESULT model_target_remove_all_disks(struct model *, struct model_target *);
HRESULT model_target_set_lun(struct model *, struct model_target *,
			     uint32_t disk, uint32_t lun);
/* Whether any target has the disk. */
bool model_disk_assigned(const struct model_disk *disk);
/* Sessions that are logged in to it. */
size_t model_target_num_sessions(struct model *, struct model_target *);

/* ---- disks ---- */

size_t model_disks(struct model *, TALLOC_CTX *, uint32_t **indices);
struct model_disk *model_disk_by_index(struct model *, uint32_t index);
struct model_disk *model_disk_by_guid(struct model *, const struct GUID *);
struct model_disk *model_disk_by_path(struct model *, const char *path);
/* Disks whose files are on the same volume as @disk, itself included. */
size_t model_disks_same_volume(struct model *, const struct model_disk *disk,
			       TALLOC_CTX *, uint32_t **indices);

/* Disks whose files are on the volume of a client's path. Malformed:
 * E_INVALIDARG; on no volume: ERROR_FILE_NOT_FOUND */
HRESULT model_disks_of_path(struct model *, const char *path, TALLOC_CTX *,
			    uint32_t **indices, size_t *num);

struct model_disk_create {
	enum model_disk_type type;
	const char *path; /* FILE: the VHD, must exist; RAM: size in bytes as
			   * the spec's device path says */
	const char *description;
	const char *resource_name;
	bool clear_partition_table;
	bool persistent;
	int64_t index;	  /* -1: next free */
	struct GUID guid; /* zero: generate */
};
/* CreateWTDisk (3.46.4.2) and its relatives; durable when it answers. */
struct tevent_req *model_disk_create_send(TALLOC_CTX *, struct model *,
					  const struct model_disk_create *);
HRESULT model_disk_create_recv(struct tevent_req *, uint32_t *index);
/* DeleteWTDisk (3.46.4.4): unmapped from all targets; the file stays. */
struct tevent_req *model_disk_delete_send(TALLOC_CTX *, struct model *,
					  uint32_t index);
HRESULT model_disk_delete_recv(struct tevent_req *);
/* CloseWTDisk: out of memory only. */
struct tevent_req *model_disk_close_send(TALLOC_CTX *, struct model *,
					 uint32_t index);
HRESULT model_disk_close_recv(struct tevent_req *);
/* Answers when the record is durable. */
struct tevent_req *model_disk_save_send(TALLOC_CTX *, struct model *,
					struct model_disk *);
HRESULT model_disk_save_recv(struct tevent_req *);

enum model_disk_status model_disk_status(struct model *,
					 const struct model_disk *);
HRESULT model_disk_set_description(struct model *, struct model_disk *,
				   const char *);
HRESULT model_disk_set_path(struct model *, struct model_disk *, const char *);
HRESULT model_disk_set_resource_name(struct model *, struct model_disk *,
				     const char *);
/* Disabled, a mounted disk is dismounted: model_disk_settled_send(). */
HRESULT model_disk_set_enabled(struct model *, struct model_disk *, bool);
HRESULT model_disk_set_cache_parent(struct model *, struct model_disk *, bool);
HRESULT model_disk_set_snapshot_storage_path(struct model *,
					     struct model_disk *, const char *);
HRESULT model_disk_set_snapshot_storage_size(struct model *,
					     struct model_disk *, int64_t);
/* Bytes that its file takes up; 0 while that is not open. */
uint64_t model_disk_allocated(struct model *, const struct model_disk *);
/* Its NAA designator. @return bytes of it; 0: not served */
size_t model_disk_naa(struct model *, const struct model_disk *,
		      uint8_t naa[16]);
/* What the unit answers to INQUIRY, without trailing blanks. */
struct model_inquiry {
	char vendor[9], product[17], revision[5];
};
void model_disk_inquiry(struct model *, const struct model_disk *,
			struct model_inquiry *);

/* For GetLunStatus (3.45.4.8): how far a rollback is and how the last one
 * ended. */
void model_disk_progress(struct model *, const struct model_disk *,
			 uint32_t *percent, HRESULT *completion);

/* DeviceManagerRescan (3.30.4.17): disks whose file could not be opened are
 * tried again. Answers when all have been. */
struct tevent_req *model_rescan_send(TALLOC_CTX *, struct model *);
HRESULT model_rescan_recv(struct tevent_req *);

/* ---- cluster ---- */
/*
 * Which resource groups there are, what they own, in which state they are. A
 * machine by itself has none: MS-ISTM's answers outside a cluster.
 */

/* [MS-CMRP] 3.1.4.1.13 */
#define MODEL_RESOURCE_STATE_UNKNOWN (-1)
#define MODEL_RESOURCE_STATE_ONLINE  2

struct model_group {
	const char *name;
	struct GUID guid;
	bool local; /* owned by this node */
};

bool model_is_clustered(struct model *);
/* E_NOTIMPL outside a cluster (3.32.4.4, .5) */
HRESULT model_groups(struct model *, TALLOC_CTX *, bool local_only,
		     struct model_group **groups, size_t *num);
/* Empty: E_INVALIDARG; unknown: ERROR_INVALID_HANDLE (3.32.4.6) */
HRESULT model_group_guid(struct model *, const char *group, struct GUID *);
/* "" outside a cluster; malformed or on no volume: E_INVALIDARG (.7) */
HRESULT model_group_of_path(struct model *, TALLOC_CTX *, const char *path,
			    const char **group);
HRESULT model_group_rename(struct model *, const char *group, const char *name);
/* Empty: E_POINTER; unknown: ERROR_INVALID_HANDLE (.10) */
HRESULT model_group_owner(struct model *, TALLOC_CTX *, const char *group,
			  const char **node);
int32_t model_resource_state(struct model *, const struct GUID *guid);
/* That of a disk: outside a cluster unknown, but CreateWTDiskNonPersistent
 * says that it is online (3.48.4.1). */
int32_t model_disk_resource_state(struct model *, const struct model_disk *);
bool model_disk_online(struct model *, const struct model_disk *);
bool model_target_online(struct model *, const struct model_target *);
struct model_volume;
const char *model_volume_group(struct model *, TALLOC_CTX *,
			       const struct model_volume *);
/* The group of the disk's volume; "": none. Static or on the given parent. */
const char *model_disk_group(struct model *, TALLOC_CTX *,
			     const struct model_disk *);

/* ---- snapshots (MS-ISTM 3.36, 3.38) ---- */
/*
 * Entries and rules are the model's; what takes and keeps contents is a
 * provider. Without one the spec's "not supported" is the answer.
 */

/* MS-ISTM 3.1.1.5 */
#define MODEL_SNAPSHOT_EXPORTED 0x1u
#define MODEL_SNAPSHOT_MOUNTED	0x2u
#define MODEL_SNAPSHOT_ROLLBACK 0x4u

struct model_snapshot {
	struct GUID id;
	struct GUID disk_guid; /* the original */
	uint32_t disk;	       /* OrigWTD: its index */
	bool exported;
	uint32_t exported_disk; /* ExportedWTD, where exported */
	const char *description;
	uint64_t time_stamp; /* FILETIME, 0: prepared only */
	bool persistent;
	uint32_t status; /* MODEL_SNAPSHOT_… */
	struct GUID vss_snapshot_id, vss_snapshot_set_id;
};

bool model_snapshots_supported(struct model *);
/* SnapshotStorageUsedSize (3.43.4.22), bytes */
uint64_t model_disk_snapshot_used(struct model *, const struct model_disk *);
/* What a shadow disk shows a snapshot of; NULL: no shadow, or it is gone. */
const struct model_disk *model_disk_original(struct model *,
					     const struct model_disk *);

size_t model_snapshots(struct model *, TALLOC_CTX *, struct GUID **ids);
struct model_snapshot *model_snapshot_by_id(struct model *,
					    const struct GUID *id);

/* Prepare, Do and End (3.38.4.3 to .5). @id zero: generated */
HRESULT model_snapshot_prepare(struct model *, uint32_t disk, struct GUID *id);
HRESULT model_snapshot_do(struct model *, const struct GUID *id);
struct tevent_req *model_snapshot_end_send(TALLOC_CTX *, struct model *,
					   const struct GUID *id);
HRESULT model_snapshot_end_recv(struct tevent_req *);
struct tevent_req *model_snapshot_delete_send(TALLOC_CTX *, struct model *,
					      const struct GUID *id);
HRESULT model_snapshot_delete_recv(struct tevent_req *);
/* 3.36.4.14: starts it; the disk's status and events tell the rest. */
HRESULT model_snapshot_rollback(struct model *, struct model_snapshot *);
HRESULT model_snapshot_abort_rollback(struct model *, struct model_snapshot *);
struct tevent_req *model_snapshot_save_send(TALLOC_CTX *, struct model *,
					    const struct GUID *id);
HRESULT model_snapshot_save_recv(struct tevent_req *);

/* The disk that CreateShadowWTDiskNonPersistent (3.48.4.2) asks for. */
struct model_snapshot_export {
	const char *path; /* no disk's; need not exist */
	const char *description;
	const char *resource_name;
	int64_t index; /* -1: next free */
};
/* 3.36.4.16: a new disk that shows the snapshot. @how NULL: one that is as
 * persistent as the snapshot, has the original's path and a free index */
struct tevent_req *model_snapshot_export_send(
	TALLOC_CTX *, struct model *, const struct GUID *id,
	const struct model_snapshot_export *how);
HRESULT model_snapshot_export_recv(struct tevent_req *, uint32_t *disk);

/* ---- local mounts (MS-ISTM 3.43.4.23 to .37, 3.36.4.18, .19) ---- */
/*
 * A disk, or a snapshot of it, surfaced on this machine. The rules are the
 * model's; what mounts is a provider. Without one: E_NOTIMPL.
 */

/* MountType, MS-ISTM 2.2.3.6 */
enum model_mount {
	MODEL_MOUNT_NONE = 0,
	MODEL_MOUNT_SNAPSHOT,
	MODEL_MOUNT_DIRECT
};

struct model_mount_info {
	enum model_mount type;
	const char *device_id; /* the disk's; NULL: not mounted */
	struct GUID snapshot;  /* MODEL_MOUNT_SNAPSHOT, else zero */
	uint64_t time_stamp;   /* of that snapshot, else 0 */
};
void model_disk_mount_info(struct model *, const struct model_disk *,
			   struct model_mount_info *);
size_t model_disk_mount_points(struct model *, const struct model_disk *,
			       TALLOC_CTX *, const char ***paths);

/* All of these end with model_mount_recv(). */
struct tevent_req *model_disk_mount_send(TALLOC_CTX *, struct model *,
					 struct model_disk *);
struct tevent_req *model_disk_dismount_send(TALLOC_CTX *, struct model *,
					    struct model_disk *);
struct tevent_req *model_snapshot_mount_send(TALLOC_CTX *, struct model *,
					     const struct GUID *id);
struct tevent_req *model_snapshot_dismount_send(TALLOC_CTX *, struct model *,
						const struct GUID *id);
/* Is the disk being mounted or dismounted, as when it is disabled? This waits
 * until it has been. */
bool model_disk_mounting(const struct model_disk *);
struct tevent_req *model_disk_settled_send(TALLOC_CTX *, struct model *,
					   struct model_disk *);
HRESULT model_mount_recv(struct tevent_req *);

/* Whether it may be mounted at all; and where, "" being anywhere. */
HRESULT model_disk_set_manage_mount_point(struct model *, struct model_disk *,
					  bool);
HRESULT model_disk_set_mount_point(struct model *, struct model_disk *,
				   const char *path);

/* DVSetSnapshotSchedule (3.52.4.12): one is active; @start 0: none. */
struct model_schedule {
	bool everyday;
	uint32_t day;	/* DayOfWeek */
	uint64_t start; /* FILETIME whose time of day counts, UTC */
};
void model_schedule(struct model *, struct model_schedule *);
struct tevent_req *model_schedule_set_send(TALLOC_CTX *, struct model *,
					   const struct model_schedule *);
HRESULT model_schedule_set_recv(struct tevent_req *);

/* ---- files and volumes (design.md section 4) ---- */

struct model_volume {
	char letter;
	struct GUID guid; /* stable across restarts */
	const char *path; /* directory on this machine */
	const char *label;
	uint64_t size, free; /* as of the call */
	bool sparse;	     /* holes are supported */
	uint64_t max_file_size;
	/* of the disk below, in model_block_devices(); UINT32_MAX: none */
	uint32_t device_index;
};
size_t model_volumes(struct model *, TALLOC_CTX *, struct model_volume **);
/* A physical disk of this machine. */
struct model_block_device {
	uint32_t index;
	const char *name; /* "sda" */
	uint64_t size;	  /* bytes */
};
size_t model_block_devices(struct model *, TALLOC_CTX *,
			   struct model_block_device **);
/* Volume of a client's path; NULL when malformed or on none. */
HRESULT model_volume_of_path(struct model *, TALLOC_CTX *, const char *path,
			     struct model_volume **);

/* 3.30.4.11: S_OK when a disk could be created there. */
HRESULT model_path_valid(struct model *, const char *path);
HRESULT model_file_exists(struct model *, const char *path);
/* IsValidWtDevice (3.30.4.4): is it a virtual disk that can be served? */
struct tevent_req *model_file_probe_send(TALLOC_CTX *, struct model *,
					 const char *path);
HRESULT model_file_probe_recv(struct tevent_req *, struct vhd_info *info);
struct tevent_req *model_file_create_send(TALLOC_CTX *, struct model *,
					  const char *path, uint64_t size,
					  bool sparse);
HRESULT model_file_create_recv(struct tevent_req *);
/* CreateDiffWtFile, 3.33.4.1: a differencing VHD over a fixed one. */
struct tevent_req *model_file_create_diff_send(TALLOC_CTX *, struct model *,
					       const char *path,
					       const char *parent);
HRESULT model_file_create_diff_recv(struct tevent_req *);
struct tevent_req *model_file_grow_send(TALLOC_CTX *, struct model *,
					const char *path, uint64_t additional);
HRESULT model_file_grow_recv(struct tevent_req *);
struct tevent_req *model_file_delete_send(TALLOC_CTX *, struct model *,
					  const char *path);
HRESULT model_file_delete_recv(struct tevent_req *);

/* The whole directory as it was, sorted; a pattern in the last component
 * ("*.vhd") is honoured. */
struct model_listing;
struct tevent_req *model_directory_send(TALLOC_CTX *, struct model *,
					const char *path);
HRESULT model_directory_recv(struct tevent_req *, TALLOC_CTX *,
			     struct model_listing **);
size_t model_listing_count(const struct model_listing *);
struct model_dirent {
	const char *name;      /* the listing's */
	const char *full_path; /* as clients see it; the caller's */
	bool is_directory;
};
/* @return false without memory */
bool model_listing_entry(const struct model_listing *, size_t i, TALLOC_CTX *,
			 struct model_dirent *);

/* ---- check.c: for tests ---- */

/* What of the model's structure is not as it always is; NULL: all is well. */
const char *model_check(struct model *, TALLOC_CTX *);

/* ---- portals ---- */

struct model_portal {
	struct GUID guid;
	struct sockaddr_storage addr; /* with port */
	const char *text;	      /* MS-ISTM's form of the address */
	bool listen, valid;
};
size_t model_portals(struct model *, TALLOC_CTX *, struct model_portal **);
/* Those that serve a target. */
size_t model_target_portals(struct model *, const struct model_target *,
			    TALLOC_CTX *, struct model_portal **);
/* ERROR_FILE_NOT_FOUND where there is none, not logged */
HRESULT model_portal_by_address(struct model *, TALLOC_CTX *, const char *text,
				struct model_portal **);
/* SetPortalConfig (3.30.4.16): durable when it answers. */
struct tevent_req *model_portal_set_send(TALLOC_CTX *, struct model *,
					 const char *text, uint16_t port,
					 bool listen);
HRESULT model_portal_set_recv(struct tevent_req *);

/* ---- sessions, initiators, iSNS, service ---- */

/* Of a target, or all (@only NULL). @return 0 or -errno */
int model_sessions(struct model *, const struct model_target *only,
		   TALLOC_CTX *, struct iscsi_session_info **, size_t *num);

/* ERROR_FILE_NOT_FOUND where there is none. @tsih: target session identifying
 * handle, RFC 7143 */
HRESULT model_session_by_tsih(struct model *, uint16_t tsih, TALLOC_CTX *,
			      struct iscsi_session_info **);

struct model_cached_initiator {
	const char *iqn;
	uint64_t last_login; /* FILETIME of the last attempt */
};
size_t model_cached_initiators(struct model *, TALLOC_CTX *,
			       struct model_cached_initiator **);

size_t model_sns_servers(struct model *, TALLOC_CTX *, const char ***names);
struct tevent_req *model_sns_server_add_send(TALLOC_CTX *, struct model *,
					     const char *name);
HRESULT model_sns_server_add_recv(struct tevent_req *);
struct tevent_req *model_sns_server_remove_send(TALLOC_CTX *, struct model *,
						const char *name);
HRESULT model_sns_server_remove_recv(struct tevent_req *);

/* Those of the first 32 processors that this process may use (3.1.1.3.6). */
uint32_t model_processors(struct model *);

/* The machine's fully qualified name, or as much of it as is known. */
const char *model_dns_name(struct model *);
void model_service_guid(struct model *, struct GUID *);
const char *model_service_name(struct model *);
struct tevent_req *model_service_set_name_send(TALLOC_CTX *, struct model *,
					       const char *name);
HRESULT model_service_set_name_recv(struct tevent_req *);

#endif /* ISTM_MODEL_H */
