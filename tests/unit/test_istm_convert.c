/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The model's values as MS-ISTM's structures. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "server/istm/private.h"

static struct sockaddr_storage ipv4(const char *text, uint16_t port)
{
	struct sockaddr_storage ss = {0};
	struct sockaddr_in *in = (struct sockaddr_in *)&ss;

	in->sin_family = AF_INET;
	in->sin_port = htons(port);
	assert_int_equal(inet_pton(AF_INET, text, &in->sin_addr), 1);
	return ss;
}

static struct sockaddr_storage ipv6(const char *text, uint16_t port)
{
	struct sockaddr_storage ss = {0};
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&ss;

	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(port);
	assert_int_equal(inet_pton(AF_INET6, text, &in6->sin6_addr), 1);
	return ss;
}

static void assert_wchars(const uint16_t *array, size_t n, const char *wanted)
{
	char *text = wchar_get(NULL, array, n);

	assert_string_equal(text, wanted);
	talloc_free(text);
}

static void test_port(void **state)
{
	struct sockaddr_storage v4 = ipv4("192.0.2.1", 3260);
	struct sockaddr_storage v6 = ipv6("2001:db8::1", 65535);
	struct sockaddr_storage none = {0};

	assert_int_equal(istm_address_port(&v4), 3260);
	assert_int_equal(istm_address_port(&v6), 65535);
	assert_int_equal(istm_address_port(&none), 0);
}

static const struct GUID some_guid = {
	0x01234567,
	0x89ab,
	0xcdef,
	{0x01, 0x23},
	{0x45, 0x67, 0x89, 0xab, 0xcd, 0xef},
};

static void test_guid(void **state)
{
	char text[ISTM_GUID_TEXT_MAX];

	istm_guid_text(&some_guid, text);
	assert_string_equal(text, "{01234567-89ab-cdef-0123-456789abcdef}");
}

static void test_volume(void **state)
{
	const struct model_volume volume = {
		.letter = 'D',
		.guid = some_guid,
		.label = "iSCSI",
		.size = 1ull << 40,
		.free = 1ull << 39,
		.sparse = true,
		.max_file_size = 1ull << 44,
		.device_index = 7,
	};
	struct VOLUME v;
	struct VOLUME2 v2;

	memset(&v, 0xff, sizeof(v));
	memset(&v2, 0xff, sizeof(v2));
	istm_volume(&volume, &v);
	istm_volume2(&volume, &v2);
	assert_wchars(v.szMountPoint, 512, "D:\\");
	assert_wchars(v.szGuid, 64, "{01234567-89ab-cdef-0123-456789abcdef}");
	assert_wchars(v.szLabel, 64, "iSCSI");
	assert_wchars(v.szFileSystem, 64, "NTFS");
	assert_int_equal(v.dwDiskIndex, 7);
	assert_int_equal(v.hySize, 1ull << 40);
	assert_int_equal(v.hyTotalVolSize, 1ull << 40);
	assert_int_equal(v.bValidWTVolume, 1);
	assert_int_equal(v.bUnallocated, 0);
	assert_wchars(v2.szMountPoint, 512, "D:\\");
	assert_wchars(v2.szResourceGroup, 512, "");
	assert_int_equal(v2.hyFreeSpace, 1ull << 39);
	assert_int_equal(v2.bSupportSparseFiles, 1);
	assert_int_equal(v2.MaxFileSize, 1ull << 44);
	/* The rest of an array is cleared: nothing leaks. */
	assert_int_equal(v2.szMountPoint[511], 0);
}

static void test_portal(void **state)
{
	const struct model_portal portal = {
		.guid = some_guid,
		.addr = ipv4("192.0.2.1", 3261),
		.text = "192.0.2.1",
		.listen = true,
		.valid = true,
	};
	struct PORTAL p;

	istm_portal(&portal, &p);
	assert_memory_equal(&p.Guid, &some_guid, sizeof(p.Guid));
	assert_wchars(p.szIpAddress, 128, "192.0.2.1");
	assert_int_equal(p.dwPort, 3261);
	assert_int_equal(p.bListen, 1);
	assert_int_equal(p.bSecure, 0);
	assert_int_equal(p.bValid, 1);
}

static void test_connection(void **state)
{
	const struct iscsi_connection_info info = {
		.cid = 3,
		.initiator = ipv6("2001:db8::2", 40000),
		.target = ipv6("2001:db8::1", 3260),
		.header_digest = true,
	};
	struct CONNECTION c;

	istm_connection(&info, &c);
	assert_int_equal(c.CID, 3);
	assert_wchars(c.InitiatorIpAddress, 128, "2001:db8:0:0:0:0:0:2");
	assert_int_equal(c.InitiatorPort, 40000);
	assert_wchars(c.TargetIpAddress, 128, "2001:db8:0:0:0:0:0:1");
	assert_int_equal(c.TargetPort, 3260);
	assert_int_equal(c.HeaderDigestEnabled, 1);
	assert_int_equal(c.DataDigestEnabled, 0);
}

/* A discovery session has no target, and nobody is asked for one. */
static void test_session(void **state)
{
	const struct iscsi_session_info info = {
		.initiator_name = "iqn.2026-01.org.example:me",
		.tsih = 0x1234,
		.isid = {0x80, 0x01, 0x02, 0x03, 0x04, 0x05},
		.discovery = true,
		.chap_used = true,
	};
	struct SESSION2 s;

	istm_session2(NULL, &info, &s);
	assert_wchars(s.InitiatorIQN, 256, "iqn.2026-01.org.example:me");
	assert_wchars(s.HostTargetIQN, 256, "");
	assert_wchars(s.HostName, 512, "");
	assert_int_equal(s.TSIH, 0x1234);
	assert_int_equal(s.ISID, 0x800102030405ull);
	assert_int_equal(s.eType, Discovery);
	assert_int_equal(s.eAuthMethod, Chap);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_port),
		cmocka_unit_test(test_guid),
		cmocka_unit_test(test_volume),
		cmocka_unit_test(test_portal),
		cmocka_unit_test(test_connection),
		cmocka_unit_test(test_session),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
