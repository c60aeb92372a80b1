/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Paths as clients write them: Windows syntax, or absolute Unix paths. Only
 * the syntax; what a path names is decided in volumes.c. Pure functions on
 * hostile input.
 */
#ifndef ISTM_MODEL_PATH_H
#define ISTM_MODEL_PATH_H

#include <stdbool.h>
#include <stddef.h>
#include <talloc.h>
#include <util/data_blob.h>
#include <gen_ndr/misc.h>

#define PATH_MAX_BYTES	    4000
#define PATH_MAX_COMPONENTS 128

enum path_root {
	PATH_DRIVE,  /* X:\ or \\?\X:\ */
	PATH_VOLUME, /* \\?\Volume{GUID}\ */
	PATH_UNIX,   /* /dir/file: the components are from the root on */
};

struct path {
	enum path_root root;
	char drive; /* upper case */
	struct GUID volume;
	char **components;
	size_t num_components;
	/* Ends with a separator: names a directory. */
	bool trailing_separator;
};

/* May the last component be a pattern (* and ?)? */
#define PATH_PATTERN 0x1u

/*
 * @param reason for the log, static
 * @return NULL when @text is no path: relative, UNC, with a stream, "..", a
 *         device's name, characters that Windows does not allow, not UTF-8
 */
struct path *path_parse(TALLOC_CTX *mem_ctx, const char *text, unsigned flags,
			const char **reason);

/* Could a client write this file name? What it cannot is not listed. */
bool path_component_valid(const char *component, unsigned flags,
			  const char **reason);

/* FindFirstFile's patterns; case-insensitive. */
bool path_match(const char *pattern, const char *name);

#endif /* ISTM_MODEL_PATH_H */
