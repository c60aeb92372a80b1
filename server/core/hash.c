/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "server/core/hash.h"

static uint64_t hash_key[2];

/* The key must be random before the first hash and never change after. */
__attribute__((constructor)) static void hash_seed(void)
{
	if (getrandom(hash_key, sizeof(hash_key), 0) != sizeof(hash_key)) {
		abort();
	}
}

static inline uint64_t rotl(uint64_t x, int b)
{
	return (x << b) | (x >> (64 - b));
}

static inline void sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = rotl(v[1], 13) ^ v[0];
	v[0] = rotl(v[0], 32);
	v[2] += v[3];
	v[3] = rotl(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = rotl(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = rotl(v[1], 17) ^ v[2];
	v[2] = rotl(v[2], 32);
}

uint64_t hash_bytes(const void *data, size_t len)
{
	const uint8_t *p = data;
	uint64_t last = (uint64_t)len << 56;
	uint64_t v[4] = {
		hash_key[0] ^ 0x736f6d6570736575ull,
		hash_key[1] ^ 0x646f72616e646f6dull,
		hash_key[0] ^ 0x6c7967656e657261ull,
		hash_key[1] ^ 0x7465646279746573ull,
	};

	for (; len >= 8; p += 8, len -= 8) {
		uint64_t m;

		memcpy(&m, p, sizeof(m));
		v[3] ^= m;
		sip_round(v);
		sip_round(v);
		v[0] ^= m;
	}
	for (size_t i = 0; i < len; i++) {
		last |= (uint64_t)p[i] << (8 * i);
	}
	v[3] ^= last;
	sip_round(v);
	sip_round(v);
	v[0] ^= last;
	v[2] ^= 0xff;
	for (int i = 0; i < 4; i++) {
		sip_round(v);
	}
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

uint64_t hash_string(const char *s)
{
	return hash_bytes(s, strlen(s));
}

void hash_init(struct hash *hash, TALLOC_CTX *mem_ctx)
{
	*hash = (struct hash){.mem_ctx = mem_ctx};
}

static bool hash_grow(struct hash *hash)
{
	size_t num = hash->num_buckets == 0 ? 16 : hash->num_buckets * 2;
	struct hash_node **buckets =
		talloc_zero_array(hash->mem_ctx, struct hash_node *, num);

	if (buckets == NULL) {
		return false;
	}
	for (size_t i = 0; i < hash->num_buckets; i++) {
		struct hash_node *node, *next;

		for (node = hash->buckets[i]; node != NULL; node = next) {
			size_t b = node->hash & (num - 1);

			next = node->next;
			node->next = buckets[b];
			buckets[b] = node;
		}
	}
	talloc_free(hash->buckets);
	hash->buckets = buckets;
	hash->num_buckets = num;
	return true;
}

bool hash_add(struct hash *hash, struct hash_node *node, uint64_t value)
{
	size_t b;

	if (hash->count >= hash->num_buckets && !hash_grow(hash) &&
	    hash->num_buckets == 0) {
		return false;
	}
	b = value & (hash->num_buckets - 1);
	node->hash = value;
	node->linked = true;
	node->next = hash->buckets[b];
	hash->buckets[b] = node;
	hash->count++;
	return true;
}

void hash_del(struct hash *hash, struct hash_node *node)
{
	struct hash_node **p;

	if (!node->linked) {
		return;
	}
	p = &hash->buckets[node->hash & (hash->num_buckets - 1)];
	while (*p != node) {
		p = &(*p)->next;
	}
	*p = node->next;
	node->linked = false;
	node->next = NULL;
	hash->count--;
}

static struct hash_node *match(struct hash_node *node, uint64_t value)
{
	while (node != NULL && node->hash != value) {
		node = node->next;
	}
	return node;
}

struct hash_node *hash_first(const struct hash *hash, uint64_t value)
{
	if (hash->num_buckets == 0) {
		return NULL;
	}
	return match(hash->buckets[value & (hash->num_buckets - 1)], value);
}

struct hash_node *hash_next(const struct hash_node *node, uint64_t value)
{
	return match(node->next, value);
}

struct hash_node *hash_walk(const struct hash *hash, size_t *bucket,
			    struct hash_node *node)
{
	if (node == NULL) {
		*bucket = 0;
	} else if (node->next != NULL) {
		return node->next;
	} else {
		(*bucket)++;
	}
	for (; *bucket < hash->num_buckets; (*bucket)++) {
		if (hash->buckets[*bucket] != NULL) {
			return hash->buckets[*bucket];
		}
	}
	return NULL;
}
