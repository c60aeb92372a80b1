/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What Samba's libraries need of a process: scratch memory, event loop, log. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <talloc.h>
#include <util/debug.h>

#include "server/auth/auth.h"
#include "server/auth/samba_private.h"
#include "server/core/log.h"

TALLOC_CTX *auth_frame(void)
{
	return _talloc_stackframe(__FILE__);
}

struct tevent_context *auth_event_context(void)
{
	return global_event_context();
}

/* smb.conf's "log level = 1 istm:5" */
static int log_class;

static void adjust_log_level(void)
{
	int level = debuglevel_get_class(log_class);

	log_set_level(level > LOG_AUDIT ? level : LOG_AUDIT);
}

/*
 * Audit lines and refusals have to be seen with smb.conf's default "log level
 * = 0" too, so that Samba gets them as level 0.
 */
static void log_to_samba(int level, const char *line)
{
	DEBUGC(log_class, level <= LOG_AUDIT ? 0 : level, ("%s\n", line));
}

void auth_log_init(const char *program, bool to_stdout)
{
	log_class = debug_add_class("istm");
	setup_logging(program, to_stdout ? DEBUG_STDOUT : DEBUG_FILE);
	reopen_logs();
	adjust_log_level();
	log_set_sink(log_to_samba);
}

bool auth_config_reload(void)
{
	const char *file = get_dyn_CONFIGFILE();

	/* Samba forgets the old settings before it opens the file. */
	if (access(file, R_OK) != 0) {
		log_msg(LOG_ERROR, "%s: %s; the settings stay", file,
			strerror(errno));
		return false;
	}
	if (!lp_load_global(file)) {
		log_msg(LOG_ERROR,
			"%s cannot be read as a whole; istmd's settings stay",
			file);
		return false;
	}
	reopen_logs();
	load_interfaces();
	adjust_log_level();
	return true;
}

void auth_pidfile_create(const char *program)
{
	pidfile_create(lp_pid_directory(), program);
}

void auth_pidfile_remove(const char *program)
{
	pidfile_unlink(lp_pid_directory(), program);
}

void auth_shutdown(void)
{
	auth_set_admin_users(NULL);
	memcache_set_global(NULL);
	log_set_sink(NULL);
	global_messaging_context_free();
	global_event_context_free();
	gfree_loadparm();
}

size_t auth_listen_addresses(TALLOC_CTX *mem_ctx,
			     struct sockaddr_storage **addresses)
{
	size_t count = lp_bind_interfaces_only() ? iface_count() : 0;

	*addresses =
		talloc_zero_array(mem_ctx, struct sockaddr_storage, count + 1);
	if (*addresses == NULL) {
		return 0;
	}
	for (size_t i = 0; i < count; i++) {
		(*addresses)[i] = *iface_n_sockaddr_storage(i);
	}
	return count;
}
