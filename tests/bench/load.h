/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Options and results of the load generators; LOAD_NAME is which one. */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/bench/measure.h"

static struct {
	const char *host, *port, *target, *initiator;
	unsigned sessions, depth, size;
	double seconds, warmup;
	bool write, sequential, hdigest, ddigest;
	unsigned logins; /* only log in and out, this often */
	bool hold;	 /* only open the sessions until stdin ends */
	pid_t pid;	 /* whose CPU time to tell */
	unsigned lun;
} opt = {
	.host = "127.0.0.1",
	.port = "3260",
	.initiator = "iqn.2026-01.org.example:bench",
	.sessions = 1,
	.depth = 32,
	.size = 4096,
	.seconds = 3,
	.warmup = 1,
};

static uint64_t random64(void)
{
	static uint64_t x = 0x9e3779b97f4a7c15;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return x;
}

static void print_logins(uint64_t start, uint64_t cpu)
{
	double s = (now_ns() - start) / 1e9;

	printf("{\"logins\": %u, \"seconds\": %.4f, \"per_second\": %.1f,"
	       " \"cpu_us\": %.2f}\n",
	       opt.logins, s, opt.logins / s,
	       (cpu_ns(opt.pid) - cpu) / 1e3 / opt.logins);
}

static void usage(void)
{
	fprintf(stderr,
		"usage: %s [-a HOST] [-p PORT] -t TARGET [-i NAME]\n"
		"  [-l LUN] [-s SESSIONS] [-q DEPTH] [-b BYTES] [-w] [-S]\n"
		"  [-H] [-D] [-T SECONDS] [-W WARMUP] [-P PID] [-L LOGINS] "
		"[-o]\n"
		"-w write, -S sequential, -H/-D header/data digests, -P whose "
		"CPU "
		"time to\ntell, -L only log in and out, -o only open the "
		"sessions until stdin ends\n",
		LOAD_NAME);
	exit(2);
}

static void parse_options(int argc, char **argv)
{
	int o;

	while ((o = getopt(argc, argv, "a:p:t:i:l:s:q:b:wSHDT:W:P:L:o")) > 0) {
		switch (o) {
		case 'a':
			opt.host = optarg;
			break;
		case 'p':
			opt.port = optarg;
			break;
		case 't':
			opt.target = optarg;
			break;
		case 'i':
			opt.initiator = optarg;
			break;
		case 'l':
			opt.lun = strtoul(optarg, NULL, 10);
			break;
		case 's':
			opt.sessions = strtoul(optarg, NULL, 10);
			break;
		case 'q':
			opt.depth = strtoul(optarg, NULL, 10);
			break;
		case 'b':
			opt.size = strtoul(optarg, NULL, 10);
			break;
		case 'w':
			opt.write = true;
			break;
		case 'S':
			opt.sequential = true;
			break;
		case 'H':
			opt.hdigest = true;
			break;
		case 'D':
			opt.ddigest = true;
			break;
		case 'T':
			opt.seconds = strtod(optarg, NULL);
			break;
		case 'W':
			opt.warmup = strtod(optarg, NULL);
			break;
		case 'P':
			opt.pid = strtoul(optarg, NULL, 10);
			break;
		case 'o':
			opt.hold = true;
			break;
		case 'L':
			opt.logins = strtoul(optarg, NULL, 10);
			break;
		default:
			usage();
		}
	}
	if (opt.target == NULL || opt.sessions == 0 || opt.depth == 0 ||
	    opt.size == 0 || optind != argc) {
		usage();
	}
	if (opt.pid == 0) {
		opt.pid = getpid();
	}
}

#endif /* BENCH_LOAD_H */
