/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Thin provisioning: how much space a unit has left (SBC-3 4.7.3.7, 6.4, 6.5).
 * The space is that of its file system, shared with others; the transport has
 * it looked at now and then. Counted in threshold sets of 1 MiB.
 *
 * There is one soft threshold, of what is available, armed while that
 * decreases. The administrator sets it, initiators may change it for a unit.
 */
#include "target/scsi_commands.h"

#define SET_BYTES (UINT64_C(1) << SCSI_THRESHOLD_SHIFT)

/* Of the page: the threshold descriptor, and its THRESHOLD COUNT. */
#define DESCRIPTOR SCSI_SPACE_DESCRIPTOR
#define COUNT	   (DESCRIPTOR + 4)
#define ENABLED	   0x80

static uint32_t sets(uint64_t bytes)
{
	uint64_t n = bytes / SET_BYTES;

	return n < UINT32_MAX ? (uint32_t)n : UINT32_MAX;
}

/* What the administrator has set, now that the size is known. */
static struct scsi_space_threshold configured(const struct scsi_lu *lu)
{
	const struct scsi_threshold *t = &lu->config.threshold;
	uint64_t bytes =
		t->percent != 0 ? lu->space.total / 100 * t->percent : t->bytes;

	return (struct scsi_space_threshold){
		.enabled = bytes != 0,
		.count = sets(bytes),
	};
}

/* The threshold that holds. The lock is held. */
static struct scsi_space_threshold current(const struct scsi_lu *lu)
{
	return lu->threshold.set ? lu->threshold : configured(lu);
}

/* Look whether the threshold is crossed, one way or the other. The lock is
 * held. */
static bool look(struct scsi_lu *lu)
{
	struct scsi_space_threshold t = current(lu);
	uint64_t threshold = t.enabled ? t.count * SET_BYTES : 0;
	const char *volume = lu->config.volume;
	bool low = scsi_lu_is(lu, SCSI_LU_SPACE_LOW);

	if (!lu->space_known) {
		return low;
	}
	/* A disk that has all its space needs none. */
	if (!low && lu->space.used < vhd_disk_size(lu->config.disk) &&
	    lu->space.available < threshold) {
		atomic_fetch_or(&lu->state, SCSI_LU_SPACE_LOW);
		scsi_ua_raise_others(lu, NULL, SCSI_UA_THRESHOLD);
		scsi_log(1,
			 "disk %u: volume %s has %u MiB left for "
			 "thin-provisioned data, less than the threshold of %u "
			 "MiB",
			 lu->config.index, volume, sets(lu->space.available),
			 t.count);
		return true;
	}
	/* Armed again only when a fifth more is free, or a file that comes
	 * and goes would have it told all the time. */
	if (low && lu->space.available >= threshold + threshold / 5) {
		atomic_fetch_and(&lu->state, ~SCSI_LU_SPACE_LOW);
		scsi_log(2,
			 "disk %u: volume %s has %u MiB left for "
			 "thin-provisioned data again",
			 lu->config.index, volume, sets(lu->space.available));
		return false;
	}
	return low;
}

bool scsi_lu_set_space(struct scsi_lu *lu, const struct vhd_space *space)
{
	bool low;

	pthread_mutex_lock(&lu->lock);
	lu->space = *space;
	lu->space_known = true;
	low = look(lu);
	pthread_mutex_unlock(&lu->lock);
	return low;
}

/* ---- the mode page ---- */

/* 1Ch/02h logical block provisioning (SBC-3 6.5.7) */
size_t scsi_space_mode_page(struct scsi_lu *lu, uint8_t *buf,
			    enum scsi_space_page which)
{
	struct scsi_space_threshold t;

	memset(buf, 0, SCSI_SPACE_MODE_PAGE);
	buf[0] = 0x5c; /* SPF */
	buf[1] = 0x02;
	put_be16(buf + 2, SCSI_SPACE_MODE_PAGE - 4);
	pthread_mutex_lock(&lu->lock);
	if (!lu->space_known) {
		/* A RAM disk, mostly: no threshold */
		pthread_mutex_unlock(&lu->lock);
		return SCSI_SPACE_MODE_PAGE;
	}
	if (lu->store != NULL) {
		buf[0] |= 0x80; /* PS */
	}
	t = which == SCSI_SPACE_CURRENT ? current(lu) : configured(lu);
	if (which == SCSI_SPACE_SAVED && lu->saved_threshold.set) {
		t = lu->saved_threshold;
	}
	pthread_mutex_unlock(&lu->lock);
	if (which == SCSI_SPACE_CHANGEABLE) {
		buf[DESCRIPTOR] = ENABLED;
		put_be32(buf + COUNT, UINT32_MAX);
		return SCSI_SPACE_MODE_PAGE;
	}
	/* THRESHOLD TYPE 000b, soft; THRESHOLD ARMING 000b, decreasing */
	buf[DESCRIPTOR] = t.enabled ? ENABLED : 0;
	buf[DESCRIPTOR + 1] = 0x01; /* the available resource */
	put_be32(buf + COUNT, t.count);
	return SCSI_SPACE_MODE_PAGE;
}

int scsi_space_parse_page(struct scsi_lu *lu, const uint8_t *page,
			  struct scsi_space_threshold *t, int *bit)
{
	uint8_t mine[SCSI_SPACE_MODE_PAGE], may[SCSI_SPACE_MODE_PAGE];
	unsigned i;

	scsi_space_mode_page(lu, mine, SCSI_SPACE_CURRENT);
	scsi_space_mode_page(lu, may, SCSI_SPACE_CHANGEABLE);
	for (i = 2; i < SCSI_SPACE_MODE_PAGE; i++) {
		uint8_t wrong =
			(page[i] ^ mine[i]) & (i < 4 ? 0xff : (uint8_t)~may[i]);

		if (wrong != 0) {
			*bit = 31 - __builtin_clz(wrong);
			return (int)i;
		}
	}
	*t = (struct scsi_space_threshold){
		.set = memcmp(page + 4, mine + 4, sizeof(mine) - 4) != 0,
		.enabled = page[DESCRIPTOR] & ENABLED,
		.count = get_be32(page + COUNT),
	};
	return 0;
}

void scsi_space_set_threshold(struct scsi_lu *lu,
			      const struct scsi_space_threshold *t)
{
	lu->threshold = *t;
	if (t->enabled) {
		scsi_log(3,
			 "disk %u: space is low from now on below %u MiB of "
			 "volume %s",
			 lu->config.index, t->count, lu->config.volume);
	} else {
		scsi_log(3, "disk %u: low space is not told of from now on",
			 lu->config.index);
	}
	/* A crossing of another threshold is another one. */
	atomic_fetch_and(&lu->state, ~SCSI_LU_SPACE_LOW);
	look(lu);
}

/* ---- the log page ---- */

static uint8_t *put_count(uint8_t *p, uint16_t code, uint32_t count,
			  uint8_t scope)
{
	p = scsi_log_parameter(p, code, SCSI_LOG_LIST, 8);
	put_be32(p, count);
	p[4] = scope;
	return p + 8;
}

/* 0Ch logical block provisioning (SBC-3 6.4.4) */
size_t scsi_space_log_page(struct scsi_task *task, uint8_t *buf)
{
	struct scsi_lu *lu = task->lu;
	uint8_t *p = buf + 4;
	struct vhd_space space;
	bool known;

	pthread_mutex_lock(&lu->lock);
	space = lu->space;
	known = lu->space_known;
	pthread_mutex_unlock(&lu->lock);
	if (!known) {
		return 4;
	}
	/* shared with other units; this unit's own */
	p = put_count(p, 0x0001, sets(space.available), 2);
	p = put_count(p, 0x0002, sets(space.used), 1);
	return (size_t)(p - buf);
}
