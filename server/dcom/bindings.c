/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * String and security bindings: DUALSTRINGARRAY, [MS-DCOM] 2.2.19.
 */
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>

#include "server/dcom/runtime.h"

/* Interfaces come and go; every returned object asks for them. */
#define ADDRESSES_VALID_SECONDS 5
#define MAX_ADDRESSES		64

struct dcom_local_addresses {
	struct timeval until;
	struct sockaddr_storage ss[MAX_ADDRESSES];
	size_t count;
};

/* [MS-DCOM] 2.2.19.4: the security providers a client may choose. */
static const uint16_t security_providers[] = {
	DUALSTRING_AUTHN_WINNT,
	DUALSTRING_AUTHN_SPNEGO,
	DUALSTRING_AUTHN_KERBEROS,
};

static bool ipv4_is_global(uint32_t a)
{
	return (a >> 24) != 0 && (a >> 24) != 127 && /* this host, loopback */
	       (a >> 16) != 0xa9fe &&		     /* 169.254/16 */
	       (a >> 28) < 0xe;			     /* multicast and above */
}

bool dcom_address_is_global(const struct sockaddr_storage *ss)
{
	if (ss->ss_family == AF_INET) {
		const struct sockaddr_in *sin = (const void *)ss;

		return ipv4_is_global(ntohl(sin->sin_addr.s_addr));
	}
	if (ss->ss_family == AF_INET6) {
		const struct in6_addr *a =
			&((const struct sockaddr_in6 *)(const void *)ss)
				 ->sin6_addr;

		return !IN6_IS_ADDR_UNSPECIFIED(a) &&
		       !IN6_IS_ADDR_LOOPBACK(a) && !IN6_IS_ADDR_LINKLOCAL(a) &&
		       !IN6_IS_ADDR_MULTICAST(a) && !IN6_IS_ADDR_V4MAPPED(a);
	}
	return false;
}

static bool same_address(const struct sockaddr_storage *a,
			 const struct sockaddr_storage *b)
{
	if (a->ss_family != b->ss_family) {
		return false;
	}
	if (a->ss_family == AF_INET) {
		return ((const struct sockaddr_in *)(const void *)a)
			       ->sin_addr.s_addr ==
		       ((const struct sockaddr_in *)(const void *)b)
			       ->sin_addr.s_addr;
	}
	return memcmp(&((const struct sockaddr_in6 *)(const void *)a)
			       ->sin6_addr,
		      &((const struct sockaddr_in6 *)(const void *)b)
			       ->sin6_addr,
		      16) == 0;
}

static const char *address_text(const struct sockaddr_storage *ss,
				char buf[INET6_ADDRSTRLEN])
{
	if (ss->ss_family == AF_INET) {
		return inet_ntop(AF_INET,
				 &((const struct sockaddr_in *)(const void *)ss)
					  ->sin_addr,
				 buf, INET6_ADDRSTRLEN);
	}
	return inet_ntop(
		AF_INET6,
		&((const struct sockaddr_in6 *)(const void *)ss)->sin6_addr,
		buf, INET6_ADDRSTRLEN);
}

/* The administrator has said that clients reach it all the same. */
static bool configured(const struct dcom_runtime *runtime,
		       const struct sockaddr_storage *ss)
{
	const char *const *a = runtime->options.addresses;
	char buf[INET6_ADDRSTRLEN];

	if (address_text(ss, buf) == NULL) {
		return false;
	}
	for (; a != NULL && *a != NULL; a++) {
		if (strcmp(*a, buf) == 0) {
			return true;
		}
	}
	return false;
}

/* Whether clients that connect to it are served. */
static bool listened(const struct dcom_runtime *runtime,
		     const struct sockaddr_storage *ss)
{
	for (size_t i = 0; i < runtime->options.num_listen; i++) {
		if (same_address(&runtime->options.listen[i], ss)) {
			return true;
		}
	}
	return runtime->options.num_listen == 0;
}

static void read_addresses(struct dcom_runtime *runtime,
			   struct dcom_local_addresses *list)
{
	struct ifaddrs *ifaddrs = NULL;

	list->count = 0;
	if (getifaddrs(&ifaddrs) != 0) {
		log_msg(LOG_WARNING, "cannot list this machine's addresses: %s",
			strerror(errno));
		return;
	}
	for (struct ifaddrs *i = ifaddrs; i != NULL; i = i->ifa_next) {
		struct sockaddr_storage ss = {0};

		if (i->ifa_addr == NULL || !(i->ifa_flags & IFF_UP) ||
		    list->count == MAX_ADDRESSES) {
			continue;
		}
		if (i->ifa_addr->sa_family == AF_INET) {
			memcpy(&ss, i->ifa_addr, sizeof(struct sockaddr_in));
		} else if (i->ifa_addr->sa_family == AF_INET6) {
			memcpy(&ss, i->ifa_addr, sizeof(struct sockaddr_in6));
		} else {
			continue;
		}
		if (listened(runtime, &ss) &&
		    (dcom_address_is_global(&ss) || configured(runtime, &ss))) {
			list->ss[list->count++] = ss;
		}
	}
	freeifaddrs(ifaddrs);
}

static const struct dcom_local_addresses *local_addresses(
	struct dcom_runtime *runtime)
{
	struct timeval now = tevent_timeval_current();

	if (runtime->addresses == NULL) {
		runtime->addresses =
			talloc_zero(runtime, struct dcom_local_addresses);
		if (runtime->addresses == NULL) {
			return NULL;
		}
	}
	/* Also after the clock was set back. */
	if (tevent_timeval_compare(&now, &runtime->addresses->until) >= 0 ||
	    runtime->addresses->until.tv_sec - now.tv_sec >
		    ADDRESSES_VALID_SECONDS) {
		read_addresses(runtime, runtime->addresses);
		runtime->addresses->until =
			tevent_timeval_add(&now, ADDRESSES_VALID_SECONDS, 0);
	}
	return runtime->addresses;
}

static bool add_host(TALLOC_CTX *mem_ctx, struct dualstring *ds,
		     const char *host, uint16_t port)
{
	char *text;
	bool ok;

	if (port == 0) {
		return dualstring_add_string(mem_ctx, ds, DCOM_TOWER_TCP, host);
	}
	text = talloc_asprintf(mem_ctx, "%s[%u]", host, port);
	ok = text != NULL &&
	     dualstring_add_string(mem_ctx, ds, DCOM_TOWER_TCP, text);
	talloc_free(text);
	return ok;
}

static bool add_address(TALLOC_CTX *mem_ctx, struct dualstring *ds,
			const struct sockaddr_storage *ss, uint16_t port)
{
	char buf[INET6_ADDRSTRLEN];

	return address_text(ss, buf) != NULL &&
	       add_host(mem_ctx, ds, buf, port);
}

bool dcom_wants_tcp(size_t count, const uint16_t *protseqs)
{
	for (size_t i = 0; protseqs != NULL && i < count; i++) {
		if (protseqs[i] == DCOM_TOWER_TCP) {
			return true;
		}
	}
	return false;
}

bool dcom_bindings(struct dcom_runtime *runtime, TALLOC_CTX *mem_ctx,
		   const struct dcom_address *local, uint16_t port,
		   struct dualstring *ds)
{
	const struct dcom_local_addresses *list = local_addresses(runtime);
	const char *names[] = {runtime->options.dns_name,
			       runtime->options.netbios_name};
	bool ok;

	*ds = (struct dualstring){0};
	ok = list != NULL && add_address(mem_ctx, ds, &local->ss, port);
	for (size_t i = 0; ok && i < list->count; i++) {
		if (!same_address(&list->ss[i], &local->ss)) {
			ok = add_address(mem_ctx, ds, &list->ss[i], port);
		}
	}
	for (size_t i = 0; ok && i < ARRAY_SIZE(names); i++) {
		if (names[i] != NULL && names[i][0] != '\0') {
			ok = add_host(mem_ctx, ds, names[i], port);
		}
	}
	for (size_t i = 0; ok && i < ARRAY_SIZE(security_providers); i++) {
		ok = dualstring_add_security(mem_ctx, ds, security_providers[i],
					     "");
	}
	return ok;
}
