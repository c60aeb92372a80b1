/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Text data segments (RFC 7143 6.1): key=value pairs, each ended by a NUL.
 */
#ifndef ISTM_TARGET_ISCSI_TEXT_H
#define ISTM_TARGET_ISCSI_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ISCSI_KEY_MAX	63  /* RFC 7143 6.1 standard-label */
#define ISCSI_VALUE_MAX 255 /* and values, unless binary */

/* The longest text that one negotiation may carry over several PDUs. */
#define ISCSI_TEXT_MAX 65536u

struct iscsi_text_iter {
	const char *p, *end;
};

/*
 * Take the next pair. Key and value point into the segment.
 * @return 1 with a pair, 0 at the end, -1 when the text is malformed: a key
 *         that is no standard-label, no '=', no NUL at the end
 */
int iscsi_text_next(struct iscsi_text_iter *it, const char **key,
		    const char **value);

/* A text under construction; malloc'ed, free with iscsi_text_free(). */
struct iscsi_text {
	char *data;
	size_t len, size;
	bool failed; /* out of memory or too long; nothing more is added */
};

/* Walk over the pairs of a text. */
static inline struct iscsi_text_iter iscsi_text_pairs(struct iscsi_text *text)
{
	const char *p = text->data ? text->data : "";

	return (struct iscsi_text_iter){p, p + text->len};
}

void iscsi_text_append(struct iscsi_text *text, const void *data, size_t len,
		       size_t limit);
void iscsi_text_add(struct iscsi_text *text, const char *key,
		    const char *value);
void iscsi_text_add_number(struct iscsi_text *text, const char *key,
			   uint32_t value);
void iscsi_text_free(struct iscsi_text *text);

/* @return -1 when it is none */
int iscsi_hex_digit(char c);

/* Numerical values, decimal or 0x hexadecimal (RFC 7143 6.1), whole string.
 * @return false when it is none or does not fit */
bool iscsi_text_number(const char *value, uint32_t *number);

/*
 * Binary values, 0x hexadecimal or 0b base64 (RFC 7143 6.1).
 * @return the length, or -1 when malformed, empty or longer than @max
 */
int iscsi_text_binary(const char *value, uint8_t *out, size_t max);
/* Write as 0x…; @out has room for 2 * @len + 3. */
void iscsi_text_hex(const uint8_t *data, size_t len, char *out);

/* Does a comma-separated list contain the value? */
bool iscsi_text_list_has(const char *list, const char *value);

#endif /* ISTM_TARGET_ISCSI_TEXT_H */
