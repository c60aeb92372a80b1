/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Target port groups and asymmetric access (SPC-4 5.16.2, 6.37, 6.45), from an
 * initiator at port 1 and two at port 2.
 */
#include "target_scsi_bench.h"

#define ONE   0
#define TWO   1
#define OTHER 2 /* as TWO, but another initiator */

#define O  SCSI_ACCESS_OPTIMIZED
#define N  SCSI_ACCESS_NON_OPTIMIZED
#define SB SCSI_ACCESS_STANDBY
#define U  SCSI_ACCESS_UNAVAILABLE

#define STATE_CHANGED	 0x62a06
#define PORT_STANDBY	 0x2040b
#define PORT_UNAVAILABLE 0x2040c
#define SET_FAILED	 0x4670a

#define EXPLICIT 1
#define IMPLICIT 2

static struct scsi_nexus *login(struct bench *b, const char *initiator,
				uint16_t port)
{
	struct scsi_nexus_config config = {
		.initiator_name = initiator,
		.isid = {0x40, 0, 0, 0, 0, 1},
		.target_name = BENCH_TARGET,
		.portal_group = port,
	};
	struct scsi_nexus *nexus = scsi_nexus_create(&config, b->map);

	assert_non_null(nexus);
	return nexus;
}

static void configure(struct bench *b, uint16_t group, enum scsi_access access)
{
	assert_int_equal(scsi_lu_set_access(b->lu, group, access), 0);
}

static uint8_t tur(struct bench *b, unsigned who)
{
	return RUN_AS(b, who, 0, 0, 0, 0, 0, 0);
}

/* Of nexuses whose port may be anything but active. */
static void clear_ua(struct bench *b)
{
	unsigned who;

	for (who = 0; who < BENCH_NEXUSES; who++) {
		do {
			tur(b, who);
		} while (bench_sense(b) >> 16 == 6);
	}
}

static int setup(void **state)
{
	struct bench *b = malloc(sizeof(*b));

	bench_open(b);
	scsi_nexus_free(b->nexus[TWO]);
	scsi_nexus_free(b->nexus[OTHER]);
	configure(b, 2, O);
	b->nexus[TWO] = login(b, "iqn.2026-01.example:one", 2);
	b->nexus[OTHER] = login(b, "iqn.2026-01.example:other", 2);
	clear_ua(b);
	*state = b;
	return 0;
}

static uint8_t rd(struct bench *b, unsigned who)
{
	return RUN_AS(b, who, 0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0);
}

static uint8_t report(struct bench *b, unsigned who)
{
	return RUN_AS(b, who, 0xa3, 0x0a, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0);
}

/* The descriptor of a group, in the short format. */
static const uint8_t *group(struct bench *b, uint16_t number)
{
	size_t at;

	assert_good(report(b, ONE));
	assert_int_equal(b->task.data_in_len, 4 + get_be32(b->in));
	for (at = 4; at < b->task.data_in_len; at += 12) {
		if (get_be16(b->in + at + 2) == number) {
			return b->in + at;
		}
	}
	fail_msg("group %u is not told", number);
	return NULL;
}

static void assert_state(struct bench *b, uint16_t number,
			 enum scsi_access state, bool preferred, uint8_t status)
{
	const uint8_t *d = group(b, number);

	assert_int_equal(d[0], state | (preferred ? 0x80 : 0));
	assert_int_equal(d[5], status);
}

struct change {
	uint16_t group;
	uint8_t state;
};

static uint8_t set(struct bench *b, unsigned who, const struct change *changes,
		   size_t count)
{
	uint8_t list[4 + 4 * 8] = {0}, len = (uint8_t)(4 + 4 * count);
	size_t i;

	for (i = 0; i < count; i++) {
		list[4 + 4 * i] = changes[i].state;
		put_be16(list + 6 + 4 * i, changes[i].group);
	}
	return bench_io(
		b, CDB(0xa4, 0x0a, 0, 0, 0, 0, 0, 0, 0, len, 0, 0), 12,
		&(struct bench_io){
			.nexus = who, .out = list, .out_len = len, .split = 3});
}

#define SET(b, who, ...)                                                       \
	set(b, who, (const struct change[]){__VA_ARGS__},                      \
	    sizeof((const struct change[]){__VA_ARGS__}) /                     \
		    sizeof(struct change))

/* ---- what is told ---- */

static void formats(void **state)
{
	static const uint8_t short_form[] = {0, 0, 0, 24,   0, 0x0f, 0,
					     1, 0, 0, 0,    1, 0,    0,
					     0, 1, 0, 0x0f, 0, 2,    0,
					     0, 0, 1, 0,    0, 0,    2};
	struct bench *b = *state;

	assert_good(report(b, TWO));
	assert_int_equal(b->task.data_in_len, sizeof(short_form));
	assert_memory_equal(b->in, short_form, sizeof(short_form));
	/* with the extended header */
	assert_good(RUN(b, 0xa3, 0x2a, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0));
	assert_int_equal(get_be32(b->in), 28);
	assert_memory_equal(b->in + 4, "\x10\0\0\0", 4);
	assert_memory_equal(b->in + 8, short_form + 4, 24);
	assert_sense(b, RUN(b, 0xa3, 0x4a, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0),
		     INVALID_CDB);
	/* cut to the allocation length, with the whole length told */
	assert_good(RUN(b, 0xa3, 0x0a, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0));
	assert_int_equal(b->task.data_in_len, 8);
	assert_int_equal(get_be32(b->in), 24);
}

/* Groups come with their first nexus at the latest. */
static void groups_appear(void **state)
{
	struct bench *b = *state;

	scsi_nexus_free(b->nexus[OTHER]);
	b->nexus[OTHER] = login(b, "iqn.2026-01.example:other", 700);
	assert_state(b, 700, O, false, 0);
	assert_int_equal(get_be32(b->in), 36);
	/* in between; nobody has to be told of it */
	configure(b, 30, O);
	assert_good(report(b, ONE));
	assert_int_equal(get_be16(b->in + 4 + 24 + 2), 30);
	assert_int_equal(get_be16(b->in + 4 + 36 + 2), 700);
	assert_good(tur(b, ONE));
	/* MULTIP, and the page of ports has them too */
	assert_good(RUN(b, 0x12, 0, 0, 0, 255, 0));
	assert_int_equal(b->in[6], 0x10);
	assert_good(RUN(b, 0x12, 1, 0x88, 0x10, 0, 0));
	assert_int_equal(get_be16(b->in + 2), 4 * (12 + 4 + 48));
	assert_int_equal(get_be16(b->in + 4 + 2 * 64 + 2), 30);
	assert_int_equal(get_be16(b->in + 4 + 3 * 64 + 2), 700);
}

static void how_many(void **state)
{
	struct bench *b = *state;
	uint16_t i;

	assert_int_equal(scsi_lu_set_access(b->lu, 0, O), EINVAL);
	assert_int_equal(scsi_lu_set_access(b->lu, 3, SCSI_ACCESS_NUM), EINVAL);
	for (i = 3; i <= SCSI_MAX_PORTS; i++) {
		configure(b, i, O);
	}
	assert_int_equal(scsi_lu_set_access(b->lu, i, O), ENOSPC);
	assert_good(report(b, ONE));
	assert_int_equal(get_be32(b->in), 12 * SCSI_MAX_PORTS);
	/* A nexus through one more is served, as the best there is. */
	scsi_nexus_free(b->nexus[OTHER]);
	b->nexus[OTHER] = login(b, "iqn.2026-01.example:other", i);
	clear_ua(b);
	assert_good(rd(b, OTHER));
}

/* VPD page 83h names the port that was asked through. */
static void designators(void **state)
{
	struct bench *b = *state;
	size_t at;
	unsigned found = 0;

	assert_good(RUN_AS(b, TWO, 0x12, 1, 0x83, 0x10, 0, 0));
	for (at = 4; at < b->task.data_in_len; at += 4 + b->in[at + 3]) {
		const uint8_t *d = b->in + at;

		if ((d[1] & 0x3f) == 0x14 || (d[1] & 0x3f) == 0x15) {
			assert_int_equal(get_be32(d + 4), 2);
			found++;
		} else if ((d[1] & 0x3f) == 0x18) {
			assert_string_equal((const char *)d + 4,
					    BENCH_TARGET ",t,0x0002");
			found++;
		}
	}
	assert_int_equal(found, 3);
}

/* ---- states ---- */

static void configured(void **state)
{
	struct bench *b = *state;

	configure(b, 2, N);
	/* all are told, once */
	assert_sense(b, tur(b, ONE), STATE_CHANGED);
	assert_sense(b, tur(b, TWO), STATE_CHANGED);
	assert_sense(b, tur(b, OTHER), STATE_CHANGED);
	assert_good(tur(b, OTHER));
	/* the other group is preferred now */
	assert_state(b, 1, O, true, 0);
	assert_state(b, 2, N, false, IMPLICIT);
	assert_good(rd(b, TWO));
	configure(b, 2, N);
	assert_good(tur(b, ONE));
	configure(b, 2, O);
	assert_sense(b, tur(b, ONE), STATE_CHANGED);
	assert_state(b, 1, O, false, 0);
}

/* A unit that no nexus has seen yet. */
static int setup_empty(void **state)
{
	struct bench *b = malloc(sizeof(*b));
	unsigned i;

	bench_open(b);
	for (i = 0; i < BENCH_NEXUSES; i++) {
		scsi_nexus_free(b->nexus[i]);
		b->nexus[i] = NULL;
	}
	*state = b;
	return 0;
}

static void before_the_first_nexus(void **state)
{
	struct bench *b = *state;
	struct scsi_lu_config config = {.disk = &b->disk, .enabled = true};

	/* No change: it was never otherwise. */
	scsi_lu_free(b->lu);
	b->lu = scsi_lu_create(&config);
	configure(b, 2, SB);
	configure(b, 1, O);
	b->map->entry[0].lu = b->lu;
	b->nexus[ONE] = login(b, "iqn.2026-01.example:one", 1);
	b->nexus[TWO] = login(b, "iqn.2026-01.example:one", 2);
	assert_sense(b, tur(b, ONE), POWER_ON);
	assert_good(tur(b, ONE));
	assert_sense(b, tur(b, TWO), POWER_ON);
	assert_sense(b, tur(b, TWO), PORT_STANDBY);
	assert_state(b, 1, O, true, 0);
	assert_state(b, 2, SB, false, 0);
}

/* Commands that SPC-4 5.16.2.4.4 asks for, and some that it allows. */
static void standby(void **state)
{
	struct bench *b = *state;
	uint8_t list[24] = {0};

	configure(b, 2, SB);
	clear_ua(b);
	assert_sense(b, tur(b, TWO), PORT_STANDBY);
	assert_sense(b, rd(b, TWO), PORT_STANDBY);
	assert_sense(b, RUN_AS(b, TWO, 0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0),
		     PORT_STANDBY);
	assert_sense(b, RUN_AS(b, TWO, 0x16, 0, 0, 0, 0, 0), PORT_STANDBY);
	assert_sense(b, RUN_AS(b, TWO, 0x83, 0, 0), PORT_STANDBY);
	assert_good(rd(b, ONE));
	assert_good(RUN_AS(b, TWO, 0x12, 0, 0, 0, 255, 0));
	assert_good(RUN_AS(b, TWO, 0xa0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0));
	assert_good(report(b, TWO));
	assert_good(RUN_AS(b, TWO, 0x4d, 0, 0x40, 0, 0, 0, 0, 0, 255, 0));
	assert_good(RUN_AS(b, TWO, 0x1a, 0, 0x3f, 0, 255, 0));
	assert_good(RUN_AS(b, TWO, 0x5a, 0, 0x3f, 0, 0, 0, 0, 0, 255, 0));
	assert_good(RUN_AS(b, TWO, 0x1c, 0, 0, 0, 255, 0));
	assert_good(RUN_AS(b, TWO, 0x1d, 4, 0, 0, 0, 0));
	assert_good(RUN_AS(b, TWO, 0x25, 0));
	assert_good(RUN_AS(b, TWO, 0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
			   32, 0, 0));
	assert_good(RUN_AS(b, TWO, 0xa3, 0x0c, 0, 0, 0, 0, 0, 0, 16, 0, 0, 0));
	assert_good(RUN_AS(b, TWO, 0x5e, 2, 0, 0, 0, 0, 0, 0, 8, 0));
	put_be64(list + 8, 1);
	assert_good(bench_io(
		b, CDB(0x5f, 0, 0, 0, 0, 0, 0, 0, 24, 0), 10,
		&(struct bench_io){.nexus = TWO, .out = list, .out_len = 24}));
	/* pollable sense data */
	assert_good(RUN_AS(b, TWO, 0x03, 0, 0, 0, 255, 0));
	assert_int_equal(b->in[2], 0x02);
	assert_int_equal(get_be16(b->in + 12), 0x040b);
	configure(b, 2, O);
	clear_ua(b);
	assert_good(rd(b, TWO));
}

/* 5.16.2.4.5: hardly any. */
static void unavailable(void **state)
{
	struct bench *b = *state;

	configure(b, 2, U);
	clear_ua(b);
	assert_sense(b, tur(b, TWO), PORT_UNAVAILABLE);
	assert_sense(b, rd(b, TWO), PORT_UNAVAILABLE);
	assert_sense(b, RUN_AS(b, TWO, 0x25, 0), PORT_UNAVAILABLE);
	assert_sense(b, RUN_AS(b, TWO, 0x1a, 0, 0x3f, 0, 255, 0),
		     PORT_UNAVAILABLE);
	assert_sense(b, RUN_AS(b, TWO, 0x5e, 2, 0, 0, 0, 0, 0, 0, 8, 0),
		     PORT_UNAVAILABLE);
	assert_good(RUN_AS(b, TWO, 0x12, 0, 0, 0, 255, 0));
	assert_good(RUN_AS(b, TWO, 0xa0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0));
	assert_good(report(b, TWO));
	assert_good(RUN_AS(b, TWO, 0x03, 0, 0, 0, 255, 0));
	assert_int_equal(get_be16(b->in + 12), 0x040c);
	/* no initiator ends it */
	assert_sense(b, SET(b, TWO, {2, N}), SET_FAILED);
	assert_sense(b, SET(b, TWO, {1, N}, {2, O}), SET_FAILED);
	assert_good(SET(b, TWO, {2, U}));
	assert_state(b, 1, O, true, 0);
	/* unless one has begun it */
	configure(b, 2, O);
	clear_ua(b);
	assert_good(SET(b, ONE, {2, U}));
	clear_ua(b);
	assert_sense(b, rd(b, TWO), PORT_UNAVAILABLE);
	assert_good(SET(b, TWO, {2, N}));
	assert_good(rd(b, TWO));
}

/* Other conditions are told before. */
static void precedence(void **state)
{
	struct bench *b = *state;
	uint8_t list[24] = {0};

	put_be64(list + 8, 1);
	assert_good(RUN_OUT(b, list, 24, 0x5f, 0, 0, 0, 0, 0, 0, 0, 24, 0));
	put_be64(list, 1);
	assert_good(RUN_OUT(b, list, 24, 0x5f, 1, 3, 0, 0, 0, 0, 0, 24, 0));
	configure(b, 2, SB);
	assert_sense(b, rd(b, TWO), STATE_CHANGED);
	assert_conflict(rd(b, TWO));
	assert_sense(b, tur(b, TWO), PORT_STANDBY);
	clear_ua(b);
	/* who is not registered changes no states (table 66) */
	assert_conflict(SET(b, TWO, {2, O}));
	assert_good(SET(b, ONE, {2, O}));
}

/* ---- SET TARGET PORT GROUPS ---- */

static void set_by_initiator(void **state)
{
	struct bench *b = *state;

	assert_good(SET(b, TWO, {2, SB}));
	/* all but who did it are told */
	assert_sense(b, tur(b, ONE), STATE_CHANGED);
	assert_good(tur(b, ONE));
	assert_sense(b, tur(b, OTHER), STATE_CHANGED);
	assert_sense(b, tur(b, OTHER), PORT_STANDBY);
	assert_sense(b, tur(b, TWO), PORT_STANDBY);
	assert_state(b, 2, SB, false, EXPLICIT);
	/* no change, no news */
	assert_good(SET(b, TWO, {2, SB}));
	assert_good(tur(b, ONE));
	/* several at once, also all there are */
	assert_good(SET(b, ONE, {1, U}, {2, N}));
	assert_sense(b, tur(b, OTHER), STATE_CHANGED);
	assert_state(b, 1, U, false, EXPLICIT);
	assert_state(b, 2, N, false, EXPLICIT);
	assert_sense(b, rd(b, ONE), PORT_UNAVAILABLE);
	assert_good(SET(b, ONE, {1, O}, {2, O}));
	assert_good(rd(b, ONE));
}

/* While a host uses the group that is not preferred, no other is optimized;
 * when it comes back all is as configured. */
static void failing_over(void **state)
{
	struct bench *b = *state;

	configure(b, 2, SB);
	configure(b, 3, O);
	configure(b, 4, U);
	clear_ua(b);
	assert_good(SET(b, TWO, {2, O}));
	assert_sense(b, tur(b, ONE), STATE_CHANGED);
	assert_state(b, 1, N, true, IMPLICIT);
	assert_state(b, 2, O, false, EXPLICIT);
	assert_state(b, 3, N, true, IMPLICIT);
	assert_state(b, 4, U, false, IMPLICIT);
	assert_good(SET(b, ONE, {1, O}));
	assert_state(b, 1, O, true, EXPLICIT);
	assert_state(b, 2, SB, false, IMPLICIT);
	assert_state(b, 3, O, true, IMPLICIT);
	assert_sense(b, tur(b, TWO), STATE_CHANGED);
	/* what was set otherwise stays */
	assert_good(SET(b, ONE, {3, SB}));
	assert_good(SET(b, ONE, {2, O}));
	assert_good(SET(b, ONE, {1, O}));
	assert_state(b, 3, SB, true, EXPLICIT);
}

/* A word of the administrator counts more than what was set. */
static void configured_anew(void **state)
{
	struct bench *b = *state;

	assert_good(SET(b, ONE, {2, SB}));
	assert_state(b, 2, SB, false, EXPLICIT);
	/* of whatever group */
	configure(b, 1, N);
	clear_ua(b);
	assert_state(b, 2, O, true, IMPLICIT);
	assert_state(b, 1, N, false, IMPLICIT);
	configure(b, 1, O);
	clear_ua(b);
	assert_good(SET(b, ONE, {2, SB}));
	clear_ua(b);
	configure(b, 2, O); /* says nothing new */
	assert_state(b, 2, SB, false, EXPLICIT);
	configure(b, 2, N);
	clear_ua(b);
	assert_state(b, 2, N, false, IMPLICIT);
}

static void set_refusals(void **state)
{
	uint8_t list[256] = {0};
	struct bench *b = *state;

	/* unknown groups, states there are not: nothing changes */
	assert_sense(b, SET(b, ONE, {2, SB}, {3, O}), INVALID_PARAMETER);
	bench_field(b, false, 10, 7);
	assert_sense(b, SET(b, ONE, {2, SB}, {1, 4}), INVALID_PARAMETER);
	bench_field(b, false, 8, 3);
	assert_sense(b, SET(b, ONE, {2, 0x0e}),
		     INVALID_PARAMETER); /* offline */
	assert_sense(b, SET(b, ONE, {2, 0x0f}), INVALID_PARAMETER);
	assert_state(b, 2, O, false, 0);
	/* lengths */
	assert_good(RUN(b, 0xa4, 0x0a, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0));
	assert_good(
		RUN_OUT(b, list, 4, 0xa4, 0x0a, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0));
	assert_sense(b,
		     RUN_OUT(b, list, 6, 0xa4, 0x0a, 0, 0, 0, 0, 0, 0, 0, 6, 0,
			     0),
		     INVALID_CDB);
	assert_sense(b,
		     RUN_OUT(b, list, 3, 0xa4, 0x0a, 0, 0, 0, 0, 0, 0, 0, 3, 0,
			     0),
		     INVALID_CDB);
	assert_sense(b,
		     RUN_OUT(b, list, 200, 0xa4, 0x0a, 0, 0, 0, 0, 0, 0, 0, 200,
			     0, 0),
		     INVALID_CDB);
	assert_sense(b,
		     RUN_OUT(b, list, 200, 0xa4, 0x0a, 0, 0, 0, 0, 0xff, 0xff,
			     0xff, 0xfc, 0, 0),
		     INVALID_CDB);
	put_be16(list + 6, 1);
	assert_sense(b,
		     RUN_OUT(b, list, 8, 0xa4, 0x0a, 0, 0, 0, 0, 0, 0, 0, 12, 0,
			     0),
		     PARAMETER_LENGTH);
	assert_good(tur(b, TWO));
}

#define ALUA_TEST(f) cmocka_unit_test_setup_teardown(f, setup, bench_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ALUA_TEST(formats),
		ALUA_TEST(groups_appear),
		ALUA_TEST(how_many),
		ALUA_TEST(designators),
		ALUA_TEST(configured),
		cmocka_unit_test_setup_teardown(before_the_first_nexus,
						setup_empty, bench_teardown),
		ALUA_TEST(standby),
		ALUA_TEST(unavailable),
		ALUA_TEST(precedence),
		ALUA_TEST(set_by_initiator),
		ALUA_TEST(failing_over),
		ALUA_TEST(configured_anew),
		ALUA_TEST(set_refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
