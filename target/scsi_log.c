/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Log pages (SPC-4 6.7, 6.8, 7.3; SBC-3 6.4), and what is counted for them: by
 * each nexus on its own lane, so that the hot path shares nothing with others.
 */
#include "target/scsi_commands.h"

#define CDB_SP	0x01
#define CDB_PCR 0x02

#define PC_CUMULATIVE 1
#define PC_DEFAULT    3

#define SUBPAGE_ALL 0xff

#define LOG_MAX 512 /* bytes of a page: self-test results have 404 */

/* ---- counters ---- */

static void add_itl(struct scsi_totals *t, const struct scsi_itl *itl)
{
	unsigned i;

	for (i = 0; i < SCSI_COUNTS; i++) {
		t->commands[i] += atomic_load_explicit(
			&((struct scsi_itl *)itl)->commands[i],
			memory_order_relaxed);
		t->bytes[i] += atomic_load_explicit(
			&((struct scsi_itl *)itl)->bytes[i],
			memory_order_relaxed);
	}
}

void scsi_count_gone(const struct scsi_itl *itl)
{
	add_itl(&itl->lu->gone, itl);
}

void scsi_count_error(struct scsi_task *task)
{
	unsigned kind = SCSI_OP_COUNTED(task->op);

	if (task->op->flags & SCSI_OP_WRITES) {
		kind = SCSI_COUNT_WRITES;
	}
	atomic_fetch_add(&task->lu->errors[kind], 1);
}

/* All since the unit is there. Caller holds its lock. */
static struct scsi_totals totals(struct scsi_lu *lu)
{
	struct scsi_totals t = lu->gone;
	const struct scsi_itl *itl;
	unsigned i;

	for (itl = lu->itls; itl != NULL; itl = itl->next) {
		add_itl(&t, itl);
	}
	for (i = 0; i < SCSI_COUNTS; i++) {
		t.errors[i] = atomic_load(&lu->errors[i]);
	}
	return t;
}

/* What a page tells: since @base, where LOG SELECT reset it last. By default
 * it is nothing. */
static struct scsi_totals counted(struct scsi_task *task,
				  const struct scsi_totals *base)
{
	struct scsi_lu *lu = task->lu;
	struct scsi_totals t = {0};
	unsigned i;

	if (task->cdb[2] >> 6 == PC_DEFAULT) {
		return t;
	}
	pthread_mutex_lock(&lu->lock);
	t = totals(lu);
	for (i = 0; i < SCSI_COUNTS; i++) {
		t.commands[i] -= base->commands[i];
		t.bytes[i] -= base->bytes[i];
		t.errors[i] -= base->errors[i];
	}
	pthread_mutex_unlock(&lu->lock);
	return t;
}

/* ---- pages ---- */

uint8_t *scsi_log_parameter(uint8_t *p, uint16_t code, uint8_t control,
			    uint8_t len)
{
	put_be16(p, code);
	p[2] = control;
	p[3] = len;
	return p + 4;
}

/* SPC-4 7.3.15, 7.3.20, 7.3.21: nothing was corrected, delayed or repeated
 * here: what the medium below does of its own is not seen. */
static size_t put_errors(struct scsi_task *task, uint8_t *buf,
			 enum scsi_count kind)
{
	struct scsi_totals t = counted(task, &task->lu->errors_base);
	uint8_t *p = buf + 4;
	uint16_t code;

	for (code = 0; code <= 6; code++) {
		p = scsi_log_parameter(p, code, SCSI_LOG_COUNTER, 8);
		put_be64(p, code == 5	? t.bytes[kind]
			    : code == 6 ? t.errors[kind]
					: 0);
		p += 8;
	}
	return (size_t)(p - buf);
}

static size_t write_errors(struct scsi_task *task, uint8_t *buf)
{
	return put_errors(task, buf, SCSI_COUNT_WRITES);
}

static size_t read_errors(struct scsi_task *task, uint8_t *buf)
{
	return put_errors(task, buf, SCSI_COUNT_READS);
}

static size_t verify_errors(struct scsi_task *task, uint8_t *buf)
{
	return put_errors(task, buf, SCSI_COUNT_VERIFIES);
}

/* Non-medium errors (SPC-4 7.3.13): those of commands that neither read, write
 * nor verify */
static size_t other_errors(struct scsi_task *task, uint8_t *buf)
{
	struct scsi_totals t = counted(task, &task->lu->errors_base);

	put_be64(scsi_log_parameter(buf + 4, 0x0000, SCSI_LOG_COUNTER, 8),
		 t.errors[SCSI_COUNT_OTHER]);
	return 4 + 12;
}

/* SPC-4 7.3.6: commands and blocks. How long commands take is not measured:
 * their intervals and the idle ones stay 0. There are no command priorities, so
 * that nothing is weighted. */
static size_t statistics(struct scsi_task *task, uint8_t *buf)
{
	struct scsi_totals t = counted(task, &task->lu->statistics_base);
	uint8_t *p =
		scsi_log_parameter(buf + 4, 0x0001, SCSI_LOG_UNBOUNDED, 64);

	put_be64(p, t.commands[SCSI_COUNT_READS]);
	put_be64(p + 8, t.commands[SCSI_COUNT_WRITES]);
	put_be64(p + 16, t.bytes[SCSI_COUNT_WRITES] >> task->lu->shift);
	put_be64(p + 24, t.bytes[SCSI_COUNT_READS] >> task->lu->shift);
	/* idle time */
	p = scsi_log_parameter(p + 64, 0x0002, SCSI_LOG_UNBOUNDED, 8);
	/* time interval: a negative power of 10, and what to multiply */
	p = scsi_log_parameter(p + 8, 0x0003, SCSI_LOG_TSD | SCSI_LOG_LIST, 8);
	put_be32(p, 3);
	put_be32(p + 4, 1);
	return (size_t)(p + 8 - buf);
}

/* SPC-4 7.3.8: there are none, and no temperature is known */
static size_t exceptions(struct scsi_task *task, uint8_t *buf)
{
	uint8_t *p = scsi_log_parameter(buf + 4, 0x0000, SCSI_LOG_LIST, 4);

	(void)task;
	p[2] = 0xff;
	return 4 + 8;
}

static size_t supported(struct scsi_task *task, uint8_t *buf);
static size_t supported_subpages(struct scsi_task *task, uint8_t *buf);

static const struct log_page {
	uint8_t page, subpage;
	bool counters; /* not lists: there are default values */
	size_t (*build)(struct scsi_task *task, uint8_t *buf);
} log_pages[] = {
	/* ascending */
	{0x00, 0x00, false, supported},
	{0x00, 0xff, false, supported_subpages},
	{0x02, 0x00, true, write_errors},
	{0x03, 0x00, true, read_errors},
	{0x05, 0x00, true, verify_errors},
	{0x06, 0x00, true, other_errors},
	{0x0c, 0x00, false, scsi_space_log_page},
	{0x10, 0x00, false, scsi_selftest_log_page},
	{0x19, 0x00, true, statistics},
	{0x2f, 0x00, false, exceptions},
};

#define NUM_LOG_PAGES (sizeof(log_pages) / sizeof(log_pages[0]))

static size_t supported(struct scsi_task *task, uint8_t *buf)
{
	size_t i, len = 4;

	(void)task;
	for (i = 0; i < NUM_LOG_PAGES; i++) {
		if (log_pages[i].subpage == 0) {
			buf[len++] = log_pages[i].page;
		}
	}
	return len;
}

static size_t supported_subpages(struct scsi_task *task, uint8_t *buf)
{
	size_t i, len = 4;

	(void)task;
	for (i = 0; i < NUM_LOG_PAGES; i++) {
		buf[len++] = log_pages[i].page;
		buf[len++] = log_pages[i].subpage;
	}
	return len;
}

/* ---- LOG SENSE (SPC-4 6.8) ---- */

bool scsi_log_sense_prepare(struct scsi_task *task)
{
	uint8_t page = task->cdb[2] & 0x3f, subpage = task->cdb[3];
	uint8_t pc = task->cdb[2] >> 6;
	bool known = false;
	size_t i;

	for (i = 0; i < NUM_LOG_PAGES; i++) {
		known |= log_pages[i].page == page;
		if (log_pages[i].page == page &&
		    log_pages[i].subpage == subpage) {
			break;
		}
	}
	if (i == NUM_LOG_PAGES) {
		return scsi_refuse_cdb(task, known ? 3 : 2, known ? 7 : 5);
	}
	/* No counter has a threshold. Lists are what they are. */
	if (log_pages[i].counters && pc != PC_CUMULATIVE && pc != PC_DEFAULT) {
		return scsi_refuse_cdb(task, 2, 7);
	}
	scsi_work(task)->index = (uint32_t)i;
	return scsi_prepare_in(task, get_be16(task->cdb + 7));
}

/* PARAMETER POINTER: drop parameters before it; false: there is none left. */
static bool skip_parameters(uint8_t *buf, size_t *len, uint16_t pointer)
{
	size_t skip = 4;

	while (skip < *len && get_be16(buf + skip) < pointer) {
		skip += 4 + (size_t)buf[skip + 3];
	}
	if (skip >= *len) {
		return false;
	}
	memmove(buf + 4, buf + skip, *len - skip);
	*len -= skip - 4;
	return true;
}

bool scsi_log_sense(struct scsi_task *task)
{
	const struct log_page *page = &log_pages[scsi_work(task)->index];
	uint16_t pointer = get_be16(task->cdb + 5);
	uint8_t buf[LOG_MAX] = {0};
	size_t len = page->build(task, buf);

	/* What pages are supported is not told in parameters. */
	if (pointer != 0 &&
	    (page->page == 0 || !skip_parameters(buf, &len, pointer))) {
		scsi_refuse_cdb(task, 5, 7);
		return true;
	}
	buf[0] = page->page;
	if (page->subpage != 0) {
		buf[0] |= 0x40; /* SPF */
		buf[1] = page->subpage;
	}
	put_be16(buf + 2, (uint16_t)(len - 4));
	return scsi_data_in(task, buf, len);
}

/* ---- LOG SELECT (SPC-4 6.7) ---- */

/* Does the command name this page (table 185)? A parameter list is not offered:
 * the usage map has no length. */
static bool selected(const struct scsi_task *task, const struct log_page *page)
{
	uint8_t code = task->cdb[2] & 0x3f, subpage = task->cdb[3];

	if (code == 0 && subpage == 0) {
		return true;
	}
	return code == page->page &&
	       (subpage == page->subpage || subpage == SUBPAGE_ALL);
}

bool scsi_log_select_prepare(struct scsi_task *task)
{
	size_t i;

	/* Table 186: with these, SP asks for values to be saved. */
	if ((task->cdb[1] & CDB_SP) && task->cdb[2] >> 6 <= PC_CUMULATIVE) {
		return scsi_refuse_cdb(task, 1, 0);
	}
	for (i = 0; i < NUM_LOG_PAGES; i++) {
		if (selected(task, &log_pages[i])) {
			return true;
		}
	}
	return scsi_refuse_cdb(task, 2, 5);
}

static void reset_errors(struct scsi_lu *lu, const struct scsi_totals *now,
			 enum scsi_count kind)
{
	lu->errors_base.bytes[kind] = now->bytes[kind];
	lu->errors_base.errors[kind] = now->errors[kind];
}

static void reset_page(struct scsi_lu *lu, uint8_t page,
		       const struct scsi_totals *now)
{
	switch (page) {
	case 0x02:
		reset_errors(lu, now, SCSI_COUNT_WRITES);
		break;
	case 0x03:
		reset_errors(lu, now, SCSI_COUNT_READS);
		break;
	case 0x05:
		reset_errors(lu, now, SCSI_COUNT_VERIFIES);
		break;
	case 0x06:
		reset_errors(lu, now, SCSI_COUNT_OTHER);
		break;
	case 0x19:
		lu->statistics_base = *now;
		break;
	}
}

/* PCR, or the default values: counters begin anew. Lists stay as they are. */
bool scsi_log_select(struct scsi_task *task)
{
	struct scsi_itl *itl = scsi_task_itl(task);
	struct scsi_lu *lu = task->lu;
	struct scsi_totals now;
	size_t i;

	if (itl == NULL) {
		return true;
	}
	/* Without PCR other values stay, and there are no thresholds. */
	if (!(task->cdb[1] & CDB_PCR) && task->cdb[2] >> 6 != PC_DEFAULT) {
		return scsi_good(task);
	}
	scsi_log(3, "disk %d: %s resets log page %02x/%02x",
		 (int)lu->config.index, task->nexus->initiator_name,
		 task->cdb[2] & 0x3f, task->cdb[3]);
	pthread_mutex_lock(&lu->lock);
	now = totals(lu);
	for (i = 0; i < NUM_LOG_PAGES; i++) {
		if (selected(task, &log_pages[i])) {
			reset_page(lu, log_pages[i].page, &now);
		}
	}
	scsi_ua_raise_others(lu, itl, SCSI_UA_LOG_CHANGED);
	pthread_mutex_unlock(&lu->lock);
	return scsi_good(task);
}
