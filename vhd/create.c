/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Creating disks, on a worker thread. */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vhd/dynamic.h"
#include "vhd/vhdx_disk.h"
#include "vhd/work.h"

/* Zeroes are written in such pieces; between them cancellation is noticed. */
#define CHUNK (4u << 20)

/* What O_DIRECT needs at most, in general. */
#define DIRECT_UNIT 4096u

struct create_work {
	struct vhd_work w;
	char *parent_path, *parent_relative, *parent_volume;
	struct vhd_create_params params;
	const char *what; /* being done, for the message */
};

static void create_work_free(void *data)
{
	struct create_work *work = data;

	free(work->parent_path);
	free(work->parent_relative);
	free(work->parent_volume);
	vhd_work_free(&work->w);
}

static char *strdup_or_null(const char *s)
{
	return s != NULL ? strdup(s) : NULL;
}

static int set_direct(int fd, bool on)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0) {
		return errno;
	}
	flags = on ? flags | O_DIRECT : flags & ~O_DIRECT;
	return fcntl(fd, F_SETFL, flags) == 0 ? 0 : errno;
}

/* Keep dirty data of a buffered writer bounded, and out of others' way. */
static void write_behind(int fd, uint64_t offset, uint64_t length)
{
	sync_file_range(fd, (off_t)offset, (off_t)length,
			SYNC_FILE_RANGE_WRITE);
	if (offset >= length) {
		offset -= length;
		sync_file_range(fd, (off_t)offset, (off_t)length,
				SYNC_FILE_RANGE_WAIT_BEFORE |
					SYNC_FILE_RANGE_WRITE |
					SYNC_FILE_RANGE_WAIT_AFTER);
		posix_fadvise(fd, (off_t)offset, (off_t)length,
			      POSIX_FADV_DONTNEED);
	}
}

static int write_chunks(struct vhd_job *job, struct create_work *work,
			struct vhd_file *file, const void *zero, uint64_t from,
			uint64_t length)
{
	uint64_t size = from + length, at = from;
	/*
	 * Around the page cache: what initiators keep there shall stay, and
	 * the zeroes shall not stay in folios as large as these writes, which
	 * make small writes slow (docs/performance.md, Folios). Three times
	 * as fast as through it, too.
	 */
	bool direct = set_direct(file->fd, true) == 0;
	int ret = 0;

	while (at < size) {
		uint64_t n = size - at < CHUNK ? size - at : CHUNK;

		if (vhd_job_cancelled(job)) {
			ret = ECANCELED;
			break;
		}
		if (direct && n % DIRECT_UNIT != 0) {
			direct = false; /* the end, shorter than a block */
			ret = set_direct(file->fd, false);
			if (ret != 0) {
				break;
			}
		}
		ret = vhd_file_pwrite(file, zero, n, at);
		if (ret == EINVAL && direct) {
			direct = false;
			ret = set_direct(file->fd, false);
			if (ret == 0) {
				continue;
			}
		}
		if (ret != 0) {
			break;
		}
		if (!direct) {
			write_behind(file->fd, at, n);
		}
		at += n;
		vhd_job_progress(job, (unsigned)((at - from) * 100 / length));
	}
	if (direct) {
		set_direct(file->fd, false);
	}
	return ret;
}

/*
 * Reserve first, so that a full volume is noticed at once and not after an
 * hour; then write, so that no later write has to convert an extent and so
 * that space is had where reservations do not exist or mean nothing.
 */
static int write_out(struct vhd_job *job, struct create_work *work,
		     struct vhd_file *file, uint64_t from, uint64_t length,
		     uint64_t end)
{
	void *zero;
	int ret;

	work->what = "reserving space";
	ret = vhd_file_fallocate(file, 0, 0, end);
	if (ret != 0 && ret != EOPNOTSUPP) {
		return ret;
	}
	work->what = "writing out zeroes";
	zero = mmap(NULL, CHUNK, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (zero == MAP_FAILED) {
		return ENOMEM;
	}
	ret = write_chunks(job, work, file, zero, from, length);
	munmap(zero, CHUNK);
	return ret;
}

/*
 * The footer is written last and makes the file a VHD: before it the last 512
 * bytes are zeroes or not there.
 */
static int create_fixed(struct vhd_job *job, struct create_work *work,
			struct vhd_file *file)
{
	uint8_t buf[VHD_FOOTER_SIZE];
	struct vhd_footer footer;
	int ret;

	if (!work->params.sparse) {
		ret = write_out(job, work, file, 0, work->params.size,
				work->params.size + VHD_FOOTER_SIZE);
		if (ret != 0) {
			return ret;
		}
		work->what = "flushing";
		ret = vhd_file_sync(file);
		if (ret != 0) {
			return ret;
		}
		/* What could not be written around it. */
		posix_fadvise(file->fd, 0, 0, POSIX_FADV_DONTNEED);
	}
	work->what = "writing the footer";
	vhd_footer_init(&footer, VHD_TYPE_FIXED, work->params.size);
	vhd_footer_push(&footer, buf);
	ret = vhd_file_pwrite(file, buf, sizeof(buf), work->params.size);
	return ret != 0 ? ret : vhd_file_sync(file);
}

struct create_vhdx {
	struct vhd_job *job;
	struct create_work *work;
	struct vhd_file *file;
};

static int vhdx_write_out(void *data, uint64_t from, uint64_t length)
{
	struct create_vhdx *v = data;

	return write_out(v->job, v->work, v->file, from, length, from + length);
}

static int create_vhdx(struct vhd_job *job, struct create_work *work,
		       struct vhd_file *file)
{
	struct create_vhdx v = {job, work, file};

	return vhdx_create(file, &work->params, vhdx_write_out, &v,
			   &work->what);
}

static bool sector_size_is_valid(uint32_t size)
{
	return size == 0 || size == 512 || size == 4096;
}

static int vhdx_params_check(struct create_work *work)
{
	const struct vhd_create_params *params = &work->params;
	uint32_t bs = params->block_size;
	uint32_t sector = params->logical_sector != 0 ? params->logical_sector
						      : VHD_SECTOR;

	if (!sector_size_is_valid(params->logical_sector) ||
	    !sector_size_is_valid(params->physical_sector)) {
		snprintf(work->w.why, sizeof(work->w.why),
			 "sector sizes %" PRIu32 " and %" PRIu32
			 " are not 512 or 4096",
			 params->logical_sector, params->physical_sector);
		return EINVAL;
	}
	if (bs != 0 && (bs < VHDX_BLOCK_MIN || bs > VHDX_BLOCK_MAX ||
			(bs & (bs - 1)) != 0)) {
		snprintf(work->w.why, sizeof(work->w.why),
			 "block size %" PRIu32 " is not a power of two from "
			 "%u to %u",
			 bs, VHDX_BLOCK_MIN, VHDX_BLOCK_MAX);
		return EINVAL;
	}
	if (params->size == 0 || params->size % sector != 0 ||
	    params->size > VHDX_MAX_SIZE) {
		snprintf(work->w.why, sizeof(work->w.why),
			 "size %" PRIu64
			 " is not a positive multiple of %" PRIu32
			 " up to %" PRIu64,
			 params->size, sector, VHDX_MAX_SIZE);
		return EINVAL;
	}
	return 0;
}

static int vhd_params_check(struct create_work *work)
{
	const struct vhd_create_params *params = &work->params;
	uint32_t bs = params->block_size;

	if (params->type != VHD_TYPE_FIXED && bs != 0 &&
	    (bs < VHD_BLOCK_MIN || bs > VHD_BLOCK_MAX ||
	     (bs & (bs - 1)) != 0)) {
		snprintf(work->w.why, sizeof(work->w.why),
			 "block size %" PRIu32 " is not a power of two from "
			 "%u to %u",
			 bs, VHD_BLOCK_MIN, VHD_BLOCK_MAX);
		return EINVAL;
	}
	if (params->logical_sector != 0 &&
	    params->logical_sector != VHD_SECTOR) {
		snprintf(work->w.why, sizeof(work->w.why),
			 "a VHD has sectors of %u bytes, not %" PRIu32,
			 VHD_SECTOR, params->logical_sector);
		return EINVAL;
	}
	if (params->size == 0 || params->size % VHD_SECTOR != 0 ||
	    params->size > VHD_MAX_SIZE) {
		snprintf(work->w.why, sizeof(work->w.why),
			 "size %" PRIu64
			 " is not a positive multiple of %u up to %llu",
			 params->size, VHD_SECTOR, VHD_MAX_SIZE);
		return EINVAL;
	}
	return 0;
}

static int create_params_check(struct create_work *work)
{
	const struct vhd_create_params *params = &work->params;

	switch (params->type) {
	case VHD_TYPE_FIXED:
	case VHD_TYPE_DYNAMIC:
		break;
	case VHD_TYPE_DIFFERENCING:
		if (params->parent_path != NULL &&
		    params->parent_path[0] != '\0') {
			break;
		}
		snprintf(work->w.why, sizeof(work->w.why),
			 "no parent is given");
		return EINVAL;
	default:
		snprintf(work->w.why, sizeof(work->w.why),
			 "disks of type %d cannot be created", params->type);
		return EINVAL;
	}
	return params->format == VHD_FORMAT_VHDX ? vhdx_params_check(work)
						 : vhd_params_check(work);
}

static int create_in_file(struct vhd_job *job, struct create_work *work,
			  struct vhd_file *file)
{
	uint64_t size;
	int ret;

	work->what = "fstat";
	ret = vhd_file_size(file, &size, NULL);
	if (ret == 0 && size != 0) {
		snprintf(work->w.why, sizeof(work->w.why),
			 "the file is not empty: %" PRIu64 " bytes", size);
		return EEXIST;
	}
	if (ret == 0 && work->params.format == VHD_FORMAT_VHDX) {
		ret = create_vhdx(job, work, file);
	} else if (ret == 0 && work->params.type == VHD_TYPE_FIXED) {
		ret = create_fixed(job, work, file);
	} else if (ret == 0) {
		work->what = "writing the metadata";
		ret = dyn_create(file, &work->params);
	}
	if (ret != 0) {
		snprintf(work->w.why, sizeof(work->w.why), "%s: %s", work->what,
			 strerror(ret));
	}
	return ret;
}

static void create_work(struct vhd_job *job, void *data)
{
	struct create_work *work = data;

	work->w.ret = create_params_check(work);
	if (work->w.ret == 0) {
		work->w.ret = vhd_work_open(&work->w, false, true);
	}
	if (work->w.ret == 0) {
		work->w.ret = create_in_file(job, work, work->w.file);
	}
	/* Before the caller hears of it: the lock is gone then. */
	vhd_file_unref(work->w.file);
	work->w.file = NULL;
}

static const struct vhd_job_ops create_ops = {
	.work = create_work,
	.free = create_work_free,
};

static const struct vhd_job_ops create_slow_ops = {
	.work = create_work,
	.free = create_work_free,
	.slow = true,
};

enum vhd_format vhd_format_of_name(const char *name)
{
	static const char ending[] = ".vhdx";
	size_t len = strlen(name);

	return len >= sizeof(ending) - 1 &&
			       strcasecmp(name + len - (sizeof(ending) - 1),
					  ending) == 0
		       ? VHD_FORMAT_VHDX
		       : VHD_FORMAT_VHD;
}

/* ---- the request ---- */

struct create_state {
	struct vhd_work_state w;
};

static void create_done(struct tevent_req *subreq)
{
	struct tevent_req *req =
		tevent_req_callback_data(subreq, struct tevent_req);

	if (vhd_work_done(subreq, req) != NULL) {
		tevent_req_done(req);
	}
}

struct tevent_req *vhd_create_send(TALLOC_CTX *mem_ctx,
				   struct tevent_context *ev, int fd,
				   const char *name,
				   const struct vhd_create_params *params)
{
	struct tevent_req *req, *subreq;
	struct create_state *state;
	struct create_work *work;

	req = tevent_req_create(mem_ctx, &state, struct create_state);
	work = vhd_work_new(sizeof(*work), fd, name);
	if (req == NULL || work == NULL) {
		if (work != NULL) {
			create_work_free(work);
		}
		talloc_free(req);
		return NULL;
	}
	work->params = *params;
	/* Freeing the request may leave the worker alone with them. */
	work->parent_path = strdup_or_null(params->parent_path);
	work->parent_relative = strdup_or_null(params->parent_relative);
	work->parent_volume = strdup_or_null(params->parent_volume);
	work->params.parent_path = work->parent_path;
	work->params.parent_relative = work->parent_relative;
	work->params.parent_volume = work->parent_volume;
	subreq = vhd_job_send(state, ev,
			      params->type == VHD_TYPE_FIXED && !params->sparse
				      ? &create_slow_ops
				      : &create_ops,
			      work);
	if (tevent_req_nomem(subreq, req)) {
		return tevent_req_post(req, ev);
	}
	vhd_job_set_progress(subreq, params->progress, params->private_data);
	tevent_req_set_callback(subreq, create_done, req);
	return req;
}

int vhd_create_recv(struct tevent_req *req, TALLOC_CTX *mem_ctx, char **message)
{
	struct create_state *state = tevent_req_data(req, struct create_state);
	int ret = vhd_recv_result(req, state->w.why, mem_ctx, message);

	tevent_req_received(req);
	return ret;
}
