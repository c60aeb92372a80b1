/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The life of disk files: creation, opening, refusal, locks. */

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
#include <unistd.h>

#include "vhd_helpers.h"

static uint8_t big[1 * MiB], back[1 * MiB];

static void assert_says(struct vt *vt, const char *what)
{
	assert_non_null(vt->message);
	if (strstr(vt->message, what) == NULL) {
		fail_msg("\"%s\" does not mention \"%s\"", vt->message, what);
	}
}

/* ---- creation ---- */

static void test_sparse_and_written_out(void **state)
{
	struct vt *vt = *state;
	struct vhd_info info;

	assert_int_equal(vt_create(vt, "s.vhd", 64 * MiB, true), 0);
	assert_int_equal(vt_file_size(vt, "s.vhd"), 64 * MiB + 512);
	assert_true(vt_file_allocated(vt, "s.vhd") <= 65536);
	assert_int_equal(vt_create(vt, "w.vhd", 64 * MiB, false), 0);
	assert_int_equal(vt_file_size(vt, "w.vhd"), 64 * MiB + 512);
	assert_true(vt_file_allocated(vt, "w.vhd") >= 64 * MiB + 512);

	assert_int_equal(vt_probe(vt, "s.vhd", &info), 0);
	assert_int_equal(info.type, VHD_TYPE_FIXED);
	assert_int_equal(info.size, 64 * MiB);
	assert_true(info.allocated <= 65536);
	assert_false(vt_is_zero(info.unique_id, 16));
}

/* A size that is a multiple of nothing but a sector. */
static void test_odd_size(void **state)
{
	struct vt *vt = *state;
	uint64_t size = 9 * MiB + 512;
	struct vhd_disk *disk = vt_disk(vt, "o.vhd", size, false);

	vt_pattern(big, 512, 1);
	assert_int_equal(
		vt_rw(vt, disk, VHD_WRITE, VHD_FUA, size - 512, big, 512), 0);
	assert_int_equal(vt_rw(vt, disk, VHD_READ, 0, size - 512, back, 512),
			 0);
	assert_memory_equal(big, back, 512);
	vhd_close(disk);
	/* The footer behind it is untouched. */
	assert_int_equal(vt_open(vt, "o.vhd", 0, &disk), 0);
	assert_int_equal(vhd_disk_size(disk), size);
	vhd_close(disk);
}

static void test_create_refusals(void **state)
{
	struct vt *vt = *state;
	struct vhd_create_params params = {.type = VHD_TYPE_RAM,
					   .size = 8 * MiB};

	assert_int_equal(vt_create(vt, "a", 0, true), EINVAL);
	assert_says(vt, "size 0");
	assert_int_equal(vt_create(vt, "a", 1000, true), EINVAL);
	assert_int_equal(vt_create(vt, "a", VHD_MAX_SIZE + 512, true), EINVAL);
	assert_int_equal(vt_create_params(vt, "a", &params), EINVAL);
	assert_int_equal(vt_file_size(vt, "a"), 0);
	vt_file_write(vt, "b", 0, "x", 1);
	assert_int_equal(vt_create(vt, "b", 8 * MiB, true), EEXIST);
	assert_says(vt, "not empty");
	assert_int_equal(vt_file_size(vt, "b"), 1);
}

/* The largest disk of the format, where the file system takes such files. */
static void test_largest(void **state)
{
	struct vt *vt = *state;
	struct vhd_disk *disk = NULL;
	int ret = vt_create(vt, "l.vhd", VHD_MAX_SIZE, true);

	if (ret == EFBIG) {
		print_message("# skip: the file system has no files of 2 TB\n");
		skip();
	}
	assert_int_equal(ret, 0);
	assert_int_equal(vt_open(vt, "l.vhd", 0, &disk), 0);
	assert_int_equal(vhd_disk_size(disk), VHD_MAX_SIZE);
	vt_pattern(big, 4096, 1);
	assert_int_equal(vt_rw(vt, disk, VHD_WRITE, 0, VHD_MAX_SIZE - 4096, big,
			       4096),
			 0);
	assert_int_equal(vt_rw(vt, disk, VHD_READ, 0, VHD_MAX_SIZE - 4096, back,
			       4096),
			 0);
	assert_memory_equal(big, back, 4096);
	assert_int_equal(vt_grow(vt, disk, 512), EINVAL);
	assert_says(vt, "limit");
	vhd_close(disk);
}

static unsigned percents, last_percent;

static void progress(unsigned percent, void *private_data)
{
	assert_true(percent > last_percent);
	assert_true(percent <= 100);
	last_percent = percent;
	percents++;
}

static void test_progress(void **state)
{
	struct vt *vt = *state;
	struct vhd_create_params params = {
		.type = VHD_TYPE_FIXED,
		.size = 256 * MiB,
		.progress = progress,
	};

	percents = last_percent = 0;
	assert_int_equal(vt_create_params(vt, "p.vhd", &params), 0);
	assert_true(percents > 0);
}

static struct tevent_req *cancel_req;

static void cancel_on_progress(unsigned percent, void *private_data)
{
	*(unsigned *)private_data = percent;
}

/* Cancelled in the middle: the worker lets go, and what is left is no VHD. */
static void test_cancel(void **state)
{
	struct vt *vt = *state;
	unsigned percent = 0;
	struct vhd_create_params params = {
		.type = VHD_TYPE_FIXED,
		.size = 2 * GiB,
		.progress = cancel_on_progress,
		.private_data = &percent,
	};
	int fd = vt_open_fd(vt, "c.vhd", O_RDWR | O_CREAT);
	struct flock lock = {.l_type = F_WRLCK};
	struct vhd_info info;

	cancel_req = vhd_create_send(vt->mem, vt->ev, fd, "c.vhd", &params);
	while (percent == 0) {
		assert_int_equal(tevent_loop_once(vt->ev), 0);
	}
	talloc_free(cancel_req);
	assert_true(percent < 100);
	/* The worker holds the lock until it has noticed. */
	fd = vt_open_fd(vt, "c.vhd", O_RDWR);
	assert_int_equal(fcntl(fd, F_OFD_SETLKW, &lock), 0);
	close(fd);
	assert_int_equal(vt_probe(vt, "c.vhd", &info), EINVAL);
	assert_says(vt, "not a VHD");
}

/* ---- no space ---- */

/* In a child with a small tmpfs of its own. @return its exit status */
static int in_small_volume(struct vt *vt, int (*test)(struct vt *vt))
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		int flags = geteuid() == 0 ? CLONE_NEWNS
					   : CLONE_NEWNS | CLONE_NEWUSER;

		if (unshare(flags) != 0 ||
		    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
		    mount("none", vt->dir, "tmpfs", 0, "size=4m") != 0) {
			_exit(77);
		}
		/* The ring is the parent's. */
		vt->io = vhd_io_create(vt->mem, vt->ev, 64);
		_exit(vt->io != NULL ? test(vt) : 99);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* The failing condition's line is the exit status. */
#define CHECK(cond)                                                            \
	do {                                                                   \
		if (!(cond)) {                                                 \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__,     \
				#cond);                                        \
			return 1;                                              \
		}                                                              \
	} while (0)

static int full_volume(struct vt *vt)
{
	struct vhd_disk *disk;

	/* Written out: refused at once, with a reason. */
	CHECK(vt_create(vt, "w.vhd", 8 * MiB, false) == ENOSPC);
	CHECK(strstr(vt->message, "reserving space") != NULL);
	unlink(vt_path(vt, "w.vhd"));
	/* Sparse: created; writes fail when the volume is full, what was
	 * written stays readable, and all is well when space returns. */
	CHECK(vt_create(vt, "s.vhd", 8 * MiB, true) == 0);
	CHECK(vt_open(vt, "s.vhd", 0, &disk) == 0);
	vt_pattern(big, sizeof(big), 1);
	CHECK(vt_rw(vt, disk, VHD_WRITE, 0, 0, big, 1 * MiB) == 0);
	CHECK(vt_rw(vt, disk, VHD_WRITE, 0, 1 * MiB, big, 1 * MiB) == 0);
	CHECK(vt_rw(vt, disk, VHD_WRITE, 0, 2 * MiB, big, 1 * MiB) == 0);
	CHECK(vt_rw(vt, disk, VHD_WRITE, 0, 3 * MiB, big, 1 * MiB) == ENOSPC);
	CHECK(vt_rw(vt, disk, VHD_READ, 0, 2 * MiB, back, 1 * MiB) == 0);
	CHECK(memcmp(big, back, 1 * MiB) == 0);
	CHECK(vt_rw(vt, disk, VHD_WRITE, 0, 0, big, 1 * MiB) == 0);
	CHECK(vt_rw(vt, disk, VHD_DISCARD, 0, 0, NULL, 1 * MiB) == 0);
	CHECK(vt_rw(vt, disk, VHD_WRITE, 0, 3 * MiB, big, 512 * 1024) == 0);
	CHECK(vt_rw(vt, disk, VHD_FLUSH, 0, 0, NULL, 0) == 0);
	vhd_close(disk);
	unlink(vt_path(vt, "s.vhd"));

	/* Growth of a written-out disk that does not fit leaves it as it is. */
	CHECK(vt_create(vt, "g.vhd", 2 * MiB, false) == 0);
	CHECK(vt_open(vt, "g.vhd", 0, &disk) == 0);
	CHECK(vt_rw(vt, disk, VHD_WRITE, 0, 1 * MiB, big, 1 * MiB) == 0);
	CHECK(vt_grow(vt, disk, 8 * MiB) == ENOSPC);
	CHECK(vhd_disk_size(disk) == 2 * MiB);
	CHECK(vt_file_size(vt, "g.vhd") == 2 * MiB + 512);
	CHECK(vt_grow(vt, disk, 1 * MiB) == 0);
	CHECK(vhd_disk_size(disk) == 3 * MiB);
	CHECK(vt_rw(vt, disk, VHD_READ, 0, 1 * MiB, back, 1 * MiB) == 0);
	CHECK(memcmp(big, back, 1 * MiB) == 0);
	vhd_close(disk);
	CHECK(vt_open(vt, "g.vhd", 0, &disk) == 0);
	CHECK(vhd_disk_size(disk) == 3 * MiB);
	vhd_close(disk);
	return 0;
}

/* Dynamic and differencing disks: what is allocated is served, the rest when
 * space returns, and the file is good at all times. */
static int full_growing(struct vt *vt, bool child)
{
	struct vhd_disk *disk;
	uint64_t at, end = 8 * MiB;
	unsigned i;

	if (child) {
		CHECK(vt_create(vt, "p.vhd", end, true) == 0);
		CHECK(vt_create_child(vt, "d.vhd", "p.vhd") == 0);
		disk = vt_open_chain(vt, "d.vhd", 0);
	} else {
		disk = vt_dynamic(vt, "d.vhd", end, 512 * 1024);
	}
	for (at = 0; at < end; at += 256 * 1024) {
		vt_pattern(big, 256 * 1024, (uint32_t)at);
		if (vt_rw(vt, disk, VHD_WRITE, 0, at, big, 256 * 1024) != 0) {
			break;
		}
	}
	CHECK(at > 2 * MiB && at < 4 * MiB);
	for (i = 0; i < 40; i++) {
		/* No place gets lost with each try. */
		CHECK(vt_rw(vt, disk, VHD_WRITE, 0, at + (i % 4) * MiB, big,
			    256 * 1024) == ENOSPC);
	}
	CHECK(vt_file_size(vt, "d.vhd") < 16 * MiB);
	for (end = at, at = 0; at < end; at += 256 * 1024) {
		vt_pattern(big, 256 * 1024, (uint32_t)at);
		CHECK(vt_rw(vt, disk, VHD_READ, 0, at, back, 256 * 1024) == 0);
		CHECK(memcmp(big, back, 256 * 1024) == 0);
		CHECK(vt_rw(vt, disk, VHD_WRITE, VHD_FUA, at, big,
			    256 * 1024) == 0);
	}
	/* Space returns by a discard of the disk itself, and is had at once. */
	CHECK(vt_rw(vt, disk, VHD_DISCARD, 0, 0, NULL, 2 * MiB) == 0);
	CHECK(vt_rw(vt, disk, VHD_WRITE, 0, end, big, 256 * 1024) == 0);
	CHECK(vt_rw(vt, disk, VHD_FLUSH, 0, 0, NULL, 0) == 0);
	vhd_close(disk);
	if (child) {
		disk = vt_open_chain(vt, "d.vhd", 0);
	} else {
		CHECK(vt_open(vt, "d.vhd", 0, &disk) == 0);
	}
	CHECK(vt_rw(vt, disk, VHD_READ, 0, end, back, 256 * 1024) == 0);
	CHECK(memcmp(big, back, 256 * 1024) == 0);
	CHECK(vt_rw(vt, disk, VHD_READ, 0, 0, back, 1 * MiB) == 0);
	CHECK(vt_is_zero(back, 1 * MiB));
	vhd_close(disk);
	return 0;
}

static int full_dynamic(struct vt *vt)
{
	return full_growing(vt, false);
}

static int full_differencing(struct vt *vt)
{
	return full_growing(vt, true);
}

static void test_full_dynamic(void **state)
{
	int ret = in_small_volume(*state, full_dynamic);

	if (ret == 77) {
		print_message("# skip: no mount namespace to have a small "
			      "volume in\n");
		skip();
	}
	assert_int_equal(ret, 0);
	assert_int_equal(in_small_volume(*state, full_differencing), 0);
}

static void test_full_volume(void **state)
{
	int ret = in_small_volume(*state, full_volume);

	if (ret == 77) {
		print_message("# skip: no mount namespace to have a small "
			      "volume in\n");
		skip();
	}
	assert_int_equal(ret, 0);
}

/* A limit on file sizes is no space, too; not a signal. */
static void test_file_size_limit(void **state)
{
	struct vt *vt = *state;
	struct vhd_disk *disk = vt_disk(vt, "x.vhd", 16 * MiB, true);
	struct rlimit old, limit;

	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &old);
	limit = old;
	limit.rlim_cur = 8 * MiB;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_int_equal(vt_rw(vt, disk, VHD_WRITE, 0, 12 * MiB, big, 4096),
			 ENOSPC);
	assert_int_equal(vt_create(vt, "y.vhd", 16 * MiB, true), EFBIG);
	assert_int_equal(vt_grow(vt, disk, 16 * MiB), EFBIG);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(vt_rw(vt, disk, VHD_WRITE, 0, 12 * MiB, big, 4096), 0);
	vhd_close(disk);
	assert_int_equal(vt_open(vt, "x.vhd", 0, &disk), 0);
	assert_int_equal(vhd_disk_size(disk), 16 * MiB);
	vhd_close(disk);
}

/* ---- locks ---- */

static void test_locks(void **state)
{
	struct vt *vt = *state;
	struct vhd_disk *disk = vt_disk(vt, "k.vhd", 8 * MiB, true);
	struct vhd_disk *other = NULL, *third = NULL;
	struct vhd_info info;

	assert_int_equal(vt_open(vt, "k.vhd", 0, &other), EWOULDBLOCK);
	assert_says(vt, "locked");
	assert_int_equal(vt_open(vt, "k.vhd", VHD_OPEN_READONLY, &other),
			 EWOULDBLOCK);
	/* A probe only looks. */
	assert_int_equal(vt_probe(vt, "k.vhd", &info), 0);
	assert_int_equal(vt_open(vt, "k.vhd", 0, &other), EWOULDBLOCK);
	vhd_close(disk);

	/* Readers share. */
	assert_int_equal(vt_open(vt, "k.vhd", VHD_OPEN_READONLY, &disk), 0);
	assert_int_equal(vt_open(vt, "k.vhd", VHD_OPEN_READONLY, &other), 0);
	assert_int_equal(vt_open(vt, "k.vhd", 0, &third), EWOULDBLOCK);
	vhd_close(disk);
	vhd_close(other);
	assert_int_equal(vt_open(vt, "k.vhd", 0, &third), 0);
	vhd_close(third);
}

/* A lock of another program's, which is named where the kernel knows it. */
static void test_foreign_lock(void **state)
{
	struct vt *vt = *state;
	struct flock lock = {.l_type = F_WRLCK, .l_start = 100, .l_len = 1};
	struct vhd_disk *disk = NULL;
	int ready[2], end[2], status;
	char expected[64], byte, *path = vt_path(vt, "l.vhd");
	pid_t pid;

	vhd_close(vt_disk(vt, "l.vhd", 8 * MiB, true));
	assert_int_equal(pipe(ready), 0);
	assert_int_equal(pipe(end), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		int fd = open(path, O_RDWR);

		close(end[1]);
		if (fcntl(fd, F_SETLK, &lock) == 0 &&
		    write(ready[1], "x", 1) == 1) {
			_exit((int)read(end[0], &byte, 1));
		}
		_exit(2);
	}
	close(ready[1]);
	close(end[0]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_int_equal(vt_open(vt, "l.vhd", 0, &disk), EWOULDBLOCK);
	snprintf(expected, sizeof(expected), "process %d", (int)pid);
	assert_says(vt, expected);
	assert_int_equal(vt_open(vt, "l.vhd", VHD_OPEN_READONLY, &disk),
			 EWOULDBLOCK);
	close(end[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	close(ready[0]);
	assert_int_equal(vt_open(vt, "l.vhd", 0, &disk), 0);
	vhd_close(disk);
}

/* ---- refusals ---- */

static int open_fd(struct vt *vt, int fd, uint32_t flags)
{
	struct vhd_disk *disk = NULL;
	struct tevent_req *req = vhd_open_send(vt->mem, vt->ev, fd, "x", flags);
	int ret;

	assert_true(tevent_req_poll(req, vt->ev));
	ret = vhd_open_recv(req, vt->mem, &disk, &vt->message);
	talloc_free(req);
	if (ret != 0) {
		assert_null(disk);
		/* Closed in every case. */
		assert_int_equal(fcntl(fd, F_GETFD), -1);
	}
	return ret;
}

static void test_not_regular(void **state)
{
	struct vt *vt = *state;
	int pipefd[2];

	assert_int_equal(open_fd(vt, open("/dev/zero", O_RDWR), 0), EINVAL);
	assert_says(vt, "regular");
	assert_int_equal(open_fd(vt, open(vt->dir, O_RDONLY | O_DIRECTORY), 0),
			 EINVAL);
	assert_int_equal(pipe(pipefd), 0);
	assert_int_equal(open_fd(vt, pipefd[0], 0), EINVAL);
	close(pipefd[1]);
}

static void test_access_modes(void **state)
{
	struct vt *vt = *state;
	struct vhd_disk *disk = vt_disk(vt, "m.vhd", 8 * MiB, true);

	vhd_close(disk);
	assert_int_equal(open_fd(vt, vt_open_fd(vt, "m.vhd", O_RDONLY), 0),
			 EBADF);
	assert_says(vt, "read-only");
	assert_int_equal(open_fd(vt, vt_open_fd(vt, "m.vhd", O_WRONLY), 0),
			 EBADF);
	assert_int_equal(open_fd(vt, vt_open_fd(vt, "m.vhd", O_RDWR | O_APPEND),
				 0),
			 EBADF);
	assert_says(vt, "append");
}

static void refused(struct vt *vt, const char *name, const char *why)
{
	struct vhd_disk *disk = NULL;
	struct vhd_info info;

	assert_int_equal(vt_open(vt, name, 0, &disk), EINVAL);
	assert_null(disk);
	assert_says(vt, why);
	assert_int_equal(vt_probe(vt, name, &info), EINVAL);
	assert_says(vt, why);
}

static void test_strangers(void **state)
{
	struct vt *vt = *state;
	uint8_t footer[512];

	vt_file_write(vt, "empty", 0, "", 0);
	refused(vt, "empty", "0 bytes are too few");
	vt_file_write(vt, "tiny", 0, big, 511);
	refused(vt, "tiny", "511 bytes are too few");
	vt_file_write(vt, "zero", 1 * MiB, "\0", 1);
	refused(vt, "zero", "no footer");
	vt_file_write(vt, "vhdx", 1 * MiB, "\0", 1);
	vt_file_write(vt, "vhdx", 0, "vhdxfile", 8);
	refused(vt, "vhdx", "VHDX");
	vt_file_write(vt, "cut", 1 * MiB, "\0", 1);
	vt_file_write(vt, "cut", 0, "conectix", 8);
	refused(vt, "cut", "no footer");
	refused(vt, "cut",
		"its copy at the start does not help: footer checksum");

	/* One bit, and the message tells where. */
	assert_int_equal(vt_create(vt, "bit", 8 * MiB, true), 0);
	vt_file_read(vt, "bit", 8 * MiB, footer, 512);
	footer[400] ^= 4;
	vt_file_write(vt, "bit", 8 * MiB, footer, 512);
	refused(vt, "bit", "checksum");
	refused(vt, "bit", "offset 8388608");

	/* The footer promises more than there is. */
	footer[400] ^= 4;
	vt_file_write(vt, "short", 4 * MiB, footer, 512);
	refused(vt, "short", "truncated");
}

/* A footer of 511 bytes: opened, and written in full by growth. */
static void test_old_footer(void **state)
{
	struct vt *vt = *state;
	struct vhd_disk *disk = vt_disk(vt, "old.vhd", 8 * MiB, true);

	vt_pattern(big, 4096, 1);
	assert_int_equal(
		vt_rw(vt, disk, VHD_WRITE, 0, 8 * MiB - 4096, big, 4096), 0);
	vhd_close(disk);
	assert_int_equal(truncate(vt_path(vt, "old.vhd"), 8 * MiB + 511), 0);
	assert_int_equal(vt_open(vt, "old.vhd", 0, &disk), 0);
	assert_int_equal(vhd_disk_size(disk), 8 * MiB);
	assert_int_equal(
		vt_rw(vt, disk, VHD_READ, 0, 8 * MiB - 4096, back, 4096), 0);
	assert_memory_equal(big, back, 4096);
	assert_int_equal(vt_grow(vt, disk, 1 * MiB), 0);
	vhd_close(disk);
	assert_int_equal(vt_file_size(vt, "old.vhd"), 9 * MiB + 512);
	assert_int_equal(vt_open(vt, "old.vhd", 0, &disk), 0);
	assert_int_equal(vt_rw(vt, disk, VHD_READ, 0, 8 * MiB, back, 4096), 0);
	assert_true(vt_is_zero(back, 4096));
	vhd_close(disk);
}

/* ---- jobs ---- */

/* More jobs than threads, some freed before they have begun. */
static void test_many_jobs(void **state)
{
	struct vt *vt = *state;
	struct tevent_req *req[40];
	struct vhd_info info;
	unsigned i;

	assert_int_equal(vt_create(vt, "j.vhd", 8 * MiB, true), 0);
	for (i = 0; i < 40; i++) {
		req[i] = vhd_probe_send(vt->mem, vt->ev,
					vt_open_fd(vt, "j.vhd", O_RDONLY),
					"j.vhd");
		assert_non_null(req[i]);
	}
	for (i = 0; i < 40; i += 3) {
		TALLOC_FREE(req[i]);
	}
	for (i = 0; i < 40; i++) {
		if (req[i] == NULL) {
			continue;
		}
		assert_true(tevent_req_poll(req[i], vt->ev));
		assert_int_equal(vhd_probe_recv(req[i], vt->mem, &info, NULL),
				 0);
		assert_int_equal(info.size, 8 * MiB);
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, vt_setup, vt_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		/* First: it forks, before there are threads. */
		TEST(test_full_volume),
		TEST(test_full_dynamic),
		TEST(test_sparse_and_written_out),
		TEST(test_odd_size),
		TEST(test_create_refusals),
		TEST(test_largest),
		TEST(test_progress),
		TEST(test_cancel),
		TEST(test_file_size_limit),
		TEST(test_locks),
		TEST(test_foreign_lock),
		TEST(test_not_regular),
		TEST(test_access_modes),
		TEST(test_strangers),
		TEST(test_old_footer),
		TEST(test_many_jobs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
