/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Who administers: BUILTIN\Administrators, and `istm:admin users`. */
#include <string.h>
#include <strings.h>
#include <time.h>

#include <ndr.h>
#include <gen_ndr/auth.h>
#include <gen_ndr/lsa.h>
#include <gen_ndr/security.h>
#include <lookup_sid.h>

#include "server/auth/auth.h"
#include "server/auth/samba_private.h"
#include "server/core/log.h"

/*
 * A name is turned into a SID, which then is looked for in tokens: that covers
 * groups, and names written in any form. While a domain's names cannot be
 * resolved (winbindd not up yet) users still match by name; the rest is tried
 * again, not more often than this.
 */
#define RESOLVE_AGAIN_SECONDS 60

struct admin_entry {
	const char *name;
	bool resolved;
	struct dom_sid sid;
};

static struct admin_entry *entries;
static size_t num_entries;
static time_t last_resolve;

static time_t now_seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec;
}

static bool resolve(struct admin_entry *e)
{
	const char *name = e->name;
	const char *domain = NULL, *account = NULL;
	enum lsa_SidType type = SID_NAME_UNKNOWN;
	int flags = LOOKUP_NAME_ALL;
	TALLOC_CTX *frame;
	size_t marks;
	bool ok;

	if (string_to_sid(&e->sid, name)) {
		return true;
	}
	/* smb.conf's marks of groups */
	marks = strspn(name, "@+&");
	if (marks > 0) {
		flags |= LOOKUP_NAME_GROUP;
	}
	frame = auth_frame();
	ok = lookup_name_smbconf(frame, name + marks, flags, &domain, &account,
				 &e->sid, &type);
	talloc_free(frame);
	return ok;
}

static void resolve_all(void)
{
	last_resolve = now_seconds();
	for (size_t i = 0; i < num_entries; i++) {
		if (!entries[i].resolved) {
			entries[i].resolved = resolve(&entries[i]);
		}
		if (!entries[i].resolved) {
			log_msg(LOG_WARNING,
				"istm:admin users: '%s' is not known (yet)",
				entries[i].name);
		}
	}
}

bool auth_set_admin_users(const char *const *names)
{
	size_t count = 0;

	talloc_free(entries);
	entries = NULL;
	num_entries = 0;
	while (names != NULL && names[count] != NULL) {
		count++;
	}
	if (count == 0) {
		return true;
	}
	entries = talloc_zero_array(NULL, struct admin_entry, count);
	if (entries == NULL) {
		return false;
	}
	for (size_t i = 0; i < count; i++) {
		entries[i].name = talloc_strdup(entries, names[i]);
		if (entries[i].name == NULL) {
			talloc_free(entries);
			entries = NULL;
			return false;
		}
	}
	num_entries = count;
	resolve_all();
	return true;
}

static bool name_matches(const struct auth_user_info *info, const char *name)
{
	const char *sep = strpbrk(name, "\\/");
	size_t domain_len;

	if (info == NULL || info->account_name == NULL) {
		return false;
	}
	if (sep == NULL) {
		/* A bare name is one of this server's own accounts, and that
		 * has been resolved. */
		return false;
	}
	domain_len = sep - name;
	return info->domain_name != NULL &&
	       strlen(info->domain_name) == domain_len &&
	       strncasecmp(name, info->domain_name, domain_len) == 0 &&
	       strcasecmp(sep + 1, info->account_name) == 0;
}

static bool listed(const struct auth_session_info *session_info, bool *unknown)
{
	for (size_t i = 0; i < num_entries; i++) {
		const struct admin_entry *e = &entries[i];

		if (e->resolved) {
			if (security_token_has_sid(session_info->security_token,
						   &e->sid)) {
				return true;
			}
			continue;
		}
		*unknown = true;
		if (name_matches(session_info->info, e->name)) {
			return true;
		}
	}
	return false;
}

bool auth_is_admin(const struct auth_session_info *session_info)
{
	const struct security_token *token;
	bool unknown = false;

	if (session_info == NULL || session_info->security_token == NULL) {
		return false;
	}
	token = session_info->security_token;
	if (security_token_is_anonymous(token)) {
		return false;
	}
	if (security_token_has_builtin_administrators(token)) {
		return true;
	}
	if (listed(session_info, &unknown)) {
		return true;
	}
	if (unknown && now_seconds() - last_resolve >= RESOLVE_AGAIN_SECONDS) {
		resolve_all();
		return listed(session_info, &unknown);
	}
	return false;
}
