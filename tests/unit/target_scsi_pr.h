/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Reservations of three initiators: the commands, in one call each. Included
 * by one source of a program only.
 */
#ifndef TARGET_SCSI_PR_H
#define TARGET_SCSI_PR_H

#include "target_scsi_bench.h"

#define REGISTER 0
#define RESERVE	 1
#define RELEASE	 2
#define CLEAR	 3
#define PREEMPT	 4
#define ABORT	 5
#define IGNORE	 6
#define MOVE	 7

#define PREEMPTED_RES 0x62a03
#define RELEASED      0x62a04
#define PREEMPTED_REG 0x62a05

static UNUSED uint8_t out_list(struct bench *b, unsigned who, uint8_t action,
			       uint8_t type, const uint8_t *list, size_t len)
{
	return bench_io(
		b,
		CDB(0x5f, action, type, 0, 0, 0, 0, (uint8_t)(len >> 8),
		    (uint8_t)len, 0),
		10,
		&(struct bench_io){
			.nexus = who, .out = list, .out_len = len, .split = 5});
}

static UNUSED uint8_t out(struct bench *b, unsigned who, uint8_t action,
			  uint8_t type, uint64_t key, uint64_t action_key)
{
	uint8_t list[24] = {0};

	put_be64(list, key);
	put_be64(list + 8, action_key);
	return out_list(b, who, action, type, list, sizeof(list));
}

static UNUSED uint8_t in(struct bench *b, unsigned who, uint8_t action)
{
	return RUN_AS(b, who, 0x5e, action, 0, 0, 0, 0, 0, 0xff, 0xff, 0);
}

static UNUSED uint32_t generation(struct bench *b)
{
	assert_good(in(b, 0, 0));
	return get_be32(b->in);
}

static UNUSED unsigned keys(struct bench *b)
{
	assert_good(in(b, 0, 0));
	assert_int_equal(b->task.data_in_len, 8 + get_be32(b->in + 4));
	return get_be32(b->in + 4) / 8;
}

/* Type of the reservation, 0 for none, and its key. */
static UNUSED uint8_t reservation(struct bench *b, uint64_t *key)
{
	assert_good(in(b, 0, 1));
	if (get_be32(b->in + 4) == 0) {
		return 0;
	}
	assert_int_equal(get_be32(b->in + 4), 16);
	*key = get_be64(b->in + 8);
	assert_int_equal(b->in[21] >> 4, 0);
	return b->in[21];
}

static UNUSED uint8_t rd(struct bench *b, unsigned who)
{
	return RUN_AS(b, who, 0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0);
}

static UNUSED uint8_t wr(struct bench *b, unsigned who)
{
	static const uint8_t data[512];

	return bench_io(
		b, CDB(0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0), 10,
		&(struct bench_io){.nexus = who, .out = data, .out_len = 512});
}

static UNUSED uint8_t tur(struct bench *b, unsigned who)
{
	return RUN_AS(b, who, 0, 0, 0, 0, 0, 0);
}

#endif /* TARGET_SCSI_PR_H */
