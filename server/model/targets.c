/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Targets: their list, their life, and what the engine hears of them. */
#include <errno.h>
#include <string.h>

#include "server/core/utf8.h"
#include "server/model/names.h"
#include "server/model/private.h"

#define target_from(node, member) hash_entry(node, struct target_entry, member)

/* ---- looking up ---- */

size_t model_targets(struct model *model, TALLOC_CTX *mem_ctx,
		     struct GUID **guids)
{
	size_t num = 0;
	struct list_head *pos;

	*guids = talloc_array(mem_ctx, struct GUID,
			      model->targets_by_guid.count);
	if (*guids == NULL) {
		return 0;
	}
	list_for_each (pos, &model->targets) {
		(*guids)[num++] =
			list_entry(pos, struct target_entry, link)->t.guid;
	}
	return num;
}

struct model_target *model_target_by_guid(struct model *model,
					  const struct GUID *guid)
{
	uint64_t hash = hash_guid(guid);
	struct hash_node *node;

	for (node = hash_first(&model->targets_by_guid, hash); node != NULL;
	     node = hash_next(node, hash)) {
		struct target_entry *entry = target_from(node, by_guid);

		if (GUID_equal(&entry->t.guid, guid)) {
			return &entry->t;
		}
	}
	return NULL;
}

static uint64_t hash_folded(const char *s)
{
	char *folded = utf8_fold(NULL, s);
	uint64_t hash = folded == NULL ? 0 : hash_string(folded);

	talloc_free(folded);
	return hash;
}

struct model_target *model_target_by_name(struct model *model, const char *name)
{
	uint64_t hash = hash_folded(name);
	struct hash_node *node;

	for (node = hash_first(&model->targets_by_name, hash); node != NULL;
	     node = hash_next(node, hash)) {
		struct target_entry *entry = target_from(node, by_name);

		if (utf8_equal_fold(entry->t.name, name)) {
			return &entry->t;
		}
	}
	return NULL;
}

struct model_target *model_target_by_iqn(struct model *model, const char *iqn)
{
	uint64_t hash = hash_folded(iqn);
	struct hash_node *node;

	for (node = hash_first(&model->targets_by_iqn, hash); node != NULL;
	     node = hash_next(node, hash)) {
		struct target_entry *entry = target_from(node, by_iqn);

		if (utf8_equal_fold(entry->t.iqn, iqn)) {
			return &entry->t;
		}
	}
	return NULL;
}

/* ---- the engine ---- */

static bool target_config_ids(TALLOC_CTX *mem_ctx, const struct model_target *t,
			      struct iscsi_tgt_config *config)
{
	struct iscsi_id *ids =
		talloc_array(mem_ctx, struct iscsi_id, t->num_ids);

	if (ids == NULL) {
		return false;
	}
	for (size_t i = 0; i < t->num_ids; i++) {
		ids[i].method = t->ids[i].method;
		ids[i].value = t->ids[i].canonical;
	}
	config->ids = ids;
	config->num_ids = t->num_ids;
	return true;
}

static bool target_config_luns(TALLOC_CTX *mem_ctx, struct target_entry *entry,
			       struct iscsi_tgt_config *config)
{
	struct iscsi_lun *luns =
		talloc_array(mem_ctx, struct iscsi_lun, entry->t.num_mappings);
	struct list_head *pos;

	if (luns == NULL) {
		return false;
	}
	list_for_each (pos, &entry->mappings) {
		struct mapping *m =
			list_entry(pos, struct mapping, link_target);

		/* A disk that could not be opened keeps its LUN, unserved; one
		 * that reverts takes no part (MS-ISTM 2.2.3.3). */
		if (m->disk->lu != NULL && !disk_withheld(m->disk)) {
			luns[config->num_luns].lun = m->lun;
			luns[config->num_luns].lu = m->disk->lu;
			config->num_luns++;
		}
	}
	config->luns = luns;
	return true;
}

static bool target_config_portals(TALLOC_CTX *mem_ctx,
				  const struct model_target *t,
				  struct iscsi_tgt_config *config)
{
	struct sockaddr_storage *portals =
		talloc_array(mem_ctx, struct sockaddr_storage, t->num_portals);

	if (portals == NULL) {
		return false;
	}
	for (size_t i = 0; i < t->num_portals; i++) {
		config->num_portals += name_parse_address(
			t->portals[i], &portals[config->num_portals]);
	}
	config->portals = portals;
	config->some_portals = !t->listen_all;
	return true;
}

int target_publish(struct target_entry *entry)
{
	const struct model_target *t = &entry->t;
	struct iscsi_tgt_config config = {
		.name = t->iqn,
		.alias = t->name,
		.enabled = t->enabled,
		.chap = t->chap,
		.reverse_chap = t->reverse_chap,
		.chap_user = t->chap_user,
		.chap_secret = t->chap_secret,
		.reverse_chap_user = t->reverse_chap_user,
		.reverse_chap_secret = t->reverse_chap_secret,
		.max_recv_data_segment_length = t->max_recv_data_segment_length,
		.first_burst_length = t->first_burst_length,
		.max_burst_length = t->max_burst_length,
		.enforce_idle_timeout = t->enforce_idle_timeout,
		.processors = t->processors,
	};
	TALLOC_CTX *tmp;
	int error = 0;

	if (entry->model->starting) {
		return 0; /* once for all changes, at the end of the start */
	}
	tmp = talloc_new(entry);
	if (tmp == NULL || !target_config_ids(tmp, t, &config) ||
	    !target_config_portals(tmp, t, &config) ||
	    !target_config_luns(tmp, entry, &config)) {
		talloc_free(tmp);
		return ENOMEM;
	}
	if (entry->engine == NULL) {
		entry->engine =
			iscsi_tgt_add(entry->model->engine, &config, entry);
		if (entry->engine == NULL) {
			error = errno != 0 ? errno : ENOMEM;
		}
	} else {
		error = iscsi_tgt_update(entry->engine, &config);
	}
	if (error != 0) {
		log_msg(LOG_ERROR, "target %s (%s): the target engine: %s",
			t->name, t->iqn, strerror(error));
	}
	talloc_free(tmp);
	return error;
}

void target_changed(struct target_entry *entry)
{
	target_publish(entry);
	model_emit_target(entry->model, MODEL_EVENT_TARGET_CHANGED, &entry->t);
}

/* ---- life ---- */

static int target_destructor(struct target_entry *entry)
{
	struct model *model = entry->model;

	while (!list_empty(&entry->mappings)) {
		target_unmap(entry, list_entry(entry->mappings.next,
					       struct mapping, link_target));
	}
	target_forget_saved_maps(entry);
	if (entry->engine != NULL) {
		iscsi_tgt_remove(entry->engine);
		entry->engine = NULL;
	}
	hash_del(&model->targets_by_guid, &entry->by_guid);
	hash_del(&model->targets_by_name, &entry->by_name);
	hash_del(&model->targets_by_iqn, &entry->by_iqn);
	list_del(&entry->link);
	secret_blob_free(&entry->saved_blob);
	return 0;
}

struct target_entry *target_create(struct model *model, const struct GUID *guid,
				   const char *name, const char *iqn)
{
	struct target_entry *entry = talloc_zero(model, struct target_entry);

	if (entry == NULL) {
		return NULL;
	}
	entry->model = model;
	list_init(&entry->link);
	list_init(&entry->mappings);
	list_init(&entry->saved_maps);
	/* MS-ISTM 3.21.4: Windows' defaults (spec/notes 3) */
	entry->t = (struct model_target){
		.guid = *guid,
		.name = talloc_strdup(entry, name),
		.description = talloc_strdup(entry, ""),
		.iqn = name_normalise_iscsi(entry, iqn),
		.resource_name = talloc_strdup(entry, ""),
		.enabled = true,
		.chap_user = talloc_strdup(entry, ""),
		.chap_secret = secret_strdup(entry, ""),
		.reverse_chap_user = talloc_strdup(entry, ""),
		.reverse_chap_secret = secret_strdup(entry, ""),
		.max_recv_data_segment_length = 65536,
		.first_burst_length = 65536,
		.max_burst_length = 262144,
		.num_recv_buffers = 10,
		.enforce_idle_timeout = true,
		.listen_all = true,
		.persistent = true,
	};
	entry->luns =
		talloc_zero_array(entry, uint64_t, (model->max_luns + 63) / 64);
	talloc_set_destructor(entry, target_destructor);
	if (entry->t.name == NULL || entry->t.iqn == NULL ||
	    entry->t.reverse_chap_secret == NULL || entry->luns == NULL ||
	    !hash_add(&model->targets_by_guid, &entry->by_guid,
		      hash_guid(guid)) ||
	    !hash_add(&model->targets_by_name, &entry->by_name,
		      hash_folded(name)) ||
	    !hash_add(&model->targets_by_iqn, &entry->by_iqn,
		      hash_folded(entry->t.iqn))) {
		talloc_free(entry);
		return NULL;
	}
	list_add_tail(&entry->link, &model->targets);
	return entry;
}

/* A name that no target has. Any number of names may lead to one IQN (they
 * are shortened, and differ in characters that an IQN cannot have): counting
 * would take the longer the more of them there are. */
static char *target_free_iqn(struct model *model, TALLOC_CTX *mem_ctx,
			     const char *name)
{
	for (unsigned attempt = 0; attempt < 64; attempt++) {
		unsigned number = attempt;
		char *iqn;

		if (attempt >= 4) {
			number = GUID_random().time_low | 4;
		}
		iqn = name_generate_iqn(mem_ctx, model->host, name, number);

		if (iqn == NULL || model_target_by_iqn(model, iqn) == NULL) {
			return iqn;
		}
		talloc_free(iqn);
	}
	return NULL;
}

HRESULT model_target_new(struct model *model, const char *name, bool persistent,
			 const char *resource_name,
			 struct model_target **target)
{
	struct target_entry *entry;
	struct GUID guid = GUID_random();
	char *iqn;

	*target = NULL;
	if (name == NULL || name[0] == '\0') {
		return model_refuse(ISTM_INVALID_ARG,
				    "new target: the name is empty");
	}
	if (!name_valid_target(name)) {
		return model_refuse(ISTM_INVALID_DATA,
				    "new target: '%.300s' is no iSCSI name "
				    "(letters, digits, '-', '.', ':', at most "
				    "%d bytes)",
				    name, ISCSI_NAME_MAX);
	}
	if (model_target_by_name(model, name) != NULL) {
		return model_refuse(ISTM_FILE_EXISTS,
				    "new target: there is already one named %s",
				    name);
	}
	iqn = target_free_iqn(model, model, name);
	if (iqn == NULL) {
		return model_refuse(ISTM_OUT_OF_MEMORY, "new target %s: no IQN",
				    name);
	}
	entry = target_create(model, &guid, name, iqn);
	talloc_free(iqn);
	if (entry == NULL) {
		return model_refuse(ISTM_OUT_OF_MEMORY,
				    "new target %s: out of memory", name);
	}
	entry->t.persistent = persistent;
	if (resource_name != NULL) {
		entry->t.resource_name = talloc_strdup(entry, resource_name);
	}
	if (entry->t.resource_name == NULL || target_publish(entry) != 0) {
		talloc_free(entry);
		return ISTM_OUT_OF_MEMORY;
	}
	log_msg(LOG_INFO, "target %s (%s): new", entry->t.name, entry->t.iqn);
	*target = &entry->t;
	model_emit_target(model, MODEL_EVENT_TARGET_ADDED, &entry->t);
	return ISTM_S_OK;
}

void target_drop(struct target_entry *entry)
{
	struct model *model = entry->model;
	struct GUID guid = entry->t.guid;
	bool had_luns = entry->t.num_mappings > 0;

	talloc_free(entry);
	model_emit(model, &(struct model_event){
				  .type = MODEL_EVENT_TARGET_REMOVED,
				  .guid = &guid,
			  });
	if (had_luns) {
		model_emit_luns(model);
	}
}

/* ---- deletion ---- */

static struct tevent_req *target_gone(TALLOC_CTX *mem_ctx,
				      const struct model_target *target,
				      struct model *model)
{
	return model_req_failed(mem_ctx, model,
				model_refuse(ISTM_FILE_NOT_FOUND,
					     "target %s: being deleted",
					     target->name));
}

static void target_deleted(struct model *model, int error, void *private_data)
{
	const struct GUID *guid = private_data;
	struct model_target *target = model_target_by_guid(model, guid);

	if (target == NULL) {
		return; /* closed meanwhile */
	}
	if (error != 0) {
		target_entry(target)->deleting = false;
		return;
	}
	log_msg(LOG_INFO, "target %s: deleted", target->name);
	target_drop(target_entry(target));
}

struct tevent_req *model_target_delete_send(TALLOC_CTX *mem_ctx,
					    struct model *model,
					    struct model_target *target)
{
	struct target_entry *entry = target_entry(target);
	struct change_list changes = {NULL, 0};
	struct GUID *guid;
	struct tevent_req *req;

	if (entry->deleting) {
		return target_gone(mem_ctx, target, model);
	}
	guid = talloc_memdup(model, &target->guid, sizeof(target->guid));
	if (guid == NULL) {
		return NULL;
	}
	if (target->saved &&
	    !change_add(guid, &changes,
			record_key(guid, ISTM_STATE_TARGET, guid), NULL)) {
		talloc_free(guid);
		return model_req_failed(mem_ctx, model, ISTM_OUT_OF_MEMORY);
	}
	req = model_commit_send(mem_ctx, model, &changes, target_deleted, guid);
	if (req != NULL) {
		entry->deleting = true;
	}
	return req;
}

HRESULT model_target_delete_recv(struct tevent_req *req)
{
	return model_req_recv(req);
}

/* CloseHost, MS-ISTM 3.27.4.4 */
HRESULT model_target_close(struct model *model, struct model_target *target)
{
	log_msg(LOG_INFO, "target %s: closed", target->name);
	target_drop(target_entry(target));
	return ISTM_S_OK;
}

/* ---- saving ---- */

struct target_save {
	struct GUID guid;
	uint64_t generation;
	DATA_BLOB previous; /* what the store holds when this fails */
	bool was_saved;
};

static int target_save_destructor(struct target_save *save)
{
	secret_blob_free(&save->previous);
	return 0;
}

static void target_saved(struct model *model, int error, void *private_data)
{
	struct target_save *save = private_data;
	struct model_target *target = model_target_by_guid(model, &save->guid);
	struct target_entry *entry;

	if (target == NULL || error == 0) {
		return;
	}
	entry = target_entry(target);
	/* A later change was built on this record and carries it on. */
	if (entry->saved_generation != save->generation) {
		return;
	}
	secret_blob_free(&entry->saved_blob);
	entry->saved_blob = save->previous;
	talloc_steal(entry, entry->saved_blob.data);
	save->previous = data_blob_null;
	target->saved = save->was_saved;
}

void target_replace_saved(struct target_entry *entry, DATA_BLOB *blob)
{
	secret_blob_free(&entry->saved_blob);
	entry->saved_blob = *blob;
	talloc_steal(entry, entry->saved_blob.data);
	*blob = data_blob_null;
	entry->saved_generation = ++entry->model->generation;
}

struct tevent_req *model_target_save_send(TALLOC_CTX *mem_ctx,
					  struct model *model,
					  struct model_target *target)
{
	struct target_entry *entry = target_entry(target);
	struct change_list changes = {NULL, 0};
	struct target_save *save;
	struct tevent_req *req;
	DATA_BLOB blob = data_blob_null;

	if (entry->deleting) {
		return target_gone(mem_ctx, target, model);
	}
	save = talloc_zero(model, struct target_save);
	if (save == NULL) {
		return NULL;
	}
	save->guid = target->guid;
	save->was_saved = target->saved;
	talloc_set_destructor(save, target_save_destructor);
	if (!record_of_target(entry, entry, &blob) ||
	    !change_add(save, &changes,
			record_key(save, ISTM_STATE_TARGET, &target->guid),
			&blob)) {
		secret_blob_free(&blob);
		talloc_free(save);
		return model_req_failed(
			mem_ctx, model,
			model_refuse(ISTM_OUT_OF_MEMORY,
				     "target %s: no record can be made of it",
				     target->name));
	}
	req = model_commit_send(mem_ctx, model, &changes, target_saved, save);
	if (req == NULL) {
		secret_blob_free(&blob);
		return NULL;
	}
	save->previous = entry->saved_blob;
	talloc_steal(save, save->previous.data);
	entry->saved_blob = data_blob_null;
	target_replace_saved(entry, &blob);
	save->generation = entry->saved_generation;
	target->saved = true;
	target->persistent = true;
	target_saved_maps(entry);
	return req;
}

HRESULT model_target_save_recv(struct tevent_req *req)
{
	return model_req_recv(req);
}

size_t model_target_num_sessions(struct model *model,
				 struct model_target *target)
{
	struct target_entry *entry = target_entry(target);

	return entry->engine == NULL ? 0
				     : iscsi_tgt_num_sessions(entry->engine);
}
