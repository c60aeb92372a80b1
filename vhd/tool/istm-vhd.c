/* SPDX-License-Identifier: GPL-3.0-or-later */
/* istm-vhd: VHD files, offline. */

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vhd/vhd.h"

/* Exit statuses: 0 fine, 1 the file is damaged, 2 it could not be done. */
#define DAMAGED 1
#define FAILED	2

#define CHUNK (1u << 20)

static TALLOC_CTX *mem;
static struct tevent_context *ev;

static const char usage[] =
	"usage: istm-vhd info FILE\n"
	"       istm-vhd create [-t fixed|dynamic] [-s] [-b BLOCKSIZE] [-l "
	"SECTOR]\n"
	"                FILE SIZE\n"
	"       istm-vhd create -t differencing -p PARENT FILE\n"
	"       istm-vhd check FILE\n"
	"       istm-vhd repair FILE\n"
	"       istm-vhd compact FILE\n"
	"       istm-vhd convert [-t fixed|dynamic] [-s] [-b BLOCKSIZE] [-l "
	"SECTOR]\n"
	"                FROM TO\n"
	"Sizes take the suffixes K, M, G and T. Names that end in .vhdx are "
	"VHDX'.\n";

struct options {
	enum vhd_type type;
	bool sparse;
	uint64_t block_size, sector;
	const char *parent;
};

static int fail(const char *name, const char *message, int error)
{
	fprintf(stderr, "istm-vhd: %s: %s\n", name,
		message != NULL ? message : strerror(error));
	return FAILED;
}

static void log_line(int level, const char *message)
{
	if (level <= 1) {
		fprintf(stderr, "istm-vhd: %s\n", message);
	}
}

/* Asked to stop: what is half made is taken away. */
static volatile sig_atomic_t stopped;

static int stop_fd = -1;

/* The loop may be about to wait: it finds that there is something. */
static void stop(int sig)
{
	int saved = errno;

	stopped = 1;
	(void)!write(stop_fd, &(uint64_t){1}, sizeof(uint64_t));
	errno = saved;
}

static void stop_seen(struct tevent_context *context, struct tevent_fd *fde,
		      uint16_t flags, void *private_data)
{
	uint64_t count;

	(void)!read(stop_fd, &count, sizeof(count));
}

/* Let the request come to its end. @return 0, or EINTR: freed, and so
 * cancelled; ENOMEM */
static int wait_for(struct tevent_req *req)
{
	if (req == NULL) {
		return ENOMEM;
	}
	while (tevent_req_is_in_progress(req)) {
		if (stopped || tevent_loop_once(ev) != 0) {
			talloc_free(req);
			return stopped ? EINTR : ENOMEM;
		}
	}
	return 0;
}

static bool parse_size(const char *text, uint64_t *size)
{
	static const char suffixes[] = "KMGT";
	const char *suffix;
	char *end;

	errno = 0;
	*size = strtoull(text, &end, 10);
	if (errno != 0 || end == text || text[0] == '-') {
		return false;
	}
	if (*end == '\0') {
		return true;
	}
	suffix = strchr(suffixes, *end);
	if (suffix == NULL || end[1] != '\0') {
		return false;
	}
	if (*size > UINT64_MAX >> (10 * (suffix - suffixes + 1))) {
		return false;
	}
	*size <<= 10 * (suffix - suffixes + 1);
	return true;
}

static const char *type_name(enum vhd_type type)
{
	switch (type) {
	case VHD_TYPE_FIXED:
		return "fixed";
	case VHD_TYPE_DYNAMIC:
		return "dynamic";
	case VHD_TYPE_DIFFERENCING:
		return "differencing";
	default:
		return "?";
	}
}

/* ---- opening ---- */

/* A FIFO is refused, not waited for. */
#define OPEN_FLAGS (O_NONBLOCK | O_CLOEXEC)

static int probe(const char *name, struct vhd_info *info)
{
	int fd = open(name, O_RDONLY | OPEN_FLAGS);
	struct tevent_req *req;
	char *message = NULL;
	int ret;

	if (fd < 0) {
		return fail(name, NULL, errno);
	}
	req = vhd_probe_send(mem, ev, fd, name);
	ret = wait_for(req);
	if (ret != 0) {
		return fail(name, NULL, ret);
	}
	ret = vhd_probe_recv(req, mem, info, &message);
	talloc_free(req);
	return ret == 0 ? 0 : fail(name, message, ret);
}

/* The file @path, as a child writes it, in the folder of @child. */
static char *in_folder(const char *child, const char *path)
{
	const char *slash = strrchr(child, '/');
	char *file = talloc_asprintf(
		     mem, "%.*s%s",
		     slash != NULL ? (int)(slash - child + 1) : 0, child, path),
	     *p;

	for (p = file; p != NULL && *p != '\0'; p++) {
		*p = *p == '\\' ? '/' : *p;
	}
	return file;
}

/* The file of a disk, and of its parent as far as it is known. */
struct family {
	const char *child, *parent;
};

/* Windows' drives are not here. */
static int open_parent_path(TALLOC_CTX *mem_ctx, const char *path,
			    bool relative, const char **name,
			    void *private_data)
{
	struct family *family = private_data;
	int fd;

	if (!relative && path[0] != '/') {
		return -ENOENT;
	}
	family->parent = relative ? in_folder(family->child, path)
				  : talloc_strdup(mem, path);
	if (family->parent == NULL) {
		return -ENOMEM;
	}
	*name = family->parent;
	/* O_NONBLOCK: a FIFO is no VHD. */
	fd = open(family->parent, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	return fd >= 0 ? fd : -errno;
}

/* How deep chains may be: Windows' own limit is 1024. */
#define CHAIN_MAX 1024

/* Give @disk, the file @name, its parent, with that one's own. */
static int open_parents(const char *name, struct vhd_disk *disk, unsigned depth)
{
	struct family family = {.child = name};
	struct vhd_disk *parent = NULL;
	struct tevent_req *req;
	struct vhd_info info;
	char *message = NULL;
	int ret;

	vhd_disk_info(disk, &info);
	if (info.type != VHD_TYPE_DIFFERENCING) {
		return 0;
	}
	if (depth == CHAIN_MAX) {
		return fail(name, "the chain is too long", 0);
	}
	req = vhd_open_parent_send(mem, ev, disk, open_parent_path, &family);
	ret = wait_for(req);
	if (ret != 0) {
		return fail(name, NULL, ret);
	}
	ret = vhd_open_parent_recv(req, mem, &parent, &message);
	talloc_free(req);
	if (ret != 0) {
		fprintf(stderr, "istm-vhd: %s: no parent: %s\n", name,
			message != NULL ? message : strerror(ret));
		return FAILED;
	}
	ret = open_parents(family.parent, parent, depth + 1);
	if (ret != 0) {
		return ret;
	}
	ret = vhd_set_parent(disk, parent, 0, &message);
	return ret == 0 ? 0 : fail(family.parent, message, ret);
}

static int open_disk(const char *name, bool readonly, struct vhd_disk **disk)
{
	int fd = open(name, (readonly ? O_RDONLY : O_RDWR) | OPEN_FLAGS);
	struct tevent_req *req;
	char *message = NULL;
	int ret;

	if (fd < 0) {
		return fail(name, NULL, errno);
	}
	req = vhd_open_send(mem, ev, fd, name,
			    readonly ? VHD_OPEN_READONLY : 0);
	ret = wait_for(req);
	if (ret != 0) {
		return fail(name, NULL, ret);
	}
	ret = vhd_open_recv(req, mem, disk, &message);
	talloc_free(req);
	return ret == 0 ? open_parents(name, *disk, 0)
			: fail(name, message, ret);
}

/* ---- info ---- */

/* VHDX' GUIDs begin with three little-endian integers. */
static void print_id(const char *label, const struct vhd_info *info,
		     const uint8_t id[16])
{
	static const uint8_t little[16] = {3, 2, 1,  0,	 5,  4,	 7,  6,
					   8, 9, 10, 11, 12, 13, 14, 15};
	unsigned i;

	printf("%s", label);
	for (i = 0; i < 16; i++) {
		printf("%s%02x",
		       i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "",
		       id[info->format == VHD_FORMAT_VHDX ? little[i] : i]);
	}
	printf("\n");
}

static int info_main(const char *name)
{
	struct vhd_info info;
	int ret = probe(name, &info);

	if (ret != 0) {
		return ret;
	}
	printf("file:       %s\n", name);
	printf("format:     %s\n",
	       info.format == VHD_FORMAT_VHDX ? "VHDX" : "VHD");
	printf("type:       %s\n", type_name(info.type));
	printf("size:       %" PRIu64 "\n", info.size);
	printf("allocated:  %" PRIu64 "\n", info.allocated);
	if (info.block_size != 0) {
		printf("block size: %" PRIu32 "\n", info.block_size);
	}
	if (info.format == VHD_FORMAT_VHDX) {
		printf("sectors:    %" PRIu32 " logical, %" PRIu32
		       " physical\n",
		       info.logical_sector, info.physical_sector);
	}
	print_id("unique id:  ", &info, info.unique_id);
	if (info.format == VHD_FORMAT_VHDX) {
		print_id("data id:    ", &info, info.link_id);
	}
	if (info.cut_off.length != 0) {
		printf("cut off:    an atomic write of %" PRIu32
		       " bytes at %" PRIu64 "; opening takes it back\n",
		       info.cut_off.length, info.cut_off.offset);
	}
	if (info.type == VHD_TYPE_DIFFERENCING) {
		printf("parent:     %s\n", info.parent);
		print_id("parent id:  ", &info, info.parent_id);
	}
	return 0;
}

/* ---- create ---- */

static int create(const char *name, const struct vhd_create_params *params)
{
	int fd = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	struct tevent_req *req;
	char *message = NULL;
	int ret;

	if (fd < 0) {
		return fail(name, NULL, errno);
	}
	req = vhd_create_send(mem, ev, fd, name, params);
	ret = wait_for(req);
	if (ret != 0) {
		unlink(name);
		return fail(name, NULL, ret);
	}
	ret = vhd_create_recv(req, mem, &message);
	talloc_free(req);
	if (ret != 0) {
		unlink(name);
		return fail(name, message, ret);
	}
	return 0;
}

/* The way from the folder of @child to the file @to, an absolute path; with
 * Windows' separators. */
static char *relative_path(const char *child, const char *to)
{
	const char *slash = strrchr(child, '/'), *q;
	char *folder = talloc_strndup(mem, slash != NULL ? child : ".",
				      slash == NULL    ? 1
				      : slash == child ? 1
						       : slash - child);
	char *from = realpath(folder, NULL), *path;
	size_t i, common = 0;

	if (from == NULL) {
		return NULL;
	}
	for (i = 0; from[i] == to[i] && from[i] != '\0'; i++) {
		if (from[i] == '/') {
			common = i;
		}
	}
	if (from[i] == '\0' && to[i] == '/') {
		common = i;
	}
	q = from + common;
	path = talloc_strdup(mem, *q == '\0' || q[1] == '\0' ? "./" : "");
	for (; *q != '\0' && q[1] != '\0'; q++) {
		if (*q == '/') {
			path = talloc_asprintf_append(path, "../");
		}
	}
	free(from);
	path = talloc_asprintf_append(path, "%s", to + common + 1);
	for (i = 0; path != NULL && path[i] != '\0'; i++) {
		path[i] = path[i] == '/' ? '\\' : path[i];
	}
	return path;
}

static int create_child(const char *name, const struct options *options)
{
	struct vhd_create_params params = {.type = VHD_TYPE_DIFFERENCING};
	struct vhd_info info;
	struct stat st;
	char *path;
	int ret;

	if (options->parent == NULL) {
		return fail(name, "a parent is needed (-p)", 0);
	}
	ret = probe(options->parent, &info);
	if (ret != 0) {
		return ret;
	}
	path = realpath(options->parent, NULL);
	if (path == NULL || stat(path, &st) != 0) {
		return fail(options->parent, NULL, errno);
	}
	if (info.format != vhd_format_of_name(name)) {
		free(path);
		return fail(name, "a VHD's child is a VHD, a VHDX' a VHDX", 0);
	}
	params.format = info.format;
	params.size = info.size;
	params.block_size = (uint32_t)options->block_size;
	params.logical_sector = info.logical_sector;
	params.physical_sector = info.physical_sector;
	memcpy(params.parent_id, info.link_id, 16);
	memcpy(params.parent_disk_id, info.unique_id, 16);
	params.parent_timestamp = vhd_timestamp(st.st_mtime);
	params.parent_path = path;
	params.parent_relative = relative_path(name, path);
	ret = create(name, &params);
	free(path);
	return ret;
}

static int create_main(const char *name, const char *size,
		       const struct options *options)
{
	struct vhd_create_params params = {
		.format = vhd_format_of_name(name),
		.type = options->type,
		.sparse = options->sparse,
		.block_size = (uint32_t)options->block_size,
		.logical_sector = (uint32_t)options->sector,
	};

	if (options->type == VHD_TYPE_DIFFERENCING) {
		return create_child(name, options);
	}
	if (size == NULL || !parse_size(size, &params.size)) {
		return fail(name, "no valid size", 0);
	}
	return create(name, &params);
}

/* ---- check ---- */

static int check_main(const char *name, bool repair)
{
	int fd = open(name, (repair ? O_RDWR : O_RDONLY) | OPEN_FLAGS);
	struct vhd_check check;
	struct tevent_req *req;
	char *message = NULL;
	int ret;

	if (fd < 0) {
		return fail(name, NULL, errno);
	}
	req = vhd_check_send(mem, ev, fd, name, repair ? VHD_CHECK_REPAIR : 0);
	ret = wait_for(req);
	if (ret != 0) {
		return fail(name, NULL, ret);
	}
	ret = vhd_check_recv(req, mem, &check, &message);
	talloc_free(req);
	if (ret != 0) {
		return fail(name, message, ret);
	}
	printf("%s", check.report);
	printf("%u errors, %u mendable, %u mended, %" PRIu64
	       " bytes in no block\n",
	       check.errors, check.mendable, check.mended, check.leaked);
	return check.errors != 0 || check.mended < check.mendable ? DAMAGED : 0;
}

/* ---- compact ---- */

static int compact_main(const char *name)
{
	int fd = open(name, O_RDWR | OPEN_FLAGS);
	struct vhd_compact result;
	struct tevent_req *req;
	char *message = NULL;
	int ret;

	if (fd < 0) {
		return fail(name, NULL, errno);
	}
	req = vhd_compact_send(mem, ev, fd, name, NULL, NULL);
	ret = wait_for(req);
	if (ret != 0) {
		return fail(name, NULL, ret);
	}
	ret = vhd_compact_recv(req, mem, &result, &message);
	talloc_free(req);
	if (ret != 0) {
		return fail(name, message, ret);
	}
	printf("%" PRIu32 " blocks released, %" PRIu32
	       " moved; file of %" PRIu64 " bytes, was %" PRIu64
	       "; takes %" PRIu64 ", took %" PRIu64 "\n",
	       result.released, result.moved, result.size_after,
	       result.size_before, result.allocated_after,
	       result.allocated_before);
	return 0;
}

/* ---- convert ---- */

/* One stretch that is not a hole. */
static int copy_stretch(struct vhd_io *io, struct vhd_disk *from,
			struct vhd_disk *to, uint64_t at, uint64_t n)
{
	static uint8_t buf[CHUNK], zeroes[CHUNK];
	int ret = vhd_request(io, from, VHD_READ, at, buf, n);

	if (ret != 0) {
		return ret;
	}
	return memcmp(buf, zeroes, n) == 0
		       ? 0
		       : vhd_request(io, to, VHD_WRITE, at, buf, n);
}

static int copy(struct vhd_disk *from, struct vhd_disk *to)
{
	struct vhd_io *io = vhd_io_create(mem, ev, 8);
	uint64_t size = vhd_disk_size(from), at = 0;
	uint32_t sector = vhd_disk_sector(from);
	int ret = 0;

	if (sector < vhd_disk_sector(to)) {
		sector = vhd_disk_sector(to);
	}
	if (io == NULL) {
		return errno;
	}
	while (ret == 0 && at < size && !stopped) {
		uint64_t left = size - at, known = left;
		uint64_t n = left < CHUNK ? left : CHUNK;

		/* The target is new, and reads as zeroes. */
		if (!vhd_disk_mapped(from, at, &known) &&
		    (known == left || known >= sector)) {
			at += known == left ? left : known / sector * sector;
			continue;
		}
		ret = copy_stretch(io, from, to, at, n);
		at += n;
	}
	if (ret == 0 && !stopped) {
		ret = vhd_request(io, to, VHD_FLUSH, 0, NULL, 0);
	}
	talloc_free(io);
	return stopped ? EINTR : ret;
}

static int convert_main(const char *from_name, const char *to_name,
			const struct options *options)
{
	struct vhd_create_params params = {
		.format = vhd_format_of_name(to_name),
		.type = options->type,
		.sparse = options->sparse,
		.block_size = (uint32_t)options->block_size,
		.logical_sector = (uint32_t)options->sector,
	};
	struct vhd_disk *from = NULL, *to = NULL;
	int ret, error;

	ret = open_disk(from_name, true, &from);
	if (ret != 0) {
		return ret;
	}
	params.size = vhd_disk_size(from);
	if (params.format == VHD_FORMAT_VHDX && options->sector == 0) {
		params.logical_sector = vhd_disk_sector(from);
	}
	ret = create(to_name, &params);
	if (ret != 0) {
		vhd_close(from);
		return ret;
	}
	ret = open_disk(to_name, false, &to);
	if (ret == 0) {
		error = copy(from, to);
		if (vhd_disk_sector(to) != vhd_disk_sector(from) &&
		    options->sector == 0) {
			fprintf(stderr,
				"istm-vhd: %s: has sectors of %u bytes, not "
				"%u: partition tables will not fit\n",
				to_name, vhd_disk_sector(to),
				vhd_disk_sector(from));
		}
		vhd_close(to);
		ret = error == 0 ? 0 : fail(to_name, NULL, error);
	}
	if (ret != 0) {
		unlink(to_name);
	}
	vhd_close(from);
	return ret;
}

/* ---- the command line ---- */

static bool parse_options(int argc, char **argv, struct options *options)
{
	int c;

	while ((c = getopt(argc, argv, "t:sb:p:l:")) != -1) {
		switch (c) {
		case 't':
			options->type = strcmp(optarg, "fixed") == 0
						? VHD_TYPE_FIXED
					: strcmp(optarg, "dynamic") == 0
						? VHD_TYPE_DYNAMIC
					: strcmp(optarg, "differencing") == 0
						? VHD_TYPE_DIFFERENCING
						: VHD_TYPE_NONE;
			if (options->type == VHD_TYPE_NONE) {
				fail(optarg,
				     "neither fixed, dynamic nor differencing",
				     0);
				return false;
			}
			break;
		case 's':
			options->sparse = true;
			break;
		case 'b':
			if (!parse_size(optarg, &options->block_size) ||
			    options->block_size > UINT32_MAX) {
				fail(optarg, "no valid block size", 0);
				return false;
			}
			break;
		case 'p':
			options->parent = optarg;
			break;
		case 'l':
			if (!parse_size(optarg, &options->sector) ||
			    options->sector > UINT32_MAX) {
				fail(optarg, "no valid sector size", 0);
				return false;
			}
			break;
		default:
			return false;
		}
	}
	return true;
}

static int command(const char *verb, int count, char **arg,
		   const struct options *options)
{
	if (strcmp(verb, "info") == 0 && count == 1) {
		return info_main(arg[0]);
	}
	if (strcmp(verb, "create") == 0 && (count == 1 || count == 2)) {
		return create_main(arg[0], arg[1], options);
	}
	if (strcmp(verb, "check") == 0 && count == 1) {
		return check_main(arg[0], false);
	}
	if (strcmp(verb, "repair") == 0 && count == 1) {
		return check_main(arg[0], true);
	}
	if (strcmp(verb, "compact") == 0 && count == 1) {
		return compact_main(arg[0]);
	}
	if (strcmp(verb, "convert") == 0 && count == 2 &&
	    options->type != VHD_TYPE_DIFFERENCING) {
		return convert_main(arg[0], arg[1], options);
	}
	fputs(usage, stderr);
	return FAILED;
}

int main(int argc, char **argv)
{
	struct options options = {.type = VHD_TYPE_FIXED};
	int ret;

	if (argc == 2 &&
	    (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0)) {
		fputs(usage, stdout);
		return 0;
	}
	if (argc < 2 || !parse_options(argc - 1, argv + 1, &options)) {
		fputs(usage, stderr);
		return FAILED;
	}
	mem = talloc_new(NULL);
	ev = tevent_context_init(mem);
	if (ev == NULL) {
		return fail("set-up", NULL, ENOMEM);
	}
	vhd_set_log(log_line);
	stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (stop_fd == -1 || tevent_add_fd(ev, mem, stop_fd, TEVENT_FD_READ,
					   stop_seen, NULL) == NULL) {
		return fail("set-up", NULL, errno);
	}
	signal(SIGINT, stop);
	signal(SIGTERM, stop);
	signal(SIGXFSZ, SIG_IGN); /* then writing fails, like a full disk */
	ret = command(argv[1], argc - 1 - optind, argv + 1 + optind, &options);
	talloc_free(mem);
	return ret;
}
