/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What istmctl prints: records of named fields, as an aligned table, as a list
 * of "name: value" lines, or as JSON for programs.
 */
#ifndef ISTMCTL_OUTPUT_H
#define ISTMCTL_OUTPUT_H

#include <stdbool.h>
#include <stdint.h>
#include <talloc.h>

struct output;

struct output *output_new(TALLOC_CTX *mem_ctx, bool json);

/* Begin the next record; its fields follow in the same order each time. */
void output_record(struct output *out);
void output_string(struct output *out, const char *name, const char *value);
void output_number(struct output *out, const char *name, uint64_t value);
void output_bool(struct output *out, const char *name, bool value);
/* Bytes: "64 MiB" for people, a number in JSON. */
void output_size(struct output *out, const char *name, uint64_t bytes);

/* Print all records as a list (table, or JSON array). */
void output_list(struct output *out);
/* Print the one record (lines, or JSON object). */
void output_one(struct output *out);

#endif /* ISTMCTL_OUTPUT_H */
