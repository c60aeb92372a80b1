/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <string.h>
#include <talloc.h>
#include <util/data_blob.h>
#include <ndr.h>

#include "librpc/gen_ndr/ndr_istm_state.h"
#include "server/store/record.h"

/* CRC-32 of IEEE 802.3, reflected, as gzip's. */
static uint32_t crc32_ieee(const uint8_t *p, size_t len)
{
	static const uint32_t nibble[16] = {
		0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac,
		0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
		0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
		0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
	};
	uint32_t crc = ~0u;

	for (size_t i = 0; i < len; i++) {
		crc ^= p[i];
		crc = (crc >> 4) ^ nibble[crc & 15];
		crc = (crc >> 4) ^ nibble[crc & 15];
	}
	return ~crc;
}

bool store_record_encode(TALLOC_CTX *mem_ctx,
			 const struct istm_state_data *data, DATA_BLOB *blob)
{
	struct istm_state_record record = {
		.version = ISTM_STATE_VERSION,
	};
	enum ndr_err_code err;

	err = ndr_push_struct_blob(
		&record.data, mem_ctx, data,
		(ndr_push_flags_fn_t)ndr_push_istm_state_data);
	if (!NDR_ERR_CODE_IS_SUCCESS(err)) {
		return false;
	}
	record.crc = crc32_ieee(record.data.data, record.data.length);
	record.length = record.data.length;
	err = ndr_push_struct_blob(
		blob, mem_ctx, &record,
		(ndr_push_flags_fn_t)ndr_push_istm_state_record);
	/* Secrets: leave no second copy. */
	data_blob_clear_free(&record.data);
	return NDR_ERR_CODE_IS_SUCCESS(err);
}

static enum ndr_err_code pull_data(TALLOC_CTX *mem_ctx, const DATA_BLOB *blob,
				   struct istm_state_data *data)
{
	return ndr_pull_struct_blob_all(
		blob, mem_ctx, data,
		(ndr_pull_flags_fn_t)ndr_pull_istm_state_data);
}

/* Format 1: disks had no settings of local mounts. */
static enum ndr_err_code pull_data_1(TALLOC_CTX *mem_ctx, const DATA_BLOB *blob,
				     struct istm_state_data *data)
{
	struct istm_state_disk_data_1 old;
	enum ndr_err_code err;

	/* The kind comes first, little-endian. */
	if (blob->length < 2 ||
	    (blob->data[0] | blob->data[1] << 8) != ISTM_STATE_DISK) {
		return pull_data(mem_ctx, blob, data);
	}
	err = ndr_pull_struct_blob_all(
		blob, mem_ctx, &old,
		(ndr_pull_flags_fn_t)ndr_pull_istm_state_disk_data_1);
	if (!NDR_ERR_CODE_IS_SUCCESS(err)) {
		return err;
	}
	data->kind = old.kind;
	data->body.disk = (struct istm_state_disk){
		.guid = old.disk.guid,
		.index = old.disk.index,
		.type = old.disk.type,
		.flags = old.disk.flags,
		.path = old.disk.path,
		.serial = old.disk.serial,
		.description = old.disk.description,
		.resource_name = old.disk.resource_name,
		.enabled = old.disk.enabled,
		.cache_parent = old.disk.cache_parent,
		.snapshot_storage_path = old.disk.snapshot_storage_path,
		.snapshot_storage_size = old.disk.snapshot_storage_size,
		.manage_mount_point = 1,
		.mount_point = talloc_strdup(mem_ctx, ""),
	};
	return data->body.disk.mount_point == NULL ? NDR_ERR_ALLOC
						   : NDR_ERR_SUCCESS;
}

bool store_record_decode(TALLOC_CTX *mem_ctx, const uint8_t *bytes, size_t len,
			 struct istm_state_data *data, const char **reason)
{
	DATA_BLOB blob = {.data = discard_const_p(uint8_t, bytes),
			  .length = len};
	struct istm_state_record record;
	enum ndr_err_code err;
	bool ok = false;

	err = ndr_pull_struct_blob(
		&blob, mem_ctx, &record,
		(ndr_pull_flags_fn_t)ndr_pull_istm_state_record);
	if (!NDR_ERR_CODE_IS_SUCCESS(err)) {
		*reason = "too short for a record";
		return false;
	}
	if (record.magic != ISTM_STATE_MAGIC) {
		*reason = "not a record of istmd";
	} else if (record.version > ISTM_STATE_VERSION) {
		*reason = talloc_asprintf(
			mem_ctx,
			"written by a newer istmd: format %u, this one knows "
			"up to %u",
			(unsigned)record.version, (unsigned)ISTM_STATE_VERSION);
	} else if (record.version == 0) {
		*reason = "format 0 was never written";
	} else if (record.length != record.data.length) {
		*reason = "its length is wrong";
	} else if (crc32_ieee(record.data.data, record.data.length) !=
		   record.crc) {
		*reason = "its checksum is wrong";
	} else {
		ok = true;
	}
	if (ok) {
		err = record.version == 1
			      ? pull_data_1(mem_ctx, &record.data, data)
			      : pull_data(mem_ctx, &record.data, data);
		ok = NDR_ERR_CODE_IS_SUCCESS(err);
		if (!ok) {
			*reason = talloc_asprintf(mem_ctx,
						  "it cannot be decoded: %s",
						  ndr_map_error2string(err));
		}
	}
	data_blob_clear_free(&record.data);
	return ok;
}
