/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the tests of vhd/ share: files, disks and requests made synchronous. */
#ifndef VHD_HELPERS_H
#define VHD_HELPERS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "vhd/vhd.h"

#define MiB (UINT64_C(1) << 20)
#define GiB (UINT64_C(1) << 30)

/* One temporary folder, a loop and a lane. */
struct vt {
	TALLOC_CTX *mem;
	struct tevent_context *ev;
	struct vhd_io *io;
	char dir[256];
	char *message; /* of the last failure */
};

int vt_setup(void **state);
/* In memory, where flushes are cheap. */
int vt_setup_memory(void **state);
int vt_teardown(void **state);

/* A path in the folder; talloc'ed. */
char *vt_path(struct vt *vt, const char *name);
int vt_open_fd(struct vt *vt, const char *name, int flags);
uint64_t vt_file_size(struct vt *vt, const char *name);
uint64_t vt_file_allocated(struct vt *vt, const char *name);
void vt_file_write(struct vt *vt, const char *name, uint64_t offset,
		   const void *data, size_t len);
void vt_file_read(struct vt *vt, const char *name, uint64_t offset, void *data,
		  size_t len);

/* @return 0 or errno; vt->message */
int vt_create(struct vt *vt, const char *name, uint64_t size, bool sparse);
int vt_create_params(struct vt *vt, const char *name,
		     const struct vhd_create_params *params);
int vt_open(struct vt *vt, const char *name, uint32_t flags,
	    struct vhd_disk **disk);
int vt_probe(struct vt *vt, const char *name, struct vhd_info *info);
int vt_grow(struct vt *vt, struct vhd_disk *disk, uint64_t additional);
/* Created and opened, or the test fails. */
struct vhd_disk *vt_disk(struct vt *vt, const char *name, uint64_t size,
			 bool sparse);

/* A dynamic disk. */
struct vhd_disk *vt_dynamic(struct vt *vt, const char *name, uint64_t size,
			    uint32_t block_size);
/* A fixed disk with direct I/O; NULL where the file system has none. */
struct vhd_disk *vt_direct(struct vt *vt, const char *name, uint64_t size);
/* A differencing disk over the file @parent; opened with its chain. */
struct vhd_disk *vt_child(struct vt *vt, const char *name, const char *parent);
int vt_create_child(struct vt *vt, const char *name, const char *parent);
/* Open a differencing disk with all its parents, found by their names in
 * the folder. */
struct vhd_disk *vt_open_chain(struct vt *vt, const char *name, uint32_t flags);

/* Each kind of disk in turn, empty, of @size bytes; NULL: the file system has
 * no direct I/O. */
#define VT_KINDS 14
struct vhd_disk *vt_kind(struct vt *vt, unsigned kind, uint64_t size);

/* The checker's findings; takes @fd. @return 0 or errno; vt->message
 * @param name  by which taps know it */
int vt_check_fd(struct vt *vt, int fd, const char *name, uint32_t flags,
		struct vhd_check *result);
/* Of a file that can be checked. */
struct vhd_check vt_check(struct vt *vt, const char *name, uint32_t flags);
/* It finds no errors; takes @fd. */
void vt_assert_sound(struct vt *vt, int fd);
/* Takes @fd. @return 0 or errno; vt->message */
int vt_compact_fd(struct vt *vt, int fd, const char *name,
		  struct vhd_compact *result);

/* Run one request to its end on @io, whose loop is @ev. @return its error */
int vt_run(struct vhd_io *io, struct tevent_context *ev, struct vhd_disk *disk,
	   struct vhd_req *req);
int vt_rw(struct vt *vt, struct vhd_disk *disk, enum vhd_op op, uint32_t flags,
	  uint64_t offset, void *buf, uint64_t length);

/* Bytes that depend on @seed and position. */
void vt_pattern(void *buf, size_t len, uint32_t seed);
bool vt_is_zero(const void *buf, size_t len);

#endif /* VHD_HELPERS_H */
