/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Stands in for libFuzzer where it is not to be had: runs a fuzz target once
 * over every file, and every file of every folder, that it is given.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned replayed;

static int replay_file(const char *path)
{
	uint8_t *data = NULL;
	struct stat st;
	FILE *file;

	file = fopen(path, "rb");
	if (file == NULL || fstat(fileno(file), &st) != 0) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return -1;
	}
	/* Exactly as large as the input: a read beyond it is then seen. */
	data = malloc(st.st_size > 0 ? st.st_size : 1);
	if (data == NULL ||
	    fread(data, 1, st.st_size, file) != (size_t)st.st_size) {
		fprintf(stderr, "%s: cannot be read whole\n", path);
		exit(1);
	}
	fclose(file);
	LLVMFuzzerTestOneInput(data, st.st_size);
	free(data);
	replayed++;
	return 0;
}

static int replay(const char *path)
{
	struct dirent *entry;
	DIR *folder;
	int ret = 0;

	folder = opendir(path);
	if (folder == NULL) {
		return replay_file(path);
	}
	while ((entry = readdir(folder)) != NULL) {
		char name[PATH_MAX];

		if (entry->d_name[0] == '.') {
			continue;
		}
		snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
		if (replay_file(name) != 0) {
			ret = -1;
		}
	}
	closedir(folder);
	return ret;
}

int main(int argc, char **argv)
{
	int ret = 0;
	int i;

	for (i = 1; i < argc; i++) {
		if (replay(argv[i]) != 0) {
			ret = 1;
		}
	}
	printf("%u inputs\n", replayed);
	return replayed > 0 ? ret : 1;
}
