/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Diagnostics (SPC-4 6.28, 6.42) and self-tests (5.15): the short one reads a
 * sample of the medium, the extended one then all that holds data. They read
 * as READ does, so what the page cache has is not read again.
 */
#include <errno.h>
#include <time.h>

#include "target/scsi_commands.h"

#define CODE_BACKGROUND_SHORT	 1
#define CODE_BACKGROUND_EXTENDED 2
#define CODE_ABORT		 4
#define CODE_FOREGROUND_SHORT	 5
#define CODE_FOREGROUND_EXTENDED 6

#define CDB_CODE(cdb) ((cdb)[1] >> 5)
#define CDB_SELFTEST  0x04

/* SPC-4 7.3.16: results */
#define RESULT_GOOD	     0x0
#define RESULT_ABORTED	     0x1 /* by SEND DIAGNOSTIC */
#define RESULT_INTERRUPTED   0x2 /* by anything else */
#define RESULT_NOT_COMPLETED 0x3 /* an error that is not the medium's */
#define RESULT_FIRST_FAILED  0x5
#define RESULT_LATER_FAILED  0x6 /* the second segment */
#define RESULT_IN_PROGRESS   0xf

#define SAMPLES	     64
#define SAMPLE_BYTES 65536u

/* Bytes in a second that an extended self-test is expected to read. */
#define EXPECTED_RATE 100000000u

/* What lies in the work buffer. */
struct selftest {
	unsigned id; /* 0: the default self-test, which is not logged */
	bool extended;
	unsigned sample;  /* the next; SAMPLES: all of them are read */
	uint64_t bad_end; /* of a read that failed: narrow it down */
	uint32_t piece;	  /* bytes to read at once */
	uint8_t data[SCSI_CHUNK];
};

uint64_t scsi_selftest_seconds(const struct scsi_lu *lu)
{
	return vhd_disk_size(lu->config.disk) / EXPECTED_RATE + 1;
}

/* ---- the log (SPC-4 7.3.16) ---- */

static uint16_t hours_up(const struct scsi_lu *lu)
{
	struct timespec now;
	int64_t hours;

	clock_gettime(CLOCK_MONOTONIC, &now);
	hours = (now.tv_sec - lu->since) / 3600;
	return hours < UINT16_MAX ? (uint16_t)hours : UINT16_MAX;
}

/* Caller holds the unit's lock. */
static void log_begin(struct scsi_lu *lu, uint8_t code)
{
	memmove(lu->selftests + 1, lu->selftests,
		sizeof(lu->selftests) - sizeof(lu->selftests[0]));
	lu->selftests[0] = (struct scsi_selftest_result){
		.used = true,
		.code = code,
		.result = RESULT_IN_PROGRESS,
		.lba = UINT64_MAX,
	};
}

/* The test that is under way is over; caller holds the unit's lock. */
static void log_end(struct scsi_lu *lu, uint8_t result)
{
	lu->selftests[0].result = result;
	lu->selftests[0].hours = hours_up(lu);
	atomic_store(&lu->selftest, 0);
	atomic_fetch_and(&lu->state, ~SCSI_LU_TESTING);
	scsi_log(3, "disk %d: self-test %u: result %x", (int)lu->config.index,
		 lu->selftests[0].code, result);
}

void scsi_selftest_interrupt(struct scsi_lu *lu)
{
	pthread_mutex_lock(&lu->lock);
	if (atomic_load(&lu->selftest) != 0) {
		log_end(lu, RESULT_INTERRUPTED);
	}
	pthread_mutex_unlock(&lu->lock);
}

size_t scsi_selftest_log_page(struct scsi_task *task, uint8_t *buf)
{
	struct scsi_lu *lu = task->lu;
	uint8_t *p = buf + 4;
	unsigned i;

	pthread_mutex_lock(&lu->lock);
	for (i = 0; i < SCSI_SELFTESTS; i++, p += 16) {
		const struct scsi_selftest_result *r = &lu->selftests[i];

		p = scsi_log_parameter(p, (uint16_t)(i + 1),
				       SCSI_LOG_TSD | SCSI_LOG_LIST, 16);
		if (!r->used) {
			continue;
		}
		p[0] = (uint8_t)(r->code << 5 | r->result);
		put_be16(p + 2, r->hours);
		put_be64(p + 4, r->lba);
		p[12] = r->key;
		put_be16(p + 13, r->asc);
	}
	pthread_mutex_unlock(&lu->lock);
	return (size_t)(p - buf);
}

/* ---- the test ---- */

static struct selftest *selftest_of(struct scsi_task *task)
{
	return (struct selftest *)scsi_work(task)->buf;
}

/* Has nothing else ended it? */
static bool is_current(const struct scsi_task *task, const struct selftest *t)
{
	return t->id == 0 || atomic_load(&task->lu->selftest) == t->id;
}

/* Is it the one that the log has as under way? */
static bool is_logged(const struct scsi_task *task, const struct selftest *t)
{
	return t->id != 0 && is_current(task, t);
}

static void end_with(struct scsi_task *task, const struct selftest *t,
		     uint8_t result)
{
	struct scsi_lu *lu = task->lu;

	pthread_mutex_lock(&lu->lock);
	if (is_logged(task, t)) {
		log_end(lu, result);
	}
	pthread_mutex_unlock(&lu->lock);
}

static bool failed(struct scsi_task *task, const struct selftest *t)
{
	struct scsi_lu *lu = task->lu;
	bool medium = task->req.error == EIO;

	scsi_fail_io(task); /* for its message, and the counter */
	pthread_mutex_lock(&lu->lock);
	if (is_logged(task, t) && !medium) {
		log_end(lu, RESULT_NOT_COMPLETED);
	} else if (is_logged(task, t)) {
		lu->selftests[0].lba = scsi_work(task)->pos >> lu->shift;
		lu->selftests[0].key = SENSE_MEDIUM_ERROR;
		lu->selftests[0].asc = ASC_UNRECOVERED_READ;
		log_end(lu, t->sample < SAMPLES ? RESULT_FIRST_FAILED
						: RESULT_LATER_FAILED);
	}
	pthread_mutex_unlock(&lu->lock);
	return scsi_fail(task, SENSE_HARDWARE_ERROR, ASC_FAILED_SELF_TEST);
}

/* A read has failed or gone well: on to what is read next. False: it failed,
 * and it is known where. */
static bool advance(struct scsi_task *task, struct selftest *t)
{
	struct scsi_work *work = scsi_work(task);

	if (task->req.error != 0 && task->req.error != EIO) {
		return false;
	}
	if (task->req.error != 0) {
		/* Halve it until it is one block. */
		t->bad_end = work->pos + work->chunk;
		t->piece = work->chunk / 2 & ~(task->lu->block - 1);
		return t->piece != 0;
	}
	work->pos += work->chunk;
	if (work->pos < t->bad_end) {
		return true;
	}
	t->bad_end = 0;
	t->piece = SCSI_CHUNK;
	if (t->sample < SAMPLES) {
		t->sample++;
	}
	return true;
}

/* Where the next read begins and how much it has; false: all is read. */
static bool next_read(struct scsi_task *task, struct selftest *t)
{
	struct scsi_work *work = scsi_work(task);
	uint64_t left, mapped;

	if (t->bad_end == 0 && t->sample < SAMPLES) {
		/* from the first to the last, at equal distances */
		uint64_t last = work->total - task->lu->block;

		work->pos = t->sample == SAMPLES - 1
				    ? last
				    : last / (SAMPLES - 1) * t->sample;
		work->pos &= ~(uint64_t)(task->lu->block - 1);
		t->piece = SAMPLE_BYTES;
	} else if (t->bad_end == 0) {
		if (!t->extended) {
			return false;
		}
		if (work->phase == 0) {
			work->phase = 1;
			work->pos = 0;
		}
		/* Where there is no data there is nothing to read. */
		while (work->pos < work->total) {
			mapped = work->total - work->pos;
			if (vhd_disk_mapped(task->lu->config.disk, work->pos,
					    &mapped)) {
				break;
			}
			work->pos += mapped;
		}
	}
	left = work->total - work->pos;
	if (left == 0) {
		return false;
	}
	work->chunk = left < t->piece ? (uint32_t)left : t->piece;
	return true;
}

static bool selftest_step(struct scsi_task *task)
{
	struct scsi_work *work = scsi_work(task);
	struct selftest *t = selftest_of(task);

	for (;;) {
		if (!is_current(task, t)) {
			/* In the background nobody is answered. */
			return task->nexus == NULL ||
			       scsi_fail(task, SENSE_ABORTED_COMMAND, ASC_NONE);
		}
		if (task->aborted || task->ending) {
			end_with(task, t, RESULT_INTERRUPTED);
			return scsi_good(task);
		}
		if (work->chunk != 0 && !advance(task, t)) {
			return failed(task, t);
		}
		if (!next_read(task, t)) {
			end_with(task, t, RESULT_GOOD);
			return scsi_good(task);
		}
		if (t->id != 0) {
			scsi_lu_set_progress(task->lu,
					     work->phase == 0 ? 0 : work->pos,
					     work->total);
		}
		work->iov[0].iov_base = t->data;
		work->iov[0].iov_len = work->chunk;
		if (!scsi_submit(task, VHD_READ, 0, work->pos, work->chunk,
				 work->iov, 1)) {
			return false;
		}
	}
}

static bool selftest_start(struct scsi_task *task, uint8_t code)
{
	static atomic_uint ids;
	struct scsi_work *work = scsi_work(task);
	struct scsi_lu *lu = task->lu;
	struct scsi_task *bg = NULL;
	struct selftest *t;
	bool busy;

	if (!scsi_task_buffer(task, sizeof(*t))) {
		return true;
	}
	t = selftest_of(task);
	t->extended = code == CODE_BACKGROUND_EXTENDED ||
		      code == CODE_FOREGROUND_EXTENDED;
	t->piece = SCSI_CHUNK;
	work->total = vhd_disk_size(lu->config.disk);
	task->req.error = 0;
	pthread_mutex_lock(&lu->lock);
	busy = atomic_load(&lu->selftest) != 0;
	if (!busy && code != 0) {
		t->id = atomic_fetch_add(&ids, 1) | 0x80000000u;
		atomic_store(&lu->selftest, t->id);
		atomic_store(&lu->progress, 0);
		log_begin(lu, code);
		if (code >= CODE_FOREGROUND_SHORT) {
			atomic_fetch_or(&lu->state, SCSI_LU_TESTING);
		}
	}
	pthread_mutex_unlock(&lu->lock);
	if (busy) {
		return scsi_fail(task, SENSE_NOT_READY,
				 ASC_SELF_TEST_IN_PROGRESS);
	}
	if (code != 0) {
		scsi_log(3, "disk %d: self-test %u, for %s",
			 (int)lu->config.index, code,
			 task->nexus->initiator_name);
	}
	if (code == CODE_BACKGROUND_SHORT || code == CODE_BACKGROUND_EXTENDED) {
		bg = scsi_background(task, true);
	}
	if (bg != NULL) {
		scsi_run_background(bg, selftest_step);
		return scsi_good(task);
	}
	return scsi_run(task, selftest_step);
}

static bool selftest_abort(struct scsi_task *task)
{
	struct scsi_lu *lu = task->lu;
	bool any;

	pthread_mutex_lock(&lu->lock);
	any = atomic_load(&lu->selftest) != 0;
	if (any) {
		log_end(lu, RESULT_ABORTED);
	}
	pthread_mutex_unlock(&lu->lock);
	if (!any) {
		scsi_refuse_cdb(task, 1, 7);
		return true;
	}
	return scsi_good(task);
}

/* ---- RECEIVE DIAGNOSTIC RESULTS (SPC-4 6.28, 7.2) ---- */

bool scsi_receive_diagnostic_prepare(struct scsi_task *task)
{
	/* PCV with the one page there is: 00h, supported pages */
	if ((task->cdb[1] & 0x01) && task->cdb[2] != 0) {
		return scsi_refuse_cdb(task, 2, 7);
	}
	return scsi_prepare_in(task, get_be16(task->cdb + 3));
}

bool scsi_receive_diagnostic(struct scsi_task *task)
{
	static const uint8_t supported[] = {0x00, 0x00, 0x00, 0x01, 0x00};

	return scsi_data_in(task, supported, sizeof(supported));
}

/* ---- SEND DIAGNOSTIC (SPC-4 6.42) ---- */

bool scsi_send_diagnostic_prepare(struct scsi_task *task)
{
	uint16_t len = get_be16(task->cdb + 3);
	uint8_t code = CDB_CODE(task->cdb);
	bool test = (task->cdb[1] & CDB_SELFTEST) || code != 0;

	if (code == 3 || code == 7 ||
	    (code != 0 && (task->cdb[1] & CDB_SELFTEST))) {
		return scsi_refuse_cdb(task, 1, 7);
	}
	/* Self-tests take no parameters. */
	if (test && len != 0) {
		return scsi_refuse_cdb(task, 3, 7);
	}
	/* A page cut short by the length is the CDB's fault (table 320). */
	if (!test && len != 0 && len < 4) {
		return scsi_refuse_cdb(task, 3, 7);
	}
	if (test && code != CODE_ABORT && scsi_lu_not_ready(task->lu) != 0) {
		return scsi_refuse_not_ready(task);
	}
	if (test) {
		task->allocates = sizeof(struct selftest);
		return true;
	}
	return scsi_prepare_list(task, len);
}

bool scsi_send_diagnostic(struct scsi_task *task)
{
	uint8_t code = CDB_CODE(task->cdb);
	const uint8_t *p;
	size_t len;

	if (code == CODE_ABORT) {
		return selftest_abort(task);
	}
	if (code != 0 || (task->cdb[1] & CDB_SELFTEST)) {
		return selftest_start(task, code);
	}
	if (task->length == 0) {
		return scsi_good(task);
	}
	p = scsi_parameters(task, &len);
	if (p == NULL) {
		return true;
	}
	if (len < 4) {
		return scsi_fail(task, SENSE_ILLEGAL_REQUEST,
				 ASC_PARAMETER_LIST_LENGTH);
	}
	if (p[0] != 0x00) {
		return scsi_fail_parameter(task, 0, 7);
	}
	if (get_be16(p + 2) != 0) {
		return scsi_fail_parameter(task, 2, 7);
	}
	return scsi_good(task);
}
