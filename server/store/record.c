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

/*
 * What a record of an older version lacks at its end, and what it would be.
 * One row for each kind and each version that added to it, oldest first.
 */
static const struct appended {
	uint32_t since;
	enum istm_state_kind kind;
	size_t length;
	uint8_t bytes[8];
} appended[] = {
	/* listen_all, processors */
	{2, ISTM_STATE_TARGET, 5, {1, 0, 0, 0, 0}},
	/* manage_mount_point, mount_point */
	{2, ISTM_STATE_DISK, 2, {1, 0}},
};

/* Bring the data of a record to the present version. */
static bool record_upgrade(TALLOC_CTX *mem_ctx, uint32_t version,
			   DATA_BLOB *data)
{
	enum istm_state_kind kind;

	if (data->length < 2) {
		return true; /* refused by the decoder */
	}
	kind = data->data[0] | data->data[1] << 8;
	for (size_t i = 0; i < sizeof(appended) / sizeof(appended[0]); i++) {
		const struct appended *a = &appended[i];
		DATA_BLOB longer;

		if (version >= a->since || kind != a->kind) {
			continue;
		}
		longer = data_blob_talloc(mem_ctx, NULL,
					  data->length + a->length);
		if (longer.data == NULL) {
			return false;
		}
		memcpy(longer.data, data->data, data->length);
		memcpy(longer.data + data->length, a->bytes, a->length);
		data_blob_clear_free(data);
		*data = longer;
	}
	return true;
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
	} else if (!record_upgrade(mem_ctx, record.version, &record.data)) {
		*reason = "out of memory";
	} else {
		ok = true;
	}
	if (ok) {
		err = ndr_pull_struct_blob_all(
			&record.data, mem_ctx, data,
			(ndr_pull_flags_fn_t)ndr_pull_istm_state_data);
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
