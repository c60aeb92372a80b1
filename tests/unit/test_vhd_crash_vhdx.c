/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The same on VHDX files; a program of its own, since it takes as long again.
 */
#define CRASH_VHDX
#include "test_vhd_crash.c"
