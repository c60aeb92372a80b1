/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What initiators learn before they use a target: SendTargets in sessions that
 * have authenticated themselves and in those that have not, and where a target
 * has moved to (RFC 7143 11.13.5, 12.1.3, 13.8, appendix C). */
#include "target_iscsi_commands.h"

#include <sys/wait.h>

#include "target/iscsi_chap.h"
#include "target/iscsi_lookup.h"

#define SEC_STAY    (ISCSI_STAGE_SECURITY << 2)
#define SEC_TO_OP   (ISCSI_LOGIN_TRANSIT | ISCSI_STAGE_OP)
#define SEC_TO_FULL (ISCSI_LOGIN_TRANSIT | ISCSI_STAGE_FULL)
#define DISCOVERY                                                              \
	"InitiatorName=" INITIATOR ";SessionType=Discovery;AuthMethod=CHAP,"   \
	"None"

/* ---- CHAP ---- */

/* @return the status of the last step */
static int authenticate(struct peer *p, const char *user, const char *secret,
			const char *more)
{
	uint8_t challenge[64], response[ISCSI_CHAP_DIGEST_MAX];
	const struct iscsi_chap_alg *alg = iscsi_chap_choose("7");
	char pairs[512], hex[128];
	uint32_t id;
	int len;

	assert_int_equal(peer_login_step(p, SEC_STAY, DISCOVERY), 0);
	assert_string_equal(peer_value(p, "AuthMethod"), "CHAP");
	assert_int_equal(peer_login_step(p, SEC_STAY, "CHAP_A=7"), 0);
	assert_true(iscsi_text_number(peer_value(p, "CHAP_I"), &id));
	len = iscsi_text_binary(peer_value(p, "CHAP_C"), challenge,
				sizeof(challenge));
	assert_true(iscsi_chap_response(alg, (uint8_t)id, secret, challenge,
					(size_t)len, response));
	iscsi_text_hex(response, alg->len, hex);
	snprintf(pairs, sizeof(pairs), "CHAP_N=%s;CHAP_R=%s%s%s", user, hex,
		 *more ? ";" : "", more);
	return peer_login_step(p, SEC_TO_FULL, pairs);
}

/* The names of all targets shown, in the order of the list. */
static const char *send_targets(struct peer *p)
{
	static char names[1024];
	uint8_t bhs[48] = {ISCSI_OP_TEXT | ISCSI_OP_IMMEDIATE, 0x80};
	struct iscsi_text_iter it;
	const char *key, *value;

	put_be32(bhs + 16, ++p->itt);
	put_be32(bhs + 20, ISCSI_TAG_NONE);
	put_be32(bhs + 24, p->cmdsn);
	peer_send(p, bhs, "SendTargets=All", 16);
	peer_expect(p, ISCSI_OP_TEXT_RSP);
	names[0] = '\0';
	it = (struct iscsi_text_iter){(char *)p->data,
				      (char *)p->data + p->len};
	while (iscsi_text_next(&it, &key, &value) > 0) {
		if (strncmp(key, "TargetName=", 11) == 0) {
			strcat(names, strrchr(value, ':'));
		}
	}
	return names;
}

static void add_target(const char *name, const char *user, const char *secret)
{
	struct iscsi_tgt_config config = bench_config(b);

	config.name = name;
	config.chap = user != NULL;
	config.chap_user = user;
	config.chap_secret = secret;
	config.reverse_chap = user != NULL;
	config.reverse_chap_user = "rabbit";
	config.reverse_chap_secret = "lookingglass";
	assert_non_null(iscsi_tgt_add(b->server, &config, NULL));
}

static void chap_start(void)
{
	static const struct iscsi_id others[] = {
		{ISCSI_ID_IQN, "iqn.2026-01.test.istmd:second"},
	};
	struct iscsi_tgt_config config;

	bench_discovery_chap = true;
	b = bench_start(2);
	bench_discovery_chap = false;
	add_target("iqn.2026-01.test:alices", "alice", "wonderland12");
	add_target("iqn.2026-01.test:also", "alice", "wonderland12");
	add_target("iqn.2026-01.test:mad", "alice", "anothersecret");
	add_target("iqn.2026-01.test:bobs", "bob", "wonderland12");
	/* with her secret, but not for this initiator */
	config = bench_config(b);
	config.name = "iqn.2026-01.test:foreign";
	config.chap = true;
	config.chap_user = "dave";
	config.chap_secret = "secretofdave";
	config.ids = others;
	config.num_ids = 1;
	assert_non_null(iscsi_tgt_add(b->server, &config, NULL));
}

static void test_discovery_chap(void **state)
{
	struct peer *p;

	chap_start();
	/* :one has no CHAP and is for all that have authenticated */
	p = peer_connect(b);
	assert_int_equal(authenticate(p, "alice", "wonderland12", ""), 0);
	assert_string_equal(send_targets(p), ":one:alices:also");
	peer_close(p);
	p = peer_connect(b);
	assert_int_equal(authenticate(p, "alice", "anothersecret", ""), 0);
	assert_string_equal(send_targets(p), ":one:mad");
	peer_close(p);
	p = peer_connect(b);
	assert_int_equal(authenticate(p, "bob", "wonderland12", ""), 0);
	assert_string_equal(send_targets(p), ":one:bobs");
	peer_close(p);
	bench_stop(b);
}

static void test_discovery_chap_refused(void **state)
{
	static const struct {
		const char *user, *secret;
	} wrong[] = {
		{"alice", "wonderland13"},
		{"alice", ""},
		{"", ""},
		{"carol", "wonderland12"},
		{"dave", "secretofdave"}, /* of a target that it may not use */
		{"rabbit", "lookingglass"}, /* the other direction's */
	};
	struct peer *p;

	chap_start();
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		p = peer_connect(b);
		bench_warnings();
		assert_int_equal(authenticate(p, wrong[i].user, wrong[i].secret,
					      ""),
				 ISCSI_LOGIN_AUTH_FAILED);
		assert_int_equal(bench_warnings(), 1);
		assert_null(strstr(log_last, "wonderland"));
		peer_expect_close(p);
		peer_close(p);
	}
	/* around it */
	p = peer_connect(b);
	assert_int_equal(peer_login_step(p, OP_TO_FULL,
					 "InitiatorName=" INITIATOR
					 ";SessionType=Discovery"),
			 ISCSI_LOGIN_AUTH_FAILED);
	peer_close(p);
	p = peer_connect(b);
	assert_int_equal(peer_login_step(p, SEC_TO_OP,
					 "InitiatorName=" INITIATOR
					 ";SessionType=Discovery;"
					 "AuthMethod=None"),
			 ISCSI_LOGIN_AUTH_FAILED);
	peer_close(p);
	/* normal sessions are as their target says */
	p = peer_new(b, "");
	peer_close(p);
	bench_stop(b);
}

static void test_mutual_discovery_chap(void **state)
{
	static const uint8_t challenge[] = {0x12, 0x34, 0x56};
	uint8_t expected[ISCSI_CHAP_DIGEST_MAX];
	struct peer *p;
	char hex[128];

	chap_start();
	p = peer_connect(b);
	assert_int_equal(authenticate(p, "bob", "wonderland12",
				      "CHAP_I=9;CHAP_C=0x123456"),
			 0);
	assert_true(iscsi_chap_response(iscsi_chap_choose("7"), 9,
					"lookingglass", challenge, 3,
					expected));
	iscsi_text_hex(expected, 32, hex);
	assert_string_equal(peer_value(p, "CHAP_N"), "rabbit");
	assert_string_equal(peer_value(p, "CHAP_R"), hex);
	assert_string_equal(send_targets(p), ":one:bobs");
	peer_close(p);
	bench_stop(b);
}

/* ---- redirection ---- */

static void moved(const char *pairs, int status, const char *to)
{
	struct peer *p = peer_connect(b);

	bench_warnings();
	assert_int_equal(peer_login_step(p, OP_TO_FULL, pairs), status);
	assert_int_equal(p->bhs[1] & ISCSI_LOGIN_TRANSIT, 0);
	if (to) {
		assert_string_equal(peer_value(p, "TargetAddress"), to);
		/* and nothing else */
		assert_int_equal(p->len, 14 + strlen(to) + 1);
		assert_int_equal(bench_warnings(), 0);
	} else {
		assert_int_equal(p->len, 0);
	}
	peer_expect_close(p);
	peer_close(p);
}

static void test_redirection_of_targets(void **state)
{
	static const struct iscsi_redirect redirects[] = {
		{.target = "iqn.2026-01.test:GONE", .to = "192.0.2.7:3261"},
		{.target = "iqn.2026-01.test:for-good",
		 .to = "[2001:db8::7]",
		 .permanent = true},
	};
	struct peer *p;

	bench_redirects = redirects;
	bench_num_redirects = 2;
	b = bench_start(2);
	bench_num_redirects = 0;
	add_target("iqn.2026-01.test:gone", NULL, NULL);
	add_target("iqn.2026-01.test:for-good", NULL, NULL);
	moved("InitiatorName=" INITIATOR ";TargetName=iqn.2026-01.test:Gone",
	      0x0101, "192.0.2.7:3261");
	moved("InitiatorName=" INITIATOR
	      ";TargetName=iqn.2026-01.test:for-good;MaxBurstLength=4096",
	      0x0102, "[2001:db8::7]");
	/* a stranger does not learn where it is */
	moved("InitiatorName=iqn.2026-01.test:stranger;"
	      "TargetName=iqn.2026-01.test:gone",
	      ISCSI_LOGIN_FORBIDDEN, NULL);
	p = peer_new(b, "");
	peer_close(p);
	/* it is told so whatever stage it begins with */
	p = peer_connect(b);
	assert_int_equal(peer_login_step(p, SEC_STAY,
					 "InitiatorName=" INITIATOR
					 ";TargetName=iqn.2026-01.test:gone"),
			 0x0101);
	assert_string_equal(peer_value(p, "TargetAddress"), "192.0.2.7:3261");
	peer_close(p);
	bench_stop(b);
}

static void test_redirection_of_portals(void **state)
{
	struct iscsi_redirect redirect = {.to = "storage.example:3260"};
	struct sockaddr_in *in = (void *)&redirect.portal;
	struct sockaddr_in first,
		any = {
			.sin_family = AF_INET,
			.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1),
		};
	struct sockaddr_storage bound;
	struct peer *p;

	*in = any;
	bench_redirects = &redirect;
	bench_num_redirects = 1;
	b = bench_start(2);
	bench_num_redirects = 0;
	assert_int_equal(iscsi_portal_add(b->server, (struct sockaddr *)&any,
					  sizeof(any), 1),
			 0);
	assert_int_equal(iscsi_portal_address(b->server,
					      (struct sockaddr *)&any,
					      sizeof(any), &bound),
			 0);
	peer_close(peer_new(b, ""));
	first = b->addr;
	memcpy(&b->addr, &bound, sizeof(b->addr));
	moved(NAMES, 0x0101, "storage.example:3260");
	/* discovery is not concerned */
	p = peer_connect(b);
	assert_int_equal(peer_login_step(p, OP_TO_FULL,
					 "InitiatorName=" INITIATOR
					 ";SessionType=Discovery"),
			 0);
	assert_string_equal(send_targets(p), ":one");
	peer_close(p);
	b->addr = first;
	bench_stop(b);
}

/* ---- who it is ---- */

#define IN_NETWORK "in-network"

/* The neighbour table of a network of its own. @return the process's status */
static int in_network(void)
{
	static const uint8_t mac[6] = {0x02, 0, 0, 0x11, 0x22, 0x33};
	static const uint8_t other[6] = {0x02, 0, 0, 0x11, 0x22, 0x34};
	struct sockaddr_storage v4 = {.ss_family = AF_INET},
				v6 = {.ss_family = AF_INET6}, none = v4;

	if (system("ip link add d0 type veth peer name d1 && ip link set d0 up "
		   "&& "
		   "ip addr add 192.0.2.1/24 dev d0 && "
		   "ip neigh add 192.0.2.2 lladdr 02:00:00:11:22:33 dev d0 && "
		   "ip neigh add 192.0.2.4 nud failed dev d0 && "
		   "ip neigh add 2001:db8::2 lladdr 02:00:00:11:22:33 dev "
		   "d0") != 0) {
		return 77;
	}
	inet_pton(AF_INET, "192.0.2.2",
		  &((struct sockaddr_in *)(void *)&v4)->sin_addr);
	inet_pton(AF_INET, "192.0.2.3",
		  &((struct sockaddr_in *)(void *)&none)->sin_addr);
	inet_pton(AF_INET6, "2001:db8::2",
		  &((struct sockaddr_in6 *)(void *)&v6)->sin6_addr);
	return iscsi_neighbour(&v4, mac) && iscsi_neighbour(&v6, mac) &&
			       !iscsi_neighbour(&v4, other) &&
			       !iscsi_neighbour(&none, mac)
		       ? 0
		       : 1;
}

/* In a process that starts there: with a thread more, as TSan has one, none can
 * change its user namespace. */
static void test_neighbours(void **state)
{
	char self[4096] = "";
	pid_t pid;
	int status;

	if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0 ||
	    system("unshare -rn true") != 0) {
		print_message("# skip: no network namespaces here\n");
		skip();
	}
	pid = fork();
	if (pid == 0) {
		execlp("unshare", "unshare", "-rn", self, IN_NETWORK, NULL);
		_exit(1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77) {
		print_message("# skip: no ip(8) here, or no veth\n");
		skip();
	}
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* Each kind of identification for each kind of peer. */
static void test_ids_of_ipv6(void **state)
{
	static const struct iscsi_id yes[] = {{ISCSI_ID_IPV6, "0:0::1"},
					      {ISCSI_ID_DNS, "::1"},
					      {ISCSI_ID_NETBIOS, "::1"}};
	static const struct iscsi_id no[] = {
		{ISCSI_ID_IPV4, "127.0.0.1"}, {ISCSI_ID_IPV6, "::2"},
		{ISCSI_ID_IPV6, "::"},	      {ISCSI_ID_IPV6, "nonsense"},
		{ISCSI_ID_IQN, "::1"},	      {ISCSI_ID_MAC, "000000000000"}};
	struct sockaddr_in6 any = {.sin6_family = AF_INET6,
				   .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	struct sockaddr_storage bound;

	b = bench_start(2);
	if (iscsi_portal_add(b->server, (struct sockaddr *)&any, sizeof(any),
			     1) != 0) {
		bench_stop(b);
		print_message("# skip: there is no IPv6 here\n");
		skip();
	}
	assert_int_equal(iscsi_portal_address(b->server,
					      (struct sockaddr *)&any,
					      sizeof(any), &bound),
			 0);
	for (size_t i = 0; i < 9; i++) {
		struct iscsi_tgt_config config = bench_config(b);
		struct peer *p = calloc(1, sizeof(*p));

		config.ids = i < 3 ? &yes[i] : &no[i - 3];
		config.num_ids = 1;
		assert_int_equal(iscsi_tgt_update(b->tgt, &config), 0);
		p->fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
		assert_int_equal(connect(p->fd, (struct sockaddr *)&bound,
					 sizeof(any)),
				 0);
		assert_int_equal(peer_login_step(p, OP_TO_FULL, NAMES),
				 i < 3 ? 0 : ISCSI_LOGIN_FORBIDDEN);
		peer_close(p);
	}
	bench_stop(b);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_discovery_chap),
		cmocka_unit_test(test_discovery_chap_refused),
		cmocka_unit_test(test_mutual_discovery_chap),
		cmocka_unit_test(test_redirection_of_targets),
		cmocka_unit_test(test_redirection_of_portals),
		cmocka_unit_test(test_neighbours),
		cmocka_unit_test(test_ids_of_ipv6),
	};

	if (argc == 2 && strcmp(argv[1], IN_NETWORK) == 0) {
		return in_network();
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
