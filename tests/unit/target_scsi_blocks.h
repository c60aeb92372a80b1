/* SPDX-License-Identifier: GPL-3.0-or-later */
/* CDBs that name blocks, and data for them; with target_scsi_bench.h. */
#ifndef SCSI_BLOCKS_H
#define SCSI_BLOCKS_H

#include "target_scsi_bench.h"

/* A CDB of a kind: 6, 10, 12 or 16 bytes. */
static UNUSED size_t make_cdb(uint8_t cdb[16], uint8_t opcode, uint8_t flags,
			      uint64_t lba, uint32_t blocks)
{
	memset(cdb, 0, 16);
	cdb[0] = opcode;
	cdb[1] = flags;
	switch (opcode >> 5) {
	case 0:
		put_be24(cdb + 1, (uint32_t)lba);
		cdb[4] = (uint8_t)blocks;
		return 6;
	case 1:
	case 2:
		put_be32(cdb + 2, (uint32_t)lba);
		put_be16(cdb + 7, (uint16_t)blocks);
		return 10;
	case 5:
		put_be32(cdb + 2, (uint32_t)lba);
		put_be32(cdb + 6, blocks);
		return 12;
	default:
		put_be64(cdb + 2, lba);
		put_be32(cdb + 10, blocks);
		return 16;
	}
}

static UNUSED uint8_t block_op(struct bench *b, uint8_t opcode, uint8_t flags,
			       uint64_t lba, uint32_t blocks, const void *out,
			       size_t out_len)
{
	uint8_t cdb[16];
	size_t len = make_cdb(cdb, opcode, flags, lba, blocks);

	return bench_io(
		b, cdb, len,
		&(struct bench_io){
			.out = out,
			.out_len = out_len,
			/* pieces that fit nothing, a thousand at most */
			.split = out_len > 1024 ? 700 + out_len / 1000 : 0,
		});
}

static UNUSED void fill(uint8_t *p, size_t len, unsigned seed)
{
	size_t i;

	for (i = 0; i < len; i++) {
		p[i] = (uint8_t)(seed + i * 7 + i / 512);
	}
}

#endif /* SCSI_BLOCKS_H */
