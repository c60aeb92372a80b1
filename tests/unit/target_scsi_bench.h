/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A bench for the SCSI device server: a block engine in memory that takes the
 * place of vhd/, finishes requests at once or later as a test likes, and fails
 * them when told to; and a command in one call. Included by one source of a
 * program only.
 */
#ifndef SCSI_BENCH_H
#define SCSI_BENCH_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "target/bytes.h"
#include "target/scsi.h"
#include "target/scsi_codes.h"

#define UNUSED __attribute__((unused))

#define BENCH_BLOCKS	16384u /* 8 MiB, or 64 */
#define BENCH_SIZE	((uint64_t)BENCH_BLOCKS * VHD_SECTOR)
#define BENCH_MAX_BLOCK 4096u

/* ---- the engine ---- */

struct vhd_disk {
	uint8_t *data;
	uint64_t size;
	uint32_t sector; /* 0: 512 */
	int fail;	 /* errno of the next requests, or 0 */
	int fail_op;	 /* only of this operation; -1: of any */
	uint64_t bad;	 /* only of those with this byte; 0: of any */
	unsigned later;	 /* finish requests in bench_settle() */
	struct vhd_req *pending;
	uint64_t hole;		       /* offset, or 0: none */
	bool shared;		       /* by threads: nothing is counted */
	bool copies;		       /* VHD_COPY works */
	bool not_atomic;	       /* VHD_WRITE_ATOMIC does not */
	unsigned count[VHD_YIELD + 1]; /* requests by operation */
	uint32_t flags;		       /* of the last request */
};

uint32_t vhd_disk_sector(const struct vhd_disk *disk)
{
	return disk->sector != 0 ? disk->sector : VHD_SECTOR;
}

uint32_t vhd_disk_physical_sector(const struct vhd_disk *disk)
{
	return vhd_disk_sector(disk);
}

bool vhd_disk_writes_atomic(const struct vhd_disk *disk)
{
	return !disk->not_atomic;
}

uint64_t vhd_disk_size(const struct vhd_disk *disk)
{
	return disk->size;
}

/* Blocks up to the hole have data, those from there on have none. */
bool vhd_disk_mapped(const struct vhd_disk *disk, uint64_t offset,
		     uint64_t *length)
{
	if (disk->hole == 0 || offset >= disk->hole) {
		return disk->hole == 0;
	}
	if (*length > disk->hole - offset) {
		*length = disk->hole - offset;
	}
	return true;
}

static void bench_copy(const struct vhd_req *req, size_t skip, uint8_t *flat,
		       size_t len, bool to_iov)
{
	int i;

	for (i = 0; i < req->iovcnt && len > 0; i++) {
		uint8_t *base = req->iov[i].iov_base;
		size_t n = req->iov[i].iov_len;

		if (skip >= n) {
			skip -= n;
			continue;
		}
		base += skip;
		n -= skip;
		skip = 0;
		if (n > len) {
			n = len;
		}
		if (to_iov) {
			memcpy(base, flat, n);
		} else {
			memcpy(flat, base, n);
		}
		flat += n;
		len -= n;
	}
	assert_int_equal(len, 0);
}

static int bench_compare_and_write(struct vhd_disk *disk, struct vhd_req *req)
{
	uint8_t *at = disk->data + req->offset;
	uint8_t *both = malloc(2 * req->length);
	size_t i;
	int error = 0;

	bench_copy(req, 0, both, 2 * req->length, false);
	for (i = 0; i < req->length && both[i] == at[i]; i++) {
	}
	if (i < req->length) {
		req->miscompare = i;
		error = EILSEQ;
	} else {
		memcpy(at, both + req->length, req->length);
	}
	free(both);
	return error;
}

static int bench_run(struct vhd_disk *disk, struct vhd_req *req)
{
	if (!disk->shared) {
		disk->count[req->op]++;
		disk->flags = req->flags;
	}
	if (disk->fail != 0 &&
	    (disk->fail_op < 0 || disk->fail_op == (int)req->op) &&
	    (disk->bad == 0 || (disk->bad >= req->offset &&
				disk->bad < req->offset + req->length))) {
		return disk->fail;
	}
	if (req->op == VHD_FLUSH || req->op == VHD_YIELD) {
		return 0;
	}
	/* What the engine promises to refuse, the device server never asks. */
	assert_int_equal(req->offset % vhd_disk_sector(disk), 0);
	assert_int_equal(req->length % vhd_disk_sector(disk), 0);
	assert_true(req->offset <= disk->size);
	assert_true(req->length <= disk->size - req->offset);
	switch (req->op) {
	case VHD_MAPPED:
		req->mapped = vhd_disk_mapped(disk, req->offset, &req->length);
		return 0;
	case VHD_READ:
		bench_copy(req, 0, disk->data + req->offset, req->length, true);
		return 0;
	case VHD_WRITE:
	case VHD_WRITE_ATOMIC:
		bench_copy(req, 0, disk->data + req->offset, req->length,
			   false);
		return 0;
	case VHD_COMPARE_AND_WRITE:
		return bench_compare_and_write(disk, req);
	case VHD_COPY:
		assert_int_equal((req->source_offset | req->length) %
					 vhd_disk_sector(req->source),
				 0);
		assert_true(req->source_offset <= req->source->size);
		assert_true(req->length <=
			    req->source->size - req->source_offset);
		if (!disk->copies) {
			return EOPNOTSUPP;
		}
		memcpy(disk->data + req->offset,
		       req->source->data + req->source_offset, req->length);
		return 0;
	default:
		memset(disk->data + req->offset, 0, req->length);
		return 0;
	}
}

/* The transport of these tests never asks (scsi_task.may_source). */
bool vhd_disk_source(struct vhd_disk *disk, uint64_t offset, uint64_t length,
		     struct vhd_source *source)
{
	return false;
}

bool vhd_submit(struct vhd_io *io, struct vhd_disk *disk, struct vhd_req *req)
{
	assert_null(io);
	if (disk->later) {
		assert_null(disk->pending);
		disk->pending = req;
		return false;
	}
	req->error = bench_run(disk, req);
	return true;
}

/* Finish what is under way, and what follows from it. */
static UNUSED void bench_settle(struct vhd_disk *disk)
{
	while (disk->pending != NULL) {
		struct vhd_req *req = disk->pending;

		disk->pending = NULL;
		req->error = bench_run(disk, req);
		req->done(req);
	}
}

/* ---- units and nexuses ---- */

#define BENCH_TARGET  "iqn.1991-05.com.microsoft:bench-target"
#define BENCH_NEXUSES 3

struct bench {
	struct vhd_disk disk, *second; /* another unit's, or NULL */
	struct scsi_lu *lu;
	uint32_t block;
	struct scsi_lun_map *map;
	struct scsi_nexus *nexus[BENCH_NEXUSES];
	bool no_aborts; /* can be arranged */
	unsigned aborts;
	struct scsi_nexus_set *aborted; /* the last */
	bool background;		/* there is such a thing */
	struct scsi_task *bg;
	unsigned bg_done;
	uint8_t bg_status;
	/* the command that ran last */
	struct scsi_task task;
	bool prepared;
	unsigned done;
	uint8_t in[(1 << 20) + 1];
};

static const uint8_t bench_guid[16] = {
	0xde, 0xad, 0xbe, 0xef, 0x01, 0x23, 0x45, 0x67,
	0x89, 0xab, 0xcd, 0xef, 0x10, 0x32, 0x54, 0x76,
};

/* All has ended when the command waits for it. */
static bool bench_abort_nexuses(struct scsi_nexus_set *set, struct scsi_lu *lu,
				struct scsi_task *by, void *private_data)
{
	struct bench *b = private_data;

	assert_ptr_equal(lu, b->lu);
	assert_ptr_equal(by, &b->task);
	if (b->no_aborts) {
		return false;
	}
	b->aborts++;
	scsi_nexus_set_free(b->aborted);
	b->aborted = set;
	return true;
}

static void bench_background_done(struct scsi_task *task)
{
	struct bench *b = task->private_data;

	b->bg_done++;
	b->bg_status = task->status;
	b->bg = NULL;
	free(task);
}

static struct scsi_task *bench_background(struct scsi_nexus *nexus,
					  const struct scsi_task *task,
					  bool only, void *private_data)
{
	struct bench *b = private_data;

	if (!b->background) {
		return NULL;
	}
	b->bg = calloc(1, sizeof(*b->bg));
	b->bg->done = bench_background_done;
	b->bg->private_data = b;
	return b->bg;
}

static UNUSED struct scsi_nexus *bench_login(struct bench *b,
					     const char *initiator,
					     uint8_t isid)
{
	struct scsi_nexus_config config = {
		.initiator_name = initiator,
		.isid = {0x40, 0, 0, 0, 0, isid},
		.target_name = BENCH_TARGET,
		.portal_group = 1,
		.abort_nexuses = bench_abort_nexuses,
		.background = bench_background,
		.private_data = b,
	};
	struct scsi_nexus *nexus = scsi_nexus_create(&config, b->map);

	assert_non_null(nexus);
	return nexus;
}

/* With blocks of 512 bytes, or more. */
static UNUSED void bench_open_with(struct bench *b, uint32_t block)
{
	struct scsi_lu_config config = {
		.serial = "DEADBEEF01234567",
		.vendor = "ISTM",
		.product = "VIRTUAL DISK",
		.revision = "0100",
		.index = 7,
		.enabled = true,
		.volume = "C:",
		.threshold = {.percent = 10},
		.disk = &b->disk,
	};

	memset(b, 0, sizeof(*b));
	b->block = block;
	b->disk.sector = block;
	b->disk.size = (uint64_t)BENCH_BLOCKS * block;
	b->disk.data = calloc(1, b->disk.size);
	memcpy(config.guid, bench_guid, 16);
	b->lu = scsi_lu_create(&config);
	b->map = calloc(1, sizeof(*b->map) + sizeof(b->map->entry[0]));
	b->map->count = 1;
	b->map->entry[0].lun = 0;
	b->map->entry[0].lu = b->lu;
	b->nexus[0] = bench_login(b, "iqn.2026-01.example:one", 1);
	b->nexus[1] = bench_login(b, "iqn.2026-01.example:two", 2);
	b->nexus[2] = bench_login(b, "iqn.2026-01.example:three", 3);
}

static UNUSED void bench_open(struct bench *b)
{
	bench_open_with(b, VHD_SECTOR);
}

static UNUSED void bench_close(struct bench *b)
{
	unsigned i;

	for (i = 0; i < BENCH_NEXUSES; i++) {
		scsi_nexus_free(b->nexus[i]);
	}
	scsi_nexus_set_free(b->aborted);
	scsi_lu_free(b->lu);
	free(b->map);
	free(b->disk.data);
}

/* ---- commands ---- */

static void bench_done(struct scsi_task *task)
{
	struct bench *b = task->private_data;

	b->done++;
}

struct bench_io {
	unsigned nexus;
	const uint8_t *lun; /* NULL: LUN 0 */
	const void *out;
	size_t out_len; /* what the initiator sends */
	size_t expect;	/* EDTL of an IN command, 0: all */
	size_t split;	/* size of the iovec's pieces, 0: one piece */
};

/* Run a CDB as a transport does. Returns the status. */
static UNUSED uint8_t bench_io(struct bench *b, const void *cdb, size_t cdb_len,
			       const struct bench_io *how)
{
	static const uint8_t lun0[8];
	struct scsi_task *task = &b->task;
	struct iovec iov[1024];
	size_t at, room;
	bool finished;

	memset(task, 0, sizeof(*task));
	memcpy(task->cdb, cdb, cdb_len);
	task->cdb_len = 16;
	task->nexus = b->nexus[how->nexus];
	task->done = bench_done;
	task->private_data = b;
	memcpy(task->lun, how->lun != NULL ? how->lun : lun0, 8);
	task->edtl = (uint32_t)how->out_len;
	b->done = 0;
	b->prepared = scsi_task_prepare(task);
	if (!b->prepared) {
		return task->status;
	}
	room = how->out_len;
	if (task->dir == SCSI_DIR_IN) {
		room = sizeof(b->in);
		if (how->expect != 0) {
			room = how->expect;
		}
		memset(b->in, 0xee, sizeof(b->in));
	}
	if (room > task->length) {
		room = task->length;
	}
	for (at = 0; at < room;) {
		size_t n = room - at;

		if (how->split != 0 && n > how->split) {
			n = how->split;
		}
		assert_true(task->iovcnt < 1024);
		iov[task->iovcnt].iov_base =
			(task->dir == SCSI_DIR_IN
				 ? b->in
				 : (uint8_t *)(uintptr_t)how->out) +
			at;
		iov[task->iovcnt].iov_len = n;
		task->iovcnt++;
		at += n;
	}
	task->iov = iov;
	task->data_len = (uint32_t)room;
	finished = scsi_task_execute(task);
	if (!finished) {
		if (task->preempts) {
			scsi_tasks_aborted(task);
		}
		do {
			bench_settle(&b->disk);
			if (b->second != NULL) {
				bench_settle(b->second);
			}
		} while (b->disk.pending != NULL);
		assert_int_equal(b->done, 1);
	} else {
		assert_int_equal(b->done, 0);
	}
	task->iov = NULL;
	assert_true(task->data_in_len <= room);
	if (task->dir == SCSI_DIR_IN) {
		/* Nothing beyond what it says was touched. */
		assert_int_equal(b->in[task->data_in_len], 0xee);
	}
	return task->status;
}

static UNUSED uint8_t bench_cdb(struct bench *b, const void *cdb,
				size_t cdb_len)
{
	return bench_io(b, cdb, cdb_len, &(struct bench_io){0});
}

#define CDB(...) ((const uint8_t[]){__VA_ARGS__})
#define RUN(b, ...)                                                            \
	bench_cdb(b, CDB(__VA_ARGS__), sizeof((const uint8_t[]){__VA_ARGS__}))
#define RUN_AS(b, who, ...)                                                    \
	bench_io(b, CDB(__VA_ARGS__), sizeof((const uint8_t[]){__VA_ARGS__}),  \
		 &(struct bench_io){.nexus = (who)})
#define RUN_OUT(b, data, len, ...)                                             \
	bench_io(b, CDB(__VA_ARGS__), sizeof((const uint8_t[]){__VA_ARGS__}),  \
		 &(struct bench_io){.out = (data), .out_len = (len)})

/* ---- what came of it ---- */

/* Key, ASC and ASCQ as kaaqq, e.g. 0x52400; 0 without sense. */
static UNUSED uint32_t bench_sense(const struct bench *b)
{
	const uint8_t *s = b->task.sense;

	if (b->task.status != SCSI_CHECK_CONDITION) {
		return 0;
	}
	if ((s[0] & 0x7f) == 0x72) {
		assert_int_equal(b->task.sense_len, 8 + s[7]);
		return (uint32_t)(s[1] << 16) | get_be16(s + 2);
	}
	assert_int_equal(s[0] & 0x7f, 0x70);
	assert_int_equal(b->task.sense_len, 8 + s[7]);
	return (uint32_t)(s[2] << 16) | get_be16(s + 12);
}

#define assert_good(run) assert_int_equal(run, SCSI_GOOD)
#define assert_sense(b, run, key_asc)                                          \
	do {                                                                   \
		assert_int_equal(run, SCSI_CHECK_CONDITION);                   \
		assert_int_equal(bench_sense(b), key_asc);                     \
	} while (0)
#define assert_conflict(run) assert_int_equal(run, SCSI_RESERVATION_CONFLICT)

#define INVALID_OPCODE	  0x52000
#define LBA_OUT_OF_RANGE  0x52100
#define INVALID_CDB	  0x52400
#define LU_NOT_SUPPORTED  0x52500
#define INVALID_PARAMETER 0x52600
#define PARAMETER_LENGTH  0x51a00
#define INVALID_IU	  0x50e03
#define POWER_ON	  0x62900

/* The field pointer of fixed format sense: byte and bit of the CDB or, with
 * @in_cdb false, of the parameter list. */
static UNUSED void bench_field(const struct bench *b, bool in_cdb,
			       uint16_t byte, int bit)
{
	const uint8_t *s = b->task.sense;

	assert_int_equal(s[15] & 0x80, 0x80);
	assert_int_equal(s[15] & 0x40, in_cdb ? 0x40 : 0);
	assert_int_equal(get_be16(s + 16), byte);
	if (bit >= 0) {
		assert_int_equal(s[15] & 0x0f, 0x08 | bit);
	}
}

/* Take the unit attentions that logins raised. */
static UNUSED void bench_clear_ua(struct bench *b)
{
	unsigned i;

	for (i = 0; i < BENCH_NEXUSES; i++) {
		unsigned tries = 0;

		while (b->nexus[i] != NULL &&
		       RUN_AS(b, i, 0, 0, 0, 0, 0, 0) == SCSI_CHECK_CONDITION) {
			assert_true(++tries < 16);
		}
	}
}

/* ---- what units keep ---- */

/* For scsi_lu_set_store(). */
struct bench_store {
	size_t max; /* bytes that it may be at the most */
	uint8_t state[4096];
	size_t len;
	unsigned calls;
	bool later; /* the answer: scsi_stored() with @task */
	struct scsi_task *task;
};

static UNUSED int bench_keep(struct scsi_lu *lu, struct scsi_task *task,
			     const void *state, size_t len, void *private_data)
{
	struct bench_store *store = private_data;

	assert_non_null(lu);
	assert_true(len <= store->max && len <= sizeof(store->state));
	if (len > 0) {
		memcpy(store->state, state, len);
	}
	store->len = len;
	store->calls++;
	store->task = task;
	return store->later ? EINPROGRESS : 0;
}

/* Wherever it is cut, all of it is refused: @nothing checks a unit that has
 * nothing of it, or is NULL. */
static UNUSED void bench_cut(const struct bench_store *store,
			     void (*nothing)(struct bench *b))
{
	struct bench *b = malloc(sizeof(*b));
	size_t len;

	for (len = 0; len < store->len; len++) {
		bench_open(b);
		assert_int_equal(scsi_lu_restore(b->lu, store->state, len),
				 EINVAL);
		bench_clear_ua(b);
		if (nothing != NULL) {
			nothing(b);
		}
		bench_close(b);
	}
	free(b);
}

/* Group setup and teardown of one test. */
static UNUSED int bench_setup(void **state)
{
	struct bench *b = malloc(sizeof(*b));

	bench_open(b);
	bench_clear_ua(b);
	*state = b;
	return 0;
}

static UNUSED int bench_setup_large(void **state)
{
	struct bench *b = malloc(sizeof(*b));

	bench_open_with(b, BENCH_MAX_BLOCK);
	bench_clear_ua(b);
	*state = b;
	return 0;
}

static UNUSED int bench_teardown(void **state)
{
	bench_close(*state);
	free(*state);
	return 0;
}

#define BENCH_TEST(f)                                                          \
	cmocka_unit_test_setup_teardown(f, bench_setup, bench_teardown)

/* The same with blocks of either length. */
#define BENCH_TEST_BLOCKS(f)                                                   \
	BENCH_TEST(f),                                                         \
	{                                                                      \
#f " (4096)", f, bench_setup_large, bench_teardown, NULL       \
	}

#endif /* SCSI_BENCH_H */
