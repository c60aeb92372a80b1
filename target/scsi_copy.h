/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Third-party copies (SPC-4 5.17): what their commands share.
 *
 * A copy is a list of segments, checked whole before any block moves; the
 * engine (scsi_copy_run.c) carries it out for EXTENDED COPY and WRITE USING
 * TOKEN alike. What becomes of it is noted in an operation (scsi_copy_status.c)
 * that its nexus can ask about. Tokens are in scsi_token.c.
 */
#ifndef ISTM_TARGET_SCSI_COPY_H
#define ISTM_TARGET_SCSI_COPY_H

#include "target/scsi_commands.h"

#define COPY_MAX_SEGMENTS     16   /* of an EXTENDED COPY */
#define COPY_MAX_LIST	      1024 /* bytes of its descriptor lists */
#define COPY_SEGMENT_BLOCKS   65535u
#define COPY_MAX_RANGES	      64u	   /* of a token command */
#define COPY_MAX_TOKEN_BYTES  (256u << 20) /* done within seconds */
#define COPY_BEST_TOKEN_BYTES (64u << 20)
#define COPY_MAX_TIMEOUT      3600u /* of a token, seconds */
#define COPY_TIMEOUT	      300u
#define COPY_HELD	      32u  /* operations that a nexus may ask about */
#define COPY_CSCD_TYPE	      0xe4 /* identification descriptor */
#define COPY_SEGMENT_TYPE     0x02 /* block to block */

/* Service actions of 83h, which answers name. */
#define COPY_LID1	    0x00
#define COPY_LID4	    0x01
#define COPY_POPULATE_TOKEN 0x10
#define COPY_WRITE_TOKEN    0x11

#define ROD_TOKEN_LEN 512

/* ROD types: SPC-4's point in time copies (the default one, change vulnerable,
 * any), SBC-3's zeroes */
#define ROD_TYPE_PIT_DEFAULT 0x00800000u
#define ROD_TYPE_PIT	     0x00800001u
#define ROD_TYPE_PIT_ANY     0x0080ffffu
#define ROD_TYPE_ZERO	     0xffff0001u

/* ---- operations (scsi_copy_status.c) ---- */

/* COPY OPERATION STATUS (SPC-4 6.24) */
#define COPY_STATUS_GOOD       0x01
#define COPY_STATUS_ERROR      0x02
#define COPY_STATUS_PARTIAL    0x03
#define COPY_STATUS_FOREGROUND 0x11
#define COPY_STATUS_BACKGROUND 0x12
#define COPY_STATUS_TERMINATED 0x60

/* Its nexus's and, while it runs, its task's; both on the nexus's lane. */
struct scsi_copy_op {
	struct scsi_copy_op *next; /* the nexus's, latest first */
	unsigned refs;
	uint32_t list_id;
	uint8_t action;
	uint8_t status;
	bool abort;		  /* COPY OPERATION ABORT asks for it: */
	struct scsi_task *aborts; /* these, and wait for its end */
	uint16_t segments;
	unsigned shift; /* logarithm of the block length it is told in */
	uint64_t bytes; /* copied */
	uint8_t scsi_status;
	uint8_t sense_len;
	uint8_t sense[SCSI_SENSE_MAX];
	uint8_t *token; /* ROD_TOKEN_LEN bytes, or NULL */
};

/* A new one that the nexus can ask about, in place of one that has ended with
 * the same identifier. NULL: sense is set (that one still runs), or BUSY. */
struct scsi_copy_op *scsi_copy_op_new(struct scsi_task *task, uint32_t list_id);
/* Nobody is to ask about it. */
struct scsi_copy_op *scsi_copy_op_unheld(struct scsi_task *task);
/* It has ended as @task has. */
void scsi_copy_op_end(struct scsi_copy_op *op, const struct scsi_task *task,
		      uint8_t status);
void scsi_copy_op_unref(struct scsi_copy_op *op);

/* ---- tokens (scsi_token.c) ---- */

struct scsi_range {
	uint64_t lba;
	uint32_t blocks;
};

/* Does it share blocks with those from @lba on? */
static inline bool scsi_range_meets(const struct scsi_range *range,
				    uint64_t lba, uint64_t blocks)
{
	return range->lba < lba + blocks && lba < range->lba + range->blocks;
}

/* What a token stands for, as looked up. */
struct scsi_token_data {
	uint64_t id; /* 0: zeroes without end */
	struct scsi_lu *lu;
	unsigned count;
	uint64_t bytes;
	struct scsi_range range[COPY_MAX_RANGES];
};

/*
 * A token for these ranges of @lu, of the target of that name, as they are now.
 * @return 0, or ASC and ASCQ of ILLEGAL REQUEST
 */
uint16_t scsi_token_create(struct scsi_lu *lu, const char *target_name,
			   const struct scsi_range *range, unsigned count,
			   uint32_t timeout, uint8_t token[ROD_TOKEN_LEN]);
/* The same. Its unit stays while @task is known to use it: scsi_task.copy_lu
 * is set here. */
uint16_t scsi_token_find(const uint8_t token[ROD_TOKEN_LEN],
			 struct scsi_task *task, struct scsi_token_data *data);
/* Nothing has changed what it stands for? */
bool scsi_token_valid(uint64_t id);
void scsi_token_delete(uint64_t id);

/* ---- the engine (scsi_copy_run.c) ---- */

#define COPY_ZEROES 0xff /* segment.from: there is no source */

/*
 * Bytes that lie together on both sides. Where the units' blocks are not of the
 * same length, these need not be whole blocks; all that goes into one block of
 * the destination is then in segments of the same copy.
 */
struct scsi_copy_segment {
	uint8_t from, to; /* of copy.lu */
	uint8_t number;	  /* of the descriptor that asked for it */
	uint64_t length;
	uint64_t from_at, to_at;
};

#define COPY_PLAN_MAX (2 * COPY_MAX_RANGES + 1)

/* A task's work buffer. */
struct scsi_copy {
	struct scsi_lu *lu[SCSI_COPY_UNITS];
	struct scsi_itl *itl[SCSI_COPY_UNITS]; /* while the list is checked */
	struct {
		bool pad, bad_block;
	} target[SCSI_COPY_UNITS]; /* the same */
	unsigned targets, segments, descriptors;
	struct scsi_copy_segment segment[COPY_PLAN_MAX];
	struct scsi_copy_op *op;
	uint64_t token; /* whose data it is, 0: none's */
	bool delete_token;
	uint8_t good;	  /* status where all went well */
	bool good_sense;  /* and sense data, where it is GOOD */
	uint64_t by_hand; /* bytes that the engine below could not copy */
	uint8_t *data;	  /* a chunk, where by hand */
	uint64_t copied;  /* bytes */
};

/* What a copy takes of memory, with the list that it was made from. */
uint32_t scsi_copy_allocates(void);
/* Room for one in the task's work; false: BUSY. */
struct scsi_copy *scsi_copy_new(struct scsi_task *task);
/*
 * Carry it out; as scsi_opcode.execute. @immediate: GOOD at once, and go on
 * without the task.
 */
bool scsi_copy_run(struct scsi_task *task, bool immediate);

#endif /* ISTM_TARGET_SCSI_COPY_H */
