/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Where the engine's messages go. */

#include <stdarg.h>

#include "vhd/private.h"

static _Atomic(void (*)(int, const char *)) sink;

void vhd_set_log(void (*log)(int level, const char *message))
{
	atomic_store(&sink, log);
}

void vhd_log(int level, const char *fmt, ...)
{
	void (*log)(int, const char *) = atomic_load(&sink);
	char message[512];
	va_list ap;

	if (log == NULL) {
		return;
	}
	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	log(level, message);
}
