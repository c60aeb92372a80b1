/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The service itself and the iSNS servers it is to use. */
#include <errno.h>
#include <string.h>

#include "server/core/utf8.h"
#include "server/model/private.h"

/* ---- service ---- */

void model_service_guid(struct model *model, struct GUID *guid)
{
	*guid = model->service_guid;
}

/* "If the name has not been specified, a default" (3.52.4.2, <124>) */
const char *model_service_name(struct model *model)
{
	return model->service_name[0] != '\0' ? model->service_name
					      : model->host;
}

bool service_load(struct model *model, const struct istm_state_service *record)
{
	model->service_guid = record->guid;
	talloc_free(model->service_name);
	model->service_name = talloc_strdup(model, record->name);
	model->schedule = (struct model_schedule){
		.everyday = record->schedule_everyday,
		.day = record->schedule_day,
		.start = record->schedule_start,
	};
	model->service_saved = true;
	return model->service_name != NULL;
}

bool service_record(TALLOC_CTX *mem_ctx, struct model *model,
		    struct change_list *changes)
{
	struct istm_state_data data = {
		.kind = ISTM_STATE_SERVICE,
		.body.service =
			{
				.guid = model->service_guid,
				.name = model->service_name,
				.schedule_start = model->schedule.start,
				.schedule_everyday = model->schedule.everyday,
				.schedule_day = model->schedule.day,
			},
	};

	return change_add_record(mem_ctx, changes, "service", &data);
}

struct name_change {
	char *previous;
};

static void service_named(struct model *model, int error, void *private_data)
{
	struct name_change *change = private_data;

	if (error != 0) {
		talloc_free(model->service_name);
		model->service_name = talloc_steal(model, change->previous);
	}
}

struct tevent_req *model_service_set_name_send(TALLOC_CTX *mem_ctx,
					       struct model *model,
					       const char *name)
{
	HRESULT hr = model_check_string("service's name", name);
	struct change_list changes = {NULL, 0};
	struct name_change *change;
	char *copy;

	if (ISTM_FAILED(hr)) {
		return model_req_failed(mem_ctx, model, hr);
	}
	change = talloc_zero(model, struct name_change);
	copy = talloc_strdup(model, name);
	if (change == NULL || copy == NULL) {
		talloc_free(change);
		talloc_free(copy);
		return NULL;
	}
	change->previous = talloc_steal(change, model->service_name);
	model->service_name = copy;
	if (!service_record(change, model, &changes)) {
		service_named(model, ENOMEM, change);
		talloc_free(change);
		return model_req_failed(mem_ctx, model, ISTM_OUT_OF_MEMORY);
	}
	return model_commit_send(mem_ctx, model, &changes, service_named,
				 change);
}

HRESULT model_service_set_name_recv(struct tevent_req *req)
{
	return model_req_recv(req);
}

/* ---- snapshot schedule ---- */

void model_schedule(struct model *model, struct model_schedule *schedule)
{
	*schedule = model->schedule;
}

static void schedule_kept(struct model *model, int error, void *private_data)
{
	if (error != 0) {
		model->schedule = *(struct model_schedule *)private_data;
	}
}

struct tevent_req *model_schedule_set_send(
	TALLOC_CTX *mem_ctx, struct model *model,
	const struct model_schedule *schedule)
{
	struct change_list changes = {NULL, 0};
	struct model_schedule *previous;

	if (schedule->day > 6) {
		return model_req_failed(mem_ctx, model,
					model_refuse(ISTM_INVALID_ARG,
						     "snapshot schedule: there "
						     "is no day %u",
						     (unsigned)schedule->day));
	}
	previous =
		talloc_memdup(model, &model->schedule, sizeof(model->schedule));
	if (previous == NULL) {
		return NULL;
	}
	model->schedule = *schedule;
	if (!service_record(previous, model, &changes)) {
		model->schedule = *previous;
		talloc_free(previous);
		return model_req_failed(mem_ctx, model, ISTM_OUT_OF_MEMORY);
	}
	return model_commit_send(mem_ctx, model, &changes, schedule_kept,
				 previous);
}

HRESULT model_schedule_set_recv(struct tevent_req *req)
{
	return model_req_recv(req);
}

/* ---- iSNS servers ---- */
/* A handful; their list is walked. */

static struct sns_entry *sns_find(struct model *model, const char *name)
{
	struct list_head *pos;

	list_for_each (pos, &model->sns_servers) {
		struct sns_entry *entry =
			list_entry(pos, struct sns_entry, link);

		if (utf8_equal_fold(entry->name, name)) {
			return entry;
		}
	}
	return NULL;
}

size_t model_sns_servers(struct model *model, TALLOC_CTX *mem_ctx,
			 const char ***names)
{
	struct list_head *pos;
	size_t num = 0;

	list_for_each (pos, &model->sns_servers) {
		num++;
	}
	*names = talloc_array(mem_ctx, const char *, num);
	if (*names == NULL) {
		return 0;
	}
	num = 0;
	list_for_each (pos, &model->sns_servers) {
		(*names)[num++] = talloc_strdup(
			*names, list_entry(pos, struct sns_entry, link)->name);
	}
	return num;
}

static struct sns_entry *sns_create(struct model *model, const char *name)
{
	struct sns_entry *entry = talloc_zero(model, struct sns_entry);

	if (entry == NULL) {
		return NULL;
	}
	entry->name = talloc_strdup(entry, name);
	if (entry->name == NULL) {
		talloc_free(entry);
		return NULL;
	}
	entry->id = ++model->generation;
	list_add_tail(&entry->link, &model->sns_servers);
	return entry;
}

bool sns_load(struct model *model, const struct istm_state_sns_server *record)
{
	struct sns_entry *entry = sns_find(model, record->name);

	if (entry == NULL) {
		entry = sns_create(model, record->name);
	}
	if (entry != NULL) {
		entry->saved = true;
	}
	return entry != NULL;
}

static char *sns_key(TALLOC_CTX *mem_ctx, const char *name)
{
	char *folded = utf8_fold(mem_ctx, name);

	return folded == NULL ? NULL
			      : talloc_asprintf(mem_ctx, "sns:%s", folded);
}

struct sns_change {
	char *name;
	uint64_t id; /* of the entry that is added */
};

static void sns_added(struct model *model, int error, void *private_data)
{
	const struct sns_change *change = private_data;
	struct sns_entry *entry = sns_find(model, change->name);

	if (entry == NULL || entry->id != change->id) {
		return; /* removed meanwhile */
	}
	entry->pending--;
	entry->saved |= error == 0;
	if (!entry->saved && entry->pending == 0) {
		list_del(&entry->link);
		talloc_free(entry);
	}
}

static void sns_removed(struct model *model, int error, void *private_data)
{
	const struct sns_change *change = private_data;
	struct sns_entry *entry;

	if (error != 0 && sns_find(model, change->name) == NULL) {
		entry = sns_create(model, change->name);
		if (entry != NULL) {
			entry->saved = true;
		}
	}
}

static struct sns_change *sns_change(struct model *model, const char *name)
{
	struct sns_change *change = talloc_zero(model, struct sns_change);

	if (change != NULL) {
		change->name = talloc_strdup(change, name);
	}
	if (change == NULL || change->name == NULL) {
		TALLOC_FREE(change);
	}
	return change;
}

/* MS-ISTM 3.40.4.2 */
struct tevent_req *model_sns_server_add_send(TALLOC_CTX *mem_ctx,
					     struct model *model,
					     const char *name)
{
	HRESULT hr = model_check_string("iSNS server's name", name);
	struct istm_state_data data = {
		.kind = ISTM_STATE_SNS_SERVER,
		.body.sns_server = {.name = name},
	};
	struct change_list changes = {NULL, 0};
	struct sns_change *change;
	struct sns_entry *entry;
	struct tevent_req *req = NULL;

	if (!ISTM_FAILED(hr) && name[0] == '\0') {
		hr = model_refuse(ISTM_INVALID_ARG,
				  "iSNS server: the name is empty");
	}
	if (ISTM_FAILED(hr)) {
		return model_req_failed(mem_ctx, model, hr);
	}
	entry = sns_find(model, name);
	if (entry != NULL && entry->saved) {
		return model_req_failed(mem_ctx, model, ISTM_S_OK);
	}
	/* One that is about to be kept is not yet: commit it as well. */
	if (entry == NULL) {
		log_msg(LOG_INFO, "iSNS server %s: added", name);
		entry = sns_create(model, name);
	}
	change = sns_change(model, name);
	if (entry != NULL && change != NULL &&
	    change_add_record(change, &changes, sns_key(change, name), &data)) {
		change->id = entry->id;
		entry->pending++;
		req = model_commit_send(mem_ctx, model, &changes, sns_added,
					change);
		entry->pending -= req == NULL;
	} else {
		talloc_free(change);
	}
	if (req == NULL && entry != NULL && entry->pending == 0) {
		list_del(&entry->link);
		talloc_free(entry);
	}
	return req;
}

HRESULT model_sns_server_add_recv(struct tevent_req *req)
{
	return model_req_recv(req);
}

/* MS-ISTM 3.40.4.3 */
struct tevent_req *model_sns_server_remove_send(TALLOC_CTX *mem_ctx,
						struct model *model,
						const char *name)
{
	HRESULT hr = model_check_string("iSNS server's name", name);

	struct sns_entry *entry =
		ISTM_FAILED(hr) ? NULL : sns_find(model, name);
	struct change_list changes = {NULL, 0};
	struct sns_change *change;

	if (!ISTM_FAILED(hr) && entry == NULL) {
		hr = model_refuse(ISTM_FILE_NOT_FOUND,
				  "iSNS server %s: not configured", name);
	}
	if (ISTM_FAILED(hr)) {
		return model_req_failed(mem_ctx, model, hr);
	}
	change = sns_change(model, entry->name);
	if (change == NULL ||
	    !change_add(change, &changes, sns_key(change, name), NULL)) {
		talloc_free(change);
		return NULL;
	}
	log_msg(LOG_INFO, "iSNS server %s: removed", name);
	list_del(&entry->link);
	talloc_free(entry);
	return model_commit_send(mem_ctx, model, &changes, sns_removed, change);
}

HRESULT model_sns_server_remove_recv(struct tevent_req *req)
{
	return model_req_recv(req);
}
