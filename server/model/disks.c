/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Disks: their list, opening and serving them, their properties. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "server/core/utf8.h"
#include "server/model/private.h"

#define disk_from(node, member) hash_entry(node, struct disk_entry, member)

/* ---- looking up ---- */

static int compare_indices(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static size_t disk_indices(struct model *model, TALLOC_CTX *mem_ctx,
			   struct volume *volume, uint32_t **indices)
{
	struct list_head *head =
		volume == NULL ? &model->disks : &volume->disks;
	struct list_head *pos;
	size_t num = 0, room = 0;

	list_for_each (pos, head) {
		room++;
	}
	*indices = talloc_array(mem_ctx, uint32_t, room);
	if (*indices == NULL) {
		return 0;
	}
	list_for_each (pos, head) {
		struct disk_entry *entry =
			volume == NULL
				? list_entry(pos, struct disk_entry, link)
				: list_entry(pos, struct disk_entry,
					     link_volume);

		if (!entry->pending) {
			(*indices)[num++] = entry->d.index;
		}
	}
	qsort(*indices, num, sizeof(**indices), compare_indices);
	return num;
}

size_t model_disks(struct model *model, TALLOC_CTX *mem_ctx, uint32_t **indices)
{
	return disk_indices(model, mem_ctx, NULL, indices);
}

size_t model_disks_same_volume(struct model *model,
			       const struct model_disk *disk,
			       TALLOC_CTX *mem_ctx, uint32_t **indices)
{
	struct volume *volume = disk_entry(disk)->volume;

	if (volume != NULL) {
		return disk_indices(model, mem_ctx, volume, indices);
	}
	*indices = talloc_array(mem_ctx, uint32_t, 1);
	if (*indices == NULL) {
		return 0;
	}
	(*indices)[0] = disk->index;
	return 1;
}

HRESULT model_disks_of_path(struct model *model, const char *path,
			    TALLOC_CTX *mem_ctx, uint32_t **indices,
			    size_t *num)
{
	struct model_volume *found = NULL;
	struct volume *volume;
	HRESULT hr = model_volume_of_path(model, mem_ctx, path, &found);

	if (ISTM_FAILED(hr)) {
		return hr;
	}
	for (volume = model->volumes;
	     volume != NULL && volume->letter != found->letter;) {
		volume = volume->next;
	}
	talloc_free(found);
	if (volume == NULL) {
		return ISTM_FILE_NOT_FOUND;
	}
	*num = disk_indices(model, mem_ctx, volume, indices);
	return *indices == NULL ? ISTM_OUT_OF_MEMORY : ISTM_S_OK;
}

static struct disk_entry *find_index(struct model *model, uint32_t index)
{
	uint64_t hash = hash_bytes(&index, sizeof(index));
	struct hash_node *node;

	for (node = hash_first(&model->disks_by_index, hash); node != NULL;
	     node = hash_next(node, hash)) {
		struct disk_entry *entry = disk_from(node, by_index);

		if (entry->d.index == index) {
			return entry;
		}
	}
	return NULL;
}

struct model_disk *model_disk_by_index(struct model *model, uint32_t index)
{
	struct disk_entry *entry = find_index(model, index);

	return entry == NULL || entry->pending ? NULL : &entry->d;
}

bool disk_index_taken(struct model *model, uint32_t index)
{
	return find_index(model, index) != NULL;
}

struct model_disk *model_disk_by_guid(struct model *model,
				      const struct GUID *guid)
{
	uint64_t hash = hash_guid(guid);
	struct hash_node *node;

	for (node = hash_first(&model->disks_by_guid, hash); node != NULL;
	     node = hash_next(node, hash)) {
		struct disk_entry *entry = disk_from(node, by_guid);

		if (GUID_equal(&entry->d.guid, guid)) {
			return entry->pending ? NULL : &entry->d;
		}
	}
	return NULL;
}

uint64_t disk_file_hash(dev_t dev, ino_t ino)
{
	const uint64_t key[2] = {dev, ino};

	return hash_bytes(key, sizeof(key));
}

struct disk_entry *disk_by_file(struct model *model, const struct stat *st)
{
	uint64_t hash = disk_file_hash(st->st_dev, st->st_ino);
	struct hash_node *node;

	for (node = hash_first(&model->disks_by_file, hash); node != NULL;
	     node = hash_next(node, hash)) {
		struct disk_entry *entry = disk_from(node, by_file);

		if (entry->dev == st->st_dev && entry->ino == st->st_ino) {
			return entry;
		}
	}
	return NULL;
}

struct disk_entry *disk_by_location(struct model *model,
				    const struct location *location)
{
	struct disk_entry *entry, *similar = NULL;
	struct hash_node *node;
	char *folded;
	uint64_t hash;

	if (location->exists) {
		entry = disk_by_file(model, &location->st);
		if (entry != NULL) {
			return entry;
		}
	}
	folded = utf8_fold(NULL, location->client);
	if (folded == NULL) {
		return NULL;
	}
	hash = hash_string(folded);
	for (node = hash_first(&model->disks_by_path, hash); node != NULL;
	     node = hash_next(node, hash)) {
		entry = disk_from(node, by_path);
		if (strcmp(entry->folded_path, folded) != 0) {
			continue;
		}
		/* Where it exists, it is another file if it differs in case
		 * or if the disk has its own open. */
		if (strcmp(entry->d.path, location->client) == 0) {
			if (!location->exists || !entry->by_file.linked) {
				similar = entry;
				break;
			}
		} else if (!location->exists) {
			similar = entry;
		}
	}
	talloc_free(folded);
	return similar;
}

struct model_disk *model_disk_by_path(struct model *model, const char *path)
{
	struct location *location;
	struct disk_entry *entry;

	if (ISTM_FAILED(location_find(NULL, model, path, &location))) {
		return NULL;
	}
	entry = disk_by_location(model, location);
	talloc_free(location);
	return entry == NULL || entry->pending ? NULL : &entry->d;
}

/* ---- life ---- */

static int disk_destructor(struct disk_entry *entry)
{
	struct model *model = entry->model;
	struct list_head *pos, *n;

	while (!list_empty(&entry->mappings)) {
		struct mapping *m = list_entry(entry->mappings.next,
					       struct mapping, link_disk);

		target_unmap(m->target, m);
	}
	list_for_each_safe(pos, n, &entry->saved_maps)
	{
		struct saved_map *s =
			list_entry(pos, struct saved_map, link_disk);

		list_del(&s->link_target);
		list_del(&s->link_disk);
		talloc_free(s);
	}
	TALLOC_FREE(entry->op);
	TALLOC_FREE(entry->mount_op);
	snapshot_unexport(entry);
	snapshots_disk_gone(entry);
	if (entry->vhd != NULL) {
		vhd_close(entry->vhd);
	}
	hash_del(&model->disks_by_guid, &entry->by_guid);
	hash_del(&model->disks_by_index, &entry->by_index);
	hash_del(&model->disks_by_path, &entry->by_path);
	hash_del(&model->disks_by_file, &entry->by_file);
	index_set_remove(&model->indices, entry->d.index);
	list_del(&entry->link);
	list_del(&entry->link_volume);
	return 0;
}

/* The GUID in hexadecimal: as unique, and fits the 32 characters that SPC's
 * unit serial number page is given here. */
static char *disk_serial(TALLOC_CTX *mem_ctx, const struct GUID *guid)
{
	struct GUID_txt_buf buf;
	char *serial = talloc_strdup(mem_ctx, GUID_buf_string(guid, &buf));
	char *to = serial;

	if (serial == NULL) {
		return NULL;
	}
	for (const char *from = serial; *from != '\0'; from++) {
		if (*from != '-') {
			*to++ = *from >= 'a' ? *from - 32 : *from;
		}
	}
	*to = '\0';
	return serial;
}

struct disk_entry *disk_create(struct model *model, const struct GUID *guid,
			       uint32_t index, enum model_disk_type type)
{
	struct disk_entry *entry = talloc_zero(model, struct disk_entry);

	if (entry == NULL) {
		return NULL;
	}
	entry->model = model;
	list_init(&entry->link);
	list_init(&entry->link_volume);
	list_init(&entry->mappings);
	list_init(&entry->saved_maps);
	list_init(&entry->snapshots);
	entry->d = (struct model_disk){
		.guid = *guid,
		.index = index,
		.type = type,
		.serial = disk_serial(entry, guid),
		.description = talloc_strdup(entry, ""),
		.resource_name = talloc_strdup(entry, ""),
		.snapshot_storage_path = talloc_strdup(entry, ""),
		.snapshot_storage_size = -1,
		.mount_point = talloc_strdup(entry, ""),
		.manage_mount_point = true,
		.enabled = true,
		.flags = MODEL_DISK_MAPPABLE,
		.persistent = true,
	};
	talloc_set_destructor(entry, disk_destructor);
	if (entry->d.serial == NULL || entry->d.description == NULL ||
	    entry->d.resource_name == NULL ||
	    entry->d.snapshot_storage_path == NULL ||
	    entry->d.mount_point == NULL ||
	    !hash_add(&model->disks_by_guid, &entry->by_guid,
		      hash_guid(guid)) ||
	    !hash_add(&model->disks_by_index, &entry->by_index,
		      hash_bytes(&index, sizeof(index)))) {
		talloc_free(entry);
		return NULL;
	}
	index_set_add(&model->indices, index);
	list_add_tail(&entry->link, &model->disks);
	return entry;
}

bool disk_set_path(struct disk_entry *entry, const char *path,
		   struct volume *volume)
{
	char *copy = talloc_strdup(entry, path);
	char *folded = utf8_fold(entry, path);

	if (copy == NULL || folded == NULL) {
		return false;
	}
	talloc_free(discard_const_p(char, entry->d.path));
	talloc_free(entry->folded_path);
	entry->d.path = copy;
	entry->folded_path = folded;
	hash_del(&entry->model->disks_by_path, &entry->by_path);
	list_del(&entry->link_volume);
	entry->volume = volume;
	if (entry->d.type != MODEL_DISK_FILE) {
		return true;
	}
	if (volume != NULL) {
		list_add_tail(&entry->link_volume, &volume->disks);
	}
	return hash_add(&entry->model->disks_by_path, &entry->by_path,
			hash_string(folded));
}

bool disk_set_shadow_path(struct disk_entry *entry, const char *path,
			  struct volume *volume)
{
	entry->d.path = talloc_strdup(entry, path);
	entry->volume = volume;
	if (volume != NULL) {
		list_add_tail(&entry->link_volume, &volume->disks);
	}
	return entry->d.path != NULL;
}

void disk_drop(struct disk_entry *entry)
{
	struct model *model = entry->model;
	struct GUID guid = entry->d.guid;
	struct model_event event = {
		.type = MODEL_EVENT_DISK_REMOVED,
		.guid = &guid,
		.disk = entry->d.index,
	};

	talloc_free(entry);
	model_emit(model, &event);
	model_emit_luns(model);
}

/* ---- serving ---- */

/* What INQUIRY shall answer. */
static const struct model_inquiry disk_inquiry = {
	.vendor = "ISTMD",
	.product = "VIRTUAL-DISK",
	.revision = "0001",
};

/* The volume that the disk takes its space from, and when that is low. */
static void space_config(const struct disk_entry *entry,
			 struct iscsi_lu_config *config)
{
	const char *path = entry->d.path;
	const struct model_threshold *t;

	if (path == NULL || path[0] < 'A' || path[0] > 'Z' || path[1] != ':') {
		return; /* a RAM disk */
	}
	t = &entry->model->thresholds[path[0] - 'A'];
	snprintf(config->volume, sizeof(config->volume), "%c:", path[0]);
	config->threshold = t->bytes;
	config->threshold_percent = t->percent;
}

/* Hand an opened disk to the engine. @return errno */
int disk_publish(struct disk_entry *entry)
{
	struct iscsi_lu_config config = {
		.index = entry->d.index,
		.enabled = entry->d.enabled,
		.write_through = entry->model->write_through,
		.disk = entry->vhd,
		.private_data = entry,
	};
	const struct GUID *g = &entry->d.guid;
	DATA_BLOB state = unit_state_of(entry->model, g);

	/* Big-endian, as the GUID is written: never depends on the host. */
	config.guid[0] = g->time_low >> 24;
	config.guid[1] = g->time_low >> 16;
	config.guid[2] = g->time_low >> 8;
	config.guid[3] = g->time_low;
	config.guid[4] = g->time_mid >> 8;
	config.guid[5] = g->time_mid;
	config.guid[6] = g->time_hi_and_version >> 8;
	config.guid[7] = g->time_hi_and_version;
	memcpy(config.guid + 8, g->clock_seq, 2);
	memcpy(config.guid + 10, g->node, 6);
	snprintf(config.serial, sizeof(config.serial), "%s", entry->d.serial);
	memcpy(config.vendor, disk_inquiry.vendor, sizeof(config.vendor));
	memcpy(config.product, disk_inquiry.product, sizeof(config.product));
	memcpy(config.revision, disk_inquiry.revision, sizeof(config.revision));
	space_config(entry, &config);
	config.state = state.data;
	config.state_len = state.length;
	entry->lu = iscsi_lu_add(entry->model->engine, &config);
	if (entry->lu == NULL) {
		int error = errno != 0 ? errno : ENOMEM;

		log_msg(LOG_ERROR, "disk %u (%s): the target engine: %s",
			(unsigned)entry->d.index, entry->d.path,
			strerror(error));
		return error;
	}
	entry->d.usable = true;
	return 0;
}

void model_disk_inquiry(struct model *model, const struct model_disk *disk,
			struct model_inquiry *inquiry)
{
	*inquiry = disk_inquiry;
}

size_t model_disk_naa(struct model *model, const struct model_disk *disk,
		      uint8_t naa[16])
{
	const struct disk_entry *entry = disk_entry(disk);

	return entry->lu == NULL ? 0 : iscsi_lu_naa(entry->lu, naa);
}

/* ---- properties ---- */

/* MS-ISTM 2.2.3.3 */
enum model_disk_status model_disk_status(struct model *model,
					 const struct model_disk *disk)
{
	const struct disk_entry *entry = disk_entry(disk);

	if (entry->reverting != NULL) {
		return MODEL_DISK_REVERTING;
	}
	return entry->lu != NULL && iscsi_lu_in_use(entry->lu)
		       ? MODEL_DISK_INUSE
		       : MODEL_DISK_IDLE;
}

/* MS-ISTM 3.42.4.2 */
void disk_tell_status(struct disk_entry *entry)
{
	struct GUID guid = entry->d.guid;

	entry->told = model_disk_status(entry->model, &entry->d);
	model_emit(entry->model,
		   &(struct model_event){
			   .type = MODEL_EVENT_LUN_STATUS,
			   .guid = &guid,
			   .disk = entry->d.index,
			   .percent = entry->percent,
			   .completion = HRES_ERROR_V(entry->completion),
		   });
}

void disk_tell_new_status(struct disk_entry *entry)
{
	if (model_disk_status(entry->model, &entry->d) != entry->told) {
		disk_tell_status(entry);
	}
}

void model_disk_progress(struct model *model, const struct model_disk *disk,
			 uint32_t *percent, HRESULT *completion)
{
	const struct disk_entry *entry = disk_entry(disk);

	*percent = entry->percent;
	*completion = entry->completion;
}

static HRESULT set_string(struct disk_entry *entry, const char **field,
			  const char *what, const char *value)
{
	HRESULT hr = model_check_string(what, value);
	char *copy;

	if (ISTM_FAILED(hr)) {
		return hr;
	}
	copy = talloc_strdup(entry, value);
	if (copy == NULL) {
		return ISTM_OUT_OF_MEMORY;
	}
	talloc_free(discard_const_p(char, *field));
	*field = copy;
	model_emit_disk(entry->model, MODEL_EVENT_DISK_CHANGED, &entry->d);
	return ISTM_S_OK;
}

HRESULT model_disk_set_description(struct model *model, struct model_disk *d,
				   const char *value)
{
	return set_string(disk_entry(d), &d->description, "disk's description",
			  value);
}

HRESULT model_disk_set_resource_name(struct model *model, struct model_disk *d,
				     const char *value)
{
	if (value == NULL || value[0] == '\0') {
		return model_refuse(ISTM_INVALID_ARG,
				    "disk %u: an empty resource name",
				    (unsigned)d->index);
	}
	return set_string(disk_entry(d), &d->resource_name,
			  "disk's resource name", value);
}

/* MS-ISTM 3.43.4.16: only the stored path; the open file is served until the
 * disk is opened again. */
HRESULT model_disk_set_path(struct model *model, struct model_disk *d,
			    const char *path)
{
	struct disk_entry *entry = disk_entry(d), *other;
	struct location *location;
	HRESULT hr;

	if (d->type != MODEL_DISK_FILE) {
		return model_refuse(ISTM_INVALID_ARG,
				    "disk %u: is in RAM, it has no path",
				    (unsigned)d->index);
	}
	hr = location_find(entry, model, path, &location);
	if (ISTM_FAILED(hr)) {
		return hr;
	}
	other = disk_by_location(model, location);
	if (other != NULL && other != entry) {
		hr = model_refuse(ISTM_ALREADY_EXISTS,
				  "disk %u: %s is disk %u's",
				  (unsigned)d->index, location->client,
				  (unsigned)other->d.index);
	} else if (!disk_set_path(entry, location->client, location->volume)) {
		hr = ISTM_OUT_OF_MEMORY;
	}
	talloc_free(location);
	if (!ISTM_FAILED(hr)) {
		model_emit_disk(model, MODEL_EVENT_DISK_CHANGED, d);
	}
	return hr;
}

/* MS-ISTM 3.44.4.2 */
HRESULT model_disk_set_enabled(struct model *model, struct model_disk *d,
			       bool enabled)
{
	struct disk_entry *entry = disk_entry(d);

	if (!enabled && model_disk_status(model, d) == MODEL_DISK_REVERTING) {
		return model_refuse(ISTM_SHARING_VIOLATION,
				    "disk %u: is being rolled back",
				    (unsigned)d->index);
	}
	if (d->enabled != enabled) {
		d->enabled = enabled;
		if (entry->lu != NULL) {
			iscsi_lu_set_enabled(entry->lu, enabled);
		}
		if (!enabled) {
			disk_dismount(entry);
		}
		model_emit_disk(model, MODEL_EVENT_DISK_CHANGED, d);
	}
	/* "Sends notifications", changed or not. */
	model_emit_luns(model);
	return ISTM_S_OK;
}

HRESULT model_disk_set_cache_parent(struct model *model, struct model_disk *d,
				    bool value)
{
	if (d->vhd_type != VHD_TYPE_DIFFERENCING) {
		return model_refuse(ISTM_INVALID_ARG,
				    "disk %u: has no parent to cache",
				    (unsigned)d->index);
	}
	d->cache_parent = value;
	model_emit_disk(model, MODEL_EVENT_DISK_CHANGED, d);
	return ISTM_S_OK;
}

static HRESULT check_snapshot_storage(const struct model_disk *d)
{
	if (d->type != MODEL_DISK_FILE || d->vhd_type != VHD_TYPE_FIXED) {
		return model_refuse(ISTM_INVALID_ARG,
				    "disk %u: only disks on fixed VHD files "
				    "have snapshots",
				    (unsigned)d->index);
	}
	return ISTM_S_OK;
}

/* MS-ISTM 3.43.4.19; disabled: "MUST NOT change", S_OK */
HRESULT model_disk_set_snapshot_storage_path(struct model *model,
					     struct model_disk *d,
					     const char *path)
{
	HRESULT hr = check_snapshot_storage(d);
	struct location *location;

	if (ISTM_FAILED(hr) || !d->enabled) {
		return hr;
	}
	hr = location_find(d, model, path, &location);
	if (ISTM_FAILED(hr)) {
		return ISTM_VSS_VOLUME_NOT_SUPPORTED;
	}
	hr = set_string(disk_entry(d), &d->snapshot_storage_path,
			"snapshot storage path", location->client);
	talloc_free(location);
	return hr;
}

/* Appendix B <95> */
#define SNAPSHOT_STORAGE_MIN (320ll << 20)

HRESULT model_disk_set_snapshot_storage_size(struct model *model,
					     struct model_disk *d, int64_t size)
{
	HRESULT hr = check_snapshot_storage(d);

	if (ISTM_FAILED(hr)) {
		return hr;
	}
	if (size != -1 && size < SNAPSHOT_STORAGE_MIN) {
		return model_refuse(ISTM_INVALID_ARG,
				    "disk %u: snapshot storage of %lld bytes, "
				    "at least %lld or -1 are needed",
				    (unsigned)d->index, (long long)size,
				    SNAPSHOT_STORAGE_MIN);
	}
	if (d->enabled) {
		d->snapshot_storage_size = size;
		model_emit_disk(model, MODEL_EVENT_DISK_CHANGED, d);
	}
	return ISTM_S_OK;
}

uint64_t model_disk_allocated(struct model *model, const struct model_disk *d)
{
	const struct disk_entry *entry = disk_entry(d);
	struct vhd_info info;

	if (entry->vhd == NULL) {
		return 0;
	}
	vhd_disk_info(entry->vhd, &info);
	return info.allocated;
}
