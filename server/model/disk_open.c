/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Opening what a disk is made of: its file, for a differencing disk also its
 * parent's, that one's parent's and so on; or memory.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/model/private.h"

/* Nobody has chains that long, and every link is a descriptor. */
#define PARENTS_MAX 1024

struct disk_open_state {
	struct model *model;
	struct disk_entry *entry; /* pending or starting: stays */
	struct stat st;		  /* of the disk's own file */
	struct vhd_disk *top;	  /* the disk's own */
	struct vhd_disk *child;	  /* whose parent is being opened */
	struct location *child_location;
	struct location *parent_location;
	char *parent_path; /* of the disk, as clients see it */
	/* All parents, from the disk's own on; tied when the last is open. */
	struct disk_parent {
		struct vhd_disk *vhd;
		struct location *location;
	} * chain;
	unsigned parents;
};

static void disk_take(struct disk_entry *entry, struct vhd_disk *vhd)
{
	struct vhd_info info;

	entry->vhd = vhd;
	vhd_disk_info(vhd, &info);
	entry->d.size = info.size;
	entry->d.vhd_type = info.type;
}

/* ---- memory ---- */

/* @return 0 or errno; EDOM: a size that the limits do not allow */
static int disk_open_ram(struct disk_entry *entry)
{
	struct vhd_disk *vhd;
	unsigned long long size;
	char *end;

	if (strspn(entry->d.path, "0123456789") != strlen(entry->d.path) ||
	    entry->d.path[0] == '\0') {
		return EINVAL;
	}
	errno = 0;
	size = strtoull(entry->d.path, &end, 10);
	if (errno != 0 || size < VHD_MIN_SIZE ||
	    size > model_max_size(entry->model, VHD_FORMAT_VHD) ||
	    size % VHD_SECTOR != 0) {
		return EDOM;
	}
	vhd = vhd_open_ram(entry, size);
	if (vhd == NULL) {
		return errno != 0 ? errno : ENOMEM;
	}
	disk_take(entry, vhd);
	return 0;
}

/* ---- the disk's file ---- */

/* @reason may be a child of the disk that is given up here. */
static void disk_open_fail(struct tevent_req *req, int error, const char *what,
			   const char *reason)
{
	struct disk_open_state *state =
		tevent_req_data(req, struct disk_open_state);
	struct disk_entry *entry = state->entry;
	HRESULT hr =
		model_refuse(hresult_from_errno(error), "disk %u: %s: %s%s: %s",
			     (unsigned)entry->d.index, entry->d.path, what,
			     state->parent_location == NULL
				     ? ""
				     : state->parent_location->client,
			     reason != NULL ? reason : strerror(error));

	if (state->top != NULL) {
		vhd_close(state->top);
		state->top = NULL;
	}
	while (state->parents > 0) {
		vhd_close(state->chain[--state->parents].vhd);
	}
	tevent_req_error(req, HRES_ERROR_V(hr));
}

static void disk_opened(struct tevent_req *subreq);
static void disk_open_parent(struct tevent_req *req);

static struct tevent_req *disk_open_file(struct tevent_req *req)
{
	struct disk_open_state *state =
		tevent_req_data(req, struct disk_open_state);
	struct disk_entry *entry = state->entry;
	HRESULT hr = location_find(state, state->model, entry->d.path,
				   &state->child_location);
	struct tevent_req *subreq;
	int fd = ISTM_FAILED(hr) ? -ENOENT
				 : location_open_regular(state->child_location,
							 O_RDWR, &state->st);

	if (fd < 0) {
		disk_open_fail(req, -fd, "cannot be opened", NULL);
		return NULL;
	}
	subreq = vhd_open_send(state, state->model->ev, fd, entry->d.path, 0);
	tevent_req_nomem(subreq, req);
	return subreq;
}

struct tevent_req *disk_open_send(TALLOC_CTX *mem_ctx, struct model *model,
				  struct disk_entry *entry)
{
	struct disk_open_state *state;
	struct tevent_req *req, *subreq;
	int error;

	if ((entry->d.flags & MODEL_DISK_SHADOW) != 0) {
		return snapshot_open_send(mem_ctx, entry->shadow_of, entry);
	}
	req = tevent_req_create(mem_ctx, &state, struct disk_open_state);
	if (req == NULL) {
		return NULL;
	}
	state->model = model;
	state->entry = entry;
	if (entry->d.type == MODEL_DISK_RAM) {
		error = disk_open_ram(entry);
		if (error != 0) {
			tevent_req_error(
				req, HRES_ERROR_V(model_refuse(
					     error == EDOM ? ISTM_BAD_LENGTH
							   : hresult_from_errno(
								     error),
					     "RAM disk of '%s' bytes: %s",
					     entry->d.path, strerror(error))));
		} else {
			tevent_req_done(req);
		}
		return tevent_req_post(req, model->ev);
	}
	subreq = disk_open_file(req);
	if (subreq == NULL) {
		return tevent_req_post(req, model->ev);
	}
	tevent_req_set_callback(subreq, disk_opened, req);
	return req;
}

/* Around the page cache where it can be; what cannot is served all the same. */
static void disk_open_direct(const struct disk_entry *entry,
			     struct vhd_disk *vhd)
{
	char *message = NULL;

	if (vhd_set_direct(vhd, &message) != 0) {
		log_msg(LOG_WARNING,
			"disk %u (%s) is served through the page cache: %s",
			(unsigned)entry->d.index, entry->d.path,
			message != NULL ? message : "out of memory");
	}
	talloc_free(message);
}

static void disk_open_finish(struct tevent_req *req)
{
	struct disk_open_state *state =
		tevent_req_data(req, struct disk_open_state);
	struct disk_entry *entry = state->entry;
	struct model *model = state->model;

	talloc_free(discard_const_p(char, entry->d.parent_path));
	entry->d.parent_path = talloc_steal(entry, state->parent_path);
	if (model->direct_io) {
		disk_open_direct(entry, state->top);
	}
	disk_take(entry, talloc_steal(entry, state->top));
	state->top = NULL;
	entry->dev = state->st.st_dev;
	entry->ino = state->st.st_ino;
	if (!hash_add(&model->disks_by_file, &entry->by_file,
		      disk_file_hash(entry->dev, entry->ino))) {
		tevent_req_oom(req);
		return;
	}
	tevent_req_done(req);
}

static void disk_opened(struct tevent_req *subreq)
{
	struct tevent_req *req =
		tevent_req_callback_data(subreq, struct tevent_req);
	struct disk_open_state *state =
		tevent_req_data(req, struct disk_open_state);
	char *message = NULL;
	int error = vhd_open_recv(subreq, state, &state->top, &message);
	struct vhd_info info;

	TALLOC_FREE(subreq);
	if (error != 0) {
		state->top = NULL;
		disk_open_fail(req, error, "cannot be served", message);
		return;
	}
	vhd_disk_info(state->top, &info);
	if (info.size < VHD_MIN_SIZE ||
	    info.size > model_max_size(state->model, info.format)) {
		/* EFBIG: "incompatible with implementation limits" */
		disk_open_fail(req, EFBIG, "its size is out of the limits",
			       NULL);
		return;
	}
	if (info.type != VHD_TYPE_DIFFERENCING) {
		disk_open_finish(req);
		return;
	}
	state->child = state->top;
	disk_open_parent(req);
}

/* ---- parents ---- */

/* A file beside the child or below its folder, as clients see it. */
static char *path_beside(const struct disk_open_state *state,
			 TALLOC_CTX *mem_ctx, const char *path)
{
	const char *folder = state->child_location->client;

	if (path[0] == '.' && path[1] == '\\') {
		path += 2;
	}
	return talloc_asprintf(mem_ctx, "%.*s%s",
			       (int)(strrchr(folder, '\\') + 1 - folder),
			       folder, path);
}

/* Within the volumes, as all paths. */
static int open_parent_path(TALLOC_CTX *mem_ctx, const char *text,
			    bool relative, const char **name,
			    void *private_data)
{
	struct disk_open_state *state = private_data;
	struct location *location = NULL;
	const char *reason;
	struct path *path;
	struct stat st;

	if (relative) {
		text = path_beside(state, mem_ctx, text);
		if (text == NULL) {
			return -ENOMEM;
		}
		*name = text;
	}
	TALLOC_FREE(state->parent_location);
	path = path_parse(mem_ctx, text, 0, &reason);
	if (path == NULL ||
	    ISTM_FAILED(location_resolve(state, state->model, path, false,
					 &location)) ||
	    !location->exists) {
		talloc_free(location);
		return -ENOENT;
	}
	state->parent_location = location;
	*name = talloc_strdup(mem_ctx, location->client);
	return *name == NULL ? -ENOMEM
			     : location_open_regular(location, O_RDONLY, &st);
}

static void parent_opened(struct tevent_req *subreq);

static void disk_open_parent(struct tevent_req *req)
{
	struct disk_open_state *state =
		tevent_req_data(req, struct disk_open_state);
	struct tevent_req *subreq;

	if (state->parents == PARENTS_MAX) {
		disk_open_fail(req, EINVAL, "its chain of parents is endless",
			       NULL);
		return;
	}
	subreq = vhd_open_parent_send(state, state->model->ev, state->child,
				      open_parent_path, state);
	if (subreq == NULL) {
		disk_open_fail(req, ENOMEM, "its parent", NULL);
		return;
	}
	tevent_req_set_callback(subreq, parent_opened, req);
}

/* From the last on: a parent has its own before it becomes one. */
static void disk_tie_parents(struct tevent_req *req)
{
	struct disk_open_state *state =
		tevent_req_data(req, struct disk_open_state);

	while (state->parents > 0) {
		struct disk_parent *parent = &state->chain[state->parents - 1];
		struct vhd_disk *child =
			state->parents > 1 ? parent[-1].vhd : state->top;
		char *message = NULL;
		int error = vhd_set_parent(child, parent->vhd, 0, &message);

		if (error != 0) {
			state->parent_location = parent->location;
			talloc_steal(state, message);
			disk_open_fail(req, error, "parent ", message);
			return;
		}
		state->parents--;
	}
	disk_open_finish(req);
}

static void parent_opened(struct tevent_req *subreq)
{
	struct tevent_req *req =
		tevent_req_callback_data(subreq, struct tevent_req);
	struct disk_open_state *state =
		tevent_req_data(req, struct disk_open_state);
	struct vhd_disk *parent = NULL;
	char *message = NULL;
	int error = vhd_open_parent_recv(subreq, state, &parent, &message);
	struct vhd_info info;

	TALLOC_FREE(subreq);
	if (error != 0) {
		TALLOC_FREE(state->parent_location);
		disk_open_fail(req, error, "its parent cannot be opened",
			       message);
		return;
	}
	/* CacheParent (3.1.1.4): "active the next time the VHD is loaded". */
	if (state->model->direct_io && !state->entry->d.cache_parent) {
		disk_open_direct(state->entry, parent);
	}
	state->chain = talloc_realloc(state, state->chain, struct disk_parent,
				      state->parents + 1);
	if (tevent_req_nomem(state->chain, req)) {
		vhd_close(parent);
		return;
	}
	state->chain[state->parents].vhd = parent;
	state->chain[state->parents++].location = state->parent_location;
	if (state->parent_path == NULL) {
		state->parent_path =
			talloc_strdup(state, state->parent_location->client);
	}
	vhd_disk_info(parent, &info);
	if (info.type != VHD_TYPE_DIFFERENCING) {
		disk_tie_parents(req);
		return;
	}
	state->child_location = state->parent_location;
	state->parent_location = NULL;
	state->child = parent;
	disk_open_parent(req);
}

HRESULT disk_open_recv(struct tevent_req *req)
{
	return model_req_recv(req);
}
