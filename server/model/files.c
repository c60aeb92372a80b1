/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Files as ILocalDeviceMgr sees them: MS-ISTM 3.30.4. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "server/core/utf8.h"
#include "server/model/private.h"

#define MEBIBYTE (1ull << 20)

/*
 * An open VHD is locked (vhd.h): exclusively when it is served, shared when it
 * is a parent. Who can lock a file exclusively may replace or delete it.
 * @return 0, EWOULDBLOCK when someone has it open, or errno
 */
static int file_try_lock(int fd)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	if (fcntl(fd, F_OFD_SETLK, &lock) != 0) {
		return errno == EACCES ? EWOULDBLOCK : errno;
	}
	return 0;
}

/* MS-ISTM 3.30.4.9, spec/notes 4 */
HRESULT model_path_valid(struct model *model, const char *text)
{
	struct location *location;
	struct disk_entry *entry;
	HRESULT hr = location_find(NULL, model, text, &location);

	if (HRES_IS_EQUAL(hr, ISTM_INVALID_ARG)) {
		return ISTM_FAIL; /* malformed; unlike all siblings */
	}
	if (ISTM_FAILED(hr)) {
		return hr;
	}
	entry = disk_by_location(model, location);
	if (strcmp(location->relative, ".") == 0 ||
	    location->trailing_separator ||
	    (location->exists && !S_ISREG(location->st.st_mode))) {
		hr = model_refuse(ISTM_FAIL, "path %s: names no file", text);
	} else if (entry != NULL) {
		hr = model_refuse(ISTM_DEVICE_IN_USE, "path %s: is disk %u's",
				  text, (unsigned)entry->d.index);
	}
	talloc_free(location);
	return hr;
}

/* MS-ISTM 3.30.4.11 */
HRESULT model_file_exists(struct model *model, const char *text)
{
	struct location *location;
	HRESULT hr = location_find(NULL, model, text, &location);

	if (HRES_IS_EQUAL(hr, ISTM_INVALID_ARG)) {
		return hr;
	}
	if (ISTM_FAILED(hr)) {
		return ISTM_FAIL;
	}
	/* An ordinary question: no line in the log. */
	hr = location->exists && S_ISREG(location->st.st_mode) &&
			     !location->trailing_separator
		     ? ISTM_S_OK
		     : ISTM_FAIL;
	talloc_free(location);
	return hr;
}

/* ---- probe (IsValidWtDevice, 3.30.4.4) ---------------------------------- */

struct file_probe_state {
	struct vhd_info info;
	char *path;
};

static void file_probed(struct tevent_req *subreq);

static HRESULT file_open_regular(const struct location *location, int flags,
				 int *fd)
{
	struct stat st;

	*fd = location_open(location, flags | O_NONBLOCK | O_NOCTTY, 0);
	if (*fd < 0) {
		return model_refuse(hresult_from_errno(-*fd), "%s: %s",
				    location->client, strerror(-*fd));
	}
	if (fstat(*fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		close(*fd);
		*fd = -1;
		return model_refuse(ISTM_INVALID_DATA, "%s: is no file",
				    location->client);
	}
	return ISTM_S_OK;
}

struct tevent_req *model_file_probe_send(TALLOC_CTX *mem_ctx,
					 struct model *model, const char *text)
{
	struct file_probe_state *state;
	struct tevent_req *req =
		tevent_req_create(mem_ctx, &state, struct file_probe_state);
	struct location *location;
	struct tevent_req *subreq;
	HRESULT hr;
	int fd = -1;

	if (req == NULL) {
		return NULL;
	}
	hr = location_find(state, model, text, &location);
	if (!ISTM_FAILED(hr) && strcmp(location->relative, ".") == 0) {
		hr = model_refuse(ISTM_PATH_NOT_FOUND, "%s: is a volume's root",
				  location->client);
	} else if (!ISTM_FAILED(hr)) {
		hr = file_open_regular(location, O_RDONLY, &fd);
	}
	if (ISTM_FAILED(hr)) {
		tevent_req_error(req, HRES_ERROR_V(hr));
		return tevent_req_post(req, model->ev);
	}
	state->path = talloc_steal(state, location->client);
	subreq = vhd_probe_send(state, model->ev, fd, location->client);
	if (tevent_req_nomem(subreq, req)) {
		return tevent_req_post(req, model->ev);
	}
	tevent_req_set_callback(subreq, file_probed, req);
	return req;
}

static void file_probed(struct tevent_req *subreq)
{
	struct tevent_req *req =
		tevent_req_callback_data(subreq, struct tevent_req);
	struct file_probe_state *state =
		tevent_req_data(req, struct file_probe_state);
	char *message = NULL;
	int error = vhd_probe_recv(subreq, state, &state->info, &message);

	TALLOC_FREE(subreq);
	if (error != 0) {
		tevent_req_error(
			req,
			HRES_ERROR_V(model_refuse(
				hresult_from_errno(error), "%s: %s",
				state->path,
				message != NULL ? message : strerror(error))));
		return;
	}
	tevent_req_done(req);
}

HRESULT model_file_probe_recv(struct tevent_req *req, struct vhd_info *info)
{
	struct file_probe_state *state =
		tevent_req_data(req, struct file_probe_state);

	*info = state->info;
	return model_req_recv(req);
}

/* ---- delete ---------------------------------------------------------------
 */

/* MS-ISTM 3.30.4.8 */
HRESULT model_file_delete(struct model *model, const char *text)
{
	struct location *location;
	HRESULT hr = location_find(NULL, model, text, &location);
	const char *name;
	int fd = -1, dir, error;

	if (ISTM_FAILED(hr)) {
		return hr;
	}
	if (!location->exists) {
		hr = model_refuse(ISTM_FILE_NOT_FOUND, "delete %s: not there",
				  location->client);
		goto done;
	}
	if (!S_ISREG(location->st.st_mode) || location->trailing_separator) {
		hr = model_refuse(ISTM_INVALID_ARG, "delete %s: is no file",
				  location->client);
		goto done;
	}
	hr = file_open_regular(location, O_RDWR, &fd);
	if (ISTM_FAILED(hr)) {
		goto done;
	}
	error = disk_by_location(model, location) != NULL ? EWOULDBLOCK
							  : file_try_lock(fd);
	if (error == 0) {
		dir = location_open_parent(location, false, &name);
		if (dir < 0) {
			error = -dir;
		} else {
			error = unlinkat(dir, name, 0) == 0 ? 0 : errno;
			close(dir);
		}
	}
	close(fd);
	if (error != 0) {
		hr = model_refuse(hresult_from_errno(error), "delete %s: %s",
				  location->client,
				  error == EWOULDBLOCK ? "in use"
						       : strerror(error));
	} else {
		log_msg(LOG_INFO, "%s: deleted", location->client);
	}
done:
	talloc_free(location);
	return hr;
}

/* ---- grow -----------------------------------------------------------------
 */

struct file_grow_op {
	struct model *model;
	struct tevent_req *req; /* NULL: nobody waits any more */
	struct vhd_disk *own;	/* opened for this alone */
	struct GUID guid;	/* or of the disk that has it */
	uint64_t additional;
	char *path;
};

struct file_grow_state {
	struct file_grow_op *op; /* NULL: done */
};

static int file_grow_state_destructor(struct file_grow_state *state)
{
	if (state->op != NULL) {
		state->op->req = NULL;
	}
	return 0;
}

static int file_grow_op_destructor(struct file_grow_op *op)
{
	if (op->req != NULL) {
		(tevent_req_data(op->req, struct file_grow_state))->op = NULL;
	}
	return 0;
}

static void file_grow_done(struct file_grow_op *op, HRESULT hr)
{
	struct tevent_req *req = op->req;

	if (op->own != NULL) {
		vhd_close(op->own);
	}
	talloc_free(op);
	if (req == NULL) {
		return;
	}
	if (ISTM_FAILED(hr)) {
		tevent_req_error(req, HRES_ERROR_V(hr));
	} else {
		tevent_req_done(req);
	}
}

/* MS-ISTM 3.30.4.7: what does not fit is a bad length, what is no fixed VHD
 * an invalid argument. */
static HRESULT file_grow_error(const struct file_grow_op *op, int error,
			       const char *message)
{
	HRESULT hr = ISTM_INVALID_ARG;

	if (error == ENOSPC || error == EFBIG || error == EDQUOT) {
		hr = ISTM_BAD_LENGTH;
	} else if (error != EINVAL) {
		hr = hresult_from_errno(error);
	}
	return model_refuse(hr, "grow %s: %s", op->path,
			    message != NULL ? message : strerror(error));
}

static void file_grown(struct tevent_req *subreq)
{
	struct file_grow_op *op =
		tevent_req_callback_data(subreq, struct file_grow_op);
	char *message = NULL;
	int error = vhd_grow_recv(subreq, op, &message);
	struct model_disk *disk = NULL;

	TALLOC_FREE(subreq);
	if (error != 0) {
		file_grow_done(op, file_grow_error(op, error, message));
		return;
	}
	log_msg(LOG_INFO, "%s: grown by %llu bytes", op->path,
		(unsigned long long)op->additional);
	if (op->own == NULL) {
		disk = model_disk_by_guid(op->model, &op->guid);
	}
	if (disk != NULL) {
		struct disk_entry *entry = disk_entry(disk);

		disk->size = vhd_disk_size(entry->vhd);
		if (entry->lu != NULL) {
			iscsi_lu_capacity_changed(entry->lu);
		}
		model_emit_disk(op->model, MODEL_EVENT_DISK_CHANGED, disk);
	}
	file_grow_done(op, ISTM_S_OK);
}

static void file_grow_start(struct file_grow_op *op, struct vhd_disk *vhd)
{
	struct vhd_info info;
	struct tevent_req *subreq;

	vhd_disk_info(vhd, &info);
	if (info.type != VHD_TYPE_FIXED) {
		file_grow_done(op, file_grow_error(op, EINVAL,
						   "only fixed VHDs grow"));
		return;
	}
	if (op->additional > op->model->max_disk_size - info.size) {
		file_grow_done(op, file_grow_error(op, EFBIG,
						   "would be too large"));
		return;
	}
	subreq = vhd_grow_send(op, op->model->ev, vhd, op->additional);
	if (subreq == NULL) {
		file_grow_done(op, ISTM_OUT_OF_MEMORY);
		return;
	}
	tevent_req_set_callback(subreq, file_grown, op);
}

static void file_grow_opened(struct tevent_req *subreq)
{
	struct file_grow_op *op =
		tevent_req_callback_data(subreq, struct file_grow_op);
	char *message = NULL;
	int error = vhd_open_recv(subreq, op, &op->own, &message);

	TALLOC_FREE(subreq);
	if (error != 0) {
		file_grow_done(op, file_grow_error(op, error, message));
		return;
	}
	file_grow_start(op, op->own);
}

static struct tevent_req *file_grow_fail(struct tevent_req *req,
					 struct file_grow_op *op,
					 struct model *model, HRESULT hr)
{
	talloc_free(op);
	tevent_req_error(req, HRES_ERROR_V(hr));
	return tevent_req_post(req, model->ev);
}

struct tevent_req *model_file_grow_send(TALLOC_CTX *mem_ctx,
					struct model *model, const char *text,
					uint64_t additional)
{
	struct file_grow_op *op = talloc_zero(model, struct file_grow_op);
	struct file_grow_state *state;
	struct tevent_req *req =
		tevent_req_create(mem_ctx, &state, struct file_grow_state);
	struct location *location;
	struct disk_entry *entry;
	struct tevent_req *subreq;
	HRESULT hr;
	int fd;

	if (op == NULL || req == NULL) {
		talloc_free(op);
		talloc_free(req);
		return NULL;
	}
	hr = location_find(op, model, text, &location);
	if (ISTM_FAILED(hr) || !location->exists ||
	    !S_ISREG(location->st.st_mode)) {
		return file_grow_fail(req, op, model,
				      model_refuse(ISTM_INVALID_ARG,
						   "grow %.500s: is no file",
						   text == NULL ? "" : text));
	}
	/* Appendix B <63> */
	if (additional < MEBIBYTE) {
		return file_grow_fail(req, op, model,
				      model_refuse(ISTM_INVALID_ARG,
						   "grow %s: by less than "
						   "1 MB",
						   text));
	}
	*op = (struct file_grow_op){
		.model = model,
		.req = req,
		.additional = additional / MEBIBYTE * MEBIBYTE,
		.path = location->client,
	};
	state->op = op;
	talloc_set_destructor(op, file_grow_op_destructor);
	talloc_set_destructor(state, file_grow_state_destructor);
	entry = disk_by_location(model, location);
	if (entry != NULL && entry->vhd != NULL) {
		op->guid = entry->d.guid;
		if (entry->pending || entry->d.deleting) {
			return file_grow_fail(req, op, model,
					      ISTM_SHARING_VIOLATION);
		}
		/* May end at once: that needs the loop. */
		tevent_req_defer_callback(req, model->ev);
		file_grow_start(op, entry->vhd);
		return req;
	}
	hr = file_open_regular(location, O_RDWR, &fd);
	if (ISTM_FAILED(hr)) {
		return file_grow_fail(req, op, model, hr);
	}
	subreq = vhd_open_send(op, model->ev, fd, op->path, 0);
	if (subreq == NULL) {
		return file_grow_fail(req, op, model, ISTM_OUT_OF_MEMORY);
	}
	tevent_req_set_callback(subreq, file_grow_opened, op);
	return req;
}

HRESULT model_file_grow_recv(struct tevent_req *req)
{
	return model_req_recv(req);
}

/* ---- directories ------------------------------------------------------------
 */

struct listing {
	struct model_dirent *entries;
	size_t num;
};

static int compare_dirents(const void *a, const void *b)
{
	return strcmp(((const struct model_dirent *)a)->name,
		      ((const struct model_dirent *)b)->name);
}

static bool listing_add(TALLOC_CTX *mem_ctx, struct listing *listing,
			const struct location *location, const char *name,
			bool is_directory)
{
	const char *slash = strcmp(location->relative, ".") == 0 ? "" : "\\";
	struct model_dirent *entry;

	if (listing->num == talloc_array_length(listing->entries)) {
		struct model_dirent *more =
			talloc_realloc(mem_ctx, listing->entries,
				       struct model_dirent,
				       listing->num * 2 + 16);

		if (more == NULL) {
			return false;
		}
		listing->entries = more;
	}
	entry = &listing->entries[listing->num];
	entry->name = talloc_strdup(listing->entries, name);
	entry->full_path = talloc_asprintf(listing->entries, "%s%s%s",
					   location->client, slash, name);
	entry->is_directory = is_directory;
	if (entry->name == NULL || entry->full_path == NULL) {
		return false;
	}
	listing->num++;
	return true;
}

/* Directories and regular files; links that stay in the volume count as what
 * they lead to. */
static bool listing_kind(const struct location *location,
			 const struct dirent *entry, bool *is_directory)
{
	char relative[PATH_MAX_BYTES + 300];
	struct stat st;
	int fd, error;

	if (entry->d_type == DT_DIR || entry->d_type == DT_REG) {
		*is_directory = entry->d_type == DT_DIR;
		return true;
	}
	if (entry->d_type != DT_LNK && entry->d_type != DT_UNKNOWN) {
		return false;
	}
	snprintf(relative, sizeof(relative), "%s/%s", location->relative,
		 entry->d_name);
	fd = volume_open_beneath(location->volume, relative, O_PATH, 0);
	if (fd < 0) {
		return false;
	}
	error = fstat(fd, &st);
	close(fd);
	*is_directory = S_ISDIR(st.st_mode);
	return error == 0 && (S_ISDIR(st.st_mode) || S_ISREG(st.st_mode));
}

static HRESULT list_directory(TALLOC_CTX *mem_ctx,
			      const struct location *location,
			      const char *pattern, struct listing *listing)
{
	int fd = location_open(location, O_RDONLY | O_DIRECTORY, 0);
	HRESULT hr = ISTM_S_OK;
	struct dirent *entry;
	const char *reason;
	DIR *dir;

	if (fd < 0) {
		return model_refuse(ISTM_PATH_NOT_FOUND,
				    "directory %s: cannot be listed: %s",
				    location->client, strerror(-fd));
	}
	dir = fdopendir(fd);
	if (dir == NULL) {
		close(fd);
		return ISTM_OUT_OF_MEMORY;
	}
	while ((entry = readdir(dir)) != NULL) {
		bool is_directory;

		/* What no client could name is not shown either. */
		if (strcmp(entry->d_name, ".") == 0 ||
		    !path_component_valid(entry->d_name, 0, &reason) ||
		    (pattern != NULL && !path_match(pattern, entry->d_name)) ||
		    !listing_kind(location, entry, &is_directory)) {
			continue;
		}
		if (!listing_add(mem_ctx, listing, location, entry->d_name,
				 is_directory)) {
			hr = ISTM_OUT_OF_MEMORY;
			break;
		}
	}
	closedir(dir);
	return hr;
}

HRESULT model_directory(struct model *model, TALLOC_CTX *mem_ctx,
			const char *text, struct model_dirent **entries,
			size_t *num)
{
	TALLOC_CTX *tmp = talloc_new(mem_ctx);
	struct listing listing = {NULL, 0};
	const char *reason = "is NULL", *pattern = NULL;
	struct location *location;
	struct path *path = NULL;
	HRESULT hr;

	*entries = NULL;
	*num = 0;
	if (text != NULL) {
		path = path_parse(tmp, text, PATH_PATTERN, &reason);
	}
	if (path == NULL) {
		talloc_free(tmp);
		return model_refuse(ISTM_INVALID_ARG, "directory '%.500s': %s",
				    text == NULL ? "" : text, reason);
	}
	if (path->num_components > 0 && !path->trailing_separator &&
	    strpbrk(path->components[path->num_components - 1], "*?") != NULL) {
		pattern = path->components[--path->num_components];
	}
	hr = location_resolve(tmp, model, path, false, &location);
	if (!ISTM_FAILED(hr) &&
	    (!location->exists || !S_ISDIR(location->st.st_mode))) {
		hr = ISTM_PATH_NOT_FOUND;
	}
	if (ISTM_FAILED(hr)) {
		model_refuse(hr, "directory %s: not there", text);
	} else {
		hr = list_directory(mem_ctx, location, pattern, &listing);
	}
	talloc_free(tmp);
	if (ISTM_FAILED(hr)) {
		talloc_free(listing.entries);
		return hr;
	}
	if (listing.num > 0) {
		qsort(listing.entries, listing.num, sizeof(*listing.entries),
		      compare_dirents);
	}
	*entries = listing.entries;
	*num = listing.num;
	return ISTM_S_OK;
}
