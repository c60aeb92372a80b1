/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The load of iscsi_load, made by libiscsi: what QEMU and others use. Same
 * options and result. It costs several microseconds an I/O itself.
 *
 * In a folder of its own: tests/bench/run compiles it, so that building istmd
 * does not need libiscsi. It knows no data digests.
 */
#include <errno.h>
#include <iscsi/iscsi.h>
#include <iscsi/scsi-lowlevel.h>
#include <poll.h>

#define LOAD_NAME "libiscsi_load"
#include "tests/bench/load.h"

struct conn;

struct command {
	struct conn *conn;
	uint64_t start;
	struct scsi_iovec iov;
};

struct conn {
	struct iscsi_context *iscsi;
	struct command *commands;
	uint64_t next_lba;
};

static struct conn *conns;
static uint64_t capacity, completed, errors;
static uint32_t block_size;
static bool stopping;

static void fail(const char *what, const char *why)
{
	fprintf(stderr, "libiscsi_load: %s: %s\n", what, why);
	exit(1);
}

static void issue(struct command *cmd);

static void done(struct iscsi_context *iscsi, int status, void *data,
		 void *private_data)
{
	struct command *cmd = private_data;

	latency_add(now_ns() - cmd->start);
	completed++;
	if (status != SCSI_STATUS_GOOD) {
		errors++;
	}
	scsi_free_scsi_task(data);
	if (!stopping) {
		issue(cmd);
	}
}

static void issue(struct command *cmd)
{
	struct conn *c = cmd->conn;
	uint32_t blocks = opt.size / block_size;
	uint64_t lba = random64() % (capacity / blocks) * blocks;
	struct scsi_task *task;

	if (opt.sequential) {
		if (c->next_lba + blocks > capacity) {
			c->next_lba = 0;
		}
		lba = c->next_lba;
		c->next_lba += blocks;
	}
	cmd->start = now_ns();
	if (opt.write) {
		task = iscsi_write16_iov_task(c->iscsi, opt.lun, lba, NULL,
					      opt.size, block_size, 0, 0, 0, 0,
					      0, done, cmd, &cmd->iov, 1);
	} else {
		task = iscsi_read16_iov_task(c->iscsi, opt.lun, lba, opt.size,
					     block_size, 0, 0, 0, 0, 0, done,
					     cmd, &cmd->iov, 1);
	}
	if (task == NULL) {
		fail("command", iscsi_get_error(c->iscsi));
	}
}

static struct iscsi_context *session_open(void)
{
	struct iscsi_context *iscsi = iscsi_create_context(opt.initiator);
	char portal[256];

	if (iscsi == NULL) {
		fail("context", "out of memory");
	}
	snprintf(portal, sizeof(portal), "%s:%s", opt.host, opt.port);
	iscsi_set_targetname(iscsi, opt.target);
	iscsi_set_session_type(iscsi, ISCSI_SESSION_NORMAL);
	iscsi_set_header_digest(iscsi, opt.hdigest ? ISCSI_HEADER_DIGEST_CRC32C
						   : ISCSI_HEADER_DIGEST_NONE);
	iscsi_set_noautoreconnect(iscsi, 1);
	if (iscsi_full_connect_sync(iscsi, portal, opt.lun) != 0) {
		fail("login", iscsi_get_error(iscsi));
	}
	return iscsi;
}

static void session_close(struct iscsi_context *iscsi)
{
	iscsi_logout_sync(iscsi);
	iscsi_destroy_context(iscsi);
}

static void read_capacity(struct iscsi_context *iscsi)
{
	struct scsi_task *task = iscsi_readcapacity16_sync(iscsi, opt.lun);
	struct scsi_readcapacity16 *rc;

	if (task == NULL || task->status != SCSI_STATUS_GOOD) {
		fail("READ CAPACITY(16)", iscsi_get_error(iscsi));
	}
	rc = scsi_datain_unmarshall(task);
	if (rc == NULL) {
		fail("READ CAPACITY(16)", "no answer");
	}
	capacity = rc->returned_lba + 1;
	block_size = rc->block_length;
	scsi_free_scsi_task(task);
	if (opt.size % block_size != 0 || opt.size / block_size > capacity) {
		fail("size", "the disk is too small, or it is no whole blocks");
	}
}

static void run_until(uint64_t end)
{
	struct pollfd *fds = calloc(opt.sessions, sizeof(*fds));
	unsigned i;

	while (now_ns() < end) {
		for (i = 0; i < opt.sessions; i++) {
			fds[i].fd = iscsi_get_fd(conns[i].iscsi);
			fds[i].events = iscsi_which_events(conns[i].iscsi);
		}
		if (poll(fds, opt.sessions, 100) < 0) {
			fail("poll", strerror(errno));
		}
		for (i = 0; i < opt.sessions; i++) {
			if (fds[i].revents != 0 &&
			    iscsi_service(conns[i].iscsi, fds[i].revents)) {
				fail("service",
				     iscsi_get_error(conns[i].iscsi));
			}
		}
	}
	free(fds);
}

static void conn_open(struct conn *c, unsigned number)
{
	unsigned i;

	c->iscsi = session_open();
	read_capacity(c->iscsi);
	c->next_lba = capacity / opt.sessions * number;
	c->commands = calloc(opt.depth, sizeof(*c->commands));
	for (i = 0; i < opt.depth; i++) {
		c->commands[i].conn = c;
		c->commands[i].iov.iov_len = opt.size;
		c->commands[i].iov.iov_base = malloc(opt.size);
		memset(c->commands[i].iov.iov_base, (int)i, opt.size);
	}
}

static void run_load(void)
{
	uint64_t start, cpu, own;
	unsigned i, k;

	conns = calloc(opt.sessions, sizeof(*conns));
	for (i = 0; i < opt.sessions; i++) {
		conn_open(&conns[i], i);
	}
	for (i = 0; i < opt.sessions; i++) {
		for (k = 0; k < opt.depth; k++) {
			issue(&conns[i].commands[k]);
		}
	}
	run_until(now_ns() + (uint64_t)(opt.warmup * 1e9));
	latency_reset();
	completed = errors = 0;
	cpu = cpu_ns(opt.pid);
	own = cpu_ns(getpid());
	start = now_ns();
	run_until(start + (uint64_t)(opt.seconds * 1e9));
	print_load(completed, errors, (now_ns() - start) / 1e9, opt.size,
		   cpu_ns(opt.pid) - cpu, cpu_ns(getpid()) - own);
	stopping = true;
	exit(errors > 0 ? 1 : 0);
}

static void run_logins(void)
{
	uint64_t start = now_ns(), cpu = cpu_ns(opt.pid);
	unsigned i;

	for (i = 0; i < opt.logins; i++) {
		session_close(session_open());
	}
	print_logins(start, cpu);
}

int main(int argc, char **argv)
{
	parse_options(argc, argv);
	if (opt.ddigest || opt.hold) {
		fail("options", "-D and -o are iscsi_load's");
	}
	if (opt.logins > 0) {
		run_logins();
	} else {
		run_load();
	}
	return 0;
}
