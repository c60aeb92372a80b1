/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How long calls take that a Windows console makes: activation, property
 * getters, a put, a durable Save. Over libdcerpc at packet privacy, one call at
 * a time; prints median and 99th percentile of each.
 *
 *     tests/sandbox -- sh -c 'istm-calls --server $ISTM_SERVER -U...'
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "client/libistm/libistm.h"
#include "server/auth/auth.h"
#include "server/auth/cmdline.h"
#include "server/core/errors.h"

struct bench {
	TALLOC_CTX *mem;
	struct istm_client *client;
	struct istm_object *general, *hosts, *host;
	unsigned long count;
	unsigned long rate; /* calls a second, 0: as many as go */
	double next;	    /* call's time, µs */
	HRESULT hr;	    /* of the last call */
};

typedef bool (*bench_fn)(struct bench *b, TALLOC_CTX *mem_ctx);

static bool good(struct bench *b, HRESULT hr)
{
	b->hr = hr;
	return !ISTM_FAILED(hr);
}

/* On connections that are open already. */
static bool activate_connected(struct bench *b, TALLOC_CTX *mem_ctx)
{
	struct istm_object *object;

	return good(b, istm_activate(mem_ctx, b->client, &com_class_WTGeneral,
				     &com_IWTGeneral, &object));
}

static bool get_guid(struct bench *b, TALLOC_CTX *mem_ctx)
{
	struct IWTGeneral_get_Guid r = {0};

	return good(b, istm_call(b->general, mem_ctx, NDR_IWTGENERAL_GET_GUID,
				 &r));
}

static bool get_name(struct bench *b, TALLOC_CTX *mem_ctx)
{
	struct IHost_get_Name r = {0};

	return good(b, istm_call(b->host, mem_ctx, NDR_IHOST_GET_NAME, &r));
}

static bool put_description(struct bench *b, TALLOC_CTX *mem_ctx)
{
	struct IHost_put_Description r = {
		.in.Description.s = "a description",
	};

	return good(b,
		    istm_call(b->host, mem_ctx, NDR_IHOST_PUT_DESCRIPTION, &r));
}

static bool save(struct bench *b, TALLOC_CTX *mem_ctx)
{
	struct IHost_Save r = {0};

	return good(b, istm_call(b->host, mem_ctx, NDR_IHOST_SAVE, &r));
}

static bool prepare(struct bench *b)
{
	struct IHostMgr_NewHost r = {.in.HostName.s = "istm-calls"};

	return good(b, istm_activate(b->mem, b->client, &com_class_WTGeneral,
				     &com_IWTGeneral, &b->general)) &&
	       good(b, istm_activate(b->mem, b->client, &com_class_HostMgr,
				     &com_IHostMgr, &b->hosts)) &&
	       good(b, istm_call(b->hosts, b->mem, NDR_IHOSTMGR_NEWHOST, &r)) &&
	       good(b, istm_unmarshal(b->mem, b->hosts, &com_IHost,
				      *r.out.ppNewHost, &b->host));
}

static bool clean_up(struct bench *b)
{
	struct IHostMgr_DeleteHost r = {.in.HostName.s = "istm-calls"};

	return good(b,
		    istm_call(b->hosts, b->mem, NDR_IHOSTMGR_DELETEHOST, &r));
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1e6 + ts.tv_nsec / 1e3;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Until the next call's turn; what is late is not made up for at once. */
static void pace(struct bench *b)
{
	double wait = b->next - now();

	if (b->rate == 0) {
		return;
	}
	if (wait > 0) {
		usleep((useconds_t)wait);
	}
	b->next = (wait > 0 ? b->next : now()) + 1e6 / b->rate;
}

static bool measure(struct bench *b, const char *what, bench_fn fn)
{
	double *times = talloc_array(b->mem, double, b->count);

	if (times == NULL) {
		return false;
	}
	for (unsigned long i = 0; i < b->count; i++) {
		TALLOC_CTX *mem_ctx = talloc_new(b->mem);
		double start;

		pace(b);
		start = now();
		if (!fn(b, mem_ctx)) {
			return false;
		}
		times[i] = now() - start;
		talloc_free(mem_ctx);
	}
	qsort(times, b->count, sizeof(times[0]), compare);
	printf("%-24s median %7.0f us   99%% %7.0f us\n", what,
	       times[b->count / 2], times[b->count * 99 / 100]);
	talloc_free(times);
	return true;
}

static const struct {
	const char *what;
	bench_fn fn;
} calls[] = {
	{"activate WTGeneral", activate_connected},
	{"IWTGeneral::get_Guid", get_guid},
	{"IHost::get_Name", get_name},
	{"IHost::put_Description", put_description},
	{"IHost::Save, durable", save},
};

static int run(struct bench *b)
{
	bool ok = prepare(b);

	for (size_t i = 0; ok && i < sizeof(calls) / sizeof(calls[0]); i++) {
		ok = measure(b, calls[i].what, calls[i].fn);
	}
	if (b->hosts != NULL && b->host != NULL && !clean_up(b)) {
		ok = false;
	}
	if (!ok) {
		fprintf(stderr, "istm-calls: %s %s\n",
			istm_hresult_name(b->mem, b->hr),
			b->client != NULL ? istm_client_error(b->client) : "");
	}
	return ok ? 0 : 1;
}

int main(int argc, const char **argv)
{
	TALLOC_CTX *frame = auth_frame();
	struct bench b = {.mem = talloc_new(NULL), .count = 1000};
	struct istm_client_config config = {0};
	char *server = NULL;
	poptContext context;
	int opt, status;
	struct poptOption options[] = {
		POPT_AUTOHELP{"server", 'S', POPT_ARG_STRING, &server, 0,
			      "the server", "HOST"},
		{"count", 'n', POPT_ARG_LONG, &b.count, 0, "calls of each kind",
		 "N"},
		{"rate", 'r', POPT_ARG_LONG, &b.rate, 0, "calls a second", "N"},
		{NULL, 0, POPT_ARG_INCLUDE_TABLE, NULL, 0,
		 "Samba options:", NULL},
		POPT_TABLEEND};

	if (!cmdline_init(b.mem, CMDLINE_CLIENT)) {
		return 2;
	}
	options[4].arg = cmdline_samba_options(CMDLINE_CLIENT);
	context = cmdline_context("istm-calls", argc, argv, options);
	if (context == NULL) {
		return 2;
	}
	opt = poptGetNextOpt(context);
	cmdline_burn(argc, (char **)argv);
	if (opt < -1 || server == NULL || b.count == 0) {
		fprintf(stderr, "istm-calls: --server is missing, or a wrong "
				"option\n");
		return 2;
	}
	config.server = server;
	config.lp = cmdline_lp();
	config.credentials = cmdline_credentials();
	b.client = istm_client_create(b.mem, auth_event_context(), &config);
	status = b.client != NULL ? run(&b) : 2;
	poptFreeContext(context);
	talloc_free(b.mem);
	talloc_free(frame);
	return status;
}
