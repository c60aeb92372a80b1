/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Every command against every type of persistent reservation, by the standards'
 * own tables (SPC-4 tables 65 and 66, SBC-4 table 13), not by the opcode table.
 */
#include "target_scsi_bench.h"
#include "target/scsi_priv.h"

/* What a reservation of another nexus leaves a nexus that is not registered. */
enum rule {
	ALWAYS,	  /* allowed */
	READS,	  /* allowed beside Write Exclusive */
	NEVER,	  /* conflicts */
	NOT_KEYS, /* PERSISTENT RESERVE OUT: conflicts without its key, too */
	OLD,	  /* SPC-2's: conflict as soon as anyone is registered */
};

#define ANY (-1)

static const struct {
	uint8_t opcode;
	int action;
	enum rule rule;
} rules[] = {
	{0x00, ANY, ALWAYS}, /* TEST UNIT READY */
	{0x03, ANY, ALWAYS}, /* REQUEST SENSE */
	{0x04, ANY, NEVER},  /* FORMAT UNIT */
	{0x08, ANY, READS},  /* READ(6) */
	{0x0a, ANY, NEVER},  /* WRITE(6) */
	{0x12, ANY, ALWAYS}, /* INQUIRY */
	{0x15, ANY, NEVER},  /* MODE SELECT(6) */
	{0x16, ANY, OLD},    /* RESERVE(6) */
	{0x17, ANY, OLD},    /* RELEASE(6) */
	{0x1a, ANY, READS},  /* MODE SENSE(6) */
	{0x1b, ANY, NEVER},  /* START STOP UNIT: to stop */
	{0x1c, ANY, READS},  /* RECEIVE DIAGNOSTIC RESULTS */
	{0x1d, ANY, NEVER},  /* SEND DIAGNOSTIC */
	{0x25, ANY, ALWAYS}, /* READ CAPACITY(10) */
	{0x28, ANY, READS},  /* READ(10) */
	{0x2a, ANY, NEVER},  /* WRITE(10) */
	{0x2e, ANY, NEVER},  /* WRITE AND VERIFY(10) */
	{0x2f, ANY, READS},  /* VERIFY(10) */
	{0x34, ANY, READS},  /* PRE-FETCH(10) */
	{0x35, ANY, NEVER},  /* SYNCHRONIZE CACHE(10) */
	{0x37, ANY, READS},  /* READ DEFECT DATA(10) */
	{0x41, ANY, NEVER},  /* WRITE SAME(10) */
	{0x42, ANY, NEVER},  /* UNMAP */
	{0x48, ANY, NEVER},  /* SANITIZE */
	{0x4c, ANY, NEVER},  /* LOG SELECT */
	{0x4d, ANY, ALWAYS}, /* LOG SENSE */
	{0x55, ANY, NEVER},  /* MODE SELECT(10) */
	{0x56, ANY, OLD},    /* RESERVE(10) */
	{0x57, ANY, OLD},    /* RELEASE(10) */
	{0x5a, ANY, READS},  /* MODE SENSE(10) */
	{0x5e, ANY, ALWAYS}, /* PERSISTENT RESERVE IN */
	{0x5f, 0x00, ALWAYS},
	{0x5f, 0x06, ALWAYS}, /* REGISTER, AND IGNORE EXISTING KEY */
	{0x5f, ANY, NOT_KEYS},
	{0x83, 0x10, READS},  /* POPULATE TOKEN */
	{0x83, ANY, NEVER},   /* EXTENDED COPY, WRITE USING TOKEN, its ABORT */
	{0x84, ANY, ALWAYS},  /* RECEIVE COPY STATUS… */
	{0x88, ANY, READS},   /* READ(16) */
	{0x89, ANY, NEVER},   /* COMPARE AND WRITE */
	{0x8a, ANY, NEVER},   /* WRITE(16) */
	{0x8b, ANY, NEVER},   /* ORWRITE(16) */
	{0x8e, ANY, NEVER},   /* WRITE AND VERIFY(16) */
	{0x8f, ANY, READS},   /* VERIFY(16) */
	{0x90, ANY, READS},   /* PRE-FETCH(16) */
	{0x91, ANY, NEVER},   /* SYNCHRONIZE CACHE(16) */
	{0x93, ANY, NEVER},   /* WRITE SAME(16) */
	{0x9c, ANY, NEVER},   /* WRITE ATOMIC(16) */
	{0x9e, 0x10, ALWAYS}, /* READ CAPACITY(16) */
	{0x9e, 0x12, READS},  /* GET LBA STATUS */
	{0xa0, ANY, ALWAYS},  /* REPORT LUNS */
	{0xa3, 0x0c, READS},  /* REPORT SUPPORTED OPERATION CODES */
	{0xa3, 0x0d, READS},  /* … TASK MANAGEMENT FUNCTIONS */
	{0xa3, ANY,
	 ALWAYS}, /* IDENTIFYING INFORMATION, PORT GROUPS, TIMESTAMP */
	{0xa4, ANY, NEVER}, /* SET… */
	{0xa8, ANY, READS}, /* READ(12) */
	{0xaa, ANY, NEVER}, /* WRITE(12) */
	{0xae, ANY, NEVER}, /* WRITE AND VERIFY(12) */
	{0xaf, ANY, READS}, /* VERIFY(12) */
	{0xb7, ANY, READS}, /* READ DEFECT DATA(12) */
};

static enum rule rule_of(const struct scsi_opcode *op)
{
	size_t i;

	for (i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		if (rules[i].opcode == op->opcode &&
		    (rules[i].action == ANY || rules[i].action == op->action)) {
			return rules[i].rule;
		}
	}
	fail_msg("%s has no rule here", op->name);
	return NEVER;
}

static uint8_t pr_out(struct bench *b, unsigned who, uint8_t action,
		      uint8_t type, uint64_t key, uint64_t action_key)
{
	uint8_t list[24] = {0};

	put_be64(list, key);
	put_be64(list + 8, action_key);
	return bench_io(
		b, CDB(0x5f, action, type, 0, 0, 0, 0, 0, 24, 0), 10,
		&(struct bench_io){.nexus = who, .out = list, .out_len = 24});
}

/* The command with nothing in its CDB but what makes it that. Whatever else is
 * wrong with it: does it conflict? */
static bool conflicts(struct bench *b, unsigned who,
		      const struct scsi_opcode *op)
{
	uint8_t cdb[16] = {op->opcode}, list[24] = {0};

	if (op->action != SCSI_NO_ACTION) {
		cdb[1] = (uint8_t)op->action;
	}
	if (op->opcode == 0x5f) {
		cdb[2] = 1;
		cdb[8] = sizeof(list);
	}
	return bench_io(b, cdb, sizeof(cdb),
			&(struct bench_io){.nexus = who,
					   .out = list,
					   .out_len = cdb[8]}) ==
	       SCSI_RESERVATION_CONFLICT;
}

static void check_all(uint8_t type, bool registered)
{
	bool registrants = type >= 5;
	bool exclusive = type == 3 || type == 6 || type == 8;
	const struct scsi_opcode *table;
	size_t count, i;

	table = scsi_opcode_table(&count);
	for (i = 0; i < count; i++) {
		struct bench *b = malloc(sizeof(*b));
		enum rule rule = rule_of(&table[i]);
		bool expected = rule == NEVER || (rule == READS && exclusive);

		/* Anew for each, since it may stop or format the unit. */
		bench_open(b);
		bench_clear_ua(b);
		assert_good(pr_out(b, 0, 0, 0, 0, 1));
		if (registered) {
			assert_good(pr_out(b, 1, 0, 0, 0, 2));
		}
		assert_good(pr_out(b, 0, 1, type, 1, 0));
		if (registered && registrants) {
			expected = false;
		}
		/* The parameter list has no key. */
		expected |= rule == OLD || rule == NOT_KEYS ||
			    (registered && table[i].opcode == 0x5f &&
			     table[i].action == 0);
		if (conflicts(b, 1, &table[i]) != expected) {
			fail_msg("%s, type %u, %sregistered: %s", table[i].name,
				 type, registered ? "" : "not ",
				 expected ? "is allowed" : "conflicts");
		}
		/* Never with who holds it. */
		if (rule != OLD && rule != NOT_KEYS &&
		    table[i].opcode != 0x5f) {
			assert_false(conflicts(b, 0, &table[i]));
		}
		bench_close(b);
		free(b);
	}
}

static void every_command(void **state)
{
	static const uint8_t types[] = {1, 3, 5, 6, 7, 8};
	size_t i;

	for (i = 0; i < sizeof(types); i++) {
		check_all(types[i], false);
		check_all(types[i], true);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_command),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
