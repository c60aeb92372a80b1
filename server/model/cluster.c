/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Resource groups. What a cluster knows comes from a provider; without one
 * this is a machine by itself, and the answers are MS-ISTM's for that.
 */
#include <string.h>

#include "server/core/utf8.h"
#include "server/model/private.h"

void model_set_cluster_provider(struct model *model,
				const struct model_cluster_provider *provider,
				void *private_data)
{
	model->cluster = provider;
	model->cluster_data = private_data;
}

bool model_is_clustered(struct model *model)
{
	return model->cluster != NULL;
}

static bool is_empty(const char *s)
{
	return s == NULL || s[0] == '\0';
}

HRESULT model_groups(struct model *model, TALLOC_CTX *mem_ctx, bool local_only,
		     struct model_group **groups, size_t *num)
{
	size_t all, kept = 0;

	*groups = NULL;
	*num = 0;
	if (model->cluster == NULL) {
		return ISTM_NOT_IMPLEMENTED;
	}
	all = model->cluster->groups(model->cluster_data, mem_ctx, groups);
	for (size_t i = 0; i < all; i++) {
		if (!local_only || (*groups)[i].local) {
			(*groups)[kept++] = (*groups)[i];
		}
	}
	*num = kept;
	return ISTM_S_OK;
}

HRESULT model_group_guid(struct model *model, const char *group,
			 struct GUID *guid)
{
	struct model_group *groups = NULL;
	HRESULT hr = ISTM_INVALID_HANDLE;
	size_t num;

	*guid = (struct GUID){0};
	if (is_empty(group)) {
		return model_refuse(ISTM_INVALID_ARG,
				    "resource group: the name is empty");
	}
	if (ISTM_FAILED(model_groups(model, model, false, &groups, &num))) {
		num = 0;
	}
	for (size_t i = 0; i < num; i++) {
		if (utf8_equal_fold(groups[i].name, group)) {
			*guid = groups[i].guid;
			hr = ISTM_S_OK;
		}
	}
	talloc_free(groups);
	if (ISTM_FAILED(hr)) {
		model_refuse(hr, "resource group %.300s: there is none", group);
	}
	return hr;
}

HRESULT model_group_of_path(struct model *model, TALLOC_CTX *mem_ctx,
			    const char *path, const char **group)
{
	struct model_volume *volume = NULL;
	HRESULT hr;

	*group = NULL;
	if (is_empty(path)) {
		return model_refuse(ISTM_INVALID_ARG,
				    "resource group: the path is empty");
	}
	hr = model_volume_of_path(model, mem_ctx, path, &volume);
	if (ISTM_FAILED(hr)) {
		return ISTM_INVALID_ARG;
	}
	*group = model_volume_group(model, mem_ctx, volume);
	talloc_free(volume);
	return *group == NULL ? ISTM_OUT_OF_MEMORY : ISTM_S_OK;
}

HRESULT model_group_rename(struct model *model, const char *group,
			   const char *name)
{
	if (is_empty(group) || is_empty(name) || !utf8_valid(name)) {
		return model_refuse(ISTM_INVALID_ARG,
				    "resource group: an empty name");
	}
	if (model->cluster == NULL) {
		return model_refuse(ISTM_INVALID_HANDLE,
				    "resource group %.300s: this machine is "
				    "in no cluster",
				    group);
	}
	return model->cluster->rename(model->cluster_data, group, name);
}

HRESULT model_group_owner(struct model *model, TALLOC_CTX *mem_ctx,
			  const char *group, const char **node)
{
	*node = NULL;
	/* Unlike all siblings, as written (3.32.4.10). */
	if (is_empty(group)) {
		return model_refuse(ISTM_POINTER,
				    "resource group: the name is empty");
	}
	if (model->cluster != NULL) {
		*node = model->cluster->owner(model->cluster_data, mem_ctx,
					      group);
	}
	return *node != NULL
		       ? ISTM_S_OK
		       : model_refuse(ISTM_INVALID_HANDLE,
				      "resource group %.300s: there is none",
				      group);
}

int32_t model_resource_state(struct model *model, const struct GUID *guid)
{
	return model->cluster == NULL
		       ? MODEL_RESOURCE_STATE_UNKNOWN
		       : model->cluster->resource_state(model->cluster_data,
							guid);
}

int32_t model_disk_resource_state(struct model *model,
				  const struct model_disk *disk)
{
	if (model->cluster == NULL && disk_entry(disk)->online) {
		return MODEL_RESOURCE_STATE_ONLINE;
	}
	return model_resource_state(model, &disk->guid);
}

bool model_target_online(struct model *model, const struct model_target *target)
{
	return model->cluster == NULL ||
	       model_resource_state(model, &target->guid) ==
		       MODEL_RESOURCE_STATE_ONLINE;
}

/* Outside a cluster everything is. */
bool model_disk_online(struct model *model, const struct model_disk *disk)
{
	return model->cluster == NULL ||
	       model_disk_resource_state(model, disk) ==
		       MODEL_RESOURCE_STATE_ONLINE;
}

static const char *group_of_volume(struct model *model, TALLOC_CTX *mem_ctx,
				   const struct GUID *volume)
{
	return model->cluster == NULL
		       ? ""
		       : model->cluster->group_of_volume(model->cluster_data,
							 mem_ctx, volume);
}

const char *model_volume_group(struct model *model, TALLOC_CTX *mem_ctx,
			       const struct model_volume *volume)
{
	return group_of_volume(model, mem_ctx, &volume->guid);
}

const char *model_disk_group(struct model *model, TALLOC_CTX *mem_ctx,
			     const struct model_disk *disk)
{
	const struct volume *volume = disk_entry(disk)->volume;

	return volume == NULL ? ""
			      : group_of_volume(model, mem_ctx, &volume->guid);
}
