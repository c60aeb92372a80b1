/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * An initiator for the bench, which sends what a test says, right or wrong:
 * connections, PDUs, logins.
 */
#ifndef ISCSI_PEER_H
#define ISCSI_PEER_H

#include "target_iscsi_bench.h"

#include <netinet/tcp.h>

#include "target/iscsi_crc32c.h"
#include "target/iscsi_text.h"

/* ---- connections ---- */

struct peer {
	int fd;
	uint32_t cmdsn, statsn, itt;
	uint32_t expstatsn; /* what it acknowledges */
	bool answers;	    /* pings, while another one is read */
	bool header_digest, data_digest;
	uint8_t isid[6];
	uint16_t tsih, cid;
	/* What was received last. */
	uint8_t bhs[48];
	uint32_t len;
	uint8_t data[300000];
};

/* Those that answer pings at any time, if nothing else is to be read before. */
static struct peer *bench_peers[64];
static unsigned bench_num_peers;

static UNUSED void peer_answers(struct peer *p)
{
	assert_in_range(bench_num_peers, 0, 63);
	p->answers = true;
	bench_peers[bench_num_peers++] = p;
}

/* @param address own one, in host byte order; 0: any */
static UNUSED struct peer *peer_connect_from(struct bench *b, uint32_t address)
{
	struct sockaddr_in from = {.sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(address)};
	struct peer *p = calloc(1, sizeof(*p));
	int one = 1;

	assert_non_null(p);
	p->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(p->fd, (struct sockaddr *)&from, sizeof(from)),
			 0);
	assert_int_equal(connect(p->fd, (struct sockaddr *)&b->addr,
				 sizeof(b->addr)),
			 0);
	setsockopt(p->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	p->cmdsn = 100;
	p->itt = 1;
	p->isid[0] = 0x80; /* random format */
	p->isid[5] = 1;
	p->cid = 7;
	return p;
}

static UNUSED struct peer *peer_connect(struct bench *b)
{
	return peer_connect_from(b, 0);
}

static UNUSED void peer_close(struct peer *p)
{
	for (unsigned i = 0; i < bench_num_peers; i++) {
		if (bench_peers[i] == p) {
			bench_peers[i] = bench_peers[--bench_num_peers];
		}
	}
	close(p->fd);
	free(p);
}

static UNUSED void peer_write(struct peer *p, const void *data, size_t len)
{
	const char *c = data;

	while (len) {
		ssize_t n = send(p->fd, c, len, MSG_NOSIGNAL);

		assert_true(n > 0);
		c += n;
		len -= (size_t)n;
	}
}

static void answer_pings(void);

/* What the main thread does while it waits for an answer; may be NULL. */
static void (*bench_waits)(void);

/* @return false at the end of the stream */
static bool peer_read(struct peer *p, void *data, size_t len)
{
	char *c = data;

	while (len) {
		struct pollfd pfd = {.fd = p->fd, .events = POLLIN};
		unsigned waited = 0;
		ssize_t n;

		while (poll(&pfd, 1, 10) == 0) {
			waited += 10;
			assert_in_range(waited, 0, PATIENCE_MS);
			answer_pings();
			if (bench_waits) {
				bench_waits();
			}
		}
		n = recv(p->fd, c, len, 0);
		if (n <= 0) {
			return false;
		}
		c += n;
		len -= (size_t)n;
	}
	return true;
}

/* Wait for something from the target, or the end of the stream. @return
 * whether it has come */
static UNUSED bool peer_wait(struct peer *p, int ms)
{
	struct pollfd pfd = {.fd = p->fd, .events = POLLIN};

	return poll(&pfd, 1, ms) != 0;
}

/* Let time pass until there is something to read. Whoever else owes the target
 * an answer is late then. */
static UNUSED void peer_pass_time(struct peer *p)
{
	for (unsigned waited = 0; !peer_wait(p, 10); waited += 10) {
		assert_in_range(waited, 0, PATIENCE_MS);
		bench_pass(1);
	}
}

/* The connection has been closed, and nothing came before. */
static UNUSED void peer_expect_close(struct peer *p)
{
	char c;

	assert_false(peer_read(p, &c, 1));
}

static UNUSED void peer_send(struct peer *p, uint8_t *bhs, const void *data,
			     uint32_t len)
{
	static const uint8_t pad[3];
	uint8_t digest[4];
	uint32_t crc;

	put_be24(bhs + 5, len);
	if ((bhs[0] & ISCSI_OP_MASK) != ISCSI_OP_LOGIN) {
		put_be32(bhs + 28, p->expstatsn);
	}
	peer_write(p, bhs, 48);
	if (p->header_digest) {
		crc = iscsi_crc32c_update(ISCSI_CRC32C_INIT, bhs, 48);
		iscsi_crc32c_finish(crc, digest);
		peer_write(p, digest, 4);
	}
	if (len == 0) {
		return;
	}
	peer_write(p, data, len);
	peer_write(p, pad, -len & 3);
	if (p->data_digest) {
		crc = iscsi_crc32c_update(ISCSI_CRC32C_INIT, data, len);
		crc = iscsi_crc32c_update(crc, pad, -len & 3);
		iscsi_crc32c_finish(crc, digest);
		peer_write(p, digest, 4);
	}
}

/* The answer to a ping, and with it an acknowledgement. */
static void peer_pong(struct peer *p)
{
	uint8_t bhs[48] = {ISCSI_OP_NOP_OUT | ISCSI_OP_IMMEDIATE, 0x80};

	memcpy(bhs + 8, p->bhs + 8, 8);
	put_be32(bhs + 16, ISCSI_TAG_NONE);
	memcpy(bhs + 20, p->bhs + 20, 4);
	put_be32(bhs + 24, p->cmdsn);
	peer_send(p, bhs, NULL, 0);
}

static bool is_ping(const uint8_t *bhs)
{
	return (bhs[0] & ISCSI_OP_MASK) == ISCSI_OP_NOP_IN &&
	       get_be32(bhs + 16) == ISCSI_TAG_NONE &&
	       get_be32(bhs + 20) != ISCSI_TAG_NONE;
}

static int peer_recv_any(struct peer *p);

static void answer_pings(void)
{
	for (unsigned i = 0; i < bench_num_peers; i++) {
		struct peer *p = bench_peers[i];
		uint8_t bhs[48];

		if (p->answers &&
		    recv(p->fd, bhs, 48, MSG_PEEK | MSG_DONTWAIT) == 48 &&
		    is_ping(bhs)) {
			peer_recv_any(p);
			peer_pong(p);
		}
	}
}

/* Does it use up a StatSN? */
static bool is_numbered(const uint8_t *bhs)
{
	switch (bhs[0] & ISCSI_OP_MASK) {
	case ISCSI_OP_DATA_IN:
		return bhs[1] & ISCSI_DATA_STATUS;
	case ISCSI_OP_R2T:
		return false;
	case ISCSI_OP_NOP_IN:
		return get_be32(bhs + 16) != ISCSI_TAG_NONE;
	default:
		return true;
	}
}

/* @return the opcode, or -1 at the end of the stream */
static UNUSED int peer_recv(struct peer *p)
{
	int op;

	while ((op = peer_recv_any(p)) >= 0 && p->answers && is_ping(p->bhs)) {
		peer_pong(p);
	}
	return op;
}

static int peer_recv_any(struct peer *p)
{
	uint8_t digest[4], want[4], pad[3];
	uint32_t crc;

	if (!peer_read(p, p->bhs, 48)) {
		return -1;
	}
	if (p->header_digest) {
		assert_true(peer_read(p, digest, 4));
		crc = iscsi_crc32c_update(ISCSI_CRC32C_INIT, p->bhs, 48);
		iscsi_crc32c_finish(crc, want);
		assert_memory_equal(digest, want, 4);
	}
	if (is_numbered(p->bhs)) {
		p->expstatsn = get_be32(p->bhs + 24) + 1;
	}
	p->len = get_be24(p->bhs + 5);
	assert_in_range(p->len, 0, sizeof(p->data));
	if (p->len) {
		assert_true(peer_read(p, p->data, p->len));
		assert_true(peer_read(p, pad, -p->len & 3));
		if (p->data_digest) {
			assert_true(peer_read(p, digest, 4));
			crc = iscsi_crc32c_update(ISCSI_CRC32C_INIT, p->data,
						  p->len);
			crc = iscsi_crc32c_update(crc, pad, -p->len & 3);
			iscsi_crc32c_finish(crc, want);
			assert_memory_equal(digest, want, 4);
		}
	}
	return p->bhs[0] & 0x3f;
}

static UNUSED void peer_expect(struct peer *p, int opcode)
{
	assert_int_equal(peer_recv(p), opcode);
}

/* ---- login ---- */

/* A text of pairs: "A=1;B=2" with the semicolons as NULs. */
static UNUSED size_t text_of(const char *pairs, char *out)
{
	size_t len = strlen(pairs);

	for (size_t i = 0; i < len; i++) {
		out[i] = pairs[i] == ';' ? '\0' : pairs[i];
	}
	out[len] = '\0';
	return len ? len + 1 : 0;
}

/* One login request. @return the status; the answer's text is in p->data */
static UNUSED int peer_login_step(struct peer *p, uint8_t flags,
				  const char *pairs)
{
	uint8_t bhs[48] = {ISCSI_OP_LOGIN | ISCSI_OP_IMMEDIATE, flags};
	char text[8192];
	size_t len = text_of(pairs, text);

	memcpy(bhs + 8, p->isid, 6);
	put_be16(bhs + 14, p->tsih);
	put_be32(bhs + 16, p->itt);
	put_be16(bhs + 20, p->cid);
	put_be32(bhs + 24, p->cmdsn);
	put_be32(bhs + 28, p->statsn);
	peer_send(p, bhs, text, (uint32_t)len);
	if (peer_recv(p) < 0) {
		return -1;
	}
	assert_int_equal(p->bhs[0], ISCSI_OP_LOGIN_RSP);
	assert_int_equal(get_be32(p->bhs + 16), p->itt);
	return get_be16(p->bhs + 36);
}

/* A pair of the last answer; NULL: not there. */
static UNUSED const char *peer_value(struct peer *p, const char *name)
{
	struct iscsi_text_iter it = {(char *)p->data, (char *)p->data + p->len};
	const char *key, *value;
	size_t len = strlen(name);

	while (iscsi_text_next(&it, &key, &value) > 0) {
		if (strncmp(key, name, len) == 0 && key[len] == '=') {
			return value;
		}
	}
	return NULL;
}

#define NAMES "InitiatorName=" INITIATOR ";TargetName=" TARGET
#define OP_TO_FULL                                                             \
	(ISCSI_LOGIN_TRANSIT | ISCSI_STAGE_OP << 2 | ISCSI_STAGE_FULL)

/* The whole login with one request. */
static UNUSED void peer_login(struct peer *p, const char *more)
{
	char pairs[2048];
	const char *value;

	snprintf(pairs, sizeof(pairs), NAMES ";SessionType=Normal%s%s",
		 *more ? ";" : "", more);
	assert_int_equal(peer_login_step(p, OP_TO_FULL, pairs), 0);
	assert_int_equal(p->bhs[1], OP_TO_FULL);
	p->tsih = get_be16(p->bhs + 14);
	assert_int_not_equal(p->tsih, 0);
	value = peer_value(p, "HeaderDigest");
	p->header_digest = value && strcmp(value, "CRC32C") == 0;
	value = peer_value(p, "DataDigest");
	p->data_digest = value && strcmp(value, "CRC32C") == 0;
}

#endif /* ISCSI_PEER_H */
