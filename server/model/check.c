/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What is always true of the model between two events, for tests: each object
 * is found by every key that it has and by no other, every link leads back, and
 * what is kept twice is the same.
 */
#include <string.h>

#include "server/model/private.h"

struct check {
	TALLOC_CTX *mem_ctx;
	struct model *model;
	const char *wrong; /* the first thing */
};

static void __attribute__((format(printf, 3, 4)))
expect(struct check *c, bool good, const char *fmt, ...)
{
	va_list ap;

	if (good || c->wrong != NULL) {
		return;
	}
	va_start(ap, fmt);
	c->wrong = talloc_vasprintf(c->mem_ctx, fmt, ap);
	va_end(ap);
	if (c->wrong == NULL) {
		c->wrong = fmt;
	}
}

static size_t list_length(const struct list_head *head)
{
	const struct list_head *pos;
	size_t n = 0;

	list_for_each (pos, head) {
		n++;
	}
	return n;
}

/* ---- disks ---- */

static void check_disk_files(struct check *c, const struct disk_entry *d)
{
	const struct model_disk *found;

	/* What is being made or deleted has one before or after the other. */
	expect(c,
	       d->pending || d->opening || d->d.deleting || d->op != NULL ||
		       (d->vhd == NULL) == (d->lu == NULL),
	       "disk %u: open or with the engine, not both",
	       (unsigned)d->d.index);
	expect(c, !d->by_file.linked || d->vhd != NULL,
	       "disk %u: found by a file that it has not open",
	       (unsigned)d->d.index);
	if (!d->pending) {
		found = model_disk_by_index(c->model, d->d.index);
		expect(c, found == &d->d, "disk %u: not found by its index",
		       (unsigned)d->d.index);
		found = model_disk_by_guid(c->model, &d->d.guid);
		expect(c, found == &d->d, "disk %u: not found by its GUID",
		       (unsigned)d->d.index);
	}
	if (d->d.index < INDEX_SET_SIZE) {
		const uint64_t *word =
			&c->model->indices.bottom[d->d.index / 64];

		expect(c, (*word & 1ull << d->d.index % 64) != 0,
		       "disk %u: its index counts as free",
		       (unsigned)d->d.index);
	}
}

static void check_disk(struct check *c, const struct disk_entry *d)
{
	const struct list_head *pos;

	check_disk_files(c, d);
	list_for_each (pos, &d->mappings) {
		const struct mapping *m =
			list_entry(pos, struct mapping, link_disk);

		expect(c, m->disk == d, "disk %u: has another's mapping",
		       (unsigned)d->d.index);
		expect(c, target_mapping(m->target, d) == m,
		       "disk %u: its mapping to %s is not found",
		       (unsigned)d->d.index, m->target->t.name);
	}
	expect(c, !d->pending || list_empty(&d->mappings),
	       "disk %u: mapped before it is there", (unsigned)d->d.index);
	list_for_each (pos, &d->snapshots) {
		const struct snapshot_entry *s =
			list_entry(pos, struct snapshot_entry, link_disk);

		expect(c, s->disk == d, "disk %u: has another's snapshot",
		       (unsigned)d->d.index);
	}
	expect(c, d->d.path != NULL && d->d.description != NULL,
	       "disk %u: has no path or description", (unsigned)d->d.index);
}

static void check_disks(struct check *c)
{
	struct model *model = c->model;
	const struct list_head *pos;
	size_t num = 0, of_volumes = 0, with_volume = 0;

	list_for_each (pos, &model->disks) {
		const struct disk_entry *d =
			list_entry(pos, struct disk_entry, link);

		check_disk(c, d);
		num++;
		with_volume += d->volume != NULL;
	}
	for (const struct volume *v = model->volumes; v != NULL; v = v->next) {
		of_volumes += list_length(&v->disks);
	}
	expect(c, of_volumes == with_volume,
	       "the volumes have %zu disks, not %zu", of_volumes, with_volume);
	expect(c, model->disks_by_guid.count == num, "%zu disks, %zu by GUID",
	       num, model->disks_by_guid.count);
	expect(c, model->disks_by_index.count == num, "%zu disks, %zu by index",
	       num, model->disks_by_index.count);
}

/* ---- targets ---- */

static bool lun_is_used(const struct target_entry *t, uint32_t lun)
{
	return lun < t->model->max_luns &&
	       (t->luns[lun / 64] & 1ull << lun % 64) != 0;
}

/* @m of the ascending array that clients are told */
static void check_mapping(struct check *c, struct target_entry *t, size_t i)
{
	const struct model_mapping *m = &t->t.mappings[i];
	const struct model_disk *disk = model_disk_by_index(c->model, m->disk);
	const struct mapping *link;

	expect(c, i == 0 || m[-1].lun < m->lun,
	       "target %s: LUN %u is not after %u", t->t.name, (unsigned)m->lun,
	       i == 0 ? 0 : (unsigned)m[-1].lun);
	expect(c, lun_is_used(t, m->lun), "target %s: LUN %u counts as free",
	       t->t.name, (unsigned)m->lun);
	expect(c, disk != NULL, "target %s: LUN %u is disk %u, which is not",
	       t->t.name, (unsigned)m->lun, (unsigned)m->disk);
	if (disk != NULL) {
		link = target_mapping(t, disk_entry(disk));
		expect(c, link != NULL && link->lun == m->lun,
		       "target %s: the mapping of LUN %u is not found",
		       t->t.name, (unsigned)m->lun);
	}
}

static void check_target(struct check *c, struct target_entry *t)
{
	size_t used = 0;

	expect(c, model_target_by_guid(c->model, &t->t.guid) == &t->t,
	       "target %s: not found by its GUID", t->t.name);
	expect(c, model_target_by_name(c->model, t->t.name) == &t->t,
	       "target %s: not found by its name", t->t.name);
	expect(c, model_target_by_iqn(c->model, t->t.iqn) == &t->t,
	       "target %s: not found by its IQN", t->t.name);
	expect(c, list_length(&t->mappings) == t->t.num_mappings,
	       "target %s: %zu mappings, tells %zu", t->t.name,
	       list_length(&t->mappings), (size_t)t->t.num_mappings);
	for (uint32_t i = 0; i < (c->model->max_luns + 63) / 64; i++) {
		used += __builtin_popcountll(t->luns[i]);
	}
	expect(c, used == t->t.num_mappings, "target %s: %zu LUNs, %zu used",
	       t->t.name, (size_t)t->t.num_mappings, used);
	for (size_t i = 0; i < t->t.num_mappings; i++) {
		check_mapping(c, t, i);
	}
}

static void check_targets(struct check *c)
{
	struct model *model = c->model;
	const struct list_head *pos;
	size_t num = 0, mappings = 0;

	list_for_each (pos, &model->targets) {
		struct target_entry *t =
			list_entry(pos, struct target_entry, link);

		if (!t->deleting) {
			check_target(c, t);
		}
		mappings += t->t.num_mappings;
		num++;
	}
	expect(c, model->targets_by_guid.count == num,
	       "%zu targets, %zu by GUID", num, model->targets_by_guid.count);
	expect(c, model->targets_by_name.count == num,
	       "%zu targets, %zu by name", num, model->targets_by_name.count);
	expect(c, model->targets_by_iqn.count == num, "%zu targets, %zu by IQN",
	       num, model->targets_by_iqn.count);
	expect(c, model->mappings.count == mappings,
	       "%zu mappings, the targets tell %zu", model->mappings.count,
	       mappings);
}

/* ---- the rest ---- */

static void check_snapshots(struct check *c)
{
	const struct list_head *pos;
	size_t num = 0;

	list_for_each (pos, &c->model->snapshots) {
		const struct snapshot_entry *s =
			list_entry(pos, struct snapshot_entry, link);

		num++;
		expect(c, s->disk == NULL || !list_empty(&s->link_disk),
		       "a snapshot that its disk does not know");
	}
	expect(c, c->model->snapshots_by_id.count == num,
	       "%zu snapshots, %zu by ID", num,
	       c->model->snapshots_by_id.count);
}

const char *model_check(struct model *model, TALLOC_CTX *mem_ctx)
{
	struct check c = {.mem_ctx = mem_ctx, .model = model};

	check_disks(&c);
	check_targets(&c);
	check_snapshots(&c);
	expect(&c,
	       list_length(&model->portals) == model->portals_by_address.count,
	       "%zu portals, %zu by address", list_length(&model->portals),
	       model->portals_by_address.count);
	expect(&c,
	       list_length(&model->initiators) ==
		       model->initiators_by_iqn.count,
	       "%zu initiators, %zu by IQN", list_length(&model->initiators),
	       model->initiators_by_iqn.count);
	return c.wrong;
}
