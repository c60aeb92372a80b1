/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * POPULATE TOKEN and WRITE USING TOKEN (SBC-3 5.7, 5.46), which Windows calls
 * offloaded data transfer, and the VPD page that offers third-party copies
 * (SPC-4 7.8.17).
 */
#include <stdlib.h>

#include "target/scsi_copy.h"

#define POPULATE_HEADER 16
#define WRITE_HEADER	536
#define RANGE		16

#define FLAG_IMMED   0x01
#define FLAG_RTV     0x02 /* ROD TYPE is valid */
#define FLAG_DEL_TKN 0x02

/* ---- parameter lists ---- */

static bool bad_field(struct scsi_task *task, size_t byte)
{
	scsi_fail_parameter(task, (uint16_t)byte, 7);
	return false;
}

static bool bad_length(struct scsi_task *task)
{
	scsi_fail(task, SENSE_ILLEGAL_REQUEST, ASC_PARAMETER_LIST_LENGTH);
	return false;
}

/* No block twice (SBC-3 5.7.3). */
static bool ranges_meet(const struct scsi_range *range, unsigned n)
{
	unsigned i;

	for (i = 0; i < n; i++) {
		if (scsi_range_meets(&range[i], range[n].lba,
				     range[n].blocks)) {
			return true;
		}
	}
	return false;
}

/*
 * Block device range descriptors: @at is where they begin, their length is in
 * the two bytes before. Of that and of what there is whole ones count (SBC-3
 * 5.7.2, 5.46.2). False: sense is set.
 */
static bool parse_ranges(struct scsi_task *task, const uint8_t *p, size_t len,
			 size_t at, struct scsi_range *range, unsigned *count,
			 uint64_t *blocks)
{
	uint64_t capacity = scsi_lu_blocks(task->lu);
	size_t size = get_be16(p + at - 2);
	unsigned i;

	if (size < RANGE) {
		return bad_field(task, at - 2);
	}
	if (size > len - at) {
		size = len - at;
	}
	*count = (unsigned)(size / RANGE);
	if (*count > COPY_MAX_RANGES) {
		return scsi_refuse(task, SENSE_ILLEGAL_REQUEST,
				   ASC_TOO_MANY_SEGMENTS);
	}
	*blocks = 0;
	for (i = 0; i < *count; i++) {
		const uint8_t *d = p + at + (size_t)i * RANGE;

		range[i].lba = get_be64(d);
		range[i].blocks = get_be32(d + 8);
		if (range[i].lba > capacity ||
		    range[i].blocks > capacity - range[i].lba) {
			return scsi_refuse_lba(task, range[i].lba);
		}
		if (ranges_meet(range, i)) {
			return bad_field(task, at + (size_t)i * RANGE);
		}
		*blocks += range[i].blocks;
	}
	if (*blocks > COPY_MAX_TOKEN_BYTES >> task->lu->shift) {
		return bad_field(task, at);
	}
	return true;
}

/* The list, with @header bytes and a range at least. NULL: sense is set. */
static const uint8_t *token_list(struct scsi_task *task, size_t header,
				 size_t *len)
{
	const uint8_t *p = scsi_parameters(task, len);
	size_t said;

	if (p == NULL) {
		return NULL;
	}
	if (*len < task->length || *len < header + RANGE) {
		bad_length(task);
		return NULL;
	}
	/* The lists say their own length too; more may follow it, and they
	 * may be cut. */
	said = (size_t)get_be16(p) + 2;
	if (said < header + RANGE) {
		bad_field(task, 0);
		return NULL;
	}
	if (said < *len) {
		*len = said;
	}
	return p;
}

/* ---- POPULATE TOKEN ---- */

static bool check_populate(struct scsi_task *task, const uint8_t *p)
{
	uint32_t type = get_be32(p + 8);

	if (get_be32(p + 4) > COPY_MAX_TIMEOUT) {
		return bad_field(task, 4);
	}
	if ((p[2] & FLAG_RTV) && type != ROD_TYPE_PIT_DEFAULT &&
	    type != ROD_TYPE_PIT && type != ROD_TYPE_PIT_ANY) {
		return bad_field(task, 8);
	}
	return true;
}

/* No blocks are read: the token stands for them, and is there at once whatever
 * IMMED says. */
bool scsi_populate_token(struct scsi_task *task)
{
	struct scsi_range range[COPY_MAX_RANGES];
	uint8_t token[ROD_TOKEN_LEN];
	struct scsi_copy_op *op;
	const uint8_t *p;
	unsigned count;
	uint64_t blocks;
	uint16_t asc;
	size_t len;

	if (task->length == 0) {
		return scsi_good(task);
	}
	p = token_list(task, POPULATE_HEADER, &len);
	if (p == NULL || !check_populate(task, p) ||
	    !parse_ranges(task, p, len, POPULATE_HEADER, range, &count,
			  &blocks)) {
		return true;
	}
	asc = scsi_token_create(task->lu, task->nexus->target_name, range,
				count, get_be32(p + 4), token);
	if (asc != 0) {
		return scsi_fail(task, SENSE_ILLEGAL_REQUEST, asc);
	}
	op = scsi_copy_op_new(task, get_be32(task->cdb + 6));
	if (op == NULL) {
		scsi_token_delete(get_be64(token + 8));
		return true;
	}
	op->token = malloc(ROD_TOKEN_LEN);
	if (op->token != NULL) {
		memcpy(op->token, token, ROD_TOKEN_LEN);
		op->bytes = blocks << task->lu->shift;
		op->segments = (uint16_t)count;
		scsi_good(task);
	} else {
		task->status = SCSI_BUSY;
	}
	scsi_copy_op_end(op, task,
			 op->token != NULL ? COPY_STATUS_GOOD
					   : COPY_STATUS_ERROR);
	scsi_copy_op_unref(op);
	return true;
}

/* ---- WRITE USING TOKEN ---- */

/* One segment more; @number is that of the range written to. */
static void add_segment(struct scsi_copy *copy, uint8_t from, uint64_t from_at,
			uint64_t to_at, uint64_t length, unsigned number)
{
	struct scsi_copy_segment *s = &copy->segment[copy->segments];

	if (length == 0) {
		return;
	}
	*s = (struct scsi_copy_segment){
		.from = from,
		.to = 1,
		.number = (uint8_t)number,
		.length = length,
		.from_at = from_at,
		.to_at = to_at,
	};
	copy->segments++;
}

/*
 * What is written where: both lists side by side, in bytes, the token's from
 * @offset. A block that the token's data fill in part is filled up with zeroes
 * (SBC-3 5.46.2).
 */
static void plan(struct scsi_copy *copy, const struct scsi_token_data *from,
		 uint64_t offset, const struct scsi_range *to, unsigned count)
{
	const unsigned shift = copy->lu[1]->shift;
	const unsigned from_shift = from->lu != NULL ? from->lu->shift : 0;
	unsigned i = 0, j;
	uint64_t skip = offset; /* within from */

	copy->descriptors = count;
	for (j = 0; j < count; j++) {
		uint64_t at = to[j].lba << shift;
		uint64_t end = at + ((uint64_t)to[j].blocks << shift);

		while (at < end && from->lu == NULL) {
			add_segment(copy, COPY_ZEROES, 0, at, end - at, j);
			at = end;
		}
		while (at < end) {
			uint64_t size, n = end - at;

			if (i == from->count) {
				n = -at & (copy->lu[1]->block - 1);
				add_segment(copy, COPY_ZEROES, 0, at, n, j);
				return;
			}
			size = (uint64_t)from->range[i].blocks << from_shift;
			if (skip >= size) {
				skip -= size;
				i++;
				continue;
			}
			n = n < size - skip ? n : size - skip;
			add_segment(copy, 0,
				    (from->range[i].lba << from_shift) + skip,
				    at, n, j);
			skip += n;
			at += n;
		}
	}
}

/* Has the token data from @offset on, and can they be read? */
static bool check_source(struct scsi_task *task,
			 const struct scsi_token_data *data, uint64_t offset)
{
	if (offset >= data->bytes) {
		return bad_field(task, 8);
	}
	if (data->lu != NULL && scsi_lu_not_ready(data->lu) != 0) {
		return scsi_refuse(task, SENSE_COPY_ABORTED,
				   ASC_COPY_TARGET_NOT_REACHABLE);
	}
	return true;
}

/* The same blocks moved within a unit, range by range, could meet what an
 * earlier range has overwritten: those writes revoke the token. */
bool scsi_write_using_token(struct scsi_task *task)
{
	struct scsi_range range[COPY_MAX_RANGES];
	struct scsi_token_data data;
	struct scsi_copy *copy;
	const uint8_t *p;
	unsigned count;
	uint64_t blocks, bytes, offset;
	uint8_t flags;
	uint16_t asc;
	size_t len;

	if (task->length == 0) {
		return scsi_good(task);
	}
	p = token_list(task, WRITE_HEADER, &len);
	if (p == NULL ||
	    !parse_ranges(task, p, len, WRITE_HEADER, range, &count, &blocks)) {
		return true;
	}
	flags = p[2];
	/* In blocks of the unit that is written to, whatever those of the
	 * token's are. */
	offset = get_be64(p + 8);
	offset = offset > UINT64_MAX >> task->lu->shift
			 ? UINT64_MAX
			 : offset << task->lu->shift;
	asc = scsi_token_find(p + 16, task, &data);
	if (asc != 0) {
		return scsi_fail(task, SENSE_ILLEGAL_REQUEST, asc);
	}
	if (!check_source(task, &data, offset)) {
		goto refused;
	}
	copy = scsi_copy_new(task); /* p is gone */
	if (copy == NULL) {
		goto refused;
	}
	copy->lu[0] = data.lu;
	copy->lu[1] = task->lu;
	copy->token = data.id;
	copy->delete_token = data.id != 0 && (flags & FLAG_DEL_TKN);
	plan(copy, &data, offset, range, count);
	bytes = (blocks - (blocks != 0)) << task->lu->shift;
	if (bytes >= data.bytes - offset) { /* not even a part of the last */
		copy->good = COPY_STATUS_PARTIAL;
	}
	copy->op = scsi_copy_op_new(task, get_be32(task->cdb + 6));
	if (copy->op == NULL) {
		goto refused;
	}
	return scsi_copy_run(task, flags & FLAG_IMMED);
refused:
	task->copy_lu[0] = NULL;
	return true;
}

/* ---- VPD 8Fh ---- */

static uint8_t *descriptor(uint8_t *p, uint16_t type, uint16_t len)
{
	put_be16(p, type);
	put_be16(p + 2, len);
	return p + 4 + len;
}

/* 0001h: operation codes, each with its service actions */
static uint8_t *supported_commands(uint8_t *p)
{
	static const uint8_t commands[] = {
		0x83, 5, 0x00, 0x01, 0x10, 0x11, 0x1c,
		0x84, 5, 0x00, 0x03, 0x04, 0x05, 0x07,
	};
	uint8_t *end = descriptor(p, 0x0001, 16);

	p[4] = sizeof(commands);
	memcpy(p + 5, commands, sizeof(commands));
	return end;
}

/* 0106h: what is told for block devices */
static uint8_t *token_features(const struct scsi_lu *lu, uint8_t *p)
{
	uint8_t *end = descriptor(p, 0x0106, 92), *f = p + 48;

	p[4] = 0; /* no tokens of other copy managers */
	put_be32(p + 16, COPY_TIMEOUT);
	put_be32(p + 20, COPY_MAX_TIMEOUT);
	put_be32(p + 24, COPY_MAX_TIMEOUT);
	put_be16(p + 46, 48);
	put_be16(f + 2, 44);
	put_be16(f + 6, SCSI_OPTIMAL_GRANULE >> lu->shift);
	put_be64(f + 8, COPY_MAX_TOKEN_BYTES);
	put_be64(f + 16, COPY_BEST_TOKEN_BYTES);
	put_be64(f + 24, COPY_BEST_TOKEN_BYTES);
	put_be64(f + 32, COPY_BEST_TOKEN_BYTES);
	return end;
}

/* 0108h: ROD types, ascending, whether tokens come in and go out; none is
 * preferred: zeroes take nothing that could run out. */
static uint8_t *rod_types(uint8_t *p)
{
	uint8_t *end = descriptor(p, 0x0108, 4 + 2 * 64);

	put_be16(p + 6, 2 * 64);
	put_be32(p + 8, ROD_TYPE_PIT);
	p[12] = 0x03; /* TOKEN_IN, TOKEN_OUT */
	put_be32(p + 72, ROD_TYPE_ZERO);
	p[76] = 0x02; /* TOKEN_IN */
	return end;
}

size_t scsi_vpd_third_party(struct scsi_task *task, uint8_t *buf)
{
	const struct scsi_lu *lu = task->lu;
	uint8_t *p = buf + 4, *next;

	/* 0000h block device ROD token limits: the one that Windows wants */
	next = descriptor(p, 0x0000, 32);
	put_be16(p + 10, COPY_MAX_RANGES);
	put_be32(p + 12, COPY_MAX_TIMEOUT);
	put_be32(p + 16, COPY_TIMEOUT);
	put_be64(p + 20, COPY_MAX_TOKEN_BYTES >> lu->shift);
	put_be64(p + 28, COPY_BEST_TOKEN_BYTES >> lu->shift);
	p = supported_commands(next);
	next = descriptor(p, 0x0004, 28); /* parameter data */
	put_be16(p + 8, SCSI_COPY_UNITS);
	put_be16(p + 10, COPY_MAX_SEGMENTS);
	put_be32(p + 12, COPY_MAX_LIST);
	p = next;
	next = descriptor(p, 0x0008, 4); /* descriptor type codes */
	p[4] = 2;
	p[5] = COPY_SEGMENT_TYPE;
	p[6] = COPY_CSCD_TYPE;
	p = next;
	next = descriptor(p, 0x000c, 4); /* CSCD identifiers: none are fixed */
	p = token_features(lu, next);
	next = rod_types(p);
	p = next;
	next = descriptor(p, 0x8001, 32); /* general copy operations */
	put_be32(p + 4, COPY_HELD);
	put_be32(p + 8, COPY_HELD);
	put_be32(p + 12, COPY_SEGMENT_BLOCKS << lu->shift);
	p[16] = (uint8_t)lu->shift;
	return (size_t)(next - buf);
}
