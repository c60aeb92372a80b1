/* SPDX-License-Identifier: GPL-3.0-or-later */
/* istmd: the process around the service. See docs/man/istmd.8. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/auth/auth.h"
#include "server/auth/cmdline.h"
#include "server/config.h"
#include "server/core/log.h"
#include "server/dcom/dcom.h"
#include "server/notify.h"
#include "server/service.h"

#define PROGRAM "istmd"

struct daemon {
	struct tevent_context *ev;
	struct config *config;
	struct dcom_options dcom;
	struct auth_session_info *anonymous;
	struct sockaddr_storage *listen;
	struct tevent_req *start;
	struct service *service;
	bool stop;
	bool reload; /* once it has started */
	int status;
};

/* ---- command line ---- */

static bool parse_options(TALLOC_CTX *mem_ctx, int argc, const char **argv)
{
	struct poptOption options[] = {
		POPT_AUTOHELP{.argInfo = POPT_ARG_INCLUDE_TABLE, .arg = NULL},
		POPT_TABLEEND};
	poptContext pc;
	int opt;
	bool ok = true;

	if (!cmdline_init(mem_ctx, CMDLINE_DAEMON)) {
		fprintf(stderr, PROGRAM ": cannot initialise\n");
		return false;
	}
	options[1].arg = cmdline_samba_options(CMDLINE_DAEMON);
	pc = cmdline_context(PROGRAM, argc, argv, options);
	if (pc == NULL) {
		fprintf(stderr, PROGRAM ": cannot parse options\n");
		return false;
	}
	while ((opt = poptGetNextOpt(pc)) != -1) {
		fprintf(stderr, PROGRAM ": %s: %s\n", poptBadOption(pc, 0),
			poptStrerror(opt));
		ok = false;
		break;
	}
	if (ok && poptPeekArg(pc) != NULL) {
		fprintf(stderr, PROGRAM ": unexpected argument %s\n",
			poptPeekArg(pc));
		ok = false;
	}
	poptFreeContext(pc);
	return ok;
}

/* ---- process ---- */

/* Into the background; threads are started after this. */
static bool background(bool no_process_group)
{
	pid_t pid = fork();
	int fd;

	if (pid < 0) {
		fprintf(stderr, PROGRAM ": cannot fork: %s\n", strerror(errno));
		return false;
	}
	if (pid > 0) {
		_exit(0);
	}
	if (!no_process_group) {
		setsid();
	}
	fd = open("/dev/null", O_RDWR);
	if (fd >= 0) {
		dup2(fd, 0);
		dup2(fd, 1);
		dup2(fd, 2);
		if (fd > 2) {
			close(fd);
		}
	}
	return true;
}

static void prepare_process(void)
{
	struct rlimit limit;

	umask(0077);
	signal(SIGPIPE, SIG_IGN);
	/* A limit on file sizes is no space, not a signal (docs/vhd.md). */
	signal(SIGXFSZ, SIG_IGN);
	/* Clients, initiators and disks each take file descriptors. */
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 &&
	    limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

/* ---- signals ---- */

static void stop_requested(struct tevent_context *ev, struct tevent_signal *se,
			   int signum, int count, void *siginfo,
			   void *private_data)
{
	struct daemon *daemon = private_data;

	log_msg(LOG_INFO, PROGRAM " stops: %s", strsignal(signum));
	daemon->stop = true;
}

/*
 * Who administers, the log, volumes and portals follow smb.conf at once. The
 * rest is read when the daemon starts.
 */
static void reload(struct daemon *daemon)
{
	struct config *config = NULL;

	if (daemon->service != NULL) {
		notify_supervisor("RELOADING=1");
	}
	if (auth_config_reload()) {
		config = config_load(NULL, cmdline_lp());
		if (config == NULL) {
			log_msg(LOG_ERROR,
				"istmd's settings stay as they were");
		}
	}
	if (config != NULL && auth_set_admin_users(config->admin_users)) {
		if (daemon->service != NULL) {
			service_reload(daemon->service, config);
		}
		daemon->reload = daemon->service == NULL;
		log_msg(LOG_INFO, "smb.conf has been read again");
	}
	talloc_free(config);
	if (daemon->service != NULL) {
		notify_supervisor("READY=1");
	}
}

static void reload_requested(struct tevent_context *ev,
			     struct tevent_signal *se, int signum, int count,
			     void *siginfo, void *private_data)
{
	reload(private_data);
}

static bool catch_signals(struct daemon *daemon)
{
	return tevent_add_signal(daemon->ev, daemon->ev, SIGTERM, 0,
				 stop_requested, daemon) != NULL &&
	       tevent_add_signal(daemon->ev, daemon->ev, SIGINT, 0,
				 stop_requested, daemon) != NULL &&
	       tevent_add_signal(daemon->ev, daemon->ev, SIGHUP, 0,
				 reload_requested, daemon) != NULL;
}

/* ---- start and stop ---- */

static void fill_dcom_options(struct daemon *daemon)
{
	const struct config *config = daemon->config;
	size_t num_listen = auth_listen_addresses(daemon, &daemon->listen);

	daemon->dcom = (struct dcom_options){
		.lp_ctx = cmdline_lp(),
		.gensec_prepare = auth_gensec_prepare,
		.anonymous = daemon->anonymous,
		.is_admin = auth_is_admin,
		.netbios_name = config->netbios_name,
		.dns_name = config->dns_name,
		.addresses = config->addresses,
		.listen = daemon->listen,
		.num_listen = num_listen,
		.epm_port = config->epmapper_port,
		.object_port_low = config->object_port_low,
		.object_port_high = config->object_port_high,
		.ping_period = config->ping_period,
		.max_connections = config->max_connections,
		.max_objects = config->max_objects,
		.max_references = config->max_references,
	};
}

static void service_started(struct tevent_req *req)
{
	struct daemon *daemon = tevent_req_callback_data(req, struct daemon);

	daemon->start = NULL;
	daemon->service = service_start_recv(req, daemon);
	talloc_free(req);
	if (daemon->service == NULL) {
		log_msg(LOG_ERROR, PROGRAM " cannot start");
		daemon->status = 1;
		daemon->stop = true;
		return;
	}
	log_msg(LOG_INFO, PROGRAM " serves");
	notify_supervisor("READY=1");
	if (daemon->reload) {
		reload(daemon);
	}
}

static bool start(struct daemon *daemon)
{
	daemon->ev = auth_event_context();
	daemon->config = config_load(daemon, cmdline_lp());
	if (daemon->ev == NULL || daemon->config == NULL) {
		return false;
	}
	if (!NT_STATUS_IS_OK(auth_init()) ||
	    !NT_STATUS_IS_OK(
		    auth_anonymous_session(daemon, &daemon->anonymous)) ||
	    !auth_set_admin_users(daemon->config->admin_users)) {
		return false;
	}
	fill_dcom_options(daemon);
	if (!catch_signals(daemon)) {
		return false;
	}
	daemon->start = service_start_send(daemon, daemon->ev, daemon->config,
					   &daemon->dcom);
	if (daemon->start == NULL) {
		return false;
	}
	tevent_req_set_callback(daemon->start, service_started, daemon);
	return true;
}

static int run(struct daemon *daemon)
{
	if (!start(daemon)) {
		log_msg(LOG_ERROR, PROGRAM " cannot start");
		return 1;
	}
	while (!daemon->stop) {
		TALLOC_CTX *frame = auth_frame();
		int ret = tevent_loop_once(daemon->ev);

		talloc_free(frame);
		if (ret != 0) {
			log_msg(LOG_ERROR, "the event loop has failed: %s",
				strerror(errno));
			return 1;
		}
	}
	notify_supervisor("STOPPING=1");
	return daemon->status;
}

int main(int argc, const char **argv)
{
	TALLOC_CTX *frame = auth_frame();
	struct cmdline_daemon how;
	struct daemon *daemon;
	int status = 1;

	if (!parse_options(frame, argc, argv)) {
		talloc_free(frame);
		return 1;
	}
	how = cmdline_daemon_options();
	prepare_process();
	if (!how.interactive && how.fork && !background(how.no_process_group)) {
		talloc_free(frame);
		return 1;
	}
	auth_log_init(PROGRAM, how.interactive);
	auth_pidfile_create(PROGRAM);
	daemon = talloc_zero(frame, struct daemon);
	if (daemon != NULL) {
		status = run(daemon);
		/* The service uses what the daemon has, and both Samba's
		 * event loop. */
		TALLOC_FREE(daemon->start);
		TALLOC_FREE(daemon->service);
		talloc_free(daemon);
	}
	auth_pidfile_remove(PROGRAM);
	auth_shutdown();
	talloc_free(frame);
	return status;
}
