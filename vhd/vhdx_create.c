/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Creating VHDX files. In the file: the header section, the log, the metadata
 * region, the block allocation table, a fixed disk's blocks. The file type
 * identifier is written last: without it the file is no VHDX.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vhd/bytes.h"
#include "vhd/vhdx_disk.h"

#define LOG_AT	    (1u << 20)
#define LOG_LENGTH  (1u << 20)
#define METADATA_AT (2u << 20)
#define BAT_AT	    (3u << 20)

#define MB_UP(n) (((n) + VHDX_MB - 1) / VHDX_MB * VHDX_MB)

struct creation {
	struct vhdx_metadata metadata;
	struct vhdx_regions regions;
	uint64_t entries, blocks_at, blocks;
	const char **what;
};

/*
 * A fixed disk's file is as long as all its blocks: the largest blocks, up to
 * Windows' default, that waste no more than a 64th of it.
 */
static uint32_t fixed_block_size(uint64_t size)
{
	uint32_t bs = VHDX_BLOCK_DEFAULT;

	while (bs > VHDX_BLOCK_MIN && (bs - size % bs) % bs > size / 64) {
		bs /= 2;
	}
	return bs;
}

static int set_path(char *to, size_t len, const char *prefix, const char *path)
{
	int n = snprintf(to, len, "%s%s", prefix, path);

	return n < 0 || (size_t)n >= len ? EINVAL : 0;
}

static int set_parent(struct vhdx_metadata *m,
		      const struct vhd_create_params *params)
{
	const char *path = params->parent_path;
	bool drive = path[0] != '\0' && path[1] == ':';
	int ret;

	memcpy(m->parent_linkage, params->parent_id, VHDX_GUID);
	/* The disk's identity is the parent's: an item with IsVirtualDisk,
	 * which a fork copies (2.6.1.2). */
	memcpy(m->disk_id, params->parent_disk_id, VHDX_GUID);
	ret = set_path(m->absolute_path, sizeof(m->absolute_path),
		       drive ? "\\\\?\\" : "", path);
	if (ret == 0 && params->parent_relative != NULL) {
		ret = set_path(m->relative_path, sizeof(m->relative_path), "",
			       params->parent_relative);
	}
	if (ret == 0 && params->parent_volume != NULL) {
		ret = set_path(m->volume_path, sizeof(m->volume_path), "",
			       params->parent_volume);
	}
	return ret;
}

static int plan(struct creation *c, const struct vhd_create_params *params)
{
	struct vhdx_metadata *m = &c->metadata;
	int ret = 0;

	m->size = params->size;
	m->logical_sector =
		params->logical_sector != 0 ? params->logical_sector : 512;
	m->physical_sector =
		params->physical_sector != 0 ? params->physical_sector : 4096;
	m->block_size = params->block_size;
	vhdx_guid_new(m->disk_id);
	switch (params->type) {
	case VHD_TYPE_DIFFERENCING:
		m->has_parent = true;
		ret = set_parent(m, params);
		if (m->block_size == 0) {
			m->block_size = VHDX_BLOCK_DIFFERENCING;
		}
		break;
	case VHD_TYPE_FIXED:
		m->leave_allocated = true;
		if (m->block_size == 0) {
			m->block_size = fixed_block_size(m->size);
		}
		break;
	default:
		if (m->block_size == 0) {
			m->block_size = VHDX_BLOCK_DEFAULT;
		}
		break;
	}
	c->blocks = (m->size + m->block_size - 1) / m->block_size;
	c->entries = vhdx_bat_entries(m, m->size);
	c->regions.metadata.offset = METADATA_AT;
	c->regions.metadata.length = VHDX_MB;
	c->regions.bat.offset = BAT_AT;
	c->regions.bat.length = (uint32_t)MB_UP(c->entries * 8);
	c->blocks_at = c->regions.bat.offset + c->regions.bat.length;
	return ret;
}

/* ---- writing ---- */

static int write_metadata(struct vhd_file *file, const struct creation *c)
{
	uint8_t *buf = calloc(1, VHDX_MB);
	int ret;

	if (buf == NULL) {
		return ENOMEM;
	}
	ret = vhdx_metadata_push(&c->metadata, buf, VHDX_MB);
	if (ret == 0) {
		ret = vhd_file_pwrite(file, buf, 2 * VHDX_METADATA_TABLE,
				      METADATA_AT);
	}
	free(buf);
	return ret;
}

/* A fixed disk's: all blocks are there, in their order. */
static int write_table(struct vhd_file *file, const struct creation *c)
{
	const struct vhdx_metadata *m = &c->metadata;
	uint32_t ratio = vhdx_chunk_ratio(m->block_size, m->logical_sector);
	unsigned shift = (unsigned)__builtin_ctz(ratio);
	uint8_t buf[65536];
	uint64_t block, start = 0;

	memset(buf, 0, sizeof(buf));
	for (block = 0; block < c->blocks; block++) {
		uint64_t index = vhdx_bat_index(block, shift);

		if (index >= start + sizeof(buf) / 8) {
			int ret = vhd_file_pwrite(file, buf, sizeof(buf),
						  BAT_AT + start * 8);

			if (ret != 0) {
				return ret;
			}
			memset(buf, 0, sizeof(buf));
			start = index / (sizeof(buf) / 8) * (sizeof(buf) / 8);
		}
		put_le64(buf + (index - start) * 8,
			 VHDX_BAT(VHDX_FULLY_PRESENT,
				  c->blocks_at + block * m->block_size));
	}
	return vhd_file_pwrite(file, buf, sizeof(buf), BAT_AT + start * 8);
}

static int write_head(struct vhd_file *file, const struct creation *c)
{
	struct vhdx_header header = {
		.sequence = 1,
		.version = 1,
		.log_length = LOG_LENGTH,
		.log_offset = LOG_AT,
	};
	uint8_t *buf = malloc(VHDX_REGION_SIZE);
	unsigned i;
	int ret = 0;

	if (buf == NULL) {
		return ENOMEM;
	}
	vhdx_guid_new(header.file_write_guid);
	vhdx_guid_new(header.data_write_guid);
	for (i = 0; ret == 0 && i < 2; i++) {
		vhdx_header_push(&header, buf);
		ret = vhd_file_pwrite(file, buf, VHDX_SECTOR,
				      VHDX_HEADER_AT(i));
		header.sequence++;
	}
	vhdx_regions_push(&c->regions, buf);
	for (i = 0; ret == 0 && i < 2; i++) {
		ret = vhd_file_pwrite(file, buf, VHDX_REGION_SIZE,
				      VHDX_REGION_AT(i));
	}
	free(buf);
	return ret;
}

/* The log is written out: entries shall not need space. */
static int write_log(struct vhd_file *file)
{
	uint8_t *zero = calloc(1, LOG_LENGTH);
	int ret = zero == NULL
			  ? ENOMEM
			  : vhd_file_pwrite(file, zero, LOG_LENGTH, LOG_AT);

	free(zero);
	return ret;
}

static int write_identifier(struct vhd_file *file)
{
	uint8_t buf[VHDX_SECTOR];

	vhdx_id_push("istmd", buf);
	return vhd_file_pwrite(file, buf, sizeof(buf), 0);
}

int vhdx_create(struct vhd_file *file, const struct vhd_create_params *params,
		int (*write_out)(void *data, uint64_t from, uint64_t length),
		void *data, const char **what)
{
	struct creation *c = calloc(1, sizeof(*c));
	bool fixed = params->type == VHD_TYPE_FIXED;
	uint64_t end;
	int ret;

	*what = "writing the metadata";
	if (c == NULL) {
		return ENOMEM;
	}
	ret = plan(c, params);
	end = c->blocks_at + (fixed ? c->blocks * c->metadata.block_size : 0);
	if (ret == 0) {
		ret = vhd_file_truncate(file, end);
	}
	if (ret == 0 && fixed && !params->sparse) {
		ret = write_out(data, c->blocks_at, end - c->blocks_at);
		*what = ret == 0 ? "writing the metadata" : *what;
	}
	if (ret == 0) {
		ret = write_metadata(file, c);
	}
	if (ret == 0 && fixed) {
		ret = write_table(file, c);
	}
	if (ret == 0) {
		ret = write_log(file);
	}
	if (ret == 0) {
		ret = write_head(file, c);
	}
	if (ret == 0) {
		ret = vhd_file_sync(file);
	}
	if (ret == 0) {
		ret = write_identifier(file);
	}
	if (ret == 0) {
		ret = vhd_file_sync(file);
	}
	free(c);
	return ret;
}
