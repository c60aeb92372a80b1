/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the block engine costs: 4 KiB and 256 KiB requests on files in the page
 * cache, through each format, beside plain pread and pwrite on the same file
 * system. Rounds are interleaved; medians are printed.
 *
 *	vhd_formats [FOLDER]
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "vhd/vhd.h"

#define MiB    (UINT64_C(1) << 20)
#define SIZE   (256 * MiB)
#define BATCH  32
#define ROUNDS 5

enum { RAW, FIXED, RAM, DYNAMIC, CHAIN, KINDS };

static const char *const kind_name[KINDS] = {
	"raw file, pread/pwrite", "fixed", "RAM disk", "dynamic",
	"differencing, 3 deep",
};

enum { RANDOM_READ, RANDOM_WRITE, READ_256K, WRITE_256K, WORKS };

static const struct {
	const char *name;
	uint64_t length;
	unsigned count;
	bool write, sequential;
} works[WORKS] = {
	{"4 KiB random read", 4096, 100000, false, false},
	{"4 KiB random write", 4096, 50000, true, false},
	{"256 KiB sequential read", 256 * 1024, 2048, false, true},
	{"256 KiB sequential write", 256 * 1024, 1024, true, true},
};

static TALLOC_CTX *mem;
static struct tevent_context *ev;
static struct vhd_io *io;
static const char *folder;
static unsigned under_way;

static void die(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(1);
}

static char *path_of(const char *name)
{
	return talloc_asprintf(mem, "%s/vhd-bench-%d-%s", folder, (int)getpid(),
			       name);
}

/* ---- disks ------------------------------------------------------- */

static int open_file(const char *name, int flags)
{
	int fd = open(path_of(name), flags | O_CLOEXEC, 0600);

	if (fd < 0) {
		die(name);
	}
	return fd;
}

static void check(int ret, const char *what)
{
	if (ret != 0) {
		errno = ret;
		die(what);
	}
}

static struct vhd_disk *open_disk(const char *name, uint32_t flags)
{
	struct vhd_disk *disk = NULL;
	struct tevent_req *req =
		vhd_open_send(mem, ev, open_file(name, O_RDWR), name, flags);

	tevent_req_poll(req, ev);
	check(vhd_open_recv(req, mem, &disk, NULL), name);
	return disk;
}

static void create(const char *name, struct vhd_create_params *params)
{
	struct tevent_req *req;

	params->size = SIZE;
	req = vhd_create_send(mem, ev, open_file(name, O_RDWR | O_CREAT), name,
			      params);
	tevent_req_poll(req, ev);
	check(vhd_create_recv(req, mem, NULL), name);
}

static struct vhd_disk *child_of(const char *name, const char *parent,
				 uint32_t flags)
{
	struct vhd_create_params params = {.type = VHD_TYPE_DIFFERENCING};
	struct vhd_disk *child, *p;
	struct vhd_info info;

	p = strcmp(parent, "c1") == 0 ? child_of("c1", "c0", VHD_OPEN_READONLY)
				      : open_disk(parent, VHD_OPEN_READONLY);
	vhd_disk_info(p, &info);
	memcpy(params.parent_id, info.unique_id, 16);
	params.parent_path = parent;
	create(name, &params);
	child = open_disk(name, flags);
	check(vhd_set_parent(child, p, VHD_PARENT_ANY_TIME, NULL), name);
	return child;
}

/* ---- requests ---------------------------------------------------- */

static void done(struct vhd_req *req)
{
	check(req->error, "request");
	under_way--;
}

static void run_disk(struct vhd_disk *disk, unsigned work, uint8_t *buf)
{
	static struct vhd_req reqs[BATCH];
	static struct iovec iov[BATCH];
	uint64_t length = works[work].length, at = 0;
	uint32_t random = 1;
	unsigned n, i;

	for (n = 0; n < works[work].count; n += BATCH) {
		for (i = 0; i < BATCH; i++) {
			random = random * 1664525u + 1013904223u;
			at = works[work].sequential
				     ? (at + length) % SIZE
				     : random % (SIZE / length) * length;
			iov[i] = (struct iovec){buf, length};
			reqs[i] = (struct vhd_req){
				.op = works[work].write ? VHD_WRITE : VHD_READ,
				.offset = at,
				.length = length,
				.iov = &iov[i],
				.iovcnt = 1,
				.done = done,
			};
			under_way++;
			if (vhd_submit(io, disk, &reqs[i])) {
				done(&reqs[i]);
			}
		}
		vhd_io_kick(io);
		while (under_way > 0) {
			tevent_loop_once(ev);
		}
	}
}

static void run_raw(int fd, unsigned work, uint8_t *buf)
{
	uint64_t length = works[work].length, at = 0;
	uint32_t random = 1;
	unsigned n;

	for (n = 0; n < works[work].count; n++) {
		ssize_t ret;

		random = random * 1664525u + 1013904223u;
		at = works[work].sequential ? (at + length) % SIZE
					    : random % (SIZE / length) * length;
		ret = works[work].write ? pwrite(fd, buf, length, (off_t)at)
					: pread(fd, buf, length, (off_t)at);
		if (ret != (ssize_t)length) {
			die("raw");
		}
	}
}

/* ---- figures ----------------------------------------------------- */

static double seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* User and system time of all threads, io_uring's workers with them. */
static double cpu(void)
{
	struct rusage ru;

	getrusage(RUSAGE_SELF, &ru);
	return (double)(ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) +
	       (double)(ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) / 1e6;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double median(double v[ROUNDS])
{
	qsort(v, ROUNDS, sizeof(*v), compare);
	return v[ROUNDS / 2];
}

static void fill(struct vhd_disk *disk, uint8_t *buf)
{
	/* 1024 sequential writes of 256 KiB cover all of it. */
	memset(buf, 0x5a, 256 * 1024);
	run_disk(disk, WRITE_256K, buf);
}

int main(int argc, char **argv)
{
	static double rate[WORKS][KINDS][ROUNDS], load[WORKS][KINDS][ROUNDS];
	static const char *const names[] = {"raw", "fixed", "dynamic",
					    "c0",  "c1",    "c2"};
	struct vhd_create_params params = {.type = VHD_TYPE_FIXED};
	struct vhd_disk *disk[KINDS];
	unsigned work, kind, round, i;
	uint8_t *buf;
	int raw;

	folder = argc > 1 ? argv[1] : "/var/tmp";
	mem = talloc_new(NULL);
	ev = tevent_context_init(mem);
	io = vhd_io_create(mem, ev, 128);
	buf = aligned_alloc(4096, 256 * 1024);
	if (io == NULL || buf == NULL) {
		die("set-up");
	}
	raw = open_file("raw", O_RDWR | O_CREAT);
	create("fixed", &params);
	disk[FIXED] = open_disk("fixed", 0);
	disk[RAM] = vhd_open_ram(mem, SIZE);
	params.type = VHD_TYPE_DYNAMIC;
	create("dynamic", &params);
	disk[DYNAMIC] = open_disk("dynamic", 0);
	create("c0", &params);
	disk[CHAIN] = child_of("c2", "c1", 0);
	run_raw(raw, WRITE_256K, buf);
	for (kind = FIXED; kind < KINDS; kind++) {
		fill(disk[kind], buf);
	}
	for (round = 0; round < ROUNDS; round++) {
		for (work = 0; work < WORKS; work++) {
			for (kind = 0; kind < KINDS; kind++) {
				double t = seconds(), c = cpu();

				if (kind == RAW) {
					run_raw(raw, work, buf);
				} else {
					run_disk(disk[kind], work, buf);
				}
				t = seconds() - t;
				c = cpu() - c;
				rate[work][kind][round] = works[work].count / t;
				load[work][kind][round] =
					c * 1e6 / works[work].count;
			}
		}
	}
	printf("%-26s %-24s %10s %10s %8s\n", "", "", "I/Os a s", "us CPU/IO",
	       "of raw");
	for (work = 0; work < WORKS; work++) {
		double base = median(rate[work][RAW]);

		for (kind = 0; kind < KINDS; kind++) {
			printf("%-26s %-24s %10.0f %10.2f %8.2f\n",
			       kind == 0 ? works[work].name : "",
			       kind_name[kind], median(rate[work][kind]),
			       median(load[work][kind]),
			       median(rate[work][kind]) / base);
		}
	}
	for (kind = FIXED; kind < KINDS; kind++) {
		vhd_close(disk[kind]);
	}
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		unlink(path_of(names[i]));
	}
	TALLOC_FREE(io);
	talloc_free(mem);
	return 0;
}
