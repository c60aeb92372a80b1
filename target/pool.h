/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Per-lane pools: objects of one size that are reused instead of freed, and
 * data buffers in two sizes. Not thread-safe: each lane has its own.
 */
#ifndef ISTM_TARGET_POOL_H
#define ISTM_TARGET_POOL_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct pool {
	size_t size;	   /* of one object */
	size_t align;	   /* 0: malloc's */
	unsigned max_free; /* kept for reuse; more are freed */
	unsigned num_free;
	void *free; /* linked through their first bytes */
};

/* @return NULL when out of memory; contents are undefined */
void *pool_get(struct pool *pool);
void pool_put(struct pool *pool, void *object);
void pool_fini(struct pool *pool);

/* A transfer's buffer is one small chunk, or as many large ones as it takes. */
#define BUF_SMALL 8192u
#define BUF_LARGE 65536u

struct buf_pool {
	struct pool small, large;
};

#define BUF_INLINE 8

/* The buffer of one transfer: grows in whole chunks, never moves. */
struct buf {
	uint32_t size; /* room, in bytes */
	int num;       /* chunks */
	int max;       /* room in iov */
	int trimmed;   /* chunk that buf_trim() shortened, or -1 */
	size_t full;   /* its own length */
	struct iovec *iov;
	struct iovec inline_iov[BUF_INLINE];
};

void buf_pool_init(struct buf_pool *pool);
void buf_pool_fini(struct buf_pool *pool);

void buf_init(struct buf *buf);
/* Make room for @size bytes in all. @return 0 or ENOMEM */
int buf_grow(struct buf_pool *pool, struct buf *buf, uint32_t size);
/* Let the entries of iov describe exactly @len bytes, at most the room.
 * @return how many entries that takes */
int buf_trim(struct buf *buf, uint32_t len);
void buf_release(struct buf_pool *pool, struct buf *buf);

/*
 * Describe @len bytes at @off of a scattered buffer.
 * @param max room in @out
 * @return entries used; fewer bytes than asked for when @max is short
 */
int iov_slice(const struct iovec *iov, int num, size_t off, size_t len,
	      struct iovec *out, int max);
/* Copy into a scattered buffer at @off. */
void iov_copy_in(const struct iovec *iov, int num, size_t off, const void *data,
		 size_t len);

#endif /* ISTM_TARGET_POOL_H */
