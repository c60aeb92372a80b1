/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Time, latency percentiles and CPU time, the same for all load generators. */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>

static inline uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

/* 32 buckets for each power of two of nanoseconds: 3 % wide. */
#define SUB 64
static uint64_t histogram[64 * SUB];
static uint64_t samples;

static inline void latency_add(uint64_t ns)
{
	unsigned exp = ns < SUB ? 0 : 63 - __builtin_clzll(ns) - 5;
	unsigned idx = ns < SUB ? ns : (ns >> exp) - SUB / 2;

	histogram[exp * (SUB / 2) + (ns < SUB ? 0 : SUB / 2) + idx]++;
	samples++;
}

static inline void latency_reset(void)
{
	memset(histogram, 0, sizeof(histogram));
	samples = 0;
}

static inline double latency_us(double fraction)
{
	uint64_t want = samples * fraction, seen = 0;
	unsigned i;

	for (i = 0; i < 64 * SUB; i++) {
		seen += histogram[i];
		if (seen > want) {
			break;
		}
	}
	if (i < SUB) {
		return i / 1e3;
	}
	/* the inverse of latency_add() */
	{
		unsigned exp = (i - SUB) / (SUB / 2) + 1;
		uint64_t mantissa = (i - SUB) % (SUB / 2) + SUB / 2;

		return (double)(mantissa << exp) / 1e3;
	}
}

/* A process's time on a CPU in ns, that of its ended threads included (what
 * /proc/PID/stat tells in ticks of 10 ms, exact). */
static inline uint64_t cpu_ns(pid_t pid)
{
	struct timespec ts;
	clockid_t clock;

	if (clock_getcpuclockid(pid, &clock) != 0 ||
	    clock_gettime(clock, &ts) != 0) {
		return 0;
	}
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

/* The result that the driver reads; the one line on stdout. */
static inline void print_load(uint64_t completed, uint64_t errors,
			      double seconds, unsigned size, uint64_t target_ns,
			      uint64_t own_ns)
{
	double ios = completed > 0 ? completed : 1;

	printf("{\"iops\": %.0f, \"mb_s\": %.1f, \"cpu_us\": %.3f,"
	       " \"own_cpu_us\": %.3f, \"p50\": %.1f, \"p99\": %.1f,"
	       " \"p999\": %.1f, \"errors\": %llu}\n",
	       completed / seconds, completed / seconds * size / 1e6,
	       target_ns / 1e3 / ios, own_ns / 1e3 / ios, latency_us(0.5),
	       latency_us(0.99), latency_us(0.999), (unsigned long long)errors);
}

#endif /* BENCH_MEASURE_H */
