/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which methods change state, and so have a line in the audit log. */
#include <stdint.h>
#include <string.h>

#include "server/istm/istm.h"

/*
 * Those that only read, by the beginning of their names. All others are
 * audited: a method that nobody thought of here must not go unnoticed.
 */
static const char *const reading[] = {
	"get_",	    "Get",	     "Enum",	     "Is",    "Check",
	"Find",	    "Next",	     "Skip",	     "Reset", "Clone",
	"Validate", "DoesFileExist", "SaveToStream", "DVGet",
};

bool istm_method_is_audited(const struct com_method *method)
{
	for (size_t i = 0; i < sizeof(reading) / sizeof(reading[0]); i++) {
		if (strncmp(method->name, reading[i], strlen(reading[i])) ==
		    0) {
			return false;
		}
	}
	return true;
}
