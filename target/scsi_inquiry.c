/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * INQUIRY: standard data and vital product data pages (SPC-4 6.6, 7.8; SBC-3
 * 6.6).
 */
#include <ctype.h>
#include <stdio.h>

#include "target/scsi_commands.h"

#define INQUIRY_MAX 4096

#define TYPE_DISK	0x00
#define TYPE_WELL_KNOWN 0x1e
#define TYPE_NONE	0x7f /* qualifier 011b, type 1Fh */

/* Left-aligned ASCII, blank-filled (SPC-4 4.3.1). */
static void put_ascii(uint8_t *to, size_t size, const char *from)
{
	size_t i;

	memset(to, ' ', size);
	for (i = 0; i < size && from[i] != '\0'; i++) {
		to[i] = isprint((unsigned char)from[i]) ? (uint8_t)from[i]
							: ' ';
	}
}

static uint8_t device_type(struct scsi_task *task)
{
	if (task->lu != NULL) {
		return TYPE_DISK;
	}
	return scsi_work(task)->kind == SCSI_LUN_REPORT_LUNS ? TYPE_WELL_KNOWN
							     : TYPE_NONE;
}

static size_t standard_data(struct scsi_task *task, uint8_t *buf)
{
	/* SPC-4 table 147: SAM-5, SPC-4, SBC-3, and iSCSI as RFC 7144 4.2 has
	 * it */
	const uint16_t iscsi = 0x0960 + task->nexus->protocol_level;
	const uint16_t standards[] = {0x00a0, 0x0460, 0x04c0, iscsi};
	const struct scsi_lu_config *id =
		task->lu != NULL ? &task->lu->config : NULL;
	uint16_t ports[SCSI_MAX_PORTS];
	size_t i;

	buf[0] = device_type(task);
	buf[2] = 0x06; /* SPC-4 */
	buf[3] = 0x12; /* HISUP, response data format 2 */
	buf[4] = 96 - 5;
	/* TPGS 11b: implicit and explicit asymmetric access; 3PC */
	buf[5] = buf[0] == TYPE_DISK ? 0x38 : 0;
	if (scsi_target_ports(task->nexus, ports) > 1) {
		buf[6] = 0x10; /* MULTIP */
	}
	buf[7] = 0x02; /* CMDQUE */
	put_ascii(buf + 8, 8, id != NULL ? id->vendor : "ISTM");
	put_ascii(buf + 16, 16, id != NULL ? id->product : "");
	put_ascii(buf + 32, 4, id != NULL ? id->revision : "");
	for (i = 0; i < sizeof(standards) / sizeof(standards[0]); i++) {
		put_be16(buf + 58 + 2 * i, standards[i]);
	}
	if (buf[0] != TYPE_DISK) {
		put_be16(buf + 62, iscsi); /* no SBC-3 here */
		put_be16(buf + 64, 0);
	}
	return 96;
}

/* ---- 83h: names (SPC-4 7.8.6) ---- */

#define ASSOC_UNIT   0x00
#define ASSOC_PORT   0x10
#define ASSOC_DEVICE 0x20
#define PIV	     0x80
#define PROTO_ISCSI  0x50

struct designators {
	uint8_t *buf;
	size_t len, size;
};

static void put_designator(struct designators *d, uint8_t code_set,
			   uint8_t assoc_type, const void *name, size_t len)
{
	uint8_t *p = d->buf + d->len;

	if (len > 252 || d->len + 4 + len > d->size) {
		return;
	}
	/* The protocol is told for ports and devices (SPC-4 7.8.6.1). */
	p[0] = code_set;
	p[1] = assoc_type;
	if (assoc_type & (ASSOC_PORT | ASSOC_DEVICE)) {
		p[0] |= PROTO_ISCSI;
		p[1] |= PIV;
	}
	p[2] = 0;
	p[3] = (uint8_t)len;
	memcpy(p + 4, name, len);
	d->len += 4 + len;
}

/* SCSI name strings are UTF-8, null-terminated and padded to 4 (7.8.6.11). */
static void put_name_string(struct designators *d, uint8_t assoc,
			    const char *name)
{
	char padded[256] = {0};
	size_t len = strlen(name);

	if (len >= sizeof(padded) - 4) {
		return;
	}
	memcpy(padded, name, len);
	put_designator(d, 0x03, assoc | 0x08, padded, (len + 4) & ~3u);
}

/* RFC 7143 4.2.7.1: the target port's name */
static void put_port_name(struct designators *d, const struct scsi_nexus *nexus,
			  uint16_t port)
{
	char name[256];
	int n = snprintf(name, sizeof(name), "%s,t,0x%04x", nexus->target_name,
			 port);

	if (n > 0 && (size_t)n < sizeof(name)) {
		put_name_string(d, ASSOC_PORT, name);
	}
}

static size_t page_device_identification(struct scsi_task *task, uint8_t *buf)
{
	struct designators d = {.buf = buf, .len = 4, .size = INQUIRY_MAX};
	const struct scsi_nexus *nexus = task->nexus;
	uint8_t relative_port[4] = {0};
	uint8_t t10[8 + 32];
	char name[256];
	unsigned i;
	int n;

	if (task->lu != NULL) {
		const struct scsi_lu_config *id = &task->lu->config;

		put_designator(&d, 0x01, ASSOC_UNIT | 0x03, task->lu->naa, 16);
		put_ascii(t10, 8, id->vendor);
		put_ascii(t10 + 8, 32, id->serial);
		put_designator(&d, 0x02, ASSOC_UNIT | 0x01, t10,
			       8 + strlen(id->serial));
		n = snprintf(name, sizeof(name), "naa.");
		for (i = 0; i < 16; i++) {
			n += snprintf(name + n, sizeof(name) - (size_t)n,
				      "%02X", task->lu->naa[i]);
		}
		put_name_string(&d, ASSOC_UNIT, name);
	}
	put_be16(relative_port + 2, nexus->port);
	put_designator(&d, 0x01, ASSOC_PORT | 0x04, relative_port, 4);
	/* target port group: of the same number */
	put_designator(&d, 0x01, ASSOC_PORT | 0x05, relative_port, 4);
	put_port_name(&d, nexus, nexus->port);
	put_name_string(&d, ASSOC_DEVICE, nexus->target_name);
	return d.len;
}

/* ---- 88h: ports (SPC-4 7.8.14) ---- */

static size_t page_ports(struct scsi_task *task, uint8_t *buf)
{
	struct designators d = {.buf = buf, .len = 4, .size = INQUIRY_MAX};
	const struct scsi_nexus *nexus = task->nexus;
	uint16_t ports[SCSI_MAX_PORTS];
	unsigned i, n = scsi_target_ports(nexus, ports);

	for (i = 0; i < n && d.len + 12 <= d.size; i++) {
		uint8_t *p = buf + d.len;

		/* No initiator port's TransportID: it is no initiator. */
		put_be16(p + 2, ports[i]);
		d.len += 12;
		put_port_name(&d, nexus, ports[i]);
		put_be16(p + 10, (uint16_t)(buf + d.len - (p + 12)));
	}
	return d.len;
}

/* ---- the other pages ---- */

static size_t page_serial(struct scsi_task *task, uint8_t *buf)
{
	size_t len = strlen(task->lu->config.serial);

	put_ascii(buf + 4, len, task->lu->config.serial);
	return 4 + len;
}

/* SPC-4 7.8.7 */
static size_t page_extended_inquiry(struct scsi_task *task, uint8_t *buf)
{
	uint64_t minutes = 0;

	buf[5] = 0x07; /* HEADSUP, ORDSUP, SIMPSUP */
	buf[6] = 0x01; /* V_SUP: the write cache is volatile */
	buf[7] = 0x01; /* LUICLR */

	if (task->lu != NULL) {
		minutes = scsi_selftest_seconds(task->lu) / 60 + 1;
	}
	put_be16(buf + 10,
		 minutes < UINT16_MAX ? (uint16_t)minutes : UINT16_MAX);
	return 64;
}

/* SPC-4 7.8.9: all nexuses share one copy of every mode page, each unit has
 * its own. */
static size_t page_mode_policy(struct scsi_task *task, uint8_t *buf)
{
	(void)task;
	buf[4] = 0x3f;
	buf[5] = 0xff;
	return 8;
}

/* SBC-3 6.6.3 */
static size_t page_block_limits(struct scsi_task *task, uint8_t *buf)
{
	const unsigned shift = task->lu->shift;
	uint32_t compare = SCSI_MAX_COMPARE >> shift;

	buf[4] = 0x01; /* WSNZ */
	buf[5] = compare < UINT8_MAX ? (uint8_t)compare : UINT8_MAX;
	put_be16(buf + 6, SCSI_OPTIMAL_GRANULE >> shift);
	put_be32(buf + 8, SCSI_MAX_TRANSFER >> shift);
	put_be32(buf + 12, SCSI_OPTIMAL_TRANSFER >> shift);
	put_be32(buf + 16, SCSI_MAX_TRANSFER >> shift); /* prefetch */
	put_be32(buf + 20, SCSI_MAX_UNMAP >> shift);
	put_be32(buf + 24, SCSI_MAX_UNMAP_DESC);
	put_be32(buf + 28, SCSI_OPTIMAL_GRANULE >> shift);
	put_be32(buf + 32, 0x80000000u); /* UGAVALID, aligned to LBA 0 */
	put_be64(buf + 36, SCSI_MAX_WRITE_SAME >> shift);
	if (!scsi_lu_is(task->lu, SCSI_LU_NO_ATOMIC)) {
		/* Atomic writes (SBC-4 6.6.4): any LBA, any length up to these,
		 * with an atomic boundary or without. */
		put_be32(buf + 44, VHD_ATOMIC_MAX >> shift);
		put_be32(buf + 56, VHD_ATOMIC_MAX >> shift);
		put_be32(buf + 60, VHD_ATOMIC_MAX >> shift);
	}
	return 64;
}

/* SBC-3 6.6.2 */
static size_t page_characteristics(struct scsi_task *task, uint8_t *buf)
{
	(void)task;
	put_be16(buf + 4, 0); /* medium rotation rate: not told */
	/* WABEREQ 01b: after BLOCK ERASE reads succeed; the nominal form
	 * factor is not told */
	buf[7] = 0x40;
	/* FUAB: SYNCHRONIZE CACHE as SBC-3; VBULS: VERIFY compares unmapped
	 * blocks too, with the zeroes that they read as */
	buf[8] = 0x03;
	return 64;
}

/* SBC-3 6.6.4 */
static size_t page_provisioning(struct scsi_task *task, uint8_t *buf)
{
	buf[4] = (uint8_t)(SCSI_THRESHOLD_SHIFT - task->lu->shift);
	buf[5] = 0xe4; /* LBPU, LBPWS, LBPWS10; LBPRZ */
	buf[6] = 0x02; /* thin provisioned */
	return 8;
}

struct vpd_page {
	uint8_t code;
	bool unit_only; /* not for the well-known unit */
	size_t (*build)(struct scsi_task *task, uint8_t *buf);
};

static size_t page_supported(struct scsi_task *task, uint8_t *buf);

static const struct vpd_page vpd_pages[] = {
	/* ascending */
	{0x00, false, page_supported},
	{0x80, true, page_serial},
	{0x83, false, page_device_identification},
	{0x86, false, page_extended_inquiry},
	{0x87, true, page_mode_policy},
	{0x88, false, page_ports},
	{0x8f, true, scsi_vpd_third_party},
	{0xb0, true, page_block_limits},
	{0xb1, true, page_characteristics},
	{0xb2, true, page_provisioning},
};

#define NUM_VPD (sizeof(vpd_pages) / sizeof(vpd_pages[0]))

static size_t page_supported(struct scsi_task *task, uint8_t *buf)
{
	size_t i, len = 4;

	for (i = 0; i < NUM_VPD; i++) {
		if (task->lu != NULL || !vpd_pages[i].unit_only) {
			buf[len++] = vpd_pages[i].code;
		}
	}
	return len;
}

bool scsi_inquiry_prepare(struct scsi_task *task)
{
	size_t i;

	if (!(task->cdb[1] & 0x01)) { /* EVPD */
		if (task->cdb[2] != 0) {
			return scsi_refuse_cdb(task, 2, 7);
		}
		return scsi_prepare_in(task, get_be16(task->cdb + 3));
	}
	for (i = 0; i < NUM_VPD; i++) {
		if (vpd_pages[i].code == task->cdb[2] &&
		    (task->lu != NULL || !vpd_pages[i].unit_only)) {
			scsi_work(task)->index = (uint32_t)i;
			return scsi_prepare_in(task, get_be16(task->cdb + 3));
		}
	}
	return scsi_refuse_cdb(task, 2, 7);
}

bool scsi_inquiry(struct scsi_task *task)
{
	uint8_t buf[INQUIRY_MAX] = {0};
	size_t len;

	if (!(task->cdb[1] & 0x01)) {
		len = standard_data(task, buf);
		return scsi_data_in(task, buf, len);
	}
	len = vpd_pages[scsi_work(task)->index].build(task, buf);
	buf[0] = device_type(task);
	buf[1] = task->cdb[2];
	put_be16(buf + 2, (uint16_t)(len - 4));
	return scsi_data_in(task, buf, len);
}
