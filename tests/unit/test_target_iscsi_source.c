/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Large reads that the kernel sends from the page cache: the initiator gets
 * the same as ever, whatever the socket takes and whatever happens to the file.
 */
#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>

#include "target_iscsi_commands.h"

#define LARGE 262144u

static _Atomic unsigned sent_files;

/* In place of libc's: count, and give the socket little room. */
static _Atomic bool little_room;
/* It may also send less than it was asked for, or nothing at all. */
static _Atomic size_t most = SIZE_MAX;

ssize_t sendfile(int out, int in, off_t *offset, size_t count)
{
	int least = 1;

	if (little_room) {
		setsockopt(out, SOL_SOCKET, SO_SNDBUF, &least, sizeof(least));
	}
	sent_files++;
	if (most == 0) {
		return 0;
	}
	count = count < most ? count : most;
	return syscall(SYS_sendfile, out, in, offset, count);
}

static uint8_t content[DISK_SIZE];

static void start(void)
{
	bench_file_open();
	b = bench_start(1);
	fill(content, sizeof(content), 1);
	assert_int_equal(pwrite(bench_fd, content, sizeof(content), 0),
			 sizeof(content));
	sent_files = 0;
}

static void stop(void)
{
	bench_stop(b);
	bench_file_close();
	little_room = false;
	most = SIZE_MAX;
}

static bool can_source(void)
{
	struct vhd_source source;

	return vhd_disk_source(b->disk, 0, LARGE, &source);
}

static void ask(struct peer *p, uint32_t offset, uint32_t len)
{
	uint8_t bhs[48];

	command(p, bhs, FR, len, 0x28, offset / 512, (uint16_t)(len / 512));
	peer_send(p, bhs, NULL, 0);
}

/* All of the answer, in as many PDUs as it takes, is what the disk has. */
static void expect_read(struct peer *p, uint32_t offset, uint32_t len)
{
	uint32_t have = 0, datasn = 0;

	while (have < len) {
		peer_expect(p, ISCSI_OP_DATA_IN);
		assert_int_equal(get_be32(p->bhs + 40), have);
		assert_int_equal(get_be32(p->bhs + 36), datasn++);
		assert_true(p->len <= len - have);
		assert_memory_equal(p->data, content + offset + have, p->len);
		have += p->len;
	}
	assert_int_equal(p->bhs[1] & ISCSI_DATA_STATUS, ISCSI_DATA_STATUS);
	assert_int_equal(p->bhs[3], 0);
}

#define SEGMENT "MaxRecvDataSegmentLength=262144"

static void test_sizes(void **state)
{
	static const char *const segment[] = {
		SEGMENT,
		"MaxRecvDataSegmentLength=8192",
		"MaxRecvDataSegmentLength=65536;HeaderDigest=CRC32C",
		SEGMENT ";DataDigest=CRC32C",
	};
	static const uint32_t len[] = {512,   4096,	   32768, 33280,
				       65536, LARGE - 512, LARGE, 2 * LARGE};
	bool can;

	start();
	can = can_source();
	for (size_t s = 0; s < sizeof(segment) / sizeof(segment[0]); s++) {
		struct peer *p = peer_new(b, segment[s]);
		unsigned before = sent_files;

		for (size_t i = 0; i < sizeof(len) / sizeof(len[0]); i++) {
			uint32_t offset = (uint32_t)i * 4096 + 512;

			ask(p, offset, len[i]);
			expect_read(p, offset, len[i]);
		}
		peer_works(p);
		/* Who checks the data's digest gets what it was made of. */
		if (p->data_digest || !can) {
			assert_int_equal(sent_files, before);
		} else {
			assert_true(sent_files > before);
		}
		peer_close(p);
	}
	stop();
	if (!can) {
		print_message("cachestat(2) is not to be had\n");
		skip();
	}
}

/* Nothing is read until all has been asked for: the socket fills, and what it
 * does not take is copied. */
static void test_slow_reader(void **state)
{
	struct peer *p;
	unsigned n = 100;

	start();
	p = peer_new(b, SEGMENT);
	for (unsigned i = 0; i < n; i++) {
		ask(p, i * LARGE, LARGE);
	}
	for (unsigned i = 0; i < n; i++) {
		expect_read(p, i * LARGE, LARGE);
	}
	peer_works(p);
	peer_close(p);
	stop();
}

/* A read has been done when others run: what is written afterwards does not
 * show in what waits for the socket. */
static void test_copied_before_others_run(void **state)
{
	static uint8_t later[LARGE];
	struct peer *p, *other;

	start();
	p = peer_new(b, SEGMENT);
	other = peer_connect(b);
	other->isid[5] = 2;
	peer_login(other, "");
	little_room = true;
	ask(p, 0, LARGE);
	assert_true(peer_read(p, p->bhs, 48));
	/* The lane has had its next turn. */
	peer_ready(other);
	memset(later, 0xee, LARGE);
	assert_int_equal(pwrite(bench_fd, later, LARGE, 0), LARGE);
	assert_true(peer_read(p, p->data, LARGE));
	/* The sockets hold less than three quarters. */
	assert_memory_equal(p->data + LARGE / 4 * 3, content + LARGE / 4 * 3,
			    LARGE / 4);
	peer_works(p);
	peer_close(p);
	peer_close(other);
	stop();
}

/* The socket has room all the time: nobody announces any. */
static void test_short_counts(void **state)
{
	static const size_t counts[] = {10000, 0};

	for (size_t i = 0; i < 2; i++) {
		struct peer *p;

		start();
		p = peer_new(b, SEGMENT);
		most = counts[i];
		for (unsigned n = 0; n < 8; n++) {
			ask(p, n * LARGE, LARGE);
			expect_read(p, n * LARGE, LARGE);
		}
		peer_close(p);
		stop();
	}
}

/* Units that are locked by COMPARE AND WRITE are always read. */
static void test_compare_and_write(void **state)
{
	uint8_t bhs[48], both[1024];
	struct peer *p;
	unsigned before;

	start();
	p = peer_new(b, SEGMENT);
	command(p, bhs, FW, sizeof(both), 0x89, 0, 0);
	memset(bhs + 33, 0, 15);
	bhs[32 + 13] = 1;
	memcpy(both, content, 512);
	memset(both + 512, 0x77, 512);
	peer_send(p, bhs, both, sizeof(both));
	peer_expect(p, ISCSI_OP_SCSI_RSP);
	assert_int_equal(p->bhs[3], 0);
	memset(content, 0x77, 512);
	before = sent_files;
	ask(p, 0, LARGE);
	expect_read(p, 0, LARGE);
	assert_int_equal(sent_files, before);
	peer_close(p);
	stop();
}

/* The file has lost its end: sense data, and the rest is served. */
static void test_truncated(void **state)
{
	struct peer *p;

	start();
	p = peer_new(b, SEGMENT);
	assert_int_equal(ftruncate(bench_fd, DISK_SIZE / 2 + 4096), 0);
	ask(p, DISK_SIZE / 2, LARGE);
	expect_sense(p, 3, 0x1100);
	ask(p, 0, LARGE);
	expect_read(p, 0, LARGE);
	peer_close(p);
	stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_slow_reader),
		cmocka_unit_test(test_short_counts),
		cmocka_unit_test(test_copied_before_others_run),
		cmocka_unit_test(test_compare_and_write),
		cmocka_unit_test(test_truncated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
