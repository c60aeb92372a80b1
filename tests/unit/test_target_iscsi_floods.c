/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Requests that cost the server more than their sender: task management
 * without end, commands that allocate what is in no PDU, state that has to be
 * kept again and again. What they hold is bounded, and others are served.
 */
#include "target_iscsi_commands.h"

#include "target/iscsi_server.h"
#include "target/iscsi_session.h"

static uint16_t selftest_time;

/* ---- task management ---- */

/* An ABORT TASK SET as it is sent; @return what follows it */
static uint8_t *put_abort_task_set(struct peer *p, uint8_t *bhs, bool immediate)
{
	put_tmf(bhs, ISCSI_TMF_ABORT_TASK_SET, ++p->itt, ISCSI_TAG_NONE,
		p->cmdsn, 0);
	if (!immediate) {
		bhs[0] = ISCSI_OP_TMF;
		p->cmdsn++;
	}
	return bhs + 48;
}

/* Functions wait for data that an R2T has asked for (RFC 7143 4.2.3.3), but not
 * any number of them. All arrive at once: it does not wait for long. */
static void flood_of_functions(bool immediate)
{
	enum { MANY = 100 };
	struct peer *p = peer_new(b, "ImmediateData=No"),
		    *q = peer_second(b, "");
	static uint8_t block[512], flood[48 * (1 + MANY)];
	uint8_t *end = flood + 48, bhs[48];
	uint32_t itt, ttt;

	command(p, flood, FW, 512, WRITE10, 0, 1);
	itt = p->itt;
	for (unsigned i = 0; i < MANY; i++) {
		end = put_abort_task_set(p, end, immediate);
	}
	peer_write(p, flood, sizeof(flood));
	peer_expect(p, ISCSI_OP_R2T);
	ttt = get_be32(p->bhs + 20);
	for (unsigned i = 0; i < MANY - ISCSI_MAX_DUE; i++) {
		peer_expect(p, immediate ? ISCSI_OP_REJECT : ISCSI_OP_TMF_RSP);
		assert_int_equal(p->bhs[2], immediate
						    ? ISCSI_REJECT_TOO_MANY_IMM
						    : ISCSI_TMF_REJECTED);
	}
	peer_works(q);
	/* those that were taken are answered as ever */
	data_out(p, itt, ttt, 0, 0, block, 512, true);
	for (unsigned i = 0; i < ISCSI_MAX_DUE; i++) {
		expect_tmf(p, ISCSI_TMF_COMPLETE);
	}
	put_abort_task_set(p, bhs, immediate);
	peer_send(p, bhs, NULL, 0);
	expect_last_tmf(p, ISCSI_TMF_COMPLETE);
	peer_works(p);
	peer_close(p);
	peer_close(q);
	bench_wait_sessions(b, 0);
}

static void test_immediate_functions(void **state)
{
	flood_of_functions(true);
}

static void test_numbered_functions(void **state)
{
	flood_of_functions(false);
}

/* ---- what commands allocate ---- */

/* The owner of the units' states takes its time. */
static struct iscsi_lu_store *stores[256];
static unsigned num_stores;

static void keep(void *lu_private, const void *state, size_t len,
		 struct iscsi_lu_store *store, void *private_data)
{
	assert_in_range(num_stores, 0, 255);
	stores[num_stores++] = store;
}

static void over(struct tevent_context *ev, struct tevent_timer *te,
		 struct timeval now, void *private_data)
{
	*(bool *)private_data = true;
}

static void for_a_moment(void)
{
	bool done = false;

	tevent_add_timer(b->ev, b->ev, tevent_timeval_current_ofs(0, 1000),
			 over, &done);
	while (!done) {
		assert_int_equal(tevent_loop_once(b->ev), 0);
	}
}

static void main_thread(unsigned until)
{
	while (num_stores < until) {
		assert_int_equal(tevent_loop_once(b->ev), 0);
	}
}

static void answer_stores(void)
{
	unsigned n = num_stores;

	num_stores = 0;
	for (unsigned i = 0; i < n; i++) {
		iscsi_lu_stored(stores[i], 0);
	}
}

/* A MODE SELECT(10) that saves: the control mode page many times over, at last
 * with D_SENSE or without, so that each changes what is kept. */
enum { LIST = 8 + 12 * 5000 };

static void send_mode_select(struct peer *p, bool d_sense)
{
	static uint8_t list[LIST];
	uint8_t bhs[48];

	command(p, bhs, FW, LIST, 0x55, 0, 0);
	bhs[33] = 0x11; /* PF, SP */
	put_be16(bhs + 32 + 7, LIST);
	for (unsigned at = 8; at < LIST; at += 12) {
		static const uint8_t page[12] = {0x0a, 0x0a, 0x20, 0x10};

		memcpy(list + at, page, 12);
		list[at + 2] |= d_sense ? 0x04 : 0;
		put_be16(list + at + 10, selftest_time);
	}
	peer_send(p, bhs, list, LIST);
}

/* EXTENDED COMPLETION TIME, which a page may not change */
static void get_selftest_time(struct peer *p)
{
	uint8_t bhs[48];

	command(p, bhs, FR, 255, 0x5a, 0, 0);
	bhs[33] = 0x08; /* DBD */
	bhs[34] = 0x0a;
	put_be16(bhs + 32 + 7, 255);
	peer_send(p, bhs, NULL, 0);
	peer_expect(p, ISCSI_OP_DATA_IN);
	assert_int_equal(p->len, 8 + 12);
	selftest_time = get_be16(p->data + 8 + 10);
}

/*
 * A unit's state is with its owner once at a time, however many commands
 * change it meanwhile: they wait for the latest. What they allocate counts.
 */
static void test_states_without_end(void **state)
{
	enum { MANY = 40 };
	struct peer *p;
	unsigned stored = 0, answered = 0;

	bench_store = keep;
	bench_another(1);
	bench_store = NULL;
	num_stores = 0;
	p = peer_new(b, "");
	get_selftest_time(p);
	send_mode_select(p, true);
	main_thread(1);
	for (unsigned i = 0; i < MANY; i++) {
		send_mode_select(p, i % 2);
	}
	/* in order, behind all others: they have come so far */
	send_test_unit_ready(p);
	peer_expect(p, ISCSI_OP_SCSI_RSP);
	assert_int_equal(get_be32(p->bhs + 16), p->itt);
	/* what was sent, and what has been made of it */
	assert_in_range(bench_probe().held, 2 * LIST * (MANY + 1), UINT64_MAX);
	while (answered < MANY + 1) {
		struct pollfd pfd = {.fd = p->fd, .events = POLLIN};

		stored += num_stores;
		answer_stores();
		assert_in_range(stored, 0, 3);
		for_a_moment();
		while (poll(&pfd, 1, 10) == 1) {
			peer_expect(p, ISCSI_OP_SCSI_RSP);
			assert_int_equal(p->bhs[3], 0);
			answered++;
		}
	}
	peer_close(p);
	bench_wait_sessions(b, 0);
	bench_wait_nothing_held();
	bench_back();
}

/* EXTENDED COPY(LID4), IMMED, of half of the disk onto the other half, by hand
 * on a RAM disk: slow. @return what follows it */
static uint8_t *put_copy(struct peer *p, uint8_t *pdu, uint32_t id)
{
	struct list l;

	list_start_lid4(&l, id, 0, true);
	list_target(&l, b->lu->scsi);
	list_segment(&l, 0, 0, 65535, 0, DISK_SIZE / 1024);
	put_list_lid4(p, pdu, &l);
	put_be24(pdu + 5, (uint32_t)l.len);
	put_be32(pdu + 28, p->expstatsn);
	memcpy(pdu + 48, l.bytes, l.len);
	return pdu + 48 + l.len;
}

/* What goes on after its status is in no command window. */
static void test_background_without_end(void **state)
{
	enum { MANY = LANE_BACKGROUND + 4 };
	struct peer *p = peer_new(b, ""), *q = peer_second(b, "");
	static uint8_t flood[MANY * 256];
	uint8_t *end = flood;
	unsigned waited = 0;
	struct bench_probe probe;

	for (unsigned i = 0; i < MANY; i++) {
		end = put_copy(p, end, i);
	}
	/* at once, or the first would be done before the last is there */
	peer_write(p, flood, (size_t)(end - flood));
	/* the others are as good, and their status comes when they are done */
	for (unsigned i = 0; i < MANY; i++) {
		peer_expect(p, ISCSI_OP_SCSI_RSP);
		assert_int_equal(p->bhs[3], 0);
		assert_in_range(bench_probe().background, 0, LANE_BACKGROUND);
		peer_works(q);
	}
	peer_close(p);
	peer_close(q);
	do {
		probe = bench_probe();
		assert_in_range(waited++, 0, PATIENCE_MS);
		poll(NULL, 0, 1);
	} while (probe.background != 0);
	bench_wait_nothing_held();
}

/* ---- text ---- */

enum { TARGETS = 2000 };

static void add_targets(void)
{
	for (unsigned i = 0; i < TARGETS; i++) {
		struct iscsi_tgt_config config = bench_config(b);
		char name[ISCSI_NAME_MAX + 1];

		snprintf(name, sizeof(name),
			 "iqn.2026-01.test.istmd:%04u%0195d", i, 0);
		config.name = name;
		config.num_luns = 0;
		assert_non_null(iscsi_tgt_add(b->server, &config, b));
	}
}

static struct peer *discovery(uint32_t address, uint8_t isid)
{
	struct peer *p = peer_connect_from(b, address);

	p->isid[5] = isid;
	assert_int_equal(peer_login_step(p, OP_TO_FULL,
					 "InitiatorName=" INITIATOR
					 ";SessionType=Discovery"),
			 0);
	return p;
}

/* @return the answer's PDU */
static int send_targets(struct peer *p)
{
	uint8_t bhs[48] = {ISCSI_OP_TEXT | ISCSI_OP_IMMEDIATE,
			   ISCSI_FLAG_FINAL};

	put_be32(bhs + 16, ++p->itt);
	put_be32(bhs + 20, ISCSI_TAG_NONE);
	put_be32(bhs + 24, p->cmdsn);
	peer_send(p, bhs, "SendTargets=All", 16);
	return peer_recv(p);
}

/* @return bytes of the whole answer, of which the first PDU is here */
static size_t rest_of_targets(struct peer *p)
{
	uint8_t bhs[48] = {ISCSI_OP_TEXT | ISCSI_OP_IMMEDIATE,
			   ISCSI_FLAG_FINAL};
	size_t len = p->len;

	put_be32(bhs + 16, p->itt);
	put_be32(bhs + 24, p->cmdsn);
	while (!(p->bhs[1] & ISCSI_FLAG_FINAL)) {
		memcpy(bhs + 20, p->bhs + 20, 4);
		peer_send(p, bhs, NULL, 0);
		peer_expect(p, ISCSI_OP_TEXT_RSP);
		len += p->len;
	}
	return len;
}

/* Those who ask for all targets and then for no more of the answer leave memory
 * to others; and when they have gone, all is there again. */
static void test_long_answers(void **state)
{
	enum { MANY = 40 };
	struct peer *p[MANY], *q;
	unsigned rejected = 0;
	size_t whole;

	bench_poor();
	add_targets();
	for (unsigned i = 0; i < MANY; i++) {
		int op;

		p[i] = discovery(INADDR_LOOPBACK, (uint8_t)(10 + i));
		op = send_targets(p[i]);
		if (op == ISCSI_OP_REJECT) {
			assert_int_equal(p[i]->bhs[2], ISCSI_REJECT_LONG_OP);
			rejected++;
		} else {
			assert_int_equal(op, ISCSI_OP_TEXT_RSP);
			assert_int_equal(rejected, 0);
		}
		assert_in_range(bench_probe().held, 0, BENCH_POOR);
	}
	assert_in_range(rejected, 1, MANY - 1);
	/* another address */
	q = discovery(INADDR_LOOPBACK + 1, 9);
	assert_int_equal(send_targets(q), ISCSI_OP_TEXT_RSP);
	whole = rest_of_targets(q);
	assert_in_range(whole, TARGETS * 230, TARGETS * 300);
	assert_int_equal(rest_of_targets(p[0]), whole);
	/* one that was refused may try again */
	assert_int_equal(send_targets(p[MANY - 1]), ISCSI_OP_TEXT_RSP);
	assert_int_equal(rest_of_targets(p[MANY - 1]), whole);
	for (unsigned i = 0; i < MANY; i++) {
		peer_close(p[i]);
	}
	peer_close(q);
	bench_wait_nothing_held();
	bench_back();
}

/* Logins that stop half-way, each with a text that goes on and on. */
static void test_login_texts(void **state)
{
	enum { MANY = 200 };
	struct peer *p[MANY], *q;
	static uint8_t key[8000];
	unsigned refused = 0;

	memset(key, 'x', sizeof(key));
	memcpy(key, "X-key=", 6);
	bench_poor();
	for (unsigned i = 0; i < MANY; i++) {
		uint8_t bhs[48] = {ISCSI_OP_LOGIN | ISCSI_OP_IMMEDIATE,
				   ISCSI_TEXT_CONTINUE | ISCSI_STAGE_OP << 2};
		uint16_t status = 0;

		p[i] = peer_connect(b);
		memcpy(bhs + 8, p[i]->isid, 6);
		put_be32(bhs + 24, p[i]->cmdsn);
		for (unsigned n = 0; n < 8 && status == 0; n++) {
			peer_send(p[i], bhs, key, sizeof(key));
			peer_expect(p[i], ISCSI_OP_LOGIN_RSP);
			status = get_be16(p[i]->bhs + 36);
		}
		assert_true(status == 0 || status == ISCSI_LOGIN_NO_RESOURCES);
		refused += status != 0;
		assert_in_range(bench_probe().held, 0, BENCH_POOR);
	}
	assert_in_range(refused, 1, MANY - 1);
	q = peer_connect_from(b, INADDR_LOOPBACK + 1);
	peer_login(q, "");
	peer_ready(q);
	peer_close(q);
	for (unsigned i = 0; i < MANY; i++) {
		peer_close(p[i]);
	}
	bench_wait_nothing_held();
	bench_back();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_immediate_functions),
		cmocka_unit_test(test_numbered_functions),
		cmocka_unit_test(test_states_without_end),
		cmocka_unit_test(test_background_without_end),
		cmocka_unit_test(test_long_answers),
		cmocka_unit_test(test_login_texts),
	};

	return cmocka_run_group_tests(tests, bench_setup_lane, bench_teardown);
}
