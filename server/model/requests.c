/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>

#include "server/model/private.h"

struct model_req_state {
	struct commit_op *op; /* NULL: done */
};

/* Lives on the model, so that it survives the request. */
struct commit_op {
	struct model *model;
	struct tevent_req *req; /* NULL: nobody waits any more */
	model_done_fn done;
	void *private_data;
};

HRESULT model_req_recv(struct tevent_req *req)
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

void model_req_end(struct tevent_req *req, HRESULT hr)
{
	if (req == NULL) {
		return;
	}
	if (ISTM_FAILED(hr)) {
		tevent_req_error(req, HRES_ERROR_V(hr));
	} else {
		tevent_req_done(req);
	}
}

struct tevent_req *model_req_failed(TALLOC_CTX *mem_ctx, struct model *model,
				    HRESULT hr)
{
	struct model_req_state *state;
	struct tevent_req *req =
		tevent_req_create(mem_ctx, &state, struct model_req_state);

	if (req == NULL) {
		return NULL;
	}
	model_req_end(req, hr);
	return tevent_req_post(req, model->ev);
}

bool change_add(TALLOC_CTX *mem_ctx, struct change_list *list, const char *key,
		const DATA_BLOB *blob)
{
	struct store_change *changes = talloc_realloc(
		mem_ctx, list->changes, struct store_change, list->num + 1);

	if (changes == NULL) {
		return false;
	}
	list->changes = changes;
	if (key == NULL) {
		return false;
	}
	changes[list->num++] = (struct store_change){
		.key = key,
		.data = blob == NULL ? NULL : blob->data,
		.length = blob == NULL ? 0 : blob->length,
	};
	return true;
}

bool change_add_record(TALLOC_CTX *mem_ctx, struct change_list *list,
		       const char *key, const struct istm_state_data *data)
{
	DATA_BLOB blob;

	return store_record_encode(mem_ctx, data, &blob) &&
	       change_add(mem_ctx, list, key, &blob);
}

static int model_req_state_destructor(struct model_req_state *state)
{
	if (state->op != NULL) {
		state->op->req = NULL;
	}
	return 0;
}

/* The model goes first: the request stays without an answer. */
static int commit_op_destructor(struct commit_op *op)
{
	if (op->req != NULL) {
		(tevent_req_data(op->req, struct model_req_state))->op = NULL;
	}
	return 0;
}

static void commit_done(struct tevent_req *subreq)
{
	struct commit_op *op =
		tevent_req_callback_data(subreq, struct commit_op);
	struct tevent_req *req;
	int error = store_commit_recv(subreq);

	TALLOC_FREE(subreq);
	if (op->done != NULL) {
		op->done(op->model, error, op->private_data);
	}
	req = op->req; /* done() may have been the end of it */
	talloc_free(op);
	model_req_end(req, hresult_from_errno(error));
}

struct tevent_req *model_commit_send(TALLOC_CTX *mem_ctx, struct model *model,
				     const struct change_list *changes,
				     model_done_fn done, void *private_data)
{
	struct commit_op *op = talloc_zero(model, struct commit_op);
	struct model_req_state *state;
	struct tevent_req *req =
		tevent_req_create(mem_ctx, &state, struct model_req_state);
	struct tevent_req *subreq = NULL;

	if (op != NULL) {
		*op = (struct commit_op){
			.model = model,
			.req = req,
			.done = done,
			.private_data = private_data,
		};
		subreq = store_commit_send(op, model->ev, model->store,
					   changes->changes, changes->num);
	}
	if (req == NULL || subreq == NULL) {
		talloc_free(subreq);
		talloc_free(op);
		talloc_free(req);
		talloc_free(private_data);
		return NULL;
	}
	talloc_steal(op, private_data);
	state->op = op;
	talloc_set_destructor(op, commit_op_destructor);
	talloc_set_destructor(state, model_req_state_destructor);
	tevent_req_set_callback(subreq, commit_done, op);
	return req;
}
