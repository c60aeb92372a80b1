/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Not for TSan: one lane, many runs.
 * builds: default asan
 */
/*
 * A unit over the real block engine, each of whose calls of the system fails
 * in turn: what the initiator is told (SPC-4 4.5, SBC-3 4.7.3.6), that
 * the unit goes on serving, and that all it has acknowledged is there, now and
 * when the file is opened again.
 */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "target/bytes.h"
#include "target/scsi.h"
#include "target/scsi_codes.h"
#include "vhd_faults.h"
#include "vhd_helpers.h"

#define SIZE	 (4 * MiB)
#define BLOCKS	 (SIZE / 512)
#define BASE_END (BLOCKS / 2) /* a parent holds data up to here */

#define READ_ERROR  0x31100 /* MEDIUM ERROR, UNRECOVERED READ ERROR */
#define WRITE_ERROR 0x30c00 /* MEDIUM ERROR, WRITE ERROR */
#define NO_SPACE    0x72707 /* DATA PROTECT, SPACE ALLOCATION FAILED ... */

struct kind {
	const char *name, *parent;
	enum vhd_type type;
	uint32_t block_size;
	bool direct;
};

static const struct kind kinds[] = {
	{"fixed.vhd", NULL, VHD_TYPE_FIXED, 0, false},
	{"direct.vhd", NULL, VHD_TYPE_FIXED, 0, true},
	{"dynamic.vhd", NULL, VHD_TYPE_DYNAMIC, MiB / 2, false},
	{"child.vhd", "parent.vhd", VHD_TYPE_DIFFERENCING, MiB / 2, false},
	{"fixed.vhdx", NULL, VHD_TYPE_FIXED, MiB, false},
	{"dynamic.vhdx", NULL, VHD_TYPE_DYNAMIC, MiB, false},
	{"child.vhdx", "parent.vhdx", VHD_TYPE_DIFFERENCING, MiB, false},
};

/* ---- the unit ---- */

struct served {
	struct vt *vt;
	const struct kind *kind;
	struct vhd_disk *disk;
	struct scsi_lu *lu;
	struct scsi_lun_map *map;
	struct scsi_nexus *nexus;
	struct scsi_task task;
	bool done;
	uint8_t *buf;
	/* What each block may hold: a bit for each version. */
	uint32_t may[BLOCKS];
};

#define ZEROES 0u
#define BASE   31u /* the parent's */

static void fill(uint8_t *block, uint32_t number, uint32_t version)
{
	uint32_t i;

	if (version == ZEROES) {
		memset(block, 0, 512);
		return;
	}
	for (i = 0; i < 512; i += 8) {
		memcpy(block + i, &number, 4);
		memcpy(block + i + 4, &version, 4);
	}
}

static void fill_blocks(uint8_t *buf, uint32_t lba, uint32_t count,
			uint32_t version)
{
	uint32_t i;

	for (i = 0; i < count; i++) {
		fill(buf + (size_t)i * 512, lba + i, version);
	}
}

static void make(struct served *s)
{
	const struct kind *kind = s->kind;
	struct vhd_create_params params = {
		.format = vhd_format_of_name(kind->name),
		.type = VHD_TYPE_FIXED,
		.size = SIZE,
		.sparse = true,
		.block_size = kind->block_size,
	};
	struct vhd_disk *parent = NULL;

	if (kind->parent == NULL) {
		params.type = kind->type;
		assert_int_equal(vt_create_params(s->vt, kind->name, &params),
				 0);
		return;
	}
	params.type = VHD_TYPE_DYNAMIC;
	assert_int_equal(vt_create_params(s->vt, kind->parent, &params), 0);
	assert_int_equal(vt_open(s->vt, kind->parent, 0, &parent), 0);
	fill_blocks(s->buf, 0, BASE_END, BASE);
	assert_int_equal(vt_rw(s->vt, parent, VHD_WRITE, 0, 0, s->buf,
			       BASE_END * 512),
			 0);
	vhd_close(parent);
	assert_int_equal(vt_create_child(s->vt, kind->name, kind->parent), 0);
}

static void task_done(struct scsi_task *task)
{
	((struct served *)task->private_data)->done = true;
}

static uint8_t run(struct served *s, const uint8_t *cdb, size_t cdb_len,
		   size_t edtl)
{
	struct scsi_task *task = &s->task;
	struct iovec iov = {s->buf, 0};

	memset(task, 0, sizeof(*task));
	memcpy(task->cdb, cdb, cdb_len);
	task->cdb_len = 16;
	task->nexus = s->nexus;
	task->io = s->vt->io;
	task->done = task_done;
	task->private_data = s;
	task->edtl = (uint32_t)edtl;
	s->done = false;
	if (!scsi_task_prepare(task)) {
		return task->status;
	}
	iov.iov_len = task->dir == SCSI_DIR_OUT ? edtl : task->length;
	task->iov = &iov;
	task->iovcnt = 1;
	task->data_len = (uint32_t)iov.iov_len;
	if (!scsi_task_execute(task)) {
		vhd_io_kick(s->vt->io);
		while (!s->done) {
			assert_int_equal(tevent_loop_once(s->vt->ev), 0);
		}
	}
	return task->status;
}

/* Opened again, without failures, as the daemon would. */
static bool serve(struct served *s)
{
	struct scsi_lu_config config = {
		.guid = {1, 2, 3},
		.serial = "1",
		.vendor = "ISTM",
		.product = "VIRTUAL DISK",
		.revision = "0100",
		.enabled = true,
	};
	struct scsi_nexus_config nexus = {
		.initiator_name = "iqn.2026-01.example:one",
		.target_name = "iqn.1991-05.com.microsoft:t",
		.portal_group = 1,
	};

	s->disk = vt_open_chain(s->vt, s->kind->name, 0);
	if (s->kind->direct && vhd_set_direct(s->disk, NULL) != 0) {
		vhd_close(s->disk);
		return false;
	}
	config.disk = s->disk;
	s->lu = scsi_lu_create(&config);
	s->map->count = 1;
	s->map->entry[0].lu = s->lu;
	s->nexus = scsi_nexus_create(&nexus, s->map);
	run(s, (const uint8_t[]){0, 0, 0, 0, 0, 0}, 6, 0); /* its UA */
	return true;
}

static void unserve(struct served *s)
{
	scsi_nexus_free(s->nexus);
	scsi_lu_free(s->lu);
	vhd_close(s->disk);
}

/* ---- commands ---- */

enum does { READS, WRITES, COMPARES, ORS, UNMAPS, FLUSHES };

static const struct command {
	uint8_t opcode, flags; /* CDB byte 1 */
	enum does does;
	uint32_t lba, count, version;
} commands[] = {
	{0x8a, 0, WRITES, 96, 8, 1},	     /* WRITE(16) */
	{0x8a, 0, WRITES, 1020, 40, 2},	     /* over a block's end */
	{0x8a, 0x08, WRITES, 4096, 16, 3},   /* FUA */
	{0x88, 0, READS, 90, 32, 0},	     /* READ(16) */
	{0x89, 0, COMPARES, 6200, 4, 4},     /* COMPARE AND WRITE */
	{0x91, 0, FLUSHES, 0, 0, 0},	     /* SYNCHRONIZE CACHE(16) */
	{0x93, 0x09, WRITES, 4096, 2048, 0}, /* WRITE SAME(16), UNMAP, NDOB */
	{0x42, 0, UNMAPS, 1024, 16, 0},	     /* UNMAP */
	{0x8b, 0, ORS, 7000, 8, 5},	     /* ORWRITE(16) */
	{0x8e, 0, WRITES, 512, 16, 6},	     /* WRITE AND VERIFY(16) */
	{0x8f, 0, READS, 0, 1024, 0},	     /* VERIFY(16) */
	{0x90, 0, READS, 1000, 100, 0},	     /* PRE-FETCH(16) */
	{0x93, 0x01, WRITES, 600, 300, 0},   /* WRITE SAME(16), NDOB */
	{0x88, 0x08, READS, 1020, 64, 0},    /* READ(16), FUA */
	{0x8a, 0, WRITES, 2048, 2048, 7},    /* 1 MiB */
	{0x88, 0, READS, 2000, 2200, 0},
	{0x8a, 0, WRITES, 4100, 8, 8}, /* where it has been unmapped */
	{0x91, 0, FLUSHES, 0, 0, 0},
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

/* The version that the block holds, if it is the only one. */
static uint32_t version_of(const struct served *s, uint32_t lba)
{
	assert_int_equal(s->may[lba] & (s->may[lba] - 1), 0);
	return (uint32_t)__builtin_ctz(s->may[lba]);
}

static void check_blocks(const struct served *s, const uint8_t *data,
			 uint32_t lba, uint32_t count, const char *when)
{
	uint8_t expected[512];
	uint32_t i, v;

	for (i = 0; i < count; i++) {
		const uint8_t *block = data + (size_t)i * 512;

		for (v = 0; v < 32; v++) {
			fill(expected, lba + i, v);
			if ((s->may[lba + i] & 1u << v) &&
			    memcmp(block, expected, 512) == 0) {
				break;
			}
		}
		if (v == 32) {
			fail_msg("%s, %s: block %u is not of %x", s->kind->name,
				 when, lba + i, s->may[lba + i]);
		}
	}
}

static size_t prepare_data(struct served *s, const struct command *c)
{
	uint32_t i;

	switch (c->does) {
	case WRITES:
		if (c->opcode == 0x93) {
			return 0; /* NDOB */
		}
		fill_blocks(s->buf, c->lba, c->count, c->version);
		return (size_t)c->count * 512;
	case ORS: /* zeroes are there, or what an earlier run has left */
		fill_blocks(s->buf, c->lba, c->count, c->version);
		return (size_t)c->count * 512;
	case COMPARES:
		for (i = 0; i < c->count; i++) {
			fill(s->buf + (size_t)i * 512, c->lba + i,
			     version_of(s, c->lba + i));
		}
		fill_blocks(s->buf + (size_t)c->count * 512, c->lba, c->count,
			    c->version);
		return (size_t)c->count * 1024;
	case UNMAPS:
		memset(s->buf, 0, 24);
		put_be16(s->buf, 22);
		put_be16(s->buf + 2, 16);
		put_be64(s->buf + 8, c->lba);
		put_be32(s->buf + 16, c->count);
		return 24;
	default:
		return 0;
	}
}

static uint8_t run_command(struct served *s, const struct command *c)
{
	uint8_t cdb[16] = {c->opcode, c->flags}, status;
	size_t edtl = prepare_data(s, c);
	uint32_t i;

	if (c->opcode == 0x42) {
		put_be16(cdb + 7, 24);
	} else {
		put_be64(cdb + 2, c->lba);
		if (c->opcode == 0x89) {
			cdb[13] = (uint8_t)c->count;
		} else {
			put_be32(cdb + 10, c->count);
		}
	}
	status = run(s, cdb, sizeof(cdb), edtl);
	assert_true(status == SCSI_GOOD || status == SCSI_CHECK_CONDITION);
	for (i = c->lba;
	     c->does != READS && c->does != FLUSHES && i < c->lba + c->count;
	     i++) {
		if (status == SCSI_GOOD) {
			s->may[i] = 0;
		}
		s->may[i] |= 1u << c->version;
	}
	if (status == SCSI_GOOD && c->opcode == 0x88) {
		check_blocks(s, s->buf, c->lba, c->count, "READ");
	}
	return status;
}

/* ---- what the initiator is told ---- */

static uint32_t sense_of(const struct served *s)
{
	const uint8_t *p = s->task.sense;

	assert_int_equal(p[0] & 0x7f, 0x70); /* fixed format, current */
	return (uint32_t)((p[2] & 0xf) << 16) | get_be16(p + 12);
}

static void check_sense(const struct served *s, const struct command *c,
			enum vhd_tap_step step, int error)
{
	uint32_t sense = sense_of(s), expected, info;
	bool valid = s->task.sense[0] & 0x80;

	if (error == ENOSPC) {
		expected = NO_SPACE;
	} else if (c->does == READS) {
		expected = READ_ERROR;
		/* with FUA, what a READ flushes first, and what that tells of
		 * a write before */
		if ((c->flags & 0x08) && step != VHD_TAP_STEP_READ) {
			expected = WRITE_ERROR;
		}
	} else {
		expected = WRITE_ERROR;
	}
	/* Of commands that do both, reading has failed. */
	if (step == VHD_TAP_STEP_READ &&
	    (c->does == COMPARES || c->does == ORS || c->opcode == 0x8e) &&
	    sense == READ_ERROR) {
		expected = READ_ERROR;
	}
	if (sense != expected) {
		fail_msg("%s: opcode %02x, step %d fails with %d: sense %05x",
			 s->kind->name, c->opcode, step, error, sense);
	}
	info = get_be32(s->task.sense + 3);
	if (expected == NO_SPACE || c->does == FLUSHES ||
	    (c->does == READS && expected == WRITE_ERROR)) {
		assert_false(valid);
		return;
	}
	assert_true(valid);
	assert_in_range(info, c->lba, c->lba + c->count - 1);
	if (expected == WRITE_ERROR && c->count <= 128) {
		assert_int_equal(info, c->lba);
	}
	assert_int_equal(s->task.data_in_len, 0);
}

static struct served *served_new(void)
{
	struct served *s = calloc(1, sizeof(*s));

	s->buf = aligned_alloc(4096, SIZE);
	s->map = calloc(1, sizeof(*s->map) + sizeof(s->map->entry[0]));
	return s;
}

static void served_free(struct served *s)
{
	free(s->map);
	free(s->buf);
	free(s);
}

/* ---- one run ---- */

static void begin(struct served *s, struct vt *vt, const struct kind *kind)
{
	uint32_t i;

	s->vt = vt;
	s->kind = kind;
	for (i = 0; i < BLOCKS; i++) {
		s->may[i] = 1u
			    << (kind->parent != NULL && i < BASE_END ? BASE
								     : ZEROES);
	}
	make(s);
	faults_start();
}

static void end(struct served *s)
{
	faults_stop();
	unlink(vt_path(s->vt, s->kind->name));
	if (s->kind->parent != NULL) {
		unlink(vt_path(s->vt, s->kind->parent));
	}
}

static void check_all(struct served *s, const char *when)
{
	assert_int_equal(vt_rw(s->vt, s->disk, VHD_READ, 0, 0, s->buf, SIZE),
			 0);
	check_blocks(s, s->buf, 0, BLOCKS, when);
}

/* The unit takes all commands again. */
static void check_usable(struct served *s)
{
	unsigned i;

	for (i = 0; i < COMMANDS; i++) {
		struct command c = commands[i];

		if (c.does == ORS || c.does == COMPARES) {
			continue; /* what is there is not known */
		}
		if (c.version != 0) {
			c.version += 10;
		}
		if (run_command(s, &c) != SCSI_GOOD) {
			/* A failed flush is told once more at most. */
			assert_true(c.does == FLUSHES || (c.flags & 0x08) ||
				    c.opcode == 0x8e);
			assert_int_equal(run_command(s, &c), SCSI_GOOD);
		}
	}
	check_all(s, "afterwards");
}

static void check_reopened(struct served *s)
{
	s->disk = vt_open_chain(s->vt, s->kind->name, 0);
	check_all(s, "after a restart");
	vhd_close(s->disk);
	vt_assert_sound(s->vt, vt_open_fd(s->vt, s->kind->name, O_RDONLY));
}

/*
 * @param error  0: the call is cut short, to @most bytes
 * @return false: there is no such call, or no such kind here
 */
static bool fail_one(struct served *s, struct vt *vt, const struct kind *kind,
		     unsigned steps, unsigned nth, int error, uint64_t most)
{
	enum vhd_tap_step step = VHD_TAP_STEPS;
	unsigned i, failures = 0;
	/* Nothing is read or written: as good as an error. */
	int told = error == 0 && most == 0 ? EIO : error;
	bool retried =
		error == EINTR || error == EAGAIN || (error == 0 && most > 0);
	bool hit;

	begin(s, vt, kind);
	if (!serve(s)) {
		end(s);
		return false;
	}
	if (error != 0) {
		faults_fail(steps, nth, error);
	} else {
		faults_short(nth, most);
	}
	for (i = 0; i < COMMANDS; i++) {
		if (run_command(s, &commands[i]) == SCSI_GOOD) {
			continue;
		}
		failures++;
		assert_true(faults_hit(&step));
		check_sense(s, &commands[i], step, told);
		/* What follows the first is a flush that tells of it, too. */
		assert_true(failures == 1 || commands[i].does == FLUSHES ||
			    (commands[i].flags & 0x08));
	}
	hit = faults_hit(&step);
	faults_none();
	assert_true(failures <= 2);
	if (retried) {
		assert_int_equal(failures, 0);
	}
	check_all(s, "at once");
	if (nth % 4 == 0) {
		check_usable(s);
	}
	unserve(s);
	check_reopened(s);
	end(s);
	return hit;
}

/* Sanitized programs take ten times as long: every fifth call, each kind's
 * from another one on; not a multiple of what fail_one() does rarely. */
#ifdef __SANITIZE_ADDRESS__
#define STRIDE 5
#else
#define STRIDE 1
#endif

static void each_call(void **state, unsigned steps, int error, uint64_t most)
{
	struct served *s = served_new();
	unsigned k, nth;

	for (k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
		for (nth = k % STRIDE;
		     fail_one(s, *state, &kinds[k], steps, nth, error, most);
		     nth += STRIDE) {
		}
		assert_true(nth > COMMANDS / 2 || kinds[k].direct);
	}
	served_free(s);
}

static void test_io_error(void **state)
{
	each_call(state, FAULTS_ANY, EIO, 0);
}

static void test_no_space(void **state)
{
	each_call(state, FAULTS_CHANGE, ENOSPC, 0);
}

static void test_nothing_moved(void **state)
{
	each_call(state, 0, 0, 0);
}

static void test_short(void **state)
{
	each_call(state, 0, 0, 512);
}

static void test_interrupted(void **state)
{
	each_call(state, FAULTS_READ | FAULTS_CHANGE, EINTR, 0);
}

/* ---- failures that last ---- */

/* Nothing works for a while: every command that needs the file says so, and
 * nothing of what was there before is lost. */
static void test_outage(void **state)
{
	struct served *s = served_new();
	unsigned k, i;

	for (k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
		begin(s, *state, &kinds[k]);
		if (!serve(s)) {
			end(s);
			continue;
		}
		for (i = 0; i < 6; i++) {
			assert_int_equal(run_command(s, &commands[i]),
					 SCSI_GOOD);
		}
		faults_fail_all(FAULTS_ANY, EIO);
		for (i = 0; i < 3; i++) {
			struct command c = commands[i];

			c.version += 20;
			assert_int_equal(run_command(s, &c),
					 SCSI_CHECK_CONDITION);
			check_sense(s, &c, VHD_TAP_STEP_WRITE, EIO);
		}
		assert_int_equal(run_command(s, &commands[3]),
				 SCSI_CHECK_CONDITION);
		check_sense(s, &commands[3], VHD_TAP_STEP_READ, EIO);
		faults_none();
		check_all(s, "after an outage");
		check_usable(s);
		unserve(s);
		check_reopened(s);
		end(s);
	}
	served_free(s);
}

/*
 * The file cannot grow (a limit of the process': a full volume to it). What
 * has its space is read and written, the rest answers so; and all goes on when
 * there is space.
 */
static void test_full_volume(void **state)
{
	struct served *s = served_new();
	struct rlimit limit, old;
	unsigned k, i, refused;

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	for (k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
		if (kinds[k].type == VHD_TYPE_FIXED) {
			continue; /* has all of its size */
		}
		begin(s, *state, &kinds[k]);
		assert_true(serve(s));
		assert_int_equal(run_command(s, &commands[0]), SCSI_GOOD);
		limit = old;
		limit.rlim_cur = vt_file_size(s->vt, kinds[k].name);
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
		refused = 0;
		for (i = 0; i < 16; i++) {
			struct command c = {0x8a,    0, WRITES,
					    i * 512, 8, 1 + i % 8};

			if (run_command(s, &c) != SCSI_GOOD) {
				assert_int_equal(sense_of(s), NO_SPACE);
				refused++;
			}
			/* allocated */
			assert_int_equal(run_command(s, &commands[0]),
					 SCSI_GOOD);
			assert_int_equal(run_command(s, &commands[5]),
					 SCSI_GOOD);
			assert_int_equal(run_command(s, &commands[3]),
					 SCSI_GOOD);
		}
		assert_in_range(refused, 1, 15);
		check_all(s, "on a full volume");
		assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
		check_usable(s);
		unserve(s);
		check_reopened(s);
		end(s);
	}
	served_free(s);
}

/* Of a file that has become shorter under the disk: the first block that is
 * not there is told. */
static void test_first_block_in_error(void **state)
{
	struct served *s = served_new();
	const struct command read = {0x88, 0, READS, 2000, 100, 0};
	const struct command verify = {0x8f, 0, READS, 1000, 2000, 0};
	int fd;

	begin(s, *state, &kinds[0]);
	assert_true(serve(s));
	fd = vt_open_fd(s->vt, s->kind->name, O_RDWR);
	assert_int_equal(ftruncate(fd, MiB), 0);
	assert_int_equal(run_command(s, &read), SCSI_CHECK_CONDITION);
	check_sense(s, &read, VHD_TAP_STEP_READ, EIO);
	assert_int_equal(get_be32(s->task.sense + 3), 2048);
	assert_int_equal(run_command(s, &verify), SCSI_CHECK_CONDITION);
	check_sense(s, &verify, VHD_TAP_STEP_READ, EIO);
	assert_int_equal(get_be32(s->task.sense + 3), 2048);
	assert_int_equal(ftruncate(fd, SIZE + 512), 0);
	close(fd);
	assert_int_equal(run_command(s, &read), SCSI_GOOD);
	unserve(s);
	end(s);
	served_free(s);
}

#define TEST_MEMORY(f)                                                         \
	cmocka_unit_test_setup_teardown(f, vt_setup_memory, vt_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_MEMORY(test_io_error),
		TEST_MEMORY(test_no_space),
		TEST_MEMORY(test_nothing_moved),
		TEST_MEMORY(test_short),
		TEST_MEMORY(test_interrupted),
		TEST_MEMORY(test_outage),
		TEST_MEMORY(test_full_volume),
		TEST_MEMORY(test_first_block_in_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
