/* SPDX-License-Identifier: GPL-3.0-or-later */

#include <pthread.h>
#include <string.h>

#include "vhd_faults.h"

static struct {
	pthread_mutex_t lock;
	const char *name;
	unsigned steps, left;
	int error;
	uint64_t most;
	bool armed, always, hit;
	enum vhd_tap_step step;
} plan = {.lock = PTHREAD_MUTEX_INITIALIZER};

static int fault(const char *name, enum vhd_tap_step step, uint64_t offset,
		 uint64_t *len)
{
	int error = 0;

	pthread_mutex_lock(&plan.lock);
	if (plan.armed && (plan.steps & 1u << step) &&
	    (plan.name == NULL || strcmp(name, plan.name) == 0) &&
	    (plan.always || plan.left-- == 0)) {
		plan.armed = plan.always;
		plan.hit = true;
		plan.step = step;
		error = plan.error;
		if (error == 0 && *len > plan.most) {
			*len = plan.most;
		}
	}
	pthread_mutex_unlock(&plan.lock);
	return error;
}

static const struct vhd_tap tap = {.fault = fault};

void faults_only(const char *name)
{
	pthread_mutex_lock(&plan.lock);
	plan.name = name;
	pthread_mutex_unlock(&plan.lock);
}

void faults_start(void)
{
	faults_none();
	faults_only(NULL);
	vhd_set_tap(&tap);
}

void faults_stop(void)
{
	faults_none();
	vhd_set_tap(NULL);
}

static void arm(unsigned steps, unsigned nth, int error, uint64_t most,
		bool always)
{
	pthread_mutex_lock(&plan.lock);
	plan.steps = steps;
	plan.left = nth;
	plan.error = error;
	plan.most = most;
	plan.always = always;
	plan.armed = true;
	plan.hit = false;
	pthread_mutex_unlock(&plan.lock);
}

void faults_fail(unsigned steps, unsigned nth, int error)
{
	arm(steps, nth, error, 0, false);
}

void faults_fail_all(unsigned steps, int error)
{
	arm(steps, 0, error, 0, true);
}

void faults_short(unsigned nth, uint64_t most)
{
	arm(FAULTS_READ | FAULTS_WRITE, nth, 0, most, false);
}

void faults_none(void)
{
	pthread_mutex_lock(&plan.lock);
	plan.armed = false;
	pthread_mutex_unlock(&plan.lock);
}

bool faults_hit(enum vhd_tap_step *step)
{
	bool hit;

	pthread_mutex_lock(&plan.lock);
	hit = plan.hit;
	if (hit && step != NULL) {
		*step = plan.step;
	}
	pthread_mutex_unlock(&plan.lock);
	return hit;
}
