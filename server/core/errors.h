/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The HRESULTs that MS-ISTM documents and core/hresult.h of Samba lacks: Win32
 * errors in HRESULT form ([MS-ERREF] 2.1.2: severity and facility 7), and the
 * success codes.
 */
#ifndef ISTM_ERRORS_H
#define ISTM_ERRORS_H

#include <stdint.h>
#include <core/hresult.h>

#define ISTM_S_OK    HRES_ERROR(0x00000000)
#define ISTM_S_FALSE HRES_ERROR(0x00000001)

/* Bit 31 of an HRESULT: S_FALSE and its like are no failures. */
#define ISTM_FAILED(hr) ((HRES_ERROR_V(hr) & 0x80000000u) != 0)

#define ISTM_WIN32(code) HRES_ERROR(0x80070000u | (code))

#define ISTM_INVALID_FUNCTION	       ISTM_WIN32(1)
#define ISTM_FILE_NOT_FOUND	       ISTM_WIN32(2)
#define ISTM_PATH_NOT_FOUND	       ISTM_WIN32(3)
#define ISTM_ACCESS_DENIED	       ISTM_WIN32(5) /* E_ACCESSDENIED */
#define ISTM_INVALID_HANDLE	       ISTM_WIN32(6)
#define ISTM_INVALID_DATA	       ISTM_WIN32(13)
#define ISTM_OUT_OF_MEMORY	       ISTM_WIN32(14) /* E_OUTOFMEMORY */
#define ISTM_INVALID_DRIVE	       ISTM_WIN32(15)
#define ISTM_NO_MORE_FILES	       ISTM_WIN32(18)
#define ISTM_NOT_READY		       ISTM_WIN32(21)
#define ISTM_BAD_LENGTH		       ISTM_WIN32(24)
#define ISTM_SHARING_VIOLATION	       ISTM_WIN32(32)
#define ISTM_HANDLE_EOF		       ISTM_WIN32(38)
#define ISTM_DUP_NAME		       ISTM_WIN32(52)
#define ISTM_FILE_EXISTS	       ISTM_WIN32(80)
#define ISTM_INVALID_ARG	       ISTM_WIN32(87) /* E_INVALIDARG */
#define ISTM_DRIVE_LOCKED	       ISTM_WIN32(108)
#define ISTM_DISK_FULL		       ISTM_WIN32(112)
#define ISTM_BUSY		       ISTM_WIN32(170)
#define ISTM_ALREADY_EXISTS	       ISTM_WIN32(183)
#define ISTM_DELETE_PENDING	       ISTM_WIN32(303)
#define ISTM_IO_PENDING		       ISTM_WIN32(997)
#define ISTM_IO_DEVICE		       ISTM_WIN32(1117)
#define ISTM_UNSUPPORTED_TYPE	       ISTM_WIN32(1630)
#define ISTM_DEVICE_IN_USE	       ISTM_WIN32(2404)
#define ISTM_INVALID_OPERATION	       ISTM_WIN32(4317)
#define ISTM_DEPENDENT_RESOURCE_EXISTS ISTM_WIN32(5001)

#define ISTM_NOT_IMPLEMENTED	      HRES_ERROR(0x80004001u) /* E_NOTIMPL */
#define ISTM_NO_INTERFACE	      HRES_ERROR(0x80004002u) /* E_NOINTERFACE */
#define ISTM_POINTER		      HRES_ERROR(0x80004003u) /* E_POINTER */
#define ISTM_ABORT		      HRES_ERROR(0x80004004u) /* E_ABORT */
#define ISTM_FAIL		      HRES_ERROR(0x80004005u) /* E_FAIL */
#define ISTM_UNEXPECTED		      HRES_ERROR(0x8000ffffu) /* E_UNEXPECTED */
#define ISTM_VSS_VOLUME_NOT_SUPPORTED HRES_ERROR(0x8004230cu)
#define ISTM_VSS_NOT_SUPPORTED	      HRES_ERROR(0x8004232fu)

#endif /* ISTM_ERRORS_H */
