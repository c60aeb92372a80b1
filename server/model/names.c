/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "server/core/utf8.h"
#include "server/model/names.h"

/* RFC 3722 6: of ASCII only letters, digits, dash, dot and colon. Of the rest,
 * what its tables of prohibited characters leave. */
static bool iscsi_char(uint32_t c)
{
	if (c < 0x80) {
		return isalnum((int)c) || c == '-' || c == '.' || c == ':';
	}
	return c >= 0xa1 && c != 0x1680 && !(c >= 0x2000 && c <= 0x206f) &&
	       c != 0x3000 && c != 0x3002 && !(c >= 0xe000 && c <= 0xf8ff) &&
	       !(c >= 0xfe00 && c <= 0xfe0f) && c != 0xfeff &&
	       !(c >= 0xfff0 && c <= 0xffff) && c < 0xe0000;
}

static bool iscsi_chars(const char *name)
{
	size_t len = strlen(name), taken;

	if (len == 0 || len > ISCSI_NAME_MAX) {
		return false;
	}
	for (; len > 0; name += taken, len -= taken) {
		uint32_t c = utf8_next(name, len, &taken);

		if (c == UTF8_INVALID || !iscsi_char(c)) {
			return false;
		}
	}
	return true;
}

bool name_valid_target(const char *name)
{
	return iscsi_chars(name);
}

static bool all_hex(const char *s, size_t len)
{
	return strlen(s) == len && strspn(s, "0123456789abcdefABCDEF") == len;
}

/* yyyy-mm.reversed.domain[:anything] */
static bool valid_iqn(const char *s)
{
	size_t digits;

	for (int i = 0; i < 4; i++) {
		if (!isdigit((unsigned char)s[i])) {
			return false;
		}
	}
	if (s[4] != '-') {
		return false;
	}
	s += 5;
	digits = strspn(s, "0123456789");
	if (digits < 1 || digits > 2 || s[digits] != '.') {
		return false;
	}
	if (digits == 2 ? !((s[0] == '0' && s[1] >= '1') ||
			    (s[0] == '1' && s[1] <= '2'))
			: s[0] == '0') {
		return false;
	}
	s += digits + 1;
	/* The domain: labels that are not empty. */
	if (*s == '\0' || *s == '.' || *s == ':') {
		return false;
	}
	for (; *s != '\0' && *s != ':'; s++) {
		if (s[0] == '.' &&
		    (s[1] == '.' || s[1] == ':' || s[1] == '\0')) {
			return false;
		}
	}
	return true;
}

bool name_valid_iscsi(const char *name)
{
	if (!iscsi_chars(name)) {
		return false;
	}
	if (strncasecmp(name, "iqn.", 4) == 0) {
		return valid_iqn(name + 4);
	}
	if (strncasecmp(name, "eui.", 4) == 0) {
		return all_hex(name + 4, 16);
	}
	if (strncasecmp(name, "naa.", 4) == 0) {
		return all_hex(name + 4, 16) || all_hex(name + 4, 32);
	}
	return false;
}

char *name_normalise_iscsi(TALLOC_CTX *mem_ctx, const char *name)
{
	return utf8_lower(mem_ctx, name);
}

/* Append @s, lower case, what no name may have as a dash. */
static char *append_iscsi(char *out, const char *s)
{
	char *lower;

	if (out == NULL) {
		return NULL;
	}
	lower = utf8_lower(out, s);
	if (lower == NULL) {
		return NULL;
	}
	for (char *p = lower; *p != '\0'; p++) {
		unsigned char c = *p;

		if (!isalnum(c) && c != '-' && c != '.' && c != ':') {
			*p = '-';
		}
	}
	return talloc_strdup_append_buffer(out, lower);
}

char *name_generate_iqn(TALLOC_CTX *mem_ctx, const char *host,
			const char *target, unsigned attempt)
{
	char tail[32] = "-target";
	char *name = talloc_strdup(mem_ctx, "iqn.1991-05.com.microsoft:");

	if (attempt > 0) {
		snprintf(tail, sizeof(tail), "-target-%u", attempt + 1);
	}
	name = append_iscsi(name, host);
	name = append_iscsi(name, "-");
	name = append_iscsi(name, target);
	if (name == NULL) {
		return NULL;
	}
	talloc_free_children(name);
	if (strlen(name) + strlen(tail) > ISCSI_NAME_MAX) {
		name[ISCSI_NAME_MAX - strlen(tail)] = '\0';
	}
	return talloc_strdup_append(name, tail);
}

/* RFC 1123 2.1: labels of letters, digits and dashes, 63 at most. */
static bool valid_dns(const char *s)
{
	size_t total = strlen(s);

	if (total == 0 || total > 255) {
		return false;
	}
	for (;;) {
		size_t len = strcspn(s, ".");

		if (len == 0 || len > 63 || s[0] == '-' || s[len - 1] == '-') {
			return false;
		}
		for (size_t i = 0; i < len; i++) {
			/* Windows' own host names may have an underscore. */
			if (!isalnum((unsigned char)s[i]) && s[i] != '-' &&
			    s[i] != '_') {
				return false;
			}
		}
		s += len;
		if (s[0] == '\0' || s[1] == '\0') {
			return true;
		}
		s++;
	}
}

/* MAC-48 with dashes, 00-15-5d-01-02-03 */
static bool valid_mac(const char *s)
{
	if (strlen(s) != 17) {
		return false;
	}
	for (int i = 0; i < 17; i++) {
		if (i % 3 == 2 ? s[i] != '-' : !isxdigit((unsigned char)s[i])) {
			return false;
		}
	}
	return true;
}

static bool valid_netbios(const char *s)
{
	size_t len = strlen(s);

	return len >= 1 && len <= 15 && utf8_valid(s) &&
	       strcspn(s, "\\/:*?\"<>|") == len && s[0] != '.';
}

char *name_canonical_id(TALLOC_CTX *mem_ctx, enum iscsi_id_method method,
			const char *value)
{
	struct sockaddr_storage addr;
	char *canonical;

	switch (method) {
	case ISCSI_ID_NETBIOS:
		return valid_netbios(value) ? utf8_lower(mem_ctx, value) : NULL;
	case ISCSI_ID_DNS:
		if (!valid_dns(value)) {
			return NULL;
		}
		canonical = utf8_lower(mem_ctx, value);
		if (canonical != NULL &&
		    canonical[strlen(canonical) - 1] == '.') {
			canonical[strlen(canonical) - 1] = '\0';
		}
		return canonical;
	case ISCSI_ID_IPV4:
	case ISCSI_ID_IPV6:
		if (value[0] == '[' || !name_parse_address(value, &addr) ||
		    addr.ss_family !=
			    (method == ISCSI_ID_IPV4 ? AF_INET : AF_INET6)) {
			return NULL;
		}
		return name_format_address(mem_ctx, &addr);
	case ISCSI_ID_MAC:
		return valid_mac(value) ? utf8_lower(mem_ctx, value) : NULL;
	case ISCSI_ID_IQN:
		return name_valid_iscsi(value)
			       ? name_normalise_iscsi(mem_ctx, value)
			       : NULL;
	}
	return NULL;
}

bool name_parse_address(const char *text, struct sockaddr_storage *addr)
{
	struct sockaddr_in *in4 = (struct sockaddr_in *)addr;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)addr;
	char copy[INET6_ADDRSTRLEN + 2];
	size_t len = strlen(text);

	memset(addr, 0, sizeof(*addr));
	if (len >= sizeof(copy)) {
		return false;
	}
	if (len > 2 && text[0] == '[' && text[len - 1] == ']') {
		memcpy(copy, text + 1, len - 2);
		copy[len - 2] = '\0';
	} else {
		memcpy(copy, text, len + 1);
		if (inet_pton(AF_INET, copy, &in4->sin_addr) == 1) {
			in4->sin_family = AF_INET;
			return true;
		}
	}
	if (inet_pton(AF_INET6, copy, &in6->sin6_addr) == 1) {
		in6->sin6_family = AF_INET6;
		return true;
	}
	return false;
}

char *name_format_address(TALLOC_CTX *mem_ctx,
			  const struct sockaddr_storage *addr)
{
	const struct sockaddr_in *in4 = (const struct sockaddr_in *)addr;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)addr;
	const uint8_t *a;

	if (addr->ss_family == AF_INET) {
		a = (const uint8_t *)&in4->sin_addr;
		return talloc_asprintf(mem_ctx, "%u.%u.%u.%u", a[0], a[1], a[2],
				       a[3]);
	}
	a = in6->sin6_addr.s6_addr;
	return talloc_asprintf(mem_ctx, "%x:%x:%x:%x:%x:%x:%x:%x",
			       a[0] << 8 | a[1], a[2] << 8 | a[3],
			       a[4] << 8 | a[5], a[6] << 8 | a[7],
			       a[8] << 8 | a[9], a[10] << 8 | a[11],
			       a[12] << 8 | a[13], a[14] << 8 | a[15]);
}

bool name_parse_portal(const char *text, struct sockaddr_storage *addr,
		       uint16_t *port)
{
	char copy[128];
	const char *colon = strrchr(text, ':');
	char *end;
	long number;

	*port = 0;
	if (name_parse_address(text, addr)) {
		return true;
	}
	if (colon == NULL || (size_t)(colon - text) >= sizeof(copy)) {
		return false;
	}
	memcpy(copy, text, colon - text);
	copy[colon - text] = '\0';
	/* strtol() takes blanks and signs too. */
	number = isdigit((unsigned char)colon[1]) ? strtol(colon + 1, &end, 10)
						  : 0;
	if (number < 1 || number > UINT16_MAX || *end != '\0') {
		return false;
	}
	*port = number;
	return name_parse_address(copy, addr);
}
