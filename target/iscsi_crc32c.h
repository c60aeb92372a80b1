/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * CRC32C, the digest of RFC 7143 13.1.
 */
#ifndef ISTM_TARGET_ISCSI_CRC32C_H
#define ISTM_TARGET_ISCSI_CRC32C_H

#include "lib/crc32c.h"

/*
 * Continue a CRC over more bytes. Begin with ISCSI_CRC32C_INIT; what
 * iscsi_crc32c_finish() makes of the value is the digest.
 */
#define ISCSI_CRC32C_INIT	  CRC32C_INIT
#define iscsi_crc32c_update	  crc32c_update
#define iscsi_crc32c_update_table crc32c_update_table

/* The digest as it goes on the wire: the CRC's least significant byte first
 * (RFC 7143 13.1, as the vectors of A.4 show). */
static inline void iscsi_crc32c_finish(uint32_t crc, uint8_t out[4])
{
	crc = ~crc;
	out[0] = (uint8_t)crc;
	out[1] = (uint8_t)(crc >> 8);
	out[2] = (uint8_t)(crc >> 16);
	out[3] = (uint8_t)(crc >> 24);
}

#endif /* ISTM_TARGET_ISCSI_CRC32C_H */
