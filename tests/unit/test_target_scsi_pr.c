/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Persistent reservations (SPC-4 5.13) and those of SPC-2, from three
 * initiators.
 */
#include "target_scsi_pr.h"

/* ---- registering ---- */

static void registering(void **state)
{
	struct bench *b = *state;

	assert_int_equal(keys(b), 0);
	assert_int_equal(generation(b), 0);
	/* not registered: the key has to be 0 */
	assert_conflict(out(b, 0, REGISTER, 0, 5, 1));
	assert_good(out(b, 0, REGISTER, 0, 0, 0)); /* nothing */
	assert_int_equal(generation(b), 0);
	assert_good(out(b, 0, REGISTER, 0, 0, 0x11));
	assert_good(out(b, 1, IGNORE, 0, 0x77, 0x22));
	assert_int_equal(keys(b), 2);
	assert_int_equal(get_be64(b->in + 8), 0x11);
	assert_int_equal(get_be64(b->in + 16), 0x22);
	assert_int_equal(generation(b), 2);
	/* another key, with the present one */
	assert_conflict(out(b, 0, REGISTER, 0, 0x12, 0x33));
	assert_good(out(b, 0, REGISTER, 0, 0x11, 0x33));
	assert_int_equal(keys(b), 2);
	assert_int_equal(get_be64(b->in + 8), 0x33);
	/* READ KEYS, cut */
	assert_good(RUN(b, 0x5e, 0, 0, 0, 0, 0, 0, 0, 8, 0));
	assert_int_equal(b->task.data_in_len, 8);
	assert_int_equal(get_be32(b->in + 4), 16);
	/* unregistering */
	assert_conflict(out(b, 0, REGISTER, 0, 0x11, 0));
	assert_good(out(b, 0, REGISTER, 0, 0x33, 0));
	assert_good(out(b, 1, IGNORE, 0, 0, 0));
	assert_int_equal(keys(b), 0);
	assert_int_equal(generation(b), 5);
}

/* A registration outlives its session. */
static void registration_stays(void **state)
{
	struct bench *b = *state;

	assert_good(out(b, 1, REGISTER, 0, 0, 0x22));
	assert_good(out(b, 1, RESERVE, 3, 0x22, 0));
	scsi_nexus_lost(b->nexus[1]);
	scsi_nexus_free(b->nexus[1]);
	assert_conflict(rd(b, 0));
	b->nexus[1] = bench_login(b, "iqn.2026-01.example:two", 2);
	assert_sense(b, tur(b, 1), POWER_ON);
	assert_good(wr(b, 1));
	assert_int_equal(keys(b), 1);
	/* the same initiator's other port is another nexus */
	scsi_nexus_free(b->nexus[2]);
	b->nexus[2] = bench_login(b, "iqn.2026-01.example:two", 9);
	assert_sense(b, tur(b, 2), POWER_ON);
	assert_conflict(wr(b, 2));
}

/* ---- who may what (SPC-4 table 65) ---- */

static void access_by_type(void **state)
{
	static const struct {
		uint8_t type;
		bool reg_read, reg_write, read;
	} types[] = {
		{1, true, false, true}, {3, false, false, false},
		{5, true, true, true},	{6, true, true, false},
		{7, true, true, true},	{8, true, true, false},
	};
	struct bench *b = *state;
	size_t i;

	assert_good(out(b, 0, REGISTER, 0, 0, 1));
	assert_good(out(b, 1, REGISTER, 0, 0, 2));
	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		uint64_t key = 99;

		assert_good(out(b, 0, RESERVE, types[i].type, 1, 0));
		assert_int_equal(reservation(b, &key), types[i].type);
		assert_int_equal(key, types[i].type >= 7 ? 0 : 1);
		assert_good(rd(b, 0));
		assert_good(wr(b, 0));
		assert_int_equal(rd(b, 1) == SCSI_GOOD, types[i].reg_read);
		assert_int_equal(wr(b, 1) == SCSI_GOOD, types[i].reg_write);
		assert_int_equal(rd(b, 2) == SCSI_GOOD, types[i].read);
		assert_conflict(wr(b, 2));
		/* these are always allowed */
		assert_good(tur(b, 2));
		assert_good(RUN_AS(b, 2, 0x12, 0, 0, 0, 36, 0));
		assert_good(RUN_AS(b, 2, 0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0));
		assert_good(in(b, 2, 0));
		assert_good(RUN_AS(b, 2, 0x84, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
				   0, 46, 0, 0));
		/* COPY OPERATION ABORT is not */
		assert_conflict(RUN_AS(b, 2, 0x83, 0x1c, 0, 0, 0, 1, 0, 0, 0, 0,
				       0, 0, 0, 0, 0, 0));
		/* REPORT SUPPORTED OPERATION CODES and MODE SENSE read, MODE
		 * SELECT writes */
		assert_int_equal(RUN_AS(b, 2, 0x1a, 0, 0x3f, 0, 255, 0) ==
					 SCSI_GOOD,
				 types[i].read);
		assert_int_equal(RUN_AS(b, 2, 0xa3, 0x0c, 0, 0, 0, 0, 0, 0, 0,
					64, 0, 0) == SCSI_GOOD,
				 types[i].read);
		assert_conflict(RUN_AS(b, 2, 0x15, 0x10, 0, 0, 0, 0));
		/* a start is allowed, a stop not */
		assert_good(RUN_AS(b, 2, 0x1b, 0, 0, 0, 1, 0));
		assert_conflict(RUN_AS(b, 2, 0x1b, 0, 0, 0, 0, 0));
		assert_good(out(b, 0, RELEASE, types[i].type, 1, 0));
		bench_clear_ua(b);
		assert_good(wr(b, 2));
	}
}

static void reserving(void **state)
{
	struct bench *b = *state;
	uint64_t key;

	assert_conflict(out(b, 0, RESERVE, 1, 0, 0)); /* not registered */
	assert_good(out(b, 0, REGISTER, 0, 0, 1));
	assert_good(out(b, 1, REGISTER, 0, 0, 2));
	assert_conflict(out(b, 0, RESERVE, 1, 7, 0)); /* wrong key */
	assert_good(out(b, 0, RESERVE, 5, 1, 0));
	assert_good(out(b, 0, RESERVE, 5, 1, 0)); /* once more */
	assert_conflict(out(b, 0, RESERVE, 6, 1, 0));
	assert_conflict(out(b, 1, RESERVE, 5, 2, 0));
	/* releasing: another's is left alone, another type refused */
	assert_good(out(b, 1, RELEASE, 5, 2, 0));
	assert_int_equal(reservation(b, &key), 5);
	assert_sense(b, out(b, 0, RELEASE, 6, 1, 0), 0x52604);
	assert_good(out(b, 0, RELEASE, 5, 1, 0));
	assert_int_equal(reservation(b, &key), 0);
	/* registrants are told of a registrants-only reservation's end */
	assert_sense(b, tur(b, 1), RELEASED);
	assert_good(tur(b, 0));
	assert_good(tur(b, 2));
	assert_good(out(b, 0, RELEASE, 5, 1, 0)); /* nothing to release */
	/* types and scopes there are not */
	assert_sense(b, out(b, 0, RESERVE, 0, 1, 0), INVALID_CDB);
	assert_sense(b, out(b, 0, RESERVE, 2, 1, 0), INVALID_CDB);
	assert_sense(b, out(b, 0, RESERVE, 4, 1, 0), INVALID_CDB);
	assert_sense(b, out(b, 0, RESERVE, 9, 1, 0), INVALID_CDB);
	assert_sense(b, out(b, 0, RESERVE, 0x11, 1, 0), INVALID_CDB);
	assert_int_equal(generation(b), 2);
}

static void unregistering_the_holder(void **state)
{
	struct bench *b = *state;
	uint64_t key;
	unsigned type;

	for (type = 1; type <= 8; type++) {
		if (type == 2 || type == 4) {
			continue;
		}
		assert_good(out(b, 0, REGISTER, 0, 0, 1));
		assert_good(out(b, 1, REGISTER, 0, 0, 2));
		assert_good(out(b, 0, RESERVE, (uint8_t)type, 1, 0));
		assert_good(out(b, 0, REGISTER, 0, 1, 0));
		if (type >= 7) {
			/* the others hold it as well */
			assert_int_equal(reservation(b, &key), type);
			assert_good(tur(b, 1));
			assert_conflict(wr(b, 0));
		} else {
			assert_int_equal(reservation(b, &key), 0);
			if (type >= 5) {
				assert_sense(b, tur(b, 1), RELEASED);
			}
		}
		assert_good(tur(b, 1));
		assert_good(out(b, 1, REGISTER, 0, 2, 0));
		assert_int_equal(reservation(b, &key), 0);
		bench_clear_ua(b);
	}
}

static void clearing(void **state)
{
	struct bench *b = *state;
	uint64_t key;
	uint32_t gen;

	assert_good(out(b, 0, REGISTER, 0, 0, 1));
	assert_good(out(b, 1, REGISTER, 0, 0, 2));
	assert_good(out(b, 0, RESERVE, 3, 1, 0));
	gen = generation(b);
	assert_conflict(out(b, 2, CLEAR, 0, 0, 0));
	assert_good(out(b, 1, CLEAR, 0, 2, 0));
	assert_sense(b, tur(b, 0), PREEMPTED_RES);
	assert_good(tur(b, 1));
	assert_good(tur(b, 2));
	assert_int_equal(keys(b), 0);
	assert_int_equal(reservation(b, &key), 0);
	assert_int_equal(generation(b), gen + 1);
	assert_good(wr(b, 2));
}

/* ---- preempting ---- */

static void preempting_the_holder(void **state)
{
	struct bench *b = *state;
	uint64_t key;
	uint32_t gen;

	assert_good(out(b, 0, REGISTER, 0, 0, 1));
	assert_good(out(b, 1, REGISTER, 0, 0, 2));
	assert_good(out(b, 2, REGISTER, 0, 0, 3));
	assert_good(out(b, 0, RESERVE, 5, 1, 0));
	gen = generation(b);
	assert_good(out(b, 1, PREEMPT, 1, 2, 1));
	assert_sense(b, tur(b, 0), PREEMPTED_REG);
	assert_good(tur(b, 0));
	assert_sense(b, tur(b, 2), RELEASED); /* the type is another */
	assert_good(tur(b, 1));
	assert_int_equal(generation(b), gen + 1);
	assert_int_equal(keys(b), 2);
	assert_int_equal(reservation(b, &key), 1);
	assert_int_equal(key, 2);
	assert_conflict(wr(b, 0));
	assert_conflict(wr(b, 2));
	assert_int_equal(b->aborts, 0);
}

static void preempting_registrations(void **state)
{
	struct bench *b = *state;
	uint64_t key;

	assert_good(out(b, 0, REGISTER, 0, 0, 1));
	assert_good(out(b, 1, REGISTER, 0, 0, 2));
	assert_good(out(b, 2, REGISTER, 0, 0, 2));
	assert_good(out(b, 0, RESERVE, 5, 1, 0));
	assert_conflict(out(b, 0, PREEMPT, 5, 1, 0x99)); /* nobody's key */
	assert_sense(b, out(b, 0, PREEMPT, 5, 1, 0), INVALID_PARAMETER);
	assert_good(out(b, 0, ABORT, 5, 1, 2));
	assert_int_equal(keys(b), 1);
	assert_sense(b, tur(b, 1), PREEMPTED_REG);
	assert_sense(b, tur(b, 2), PREEMPTED_REG);
	assert_int_equal(reservation(b, &key), 5);
	assert_int_equal(key, 1);
	/* PREEMPT AND ABORT: both of them lose their tasks */
	assert_int_equal(b->aborts, 1);
	assert_false(scsi_nexus_set_has(b->aborted, b->nexus[0]));
	assert_true(scsi_nexus_set_has(b->aborted, b->nexus[1]));
	assert_true(scsi_nexus_set_has(b->aborted, b->nexus[2]));
	assert_conflict(wr(b, 1));
}

/* Of a reservation or of registrations: nothing changes where commands under
 * way cannot be ended, and it does when they can. */
static void preempting_without_memory(void **state)
{
	struct bench *b = *state;
	uint32_t before;
	uint64_t key;

	assert_good(out(b, 0, REGISTER, 0, 0, 1));
	assert_good(out(b, 1, REGISTER, 0, 0, 2));
	assert_good(out(b, 2, REGISTER, 0, 0, 3));
	assert_good(out(b, 1, RESERVE, 5, 2, 0));
	before = generation(b);
	b->no_aborts = true;
	assert_int_equal(out(b, 0, ABORT, 3, 1, 2), SCSI_BUSY);
	assert_int_equal(out(b, 0, ABORT, 3, 1, 3), SCSI_BUSY);
	assert_conflict(out(b, 0, ABORT, 3, 1, 4));
	assert_int_equal(generation(b), before);
	assert_int_equal(keys(b), 3);
	assert_int_equal(reservation(b, &key), 5);
	assert_int_equal(key, 2);
	assert_good(tur(b, 1));
	assert_good(tur(b, 2));
	/* PREEMPT alone needs none */
	assert_good(out(b, 0, PREEMPT, 3, 1, 3));
	b->no_aborts = false;
	assert_good(out(b, 0, ABORT, 3, 1, 2));
	assert_int_equal(keys(b), 1);
	assert_int_equal(reservation(b, &key), 3);
	assert_int_equal(key, 1);
	assert_sense(b, tur(b, 1), PREEMPTED_REG);
}

static void preempting_all_registrants(void **state)
{
	struct bench *b = *state;
	uint64_t key;

	assert_good(out(b, 0, REGISTER, 0, 0, 1));
	assert_good(out(b, 1, REGISTER, 0, 0, 2));
	assert_good(out(b, 2, REGISTER, 0, 0, 3));
	assert_good(out(b, 0, RESERVE, 8, 1, 0));
	/* one of them: the reservation stays everyone's */
	assert_good(out(b, 0, PREEMPT, 8, 1, 3));
	assert_int_equal(reservation(b, &key), 8);
	assert_int_equal(keys(b), 2);
	assert_sense(b, tur(b, 2), PREEMPTED_REG);
	/* key 0: all others, and the reservation */
	assert_good(out(b, 1, ABORT, 3, 2, 0));
	assert_true(scsi_nexus_set_has(b->aborted, b->nexus[0]));
	assert_false(scsi_nexus_set_has(b->aborted, b->nexus[1]));
	assert_false(scsi_nexus_set_has(b->aborted, b->nexus[2]));
	assert_sense(b, tur(b, 0), PREEMPTED_REG);
	assert_int_equal(reservation(b, &key), 3);
	assert_int_equal(key, 2);
	assert_int_equal(keys(b), 1);
	assert_conflict(rd(b, 0));
}

/* The preempting nexus's own key: the others with it go, it stays. */
static void preempting_own_key(void **state)
{
	struct bench *b = *state;
	uint64_t key;

	assert_good(out(b, 0, REGISTER, 0, 0, 7));
	assert_good(out(b, 1, REGISTER, 0, 0, 7));
	assert_good(out(b, 0, RESERVE, 1, 7, 0));
	assert_good(out(b, 1, PREEMPT, 3, 7, 7));
	assert_sense(b, tur(b, 0), PREEMPTED_REG);
	assert_int_equal(keys(b), 1);
	assert_int_equal(reservation(b, &key), 3);
	assert_good(wr(b, 1));
	assert_conflict(rd(b, 0));
}

/* ---- parameter lists ---- */

static void lists_of_wrong_length(void **state)
{
	struct bench *b = *state;
	uint8_t list[64] = {0};

	assert_sense(b, out_list(b, 0, REGISTER, 0, list, 23),
		     PARAMETER_LENGTH);
	assert_sense(b, out_list(b, 0, REGISTER, 0, list, 25),
		     PARAMETER_LENGTH);
	assert_sense(b, out_list(b, 0, RESERVE, 1, list, 0), PARAMETER_LENGTH);
	/* the initiator sends less than the CDB says */
	assert_sense(b,
		     bench_io(b, CDB(0x5f, 0, 0, 0, 0, 0, 0, 0, 24, 0), 10,
			      &(struct bench_io){.out = list, .out_len = 20}),
		     PARAMETER_LENGTH);
	assert_sense(b,
		     RUN_OUT(b, list, 24, 0x5f, 0, 0, 0, 0, 0xff, 0xff, 0xff,
			     0xff, 0),
		     PARAMETER_LENGTH);
	/* APTPL without a store */
	list[8] = 1;
	list[20] = 1;
	assert_sense(b, out_list(b, 0, REGISTER, 0, list, 24),
		     INVALID_PARAMETER);
	bench_field(b, false, 20, 0);
	/* service actions there are not */
	assert_sense(b, out_list(b, 0, 8, 0, list, 24), INVALID_CDB);
	assert_sense(b, in(b, 0, 4), INVALID_CDB);
}

/* ---- what can be read ---- */

static void capabilities(void **state)
{
	static const uint8_t expected[8] = {0, 8, 0x0c, 0xc0, 0xea, 0x01};
	struct bench *b = *state;

	assert_good(in(b, 0, 2));
	assert_int_equal(b->task.data_in_len, 8);
	assert_memory_equal(b->in, expected, 8);
}

static void full_status(void **state)
{
	struct bench *b = *state;
	const uint8_t *d;

	assert_good(out(b, 0, REGISTER, 0, 0, 1));
	assert_good(out(b, 1, REGISTER, 0, 0, 2));
	assert_good(out(b, 1, RESERVE, 6, 2, 0));
	assert_good(in(b, 2, 3));
	assert_int_equal(get_be32(b->in), 2);
	d = b->in + 8;
	assert_int_equal(get_be64(d), 1);
	assert_int_equal(d[12], 0);
	assert_int_equal(get_be16(d + 18), 1);
	assert_int_equal(d[24], 0x45);
	assert_string_equal((const char *)d + 28,
			    "iqn.2026-01.example:one,i,0x400000000001");
	d += 24 + get_be32(d + 20);
	assert_int_equal(get_be64(d), 2);
	assert_int_equal(d[12], 1); /* R_HOLDER */
	assert_int_equal(d[13], 6);
	d += 24 + get_be32(d + 20);
	assert_int_equal(d - b->in, b->task.data_in_len);
	assert_int_equal(get_be32(b->in + 4), b->task.data_in_len - 8);
}

/* ---- through a power loss ---- */

static void no_keys(struct bench *b)
{
	assert_int_equal(keys(b), 0);
}

static void through_power_loss(void **state)
{
	struct bench *b = *state, *again = malloc(sizeof(*again));
	struct bench_store store = {.max = 4096};
	uint8_t list[24] = {0};
	uint64_t key;

	scsi_lu_set_store(b->lu, bench_keep, &store);
	assert_good(in(b, 0, 2));
	assert_int_equal(b->in[2], 0x0d); /* PTPL_C */
	/* not asked for: not kept */
	assert_good(out(b, 1, REGISTER, 0, 0, 2));
	assert_int_equal(store.calls, 0);
	put_be64(list + 8, 1);
	list[20] = 1;
	assert_good(out_list(b, 0, REGISTER, 0, list, 24));
	assert_int_equal(store.calls, 1);
	assert_good(out(b, 0, RESERVE, 3, 1, 0));
	assert_int_equal(store.calls, 2);
	assert_good(in(b, 0, 2));
	assert_int_equal(b->in[3] & 1, 1); /* PTPL_A */

	/* the next start */
	bench_open(again);
	assert_int_equal(scsi_lu_restore(again->lu, store.state, store.len), 0);
	bench_clear_ua(again);
	assert_int_equal(keys(again), 2);
	assert_int_equal(reservation(again, &key), 3);
	assert_int_equal(key, 1);
	assert_good(wr(again, 0));
	assert_conflict(wr(again, 1));
	bench_close(again);
	free(again);
	bench_cut(&store, no_keys);

	/* a registration without APTPL: forget it all */
	assert_good(out(b, 0, REGISTER, 0, 1, 5));
	assert_int_equal(store.calls, 3);
	assert_int_equal(store.len, 0);
}

/* What was kept of one registration, by an initiator of so long a name. */
static size_t kept_registration(uint8_t *p, uint16_t name_len)
{
	static const char target[] = BENCH_TARGET;
	const uint16_t target_len = sizeof(target) - 1;

	memset(p, 0, 36 + 18 + 2 + name_len + 2 + target_len);
	put_be32(p, 0x49534c55);
	put_be32(p + 4, 1);
	put_be32(p + 8, 0x02); /* reservations */
	put_be32(p + 16, 0x49535250);
	put_be32(p + 28, UINT32_MAX); /* no holder */
	put_be32(p + 32, 1);
	put_be64(p + 36, 5);	  /* key */
	put_be16(p + 36 + 10, 1); /* port */
	put_be16(p + 54, name_len);
	memset(p + 56, 'x', name_len);
	put_be16(p + 56 + name_len, target_len);
	memcpy(p + 58 + name_len, target, target_len);
	return 58u + name_len + target_len;
}

/* No longer than iSCSI's (RFC 7143 4.2.7.1), which READ FULL STATUS tells. */
static void kept_names(void **state)
{
	struct bench *b = *state;
	uint8_t kept[512];

	assert_int_equal(scsi_lu_restore(b->lu, kept,
					 kept_registration(kept, 224)),
			 EINVAL);
	no_keys(b);
	assert_int_equal(scsi_lu_restore(b->lu, kept,
					 kept_registration(kept, 255)),
			 EINVAL);
	no_keys(b);
	assert_int_equal(
		scsi_lu_restore(b->lu, kept, kept_registration(kept, 223)), 0);
	assert_good(in(b, 0, 3));
	/* name, ",i,0x" and ISID, and their null, in fours */
	assert_int_equal(get_be32(b->in + 8 + 20), 4 + 244);
	assert_int_equal(b->task.data_in_len, 8 + 24 + 4 + 244);
}

/* The status waits for the store. */
static void store_answers_later(void **state)
{
	struct bench *b = *state;
	struct bench_store store = {.max = 4096, .later = true};
	struct scsi_task *task = &b->task;
	uint8_t list[24] = {0};
	struct iovec iov = {list, 24};
	int error;

	scsi_lu_set_store(b->lu, bench_keep, &store);
	list[8] = 1;
	list[20] = 1;
	for (error = 0; error <= EIO; error += EIO) {
		memset(task, 0, sizeof(*task));
		memcpy(task->cdb, CDB(0x5f, IGNORE, 0, 0, 0, 0, 0, 0, 24, 0),
		       10);
		task->cdb_len = 16;
		task->nexus = b->nexus[0];
		task->done = bench_done;
		task->private_data = b;
		assert_true(scsi_task_prepare(task));
		task->iov = &iov;
		task->iovcnt = 1;
		task->data_len = 24;
		b->done = 0;
		assert_false(scsi_task_execute(task));
		assert_int_equal(b->done, 0);
		scsi_stored(store.task, error);
		assert_int_equal(b->done, 1);
		assert_int_equal(bench_sense(b), error != 0 ? 0x44400 : 0);
	}
	scsi_lu_set_store(b->lu, NULL, NULL);
}

/* ---- RESERVE and RELEASE ---- */

/* SCOPE and TYPE where they mean nothing (SPC-4 5.13.7, 5.13.11.2.5, .7). */
static void ignored_types(void **state)
{
	struct bench *b = *state;
	uint64_t key;

	assert_good(out(b, 0, REGISTER, 0x15, 0, 1));
	assert_good(out(b, 1, IGNORE, 0xff, 0, 2));
	assert_good(out(b, 2, REGISTER, 5, 0, 3));
	assert_good(out(b, 0, RESERVE, 1, 1, 0));
	/* a registration goes, no reservation */
	assert_good(out(b, 0, PREEMPT, 0, 1, 3));
	assert_int_equal(keys(b), 2);
	assert_int_equal(reservation(b, &key), 1);
	/* one that makes a reservation needs a type */
	assert_sense(b, out(b, 1, PREEMPT, 0, 2, 1), INVALID_CDB);
	bench_field(b, true, 2, 3);
	assert_sense(b, out(b, 1, PREEMPT, 0x11, 2, 1), INVALID_CDB);
	bench_field(b, true, 2, 7);
	assert_int_equal(keys(b), 2);
	assert_good(out(b, 0, CLEAR, 0x7f, 1, 0));
	assert_int_equal(keys(b), 0);
}

/* One's own key, where it does not hold the reservation (SPC-4 5.13.11.2.5):
 * the registration goes, and the nexus is not told. */
static void preempting_the_own_key(void **state)
{
	struct bench *b = *state;
	uint64_t key;

	assert_good(out(b, 0, REGISTER, 0, 0, 1));
	assert_good(out(b, 1, REGISTER, 0, 0, 1));
	assert_good(out(b, 2, REGISTER, 0, 0, 3));
	assert_good(out(b, 0, PREEMPT, 1, 1, 1));
	assert_int_equal(keys(b), 1);
	assert_good(tur(b, 0));
	assert_sense(b, tur(b, 1), PREEMPTED_REG);
	assert_conflict(out(b, 0, RESERVE, 1, 1, 0));
	/* beside another's reservation, which stays */
	assert_good(out(b, 2, RESERVE, 5, 3, 0));
	assert_good(out(b, 0, REGISTER, 0, 0, 1));
	assert_good(out(b, 0, PREEMPT, 1, 1, 1));
	assert_int_equal(keys(b), 1);
	assert_int_equal(reservation(b, &key), 5);
	assert_int_equal(key, 3);
	assert_conflict(wr(b, 0));
	/* of all registrants each holds it: the own registration stays */
	assert_good(out(b, 2, RELEASE, 5, 3, 0));
	assert_good(out(b, 2, RESERVE, 8, 3, 0));
	assert_good(out(b, 2, PREEMPT, 8, 3, 3));
	assert_int_equal(keys(b), 1);
	assert_int_equal(reservation(b, &key), 8);
}

static void legacy(void **state)
{
	struct bench *b = *state;

	assert_good(RUN(b, 0x16, 0, 0, 0, 0, 0));
	assert_good(RUN(b, 0x16, 0, 0, 0, 0, 0));
	assert_conflict(RUN_AS(b, 1, 0x16, 0, 0, 0, 0, 0));
	assert_conflict(RUN_AS(b, 1, 0x56, 0, 0, 0, 0, 0, 0, 0, 0, 0));
	assert_good(RUN_AS(b, 1, 0x17, 0, 0, 0, 0, 0)); /* ignored */
	assert_conflict(rd(b, 1));
	assert_conflict(tur(b, 1));
	assert_conflict(RUN_AS(b, 1, 0x1a, 0, 0x3f, 0, 255, 0));
	assert_conflict(in(b, 1, 0));
	/* these not even from who holds it (SPC-2 5.5.1) */
	assert_conflict(in(b, 0, 0));
	assert_conflict(out(b, 0, REGISTER, 0, 0, 1));
	assert_good(RUN_AS(b, 1, 0x12, 0, 0, 0, 36, 0));
	assert_good(rd(b, 0));
	assert_good(RUN(b, 0x57, 0, 0, 0, 0, 0, 0, 0, 0, 0));
	assert_good(rd(b, 1));
	/* a logout, a nexus loss and a reset release it */
	assert_good(RUN_AS(b, 1, 0x56, 0, 0, 0, 0, 0, 0, 0, 0, 0));
	scsi_nexus_free(b->nexus[1]);
	b->nexus[1] = NULL;
	assert_good(rd(b, 0));
	assert_good(RUN(b, 0x16, 0, 0, 0, 0, 0));
	scsi_nexus_lost(b->nexus[0]);
	assert_good(rd(b, 2));
	bench_clear_ua(b);
	assert_good(RUN(b, 0x16, 0, 0, 0, 0, 0));
	scsi_lu_reset(b->lu, b->nexus[2]);
	bench_clear_ua(b);
	assert_good(rd(b, 2));
	/* not beside persistent ones */
	assert_good(out(b, 0, REGISTER, 0, 0, 1));
	assert_conflict(RUN(b, 0x16, 0, 0, 0, 0, 0));
	assert_conflict(RUN(b, 0x17, 0, 0, 0, 0, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BENCH_TEST(registering),
		BENCH_TEST(registration_stays),
		BENCH_TEST(access_by_type),
		BENCH_TEST(reserving),
		BENCH_TEST(unregistering_the_holder),
		BENCH_TEST(clearing),
		BENCH_TEST(ignored_types),
		BENCH_TEST(preempting_the_own_key),
		BENCH_TEST(preempting_the_holder),
		BENCH_TEST(preempting_registrations),
		BENCH_TEST(preempting_without_memory),
		BENCH_TEST(preempting_all_registrants),
		BENCH_TEST(preempting_own_key),
		BENCH_TEST(lists_of_wrong_length),
		BENCH_TEST(capabilities),
		BENCH_TEST(full_status),
		BENCH_TEST(through_power_loss),
		BENCH_TEST(kept_names),
		BENCH_TEST(store_answers_later),
		BENCH_TEST(legacy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
