/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * EXTENDED COPY, LID1 and LID4 (SPC-4 6.4, 6.5): blocks copied inside the
 * server, between the units that the nexus sees. The whole list is checked
 * before any block moves.
 */
#include "target/scsi_copy.h"

#define HEADER1	       16
#define HEADER4	       48
#define CSCD	       32
#define SEGMENT_HEADER 4

/* LIST ID USAGE (6.4.3.2) */
#define LIST_ID_RESERVED 1
#define LIST_ID_NONE	 3 /* nobody is to ask */

/* A parameter list of either form. */
struct copy_list {
	uint32_t list_id;
	bool held;
	bool immediate;
	bool good_sense;
	size_t at; /* of the descriptors */
	size_t targets, segments, data;
};

/* ---- descriptors ---- */

static bool illegal(struct scsi_task *task, uint16_t asc)
{
	return scsi_refuse(task, SENSE_ILLEGAL_REQUEST, asc);
}

static bool aborted(struct scsi_task *task, uint16_t asc)
{
	return scsi_refuse(task, SENSE_COPY_ABORTED, asc);
}

/* 6.4.5.6: the unit is told by the NAA designator of its VPD page 83h. */
static bool parse_target(struct scsi_task *task, struct scsi_copy *copy,
			 const uint8_t *p)
{
	const struct scsi_nexus *nexus = task->nexus;
	unsigned i, n = copy->targets++;

	if (p[0] != COPY_CSCD_TYPE) {
		return illegal(task, ASC_TARGET_DESCRIPTOR_TYPE);
	}
	copy->lu[n] = NULL;
	copy->target[n].pad = p[28] & 0x04;
	if ((p[4] & 0x0f) != 1 || (p[5] & 0x3f) != 3 || p[7] != 16) {
		return true; /* names nothing here; matters if it is used */
	}
	for (i = 0; i < nexus->count; i++) {
		if (memcmp(nexus->itls[i]->lu->naa, p + 8, 16) == 0) {
			copy->lu[n] = nexus->itls[i]->lu;
			copy->itl[n] = nexus->itls[i];
			copy->target[n].bad_block =
				get_be24(p + 29) != 0 &&
				get_be24(p + 29) != copy->lu[n]->block;
			break;
		}
	}
	return true;
}

/* May the nexus read or write there, and are the blocks there? */
static bool check_end(struct scsi_task *task, const struct scsi_copy *copy,
		      unsigned n, uint64_t lba, uint64_t blocks, unsigned right)
{
	const struct scsi_lu *lu = copy->lu[n];
	uint64_t capacity = scsi_lu_blocks(lu);

	if ((atomic_load(&copy->itl[n]->denied) &
	     (right | SCSI_NEEDS_LEGACY | SCSI_DENIED_ACCESS)) ||
	    scsi_lu_not_ready(lu) != 0 ||
	    (right == SCSI_NEEDS_WRITE && scsi_lu_is(lu, SCSI_LU_SWP))) {
		return aborted(task, ASC_COPY_TARGET_NOT_REACHABLE);
	}
	if (lba > capacity || blocks > capacity - lba) {
		return aborted(task, ASC_NONE);
	}
	return true;
}

/* ---- what goes where (5.17.7.2) ---- */

/* Bytes of a unit, or zeroes. */
struct run {
	uint8_t from;
	uint64_t at, length;
};

/* What segments leave behind for those that follow: less than a block of
 * source data, less than a block of data to be written, which may come from as
 * many places as it has smallest blocks. */
#define RUNS (SCSI_MAX_BLOCK / VHD_SECTOR + 2)
struct residue {
	struct run source;
	struct run data[RUNS];
	unsigned count;
	uint64_t length; /* of data */
};

struct segment {
	unsigned from, to;
	bool cat, dc;
	uint32_t blocks;
	uint64_t from_lba, to_lba;
};

/* Source data become data to be written. */
static void process(struct residue *r, uint8_t from, uint64_t at,
		    uint64_t length)
{
	if (length != 0) {
		r->data[r->count++] = (struct run){from, at, length};
		r->length += length;
	}
}

/* Write the first @length bytes of that from @to_at on; the rest stays. */
static void write_out(struct scsi_copy *copy, struct residue *r, unsigned to,
		      uint64_t to_at, uint64_t length)
{
	unsigned i = 0, left = 0;

	r->length -= length;
	for (i = 0; i < r->count; i++) {
		struct run run = r->data[i];
		uint64_t n = run.length < length ? run.length : length;

		if (n != 0) {
			copy->segment[copy->segments++] =
				(struct scsi_copy_segment){
					.from = run.from,
					.to = (uint8_t)to,
					.number = (uint8_t)copy->descriptors,
					.length = n,
					.from_at = run.at,
					.to_at = to_at,
				};
			to_at += n;
			length -= n;
		}
		if (n < run.length) {
			run.at += n;
			run.length -= n;
			r->data[left++] = run;
		}
	}
	r->count = left;
}

/* What becomes of what is left (table 116). False: sense is set. */
static bool end_segment(struct scsi_task *task, struct scsi_copy *copy,
			const struct segment *s, struct residue *r,
			uint64_t written)
{
	const struct scsi_lu *to = copy->lu[s->to];
	bool from_pad = copy->target[s->from].pad;
	bool to_pad = copy->target[s->to].pad;

	if (s->cat || (r->source.length == 0 && r->length == 0)) {
		return true;
	}
	if (!from_pad && !to_pad) {
		return aborted(task, ASC_INEXACT_SEGMENT);
	}
	if (from_pad) {
		r->source.length = 0;
	}
	if (!to_pad) {
		r->count = 0;
		r->length = 0;
	}
	if (r->length == 0) {
		return true;
	}
	if (s->dc) { /* its note a */
		return aborted(task, ASC_INEXACT_SEGMENT);
	}
	process(r, COPY_ZEROES, 0, -r->length & (to->block - 1));
	if (!check_end(task, copy, s->to, s->to_lba, written + 1,
		       SCSI_NEEDS_WRITE)) {
		return false;
	}
	write_out(copy, r, s->to, (s->to_lba + written) << to->shift,
		  r->length);
	return true;
}

static bool plan_segment(struct scsi_task *task, struct scsi_copy *copy,
			 const struct segment *s, struct residue *r)
{
	const struct scsi_lu *from = copy->lu[s->from], *to = copy->lu[s->to];
	uint64_t size, old, read, blocks;

	/* How much is processed: as much as is asked for of the source, or as
	 * much as is missing at the destination. */
	size = (uint64_t)s->blocks << (s->dc ? to->shift : from->shift);
	if (s->dc) {
		size = size > r->length ? size - r->length : 0;
	}
	old = size < r->source.length ? size : r->source.length;
	process(r, r->source.from, r->source.at, old);
	r->source.at += old;
	r->source.length -= old;
	read = (size - old + from->block - 1) >> from->shift;
	if (!check_end(task, copy, s->from, s->from_lba, read,
		       SCSI_NEEDS_READ)) {
		return false;
	}
	if (read != 0) {
		process(r, (uint8_t)s->from, s->from_lba << from->shift,
			size - old);
		r->source = (struct run){
			.from = (uint8_t)s->from,
			.at = (s->from_lba << from->shift) + size - old,
			.length = (read << from->shift) - (size - old),
		};
	}
	blocks = s->dc ? s->blocks : r->length >> to->shift;
	if (!check_end(task, copy, s->to, s->to_lba, blocks,
		       SCSI_NEEDS_WRITE)) {
		return false;
	}
	write_out(copy, r, s->to, s->to_lba << to->shift, blocks << to->shift);
	return end_segment(task, copy, s, r, blocks);
}

/* ---- segment descriptors ---- */

/* Is it one of those told, and does the initiator know its blocks? */
static bool check_target(struct scsi_task *task, const struct scsi_copy *copy,
			 unsigned n)
{
	if (n >= copy->targets || copy->lu[n] == NULL) {
		return aborted(task, ASC_UNREACHABLE_COPY_TARGET);
	}
	if (copy->target[n].bad_block) {
		return aborted(task, ASC_INVALID_FIELD_IN_PARAMETERS);
	}
	return true;
}

/* 6.4.6.4: returns the descriptor's length, 0 when it is refused. */
static size_t parse_segment(struct scsi_task *task, struct scsi_copy *copy,
			    const uint8_t *p, size_t len, struct residue *r)
{
	struct segment s;
	size_t size;

	if (p[0] != COPY_SEGMENT_TYPE) {
		illegal(task, ASC_SEGMENT_DESCRIPTOR_TYPE);
		return 0;
	}
	size = SEGMENT_HEADER + get_be16(p + 2);
	if (size != 28 || len < size) {
		illegal(task, ASC_INVALID_FIELD_IN_PARAMETERS);
		return 0;
	}
	s.cat = p[1] & 0x01;
	s.dc = p[1] & 0x02;
	s.from = get_be16(p + 4);
	s.to = get_be16(p + 6);
	s.blocks = get_be16(p + 10);
	s.from_lba = get_be64(p + 12);
	s.to_lba = get_be64(p + 20);
	if (!check_target(task, copy, s.from) ||
	    !check_target(task, copy, s.to) ||
	    !plan_segment(task, copy, &s, r)) {
		return 0;
	}
	copy->descriptors++;
	return size;
}

static bool parse_segments(struct scsi_task *task, struct scsi_copy *copy,
			   const uint8_t *p, size_t len)
{
	struct residue r = {0};
	size_t at, size;

	for (at = 0; at < len; at += size) {
		if (len - at < SEGMENT_HEADER) {
			return illegal(task, ASC_PARAMETER_LIST_LENGTH);
		}
		if (copy->descriptors == COPY_MAX_SEGMENTS) {
			return illegal(task, ASC_TOO_MANY_SEGMENTS);
		}
		size = parse_segment(task, copy, p + at, len - at, &r);
		if (size == 0) {
			return false;
		}
	}
	return true; /* what is left is discarded */
}

/* ---- parameter lists ---- */

/* 6.4.3.2 */
static bool parse_usage(struct scsi_task *task, const uint8_t *p,
			struct copy_list *list)
{
	uint8_t usage = p[1] >> 3 & 3;

	list->held = usage != LIST_ID_NONE;
	if (usage == LIST_ID_RESERVED ||
	    (usage == LIST_ID_NONE && list->list_id != 0)) {
		scsi_fail_parameter(task, 1, 4);
		return false;
	}
	return true;
}

/* 6.5.2 */
static bool parse_header1(struct scsi_task *task, const uint8_t *p, size_t len,
			  struct copy_list *list)
{
	if (len < HEADER1) {
		return illegal(task, ASC_PARAMETER_LIST_LENGTH);
	}
	list->list_id = p[0];
	list->targets = get_be16(p + 2);
	list->segments = get_be32(p + 8);
	list->data = get_be32(p + 12);
	list->at = HEADER1;
	return parse_usage(task, p, list);
}

/* 6.4.2 */
static bool parse_header4(struct scsi_task *task, const uint8_t *p, size_t len,
			  struct copy_list *list)
{
	if (len < HEADER4) {
		return illegal(task, ASC_PARAMETER_LIST_LENGTH);
	}
	if (p[0] != 0x01 || get_be16(p + 2) != 0x20 || p[16] != 0xff) {
		scsi_fail_parameter(task, p[0] != 0x01 ? 0 : 2, 7);
		return false;
	}
	list->immediate = p[15] & 0x01;
	list->good_sense = p[15] & 0x02;
	list->list_id = get_be32(p + 20);
	list->targets = get_be16(p + 42);
	list->segments = get_be16(p + 44);
	list->data = get_be16(p + 46);
	list->at = HEADER4;
	if (!parse_usage(task, p, list)) {
		return false;
	}
	/* the standard's words, though it is no field of the CDB */
	return !list->immediate || (list->held && !list->good_sense) ||
	       illegal(task, ASC_INVALID_FIELD_IN_CDB);
}

static bool parse_list(struct scsi_task *task, struct scsi_copy *copy,
		       struct copy_list *list)
{
	uint8_t buf[HEADER4 + COPY_MAX_LIST];
	size_t len = scsi_iov_read(task, 0, buf, sizeof(buf)), at;
	bool ok = task->op->action == COPY_LID1
			  ? parse_header1(task, buf, len, list)
			  : parse_header4(task, buf, len, list);

	if (!ok) {
		return false;
	}
	/* Segments or 32-bit lengths alone can be anything. */
	if (list->targets + list->segments > COPY_MAX_LIST || list->data != 0 ||
	    list->at + list->targets + list->segments > len ||
	    list->targets % CSCD != 0) {
		return illegal(task, ASC_PARAMETER_LIST_LENGTH);
	}
	if (list->targets / CSCD > SCSI_COPY_UNITS) {
		return illegal(task, ASC_TOO_MANY_TARGETS);
	}
	for (at = 0; at < list->targets; at += CSCD) {
		if (!parse_target(task, copy, buf + list->at + at)) {
			return false;
		}
	}
	return parse_segments(task, copy, buf + list->at + list->targets,
			      list->segments);
}

/* ---- the command ---- */

/* Of all third-party copy commands that have a parameter list. */
bool scsi_copy_prepare(struct scsi_task *task)
{
	uint32_t length = get_be32(task->cdb + 10);

	if (length > SCSI_MAX_PARAMETER) {
		return scsi_refuse(task, SENSE_ILLEGAL_REQUEST,
				   ASC_PARAMETER_LIST_LENGTH);
	}
	task->allocates = scsi_copy_allocates();
	return scsi_prepare_out(task, length);
}

bool scsi_extended_copy(struct scsi_task *task)
{
	struct copy_list list = {0};
	struct scsi_copy *copy;

	if (task->length == 0) {
		return scsi_good(task);
	}
	copy = scsi_copy_new(task);
	if (copy == NULL || !parse_list(task, copy, &list)) {
		return true;
	}
	copy->good_sense = list.good_sense;
	copy->op = list.held ? scsi_copy_op_new(task, list.list_id)
			     : scsi_copy_op_unheld(task);
	return copy->op == NULL || scsi_copy_run(task, list.immediate);
}
