/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The initiator in full feature phase: commands, task management, data. */
#ifndef ISCSI_COMMANDS_H
#define ISCSI_COMMANDS_H

#include "target_iscsi_peer.h"
#include "target_scsi_lists.h"

/* ---- commands ---- */

/* A SCSI Command PDU with a 10-byte CDB; flags: R, W, F bits. */
static UNUSED void command(struct peer *p, uint8_t *bhs, uint8_t flags,
			   uint32_t edtl, uint8_t opcode, uint32_t lba,
			   uint16_t blocks)
{
	memset(bhs, 0, 48);
	bhs[0] = ISCSI_OP_SCSI_CMD;
	bhs[1] = flags;
	put_be32(bhs + 16, ++p->itt);
	put_be32(bhs + 20, edtl);
	put_be32(bhs + 24, p->cmdsn++);
	bhs[32] = opcode;
	put_be32(bhs + 34, lba);
	put_be16(bhs + 39, blocks);
}

#define WRITE10 0x2a
#define READ10	0x28

#define FR (ISCSI_FLAG_FINAL | ISCSI_CMD_READ)
#define FW (ISCSI_FLAG_FINAL | ISCSI_CMD_WRITE)

static UNUSED void send_test_unit_ready(struct peer *p)
{
	uint8_t bhs[48];

	command(p, bhs, ISCSI_FLAG_FINAL, 0, 0x00, 0, 0);
	peer_send(p, bhs, NULL, 0);
}

static UNUSED void expect_status(struct peer *p, uint32_t itt, uint8_t status)
{
	peer_expect(p, ISCSI_OP_SCSI_RSP);
	assert_int_equal(get_be32(p->bhs + 16), itt);
	assert_int_equal(p->bhs[2], 0); /* completed at target */
	assert_int_equal(p->bhs[3], status);
}

static UNUSED void expect_good(struct peer *p, uint32_t itt)
{
	expect_status(p, itt, 0);
}

/* The power-on unit attention is out of the way. */
static UNUSED void peer_ready(struct peer *p)
{
	do {
		send_test_unit_ready(p);
		peer_expect(p, ISCSI_OP_SCSI_RSP);
	} while (p->bhs[3] != 0);
}

static UNUSED struct peer *peer_new(struct bench *b, const char *more)
{
	struct peer *p = peer_connect(b);

	peer_login(p, more);
	peer_ready(p);
	return p;
}

/* MODE SELECT(6) of the control mode page, with TAS or without */
static UNUSED void set_tas(struct peer *p, bool tas)
{
	/* its last byte: a self-test takes a second */
	uint8_t bhs[48], list[16] = {[4] = 0x0a,	   0x0a,    0x20, 0x10,
				     [9] = tas ? 0x40 : 0, [15] = 1};

	command(p, bhs, FW, sizeof(list), 0x15, 0, 0);
	memset(bhs + 33, 0, 15);
	bhs[33] = 0x10;
	bhs[36] = sizeof(list);
	peer_send(p, bhs, list, sizeof(list));
	expect_good(p, p->itt);
}

/* The connection works: somebody else's mistake has done it no harm. */
static UNUSED void peer_works(struct peer *p)
{
	send_test_unit_ready(p);
	expect_good(p, p->itt);
}

/* Another initiator port; peer_new()'s has the number 1. */
static UNUSED struct peer *peer_port(struct bench *b, uint8_t number,
				     const char *more)
{
	struct peer *p = peer_connect(b);

	p->isid[5] = number;
	peer_login(p, more);
	peer_ready(p);
	return p;
}

/* On the other lane as a rule. */
static UNUSED struct peer *peer_second(struct bench *b, const char *more)
{
	return peer_port(b, 2, more);
}

/* A ping of the initiator's; all that was sent before has been received. */
static UNUSED void put_ping(uint8_t *bhs, uint32_t itt, uint32_t cmdsn)
{
	memset(bhs, 0, 48);
	bhs[0] = ISCSI_OP_NOP_OUT | ISCSI_OP_IMMEDIATE;
	bhs[1] = ISCSI_FLAG_FINAL;
	put_be32(bhs + 16, itt);
	put_be32(bhs + 20, ISCSI_TAG_NONE);
	put_be32(bhs + 24, cmdsn);
}

static UNUSED void ping(struct peer *p)
{
	uint8_t bhs[48];

	put_ping(bhs, 0x7777, p->cmdsn);
	peer_send(p, bhs, NULL, 0);
	peer_expect(p, ISCSI_OP_NOP_IN);
	assert_int_equal(get_be32(p->bhs + 16), 0x7777);
}

/* A write that waits for its data. @return its task tag */
static UNUSED uint32_t peer_pending(struct peer *p)
{
	uint8_t bhs[48];

	command(p, bhs, FW, 512, WRITE10, 0, 1);
	peer_send(p, bhs, NULL, 0);
	peer_expect(p, ISCSI_OP_R2T);
	return p->itt;
}

/* A write of 8 KiB, with unsolicited data to come. */
static UNUSED void announce(struct peer *p)
{
	uint8_t bhs[48];

	command(p, bhs, ISCSI_CMD_WRITE, 8192, WRITE10, 0, 16);
	peer_send(p, bhs, NULL, 0);
}

/* CHECK CONDITION with this sense key and code. */
static UNUSED void expect_sense(struct peer *p, uint8_t key, uint16_t code)
{
	peer_expect(p, ISCSI_OP_SCSI_RSP);
	assert_int_equal(p->bhs[3], 2);
	assert_true(p->len >= 2 + 14);
	assert_int_equal(p->data[2 + 2] & 0xf, key);
	assert_int_equal(get_be16(p->data + 2 + 12), code);
}

static UNUSED void expect_r2t(struct peer *p, uint32_t r2tsn, uint32_t off,
			      uint32_t len)
{
	peer_expect(p, ISCSI_OP_R2T);
	assert_int_equal(get_be32(p->bhs + 16), p->itt);
	assert_int_not_equal(get_be32(p->bhs + 20), ISCSI_TAG_NONE);
	assert_int_equal(get_be32(p->bhs + 36), r2tsn);
	assert_int_equal(get_be32(p->bhs + 40), off);
	assert_int_equal(get_be32(p->bhs + 44), len);
}

static UNUSED void data_out(struct peer *p, uint32_t itt, uint32_t ttt,
			    uint32_t datasn, uint32_t off, const void *data,
			    uint32_t len, bool final)
{
	uint8_t bhs[48] = {ISCSI_OP_DATA_OUT};

	bhs[1] = final ? ISCSI_FLAG_FINAL : 0;
	put_be32(bhs + 16, itt);
	put_be32(bhs + 20, ttt);
	put_be32(bhs + 36, datasn);
	put_be32(bhs + 40, off);
	peer_send(p, bhs, data, len);
}

/* Send the rest of @total bytes, from @off on, as R2Ts ask for it in bursts of
 * @burst: in PDUs of @size. @return how many R2Ts that were */
static UNUSED uint32_t send_bursts(struct peer *p, const uint8_t *data,
				   uint32_t off, uint32_t total, uint32_t burst,
				   uint32_t size)
{
	uint32_t n = 0;

	while (off < total) {
		uint32_t len = total - off < burst ? total - off : burst;
		uint32_t ttt, sent = 0, datasn = 0;

		expect_r2t(p, n++, off, len);
		ttt = get_be32(p->bhs + 20);
		while (sent < len) {
			uint32_t part = len - sent < size ? len - sent : size;

			data_out(p, p->itt, ttt, datasn++, off + sent,
				 data + off + sent, part, sent + part == len);
			sent += part;
		}
		off += len;
	}
	return n;
}

/* EXTENDED COPY(LID4) */
static UNUSED void put_list_lid4(struct peer *p, uint8_t *bhs,
				 const struct list *l)
{
	command(p, bhs, FW, (uint32_t)l->len, 0x83, 0, 0);
	memset(bhs + 33, 0, 15);
	bhs[33] = 0x01;
	put_be32(bhs + 42, (uint32_t)l->len);
}

static UNUSED void send_list_lid4(struct peer *p, const struct list *l)
{
	uint8_t bhs[48];

	put_list_lid4(p, bhs, l);
	peer_send(p, bhs, l->bytes, (uint32_t)l->len);
}

/* ---- task management (RFC 7143 11.5) ---- */

/* A function for LUN 0 that overtakes what is before it. */
static UNUSED void put_tmf(uint8_t *bhs, uint8_t function, uint32_t itt,
			   uint32_t rtt, uint32_t cmdsn, uint32_t refcmdsn)
{
	memset(bhs, 0, 48);
	bhs[0] = ISCSI_OP_TMF | ISCSI_OP_IMMEDIATE;
	bhs[1] = ISCSI_FLAG_FINAL | function;
	put_be32(bhs + 16, itt);
	put_be32(bhs + 20, rtt);
	put_be32(bhs + 24, cmdsn);
	put_be32(bhs + 32, refcmdsn);
}

/* @param rtt the task's tag, or ISCSI_TAG_NONE. @return the function's own */
static UNUSED uint32_t send_tmf(struct peer *p, uint8_t function, uint32_t rtt,
				uint32_t refcmdsn, uint8_t lun)
{
	uint8_t bhs[48];

	put_tmf(bhs, function, ++p->itt, rtt, p->cmdsn, refcmdsn);
	bhs[9] = lun;
	peer_send(p, bhs, NULL, 0);
	return p->itt;
}

/* One of all tasks of LUN 0. */
static UNUSED void send_tmf_of_all(struct peer *p, uint8_t function)
{
	send_tmf(p, function, ISCSI_TAG_NONE, 0, 0);
}

static UNUSED void expect_tmf(struct peer *p, uint8_t response)
{
	peer_expect(p, ISCSI_OP_TMF_RSP);
	assert_int_equal(p->bhs[2], response);
}

/* To the function that was sent last. */
static UNUSED void expect_last_tmf(struct peer *p, uint8_t response)
{
	expect_tmf(p, response);
	assert_int_equal(get_be32(p->bhs + 16), p->itt);
}

static UNUSED void tmf(struct peer *p, uint8_t function, uint32_t rtt,
		       uint32_t refcmdsn, uint8_t lun, uint8_t response)
{
	send_tmf(p, function, rtt, refcmdsn, lun);
	expect_last_tmf(p, response);
}

#endif /* ISCSI_COMMANDS_H */
