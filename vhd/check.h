/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the checkers of all formats share. Worker threads. */
#ifndef ISTM_VHD_CHECK_H
#define ISTM_VHD_CHECK_H

#include "vhd/dynamic.h"
#include "vhd/work.h"

#define VHD_REPORT_MAX 65536

struct check_work {
	struct vhd_work w;
	bool repair;
	uint64_t size;	    /* of the file */
	uint64_t footer_at; /* the file's size if there is none */
	struct vhd_footer footer;
	struct vhd_dyn *dyn;
	struct vhd_check check; /* but for the report */
	char *report;
	size_t report_len;
};

/* A line for the report. */
void vhd_check_found(struct check_work *work, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* The bytes that take space in a range of the file. */
uint64_t vhd_check_data_in(const struct check_work *work, uint64_t from,
			   uint64_t to);

/* @taken bytes take space in a range that belongs to no block: a finding. */
void vhd_check_leaked(struct check_work *work, uint64_t from, uint64_t to,
		      uint64_t taken);
/* Give a leaked range back. @return 0, or errno with work->why */
int vhd_check_punch(struct check_work *work, uint64_t from, uint64_t to);

/* A VHDX, opened and locked. @return 0, or errno with work->why */
int vhdx_check(struct check_work *work);

#endif /* ISTM_VHD_CHECK_H */
