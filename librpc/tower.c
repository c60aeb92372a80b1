/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "gen_ndr/ndr_ept.h"
#include "librpc/tower.h"

/* Protocol identifiers, C706 appendix I */
#define EPM_UUID  0x0d
#define EPM_NCACN 0x0b
#define EPM_TCP	  0x07
#define EPM_IP	  0x09

#define FLOORS 5
/* lhs: length 19, identifier, UUID, major version; rhs: length 2, minor */
#define UUID_FLOOR (2 + 19 + 2 + 2)
/* lhs: length 1, identifier; rhs: length, data */
#define FLOOR(rhs)   (2 + 1 + 2 + (rhs))
#define TOWER_LENGTH (2 + 2 * UUID_FLOOR + FLOOR(2) + FLOOR(2) + FLOOR(4))

/* Everything in a tower is little-endian, except port and address. */
static uint8_t *put16(uint8_t *p, uint16_t v)
{
	p[0] = v & 0xff;
	p[1] = v >> 8;
	return p + 2;
}

static uint8_t *put_uuid_floor(uint8_t *p, const struct ndr_syntax_id *id)
{
	struct GUID_ndr_buf buf = {.buf = {0}};

	p = put16(p, 19);
	*p++ = EPM_UUID;
	GUID_to_ndr_buf(&id->uuid, &buf);
	memcpy(p, buf.buf, 16);
	p = put16(p + 16, id->if_version & 0xffff);
	p = put16(p, 2);
	return put16(p, id->if_version >> 16);
}

static uint8_t *put_floor(uint8_t *p, uint8_t protocol, const uint8_t *rhs,
			  uint16_t len)
{
	p = put16(p, 1);
	*p++ = protocol;
	p = put16(p, len);
	memcpy(p, rhs, len);
	return p + len;
}

struct twr_t *tower_pack(TALLOC_CTX *mem_ctx, const struct tower *tower)
{
	const uint8_t minor[2] = {0, 0};
	const uint8_t port[2] = {tower->port >> 8, tower->port & 0xff};
	const uint8_t ip[4] = {tower->ipv4 >> 24, tower->ipv4 >> 16 & 0xff,
			       tower->ipv4 >> 8 & 0xff, tower->ipv4 & 0xff};
	struct twr_t *twr = talloc(mem_ctx, struct twr_t);
	uint8_t *p = NULL;

	if (twr == NULL) {
		return NULL;
	}
	twr->tower_length = TOWER_LENGTH;
	twr->tower_octet_string = talloc_array(twr, uint8_t, TOWER_LENGTH);
	if (twr->tower_octet_string == NULL) {
		talloc_free(twr);
		return NULL;
	}
	p = put16(twr->tower_octet_string, FLOORS);
	p = put_uuid_floor(p, &tower->interface);
	p = put_uuid_floor(p, &tower->transfer);
	p = put_floor(p, EPM_NCACN, minor, sizeof(minor));
	p = put_floor(p, EPM_TCP, port, sizeof(port));
	put_floor(p, EPM_IP, ip, sizeof(ip));
	return twr;
}

/* What is left to read. */
struct reader {
	const uint8_t *p;
	size_t left;
};

static bool get(struct reader *r, size_t n, const uint8_t **data)
{
	if (n > r->left) {
		return false;
	}
	*data = r->p;
	r->p += n;
	r->left -= n;
	return true;
}

static bool get16(struct reader *r, uint16_t *v)
{
	const uint8_t *d = NULL;

	if (!get(r, 2, &d)) {
		return false;
	}
	*v = d[0] | d[1] << 8;
	return true;
}

/* A floor whose sides have just these lengths. */
static bool get_floor(struct reader *r, uint8_t protocol, uint16_t lhs_len,
		      const uint8_t **lhs, uint16_t rhs_len,
		      const uint8_t **rhs)
{
	uint16_t len;

	return get16(r, &len) && len == lhs_len && get(r, len, lhs) &&
	       (*lhs)[0] == protocol && get16(r, &len) && len == rhs_len &&
	       get(r, len, rhs);
}

static bool get_uuid_floor(struct reader *r, struct ndr_syntax_id *id)
{
	const uint8_t *lhs = NULL, *rhs = NULL;
	DATA_BLOB blob;

	if (!get_floor(r, EPM_UUID, 19, &lhs, 2, &rhs)) {
		return false;
	}
	blob = data_blob_const(lhs + 1, 16);
	id->if_version =
		lhs[17] | lhs[18] << 8 | rhs[0] << 16 | (uint32_t)rhs[1] << 24;
	return NT_STATUS_IS_OK(GUID_from_ndr_blob(&blob, &id->uuid));
}

bool tower_unpack(const struct twr_t *twr, struct tower *tower)
{
	struct reader r = {twr->tower_octet_string, twr->tower_length};
	const uint8_t *lhs = NULL, *rhs = NULL;
	uint16_t floors;

	if (!get16(&r, &floors) || floors != FLOORS ||
	    !get_uuid_floor(&r, &tower->interface) ||
	    !get_uuid_floor(&r, &tower->transfer) ||
	    !get_floor(&r, EPM_NCACN, 1, &lhs, 2, &rhs) ||
	    !get_floor(&r, EPM_TCP, 1, &lhs, 2, &rhs)) {
		return false;
	}
	tower->port = rhs[0] << 8 | rhs[1];
	if (!get_floor(&r, EPM_IP, 1, &lhs, 4, &rhs)) {
		return false;
	}
	tower->ipv4 =
		(uint32_t)rhs[0] << 24 | rhs[1] << 16 | rhs[2] << 8 | rhs[3];
	return true;
}
