/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Where a differencing disk's parent is looked for, and which file is taken:
 * vhd_open_parent_send(); and what is done when it is changed. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vhd_helpers.h"
#include "vhd/bytes.h"
#include "vhd/dynheader.h"

/* The child says these; all are files in the test's folder. */
struct lookup {
	struct vt *vt;
	char *asked; /* "R:path A:path ..." */
};

/* "X:\a\b" is the file "a_b", a relative ".\b" the file "b". */
static int open_path(TALLOC_CTX *mem_ctx, const char *path, bool relative,
		     const char **name, void *private_data)
{
	struct lookup *l = private_data;
	char *file = talloc_strdup(mem_ctx, path), *p;
	int fd;

	l->asked = talloc_asprintf_append(l->asked, "%s%s:%s",
					  l->asked[0] != '\0' ? " " : "",
					  relative ? "R" : "A", path);
	if (strncmp(file, ".\\", 2) == 0) {
		file += 2;
	}
	for (p = file; *p != '\0'; p++) {
		*p = *p == '\\' || *p == '/' || *p == '?' ? '_' : *p;
	}
	*name = file;
	fd = open(vt_path(l->vt, file), O_RDONLY | O_CLOEXEC);
	return fd >= 0 ? fd : -errno;
}

/* @return 0 or errno; vt->message, l->asked */
static int look(struct vt *vt, const char *child, struct lookup *l)
{
	struct vhd_disk *disk = NULL, *parent = NULL;
	struct tevent_req *req;
	int ret;

	l->vt = vt;
	l->asked = talloc_strdup(vt->mem, "");
	assert_int_equal(vt_open(vt, child, 0, &disk), 0);
	req = vhd_open_parent_send(vt->mem, vt->ev, disk, open_path, l);
	assert_non_null(req);
	assert_true(tevent_req_poll(req, vt->ev));
	ret = vhd_open_parent_recv(req, vt->mem, &parent, &vt->message);
	talloc_free(req);
	if (ret == 0) {
		assert_int_equal(vhd_set_parent(disk, parent,
						VHD_PARENT_ANY_TIME,
						&vt->message),
				 0);
	}
	vhd_close(disk);
	return ret;
}

static void copy(struct vt *vt, const char *from, const char *to)
{
	char *command = talloc_asprintf(vt->mem, "cp -p '%s' '%s'",
					vt_path(vt, from), vt_path(vt, to));

	assert_int_equal(system(command), 0);
}

static void make(struct vt *vt, const char *name)
{
	vhd_close(vt_dynamic(vt, name, 8 * MiB, 0));
}

/* A child of @parent that gives these paths. */
static void make_child(struct vt *vt, const char *name, const char *parent,
		       const char *absolute, const char *relative,
		       const char *volume)
{
	struct vhd_create_params params = {.type = VHD_TYPE_DIFFERENCING};
	struct vhd_info info;

	assert_int_equal(vt_probe(vt, parent, &info), 0);
	params.format = info.format;
	params.size = info.size;
	memcpy(params.parent_id, info.link_id, 16);
	memcpy(params.parent_disk_id, info.unique_id, 16);
	params.logical_sector = info.logical_sector;
	params.parent_path = absolute;
	params.parent_relative = relative;
	params.parent_volume = volume;
	assert_int_equal(vt_create_params(vt, name, &params), 0);
}

#define VOLUME "\\\\?\\Volume{26A21BDA-A627-11D7-9931-806E6F6E6963}\\v.vhdx"

/* MS-VHDX 2.6.2.6.3: relative_path, volume_path, absolute_win32_path. */
static void test_vhdx_order(void **state)
{
	static const char *const files[] = {
		"r.vhdx",
		"____Volume{26A21BDA-A627-11D7-9931-806E6F6E6963}_v.vhdx",
		"X:_a.vhdx"};
	static const char *const asked[] = {"R:.\\r.vhdx",
					    "R:.\\r.vhdx A:" VOLUME,
					    "R:.\\r.vhdx A:" VOLUME
					    " A:X:\\a.vhdx"};
	struct vt *vt = *state;
	struct lookup l;
	unsigned i, k;

	make(vt, "p.vhdx");
	make(vt, "stranger.vhdx");
	make_child(vt, "c.vhdx", "p.vhdx", "X:\\a.vhdx", ".\\r.vhdx", VOLUME);
	for (k = 0; k < 2; k++) {
		for (i = 0; i < 3; i++) {
			copy(vt, "p.vhdx", files[i]);
			assert_int_equal(look(vt, "c.vhdx", &l), 0);
			assert_string_equal(l.asked, asked[i]);
			/* Another one is there: the next is looked at. */
			if (k == 0) {
				unlink(vt_path(vt, files[i]));
			} else {
				copy(vt, "stranger.vhdx", files[i]);
			}
		}
	}
	/* At last the same names beside the child. */
	assert_int_equal(look(vt, "c.vhdx", &l), ESTALE);
	copy(vt, "p.vhdx", "v.vhdx");
	assert_int_equal(look(vt, "c.vhdx", &l), 0);
	assert_string_equal(l.asked, "R:.\\r.vhdx A:" VOLUME
				     " A:X:\\a.vhdx R:r.vhdx R:v.vhdx");
}

/* Write the child's header anew, with these locators' codes; the first one's
 * text is cut. */
static void set_codes(struct vt *vt, const char *name, uint32_t first,
		      uint32_t length, uint32_t second)
{
	uint8_t buf[VHD_DYNHEADER_SIZE];
	struct vhd_dynheader header;
	char why[256];

	vt_file_read(vt, name, 512, buf, sizeof(buf));
	assert_int_equal(
		vhd_dynheader_pull(buf, 8 * MiB, &header, why, sizeof(why)), 0);
	header.locator[0].code = first;
	header.locator[0].length = length;
	header.locator[1].code = second;
	vhd_dynheader_push(&header, buf);
	vt_file_write(vt, name, 512, buf, sizeof(buf));
}

/* The first locator is a URL, the second as it was. */
static void set_url(struct vt *vt, const char *name, const char *url,
		    size_t len)
{
	set_codes(vt, name, VHD_LOCATOR_MACX, (uint32_t)len, VHD_LOCATOR_W2RU);
	vt_file_write(vt, name, 512 + VHD_DYNHEADER_SIZE, url, len);
}

/* Absolute, relative, file URL, name. */
static void test_vhd_order(void **state)
{
	static const char url[] = "file:///m.vhd";
	/* RFC 2396 2.4.1; padded */
	static const char escaped[] = "file://LOCALHOST/m%20%C3%A4%.vhd\0\0";
	struct vt *vt = *state;
	struct lookup l;

	make(vt, "p.vhd");
	make(vt, "stranger.vhd");
	/* W2ku and W2ru, whichever comes first in the header. */
	make_child(vt, "c.vhd", "p.vhd", "X:\\a.vhd", ".\\r.vhd", NULL);
	copy(vt, "p.vhd", "X:_a.vhd");
	assert_int_equal(look(vt, "c.vhd", &l), 0);
	assert_string_equal(l.asked, "A:X:\\a.vhd");
	copy(vt, "stranger.vhd", "X:_a.vhd");
	copy(vt, "p.vhd", "r.vhd");
	assert_int_equal(look(vt, "c.vhd", &l), 0);
	assert_string_equal(l.asked, "A:X:\\a.vhd R:.\\r.vhd");
	set_codes(vt, "c.vhd", VHD_LOCATOR_W2RU, 16, VHD_LOCATOR_W2KU);
	assert_int_equal(look(vt, "c.vhd", &l), 0);
	assert_string_equal(l.asked, "A:.\\r.vhd");
	/* MacX, behind both. */
	set_url(vt, "c.vhd", url, sizeof(url) - 1);
	copy(vt, "stranger.vhd", "r.vhd");
	copy(vt, "p.vhd", "_m.vhd");
	assert_int_equal(look(vt, "c.vhd", &l), 0);
	assert_string_equal(l.asked, "R:.\\r.vhd A:/m.vhd");
	set_url(vt, "c.vhd", escaped, sizeof(escaped) - 1);
	copy(vt, "p.vhd", "_m \u00e4%.vhd");
	assert_int_equal(look(vt, "c.vhd", &l), 0);
	assert_string_equal(l.asked, "R:.\\r.vhd A:/m \u00e4%.vhd");
	set_url(vt, "c.vhd", url, sizeof(url) - 1);
	/* The name in the header is the last. */
	unlink(vt_path(vt, "_m.vhd"));
	copy(vt, "p.vhd", "a.vhd");
	assert_int_equal(look(vt, "c.vhd", &l), 0);
	assert_string_equal(l.asked, "R:.\\r.vhd A:/m.vhd R:a.vhd");
}

static int count(const char *text, const char *what)
{
	int n = 0;

	while ((text = strstr(text, what)) != NULL) {
		n++;
		text += strlen(what);
	}
	return n;
}

/* The refusal tells of each path, once, and why. */
static void test_refused(void **state)
{
	struct vt *vt = *state;
	struct vhd_disk *parent;
	struct lookup l;

	make(vt, "p.vhd");
	make_child(vt, "c.vhd", "p.vhd", "X:\\a.vhd", ".\\r.vhd", NULL);
	assert_int_equal(look(vt, "c.vhd", &l), ENOENT);
	assert_string_equal(vt->message, "X:_a.vhd: No such file or directory; "
					 "r.vhd: No such file or directory; "
					 "a.vhd: No such file or directory");
	make(vt, "r.vhd");
	copy(vt, "c.vhd", "a.vhd");
	assert_int_equal(truncate(vt_path(vt, "a.vhd"), 100), 0);
	assert_int_equal(look(vt, "c.vhd", &l), EINVAL);
	assert_int_equal(count(vt->message, "X:_a.vhd: No such file"), 1);
	assert_int_equal(count(vt->message, "r.vhd: not the parent of"), 1);
	assert_int_equal(count(vt->message, "a.vhd: not a VHD: 100 bytes"), 1);
	assert_int_equal(count(vt->message, "; "), 2);
	/* The right one is there and in use: no other is taken for it. */
	unlink(vt_path(vt, "X:_a.vhd"));
	copy(vt, "p.vhd", "X:_a.vhd");
	copy(vt, "p.vhd", "a.vhd");
	assert_int_equal(vt_open(vt, "X:_a.vhd", 0, &parent), 0);
	assert_int_equal(look(vt, "c.vhd", &l), EWOULDBLOCK);
	assert_string_equal(l.asked, "A:X:\\a.vhd");
	assert_non_null(strstr(vt->message, "X:_a.vhd"));
	vhd_close(parent);
	assert_int_equal(look(vt, "c.vhd", &l), 0);
}

/* Make an "absolute_win32_path" of "{guid}" what nothing writes any more: a
 * second identity of the parent. */
static void make_linkage2(struct vt *vt, const char *name)
{
	static const uint8_t type[16] = {0xb7, 0xef, 0x4a, 0xb0, 0x9e, 0xd1,
					 0x81, 0x4a, 0xb7, 0x89, 0x25, 0xb8,
					 0xe9, 0x44, 0x59, 0x13};
	static const char from[] = "absolute_win32_path";
	static const char to[] = "parent_linkage2";
	uint64_t at = 2 * MiB + 65536;
	uint8_t buf[4096], key[64];
	uint8_t *item;
	unsigned i, k, done = 0;

	vt_file_read(vt, name, at, buf, sizeof(buf));
	item = memmem(buf, sizeof(buf), type, sizeof(type));
	assert_non_null(item);
	for (i = 0; i < sizeof(from) - 1; i++) {
		key[2 * i] = (uint8_t)from[i];
		key[2 * i + 1] = 0;
	}
	for (i = 0; i < get_le16(item + 18); i++) {
		uint8_t *entry = item + 20 + 12 * (size_t)i;
		uint8_t *text = item + get_le32(entry);

		if (get_le16(entry + 8) != 2 * (sizeof(from) - 1) ||
		    memcmp(text, key, 2 * (sizeof(from) - 1)) != 0) {
			continue;
		}
		for (k = 0; k < sizeof(to) - 1; k++) {
			text[2 * k] = (uint8_t)to[k];
		}
		put_le16(entry + 8, 2 * (sizeof(to) - 1));
		done++;
	}
	assert_int_equal(done, 1);
	vt_file_write(vt, name, at, buf, sizeof(buf));
}

/* "matches one of these two fields" */
static void test_linkage2(void **state)
{
	struct vt *vt = *state;
	struct vhd_info info;
	struct lookup l;
	const uint8_t *g = info.link_id;
	char *second;

	make(vt, "p.vhdx");
	make(vt, "r.vhdx");
	assert_int_equal(vt_probe(vt, "r.vhdx", &info), 0);
	second = talloc_asprintf(vt->mem,
				 "{%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-"
				 "%02x%02x%02x%02x%02x%02x}",
				 g[3], g[2], g[1], g[0], g[5], g[4], g[7], g[6],
				 g[8], g[9], g[10], g[11], g[12], g[13], g[14],
				 g[15]);
	make_child(vt, "c.vhdx", "p.vhdx", second, ".\\r.vhdx", NULL);
	assert_int_equal(look(vt, "c.vhdx", &l), ESTALE);
	make_linkage2(vt, "c.vhdx");
	assert_int_equal(look(vt, "c.vhdx", &l), 0);
	assert_string_equal(l.asked, "R:.\\r.vhdx");
	/* The first field still counts. */
	assert_int_equal(unlink(vt_path(vt, "r.vhdx")), 0);
	copy(vt, "p.vhdx", "r.vhdx");
	assert_int_equal(look(vt, "c.vhdx", &l), 0);
}

/* ---- changed under the child ---- */

static char *errors; /* lines of level 0 */

static void keep_errors(int level, const char *message)
{
	if (level == 0) {
		errors = talloc_asprintf_append(errors, "%s\n", message);
	}
}

static void ask_for_space(struct vt *vt, struct vhd_disk *disk)
{
	struct vhd_space space;
	struct tevent_req *req = vhd_space_send(vt->mem, vt->ev, disk);

	assert_non_null(req);
	assert_true(tevent_req_poll(req, vt->ev));
	assert_int_equal(vhd_space_recv(req, &space), 0);
	talloc_free(req);
}

static void set_times(struct vt *vt, const char *name, time_t access, long nsec)
{
	struct timespec times[2] = {{access, 0}, {1500000000, nsec}};

	assert_int_equal(utimensat(AT_FDCWD, vt_path(vt, name), times, 0), 0);
}

static void set_modified(struct vt *vt, const char *name, struct timespec time)
{
	struct timespec times[2] = {{0, UTIME_OMIT}, time};

	assert_int_equal(utimensat(AT_FDCWD, vt_path(vt, name), times, 0), 0);
}

/* Put back less precisely, it is the same time. */
static void test_same_time(void **state)
{
	static const struct {
		struct timespec was, is;
		bool same;
	} rows[] = {
		{{1500000000, 123456789}, {1500000000, 0}, true},
		{{1500000000, 123456789}, {1500000000, 123000000}, true},
		{{1500000000, 123456789}, {1500000000, 123456000}, true},
		{{1500000000, 123456789}, {1500000000, 123456700}, true},
		{{1500000000, 123456789}, {1500000000, 123456835}, true},
		{{1500000000, 999999950}, {1500000001, 0}, true},
		{{1500000000, 50}, {1499999999, 999999881}, true},
		{{1500000000, 123456789}, {1500000000, 124456788}, true},
		{{1500000000, 123456789}, {1500000000, 124456789}, false},
		{{1500000000, 123456789}, {1500000000, 122456789}, false},
		{{1500000000, 999999950}, {1500000001, 999950}, false},
		{{1500000000, 50}, {1499999999, 999000050}, false},
		{{1500000000, 123456789}, {1500000001, 0}, false},
		{{1500000000, 123456789}, {1500000001, 123456789}, false},
		{{1500000000, 123456789}, {1499999999, 123456789}, false},
		{{1500000000, 50}, {1500000002, 0}, false},
		{{1500000000, 123456789}, {0, 0}, false},
		{{1500000000, 123456789}, {-7000000, 123456789}, false},
	};
	struct vt *vt = *state;
	struct vhd_disk *disk;
	unsigned i;

	make(vt, "p.vhd");
	set_modified(vt, "p.vhd", rows[0].was);
	assert_int_equal(vt_create_child(vt, "c.vhd", "p.vhd"), 0);
	vhd_set_log(keep_errors);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		errors = talloc_strdup(vt->mem, "");
		set_modified(vt, "p.vhd", rows[i].was);
		disk = vt_open_chain(vt, "c.vhd", 0);
		set_modified(vt, "p.vhd", rows[i].is);
		ask_for_space(vt, disk);
		if ((errors[0] == '\0') != rows[i].same) {
			fail_msg("row %u: %s", i, errors);
		}
		vhd_close(disk);
		TALLOC_FREE(errors);
	}
	vhd_set_log(NULL);
}

/* A parent of a parent is written to by somebody who ignores locks. */
static void test_changed(void **state)
{
	static const char *const names[][3] = {
		{"a.vhd", "b.vhd", "c.vhd"},
		{"a.vhdx", "b.vhdx", "c.vhdx"},
	};
	struct vt *vt = *state;
	struct vhd_disk *disk;
	uint8_t *buf = talloc_size(vt->mem, 4096);
	struct vhd_req req = {.op = VHD_READ, .length = 4096};
	struct iovec iov = {buf, 4096};
	char *link;
	unsigned i;

	errors = talloc_strdup(vt->mem, "");
	vhd_set_log(keep_errors);
	for (i = 0; i < 2; i++) {
		make(vt, names[i][0]);
		set_times(vt, names[i][0], 0, 123456789);
		assert_int_equal(vt_create_child(vt, names[i][1], names[i][0]),
				 0);
		set_times(vt, names[i][1], 0, 123456789);
		disk = vt_child(vt, names[i][2], names[i][1]);
		assert_int_equal(vt_rw(vt, disk, VHD_WRITE, 0, 0, buf, 4096),
				 0);
		/* What a backup, a chmod and another name do. */
		set_times(vt, names[i][0], 1234567890, 123456789);
		set_times(vt, names[i][1], 1234567890, 123456000);
		assert_int_equal(chmod(vt_path(vt, names[i][0]), 0640), 0);
		link = vt_path(vt, "link");
		assert_int_equal(rename(vt_path(vt, names[i][0]), link), 0);
		assert_int_equal(rename(link, vt_path(vt, names[i][0])), 0);
		ask_for_space(vt, disk);
		assert_string_equal(errors, "");
		assert_int_equal(vt_rw(vt, disk, VHD_READ, 0, 0, buf, 4096), 0);
		/* What nobody does who heeds the lock. */
		vt_file_write(vt, names[i][0], MiB, "x", 1);
		ask_for_space(vt, disk);
		ask_for_space(vt, disk);
		assert_int_equal(count(errors, "\n"), 1);
		assert_non_null(strstr(errors, names[i][2]));
		assert_non_null(strstr(errors, names[i][0]));
		/* Its own sectors neither. */
		req.iov = &iov;
		req.iovcnt = 1;
		assert_int_equal(vt_run(vt->io, vt->ev, disk, &req), EIO);
		assert_true(req.read_failed && req.read == 0);
		assert_int_equal(vt_rw(vt, disk, VHD_WRITE, 0, 0, buf, 4096),
				 EIO);
		assert_int_equal(vt_rw(vt, disk, VHD_DISCARD, 0, 0, NULL, 4096),
				 EIO);
		/* But what was written before is kept. */
		assert_int_equal(vt_rw(vt, disk, VHD_FLUSH, 0, 0, NULL, 0), 0);
		vhd_close(disk);
		/* A larger file, and the time put back. */
		set_times(vt, names[i][0], 0, 123456789);
		disk = vt_open_chain(vt, names[i][2], 0);
		assert_int_equal(vt_rw(vt, disk, VHD_READ, 0, 0, buf, 4096), 0);
		vt_file_write(vt, names[i][0], 64 * MiB, "x", 1);
		set_times(vt, names[i][0], 0, 123456789);
		ask_for_space(vt, disk);
		assert_int_equal(vt_rw(vt, disk, VHD_READ, 0, 0, buf, 4096),
				 EIO);
		vhd_close(disk);
		TALLOC_FREE(errors);
		errors = talloc_strdup(vt->mem, "");
	}
	vhd_set_log(NULL);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, vt_setup_memory, vt_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_vhdx_order), TEST(test_vhd_order), TEST(test_refused),
		TEST(test_linkage2),   TEST(test_same_time), TEST(test_changed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
