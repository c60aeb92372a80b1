/* SPDX-License-Identifier: GPL-3.0-or-later */

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vhd/tap.h"
#include "vhd_helpers.h"
#include "vhd_recorder.h"

enum kind { WRITE, ZERO, TRUNCATE, RESERVE };

/* Whose change it is. */
enum file { DISK, JOURNAL, OTHER };

struct event {
	enum kind kind;
	enum file file;
	uint64_t offset, len;
	uint8_t *data;	   /* WRITE */
	size_t durable_at; /* from this position on; SIZE_MAX: never */
};

static struct {
	pthread_mutex_t lock;
	const char *name;
	struct event *event;
	size_t count, room;
	unsigned fail_after;
	int error, failed;
} rec = {.lock = PTHREAD_MUTEX_INITIALIZER};

static struct event *append(enum kind kind, enum file file, uint64_t offset,
			    uint64_t len)
{
	struct event *e;

	if (rec.count == rec.room) {
		rec.room = rec.room != 0 ? 2 * rec.room : 256;
		rec.event = realloc(rec.event, rec.room * sizeof(*rec.event));
		assert_non_null(rec.event);
	}
	e = &rec.event[rec.count++];
	*e = (struct event){
		.kind = kind,
		.file = file,
		.offset = offset,
		.len = len,
		.durable_at = SIZE_MAX,
	};
	return e;
}

static enum file file_of(const char *name)
{
	size_t len = rec.name != NULL ? strlen(rec.name) : 0;

	if (len == 0 || strncmp(name, rec.name, len) != 0) {
		return OTHER;
	}
	return name[len] == '\0'		       ? DISK
	       : strcmp(name + len, "'s journal") == 0 ? JOURNAL
						       : OTHER;
}

static bool recorded(const char *name)
{
	return file_of(name) != OTHER;
}

static void tap_write(const char *name, uint64_t offset,
		      const struct iovec *iov, int iovcnt, uint64_t len,
		      bool durable)
{
	struct event *e;
	uint64_t at = 0;
	int i;

	if (!recorded(name)) {
		return;
	}
	pthread_mutex_lock(&rec.lock);
	e = append(WRITE, file_of(name), offset, len);
	e->data = malloc(len);
	for (i = 0; i < iovcnt && at < len; i++) {
		uint64_t n =
			iov[i].iov_len < len - at ? iov[i].iov_len : len - at;

		memcpy(e->data + at, iov[i].iov_base, n);
		at += n;
	}
	if (durable) {
		e->durable_at = rec.count;
	}
	pthread_mutex_unlock(&rec.lock);
}

static void tap_change(const char *name, enum vhd_tap_change change,
		       uint64_t offset, uint64_t len)
{
	static const enum kind kinds[] = {
		[VHD_TAP_TRUNCATE] = TRUNCATE,
		[VHD_TAP_PUNCH] = ZERO,
		[VHD_TAP_ZERO] = ZERO,
		[VHD_TAP_RESERVE] = RESERVE,
	};

	if (recorded(name)) {
		pthread_mutex_lock(&rec.lock);
		append(kinds[change], file_of(name), offset, len);
		pthread_mutex_unlock(&rec.lock);
	}
}

static uint64_t tap_sync_begin(const char *name)
{
	uint64_t count;

	pthread_mutex_lock(&rec.lock);
	count = rec.count;
	pthread_mutex_unlock(&rec.lock);
	return count;
}

static void tap_sync_end(const char *name, uint64_t begin)
{
	size_t i;

	if (!recorded(name)) {
		return;
	}
	pthread_mutex_lock(&rec.lock);
	for (i = 0; i < begin; i++) {
		if (rec.event[i].durable_at == SIZE_MAX &&
		    rec.event[i].file == file_of(name)) {
			rec.event[i].durable_at = rec.count;
		}
	}
	pthread_mutex_unlock(&rec.lock);
}

static int tap_fault(const char *name, enum vhd_tap_step step, uint64_t offset,
		     uint64_t *len)
{
	int error = 0;

	if (!recorded(name)) {
		return 0;
	}
	pthread_mutex_lock(&rec.lock);
	if (rec.error != 0 && rec.fail_after-- == 0) {
		error = rec.error;
		rec.failed = 1;
		rec.error = 0;
	}
	pthread_mutex_unlock(&rec.lock);
	return error;
}

static const struct vhd_tap tap = {
	.write = tap_write,
	.change = tap_change,
	.sync_begin = tap_sync_begin,
	.sync_end = tap_sync_end,
	.fault = tap_fault,
};

void recorder_stop(void)
{
	size_t i;

	vhd_set_tap(NULL);
	rec.name = NULL;
	for (i = 0; i < rec.count; i++) {
		free(rec.event[i].data);
	}
	free(rec.event);
	rec.event = NULL;
	rec.count = rec.room = 0;
}

void recorder_start(const char *name)
{
	recorder_stop(); /* after a test that has failed */
	rec.name = name;
	rec.error = rec.failed = 0;
	vhd_set_tap(&tap);
}

void recorder_start_file(const char *name, int fd)
{
	struct event *e;
	off_t size = lseek(fd, 0, SEEK_END);

	recorder_start(name);
	e = append(WRITE, DISK, 0, (uint64_t)size);
	e->data = malloc((size_t)size);
	e->durable_at = 0;
	assert_int_equal(pread(fd, e->data, (size_t)size, 0), size);
	close(fd);
}

size_t recorder_position(void)
{
	return tap_sync_begin(NULL);
}

void recorder_fail(unsigned nth, int error)
{
	pthread_mutex_lock(&rec.lock);
	rec.fail_after = nth;
	rec.error = error;
	rec.failed = 0;
	pthread_mutex_unlock(&rec.lock);
}

int recorder_failed(void)
{
	return rec.failed;
}

/* ---- crashes ---- */

static uint32_t next_random(uint32_t *x)
{
	*x = *x * 1664525u + 1013904223u;
	return *x >> 16;
}

/* Part of a write: any of its sectors. */
static void apply_torn(int fd, const struct event *e, uint32_t *random)
{
	uint64_t at;

	for (at = 0; at < e->len; at += 512) {
		uint64_t n = e->len - at < 512 ? e->len - at : 512;

		if (next_random(random) % 2) {
			assert_int_equal(pwrite(fd, e->data + at, n,
						(off_t)(e->offset + at)),
					 n);
		}
	}
}

static void apply(int fd, const struct event *e)
{
	static const uint8_t zeroes[65536];
	uint64_t at, size = (uint64_t)lseek(fd, 0, SEEK_END);

	switch (e->kind) {
	case WRITE:
		assert_int_equal(pwrite(fd, e->data, e->len, (off_t)e->offset),
				 e->len);
		break;
	case TRUNCATE:
		assert_int_equal(ftruncate(fd, (off_t)e->offset), 0);
		break;
	case ZERO:
		for (at = e->offset; at < e->offset + e->len && at < size;) {
			uint64_t n = e->offset + e->len - at;

			n = n < sizeof(zeroes) ? n : sizeof(zeroes);
			n = n < size - at ? n : size - at;
			assert_int_equal(pwrite(fd, zeroes, n, (off_t)at), n);
			at += n;
		}
		break;
	case RESERVE:
		break;
	}
}

/*
 * What is durable comes first, in order; of the others each may be there, in
 * its turn among those that overlap it: a page holds what was written last or
 * what it held before.
 */
static void crash(size_t position, size_t settled, uint32_t seed,
		  const int fd[2])
{
	uint32_t random = seed * 2654435761u;
	size_t i;

	for (i = 0; i < position; i++) {
		const struct event *e = &rec.event[i];
		uint32_t choice;

		if (seed == 0 || e->durable_at <= settled) {
			apply(fd[e->file], e);
			continue;
		}
		choice = next_random(&random) % 3;
		if (choice == 0) {
			apply(fd[e->file], e);
		} else if (choice == 1 && e->kind == WRITE) {
			apply_torn(fd[e->file], e, &random);
		}
	}
}

static int crashed_file(void)
{
	int fd = memfd_create("crash", MFD_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

void recorder_kill(size_t position, const char *disk)
{
	int fd[2] = {
		open(disk, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600),
		crashed_file(),
	};
	size_t i;

	assert_true(fd[DISK] >= 0 && position <= rec.count);
	crash(position, position, 0, fd);
	close(fd[DISK]);
	close(fd[JOURNAL]);
	for (i = position; i < rec.count; i++) {
		free(rec.event[i].data);
	}
	rec.count = position;
	for (i = 0; i < position; i++) {
		if (rec.event[i].durable_at >= position) {
			rec.event[i].durable_at = SIZE_MAX;
		}
	}
}

static int crash_in_memory(size_t position, size_t settled, uint32_t seed)
{
	int fd[2] = {crashed_file(), crashed_file()};

	crash(position, settled, seed, fd);
	close(fd[JOURNAL]);
	return fd[DISK];
}

int recorder_crash(size_t position, uint32_t seed)
{
	return crash_in_memory(position, position, seed);
}

int recorder_crash_during(size_t position, uint32_t seed)
{
	return crash_in_memory(position, position - 1, seed);
}

void recorder_crash_at(size_t position, uint32_t seed, const char *disk,
		       const char *journal)
{
	int fd[2] = {
		open(disk, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600),
		open(journal, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600),
	};

	assert_true(fd[DISK] >= 0 && fd[JOURNAL] >= 0);
	crash(position, position, seed, fd);
	close(fd[DISK]);
	close(fd[JOURNAL]);
}
