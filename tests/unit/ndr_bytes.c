/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/unit/ndr_bytes.h"

#include <ctype.h>
#include <stdlib.h>

#include "gen_ndr/ndr_orpc.h"

struct ORPCTHIS ndr_bytes_this(void)
{
	return (struct ORPCTHIS){
		.version = {COM_MAJOR_VERSION, COM_MINOR_VERSION},
		.cid = {0x11223344,
			0x5566,
			0x7788,
			{0x99, 0xaa},
			{0xbb, 0xcc, 0xdd, 0xee, 0xff, 0x00}},
	};
}

DATA_BLOB ndr_bytes_parse(TALLOC_CTX *mem_ctx, const char *hex)
{
	DATA_BLOB blob = {
		.data = talloc_array(mem_ctx, uint8_t, strlen(hex) / 2 + 1)};
	char digits[3] = {0};
	size_t n = 0;

	assert_non_null(blob.data);
	for (; *hex != '\0'; hex++) {
		if (isspace((unsigned char)*hex)) {
			continue;
		}
		assert_true(isxdigit((unsigned char)*hex));
		digits[n++ % 2] = *hex;
		if (n % 2 == 0) {
			blob.data[blob.length++] = strtoul(digits, NULL, 16);
		}
	}
	assert_int_equal(n % 2, 0);
	return blob;
}

char *ndr_bytes_repeat(TALLOC_CTX *mem_ctx, const char *hex, size_t n)
{
	size_t len = strlen(hex);
	char *s = talloc_zero_array(mem_ctx, char, len *n + 1);
	size_t i;

	assert_non_null(s);
	for (i = 0; i < n; i++) {
		memcpy(s + i * len, hex, len);
	}
	return s;
}

static void print_hex(const char *label, DATA_BLOB blob, size_t around)
{
	size_t from = around > 32 ? (around - 32) & ~(size_t)15 : 0;
	size_t i;

	print_error("%s, %zu bytes, from offset %zu:", label, blob.length,
		    from);
	for (i = from; i < blob.length && i < from + 96; i++) {
		if (i % 16 == 0) {
			print_error("\n  %5zu ", i);
		}
		print_error(" %02x%s", blob.data[i], i == around ? "<" : "");
	}
	print_error("\n");
}

void ndr_bytes_compare(const char *what, DATA_BLOB have, const char *want)
{
	DATA_BLOB wanted = ndr_bytes_parse(NULL, want);
	size_t i;

	for (i = 0; i < have.length && i < wanted.length; i++) {
		if (have.data[i] != wanted.data[i]) {
			break;
		}
	}
	if (i < have.length || i < wanted.length) {
		print_hex("want", wanted, i);
		print_hex("have", have, i);
		talloc_free(wanted.data);
		fail_msg("%s differs at offset %zu", what, i);
	}
	talloc_free(wanted.data);
}

static const struct ndr_interface_call *find_call(
	const struct ndr_interface_table *t, const char *name)
{
	uint32_t i;

	for (i = 0; i < t->num_calls; i++) {
		if (strcmp(t->calls[i].name, name) == 0) {
			return &t->calls[i];
		}
	}
	fail_msg("%s has no call %s", t->name, name);
	return NULL;
}

static void push_and_compare(TALLOC_CTX *mem_ctx,
			     const struct ndr_interface_call *c, int flags,
			     const void *r, const char *want)
{
	struct ndr_push *push = ndr_push_init_ctx(mem_ctx);
	enum ndr_err_code err;

	assert_non_null(push);
	err = c->ndr_push(push, flags, r);
	if (!NDR_ERR_CODE_IS_SUCCESS(err)) {
		fail_msg("%s: push: %s", c->name, ndr_errstr(err));
	}
	ndr_bytes_compare(c->name, ndr_push_blob(push), want);
}

enum ndr_err_code ndr_bytes_pull(TALLOC_CTX *mem_ctx,
				 const struct ndr_interface_table *t,
				 const char *call, int flags, const char *hex,
				 void *r)
{
	DATA_BLOB blob = ndr_bytes_parse(mem_ctx, hex);
	struct ndr_pull *pull = ndr_pull_init_blob(&blob, mem_ctx);
	enum ndr_err_code err;

	assert_non_null(pull);
	/* As both ends of an RPC connection have it. */
	pull->flags |= LIBNDR_FLAG_REF_ALLOC;
	pull->current_mem_ctx = mem_ctx;
	err = find_call(t, call)->ndr_pull(pull, flags, r);
	if (NDR_ERR_CODE_IS_SUCCESS(err) && pull->offset != blob.length) {
		return NDR_ERR_UNREAD_BYTES;
	}
	return err;
}

void ndr_bytes_check(TALLOC_CTX *mem_ctx, const struct ndr_interface_table *t,
		     const char *call, int flags, void *r, const char *want,
		     void *back)
{
	const struct ndr_interface_call *c = find_call(t, call);
	void *again = talloc_zero_size(mem_ctx, c->struct_size);
	enum ndr_err_code err;

	assert_non_null(again);
	push_and_compare(mem_ctx, c, flags, r, want);

	/* A response is understood with the help of its request. */
	if (flags & NDR_OUT) {
		memcpy(again, r, c->struct_size);
	}
	err = ndr_bytes_pull(mem_ctx, t, call, flags, want, again);
	if (!NDR_ERR_CODE_IS_SUCCESS(err)) {
		fail_msg("%s: pull: %s", call, ndr_errstr(err));
	}
	push_and_compare(mem_ctx, c, flags, again, want);
	if (back != NULL) {
		memcpy(back, again, c->struct_size);
	}
}
