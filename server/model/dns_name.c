/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The machine's fully qualified name, which MS-ISTM 2.2.4.21 wants. Where
 * smb.conf does not tell the domain, the resolver is asked once, at the start
 * and on a worker thread.
 */
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/model/private.h"

struct name_job {
	char host[256];
	char *canonical; /* malloc'ed; NULL: not found */
};

static void name_job_run(void *data)
{
	const struct addrinfo hints = {
		.ai_flags = AI_CANONNAME,
		.ai_socktype = SOCK_STREAM,
	};
	struct name_job *job = data;
	struct addrinfo *found = NULL;

	if (getaddrinfo(job->host, NULL, &hints, &found) != 0) {
		return;
	}
	if (found->ai_canonname != NULL) {
		job->canonical = strdup(found->ai_canonname);
	}
	freeaddrinfo(found);
}

static void name_job_free(void *data)
{
	struct name_job *job = data;

	free(job->canonical);
	free(job);
}

static void name_found(struct tevent_req *subreq)
{
	struct model *model = tevent_req_callback_data(subreq, struct model);
	void *data = NULL;

	if (job_recv(subreq, &data) == 0) {
		const struct name_job *job = data;

		/* "localhost" is nobody's name. */
		if (job->canonical != NULL &&
		    strchr(job->canonical, '.') != NULL &&
		    strncasecmp(job->canonical, "localhost", 9) != 0) {
			talloc_free(model->dns_name);
			model->dns_name = talloc_strdup(model, job->canonical);
		}
	}
	talloc_free(subreq);
}

bool dns_name_start(struct model *model, const char *configured)
{
	struct tevent_req *subreq;
	struct name_job *job;

	if (configured != NULL) {
		model->dns_name = talloc_strdup(model, configured);
		return model->dns_name != NULL;
	}
	job = calloc(1, sizeof(*job));
	if (job == NULL) {
		return false;
	}
	gethostname(job->host, sizeof(job->host) - 1);
	model->dns_name = talloc_strdup(model, job->host);
	if (model->dns_name == NULL || strchr(job->host, '.') != NULL) {
		name_job_free(job);
		return model->dns_name != NULL;
	}
	subreq = job_send(model, model->ev, model->jobs, name_job_run,
			  name_job_free, job);
	if (subreq == NULL) {
		return false;
	}
	tevent_req_set_callback(subreq, name_found, model);
	return true;
}

const char *model_dns_name(struct model *model)
{
	return model->dns_name != NULL ? model->dns_name : model->host;
}
