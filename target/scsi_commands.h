/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The functions behind the opcode table, by file. Each X_prepare sets a
 * task's direction and length, each X runs it; see struct scsi_opcode.
 */
#ifndef ISTM_TARGET_SCSI_COMMANDS_H
#define ISTM_TARGET_SCSI_COMMANDS_H

#include "target/scsi_priv.h"

/* scsi_inquiry.c */
bool scsi_inquiry_prepare(struct scsi_task *task);
bool scsi_inquiry(struct scsi_task *task);

/* scsi_spc.c */
bool scsi_test_unit_ready_prepare(struct scsi_task *task);
bool scsi_done(struct scsi_task *task);
bool scsi_request_sense_prepare(struct scsi_task *task);
bool scsi_request_sense(struct scsi_task *task);
bool scsi_report_luns_prepare(struct scsi_task *task);
bool scsi_report_luns(struct scsi_task *task);
/* Pages of scsi_space.c. */
size_t scsi_space_log_page(struct scsi_task *task, uint8_t *buf);
#define SCSI_SPACE_MODE_PAGE  24
#define SCSI_SPACE_DESCRIPTOR 16 /* in it, the threshold's */
enum scsi_space_page {
	SCSI_SPACE_CURRENT,
	SCSI_SPACE_CHANGEABLE,
	SCSI_SPACE_DEFAULT,
	SCSI_SPACE_SAVED,
};
size_t scsi_space_mode_page(struct scsi_lu *lu, uint8_t *buf,
			    enum scsi_space_page which);
/* A whole page of MODE SELECT's, whose first two bytes are right.
 * @return 0 with *@t (set: it differs from the current one), or the byte that
 * is wrong and its highest wrong @bit */
int scsi_space_parse_page(struct scsi_lu *lu, const uint8_t *page,
			  struct scsi_space_threshold *t, int *bit);
/* The unit's lock is held. */
void scsi_space_set_threshold(struct scsi_lu *lu,
			      const struct scsi_space_threshold *t);

/* scsi_selftest.c */
bool scsi_receive_diagnostic_prepare(struct scsi_task *task);
bool scsi_receive_diagnostic(struct scsi_task *task);
bool scsi_send_diagnostic_prepare(struct scsi_task *task);
bool scsi_send_diagnostic(struct scsi_task *task);
size_t scsi_selftest_log_page(struct scsi_task *task, uint8_t *buf);

/* scsi_ident.c */
bool scsi_report_ident_prepare(struct scsi_task *task);
bool scsi_report_ident(struct scsi_task *task);
bool scsi_set_ident_prepare(struct scsi_task *task);
bool scsi_set_ident(struct scsi_task *task);
bool scsi_report_timestamp_prepare(struct scsi_task *task);
bool scsi_report_timestamp(struct scsi_task *task);

/* scsi_log.c */
bool scsi_log_select_prepare(struct scsi_task *task);
bool scsi_log_select(struct scsi_task *task);
bool scsi_log_sense_prepare(struct scsi_task *task);
bool scsi_log_sense(struct scsi_task *task);
/* A log parameter's header (SPC-4 7.3.2.2). @return where its @len bytes go */
uint8_t *scsi_log_parameter(uint8_t *p, uint16_t code, uint8_t control,
			    uint8_t len);
/* Its control byte: TSD, where the value does not outlive the server; counters,
 * bounded or not, binary lists. */
#define SCSI_LOG_TSD	   0x20
#define SCSI_LOG_COUNTER   SCSI_LOG_TSD
#define SCSI_LOG_UNBOUNDED (SCSI_LOG_TSD | 0x02)
#define SCSI_LOG_LIST	   0x03

/* scsi_alua.c */
bool scsi_report_port_groups_prepare(struct scsi_task *task);
bool scsi_report_port_groups(struct scsi_task *task);
bool scsi_set_port_groups_prepare(struct scsi_task *task);
bool scsi_set_port_groups(struct scsi_task *task);

/* scsi_opcodes.c */
bool scsi_report_opcodes_prepare(struct scsi_task *task);
bool scsi_report_opcodes(struct scsi_task *task);
bool scsi_report_tmfs_prepare(struct scsi_task *task);
bool scsi_report_tmfs(struct scsi_task *task);

/* scsi_mode.c */
bool scsi_mode_sense_prepare(struct scsi_task *task);
bool scsi_mode_sense(struct scsi_task *task);
bool scsi_mode_select_prepare(struct scsi_task *task);
bool scsi_mode_select(struct scsi_task *task);

/* scsi_rw.c */
bool scsi_read_prepare(struct scsi_task *task);
bool scsi_read(struct scsi_task *task);
bool scsi_write_prepare(struct scsi_task *task);
bool scsi_write(struct scsi_task *task);

/* scsi_verify.c */
bool scsi_verify_prepare(struct scsi_task *task);
bool scsi_verify(struct scsi_task *task);
bool scsi_write_verify_prepare(struct scsi_task *task);
bool scsi_write_verify(struct scsi_task *task);
bool scsi_prefetch_prepare(struct scsi_task *task);
bool scsi_prefetch(struct scsi_task *task);

/* scsi_atomic.c */
bool scsi_compare_and_write_prepare(struct scsi_task *task);
bool scsi_compare_and_write(struct scsi_task *task);
bool scsi_orwrite_prepare(struct scsi_task *task);
bool scsi_orwrite(struct scsi_task *task);
bool scsi_write_atomic_prepare(struct scsi_task *task);
bool scsi_write_atomic(struct scsi_task *task);

/* scsi_provision.c */
bool scsi_write_same_prepare(struct scsi_task *task);
bool scsi_write_same(struct scsi_task *task);
bool scsi_unmap_prepare(struct scsi_task *task);
bool scsi_unmap(struct scsi_task *task);
bool scsi_get_lba_status_prepare(struct scsi_task *task);
bool scsi_get_lba_status(struct scsi_task *task);

/* scsi_copy.c */
bool scsi_copy_prepare(struct scsi_task *task);
bool scsi_extended_copy(struct scsi_task *task);

/* scsi_copy_status.c */
bool scsi_copy_status1_prepare(struct scsi_task *task);
bool scsi_copy_status1(struct scsi_task *task);
bool scsi_copy_failure(struct scsi_task *task);
bool scsi_copy_status4_prepare(struct scsi_task *task);
bool scsi_copy_status4(struct scsi_task *task);
bool scsi_token_information(struct scsi_task *task);
bool scsi_copy_abort(struct scsi_task *task);
bool scsi_copy_parameters_prepare(struct scsi_task *task);
bool scsi_copy_parameters(struct scsi_task *task);

/* scsi_odx.c */
bool scsi_populate_token(struct scsi_task *task);
bool scsi_write_using_token(struct scsi_task *task);
size_t scsi_vpd_third_party(struct scsi_task *task, uint8_t *buf);

/* scsi_sanitize.c */
#define SANITIZE_OVERWRITE 0x01
bool scsi_sanitize_prepare(struct scsi_task *task);
bool scsi_sanitize(struct scsi_task *task);
bool scsi_sanitize_exit(struct scsi_task *task);

/* scsi_format.c */
bool scsi_format_prepare(struct scsi_task *task);
bool scsi_format(struct scsi_task *task);

/* scsi_block.c */
bool scsi_read_capacity10_prepare(struct scsi_task *task);
bool scsi_read_capacity10(struct scsi_task *task);
bool scsi_read_capacity16_prepare(struct scsi_task *task);
bool scsi_read_capacity16(struct scsi_task *task);
bool scsi_synchronize_cache_prepare(struct scsi_task *task);
bool scsi_synchronize_cache(struct scsi_task *task);
bool scsi_start_stop_prepare(struct scsi_task *task);
bool scsi_start_stop(struct scsi_task *task);
bool scsi_read_defect10_prepare(struct scsi_task *task);
bool scsi_read_defect10(struct scsi_task *task);
bool scsi_read_defect12_prepare(struct scsi_task *task);
bool scsi_read_defect12(struct scsi_task *task);

/* scsi_reserve.c */
bool scsi_reserve(struct scsi_task *task);
bool scsi_release(struct scsi_task *task);
/* PERSISTENT RESERVE IN and OUT conflict with RESERVE whosever that was (SPC-2
 * 5.5.1). @return true: it is refused */
bool scsi_refuse_beside_reserve(struct scsi_task *task);

/* scsi_pr_in.c */
bool scsi_pr_in_prepare(struct scsi_task *task);
bool scsi_pr_read_keys(struct scsi_task *task);
bool scsi_pr_read_reservation(struct scsi_task *task);
bool scsi_pr_report_capabilities(struct scsi_task *task);
bool scsi_pr_read_full_status(struct scsi_task *task);

/* scsi_pr_out.c */
bool scsi_pr_out_prepare(struct scsi_task *task);
bool scsi_pr_out(struct scsi_task *task);

/*
 * Where a command's logical blocks are, whatever its CDB's size: the LBA and
 * the transfer length of READ, WRITE, VERIFY… (6), (10), (12) and (16).
 */
void scsi_cdb_range(const struct scsi_task *task, uint64_t *lba,
		    uint32_t *blocks);
/* Range against the capacity (LBA OUT OF RANGE, with the LBA) and against
 * @max bytes (invalid field); keeps it in the task's work, in bytes. */
bool scsi_check_range(struct scsi_task *task, uint64_t lba, uint64_t blocks,
		      uint64_t max);

/* Both, for all that is limited as READ and WRITE are. */
bool scsi_range_prepare(struct scsi_task *task);

#endif /* ISTM_TARGET_SCSI_COMMANDS_H */
