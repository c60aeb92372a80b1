/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Sessions: command numbers, NOP, logout, reinstatement, and what happens to
 * them when the configuration changes (RFC 7143 4.2, 4.4, 6.3.5, 11.9, 11.14,
 * 11.17). */
#include "target_iscsi_commands.h"

#include <sys/resource.h>

#include "target/iscsi_server.h"

static void expect_reject(struct peer *p, uint8_t reason, const uint8_t *bhs)
{
	peer_expect(p, ISCSI_OP_REJECT);
	assert_int_equal(p->bhs[2], reason);
	assert_int_equal(get_be32(p->bhs + 16), ISCSI_TAG_NONE);
	assert_int_equal(p->len, 48);
	assert_memory_equal(p->data, bhs, 48);
}

/* ---- command numbers ---- */

static void test_window(void **state)
{
	struct peer *p = peer_new(b, "");
	uint8_t bhs[48];
	uint32_t max = get_be32(p->bhs + 32);

	assert_int_equal(max, p->cmdsn + 127);
	/* beyond the window, and before it: silently ignored, logged once */
	bench_warnings();
	command(p, bhs, ISCSI_FLAG_FINAL, 0, 0, 0, 0);
	put_be32(bhs + 24, max + 1);
	peer_send(p, bhs, NULL, 0);
	put_be32(bhs + 16, 0xaaaa);
	put_be32(bhs + 24, p->cmdsn - 2);
	peer_send(p, bhs, NULL, 0);
	p->cmdsn--;
	peer_works(p);
	assert_int_equal(bench_warnings(), 1);
	peer_close(p);
}

static void test_out_of_order(void **state)
{
	struct peer *p = peer_new(b, "");
	uint8_t first[48], text[48] = {ISCSI_OP_TEXT, 0x80}, third[48],
			   again[48];

	command(p, first, FW, 512, WRITE10, 0, 1);
	put_be32(text + 16, ++p->itt);
	put_be32(text + 20, ISCSI_TAG_NONE);
	put_be32(text + 24, p->cmdsn++);
	command(p, third, FR, 512, READ10, 0, 1);
	/* the third twice: the second copy is dropped */
	peer_send(p, third, NULL, 0);
	memcpy(again, third, 48);
	put_be32(again + 16, 0xbbbb);
	peer_send(p, again, NULL, 0);
	peer_send(p, text, "SendTargets=", 13);
	peer_send(p, first, pattern, 512);
	peer_expect(p, ISCSI_OP_SCSI_RSP);
	assert_int_equal(get_be32(p->bhs + 16), get_be32(first + 16));
	peer_expect(p, ISCSI_OP_TEXT_RSP);
	assert_string_equal(peer_value(p, "TargetName"), TARGET);
	peer_expect(p, ISCSI_OP_DATA_IN);
	assert_memory_equal(p->data, pattern, 512);
	peer_works(p);
	peer_close(p);
}

static void test_task_tag_reuse(void **state)
{
	struct peer *p = peer_new(b, "ImmediateData=No");
	uint8_t bhs[48], again[48];

	command(p, bhs, FW, 512, WRITE10, 0, 1);
	peer_send(p, bhs, NULL, 0);
	peer_expect(p, ISCSI_OP_R2T);
	memcpy(again, bhs, 48);
	put_be32(again + 24, p->cmdsn);
	peer_send(p, again, NULL, 0);
	expect_reject(p, ISCSI_REJECT_IN_PROGRESS, again);
	/* the first is as it was; the number of the second is still due */
	data_out(p, get_be32(bhs + 16), 0, 0, 0, pattern, 512, true);
	peer_expect(p, ISCSI_OP_SCSI_RSP);
	assert_int_equal(p->bhs[3], 0);
	peer_works(p);
	/* a reserved tag */
	command(p, bhs, ISCSI_FLAG_FINAL, 0, 0, 0, 0);
	put_be32(bhs + 16, ISCSI_TAG_NONE);
	peer_send(p, bhs, NULL, 0);
	expect_reject(p, ISCSI_REJECT_INVALID_FIELD, bhs);
	peer_close(p);
}

/* ---- other PDUs ---- */

static void test_nop(void **state)
{
	struct peer *p = peer_new(b, "HeaderDigest=CRC32C");
	uint8_t bhs[48] = {ISCSI_OP_NOP_OUT | ISCSI_OP_IMMEDIATE, 0x80};

	put_be32(bhs + 16, 77);
	put_be32(bhs + 20, ISCSI_TAG_NONE);
	put_be32(bhs + 24, p->cmdsn);
	peer_send(p, bhs, "ping!", 5);
	peer_expect(p, ISCSI_OP_NOP_IN);
	assert_int_equal(get_be32(p->bhs + 16), 77);
	assert_int_equal(get_be32(p->bhs + 20), ISCSI_TAG_NONE);
	assert_int_equal(p->len, 5);
	assert_memory_equal(p->data, "ping!", 5);
	/* numbered */
	bhs[0] = ISCSI_OP_NOP_OUT;
	put_be32(bhs + 24, p->cmdsn++);
	peer_send(p, bhs, NULL, 0);
	peer_expect(p, ISCSI_OP_NOP_IN);
	assert_int_equal(get_be32(p->bhs + 28), p->cmdsn);
	/* nobody asks for an answer */
	bhs[0] = ISCSI_OP_NOP_OUT | ISCSI_OP_IMMEDIATE;
	put_be32(bhs + 16, ISCSI_TAG_NONE);
	peer_send(p, bhs, NULL, 0);
	peer_works(p);
	peer_close(p);
}

static void test_bad_pdus(void **state)
{
	struct peer *p = peer_new(b, ""), *q = peer_second(b, "");
	uint8_t bhs[48] = {0x1f, 0x80};

	/* an unknown opcode, with data */
	bench_warnings();
	put_be32(bhs + 16, 5);
	peer_send(p, bhs, pattern, 100);
	expect_reject(p, ISCSI_REJECT_UNSUPPORTED, bhs);
	/* one that only targets send */
	bhs[0] = ISCSI_OP_R2T;
	peer_send(p, bhs, NULL, 0);
	expect_reject(p, ISCSI_REJECT_UNSUPPORTED, bhs);
	assert_int_equal(bench_warnings(), 1);
	/* SNACK at error recovery level 0, login in full feature phase */
	bhs[0] = ISCSI_OP_SNACK;
	peer_send(p, bhs, NULL, 0);
	expect_reject(p, ISCSI_REJECT_SNACK, bhs);
	bhs[0] = ISCSI_OP_LOGIN | ISCSI_OP_IMMEDIATE;
	peer_send(p, bhs, "A=1", 4);
	expect_reject(p, ISCSI_REJECT_PROTOCOL, bhs);
	/* a data segment where none belongs */
	bhs[0] = ISCSI_OP_LOGOUT | ISCSI_OP_IMMEDIATE;
	peer_send(p, bhs, pattern, 4);
	expect_reject(p, ISCSI_REJECT_INVALID_FIELD, bhs);
	peer_works(p);

	/* a data segment that was never agreed to: no way on */
	bhs[0] = ISCSI_OP_NOP_OUT | ISCSI_OP_IMMEDIATE;
	bhs[5] = 0xff;
	bench_warnings();
	peer_write(p, bhs, 48);
	peer_expect_close(p);
	assert_int_equal(bench_warnings(), 1);
	peer_close(p);
	peer_works(q);

	/* additional header segments that do not add up */
	p = peer_new(b, "");
	command(p, bhs, ISCSI_FLAG_FINAL, 0, 0, 0, 0);
	bhs[4] = 1;
	peer_write(p, bhs, 48);
	peer_write(p, "\0\xff\1\0", 4);
	peer_expect_close(p);
	peer_close(p);
	p = peer_new(b, "");
	memset(bhs, 0, 48);
	bhs[0] = ISCSI_OP_NOP_OUT | ISCSI_OP_IMMEDIATE;
	bhs[4] = 255;
	peer_write(p, bhs, 48);
	peer_expect_close(p);
	peer_close(p);
	peer_works(q);
	peer_close(q);
}

/* An extended CDB is taken (and here none that is known). */
static void test_extended_cdb(void **state)
{
	struct peer *p = peer_new(b, "");
	uint8_t bhs[48], ahs[20] = {0, 17, 1};

	command(p, bhs, ISCSI_FLAG_FINAL, 0, 0x7f, 0, 0);
	bhs[4] = 5;
	peer_write(p, bhs, 48);
	peer_write(p, ahs, 20);
	peer_expect(p, ISCSI_OP_SCSI_RSP);
	assert_int_equal(p->bhs[3], 2);
	peer_works(p);
	peer_close(p);
}

static void test_half_open(void **state)
{
	struct peer *p = peer_new(b, "ImmediateData=No"),
		    *q = peer_second(b, "");
	uint8_t bhs[48];

	/* gone in the middle of a header, of data, of an R2T */
	peer_write(q, pattern, 20);
	peer_close(q);
	q = peer_second(b, "");
	command(q, bhs, FW, 4096, WRITE10, 0, 8);
	put_be24(bhs + 5, 4096);
	peer_write(q, bhs, 48);
	peer_write(q, pattern, 1000);
	peer_close(q);
	q = peer_second(b, "ImmediateData=No");
	command(q, bhs, FW, 4096, WRITE10, 0, 8);
	peer_send(q, bhs, NULL, 0);
	peer_expect(q, ISCSI_OP_R2T);
	peer_close(q);
	/* only its own end is closed: no more requests, so it is over */
	q = peer_second(b, "");
	shutdown(q->fd, SHUT_WR);
	peer_expect_close(q);
	peer_close(q);
	peer_works(p);
	peer_close(p);
	bench_wait_sessions(b, 0);
}

/* ---- logout ---- */

static void send_logout(struct peer *p, uint8_t reason, uint16_t cid)
{
	uint8_t bhs[48] = {ISCSI_OP_LOGOUT | ISCSI_OP_IMMEDIATE, 0x80};

	bhs[1] |= reason;
	put_be32(bhs + 16, ++p->itt);
	put_be16(bhs + 20, cid);
	put_be32(bhs + 24, p->cmdsn);
	peer_send(p, bhs, NULL, 0);
}

static void test_logout(void **state)
{
	struct peer *p = peer_new(b, "");

	send_logout(p, ISCSI_LOGOUT_CONNECTION, 55);
	peer_expect(p, ISCSI_OP_LOGOUT_RSP);
	assert_int_equal(p->bhs[2], ISCSI_LOGOUT_NO_CID);
	send_logout(p, ISCSI_LOGOUT_RECOVERY, 7);
	peer_expect(p, ISCSI_OP_LOGOUT_RSP);
	assert_int_equal(p->bhs[2], ISCSI_LOGOUT_NO_RECOVER);
	send_logout(p, 99, 7);
	peer_expect(p, ISCSI_OP_REJECT);
	peer_works(p);
	send_logout(p, ISCSI_LOGOUT_CONNECTION, 7);
	peer_expect(p, ISCSI_OP_LOGOUT_RSP);
	assert_int_equal(p->bhs[2], ISCSI_LOGOUT_OK);
	assert_int_equal(get_be32(p->bhs + 16), p->itt);
	peer_expect_close(p);
	peer_close(p);

	p = peer_new(b, "");
	send_logout(p, ISCSI_LOGOUT_SESSION, 0);
	peer_expect(p, ISCSI_OP_LOGOUT_RSP);
	peer_expect_close(p);
	peer_close(p);
	bench_wait_sessions(b, 0);
}

/* ---- reinstatement ---- */

static void test_reinstatement(void **state)
{
	struct peer *old = peer_new(b, ""), *other = peer_second(b, "");

	for (unsigned i = 0; i < 10; i++) {
		struct peer *p = peer_connect(b);

		/* the same name and ISID: the old session ends first */
		peer_login(p, "");
		assert_int_not_equal(p->tsih, old->tsih);
		peer_expect_close(old);
		peer_close(old);
		old = p;
	}
	peer_ready(old);
	peer_works(other);
	peer_close(old);
	peer_close(other);
	bench_wait_sessions(b, 0);
}

/* ---- changed configuration ---- */

static void expect_async_logout(struct peer *p)
{
	peer_expect(p, ISCSI_OP_ASYNC);
	assert_int_equal(get_be32(p->bhs + 16), ISCSI_TAG_NONE);
	assert_int_equal(p->bhs[36], ISCSI_ASYNC_LOGOUT);
	assert_int_not_equal(get_be16(p->bhs + 42), 0);
}

/* It did not log out (11.9.1). */
static void expect_dropping(struct peer *p, uint16_t cid)
{
	peer_expect(p, ISCSI_OP_ASYNC);
	assert_int_equal(p->bhs[36], ISCSI_ASYNC_DROP_CONN);
	assert_int_equal(get_be16(p->bhs + 38), cid);
	assert_int_equal(get_be16(p->bhs + 42), 0); /* Time2Retain */
	peer_expect_close(p);
}

static void test_target_removed(void **state)
{
	struct peer *p, *q;
	struct iscsi_tgt_config config = bench_config(b);
	struct iscsi_tgt *tgt;
	uint8_t bhs[48];

	bench_wait_sessions(b, 0);
	p = peer_new(b, "");
	q = peer_second(b, "");
	bench_wait_sessions(b, 2);
	iscsi_tgt_remove(b->tgt);
	expect_async_logout(p);
	expect_async_logout(q);
	/* the units are out of reach at once */
	command(p, bhs, FR, 512, READ10, 0, 1);
	peer_send(p, bhs, NULL, 0);
	do {
		peer_expect(p, ISCSI_OP_SCSI_RSP);
		assert_int_equal(p->bhs[3], 2);
		if ((p->data[4] & 0xf) == 6) { /* unit attention */
			command(p, bhs, FR, 512, READ10, 0, 1);
			peer_send(p, bhs, NULL, 0);
		}
	} while ((p->data[4] & 0xf) == 6);
	assert_int_equal(get_be16(p->data + 14), 0x2500);
	/* one obeys, the other is cut off */
	send_logout(p, ISCSI_LOGOUT_SESSION, 0);
	peer_expect(p, ISCSI_OP_LOGOUT_RSP);
	peer_expect_close(p);
	expect_dropping(q, 7);
	peer_close(p);
	peer_close(q);
	p = peer_connect(b);
	assert_int_equal(peer_login_step(p, OP_TO_FULL, NAMES),
			 ISCSI_LOGIN_NOT_FOUND);
	peer_close(p);

	tgt = iscsi_tgt_add(b->server, &config, b);
	assert_non_null(tgt);
	assert_ptr_equal(iscsi_tgt_private(tgt), b);
	b->tgt = tgt;
	peer_close(peer_new(b, ""));
}

static void test_no_longer_listed(void **state)
{
	static const struct iscsi_id only[] = {
		{ISCSI_ID_IQN, "iqn.2026-01.test.istmd:second"}};
	struct iscsi_tgt_config config = bench_config(b);
	struct peer *p = peer_new(b, ""), *q = peer_connect(b);

	assert_int_equal(
		peer_login_step(q, OP_TO_FULL,
				"InitiatorName=iqn.2026-01.test.istmd:SECOND;"
				"TargetName=" TARGET),
		0);
	peer_ready(q);
	config.ids = only;
	config.num_ids = 1;
	assert_int_equal(iscsi_tgt_update(b->tgt, &config), 0);
	expect_async_logout(p);
	expect_dropping(p, 7);
	peer_works(q);
	/* disabled: everyone */
	config.enabled = false;
	assert_int_equal(iscsi_tgt_update(b->tgt, &config), 0);
	expect_async_logout(q);
	expect_dropping(q, 7);
	peer_close(p);
	peer_close(q);
	config = bench_config(b);
	assert_int_equal(iscsi_tgt_update(b->tgt, &config), 0);
}

/* A long list, with entries that occur twice: the first counts, and as long as
 * that is there the session stays. */
static void test_long_list(void **state)
{
	enum { MANY = 10000 };
	struct iscsi_id *ids = calloc(MANY, sizeof(*ids));
	char(*names)[64] = calloc(MANY, sizeof(*names));
	struct iscsi_tgt_config config = bench_config(b);
	struct peer *p;

	assert_non_null(ids);
	assert_non_null(names);
	for (unsigned i = 0; i < MANY; i++) {
		snprintf(names[i], sizeof(names[i]),
			 i % 3 ? "iqn.2026-01.test.crowd:%u" : "10.0.%u.%u",
			 i % 3 ? i : i >> 8 & 0xff, i & 0xff);
		ids[i].method = i % 3 ? ISCSI_ID_IQN : ISCSI_ID_IPV4;
		ids[i].value = names[i];
	}
	config.ids = ids;
	config.num_ids = MANY;
	assert_int_equal(iscsi_tgt_update(b->tgt, &config), 0);
	p = peer_connect(b);
	assert_int_equal(peer_login_step(p, OP_TO_FULL, NAMES),
			 ISCSI_LOGIN_FORBIDDEN);
	peer_close(p);
	/* the last ones: the name, and the address before it */
	ids[MANY - 1] = (struct iscsi_id){ISCSI_ID_IQN, INITIATOR};
	ids[MANY - 2] = (struct iscsi_id){ISCSI_ID_IQN, INITIATOR};
	ids[MANY - 3] = (struct iscsi_id){ISCSI_ID_IPV4, "127.0.0.1"};
	assert_int_equal(iscsi_tgt_update(b->tgt, &config), 0);
	p = peer_new(b, "");
	/* without the name it is there by its address, as before */
	config.num_ids = MANY - 2;
	assert_int_equal(iscsi_tgt_update(b->tgt, &config), 0);
	peer_works(p);
	/* without the address it is not: that had admitted it */
	ids[MANY - 3] = (struct iscsi_id){ISCSI_ID_IQN, INITIATOR};
	assert_int_equal(iscsi_tgt_update(b->tgt, &config), 0);
	expect_async_logout(p);
	peer_close(p);
	peer_close(peer_new(b, ""));
	config = bench_config(b);
	assert_int_equal(iscsi_tgt_update(b->tgt, &config), 0);
	free(names);
	free(ids);
	bench_wait_sessions(b, 0);
}

/* What a login does not settle for good is declared anew (11.9.1, event 4). */
static void test_negotiation_request(void **state)
{
	struct iscsi_tgt_config config = bench_config(b);
	uint8_t bhs[48] = {ISCSI_OP_TEXT | ISCSI_OP_IMMEDIATE, 0x80};
	static uint8_t block[131072];
	struct peer *p = peer_new(b, "FirstBurstLength=131072");

	config.max_recv_data_segment_length = 131072;
	config.first_burst_length = 131072;
	assert_int_equal(iscsi_tgt_update(b->tgt, &config), 0);
	peer_expect(p, ISCSI_OP_ASYNC);
	assert_int_equal(p->bhs[36], ISCSI_ASYNC_NEGOTIATE);
	assert_int_not_equal(get_be16(p->bhs + 42), 0);
	put_be32(bhs + 16, ++p->itt);
	put_be32(bhs + 20, ISCSI_TAG_NONE);
	put_be32(bhs + 24, p->cmdsn);
	peer_send(p, bhs, NULL, 0);
	peer_expect(p, ISCSI_OP_TEXT_RSP);
	assert_string_equal(peer_value(p, "MaxRecvDataSegmentLength"),
			    "131072");
	/* once */
	put_be32(bhs + 16, ++p->itt);
	peer_send(p, bhs, NULL, 0);
	peer_expect(p, ISCSI_OP_TEXT_RSP);
	assert_int_equal(p->len, 0);
	/* and it holds: a ping that long comes back, in what p takes */
	bhs[0] = ISCSI_OP_NOP_OUT | ISCSI_OP_IMMEDIATE;
	put_be32(bhs + 16, ++p->itt);
	peer_send(p, bhs, block, sizeof(block));
	peer_expect(p, ISCSI_OP_NOP_IN);
	/* one who does not ask is left in peace, and may send what it might */
	config = bench_config(b);
	config.max_recv_data_segment_length = 512;
	assert_int_equal(iscsi_tgt_update(b->tgt, &config), 0);
	peer_expect(p, ISCSI_OP_ASYNC);
	assert_int_equal(p->bhs[36], ISCSI_ASYNC_NEGOTIATE);
	put_be32(bhs + 16, ++p->itt);
	peer_send(p, bhs, block, sizeof(block));
	peer_expect(p, ISCSI_OP_NOP_IN);
	peer_works(p);
	peer_close(p);
	config = bench_config(b);
	assert_int_equal(iscsi_tgt_update(b->tgt, &config), 0);
	bench_wait_sessions(b, 0);
}

static void test_renamed(void **state)
{
	struct iscsi_tgt_config config = bench_config(b);
	struct peer *p = peer_connect(b);

	config.name = "iqn.2026-01.test.istmd:other";
	assert_int_equal(iscsi_tgt_update(b->tgt, &config), 0);
	assert_int_equal(peer_login_step(p, OP_TO_FULL, NAMES),
			 ISCSI_LOGIN_NOT_FOUND);
	peer_close(p);
	p = peer_connect(b);
	assert_int_equal(
		peer_login_step(p, OP_TO_FULL,
				"InitiatorName=" INITIATOR
				";TargetName=iqn.2026-01.test.istmd:other"),
		0);
	peer_close(p);
	config = bench_config(b);
	assert_int_equal(iscsi_tgt_update(b->tgt, &config), 0);
	peer_close(peer_new(b, ""));
}

static void removed(struct tevent_req *req)
{
	bool *done = tevent_req_callback_data_void(req);

	assert_int_equal(iscsi_lu_remove_recv(req), 0);
	talloc_free(req);
	*done = true;
}

static void test_unit_removed(void **state)
{
	struct peer *p = peer_new(b, "ImmediateData=No");
	uint32_t itt = peer_pending(p), ttt = get_be32(p->bhs + 20);
	struct iscsi_lu_config lu = {
		.vendor = "istmd",
		.product = "VIRTUAL-DISK",
		.revision = "1",
		.serial = "2",
		.guid = {9},
		.enabled = true,
		.disk = b->disk,
	};
	struct iscsi_tgt_config config;
	struct tevent_req *req;
	bool done = false;

	req = iscsi_lu_remove_send(b->ev, b->ev, b->lu);
	assert_non_null(req);
	tevent_req_set_callback(req, removed, &done);
	while (!done) {
		assert_int_equal(tevent_loop_once(b->ev), 0);
	}
	/* the write is told when its data is there */
	data_out(p, itt, ttt, 0, 0, pattern, 512, true);
	expect_sense(p, 5, 0x2500);

	b->lu = iscsi_lu_add(b->server, &lu);
	assert_non_null(b->lu);
	config = bench_config(b);
	assert_int_equal(iscsi_tgt_update(b->tgt, &config), 0);
	peer_close(p);
	peer_close(peer_new(b, ""));
}

static void test_session_list(void **state)
{
	struct peer *p, *q;
	struct iscsi_session_info *infos;
	size_t num;

	bench_wait_sessions(b, 0);
	p = peer_new(b, "HeaderDigest=CRC32C");
	q = peer_second(b, "");
	bench_wait_sessions(b, 2);
	assert_int_equal(iscsi_sessions(b->server, b->tgt, b->ev, &infos, &num),
			 0);
	assert_int_equal(num, 2);
	for (size_t i = 0; i < num; i++) {
		const struct iscsi_session_info *info = &infos[i];

		assert_string_equal(info->initiator_name, INITIATOR);
		assert_string_equal(info->target_name, TARGET);
		assert_ptr_equal(info->tgt, b->tgt);
		assert_false(info->discovery);
		assert_int_equal(info->num_connections, 1);
		assert_int_equal(info->connections[0].cid, 7);
		if (info->tsih == p->tsih) {
			assert_true(info->connections[0].header_digest);
		} else {
			assert_int_equal(info->tsih, q->tsih);
			assert_false(info->connections[0].header_digest);
		}
	}
	talloc_free(infos);
	peer_close(p);
	peer_close(q);
	bench_wait_sessions(b, 0);
}

/* The server goes: each session is told (11.9.1, event 3). */
static void test_stop_is_told(void **state)
{
	struct peer *p = peer_new(bench_another(2), "DefaultTime2Wait=5");
	struct peer *q = peer_second(b, ""), *r = peer_connect(b);

	peer_works(p);
	bench_back();
	peer_expect(p, ISCSI_OP_ASYNC);
	assert_int_equal(p->bhs[36], ISCSI_ASYNC_DROP_SESSION);
	assert_int_equal(get_be16(p->bhs + 40), 5); /* Time2Wait */
	assert_int_equal(get_be16(p->bhs + 42), 0); /* Time2Retain */
	peer_expect_close(p);
	peer_expect(q, ISCSI_OP_ASYNC);
	peer_expect_close(q);
	peer_expect_close(r);
	peer_close(p);
	peer_close(q);
	peer_close(r);
}

/* The server goes while sessions are at work. */
static void test_stop_under_load(void **state)
{
	struct peer *p = peer_new(bench_another(2), "ImmediateData=No");
	uint8_t bhs[48];

	peer_pending(p);
	for (unsigned i = 0; i < 50; i++) {
		command(p, bhs, FR, 65536, READ10, 0, 128);
		peer_send(p, bhs, NULL, 0);
	}
	bench_back();
	while (peer_read(p, p->data, 4096)) {
	}
	peer_close(p);
}

/* Those who say nothing: before login, and in a session that watches. */
static void test_silence(void **state)
{
	struct peer *p, *q, *r;
	struct iscsi_tgt_config config;
	uint8_t bhs[48] = {ISCSI_OP_NOP_OUT | ISCSI_OP_IMMEDIATE, 0x80};

	bench_impatient(1);
	config = bench_config(b);
	config.enforce_idle_timeout = true;
	assert_int_equal(iscsi_tgt_update(b->tgt, &config), 0);
	p = peer_connect(b);
	peer_pass_time(p);
	peer_expect_close(p);
	q = peer_connect(b);
	q->isid[5] = 2;
	peer_login(q, "");
	r = peer_new(b, "");
	/* a ping; one answers, and the other is gone */
	bench_pass(1);
	peer_expect(r, ISCSI_OP_NOP_IN);
	assert_int_equal(get_be32(r->bhs + 16), ISCSI_TAG_NONE);
	assert_int_not_equal(get_be32(r->bhs + 20), ISCSI_TAG_NONE);
	put_be32(bhs + 16, ISCSI_TAG_NONE);
	memcpy(bhs + 20, r->bhs + 20, 4);
	put_be32(bhs + 24, r->cmdsn);
	peer_send(r, bhs, NULL, 0);
	peer_works(r);
	peer_expect(q, ISCSI_OP_NOP_IN);
	bench_pass(1);
	peer_expect_close(q);
	peer_expect(r, ISCSI_OP_NOP_IN);
	peer_close(p);
	peer_close(q);
	peer_close(r);
	bench_back();
}

/* No descriptors for more connections: those that are there go on, and when
 * there are some again, so do the others. */
static void test_out_of_descriptors(void **state)
{
	struct peer *p = peer_new(b, ""), *q;
	struct rlimit limit, none;
	int fd, last;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	q = calloc(1, sizeof(*q));
	assert_non_null(q);
	*q = *p;
	q->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	last = dup(0);
	assert_true(last >= 0);
	close(last);
	none = limit;
	none.rlim_cur = (rlim_t)last;
	bench_warnings();
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	fd = connect(q->fd, (struct sockaddr *)&b->addr, sizeof(b->addr));
	peer_works(p);
	peer_works(p);
	while (bench_warnings() == 0) {
		peer_works(p);
	}
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(fd, 0);
	q->isid[5] = 3;
	q->tsih = 0;
	peer_login(q, "");
	peer_ready(q);
	peer_close(p);
	peer_close(q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_window),
		cmocka_unit_test(test_out_of_order),
		cmocka_unit_test(test_task_tag_reuse),
		cmocka_unit_test(test_nop),
		cmocka_unit_test(test_bad_pdus),
		cmocka_unit_test(test_extended_cdb),
		cmocka_unit_test(test_half_open),
		cmocka_unit_test(test_logout),
		cmocka_unit_test(test_reinstatement),
		cmocka_unit_test(test_target_removed),
		cmocka_unit_test(test_no_longer_listed),
		cmocka_unit_test(test_long_list),
		cmocka_unit_test(test_negotiation_request),
		cmocka_unit_test(test_renamed),
		cmocka_unit_test(test_unit_removed),
		cmocka_unit_test(test_session_list),
		cmocka_unit_test(test_silence),
		cmocka_unit_test(test_out_of_descriptors),
		cmocka_unit_test(test_stop_is_told),
		cmocka_unit_test(test_stop_under_load),
	};

	return cmocka_run_group_tests(tests, bench_setup, bench_teardown);
}
