/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the files of server/model share. Every public object is the first
 * member of an entry that adds links and state.
 */
#ifndef ISTM_MODEL_PRIVATE_H
#define ISTM_MODEL_PRIVATE_H

#include <stdint.h>
#include <sys/stat.h>
#include <util/data_blob.h>
#include <ndr.h>

#include "server/core/errors.h"
#include "server/core/hash.h"
#include "server/core/job.h"
#include "server/core/log.h"
#include "server/core/log_thread.h"
#include "server/model/index.h"
#include "server/model/model.h"
#include "server/model/path.h"
#include "server/model/provider.h"
#include "server/store/record.h"
#include "server/store/store.h"
#include "lib/list.h"
#include "vhd/vhd.h"

/* Longest string that a client may store. */
#define MODEL_STRING_MAX 32767

struct target_entry {
	struct model_target t;
	struct model *model;
	struct list_head link; /* model->targets */
	struct hash_node by_guid, by_name, by_iqn;
	struct iscsi_tgt *engine;
	uint64_t *luns;		     /* bitmap of the LUNs in use */
	struct list_head mappings;   /* struct mapping, link_target */
	struct list_head saved_maps; /* struct saved_map, link_target */
	/* The record as it is in the store or on its way there, so that
	 * deleting a disk can take a mapping out of it without saving what
	 * else has changed. Length 0: none. */
	DATA_BLOB saved_blob;
	uint64_t saved_generation;
	bool deleting;
};

struct mount_op;

struct disk_entry {
	struct model_disk d;
	struct model *model;
	struct list_head link;	      /* model->disks */
	struct list_head link_volume; /* volume->disks */
	struct hash_node by_guid, by_index, by_path, by_file;
	struct volume *volume; /* NULL: RAM, or its volume is not configured */
	char *folded_path;
	dev_t dev; /* of the opened file, where by_file is linked */
	ino_t ino;
	struct vhd_disk *vhd;
	struct iscsi_lu *lu;
	struct list_head mappings;	  /* struct mapping, link_disk */
	struct list_head saved_maps;	  /* struct saved_map, link_disk */
	struct list_head snapshots;	  /* struct snapshot_entry, link_disk */
	struct snapshot_entry *reverting; /* to this one */
	struct snapshot_entry *shadow_of; /* it shows this one */
	bool forget_snapshots;		  /* they go when it goes */
	enum model_mount mount;
	struct snapshot_entry *mounted; /* MODEL_MOUNT_SNAPSHOT: this one */
	char *device_id;		/* while it is mounted */
	struct mount_op *mount_op;	/* mounting or dismounting; child */
	uint32_t percent;
	HRESULT completion;	     /* of the last rollback */
	enum model_disk_status told; /* the status that subscribers know */
	bool opening;		     /* by a rescan: not to be deleted */
	bool pending; /* being created: not to be found by clients */
	bool online;  /* what its resource state says is */
	void *op;     /* what uses vhd; freed before it is closed */
};

/* A LUN of a target. */
struct mapping {
	struct list_head link_target, link_disk;
	struct hash_node node; /* model->mappings, by target and disk */
	struct target_entry *target;
	struct disk_entry *disk;
	uint32_t lun;
};

/* The saved record of a target names a disk. */
struct saved_map {
	struct list_head link_target, link_disk;
	struct target_entry *target;
};

struct snapshot_entry {
	struct model_snapshot s;
	struct model *model;
	struct list_head link, link_disk;
	struct hash_node by_id;
	struct disk_entry *disk; /* NULL: the original is gone */
	enum {
		SNAPSHOT_PREPARED,
		SNAPSHOT_TAKING,
		SNAPSHOT_TAKEN,
		SNAPSHOT_FAILED
	} state;
	HRESULT result;		    /* FAILED */
	struct tevent_req *working; /* taking, or rolling back */
	struct list_head waiting;   /* for the end of TAKING */
	bool exporting, deleting;
};

struct volume {
	struct volume *next;
	char letter;
	struct GUID guid;
	char *path; /* real, absolute, without trailing slash */
	int fd;	    /* O_PATH */
	dev_t dev;
	bool sparse;
	uint64_t max_file_size;
	struct list_head disks; /* struct disk_entry, link_volume */
};

struct volume_id {
	struct list_head link;
	struct GUID guid;
	const char *path;
};

struct subscriber {
	struct list_head link;
	model_event_fn fn; /* NULL: gone, swept after the event */
	void *private_data;
	struct model_subscription *subscription;
};

struct portal_entry {
	struct model_portal p;
	struct list_head link;
	struct hash_node by_address;
	/* Which port: that of the option where it has one, else what a client
	 * has set. */
	uint16_t port;
	bool present;	/* the address exists on this machine or is asked for */
	bool listening; /* the engine has it, at: */
	struct sockaddr_storage bound;
	uint16_t group; /* in this portal group */
	/* What the store holds, for a change whose commit fails. */
	uint16_t saved_port;
	bool saved_listen;
	uint64_t generation; /* of the last change by a client */
};

struct initiator_entry {
	struct model_cached_initiator i;
	struct list_head link; /* oldest login first */
	struct hash_node by_iqn;
};

struct sns_entry {
	struct list_head link;
	const char *name;
	uint64_t id;	  /* of this entry, not of a later one of its name */
	unsigned pending; /* commits under way that add it */
	bool saved;
};

struct model {
	struct tevent_context *ev;
	struct store *store;
	struct job_pool *jobs;
	struct iscsi_server *engine;
	char *host; /* this machine's name, without domain */
	char *dns_name;
	uint32_t max_luns;
	uint64_t max_disk_size;		       /* 0: the format's */
	uint32_t vhdx_sector;		       /* of new files; 0: 512 */
	bool direct_io, write_through;	       /* of all disks */
	struct model_threshold thresholds[26]; /* of volumes A to Z */
	uint64_t generation;

	struct list_head targets, disks;
	struct hash targets_by_guid, targets_by_name, targets_by_iqn;
	struct hash disks_by_guid, disks_by_index, disks_by_path, disks_by_file;
	struct hash mappings;
	struct index_set indices;

	struct volume *volumes;
	/* GUIDs by directory, of volumes that are configured or were once. */
	struct list_head volume_ids; /* struct volume_id */

	struct list_head subscribers;
	unsigned emitting;

	struct list_head portals;
	struct hash portals_by_address;
	bool portals_configured; /* istm:portals names them */
	struct portal_groups *portal_groups;
	int netlink_fd;
	struct tevent_fd *netlink_fde;
	struct tevent_timer *portals_timer;

	struct list_head initiators;
	struct hash initiators_by_iqn;

	struct list_head sns_servers;

	struct GUID service_guid;
	char *service_name;
	bool service_saved;
	struct model_schedule schedule;

	const struct model_cluster_provider *cluster;
	void *cluster_data;

	const struct model_snapshot_provider *provider;
	void *provider_data;
	struct list_head snapshots;
	struct hash snapshots_by_id;

	struct hash unit_states; /* struct unit_state */
	const struct model_mount_provider *mounter;
	void *mounter_data;

	bool starting; /* no events, nothing published yet */
};

/* ---- values of more than one file ---- */

uint64_t hash_guid(const struct GUID *guid);
uint64_t filetime_now(void);
HRESULT hresult_from_errno(int error);
/* Log a refusal with its reason and return @hr. */
HRESULT model_refuse(HRESULT hr, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* E_INVALIDARG for NULL, what is no UTF-8 or endless. */
HRESULT model_check_string(const char *what, const char *value);

/* Strings that hold secrets are wiped when freed. */
char *secret_strdup(TALLOC_CTX *mem_ctx, const char *s);
void secret_blob_free(DATA_BLOB *blob);
bool secret_blob_copy(TALLOC_CTX *mem_ctx, DATA_BLOB *to,
		      const DATA_BLOB *from);

/* ---- requests.c ---- */
/*
 * Requests end with an HRESULT. What they started goes on when the client has
 * left and the request was freed.
 */

HRESULT model_req_recv(struct tevent_req *req);
/* Answer it, where anybody still waits (NULL: nobody). */
void model_req_end(struct tevent_req *req, HRESULT hr);
/* A request that has ended already; NULL when out of memory. */
struct tevent_req *model_req_failed(TALLOC_CTX *mem_ctx, struct model *model,
				    HRESULT hr);

struct change_list {
	struct store_change *changes;
	size_t num;
};
/* @blob NULL: delete. Key and blob stay the caller's until it is sent. */
bool change_add(TALLOC_CTX *mem_ctx, struct change_list *list, const char *key,
		const DATA_BLOB *blob);
bool change_add_record(TALLOC_CTX *mem_ctx, struct change_list *list,
		       const char *key, const struct istm_state_data *data);

/*
 * Commit; then done() is called, whether or not anybody still waits, and the
 * request is answered. Without changes that happens in the next pass of the
 * loop. @private_data (talloc) is freed afterwards, also on failure to send.
 */
typedef void (*model_done_fn)(struct model *model, int error,
			      void *private_data);
struct tevent_req *model_commit_send(TALLOC_CTX *mem_ctx, struct model *model,
				     const struct change_list *changes,
				     model_done_fn done, void *private_data);

/* ---- events.c ---- */

void model_emit(struct model *model, const struct model_event *event);
void model_emit_target(struct model *model, enum model_event_type type,
		       const struct model_target *target);
void model_emit_disk(struct model *model, enum model_event_type type,
		     const struct model_disk *disk);
void model_emit_luns(struct model *model);

/* ---- targets.c, target_luns.c ---- */

static inline struct target_entry *target_entry(const struct model_target *t)
{
	return (struct target_entry *)(void *)(uintptr_t)t;
}

struct target_entry *target_create(struct model *model, const struct GUID *guid,
				   const char *name, const char *iqn);
/* Fill the engine with what the target is. @return errno */
int target_publish(struct target_entry *entry);
void target_changed(struct target_entry *entry);
/* A new saved record, stolen from @blob. */
void target_replace_saved(struct target_entry *entry, DATA_BLOB *blob);
/* Out of memory: sessions end, LUNs are freed, events told. */
void target_drop(struct target_entry *entry);

HRESULT target_map(struct target_entry *entry, struct disk_entry *disk,
		   uint32_t lun);
void target_unmap(struct target_entry *entry, struct mapping *mapping);
struct mapping *target_mapping(struct target_entry *entry,
			       const struct disk_entry *disk);
/* Unmap a disk from everywhere, publishing each target. */
void disk_unmap_all(struct disk_entry *disk);

/* ---- records.c ---- */
/* Between objects and records; keys are "target:GUID" and so on. */

char *record_key(TALLOC_CTX *mem_ctx, enum istm_state_kind kind,
		 const struct GUID *guid);
bool record_of_target(TALLOC_CTX *mem_ctx, struct target_entry *entry,
		      DATA_BLOB *blob);
bool record_of_disk(TALLOC_CTX *mem_ctx, const struct disk_entry *entry,
		    DATA_BLOB *blob);
/* The target's saved record, without the disk. */
bool record_without_disk(TALLOC_CTX *mem_ctx, const DATA_BLOB *saved,
			 const struct GUID *disk, DATA_BLOB *blob);
bool target_saved_maps(struct target_entry *entry);
void target_forget_saved_maps(struct target_entry *entry);

/* ---- load.c ---- */

/* All records of the store, decoded, before objects are made of them. */
struct loaded {
	struct istm_state_data **records;
	DATA_BLOB *blobs; /* of the targets' */
	size_t num;
	unsigned refused;
};
bool model_load_record(const char *key, const uint8_t *data, size_t length,
		       void *private_data);
bool model_load_objects(struct model *model, struct loaded *loaded);
void model_load_targets(struct model *model, struct loaded *loaded);

/* ---- disks.c ---- */

static inline struct disk_entry *disk_entry(const struct model_disk *d)
{
	return (struct disk_entry *)(void *)(uintptr_t)d;
}

/* Shows a snapshot: opened after the originals. */
static inline bool disk_is_shadow(const struct disk_entry *entry)
{
	return (entry->d.flags & MODEL_DISK_SHADOW) != 0;
}

struct disk_entry *disk_create(struct model *model, const struct GUID *guid,
			       uint32_t index, enum model_disk_type type);
bool disk_set_path(struct disk_entry *entry, const char *path,
		   struct volume *volume);
void disk_drop(struct disk_entry *entry);
/* The entry that has this very file open, or NULL. */
struct disk_entry *disk_by_file(struct model *model, const struct stat *st);
struct location;
/* The same, or the entry that waits for a file of this name. */
struct disk_entry *disk_by_location(struct model *model,
				    const struct location *location);
bool disk_index_taken(struct model *model, uint32_t index);
/* @wanted -1: the lowest that is free */
HRESULT disk_choose_index(struct model *model, int64_t wanted, uint32_t *index);
/* As disk_set_path(), but the path is another disk's too. */
bool disk_set_shadow_path(struct disk_entry *entry, const char *path,
			  struct volume *volume);

uint64_t disk_file_hash(dev_t dev, ino_t ino);

/* Open the disk's file and its parents' (or make its RAM) and give it to the
 * engine. */
struct tevent_req *disk_open_send(TALLOC_CTX *mem_ctx, struct model *model,
				  struct disk_entry *entry);
HRESULT disk_open_recv(struct tevent_req *req);
/* Tell subscribers its status; or only where they know another. */
void disk_tell_status(struct disk_entry *entry);
void disk_tell_new_status(struct disk_entry *entry);
/* All targets that have it hear of it anew. */
void disk_publish_targets(struct disk_entry *disk);
int disk_publish(struct disk_entry *entry);

/* ---- snapshots.c, snapshot_delete.c ---- */

static inline struct snapshot_entry *snapshot_entry(
	const struct model_snapshot *s)
{
	return (struct snapshot_entry *)(void *)(uintptr_t)s;
}

void snapshot_changed(struct snapshot_entry *entry);
/* Whoever waits for its end hears of it. */
void snapshot_wake(struct snapshot_entry *entry, HRESULT hr);

/* May the disk go? MS-ISTM 3.46.4.4 */
HRESULT snapshots_check_delete(const struct disk_entry *disk);
/* Its snapshots go with it: their records into @changes. */
bool snapshots_delete_records(TALLOC_CTX *mem_ctx, struct disk_entry *disk,
			      struct change_list *changes);
/* It has gone: the entries follow. */
void snapshots_disk_gone(struct disk_entry *disk);
/* The disk that shows one; NULL: none does. */
struct disk_entry *snapshot_shadow(const struct snapshot_entry *entry);
void snapshot_export_to(struct snapshot_entry *entry, struct disk_entry *disk);
/* The disk that showed one goes. */
void snapshot_unexport(struct disk_entry *disk);
/* Its record, shown by @shadow or (NULL) by none. */
bool snapshot_record(TALLOC_CTX *mem_ctx, const struct snapshot_entry *entry,
		     const struct disk_entry *shadow,
		     struct change_list *changes);
/* Have @disk show it; ends as disk_open_recv(). */
struct tevent_req *snapshot_open_send(TALLOC_CTX *mem_ctx,
				      struct snapshot_entry *entry,
				      struct disk_entry *disk);
/* Whoever puts it back stops. */
void snapshot_stop_rollback(struct snapshot_entry *entry);
bool snapshot_load(struct model *model,
		   const struct istm_state_snapshot *record);

/* ---- unit_state.c ---- */

bool unit_state_load(struct model *model, const struct istm_state_unit *record);
/* The model's own; empty where nothing is kept. */
DATA_BLOB unit_state_of(struct model *model, const struct GUID *disk);
/* The disk is deleted: its record too, and then what is in memory. */
bool unit_state_delete_record(TALLOC_CTX *mem_ctx, struct model *model,
			      const struct GUID *disk,
			      struct change_list *changes);
void unit_state_forget(struct model *model, const struct GUID *disk);
/* iscsi_server_ops.lu_store, @lu_private a disk_entry */
void unit_state_store(void *lu_private, const void *state, size_t len,
		      struct iscsi_lu_store *store, void *private_data);

/* ---- mounts.c ---- */

/* Is it kept from initiators: being put back, or this machine writes to it? */
bool disk_withheld(const struct disk_entry *disk);
/* Begin to dismount it, if it is mounted; see entry->mount_op. */
void disk_dismount(struct disk_entry *disk);

/* ---- dns_name.c ---- */

bool dns_name_start(struct model *model, const char *configured);

/* ---- redirect.c ---- */

/* @return false: out of memory, or an entry makes no sense (logged) */
bool redirects_configured(TALLOC_CTX *mem_ctx,
			  const struct model_options *options,
			  struct iscsi_server_config *config);

/* ---- volumes.c ---- */

int volumes_open(struct model *model, const struct model_options *options);
bool volume_id_load(struct model *model, const struct istm_state_volume *r);
/* A volume keeps its GUID as long as its directory keeps its name: give those
 * that are new one, and their records to @changes. */
bool volumes_identify(TALLOC_CTX *mem_ctx, struct model *model,
		      struct change_list *changes);
/*
 * Volumes as configured now. One that goes away is no longer found; disks that
 * are open on it stay so until they are closed. @return whether there are new
 * ones
 */
bool volumes_reload(struct model *model, const struct model_options *options);

/* Where a client's path leads. */
struct location {
	struct volume *volume;
	char *relative; /* below the volume, as on disk; "." for its root */
	char *client;	/* canonical: X:\dir\file */
	bool exists;
	bool trailing_separator;
	struct stat st; /* where it exists; symbolic links followed */
};

/*
 * Find @text beneath a volume, case-insensitively where the exact spelling does
 * not exist. What does not exist keeps the client's spelling.
 * @return ISTM_INVALID_ARG malformed (logged), ISTM_PATH_NOT_FOUND no such
 *         volume or a directory on the way is missing, or leads out of it
 */
HRESULT location_find(TALLOC_CTX *mem_ctx, struct model *model,
		      const char *text, struct location **location);
/* The same for a path that was parsed. @param missing_ok also directories on
 * the way may be missing */
HRESULT location_resolve(TALLOC_CTX *mem_ctx, struct model *model,
			 const struct path *path, bool missing_ok,
			 struct location **location);
/* openat2 beneath the volume. @return fd or -errno */
int location_open(const struct location *location, int flags, mode_t mode);
/* The same for a regular file; neither a FIFO nor anything else is waited for.
 * @return fd, or -errno: -EINVAL for what is no file */
int location_open_regular(const struct location *location, int flags,
			  struct stat *st);
int volume_open_beneath(const struct volume *volume, const char *relative,
			int flags, mode_t mode);
/* @parent as seen from @child's folder, both canonical; NULL: elsewhere. */
char *path_relative_to(TALLOC_CTX *mem_ctx, const char *child,
		       const char *parent);
/* How large a disk may be: the configured limit, or the format's. */
uint64_t model_max_size(const struct model *model, enum vhd_format format);

/* The directory that holds the location's last component; makes missing ones
 * where asked. @return fd or -errno */
int location_open_parent(const struct location *location, bool create,
			 const char **name);

/* ---- portals.c, initiators.c, service.c ---- */

/* NULL: malformed, which is logged, or out of memory */
struct portal_groups *portal_groups_parse(TALLOC_CTX *mem_ctx,
					  const struct model_options *options);
/* In place of those there are; @groups becomes the model's. */
void portal_groups_apply(struct model *model, struct portal_groups *groups);
/* The tag of the portal with that address. */
uint16_t portal_group_of(const struct portal_groups *groups,
			 const struct sockaddr_storage *addr);
int portals_start(struct model *model, const struct model_options *options);
/* @return 0, or EINVAL for what is no portal: nothing has changed then */
int portals_reload(struct model *model, const struct model_options *options);
void portals_stop(struct model *model);
bool portal_load(struct model *model, const struct istm_state_portal *record);

void initiator_seen(struct model *model, const char *iqn);

bool service_load(struct model *model, const struct istm_state_service *record);
bool service_record(TALLOC_CTX *mem_ctx, struct model *model,
		    struct change_list *changes);
bool sns_load(struct model *model, const struct istm_state_sns_server *record);

#endif /* ISTM_MODEL_PRIVATE_H */
