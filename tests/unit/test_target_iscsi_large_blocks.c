/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A unit of 4096-byte blocks: what iSCSI counts, it counts in bytes (RFC 7143
 * 11.3.4, 11.4.5, 11.7, 11.8), whatever a block is, and pieces of data end
 * where they like.
 */
#include "target_iscsi_commands.h"

#define BLOCK 4096u

static const uint8_t zeroes[BLOCK];

static int setup(void **state)
{
	bench_file_open();
	bench_sector = BLOCK;
	return bench_setup_lane(state);
}

static int teardown(void **state)
{
	bench_teardown(state);
	bench_file_close();
	return 0;
}

/* GOOD, in a PDU that has these flags of residuals. */
static void expect_residual(struct peer *p, uint8_t flags, uint32_t residual)
{
	peer_expect(p, ISCSI_OP_SCSI_RSP);
	assert_int_equal(get_be32(p->bhs + 16), p->itt);
	assert_int_equal(p->bhs[1] & 0x7f, flags);
	assert_int_equal(p->bhs[3], 0);
	assert_int_equal(get_be32(p->bhs + 44), residual);
}

static void expect_exact(struct peer *p)
{
	expect_residual(p, 0, 0);
}

/* A READ that expects @edtl bytes and is answered with @len of @data. */
static void read_of(struct peer *p, uint32_t lba, uint16_t blocks,
		    uint32_t edtl, const uint8_t *data, uint32_t len,
		    uint8_t flags, uint32_t residual)
{
	uint8_t bhs[48];
	uint32_t off = 0;

	command(p, bhs, FR, edtl, READ10, lba, blocks);
	peer_send(p, bhs, NULL, 0);
	while (off < len) {
		peer_expect(p, ISCSI_OP_DATA_IN);
		assert_int_equal(get_be32(p->bhs + 16), p->itt);
		assert_int_equal(get_be32(p->bhs + 40), off);
		assert_in_range(p->len, 1, len - off);
		assert_memory_equal(p->data, data + off, p->len);
		off += p->len;
		assert_int_equal(p->bhs[1] & ISCSI_DATA_STATUS,
				 off == len ? ISCSI_DATA_STATUS : 0);
	}
	assert_int_equal(p->bhs[1] & 0x7e, flags);
	assert_int_equal(p->bhs[3], 0);
	assert_int_equal(get_be32(p->bhs + 44), residual);
}

static void expect_blocks(struct peer *p, uint32_t lba, uint16_t blocks,
			  const uint8_t *data)
{
	uint32_t len = blocks * BLOCK;

	read_of(p, lba, blocks, len, data, len, 0, 0);
}

/* A WRITE that expects to send @edtl bytes and sends @len at once. */
static void write_of(struct peer *p, uint32_t lba, uint16_t blocks,
		     uint32_t edtl, const uint8_t *data, uint32_t len)
{
	uint8_t bhs[48];

	command(p, bhs, FW, edtl, WRITE10, lba, blocks);
	peer_send(p, bhs, data, len);
}

static void test_capacity(void **state)
{
	struct peer *p = peer_new(b, "");
	uint8_t bhs[48];

	command(p, bhs, FR, 8, 0x25, 0, 0);
	peer_send(p, bhs, NULL, 0);
	peer_expect(p, ISCSI_OP_DATA_IN);
	assert_int_equal(p->len, 8);
	assert_int_equal(get_be32(p->data), DISK_SIZE / BLOCK - 1);
	assert_int_equal(get_be32(p->data + 4), BLOCK);
	peer_close(p);
}

static void test_immediate(void **state)
{
	struct peer *p = peer_new(b, "ImmediateData=Yes");

	write_of(p, 1, 2, 2 * BLOCK, pattern, 2 * BLOCK);
	expect_exact(p);
	write_of(p, 3, 1, BLOCK, pattern + 4 * BLOCK, BLOCK);
	expect_exact(p);
	expect_blocks(p, 0, 1, zeroes);
	expect_blocks(p, 1, 2, pattern);
	expect_blocks(p, 3, 1, pattern + 4 * BLOCK);
	expect_blocks(p, 4, 1, zeroes);
	/* the last block, and one that is none */
	write_of(p, DISK_SIZE / BLOCK - 1, 1, BLOCK, pattern, BLOCK);
	expect_exact(p);
	expect_blocks(p, DISK_SIZE / BLOCK - 1, 1, pattern);
	write_of(p, DISK_SIZE / BLOCK, 1, BLOCK, pattern, BLOCK);
	expect_sense(p, 5, 0x2100);
	peer_close(p);
}

/* Pieces that share no length with blocks: immediate data, unsolicited data to
 * FirstBurstLength, then bursts of MaxBurstLength. */
static void test_odd_pieces(void **state)
{
	struct peer *p = peer_new(b, "ImmediateData=Yes;InitialR2T=No;"
				     "FirstBurstLength=6144;"
				     "MaxBurstLength=10000;"
				     "MaxRecvDataSegmentLength=5000");
	uint32_t total = 8 * BLOCK, n;
	uint8_t bhs[48];

	command(p, bhs, ISCSI_CMD_WRITE, total, WRITE10, 100, 8);
	peer_send(p, bhs, pattern, 1000);
	data_out(p, p->itt, ISCSI_TAG_NONE, 0, 1000, pattern + 1000, 2500,
		 false);
	data_out(p, p->itt, ISCSI_TAG_NONE, 1, 3500, pattern + 3500, 2644,
		 true);
	n = send_bursts(p, pattern, 6144, total, 10000, 3000);
	assert_int_equal(n, 3);
	expect_exact(p);
	assert_int_equal(get_be32(p->bhs + 36), n); /* ExpDataSN */
	expect_blocks(p, 99, 1, zeroes);
	expect_blocks(p, 100, 8, pattern);
	expect_blocks(p, 108, 1, zeroes);
	peer_close(p);
}

/* Bursts shorter than a block. */
static void test_short_bursts(void **state)
{
	struct peer *p = peer_new(b, "ImmediateData=No;InitialR2T=Yes;"
				     "FirstBurstLength=512;MaxBurstLength=512;"
				     "MaxOutstandingR2T=1");

	write_of(p, 200, 1, BLOCK, NULL, 0);
	for (uint32_t i = 0; i < BLOCK / 512; i++) {
		expect_r2t(p, i, i * 512, 512);
		data_out(p, p->itt, get_be32(p->bhs + 20), 0, i * 512,
			 pattern + i * 512, 512, true);
	}
	expect_exact(p);
	expect_blocks(p, 200, 1, pattern);
	peer_close(p);
}

static void test_read_residuals(void **state)
{
	struct peer *p = peer_new(b, "");

	write_of(p, 300, 8, 8 * BLOCK, pattern, 8 * BLOCK);
	expect_exact(p);
	/* the initiator expects more than the command reads: blocks, bytes */
	read_of(p, 300, 2, 3 * BLOCK, pattern, 2 * BLOCK, ISCSI_RSP_UNDERFLOW,
		BLOCK);
	read_of(p, 300, 2, 2 * BLOCK + 512, pattern, 2 * BLOCK,
		ISCSI_RSP_UNDERFLOW, 512);
	/* and less: blocks, a part of one, one and a part */
	read_of(p, 300, 8, BLOCK, pattern, BLOCK, ISCSI_RSP_OVERFLOW,
		7 * BLOCK);
	read_of(p, 300, 1, 512, pattern, 512, ISCSI_RSP_OVERFLOW, BLOCK - 512);
	read_of(p, 300, 2, BLOCK + 1001, pattern, BLOCK + 1001,
		ISCSI_RSP_OVERFLOW, BLOCK - 1001);
	peer_close(p);
}

static void test_write_residuals(void **state)
{
	struct peer *p = peer_new(b, "ImmediateData=Yes");

	/* more is announced than the command writes */
	write_of(p, 400, 2, 3 * BLOCK, pattern, 2 * BLOCK);
	expect_residual(p, ISCSI_RSP_UNDERFLOW, BLOCK);
	expect_blocks(p, 400, 2, pattern);
	expect_blocks(p, 402, 1, zeroes);
	/* less: what came is written */
	write_of(p, 410, 2, BLOCK, pattern, BLOCK);
	expect_residual(p, ISCSI_RSP_OVERFLOW, BLOCK);
	expect_blocks(p, 410, 1, pattern);
	expect_blocks(p, 411, 1, zeroes);
	/* no whole blocks: nothing is */
	write_of(p, 420, 1, 512, pattern, 512);
	expect_sense(p, 5, 0x0e03);
	write_of(p, 420, 2, BLOCK + 512, pattern, BLOCK + 512);
	expect_sense(p, 5, 0x0e03);
	expect_blocks(p, 420, 1, zeroes);
	expect_blocks(p, 421, 1, zeroes);
	peer_close(p);
}

/* What is asked for is what both sides know of. */
static void test_solicited_residuals(void **state)
{
	struct peer *p = peer_new(b, "ImmediateData=No;InitialR2T=Yes");

	write_of(p, 500, 2, 3 * BLOCK, NULL, 0);
	expect_r2t(p, 0, 0, 2 * BLOCK);
	data_out(p, p->itt, get_be32(p->bhs + 20), 0, 0, pattern, 2 * BLOCK,
		 true);
	expect_residual(p, ISCSI_RSP_UNDERFLOW, BLOCK);
	write_of(p, 510, 2, BLOCK, NULL, 0);
	expect_r2t(p, 0, 0, BLOCK);
	data_out(p, p->itt, get_be32(p->bhs + 20), 0, 0, pattern, BLOCK, true);
	expect_residual(p, ISCSI_RSP_OVERFLOW, BLOCK);
	expect_blocks(p, 500, 2, pattern);
	expect_blocks(p, 502, 1, zeroes);
	expect_blocks(p, 510, 1, pattern);
	expect_blocks(p, 511, 1, zeroes);
	peer_close(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_capacity),
		cmocka_unit_test(test_immediate),
		cmocka_unit_test(test_odd_pieces),
		cmocka_unit_test(test_short_bursts),
		cmocka_unit_test(test_read_residuals),
		cmocka_unit_test(test_write_residuals),
		cmocka_unit_test(test_solicited_residuals),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
