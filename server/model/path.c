/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <ctype.h>
#include <string.h>
#include <strings.h>
#include <ndr.h>

#include "server/core/utf8.h"
#include "server/model/path.h"

static bool is_separator(char c)
{
	return c == '\\' || c == '/';
}

/*
 * Names that Windows takes for devices in every directory, with any
 * extension: "NUL.vhd" is NUL.
 */
static bool is_device(const char *name)
{
	static const char *const names[] = {"CON",    "PRN",	"AUX",
					    "NUL",    "CONIN$", "CONOUT$",
					    "CLOCK$", "COM",	"LPT"};
	/* Superscript one, two and three count as digits here. */
	static const char *const digits[] = {
		"1", "2", "3", "4",	   "5",	       "6",	  "7",
		"8", "9", "0", "\xc2\xb9", "\xc2\xb2", "\xc2\xb3"};
	size_t len = strcspn(name, ".");

	while (len > 0 && name[len - 1] == ' ') {
		len--;
	}
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		size_t n = strlen(names[i]);

		if (len < n || strncasecmp(name, names[i], n) != 0) {
			continue;
		}
		if (i < 7) {
			if (len == n) {
				return true;
			}
			continue;
		}
		for (size_t d = 0; d < sizeof(digits) / sizeof(digits[0]);
		     d++) {
			if (len - n == strlen(digits[d]) &&
			    strncmp(name + n, digits[d], len - n) == 0) {
				return true;
			}
		}
	}
	return false;
}

bool path_component_valid(const char *name, unsigned flags, const char **reason)
{
	size_t len = strlen(name);

	*reason = NULL;
	if (!utf8_valid(name)) {
		*reason = "not UTF-8";
	} else if (len == 0 || len > 255 || utf8_utf16_units(name) > 255) {
		*reason = "a component is empty or too long";
	} else if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
		*reason = "has a component \".\" or \"..\"";
	} else if ((flags & PATH_PATTERN) == 0 && strpbrk(name, "*?") != NULL) {
		*reason = "has a wildcard";
	} else if (strchr(name, ':') != NULL) {
		*reason = "names an alternate stream";
	} else if (strpbrk(name, "\\/<>\"|") != NULL) {
		*reason = "has a character that no file name may have";
	} else if (((flags & PATH_PATTERN) == 0 && name[len - 1] == '.') ||
		   name[len - 1] == ' ') {
		/* Windows drops these: two spellings of one file. */
		*reason = "a component ends in a dot or a space";
	} else if (is_device(name)) {
		*reason = "names a device";
	}
	for (size_t i = 0; i < len && *reason == NULL; i++) {
		if ((unsigned char)name[i] < 0x20 || name[i] == 0x7f) {
			*reason = "has a control character";
		}
	}
	return *reason == NULL;
}

/* \\?\Volume{01234567-89ab-…}\ */
static const char *parse_volume(const char *p, struct path *path)
{
	char guid[37];

	if (strncasecmp(p, "Volume{", 7) != 0 || strlen(p) < 7 + 36 + 1 ||
	    p[7 + 36] != '}') {
		return NULL;
	}
	memcpy(guid, p + 7, 36);
	guid[36] = '\0';
	if (!NT_STATUS_IS_OK(GUID_from_string(guid, &path->volume))) {
		return NULL;
	}
	path->root = PATH_VOLUME;
	return p + 7 + 36 + 1;
}

/* What stands before the components. @return where they begin, or NULL */
static const char *parse_root(const char *p, struct path *path,
			      const char **reason)
{
	if (strncmp(p, "\\\\?\\", 4) == 0) {
		p += 4;
		if (strncasecmp(p, "UNC\\", 4) == 0) {
			*reason = "is a UNC path";
			return NULL;
		}
		if (strncasecmp(p, "Volume{", 7) == 0) {
			p = parse_volume(p, path);
			if (p == NULL || (*p != '\0' && !is_separator(*p))) {
				*reason = "its volume is malformed";
				return NULL;
			}
			return p;
		}
	}
	if (isalpha((unsigned char)p[0]) && p[1] == ':') {
		path->root = PATH_DRIVE;
		path->drive = toupper((unsigned char)p[0]);
		p += 2;
		if (*p != '\0' && !is_separator(*p)) {
			*reason = "is relative to its drive";
			return NULL;
		}
		return p;
	}
	if (is_separator(p[0]) && is_separator(p[1])) {
		*reason = "is a UNC or device path";
		return NULL;
	}
	if (p[0] == '/') {
		path->root = PATH_UNIX;
		return p;
	}
	*reason = "is not absolute";
	return NULL;
}

struct path *path_parse(TALLOC_CTX *mem_ctx, const char *text, unsigned flags,
			const char **reason)
{
	size_t len = strnlen(text, PATH_MAX_BYTES + 1);
	struct path *path = talloc_zero(mem_ctx, struct path);
	const char *p;

	*reason = "out of memory";
	if (path == NULL) {
		return NULL;
	}
	if (len == 0 || len > PATH_MAX_BYTES) {
		*reason = "is empty or too long";
		goto fail;
	}
	p = parse_root(text, path, reason);
	if (p == NULL) {
		goto fail;
	}
	path->components = talloc_zero_array(path, char *, PATH_MAX_COMPONENTS);
	if (path->components == NULL) {
		goto fail;
	}
	while (*p != '\0') {
		size_t n = 0;
		char *name;

		while (is_separator(*p)) {
			p++;
		}
		path->trailing_separator = *p == '\0';
		if (*p == '\0') {
			break;
		}
		while (p[n] != '\0' && !is_separator(p[n])) {
			n++;
		}
		if (path->num_components == PATH_MAX_COMPONENTS) {
			*reason = "has too many components";
			goto fail;
		}
		name = talloc_strndup(path->components, p, n);
		if (name == NULL) {
			goto fail;
		}
		p += n;
		if (!path_component_valid(name, *p == '\0' ? flags : 0,
					  reason)) {
			goto fail;
		}
		path->components[path->num_components++] = name;
	}
	*reason = NULL;
	return path;
fail:
	talloc_free(path);
	return NULL;
}

/* Greedy, with one point to go back to: linear in the product of lengths. */
bool path_match(const char *pattern, const char *name)
{
	const char *star = NULL, *resume = NULL;

	/* "*.*" is everything, also names without a dot. */
	if (strcmp(pattern, "*.*") == 0) {
		return true;
	}
	while (*name != '\0') {
		size_t ptaken, ntaken;
		uint32_t nc = utf8_next(name, strlen(name), &ntaken);

		if (*pattern == '*') {
			star = ++pattern;
			resume = name;
			continue;
		}
		if (*pattern != '\0') {
			char a[5] = "", b[5] = "";
			uint32_t pc =
				utf8_next(pattern, strlen(pattern), &ptaken);

			memcpy(a, pattern, ptaken);
			memcpy(b, name, ntaken);
			if (pc == '?' || (pc == nc && pc != UTF8_INVALID) ||
			    utf8_equal_fold(a, b)) {
				pattern += ptaken;
				name += ntaken;
				continue;
			}
		}
		if (star == NULL) {
			return false;
		}
		utf8_next(resume, strlen(resume), &ntaken);
		resume += ntaken;
		name = resume;
		pattern = star;
	}
	while (*pattern == '*') {
		pattern++;
	}
	return *pattern == '\0';
}
