/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "server/core/log.h"

/* Other threads ask for it (log_thread.c). */
static atomic_int max_level = LOG_INFO;
static void (*log_sink)(int level, const char *line);

void log_set_sink(void (*sink)(int level, const char *line))
{
	log_sink = sink;
}

void log_set_level(int level)
{
	max_level = level;
}

int log_level(void)
{
	return max_level;
}

/* A name that a client chose must not forge lines of the log. */
static void make_printable(char *line)
{
	for (unsigned char *p = (unsigned char *)line; *p != '\0'; p++) {
		if (*p < 0x20 || *p == 0x7f) {
			*p = '?';
		}
	}
}

void log_vmsg(int level, const char *fmt, va_list ap)
{
	char line[2048];

	if (level > max_level) {
		return;
	}
	vsnprintf(line, sizeof(line), fmt, ap);
	make_printable(line);
	if (log_sink != NULL) {
		log_sink(level, line);
	} else {
		fprintf(stderr, "%s\n", line);
	}
}

void log_msg(int level, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	log_vmsg(level, fmt, ap);
	va_end(ap);
}
