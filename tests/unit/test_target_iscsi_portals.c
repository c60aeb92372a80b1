/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Portals that come and go, and their groups (RFC 7143 4.4.1, 4.4.2, 11.9.1,
 * 13.9). */
#include "target_iscsi_commands.h"

#include <errno.h>

/* ---- more portals, at other addresses of loopback ---- */

struct portal {
	struct sockaddr_in asked, bound;
};

static struct portal open_portal(uint32_t address, uint16_t tag)
{
	struct portal portal = {
		.asked = {.sin_family = AF_INET,
			  .sin_addr.s_addr = htonl(address)},
	};
	struct sockaddr_storage bound;

	assert_int_equal(iscsi_portal_add(b->server,
					  (struct sockaddr *)&portal.asked,
					  sizeof(portal.asked), tag),
			 0);
	assert_int_equal(iscsi_portal_address(b->server,
					      (struct sockaddr *)&portal.asked,
					      sizeof(portal.asked), &bound),
			 0);
	memcpy(&portal.bound, &bound, sizeof(portal.bound));
	return portal;
}

static void close_portal(const struct portal *portal)
{
	assert_int_equal(
		iscsi_portal_remove(b->server,
				    (const struct sockaddr *)&portal->asked,
				    sizeof(portal->asked)),
		0);
}

static struct peer *connect_to(const struct portal *portal)
{
	struct sockaddr_in first = b->addr;
	struct peer *p;

	b->addr = portal->bound;
	p = peer_connect(b);
	b->addr = first;
	return p;
}

static struct peer *login_at(const struct portal *portal, const char *tag)
{
	struct peer *p = connect_to(portal);

	peer_login(p, "");
	assert_string_equal(peer_value(p, "TargetPortalGroupTag"), tag);
	peer_ready(p);
	return p;
}

/* ---- groups ---- */

/* All TargetAddress values contain one of these. */
static void expect_addresses(struct peer *p, const char *const *want, size_t n)
{
	uint8_t bhs[48] = {ISCSI_OP_TEXT | ISCSI_OP_IMMEDIATE, 0x80};
	struct iscsi_text_iter it;
	const char *key, *value;
	size_t found = 0;

	put_be32(bhs + 16, ++p->itt);
	put_be32(bhs + 20, ISCSI_TAG_NONE);
	put_be32(bhs + 24, p->cmdsn);
	peer_send(p, bhs, "SendTargets=All", 16);
	peer_expect(p, ISCSI_OP_TEXT_RSP);
	it = (struct iscsi_text_iter){(char *)p->data,
				      (char *)p->data + p->len};
	while (iscsi_text_next(&it, &key, &value) > 0) {
		if (strncmp(key, "TargetAddress=", 14) == 0) {
			assert_true(found < n);
			assert_string_equal(value, want[found++]);
		}
	}
	assert_int_equal(found, n);
}

static void test_tags(void **state)
{
	struct portal two = open_portal(INADDR_LOOPBACK + 1, 2),
		      one = open_portal(INADDR_LOOPBACK + 2, 1),
		      last = open_portal(INADDR_LOOPBACK + 3, 65535);
	char text[4][64];
	const char *want[4] = {text[0], text[1], text[2], text[3]};
	struct peer *p = peer_connect(b);

	assert_int_equal(peer_login_step(p, OP_TO_FULL,
					 "InitiatorName=" INITIATOR
					 ";SessionType=Discovery"),
			 0);
	snprintf(text[0], sizeof(text[0]), "127.0.0.1:%u,1",
		 ntohs(b->addr.sin_port));
	snprintf(text[1], sizeof(text[1]), "127.0.0.2:%u,2",
		 ntohs(two.bound.sin_port));
	snprintf(text[2], sizeof(text[2]), "127.0.0.3:%u,1",
		 ntohs(one.bound.sin_port));
	snprintf(text[3], sizeof(text[3]), "127.0.0.4:%u,65535",
		 ntohs(last.bound.sin_port));
	expect_addresses(p, want, 4);
	peer_close(p);
	peer_close(login_at(&two, "2"));
	peer_close(login_at(&one, "1"));
	peer_close(login_at(&last, "65535"));
	bench_wait_sessions(b, 0);
	close_portal(&two);
	close_portal(&one);
	close_portal(&last);
}

/* The same name and ISID are another nexus at another portal group. */
static void test_nexuses(void **state)
{
	struct portal two = open_portal(INADDR_LOOPBACK + 1, 2),
		      one = open_portal(INADDR_LOOPBACK + 2, 1);
	struct peer *p = peer_new(b, ""), *q = login_at(&two, "2"), *r;

	bench_wait_sessions(b, 2);
	peer_works(p);
	/* …and the same at another portal of the group. */
	r = login_at(&one, "1");
	peer_expect_close(p);
	peer_works(q);
	peer_close(p);
	p = login_at(&two, "2");
	peer_expect_close(q);
	peer_works(r);
	peer_close(p);
	peer_close(q);
	peer_close(r);
	bench_wait_sessions(b, 0);
	close_portal(&two);
	close_portal(&one);
}

static void expect_turned_away(struct peer *p, uint16_t code)
{
	send_test_unit_ready(p);
	expect_sense(p, 2, code);
}

/* Of units that are there, and of those that come. */
static void test_access(void **state)
{
	struct portal two = open_portal(INADDR_LOOPBACK + 1, 2);
	struct peer *p = peer_new(b, ""), *q = login_at(&two, "2");
	struct iscsi_tgt_config config = bench_config(b);
	struct iscsi_lu_config lu = {
		.vendor = "istmd", .guid = {4}, .enabled = true, .index = 1};
	struct iscsi_lun luns[] = {{0, b->lu}, {1, NULL}};

	assert_int_equal(
		iscsi_portal_group_set(b->server, 2, SCSI_ACCESS_STANDBY), 0);
	send_test_unit_ready(q);
	expect_sense(q, 6, 0x2a06);
	expect_turned_away(q, 0x040b);
	send_test_unit_ready(p);
	expect_sense(p, 6, 0x2a06);
	peer_works(p);
	lu.disk = b->disk;
	luns[1].lu = iscsi_lu_add(b->server, &lu);
	assert_non_null(luns[1].lu);
	config.luns = luns;
	config.num_luns = 2;
	assert_int_equal(iscsi_tgt_update(b->tgt, &config), 0);
	peer_close(q);
	peer_close(p);
	bench_wait_sessions(b, 0);
	q = connect_to(&two);
	peer_login(q, "");
	for (uint8_t lun = 0; lun < 2; lun++) {
		uint8_t bhs[48];

		command(q, bhs, ISCSI_FLAG_FINAL, 0, 0x00, 0, 0);
		bhs[9] = lun;
		peer_send(q, bhs, NULL, 0);
		expect_sense(q, 6, 0x2900);
		command(q, bhs, ISCSI_FLAG_FINAL, 0, 0x00, 0, 0);
		bhs[9] = lun;
		peer_send(q, bhs, NULL, 0);
		expect_sense(q, 2, 0x040b);
	}
	assert_int_equal(
		iscsi_portal_group_set(b->server, 2, SCSI_ACCESS_OPTIMIZED), 0);
	peer_ready(q);
	config = bench_config(b);
	assert_int_equal(iscsi_tgt_update(b->tgt, &config), 0);
	peer_close(q);
	bench_wait_sessions(b, 0);
	close_portal(&two);
}

static void test_limits(void **state)
{
	struct sockaddr_in any = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1),
	};
	uint16_t tag;
	int error = 0;

	assert_int_equal(iscsi_portal_group_set(b->server, 0, 0), EINVAL);
	assert_int_equal(iscsi_portal_group_set(b->server, 1, SCSI_ACCESS_NUM),
			 EINVAL);
	assert_int_equal(iscsi_portal_add(b->server, (struct sockaddr *)&any,
					  sizeof(any), 0),
			 EINVAL);
	for (tag = 100; error == 0; tag++) {
		error = iscsi_portal_group_set(b->server, tag,
					       SCSI_ACCESS_OPTIMIZED);
	}
	assert_int_equal(error, ENOSPC);
	assert_true(tag <= 100 + SCSI_MAX_PORTS);
	assert_int_equal(iscsi_portal_add(b->server, (struct sockaddr *)&any,
					  sizeof(any), tag),
			 ENOSPC);
	/* those there are still can change */
	assert_int_equal(
		iscsi_portal_group_set(b->server, 100, SCSI_ACCESS_STANDBY), 0);
}

/* ---- portals that go ---- */

static void expect_logout_request(struct peer *p)
{
	peer_expect(p, ISCSI_OP_ASYNC);
	assert_int_equal(p->bhs[36], ISCSI_ASYNC_LOGOUT);
	assert_int_not_equal(get_be16(p->bhs + 42), 0);
}

static void log_out(struct peer *p)
{
	uint8_t bhs[48] = {ISCSI_OP_LOGOUT | ISCSI_OP_IMMEDIATE, 0x80};

	put_be32(bhs + 16, ++p->itt);
	put_be32(bhs + 24, p->cmdsn);
	peer_send(p, bhs, NULL, 0);
	peer_expect(p, ISCSI_OP_LOGOUT_RSP);
	peer_expect_close(p);
}

/* It has not logged out in time. */
static void expect_dropped(struct peer *p)
{
	peer_expect(p, ISCSI_OP_ASYNC);
	assert_int_equal(p->bhs[36], ISCSI_ASYNC_DROP_CONN);
	peer_expect_close(p);
}

/* Who came through it is asked to log out; who does not is cut off. */
static void test_portal_gone(void **state)
{
	struct portal two = open_portal(INADDR_LOOPBACK + 1, 1),
		      three = open_portal(INADDR_LOOPBACK + 2, 1);
	struct peer *stays, *obeys, *stubborn, *discovers, *late;

	bench_hold_time();
	stays = peer_new(b, "");
	stubborn = connect_to(&two);
	stubborn->isid[5] = 2;
	peer_login(stubborn, "");
	obeys = connect_to(&three);
	obeys->isid[5] = 3;
	peer_login(obeys, "");
	late = connect_to(&two);
	discovers = connect_to(&two);
	assert_int_equal(peer_login_step(discovers, OP_TO_FULL,
					 "InitiatorName=" INITIATOR
					 ";SessionType=Discovery"),
			 0);
	bench_wait_sessions(b, 3);
	/* Both lanes have what was sent to them. */
	peer_works(stays);
	peer_ready(stubborn);
	/* Removing alone leaves them be: an address may come back. */
	close_portal(&three);
	peer_ready(obeys);
	close_portal(&two);
	iscsi_portals_logout(b->server);
	bench_pass(1);
	expect_logout_request(obeys);
	expect_logout_request(stubborn);
	expect_logout_request(discovers);
	/* It was about to log in. */
	peer_expect_close(late);
	log_out(obeys);
	peer_ready(stubborn); /* until its time is up */
	bench_pass(3);
	expect_dropped(stubborn);
	expect_dropped(discovers);
	peer_works(stays);
	bench_wait_sessions(b, 1);
	peer_close(late);
	peer_close(stubborn);
	peer_close(discovers);
	peer_close(obeys);
	peer_close(stays);
	bench_wait_sessions(b, 0);
	bench_run_time();
}

/* Neither those whose portal has only another port now, nor those that a
 * wildcard portal serves as well. */
static void test_portal_moved(void **state)
{
	struct portal two = open_portal(INADDR_LOOPBACK + 1, 1), other,
		      three = open_portal(INADDR_LOOPBACK + 2, 1), any;
	struct peer *p = login_at(&two, "1"), *q = connect_to(&three);

	q->isid[5] = 2;
	peer_login(q, "");
	bench_hold_time();
	close_portal(&two);
	other = open_portal(INADDR_LOOPBACK + 1, 1);
	close_portal(&three);
	iscsi_portals_logout(b->server);
	bench_pass(1);
	/* They had their turns together. */
	expect_logout_request(q);
	peer_works(p);
	log_out(q);
	peer_close(q);

	close_portal(&other);
	three = open_portal(INADDR_LOOPBACK + 2, 1);
	q = connect_to(&three);
	q->isid[5] = 2;
	peer_login(q, "");
	close_portal(&three);
	any = open_portal(INADDR_ANY, 1);
	iscsi_portals_logout(b->server);
	bench_pass(1);
	peer_ready(q);
	close_portal(&any);
	iscsi_portals_logout(b->server);
	bench_pass(1);
	expect_logout_request(q);
	expect_logout_request(p);
	peer_close(p);
	peer_close(q);
	bench_wait_sessions(b, 0);
	bench_run_time();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tags),
		cmocka_unit_test(test_nexuses),
		cmocka_unit_test(test_access),
		cmocka_unit_test(test_portal_gone),
		cmocka_unit_test(test_portal_moved),
		/* last: the groups stay */
		cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests(tests, bench_setup_lane, bench_teardown);
}
