/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "target/iscsi_acl.h"

#include <arpa/inet.h>
#include <errno.h>
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

static bool id_matches(const struct iscsi_acl_id *id, const char *initiator,
		       const struct sockaddr_storage *peer,
		       const struct iscsi_lookup *lookup)
{
	switch (id->method) {
	case ISCSI_ID_IQN:
		return strcasecmp(id->value, initiator) == 0;
	case ISCSI_ID_IPV4:
		return peer->ss_family == AF_INET && id->in4.s_addr &&
		       id->in4.s_addr ==
			       ((const struct sockaddr_in *)(const void *)peer)
				       ->sin_addr.s_addr;
	case ISCSI_ID_IPV6:
		return peer->ss_family == AF_INET6 &&
		       memcmp(&id->in6,
			      &((const struct sockaddr_in6 *)(const void *)peer)
				       ->sin6_addr,
			      sizeof(id->in6)) == 0;
	default:
		return iscsi_lookup_matched(lookup, id);
	}
}

const struct iscsi_acl_id *iscsi_acl_find(const struct iscsi_conf *conf,
					  const char *initiator,
					  const struct sockaddr_storage *peer,
					  const struct iscsi_lookup *lookup)
{
	for (size_t i = 0; i < conf->num_ids; i++) {
		if (id_matches(&conf->ids[i], initiator, peer, lookup))
			return &conf->ids[i];
	}
	return NULL;
}

bool iscsi_acl_check(const struct iscsi_conf *conf, const char *initiator,
		     const struct sockaddr_storage *peer,
		     const struct iscsi_lookup *lookup)
{
	return iscsi_acl_find(conf, initiator, peer, lookup) != NULL;
}

bool iscsi_acl_has(const struct iscsi_conf *conf, const struct iscsi_acl_id *id)
{
	for (size_t i = 0; i < conf->num_ids; i++) {
		if (conf->ids[i].method == id->method &&
		    strcasecmp(conf->ids[i].value, id->value) == 0)
			return true;
	}
	return false;
}

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
