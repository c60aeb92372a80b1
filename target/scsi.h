/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The seam between the iSCSI transport (target/) and the SCSI device server
 * (SPC-4, SBC-3): logical units, I_T nexuses and tasks.
 *
 * Threads: tasks run on the lane of their connection. A logical unit is shared
 * by lanes: what the hot path reads is atomic or an immutable snapshot; what
 * changes rarely (reservations, unit attentions, mode pages) is behind the
 * unit's lock, never held across I/O.
 */
#ifndef ISTM_TARGET_SCSI_H
#define ISTM_TARGET_SCSI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>
#include <talloc.h>

#include "target/scsi_access.h"
#include "vhd/vhd.h"

#define SCSI_CDB_MAX   64
#define SCSI_SENSE_MAX 96

struct scsi_lu;
struct scsi_nexus;
struct scsi_opcode;

/* Space of a volume is low when less is available than so many bytes, or, if
 * percent is not 0, than that part of its size. Both 0: never. */
struct scsi_threshold {
	uint64_t bytes;
	unsigned percent; /* up to 100 */
};

/* Identity and geometry of a logical unit; copied by scsi_lu_create(). */
struct scsi_lu_config {
	uint8_t guid[16]; /* stable identity, NAA and serial come from it */
	char serial[33];  /* VPD 80h, ASCII */
	char vendor[9];	  /* INQUIRY, blank padded by the code */
	char product[17];
	char revision[5];
	uint32_t index;	    /* ISTM disk index, for logs */
	bool enabled;	    /* disabled: NOT READY */
	bool write_through; /* WCE is 0 unless an initiator sets it */
	char volume[32];    /* what the disk's space is of, for logs */
	struct scsi_threshold threshold; /* unless an initiator sets one */
	struct vhd_disk *disk; /* stays the caller's; outlives the unit */
};

/* Main thread. The transport sees to it that nobody uses the unit any more when
 * it is freed. @return NULL: out of memory */
struct scsi_lu *scsi_lu_create(const struct scsi_lu_config *config);
void scsi_lu_free(struct scsi_lu *lu);

/* Where the device server reports what went wrong (level as Samba's: 0 error
 * … 10 everything). Any thread calls it. Set once, before the first unit. */
void scsi_set_log(void (*log)(int level, const char *message));

/* The NAA designator (8 or 16 bytes) that VPD 83h answers. Any thread. */
size_t scsi_lu_naa(const struct scsi_lu *lu, uint8_t naa[16]);

/*
 * Where a unit keeps what has to outlive a power loss: registrations and
 * reservation where APTPL asks for it (SPC-4 5.13.5.1), saved mode pages (SPC-4
 * 6.11), identifying information (5.6), a SANITIZE under way (SBC-3 4.11).
 * @state is all of it, opaque, valid during the call only; len 0: there
 * is nothing to keep. Called on a lane with the unit's lock held.
 * @task NULL: nobody waits.
 * @return 0 when it is on stable storage; EINPROGRESS when scsi_stored() on
 *         @task's lane will tell: the command's status waits for that; else
 *         the errno. Without a store, APTPL and saving are not offered.
 */
struct scsi_task;
typedef int (*scsi_store_fn)(struct scsi_lu *lu, struct scsi_task *task,
			     const void *state, size_t len, void *private_data);
/* Before the first nexus. */
void scsi_lu_set_store(struct scsi_lu *lu, scsi_store_fn store,
		       void *private_data);
/* @error errno of the store, or 0. */
void scsi_stored(struct scsi_task *task, int error);
/* Before the first nexus: what the store kept. 0 or EINVAL. */
int scsi_lu_restore(struct scsi_lu *lu, const void *state, size_t len);

/* On the lane of @by, once for each abort_nexuses() and clear_medium() that
 * returned true. */
void scsi_tasks_aborted(struct scsi_task *by);

/* Main thread: the unit will be freed when nobody uses it any more; before
 * that is asked. Tokens for it are revoked. */
void scsi_lu_retire(struct scsi_lu *lu);

/* Main thread: the capacity or the enabled state has changed; raises the
 * unit attentions (CAPACITY DATA HAS CHANGED, …) that go with it. */
void scsi_lu_capacity_changed(struct scsi_lu *lu);
void scsi_lu_set_enabled(struct scsi_lu *lu, bool enabled);

/*
 * Main thread: the unit is reached so through a target port group, which has
 * one port of the same number. Groups are there from the first call on, or from
 * the first nexus through them, active/optimized. A call that changes what an
 * earlier one has said takes back what initiators have set for any group since
 * (SET TARGET PORT GROUPS); what is UNAVAILABLE they cannot change. @return 0,
 * EINVAL, or ENOSPC: SCSI_MAX_PORTS
 */
int scsi_lu_set_access(struct scsi_lu *lu, uint16_t group,
		       enum scsi_access access);

/* Any thread, now and then: how much space there is. Where it is low for the
 * data of a unit that does not have all of its own, THIN PROVISIONING SOFT
 * THRESHOLD REACHED is raised when that begins, and logged. @return is it */
bool scsi_lu_set_space(struct scsi_lu *lu, const struct vhd_space *space);

/* LUN map of a target, an immutable snapshot shared by its sessions. */
#define SCSI_MAX_LUN 16383
struct scsi_lun_map {
	uint32_t count;
	struct {
		uint16_t lun;
		struct scsi_lu *lu;
	} entry[]; /* ascending by lun */
};

/* Who an I_T nexus is, whether it is there or not. */
struct scsi_nexus_name {
	char initiator[224]; /* iSCSI names */
	char target[224];
	uint8_t isid[6];
	uint16_t port; /* relative target port identifier */
};

/* Some of them, whether they are there or not; does not change. Any thread. */
struct scsi_nexus_set;
bool scsi_nexus_set_has(const struct scsi_nexus_set *set,
			const struct scsi_nexus *nexus);
bool scsi_nexus_set_names(const struct scsi_nexus_set *set,
			  const struct scsi_nexus_name *name);
void scsi_nexus_set_free(struct scsi_nexus_set *set);

/* One I_T nexus: made by the transport at login, used on the session's
 * lane(s) only, except for unit attentions, which anyone may raise. */
struct scsi_nexus_config {
	const char *initiator_name; /* iqn… */
	uint8_t isid[6];
	const char *target_name;
	uint16_t portal_group;	/* relative target port identifier, not 0 */
	uint8_t protocol_level; /* iSCSIProtocolLevel (RFC 7144 4.2) */
	/* PREEMPT AND ABORT (SPC-4 5.13.11.2.6): abort what those of @set have
	 * on @lu, their tasks other than @by, and their copies, these also when
	 * they are not there any more. For @by, a task of this nexus, with the
	 * unit's lock held: post to all lanes and return. True: @set is the
	 * transport's, and scsi_tasks_aborted() will be called when all has
	 * ended; false: out of memory, nothing is aborted. May be NULL. */
	bool (*abort_nexuses)(struct scsi_nexus_set *set, struct scsi_lu *lu,
			      struct scsi_task *by, void *private_data);
	/* @by, a task of this nexus, is about to erase its unit, which is not
	 * ready any more: end copies that use the unit and commands that have
	 * not reached it (scsi_task_uses_medium()). Post to all lanes and
	 * return. True: scsi_tasks_aborted() will be called when these and all
	 * others that were at work on the medium have ended. May be NULL. */
	bool (*clear_medium)(struct scsi_task *by, void *private_data);
	/* A task for work of @task that goes on after its status (IMMED): all
	 * zero but io, allocates, done and private_data; no nexus. It is waited
	 * for by who waits for the tasks of its units, and told to end then:
	 * aborted (resets, too), ending. On the nexus's lane. NULL, or
	 * returning NULL: nothing (more) goes on in the background.
	 * @param only  a unit has no other like it */
	struct scsi_task *(*background)(struct scsi_nexus *nexus,
					const struct scsi_task *task, bool only,
					void *private_data);
	void *private_data;
};

/* Sessions whose tasks are under way keep their nexus: free it when the last
 * of them is done. NULL: out of memory. */
struct scsi_nexus *scsi_nexus_create(const struct scsi_nexus_config *config,
				     const struct scsi_lun_map *map);
/* Takes effect for the next command; raises REPORTED LUNS DATA HAS CHANGED
 * on this nexus. On the session's lane. */
void scsi_nexus_set_map(struct scsi_nexus *nexus,
			const struct scsi_lun_map *map);
void scsi_nexus_free(struct scsi_nexus *nexus);

/* Any thread. */
void scsi_nexus_get_name(const struct scsi_nexus *nexus,
			 struct scsi_nexus_name *name);

/* Raise a unit attention (SAM-5 5.14) on this nexus for one unit, or for all
 * its units when @lu is NULL. */
void scsi_nexus_unit_attention(struct scsi_nexus *nexus, struct scsi_lu *lu,
			       uint16_t asc_ascq);

/*
 * QUERY ASYNCHRONOUS EVENT (SAM-5 7): is a unit attention pending for this
 * nexus on a unit of its map? On its lane.
 * @param info what is told first: the function's additional response
 *             information
 */
bool scsi_nexus_pending(const struct scsi_nexus *nexus, const uint8_t lun[8],
			uint8_t info[3]);

enum scsi_dir {
	SCSI_DIR_NONE,
	SCSI_DIR_OUT, /* initiator to target */
	SCSI_DIR_IN,  /* target to initiator */
};

/* SAM-5 5.3 status codes */
#define SCSI_GOOD		  0x00
#define SCSI_CHECK_CONDITION	  0x02
#define SCSI_CONDITION_MET	  0x04
#define SCSI_BUSY		  0x08
#define SCSI_RESERVATION_CONFLICT 0x18
#define SCSI_TASK_SET_FULL	  0x28
#define SCSI_TASK_ABORTED	  0x40

#define SCSI_COPY_UNITS 2

struct scsi_task {
	/* Set by the transport before scsi_task_prepare(). */
	uint8_t cdb[SCSI_CDB_MAX];
	uint8_t cdb_len;
	uint8_t attr;	/* RFC 7143 11.3.1 ATTR */
	uint8_t lun[8]; /* as in the PDU */
	uint32_t edtl;	/* RFC 7143 11.3.4 Expected Data Transfer Length */
	struct scsi_nexus *nexus;
	struct vhd_io *io;
	void (*done)(struct scsi_task *task); /* on the lane */
	void *private_data;
	/* Set by the transport when the task is aborted, any time on the lane:
	 * a command of many steps ends early (and done() is called). */
	bool aborted;
	/* Of a task in the background: its unit or the lane goes. */
	bool ending;

	/* Set by scsi_task_prepare(). */
	enum scsi_dir dir;
	uint32_t length;    /* bytes the CDB transfers in that direction; for
			     * IN without a fixed length: allocation length */
	uint32_t allocates; /* bytes that it takes for itself while it runs, at
			     * the most; for who counts them */
	struct scsi_lu *lu;
	const struct scsi_opcode *op;
	/* While a copy runs: the units it uses, besides lu. Who waits for a
	 * unit's tasks waits for these too. */
	struct scsi_lu *copy_lu[SCSI_COPY_UNITS];

	/* What its status waits for besides I/O: the store, the ends of tasks
	 * (PREEMPT AND ABORT, SANITIZE, FORMAT UNIT), of a copy (COPY
	 * OPERATION ABORT), of work in the background (SANITIZE). */
	unsigned waits;
	bool preempts; /* it is PREEMPT AND ABORT, at work */

	/* The transport can send what a READ wants from @source; set between
	 * prepare and execute. The answer is in sourced: then the iovec's
	 * content is not valid, and the transport fetches the data before the
	 * lane returns to its loop. */
	bool may_source, sourced;
	struct vhd_source source;

	/* Data, provided by the transport between prepare and execute: room for
	 * length bytes (or fewer, when the initiator expects fewer: the
	 * device server then moves min(length, data_len) bytes). */
	struct iovec *iov;
	int iovcnt;
	uint32_t data_len;

	/* Result. */
	uint8_t status;
	uint8_t sense_len;
	uint8_t sense[SCSI_SENSE_MAX];
	uint32_t data_in_len; /* IN: bytes produced into iov */
	/* Bytes the command would have moved with room for all of them: what
	 * the transport counts its residual from (RFC 7143 11.4.5.2). Valid
	 * with any status. */
	uint32_t transfer_len;

	/* The device server's own. */
	struct scsi_task *next;
	struct vhd_req req;
	uint64_t scratch[16];
};

/*
 * Look the LUN up, check the CDB whole, find direction and length, deliver
 * pending unit attentions and reservation conflicts.
 * @return true: go on (get data or buffers, then scsi_task_execute());
 *         false: status and sense are set, nothing will be transferred
 */
bool scsi_task_prepare(struct scsi_task *task);

/*
 * Run the command.
 * @return true when finished at once (done() is not called), false when
 *         done() will be called later on this lane
 */
bool scsi_task_execute(struct scsi_task *task);

/* Is it a copy at work? Of zeroes there is no source. */
static inline bool scsi_task_copies(const struct scsi_task *task)
{
	return task->copy_lu[0] != NULL || task->copy_lu[1] != NULL;
}

/* Does the command, which has been prepared, read or write blocks of its unit?
 */
bool scsi_task_uses_medium(const struct scsi_task *task);
/* For the transport: CHECK CONDITION, in the format that its unit has (D_SENSE,
 * SPC-4 7.5.8); prepared or not. */
void scsi_task_fail(struct scsi_task *task, uint8_t key, uint16_t asc_ascq);
/* The same, of a task that has been prepared: its unit is not ready any more.
 */
void scsi_task_not_ready(struct scsi_task *task);

/* Task management that concerns the unit (SAM-5 7): the transport aborts its
 * own tasks; these raise the unit attentions and release what RESERVE holds.
 * @by NULL: the server. Any thread; a nexus on its lane. */
void scsi_lu_reset(struct scsi_lu *lu, struct scsi_nexus *by);
void scsi_nexus_lost(struct scsi_nexus *nexus);

/* When it returns, a change of registrations that was under way has come into
 * force for all nexuses. Any thread but the one that is changing them. */
void scsi_lu_settle(struct scsi_lu *lu);

/* TAS of the control mode page (SPC-4 7.5.8): tasks that another nexus aborts
 * end with TASK ABORTED instead of in silence. Any thread. */
bool scsi_lu_tells_aborts(const struct scsi_lu *lu);

/* Is the LUN (8 bytes, as in the PDU) mapped? NULL if not. */
struct scsi_lu *scsi_nexus_lookup(struct scsi_nexus *nexus,
				  const uint8_t lun[8]);

#endif /* ISTM_TARGET_SCSI_H */
