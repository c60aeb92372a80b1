/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The journal of a disk: a file beside the disk's own that holds at most one
 * record (record.h). It is there while a disk that has seen atomic writes is
 * open, and after a crash.
 */
#ifndef ISTM_VHD_JOURNAL_H
#define ISTM_VHD_JOURNAL_H

#include <limits.h>

#include "vhd/private.h"
#include "vhd/record.h"

struct vhd_journal {
	struct vhd_file *file;
	int dir; /* where it is */
	char name[NAME_MAX + 1];
	char disk_path[PATH_MAX]; /* where the disk was then */
	uint8_t *buf;		  /* a record, VHD_RECORD_MAX bytes; behind it
				   * VHD_ATOMIC_MAX to compare with */
	struct iovec iov;	  /* of a transfer */
};

/*
 * Worker: make an empty one for the disk's file, in place of what is there.
 * It and its name are on stable storage.
 * @return 0 with *@journal, or errno with @why; ENOTSUP: it is not to be
 *         trusted, since the volume does not keep others from writing it
 */
int vhd_journal_create(struct vhd_file *disk, struct vhd_journal **journal,
		       char *why, size_t why_len);
/*
 * Worker that has opened and locked the disk's file: would a journal beside it
 * be trusted? Leaves nothing there. What cannot be told is told when one is
 * made.
 */
bool vhd_journal_possible(const struct vhd_file *disk);
/* Any thread, does not wait: is the disk's file where it was, and the journal
 * neither removed nor not to be trusted any more (written by others)? */
bool vhd_journal_in_place(const struct vhd_journal *journal,
			  const struct vhd_file *disk);
/* Worker: there is no record in it, on stable storage. @return 0 or errno */
int vhd_journal_truncate(struct vhd_journal *journal);
/* Close it; @remove: and remove the file. */
void vhd_journal_free(struct vhd_journal *journal, bool remove);

/* What a worker that opens a disk finds. */
struct vhd_found {
	struct vhd_journal journal;
	struct vhd_record record;
};

/*
 * Worker: is there a record of an atomic write to the disk's file that was cut
 * off? Whose disk it is of is for the caller to check. A journal without a
 * valid record is removed, if the disk is opened for writing.
 * @return 0 with *@found, to be freed with vhd_found_free(); ENOENT: no;
 *         or errno with @why: it cannot be told
 */
int vhd_journal_find(struct vhd_file *disk, struct vhd_found **found, char *why,
		     size_t why_len);
void vhd_found_free(struct vhd_found *found);

/*
 * Worker: take back the atomic write that @found is about: the contents of
 * before, flushed, then the journal removed. Nobody else uses @disk, which
 * may lack its parent.
 * @return 0, ENOENT (the record is of another disk, or of another state of this
 *         one: it is left alone, with a line in the log) or errno with @why
 */
int vhd_roll_back(struct vhd_disk *disk, struct vhd_found *found, char *why,
		  size_t why_len);

#endif /* ISTM_VHD_JOURNAL_H */
