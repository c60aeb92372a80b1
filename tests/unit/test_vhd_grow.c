/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Disks that grow: fixed ones, and RAM disks. */

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "vhd_helpers.h"

static uint8_t big[1 * MiB], back[1 * MiB];

static _Atomic unsigned syncs, shared; /* while not 0 */
static _Atomic int watching;

/* Whose descriptor is it? The disk's own has the lock, to which any other one
 * is a stranger. */
static void count_sync(int fd)
{
	struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET};

	if (watching) {
		syncs++;
		shared += fcntl(fd, F_OFD_GETLK, &lock) != 0 ||
			  lock.l_type == F_UNLCK;
	}
}

/* In place of libc's. */
int fsync(int fd)
{
	count_sync(fd);
	return (int)syscall(SYS_fsync, fd);
}

ssize_t pwritev2(int fd, const struct iovec *iov, int iovcnt, off_t offset,
		 int flags)
{
	if (flags & RWF_DSYNC) {
		count_sync(fd);
	}
	return syscall(SYS_pwritev2, fd, iov, iovcnt, offset, 0, flags);
}

static _Atomic unsigned fs_type; /* while not 0 */

int fstatfs(int fd, struct statfs *fs)
{
	char path[40];
	int ret;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ret = statfs(path, fs);
	if (ret == 0 && fs_type != 0) {
		fs->f_type = fs_type;
	}
	return ret;
}

/* The kernel tells once per descriptor that data were lost. Lanes sync the
 * disk's: growth has one of its own, or they would take each other's news. */
static void test_own_descriptor(void **state)
{
	struct vt *vt = *state;
	struct vhd_disk *disk;
	unsigned kind;

	for (kind = 0; kind < 14; kind++) {
		struct vhd_info info;

		disk = vt_kind(vt, kind, 8 * MiB);
		if (disk == NULL) {
			continue; /* no direct I/O here */
		}
		vhd_disk_info(disk, &info);
		syncs = shared = 0;
		watching = 1;
		assert_int_equal(vt_grow(vt, disk, 8 * MiB), 0);
		watching = 0;
		assert_int_equal(shared, 0);
		assert_true(syncs > 0 || info.type == VHD_TYPE_RAM);
		vhd_close(disk);
	}
}

/* Where the lock keeps all other descriptors from writing, the disk's. */
static void test_locked_descriptor(void **state)
{
	static const unsigned types[] = {
		SMB_SUPER_MAGIC,
		CIFS_SUPER_MAGIC,
		SMB2_SUPER_MAGIC,
	};
	struct vt *vt = *state;
	struct vhd_disk *disk = vt_disk(vt, "g.vhd", 8 * MiB, true);
	unsigned i;

	for (i = 0; i < 3; i++) {
		syncs = shared = 0;
		fs_type = types[i];
		watching = 1;
		assert_int_equal(vt_grow(vt, disk, 8 * MiB), 0);
		watching = 0;
		fs_type = 0;
		assert_true(syncs > 0);
		assert_int_equal(shared, syncs);
	}
	vhd_close(disk);
}

static void grow(struct vt *vt, bool sparse)
{
	struct vhd_disk *disk = vt_disk(vt, "g.vhd", 8 * MiB, sparse);
	struct vhd_info before, after;
	uint8_t old_footer[512], new_footer[512];

	vhd_disk_info(disk, &before);
	vt_file_read(vt, "g.vhd", 8 * MiB, old_footer, 512);
	vt_pattern(big, 1 * MiB, 5);
	assert_int_equal(vt_rw(vt, disk, VHD_WRITE, 0, 7 * MiB, big, 1 * MiB),
			 0);
	assert_int_equal(vt_rw(vt, disk, VHD_READ, 0, 8 * MiB, back, 512),
			 EINVAL);
	assert_int_equal(vt_grow(vt, disk, 24 * MiB), 0);
	assert_int_equal(vhd_disk_size(disk), 32 * MiB);
	assert_int_equal(vt_rw(vt, disk, VHD_READ, 0, 7 * MiB, back, 1 * MiB),
			 0);
	assert_memory_equal(big, back, 1 * MiB);
	/* The old footer's place and all that is new is zero. */
	assert_int_equal(vt_rw(vt, disk, VHD_READ, 0, 8 * MiB, back, 1 * MiB),
			 0);
	assert_true(vt_is_zero(back, 1 * MiB));
	assert_int_equal(vt_rw(vt, disk, VHD_WRITE, 0, 31 * MiB, big, 1 * MiB),
			 0);
	vhd_disk_info(disk, &after);
	assert_memory_equal(before.unique_id, after.unique_id, 16);
	vhd_close(disk);

	assert_int_equal(vt_file_size(vt, "g.vhd"), 32 * MiB + 512);
	if (sparse) {
		assert_true(vt_file_allocated(vt, "g.vhd") < 8 * MiB);
	} else {
		assert_true(vt_file_allocated(vt, "g.vhd") >= 32 * MiB);
	}
	vt_file_read(vt, "g.vhd", 32 * MiB, new_footer, 512);
	/* All as it was but current size, geometry and checksum. */
	assert_memory_equal(old_footer, new_footer, 48);
	assert_memory_equal(new_footer + 48, "\0\0\0\0\2\0\0\0", 8);
	assert_memory_equal(old_footer + 68, new_footer + 68, 512 - 68);

	assert_int_equal(vt_open(vt, "g.vhd", 0, &disk), 0);
	assert_int_equal(vhd_disk_size(disk), 32 * MiB);
	assert_int_equal(vt_rw(vt, disk, VHD_READ, 0, 31 * MiB, back, 1 * MiB),
			 0);
	assert_memory_equal(big, back, 1 * MiB);
	vhd_close(disk);
	unlink(vt_path(vt, "g.vhd"));
}

static void test_grow(void **state)
{
	grow(*state, true);
	grow(*state, false);
}

/* Each crash point of growth: the file as the steps leave it. */
static void test_grow_crash_points(void **state)
{
	struct vt *vt = *state;
	struct vhd_disk *disk = vt_disk(vt, "n.vhd", 16 * MiB, true);
	uint8_t new_footer[512];

	vhd_close(disk);
	vt_file_read(vt, "n.vhd", 16 * MiB, new_footer, 512);

	/* Before the new footer: space is reserved, the size is the old. */
	assert_int_equal(vt_create(vt, "c.vhd", 8 * MiB, true), 0);
	{
		int fd = vt_open_fd(vt, "c.vhd", O_RDWR);

		assert_int_equal(fallocate(fd, FALLOC_FL_KEEP_SIZE, 8 * MiB,
					   8 * MiB + 512),
				 0);
		close(fd);
	}
	assert_int_equal(vt_open(vt, "c.vhd", 0, &disk), 0);
	assert_int_equal(vhd_disk_size(disk), 8 * MiB);
	vhd_close(disk);
	/* After it: both footers are there, the last one counts. */
	vt_file_write(vt, "c.vhd", 16 * MiB, new_footer, 512);
	assert_int_equal(vt_open(vt, "c.vhd", 0, &disk), 0);
	assert_int_equal(vhd_disk_size(disk), 16 * MiB);
	/* And it can go on growing. */
	assert_int_equal(vt_grow(vt, disk, 8 * MiB), 0);
	vhd_close(disk);
}

static void test_grow_refusals(void **state)
{
	struct vt *vt = *state;
	struct vhd_disk *disk = vt_disk(vt, "g.vhd", 8 * MiB, true);
	struct tevent_req *req;
	int ret;

	assert_int_equal(vt_grow(vt, disk, 0), EINVAL);
	assert_int_equal(vt_grow(vt, disk, 100), EINVAL);
	assert_int_equal(vt_grow(vt, disk, VHD_MAX_SIZE), EINVAL);
	assert_int_equal(vt_grow(vt, disk, UINT64_MAX - 511), EINVAL);
	/* One at a time. */
	req = vhd_grow_send(vt->mem, vt->ev, disk, 1 * MiB);
	assert_int_equal(vt_grow(vt, disk, 1 * MiB), EBUSY);
	assert_true(tevent_req_poll(req, vt->ev));
	ret = vhd_grow_recv(req, vt->mem, NULL);
	assert_int_equal(ret, 0);
	talloc_free(req);
	assert_int_equal(vhd_disk_size(disk), 9 * MiB);
	vhd_close(disk);
}

/* A disk with data behind what the footer covers can grow over them. */
static void test_grow_over_tail(void **state)
{
	struct vt *vt = *state;
	struct vhd_disk *disk;
	uint8_t footer[512];

	assert_int_equal(vt_create(vt, "t.vhd", 8 * MiB, true), 0);
	vt_file_read(vt, "t.vhd", 8 * MiB, footer, 512);
	vt_pattern(big, 1 * MiB, 1);
	vt_file_write(vt, "t.vhd", 8 * MiB, big, 1 * MiB);
	vt_file_write(vt, "t.vhd", 9 * MiB, footer, 512);
	assert_int_equal(vt_open(vt, "t.vhd", 0, &disk), 0);
	assert_int_equal(vhd_disk_size(disk), 8 * MiB);
	assert_int_equal(vt_grow(vt, disk, 512 * 1024), EINVAL);
	assert_int_equal(vt_grow(vt, disk, 2 * MiB), 0);
	assert_int_equal(vt_rw(vt, disk, VHD_READ, 0, 8 * MiB, back, 1 * MiB),
			 0);
	assert_true(vt_is_zero(back, 1 * MiB));
	vhd_close(disk);
	assert_int_equal(vt_open(vt, "t.vhd", 0, &disk), 0);
	assert_int_equal(vhd_disk_size(disk), 10 * MiB);
	vhd_close(disk);
}

/* Writes go on while the disk grows, and all of them arrive. */
/* However much lies between a disk's data and its footer. */
static void test_grow_over_much(void **state)
{
	struct vt *vt = *state;
	struct vhd_disk *disk = vt_disk(vt, "g.vhd", 8 * MiB, true);
	uint8_t footer[512];
	uint64_t at;

	vhd_close(disk);
	vt_file_read(vt, "g.vhd", 8 * MiB, footer, sizeof(footer));
	vt_pattern(big, 1 * MiB, 5);
	for (at = 8 * MiB; at < 12 * MiB; at += 1 * MiB) {
		vt_file_write(vt, "g.vhd", at, big, 1 * MiB);
	}
	vt_file_write(vt, "g.vhd", at, footer, sizeof(footer));
	assert_int_equal(vt_open(vt, "g.vhd", 0, &disk), 0);
	assert_int_equal(vt_grow(vt, disk, 8 * MiB), 0);
	for (at = 8 * MiB; at < 16 * MiB; at += 1 * MiB) {
		assert_int_equal(
			vt_rw(vt, disk, VHD_READ, 0, at, back, 1 * MiB), 0);
		assert_true(vt_is_zero(back, 1 * MiB));
	}
	vhd_close(disk);
}

static void test_grow_under_io(void **state)
{
	struct vt *vt = *state;
	struct vhd_disk *disk = vt_disk(vt, "i.vhd", 8 * MiB, false);
	struct tevent_req *req = vhd_grow_send(vt->mem, vt->ev, disk, 64 * MiB);
	unsigned n = 0, i;

	while (tevent_req_is_in_progress(req) || n < 20) {
		/* FUA: by the ring, so that the loop runs. */
		vt_pattern(big, 4096, n % 1000);
		assert_int_equal(vt_rw(vt, disk, VHD_WRITE, VHD_FUA,
				       8 * MiB - 4096 - n % 1000 * 4096, big,
				       4096),
				 0);
		n++;
	}
	assert_int_equal(vhd_grow_recv(req, vt->mem, NULL), 0);
	talloc_free(req);
	assert_int_equal(vhd_disk_size(disk), 72 * MiB);
	for (i = 0; i < n && i < 1000; i++) {
		vt_pattern(big, 4096, i);
		assert_int_equal(vt_rw(vt, disk, VHD_READ, 0,
				       8 * MiB - 4096 - i * 4096, back, 4096),
				 0);
		assert_memory_equal(big, back, 4096);
	}
	vhd_close(disk);
}

/* Request and disk are freed while the worker is at it: it finishes. */
static void test_closed_while_growing(void **state)
{
	struct vt *vt = *state;
	struct vhd_disk *disk = vt_disk(vt, "f.vhd", 8 * MiB, false);
	struct tevent_req *req = vhd_grow_send(vt->mem, vt->ev, disk, 8 * MiB);
	struct vhd_disk *again = NULL;

	assert_non_null(req);
	talloc_free(req);
	vhd_close(disk);
	/* Still its opener's until the growth is done. */
	while (vt_open(vt, "f.vhd", 0, &again) == EWOULDBLOCK) {
		assert_null(again);
	}
	assert_non_null(again);
	assert_int_equal(vhd_disk_size(again), 16 * MiB);
	vhd_close(again);
}

static void test_ram_grows(void **state)
{
	struct vt *vt = *state;
	struct vhd_disk *disk = vhd_open_ram(vt->mem, 8 * MiB);
	struct vhd_info info;

	vt_pattern(big, 1 * MiB, 1);
	assert_int_equal(vt_rw(vt, disk, VHD_WRITE, 0, 7 * MiB, big, 1 * MiB),
			 0);
	assert_int_equal(vt_grow(vt, disk, 1 * MiB), 0);
	assert_int_equal(vt_grow(vt, disk, 1 * MiB), 0);
	vhd_disk_info(disk, &info);
	assert_int_equal(info.type, VHD_TYPE_RAM);
	assert_int_equal(info.size, 10 * MiB);
	/* Across the seam. */
	assert_int_equal(
		vt_rw(vt, disk, VHD_WRITE, 0, 9 * MiB - 4096, big, 8192), 0);
	assert_int_equal(
		vt_rw(vt, disk, VHD_READ, 0, 9 * MiB - 4096, back, 8192), 0);
	assert_memory_equal(big, back, 8192);
	assert_int_equal(vt_rw(vt, disk, VHD_READ, 0, 7 * MiB, back, 1 * MiB),
			 0);
	assert_memory_equal(big, back, 1 * MiB);
	vhd_close(disk);
	assert_null(vhd_open_ram(vt->mem, 0));
	assert_null(vhd_open_ram(vt->mem, 100));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, vt_setup, vt_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_grow),
		TEST(test_grow_crash_points),
		TEST(test_grow_refusals),
		TEST(test_grow_over_tail),
		TEST(test_grow_over_much),
		TEST(test_grow_under_io),
		TEST(test_closed_while_growing),
		TEST(test_ram_grows),
		TEST(test_own_descriptor),
		TEST(test_locked_descriptor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
