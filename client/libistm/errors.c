/* SPDX-License-Identifier: GPL-3.0-or-later */
/* HRESULTs in words, for people (MS-ISTM 2.2.1). */
#include <stddef.h>

#include "client/libistm/libistm.h"

static const struct {
	uint32_t code;
	const char *text;
} names[] = {
	{0x00000000, "S_OK"},
	{0x00000001, "S_FALSE"},
	{0x80004001, "E_NOTIMPL: the server does not implement this"},
	{0x80004002, "E_NOINTERFACE"},
	{0x80004003, "E_POINTER: a required value is missing"},
	{0x80004004, "E_ABORT"},
	{0x80004005, "E_FAIL: refused, istmd's log says why"},
	{0x8000ffff, "E_UNEXPECTED"},
	{0x80010108, "RPC_E_DISCONNECTED: the object is gone"},
	{0x80040154, "REGDB_E_CLASSNOTREG: no iSCSI Software Target there"},
	{0x8004230c, "VSS_E_VOLUME_NOT_SUPPORTED"},
	{0x8004232f, "VSS_E_NOT_SUPPORTED: the server makes no snapshots"},
	{0x80070001, "ERROR_INVALID_FUNCTION: not possible for this object"},
	{0x80070002, "ERROR_FILE_NOT_FOUND: not found"},
	{0x80070003, "ERROR_PATH_NOT_FOUND: path not found"},
	{0x80070005, "E_ACCESSDENIED: access denied"},
	{0x80070006, "ERROR_INVALID_HANDLE"},
	{0x8007000d, "ERROR_INVALID_DATA: not valid, as a name or as a disk"},
	{0x8007000e, "E_OUTOFMEMORY: out of memory"},
	{0x8007000f, "ERROR_INVALID_DRIVE: no such drive"},
	{0x80070012, "ERROR_NO_MORE_FILES"},
	{0x80070015, "ERROR_NOT_READY: the service is not ready"},
	{0x80070018,
	 "ERROR_BAD_LENGTH: a size or length out of limits, or no room"},
	{0x80070020, "ERROR_SHARING_VIOLATION: in use"},
	{0x80070026, "ERROR_HANDLE_EOF: there are as many as there may be"},
	{0x80070034, "ERROR_DUP_NAME: the other secret is the same"},
	{0x80070050, "ERROR_FILE_EXISTS: exists already"},
	{0x80070057, "E_INVALIDARG: invalid argument"},
	{0x8007006c, "ERROR_DRIVE_LOCKED: an initiator is using it"},
	{0x80070070, "ERROR_DISK_FULL: no space left on the volume"},
	{0x800700aa, "ERROR_BUSY"},
	{0x800700b7, "ERROR_ALREADY_EXISTS: exists already"},
	{0x8007012f, "ERROR_DELETE_PENDING: being deleted"},
	{0x800703e5, "ERROR_IO_PENDING: is under way already"},
	{0x8007045d, "ERROR_IO_DEVICE: the server's disk has failed"},
	{0x80070522, "ERROR_PRIVILEGE_NOT_HELD"},
	{0x8007052e, "ERROR_LOGON_FAILURE: wrong user name or password"},
	{0x800706ba, "RPC_S_SERVER_UNAVAILABLE: no answer from the server"},
	{0x800706be, "RPC_S_CALL_FAILED: the connection was lost"},
	{0x80070964, "ERROR_DEVICE_IN_USE: in use"},
	{0x800710dd, "ERROR_INVALID_OPERATION: not possible now"},
	{0x80071389,
	 "ERROR_DEPENDENT_RESOURCE_EXISTS: something depends on it"},
	{0x80072740, "WSAEADDRINUSE: another program has that port"},
	{0x80072741, "WSAEADDRNOTAVAIL: the port cannot be had there"},
};

const char *istm_hresult_name(TALLOC_CTX *mem_ctx, HRESULT hr)
{
	uint32_t code = HRES_ERROR_V(hr);
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (names[i].code == code) {
			return names[i].text;
		}
	}
	return talloc_asprintf(mem_ctx, "error 0x%08x", code);
}
