/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Checking and mending a VHD that nobody uses. Mended is only what the file
 * itself says twice, or what belongs to nobody; nothing is guessed.
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/falloc.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vhd/check.h"
#include "vhd/vhdx_disk.h"

/* Short, since there is much to find. */
#define found vhd_check_found

static void check_work_free(void *data)
{
	struct check_work *work = data;

	dyn_free(work->dyn);
	free(work->report);
	vhd_work_free(&work->w);
}

void vhd_check_found(struct check_work *work, const char *fmt, ...)
{
	size_t room = VHD_REPORT_MAX - work->report_len;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(work->report + work->report_len, room, fmt, ap);
	va_end(ap);
	if (n > 0 && (size_t)n + 1 < room) {
		work->report_len += (size_t)n;
		work->report[work->report_len++] = '\n';
	}
	work->report[work->report_len] = '\0';
}

/* ---- footers ---- */

static int write_footer_at(struct check_work *work, uint64_t at)
{
	uint8_t buf[VHD_FOOTER_SIZE];
	int ret;

	vhd_footer_push(&work->footer, buf);
	ret = vhd_file_pwrite(work->w.file, buf, sizeof(buf), at);
	return ret != 0 ? ret : vhd_file_sync(work->w.file);
}

/* A footer that the other one can replace. */
static int mend_footer(struct check_work *work, uint64_t at)
{
	int ret;

	work->check.mendable++;
	if (!work->repair) {
		return 0;
	}
	ret = write_footer_at(work, at);
	if (ret != 0) {
		snprintf(work->w.why, sizeof(work->w.why),
			 "writing a footer at %" PRIu64 ": %s", at,
			 strerror(ret));
		return ret;
	}
	work->check.mended++;
	found(work, "mended: footer written at %" PRIu64, at);
	return 0;
}

/* The end was good: so has the copy to be. */
static int check_copy(struct check_work *work)
{
	uint8_t buf[VHD_FOOTER_SIZE], end[VHD_FOOTER_SIZE];
	struct vhd_footer copy;
	char why[VHD_WHY_MAX];
	int ret;

	ret = vhd_file_pread(work->w.file, buf, sizeof(buf), 0);
	if (ret != 0) {
		snprintf(work->w.why, sizeof(work->w.why),
			 "reading the footer's copy: %s", strerror(ret));
		return ret;
	}
	if (vhd_footer_pull(buf, sizeof(buf), &copy, why, sizeof(why)) != 0) {
		found(work, "the footer's copy at 0 is damaged: %s", why);
		return mend_footer(work, 0);
	}
	if (memcmp(copy.unique_id, work->footer.unique_id, 16) != 0) {
		found(work, "the footer's copy at 0 is another disk's: its "
			    "unique id differs");
		work->check.errors++;
		return 0;
	}
	vhd_footer_push(&work->footer, end);
	vhd_footer_push(&copy, buf);
	if (memcmp(buf, end, sizeof(buf)) != 0) {
		found(work,
		      "the footer's copy at 0 differs (current size %" PRIu64
		      ", at the end %" PRIu64 ")",
		      copy.current_size, work->footer.current_size);
		return mend_footer(work, 0);
	}
	return 0;
}

/* The end is not: the copy of a dynamic disk says what has to be there. */
static int check_lost_footer(struct check_work *work, const char *why)
{
	uint8_t buf[VHD_FOOTER_SIZE];
	char copy_why[VHD_WHY_MAX];

	if (vhd_file_pread(work->w.file, buf, sizeof(buf), 0) != 0 ||
	    vhd_footer_pull(buf, sizeof(buf), &work->footer, copy_why,
			    sizeof(copy_why)) != 0 ||
	    work->footer.type == VHD_TYPE_FIXED) {
		snprintf(work->w.why, sizeof(work->w.why), "%s", why);
		return EINVAL;
	}
	found(work, "%s; its copy at 0 is good", why);
	work->footer_at =
		(work->size + VHD_SECTOR - 1) / VHD_SECTOR * VHD_SECTOR;
	return mend_footer(work, work->footer_at);
}

/* ---- blocks ---- */

static int compare_places(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* A gap up to this belongs to the block behind it: alignment, once more
 * where space was appended. */
static uint64_t gap_max(const struct check_work *work)
{
	return 2 * dyn_align_max(work->dyn) + VHD_FOOTER_SIZE;
}

/* How much of a range takes space in the file system. */
uint64_t vhd_check_data_in(const struct check_work *work, uint64_t from,
			   uint64_t to)
{
	uint64_t sum = 0;

	while (from < to) {
		uint64_t n = to - from;

		if (vhd_file_has_data(work->w.file, from, &n)) {
			sum += n;
		}
		from += n;
	}
	return sum;
}

void vhd_check_leaked(struct check_work *work, uint64_t from, uint64_t to,
		      uint64_t taken)
{
	work->check.leaked += taken;
	found(work,
	      "%" PRIu64 " bytes at %" PRIu64 " belong to no block, %" PRIu64
	      " of them take space",
	      to - from, from, taken);
}

int vhd_check_punch(struct check_work *work, uint64_t from, uint64_t to)
{
	int ret = vhd_file_fallocate(work->w.file,
				     FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				     from, to - from);

	if (ret == 0 || ret == EOPNOTSUPP) {
		return 0;
	}
	snprintf(work->w.why, sizeof(work->w.why),
		 "punching out %" PRIu64 " bytes at %" PRIu64 ": %s", to - from,
		 from, strerror(ret));
	return ret;
}

/* A released block leaves a hole, and its bitmap in a page: no loss. */
static int leak(struct check_work *work, uint64_t from, uint64_t to)
{
	uint64_t taken = vhd_check_data_in(work, from, to);

	if (taken <=
	    (to - from) / work->dyn->header.block_size * 65536 + 65536) {
		return 0;
	}
	vhd_check_leaked(work, from, to, taken);
	return work->repair ? vhd_check_punch(work, from, to) : 0;
}

/* What is behind the last block goes, the footer comes forward. */
static int trim_end(struct check_work *work, uint64_t used_end)
{
	uint64_t end = (used_end + VHD_SECTOR - 1) / VHD_SECTOR * VHD_SECTOR;
	int ret;

	work->check.leaked += work->footer_at - end;
	found(work,
	      "%" PRIu64 " bytes at %" PRIu64 ", before the footer, belong to"
	      " no block",
	      work->footer_at - end, end);
	if (!work->repair) {
		return 0;
	}
	ret = write_footer_at(work, end);
	if (ret == 0) {
		ret = vhd_file_truncate(work->w.file, end + VHD_FOOTER_SIZE);
	}
	if (ret != 0) {
		snprintf(work->w.why, sizeof(work->w.why),
			 "trimming the file: %s", strerror(ret));
	}
	return ret;
}

/*
 * Blocks in order of their places; what lies between them is nobody's, unless
 * it holds metadata: a table that growth has moved behind them.
 */
static int check_blocks(struct check_work *work)
{
	struct vhd_dyn *dyn = work->dyn;
	uint32_t *sorted = malloc(((size_t)dyn->loaded_blocks + 1) * 4);
	uint64_t table_at = dyn->header.table_offset;
	uint64_t table_end = table_at + (uint64_t)dyn->header.entries * 4;
	uint64_t at = 0;
	uint32_t i, n = 0;
	int ret = 0;

	if (sorted == NULL) {
		snprintf(work->w.why, sizeof(work->w.why), "out of memory");
		return ENOMEM;
	}
	for (i = 0; i < dyn->loaded_blocks; i++) {
		if (dyn->bat[i] != BAT_NONE) {
			sorted[n++] = dyn->bat[i];
		}
	}
	qsort(sorted, n, sizeof(*sorted), compare_places);
	for (i = 0; ret == 0 && i < n; i++) {
		uint64_t start = (uint64_t)sorted[i] * VHD_SECTOR;

		if (i > 0 && start - at > gap_max(work) &&
		    (table_end <= at || table_at >= start)) {
			ret = leak(work, at, start);
		}
		at = start + dyn->bitmap_size + dyn->header.block_size;
	}
	free(sorted);
	if (at < dyn_metadata_end(dyn, &work->footer)) {
		at = dyn_metadata_end(dyn, &work->footer);
	}
	if (ret == 0 && work->footer_at > at &&
	    work->footer_at - at > gap_max(work)) {
		ret = trim_end(work, at);
	}
	return ret;
}

/* ---- the whole ---- */

static int check_dynamic(struct check_work *work, bool end_is_good)
{
	char why[VHD_WHY_MAX];
	int ret;

	ret = dyn_load(work->w.file, &work->footer, work->footer_at, &work->dyn,
		       why, sizeof(why));
	if (ret == EINVAL) {
		found(work, "%s", why);
		work->check.errors++;
		return 0;
	}
	if (ret != 0) {
		memcpy(work->w.why, why, sizeof(why));
		return ret;
	}
	if (end_is_good) {
		ret = check_copy(work);
	}
	/* What is damaged elsewhere is not to be cut. */
	if (ret == 0 && work->check.errors == 0) {
		ret = check_blocks(work);
	}
	return ret;
}

/* A fixed disk's growth was interrupted: its old footer is among the data. */
static int mend_growth(struct check_work *work)
{
	uint64_t from = work->footer.stale_from;
	int ret;

	found(work, "a growth was interrupted: the old footer is at %" PRIu64,
	      from);
	work->check.mendable++;
	if (!work->repair) {
		return 0;
	}
	ret = vhd_fixed_finish_growth(work->w.file, &work->footer,
				      work->footer_at);
	if (ret != 0) {
		snprintf(work->w.why, sizeof(work->w.why),
			 "finishing a growth: %s", strerror(ret));
		return ret;
	}
	work->check.mended++;
	found(work, "mended: zeroed at %" PRIu64, from);
	return 0;
}

static int check_open(struct check_work *work)
{
	char why[VHD_WHY_MAX];
	size_t footer_len = 0;
	bool is_vhdx;
	int ret;

	ret = vhd_work_open(&work->w, !work->repair, true);
	if (ret != 0) {
		return ret;
	}
	ret = vhdx_detect(work->w.file, &is_vhdx);
	if (ret != 0) {
		snprintf(work->w.why, sizeof(work->w.why),
			 "reading the file's start: %s", strerror(ret));
		return ret;
	}
	if (is_vhdx) {
		return vhdx_check(work);
	}
	ret = vhd_read_footer(work->w.file, &work->footer, &footer_len,
			      &work->size, why, sizeof(why));
	work->footer_at = work->size - footer_len;
	if (ret == EINVAL && footer_len == 0) {
		ret = check_lost_footer(work, why);
		return ret != 0 ? ret : check_dynamic(work, false);
	}
	if (ret != 0) {
		memcpy(work->w.why, why, sizeof(why));
		return ret;
	}
	if (work->footer.type != VHD_TYPE_FIXED) {
		return check_dynamic(work, true);
	}
	if (vhd_footer_check_fixed(&work->footer, footer_len, work->size, why,
				   sizeof(why)) != 0) {
		found(work, "%s", why);
		work->check.errors++;
		return 0;
	}
	if (work->footer.stale_to != 0) {
		ret = mend_growth(work);
	}
	if (work->footer_at > work->footer.current_size) {
		found(work,
		      "%" PRIu64 " bytes between the data and the footer, "
		      "unused",
		      work->footer_at - work->footer.current_size);
	}
	return ret;
}

/* Its structure is sound: is there an atomic write to take back? */
static int check_cut_off(struct check_work *work)
{
	struct vhd_cut_off cut_off;
	int ret = vhd_recover_file(work->w.file, &cut_off, work->w.why,
				   sizeof(work->w.why));

	if (ret != 0 || cut_off.length == 0) {
		return ret;
	}
	found(work,
	      "an atomic write of %" PRIu32 " bytes at %" PRIu64
	      " was cut off: %s",
	      cut_off.length, cut_off.offset,
	      work->repair ? "taken back" : "opening the disk takes it back");
	work->check.mendable++;
	work->check.mended += work->repair;
	return 0;
}

static void check_work(struct vhd_job *job, void *data)
{
	struct check_work *work = data;

	work->report = calloc(1, VHD_REPORT_MAX);
	if (work->report == NULL) {
		work->w.ret = ENOMEM;
		return;
	}
	work->w.ret = check_open(work);
	if (work->w.ret == 0 && work->check.errors == 0 &&
	    work->check.mended == work->check.mendable) {
		work->w.ret = check_cut_off(work);
	}
	vhd_file_unref(work->w.file);
	work->w.file = NULL;
}

static const struct vhd_job_ops check_ops = {
	.work = check_work,
	.free = check_work_free,
	.slow = true,
};

struct check_state {
	struct vhd_work_state w;
	struct vhd_check check;
};

static void check_done(struct tevent_req *subreq)
{
	struct tevent_req *req =
		tevent_req_callback_data(subreq, struct tevent_req);
	struct check_state *state = tevent_req_data(req, struct check_state);
	struct check_work *work = vhd_work_done(subreq, req);

	if (work == NULL) {
		return;
	}
	state->check = work->check;
	state->check.report = talloc_strdup(state, work->report);
	if (tevent_req_nomem(state->check.report, req)) {
		return;
	}
	tevent_req_done(req);
}

struct tevent_req *vhd_check_send(TALLOC_CTX *mem_ctx,
				  struct tevent_context *ev, int fd,
				  const char *name, uint32_t flags)
{
	struct tevent_req *req, *subreq;
	struct check_state *state;
	struct check_work *work;

	req = tevent_req_create(mem_ctx, &state, struct check_state);
	work = vhd_work_new(sizeof(*work), fd, name);
	if (req == NULL || work == NULL) {
		if (work != NULL) {
			check_work_free(work);
		}
		talloc_free(req);
		return NULL;
	}
	work->repair = flags & VHD_CHECK_REPAIR;
	subreq = vhd_job_send(state, ev, &check_ops, work);
	if (tevent_req_nomem(subreq, req)) {
		return tevent_req_post(req, ev);
	}
	tevent_req_set_callback(subreq, check_done, req);
	return req;
}

int vhd_check_recv(struct tevent_req *req, TALLOC_CTX *mem_ctx,
		   struct vhd_check *check, char **message)
{
	struct check_state *state = tevent_req_data(req, struct check_state);
	int ret = vhd_recv_result(req, state->w.why, mem_ctx, message);

	if (ret == 0) {
		*check = state->check;
		check->report = talloc_move(mem_ctx, &state->check.report);
	}
	tevent_req_received(req);
	return ret;
}
