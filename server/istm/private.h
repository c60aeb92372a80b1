/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the files of this folder share. */
#ifndef ISTM_PRIVATE_H
#define ISTM_PRIVATE_H

#include <stdio.h>
#include <string.h>

#include "librpc/utf16.h"
#include "gen_ndr/com_istm.h"
#include "server/istm/istm.h"

/* ---- objects ---- */

/* Handed to every object; lives as long as the runtime. */
struct istm {
	struct dcom_runtime *runtime;
	struct model *model;
	struct istm_notifier *notifier; /* notify.c */
};

/*
 * What every object starts with. Objects of targets and disks keep the GUID
 * and look the model's object up in each call: it may be gone by then.
 */
struct istm_object {
	struct istm *istm;
	struct GUID guid; /* targets and disks, else zero */
};

static inline struct istm *istm_of(void *self)
{
	return ((struct istm_object *)self)->istm;
}

static inline struct model *model_of(void *self)
{
	return ((struct istm_object *)self)->istm->model;
}

/* A new state for an object, child of @istm until the runtime takes it. */
void *istm_object_alloc(struct istm *istm, size_t size, const char *name);
#define ISTM_OBJECT(istm, type)                                                \
	((type *)istm_object_alloc((istm), sizeof(type), #type))

/* The one object of a target or disk; made when nobody refers to it yet. */
struct dcom_object *istm_keyed_object(struct istm *istm,
				      const struct dcom_object_type *type,
				      const struct GUID *guid);

extern const struct dcom_object_type istm_host_type;
extern const struct dcom_object_type istm_wtdisk_type;
extern const struct dcom_object_type istm_snapshot_type;

/* Return a target or a disk through an [out] interface pointer. */
HRESULT istm_return_host(struct istm *istm, struct dcom_call *call,
			 const struct model_target *target,
			 struct MInterfacePointer **out);
HRESULT istm_return_wtdisk(struct istm *istm, struct dcom_call *call,
			   const struct model_disk *disk,
			   struct MInterfacePointer **out);

HRESULT istm_return_snapshot(struct istm *istm, struct dcom_call *call,
			     const struct model_snapshot *snapshot,
			     struct MInterfacePointer **out);

/* The vtables of the seven classes' objects. */
extern const struct dcom_object_type istm_host_mgr_type;
extern const struct dcom_object_type istm_wtdisk_mgr_type;
extern const struct dcom_object_type istm_local_device_mgr_type;
extern const struct dcom_object_type istm_session_manager_type;
extern const struct dcom_object_type istm_snapshot_mgr_type;
extern const struct dcom_object_type istm_sns_mgr_type;
extern const struct dcom_object_type istm_general_type;

/* ---- notifications (notify.c) ---- */

/* Listens to the model and tells clients; child of @istm. */
struct istm_notifier *istm_notifier_create(struct istm *istm);
HRESULT istm_notify_register(struct istm *istm, struct dcom_call *call,
			     const struct MInterfacePointer *sink,
			     uint32_t cookie);
/* All registrations of that object, whatever their cookies. */
HRESULT istm_notify_unregister(struct istm *istm, struct dcom_call *call,
			       const struct MInterfacePointer *sink);

/* ---- methods that stay E_NOTIMPL ---- */

/*
 * A file lists the methods that answer E_NOTIMPL by decision once, as
 *   #define NOTIMPL(X) X(IHost, put_Status, "why") ...
 * and expands the list to functions, members of the vtable and the table of
 * decisions.
 */
#define ISTM_NOTIMPL_FUNCTION(iface, name, reason)                             \
	static HRESULT notimpl_##name(struct dcom_call *call, void *self,      \
				      struct iface##_##name *r)                \
	{                                                                      \
		return ISTM_NOT_IMPLEMENTED;                                   \
	}
#define ISTM_NOTIMPL_MEMBER(iface, name, reason) .name = notimpl_##name,
#define ISTM_NOTIMPL_ROW(iface, name, reason)	 {#iface, #name, reason},

extern const struct istm_type istm_host_entry;
extern const struct istm_type istm_host_mgr_entry;
extern const struct istm_type istm_wtdisk_entry;
extern const struct istm_type istm_wtdisk_mgr_entry;
extern const struct istm_type istm_local_device_mgr_entry;
extern const struct istm_type istm_directory_entry;
extern const struct istm_type istm_session_manager_entry;
extern const struct istm_type istm_snapshot_entry;
extern const struct istm_type istm_snapshot_mgr_entry;
extern const struct istm_type istm_sns_mgr_entry;
extern const struct istm_type istm_general_entry;

/* ---- calls ---- */

/*
 * Say what a call that changes state is about, for its line in the audit log
 * (the runtime adds who, from where, which method and the result). Never a
 * secret.
 * @param fmt  the object and what is new: "target \"a\": description \"b\""
 * @return @result
 */
HRESULT istm_audit(struct dcom_call *call, HRESULT result, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * Answer the call when @req is done.
 * @param req   NULL: no memory
 * @param recv  finishes @req, fills @r, returns the method's result
 * @param r     the method's call structure
 * @param fmt   as for istm_audit(); NULL when nothing changes
 * @return what the method returns
 */
typedef HRESULT (*istm_recv_fn)(struct tevent_req *req, struct dcom_call *call,
				void *r);
HRESULT istm_defer(struct dcom_call *call, struct tevent_req *req,
		   istm_recv_fn recv, void *r, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));

/* ---- values ---- */

/* A NULL BSTR means the empty string where NULL is no error of its own. */
static inline const char *bstr_or_empty(const struct BSTR *bstr)
{
	return bstr->s != NULL ? bstr->s : "";
}

static inline bool bstr_empty(const struct BSTR *bstr)
{
	return bstr->s == NULL || bstr->s[0] == '\0';
}

/* Put a copy of @s (NULL: empty) into an [out] string. */
HRESULT istm_return_string(struct dcom_call *call, const char *s,
			   struct BSTR *out);

uint16_t istm_address_port(const struct sockaddr_storage *addr);

/* {xxxxxxxx-...}, [MS-DTYP] 2.3.4.3, into a WCHAR array. */
#define ISTM_GUID_TEXT_MAX 39
void istm_guid_text(const struct GUID *guid, char text[ISTM_GUID_TEXT_MAX]);

/*
 * MS-ISTM 3.43.4.38 and 3.36.4.17: what identifies the unit of @disk.
 * @param snapshot  of an exported snapshot, else NULL
 */
HRESULT istm_vds_lun_information(struct dcom_call *call, struct model *model,
				 const struct model_disk *disk,
				 const struct GUID *snapshot,
				 struct VDS_LUN_INFORMATION *info);

/* ImportWTDisk (import.c); answers the call itself. */
HRESULT istm_import_wtdisk(struct istm *istm, struct dcom_call *call,
			   const struct MInterfacePointer *disk);

/* For istm_defer(): ends what mounts or dismounts. */
HRESULT istm_mounted(struct tevent_req *req, struct dcom_call *call, void *r);

void istm_volume(const struct model_volume *volume, struct VOLUME *out);
void istm_volume2(const struct model_volume *volume, struct VOLUME2 *out);
void istm_portal(const struct model_portal *portal, struct PORTAL *out);
void istm_session2(struct model *model, const struct iscsi_session_info *info,
		   struct SESSION2 *out);
void istm_connection(const struct iscsi_connection_info *info,
		     struct CONNECTION *out);

/* ---- enumerators ---- */

/* What is enumerated. */
enum istm_enum_kind {
	ISTM_ENUM_CACHED_INITIATOR,
	ISTM_ENUM_CONNECTION,
	ISTM_ENUM_DISK,
	ISTM_ENUM_DISK2,
	ISTM_ENUM_HOST,
	ISTM_ENUM_ID_METHOD,
	ISTM_ENUM_LM_MOUNT_POINT,
	ISTM_ENUM_PORTAL,
	ISTM_ENUM_RESOURCE_GROUP,
	ISTM_ENUM_SESSION,
	ISTM_ENUM_SESSION2,
	ISTM_ENUM_SNAPSHOT,
	ISTM_ENUM_SNS_SERVER,
	ISTM_ENUM_VOLUME,
	ISTM_ENUM_VOLUME2,
	ISTM_ENUM_WTDISK,
	ISTM_ENUM_WTDISK_LUN_MAPPING,
	ISTM_ENUM_NUM_KINDS,
};

extern const struct istm_type istm_enum_entries[ISTM_ENUM_NUM_KINDS];

/*
 * Make an enumerator over a collection and return it.
 * @param items  talloc array of the kind's elements (structures as they
 *               travel; GUIDs for targets, disks and snapshots), taken over;
 *               may be NULL when there are none
 */
HRESULT istm_return_enum(struct istm *istm, struct dcom_call *call,
			 enum istm_enum_kind kind, void *items, size_t count,
			 struct MInterfacePointer **out);

/* Enumerators that several methods return. */
HRESULT istm_return_wtdisks(void *self, struct dcom_call *call,
			    struct MInterfacePointer **out);
/* A new directory browser. */
HRESULT istm_return_directory(struct istm *istm, struct dcom_call *call,
			      struct MInterfacePointer **out);
/* @param only  those of one target; NULL: all */
HRESULT istm_return_portals(void *self, struct dcom_call *call,
			    const struct model_target *only,
			    struct MInterfacePointer **out);
HRESULT istm_return_sessions2(void *self, struct dcom_call *call,
			      const struct model_target *only,
			      struct MInterfacePointer **out);

#endif /* ISTM_PRIVATE_H */
