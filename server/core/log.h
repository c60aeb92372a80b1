/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The daemon's log. Samba's own debug system needs private libraries, which
 * only server/auth may touch; so everyone logs here and auth/ connects the
 * sink to Samba. Until then, and in unit tests, lines go to stderr.
 *
 * Main thread only, but for log_level(); log_thread.h has what other threads
 * use. Never log a secret.
 */
#ifndef ISTM_LOG_H
#define ISTM_LOG_H

#include <stdarg.h>

/* Samba's debug levels, as the project uses them. */
#define LOG_ERROR   0 /* the administrator has to act */
#define LOG_WARNING 1 /* something was refused or failed */
#define LOG_AUDIT   1 /* a call that changes state */
#define LOG_INFO    3 /* what the daemon does */
#define LOG_DEBUG   5
#define LOG_TRACE   10

/* One line without line end. */
void log_msg(int level, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void log_vmsg(int level, const char *fmt, va_list ap);

/* Where lines go. NULL: stderr again. */
void log_set_sink(void (*sink)(int level, const char *line));

/* Lines above this level are dropped (default LOG_INFO). */
void log_set_level(int level);
int log_level(void);

#endif /* ISTM_LOG_H */
