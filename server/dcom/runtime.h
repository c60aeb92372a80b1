/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The insides of the DCOM runtime, shared by its files alone.
 *
 * Who owns whom (talloc): the runtime owns classes, objects, clients, ping
 * sets, listeners, connections and calls. An object owns its IPIDs. A
 * connection owns Samba's dcesrv_connection. A call is no child of Samba's
 * dcesrv_call_state, so that a deferred call survives its connection.
 */
#ifndef ISTM_DCOM_RUNTIME_H
#define ISTM_DCOM_RUNTIME_H

#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/param.h>
#include <sys/socket.h>

#include <dcesrv_core.h>
#include <util/discard.h>

#include "librpc/com.h"
#include "librpc/gen_ndr/ndr_orpc.h"
#include "librpc/dualstring.h"
#include "librpc/objref.h"
#include "server/core/errors.h"
#include "server/core/hash.h"
#include "server/core/log.h"
#include "server/dcom/dcom.h"

/* [MS-ERREF] 2.1, not in Samba's hresult.h in this spelling */
#define DCOM_E_VERSION_MISMATCH 0x80010110u /* RPC_E_VERSION_MISMATCH */
#define DCOM_E_DISCONNECTED	0x80010108u /* RPC_E_DISCONNECTED */
#define DCOM_E_INVALID_IPID	0x80010113u /* RPC_E_INVALID_IPID */
#define DCOM_E_INVALID_OBJECT	HRES_ERROR(0x80010114u)
#define DCOM_E_CLASS_NOT_REG	HRES_ERROR(0x80040154u)
#define DCOM_E_NO_AGGREGATION	HRES_ERROR(0x80040110u)
#define DCOM_S_NOT_ALL_IFACES	HRES_ERROR(0x00080012u)

/* [MS-DCOM] 2.2.4, error_status_t of IObjectExporter: Win32 codes */
#define DCOM_OR_INVALID_OXID 1910u
#define DCOM_OR_INVALID_OID  1911u
#define DCOM_OR_INVALID_SET  1912u
/* There is TCP only. */
#define DCOM_RPC_PROTSEQ_NOT_SUPPORTED 1703u
#define DCOM_WIN32_OUTOFMEMORY	       14u

#ifndef ARRAY_SIZE
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#endif
#ifndef ZERO_STRUCTP
#define ZERO_STRUCTP(p) memset((p), 0, sizeof(*(p)))
#endif

struct dcom_address {
	struct sockaddr_storage ss;
};

struct dcom_connection {
	struct dcom_connection *prev, *next;
	struct dcom_runtime *runtime;
	struct dcesrv_connection *dce;
	struct dcom_address local, remote;
	const char *remote_text; /* address without port */
	unsigned num_contexts;
	bool greeted;	   /* a bind was accepted */
	bool level_logged; /* its calls below the level have been */
};

/* What one account at one address holds; counted for the quota. */
struct dcom_client {
	struct hash_node node; /* by name */
	struct dcom_runtime *runtime;
	const char *name;    /* SID@address */
	const char *address; /* the part after @ */
	uint64_t seen;	     /* its last call, or reference given to it */
	bool silent;	     /* ping.c: neither that nor pings for long */
	size_t num_ipids;
	bool refused; /* its going over the quota has been logged */
};

/* One interface of one object, handed to one client. */
struct dcom_ipid {
	struct dcom_ipid *prev, *next; /* of the object */
	struct hash_node node;
	struct GUID ipid;
	struct dcom_object *object;
	const struct com_interface *interface; /* NULL: IUnknown */
	struct dcom_client *client;	       /* NULL: the runtime's own */
	uint32_t public_refs, private_refs;
};

struct dcom_object {
	struct dcom_object *prev, *next;
	struct dcom_runtime *runtime;
	const struct dcom_object_type *type;
	void *self;
	uint64_t oid;
	struct hash_node oid_node;
	struct GUID key;
	struct hash_node key_node;
	struct dcom_ipid *ipids;
	unsigned calls;	    /* in progress */
	unsigned ping_sets; /* that it is in */
	bool pinned;
	bool fresh;    /* created in this pass, not handed out yet */
	uint64_t used; /* last call, or reference given */
};

struct dcom_class_entry {
	struct dcom_class_entry *next;
	struct dcom_class class;
	struct dcom_object *factory; /* its IClassFactory; pinned */
};

struct dcom_runtime {
	struct tevent_context *ev;
	struct dcom_options options;
	uint64_t oxid;
	struct dcom_ipid *rem_unknown;
	struct dcom_object *objects;
	bool have_fresh;
	size_t num_objects;
	struct hash oids, ipids, keys, clients, sets;
	struct dcom_ping_set *set_list;
	size_t num_sets;
	struct dcom_class_entry *classes;
	struct dcesrv_context *dce_ctx;
	struct dcesrv_context_callbacks callbacks;
	struct dcesrv_endpoint *epm_endpoint, *object_endpoint;
	uint16_t object_port;
	struct dcom_listener *listeners;
	struct dcom_connection *connections;
	unsigned num_connections;
	struct dcom_call *calls;
	int reserve_fd; /* to take what comes when there are no others */
	bool too_many_logged;
	struct tevent_timer *ping_timer;
	uint64_t passed;			/* dcom_runtime_pass_time() */
	struct dcom_local_addresses *addresses; /* cached */
	bool stopping;
};

/* An interface pointer given out by a call, taken back if the call fails. */
struct dcom_grant {
	struct dcom_grant *next;
	struct GUID ipid;
	uint32_t refs;
	struct MInterfacePointer **out;
};

struct dcom_call {
	struct dcom_call *prev, *next;
	struct dcom_runtime *runtime;
	struct dcesrv_call_state *dce; /* NULL: the connection is gone */
	const struct com_interface *interface;
	const struct com_method *method;
	uint16_t opnum;
	struct dcom_object *object;
	const char *client_name; /* SID@address */
	const char *account, *address, *method_name, *audit_object;
	struct dcom_address local, remote;
	struct dcom_grant *grants;
	void *r;
	bool refused;	  /* E_ACCESSDENIED without looking */
	bool dispatching; /* the method is on the stack */
	bool deferred, finished;
	HRESULT result;
};

/* IDs are random: whoever does not know one cannot guess it. @length <= 256 */
void dcom_random(void *buffer, size_t length);

/* ---- object.c ---- */

struct dcom_object *dcom_object_by_oid(struct dcom_runtime *runtime,
				       uint64_t oid);
struct dcom_ipid *dcom_ipid_find(struct dcom_runtime *runtime,
				 const struct GUID *ipid);
/* IID_IUnknown gives S_OK with *interface NULL. */
HRESULT dcom_object_query(const struct dcom_object *object,
			  const struct GUID *iid,
			  const struct com_interface **interface);
/*
 * Add @refs public references for the caller to its IPID of that interface,
 * which is made if it has none.
 * @param interface NULL: IUnknown
 */
HRESULT dcom_object_reference(struct dcom_call *call,
			      struct dcom_object *object,
			      const struct com_interface *interface,
			      uint32_t refs, struct dcom_ipid **ipid);
/* One that nobody releases. */
struct dcom_ipid *dcom_object_own_ipid(struct dcom_object *object,
				       const struct com_interface *interface);
void dcom_ipid_release(struct dcom_ipid *ipid, uint32_t public_refs,
		       uint32_t private_refs);
/* Free what no reference, call or pin keeps. */
void dcom_object_check(struct dcom_object *object);
/* Its clients have vanished: drop all their references, or with @silent those
 * of clients that are. */
void dcom_object_run_down(struct dcom_object *object, bool silent);
void dcom_objects_sweep_fresh(struct dcom_runtime *runtime);
void dcom_objects_free_all(struct dcom_runtime *runtime);
void dcom_object_touch(struct dcom_object *object);

/* ---- marshal.c ---- */

extern const struct GUID dcom_iid_iunknown;

void dcom_std_objref(const struct dcom_ipid *ipid, uint32_t refs,
		     struct STDOBJREF *std);
/* OBJREF_STANDARD in an MInterfacePointer for the caller. */
HRESULT dcom_marshal_ipid(struct dcom_call *call, TALLOC_CTX *mem_ctx,
			  const struct dcom_ipid *ipid, uint32_t refs,
			  struct MInterfacePointer **out);

/* ---- client.c ---- */

struct dcom_client *dcom_call_client_entry(struct dcom_call *call);
void dcom_client_check(struct dcom_client *client);

/* ---- bindings.c ---- */

/*
 * String and security bindings for a caller: the address at which it arrived,
 * then others that it can use, then the names.
 * @param port 0: without ports (resolver addresses)
 * @return false without memory
 */
bool dcom_bindings(struct dcom_runtime *runtime, TALLOC_CTX *mem_ctx,
		   const struct dcom_address *local, uint16_t port,
		   struct dualstring *ds);
/* Whether a client can use what is served here: of the protocol sequences that
 * it names (NULL: none), one is TCP. */
bool dcom_wants_tcp(size_t count, const uint16_t *protseqs);
/* Whether clients elsewhere can be expected to reach it. */
bool dcom_address_is_global(const struct sockaddr_storage *ss);

/* ---- call.c ---- */

struct dcom_call *dcom_call_create(struct dcom_connection *conn,
				   struct dcesrv_call_state *dce,
				   const struct com_interface *interface,
				   const char *method_name);
/* For calls of plain RPC interfaces; ORPC calls end by themselves. */
void dcom_call_done(struct dcom_call *call, HRESULT result);
bool dcom_call_allowed(struct dcom_call *call);
NTSTATUS dcom_orpc_register(struct dcom_runtime *runtime, const char *endpoint,
			    const struct com_interface *interface);

/* ---- check.c ---- */

/* What is wrong with the runtime's tables; NULL: nothing. */
const char *dcom_runtime_check(struct dcom_runtime *runtime,
			       TALLOC_CTX *mem_ctx);
/* options.check, where that is set: nothing wrong, or abort(). */
void dcom_self_check(struct dcom_runtime *runtime);

/* ---- rpc.c ---- */

struct dcom_rpc_interface {
	const struct ndr_interface_table *table;
	/* 0: unauthenticated calls too */
	enum dcerpc_AuthLevel min_level;
	/* Fills r's [out] and result; a non-zero return is a fault. */
	uint32_t (*dispatch)(struct dcom_call *call, uint16_t opnum, void *r);
	/* The reply to someone who is no administrator; NULL: all may. */
	uint32_t (*refuse)(struct dcom_call *call, uint16_t opnum, void *r);
	/* That reply has as many elements as the arguments say. */
	bool refuse_needs_arguments;
};

NTSTATUS dcom_rpc_register(struct dcom_runtime *runtime, const char *endpoint,
			   const struct dcom_rpc_interface *interface);
/* Common to all interfaces: count contexts. */
NTSTATUS dcom_interface_bind(struct dcesrv_connection_context *context,
			     const struct dcesrv_interface *iface);
/* Common to all calls, first of all; false: the fault access denied. */
bool dcom_level_sufficient(struct dcesrv_call_state *dce,
			   enum dcerpc_AuthLevel min_level);
void dcom_interface_unbind(struct dcesrv_connection_context *context,
			   const struct dcesrv_interface *iface);
struct dcom_connection *dcom_connection_of(struct dcesrv_connection *conn);
/* Unmarshal as if all arguments were zero: for answers without looking. */
NTSTATUS dcom_pull_zero(const struct ndr_interface_call *ndr_call,
			TALLOC_CTX *mem_ctx, void *r);

extern const struct dcom_rpc_interface dcom_object_exporter; /* oxid.c */
extern const struct dcom_rpc_interface dcom_scm_activator;   /* activation.c */
extern const struct dcom_rpc_interface dcom_activation;
extern const struct dcom_rpc_interface dcom_endpoint_mapper; /* epm.c */

/* ---- ping.c ---- */

bool dcom_ping_start(struct dcom_runtime *runtime);
/* Milliseconds: when objects were used, clients seen and sets pinged. Whoever
 * sets the time of day runs nothing down. */
uint64_t dcom_ping_clock(const struct dcom_runtime *runtime);
/* The ID of the set of a node in the runtime's table; for tests. */
uint64_t dcom_ping_set_id(const struct hash_node *node);
uint32_t dcom_ping_simple(struct dcom_runtime *runtime, uint64_t set_id);
/* @param address  of the caller, for the limit of sets */
uint32_t dcom_ping_complex(struct dcom_runtime *runtime, const char *address,
			   uint64_t *set_id, uint16_t sequence,
			   const uint64_t *add, size_t num_add,
			   const uint64_t *del, size_t num_del);

/* ---- remunknown.c, factory.c ---- */

bool dcom_rem_unknown_create(struct dcom_runtime *runtime);
struct dcom_class_entry *dcom_class_find(struct dcom_runtime *runtime,
					 const struct GUID *clsid);

/* ---- stream.c ---- */

struct tstream_context;

/*
 * The stream that Samba is to read a connection from.
 * @param socket  becomes its child; NULL afterwards
 */
struct tstream_context *dcom_stream_create(TALLOC_CTX *mem_ctx,
					   struct dcom_connection *conn,
					   struct tstream_context **socket);

/* ---- listener.c ---- */

NTSTATUS dcom_listen(struct dcom_runtime *runtime);
void dcom_connections_close(struct dcom_runtime *runtime);

#endif /* ISTM_DCOM_RUNTIME_H */
