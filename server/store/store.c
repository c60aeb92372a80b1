/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <tdb.h>
#include <unistd.h>

#include "server/core/log.h"
#include "server/store/store.h"

/* For a hundred thousand records; the table of chains takes 160 KiB. */
#define STORE_HASH_SIZE 40009

/* Shared with the thread, so plain malloc. */
struct change {
	TDB_DATA key, data; /* data.dptr NULL: delete */
};

struct commit {
	struct commit *next;
	struct change *changes;
	size_t num_changes;
	int error;
	char message[256];	/* of the TDB, when it failed */
	struct tevent_req *req; /* main thread; NULL: nobody waits */
	bool finished;		/* main thread */
};

struct commit_queue {
	struct commit *first, **last;
};

struct store {
	char *path;
	int lock_fd;
	struct tdb_context *tdb; /* the thread's, once it runs */
	char message[256];	 /* what the TDB complained of; as tdb */
	pthread_t thread;
	bool running;
	pthread_mutex_t mutex;
	pthread_cond_t work;
	struct commit_queue waiting, finished; /* under the mutex */
	bool stop;			       /* under the mutex */
	int event_fd;
	struct tevent_fd *fde;
};

struct store_commit_state {
	struct commit *commit; /* NULL: the store is gone */
};

static void queue_init(struct commit_queue *queue)
{
	queue->first = NULL;
	queue->last = &queue->first;
}

static void queue_put(struct commit_queue *queue, struct commit *commit)
{
	commit->next = NULL;
	*queue->last = commit;
	queue->last = &commit->next;
}

static struct commit *queue_get(struct commit_queue *queue)
{
	struct commit *commit = queue->first;

	if (commit != NULL) {
		queue->first = commit->next;
		if (queue->first == NULL) {
			queue->last = &queue->first;
		}
	}
	return commit;
}

static void commit_free(struct commit *commit)
{
	for (size_t i = 0; i < commit->num_changes; i++) {
		struct change *change = &commit->changes[i];

		free(change->key.dptr);
		if (change->data.dptr != NULL) {
			explicit_bzero(change->data.dptr, change->data.dsize);
			free(change->data.dptr);
		}
	}
	free(commit->changes);
	free(commit);
}

/* ---- the thread ---- */

static void store_tdb_log(struct tdb_context *tdb, enum tdb_debug_level level,
			  const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void store_tdb_log(struct tdb_context *tdb, enum tdb_debug_level level,
			  const char *fmt, ...)
{
	struct store *store = tdb_get_logging_private(tdb);
	va_list ap;

	if (level > TDB_DEBUG_WARNING) {
		return;
	}
	va_start(ap, fmt);
	vsnprintf(store->message, sizeof(store->message), fmt, ap);
	va_end(ap);
	store->message[strcspn(store->message, "\n")] = '\0';
}

/* The TDB tells ENOSPC and its like only through errno. */
static int store_errno(struct store *store)
{
	int saved = errno;

	switch (tdb_error(store->tdb)) {
	case TDB_ERR_OOM:
		return ENOMEM;
	case TDB_ERR_CORRUPT:
		return EILSEQ;
	default:
		break;
	}
	if (saved == 0 && strstr(store->message, "expan") != NULL) {
		return ENOSPC; /* a short write, which sets no errno */
	}
	return saved != 0 ? saved : EIO;
}

static int store_apply(struct store *store, const struct commit *commit)
{
	for (size_t i = 0; i < commit->num_changes; i++) {
		const struct change *change = &commit->changes[i];

		errno = 0;
		if (change->data.dptr != NULL) {
			if (tdb_store(store->tdb, change->key, change->data,
				      TDB_REPLACE) != 0) {
				return store_errno(store);
			}
		} else if (tdb_delete(store->tdb, change->key) != 0 &&
			   tdb_error(store->tdb) != TDB_ERR_NOEXIST) {
			return store_errno(store);
		}
	}
	return 0;
}

/* One transaction over [first, end) of a chain. */
static int store_transaction(struct store *store, const struct commit *first,
			     const struct commit *end)
{
	int error = 0;

	store->message[0] = '\0';
	errno = 0;
	if (tdb_transaction_start(store->tdb) != 0) {
		return store_errno(store);
	}
	for (const struct commit *c = first; c != end; c = c->next) {
		error = store_apply(store, c);
		if (error != 0) {
			tdb_transaction_cancel(store->tdb);
			return error;
		}
	}
	errno = 0;
	if (tdb_transaction_commit(store->tdb) != 0) {
		return store_errno(store);
	}
	return 0;
}

static void store_signal(struct store *store)
{
	const uint64_t one = 1;

	if (write(store->event_fd, &one, sizeof(one)) < 0) {
		/* The counter is full: readable, which is all we want. */
		return;
	}
}

static void *store_thread(void *private_data)
{
	struct store *store = private_data;

	pthread_mutex_lock(&store->mutex);
	for (;;) {
		struct commit_queue group = store->waiting;
		struct commit *commit;
		int error;

		if (group.first == NULL) {
			if (store->stop) {
				break;
			}
			pthread_cond_wait(&store->work, &store->mutex);
			continue;
		}
		queue_init(&store->waiting);
		pthread_mutex_unlock(&store->mutex);

		error = store_transaction(store, group.first, NULL);
		for (commit = group.first; commit != NULL;
		     commit = commit->next) {
			commit->error = error;
			/* One that does not fit must not fail the others. */
			if (error != 0 && group.first->next != NULL) {
				commit->error = store_transaction(store, commit,
								  commit->next);
			}
			memcpy(commit->message, store->message,
			       sizeof(commit->message));
		}

		pthread_mutex_lock(&store->mutex);
		while ((commit = group.first) != NULL) {
			group.first = commit->next;
			queue_put(&store->finished, commit);
		}
		store_signal(store);
	}
	pthread_mutex_unlock(&store->mutex);
	return NULL;
}

/* ---- main thread ---- */

static void store_finish(struct store *store, struct commit *commit)
{
	if (commit->error != 0) {
		log_msg(LOG_ERROR,
			"%s: change of %.*s and %zu more not kept: %s (%s)",
			store->path, (int)commit->changes[0].key.dsize,
			(const char *)commit->changes[0].key.dptr,
			commit->num_changes - 1, strerror(commit->error),
			commit->message);
	}
	if (commit->req == NULL) {
		commit_free(commit);
		return;
	}
	commit->finished = true;
	if (commit->error != 0) {
		tevent_req_error(commit->req, commit->error);
	} else {
		tevent_req_done(commit->req);
	}
}

static void store_finished(struct tevent_context *ev, struct tevent_fd *fde,
			   uint16_t flags, void *private_data)
{
	struct store *store = talloc_get_type_abort(private_data, struct store);
	struct commit *commit;
	uint64_t count;
	bool more;

	if (read(store->event_fd, &count, sizeof(count)) < 0) {
		return;
	}
	pthread_mutex_lock(&store->mutex);
	commit = queue_get(&store->finished);
	more = store->finished.first != NULL;
	pthread_mutex_unlock(&store->mutex);
	if (more) {
		/* Not in a loop here: the callback may free the store. */
		store_signal(store);
	}
	if (commit != NULL) {
		store_finish(store, commit);
	}
}

static int store_destructor(struct store *store)
{
	struct commit *commit;

	if (store->running) {
		pthread_mutex_lock(&store->mutex);
		store->stop = true;
		pthread_cond_signal(&store->work);
		pthread_mutex_unlock(&store->mutex);
		pthread_join(store->thread, NULL);
	}
	TALLOC_FREE(store->fde);
	while ((commit = queue_get(&store->finished)) != NULL) {
		if (commit->req != NULL) {
			struct store_commit_state *state = tevent_req_data(
				commit->req, struct store_commit_state);

			state->commit = NULL;
			commit->req = NULL;
		}
		store_finish(store, commit);
	}
	if (store->tdb != NULL) {
		tdb_close(store->tdb);
	}
	if (store->event_fd >= 0) {
		close(store->event_fd);
	}
	if (store->lock_fd >= 0) {
		close(store->lock_fd);
	}
	pthread_cond_destroy(&store->work);
	pthread_mutex_destroy(&store->mutex);
	return 0;
}

/* The TDB's own locks let several processes in; ours must be the only one. */
static int store_lock(struct store *store)
{
	char *path = talloc_asprintf(store, "%s.lock", store->path);
	int error;

	if (path == NULL) {
		return ENOMEM;
	}
	store->lock_fd =
		open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (store->lock_fd < 0) {
		error = errno;
		log_msg(LOG_ERROR, "%s: cannot be opened: %s", path,
			strerror(error));
		return error;
	}
	if (flock(store->lock_fd, LOCK_EX | LOCK_NB) != 0) {
		error = errno;
		log_msg(LOG_ERROR, "%s: %s", store->path,
			error == EWOULDBLOCK ? "another istmd has it open"
					     : strerror(error));
		return error;
	}
	return 0;
}

/* A new file is there after a crash only when its directory is synced. */
static int store_sync_directory(const char *path)
{
	char *copy = strdup(path);
	int fd, error = 0;

	if (copy == NULL) {
		return ENOMEM;
	}
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	free(copy);
	if (fd < 0) {
		return errno;
	}
	if (fsync(fd) != 0) {
		error = errno;
	}
	close(fd);
	return error;
}

static int store_open_tdb(struct store *store)
{
	struct tdb_logging_context log_ctx = {
		.log_fn = store_tdb_log,
		.log_private = store,
	};
	int flags = O_RDWR | O_CLOEXEC;
	struct stat st;
	int error;

	/* With O_CREAT the TDB library makes a new database of a file whose
	 * header is damaged. */
	if (stat(store->path, &st) != 0 || st.st_size == 0) {
		flags |= O_CREAT;
	}
	errno = 0;
	store->tdb = tdb_open_ex(store->path, STORE_HASH_SIZE,
				 TDB_INCOMPATIBLE_HASH | TDB_DISALLOW_NESTING,
				 flags, 0600, &log_ctx, NULL);
	if (store->tdb == NULL) {
		error = errno != 0 ? errno : EIO;
		log_msg(LOG_ERROR, "%s: cannot be opened: %s%s%s", store->path,
			strerror(error), store->message[0] != '\0' ? ": " : "",
			store->message);
		return error;
	}
	error = store_sync_directory(store->path);
	if (error == 0 && (fstat(tdb_fd(store->tdb), &st) != 0 ||
			   ((st.st_mode & 077) != 0 &&
			    fchmod(tdb_fd(store->tdb), 0600) != 0))) {
		error = errno;
	}
	if (error != 0) {
		log_msg(LOG_ERROR, "%s: cannot be made private and lasting: %s",
			store->path, strerror(error));
	}
	return error;
}

struct load {
	store_load_fn fn;
	void *private_data;
	bool stopped;
};

static int store_load(struct tdb_context *tdb, TDB_DATA key, TDB_DATA data,
		      void *private_data)
{
	struct load *load = private_data;
	char name[512];

	snprintf(name, sizeof(name), "%.*s", (int)key.dsize,
		 (const char *)key.dptr);
	load->stopped =
		!load->fn(name, data.dptr, data.dsize, load->private_data);
	return load->stopped;
}

int store_open(TALLOC_CTX *mem_ctx, struct tevent_context *ev, const char *path,
	       store_load_fn load, void *private_data, struct store **_store)
{
	struct load state = {.fn = load, .private_data = private_data};
	struct store *store = talloc_zero(mem_ctx, struct store);
	int error;

	if (store == NULL) {
		return ENOMEM;
	}
	store->lock_fd = store->event_fd = -1;
	pthread_mutex_init(&store->mutex, NULL);
	pthread_cond_init(&store->work, NULL);
	queue_init(&store->waiting);
	queue_init(&store->finished);
	talloc_set_destructor(store, store_destructor);
	store->path = talloc_strdup(store, path);
	error = store->path == NULL ? ENOMEM : store_lock(store);
	if (error == 0) {
		error = store_open_tdb(store);
	}
	if (error == 0 &&
	    tdb_traverse_read(store->tdb, store_load, &state) < 0) {
		error = EILSEQ;
		log_msg(LOG_ERROR, "%s: cannot be read: %s (%s)", path,
			tdb_errorstr(store->tdb), store->message);
	}
	if (error == 0 && state.stopped) {
		error = ECANCELED;
	}
	if (error == 0) {
		store->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		store->fde =
			tevent_add_fd(ev, store, store->event_fd,
				      TEVENT_FD_READ, store_finished, store);
		if (store->event_fd < 0 || store->fde == NULL) {
			error = errno != 0 ? errno : ENOMEM;
		} else {
			error = pthread_create(&store->thread, NULL,
					       store_thread, store);
			store->running = error == 0;
		}
		if (error != 0) {
			log_msg(LOG_ERROR, "%s: no thread for it: %s", path,
				strerror(error));
		}
	}
	if (error != 0) {
		talloc_free(store);
		return error;
	}
	*_store = store;
	return 0;
}

static int commit_state_destructor(struct store_commit_state *state)
{
	if (state->commit == NULL) {
		return 0;
	}
	if (state->commit->finished) {
		commit_free(state->commit);
	} else {
		state->commit->req = NULL;
	}
	state->commit = NULL;
	return 0;
}

static struct commit *commit_create(const struct store_change *changes,
				    size_t num_changes)
{
	struct commit *commit = calloc(1, sizeof(*commit));

	if (commit == NULL) {
		return NULL;
	}
	commit->changes = calloc(num_changes, sizeof(*commit->changes));
	if (commit->changes == NULL) {
		free(commit);
		return NULL;
	}
	for (size_t i = 0; i < num_changes; i++) {
		struct change *to = &commit->changes[i];

		commit->num_changes++;
		to->key.dptr = (unsigned char *)strdup(changes[i].key);
		to->key.dsize = strlen(changes[i].key);
		if (changes[i].data != NULL) {
			to->data.dptr = malloc(changes[i].length + 1);
			to->data.dsize = changes[i].length;
		}
		if (to->key.dptr == NULL ||
		    (changes[i].data != NULL && to->data.dptr == NULL)) {
			to->data.dsize = 0;
			commit_free(commit);
			return NULL;
		}
		if (changes[i].data != NULL) {
			memcpy(to->data.dptr, changes[i].data,
			       changes[i].length);
		}
	}
	return commit;
}

struct tevent_req *store_commit_send(TALLOC_CTX *mem_ctx,
				     struct tevent_context *ev,
				     struct store *store,
				     const struct store_change *changes,
				     size_t num_changes)
{
	struct store_commit_state *state;
	struct tevent_req *req =
		tevent_req_create(mem_ctx, &state, struct store_commit_state);

	if (req == NULL) {
		return NULL;
	}
	if (num_changes == 0) {
		tevent_req_done(req);
		return tevent_req_post(req, ev);
	}
	state->commit = commit_create(changes, num_changes);
	if (tevent_req_nomem(state->commit, req)) {
		return tevent_req_post(req, ev);
	}
	state->commit->req = req;
	talloc_set_destructor(state, commit_state_destructor);
	pthread_mutex_lock(&store->mutex);
	queue_put(&store->waiting, state->commit);
	pthread_cond_signal(&store->work);
	pthread_mutex_unlock(&store->mutex);
	return req;
}

int store_commit_recv(struct tevent_req *req)
{
	enum tevent_req_state state;
	uint64_t error;

	if (tevent_req_is_error(req, &state, &error)) {
		return state == TEVENT_REQ_USER_ERROR ? (int)error : ENOMEM;
	}
	return 0;
}
