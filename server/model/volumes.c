/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Volumes, and the way from a client's path to a file beneath one
 * (design.md section 4). Every access is an openat2() from the volume's root
 * with RESOLVE_BENEATH, whatever was found out before: between two calls
 * anyone may replace a directory by a link.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "server/model/block.h"
#include "server/model/folded.h"
#include "server/model/private.h"

int volume_open_beneath(const struct volume *volume, const char *relative,
			int flags, mode_t mode)
{
	struct open_how how = {
		.flags = flags | O_CLOEXEC,
		.mode = mode,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
	};
	int fd;

	do {
		fd = syscall(SYS_openat2, volume->fd, relative, &how,
			     sizeof(how));
		/* EAGAIN: a rename raced with "..", try again */
	} while (fd < 0 && (errno == EINTR || errno == EAGAIN));
	return fd < 0 ? -errno : fd;
}

int location_open(const struct location *location, int flags, mode_t mode)
{
	return volume_open_beneath(location->volume, location->relative, flags,
				   mode);
}

int location_open_regular(const struct location *location, int flags,
			  struct stat *st)
{
	int fd = location_open(location, flags | O_NONBLOCK | O_NOCTTY, 0);
	int error = 0;

	if (fd < 0) {
		return fd;
	}
	if (fstat(fd, st) != 0) {
		error = errno;
	} else if (!S_ISREG(st->st_mode)) {
		error = EINVAL;
	}
	if (error != 0) {
		close(fd);
		return -error;
	}
	return fd;
}

/* ---- finding ---- */

static struct volume *volume_of_drive(struct model *model, char letter)
{
	struct volume *v = model->volumes;

	while (v != NULL && v->letter != letter) {
		v = v->next;
	}
	return v;
}

static struct volume *volume_of_guid(struct model *model,
				     const struct GUID *guid)
{
	struct volume *v = model->volumes;

	while (v != NULL && !GUID_equal(&v->guid, guid)) {
		v = v->next;
	}
	return v;
}

/* How many leading components of a Unix path are the volume's directory. */
static size_t volume_depth(const struct volume *volume, const struct path *path)
{
	const char *p = volume->path;
	size_t depth = 0;

	while (*p != '\0') {
		size_t len;

		while (*p == '/') {
			p++;
		}
		len = strcspn(p, "/");
		if (len == 0) {
			break;
		}
		if (depth == path->num_components ||
		    strlen(path->components[depth]) != len ||
		    strncmp(path->components[depth], p, len) != 0) {
			return SIZE_MAX;
		}
		depth++;
		p += len;
	}
	return depth;
}

/* The volume of a path, and where its components below it begin. */
static struct volume *volume_of_parsed(struct model *model,
				       const struct path *path, size_t *first)
{
	struct volume *best = NULL;

	*first = 0;
	switch (path->root) {
	case PATH_DRIVE:
		return volume_of_drive(model, path->drive);
	case PATH_VOLUME:
		return volume_of_guid(model, &path->volume);
	case PATH_UNIX:
		break;
	}
	for (struct volume *v = model->volumes; v != NULL; v = v->next) {
		size_t depth = volume_depth(v, path);

		if (depth != SIZE_MAX && (best == NULL || depth > *first)) {
			best = v;
			*first = depth;
		}
	}
	return best;
}

/* The name in a directory that equals @name but for case. */
static char *find_folded(TALLOC_CTX *mem_ctx, const struct volume *volume,
			 const char *directory, const char *name)
{
	int fd = volume_open_beneath(volume, directory, O_RDONLY | O_DIRECTORY,
				     0);

	return fd < 0 ? NULL : folded_find(mem_ctx, fd, name);
}

static char *join(TALLOC_CTX *mem_ctx, const char *directory, const char *name)
{
	if (strcmp(directory, ".") == 0) {
		return talloc_strdup(mem_ctx, name);
	}
	return talloc_asprintf(mem_ctx, "%s/%s", directory, name);
}

/* Does it exist? Fills location->st. @return 0 or errno */
static int location_stat(struct location *location, const char *relative)
{
	int fd = volume_open_beneath(location->volume, relative, O_PATH, 0);
	int error = 0;

	if (fd < 0) {
		return -fd;
	}
	if (fstat(fd, &location->st) != 0) {
		error = errno;
	}
	close(fd);
	return error;
}

/* One component further. @return 0 or errno */
static int location_step(struct location *location, const char *name)
{
	char *next = join(location, location->relative, name);
	char *other, *folded;
	int error;

	if (next == NULL) {
		return ENOMEM;
	}
	error = location_stat(location, next);
	if (error == ENOENT) {
		other = find_folded(location, location->volume,
				    location->relative, name);
		if (other != NULL) {
			folded = join(location, location->relative, other);
			if (folded == NULL) {
				return ENOMEM;
			}
			talloc_free(next);
			next = folded;
			error = location_stat(location, next);
		}
	}
	location->relative = next;
	return error;
}

/* X:\dir\file of what was found */
static bool location_set_client(struct location *location)
{
	char *p;

	location->client = talloc_asprintf(
		location, "%c:\\%s", location->volume->letter,
		strcmp(location->relative, ".") == 0 ? "" : location->relative);
	if (location->client == NULL) {
		return false;
	}
	for (p = location->client; *p != '\0'; p++) {
		if (*p == '/') {
			*p = '\\';
		}
	}
	return true;
}

HRESULT location_resolve(TALLOC_CTX *mem_ctx, struct model *model,
			 const struct path *path, bool missing_ok,
			 struct location **_location)
{
	struct location *location = talloc_zero(mem_ctx, struct location);
	size_t i;
	int error;

	*_location = NULL;
	if (location == NULL) {
		return ISTM_OUT_OF_MEMORY;
	}
	location->trailing_separator = path->trailing_separator;
	location->volume = volume_of_parsed(model, path, &i);
	location->relative = talloc_strdup(location, ".");
	/* It may leave the configuration while it is worked on. */
	if (location->volume == NULL || location->relative == NULL ||
	    talloc_reference(location, location->volume) == NULL) {
		talloc_free(location);
		return ISTM_PATH_NOT_FOUND;
	}
	error = location_stat(location, ".");
	for (; error == 0 && i < path->num_components; i++) {
		error = location_step(location, path->components[i]);
	}
	location->exists = error == 0;
	if (error == ENOENT && (i == path->num_components || missing_ok)) {
		for (error = 0; error == 0 && i < path->num_components; i++) {
			location->relative = join(location, location->relative,
						  path->components[i]);
			error = location->relative == NULL ? ENOMEM : 0;
		}
	}
	if (error != 0 || !location_set_client(location)) {
		talloc_free(location);
		return error == EACCES ? ISTM_ACCESS_DENIED
				       : ISTM_PATH_NOT_FOUND;
	}
	*_location = location;
	return ISTM_S_OK;
}

HRESULT location_find(TALLOC_CTX *mem_ctx, struct model *model,
		      const char *text, struct location **location)
{
	const char *reason = "is NULL";
	struct path *path = NULL;
	HRESULT hr;

	*location = NULL;
	if (text != NULL) {
		path = path_parse(mem_ctx, text, 0, &reason);
	}
	if (path == NULL) {
		return model_refuse(ISTM_INVALID_ARG, "path '%.500s': %s",
				    text == NULL ? "" : text, reason);
	}
	hr = location_resolve(mem_ctx, model, path, true, location);
	talloc_free(path);
	if (ISTM_FAILED(hr)) {
		model_refuse(hr,
			     "path %s: no volume, or it leads out of its "
			     "volume or through what is no directory",
			     text);
	}
	return hr;
}

/* Make a directory that is missing, as a client has no other way to. */
static int make_directory(const struct volume *volume, const char *parent,
			  const char *name)
{
	int fd = volume_open_beneath(volume, parent, O_RDONLY | O_DIRECTORY, 0);
	int error = 0;

	if (fd < 0) {
		return -fd;
	}
	if (mkdirat(fd, name, 0700) != 0 && errno != EEXIST) {
		error = errno;
	}
	close(fd);
	return error;
}

int location_open_parent(const struct location *location, bool create,
			 const char **name)
{
	char *directory = talloc_strdup(NULL, location->relative);
	char *slash, *p;
	int fd;

	if (directory == NULL) {
		return -ENOMEM;
	}
	for (p = directory; create && (slash = strchr(p, '/')) != NULL;
	     p = slash + 1) {
		char *parent;
		int error;

		*slash = '\0';
		fd = volume_open_beneath(location->volume, directory,
					 O_PATH | O_DIRECTORY, 0);
		if (fd == -ENOENT) {
			parent = p == directory
					 ? talloc_strdup(directory, ".")
					 : talloc_strndup(directory, directory,
							  p - directory - 1);
			error = parent == NULL
					? ENOMEM
					: make_directory(location->volume,
							 parent, p);
			if (error != 0) {
				talloc_free(directory);
				return -error;
			}
		} else if (fd < 0) {
			talloc_free(directory);
			return fd;
		} else {
			close(fd);
		}
		*slash = '/';
	}
	slash = strrchr(directory, '/');
	*name = slash == NULL ? location->relative
			      : location->relative + (slash + 1 - directory);
	if (slash != NULL) {
		*slash = '\0';
	}
	fd = volume_open_beneath(location->volume,
				 slash == NULL ? "." : directory,
				 O_RDONLY | O_DIRECTORY, 0);
	talloc_free(directory);
	return fd;
}

/* ---- volumes at the start ---- */

/* The largest file that the file system takes, tried on an unnamed file. */
static void volume_probe(struct volume *volume)
{
	int fd = volume_open_beneath(volume, ".", O_TMPFILE | O_RDWR, 0600);
	uint64_t low = 0, high = INT64_MAX;

	if (fd < 0) {
		return;
	}
	while (low < high) {
		uint64_t middle = low + (high - low + 1) / 2;

		if (ftruncate(fd, middle) == 0) {
			low = middle;
		} else {
			high = middle - 1;
		}
	}
	volume->max_file_size = low;
	volume->sparse =
		ftruncate(fd, 1 << 20) == 0 &&
		fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
			  1 << 20) == 0;
	close(fd);
}

static int volume_destructor(struct volume *volume)
{
	while (!list_empty(&volume->disks)) {
		struct disk_entry *disk = list_entry(
			volume->disks.next, struct disk_entry, link_volume);

		disk->volume = NULL;
		list_del(&disk->link_volume);
	}
	if (volume->fd >= 0) {
		close(volume->fd);
	}
	return 0;
}

static int volume_open(struct model *model,
		       const struct model_volume_config *config,
		       struct volume **_volume)
{
	struct volume *volume = talloc_zero(model, struct volume);
	struct stat st;
	char *real;
	int error;

	if (volume == NULL) {
		return ENOMEM;
	}
	volume->fd = -1;
	list_init(&volume->disks);
	talloc_set_destructor(volume, volume_destructor);
	volume->letter =
		config->letter >= 'a' ? config->letter - 32 : config->letter;
	real = realpath(config->path, NULL);
	if (real != NULL) {
		volume->path = talloc_strdup(volume, real);
		volume->fd = open(real, O_PATH | O_DIRECTORY | O_CLOEXEC);
		free(real);
	}
	if (volume->fd < 0 || fstat(volume->fd, &st) != 0) {
		error = errno;
		log_msg(LOG_ERROR, "volume %c: (%s): %s", config->letter,
			config->path, strerror(error));
		talloc_free(volume);
		return error;
	}
	volume->dev = st.st_dev;
	volume_probe(volume);
	*_volume = volume;
	return 0;
}

/* A volume that is missing is told and left out; its disks wait for it. */
static void volume_add(struct model *model,
		       const struct model_volume_config *config)
{
	struct volume **last = &model->volumes;

	while (*last != NULL) {
		last = &(*last)->next;
	}
	if (volume_open(model, config, last) == 0) {
		log_msg(LOG_INFO, "volume %c: is %s", (*last)->letter,
			(*last)->path);
	}
}

int volumes_open(struct model *model, const struct model_options *options)
{
	for (size_t i = 0; i < options->num_volumes; i++) {
		const struct model_volume_config *config = &options->volumes[i];
		char letter = config->letter & ~0x20;

		if (letter < 'A' || letter > 'Z' ||
		    volume_of_drive(model, letter) != NULL) {
			log_msg(LOG_ERROR,
				"volume %c: (%s): no letter, or used twice",
				config->letter, config->path);
			return EINVAL;
		}
		volume_add(model, config);
	}
	return 0;
}

static struct volume_id *volume_id_of(struct model *model, const char *path)
{
	struct list_head *pos;

	list_for_each (pos, &model->volume_ids) {
		struct volume_id *id = list_entry(pos, struct volume_id, link);

		if (strcmp(id->path, path) == 0) {
			return id;
		}
	}
	return NULL;
}

static bool volume_id_add(struct model *model, const char *path,
			  const struct GUID *guid)
{
	struct volume_id *id = talloc_zero(model, struct volume_id);

	if (id == NULL) {
		return false;
	}
	id->guid = *guid;
	id->path = talloc_strdup(id, path);
	if (id->path == NULL) {
		talloc_free(id);
		return false;
	}
	list_add_tail(&id->link, &model->volume_ids);
	return true;
}

bool volume_id_load(struct model *model, const struct istm_state_volume *r)
{
	return volume_id_add(model, r->path, &r->guid);
}

bool volumes_identify(TALLOC_CTX *mem_ctx, struct model *model,
		      struct change_list *changes)
{
	for (struct volume *v = model->volumes; v != NULL; v = v->next) {
		struct istm_state_data data = {.kind = ISTM_STATE_VOLUME};
		const struct volume_id *id = volume_id_of(model, v->path);

		if (id != NULL) {
			v->guid = id->guid;
			continue;
		}
		v->guid = GUID_random();
		data.body.volume.guid = v->guid;
		data.body.volume.path = v->path;
		if (!volume_id_add(model, v->path, &v->guid) ||
		    !change_add_record(mem_ctx, changes,
				       talloc_asprintf(mem_ctx, "volume:%s",
						       v->path),
				       &data)) {
			return false;
		}
	}
	return true;
}

/* ---- volumes that come and go ---- */

/* Is it still the directory that the option names? */
static bool volume_stays(const struct volume *volume,
			 const struct model_options *options)
{
	for (size_t i = 0; i < options->num_volumes; i++) {
		const struct model_volume_config *config = &options->volumes[i];
		struct stat have, named;

		if ((config->letter & ~0x20) == volume->letter) {
			return stat(config->path, &named) == 0 &&
			       fstat(volume->fd, &have) == 0 &&
			       have.st_dev == named.st_dev &&
			       have.st_ino == named.st_ino;
		}
	}
	return false;
}

/* Requests that are under way keep it by their locations. */
static void volume_retire(struct model *model, struct volume *volume)
{
	unsigned open_disks = 0;

	while (!list_empty(&volume->disks)) {
		struct disk_entry *disk = list_entry(
			volume->disks.next, struct disk_entry, link_volume);

		open_disks += disk->vhd != NULL;
		disk->volume = NULL;
		list_del(&disk->link_volume);
	}
	log_msg(open_disks > 0 ? LOG_WARNING : LOG_INFO,
		"volume %c: (%s): no longer configured; %u disks stay open on "
		"it until they are closed or istmd ends",
		volume->letter, volume->path, open_disks);
	talloc_unlink(model, volume);
}

bool volumes_reload(struct model *model, const struct model_options *options)
{
	struct volume **v = &model->volumes;
	bool added = false;

	while (*v != NULL) {
		struct volume *volume = *v;

		if (volume_stays(volume, options)) {
			v = &volume->next;
		} else {
			*v = volume->next;
			volume_retire(model, volume);
		}
	}
	for (size_t i = 0; i < options->num_volumes; i++) {
		const struct model_volume_config *config = &options->volumes[i];
		char letter = config->letter & ~0x20;

		if (volume_of_drive(model, letter) == NULL) {
			volume_add(model, config);
			added |= volume_of_drive(model, letter) != NULL;
		}
	}
	return added;
}

/* ---- what clients see ---- */

static bool volume_describe(TALLOC_CTX *mem_ctx, const struct volume *volume,
			    struct model_volume *v)
{
	const char *base = strrchr(volume->path, '/');
	struct statvfs st;

	*v = (struct model_volume){
		.letter = volume->letter,
		.guid = volume->guid,
		.path = talloc_strdup(mem_ctx, volume->path),
		.label = talloc_strdup(mem_ctx, base == NULL ? "" : base + 1),
		.sparse = volume->sparse,
		.max_file_size = volume->max_file_size,
		.device_index = block_index("/sys", volume->dev),
	};
	if (fstatvfs(volume->fd, &st) == 0) {
		v->size = (uint64_t)st.f_blocks * st.f_frsize;
		v->free = (uint64_t)st.f_bavail * st.f_frsize;
	}
	return v->path != NULL && v->label != NULL;
}

size_t model_volumes(struct model *model, TALLOC_CTX *mem_ctx,
		     struct model_volume **volumes)
{
	size_t num = 0;

	*volumes = talloc_array(mem_ctx, struct model_volume, 26);
	if (*volumes == NULL) {
		return 0;
	}
	for (struct volume *v = model->volumes; v != NULL; v = v->next) {
		if (volume_describe(*volumes, v, &(*volumes)[num])) {
			num++;
		}
	}
	return num;
}

HRESULT model_volume_of_path(struct model *model, TALLOC_CTX *mem_ctx,
			     const char *text, struct model_volume **volume)
{
	const char *reason = "is NULL";
	struct path *path = NULL;
	struct volume *v;
	size_t first;

	*volume = NULL;
	if (text != NULL) {
		path = path_parse(mem_ctx, text, 0, &reason);
	}
	if (path == NULL) {
		return model_refuse(ISTM_INVALID_ARG, "path '%.500s': %s",
				    text == NULL ? "" : text, reason);
	}
	v = volume_of_parsed(model, path, &first);
	talloc_free(path);
	if (v == NULL) {
		return model_refuse(ISTM_FILE_NOT_FOUND,
				    "path %s: on no volume", text);
	}
	*volume = talloc(mem_ctx, struct model_volume);
	if (*volume == NULL || !volume_describe(*volume, v, *volume)) {
		TALLOC_FREE(*volume);
		return ISTM_OUT_OF_MEMORY;
	}
	return ISTM_S_OK;
}
