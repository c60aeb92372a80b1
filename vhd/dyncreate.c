/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Creating dynamic and differencing disks. In the file: the footer's copy, the
 * dynamic header, the parent locators, the block allocation table, the footer.
 * Both footers are written last: without one the file does not open.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vhd/bytes.h"
#include "vhd/dynamic.h"

#define SECTOR_UP(n) (((n) + VHD_SECTOR - 1) / VHD_SECTOR * VHD_SECTOR)

/* Room for each locator's path. */
#define LOCATOR_SPACE 2048u

struct creation {
	struct vhd_footer footer;
	struct vhd_dynheader header;
	uint8_t locators[2][LOCATOR_SPACE];
	unsigned locator_count;
	uint64_t table_size;
};

static int add_locator(struct creation *c, uint32_t code, const char *path)
{
	struct vhd_locator *l = &c->header.locator[c->locator_count];
	int n;

	if (path == NULL || path[0] == '\0') {
		return 0;
	}
	n = vhd_utf16_push(path, false, c->locators[c->locator_count],
			   LOCATOR_SPACE);
	if (n < 0) {
		return EINVAL;
	}
	l->code = code;
	/* The text says sectors; what Windows writes is bytes. */
	l->space = LOCATOR_SPACE;
	l->length = (uint32_t)n;
	l->offset = VHD_FOOTER_SIZE + VHD_DYNHEADER_SIZE +
		    (uint64_t)c->locator_count * LOCATOR_SPACE;
	c->locator_count++;
	return 0;
}

static int set_parent(struct creation *c,
		      const struct vhd_create_params *params)
{
	const char *name = params->parent_path;
	const char *p;
	int ret;

	memcpy(c->header.parent_id, params->parent_id, 16);
	c->header.parent_timestamp = params->parent_timestamp;
	/* The name is the last part of the path. */
	for (p = name; *p != '\0'; p++) {
		if (*p == '\\' || *p == '/') {
			name = p + 1;
		}
	}
	if (vhd_utf16_push(name, true, c->header.parent_name,
			   sizeof(c->header.parent_name)) < 0) {
		return EINVAL;
	}
	ret = add_locator(c, VHD_LOCATOR_W2KU, params->parent_path);
	if (ret == 0) {
		ret = add_locator(c, VHD_LOCATOR_W2RU, params->parent_relative);
	}
	return ret;
}

static int write_table(struct vhd_file *file, const struct creation *c)
{
	uint8_t unused[65536];
	uint64_t at = 0;

	memset(unused, 0xff, sizeof(unused));
	while (at < c->table_size) {
		size_t n = c->table_size - at < sizeof(unused)
				   ? (size_t)(c->table_size - at)
				   : sizeof(unused);
		int ret = vhd_file_pwrite(file, unused, n,
					  c->header.table_offset + at);

		if (ret != 0) {
			return ret;
		}
		at += n;
	}
	return 0;
}

static int write_all(struct vhd_file *file, const struct creation *c)
{
	uint8_t footer[VHD_FOOTER_SIZE], header[VHD_DYNHEADER_SIZE];
	int ret;

	vhd_footer_push(&c->footer, footer);
	vhd_dynheader_push(&c->header, header);
	ret = write_table(file, c);
	if (ret == 0 && c->locator_count > 0) {
		ret = vhd_file_pwrite(file, c->locators,
				      c->locator_count * (size_t)LOCATOR_SPACE,
				      VHD_FOOTER_SIZE + VHD_DYNHEADER_SIZE);
	}
	if (ret == 0) {
		ret = vhd_file_pwrite(file, header, sizeof(header),
				      VHD_FOOTER_SIZE);
	}
	if (ret == 0) {
		ret = vhd_file_sync(file);
	}
	if (ret == 0) {
		ret = vhd_file_pwrite(file, footer, sizeof(footer),
				      c->header.table_offset + c->table_size);
	}
	if (ret == 0) {
		ret = vhd_file_pwrite(file, footer, sizeof(footer), 0);
	}
	return ret != 0 ? ret : vhd_file_sync(file);
}

int dyn_create(struct vhd_file *file, const struct vhd_create_params *params)
{
	uint32_t bs = params->block_size != 0 ? params->block_size
					      : VHD_BLOCK_DEFAULT;
	struct creation *c = calloc(1, sizeof(*c));
	int ret = 0;

	if (c == NULL) {
		return ENOMEM;
	}
	vhd_footer_init(&c->footer, params->type, params->size);
	c->footer.data_offset = VHD_FOOTER_SIZE;
	c->header.block_size = bs;
	c->header.entries = (uint32_t)((params->size + bs - 1) / bs);
	c->table_size = SECTOR_UP((uint64_t)c->header.entries * 4);
	if (params->type == VHD_TYPE_DIFFERENCING) {
		ret = set_parent(c, params);
	}
	c->header.table_offset = VHD_FOOTER_SIZE + VHD_DYNHEADER_SIZE +
				 (uint64_t)c->locator_count * LOCATOR_SPACE;
	if (ret == 0) {
		ret = write_all(file, c);
	}
	free(c);
	return ret;
}
