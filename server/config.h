/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * istmd's part of smb.conf: the parametric options `istm:…` of [global]
 * (docs/man/istmd.8), and what it takes from Samba's own.
 *
 * Main thread only.
 */
#ifndef ISTM_CONFIG_H
#define ISTM_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <talloc.h>

struct loadparm_context;

/* Space is low below so many bytes, or below this part of the volume's size if
 * that is not 0; both 0: never. */
struct config_threshold {
	uint64_t bytes;
	unsigned percent;
};

struct config_volume {
	char letter;
	const char *path;
};

/* istm:portal group N */
struct config_portal_group {
	uint16_t tag;
	const char **networks; /* NULL-terminated, as written; none: NULL */
	const char *access;    /* as written, or NULL */
};

struct config {
	const char *state_directory; /* of istm.tdb */
	struct config_volume *volumes;
	size_t num_volumes;
	const char **portals;	/* NULL-terminated, as written */
	const char **addresses; /* the same without ports */
	struct config_portal_group *portal_groups; /* ascending */
	size_t num_portal_groups;
	const char **admin_users; /* NULL-terminated */
	const char **redirect, **redirect_permanently;
	unsigned lane_spin; /* µs */
	unsigned session_connections;
	uint64_t buffers; /* bytes */
	bool discovery_chap;
	unsigned lanes;
	bool direct_io, write_through; /* istm:disk cache */
	/* istm:thin threshold, of volumes A to Z */
	struct config_threshold thresholds[26];
	const char *netbios_name, *dns_name; /* dns_name may be NULL */
	unsigned epmapper_port;
	unsigned object_port_low, object_port_high;
	unsigned ping_period; /* ms, 0: the standard's */
	unsigned max_connections, max_objects, max_references; /* 0: default */
	unsigned max_luns;	/* disks of a target; 0: as Windows */
	uint64_t max_disk_size; /* bytes; 0: as Windows */
	unsigned vhdx_sector;	/* bytes, logical, of new VHDX files */
	bool self_check;	/* for tests: of all tables, after each call */
};

/*
 * Read all options. A value that makes no sense is refused with a line in the
 * log that names it; options `istm:…` that there are not are told there and
 * ignored.
 * @return child of @mem_ctx, or NULL
 */
struct config *config_load(TALLOC_CTX *mem_ctx,
			   struct loadparm_context *lp_ctx);

/* The address within "ADDRESS", "ADDRESS:PORT" or "[ADDRESS]:PORT"; child of
 * @mem_ctx; NULL where there is no numeric address. */
char *config_portal_address(TALLOC_CTX *mem_ctx, const char *portal);

#endif /* ISTM_CONFIG_H */
