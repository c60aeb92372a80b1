/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The opcode table: everything there is to know about a command before it
 * runs. It drives dispatch, the checks of the CDB, and the answers of REPORT
 * SUPPORTED OPERATION CODES.
 */
#include "target/scsi_commands.h"

#define R SCSI_NEEDS_READ
#define W SCSI_NEEDS_WRITE
#define L SCSI_NEEDS_LEGACY

#define MEDIUM SCSI_OP_MEDIUM
#define WRITES (SCSI_OP_MEDIUM | SCSI_OP_WRITES)
/* …which log pages count (SPC-4 table 375, and VERIFY) */
#define COUNT_READ   (MEDIUM | SCSI_OP_COUNT(SCSI_COUNT_READS))
#define COUNT_WRITE  (WRITES | SCSI_OP_COUNT(SCSI_COUNT_WRITES))
#define COUNT_VERIFY (MEDIUM | SCSI_OP_COUNT(SCSI_COUNT_VERIFIES))
/* Through target ports that are not active (SPC-4 5.16.2.4.4, .5) */
#define STANDBY	    SCSI_OP_STANDBY
#define UNAVAILABLE (SCSI_OP_STANDBY | SCSI_OP_UNAVAILABLE)
/* INQUIRY, REPORT LUNS, REQUEST SENSE (SAM-5 5.14) */
#define ALWAYS (SCSI_OP_NO_LU | SCSI_OP_WLUN | SCSI_OP_NO_UA | UNAVAILABLE)

/* Usage maps. FF_n: n bytes of ff. Byte 0, the opcode, is 00 here. */
#define FF2   0xff, 0xff
#define FF3   FF2, 0xff
#define FF4   FF2, FF2
#define FF8   FF4, FF4
#define GROUP 0x3f /* accepted and ignored: there are no groups */

/* RARC has no effect on a unit that has nothing to recover; FUA_NV is
 * obsolete and ignored. */
#define RD_FLAGS 0x1e /* DPO, FUA, RARC, FUA_NV */
#define WR_FLAGS 0x1a /* DPO, FUA, FUA_NV */
#define VF_FLAGS 0x16 /* DPO, BYTCHK */

/* PERSISTENT RESERVE OUT ignores scope and type where they mean nothing (SPC-4
 * 5.13.7, 5.13.8, 5.13.11.2.7). */

/* Ascending by opcode and service action; a service action of -1 is none. */
/* clang-format off */
static const struct scsi_opcode opcodes[] = {
	{0x00, 6, -1, L, SCSI_OP_WLUN, {0}, scsi_test_unit_ready_prepare,
	 scsi_done, "TEST UNIT READY", "SPC-4 6.47"},
	{0x03, 6, -1, 0, ALWAYS, {0, 0x01, 0, 0, 0xff},
	 scsi_request_sense_prepare, scsi_request_sense, "REQUEST SENSE",
	 "SPC-4 6.39"},
	{0x04, 6, -1, W | L, WRITES, {0, 0x3f}, scsi_format_prepare,
	 scsi_format, "FORMAT UNIT", "SBC-3 5.3"},
	{0x08, 6, -1, R | L, COUNT_READ, {0, 0x1f, FF3}, scsi_read_prepare,
	 scsi_read, "READ(6)", "SBC-2 5.8"},
	{0x0a, 6, -1, W | L, COUNT_WRITE, {0, 0x1f, FF3}, scsi_write_prepare,
	 scsi_write, "WRITE(6)", "SBC-2 5.29"},
	{0x12, 6, -1, 0, ALWAYS, {0, 0x01, 0xff, FF2}, scsi_inquiry_prepare,
	 scsi_inquiry, "INQUIRY", "SPC-4 6.6"},
	{0x15, 6, -1, W | L, STANDBY, {0, 0x11, 0, 0, 0xff},
	 scsi_mode_select_prepare, scsi_mode_select, "MODE SELECT(6)",
	 "SPC-4 6.11"},
	{0x16, 6, -1, 0, 0, {0, 0, 0xff}, scsi_prepare_none, scsi_reserve,
	 "RESERVE(6)", "SPC-2 7.22"},
	{0x17, 6, -1, 0, 0, {0, 0, 0xff}, scsi_prepare_none, scsi_release,
	 "RELEASE(6)", "SPC-2 7.17"},
	{0x1a, 6, -1, R | L, STANDBY, {0, 0x08, 0xff, FF2}, scsi_mode_sense_prepare,
	 scsi_mode_sense, "MODE SENSE(6)", "SPC-4 6.13"},
	{0x1b, 6, -1, L, 0, {0, 0x01, 0, 0, 0x05}, scsi_start_stop_prepare,
	 scsi_start_stop, "START STOP UNIT", "SBC-3 5.25"},
	{0x1c, 6, -1, R | L, STANDBY, {0, 0x01, 0xff, FF2},
	 scsi_receive_diagnostic_prepare, scsi_receive_diagnostic,
	 "RECEIVE DIAGNOSTIC RESULTS", "SPC-4 6.28"},
	{0x1d, 6, -1, W | L, STANDBY, {0, 0xf7, 0, FF2},
	 scsi_send_diagnostic_prepare, scsi_send_diagnostic, "SEND DIAGNOSTIC",
	 "SPC-4 6.42"},
	{0x25, 10, -1, 0, MEDIUM | STANDBY, {0}, scsi_read_capacity10_prepare,
	 scsi_read_capacity10, "READ CAPACITY(10)", "SBC-3 5.15"},
	{0x28, 10, -1, R | L, COUNT_READ, {0, RD_FLAGS, FF4, GROUP, FF2},
	 scsi_read_prepare, scsi_read, "READ(10)", "SBC-3 5.11"},
	{0x2a, 10, -1, W | L, COUNT_WRITE, {0, WR_FLAGS, FF4, GROUP, FF2},
	 scsi_write_prepare, scsi_write, "WRITE(10)", "SBC-3 5.33"},
	{0x2e, 10, -1, W | L, COUNT_WRITE, {0, VF_FLAGS, FF4, GROUP, FF2},
	 scsi_write_verify_prepare, scsi_write_verify, "WRITE AND VERIFY(10)",
	 "SBC-3 5.37"},
	{0x2f, 10, -1, R | L, COUNT_VERIFY, {0, VF_FLAGS, FF4, GROUP, FF2},
	 scsi_verify_prepare, scsi_verify, "VERIFY(10)", "SBC-3 5.29"},
	{0x34, 10, -1, R | L, MEDIUM, {0, 0x02, FF4, GROUP, FF2},
	 scsi_prefetch_prepare, scsi_prefetch, "PRE-FETCH(10)", "SBC-3 5.8"},
	{0x35, 10, -1, W | L, MEDIUM, {0, 0x06, FF4, GROUP, FF2},
	 scsi_synchronize_cache_prepare, scsi_synchronize_cache,
	 "SYNCHRONIZE CACHE(10)", "SBC-3 5.26"},
	{0x37, 10, -1, R | L, MEDIUM, {0, 0, 0x1f, 0, 0, 0, 0, FF2},
	 scsi_read_defect10_prepare, scsi_read_defect10,
	 "READ DEFECT DATA(10)", "SBC-3 5.17"},
	{0x41, 10, -1, W | L, WRITES, {0, 0x08, FF4, GROUP, FF2},
	 scsi_write_same_prepare, scsi_write_same, "WRITE SAME(10)",
	 "SBC-3 5.43"},
	{0x42, 10, -1, W | L, COUNT_WRITE, {0, 0, 0, 0, 0, 0, GROUP, FF2},
	 scsi_unmap_prepare, scsi_unmap, "UNMAP", "SBC-3 5.28"},
	{0x48, 10, 0x01, W | L, SCSI_OP_WRITES, {0, 0xa0, 0, 0, 0, 0, 0, FF2},
	 scsi_sanitize_prepare, scsi_sanitize, "SANITIZE, OVERWRITE",
	 "SBC-3 5.24"},
	{0x48, 10, 0x02, W | L, SCSI_OP_WRITES, {0, 0xa0, 0, 0, 0, 0, 0, FF2},
	 scsi_sanitize_prepare, scsi_sanitize, "SANITIZE, BLOCK ERASE",
	 "SBC-3 5.24"},
	{0x48, 10, 0x1f, W | L, SCSI_OP_WRITES, {0, 0xa0, 0, 0, 0, 0, 0, FF2},
	 scsi_sanitize_prepare, scsi_sanitize_exit,
	 "SANITIZE, EXIT FAILURE MODE", "SBC-3 5.24"},
	{0x4c, 10, -1, W | L, STANDBY, {0, 0x03, 0xff, 0xff},
	 scsi_log_select_prepare, scsi_log_select, "LOG SELECT",
	 "SPC-4 6.7"},
	{0x4d, 10, -1, 0, STANDBY, {0, 0, 0xff, 0xff, 0, FF2, FF2},
	 scsi_log_sense_prepare, scsi_log_sense, "LOG SENSE", "SPC-4 6.8"},
	{0x55, 10, -1, W | L, STANDBY, {0, 0x11, 0, 0, 0, 0, 0, FF2},
	 scsi_mode_select_prepare, scsi_mode_select, "MODE SELECT(10)",
	 "SPC-4 6.12"},
	{0x56, 10, -1, 0, 0, {0, 0, 0xff}, scsi_prepare_none,
	 scsi_reserve, "RESERVE(10)", "SPC-2 7.21"},
	{0x57, 10, -1, 0, 0, {0, 0, 0xff}, scsi_prepare_none,
	 scsi_release, "RELEASE(10)", "SPC-2 7.16"},
	{0x5a, 10, -1, R | L, STANDBY, {0, 0x18, 0xff, 0xff, 0, 0, 0, FF2},
	 scsi_mode_sense_prepare, scsi_mode_sense, "MODE SENSE(10)",
	 "SPC-4 6.14"},
	{0x5e, 10, 0x00, L, STANDBY, {0, 0, 0, 0, 0, 0, 0, FF2}, scsi_pr_in_prepare,
	 scsi_pr_read_keys, "PERSISTENT RESERVE IN, READ KEYS",
	 "SPC-4 6.15.2"},
	{0x5e, 10, 0x01, L, STANDBY, {0, 0, 0, 0, 0, 0, 0, FF2}, scsi_pr_in_prepare,
	 scsi_pr_read_reservation, "PERSISTENT RESERVE IN, READ RESERVATION",
	 "SPC-4 6.15.3"},
	{0x5e, 10, 0x02, L, STANDBY, {0, 0, 0, 0, 0, 0, 0, FF2}, scsi_pr_in_prepare,
	 scsi_pr_report_capabilities,
	 "PERSISTENT RESERVE IN, REPORT CAPABILITIES", "SPC-4 6.15.4"},
	{0x5e, 10, 0x03, L, STANDBY, {0, 0, 0, 0, 0, 0, 0, FF2}, scsi_pr_in_prepare,
	 scsi_pr_read_full_status, "PERSISTENT RESERVE IN, READ FULL STATUS",
	 "SPC-4 6.15.5"},
	{0x5f, 10, 0x00, L, STANDBY, {0, 0, 0xff, 0, 0, FF4}, scsi_pr_out_prepare,
	 scsi_pr_out, "PERSISTENT RESERVE OUT, REGISTER", "SPC-4 6.16"},
	{0x5f, 10, 0x01, L, STANDBY, {0, 0, 0xff, 0, 0, FF4}, scsi_pr_out_prepare,
	 scsi_pr_out, "PERSISTENT RESERVE OUT, RESERVE", "SPC-4 6.16"},
	{0x5f, 10, 0x02, L, STANDBY, {0, 0, 0xff, 0, 0, FF4}, scsi_pr_out_prepare,
	 scsi_pr_out, "PERSISTENT RESERVE OUT, RELEASE", "SPC-4 6.16"},
	{0x5f, 10, 0x03, L, STANDBY, {0, 0, 0xff, 0, 0, FF4}, scsi_pr_out_prepare,
	 scsi_pr_out, "PERSISTENT RESERVE OUT, CLEAR", "SPC-4 6.16"},
	{0x5f, 10, 0x04, L, STANDBY, {0, 0, 0xff, 0, 0, FF4}, scsi_pr_out_prepare,
	 scsi_pr_out, "PERSISTENT RESERVE OUT, PREEMPT", "SPC-4 6.16"},
	{0x5f, 10, 0x05, L, STANDBY, {0, 0, 0xff, 0, 0, FF4}, scsi_pr_out_prepare,
	 scsi_pr_out, "PERSISTENT RESERVE OUT, PREEMPT AND ABORT",
	 "SPC-4 6.16"},
	{0x5f, 10, 0x06, L, STANDBY, {0, 0, 0xff, 0, 0, FF4}, scsi_pr_out_prepare,
	 scsi_pr_out,
	 "PERSISTENT RESERVE OUT, REGISTER AND IGNORE EXISTING KEY",
	 "SPC-4 6.16"},
	{0x5f, 10, 0x07, L, STANDBY, {0, 0, 0xff, 0, 0, FF4}, scsi_pr_out_prepare,
	 scsi_pr_out, "PERSISTENT RESERVE OUT, REGISTER AND MOVE",
	 "SPC-4 6.16.4"},
	{0x83, 16, 0x00, W | L, MEDIUM, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, FF4},
	 scsi_copy_prepare, scsi_extended_copy,
	 "EXTENDED COPY(LID1)", "SPC-4 6.5"},
	{0x83, 16, 0x01, W | L, MEDIUM, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, FF4},
	 scsi_copy_prepare, scsi_extended_copy,
	 "EXTENDED COPY(LID4)", "SPC-4 6.4"},
	{0x83, 16, 0x10, R | L, COUNT_READ, {0, 0, 0, 0, 0, 0, FF4, FF4, GROUP},
	 scsi_copy_prepare, scsi_populate_token, "POPULATE TOKEN",
	 "SBC-3 5.7"},
	{0x83, 16, 0x11, W | L, COUNT_WRITE, {0, 0, 0, 0, 0, 0, FF4, FF4, GROUP},
	 scsi_copy_prepare, scsi_write_using_token, "WRITE USING TOKEN",
	 "SBC-3 5.46"},
	{0x83, 16, 0x1c, W | L, 0, {0, 0, FF4}, scsi_prepare_none,
	 scsi_copy_abort, "COPY OPERATION ABORT", "SPC-4 6.3"},
	{0x84, 16, 0x00, L, 0, {0, 0, 0xff, 0, 0, 0, 0, 0, 0, 0, FF4},
	 scsi_copy_status1_prepare, scsi_copy_status1,
	 "RECEIVE COPY STATUS(LID1)", "SPC-4 6.25"},
	{0x84, 16, 0x03, L, 0, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, FF4},
	 scsi_copy_parameters_prepare, scsi_copy_parameters,
	 "RECEIVE COPY OPERATING PARAMETERS", "SPC-4 6.22"},
	{0x84, 16, 0x04, L, 0, {0, 0, 0xff, 0, 0, 0, 0, 0, 0, 0, FF4},
	 scsi_copy_status1_prepare, scsi_copy_failure,
	 "RECEIVE COPY FAILURE DETAILS", "SPC-4 6.23"},
	{0x84, 16, 0x05, L, 0, {0, 0, FF4, 0, 0, 0, 0, FF4},
	 scsi_copy_status4_prepare, scsi_copy_status4,
	 "RECEIVE COPY STATUS(LID4)", "SPC-4 6.24"},
	{0x84, 16, 0x07, L, 0, {0, 0, FF4, 0, 0, 0, 0, FF4},
	 scsi_copy_status4_prepare, scsi_token_information,
	 "RECEIVE ROD TOKEN INFORMATION", "SPC-4 6.26"},
	{0x88, 16, -1, R | L, COUNT_READ, {0, RD_FLAGS, FF8, FF4, GROUP},
	 scsi_read_prepare, scsi_read, "READ(16)", "SBC-3 5.13"},
	{0x89, 16, -1, W | L, WRITES,
	 {0, WR_FLAGS, FF8, 0, 0, 0, 0xff, GROUP},
	 scsi_compare_and_write_prepare, scsi_compare_and_write,
	 "COMPARE AND WRITE", "SBC-3 5.2"},
	{0x8a, 16, -1, W | L, COUNT_WRITE, {0, WR_FLAGS, FF8, FF4, GROUP},
	 scsi_write_prepare, scsi_write, "WRITE(16)", "SBC-3 5.35"},
	{0x8b, 16, -1, W | L, WRITES, {0, WR_FLAGS, FF8, FF4, GROUP},
	 scsi_orwrite_prepare, scsi_orwrite, "ORWRITE(16)", "SBC-3 5.5"},
	{0x8e, 16, -1, W | L, COUNT_WRITE, {0, VF_FLAGS, FF8, FF4, GROUP},
	 scsi_write_verify_prepare, scsi_write_verify, "WRITE AND VERIFY(16)",
	 "SBC-3 5.39"},
	{0x8f, 16, -1, R | L, COUNT_VERIFY, {0, VF_FLAGS, FF8, FF4, GROUP},
	 scsi_verify_prepare, scsi_verify, "VERIFY(16)", "SBC-3 5.31"},
	{0x90, 16, -1, R | L, MEDIUM, {0, 0x02, FF8, FF4, GROUP},
	 scsi_prefetch_prepare, scsi_prefetch, "PRE-FETCH(16)", "SBC-3 5.9"},
	{0x91, 16, -1, W | L, MEDIUM, {0, 0x06, FF8, FF4, GROUP},
	 scsi_synchronize_cache_prepare, scsi_synchronize_cache,
	 "SYNCHRONIZE CACHE(16)", "SBC-3 5.27"},
	{0x93, 16, -1, W | L, WRITES, {0, 0x09, FF8, FF4, GROUP},
	 scsi_write_same_prepare, scsi_write_same, "WRITE SAME(16)",
	 "SBC-3 5.44"},
	{0x9c, 16, -1, W | L, COUNT_WRITE | SCSI_OP_ATOMIC,
	 {0, 0x18, FF8, FF2, FF2, GROUP}, /* DPO, FUA */
	 scsi_write_atomic_prepare, scsi_write_atomic, "WRITE ATOMIC(16)",
	 "SBC-4 5.48"},
	{0x9e, 16, 0x10, 0, MEDIUM | STANDBY, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, FF4},
	 scsi_read_capacity16_prepare, scsi_read_capacity16,
	 "READ CAPACITY(16)", "SBC-3 5.16"},
	{0x9e, 16, 0x12, R | L, MEDIUM, {0, 0, FF8, FF4},
	 scsi_get_lba_status_prepare, scsi_get_lba_status, "GET LBA STATUS",
	 "SBC-3 5.4"},
	{0xa0, 12, -1, 0, ALWAYS, {0, 0, 0xff, 0, 0, 0, FF4},
	 scsi_report_luns_prepare, scsi_report_luns, "REPORT LUNS",
	 "SPC-4 6.33"},
	{0xa3, 12, 0x05, 0, 0, {0, 0, 0, 0, 0, 0, FF4, 0xfe},
	 scsi_report_ident_prepare, scsi_report_ident,
	 "REPORT IDENTIFYING INFORMATION", "SPC-4 6.32"},
	{0xa3, 12, 0x0a, 0, UNAVAILABLE, {0, 0xe0, 0, 0, 0, 0, FF4},
	 scsi_report_port_groups_prepare, scsi_report_port_groups,
	 "REPORT TARGET PORT GROUPS", "SPC-4 6.37"},
	{0xa3, 12, 0x0c, R | L, STANDBY, {0, 0, 0x87, 0xff, FF2, FF4},
	 scsi_report_opcodes_prepare, scsi_report_opcodes,
	 "REPORT SUPPORTED OPERATION CODES", "SPC-4 6.35"},
	{0xa3, 12, 0x0d, R | L, STANDBY, {0, 0, 0x80, 0, 0, 0, FF4},
	 scsi_report_tmfs_prepare, scsi_report_tmfs,
	 "REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS", "SPC-4 6.36"},
	{0xa3, 12, 0x0f, 0, 0, {0, 0, 0, 0, 0, 0, FF4},
	 scsi_report_timestamp_prepare, scsi_report_timestamp,
	 "REPORT TIMESTAMP", "SPC-4 6.38"},
	{0xa4, 12, 0x06, W | L, 0, {0, 0, 0, 0, 0, 0, FF4, 0xfe},
	 scsi_set_ident_prepare, scsi_set_ident,
	 "SET IDENTIFYING INFORMATION", "SPC-4 6.43"},
	{0xa4, 12, 0x0a, W | L, UNAVAILABLE, {0, 0, 0, 0, 0, 0, FF4},
	 scsi_set_port_groups_prepare, scsi_set_port_groups,
	 "SET TARGET PORT GROUPS", "SPC-4 6.45"},
	{0xa8, 12, -1, R | L, COUNT_READ, {0, RD_FLAGS, FF4, FF4, GROUP},
	 scsi_read_prepare, scsi_read, "READ(12)", "SBC-3 5.12"},
	{0xaa, 12, -1, W | L, COUNT_WRITE, {0, WR_FLAGS, FF4, FF4, GROUP},
	 scsi_write_prepare, scsi_write, "WRITE(12)", "SBC-3 5.34"},
	{0xae, 12, -1, W | L, COUNT_WRITE, {0, VF_FLAGS, FF4, FF4, GROUP},
	 scsi_write_verify_prepare, scsi_write_verify, "WRITE AND VERIFY(12)",
	 "SBC-3 5.38"},
	{0xaf, 12, -1, R | L, COUNT_VERIFY, {0, VF_FLAGS, FF4, FF4, GROUP},
	 scsi_verify_prepare, scsi_verify, "VERIFY(12)", "SBC-3 5.30"},
	{0xb7, 12, -1, R | L, MEDIUM, {0, 0x1f, FF4, FF4},
	 scsi_read_defect12_prepare, scsi_read_defect12,
	 "READ DEFECT DATA(12)", "SBC-3 5.18"},
};
/* clang-format on */

#define NUM_OPCODES (sizeof(opcodes) / sizeof(opcodes[0]))

/* First entry of each opcode, plus one; filled before main(). */
static uint8_t first[256];
/* The bits that no CDB of an entry may have, as they lie in memory. */
static uint64_t forbidden[NUM_OPCODES][2];

__attribute__((constructor)) static void index_opcodes(void)
{
	size_t i;

	_Static_assert(NUM_OPCODES < 255, "first[] holds an index");
	for (i = NUM_OPCODES; i-- > 0;) {
		uint8_t bits[16] = {0};
		unsigned at;

		first[opcodes[i].opcode] = (uint8_t)(i + 1);
		for (at = 1; at < opcodes[i].cdb_len; at++) {
			bits[at] = (uint8_t)~opcodes[i].usage[at];
		}
		if (opcodes[i].action != SCSI_NO_ACTION) {
			bits[1] &= 0xe0;
		}
		memcpy(forbidden[i], bits, sizeof(bits));
	}
}

int scsi_opcode_forbids(const struct scsi_opcode *op, const uint8_t *cdb)
{
	const uint64_t *bits = forbidden[op - opcodes];
	uint64_t words[2];
	const uint8_t *wrong = (const uint8_t *)words;
	int i;

	memcpy(words, cdb, sizeof(words));
	words[0] &= bits[0];
	words[1] &= bits[1];
	if ((words[0] | words[1]) == 0) {
		return -1;
	}
	for (i = 0; wrong[i] == 0; i++) {
	}
	return i * 8 + 31 - __builtin_clz((unsigned)wrong[i]);
}

const struct scsi_opcode *scsi_opcode_table(size_t *count)
{
	*count = NUM_OPCODES;
	return opcodes;
}

const struct scsi_opcode *scsi_opcode_find(const uint8_t *cdb,
					   bool *known_opcode)
{
	const struct scsi_opcode *op;
	unsigned i = first[cdb[0]];

	*known_opcode = i != 0;
	if (i == 0) {
		return NULL;
	}
	for (op = &opcodes[i - 1];
	     op < opcodes + NUM_OPCODES && op->opcode == cdb[0]; op++) {
		if (op->action == SCSI_NO_ACTION ||
		    op->action == (cdb[1] & 0x1f)) {
			return op;
		}
	}
	return NULL;
}

/* ---- REPORT SUPPORTED OPERATION CODES (SPC-4 6.35) ---- */

#define RCTD		   0x80
#define OPTION_ALL	   0
#define OPTION_OPCODE	   1
#define OPTION_ACTION	   2
#define OPTION_EITHER	   3
#define TIMEOUT_DESCRIPTOR 12

/* Find what options 001b to 011b ask about. */
static const struct scsi_opcode *requested(const struct scsi_task *task)
{
	uint8_t cdb[2] = {task->cdb[3], 0};
	uint16_t action = get_be16(task->cdb + 4);
	uint8_t i = first[cdb[0]];
	bool known;

	if (i == 0) {
		return NULL;
	}
	if (opcodes[i - 1].action == SCSI_NO_ACTION) {
		/* 011b with a service action that the opcode cannot have */
		if ((task->cdb[2] & 0x07) == OPTION_EITHER && action != 0) {
			return NULL;
		}
		return &opcodes[i - 1];
	}
	if (action > 0x1f) {
		return NULL;
	}
	cdb[1] = (uint8_t)action;
	return scsi_opcode_find(cdb, &known);
}

bool scsi_report_opcodes_prepare(struct scsi_task *task)
{
	uint8_t option = task->cdb[2] & 0x07;
	uint8_t i = first[task->cdb[3]];
	bool has_actions = i != 0 && opcodes[i - 1].action != SCSI_NO_ACTION;

	if (option > OPTION_EITHER) {
		return scsi_refuse_cdb(task, 2, 2);
	}
	if ((option == OPTION_OPCODE && has_actions) ||
	    (option == OPTION_ACTION && i != 0 && !has_actions)) {
		return scsi_refuse_cdb(task, 3, 7);
	}
	return scsi_prepare_in(task, get_be32(task->cdb + 6));
}

/* Nominal and recommended timeouts: none told (SPC-4 6.35.4). */
static size_t put_timeouts(uint8_t *p)
{
	memset(p, 0, TIMEOUT_DESCRIPTOR);
	put_be16(p, TIMEOUT_DESCRIPTOR - 2);
	return TIMEOUT_DESCRIPTOR;
}

static bool report_all(struct scsi_task *task, bool timeouts)
{
	uint8_t *buf;
	size_t i, len = 4;

	if (!scsi_task_buffer(task,
			      4 + NUM_OPCODES * (8 + TIMEOUT_DESCRIPTOR))) {
		return true;
	}
	buf = scsi_work(task)->buf;
	for (i = 0; i < NUM_OPCODES; i++) {
		const struct scsi_opcode *op = &opcodes[i];
		uint8_t *p = buf + len;

		if (!scsi_lu_has(task->lu, op)) {
			continue;
		}
		p[0] = op->opcode;
		if (op->action != SCSI_NO_ACTION) {
			put_be16(p + 2, (uint16_t)op->action);
			p[5] |= 0x01; /* SERVACTV */
		}
		put_be16(p + 6, op->cdb_len);
		len += 8;
		if (timeouts) {
			p[5] |= 0x02; /* CTDP */
			len += put_timeouts(buf + len);
		}
	}
	put_be32(buf, (uint32_t)(len - 4));
	return scsi_data_in(task, buf, len);
}

static bool report_one(struct scsi_task *task, bool timeouts)
{
	const struct scsi_opcode *op = requested(task);
	uint8_t buf[4 + 16 + TIMEOUT_DESCRIPTOR] = {0};
	size_t len = 4;

	if (op == NULL || !scsi_lu_has(task->lu, op)) {
		buf[1] = 0x01; /* SUPPORT: not supported */
		return scsi_data_in(task, buf, len);
	}
	buf[1] = 0x03; /* as the standard says */
	put_be16(buf + 2, op->cdb_len);
	memcpy(buf + 4, op->usage, op->cdb_len);
	buf[4] = op->opcode;
	if (op->action != SCSI_NO_ACTION) {
		buf[5] |= (uint8_t)op->action;
	}
	len += op->cdb_len;
	if (timeouts) {
		buf[1] |= 0x80; /* CTDP */
		len += put_timeouts(buf + len);
	}
	return scsi_data_in(task, buf, len);
}

bool scsi_report_opcodes(struct scsi_task *task)
{
	bool timeouts = task->cdb[2] & RCTD;

	if ((task->cdb[2] & 0x07) == OPTION_ALL) {
		return report_all(task, timeouts);
	}
	return report_one(task, timeouts);
}

/* ---- REPORT SUPPORTED TASK MANAGEMENT FUNCTIONS (SPC-4 6.36) ---- */

bool scsi_report_tmfs_prepare(struct scsi_task *task)
{
	uint32_t length = get_be32(task->cdb + 6);

	if (length < 4) {
		return scsi_refuse_cdb(task, 6, 7);
	}
	return scsi_prepare_in(task, length);
}

bool scsi_report_tmfs(struct scsi_task *task)
{
	/* ABORT TASK, ABORT TASK SET, CLEAR TASK SET, LOGICAL UNIT RESET,
	 * target resets: what RFC 7143 11.5.1 has. REPD adds timeouts that
	 * are not told. */
	uint8_t buf[16] = {0xda};
	size_t len = 4;

	if (task->nexus->protocol_level >= 2) {
		buf[0] |= 0x04; /* QUERY TASK (RFC 7144 6.3) */
		/* QUERY ASYNCHRONOUS EVENT, QUERY TASK SET, I_T NEXUS RESET */
		buf[1] = 0x07;
	}
	if (task->cdb[2] & 0x80) { /* REPD */
		buf[3] = 12;
		len = 16;
	}
	return scsi_data_in(task, buf, len);
}
