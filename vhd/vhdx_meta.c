/* SPDX-License-Identifier: GPL-3.0-or-later */
/* VHDX' metadata region: its table, its items, the parent locator (MS-VHDX
 * 2.6). */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "vhd/bytes.h"
#include "vhd/dynheader.h"
#include "vhd/vhdx_bytes.h"

enum {
	T_COUNT = 10,
	T_ENTRIES = 32,
	T_ENTRY = 32, /* size */
	E_OFFSET = 16,
	E_LENGTH = 20,
	E_FLAGS = 24,
	ENTRIES_MAX = 2047,
	USER_MAX = 1024,
};

#define IS_USER		0x1u
#define IS_VIRTUAL_DISK 0x2u
#define IS_REQUIRED	0x4u

#define ITEM_MAX VHDX_MB

enum item {
	ITEM_PARAMETERS,
	ITEM_SIZE,
	ITEM_ID,
	ITEM_LOGICAL,
	ITEM_PHYSICAL,
	ITEM_LOCATOR,
	ITEMS,
};

/* 2.6.2 */
static const struct {
	const char *name;
	uint8_t guid[VHDX_GUID];
	uint32_t flags;
	uint32_t length; /* 0: varies */
} items[ITEMS] = {
	[ITEM_PARAMETERS] = {"file parameters",
			     {0x37, 0x67, 0xa1, 0xca, 0x36, 0xfa, 0x43, 0x4d,
			      0xb3, 0xb6, 0x33, 0xf0, 0xaa, 0x44, 0xe7, 0x6b},
			     IS_REQUIRED,
			     8},
	[ITEM_SIZE] = {"virtual disk size",
		       {0x24, 0x42, 0xa5, 0x2f, 0x1b, 0xcd, 0x76, 0x48, 0xb2,
			0x11, 0x5d, 0xbe, 0xd8, 0x3b, 0xf4, 0xb8},
		       IS_VIRTUAL_DISK | IS_REQUIRED,
		       8},
	[ITEM_ID] = {"virtual disk id",
		     {0xab, 0x12, 0xca, 0xbe, 0xe6, 0xb2, 0x23, 0x45, 0x93,
		      0xef, 0xc3, 0x09, 0xe0, 0x00, 0xc7, 0x46},
		     IS_VIRTUAL_DISK | IS_REQUIRED,
		     16},
	[ITEM_LOGICAL] = {"logical sector size",
			  {0x1d, 0xbf, 0x41, 0x81, 0x6f, 0xa9, 0x09, 0x47, 0xba,
			   0x47, 0xf2, 0x33, 0xa8, 0xfa, 0xab, 0x5f},
			  IS_VIRTUAL_DISK | IS_REQUIRED,
			  4},
	[ITEM_PHYSICAL] = {"physical sector size",
			   {0xc7, 0x48, 0xa3, 0xcd, 0x5d, 0x44, 0x71, 0x44,
			    0x9c, 0xc9, 0xe9, 0x88, 0x52, 0x51, 0xc5, 0x56},
			   IS_VIRTUAL_DISK | IS_REQUIRED,
			   4},
	[ITEM_LOCATOR] = {"parent locator",
			  {0x2d, 0x5f, 0xd3, 0xa8, 0x0b, 0xb3, 0x4d, 0x45, 0xab,
			   0xf7, 0xd3, 0xd8, 0x48, 0x34, 0xab, 0x0c},
			  IS_REQUIRED,
			  0},
};

/* 2.6.2.6.3 */
static const uint8_t locator_type[VHDX_GUID] = {0xb7, 0xef, 0x4a, 0xb0,
						0x9e, 0xd1, 0x81, 0x4a,
						0xb7, 0x89, 0x25, 0xb8,
						0xe9, 0x44, 0x59, 0x13};

#define LOCATOR_HEADER 20u
#define LOCATOR_ENTRY  12u

#define LEAVE_BLOCK_ALLOCATED 0x1u
#define HAS_PARENT	      0x2u

/* ---- writing ---- */

struct locator_push {
	uint8_t *item;
	uint32_t room, at; /* of the strings */
	unsigned count;
};

static int locator_add(struct locator_push *l, const char *key,
		       const char *value)
{
	uint8_t *entry = l->item + LOCATOR_HEADER + l->count * LOCATOR_ENTRY;
	int n;

	if (value == NULL || value[0] == '\0') {
		return 0;
	}
	n = vhd_utf16_push(key, false, l->item + l->at, l->room - l->at);
	if (n <= 0) {
		return EINVAL;
	}
	put_le32(entry, l->at);
	put_le16(entry + 8, (uint16_t)n);
	l->at += (uint32_t)n;
	n = vhd_utf16_push(value, false, l->item + l->at, l->room - l->at);
	if (n <= 0 || n > UINT16_MAX) {
		return EINVAL;
	}
	put_le32(entry + 4, l->at);
	put_le16(entry + 10, (uint16_t)n);
	l->at += (uint32_t)n;
	l->count++;
	return 0;
}

/* @return the item's length, 0: a path cannot be written */
static uint32_t locator_push(const struct vhdx_metadata *m, uint8_t *item,
			     uint32_t room)
{
	struct locator_push l = {
		.item = item,
		.room = room,
		.at = LOCATOR_HEADER + 4 * LOCATOR_ENTRY,
	};
	char linkage[VHDX_GUID_TEXT];

	vhdx_guid_text(m->parent_linkage, linkage);
	if (locator_add(&l, "parent_linkage", linkage) != 0 ||
	    locator_add(&l, "relative_path", m->relative_path) != 0 ||
	    locator_add(&l, "volume_path", m->volume_path) != 0 ||
	    locator_add(&l, "absolute_win32_path", m->absolute_path) != 0) {
		return 0;
	}
	memcpy(item, locator_type, VHDX_GUID);
	put_le16(item + 18, (uint16_t)l.count);
	return l.at;
}

int vhdx_metadata_push(const struct vhdx_metadata *m, uint8_t *buf, size_t len)
{
	uint32_t at = VHDX_METADATA_TABLE;
	unsigned i, count = m->has_parent ? ITEMS : ITEMS - 1;

	memset(buf, 0, len);
	memcpy(buf, "metadata", 8);
	put_le16(buf + T_COUNT, (uint16_t)count);
	for (i = 0; i < count; i++) {
		uint8_t *entry = buf + T_ENTRIES + (size_t)i * T_ENTRY;
		uint32_t length = items[i].length;
		uint8_t *item = buf + at;

		switch ((enum item)i) {
		case ITEM_PARAMETERS:
			put_le32(item, m->block_size);
			put_le32(item + 4,
				 (m->leave_allocated ? LEAVE_BLOCK_ALLOCATED
						     : 0) |
					 (m->has_parent ? HAS_PARENT : 0));
			break;
		case ITEM_SIZE:
			put_le64(item, m->size);
			break;
		case ITEM_ID:
			memcpy(item, m->disk_id, VHDX_GUID);
			break;
		case ITEM_LOGICAL:
			put_le32(item, m->logical_sector);
			break;
		case ITEM_PHYSICAL:
			put_le32(item, m->physical_sector);
			break;
		default:
			length = locator_push(m, item, (uint32_t)(len - at));
			if (length == 0) {
				return EINVAL;
			}
			break;
		}
		memcpy(entry, items[i].guid, VHDX_GUID);
		put_le32(entry + E_OFFSET, at);
		put_le32(entry + E_LENGTH, length);
		put_le32(entry + E_FLAGS, items[i].flags);
		at += length;
	}
	return 0;
}

/* ---- reading: the table ---- */

struct metadata_pull {
	const uint8_t *buf;
	size_t len;
	uint32_t region_len;
	struct {
		const uint8_t *data;
		uint32_t length, offset;
	} item[ITEMS];
	char *why;
	size_t why_len;
};

static int entry_pull(struct metadata_pull *p, const uint8_t *entry)
{
	uint32_t offset = get_le32(entry + E_OFFSET);
	uint32_t length = get_le32(entry + E_LENGTH);
	uint32_t flags = get_le32(entry + E_FLAGS);
	char text[VHDX_GUID_TEXT];
	unsigned i;

	vhdx_guid_text(entry, text);
	if (length > ITEM_MAX || (length == 0 && offset != 0) ||
	    (length != 0 &&
	     (offset < VHDX_METADATA_TABLE || offset > p->region_len ||
	      length > p->region_len - offset))) {
		snprintf(p->why, p->why_len,
			 "metadata item %s, %" PRIu32 " bytes at %" PRIu32
			 ", is not within the region's %" PRIu32,
			 text, length, offset, p->region_len);
		return EINVAL;
	}
	for (i = 0; i < ITEMS; i++) {
		if (!(flags & IS_USER) &&
		    memcmp(entry, items[i].guid, VHDX_GUID) == 0) {
			break;
		}
	}
	if (i == ITEMS) {
		if (!(flags & IS_REQUIRED)) {
			return 0;
		}
		snprintf(p->why, p->why_len,
			 "unknown metadata item %s is required", text);
		return EINVAL;
	}
	if (p->item[i].data != NULL) {
		snprintf(p->why, p->why_len,
			 "metadata item \"%s\" is there twice", items[i].name);
		return EINVAL;
	}
	if (length == 0 || length < items[i].length || offset > p->len ||
	    length > p->len - offset) {
		snprintf(p->why, p->why_len,
			 "metadata item \"%s\" has %" PRIu32
			 " bytes at %" PRIu32,
			 items[i].name, length, offset);
		return EINVAL;
	}
	p->item[i].data = p->buf + offset;
	p->item[i].length = length;
	p->item[i].offset = offset;
	return 0;
}

static int overlap_check(const struct metadata_pull *p)
{
	unsigned i, k;

	for (i = 0; i < ITEMS; i++) {
		for (k = i + 1; k < ITEMS; k++) {
			if (p->item[i].data != NULL &&
			    p->item[k].data != NULL &&
			    p->item[i].data <
				    p->item[k].data + p->item[k].length &&
			    p->item[k].data <
				    p->item[i].data + p->item[i].length) {
				snprintf(p->why, p->why_len,
					 "metadata items \"%s\" and \"%s\" "
					 "overlap",
					 items[i].name, items[k].name);
				return EINVAL;
			}
		}
	}
	return 0;
}

static int table_pull(struct metadata_pull *p)
{
	unsigned i, count, users = 0;

	if (p->len < VHDX_METADATA_TABLE || memcmp(p->buf, "metadata", 8)) {
		snprintf(p->why, p->why_len,
			 "no metadata table: signature \"metadata\" missing");
		return EINVAL;
	}
	count = get_le16(p->buf + T_COUNT);
	if (count > ENTRIES_MAX) {
		snprintf(p->why, p->why_len,
			 "metadata table of %u entries, %u at most", count,
			 ENTRIES_MAX);
		return EINVAL;
	}
	for (i = 0; i < count; i++) {
		const uint8_t *entry = p->buf + T_ENTRIES + (size_t)i * T_ENTRY;
		int ret = entry_pull(p, entry);

		if (ret != 0) {
			return ret;
		}
		users += get_le32(entry + E_FLAGS) & IS_USER;
	}
	if (users > USER_MAX) {
		snprintf(p->why, p->why_len,
			 "%u user metadata items, %u at most", users, USER_MAX);
		return EINVAL;
	}
	for (i = 0; i < ITEM_LOCATOR; i++) {
		if (p->item[i].data == NULL) {
			snprintf(p->why, p->why_len,
				 "metadata item \"%s\" is missing",
				 items[i].name);
			return EINVAL;
		}
	}
	return overlap_check(p);
}

/* ---- reading: the parent locator ---- */

struct locator_key {
	const char *name;
	char *value;
	size_t room;
	bool seen;
};

/* A range of the item that does not reach into its table. */
static bool locator_range(uint32_t offset, uint32_t length, uint32_t table,
			  uint32_t item)
{
	return length > 0 && length % 2 == 0 && offset >= table &&
	       offset <= item && length <= item - offset;
}

static int locator_entry(struct metadata_pull *p, const uint8_t *entry,
			 uint32_t table, struct locator_key *keys)
{
	const uint8_t *item = p->item[ITEM_LOCATOR].data;
	uint32_t length = p->item[ITEM_LOCATOR].length;
	uint32_t key_at = get_le32(entry), value_at = get_le32(entry + 4);
	uint16_t key_len = get_le16(entry + 8);
	uint16_t value_len = get_le16(entry + 10);
	char key[64];

	if (!locator_range(key_at, key_len, table, length) ||
	    !locator_range(value_at, value_len, table, length)) {
		snprintf(p->why, p->why_len,
			 "a parent locator entry, key of %u bytes at %" PRIu32
			 ", value of %u at %" PRIu32
			 ", is not within the item's %" PRIu32,
			 key_len, key_at, value_len, value_at, length);
		return EINVAL;
	}
	if (vhd_utf16_pull(item + key_at, key_len, false, key, sizeof(key))) {
		return 0; /* none of ours */
	}
	for (; keys->name != NULL; keys++) {
		if (strcmp(key, keys->name) != 0) {
			continue;
		}
		if (keys->seen) {
			snprintf(p->why, p->why_len,
				 "the parent locator has \"%s\" twice", key);
			return EINVAL;
		}
		keys->seen = true;
		if (vhd_utf16_pull(item + value_at, value_len, false,
				   keys->value, keys->room) != 0) {
			snprintf(p->why, p->why_len,
				 "the parent locator's \"%s\" is too long or "
				 "no UTF-16",
				 key);
			return EINVAL;
		}
		return 0;
	}
	return 0;
}

static int locator_pull(struct metadata_pull *p, struct vhdx_metadata *m)
{
	char linkage[64] = "", linkage2[64] = "";
	struct locator_key keys[] = {
		{"parent_linkage", linkage, sizeof(linkage), false},
		{"parent_linkage2", linkage2, sizeof(linkage2), false},
		{"relative_path", m->relative_path, sizeof(m->relative_path),
		 false},
		{"volume_path", m->volume_path, sizeof(m->volume_path), false},
		{"absolute_win32_path", m->absolute_path,
		 sizeof(m->absolute_path), false},
		{NULL, NULL, 0, false},
	};
	const uint8_t *item = p->item[ITEM_LOCATOR].data;
	uint32_t length = p->item[ITEM_LOCATOR].length, table;
	char type[VHDX_GUID_TEXT];
	unsigned i, count;

	if (item == NULL || length < LOCATOR_HEADER) {
		snprintf(p->why, p->why_len,
			 "a differencing disk without a parent locator");
		return EINVAL;
	}
	if (memcmp(item, locator_type, VHDX_GUID) != 0) {
		vhdx_guid_text(item, type);
		snprintf(p->why, p->why_len,
			 "the parent locator is of type %s, not VHDX'", type);
		return EINVAL;
	}
	count = get_le16(item + 18);
	table = LOCATOR_HEADER + count * LOCATOR_ENTRY;
	if (table > length) {
		snprintf(p->why, p->why_len,
			 "a parent locator of %u entries in %" PRIu32 " bytes",
			 count, length);
		return EINVAL;
	}
	for (i = 0; i < count; i++) {
		int ret =
			locator_entry(p,
				      item + LOCATOR_HEADER + i * LOCATOR_ENTRY,
				      table, keys);

		if (ret != 0) {
			return ret;
		}
	}
	m->has_linkage2 = vhdx_guid_parse(linkage2, m->parent_linkage2);
	if (!vhdx_guid_parse(linkage, m->parent_linkage)) {
		snprintf(p->why, p->why_len,
			 "the parent locator's parent_linkage is no GUID: "
			 "\"%s\"",
			 linkage);
		return EINVAL;
	}
	return 0;
}

/* ---- reading: the items ---- */

static bool sector_size_is_valid(uint32_t size)
{
	return size == 512 || size == 4096;
}

static int metadata_check(const struct vhdx_metadata *m, char *why,
			  size_t why_len)
{
	if (m->block_size < VHDX_BLOCK_MIN || m->block_size > VHDX_BLOCK_MAX ||
	    (m->block_size & (m->block_size - 1)) != 0) {
		snprintf(why, why_len,
			 "block size %" PRIu32 " is not a power of two from "
			 "%u to %u",
			 m->block_size, VHDX_BLOCK_MIN, VHDX_BLOCK_MAX);
		return EINVAL;
	}
	if (!sector_size_is_valid(m->logical_sector) ||
	    !sector_size_is_valid(m->physical_sector)) {
		snprintf(why, why_len,
			 "sector sizes %" PRIu32 " (logical) and %" PRIu32
			 " (physical) are not 512 or 4096",
			 m->logical_sector, m->physical_sector);
		return EINVAL;
	}
	if (m->size == 0 || m->size % m->logical_sector != 0 ||
	    m->size > VHDX_MAX_SIZE) {
		snprintf(why, why_len,
			 "virtual disk size %" PRIu64
			 " is not a positive multiple of %" PRIu32
			 " up to %" PRIu64,
			 m->size, m->logical_sector, VHDX_MAX_SIZE);
		return EINVAL;
	}
	return 0;
}

int vhdx_metadata_pull(const uint8_t *buf, size_t len, uint32_t region_len,
		       struct vhdx_metadata *m, char *why, size_t why_len)
{
	struct metadata_pull p = {
		.buf = buf,
		.len = len,
		.region_len = region_len,
		.why = why,
		.why_len = why_len,
	};
	uint32_t flags;
	int ret;

	memset(m, 0, sizeof(*m));
	ret = table_pull(&p);
	if (ret != 0) {
		return ret;
	}
	m->block_size = get_le32(p.item[ITEM_PARAMETERS].data);
	flags = get_le32(p.item[ITEM_PARAMETERS].data + 4);
	m->has_parent = flags & HAS_PARENT;
	m->leave_allocated = !m->has_parent && (flags & LEAVE_BLOCK_ALLOCATED);
	m->size = get_le64(p.item[ITEM_SIZE].data);
	m->size_at = p.item[ITEM_SIZE].offset;
	memcpy(m->disk_id, p.item[ITEM_ID].data, VHDX_GUID);
	m->logical_sector = get_le32(p.item[ITEM_LOGICAL].data);
	m->physical_sector = get_le32(p.item[ITEM_PHYSICAL].data);
	ret = metadata_check(m, why, why_len);
	if (ret == 0 && m->has_parent) {
		ret = locator_pull(&p, m);
	}
	return ret;
}
