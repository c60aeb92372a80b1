/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Authentication of RPC clients, as the file server does it. */
#include <stdlib.h>

#include <dcesrv_core.h>
#include <gen_ndr/auth.h>

#include "server/auth/auth.h"
#include "server/auth/samba_private.h"
#include "server/core/log.h"

NTSTATUS auth_init(void)
{
	NTSTATUS status;
	bool had_winbind = getenv("_NO_WINBINDD") == NULL;
	bool ok;

	/*
	 * passdb caches what it has looked up, and leaks that (3 KiB at each
	 * authentication) where a process has no cache. This one holds a
	 * single entry: what an administrator changes is valid at once.
	 */
	memcache_set_global(memcache_init(NULL, 1));

	if (!initialize_password_db(false, global_event_context())) {
		log_msg(LOG_ERROR, "the account database (passdb backend) "
				   "cannot be opened");
		return NT_STATUS_CANT_ACCESS_DOMAIN_INFO;
	}

	/* The guest's token is local; winbindd may not be up yet. */
	setenv("_NO_WINBINDD", "1", 1);
	ok = init_guest_session_info(NULL);
	if (had_winbind) {
		unsetenv("_NO_WINBINDD");
	}
	if (!ok) {
		log_msg(LOG_ERROR, "no session for the guest account");
		return NT_STATUS_NO_SUCH_USER;
	}
	status = init_system_session_info(NULL);
	if (!NT_STATUS_IS_OK(status)) {
		log_msg(LOG_ERROR, "no session for the system: %s",
			nt_errstr(status));
	}
	return status;
}

NTSTATUS auth_gensec_prepare(TALLOC_CTX *mem_ctx,
			     struct dcesrv_call_state *call,
			     struct gensec_security **gensec,
			     void *private_data)
{
	NTSTATUS status;

	status = auth_generic_prepare(mem_ctx, call->conn->remote_address,
				      call->conn->local_address, "DCE/RPC",
				      gensec);
	if (!NT_STATUS_IS_OK(status)) {
		log_msg(LOG_ERROR, "authentication cannot start: %s",
			nt_errstr(status));
	}
	return status;
}

NTSTATUS auth_anonymous_session(TALLOC_CTX *mem_ctx,
				struct auth_session_info **session_info)
{
	return make_session_info_anonymous(mem_ctx, session_info);
}
