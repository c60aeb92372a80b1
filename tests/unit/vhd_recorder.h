/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Records every change that the engine makes to one file and to its journal,
 * and builds the file as a crash at any point might leave it: what a flush had
 * made durable is there; of what came after it any part may be there, in any
 * order, torn between sectors. Or as a kill leaves it, and after that a power
 * failure.
 */
#ifndef VHD_RECORDER_H
#define VHD_RECORDER_H

#include <stddef.h>
#include <stdint.h>

/* Record the files of this name, and their journals, that are opened from now
 * on. */
void recorder_start(const char *name);
/* The same of a file that is there already, and stable; takes @fd. */
void recorder_start_file(const char *name, int fd);
void recorder_stop(void);
/* How many changes so far. */
size_t recorder_position(void);

/*
 * The file after a crash when @position changes had been made, as a memfd.
 * @param seed  0: all of them are there; else chooses which of those that no
 *              flush has made durable
 */
int recorder_crash(size_t position, uint32_t seed);
/* The same in the middle of the last change, if it was a durable one, or of
 * the flushes after it: what they were to make durable may be there or not. */
int recorder_crash_during(size_t position, uint32_t seed);

/* The same, and the journal beside it, under these names. */
void recorder_crash_at(size_t position, uint32_t seed, const char *disk,
		       const char *journal);

/*
 * The process is killed when @position changes had been made: the kernel has
 * them all, and @disk is written as the next opener sees it; the medium has
 * what a flush had made durable before the last of them. The record goes on
 * from there: crashes from now on are of the power, after whatever has been
 * done since.
 */
void recorder_kill(size_t position, const char *disk);

/* Fail the @nth step (from 0) from now on with @error; forget: 0. */
void recorder_fail(unsigned nth, int error);
/* Has it failed? */
int recorder_failed(void);

#endif /* VHD_RECORDER_H */
