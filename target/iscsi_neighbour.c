/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The kernel's neighbour table, by rtnetlink.
 */
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "target/iscsi_lookup.h"
#include "target/iscsi_text.h"

bool iscsi_mac_parse(const char *text, uint8_t mac[6])
{
	for (int i = 0; i < 6; i++) {
		int high, low;

		if (i && (*text == '-' || *text == ':'))
			text++;
		high = iscsi_hex_digit(text[0]);
		low = high < 0 ? -1 : iscsi_hex_digit(text[1]);
		if (low < 0)
			return false;
		mac[i] = (uint8_t)(high << 4 | low);
		text += 2;
	}
	return *text == '\0';
}

/* The bytes to compare, as in NDA_DST. */
static size_t address_bytes(const struct sockaddr_storage *addr,
			    const void **bytes)
{
	if (addr->ss_family == AF_INET6) {
		*bytes = &((const struct sockaddr_in6 *)(const void *)addr)
				  ->sin6_addr;
		return 16;
	}
	*bytes = &((const struct sockaddr_in *)(const void *)addr)->sin_addr;
	return 4;
}

static bool entry_matches(const struct nlmsghdr *nh,
			  const struct sockaddr_storage *addr,
			  const uint8_t mac[6])
{
	const struct ndmsg *nd = NLMSG_DATA(nh);
	const struct rtattr *attr;
	const void *bytes;
	size_t len = address_bytes(addr, &bytes);
	int left = (int)nh->nlmsg_len - (int)NLMSG_LENGTH(sizeof(*nd));
	bool same_addr = false, same_mac = false;

	if (left < 0 || nd->ndm_family != addr->ss_family ||
	    nd->ndm_state & (NUD_INCOMPLETE | NUD_FAILED | NUD_NOARP))
		return false;
	attr = (const struct rtattr *)(const void *)((const char *)nd +
						     NLMSG_ALIGN(sizeof(*nd)));
	for (; RTA_OK(attr, left); attr = RTA_NEXT(attr, left)) {
		size_t n = RTA_PAYLOAD(attr);

		if (attr->rta_type == NDA_DST && n == len)
			same_addr = memcmp(RTA_DATA(attr), bytes, len) == 0;
		else if (attr->rta_type == NDA_LLADDR && n == 6)
			same_mac = memcmp(RTA_DATA(attr), mac, 6) == 0;
	}
	return same_addr && same_mac;
}

/* @return 1 found, 0 go on, -1 the end */
static int scan(const void *data, ssize_t len,
		const struct sockaddr_storage *addr, const uint8_t mac[6])
{
	const struct nlmsghdr *nh = data;
	size_t left = (size_t)len;

	for (; NLMSG_OK(nh, left); nh = NLMSG_NEXT(nh, left)) {
		if (nh->nlmsg_type == NLMSG_DONE ||
		    nh->nlmsg_type == NLMSG_ERROR)
			return -1;
		if (nh->nlmsg_type == RTM_NEWNEIGH &&
		    entry_matches(nh, addr, mac))
			return 1;
	}
	return 0;
}

bool iscsi_neighbour(const struct sockaddr_storage *addr, const uint8_t mac[6])
{
	struct {
		struct nlmsghdr nh;
		struct ndmsg nd;
	} request = {
		.nh = {.nlmsg_len = sizeof(request),
		       .nlmsg_type = RTM_GETNEIGH,
		       .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
		.nd = {.ndm_family = (uint8_t)addr->ss_family},
	};
	char answer[32768] __attribute__((aligned(8)));
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	struct timeval timeout = {.tv_sec = 2};
	int found = 0;

	if (fd == -1)
		return false;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	if (send(fd, &request, sizeof(request), 0) > 0) {
		while (found == 0) {
			ssize_t n = recv(fd, answer, sizeof(answer), 0);

			if (n <= 0)
				break;
			found = scan(answer, n, addr, mac);
		}
	}
	close(fd);
	return found == 1;
}
