/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "target/iscsi_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* RFC 7143 6.1: a standard-label begins with a capital letter; the keys of
 * the standards also have lower case first (iSCSIProtocolLevel). */
static bool key_char(char c, bool first)
{
	if ((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'))
		return true;
	if (first)
		return false;
	return (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '+' ||
	       c == '@' || c == '_' || c == '#';
}

int iscsi_text_next(struct iscsi_text_iter *it, const char **key,
		    const char **value)
{
	const char *start, *nul, *eq;

	/* Some initiators count the padding into the data segment. */
	while (it->p < it->end && *it->p == '\0')
		it->p++;
	if (it->p == it->end)
		return 0;
	start = it->p;
	nul = memchr(start, '\0', (size_t)(it->end - start));
	if (!nul)
		return -1;
	eq = memchr(start, '=', (size_t)(nul - start));
	if (!eq || eq == start || eq - start > ISCSI_KEY_MAX)
		return -1;
	for (const char *p = start; p < eq; p++) {
		if (!key_char(*p, p == start))
			return -1;
	}
	*key = start;
	*value = eq + 1;
	it->p = nul + 1;
	return 1;
}

void iscsi_text_append(struct iscsi_text *text, const void *data, size_t len,
		       size_t limit)
{
	if (text->failed || len == 0)
		return;
	if (len > limit || text->len > limit - len) {
		text->failed = true;
		return;
	}
	if (text->len + len > text->size) {
		size_t size = text->size ? text->size : 512;
		char *p;

		while (size < text->len + len)
			size *= 2;
		p = realloc(text->data, size);
		if (!p) {
			text->failed = true;
			return;
		}
		text->data = p;
		text->size = size;
	}
	memcpy(text->data + text->len, data, len);
	text->len += len;
}

/* What we say ourselves may be longer than what we take: SendTargets=All
 * on a server with thousands of targets. */
#define OWN_TEXT_MAX (64u << 20)

void iscsi_text_add(struct iscsi_text *text, const char *key, const char *value)
{
	iscsi_text_append(text, key, strlen(key), OWN_TEXT_MAX);
	iscsi_text_append(text, "=", 1, OWN_TEXT_MAX);
	iscsi_text_append(text, value, strlen(value) + 1, OWN_TEXT_MAX);
}

void iscsi_text_add_number(struct iscsi_text *text, const char *key,
			   uint32_t value)
{
	char number[16];

	snprintf(number, sizeof(number), "%u", value);
	iscsi_text_add(text, key, number);
}

void iscsi_text_free(struct iscsi_text *text)
{
	free(text->data);
	memset(text, 0, sizeof(*text));
}

int iscsi_hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static bool hex_prefix(const char *value)
{
	return value[0] == '0' && (value[1] == 'x' || value[1] == 'X');
}

bool iscsi_text_number(const char *value, uint32_t *number)
{
	uint64_t n = 0;
	unsigned base = 10;

	if (hex_prefix(value)) {
		base = 16;
		value += 2;
	}
	if (*value == '\0')
		return false;
	for (; *value; value++) {
		int d = iscsi_hex_digit(*value);

		if (d < 0 || (unsigned)d >= base)
			return false;
		n = n * base + (unsigned)d;
		if (n > UINT32_MAX)
			return false;
	}
	*number = (uint32_t)n;
	return true;
}

static int hex_binary(const char *value, uint8_t *out, size_t max)
{
	size_t digits = strlen(value), len = (digits + 1) / 2, i = 0;

	if (len == 0 || len > max)
		return -1;
	/* An odd number of digits has a leading zero in mind. */
	if (digits % 2) {
		int d = iscsi_hex_digit(*value++);

		if (d < 0)
			return -1;
		out[i++] = (uint8_t)d;
	}
	for (; i < len; i++, value += 2) {
		int high = iscsi_hex_digit(value[0]),
		    low = iscsi_hex_digit(value[1]);

		if (high < 0 || low < 0)
			return -1;
		out[i] = (uint8_t)(high << 4 | low);
	}
	return (int)len;
}

static int base64_digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+')
		return 62;
	if (c == '/')
		return 63;
	return -1;
}

static int base64_binary(const char *value, uint8_t *out, size_t max)
{
	size_t n = strlen(value), pad = 0, len;
	uint32_t bits = 0;
	unsigned have = 0;

	if (n == 0 || n % 4)
		return -1;
	while (pad < 2 && value[n - 1 - pad] == '=')
		pad++;
	len = n / 4 * 3 - pad;
	if (len == 0 || len > max)
		return -1;
	len = 0;
	for (size_t i = 0; i < n - pad; i++) {
		int d = base64_digit(value[i]);

		if (d < 0)
			return -1;
		bits = bits << 6 | (unsigned)d;
		have += 6;
		if (have >= 8) {
			have -= 8;
			out[len++] = (uint8_t)(bits >> have);
		}
	}
	return (int)len;
}

int iscsi_text_binary(const char *value, uint8_t *out, size_t max)
{
	if (hex_prefix(value))
		return hex_binary(value + 2, out, max);
	if (value[0] == '0' && (value[1] == 'b' || value[1] == 'B'))
		return base64_binary(value + 2, out, max);
	return -1;
}

void iscsi_text_hex(const uint8_t *data, size_t len, char *out)
{
	static const char digits[] = "0123456789abcdef";

	*out++ = '0';
	*out++ = 'x';
	for (size_t i = 0; i < len; i++) {
		*out++ = digits[data[i] >> 4];
		*out++ = digits[data[i] & 15];
	}
	*out = '\0';
}

bool iscsi_text_list_has(const char *list, const char *value)
{
	size_t len = strlen(value);

	while (*list) {
		size_t n = strcspn(list, ",");

		if (n == len && memcmp(list, value, n) == 0)
			return true;
		list += n;
		if (*list == ',')
			list++;
	}
	return false;
}
