/* SPDX-License-Identifier: GPL-3.0-or-later */
/* TCP: listening, accepting, limits, closing. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include <tsocket.h>
#include <util/tevent_ntstatus.h>

#include "server/dcom/list.h"
#include "server/dcom/runtime.h"

/* Pending connections while the main thread is busy authenticating. */
#define BACKLOG 128

/* Whoever connects has this long for its first bind. */
#define GREETING_SECONDS 30

/* All fragments of one request; the largest arguments of ISTM are a few KiB. */
#define MAX_REQUEST_SIZE (1024 * 1024)

/* Of one address: half of all, so that nobody shuts everyone else out. */
#define MAX_PER_ADDRESS(max) ((max) / 2)

struct dcom_listener {
	struct dcom_listener *next;
	struct dcom_runtime *runtime;
	const struct dcesrv_endpoint *endpoint;
	int fd;
	struct tevent_fd *fde;
};

static int connection_destructor(struct dcom_connection *conn)
{
	DCOM_LIST_REMOVE(conn->runtime->connections, conn);
	conn->runtime->num_connections--;
	conn->runtime->too_many_logged = false;
	return 0;
}

static bool failed_authentication(const struct dcesrv_auth *auth)
{
	return auth->auth_started && !auth->auth_finished;
}

static void terminate(struct dcesrv_connection *dce, const char *reason)
{
	struct dcom_connection *conn = dcom_connection_of(dce);
	const struct dcesrv_auth *a = dce->auth_states;

	while (a != NULL && !failed_authentication(a)) {
		a = a->next;
	}
	if (a != NULL || failed_authentication(dce->default_auth_state)) {
		log_msg(LOG_WARNING,
			"%s: authentication failed or was not completed",
			conn->remote_text);
	} else if (!conn->greeted && !conn->runtime->stopping) {
		log_msg(LOG_WARNING, "%s: closed before a successful bind: %s",
			conn->remote_text, reason);
	} else {
		log_msg(LOG_DEBUG, "%s: connection closed: %s",
			conn->remote_text, reason);
	}
	talloc_free(conn);
}

static void greeting_timeout(struct tevent_context *ev,
			     struct tevent_timer *timer, struct timeval now,
			     void *private_data)
{
	struct dcom_connection *conn =
		talloc_get_type_abort(private_data, struct dcom_connection);

	if (!conn->greeted) {
		dcesrv_terminate_connection(conn->dce, "no bind in time");
	}
}

static bool too_many(struct dcom_runtime *runtime,
		     const struct dcom_connection *new)
{
	unsigned max = runtime->options.max_connections, same = 0;

	if (runtime->num_connections >= max) {
		return true;
	}
	if (runtime->num_connections < MAX_PER_ADDRESS(max)) {
		return false;
	}
	for (const struct dcom_connection *c = runtime->connections; c != NULL;
	     c = c->next) {
		same += strcmp(c->remote_text, new->remote_text) == 0;
	}
	return same >= MAX_PER_ADDRESS(max);
}

static bool get_addresses(struct dcom_connection *conn, int fd)
{
	socklen_t local_len = sizeof(conn->local.ss);
	socklen_t remote_len = sizeof(conn->remote.ss);
	char buf[INET6_ADDRSTRLEN];
	const void *addr;

	if (getsockname(fd, (struct sockaddr *)&conn->local.ss, &local_len) !=
		    0 ||
	    getpeername(fd, (struct sockaddr *)&conn->remote.ss, &remote_len) !=
		    0) {
		return false; /* gone already */
	}
	addr = conn->remote.ss.ss_family == AF_INET
		       ? (void *)&((struct sockaddr_in *)&conn->remote.ss)
				 ->sin_addr
		       : (void *)&((struct sockaddr_in6 *)&conn->remote.ss)
				 ->sin6_addr;
	if (inet_ntop(conn->remote.ss.ss_family, addr, buf, sizeof(buf)) ==
	    NULL) {
		return false;
	}
	conn->remote_text = talloc_strdup(conn, buf);
	return conn->remote_text != NULL;
}

/* A vanished client's connection goes within minutes, an answer that nobody
 * takes too. */
static void set_options(int fd)
{
	int one = 1, idle = 60, interval = 20, count = 3;
	unsigned user_timeout = 120 * 1000;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &user_timeout,
		   sizeof(user_timeout));
}

static NTSTATUS attach_stream(struct dcesrv_connection *dce,
			      struct dcom_connection *conn, int *fd)
{
	struct tsocket_address *local = NULL, *remote = NULL;
	struct tstream_context *socket = NULL;

	if (tsocket_address_bsd_from_sockaddr(
		    dce, (const struct sockaddr *)&conn->local.ss,
		    sizeof(conn->local.ss), &local) != 0 ||
	    tsocket_address_bsd_from_sockaddr(
		    dce, (const struct sockaddr *)&conn->remote.ss,
		    sizeof(conn->remote.ss), &remote) != 0 ||
	    tstream_bsd_existing_socket(dce, *fd, &socket) != 0) {
		return NT_STATUS_NO_MEMORY;
	}
	*fd = -1; /* the stream's now */
	dce->stream = dcom_stream_create(dce, conn, &socket);
	if (dce->stream == NULL) {
		return NT_STATUS_NO_MEMORY;
	}
	dce->local_address = local;
	dce->remote_address = remote;
	return NT_STATUS_OK;
}

static NTSTATUS serve(struct dcom_listener *listener,
		      struct dcom_connection *conn, int *fd)
{
	struct dcom_runtime *runtime = listener->runtime;
	struct dcesrv_connection *dce;
	NTSTATUS status;

	status =
		dcesrv_endpoint_connect(runtime->dce_ctx, conn,
					listener->endpoint,
					runtime->options.anonymous, runtime->ev,
					DCESRV_CALL_STATE_FLAG_MAY_ASYNC, &dce);
	if (!NT_STATUS_IS_OK(status)) {
		return status;
	}
	conn->dce = dce;
	dce->transport.private_data = conn;
	dce->transport.report_output_data = dcesrv_sock_report_output_data;
	dce->transport.terminate_connection = terminate;
	dce->max_total_request_size = MAX_REQUEST_SIZE;
	dce->send_queue = tevent_queue_create(dce, "dcom send queue");
	if (dce->send_queue == NULL) {
		return NT_STATUS_NO_MEMORY;
	}
	status = attach_stream(dce, conn, fd);
	if (!NT_STATUS_IS_OK(status)) {
		return status;
	}
	if (tevent_add_timer(runtime->ev, conn,
			     tevent_timeval_current_ofs(GREETING_SECONDS, 0),
			     greeting_timeout, conn) == NULL) {
		return NT_STATUS_NO_MEMORY;
	}
	return dcesrv_connection_loop_start(dce);
}

static void accepted(struct dcom_listener *listener, int fd)
{
	struct dcom_runtime *runtime = listener->runtime;
	struct dcom_connection *conn =
		talloc_zero(runtime, struct dcom_connection);
	NTSTATUS status;

	if (conn == NULL || !get_addresses(conn, fd)) {
		talloc_free(conn);
		close(fd);
		return;
	}
	if (too_many(runtime, conn)) {
		if (!runtime->too_many_logged) {
			log_msg(LOG_WARNING,
				"%s: refused, there are %u connections",
				conn->remote_text, runtime->num_connections);
			runtime->too_many_logged = true;
		}
		talloc_free(conn);
		close(fd);
		return;
	}
	conn->runtime = runtime;
	DCOM_LIST_ADD(runtime->connections, conn);
	runtime->num_connections++;
	talloc_set_destructor(conn, connection_destructor);
	set_options(fd);
	status = serve(listener, conn, &fd);
	if (!NT_STATUS_IS_OK(status)) {
		log_msg(LOG_WARNING, "%s: connection cannot be served: %s",
			conn->remote_text, nt_errstr(status));
		talloc_free(conn);
		if (fd >= 0) {
			close(fd);
		}
	}
}

/*
 * Without a descriptor for it a new connection would stay in the queue and the
 * listener ready for ever: take it with the reserved one and close it.
 */
static void drop_one(struct dcom_listener *listener)
{
	struct dcom_runtime *runtime = listener->runtime;
	int fd;

	log_msg(LOG_ERROR, "no file descriptor for a new client");
	if (runtime->reserve_fd >= 0) {
		close(runtime->reserve_fd);
	}
	fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC);
	if (fd >= 0) {
		close(fd);
	}
	runtime->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void listener_ready(struct tevent_context *ev, struct tevent_fd *fde,
			   uint16_t flags, void *private_data)
{
	struct dcom_listener *listener =
		talloc_get_type_abort(private_data, struct dcom_listener);
	int fd;

	/* Connections that died in one of Samba's lists wait for this. */
	dcesrv_cleanup_broken_connections(listener->runtime->dce_ctx);
	fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd >= 0) {
		accepted(listener, fd);
	} else if (errno == EMFILE || errno == ENFILE) {
		drop_one(listener);
	}
}

static void set_port(struct sockaddr_storage *ss, uint16_t port)
{
	if (ss->ss_family == AF_INET) {
		((struct sockaddr_in *)ss)->sin_port = htons(port);
	} else {
		((struct sockaddr_in6 *)ss)->sin6_port = htons(port);
	}
}

static int open_socket(const struct sockaddr_storage *address, uint16_t port)
{
	struct sockaddr_storage ss = *address;
	int one = 1, saved;
	int fd = socket(ss.ss_family,
			SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0) {
		return -1;
	}
	set_port(&ss, port);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (ss.ss_family == AF_INET6) {
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	}
	if (bind(fd, (struct sockaddr *)&ss,
		 ss.ss_family == AF_INET ? sizeof(struct sockaddr_in)
					 : sizeof(struct sockaddr_in6)) != 0 ||
	    listen(fd, BACKLOG) != 0) {
		saved = errno;
		close(fd);
		errno = saved;
		return -1;
	}
	return fd;
}

static bool add_listener(struct dcom_runtime *runtime, int fd,
			 const struct dcesrv_endpoint *endpoint)
{
	struct dcom_listener *listener =
		talloc_zero(runtime, struct dcom_listener);

	if (listener == NULL) {
		close(fd);
		return false;
	}
	listener->runtime = runtime;
	listener->endpoint = endpoint;
	listener->fd = fd;
	listener->fde = tevent_add_fd(runtime->ev, listener, fd, TEVENT_FD_READ,
				      listener_ready, listener);
	if (listener->fde == NULL) {
		close(fd);
		talloc_free(listener);
		return false;
	}
	tevent_fd_set_auto_close(listener->fde);
	listener->next = runtime->listeners;
	runtime->listeners = listener;
	return true;
}

static void remove_listeners(struct dcom_runtime *runtime,
			     const struct dcom_listener *until)
{
	while (runtime->listeners != until) {
		struct dcom_listener *next = runtime->listeners->next;

		talloc_free(runtime->listeners);
		runtime->listeners = next;
	}
}

/* Listen on all addresses, or on none and return the error. */
static int listen_port(struct dcom_runtime *runtime, uint16_t port,
		       const struct dcesrv_endpoint *endpoint)
{
	static const struct sockaddr_storage any[] = {
		{.ss_family = AF_INET},
		{.ss_family = AF_INET6},
	};
	const struct dcom_listener *before = runtime->listeners;
	const struct sockaddr_storage *list = runtime->options.listen;
	size_t count = runtime->options.num_listen;
	bool all = count == 0;

	if (all) {
		list = any;
		count = ARRAY_SIZE(any);
	}
	for (size_t i = 0; i < count; i++) {
		int fd = open_socket(&list[i], port);
		int error = fd < 0 ? errno : 0;

		/* Without IPv6 in the kernel, IPv4 is all there is. */
		if (all && i > 0 &&
		    (error == EAFNOSUPPORT || error == EADDRNOTAVAIL)) {
			continue;
		}
		if (error == 0 && !add_listener(runtime, fd, endpoint)) {
			error = ENOMEM;
		}
		if (error != 0) {
			remove_listeners(runtime, before);
			return error;
		}
	}
	return 0;
}

static NTSTATUS listen_objects(struct dcom_runtime *runtime)
{
	uint32_t low = runtime->options.object_port_low;
	uint32_t high = runtime->options.object_port_high;
	int error = EADDRINUSE;

	for (uint32_t port = low; port <= high; port++) {
		error = listen_port(runtime, port, runtime->object_endpoint);
		if (error == 0) {
			runtime->object_port = port;
			log_msg(LOG_INFO, "objects are served on TCP port %u",
				port);
			return NT_STATUS_OK;
		}
		if (error != EADDRINUSE && error != EACCES) {
			break;
		}
	}
	log_msg(LOG_ERROR, "cannot listen on a TCP port from %u to %u: %s", low,
		high, strerror(error));
	return map_nt_error_from_unix_common(error);
}

NTSTATUS dcom_listen(struct dcom_runtime *runtime)
{
	uint16_t port = runtime->options.epm_port;
	NTSTATUS status = listen_objects(runtime);
	int error;

	runtime->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (!NT_STATUS_IS_OK(status)) {
		return status;
	}
	error = listen_port(runtime, port, runtime->epm_endpoint);
	if (error == 0) {
		return NT_STATUS_OK;
	}
	log_msg(LOG_ERROR, "cannot listen on TCP port %u: %s%s", port,
		strerror(error),
		error == EADDRINUSE
			? ". Another program answers DCOM clients there; "
			  "see istmd(8), istm:epmapper port"
			: "");
	return map_nt_error_from_unix_common(error);
}

void dcom_connections_close(struct dcom_runtime *runtime)
{
	runtime->stopping = true;
	if (runtime->reserve_fd >= 0) {
		close(runtime->reserve_fd);
		runtime->reserve_fd = -1;
	}
	remove_listeners(runtime, NULL);
	while (runtime->connections != NULL) {
		talloc_free(runtime->connections);
	}
}
