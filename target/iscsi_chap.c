/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "target/iscsi_chap.h"

#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include "target/iscsi_text.h"

static const struct iscsi_chap_alg algs[] = {
	{5, "MD5", 16},
	{6, "SHA1", 20},
	{7, "SHA2-256", 32},
	{8, "SHA3-256", 32},
};

const struct iscsi_chap_alg *iscsi_chap_choose(const char *list)
{
	while (*list) {
		size_t len = strcspn(list, ",");
		char one[12];
		uint32_t number;

		if (len == 0 || len >= sizeof(one))
			return NULL;
		memcpy(one, list, len);
		one[len] = '\0';
		if (!iscsi_text_number(one, &number))
			return NULL;
		for (size_t i = 0; i < sizeof(algs) / sizeof(algs[0]); i++) {
			if (algs[i].number == number)
				return &algs[i];
		}
		list += len;
		if (*list == ',')
			list++;
	}
	return NULL;
}

bool iscsi_chap_response(const struct iscsi_chap_alg *alg, uint8_t id,
			 const char *secret, const uint8_t *challenge,
			 size_t challenge_len, uint8_t *out)
{
	EVP_MD *md = EVP_MD_fetch(NULL, alg->name, NULL);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	unsigned len = 0;
	bool ok = md && ctx && EVP_DigestInit_ex(ctx, md, NULL) == 1 &&
		  EVP_DigestUpdate(ctx, &id, 1) == 1 &&
		  EVP_DigestUpdate(ctx, secret, strlen(secret)) == 1 &&
		  EVP_DigestUpdate(ctx, challenge, challenge_len) == 1 &&
		  EVP_DigestFinal_ex(ctx, out, &len) == 1 && len == alg->len;

	EVP_MD_CTX_free(ctx);
	EVP_MD_free(md);
	return ok;
}

bool iscsi_chap_challenge(const struct iscsi_chap_alg *alg, uint8_t *id,
			  uint8_t *challenge)
{
	return RAND_bytes(id, 1) == 1 &&
	       RAND_bytes(challenge, (int)alg->len) == 1;
}

bool iscsi_chap_equal(const void *a, const void *b, size_t len)
{
	return CRYPTO_memcmp(a, b, len) == 0;
}
