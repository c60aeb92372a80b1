/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "server/model/private.h"

struct model_subscription {
	struct model *model;
	struct subscriber *subscriber;
};

static int subscription_destructor(struct model_subscription *subscription)
{
	struct subscriber *subscriber = subscription->subscriber;

	if (subscriber == NULL) {
		return 0; /* the model went first */
	}
	/* An event may be walking the list right now. */
	subscriber->fn = NULL;
	subscriber->subscription = NULL;
	if (subscription->model->emitting == 0) {
		talloc_free(subscriber);
	}
	return 0;
}

static int subscriber_destructor(struct subscriber *subscriber)
{
	struct model_subscription *subscription = subscriber->subscription;

	list_del(&subscriber->link);
	if (subscription != NULL) {
		subscription->subscriber = NULL;
	}
	return 0;
}

struct model_subscription *model_subscribe(TALLOC_CTX *mem_ctx,
					   struct model *model,
					   model_event_fn fn,
					   void *private_data)
{
	struct model_subscription *subscription =
		talloc_zero(mem_ctx, struct model_subscription);
	struct subscriber *subscriber = talloc_zero(model, struct subscriber);

	if (subscription == NULL || subscriber == NULL) {
		talloc_free(subscription);
		talloc_free(subscriber);
		return NULL;
	}
	subscriber->fn = fn;
	subscriber->private_data = private_data;
	subscriber->subscription = subscription;
	list_add_tail(&subscriber->link, &model->subscribers);
	talloc_set_destructor(subscriber, subscriber_destructor);
	subscription->model = model;
	subscription->subscriber = subscriber;
	talloc_set_destructor(subscription, subscription_destructor);
	return subscription;
}

void model_emit(struct model *model, const struct model_event *event)
{
	struct list_head *pos, *n;

	if (model->starting) {
		return;
	}
	model->emitting++;
	list_for_each (pos, &model->subscribers) {
		struct subscriber *s = list_entry(pos, struct subscriber, link);

		if (s->fn != NULL) {
			s->fn(event, s->private_data);
		}
	}
	if (--model->emitting > 0) {
		return;
	}
	list_for_each_safe(pos, n, &model->subscribers)
	{
		struct subscriber *s = list_entry(pos, struct subscriber, link);

		if (s->fn == NULL) {
			talloc_free(s);
		}
	}
}

void model_emit_target(struct model *model, enum model_event_type type,
		       const struct model_target *target)
{
	struct GUID guid = target->guid;

	model_emit(model, &(struct model_event){.type = type, .guid = &guid});
}

void model_emit_disk(struct model *model, enum model_event_type type,
		     const struct model_disk *disk)
{
	struct GUID guid = disk->guid;

	model_emit(model, &(struct model_event){
				  .type = type,
				  .guid = &guid,
				  .disk = disk->index,
			  });
}

void model_emit_luns(struct model *model)
{
	model_emit(model, &(struct model_event){.type = MODEL_EVENT_LUN_LIST});
}
