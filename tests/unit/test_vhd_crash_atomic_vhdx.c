/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Not for TSan: what replays is one thread, for minutes there.
 * builds: default asan
 */
#define CRASH_VHDX
#define CRASH_ATOMIC
#include "test_vhd_crash.c"
