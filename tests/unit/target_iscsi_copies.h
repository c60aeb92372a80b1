/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * EXTENDED COPY over the bench, as a copy that takes its time: what copies for
 * the block engine waits until it is told.
 */
#ifndef ISCSI_COPIES_H
#define ISCSI_COPIES_H

#include "target_iscsi_keeper.h"

#include <sys/syscall.h>

#define SOURCE	    0
#define DESTINATION 70000
#define BLOCKS	    40000 /* more than the engine copies at once */
#define LIST_ID	    77

#define IN_BACKGROUND 0x12
#define TERMINATED    0x60

/* What libc has, but it may be kept waiting; with what it has read, if that is
 * to be so. */
static struct {
	atomic_bool hold, reads;
	atomic_uint calls;
} copying;

ssize_t copy_file_range(int in, off64_t *in_offset, int out,
			off64_t *out_offset, size_t length, unsigned flags)
{
	uint8_t old[4096];
	ssize_t n = -1;

	if (copying.reads) {
		n = pread(in, old, length < 4096 ? length : 4096, *in_offset);
	}
	copying.calls++;
	while (copying.hold) {
		usleep(1000);
	}
	if (n > 0) {
		n = pwrite(out, old, (size_t)n, *out_offset);
		*in_offset += n;
		*out_offset += n;
		return n;
	}
	return syscall(SYS_copy_file_range, in, in_offset, out, out_offset,
		       length, flags);
}

/* A server of its own, whose disk has a file, which is full. */
static UNUSED struct peer *copies_start(struct peer **q)
{
	static uint8_t content[DISK_SIZE / 2];

	bench_file_open();
	bench_another(2);
	memset(content, 0x11, sizeof(content));
	assert_int_equal(pwrite(bench_fd, content, sizeof(content), 0),
			 sizeof(content));
	copying.calls = 0;
	copying.hold = true;
	return keeper_start(q);
}

static UNUSED void copies_stop(struct peer *p, struct peer *q)
{
	keeper_stop(p, q);
	bench_back();
	bench_file_close();
}

static UNUSED void let_copy(void)
{
	copying.hold = false;
}

/* EXTENDED COPY(LID4), which has begun to copy. */
static UNUSED void send_copy(struct peer *p, bool immediate)
{
	struct list l;

	list_start_lid4(&l, LIST_ID, 0, immediate);
	list_target(&l, b->lu->scsi);
	list_segment(&l, 0, 0, BLOCKS, SOURCE, DESTINATION);
	send_list_lid4(p, &l);
	while (copying.calls == 0) {
		sched_yield();
	}
}

/* One that has been answered. */
static UNUSED void copy_in_background(struct peer *p)
{
	send_copy(p, true);
	expect_good(p, p->itt);
}

/* COPY OPERATION ABORT @return its task tag */
static UNUSED uint32_t send_copy_abort(struct peer *p)
{
	uint8_t bhs[48];

	command(p, bhs, ISCSI_FLAG_FINAL, 0, 0x83, 0, 0);
	memset(bhs + 33, 0, 15);
	bhs[33] = 0x1c;
	put_be32(bhs + 34, LIST_ID);
	peer_send(p, bhs, NULL, 0);
	return p->itt;
}

/* COPY OPERATION STATUS of RECEIVE COPY STATUS(LID4) */
static UNUSED uint8_t copy_status(struct peer *p)
{
	uint8_t bhs[48];

	command(p, bhs, FR, 256, 0x84, 0, 0);
	memset(bhs + 33, 0, 15);
	bhs[33] = 0x05;
	put_be32(bhs + 34, LIST_ID);
	put_be32(bhs + 42, 256);
	peer_send(p, bhs, NULL, 0);
	peer_expect(p, ISCSI_OP_DATA_IN);
	assert_true(p->len >= 32);
	return p->data[5];
}

static UNUSED uint8_t first_byte(struct peer *p, uint32_t lba)
{
	uint8_t bhs[48];

	command(p, bhs, FR, 512, READ10, lba, 1);
	peer_send(p, bhs, NULL, 0);
	peer_expect(p, ISCSI_OP_DATA_IN);
	assert_int_equal(p->len, 512);
	return p->data[0];
}

static UNUSED void assert_silent(const struct peer *p)
{
	struct pollfd fd = {.fd = p->fd, .events = POLLIN};

	assert_int_equal(poll(&fd, 1, 0), 0);
}

#endif /* ISCSI_COPIES_H */
