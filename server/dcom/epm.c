/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A small endpoint mapper (C706 appendix O): it knows our own interfaces and
 * nothing else. Answers are made from the list of interfaces on each port.
 */
#include <arpa/inet.h>

#include "server/dcom/runtime.h"
#include "librpc/tower.h"
#include "gen_ndr/ndr_ept.h"

struct endpoint_entry {
	const struct dcesrv_interface *iface;
	uint16_t port;
};

static size_t count_interfaces(const struct dcesrv_endpoint *ep)
{
	size_t n = 0;

	for (const struct dcesrv_if_list *i = ep->interface_list; i != NULL;
	     i = i->next) {
		n++;
	}
	return n;
}

/* All interfaces in a fixed order, so that a lookup can be continued. */
static struct endpoint_entry *list_entries(struct dcom_call *call, size_t *num)
{
	const struct dcom_runtime *runtime = call->runtime;
	const struct dcesrv_endpoint *eps[] = {runtime->epm_endpoint,
					       runtime->object_endpoint};
	const uint16_t ports[] = {runtime->options.epm_port,
				  runtime->object_port};
	struct endpoint_entry *entries;
	size_t n = 0;

	entries = talloc_array(call, struct endpoint_entry,
			       count_interfaces(eps[0]) +
				       count_interfaces(eps[1]));
	*num = 0;
	if (entries == NULL) {
		return NULL;
	}
	for (size_t e = 0; e < ARRAY_SIZE(eps); e++) {
		const struct dcesrv_if_list *i = eps[e]->interface_list;

		for (; i != NULL; i = i->next) {
			entries[n].iface = i->iface;
			entries[n].port = ports[e];
			n++;
		}
	}
	*num = n;
	return entries;
}

static struct twr_t *make_tower(struct dcom_call *call,
				const struct endpoint_entry *entry)
{
	struct tower tower = {
		.interface = entry->iface->syntax_id,
		.transfer = ndr_transfer_syntax_ndr,
		.port = entry->port,
	};

	/* The address at which the caller arrived; IPv6 has no floor. */
	if (call->local.ss.ss_family == AF_INET) {
		const struct sockaddr_in *sin = (const void *)&call->local.ss;

		tower.ipv4 = ntohl(sin->sin_addr.s_addr);
	}
	return tower_pack(call, &tower);
}

static bool version_matches(uint32_t have, uint32_t want_major,
			    uint32_t want_minor, uint32_t option)
{
	uint32_t major = have & 0xffff, minor = have >> 16;

	switch (option) {
	case RPC_C_VERS_ALL:
		return true;
	case RPC_C_VERS_COMPATIBLE:
		return major == want_major && minor >= want_minor;
	case RPC_C_VERS_EXACT:
		return major == want_major && minor == want_minor;
	case RPC_C_VERS_MAJOR_ONLY:
		return major == want_major;
	case RPC_C_VERS_UPTO:
		return major < want_major ||
		       (major == want_major && minor <= want_minor);
	}
	return false;
}

static bool lookup_matches(const struct ept_lookup *r,
			   const struct endpoint_entry *entry)
{
	const struct rpc_if_id_t *id = r->in.interface_id;

	switch (r->in.inquiry_type) {
	case RPC_C_EP_ALL_ELTS:
		return true;
	case RPC_C_EP_MATCH_BY_IF:
		return id != NULL &&
		       GUID_equal(&id->uuid, &entry->iface->syntax_id.uuid) &&
		       version_matches(entry->iface->syntax_id.if_version,
				       id->vers_major, id->vers_minor,
				       r->in.vers_option);
	}
	/* No entry has an object. */
	return false;
}

/*
 * A context handle would have to be kept per caller. Ours says where to go on:
 * the position within the list is in its UUID's first field.
 */
static size_t handle_position(const struct policy_handle *handle)
{
	return handle->uuid.time_low;
}

static void lookup(struct dcom_call *call, struct ept_lookup *r)
{
	size_t num, i = handle_position(r->in.entry_handle);
	struct endpoint_entry *entries = list_entries(call, &num);
	uint32_t n = 0;

	*r->out.num_ents = 0;
	ZERO_STRUCTP(r->out.entry_handle);
	/* pidl allocates no arrays that are [out] only. */
	r->out.entries = talloc_zero_array(call, struct ept_entry_t,
					   MAX(r->in.max_ents, 1));
	if (entries == NULL || r->out.entries == NULL) {
		r->out.result = EPT_S_CANT_PERFORM_OP;
		return;
	}
	for (; i < num && n < r->in.max_ents; i++) {
		struct ept_entry_t *e = &r->out.entries[n];

		if (!lookup_matches(r, &entries[i])) {
			continue;
		}
		e->tower = make_tower(call, &entries[i]);
		e->annotation = talloc_zero_array(call, uint8_t, 1);
		if (e->tower == NULL || e->annotation == NULL) {
			r->out.result = EPT_S_CANT_PERFORM_OP;
			return;
		}
		e->annotation_length = 1;
		n++;
	}
	*r->out.num_ents = n;
	if (i < num) {
		r->out.entry_handle->uuid.time_low = i;
		r->out.entry_handle->uuid.node[0] = 1;
	}
	r->out.result = n > 0 ? EPT_S_OK : EPT_S_NOT_REGISTERED;
}

static void map(struct dcom_call *call, struct ept_map *r)
{
	struct endpoint_entry *entries;
	struct tower tower;
	size_t num;

	*r->out.num_towers = 0;
	ZERO_STRUCTP(r->out.entry_handle);
	r->out.towers = talloc_zero_array(call, struct twr_p_t,
					  MAX(r->in.max_towers, 1));
	if (r->out.towers == NULL) {
		r->out.result = EPT_S_CANT_PERFORM_OP;
		return;
	}
	r->out.result = EPT_S_NOT_REGISTERED;
	if (r->in.map_tower == NULL || r->in.max_towers == 0 ||
	    !tower_unpack(r->in.map_tower, &tower)) {
		return;
	}
	entries = list_entries(call, &num);
	for (size_t i = 0; i < num; i++) {
		const struct ndr_syntax_id *id = &entries[i].iface->syntax_id;

		if (!GUID_equal(&id->uuid, &tower.interface.uuid) ||
		    !version_matches(id->if_version,
				     tower.interface.if_version & 0xffff,
				     tower.interface.if_version >> 16,
				     RPC_C_VERS_COMPATIBLE)) {
			continue;
		}
		r->out.towers[0].p = make_tower(call, &entries[i]);
		if (r->out.towers[0].p == NULL) {
			r->out.result = EPT_S_CANT_PERFORM_OP;
			return;
		}
		*r->out.num_towers = 1;
		r->out.result = EPT_S_OK;
		return;
	}
}

static uint32_t dispatch(struct dcom_call *call, uint16_t opnum, void *r)
{
	switch (opnum) {
	case NDR_EPT_LOOKUP:
		lookup(call, r);
		return 0;
	case NDR_EPT_MAP:
		map(call, r);
		return 0;
	case NDR_EPT_LOOKUP_HANDLE_FREE:
		ZERO_STRUCTP(
			((struct ept_lookup_handle_free *)r)->out.entry_handle);
		((struct ept_lookup_handle_free *)r)->out.result = EPT_S_OK;
		return 0;
	case NDR_EPT_INQ_OBJECT:
		*((struct ept_inq_object *)r)->out.ept_object =
			(struct GUID){0};
		((struct ept_inq_object *)r)->out.result = EPT_S_OK;
		return 0;
	}
	/* Nobody registers endpoints from elsewhere. */
	return DCERPC_FAULT_OP_RNG_ERROR;
}

const struct dcom_rpc_interface dcom_endpoint_mapper = {
	.table = &ndr_table_ept,
	.min_level = 0,
	.dispatch = dispatch,
};
