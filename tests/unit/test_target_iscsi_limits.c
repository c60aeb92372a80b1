/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Initiators that take more than their share, by mistake or on purpose: of
 * time, with data that never comes; of memory, with answers that nobody reads;
 * of connections. Whoever else is there goes on unharmed.
 */
#include "target_iscsi_commands.h"

#include <sys/resource.h>

#include "target/iscsi_server.h"

/* ---- silence ---- */

/* Busy with everything else, so that no idle detection helps. What was sent
 * before has arrived when time begins to pass. */
static void chat_until_closed(struct peer *p)
{
	uint8_t bhs[48];

	put_ping(bhs, 0x1234, p->cmdsn);
	for (;;) {
		if (send(p->fd, bhs, 48, MSG_NOSIGNAL) != 48 ||
		    peer_recv(p) < 0) {
			return;
		}
		assert_int_equal(p->bhs[0], ISCSI_OP_NOP_IN);
		bench_pass(1);
	}
}

static void test_silence_after_r2t(void **state)
{
	struct peer *p = peer_new(bench_impatient(1), "ImmediateData=No"),
		    *q = peer_second(b, "");
	uint8_t bhs[48];

	command(p, bhs, FW, 8192, WRITE10, 0, 16);
	peer_send(p, bhs, NULL, 0);
	peer_expect(p, ISCSI_OP_R2T);
	bench_warnings();
	chat_until_closed(p);
	assert_int_equal(bench_warnings(), 1);
	assert_non_null(strstr(log_last, "no data for task"));
	peer_close(p);
	/* unsolicited data that was announced */
	p = peer_new(b, "InitialR2T=No");
	announce(p);
	chat_until_closed(p);
	peer_close(p);
	peer_works(q);
	peer_close(q);
	bench_back();
}

/* Slow is not silent: two of three seconds before each piece. */
static void test_slow_data(void **state)
{
	struct peer *p = peer_new(bench_impatient(3), "ImmediateData=No");
	uint8_t bhs[48];
	uint32_t itt, ttt;

	command(p, bhs, FW, 8192, WRITE10, 0, 16);
	itt = p->itt;
	peer_send(p, bhs, NULL, 0);
	peer_expect(p, ISCSI_OP_R2T);
	ttt = get_be32(p->bhs + 20);
	for (uint32_t i = 0; i < 16; i++) {
		bench_pass(2);
		/* the lane has looked at its clock */
		ping(p);
		data_out(p, itt, ttt, i, 512 * i, pattern, 512, i == 15);
		if (i < 15) {
			ping(p);
		}
	}
	expect_good(p, itt);
	peer_close(p);
	bench_back();
}

static void test_silence_within_a_pdu(void **state)
{
	struct peer *p = peer_new(bench_impatient(1), ""),
		    *q = peer_second(b, "");
	uint8_t bhs[48];

	command(p, bhs, FW, 4096, WRITE10, 0, 8);
	put_be24(bhs + 5, 4096);
	peer_write(p, bhs, 48);
	peer_write(p, pattern, 1000);
	bench_warnings();
	peer_pass_time(p);
	peer_expect_close(p);
	assert_int_equal(bench_warnings(), 1);
	peer_close(p);
	p = peer_new(b, "");
	peer_write(p, bhs, 47);
	peer_pass_time(p);
	peer_expect_close(p);
	peer_close(p);
	peer_works(q);
	peer_close(q);
	bench_back();
}

/* ---- readers that do not read ---- */

/* Kilobytes of memory that this process has in use. */
static size_t resident(void)
{
	FILE *f = fopen("/proc/self/statm", "re");
	unsigned long total, pages;

	assert_non_null(f);
	assert_int_equal(fscanf(f, "%lu %lu", &total, &pages), 2);
	fclose(f);
	return pages * 4;
}

/* Send as much as the other side takes. @return bytes */
static size_t stuff(struct peer *p, const uint8_t *pdu, size_t len)
{
	size_t sent = 0, at = 0;
	struct pollfd pfd = {.fd = p->fd, .events = POLLOUT};

	/* Full for so long is full: it has been told to read no more. */
	while (sent < 64u << 20 && poll(&pfd, 1, 300) == 1) {
		ssize_t n = send(p->fd, pdu + at, len - at,
				 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n <= 0) {
			break;
		}
		sent += (size_t)n;
		at = (at + (size_t)n) % len;
	}
	return sent;
}

static void small_buffers(struct peer *p)
{
	int small = 16384;

	setsockopt(p->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	setsockopt(p->fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
}

static void test_never_reads(void **state)
{
	struct peer *p = peer_new(b, "MaxRecvDataSegmentLength=65536"), *q;
	static uint8_t ping[48 + 32768];
	size_t before, taken;

	q = peer_second(b, "");
	small_buffers(p);
	put_ping(ping, 5, p->cmdsn);
	put_be24(ping + 5, 32768);
	before = resident();
	/* each wants an answer of its length; then it is read no more */
	taken = stuff(p, ping, sizeof(ping));
	assert_in_range(taken, 1, 32u << 20);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
	assert_in_range(resident(), 0, before + (32u << 10));
#else
	(void)before;
#endif
	/* nor is it for tiny ones */
	for (unsigned i = 0; i < 50; i++) {
		peer_works(q);
	}
	peer_close(p);
	p = peer_new(b, "");
	small_buffers(p);
	put_be24(ping + 5, 0);
	taken = stuff(p, ping, 48);
	assert_in_range(taken, 1, 16u << 20);
	peer_works(q);
	peer_close(p);
	peer_close(q);
}

/* And it does not stay for ever. */
static void test_never_reads_and_is_gone(void **state)
{
	struct peer *p = peer_new(bench_impatient(1),
				  "MaxRecvDataSegmentLength=65536"),
		    *q;
	uint8_t bhs[48];
	unsigned warnings = 0;

	q = peer_second(b, "");
	small_buffers(p);
	for (unsigned i = 0; i < 64; i++) {
		command(p, bhs, FR, 1u << 20, READ10, 0, 2048);
		peer_send(p, bhs, NULL, 0);
	}
	bench_warnings();
	while (warnings == 0) {
		peer_works(q);
		warnings = bench_warnings();
		bench_pass(1);
		poll(NULL, 0, 10);
	}
	assert_non_null(strstr(log_last, "nothing can be sent"));
	peer_close(p);
	peer_close(q);
	bench_back();
}

/* ---- buffers in line ---- */

/* One large command among many small ones is not overtaken for ever. */
static void test_line_for_buffers(void **state)
{
	struct peer *p = peer_new(b, "MaxRecvDataSegmentLength=262144");
	uint8_t bhs[48];
	uint32_t large = 0;
	unsigned before = 0, small = 0;
	int narrow = 65536;
	bool seen = false;

	setsockopt(p->fd, SOL_SOCKET, SO_RCVBUF, &narrow, sizeof(narrow));
	for (unsigned i = 0; i < 120; i++) {
		uint16_t blocks = i == 40 ? 16384 : 1024;

		command(p, bhs, FR, blocks * 512u, READ10, 0, blocks);
		if (i == 40) {
			large = p->itt;
		}
		peer_send(p, bhs, NULL, 0);
	}
	for (unsigned done = 0; done < 120;) {
		int op = peer_recv(p);

		assert_true(op == ISCSI_OP_DATA_IN || op == ISCSI_OP_SCSI_RSP);
		if (op == ISCSI_OP_DATA_IN &&
		    !(p->bhs[1] & ISCSI_DATA_STATUS)) {
			continue;
		}
		assert_int_equal(p->bhs[3], 0);
		done++;
		if (get_be32(p->bhs + 16) == large) {
			seen = true;
			before = small;
		} else {
			small++;
		}
	}
	assert_true(seen);
	assert_int_equal(before, 40);
	peer_close(p);
}

/* ---- memory of all together ---- */

static struct peer *one_of_many(unsigned i, const char *more)
{
	struct peer *p = peer_connect(b);

	p->isid[4] = 1;
	p->isid[5] = (uint8_t)i;
	peer_login(p, more);
	peer_ready(p);
	return p;
}

static struct peer *neighbour(void)
{
	struct peer *q = peer_connect_from(b, INADDR_LOOPBACK + 1);

	q->isid[5] = 2;
	peer_login(q, "");
	peer_ready(q);
	return q;
}

/* Reads and writes as if nobody else were there. */
static void is_served(struct peer *q)
{
	uint8_t bhs[48];

	for (unsigned i = 0; i < 20; i++) {
		command(q, bhs, FW, 4096, WRITE10, i * 8, 8);
		peer_send(q, bhs, pattern + i * 512, 4096);
		expect_good(q, q->itt);
		command(q, bhs, FR, 65536, READ10, 0, 128);
		peer_send(q, bhs, NULL, 0);
		do {
			peer_expect(q, ISCSI_OP_DATA_IN);
		} while (!(q->bhs[1] & ISCSI_DATA_STATUS));
		assert_int_equal(q->bhs[3], 0);
	}
}

/* Many that want memory and do nothing with it leave some to others. */
static void test_hostile_writers(void **state)
{
	enum { MANY = 20 };
	struct peer *p[MANY], *q;
	uint8_t bhs[48];

	bench_poor();
	q = neighbour();
	for (unsigned i = 0; i < MANY; i++) {
		p[i] = one_of_many(i, "ImmediateData=No");
		for (unsigned n = 0; n < 40; n++) {
			command(p[i], bhs, FW, 131072, WRITE10, 0, 256);
			peer_send(p[i], bhs, NULL, 0);
		}
	}
	/* the first has got a part of it */
	peer_expect(p[0], ISCSI_OP_R2T);
	is_served(q);
	assert_in_range(bench_probe().held, BENCH_POOR / 4, BENCH_POOR * 3 / 4);
	/* what one gives back is for the others */
	for (unsigned i = 0; i + 1 < MANY; i++) {
		peer_close(p[i]);
	}
	is_served(q);
	peer_expect(p[MANY - 1], ISCSI_OP_R2T);
	peer_close(p[MANY - 1]);
	is_served(q);
	peer_close(q);
	bench_wait_nothing_held();
	bench_back();
}

/* Data that comes unasked is refused, and commands with it told BUSY. */
static void test_hostile_data(void **state)
{
	struct peer *p = peer_new(bench_poor(), ""), *q = neighbour();
	uint8_t first[48], bhs[48];
	unsigned good = 0, busy = 0;

	command(p, first, ISCSI_FLAG_FINAL, 0, 0, 0, 0);
	for (unsigned n = 0; n < 100; n++) {
		command(p, bhs, FW, 65536, WRITE10, 0, 128);
		peer_send(p, bhs, pattern, 65536);
	}
	is_served(q);
	assert_in_range(bench_probe().held, BENCH_POOR / 4, BENCH_POOR);
	peer_send(p, first, NULL, 0);
	expect_good(p, get_be32(first + 16));
	for (unsigned n = 0; n < 100; n++) {
		peer_expect(p, ISCSI_OP_SCSI_RSP);
		good += p->bhs[3] == 0;
		busy += p->bhs[3] == 8;
	}
	assert_int_equal(good + busy, 100);
	assert_in_range(good, 32, 72);
	/* and the whole window works again */
	peer_works(p);
	command(p, bhs, FW, 65536, WRITE10, 0, 128);
	peer_send(p, bhs, pattern, 65536);
	expect_good(p, p->itt);
	peer_close(p);
	peer_close(q);
	bench_wait_nothing_held();
	bench_back();
}

/* Answers that nobody reads are not made without end. */
static void test_hostile_pings(void **state)
{
	enum { MANY = 6 };
	struct peer *p[MANY], *q;
	static uint8_t ping[48 + 32768];

	bench_poor();
	q = neighbour();
	for (unsigned i = 0; i < MANY; i++) {
		p[i] = one_of_many(i, "MaxRecvDataSegmentLength=65536");
		small_buffers(p[i]);
		put_ping(ping, 5, p[i]->cmdsn);
		put_be24(ping + 5, 32768);
		stuff(p[i], ping, sizeof(ping));
		is_served(q);
		assert_in_range(bench_probe().held, 0, BENCH_POOR + (1u << 20));
	}
	for (unsigned i = 0; i < MANY; i++) {
		peer_close(p[i]);
	}
	peer_close(q);
	bench_wait_nothing_held();
	bench_back();
}

/* Whoever waits has its turn: more in all than there is room for, and each one
 * more than its part. */
static void test_everyone_has_a_turn(void **state)
{
	enum { MANY = 6, EACH = 6 };
	struct peer *p[MANY];
	struct pollfd pfd[MANY];
	unsigned left[MANY], all = MANY * EACH;
	uint8_t bhs[48];

	bench_poor();
	for (unsigned i = 0; i < MANY; i++) {
		p[i] = one_of_many(i, "MaxRecvDataSegmentLength=262144");
		pfd[i] = (struct pollfd){.fd = p[i]->fd, .events = POLLIN};
		left[i] = EACH;
		for (unsigned n = 0; n < EACH; n++) {
			command(p[i], bhs, FR, 2u << 20, READ10, 0, 4096);
			peer_send(p[i], bhs, NULL, 0);
		}
	}
	while (all) {
		assert_true(poll(pfd, MANY, PATIENCE_MS) > 0);
		for (unsigned i = 0; i < MANY; i++) {
			if (!(pfd[i].revents & POLLIN)) {
				continue;
			}
			peer_expect(p[i], ISCSI_OP_DATA_IN);
			if (p[i]->bhs[1] & ISCSI_DATA_STATUS) {
				assert_int_equal(p[i]->bhs[3], 0);
				left[i]--;
				all--;
			}
		}
	}
	/* those that wait and go leave nothing behind */
	for (unsigned i = 0; i < MANY; i++) {
		assert_int_equal(left[i], 0);
		for (unsigned n = 0; n < EACH; n++) {
			command(p[i], bhs, FR, 2u << 20, READ10, 0, 4096);
			peer_send(p[i], bhs, NULL, 0);
		}
	}
	for (unsigned i = 0; i < MANY; i++) {
		peer_close(p[i]);
	}
	bench_wait_nothing_held();
	bench_back();
}

/* ---- floods ---- */

static void test_thousand_logins(void **state)
{
	struct peer *q = peer_second(b, "");

	bench_wait_sessions(b, 1);
	for (unsigned i = 0; i < 1000; i++) {
		struct peer *p = peer_connect(b);

		p->isid[3] = 1;
		p->isid[4] = (uint8_t)(i >> 8);
		p->isid[5] = (uint8_t)i;
		peer_login(p, "");
		/* each way to leave, and the same session again */
		if (i % 3 == 0) {
			uint8_t bhs[48] = {ISCSI_OP_LOGOUT | ISCSI_OP_IMMEDIATE,
					   0x80};

			put_be32(bhs + 24, p->cmdsn);
			peer_send(p, bhs, NULL, 0);
			peer_expect(p, ISCSI_OP_LOGOUT_RSP);
		}
		peer_close(p);
		if (i % 50 == 0) {
			peer_works(q);
		}
	}
	peer_works(q);
	bench_wait_sessions(b, 1);
	peer_close(q);
	bench_wait_sessions(b, 0);
}

/* An address may have so many connections and no more; others are not kept
 * out. */
static void test_connections_of_an_address(void **state)
{
	struct rlimit limit, more;
	struct peer *p, *q;
	static int fds[1024];
	unsigned num = 0;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	more = limit;
	more.rlim_cur = limit.rlim_max < 4096 ? limit.rlim_max : 4096;
	if (more.rlim_cur < 2200) {
		print_message("# skip: too few descriptors\n");
		skip();
	}
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &more), 0);
	/* or those that came first are gone when the last ones come */
	bench_hold_time();
	q = peer_second(b, "");
	/* nobody says a word on any of them */
	for (num = 0; num < 1023; num++) {
		fds[num] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		assert_int_equal(connect(fds[num], (struct sockaddr *)&b->addr,
					 sizeof(b->addr)),
				 0);
	}
	bench_warnings();
	p = peer_connect(b);
	peer_expect_close(p);
	peer_close(p);
	p = peer_connect(b);
	peer_expect_close(p);
	peer_close(p);
	assert_int_equal(bench_warnings(), 1); /* for both */
	peer_works(q);
	/* another address */
	p = peer_connect_from(b, INADDR_LOOPBACK + 1);
	p->isid[5] = 0xcc;
	peer_login(p, "");
	peer_ready(p);
	peer_close(p);
	/* and the same one again when the others have gone */
	while (num > 0) {
		close(fds[--num]);
	}
	for (;;) {
		p = peer_connect(b);
		if (peer_login_step(p, OP_TO_FULL, NAMES) == 0) {
			break;
		}
		peer_close(p);
	}
	peer_close(p);
	peer_works(q);
	peer_close(q);
	bench_run_time();
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_silence_after_r2t),
		cmocka_unit_test(test_slow_data),
		cmocka_unit_test(test_silence_within_a_pdu),
		cmocka_unit_test(test_never_reads),
		cmocka_unit_test(test_never_reads_and_is_gone),
		cmocka_unit_test(test_line_for_buffers),
		cmocka_unit_test(test_hostile_writers),
		cmocka_unit_test(test_hostile_data),
		cmocka_unit_test(test_hostile_pings),
		cmocka_unit_test(test_everyone_has_a_turn),
		cmocka_unit_test(test_thousand_logins),
		cmocka_unit_test(test_connections_of_an_address),
	};

	return cmocka_run_group_tests(tests, bench_setup, bench_teardown);
}
