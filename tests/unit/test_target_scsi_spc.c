/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Primary commands: identity, LUN addressing, unit attentions, supported
 * commands, sense (SPC-4, SAM-5).
 */
#include "target_scsi_bench.h"

/* ---- INQUIRY ---- */

static void standard_inquiry(void **state)
{
	struct bench *b = *state;
	static const uint8_t standards[] = {0x00, 0xa0, 0x04, 0x60,
					    0x04, 0xc0, 0x09, 0x60};

	assert_good(RUN(b, 0x12, 0, 0, 0, 255, 0));
	assert_int_equal(b->task.data_in_len, 96);
	assert_int_equal(b->in[0], 0);	  /* connected direct-access device */
	assert_int_equal(b->in[2], 6);	  /* SPC-4 */
	assert_int_equal(b->in[3], 0x12); /* HISUP, format 2 */
	assert_int_equal(b->in[4], 91);
	assert_int_equal(b->in[5], 0x38); /* TPGS 3, 3PC; no PROTECT */
	assert_int_equal(b->in[6], 0);	  /* no MULTIP with one port */
	assert_int_equal(b->in[7], 0x02); /* CMDQUE */
	assert_memory_equal(b->in + 8, "ISTM    VIRTUAL DISK    0100", 28);
	assert_memory_equal(b->in + 58, standards, sizeof(standards));
}

static void inquiry_allocation_length(void **state)
{
	struct bench *b = *state;

	assert_good(RUN(b, 0x12, 0, 0, 0, 5, 0));
	assert_int_equal(b->task.data_in_len, 5);
	assert_int_equal(b->task.transfer_len, 5);
	assert_int_equal(b->in[4], 91); /* not cut with the data */
	assert_good(RUN(b, 0x12, 0, 0, 0, 0, 0));
	assert_int_equal(b->task.data_in_len, 0);
	assert_good(RUN(b, 0x12, 0, 0, 0x02, 0x00, 0));
	assert_int_equal(b->task.data_in_len, 96);
	/* The initiator has room for less than it allocates. */
	assert_good(bench_io(b, CDB(0x12, 0, 0, 0, 255, 0), 6,
			     &(struct bench_io){.expect = 10}));
	assert_int_equal(b->task.data_in_len, 10);
	assert_int_equal(b->task.transfer_len, 96);
}

static void inquiry_refusals(void **state)
{
	struct bench *b = *state;

	/* a page without EVPD; a page there is not; CMDDT */
	assert_sense(b, RUN(b, 0x12, 0, 0x80, 0, 255, 0), INVALID_CDB);
	bench_field(b, true, 2, 7);
	assert_sense(b, RUN(b, 0x12, 1, 0x42, 0, 255, 0), INVALID_CDB);
	bench_field(b, true, 2, 7);
	assert_sense(b, RUN(b, 0x12, 2, 0, 0, 255, 0), INVALID_CDB);
	bench_field(b, true, 1, 1);
}

static void vpd_lists(void **state)
{
	static const uint8_t pages[] = {0,    0,    0,	  10,	0x00,
					0x80, 0x83, 0x86, 0x87, 0x88,
					0x8f, 0xb0, 0xb1, 0xb2};
	struct bench *b = *state;
	size_t i;

	assert_good(RUN(b, 0x12, 1, 0, 0, 255, 0));
	assert_int_equal(b->task.data_in_len, sizeof(pages));
	assert_memory_equal(b->in, pages, sizeof(pages));
	/* SIMPLE, ORDERED and HEAD OF QUEUE; V_SUP; LUICLR */
	assert_good(RUN(b, 0x12, 1, 0x86, 0, 255, 0));
	assert_memory_equal(b->in, "\0\x86\0\x3c\0\7\1\1", 8);
	/* All mode pages, shared by nexuses and not by units. */
	assert_good(RUN(b, 0x12, 1, 0x87, 0, 255, 0));
	assert_memory_equal(b->in, "\0\x87\0\4\x3f\xff\0\0", 8);
	/* Each of them is there, and as long as it says. */
	for (i = 4; i < sizeof(pages); i++) {
		assert_good(RUN(b, 0x12, 1, pages[i], 0x10, 0, 0));
		assert_int_equal(b->in[1], pages[i]);
		assert_int_equal(b->task.data_in_len, 4 + get_be16(b->in + 2));
	}
}

static void vpd_serial(void **state)
{
	struct bench *b = *state;

	assert_good(RUN(b, 0x12, 1, 0x80, 0, 255, 0));
	assert_int_equal(b->task.data_in_len, 20);
	assert_memory_equal(b->in + 4, "DEADBEEF01234567", 16);
}

/* The designator of type and association, or NULL. */
static const uint8_t *designator(const struct bench *b, uint8_t assoc_type)
{
	size_t at = 4, end = 4 + get_be16(b->in + 2);

	while (at + 4 <= end) {
		if ((b->in[at + 1] & 0x3f) == assoc_type) {
			return b->in + at;
		}
		at += 4 + b->in[at + 3];
	}
	assert_int_equal(at, end);
	return NULL;
}

static void vpd_identification(void **state)
{
	/* NAA 6, company 024953h, and the GUID folded: written out by hand so
	 * that no change of the code can change a disk's name. */
	static const uint8_t naa[16] = {0x60, 0x24, 0x95, 0x3f, 0x0c, 0xc9,
					0x9e, 0x89, 0x89, 0xab, 0xcd, 0xef,
					0x10, 0x32, 0x54, 0x76};
	struct bench *b = *state;
	const uint8_t *d;
	uint8_t told[16];

	assert_good(RUN(b, 0x12, 1, 0x83, 0x10, 0, 0));
	d = designator(b, 0x03);
	assert_non_null(d);
	assert_int_equal(d[0], 0x01);
	assert_int_equal(d[3], 16);
	assert_int_equal(scsi_lu_naa(b->lu, told), 16);
	assert_memory_equal(d + 4, told, 16);
	assert_int_equal(d[4] >> 4, 6);
	assert_memory_equal(d + 4, naa, 16);

	d = designator(b, 0x01);
	assert_non_null(d);
	assert_int_equal(d[0], 0x02);
	assert_memory_equal(d + 4, "ISTM    DEADBEEF01234567", 24);

	d = designator(b, 0x08);
	assert_non_null(d);
	assert_int_equal(d[0], 0x03);
	assert_string_equal((const char *)d + 4,
			    "naa.6024953F0CC99E8989ABCDEF10325476");

	d = designator(b, 0x14); /* relative target port */
	assert_non_null(d);
	assert_int_equal(d[0], 0x51);
	assert_int_equal(d[1], 0x94);
	assert_int_equal(get_be32(d + 4), 1);

	d = designator(b, 0x15); /* target port group */
	assert_non_null(d);
	assert_int_equal(get_be32(d + 4), 1);

	d = designator(b, 0x18); /* target port name */
	assert_non_null(d);
	assert_int_equal(d[0], 0x53);
	assert_int_equal(d[3] % 4, 0);
	assert_string_equal((const char *)d + 4, BENCH_TARGET ",t,0x0001");

	d = designator(b, 0x28); /* target device name */
	assert_non_null(d);
	assert_string_equal((const char *)d + 4, BENCH_TARGET);
}

static void vpd_ports(void **state)
{
	static const char name[] = BENCH_TARGET ",t,0x0001";
	static const uint8_t well_known[8] = {0xc1, 0x01};
	struct bench *b = *state;

	assert_good(RUN(b, 0x12, 1, 0x88, 0, 255, 0));
	assert_int_equal(get_be16(b->in + 2), 12 + 4 + 48);
	assert_int_equal(get_be16(b->in + 6), 1);	/* relative port */
	assert_int_equal(get_be16(b->in + 10), 0);	/* TransportID */
	assert_int_equal(get_be16(b->in + 14), 4 + 48); /* descriptors */
	assert_memory_equal(b->in + 16, "\x53\x98\0\x30", 4);
	assert_string_equal((char *)b->in + 20, name);
	assert_good(bench_io(b, CDB(0x12, 1, 0x88, 0, 255, 0), 6,
			     &(struct bench_io){.lun = well_known}));
	assert_int_equal(get_be16(b->in + 6), 1);
}

static void vpd_limits(void **state)
{
	struct bench *b = *state;

	assert_good(RUN(b, 0x12, 1, 0xb0, 0, 255, 0));
	assert_int_equal(get_be16(b->in + 2), 0x3c);
	assert_int_equal(b->in[4], 1); /* WSNZ */
	assert_int_equal(b->in[5], b->block == 512 ? 255 : 32);
	assert_int_equal(get_be16(b->in + 6), 4096 / b->block);
	assert_int_equal(get_be32(b->in + 8), (8u << 20) / b->block);
	assert_int_equal(get_be32(b->in + 12), (1u << 20) / b->block);
	assert_int_equal(get_be32(b->in + 16), (8u << 20) / b->block);
	assert_int_equal(get_be32(b->in + 20), (512u << 20) / b->block);
	assert_int_equal(get_be32(b->in + 24), 256);
	assert_int_equal(get_be32(b->in + 28), 4096 / b->block);
	assert_int_equal(get_be32(b->in + 32), 0x80000000); /* UGAVALID, at 0 */
	assert_int_equal(get_be64(b->in + 36), 65528 * 512 / b->block);
	/* FUAB, VBULS: VERIFY compares blocks that are not mapped, too */
	assert_good(RUN(b, 0x12, 1, 0xb1, 0, 255, 0));
	assert_int_equal(b->in[8], 0x03);
	b->disk.hole = 1;
	assert_good(RUN_OUT(b, b->disk.data, b->block, 0x2f, 2, 0, 0, 0, 0, 0,
			    0, 1, 0));
	b->disk.hole = 0;

	assert_good(RUN(b, 0x12, 1, 0xb2, 0, 255, 0));
	assert_int_equal(b->in[5], 0xe4);
	assert_int_equal(b->in[6], 2);
}

/* ---- LUNs ---- */

static uint8_t inquiry_at(struct bench *b, const uint8_t lun[8])
{
	return bench_io(b, CDB(0x12, 0, 0, 0, 255, 0), 6,
			&(struct bench_io){.lun = lun});
}

static void lun_addressing(void **state)
{
	static const uint8_t flat0[8] = {0x40, 0x00};
	static const uint8_t extended0[8] = {0xd2, 0, 0, 0};
	static const uint8_t none[][8] = {
		{0x00, 0x01},			/* LUN 1 */
		{0x40, 0x01},			/* flat LUN 1 */
		{0x01, 0x00},			/* bus 1 */
		{0x00, 0x00, 0x00, 0x01},	/* a second level */
		{0x80, 0x00},			/* logical unit addressing */
		{0xd2, 0x00, 0x00, 0x01},	/* extended flat LUN 1 */
		{0xd2, 0xff, 0xff, 0xff},	/* past every LUN */
		{0xd2, 0x00, 0x00, 0x00, 0x01}, /* trailing bytes */
		{0xc1, 0x02},			/* ACCESS CONTROLS */
		{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
	};
	struct bench *b = *state;
	size_t i;

	assert_good(inquiry_at(b, flat0));
	assert_int_equal(b->in[0], 0);
	assert_good(inquiry_at(b, extended0));
	assert_int_equal(b->in[0], 0);
	for (i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		struct bench_io at = {.lun = none[i]};

		/* INQUIRY says that there is nothing, all else is refused. */
		assert_good(inquiry_at(b, none[i]));
		assert_int_equal(b->in[0], 0x7f);
		assert_sense(b, bench_io(b, CDB(0, 0, 0, 0, 0, 0), 6, &at),
			     LU_NOT_SUPPORTED);
		assert_sense(b, bench_io(b, CDB(0xff), 1, &at),
			     LU_NOT_SUPPORTED);
		assert_good(bench_io(b, CDB(3, 0, 0, 0, 96, 0), 6, &at));
		assert_int_equal(b->in[2], 5);
		assert_int_equal(get_be16(b->in + 12), 0x2500);
		assert_null(scsi_nexus_lookup(b->nexus[0], none[i]));
	}
}

static void well_known_unit(void **state)
{
	static const uint8_t wlun[8] = {0xc1, 0x01};
	struct bench_io at = {.lun = wlun};
	struct bench *b = *state;

	assert_good(inquiry_at(b, wlun));
	assert_int_equal(b->in[0], 0x1e);
	assert_good(bench_io(b, CDB(0, 0, 0, 0, 0, 0), 6, &at));
	assert_good(bench_io(b, CDB(3, 0, 0, 0, 96, 0), 6, &at));
	assert_int_equal(b->in[2], 0);
	assert_good(bench_io(b, CDB(0xa0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0), 12,
			     &at));
	assert_int_equal(get_be32(b->in), 8);
	assert_sense(b, bench_io(b, CDB(0x28, 0), 2, &at), INVALID_OPCODE);
	assert_sense(b, bench_io(b, CDB(0x12, 1, 0xb0, 0, 255, 0), 6, &at),
		     INVALID_CDB);
}

static void report_luns(void **state)
{
	static const uint8_t expected[] = {0,	 0,    0, 24, 0, 0, 0, 0,
					   0,	 0,    0, 0,  0, 0, 0, 0,
					   0,	 3,    0, 0,  0, 0, 0, 0,
					   0x41, 0x2c, 0, 0,  0, 0, 0, 0};
	struct bench *b = *state;
	struct scsi_lun_map *map =
		calloc(1, sizeof(*map) + 3 * sizeof(map->entry[0]));
	static const uint16_t luns[] = {0, 3, 300};
	unsigned i;

	map->count = 3;
	for (i = 0; i < 3; i++) {
		map->entry[i].lun = luns[i];
		map->entry[i].lu = b->lu;
	}
	scsi_nexus_set_map(b->nexus[0], map);

	/* REPORT LUNS takes the news of its own change away. */
	assert_good(RUN(b, 0xa0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0));
	assert_int_equal(b->task.data_in_len, sizeof(expected));
	assert_memory_equal(b->in, expected, sizeof(expected));
	assert_good(RUN(b, 0, 0, 0, 0, 0, 0));

	assert_good(RUN(b, 0xa0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0));
	assert_int_equal(get_be32(b->in), 8);
	assert_int_equal(get_be16(b->in + 8), 0xc101);
	assert_good(RUN(b, 0xa0, 0, 2, 0, 0, 0, 0, 0, 1, 0, 0, 0));
	assert_int_equal(get_be32(b->in), 32);
	assert_sense(b, RUN(b, 0xa0, 0, 3, 0, 0, 0, 0, 0, 1, 0, 0, 0),
		     INVALID_CDB);
	/* cut: the length still tells of all */
	assert_good(RUN(b, 0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0));
	assert_int_equal(b->task.data_in_len, 16);
	assert_int_equal(get_be32(b->in), 24);

	scsi_nexus_set_map(b->nexus[0], b->map);
	free(map);
}

static void map_changes(void **state)
{
	struct bench *b = *state;
	struct scsi_lun_map none = {.count = 0};
	static const uint8_t lun1[8] = {0, 1};

	scsi_nexus_set_map(b->nexus[0], &none);
	assert_sense(b, RUN(b, 0, 0, 0, 0, 0, 0), LU_NOT_SUPPORTED);
	b->map->entry[0].lun = 1;
	scsi_nexus_set_map(b->nexus[0], b->map);
	assert_ptr_equal(scsi_nexus_lookup(b->nexus[0], lun1), b->lu);
	assert_sense(b,
		     bench_io(b, CDB(0, 0, 0, 0, 0, 0), 6,
			      &(struct bench_io){.lun = lun1}),
		     0x63f0e);
	assert_good(bench_io(b, CDB(0, 0, 0, 0, 0, 0), 6,
			     &(struct bench_io){.lun = lun1}));
	/* the others' maps are as they were */
	assert_good(RUN_AS(b, 1, 0, 0, 0, 0, 0, 0));
}

/* Told for one unit, a changed list of LUNs is told for all (LUICLR). */
static void map_changes_told_once(void **state)
{
	static const uint8_t lun1[8] = {0, 1};
	struct bench *b = *state;
	struct scsi_lun_map *two =
		calloc(1, sizeof(*two) + 2 * sizeof(two->entry[0]));
	const struct bench_io at_lun1 = {.lun = lun1};
	struct scsi_lu_config config = {
		.guid = {1}, .serial = "2", .enabled = true, .disk = &b->disk};
	struct scsi_lu *other;

	two->count = 2;
	two->entry[0].lu = two->entry[1].lu = b->lu;
	two->entry[1].lun = 1;
	scsi_nexus_set_map(b->nexus[0], two);
	assert_sense(b, RUN(b, 0, 0, 0, 0, 0, 0), 0x63f0e);
	assert_good(bench_io(b, CDB(0, 0, 0, 0, 0, 0), 6, &at_lun1));
	scsi_nexus_set_map(b->nexus[0], two);
	assert_good(bench_io(b, CDB(3, 0, 0, 0, 96, 0), 6, &at_lun1));
	assert_int_equal(get_be16(b->in + 12), 0x3f0e);
	assert_good(RUN(b, 0, 0, 0, 0, 0, 0));
	/* That another unit has the number of one is told for this one. */
	other = scsi_lu_create(&config);
	two->entry[1].lu = other;
	scsi_nexus_set_map(b->nexus[0], two);
	assert_sense(b, RUN(b, 0, 0, 0, 0, 0, 0), 0x63f0e);
	assert_good(RUN(b, 0, 0, 0, 0, 0, 0));
	assert_sense(b, bench_io(b, CDB(0, 0, 0, 0, 0, 0), 6, &at_lun1),
		     0x63f03);
	scsi_nexus_set_map(b->nexus[0], b->map);
	scsi_lu_free(other);
	free(two);
}

/* ---- unit attentions ---- */

static void attention_at_login(void **state)
{
	struct bench *b = *state;

	scsi_nexus_free(b->nexus[0]);
	b->nexus[0] = bench_login(b, "iqn.2026-01.example:one", 1);
	/* INQUIRY and REPORT LUNS do not take it. */
	assert_good(RUN(b, 0x12, 0, 0, 0, 36, 0));
	assert_good(RUN(b, 0xa0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0));
	assert_sense(b, RUN(b, 0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0), POWER_ON);
	assert_int_equal(b->task.dir, SCSI_DIR_NONE);
	assert_good(RUN(b, 0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0));
}

static void attention_by_request_sense(void **state)
{
	struct bench *b = *state;

	scsi_lu_capacity_changed(b->lu);
	assert_good(RUN(b, 3, 0, 0, 0, 96, 0));
	assert_int_equal(b->in[0], 0x70);
	assert_int_equal(b->in[2], 6);
	assert_int_equal(get_be16(b->in + 12), 0x2a09);
	assert_good(RUN(b, 0, 0, 0, 0, 0, 0));
	/* it stays if there is no room for it */
	scsi_lu_capacity_changed(b->lu);
	bench_clear_ua(b);
	scsi_lu_capacity_changed(b->lu);
	assert_good(RUN(b, 3, 0, 0, 0, 0, 0));
	assert_good(RUN(b, 3, 0, 0, 0, 13, 0));
	assert_int_equal(b->in[2], 0);
	assert_good(RUN(b, 3, 1, 0, 0, 3, 0));
	assert_good(RUN(b, 3, 1, 0, 0, 4, 0));
	assert_int_equal(get_be16(b->in + 2), 0x2a09);
	/* descriptor format on request */
	assert_good(RUN_AS(b, 1, 3, 1, 0, 0, 96, 0));
	assert_int_equal(b->in[0], 0x72);
	assert_int_equal(b->in[1], 6);
	assert_int_equal(get_be16(b->in + 2), 0x2a09);
	assert_int_equal(b->task.data_in_len, 8);
}

static void attention_order(void **state)
{
	struct bench *b = *state;

	scsi_nexus_unit_attention(b->nexus[0], b->lu, ASC_CAPACITY_CHANGED);
	scsi_nexus_unit_attention(b->nexus[0], NULL, ASC_REPORTED_LUNS_CHANGED);
	scsi_lu_reset(b->lu, b->nexus[1]);
	assert_sense(b, RUN(b, 0, 0, 0, 0, 0, 0), 0x62903);
	assert_sense(b, RUN(b, 0, 0, 0, 0, 0, 0), 0x63f0e);
	assert_sense(b, RUN(b, 0, 0, 0, 0, 0, 0), 0x62a09);
	assert_good(RUN(b, 0, 0, 0, 0, 0, 0));
	assert_sense(b, RUN_AS(b, 1, 0, 0, 0, 0, 0, 0), 0x62903);
	assert_good(RUN_AS(b, 1, 0, 0, 0, 0, 0, 0));
}

/* A reset says more than the power-on that was pending. */
static void attention_of_resets(void **state)
{
	struct bench *b = *state;

	scsi_lu_reset(b->lu, NULL);
	scsi_nexus_lost(b->nexus[0]);
	assert_sense(b, RUN(b, 0, 0, 0, 0, 0, 0), 0x62903);
	assert_good(RUN(b, 0, 0, 0, 0, 0, 0));
}

/* ---- readiness ---- */

static void disabled_unit(void **state)
{
	struct bench *b = *state;

	scsi_lu_set_enabled(b->lu, false);
	assert_sense(b, RUN(b, 0, 0, 0, 0, 0, 0), 0x20412);
	assert_sense(b, RUN(b, 0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0), 0x20412);
	assert_sense(b, RUN(b, 0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0), 0x20412);
	assert_sense(b, RUN(b, 0x1b, 0, 0, 0, 1, 0), 0x20412);
	assert_good(RUN(b, 0x12, 0, 0, 0, 36, 0));
	assert_good(RUN(b, 3, 0, 0, 0, 96, 0));
	assert_int_equal(b->in[2], 2);
	assert_int_equal(get_be16(b->in + 12), 0x0412);
	scsi_lu_set_enabled(b->lu, true);
	assert_sense(b, RUN(b, 0, 0, 0, 0, 0, 0), POWER_ON);
	assert_good(RUN(b, 0, 0, 0, 0, 0, 0));
}

/* ---- REPORT SUPPORTED OPERATION CODES ---- */

#define RSOC(options, opcode, action)                                          \
	RUN(b, 0xa3, 0x0c, options, opcode, 0, action, 0, 0, 0xff, 0xff, 0, 0)

static void supported_opcodes_all(void **state)
{
	struct bench *b = *state;
	size_t len, at;
	unsigned found = 0;

	assert_good(RSOC(0, 0, 0));
	len = get_be32(b->in);
	assert_int_equal(b->task.data_in_len, 4 + len);
	for (at = 4; at < 4 + len; at += 8) {
		assert_int_equal(b->in[at + 5] & ~1, 0);
		found += b->in[at] == 0x28 || b->in[at] == 0x93;
		if (!(b->in[at + 5] & 1)) {
			assert_int_equal(get_be16(b->in + at + 2), 0);
		}
	}
	assert_int_equal(found, 2);

	/* with timeout descriptors */
	assert_good(RSOC(0x80, 0, 0));
	assert_int_equal(get_be32(b->in), len / 8 * 20);
	for (at = 4; at < 4 + len / 8 * 20; at += 20) {
		assert_int_equal(b->in[at + 5] & 2, 2);
		assert_int_equal(get_be16(b->in + at + 8), 10);
	}
}

static void supported_opcodes_one(void **state)
{
	static const uint8_t read10[] = {0,    3,    0,	   10,	 0x28,
					 0x1e, 0xff, 0xff, 0xff, 0xff,
					 0x3f, 0xff, 0xff, 0};
	struct bench *b = *state;

	assert_good(RSOC(1, 0x28, 0));
	assert_int_equal(b->task.data_in_len, sizeof(read10));
	assert_memory_equal(b->in, read10, sizeof(read10));
	assert_good(RSOC(0x81, 0x28, 0));
	assert_int_equal(b->task.data_in_len, sizeof(read10) + 12);
	assert_int_equal(b->in[1], 0x83);
	/* not there */
	assert_good(RSOC(1, 0xee, 0));
	assert_int_equal(b->in[1], 1);
	/* service actions */
	assert_sense(b, RSOC(1, 0x9e, 0), INVALID_CDB);
	assert_sense(b, RSOC(2, 0x28, 0), INVALID_CDB);
	assert_good(RSOC(2, 0x9e, 0x10));
	assert_int_equal(b->in[1], 3);
	assert_int_equal(b->in[5] & 0x1f, 0x10);
	assert_good(RSOC(2, 0x9e, 0x11));
	assert_int_equal(b->in[1], 1);
	assert_good(RSOC(3, 0x9e, 0x12));
	assert_int_equal(b->in[1], 3);
	assert_good(RSOC(3, 0x28, 0));
	assert_int_equal(b->in[1], 3);
	assert_good(RSOC(3, 0x28, 5));
	assert_int_equal(b->in[1], 1);
	assert_sense(b, RSOC(4, 0x28, 0), INVALID_CDB);
	bench_field(b, true, 2, 2);
}

/* Every command that is listed is answered, by its own description: a CDB that
 * sets a bit that is not in the usage map is refused at that bit. */
static void usage_maps_hold(void **state)
{
	struct bench *b = *state;
	uint8_t list[4096];
	size_t len, at, byte;
	unsigned checked = 0;

	assert_good(RSOC(0, 0, 0));
	len = get_be32(b->in);
	assert_true(len <= sizeof(list));
	memcpy(list, b->in + 4, len);
	for (at = 0; at < len; at += 8) {
		uint8_t opcode = list[at], action = list[at + 3];
		bool has_action = list[at + 5] & 1;
		size_t cdb_len = get_be16(list + at + 6);
		uint8_t usage[16] = {0};

		assert_good(RSOC(has_action ? 2 : 1, opcode, action));
		assert_int_equal(get_be16(b->in + 2), cdb_len);
		memcpy(usage, b->in + 4, cdb_len);
		assert_int_equal(usage[0], opcode);
		for (byte = 1; byte < cdb_len; byte++) {
			int bit;

			for (bit = 0; bit < 8; bit++) {
				uint8_t cdb[16] = {opcode};

				if (has_action) {
					cdb[1] = action;
				}
				if ((usage[byte] & (1 << bit)) ||
				    (has_action && byte == 1 && bit < 5)) {
					continue;
				}
				cdb[byte] |= (uint8_t)(1 << bit);
				assert_sense(b, bench_cdb(b, cdb, 16),
					     INVALID_CDB);
				bench_field(b, true, (uint16_t)byte, bit);
				checked++;
			}
		}
	}
	assert_true(checked > 1000);
}

static void unknown_opcodes(void **state)
{
	struct bench *b = *state;

	assert_sense(b, RUN(b, 0xff, 0, 0, 0, 0, 0), INVALID_OPCODE);
	assert_sense(b, RUN(b, 0x7f, 0, 0, 0, 0, 0), INVALID_OPCODE);
	/* a service action that is not there is an invalid field */
	assert_sense(b, RUN(b, 0x9e, 0x1f), INVALID_CDB);
	bench_field(b, true, 1, 4);
}

static void short_cdb(void **state)
{
	struct bench *b = *state;
	struct scsi_task *task = &b->task;

	memset(task, 0, sizeof(*task));
	task->cdb[0] = 0x88;
	task->cdb_len = 10;
	task->nexus = b->nexus[0];
	assert_false(scsi_task_prepare(task));
	assert_int_equal(bench_sense(b), INVALID_CDB);
}

static void supported_tmfs(void **state)
{
	struct bench *b = *state;

	assert_good(RUN(b, 0xa3, 0x0d, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0));
	assert_int_equal(b->task.data_in_len, 4);
	assert_int_equal(b->in[0], 0xda);
	assert_good(RUN(b, 0xa3, 0x0d, 0x80, 0, 0, 0, 0, 0, 0, 16, 0, 0));
	assert_int_equal(b->task.data_in_len, 16);
	assert_int_equal(b->in[3], 12);
	assert_sense(b, RUN(b, 0xa3, 0x0d, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0),
		     INVALID_CDB);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BENCH_TEST(standard_inquiry),
		BENCH_TEST(inquiry_allocation_length),
		BENCH_TEST(inquiry_refusals),
		BENCH_TEST(vpd_lists),
		BENCH_TEST(vpd_serial),
		BENCH_TEST(vpd_identification),
		BENCH_TEST(vpd_ports),
		BENCH_TEST_BLOCKS(vpd_limits),
		BENCH_TEST(lun_addressing),
		BENCH_TEST(well_known_unit),
		BENCH_TEST(report_luns),
		BENCH_TEST(map_changes),
		BENCH_TEST(map_changes_told_once),
		BENCH_TEST(attention_at_login),
		BENCH_TEST(attention_by_request_sense),
		BENCH_TEST(attention_order),
		BENCH_TEST(attention_of_resets),
		BENCH_TEST(disabled_unit),
		BENCH_TEST(supported_opcodes_all),
		BENCH_TEST(supported_opcodes_one),
		BENCH_TEST(usage_maps_hold),
		BENCH_TEST(unknown_opcodes),
		BENCH_TEST(short_cdb),
		BENCH_TEST(supported_tmfs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
