/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a unit kept through a restart (scsi_lu_restore()): any bytes are either
 * taken or refused whole, and a unit that took them answers READ FULL STATUS.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "target/bytes.h"
#include "target/scsi.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void never(struct scsi_task *task)
{
	abort();
}

static void read_full_status(struct scsi_nexus *nexus)
{
	static uint8_t buf[65535];
	struct iovec iov = {buf, sizeof(buf)};
	struct scsi_task task;
	unsigned i;

	/* The first is told the unit attention of its login. */
	for (i = 0; i < 2; i++) {
		memset(&task, 0, sizeof(task));
		task.cdb[0] = 0x5e;
		task.cdb[1] = 3;
		put_be16(task.cdb + 7, sizeof(buf));
		task.cdb_len = 16;
		task.nexus = nexus;
		task.done = never;
		if (!scsi_task_prepare(&task)) {
			continue;
		}
		task.iov = &iov;
		task.iovcnt = 1;
		task.data_len = sizeof(buf);
		if (!scsi_task_execute(&task) || task.status != SCSI_GOOD ||
		    task.data_in_len < 8) {
			abort();
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct scsi_lu_config lu_config = {
		.serial = "1",
		.enabled = true,
		.disk = vhd_open_ram(NULL, VHD_MIN_SIZE),
	};
	struct scsi_nexus_config nexus_config = {
		.initiator_name = "iqn.2026-01.example:one",
		.target_name = "iqn.2026-01.example:target",
		.portal_group = 1,
	};
	struct scsi_lun_map *map =
		calloc(1, sizeof(*map) + sizeof(map->entry[0]));
	struct scsi_lu *lu = scsi_lu_create(&lu_config);
	struct scsi_nexus *nexus;
	int error = scsi_lu_restore(lu, data, size);

	if (error != 0 && error != EINVAL) {
		abort();
	}
	map->count = 1;
	map->entry[0].lu = lu;
	nexus = scsi_nexus_create(&nexus_config, map);
	read_full_status(nexus);
	scsi_nexus_free(nexus);
	scsi_lu_free(lu);
	vhd_close(lu_config.disk);
	free(map);
	return 0;
}
