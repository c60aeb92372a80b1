/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What was committed is there, whatever happens afterwards. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <tdb.h>
#include <unistd.h>

#include "store_helpers.h"

static void test_empty(void **state)
{
	struct st *st = *state;
	struct stat info;

	assert_int_equal(st_open(st), 0);
	assert_int_equal(st->num_found, 0);
	assert_int_equal(stat(st->path, &info), 0);
	assert_int_equal(info.st_mode & 0777, 0600);
}

static void test_put_replace_delete(void **state)
{
	struct st *st = *state;

	assert_int_equal(st_open(st), 0);
	assert_int_equal(st_commit(st, "a", "1"), 0);
	assert_int_equal(st_commit(st, "b", "2"), 0);
	assert_int_equal(st_commit(st, "a", "3"), 0);
	assert_int_equal(st_commit(st, "b", NULL), 0);
	assert_int_equal(st_commit(st, "never-there", NULL), 0);
	st_close(st);
	assert_int_equal(st_open(st), 0);
	assert_int_equal(st->num_found, 1);
	assert_true(st_has(st, "a", "3"));
}

/* A mode that someone widened is narrowed again: secrets are inside. */
static void test_mode(void **state)
{
	struct st *st = *state;
	struct stat info;

	assert_int_equal(st_open(st), 0);
	st_close(st);
	assert_int_equal(chmod(st->path, 0644), 0);
	assert_int_equal(st_open(st), 0);
	assert_int_equal(stat(st->path, &info), 0);
	assert_int_equal(info.st_mode & 0777, 0600);
}

static void test_second_opener(void **state)
{
	struct st *st = *state;
	struct store *other;

	assert_int_equal(st_open(st), 0);
	assert_int_equal(store_open(st->mem, st->ev, st->path, NULL, NULL,
				    &other),
			 EWOULDBLOCK);
}

static void test_not_a_tdb(void **state)
{
	struct st *st = *state;
	FILE *file = fopen(st->path, "w");

	for (int i = 0; i < 10000; i++) {
		fputs("this is no database\n", file);
	}
	fclose(file);
	assert_int_not_equal(st_open(st), 0);
}

/* All waiting commits, in their order, none waiting for another's client. */
static void test_many_at_once(void **state)
{
	struct st *st = *state;
	struct tevent_req *reqs[500];

	assert_int_equal(st_open(st), 0);
	for (int i = 0; i < 500; i++) {
		char key[32], value[32];
		struct store_change change = {.key = key};

		snprintf(key, sizeof(key), "k%d", i % 100);
		snprintf(value, sizeof(value), "v%d", i);
		change.data = (uint8_t *)value;
		change.length = strlen(value);
		reqs[i] = store_commit_send(st->mem, st->ev, st->store, &change,
					    1);
		assert_non_null(reqs[i]);
	}
	for (int i = 0; i < 500; i++) {
		assert_true(tevent_req_poll(reqs[i], st->ev));
		assert_int_equal(store_commit_recv(reqs[i]), 0);
		talloc_free(reqs[i]);
	}
	st_close(st);
	assert_int_equal(st_open(st), 0);
	assert_int_equal(st->num_found, 100);
	assert_true(st_has(st, "k99", "v499"));
	assert_true(st_has(st, "k0", "v400"));
}

/* Who leaves takes nothing back; closing finishes what waits. */
static void test_requests_freed(void **state)
{
	struct st *st = *state;

	assert_int_equal(st_open(st), 0);
	for (int i = 0; i < 50; i++) {
		char key[32];
		struct store_change change = {
			.key = key, .data = (const uint8_t *)"x", .length = 1};

		snprintf(key, sizeof(key), "k%d", i);
		talloc_free(store_commit_send(st->mem, st->ev, st->store,
					      &change, 1));
	}
	st_close(st);
	assert_int_equal(st_open(st), 0);
	assert_int_equal(st->num_found, 50);
}

/*
 * A child commits pairs of records and reports each answer; it is killed
 * somewhere. Every pair that was answered is there, and no half of one.
 */
static void killed_child(struct st *st, int report)
{
	assert_int_equal(st_open(st), 0);
	for (uint32_t i = 0;; i++) {
		char key[2][32], value[300];
		struct store_change changes[2];

		memset(value, 'a' + i % 26, sizeof(value));
		for (int k = 0; k < 2; k++) {
			snprintf(key[k], sizeof(key[k]), "%c%u",
				 k == 0 ? 'x' : 'y', i);
			changes[k] = (struct store_change){
				.key = key[k],
				.data = (uint8_t *)value,
				.length = sizeof(value),
			};
		}
		if (st_commit_many(st, changes, 2) != 0 ||
		    write(report, &i, sizeof(i)) != sizeof(i)) {
			_exit(1);
		}
	}
}

struct pairs {
	uint8_t have[1 << 20]; /* bit 0: x, bit 1: y */
};

static bool load_pairs(const char *key, const uint8_t *data, size_t length,
		       void *private_data)
{
	struct pairs *pairs = private_data;

	pairs->have[atoi(key + 1)] |= key[0] == 'x' ? 1 : 2;
	return length == 300;
}

static void test_killed(void **state)
{
	struct st *st = *state;
	struct pairs *pairs = calloc(1, sizeof(*pairs));

	for (unsigned round = 0; round < 12; round++) {
		int pipes[2], status;
		uint32_t last = UINT32_MAX, i;
		unsigned answered = 0, wanted = 1 + round * 7;
		pid_t pid;

		unlink(st->path);
		assert_int_equal(pipe(pipes), 0);
		pid = fork();
		if (pid == 0) {
			close(pipes[0]);
			killed_child(st, pipes[1]);
		}
		close(pipes[1]);
		while (answered < wanted &&
		       read(pipes[0], &i, sizeof(i)) == sizeof(i)) {
			last = i;
			answered++;
		}
		/* Right after an answer, and so inside the next commit. */
		usleep(round * 137 % 1000);
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
		while (read(pipes[0], &i, sizeof(i)) == sizeof(i)) {
			last = i;
		}
		close(pipes[0]);
		assert_int_not_equal(last, UINT32_MAX);
		memset(pairs, 0, sizeof(*pairs));
		assert_int_equal(store_open(st->mem, st->ev, st->path,
					    load_pairs, pairs, &st->store),
				 0);
		for (i = 0; i < sizeof(pairs->have); i++) {
			assert_true(pairs->have[i] == 0 || pairs->have[i] == 3);
			if (i <= last) {
				assert_int_equal(pairs->have[i], 3);
			}
		}
		st_close(st);
	}
	free(pairs);
}

/* A tdb whose last transaction was prepared and not finished is repaired. */
static void test_recovery(void **state)
{
	struct st *st = *state;
	TDB_DATA key = {.dptr = (uint8_t *)"a", .dsize = 1};
	TDB_DATA value = {.dptr = (uint8_t *)"2", .dsize = 1};
	int status;
	pid_t pid;

	assert_int_equal(st_open(st), 0);
	assert_int_equal(st_commit(st, "a", "1"), 0);
	st_close(st);
	pid = fork();
	if (pid == 0) {
		struct tdb_context *tdb =
			tdb_open(st->path, 0, 0, O_RDWR, 0600);

		tdb_transaction_start(tdb);
		tdb_store(tdb, key, value, TDB_REPLACE);
		tdb_transaction_prepare_commit(tdb);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	assert_int_equal(status, 0);
	assert_int_equal(st_open(st), 0);
	assert_true(st_has(st, "a", "1"));
	assert_int_equal(st_commit(st, "a", "3"), 0);
}

static char *large(size_t size)
{
	char *value = malloc(size + 1);

	memset(value, 'v', size);
	value[size] = '\0';
	return value;
}

/* What must hold when the file can grow no more; in a child of its own. */
static void no_room_child(struct st *st)
{
	char *value = large(4 << 20);
	struct tevent_req *big, *small;
	struct store_change a = {
		.key = "big", .data = (uint8_t *)value, .length = 4 << 20};
	struct store_change b = {
		.key = "small", .data = (const uint8_t *)"s", .length = 1};

	assert_int_not_equal(st_commit(st, "big", value), 0);
	/* The store goes on, and one that fits is not held up by one in its
	 * group that does not. */
	big = store_commit_send(st->mem, st->ev, st->store, &a, 1);
	small = store_commit_send(st->mem, st->ev, st->store, &b, 1);
	assert_true(tevent_req_poll(big, st->ev));
	assert_int_not_equal(store_commit_recv(big), 0);
	assert_true(tevent_req_poll(small, st->ev));
	assert_int_equal(store_commit_recv(small), 0);
	st_close(st);
	assert_int_equal(st_open(st), 0);
	assert_true(st_has(st, "first", "1"));
	assert_true(st_has(st, "small", "s"));
	assert_int_equal(st->num_found, 2);
	free(value);
	_exit(0);
}

static void test_file_size_limit(void **state)
{
	struct st *st = *state;
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		struct rlimit limit = {2 << 20, 2 << 20};

		signal(SIGXFSZ, SIG_IGN);
		assert_int_equal(st_open(st), 0);
		assert_int_equal(st_commit(st, "first", "1"), 0);
		setrlimit(RLIMIT_FSIZE, &limit);
		no_room_child(st);
	}
	waitpid(pid, &status, 0);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* The same on a file system that is really full. */
static void test_full_volume(void **state)
{
	struct st *st = *state;
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		if (unshare(CLONE_NEWNS |
			    (geteuid() == 0 ? 0 : CLONE_NEWUSER)) != 0 ||
		    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
		    mount("none", st->dir, "tmpfs", 0, "size=2m") != 0) {
			_exit(77);
		}
		assert_int_equal(st_open(st), 0);
		assert_int_equal(st_commit(st, "first", "1"), 0);
		no_room_child(st);
	}
	waitpid(pid, &status, 0);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77) {
		print_message("# skip: no mount namespace to have a small "
			      "volume in\n");
		skip();
	}
	assert_int_equal(WEXITSTATUS(status), 0);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, st_setup, st_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_empty),	   TEST(test_put_replace_delete),
		TEST(test_mode),	   TEST(test_second_opener),
		TEST(test_not_a_tdb),	   TEST(test_many_at_once),
		TEST(test_requests_freed), TEST(test_killed),
		TEST(test_recovery),	   TEST(test_file_size_limit),
		TEST(test_full_volume),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
