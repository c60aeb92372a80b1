/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * CRC32C, the digest of RFC 7143 13.1.
 */
#ifndef ISTM_TARGET_ISCSI_CRC32C_H
#define ISTM_TARGET_ISCSI_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/*
 * Continue a CRC over more bytes. Begin with ISCSI_CRC32C_INIT; what
 * iscsi_crc32c_finish() makes of the value is the digest.
 */
#define ISCSI_CRC32C_INIT 0xffffffffu
uint32_t iscsi_crc32c_update(uint32_t crc, const void *data, size_t len);

/* The same by table, for CPUs without the instruction and for tests. */
uint32_t iscsi_crc32c_update_table(uint32_t crc, const void *data, size_t len);

/* The digest as it goes on the wire: the CRC's least significant byte first
 * (RFC 7143 13.1, as the vectors of B.4 show). */
static inline void iscsi_crc32c_finish(uint32_t crc, uint8_t out[4])
{
	crc = ~crc;
	out[0] = (uint8_t)crc;
	out[1] = (uint8_t)(crc >> 8);
	out[2] = (uint8_t)(crc >> 16);
	out[3] = (uint8_t)(crc >> 24);
}

#endif /* ISTM_TARGET_ISCSI_CRC32C_H */
