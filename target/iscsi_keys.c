/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "target/iscsi_keys.h"

#include <stdio.h>
#include <string.h>

#include "target/iscsi_text.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

static const char *const digests[] = {"None", "CRC32C", NULL};
static const char *const task_reporting[] = {
	[TASK_REPORTING_RFC3720] = "RFC3720",
	[TASK_REPORTING_RESPONSEFENCE] = "ResponseFence",
	[TASK_REPORTING_FASTABORT] = "FastAbort",
	NULL,
};

#define I	  KEY_FROM_INITIATOR
#define T	  KEY_FROM_TARGET
#define N	  KEY_NOT_DISCOVERY
#define AT(field) offsetof(struct iscsi_params, field)
#define SEG_MIN	  512u
#define SEG_MAX	  16777215u /* 2^24-1 */

const struct iscsi_key iscsi_keys[] = {
	/* RFC 7143 12 */
	{"AuthMethod", KEY_NEGOTIATED, USE_SECURITY, I | T, 0, 0, 0, 0, NULL},
	{"CHAP_A", KEY_NEGOTIATED, USE_SECURITY, I | T, 0, 0, 0, 0, NULL},
	{"CHAP_I", KEY_NEGOTIATED, USE_SECURITY, I | T, 0, 0, 0, 0, NULL},
	{"CHAP_C", KEY_NEGOTIATED, USE_SECURITY, I | T, 0, 0, 0, 0, NULL},
	{"CHAP_N", KEY_NEGOTIATED, USE_SECURITY, I | T, 0, 0, 0, 0, NULL},
	{"CHAP_R", KEY_NEGOTIATED, USE_SECURITY, I | T, 0, 0, 0, 0, NULL},
	/* RFC 7143 13 */
	{"HeaderDigest", KEY_LIST, USE_IO, I | T, 0, 0, 0, AT(header_digest),
	 digests},
	{"DataDigest", KEY_LIST, USE_IO, I | T, 0, 0, 0, AT(data_digest),
	 digests},
	{"MaxConnections", KEY_NUM_MIN, USE_LO, I | T | N, 1, 65535, 1,
	 AT(max_connections), NULL},
	{"SendTargets", KEY_TEXT, USE_FFPO, I, 0, 0, 0, 0, NULL},
	{"TargetName", KEY_TEXT, USE_IO, I | T, 0, 0, 0, 0, NULL},
	{"InitiatorName", KEY_TEXT, USE_IO, I, 0, 0, 0, 0, NULL},
	{"TargetAlias", KEY_TEXT, USE_ALL, T, 0, 0, 0, 0, NULL},
	{"InitiatorAlias", KEY_TEXT, USE_ALL, I, 0, 0, 0, 0, NULL},
	{"TargetAddress", KEY_TEXT, USE_ALL, T, 0, 0, 0, 0, NULL},
	{"TargetPortalGroupTag", KEY_TEXT, USE_IO, T, 0, 65535, 0, 0, NULL},
	{"InitialR2T", KEY_BOOL_OR, USE_LO, I | T | N, 0, 1, 1, AT(initial_r2t),
	 NULL},
	{"ImmediateData", KEY_BOOL_AND, USE_LO, I | T | N, 0, 1, 1,
	 AT(immediate_data), NULL},
	{"MaxRecvDataSegmentLength", KEY_NUM_DECLARED, USE_ALL, I | T, SEG_MIN,
	 SEG_MAX, 8192, AT(initiator_mrdsl), NULL},
	{"MaxBurstLength", KEY_NUM_MIN, USE_LO, I | T | N, SEG_MIN, SEG_MAX,
	 262144, AT(max_burst), NULL},
	{"FirstBurstLength", KEY_NUM_MIN, USE_LO, I | T | N, SEG_MIN, SEG_MAX,
	 65536, AT(first_burst), NULL},
	{"DefaultTime2Wait", KEY_NUM_MAX, USE_LO, I | T, 0, 3600, 2,
	 AT(time2wait), NULL},
	{"DefaultTime2Retain", KEY_NUM_MIN, USE_LO, I | T, 0, 3600, 20,
	 AT(time2retain), NULL},
	{"MaxOutstandingR2T", KEY_NUM_MIN, USE_LO, I | T | N, 1, 65535, 1,
	 AT(max_r2t), NULL},
	{"DataPDUInOrder", KEY_BOOL_OR, USE_LO, I | T | N, 0, 1, 1,
	 AT(pdu_in_order), NULL},
	{"DataSequenceInOrder", KEY_BOOL_OR, USE_LO, I | T | N, 0, 1, 1,
	 AT(seq_in_order), NULL},
	{"ErrorRecoveryLevel", KEY_NUM_MIN, USE_LO, I | T, 0, 2, 0, AT(erl),
	 NULL},
	{"SessionType", KEY_TEXT, USE_LO, I, 0, 0, 0, 0, NULL},
	{"TaskReporting", KEY_LIST, USE_LO, I | T | N, 0, 0, 0,
	 AT(task_reporting), task_reporting},
	/* RFC 7143 13.24, RFC 7144 7.1.1 */
	{"iSCSIProtocolLevel", KEY_NUM_MIN, USE_LO, I | T | N, 0, 31, 1,
	 AT(protocol_level), NULL},
	/* RFC 7143 13.26 */
	{"X#NodeArchitecture", KEY_TEXT, USE_LO, I | T, 0, 0, 0, 0, NULL},
	/* RFC 3720 A.3, obsolete since RFC 7143 13.25 */
	{"IFMarker", KEY_OBSOLETE_NO, USE_IO, I | T, 0, 0, 0, 0, NULL},
	{"OFMarker", KEY_OBSOLETE_NO, USE_IO, I | T, 0, 0, 0, 0, NULL},
	{"IFMarkInt", KEY_OBSOLETE, USE_IO, I | T, 0, 0, 0, 0, NULL},
	{"OFMarkInt", KEY_OBSOLETE, USE_IO, I | T, 0, 0, 0, 0, NULL},
};

const size_t iscsi_num_keys = ARRAY_SIZE(iscsi_keys);
_Static_assert(ARRAY_SIZE(iscsi_keys) <= 64, "keys index a 64-bit mask");

#undef I
#undef T
#undef N

const struct iscsi_key *iscsi_key_find(const char *name)
{
	size_t len = strcspn(name, "=");

	for (size_t i = 0; i < iscsi_num_keys; i++) {
		if (strlen(iscsi_keys[i].name) == len &&
		    memcmp(iscsi_keys[i].name, name, len) == 0)
			return &iscsi_keys[i];
	}
	return NULL;
}

static uint32_t *field(struct iscsi_params *params, const struct iscsi_key *key)
{
	return (uint32_t *)(void *)((char *)params + key->offset);
}

static uint32_t value_of(const struct iscsi_params *params,
			 const struct iscsi_key *key)
{
	return *(const uint32_t *)(const void *)((const char *)params +
						 key->offset);
}

static bool has_field(const struct iscsi_key *key)
{
	switch (key->type) {
	case KEY_BOOL_AND:
	case KEY_BOOL_OR:
	case KEY_NUM_MIN:
	case KEY_NUM_MAX:
	case KEY_NUM_DECLARED:
	case KEY_LIST:
		return true;
	default:
		return false;
	}
}

void iscsi_params_default(struct iscsi_params *params)
{
	memset(params, 0, sizeof(*params));
	for (size_t i = 0; i < iscsi_num_keys; i++) {
		if (has_field(&iscsi_keys[i]))
			*field(params, &iscsi_keys[i]) = iscsi_keys[i].dflt;
	}
	params->target_mrdsl = 8192;
}

/* RFC 7143 6.2.1: the responder takes the first value that it supports; what
 * we want decides only between support and none. */
static enum iscsi_key_result negotiate_list(const struct iscsi_key *key,
					    const char *value, uint32_t *result,
					    char *answer)
{
	while (*value) {
		size_t len = strcspn(value, ",");

		for (uint32_t i = 0; key->values[i]; i++) {
			if (strlen(key->values[i]) == len &&
			    memcmp(key->values[i], value, len) == 0) {
				*result = i;
				snprintf(answer, ISCSI_ANSWER_MAX, "%s",
					 key->values[i]);
				return KEY_ANSWER;
			}
		}
		value += len;
		if (*value == ',')
			value++;
	}
	return KEY_REJECT;
}

static enum iscsi_key_result negotiate_bool(const struct iscsi_key *key,
					    const char *value, bool ours,
					    uint32_t *result, char *answer)
{
	bool theirs = strcmp(value, "Yes") == 0;

	if (!theirs && strcmp(value, "No") != 0)
		return KEY_REJECT;
	*result =
		key->type == KEY_BOOL_AND ? (theirs && ours) : (theirs || ours);
	snprintf(answer, ISCSI_ANSWER_MAX, "%s", *result ? "Yes" : "No");
	return KEY_ANSWER;
}

static enum iscsi_key_result negotiate_number(const struct iscsi_key *key,
					      const char *value, uint32_t ours,
					      uint32_t *result, char *answer)
{
	uint32_t theirs;

	if (!iscsi_text_number(value, &theirs) || theirs < key->min ||
	    theirs > key->max)
		return key->type == KEY_NUM_DECLARED ? KEY_ERROR : KEY_REJECT;
	switch (key->type) {
	case KEY_NUM_DECLARED:
		*result = theirs;
		return KEY_SILENT;
	case KEY_NUM_MIN:
		*result = theirs < ours ? theirs : ours;
		break;
	default:
		*result = theirs > ours ? theirs : ours;
		break;
	}
	snprintf(answer, ISCSI_ANSWER_MAX, "%u", *result);
	return KEY_ANSWER;
}

enum iscsi_key_result iscsi_key_negotiate(const struct iscsi_key *key,
					  const char *value,
					  const struct iscsi_params *ours,
					  struct iscsi_params *result,
					  char *answer)
{
	answer[0] = '\0';
	switch (key->type) {
	case KEY_BOOL_AND:
	case KEY_BOOL_OR:
		return negotiate_bool(key, value, value_of(ours, key) != 0,
				      field(result, key), answer);
	case KEY_NUM_MIN:
	case KEY_NUM_MAX:
	case KEY_NUM_DECLARED:
		return negotiate_number(key, value, value_of(ours, key),
					field(result, key), answer);
	case KEY_LIST:
		return negotiate_list(key, value, field(result, key), answer);
	case KEY_OBSOLETE_NO:
		snprintf(answer, ISCSI_ANSWER_MAX, "No");
		return KEY_ANSWER;
	case KEY_OBSOLETE:
		snprintf(answer, ISCSI_ANSWER_MAX, "Irrelevant");
		return KEY_ANSWER;
	case KEY_TEXT:
	case KEY_NEGOTIATED:
		break;
	}
	return KEY_SILENT;
}
