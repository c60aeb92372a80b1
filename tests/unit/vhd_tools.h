/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Programs that others wrote, run in the test's folder. */
#ifndef VHD_TOOLS_H
#define VHD_TOOLS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vhd_helpers.h"

static inline bool have(const char *program)
{
	char command[100];

	snprintf(command, sizeof(command), "command -v %s >/dev/null", program);
	return system(command) == 0;
}

/* @return the shell's status */
static inline int run(struct vt *vt, char *output, size_t len,
		      const char *command)
{
	char *line = talloc_asprintf(vt->mem, "cd %s && { %s; } 2>&1", vt->dir,
				     command);
	FILE *f = popen(line, "r");
	size_t n;

	assert_non_null(f);
	n = fread(output, 1, len - 1, f);
	output[n] = '\0';
	return pclose(f);
}

static inline void must(struct vt *vt, const char *command)
{
	char output[4096];

	if (run(vt, output, sizeof(output), command) != 0) {
		fail_msg("%s: %s", command, output);
	}
}

static inline void must_say(struct vt *vt, const char *command,
			    const char *what)
{
	char output[4096];

	if (run(vt, output, sizeof(output), command) != 0 ||
	    strstr(output, what) == NULL) {
		fail_msg("%s: no \"%s\" in: %s", command, what, output);
	}
}

#endif /* VHD_TOOLS_H */
