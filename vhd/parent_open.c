/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Finding a parent: all places where its child says that it may be. */

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "vhd/private.h"

struct open_parent_state {
	struct tevent_context *ev;
	const struct vhd_disk *child;
	vhd_open_path_fn open_path;
	void *private_data;
	unsigned index; /* of the child's paths */
	bool beside;	/* all have been tried as they are */
	int fd;		/* of the file that is being probed, or -1 */
	const char *name;
	const char **tried; /* names */
	unsigned tried_count;
	int error; /* of the first file that is there, else ENOENT */
	char *why; /* of each */
	struct vhd_disk *parent;
};

static void open_parent_cleanup(struct tevent_req *req,
				enum tevent_req_state req_state)
{
	struct open_parent_state *state =
		tevent_req_data(req, struct open_parent_state);

	if (state->fd >= 0) {
		close(state->fd);
		state->fd = -1;
	}
}

static const char *last_part(const char *path)
{
	const char *name = path;

	for (const char *p = path; *p != '\0'; p++) {
		if (*p == '\\' || *p == '/') {
			name = p + 1;
		}
	}
	return name;
}

/* @return false: there is none left */
static bool next_path(struct open_parent_state *state, const char **path,
		      bool *relative)
{
	if (!vhd_disk_parent_path(state->child, state->index, path, relative)) {
		if (state->beside || state->index == 0) {
			return false;
		}
		state->beside = true;
		state->index = 0;
		return next_path(state, path, relative);
	}
	state->index++;
	if (state->beside) {
		*path = last_part(*path);
		*relative = true;
	}
	return true;
}

static bool was_tried(const struct open_parent_state *state, const char *name)
{
	unsigned i;

	for (i = 0; i < state->tried_count; i++) {
		if (strcmp(state->tried[i], name) == 0) {
			return true;
		}
	}
	return false;
}

static void refuse(struct open_parent_state *state, int error, const char *why)
{
	if (state->error == 0 || state->error == ENOENT) {
		state->error = error;
	}
	if (state->why == NULL) {
		state->why = talloc_asprintf(state, "%s: %s", state->name, why);
	} else {
		state->why = talloc_asprintf_append(state->why, "; %s: %s",
						    state->name, why);
	}
}

static void parent_probed(struct tevent_req *subreq);

/* @return false: look at the next path */
static bool try_path(struct tevent_req *req, const char *path, bool relative)
{
	struct open_parent_state *state =
		tevent_req_data(req, struct open_parent_state);
	struct tevent_req *subreq;
	int fd;

	state->name = path;
	fd = state->open_path(state, path, relative, &state->name,
			      state->private_data);
	if (state->name == NULL) {
		state->name = path;
	}
	if (was_tried(state, state->name)) {
		if (fd >= 0) {
			close(fd);
		}
		return false;
	}
	state->tried = talloc_realloc(state, state->tried, const char *,
				      state->tried_count + 1);
	if (tevent_req_nomem(state->tried, req)) {
		if (fd >= 0) {
			close(fd);
		}
		return true;
	}
	state->tried[state->tried_count++] = state->name;
	if (fd < 0) {
		refuse(state, -fd, strerror(-fd));
		return false;
	}
	/* A probe takes no lock: a file that is not the parent may be
	 * anybody's.
	 */
	state->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (state->fd < 0) {
		int error = errno;

		close(fd);
		refuse(state, error, strerror(error));
		return false;
	}
	subreq = vhd_probe_send(state, state->ev, fd, state->name);
	if (!tevent_req_nomem(subreq, req)) {
		tevent_req_set_callback(subreq, parent_probed, req);
	}
	return true;
}

static void try_next(struct tevent_req *req)
{
	struct open_parent_state *state =
		tevent_req_data(req, struct open_parent_state);
	const char *path;
	bool relative;

	while (next_path(state, &path, &relative)) {
		if (try_path(req, path, relative)) {
			return;
		}
	}
	tevent_req_error(req, state->error != 0 ? state->error : ENOENT);
}

static void parent_opened(struct tevent_req *subreq)
{
	struct tevent_req *req =
		tevent_req_callback_data(subreq, struct tevent_req);
	struct open_parent_state *state =
		tevent_req_data(req, struct open_parent_state);
	char *message = NULL;
	int ret = vhd_open_recv(subreq, state, &state->parent, &message);

	TALLOC_FREE(subreq);
	if (ret != 0) {
		/* It is this one, so no other. */
		state->error = ret;
		refuse(state, ret, message != NULL ? message : strerror(ret));
		tevent_req_error(req, ret);
		return;
	}
	tevent_req_done(req);
}

static void parent_probed(struct tevent_req *subreq)
{
	struct tevent_req *req =
		tevent_req_callback_data(subreq, struct tevent_req);
	struct open_parent_state *state =
		tevent_req_data(req, struct open_parent_state);
	struct vhd_info info;
	char why[VHD_WHY_MAX];
	char *message = NULL;
	int ret = vhd_probe_recv(subreq, state, &info, &message);

	TALLOC_FREE(subreq);
	if (ret != 0) {
		snprintf(why, sizeof(why), "%s",
			 message != NULL ? message : strerror(ret));
	} else {
		ret = vhd_parent_match(state->child, &info, why, sizeof(why));
	}
	if (ret != 0) {
		close(state->fd);
		state->fd = -1;
		refuse(state, ret, why);
		try_next(req);
		return;
	}
	subreq = vhd_open_send(state, state->ev, state->fd, state->name,
			       VHD_OPEN_READONLY);
	state->fd = -1;
	if (!tevent_req_nomem(subreq, req)) {
		tevent_req_set_callback(subreq, parent_opened, req);
	}
}

struct tevent_req *vhd_open_parent_send(TALLOC_CTX *mem_ctx,
					struct tevent_context *ev,
					const struct vhd_disk *child,
					vhd_open_path_fn open_path,
					void *private_data)
{
	struct tevent_req *req;
	struct open_parent_state *state;

	req = tevent_req_create(mem_ctx, &state, struct open_parent_state);
	if (req == NULL) {
		return NULL;
	}
	state->ev = ev;
	state->child = child;
	state->open_path = open_path;
	state->private_data = private_data;
	state->fd = -1;
	tevent_req_set_cleanup_fn(req, open_parent_cleanup);
	try_next(req);
	if (!tevent_req_is_in_progress(req)) {
		return tevent_req_post(req, ev);
	}
	return req;
}

int vhd_open_parent_recv(struct tevent_req *req, TALLOC_CTX *mem_ctx,
			 struct vhd_disk **parent, char **message)
{
	struct open_parent_state *state =
		tevent_req_data(req, struct open_parent_state);
	const char *why = state->why != NULL
				  ? state->why
				  : "it does not say where its parent is";
	int ret = vhd_recv_result(req, why, mem_ctx, message);

	if (ret == 0) {
		*parent = talloc_move(mem_ctx, &state->parent);
	}
	tevent_req_received(req);
	return ret;
}
