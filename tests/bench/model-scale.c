/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The model at scale: 1,000 targets, 10,000 disks, 100,000 mappings unless told
 * otherwise. Prints what each step took; nothing may grow with the number
 * that exist.
 *
 *   model-scale DIRECTORY [TARGETS DISKS MAPPINGS-PER-TARGET]
 *
 * With --fill it makes these alone, as the state and volume of a daemon:
 *
 *   model-scale --fill VOLUME STORE TARGETS DISKS MAPPINGS-PER-TARGET
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <util/data_blob.h>

#include "server/core/errors.h"
#include "server/core/log.h"
#include "server/model/model.h"

static struct tevent_context *ev;
static struct model *model;
static char volume[4096], store[4096];

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static void check(HRESULT hr, const char *what)
{
	if (ISTM_FAILED(hr)) {
		fprintf(stderr, "%s: 0x%08x\n", what,
			(unsigned)HRES_ERROR_V(hr));
		exit(1);
	}
}

static long resident_kib(void)
{
	FILE *file = fopen("/proc/self/status", "r");
	char line[256];
	long kib = 0;

	while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
		if (sscanf(line, "VmRSS: %ld", &kib) == 1) {
			break;
		}
	}
	if (file != NULL) {
		fclose(file);
	}
	return kib;
}

static void start(const char *what)
{
	struct model_volume_config config = {.letter = 'C', .path = volume};
	const char *portals[] = {"127.99.99.99", NULL};
	struct model_options options = {
		.store_path = store,
		.lanes = 1,
		.volumes = &config,
		.num_volumes = 1,
		.portals = portals,
	};
	double begin = now();
	struct tevent_req *req = model_start_send(ev, ev, &options);

	tevent_req_poll(req, ev);
	check(model_start_recv(req, ev, &model), "start");
	talloc_free(req);
	printf("%s: %.3f s, %ld KiB resident\n", what, now() - begin,
	       resident_kib());
}

/* Many at a time, as many clients would. */
#define PARALLEL 256

static void create_files(unsigned disks)
{
	for (unsigned first = 0; first < disks; first += PARALLEL) {
		struct tevent_req *reqs[PARALLEL];

		for (unsigned i = first; i < disks && i < first + PARALLEL;
		     i++) {
			char path[64];

			snprintf(path, sizeof(path), "C:\\%03u\\%u.vhd",
				 i / 100, i);
			reqs[i - first] = model_file_create_send(
				ev, model, path, VHD_MIN_SIZE, true);
		}
		for (unsigned i = first; i < disks && i < first + PARALLEL;
		     i++) {
			tevent_req_poll(reqs[i - first], ev);
			check(model_file_create_recv(reqs[i - first]),
			      "create file");
			talloc_free(reqs[i - first]);
		}
	}
}

static uint32_t create_disk(unsigned i)
{
	struct model_disk_create create = {
		.type = MODEL_DISK_FILE,
		.description = "scale",
		.persistent = true,
		.index = -1,
	};
	struct tevent_req *req;
	char path[64];
	uint32_t index;

	snprintf(path, sizeof(path), "C:\\%03u\\%u.vhd", i / 100, i);
	create.path = path;
	req = model_disk_create_send(ev, model, &create);
	tevent_req_poll(req, ev);
	check(model_disk_create_recv(req, &index), "create disk");
	talloc_free(req);
	return index;
}

static void create_disks(unsigned disks)
{
	for (unsigned first = 0; first < disks; first += PARALLEL) {
		struct tevent_req *reqs[PARALLEL];
		uint32_t index;

		for (unsigned i = first; i < disks && i < first + PARALLEL;
		     i++) {
			struct model_disk_create create = {
				.type = MODEL_DISK_FILE,
				.description = "scale",
				.persistent = true,
				.index = -1,
			};
			char path[64];

			snprintf(path, sizeof(path), "C:\\%03u\\%u.vhd",
				 i / 100, i);
			create.path = path;
			reqs[i - first] =
				model_disk_create_send(ev, model, &create);
		}
		for (unsigned i = first; i < disks && i < first + PARALLEL;
		     i++) {
			tevent_req_poll(reqs[i - first], ev);
			check(model_disk_create_recv(reqs[i - first], &index),
			      "create disk");
			talloc_free(reqs[i - first]);
		}
	}
}

static void save(struct model_target *t)
{
	struct tevent_req *req = model_target_save_send(ev, model, t);

	tevent_req_poll(req, ev);
	check(model_target_save_recv(req), "save");
	talloc_free(req);
}

static struct tevent_req *create_target(unsigned i, unsigned disks,
					unsigned per)
{
	struct model_target *t;
	char name[32];

	snprintf(name, sizeof(name), "target-%u", i);
	check(model_target_new(model, name, true, NULL, &t), "new");
	for (unsigned k = 0; k < per; k++) {
		check(model_target_add_disk(model, t, (i * per + k) % disks),
		      "map");
	}
	return model_target_save_send(ev, model, t);
}

static void create_targets(unsigned targets, unsigned disks, unsigned per)
{
	for (unsigned first = 0; first < targets; first += PARALLEL) {
		struct tevent_req *reqs[PARALLEL];

		for (unsigned i = first; i < targets && i < first + PARALLEL;
		     i++) {
			reqs[i - first] = create_target(i, disks, per);
		}
		for (unsigned i = first; i < targets && i < first + PARALLEL;
		     i++) {
			tevent_req_poll(reqs[i - first], ev);
			check(model_target_save_recv(reqs[i - first]), "save");
			talloc_free(reqs[i - first]);
		}
	}
}

/* One more of each, and away again; mean of 20. */
static void one_more(unsigned disks)
{
	double target = 0, map = 0, disk = 0, delete = 0, begin;
	unsigned rounds = 20;

	for (unsigned i = 0; i < rounds; i++) {
		struct model_target *t;
		struct tevent_req *req;
		uint32_t index;

		create_files(0);
		req = model_file_create_send(ev, model, "C:\\more.vhd",
					     VHD_MIN_SIZE, true);
		tevent_req_poll(req, ev);
		check(model_file_create_recv(req), "file");
		talloc_free(req);
		begin = now();
		{
			struct model_disk_create create = {
				.type = MODEL_DISK_FILE,
				.path = "C:\\more.vhd",
				.description = "",
				.persistent = true,
				.index = -1,
			};

			req = model_disk_create_send(ev, model, &create);
			tevent_req_poll(req, ev);
			check(model_disk_create_recv(req, &index), "disk");
			talloc_free(req);
		}
		disk += now() - begin;
		begin = now();
		check(model_target_new(model, "more", true, NULL, &t), "new");
		save(t);
		target += now() - begin;
		begin = now();
		check(model_target_add_disk(model, t, index), "map");
		map += now() - begin;
		save(t);
		begin = now();
		req = model_disk_delete_send(ev, model, index);
		tevent_req_poll(req, ev);
		check(model_disk_delete_recv(req), "delete disk");
		talloc_free(req);
		req = model_target_delete_send(ev, model, t);
		tevent_req_poll(req, ev);
		check(model_target_delete_recv(req), "delete target");
		talloc_free(req);
		delete += now() - begin;
	}
	printf("one more with %u disks: disk %.2f ms, target %.2f ms, "
	       "mapping %.3f ms, both deleted %.2f ms\n",
	       disks, disk * 1000 / rounds, target * 1000 / rounds,
	       map * 1000 / rounds, delete *1000 / rounds);
}

static void enumerate(void)
{
	double begin = now();
	uint32_t *indices;
	size_t num = model_disks(model, ev, &indices), length = 0;

	for (size_t i = 0; i < num; i++) {
		const struct model_disk *d =
			model_disk_by_index(model, indices[i]);

		length += strlen(d->path) + strlen(d->serial) +
			  strlen(d->description) + d->size / VHD_MIN_SIZE +
			  model_disk_status(model, d);
	}
	printf("enumerate %zu disks with five properties: %.3f ms (%zu)\n", num,
	       (now() - begin) * 1000, length);
	talloc_free(indices);
}

static int fill(char **argv)
{
	unsigned targets = atoi(argv[2]), disks = atoi(argv[3]),
		 per = atoi(argv[4]);

	snprintf(volume, sizeof(volume), "%s", argv[0]);
	snprintf(store, sizeof(store), "%s", argv[1]);
	start("empty start");
	create_files(disks);
	create_disks(disks);
	create_targets(targets, disks, per);
	talloc_free(model);
	talloc_free(ev);
	return 0;
}

int main(int argc, char **argv)
{
	unsigned targets = argc > 2 ? atoi(argv[2]) : 1000;
	unsigned disks = argc > 3 ? atoi(argv[3]) : 10000;
	unsigned per = argc > 4 ? atoi(argv[4]) : 100;
	double begin;

	log_set_level(LOG_ERROR);
	ev = tevent_context_init(NULL);
	if (argc == 7 && strcmp(argv[1], "--fill") == 0) {
		return fill(argv + 2);
	}
	if (argc < 2) {
		fprintf(stderr, "usage: model-scale DIRECTORY [TARGETS DISKS "
				"MAPPINGS-PER-TARGET]\n");
		return 2;
	}
	snprintf(volume, sizeof(volume), "%s/volume", argv[1]);
	snprintf(store, sizeof(store), "%s/istm.tdb", argv[1]);
	mkdir(volume, 0700);
	start("empty start");
	one_more(0);
	begin = now();
	create_files(disks);
	printf("create %u files: %.3f s\n", disks, now() - begin);
	begin = now();
	create_disks(disks - 1);
	create_disk(disks - 1);
	printf("create %u disks: %.3f s\n", disks, now() - begin);
	begin = now();
	create_targets(targets, disks, per);
	printf("create %u targets with %u mappings each: %.3f s\n", targets,
	       per, now() - begin);
	one_more(disks);
	enumerate();
	begin = now();
	talloc_free(model);
	printf("stop: %.3f s\n", now() - begin);
	start("full start");
	one_more(disks);
	talloc_free(ev);
	return 0;
}
