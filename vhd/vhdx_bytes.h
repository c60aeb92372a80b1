/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the parsers of VHDX share. */
#ifndef ISTM_VHD_VHDX_BYTES_H
#define ISTM_VHD_VHDX_BYTES_H

#include "vhd/vhdx.h"

/* CRC-32C of @buf, with the four bytes at @skip taken as zero (MS-VHDX 2). */
uint32_t vhdx_checksum(const uint8_t *buf, size_t len, size_t skip);

#endif /* ISTM_VHD_VHDX_BYTES_H */
