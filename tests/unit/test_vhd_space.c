/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A file system that lets wait keeps a worker, and nobody else. */
#include <errno.h>
#include <semaphore.h>
#include <sys/statvfs.h>

#include "vhd_helpers.h"

static sem_t asked, may_answer, answered;

/* In place of libc's. */
int fstatvfs(int fd, struct statvfs *fs)
{
	sem_post(&asked);
	sem_wait(&may_answer);
	sem_post(&answered);
	errno = EIO;
	return -1;
}

/* A disk that is closed while a worker looks at its file can be opened again
 * at once. */
static void reopen(struct vt *vt, const char *name,
		   const struct vhd_create_params *params)
{
	struct vhd_disk *disk, *again;
	struct tevent_req *req;

	assert_int_equal(vt_create_params(vt, name, params), 0);
	assert_int_equal(vt_open(vt, name, 0, &disk), 0);
	req = vhd_space_send(vt->mem, vt->ev, disk);
	assert_non_null(req);
	sem_wait(&asked);
	assert_int_equal(vt_open(vt, name, 0, &again), EWOULDBLOCK);
	talloc_free(req);
	vhd_close(disk);
	assert_int_equal(vt_open(vt, name, 0, &again), 0);
	sem_post(&may_answer);
	sem_wait(&answered);
	/* What the worker does now is not the new opener's. */
	assert_int_equal(vt_open(vt, name, 0, &disk), EWOULDBLOCK);
	vhd_close(again);
}

static void test_closed_meanwhile(void **state)
{
	struct vt *vt = *state;
	struct vhd_create_params params = {
		.type = VHD_TYPE_FIXED,
		.size = 8 * MiB,
		.sparse = true,
	};

	sem_init(&asked, 0, 0);
	sem_init(&may_answer, 0, 0);
	sem_init(&answered, 0, 0);
	reopen(vt, "fixed.vhd", &params);
	params.type = VHD_TYPE_DYNAMIC;
	reopen(vt, "dynamic.vhd", &params);
	params.format = VHD_FORMAT_VHDX;
	reopen(vt, "dynamic.vhdx", &params);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_closed_meanwhile, vt_setup,
						vt_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
