/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Properties of a target and who may use it: IHost, MS-ISTM 3.21 and 3.23. */
#include <string.h>

#include "server/core/utf8.h"
#include "server/model/names.h"
#include "server/model/private.h"

/* A table finds an element by the folded key of its name. */
static bool rehash(struct hash *hash, struct hash_node *node, const char *key)
{
	char *folded = utf8_fold(NULL, key);
	uint64_t value;

	if (folded == NULL) {
		return false;
	}
	value = hash_string(folded);
	talloc_free(folded);
	hash_del(hash, node);
	return hash_add(hash, node, value);
}

static HRESULT set_string(struct target_entry *entry, const char **field,
			  const char *what, const char *value, bool secret)
{
	HRESULT hr = model_check_string(what, value);
	char *copy;

	if (ISTM_FAILED(hr)) {
		return hr;
	}
	copy = secret ? secret_strdup(entry, value)
		      : talloc_strdup(entry, value);
	if (copy == NULL) {
		return ISTM_OUT_OF_MEMORY;
	}
	talloc_free(discard_const_p(char, *field));
	*field = copy;
	target_changed(entry);
	return ISTM_S_OK;
}

HRESULT model_target_set_name(struct model *model, struct model_target *t,
			      const char *name)
{
	struct target_entry *entry = target_entry(t);
	struct model_target *other;
	char *copy;

	if (name == NULL || !name_valid_target(name)) {
		return model_refuse(ISTM_INVALID_DATA,
				    "target %s: new name '%.300s' is no iSCSI "
				    "name",
				    t->name, name == NULL ? "" : name);
	}
	other = model_target_by_name(model, name);
	if (other != NULL && other != t) {
		return model_refuse(ISTM_FILE_EXISTS,
				    "target %s: new name %s is another "
				    "target's",
				    t->name, name);
	}
	copy = talloc_strdup(entry, name);
	if (copy == NULL ||
	    !rehash(&model->targets_by_name, &entry->by_name, name)) {
		talloc_free(copy);
		return ISTM_OUT_OF_MEMORY;
	}
	talloc_free(discard_const_p(char, t->name));
	t->name = copy;
	target_changed(entry);
	return ISTM_S_OK;
}

HRESULT model_target_set_iqn(struct model *model, struct model_target *t,
			     const char *iqn)
{
	struct target_entry *entry = target_entry(t);
	struct model_target *other;
	const char *before = t->iqn;
	char *copy;

	if (iqn == NULL || !name_valid_iscsi(iqn)) {
		return model_refuse(ISTM_INVALID_DATA,
				    "target %s: '%.300s' is no IQN", t->name,
				    iqn == NULL ? "" : iqn);
	}
	other = model_target_by_iqn(model, iqn);
	if (other != NULL && other != t) {
		return model_refuse(ISTM_FILE_EXISTS,
				    "target %s: IQN %s is target %s's", t->name,
				    iqn, other->name);
	}
	copy = name_normalise_iscsi(entry, iqn);
	if (copy == NULL ||
	    !rehash(&model->targets_by_iqn, &entry->by_iqn, copy)) {
		talloc_free(copy);
		return ISTM_OUT_OF_MEMORY;
	}
	t->iqn = copy;
	if (target_publish(entry) != 0) {
		t->iqn = before;
		rehash(&model->targets_by_iqn, &entry->by_iqn, before);
		talloc_free(copy);
		target_publish(entry);
		return ISTM_INVALID_FUNCTION;
	}
	talloc_free(discard_const_p(char, before));
	model_emit_target(model, MODEL_EVENT_TARGET_CHANGED, t);
	return ISTM_S_OK;
}

HRESULT model_target_set_description(struct model *model,
				     struct model_target *t, const char *value)
{
	return set_string(target_entry(t), &t->description,
			  "target's description", value, false);
}

HRESULT model_target_set_resource_name(struct model *model,
				       struct model_target *t,
				       const char *value)
{
	if (value == NULL || value[0] == '\0') {
		return model_refuse(ISTM_INVALID_ARG,
				    "target %s: an empty resource name",
				    t->name);
	}
	return set_string(target_entry(t), &t->resource_name,
			  "target's resource name", value, false);
}

HRESULT model_target_set_chap_user(struct model *model, struct model_target *t,
				   const char *value)
{
	return set_string(target_entry(t), &t->chap_user, "CHAP user", value,
			  false);
}

HRESULT model_target_set_chap_secret(struct model *model,
				     struct model_target *t, const char *value)
{
	return set_string(target_entry(t), &t->chap_secret, "CHAP secret",
			  value, true);
}

HRESULT model_target_set_reverse_chap_user(struct model *model,
					   struct model_target *t,
					   const char *value)
{
	return set_string(target_entry(t), &t->reverse_chap_user,
			  "reverse CHAP user", value, false);
}

HRESULT model_target_set_reverse_chap_secret(struct model *model,
					     struct model_target *t,
					     const char *value)
{
	return set_string(target_entry(t), &t->reverse_chap_secret,
			  "reverse CHAP secret", value, true);
}

static HRESULT set_bool(struct target_entry *entry, bool *field, bool value)
{
	if (*field != value) {
		*field = value;
		target_changed(entry);
	}
	return ISTM_S_OK;
}

HRESULT model_target_set_enabled(struct model *model, struct model_target *t,
				 bool value)
{
	return set_bool(target_entry(t), &t->enabled, value);
}

HRESULT model_target_set_chap(struct model *model, struct model_target *t,
			      bool value)
{
	return set_bool(target_entry(t), &t->chap, value);
}

HRESULT model_target_set_reverse_chap(struct model *model,
				      struct model_target *t, bool value)
{
	return set_bool(target_entry(t), &t->reverse_chap, value);
}

HRESULT model_target_set_enforce_idle_timeout(struct model *model,
					      struct model_target *t,
					      bool value)
{
	return set_bool(target_entry(t), &t->enforce_idle_timeout, value);
}

static HRESULT set_number(struct target_entry *entry, uint32_t *field,
			  const char *what, uint32_t least, uint32_t most,
			  uint32_t value)
{
	if (value < least || value > most) {
		return model_refuse(ISTM_INVALID_ARG,
				    "target %s: %s %u is not within %u..%u",
				    entry->t.name, what, (unsigned)value,
				    (unsigned)least, (unsigned)most);
	}
	if (*field != value) {
		*field = value;
		target_changed(entry);
	}
	return ISTM_S_OK;
}

/* 512 to 2^24-1: Appendix B <23>, <25>, <27>; RFC 7143 13.12 to 13.14 */
#define LENGTH_MIN 512
#define LENGTH_MAX 16777215

HRESULT model_target_set_max_recv_data_segment_length(struct model *model,
						      struct model_target *t,
						      uint32_t value)
{
	return set_number(target_entry(t), &t->max_recv_data_segment_length,
			  "MaxRecvDataSegmentLength", LENGTH_MIN, LENGTH_MAX,
			  value);
}

HRESULT model_target_set_first_burst_length(struct model *model,
					    struct model_target *t,
					    uint32_t value)
{
	return set_number(target_entry(t), &t->first_burst_length,
			  "FirstBurstLength", LENGTH_MIN, LENGTH_MAX, value);
}

HRESULT model_target_set_max_burst_length(struct model *model,
					  struct model_target *t,
					  uint32_t value)
{
	return set_number(target_entry(t), &t->max_burst_length,
			  "MaxBurstLength", LENGTH_MIN, LENGTH_MAX, value);
}

HRESULT model_target_set_num_recv_buffers(struct model *model,
					  struct model_target *t,
					  uint32_t value)
{
	return set_number(target_entry(t), &t->num_recv_buffers,
			  "NumRecvBuffers", 1, 128, value);
}

/* MS-ISTM 3.21.4.55/.56, Appendix B <42>, <43> */
HRESULT model_target_validate_secret(struct model *model,
				     struct model_target *t, bool reverse,
				     const char *secret)
{
	const char *other = reverse ? t->chap_secret : t->reverse_chap_secret;
	size_t units;

	if (secret == NULL || !utf8_valid(secret)) {
		return model_refuse(ISTM_INVALID_ARG,
				    "target %s: the secret is no text",
				    t->name);
	}
	units = utf8_utf16_units(secret);
	if (units < 12 || units > 16) {
		return model_refuse(ISTM_BAD_LENGTH,
				    "target %s: a secret of %zu characters, "
				    "12 to 16 are allowed",
				    t->name, units);
	}
	if (strcmp(secret, other) == 0) {
		return model_refuse(ISTM_DUP_NAME,
				    "target %s: CHAP and reverse CHAP may not "
				    "share a secret",
				    t->name);
	}
	return ISTM_S_OK;
}

/* ---- who may log in ---- */

/* Position of the same identification, or num_ids. */
static size_t find_id(const struct model_target *t, enum iscsi_id_method method,
		      const char *canonical)
{
	size_t i = 0;

	while (i < t->num_ids &&
	       (t->ids[i].method != method ||
		strcmp(t->ids[i].canonical, canonical) != 0)) {
		i++;
	}
	return i;
}

HRESULT model_target_add_id(struct model *model, struct model_target *t,
			    const struct model_id *id)
{
	struct target_entry *entry = target_entry(t);
	struct model_id *ids;
	char *canonical, *value;

	if ((int)id->method < ISCSI_ID_NETBIOS ||
	    (int)id->method > ISCSI_ID_IPV6) {
		return model_refuse(ISTM_INVALID_ARG,
				    "target %s: method %d of identification "
				    "is reserved or unknown",
				    t->name, (int)id->method);
	}
	canonical = id->value == NULL
			    ? NULL
			    : name_canonical_id(entry, id->method, id->value);
	if (canonical == NULL) {
		return model_refuse(ISTM_INVALID_DATA,
				    "target %s: '%.300s' does not fit method "
				    "%d of identification",
				    t->name, id->value == NULL ? "" : id->value,
				    (int)id->method);
	}
	if (find_id(t, id->method, canonical) < t->num_ids) {
		talloc_free(canonical);
		return ISTM_S_OK;
	}
	value = talloc_strdup(entry, id->value);
	ids = talloc_realloc(entry, t->ids, struct model_id, t->num_ids + 1);
	if (ids != NULL) {
		t->ids = ids;
	}
	if (ids == NULL || value == NULL) {
		talloc_free(canonical);
		talloc_free(value);
		return ISTM_OUT_OF_MEMORY;
	}
	ids[t->num_ids++] = (struct model_id){
		.method = id->method,
		.value = talloc_steal(ids, value),
		.canonical = talloc_steal(ids, canonical),
	};
	target_changed(entry);
	return ISTM_S_OK;
}

HRESULT model_target_remove_id(struct model *model, struct model_target *t,
			       const struct model_id *id)
{
	struct target_entry *entry = target_entry(t);
	char *canonical;
	size_t i;

	canonical = id->value == NULL
			    ? NULL
			    : name_canonical_id(entry, id->method, id->value);
	if (canonical == NULL) {
		return ISTM_S_OK; /* so it cannot be there */
	}
	i = find_id(t, id->method, canonical);
	talloc_free(canonical);
	if (i == t->num_ids) {
		return ISTM_S_OK;
	}
	talloc_free(discard_const_p(char, t->ids[i].value));
	talloc_free(discard_const_p(char, t->ids[i].canonical));
	memmove(&t->ids[i], &t->ids[i + 1],
		(t->num_ids - i - 1) * sizeof(t->ids[0]));
	t->num_ids--;
	target_changed(entry);
	return ISTM_S_OK;
}

HRESULT model_target_remove_all_ids(struct model *model, struct model_target *t)
{
	TALLOC_FREE(t->ids);
	t->num_ids = 0;
	target_changed(target_entry(t));
	return ISTM_S_OK;
}
