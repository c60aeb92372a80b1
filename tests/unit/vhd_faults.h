/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Lets one call of the system on a file fail, or move fewer bytes than it
 * should: the n-th of those that are looked at.
 */
#ifndef VHD_FAULTS_H
#define VHD_FAULTS_H

#include <stdbool.h>
#include <stdint.h>

#include "vhd/tap.h"

#define FAULTS_ANY    ((1u << VHD_TAP_STEPS) - 1)
#define FAULTS_READ   (1u << VHD_TAP_STEP_READ)
#define FAULTS_WRITE  (1u << VHD_TAP_STEP_WRITE)
#define FAULTS_CHANGE (FAULTS_ANY & ~(FAULTS_READ | FAULTS_STAT | FAULTS_LOCK))
#define FAULTS_STAT   (1u << VHD_TAP_STEP_STAT)
#define FAULTS_LOCK   (1u << VHD_TAP_STEP_LOCK)

/* Of files that are opened from now on; none fails yet. */
void faults_start(void);
void faults_stop(void);

/* From now on only calls on the file of this name count; NULL: on all. */
void faults_only(const char *name);

/* The @nth (from 0) of the calls that @steps has (a bit each) fails with
 * @error. */
void faults_fail(unsigned steps, unsigned nth, int error);
/* All of them do, until faults_none(). */
void faults_fail_all(unsigned steps, int error);
/* The @nth read or write moves no more than @most bytes. */
void faults_short(unsigned nth, uint64_t most);
/* No more failures. */
void faults_none(void);
/* Has one failed, or been cut short? *@step: which */
bool faults_hit(enum vhd_tap_step *step);

#endif /* VHD_FAULTS_H */
