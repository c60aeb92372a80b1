/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Numbers of RFC 7143: opcodes, flags, reasons, limits.
 */
#ifndef ISTM_TARGET_ISCSI_PROTO_H
#define ISTM_TARGET_ISCSI_PROTO_H

#include "target/bytes.h"

#define ISCSI_BHS_LEN	 48
#define ISCSI_AHS_MAX	 (255 * 4) /* RFC 7143 11.2.1.5, 8-bit word count */
#define ISCSI_DIGEST_LEN 4
#define ISCSI_HDR_MAX	 (ISCSI_BHS_LEN + ISCSI_AHS_MAX + ISCSI_DIGEST_LEN)

/* RFC 7143 11.2.1.2 */
#define ISCSI_OP_MASK	   0x3f
#define ISCSI_OP_IMMEDIATE 0x40

#define ISCSI_OP_NOP_OUT    0x00
#define ISCSI_OP_SCSI_CMD   0x01
#define ISCSI_OP_TMF	    0x02
#define ISCSI_OP_LOGIN	    0x03
#define ISCSI_OP_TEXT	    0x04
#define ISCSI_OP_DATA_OUT   0x05
#define ISCSI_OP_LOGOUT	    0x06
#define ISCSI_OP_SNACK	    0x10
#define ISCSI_OP_NOP_IN	    0x20
#define ISCSI_OP_SCSI_RSP   0x21
#define ISCSI_OP_TMF_RSP    0x22
#define ISCSI_OP_LOGIN_RSP  0x23
#define ISCSI_OP_TEXT_RSP   0x24
#define ISCSI_OP_DATA_IN    0x25
#define ISCSI_OP_LOGOUT_RSP 0x26
#define ISCSI_OP_R2T	    0x31
#define ISCSI_OP_ASYNC	    0x32
#define ISCSI_OP_REJECT	    0x3f

#define ISCSI_FLAG_FINAL 0x80

/* SCSI Command, 11.3.1 */
#define ISCSI_CMD_READ	   0x40
#define ISCSI_CMD_WRITE	   0x20
#define ISCSI_CMD_ATTR	   0x07
#define ISCSI_ATTR_SIMPLE  1 /* 0: untagged */
#define ISCSI_ATTR_ORDERED 2
#define ISCSI_ATTR_HEAD	   3 /* of queue */

/* SCSI Response 11.4.1 and Data-In 11.7.3 share the low residual bits */
#define ISCSI_RSP_OVERFLOW  0x04
#define ISCSI_RSP_UNDERFLOW 0x02
#define ISCSI_DATA_STATUS   0x01

/* Login and Text, 11.12.1, 11.12.2, 11.10.2 */
#define ISCSI_LOGIN_TRANSIT  0x80
#define ISCSI_TEXT_CONTINUE  0x40
#define ISCSI_LOGIN_CSG(f)   (((f) >> 2) & 3)
#define ISCSI_LOGIN_NSG(f)   ((f)&3)
#define ISCSI_STAGE_SECURITY 0
#define ISCSI_STAGE_OP	     1
#define ISCSI_STAGE_FULL     3

/* Login status, class and detail in one number, 11.13.5 */
#define ISCSI_LOGIN_SUCCESS	  0x0000
#define ISCSI_LOGIN_MOVED_TEMP	  0x0101
#define ISCSI_LOGIN_MOVED_PERM	  0x0102
#define ISCSI_LOGIN_IS_MOVED(s)	  ((s) >> 8 == 1)
#define ISCSI_LOGIN_INITIATOR_ERR 0x0200
#define ISCSI_LOGIN_AUTH_FAILED	  0x0201
#define ISCSI_LOGIN_FORBIDDEN	  0x0202
#define ISCSI_LOGIN_NOT_FOUND	  0x0203
#define ISCSI_LOGIN_REMOVED	  0x0204
#define ISCSI_LOGIN_VERSION	  0x0205
#define ISCSI_LOGIN_TOO_MANY	  0x0206
#define ISCSI_LOGIN_MISSING_PARAM 0x0207
#define ISCSI_LOGIN_CANT_INCLUDE  0x0208
#define ISCSI_LOGIN_SESSION_TYPE  0x0209
#define ISCSI_LOGIN_NO_SESSION	  0x020a
#define ISCSI_LOGIN_INVALID_REQ	  0x020b
#define ISCSI_LOGIN_TARGET_ERR	  0x0300
#define ISCSI_LOGIN_UNAVAILABLE	  0x0301
#define ISCSI_LOGIN_NO_RESOURCES  0x0302

/* Reject reasons, 11.17.1 */
#define ISCSI_REJECT_DATA_DIGEST   0x02
#define ISCSI_REJECT_SNACK	   0x03
#define ISCSI_REJECT_PROTOCOL	   0x04
#define ISCSI_REJECT_UNSUPPORTED   0x05
#define ISCSI_REJECT_TOO_MANY_IMM  0x06
#define ISCSI_REJECT_IN_PROGRESS   0x07
#define ISCSI_REJECT_INVALID_FIELD 0x09
#define ISCSI_REJECT_LONG_OP	   0x0a
#define ISCSI_REJECT_LOGOUT	   0x0c

/* Task management functions, 11.5.1 */
#define ISCSI_TMF_ABORT_TASK	 1
#define ISCSI_TMF_ABORT_TASK_SET 2
#define ISCSI_TMF_CLEAR_ACA	 3
#define ISCSI_TMF_CLEAR_TASK_SET 4
#define ISCSI_TMF_LU_RESET	 5
#define ISCSI_TMF_WARM_RESET	 6
#define ISCSI_TMF_COLD_RESET	 7
#define ISCSI_TMF_REASSIGN	 8
#define ISCSI_TMF_QUERY_TASK	 9 /* these: RFC 7144 6.3 */
#define ISCSI_TMF_QUERY_TASK_SET 10
#define ISCSI_TMF_NEXUS_RESET	 11
#define ISCSI_TMF_QUERY_EVENT	 12

/* Their responses, 11.6.1 */
#define ISCSI_TMF_COMPLETE    0
#define ISCSI_TMF_NO_TASK     1
#define ISCSI_TMF_NO_LUN      2
#define ISCSI_TMF_NO_REASSIGN 4
#define ISCSI_TMF_UNSUPPORTED 5
#define ISCSI_TMF_SUCCEEDED   7 /* RFC 7144 6.4.2 */
#define ISCSI_TMF_REJECTED    255

/* Logout reasons 11.14.1 and responses 11.15.1 */
#define ISCSI_LOGOUT_SESSION	0
#define ISCSI_LOGOUT_CONNECTION 1
#define ISCSI_LOGOUT_RECOVERY	2
#define ISCSI_LOGOUT_OK		0
#define ISCSI_LOGOUT_NO_CID	1
#define ISCSI_LOGOUT_NO_RECOVER 2
#define ISCSI_LOGOUT_FAILED	3

/* Asynchronous events, 11.9.1 */
#define ISCSI_ASYNC_SCSI	 0
#define ISCSI_ASYNC_LOGOUT	 1
#define ISCSI_ASYNC_DROP_CONN	 2
#define ISCSI_ASYNC_DROP_SESSION 3
#define ISCSI_ASYNC_NEGOTIATE	 4
#define ISCSI_ASYNC_TERMINATED	 5

#define ISCSI_TAG_NONE 0xffffffffu

/* Sense, 11.4.7.2: sense key ABORTED COMMAND with these */
#define ISCSI_ASC_UNEXPECTED_DATA  0x0c0c
#define ISCSI_ASC_INCORRECT_AMOUNT 0x0c0d
#define ISCSI_ASC_CRC_ERROR	   0x4705

/* Serial number arithmetic (RFC 1982), as RFC 7143 4.2.2.1 wants it. */
static inline int sn_lt(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

static inline int sn_le(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) <= 0;
}

#endif /* ISTM_TARGET_ISCSI_PROTO_H */
