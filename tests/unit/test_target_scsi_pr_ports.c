/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Persistent reservations (SPC-4 5.13): whose they are. TransportIDs of other
 * initiator ports, and target ports.
 */
#include "target_scsi_pr.h"

/* ---- TransportIDs ---- */

static size_t transport_id(uint8_t *p, const char *text, uint8_t format)
{
	size_t size = (strlen(text) + 4) & ~3u;

	if (size < 20) {
		size = 20;
	}
	memset(p, 0, 4 + size);
	p[0] = format | 5;
	put_be16(p + 2, (uint16_t)size);
	memcpy(p + 4, text, strlen(text));
	return 4 + size;
}

static uint8_t register_for(struct bench *b, const char *text, uint8_t format)
{
	uint8_t list[512] = {0};
	size_t len;

	put_be64(list + 8, 0x55);
	list[20] = 0x08; /* SPEC_I_PT */
	len = transport_id(list + 28, text, format);
	put_be32(list + 24, (uint32_t)len);
	return out_list(b, 0, REGISTER, 0, list, 28 + len);
}

static void registering_for_others(void **state)
{
	struct bench *b = *state;

	assert_good(register_for(b, "iqn.2026-01.example:two,i,0x400000000002",
				 0x40));
	assert_int_equal(keys(b), 2);
	assert_good(out(b, 1, RESERVE, 3, 0x55, 0));
	assert_good(wr(b, 1));
	assert_conflict(rd(b, 0));
	assert_good(out(b, 1, CLEAR, 0, 0x55, 0));
	bench_clear_ua(b);
	/* without ISID: any port of that initiator */
	assert_good(register_for(b, "iqn.2026-01.example:three", 0));
	assert_good(out(b, 2, RESERVE, 3, 0x55, 0));
	assert_good(out(b, 2, CLEAR, 0, 0x55, 0));
}

static void bad_transport_ids(void **state)
{
	struct bench *b = *state;
	uint8_t list[64] = {0};
	size_t len;

	assert_sense(b, register_for(b, "iqn.2026-01.example:two", 0x40),
		     INVALID_PARAMETER);
	assert_sense(b,
		     register_for(b, "iqn.2026-01.example:two,i,0x4000", 0x40),
		     INVALID_PARAMETER);
	assert_sense(b,
		     register_for(b, "iqn.2026-01.example:two,i,0x40000000000g",
				  0x40),
		     INVALID_PARAMETER);
	assert_sense(b, register_for(b, "iqn.2026-01.example:two", 0x80),
		     INVALID_PARAMETER);
	assert_sense(b, register_for(b, "", 0), INVALID_PARAMETER);
	assert_int_equal(keys(b), 0);

	/* the list's length: none, past the end, not whole */
	put_be64(list + 8, 0x55);
	list[20] = 0x08;
	assert_sense(b, out_list(b, 0, REGISTER, 0, list, 24),
		     INVALID_PARAMETER);
	put_be32(list + 24, 40);
	assert_sense(b, out_list(b, 0, REGISTER, 0, list, 28),
		     PARAMETER_LENGTH);
	put_be32(list + 24, 0xffffffff);
	assert_sense(b, out_list(b, 0, REGISTER, 0, list, 28),
		     PARAMETER_LENGTH);
	len = transport_id(list + 28, "iqn.a:b", 0);
	list[28 + len - 1] = 'x'; /* not terminated */
	put_be32(list + 24, (uint32_t)len);
	assert_sense(b, out_list(b, 0, REGISTER, 0, list, 28 + len),
		     INVALID_PARAMETER);
	assert_int_equal(keys(b), 0);
	/* only REGISTER takes such a list */
	assert_sense(b, out_list(b, 0, IGNORE, 0, list, 28 + len),
		     INVALID_PARAMETER);
	assert_sense(b, out_list(b, 0, CLEAR, 0, list, 28 + len),
		     INVALID_PARAMETER);
}

static void moving(void **state)
{
	struct bench *b = *state;
	uint8_t list[512] = {0};
	uint64_t key;
	size_t len;

	assert_good(out(b, 0, REGISTER, 0, 0, 1));
	put_be64(list, 1);
	put_be64(list + 8, 2);
	put_be16(list + 18, 1);
	len = transport_id(list + 24,
			   "iqn.2026-01.example:two,i,0x400000000002", 0x40);
	put_be32(list + 20, (uint32_t)len);
	/* nothing is reserved, or by all registrants */
	assert_conflict(out_list(b, 0, MOVE, 0, list, 24 + len));
	assert_good(out(b, 0, RESERVE, 7, 1, 0));
	assert_conflict(out_list(b, 0, MOVE, 0, list, 24 + len));
	assert_good(out(b, 0, RELEASE, 7, 1, 0));
	assert_good(out(b, 0, RESERVE, 3, 1, 0));

	list[17] = 0x02; /* UNREG */
	put_be64(list + 8, 0);
	assert_sense(b, out_list(b, 0, MOVE, 0, list, 24 + len),
		     INVALID_PARAMETER);
	put_be64(list + 8, 2);
	assert_good(out_list(b, 0, MOVE, 0, list, 24 + len));
	assert_int_equal(reservation(b, &key), 3);
	assert_int_equal(key, 2);
	assert_int_equal(keys(b), 1);
	assert_good(wr(b, 1));
	assert_conflict(rd(b, 0));
	/* to itself, and with lengths that lie */
	put_be64(list, 2);
	assert_sense(b, out_list(b, 1, MOVE, 0, list, 24 + len),
		     INVALID_PARAMETER);
	put_be32(list + 20, 0xfffffffc);
	assert_sense(b, out_list(b, 1, MOVE, 0, list, 24 + len),
		     INVALID_PARAMETER);
	assert_sense(b, out_list(b, 1, MOVE, 0, list, 24), INVALID_PARAMETER);
}

/* Whom a registration of any ISID is for: those without one of their own. */
static void preempting_any_isid(void **state)
{
	struct scsi_nexus_name gone;
	struct bench *b = *state;

	assert_good(out(b, 1, REGISTER, 0, 0, 2));
	assert_good(register_for(b, "iqn.2026-01.example:two", 0));
	assert_int_equal(keys(b), 3);
	assert_good(out(b, 1, ABORT, 0, 2, 0x55));
	assert_int_equal(b->aborts, 1);
	assert_true(scsi_nexus_set_has(b->aborted, b->nexus[0]));
	assert_false(scsi_nexus_set_has(b->aborted, b->nexus[1]));
	assert_false(scsi_nexus_set_has(b->aborted, b->nexus[2]));
	scsi_nexus_get_name(b->nexus[1], &gone);
	assert_false(scsi_nexus_set_names(b->aborted, &gone));
	gone.isid[5] = 9;
	assert_true(scsi_nexus_set_names(b->aborted, &gone));
	gone.port = 2;
	assert_false(scsi_nexus_set_names(b->aborted, &gone));
	assert_sense(b, tur(b, 0), PREEMPTED_REG);
	assert_int_equal(keys(b), 1);

	/* nor does anybody else's PREEMPT tell them */
	assert_good(register_for(b, "iqn.2026-01.example:two", 0));
	assert_good(out(b, 2, REGISTER, 0, 0, 3));
	assert_good(out(b, 2, PREEMPT, 0, 3, 0x55));
	assert_sense(b, tur(b, 0), PREEMPTED_REG);
	assert_good(tur(b, 1));
}

/* ---- target ports ---- */

/* nexus[2] becomes the first initiator, at another port or another target. */
static void other_port(struct bench *b, const char *target, uint16_t port)
{
	struct scsi_nexus_config config = {
		.initiator_name = "iqn.2026-01.example:one",
		.isid = {0x40, 0, 0, 0, 0, 1},
		.target_name = target,
		.portal_group = port,
	};

	scsi_nexus_free(b->nexus[2]);
	b->nexus[2] = scsi_nexus_create(&config, b->map);
	assert_sense(b, tur(b, 2), POWER_ON);
}

/* A registration is one nexus's, and another port makes another nexus. */
static void per_target_port(void **state)
{
	struct bench *b = *state;

	other_port(b, BENCH_TARGET, 2);
	assert_good(out(b, 0, REGISTER, 0, 0, 0x66));
	assert_good(out(b, 0, RESERVE, 5, 0x66, 0));
	assert_good(wr(b, 0));
	assert_conflict(wr(b, 2));
	assert_conflict(out(b, 2, RELEASE, 5, 0x66, 0));
	assert_good(out(b, 2, REGISTER, 0, 0, 0x67));
	assert_good(wr(b, 2));
	assert_int_equal(keys(b), 2);
	assert_good(in(b, 0, 3));
	assert_int_equal(get_be16(b->in + 8 + 18), 1);
	assert_int_equal(get_be16(b->in + 8 + 24 + get_be32(b->in + 28) + 18),
			 2);
}

static void all_target_ports(void **state)
{
	struct bench *b = *state;
	uint8_t list[24] = {0};
	const uint8_t *d;

	assert_int_equal(scsi_lu_set_access(b->lu, 2, SCSI_ACCESS_OPTIMIZED),
			 0);
	assert_int_equal(scsi_lu_set_access(b->lu, 9, SCSI_ACCESS_OPTIMIZED),
			 0);
	put_be64(list + 8, 0x66);
	list[20] = 0x04; /* ALL_TG_PT */
	assert_good(out_list(b, 0, REGISTER, 0, list, 24));
	assert_int_equal(keys(b), 3);
	assert_int_equal(generation(b), 1);
	assert_good(out(b, 0, RESERVE, 5, 0x66, 0));
	other_port(b, BENCH_TARGET, 2);
	assert_good(wr(b, 2));
	assert_conflict(wr(b, 1));
	/* each told with its port, and one of them holds the reservation */
	assert_good(in(b, 1, 3));
	d = b->in + 8;
	assert_int_equal(get_be16(d + 18), 1);
	assert_int_equal(d[12], 0x01);
	d += 24 + get_be32(d + 20);
	assert_int_equal(get_be16(d + 18), 2);
	assert_int_equal(d[12], 0);
	d += 24 + get_be32(d + 20);
	assert_int_equal(get_be16(d + 18), 9);
	/* they go one by one */
	assert_good(out(b, 2, REGISTER, 0, 0x66, 0));
	assert_int_equal(keys(b), 2);
	assert_conflict(wr(b, 2));
	assert_good(wr(b, 0));
	/* another target with this unit is another device */
	other_port(b, "iqn.2026-01.example:other", 1);
	assert_conflict(wr(b, 2));
}

/* Listed initiator ports are registered at the same target ports. */
static void listed_at_all_ports(void **state)
{
	struct bench *b = *state;
	uint8_t list[512] = {0};
	const uint8_t *d;
	size_t len;
	unsigned i;

	assert_int_equal(scsi_lu_set_access(b->lu, 2, SCSI_ACCESS_OPTIMIZED),
			 0);
	put_be64(list + 8, 5);
	list[20] = 0x0c; /* SPEC_I_PT, ALL_TG_PT */
	len = transport_id(list + 28,
			   "iqn.2026-01.example:two,i,0x400000000002", 0x40);
	put_be32(list + 24, (uint32_t)len);
	assert_good(out_list(b, 0, REGISTER, 0, list, 28 + len));
	assert_good(in(b, 0, 3));
	d = b->in + 8;
	for (i = 0; i < 4; i++) {
		assert_int_equal(get_be16(d + 18), 1 + i % 2);
		assert_memory_equal(d + 28,
				    i < 2 ? "iqn.2026-01.example:one,"
					  : "iqn.2026-01.example:two,",
				    24);
		d += 24 + get_be32(d + 20);
	}
	assert_int_equal(d - b->in, b->task.data_in_len);
}

/* REGISTER AND MOVE names the port by its relative identifier. */
static void moving_to_another_port(void **state)
{
	struct bench *b = *state;
	uint8_t list[512] = {0};
	size_t len;

	assert_good(out(b, 0, REGISTER, 0, 0, 1));
	assert_good(out(b, 0, RESERVE, 3, 1, 0));
	put_be64(list, 1);
	put_be64(list + 8, 2);
	put_be16(list + 18, 2);
	len = transport_id(list + 24,
			   "iqn.2026-01.example:one,i,0x400000000001", 0x40);
	put_be32(list + 20, (uint32_t)len);
	assert_sense(b, out_list(b, 0, MOVE, 0, list, 24 + len),
		     INVALID_PARAMETER);
	bench_field(b, false, 18, 7);
	other_port(b, BENCH_TARGET, 2);
	assert_conflict(rd(b, 2));
	assert_good(out_list(b, 0, MOVE, 0, list, 24 + len));
	assert_good(rd(b, 2));
	assert_conflict(rd(b, 0));
	assert_int_equal(keys(b), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BENCH_TEST(registering_for_others),
		BENCH_TEST(bad_transport_ids),
		BENCH_TEST(preempting_any_isid),
		BENCH_TEST(moving),
		BENCH_TEST(per_target_port),
		BENCH_TEST(all_target_ports),
		BENCH_TEST(listed_at_all_ports),
		BENCH_TEST(moving_to_another_port),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
