/* SPDX-License-Identifier: GPL-3.0-or-later */
/* CRC32C against the vectors of RFC 3720 B.4, by table and by instruction. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "target/iscsi_crc32c.h"

static const struct vector {
	uint8_t data[48];
	size_t len;
	uint8_t digest[4];
} vectors[] = {
	/* 32 bytes of zeroes, of ones, incrementing, decrementing */
	{{0}, 32, {0xaa, 0x36, 0x91, 0x8a}},
	{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	  0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	  0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
	 32,
	 {0x43, 0xab, 0xa8, 0x62}},
	{{0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15,
	  16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31},
	 32,
	 {0x4e, 0x79, 0xdd, 0x46}},
	{{31, 30, 29, 28, 27, 26, 25, 24, 23, 22, 21, 20, 19, 18, 17, 16,
	  15, 14, 13, 12, 11, 10, 9,  8,  7,  6,  5,  4,  3,  2,  1,  0},
	 32,
	 {0x5c, 0xdb, 0x3f, 0x11}},
	/* an iSCSI SCSI Read (10) command PDU */
	{{0x01, 0xc0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,    0, 0, 0, 0,
	  0x14, 0,    0, 0, 0, 0, 4, 0, 0, 0, 0, 0x14, 0, 0, 0, 0x18,
	  0x28, 0,    0, 0, 0, 0, 0, 0, 2, 0, 0, 0,    0, 0, 0, 0},
	 48,
	 {0x56, 0x3a, 0x96, 0xd9}},
};

static void test_vectors(void **state)
{
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		const struct vector *v = &vectors[i];
		uint8_t out[4];

		iscsi_crc32c_finish(iscsi_crc32c_update_table(ISCSI_CRC32C_INIT,
							      v->data, v->len),
				    out);
		assert_memory_equal(out, v->digest, 4);
		iscsi_crc32c_finish(iscsi_crc32c_update(ISCSI_CRC32C_INIT,
							v->data, v->len),
				    out);
		assert_memory_equal(out, v->digest, 4);
	}
}

/* Any length, any alignment, in any pieces: both ways agree. */
static void test_pieces(void **state)
{
	static uint8_t data[9000];
	unsigned seed = 1;

	for (size_t i = 0; i < sizeof(data); i++) {
		seed = seed * 1103515245u + 12345u;
		data[i] = (uint8_t)(seed >> 16);
	}
	for (size_t len = 0; len < 300; len++) {
		const uint8_t *p = data + len % 13;
		uint32_t whole =
			iscsi_crc32c_update_table(ISCSI_CRC32C_INIT, p, len);
		uint32_t crc = ISCSI_CRC32C_INIT;
		size_t cut = len / 3;

		assert_int_equal(iscsi_crc32c_update(ISCSI_CRC32C_INIT, p, len),
				 whole);
		crc = iscsi_crc32c_update(crc, p, cut);
		crc = iscsi_crc32c_update(crc, p + cut, len - cut);
		assert_int_equal(crc, whole);
	}
	assert_int_equal(iscsi_crc32c_update(ISCSI_CRC32C_INIT, data,
					     sizeof(data)),
			 iscsi_crc32c_update_table(ISCSI_CRC32C_INIT, data,
						   sizeof(data)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_pieces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
