/* SPDX-License-Identifier: GPL-3.0-or-later */
/* From the records of the store to objects, at the start. */
#include <string.h>

#include "server/model/names.h"
#include "server/model/private.h"

/*
 * A record that cannot be read stops the start (after all of them have been
 * looked at): going on without it would lose what refers to it at the next
 * save.
 */
bool model_load_record(const char *key, const uint8_t *data, size_t length,
		       void *private_data)
{
	struct loaded *loaded = private_data;
	struct istm_state_data *record =
		talloc_zero(loaded, struct istm_state_data);
	const char *reason = "out of memory";

	if (record == NULL ||
	    !store_record_decode(record, data, length, record, &reason)) {
		log_msg(LOG_ERROR, "store: record %s refused: %s", key, reason);
		loaded->refused++;
		talloc_free(record);
		return true;
	}
	if (loaded->num == talloc_array_length(loaded->records)) {
		size_t more = loaded->num * 2 + 64;

		loaded->records =
			talloc_realloc(loaded, loaded->records,
				       struct istm_state_data *, more);
		loaded->blobs =
			talloc_realloc(loaded, loaded->blobs, DATA_BLOB, more);
		if (loaded->records == NULL || loaded->blobs == NULL) {
			log_msg(LOG_ERROR, "store: out of memory");
			return false;
		}
	}
	loaded->blobs[loaded->num] = data_blob_null;
	if (record->kind == ISTM_STATE_TARGET) {
		loaded->blobs[loaded->num] =
			data_blob_talloc(loaded, data, length);
	}
	loaded->records[loaded->num++] = record;
	return true;
}

static bool load_disk(struct model *model, const struct istm_state_disk *r)
{
	struct disk_entry *entry;
	struct location *location = NULL;
	struct volume *volume;
	struct model_disk *d;
	uint32_t index = r->index;

	if (r->type != MODEL_DISK_FILE && r->type != MODEL_DISK_RAM) {
		log_msg(LOG_ERROR, "store: disk %u has the unknown type %u",
			(unsigned)r->index, (unsigned)r->type);
		return false;
	}
	if (model_disk_by_index(model, index) != NULL) {
		/* One was closed (CloseWTDisk), its index given to another. */
		index = index_set_lowest_free(&model->indices);
		log_msg(LOG_ERROR,
			"store: two disks with index %u; %s is disk %u now",
			(unsigned)r->index, r->path, (unsigned)index);
	}
	entry = disk_create(model, &r->guid, index, r->type);
	if (entry == NULL) {
		return false;
	}
	d = &entry->d;
	d->serial = talloc_strdup(entry, r->serial);
	d->description = talloc_strdup(entry, r->description);
	d->resource_name = talloc_strdup(entry, r->resource_name);
	d->snapshot_storage_path =
		talloc_strdup(entry, r->snapshot_storage_path);
	d->snapshot_storage_size = r->snapshot_storage_size;
	d->enabled = r->enabled;
	d->cache_parent = r->cache_parent;
	d->manage_mount_point = r->manage_mount_point;
	d->mount_point = talloc_strdup(entry, r->mount_point);
	d->flags = r->flags;
	d->persistent = d->saved = true;
	if (r->type == MODEL_DISK_FILE) {
		/* Which volume it is on; not found is told when opened. */
		location_find(entry, model, r->path, &location);
	}
	volume = location == NULL ? NULL : location->volume;
	talloc_free(location);
	return (r->flags & MODEL_DISK_SHADOW) != 0
		       ? disk_set_shadow_path(entry, r->path, volume)
		       : disk_set_path(entry, r->path, volume);
}

/*
 * Those whose index is taken come last: they may have what is free then, and
 * move nobody else.
 */
static bool load_disks(struct model *model, const struct loaded *loaded)
{
	TALLOC_CTX *tmp = talloc_new(NULL);
	size_t *later = talloc_array(tmp, size_t, loaded->num);
	size_t num = 0;
	bool ok = later != NULL;

	for (size_t i = 0; ok && i < loaded->num; i++) {
		const struct istm_state_data *r = loaded->records[i];

		if (r->kind != ISTM_STATE_DISK) {
			continue;
		}
		if (model_disk_by_index(model, r->body.disk.index) != NULL) {
			later[num++] = i;
			continue;
		}
		ok = load_disk(model, &r->body.disk);
	}
	for (size_t i = 0; ok && i < num; i++) {
		ok = load_disk(model, &loaded->records[later[i]]->body.disk);
	}
	talloc_free(tmp);
	return ok;
}

bool model_load_objects(struct model *model, struct loaded *loaded)
{
	if (!load_disks(model, loaded)) {
		return false;
	}
	for (size_t i = 0; i < loaded->num; i++) {
		struct istm_state_data *r = loaded->records[i];
		bool ok = true;

		switch (r->kind) {
		case ISTM_STATE_SERVICE:
			ok = service_load(model, &r->body.service);
			break;
		case ISTM_STATE_PORTAL:
			ok = portal_load(model, &r->body.portal);
			break;
		case ISTM_STATE_SNS_SERVER:
			ok = sns_load(model, &r->body.sns_server);
			break;
		case ISTM_STATE_UNIT:
			ok = unit_state_load(model, &r->body.unit);
			break;
		case ISTM_STATE_VOLUME:
			ok = volume_id_load(model, &r->body.volume);
			break;
		case ISTM_STATE_DISK:	  /* before all */
		case ISTM_STATE_TARGET:	  /* after all disks */
		case ISTM_STATE_SNAPSHOT: /* after all disks */
			break;
		}
		if (!ok) {
			return false;
		}
	}
	for (size_t i = 0; i < loaded->num; i++) {
		struct istm_state_data *r = loaded->records[i];

		if (r->kind == ISTM_STATE_SNAPSHOT &&
		    !snapshot_load(model, &r->body.snapshot)) {
			return false;
		}
	}
	return true;
}

/*
 * Two saved targets can have one name: rename A without saving it, make a new
 * one of its old name and save that. Both come back; the second under a
 * name of its own and disabled, so that no initiator meets the wrong one.
 */
static struct target_entry *load_target_entry(struct model *model,
					      const struct istm_state_target *r)
{
	struct target_entry *entry;
	const char *name = r->name, *iqn = r->iqn;
	TALLOC_CTX *tmp = talloc_new(NULL);
	bool conflict = false;

	for (unsigned n = 2; model_target_by_name(model, name) != NULL; n++) {
		name = talloc_asprintf(tmp, "%.200s-%u", r->name, n);
		conflict = true;
	}
	for (unsigned n = 1; model_target_by_iqn(model, iqn) != NULL; n++) {
		iqn = name_generate_iqn(tmp, model->host, name, n);
		conflict = true;
	}
	entry = target_create(model, &r->guid, name, iqn);
	if (entry != NULL && conflict) {
		log_msg(LOG_ERROR,
			"store: two targets are named %s or have the IQN %s; "
			"one is %s (%s) now, and disabled",
			r->name, r->iqn, name, iqn);
	}
	if (entry != NULL) {
		entry->t.enabled = r->enabled && !conflict;
	}
	talloc_free(tmp);
	return entry;
}

static void load_mappings(struct model *model, struct target_entry *entry,
			  const struct istm_state_target *r)
{
	for (uint32_t i = 0; i < r->num_mappings; i++) {
		const struct istm_state_mapping *m = &r->mappings[i];
		struct model_disk *disk = model_disk_by_guid(model, &m->disk);

		if (disk == NULL) {
			struct GUID_txt_buf buf;

			log_msg(LOG_WARNING,
				"target %s: LUN %u was disk %s, which is no "
				"more: dropped",
				entry->t.name, (unsigned)m->lun,
				GUID_buf_string(&m->disk, &buf));
			continue;
		}
		if (m->lun >= model->max_luns ||
		    (entry->luns[m->lun / 64] & 1ull << m->lun % 64) != 0 ||
		    target_mapping(entry, disk_entry(disk)) != NULL) {
			log_msg(LOG_WARNING,
				"target %s: LUN %u of disk %u is out of range "
				"or double: dropped",
				entry->t.name, (unsigned)m->lun,
				(unsigned)disk->index);
			continue;
		}
		target_map(entry, disk_entry(disk), m->lun);
	}
}

static bool load_ids(struct target_entry *entry,
		     const struct istm_state_target *r)
{
	struct model_target *t = &entry->t;

	t->ids = talloc_zero_array(entry, struct model_id, r->num_ids);
	if (t->ids == NULL) {
		return false;
	}
	for (uint32_t i = 0; i < r->num_ids; i++) {
		char *canonical = name_canonical_id(entry, r->ids[i].method,
						    r->ids[i].value);

		if (canonical == NULL) {
			log_msg(LOG_WARNING,
				"target %s: saved identification '%s' is not "
				"valid: dropped",
				t->name, r->ids[i].value);
			continue;
		}
		t->ids[t->num_ids].method = r->ids[i].method;
		t->ids[t->num_ids].canonical = talloc_steal(t->ids, canonical);
		t->ids[t->num_ids].value =
			talloc_strdup(t->ids, r->ids[i].value);
		if (t->ids[t->num_ids].value == NULL) {
			return false;
		}
		t->num_ids++;
	}
	return true;
}

static bool load_portals(struct target_entry *entry,
			 const struct istm_state_target *r)
{
	struct model_target *t = &entry->t;

	t->listen_all = r->listen_all;
	t->portals = talloc_array(entry, const char *, r->num_portals);
	if (t->portals == NULL) {
		return false;
	}
	for (uint32_t i = 0; i < r->num_portals; i++) {
		struct sockaddr_storage addr;

		if (!name_parse_address(r->portals[i], &addr)) {
			log_msg(LOG_WARNING,
				"target %s: saved portal '%s' is no address: "
				"dropped",
				t->name, r->portals[i]);
			continue;
		}
		t->portals[t->num_portals] =
			name_format_address(t->portals, &addr);
		if (t->portals[t->num_portals] == NULL) {
			return false;
		}
		t->num_portals++;
	}
	return true;
}

static bool load_target(struct model *model, const struct istm_state_target *r,
			const DATA_BLOB *blob)
{
	struct target_entry *entry = load_target_entry(model, r);
	struct model_target *t;

	if (entry == NULL) {
		return false;
	}
	t = &entry->t;
	t->description = talloc_strdup(entry, r->description);
	t->resource_name = talloc_strdup(entry, r->resource_name);
	t->chap = r->chap;
	t->reverse_chap = r->reverse_chap;
	t->enforce_idle_timeout = r->enforce_idle_timeout;
	t->chap_user = talloc_strdup(entry, r->chap_user);
	t->chap_secret = secret_strdup(entry, r->chap_secret);
	t->reverse_chap_user = talloc_strdup(entry, r->reverse_chap_user);
	t->reverse_chap_secret = secret_strdup(entry, r->reverse_chap_secret);
	t->max_recv_data_segment_length = r->max_recv_data_segment_length;
	t->first_burst_length = r->first_burst_length;
	t->max_burst_length = r->max_burst_length;
	t->num_recv_buffers = r->num_recv_buffers;
	t->last_login = r->last_login;
	t->processors = r->processors;
	t->saved = true;
	load_mappings(model, entry, r);
	return load_ids(entry, r) && load_portals(entry, r) &&
	       t->chap_secret != NULL && t->reverse_chap_secret != NULL &&
	       target_saved_maps(entry) &&
	       secret_blob_copy(entry, &entry->saved_blob, blob);
}

void model_load_targets(struct model *model, struct loaded *loaded)
{
	for (size_t i = 0; i < loaded->num; i++) {
		struct istm_state_data *r = loaded->records[i];

		if (r->kind == ISTM_STATE_TARGET &&
		    !load_target(model, &r->body.target, &loaded->blobs[i])) {
			log_msg(LOG_ERROR, "target %s: out of memory",
				r->body.target.name);
		}
	}
}
