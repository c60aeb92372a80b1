/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Third-party copies over target_scsi_bench.h. */
#ifndef SCSI_COPIES_H
#define SCSI_COPIES_H

#include "target_scsi_bench.h"
#include "target_scsi_lists.h"

/* ---- EXTENDED COPY(LID1) ---- */

static UNUSED uint8_t copy_bytes(struct bench *b, const void *bytes, size_t len)
{
	uint8_t cdb[16] = {0x83};

	put_be32(cdb + 10, (uint32_t)len);
	return bench_io(
		b, cdb, 16,
		&(struct bench_io){.out = bytes, .out_len = len, .split = 33});
}

static UNUSED uint8_t copy(struct bench *b, const struct list *l)
{
	return copy_bytes(b, l->bytes, l->len);
}

/* ---- tokens ---- */

/* The unit that is sent them; NULL: LUN 0. */
static const uint8_t *token_lun;

struct range {
	uint64_t lba;
	uint32_t blocks;
};

static uint8_t token[512];

static UNUSED uint8_t send_as(struct bench *b, unsigned who, uint8_t action,
			      uint32_t id, const void *list, size_t len)
{
	uint8_t cdb[16] = {0x83, action};

	put_be32(cdb + 6, id);
	put_be32(cdb + 10, (uint32_t)len);
	return bench_io(b, cdb, 16,
			&(struct bench_io){.nexus = who,
					   .lun = token_lun,
					   .out = list,
					   .out_len = len,
					   .split = 100});
}

static UNUSED size_t put_ranges(uint8_t *p, size_t at,
				const struct range *ranges, unsigned count)
{
	unsigned i;

	put_be16(p + at - 2, (uint16_t)(16 * count));
	for (i = 0; i < count; i++) {
		put_be64(p + at + 16 * i, ranges[i].lba);
		put_be32(p + at + 16 * i + 8, ranges[i].blocks);
	}
	put_be16(p, (uint16_t)(at + 16 * count - 2));
	return at + 16 * count;
}

/* Seconds without use that the next token lasts; 0: as the server likes. */
static UNUSED uint32_t inactivity_timeout;

static UNUSED uint8_t populate(struct bench *b, uint32_t id,
			       const struct range *ranges, unsigned count)
{
	uint8_t list[2048] = {0};

	put_be32(list + 4, inactivity_timeout);
	return send_as(b, 0, 0x10, id, list,
		       put_ranges(list, 16, ranges, count));
}

static UNUSED uint8_t write_using(struct bench *b, unsigned who, uint32_t id,
				  uint8_t flags, uint64_t offset,
				  const struct range *ranges, unsigned count)
{
	uint8_t list[4096] = {0};

	list[2] = flags;
	put_be64(list + 8, offset);
	memcpy(list + 16, token, sizeof(token));
	return send_as(b, who, 0x11, id, list,
		       put_ranges(list, 536, ranges, count));
}

/* RECEIVE ROD TOKEN INFORMATION; true: there is a token. */
static UNUSED bool information(struct bench *b, uint32_t id)
{
	uint8_t cdb[16] = {0x84, 0x07};
	const uint8_t *p;

	put_be32(cdb + 2, id);
	put_be32(cdb + 10, 1024);
	assert_good(bench_io(b, cdb, 16, &(struct bench_io){.lun = token_lun}));
	assert_int_equal(get_be32(b->in) + 4, b->task.data_in_len);
	p = b->in + 32 + b->in[13];
	if (get_be32(p) == 0) {
		assert_int_equal(b->task.data_in_len, p + 4 - b->in);
		return false;
	}
	assert_int_equal(get_be32(p), 514);
	assert_int_equal(b->task.data_in_len, p + 4 + 514 - b->in);
	memcpy(token, p + 6, 512);
	return true;
}

#define POPULATE(b, id, ...)                                                   \
	populate(b, id, (const struct range[]){__VA_ARGS__},                   \
		 sizeof((const struct range[]){__VA_ARGS__}) /                 \
			 sizeof(struct range))
#define WRITE(b, id, flags, offset, ...)                                       \
	write_using(b, 0, id, flags, offset,                                   \
		    (const struct range[]){__VA_ARGS__},                       \
		    sizeof((const struct range[]){__VA_ARGS__}) /              \
			    sizeof(struct range))

#endif /* SCSI_COPIES_H */
