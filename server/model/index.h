/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A set of small numbers that knows its lowest missing one: three levels of
 * 64-bit maps, each bit of an upper one telling that the map below is full.
 * Finding and changing take the same few steps however many are in it.
 */
#ifndef ISTM_MODEL_INDEX_H
#define ISTM_MODEL_INDEX_H

#include <stdbool.h>
#include <stdint.h>
#include <talloc.h>

#define INDEX_SET_SIZE (64u * 64u * 64u)

struct index_set {
	uint64_t top;
	uint64_t middle[64];
	uint64_t *bottom; /* 4096 words */
};

bool index_set_init(struct index_set *set, TALLOC_CTX *mem_ctx);
/* Numbers at or above INDEX_SET_SIZE are accepted and not kept. */
void index_set_add(struct index_set *set, uint32_t n);
void index_set_remove(struct index_set *set, uint32_t n);
/* @return INDEX_SET_SIZE when full */
uint32_t index_set_lowest_free(const struct index_set *set);

#endif /* ISTM_MODEL_INDEX_H */
