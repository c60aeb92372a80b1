/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the block engine costs: 4 KiB and 256 KiB requests on files in the page
 * cache, through each format, beside a raw file through the same engine and
 * plain pread and pwrite on the same file system. Rounds are interleaved; the
 * ratios to the raw file are taken within each round; medians are printed.
 *
 *	vhd_formats [-f FILL] [-r ROUNDS] [-w WORK] [-k KINDS] [FOLDER]
 *
 * FILL: the size of the writes that fill the files beforehand, 4096 unless
 * told: the page cache keeps a file in pieces as large as these writes
 * (docs/performance.md, Folios). WORK: only this one (from 0). KINDS: only
 * these, a bit each. The two are for profilers.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "vhd/private.h"

#define MiB	   (UINT64_C(1) << 20)
#define SIZE	   (256 * MiB)
#define BATCH	   32
#define ROUNDS_MAX 101

enum { PLAIN, RAW, FIXED, DYNAMIC, CHAIN, SPREAD, RAM, VHDX, KINDS };

static const char *const kind_name[KINDS] = {
	"pread, pwrite",
	"raw file",
	"fixed",
	"dynamic",
	"3 deep, all in the child",
	"3 deep, a third in each",
	"RAM disk",
	"dynamic VHDX",
};

enum {
	RANDOM_READ,
	RANDOM_WRITE,
	READ_4K,
	WRITE_4K,
	READ_256K,
	WRITE_256K,
	WORKS,
	FILLING = WORKS
};

static struct {
	const char *name;
	uint64_t length;
	unsigned count;
	bool write, sequential;
} works[WORKS + 1] = {
	{"4 KiB random read", 4096, 50000, false, false},
	{"4 KiB random write", 4096, 50000, true, false},
	{"4 KiB sequential read", 4096, 50000, false, true},
	{"4 KiB sequential write", 4096, 50000, true, true},
	{"256 KiB sequential read", 256 * 1024, 1024, false, true},
	{"256 KiB sequential write", 256 * 1024, 1024, true, true},
	{"filling", 4096, SIZE / 4096, true, true},
};

static unsigned rounds = 7;

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

/* ---- disks ---- */

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

/* A file without any format, behind the same API. */
static struct vhd_disk *open_raw(const char *name)
{
	char why[VHD_WHY_MAX];
	struct vhd_file *file;
	struct vhd_disk *disk;

	file = vhd_file_open(open_file(name, O_RDWR), name, false, why,
			     sizeof(why));
	disk = vhd_disk_new(mem, &vhd_fixed_ops, VHD_TYPE_FIXED, SIZE);
	if (file == NULL || disk == NULL) {
		die(name);
	}
	disk->file = file;
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

static struct vhd_disk *child_of(const char *name, struct vhd_disk *parent,
				 uint32_t flags)
{
	struct vhd_create_params params = {.type = VHD_TYPE_DIFFERENCING};
	struct vhd_disk *child;
	struct vhd_info info;

	vhd_disk_info(parent, &info);
	memcpy(params.parent_id, info.unique_id, 16);
	params.parent_path = "parent.vhd";
	create(name, &params);
	child = open_disk(name, flags);
	check(vhd_set_parent(child, parent, VHD_PARENT_ANY_TIME, NULL), name);
	return child;
}

/* ---- requests ---- */

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

static void run_plain(int fd, unsigned work, uint8_t *buf)
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
			die("plain");
		}
	}
}

/* ---- figures ---- */

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

static double median(double v[ROUNDS_MAX])
{
	qsort(v, rounds, sizeof(*v), compare);
	return v[rounds / 2];
}

static double rate[WORKS][KINDS][ROUNDS_MAX], load[WORKS][KINDS][ROUNDS_MAX];

static void measure(unsigned work, unsigned kind, unsigned round,
		    struct vhd_disk *disk, int fd, uint8_t *buf)
{
	double t = seconds(), c = cpu();

	if (kind == PLAIN) {
		run_plain(fd, work, buf);
	} else {
		run_disk(disk, work, buf);
	}
	rate[work][kind][round] = works[work].count / (seconds() - t);
	load[work][kind][round] = (cpu() - c) * 1e6 / works[work].count;
}

/* Within each round, then the median. */
static double ratio(double (*v)[ROUNDS_MAX], unsigned kind)
{
	double r[ROUNDS_MAX];
	unsigned i;

	for (i = 0; i < rounds; i++) {
		r[i] = v[RAW][i] > 0 ? v[kind][i] / v[RAW][i] : 0;
	}
	return median(r);
}

/* Writes would move all data into the child. */
static bool wanted(unsigned work, unsigned kind, unsigned kinds)
{
	return kinds & 1u << kind && !(kind == SPREAD && works[work].write);
}

static void print_work(unsigned work, unsigned kinds)
{
	double of_rate[KINDS], of_load[KINDS];
	unsigned kind;

	for (kind = 0; kind < KINDS; kind++) {
		of_rate[kind] = ratio(rate[work], kind);
		of_load[kind] = ratio(load[work], kind);
	}
	printf("%s\n", works[work].name);
	for (kind = 0; kind < KINDS; kind++) {
		if (wanted(work, kind, kinds)) {
			printf("  %-24s %10.0f %10.2f %8.2f %8.2f\n",
			       kind_name[kind], median(rate[work][kind]),
			       median(load[work][kind]), of_rate[kind],
			       of_load[kind]);
		}
	}
}

/* Every third block of the disk, from @first on. */
static void fill_third(struct vhd_disk *disk, unsigned first, uint8_t *buf)
{
	uint64_t at, length = works[FILLING].length;
	struct iovec iov = {buf, length};
	unsigned block;

	for (block = first; block < SIZE / (2 * MiB); block += 3) {
		for (at = 0; at < 2 * MiB; at += length) {
			struct vhd_req req = {
				.op = VHD_WRITE,
				.offset = block * 2 * MiB + at,
				.length = length,
				.iov = &iov,
				.iovcnt = 1,
				.done = done,
			};

			under_way++;
			if (vhd_submit(io, disk, &req)) {
				done(&req);
			}
			vhd_io_kick(io);
			while (under_way > 0) {
				tevent_loop_once(ev);
			}
		}
	}
}

/* A dynamic disk and two children, each with a third of the data. */
static struct vhd_disk *make_spread(uint8_t *buf)
{
	struct vhd_create_params params = {.type = VHD_TYPE_DYNAMIC};
	struct vhd_disk *disk;

	create("s0", &params);
	disk = open_disk("s0", 0);
	fill_third(disk, 0, buf);
	vhd_close(disk);
	disk = child_of("s1", open_disk("s0", VHD_OPEN_READONLY), 0);
	fill_third(disk, 1, buf);
	vhd_close(disk);
	disk = open_disk("s1", VHD_OPEN_READONLY);
	check(vhd_set_parent(disk, open_disk("s0", VHD_OPEN_READONLY),
			     VHD_PARENT_ANY_TIME, NULL),
	      "s1");
	disk = child_of("s2", disk, 0);
	fill_third(disk, 2, buf);
	return disk;
}

static void make_disks(struct vhd_disk *disk[KINDS], int *plain, uint8_t *buf)
{
	struct vhd_create_params params = {.type = VHD_TYPE_FIXED};

	*plain = open_file("plain", O_RDWR | O_CREAT);
	close(open_file("raw", O_RDWR | O_CREAT));
	disk[RAW] = open_raw("raw");
	create("fixed", &params);
	disk[FIXED] = open_disk("fixed", 0);
	disk[RAM] = vhd_open_ram(mem, SIZE);
	params.type = VHD_TYPE_DYNAMIC;
	create("dynamic", &params);
	disk[DYNAMIC] = open_disk("dynamic", 0);
	params.format = VHD_FORMAT_VHDX;
	create("vhdx", &params);
	disk[VHDX] = open_disk("vhdx", 0);
	params.format = VHD_FORMAT_VHD;
	create("c0", &params);
	disk[CHAIN] = child_of("c1", open_disk("c0", VHD_OPEN_READONLY),
			       VHD_OPEN_READONLY);
	disk[CHAIN] = child_of("c2", disk[CHAIN], 0);
	disk[SPREAD] = make_spread(buf);
}

static void remove_disks(struct vhd_disk *disk[KINDS])
{
	static const char *const names[] = {"plain", "raw", "fixed", "dynamic",
					    "c0",    "c1",  "c2",    "s0",
					    "s1",    "s2",  "vhdx"};
	unsigned i;

	for (i = RAW; i < KINDS; i++) {
		vhd_close(disk[i]);
	}
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		unlink(path_of(names[i]));
	}
}

int main(int argc, char **argv)
{
	unsigned first = 0, last = WORKS - 1, kinds = (1u << KINDS) - 1;
	unsigned work, kind, round;
	struct vhd_disk *disk[KINDS] = {NULL};
	uint8_t *buf;
	int c, plain;

	while ((c = getopt(argc, argv, "f:r:w:k:")) != -1) {
		unsigned value = (unsigned)strtoul(optarg, NULL, 0);

		switch (c) {
		case 'f':
			works[FILLING].length = value;
			works[FILLING].count = (unsigned)(SIZE / value);
			break;
		case 'r':
			rounds = value < ROUNDS_MAX ? value : ROUNDS_MAX;
			break;
		case 'w':
			first = last = value < WORKS ? value : 0;
			break;
		case 'k':
			kinds = value;
			break;
		default:
			return 2;
		}
	}
	folder = optind < argc ? argv[optind] : "/var/tmp";
	mem = talloc_new(NULL);
	ev = tevent_context_init(mem);
	io = vhd_io_create(mem, ev, 128);
	buf = aligned_alloc(4096, 1 << 20);
	if (io == NULL || buf == NULL) {
		die("set-up");
	}
	memset(buf, 0x5a, 1 << 20);
	make_disks(disk, &plain, buf);
	for (kind = 0; kind < KINDS; kind++) {
		if (kind == PLAIN) {
			run_plain(plain, FILLING, buf);
		} else if (wanted(FILLING, kind, kinds)) {
			run_disk(disk[kind], FILLING, buf);
		}
	}
	for (round = 0; round < rounds; round++) {
		for (work = first; work <= last; work++) {
			for (kind = 0; kind < KINDS; kind++) {
				unsigned k = (kind + round) % KINDS;

				if (wanted(work, k, kinds)) {
					measure(work, k, round, disk[k], plain,
						buf);
				}
			}
		}
	}
	printf("%-26s %10s %10s %8s %8s\n", "", "I/Os a s", "us CPU/IO",
	       "rate :raw", "CPU :raw");
	for (work = first; work <= last; work++) {
		print_work(work, kinds);
	}
	remove_disks(disk);
	TALLOC_FREE(io);
	talloc_free(mem);
	return 0;
}
