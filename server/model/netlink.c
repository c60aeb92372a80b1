/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <netinet/in.h>
#include <linux/if_addr.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <unistd.h>

#include "server/model/netlink.h"

#define UNUSABLE_FLAGS (IFA_F_TENTATIVE | IFA_F_DADFAILED | IFA_F_TEMPORARY)

static bool add_address(TALLOC_CTX *mem_ctx, int family, const void *data,
			size_t len, struct sockaddr_storage **addresses,
			size_t *num)
{
	struct sockaddr_storage *more;
	struct sockaddr_storage ss = {.ss_family = family};

	if (family == AF_INET && len == 4) {
		memcpy(&((struct sockaddr_in *)&ss)->sin_addr, data, 4);
	} else if (family == AF_INET6 && len == 16) {
		memcpy(&((struct sockaddr_in6 *)&ss)->sin6_addr, data, 16);
	} else {
		return true;
	}
	more = talloc_realloc(mem_ctx, *addresses, struct sockaddr_storage,
			      *num + 1);
	if (more == NULL) {
		return false;
	}
	*addresses = more;
	more[(*num)++] = ss;
	return true;
}

/* RTM_NEWADDR: struct ifaddrmsg, then attributes. */
static bool parse_address(TALLOC_CTX *mem_ctx, const uint8_t *p, size_t len,
			  struct sockaddr_storage **addresses, size_t *num)
{
	const uint8_t *data = NULL;
	size_t data_len = 0;
	bool local = false;
	struct ifaddrmsg msg;
	uint32_t flags;

	if (len < NLMSG_ALIGN(sizeof(msg))) {
		return true;
	}
	memcpy(&msg, p, sizeof(msg));
	p += NLMSG_ALIGN(sizeof(msg));
	len -= NLMSG_ALIGN(sizeof(msg));
	flags = msg.ifa_flags;
	while (len >= sizeof(struct rtattr)) {
		struct rtattr attr;
		size_t payload;

		memcpy(&attr, p, sizeof(attr));
		if (attr.rta_len < sizeof(attr) || attr.rta_len > len) {
			break;
		}
		payload = attr.rta_len - sizeof(attr);
		if (attr.rta_type == IFA_FLAGS && payload == 4) {
			memcpy(&flags, p + sizeof(attr), 4);
		} else if (attr.rta_type == IFA_LOCAL ||
			   (attr.rta_type == IFA_ADDRESS && !local)) {
			/* IFA_ADDRESS is the peer's where both are there. */
			local = attr.rta_type == IFA_LOCAL;
			data = p + sizeof(attr);
			data_len = payload;
		}
		if (RTA_ALIGN(attr.rta_len) >= len) {
			break;
		}
		p += RTA_ALIGN(attr.rta_len);
		len -= RTA_ALIGN(attr.rta_len);
	}
	if (data == NULL || msg.ifa_scope != RT_SCOPE_UNIVERSE ||
	    (flags & UNUSABLE_FLAGS) != 0) {
		return true;
	}
	return add_address(mem_ctx, msg.ifa_family, data, data_len, addresses,
			   num);
}

bool netlink_parse(TALLOC_CTX *mem_ctx, const uint8_t *p, size_t len,
		   struct sockaddr_storage **addresses, size_t *num)
{
	while (len >= sizeof(struct nlmsghdr)) {
		struct nlmsghdr header;

		memcpy(&header, p, sizeof(header));
		if (header.nlmsg_len < sizeof(header) ||
		    header.nlmsg_len > len || header.nlmsg_type == NLMSG_DONE ||
		    header.nlmsg_type == NLMSG_ERROR) {
			return false;
		}
		if (header.nlmsg_type == RTM_NEWADDR &&
		    !parse_address(mem_ctx, p + NLMSG_HDRLEN,
				   header.nlmsg_len - NLMSG_HDRLEN, addresses,
				   num)) {
			return false;
		}
		if (NLMSG_ALIGN(header.nlmsg_len) >= len) {
			break;
		}
		p += NLMSG_ALIGN(header.nlmsg_len);
		len -= NLMSG_ALIGN(header.nlmsg_len);
	}
	return true;
}

int netlink_addresses(TALLOC_CTX *mem_ctx, struct sockaddr_storage **addresses,
		      size_t *num)
{
	struct {
		struct nlmsghdr header;
		struct ifaddrmsg msg;
	} request = {
		.header =
			{
				.nlmsg_len = sizeof(request),
				.nlmsg_type = RTM_GETADDR,
				.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
				.nlmsg_seq = 1,
			},
	};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	uint8_t *buffer = talloc_array(mem_ctx, uint8_t, 65536);
	int error = 0;
	ssize_t len;

	*addresses = NULL;
	*num = 0;
	if (fd < 0 || buffer == NULL) {
		error = fd < 0 ? errno : ENOMEM;
	} else if (send(fd, &request, sizeof(request), 0) < 0) {
		error = errno;
	}
	while (error == 0) {
		/* The kernel answers a dump without delay. */
		len = recv(fd, buffer, 65536, 0);
		if (len < 0 && errno == EINTR) {
			continue;
		}
		if (len < 0) {
			error = errno;
		} else if (!netlink_parse(mem_ctx, buffer, len, addresses,
					  num)) {
			break;
		}
	}
	talloc_free(buffer);
	if (fd >= 0) {
		close(fd);
	}
	return error;
}

int netlink_watch(void)
{
	struct sockaddr_nl address = {
		.nl_family = AF_NETLINK,
		.nl_groups = RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR,
	};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK,
			NETLINK_ROUTE);
	int error;

	if (fd < 0) {
		return -errno;
	}
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
		error = errno;
		close(fd);
		return -error;
	}
	return fd;
}

void netlink_drain(int fd)
{
	uint8_t buffer[8192];
	ssize_t len;

	/* What they say does not matter: all addresses are read anew. ENOBUFS
	 * means that some were lost, which is no different. */
	do {
		len = recv(fd, buffer, sizeof(buffer), MSG_DONTWAIT);
	} while (len > 0 || (len < 0 && (errno == EINTR || errno == ENOBUFS)));
}
