/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Thin provisioning: how much space a unit has left (SBC-3 4.7.3.7, 6.4, 6.5).
 * The space is that of its file system, shared with others, and is looked at
 * by the main thread now and then. Counted in threshold sets of 1 MiB.
 */
#include "target/scsi_commands.h"

#define SET_BYTES (UINT64_C(1) << SCSI_THRESHOLD_SHIFT)

/* Below this part of the file system's size space is low; it is not any more
 * when a fifth more than that is free. */
#define LOW_PART 10

static uint32_t sets(uint64_t bytes)
{
	uint64_t n = bytes / SET_BYTES;

	return n < UINT32_MAX ? (uint32_t)n : UINT32_MAX;
}

static uint64_t threshold_of(const struct vhd_space *space)
{
	return space->total / LOW_PART;
}

bool scsi_lu_check_space(struct scsi_lu *lu)
{
	struct vhd_space space;
	uint64_t threshold;
	bool low = scsi_lu_is(lu, SCSI_LU_SPACE_LOW);

	if (!vhd_disk_space(lu->config.disk, &space)) {
		return low;
	}
	threshold = threshold_of(&space);
	/* A disk that has all its space needs none. */
	if (!low && space.used < vhd_disk_size(lu->config.disk) &&
	    space.available < threshold) {
		atomic_fetch_or(&lu->state, SCSI_LU_SPACE_LOW);
		pthread_mutex_lock(&lu->lock);
		scsi_ua_raise_others(lu, NULL, SCSI_UA_THRESHOLD);
		pthread_mutex_unlock(&lu->lock);
		scsi_log(1,
			 "disk %u: %u MiB left for thin-provisioned data, less "
			 "than the threshold of %u MiB",
			 lu->config.index, sets(space.available),
			 sets(threshold));
		return true;
	}
	if (low && space.available > threshold + threshold / 5) {
		atomic_fetch_and(&lu->state, ~SCSI_LU_SPACE_LOW);
		scsi_log(2, "disk %u: %u MiB left for thin-provisioned data",
			 lu->config.index, sets(space.available));
		return false;
	}
	return low;
}

/* 1Ch/02h logical block provisioning (SBC-3 6.5.7): one soft threshold, of
 * what is available, armed while that decreases. */
size_t scsi_space_mode_page(struct scsi_lu *lu, uint8_t *buf, bool changeable)
{
	struct vhd_space space;

	memset(buf, 0, SCSI_SPACE_MODE_PAGE);
	buf[0] = 0x5c; /* SPF */
	buf[1] = 0x02;
	put_be16(buf + 2, SCSI_SPACE_MODE_PAGE - 4);
	if (changeable || !vhd_disk_space(lu->config.disk, &space)) {
		return SCSI_SPACE_MODE_PAGE;
	}
	buf[16] = 0x80; /* ENABLED, by count, decreasing */
	buf[17] = 0x01; /* the available resource */
	put_be32(buf + 20, sets(threshold_of(&space)));
	return SCSI_SPACE_MODE_PAGE;
}

static void put_count(uint8_t *p, uint16_t code, uint32_t count, uint8_t scope)
{
	put_be16(p, code);
	p[2] = 0x03; /* binary list */
	p[3] = 8;
	put_be32(p + 4, count);
	p[8] = scope;
}

/* 0Ch logical block provisioning (SBC-3 6.4.4) */
size_t scsi_space_log_page(struct scsi_task *task, uint8_t *buf)
{
	struct vhd_space space;

	if (!vhd_disk_space(task->lu->config.disk, &space)) {
		return 4;
	}
	/* shared with other units; this unit's own */
	put_count(buf + 4, 0x0001, sets(space.available), 2);
	put_count(buf + 16, 0x0002, sets(space.used), 1);
	return 28;
}
