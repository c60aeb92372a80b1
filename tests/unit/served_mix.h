/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The model of test_served_mix: what blocks may hold after a round of commands.
 * All blocks that a command writes hold its tag, repeated. The end of each
 * round is read, so that sets of possible contents are those of one round.
 */
#ifndef SERVED_MIX_H
#define SERVED_MIX_H

#include "target_iscsi_commands.h"

#include <fcntl.h>
#include <unistd.h>

#include "vhd_helpers.h"

#define SESSIONS   4
#define OPS	   8 /* of a session in a round */
#define ROUNDS	   12
#define START_SIZE (4 * MiB)
#define MAX_SIZE   (8 * MiB)
#define MAX_BLOCKS (MAX_SIZE / 512)
#define MAX_OP	   65536u /* bytes of a command with data */
#define VALUES	   24

struct kind {
	const char *name, *parent;
	enum vhd_type type;
	uint32_t block_size, sector;
};

static const struct kind kinds[] = {
	{"fixed.vhd", NULL, VHD_TYPE_FIXED, 0, 0},
	{"dynamic.vhd", NULL, VHD_TYPE_DYNAMIC, MiB / 2, 0},
	{"child.vhd", "parent.vhd", VHD_TYPE_DIFFERENCING, MiB / 2, 0},
	{"fixed.vhdx", NULL, VHD_TYPE_FIXED, MiB, 0},
	{"dynamic.vhdx", NULL, VHD_TYPE_DYNAMIC, MiB, 0},
	{"child.vhdx", "parent.vhdx", VHD_TYPE_DIFFERENCING, MiB, 0},
	{"large.vhdx", NULL, VHD_TYPE_DYNAMIC, MiB, 4096},
};

#define PARENT_TAG 0x50415245u

/* ---- the model ---- */

/* What a command does to each of its blocks. */
enum effect { NOTHING, SETS, ORS, COPIES, READS };

enum outcome { PENDING, DONE, MAYBE, NOT };

struct op {
	unsigned session;
	uint32_t itt;
	const char *name;
	enum effect effect;
	enum outcome outcome;
	bool atomic;
	uint32_t lba, count, from;
	uint32_t tag;	      /* that it sends */
	const uint32_t *tags; /* COPIES by token: what it had; else NULL */
	int makes;	      /* the token that it makes, or -1 */
	uint8_t *data;	      /* that it reads, or sends */
};

struct token {
	bool known; /* its content is, and its 512 bytes are in rod */
	bool asked; /* it is made; to be fetched */
	uint32_t lba, count, list_id;
	unsigned session;
	uint8_t rod[512];
	uint32_t tags[MAX_BLOCKS];
};

/* Not yet aborted, and how far that reaches. */
struct function {
	unsigned session;
	uint32_t itt, task; /* 0: all of its session */
	size_t before;	    /* ops */
	bool done;
};

struct owed {
	unsigned session;
	uint32_t itt, ttt, off, len;
};

static struct mix {
	struct vt *vt;
	const struct kind *kind;
	unsigned seed, round;
	bool growing;
	struct bench *b;
	struct vhd_disk *disk;
	struct iscsi_lu *lu;
	struct peer *peer[SESSIONS];
	struct sockaddr_in portal[2];
	uint32_t block, blocks; /* bytes; of the disk, as initiators know it */
	uint32_t tag[MAX_BLOCKS], next_tag;
	struct op op[SESSIONS * OPS];
	size_t ops;
	struct function fn[SESSIONS];
	size_t fns;
	struct owed owed[SESSIONS * OPS];
	size_t num_owed;
	struct token token[2];
	unsigned long sent, done, maybe;
} m;

static unsigned random_next;

static unsigned below(unsigned n)
{
	random_next = random_next * 1103515245 + 12345;
	return (random_next >> 16 & 0x7fff) % n;
}

struct set {
	unsigned n;
	uint32_t v[VALUES];
};

static void add(struct set *s, uint32_t v)
{
	for (unsigned i = 0; i < s->n; i++) {
		if (s->v[i] == v) {
			return;
		}
	}
	assert_true(s->n < VALUES);
	s->v[s->n++] = v;
}

static bool touches(const struct op *op, uint32_t lba)
{
	return op->outcome != NOT && op->effect != NOTHING &&
	       op->effect != READS && lba >= op->lba &&
	       lba - op->lba < op->count;
}

/* What a block may have held at any time of the round. */
static void ever(struct set *s, uint32_t lba, unsigned depth)
{
	add(s, m.tag[lba]);
	for (size_t i = 0; i < m.ops; i++) {
		const struct op *op = &m.op[i];

		if (!touches(op, lba)) {
			continue;
		}
		if (op->effect == SETS) {
			add(s, op->tag);
		} else if (op->effect == COPIES && op->tags) {
			add(s, op->tags[lba - op->lba]);
		} else if (op->effect == COPIES && depth < 3) {
			ever(s, op->from + lba - op->lba, depth + 1);
		}
	}
	for (size_t i = 0; i < 2 * m.ops; i++) {
		const struct op *op = &m.op[i % m.ops];

		if (touches(op, lba) && op->effect == ORS) {
			for (unsigned n = s->n, k = 0; k < n; k++) {
				add(s, s->v[k] | op->tag);
			}
		}
	}
}

/* What it may hold at its end. */
static void finally(struct set *s, uint32_t lba)
{
	const struct op *one = NULL;
	bool replaced = false, again = false;
	unsigned n = 0;

	for (size_t i = 0; i < m.ops; i++) {
		const struct op *op = &m.op[i];

		if (touches(op, lba)) {
			one = op;
			n++;
			again |= op->effect == COPIES;
			replaced |= op->outcome == DONE && op->effect == SETS;
		}
	}
	s->n = 0;
	if (n == 0) {
		add(s, m.tag[lba]);
		return;
	}
	if (n == 1 && one->effect != COPIES) {
		uint32_t v =
			one->effect == SETS ? one->tag : m.tag[lba] | one->tag;

		add(s, v);
		if (one->outcome != DONE) {
			add(s, m.tag[lba]);
		}
		return;
	}
	ever(s, lba, 0);
	/* What was there before is there no more, unless it came back. */
	if (replaced && !again && n > 1) {
		uint32_t old = m.tag[lba];
		bool set = false;

		for (size_t i = 0; i < m.ops; i++) {
			set |= touches(&m.op[i], lba) && m.op[i].tag == old;
			set |= touches(&m.op[i], lba) && m.op[i].effect == ORS;
		}
		if (!set) {
			for (unsigned i = 0; i < s->n; i++) {
				if (s->v[i] == old) {
					s->v[i] = s->v[--s->n];
				}
			}
		}
	}
}

static void explain(uint32_t lba)
{
	for (size_t i = 0; i < m.ops; i++) {
		const struct op *op = &m.op[i];

		if (op->lba <= lba && lba - op->lba < op->count) {
			print_message("  session %u: %s of %u at %u, from %u, "
				      "tag %08x: outcome %d\n",
				      op->session, op->name, op->count, op->lba,
				      op->from, op->tag, op->outcome);
		}
	}
	print_message("seed %u, %s, round %u\n", m.seed, m.kind->name, m.round);
}

/* The one that a whole block is filled with. */
static uint32_t tag_of(const uint8_t *p, uint32_t lba, const char *when)
{
	uint32_t tag;

	memcpy(&tag, p, 4);
	for (uint32_t i = 4; i < m.block; i += 4) {
		if (memcmp(p, p + i, 4) != 0) {
			explain(lba);
			fail_msg("%s: block %u is torn", when, lba);
		}
	}
	return tag;
}

static void check_one(const struct set *s, uint32_t lba, uint32_t tag,
		      const char *when)
{
	for (unsigned i = 0; i < s->n; i++) {
		if (s->v[i] == tag) {
			return;
		}
	}
	explain(lba);
	fail_msg("%s: block %u is %08x, was %08x, of %u that may be", when, lba,
		 tag, m.tag[lba], s->n);
}

static uint8_t image[MAX_SIZE];

static void read_image(void)
{
	assert_int_equal(vt_rw(m.vt, m.disk, VHD_READ, 0, 0, image,
			       vhd_disk_size(m.disk)),
			 0);
}

/* All or nothing, where nobody else was. */
static void check_atomic(const struct op *op, const uint32_t *now)
{
	unsigned new = 0;

	for (uint32_t i = 0; i < op->count; i++) {
		for (size_t k = 0; k < m.ops; k++) {
			if (&m.op[k] != op && touches(&m.op[k], op->lba + i)) {
				return;
			}
		}
		new += now[op->lba + i] == op->tag;
	}
	if (new != 0 && new != op->count) {
		explain(op->lba);
		fail_msg("an atomic write is torn");
	}
}

static void check_read(const struct op *op)
{
	for (uint32_t i = 0; i < op->count; i++) {
		uint32_t lba = op->lba + i;
		struct set s = {0};

		ever(&s, lba, 0);
		check_one(&s, lba,
			  tag_of(op->data + (size_t)i * m.block, lba, "READ"),
			  "READ");
	}
}

static bool undisturbed(const struct token *t)
{
	for (uint32_t i = 0; i < t->count; i++) {
		for (size_t k = 0; k < m.ops; k++) {
			if (touches(&m.op[k], t->lba + i)) {
				return false;
			}
		}
	}
	return true;
}

/* The round is over. */
static void check_round(void)
{
	static uint32_t now[MAX_BLOCKS];
	struct set s;

	read_image();
	for (uint32_t lba = 0; lba < m.blocks; lba++) {
		now[lba] = tag_of(image + (size_t)lba * m.block, lba, "round");
		finally(&s, lba);
		check_one(&s, lba, now[lba], "round");
	}
	for (size_t i = 0; i < m.ops; i++) {
		struct op *op = &m.op[i];

		if (op->atomic && op->outcome == MAYBE) {
			check_atomic(op, now);
		}
		if (op->effect == READS && op->outcome == DONE) {
			check_read(op);
		}
		if (op->makes >= 0 && op->outcome == DONE) {
			struct token *t = &m.token[op->makes];

			t->asked = undisturbed(t);
			memcpy(t->tags, now + t->lba, t->count * 4);
		}
		m.done += op->outcome == DONE;
		m.maybe += op->outcome == MAYBE;
		free(op->data);
	}
	memcpy(m.tag, now, m.blocks * 4);
	m.sent += m.ops;
	m.ops = 0;
}

#endif /* SERVED_MIX_H */
