/* SPDX-License-Identifier: GPL-3.0-or-later */
/* VHDX: more changes of metadata at a time than one log entry holds. */

#include <stdlib.h>
#include <string.h>

#include "vhd_helpers.h"

#define SIZE  (2 * GiB)
#define COUNT 96
#define PIECE 4096

struct many {
	struct vhd_req req[COUNT];
	struct iovec iov[COUNT];
	uint8_t data[COUNT][PIECE];
	bool finished[COUNT];
	unsigned done;
};

static void one_done(struct vhd_req *req)
{
	struct many *many = req->private_data;

	assert_int_equal(req->error, 0);
	assert_false(many->finished[req - many->req]);
	many->finished[req - many->req] = true;
	many->done++;
	/* It may be used for something else now. */
	memset(req->engine, 0x5a, sizeof(req->engine));
}

static void expect(struct vt *vt, struct vhd_disk *disk,
		   const struct many *many, uint64_t first, uint64_t apart)
{
	uint8_t back[PIECE];
	unsigned i;

	for (i = 0; i < COUNT; i++) {
		assert_int_equal(vt_rw(vt, disk, VHD_READ, 0, i * apart, back,
				       PIECE),
				 0);
		if (memcmp(back, many->data[i], PIECE) != 0) {
			fail_msg("what was written at %llu is not there",
				 (unsigned long long)(first + i * apart));
		}
	}
}

/* Each of them in a sector of metadata of its own, all at once. */
static void write_many(struct vt *vt, struct vhd_disk *disk, uint64_t first,
		       uint64_t apart, struct many *many)
{
	unsigned i;

	memset(many, 0, sizeof(*many));
	for (i = 0; i < COUNT; i++) {
		vt_pattern(many->data[i], PIECE, i);
		many->iov[i] = (struct iovec){many->data[i], PIECE};
		many->req[i] = (struct vhd_req){
			.op = VHD_WRITE,
			.offset = first + i * apart,
			.length = PIECE,
			.iov = &many->iov[i],
			.iovcnt = 1,
			.done = one_done,
			.private_data = many,
		};
		if (vhd_submit(vt->io, disk, &many->req[i])) {
			one_done(&many->req[i]);
		}
	}
	vhd_io_kick(vt->io);
	while (many->done < COUNT) {
		assert_int_equal(tevent_loop_once(vt->ev), 0);
	}
	expect(vt, disk, many, first, apart);
}

/* Sector bitmaps: a page for each 16 MiB. */
static void test_bitmaps(void **state)
{
	struct many *many = malloc(sizeof(*many));
	struct vt *vt = *state;
	struct vhd_disk *disk;

	vhd_close(vt_dynamic(vt, "p.vhdx", SIZE, MiB));
	disk = vt_child(vt, "c.vhdx", "p.vhdx");
	write_many(vt, disk, 0, 17 * MiB, many);
	/* Now that their blocks are there, nothing holds them up. */
	write_many(vt, disk, 65536, 17 * MiB, many);
	vhd_close(disk);
	disk = vt_open_chain(vt, "c.vhdx", 0);
	expect(vt, disk, many, 65536, 17 * MiB);
	vhd_close(disk);
	free(many);
}

/* The table: a sector for each 512 blocks. */
static void test_table(void **state)
{
	struct many *many = malloc(sizeof(*many));
	struct vt *vt = *state;
	struct vhd_disk *disk = vt_dynamic(vt, "d.vhdx", 64 * GiB, MiB);

	write_many(vt, disk, 0, 600 * MiB, many);
	vhd_close(disk);
	assert_int_equal(vt_open(vt, "d.vhdx", 0, &disk), 0);
	expect(vt, disk, many, 0, 600 * MiB);
	vhd_close(disk);
	free(many);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, vt_setup_memory, vt_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_bitmaps),
		TEST(test_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
