/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Several wrongs at once, in combinations that single tests do not have: over
 * several connections, with digests, slowly, and beside others who work.
 */
#include "target_iscsi_multi.h"

/* Reads over all connections of a session with both digests, of which one is
 * read slowly and one is not read at all: the others have their answers. */
static void test_slow_reader_of_many(void **state)
{
	struct multi m;
	struct peer *q = peer_second(b, "");
	uint8_t bhs[48];
	unsigned got = 0;

	multi_keys = "HeaderDigest=CRC32C;DataDigest=CRC32C;"
		     "MaxRecvDataSegmentLength=65536";
	m = open_multi(4, multi_keys);
	multi_keys = "";
	assert_true(m.c[3]->header_digest && m.c[3]->data_digest);
	next(&m, bhs, FW, 65536, WRITE10, 0, 128);
	peer_send(m.c[0], bhs, pattern, 65536);
	expect_status(m.c[0], m.itt, 0);
	/* None of these is read. With more in line the connection would not be
	 * read either, and the session's next commands would miss those that
	 * are on it. */
	for (unsigned i = 0; i < 3; i++) {
		next(&m, bhs, FR, 1u << 20, READ10, 0, 2048);
		peer_send(m.c[3], bhs, NULL, 0);
	}
	for (unsigned i = 0; i < 64; i++) {
		uint32_t itt = next(&m, bhs, FR, 65536, READ10, 0, 128);
		struct peer *p = m.c[i % 2];
		size_t at = 0;

		peer_send(p, bhs, NULL, 0);
		do {
			peer_expect(p, ISCSI_OP_DATA_IN);
			assert_int_equal(get_be32(p->bhs + 16), itt);
			assert_memory_equal(p->data, pattern + at, p->len);
			at += p->len;
		} while (!(p->bhs[1] & ISCSI_DATA_STATUS));
		peer_works(q);
	}
	/* slowly, a few bytes at a time, and all of it is right */
	next(&m, bhs, FR, 65536, READ10, 0, 128);
	peer_send(m.c[2], bhs, NULL, 0);
	for (unsigned i = 0; i < 40; i++) {
		poll(NULL, 0, 2);
		works(&m, m.c[0]);
	}
	while (got < 65536) {
		peer_expect(m.c[2], ISCSI_OP_DATA_IN);
		assert_memory_equal(m.c[2]->data, pattern + got, m.c[2]->len);
		got += m.c[2]->len;
	}
	/* the one that does not read goes: its commands do not hold up others
	 */
	peer_close(m.c[3]);
	m.c[3] = NULL;
	expect_dropped(m.c[0], 103);
	settle(&m, m.c[0]);
	works(&m, m.c[1]);
	peer_works(q);
	peer_close(q);
	close_multi(&m);
}

/* A digest error on one connection of many, with its tasks outstanding. */
static void test_digest_error_of_one(void **state)
{
	struct multi m = open_multi(2, "ImmediateData=No");
	struct peer *p;
	uint8_t bhs[48], bad[4] = {1, 2, 3, 4};

	peer_close(m.c[1]);
	expect_dropped(m.c[0], 101);
	p = m.c[1] = joiner(&m, 101);
	peer_login(p, "HeaderDigest=CRC32C;DataDigest=CRC32C");
	pending(&m, p);
	next(&m, bhs, ISCSI_FLAG_FINAL, 0, 0, 0, 0);
	peer_write(p, bhs, 48);
	peer_write(p, bad, 4);
	peer_expect_close(p);
	peer_close(p);
	m.c[1] = NULL;
	expect_dropped(m.c[0], 101);
	/* its number was not used up */
	peer_send(m.c[0], bhs, NULL, 0);
	expect_sense(m.c[0], 6, CLEARED_BY_ISCSI_EVENT);
	works(&m, m.c[0]);
	close_multi(&m);
}

struct flood {
	pthread_t thread;
	unsigned logins;
	int end;
};

/* Logs in over and over, and leaves without a word. */
static void *log_in(void *private_data)
{
	struct flood *flood = private_data;

	for (unsigned i = 0;
	     i < 1000 && !__atomic_load_n(&flood->end, __ATOMIC_RELAXED); i++) {
		struct peer *p = peer_connect_from(b, INADDR_LOOPBACK + 1);

		p->isid[3] = 9;
		p->isid[4] = (uint8_t)(i >> 8);
		p->isid[5] = (uint8_t)i;
		peer_login(p, "");
		flood->logins++;
		peer_close(p);
	}
	return NULL;
}

/* A thousand logins from one address while another one works: whatever it asks
 * for, it gets. */
static void test_logins_beside_io(void **state)
{
	struct flood flood = {0};
	struct peer *q = peer_second(b, "");
	uint8_t bhs[48];

	assert_int_equal(pthread_create(&flood.thread, NULL, log_in, &flood),
			 0);
	for (unsigned i = 0; i < 1000; i++) {
		command(q, bhs, FW, 4096, WRITE10, i * 8, 8);
		peer_send(q, bhs, pattern + i, 4096);
		peer_expect(q, ISCSI_OP_SCSI_RSP);
		assert_int_equal(q->bhs[3], 0);
		command(q, bhs, FR, 4096, READ10, i * 8, 8);
		peer_send(q, bhs, NULL, 0);
		peer_expect(q, ISCSI_OP_DATA_IN);
		assert_memory_equal(q->data, pattern + i, 4096);
	}
	pthread_join(flood.thread, NULL);
	assert_int_equal(flood.logins, 1000);
	peer_works(q);
	peer_close(q);
	bench_wait_sessions(b, 0);
}

/* A login of which each byte comes by itself. */
static void test_login_by_the_byte(void **state)
{
	struct peer *p = peer_connect(b);
	uint8_t pdu[48 + 256] = {ISCSI_OP_LOGIN | ISCSI_OP_IMMEDIATE,
				 OP_TO_FULL};
	size_t len = text_of(NAMES ";SessionType=Normal;HeaderDigest=CRC32C",
			     (char *)pdu + 48);

	put_be24(pdu + 5, (uint32_t)len);
	memcpy(pdu + 8, p->isid, 6);
	put_be16(pdu + 20, p->cid);
	put_be32(pdu + 24, p->cmdsn);
	for (size_t i = 0; i < 48 + ((len + 3) & ~3u); i++) {
		peer_write(p, pdu + i, 1);
	}
	peer_expect(p, ISCSI_OP_LOGIN_RSP);
	assert_int_equal(get_be16(p->bhs + 36), 0);
	p->header_digest = true;
	peer_ready(p);
	peer_close(p);
}

/* Text without end in PDUs that say so and have nothing in them: in a login
 * (which has its time and no more) and in full feature phase. */
static void test_text_of_nothing(void **state)
{
	struct peer *p, *q;
	uint8_t login[48] = {ISCSI_OP_LOGIN | ISCSI_OP_IMMEDIATE,
			     ISCSI_TEXT_CONTINUE | ISCSI_STAGE_OP << 2};
	uint8_t text[48] = {ISCSI_OP_TEXT | ISCSI_OP_IMMEDIATE,
			    ISCSI_TEXT_CONTINUE};
	unsigned n = 0;

	q = peer_second(bench_impatient(1), "");
	p = peer_connect(b);
	memcpy(login + 8, p->isid, 6);
	put_be32(login + 24, p->cmdsn);
	for (;;) {
		if (send(p->fd, login, 48, MSG_NOSIGNAL) != 48 ||
		    peer_recv(p) < 0) {
			break;
		}
		n++;
		bench_pass(1);
	}
	assert_int_not_equal(n, 0);
	peer_close(p);
	peer_works(q);

	p = peer_new(b, "");
	put_be32(text + 16, 0x99);
	put_be32(text + 20, ISCSI_TAG_NONE);
	put_be32(text + 24, p->cmdsn);
	for (unsigned i = 0; i < 5000; i++) {
		peer_send(p, text, NULL, 0);
		peer_expect(p, ISCSI_OP_TEXT_RSP);
		assert_int_equal(p->len, 0);
		memcpy(text + 20, p->bhs + 20, 4);
	}
	/* and then there is something after all */
	text[1] = ISCSI_FLAG_FINAL;
	peer_send(p, text, "SendTargets=", 13);
	peer_expect(p, ISCSI_OP_TEXT_RSP);
	assert_string_equal(peer_value(p, "TargetName"), TARGET);
	peer_works(p);
	peer_close(p);
	peer_close(q);
	bench_back();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_slow_reader_of_many),
		cmocka_unit_test(test_digest_error_of_one),
		cmocka_unit_test(test_logins_beside_io),
		cmocka_unit_test(test_login_by_the_byte),
		cmocka_unit_test(test_text_of_nothing),
	};

	return cmocka_run_group_tests(tests, bench_setup, bench_teardown);
}
