/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Compacting a file that nobody uses: what the formats have in common, and
 * fixed VHDs, whose runs of zeroes become holes.
 *
 * What is read never changes, at no point.
 */

#include <errno.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "vhd/compact.h"
#include "vhd/vhdx_disk.h"

static void compact_work_free(void *data)
{
	struct compact_work *work = data;

	free(work->piece);
	vhd_work_free(&work->w);
}

/* ---- what the formats share ---- */

bool compact_all_zero(const uint8_t *p, size_t len)
{
	return p[0] == 0 && memcmp(p, p + 1, len - 1) == 0;
}

int compact_punch(struct compact_work *work, uint64_t at, uint64_t len)
{
	int ret = vhd_file_fallocate(work->w.file,
				     FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				     at, len);

	return ret == EOPNOTSUPP ? 0 : ret;
}

int compact_scan(struct compact_work *work, uint64_t data, uint64_t len,
		 const uint8_t *bits, uint32_t sector, bool *zero)
{
	uint32_t step = COMPACT_PIECE / sector / 8;
	uint64_t at = 0;
	int ret = 0;

	*zero = true;
	while (ret == 0 && at < len) {
		uint64_t hole = len - at;
		uint64_t n = hole < COMPACT_PIECE ? hole : COMPACT_PIECE;

		if (!vhd_file_has_data(work->w.file, data + at, &hole) &&
		    hole >= n) {
			at += hole < len - at
				      ? hole / COMPACT_PIECE * COMPACT_PIECE
				      : hole;
			continue;
		}
		ret = vhd_file_pread(work->w.file, work->piece, n, data + at);
		if (ret != 0) {
			break;
		}
		if ((bits != NULL &&
		     compact_all_zero(bits + at / COMPACT_PIECE * step,
				      step)) ||
		    compact_all_zero(work->piece, n)) {
			ret = compact_punch(work, data + at, n);
		} else {
			*zero = false;
		}
		at += n;
	}
	return ret;
}

/* Copy @len bytes to a place that may hold anything. */
static int copy(struct compact_work *work, uint64_t from, uint64_t to,
		uint64_t len)
{
	uint64_t at = 0;
	int ret = vhd_file_fallocate(work->w.file,
				     FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				     to, len);
	bool clean = ret == 0;

	if (ret == EOPNOTSUPP) {
		ret = 0; /* then zeroes are written, too */
	}
	while (ret == 0 && at < len) {
		uint64_t n =
			len - at < COMPACT_PIECE ? len - at : COMPACT_PIECE;
		uint64_t part = len - at;

		if (!vhd_file_has_data(work->w.file, from + at, &part) &&
		    clean) {
			at += part;
			continue;
		}
		n = n < part ? n : part;
		ret = vhd_file_pread(work->w.file, work->piece, n, from + at);
		if (ret == 0) {
			ret = vhd_file_pwrite(work->w.file, work->piece, n,
					      to + at);
		}
		at += n;
	}
	return ret;
}

/* Blocks are copied, then their entries written, so many at a time. */
#define BATCH 32

static int finish_moves(struct compact_work *work,
			const struct compact_mover *mover, void *data,
			const struct compact_move *move, unsigned n)
{
	unsigned i;
	int ret = vhd_file_sync(work->w.file);

	for (i = 0; ret == 0 && i < n; i++) {
		ret = mover->enter(data, &move[i]);
	}
	if (ret == 0) {
		ret = mover->commit(data);
	}
	for (i = 0; ret == 0 && i < n; i++) {
		ret = compact_punch(work, move[i].from, move[i].length);
	}
	work->result.moved += n;
	return ret;
}

int compact_move_all(struct compact_work *work,
		     const struct compact_mover *mover, void *data)
{
	struct compact_move move[BATCH];
	bool more = true;
	unsigned n = 0;
	int ret = 0;

	work->what = "moving blocks";
	while (ret == 0 && more) {
		if (vhd_job_cancelled(work->job)) {
			return ECANCELED;
		}
		more = mover->next(data, &move[n]);
		if (more) {
			ret = copy(work, move[n].from, move[n].to,
				   move[n].length);
			n++;
		}
		if (ret == 0 && n > 0 && (n == BATCH || !more)) {
			ret = finish_moves(work, mover, data, move, n);
			n = 0;
		}
	}
	return ret;
}

/* ---- fixed disks ---- */

/* So much between looks at whether the request is still there. */
#define STRETCH (UINT64_C(64) << 20)

static int fixed_compact(struct compact_work *work, uint64_t size)
{
	uint64_t at;
	bool zero;
	int ret = 0;

	work->what = "looking for zeroes";
	for (at = 0; ret == 0 && at < size; at += STRETCH) {
		if (vhd_job_cancelled(work->job)) {
			return ECANCELED;
		}
		ret = compact_scan(work, at,
				   size - at < STRETCH ? size - at : STRETCH,
				   NULL, VHD_SECTOR, &zero);
		vhd_job_progress(work->job, (unsigned)(at / (size / 100 + 1)));
	}
	return ret;
}

/* ---- the file ---- */

static int vhd_compact(struct compact_work *work)
{
	struct vhd_work *w = &work->w;
	struct vhd_footer footer;
	size_t footer_len;
	int ret;

	ret = vhd_read_footer(w->file, &footer, &footer_len, &work->size,
			      w->why, sizeof(w->why));
	if (ret != 0) {
		return ret;
	}
	/* "operations such as compaction … cannot be performed" (VHD
	 * specification, Saved State) */
	if (footer.saved_state) {
		snprintf(w->why, sizeof(w->why),
			 "the footer says that a virtual machine is in saved "
			 "state");
		return EINVAL;
	}
	if (footer.type != VHD_TYPE_FIXED) {
		return dyn_compact(work, &footer, work->size - footer_len);
	}
	ret = vhd_footer_check_fixed(&footer, footer_len, work->size, w->why,
				     sizeof(w->why));
	return ret != 0 ? ret : fixed_compact(work, footer.current_size);
}

static int compact_file(struct compact_work *work)
{
	struct vhd_work *w = &work->w;
	bool is_vhdx;
	int ret;

	work->what = "reading the file's start";
	ret = vhdx_detect(w->file, &is_vhdx);
	if (ret != 0) {
		return ret;
	}
	work->piece = malloc(COMPACT_PIECE);
	if (work->piece == NULL) {
		return ENOMEM;
	}
	work->what = "reading its metadata";
	return is_vhdx ? vhdx_compact(work) : vhd_compact(work);
}

static void compact_run(struct vhd_job *job, void *data)
{
	struct compact_work *work = data;
	struct vhd_work *w = &work->w;
	struct vhd_compact *result = &work->result;
	struct vhd_cut_off cut_off;
	struct stat st;

	work->job = job;
	w->ret = vhd_work_open(w, false, true);
	/* Before blocks that look empty are given up. */
	if (w->ret == 0) {
		w->ret = vhd_recover_file(w->file, &cut_off, w->why,
					  sizeof(w->why));
	}
	if (w->ret != 0) {
		goto out;
	}
	w->ret = vhd_file_stat(w->file, &st);
	if (w->ret != 0) {
		snprintf(w->why, sizeof(w->why), "fstat: %s", strerror(w->ret));
		goto out;
	}
	result->size_before = (uint64_t)st.st_size;
	result->allocated_before = (uint64_t)st.st_blocks * 512;
	w->ret = compact_file(work);
	vhd_file_size(w->file, &result->size_after, &result->allocated_after);
	if (w->ret != 0 && w->why[0] == '\0') {
		snprintf(w->why, sizeof(w->why), "%s: %s", work->what,
			 strerror(w->ret));
	}
	/* What children see has not changed: they look at the time. */
	futimens(w->file->fd,
		 (struct timespec[]){{.tv_nsec = UTIME_OMIT}, st.st_mtim});
out:
	/* Before the caller hears of it: the lock is gone then. */
	vhd_file_unref(w->file);
	w->file = NULL;
}

static const struct vhd_job_ops compact_ops = {
	.work = compact_run,
	.free = compact_work_free,
	.slow = true,
};

/* ---- the request ---- */

struct compact_state {
	struct vhd_work_state w;
	struct vhd_compact result;
};

static void compact_done(struct tevent_req *subreq)
{
	struct tevent_req *req =
		tevent_req_callback_data(subreq, struct tevent_req);
	struct compact_state *state =
		tevent_req_data(req, struct compact_state);
	struct compact_work *work = vhd_work_done(subreq, req);

	if (work != NULL) {
		state->result = work->result;
		tevent_req_done(req);
	}
}

struct tevent_req *vhd_compact_send(TALLOC_CTX *mem_ctx,
				    struct tevent_context *ev, int fd,
				    const char *name,
				    void (*progress)(unsigned percent,
						     void *private_data),
				    void *private_data)
{
	struct tevent_req *req, *subreq;
	struct compact_state *state;
	struct compact_work *work;

	work = vhd_work_new(sizeof(*work), fd, name);
	req = tevent_req_create(mem_ctx, &state, struct compact_state);
	if (work == NULL || req == NULL) {
		if (work != NULL) {
			compact_work_free(work);
		}
		talloc_free(req);
		return NULL;
	}
	subreq = vhd_job_send(state, ev, &compact_ops, work);
	if (tevent_req_nomem(subreq, req)) {
		return tevent_req_post(req, ev);
	}
	vhd_job_set_progress(subreq, progress, private_data);
	tevent_req_set_callback(subreq, compact_done, req);
	return req;
}

int vhd_compact_recv(struct tevent_req *req, TALLOC_CTX *mem_ctx,
		     struct vhd_compact *result, char **message)
{
	struct compact_state *state =
		tevent_req_data(req, struct compact_state);
	int ret = vhd_recv_result(req, state->w.why, mem_ctx, message);

	if (ret == 0) {
		*result = state->result;
	}
	tevent_req_received(req);
	return ret;
}
