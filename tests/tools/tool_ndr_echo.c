/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Passes stubs through our NDR engine: for each line of its input
 *
 *	INTERFACE OPNUM in HEX		a request
 *	INTERFACE OPNUM out HEX [HEX]	a response, and the request before it
 *
 * it unmarshals, marshals what came out, and prints that in hex, or "error"
 * and what was wrong. For tests that compare with another implementation.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gen_ndr/com_istm.h"
#include "gen_ndr/com_remunknown.h"

static DATA_BLOB parse(TALLOC_CTX *mem_ctx, const char *hex)
{
	DATA_BLOB blob = {
		.data = talloc_array(mem_ctx, uint8_t, strlen(hex) / 2 + 1)};
	char digits[3] = {0};

	for (; blob.data != NULL && hex[0] != '\0' && hex[1] != '\0';
	     hex += 2) {
		digits[0] = hex[0];
		digits[1] = hex[1];
		blob.data[blob.length++] = strtoul(digits, NULL, 16);
	}
	return blob;
}

static const char *pull(TALLOC_CTX *mem_ctx,
			const struct ndr_interface_call *call, int flags,
			const char *hex, void *r)
{
	DATA_BLOB blob = parse(mem_ctx, hex);
	struct ndr_pull *ndr = ndr_pull_init_blob(&blob, mem_ctx);
	enum ndr_err_code err;

	if (ndr == NULL) {
		return "no memory";
	}
	ndr->flags |= LIBNDR_FLAG_REF_ALLOC;
	ndr->current_mem_ctx = mem_ctx;
	err = call->ndr_pull(ndr, flags, r);
	if (NDR_ERR_CODE_IS_SUCCESS(err) && ndr->offset != blob.length) {
		return "bytes left over";
	}
	return NDR_ERR_CODE_IS_SUCCESS(err) ? NULL : ndr_errstr(err);
}

static const char *echo(TALLOC_CTX *mem_ctx,
			const struct ndr_interface_call *call, int flags,
			const char *stub, const char *request)
{
	void *r = talloc_zero_size(mem_ctx, call->struct_size);
	struct ndr_push *push = ndr_push_init_ctx(mem_ctx);
	const char *error = NULL;
	enum ndr_err_code err;
	uint32_t i;

	if (r == NULL || push == NULL) {
		return "no memory";
	}
	if (request != NULL) {
		error = pull(mem_ctx, call, NDR_IN, request, r);
	}
	if (error == NULL) {
		error = pull(mem_ctx, call, flags, stub, r);
	}
	if (error != NULL) {
		return error;
	}
	err = call->ndr_push(push, flags, r);
	if (!NDR_ERR_CODE_IS_SUCCESS(err)) {
		return ndr_errstr(err);
	}
	for (i = 0; i < push->offset; i++) {
		printf("%02x", push->data[i]);
	}
	printf("\n");
	return NULL;
}

static const char *line(TALLOC_CTX *mem_ctx, char *text)
{
	const struct com_interface *iface = NULL;
	char *word[5] = {NULL}, *save = NULL;
	unsigned long opnum;
	int i;

	for (i = 0; i < 5; i++) {
		word[i] = strtok_r(i == 0 ? text : NULL, " \n", &save);
	}
	if (word[3] == NULL) {
		return "too few words";
	}
	iface = com_interface_by_name(com_istm_interfaces, word[0]);
	if (iface == NULL) {
		iface = com_interface_by_name(com_remunknown_interfaces,
					      word[0]);
	}
	opnum = strtoul(word[1], NULL, 10);
	if (iface == NULL || com_method_by_opnum(iface, opnum) == NULL) {
		return "no such method";
	}
	return echo(mem_ctx, &iface->ndr->calls[opnum],
		    strcmp(word[2], "in") == 0 ? NDR_IN : NDR_OUT, word[3],
		    word[4]);
}

int main(void)
{
	char *text = NULL;
	size_t size = 0;

	while (getline(&text, &size, stdin) > 0) {
		TALLOC_CTX *mem_ctx = talloc_new(NULL);
		const char *error = line(mem_ctx, text);

		if (error != NULL) {
			printf("error %s\n", error);
		}
		fflush(stdout);
		talloc_free(mem_ctx);
	}
	free(text);
	return 0;
}
