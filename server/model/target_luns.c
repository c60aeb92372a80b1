/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which disk is which LUN of which target. */
#include <string.h>

#include "server/model/private.h"

static uint64_t mapping_hash(const struct target_entry *target,
			     const struct disk_entry *disk)
{
	const void *const key[2] = {target, disk};

	return hash_bytes(key, sizeof(key));
}

struct mapping *target_mapping(struct target_entry *target,
			       const struct disk_entry *disk)
{
	uint64_t hash = mapping_hash(target, disk);
	struct hash_node *node;

	for (node = hash_first(&target->model->mappings, hash); node != NULL;
	     node = hash_next(node, hash)) {
		struct mapping *m = hash_entry(node, struct mapping, node);

		if (m->target == target && m->disk == disk) {
			return m;
		}
	}
	return NULL;
}

/* Position of a LUN in the ascending array, or where it belongs. */
static size_t lun_position(const struct model_target *t, uint32_t lun)
{
	size_t low = 0, high = t->num_mappings;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (t->mappings[middle].lun < lun) {
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	return low;
}

static bool lun_used(const struct target_entry *target, uint32_t lun)
{
	return (target->luns[lun / 64] & 1ull << lun % 64) != 0;
}

static uint32_t lun_lowest_free(const struct target_entry *target)
{
	for (uint32_t word = 0; word < (target->model->max_luns + 63) / 64;
	     word++) {
		if (target->luns[word] != UINT64_MAX) {
			return word * 64 + __builtin_ctzll(~target->luns[word]);
		}
	}
	return UINT32_MAX;
}

HRESULT target_map(struct target_entry *target, struct disk_entry *disk,
		   uint32_t lun)
{
	struct model_target *t = &target->t;
	size_t at = lun_position(t, lun);
	struct model_mapping *mappings;
	struct mapping *m = talloc_zero(target, struct mapping);

	if (m == NULL) {
		return ISTM_OUT_OF_MEMORY;
	}
	mappings = talloc_realloc(target, t->mappings, struct model_mapping,
				  t->num_mappings + 1);
	if (mappings != NULL) {
		t->mappings = mappings;
	}
	if (mappings == NULL || !hash_add(&target->model->mappings, &m->node,
					  mapping_hash(target, disk))) {
		talloc_free(m);
		return ISTM_OUT_OF_MEMORY;
	}
	memmove(&mappings[at + 1], &mappings[at],
		(t->num_mappings - at) * sizeof(mappings[0]));
	mappings[at].lun = lun;
	mappings[at].disk = disk->d.index;
	t->num_mappings++;
	target->luns[lun / 64] |= 1ull << lun % 64;
	m->target = target;
	m->disk = disk;
	m->lun = lun;
	list_add_tail(&m->link_target, &target->mappings);
	list_add_tail(&m->link_disk, &disk->mappings);
	return ISTM_S_OK;
}

void target_unmap(struct target_entry *target, struct mapping *m)
{
	struct model_target *t = &target->t;
	size_t at = lun_position(t, m->lun);

	memmove(&t->mappings[at], &t->mappings[at + 1],
		(t->num_mappings - at - 1) * sizeof(t->mappings[0]));
	t->num_mappings--;
	target->luns[m->lun / 64] &= ~(1ull << m->lun % 64);
	hash_del(&target->model->mappings, &m->node);
	list_del(&m->link_target);
	list_del(&m->link_disk);
	talloc_free(m);
}

/* Another LUN, a free one. Nothing is allocated: it cannot fail. */
static void target_remap(struct target_entry *target, struct mapping *m,
			 uint32_t lun)
{
	struct model_target *t = &target->t;
	size_t from = lun_position(t, m->lun), to = lun_position(t, lun);
	struct model_mapping moved = t->mappings[from];

	if (to > from) {
		to--; /* what lies between moves down */
		memmove(&t->mappings[from], &t->mappings[from + 1],
			(to - from) * sizeof(t->mappings[0]));
	} else {
		memmove(&t->mappings[to + 1], &t->mappings[to],
			(from - to) * sizeof(t->mappings[0]));
	}
	moved.lun = lun;
	t->mappings[to] = moved;
	target->luns[m->lun / 64] &= ~(1ull << m->lun % 64);
	target->luns[lun / 64] |= 1ull << lun % 64;
	m->lun = lun;
}

void disk_unmap_all(struct disk_entry *disk)
{
	while (!list_empty(&disk->mappings)) {
		struct mapping *m = list_entry(disk->mappings.next,
					       struct mapping, link_disk);
		struct target_entry *target = m->target;

		target_unmap(target, m);
		target_changed(target);
	}
}

void disk_publish_targets(struct disk_entry *disk)
{
	struct list_head *pos;

	list_for_each (pos, &disk->mappings) {
		target_publish(
			list_entry(pos, struct mapping, link_disk)->target);
	}
}

static struct disk_entry *disk_of_index(struct model *model, uint32_t index)
{
	struct model_disk *disk = model_disk_by_index(model, index);

	return disk == NULL ? NULL : disk_entry(disk);
}

/* MS-ISTM 3.21.4.45 */
HRESULT model_target_add_disk(struct model *model, struct model_target *t,
			      uint32_t index)
{
	struct target_entry *target = target_entry(t);
	struct disk_entry *disk = disk_of_index(model, index);
	uint32_t lun;
	HRESULT hr;

	if (disk != NULL && target_mapping(target, disk) != NULL) {
		return ISTM_S_OK;
	}
	if (disk == NULL) {
		return model_refuse(ISTM_FILE_NOT_FOUND,
				    "target %s: there is no disk %u", t->name,
				    (unsigned)index);
	}
	if (disk->d.deleting) {
		return model_refuse(ISTM_DELETE_PENDING,
				    "target %s: disk %u is being deleted",
				    t->name, (unsigned)index);
	}
	lun = lun_lowest_free(target);
	if (lun >= model->max_luns) {
		return model_refuse(ISTM_HANDLE_EOF,
				    "target %s: has %u disks already", t->name,
				    (unsigned)model->max_luns);
	}
	hr = target_map(target, disk, lun);
	if (ISTM_FAILED(hr)) {
		return hr;
	}
	if (target_publish(target) != 0) {
		target_unmap(target, target_mapping(target, disk));
		return ISTM_INVALID_FUNCTION;
	}
	log_msg(LOG_INFO, "target %s: disk %u is LUN %u", t->name,
		(unsigned)index, (unsigned)lun);
	model_emit_target(model, MODEL_EVENT_TARGET_CHANGED, t);
	model_emit_luns(model);
	disk_tell_new_status(disk);
	return ISTM_S_OK;
}

/* MS-ISTM 3.21.4.46 */
HRESULT model_target_remove_disk(struct model *model, struct model_target *t,
				 uint32_t index)
{
	struct target_entry *target = target_entry(t);
	struct disk_entry *disk = disk_of_index(model, index);
	struct mapping *m = disk == NULL ? NULL : target_mapping(target, disk);

	if (m == NULL) {
		return model_refuse(ISTM_FILE_NOT_FOUND,
				    "target %s: disk %u is not assigned to it",
				    t->name, (unsigned)index);
	}
	log_msg(LOG_INFO, "target %s: disk %u, LUN %u, taken away", t->name,
		(unsigned)index, (unsigned)m->lun);
	target_unmap(target, m);
	target_changed(target);
	model_emit_luns(model);
	disk_tell_new_status(disk);
	return ISTM_S_OK;
}

HRESULT model_target_remove_all_disks(struct model *model,
				      struct model_target *t)
{
	struct target_entry *target = target_entry(t);
	struct disk_entry **disks;
	size_t num = 0;

	if (t->num_mappings == 0) {
		return ISTM_S_OK;
	}
	log_msg(LOG_INFO, "target %s: all disks taken away", t->name);
	disks = talloc_array(target, struct disk_entry *, t->num_mappings);
	while (!list_empty(&target->mappings)) {
		struct mapping *m = list_entry(target->mappings.next,
					       struct mapping, link_target);

		if (disks != NULL) {
			disks[num++] = m->disk;
		}
		target_unmap(target, m);
	}
	target_changed(target);
	model_emit_luns(model);
	for (size_t i = 0; i < num; i++) {
		disk_tell_new_status(disks[i]);
	}
	talloc_free(disks);
	return ISTM_S_OK;
}

/* MS-ISTM 3.21.4.48: the LUN is looked at first, then the disk. */
HRESULT model_target_set_lun(struct model *model, struct model_target *t,
			     uint32_t index, uint32_t lun)
{
	struct target_entry *target = target_entry(t);
	struct disk_entry *disk = disk_of_index(model, index);
	struct mapping *m = disk == NULL ? NULL : target_mapping(target, disk);
	uint32_t before;

	if (lun >= model->max_luns) {
		return model_refuse(ISTM_INVALID_ARG,
				    "target %s: LUN %u is not below %u",
				    t->name, (unsigned)lun,
				    (unsigned)model->max_luns);
	}
	if (m != NULL && m->lun == lun) {
		return ISTM_S_OK;
	}
	if (lun_used(target, lun)) {
		return model_refuse(ISTM_FILE_EXISTS,
				    "target %s: LUN %u is taken", t->name,
				    (unsigned)lun);
	}
	if (m == NULL) {
		return model_refuse(ISTM_FILE_NOT_FOUND,
				    "target %s: disk %u is not assigned to it",
				    t->name, (unsigned)index);
	}
	before = m->lun;
	target_remap(target, m, lun);
	log_msg(LOG_INFO, "target %s: disk %u is LUN %u now, was %u", t->name,
		(unsigned)index, (unsigned)lun, (unsigned)before);
	target_changed(target);
	model_emit_luns(model);
	return ISTM_S_OK;
}

bool model_disk_assigned(const struct model_disk *disk)
{
	return !list_empty(&disk_entry(disk)->mappings);
}
