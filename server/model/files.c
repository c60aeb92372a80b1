/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Files as ILocalDeviceMgr sees them: MS-ISTM 3.30.4. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

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

/* ---- probe (IsValidWtDevice, 3.30.4.4) ---- */

struct file_probe_state {
	struct vhd_info info;
	char *path;
};

static void file_probed(struct tevent_req *subreq);

static HRESULT file_open_regular(const struct location *location, int flags,
				 int *fd)
{
	struct stat st;

	*fd = location_open_regular(location, flags, &st);
	if (*fd < 0) {
		return model_refuse(
			hresult_from_errno(-*fd), "%s: %s", location->client,
			*fd == -EINVAL ? "is no file" : strerror(-*fd));
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

/* ---- delete ---- */

/* For a worker thread: the blocks of a large file, and what the page cache has
 * of it, take their time to be given back. */
struct delete_job {
	int fd, dir; /* locked; its directory */
	char name[256];
	int error;
};

struct file_delete_state {
	char *path;
};

static void delete_job_run(void *data)
{
	struct delete_job *job = data;
	char journal[sizeof(job->name)];

	job->error = unlinkat(job->dir, job->name, 0) == 0 ? 0 : errno;
	/* After a crash the disk may have left that, too. */
	if (job->error == 0 &&
	    vhd_journal_name(job->name, journal, sizeof(journal))) {
		unlinkat(job->dir, journal, 0);
	}
	/* Gone for good, also when the power fails: 3.30.4.8 has the client
	 * believe so. */
	if (job->error == 0 && fsync(job->dir) != 0) {
		job->error = errno;
	}
	close(job->fd); /* the last of it: here the blocks go */
	job->fd = -1;
}

static void delete_job_free(void *data)
{
	struct delete_job *job = data;

	if (job->fd >= 0) {
		close(job->fd);
	}
	if (job->dir >= 0) {
		close(job->dir);
	}
	free(job);
}

static HRESULT file_delete_check(struct model *model,
				 const struct location *location, int *fd)
{
	HRESULT hr;
	int error;

	if (!location->exists) {
		return model_refuse(ISTM_FILE_NOT_FOUND, "delete %s: not there",
				    location->client);
	}
	if (!S_ISREG(location->st.st_mode) || location->trailing_separator) {
		return model_refuse(ISTM_INVALID_ARG, "delete %s: is no file",
				    location->client);
	}
	hr = file_open_regular(location, O_RDWR, fd);
	if (ISTM_FAILED(hr)) {
		return hr;
	}
	error = disk_by_location(model, location) != NULL ? EWOULDBLOCK
							  : file_try_lock(*fd);
	if (error != 0) {
		return model_refuse(hresult_from_errno(error), "delete %s: %s",
				    location->client,
				    error == EWOULDBLOCK ? "in use"
							 : strerror(error));
	}
	return ISTM_S_OK;
}

/* @return NULL with the reason in *hr; takes @fd */
static struct delete_job *delete_job_create(const struct location *location,
					    int fd, HRESULT *hr)
{
	struct delete_job *job = calloc(1, sizeof(*job));
	const char *name;
	int error = 0;

	if (job == NULL) {
		close(fd);
		*hr = ISTM_OUT_OF_MEMORY;
		return NULL;
	}
	job->fd = fd;
	job->dir = location_open_parent(location, false, &name);
	if (job->dir < 0) {
		error = -job->dir;
	} else if (strlen(name) >= sizeof(job->name)) {
		error = ENAMETOOLONG;
	}
	if (error != 0) {
		delete_job_free(job);
		*hr = model_refuse(hresult_from_errno(error), "delete %s: %s",
				   location->client, strerror(error));
		return NULL;
	}
	strcpy(job->name, name);
	return job;
}

static void file_deleted(struct tevent_req *subreq);

/* MS-ISTM 3.30.4.8 */
struct tevent_req *model_file_delete_send(TALLOC_CTX *mem_ctx,
					  struct model *model, const char *text)
{
	struct file_delete_state *state;
	struct tevent_req *req =
		tevent_req_create(mem_ctx, &state, struct file_delete_state);
	struct delete_job *job = NULL;
	struct location *location;
	struct tevent_req *subreq;
	HRESULT hr;
	int fd = -1;

	if (req == NULL) {
		return NULL;
	}
	hr = location_find(state, model, text, &location);
	if (!ISTM_FAILED(hr)) {
		hr = file_delete_check(model, location, &fd);
	}
	if (!ISTM_FAILED(hr)) {
		state->path = location->client;
		job = delete_job_create(location, fd, &hr);
	} else if (fd >= 0) {
		close(fd);
	}
	if (job == NULL) {
		tevent_req_error(req, HRES_ERROR_V(hr));
		return tevent_req_post(req, model->ev);
	}
	subreq = job_send(state, model->ev, model->jobs, delete_job_run,
			  delete_job_free, job);
	if (tevent_req_nomem(subreq, req)) {
		return tevent_req_post(req, model->ev);
	}
	tevent_req_set_callback(subreq, file_deleted, req);
	return req;
}

static void file_deleted(struct tevent_req *subreq)
{
	struct tevent_req *req =
		tevent_req_callback_data(subreq, struct tevent_req);
	struct file_delete_state *state =
		tevent_req_data(req, struct file_delete_state);
	void *data;
	int error = job_recv(subreq, &data);

	if (error == 0) {
		error = ((struct delete_job *)data)->error;
	}
	TALLOC_FREE(subreq);
	if (error != 0) {
		tevent_req_error(req, HRES_ERROR_V(model_refuse(
					      hresult_from_errno(error),
					      "delete %s: %s", state->path,
					      strerror(error))));
		return;
	}
	log_msg(LOG_INFO, "%s: deleted", state->path);
	tevent_req_done(req);
}

HRESULT model_file_delete_recv(struct tevent_req *req)
{
	return model_req_recv(req);
}

/* ---- grow ---- */

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
	model_req_end(req, hr);
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
	if (info.size > model_max_size(op->model, info.format) ||
	    op->additional >
		    model_max_size(op->model, info.format) - info.size) {
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
	if (ISTM_FAILED(hr)) {
		return file_grow_fail(req, op, model, ISTM_INVALID_ARG);
	}
	if (!location->exists || !S_ISREG(location->st.st_mode)) {
		return file_grow_fail(req, op, model,
				      model_refuse(ISTM_INVALID_ARG,
						   "grow %s: is no file",
						   text));
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
		if (entry->pending || entry->d.deleting ||
		    entry->reverting != NULL) {
			return file_grow_fail(
				req, op, model,
				model_refuse(ISTM_SHARING_VIOLATION,
					     "grow %s: disk %u is being made, "
					     "deleted or put back",
					     text, (unsigned)entry->d.index));
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
