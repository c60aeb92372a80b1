/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Not for TSan: what replays is one thread, for minutes there.
 * builds: default asan
 */
/* The same with atomic writes: of each, all is there or nothing. */
#define CRASH_ATOMIC
#include "test_vhd_crash.c"
