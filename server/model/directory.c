/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Directories as IDirectoryEnum browses them (MS-ISTM 3.3), read by a worker
 * thread: there may be very many files in one.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/model/private.h"

/* For a worker thread, so plain malloc. */
struct list_job {
	struct volume volume; /* a copy with a descriptor of its own */
	int fd;		      /* of the directory */
	char *relative;
	char *pattern; /* NULL: everything */
	/* Each entry is its kind ('d', 'f') and its name with a NUL, in the
	 * order of @sorted. */
	char *names;
	size_t used, size;
	char **sorted;
	size_t num;
	int error;
};

struct model_listing {
	struct list_job *job; /* done */
	const char *prefix;   /* before a name in a client's path */
};

struct directory_state {
	const char *client, *prefix;
	struct tevent_req *subreq; /* the job's owner */
	struct list_job *job;	   /* its result */
};

static void list_job_free(void *data)
{
	struct list_job *job = data;

	if (job->fd >= 0) {
		close(job->fd);
	}
	if (job->volume.fd >= 0) {
		close(job->volume.fd);
	}
	free(job->relative);
	free(job->pattern);
	free(job->names);
	free(job->sorted);
	free(job);
}

/* ---- on the thread ---- */

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a + 1, *(char *const *)b + 1);
}

static bool list_append(struct list_job *job, const char *name,
			bool is_directory)
{
	size_t length = strlen(name) + 2;

	if (job->size - job->used < length) {
		size_t size = job->size * 2 + 4096;
		char *more = realloc(job->names, size);

		if (more == NULL) {
			return false;
		}
		job->names = more;
		job->size = size;
	}
	job->names[job->used] = is_directory ? 'd' : 'f';
	memcpy(job->names + job->used + 1, name, length - 1);
	job->used += length;
	job->num++;
	return true;
}

/* Directories and regular files; links that stay in the volume count as what
 * they lead to. */
static bool list_kind_of(const struct list_job *job, const struct dirent *entry,
			 bool *is_directory)
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
	snprintf(relative, sizeof(relative), "%s/%s", job->relative,
		 entry->d_name);
	fd = volume_open_beneath(&job->volume, relative, O_PATH, 0);
	if (fd < 0) {
		return false;
	}
	error = fstat(fd, &st);
	close(fd);
	if (error != 0) {
		return false;
	}
	*is_directory = S_ISDIR(st.st_mode);
	return S_ISDIR(st.st_mode) || S_ISREG(st.st_mode);
}

static bool list_order(struct list_job *job)
{
	char *p = job->names;

	/* One more: no NULL for an empty directory. */
	job->sorted = malloc((job->num + 1) * sizeof(*job->sorted));
	if (job->sorted == NULL) {
		return false;
	}
	for (size_t i = 0; i < job->num; i++) {
		job->sorted[i] = p;
		p += strlen(p) + 1;
	}
	qsort(job->sorted, job->num, sizeof(*job->sorted), compare_names);
	return true;
}

static void list_job_run(void *data)
{
	struct list_job *job = data;
	DIR *dir = fdopendir(job->fd);
	struct dirent *entry;
	const char *reason;

	if (dir == NULL) {
		job->error = errno;
		return;
	}
	job->fd = -1; /* dir's now */
	while (job->error == 0 && (entry = readdir(dir)) != NULL) {
		bool is_directory;

		/* What no client could name is not shown either. */
		if (strcmp(entry->d_name, ".") != 0 &&
		    path_component_valid(entry->d_name, 0, &reason) &&
		    (job->pattern == NULL ||
		     path_match(job->pattern, entry->d_name)) &&
		    list_kind_of(job, entry, &is_directory) &&
		    !list_append(job, entry->d_name, is_directory)) {
			job->error = ENOMEM;
		}
	}
	closedir(dir);
	if (job->error == 0 && !list_order(job)) {
		job->error = ENOMEM;
	}
}

/* ---- on the main thread ---- */

/* @return NULL with the reason in *hr */
static struct list_job *list_job_create(const struct location *location,
					const char *pattern, HRESULT *hr)
{
	struct list_job *job = calloc(1, sizeof(*job));

	if (job == NULL) {
		*hr = ISTM_OUT_OF_MEMORY;
		return NULL;
	}
	job->fd = location_open(location, O_RDONLY | O_DIRECTORY, 0);
	/* The volume's own may be closed while the job runs. */
	job->volume.fd = fcntl(location->volume->fd, F_DUPFD_CLOEXEC, 0);
	job->relative = strdup(location->relative);
	job->pattern = pattern == NULL ? NULL : strdup(pattern);
	if (job->fd < 0) {
		*hr = model_refuse(ISTM_PATH_NOT_FOUND,
				   "directory %s: cannot be listed: %s",
				   location->client, strerror(-job->fd));
	} else if (job->volume.fd < 0 || job->relative == NULL ||
		   (pattern != NULL && job->pattern == NULL)) {
		*hr = ISTM_OUT_OF_MEMORY;
	} else {
		return job;
	}
	list_job_free(job);
	return NULL;
}

/* The directory of a path, and the pattern in its last component if any. */
static HRESULT directory_find(TALLOC_CTX *mem_ctx, struct model *model,
			      const char *text, struct location **location,
			      const char **pattern)
{
	const char *reason = "is NULL";
	struct path *path = NULL;
	HRESULT hr;

	*pattern = NULL;
	if (text != NULL) {
		path = path_parse(mem_ctx, text, PATH_PATTERN, &reason);
	}
	if (path == NULL) {
		return model_refuse(ISTM_INVALID_ARG, "directory '%.500s': %s",
				    text == NULL ? "" : text, reason);
	}
	if (path->num_components > 0 && !path->trailing_separator &&
	    strpbrk(path->components[path->num_components - 1], "*?") != NULL) {
		*pattern = path->components[--path->num_components];
	}
	hr = location_resolve(mem_ctx, model, path, false, location);
	if (!ISTM_FAILED(hr) &&
	    (!(*location)->exists || !S_ISDIR((*location)->st.st_mode))) {
		hr = ISTM_PATH_NOT_FOUND;
	}
	return ISTM_FAILED(hr)
		       ? model_refuse(hr, "directory %s: not there", text)
		       : hr;
}

static void directory_listed(struct tevent_req *subreq);

struct tevent_req *model_directory_send(TALLOC_CTX *mem_ctx,
					struct model *model, const char *text)
{
	struct directory_state *state;
	struct tevent_req *req =
		tevent_req_create(mem_ctx, &state, struct directory_state);
	struct location *location;
	struct list_job *job = NULL;
	const char *pattern;
	HRESULT hr;

	if (req == NULL) {
		return NULL;
	}
	hr = directory_find(state, model, text, &location, &pattern);
	if (!ISTM_FAILED(hr)) {
		job = list_job_create(location, pattern, &hr);
	}
	if (job == NULL) {
		tevent_req_error(req, HRES_ERROR_V(hr));
		return tevent_req_post(req, model->ev);
	}
	state->client = location->client;
	/* A root's ends in a backslash. */
	state->prefix = strcmp(location->relative, ".") == 0 ? "" : "\\";
	state->subreq = job_send(state, model->ev, model->jobs, list_job_run,
				 list_job_free, job);
	if (tevent_req_nomem(state->subreq, req)) {
		return tevent_req_post(req, model->ev);
	}
	tevent_req_set_callback(state->subreq, directory_listed, req);
	return req;
}

static void directory_listed(struct tevent_req *subreq)
{
	struct tevent_req *req =
		tevent_req_callback_data(subreq, struct tevent_req);
	struct directory_state *state =
		tevent_req_data(req, struct directory_state);
	void *data;
	int error = job_recv(subreq, &data);

	if (error == 0) {
		state->job = data;
		error = state->job->error;
	}
	if (error != 0) {
		tevent_req_error(req,
				 HRES_ERROR_V(model_refuse(
					 error == ENOMEM ? ISTM_OUT_OF_MEMORY
							 : ISTM_PATH_NOT_FOUND,
					 "directory %s: cannot be "
					 "listed: %s",
					 state->client, strerror(error))));
		return;
	}
	tevent_req_done(req);
}

HRESULT model_directory_recv(struct tevent_req *req, TALLOC_CTX *mem_ctx,
			     struct model_listing **_listing)
{
	struct directory_state *state =
		tevent_req_data(req, struct directory_state);
	HRESULT hr = model_req_recv(req);
	struct model_listing *listing;

	*_listing = NULL;
	if (ISTM_FAILED(hr)) {
		return hr;
	}
	listing = talloc_zero(mem_ctx, struct model_listing);
	if (listing == NULL) {
		return ISTM_OUT_OF_MEMORY;
	}
	listing->prefix =
		talloc_asprintf(listing, "%s%s", state->client, state->prefix);
	if (listing->prefix == NULL) {
		talloc_free(listing);
		return ISTM_OUT_OF_MEMORY;
	}
	/* The job's result is the finished request's. */
	listing->job = state->job;
	talloc_steal(listing, state->subreq);
	*_listing = listing;
	return ISTM_S_OK;
}

size_t model_listing_count(const struct model_listing *listing)
{
	return listing->job->num;
}

bool model_listing_entry(const struct model_listing *listing, size_t i,
			 TALLOC_CTX *mem_ctx, struct model_dirent *entry)
{
	const char *p = listing->job->sorted[i];

	*entry = (struct model_dirent){
		.name = p + 1,
		.full_path = talloc_asprintf(mem_ctx, "%s%s", listing->prefix,
					     p + 1),
		.is_directory = *p == 'd',
	};
	return entry->full_path != NULL;
}
