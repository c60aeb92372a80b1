/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What files cost: creation of written-out disks beside fallocate and dd, and
 * what 4 KiB writes cost in them afterwards; time and memory to open a dynamic
 * disk of 2040 GiB with all its blocks, and many fixed disks at once.
 *
 *	vhd_files [-m MiB] [-n DISKS] [-r ROUNDS] [FOLDER]
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "vhd/bytes.h"
#include "vhd/vhd.h"

#define MiB	   (UINT64_C(1) << 20)
#define ROUNDS_MAX 31
#define WRITES	   30000

static TALLOC_CTX *mem;
static struct tevent_context *ev;
static const char *folder = "/var/tmp";
static unsigned rounds = 3;

static void die(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(1);
}

static char *path_of(const char *name)
{
	return talloc_asprintf(mem, "%s/vhd-files-%d-%s", folder, (int)getpid(),
			       name);
}

static double seconds(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* Sorts; the middle one. */
static double median(double *v)
{
	qsort(v, rounds, sizeof(*v), compare);
	return v[rounds / 2];
}

/* Anonymous memory of this process, KiB. */
static long memory(void)
{
	char line[256];
	long kib = 0;
	FILE *f = fopen("/proc/self/status", "r");

	while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
		if (sscanf(line, "RssAnon: %ld", &kib) == 1) {
			break;
		}
	}
	fclose(f);
	return kib;
}

static void create(const char *path, struct vhd_create_params params)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600), ret;
	struct tevent_req *req;

	if (fd < 0) {
		die(path);
	}
	req = vhd_create_send(mem, ev, fd, path, &params);
	tevent_req_poll(req, ev);
	ret = vhd_create_recv(req, mem, NULL);
	talloc_free(req);
	if (ret != 0) {
		errno = ret;
		die(path);
	}
}

static struct vhd_disk *open_disk(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC), ret;
	struct vhd_disk *disk = NULL;
	struct tevent_req *req;

	if (fd < 0) {
		die(path);
	}
	req = vhd_open_send(mem, ev, fd, path, 0);
	tevent_req_poll(req, ev);
	ret = vhd_open_recv(req, mem, &disk, NULL);
	talloc_free(req);
	if (ret != 0) {
		errno = ret;
		die(path);
	}
	return disk;
}

/* ---- creation ---- */

enum { ENGINE, DD, DD_DIRECT, WAYS };

static const char *const way_name[WAYS] = {
	"written out by the engine",
	"fallocate, dd bs=1M conv=fsync",
	"fallocate, dd bs=4M oflag=direct",
};

static void make(unsigned way, const char *path, uint64_t size)
{
	struct vhd_create_params params = {.type = VHD_TYPE_FIXED,
					   .size = size};
	const char *command;

	if (way == ENGINE) {
		create(path, params);
		return;
	}
	command = talloc_asprintf(
		mem,
		"fallocate -l %llu %s && dd if=/dev/zero of=%s bs=%uM "
		"count=%llu conv=notrunc,fsync %s status=none",
		(unsigned long long)size, path, path, way == DD ? 1 : 4,
		(unsigned long long)(size / MiB) / (way == DD ? 1 : 4),
		way == DD ? "" : "oflag=direct");
	if (system(command) != 0) {
		die("dd");
	}
}

/* CPU time of a 4 KiB write at random, us. */
static double write_cost(const char *path, uint64_t size)
{
	static uint8_t buf[4096];
	int fd = open(path, O_RDWR | O_CLOEXEC);
	double cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
	uint32_t random = 1;
	unsigned i;

	for (i = 0; i < WRITES; i++) {
		random = random * 1664525u + 1013904223u;
		if (pwrite(fd, buf, sizeof(buf),
			   (off_t)(random % (size / 4096) * 4096)) !=
		    (ssize_t)sizeof(buf)) {
			die(path);
		}
	}
	cpu = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	close(fd);
	return cpu * 1e6 / WRITES;
}

static void creation(uint64_t size)
{
	double time[WAYS][ROUNDS_MAX], cost[WAYS][ROUNDS_MAX];
	char *path = path_of("created");
	unsigned round, i;

	for (round = 0; round < rounds; round++) {
		for (i = 0; i < WAYS; i++) {
			unsigned way = (i + round) % WAYS;
			double start = seconds(CLOCK_MONOTONIC);

			make(way, path, size);
			time[way][round] = seconds(CLOCK_MONOTONIC) - start;
			cost[way][round] = write_cost(path, size);
			unlink(path);
		}
	}
	printf("Creation of %llu MiB, median of %u\n",
	       (unsigned long long)(size / MiB), rounds);
	for (i = 0; i < WAYS; i++) {
		double t = median(time[i]);

		printf("  %-34s %6.2f s %7.0f MB/s; 4 KiB writes then %6.2f us "
		       "CPU\n",
		       way_name[i], t, (double)size / t / 1e6, median(cost[i]));
	}
}

/* ---- a large dynamic disk ---- */

/* Give all blocks a place, as holes. */
static void fill_table(const char *path, uint64_t blocks)
{
	uint32_t *table = malloc(blocks * 4);
	uint8_t header[1024], footer[512];
	int fd = open(path, O_RDWR | O_CLOEXEC);
	uint64_t at, i, first = 16384;

	if (pread(fd, header, sizeof(header), 512) != sizeof(header) ||
	    pread(fd, footer, sizeof(footer), 0) != sizeof(footer)) {
		die(path);
	}
	for (i = 0; i < blocks; i++) {
		table[i] = htobe32((uint32_t)(first - 1 + i * (4096 + 8)));
	}
	at = (first + blocks * (4096 + 8)) * 512;
	if (pwrite(fd, table, blocks * 4, (off_t)get_be64(header + 16)) !=
		    (ssize_t)(blocks * 4) ||
	    pwrite(fd, footer, sizeof(footer), (off_t)at) != 512) {
		die(path);
	}
	close(fd);
	free(table);
}

static void large(void)
{
	struct vhd_create_params params = {.type = VHD_TYPE_DYNAMIC,
					   .size = VHD_MAX_SIZE};
	double time[ROUNDS_MAX];
	char *path = path_of("large");
	struct vhd_disk *disk;
	long before = 0, after = 0;
	unsigned round;

	create(path, params);
	fill_table(path, VHD_MAX_SIZE / (2 * MiB));
	for (round = 0; round < rounds; round++) {
		double start = seconds(CLOCK_MONOTONIC);

		before = memory();
		disk = open_disk(path);
		time[round] = seconds(CLOCK_MONOTONIC) - start;
		after = memory();
		vhd_close(disk);
	}
	printf("Dynamic disk of 2040 GiB, 1,044,480 blocks: open %.1f ms, "
	       "%.1f MiB\n",
	       median(time) * 1000, (double)(after - before) / 1024);
	unlink(path);
}

/* ---- many disks ---- */

static void many(unsigned count)
{
	struct vhd_create_params params = {
		.type = VHD_TYPE_FIXED, .size = 64 * MiB, .sparse = true};
	struct vhd_disk **disk = talloc_array(mem, struct vhd_disk *, count);
	struct rlimit limit = {count + 100, count + 100};
	char **path = talloc_array(mem, char *, count);
	double start;
	long before;
	unsigned i;

	if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
		printf("%u open disks: not measured, no limit of so many "
		       "descriptors to be had\n",
		       count);
		return;
	}
	for (i = 0; i < count; i++) {
		char name[32];

		snprintf(name, sizeof(name), "m%u", i);
		path[i] = path_of(name);
		create(path[i], params);
	}
	before = memory();
	start = seconds(CLOCK_MONOTONIC);
	for (i = 0; i < count; i++) {
		disk[i] = open_disk(path[i]);
	}
	printf("%u open fixed disks: %.0f us each to open, %.2f KiB each\n",
	       count, (seconds(CLOCK_MONOTONIC) - start) * 1e6 / count,
	       (double)(memory() - before) / count);
	for (i = 0; i < count; i++) {
		vhd_close(disk[i]);
		unlink(path[i]);
	}
}

int main(int argc, char **argv)
{
	unsigned megabytes = 1024, count = 10000;
	int c;

	while ((c = getopt(argc, argv, "m:n:r:")) != -1) {
		unsigned value = (unsigned)strtoul(optarg, NULL, 0);

		switch (c) {
		case 'm':
			megabytes = value;
			break;
		case 'n':
			count = value;
			break;
		case 'r':
			rounds = value < ROUNDS_MAX ? value : ROUNDS_MAX;
			break;
		default:
			return 2;
		}
	}
	if (optind < argc) {
		folder = argv[optind];
	}
	mem = talloc_new(NULL);
	ev = tevent_context_init(mem);
	creation(megabytes * MiB);
	large();
	many(count);
	talloc_free(mem);
	return 0;
}
