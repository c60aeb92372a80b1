/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The limit: answers as a target does, and does nothing else. Reads are sent
 * from memory, writes are received into it; no SCSI but what a load generator
 * asks, no checks, one thread. A batch of commands costs three system calls:
 * epoll_wait, read, sendmsg. What a real target costs beyond this is its own.
 *
 *   iscsi_responder [-a ADDRESS] [-p PORT] [-m MIB]
 *
 * Commands of up to 256 KiB, all data of a write with the command.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tests/bench/wire.h"

#define BLOCK	  512
#define MAX_DSL	  262144
#define RX_BUFFER (1u << 20)
#define WINDOW	  128
#define MAX_OUT	  1024
#define MAX_IOV	  1024
#define EVENTS	  128

struct out {
	uint8_t bhs[BHS + 4];
	uint8_t ddigest[4];
	uint8_t data[128]; /* what is not the disk's */
};

struct conn {
	int fd;
	bool full, hd, dd, want_out;
	uint32_t stat_sn, exp_cmd_sn, max_dsl;

	uint8_t *rx;
	size_t have;
	/* Payload whose header has been handled: it goes where it belongs. */
	uint8_t *dest;
	size_t dest_left;

	struct out *outs;
	unsigned num_outs;
	struct iovec iov[MAX_IOV];
	unsigned first_iov, num_iov;
};

static uint8_t *disk;
static uint64_t disk_size;
static int epfd;

static void die(const char *what)
{
	fprintf(stderr, "iscsi_responder: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void conn_close(struct conn *c)
{
	close(c->fd);
	free(c->outs);
	munmap(c->rx, RX_BUFFER);
	free(c);
}

/* ---- answers ---- */

static void queue(struct conn *c, const void *data, size_t len)
{
	struct iovec *last = &c->iov[c->num_iov - 1];

	if (c->num_iov > c->first_iov &&
	    (uint8_t *)last->iov_base + last->iov_len == data) {
		last->iov_len += len;
		return;
	}
	c->iov[c->num_iov++] = (struct iovec){(void *)(uintptr_t)data, len};
}

static struct out *answer(struct conn *c, uint8_t opcode, const uint8_t *to)
{
	struct out *o = &c->outs[c->num_outs++];

	memset(o->bhs, 0, BHS);
	o->bhs[0] = opcode;
	o->bhs[1] = FINAL;
	memcpy(o->bhs + 16, to + 16, 4);
	put32(o->bhs + 28, c->exp_cmd_sn);
	put32(o->bhs + 32, c->exp_cmd_sn + WINDOW - 1);
	return o;
}

static void send_pdu(struct conn *c, struct out *o, const void *data,
		     uint32_t len)
{
	static const uint8_t zeroes[4];

	put24(o->bhs + 5, len);
	if (c->hd) {
		uint32_t crc = crc32c(o->bhs, BHS);

		memcpy(o->bhs + BHS, &crc, 4);
	}
	queue(c, o->bhs, BHS + (c->hd ? 4 : 0));
	if (len == 0) {
		return;
	}
	queue(c, data, len);
	if (len & 3) {
		queue(c, zeroes, -len & 3);
	}
	if (c->dd) {
		uint32_t crc = ~crc32c_update(crc32c_update(~0u, data, len),
					      zeroes, -len & 3);

		memcpy(o->ddigest, &crc, 4);
		queue(c, o->ddigest, 4);
	}
}

static void send_data(struct conn *c, const uint8_t *cmd, const uint8_t *data,
		      uint32_t len)
{
	uint32_t expected = get32(cmd + 20), at = 0, sn = 0;

	do {
		struct out *o = answer(c, OP_DATA_IN, cmd);
		uint32_t n = len - at < c->max_dsl ? len - at : c->max_dsl;

		put32(o->bhs + 20, 0xffffffff);
		put32(o->bhs + 36, sn++);
		put32(o->bhs + 40, at);
		o->bhs[1] = 0;
		if (at + n == len) {
			o->bhs[1] = FINAL | 1; /* with the status, GOOD */
			put32(o->bhs + 24, c->stat_sn++);
			if (len < expected) {
				o->bhs[1] |= 2; /* residual underflow */
				put32(o->bhs + 44, expected - len);
			}
		}
		send_pdu(c, o, data + at, n);
		at += n;
	} while (at < len);
}

static void send_status(struct conn *c, const uint8_t *cmd, uint8_t status)
{
	struct out *o = answer(c, OP_SCSI_RSP, cmd);

	o->bhs[3] = status;
	put32(o->bhs + 24, c->stat_sn++);
	send_pdu(c, o, NULL, 0);
}

static void read_capacity(struct conn *c, const uint8_t *cmd)
{
	uint8_t *data = c->outs[c->num_outs].data;

	memset(data, 0, 32);
	put64(data, disk_size / BLOCK - 1);
	put32(data + 8, BLOCK);
	send_data(c, cmd, data, 32);
}

/* ---- requests ---- */

static bool offered(const char *text, size_t len, const char *key,
		    const char *value)
{
	const char *end = text + len;
	size_t n = strlen(key);

	for (; text < end; text += strnlen(text, end - text) + 1) {
		if (strncmp(text, key, n) == 0 && text[n] == '=') {
			return strstr(text + n, value) != NULL;
		}
	}
	return false;
}

/* Every login is taken, in one exchange. */
static void login(struct conn *c, const uint8_t *bhs, const char *text)
{
	size_t len = get24(bhs + 5);
	char reply[512];
	bool hd = offered(text, len, "HeaderDigest", "CRC32C");
	bool dd = offered(text, len, "DataDigest", "CRC32C");
	static char key[] = "MaxRecvDataSegmentLength=";
	const char *max = memmem(text, len, key, sizeof(key) - 1);
	struct out *o = answer(c, OP_LOGIN_RSP, bhs);
	char *copy;
	int n;

	c->max_dsl =
		max != NULL ? strtoul(max + sizeof(key) - 1, NULL, 10) : 8192;
	c->exp_cmd_sn = get32(bhs + 24);
	c->stat_sn = 1;
	n = snprintf(reply, sizeof(reply),
		     "TargetPortalGroupTag=1%cHeaderDigest=%s%cDataDigest=%s%c"
		     "MaxRecvDataSegmentLength=%u%cInitialR2T=No%c"
		     "ImmediateData=Yes%cFirstBurstLength=%u%c"
		     "MaxBurstLength=%u%cMaxOutstandingR2T=1%c"
		     "MaxConnections=1%cErrorRecoveryLevel=0%c"
		     "DataPDUInOrder=Yes%cDataSequenceInOrder=Yes",
		     0, hd ? "CRC32C" : "None", 0, dd ? "CRC32C" : "None", 0,
		     MAX_DSL, 0, 0, 0, MAX_DSL, 0, MAX_DSL, 0, 0, 0, 0, 0) +
	    1;
	/* In the operational stage whatever was asked for: to full feature. */
	o->bhs[1] = 0x80 | (bhs[1] & 0x0c) | 3;
	memcpy(o->bhs + 8, bhs + 8, 6); /* ISID */
	put24(o->bhs + 12, 0);
	o->bhs[14] = 0;
	o->bhs[15] = 1; /* TSIH */
	put32(o->bhs + 24, c->stat_sn++);
	put32(o->bhs + 28, c->exp_cmd_sn);
	put32(o->bhs + 32, c->exp_cmd_sn + WINDOW - 1);
	copy = (char *)c->rx + RX_BUFFER - sizeof(reply);
	memcpy(copy, reply, n);
	send_pdu(c, o, copy, n);
	c->full = true;
	c->hd = hd;
	c->dd = dd;
}

/* @return where the payload goes, NULL: nowhere */
static uint8_t *scsi(struct conn *c, const uint8_t *bhs)
{
	uint64_t at = get64(bhs + 34) * BLOCK;
	uint64_t len = (uint64_t)get32(bhs + 42) * BLOCK;
	bool there = len <= MAX_DSL && at <= disk_size - len;

	if (!(bhs[0] & IMMEDIATE)) {
		c->exp_cmd_sn++;
	}
	switch (bhs[32]) {
	case 0x88: /* READ(16) */
		if (there) {
			send_data(c, bhs, disk + at, len);
			return NULL;
		}
		break;
	case 0x8a: /* WRITE(16) */
		if (there && get24(bhs + 5) == len) {
			/* Queued now, sent when all has been received. */
			send_status(c, bhs, 0);
			return disk + at;
		}
		break;
	case 0x9e: /* READ CAPACITY(16) */
		read_capacity(c, bhs);
		return NULL;
	case 0x00: /* TEST UNIT READY */
		send_status(c, bhs, 0);
		return NULL;
	}
	fprintf(stderr, "iscsi_responder: refuses CDB %02x of %llu bytes\n",
		bhs[32], (unsigned long long)len);
	send_status(c, bhs, 2);
	return NULL;
}

static bool handle(struct conn *c, const uint8_t *bhs, const uint8_t *payload,
		   uint8_t **dest)
{
	struct out *o;

	*dest = NULL;
	switch (bhs[0] & 0x3f) {
	case OP_LOGIN:
		login(c, bhs, (const char *)payload);
		return true;
	case OP_SCSI_CMD:
		*dest = scsi(c, bhs);
		return true;
	case OP_NOP_OUT:
		o = answer(c, OP_NOP_IN, bhs);
		put32(o->bhs + 20, 0xffffffff);
		put32(o->bhs + 24, c->stat_sn++);
		send_pdu(c, o, NULL, 0);
		return true;
	case OP_LOGOUT:
		o = answer(c, OP_LOGOUT_RSP, bhs);
		put32(o->bhs + 24, c->stat_sn++);
		send_pdu(c, o, NULL, 0);
		return true;
	}
	return false;
}

/* All PDUs received; of the last one the header may be enough. */
static bool parse(struct conn *c)
{
	size_t at = 0, overhead = BHS + (c->hd ? 4 : 0);

	while (c->have - at >= overhead) {
		const uint8_t *bhs = c->rx + at, *payload = bhs + overhead;
		uint32_t len = get24(bhs + 5), padded = pad4(len);
		size_t total = overhead + padded + (c->dd && len > 0 ? 4 : 0);
		uint8_t *dest;

		if (total > RX_BUFFER / 2 || c->num_outs > MAX_OUT - 64 ||
		    c->num_iov > MAX_IOV - 256) {
			return false;
		}
		if (c->have - at < total &&
		    (c->dd || (bhs[0] & 0x3f) != OP_SCSI_CMD)) {
			break; /* all of it is needed */
		}
		if (c->hd) {
			uint32_t crc = crc32c(bhs, BHS);

			if (memcmp(&crc, bhs + BHS, 4) != 0) {
				return false;
			}
		}
		if (c->dd && len > 0) {
			uint32_t crc = crc32c(payload, padded);

			if (memcmp(&crc, payload + padded, 4) != 0) {
				return false;
			}
		}
		if (!handle(c, bhs, payload, &dest)) {
			return false;
		}
		if (c->have - at < total) {
			size_t part = c->have - at - overhead;

			/* Whole blocks: no padding. */
			if (dest == NULL) {
				return false;
			}
			memcpy(dest, payload, part);
			c->dest = dest + part;
			c->dest_left = len - part;
			at = c->have;
			break;
		}
		if (dest != NULL) {
			memcpy(dest, payload, len);
		}
		at += total;
		overhead = BHS + (c->hd ? 4 : 0); /* a login changes it */
	}
	c->have -= at;
	memmove(c->rx, c->rx + at, c->have);
	return true;
}

static bool receive(struct conn *c)
{
	for (;;) {
		size_t room = RX_BUFFER / 2 - c->have;
		struct iovec iov[2] = {{c->dest, c->dest_left},
				       {c->rx + c->have, room}};
		bool direct = c->dest_left > 0;
		size_t asked = room + c->dest_left;
		ssize_t n = direct ? readv(c->fd, iov, 2)
				   : read(c->fd, iov[1].iov_base, room);

		if (n == 0 || (n < 0 && errno != EAGAIN)) {
			return false;
		}
		if (n < 0) {
			return true;
		}
		if (direct) {
			size_t part = (size_t)n < c->dest_left ? (size_t)n
							       : c->dest_left;

			c->dest += part;
			c->dest_left -= part;
			c->have += n - part;
		} else {
			c->have += n;
		}
		if (!parse(c)) {
			return false;
		}
		if ((size_t)n < asked) {
			return true;
		}
	}
}

static bool flush(struct conn *c)
{
	/* The status of a write is last in the queue; it has to wait. */
	if (c->dest_left > 0) {
		return true;
	}
	while (c->first_iov < c->num_iov) {
		struct msghdr msg = {.msg_iov = c->iov + c->first_iov,
				     .msg_iovlen = c->num_iov - c->first_iov};
		ssize_t n = sendmsg(c->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno != EAGAIN) {
			return false;
		}
		if (n < 0) {
			break;
		}
		while (c->first_iov < c->num_iov &&
		       (size_t)n >= c->iov[c->first_iov].iov_len) {
			n -= c->iov[c->first_iov++].iov_len;
		}
		if (n > 0) {
			struct iovec *iov = &c->iov[c->first_iov];

			iov->iov_base = (uint8_t *)iov->iov_base + n;
			iov->iov_len -= n;
		}
	}
	if (c->first_iov == c->num_iov) {
		c->first_iov = c->num_iov = c->num_outs = 0;
	}
	if ((c->num_iov > 0) != c->want_out) {
		struct epoll_event ev = {.data.ptr = c};

		c->want_out = c->num_iov > 0;
		/* Until the answers are gone no more questions. */
		ev.events = c->want_out ? EPOLLOUT : EPOLLIN;
		epoll_ctl(epfd, EPOLL_CTL_MOD, c->fd, &ev);
	}
	return true;
}

static void conn_accept(int listener)
{
	struct conn *c = calloc(1, sizeof(*c));
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};
	int one = 1;

	if (c == NULL) {
		die("memory");
	}
	c->fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (c->fd < 0) {
		free(c);
		return;
	}
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	c->outs = calloc(MAX_OUT, sizeof(*c->outs));
	c->rx = mmap(NULL, RX_BUFFER, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (c->outs == NULL || c->rx == MAP_FAILED) {
		die("memory");
	}
	epoll_ctl(epfd, EPOLL_CTL_ADD, c->fd, &ev);
}

static void serve(int listener)
{
	struct epoll_event events[EVENTS], ev = {.events = EPOLLIN};

	epfd = epoll_create1(EPOLL_CLOEXEC);
	epoll_ctl(epfd, EPOLL_CTL_ADD, listener, &ev);
	for (;;) {
		int i, n = epoll_wait(epfd, events, EVENTS, -1);

		for (i = 0; i < n; i++) {
			struct conn *c = events[i].data.ptr;

			if (c == NULL) {
				conn_accept(listener);
			} else if ((!c->want_out && !receive(c)) || !flush(c)) {
				conn_close(c);
			}
		}
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_in in = {.sin_family = AF_INET,
				 .sin_port = htons(3260)};
	int o, one = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
	uint64_t i;

	inet_pton(AF_INET, "127.0.0.1", &in.sin_addr);
	disk_size = 1ull << 30;
	while ((o = getopt(argc, argv, "a:p:m:")) > 0) {
		if (o == 'a' && inet_pton(AF_INET, optarg, &in.sin_addr) == 1) {
			continue;
		} else if (o == 'p') {
			in.sin_port = htons(strtoul(optarg, NULL, 10));
		} else if (o == 'm') {
			disk_size = strtoull(optarg, NULL, 10) << 20;
		} else {
			fprintf(stderr, "usage: iscsi_responder [-a ADDRESS]"
					" [-p PORT] [-m MIB]\n");
			return 2;
		}
	}
	disk = mmap(NULL, disk_size, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (disk == MAP_FAILED) {
		die("memory for the disk");
	}
	/* Pages of its own, not one of zeroes that the cache holds. */
	for (i = 0; i < disk_size; i += 8) {
		put64(disk + i, i);
	}
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(listener, (struct sockaddr *)&in, sizeof(in)) != 0 ||
	    listen(listener, 1024) != 0) {
		die("listen");
	}
	printf("serves\n");
	fflush(stdout);
	serve(listener);
	return 0;
}
