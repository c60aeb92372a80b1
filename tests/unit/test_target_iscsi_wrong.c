/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What initiators do wrong, by mistake or on purpose: text that spoofs, repeats
 * and overflows, data that nobody asked for, requests out of turn. Whoever else
 * is there goes on unharmed.
 */
#include "target_iscsi_commands.h"

#include "target/iscsi_keys.h"

#define SEC_STAY  (ISCSI_STAGE_SECURITY << 2)
#define OP_STAY	  (ISCSI_STAGE_OP << 2)
#define SEC_TO_OP (ISCSI_LOGIN_TRANSIT | ISCSI_STAGE_OP)

/* ---- text ---- */

static void refused_more(const char *more, int status)
{
	struct peer *p = peer_connect(b);
	static char pairs[8192];

	snprintf(pairs, sizeof(pairs), NAMES ";%s", more);
	bench_warnings();
	assert_int_equal(peer_login_step(p, OP_TO_FULL, pairs), status);
	assert_int_equal(bench_warnings(), 1);
	peer_expect_close(p);
	peer_close(p);
}

/* Each key of the table against the rule that it stands there with. */
static void test_keys_by_rule(void **state)
{
	unsigned declared = 0, targets = 0, irrelevant = 0;

	for (size_t i = 0; i < iscsi_num_keys; i++) {
		const struct iscsi_key *k = &iscsi_keys[i];
		struct peer *p = peer_connect(b);
		char pair[128];
		const char *answer;

		if (k->use == USE_SECURITY) {
			peer_close(p);
			snprintf(pair, sizeof(pair), "%s=1", k->name);
			refused_more(pair, ISCSI_LOGIN_INVALID_REQ);
			continue;
		}
		/* a list that has nothing we know, a number and no boolean;
		 * names are there already */
		if (strcmp(k->name, "InitiatorName") == 0 ||
		    strcmp(k->name, "TargetName") == 0 ||
		    strcmp(k->name, "SessionType") == 0) {
			peer_close(p);
			continue;
		}
		snprintf(pair, sizeof(pair), "%s=%s", k->name,
			 k->type == KEY_NUM_DECLARED ? "4096" : "maybe");
		peer_login(p, pair);
		answer = peer_value(p, k->name);
		if (k->use == USE_FFPO || !(k->flags & KEY_FROM_INITIATOR)) {
			/* TargetPortalGroupTag and TargetAlias are ours to
			 * say, and said first */
			assert_non_null(answer);
			assert_non_null(memmem(p->data, p->len, "=Reject", 8));
			targets++;
		} else if (k->type == KEY_TEXT) {
			assert_null(answer);
			declared++;
		} else if (k->type == KEY_NUM_DECLARED) {
			assert_string_equal(answer, "65536"); /* our own */
			declared++;
		} else if (k->type == KEY_OBSOLETE) {
			assert_string_equal(answer, "Irrelevant");
		} else if (k->type == KEY_OBSOLETE_NO) {
			assert_string_equal(answer, "No");
		} else {
			assert_string_equal(answer, "Reject");
		}
		peer_ready(p);
		peer_close(p);
		/* irrelevant to discovery */
		p = peer_connect(b);
		snprintf(pair, sizeof(pair),
			 "InitiatorName=" INITIATOR
			 ";SessionType=Discovery;%s=4096",
			 k->name);
		assert_int_equal(peer_login_step(p, OP_TO_FULL, pair), 0);
		if (k->flags & KEY_NOT_DISCOVERY) {
			assert_string_equal(peer_value(p, k->name),
					    "Irrelevant");
			irrelevant++;
		}
		peer_close(p);
	}
	assert_int_equal(targets, 4);
	assert_int_equal(declared, 3);
	assert_int_equal(irrelevant, 10);
}

static void test_choices(void **state)
{
	struct peer *p = peer_connect(b);

	peer_login(p, "TaskReporting=FastAbort,ResponseFence,RFC3720;"
		      "iSCSIProtocolLevel=5;ErrorRecoveryLevel=2;"
		      "DefaultTime2Wait=7;DefaultTime2Retain=30;"
		      "DataPDUInOrder=No;DataSequenceInOrder=No;"
		      "X#NodeArchitecture=LinuxX;X-org.example.key=a;"
		      "Unknown=NotUnderstood;"
		      /* in this order too, bursts fit into each other */
		      "FirstBurstLength=65536;MaxBurstLength=8192");
	assert_string_equal(peer_value(p, "TaskReporting"), "FastAbort");
	assert_string_equal(peer_value(p, "iSCSIProtocolLevel"), "2");
	assert_string_equal(peer_value(p, "ErrorRecoveryLevel"), "0");
	assert_string_equal(peer_value(p, "DefaultTime2Wait"), "7");
	assert_string_equal(peer_value(p, "DefaultTime2Retain"), "0");
	assert_string_equal(peer_value(p, "DataPDUInOrder"), "Yes");
	assert_string_equal(peer_value(p, "DataSequenceInOrder"), "Yes");
	assert_null(peer_value(p, "X#NodeArchitecture"));
	assert_string_equal(peer_value(p, "X-org.example.key"),
			    "NotUnderstood");
	assert_null(peer_value(p, "Unknown"));
	assert_string_equal(peer_value(p, "FirstBurstLength"), "8192");
	assert_string_equal(peer_value(p, "MaxBurstLength"), "8192");
	peer_ready(p);
	peer_close(p);
}

/* The first of the offer that there is (6.2.1, 13.23). */
static void test_task_reporting(void **state)
{
	static const struct {
		const char *offer, *answer;
	} cases[] = {
		{"RFC3720,ResponseFence,FastAbort", "RFC3720"},
		{"ResponseFence,RFC3720", "ResponseFence"},
		{"SlowAbort,FastAbort", "FastAbort"},
		{"fastabort", "Reject"},
		{"FastAbortion,Fast", "Reject"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct peer *p = peer_connect(b);
		char key[64];

		snprintf(key, sizeof(key), "TaskReporting=%s", cases[i].offer);
		peer_login(p, key);
		assert_string_equal(peer_value(p, "TaskReporting"),
				    cases[i].answer);
		peer_close(p);
	}
}

static void test_spoofed_text(void **state)
{
	struct peer *p = peer_connect(b), *q = peer_second(b, "");

	/* answers to what nobody asked; they settle nothing */
	peer_login(p, "MaxBurstLength=NotUnderstood;InitialR2T=Irrelevant;"
		      "MaxRecvDataSegmentLength=Reject;HeaderDigest=Reject");
	assert_null(peer_value(p, "MaxBurstLength"));
	peer_ready(p);
	peer_close(p);
	/* the target's own keys do not move it */
	p = peer_connect(b);
	peer_login(p, "TargetAddress=192.0.2.1:1,1;TargetPortalGroupTag=9;"
		      "TargetAlias=other");
	assert_string_equal(peer_value(p, "TargetPortalGroupTag"), "1");
	peer_ready(p);
	peer_close(p);
	/* names that change half-way */
	p = peer_connect(b);
	assert_int_equal(peer_login_step(p, OP_STAY, NAMES), 0);
	assert_int_equal(
		peer_login_step(p, OP_TO_FULL,
				"InitiatorName=iqn.2026-01.test.istmd:second"),
		ISCSI_LOGIN_INITIATOR_ERR);
	peer_close(p);
	p = peer_connect(b);
	assert_int_equal(peer_login_step(p, OP_STAY, NAMES), 0);
	assert_int_equal(peer_login_step(p, OP_TO_FULL,
					 "SessionType=Discovery;"
					 "TargetName=iqn.2026-01.test:x"),
			 ISCSI_LOGIN_INITIATOR_ERR);
	peer_close(p);
	/* security after the fact */
	p = peer_connect(b);
	assert_int_equal(peer_login_step(p, OP_STAY, NAMES), 0);
	assert_int_equal(peer_login_step(p, OP_TO_FULL, "AuthMethod=None"),
			 ISCSI_LOGIN_INVALID_REQ);
	peer_close(p);
	peer_works(q);
	peer_close(q);
}

static void test_repeated_text(void **state)
{
	struct peer *p;

	refused_more("ImmediateData=Yes;ImmediateData=Yes",
		     ISCSI_LOGIN_INITIATOR_ERR);
	refused_more("InitiatorName=" INITIATOR, ISCSI_LOGIN_INITIATOR_ERR);
	refused_more("TargetName=" TARGET, ISCSI_LOGIN_INITIATOR_ERR);
	refused_more("SessionType=Normal;SessionType=Normal",
		     ISCSI_LOGIN_INITIATOR_ERR);
	refused_more("MaxRecvDataSegmentLength=512;"
		     "MaxRecvDataSegmentLength=8192",
		     ISCSI_LOGIN_INITIATOR_ERR);
	/* over two requests */
	p = peer_connect(b);
	assert_int_equal(peer_login_step(p, OP_STAY, NAMES ";InitialR2T=No"),
			 0);
	assert_int_equal(peer_login_step(p, OP_TO_FULL, "InitialR2T=No"),
			 ISCSI_LOGIN_INITIATOR_ERR);
	peer_close(p);
	/* and of the security stage: which one would count? */
	p = peer_connect(b);
	assert_int_equal(peer_login_step(p, SEC_TO_OP,
					 NAMES ";AuthMethod=None;"
					       "AuthMethod=CHAP"),
			 ISCSI_LOGIN_INITIATOR_ERR);
	peer_close(p);
	p = peer_connect(b);
	assert_int_equal(peer_login_step(p, SEC_STAY, NAMES), 0);
	assert_int_equal(peer_login_step(p, SEC_STAY,
					 "CHAP_N=a;CHAP_N=b;CHAP_R=0x00"),
			 ISCSI_LOGIN_INITIATOR_ERR);
	peer_close(p);
}

/* One login text cut in two at each of its bytes. */
static void test_text_cut_anywhere(void **state)
{
	char text[512];
	size_t len = text_of(NAMES ";SessionType=Normal;InitialR2T=No", text);

	for (size_t cut = 1; cut < len; cut++) {
		struct peer *p = peer_connect(b);
		uint8_t bhs[48] = {ISCSI_OP_LOGIN | ISCSI_OP_IMMEDIATE,
				   ISCSI_TEXT_CONTINUE | OP_STAY};

		memcpy(bhs + 8, p->isid, 6);
		put_be32(bhs + 16, p->itt);
		put_be16(bhs + 20, p->cid);
		put_be32(bhs + 24, p->cmdsn);
		peer_send(p, bhs, text, (uint32_t)cut);
		peer_expect(p, ISCSI_OP_LOGIN_RSP);
		assert_int_equal(get_be16(p->bhs + 36), 0);
		assert_int_equal(p->len, 0);
		bhs[1] = OP_TO_FULL;
		peer_send(p, bhs, text + cut, (uint32_t)(len - cut));
		peer_expect(p, ISCSI_OP_LOGIN_RSP);
		assert_int_equal(get_be16(p->bhs + 36), 0);
		assert_string_equal(peer_value(p, "InitialR2T"), "No");
		peer_close(p);
	}
}

static void test_oversized_text(void **state)
{
	static char more[7000];
	struct peer *p = peer_connect(b);
	size_t len;

	/* a key of 63 bytes is one, of 64 is none (6.1) */
	memset(more, 'K', 63);
	strcpy(more + 63, "=1");
	peer_login(p, more);
	peer_ready(p);
	peer_close(p);
	memset(more, 'K', 64);
	strcpy(more + 64, "=1");
	refused_more(more, ISCSI_LOGIN_INITIATOR_ERR);
	/* no key, no '=' */
	refused_more("=1", ISCSI_LOGIN_INITIATOR_ERR);
	refused_more("1Key=1", ISCSI_LOGIN_INITIATOR_ERR);
	refused_more("Key", ISCSI_LOGIN_INITIATOR_ERR);
	refused_more("K\x01y=1", ISCSI_LOGIN_INITIATOR_ERR);
	/* values */
	len = (size_t)sprintf(more, "InitiatorAlias=");
	memset(more + len, 'a', 255);
	more[len + 255] = '\0';
	p = peer_connect(b);
	peer_login(p, more);
	peer_close(p);
	memset(more + len, 'a', 256);
	more[len + 256] = '\0';
	refused_more(more, ISCSI_LOGIN_INITIATOR_ERR);
	len = (size_t)sprintf(more, "MaxBurstLength=");
	memset(more + len, '9', 200);
	more[len + 200] = '\0';
	p = peer_connect(b);
	peer_login(p, more);
	assert_string_equal(peer_value(p, "MaxBurstLength"), "Reject");
	peer_close(p);
	len = (size_t)sprintf(more, "TargetName=iqn.");
	memset(more + len, 'a', 240);
	more[len + 240] = '\0';
	p = peer_connect(b);
	assert_int_equal(peer_login_step(p, OP_STAY,
					 "InitiatorName=" INITIATOR ";"
					 "SessionType=Normal"),
			 ISCSI_LOGIN_MISSING_PARAM);
	peer_close(p);
	/* so many keys that their answers would not fit */
	len = 0;
	for (unsigned i = 0; i < 900; i++) {
		len += (size_t)sprintf(more + len, "%sX%u=", i ? ";" : "", i);
	}
	refused_more(more, ISCSI_LOGIN_INITIATOR_ERR);
}

/* ---- data ---- */

static void test_unsolicited_sequences(void **state)
{
	struct peer *p = peer_new(b, "InitialR2T=No;FirstBurstLength=4096"), *q;

	q = peer_second(b, "");
	/* the second first */
	announce(p);
	data_out(p, p->itt, ISCSI_TAG_NONE, 1, 0, pattern, 2048, false);
	data_out(p, p->itt, ISCSI_TAG_NONE, 0, 2048, pattern, 2048, true);
	expect_sense(p, 0xb, ISCSI_ASC_CRC_ERROR);
	/* a gap, an overlap */
	announce(p);
	data_out(p, p->itt, ISCSI_TAG_NONE, 0, 512, pattern, 512, true);
	expect_sense(p, 0xb, ISCSI_ASC_INCORRECT_AMOUNT);
	announce(p);
	data_out(p, p->itt, ISCSI_TAG_NONE, 0, 0, pattern, 1024, false);
	data_out(p, p->itt, ISCSI_TAG_NONE, 1, 512, pattern, 512, true);
	expect_sense(p, 0xb, ISCSI_ASC_INCORRECT_AMOUNT);
	/* more than FirstBurstLength, at once and in parts */
	announce(p);
	data_out(p, p->itt, ISCSI_TAG_NONE, 0, 0, pattern, 4608, true);
	expect_sense(p, 0xb, ISCSI_ASC_INCORRECT_AMOUNT);
	announce(p);
	data_out(p, p->itt, ISCSI_TAG_NONE, 0, 0, pattern, 4096, false);
	data_out(p, p->itt, ISCSI_TAG_NONE, 1, 4096, pattern, 512, true);
	expect_sense(p, 0xb, ISCSI_ASC_INCORRECT_AMOUNT);
	/* after its end */
	announce(p);
	data_out(p, p->itt, ISCSI_TAG_NONE, 0, 0, pattern, 512, true);
	peer_expect(p, ISCSI_OP_R2T);
	data_out(p, p->itt, ISCSI_TAG_NONE, 1, 512, pattern, 512, true);
	peer_expect(p, ISCSI_OP_REJECT);
	assert_int_equal(p->bhs[2], ISCSI_REJECT_PROTOCOL);
	peer_works(q);
	peer_close(p);
	peer_close(q);
}

#define D_SENSE 0x04

/* MODE SELECT(6) of the control mode page, all else as it is */
static void select_control(struct peer *p, uint8_t flags)
{
	uint8_t bhs[48], list[16];

	command(p, bhs, FR, sizeof(list), 0x1a, 0, 0);
	bhs[33] = 0x08; /* DBD */
	bhs[34] = 0x0a;
	bhs[36] = sizeof(list);
	peer_send(p, bhs, NULL, 0);
	peer_expect(p, ISCSI_OP_DATA_IN);
	assert_int_equal(p->len, sizeof(list));
	memcpy(list, p->data, sizeof(list));
	list[0] = 0;
	list[2] = 0;
	list[4] &= 0x3f; /* PS */
	list[6] = (list[6] & ~D_SENSE) | flags;
	command(p, bhs, FW, sizeof(list), 0x15, 0, 0);
	bhs[33] = 0x10; /* PF */
	bhs[36] = sizeof(list);
	peer_send(p, bhs, NULL, 0);
	peer_expect(p, ISCSI_OP_R2T);
	data_out(p, p->itt, get_be32(p->bhs + 20), 0, 0, list, sizeof(list),
		 true);
	expect_good(p, p->itt);
}

/* In the format that the unit has its sense data in (SPC-4 7.5.8, D_SENSE). */
static void test_sense_format(void **state)
{
	struct peer *p = peer_new(b, "InitialR2T=No;ImmediateData=No");
	uint8_t bhs[48];

	select_control(p, D_SENSE);
	/* before the device server has seen the command, and after */
	command(p, bhs, FW, 512, WRITE10, 0, 1);
	peer_send(p, bhs, pattern, 512);
	for (unsigned i = 0; i < 2; i++) {
		peer_expect(p, ISCSI_OP_SCSI_RSP);
		assert_int_equal(p->bhs[3], 2);
		assert_int_equal(get_be16(p->data), 8);
		assert_int_equal(p->data[2], 0x72);
		assert_int_equal(p->data[3], 0x0b);
		assert_int_equal(get_be16(p->data + 4),
				 i == 0 ? ISCSI_ASC_UNEXPECTED_DATA
					: ISCSI_ASC_INCORRECT_AMOUNT);
		if (i == 0) {
			announce(p);
			data_out(p, p->itt, ISCSI_TAG_NONE, 0, 512, pattern,
				 512, true);
		}
	}
	select_control(p, 0);
	peer_close(p);
}

/* The transfer tag of one task with the task tag of another. */
static void test_swapped_tags(void **state)
{
	struct peer *p = peer_new(b, "ImmediateData=No;InitialR2T=Yes");
	uint32_t itt[2], ttt[2];
	uint8_t bhs[48];

	for (unsigned i = 0; i < 2; i++) {
		command(p, bhs, FW, 512, WRITE10, i, 1);
		peer_send(p, bhs, NULL, 0);
		peer_expect(p, ISCSI_OP_R2T);
		itt[i] = p->itt;
		ttt[i] = get_be32(p->bhs + 20);
	}
	for (unsigned i = 0; i < 2; i++) {
		data_out(p, itt[i], ttt[!i], 0, 0, pattern + 1000, 512, true);
		peer_expect(p, ISCSI_OP_REJECT);
		assert_int_equal(p->bhs[2], ISCSI_REJECT_PROTOCOL);
	}
	for (unsigned i = 0; i < 2; i++) {
		data_out(p, itt[i], ttt[i], 0, 0, pattern + 512 * i, 512, true);
		expect_good(p, itt[i]);
	}
	command(p, bhs, FR, 1024, READ10, 0, 2);
	peer_send(p, bhs, NULL, 0);
	peer_expect(p, ISCSI_OP_DATA_IN);
	assert_memory_equal(p->data, pattern, 1024);
	peer_close(p);
}

/* Requests of all kinds outside the window, and a tag in use among them. */
static void test_numbers_of_requests(void **state)
{
	struct peer *p = peer_new(b, "ImmediateData=No");
	uint32_t max = get_be32(p->bhs + 32);
	static const uint8_t opcodes[] = {ISCSI_OP_NOP_OUT, ISCSI_OP_TEXT,
					  ISCSI_OP_TMF, ISCSI_OP_LOGOUT};
	uint8_t bhs[48];

	for (unsigned i = 0; i < sizeof(opcodes); i++) {
		memset(bhs, 0, 48);
		bhs[0] = opcodes[i];
		bhs[1] = 0x80;
		put_be32(bhs + 16, 0x9000 + i);
		put_be32(bhs + 20, ISCSI_TAG_NONE);
		put_be32(bhs + 24, max + 1);
		peer_send(p, bhs, NULL, 0);
		put_be32(bhs + 24, p->cmdsn - 1);
		peer_send(p, bhs, NULL, 0);
	}
	peer_works(p);
	/* the whole window ahead of its turn, and once more; the first one
	 * lets all go on */
	for (unsigned round = 0; round < 2; round++) {
		for (uint32_t i = 1; i < 100; i++) {
			memset(bhs, 0, 48);
			bhs[0] = ISCSI_OP_NOP_OUT;
			bhs[1] = 0x80;
			put_be32(bhs + 16, 0xa000 + i);
			put_be32(bhs + 20, ISCSI_TAG_NONE);
			put_be32(bhs + 24, p->cmdsn + i);
			peer_send(p, bhs, NULL, 0);
		}
	}
	put_be32(bhs + 16, 0xa000);
	put_be32(bhs + 24, p->cmdsn);
	peer_send(p, bhs, NULL, 0);
	for (uint32_t i = 0; i < 100; i++) {
		peer_expect(p, ISCSI_OP_NOP_IN);
		assert_int_equal(get_be32(p->bhs + 16), 0xa000 + i);
	}
	p->cmdsn += 100;
	peer_works(p);
	peer_close(p);
}

/* Data of requests ahead of their turn is kept, but not without end. */
static void test_hoard(void **state)
{
	struct peer *p = peer_new(b, ""), *q = peer_second(b, "");
	uint8_t bhs[48] = {ISCSI_OP_NOP_OUT, 0x80};

	bench_warnings();
	for (uint32_t i = 1; i <= 17; i++) {
		put_be32(bhs + 16, i);
		put_be32(bhs + 20, ISCSI_TAG_NONE);
		put_be32(bhs + 24, p->cmdsn + i);
		peer_send(p, bhs, pattern, 65536);
	}
	peer_expect_close(p);
	assert_int_equal(bench_warnings(), 1);
	peer_works(q);
	peer_close(p);
	peer_close(q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keys_by_rule),
		cmocka_unit_test(test_choices),
		cmocka_unit_test(test_task_reporting),
		cmocka_unit_test(test_spoofed_text),
		cmocka_unit_test(test_repeated_text),
		cmocka_unit_test(test_text_cut_anywhere),
		cmocka_unit_test(test_oversized_text),
		cmocka_unit_test(test_unsolicited_sequences),
		cmocka_unit_test(test_sense_format),
		cmocka_unit_test(test_swapped_tags),
		cmocka_unit_test(test_numbers_of_requests),
		cmocka_unit_test(test_hoard),
	};

	return cmocka_run_group_tests(tests, bench_setup, bench_teardown);
}
