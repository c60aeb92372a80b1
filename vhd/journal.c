/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The journal's file. It lies beside the disk's, so that it is on the same
 * volume wherever that is mounted, and goes where its folder goes. The disk's
 * descriptor is all that the engine knows, so the folder is found through
 * /proc, and is only believed in when the very file is in it.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/crc32c.h"
#include "vhd/journal.h"

bool vhd_journal_name(const char *disk, char *name, size_t size)
{
	static const char suffix[] = ".atomic";
	size_t len = strlen(disk);
	int n;

	if (len + sizeof(suffix) <= NAME_MAX) {
		n = snprintf(name, size, ".%s%s", disk, suffix);
	} else {
		/* A name as long as they get: what is cut off is told by a
		 * checksum. */
		n = snprintf(name, size, ".%.200s-%08x%s", disk,
			     ~crc32c_update(CRC32C_INIT, disk, len), suffix);
	}
	return n > 0 && (size_t)n < size && n <= NAME_MAX;
}

static bool path_of(const struct vhd_file *disk, char path[PATH_MAX])
{
	char link[40];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", disk->fd);
	n = readlink(link, path, PATH_MAX);
	if (n <= 0 || n == PATH_MAX || path[0] != '/') {
		return false;
	}
	path[n] = '\0';
	return true;
}

/* Is it this file that has the name in the folder? */
static bool is_there(int dir, const char *name, const struct stat *disk)
{
	struct stat st;

	return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       st.st_dev == disk->st_dev && st.st_ino == disk->st_ino;
}

/* Folder and names. @return 0, ENOENT (the disk's file has no name) or errno */
static int locate(const struct vhd_file *disk, int flags,
		  struct vhd_journal *journal, struct stat *st)
{
	char *path = journal->disk_path, *base;
	int ret;

	journal->dir = -1;
	if (fstat(disk->fd, st) != 0) {
		return errno;
	}
	if (!path_of(disk, path)) {
		return ENOENT;
	}
	base = strrchr(path, '/');
	if (!vhd_journal_name(base + 1, journal->name, sizeof(journal->name))) {
		return ENAMETOOLONG;
	}
	*base = '\0';
	journal->dir = open(path[0] != '\0' ? path : "/",
			    flags | O_DIRECTORY | O_CLOEXEC);
	ret = errno;
	*base = '/';
	if (journal->dir < 0) {
		return ret;
	}
	if (!is_there(journal->dir, base + 1, st)) {
		close(journal->dir);
		journal->dir = -1;
		return ENOENT;
	}
	return 0;
}

/*
 * Only the server's own, or that of the disk's owner, which nobody else could
 * write: a journal is written into the disk.
 */
static bool is_trusted(const struct stat *journal, const struct stat *disk)
{
	return S_ISREG(journal->st_mode) && journal->st_nlink == 1 &&
	       (journal->st_uid == geteuid() ||
		journal->st_uid == disk->st_uid) &&
	       (journal->st_mode & 022) == 0;
}

/* Once it is made: will who opens the disk believe in it? On a volume that has
 * its own idea of owners and modes (vfat, some of CIFS) nobody would. */
static int check_trust(int fd, const struct stat *disk, char *why,
		       size_t why_len)
{
	struct stat st;
	int ret;

	if (fstat(fd, &st) != 0) {
		ret = errno;
		snprintf(why, why_len, "fstat: %s", strerror(ret));
		return ret;
	}
	if (is_trusted(&st, disk)) {
		return 0;
	}
	snprintf(why, why_len,
		 "the volume gives it to user %u with mode 0%o, where others "
		 "could write it: no atomic writes here",
		 (unsigned)st.st_uid, st.st_mode & 07777);
	return ENOTSUP;
}

static int wrap(struct vhd_journal *journal, struct vhd_file *disk, int fd,
		bool readonly, char *why, size_t why_len)
{
	char *name = malloc(strlen(disk->name) + sizeof(VHD_JOURNAL_OF));

	journal->buf = malloc(VHD_RECORD_MAX + VHD_ATOMIC_MAX);
	if (name == NULL || journal->buf == NULL) {
		free(name);
		close(fd);
		snprintf(why, why_len, "out of memory");
		return ENOMEM;
	}
	strcpy(name, disk->name);
	strcat(name, VHD_JOURNAL_OF);
	journal->file = vhd_file_open(fd, name, readonly, why, why_len);
	free(name);
	return journal->file != NULL ? 0 : errno;
}

static void unwrap(struct vhd_journal *journal)
{
	vhd_file_unref(journal->file);
	if (journal->dir >= 0) {
		close(journal->dir);
	}
	free(journal->buf);
}

/* A disk that has come to the old place of a moved one has its own there. */
static bool is_ours(const struct vhd_journal *journal)
{
	struct stat st;

	return fstat(journal->file->fd, &st) != 0 ||
	       is_there(journal->dir, journal->name, &st);
}

void vhd_journal_free(struct vhd_journal *journal, bool remove)
{
	if (remove && is_ours(journal) &&
	    unlinkat(journal->dir, journal->name, 0) != 0 && errno != ENOENT) {
		vhd_log(1, "vhd: %s: cannot be removed: %s",
			journal->file->name, strerror(errno));
	}
	unwrap(journal);
	free(journal);
}

int vhd_journal_create(struct vhd_file *disk, struct vhd_journal **journal,
		       char *why, size_t why_len)
{
	struct vhd_journal *new = calloc(1, sizeof(*new));
	struct stat st;
	int fd, ret;

	if (new == NULL) {
		snprintf(why, why_len, "out of memory");
		return ENOMEM;
	}
	ret = locate(disk, O_RDONLY, new, &st);
	if (ret != 0) {
		snprintf(why, why_len, "where it belongs: %s", strerror(ret));
		goto fail;
	}
	/* What is there is of no use: opening the disk has looked at it. */
	if (unlinkat(new->dir, new->name, 0) != 0 && errno != ENOENT) {
		ret = errno;
		snprintf(why, why_len, "removing an old one: %s",
			 strerror(ret));
		goto fail;
	}
	fd = openat(new->dir, new->name,
		    O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0) {
		ret = errno;
		snprintf(why, why_len, "%s: %s", new->name, strerror(ret));
		goto fail;
	}
	ret = wrap(new, disk, fd, false, why, why_len);
	if (ret == 0) {
		ret = check_trust(fd, &st, why, why_len);
	}
	if (ret == 0 && fsync(new->dir) != 0) {
		ret = errno;
		snprintf(why, why_len, "fsync of its folder: %s",
			 strerror(ret));
	}
	if (ret != 0) {
		unlinkat(new->dir, new->name, 0);
		goto fail;
	}
	*journal = new;
	return 0;
fail:
	unwrap(new);
	free(new);
	return ret;
}

/*
 * A file such as the journal would be, of no name if the volume has such.
 * @return -1: there is none, for errno's reason
 */
static int make_trial(const struct vhd_journal *journal, bool *named)
{
	int fd =
		openat(journal->dir, ".", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);

	*named = false;
	if (fd < 0 && errno == EOPNOTSUPP) {
		fd = openat(journal->dir, journal->name,
			    O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
			    0600);
		*named = fd >= 0;
	}
	return fd;
}

bool vhd_journal_possible(const struct vhd_file *disk)
{
	struct vhd_journal *trial = calloc(1, sizeof(*trial));
	struct stat st, disk_st;
	bool possible = true, named;
	int fd;

	if (trial == NULL || locate(disk, O_RDONLY, trial, &disk_st) != 0) {
		free(trial);
		return true;
	}
	fd = make_trial(trial, &named);
	if (fd >= 0) {
		if (fstat(fd, &st) == 0) {
			st.st_nlink = 1;
			possible = is_trusted(&st, &disk_st);
		}
		close(fd);
	} else if (errno == EEXIST && fstatat(trial->dir, trial->name, &st,
					      AT_SYMLINK_NOFOLLOW) == 0) {
		/* Where nobody believes in what lies there, the first write
		 * would remove a record that may count. */
		possible = is_trusted(&st, &disk_st);
	}
	if (named) {
		unlinkat(trial->dir, trial->name, 0);
	}
	close(trial->dir);
	free(trial);
	return possible;
}

bool vhd_journal_in_place(const struct vhd_journal *journal,
			  const struct vhd_file *disk)
{
	char path[PATH_MAX];
	struct stat st, disk_st;

	/* One that somebody has removed, nobody would find; in one that others
	 * may write by now, or under another name, nobody would believe. */
	return fstat(journal->file->fd, &st) == 0 &&
	       fstat(disk->fd, &disk_st) == 0 && is_trusted(&st, &disk_st) &&
	       path_of(disk, path) && strcmp(path, journal->disk_path) == 0;
}

int vhd_journal_truncate(struct vhd_journal *journal)
{
	int ret = vhd_file_truncate(journal->file, 0);

	return ret != 0 ? ret : vhd_file_sync(journal->file);
}

/* ---- after a crash ---- */

void vhd_found_free(struct vhd_found *found)
{
	if (found != NULL) {
		unwrap(&found->journal);
		free(found);
	}
}

/* Open it where it is to be trusted. */
static int open_found(struct vhd_file *disk, struct vhd_journal *journal,
		      char *why, size_t why_len)
{
	struct stat disk_st, st;
	int fd, ret = locate(disk, O_PATH, journal, &disk_st);

	if (ret == ENAMETOOLONG || ret == ENOENT) {
		return ENOENT; /* none can be there */
	}
	if (ret != 0) {
		snprintf(why, why_len, "its folder: %s", strerror(ret));
		return ret;
	}
	fd = openat(journal->dir, journal->name,
		    (disk->readonly ? O_RDONLY : O_RDWR) | O_NOFOLLOW |
			    O_NONBLOCK | O_CLOEXEC);
	ret = errno;
	if (fd < 0 && ret == ENOENT) {
		return ENOENT;
	}
	/* Whatever others have put there does not keep the disk closed. */
	if (fd < 0 && (fstatat(journal->dir, journal->name, &st,
			       AT_SYMLINK_NOFOLLOW) != 0 ||
		       is_trusted(&st, &disk_st))) {
		snprintf(why, why_len, "%s: %s", journal->name, strerror(ret));
		return ret;
	}
	if (fd < 0 || fstat(fd, &st) != 0 || !is_trusted(&st, &disk_st)) {
		if (fd >= 0) {
			close(fd);
		}
		if (!disk->readonly) {
			vhd_log(1,
				"vhd: %s%s: ignored: not a file of its "
				"owner that only he can write; an atomic write "
				"that it may hold is not taken back",
				disk->name, VHD_JOURNAL_OF);
		}
		return ENOENT;
	}
	return wrap(journal, disk, fd, disk->readonly, why, why_len);
}

int vhd_journal_find(struct vhd_file *disk, struct vhd_found **result,
		     char *why, size_t why_len)
{
	struct vhd_found *found = calloc(1, sizeof(*found));
	struct vhd_journal *journal;
	char damage[VHD_WHY_MAX];
	uint64_t size = 0;
	int ret;

	if (found == NULL) {
		snprintf(why, why_len, "out of memory");
		return ENOMEM;
	}
	journal = &found->journal;
	ret = open_found(disk, journal, why, why_len);
	if (ret != 0) {
		goto out;
	}
	ret = vhd_file_size(journal->file, &size, NULL);
	if (size > VHD_RECORD_MAX) {
		size = VHD_RECORD_MAX;
	}
	if (ret == 0 && size > 0) {
		ret = vhd_file_pread(journal->file, journal->buf, size, 0);
	}
	if (ret != 0) {
		snprintf(why, why_len, "reading its journal: %s",
			 strerror(ret));
		goto out;
	}
	ret = vhd_record_pull(journal->buf, size, &found->record, damage,
			      sizeof(damage));
	if (ret == 0) {
		*result = found;
		return 0;
	}
	if (ret == ENOTSUP) {
		snprintf(why, why_len,
			 "an atomic write may have been cut off: %s: %s: "
			 "open the disk with the version that wrote it",
			 journal->name, damage);
		goto out;
	}
	if (ret == EINVAL && !disk->readonly) {
		/* The write to the disk had not begun. */
		vhd_log(3,
			"vhd: %s: ignored, an atomic write was cut off "
			"before it began: %s",
			journal->file->name, damage);
	}
	if (!disk->readonly) {
		unlinkat(journal->dir, journal->name, 0);
	}
	ret = ENOENT;
out:
	vhd_found_free(found);
	return ret;
}
