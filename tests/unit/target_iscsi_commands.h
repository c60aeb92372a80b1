/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The initiator in full feature phase: commands, task management, data. */
#ifndef ISCSI_COMMANDS_H
#define ISCSI_COMMANDS_H

#include "target_iscsi_peer.h"

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

/* The connection works: somebody else's mistake has done it no harm. */
static UNUSED void peer_works(struct peer *p)
{
	send_test_unit_ready(p);
	peer_expect(p, ISCSI_OP_SCSI_RSP);
	assert_int_equal(get_be32(p->bhs + 16), p->itt);
	assert_int_equal(p->bhs[3], 0);
}

/* Another initiator port, on the other lane as a rule. */
static UNUSED struct peer *peer_second(struct bench *b, const char *more)
{
	struct peer *p = peer_connect(b);

	p->isid[5] = 2;
	peer_login(p, more);
	peer_ready(p);
	return p;
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

#endif /* ISCSI_COMMANDS_H */
