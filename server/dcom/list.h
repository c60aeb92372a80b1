/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A doubly linked list of structures with members prev and next. */
#ifndef ISTM_DCOM_LIST_H
#define ISTM_DCOM_LIST_H

#define DCOM_LIST_ADD(head, item)                                              \
	do {                                                                   \
		(item)->prev = NULL;                                           \
		(item)->next = (head);                                         \
		if ((head) != NULL) {                                          \
			(head)->prev = (item);                                 \
		}                                                              \
		(head) = (item);                                               \
	} while (0)

#define DCOM_LIST_REMOVE(head, item)                                           \
	do {                                                                   \
		if ((item)->prev != NULL) {                                    \
			(item)->prev->next = (item)->next;                     \
		} else {                                                       \
			(head) = (item)->next;                                 \
		}                                                              \
		if ((item)->next != NULL) {                                    \
			(item)->next->prev = (item)->prev;                     \
		}                                                              \
		(item)->prev = (item)->next = NULL;                            \
	} while (0)

#endif /* ISTM_DCOM_LIST_H */
