/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Parameter lists of EXTENDED COPY (SPC-4 6.4.3), both of LID1 and of LID4:
 * list_start() or list_start_lid4(), then targets, then segments.
 */
#ifndef SCSI_LISTS_H
#define SCSI_LISTS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "target/bytes.h"
#include "target/scsi.h"

struct list {
	uint8_t bytes[4096];
	size_t len;
	unsigned targets, segments;
	bool lid4;
};

static inline void list_start(struct list *l, uint8_t id, uint8_t usage)
{
	memset(l, 0, sizeof(*l));
	l->bytes[0] = id;
	l->bytes[1] = (uint8_t)(usage << 3);
	l->len = 16;
}

static inline void list_start_lid4(struct list *l, uint32_t id, uint8_t usage,
				   bool immediate)
{
	memset(l, 0, sizeof(*l));
	l->bytes[0] = 0x01; /* the list's format */
	l->bytes[1] = (uint8_t)(usage << 3);
	put_be16(l->bytes + 2, 32); /* this header's own descriptor */
	l->bytes[15] = immediate;
	l->bytes[16] = 0xff;
	put_be32(l->bytes + 20, id);
	l->len = 48;
	l->lid4 = true;
}

/* @param sector DISK BLOCK LENGTH */
static inline void list_target_of(struct list *l, const struct scsi_lu *lu,
				  uint32_t sector)
{
	uint8_t *p = l->bytes + l->len;

	assert_int_equal(l->segments, 0);
	p[0] = 0xe4; /* the unit by its designator */
	p[4] = 1;    /* binary */
	p[5] = 3;    /* NAA */
	p[7] = 16;
	scsi_lu_naa(lu, p + 8);
	put_be24(p + 29, sector);
	l->len += 32;
	put_be16(l->bytes + (l->lid4 ? 42 : 2), (uint16_t)(32 * ++l->targets));
}

static inline void list_target(struct list *l, const struct scsi_lu *lu)
{
	list_target_of(l, lu, 512);
}

/* Block to block. */
static inline void list_segment(struct list *l, unsigned from, unsigned to,
				uint16_t blocks, uint64_t from_lba,
				uint64_t to_lba)
{
	uint8_t *p = l->bytes + l->len;

	p[0] = 0x02;
	put_be16(p + 2, 24);
	put_be16(p + 4, (uint16_t)from);
	put_be16(p + 6, (uint16_t)to);
	put_be16(p + 10, blocks);
	put_be64(p + 12, from_lba);
	put_be64(p + 20, to_lba);
	l->len += 28;
	l->segments++;
	if (l->lid4) {
		put_be16(l->bytes + 44, (uint16_t)(28 * l->segments));
	} else {
		put_be32(l->bytes + 8, 28 * l->segments);
	}
}

#endif /* SCSI_LISTS_H */
