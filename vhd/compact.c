/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Compacting a dynamic or differencing VHD that nobody uses: blocks that hold
 * nothing are released, runs of zeroes become holes, blocks move from the end
 * of the file into gaps, and the file is cut behind the last.
 *
 * What is read never changes, at no point: a block's table entry is changed
 * after its copy has been flushed, and its old place is given up after that
 * entry has been.
 */

#include <errno.h>
#include <inttypes.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "vhd/bytes.h"
#include "vhd/dynamic.h"
#include "vhd/work.h"

/* Zeroes are looked for in such pieces, 16 bytes of a bitmap. */
#define PIECE 65536u

/* Blocks are copied, then their entries written, so many at a time. */
#define BATCH 32

struct compact_work {
	struct vhd_work w;
	struct vhd_job *job;
	const char *what; /* being done, for the message */
	uint64_t size;
	struct vhd_footer footer;
	struct vhd_dyn *dyn;
	uint8_t *bitmap, *piece;
	uint32_t *order; /* blocks by their places */
	uint32_t count;
	struct vhd_compact result;
};

static void compact_work_free(void *data)
{
	struct compact_work *work = data;

	dyn_free(work->dyn);
	free(work->bitmap);
	free(work->piece);
	free(work->order);
	vhd_work_free(&work->w);
}

static uint64_t place_of(const struct compact_work *work, uint32_t block)
{
	return (uint64_t)work->dyn->bat[block] * VHD_SECTOR;
}

static uint64_t block_len(const struct compact_work *work)
{
	return (uint64_t)work->dyn->bitmap_size + work->dyn->header.block_size;
}

static int punch(struct compact_work *work, uint64_t at, uint64_t len)
{
	int ret = vhd_file_fallocate(work->w.file,
				     FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				     at, len);

	return ret == EOPNOTSUPP ? 0 : ret;
}

/* Write the entries of the blocks from @first to before @end. */
static int write_entries(struct compact_work *work, uint32_t first,
			 uint32_t end)
{
	uint8_t buf[4096];
	int ret = 0;

	while (ret == 0 && first < end) {
		uint32_t n = end - first < sizeof(buf) / 4 ? end - first
							   : sizeof(buf) / 4;
		uint32_t i;

		for (i = 0; i < n; i++) {
			uint32_t entry = work->dyn->bat[first + i];

			put_be32(buf + (size_t)i * 4,
				 entry == BAT_NONE ? VHD_BAT_UNUSED : entry);
		}
		ret = vhd_file_pwrite(work->w.file, buf, (size_t)n * 4,
				      work->dyn->header.table_offset +
					      (uint64_t)first * 4);
		first += n;
	}
	return ret;
}

/* ---- what blocks hold -------------------------------------------- */

static bool all_zero(const uint8_t *p, size_t len)
{
	return p[0] == 0 && memcmp(p, p + 1, len - 1) == 0;
}

/*
 * Look at a block's data. *@empty: it need not exist: it reads as zeroes, or
 * it is a differencing disk's and has no sector.
 */
static int look_at_block(struct compact_work *work, uint64_t place, bool *empty)
{
	bool parent = work->footer.type == VHD_TYPE_DIFFERENCING;
	uint64_t data = place + work->dyn->bitmap_size, at = 0;
	uint32_t bs = work->dyn->header.block_size;
	int ret;

	ret = vhd_file_pread(work->w.file, work->bitmap, work->dyn->bitmap_size,
			     place);
	*empty = !parent || all_zero(work->bitmap, bs / VHD_SECTOR / 8);
	while (ret == 0 && at < bs) {
		const uint8_t *bits = work->bitmap + at / VHD_SECTOR / 8;
		uint64_t n = bs - at;

		if (!vhd_file_has_data(work->w.file, data + at, &n)) {
			at += n / PIECE * PIECE;
			if (n >= PIECE) {
				continue;
			}
		}
		ret = vhd_file_pread(work->w.file, work->piece, PIECE,
				     data + at);
		if (ret != 0) {
			break;
		}
		if (all_zero(bits, PIECE / VHD_SECTOR / 8) ||
		    all_zero(work->piece, PIECE)) {
			ret = punch(work, data + at, PIECE);
		} else if (!parent) {
			*empty = false;
		}
		at += PIECE;
	}
	return ret;
}

static int release_empty(struct compact_work *work)
{
	struct vhd_dyn *dyn = work->dyn;
	uint32_t block;
	int ret = 0;

	work->what = "looking for empty blocks";
	for (block = 0; ret == 0 && block < dyn->loaded_blocks; block++) {
		bool empty;

		if (dyn->bat[block] == BAT_NONE) {
			continue;
		}
		if (vhd_job_cancelled(work->job)) {
			return ECANCELED;
		}
		ret = look_at_block(work, place_of(work, block), &empty);
		if (ret == 0 && empty) {
			dyn->bat[block] = BAT_NONE;
			work->result.released++;
		}
		vhd_job_progress(work->job, (unsigned)((uint64_t)block * 80 /
						       dyn->loaded_blocks));
	}
	if (ret != 0 || work->result.released == 0) {
		return ret;
	}
	work->what = "writing the block allocation table";
	ret = write_entries(work, 0, dyn->loaded_blocks);
	return ret != 0 ? ret : vhd_file_sync(work->w.file);
}

/* ---- moving ------------------------------------------------------ */

static int compare_places(const void *a, const void *b, void *private_data)
{
	const struct vhd_dyn *dyn = private_data;
	uint32_t x = dyn->bat[*(const uint32_t *)a];
	uint32_t y = dyn->bat[*(const uint32_t *)b];

	return x < y ? -1 : x > y;
}

static int sort_blocks(struct compact_work *work)
{
	struct vhd_dyn *dyn = work->dyn;
	uint32_t block;

	work->order = malloc(((size_t)dyn->loaded_blocks + 1) * 4);
	if (work->order == NULL) {
		return ENOMEM;
	}
	for (block = 0; block < dyn->loaded_blocks; block++) {
		if (dyn->bat[block] != BAT_NONE) {
			work->order[work->count++] = block;
		}
	}
	qsort_r(work->order, work->count, sizeof(*work->order), compare_places,
		dyn);
	return 0;
}

static int copy_block(struct compact_work *work, uint64_t from, uint64_t to)
{
	uint64_t at = 0, len = block_len(work);
	int ret = punch(work, to, len);

	while (ret == 0 && at < len) {
		uint64_t n = len - at < PIECE ? len - at : PIECE;
		uint64_t hole = len - at;

		if (!vhd_file_has_data(work->w.file, from + at, &hole)) {
			at += hole;
			continue;
		}
		n = n < hole ? n : hole;
		ret = vhd_file_pread(work->w.file, work->piece, n, from + at);
		if (ret == 0) {
			ret = vhd_file_pwrite(work->w.file, work->piece, n,
					      to + at);
		}
		at += n;
	}
	return ret;
}

/* Gaps, from the start of the file on: between what stays. */
struct gaps {
	uint64_t at;   /* everything before is taken, or too small */
	uint32_t next; /* the first block of the order behind it */
};

/* The first place that a block fits in before the file's @limit. */
static bool next_gap(const struct compact_work *work, struct gaps *gaps,
		     uint64_t limit, uint64_t *place)
{
	const struct vhd_dynheader *h = &work->dyn->header;
	uint64_t table_end = h->table_offset + (uint64_t)h->entries * 4;

	for (;;) {
		uint64_t p = dyn_place_after(work->dyn, gaps->at);
		uint64_t end = p + block_len(work), taken;

		if (end > limit) {
			return false;
		}
		if (end > h->table_offset && gaps->at < table_end) {
			gaps->at = table_end;
			continue;
		}
		taken = gaps->next < work->count
				? place_of(work, work->order[gaps->next])
				: limit;
		if (end <= taken) {
			*place = p;
			gaps->at = end;
			return true;
		}
		gaps->next++;
		if (gaps->at < taken + block_len(work)) {
			gaps->at = taken + block_len(work);
		}
	}
}

struct move {
	uint32_t block;
	uint64_t from, to;
};

static int finish_moves(struct compact_work *work, const struct move *move,
			uint32_t n)
{
	uint32_t i;
	int ret = vhd_file_sync(work->w.file);

	for (i = 0; ret == 0 && i < n; i++) {
		work->dyn->bat[move[i].block] =
			(uint32_t)(move[i].to / VHD_SECTOR);
		ret = write_entries(work, move[i].block, move[i].block + 1);
	}
	if (ret == 0) {
		ret = vhd_file_sync(work->w.file);
	}
	for (i = 0; ret == 0 && i < n; i++) {
		ret = punch(work, move[i].from, block_len(work));
	}
	work->result.moved += n;
	return ret;
}

static int move_blocks(struct compact_work *work)
{
	struct gaps gaps = {.at = dyn_header_end(work->dyn, &work->footer)};
	uint32_t left = work->count, n = 0;
	struct move move[BATCH];
	bool more = true;
	int ret = 0;

	work->what = "moving blocks";
	while (ret == 0 && more) {
		uint32_t block = left > 0 ? work->order[left - 1] : 0;
		uint64_t from = left > 0 ? place_of(work, block) : 0;

		if (vhd_job_cancelled(work->job)) {
			return ECANCELED;
		}
		more = left > 0 && next_gap(work, &gaps, from, &move[n].to);
		if (more) {
			move[n].from = from;
			ret = copy_block(work, from, move[n].to);
			move[n++].block = block;
			left--;
		}
		if (ret == 0 && n > 0 && (n == BATCH || !more)) {
			ret = finish_moves(work, move, n);
			n = 0;
		}
	}
	return ret;
}

/* ---- the end ----------------------------------------------------- */

/* The footer follows the last block. */
static int cut(struct compact_work *work)
{
	struct vhd_dyn *dyn = work->dyn;
	uint64_t end = dyn_metadata_end(dyn, &work->footer);
	uint32_t i;
	int ret;

	work->what = "cutting the file";
	for (i = 0; i < dyn->loaded_blocks; i++) {
		uint64_t block_end = place_of(work, i) + block_len(work);

		if (dyn->bat[i] != BAT_NONE && end < block_end) {
			end = block_end;
		}
	}
	if (end >= dyn->end) {
		return 0;
	}
	ret = vhd_file_pwrite(work->w.file, dyn->footer, VHD_FOOTER_SIZE, end);
	if (ret == 0) {
		ret = vhd_file_sync(work->w.file);
	}
	if (ret == 0) {
		ret = vhd_file_truncate(work->w.file, end + VHD_FOOTER_SIZE);
	}
	return ret != 0 ? ret : vhd_file_sync(work->w.file);
}

static int refuse(struct compact_work *work, const char *why)
{
	snprintf(work->w.why, sizeof(work->w.why), "%s", why);
	return EINVAL;
}

static int compact_load(struct compact_work *work)
{
	struct vhd_work *w = &work->w;
	size_t footer_len;
	int ret;

	ret = vhd_work_open(w, false, true);
	if (ret != 0) {
		return ret;
	}
	ret = vhd_read_footer(w->file, &work->footer, &footer_len, &work->size,
			      w->why, sizeof(w->why));
	if (ret != 0) {
		return ret;
	}
	if (work->footer.type == VHD_TYPE_FIXED) {
		return refuse(work, "a fixed disk has no blocks to give back");
	}
	/* "operations such as compaction … cannot be performed" (VHD
	 * specification, Saved State) */
	if (work->footer.saved_state) {
		return refuse(work, "the footer says that a virtual machine is "
				    "in saved state");
	}
	return dyn_load(w->file, &work->footer, work->size - footer_len,
			&work->dyn, w->why, sizeof(w->why));
}

static int compact_blocks(struct compact_work *work)
{
	int ret;

	work->what = "preparing";
	work->bitmap = malloc(work->dyn->bitmap_size);
	work->piece = malloc(PIECE);
	if (work->bitmap == NULL || work->piece == NULL) {
		return ENOMEM;
	}
	ret = release_empty(work);
	if (ret == 0) {
		ret = sort_blocks(work);
	}
	if (ret == 0) {
		ret = move_blocks(work);
	}
	return ret != 0 ? ret : cut(work);
}

static void compact_run(struct vhd_job *job, void *data)
{
	struct compact_work *work = data;
	struct vhd_work *w = &work->w;
	struct stat st;

	work->job = job;
	w->ret = compact_load(work);
	if (w->ret != 0) {
		return;
	}
	if (fstat(w->file->fd, &st) != 0) {
		w->ret = errno;
		return;
	}
	work->result.size_before = work->size;
	vhd_file_size(w->file, &work->size, &work->result.allocated_before);
	w->ret = compact_blocks(work);
	vhd_file_size(w->file, &work->result.size_after,
		      &work->result.allocated_after);
	if (w->ret != 0) {
		snprintf(w->why, sizeof(w->why), "%s: %s", work->what,
			 strerror(w->ret));
	}
	/* What children see has not changed: they look at the time. */
	futimens(w->file->fd,
		 (struct timespec[]){{.tv_nsec = UTIME_OMIT}, st.st_mtim});
	/* Before the caller hears of it: the lock is gone then. */
	vhd_file_unref(w->file);
	w->file = NULL;
}

static const struct vhd_job_ops compact_ops = {
	.work = compact_run,
	.free = compact_work_free,
	.slow = true,
};

/* ---- the request ------------------------------------------------- */

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
