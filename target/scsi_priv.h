/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Inside the SCSI device server: what its files share. Not for the transport.
 */
#ifndef ISTM_TARGET_SCSI_PRIV_H
#define ISTM_TARGET_SCSI_PRIV_H

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#include "target/bytes.h"
#include "target/scsi.h"
#include "target/scsi_codes.h"

/* ---- limits ---- */

/* The largest logical block; a unit's own is scsi_lu.block. */
#define SCSI_MAX_BLOCK 4096u

/* Bytes; VPD page B0h tells them in blocks of the unit. */
#define SCSI_MAX_TRANSFER     (8u << 20) /* of a READ or WRITE */
#define SCSI_OPTIMAL_TRANSFER (1u << 20)
#define SCSI_OPTIMAL_GRANULE  4096u /* a page */
#define SCSI_MAX_COMPARE      VHD_CAW_MAX
#define SCSI_MAX_WRITE_SAME   ((32u << 20) - 4096u) /* of 16-bit lengths */
#define SCSI_MAX_UNMAP	      (512u << 20)	    /* of all descriptors */
/* Space is counted in pieces of 1 MiB. */
#define SCSI_THRESHOLD_SHIFT 20
#define SCSI_NO_MAX	     UINT64_MAX

#define SCSI_MAX_UNMAP_DESC    256u
#define SCSI_CHUNK	       262144u /* bytes of a command's work buffer */
#define SCSI_MAX_PARAMETER     65535u  /* bytes of any parameter list */
#define SCSI_MAX_REGISTRATIONS 1024u   /* per unit */

/* ---- opcodes ---- */

/*
 * How a command stands to reservations held by others (SPC-4 table 66, SBC-3
 * table 14): which of these rights of its nexus it needs.
 */
#define SCSI_NEEDS_READ	  0x1u /* conflicts with Exclusive Access */
#define SCSI_NEEDS_WRITE  0x2u /* conflicts with every reservation */
#define SCSI_NEEDS_LEGACY 0x4u /* conflicts with RESERVE(6) and (10) */

#define SCSI_OP_NO_LU  0x01u /* answered where no unit is mapped */
#define SCSI_OP_WLUN   0x02u /* answered by the REPORT LUNS well-known unit */
#define SCSI_OP_NO_UA  0x04u /* does not report unit attentions */
#define SCSI_OP_MEDIUM 0x08u /* needs a unit that is ready */
#define SCSI_OP_WRITES 0x10u /* refused by a write-protected unit */
/* Accepted through a target port in that state (SPC-4 5.16.2.4) */
#define SCSI_OP_STANDBY	    0x20u
#define SCSI_OP_UNAVAILABLE 0x100u
#define SCSI_OP_ATOMIC	    0x200u /* not of units with SCSI_LU_NO_ATOMIC */

/* What a command counts as, in two bits. */
enum scsi_count {
	SCSI_COUNT_OTHER,
	SCSI_COUNT_READS,
	SCSI_COUNT_WRITES,
	SCSI_COUNT_VERIFIES,
	SCSI_COUNTS
};
#define SCSI_OP_COUNT(kind) ((kind) << 6)
#define SCSI_OP_COUNTED(op) ((op)->flags >> 6 & 3)

#define SCSI_NO_ACTION (-1)

struct scsi_opcode {
	uint8_t opcode;
	uint8_t cdb_len;
	int8_t action;	/* service action in CDB byte 1, or SCSI_NO_ACTION */
	uint8_t needs;	/* SCSI_NEEDS_ */
	uint16_t flags; /* SCSI_OP_ */
	/* Bits of the CDB that may be set (SPC-4 6.35.3 CDB USAGE DATA), the
	 * opcode and the service action themselves left out. */
	uint8_t usage[16];
	/* Set direction and length; false: refused, sense is set. */
	bool (*prepare)(struct scsi_task *task);
	/* As scsi_task_execute(). */
	bool (*execute)(struct scsi_task *task);
	const char *name;
	const char *clause;
};

/* NULL when the opcode or the service action is not there; @known_opcode then
 * says which of the two. */
const struct scsi_opcode *scsi_opcode_find(const uint8_t *cdb,
					   bool *known_opcode);
/* The first bit of the CDB's 16 bytes that the usage map leaves out: byte * 8 +
 * bit; -1: none. */
int scsi_opcode_forbids(const struct scsi_opcode *op, const uint8_t *cdb);
/* The table, for REPORT SUPPORTED OPERATION CODES and docs/conformance.md. */
const struct scsi_opcode *scsi_opcode_table(size_t *count);

/* ---- unit attentions ---- */

/* By rising precedence of being told first: the lowest bit goes first. */
enum scsi_ua {
	SCSI_UA_POWER_ON,
	SCSI_UA_RESET,
	SCSI_UA_NEXUS_LOSS,
	SCSI_UA_LUNS_CHANGED,
	SCSI_UA_CAPACITY,
	SCSI_UA_MODE_CHANGED,
	SCSI_UA_LOG_CHANGED,
	SCSI_UA_RES_PREEMPTED,
	SCSI_UA_RES_RELEASED,
	SCSI_UA_REG_PREEMPTED,
	SCSI_UA_ACCESS_STATE,
	SCSI_UA_INQUIRY_CHANGED,
	SCSI_UA_IDENT_CHANGED,
	SCSI_UA_COMMANDS_CLEARED,
	SCSI_UA_ISCSI_EVENT,
	SCSI_UA_THRESHOLD,
	SCSI_UA_NUM
};

struct scsi_itl;
uint16_t scsi_ua_asc(enum scsi_ua ua);
/* What goes with it: which threshold has been reached (SBC-3 4.7.3.7.5), by the
 * offset of its descriptor in the mode page. */
struct scsi_sense;
void scsi_ua_information(enum scsi_ua ua, struct scsi_sense *sense);
void scsi_ua_raise(struct scsi_itl *itl, enum scsi_ua ua);
/* Take the next one; false when there is none. */
bool scsi_ua_take(struct scsi_itl *itl, enum scsi_ua *ua);
/* REPORTED LUNS DATA HAS CHANGED is known to the nexus now: it is pending on
 * none of its units any more. On its lane. */
void scsi_ua_luns_told(const struct scsi_nexus *nexus);
/* On all nexuses of a unit but @except. Caller holds the unit's lock. */
void scsi_ua_raise_others(struct scsi_lu *lu, const struct scsi_itl *except,
			  enum scsi_ua ua);

/* ---- logical units and nexuses ---- */

/* A nexus's view of one unit: what SAM-5 calls the I_T_L nexus. */
struct scsi_itl {
	struct scsi_nexus *nexus;
	struct scsi_lu *lu;
	uint16_t lun;
	atomic_uint ua; /* bit per enum scsi_ua */
	/* SCSI_NEEDS_ that reservations take away, SCSI_DENIED_ by the state
	 * of the target port */
	atomic_uint denied;
	/* By enum scsi_count: what began. Only the nexus's lane writes. */
	_Atomic uint64_t commands[SCSI_COUNTS], bytes[SCSI_COUNTS];
	struct scsi_itl *prev, *next; /* the unit's, under its lock */
};

#define SCSI_DENIED_STANDBY	0x10u
#define SCSI_DENIED_UNAVAILABLE 0x20u
#define SCSI_DENIED_ACCESS	(SCSI_DENIED_STANDBY | SCSI_DENIED_UNAVAILABLE)

/* A target port group as one unit has it (SPC-4 5.16.2). */
struct scsi_port_group {
	uint16_t number;    /* and its port's */
	uint8_t configured; /* enum scsi_access */
	uint8_t state;	    /* the same, as it is now */
	uint8_t status;	    /* STATUS CODE: by whom it came to be so */
};

/* Bits of scsi_lu.state */
#define SCSI_LU_ENABLED		0x1u
#define SCSI_LU_STOPPED		0x2u /* START STOP UNIT */
#define SCSI_LU_FORMATTING	0x4u
#define SCSI_LU_TOKENS		0x8u  /* ROD tokens stand for blocks of it */
#define SCSI_LU_RETIRED		0x10u /* it is about to go */
#define SCSI_LU_SANITIZING	0x20u
#define SCSI_LU_SANITIZE_FAILED 0x40u
#define SCSI_LU_TESTING		0x2000u /* a self-test in the foreground */
#define SCSI_LU_SPACE_LOW	0x1000u /* scsi_space.c */
#define SCSI_LU_NO_ATOMIC	0x4000u /* its volume has no atomic writes */
/* …and the mode parameters that can be changed */
#define SCSI_LU_WCE	0x100u
#define SCSI_LU_SWP	0x200u
#define SCSI_LU_D_SENSE 0x400u
#define SCSI_LU_TAS	0x800u
#define SCSI_LU_MODES                                                          \
	(SCSI_LU_WCE | SCSI_LU_SWP | SCSI_LU_D_SENSE | SCSI_LU_TAS)
#define SCSI_LU_DEFAULTS SCSI_LU_WCE

struct scsi_registration {
	struct scsi_registration *next;
	uint64_t key;
	char *initiator; /* iSCSI name */
	uint8_t isid[6];
	bool any_isid; /* registered by a TransportID without ISID */
	char *target;
	uint16_t port; /* relative target port identifier */
};

/* Persistent reservation of a unit (SPC-4 5.13), under the unit's lock. */
struct scsi_pr {
	uint32_t generation;
	bool aptpl;
	uint8_t type;			  /* 0: nothing reserved */
	struct scsi_registration *holder; /* not for all-registrants types */
	struct scsi_registration *registrations; /* in order of arrival */
	unsigned count;
};

/* What log pages count (scsi_log.c). */
struct scsi_totals {
	uint64_t commands[SCSI_COUNTS], bytes[SCSI_COUNTS], errors[SCSI_COUNTS];
};

struct scsi_selftest_result {
	bool used;
	uint8_t code, result, key;
	uint16_t asc, hours;
	uint64_t lba;
};

/* Identifying information (SPC-4 table 60), kept through a power loss. */
#define SCSI_IDENT_MAX	    64
#define SCSI_IDENT_TEXT_MAX 256
struct scsi_ident {
	uint16_t len;
	uint8_t data[SCSI_IDENT_TEXT_MAX];
};

#define SCSI_SELFTESTS 20 /* that log page 10h tells of */

/* As the logical block provisioning mode page has it. */
struct scsi_space_threshold {
	bool set;	/* by an initiator; else it is the configured one */
	bool enabled;	/* notification by unit attention */
	uint32_t count; /* of available sets, 1 MiB each */
};

struct scsi_lu {
	struct scsi_lu_config config;
	uint8_t naa[16];
	uint32_t block; /* bytes of a logical block, as the disk's sectors */
	unsigned shift; /* its logarithm */
	atomic_uint state;
	atomic_uint progress;	  /* of formatting or sanitizing, of 65536 */
	atomic_bool flush_failed; /* one in the background */
	atomic_uint selftest;	  /* which one is under way; 0: none */
	_Atomic uint64_t errors[SCSI_COUNTS];
	int64_t since; /* when it appeared, CLOCK_MONOTONIC, seconds */
	pthread_mutex_t lock;
	/* under lock: */
	struct scsi_itl *itls;
	struct scsi_itl *reserved_by; /* RESERVE(6), RESERVE(10) */
	struct scsi_pr pr;
	struct scsi_port_group groups[SCSI_MAX_PORTS]; /* ascending */
	unsigned num_groups;
	scsi_store_fn store;
	void *store_private;
	struct scsi_totals gone; /* what nexuses that are no more counted */
	struct scsi_totals errors_base, statistics_base;       /* LOG SELECT */
	struct scsi_selftest_result selftests[SCSI_SELFTESTS]; /* newest first
								*/
	struct scsi_ident ident, ident_text;
	unsigned defaults;	/* modes; constant */
	unsigned saved;		/* mode parameters, SCSI_LU_MODES */
	struct vhd_space space; /* scsi_space.c */
	bool space_known;
	struct scsi_space_threshold threshold, saved_threshold;
	/* A SANITIZE that began and has not ended well. */
	enum {
		SANITIZE_NONE,
		SANITIZE_MAY_EXIT, /* failure mode can be left */
		SANITIZE_MUST_REPEAT,
	} sanitize;
};

struct scsi_copy_op;

struct scsi_nexus {
	char *initiator_name;
	char *target_name;
	uint8_t isid[6];
	uint16_t port;
	uint8_t protocol_level;
	bool (*abort_nexuses)(struct scsi_nexus_set *set, struct scsi_lu *lu,
			      struct scsi_task *by, void *private_data);
	bool (*clear_medium)(struct scsi_task *by, void *private_data);
	struct scsi_task *(*background)(struct scsi_nexus *nexus,
					const struct scsi_task *task, bool only,
					void *private_data);
	void *private_data;
	/* Changed on the lane with the lock held: the lane itself reads
	 * without it, others take it. */
	pthread_mutex_t lock;
	struct scsi_itl **itls; /* ascending by LUN */
	unsigned count;
	/* The lane's own. */
	struct scsi_copy_op *copies; /* that can be asked about */
};

void scsi_copy_ops_free(struct scsi_nexus *nexus);

/* Tokens for these bytes of a unit, for all of it, are revoked. */
void scsi_tokens_written(struct scsi_lu *lu, uint64_t offset, uint64_t length);
void scsi_tokens_revoke(struct scsi_lu *lu);

struct scsi_itl *scsi_nexus_itl(const struct scsi_nexus *nexus, uint16_t lun);

enum scsi_lun_kind {
	SCSI_LUN_UNIT,	      /* addresses a unit, mapped or not */
	SCSI_LUN_REPORT_LUNS, /* the well-known one, C101h */
	SCSI_LUN_BAD,	      /* nothing this device could have */
};

enum scsi_lun_kind scsi_lun_parse(const uint8_t lun[8], uint16_t *number);
void scsi_lun_format(uint16_t number, uint8_t lun[8]);

static inline uint64_t scsi_lu_blocks(const struct scsi_lu *lu)
{
	return vhd_disk_size(lu->config.disk) >> lu->shift;
}

/* LOGICAL BLOCKS PER PHYSICAL BLOCK EXPONENT (SBC-3 5.16.2) */
uint8_t scsi_lu_physical_exponent(const struct scsi_lu *lu);

/* Does the data at hand end with a whole block? */
static inline bool scsi_whole_blocks(const struct scsi_task *task)
{
	return (task->data_len & (task->lu->block - 1)) == 0;
}

static inline bool scsi_lu_is(const struct scsi_lu *lu, unsigned bits)
{
	return (atomic_load_explicit(&((struct scsi_lu *)lu)->state,
				     memory_order_relaxed) &
		bits) == bits;
}

/* Does the unit have the command? Not all can have those of the table. */
static inline bool scsi_lu_has(const struct scsi_lu *lu,
			       const struct scsi_opcode *op)
{
	return !(op->flags & SCSI_OP_ATOMIC) ||
	       !scsi_lu_is(lu, SCSI_LU_NO_ATOMIC);
}

/* A WRITE ATOMIC has shown that it has that no more: initiators are told. */
void scsi_lu_lost_atomic(struct scsi_lu *lu);

/* ---- a task's own state, in scsi_task.scratch ---- */

struct scsi_work {
	bool (*step)(struct scsi_task *task);
	bool (*then)(struct scsi_task *task); /* when the waiting is over */
	uint64_t offset;		      /* on the disk, bytes */
	uint64_t pos;			      /* bytes done */
	uint64_t total;			      /* bytes to do */
	uint8_t *buf; /* malloc'ed, freed when the task ends */
	uint32_t buf_len;
	uint32_t chunk; /* bytes of the request under way */
	uint32_t burst; /* bytes done without giving up the lane */
	uint32_t index;
	uint8_t phase;
	uint8_t kind; /* enum scsi_lun_kind */
	uint16_t lun;
	struct iovec iov[2];
};

_Static_assert(sizeof(struct scsi_work) <=
		       sizeof(((struct scsi_task *)0)->scratch),
	       "scsi_task.scratch holds a struct scsi_work");

static inline struct scsi_work *scsi_work(struct scsi_task *task)
{
	return (struct scsi_work *)task->scratch;
}

/* The target ports through which the nexus's target is there, by relative
 * target port identifier, ascending. @return how many */
unsigned scsi_target_ports(const struct scsi_nexus *nexus,
			   uint16_t ports[SCSI_MAX_PORTS]);

/* The task's nexus on its unit, looked up anew: the map may have changed while
 * data came in. NULL: sense is set. */
struct scsi_itl *scsi_task_itl(struct scsi_task *task);

/* Run a command of several steps: @step submits with scsi_submit() and
 * returns false while a request is under way, true at the end. */
bool scsi_run(struct scsi_task *task, bool (*step)(struct scsi_task *task));
/* true: done at once, task->req.error says how. */
bool scsi_submit(struct scsi_task *task, enum vhd_op op, uint32_t flags,
		 uint64_t offset, uint64_t length, struct iovec *iov,
		 int iovcnt);
bool scsi_submit_lu(struct scsi_task *task, struct scsi_lu *lu, enum vhd_op op,
		    uint32_t flags, uint64_t offset, uint64_t length,
		    struct iovec *iov, int iovcnt);
/* Empty the volatile cache, then go on with @step. As scsi_opcode.execute. */
bool scsi_flush(struct scsi_task *task, bool (*step)(struct scsi_task *task));
/*
 * Work that goes on after the command's status: a task of its own, with the
 * unit, the CDB and the work (buffer included) of @task, which keeps none.
 * NULL: there is no such thing here, or there are too many and it is not the
 * @only one of its kind that its unit can have; do it in the foreground.
 */
struct scsi_task *scsi_background(struct scsi_task *task, bool only);
/*
 * For what erases the whole medium: the unit gets @state, SCSI_LU_FORMATTING or
 * SCSI_LU_SANITIZING, and is not ready any more. Commands and copies at work on
 * it end, then @then goes on, whose rules are those of scsi_opcode.execute.
 * @return false: refused, the status is set; true: scsi_wait() for them
 */
bool scsi_clear_medium(struct scsi_task *task, unsigned state,
		       bool (*then)(struct scsi_task *task));
/* Go on with scsi_work.then when there is nothing to wait for (any more). As
 * scsi_opcode.execute. */
bool scsi_wait(struct scsi_task *task);
/* Start it, with scsi_run()'s rules. */
void scsi_run_background(struct scsi_task *bg,
			 bool (*step)(struct scsi_task *task));
/* For messages. */
const char *scsi_task_initiator(const struct scsi_task *task);

/* A work buffer; false: none to be had, status is BUSY. */
bool scsi_task_buffer(struct scsi_task *task, size_t size);

/* Copy between a task's iovec and flat memory; returns the bytes copied. */
size_t scsi_iov_read(const struct scsi_task *task, size_t offset, void *to,
		     size_t len);
size_t scsi_iov_write(struct scsi_task *task, size_t offset, const void *from,
		      size_t len);

/* Answer with data, cut to the allocation length; returns true. */
bool scsi_data_in(struct scsi_task *task, const void *data, size_t len);
/* The parameter list, flat, in the work buffer: min(length, data_len) bytes.
 * NULL: status is set. */
const uint8_t *scsi_parameters(struct scsi_task *task, size_t *len);

/* The direction and length of most commands. */
bool scsi_prepare_none(struct scsi_task *task);
bool scsi_prepare_in(struct scsi_task *task, uint32_t allocation_length);
bool scsi_prepare_out(struct scsi_task *task, uint32_t length);
/* The same of a parameter list, for scsi_parameters(). */
bool scsi_prepare_list(struct scsi_task *task, uint32_t length);

/* ---- sense (SPC-4 4.5) ---- */

struct scsi_sense {
	uint8_t key;
	uint16_t asc; /* ASC << 8 | ASCQ */
	bool info_valid;
	uint64_t info;
	/* sense-key specific: field pointer */
	bool field_valid, in_cdb;
	int8_t bit; /* -1: none */
	uint16_t field;
	/* sense-key specific: progress indication, of 65536 */
	bool progress_valid;
	uint16_t progress;
	bool command_valid;
	uint32_t command; /* command specific information */
};

/* @return length; @buf has SCSI_SENSE_MAX bytes */
uint8_t scsi_sense_build(uint8_t *buf, bool descriptor,
			 const struct scsi_sense *sense);
void scsi_set_sense(struct scsi_task *task, const struct scsi_sense *sense);

/* For prepare functions: CHECK CONDITION, return false. */
bool scsi_refuse(struct scsi_task *task, uint8_t key, uint16_t asc);
bool scsi_refuse_with(struct scsi_task *task, const struct scsi_sense *sense);
/* LOGICAL BLOCK ADDRESS OUT OF RANGE for a range that begins at @lba, with the
 * first address of it that is out of range. */
bool scsi_refuse_lba(struct scsi_task *task, uint64_t lba);
/* INVALID FIELD IN CDB, pointing at it. */
bool scsi_refuse_cdb(struct scsi_task *task, uint16_t byte, int bit);
/* For execute functions: CHECK CONDITION, return true. */
bool scsi_fail(struct scsi_task *task, uint8_t key, uint16_t asc);
/* INVALID FIELD IN PARAMETER LIST, pointing at it. */
bool scsi_fail_parameter(struct scsi_task *task, uint16_t byte, int bit);
/* What a failed block request means (task->req); returns true. */
bool scsi_fail_io(struct scsi_task *task);
bool scsi_good(struct scsi_task *task);
bool scsi_good_with(struct scsi_task *task, const struct scsi_sense *sense);

void scsi_log(int level, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* ---- commands of one request; inline for the hot path ---- */

/* The data to write that is there, to work->total. False: the command ends
 * here, for there is none, or not in whole blocks. RFC 7143 11.4.5 leaves that
 * to us: nobody wants a part of a block written. */
static inline bool scsi_take_blocks(struct scsi_task *task)
{
	if (task->data_len > task->length) {
		task->data_len = task->length;
	}
	if (!scsi_whole_blocks(task)) {
		return scsi_refuse(task, SENSE_ILLEGAL_REQUEST,
				   ASC_INVALID_FIELD_IN_IU);
	}
	scsi_work(task)->total = task->data_len;
	if (task->data_len == 0) {
		scsi_good(task);
	}
	return task->data_len != 0;
}

/* Have @length bytes from work->offset on read into the task's data, or written
 * from there, then go on with @step. As scsi_opcode.execute. */
static inline bool scsi_submit_data(struct scsi_task *task, enum vhd_op op,
				    uint32_t flags, uint64_t length,
				    bool (*step)(struct scsi_task *task))
{
	struct scsi_work *work = scsi_work(task);

	work->step = step;
	return scsi_submit(task, op, flags, work->offset, length, task->iov,
			   task->iovcnt) &&
	       step(task);
}

/* The last step. */
static inline bool scsi_finished(struct scsi_task *task)
{
	return task->req.error != 0 ? scsi_fail_io(task) : scsi_good(task);
}

/* ---- readiness ---- */

/* 0, or ASC and ASCQ of why it is not. */
uint16_t scsi_lu_not_ready(const struct scsi_lu *lu);
/* Has the unit been disabled, or is it about to go? */
bool scsi_lu_leaves(const struct scsi_lu *lu);
/* The whole sense data of that. */
void scsi_not_ready_sense(const struct scsi_lu *lu, struct scsi_sense *sense);
/* NOT READY, with how far what goes on is (SPC-4 4.5.2.4.4). */
void scsi_sense_of_progress(const struct scsi_lu *lu, uint16_t asc,
			    struct scsi_sense *sense);
bool scsi_refuse_not_ready(struct scsi_task *task);
/* How far formatting or sanitizing is; bytes. */
void scsi_lu_set_progress(struct scsi_lu *lu, uint64_t done, uint64_t total);

/* ---- counters, self-tests (scsi_log.c, scsi_selftest.c) ---- */

static inline void scsi_count_up(_Atomic uint64_t *counter, uint64_t n)
{
	atomic_store_explicit(
		counter,
		atomic_load_explicit(counter, memory_order_relaxed) + n,
		memory_order_relaxed);
}

/* An error of the unit, not of the command. */
void scsi_count_error(struct scsi_task *task);
/* The nexus's view goes; caller holds the unit's lock. */
void scsi_count_gone(const struct scsi_itl *itl);
/* Something else ends a self-test that is under way. */
void scsi_selftest_interrupt(struct scsi_lu *lu);
/* How long an extended one is likely to take. */
uint64_t scsi_selftest_seconds(const struct scsi_lu *lu);

/* ---- what outlives a power loss (scsi_store.c) ---- */

/*
 * Have the store keep the unit's state as it is now; caller holds the unit's
 * lock. @return false: the status waits for the store (task->waits was
 * counted up); true: it is kept, or sense is set.
 */
bool scsi_keep(struct scsi_task *task);
/* Nobody waits. */
void scsi_keep_later(struct scsi_lu *lu);

/* ---- asymmetric access (scsi_alua.c) ---- */

/* The group of a port, NULL: there is none. Caller holds the unit's lock. */
struct scsi_port_group *scsi_port_group_find(struct scsi_lu *lu, uint16_t port);
/* A nexus comes through this port. Caller holds the unit's lock. */
void scsi_port_group_enter(struct scsi_lu *lu, uint16_t port);
/* What the state of the nexus's port denies, SCSI_DENIED_. Caller holds the
 * unit's lock. */
unsigned scsi_access_denied(struct scsi_lu *lu, const struct scsi_itl *itl);
/* ASC and ASCQ of why, for @denied that has such a bit. */
uint16_t scsi_access_asc(unsigned denied);

/* ---- persistent reservations ---- */

/* A nexus appears on, leaves a unit. Caller holds the unit's lock. */
void scsi_pr_attach(struct scsi_itl *itl);
void scsi_pr_detach(struct scsi_itl *itl);
/* Recompute every nexus's denied rights. Caller holds the unit's lock. */
void scsi_pr_refresh(struct scsi_lu *lu);
struct scsi_registration *scsi_pr_find(const struct scsi_lu *lu,
				       const struct scsi_itl *itl);
void scsi_pr_free(struct scsi_lu *lu);

static inline bool scsi_pr_all_registrants(uint8_t type)
{
	return type == 7 || type == 8;
}

static inline bool scsi_pr_registrants(uint8_t type)
{
	return type >= 5 && type <= 8;
}

#endif /* ISTM_TARGET_SCSI_PRIV_H */
