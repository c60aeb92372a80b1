/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The target without the daemon: serve VHD files or RAM disks to anyone.
 *
 *   iscsi-serve [-a ADDRESS] [-p PORT] [-l LANES] [-s SPIN] [-d LEVEL]
 *               [-i INITIATOR] [-u USER:SECRET] [-m USER:SECRET] DISK...
 *
 * DISK is a VHD file, or ram:MIB. Each becomes a LUN of the target
 * iqn.2026-01.test.istmd:disks. Initiator names are admitted when they are
 * given with -i (any number); without, everyone at ADDRESS is. -a may be
 * repeated. It prints "port N" when it serves, and ends on SIGINT or SIGTERM.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "target/target.h"

#define TARGET	  "iqn.2026-01.test.istmd:disks"
#define MAX_DISKS 256
#define MAX_ADDRS 8
#define MAX_IDS	  16

static bool stopped;

static void log_line(int level, const char *message)
{
	fprintf(stderr, "%d: %s\n", level, message);
}

static void got_signal(struct tevent_context *ev, struct tevent_signal *se,
		       int signum, int count, void *siginfo, void *private_data)
{
	stopped = true;
}

static struct vhd_disk *open_disk(struct tevent_context *ev, const char *name)
{
	struct vhd_disk *disk = NULL;
	struct tevent_req *req;
	char *message = NULL;
	int fd, error;

	if (strncmp(name, "ram:", 4) == 0) {
		uint64_t size = strtoull(name + 4, NULL, 10) << 20;

		return vhd_open_ram(ev, size);
	}
	fd = open(name, O_RDWR | O_CLOEXEC);
	if (fd == -1) {
		perror(name);
		return NULL;
	}
	req = vhd_open_send(ev, ev, fd, name, 0);
	if (!req || !tevent_req_poll(req, ev))
		return NULL;
	error = vhd_open_recv(req, ev, &disk, &message);
	if (error) {
		fprintf(stderr, "%s: %s\n", name,
			message ? message : strerror(error));
		return NULL;
	}
	return disk;
}

static struct iscsi_lu *add_disk(struct iscsi_server *server,
				 struct tevent_context *ev, const char *name,
				 unsigned index)
{
	struct iscsi_lu_config config = {
		.vendor = "istmd",
		.product = "VIRTUAL-DISK",
		.revision = "0001",
		.index = index,
		.enabled = true,
		.disk = open_disk(ev, name),
	};

	if (!config.disk)
		return NULL;
	memset(config.guid, 0x5a, sizeof(config.guid));
	config.guid[15] = (uint8_t)index;
	snprintf(config.serial, sizeof(config.serial), "SERVE%04u", index);
	return iscsi_lu_add(server, &config);
}

static int listen_on(struct iscsi_server *server, const char *address,
		     unsigned port, uint16_t tag)
{
	struct sockaddr_storage bound;
	struct sockaddr_in in = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
	};
	int error;

	if (inet_pton(AF_INET, address, &in.sin_addr) != 1)
		return EINVAL;
	error = iscsi_portal_add(server, (struct sockaddr *)&in, sizeof(in),
				 tag);
	if (error)
		return error;
	iscsi_portal_address(server, (struct sockaddr *)&in, sizeof(in),
			     &bound);
	printf("port %u\n",
	       ntohs(((struct sockaddr_in *)(void *)&bound)->sin_port));
	fflush(stdout);
	return 0;
}

static char *split(char *text)
{
	char *colon = strchr(text, ':');

	if (!colon)
		return text;
	*colon = '\0';
	return colon + 1;
}

int main(int argc, char **argv)
{
	struct tevent_context *ev = tevent_context_init(NULL);
	struct iscsi_server_config server_config = {.log = log_line,
						    .debug_level = 3};
	struct iscsi_id ids[MAX_IDS];
	struct iscsi_lun luns[MAX_DISKS];
	struct iscsi_tgt_config config = {
		.name = TARGET,
		.alias = "iscsi-serve",
		.enabled = true,
		.max_recv_data_segment_length = 262144,
		.first_burst_length = 65536,
		.max_burst_length = 1048576,
		.ids = ids,
		.luns = luns,
	};
	const char *addresses[MAX_ADDRS];
	struct iscsi_server *server;
	unsigned port = 3260, n_addresses = 0;
	int c;

	while ((c = getopt(argc, argv, "a:p:l:d:i:s:u:m:")) != -1) {
		if (c == 'a' && n_addresses < MAX_ADDRS)
			addresses[n_addresses++] = optarg;
		else if (c == 'p')
			port = (unsigned)atoi(optarg);
		else if (c == 'l')
			server_config.lanes = (unsigned)atoi(optarg);
		else if (c == 's')
			server_config.spin = (unsigned)atoi(optarg);
		else if (c == 'd')
			server_config.debug_level = atoi(optarg);
		else if (c == 'i' && config.num_ids < MAX_IDS)
			ids[config.num_ids++] =
				(struct iscsi_id){ISCSI_ID_IQN, optarg};
		else if (c == 'u') {
			config.chap = true;
			config.chap_user = optarg;
			config.chap_secret = split(optarg);
		} else if (c == 'm') {
			config.reverse_chap = true;
			config.reverse_chap_user = optarg;
			config.reverse_chap_secret = split(optarg);
		} else {
			fprintf(stderr, "usage: see iscsi-serve.c\n");
			return 2;
		}
	}
	if (n_addresses == 0)
		addresses[n_addresses++] = "127.0.0.1";
	if (config.num_ids == 0) {
		for (unsigned i = 0; i < n_addresses; i++)
			ids[config.num_ids++] =
				(struct iscsi_id){ISCSI_ID_IPV4, addresses[i]};
	}
	signal(SIGPIPE, SIG_IGN);
	server = iscsi_server_create(ev, ev, &server_config);
	if (!server) {
		perror("iscsi_server_create");
		return 1;
	}
	for (; optind < argc && config.num_luns < MAX_DISKS; optind++) {
		struct iscsi_lun *lun = &luns[config.num_luns];

		lun->lun = (uint16_t)config.num_luns++;
		lun->lu = add_disk(server, ev, argv[optind],
				   (unsigned)config.num_luns);
		if (!lun->lu)
			return 1;
	}
	if (!iscsi_tgt_add(server, &config, NULL)) {
		perror("iscsi_tgt_add");
		return 1;
	}
	tevent_add_signal(ev, ev, SIGINT, 0, got_signal, NULL);
	tevent_add_signal(ev, ev, SIGTERM, 0, got_signal, NULL);
	for (unsigned i = 0; i < n_addresses; i++) {
		int error = listen_on(server, addresses[i], port,
				      (uint16_t)(i + 1));

		if (error) {
			fprintf(stderr, "%s port %u: %s\n", addresses[i], port,
				strerror(error));
			return 1;
		}
	}
	while (!stopped)
		tevent_loop_once(ev);
	talloc_free(server);
	talloc_free(ev);
	return 0;
}
