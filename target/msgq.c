/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "target/msgq.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

int msgq_init(struct msgq *q)
{
	q->efd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (q->efd == -1)
		return errno;
	pthread_mutex_init(&q->lock, NULL);
	q->head = NULL;
	q->tail = &q->head;
	return 0;
}

void msgq_fini(struct msgq *q)
{
	close(q->efd);
	pthread_mutex_destroy(&q->lock);
}

void msgq_post(struct msgq *q, struct msg *msg)
{
	uint64_t one = 1;
	bool wake;

	msg->next = NULL;
	pthread_mutex_lock(&q->lock);
	wake = q->head == NULL;
	*q->tail = msg;
	q->tail = &msg->next;
	/* Within the lock: a receiver that has drained the queue may be gone
	 * together with it as soon as the lock is free. */
	if (wake) {
		/* Cannot block: the counter is nowhere near its limit. */
		ssize_t n = write(q->efd, &one, sizeof(one));
		(void)n;
	}
	pthread_mutex_unlock(&q->lock);
}

bool msgq_drain(struct msgq *q, void *receiver)
{
	uint64_t count;
	struct msg *msg, *next;
	bool any;
	/* Reset before the list is taken: a post after that wakes us again. */
	ssize_t n = read(q->efd, &count, sizeof(count));

	(void)n;
	pthread_mutex_lock(&q->lock);
	msg = q->head;
	q->head = NULL;
	q->tail = &q->head;
	pthread_mutex_unlock(&q->lock);

	any = msg != NULL;
	for (; msg; msg = next) {
		next = msg->next;
		msg->handle(msg, receiver);
	}
	return any;
}
