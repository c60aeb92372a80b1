/* SPDX-License-Identifier: GPL-3.0-or-later */

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vhd_helpers.h"

int vt_setup(void **state)
{
	struct vt *vt = talloc_zero(NULL, struct vt);
	const char *tmp = getenv("TMPDIR");

	vt->mem = vt;
	vt->ev = tevent_context_init(vt);
	vt->io = vhd_io_create(vt, vt->ev, 32);
	assert_non_null(vt->io);
	snprintf(vt->dir, sizeof(vt->dir), "%s/vhd-XXXXXX",
		 tmp != NULL ? tmp : "/var/tmp");
	assert_non_null(mkdtemp(vt->dir));
	*state = vt;
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int flag,
		      struct FTW *ftw)
{
	return remove(path);
}

int vt_setup_memory(void **state)
{
	const char *tmp = getenv("TMPDIR");
	char *saved = tmp != NULL ? strdup(tmp) : NULL;
	int ret;

	if (access("/dev/shm", W_OK) == 0) {
		setenv("TMPDIR", "/dev/shm", 1);
	}
	ret = vt_setup(state);
	if (saved != NULL) {
		setenv("TMPDIR", saved, 1);
	} else {
		unsetenv("TMPDIR");
	}
	free(saved);
	return ret;
}

int vt_teardown(void **state)
{
	struct vt *vt = *state;

	nftw(vt->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	/* Lanes hold on to the loop. */
	TALLOC_FREE(vt->io);
	talloc_free(vt);
	return 0;
}

char *vt_path(struct vt *vt, const char *name)
{
	return talloc_asprintf(vt->mem, "%s/%s", vt->dir, name);
}

int vt_open_fd(struct vt *vt, const char *name, int flags)
{
	int fd = open(vt_path(vt, name), flags | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	return fd;
}

uint64_t vt_file_size(struct vt *vt, const char *name)
{
	struct stat st;

	assert_int_equal(stat(vt_path(vt, name), &st), 0);
	return (uint64_t)st.st_size;
}

uint64_t vt_file_allocated(struct vt *vt, const char *name)
{
	struct stat st;

	assert_int_equal(stat(vt_path(vt, name), &st), 0);
	return (uint64_t)st.st_blocks * 512;
}

void vt_file_write(struct vt *vt, const char *name, uint64_t offset,
		   const void *data, size_t len)
{
	int fd = vt_open_fd(vt, name, O_RDWR | O_CREAT);

	assert_int_equal(pwrite(fd, data, len, (off_t)offset), len);
	close(fd);
}

void vt_file_read(struct vt *vt, const char *name, uint64_t offset, void *data,
		  size_t len)
{
	int fd = vt_open_fd(vt, name, O_RDONLY);

	assert_int_equal(pread(fd, data, len, (off_t)offset), len);
	close(fd);
}

int vt_create_params(struct vt *vt, const char *name,
		     const struct vhd_create_params *params)
{
	int fd = vt_open_fd(vt, name, O_RDWR | O_CREAT);
	struct tevent_req *req =
		vhd_create_send(vt->mem, vt->ev, fd, name, params);
	int ret;

	assert_non_null(req);
	assert_true(tevent_req_poll(req, vt->ev));
	ret = vhd_create_recv(req, vt->mem, &vt->message);
	talloc_free(req);
	return ret;
}

int vt_create(struct vt *vt, const char *name, uint64_t size, bool sparse)
{
	struct vhd_create_params params = {
		.format = vhd_format_of_name(name),
		.type = VHD_TYPE_FIXED,
		.size = size,
		.sparse = sparse,
	};

	return vt_create_params(vt, name, &params);
}

int vt_open(struct vt *vt, const char *name, uint32_t flags,
	    struct vhd_disk **disk)
{
	bool readonly = flags & VHD_OPEN_READONLY;
	int fd = vt_open_fd(vt, name, readonly ? O_RDONLY : O_RDWR);
	struct tevent_req *req =
		vhd_open_send(vt->mem, vt->ev, fd, name, flags);
	int ret;

	assert_non_null(req);
	assert_true(tevent_req_poll(req, vt->ev));
	ret = vhd_open_recv(req, vt->mem, disk, &vt->message);
	talloc_free(req);
	return ret;
}

int vt_probe(struct vt *vt, const char *name, struct vhd_info *info)
{
	int fd = vt_open_fd(vt, name, O_RDONLY);
	struct tevent_req *req = vhd_probe_send(vt->mem, vt->ev, fd, name);
	int ret;

	assert_non_null(req);
	assert_true(tevent_req_poll(req, vt->ev));
	ret = vhd_probe_recv(req, vt->mem, info, &vt->message);
	talloc_free(req);
	return ret;
}

int vt_grow(struct vt *vt, struct vhd_disk *disk, uint64_t additional)
{
	struct tevent_req *req =
		vhd_grow_send(vt->mem, vt->ev, disk, additional);
	int ret;

	assert_non_null(req);
	assert_true(tevent_req_poll(req, vt->ev));
	ret = vhd_grow_recv(req, vt->mem, &vt->message);
	talloc_free(req);
	return ret;
}

struct vhd_disk *vt_disk(struct vt *vt, const char *name, uint64_t size,
			 bool sparse)
{
	struct vhd_disk *disk = NULL;

	assert_int_equal(vt_create(vt, name, size, sparse), 0);
	assert_int_equal(vt_open(vt, name, 0, &disk), 0);
	assert_non_null(disk);
	return disk;
}

struct vhd_disk *vt_dynamic(struct vt *vt, const char *name, uint64_t size,
			    uint32_t block_size)
{
	struct vhd_create_params params = {
		.format = vhd_format_of_name(name),
		.type = VHD_TYPE_DYNAMIC,
		.size = size,
		.block_size = block_size,
	};
	struct vhd_disk *disk = NULL;

	assert_int_equal(vt_create_params(vt, name, &params), 0);
	assert_int_equal(vt_open(vt, name, 0, &disk), 0);
	return disk;
}

int vt_create_child(struct vt *vt, const char *name, const char *parent)
{
	struct vhd_create_params params = {.type = VHD_TYPE_DIFFERENCING};
	struct vhd_info info;
	struct stat st;

	assert_int_equal(vt_probe(vt, parent, &info), 0);
	assert_int_equal(stat(vt_path(vt, parent), &st), 0);
	params.format = info.format;
	params.size = info.size;
	params.block_size = info.block_size;
	params.logical_sector = info.logical_sector;
	params.physical_sector = info.physical_sector;
	memcpy(params.parent_id, info.link_id, 16);
	memcpy(params.parent_disk_id, info.unique_id, 16);
	params.parent_timestamp = vhd_timestamp(st.st_mtime);
	params.parent_path = talloc_asprintf(vt->mem, "C:\\d\\%s", parent);
	params.parent_relative = talloc_asprintf(vt->mem, ".\\%s", parent);
	return vt_create_params(vt, name, &params);
}

struct vhd_disk *vt_open_chain(struct vt *vt, const char *name, uint32_t flags)
{
	struct vhd_disk *disk = NULL, *parent;
	struct vhd_info info;

	assert_int_equal(vt_open(vt, name, flags, &disk), 0);
	vhd_disk_info(disk, &info);
	if (info.type != VHD_TYPE_DIFFERENCING) {
		return disk;
	}
	assert_non_null(strrchr(info.parent, '\\'));
	parent = vt_open_chain(vt, strrchr(info.parent, '\\') + 1,
			       VHD_OPEN_READONLY);
	assert_int_equal(vhd_set_parent(disk, parent, 0, &vt->message), 0);
	return disk;
}

struct vhd_disk *vt_child(struct vt *vt, const char *name, const char *parent)
{
	assert_int_equal(vt_create_child(vt, name, parent), 0);
	return vt_open_chain(vt, name, 0);
}

struct vhd_disk *vt_direct(struct vt *vt, const char *name, uint64_t size)
{
	struct vhd_disk *disk = vt_disk(vt, name, size, true);
	int ret = vhd_set_direct(disk, &vt->message);

	if (ret == ENOTSUP) {
		print_message("no direct I/O in %s: %s\n", vt->dir,
			      vt->message);
		vhd_close(disk);
		return NULL;
	}
	assert_int_equal(ret, 0);
	return disk;
}

struct vhd_disk *vt_kind(struct vt *vt, unsigned kind, uint64_t size)
{
	switch (kind) {
	case 0:
		return vt_disk(vt, "out.vhd", size, false);
	case 1:
		return vt_disk(vt, "sparse.vhd", size, true);
	case 2:
		return vhd_open_ram(vt->mem, size);
	case 3:
		return vt_dynamic(vt, "dynamic.vhd", size, 0);
	case 4:
		return vt_dynamic(vt, "dynamic512.vhd", size, 512 * 1024);
	case 5:
		vhd_close(vt_disk(vt, "parent.vhd", size, true));
		return vt_child(vt, "child.vhd", "parent.vhd");
	case 6:
		vhd_close(vt_dynamic(vt, "p1.vhd", size, 512 * 1024));
		assert_int_equal(vt_create_child(vt, "p2.vhd", "p1.vhd"), 0);
		return vt_child(vt, "p3.vhd", "p2.vhd");
	case 7:
		return vt_direct(vt, "direct.vhd", size);
	case 8:
		return vt_disk(vt, "out.vhdx", size, false);
	case 9:
		return vt_disk(vt, "sparse.vhdx", size, true);
	case 10:
		return vt_dynamic(vt, "dynamic.vhdx", size, 0);
	case 11:
		return vt_dynamic(vt, "dynamic1.vhdx", size, MiB);
	case 12:
		vhd_close(vt_disk(vt, "parent.vhdx", size, true));
		return vt_child(vt, "child.vhdx", "parent.vhdx");
	case 13:
		vhd_close(vt_dynamic(vt, "p1.vhdx", size, MiB));
		assert_int_equal(vt_create_child(vt, "p2.vhdx", "p1.vhdx"), 0);
		return vt_child(vt, "p3.vhdx", "p2.vhdx");
	default:
		fail_msg("there is no kind %u", kind);
		return NULL;
	}
}

int vt_check_fd(struct vt *vt, int fd, const char *name, uint32_t flags,
		struct vhd_check *result)
{
	struct tevent_req *req =
		vhd_check_send(vt->mem, vt->ev, fd, name, flags);
	int ret;

	assert_non_null(req);
	assert_true(tevent_req_poll(req, vt->ev));
	ret = vhd_check_recv(req, vt->mem, result, &vt->message);
	talloc_free(req);
	return ret;
}

struct vhd_check vt_check(struct vt *vt, const char *name, uint32_t flags)
{
	struct vhd_check result;
	int fd = vt_open_fd(vt, name,
			    flags & VHD_CHECK_REPAIR ? O_RDWR : O_RDONLY);

	assert_int_equal(vt_check_fd(vt, fd, name, flags, &result), 0);
	return result;
}

void vt_assert_sound(struct vt *vt, int fd)
{
	struct vhd_check result;

	assert_int_equal(vt_check_fd(vt, fd, "checked", 0, &result), 0);
	if (result.errors != 0) {
		fail_msg("the checker: %s", result.report);
	}
	talloc_free(result.report);
}

int vt_compact_fd(struct vt *vt, int fd, const char *name,
		  struct vhd_compact *result)
{
	struct tevent_req *req =
		vhd_compact_send(vt->mem, vt->ev, fd, name, NULL, NULL);
	int ret;

	assert_non_null(req);
	assert_true(tevent_req_poll(req, vt->ev));
	ret = vhd_compact_recv(req, vt->mem, result, &vt->message);
	talloc_free(req);
	return ret;
}

static void run_done(struct vhd_req *req)
{
	*(bool *)req->private_data = true;
}

int vt_run(struct vhd_io *io, struct tevent_context *ev, struct vhd_disk *disk,
	   struct vhd_req *req)
{
	bool done = false;

	req->done = run_done;
	req->private_data = &done;
	if (vhd_submit(io, disk, req)) {
		assert_false(done);
		return req->error;
	}
	assert_false(done);
	vhd_io_kick(io);
	while (!done) {
		assert_int_equal(tevent_loop_once(ev), 0);
	}
	return req->error;
}

int vt_rw(struct vt *vt, struct vhd_disk *disk, enum vhd_op op, uint32_t flags,
	  uint64_t offset, void *buf, uint64_t length)
{
	struct iovec iov = {
		.iov_base = buf,
		.iov_len = op == VHD_COMPARE_AND_WRITE ? 2 * length : length,
	};
	struct vhd_req req = {
		.op = op,
		.flags = flags,
		.offset = offset,
		.length = length,
		.iov = buf != NULL ? &iov : NULL,
		.iovcnt = buf != NULL ? 1 : 0,
	};

	return vt_run(vt->io, vt->ev, disk, &req);
}

void vt_pattern(void *buf, size_t len, uint32_t seed)
{
	uint8_t *p = buf;
	uint32_t x = seed * 2654435761u + 1;
	size_t i;

	for (i = 0; i < len; i++) {
		x = x * 1664525u + 1013904223u;
		p[i] = (uint8_t)(x >> 24);
	}
}

bool vt_is_zero(const void *buf, size_t len)
{
	const uint8_t *p = buf;
	size_t i;

	for (i = 0; i < len; i++) {
		if (p[i] != 0) {
			return false;
		}
	}
	return true;
}
