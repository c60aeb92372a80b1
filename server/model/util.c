/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "server/core/utf8.h"
#include "server/model/private.h"

uint64_t hash_guid(const struct GUID *guid)
{
	return hash_bytes(guid, sizeof(*guid));
}

/* 100 ns since 1601-01-01 UTC ([MS-DTYP] 2.3.3) */
uint64_t filetime_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return ((uint64_t)now.tv_sec + 11644473600ull) * 10000000ull +
	       now.tv_nsec / 100;
}

HRESULT hresult_from_errno(int error)
{
	switch (error) {
	case 0:
		return ISTM_S_OK;
	case ENOENT:
		return ISTM_FILE_NOT_FOUND;
	case ENOTDIR:
	case ELOOP:
	case EXDEV: /* openat2: leads out of the volume */
		return ISTM_PATH_NOT_FOUND;
	case EACCES:
	case EPERM:
	case EROFS:
		return ISTM_ACCESS_DENIED;
	case ENOSPC:
	case EDQUOT:
		return ISTM_DISK_FULL;
	case EFBIG:
	case EOVERFLOW:
		return ISTM_BAD_LENGTH;
	case EWOULDBLOCK:
	case EBUSY:
	case ETXTBSY:
		return ISTM_SHARING_VIOLATION;
	case EEXIST:
		return ISTM_FILE_EXISTS;
	case ENOMEM:
		return ISTM_OUT_OF_MEMORY;
	case EINVAL:
	case EILSEQ:
	case ESTALE: /* a differencing disk's parent has changed */
		return ISTM_INVALID_DATA;
	default:
		return ISTM_IO_DEVICE;
	}
}

static int secret_destructor(char *s)
{
	explicit_bzero(s, talloc_get_size(s));
	return 0;
}

char *secret_strdup(TALLOC_CTX *mem_ctx, const char *s)
{
	char *copy = talloc_strdup(mem_ctx, s);

	if (copy != NULL) {
		talloc_set_destructor(copy, secret_destructor);
	}
	return copy;
}

void secret_blob_free(DATA_BLOB *blob)
{
	data_blob_clear_free(blob);
}

bool secret_blob_copy(TALLOC_CTX *mem_ctx, DATA_BLOB *to, const DATA_BLOB *from)
{
	*to = data_blob_talloc(mem_ctx, from->data, from->length);
	return to->data != NULL;
}

HRESULT model_refuse(HRESULT hr, const char *fmt, ...)
{
	char reason[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(reason, sizeof(reason), fmt, ap);
	va_end(ap);
	log_msg(LOG_WARNING, "%s [0x%08x]", reason, (unsigned)HRES_ERROR_V(hr));
	return hr;
}

HRESULT model_check_string(const char *what, const char *value)
{
	if (value == NULL) {
		return model_refuse(ISTM_INVALID_ARG, "%s: is NULL", what);
	}
	if (strnlen(value, MODEL_STRING_MAX + 1) > MODEL_STRING_MAX) {
		return model_refuse(ISTM_INVALID_ARG,
				    "%s: longer than %d bytes", what,
				    MODEL_STRING_MAX);
	}
	if (!utf8_valid(value)) {
		return model_refuse(ISTM_INVALID_ARG, "%s: not UTF-8", what);
	}
	return ISTM_S_OK;
}
