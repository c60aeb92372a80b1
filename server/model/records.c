/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Between the model's objects and the records of the store. */
#include "server/model/private.h"

char *record_key(TALLOC_CTX *mem_ctx, enum istm_state_kind kind,
		 const struct GUID *guid)
{
	static const char *const prefix[] = {
		[ISTM_STATE_TARGET] = "target",
		[ISTM_STATE_DISK] = "disk",
		[ISTM_STATE_SNAPSHOT] = "snapshot",
		[ISTM_STATE_UNIT] = "unit",
	};
	char *text = GUID_string(mem_ctx, guid);
	char *key = text == NULL ? NULL
				 : talloc_asprintf(mem_ctx, "%s:%s",
						   prefix[kind], text);

	talloc_free(text);
	return key;
}

bool record_of_target(TALLOC_CTX *mem_ctx, struct target_entry *entry,
		      DATA_BLOB *blob)
{
	const struct model_target *t = &entry->t;
	struct istm_state_data data = {.kind = ISTM_STATE_TARGET};
	struct istm_state_target *r = &data.body.target;
	TALLOC_CTX *tmp = talloc_new(mem_ctx);
	struct list_head *pos;
	bool ok = false;

	*r = (struct istm_state_target){
		.guid = t->guid,
		.name = t->name,
		.description = t->description,
		.iqn = t->iqn,
		.resource_name = t->resource_name,
		.enabled = t->enabled,
		.chap = t->chap,
		.reverse_chap = t->reverse_chap,
		.enforce_idle_timeout = t->enforce_idle_timeout,
		.chap_user = t->chap_user,
		.chap_secret = t->chap_secret,
		.reverse_chap_user = t->reverse_chap_user,
		.reverse_chap_secret = t->reverse_chap_secret,
		.max_recv_data_segment_length = t->max_recv_data_segment_length,
		.first_burst_length = t->first_burst_length,
		.max_burst_length = t->max_burst_length,
		.num_recv_buffers = t->num_recv_buffers,
		.last_login = t->last_login,
		.num_ids = t->num_ids,
		.ids = talloc_array(tmp, struct istm_state_id, t->num_ids),
		.mappings = talloc_array(tmp, struct istm_state_mapping,
					 t->num_mappings),
		.num_portals = t->num_portals,
		.portals = t->portals,
		.listen_all = t->listen_all,
		.processors = t->processors,
	};
	if (r->ids == NULL || r->mappings == NULL) {
		goto done;
	}
	for (size_t i = 0; i < t->num_ids; i++) {
		r->ids[i].method = t->ids[i].method;
		r->ids[i].value = t->ids[i].value;
	}
	list_for_each (pos, &entry->mappings) {
		struct mapping *m =
			list_entry(pos, struct mapping, link_target);

		/* One that goes, or that a restart will not know. */
		if (!m->disk->d.deleting) {
			r->mappings[r->num_mappings].lun = m->lun;
			r->mappings[r->num_mappings].disk = m->disk->d.guid;
			r->num_mappings++;
		}
	}
	ok = store_record_encode(mem_ctx, &data, blob);
done:
	talloc_free(tmp);
	return ok;
}

bool record_of_disk(TALLOC_CTX *mem_ctx, const struct disk_entry *entry,
		    DATA_BLOB *blob)
{
	const struct model_disk *d = &entry->d;
	struct istm_state_data data = {.kind = ISTM_STATE_DISK};

	data.body.disk = (struct istm_state_disk){
		.guid = d->guid,
		.index = d->index,
		.type = d->type,
		.flags = d->flags,
		.path = d->path,
		.serial = d->serial,
		.description = d->description,
		.resource_name = d->resource_name,
		.enabled = d->enabled,
		.cache_parent = d->cache_parent,
		.snapshot_storage_path = d->snapshot_storage_path,
		.snapshot_storage_size = d->snapshot_storage_size,
		.manage_mount_point = d->manage_mount_point,
		.mount_point = d->mount_point,
	};
	return store_record_encode(mem_ctx, &data, blob);
}

bool record_without_disk(TALLOC_CTX *mem_ctx, const DATA_BLOB *saved,
			 const struct GUID *disk, DATA_BLOB *blob)
{
	TALLOC_CTX *tmp = talloc_new(mem_ctx);
	struct istm_state_data data;
	struct istm_state_target *r = &data.body.target;
	const char *reason;
	uint32_t kept = 0;
	bool ok;

	if (tmp == NULL || !store_record_decode(tmp, saved->data, saved->length,
						&data, &reason)) {
		talloc_free(tmp);
		return false;
	}
	for (uint32_t i = 0; i < r->num_mappings; i++) {
		if (!GUID_equal(&r->mappings[i].disk, disk)) {
			r->mappings[kept++] = r->mappings[i];
		}
	}
	r->num_mappings = kept;
	ok = store_record_encode(mem_ctx, &data, blob);
	talloc_free(tmp);
	return ok;
}

void target_forget_saved_maps(struct target_entry *entry)
{
	while (!list_empty(&entry->saved_maps)) {
		struct saved_map *s = list_entry(entry->saved_maps.next,
						 struct saved_map, link_target);

		list_del(&s->link_target);
		list_del(&s->link_disk);
		talloc_free(s);
	}
}

bool target_saved_maps(struct target_entry *entry)
{
	struct list_head *pos;

	target_forget_saved_maps(entry);
	list_for_each (pos, &entry->mappings) {
		struct mapping *m =
			list_entry(pos, struct mapping, link_target);
		struct saved_map *s = talloc_zero(entry, struct saved_map);

		if (s == NULL) {
			return false;
		}
		s->target = entry;
		list_add_tail(&s->link_target, &entry->saved_maps);
		list_add_tail(&s->link_disk, &m->disk->saved_maps);
	}
	return true;
}
