/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Atomic writes: what others see of them, what a crash leaves and who takes it
 * back. The journal's file: test_vhd_journal; crashes at every point:
 * test_vhd_crash_atomic.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/crc32c.h"
#include "vhd/bytes.h"
#include "vhd/private.h"
#include "vhd/record.h"
#include "vhd_atomic.h"
#include "vhd_recorder.h"
#include "vhd/tap.h"

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

/* ---- a record that cannot be cleared ---- */

/* A disk whose calls @tap sees, and what is to be written to it. */
static struct vhd_disk *tapped(struct vt *vt, const struct vhd_tap *tap,
			       bool sparse, uint8_t old[4096],
			       uint8_t new[4096])
{
	vt_pattern(old, 4096, 1);
	vt_pattern(new, 4096, 2);
	vhd_set_tap(tap);
	return vt_disk(vt, "a.vhd", SIZE, sparse);
}

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

	disk = tapped(vt, &failing_tap, true, old, new);
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
	uint8_t old[4096], new[8192] = {0}, back[4096];
	unsigned i, waited = 0;

	disk = tapped(vt, &failing_tap, true, old, new);
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
static bool sync_full;			/* nor for what had been buffered */
static _Atomic unsigned *others_errors; /* another's sync fails, too */

static int fail_full(const char *name, enum vhd_tap_step step, uint64_t offset,
		     uint64_t *len)
{
	bool journal = strstr(name, "'s journal") != NULL;

	if (step == VHD_TAP_STEP_SYNC && !journal) {
		if (sync_full) {
			return ENOSPC;
		}
		unsynced = false;
	}
	if (step == VHD_TAP_STEP_READ && unsynced && others_errors != NULL) {
		atomic_fetch_add(others_errors, 1);
		others_errors = NULL;
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

	disk = tapped(vt, &full_tap, false, old, new);
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

	disk = tapped(vt, &full_tap, true, old, new);
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

/*
 * Where the medium does not get the old contents the record stays, and the next
 * flush says that something was lost: the kernel does not say it again. It may
 * have said it to another's flush.
 */
static void test_full_unsettled(void **state)
{
	struct vt *vt = *state;
	struct vhd_disk *disk;
	uint8_t old[4096], new[4096], back[4096];
	unsigned i;

	disk = tapped(vt, &full_tap, true, old, new);
	assert_int_equal(write_atomic(vt, disk, 8192, old, 2048), 0);
	memset(old + 2048, 0, 2048);
	full_at = 8192 + 2048;
	for (i = 0; i < 2; i++) {
		assert_int_equal(vt_rw(vt, disk, VHD_FLUSH, 0, 0, NULL, 0), 0);
		full = 3;
		unsynced = cleared_early = false;
		sync_full = i == 0;
		others_errors = i == 1 ? &disk->sync_errors : NULL;
		assert_int_equal(write_atomic(vt, disk, 8192, new, 4096), EIO);
		full = 0;
		sync_full = false;
		assert_null(others_errors);
		assert_false(cleared_early);
		assert_int_equal(vt_rw(vt, disk, VHD_READ, 0, 8192, back, 512),
				 EIO);
		assert_int_equal(vt_rw(vt, disk, VHD_FLUSH, 0, 0, NULL, 0),
				 EIO);
		assert_int_equal(vt_rw(vt, disk, VHD_FLUSH, 0, 0, NULL, 0), 0);
		vhd_close(disk);
		assert_true(exists(vt, ".a.vhd.atomic"));
		assert_int_equal(vt_open(vt, "a.vhd", 0, &disk), 0);
		assert_int_equal(vt_rw(vt, disk, VHD_READ, 0, 8192, back, 4096),
				 0);
		assert_memory_equal(back, old, 4096);
	}
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
		TEST(test_stuck),
		TEST(test_stuck_meanwhile),
		TEST(test_full_undo),
		TEST(test_full_undone),
		TEST(test_full_unsettled),
		TEST(test_failed_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
