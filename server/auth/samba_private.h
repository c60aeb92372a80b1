/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Declarations of functions in Samba's private libraries whose own headers
 * cannot be included without Samba's config.h. As in Samba 4.17
 * (source3/auth/proto.h, source3/param/loadparm.h, source3/include/proto.h,
 * dynconfig/dynconfig.h, lib/util/samba_util.h, libcli/security/security.h).
 */
#ifndef ISTM_SAMBA_PRIVATE_H
#define ISTM_SAMBA_PRIVATE_H

#include <stdbool.h>
#include <talloc.h>
#include <tevent.h>
#include <core/ntstatus.h>

struct auth_session_info;
struct dom_sid;
struct gensec_security;
struct loadparm_context;
struct loadparm_s3_helpers;
struct security_token;
struct tsocket_address;

/* libsmbconf, libsamba-hostconfig */
struct loadparm_context *loadparm_init_s3(
	TALLOC_CTX *mem_ctx, const struct loadparm_s3_helpers *s3_fns);
const struct loadparm_s3_helpers *loadparm_s3_helpers(void);
bool lp_load_global(const char *file_name);
bool lp_load_client(const char *file_name);
const char *lp_pid_directory(void);
struct tevent_context *global_event_context(void);
void global_event_context_free(void);
void global_messaging_context_free(void);
void load_interfaces(void);
struct sockaddr_storage;
bool lp_bind_interfaces_only(void);
int iface_count(void);
const struct sockaddr_storage *iface_n_sockaddr_storage(int n);
void gfree_loadparm(void);
void reopen_logs(void);

/* libsamba-util and others */
bool is_default_dyn_CONFIGFILE(void);
const char *set_dyn_CONFIGFILE(const char *path);
const char *get_dyn_CONFIGFILE(void);
void smb_init_locale(void);
void pidfile_create(const char *pid_dir, const char *name);
void pidfile_unlink(const char *pid_dir, const char *name);
TALLOC_CTX *_talloc_stackframe(const char *location);
struct memcache;
struct memcache *memcache_init(TALLOC_CTX *mem_ctx, size_t max_size);
void memcache_set_global(struct memcache *cache);

/* libsamba-security */
bool string_to_sid(struct dom_sid *sidout, const char *sidstr);
bool security_token_has_builtin_administrators(
	const struct security_token *token);
bool security_token_is_anonymous(const struct security_token *token);
bool security_token_has_sid(const struct security_token *token,
			    const struct dom_sid *sid);

/* libauth */
NTSTATUS auth_generic_prepare(TALLOC_CTX *mem_ctx,
			      const struct tsocket_address *remote_address,
			      const struct tsocket_address *local_address,
			      const char *service_description,
			      struct gensec_security **gensec_security_out);
bool init_guest_session_info(TALLOC_CTX *mem_ctx);
NTSTATUS init_system_session_info(TALLOC_CTX *mem_ctx);
NTSTATUS make_session_info_anonymous(TALLOC_CTX *mem_ctx,
				     struct auth_session_info **session_info);

/* libdcerpc's older asynchronous calls: the beginning of what they return
 * (source4/libcli/composite/composite.h) */
struct composite_context {
	int state; /* an enumeration */
	void *private_data;
	NTSTATUS status;
	struct tevent_context *event_ctx;
	struct {
		void (*fn)(struct composite_context *);
		void *private_data;
	} async;
};

/* libsamba-passdb */
bool initialize_password_db(bool reload, struct tevent_context *event_ctx);

#endif /* ISTM_SAMBA_PRIVATE_H */
