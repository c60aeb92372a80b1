/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Messages between threads: a queue that anyone may post to and one thread
 * drains, woken through an eventfd.
 *
 * Messages are malloc'ed by the sender and freed by their handler; nothing
 * in them belongs to a talloc hierarchy. Order of posting is kept per sender.
 */
#ifndef ISTM_TARGET_MSGQ_H
#define ISTM_TARGET_MSGQ_H

#include <pthread.h>
#include <stdbool.h>

struct msg {
	struct msg *next;
	/* Runs on the receiving thread and frees the message. */
	void (*handle)(struct msg *msg, void *receiver);
};

struct msgq {
	pthread_mutex_t lock;
	struct msg *head, **tail;
	int efd; /* readable when there is something to drain */
};

/* @return 0 or errno */
int msgq_init(struct msgq *q);
/* Frees nothing that is still queued: drain first. */
void msgq_fini(struct msgq *q);
/* Any thread. Never fails, never waits for the receiver. */
void msgq_post(struct msgq *q, struct msg *msg);
/* The receiving thread: handle all that has been posted.
 * @return whether there was anything */
bool msgq_drain(struct msgq *q, void *receiver);

#endif /* ISTM_TARGET_MSGQ_H */
