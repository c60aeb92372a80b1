/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which lane a connection belongs to. That is decided by the first login
 * request, before anything has been made for the connection on the lane that
 * accepted it; there it stays for life.
 *
 * - One that joins a session goes to the session's lane.
 * - Processors of a target (IHost::Processor): its logins are handed to a lane
 *   that runs on one of them.
 */
#include <sched.h>
#include <string.h>

#include "target/iscsi_acl.h"
#include "target/iscsi_conn.h"
#include "target/iscsi_login.h"

void iscsi_lane_processors(struct iscsi_server *server)
{
	cpu_set_t set;
	int cpu = -1;

	CPU_ZERO(&set);
	if (sched_getaffinity(0, sizeof(set), &set) != 0 ||
	    CPU_COUNT(&set) == 0)
		return; /* all are processor 0, which is never bound */
	for (unsigned i = 0; i < server->num_lanes; i++) {
		do {
			cpu = (cpu + 1) % CPU_SETSIZE;
		} while (!CPU_ISSET(cpu, &set));
		server->lanes[i].cpu = (unsigned)cpu;
	}
}

void iscsi_lane_bind(struct lane *lane)
{
	cpu_set_t set;

	if (lane->bound)
		return;
	lane->bound = true;
	CPU_ZERO(&set);
	CPU_SET(lane->cpu, &set);
	/* It was allowed at the start; if it no longer is, any will do. */
	sched_setaffinity(0, sizeof(set), &set);
}

static bool runs_on(const struct lane *lane, uint32_t processors)
{
	return lane->cpu < 32 && (processors & 1u << lane->cpu) != 0;
}

/* The least loaded of those lanes; NULL: there is none. */
static struct lane *lane_on(struct iscsi_server *server, uint32_t processors)
{
	struct lane *best = NULL;

	for (unsigned i = 0; i < server->num_lanes; i++) {
		struct lane *lane = &server->lanes[i];

		if (runs_on(lane, processors) &&
		    (!best ||
		     atomic_load(&lane->load) < atomic_load(&best->load)))
			best = lane;
	}
	return best;
}

/* Of the target that the request names; 0: any. */
static uint32_t wanted_processors(struct iscsi_server *server,
				  const uint8_t *data, uint32_t len)
{
	struct iscsi_text_iter it = {(const char *)data,
				     (const char *)data + len};
	const char *key, *value;
	char name[ISCSI_NAME_MAX + 1];
	struct iscsi_conf *conf = NULL;
	struct iscsi_tgt *tgt;
	uint32_t processors;

	while (iscsi_text_next(&it, &key, &value) > 0) {
		if (strncmp(key, "TargetName=", 11) != 0)
			continue;
		if (!iscsi_name_normalize(value, name))
			return 0;
		tgt = iscsi_tgt_find(server, name, &conf);
		if (!tgt)
			return 0;
		processors = conf->processors;
		iscsi_conf_unref(conf);
		iscsi_tgt_unref(tgt);
		return processors;
	}
	return 0;
}

/* The lane that the target's processors ask for; NULL: any will do. */
static struct lane *processors_lane(struct iscsi_conn *conn,
				    const uint8_t *data, uint32_t len)
{
	uint32_t processors;

	/* Names in the second part of a request come too late. */
	if (!atomic_load(&conn->server->routing) || len == 0 ||
	    (conn->hdr[1] & ISCSI_TEXT_CONTINUE) != 0)
		return NULL;
	processors = wanted_processors(conn->server, data, len);
	if (processors == 0)
		return NULL;
	if (runs_on(conn->lane, processors)) {
		iscsi_lane_bind(conn->lane);
		return NULL;
	}
	return lane_on(conn->server, processors);
}

bool iscsi_login_route(struct iscsi_conn *conn, const uint8_t *data,
		       uint32_t len)
{
	uint16_t tsih = get_be16(conn->hdr + 14);
	struct lane *lane;
	bool bind;

	if (conn->routed)
		return false;
	conn->routed = true;
	/* A session is on one lane, and so are all its connections. */
	lane = tsih ? iscsi_session_lane(conn->server, tsih)
		    : processors_lane(conn, data, len);
	bind = !tsih;
	return lane && lane != conn->lane &&
	       iscsi_conn_move(conn, lane, bind, data, len);
}
