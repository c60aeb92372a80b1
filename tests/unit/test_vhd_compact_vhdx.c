/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Not for TSan: one thread, and long there.
 * builds: default clang asan
 */
/* The same on VHDX files. */
#define COMPACT_VHDX
#include "test_vhd_compact.c"
