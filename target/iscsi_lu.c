/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Logical units, as the owner of the server sees them; main thread.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "target/iscsi_server.h"
#include "target/iscsi_session.h"

struct iscsi_lu *iscsi_lu_add(struct iscsi_server *server,
			      const struct iscsi_lu_config *config)
{
	struct scsi_lu_config scsi = {
		.index = config->index,
		.enabled = config->enabled,
		.disk = config->disk,
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
	lu->server = server;
	lu->scsi = scsi_lu_create(&scsi);
	if (!lu->scsi) {
		free(lu);
		errno = ENOMEM;
		return NULL;
	}
	list_add_tail(&lu->link, &server->lus);
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

/* ---- removal
 * ------------------------------------------------------------------- */

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
