/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A batching load generator: many commands per send, many answers per receive,
 * so that it costs a fraction of what it measures. One thread; any number of
 * sessions; reads or writes, random or sequential. Prints one JSON object.
 *
 * Latency is from the send of a command to the parse of its last PDU.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>

#define LOAD_NAME "iscsi_load"
#include "tests/bench/load.h"
#include "tests/bench/wire.h"

#define RX_BUFFER (1u << 20)
#define MAX_IOV	  1024
#define MAX_DSL	  262144 /* what we receive in one PDU */

/* ---- connections ---- */

struct command {
	uint64_t start;
	uint64_t lba;
	uint32_t next_free;
};

/* What is to be sent: headers live in a ring of their own. */
struct header {
	uint8_t bhs[BHS + 4];
	uint8_t ddigest[4];
};

struct conn {
	int fd;
	uint32_t cmd_sn, exp_stat_sn, max_cmd_sn;
	struct command *commands;
	uint32_t free_head;
	unsigned idle; /* free commands */

	uint8_t *rx;
	size_t rx_have;
	size_t rx_skip;	     /* payload still to come that nobody reads */
	uint8_t rx_bhs[BHS]; /* of the PDU that is passed over */

	struct header *headers;
	unsigned num_headers;
	struct iovec iov[MAX_IOV];
	unsigned num_iov;
	size_t sent; /* of iov[0] */
	bool want_out;

	uint64_t next_lba;
	/* negotiated */
	uint32_t max_dsl, first_burst;
	bool immediate, initial_r2t, hd, dd;
};

static struct conn *conns;
static int epfd;
static uint8_t *pattern; /* what writes write */
static uint32_t pattern_crc;
static uint64_t capacity; /* blocks */
static uint32_t block_size;
static uint64_t completed, errors;
static bool stopping;

static void die(const char *what)
{
	fprintf(stderr, "iscsi_load: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void fail(const char *what)
{
	fprintf(stderr, "iscsi_load: %s\n", what);
	exit(1);
}

static int connect_to(void)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *ai;
	int one = 1, fd;

	if (getaddrinfo(opt.host, opt.port, &hints, &ai) != 0) {
		fail("no such host");
	}
	fd = socket(ai->ai_family, SOCK_STREAM, 0);
	if (fd < 0 || connect(fd, ai->ai_addr, ai->ai_addrlen) != 0) {
		die("connect");
	}
	freeaddrinfo(ai);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

static void read_all(int fd, void *buf, size_t len)
{
	uint8_t *p = buf;

	while (len > 0) {
		ssize_t n = read(fd, p, len);

		if (n <= 0) {
			die("read");
		}
		p += n;
		len -= n;
	}
}

static void write_all(int fd, const void *buf, size_t len)
{
	const uint8_t *p = buf;

	while (len > 0) {
		ssize_t n = write(fd, p, len);

		if (n <= 0) {
			die("write");
		}
		p += n;
		len -= n;
	}
}

static void login(struct conn *c, unsigned number)
{
	uint8_t bhs[BHS] = {OP_LOGIN | IMMEDIATE, 0x87};
	char text[8192] = "", value[32];
	size_t len = 0;
	const char *v;

	len = add_key(text, len, "InitiatorName", opt.initiator);
	len = add_key(text, len, "TargetName", opt.target);
	len = add_key(text, len, "SessionType", "Normal");
	len = add_key(text, len, "HeaderDigest",
		      opt.hdigest ? "CRC32C" : "None");
	len = add_key(text, len, "DataDigest", opt.ddigest ? "CRC32C" : "None");
	snprintf(value, sizeof(value), "%u", MAX_DSL);
	len = add_key(text, len, "MaxRecvDataSegmentLength", value);
	len = add_key(text, len, "InitialR2T", "No");
	len = add_key(text, len, "ImmediateData", "Yes");
	len = add_key(text, len, "MaxBurstLength", "1048576");
	len = add_key(text, len, "FirstBurstLength", "262144");
	len = add_key(text, len, "MaxOutstandingR2T", "1");
	len = add_key(text, len, "MaxConnections", "1");
	len = add_key(text, len, "ErrorRecoveryLevel", "0");
	put24(bhs + 5, len);
	bhs[8] = 0x80; /* ISID: random format */
	bhs[9] = 0xbe;
	bhs[12] = number >> 8;
	bhs[13] = number;
	put32(bhs + 16, 1);
	put32(bhs + 24, 1); /* CmdSN */
	write_all(c->fd, bhs, BHS);
	write_all(c->fd, text, pad4(len));

	read_all(c->fd, bhs, BHS);
	len = get24(bhs + 5);
	if (bhs[0] != OP_LOGIN_RSP || len >= sizeof(text)) {
		fail("no login response");
	}
	read_all(c->fd, text, pad4(len));
	text[len] = '\0';
	if (bhs[36] != 0) {
		fprintf(stderr, "iscsi_load: login refused: %02x%02x\n",
			bhs[36], bhs[37]);
		exit(1);
	}
	if ((bhs[1] & 0x83) != 0x83) {
		fail("the target wants more than one login exchange");
	}
	c->exp_stat_sn = get32(bhs + 24) + 1;
	c->cmd_sn = get32(bhs + 28);
	c->max_cmd_sn = get32(bhs + 32);
	v = key_of(text, len, "MaxRecvDataSegmentLength");
	c->max_dsl = v != NULL ? strtoul(v, NULL, 10) : 8192;
	v = key_of(text, len, "FirstBurstLength");
	c->first_burst = v != NULL ? strtoul(v, NULL, 10) : 65536;
	v = key_of(text, len, "ImmediateData");
	c->immediate = v == NULL || strcmp(v, "Yes") == 0;
	v = key_of(text, len, "InitialR2T");
	c->initial_r2t = v == NULL || strcmp(v, "Yes") == 0;
	v = key_of(text, len, "HeaderDigest");
	c->hd = v != NULL && strcmp(v, "CRC32C") == 0;
	v = key_of(text, len, "DataDigest");
	c->dd = v != NULL && strcmp(v, "CRC32C") == 0;
	if (c->hd != opt.hdigest || c->dd != opt.ddigest) {
		fail("the target does not take the digests asked for");
	}
}

static void logout(struct conn *c)
{
	uint8_t bhs[BHS] = {OP_LOGOUT | IMMEDIATE, FINAL};

	put32(bhs + 16, 0x7fffffff);
	put32(bhs + 24, c->cmd_sn);
	put32(bhs + 28, c->exp_stat_sn);
	write_all(c->fd, bhs, BHS);
	read_all(c->fd, bhs, BHS);
	close(c->fd);
}

/* ---- sending ---- */

static void queue(struct conn *c, const void *data, size_t len)
{
	if (c->num_iov == MAX_IOV) {
		fail("the send queue is full");
	}
	c->iov[c->num_iov++] = (struct iovec){(void *)(uintptr_t)data, len};
}

static struct header *new_header(struct conn *c, uint8_t opcode)
{
	struct header *h = &c->headers[c->num_headers++];

	memset(h, 0, sizeof(*h));
	h->bhs[0] = opcode;
	return h;
}

static void queue_pdu(struct conn *c, struct header *h, const uint8_t *data,
		      uint32_t len, uint32_t crc)
{
	put24(h->bhs + 5, len);
	if (c->hd) {
		uint32_t d = crc32c(h->bhs, BHS);

		memcpy(h->bhs + BHS, &d, 4);
	}
	queue(c, h->bhs, BHS + (c->hd ? 4 : 0));
	if (len > 0) {
		queue(c, data, len);
		if (c->dd) {
			memcpy(h->ddigest, &crc, 4);
			queue(c, h->ddigest, 4);
		}
	}
}

static uint32_t crc_of(uint32_t offset, uint32_t len)
{
	return offset == 0 && len == opt.size ? pattern_crc
					      : crc32c(pattern + offset, len);
}

static void data_out(struct conn *c, uint32_t itt, uint32_t ttt,
		     uint32_t offset, uint32_t len)
{
	uint32_t sn = 0;

	while (len > 0) {
		uint32_t n = len < c->max_dsl ? len : c->max_dsl;
		struct header *h = new_header(c, OP_DATA_OUT);

		len -= n;
		h->bhs[1] = len == 0 ? FINAL : 0;
		put64(h->bhs + 8, (uint64_t)opt.lun << 48);
		put32(h->bhs + 16, itt);
		put32(h->bhs + 20, ttt);
		put32(h->bhs + 28, c->exp_stat_sn);
		put32(h->bhs + 36, sn++);
		put32(h->bhs + 40, offset);
		queue_pdu(c, h, pattern + offset, n, crc_of(offset, n));
		offset += n;
	}
}

static void issue(struct conn *c, uint64_t now)
{
	uint32_t itt = c->free_head, blocks = opt.size / block_size, n = 0;
	struct command *cmd = &c->commands[itt];
	struct header *h = new_header(c, OP_SCSI_CMD);

	c->free_head = cmd->next_free;
	c->idle--;
	cmd->start = now;
	if (opt.sequential) {
		if (c->next_lba + blocks > capacity) {
			c->next_lba = 0;
		}
		cmd->lba = c->next_lba;
		c->next_lba += blocks;
	} else {
		cmd->lba = random64() % (capacity / blocks) * blocks;
	}
	h->bhs[1] = FINAL | (opt.write ? 0x20 : 0x40) | 1;
	put64(h->bhs + 8, (uint64_t)opt.lun << 48);
	put32(h->bhs + 16, itt);
	put32(h->bhs + 20, opt.size);
	put32(h->bhs + 24, c->cmd_sn++);
	put32(h->bhs + 28, c->exp_stat_sn);
	h->bhs[32] = opt.write ? 0x8a : 0x88; /* WRITE(16), READ(16) */
	put64(h->bhs + 34, cmd->lba);
	put32(h->bhs + 42, blocks);
	if (opt.write && c->immediate) {
		n = opt.size;
		n = n < c->max_dsl ? n : c->max_dsl;
		n = n < c->first_burst ? n : c->first_burst;
	}
	queue_pdu(c, h, pattern, n, n > 0 ? crc_of(0, n) : 0);
}

static void flush(struct conn *c)
{
	while (c->num_iov > 0) {
		struct msghdr msg = {.msg_iov = c->iov,
				     .msg_iovlen = c->num_iov};
		ssize_t n = sendmsg(c->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
		unsigned i = 0;

		if (n < 0 && errno == EAGAIN) {
			break;
		}
		if (n < 0) {
			die("send");
		}
		while (i < c->num_iov && (size_t)n >= c->iov[i].iov_len) {
			n -= c->iov[i++].iov_len;
		}
		c->num_iov -= i;
		memmove(c->iov, c->iov + i, c->num_iov * sizeof(c->iov[0]));
		if (n > 0) {
			c->iov[0].iov_base = (uint8_t *)c->iov[0].iov_base + n;
			c->iov[0].iov_len -= n;
		}
	}
	if (c->num_iov == 0) {
		c->num_headers = 0;
	}
	if ((c->num_iov > 0) != c->want_out) {
		struct epoll_event ev = {.data.ptr = c};

		c->want_out = c->num_iov > 0;
		ev.events = EPOLLIN | (c->want_out ? EPOLLOUT : 0);
		epoll_ctl(epfd, EPOLL_CTL_MOD, c->fd, &ev);
	}
}

static void fill(struct conn *c)
{
	uint64_t now;

	/* What waits in the queue refers to the headers: no wrap-around. */
	if (c->num_iov > MAX_IOV / 4 || c->idle == 0 || stopping) {
		return;
	}
	now = now_ns();
	while (c->idle > 0 && (int32_t)(c->max_cmd_sn - c->cmd_sn) >= 0 &&
	       c->num_iov < MAX_IOV - 8 && c->num_headers < MAX_IOV) {
		issue(c, now);
	}
}

/* ---- receiving ---- */

static void command_done(struct conn *c, uint32_t itt, uint8_t status,
			 uint64_t now)
{
	struct command *cmd;

	if (itt >= opt.depth) {
		fail("an answer to nothing");
	}
	cmd = &c->commands[itt];
	if (status != 0) {
		errors++;
	}
	latency_add(now - cmd->start);
	completed++;
	cmd->next_free = c->free_head;
	c->free_head = itt;
	c->idle++;
}

static void handle(struct conn *c, const uint8_t *bhs, uint64_t now)
{
	uint32_t itt = get32(bhs + 16);

	switch (bhs[0] & 0x3f) {
	case OP_DATA_IN:
		if (!(bhs[1] & 0x01)) {
			break; /* no status yet */
		}
		/* fall through */
	case OP_SCSI_RSP:
		c->exp_stat_sn = get32(bhs + 24) + 1;
		c->max_cmd_sn = get32(bhs + 32);
		command_done(c, itt, bhs[3], now);
		break;
	case OP_R2T:
		c->max_cmd_sn = get32(bhs + 32);
		data_out(c, itt, get32(bhs + 20), get32(bhs + 40),
			 get32(bhs + 44));
		break;
	case OP_NOP_IN:
		if (get32(bhs + 20) != 0xffffffff) {
			struct header *h =
				new_header(c, OP_NOP_OUT | IMMEDIATE);

			h->bhs[1] = FINAL;
			memcpy(h->bhs + 8, bhs + 8, 8);
			put32(h->bhs + 16, 0xffffffff);
			memcpy(h->bhs + 20, bhs + 20, 4);
			put32(h->bhs + 24, c->cmd_sn);
			put32(h->bhs + 28, c->exp_stat_sn);
			queue_pdu(c, h, NULL, 0, 0);
		}
		break;
	default:
		fprintf(stderr, "iscsi_load: opcode 0x%02x\n", bhs[0]);
		exit(1);
	}
}

/* Payload is passed over without looking, except for its digest. */
static void parse(struct conn *c, uint64_t now)
{
	size_t at = 0, overhead = BHS + (c->hd ? 4 : 0);

	if (c->rx_skip > 0) {
		at = c->rx_skip < c->rx_have ? c->rx_skip : c->rx_have;
		c->rx_skip -= at;
		if (c->rx_skip > 0) {
			c->rx_have = 0;
			return;
		}
		handle(c, c->rx_bhs, now);
	}
	while (c->rx_have - at >= overhead) {
		const uint8_t *bhs = c->rx + at;
		uint32_t len = get24(bhs + 5);
		size_t total =
			overhead + pad4(len) + (c->dd && len > 0 ? 4 : 0);

		if (c->hd) {
			uint32_t d;

			memcpy(&d, bhs + BHS, 4);
			if (d != crc32c(bhs, BHS)) {
				fail("wrong header digest");
			}
		}
		if (c->rx_have - at < total) {
			if (c->dd) {
				break; /* all of it is needed */
			}
			/* Not before all of it is here: the tag is in use. */
			memcpy(c->rx_bhs, bhs, BHS);
			c->rx_skip = total - (c->rx_have - at);
			at = c->rx_have;
			break;
		}
		if (c->dd && len > 0) {
			uint32_t d;

			memcpy(&d, bhs + total - 4, 4);
			if (d != crc32c(bhs + overhead, pad4(len))) {
				fail("wrong data digest");
			}
		}
		handle(c, bhs, now);
		at += total;
	}
	c->rx_have -= at;
	memmove(c->rx, c->rx + at, c->rx_have);
}

static void receive(struct conn *c)
{
	for (;;) {
		size_t room = RX_BUFFER - c->rx_have;
		ssize_t n = recv(c->fd, c->rx + c->rx_have, room, MSG_DONTWAIT);

		if (n == 0) {
			fail("the target has closed the connection");
		}
		if (n < 0) {
			if (errno != EAGAIN) {
				die("receive");
			}
			return;
		}
		c->rx_have += n;
		parse(c, now_ns());
		if ((size_t)n < room) {
			return;
		}
	}
}

/* ---- the run ---- */

static void read_capacity(struct conn *c)
{
	uint8_t bhs[BHS + 4] = {OP_SCSI_CMD, FINAL | 0x40 | 1}, data[4096];
	unsigned tries;

	for (tries = 0; tries < 8; tries++) {
		size_t extra = c->hd ? 4 : 0;
		uint32_t len;

		memset(bhs, 0, sizeof(bhs));
		bhs[0] = OP_SCSI_CMD;
		bhs[1] = FINAL | 0x40 | 1;
		put64(bhs + 8, (uint64_t)opt.lun << 48);
		put32(bhs + 20, 32);
		put32(bhs + 24, c->cmd_sn++);
		put32(bhs + 28, c->exp_stat_sn);
		bhs[32] = 0x9e; /* READ CAPACITY(16) */
		bhs[33] = 0x10;
		put32(bhs + 42, 32);
		if (c->hd) {
			uint32_t d = crc32c(bhs, BHS);

			memcpy(bhs + BHS, &d, 4);
		}
		write_all(c->fd, bhs, BHS + extra);
		capacity = 0;
		for (;;) {
			uint8_t status;

			read_all(c->fd, bhs, BHS + extra);
			len = get24(bhs + 5);
			if (len > sizeof(data) - 8) {
				fail("READ CAPACITY: too much data");
			}
			read_all(c->fd, data,
				 pad4(len) + (c->dd && len > 0 ? 4 : 0));
			if ((bhs[0] & 0x3f) == OP_DATA_IN && len >= 12) {
				capacity = get64(data) + 1;
				block_size = get32(data + 8);
			}
			if ((bhs[0] & 0x3f) == OP_DATA_IN && !(bhs[1] & 1)) {
				continue;
			}
			status = bhs[3];
			c->exp_stat_sn = get32(bhs + 24) + 1;
			c->max_cmd_sn = get32(bhs + 32);
			if (status == 0 && capacity > 0) {
				return;
			}
			break; /* a unit attention: once more */
		}
	}
	fail("READ CAPACITY(16) does not succeed");
}

static void conn_open(struct conn *c, unsigned number)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};
	unsigned i;

	memset(c, 0, sizeof(*c));
	c->fd = connect_to();
	login(c, number);
	c->commands = calloc(opt.depth, sizeof(*c->commands));
	c->headers = calloc(2 * MAX_IOV, sizeof(*c->headers));
	c->rx = malloc(RX_BUFFER);
	if (c->commands == NULL || c->headers == NULL || c->rx == NULL) {
		fail("out of memory");
	}
	for (i = 0; i < opt.depth; i++) {
		c->commands[i].next_free = i + 1;
	}
	c->idle = opt.depth;
	read_capacity(c);
	c->next_lba = capacity / opt.sessions * number;
	epoll_ctl(epfd, EPOLL_CTL_ADD, c->fd, &ev);
}

static void run_until(uint64_t end)
{
	struct epoll_event events[64];

	while (now_ns() < end) {
		int i, n = epoll_wait(epfd, events, 64, 100);

		for (i = 0; i < n; i++) {
			struct conn *c = events[i].data.ptr;

			if (events[i].events & ~EPOLLOUT) {
				receive(c);
			}
			fill(c);
			flush(c);
		}
	}
}

static void run_logins(void)
{
	uint64_t start = now_ns(), cpu = cpu_ns(opt.pid);
	unsigned i;

	for (i = 0; i < opt.logins; i++) {
		struct conn c = {.fd = connect_to()};

		login(&c, i);
		logout(&c);
	}
	print_logins(start, cpu);
}

static void run_load(void)
{
	uint64_t start, cpu, own;
	double s;
	unsigned i;

	conns = calloc(opt.sessions, sizeof(*conns));
	pattern = malloc(opt.size);
	for (i = 0; i < opt.size; i++) {
		pattern[i] = random64();
	}
	pattern_crc = crc32c(pattern, opt.size);
	epfd = epoll_create1(0);
	for (i = 0; i < opt.sessions; i++) {
		conn_open(&conns[i], i);
	}
	if (opt.size % block_size != 0 || opt.size / block_size > capacity) {
		fail("the disk is too small, or the size is no whole blocks");
	}
	if (opt.hold) {
		printf("open\n");
		fflush(stdout);
		while (read(STDIN_FILENO, pattern, opt.size) > 0) {
		}
		exit(0);
	}
	for (i = 0; i < opt.sessions; i++) {
		fill(&conns[i]);
		flush(&conns[i]);
	}
	run_until(now_ns() + (uint64_t)(opt.warmup * 1e9));
	latency_reset();
	completed = errors = 0;
	cpu = cpu_ns(opt.pid);
	own = cpu_ns(getpid());
	start = now_ns();
	run_until(start + (uint64_t)(opt.seconds * 1e9));
	s = (now_ns() - start) / 1e9;
	print_load(completed, errors, s, opt.size, cpu_ns(opt.pid) - cpu,
		   cpu_ns(getpid()) - own);
	exit(errors > 0 ? 1 : 0);
}

int main(int argc, char **argv)
{
	parse_options(argc, argv);
	if (opt.depth > 128) {
		fail("more commands at once than a session may have");
	}
	if (opt.logins > 0) {
		run_logins();
		return 0;
	}
	run_load();
	return 0;
}
