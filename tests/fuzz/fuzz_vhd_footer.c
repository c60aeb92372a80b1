/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The footer's parser: the last 512 bytes of a file. What it accepts has to
 * survive being written and read again. */

#include <stdlib.h>
#include <string.h>

#include "vhd/footer.h"
#include "vhd/vhd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t tail[VHD_FOOTER_SIZE] = {0}, again[VHD_FOOTER_SIZE];
	struct vhd_footer footer, second;
	char why[32]; /* short: messages have to stay inside */
	size_t len;

	memcpy(tail, data, size < sizeof(tail) ? size : sizeof(tail));
	/* A checksum that fits, or nothing behind it would ever be seen. */
	if (size > sizeof(tail)) {
		uint32_t sum = vhd_checksum(tail, sizeof(tail), 64);

		tail[64] = (uint8_t)(sum >> 24);
		tail[65] = (uint8_t)(sum >> 16);
		tail[66] = (uint8_t)(sum >> 8);
		tail[67] = (uint8_t)sum;
	}
	len = vhd_footer_find(tail);
	if (len == 0) {
		return 0;
	}
	if (vhd_footer_pull(tail + sizeof(tail) - len, len, &footer, why,
			    sizeof(why)) != 0) {
		return 0;
	}
	if (footer.current_size == 0 || footer.current_size > VHD_MAX_SIZE ||
	    footer.current_size % VHD_SECTOR != 0) {
		abort();
	}
	vhd_footer_check_fixed(&footer, len, size, why, sizeof(why));
	vhd_footer_push(&footer, again);
	if (vhd_footer_pull(again, sizeof(again), &second, why, sizeof(why)) !=
		    0 ||
	    second.current_size != footer.current_size ||
	    second.type != footer.type ||
	    memcmp(second.unique_id, footer.unique_id, 16) != 0) {
		abort();
	}
	return 0;
}
