/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A hash table with its links inside the elements. An element may be in
 * several tables at once, each through a node of its own. Keys are hashed with
 * SipHash under a random key: names come from clients, and nobody shall be
 * able to choose ones that collide.
 *
 * Not locked: one thread, or the caller's lock.
 */
#ifndef ISTM_CORE_HASH_H
#define ISTM_CORE_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <talloc.h>

struct hash_node {
	struct hash_node *next;
	uint64_t hash;
	bool linked;
};

struct hash {
	struct hash_node **buckets;
	size_t num_buckets; /* a power of two, 0 before the first element */
	size_t count;
	TALLOC_CTX *mem_ctx;
};

#define hash_entry(ptr, type, member)                                          \
	((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/* @param mem_ctx parent of the bucket array */
void hash_init(struct hash *hash, TALLOC_CTX *mem_ctx);

/* SipHash-2-4 of @len bytes under this process' random key. */
uint64_t hash_bytes(const void *data, size_t len);
uint64_t hash_string(const char *s);

/* False when out of memory. The node must not be linked. */
bool hash_add(struct hash *hash, struct hash_node *node, uint64_t value);
/* Harmless for a node that is not linked. */
void hash_del(struct hash *hash, struct hash_node *node);

/* Nodes with this value, one after the other; the caller compares keys. */
struct hash_node *hash_first(const struct hash *hash, uint64_t value);
struct hash_node *hash_next(const struct hash_node *node, uint64_t value);

/* All nodes, in no order: start with NULL. The table must not change. */
struct hash_node *hash_walk(const struct hash *hash, size_t *bucket,
			    struct hash_node *node);

#endif /* ISTM_CORE_HASH_H */
