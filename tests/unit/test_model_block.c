/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Physical disks, from a sysfs that the test makes up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include <cmocka.h>

#include "server/model/block.h"

static char root[] = "/tmp/istm-sysfs-XXXXXX";

static void make_dir(const char *fmt, ...)
	__attribute__((format(printf, 1, 2)));
static void make_dir(const char *fmt, ...)
{
	char name[256], path[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(name, sizeof(name), fmt, ap);
	va_end(ap);
	snprintf(path, sizeof(path), "%s/%s", root, name);
	assert_int_equal(mkdir(path, 0700), 0);
}

static void attribute(const char *disk, const char *name, const char *value)
{
	char path[512];
	FILE *file;

	snprintf(path, sizeof(path), "%s/block/%s/%s", root, disk, name);
	file = fopen(path, "w");
	assert_non_null(file);
	fprintf(file, "%s\n", value);
	fclose(file);
}

static void make_device(const char *name, const char *dev, const char *sectors,
			bool physical)
{
	make_dir("block/%s", name);
	if (physical) {
		make_dir("block/%s/device", name);
	}
	attribute(name, "size", sectors);
	attribute(name, "dev", dev);
}

static void make_link(const char *dev, const char *target)
{
	char path[512], to[512];

	snprintf(path, sizeof(path), "%s/dev/block/%s", root, dev);
	snprintf(to, sizeof(to), "%s/block/%s", root, target);
	assert_int_equal(symlink(to, path), 0);
}

static int make_tree(void **state)
{
	if (mkdtemp(root) == NULL) {
		return -1;
	}
	make_dir("block");
	make_dir("dev");
	make_dir("dev/block");
	make_device("sdb", "8:16", "4096", true);
	make_device("sda", "8:0", "2048", true);
	make_device("nvme0n1", "259:0", "1000215216", true);
	make_device("sdc", "8:32", "0", true); /* no medium */
	make_device("sr0", "11:0", "2097151", true);
	make_device("loop0", "7:0", "2048", false);
	make_device("dm-0", "253:0", "2048", false);
	make_device("nvme0c0n1", "259:1", "2048", true);
	attribute("nvme0c0n1", "hidden", "1");
	make_device("bad", "259:2", "many", true);
	make_device("huge", "259:3", "18446744073709551615", true);
	make_dir("block/sdb/sdb1");
	attribute("sdb/sdb1", "partition", "1");
	make_link("8:16", "sdb");
	make_link("8:17", "sdb/sdb1");
	make_link("253:0", "dm-0");
	return 0;
}

static int remove_tree(void **state)
{
	char command[64];

	snprintf(command, sizeof(command), "rm -r %s", root);
	return system(command);
}

static void test_physical_disks_in_order(void **state)
{
	struct model_block_device *d;

	assert_int_equal(block_devices(NULL, root, &d), 3);
	assert_string_equal(d[0].name, "sda");
	assert_int_equal(d[0].index, 0);
	assert_int_equal(d[0].size, 1 << 20);
	assert_string_equal(d[1].name, "sdb");
	assert_int_equal(d[1].index, 1);
	assert_string_equal(d[2].name, "nvme0n1");
	assert_int_equal(d[2].size, 1000215216ull * 512);
	talloc_free(d);
}

static void test_index_of_a_file_system(void **state)
{
	assert_int_equal(block_index(root, makedev(8, 16)), 1);
	/* a partition: its disk's */
	assert_int_equal(block_index(root, makedev(8, 17)), 1);
	/* a device of software, and none at all */
	assert_int_equal(block_index(root, makedev(253, 0)), BLOCK_NO_INDEX);
	assert_int_equal(block_index(root, makedev(0, 42)), BLOCK_NO_INDEX);
}

static void test_no_sysfs(void **state)
{
	struct model_block_device *d;

	assert_int_equal(block_devices(NULL, "/nonexistent", &d), 0);
	assert_int_equal(block_index("/nonexistent", makedev(8, 16)),
			 BLOCK_NO_INDEX);
	talloc_free(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_physical_disks_in_order),
		cmocka_unit_test(test_index_of_a_file_system),
		cmocka_unit_test(test_no_sysfs),
	};

	return cmocka_run_group_tests(tests, make_tree, remove_tree);
}
