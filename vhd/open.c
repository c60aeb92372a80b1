/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Opening and probing: what is this file? */

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vhd/dynamic.h"
#include "vhd/journal.h"
#include "vhd/vhdx_disk.h"
#include "vhd/work.h"

int vhd_recv_result(struct tevent_req *req, const char *why,
		    TALLOC_CTX *mem_ctx, char **message)
{
	enum tevent_req_state state;
	uint64_t error;

	if (message != NULL) {
		*message = NULL;
	}
	if (!tevent_req_is_error(req, &state, &error)) {
		return 0;
	}
	if (state != TEVENT_REQ_USER_ERROR) {
		error = ENOMEM;
	}
	if (message != NULL) {
		*message = talloc_strdup(
			mem_ctx, why[0] != '\0' ? why : strerror((int)error));
	}
	return (int)error;
}

/* ---- the footer ---- */

/* There is no footer at the end: say what the file is instead, if it shows. */
static void describe_stranger(struct vhd_file *file, uint64_t size, char *why,
			      size_t why_len)
{
	snprintf(why, why_len,
		 "not a VHD or VHDX: no footer (cookie \"conectix\") in "
		 "the last %u bytes of %" PRIu64,
		 VHD_FOOTER_SIZE, size);
}

int vhd_read_footer(struct vhd_file *file, struct vhd_footer *footer,
		    size_t *footer_len, uint64_t *file_size, char *why,
		    size_t why_len)
{
	uint8_t tail[VHD_FOOTER_SIZE];
	char reason[VHD_WHY_MAX];
	int ret;

	ret = vhd_file_size(file, file_size, NULL);
	if (ret != 0) {
		snprintf(why, why_len, "fstat: %s", strerror(ret));
		return ret;
	}
	if (*file_size < VHD_FOOTER_SIZE) {
		snprintf(why, why_len,
			 "not a VHD: %" PRIu64 " bytes are too "
			 "few",
			 *file_size);
		return EINVAL;
	}
	ret = vhd_file_pread(file, tail, sizeof(tail),
			     *file_size - sizeof(tail));
	if (ret != 0) {
		snprintf(why, why_len, "reading the footer at %" PRIu64 ": %s",
			 *file_size - sizeof(tail), strerror(ret));
		return ret;
	}
	*footer_len = vhd_footer_find(tail);
	if (*footer_len == 0) {
		describe_stranger(file, *file_size, why, why_len);
		return EINVAL;
	}
	ret = vhd_footer_pull(tail + sizeof(tail) - *footer_len, *footer_len,
			      footer, reason, sizeof(reason));
	if (ret != 0) {
		snprintf(why, why_len, "%s (at offset %" PRIu64 ")", reason,
			 *file_size - *footer_len);
		if (!vhd_footer_is_whole(tail + sizeof(tail) - *footer_len,
					 *footer_len)) {
			*footer_len = 0;
		}
	}
	return ret;
}

/* ---- the worker ---- */

struct open_work {
	struct vhd_work w;
	bool readonly;
	bool probe; /* look only: no lock */
	struct vhd_footer footer;
	size_t footer_len; /* 0: it is missing, its copy was taken */
	uint64_t footer_at;
	struct vhd_dyn *dyn;
	struct vhdx *vhdx;
	uint64_t allocated;
	struct vhd_cut_off cut_off;
	bool no_journal; /* the volume has none that is to be trusted */
};

static void open_work_free(void *data)
{
	struct open_work *work = data;

	dyn_free(work->dyn);
	vhdx_free(work->vhdx);
	vhd_work_free(&work->w);
}

/*
 * A dynamic disk has a copy of its footer at the start, for when the one at
 * the end was lost while the file was being extended.
 */
static bool open_footer_copy(struct open_work *work, uint64_t size)
{
	uint8_t buf[VHD_FOOTER_SIZE];
	char why[VHD_WHY_MAX / 2];
	struct vhd_footer footer;
	int ret;

	if (vhd_file_pread(work->w.file, buf, sizeof(buf), 0) != 0 ||
	    vhd_footer_find(buf) != sizeof(buf)) {
		return false;
	}
	ret = vhd_footer_pull(buf, sizeof(buf), &footer, why, sizeof(why));
	if (ret != 0 || footer.type == VHD_TYPE_FIXED) {
		size_t at = strlen(work->w.why);

		snprintf(work->w.why + at, sizeof(work->w.why) - at,
			 "; its copy at the start does not help: %s",
			 ret != 0 ? why : "it is a fixed disk's");
		return false;
	}
	work->footer = footer;
	work->footer_len = 0;
	work->footer_at = size;
	return true;
}

static int open_vhdx(struct open_work *work)
{
	unsigned flags = work->probe	  ? VHDX_LOAD_NO_BAT | VHDX_LOAD_IN_USE
			 : work->readonly ? 0
					  : VHDX_LOAD_REPLAY;

	return vhdx_load(work->w.file, flags, &work->vhdx, work->w.why,
			 sizeof(work->w.why));
}

static int open_metadata(struct open_work *work)
{
	bool is_vhdx;
	uint64_t size = 0;
	int ret = vhdx_detect(work->w.file, &is_vhdx);

	if (ret != 0) {
		snprintf(work->w.why, sizeof(work->w.why),
			 "reading the file's start: %s", strerror(ret));
		return ret;
	}
	if (is_vhdx) {
		return open_vhdx(work);
	}
	ret = vhd_read_footer(work->w.file, &work->footer, &work->footer_len,
			      &size, work->w.why, sizeof(work->w.why));
	work->footer_at = size - work->footer_len;
	/* A whole one counts, whatever it says. */
	if (ret == EINVAL && work->footer_len == 0 &&
	    open_footer_copy(work, size)) {
		ret = 0;
	}
	if (ret != 0) {
		return ret;
	}
	if (work->footer.type == VHD_TYPE_FIXED) {
		return vhd_footer_check_fixed(&work->footer, work->footer_len,
					      size, work->w.why,
					      sizeof(work->w.why));
	}
	return dyn_load(work->w.file, &work->footer, work->footer_at,
			&work->dyn, work->w.why, sizeof(work->w.why));
}

/* Put a missing footer back, behind all that is in the file. */
static int restore_footer(struct open_work *work)
{
	struct vhd_dyn *dyn = work->dyn;
	uint64_t at =
		(work->footer_at + VHD_SECTOR - 1) / VHD_SECTOR * VHD_SECTOR;
	int ret;

	vhd_log(1,
		"vhd: %s: no footer at the end (interrupted while it was "
		"extended?): restored from its copy at %" PRIu64,
		work->w.name, at);
	ret = vhd_file_pwrite(work->w.file, dyn->footer, VHD_FOOTER_SIZE, at);
	if (ret == 0) {
		ret = vhd_file_sync(work->w.file);
	}
	if (ret != 0) {
		snprintf(work->w.why, sizeof(work->w.why),
			 "restoring the footer: %s", strerror(ret));
		return ret;
	}
	dyn->next = dyn->end = at;
	return 0;
}

/* A disk that grows meanwhile moves its footer: look again. */
#define PROBE_TRIES 3

/* A fixed disk's growth was interrupted. */
static int finish_growth(struct open_work *work)
{
	int ret;

	vhd_log(1,
		"vhd: %s: its growth was interrupted: zeroing what is left of "
		"the old footer at %" PRIu64,
		work->w.name, work->footer.stale_from);
	ret = vhd_fixed_finish_growth(work->w.file, &work->footer,
				      work->footer_at);
	if (ret != 0) {
		snprintf(work->w.why, sizeof(work->w.why),
			 "finishing an interrupted growth: %s", strerror(ret));
	}
	return ret;
}

/* ---- the disk ---- */

static void init_disk(struct vhd_disk *disk, const struct open_work *work)
{
	struct vhd_info info;

	disk->readonly = work->readonly;
	disk->footer = work->footer;
	disk->footer_len = work->footer_len;
	disk->file = work->w.file;
	disk->format = work->dyn;
	if (work->vhdx != NULL) {
		disk->format = work->vhdx;
		disk->sector = work->vhdx->metadata.logical_sector;
		disk->physical_sector = work->vhdx->metadata.physical_sector;
	}
	vhd_disk_info(disk, &info);
	memcpy(disk->atomic.disk_id, info.unique_id, 16);
	atomic_store(&disk->atomic.impossible, work->no_journal);
}

static const struct vhd_format_ops *ops_of(const struct open_work *work)
{
	return work->vhdx != NULL  ? &vhd_vhdx_ops
	       : work->dyn != NULL ? &vhd_dynamic_ops
				   : &vhd_fixed_ops;
}

static enum vhd_type type_of(const struct open_work *work)
{
	return work->vhdx != NULL ? vhdx_type(work->vhdx)
				  : (enum vhd_type)work->footer.type;
}

static uint64_t size_of(const struct open_work *work)
{
	return work->vhdx != NULL ? work->vhdx->metadata.size
				  : work->footer.current_size;
}

/* ---- atomic writes that were cut off ---- */

/* Do it with a disk that is nobody else's yet. */
static int roll_back(struct open_work *work, struct vhd_found *found)
{
	struct vhd_disk *disk = calloc(1, sizeof(*disk));
	int ret;

	if (disk == NULL) {
		return ENOMEM;
	}
	vhd_disk_init(disk, ops_of(work), type_of(work), size_of(work));
	init_disk(disk, work);
	disk->rolling_back = true;
	ret = vhd_roll_back(disk, found, work->w.why, sizeof(work->w.why));
	vhd_atomic_close(&disk->atomic);
	vhd_gate_destroy(&disk->gate);
	free(disk);
	return ret;
}

static bool is_of_this_disk(const struct open_work *work,
			    const struct vhd_found *found)
{
	const uint8_t *id = work->vhdx != NULL ? work->vhdx->metadata.disk_id
					       : work->footer.unique_id;

	return memcmp(id, found->record.disk_id, 16) == 0;
}

/* Take the atomic write back that @found is about; a probe only tells. */
static int take_back(struct open_work *work, struct vhd_found *found)
{
	int ret = 0;

	if (!work->w.file->readonly) {
		ret = roll_back(work, found);
	} else if (!is_of_this_disk(work, found)) {
		ret = ENOENT;
	} else if (!work->probe) {
		snprintf(work->w.why, sizeof(work->w.why),
			 "an atomic write of %" PRIu32 " bytes at %" PRIu64
			 " was cut off: open it for writing, or repair it, to "
			 "take that back",
			 found->record.length, found->record.offset);
		ret = EINVAL;
	}
	if (ret == 0) {
		work->cut_off.offset = found->record.offset;
		work->cut_off.length = found->record.length;
	}
	if (ret == ENOENT) {
		work->w.why[0] = '\0'; /* no reason for what fails later */
		return 0;
	}
	return ret;
}

/* Has one been cut off? The metadata are there. */
static int recover(struct open_work *work)
{
	struct vhd_found *found;
	int ret = vhd_journal_find(work->w.file, &found, work->w.why,
				   sizeof(work->w.why));

	if (ret != 0) {
		return ret == ENOENT ? 0 : ret;
	}
	ret = take_back(work, found);
	vhd_found_free(found);
	return ret;
}

int vhd_recover_file(struct vhd_file *file, struct vhd_cut_off *cut_off,
		     char *why, size_t why_len)
{
	struct open_work work = {
		.w.file = file,
		.readonly = file->readonly,
		.probe = file->readonly,
	};
	struct vhd_found *found;
	int ret;

	*cut_off = work.cut_off;
	ret = vhd_journal_find(file, &found, why, why_len);
	if (ret != 0) {
		return ret == ENOENT ? 0 : ret;
	}
	ret = open_metadata(&work);
	if (ret == 0) {
		ret = take_back(&work, found);
		*cut_off = work.cut_off;
	}
	if (work.vhdx != NULL && !file->readonly) {
		vhdx_settle(file, work.vhdx);
	}
	if (ret != 0) {
		snprintf(why, why_len, "%s", work.w.why);
	}
	vhd_found_free(found);
	dyn_free(work.dyn);
	vhdx_free(work.vhdx);
	return ret;
}

/* ---- the file ---- */

static int open_file(struct open_work *work)
{
	uint64_t size;
	int ret, tries = work->probe ? PROBE_TRIES : 1;

	ret = vhd_work_open(&work->w, work->readonly, !work->probe);
	if (ret != 0) {
		return ret;
	}
	do {
		ret = open_metadata(work);
	} while (ret != 0 && --tries > 0);
	if (ret != 0) {
		return ret;
	}
	if (work->probe) {
		/* Who has it open may be writing its journal just now. What
		 * cannot be told does no harm. */
		if (!vhd_file_is_locked(work->w.file)) {
			recover(work);
		}
		return vhd_file_size(work->w.file, &size, &work->allocated);
	}
	if (work->vhdx != NULL) {
		/* A fifth more than the disk: growth, and metadata. */
		ret = vhd_file_map_holes(work->w.file,
					 work->vhdx->file_size +
						 work->vhdx->metadata.size / 5 *
							 6);
		if (ret != 0) {
			return ret;
		}
	} else if (work->footer_len == 0 && !work->readonly) {
		ret = restore_footer(work);
		if (ret != 0) {
			return ret;
		}
	}
	if (work->footer.stale_to != 0 && !work->readonly) {
		ret = finish_growth(work);
		if (ret != 0) {
			return ret;
		}
	}
	ret = recover(work);
	if (ret != 0) {
		return ret;
	}
	vhd_file_scan_holes(work->w.file);
	work->no_journal =
		!work->readonly && !vhd_journal_possible(work->w.file);
	if (work->no_journal) {
		vhd_log(3,
			"vhd: %s: no atomic writes: the volume does not keep "
			"others from writing their journal",
			work->w.name);
	}
	return 0;
}

static void open_work(struct vhd_job *job, void *data)
{
	struct open_work *work = data;

	work->w.ret = open_file(work);
	/* Before the caller hears of it: the lock is gone then. */
	if (work->w.ret != 0 || work->probe) {
		vhd_file_unref(work->w.file);
		work->w.file = NULL;
	}
}

static const struct vhd_job_ops open_ops = {
	.work = open_work,
	.free = open_work_free,
};

static struct tevent_req *open_job_send(TALLOC_CTX *mem_ctx,
					struct tevent_context *ev, int fd,
					const char *name, bool readonly,
					bool probe)
{
	struct open_work *work = vhd_work_new(sizeof(*work), fd, name);

	if (work == NULL) {
		return NULL;
	}
	work->readonly = readonly;
	work->probe = probe;
	return vhd_job_send(mem_ctx, ev, &open_ops, work);
}

/* ---- open ---- */

struct open_state {
	struct vhd_work_state w;
	struct vhd_disk *disk;
	struct vhd_info info;
};

static void open_done(struct tevent_req *subreq)
{
	struct tevent_req *req =
		tevent_req_callback_data(subreq, struct tevent_req);
	struct open_state *state = tevent_req_data(req, struct open_state);
	struct open_work *work = vhd_work_done(subreq, req);
	struct vhd_disk *disk;

	if (work == NULL) {
		return;
	}
	disk = vhd_disk_new(state, ops_of(work), type_of(work), size_of(work));
	if (tevent_req_nomem(disk, req)) {
		return;
	}
	init_disk(disk, work);
	work->w.file = NULL;
	work->dyn = NULL;
	work->vhdx = NULL;
	state->disk = disk;
	TALLOC_FREE(subreq);
	tevent_req_done(req);
}

struct tevent_req *vhd_open_send(TALLOC_CTX *mem_ctx, struct tevent_context *ev,
				 int fd, const char *name, uint32_t flags)
{
	struct tevent_req *req, *subreq;
	struct open_state *state;

	req = tevent_req_create(mem_ctx, &state, struct open_state);
	if (req == NULL) {
		close(fd);
		return NULL;
	}
	subreq = open_job_send(state, ev, fd, name, flags & VHD_OPEN_READONLY,
			       false);
	if (tevent_req_nomem(subreq, req)) {
		return tevent_req_post(req, ev);
	}
	tevent_req_set_callback(subreq, open_done, req);
	return req;
}

int vhd_open_recv(struct tevent_req *req, TALLOC_CTX *mem_ctx,
		  struct vhd_disk **disk, char **message)
{
	struct open_state *state = tevent_req_data(req, struct open_state);
	int ret = vhd_recv_result(req, state->w.why, mem_ctx, message);

	if (ret == 0) {
		*disk = talloc_move(mem_ctx, &state->disk);
	}
	tevent_req_received(req);
	return ret;
}

/* ---- probe ---- */

static void probe_done(struct tevent_req *subreq)
{
	struct tevent_req *req =
		tevent_req_callback_data(subreq, struct tevent_req);
	struct open_state *state = tevent_req_data(req, struct open_state);
	struct open_work *work = vhd_work_done(subreq, req);

	if (work == NULL) {
		return;
	}
	state->info.allocated = work->allocated;
	state->info.cut_off = work->cut_off;
	if (work->vhdx != NULL) {
		vhdx_fill_info(work->vhdx, &state->info);
		state->info.size = work->vhdx->metadata.size;
		tevent_req_done(req);
		return;
	}
	state->info.type = work->footer.type;
	state->info.size = work->footer.current_size;
	state->info.logical_sector = VHD_SECTOR;
	state->info.physical_sector = VHD_SECTOR;
	memcpy(state->info.unique_id, work->footer.unique_id, 16);
	memcpy(state->info.link_id, work->footer.unique_id, 16);
	if (work->dyn != NULL) {
		state->info.block_size = work->dyn->header.block_size;
		memcpy(state->info.parent, work->dyn->parent,
		       sizeof(state->info.parent));
		memcpy(state->info.parent_id, work->dyn->header.parent_id, 16);
	}
	tevent_req_done(req);
}

struct tevent_req *vhd_probe_send(TALLOC_CTX *mem_ctx,
				  struct tevent_context *ev, int fd,
				  const char *name)
{
	struct tevent_req *req, *subreq;
	struct open_state *state;

	req = tevent_req_create(mem_ctx, &state, struct open_state);
	if (req == NULL) {
		close(fd);
		return NULL;
	}
	subreq = open_job_send(state, ev, fd, name, true, true);
	if (tevent_req_nomem(subreq, req)) {
		return tevent_req_post(req, ev);
	}
	tevent_req_set_callback(subreq, probe_done, req);
	return req;
}

int vhd_probe_recv(struct tevent_req *req, TALLOC_CTX *mem_ctx,
		   struct vhd_info *info, char **message)
{
	struct open_state *state = tevent_req_data(req, struct open_state);
	int ret = vhd_recv_result(req, state->w.why, mem_ctx, message);

	if (ret == 0) {
		*info = state->info;
	}
	tevent_req_received(req);
	return ret;
}
