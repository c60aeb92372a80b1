/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "server/model/index.h"

bool index_set_init(struct index_set *set, TALLOC_CTX *mem_ctx)
{
	*set = (struct index_set){0};
	set->bottom = talloc_zero_array(mem_ctx, uint64_t, 64 * 64);
	return set->bottom != NULL;
}

void index_set_add(struct index_set *set, uint32_t n)
{
	if (n >= INDEX_SET_SIZE) {
		return;
	}
	set->bottom[n >> 6] |= 1ull << (n & 63);
	if (set->bottom[n >> 6] == UINT64_MAX) {
		set->middle[n >> 12] |= 1ull << (n >> 6 & 63);
	}
	if (set->middle[n >> 12] == UINT64_MAX) {
		set->top |= 1ull << (n >> 12);
	}
}

void index_set_remove(struct index_set *set, uint32_t n)
{
	if (n >= INDEX_SET_SIZE) {
		return;
	}
	set->bottom[n >> 6] &= ~(1ull << (n & 63));
	set->middle[n >> 12] &= ~(1ull << (n >> 6 & 63));
	set->top &= ~(1ull << (n >> 12));
}

uint32_t index_set_lowest_free(const struct index_set *set)
{
	uint32_t n;

	if (set->top == UINT64_MAX) {
		return INDEX_SET_SIZE;
	}
	n = __builtin_ctzll(~set->top);
	n = n << 6 | __builtin_ctzll(~set->middle[n]);
	return n << 6 | __builtin_ctzll(~set->bottom[n]);
}
