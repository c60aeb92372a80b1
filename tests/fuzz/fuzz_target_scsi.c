/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The device server: sequences of commands with any CDB, LUN, data and room
 * for data, from two initiators on one small disk. Input, per command:
 *
 *   1 byte   who (bit 0), finish requests later (1), fail them (2),
 *            LUN 0 (3) or as given, room for data halved (4), odd (5)
 *   8 bytes  LUN, if not LUN 0
 *   16 bytes CDB
 *   2 bytes  length of the data that goes out, and the data
 *
 * It checks what the transport relies on: lengths stay within what it
 * provided, and a refused command has sense data.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "target/bytes.h"
#include "target/scsi.h"

#define DISK_SIZE    (1u << 20)
#define ROOM	     (1u << 17)
#define MAX_COMMANDS 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- an engine ---- */

struct vhd_disk {
	uint8_t data[DISK_SIZE];
	bool later;
	int fail;
	struct vhd_req *pending;
};

uint32_t vhd_disk_sector(const struct vhd_disk *disk)
{
	return VHD_SECTOR;
}

uint32_t vhd_disk_physical_sector(const struct vhd_disk *disk)
{
	return VHD_SECTOR;
}

bool vhd_disk_writes_atomic(const struct vhd_disk *disk)
{
	return true;
}

uint64_t vhd_disk_size(const struct vhd_disk *disk)
{
	return sizeof(disk->data);
}

bool vhd_disk_mapped(const struct vhd_disk *d, uint64_t offset,
		     uint64_t *length)
{
	return offset < sizeof(d->data) / 2;
}

static void check(bool what)
{
	if (!what) {
		abort();
	}
}

static size_t copy(const struct vhd_req *req, uint8_t *flat, size_t len,
		   bool to_iov)
{
	size_t done = 0;
	int i;

	for (i = 0; i < req->iovcnt && done < len; i++) {
		size_t n = req->iov[i].iov_len;

		if (n > len - done) {
			n = len - done;
		}
		if (to_iov) {
			memcpy(req->iov[i].iov_base, flat + done, n);
		} else {
			memcpy(flat + done, req->iov[i].iov_base, n);
		}
		done += n;
	}
	return done;
}

static int run(struct vhd_disk *disk, struct vhd_req *req)
{
	static uint8_t both[2 * 255 * VHD_SECTOR + 2 * ROOM];
	uint8_t *at = disk->data + req->offset;

	if (disk->fail != 0) {
		return disk->fail;
	}
	if (req->op == VHD_FLUSH || req->op == VHD_YIELD) {
		return 0;
	}
	check(req->offset <= DISK_SIZE &&
	      req->length <= DISK_SIZE - req->offset);
	check(req->offset % VHD_SECTOR == 0 && req->length % VHD_SECTOR == 0);
	switch (req->op) {
	case VHD_MAPPED:
		req->mapped = vhd_disk_mapped(disk, req->offset, &req->length);
		return 0;
	case VHD_READ:
		check(copy(req, at, req->length, true) == req->length);
		return 0;
	case VHD_WRITE:
		check(copy(req, at, req->length, false) == req->length);
		return 0;
	case VHD_COPY:
		check(req->source_offset <= DISK_SIZE &&
		      req->length <= DISK_SIZE - req->source_offset);
		memmove(at, req->source->data + req->source_offset,
			req->length);
		return 0;
	case VHD_COMPARE_AND_WRITE:
		check(2 * req->length <= sizeof(both));
		check(copy(req, both, 2 * req->length, false) ==
		      2 * req->length);
		if (memcmp(at, both, req->length) != 0) {
			req->miscompare = 0;
			return EILSEQ;
		}
		memcpy(at, both + req->length, req->length);
		return 0;
	default:
		memset(at, 0, req->length);
		return 0;
	}
}

/* The transport of these tests never asks (scsi_task.may_source). */
bool vhd_disk_source(struct vhd_disk *disk, uint64_t offset, uint64_t length,
		     struct vhd_source *source)
{
	return false;
}

bool vhd_submit(struct vhd_io *io, struct vhd_disk *disk, struct vhd_req *req)
{
	if (disk->later) {
		check(disk->pending == NULL);
		disk->pending = req;
		return false;
	}
	req->error = run(disk, req);
	return true;
}

/* ---- a transport ---- */

static struct vhd_disk disk;
static unsigned done;

static void task_done(struct scsi_task *task)
{
	done++;
}

static void finish(void)
{
	while (disk.pending != NULL) {
		struct vhd_req *req = disk.pending;

		disk.pending = NULL;
		req->error = run(&disk, req);
		req->done(req);
	}
	check(done == 1);
}

static void check_end(const struct scsi_task *task)
{
	check(task->data_in_len <= task->data_len);
	check((task->sense_len > 0) == (task->status == SCSI_CHECK_CONDITION));
	check(task->sense_len <= SCSI_SENSE_MAX);
	check(task->status == SCSI_GOOD ||
	      task->status == SCSI_CHECK_CONDITION ||
	      task->status == SCSI_BUSY ||
	      task->status == SCSI_RESERVATION_CONFLICT);
}

static void command(struct scsi_nexus *nexus, uint8_t how,
		    struct scsi_task *task, const uint8_t *out, size_t out_len)
{
	struct iovec iov;
	size_t room;

	task->nexus = nexus;
	task->cdb_len = 16;
	task->edtl = (uint32_t)out_len;
	task->done = task_done;
	if (!scsi_task_prepare(task)) {
		check(task->dir == SCSI_DIR_NONE && task->data_in_len == 0);
		check_end(task);
		return;
	}
	room = task->dir == SCSI_DIR_IN ? ROOM : out_len;
	if (how & 0x10) {
		room /= 2;
	}
	if (how & 0x20 && room > 0) {
		room--;
	}
	if (room > task->length) {
		room = task->length;
	}
	/* Exactly as large as it is said to be. */
	iov.iov_base = malloc(room > 0 ? room : 1);
	iov.iov_len = room;
	memset(iov.iov_base, 0, room);
	if (task->dir == SCSI_DIR_OUT && room > 0) {
		memcpy(iov.iov_base, out, room);
	}
	task->iov = &iov;
	task->iovcnt = room > 0 ? 1 : 0;
	task->data_len = (uint32_t)room;
	done = 0;
	if (!scsi_task_execute(task)) {
		finish();
	}
	check_end(task);
	free(iov.iov_base);
}

static struct scsi_nexus *login(const struct scsi_lun_map *map, uint8_t n)
{
	struct scsi_nexus_config config = {
		.initiator_name =
			n ? "iqn.2026-01.example:b" : "iqn.2026-01.example:a",
		.isid = {0x40, 0, 0, 0, 0, n},
		.target_name = "iqn.2026-01.example:t",
		.portal_group = 1,
	};

	return scsi_nexus_create(&config, map);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct scsi_lu_config config = {
		.serial = "0123", .enabled = true, .disk = &disk};
	struct scsi_lun_map *map =
		calloc(1, sizeof(*map) + sizeof(map->entry[0]));
	struct scsi_nexus *nexus[2];
	unsigned n;

	map->count = 1;
	map->entry[0].lu = scsi_lu_create(&config);
	nexus[0] = login(map, 0);
	nexus[1] = login(map, 1);
	for (n = 0; n < MAX_COMMANDS && size >= 19; n++) {
		struct scsi_task task = {0};
		uint8_t how = data[0];
		size_t len;

		data++;
		size--;
		if (how & 0x08) {
			if (size < 26) {
				break;
			}
			memcpy(task.lun, data, 8);
			data += 8;
			size -= 8;
		}
		memcpy(task.cdb, data, 16);
		len = get_be16(data + 16);
		data += 18;
		size -= 18;
		if (len > size) {
			len = size;
		}
		disk.later = how & 0x02;
		disk.fail = (how & 0x04) ? EIO : 0;
		command(nexus[how & 1], how, &task, data, len);
		data += len;
		size -= len;
	}
	scsi_nexus_free(nexus[0]);
	scsi_nexus_free(nexus[1]);
	scsi_lu_free(map->entry[0].lu);
	free(map);
	return 0;
}
