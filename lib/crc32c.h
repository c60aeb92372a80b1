/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * CRC-32C, Castagnoli's: iSCSI's digest (RFC 7143 13.1), VHDX's checksum
 * (MS-VHDX 2). Any thread.
 */
#ifndef ISTM_CRC32C_H
#define ISTM_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Continue a CRC over more bytes. Begin with CRC32C_INIT; the result is the
 * complement of the last value. */
#define CRC32C_INIT 0xffffffffu
uint32_t crc32c_update(uint32_t crc, const void *data, size_t len);

/* The same by table, for CPUs without the instruction and for tests. */
uint32_t crc32c_update_table(uint32_t crc, const void *data, size_t len);

#endif /* ISTM_CRC32C_H */
