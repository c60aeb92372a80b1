/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The login phase: who gets in, who does not, with which status
 * (RFC 7143 6.3, 11.13.5), discovery, and CHAP. */
#include "target_iscsi_commands.h"

#include "target/iscsi_chap.h"
#include "target/iscsi_lookup.h"

#define SEC_STAY    (ISCSI_STAGE_SECURITY << 2)
#define SEC_TO_OP   (ISCSI_LOGIN_TRANSIT | ISCSI_STAGE_OP)
#define SEC_TO_FULL (ISCSI_LOGIN_TRANSIT | ISCSI_STAGE_FULL)

/* One request on a fresh connection is refused, with one line in the log, and
 * the connection ends. */
static void refused(uint8_t flags, const char *pairs, int status)
{
	struct peer *p = peer_connect(b);

	bench_warnings();
	assert_int_equal(peer_login_step(p, flags, pairs), status);
	assert_int_equal(p->len, 0);
	assert_int_equal(p->bhs[1] & ISCSI_LOGIN_TRANSIT, 0);
	peer_expect_close(p);
	assert_int_equal(bench_warnings(), 1);
	peer_close(p);
}

static void test_one_request(void **state)
{
	struct peer *p = peer_connect(b);

	peer_login(p, "HeaderDigest=None;MaxBurstLength=16776192;"
		      "FirstBurstLength=4096;X-com.test=1;"
		      "InitialR2T=No;SendTargets=All;TargetAlias=mine");
	assert_string_equal(peer_value(p, "TargetPortalGroupTag"), "1");
	assert_string_equal(peer_value(p, "TargetAlias"), "one");
	assert_string_equal(peer_value(p, "HeaderDigest"), "None");
	assert_string_equal(peer_value(p, "MaxBurstLength"), "262144");
	assert_string_equal(peer_value(p, "FirstBurstLength"), "4096");
	assert_string_equal(peer_value(p, "InitialR2T"), "No");
	assert_string_equal(peer_value(p, "X-com.test"), "NotUnderstood");
	assert_string_equal(peer_value(p, "SendTargets"), "Reject");
	assert_string_equal(peer_value(p, "MaxRecvDataSegmentLength"), "65536");
	assert_int_equal(get_be32(p->bhs + 28), 100); /* ExpCmdSN */
	assert_int_equal(get_be32(p->bhs + 32), 100 + 127);
	peer_ready(p);
	bench_wait_sessions(b, 1);
	assert_true(iscsi_lu_in_use(b->lu));
	peer_close(p);
	bench_wait_sessions(b, 0);
	assert_false(iscsi_lu_in_use(b->lu));
}

static void test_stages(void **state)
{
	struct peer *p = peer_connect(b);

	assert_int_equal(peer_login_step(p, SEC_STAY, NAMES), 0);
	assert_int_equal(p->bhs[1], SEC_STAY);
	assert_int_equal(peer_login_step(p, SEC_TO_OP, "AuthMethod=CHAP,None"),
			 0);
	assert_string_equal(peer_value(p, "AuthMethod"), "None");
	assert_int_equal(p->bhs[1], SEC_TO_OP);
	assert_int_equal(peer_login_step(p, ISCSI_STAGE_OP << 2,
					 "HeaderDigest=CRC32C;"
					 "InitiatorAlias=me"),
			 0);
	assert_string_equal(peer_value(p, "HeaderDigest"), "CRC32C");
	assert_int_equal(peer_login_step(p, OP_TO_FULL, ""), 0);
	assert_int_not_equal(get_be16(p->bhs + 14), 0);
	p->header_digest = true;
	peer_ready(p);
	peer_close(p);

	/* without an operational stage; our segment length is then 8192 */
	p = peer_connect(b);
	assert_int_equal(peer_login_step(p, SEC_TO_FULL, NAMES), 0);
	assert_null(peer_value(p, "MaxRecvDataSegmentLength"));
	peer_ready(p);
	peer_close(p);
}

static void test_split_text(void **state)
{
	struct peer *p = peer_connect(b);

	/* a pair may be cut anywhere */
	assert_int_equal(
		peer_login_step(p, ISCSI_TEXT_CONTINUE | ISCSI_STAGE_OP << 2,
				"InitiatorName=" INITIATOR
				";TargetName=iqn.2026-01.te"),
		0);
	peer_close(p);

	p = peer_connect(b);
	{
		uint8_t bhs[48] = {ISCSI_OP_LOGIN | ISCSI_OP_IMMEDIATE,
				   ISCSI_TEXT_CONTINUE | ISCSI_STAGE_OP << 2};
		static const char part[] = "InitiatorName=" INITIATOR "\0"
					   "Target";

		memcpy(bhs + 8, p->isid, 6);
		put_be32(bhs + 16, p->itt);
		put_be16(bhs + 20, p->cid);
		put_be32(bhs + 24, p->cmdsn);
		peer_send(p, bhs, part, sizeof(part) - 1);
		peer_expect(p, ISCSI_OP_LOGIN_RSP);
		assert_int_equal(p->len, 0);
		assert_int_equal(get_be16(p->bhs + 36), 0);
	}
	assert_int_equal(peer_login_step(p, OP_TO_FULL, "Name=" TARGET), 0);
	peer_ready(p);
	peer_close(p);
}

static void test_refusals(void **state)
{
	refused(OP_TO_FULL, "TargetName=" TARGET, ISCSI_LOGIN_MISSING_PARAM);
	refused(OP_TO_FULL, "InitiatorName=" INITIATOR,
		ISCSI_LOGIN_MISSING_PARAM);
	refused(OP_TO_FULL, "InitiatorName=nobody;TargetName=" TARGET,
		ISCSI_LOGIN_INITIATOR_ERR);
	refused(OP_TO_FULL,
		"InitiatorName=eui.02004567a425678;TargetName=" TARGET,
		ISCSI_LOGIN_INITIATOR_ERR);
	refused(OP_TO_FULL,
		"InitiatorName=naa.52004567BA64678G;TargetName=" TARGET,
		ISCSI_LOGIN_INITIATOR_ERR);
	refused(OP_TO_FULL,
		"InitiatorName=eui.02004567A425678D;TargetName=" TARGET,
		ISCSI_LOGIN_FORBIDDEN);
	refused(OP_TO_FULL,
		"InitiatorName=naa.62004567BA64678D0123456789ABCDEF"
		";TargetName=" TARGET,
		ISCSI_LOGIN_FORBIDDEN);
	refused(OP_TO_FULL, "InitiatorName=" INITIATOR ";TargetName=iqn.no",
		ISCSI_LOGIN_NOT_FOUND);
	refused(OP_TO_FULL,
		"InitiatorName=iqn.2026-01.test:stranger;TargetName=" TARGET,
		ISCSI_LOGIN_FORBIDDEN);
	refused(OP_TO_FULL, NAMES ";SessionType=Odd", ISCSI_LOGIN_SESSION_TYPE);
	refused(OP_TO_FULL, NAMES ";MaxBurstLength=512;MaxBurstLength=512",
		ISCSI_LOGIN_INITIATOR_ERR);
	refused(OP_TO_FULL, NAMES ";MaxRecvDataSegmentLength=511",
		ISCSI_LOGIN_INITIATOR_ERR);
	refused(OP_TO_FULL, NAMES ";MaxRecvDataSegmentLength=16777216",
		ISCSI_LOGIN_INITIATOR_ERR);
	refused(OP_TO_FULL, NAMES ";=", ISCSI_LOGIN_INITIATOR_ERR);
	refused(OP_TO_FULL, NAMES ";AuthMethod=None", ISCSI_LOGIN_INVALID_REQ);
	/* stages: 2 is none, backwards, to where one is, T with C */
	refused(ISCSI_LOGIN_TRANSIT | 2, NAMES, ISCSI_LOGIN_INVALID_REQ);
	refused(2 << 2, NAMES, ISCSI_LOGIN_INVALID_REQ);
	refused(3 << 2, NAMES, ISCSI_LOGIN_INVALID_REQ);
	refused(ISCSI_LOGIN_TRANSIT | 1 << 2 | 1, NAMES,
		ISCSI_LOGIN_INVALID_REQ);
	refused(ISCSI_LOGIN_TRANSIT | ISCSI_TEXT_CONTINUE | 1, NAMES,
		ISCSI_LOGIN_INITIATOR_ERR);
	refused(SEC_TO_OP, NAMES ";AuthMethod=CHAP", ISCSI_LOGIN_AUTH_FAILED);
}

static void test_out_of_range_is_rejected(void **state)
{
	struct peer *p = peer_connect(b);

	/* 6.2: a value that may not be offered is rejected, and the default
	 * stays; the login goes on. */
	peer_login(p, "MaxBurstLength=511;ImmediateData=maybe;"
		      "ErrorRecoveryLevel=3;MaxConnections=0");
	assert_string_equal(peer_value(p, "MaxBurstLength"), "Reject");
	assert_string_equal(peer_value(p, "ImmediateData"), "Reject");
	assert_string_equal(peer_value(p, "ErrorRecoveryLevel"), "Reject");
	assert_string_equal(peer_value(p, "MaxConnections"), "Reject");
	peer_ready(p);
	peer_close(p);
}

static void test_header_fields(void **state)
{
	struct peer *p = peer_connect(b);
	uint8_t bhs[48] = {ISCSI_OP_LOGIN | ISCSI_OP_IMMEDIATE, OP_TO_FULL, 5,
			   3};

	/* only versions that we do not have */
	peer_send(p, bhs, NULL, 0);
	peer_expect(p, ISCSI_OP_LOGIN_RSP);
	assert_int_equal(get_be16(p->bhs + 36), ISCSI_LOGIN_VERSION);
	peer_expect_close(p);
	peer_close(p);

	/* a session that is not there */
	p = peer_connect(b);
	p->tsih = 0x7777;
	assert_int_equal(peer_login_step(p, OP_TO_FULL, NAMES),
			 ISCSI_LOGIN_NO_SESSION);
	peer_close(p);

	/* a second connection of a session that has one */
	p = peer_new(b, "");
	{
		struct peer *q = peer_connect(b);

		q->tsih = p->tsih;
		q->cid = 8;
		assert_int_equal(peer_login_step(q, OP_TO_FULL, NAMES),
				 ISCSI_LOGIN_TOO_MANY);
		peer_close(q);
	}
	peer_works(p);
	peer_close(p);

	/* another ISID half-way */
	p = peer_connect(b);
	assert_int_equal(peer_login_step(p, SEC_STAY, NAMES), 0);
	p->isid[5] = 99;
	assert_int_equal(peer_login_step(p, SEC_TO_OP, ""),
			 ISCSI_LOGIN_INITIATOR_ERR);
	peer_close(p);
}

static void test_not_a_login(void **state)
{
	struct peer *p = peer_connect(b), *q = peer_new(b, "");
	uint8_t bhs[48] = {ISCSI_OP_NOP_OUT | ISCSI_OP_IMMEDIATE, 0x80};

	bench_warnings();
	peer_send(p, bhs, NULL, 0);
	peer_expect_close(p);
	assert_int_equal(bench_warnings(), 1);
	peer_close(p);

	/* a data segment longer than any before login */
	p = peer_connect(b);
	memset(bhs, 0, sizeof(bhs));
	bhs[0] = ISCSI_OP_LOGIN | ISCSI_OP_IMMEDIATE;
	bhs[5] = 0xff;
	peer_write(p, bhs, sizeof(bhs));
	peer_expect_close(p);
	peer_close(p);

	/* pieces of text without end */
	p = peer_connect(b);
	{
		static char part[8000];
		int status = 0;

		memset(part, 'a', sizeof(part) - 1);
		for (int i = 0; i < 20 && status == 0; i++) {
			status = peer_login_step(
				p, ISCSI_TEXT_CONTINUE | ISCSI_STAGE_OP << 2,
				part);
		}
		assert_int_equal(status, ISCSI_LOGIN_INITIATOR_ERR);
	}
	peer_close(p);
	peer_works(q);
	peer_close(q);
}

/* ---- CHAP ---- */

static void use_chap(bool on, bool mutual)
{
	struct iscsi_tgt_config config = bench_config(b);

	config.chap = on;
	config.chap_user = "alice";
	config.chap_secret = "wonderland12";
	config.reverse_chap = mutual;
	config.reverse_chap_user = "rabbit";
	config.reverse_chap_secret = "lookingglass";
	assert_int_equal(iscsi_tgt_update(b->tgt, &config), 0);
}

/* Go as far as the challenge and answer it. @return the status */
static int chap(struct peer *p, const char *alg, const char *user,
		const char *secret, const char *more)
{
	uint8_t challenge[64], response[ISCSI_CHAP_DIGEST_MAX];
	char pairs[512], hex[128];
	const struct iscsi_chap_alg *a;
	uint32_t id;
	int len;

	assert_int_equal(
		peer_login_step(p, SEC_STAY, NAMES ";AuthMethod=CHAP,None"), 0);
	assert_string_equal(peer_value(p, "AuthMethod"), "CHAP");
	snprintf(pairs, sizeof(pairs), "CHAP_A=%s", alg);
	assert_int_equal(peer_login_step(p, SEC_STAY, pairs), 0);
	a = iscsi_chap_choose(peer_value(p, "CHAP_A"));
	assert_non_null(a);
	assert_true(iscsi_text_number(peer_value(p, "CHAP_I"), &id));
	len = iscsi_text_binary(peer_value(p, "CHAP_C"), challenge,
				sizeof(challenge));
	assert_int_equal(len, a->len);
	assert_true(iscsi_chap_response(a, (uint8_t)id, secret, challenge,
					(size_t)len, response));
	iscsi_text_hex(response, a->len, hex);
	snprintf(pairs, sizeof(pairs), "CHAP_N=%s;CHAP_R=%s%s%s", user, hex,
		 *more ? ";" : "", more);
	return peer_login_step(p, SEC_TO_OP, pairs);
}

static void test_chap(void **state)
{
	static const char *const algs[] = {"5", "6", "7", "8", "8,5"};
	struct peer *p;

	use_chap(true, false);
	for (size_t i = 0; i < sizeof(algs) / sizeof(algs[0]); i++) {
		p = peer_connect(b);
		assert_int_equal(chap(p, algs[i], "alice", "wonderland12", ""),
				 0);
		assert_int_equal(p->bhs[1], SEC_TO_OP);
		assert_int_equal(peer_login_step(p, OP_TO_FULL, ""), 0);
		peer_ready(p);
		peer_close(p);
	}
	/* wrong secret, wrong name */
	p = peer_connect(b);
	bench_warnings();
	assert_int_equal(chap(p, "5", "alice", "wonderland13", ""),
			 ISCSI_LOGIN_AUTH_FAILED);
	assert_int_equal(bench_warnings(), 1);
	assert_null(strstr(log_last, "wonderland"));
	peer_close(p);
	p = peer_connect(b);
	assert_int_equal(chap(p, "5", "bob", "wonderland12", ""),
			 ISCSI_LOGIN_AUTH_FAILED);
	peer_close(p);
	/* it asks for mutual authentication, which we have no secret for */
	p = peer_connect(b);
	assert_int_equal(chap(p, "5", "alice", "wonderland12",
			      "CHAP_I=1;CHAP_C=0x1234"),
			 ISCSI_LOGIN_AUTH_FAILED);
	peer_close(p);
	/* around it */
	refused(OP_TO_FULL, NAMES, ISCSI_LOGIN_AUTH_FAILED);
	refused(SEC_TO_OP, NAMES, ISCSI_LOGIN_AUTH_FAILED);
	refused(SEC_TO_FULL, NAMES, ISCSI_LOGIN_AUTH_FAILED);
	refused(SEC_TO_OP, NAMES ";AuthMethod=None", ISCSI_LOGIN_AUTH_FAILED);
	refused(SEC_STAY, NAMES ";CHAP_A=5", ISCSI_LOGIN_INITIATOR_ERR);
	refused(SEC_STAY, NAMES ";AuthMethod=CHAP;CHAP_A=9",
		ISCSI_LOGIN_AUTH_FAILED);
	refused(SEC_STAY, NAMES ";CHAP_N=alice;CHAP_R=0x00",
		ISCSI_LOGIN_INITIATOR_ERR);
	use_chap(false, false);
}

static void test_transit_waits_for_chap(void **state)
{
	struct peer *p = peer_connect(b);

	/* T before the authentication is over is not followed. */
	use_chap(true, false);
	assert_int_equal(
		peer_login_step(p, SEC_TO_OP, NAMES ";AuthMethod=CHAP"), 0);
	assert_int_equal(p->bhs[1], SEC_STAY);
	assert_int_equal(peer_login_step(p, OP_TO_FULL, ""),
			 ISCSI_LOGIN_INVALID_REQ);
	peer_close(p);
	use_chap(false, false);
}

static void test_mutual_chap(void **state)
{
	struct peer *p = peer_connect(b);
	uint8_t expected[ISCSI_CHAP_DIGEST_MAX];
	static const uint8_t challenge[] = {0x12, 0x34, 0x56};
	char hex[128];

	use_chap(true, true);
	assert_int_equal(chap(p, "7", "alice", "wonderland12",
			      "CHAP_I=200;CHAP_C=0b"
			      "EjRW"),
			 0);
	assert_true(iscsi_chap_response(iscsi_chap_choose("7"), 200,
					"lookingglass", challenge, 3,
					expected));
	iscsi_text_hex(expected, 32, hex);
	assert_string_equal(peer_value(p, "CHAP_N"), "rabbit");
	assert_string_equal(peer_value(p, "CHAP_R"), hex);
	peer_close(p);

	/* an empty or overlong challenge, half of the pair */
	p = peer_connect(b);
	assert_int_equal(chap(p, "7", "alice", "wonderland12",
			      "CHAP_I=256;CHAP_C=0x12"),
			 ISCSI_LOGIN_INITIATOR_ERR);
	peer_close(p);
	p = peer_connect(b);
	assert_int_equal(chap(p, "7", "alice", "wonderland12", "CHAP_I=1"),
			 ISCSI_LOGIN_INITIATOR_ERR);
	peer_close(p);
	use_chap(false, false);
}

static void test_reflection(void **state)
{
	struct peer *p = peer_connect(b);
	char pairs[512], challenge[200];

	use_chap(true, true);
	assert_int_equal(peer_login_step(p, SEC_STAY,
					 NAMES ";AuthMethod=CHAP;CHAP_A=5"),
			 0);
	snprintf(challenge, sizeof(challenge), "%s", peer_value(p, "CHAP_C"));
	snprintf(pairs, sizeof(pairs),
		 "CHAP_N=alice;CHAP_R=0x00;CHAP_I=1;CHAP_C=%s", challenge);
	assert_int_equal(peer_login_step(p, SEC_TO_OP, pairs),
			 ISCSI_LOGIN_AUTH_FAILED);
	peer_close(p);
	use_chap(false, false);
}

/* ---- discovery ---- */

static void send_text(struct peer *p, uint8_t flags, uint32_t ttt,
		      const char *pairs)
{
	uint8_t bhs[48] = {ISCSI_OP_TEXT | ISCSI_OP_IMMEDIATE, flags};
	char text[1024];
	size_t len = text_of(pairs, text);

	put_be32(bhs + 16, p->itt);
	put_be32(bhs + 20, ttt);
	put_be32(bhs + 24, p->cmdsn);
	peer_send(p, bhs, text, (uint32_t)len);
}

static struct peer *discovery(const char *initiator)
{
	struct peer *p = peer_connect(b);
	char pairs[512];

	snprintf(pairs, sizeof(pairs),
		 "InitiatorName=%s;SessionType=Discovery;MaxBurstLength=512",
		 initiator);
	assert_int_equal(peer_login_step(p, OP_TO_FULL, pairs), 0);
	assert_null(peer_value(p, "TargetPortalGroupTag"));
	assert_string_equal(peer_value(p, "MaxBurstLength"), "Irrelevant");
	return p;
}

static void test_discovery(void **state)
{
	struct peer *p = discovery("iqn.2026-01.test.istmd:CLIENT");
	char address[64];
	uint8_t bhs[48];

	send_text(p, ISCSI_FLAG_FINAL, ISCSI_TAG_NONE, "SendTargets=All");
	peer_expect(p, ISCSI_OP_TEXT_RSP);
	assert_int_equal(p->bhs[1], ISCSI_FLAG_FINAL);
	assert_int_equal(get_be32(p->bhs + 20), ISCSI_TAG_NONE);
	assert_string_equal(peer_value(p, "TargetName"), TARGET);
	snprintf(address, sizeof(address), "127.0.0.1:%u,1",
		 ntohs(b->addr.sin_port));
	assert_string_equal(peer_value(p, "TargetAddress"), address);

	/* one by name, and what is none */
	send_text(p, ISCSI_FLAG_FINAL, ISCSI_TAG_NONE, "SendTargets=" TARGET);
	peer_expect(p, ISCSI_OP_TEXT_RSP);
	assert_string_equal(peer_value(p, "TargetName"), TARGET);
	send_text(p, ISCSI_FLAG_FINAL, ISCSI_TAG_NONE, "SendTargets=iqn.no");
	peer_expect(p, ISCSI_OP_TEXT_RSP);
	assert_int_equal(p->len, 0);

	/* no SCSI here */
	command(p, bhs, ISCSI_FLAG_FINAL, 0, 0, 0, 0);
	peer_send(p, bhs, NULL, 0);
	peer_expect(p, ISCSI_OP_REJECT);
	assert_int_equal(p->bhs[2], ISCSI_REJECT_PROTOCOL);
	assert_memory_equal(p->data, bhs, 48);
	peer_close(p);

	/* a stranger learns of nothing */
	p = discovery("iqn.2026-01.test:stranger");
	send_text(p, ISCSI_FLAG_FINAL, ISCSI_TAG_NONE, "SendTargets=All");
	peer_expect(p, ISCSI_OP_TEXT_RSP);
	assert_int_equal(p->len, 0);
	send_text(p, ISCSI_FLAG_FINAL, ISCSI_TAG_NONE, "SendTargets=" TARGET);
	peer_expect(p, ISCSI_OP_TEXT_RSP);
	assert_int_equal(p->len, 0);
	peer_close(p);
}

/* An answer longer than a segment comes in parts (11.11.4). */
static void test_long_answer(void **state)
{
	struct iscsi_tgt *more[20];
	struct iscsi_tgt_config config = bench_config(b);
	struct peer *p;
	char name[64];
	unsigned targets = 0, parts = 0;
	static char all[65536];
	size_t len = 0;

	for (unsigned i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "iqn.2026-01.test:more%u", i);
		config.name = name;
		more[i] = iscsi_tgt_add(b->server, &config, NULL);
		assert_non_null(more[i]);
		assert_null(iscsi_tgt_add(b->server, &config, NULL));
		assert_int_equal(errno, EEXIST);
	}
	p = peer_connect(b);
	assert_int_equal(peer_login_step(p, OP_TO_FULL,
					 "InitiatorName=" INITIATOR
					 ";SessionType=Discovery"
					 ";MaxRecvDataSegmentLength=512"),
			 0);
	send_text(p, ISCSI_FLAG_FINAL, ISCSI_TAG_NONE, "SendTargets=All");
	for (;;) {
		peer_expect(p, ISCSI_OP_TEXT_RSP);
		assert_in_range(p->len, 1, 512);
		memcpy(all + len, p->data, p->len);
		len += p->len;
		parts++;
		if (p->bhs[1] & ISCSI_FLAG_FINAL) {
			break;
		}
		assert_int_equal(p->bhs[1], ISCSI_TEXT_CONTINUE);
		assert_int_not_equal(get_be32(p->bhs + 20), ISCSI_TAG_NONE);
		send_text(p, ISCSI_FLAG_FINAL, get_be32(p->bhs + 20), "");
	}
	assert_true(parts > 2);
	for (size_t i = 0; i < len; i += strlen(all + i) + 1) {
		targets += strncmp(all + i, "TargetName=", 11) == 0;
	}
	assert_int_equal(targets, 21);
	/* a transfer tag that is not in use */
	send_text(p, ISCSI_FLAG_FINAL, 0x1234, "");
	peer_expect(p, ISCSI_OP_REJECT);
	assert_int_equal(p->bhs[2], ISCSI_REJECT_PROTOCOL);
	peer_close(p);
	for (unsigned i = 0; i < 20; i++) {
		iscsi_tgt_remove(more[i]);
	}
}

static void test_text_in_normal_session(void **state)
{
	struct peer *p = peer_new(b, "");

	send_text(p, ISCSI_FLAG_FINAL, ISCSI_TAG_NONE,
		  "SendTargets=;MaxRecvDataSegmentLength=1024;"
		  "HeaderDigest=CRC32C;X-foo=1");
	peer_expect(p, ISCSI_OP_TEXT_RSP);
	assert_string_equal(peer_value(p, "TargetName"), TARGET);
	assert_string_equal(peer_value(p, "HeaderDigest"), "Reject");
	assert_string_equal(peer_value(p, "X-foo"), "NotUnderstood");
	/* the same key twice, malformed text, F with C */
	send_text(p, ISCSI_FLAG_FINAL, ISCSI_TAG_NONE,
		  "SendTargets=;SendTargets=");
	peer_expect(p, ISCSI_OP_REJECT);
	send_text(p, ISCSI_FLAG_FINAL, ISCSI_TAG_NONE, "nonsense");
	peer_expect(p, ISCSI_OP_REJECT);
	send_text(p, ISCSI_FLAG_FINAL | ISCSI_TEXT_CONTINUE, ISCSI_TAG_NONE,
		  "SendTargets=");
	peer_expect(p, ISCSI_OP_REJECT);
	peer_works(p);
	peer_close(p);
}

static void test_address_ids(void **state)
{
	static const struct iscsi_id v4[] = {{ISCSI_ID_IPV4, "127.0.0.1"}};
	static const struct iscsi_id other[] = {{ISCSI_ID_IPV4, "127.0.0.2"},
						{ISCSI_ID_IPV6, "::1"},
						{ISCSI_ID_IPV4, "nonsense"}};
	struct iscsi_tgt_config config = bench_config(b);
	struct peer *p;

	config.ids = v4;
	config.num_ids = 1;
	assert_int_equal(iscsi_tgt_update(b->tgt, &config), 0);
	p = peer_connect(b);
	assert_int_equal(peer_login_step(p, OP_TO_FULL,
					 "InitiatorName=iqn.2026-01.test:any;"
					 "TargetName=" TARGET),
			 0);
	peer_close(p);
	config.ids = other;
	config.num_ids = 3;
	assert_int_equal(iscsi_tgt_update(b->tgt, &config), 0);
	refused(OP_TO_FULL, NAMES, ISCSI_LOGIN_FORBIDDEN);
	config = bench_config(b);
	config.enabled = false;
	assert_int_equal(iscsi_tgt_update(b->tgt, &config), 0);
	refused(OP_TO_FULL, NAMES, ISCSI_LOGIN_UNAVAILABLE);
	config = bench_config(b);
	assert_int_equal(iscsi_tgt_update(b->tgt, &config), 0);
}

/* What takes a look-up: the login waits for it, and only the login. */
static void test_looked_up_ids(void **state)
{
	static const struct iscsi_id named[] = {
		{ISCSI_ID_DNS, "127.0.0.2"},
		{ISCSI_ID_DNS, "LocalHost"},
	};
	static const struct iscsi_id other[] = {
		{ISCSI_ID_DNS, "127.0.0.2"},
		{ISCSI_ID_NETBIOS, "127.0.0.3"},
		{ISCSI_ID_MAC, "00-11-22-33-44-55"},
		{ISCSI_ID_MAC, "nonsense"},
	};
	struct iscsi_tgt_config config = bench_config(b);
	struct peer *p;

	config.ids = named;
	config.num_ids = 2;
	assert_int_equal(iscsi_tgt_update(b->tgt, &config), 0);
	p = peer_connect(b);
	assert_int_equal(peer_login_step(p, OP_TO_FULL,
					 "InitiatorName=iqn.2026-01.test:any;"
					 "TargetName=" TARGET ";InitialR2T=No"),
			 0);
	assert_string_equal(peer_value(p, "InitialR2T"), "No");
	peer_ready(p);
	peer_close(p);
	p = discovery("iqn.2026-01.test:any");
	send_text(p, ISCSI_FLAG_FINAL, ISCSI_TAG_NONE, "SendTargets=All");
	peer_expect(p, ISCSI_OP_TEXT_RSP);
	assert_string_equal(peer_value(p, "TargetName"), TARGET);
	peer_close(p);

	config.ids = other;
	config.num_ids = 4;
	assert_int_equal(iscsi_tgt_update(b->tgt, &config), 0);
	refused(OP_TO_FULL, NAMES, ISCSI_LOGIN_FORBIDDEN);
	p = discovery(INITIATOR);
	send_text(p, ISCSI_FLAG_FINAL, ISCSI_TAG_NONE, "SendTargets=All");
	peer_expect(p, ISCSI_OP_TEXT_RSP);
	assert_int_equal(p->len, 0);
	peer_close(p);
	/* nobody may speak while the target thinks */
	p = peer_connect(b);
	{
		uint8_t bhs[96] = {ISCSI_OP_LOGIN | ISCSI_OP_IMMEDIATE,
				   OP_TO_FULL};
		char text[256];
		size_t len = text_of(NAMES, text);
		uint8_t all[48 + 256 + 48] = {0};

		put_be24(bhs + 5, (uint32_t)len);
		memcpy(all, bhs, 48);
		memcpy(all + 48, text, len);
		peer_write(p, all, 48 + ((len + 3) & ~3u) + 48);
		while (peer_recv(p) >= 0) {
		}
	}
	peer_close(p);
	config = bench_config(b);
	assert_int_equal(iscsi_tgt_update(b->tgt, &config), 0);
}

static void test_macs(void **state)
{
	static const uint8_t mac[6] = {0x00, 0x1a, 0xff, 3, 4, 5};
	uint8_t out[6];

	assert_true(iscsi_mac_parse("00-1a-FF-03-04-05", out));
	assert_memory_equal(out, mac, 6);
	assert_true(iscsi_mac_parse("00:1A:ff:03:04:05", out));
	assert_true(iscsi_mac_parse("001aff030405", out));
	assert_memory_equal(out, mac, 6);
	assert_false(iscsi_mac_parse("00-1a-ff-03-04", out));
	assert_false(iscsi_mac_parse("00-1a-ff-03-04-05-06", out));
	assert_false(iscsi_mac_parse("00-1a-ff-03-04-0", out));
	assert_false(iscsi_mac_parse("", out));
}

static void test_events(void **state)
{
	/* a server of its own, whose events are those of this test */
	struct peer *p = peer_new(bench_another(2), "");

	bench_wait(b, &b->logins, 1);
	assert_int_equal(b->last_status, 0);
	bench_wait_sessions(b, 1);
	assert_true(b->changes > 0);
	peer_close(p);
	refused(OP_TO_FULL,
		"InitiatorName=iqn.2026-01.test:stranger;TargetName=" TARGET,
		ISCSI_LOGIN_FORBIDDEN);
	bench_wait(b, &b->refused, 1);
	assert_int_equal(b->last_status, ISCSI_LOGIN_FORBIDDEN);
	bench_back();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_request),
		cmocka_unit_test(test_stages),
		cmocka_unit_test(test_split_text),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_out_of_range_is_rejected),
		cmocka_unit_test(test_header_fields),
		cmocka_unit_test(test_not_a_login),
		cmocka_unit_test(test_chap),
		cmocka_unit_test(test_transit_waits_for_chap),
		cmocka_unit_test(test_mutual_chap),
		cmocka_unit_test(test_reflection),
		cmocka_unit_test(test_discovery),
		cmocka_unit_test(test_long_answer),
		cmocka_unit_test(test_text_in_normal_session),
		cmocka_unit_test(test_address_ids),
		cmocka_unit_test(test_looked_up_ids),
		cmocka_unit_test(test_macs),
		cmocka_unit_test(test_events),
	};

	return cmocka_run_group_tests(tests, bench_setup, bench_teardown);
}
