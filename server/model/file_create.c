/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * CreateWtFile and CreateDiffWtFile, MS-ISTM 3.30.4.6 and 3.33.4.1. The VHD is
 * written into a file without a name and gets its name when it is complete and
 * on disk: after a crash there is the old file or the new one, and no half of
 * either.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/model/private.h"

#define MEBIBYTE (1ull << 20)

struct file_create_state {
	struct model *model;
	char *path;
	struct location *location, *parent; /* differencing */
	struct link_job *job;
};

/* For a worker thread, so plain malloc. */
struct link_job {
	int fd, dir;
	char name[256];
	char temporary[64]; /* a name beside it, where one is needed */
	bool has_temporary; /* the file has that name already */
	int error;
};

static void link_job_free(void *data)
{
	struct link_job *job = data;

	if (job->has_temporary) {
		unlinkat(job->dir, job->temporary, 0);
	}
	if (job->fd >= 0) {
		close(job->fd);
	}
	if (job->dir >= 0) {
		close(job->dir);
	}
	free(job);
}

static int link_unnamed(const struct link_job *job, const char *name)
{
	char self[64];

	snprintf(self, sizeof(self), "/proc/self/fd/%d", job->fd);
	return linkat(AT_FDCWD, self, job->dir, name, AT_SYMLINK_FOLLOW) == 0
		       ? 0
		       : errno;
}

/* Replace what has the name, unless it is in use. */
static int link_replace(struct link_job *job)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	int old, error = 0;

	if (!job->has_temporary) {
		error = link_unnamed(job, job->temporary);
		if (error != 0) {
			return error;
		}
		job->has_temporary = true;
	}
	/* Held until the old file is replaced: nobody opens it meanwhile. */
	old = openat(job->dir, job->name,
		     O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (old >= 0 && fcntl(old, F_OFD_SETLK, &lock) != 0) {
		error = EWOULDBLOCK;
	} else if (old < 0 && errno != ENOENT && errno != ELOOP) {
		error = errno;
	}
	if (error == 0 &&
	    renameat(job->dir, job->temporary, job->dir, job->name) != 0) {
		error = errno;
	}
	if (error == 0) {
		job->has_temporary = false;
	}
	if (old >= 0) {
		close(old);
	}
	return error;
}

static void link_job_run(void *data)
{
	struct link_job *job = data;

	job->error = fsync(job->fd) == 0 ? 0 : errno;
	if (job->error == 0) {
		job->error = job->has_temporary ? EEXIST
						: link_unnamed(job, job->name);
	}
	if (job->error == EEXIST) {
		job->error = link_replace(job);
	}
	if (job->error == 0 && fsync(job->dir) != 0) {
		job->error = errno;
	}
}

static int file_create_state_destructor(struct file_create_state *state)
{
	if (state->job != NULL) {
		link_job_free(state->job);
	}
	return 0;
}

uint64_t model_max_size(const struct model *model, enum vhd_format format)
{
	if (model->max_disk_size != 0) {
		return model->max_disk_size;
	}
	return format == VHD_FORMAT_VHDX ? VHDX_MAX_SIZE : VHD_MAX_SIZE;
}

static HRESULT file_create_size(const struct model *model,
				enum vhd_format format, uint64_t *size,
				const char *text)
{
	/* Appendix B <61>, <62>: in this order. */
	if (*size < MEBIBYTE) {
		return model_refuse(ISTM_INVALID_ARG,
				    "create %s: %llu bytes are less than 1 MB",
				    text, (unsigned long long)*size);
	}
	*size = *size / MEBIBYTE * MEBIBYTE;
	if (*size < VHD_MIN_SIZE || *size > model_max_size(model, format)) {
		return model_refuse(ISTM_BAD_LENGTH,
				    "create %s: %llu bytes are not within the "
				    "limits",
				    text, (unsigned long long)*size);
	}
	return ISTM_S_OK;
}

static HRESULT file_create_check(struct model *model,
				 const struct location *location,
				 const char *text)
{
	struct disk_entry *entry;

	if (strcmp(location->relative, ".") == 0 ||
	    location->trailing_separator ||
	    (location->exists && !S_ISREG(location->st.st_mode))) {
		return model_refuse(ISTM_INVALID_ARG, "create %s: is no file",
				    text);
	}
	entry = disk_by_location(model, location);
	if (entry != NULL) {
		return model_refuse(ISTM_SHARING_VIOLATION,
				    "create %s: is disk %u's", text,
				    (unsigned)entry->d.index);
	}
	return ISTM_S_OK;
}

/* An unnamed file in the directory; a hidden one where there are none. */
static int file_create_open(struct link_job *job)
{
	job->fd = openat(job->dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (job->fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR)) {
		return job->fd >= 0 ? 0 : errno;
	}
	job->fd = openat(job->dir, job->temporary,
			 O_CREAT | O_EXCL | O_RDWR | O_NOFOLLOW | O_CLOEXEC,
			 0600);
	job->has_temporary = job->fd >= 0;
	return job->fd >= 0 ? 0 : errno;
}

/* @return 0 or errno */
static int file_create_prepare(struct file_create_state *state,
			       const struct location *location)
{
	struct link_job *job = calloc(1, sizeof(*job));
	struct GUID guid = GUID_random();
	struct GUID_txt_buf buf;
	const char *name;

	if (job == NULL) {
		return ENOMEM;
	}
	state->job = job;
	job->fd = -1;
	job->dir = location_open_parent(location, true, &name);
	if (job->dir < 0) {
		int error = -job->dir;

		job->dir = -1;
		return error;
	}
	if (strlen(name) >= sizeof(job->name)) {
		return ENAMETOOLONG;
	}
	strcpy(job->name, name);
	snprintf(job->temporary, sizeof(job->temporary), ".istm-%s",
		 GUID_buf_string(&guid, &buf));
	return file_create_open(job);
}

static void file_created(struct tevent_req *subreq);
static void file_linked(struct tevent_req *subreq);

/* Write the new file, then give it its name. Ends the request on failure. */
static void file_create_begin(struct tevent_req *req,
			      const struct location *location,
			      const struct vhd_create_params *params)
{
	struct file_create_state *state =
		tevent_req_data(req, struct file_create_state);
	struct tevent_req *subreq;
	int fd, error;

	error = file_create_prepare(state, location);
	fd = error == 0 ? fcntl(state->job->fd, F_DUPFD_CLOEXEC, 0) : -1;
	if (fd < 0) {
		error = error != 0 ? error : errno;
		tevent_req_error(req, HRES_ERROR_V(model_refuse(
					      hresult_from_errno(error),
					      "create %s: %s", state->path,
					      strerror(error))));
		return;
	}
	subreq = vhd_create_send(state, state->model->ev, fd, state->path,
				 params);
	if (tevent_req_nomem(subreq, req)) {
		return;
	}
	tevent_req_set_callback(subreq, file_created, req);
}

static struct tevent_req *file_create_request(TALLOC_CTX *mem_ctx,
					      struct model *model,
					      struct file_create_state **state)
{
	struct tevent_req *req =
		tevent_req_create(mem_ctx, state, struct file_create_state);

	if (req != NULL) {
		(*state)->model = model;
		talloc_set_destructor(*state, file_create_state_destructor);
	}
	return req;
}

struct tevent_req *model_file_create_send(TALLOC_CTX *mem_ctx,
					  struct model *model, const char *text,
					  uint64_t size, bool sparse)
{
	struct file_create_state *state;
	struct tevent_req *req = file_create_request(mem_ctx, model, &state);
	struct vhd_create_params params = {
		.type = VHD_TYPE_FIXED,
		.sparse = sparse,
	};
	struct location *location;
	HRESULT hr;

	if (req == NULL) {
		return NULL;
	}
	hr = location_find(state, model, text, &location);
	if (!ISTM_FAILED(hr)) {
		hr = file_create_check(model, location, text);
	}
	if (!ISTM_FAILED(hr)) {
		/* A VHDX where its name says so. */
		params.format = vhd_format_of_name(location->client);
		if (params.format == VHD_FORMAT_VHDX) {
			params.logical_sector = model->vhdx_sector;
		}
		hr = file_create_size(model, params.format, &size, text);
	}
	if (ISTM_FAILED(hr)) {
		tevent_req_error(req, HRES_ERROR_V(hr));
		return tevent_req_post(req, model->ev);
	}
	state->path = location->client;
	params.size = size;
	file_create_begin(req, location, &params);
	if (!tevent_req_is_in_progress(req)) {
		return tevent_req_post(req, model->ev);
	}
	return req;
}

/* ---- differencing files, MS-ISTM 3.33.4.1 ---- */

/*
 * The parent's path as seen from the child's folder, which is what lets both
 * be moved together: ".\\parent.vhd", "..\\base\\parent.vhd". NULL where they
 * share no volume.
 */
char *path_relative_to(TALLOC_CTX *mem_ctx, const char *child,
		       const char *parent)
{
	size_t common = 0;
	char *result;

	for (size_t i = 0; child[i] != '\0' && child[i] == parent[i]; i++) {
		if (child[i] == '\\') {
			common = i + 1;
		}
	}
	if (common == 0) {
		return NULL;
	}
	result = talloc_strdup(
		mem_ctx, strchr(child + common, '\\') == NULL ? ".\\" : "");
	for (const char *p = child + common; (p = strchr(p, '\\')) != NULL;
	     p++) {
		result = talloc_strdup_append_buffer(result, "..\\");
	}
	return talloc_strdup_append_buffer(result, parent + common);
}

static void diff_parent_probed(struct tevent_req *subreq);

static HRESULT diff_check(struct file_create_state *state, const char *text,
			  const char *parent_text, int *fd)
{
	struct model *model = state->model;
	struct stat st;
	HRESULT hr = location_find(state, model, text, &state->location);

	*fd = -1;
	if (!ISTM_FAILED(hr)) {
		hr = file_create_check(model, state->location, text);
	}
	if (!ISTM_FAILED(hr)) {
		hr = location_find(state, model, parent_text, &state->parent);
	}
	if (ISTM_FAILED(hr)) {
		return hr;
	}
	if (!state->parent->exists) {
		return model_refuse(ISTM_FILE_NOT_FOUND,
				    "create %s: parent %s is not there",
				    state->location->client,
				    state->parent->client);
	}
	/* A parent that is written to is no parent any more. */
	if (disk_by_location(model, state->parent) != NULL) {
		return model_refuse(ISTM_SHARING_VIOLATION,
				    "create %s: parent %s is a disk itself",
				    state->location->client,
				    state->parent->client);
	}
	if (state->location->exists &&
	    state->location->st.st_dev == state->parent->st.st_dev &&
	    state->location->st.st_ino == state->parent->st.st_ino) {
		return model_refuse(ISTM_INVALID_ARG,
				    "create %s: would be its own parent",
				    state->location->client);
	}
	*fd = location_open_regular(state->parent, O_RDONLY, &st);
	if (*fd < 0) {
		return model_refuse(ISTM_INVALID_ARG,
				    "create %s: parent %s is no file that can "
				    "be read",
				    state->location->client,
				    state->parent->client);
	}
	state->parent->st = st;
	return ISTM_S_OK;
}

struct tevent_req *model_file_create_diff_send(TALLOC_CTX *mem_ctx,
					       struct model *model,
					       const char *text,
					       const char *parent)
{
	struct file_create_state *state;
	struct tevent_req *req = file_create_request(mem_ctx, model, &state);
	struct tevent_req *subreq;
	HRESULT hr;
	int fd;

	if (req == NULL) {
		return NULL;
	}
	hr = diff_check(state, text, parent, &fd);
	if (ISTM_FAILED(hr)) {
		tevent_req_error(req, HRES_ERROR_V(hr));
		return tevent_req_post(req, model->ev);
	}
	state->path = state->location->client;
	subreq = vhd_probe_send(state, model->ev, fd, state->parent->client);
	if (tevent_req_nomem(subreq, req)) {
		return tevent_req_post(req, model->ev);
	}
	tevent_req_set_callback(subreq, diff_parent_probed, req);
	return req;
}

static void diff_parent_probed(struct tevent_req *subreq)
{
	struct tevent_req *req =
		tevent_req_callback_data(subreq, struct tevent_req);
	struct file_create_state *state =
		tevent_req_data(req, struct file_create_state);
	struct vhd_create_params params = {.type = VHD_TYPE_DIFFERENCING};
	struct vhd_info info;
	char *message = NULL;
	int error = vhd_probe_recv(subreq, state, &info, &message);

	TALLOC_FREE(subreq);
	if (error != 0 || info.type != VHD_TYPE_FIXED ||
	    info.format != vhd_format_of_name(state->path) ||
	    info.size > model_max_size(state->model, info.format)) {
		tevent_req_error(
			req,
			HRES_ERROR_V(model_refuse(
				ISTM_INVALID_ARG, "create %s: parent %s: %s",
				state->path, state->parent->client,
				message != NULL ? message
						: "is no fixed disk of the "
						  "file's format and within "
						  "the limits")));
		return;
	}
	params.format = info.format;
	params.size = info.size;
	params.logical_sector = info.logical_sector;
	params.physical_sector = info.physical_sector;
	memcpy(params.parent_id, info.link_id, sizeof(params.parent_id));
	memcpy(params.parent_disk_id, info.unique_id,
	       sizeof(params.parent_disk_id));
	params.parent_timestamp = vhd_timestamp(state->parent->st.st_mtime);
	params.parent_path = state->parent->client;
	params.parent_relative =
		path_relative_to(state, state->path, state->parent->client);
	file_create_begin(req, state->location, &params);
}

HRESULT model_file_create_diff_recv(struct tevent_req *req)
{
	return model_req_recv(req);
}

/* ---- both ---- */

/* No room or beyond the file system's largest file: "incompatible with
 * implementation limits". */
static HRESULT file_create_error(const struct file_create_state *state,
				 int error, const char *message)
{
	HRESULT hr = error == ENOSPC || error == EDQUOT || error == EFBIG
			     ? ISTM_BAD_LENGTH
			     : hresult_from_errno(error);

	return model_refuse(hr, "create %s: %s", state->path,
			    error == EWOULDBLOCK ? "the file is in use"
			    : message != NULL	 ? message
						 : strerror(error));
}

static void file_created(struct tevent_req *subreq)
{
	struct tevent_req *req =
		tevent_req_callback_data(subreq, struct tevent_req);
	struct file_create_state *state =
		tevent_req_data(req, struct file_create_state);
	struct link_job *job = state->job;
	char *message = NULL;
	int error = vhd_create_recv(subreq, state, &message);

	TALLOC_FREE(subreq);
	if (error != 0) {
		tevent_req_error(req, HRES_ERROR_V(file_create_error(
					      state, error, message)));
		return;
	}
	state->job = NULL;
	subreq = job_send(state, state->model->ev, state->model->jobs,
			  link_job_run, link_job_free, job);
	if (tevent_req_nomem(subreq, req)) {
		return;
	}
	tevent_req_set_callback(subreq, file_linked, req);
}

static void file_linked(struct tevent_req *subreq)
{
	struct tevent_req *req =
		tevent_req_callback_data(subreq, struct tevent_req);
	struct file_create_state *state =
		tevent_req_data(req, struct file_create_state);
	void *data;
	int error = job_recv(subreq, &data);

	if (error == 0) {
		error = ((struct link_job *)data)->error;
	}
	TALLOC_FREE(subreq);
	if (error != 0) {
		tevent_req_error(req, HRES_ERROR_V(file_create_error(
					      state, error, NULL)));
		return;
	}
	log_msg(LOG_INFO, "%s: created", state->path);
	tevent_req_done(req);
}

HRESULT model_file_create_recv(struct tevent_req *req)
{
	return model_req_recv(req);
}
