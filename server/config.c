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

#define MAX_LANES 64u

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

/*
 * An option, or one for each volume ("?" is its letter) or portal group ("#" is
 * its number).
 */
struct option {
	const char *name;
	/* False: it makes no sense, and has been logged. NULL: another one's
	 * does it. */
	bool (*read)(struct config *config, struct loadparm_context *lp,
		     const struct option *o);
	size_t field;		  /* what of struct config it is */
	uint64_t min, max, unset; /* of numbers and sizes */
};

static void *field_of(struct config *config, const struct option *o)
{
	return (char *)config + o->field;
}

static const char *get_string(struct loadparm_context *lp, const char *option)
{
	const char *value = lpcfg_parm_string(lp, NULL, "istm", option);

	return value != NULL && value[0] != '\0' ? value : NULL;
}

static bool read_string(struct config *config, struct loadparm_context *lp,
			const struct option *o)
{
	const char **value = field_of(config, o);
	const char *text = get_string(lp, o->name);

	if (text != NULL) {
		*value = talloc_strdup(config, text);
	}
	return text == NULL || *value != NULL;
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

static bool read_list(struct config *config, struct loadparm_context *lp,
		      const struct option *o)
{
	return get_list(config, lp, o->name, field_of(config, o));
}

static bool read_number(struct config *config, struct loadparm_context *lp,
			const struct option *o)
{
	const char *text = get_string(lp, o->name);
	unsigned *value = field_of(config, o);
	unsigned long n;
	char *end;

	*value = (unsigned)o->unset;
	if (text == NULL) {
		return true;
	}
	errno = 0;
	n = strtoul(text, &end, 10);
	if (errno != 0 || *end != '\0' || !isdigit((unsigned char)text[0]) ||
	    n < o->min || n > o->max) {
		log_msg(LOG_ERROR,
			"istm:%s = %s: not a number from %llu to %llu", o->name,
			text, (unsigned long long)o->min,
			(unsigned long long)o->max);
		return false;
	}
	*value = (unsigned)n;
	return true;
}

/* As Samba's own booleans, but anything else is refused. */
static bool read_bool(struct config *config, struct loadparm_context *lp,
		      const struct option *o)
{
	static const struct {
		const char *name;
		bool value;
	} names[] = {
		{"yes", true}, {"true", true},	 {"on", true},	 {"1", true},
		{"no", false}, {"false", false}, {"off", false}, {"0", false},
	};
	const char *text = get_string(lp, o->name);
	bool *value = field_of(config, o);

	if (text == NULL) {
		return true;
	}
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcasecmp(text, names[i].name) == 0) {
			*value = names[i].value;
			return true;
		}
	}
	log_msg(LOG_ERROR, "istm:%s = %s: neither yes nor no", o->name, text);
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

static bool read_size(struct config *config, struct loadparm_context *lp,
		      const struct option *o)
{
	const char *text = get_string(lp, o->name);

	if (text != NULL &&
	    !parse_size(text, o->min, o->max, field_of(config, o))) {
		log_msg(LOG_ERROR,
			"istm:%s = %s: not a size from %lluM to %lluM", o->name,
			text, (unsigned long long)o->min >> 20,
			(unsigned long long)o->max >> 20);
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

/* Of all volumes. */
static bool read_threshold(struct config *config, struct loadparm_context *lp,
			   const struct option *o)
{
	struct config_threshold common = {.percent = THIN_THRESHOLD};

	if (!get_threshold(lp, o->name, &common)) {
		return false;
	}
	for (unsigned i = 0; i < 26; i++) {
		config->thresholds[i] = common;
	}
	return true;
}

static void name_of_volume(char name[32], const struct option *o, char letter)
{
	snprintf(name, 32, "%s", o->name);
	*strchr(name, '?') = letter;
}

static bool read_thresholds(struct config *config, struct loadparm_context *lp,
			    const struct option *o)
{
	char name[32];

	for (unsigned i = 0; i < 26; i++) {
		name_of_volume(name, o, (char)('A' + i));
		if (!get_threshold(lp, name, &config->thresholds[i])) {
			return false;
		}
	}
	return true;
}

static bool read_volumes(struct config *config, struct loadparm_context *lp,
			 const struct option *o)
{
	char name[32];

	config->volumes = talloc_zero_array(config, struct config_volume, 26);
	if (config->volumes == NULL) {
		return false;
	}
	for (char letter = 'A'; letter <= 'Z'; letter++) {
		struct config_volume *v = &config->volumes[config->num_volumes];
		const char *path;

		name_of_volume(name, o, letter);
		path = get_string(lp, name);
		if (path == NULL) {
			continue;
		}
		if (path[0] != '/') {
			log_msg(LOG_ERROR, "istm:%s = %s: not an absolute path",
				name, path);
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

static bool read_portals(struct config *config, struct loadparm_context *lp,
			 const struct option *o)
{
	size_t n = 0;

	if (!read_list(config, lp, o)) {
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
				"istm:%s: '%s' is no numeric address", o->name,
				config->portals[i]);
			return false;
		}
	}
	return true;
}

/* Both options of each; their values are the model's to understand. */
static bool read_portal_groups(struct config *config,
			       struct loadparm_context *lp,
			       const struct option *o)
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

static bool read_sector(struct config *config, struct loadparm_context *lp,
			const struct option *o)
{
	if (!read_number(config, lp, o)) {
		return false;
	}
	if (config->vhdx_sector != o->min && config->vhdx_sector != o->max) {
		log_msg(LOG_ERROR, "istm:%s = %u: neither 512 nor 4096",
			o->name, config->vhdx_sector);
		return false;
	}
	return true;
}

/* The names of QEMU's cache modes, which mean the same there. */
static bool read_cache(struct config *config, struct loadparm_context *lp,
		       const struct option *o)
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
	const char *mode = get_string(lp, o->name);

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
		"istm:%s = %s: not one of writeback, writethrough, none, "
		"directsync",
		o->name, mode);
	return false;
}

/* ---- all options ---- */

#define FIELD(name)	     offsetof(struct config, name)
#define NUMBER(name, ...)    read_number, FIELD(name), __VA_ARGS__
#define SIZE(name, min, max) read_size, FIELD(name), min, max, 0
#define BOOL(name)	     read_bool, FIELD(name), 0, 0, 0
#define STRING(name)	     read_string, FIELD(name), 0, 0, 0
#define LIST(name)	     read_list, FIELD(name), 0, 0, 0
#define OTHER(read)	     read, 0, 0, 0, 0

/*
 * In the order in which they are read: each volume's threshold is the common
 * one unless it has its own. tests/checks/options compares the names with
 * docs/.
 */
static const struct option options[] = {
	{"admin users", LIST(admin_users)},
	{"buffers", SIZE(buffers, MIN_BUFFERS, MAX_BUFFERS)},
	{"discovery chap", BOOL(discovery_chap)},
	{"disk cache", OTHER(read_cache)},
	{"epmapper port", NUMBER(epmapper_port, 1, 65535, 135)},
	{"lane spin", NUMBER(lane_spin, 0, 1000, LANE_SPIN)},
	{"lanes", NUMBER(lanes, 1, MAX_LANES, 0)},
	{"max connections", NUMBER(max_connections, 2, 100000, 0)},
	{"max disk size", SIZE(max_disk_size, MIN_DISK_SIZE, MAX_DISK_SIZE)},
	{"max luns", NUMBER(max_luns, 1, MAX_LUNS, 0)},
	{"max objects", NUMBER(max_objects, 16, 10000000, 0)},
	{"max references", NUMBER(max_references, 1, 10000000, 0)},
	{"object port", NUMBER(object_port_low, 1, 65535, 0)},
	{"ping period", NUMBER(ping_period, 10, 3600 * 1000, 0)},
	{"portal group #", OTHER(read_portal_groups)},
	{"portal group # access", OTHER(NULL)},
	{"portals", read_portals, FIELD(portals), 0, 0, 0},
	{"redirect", LIST(redirect)},
	{"redirect permanently", LIST(redirect_permanently)},
	{"self check", BOOL(self_check)},
	{"session connections", NUMBER(session_connections, 1, 65535, 0)},
	{"state directory", STRING(state_directory)},
	{"thin threshold", OTHER(read_threshold)},
	{"thin threshold ?", OTHER(read_thresholds)},
	{"vhdx sector size", read_sector, FIELD(vhdx_sector), 512, 4096, 512},
	{"volume ?", OTHER(read_volumes)},
};

#define NUM_OPTIONS (sizeof(options) / sizeof(options[0]))

/* ---- what smb.conf has ---- */

static const char *skip_blanks(const char *s)
{
	while (isspace((unsigned char)*s)) {
		s++;
	}
	return s;
}

static const char *skip_number(const char *s, unsigned *n)
{
	bool canonical = *s != '0';

	*n = 0;
	for (; isdigit((unsigned char)*s); s = skip_blanks(s + 1)) {
		if (*n <= MAX_PORTAL_GROUP) {
			*n = *n * 10 + (unsigned)(*s - '0');
		}
	}
	*n = canonical ? *n : 0;
	return s;
}

/*
 * As Samba compares names: without regard to case and blanks.
 * @param group  the number in place of "#"; out of range where none is meant
 */
static bool is_name(const char *pattern, const char *name, unsigned *group)
{
	for (;;) {
		int want, have;

		pattern = skip_blanks(pattern);
		name = skip_blanks(name);
		want = toupper((unsigned char)*pattern);
		have = toupper((unsigned char)*name);
		if (want == '#') {
			if (!isdigit(have)) {
				return false;
			}
			name = skip_number(name, group);
			pattern++;
			continue;
		}
		if (want == '?' ? have < 'A' || have > 'Z' : have != want) {
			return false;
		}
		if (have == '\0') {
			return true;
		}
		pattern++;
		name++;
	}
}

/* @param name  without "istm:" */
static void warn_if_unknown(const char *name)
{
	for (size_t i = 0; i < NUM_OPTIONS; i++) {
		unsigned group = 1;

		if (!is_name(options[i].name, name, &group)) {
			continue;
		}
		if (group < 1 || group > MAX_PORTAL_GROUP) {
			log_msg(LOG_WARNING,
				"istm:%s is ignored: portal groups are "
				"numbered from 1 to %u",
				name, MAX_PORTAL_GROUP);
		}
		return;
	}
	log_msg(LOG_WARNING, "istm:%s is ignored: istmd has no such option",
		name);
}

/* "istm:name = value", as testparm shows it */
static void check_line(char *line)
{
	char *name = strchr(line, ':'), *end = strchr(line, '=');

	if (name == NULL || end == NULL || name > end) {
		return;
	}
	*name++ = '\0';
	name[strcspn(name, "=")] = '\0';
	while (end > name && isspace((unsigned char)end[-1])) {
		*--end = '\0';
	}
	if (is_name("istm", line, NULL)) {
		warn_if_unknown(skip_blanks(name));
	}
}

/* Samba's library lists options only as the text that testparm shows. */
static void check_names(struct loadparm_context *lp)
{
	char *text = NULL, *line, *save;
	size_t length;
	FILE *f = open_memstream(&text, &length);

	if (f != NULL) {
		lpcfg_dump(lp, f, false, 0);
		if (fclose(f) == 0) {
			for (line = strtok_r(text, "\n", &save); line != NULL;
			     line = strtok_r(NULL, "\n", &save)) {
				check_line(line);
			}
		}
	}
	free(text);
}

/* ---- all of it ---- */

/* What is Samba's, and what depends on the machine. */
static bool fill_in(struct config *config, struct loadparm_context *lp)
{
	const char *domain = lpcfg_dnsdomain(lp);
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	if (config->lanes == 0) {
		config->lanes = cpus < 1	   ? 1
				: cpus > MAX_LANES ? MAX_LANES
						   : (unsigned)cpus;
	}
	config->object_port_high = config->object_port_low;
	if (config->object_port_low == 0) {
		config->object_port_low = lpcfg_rpc_low_port(lp);
		config->object_port_high = lpcfg_rpc_high_port(lp);
	}
	if (config->state_directory == NULL) {
		config->state_directory =
			talloc_strdup(config, lpcfg_private_dir(lp));
	}
	config->netbios_name = talloc_strdup(config, lpcfg_netbios_name(lp));
	if (config->state_directory == NULL || config->netbios_name == NULL) {
		return false;
	}
	if (domain == NULL || domain[0] == '\0') {
		return true;
	}
	config->dns_name =
		talloc_asprintf(config, "%s.%s", config->netbios_name, domain);
	return config->dns_name != NULL;
}

struct config *config_load(TALLOC_CTX *mem_ctx, struct loadparm_context *lp_ctx)
{
	struct config *config = talloc_zero(mem_ctx, struct config);

	if (config == NULL) {
		return NULL;
	}
	check_names(lp_ctx);
	for (size_t i = 0; i < NUM_OPTIONS; i++) {
		if (options[i].read != NULL &&
		    !options[i].read(config, lp_ctx, &options[i])) {
			talloc_free(config);
			return NULL;
		}
	}
	if (!fill_in(config, lp_ctx)) {
		talloc_free(config);
		return NULL;
	}
	return config;
}
