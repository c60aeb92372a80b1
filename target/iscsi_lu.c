/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Logical units, as the owner of the server sees them; main thread.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "target/iscsi_server.h"
#include "target/iscsi_session.h"

/* ---- what outlives a power loss ---- */

/*
 * One state to keep. Many commands may change a unit's before it is kept; the
 * owner has one at a time, and all that came meanwhile wait for the latest.
 */
struct iscsi_lu_store {
	struct msg msg;
	struct list_head link; /* server->stores */
	struct iscsi_lu *lu;   /* NULL: gone */
	bool arrived;	       /* on the main thread */
	struct list_head waiters;
	size_t len;
	void *state;
};

/* A command, so its unit stays; as a message on its way back. */
struct store_waiter {
	struct msg msg;
	struct list_head link;
	struct lane *lane;
	struct scsi_task *task;
	int error;
};

static void store_free(struct iscsi_lu_store *store)
{
	free(store->state);
	free(store);
}

static void lane_got_stored(struct msg *msg, void *receiver)
{
	struct store_waiter *waiter = list_entry(msg, struct store_waiter, msg);

	scsi_stored(waiter->task, waiter->error);
	free(waiter);
}

/* Main thread: the owner gets what is to be kept next. */
static void lu_store_next(struct iscsi_lu *lu)
{
	struct iscsi_server *server = lu->server;
	struct iscsi_lu_store *store;

	pthread_mutex_lock(&server->store_lock);
	store = lu->to_store;
	lu->to_store = NULL;
	pthread_mutex_unlock(&server->store_lock);
	lu->storing = store;
	list_add_tail(&store->link, &server->stores);
	if (server->ops.lu_store)
		server->ops.lu_store(lu->private_data, store->state, store->len,
				     store, server->private_data);
	else
		iscsi_lu_stored(store, ESHUTDOWN);
}

static bool lu_store_waits(struct iscsi_lu *lu)
{
	bool waits;

	pthread_mutex_lock(&lu->server->store_lock);
	waits = lu->to_store && lu->to_store->arrived;
	pthread_mutex_unlock(&lu->server->store_lock);
	return waits;
}

void iscsi_lu_stored(struct iscsi_lu_store *store, int error)
{
	struct iscsi_lu *lu = store->lu;

	list_del(&store->link);
	while (!list_empty(&store->waiters)) {
		struct store_waiter *waiter = list_entry(
			store->waiters.next, struct store_waiter, link);

		list_del(&waiter->link);
		waiter->error = error;
		waiter->msg.handle = lane_got_stored;
		msgq_post(&waiter->lane->inbox, &waiter->msg);
	}
	store_free(store);
	if (!lu)
		return;
	lu->storing = NULL;
	if (lu_store_waits(lu))
		lu_store_next(lu);
}

static void main_got_store(struct msg *msg, void *receiver)
{
	struct iscsi_lu_store *store =
		list_entry(msg, struct iscsi_lu_store, msg);
	struct iscsi_lu *lu = store->lu;

	pthread_mutex_lock(&lu->server->store_lock);
	store->arrived = true;
	pthread_mutex_unlock(&lu->server->store_lock);
	if (!lu->storing)
		lu_store_next(lu);
}

static struct iscsi_lu_store *store_new(struct iscsi_lu *lu)
{
	struct iscsi_lu_store *store = calloc(1, sizeof(*store));

	if (!store)
		return NULL;
	list_init(&store->link);
	list_init(&store->waiters);
	store->msg.handle = main_got_store;
	store->lu = lu;
	return store;
}

/* Under store_lock. @return the state goes into it; NULL: out of memory */
static struct iscsi_lu_store *store_begin(struct iscsi_lu *lu)
{
	if (!lu->to_store) {
		lu->to_store = store_new(lu);
		if (lu->to_store)
			msgq_post(&lu->server->inbox, &lu->to_store->msg);
	}
	return lu->to_store;
}

/* On a lane, with the unit's lock held: states come in the order of the
 * changes. */
static int lu_store(struct scsi_lu *scsi, struct scsi_task *task,
		    const void *state, size_t len, void *private_data)
{
	struct iscsi_lu *lu = private_data;
	struct iscsi_server *server = lu->server;
	struct store_waiter *waiter = calloc(1, sizeof(*waiter));
	void *copy = malloc(len ? len : 1);
	struct iscsi_lu_store *store = NULL;
	int error = ENOMEM;

	if (waiter && copy) {
		pthread_mutex_lock(&server->store_lock);
		if (server->closing)
			error = ESHUTDOWN;
		else
			store = store_begin(lu);
		if (store) {
			if (len)
				memcpy(copy, state, len);
			free(store->state);
			store->state = copy;
			store->len = len;
			copy = NULL;
			error = EINPROGRESS;
		}
		if (store && task) {
			const struct iscsi_task *by = task->private_data;

			waiter->lane = by->session->lane;
			waiter->task = task;
			list_add_tail(&waiter->link, &store->waiters);
			waiter = NULL;
		}
		pthread_mutex_unlock(&server->store_lock);
	}
	free(waiter);
	free(copy);
	return error;
}

/* The unit goes: what nobody waits for is kept all the same. */
static void lu_store_end(struct iscsi_lu *lu)
{
	struct list_head *pos;

	if (lu_store_waits(lu))
		lu_store_next(lu);
	list_for_each (pos, &lu->server->stores) {
		struct iscsi_lu_store *store =
			list_entry(pos, struct iscsi_lu_store, link);

		if (store->lu == lu)
			store->lu = NULL;
	}
}

/* Lanes that stop wait for their commands: these must not wait for us. */
void iscsi_lu_stores_close(struct iscsi_server *server)
{
	pthread_mutex_lock(&server->store_lock);
	server->closing = true;
	pthread_mutex_unlock(&server->store_lock);
	server->ops.lu_store = NULL;
	msgq_drain(&server->inbox, server);
	while (!list_empty(&server->stores))
		iscsi_lu_stored(list_entry(server->stores.next,
					   struct iscsi_lu_store, link),
				ESHUTDOWN);
}

static void lu_restore(struct iscsi_lu *lu,
		       const struct iscsi_lu_config *config)
{
	if (lu->server->ops.lu_store)
		scsi_lu_set_store(lu->scsi, lu_store, lu);
	if (config->state_len &&
	    scsi_lu_restore(lu->scsi, config->state, config->state_len))
		iscsi_log(lu->server, ISCSI_LOG_ERROR,
			  "disk %u: what was kept of reservations and mode "
			  "pages is damaged: none are restored",
			  config->index);
}

/* ---- space ---- */

/*
 * The space of thin-provisioned units is looked at now and then, one after the
 * other: a file system that does not answer keeps one worker thread busy, and
 * the rest waiting.
 */
#define SPACE_INTERVAL 10 /* s */

static void space_timer(struct tevent_context *ev, struct tevent_timer *te,
			struct timeval now, void *private_data);

static void space_wait(struct iscsi_server *server, unsigned seconds)
{
	TALLOC_FREE(server->space_timer);
	server->space_timer =
		tevent_add_timer(server->ev, server,
				 tevent_timeval_current_ofs(seconds, 0),
				 space_timer, server);
}

static void space_known(struct tevent_req *req);

/* The unit at @pos and those behind it. */
static void space_look(struct iscsi_server *server, struct list_head *pos)
{
	struct iscsi_lu *lu;

	server->space_lu = NULL;
	if (pos == &server->lus) {
		/* Others have come meanwhile. */
		space_wait(server, server->space_again ? 0 : SPACE_INTERVAL);
		server->space_again = false;
		return;
	}
	lu = list_entry(pos, struct iscsi_lu, link);
	server->space_req = vhd_space_send(server, server->ev, lu->disk);
	if (!server->space_req) {
		space_wait(server, SPACE_INTERVAL);
		return;
	}
	server->space_lu = lu;
	tevent_req_set_callback(server->space_req, space_known, server);
}

static void space_known(struct tevent_req *req)
{
	struct iscsi_server *server =
		tevent_req_callback_data(req, struct iscsi_server);
	struct iscsi_lu *lu = server->space_lu;
	struct vhd_space space;

	if (vhd_space_recv(req, &space) == 0)
		scsi_lu_set_space(lu->scsi, &space);
	TALLOC_FREE(server->space_req);
	space_look(server, lu->link.next);
}

static void space_timer(struct tevent_context *ev, struct tevent_timer *te,
			struct timeval now, void *private_data)
{
	struct iscsi_server *server = private_data;

	(void)ev;
	(void)te;
	(void)now;
	TALLOC_FREE(server->space_timer);
	if (!list_empty(&server->lus))
		space_look(server, server->lus.next);
}

/* A unit has come: look at once, or as soon as the others are done. */
static void space_added(struct iscsi_server *server)
{
	if (server->space_lu)
		server->space_again = true;
	else
		space_wait(server, 0);
}

/* A unit goes; the caller will close its disk. */
static void space_removed(struct iscsi_server *server,
			  const struct iscsi_lu *lu)
{
	if (server->space_lu != lu)
		return;
	server->space_lu = NULL;
	TALLOC_FREE(server->space_req);
	space_wait(server, 0);
}

/* ---- life ---- */

struct iscsi_lu *iscsi_lu_add(struct iscsi_server *server,
			      const struct iscsi_lu_config *config)
{
	struct scsi_lu_config scsi = {
		.index = config->index,
		.enabled = config->enabled,
		.write_through = config->write_through,
		.disk = config->disk,
		.threshold = {.bytes = config->threshold,
			      .percent = config->threshold_percent},
	};
	struct iscsi_lu *lu = calloc(1, sizeof(*lu));

	if (!lu) {
		errno = ENOMEM;
		return NULL;
	}
	memcpy(scsi.guid, config->guid, sizeof(scsi.guid));
	memcpy(scsi.serial, config->serial, sizeof(scsi.serial));
	memcpy(scsi.vendor, config->vendor, sizeof(scsi.vendor));
	memcpy(scsi.product, config->product, sizeof(scsi.product));
	memcpy(scsi.revision, config->revision, sizeof(scsi.revision));
	memcpy(scsi.volume, config->volume, sizeof(scsi.volume));
	lu->server = server;
	lu->private_data = config->private_data;
	lu->scsi = scsi_lu_create(&scsi);
	if (!lu->scsi) {
		free(lu);
		errno = ENOMEM;
		return NULL;
	}
	iscsi_portal_groups_tell(server, lu->scsi);
	lu_restore(lu, config);
	lu->disk = config->disk;
	list_add_tail(&lu->link, &server->lus);
	space_added(server);
	return lu;
}

void iscsi_lu_set_enabled(struct iscsi_lu *lu, bool enabled)
{
	scsi_lu_set_enabled(lu->scsi, enabled);
}

void iscsi_lu_capacity_changed(struct iscsi_lu *lu)
{
	scsi_lu_capacity_changed(lu->scsi);
}

size_t iscsi_lu_naa(const struct iscsi_lu *lu, uint8_t naa[16])
{
	return scsi_lu_naa(lu->scsi, naa);
}

bool iscsi_lu_in_use(const struct iscsi_lu *lu)
{
	return lu->num_sessions > 0;
}

/* ---- removal ---- */

struct iscsi_lu_remove_state {
	struct removal *removal;
};

/* Outlives the request, should that be freed early. */
struct removal {
	struct msg msg;
	struct iscsi_lu *lu;
	struct tevent_req *req; /* main thread; NULL: freed */
};

static int lu_remove_destructor(struct iscsi_lu_remove_state *state)
{
	if (state->removal)
		state->removal->req = NULL;
	return 0;
}

/* Main thread: no lane touches the unit any more. */
static void main_got_drained(struct msg *msg, void *receiver)
{
	struct removal *removal = list_entry(msg, struct removal, msg);
	struct tevent_req *req = removal->req;

	space_removed(removal->lu->server, removal->lu);
	lu_store_end(removal->lu);
	list_del(&removal->lu->link);
	scsi_lu_free(removal->lu->scsi);
	free(removal->lu);
	if (req) {
		struct iscsi_lu_remove_state *state =
			tevent_req_data(req, struct iscsi_lu_remove_state);

		state->removal = NULL;
		tevent_req_done(req);
	}
	free(removal);
}

static void lu_drained(struct iscsi_drain *drain)
{
	struct removal *removal = drain->private_data;

	removal->msg.handle = main_got_drained;
	msgq_post(&drain->server->inbox, &removal->msg);
}

struct tevent_req *iscsi_lu_remove_send(TALLOC_CTX *mem_ctx,
					struct tevent_context *ev,
					struct iscsi_lu *lu)
{
	struct iscsi_server *server = lu->server;
	struct iscsi_lu_remove_state *state;
	struct iscsi_drain *drain;
	struct list_head *pos;
	struct tevent_req *req;

	req = tevent_req_create(mem_ctx, &state, struct iscsi_lu_remove_state);
	if (!req)
		return NULL;
	if (lu->removing) {
		tevent_req_error(req, EALREADY);
		return tevent_req_post(req, ev);
	}
	drain = iscsi_drain_new(server);
	state->removal = calloc(1, sizeof(*state->removal));
	if (!drain || !state->removal) {
		free(drain);
		free(state->removal);
		tevent_req_error(req, ENOMEM);
		return tevent_req_post(req, ev);
	}
	talloc_set_destructor(state, lu_remove_destructor);
	state->removal->lu = lu;
	state->removal->req = req;
	lu->removing = true;
	scsi_lu_retire(lu->scsi);

	/* Lanes get the changed maps first and the drain after them. */
	list_for_each (pos, &server->tgts)
		iscsi_tgt_unmap(list_entry(pos, struct iscsi_tgt, link), lu);
	drain->lu = lu->scsi;
	drain->done = lu_drained;
	drain->private_data = state->removal;
	iscsi_drain_start(drain, NULL);
	return req;
}

int iscsi_lu_remove_recv(struct tevent_req *req)
{
	enum tevent_req_state state;
	uint64_t error = 0;

	if (!tevent_req_is_error(req, &state, &error))
		error = 0;
	else if (state != TEVENT_REQ_USER_ERROR)
		error = ENOMEM;
	tevent_req_received(req);
	return (int)error;
}
