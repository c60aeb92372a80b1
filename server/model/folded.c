/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What is kept of a directory is kept true by inotify, which queues an event
 * within the system call that changes a name: whoever looks takes the events
 * first. On network file systems others change names unseen, so nothing is
 * kept there.
 */
#include <dirent.h>
#include <errno.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "server/core/utf8.h"
#include "server/model/folded.h"

#ifndef XFS_SUPER_MAGIC
#define XFS_SUPER_MAGIC 0x58465342
#endif

#define KEPT_MAX 8    /* directories */
#define KEPT_MIN 1000 /* names: reading fewer takes no time */
#define CHANGES                                                                \
	(IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ONLYDIR)

struct name {
	struct name *next;
	uint32_t hash;
	char text[];
};

struct names {
	dev_t dev;
	ino_t ino;
	int watch;
	unsigned used; /* when, of all look-ups */
	size_t count, buckets;
	struct name **bucket;
};

static struct names *kept[KEPT_MAX];
static int inotify_fd = -1;
static unsigned lookups, reads;

unsigned folded_reads(void)
{
	return reads;
}

/* ---- names ---- */

static struct name **bucket_of(const struct names *names, uint32_t hash)
{
	return &names->bucket[hash & (names->buckets - 1)];
}

static bool names_grow(struct names *names)
{
	size_t old = names->buckets, i;
	struct name **bucket = names->bucket;
	size_t buckets = old == 0 ? 1024 : old * 4;

	names->bucket = calloc(buckets, sizeof(*names->bucket));
	if (names->bucket == NULL) {
		names->bucket = bucket;
		return false;
	}
	names->buckets = buckets;
	for (i = 0; i < old; i++) {
		while (bucket[i] != NULL) {
			struct name *name = bucket[i];
			struct name **at = bucket_of(names, name->hash);

			bucket[i] = name->next;
			name->next = *at;
			*at = name;
		}
	}
	free(bucket);
	return true;
}

static struct name **names_at(const struct names *names, const char *text,
			      uint32_t hash)
{
	struct name **at = bucket_of(names, hash);

	while (*at != NULL &&
	       ((*at)->hash != hash || strcmp((*at)->text, text) != 0)) {
		at = &(*at)->next;
	}
	return at;
}

static bool names_add(struct names *names, const char *text)
{
	uint32_t hash = utf8_hash_fold(text);
	struct name **at, *name;

	if (names->count >= names->buckets && !names_grow(names)) {
		return false;
	}
	at = names_at(names, text, hash);
	if (*at != NULL) {
		return true;
	}
	name = malloc(sizeof(*name) + strlen(text) + 1);
	if (name == NULL) {
		return false;
	}
	name->next = NULL;
	name->hash = hash;
	strcpy(name->text, text);
	*at = name;
	names->count++;
	return true;
}

static void names_remove(struct names *names, const char *text)
{
	struct name **at = names_at(names, text, utf8_hash_fold(text));
	struct name *name = *at;

	if (name != NULL) {
		*at = name->next;
		free(name);
		names->count--;
	}
}

static const char *names_find(const struct names *names, const char *text)
{
	uint32_t hash = utf8_hash_fold(text);
	const struct name *name;
	const char *found = NULL;

	if (names->buckets == 0) {
		return NULL;
	}
	for (name = *bucket_of(names, hash); name != NULL; name = name->next) {
		/* The same one each time, whatever the order. */
		if (name->hash == hash && utf8_equal_fold(name->text, text) &&
		    (found == NULL || strcmp(name->text, found) < 0)) {
			found = name->text;
		}
	}
	return found;
}

static void names_free(struct names *names)
{
	size_t i;

	for (i = 0; i < names->buckets; i++) {
		while (names->bucket[i] != NULL) {
			struct name *name = names->bucket[i];

			names->bucket[i] = name->next;
			free(name);
		}
	}
	if (names->watch >= 0) {
		inotify_rm_watch(inotify_fd, names->watch);
	}
	free(names->bucket);
	free(names);
}

/* ---- what is kept ---- */

static void forget(unsigned slot)
{
	names_free(kept[slot]);
	kept[slot] = NULL;
}

static void forget_all(void)
{
	unsigned i;

	for (i = 0; i < KEPT_MAX; i++) {
		if (kept[i] != NULL) {
			forget(i);
		}
	}
}

static void take_event(const struct inotify_event *event)
{
	unsigned i;

	if (event->mask & IN_Q_OVERFLOW) {
		forget_all();
		return;
	}
	for (i = 0; i < KEPT_MAX; i++) {
		if (kept[i] == NULL || kept[i]->watch != event->wd) {
			continue;
		}
		if (event->mask & (IN_CREATE | IN_MOVED_TO)) {
			if (!names_add(kept[i], event->name)) {
				forget(i);
			}
		} else if (event->mask & (IN_DELETE | IN_MOVED_FROM)) {
			names_remove(kept[i], event->name);
		} else {
			/* The directory or its file system is gone, and the
			 * watch with it. */
			kept[i]->watch = -1;
			forget(i);
		}
	}
}

static void take_events(void)
{
	_Alignas(struct inotify_event) char buffer[65536];
	ssize_t n, at;

	while (inotify_fd >= 0 &&
	       (n = read(inotify_fd, buffer, sizeof(buffer))) > 0) {
		for (at = 0; at < n;) {
			const struct inotify_event *event =
				(const void *)(buffer + at);

			take_event(event);
			at += (ssize_t)(sizeof(*event) + event->len);
		}
	}
}

static struct names *find_kept(const struct stat *st)
{
	unsigned i;

	for (i = 0; i < KEPT_MAX; i++) {
		if (kept[i] != NULL && kept[i]->ino == st->st_ino &&
		    kept[i]->dev == st->st_dev) {
			return kept[i];
		}
	}
	return NULL;
}

static void keep(struct names *names)
{
	unsigned i, oldest = 0;

	for (i = 0; i < KEPT_MAX && kept[oldest] != NULL; i++) {
		if (kept[i] == NULL || kept[i]->used < kept[oldest]->used) {
			oldest = i;
		}
	}
	if (kept[oldest] != NULL) {
		forget(oldest);
	}
	kept[oldest] = names;
}

/* ---- reading ---- */

/* Does the kernel see every change of the file system? */
static bool is_local(int fd)
{
	struct statfs fs;

	if (fstatfs(fd, &fs) != 0) {
		return false;
	}
	switch (fs.f_type) {
	case EXT4_SUPER_MAGIC:
	case XFS_SUPER_MAGIC:
	case BTRFS_SUPER_MAGIC:
	case TMPFS_MAGIC:
		return true;
	default:
		return false;
	}
}

/* -1: cannot be watched */
static int watch(int fd)
{
	char path[40];

	if (inotify_fd < 0) {
		inotify_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	}
	if (inotify_fd < 0 || !is_local(fd)) {
		return -1;
	}
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return inotify_add_watch(inotify_fd, path, CHANGES);
}

/* Takes @fd. */
static struct names *read_names(int fd, const struct stat *st)
{
	struct names *names = calloc(1, sizeof(*names));
	struct dirent *entry;
	DIR *dir;

	if (names == NULL) {
		close(fd);
		return NULL;
	}
	names->dev = st->st_dev;
	names->ino = st->st_ino;
	/* Before it is read: nothing is missed. */
	names->watch = watch(fd);
	dir = fdopendir(fd);
	if (dir == NULL) {
		close(fd);
		names_free(names);
		return NULL;
	}
	reads++;
	while ((entry = readdir(dir)) != NULL) {
		if (!names_add(names, entry->d_name)) {
			names_free(names);
			names = NULL;
			break;
		}
	}
	closedir(dir);
	return names;
}

char *folded_find(TALLOC_CTX *mem_ctx, int fd, const char *name)
{
	struct names *names;
	const char *text;
	struct stat st;
	char *found;

	if (fstat(fd, &st) != 0) {
		close(fd);
		return NULL;
	}
	take_events();
	names = find_kept(&st);
	if (names != NULL) {
		close(fd);
	} else {
		names = read_names(fd, &st);
		if (names == NULL) {
			return NULL;
		}
	}
	names->used = ++lookups;
	text = names_find(names, name);
	found = text != NULL ? talloc_strdup(mem_ctx, text) : NULL;
	if (find_kept(&st) == NULL) {
		if (names->watch >= 0 && names->count >= KEPT_MIN) {
			keep(names);
		} else {
			names_free(names);
		}
	}
	return found;
}
