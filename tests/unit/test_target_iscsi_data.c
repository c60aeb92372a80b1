/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Data both ways: Data-In, R2T, immediate and unsolicited data, digests,
 * residuals, and what initiators do wrong with them (RFC 7143 11.7, 11.8). */
#include "target_iscsi_commands.h"

/* Read blocks back, in whatever PDUs, and compare. */
static void expect_blocks(struct peer *p, uint32_t lba, uint16_t blocks,
			  const uint8_t *data, uint32_t mrdsl,
			  uint32_t max_burst)
{
	uint8_t bhs[48];
	uint32_t total = blocks * 512u, off = 0, datasn = 0, burst = 0;

	command(p, bhs, FR, total, READ10, lba, blocks);
	peer_send(p, bhs, NULL, 0);
	while (off < total) {
		bool last, final;

		peer_expect(p, ISCSI_OP_DATA_IN);
		assert_int_equal(get_be32(p->bhs + 16), p->itt);
		assert_int_equal(get_be32(p->bhs + 20), ISCSI_TAG_NONE);
		assert_int_equal(get_be32(p->bhs + 36), datasn++);
		assert_int_equal(get_be32(p->bhs + 40), off);
		assert_in_range(p->len, 1, mrdsl);
		assert_memory_equal(p->data, data + off, p->len);
		off += p->len;
		burst += p->len;
		assert_in_range(burst, 1, max_burst);
		last = off == total;
		final = last || burst == max_burst;
		/* F at the end of each sequence, status with the last */
		assert_int_equal(p->bhs[1] & ISCSI_FLAG_FINAL,
				 final ? ISCSI_FLAG_FINAL : 0);
		assert_int_equal(p->bhs[1] & ISCSI_DATA_STATUS,
				 last ? ISCSI_DATA_STATUS : 0);
		if (final) {
			burst = 0;
		}
	}
	assert_int_equal(p->bhs[3], 0);
	assert_int_equal(get_be32(p->bhs + 44), 0);
}

static void immediate_write(struct peer *p, uint32_t lba, const uint8_t *data,
			    uint16_t blocks)
{
	uint8_t bhs[48];

	command(p, bhs, FW, blocks * 512u, WRITE10, lba, blocks);
	peer_send(p, bhs, data, blocks * 512u);
}

static void test_immediate(void **state)
{
	struct peer *p = peer_new(b, "ImmediateData=Yes");

	immediate_write(p, 8, pattern, 16);
	expect_good(p, p->itt);
	expect_blocks(p, 8, 16, pattern, 8192, 262144);
	peer_close(p);
}

static void test_segments_and_bursts(void **state)
{
	struct peer *p = peer_new(b, "MaxRecvDataSegmentLength=1024;"
				     "MaxBurstLength=2560");

	immediate_write(p, 100, pattern, 16);
	expect_good(p, p->itt);
	expect_blocks(p, 100, 16, pattern, 1024, 2560);
	peer_close(p);
}

/* 200 KiB in all: 8 KiB immediate, 24 KiB unsolicited, the rest in bursts. */
static void test_r2t(void **state)
{
	struct peer *p = peer_new(b, "FirstBurstLength=32768;InitialR2T=No;"
				     "MaxBurstLength=65536;"
				     "MaxRecvDataSegmentLength=262144");
	uint8_t bhs[48];
	uint32_t total = 200u << 10, n;

	command(p, bhs, ISCSI_CMD_WRITE, total, WRITE10, 1000, 400);
	peer_send(p, bhs, pattern, 8192);
	data_out(p, p->itt, ISCSI_TAG_NONE, 0, 8192, pattern + 8192, 16384,
		 false);
	data_out(p, p->itt, ISCSI_TAG_NONE, 1, 24576, pattern + 24576, 8192,
		 true);
	n = send_bursts(p, pattern, 32768, total, 65536, 10000);
	expect_good(p, p->itt);
	assert_int_equal(get_be32(p->bhs + 36), n); /* ExpDataSN */
	expect_blocks(p, 1000, 400, pattern, 262144, 65536);
	peer_close(p);
}

static void test_several_r2ts(void **state)
{
	struct peer *p = peer_new(b, "MaxOutstandingR2T=8;InitialR2T=Yes;"
				     "ImmediateData=No;MaxBurstLength=4096");
	uint8_t bhs[48];
	uint32_t ttt[8];

	/* the target settles for 4: so many at once, then one for each */
	command(p, bhs, FW, 32768, WRITE10, 2000, 64);
	peer_send(p, bhs, NULL, 0);
	for (uint32_t i = 0; i < 4; i++) {
		expect_r2t(p, i, i * 4096, 4096);
		ttt[i] = get_be32(p->bhs + 20);
	}
	for (uint32_t i = 0; i < 8; i++) {
		data_out(p, p->itt, ttt[i], 0, i * 4096, pattern + i * 4096,
			 4096, true);
		if (i < 4) {
			expect_r2t(p, i + 4, (i + 4) * 4096, 4096);
			ttt[i + 4] = get_be32(p->bhs + 20);
		}
	}
	expect_good(p, p->itt);
	peer_close(p);
}

/* A dribble of bytes, and everything at once. */
static void test_any_pieces(void **state)
{
	struct peer *p = peer_new(b, "");
	static uint8_t stream[64 * (48 + 1024)];
	uint8_t *at = stream;

	for (unsigned i = 0; i < 64; i++) {
		command(p, at, FW, 1024, WRITE10, 3000 + 2 * i, 2);
		put_be24(at + 5, 1024);
		memcpy(at + 48, pattern + 1024 * i, 1024);
		at += 48 + 1024;
	}
	for (unsigned i = 0; i < 2 * (48 + 1024); i++) {
		peer_write(p, stream + i, 1);
	}
	peer_write(p, stream + 2 * (48 + 1024), sizeof(stream) - 2 * 1072);
	for (unsigned i = 0; i < 64; i++) {
		peer_expect(p, ISCSI_OP_SCSI_RSP);
		assert_int_equal(p->bhs[3], 0);
	}
	expect_blocks(p, 3000, 128, pattern, 8192, 262144);
	peer_close(p);
}

static void test_digests(void **state)
{
	struct peer *p = peer_new(b, "HeaderDigest=CRC32C;DataDigest=CRC32C;"
				     "InitialR2T=Yes;MaxBurstLength=8192");
	uint8_t bhs[48];
	uint32_t ttt;

	immediate_write(p, 4000, pattern + 1, 3);
	expect_good(p, p->itt);
	expect_blocks(p, 4000, 3, pattern + 1, 8192, 8192);
	/* a length that needs padding */
	command(p, bhs, FW, 1024, WRITE10, 4000, 2);
	peer_send(p, bhs, pattern, 511);
	expect_r2t(p, 0, 511, 513);
	ttt = get_be32(p->bhs + 20);
	data_out(p, p->itt, ttt, 0, 511, pattern + 511, 2, false);
	data_out(p, p->itt, ttt, 1, 513, pattern + 513, 511, true);
	expect_good(p, p->itt);
	expect_blocks(p, 4000, 2, pattern, 8192, 8192);
	peer_close(p);
}

/* Send a PDU whose data digest is wrong. */
static void send_bad_digest(struct peer *p, uint8_t *bhs, const void *data,
			    uint32_t len)
{
	static const uint8_t wrong[4] = {1, 2, 3, 4};
	uint8_t digest[4];

	put_be24(bhs + 5, len);
	iscsi_crc32c_finish(iscsi_crc32c_update(ISCSI_CRC32C_INIT, bhs, 48),
			    digest);
	peer_write(p, bhs, 48);
	if (p->header_digest) {
		peer_write(p, digest, 4);
	}
	peer_write(p, data, len);
	peer_write(p, wrong, 4);
}

static void test_digest_errors(void **state)
{
	struct peer *p = peer_new(b, "HeaderDigest=CRC32C;DataDigest=CRC32C");
	uint8_t bhs[48];
	uint32_t ttt;

	/* immediate data: rejected; the command has not been received, and
	 * the initiator may send it again under the same number */
	bench_warnings();
	command(p, bhs, FW, 512, WRITE10, 5000, 1);
	send_bad_digest(p, bhs, pattern, 512);
	peer_expect(p, ISCSI_OP_REJECT);
	assert_int_equal(p->bhs[2], ISCSI_REJECT_DATA_DIGEST);
	assert_memory_equal(p->data, bhs, 48);
	assert_int_equal(get_be32(p->bhs + 28), p->cmdsn - 1);
	assert_int_equal(bench_warnings(), 1);
	peer_send(p, bhs, pattern, 512);
	expect_good(p, p->itt);

	/* Data-Out: rejected, then the task ends with its data */
	command(p, bhs, FW, 1024, WRITE10, 5000, 2);
	peer_send(p, bhs, NULL, 0);
	expect_r2t(p, 0, 0, 1024);
	ttt = get_be32(p->bhs + 20);
	memset(bhs, 0, 48);
	bhs[0] = ISCSI_OP_DATA_OUT;
	put_be32(bhs + 16, p->itt);
	put_be32(bhs + 20, ttt);
	send_bad_digest(p, bhs, pattern, 512);
	peer_expect(p, ISCSI_OP_REJECT);
	assert_int_equal(p->bhs[2], ISCSI_REJECT_DATA_DIGEST);
	data_out(p, p->itt, ttt, 1, 512, pattern, 512, true);
	expect_sense(p, 0xb, ISCSI_ASC_CRC_ERROR);
	peer_close(p);
}

static void test_header_digest_error(void **state)
{
	struct peer *p = peer_connect(b), *q = peer_second(b, "");
	uint8_t pdu[52];

	peer_login(p, "HeaderDigest=CRC32C");
	peer_ready(p);
	bench_warnings();
	memset(pdu, 0, sizeof(pdu));
	pdu[0] = ISCSI_OP_NOP_OUT | ISCSI_OP_IMMEDIATE;
	pdu[1] = 0x80;
	peer_write(p, pdu, sizeof(pdu));
	peer_expect_close(p);
	assert_int_equal(bench_warnings(), 1);
	peer_close(p);
	peer_works(q);
	peer_close(q);
}

/* ---- residuals (11.4.5.2) ---- */

static void test_residuals(void **state)
{
	struct peer *p = peer_new(b, "");
	uint8_t bhs[48];

	immediate_write(p, 0, pattern, 8);
	expect_good(p, p->itt);
	/* the initiator expects more than the command reads */
	command(p, bhs, FR, 4096, READ10, 0, 2);
	peer_send(p, bhs, NULL, 0);
	peer_expect(p, ISCSI_OP_DATA_IN);
	assert_int_equal(p->len, 1024);
	assert_int_equal(p->bhs[1] & 7,
			 ISCSI_RSP_UNDERFLOW | ISCSI_DATA_STATUS);
	assert_int_equal(get_be32(p->bhs + 44), 3072);
	/* and less */
	command(p, bhs, FR, 512, READ10, 0, 8);
	peer_send(p, bhs, NULL, 0);
	peer_expect(p, ISCSI_OP_DATA_IN);
	assert_int_equal(p->len, 512);
	assert_memory_equal(p->data, pattern, 512);
	assert_int_equal(p->bhs[1] & 7, ISCSI_RSP_OVERFLOW | ISCSI_DATA_STATUS);
	assert_int_equal(get_be32(p->bhs + 44), 3584);
	/* INQUIRY with a short allocation length is none */
	command(p, bhs, FR, 255, 0x12, 0, 0);
	bhs[32 + 4] = 36;
	peer_send(p, bhs, NULL, 0);
	peer_expect(p, ISCSI_OP_DATA_IN);
	assert_int_equal(p->len, 36);
	assert_int_equal(p->bhs[1] & 7,
			 ISCSI_RSP_UNDERFLOW | ISCSI_DATA_STATUS);
	assert_int_equal(get_be32(p->bhs + 44), 255 - 36);
	/* an error past the end: everything is missing */
	command(p, bhs, FR, 512, READ10, 0x7fffffff, 1);
	peer_send(p, bhs, NULL, 0);
	expect_sense(p, 5, 0x2100);
	assert_int_equal(p->bhs[1] & 7, ISCSI_RSP_UNDERFLOW);
	assert_int_equal(get_be32(p->bhs + 44), 512);
	peer_close(p);
}

/* ---- wrong data ---- */

static void test_immediate_not_negotiated(void **state)
{
	struct peer *p = peer_new(b, "ImmediateData=No");

	immediate_write(p, 0, pattern, 1);
	expect_sense(p, 0xb, ISCSI_ASC_UNEXPECTED_DATA);
	peer_works(p);
	peer_close(p);
}

static void test_immediate_too_long(void **state)
{
	struct peer *p = peer_new(b, "FirstBurstLength=1024");
	uint8_t bhs[48];

	bench_warnings();
	immediate_write(p, 0, pattern, 3);
	expect_sense(p, 0xb, ISCSI_ASC_INCORRECT_AMOUNT);
	assert_int_equal(bench_warnings(), 1);
	/* longer than the command says itself */
	command(p, bhs, FW, 512, WRITE10, 0, 1);
	peer_send(p, bhs, pattern, 1024);
	expect_sense(p, 0xb, ISCSI_ASC_INCORRECT_AMOUNT);
	/* with a command that reads */
	command(p, bhs, FR, 512, READ10, 0, 1);
	peer_send(p, bhs, pattern, 512);
	expect_sense(p, 0xb, ISCSI_ASC_UNEXPECTED_DATA);
	peer_works(p);
	peer_close(p);
}

static void test_unsolicited_not_negotiated(void **state)
{
	struct peer *p = peer_new(b, "InitialR2T=Yes");
	uint8_t bhs[48];

	command(p, bhs, ISCSI_CMD_WRITE, 1024, WRITE10, 0, 2);
	peer_send(p, bhs, NULL, 0);
	/* the answer waits for the data that was announced */
	data_out(p, p->itt, ISCSI_TAG_NONE, 0, 0, pattern, 1024, true);
	expect_sense(p, 0xb, ISCSI_ASC_UNEXPECTED_DATA);
	peer_works(p);
	peer_close(p);
}

/* The first R2T of a write of 8 KiB; its tag. */
static uint32_t solicited(struct peer *p)
{
	uint8_t bhs[48];

	command(p, bhs, FW, 8192, WRITE10, 0, 16);
	peer_send(p, bhs, NULL, 0);
	expect_r2t(p, 0, 0, 4096);
	return get_be32(p->bhs + 20);
}

static void test_bad_sequences(void **state)
{
	struct peer *p = peer_new(b, "MaxBurstLength=4096;ImmediateData=No");
	uint32_t ttt;

	/* beyond the burst */
	ttt = solicited(p);
	data_out(p, p->itt, ttt, 0, 0, pattern, 4608, true);
	expect_sense(p, 0xb, ISCSI_ASC_INCORRECT_AMOUNT);
	/* a gap */
	ttt = solicited(p);
	data_out(p, p->itt, ttt, 0, 512, pattern, 3584, true);
	expect_sense(p, 0xb, ISCSI_ASC_INCORRECT_AMOUNT);
	/* an offset that overflows */
	ttt = solicited(p);
	data_out(p, p->itt, ttt, 0, 0xfffffe00u, pattern, 512, true);
	expect_sense(p, 0xb, ISCSI_ASC_INCORRECT_AMOUNT);
	/* a DataSN that is not its turn's */
	ttt = solicited(p);
	data_out(p, p->itt, ttt, 1, 0, pattern, 4096, true);
	expect_sense(p, 0xb, ISCSI_ASC_CRC_ERROR);
	/* an early end */
	ttt = solicited(p);
	data_out(p, p->itt, ttt, 0, 0, pattern, 512, true);
	expect_sense(p, 0xb, ISCSI_ASC_INCORRECT_AMOUNT);
	/* no end: the sequence goes on beyond its burst */
	ttt = solicited(p);
	data_out(p, p->itt, ttt, 0, 0, pattern, 4096, false);
	data_out(p, p->itt, ttt, 1, 4096, pattern, 512, true);
	expect_sense(p, 0xb, ISCSI_ASC_INCORRECT_AMOUNT);
	peer_works(p);
	peer_close(p);
}

static void test_wrong_tags(void **state)
{
	struct peer *p = peer_new(b, "MaxBurstLength=4096;ImmediateData=No");
	uint32_t ttt = solicited(p), itt = p->itt;

	/* somebody else's transfer tag */
	bench_warnings();
	data_out(p, itt, ttt + 1, 0, 0, pattern, 4096, true);
	peer_expect(p, ISCSI_OP_REJECT);
	assert_int_equal(p->bhs[2], ISCSI_REJECT_PROTOCOL);
	/* unsolicited where none is due */
	data_out(p, itt, ISCSI_TAG_NONE, 0, 0, pattern, 4096, true);
	peer_expect(p, ISCSI_OP_REJECT);
	/* once in the log */
	assert_int_equal(bench_warnings(), 1);
	/* of no task at all: as after an abort, silence */
	data_out(p, 0x7654321, ttt, 0, 0, pattern, 4096, true);
	/* the task has come to no harm */
	data_out(p, itt, ttt, 0, 0, pattern, 4096, true);
	expect_r2t(p, 1, 4096, 4096);
	data_out(p, itt, get_be32(p->bhs + 20), 0, 4096, pattern, 4096, true);
	expect_good(p, p->itt);
	peer_close(p);
}

/* More read commands than may hold buffers, and nobody reads the answers:
 * the connection stops, others go on, and in the end all is there. */
static void test_slow_reader(void **state)
{
	struct peer *p = peer_connect(b), *q = peer_connect(b);
	uint8_t bhs[48];
	unsigned sent = 0, done = 0;
	int small = 65536;

	setsockopt(p->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	q->isid[5] = 2;
	peer_login(p, "MaxRecvDataSegmentLength=262144");
	peer_ready(p);
	peer_login(q, "");
	peer_ready(q);
	for (sent = 0; sent < 127; sent++) {
		command(p, bhs, FR, 1u << 20, READ10, 0, 2048);
		peer_send(p, bhs, NULL, 0);
	}
	for (unsigned i = 0; i < 20; i++) {
		peer_works(q);
	}
	while (done < sent) {
		peer_expect(p, ISCSI_OP_DATA_IN);
		if (p->bhs[1] & ISCSI_DATA_STATUS) {
			assert_int_equal(p->bhs[3], 0);
			done++;
		}
	}
	peer_works(p);
	peer_close(p);
	peer_close(q);
}

/* As many large writes at once as the window takes. */
static void test_many_writes(void **state)
{
	struct peer *p = peer_new(b, "InitialR2T=Yes;ImmediateData=No");
	uint8_t bhs[48];
	unsigned done = 0;

	for (unsigned i = 0; i < 100; i++) {
		command(p, bhs, FW, 1u << 20, WRITE10, 2048 * (i % 8), 2048);
		peer_send(p, bhs, NULL, 0);
	}
	while (done < 100) {
		uint32_t off, len;
		int op = peer_recv(p);

		if (op == ISCSI_OP_SCSI_RSP) {
			assert_int_equal(p->bhs[3], 0);
			done++;
			continue;
		}
		assert_int_equal(op, ISCSI_OP_R2T);
		off = get_be32(p->bhs + 40);
		len = get_be32(p->bhs + 44);
		assert_in_range(len, 1, 262144);
		for (uint32_t n = 0; n < len / 65536; n++) {
			data_out(p, get_be32(p->bhs + 16),
				 get_be32(p->bhs + 20), n, off + n * 65536,
				 pattern, 65536, n == len / 65536 - 1);
		}
	}
	peer_works(p);
	peer_close(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_immediate),
		cmocka_unit_test(test_segments_and_bursts),
		cmocka_unit_test(test_r2t),
		cmocka_unit_test(test_several_r2ts),
		cmocka_unit_test(test_any_pieces),
		cmocka_unit_test(test_digests),
		cmocka_unit_test(test_digest_errors),
		cmocka_unit_test(test_header_digest_error),
		cmocka_unit_test(test_residuals),
		cmocka_unit_test(test_immediate_not_negotiated),
		cmocka_unit_test(test_immediate_too_long),
		cmocka_unit_test(test_unsolicited_not_negotiated),
		cmocka_unit_test(test_bad_sequences),
		cmocka_unit_test(test_wrong_tags),
		cmocka_unit_test(test_slow_reader),
		cmocka_unit_test(test_many_writes),
	};

	return cmocka_run_group_tests(tests, bench_setup, bench_teardown);
}
