/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the target keeps of a disk's logical unit through restarts: persistent
 * reservations with APTPL and saved mode pages (SPC-4 5.13.5.1, 6.11). Its
 * bytes are the target's business; here they have the disk's GUID and a record.
 * They are kept until the disk is deleted, open or not, so that a disk that is
 * closed and created again has them.
 */
#include <errno.h>
#include <string.h>

#include "server/model/private.h"

struct unit_state {
	struct hash_node by_guid;
	struct GUID guid;
	DATA_BLOB bytes;
};

static struct unit_state *unit_state_find(struct model *model,
					  const struct GUID *guid)
{
	uint64_t hash = hash_guid(guid);
	struct hash_node *node;

	for (node = hash_first(&model->unit_states, hash); node != NULL;
	     node = hash_next(node, hash)) {
		struct unit_state *s =
			hash_entry(node, struct unit_state, by_guid);

		if (GUID_equal(&s->guid, guid)) {
			return s;
		}
	}
	return NULL;
}

/* Length 0: forget it. @return false when out of memory */
static bool unit_state_set(struct model *model, const struct GUID *guid,
			   const void *bytes, size_t length)
{
	struct unit_state *s = unit_state_find(model, guid);
	DATA_BLOB copy;

	if (length == 0) {
		if (s != NULL) {
			hash_del(&model->unit_states, &s->by_guid);
			talloc_free(s);
		}
		return true;
	}
	if (s == NULL) {
		s = talloc_zero(model, struct unit_state);
		if (s == NULL) {
			return false;
		}
		s->guid = *guid;
		if (!hash_add(&model->unit_states, &s->by_guid,
			      hash_guid(guid))) {
			talloc_free(s);
			return false;
		}
	}
	copy = data_blob_talloc(s, bytes, length);
	if (copy.data == NULL) {
		return false;
	}
	data_blob_free(&s->bytes);
	s->bytes = copy;
	return true;
}

bool unit_state_load(struct model *model, const struct istm_state_unit *record)
{
	return unit_state_set(model, &record->disk, record->state,
			      record->length);
}

DATA_BLOB unit_state_of(struct model *model, const struct GUID *disk)
{
	const struct unit_state *s = unit_state_find(model, disk);

	return s == NULL ? data_blob_null : s->bytes;
}

bool unit_state_delete_record(TALLOC_CTX *mem_ctx, struct model *model,
			      const struct GUID *disk,
			      struct change_list *changes)
{
	return unit_state_find(model, disk) == NULL ||
	       change_add(mem_ctx, changes,
			  record_key(mem_ctx, ISTM_STATE_UNIT, disk), NULL);
}

void unit_state_forget(struct model *model, const struct GUID *disk)
{
	unit_state_set(model, disk, NULL, 0);
}

/* ---- from the target ---- */

static void unit_state_committed(struct tevent_req *subreq)
{
	struct iscsi_lu_store *store =
		(struct iscsi_lu_store *)tevent_req_callback_data_void(subreq);
	int error = store_commit_recv(subreq);

	talloc_free(subreq);
	iscsi_lu_stored(store, error);
}

static bool change_add_unit(TALLOC_CTX *mem_ctx, struct change_list *changes,
			    const struct GUID *disk, const void *state,
			    size_t len)
{
	struct istm_state_data data = {.kind = ISTM_STATE_UNIT};
	char *key = record_key(mem_ctx, ISTM_STATE_UNIT, disk);

	if (len == 0) {
		return change_add(mem_ctx, changes, key, NULL);
	}
	data.body.unit.disk = *disk;
	data.body.unit.length = len;
	data.body.unit.state = discard_const_p(uint8_t, state);
	return change_add_record(mem_ctx, changes, key, &data);
}

void unit_state_store(void *lu_private, const void *state, size_t len,
		      struct iscsi_lu_store *store, void *private_data)
{
	struct model *model = private_data;
	struct disk_entry *entry = lu_private;
	struct change_list changes = {NULL, 0};
	TALLOC_CTX *tmp = talloc_new(model);
	struct tevent_req *subreq = NULL;

	if (entry->d.deleting) {
		talloc_free(tmp);
		iscsi_lu_stored(store, ENODEV);
		return;
	}
	if (change_add_unit(tmp, &changes, &entry->d.guid, state, len) &&
	    unit_state_set(model, &entry->d.guid, state, len)) {
		subreq = store_commit_send(model, model->ev, model->store,
					   changes.changes, changes.num);
	}
	talloc_free(tmp);
	if (subreq == NULL) {
		iscsi_lu_stored(store, ENOMEM);
		return;
	}
	/* Both go with the model at the latest, the target first: it answers
	 * what waits by itself. */
	tevent_req_set_callback(subreq, unit_state_committed, store);
}
