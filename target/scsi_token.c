/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ROD tokens (SPC-4 5.17.6): each stands for blocks of a unit as they were when
 * it was made. Blocks are not set aside for it: whoever writes to one of them
 * revokes the token first (a point in time copy that is change vulnerable), and
 * whoever copies looks whether the token still stands after each read.
 *
 * A token is a secret of more than 1,000 random bits: who has it may read the
 * blocks, by whatever nexus and unit of this server, as the standard intends.
 * Tokens are
 * the process's; one lock guards them all. Writers look at a bit of their unit
 * (SCSI_LU_TOKENS) and take the lock only where it has tokens.
 */
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#include "target/scsi_copy.h"

#define MAX_TOKENS  4096
#define MAX_OF_UNIT 256

enum token_state { TOKEN_GOOD, TOKEN_REVOKED, TOKEN_DELETED };

struct token {
	struct token *next; /* oldest first */
	uint64_t id;
	uint8_t bytes[ROD_TOKEN_LEN];
	struct scsi_lu *lu; /* NULL: gone */
	enum token_state state;
	time_t expires;
	uint32_t timeout;
	unsigned shift; /* of the unit's blocks */
	unsigned count;
	uint64_t blocks;
	struct scsi_range range[];
};

static struct {
	pthread_mutex_t lock;
	struct token *first;
	unsigned count;
} tokens = {.lock = PTHREAD_MUTEX_INITIALIZER};

static time_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec;
}

/* ---- under the lock ---- */

static bool unit_has_tokens(const struct scsi_lu *lu)
{
	const struct token *t;

	for (t = tokens.first; t != NULL; t = t->next) {
		if (t->lu == lu && t->state == TOKEN_GOOD) {
			return true;
		}
	}
	return false;
}

/* It stands for nothing any more; it is remembered for a while, so that who
 * uses it hears why. */
static void end_token(struct token *t, enum token_state state)
{
	struct scsi_lu *lu = t->lu;

	t->state = state;
	t->lu = NULL;
	if (lu != NULL && !unit_has_tokens(lu)) {
		atomic_fetch_and(&lu->state, ~SCSI_LU_TOKENS);
	}
}

static void remove_token(struct token **at)
{
	struct token *t = *at;

	end_token(t, TOKEN_DELETED);
	*at = t->next;
	tokens.count--;
	free(t);
}

/* Those that expired go; of too many, the oldest of the unit or of all. */
static void make_room(const struct scsi_lu *lu)
{
	struct token **at, **oldest = NULL;
	unsigned of_unit = 0;
	time_t t = now();

	for (at = &tokens.first; *at != NULL;) {
		if ((*at)->expires <= t) {
			remove_token(at);
			continue;
		}
		if ((*at)->lu == lu) {
			of_unit++;
			if (oldest == NULL) {
				oldest = at;
			}
		}
		at = &(*at)->next;
	}
	if (of_unit >= MAX_OF_UNIT) {
		remove_token(oldest);
	} else if (tokens.count >= MAX_TOKENS) {
		remove_token(&tokens.first);
	}
}

static struct token *find_token(uint64_t id)
{
	struct token *t;

	for (t = tokens.first; t != NULL && t->id != id; t = t->next) {
	}
	return t;
}

/* ---- making and using them ---- */

/* No more than 256 at a time: those come whole, whatever signals come. */
static bool random_bytes(uint8_t *p, size_t len)
{
	size_t n;

	for (; len > 0; p += n, len -= n) {
		n = len < 256 ? len : 256;
		if (getrandom(p, n, 0) != (ssize_t)n) {
			return false;
		}
	}
	return true;
}

/* The target device's name, as VPD page 83h has it. Returns its length. */
static size_t put_target_device(uint8_t *p, const char *name)
{
	size_t len = strlen(name);

	p[0] = 0x53; /* iSCSI, UTF-8 */
	p[1] = 0xa8; /* PIV, target device, SCSI name string */
	p[3] = (uint8_t)((len + 4) & ~(size_t)3);
	memcpy(p + 4, name, len);
	return 4 + (size_t)p[3];
}

#define TARGET_DEVICE 128
/* The longest name of a target (RFC 7143 4.2.7.1) leaves room for 256 bits. */
#define NAME_MAX_LEN 223
_Static_assert(TARGET_DEVICE + 4 + NAME_MAX_LEN + 1 + 32 <= ROD_TOKEN_LEN,
	       "a token has room for its random bits");

/* SPC-4 5.17.6.5, SBC-3 4.28.3. False: there are no random bytes. */
static bool format_token(struct token *t, const struct scsi_lu *lu,
			 const char *target_name)
{
	uint8_t *p = t->bytes;
	size_t at = TARGET_DEVICE;

	put_be32(p, ROD_TYPE_PIT);
	put_be16(p + 6, ROD_TOKEN_LEN - 8);
	put_be64(p + 8, t->id);
	/* creator logical unit: a CSCD descriptor */
	p[16] = COPY_CSCD_TYPE;
	p[20] = 0x01; /* binary */
	p[21] = 0x03; /* NAA of the unit */
	p[23] = 16;
	memcpy(p + 24, lu->naa, 16);
	put_be24(p + 45, lu->block);
	/* number of bytes represented, 128 bits */
	put_be64(p + 56, t->blocks << t->shift);
	/* device type specific: what READ CAPACITY(16) has */
	put_be32(p + 96, lu->block);
	p[101] = scsi_lu_physical_exponent(lu);
	p[102] = 0xc0; /* LBPME, LBPRZ */
	if (strlen(target_name) <= NAME_MAX_LEN) {
		at += put_target_device(p + at, target_name);
	}
	/* extended ROD token data: nobody can guess it */
	return random_bytes(p + at, ROD_TOKEN_LEN - at);
}

uint16_t scsi_token_create(struct scsi_lu *lu, const char *target_name,
			   const struct scsi_range *range, unsigned count,
			   uint32_t timeout, uint8_t token[ROD_TOKEN_LEN])
{
	struct token *t, **end;
	unsigned i;

	t = calloc(1, sizeof(*t) + count * sizeof(*range));
	if (t == NULL || !random_bytes((uint8_t *)&t->id, sizeof(t->id))) {
		free(t);
		return ASC_INVALID_TOKEN;
	}
	t->id |= 1; /* not 0 */
	t->lu = lu;
	t->shift = lu->shift;
	t->timeout = timeout != 0 ? timeout : COPY_TIMEOUT;
	t->expires = now() + (time_t)t->timeout;
	t->count = count;
	for (i = 0; i < count; i++) {
		t->range[i] = range[i];
		t->blocks += range[i].blocks;
	}
	if (!format_token(t, lu, target_name)) {
		free(t);
		return ASC_INVALID_TOKEN;
	}
	pthread_mutex_lock(&tokens.lock);
	if (scsi_lu_is(lu, SCSI_LU_RETIRED) || find_token(t->id) != NULL) {
		pthread_mutex_unlock(&tokens.lock);
		free(t);
		return ASC_INVALID_TOKEN;
	}
	make_room(lu);
	atomic_fetch_or(&lu->state, SCSI_LU_TOKENS);
	for (end = &tokens.first; *end != NULL; end = &(*end)->next) {
	}
	*end = t;
	tokens.count++;
	memcpy(token, t->bytes, ROD_TOKEN_LEN);
	pthread_mutex_unlock(&tokens.lock);
	return 0;
}

static uint16_t check_token(const struct token *t, const uint8_t *p)
{
	uint8_t differs = 0;
	size_t i;

	for (i = 0; i < ROD_TOKEN_LEN; i++) { /* in constant time */
		differs |= p[i] ^ t->bytes[i];
	}
	if (differs != 0) {
		return ASC_TOKEN_CORRUPT;
	}
	if (t->state == TOKEN_REVOKED) {
		return ASC_TOKEN_REVOKED;
	}
	if (t->state == TOKEN_DELETED) {
		return ASC_TOKEN_DELETED;
	}
	return t->expires <= now() ? ASC_TOKEN_EXPIRED : 0;
}

uint16_t scsi_token_find(const uint8_t token[ROD_TOKEN_LEN],
			 struct scsi_task *task, struct scsi_token_data *data)
{
	uint32_t type = get_be32(token);
	struct token *t;
	uint16_t asc;

	memset(data, 0, sizeof(*data));
	if (type == ROD_TYPE_ZERO) {
		data->bytes = UINT64_MAX;
		return 0;
	}
	if (type != ROD_TYPE_PIT) {
		return ASC_UNSUPPORTED_TOKEN_TYPE;
	}
	if (get_be16(token + 6) != ROD_TOKEN_LEN - 8) {
		return ASC_INVALID_TOKEN_LENGTH;
	}
	pthread_mutex_lock(&tokens.lock);
	t = find_token(get_be64(token + 8));
	asc = t == NULL ? ASC_TOKEN_UNKNOWN : check_token(t, token);
	if (asc == 0) {
		t->expires = now() + (time_t)t->timeout;
		data->id = t->id;
		data->lu = t->lu;
		data->count = t->count;
		data->bytes = t->blocks << t->shift;
		memcpy(data->range, t->range, t->count * sizeof(*t->range));
		/* Units that go away have revoked their tokens before they
		 * ask who uses them. */
		task->copy_lu[0] = t->lu;
	}
	pthread_mutex_unlock(&tokens.lock);
	return asc;
}

bool scsi_token_valid(uint64_t id)
{
	const struct token *t;
	bool valid;

	pthread_mutex_lock(&tokens.lock);
	t = find_token(id);
	valid = t != NULL && t->state == TOKEN_GOOD;
	pthread_mutex_unlock(&tokens.lock);
	return valid;
}

void scsi_token_delete(uint64_t id)
{
	struct token *t;

	pthread_mutex_lock(&tokens.lock);
	t = find_token(id);
	if (t != NULL) {
		end_token(t, TOKEN_DELETED);
	}
	pthread_mutex_unlock(&tokens.lock);
}

/* ---- what revokes them ---- */

static bool token_has(const struct token *t, uint64_t lba, uint64_t blocks)
{
	unsigned i;

	for (i = 0; i < t->count; i++) {
		if (scsi_range_meets(&t->range[i], lba, blocks)) {
			return true;
		}
	}
	return false;
}

void scsi_tokens_written(struct scsi_lu *lu, uint64_t offset, uint64_t length)
{
	uint64_t lba = offset >> lu->shift;
	uint64_t blocks = length >> lu->shift;
	struct token *t;

	pthread_mutex_lock(&tokens.lock);
	for (t = tokens.first; t != NULL; t = t->next) {
		if (t->lu == lu && token_has(t, lba, blocks)) {
			end_token(t, TOKEN_REVOKED);
		}
	}
	pthread_mutex_unlock(&tokens.lock);
}

void scsi_tokens_revoke(struct scsi_lu *lu)
{
	struct token *t;

	pthread_mutex_lock(&tokens.lock);
	for (t = tokens.first; t != NULL; t = t->next) {
		if (t->lu == lu) {
			end_token(t, TOKEN_REVOKED);
		}
	}
	pthread_mutex_unlock(&tokens.lock);
}
