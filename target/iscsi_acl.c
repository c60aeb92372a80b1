/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "target/iscsi_acl.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "target/iscsi_lookup.h"

int iscsi_acl_parse(const struct iscsi_id *id, struct iscsi_acl_id *out)
{
	memset(out, 0, sizeof(*out));
	out->method = id->method;
	out->value = strdup(id->value);
	if (!out->value)
		return ENOMEM;
	switch (id->method) {
	case ISCSI_ID_IPV4:
		return inet_pton(AF_INET, id->value, &out->in4) == 1 ? 0
								     : EINVAL;
	case ISCSI_ID_IPV6:
		return inet_pton(AF_INET6, id->value, &out->in6) == 1 ? 0
								      : EINVAL;
	default:
		return 0;
	}
}

/* ---- the list by its entries ---- */

#define NONE UINT32_MAX

/* Alike for names that differ in case only. */
static uint32_t name_key(enum iscsi_id_method method, const char *value)
{
	uint32_t h = ISCSI_HASH_INIT ^ (uint32_t)method;

	for (; *value; value++)
		h = iscsi_hash_byte(h, (uint8_t)tolower((unsigned char)*value));
	return h;
}

static uint32_t id_key(const struct iscsi_acl_id *id)
{
	switch (id->method) {
	case ISCSI_ID_IPV4:
		return iscsi_hash(&id->in4, sizeof(id->in4));
	case ISCSI_ID_IPV6:
		return iscsi_hash(&id->in6, sizeof(id->in6));
	default:
		return name_key(id->method, id->value);
	}
}

int iscsi_acl_index(struct iscsi_conf *conf)
{
	uint32_t buckets = 1, n = (uint32_t)conf->num_ids;

	while (buckets < n)
		buckets *= 2;
	conf->id_first = malloc((buckets + n) * sizeof(*conf->id_first));
	conf->looked_up = malloc((n + 1) * sizeof(*conf->looked_up));
	if (!conf->id_first || !conf->looked_up)
		return ENOMEM;
	conf->id_next = conf->id_first + buckets;
	conf->id_mask = buckets - 1;
	memset(conf->id_first, 0xff, buckets * sizeof(*conf->id_first));
	/* Backwards, so that of two the first of the list is found first. */
	for (uint32_t i = n; i-- > 0;) {
		uint32_t key = id_key(&conf->ids[i]) & conf->id_mask;

		conf->id_next[i] = conf->id_first[key];
		conf->id_first[key] = i;
	}
	for (uint32_t i = 0; i < n; i++) {
		if (iscsi_lookup_needed(conf->ids[i].method))
			conf->looked_up[conf->num_looked_up++] = i;
	}
	return 0;
}

/* The first entry of that method and value: a name, or an address in binary.
 * @return NONE: there is none */
static uint32_t find(const struct iscsi_conf *conf, enum iscsi_id_method method,
		     const char *name, const void *addr)
{
	uint32_t key, i;

	if (method == ISCSI_ID_IPV4)
		key = iscsi_hash(addr, sizeof(struct in_addr));
	else if (method == ISCSI_ID_IPV6)
		key = iscsi_hash(addr, sizeof(struct in6_addr));
	else
		key = name_key(method, name);
	for (i = conf->id_first[key & conf->id_mask]; i != NONE;
	     i = conf->id_next[i]) {
		const struct iscsi_acl_id *id = &conf->ids[i];

		if (id->method != method)
			continue;
		if (method == ISCSI_ID_IPV4
			    ? memcmp(&id->in4, addr, sizeof(id->in4)) == 0
		    : method == ISCSI_ID_IPV6
			    ? memcmp(&id->in6, addr, sizeof(id->in6)) == 0
			    : strcasecmp(id->value, name) == 0)
			break;
	}
	return i;
}

static uint32_t find_address(const struct iscsi_conf *conf,
			     const struct sockaddr_storage *peer)
{
	const struct sockaddr_in *in = (const void *)peer;
	const struct sockaddr_in6 *in6 = (const void *)peer;

	if (peer->ss_family == AF_INET6)
		return find(conf, ISCSI_ID_IPV6, NULL, &in6->sin6_addr);
	/* Entries that are no addresses stand there as 0. */
	if (peer->ss_family != AF_INET || in->sin_addr.s_addr == 0)
		return NONE;
	return find(conf, ISCSI_ID_IPV4, NULL, &in->sin_addr);
}

const struct iscsi_acl_id *iscsi_acl_find(const struct iscsi_conf *conf,
					  const char *initiator,
					  const struct sockaddr_storage *peer,
					  const struct iscsi_lookup *lookup)
{
	uint32_t first = find(conf, ISCSI_ID_IQN, initiator, NULL);
	uint32_t i = find_address(conf, peer);

	if (i < first)
		first = i;
	for (size_t n = 0; lookup && n < lookup->num; n++) {
		if (!lookup->ids[n].matched)
			continue;
		i = find(conf, lookup->ids[n].method, lookup->ids[n].value,
			 NULL);
		if (i < first)
			first = i;
	}
	return first == NONE ? NULL : &conf->ids[first];
}

bool iscsi_acl_check(const struct iscsi_conf *conf, const char *initiator,
		     const struct sockaddr_storage *peer,
		     const struct iscsi_lookup *lookup)
{
	return iscsi_acl_find(conf, initiator, peer, lookup) != NULL;
}

bool iscsi_acl_has(const struct iscsi_conf *conf, const struct iscsi_acl_id *id)
{
	const void *addr =
		id->method == ISCSI_ID_IPV4 ? (const void *)&id->in4 : &id->in6;

	return find(conf, id->method, id->value, addr) != NONE;
}

/* ---- names ---- */

static bool all_hex(const char *s)
{
	return s[strspn(s, "0123456789abcdef")] == '\0';
}

bool iscsi_name_normalize(const char *name, char out[ISCSI_NAME_MAX + 1])
{
	size_t len = strlen(name);

	if (len > ISCSI_NAME_MAX)
		return false;
	for (size_t i = 0; i <= len; i++) {
		unsigned char c = (unsigned char)name[i];

		if (c >= 'A' && c <= 'Z')
			c += 'a' - 'A';
		/* RFC 3722 6: of ASCII, letters, digits, '-', '.' and ':' */
		if (c && c < 0x80 && !(c >= 'a' && c <= 'z') &&
		    !(c >= '0' && c <= '9') && c != '-' && c != '.' && c != ':')
			return false;
		out[i] = (char)c;
	}
	/* RFC 7143 4.2.7.4 to 4.2.7.6 */
	if (strncmp(out, "eui.", 4) == 0)
		return len == 4 + 16 && all_hex(out + 4);
	if (strncmp(out, "naa.", 4) == 0)
		return (len == 4 + 16 || len == 4 + 32) && all_hex(out + 4);
	return strncmp(out, "iqn.", 4) == 0;
}
