/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Initiators that logged in or tried to: MS-ISTM 3.4. */
#include <string.h>

#include "server/core/utf8.h"
#include "server/model/private.h"

/* They expire seven days after their last attempt (3.4.2). */
#define INITIATOR_LIFE (7ull * 24 * 3600 * 10000000)
/* Anybody on the network may try any number of names. */
#define INITIATORS_MAX 4096

static void initiator_free(struct model *model, struct initiator_entry *entry)
{
	hash_del(&model->initiators_by_iqn, &entry->by_iqn);
	list_del(&entry->link);
	talloc_free(entry);
}

static void initiators_expire(struct model *model)
{
	uint64_t now = filetime_now();

	while (!list_empty(&model->initiators)) {
		struct initiator_entry *oldest = list_entry(
			model->initiators.next, struct initiator_entry, link);

		if (oldest->i.last_login + INITIATOR_LIFE > now &&
		    model->initiators_by_iqn.count <= INITIATORS_MAX) {
			break;
		}
		initiator_free(model, oldest);
	}
}

static struct initiator_entry *initiator_find(struct model *model,
					      const char *iqn, uint64_t hash)
{
	struct hash_node *node;

	for (node = hash_first(&model->initiators_by_iqn, hash); node != NULL;
	     node = hash_next(node, hash)) {
		struct initiator_entry *entry =
			hash_entry(node, struct initiator_entry, by_iqn);

		if (strcmp(entry->i.iqn, iqn) == 0) {
			return entry;
		}
	}
	return NULL;
}

void initiator_seen(struct model *model, const char *name)
{
	char *iqn = utf8_lower(model, name);
	uint64_t hash = iqn == NULL ? 0 : hash_string(iqn);
	struct initiator_entry *entry;

	if (iqn == NULL || !utf8_valid(iqn)) {
		talloc_free(iqn);
		return;
	}
	entry = initiator_find(model, iqn, hash);
	if (entry != NULL) {
		talloc_free(iqn);
	} else {
		entry = talloc_zero(model, struct initiator_entry);
		if (entry == NULL) {
			talloc_free(iqn);
			return;
		}
		entry->i.iqn = talloc_steal(entry, iqn);
		list_init(&entry->link);
		if (!hash_add(&model->initiators_by_iqn, &entry->by_iqn,
			      hash)) {
			talloc_free(entry);
			return;
		}
	}
	entry->i.last_login = filetime_now();
	list_del(&entry->link);
	list_add_tail(&entry->link, &model->initiators);
	initiators_expire(model);
}

size_t model_cached_initiators(struct model *model, TALLOC_CTX *mem_ctx,
			       struct model_cached_initiator **initiators)
{
	struct list_head *pos;
	size_t num = 0;

	initiators_expire(model);
	*initiators = talloc_array(mem_ctx, struct model_cached_initiator,
				   model->initiators_by_iqn.count);
	if (*initiators == NULL) {
		return 0;
	}
	list_for_each (pos, &model->initiators) {
		struct initiator_entry *entry =
			list_entry(pos, struct initiator_entry, link);

		(*initiators)[num].iqn =
			talloc_strdup(*initiators, entry->i.iqn);
		(*initiators)[num].last_login = entry->i.last_login;
		if ((*initiators)[num].iqn != NULL) {
			num++;
		}
	}
	return num;
}
