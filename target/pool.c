/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "target/pool.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

void *pool_get(struct pool *pool)
{
	void *object = pool->free;

	if (object) {
		memcpy(&pool->free, object, sizeof(void *));
		pool->num_free--;
		return object;
	}
	if (pool->align)
		return aligned_alloc(pool->align, pool->size);
	return malloc(pool->size);
}

void pool_put(struct pool *pool, void *object)
{
	if (!object)
		return;
	if (pool->num_free >= pool->max_free) {
		free(object);
		return;
	}
	memcpy(object, &pool->free, sizeof(void *));
	pool->free = object;
	pool->num_free++;
}

void pool_fini(struct pool *pool)
{
	while (pool->free) {
		void *object = pool->free;

		memcpy(&pool->free, object, sizeof(void *));
		free(object);
	}
	pool->num_free = 0;
}

/* Kept when idle: 4 MiB of small and 8 MiB of large chunks per lane. */
void buf_pool_init(struct buf_pool *pool)
{
	memset(pool, 0, sizeof(*pool));
	/* Page alignment serves O_DIRECT and the kernel's copies. */
	pool->small.size = BUF_SMALL;
	pool->small.align = 4096;
	pool->small.max_free = 512;
	pool->large.size = BUF_LARGE;
	pool->large.align = 4096;
	pool->large.max_free = 128;
}

void buf_pool_fini(struct buf_pool *pool)
{
	pool_fini(&pool->small);
	pool_fini(&pool->large);
}

void buf_init(struct buf *buf)
{
	buf->size = 0;
	buf->num = 0;
	buf->max = BUF_INLINE;
	buf->trimmed = -1;
	buf->iov = buf->inline_iov;
}

static void buf_untrim(struct buf *buf)
{
	if (buf->trimmed >= 0)
		buf->iov[buf->trimmed].iov_len = buf->full;
	buf->trimmed = -1;
}

static int buf_more_iov(struct buf *buf)
{
	int max = buf->max * 4;
	struct iovec *iov;

	if (buf->iov == buf->inline_iov) {
		iov = malloc(sizeof(*iov) * (size_t)max);
		if (iov)
			memcpy(iov, buf->inline_iov, sizeof(buf->inline_iov));
	} else {
		iov = realloc(buf->iov, sizeof(*iov) * (size_t)max);
	}
	if (!iov)
		return ENOMEM;
	buf->iov = iov;
	buf->max = max;
	return 0;
}

int buf_grow(struct buf_pool *pool, struct buf *buf, uint32_t size)
{
	buf_untrim(buf);
	while (buf->size < size) {
		struct iovec *iov;
		bool small = size - buf->size <= BUF_SMALL;

		if (buf->num == buf->max && buf_more_iov(buf))
			return ENOMEM;
		iov = &buf->iov[buf->num];
		iov->iov_base = pool_get(small ? &pool->small : &pool->large);
		if (!iov->iov_base)
			return ENOMEM;
		iov->iov_len = small ? BUF_SMALL : BUF_LARGE;
		buf->num++;
		buf->size += (uint32_t)iov->iov_len;
	}
	return 0;
}

int buf_trim(struct buf *buf, uint32_t len)
{
	buf_untrim(buf);
	for (int i = 0; i < buf->num && len; i++) {
		size_t n = buf->iov[i].iov_len;

		if (len <= n) {
			buf->trimmed = i;
			buf->full = n;
			buf->iov[i].iov_len = len;
			return i + 1;
		}
		len -= (uint32_t)n;
	}
	return 0;
}

void buf_release(struct buf_pool *pool, struct buf *buf)
{
	buf_untrim(buf);
	for (int i = 0; i < buf->num; i++) {
		struct iovec *iov = &buf->iov[i];

		pool_put(iov->iov_len == BUF_SMALL ? &pool->small
						   : &pool->large,
			 iov->iov_base);
	}
	if (buf->iov != buf->inline_iov)
		free(buf->iov);
	buf_init(buf);
}

int iov_slice(const struct iovec *iov, int num, size_t off, size_t len,
	      struct iovec *out, int max)
{
	int used = 0;

	for (int i = 0; i < num && len && used < max; i++) {
		size_t n = iov[i].iov_len;

		if (off >= n) {
			off -= n;
			continue;
		}
		n -= off;
		if (n > len)
			n = len;
		out[used].iov_base = (char *)iov[i].iov_base + off;
		out[used].iov_len = n;
		used++;
		off = 0;
		len -= n;
	}
	return used;
}

void iov_copy_in(const struct iovec *iov, int num, size_t off, const void *data,
		 size_t len)
{
	const char *p = data;

	for (int i = 0; i < num && len; i++) {
		size_t n = iov[i].iov_len;

		if (off >= n) {
			off -= n;
			continue;
		}
		n -= off;
		if (n > len)
			n = len;
		memcpy((char *)iov[i].iov_base + off, p, n);
		p += n;
		off = 0;
		len -= n;
	}
}
