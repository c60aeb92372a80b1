/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include <ndr.h>
#include <param.h>

#include "server/config.h"
#include "server/core/log.h"

#define MAX_LANES 64

/* µs; a little more than an initiator on a fast network takes to answer. */
#define LANE_SPIN 30

/* Percent of a volume that are to be free for thin-provisioned disks. */
#define THIN_THRESHOLD 10

/* Groups are numbered by the administrator; these are looked for. */
#define MAX_PORTAL_GROUP 255

/* What the flat space of LUNs holds; the smallest disk that MS-ISTM knows, and
 * the largest that VHDX does. */
#define MAX_LUNS      16384
#define MIN_BUFFERS   (32ull << 20)
#define MAX_BUFFERS   (1ull << 40)
#define MIN_DISK_SIZE (8ull << 20)
#define MAX_DISK_SIZE (64ull << 40)

/* Samba's own options whose getters are not in its public header. */
int lpcfg_rpc_low_port(struct loadparm_context *lp_ctx);
int lpcfg_rpc_high_port(struct loadparm_context *lp_ctx);

static const char *get_string(struct loadparm_context *lp, const char *option)
{
	const char *value = lpcfg_parm_string(lp, NULL, "istm", option);

	return value != NULL && value[0] != '\0' ? value : NULL;
}

/* @return false, having logged it, for what is no number in the range */
static bool get_number(struct loadparm_context *lp, const char *option,
		       unsigned long min, unsigned long max,
		       unsigned long unset, unsigned long *value)
{
	const char *text = get_string(lp, option);
	char *end;

	*value = unset;
	if (text == NULL) {
		return true;
	}
	errno = 0;
	*value = strtoul(text, &end, 10);
	if (errno != 0 || *end != '\0' || !isdigit((unsigned char)text[0]) ||
	    *value < min || *value > max) {
		log_msg(LOG_ERROR, "istm:%s = %s: not a number from %lu to %lu",
			option, text, min, max);
		return false;
	}
	return true;
}

/* As Samba's own booleans, but anything else is refused. */
static bool get_bool(struct loadparm_context *lp, const char *option,
		     bool *value)
{
	static const struct {
		const char *name;
		bool value;
	} names[] = {
		{"yes", true}, {"true", true},	 {"on", true},	 {"1", true},
		{"no", false}, {"false", false}, {"off", false}, {"0", false},
	};
	const char *text = get_string(lp, option);

	*value = false;
	if (text == NULL) {
		return true;
	}
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcasecmp(text, names[i].name) == 0) {
			*value = names[i].value;
			return true;
		}
	}
	log_msg(LOG_ERROR, "istm:%s = %s: neither yes nor no", option, text);
	return false;
}

/* Bytes, or with one of K, M, G, T behind the number. */
static bool parse_size(const char *text, uint64_t min, uint64_t max,
		       uint64_t *value)
{
	static const char units[] = "KMGT";
	unsigned long long n;
	const char *unit;
	unsigned shift = 0;
	char *end;

	errno = 0;
	n = strtoull(text, &end, 10);
	if (*end != '\0' && end[1] == '\0') {
		unit = strchr(units, toupper((unsigned char)*end));
		if (unit != NULL) {
			shift = 10 * (unit - units + 1);
			end++;
		}
	}
	if (errno != 0 || *end != '\0' || !isdigit((unsigned char)text[0]) ||
	    n > max >> shift || n << shift < min) {
		return false;
	}
	*value = n << shift;
	return true;
}

static bool get_size(struct loadparm_context *lp, const char *option,
		     uint64_t min, uint64_t max, uint64_t *value)
{
	const char *text = get_string(lp, option);

	*value = 0;
	if (text != NULL && !parse_size(text, min, max, value)) {
		log_msg(LOG_ERROR,
			"istm:%s = %s: not a size from %lluM to %lluM", option,
			text, (unsigned long long)min >> 20,
			(unsigned long long)max >> 20);
		return false;
	}
	return true;
}

/* A size, or a percentage: "5%". */
static bool get_threshold(struct loadparm_context *lp, const char *option,
			  struct config_threshold *t)
{
	const char *text = get_string(lp, option);
	char *end;

	if (text == NULL) {
		return true;
	}
	*t = (struct config_threshold){0};
	if (isdigit((unsigned char)text[0])) {
		unsigned long percent = strtoul(text, &end, 10);

		if (strcmp(end, "%") == 0 && percent <= 100) {
			t->percent = (unsigned)percent;
			return true;
		}
		if (parse_size(text, 0, UINT64_MAX, &t->bytes)) {
			return true;
		}
	}
	log_msg(LOG_ERROR,
		"istm:%s = %s: neither a size nor a percentage up to 100%%",
		option, text);
	return false;
}

/* Of all volumes, and of one. */
static bool load_thresholds(struct config *config, struct loadparm_context *lp)
{
	struct config_threshold common = {.percent = THIN_THRESHOLD};
	char option[] = "thin threshold ?";

	if (!get_threshold(lp, "thin threshold", &common)) {
		return false;
	}
	for (unsigned i = 0; i < 26; i++) {
		config->thresholds[i] = common;
		option[sizeof(option) - 2] = (char)('A' + i);
		if (!get_threshold(lp, option, &config->thresholds[i])) {
			return false;
		}
	}
	return true;
}

static bool get_list(struct config *config, struct loadparm_context *lp,
		     const char *option, const char ***list)
{
	*list = lpcfg_parm_string_list(config, lp, NULL, "istm", option, NULL);
	if (*list == NULL) {
		*list = talloc_zero_array(config, const char *, 1);
	}
	return *list != NULL;
}

static bool load_volumes(struct config *config, struct loadparm_context *lp)
{
	char option[] = "volume ?";

	config->volumes = talloc_zero_array(config, struct config_volume, 26);
	if (config->volumes == NULL) {
		return false;
	}
	for (char letter = 'A'; letter <= 'Z'; letter++) {
		struct config_volume *v = &config->volumes[config->num_volumes];
		const char *path;

		option[sizeof(option) - 2] = letter;
		path = get_string(lp, option);
		if (path == NULL) {
			continue;
		}
		if (path[0] != '/') {
			log_msg(LOG_ERROR, "istm:%s = %s: not an absolute path",
				option, path);
			return false;
		}
		v->letter = letter;
		v->path = talloc_strdup(config, path);
		if (v->path == NULL) {
			return false;
		}
		config->num_volumes++;
	}
	return true;
}

char *config_portal_address(TALLOC_CTX *mem_ctx, const char *portal)
{
	const char *colon = strchr(portal, ':');
	uint8_t buf[16];
	char *address;

	if (portal[0] == '[') {
		const char *end = strchr(portal, ']');

		if (end == NULL || (end[1] != '\0' && end[1] != ':')) {
			return NULL;
		}
		address = talloc_strndup(mem_ctx, portal + 1, end - portal - 1);
	} else if (colon != NULL && strchr(colon + 1, ':') == NULL) {
		address = talloc_strndup(mem_ctx, portal, colon - portal);
	} else {
		address = talloc_strdup(mem_ctx, portal);
	}
	if (address != NULL && inet_pton(AF_INET, address, buf) != 1 &&
	    inet_pton(AF_INET6, address, buf) != 1) {
		talloc_free(address);
		return NULL;
	}
	return address;
}

static bool load_portals(struct config *config, struct loadparm_context *lp)
{
	size_t n = 0;

	if (!get_list(config, lp, "portals", &config->portals)) {
		return false;
	}
	while (config->portals[n] != NULL) {
		n++;
	}
	config->addresses = talloc_zero_array(config, const char *, n + 1);
	if (config->addresses == NULL) {
		return false;
	}
	for (size_t i = 0; i < n; i++) {
		config->addresses[i] = config_portal_address(
			config->addresses, config->portals[i]);
		if (config->addresses[i] == NULL) {
			log_msg(LOG_ERROR,
				"istm:portals: '%s' is no numeric address",
				config->portals[i]);
			return false;
		}
	}
	return true;
}

/* Their values are the model's to understand. */
static bool load_portal_groups(struct config *config,
			       struct loadparm_context *lp)
{
	config->portal_groups = talloc_zero_array(
		config, struct config_portal_group, MAX_PORTAL_GROUP);
	if (config->portal_groups == NULL) {
		return false;
	}
	for (uint16_t tag = 1; tag <= MAX_PORTAL_GROUP; tag++) {
		struct config_portal_group group = {.tag = tag};
		char option[32], access[40];

		snprintf(option, sizeof(option), "portal group %u",
			 (unsigned)tag);
		snprintf(access, sizeof(access), "%s access", option);
		if (get_string(lp, option) != NULL &&
		    !get_list(config, lp, option, &group.networks)) {
			return false;
		}
		group.access = get_string(lp, access);
		if (group.access != NULL) {
			group.access = talloc_strdup(config, group.access);
			if (group.access == NULL) {
				return false;
			}
		}
		if (group.networks != NULL || group.access != NULL) {
			config->portal_groups[config->num_portal_groups++] =
				group;
		}
	}
	return true;
}

static bool load_ports(struct config *config, struct loadparm_context *lp)
{
	unsigned long port;

	if (!get_number(lp, "epmapper port", 1, 65535, 135, &port)) {
		return false;
	}
	config->epmapper_port = port;
	if (!get_number(lp, "object port", 1, 65535, 0, &port)) {
		return false;
	}
	if (port != 0) {
		config->object_port_low = config->object_port_high = port;
		return true;
	}
	config->object_port_low = lpcfg_rpc_low_port(lp);
	config->object_port_high = lpcfg_rpc_high_port(lp);
	return true;
}

static bool load_sector(struct config *config, struct loadparm_context *lp)
{
	unsigned long sector;

	if (!get_number(lp, "vhdx sector size", 512, 4096, 512, &sector)) {
		return false;
	}
	if (sector != 512 && sector != 4096) {
		log_msg(LOG_ERROR,
			"istm:vhdx sector size = %lu: neither 512 nor 4096",
			sector);
		return false;
	}
	config->vhdx_sector = (uint32_t)sector;
	return true;
}

static bool load_limits(struct config *config, struct loadparm_context *lp)
{
	unsigned long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned long lanes, ping, connections, objects, references, luns,
		session, spin;

	if (cpus < 1 || cpus > MAX_LANES) {
		cpus = cpus < 1 ? 1 : MAX_LANES;
	}
	if (!get_number(lp, "lanes", 1, MAX_LANES, cpus, &lanes) ||
	    !get_number(lp, "lane spin", 0, 1000, LANE_SPIN, &spin) ||
	    !get_number(lp, "session connections", 1, 65535, 0, &session) ||
	    !get_number(lp, "ping period", 10, 3600 * 1000, 0, &ping) ||
	    !get_number(lp, "max connections", 2, 100000, 0, &connections) ||
	    !get_number(lp, "max objects", 16, 10000000, 0, &objects) ||
	    !get_number(lp, "max references", 1, 10000000, 0, &references) ||
	    !get_size(lp, "buffers", MIN_BUFFERS, MAX_BUFFERS,
		      &config->buffers) ||
	    !get_number(lp, "max luns", 1, MAX_LUNS, 0, &luns) ||
	    !get_size(lp, "max disk size", MIN_DISK_SIZE, MAX_DISK_SIZE,
		      &config->max_disk_size) ||
	    !get_bool(lp, "discovery chap", &config->discovery_chap) ||
	    !get_bool(lp, "self check", &config->self_check)) {
		return false;
	}
	config->lanes = lanes;
	config->lane_spin = spin;
	config->session_connections = session;
	config->ping_period = ping;
	config->max_connections = connections;
	config->max_objects = objects;
	config->max_references = references;
	config->max_luns = luns;
	return true;
}

/* The names of QEMU's cache modes, which mean the same there. */
static bool load_cache(struct config *config, struct loadparm_context *lp)
{
	static const struct {
		const char *name;
		bool direct_io, write_through;
	} modes[] = {
		{"writeback", false, false},
		{"writethrough", false, true},
		{"none", true, false},
		{"directsync", true, true},
	};
	const char *mode = get_string(lp, "disk cache");

	if (mode == NULL) {
		return true;
	}
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		if (strcasecmp(mode, modes[i].name) == 0) {
			config->direct_io = modes[i].direct_io;
			config->write_through = modes[i].write_through;
			return true;
		}
	}
	log_msg(LOG_ERROR,
		"istm:disk cache = %s: not one of writeback, writethrough, "
		"none, directsync",
		mode);
	return false;
}

static bool load_names(struct config *config, struct loadparm_context *lp)
{
	const char *netbios = lpcfg_netbios_name(lp);
	const char *domain = lpcfg_dnsdomain(lp);
	const char *state = get_string(lp, "state directory");

	if (state == NULL) {
		state = lpcfg_private_dir(lp);
	}
	config->state_directory = talloc_strdup(config, state);
	config->netbios_name = talloc_strdup(config, netbios);
	if (config->state_directory == NULL || config->netbios_name == NULL) {
		return false;
	}
	if (domain == NULL || domain[0] == '\0') {
		return true;
	}
	config->dns_name = talloc_asprintf(config, "%s.%s", netbios, domain);
	return config->dns_name != NULL;
}

struct config *config_load(TALLOC_CTX *mem_ctx, struct loadparm_context *lp_ctx)
{
	struct config *config = talloc_zero(mem_ctx, struct config);

	if (config == NULL) {
		return NULL;
	}
	if (!load_names(config, lp_ctx) || !load_volumes(config, lp_ctx) ||
	    !load_portals(config, lp_ctx) ||
	    !load_portal_groups(config, lp_ctx) ||
	    !get_list(config, lp_ctx, "admin users", &config->admin_users) ||
	    !get_list(config, lp_ctx, "redirect", &config->redirect) ||
	    !get_list(config, lp_ctx, "redirect permanently",
		      &config->redirect_permanently) ||
	    !load_ports(config, lp_ctx) || !load_limits(config, lp_ctx) ||
	    !load_thresholds(config, lp_ctx) || !load_sector(config, lp_ctx) ||
	    !load_cache(config, lp_ctx)) {
		talloc_free(config);
		return NULL;
	}
	return config;
}
