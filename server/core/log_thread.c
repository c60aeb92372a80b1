/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "server/core/log.h"
#include "server/core/log_thread.h"

#define LINES_MAX 10000

struct line {
	struct line *next;
	int level;
	char text[];
};

/* One log, so one queue. */
static struct {
	pthread_mutex_t mutex;
	pthread_t main;
	bool started;
	struct line *first, **last;
	unsigned num, dropped;
	int event_fd;
} queue = {.mutex = PTHREAD_MUTEX_INITIALIZER, .event_fd = -1};

struct log_threads {
	struct tevent_fd *fde;
};

static void write_lines(void)
{
	struct line *line, *next;
	unsigned dropped;

	pthread_mutex_lock(&queue.mutex);
	line = queue.first;
	dropped = queue.dropped;
	queue.first = NULL;
	queue.last = &queue.first;
	queue.num = queue.dropped = 0;
	pthread_mutex_unlock(&queue.mutex);
	for (; line != NULL; line = next) {
		next = line->next;
		log_msg(line->level, "%s", line->text);
		free(line);
	}
	if (dropped > 0) {
		log_msg(LOG_WARNING, "%u lines of the log were dropped",
			dropped);
	}
}

static void lines_ready(struct tevent_context *ev, struct tevent_fd *fde,
			uint16_t flags, void *private_data)
{
	uint64_t count;

	if (read(queue.event_fd, &count, sizeof(count)) > 0) {
		write_lines();
	}
}

static int log_threads_destructor(struct log_threads *threads)
{
	TALLOC_FREE(threads->fde);
	pthread_mutex_lock(&queue.mutex);
	queue.started = false;
	close(queue.event_fd);
	queue.event_fd = -1;
	pthread_mutex_unlock(&queue.mutex);
	write_lines();
	return 0;
}

bool log_threads_start(TALLOC_CTX *mem_ctx, struct tevent_context *ev)
{
	struct log_threads *threads = talloc_zero(mem_ctx, struct log_threads);
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	if (threads == NULL || fd < 0) {
		talloc_free(threads);
		return false;
	}
	threads->fde = tevent_add_fd(ev, threads, fd, TEVENT_FD_READ,
				     lines_ready, threads);
	if (threads->fde == NULL) {
		talloc_free(threads);
		close(fd);
		return false;
	}
	pthread_mutex_lock(&queue.mutex);
	queue.main = pthread_self();
	queue.event_fd = fd;
	queue.last = &queue.first;
	queue.started = true;
	pthread_mutex_unlock(&queue.mutex);
	talloc_set_destructor(threads, log_threads_destructor);
	return true;
}

void log_from_thread(int level, const char *text)
{
	const uint64_t one = 1;
	struct line *line;
	size_t len = strlen(text);

	if (level > log_level()) {
		return;
	}
	pthread_mutex_lock(&queue.mutex);
	if (!queue.started || pthread_equal(queue.main, pthread_self())) {
		pthread_mutex_unlock(&queue.mutex);
		log_msg(level, "%s", text);
		return;
	}
	line = queue.num < LINES_MAX ? malloc(sizeof(*line) + len + 1) : NULL;
	if (line == NULL) {
		queue.dropped++;
	} else {
		line->next = NULL;
		line->level = level;
		memcpy(line->text, text, len + 1);
		*queue.last = line;
		queue.last = &line->next;
		queue.num++;
	}
	if (write(queue.event_fd, &one, sizeof(one)) < 0) {
		/* readable already */
	}
	pthread_mutex_unlock(&queue.mutex);
}
