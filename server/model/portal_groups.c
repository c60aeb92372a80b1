/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * istm:portal group N: which portals are one target port (RFC 7143 4.4.2),
 * and how well disks are reached through it (SPC-4 5.16.2).
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "server/model/names.h"
#include "server/model/private.h"

#define DEFAULT_GROUP 1 /* of portals that no option names */

struct network {
	struct sockaddr_storage addr;
	unsigned prefix; /* bits */
};

struct portal_group {
	uint16_t tag;
	enum scsi_access access;
	struct network *networks;
	size_t num_networks;
};

struct portal_groups {
	struct portal_group *groups;
	size_t num;
};

static const char *const access_names[SCSI_ACCESS_NUM] = {
	[SCSI_ACCESS_OPTIMIZED] = "optimized",
	[SCSI_ACCESS_NON_OPTIMIZED] = "non-optimized",
	[SCSI_ACCESS_STANDBY] = "standby",
	[SCSI_ACCESS_UNAVAILABLE] = "unavailable",
};

/* ---- networks ---- */

static const uint8_t *address_bytes(const struct sockaddr_storage *addr,
				    unsigned *bits)
{
	if (addr->ss_family == AF_INET) {
		const struct sockaddr_in *in = (const void *)addr;

		*bits = 32;
		return (const uint8_t *)&in->sin_addr;
	}
	*bits = 128;
	return ((const struct sockaddr_in6 *)(const void *)addr)
		->sin6_addr.s6_addr;
}

static bool is_within(const struct sockaddr_storage *addr,
		      const struct network *network)
{
	unsigned bits, whole = network->prefix / 8, rest = network->prefix % 8;
	const uint8_t *a = address_bytes(addr, &bits);
	const uint8_t *n = address_bytes(&network->addr, &bits);
	uint8_t mask = (uint8_t)(0xff00 >> rest);

	return addr->ss_family == network->addr.ss_family &&
	       memcmp(a, n, whole) == 0 &&
	       (rest == 0 || ((a[whole] ^ n[whole]) & mask) == 0);
}

/* "10.0.0.1", "10.0.0.0/24", "fd00::/64", "[fd00::]/64" */
static bool parse_network(const char *text, struct network *network)
{
	const char *slash = strchr(text, '/');
	char address[128];
	unsigned bits;
	char *end;

	if (slash == NULL) {
		slash = text + strlen(text);
	}
	if ((size_t)(slash - text) >= sizeof(address)) {
		return false;
	}
	memcpy(address, text, slash - text);
	address[slash - text] = '\0';
	if (!name_parse_address(address, &network->addr)) {
		return false;
	}
	address_bytes(&network->addr, &bits);
	network->prefix = bits;
	if (*slash == '\0') {
		return true;
	}
	if (!isdigit((unsigned char)slash[1])) {
		return false;
	}
	network->prefix = strtoul(slash + 1, &end, 10);
	return *end == '\0' && end - slash <= 4 && network->prefix <= bits;
}

/* ---- the options ---- */

static bool parse_networks(struct portal_groups *groups,
			   struct portal_group *group, const char **networks)
{
	size_t n = 0;

	while (networks != NULL && networks[n] != NULL) {
		n++;
	}
	group->networks = talloc_zero_array(groups, struct network, n);
	if (group->networks == NULL) {
		return false;
	}
	for (; group->num_networks < n; group->num_networks++) {
		const char *text = networks[group->num_networks];

		if (!parse_network(text,
				   &group->networks[group->num_networks])) {
			log_msg(LOG_ERROR,
				"istm:portal group %u: '%s' is no "
				"ADDRESS[/PREFIX]",
				(unsigned)group->tag, text);
			return false;
		}
	}
	if (n == 0 && group->tag != DEFAULT_GROUP) {
		log_msg(LOG_ERROR,
			"istm:portal group %u access: istm:portal group %u "
			"names no addresses",
			(unsigned)group->tag, (unsigned)group->tag);
		return false;
	}
	return true;
}

static bool parse_access(struct portal_group *group, const char *text)
{
	if (text == NULL) {
		group->access = SCSI_ACCESS_OPTIMIZED;
		return true;
	}
	for (unsigned i = 0; i < SCSI_ACCESS_NUM; i++) {
		if (strcasecmp(access_names[i], text) == 0) {
			group->access = (enum scsi_access)i;
			return true;
		}
	}
	log_msg(LOG_ERROR,
		"istm:portal group %u access = %s: not one of optimized, "
		"non-optimized, standby, unavailable",
		(unsigned)group->tag, text);
	return false;
}

/* NULL: none of them has it. */
static const struct portal_group *find_best(const struct portal_groups *groups,
					    const struct sockaddr_storage *addr,
					    unsigned *prefix)
{
	const struct portal_group *best = NULL;

	for (size_t i = 0; i < groups->num; i++) {
		const struct portal_group *group = &groups->groups[i];

		for (size_t k = 0; k < group->num_networks; k++) {
			const struct network *network = &group->networks[k];

			if (is_within(addr, network) &&
			    (best == NULL || network->prefix > *prefix)) {
				best = group;
				*prefix = network->prefix;
			}
		}
	}
	return best;
}

/* The same network in two groups. */
static bool is_ambiguous(const struct portal_groups *groups)
{
	for (size_t i = 0; i < groups->num; i++) {
		const struct portal_group *group = &groups->groups[i];

		for (size_t k = 0; k < group->num_networks; k++) {
			const struct network *network = &group->networks[k];
			const struct portal_group *first;
			unsigned prefix = 0;

			first = find_best(groups, &network->addr, &prefix);
			if (first != group && prefix == network->prefix) {
				log_msg(LOG_ERROR,
					"istm:portal group %u and %u have the "
					"same network",
					(unsigned)first->tag,
					(unsigned)group->tag);
				return true;
			}
		}
	}
	return false;
}

struct portal_groups *portal_groups_parse(TALLOC_CTX *mem_ctx,
					  const struct model_options *options)
{
	struct portal_groups *groups =
		talloc_zero(mem_ctx, struct portal_groups);
	size_t n = options->num_portal_groups;

	if (groups == NULL) {
		return NULL;
	}
	groups->groups = talloc_zero_array(groups, struct portal_group, n);
	if (groups->groups == NULL) {
		talloc_free(groups);
		return NULL;
	}
	for (; groups->num < n; groups->num++) {
		const struct model_portal_group_config *config =
			&options->portal_groups[groups->num];
		struct portal_group *group = &groups->groups[groups->num];

		group->tag = config->tag;
		if (!parse_networks(groups, group, config->networks) ||
		    !parse_access(group, config->access)) {
			talloc_free(groups);
			return NULL;
		}
	}
	/* One is for those that no option names. */
	if (n >= SCSI_MAX_PORTS) {
		log_msg(LOG_ERROR,
			"istm:portal group: %zu groups, there can be %u", n,
			SCSI_MAX_PORTS - 1);
		TALLOC_FREE(groups);
	} else if (is_ambiguous(groups)) {
		TALLOC_FREE(groups);
	}
	return groups;
}

uint16_t portal_group_of(const struct portal_groups *groups,
			 const struct sockaddr_storage *addr)
{
	unsigned prefix = 0;
	const struct portal_group *group = find_best(groups, addr, &prefix);

	return group != NULL ? group->tag : DEFAULT_GROUP;
}

/* ---- the target ---- */

static void group_set(struct model *model, uint16_t tag,
		      enum scsi_access access)
{
	int error = iscsi_portal_group_set(model->engine, tag, access);

	if (error != 0) {
		log_msg(LOG_ERROR, "portal group %u: %s%s", (unsigned)tag,
			strerror(error),
			error == ENOSPC ? " for more groups without a restart"
					: "");
		return;
	}
	log_msg(LOG_INFO, "portal group %u: %s", (unsigned)tag,
		access_names[access]);
}

static const struct portal_group *group_find(const struct portal_groups *groups,
					     uint16_t tag)
{
	for (size_t i = 0; i < groups->num; i++) {
		if (groups->groups[i].tag == tag) {
			return &groups->groups[i];
		}
	}
	return NULL;
}

void portal_groups_apply(struct model *model, struct portal_groups *groups)
{
	struct portal_groups *before = model->portal_groups;

	for (size_t i = 0; i < groups->num; i++) {
		const struct portal_group *group = &groups->groups[i];
		const struct portal_group *old =
			before != NULL ? group_find(before, group->tag) : NULL;

		if (old == NULL || old->access != group->access) {
			group_set(model, group->tag, group->access);
		}
	}
	/* A target port does not go while initiators may know it. */
	for (size_t i = 0; before != NULL && i < before->num; i++) {
		uint16_t tag = before->groups[i].tag;

		if (group_find(groups, tag) == NULL) {
			group_set(model, tag, SCSI_ACCESS_OPTIMIZED);
		}
	}
	model->portal_groups = talloc_steal(model, groups);
	talloc_free(before);
}
