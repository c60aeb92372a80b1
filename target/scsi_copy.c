/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * EXTENDED COPY(LID1) and RECEIVE COPY RESULTS (SPC-4 5.17, 6.5, 6.22): blocks
 * copied inside the server, between the units that the nexus sees. The whole
 * list is checked before any block moves.
 */
#include "target/scsi_commands.h"

#define HEADER		    16
#define TARGET_DESCRIPTOR   32
#define SEGMENT_HEADER	    4
#define TYPE_IDENTIFICATION 0xe4 /* target descriptor */
#define TYPE_BLOCK_TO_BLOCK 0x02 /* segment descriptor */

#define LIST_ID_DISCARD 3 /* LIST ID USAGE 11b: no result is held */

#define MAX_TARGETS  SCSI_COPY_UNITS
#define MAX_SEGMENTS 16
#define MAX_LIST     1024 /* bytes of both descriptor lists */

struct segment {
	uint8_t from, to; /* of copy.lu */
	uint32_t blocks;
	uint64_t from_lba, to_lba;
};

/* In the task's work buffer, before the blocks under way. */
struct copy {
	struct scsi_lu *lu[MAX_TARGETS];
	struct scsi_itl *itl[MAX_TARGETS]; /* while the list is checked */
	unsigned targets, segments;
	uint8_t list_id;
	bool held; /* the result can be asked for */
	struct segment segment[MAX_SEGMENTS];
	uint64_t copied; /* bytes */
	uint8_t data[SCSI_CHUNK];
};

enum phase { PHASE_NEXT, PHASE_READ, PHASE_WRITTEN };

static struct copy *copy_of(struct scsi_task *task)
{
	return (struct copy *)(void *)scsi_work(task)->buf;
}

/* ---- the parameter list (6.5.3) --------------------------------------- */

static bool illegal(struct scsi_task *task, uint16_t asc)
{
	return scsi_refuse(task, SENSE_ILLEGAL_REQUEST, asc);
}

static bool aborted(struct scsi_task *task, uint16_t asc)
{
	return scsi_refuse(task, SENSE_COPY_ABORTED, asc);
}

/* 6.5.5.6: the unit is told by the NAA designator of its VPD page 83h. */
static bool parse_target(struct scsi_task *task, struct copy *copy,
			 const uint8_t *p)
{
	const struct scsi_nexus *nexus = task->nexus;
	unsigned i, n = copy->targets++;

	if (p[0] != TYPE_IDENTIFICATION) {
		return illegal(task, ASC_TARGET_DESCRIPTOR_TYPE);
	}
	copy->lu[n] = NULL;
	if ((p[4] & 0x0f) != 1 || (p[5] & 0x3f) != 3 || p[7] != 16) {
		return true; /* names nothing here; matters if it is used */
	}
	for (i = 0; i < nexus->count; i++) {
		if (memcmp(nexus->itls[i]->lu->naa, p + 8, 16) == 0) {
			copy->lu[n] = nexus->itls[i]->lu;
			copy->itl[n] = nexus->itls[i];
			break;
		}
	}
	return true;
}

/* May the nexus read or write there, and are the blocks there? */
static bool check_end(struct scsi_task *task, const struct copy *copy,
		      unsigned n, uint64_t lba, uint32_t blocks, unsigned right)
{
	const struct scsi_lu *lu;
	uint64_t capacity;

	if (n >= copy->targets || copy->lu[n] == NULL) {
		return aborted(task, ASC_UNREACHABLE_COPY_TARGET);
	}
	lu = copy->lu[n];
	if ((atomic_load(&copy->itl[n]->denied) & right) ||
	    scsi_lu_not_ready(lu) != 0 ||
	    (right == SCSI_NEEDS_WRITE && scsi_lu_is(lu, SCSI_LU_SWP))) {
		return aborted(task, ASC_COPY_TARGET_NOT_REACHABLE);
	}
	capacity = scsi_lu_blocks(lu);
	if (lba > capacity || blocks > capacity - lba) {
		return aborted(task, ASC_NONE);
	}
	return true;
}

/* 6.5.6.3: returns the descriptor's length, 0 when it is refused. */
static size_t parse_segment(struct scsi_task *task, struct copy *copy,
			    const uint8_t *p, size_t len)
{
	struct segment *s = &copy->segment[copy->segments];
	unsigned from, to;
	size_t size;

	if (p[0] != TYPE_BLOCK_TO_BLOCK) {
		illegal(task, ASC_SEGMENT_DESCRIPTOR_TYPE);
		return 0;
	}
	size = SEGMENT_HEADER + get_be16(p + 2);
	if (size != 28 || len < size) {
		illegal(task, ASC_INVALID_FIELD_IN_PARAMETERS);
		return 0;
	}
	from = get_be16(p + 4);
	to = get_be16(p + 6);
	s->blocks = get_be16(p + 10);
	s->from_lba = get_be64(p + 12);
	s->to_lba = get_be64(p + 20);
	if (!check_end(task, copy, from, s->from_lba, s->blocks,
		       SCSI_NEEDS_READ) ||
	    !check_end(task, copy, to, s->to_lba, s->blocks,
		       SCSI_NEEDS_WRITE)) {
		return 0;
	}
	s->from = (uint8_t)from;
	s->to = (uint8_t)to;
	copy->segments++;
	return size;
}

static bool parse_segments(struct scsi_task *task, struct copy *copy,
			   const uint8_t *p, size_t len)
{
	size_t at, size;

	for (at = 0; at < len; at += size) {
		if (len - at < SEGMENT_HEADER) {
			return illegal(task, ASC_PARAMETER_LIST_LENGTH);
		}
		if (copy->segments == MAX_SEGMENTS) {
			return illegal(task, ASC_TOO_MANY_SEGMENTS);
		}
		size = parse_segment(task, copy, p + at, len - at);
		if (size == 0) {
			return false;
		}
	}
	return true;
}

static bool parse_list(struct scsi_task *task, struct copy *copy)
{
	uint8_t list[HEADER + MAX_LIST];
	size_t len, targets, segments, at;

	len = scsi_iov_read(task, 0, list, sizeof(list));
	if (len < HEADER) {
		return illegal(task, ASC_PARAMETER_LIST_LENGTH);
	}
	copy->list_id = list[0];
	copy->held = (list[1] >> 3 & 3) != LIST_ID_DISCARD;
	targets = get_be16(list + 2);
	segments = get_be32(list + 8);
	if (targets + segments > MAX_LIST || get_be32(list + 12) != 0 ||
	    HEADER + targets + segments > len ||
	    targets % TARGET_DESCRIPTOR != 0) {
		return illegal(task, ASC_PARAMETER_LIST_LENGTH);
	}
	if (targets / TARGET_DESCRIPTOR > MAX_TARGETS) {
		return illegal(task, ASC_TOO_MANY_TARGETS);
	}
	for (at = 0; at < targets; at += TARGET_DESCRIPTOR) {
		if (!parse_target(task, copy, list + HEADER + at)) {
			return false;
		}
	}
	return parse_segments(task, copy, list + HEADER + targets, segments);
}

/* ---- results that are held, per nexus --------------------------------- */

/* The nexus's own lane only. */
static void hold_result(struct scsi_task *task, const struct copy *copy,
			uint8_t status, unsigned segments)
{
	struct scsi_nexus *nexus = task->nexus;
	struct scsi_copy_result *r;

	if (!copy->held) {
		return;
	}
	r = &nexus->copies[nexus->next_copy++ % SCSI_HELD_COPIES];
	r->list_id = copy->list_id;
	r->status = status;
	r->segments = (uint16_t)segments;
	r->bytes =
		copy->copied > UINT32_MAX ? UINT32_MAX : (uint32_t)copy->copied;
}

/* The latest of that identifier; NULL if there is none. */
static struct scsi_copy_result *find_result(struct scsi_nexus *nexus,
					    uint8_t list_id)
{
	unsigned i;

	for (i = 1; i <= SCSI_HELD_COPIES; i++) {
		struct scsi_copy_result *r =
			&nexus->copies[(nexus->next_copy - i) %
				       SCSI_HELD_COPIES];

		if (r->status != 0 && r->list_id == list_id) {
			return r;
		}
	}
	return NULL;
}

/* ---- copying --------------------------------------------------------------
 */

/* The chunk under way: where it begins in its segment. Where the two ranges
 * overlap and the blocks move up, the end goes first. */
static uint64_t chunk_start(const struct scsi_work *work,
			    const struct copy *copy, const struct segment *s)
{
	bool up = copy->lu[s->from] == copy->lu[s->to] &&
		  s->to_lba > s->from_lba &&
		  s->to_lba - s->from_lba < s->blocks;

	return up ? work->total - work->pos - work->chunk : work->pos;
}

static bool submit_chunk(struct scsi_task *task, enum vhd_op op)
{
	struct scsi_work *work = scsi_work(task);
	struct copy *copy = copy_of(task);
	const struct segment *s = &copy->segment[work->index];
	uint64_t at = chunk_start(work, copy, s);
	struct scsi_lu *to = copy->lu[s->to];

	work->iov[0].iov_base = copy->data;
	work->iov[0].iov_len = work->chunk;
	if (op == VHD_READ) {
		return scsi_submit_lu(task, copy->lu[s->from], VHD_READ, 0,
				      (s->from_lba << SCSI_BLOCK_SHIFT) + at,
				      work->chunk, work->iov, 1);
	}
	return scsi_submit_lu(task, to, VHD_WRITE,
			      scsi_lu_is(to, SCSI_LU_WCE) ? 0 : VHD_FUA,
			      (s->to_lba << SCSI_BLOCK_SHIFT) + at, work->chunk,
			      work->iov, 1);
}

static bool copy_end(struct scsi_task *task, uint8_t status)
{
	hold_result(task, copy_of(task), status, scsi_work(task)->index);
	task->copy_lu[0] = task->copy_lu[1] = NULL;
	return true;
}

/* The next chunk's length; false when all is copied. */
static bool next_chunk(struct scsi_task *task)
{
	struct scsi_work *work = scsi_work(task);
	struct copy *copy = copy_of(task);

	while (work->index < copy->segments) {
		uint64_t left;

		work->total = (uint64_t)copy->segment[work->index].blocks
			      << SCSI_BLOCK_SHIFT;
		left = work->total - work->pos;
		if (left != 0) {
			work->chunk =
				left < SCSI_CHUNK ? (uint32_t)left : SCSI_CHUNK;
			return true;
		}
		work->index++;
		work->pos = 0;
	}
	return false;
}

static bool copy_step(struct scsi_task *task)
{
	struct scsi_work *work = scsi_work(task);

	for (;;) {
		bool now;

		if (task->req.error != 0) {
			struct scsi_sense sense = {
				.key = SENSE_COPY_ABORTED,
				.asc = ASC_THIRD_PARTY_FAILURE,
			};

			scsi_fail_io(task); /* for its message */
			scsi_set_sense(task, &sense);
			return copy_end(task, SCSI_COPY_FAILED);
		}
		if (work->phase == PHASE_READ) {
			work->phase = PHASE_WRITTEN;
			now = submit_chunk(task, VHD_WRITE);
		} else {
			if (work->phase == PHASE_WRITTEN) {
				work->pos += work->chunk;
				copy_of(task)->copied += work->chunk;
			}
			if (task->aborted || !next_chunk(task)) {
				scsi_good(task);
				return copy_end(task, SCSI_COPY_GOOD);
			}
			work->phase = PHASE_READ;
			now = submit_chunk(task, VHD_READ);
		}
		if (!now) {
			return false;
		}
	}
}

bool scsi_extended_copy_prepare(struct scsi_task *task)
{
	uint32_t length = get_be32(task->cdb + 10);

	if (length > SCSI_MAX_PARAMETER) {
		return scsi_refuse(task, SENSE_ILLEGAL_REQUEST,
				   ASC_PARAMETER_LIST_LENGTH);
	}
	return scsi_prepare_out(task, length);
}

bool scsi_extended_copy(struct scsi_task *task)
{
	struct scsi_work *work = scsi_work(task);
	struct copy *copy;

	if (task->length == 0) {
		return scsi_good(task);
	}
	if (!scsi_task_buffer(task, sizeof(*copy))) {
		return true;
	}
	copy = copy_of(task);
	if (!parse_list(task, copy)) {
		return true;
	}
	/* Units that go away wait for this. */
	task->copy_lu[0] = copy->lu[0];
	task->copy_lu[1] = copy->lu[1];
	work->phase = PHASE_NEXT;
	task->req.error = 0;
	return scsi_run(task, copy_step);
}

/* ---- RECEIVE COPY RESULTS (6.22) ------------------------------------------
 */

bool scsi_copy_status_prepare(struct scsi_task *task)
{
	if (find_result(task->nexus, task->cdb[2]) == NULL) {
		return scsi_refuse_cdb(task, 2, 7);
	}
	return scsi_prepare_in(task, get_be32(task->cdb + 10));
}

bool scsi_copy_status(struct scsi_task *task)
{
	struct scsi_copy_result *r = find_result(task->nexus, task->cdb[2]);
	uint8_t buf[12] = {0};

	if (r == NULL) {
		scsi_refuse_cdb(task, 2, 7);
		return true;
	}
	put_be32(buf, sizeof(buf) - 4);
	buf[4] = r->status;
	put_be16(buf + 5, r->segments);
	put_be32(buf + 8, r->bytes); /* TRANSFER COUNT UNITS 0: bytes */
	r->status = 0;		     /* told: no longer held */
	return scsi_data_in(task, buf, sizeof(buf));
}

bool scsi_copy_parameters_prepare(struct scsi_task *task)
{
	return scsi_prepare_in(task, get_be32(task->cdb + 10));
}

bool scsi_copy_parameters(struct scsi_task *task)
{
	uint8_t buf[46] = {0};

	put_be32(buf, sizeof(buf) - 4);
	buf[4] = 0x01; /* SNLID: several copies of one identifier */
	put_be16(buf + 8, MAX_TARGETS);
	put_be16(buf + 10, MAX_SEGMENTS);
	put_be32(buf + 12, MAX_LIST);
	put_be32(buf + 16, UINT16_MAX << SCSI_BLOCK_SHIFT);
	put_be16(buf + 34, 1); /* concurrent copies told; more are queued */
	buf[36] = 1;
	buf[37] = SCSI_BLOCK_SHIFT; /* granularity, log 2 */
	buf[43] = 2;
	buf[44] = TYPE_BLOCK_TO_BLOCK;
	buf[45] = TYPE_IDENTIFICATION;
	return scsi_data_in(task, buf, sizeof(buf));
}
