/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Files, directories and volumes: MS-ISTM 3.30 and design.md section 4. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model_helpers.h"
#include "server/model/folded.h"

static void test_create(void **state)
{
	struct mt *mt = *state;
	struct vhd_info info;
	struct stat st;
	char path[700];

	assert_hr(mt_create_file(mt, "C:\\iSCSI_target_disks\\V.vhd", 64 * MiB),
		  ISTM_S_OK);
	snprintf(path, sizeof(path), "%s/iSCSI_target_disks/V.vhd", mt->volume);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, 64 * MiB + 512);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_hr(mt_probe(mt, "C:\\iscsi_TARGET_disks\\v.VHD", &info),
		  ISTM_S_OK);
	assert_int_equal(info.size, 64 * MiB);
	assert_int_equal(info.type, VHD_TYPE_FIXED);
	/* The directory that is there in another case is used. */
	assert_hr(mt_create_file(mt, "C:\\ISCSI_TARGET_DISKS\\W.vhd", 8 * MiB),
		  ISTM_S_OK);
	assert_true(mt_file_exists(mt, "iSCSI_target_disks/W.vhd"));
	/* Overwritten. */
	assert_hr(mt_create_file(mt, "C:\\iSCSI_target_disks\\v.vhd", 16 * MiB),
		  ISTM_S_OK);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, 16 * MiB + 512);
	/* Down to a whole megabyte. */
	assert_hr(mt_create_file(mt, "C:\\x\\y\\z.vhd", 9 * MiB - 1),
		  ISTM_S_OK);
	assert_hr(mt_probe(mt, "C:\\x\\y\\z.vhd", &info), ISTM_S_OK);
	assert_int_equal(info.size, 8 * MiB);
}

static bool exists(struct mt *mt, const char *path)
{
	return HRES_IS_EQUAL(model_file_exists(mt->model, path), ISTM_S_OK);
}

/* The names of a large directory are read once, and then followed. */
static void test_other_case_in_large_directory(void **state)
{
	struct mt *mt = *state;
	char name[64], from[700], to[700];
	unsigned i, reads;

	snprintf(to, sizeof(to), "%s/Many", mt->volume);
	assert_int_equal(mkdir(to, 0700), 0);
	for (i = 0; i < 1500; i++) {
		snprintf(name, sizeof(name), "Many/File-%u.vhd", i);
		mt_write(mt, name, "x");
	}
	assert_true(exists(mt, "C:\\Many\\file-7.VHD"));
	reads = folded_reads();
	assert_true(exists(mt, "C:\\Many\\FILE-1499.vhd"));
	assert_false(exists(mt, "C:\\Many\\file-1500.vhd"));
	/* What others do there is seen. */
	mt_write(mt, "Many/NEW.vhd", "x");
	assert_true(exists(mt, "C:\\Many\\new.vhd"));
	snprintf(from, sizeof(from), "%s/Many/NEW.vhd", mt->volume);
	snprintf(to, sizeof(to), "%s/Many/\xc3\x84lter.vhd", mt->volume);
	assert_int_equal(rename(from, to), 0);
	assert_false(exists(mt, "C:\\Many\\new.vhd"));
	assert_true(exists(mt, "C:\\Many\\\xc3\xa4LTER.vhd"));
	assert_int_equal(unlink(to), 0);
	assert_false(exists(mt, "C:\\Many\\\xc3\xa4lter.vhd"));
	/* Of two that fit it is the same one each time. */
	mt_write(mt, "Many/both.VHD", "x");
	mt_write(mt, "Many/BOTH.vhd", "x");
	assert_true(exists(mt, "C:\\Many\\Both.vhd"));
	if (folded_reads() != reads) {
		print_message("# skip: this file system is not watched\n");
		skip();
	}
	/* Another directory in its place is another. */
	snprintf(from, sizeof(from), "%s/Many", mt->volume);
	snprintf(to, sizeof(to), "%s/Old", mt->volume);
	assert_int_equal(rename(from, to), 0);
	assert_int_equal(mkdir(from, 0700), 0);
	assert_false(exists(mt, "C:\\Many\\file-7.VHD"));
	assert_true(exists(mt, "C:\\old\\file-7.VHD"));
}

static void test_create_refusals(void **state)
{
	struct mt *mt = *state;
	struct model_dirent *entries;
	char path[700];
	size_t num;

	assert_hr(mt_create_file(mt, "nonsense", 64 * MiB), ISTM_INVALID_ARG);
	assert_hr(mt_create_file(mt, NULL, 64 * MiB), ISTM_INVALID_ARG);
	assert_hr(mt_create_file(mt, "C:\\", 64 * MiB), ISTM_INVALID_ARG);
	assert_hr(mt_create_file(mt, "C:\\a.vhd\\", 64 * MiB),
		  ISTM_INVALID_ARG);
	snprintf(path, sizeof(path), "%s/dir", mt->volume);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_hr(mt_create_file(mt, "C:\\DIR", 64 * MiB), ISTM_INVALID_ARG);
	assert_hr(mt_create_file(mt, "C:\\a.vhd", MiB - 1), ISTM_INVALID_ARG);
	assert_hr(mt_create_file(mt, "C:\\a.vhd", 8 * MiB - 1),
		  ISTM_BAD_LENGTH);
	assert_hr(mt_create_file(mt, "C:\\a.vhd", VHD_MAX_SIZE + MiB),
		  ISTM_BAD_LENGTH);
	assert_hr(mt_create_file(mt, "C:\\a.vhd", UINT64_MAX), ISTM_BAD_LENGTH);
	assert_hr(mt_create_file(mt, "Q:\\a.vhd", 64 * MiB),
		  ISTM_PATH_NOT_FOUND);
	mt_write(mt, "file", "x");
	assert_hr(mt_create_file(mt, "C:\\file\\a.vhd", 64 * MiB),
		  ISTM_PATH_NOT_FOUND);
	/* A served disk is not replaced. */
	mt_disk(mt, "C:\\used.vhd");
	assert_hr(mt_create_file(mt, "C:\\used.vhd", 64 * MiB),
		  ISTM_SHARING_VIOLATION);
	/* No half files. */
	assert_hr(mt_directory(mt, "C:\\", &entries, &num), ISTM_S_OK);
	assert_int_equal(num, 3);
}

static void test_delete(void **state)
{
	struct mt *mt = *state;
	char path[700];
	struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
	uint32_t index;
	int fd;

	assert_hr(mt_delete_file(mt, "C:\\a.vhd"), ISTM_FILE_NOT_FOUND);
	assert_hr(mt_delete_file(mt, "nonsense"), ISTM_INVALID_ARG);
	assert_hr(mt_delete_file(mt, "C:\\"), ISTM_INVALID_ARG);
	index = mt_disk(mt, "C:\\a.vhd");
	assert_hr(mt_delete_file(mt, "C:\\A.vhd"), ISTM_SHARING_VIOLATION);
	assert_hr(mt_delete_disk(mt, index), ISTM_S_OK);
	/* A parent is locked by its reader. */
	snprintf(path, sizeof(path), "%s/a.vhd", mt->volume);
	fd = open(path, O_RDONLY);
	assert_int_equal(fcntl(fd, F_OFD_SETLK, &lock), 0);
	assert_hr(mt_delete_file(mt, "C:\\a.vhd"), ISTM_SHARING_VIOLATION);
	assert_hr(mt_create_file(mt, "C:\\a.vhd", 8 * MiB),
		  ISTM_SHARING_VIOLATION);
	close(fd);
	assert_hr(mt_delete_file(mt, "C:\\A.VHD"), ISTM_S_OK);
	assert_false(mt_file_exists(mt, "a.vhd"));
}

static void test_grow(void **state)
{
	struct mt *mt = *state;
	struct vhd_info info;
	uint32_t index;

	assert_hr(mt_create_file(mt, "C:\\a.vhd", 8 * MiB), ISTM_S_OK);
	assert_hr(mt_grow_file(mt, "C:\\a.vhd", MiB - 1), ISTM_INVALID_ARG);
	assert_hr(mt_grow_file(mt, "C:\\b.vhd", MiB), ISTM_INVALID_ARG);
	assert_hr(mt_grow_file(mt, "C:\\", MiB), ISTM_INVALID_ARG);
	assert_hr(mt_grow_file(mt, "x", MiB), ISTM_INVALID_ARG);
	assert_hr(mt_grow_file(mt, "C:\\a.vhd", 3 * MiB - 1), ISTM_S_OK);
	assert_hr(mt_probe(mt, "C:\\a.vhd", &info), ISTM_S_OK);
	assert_int_equal(info.size, 10 * MiB);
	assert_hr(mt_grow_file(mt, "C:\\a.vhd", UINT64_MAX), ISTM_BAD_LENGTH);
	assert_hr(mt_grow_file(mt, "C:\\a.vhd", VHD_MAX_SIZE), ISTM_BAD_LENGTH);
	mt_write(mt, "text.vhd", "this is no VHD");
	assert_hr(mt_grow_file(mt, "C:\\text.vhd", MiB), ISTM_INVALID_ARG);
	/* Served: at once, and the disk knows. */
	assert_hr(mt_create_disk(mt, "C:\\a.vhd", &index), ISTM_S_OK);
	mt_events_clear(mt);
	assert_hr(mt_grow_file(mt, "c:\\A.vhd", 6 * MiB), ISTM_S_OK);
	assert_int_equal(model_disk_by_index(mt->model, index)->size, 16 * MiB);
	assert_int_equal(mt->events[MODEL_EVENT_DISK_CHANGED], 1);
	assert_hr(mt_grow_file(mt, "C:\\a.vhd", VHD_MAX_SIZE), ISTM_BAD_LENGTH);
	mt_restart(mt);
	assert_int_equal(model_disk_by_index(mt->model, index)->size, 16 * MiB);
}

static void test_probe(void **state)
{
	struct mt *mt = *state;
	struct vhd_info info;

	assert_hr(mt_probe(mt, "C:\\", &info), ISTM_PATH_NOT_FOUND);
	assert_hr(mt_probe(mt, "C:\\none.vhd", &info), ISTM_FILE_NOT_FOUND);
	assert_hr(mt_probe(mt, "C:none", &info), ISTM_INVALID_ARG);
	mt_write(mt, "text.vhd", "this is no VHD");
	assert_hr(mt_probe(mt, "C:\\text.vhd", &info), ISTM_INVALID_DATA);
	/* One that is served can be looked at too. */
	mt_disk(mt, "C:\\a.vhd");
	assert_hr(mt_probe(mt, "C:\\a.vhd", &info), ISTM_S_OK);
}

static void test_questions(void **state)
{
	struct mt *mt = *state;
	struct model_volume *volume;
	char path[700];

	assert_hr(model_path_valid(mt->model, "C:\\new\\a.vhd"), ISTM_S_OK);
	assert_hr(model_path_valid(mt->model, "nonsense"), ISTM_FAIL);
	assert_hr(model_path_valid(mt->model, NULL), ISTM_FAIL);
	assert_hr(model_path_valid(mt->model, "C:\\"), ISTM_FAIL);
	assert_hr(model_path_valid(mt->model, "Q:\\a.vhd"),
		  ISTM_PATH_NOT_FOUND);
	snprintf(path, sizeof(path), "%s/fifo", mt->volume);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_hr(model_path_valid(mt->model, "C:\\fifo"), ISTM_FAIL);
	assert_hr(model_file_exists(mt->model, "C:\\fifo"), ISTM_FAIL);
	assert_hr(model_file_exists(mt->model, "C:\\a.vhd"), ISTM_FAIL);
	assert_hr(model_file_exists(mt->model, "a.vhd"), ISTM_INVALID_ARG);
	mt_write(mt, "a.vhd", "x");
	assert_hr(model_path_valid(mt->model, "C:\\a.vhd"), ISTM_S_OK);
	assert_hr(model_file_exists(mt->model, "C:\\A.VHD"), ISTM_S_OK);
	assert_hr(model_file_exists(mt->model, "C:\\a.vhd\\"), ISTM_FAIL);
	snprintf(path, sizeof(path), "%s/a.vhd", mt->volume);
	assert_hr(model_file_exists(mt->model, path), ISTM_S_OK);
	assert_hr(model_volume_of_path(mt->model, mt->mem, path, &volume),
		  ISTM_S_OK);
	assert_int_equal(volume->letter, 'C');
	assert_hr(model_volume_of_path(mt->model, mt->mem, "/etc/passwd",
				       &volume),
		  ISTM_FILE_NOT_FOUND);
	assert_hr(model_volume_of_path(mt->model, mt->mem, "D:", &volume),
		  ISTM_S_OK);
	assert_int_equal(volume->letter, 'D');
}

/* Nothing leads out. */
static void test_escapes(void **state)
{
	struct mt *mt = *state;
	struct model_dirent *entries;
	static const char *const links[][2] = {
		{"abs", "/etc"},
		{"up", ".."},
		{"deep", "inside/../.."},
		{"proc", "/proc/self/root"},
	};
	char path[700], text[700];
	size_t num;

	snprintf(path, sizeof(path), "%s/inside", mt->volume);
	assert_int_equal(mkdir(path, 0700), 0);
	for (size_t i = 0; i < 4; i++) {
		snprintf(path, sizeof(path), "%s/%s", mt->volume, links[i][0]);
		assert_int_equal(symlink(links[i][1], path), 0);
		snprintf(text, sizeof(text), "C:\\%s\\passwd", links[i][0]);
		assert_hr(model_file_exists(mt->model, text), ISTM_FAIL);
		assert_hr(model_path_valid(mt->model, text),
			  ISTM_PATH_NOT_FOUND);
		assert_hr(mt_create_file(mt, text, 8 * MiB),
			  ISTM_PATH_NOT_FOUND);
		assert_hr(mt_delete_file(mt, text), ISTM_PATH_NOT_FOUND);
		snprintf(text, sizeof(text), "C:\\%s", links[i][0]);
		assert_hr(mt_directory(mt, text, &entries, &num),
			  ISTM_PATH_NOT_FOUND);
	}
	/* A link inside, also one with "..", is a way to a file like another.
	 */
	snprintf(path, sizeof(path), "%s/inside/back", mt->volume);
	assert_int_equal(symlink("../inside", path), 0);
	mt_write(mt, "inside/f", "x");
	assert_hr(model_file_exists(mt->model, "C:\\inside\\BACK\\F"),
		  ISTM_S_OK);
	/* What leads out is not listed. */
	assert_hr(mt_directory(mt, "C:\\", &entries, &num), ISTM_S_OK);
	assert_int_equal(num, 1);
	assert_string_equal(entries[0].name, "inside");
	assert_true(entries[0].is_directory);
}

static void test_directory(void **state)
{
	struct mt *mt = *state;
	struct model_dirent *entries;
	char path[700];
	size_t num;

	snprintf(path, sizeof(path), "%s/Sub", mt->volume);
	assert_int_equal(mkdir(path, 0700), 0);
	mt_write(mt, "b.vhd", "x");
	mt_write(mt, "A.VHD", "x");
	mt_write(mt, "note.txt", "x");
	mt_write(mt, "nul.vhd", "x");
	mt_write(mt, "bad:name", "x");
	mt_write(mt, "Sub/c.vhd", "x");
	assert_hr(mt_directory(mt, "C:\\", &entries, &num), ISTM_S_OK);
	assert_int_equal(num, 4);
	assert_string_equal(entries[0].name, "A.VHD");
	assert_string_equal(entries[0].full_path, "C:\\A.VHD");
	assert_false(entries[0].is_directory);
	assert_string_equal(entries[1].name, "Sub");
	assert_true(entries[1].is_directory);
	assert_hr(mt_directory(mt, "C:\\*.vhd", &entries, &num), ISTM_S_OK);
	assert_int_equal(num, 2);
	assert_hr(mt_directory(mt, "c:\\SUB\\", &entries, &num), ISTM_S_OK);
	assert_int_equal(num, 1);
	assert_string_equal(entries[0].full_path, "C:\\Sub\\c.vhd");
	assert_hr(mt_directory(mt, "C:\\sub\\*.txt", &entries, &num),
		  ISTM_S_OK);
	assert_int_equal(num, 0);
	assert_hr(mt_directory(mt, "C:\\none", &entries, &num),
		  ISTM_PATH_NOT_FOUND);
	assert_hr(mt_directory(mt, "C:\\b.vhd", &entries, &num),
		  ISTM_PATH_NOT_FOUND);
	assert_hr(mt_directory(mt, "C:\\..", &entries, &num), ISTM_INVALID_ARG);
}

static void test_volumes(void **state)
{
	struct mt *mt = *state;
	struct model_volume *volumes, *volume;
	struct GUID_txt_buf buf;
	struct GUID guid;
	char text[100];

	assert_int_equal(model_volumes(mt->model, mt->mem, &volumes), 2);
	assert_int_equal(volumes[0].letter, 'C');
	assert_int_equal(volumes[1].letter, 'D');
	assert_true(volumes[0].size > 0);
	assert_true(volumes[0].free <= volumes[0].size);
	assert_true(volumes[0].sparse);
	assert_true(volumes[0].max_file_size > VHD_MAX_SIZE);
	assert_string_equal(volumes[0].label, "c");
	guid = volumes[0].guid;
	assert_false(GUID_equal(&guid, &volumes[1].guid));
	mt_restart(mt);
	model_volumes(mt->model, mt->mem, &volumes);
	assert_true(GUID_equal(&guid, &volumes[0].guid));
	mt_write(mt, "a.vhd", "x");
	snprintf(text, sizeof(text), "\\\\?\\Volume{%s}\\a.vhd",
		 GUID_buf_string(&guid, &buf));
	assert_hr(model_file_exists(mt->model, text), ISTM_S_OK);
	assert_hr(model_volume_of_path(mt->model, mt->mem, text, &volume),
		  ISTM_S_OK);
	assert_int_equal(volume->letter, 'C');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_create),
		TEST(test_other_case_in_large_directory),
		TEST(test_create_refusals),
		TEST(test_delete),
		TEST(test_grow),
		TEST(test_probe),
		TEST(test_questions),
		TEST(test_escapes),
		TEST(test_directory),
		TEST(test_volumes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
