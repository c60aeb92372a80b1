/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Not for TSan: what replays is one thread, for minutes there.
 * builds: default clang asan
 */
/* The same on VHDX files; a program of its own, since it takes as long again.
 */
#define CRASH_VHDX
#include "test_vhd_crash.c"
