/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Everything at once: several sessions on two lanes and two portal groups send
 * whatever changes a disk or may keep others from it (writes of all kinds,
 * atomic ones, copies, tokens, SANITIZE and FORMAT UNIT, reservations, states
 * of target ports), abort, reset, drop their connections; the disk grows
 * meanwhile. After each round every block has to hold what the commands that
 * were answered, or may have been carried out, can have left there; and still
 * does when the file has been closed, checked, compacted and opened again.
 *
 * What is sent follows from the seed. MIX_SEED and MIX_PHASES make other and
 * longer runs.
 */
#include "served_mix_commands.h"

/* ---- the main thread and the sessions ---- */

static void over(struct tevent_context *ev, struct tevent_timer *te,
		 struct timeval now, void *private_data)
{
	*(bool *)private_data = true;
}

/* What waits there is done, and what comes in the next millisecond. */
static void pump(void)
{
	bool done = false;

	tevent_add_timer(m.b->ev, m.b->ev, tevent_timeval_current_ofs(0, 1000),
			 over, &done);
	while (!done) {
		assert_int_equal(tevent_loop_once(m.b->ev), 0);
	}
}

static void keep(void *lu_private, const void *state, size_t len,
		 struct iscsi_lu_store *store, void *private_data)
{
	iscsi_lu_stored(store, 0);
}

/* @param cut  the connection ends first; else the session is reinstated */
static void login(unsigned s, bool cut)
{
	static const char *const keys[] = {
		"ImmediateData=Yes;InitialR2T=No",
		"ImmediateData=No",
		"ImmediateData=No;DataDigest=CRC32C",
		"HeaderDigest=CRC32C",
	};
	struct peer *old = m.peer[s], *p;
	uint32_t itt = old ? old->itt : 10000 * (s + 1);

	if (old && cut) {
		peer_close(old);
		old = NULL;
	}
	m.b->addr = m.portal[s == SESSIONS - 1];
	p = m.peer[s] = peer_connect(m.b);
	p->isid[5] = (uint8_t)(s + 1);
	p->itt = itt;
	peer_answers(p);
	/* its predecessor's commands come to their end first */
	peer_login(p, keys[s]);
	if (old) {
		peer_close(old);
	}
}

/* @return sense key, code and qualifier; 0: GOOD */
static uint32_t sense_of(const struct peer *p)
{
	if (p->bhs[3] == 0) {
		return 0;
	}
	if (p->bhs[3] != 2 || p->len < 16) {
		return 0xff0000u | p->bhs[3];
	}
	return (uint32_t)(p->data[4] & 0xf) << 16 | get_be16(p->data + 14);
}

/* Alone on its session: a command that is answered without R2Ts. @return as
 * sense_of(); data is in p->data */
static uint32_t ask(struct peer *p, const uint8_t cdb[16], const void *data,
		    uint32_t len, uint32_t in)
{
	uint8_t bhs[48];
	bool answered = false;
	uint32_t got = 0;

	command(p, bhs,
		len  ? FW
		: in ? FR
		     : ISCSI_FLAG_FINAL,
		len ? len : in, 0, 0, 0);
	memcpy(bhs + 32, cdb, 16);
	peer_send(p, bhs, NULL, 0);
	while (!answered) {
		int op = peer_recv(p);

		switch (op) {
		case ISCSI_OP_R2T:
			data_out(p, p->itt, get_be32(p->bhs + 20), 0, 0, data,
				 len, true);
			break;
		case ISCSI_OP_DATA_IN:
			got = p->len;
			answered = p->bhs[1] & ISCSI_DATA_STATUS;
			break;
		case ISCSI_OP_SCSI_RSP:
			answered = true;
			break;
		default:
			assert_int_equal(op, ISCSI_OP_ASYNC);
		}
	}
	return got && in ? 0 : sense_of(p);
}

static void settle(struct peer *p)
{
	static const uint8_t test_unit_ready[16];

	while (ask(p, test_unit_ready, NULL, 0, 0) >> 16 == 6) {
	}
}

/* Until no SANITIZE, FORMAT UNIT or self-test is under way. */
static void idle(struct peer *p)
{
	static const uint8_t test_unit_ready[16];
	uint32_t sense;

	for (;;) {
		sense = ask(p, test_unit_ready, NULL, 0, 0);
		if (sense >> 16 != 6 && sense != 0x20404 && sense != 0x2041b &&
		    sense != 0x20409) {
			return;
		}
	}
}

/* ---- answers ---- */

static struct op *find_op(unsigned s, uint32_t itt)
{
	for (size_t i = 0; i < m.ops; i++) {
		if (m.op[i].session == s && m.op[i].itt == itt) {
			return &m.op[i];
		}
	}
	fail_msg("session %u: an answer to no command, tag %u", s, itt);
	return NULL;
}

/* What does it mean for the blocks? */
static enum outcome outcome_of(const struct op *op, uint32_t sense)
{
	switch (sense >> 16) {
	case 0:
		return DONE;
	case 0x2: /* NOT READY */
	case 0x5: /* ILLEGAL REQUEST */
	case 0x6: /* UNIT ATTENTION */
	case 0x7: /* DATA PROTECT */
	case 0x4: /* SET TARGET PORT GROUPS, of one that is unavailable */
	case 0xe: /* MISCOMPARE */
		return NOT;
	case 0xa: /* COPY ABORTED */
	case 0xb: /* ABORTED COMMAND */
		return MAYBE;
	case 0xff:
		assert_true((sense & 0xff) == 0x18 || (sense & 0xff) == 0x40);
		return (sense & 0xff) == 0x18 ? NOT : MAYBE;
	}
	explain(op->lba);
	fail_msg("session %u: %s: sense %05x", op->session, op->name, sense);
	return MAYBE;
}

/* The responses that came before its own are all that its session gets. */
static void function_done(unsigned s, uint32_t itt)
{
	for (size_t i = 0; i < m.fns; i++) {
		struct function *fn = &m.fn[i];

		if (fn->session != s || fn->itt != itt) {
			continue;
		}
		fn->done = true;
		for (size_t k = 0; k < fn->before; k++) {
			struct op *op = &m.op[k];

			if (op->session == s && op->outcome == PENDING &&
			    (fn->task == 0 || op->itt == fn->task) &&
			    m.peer[s]->bhs[2] == ISCSI_TMF_COMPLETE) {
				op->outcome = MAYBE;
			}
		}
	}
}

static void take_answer(unsigned s)
{
	struct peer *p = m.peer[s];
	int opcode = peer_recv(p);
	uint32_t itt = get_be32(p->bhs + 16), off;
	struct op *op;

	switch (opcode) {
	case ISCSI_OP_SCSI_RSP:
		op = find_op(s, itt);
		op->outcome = outcome_of(op, sense_of(p));
		break;
	case ISCSI_OP_DATA_IN:
		op = find_op(s, itt);
		off = get_be32(p->bhs + 40);
		assert_true(off + p->len <= op->count * m.block);
		memcpy(op->data + off, p->data, p->len);
		if (p->bhs[1] & ISCSI_DATA_STATUS) {
			op->outcome = DONE;
		}
		break;
	case ISCSI_OP_R2T:
		assert_true(m.num_owed < SESSIONS * OPS);
		m.owed[m.num_owed++] =
			(struct owed){s, itt, get_be32(p->bhs + 20),
				      get_be32(p->bhs + 40),
				      get_be32(p->bhs + 44)};
		break;
	case ISCSI_OP_TMF_RSP:
		function_done(s, itt);
		break;
	default:
		assert_int_equal(opcode, ISCSI_OP_ASYNC);
	}
}

static void pay(struct owed owed)
{
	struct op *op = find_op(owed.session, owed.itt);

	data_out(m.peer[owed.session], owed.itt, owed.ttt, 0, owed.off,
		 op->data + owed.off, owed.len, true);
}

/* A session's commands get no answer any more. */
static void renew(unsigned s, bool cut)
{
	size_t left = 0;

	for (size_t i = 0; i < m.num_owed; i++) {
		if (m.owed[i].session != s) {
			m.owed[left++] = m.owed[i];
		}
	}
	m.num_owed = left;
	for (size_t i = 0; i < m.ops; i++) {
		if (m.op[i].session == s && m.op[i].outcome == PENDING) {
			m.op[i].outcome = MAYBE;
		}
	}
	for (size_t i = 0; i < m.fns; i++) {
		m.fn[i].done |= m.fn[i].session == s;
	}
	login(s, cut);
}

static bool all_answered(void)
{
	for (size_t i = 0; i < m.ops; i++) {
		if (m.op[i].outcome == PENDING) {
			return false;
		}
	}
	for (size_t i = 0; i < m.fns; i++) {
		if (!m.fn[i].done) {
			return false;
		}
	}
	return true;
}

/* Data that R2Ts ask for is late, and comes in any order of its commands. */
static void collect(void)
{
	unsigned waited = 0;

	while (!all_answered()) {
		struct pollfd pfd[SESSIONS];
		int n;

		for (unsigned s = 0; s < SESSIONS; s++) {
			pfd[s] = (struct pollfd){.fd = m.peer[s]->fd,
						 .events = POLLIN};
		}
		n = poll(pfd, SESSIONS, 1);
		pump();
		for (unsigned s = 0; s < SESSIONS; s++) {
			if (pfd[s].revents) {
				take_answer(s);
			}
		}
		if (m.num_owed && (n == 0 || m.num_owed > 4)) {
			unsigned which = waited % m.num_owed;
			struct owed owed = m.owed[which];

			m.owed[which] = m.owed[--m.num_owed];
			pay(owed);
		}
		waited += n == 0;
		if (waited > PATIENCE_MS) {
			for (size_t i = 0; i < m.ops; i++) {
				if (m.op[i].outcome == PENDING) {
					explain(m.op[i].lba);
				}
			}
			print_message("%zu R2Ts, %zu functions, growing %d\n",
				      m.num_owed, m.fns, m.growing);
			fail_msg("no answer");
		}
	}
	m.num_owed = 0;
	m.fns = 0;
}

/* ---- rounds ---- */

static void send_one(unsigned s)
{
	unsigned what = below(100);

	if (what < 34) {
		send_write(s);
	} else if (what < 46) {
		send_read(s);
	} else if (what < 54) {
		send_same(s);
	} else if (what < 60) {
		send_unmap(s);
	} else if (what < 68) {
		send_compare(s);
	} else if (what < 76) {
		send_copy(s);
	} else if (what < 83) {
		send_token(s);
	} else if (what < 85) {
		send_erase(s);
	} else if (what < 91) {
		send_reservation(s);
	} else {
		send_other(s);
	}
}

/* The 512 bytes of a token that has been made, where it can still be had. */
static void fetch_tokens(void)
{
	for (unsigned i = 0; i < 2; i++) {
		struct token *t = &m.token[i];
		struct peer *p = m.peer[t->session];
		uint8_t cdb[16] = {0x84, 0x07};

		if (!t->asked) {
			continue;
		}
		t->asked = false;
		put_be32(cdb + 2, t->list_id);
		put_be32(cdb + 10, 1024);
		if (ask(p, cdb, NULL, 0, 1024) == 0 && p->len == 550) {
			memcpy(t->rod, p->data + 38, 512);
			t->known = true;
		}
	}
}

/* Everybody may do everything again. */
static void calm(void)
{
	struct peer *p = m.peer[0];
	uint8_t cdb[16] = {0x5f, 0x06}, list[24] = {0};

	for (uint16_t group = 1; group <= 2; group++) {
		iscsi_portal_group_set(m.b->server, group,
				       SCSI_ACCESS_NON_OPTIMIZED);
		iscsi_portal_group_set(m.b->server, group,
				       SCSI_ACCESS_OPTIMIZED);
	}
	for (unsigned s = 0; s < SESSIONS; s++) {
		idle(m.peer[s]);
	}
	put_be64(list + 8, 1);
	put_be32(cdb + 5, 24);
	assert_int_equal(ask(p, cdb, list, 24, 0), 0);
	memset(list, 0, 24);
	put_be64(list, 1);
	cdb[1] = 0x03; /* CLEAR */
	assert_int_equal(ask(p, cdb, list, 24, 0), 0);
	for (unsigned s = 0; s < SESSIONS; s++) {
		settle(m.peer[s]);
	}
	fetch_tokens();
}

static struct tevent_req *start_growing(void)
{
	struct tevent_req *req;

	if (below(6) != 0 || m.kind->parent != NULL ||
	    vhd_disk_size(m.disk) + MiB > MAX_SIZE) {
		return NULL;
	}
	req = vhd_grow_send(m.vt->mem, m.b->ev, m.disk, MiB);
	assert_non_null(req);
	return req;
}

static void end_growing(struct tevent_req *req)
{
	if (req == NULL) {
		return;
	}
	assert_true(tevent_req_poll(req, m.b->ev));
	assert_int_equal(vhd_grow_recv(req, m.vt->mem, &m.vt->message), 0);
	talloc_free(req);
	iscsi_lu_capacity_changed(m.lu);
	/* in the model from the next round on: until then nobody writes there
	 */
	for (uint32_t lba = m.blocks; lba < vhd_disk_size(m.disk) / m.block;
	     lba++) {
		m.tag[lba] = 0;
	}
	m.blocks = (uint32_t)(vhd_disk_size(m.disk) / m.block);
}

static void round_once(void)
{
	struct tevent_req *growing = start_growing();
	unsigned event = below(4), victim = below(SESSIONS), n = below(OPS) + 1;
	bool cut = below(2);

	m.growing = growing != NULL;
	if (below(3) == 0) {
		iscsi_portal_group_set(m.b->server, (uint16_t)(1 + below(2)),
				       (enum scsi_access)below(4));
	}
	for (unsigned i = 0; i < n; i++) {
		for (unsigned s = 0; s < SESSIONS; s++) {
			if (i + 1 < OPS) {
				send_one(s);
			}
			if (event == 0 && s == victim && i == n / 2) {
				send_function(s);
			}
		}
	}
	if (event == 1) {
		renew(victim, cut);
	}
	collect();
	calm();
	check_round();
	end_growing(growing);
}

/* ---- phases ---- */

static void make(void)
{
	struct vhd_create_params params = {
		.format = vhd_format_of_name(m.kind->name),
		.type = m.kind->type,
		.size = START_SIZE,
		.sparse = true,
		.block_size = m.kind->block_size,
		.logical_sector = m.kind->sector,
	};
	struct vhd_disk *parent = NULL;

	memset(m.tag, 0, sizeof(m.tag));
	m.block = m.kind->sector ? m.kind->sector : 512;
	m.blocks = (uint32_t)(START_SIZE / m.block);
	if (m.kind->parent == NULL) {
		assert_int_equal(vt_create_params(m.vt, m.kind->name, &params),
				 0);
		return;
	}
	params.type = VHD_TYPE_DYNAMIC;
	assert_int_equal(vt_create_params(m.vt, m.kind->parent, &params), 0);
	assert_int_equal(vt_open(m.vt, m.kind->parent, 0, &parent), 0);
	fill_tag(image, PARENT_TAG, START_SIZE / 2);
	assert_int_equal(
		vt_rw(m.vt, parent, VHD_WRITE, 0, 0, image, START_SIZE / 2), 0);
	vhd_close(parent);
	for (uint32_t i = 0; i < m.blocks / 2; i++) {
		m.tag[i] = PARENT_TAG;
	}
	assert_int_equal(vt_create_child(m.vt, m.kind->name, m.kind->parent),
			 0);
}

static void map_unit(struct iscsi_lu *lu)
{
	struct iscsi_tgt_config config = bench_config(m.b);
	const struct iscsi_lun luns[] = {{0, lu}};

	config.luns = luns;
	config.num_luns = lu != NULL;
	assert_int_equal(iscsi_tgt_update(m.b->tgt, &config), 0);
}

/* TAS, saved: of what is aborted for another's sake everyone hears. */
static void tell_aborts(void)
{
	uint8_t sense[16] = {0x5a, 0x08, 0x0a}, cdb[16] = {0x55, 0x11};
	uint8_t list[20] = {0};

	put_be16(sense + 7, 255);
	assert_int_equal(ask(m.peer[0], sense, NULL, 0, 255), 0);
	memcpy(list + 8, m.peer[0]->data + 8, 12);
	list[8] &= 0x3f;
	list[8 + 5] |= 0x40;
	put_be16(cdb + 7, 20);
	assert_int_equal(ask(m.peer[0], cdb, list, 20, 0), 0);
}

static void serve(void)
{
	struct iscsi_lu_config config = {
		.vendor = "istmd",
		.product = "VIRTUAL-DISK",
		.revision = "1",
		.serial = "2",
		.guid = {4, 5, 6},
		.enabled = true,
	};

	m.disk = vt_open_chain(m.vt, m.kind->name, 0);
	config.disk = m.disk;
	m.lu = iscsi_lu_add(m.b->server, &config);
	assert_non_null(m.lu);
	map_unit(m.lu);
	for (unsigned s = 0; s < SESSIONS; s++) {
		if (m.peer[s] == NULL) {
			login(s, true);
		}
		/* until it sees the unit */
		while (ask(m.peer[s], (const uint8_t[16]){0}, NULL, 0, 0) ==
		       0x52500) {
		}
		settle(m.peer[s]);
	}
	tell_aborts();
	calm();
}

static void unserve(void)
{
	struct tevent_req *req;

	memset(m.token, 0, sizeof(m.token));
	req = iscsi_lu_remove_send(m.b->ev, m.b->ev, m.lu);
	assert_true(tevent_req_poll(req, m.b->ev));
	assert_int_equal(iscsi_lu_remove_recv(req), 0);
	talloc_free(req);
	vhd_close(m.disk);
	m.lu = NULL;
}

static void check_file(void)
{
	vt_assert_sound(m.vt, vt_open_fd(m.vt, m.kind->name, O_RDONLY));
}

static void compact(void)
{
	struct vhd_compact result;
	int fd = vt_open_fd(m.vt, m.kind->name, O_RDWR);

	assert_int_equal(vt_compact_fd(m.vt, fd, m.kind->name, &result), 0);
}

/* What the file holds by itself. */
static void check_image(const char *when)
{
	m.disk = vt_open_chain(m.vt, m.kind->name, 0);
	assert_int_equal(vhd_disk_size(m.disk) / m.block, m.blocks);
	read_image();
	for (uint32_t lba = 0; lba < m.blocks; lba++) {
		struct set s = {1, {m.tag[lba]}};

		check_one(&s, lba,
			  tag_of(image + (size_t)lba * m.block, lba, when),
			  when);
	}
	vhd_close(m.disk);
}

static void run_kind(const struct kind *kind, unsigned seed, unsigned phases)
{
	struct sockaddr_in second = {.sin_family = AF_INET,
				     .sin_addr.s_addr =
					     htonl(INADDR_LOOPBACK + 1)};
	struct sockaddr_storage bound;

	m.kind = kind;
	m.seed = seed;
	m.next_tag = 0x01000000;
	random_next = seed;
	make();
	bench_store = keep;
	m.b = bench_start(2);
	bench_waits = pump;
	m.portal[0] = m.b->addr;
	assert_int_equal(iscsi_portal_add(m.b->server,
					  (struct sockaddr *)&second,
					  sizeof(second), 2),
			 0);
	assert_int_equal(iscsi_portal_address(m.b->server,
					      (struct sockaddr *)&second,
					      sizeof(second), &bound),
			 0);
	memcpy(&m.portal[1], &bound, sizeof(m.portal[1]));
	for (unsigned phase = 0; phase < phases; phase++) {
		serve();
		for (m.round = 0; m.round < ROUNDS; m.round++) {
			round_once();
		}
		unserve();
		check_file();
		check_image("closed");
		if (phase % 2 == 0) {
			compact();
			check_file();
			check_image("compacted");
		}
	}
	for (unsigned s = 0; s < SESSIONS; s++) {
		peer_close(m.peer[s]);
		m.peer[s] = NULL;
	}
	bench_waits = NULL;
	bench_stop(m.b);
	bench_store = NULL;
	unlink(vt_path(m.vt, kind->name));
	if (kind->parent != NULL) {
		unlink(vt_path(m.vt, kind->parent));
	}
}

static void test_mix(void **state)
{
	const char *seed = getenv("MIX_SEED"), *phases = getenv("MIX_PHASES");

	m.vt = *state;
	for (unsigned k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
		run_kind(&kinds[k], (seed ? (unsigned)atoi(seed) : 1) + k,
			 phases ? (unsigned)atoi(phases) : 1);
	}
	print_message("%lu commands, %lu good, %lu perhaps\n", m.sent, m.done,
		      m.maybe);
	assert_true(m.done > m.sent / 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_mix, vt_setup_memory,
						vt_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
