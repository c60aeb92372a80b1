/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Log lines of other threads: queued, and written by the main loop, as Samba's
 * log is for the main thread alone.
 */
#ifndef ISTM_CORE_LOG_THREAD_H
#define ISTM_CORE_LOG_THREAD_H

#include <stdbool.h>
#include <talloc.h>
#include <tevent.h>

/* Main thread, once. False without memory or descriptors. talloc_free() of
 * @mem_ctx writes what is left. */
bool log_threads_start(TALLOC_CTX *mem_ctx, struct tevent_context *ev);

/* Any thread; on the main thread as log_msg(). Lines are dropped, and counted,
 * when more wait than the main loop can write. */
void log_from_thread(int level, const char *line);

#endif /* ISTM_CORE_LOG_THREAD_H */
