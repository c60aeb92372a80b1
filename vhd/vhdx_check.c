/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Checking and mending a VHDX that nobody uses. Mended is what the file says
 * twice (headers, region tables), what its log says, and what belongs to
 * nobody.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "vhd/check.h"
#include "vhd/vhdx_disk.h"

#define found vhd_check_found

struct vhdx_work {
	struct check_work *work;
	struct vhdx *vx;
	bool announced; /* the headers have a new FileWriteGuid */
};

static int failed(struct vhdx_work *w, const char *what, int ret)
{
	snprintf(w->work->w.why, sizeof(w->work->w.why), "%s: %s", what,
		 strerror(ret));
	return ret;
}

/* Before the first change, 2.2.2. Both headers are good then. */
static int announce(struct vhdx_work *w)
{
	struct vhdx_header header = w->vx->header;
	int ret;

	if (w->announced) {
		return 0;
	}
	vhdx_guid_new(header.file_write_guid);
	ret = vhdx_write_headers(w->work->w.file, w->vx, &header);
	if (ret != 0) {
		return failed(w, "writing the headers", ret);
	}
	w->announced = true;
	return 0;
}

static void mended(struct vhdx_work *w, const char *what)
{
	w->work->check.mended++;
	found(w->work, "mended: %s", what);
}

/* ---- headers, the log ---- */

/* @return which of the two are good, as bits */
static unsigned check_headers(struct check_work *work)
{
	struct vhdx_header header;
	char why[VHD_WHY_MAX];
	unsigned i, good = 0;

	for (i = 0; i < 2; i++) {
		uint8_t buf[VHDX_SECTOR];
		int ret = vhd_file_pread(work->w.file, buf, sizeof(buf),
					 VHDX_HEADER_AT(i));

		if (ret == 0) {
			ret = vhdx_header_pull(buf, &header, why, sizeof(why));
		} else {
			snprintf(why, sizeof(why), "%s", strerror(ret));
		}
		if (ret == 0) {
			good |= 1u << i;
		} else {
			found(work, "header %u at %u: %s", i + 1,
			      VHDX_HEADER_AT(i), why);
		}
	}
	return good;
}

/* Load all, having replayed the log in the file or in memory. */
static int check_load(struct check_work *work, struct vhdx **vx)
{
	struct vhdx_header header;
	char why[VHD_WHY_MAX];
	unsigned current, flags;
	bool dirty;
	int ret = vhdx_load_headers(work->w.file, &header, &current, why,
				    sizeof(why));

	flags = work->repair ? VHDX_LOAD_REPLAY | VHDX_LOAD_FORGET : 0;
	dirty = ret == 0 && !vhdx_guid_is_zero(header.log_guid);
	if (ret == 0) {
		ret = vhdx_load(work->w.file, flags, vx, why, sizeof(why));
	}
	if (ret == EINVAL) {
		found(work, "%s", why);
		work->check.errors++;
		return 0;
	}
	if (ret != 0) {
		memcpy(work->w.why, why, sizeof(why));
		return ret;
	}
	if (dirty) {
		found(work, "its log is to be replayed");
		work->check.mendable++;
		work->check.mended += work->repair;
	}
	return 0;
}

/* ---- region tables ---- */

static int mend_regions(struct vhdx_work *w, const uint8_t *good, unsigned bad)
{
	int ret = announce(w);

	if (ret != 0) {
		return ret;
	}
	ret = vhd_file_pwrite_durable(w->work->w.file, good, VHDX_REGION_SIZE,
				      VHDX_REGION_AT(bad));
	if (ret != 0) {
		return failed(w, "writing a region table", ret);
	}
	mended(w, "region table written from the other");
	return 0;
}

static int compare_regions(struct vhdx_work *w, uint8_t *buf[2])
{
	struct vhdx_regions regions[2];
	char why[VHD_WHY_MAX];
	unsigned i, bad = 2;
	int ret;

	for (i = 0; i < 2; i++) {
		ret = vhdx_read(w->work->w.file, w->vx, buf[i],
				VHDX_REGION_SIZE, VHDX_REGION_AT(i));
		if (ret != 0) {
			return failed(w, "reading a region table", ret);
		}
		if (vhdx_regions_pull(buf[i], &regions[i], why, sizeof(why)) !=
		    0) {
			found(w->work, "region table %u at %u: %s", i + 1,
			      VHDX_REGION_AT(i), why);
			bad = i;
		}
	}
	if (bad < 2) {
		w->work->check.mendable++;
		return w->work->repair ? mend_regions(w, buf[!bad], bad) : 0;
	}
	if (memcmp(&regions[0], &regions[1], sizeof(regions[0])) != 0) {
		found(w->work, "the two region tables, both good, differ");
		w->work->check.errors++;
	}
	return 0;
}

static int check_regions(struct vhdx_work *w)
{
	uint8_t *both = malloc(2 * VHDX_REGION_SIZE);
	uint8_t *buf[2] = {both, both + VHDX_REGION_SIZE};
	int ret = both == NULL ? failed(w, "region tables", ENOMEM)
			       : compare_regions(w, buf);

	free(both);
	return ret;
}

/* ---- space ---- */

/* Up to this is what file systems keep of a hole's rims. */
#define RIMS 65536u

static int leak(struct vhdx_work *w, uint64_t from, uint64_t to)
{
	struct check_work *work = w->work;
	uint64_t taken = vhd_check_data_in(work, from, to);
	int ret;

	if (taken <= RIMS) {
		return 0;
	}
	vhd_check_leaked(work, from, to, taken);
	if (!work->repair) {
		return 0;
	}
	ret = announce(w);
	return ret != 0 ? ret : vhd_check_punch(work, from, to);
}

/* Behind all structures; a fixed disk's file is as long as it was made. */
static int trim_end(struct vhdx_work *w)
{
	struct vhdx *vx = w->vx;
	uint64_t extra;
	int ret;

	if (vx->metadata.leave_allocated || vx->file_size <= vx->used_end) {
		return 0;
	}
	extra = vx->file_size - vx->used_end;
	w->work->check.leaked += extra;
	found(w->work,
	      "%" PRIu64 " bytes at %" PRIu64 ", the file's end, belong to no "
	      "block",
	      extra, vx->used_end);
	if (!w->work->repair) {
		return 0;
	}
	ret = announce(w);
	if (ret != 0) {
		return ret;
	}
	ret = vhd_file_truncate(w->work->w.file, vx->used_end);
	return ret == 0 ? 0 : failed(w, "trimming the file", ret);
}

static int check_space(struct vhdx_work *w)
{
	struct vhdx_extents x = {.e = NULL};
	struct vhdx_gaps gaps = {.gap = NULL};
	int ret = vhdx_extents(w->vx, &x);
	size_t i;

	if (ret == 0) {
		ret = vhdx_find_gaps(&x, &gaps);
	}
	free(x.e);
	if (ret != 0) {
		return failed(w, "the list of blocks", ret);
	}
	for (i = 0; ret == 0 && i < gaps.count; i++) {
		ret = leak(w, gaps.gap[i].start, gaps.gap[i].end);
	}
	free(gaps.gap);
	return ret != 0 ? ret : trim_end(w);
}

/* ---- the whole ---- */

static int check_loaded(struct vhdx_work *w, unsigned good_headers)
{
	int ret = 0;

	if (good_headers != 3) {
		w->work->check.mendable++;
		if (w->work->repair) {
			ret = announce(w);
		}
		if (ret == 0 && w->work->repair) {
			mended(w, "header written from the other");
		}
	}
	if (ret == 0) {
		ret = check_regions(w);
	}
	/* What is damaged elsewhere is not to be cut; what the log moves is
	 * there only when it is replayed. */
	if (ret == 0 && w->work->check.errors == 0 &&
	    w->vx->overlay.count == 0) {
		ret = check_space(w);
	}
	if (ret == 0 && w->announced) {
		ret = vhd_file_sync(w->work->w.file);
	}
	return ret;
}

int vhdx_check(struct check_work *work)
{
	struct vhdx_work w = {.work = work};
	unsigned good = check_headers(work);
	int ret = check_load(work, &w.vx);

	if (ret == 0 && w.vx != NULL) {
		ret = check_loaded(&w, good);
	}
	vhdx_free(w.vx);
	return ret;
}
