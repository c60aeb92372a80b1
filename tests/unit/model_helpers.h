/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A model over the real engines, with a volume in a temporary folder, and its
 * requests made synchronous. */
#ifndef MODEL_HELPERS_H
#define MODEL_HELPERS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "server/core/errors.h"
#include "server/core/log.h"
#include "server/model/model.h"
#include <ndr.h>

#define MiB (UINT64_C(1) << 20)

struct mt {
	TALLOC_CTX *mem;
	struct tevent_context *ev;
	struct model *model;
	char dir[256];	  /* with the store */
	char volume[300]; /* C: */
	char second[300]; /* D: */
	char portal[64];
	uint32_t vhdx_sector;	  /* model_options, of the next start */
	int store_fd, store_kept; /* mt_store_break() */
	/* The log since mt_log_clear(). */
	char log[1 << 20];
	/* Events since mt_events_clear(), by type. */
	unsigned events[MODEL_EVENT_NUM_TYPES];
};

int mt_setup(void **state);
int mt_teardown(void **state);
/* @return what model_start_recv() says */
HRESULT mt_start(struct mt *mt);
void mt_stop(struct mt *mt);
/* As if the power had failed: what is not in the store is gone. */
void mt_restart(struct mt *mt);

/* Let every commit fail until mt_store_mend(). */
void mt_store_break(struct mt *mt);
void mt_store_mend(struct mt *mt);

/* The store of a model that is stopped. NULL: delete it, it is there. */
void mt_put_record(struct mt *mt, const char *key, const void *data,
		   size_t length);
bool mt_has_record(struct mt *mt, const char *key);

void mt_log_clear(struct mt *mt);
void mt_events_clear(struct mt *mt);

/* Files below the volume's directory. */
void mt_write(struct mt *mt, const char *name, const char *content);
bool mt_file_exists(struct mt *mt, const char *name);

HRESULT mt_create_file(struct mt *mt, const char *path, uint64_t size);
HRESULT mt_create_diff(struct mt *mt, const char *path, const char *parent);
HRESULT mt_grow_file(struct mt *mt, const char *path, uint64_t additional);
HRESULT mt_delete_file(struct mt *mt, const char *path);
/* Entries on mt->mem. */
HRESULT mt_directory(struct mt *mt, const char *path,
		     struct model_dirent **entries, size_t *num);
HRESULT mt_probe(struct mt *mt, const char *path, struct vhd_info *info);
HRESULT mt_create_disk(struct mt *mt, const char *path, uint32_t *index);
HRESULT mt_create_disk_as(struct mt *mt, const struct model_disk_create *create,
			  uint32_t *index);
/* A file of 8 MiB and a disk on it, or the test fails. */
uint32_t mt_disk(struct mt *mt, const char *path);
HRESULT mt_delete_disk(struct mt *mt, uint32_t index);
HRESULT mt_close_disk(struct mt *mt, uint32_t index);
HRESULT mt_save_disk(struct mt *mt, uint32_t index);
struct model_target *mt_target(struct mt *mt, const char *name);
HRESULT mt_save(struct mt *mt, struct model_target *target);
HRESULT mt_delete(struct mt *mt, struct model_target *target);

#define assert_hr(is, wanted)                                                  \
	assert_int_equal(HRES_ERROR_V(is), HRES_ERROR_V(wanted))

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, mt_setup, mt_teardown)

#endif /* MODEL_HELPERS_H */
