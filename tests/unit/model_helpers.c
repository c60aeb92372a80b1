/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <tdb.h>
#include <unistd.h>

#include "model_helpers.h"

static struct mt *logging;

static void mt_log(int level, const char *line)
{
	size_t at = strlen(logging->log);

	snprintf(logging->log + at, sizeof(logging->log) - at, "%s\n", line);
}

int mt_setup(void **state)
{
	struct mt *mt = calloc(1, sizeof(*mt));
	const char *tmp = getenv("TMPDIR");

	snprintf(mt->dir, sizeof(mt->dir), "%s/model-XXXXXX",
		 tmp != NULL ? tmp : "/tmp");
	assert_non_null(mkdtemp(mt->dir));
	snprintf(mt->volume, sizeof(mt->volume), "%s/c", mt->dir);
	snprintf(mt->second, sizeof(mt->second), "%s/d", mt->dir);
	assert_int_equal(mkdir(mt->volume, 0700), 0);
	assert_int_equal(mkdir(mt->second, 0700), 0);
	/* An address of our own; which port does not matter here. */
	snprintf(mt->portal, sizeof(mt->portal), "127.%d.%d.%d:3260",
		 getpid() >> 16 & 127, getpid() >> 8 & 255,
		 (getpid() & 255) | 1);
	mt->mem = talloc_new(NULL);
	mt->ev = tevent_context_init(mt->mem);
	logging = mt;
	log_set_sink(mt_log);
	*state = mt;
	assert_hr(mt_start(mt), ISTM_S_OK);
	return 0;
}

int mt_teardown(void **state)
{
	struct mt *mt = *state;
	char command[400];

	mt_stop(mt);
	talloc_free(mt->mem);
	log_set_sink(NULL);
	snprintf(command, sizeof(command), "rm -rf '%s'", mt->dir);
	assert_int_equal(system(command), 0);
	free(mt);
	return 0;
}

static void mt_event(const struct model_event *event, void *private_data)
{
	struct mt *mt = private_data;

	mt->events[event->type]++;
}

HRESULT mt_start(struct mt *mt)
{
	struct model_volume_config volumes[2] = {
		{.letter = 'C', .path = mt->volume},
		{.letter = 'd', .path = mt->second},
	};
	const char *portals[] = {mt->portal[0] != '\0' ? mt->portal : NULL,
				 NULL};
	struct model_options options = {
		.vhdx_sector = mt->vhdx_sector,
		.store_path = talloc_asprintf(mt->mem, "%s/istm.tdb", mt->dir),
		.lanes = 1,
		.volumes = volumes,
		.num_volumes = 2,
		.portals = portals,
	};
	struct tevent_req *req = model_start_send(mt->mem, mt->ev, &options);
	HRESULT hr;

	assert_non_null(req);
	assert_true(tevent_req_poll(req, mt->ev));
	hr = model_start_recv(req, mt->mem, &mt->model);
	talloc_free(req);
	if (mt->model != NULL) {
		assert_non_null(
			model_subscribe(mt->model, mt->model, mt_event, mt));
	}
	return hr;
}

void mt_stop(struct mt *mt)
{
	TALLOC_FREE(mt->model);
}

void mt_restart(struct mt *mt)
{
	mt_stop(mt);
	assert_hr(mt_start(mt), ISTM_S_OK);
}

/* Another file in place of the store's, which cannot be synced. */
void mt_store_break(struct mt *mt)
{
	struct stat store, st;
	char path[300];
	int null, fd = 2;

	snprintf(path, sizeof(path), "%s/istm.tdb", mt->dir);
	assert_int_equal(stat(path, &store), 0);
	do {
		fd++;
		assert_true(fd < 1024);
	} while (fstat(fd, &st) != 0 || st.st_ino != store.st_ino ||
		 st.st_dev != store.st_dev);
	null = open("/dev/null", O_RDWR);
	mt->store_fd = fd;
	mt->store_kept = dup(fd);
	assert_int_equal(dup2(null, fd), fd);
	close(null);
}

void mt_store_mend(struct mt *mt)
{
	assert_int_equal(dup2(mt->store_kept, mt->store_fd), mt->store_fd);
	close(mt->store_kept);
}

static struct tdb_context *open_store(struct mt *mt)
{
	char path[300];
	struct tdb_context *tdb;

	snprintf(path, sizeof(path), "%s/istm.tdb", mt->dir);
	tdb = tdb_open(path, 0, 0, O_RDWR, 0600);
	assert_non_null(tdb);
	return tdb;
}

static TDB_DATA tdb_data(const void *data, size_t length)
{
	return (TDB_DATA){.dptr = discard_const_p(unsigned char, data),
			  .dsize = length};
}

void mt_put_record(struct mt *mt, const char *key, const void *data,
		   size_t length)
{
	struct tdb_context *tdb = open_store(mt);
	TDB_DATA k = tdb_data(key, strlen(key));

	if (data == NULL) {
		assert_int_equal(tdb_delete(tdb, k), 0);
	} else {
		assert_int_equal(tdb_store(tdb, k, tdb_data(data, length),
					   TDB_REPLACE),
				 0);
	}
	tdb_close(tdb);
}

bool mt_has_record(struct mt *mt, const char *key)
{
	struct tdb_context *tdb = open_store(mt);
	bool has = tdb_exists(tdb, tdb_data(key, strlen(key)));

	tdb_close(tdb);
	return has;
}

void mt_log_clear(struct mt *mt)
{
	mt->log[0] = '\0';
}

void mt_events_clear(struct mt *mt)
{
	memset(mt->events, 0, sizeof(mt->events));
}

void mt_write(struct mt *mt, const char *name, const char *content)
{
	char path[600];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", mt->volume, name);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(content, file);
	fclose(file);
}

bool mt_file_exists(struct mt *mt, const char *name)
{
	char path[600];

	snprintf(path, sizeof(path), "%s/%s", mt->volume, name);
	return access(path, F_OK) == 0;
}

#define WAIT(req)                                                              \
	do {                                                                   \
		assert_non_null(req);                                          \
		assert_true(tevent_req_poll(req, mt->ev));                     \
	} while (0)

HRESULT mt_create_file(struct mt *mt, const char *path, uint64_t size)
{
	struct tevent_req *req =
		model_file_create_send(mt->mem, mt->model, path, size, true);
	HRESULT hr;

	WAIT(req);
	hr = model_file_create_recv(req);
	talloc_free(req);
	return hr;
}

HRESULT mt_create_diff(struct mt *mt, const char *path, const char *parent)
{
	struct tevent_req *req =
		model_file_create_diff_send(mt->mem, mt->model, path, parent);
	HRESULT hr;

	WAIT(req);
	hr = model_file_create_diff_recv(req);
	talloc_free(req);
	return hr;
}

HRESULT mt_grow_file(struct mt *mt, const char *path, uint64_t additional)
{
	struct tevent_req *req =
		model_file_grow_send(mt->mem, mt->model, path, additional);
	HRESULT hr;

	WAIT(req);
	hr = model_file_grow_recv(req);
	talloc_free(req);
	return hr;
}

HRESULT mt_delete_file(struct mt *mt, const char *path)
{
	struct tevent_req *req =
		model_file_delete_send(mt->mem, mt->model, path);
	HRESULT hr;

	WAIT(req);
	hr = model_file_delete_recv(req);
	talloc_free(req);
	return hr;
}

HRESULT mt_directory(struct mt *mt, const char *path,
		     struct model_dirent **entries, size_t *num)
{
	struct tevent_req *req = model_directory_send(mt->mem, mt->model, path);
	struct model_listing *listing;
	HRESULT hr;

	WAIT(req);
	hr = model_directory_recv(req, mt->mem, &listing);
	talloc_free(req);
	*entries = NULL;
	*num = 0;
	if (ISTM_FAILED(hr)) {
		return hr;
	}
	*num = model_listing_count(listing);
	*entries = talloc_array(mt->mem, struct model_dirent, *num + 1);
	for (size_t i = 0; i < *num; i++) {
		assert_true(model_listing_entry(listing, i, mt->mem,
						&(*entries)[i]));
	}
	return hr;
}

HRESULT mt_probe(struct mt *mt, const char *path, struct vhd_info *info)
{
	struct tevent_req *req =
		model_file_probe_send(mt->mem, mt->model, path);
	HRESULT hr;

	WAIT(req);
	hr = model_file_probe_recv(req, info);
	talloc_free(req);
	return hr;
}

HRESULT mt_create_disk_as(struct mt *mt, const struct model_disk_create *create,
			  uint32_t *index)
{
	struct tevent_req *req =
		model_disk_create_send(mt->mem, mt->model, create);
	HRESULT hr;

	WAIT(req);
	hr = model_disk_create_recv(req, index);
	talloc_free(req);
	return hr;
}

HRESULT mt_create_disk(struct mt *mt, const char *path, uint32_t *index)
{
	struct model_disk_create create = {
		.type = MODEL_DISK_FILE,
		.path = path,
		.description = "a disk",
		.persistent = true,
		.index = -1,
	};

	return mt_create_disk_as(mt, &create, index);
}

uint32_t mt_disk(struct mt *mt, const char *path)
{
	uint32_t index;

	assert_hr(mt_create_file(mt, path, 8 * MiB), ISTM_S_OK);
	assert_hr(mt_create_disk(mt, path, &index), ISTM_S_OK);
	return index;
}

HRESULT mt_delete_disk(struct mt *mt, uint32_t index)
{
	struct tevent_req *req =
		model_disk_delete_send(mt->mem, mt->model, index);
	HRESULT hr;

	WAIT(req);
	hr = model_disk_delete_recv(req);
	talloc_free(req);
	return hr;
}

HRESULT mt_close_disk(struct mt *mt, uint32_t index)
{
	struct tevent_req *req =
		model_disk_close_send(mt->mem, mt->model, index);
	HRESULT hr;

	WAIT(req);
	hr = model_disk_close_recv(req);
	talloc_free(req);
	return hr;
}

HRESULT mt_save_disk(struct mt *mt, uint32_t index)
{
	struct tevent_req *req = model_disk_save_send(
		mt->mem, mt->model, model_disk_by_index(mt->model, index));
	HRESULT hr;

	WAIT(req);
	hr = model_disk_save_recv(req);
	talloc_free(req);
	return hr;
}

struct model_target *mt_target(struct mt *mt, const char *name)
{
	struct model_target *target;

	assert_hr(model_target_new(mt->model, name, true, NULL, &target),
		  ISTM_S_OK);
	return target;
}

HRESULT mt_save(struct mt *mt, struct model_target *target)
{
	struct tevent_req *req =
		model_target_save_send(mt->mem, mt->model, target);
	HRESULT hr;

	WAIT(req);
	hr = model_target_save_recv(req);
	talloc_free(req);
	return hr;
}

HRESULT mt_delete(struct mt *mt, struct model_target *target)
{
	struct tevent_req *req =
		model_target_delete_send(mt->mem, mt->model, target);
	HRESULT hr;

	WAIT(req);
	hr = model_target_delete_recv(req);
	talloc_free(req);
	return hr;
}
