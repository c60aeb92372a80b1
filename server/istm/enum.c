/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The seventeen IEnum* interfaces (MS-ISTM 3.4 to 3.20): one implementation of
 * Next, Skip, Reset and Clone (3.1.4.2.2) over a descriptor of the elements.
 *
 * The collection is that of the moment at which the enumerator was made. Of
 * targets and disks it holds GUIDs; one that has been deleted meanwhile is
 * passed over as if it had never been there.
 */
#include "server/istm/private.h"

struct istm_enumerator {
	struct istm_object object;
	const struct istm_enum_desc *desc;
	void *items; /* child */
	size_t count;
	size_t pos; /* the next item to look at */
};

typedef bool (*enum_exists_fn)(struct istm *istm, const struct GUID *guid);
typedef HRESULT (*enum_object_fn)(struct istm *istm, struct dcom_call *call,
				  const struct GUID *guid,
				  struct MInterfacePointer **out);

struct istm_enum_desc {
	size_t size; /* of an item */
	/* NULL: items are structures that are copied into the answer. */
	enum_exists_fn exists;
	enum_object_fn object;
	const struct com_interface *interface;
};

static const struct istm_enum_desc enum_descs[ISTM_ENUM_NUM_KINDS];

static const void *item_at(const struct istm_enumerator *e, size_t i)
{
	return (const uint8_t *)e->items + i * e->desc->size;
}

/* Move to the next item that still exists; false at the end. */
static bool enum_settle(struct istm_enumerator *e)
{
	if (e->desc->exists != NULL) {
		while (e->pos < e->count &&
		       !e->desc->exists(e->object.istm, item_at(e, e->pos))) {
			e->pos++;
		}
	}
	return e->pos < e->count;
}

static uint32_t enum_remaining(const struct istm_enumerator *e)
{
	uint32_t n = 0;

	for (size_t i = e->pos; i < e->count; i++) {
		n += e->desc->exists == NULL ||
		     e->desc->exists(e->object.istm, item_at(e, i));
	}
	return n;
}

/*
 * MS-ISTM 3.1.4.2.2.1, Appendix B <12> and <13>. @element is the [in, out]
 * structure or interface pointer, of which exactly one travels.
 */
static HRESULT enum_next(struct dcom_call *call, void *self, uint32_t wanted,
			 void *element, uint32_t *returned)
{
	struct istm_enumerator *e = self;
	const struct istm_enum_desc *desc = e->desc;
	HRESULT result = ISTM_S_OK;

	*returned = 0;
	if (desc->object != NULL) {
		*(struct MInterfacePointer **)element = NULL;
	} else {
		memset(element, 0, desc->size);
	}
	if (wanted == 0) {
		*returned = enum_remaining(e);
		return ISTM_S_OK;
	}
	if (wanted > 1) {
		return ISTM_FAIL;
	}
	if (!enum_settle(e)) {
		return ISTM_S_FALSE;
	}
	if (desc->object != NULL) {
		result = desc->object(e->object.istm, call, item_at(e, e->pos),
				      element);
	} else {
		memcpy(element, item_at(e, e->pos), desc->size);
	}
	if (!ISTM_FAILED(result)) {
		e->pos++;
		*returned = 1;
	}
	return result;
}

/* Exactly to the end is still success (3.1.4.2.2.2). */
static HRESULT enum_skip(void *self, uint32_t n)
{
	struct istm_enumerator *e = self;

	if (n == 0) {
		return ISTM_INVALID_ARG; /* MUST be greater (3.4.4.2) */
	}
	while (n > 0 && enum_settle(e)) {
		e->pos++;
		n--;
	}
	return n == 0 ? ISTM_S_OK : ISTM_S_FALSE;
}

static HRESULT enum_reset(void *self)
{
	((struct istm_enumerator *)self)->pos = 0;
	return ISTM_S_OK;
}

/*
 * Clone's pointer is [in] alone (errata.md): the copy could not be returned,
 * and is therefore not made.
 */
static HRESULT enum_clone(void *self)
{
	return ISTM_S_OK;
}

/* The typed methods of one interface, and what QueryInterface leads to. */
#define ENUMERATOR(iface)                                                      \
	static HRESULT iface##_next(struct dcom_call *call, void *self,        \
				    struct iface##_Next *r)                    \
	{                                                                      \
		return enum_next(call, self, r->in.ulNumElements,              \
				 r->out.pElements,                             \
				 r->out.pNumElementsReturned);                 \
	}                                                                      \
	static HRESULT iface##_skip(struct dcom_call *call, void *self,        \
				    struct iface##_Skip *r)                    \
	{                                                                      \
		return enum_skip(self, r->in.ulNumElements);                   \
	}                                                                      \
	static HRESULT iface##_reset(struct dcom_call *call, void *self,       \
				     struct iface##_Reset *r)                  \
	{                                                                      \
		return enum_reset(self);                                       \
	}                                                                      \
	static HRESULT iface##_clone(struct dcom_call *call, void *self,       \
				     struct iface##_Clone *r)                  \
	{                                                                      \
		return enum_clone(self);                                       \
	}                                                                      \
	static const struct iface##_vtbl iface##_methods = {                   \
		.Next = iface##_next,                                          \
		.Skip = iface##_skip,                                          \
		.Reset = iface##_reset,                                        \
		.Clone = iface##_clone,                                        \
	};                                                                     \
	static const struct com_interface *const iface##_interfaces[] = {      \
		&com_##iface, NULL};                                           \
	static const struct dcom_object_type iface##_type = {                  \
		.name = #iface,                                                \
		.interfaces = iface##_interfaces,                              \
		.vtbl = &iface##_methods,                                      \
	};

ENUMERATOR(IEnumCachedInitiator)
ENUMERATOR(IEnumConnection)
ENUMERATOR(IEnumDisk)
ENUMERATOR(IEnumDisk2)
ENUMERATOR(IEnumHost)
ENUMERATOR(IEnumIDMethod)
ENUMERATOR(IEnumLMMountPoint)
ENUMERATOR(IEnumPortal)
ENUMERATOR(IEnumResourceGroup)
ENUMERATOR(IEnumSession)
ENUMERATOR(IEnumSession2)
ENUMERATOR(IEnumSnapshot)
ENUMERATOR(IEnumSnsServer)
ENUMERATOR(IEnumVolume)
ENUMERATOR(IEnumVolume2)
ENUMERATOR(IEnumWTDisk)
ENUMERATOR(IEnumWTDiskLunMapping)

static bool host_exists(struct istm *istm, const struct GUID *guid)
{
	return model_target_by_guid(istm->model, guid) != NULL;
}

static HRESULT host_object(struct istm *istm, struct dcom_call *call,
			   const struct GUID *guid,
			   struct MInterfacePointer **out)
{
	return istm_return_host(istm, call,
				model_target_by_guid(istm->model, guid), out);
}

static bool wtdisk_exists(struct istm *istm, const struct GUID *guid)
{
	return model_disk_by_guid(istm->model, guid) != NULL;
}

static HRESULT wtdisk_object(struct istm *istm, struct dcom_call *call,
			     const struct GUID *guid,
			     struct MInterfacePointer **out)
{
	return istm_return_wtdisk(istm, call,
				  model_disk_by_guid(istm->model, guid), out);
}

static bool snapshot_exists(struct istm *istm, const struct GUID *guid)
{
	return model_snapshot_by_id(istm->model, guid) != NULL;
}

static HRESULT snapshot_object(struct istm *istm, struct dcom_call *call,
			       const struct GUID *guid,
			       struct MInterfacePointer **out)
{
	return istm_return_snapshot(
		istm, call, model_snapshot_by_id(istm->model, guid), out);
}

#define VALUES(iface, element)                                                 \
	{                                                                      \
		.size = sizeof(struct element), .interface = &com_##iface      \
	}
#define OBJECTS(iface, what)                                                   \
	{                                                                      \
		.size = sizeof(struct GUID), .exists = what##_exists,          \
		.object = what##_object, .interface = &com_##iface             \
	}

static const struct istm_enum_desc enum_descs[ISTM_ENUM_NUM_KINDS] = {
	[ISTM_ENUM_CACHED_INITIATOR] =
		VALUES(IEnumCachedInitiator, CACHED_INITIATOR),
	[ISTM_ENUM_CONNECTION] = VALUES(IEnumConnection, CONNECTION),
	[ISTM_ENUM_DISK] = VALUES(IEnumDisk, DISK),
	[ISTM_ENUM_DISK2] = VALUES(IEnumDisk2, DISK2),
	[ISTM_ENUM_HOST] = OBJECTS(IEnumHost, host),
	[ISTM_ENUM_ID_METHOD] = VALUES(IEnumIDMethod, ID),
	[ISTM_ENUM_LM_MOUNT_POINT] = VALUES(IEnumLMMountPoint, MOUNT_POINT),
	[ISTM_ENUM_PORTAL] = VALUES(IEnumPortal, PORTAL),
	[ISTM_ENUM_RESOURCE_GROUP] = VALUES(IEnumResourceGroup, RESOURCE_GROUP),
	[ISTM_ENUM_SESSION] = VALUES(IEnumSession, SESSION),
	[ISTM_ENUM_SESSION2] = VALUES(IEnumSession2, SESSION2),
	[ISTM_ENUM_SNAPSHOT] = OBJECTS(IEnumSnapshot, snapshot),
	[ISTM_ENUM_SNS_SERVER] = VALUES(IEnumSnsServer, SNS_SERVER),
	[ISTM_ENUM_VOLUME] = VALUES(IEnumVolume, VOLUME),
	[ISTM_ENUM_VOLUME2] = VALUES(IEnumVolume2, VOLUME2),
	[ISTM_ENUM_WTDISK] = OBJECTS(IEnumWTDisk, wtdisk),
	[ISTM_ENUM_WTDISK_LUN_MAPPING] =
		VALUES(IEnumWTDiskLunMapping, LUN_MAPPING),
};

/* Nothing of an enumerator stays E_NOTIMPL. */
const struct istm_type istm_enum_entries[ISTM_ENUM_NUM_KINDS] = {
	[ISTM_ENUM_CACHED_INITIATOR] = {.type = &IEnumCachedInitiator_type},
	[ISTM_ENUM_CONNECTION] = {.type = &IEnumConnection_type},
	[ISTM_ENUM_DISK] = {.type = &IEnumDisk_type},
	[ISTM_ENUM_DISK2] = {.type = &IEnumDisk2_type},
	[ISTM_ENUM_HOST] = {.type = &IEnumHost_type},
	[ISTM_ENUM_ID_METHOD] = {.type = &IEnumIDMethod_type},
	[ISTM_ENUM_LM_MOUNT_POINT] = {.type = &IEnumLMMountPoint_type},
	[ISTM_ENUM_PORTAL] = {.type = &IEnumPortal_type},
	[ISTM_ENUM_RESOURCE_GROUP] = {.type = &IEnumResourceGroup_type},
	[ISTM_ENUM_SESSION] = {.type = &IEnumSession_type},
	[ISTM_ENUM_SESSION2] = {.type = &IEnumSession2_type},
	[ISTM_ENUM_SNAPSHOT] = {.type = &IEnumSnapshot_type},
	[ISTM_ENUM_SNS_SERVER] = {.type = &IEnumSnsServer_type},
	[ISTM_ENUM_VOLUME] = {.type = &IEnumVolume_type},
	[ISTM_ENUM_VOLUME2] = {.type = &IEnumVolume2_type},
	[ISTM_ENUM_WTDISK] = {.type = &IEnumWTDisk_type},
	[ISTM_ENUM_WTDISK_LUN_MAPPING] = {.type = &IEnumWTDiskLunMapping_type},
};

HRESULT istm_return_enum(struct istm *istm, struct dcom_call *call,
			 enum istm_enum_kind kind, void *items, size_t count,
			 struct MInterfacePointer **out)
{
	struct istm_enumerator *e = ISTM_OBJECT(istm, struct istm_enumerator);
	struct dcom_object *object;

	if (e == NULL) {
		TALLOC_FREE(items);
		return ISTM_OUT_OF_MEMORY;
	}
	e->desc = &enum_descs[kind];
	e->items = talloc_steal(e, items);
	e->count = count;
	object = dcom_object_create(istm->runtime, istm_enum_entries[kind].type,
				    e, NULL);
	if (object == NULL) {
		TALLOC_FREE(e);
		return ISTM_OUT_OF_MEMORY;
	}
	return dcom_return_object(call, object, e->desc->interface, out);
}
