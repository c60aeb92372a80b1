/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Mode pages (SPC-4 6.11 to 6.14, 7.5; SBC-3 6.5). A page is its default
 * bytes; the few bits that can be changed are bits of the unit's state, so
 * that the hot path reads them with one atomic load.
 */
#include "target/scsi_commands.h"

#define PC_CURRENT    0
#define PC_CHANGEABLE 1
#define PC_DEFAULT    2
#define PC_SAVED      3

#define PAGE_CONTROL 0x0a
#define PAGE_ALL     0x3f
#define SUBPAGE_ALL  0xff

/* Informational exceptions, and its subpage: scsi_space.c */
#define PAGE_EXCEPTIONS 0x1c
#define SUBPAGE_SPACE	0x02
#define PAGE_MAX	32
#define PAGE_PS		0x80 /* can be saved */
#define PAGE_SPF	0x40 /* it is a subpage */

struct mode_bit {
	uint8_t byte, mask;
	unsigned state; /* SCSI_LU_ */
};

struct mode_page {
	uint8_t code, subpage;
	uint8_t len; /* with its header of two bytes, of subpages four */
	uint8_t bytes[PAGE_MAX];
	struct mode_bit changeable[3];
};

static const struct mode_page pages[] = {
	/* read-write error recovery (SBC-3 6.5.8): AWRE, ARRE; LBPERE, so
	 * that thresholds are notified of (4.7.3.7.5) */
	{0x01, 0x00, 12, {0x01, 0x0a, 0xc0, 0, 0, 0, 0, 0x80}, {{0}}},
	/* caching (SBC-3 6.5.5): WCE. The page cache is volatile. */
	{0x08, 0x00, 20, {0x08, 0x12}, {{2, 0x04, SCSI_LU_WCE}}},
	/* control (SPC-4 7.5.8): a task set for each nexus (TST 001b),
	 * unrestricted reordering, unit attentions cleared when told */
	{0x0a,
	 0x00,
	 12,
	 {0x0a, 0x0a, 0x20, 0x10},
	 {{2, 0x04, SCSI_LU_D_SENSE},
	  {4, 0x08, SCSI_LU_SWP},
	  {5, 0x40, SCSI_LU_TAS}}},
	/* control extension (SPC-4 7.5.9): TCMOS without SCSIP, the clock is
	 * the server's; IALUAE; sense data is as long as it gets */
	{0x0a, 0x01, 32, {0x4a, 0x01, 0, 0x1c, 0x05}, {{0}}},
	/* informational exceptions (SBC-3 6.5.6): DEXCPT, nothing is
	 * reported on its own */
	{0x1c, 0x00, 12, {0x1c, 0x0a, 0x08}, {{0}}},
};

#define NUM_PAGES   (sizeof(pages) / sizeof(pages[0]))
#define NUM_CHANGES 3

static unsigned page_header(const struct mode_page *page)
{
	return page->subpage != 0 ? 4 : 2;
}

/* Does a MODE SENSE for @code and @subpage get it? */
static bool wanted(uint8_t code, uint8_t subpage, uint8_t page_code,
		   uint8_t page_subpage)
{
	return (code == PAGE_ALL || code == page_code) &&
	       (subpage == SUBPAGE_ALL || subpage == page_subpage);
}

static bool is_ten(const struct scsi_task *task)
{
	return task->cdb[0] == 0x55 || task->cdb[0] == 0x5a;
}

/* ---- MODE SENSE ---- */

/* EXTENDED SELF-TEST COMPLETION TIME is the unit's own. */
static void page_bytes(const struct scsi_lu *lu, const struct mode_page *page,
		       uint8_t bytes[PAGE_MAX])
{
	memcpy(bytes, page->bytes, page->len);
	if (page->code == PAGE_CONTROL && page->subpage == 0) {
		uint64_t seconds = scsi_selftest_seconds(lu);

		put_be16(bytes + 10,
			 seconds < UINT16_MAX ? (uint16_t)seconds : UINT16_MAX);
	}
}

static size_t put_page(const struct scsi_lu *lu, uint8_t *buf,
		       const struct mode_page *page, unsigned pc,
		       unsigned state)
{
	unsigned i;

	if (pc == PC_CHANGEABLE) {
		memset(buf, 0, page->len);
		memcpy(buf, page->bytes, page_header(page));
	} else {
		page_bytes(lu, page, buf);
	}
	for (i = 0; i < NUM_CHANGES; i++) {
		const struct mode_bit *bit = &page->changeable[i];

		if (bit->mask == 0) {
			continue;
		}
		if (pc == PC_CHANGEABLE || (state & bit->state)) {
			buf[bit->byte] |= bit->mask;
		}
		if (lu->store != NULL) {
			buf[0] |= PAGE_PS;
		}
	}
	return page->len;
}

static bool sense_prepare_in(struct scsi_task *task)
{
	return scsi_prepare_in(task, is_ten(task) ? get_be16(task->cdb + 7)
						  : task->cdb[4]);
}

bool scsi_mode_sense_prepare(struct scsi_task *task)
{
	uint8_t code = task->cdb[2] & 0x3f, subpage = task->cdb[3];
	bool known = false;
	size_t i;

	if (task->cdb[2] >> 6 == PC_SAVED && task->lu->store == NULL) {
		return scsi_refuse(task, SENSE_ILLEGAL_REQUEST,
				   ASC_SAVING_NOT_SUPPORTED);
	}
	/* SPC-4 6.13.1: of page 0 only what comes before the pages */
	if (task->cdb[2] == 0 && subpage == 0) {
		return sense_prepare_in(task);
	}
	for (i = 0; i < NUM_PAGES; i++) {
		known |= code == PAGE_ALL || code == pages[i].code;
		if (wanted(code, subpage, pages[i].code, pages[i].subpage)) {
			break;
		}
	}
	if (!known) {
		return scsi_refuse_cdb(task, 2, 5);
	}
	if (i == NUM_PAGES &&
	    !wanted(code, subpage, PAGE_EXCEPTIONS, SUBPAGE_SPACE)) {
		return scsi_refuse_cdb(task, 3, 7);
	}
	/* All pages: with all subpages or with none. */
	if (code == PAGE_ALL && subpage != 0 && subpage != SUBPAGE_ALL) {
		return scsi_refuse_cdb(task, 3, 7);
	}
	return sense_prepare_in(task);
}

/* SBC-3 6.5.2: short and long LBA block descriptors */
static size_t put_block_descriptor(const struct scsi_task *task, uint8_t *buf)
{
	uint64_t blocks = scsi_lu_blocks(task->lu);

	if (task->cdb[1] & 0x08) { /* DBD */
		return 0;
	}
	if (is_ten(task) && (task->cdb[1] & 0x10)) { /* LLBAA */
		put_be64(buf, blocks);
		put_be32(buf + 12, task->lu->block);
		return 16;
	}
	put_be32(buf, blocks > UINT32_MAX ? UINT32_MAX : (uint32_t)blocks);
	put_be24(buf + 5, task->lu->block);
	return 8;
}

/* What the pages say, as bits of the unit's state. */
static unsigned parameters(struct scsi_lu *lu, unsigned pc)
{
	unsigned state = lu->defaults;

	if (pc == PC_SAVED) {
		pthread_mutex_lock(&lu->lock);
		state = lu->saved;
		pthread_mutex_unlock(&lu->lock);
	} else if (pc != PC_DEFAULT) {
		state = atomic_load(&lu->state);
	}
	return state;
}

bool scsi_mode_sense(struct scsi_task *task)
{
	uint8_t buf[8 + 16 + NUM_PAGES * PAGE_MAX + SCSI_SPACE_MODE_PAGE] = {0};
	unsigned pc = task->cdb[2] >> 6;
	uint8_t code = task->cdb[2] & 0x3f, subpage = task->cdb[3];
	unsigned state = parameters(task->lu, pc);
	size_t header = is_ten(task) ? 8 : 4;
	size_t len, descriptor, i;
	/* DPOFUA and, whatever PC says, the current WP (SBC-3 6.5.1) */
	uint8_t specific =
		0x10 | (scsi_lu_is(task->lu, SCSI_LU_SWP) ? 0x80 : 0);

	descriptor = put_block_descriptor(task, buf + header);
	len = header + descriptor;
	for (i = 0; i < NUM_PAGES; i++) {
		if (wanted(code, subpage, pages[i].code, pages[i].subpage)) {
			len += put_page(task->lu, buf + len, &pages[i], pc,
					state);
		}
	}
	if (wanted(code, subpage, PAGE_EXCEPTIONS, SUBPAGE_SPACE)) {
		len += scsi_space_mode_page(task->lu, buf + len,
					    (enum scsi_space_page)pc);
	}
	if (is_ten(task)) {
		put_be16(buf, (uint16_t)(len - 2));
		buf[3] = specific;
		buf[4] = descriptor == 16 ? 0x01 : 0; /* LONGLBA */
		put_be16(buf + 6, (uint16_t)descriptor);
	} else {
		buf[0] = (uint8_t)(len - 1);
		buf[2] = specific;
		buf[3] = (uint8_t)descriptor;
	}
	return scsi_data_in(task, buf, len);
}

/* ---- MODE SELECT ---- */

#define CDB_SP 0x01

bool scsi_mode_select_prepare(struct scsi_task *task)
{
	if (!(task->cdb[1] & 0x10)) { /* PF: pages as the standard has them */
		return scsi_refuse_cdb(task, 1, 4);
	}
	if ((task->cdb[1] & CDB_SP) && task->lu->store == NULL) {
		return scsi_refuse_cdb(task, 1, 0);
	}
	return scsi_prepare_list(task, is_ten(task) ? get_be16(task->cdb + 7)
						    : task->cdb[4]);
}

/* A parameter list being read. */
struct select {
	const uint8_t *p;
	size_t len, pos;
	unsigned clear, set; /* SCSI_LU_ bits */
	struct scsi_space_threshold threshold;
};

static bool too_short(struct scsi_task *task)
{
	scsi_fail(task, SENSE_ILLEGAL_REQUEST, ASC_PARAMETER_LIST_LENGTH);
	return false;
}

static bool bad_parameter(struct scsi_task *task, size_t byte, int bit)
{
	scsi_fail_parameter(task, (uint16_t)byte, bit);
	return false;
}

/* Header and block descriptor; the descriptor may only say what is so. */
static bool select_header(struct scsi_task *task, struct select *s)
{
	bool ten = is_ten(task);
	size_t header = ten ? 8 : 4, descriptor;
	uint64_t blocks, capacity = scsi_lu_blocks(task->lu);
	uint32_t block;
	bool longlba;

	if (s->len < header) {
		return too_short(task);
	}
	if (s->p[ten ? 2 : 1] != 0) { /* MEDIUM TYPE */
		return bad_parameter(task, ten ? 2 : 1, 7);
	}
	longlba = ten && (s->p[4] & 0x01);
	descriptor = ten ? get_be16(s->p + 6) : s->p[3];
	if (descriptor != 0 && descriptor != (longlba ? 16u : 8u)) {
		return bad_parameter(task, ten ? 6 : 3, 7);
	}
	s->pos = header + descriptor;
	if (s->len < s->pos) {
		return too_short(task);
	}
	if (descriptor == 0) {
		return true;
	}
	if (longlba) {
		blocks = get_be64(s->p + header);
		block = get_be32(s->p + header + 12);
	} else {
		blocks = get_be32(s->p + header);
		block = get_be24(s->p + header + 5);
		if (blocks == UINT32_MAX) {
			blocks = capacity;
		}
	}
	if (block != task->lu->block) {
		return bad_parameter(task, header + (longlba ? 12 : 5), 7);
	}
	if (blocks != 0 && blocks != capacity) {
		return bad_parameter(task, header, 7);
	}
	return true;
}

/* The bits that can be changed are taken out of @wrong and noted. */
static void take_changes(struct select *s, const struct mode_page *page,
			 unsigned byte, uint8_t value, uint8_t *wrong)
{
	unsigned i;

	for (i = 0; i < NUM_CHANGES; i++) {
		const struct mode_bit *bit = &page->changeable[i];

		if (bit->mask == 0 || bit->byte != byte) {
			continue;
		}
		*wrong &= (uint8_t)~bit->mask;
		if (value & bit->mask) {
			s->set |= bit->state;
			s->clear &= ~bit->state;
		} else {
			s->clear |= bit->state;
			s->set &= ~bit->state;
		}
	}
}

static bool select_space_page(struct scsi_task *task, struct select *s)
{
	int bit = 0, wrong;

	if (s->len - s->pos < SCSI_SPACE_MODE_PAGE) {
		return too_short(task);
	}
	wrong = scsi_space_parse_page(task->lu, s->p + s->pos, &s->threshold,
				      &bit);
	if (wrong != 0) {
		return bad_parameter(task, s->pos + (size_t)wrong, bit);
	}
	s->pos += SCSI_SPACE_MODE_PAGE;
	return true;
}

static bool select_page(struct scsi_task *task, struct select *s)
{
	const struct mode_page *page = NULL;
	const uint8_t *p = s->p + s->pos;
	size_t left = s->len - s->pos;
	uint8_t bytes[PAGE_MAX];
	size_t i;

	if (left < 2 || ((p[0] & PAGE_SPF) && left < 4)) {
		return too_short(task);
	}
	if (p[0] & PAGE_PS) { /* reserved here */
		return bad_parameter(task, s->pos, 7);
	}
	if (p[0] == (PAGE_SPF | PAGE_EXCEPTIONS) && p[1] == SUBPAGE_SPACE) {
		return select_space_page(task, s);
	}
	for (i = 0; i < NUM_PAGES; i++) {
		if (pages[i].bytes[0] == p[0] &&
		    (!(p[0] & PAGE_SPF) || pages[i].subpage == p[1])) {
			page = &pages[i];
		}
	}
	if (page == NULL) {
		return bad_parameter(task, s->pos, (p[0] & PAGE_SPF) ? 6 : 5);
	}
	/* PAGE LENGTH, which is of two bytes in subpages */
	for (i = 1; i < page_header(page); i++) {
		if (p[i] != page->bytes[i]) {
			return bad_parameter(task, s->pos + (i == 1 ? 1 : 2),
					     7);
		}
	}
	if (left < page->len) {
		return too_short(task);
	}
	page_bytes(task->lu, page, bytes);
	for (i = page_header(page); i < page->len; i++) {
		uint8_t wrong = p[i] ^ bytes[i];

		take_changes(s, page, (unsigned)i, p[i], &wrong);
		if (wrong != 0) {
			return bad_parameter(task, s->pos + i,
					     31 - __builtin_clz(wrong));
		}
	}
	s->pos += page->len;
	return true;
}

static bool same_threshold(const struct scsi_space_threshold *a,
			   const struct scsi_space_threshold *b)
{
	return a->set == b->set && a->enabled == b->enabled &&
	       a->count == b->count;
}

/* SP: the values that are current now are the saved ones (SPC-4 6.11). */
static bool select_save(struct scsi_task *task)
{
	struct scsi_lu *lu = task->lu;
	unsigned modes = atomic_load(&lu->state) & SCSI_LU_MODES;
	bool now = true;

	scsi_good(task);
	if (task->cdb[1] & CDB_SP) {
		pthread_mutex_lock(&lu->lock);
		if (lu->saved != modes ||
		    !same_threshold(&lu->saved_threshold, &lu->threshold)) {
			lu->saved = modes;
			lu->saved_threshold = lu->threshold;
			now = scsi_keep(task);
		}
		pthread_mutex_unlock(&lu->lock);
	}
	return now;
}

static bool select_flushed(struct scsi_task *task)
{
	if (task->req.error != 0) {
		return scsi_fail_io(task);
	}
	return select_save(task);
}

static bool select_apply(struct scsi_task *task, const struct select *s)
{
	struct scsi_lu *lu = task->lu;
	struct scsi_itl *itl = scsi_task_itl(task);
	unsigned before = atomic_load(&lu->state), after;

	if (itl == NULL) {
		return true;
	}
	do {
		after = (before & ~s->clear) | s->set;
	} while (!atomic_compare_exchange_weak(&lu->state, &before, after));
	if (s->threshold.set) {
		pthread_mutex_lock(&lu->lock);
		scsi_ua_raise_others(lu, itl, SCSI_UA_MODE_CHANGED);
		scsi_space_set_threshold(lu, &s->threshold);
		pthread_mutex_unlock(&lu->lock);
	}
	if (before == after) {
		return select_save(task);
	}
	scsi_log(3, "disk %d: %s set mode parameters %x, before %x",
		 (int)lu->config.index, task->nexus->initiator_name,
		 after & SCSI_LU_MODES, before & SCSI_LU_MODES);
	pthread_mutex_lock(&lu->lock);
	scsi_ua_raise_others(lu, itl, SCSI_UA_MODE_CHANGED);
	pthread_mutex_unlock(&lu->lock);
	if ((before & SCSI_LU_WCE) && !(after & SCSI_LU_WCE)) {
		/* SBC-3 6.5.5: what the cache holds goes to the medium. */
		return scsi_flush(task, select_flushed);
	}
	return select_save(task);
}

bool scsi_mode_select(struct scsi_task *task)
{
	struct select s = {0};

	if (task->length == 0) {
		return scsi_good(task);
	}
	s.p = scsi_parameters(task, &s.len);
	if (s.p == NULL || !select_header(task, &s)) {
		return true;
	}
	while (s.pos < s.len) {
		if (!select_page(task, &s)) {
			return true;
		}
	}
	return select_apply(task, &s);
}
