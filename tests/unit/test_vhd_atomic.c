/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Atomic writes and their journal: what others see of them, what a crash
 * leaves and who takes it back. Crashes at every point: test_vhd_crash_atomic.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/crc32c.h"
#include "vhd/bytes.h"
#include "vhd/record.h"
#include "vhd_helpers.h"
#include "vhd_recorder.h"
#include "vhd/tap.h"

#define SIZE (8 * MiB)

static int write_atomic(struct vt *vt, struct vhd_disk *disk, uint64_t offset,
			void *buf, uint64_t length)
{
	return vt_rw(vt, disk, VHD_WRITE_ATOMIC, 0, offset, buf, length);
}

static bool exists(struct vt *vt, const char *name)
{
	return access(vt_path(vt, name), F_OK) == 0;
}

static unsigned count_journals(struct vt *vt)
{
	DIR *dir = opendir(vt->dir);
	struct dirent *entry;
	unsigned n = 0;

	while ((entry = readdir(dir)) != NULL) {
		n += strstr(entry->d_name, ".atomic") != NULL;
	}
	closedir(dir);
	return n;
}

/* ---- every kind of disk ---- */

static void test_kinds(void **state)
{
	struct vt *vt = *state;
	uint8_t *data = malloc(SIZE), *back = malloc(SIZE);
	struct vhd_disk *disk;
	unsigned kind;

	for (kind = 0; kind < VT_KINDS; kind++) {
		bool memory = kind == 2;
		uint64_t sector;

		disk = vt_kind(vt, kind, SIZE);
		if (disk == NULL) {
			continue; /* no direct I/O here */
		}
		sector = vhd_disk_sector(disk);
		vt_pattern(data, SIZE, kind);
		assert_int_equal(
			vt_rw(vt, disk, VHD_WRITE, 0, 0, data, SIZE / 2), 0);
		memset(data + SIZE / 2, 0, SIZE / 2);
		/* small and odd, large, over the end of what is written */
		vt_pattern(data + 7 * sector, 3 * sector, 77);
		assert_int_equal(write_atomic(vt, disk, 7 * sector,
					      data + 7 * sector, 3 * sector),
				 0);
		vt_pattern(data + MiB - sector, VHD_ATOMIC_MAX, 78);
		assert_int_equal(write_atomic(vt, disk, MiB - sector,
					      data + MiB - sector,
					      VHD_ATOMIC_MAX),
				 0);
		vt_pattern(data + SIZE / 2 - 8192, 65536, 79);
		assert_int_equal(write_atomic(vt, disk, SIZE / 2 - 8192,
					      data + SIZE / 2 - 8192, 65536),
				 0);
		assert_int_equal(write_atomic(vt, disk, SIZE, NULL, 0), 0);
		assert_int_equal(write_atomic(vt, disk, 0, data,
					      VHD_ATOMIC_MAX + sector),
				 EINVAL);
		assert_int_equal(write_atomic(vt, disk, SIZE, data, sector),
				 EINVAL);
		assert_int_equal(vt_rw(vt, disk, VHD_READ, 0, 0, back, SIZE),
				 0);
		assert_memory_equal(data, back, SIZE);
		assert_int_equal(count_journals(vt), memory ? 0 : 1);
		vhd_close(disk);
		assert_int_equal(count_journals(vt), 0);
	}
	free(data);
	free(back);
}

/* ---- seen by others ---- */

#define ROUNDS 60

struct racer {
	struct vhd_req req;
	struct iovec iov;
	uint8_t buf[65536];
	bool done;
};

static void racer_done(struct vhd_req *req)
{
	((struct racer *)req->private_data)->done = true;
}

static void start(struct vt *vt, struct vhd_disk *disk, struct racer *r,
		  enum vhd_op op)
{
	r->iov = (struct iovec){r->buf, sizeof(r->buf)};
	r->req = (struct vhd_req){
		.op = op,
		.offset = 4096,
		.length = sizeof(r->buf),
		.iov = &r->iov,
		.iovcnt = 1,
		.done = racer_done,
		.private_data = r,
	};
	r->done = vhd_submit(vt->io, disk, &r->req);
}

/* Reads beside atomic writes see all of one. */
static void test_reads_see_all_or_nothing(void **state)
{
	struct vt *vt = *state;
	struct vhd_disk *disk = vt_disk(vt, "d.vhd", SIZE, true);
	struct racer *racer = calloc(6, sizeof(*racer));
	unsigned round, i, k;

	for (round = 0; round < ROUNDS; round++) {
		for (i = 0; i < 6; i++) {
			memset(racer[i].buf, (int)(1 + round * 3 + i), 65536);
			start(vt, disk, &racer[i],
			      i % 2 ? VHD_READ : VHD_WRITE_ATOMIC);
		}
		vhd_io_kick(vt->io);
		for (i = 0; i < 6; i++) {
			while (!racer[i].done) {
				tevent_loop_once(vt->ev);
			}
			assert_int_equal(racer[i].req.error, 0);
			/* The caller's flags are the caller's. */
			assert_int_equal(racer[i].req.flags, 0);
		}
		for (i = 1; i < 6; i += 2) {
			for (k = 1; k < 65536; k++) {
				assert_int_equal(racer[i].buf[k],
						 racer[i].buf[0]);
			}
		}
	}
	free(racer);
	vhd_close(disk);
}

/* ---- after a crash ---- */

/*
 * Leave @name as a crash in the middle of an atomic write does: @half of the
 * 16 sectors at 64 KiB are new, the record says what was there.
 */
static void cut_off(struct vt *vt, const char *name, unsigned half,
		    uint8_t old[8192], uint8_t new[8192])
{
	struct vhd_disk *disk = NULL;
	struct vhd_record record = {
		.offset = 65536,
		.length = 8192,
		.head = VHD_RECORD_HEAD(8192u),
	};
	struct iovec iov[2] = {{new, 1000}, {new + 1000, 7192}};
	uint8_t *buf = calloc(1, record.head + record.length);
	struct vhd_info info;

	vt_pattern(old, 8192, 1);
	vt_pattern(new, 8192, 2);
	assert_int_equal(vt_open(vt, name, 0, &disk), 0);
	vhd_disk_info(disk, &info);
	assert_int_equal(vt_rw(vt, disk, VHD_WRITE, 0, 65536, old, 8192), 0);
	assert_int_equal(vt_rw(vt, disk, VHD_WRITE, 0, 65536, new, half * 512),
			 0);
	vhd_close(disk);
	memcpy(record.disk_id, info.unique_id, 16);
	memcpy(buf + record.head, old, 8192);
	vhd_record_push(&record, iov, buf);
	vt_file_write(vt, talloc_asprintf(vt->mem, ".%s.atomic", name), 0, buf,
		      record.head + record.length);
	free(buf);
}

static void assert_holds(struct vt *vt, const char *name,
			 const uint8_t content[8192])
{
	struct vhd_disk *disk = NULL;
	uint8_t back[8192];

	assert_int_equal(vt_open(vt, name, 0, &disk), 0);
	assert_int_equal(vt_rw(vt, disk, VHD_READ, 0, 65536, back, 8192), 0);
	assert_memory_equal(back, content, 8192);
	vhd_close(disk);
}

static const char *const names[] = {"a.vhd", "b.vhd", "a.vhdx", "b.vhdx"};

static void make(struct vt *vt, const char *name)
{
	if (name[0] == 'a') {
		assert_int_equal(vt_create(vt, name, SIZE, true), 0);
	} else {
		vhd_close(vt_dynamic(vt, name, SIZE, MiB));
	}
}

static void test_taken_back(void **state)
{
	struct vt *vt = *state;
	uint8_t old[8192], new[8192];
	struct vhd_disk *disk = NULL;
	struct vhd_info info;
	unsigned i;

	for (i = 0; i < 4; i++) {
		char *journal =
			talloc_asprintf(vt->mem, ".%s.atomic", names[i]);

		make(vt, names[i]);
		assert_int_equal(vt_probe(vt, names[i], &info), 0);
		assert_int_equal(info.cut_off.length, 0);
		cut_off(vt, names[i], 5, old, new);
		/* A probe tells of it; who may not write, does not read. */
		assert_int_equal(vt_probe(vt, names[i], &info), 0);
		assert_int_equal(info.cut_off.offset, 65536);
		assert_int_equal(info.cut_off.length, 8192);
		assert_int_equal(vt_open(vt, names[i], VHD_OPEN_READONLY,
					 &disk),
				 EINVAL);
		assert_non_null(strstr(vt->message, "8192 bytes at 65536"));
		assert_true(exists(vt, journal));
		assert_holds(vt, names[i], old);
		assert_false(exists(vt, journal));
		/* All of it there, not acknowledged: back, too. */
		cut_off(vt, names[i], 16, old, new);
		assert_holds(vt, names[i], old);
		assert_false(exists(vt, journal));
	}
}

/* What a record is not about, it is not applied to. */
static void test_not_of_this_disk(void **state)
{
	struct vt *vt = *state;
	uint8_t old[8192], new[8192], later[8192];
	struct vhd_disk *disk = NULL;
	char *journal = vt_path(vt, ".a.vhd.atomic");
	char *kept = vt_path(vt, "kept");
	uint8_t byte;

	make(vt, "a.vhd");
	make(vt, "b.vhd");
	/* another disk's */
	cut_off(vt, "b.vhd", 5, old, new);
	assert_int_equal(rename(vt_path(vt, ".b.vhd.atomic"), journal), 0);
	memset(later, 0, sizeof(later));
	assert_holds(vt, "a.vhd", later);
	assert_true(exists(vt, ".a.vhd.atomic"));
	/* which does not keep this one from making its own */
	assert_int_equal(vt_open(vt, "a.vhd", 0, &disk), 0);
	assert_int_equal(write_atomic(vt, disk, 0, later, 512), 0);
	vhd_close(disk);
	assert_false(exists(vt, ".a.vhd.atomic"));

	/* this disk's, but a sector has been changed since */
	cut_off(vt, "a.vhd", 5, old, new);
	assert_int_equal(rename(journal, kept), 0);
	assert_int_equal(vt_open(vt, "a.vhd", 0, &disk), 0);
	vt_pattern(later, sizeof(later), 3);
	assert_int_equal(vt_rw(vt, disk, VHD_WRITE, 0, 65536 + 512, later, 512),
			 0);
	vhd_close(disk);
	assert_int_equal(rename(kept, journal), 0);
	memcpy(new + 512, later, 512);
	memcpy(new + 5 * 512, old + 5 * 512, 8192 - 5 * 512);
	assert_holds(vt, "a.vhd", new);

	/* damaged: it had not been written whole, so nothing was changed */
	cut_off(vt, "a.vhd", 5, old, new);
	vt_file_read(vt, ".a.vhd.atomic", 9000, &byte, 1);
	byte ^= 1;
	vt_file_write(vt, ".a.vhd.atomic", 9000, &byte, 1);
	memcpy(new + 5 * 512, old + 5 * 512, 8192 - 5 * 512);
	assert_holds(vt, "a.vhd", new);
	assert_false(exists(vt, ".a.vhd.atomic"));

	/* one that others may write, or that is no file */
	cut_off(vt, "a.vhd", 5, old, new);
	assert_int_equal(chmod(journal, 0666), 0);
	memcpy(new + 5 * 512, old + 5 * 512, 8192 - 5 * 512);
	assert_holds(vt, "a.vhd", new);
	assert_int_equal(unlink(journal), 0);
	cut_off(vt, "a.vhd", 5, old, new);
	assert_int_equal(rename(journal, kept), 0);
	assert_int_equal(symlink("kept", journal), 0);
	memcpy(new + 5 * 512, old + 5 * 512, 8192 - 5 * 512);
	assert_holds(vt, "a.vhd", new);
	assert_int_equal(unlink(journal), 0);
	assert_int_equal(mkdir(journal, 0700), 0);
	assert_holds(vt, "a.vhd", new);
}

static void set_version(struct vt *vt, const char *journal, uint32_t version)
{
	uint8_t sector[512];

	vt_file_read(vt, journal, 0, sector, sizeof(sector));
	put_be32(sector + 8, version);
	put_be32(sector + 508, ~crc32c_update(CRC32C_INIT, sector, 508));
	vt_file_write(vt, journal, 0, sector, sizeof(sector));
}

/* What we cannot read may be what is to be taken back: not torn. */
static void test_newer_version(void **state)
{
	static const uint32_t flags[] = {0, VHD_OPEN_READONLY};
	struct vt *vt = *state;
	uint8_t old[8192], new[8192];
	struct vhd_disk *disk = NULL;
	unsigned i;

	make(vt, "a.vhd");
	cut_off(vt, "a.vhd", 5, old, new);
	set_version(vt, ".a.vhd.atomic", 2);
	for (i = 0; i < 2; i++) {
		assert_int_equal(vt_open(vt, "a.vhd", flags[i], &disk),
				 ENOTSUP);
		assert_non_null(strstr(vt->message, ".a.vhd.atomic"));
		assert_non_null(strstr(vt->message, "version 2, not 1"));
	}
	set_version(vt, ".a.vhd.atomic", 1);
	assert_holds(vt, "a.vhd", old);
}

/* It cannot be taken back, for now: the disk is not opened until it is. */
static void test_fail_taking_back(void **state)
{
	static const int errors[] = {EIO, ENOSPC};
	struct vt *vt = *state;
	uint8_t old[8192], new[8192];
	struct vhd_disk *disk = NULL;
	unsigned i, k, nth;

	for (i = 0; i < 4; i++) {
		make(vt, names[i]);
		for (k = 0; k < 2; k++) {
			for (nth = 0;; nth++) {
				cut_off(vt, names[i], 7, old, new);
				recorder_start(names[i]);
				recorder_fail(nth, errors[k]);
				if (vt_open(vt, names[i], 0, &disk) == 0) {
					vhd_close(disk);
				} else {
					assert_true(recorder_failed());
					assert_non_null(vt->message);
				}
				if (!recorder_failed()) {
					break;
				}
				recorder_stop();
				assert_holds(vt, names[i], old);
			}
			recorder_stop();
			assert_true(nth > 8);
			assert_holds(vt, names[i], old);
		}
	}
}

/* ---- checking, compacting ---- */

static void test_repair(void **state)
{
	struct vt *vt = *state;
	uint8_t old[8192], new[8192];
	struct vhd_check result;
	unsigned i;

	for (i = 0; i < 4; i++) {
		make(vt, names[i]);
		cut_off(vt, names[i], 3, old, new);
		result = vt_check(vt, names[i], 0);
		assert_int_equal(result.mendable, 1);
		assert_int_equal(result.mended, 0);
		assert_non_null(strstr(result.report, "8192 bytes at 65536"));
		result = vt_check(vt, names[i], VHD_CHECK_REPAIR);
		assert_int_equal(result.mended, 1);
		assert_int_equal(count_journals(vt), 0);
		result = vt_check(vt, names[i], 0);
		assert_int_equal(result.mendable, 0);
		assert_holds(vt, names[i], old);
	}
}

/* A block that the write has left empty may have held something. */
static void test_compact(void **state)
{
	struct vt *vt = *state;
	uint8_t old[8192], new[8192];
	struct vhd_compact result;
	unsigned i;

	for (i = 1; i < 4; i += 2) {
		make(vt, names[i]);
		cut_off(vt, names[i], 16, old, new);
		assert_int_equal(vt_compact_fd(vt,
					       vt_open_fd(vt, names[i], O_RDWR),
					       names[i], &result),
				 0);
		assert_int_equal(count_journals(vt), 0);
		assert_holds(vt, names[i], old);
	}
}

/* ---- the journal's file ---- */

/* Where none can be made nothing is written, and the disk goes on. */
static void test_no_journal(void **state)
{
	struct vt *vt = *state;
	struct vhd_disk *disk = vt_disk(vt, "a.vhd", SIZE, true);
	uint8_t data[4096], back[4096];

	vt_pattern(data, sizeof(data), 5);
	assert_int_equal(mkdir(vt_path(vt, ".a.vhd.atomic"), 0700), 0);
	assert_int_equal(write_atomic(vt, disk, 0, data, 4096), EIO);
	assert_int_equal(vt_rw(vt, disk, VHD_READ, 0, 0, back, 4096), 0);
	assert_true(vt_is_zero(back, 4096));
	assert_int_equal(vt_rw(vt, disk, VHD_WRITE, 0, 4096, data, 4096), 0);
	assert_int_equal(rmdir(vt_path(vt, ".a.vhd.atomic")), 0);
	assert_int_equal(write_atomic(vt, disk, 0, data, 4096), 0);
	/* The disk's file is gone from its folder. */
	assert_int_equal(unlink(vt_path(vt, "a.vhd")), 0);
	assert_int_equal(write_atomic(vt, disk, 0, data, 4096), EIO);
	vhd_close(disk);
	assert_int_equal(count_journals(vt), 0);
}

static bool modes_ignored;

/* In place of libc's: of a volume where everybody may write everything. */
int fstat(int fd, struct stat *st)
{
	int ret = fstatat(fd, "", st, AT_EMPTY_PATH);

	if (ret == 0 && modes_ignored) {
		st->st_mode |= 0666;
	}
	return ret;
}

/* A journal that nobody would believe in after a crash is no promise. */
static void test_modes_ignored(void **state)
{
	struct vt *vt = *state;
	struct vhd_disk *disk = vt_disk(vt, "a.vhd", SIZE, true);
	uint8_t data[4096], back[4096];

	vt_pattern(data, sizeof(data), 5);
	assert_true(vhd_disk_writes_atomic(disk));
	modes_ignored = true;
	assert_int_equal(write_atomic(vt, disk, 0, data, 4096), EOPNOTSUPP);
	modes_ignored = false;
	assert_false(vhd_disk_writes_atomic(disk));
	assert_int_equal(count_journals(vt), 0);
	assert_int_equal(vt_rw(vt, disk, VHD_READ, 0, 0, back, 4096), 0);
	assert_true(vt_is_zero(back, 4096));
	/* It does not try again each time. */
	assert_int_equal(write_atomic(vt, disk, 0, data, 4096), EOPNOTSUPP);
	assert_int_equal(vt_rw(vt, disk, VHD_WRITE, VHD_FUA, 0, data, 4096), 0);
	vhd_close(disk);
	assert_int_equal(vt_open(vt, "a.vhd", 0, &disk), 0);
	assert_true(vhd_disk_writes_atomic(disk));
	assert_int_equal(write_atomic(vt, disk, 0, data, 4096), 0);
	/* Mounted anew with such options. */
	modes_ignored = true;
	assert_int_equal(write_atomic(vt, disk, 0, data, 4096), EOPNOTSUPP);
	modes_ignored = false;
	assert_false(vhd_disk_writes_atomic(disk));
	assert_int_equal(count_journals(vt), 0);
	vhd_close(disk);
}

static bool nameless_refused, nameless_tried;

/* In place of libc's: of a volume without O_TMPFILE. */
int openat(int dir, const char *name, int flags, ...)
{
	va_list args;
	mode_t mode;

	va_start(args, flags);
	mode = (flags & (O_CREAT | __O_TMPFILE)) != 0 ? va_arg(args, mode_t)
						      : 0;
	va_end(args);
	if ((flags & O_TMPFILE) == O_TMPFILE) {
		nameless_tried = true;
		if (nameless_refused) {
			errno = EOPNOTSUPP;
			return -1;
		}
	}
	return (int)syscall(SYS_openat, dir, name, flags, mode);
}

/* Known as soon as the disk is open, and nothing is left in its folder. */
static void test_modes_ignored_at_open(void **state)
{
	struct vt *vt = *state;
	struct vhd_disk *disk = vt_disk(vt, "a.vhd", SIZE, true);
	uint8_t data[4096] = {1};
	struct stat before, after;
	unsigned i;

	vhd_close(disk);
	for (i = 0; i < 4; i++) {
		modes_ignored = i & 1;
		nameless_refused = i & 2;
		nameless_tried = false;
		assert_int_equal(stat(vt->dir, &before), 0);
		assert_int_equal(vt_open(vt, "a.vhd", 0, &disk), 0);
		assert_int_equal(stat(vt->dir, &after), 0);
		assert_true(nameless_tried);
		assert_int_equal(count_journals(vt), 0);
		if (!nameless_refused) {
			assert_memory_equal(&before.st_mtim, &after.st_mtim,
					    sizeof(before.st_mtim));
		}
		assert_int_equal(vhd_disk_writes_atomic(disk), !modes_ignored);
		modes_ignored = false;
		assert_int_equal(write_atomic(vt, disk, 0, data, 4096),
				 i & 1 ? EOPNOTSUPP : 0);
		vhd_close(disk);
	}
	/* What somebody has put there is left to the first write. */
	nameless_refused = modes_ignored = true;
	assert_int_equal(mkdir(vt_path(vt, ".a.vhd.atomic"), 0700), 0);
	assert_int_equal(vt_open(vt, "a.vhd", 0, &disk), 0);
	nameless_refused = modes_ignored = false;
	assert_true(vhd_disk_writes_atomic(disk));
	vhd_close(disk);
	assert_true(exists(vt, ".a.vhd.atomic"));
	/* Of one that is not written to nobody asks. */
	nameless_tried = false;
	assert_int_equal(vt_open(vt, "a.vhd", VHD_OPEN_READONLY, &disk), 0);
	assert_false(nameless_tried);
	vhd_close(disk);
}

/* It follows the disk. */
static void test_moved(void **state)
{
	struct vt *vt = *state;
	struct vhd_disk *disk = vt_disk(vt, "a.vhd", SIZE, true);
	uint8_t data[4096] = {1};

	assert_int_equal(write_atomic(vt, disk, 0, data, 4096), 0);
	assert_true(exists(vt, ".a.vhd.atomic"));
	assert_int_equal(mkdir(vt_path(vt, "sub"), 0700), 0);
	assert_int_equal(rename(vt_path(vt, "a.vhd"), vt_path(vt, "sub/c.vhd")),
			 0);
	assert_int_equal(write_atomic(vt, disk, 0, data, 4096), 0);
	assert_false(exists(vt, ".a.vhd.atomic"));
	assert_true(exists(vt, "sub/.c.vhd.atomic"));
	vhd_close(disk);
	assert_false(exists(vt, "sub/.c.vhd.atomic"));
}

/* What has come to its old place is left alone. */
static void test_place_taken(void **state)
{
	struct vt *vt = *state;
	struct vhd_disk *a = vt_disk(vt, "a.vhd", SIZE, true), *b;
	uint8_t data[4096] = {1};

	assert_int_equal(write_atomic(vt, a, 0, data, 4096), 0);
	assert_int_equal(rename(vt_path(vt, "a.vhd"), vt_path(vt, "b.vhd")), 0);
	b = vt_disk(vt, "a.vhd", SIZE, true);
	assert_int_equal(write_atomic(vt, b, 0, data, 4096), 0);
	assert_int_equal(count_journals(vt), 1);
	assert_int_equal(write_atomic(vt, a, 0, data, 4096), 0);
	assert_int_equal(count_journals(vt), 2);
	/* Removed by somebody: a new one. */
	assert_int_equal(unlink(vt_path(vt, ".a.vhd.atomic")), 0);
	assert_int_equal(write_atomic(vt, b, 0, data, 4096), 0);
	assert_true(exists(vt, ".a.vhd.atomic"));
	vhd_close(a);
	vhd_close(b);
	assert_int_equal(count_journals(vt), 0);
}

/* One that is not to be trusted any more is no promise: there is a new one. */
static void test_trust_lost(void **state)
{
	static const char journal[] = ".a.vhd.atomic", copy[] = "copy";
	struct vt *vt = *state;
	struct vhd_disk *disk = vt_disk(vt, "a.vhd", SIZE, true);
	uint8_t data[4096] = {1};
	struct stat st;
	unsigned i;

	for (i = 0; i < 3; i++) {
		assert_int_equal(write_atomic(vt, disk, 0, data, 4096), 0);
		/* What chmod -R g+w, o+w and cp -al on the volume do. */
		if (i < 2) {
			assert_int_equal(chmod(vt_path(vt, journal),
					       i == 0 ? 0620 : 0602),
					 0);
		} else {
			assert_int_equal(link(vt_path(vt, journal),
					      vt_path(vt, copy)),
					 0);
		}
		assert_int_equal(write_atomic(vt, disk, 0, data, 4096), 0);
		assert_int_equal(stat(vt_path(vt, journal), &st), 0);
		assert_int_equal(st.st_mode, S_IFREG | 0600);
		assert_int_equal(st.st_nlink, 1);
	}
	/* The other name is nobody's business here. */
	assert_int_equal(unlink(vt_path(vt, copy)), 0);
	vhd_close(disk);
	assert_int_equal(count_journals(vt), 0);
}

static void test_names(void **state)
{
	char name[256], other[256], disk[256];

	assert_true(vhd_journal_name("a.vhd", name, sizeof(name)));
	assert_string_equal(name, ".a.vhd.atomic");
	memset(disk, 'x', 255);
	disk[255] = '\0';
	assert_true(vhd_journal_name(disk, name, sizeof(name)));
	disk[254] = 'y';
	assert_true(vhd_journal_name(disk, other, sizeof(other)));
	assert_string_not_equal(name, other);
	assert_false(vhd_journal_name(disk, name, 100));
}

/* ---- a record that cannot be cleared ---- */

static unsigned failing; /* journal's calls from now on; 0: none */

static int fail_journal(const char *name, enum vhd_tap_step step,
			uint64_t offset, uint64_t *len)
{
	if (strstr(name, "'s journal") == NULL || failing == 0) {
		return 0;
	}
	return --failing == 0 ? failing = 1, EIO : 0;
}

static const struct vhd_tap failing_tap = {.fault = fail_journal};

/* Nothing is written any more that the record could be applied over. */
static void test_stuck(void **state)
{
	struct vt *vt = *state;
	struct vhd_disk *disk;
	uint8_t old[4096], new[4096], back[4096];

	vhd_set_tap(&failing_tap);
	disk = vt_disk(vt, "a.vhd", SIZE, true);
	vt_pattern(old, sizeof(old), 1);
	vt_pattern(new, sizeof(new), 2);
	assert_int_equal(write_atomic(vt, disk, 0, old, 4096), 0);
	/* record and its flush succeed, all that follows fails */
	failing = 3;
	assert_int_equal(write_atomic(vt, disk, 0, new, 4096), EIO);
	failing = 0;
	assert_int_equal(vt_rw(vt, disk, VHD_WRITE, 0, 0, old, 4096), EROFS);
	assert_int_equal(vt_rw(vt, disk, VHD_DISCARD, 0, 0, NULL, 4096), EROFS);
	assert_int_equal(write_atomic(vt, disk, 8192, old, 4096), EROFS);
	assert_int_equal(vt_rw(vt, disk, VHD_FLUSH, 0, 0, NULL, 0), 0);
	vhd_close(disk);
	vhd_set_tap(NULL);
	assert_true(exists(vt, ".a.vhd.atomic"));
	assert_int_equal(vt_open(vt, "a.vhd", 0, &disk), 0);
	assert_int_equal(vt_rw(vt, disk, VHD_READ, 0, 0, back, 4096), 0);
	assert_memory_equal(back, old, 4096);
	assert_int_equal(vt_rw(vt, disk, VHD_WRITE, 0, 0, new, 4096), 0);
	vhd_close(disk);
	assert_int_equal(count_journals(vt), 0);
}

struct waiting {
	struct vhd_req req;
	struct iovec iov;
	bool done;
};

static void waiting_done(struct vhd_req *req)
{
	((struct waiting *)req->private_data)->done = true;
}

/* Those that wait for it are refused, too: they would be taken back with it. */
static void test_stuck_meanwhile(void **state)
{
	static const struct {
		enum vhd_op op;
		uint64_t offset;
		int error;
	} others[] = {
		{VHD_WRITE_ATOMIC, 0, EIO}, /* the one that is not cleared */
		{VHD_WRITE, 512, EROFS},
		{VHD_COMPARE_AND_WRITE, 0, EROFS},
		{VHD_COMPARE_AND_WRITE, 0, EROFS},
		{VHD_WRITE_ATOMIC, 0, EROFS},
		{VHD_READ, 0, 0},
	};
	struct waiting w[6] = {0};
	struct vt *vt = *state;
	struct vhd_disk *disk;
	uint8_t old[4096], new[8192], back[4096];
	unsigned i, waited = 0;

	vhd_set_tap(&failing_tap);
	disk = vt_disk(vt, "a.vhd", SIZE, true);
	vt_pattern(old, sizeof(old), 1);
	vt_pattern(new, sizeof(new), 2);
	assert_int_equal(write_atomic(vt, disk, 0, old, 4096), 0);
	failing = 3;
	for (i = 0; i < 6; i++) {
		w[i].iov = (struct iovec){others[i].op == VHD_READ ? back : new,
					  sizeof(new)};
		w[i].req = (struct vhd_req){
			.op = others[i].op,
			.offset = others[i].offset,
			.length = 1024,
			.iov = &w[i].iov,
			.iovcnt = 1,
			.done = waiting_done,
			.private_data = &w[i],
		};
		w[i].done = vhd_submit(vt->io, disk, &w[i].req);
		waited += !w[i].done;
	}
	/* All but those that wait for nobody. */
	assert_int_equal(waited, 6);
	vhd_io_kick(vt->io);
	for (i = 0; i < 6; i++) {
		while (!w[i].done) {
			assert_int_equal(tevent_loop_once(vt->ev), 0);
		}
		assert_int_equal(w[i].req.error, others[i].error);
	}
	failing = 0;
	vhd_close(disk);
	vhd_set_tap(NULL);
	assert_int_equal(vt_open(vt, "a.vhd", 0, &disk), 0);
	assert_int_equal(vt_rw(vt, disk, VHD_READ, 0, 0, back, 4096), 0);
	assert_memory_equal(back, old, 4096);
	vhd_close(disk);
}

/* ---- a file system that writes to a new place each time ---- */

static unsigned full; /* 1: write a sector, then there is no space; 2: none */
static uint64_t full_at; /* 3: there is none from here on in the file */
static bool unsynced;	 /* since the disk's file was written to */
static bool cleared_early;

static int fail_full(const char *name, enum vhd_tap_step step, uint64_t offset,
		     uint64_t *len)
{
	bool journal = strstr(name, "'s journal") != NULL;

	if (step == VHD_TAP_STEP_SYNC && !journal) {
		unsynced = false;
	}
	if (step != VHD_TAP_STEP_WRITE) {
		return 0;
	}
	if (journal) {
		cleared_early |= unsynced && *len == 512;
		return 0;
	}
	unsynced = true;
	if (full == 0) {
		return 0;
	}
	if (full == 3) {
		if (offset >= full_at) {
			return ENOSPC;
		}
		if (*len > full_at - offset) {
			*len = full_at - offset;
		}
		return 0;
	}
	if (full == 1 && *len > 512) {
		full = 2;
		*len = 512;
		return 0;
	}
	return ENOSPC;
}

static const struct vhd_tap full_tap = {.fault = fail_full};

/* Where there is no space to undo it, the record stays and what is torn is not
 * read; where nothing was written there is nothing to undo. */
static void test_full_undo(void **state)
{
	struct vt *vt = *state;
	struct vhd_disk *disk;
	uint8_t old[4096], new[4096], back[8192];

	vhd_set_tap(&full_tap);
	disk = vt_disk(vt, "a.vhd", SIZE, false);
	vt_pattern(old, sizeof(old), 1);
	vt_pattern(new, sizeof(new), 2);
	assert_int_equal(write_atomic(vt, disk, 8192, old, 4096), 0);
	full = 2;
	assert_int_equal(write_atomic(vt, disk, 8192, new, 4096), ENOSPC);
	full = 0;
	assert_int_equal(vt_rw(vt, disk, VHD_READ, 0, 8192, back, 4096), 0);
	assert_memory_equal(back, old, 4096);
	assert_int_equal(write_atomic(vt, disk, 8192, old, 4096), 0);
	full = 1;
	assert_int_equal(write_atomic(vt, disk, 8192, new, 4096), EIO);
	assert_int_equal(vt_rw(vt, disk, VHD_READ, 0, 8192, back, 512), EIO);
	assert_int_equal(vt_rw(vt, disk, VHD_READ, 0, 8192 + 3584, back, 8192),
			 EIO);
	assert_int_equal(vt_rw(vt, disk, VHD_READ, 0, 0, back, 8192), 0);
	assert_int_equal(vt_rw(vt, disk, VHD_READ, 0, 8192 + 4096, back, 8192),
			 0);
	assert_int_equal(vt_rw(vt, disk, VHD_WRITE, 0, 0, old, 4096), EROFS);
	vhd_close(disk);
	assert_true(exists(vt, ".a.vhd.atomic"));
	assert_int_equal(vt_open(vt, "a.vhd", 0, &disk), ENOSPC);
	assert_non_null(strstr(vt->message, "taking back an atomic write"));
	full = 0;
	assert_int_equal(vt_open(vt, "a.vhd", 0, &disk), 0);
	assert_int_equal(vt_rw(vt, disk, VHD_READ, 0, 8192, back, 4096), 0);
	assert_memory_equal(back, old, 4096);
	vhd_close(disk);
	vhd_set_tap(NULL);
	assert_int_equal(count_journals(vt), 0);
}

/*
 * Where what had its place is undone and the rest was never written, the record
 * goes only when the medium has the old contents, too: until then what was
 * written first may be all that it has.
 */
static void test_full_undone(void **state)
{
	struct vt *vt = *state;
	struct vhd_disk *disk;
	uint8_t old[4096], new[4096], back[4096];

	vhd_set_tap(&full_tap);
	disk = vt_disk(vt, "a.vhd", SIZE, true);
	vt_pattern(old, sizeof(old), 1);
	vt_pattern(new, sizeof(new), 2);
	assert_int_equal(write_atomic(vt, disk, 8192, old, 2048), 0);
	memset(old + 2048, 0, 2048);
	full = 3;
	full_at = 8192 + 2048;
	unsynced = cleared_early = false;
	assert_int_equal(write_atomic(vt, disk, 8192, new, 4096), ENOSPC);
	full = 0;
	assert_false(cleared_early);
	assert_int_equal(vt_rw(vt, disk, VHD_READ, 0, 8192, back, 4096), 0);
	assert_memory_equal(back, old, 4096);
	assert_int_equal(write_atomic(vt, disk, 8192, new, 4096), 0);
	vhd_close(disk);
	vhd_set_tap(NULL);
	assert_int_equal(count_journals(vt), 0);
}

/* ---- reading that fails ---- */

/* The disk's second page cannot be read. */
static int fail_second_page(const char *name, enum vhd_tap_step step,
			    uint64_t offset, uint64_t *len)
{
	if (step != VHD_TAP_STEP_READ || strstr(name, ".vhd") == NULL ||
	    offset + *len <= 4096 || offset >= 8192) {
		return 0;
	}
	if (offset < 4096) {
		*len = 4096 - offset;
		return 0;
	}
	return EIO;
}

static const struct vhd_tap unreadable_tap = {.fault = fail_second_page};

/* How far it has come is told by the journal's buffer, not by the caller's,
 * behind whose iovec there may be nothing. */
static void test_failed_read(void **state)
{
	struct vt *vt = *state;
	struct vhd_disk *disk = vt_disk(vt, "a.vhd", SIZE, true);
	uint8_t data[16384] = {1};
	/* Below what malloc() gives, as far as the system lets. */
	uint8_t *page = mmap((void *)0x10000000, 8192, PROT_NONE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct iovec *iov = (struct iovec *)(void *)(page + 4096) - 1;
	struct vhd_req req = {
		.op = VHD_WRITE_ATOMIC,
		.length = sizeof(data),
		.iov = iov,
		.iovcnt = 1,
	};

	assert_ptr_not_equal(page, MAP_FAILED);
	assert_int_equal(mprotect(page, 4096, PROT_READ | PROT_WRITE), 0);
	*iov = (struct iovec){data, sizeof(data)};
	vhd_close(disk);
	vhd_set_tap(&unreadable_tap);
	assert_int_equal(vt_open(vt, "a.vhd", 0, &disk), 0);
	assert_int_equal(vt_run(vt->io, vt->ev, disk, &req), EIO);
	assert_true(req.read_failed);
	assert_int_equal(req.read, 4096);
	vhd_close(disk);
	vhd_set_tap(NULL);
	munmap(page, 8192);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, vt_setup_memory, vt_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_kinds, vt_setup,
						vt_teardown),
		TEST(test_reads_see_all_or_nothing),
		TEST(test_taken_back),
		TEST(test_not_of_this_disk),
		TEST(test_newer_version),
		TEST(test_fail_taking_back),
		TEST(test_repair),
		TEST(test_compact),
		TEST(test_no_journal),
		TEST(test_modes_ignored),
		TEST(test_modes_ignored_at_open),
		TEST(test_moved),
		TEST(test_place_taken),
		TEST(test_trust_lost),
		cmocka_unit_test(test_names),
		TEST(test_stuck),
		TEST(test_stuck_meanwhile),
		TEST(test_full_undo),
		TEST(test_full_undone),
		TEST(test_failed_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
