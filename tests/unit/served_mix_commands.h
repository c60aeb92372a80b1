/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The commands of test_served_mix: each is sent, and noted for the model. */
#ifndef SERVED_MIX_COMMANDS_H
#define SERVED_MIX_COMMANDS_H

#include "served_mix.h"

static struct op *new_op(unsigned s, const char *name, enum effect effect)
{
	struct op *op = &m.op[m.ops++];

	*op = (struct op){
		.session = s, .name = name, .effect = effect, .makes = -1};
	return op;
}

static void fill_tag(uint8_t *p, uint32_t tag, size_t len)
{
	for (size_t i = 0; i < len; i += 4) {
		memcpy(p + i, &tag, 4);
	}
}

static uint8_t buffer[2 * MAX_OP];

/* Send; as much of the data as may go along does, R2Ts ask for the rest. */
static void send_op(struct op *op, const uint8_t cdb[16], uint32_t out,
		    uint32_t in)
{
	struct peer *p = m.peer[op->session];
	uint8_t bhs[48];
	bool along = out && (op->session == 0 || op->session == 3) &&
		     out <= 65536 && below(2);

	command(p, bhs,
		out  ? FW
		: in ? FR
		     : ISCSI_FLAG_FINAL,
		out ? out : in, 0, 0, 0);
	memcpy(bhs + 32, cdb, 16);
	op->itt = p->itt;
	if (out) {
		op->data = malloc(out);
		memcpy(op->data, buffer, out);
	}
	peer_send(p, bhs, buffer, along ? out : 0);
}

static uint32_t any_range(uint32_t *count, uint32_t most)
{
	uint32_t lba = below(2) ? below(64) * (m.blocks / 64)
				: below(32768) * 7919 % m.blocks;

	*count = 1 + below(below(2) ? 8 : most);
	if (*count > m.blocks - lba) {
		*count = m.blocks - lba;
	}
	return lba;
}

static void cdb16(uint8_t cdb[16], uint8_t opcode, const struct op *op)
{
	memset(cdb, 0, 16);
	cdb[0] = opcode;
	put_be64(cdb + 2, op->lba);
	put_be32(cdb + 10, op->count);
}

static void send_write(unsigned s)
{
	static const uint8_t opcodes[] = {0x8a, 0x8a, 0x9c, 0x9c, 0x8e, 0x8b};
	uint8_t opcode = opcodes[below(sizeof(opcodes))], cdb[16];
	struct op *op = new_op(s,
			       opcode == 0x8b	? "ORWRITE"
			       : opcode == 0x9c ? "WRITE ATOMIC"
						: "WRITE",
			       opcode == 0x8b ? ORS : SETS);

	op->lba = any_range(&op->count, MAX_OP / m.block);
	op->tag = opcode == 0x8b ? 1u << below(32) : m.next_tag++;
	op->atomic = opcode == 0x9c;
	fill_tag(buffer, op->tag, (size_t)op->count * m.block);
	cdb16(cdb, opcode, op);
	cdb[1] = below(4) ? 0 : opcode == 0x8e ? 0 : 0x08; /* FUA */
	if (op->atomic) {
		put_be16(cdb + 10, 0);
		put_be16(cdb + 12, (uint16_t)op->count);
	}
	send_op(op, cdb, op->count * m.block, 0);
}

static void send_read(unsigned s)
{
	struct op *op = new_op(s, "READ", READS);
	uint8_t cdb[16];

	op->lba = any_range(&op->count, MAX_OP / m.block);
	op->data = calloc(op->count, m.block);
	cdb16(cdb, 0x88, op);
	send_op(op, cdb, 0, op->count * m.block);
}

static void send_same(unsigned s)
{
	struct op *op = new_op(s, "WRITE SAME", SETS);
	unsigned how = below(3);
	uint8_t cdb[16];

	op->lba = any_range(&op->count, m.blocks / 4);
	op->tag = how == 0 ? m.next_tag++ : 0;
	fill_tag(buffer, op->tag, m.block);
	cdb16(cdb, 0x93, op);
	cdb[1] = how == 0 ? 0 : how == 1 ? 0x01 : 0x09; /* UNMAP, NDOB */
	send_op(op, cdb, how == 0 ? m.block : 0, 0);
}

static void send_unmap(unsigned s)
{
	struct op *op = new_op(s, "UNMAP", SETS);
	uint8_t cdb[16] = {0x42};

	op->lba = any_range(&op->count, m.blocks / 2);
	memset(buffer, 0, 24);
	put_be16(buffer, 22);
	put_be16(buffer + 2, 16);
	put_be64(buffer + 8, op->lba);
	put_be32(buffer + 16, op->count);
	put_be16(cdb + 7, 24);
	send_op(op, cdb, 24, 0);
}

/* With what was there when the round began, which may be no more. */
static void send_compare(unsigned s)
{
	struct op *op = new_op(s, "COMPARE AND WRITE", SETS);
	uint8_t cdb[16];

	op->lba = any_range(&op->count, 8);
	op->tag = m.next_tag++;
	for (uint32_t i = 0; i < op->count; i++) {
		fill_tag(buffer + (size_t)i * m.block, m.tag[op->lba + i],
			 m.block);
	}
	fill_tag(buffer + (size_t)op->count * m.block, op->tag,
		 (size_t)op->count * m.block);
	cdb16(cdb, 0x89, op);
	put_be32(cdb + 10, 0);
	cdb[13] = (uint8_t)op->count;
	send_op(op, cdb, 2 * op->count * m.block, 0);
}

static void send_copy(unsigned s)
{
	struct op *op = new_op(s, "EXTENDED COPY", COPIES);
	uint8_t cdb[16] = {0x83};
	struct list l;

	op->from = any_range(&op->count, m.blocks / 4);
	op->lba = below(m.blocks - op->count + 1);
	list_start(&l, (uint8_t)(m.ops + 32 * s), 0);
	list_target_of(&l, m.lu->scsi, m.block);
	list_segment(&l, 0, 0, (uint16_t)op->count, op->from, op->lba);
	memcpy(buffer, l.bytes, l.len);
	put_be32(cdb + 10, (uint32_t)l.len);
	send_op(op, cdb, (uint32_t)l.len, 0);
}

static void send_token(unsigned s)
{
	struct token *t = &m.token[below(2)];
	uint8_t cdb[16] = {0x83, 0x10};
	struct op *op;

	if (t->known && t->lba + t->count <= m.blocks) {
		op = new_op(s, "WRITE USING TOKEN", COPIES);
		op->lba = below(m.blocks - t->count + 1);
		op->count = t->count;
		op->tags = t->tags;
		memset(buffer, 0, 552);
		put_be16(buffer, 550);
		memcpy(buffer + 16, t->rod, 512);
		put_be16(buffer + 534, 16);
		put_be64(buffer + 536, op->lba);
		put_be32(buffer + 544, op->count);
		cdb[1] = 0x11;
		put_be32(cdb + 6, 0x1000 + (uint32_t)m.ops);
		put_be32(cdb + 10, 552);
		send_op(op, cdb, 552, 0);
		return;
	}
	for (size_t i = 0; i < m.ops; i++) {
		if (m.op[i].makes == t - m.token) {
			return; /* one at a time */
		}
	}
	op = new_op(s, "POPULATE TOKEN", NOTHING);
	t->lba = any_range(&t->count, m.blocks / 8);
	t->list_id = 0x2000 + (uint32_t)m.ops;
	t->session = s;
	t->known = t->asked = false;
	op->makes = (int)(t - m.token);
	memset(buffer, 0, 32);
	put_be16(buffer, 30);
	put_be16(buffer + 14, 16);
	put_be64(buffer + 16, t->lba);
	put_be32(buffer + 24, t->count);
	put_be32(cdb + 6, t->list_id);
	put_be32(cdb + 10, 32);
	send_op(op, cdb, 32, 0);
}

/* SANITIZE or FORMAT UNIT, of all there is. */
static void send_erase(unsigned s)
{
	bool overwrite = below(2);
	struct op *op;
	uint8_t cdb[16] = {0x48};

	if (m.growing) {
		return; /* how much would there be? */
	}
	op = new_op(s, "SANITIZE", SETS);
	op->count = m.blocks;
	if (below(3) == 0) {
		op->name = "FORMAT UNIT";
		memset(buffer, 0, 4);
		buffer[1] = 0x02; /* IMMED */
		cdb[0] = 0x04;
		cdb[1] = 0x10;
		send_op(op, cdb, 4, 0);
		return;
	}
	op->tag = overwrite ? m.next_tag++ : 0;
	cdb[1] = (uint8_t)((overwrite ? 0x01 : 0x02) | (below(2) ? 0x80 : 0));
	put_be16(cdb + 7, overwrite ? 8 : 0);
	memset(buffer, 0, 4);
	buffer[0] = 1;
	put_be16(buffer + 2, 4);
	fill_tag(buffer + 4, op->tag, 4);
	send_op(op, cdb, overwrite ? 8 : 0, 0);
}

static void send_reservation(unsigned s)
{
	static const uint8_t types[] = {1, 3, 5, 6, 7, 8};
	static const uint8_t actions[] = {6, 6, 1, 2, 3, 4, 5, 5};
	uint8_t action = actions[below(sizeof(actions))];
	struct op *op = new_op(s, "PERSISTENT RESERVE OUT", NOTHING);
	uint8_t cdb[16] = {0x5f, action, types[below(sizeof(types))]};

	if (action == 6 || action == 3) {
		cdb[2] = 0;
	}
	memset(buffer, 0, 24);
	put_be64(buffer, s + 1);
	/* Another's: PREEMPT AND ABORT with its own key would end its own
	 * commands, without a word. */
	put_be64(buffer + 8,
		 action == 6 ? s + 1
			     : 1 + (s + 1 + below(SESSIONS - 1)) % SESSIONS);
	put_be32(cdb + 5, 24);
	send_op(op, cdb, 24, 0);
}

static void send_other(unsigned s)
{
	struct op *op = new_op(s, "another command", NOTHING);
	uint8_t cdb[16] = {0};

	switch (below(6)) {
	case 0:
		cdb[0] = 0x91; /* SYNCHRONIZE CACHE(16) */
		cdb[1] = below(2) ? 0x02 : 0;
		send_op(op, cdb, 0, 0);
		return;
	case 1:
		cdb[0] = 0x90; /* PRE-FETCH(16) */
		cdb[1] = below(2) ? 0x02 : 0;
		put_be32(cdb + 10, 100);
		send_op(op, cdb, 0, 0);
		return;
	case 2: /* SET TARGET PORT GROUPS */
		memset(buffer, 0, 8);
		buffer[4] = (uint8_t)below(3);
		put_be16(buffer + 6, (uint16_t)(1 + below(2)));
		cdb[0] = 0xa4;
		cdb[1] = 0x0a;
		put_be32(cdb + 6, 8);
		send_op(op, cdb, 8, 0);
		return;
	case 3:
		cdb[0] = 0x4c; /* LOG SELECT */
		cdb[1] = 0x02;
		cdb[2] = 0x40;
		send_op(op, cdb, 0, 0);
		return;
	case 4:
		cdb[0] = 0x1d; /* SEND DIAGNOSTIC: self-tests */
		cdb[1] = (uint8_t)((below(2) ? 1 : 4) << 5);
		send_op(op, cdb, 0, 0);
		return;
	case 5:
		cdb[0] = 0x8f; /* VERIFY(16) */
		put_be32(cdb + 10, 1000 % m.blocks);
		send_op(op, cdb, 0, 0);
		return;
	}
}

static void send_function(unsigned s)
{
	static const uint8_t functions[] = {ISCSI_TMF_ABORT_TASK,
					    ISCSI_TMF_ABORT_TASK_SET,
					    ISCSI_TMF_CLEAR_TASK_SET,
					    ISCSI_TMF_LU_RESET};
	uint8_t function = functions[below(4)];
	struct function *fn = &m.fn[m.fns++];
	struct peer *p = m.peer[s];
	uint32_t rtt = ISCSI_TAG_NONE;

	*fn = (struct function){.session = s, .before = m.ops};
	if (function == ISCSI_TMF_ABORT_TASK) {
		rtt = fn->task = p->itt;
	}
	fn->itt = send_tmf(p, function, rtt, p->cmdsn - 1, 0);
}

#endif /* SERVED_MIX_COMMANDS_H */
