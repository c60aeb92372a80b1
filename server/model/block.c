/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "server/core/log.h"
#include "server/model/block.h"

/* /sys/block/NAME/size counts these whatever the disk's own block size is. */
#define SYSFS_SECTOR 512

struct found {
	dev_t dev;
	char name[64];
	uint64_t size;
};

/* One line of a small file, without its end. */
static bool read_line(const char *sysfs, const char *name, const char *attr,
		      char *line, size_t size)
{
	char path[PATH_MAX];
	FILE *file;
	bool ok;

	if (snprintf(path, sizeof(path), "%s/block/%s/%s", sysfs, name, attr) >=
	    (int)sizeof(path)) {
		return false;
	}
	file = fopen(path, "re");
	if (file == NULL) {
		return false;
	}
	ok = fgets(line, size, file) != NULL;
	fclose(file);
	if (ok) {
		line[strcspn(line, "\n")] = '\0';
	}
	return ok;
}

static bool has(const char *sysfs, const char *name, const char *what)
{
	char path[PATH_MAX];

	return snprintf(path, sizeof(path), "%s/block/%s/%s", sysfs, name,
			what) < (int)sizeof(path) &&
	       access(path, F_OK) == 0;
}

/* Software devices have no "device"; a path of a multipath NVMe is hidden. */
static bool is_disk(const char *sysfs, const char *name, struct found *found)
{
	char line[64];
	unsigned major, minor;
	uint64_t sectors;

	if (strlen(name) >= sizeof(found->name) ||
	    !has(sysfs, name, "device") || strncmp(name, "sr", 2) == 0) {
		return false;
	}
	if (read_line(sysfs, name, "hidden", line, sizeof(line)) &&
	    strcmp(line, "0") != 0) {
		return false;
	}
	if (!read_line(sysfs, name, "size", line, sizeof(line)) ||
	    sscanf(line, "%" SCNu64, &sectors) != 1 || sectors == 0 ||
	    sectors > UINT64_MAX / SYSFS_SECTOR ||
	    !read_line(sysfs, name, "dev", line, sizeof(line)) ||
	    sscanf(line, "%u:%u", &major, &minor) != 2) {
		return false;
	}
	strcpy(found->name, name);
	found->dev = makedev(major, minor);
	found->size = sectors * SYSFS_SECTOR;
	return true;
}

static int compare(const void *a, const void *b)
{
	const struct found *x = a, *y = b;

	return (x->dev > y->dev) - (x->dev < y->dev);
}

static size_t find_disks(const char *sysfs, struct found **list)
{
	char path[PATH_MAX];
	const struct dirent *entry;
	size_t count = 0;
	DIR *dir;

	*list = NULL;
	snprintf(path, sizeof(path), "%s/block", sysfs);
	dir = opendir(path);
	if (dir == NULL) {
		log_msg(LOG_INFO, "%s: %s", path, strerror(errno));
		return 0;
	}
	while ((entry = readdir(dir)) != NULL) {
		struct found found, *more;

		if (entry->d_name[0] == '.' ||
		    !is_disk(sysfs, entry->d_name, &found)) {
			continue;
		}
		more = realloc(*list, (count + 1) * sizeof(found));
		if (more == NULL) {
			break;
		}
		*list = more;
		more[count++] = found;
	}
	closedir(dir);
	if (count > 0) {
		qsort(*list, count, sizeof(**list), compare);
	}
	return count;
}

size_t block_devices(TALLOC_CTX *mem_ctx, const char *sysfs,
		     struct model_block_device **devices)
{
	struct found *list;
	size_t count = find_disks(sysfs, &list);
	struct model_block_device *d =
		talloc_zero_array(mem_ctx, struct model_block_device, count);

	for (size_t i = 0; d != NULL && i < count; i++) {
		d[i].index = i;
		d[i].size = list[i].size;
		d[i].name = talloc_strdup(d, list[i].name);
		if (d[i].name == NULL) {
			TALLOC_FREE(d);
		}
	}
	free(list);
	*devices = d;
	return d != NULL ? count : 0;
}

/* The name of the disk under a device, which may be a partition of it:
 * /sys/dev/block/8:1 leads to …/block/sda/sda1. */
static bool disk_name(const char *sysfs, dev_t dev, char name[NAME_MAX + 1])
{
	char link[PATH_MAX], path[PATH_MAX], partition[PATH_MAX + 16];
	char *slash;

	snprintf(link, sizeof(link), "%s/dev/block/%u:%u", sysfs, major(dev),
		 minor(dev));
	if (realpath(link, path) == NULL) {
		return false;
	}
	snprintf(partition, sizeof(partition), "%s/partition", path);
	slash = strrchr(path, '/');
	if (slash != NULL && access(partition, F_OK) == 0) {
		*slash = '\0';
		slash = strrchr(path, '/');
	}
	if (slash == NULL || strlen(slash + 1) > NAME_MAX) {
		return false;
	}
	strcpy(name, slash + 1);
	return true;
}

uint32_t block_index(const char *sysfs, dev_t dev)
{
	char name[NAME_MAX + 1];
	uint32_t index = BLOCK_NO_INDEX;
	struct found *list;
	size_t count;

	if (!disk_name(sysfs, dev, name)) {
		return BLOCK_NO_INDEX;
	}
	count = find_disks(sysfs, &list);
	for (size_t i = 0; i < count; i++) {
		if (strcmp(list[i].name, name) == 0) {
			index = i;
		}
	}
	free(list);
	return index;
}

size_t model_block_devices(struct model *model, TALLOC_CTX *mem_ctx,
			   struct model_block_device **devices)
{
	return block_devices(mem_ctx, "/sys", devices);
}
