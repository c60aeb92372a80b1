/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The process forks while it serves (a library starts a helper): the child has
 * copies of all descriptors until it executes, so that closing one of ours
 * does not end what epoll watches.
 */
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "target_iscsi_commands.h"

static pid_t fork_holder(void)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		/* Not longer than a test that fails. */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;) {
			pause();
		}
	}
	return pid;
}

/* A login on the only lane: whatever was to be reported before has been. */
static void pass(uint8_t number)
{
	struct peer *p = peer_connect(b);

	p->isid[5] = number;
	peer_login(p, "");
	peer_ready(p);
	peer_close(p);
}

static void test_closed_connection(void **state)
{
	static const uint8_t garbage[48] = {0x3f};
	struct peer *p = peer_connect(b);
	pid_t holder;

	pass(1);
	holder = fork_holder();
	peer_write(p, garbage, sizeof(garbage));
	pass(2);
	/* Closed by now, but the child's copy keeps it receiving. */
	peer_write(p, garbage, sizeof(garbage));
	pass(3);
	peer_close(p);
	kill(holder, SIGKILL);
	assert_int_equal(waitpid(holder, NULL, 0), holder);
}

static void test_closed_listener(void **state)
{
	struct sockaddr_in second = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	struct sockaddr_storage bound;
	pid_t holder;

	assert_int_equal(iscsi_portal_add(b->server, (struct sockaddr *)&second,
					  sizeof(second), 2),
			 EEXIST);
	second.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1);
	assert_int_equal(iscsi_portal_add(b->server, (struct sockaddr *)&second,
					  sizeof(second), 2),
			 0);
	assert_int_equal(iscsi_portal_address(b->server,
					      (struct sockaddr *)&second,
					      sizeof(second), &bound),
			 0);
	pass(1);
	holder = fork_holder();
	assert_int_equal(iscsi_portal_remove(b->server,
					     (struct sockaddr *)&second,
					     sizeof(second)),
			 0);
	for (uint8_t i = 2; i < 6; i++) {
		pass(i);
	}
	kill(holder, SIGKILL);
	assert_int_equal(waitpid(holder, NULL, 0), holder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_closed_connection,
						bench_setup_lane,
						bench_teardown),
		cmocka_unit_test_setup_teardown(
			test_closed_listener, bench_setup_lane, bench_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
