/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "client/output.h"

#define MAX_FIELDS 24

struct field {
	const char *name;
	char *text; /* for people */
	char *json; /* a JSON value */
};

struct record {
	struct field fields[MAX_FIELDS];
	size_t num;
};

struct output {
	bool json;
	struct record *records;
	size_t num;
};

struct output *output_new(TALLOC_CTX *mem_ctx, bool json)
{
	struct output *out = talloc_zero(mem_ctx, struct output);

	if (out != NULL) {
		out->json = json;
	}
	return out;
}

void output_record(struct output *out)
{
	out->records =
		talloc_realloc(out, out->records, struct record, out->num + 1);
	if (out->records == NULL) {
		out->num = 0;
		return;
	}
	out->records[out->num++] = (struct record){.num = 0};
}

static void add(struct output *out, const char *name, char *text, char *json)
{
	struct record *r;

	if (out->num == 0) {
		return;
	}
	r = &out->records[out->num - 1];
	if (r->num < MAX_FIELDS && text != NULL && json != NULL) {
		r->fields[r->num++] = (struct field){name, text, json};
	}
}

static char *json_string(TALLOC_CTX *mem_ctx, const char *s)
{
	char *json = talloc_strdup(mem_ctx, "\"");

	for (; *s != '\0' && json != NULL; s++) {
		unsigned char c = *s;

		if (c == '"' || c == '\\') {
			json = talloc_asprintf_append(json, "\\%c", c);
		} else if (c < 0x20 || c == 0x7f) {
			json = talloc_asprintf_append(json, "\\u%04x", c);
		} else {
			json = talloc_asprintf_append(json, "%c", c);
		}
	}
	return json == NULL ? NULL : talloc_strdup_append(json, "\"");
}

/* What a server sends must not drive the terminal. */
static char *printable(TALLOC_CTX *mem_ctx, const char *s)
{
	char *copy = talloc_strdup(mem_ctx, s), *p;

	for (p = copy; p != NULL && *p != '\0'; p++) {
		if ((unsigned char)*p < 0x20 || *p == 0x7f) {
			*p = '?';
		}
	}
	return copy;
}

void output_string(struct output *out, const char *name, const char *value)
{
	value = value != NULL ? value : "";
	add(out, name, printable(out, value), json_string(out, value));
}

void output_number(struct output *out, const char *name, uint64_t value)
{
	char *text = talloc_asprintf(out, "%" PRIu64, value);

	add(out, name, text, text);
}

void output_bool(struct output *out, const char *name, bool value)
{
	add(out, name, talloc_strdup(out, value ? "yes" : "no"),
	    talloc_strdup(out, value ? "true" : "false"));
}

void output_size(struct output *out, const char *name, uint64_t bytes)
{
	static const char *units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
	char *json = talloc_asprintf(out, "%" PRIu64, bytes);
	uint64_t whole = bytes;
	size_t unit = 0;

	while (unit < 4 && whole >= 1024 && whole % 1024 == 0) {
		whole /= 1024;
		unit++;
	}
	if (whole < 10240) {
		add(out, name,
		    talloc_asprintf(out, "%" PRIu64 " %s", whole, units[unit]),
		    json);
		return;
	}
	for (unit = 0; unit < 4 && (bytes >> (10 * (unit + 1))) != 0;) {
		unit++;
	}
	add(out, name,
	    talloc_asprintf(out, "%.1f %s",
			    (double)bytes / (double)(1ull << (10 * unit)),
			    units[unit]),
	    json);
}

static void print_json_record(const struct record *r, const char *indent)
{
	size_t i;

	printf("%s{", indent);
	for (i = 0; i < r->num; i++) {
		printf("%s\"%s\": %s", i > 0 ? ", " : "", r->fields[i].name,
		       r->fields[i].json);
	}
	printf("}");
}

static int width_of(const char *s)
{
	int width = 0;

	for (; *s != '\0'; s++) {
		width += ((unsigned char)*s & 0xc0) != 0x80;
	}
	return width;
}

static void print_table(const struct output *out)
{
	int width[MAX_FIELDS] = {0};
	size_t row, i;

	if (out->num == 0) {
		return;
	}
	for (i = 0; i < out->records[0].num; i++) {
		width[i] = width_of(out->records[0].fields[i].name);
		for (row = 0; row < out->num; row++) {
			int w = width_of(out->records[row].fields[i].text);

			width[i] = w > width[i] ? w : width[i];
		}
	}
	for (row = 0; row <= out->num; row++) {
		const struct record *r = &out->records[row > 0 ? row - 1 : 0];
		int blanks = 0; /* due before the next text */

		for (i = 0; i < r->num; i++) {
			const char *s = row == 0 ? r->fields[i].name
						 : r->fields[i].text;

			/* No blanks at the end of a line. */
			blanks = s[0] == '\0' ? blanks + width[i] + 2 : blanks;
			if (s[0] != '\0') {
				printf("%*s%s", blanks, "", s);
				blanks = width[i] - width_of(s) + 2;
			}
		}
		printf("\n");
	}
}

void output_list(struct output *out)
{
	size_t i;

	if (!out->json) {
		print_table(out);
		return;
	}
	printf("[");
	for (i = 0; i < out->num; i++) {
		printf("%s\n", i > 0 ? "," : "");
		print_json_record(&out->records[i], "  ");
	}
	printf("%s]\n", out->num > 0 ? "\n" : "");
}

void output_one(struct output *out)
{
	size_t i;

	if (out->num == 0) {
		return;
	}
	if (out->json) {
		print_json_record(&out->records[0], "");
		printf("\n");
		return;
	}
	for (i = 0; i < out->records[0].num; i++) {
		const struct field *f = &out->records[0].fields[i];

		printf("%s:%*s%s\n", f->name,
		       f->text[0] != '\0' ? 24 - width_of(f->name) : 0, "",
		       f->text);
	}
}
