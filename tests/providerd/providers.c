/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The engines beneath the model, for tests: nothing is taken, mounted or moved,
 * but everything succeeds, fails, waits and tells its progress when a test says
 * so. Commands are datagrams to the abstract socket "istm-providers" of the
 * network namespace (tests/lib/providers.py); each is answered with "ok" or
 * what is wrong.
 *
 *   result OP CODE   what OP (create, delete, open, mount, dismount) ends with
 *                    from now on, as hexadecimal HRESULT
 *   hold OP          requests wait from now on
 *   release OP       those that wait end, in order; none waits any more
 *   waiting OP       how many there are
 *   progress N       the rollback has come so far
 *   finish CODE      it ends
 *   used BYTES       what snapshots take up
 *   state N          the cluster's state of every resource
 *
 * There is a cluster when the server's state directory has a file of that name.
 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <ndr.h>

#include "server/core/errors.h"
#include "server/core/log.h"
#include "server/model/provider.h"
#include "server/providers.h"
#include "vhd/vhd.h"

#define SOCKET_NAME "istm-providers"
#define MAX_WAITING 16

enum op { CREATE, DELETE, OPEN, MOUNT, DISMOUNT, NUM_OPS };

static const char *const op_names[NUM_OPS] = {"create", "delete", "open",
					      "mount", "dismount"};

static struct {
	HRESULT result[NUM_OPS];
	bool hold[NUM_OPS];
	struct tevent_req *waiting[NUM_OPS][MAX_WAITING];
	size_t num_waiting[NUM_OPS];
	struct tevent_req *rollback;
	void (*progress)(unsigned percent, void *private_data);
	void *progress_data;
	uint64_t used;
	int32_t state;
	int fd;
} providers = {.state = 2, .fd = -1};

/* ---- requests ---- */

struct op_state {
	enum op op;
	char *device;  /* MOUNT */
	uint64_t size; /* OPEN */
};

/* The model may give one up. */
static int op_state_destructor(struct op_state *state)
{
	enum op op = state->op;
	size_t kept = 0;

	for (size_t i = 0; i < providers.num_waiting[op]; i++) {
		struct tevent_req *req = providers.waiting[op][i];

		if (tevent_req_data(req, struct op_state) != state) {
			providers.waiting[op][kept++] = req;
		}
	}
	providers.num_waiting[op] = kept;
	return 0;
}

static void op_end(struct tevent_req *req, HRESULT hr)
{
	if (ISTM_FAILED(hr)) {
		tevent_req_error(req, HRES_ERROR_V(hr));
	} else {
		tevent_req_done(req);
	}
}

static struct tevent_req *op_send(TALLOC_CTX *mem_ctx,
				  struct tevent_context *ev, enum op op,
				  struct op_state **result)
{
	struct op_state *state;
	struct tevent_req *req =
		tevent_req_create(mem_ctx, &state, struct op_state);

	if (req == NULL) {
		return NULL;
	}
	state->op = op;
	*result = state;
	if (providers.hold[op] && providers.num_waiting[op] < MAX_WAITING) {
		talloc_set_destructor(state, op_state_destructor);
		providers.waiting[op][providers.num_waiting[op]++] = req;
		return req;
	}
	op_end(req, providers.result[op]);
	return tevent_req_post(req, ev);
}

static HRESULT op_recv(struct tevent_req *req)
{
	enum tevent_req_state state;
	uint64_t error;

	if (tevent_req_is_error(req, &state, &error)) {
		return state == TEVENT_REQ_USER_ERROR
			       ? HRES_ERROR((uint32_t)error)
			       : ISTM_OUT_OF_MEMORY;
	}
	return ISTM_S_OK;
}

/* ---- snapshots ---- */

static struct tevent_req *create_send(TALLOC_CTX *mem_ctx,
				      struct tevent_context *ev,
				      void *private_data,
				      const struct model_disk *disk,
				      const struct GUID *id)
{
	struct op_state *state;

	return op_send(mem_ctx, ev, CREATE, &state);
}

static struct tevent_req *delete_send(TALLOC_CTX *mem_ctx,
				      struct tevent_context *ev,
				      void *private_data,
				      const struct GUID *disk_guid,
				      const struct GUID *id)
{
	struct op_state *state;

	return op_send(mem_ctx, ev, DELETE, &state);
}

struct rollback_state {
	int nothing;
};

static int rollback_gone(struct rollback_state *state)
{
	providers.rollback = NULL;
	return 0;
}

static struct tevent_req *rollback_send(
	TALLOC_CTX *mem_ctx, struct tevent_context *ev, void *private_data,
	const struct model_disk *disk, const struct GUID *id,
	void (*progress)(unsigned percent, void *progress_data),
	void *progress_data)
{
	struct rollback_state *state;

	providers.rollback =
		tevent_req_create(mem_ctx, &state, struct rollback_state);
	providers.progress = progress;
	providers.progress_data = progress_data;
	if (providers.rollback != NULL) {
		talloc_set_destructor(state, rollback_gone);
	}
	return providers.rollback;
}

static struct tevent_req *open_send(TALLOC_CTX *mem_ctx,
				    struct tevent_context *ev,
				    void *private_data,
				    const struct model_disk *disk,
				    const struct GUID *id)
{
	struct op_state *state;
	struct tevent_req *req = op_send(mem_ctx, ev, OPEN, &state);

	if (req != NULL) {
		state->size = disk->size;
	}
	return req;
}

static HRESULT open_recv(struct tevent_req *req, TALLOC_CTX *mem_ctx,
			 struct vhd_disk **disk)
{
	struct op_state *state = tevent_req_data(req, struct op_state);
	HRESULT hr = op_recv(req);

	*disk = NULL;
	if (ISTM_FAILED(hr)) {
		return hr;
	}
	*disk = vhd_open_ram(mem_ctx, state->size);
	return *disk == NULL ? ISTM_OUT_OF_MEMORY : ISTM_S_OK;
}

static uint64_t used(void *private_data, const struct GUID *disk_guid)
{
	return providers.used;
}

static const struct model_snapshot_provider snapshots = {
	.name = "test",
	.create_send = create_send,
	.create_recv = op_recv,
	.delete_send = delete_send,
	.delete_recv = op_recv,
	.rollback_send = rollback_send,
	.rollback_recv = op_recv,
	.open_send = open_send,
	.open_recv = open_recv,
	.used = used,
};

/* ---- local mounts ---- */

static struct tevent_req *mount_send(TALLOC_CTX *mem_ctx,
				     struct tevent_context *ev,
				     void *private_data,
				     const struct model_disk *disk,
				     const struct GUID *snapshot)
{
	struct op_state *state;
	struct tevent_req *req = op_send(mem_ctx, ev, MOUNT, &state);

	if (req != NULL) {
		state->device =
			talloc_asprintf(state, "ISTM\\Disk%u%s",
					(unsigned)disk->index,
					snapshot != NULL ? "&Snapshot" : "");
	}
	return req;
}

static HRESULT mount_recv(struct tevent_req *req, TALLOC_CTX *mem_ctx,
			  const char **device_id)
{
	struct op_state *state = tevent_req_data(req, struct op_state);
	HRESULT hr = op_recv(req);

	*device_id =
		ISTM_FAILED(hr) ? NULL : talloc_steal(mem_ctx, state->device);
	return hr;
}

static struct tevent_req *dismount_send(TALLOC_CTX *mem_ctx,
					struct tevent_context *ev,
					void *private_data,
					const struct GUID *disk_guid)
{
	struct op_state *state;

	return op_send(mem_ctx, ev, DISMOUNT, &state);
}

static size_t mount_points(void *private_data, TALLOC_CTX *mem_ctx,
			   const struct GUID *disk_guid, const char ***paths)
{
	*paths = talloc_array(mem_ctx, const char *, 2);
	if (*paths == NULL) {
		return 0;
	}
	(*paths)[0] = "C:\\mounts\\1";
	(*paths)[1] = "C:\\mounts\\2";
	return 2;
}

static const struct model_mount_provider mounts = {
	.name = "test",
	.mount_send = mount_send,
	.mount_recv = mount_recv,
	.dismount_send = dismount_send,
	.dismount_recv = op_recv,
	.mount_points = mount_points,
};

/* ---- cluster ---- */

static struct {
	char name[64];
	struct GUID guid;
	bool local;
} group_list[2] = {
	{"SAN", {.time_low = 1}, true},
	{"Elsewhere", {.time_low = 2}, false},
};

static size_t groups(void *private_data, TALLOC_CTX *mem_ctx,
		     struct model_group **result)
{
	*result = talloc_array(mem_ctx, struct model_group, 2);
	for (size_t i = 0; i < 2 && *result != NULL; i++) {
		(*result)[i] = (struct model_group){
			.name = group_list[i].name,
			.guid = group_list[i].guid,
			.local = group_list[i].local,
		};
	}
	return *result == NULL ? 0 : 2;
}

static int group_find(const char *name)
{
	for (int i = 0; i < 2; i++) {
		if (strcmp(group_list[i].name, name) == 0) {
			return i;
		}
	}
	return -1;
}

static const char *group_of_volume(void *private_data, TALLOC_CTX *mem_ctx,
				   const struct GUID *volume)
{
	return talloc_strdup(mem_ctx, group_list[0].name);
}

static const char *owner(void *private_data, TALLOC_CTX *mem_ctx,
			 const char *group)
{
	int i = group_find(group);

	return i < 0 ? NULL
		     : talloc_strdup(mem_ctx, i == 0 ? "node1" : "node2");
}

static HRESULT group_rename(void *private_data, const char *group,
			    const char *name)
{
	int i = group_find(group);

	if (i < 0) {
		return ISTM_INVALID_HANDLE;
	}
	snprintf(group_list[i].name, sizeof(group_list[i].name), "%s", name);
	return ISTM_S_OK;
}

static int32_t resource_state(void *private_data, const struct GUID *guid)
{
	return providers.state;
}

static const struct model_cluster_provider cluster = {
	.name = "test",
	.groups = groups,
	.group_of_volume = group_of_volume,
	.owner = owner,
	.rename = group_rename,
	.resource_state = resource_state,
};

/* ---- commands ---- */

static void release(enum op op)
{
	providers.hold[op] = false;
	while (providers.num_waiting[op] > 0) {
		struct tevent_req *req = providers.waiting[op][0];

		providers.num_waiting[op]--;
		memmove(providers.waiting[op], providers.waiting[op] + 1,
			providers.num_waiting[op] * sizeof(req));
		op_end(req, providers.result[op]);
	}
}

static bool run_op(const char *verb, enum op op, const char *argument,
		   char answer[64])
{
	if (strcmp(verb, "result") == 0) {
		providers.result[op] =
			HRES_ERROR((uint32_t)strtoul(argument, NULL, 16));
	} else if (strcmp(verb, "hold") == 0) {
		providers.hold[op] = true;
	} else if (strcmp(verb, "release") == 0) {
		release(op);
	} else if (strcmp(verb, "waiting") == 0) {
		snprintf(answer, 64, "%zu", providers.num_waiting[op]);
	} else {
		return false;
	}
	return true;
}

static void run_command(char *line, char answer[64])
{
	char *verb = strtok(line, " "), *what = strtok(NULL, " ");
	char *argument = strtok(NULL, " ");

	snprintf(answer, 64, "ok");
	if (verb == NULL || what == NULL) {
		snprintf(answer, 64, "no command");
		return;
	}
	for (int op = 0; op < NUM_OPS; op++) {
		if (strcmp(what, op_names[op]) == 0) {
			if (!run_op(verb, op, argument != NULL ? argument : "0",
				    answer)) {
				snprintf(answer, 64, "unknown");
			}
			return;
		}
	}
	if (strcmp(verb, "used") == 0) {
		providers.used = strtoull(what, NULL, 10);
	} else if (strcmp(verb, "state") == 0) {
		providers.state = atoi(what);
	} else if (providers.rollback == NULL) {
		snprintf(answer, 64, "nothing is put back");
	} else if (strcmp(verb, "progress") == 0) {
		providers.progress(atoi(what), providers.progress_data);
	} else if (strcmp(verb, "finish") == 0) {
		op_end(providers.rollback,
		       HRES_ERROR((uint32_t)strtoul(what, NULL, 16)));
	} else {
		snprintf(answer, 64, "unknown");
	}
}

static void command_arrived(struct tevent_context *ev, struct tevent_fd *fde,
			    uint16_t flags, void *private_data)
{
	struct sockaddr_un from;
	socklen_t length = sizeof(from);
	char line[256], answer[64];
	ssize_t n = recvfrom(providers.fd, line, sizeof(line) - 1, 0,
			     (struct sockaddr *)&from, &length);

	if (n < 0) {
		return;
	}
	line[n] = '\0';
	run_command(line, answer);
	sendto(providers.fd, answer, strlen(answer), 0,
	       (struct sockaddr *)&from, length);
}

static bool listen_for_commands(TALLOC_CTX *mem_ctx, struct tevent_context *ev)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	socklen_t length = offsetof(struct sockaddr_un, sun_path) + 1 +
			   strlen(SOCKET_NAME);

	memcpy(address.sun_path + 1, SOCKET_NAME, strlen(SOCKET_NAME));
	providers.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (providers.fd < 0 ||
	    bind(providers.fd, (struct sockaddr *)&address, length) != 0 ||
	    tevent_add_fd(ev, mem_ctx, providers.fd, TEVENT_FD_READ,
			  command_arrived, NULL) == NULL) {
		log_msg(LOG_ERROR, "test providers: %s", strerror(errno));
		return false;
	}
	return true;
}

bool service_providers(TALLOC_CTX *mem_ctx, struct tevent_context *ev,
		       struct model_options *options)
{
	char *flag = talloc_strdup(mem_ctx, options->store_path);

	if (flag == NULL || !listen_for_commands(mem_ctx, ev)) {
		return false;
	}
	options->providers.snapshots = &snapshots;
	options->providers.mounts = &mounts;
	/* The store's directory. */
	strcpy(strrchr(flag, '/') + 1, "");
	flag = talloc_asprintf_append(flag, "cluster");
	if (flag != NULL && access(flag, F_OK) == 0) {
		options->providers.cluster = &cluster;
	}
	talloc_free(flag);
	return true;
}
