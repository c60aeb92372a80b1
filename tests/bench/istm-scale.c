/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A server with many targets and disks, as its DCOM clients find it: calls per
 * second of an enumeration and of many clients at once, what one disk more
 * costs, and for how long each call that has much to do holds up a trivial call
 * of somebody else. tests/bench/scale starts the server for it.
 *
 *     istm-scale --server HOST --volume DIR -U... [PHASE...]
 */
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/param.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "client/libistm/libistm.h"
#include "server/auth/auth.h"
#include "server/auth/cmdline.h"
#include "server/core/errors.h"
#include "tests/bench/scale_calls.h"

#define CLIENTS		 200
#define CALLS_PER_CLIENT 100
#define ROUNDS		 3
#define MORE_ROUNDS	 10
#define DIRECTORY_FILES	 100000
#define LARGE_FILE	 (1ull << 30)
#define MEBIBYTE	 (1ull << 20)

/* What the process that watches shares with the one that acts. */
struct watch {
	_Atomic uint64_t worst_ns, calls;
};

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

static double now(void)
{
	return now_ns() / 1e9;
}

/* ---- connections ---- */

/* Its own connections, also in a process just forked. */
static bool scale_connect(struct scale *s)
{
	s->mem = talloc_new(NULL);
	s->client =
		istm_client_create(s->mem, auth_event_context(), &s->config);
	return s->client != NULL &&
	       good(s, istm_activate(s->mem, s->client, &com_class_WTGeneral,
				     &com_IWTGeneral, &s->general)) &&
	       good(s, istm_activate(s->mem, s->client, &com_class_HostMgr,
				     &com_IHostMgr, &s->hosts)) &&
	       good(s, istm_activate(s->mem, s->client, &com_class_WTDiskMgr,
				     &com_IWTDiskMgr, &s->disks)) &&
	       good(s,
		    istm_activate(s->mem, s->client, &com_class_LocalDeviceMgr,
				  &com_ILocalDeviceMgr2, &s->device)) &&
	       good(s,
		    istm_activate(s->mem, s->client, &com_class_SessionManager,
				  &com_ISessionManager, &s->sessions));
}

static void failed(struct scale *s, const char *what)
{
	fprintf(stderr, "istm-scale: %s: %s %s\n", what,
		istm_hresult_name(s->mem, s->hr),
		s->client != NULL ? istm_client_error(s->client) : "");
	exit(1);
}

static bool trivial(struct scale *s, TALLOC_CTX *mem_ctx)
{
	struct IWTGeneral_get_Guid r = {0};

	return good(s, istm_call(s->general, mem_ctx, NDR_IWTGENERAL_GET_GUID,
				 &r));
}

/* ---- enumeration ---- */

static bool enum_disks(struct scale *s, TALLOC_CTX *mem_ctx,
		       struct istm_object **e)
{
	struct IWTDiskMgr_EnumWTDisks r = {0};

	return good(s, istm_call(s->disks, mem_ctx, NDR_IWTDISKMGR_ENUMWTDISKS,
				 &r)) &&
	       good(s, istm_unmarshal(mem_ctx, s->disks, &com_IEnumWTDisk,
				      *r.out.ppEnumWTDisk, e));
}

#define GET(s, o, mem, upper, method)                                          \
	({                                                                     \
		struct IWTDisk_get_##method get = {0};                         \
		good(s, istm_call(o, mem, NDR_IWTDISK_GET_##upper, &get));     \
	})

static bool five_properties(struct scale *s, struct istm_object *disk,
			    TALLOC_CTX *mem_ctx)
{
	return GET(s, disk, mem_ctx, DEVICEPATH, DevicePath) &&
	       GET(s, disk, mem_ctx, DESCRIPTION, Description) &&
	       GET(s, disk, mem_ctx, SIZE, Size) &&
	       GET(s, disk, mem_ctx, STATUS, Status) &&
	       GET(s, disk, mem_ctx, GUID, Guid);
}

static void phase_enumerate(struct scale *s)
{
	TALLOC_CTX *tmp = talloc_new(s->mem);
	struct istm_object *e, *disk;
	unsigned disks = 0;
	double begin = now();

	if (!enum_disks(s, tmp, &e)) {
		failed(s, "EnumWTDisks");
	}
	for (;;) {
		struct MInterfacePointer *none = NULL;
		struct IEnumWTDisk_Next r = {
			.in = {.ulNumElements = 1, .pElements = &none},
		};
		TALLOC_CTX *mem_ctx = talloc_new(tmp);

		if (!good(s, istm_call(e, mem_ctx, NDR_IENUMWTDISK_NEXT, &r))) {
			failed(s, "Next");
		}
		if (HRES_IS_EQUAL(s->hr, ISTM_S_FALSE)) {
			break;
		}
		if (!good(s, istm_unmarshal(mem_ctx, e, &com_IWTDisk,
					    *r.out.pElements, &disk)) ||
		    !five_properties(s, disk, mem_ctx)) {
			failed(s, "a property");
		}
		talloc_free(mem_ctx);
		disks++;
	}
	begin = now() - begin;
	talloc_free(tmp);
	printf("%u disks with five properties: %.2f s, %.0f calls/s\n", disks,
	       begin, disks * 6 / begin);
}

/* ---- one more ---- */

/* In ms; the others waited for a device that is busy elsewhere. */
static double least(const double *values, size_t num)
{
	double value = values[0];

	for (size_t i = 1; i < num; i++) {
		value = MIN(value, values[i]);
	}
	return value * 1000;
}

static void phase_one_more(struct scale *s)
{
	double file[MORE_ROUNDS], disk[MORE_ROUNDS], host[MORE_ROUNDS],
		map[MORE_ROUNDS], del[MORE_ROUNDS];

	for (unsigned i = 0; i < MORE_ROUNDS; i++) {
		TALLOC_CTX *mem_ctx = talloc_new(s->mem);
		struct istm_object *more;
		double t[6];
		uint32_t index;

		t[0] = now();
		if (!create_file(s, mem_ctx, "C:\\more.vhd", 8 * MEBIBYTE,
				 true)) {
			failed(s, "CreateWtFile");
		}
		t[1] = now();
		if (!create_disk(s, mem_ctx, "C:\\more.vhd", &index)) {
			failed(s, "CreateWTDisk");
		}
		t[2] = now();
		if (!new_host(s, mem_ctx, "more", &more) ||
		    !save_host(s, mem_ctx, more)) {
			failed(s, "NewHost and Save");
		}
		t[3] = now();
		if (!add_disk(s, mem_ctx, more, index)) {
			failed(s, "AddWTDisk");
		}
		t[4] = now();
		if (!save_host(s, mem_ctx, more) ||
		    !delete_host(s, mem_ctx, "more") ||
		    !delete_disk(s, mem_ctx, index) ||
		    !delete_file(s, mem_ctx, "C:\\more.vhd")) {
			failed(s, "deleting");
		}
		t[5] = now();
		talloc_free(mem_ctx);
		file[i] = t[1] - t[0];
		disk[i] = t[2] - t[1];
		host[i] = t[3] - t[2];
		map[i] = t[4] - t[3];
		del[i] = t[5] - t[4];
	}
	printf("one more (least of 10, durable): file %.1f ms, disk %.1f ms, "
	       "target %.1f ms, mapping %.2f ms, all deleted %.1f ms\n",
	       least(file, MORE_ROUNDS), least(disk, MORE_ROUNDS),
	       least(host, MORE_ROUNDS), least(map, MORE_ROUNDS),
	       least(del, MORE_ROUNDS));
}

/* ---- many clients at once ---- */

static void *shared(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED) {
		perror("mmap");
		exit(1);
	}
	return p;
}

struct crowd {
	_Atomic unsigned ready, failed;
	_Atomic bool go, stop;
	_Atomic uint64_t calls;
};

static void crowd_client(const struct scale *parent, struct crowd *crowd,
			 unsigned count)
{
	struct scale s = {.config = parent->config};

	if (!scale_connect(&s)) {
		fprintf(stderr, "istm-scale: a client: %s %s\n",
			istm_hresult_name(s.mem, s.hr),
			istm_client_error(s.client));
		crowd->failed++;
	}
	crowd->ready++;
	while (!crowd->go) {
		usleep(1000);
	}
	for (unsigned i = 0; !crowd->stop && (count == 0 || i < count); i++) {
		TALLOC_CTX *mem_ctx = talloc_new(s.mem);

		if (!trivial(&s, mem_ctx)) {
			crowd->failed++;
			break;
		}
		talloc_free(mem_ctx);
		crowd->calls++;
	}
	_exit(0);
}

static struct crowd *crowd_start(struct scale *s, unsigned count)
{
	struct crowd *crowd = shared(sizeof(*crowd));

	for (unsigned i = 0; i < CLIENTS; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			crowd_client(s, crowd, count);
		} else if (pid < 0) {
			perror("fork");
			exit(1);
		}
	}
	while (crowd->ready < CLIENTS) {
		usleep(1000);
	}
	return crowd;
}

static void crowd_end(struct crowd *crowd)
{
	crowd->stop = true;
	crowd->go = true;
	for (unsigned i = 0; i < CLIENTS; i++) {
		wait(NULL);
	}
	if (crowd->failed > 0) {
		fprintf(stderr, "istm-scale: %u clients have failed\n",
			crowd->failed);
		exit(1);
	}
	munmap(crowd, sizeof(*crowd));
}

static void phase_clients(struct scale *s)
{
	double begin = now(), connected;
	struct crowd *crowd = crowd_start(s, CALLS_PER_CLIENT);

	connected = now() - begin;
	begin = now();
	crowd->go = true;
	for (unsigned i = 0; i < CLIENTS; i++) {
		wait(NULL);
	}
	begin = now() - begin;
	printf("%u clients at once: connected, with five classes each, in "
	       "%.2f s; %u calls each in %.2f s, %.0f calls/s\n",
	       CLIENTS, connected, CALLS_PER_CLIENT, begin,
	       (double)crowd->calls / begin);
	if (crowd->failed > 0) {
		fprintf(stderr, "istm-scale: %u clients have failed\n",
			crowd->failed);
		exit(1);
	}
	munmap(crowd, sizeof(*crowd));
}

/* ---- what holds up others ---- */

static pid_t watch_start(const struct scale *parent, struct watch *watch)
{
	struct scale s = {.config = parent->config};
	pid_t pid = fork();

	if (pid != 0) {
		return pid;
	}
	if (!scale_connect(&s)) {
		failed(&s, "the watcher");
	}
	for (;;) {
		TALLOC_CTX *mem_ctx = talloc_new(s.mem);
		uint64_t begin = now_ns(), took, worst;

		if (!trivial(&s, mem_ctx)) {
			failed(&s, "the watcher's call");
		}
		took = now_ns() - begin;
		worst = watch->worst_ns;
		while (took > worst &&
		       !atomic_compare_exchange_weak(&watch->worst_ns, &worst,
						     took)) {
		}
		watch->calls++;
		talloc_free(mem_ctx);
		usleep(500);
	}
}

/* Until a call has been made that began after now. */
static void watch_settle(struct watch *watch)
{
	uint64_t calls = watch->calls;

	while (watch->calls < calls + 2) {
		usleep(200);
	}
}

static bool op_nothing(struct scale *s, TALLOC_CTX *mem_ctx)
{
	usleep(200000);
	return true;
}

static bool op_enum_disks(struct scale *s, TALLOC_CTX *mem_ctx)
{
	struct istm_object *e;

	return enum_disks(s, mem_ctx, &e);
}

static bool op_enum_hosts(struct scale *s, TALLOC_CTX *mem_ctx)
{
	struct IHostMgr_EnumHosts r = {0};
	struct istm_object *e;

	return good(s,
		    istm_call(s->hosts, mem_ctx, NDR_IHOSTMGR_ENUMHOSTS, &r)) &&
	       good(s, istm_unmarshal(mem_ctx, s->hosts, &com_IEnumHost,
				      *r.out.ppEnumHost, &e));
}

static bool op_count(struct scale *s, TALLOC_CTX *mem_ctx)
{
	struct MInterfacePointer *none = NULL;
	struct IEnumWTDisk_Next r = {.in.pElements = &none};

	return good(s, istm_call(s->enumd, mem_ctx, NDR_IENUMWTDISK_NEXT, &r));
}

static bool op_enum_mappings(struct scale *s, TALLOC_CTX *mem_ctx)
{
	struct IHost_EnumWTDiskLunMappings r = {0};
	struct istm_object *e;

	return good(s, istm_call(s->host, mem_ctx,
				 NDR_IHOST_ENUMWTDISKLUNMAPPINGS, &r)) &&
	       good(s,
		    istm_unmarshal(mem_ctx, s->host, &com_IEnumWTDiskLunMapping,
				   *r.out.ppEnumWTDiskLunMapping, &e));
}

static bool op_enum_sessions(struct scale *s, TALLOC_CTX *mem_ctx)
{
	struct ISessionManager_EnumSessions r = {0};

	return good(s, istm_call(s->sessions, mem_ctx,
				 NDR_ISESSIONMANAGER_ENUMSESSIONS, &r));
}

static bool op_volumes(struct scale *s, TALLOC_CTX *mem_ctx)
{
	struct ILocalDeviceMgr_EnumVolumes v = {0};
	struct ILocalDeviceMgr_EnumDisks d = {0};
	struct ILocalDeviceMgr_EnumPortals p = {0};

	return good(s, istm_call(s->device, mem_ctx,
				 NDR_ILOCALDEVICEMGR_ENUMVOLUMES, &v)) &&
	       good(s, istm_call(s->device, mem_ctx,
				 NDR_ILOCALDEVICEMGR_ENUMDISKS, &d)) &&
	       good(s, istm_call(s->device, mem_ctx,
				 NDR_ILOCALDEVICEMGR_ENUMPORTALS, &p));
}

static bool op_save(struct scale *s, TALLOC_CTX *mem_ctx)
{
	return save_host(s, mem_ctx, s->host);
}

static bool op_connect(struct scale *s, TALLOC_CTX *mem_ctx)
{
	struct scale other = {.config = s->config};
	bool ok = scale_connect(&other);

	s->hr = other.hr;
	talloc_free(other.mem);
	return ok;
}

static bool op_create(struct scale *s, TALLOC_CTX *mem_ctx)
{
	return create_file(s, mem_ctx, "C:\\large.vhd", LARGE_FILE / 4, false);
}

static bool op_delete_created(struct scale *s, TALLOC_CTX *mem_ctx)
{
	return delete_file(s, mem_ctx, "C:\\large.vhd");
}

static bool op_create_disk(struct scale *s, TALLOC_CTX *mem_ctx)
{
	uint32_t index;

	return create_file(s, mem_ctx, "C:\\d.vhd", 8 * MEBIBYTE, true) &&
	       create_disk(s, mem_ctx, "C:\\d.vhd", &index) &&
	       delete_disk(s, mem_ctx, index) &&
	       delete_file(s, mem_ctx, "C:\\d.vhd");
}

/* A file whose pages the cache still has to write. */
static bool make_dirty(struct scale *s)
{
	static char buffer[MEBIBYTE];
	char *path = talloc_asprintf(s->mem, "%s/dirty.vhd", s->volume);
	int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0600);
	bool ok = fd >= 0;

	memset(buffer, 'x', sizeof(buffer));
	for (uint64_t i = 0; ok && i < LARGE_FILE / sizeof(buffer); i++) {
		ok = write(fd, buffer, sizeof(buffer)) == sizeof(buffer);
	}
	close(fd);
	return ok;
}

static bool op_delete_dirty(struct scale *s, TALLOC_CTX *mem_ctx)
{
	return delete_file(s, mem_ctx, "C:\\dirty.vhd");
}

static bool make_directory(struct scale *s)
{
	char *path = talloc_asprintf(s->mem, "%s/many", s->volume);

	if (mkdir(path, 0755) != 0) {
		return true; /* of the round before */
	}
	for (unsigned i = 0; i < DIRECTORY_FILES; i++) {
		char *name = talloc_asprintf(path, "%s/file-%06u.vhd", path, i);
		int fd = open(name, O_CREAT | O_WRONLY, 0600);

		if (fd < 0) {
			return false;
		}
		close(fd);
		talloc_free(name);
	}
	return true;
}

static bool op_find_first(struct scale *s, TALLOC_CTX *mem_ctx)
{
	struct ILocalDeviceMgr_EnumDirectory e = {0};
	struct DIRECTORY_DATA data = {0};
	struct IDirectoryEnum_FindFirst r = {
		.in = {.bstrSearchPath.s = "C:\\many\\*",
		       .pDirectoryData = &data},
	};
	struct istm_object *directory;

	return good(s, istm_call(s->device, mem_ctx,
				 NDR_ILOCALDEVICEMGR_ENUMDIRECTORY, &e)) &&
	       good(s, istm_unmarshal(mem_ctx, s->device, &com_IDirectoryEnum,
				      *e.out.ppDirectoryEnum, &directory)) &&
	       good(s, istm_call(directory, mem_ctx,
				 NDR_IDIRECTORYENUM_FINDFIRST, &r));
}

/* A name that is spelt otherwise than the file's. */
static bool op_folded(struct scale *s, TALLOC_CTX *mem_ctx)
{
	struct ILocalDeviceMgr_DoesFileExist r = {
		.in.FilePath.s = "C:\\MANY\\FILE-099999.VHD",
	};

	return good(s, istm_call(s->device, mem_ctx,
				 NDR_ILOCALDEVICEMGR_DOESFILEEXIST, &r));
}

#define MANY_LUNS 100

static bool make_wide_host(struct scale *s)
{
	TALLOC_CTX *mem_ctx = talloc_new(s->mem);
	struct istm_object *host;
	bool ok = new_host(s, mem_ctx, "wide", &host);

	for (uint32_t i = 0; ok && i < MANY_LUNS; i++) {
		ok = add_disk(s, mem_ctx, host, i);
	}
	ok = ok && save_host(s, mem_ctx, host);
	talloc_free(mem_ctx);
	return ok;
}

static bool op_delete_wide_host(struct scale *s, TALLOC_CTX *mem_ctx)
{
	return delete_host(s, mem_ctx, "wide");
}

static const struct {
	const char *what;
	bool (*prepare)(struct scale *s);
	bool (*act)(struct scale *s, TALLOC_CTX *mem_ctx);
} ops[] = {
	{"nothing (200 ms)", NULL, op_nothing},
	{"EnumWTDisks", NULL, op_enum_disks},
	{"IEnumWTDisk::Next(0), which counts", NULL, op_count},
	{"EnumHosts", NULL, op_enum_hosts},
	{"EnumWTDiskLunMappings", NULL, op_enum_mappings},
	{"EnumSessions", NULL, op_enum_sessions},
	{"EnumVolumes, EnumDisks, EnumPortals", NULL, op_volumes},
	{"IHost::Save", NULL, op_save},
	{"connect, authenticate, activate 5 classes", NULL, op_connect},
	{"CreateWtFile, 256 MiB, not sparse", NULL, op_create},
	{"DeleteWtFile of it", NULL, op_delete_created},
	{"DeleteWtFile, 1 GiB not written yet", make_dirty, op_delete_dirty},
	{"create, delete a file and disk", NULL, op_create_disk},
	{"FindFirst among 100,000 files", make_directory, op_find_first},
	{"DoesFileExist there, other case", make_directory, op_folded},
	{"DeleteHost with 100 disks", make_wide_host, op_delete_wide_host},
};

static bool latency_prepare(struct scale *s)
{
	struct IHostMgr_GetHost r = {.in.HostName.s = "target-0"};

	return good(s, istm_call(s->hosts, s->mem, NDR_IHOSTMGR_GETHOST, &r)) &&
	       good(s, istm_unmarshal(s->mem, s->hosts, &com_IHost,
				      *r.out.ppHost, &s->host)) &&
	       enum_disks(s, s->mem, &s->enumd);
}

/* The least of some rounds: what holds up others does so in each of them, what
 * the machine is busy with elsewhere does not. */
static void latency_of(struct scale *s, struct watch *watch, size_t i)
{
	double worst = 1e9, itself = 1e9;

	for (unsigned round = 0; round < ROUNDS; round++) {
		TALLOC_CTX *mem_ctx = talloc_new(s->mem);
		double took;

		if (ops[i].act == op_delete_created && round > 0 &&
		    !op_create(s, mem_ctx)) {
			failed(s, "CreateWtFile");
		}
		if (ops[i].prepare != NULL && !ops[i].prepare(s)) {
			failed(s, ops[i].what);
		}
		watch_settle(watch);
		watch->worst_ns = 0;
		took = now();
		if (!ops[i].act(s, mem_ctx)) {
			failed(s, ops[i].what);
		}
		took = now() - took;
		watch_settle(watch);
		worst = MIN(worst, watch->worst_ns / 1e6);
		itself = MIN(itself, took * 1000);
		talloc_free(mem_ctx);
	}
	printf("%-44s %9.2f ms, beside it %6.1f ms\n", ops[i].what, itself,
	       worst);
	fflush(stdout);
}

static void phase_latency(struct scale *s)
{
	struct watch *watch = shared(sizeof(*watch));
	struct crowd *crowd;
	pid_t pid;

	if (!latency_prepare(s)) {
		failed(s, "preparations");
	}
	fflush(stdout);
	pid = watch_start(s, watch);
	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
		latency_of(s, watch, i);
	}
	crowd = crowd_start(s, 0);
	watch_settle(watch);
	watch->worst_ns = 0;
	crowd->go = true;
	usleep(3000000);
	printf("%-44s %9.0f calls/s, beside it %6.1f ms\n",
	       "200 clients that call all the time", (double)crowd->calls / 3,
	       watch->worst_ns / 1e6);
	/* The watcher first: it is a child too. */
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	crowd_end(crowd);
	munmap(watch, sizeof(*watch));
}

/* ----  ---- */

static const struct {
	const char *name;
	void (*run)(struct scale *s);
} phases[] = {
	{"enumerate", phase_enumerate},
	{"more", phase_one_more},
	{"clients", phase_clients},
	{"latency", phase_latency},
};

static bool run(struct scale *s, const char **wanted)
{
	for (; wanted != NULL && *wanted != NULL; wanted++) {
		size_t i = 0;

		while (i < sizeof(phases) / sizeof(phases[0]) &&
		       strcmp(phases[i].name, *wanted) != 0) {
			i++;
		}
		if (i == sizeof(phases) / sizeof(phases[0])) {
			fprintf(stderr, "istm-scale: no phase %s\n", *wanted);
			return false;
		}
		phases[i].run(s);
		fflush(stdout);
	}
	return true;
}

int main(int argc, const char **argv)
{
	TALLOC_CTX *frame = auth_frame();
	struct scale s = {.mem = NULL};
	TALLOC_CTX *mem = talloc_new(NULL);
	char *server = NULL, *volume = NULL;
	poptContext context;
	int opt;
	bool ok;
	struct poptOption options[] = {POPT_AUTOHELP{"server", 'S',
						     POPT_ARG_STRING, &server,
						     0, "the server", "HOST"},
				       {"volume", 0, POPT_ARG_STRING, &volume,
					0, "folder of the volume C:", "DIR"},
				       {NULL, 0, POPT_ARG_INCLUDE_TABLE, NULL,
					0, "Samba options:", NULL},
				       POPT_TABLEEND};

	if (!cmdline_init(mem, CMDLINE_CLIENT)) {
		return 2;
	}
	options[3].arg = cmdline_samba_options(CMDLINE_CLIENT);
	context = cmdline_context("istm-scale", argc, argv, options);
	if (context == NULL) {
		return 2;
	}
	opt = poptGetNextOpt(context);
	cmdline_burn(argc, (char **)argv);
	if (opt < -1 || server == NULL || volume == NULL) {
		fprintf(stderr, "istm-scale: --server or --volume is missing, "
				"or a wrong option\n");
		return 2;
	}
	s.volume = volume;
	s.config = (struct istm_client_config){
		.server = server,
		.lp = cmdline_lp(),
		.credentials = cmdline_credentials(),
	};
	if (!scale_connect(&s)) {
		failed(&s, "connect");
	}
	ok = run(&s, poptGetArgs(context));
	poptFreeContext(context);
	talloc_free(s.mem);
	talloc_free(mem);
	talloc_free(frame);
	return ok ? 0 : 2;
}
