/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Portals: MS-ISTM 3.30.4.14 to .16, in a network namespace of the test's own
 * where addresses come and go.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model_helpers.h"

static bool isolated;

/* Before anything else: a namespace is a thread's. */
static void isolate(void)
{
	uid_t uid = geteuid();
	char map[32];
	int fd;

	if (uid == 0) {
		isolated = unshare(CLONE_NEWNET) == 0;
	} else if (unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0) {
		snprintf(map, sizeof(map), "0 %u 1", (unsigned)uid);
		fd = open("/proc/self/uid_map", O_WRONLY);
		isolated = fd >= 0 && write(fd, map, strlen(map)) > 0;
		close(fd);
	}
	isolated = isolated && system("ip link set lo up") == 0 &&
		   system("ip addr add 192.0.2.1/32 dev lo") == 0 &&
		   system("ip addr add 192.0.2.2/32 dev lo") == 0 &&
		   system("ip addr add 2001:db8::1/128 dev lo") == 0 &&
		   system("ip addr add 169.254.7.7/32 dev lo scope link") == 0;
}

static int setup(void **state)
{
	struct mt *mt;

	if (!isolated) {
		/* Everything here needs the addresses above. */
		*state = NULL;
		return 0;
	}
	mt_setup(state);
	mt = *state;
	/* Not the one that mt_start() names, but those there are. */
	mt->portal[0] = '\0';
	mt_restart(mt);
	return 0;
}

static int teardown(void **state)
{
	return *state == NULL ? 0 : mt_teardown(state);
}

static bool answers(const char *address, uint16_t port)
{
	struct sockaddr_storage ss = {0};
	struct sockaddr_in *in4 = (struct sockaddr_in *)&ss;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&ss;
	int fd, error;

	if (strchr(address, ':') == NULL) {
		in4->sin_family = AF_INET;
		in4->sin_port = htons(port);
		inet_pton(AF_INET, address, &in4->sin_addr);
	} else {
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(port);
		inet_pton(AF_INET6, address, &in6->sin6_addr);
	}
	fd = socket(ss.ss_family, SOCK_STREAM, 0);
	error = connect(fd, (struct sockaddr *)&ss,
			ss.ss_family == AF_INET ? sizeof(*in4) : sizeof(*in6));
	close(fd);
	return error == 0;
}

static HRESULT set(struct mt *mt, const char *address, uint16_t port,
		   bool listen)
{
	struct tevent_req *req = model_portal_set_send(mt->mem, mt->model,
						       address, port, listen);
	HRESULT hr;

	assert_true(tevent_req_poll(req, mt->ev));
	hr = model_portal_set_recv(req);
	talloc_free(req);
	return hr;
}

static void test_global_scope(void **state)
{
	struct mt *mt = *state;
	struct model_portal *portals, *p;
	struct GUID guid;

	if (mt == NULL) {
		print_message(
			"# skip: no network namespace to have addresses in\n");
		skip();
	}
	/* Neither loopback nor link-local ones. */
	assert_int_equal(model_portals(mt->model, mt->mem, &portals), 3);
	assert_hr(model_portal_by_address(mt->model, mt->mem, "192.0.2.1", &p),
		  ISTM_S_OK);
	assert_true(p->listen);
	assert_true(p->valid);
	assert_int_equal(ntohs(((struct sockaddr_in *)&p->addr)->sin_port),
			 3260);
	guid = p->guid;
	assert_hr(model_portal_by_address(mt->model, mt->mem, "2001:db8::1",
					  &p),
		  ISTM_S_OK);
	assert_string_equal(p->text, "2001:db8:0:0:0:0:0:1");
	assert_hr(model_portal_by_address(mt->model, mt->mem, "127.0.0.1", &p),
		  ISTM_FILE_NOT_FOUND);
	assert_hr(model_portal_by_address(mt->model, mt->mem, "x", &p),
		  ISTM_FILE_NOT_FOUND);
	assert_true(answers("192.0.2.1", 3260));
	assert_true(answers("2001:db8::1", 3260));
	assert_false(answers("127.0.0.1", 3260));
	mt_restart(mt);
	assert_hr(model_portal_by_address(mt->model, mt->mem, "192.0.2.1", &p),
		  ISTM_S_OK);
	assert_true(GUID_equal(&guid, &p->guid));
}

/* The socket moves, at once and after a restart. */
static void test_set(void **state)
{
	struct mt *mt = *state;
	struct model_portal *p;

	if (mt == NULL) {
		print_message(
			"# skip: no network namespace to have addresses in\n");
		skip();
	}
	assert_hr(set(mt, "192.0.2.9", 3260, true), ISTM_FILE_NOT_FOUND);
	assert_hr(set(mt, "192.0.2.1", 0, true), ISTM_INVALID_ARG);
	assert_hr(set(mt, "192.0.2.9", 0, true), ISTM_FILE_NOT_FOUND);
	mt_events_clear(mt);
	assert_hr(set(mt, "192.0.2.1", 3999, true), ISTM_S_OK);
	assert_int_equal(mt->events[MODEL_EVENT_PORTALS], 1);
	assert_true(answers("192.0.2.1", 3999));
	assert_false(answers("192.0.2.1", 3260));
	assert_true(answers("192.0.2.2", 3260));
	assert_hr(set(mt, "192.0.2.2", 3260, false), ISTM_S_OK);
	assert_false(answers("192.0.2.2", 3260));
	mt_restart(mt);
	assert_true(answers("192.0.2.1", 3999));
	assert_false(answers("192.0.2.1", 3260));
	assert_false(answers("192.0.2.2", 3260));
	assert_hr(model_portal_by_address(mt->model, mt->mem, "192.0.2.2", &p),
		  ISTM_S_OK);
	assert_false(p->listen);
	assert_hr(set(mt, "192.0.2.2", 3260, true), ISTM_S_OK);
	assert_true(answers("192.0.2.2", 3260));
}

/* A port that someone else has: refused, and all as it was. */
static void test_port_taken(void **state)
{
	struct mt *mt = *state;
	struct sockaddr_in in4 = {
		.sin_family = AF_INET,
		.sin_port = htons(4000),
	};
	int fd;

	if (mt == NULL) {
		print_message(
			"# skip: no network namespace to have addresses in\n");
		skip();
	}
	inet_pton(AF_INET, "192.0.2.1", &in4.sin_addr);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&in4, sizeof(in4)), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_hr(set(mt, "192.0.2.1", 4000, true), ISTM_WIN32(10048));
	assert_true(answers("192.0.2.1", 3260));
	close(fd);
	assert_hr(set(mt, "192.0.2.1", 4000, true), ISTM_S_OK);
	assert_false(answers("192.0.2.1", 3260));
}

/* What cannot be kept is undone; a later change that can be stays. */
static void test_commit_fails(void **state)
{
	struct mt *mt = *state;
	struct tevent_req *first, *second;
	struct model_portal *p;

	if (mt == NULL) {
		print_message(
			"# skip: no network namespace to have addresses in\n");
		skip();
	}
	mt_store_break(mt);
	assert_true(ISTM_FAILED(set(mt, "192.0.2.1", 3999, true)));
	assert_true(answers("192.0.2.1", 3260));
	assert_false(answers("192.0.2.1", 3999));
	assert_true(ISTM_FAILED(set(mt, "192.0.2.1", 3260, false)));
	assert_true(answers("192.0.2.1", 3260));
	/* Two at once: back to what is stored, not to the first. */
	first = model_portal_set_send(mt->mem, mt->model, "192.0.2.1", 4001,
				      true);
	second = model_portal_set_send(mt->mem, mt->model, "192.0.2.1", 4002,
				       true);
	assert_true(answers("192.0.2.1", 4002));
	assert_true(tevent_req_poll(first, mt->ev));
	assert_true(tevent_req_poll(second, mt->ev));
	assert_true(ISTM_FAILED(model_portal_set_recv(first)));
	assert_true(ISTM_FAILED(model_portal_set_recv(second)));
	assert_false(answers("192.0.2.1", 4001));
	assert_false(answers("192.0.2.1", 4002));
	assert_true(answers("192.0.2.1", 3260));
	mt_store_mend(mt);
	assert_hr(model_portal_by_address(mt->model, mt->mem, "192.0.2.1", &p),
		  ISTM_S_OK);
	assert_true(p->listen);
	assert_int_equal(ntohs(((struct sockaddr_in *)&p->addr)->sin_port),
			 3260);
	assert_hr(set(mt, "192.0.2.1", 3999, true), ISTM_S_OK);
	mt_restart(mt);
	assert_true(answers("192.0.2.1", 3999));
}

static HRESULT reload(struct mt *mt, const char **portals)
{
	struct model_volume_config volume = {.letter = 'C', .path = mt->volume};
	struct model_options options = {
		.volumes = &volume,
		.num_volumes = 1,
		.portals = portals,
	};
	struct tevent_req *req =
		model_reload_send(mt->mem, mt->model, &options);
	HRESULT hr;

	assert_true(tevent_req_poll(req, mt->ev));
	hr = model_reload_recv(req);
	talloc_free(req);
	return hr;
}

/* Another istm:portals, without a restart. */
static void test_reload(void **state)
{
	const char *one[] = {"192.0.2.2:4444", NULL};
	const char *two[] = {"192.0.2.2", "2001:db8::1", NULL};
	const char *any[] = {"0.0.0.0", NULL};
	const char *away[] = {"192.0.2.77", NULL};
	const char *bad[] = {"192.0.2.1", "nowhere", NULL};
	struct mt *mt = *state;
	struct model_portal *portals;

	if (mt == NULL) {
		print_message(
			"# skip: no network namespace to have addresses in\n");
		skip();
	}
	assert_hr(set(mt, "192.0.2.2", 3999, true), ISTM_S_OK);
	mt_events_clear(mt);
	assert_hr(reload(mt, NULL), ISTM_S_OK);
	assert_int_equal(mt->events[MODEL_EVENT_PORTALS], 0);
	assert_true(answers("192.0.2.1", 3260));
	assert_hr(reload(mt, one), ISTM_S_OK);
	assert_int_equal(mt->events[MODEL_EVENT_PORTALS], 1);
	assert_int_equal(model_portals(mt->model, mt->mem, &portals), 1);
	assert_true(answers("192.0.2.2", 4444));
	assert_false(answers("192.0.2.2", 3999));
	assert_false(answers("192.0.2.1", 3260));
	/* Without a port: the one that was set. */
	assert_hr(reload(mt, two), ISTM_S_OK);
	assert_int_equal(model_portals(mt->model, mt->mem, &portals), 2);
	assert_true(answers("192.0.2.2", 3999));
	assert_false(answers("192.0.2.2", 4444));
	assert_true(answers("2001:db8::1", 3260));
	/* The wildcard takes over what addresses had. */
	assert_hr(reload(mt, any), ISTM_S_OK);
	assert_int_equal(model_portals(mt->model, mt->mem, &portals), 1);
	assert_true(answers("192.0.2.1", 3260));
	assert_true(answers("127.0.0.1", 3260));
	assert_false(answers("2001:db8::1", 3260));
	/* Nonsense changes nothing. */
	assert_hr(reload(mt, bad), ISTM_INVALID_ARG);
	assert_int_equal(model_portals(mt->model, mt->mem, &portals), 1);
	assert_true(answers("127.0.0.1", 3260));
	/* An address that is not there yet. */
	assert_hr(reload(mt, away), ISTM_S_OK);
	assert_int_equal(model_portals(mt->model, mt->mem, &portals), 1);
	assert_false(portals[0].valid);
	assert_int_equal(system("ip addr add 192.0.2.77/32 dev lo"), 0);
	mt_events_clear(mt);
	while (mt->events[MODEL_EVENT_PORTALS] == 0) {
		tevent_loop_once(mt->ev);
	}
	assert_true(answers("192.0.2.77", 3260));
	model_portals(mt->model, mt->mem, &portals);
	assert_true(portals[0].valid);
	mt_events_clear(mt);
	assert_int_equal(system("ip addr del 192.0.2.77/32 dev lo"), 0);
	while (mt->events[MODEL_EVENT_PORTALS] == 0) {
		tevent_loop_once(mt->ev);
	}
	model_portals(mt->model, mt->mem, &portals);
	assert_false(portals[0].valid);
	/* And back to all there are. */
	assert_hr(reload(mt, NULL), ISTM_S_OK);
	assert_int_equal(model_portals(mt->model, mt->mem, &portals), 3);
	assert_true(answers("192.0.2.1", 3260));
	assert_true(answers("192.0.2.2", 3999));
	assert_false(answers("127.0.0.1", 3260));
}

/* Addresses that come and go. */
static void test_follows(void **state)
{
	struct mt *mt = *state;
	struct model_portal *portals;

	if (mt == NULL) {
		print_message(
			"# skip: no network namespace to have addresses in\n");
		skip();
	}
	mt_events_clear(mt);
	assert_int_equal(system("ip addr add 192.0.2.3/32 dev lo"), 0);
	while (mt->events[MODEL_EVENT_PORTALS] == 0) {
		tevent_loop_once(mt->ev);
	}
	assert_int_equal(model_portals(mt->model, mt->mem, &portals), 4);
	assert_true(answers("192.0.2.3", 3260));
	mt_events_clear(mt);
	assert_int_equal(system("ip addr del 192.0.2.3/32 dev lo"), 0);
	while (mt->events[MODEL_EVENT_PORTALS] == 0) {
		tevent_loop_once(mt->ev);
	}
	assert_int_equal(model_portals(mt->model, mt->mem, &portals), 3);
	/* What was set for it is kept for when it comes back. */
	assert_int_equal(system("ip addr add 192.0.2.3/32 dev lo"), 0);
	while (model_portals(mt->model, mt->mem, &portals) != 4) {
		tevent_loop_once(mt->ev);
	}
	assert_hr(set(mt, "192.0.2.3", 5000, true), ISTM_S_OK);
	assert_int_equal(system("ip addr del 192.0.2.3/32 dev lo"), 0);
	while (model_portals(mt->model, mt->mem, &portals) != 3) {
		tevent_loop_once(mt->ev);
	}
	mt_restart(mt);
	assert_int_equal(model_portals(mt->model, mt->mem, &portals), 3);
	assert_int_equal(system("ip addr add 192.0.2.3/32 dev lo"), 0);
	while (model_portals(mt->model, mt->mem, &portals) != 4) {
		tevent_loop_once(mt->ev);
	}
	assert_true(answers("192.0.2.3", 5000));
	assert_int_equal(system("ip addr del 192.0.2.3/32 dev lo"), 0);
}

static void too_late(struct tevent_context *ev, struct tevent_timer *timer,
		     struct timeval now, void *private_data)
{
	*(bool *)private_data = true;
}

/* An option that was refused leaves them following as before. */
static void test_follows_after_refusal(void **state)
{
	const char *bad[] = {"192.0.2.1:99999", NULL};
	struct mt *mt = *state;
	struct model_portal *portals;
	bool late = false;

	if (mt == NULL) {
		print_message(
			"# skip: no network namespace to have addresses in\n");
		skip();
	}
	assert_hr(reload(mt, bad), ISTM_INVALID_ARG);
	assert_int_equal(system("ip addr add 192.0.2.3/32 dev lo"), 0);
	tevent_add_timer(mt->ev, mt->mem, tevent_timeval_current_ofs(30, 0),
			 too_late, &late);
	while (model_portals(mt->model, mt->mem, &portals) != 4 && !late) {
		tevent_loop_once(mt->ev);
	}
	assert_int_equal(system("ip addr del 192.0.2.3/32 dev lo"), 0);
	assert_false(late);
}

#define PORTAL_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PORTAL_TEST(test_global_scope),
		PORTAL_TEST(test_set),
		PORTAL_TEST(test_port_taken),
		PORTAL_TEST(test_commit_fails),
		PORTAL_TEST(test_reload),
		PORTAL_TEST(test_follows),
		PORTAL_TEST(test_follows_after_refusal),
	};

	isolate();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
