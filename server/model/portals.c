/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Portals: the addresses on which the target listens. They follow the
 * machine's interfaces, or the option istm:portals.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uuid/uuid.h>

#include "server/model/names.h"
#include "server/model/netlink.h"
#include "server/model/private.h"

#define ISCSI_PORT 3260 /* RFC 7143 15 */
/* Interfaces come up with several changes at once. */
#define PORTALS_DELAY_MS 100

/* Windows' WSAEADDRINUSE and WSAEADDRNOTAVAIL */
#define ADDRESS_IN_USE	      ISTM_WIN32(10048)
#define ADDRESS_NOT_AVAILABLE ISTM_WIN32(10049)

static socklen_t address_len(const struct sockaddr_storage *addr)
{
	return addr->ss_family == AF_INET ? sizeof(struct sockaddr_in)
					  : sizeof(struct sockaddr_in6);
}

static void address_set_port(struct sockaddr_storage *addr, uint16_t port)
{
	if (addr->ss_family == AF_INET) {
		((struct sockaddr_in *)addr)->sin_port = htons(port);
	} else {
		((struct sockaddr_in6 *)addr)->sin6_port = htons(port);
	}
}

static uint16_t address_port(const struct sockaddr_storage *addr)
{
	return ntohs(addr->ss_family == AF_INET
			     ? ((const struct sockaddr_in *)addr)->sin_port
			     : ((const struct sockaddr_in6 *)addr)->sin6_port);
}

static struct portal_entry *portal_find(struct model *model, const char *text)
{
	uint64_t hash = hash_string(text);
	struct hash_node *node;

	for (node = hash_first(&model->portals_by_address, hash); node != NULL;
	     node = hash_next(node, hash)) {
		struct portal_entry *entry =
			hash_entry(node, struct portal_entry, by_address);

		if (strcmp(entry->p.text, text) == 0) {
			return entry;
		}
	}
	return NULL;
}

/* The same for an address for ever, as long as the service has its GUID
 * (MS-ISTM 3.1.1.3.5: persisted). */
static struct GUID portal_guid(struct model *model, const char *text)
{
	struct GUID guid = model->service_guid;
	uuid_t space, made;

	memcpy(space, &guid, sizeof(space));
	uuid_generate_sha1(made, space, text, strlen(text));
	memcpy(&guid, made, sizeof(guid));
	return guid;
}

static void portal_set_port(struct portal_entry *entry, uint16_t port)
{
	entry->port = port;
	address_set_port(&entry->p.addr, port);
}

static struct portal_entry *portal_create(struct model *model,
					  const struct sockaddr_storage *addr)
{
	struct portal_entry *entry = talloc_zero(model, struct portal_entry);

	if (entry == NULL) {
		return NULL;
	}
	list_init(&entry->link);
	entry->p.addr = *addr;
	entry->p.text = name_format_address(entry, addr);
	entry->p.listen = entry->saved_listen = true;
	entry->saved_port = ISCSI_PORT;
	portal_set_port(entry, ISCSI_PORT);
	if (entry->p.text == NULL ||
	    !hash_add(&model->portals_by_address, &entry->by_address,
		      hash_string(entry->p.text))) {
		talloc_free(entry);
		return NULL;
	}
	entry->p.guid = portal_guid(model, entry->p.text);
	list_add_tail(&entry->link, &model->portals);
	return entry;
}

static struct portal_entry *portal_get(struct model *model,
				       const struct sockaddr_storage *addr)
{
	char *text = name_format_address(model, addr);
	struct portal_entry *entry =
		text == NULL ? NULL : portal_find(model, text);

	talloc_free(text);
	return entry != NULL ? entry : portal_create(model, addr);
}

bool portal_load(struct model *model, const struct istm_state_portal *record)
{
	struct sockaddr_storage addr;
	struct portal_entry *entry;

	if (!name_parse_address(record->address, &addr)) {
		log_msg(LOG_ERROR, "store: portal %s is no address",
			record->address);
		return false;
	}
	entry = portal_get(model, &addr);
	if (entry == NULL) {
		return false;
	}
	entry->p.guid = record->guid;
	entry->p.listen = entry->saved_listen = record->listen;
	entry->saved_port = record->port;
	portal_set_port(entry, record->port);
	return true;
}

/* ---- listening ---- */

static int portal_listen(struct model *model, struct portal_entry *entry)
{
	uint16_t group = portal_group_of(model->portal_groups, &entry->p.addr);
	int error = iscsi_portal_add(model->engine,
				     (const struct sockaddr *)&entry->p.addr,
				     address_len(&entry->p.addr), group);

	if (error == 0) {
		entry->listening = true;
		entry->bound = entry->p.addr;
		entry->group = group;
		log_msg(LOG_INFO,
			"portal %s: listening on port %u, portal group %u",
			entry->p.text, (unsigned)entry->port, (unsigned)group);
	}
	return error;
}

static void portal_unlisten(struct model *model, struct portal_entry *entry,
			    const struct sockaddr_storage *bound)
{
	iscsi_portal_remove(model->engine, (const struct sockaddr *)bound,
			    address_len(bound));
	log_msg(LOG_INFO, "portal %s: no longer listening on port %u",
		entry->p.text, (unsigned)address_port(bound));
}

/* One that was asked for may not be there yet, or no more. */
static bool address_exists(const struct sockaddr_storage *addr)
{
	struct sockaddr_storage any_port = *addr;
	int fd = socket(addr->ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool exists;

	if (fd < 0) {
		return true; /* who knows */
	}
	address_set_port(&any_port, 0);
	exists = bind(fd, (struct sockaddr *)&any_port,
		      address_len(&any_port)) == 0;
	close(fd);
	return exists;
}

static bool portal_wanted(const struct portal_entry *entry)
{
	return entry->present && entry->p.listen;
}

/* Listen where it is wanted, and nowhere else. @return something changed */
static bool portals_apply(struct model *model)
{
	struct list_head *pos;
	bool changed = false, refused = false;

	/* First let go: a port may go to another, an address to the wildcard.
	 */
	list_for_each (pos, &model->portals) {
		struct portal_entry *entry =
			list_entry(pos, struct portal_entry, link);

		if (entry->listening &&
		    (!portal_wanted(entry) ||
		     address_port(&entry->bound) != entry->port)) {
			portal_unlisten(model, entry, &entry->bound);
			entry->listening = false;
			changed = true;
			/* An address that has gone may come back soon. */
			refused |= !portal_wanted(entry) &&
				   model->portals_configured;
		}
	}
	list_for_each (pos, &model->portals) {
		struct portal_entry *entry =
			list_entry(pos, struct portal_entry, link);
		bool valid = entry->p.valid;
		int error = 0;

		if (portal_wanted(entry) && !entry->listening) {
			error = portal_listen(model, entry);
			changed |= error == 0;
		} else if (entry->present && model->portals_configured &&
			   !address_exists(&entry->p.addr)) {
			error = EADDRNOTAVAIL;
		}
		entry->p.valid = entry->present && error == 0;
		changed |= entry->p.valid != valid;
		if (error != 0 && valid) {
			log_msg(LOG_ERROR, "portal %s: port %u: %s",
				entry->p.text, (unsigned)entry->port,
				strerror(error));
		}
	}
	if (refused) {
		iscsi_portals_logout(model->engine);
	}
	return changed;
}

/* ---- which addresses there are ---- */

static void portals_apply_and_tell(struct model *model)
{
	if (portals_apply(model)) {
		model_emit(model, &(struct model_event){
					  .type = MODEL_EVENT_PORTALS,
				  });
	}
}

static void portals_refresh(struct model *model)
{
	struct sockaddr_storage *addresses = NULL;
	struct list_head *pos;
	size_t num = 0;
	int error;

	if (model->portals_configured) {
		/* Those are asked for, there or not: only try again. */
		portals_apply_and_tell(model);
		return;
	}
	error = netlink_addresses(model, &addresses, &num);
	if (error != 0) {
		log_msg(LOG_ERROR, "portals: the interfaces' addresses: %s",
			strerror(error));
		talloc_free(addresses);
		return;
	}
	list_for_each (pos, &model->portals) {
		list_entry(pos, struct portal_entry, link)->present = false;
	}
	for (size_t i = 0; i < num; i++) {
		struct portal_entry *entry = portal_get(model, &addresses[i]);

		if (entry != NULL) {
			entry->p.valid |= !entry->present && !entry->listening;
			entry->present = true;
		}
	}
	talloc_free(addresses);
	portals_apply_and_tell(model);
}

static void portals_timer(struct tevent_context *ev, struct tevent_timer *te,
			  struct timeval now, void *private_data)
{
	struct model *model = talloc_get_type_abort(private_data, struct model);

	model->portals_timer = NULL;
	portals_refresh(model);
}

static void portals_changed(struct tevent_context *ev, struct tevent_fd *fde,
			    uint16_t flags, void *private_data)
{
	struct model *model = talloc_get_type_abort(private_data, struct model);

	netlink_drain(model->netlink_fd);
	if (model->portals_timer == NULL) {
		model->portals_timer = tevent_add_timer(
			ev, model,
			tevent_timeval_current_ofs(0, PORTALS_DELAY_MS * 1000),
			portals_timer, model);
	}
}

/* The option's portals, all of them or none. */
static int portals_configured(struct model *model, const char **portals)
{
	struct sockaddr_storage addr;
	struct list_head *pos;
	uint16_t port;

	for (size_t i = 0; portals[i] != NULL; i++) {
		if (!name_parse_portal(portals[i], &addr, &port)) {
			log_msg(LOG_ERROR,
				"istm:portals: '%s' is no ADDRESS[:PORT]",
				portals[i]);
			return EINVAL;
		}
	}
	list_for_each (pos, &model->portals) {
		list_entry(pos, struct portal_entry, link)->present = false;
	}
	for (size_t i = 0; portals[i] != NULL; i++) {
		struct portal_entry *entry;

		name_parse_portal(portals[i], &addr, &port);
		entry = portal_get(model, &addr);
		if (entry == NULL) {
			return ENOMEM;
		}
		/* The administrator's file decides over the record. */
		portal_set_port(entry, port != 0 ? port : entry->saved_port);
		entry->p.valid |= !entry->present && !entry->listening;
		entry->present = true;
	}
	return 0;
}

/* Initiators know their portal by its group: it stays while they may be
 * there. */
static void portals_check_groups(struct model *model)
{
	struct list_head *pos;

	list_for_each (pos, &model->portals) {
		const struct portal_entry *entry =
			list_entry(pos, struct portal_entry, link);
		uint16_t group =
			portal_group_of(model->portal_groups, &entry->p.addr);

		if (entry->listening && entry->group != group) {
			log_msg(LOG_WARNING,
				"portal %s: stays in portal group %u until it "
				"is disabled or istmd restarted; configured "
				"for group %u",
				entry->p.text, (unsigned)entry->group,
				(unsigned)group);
		}
	}
}

int portals_reload(struct model *model, const struct model_options *options)
{
	struct portal_groups *groups = portal_groups_parse(model, options);
	bool configured =
		options->portals != NULL && options->portals[0] != NULL;
	struct list_head *pos;
	int error = 0;

	if (groups == NULL) {
		return EINVAL;
	}
	if (configured) {
		error = portals_configured(model, options->portals);
	} else {
		list_for_each (pos, &model->portals) {
			struct portal_entry *entry =
				list_entry(pos, struct portal_entry, link);

			portal_set_port(entry, entry->saved_port);
		}
	}
	if (error != 0) {
		talloc_free(groups);
		return error;
	}
	model->portals_configured = configured;
	portal_groups_apply(model, groups);
	portals_refresh(model);
	portals_check_groups(model);
	return 0;
}

int portals_start(struct model *model, const struct model_options *options)
{
	/* Before the addresses are read, so that no change is missed. */
	model->netlink_fd = netlink_watch();
	if (model->netlink_fd < 0) {
		log_msg(LOG_WARNING,
			"portals: changes of addresses will not be seen: %s",
			strerror(-model->netlink_fd));
	} else {
		model->netlink_fde =
			tevent_add_fd(model->ev, model, model->netlink_fd,
				      TEVENT_FD_READ, portals_changed, model);
	}
	return portals_reload(model, options);
}

void portals_stop(struct model *model)
{
	TALLOC_FREE(model->portals_timer);
	TALLOC_FREE(model->netlink_fde);
	if (model->netlink_fd >= 0) {
		close(model->netlink_fd);
		model->netlink_fd = -1;
	}
}

/* ---- what clients see ---- */

static bool portal_copy(TALLOC_CTX *mem_ctx, const struct portal_entry *entry,
			struct model_portal *portal)
{
	*portal = entry->p;
	portal->text = talloc_strdup(mem_ctx, entry->p.text);
	return portal->text != NULL;
}

size_t model_portals(struct model *model, TALLOC_CTX *mem_ctx,
		     struct model_portal **portals)
{
	struct list_head *pos;
	size_t num = 0;

	*portals = talloc_array(mem_ctx, struct model_portal,
				model->portals_by_address.count);
	if (*portals == NULL) {
		return 0;
	}
	list_for_each (pos, &model->portals) {
		struct portal_entry *entry =
			list_entry(pos, struct portal_entry, link);

		if (entry->present &&
		    portal_copy(*portals, entry, &(*portals)[num])) {
			num++;
		}
	}
	return num;
}

static struct portal_entry *portal_of_text(struct model *model,
					   const char *text)
{
	struct sockaddr_storage addr;
	struct portal_entry *entry = NULL;
	char *canonical;

	if (text != NULL && name_parse_address(text, &addr)) {
		canonical = name_format_address(model, &addr);
		entry = canonical == NULL ? NULL
					  : portal_find(model, canonical);
		talloc_free(canonical);
	}
	if (entry != NULL && entry->present) {
		return entry;
	}
	model_refuse(ISTM_FILE_NOT_FOUND, "portal '%.100s': there is none",
		     text == NULL ? "" : text);
	return NULL;
}

HRESULT model_portal_by_address(struct model *model, TALLOC_CTX *mem_ctx,
				const char *text, struct model_portal **portal)
{
	struct portal_entry *entry = portal_of_text(model, text);

	*portal = NULL;
	if (entry == NULL) {
		return ISTM_FILE_NOT_FOUND;
	}
	*portal = talloc(mem_ctx, struct model_portal);
	if (*portal == NULL || !portal_copy(*portal, entry, *portal)) {
		TALLOC_FREE(*portal);
		return ISTM_OUT_OF_MEMORY;
	}
	return ISTM_S_OK;
}

/* Take a new port and state; the sockets follow at once. */
static HRESULT portal_move(struct model *model, struct portal_entry *entry,
			   uint16_t port, bool listen)
{
	struct portal_entry before = *entry;
	int error = 0;

	if (entry->port == port && entry->p.listen == listen) {
		return ISTM_S_OK;
	}
	/* The new socket first: if there is none, all stays as it was. */
	portal_set_port(entry, port);
	entry->p.listen = listen;
	if (listen && (before.port != port || !before.listening)) {
		error = portal_listen(model, entry);
	}
	if (error != 0) {
		portal_set_port(entry, before.port);
		entry->p.listen = before.p.listen;
		return model_refuse(error == EADDRINUSE ? ADDRESS_IN_USE
							: ADDRESS_NOT_AVAILABLE,
				    "portal %s: port %u: %s", entry->p.text,
				    (unsigned)port, strerror(error));
	}
	if (before.listening && (before.port != port || !listen)) {
		entry->listening = listen;
		portal_unlisten(model, entry, &before.bound);
	}
	if (before.listening && !listen) {
		iscsi_portals_logout(model->engine);
	}
	model_emit(model, &(struct model_event){.type = MODEL_EVENT_PORTALS});
	return ISTM_S_OK;
}

struct portal_change {
	const char *text;
	uint16_t port;
	bool listen;
	uint64_t generation;
};

static void portal_kept(struct model *model, int error, void *private_data)
{
	const struct portal_change *change = private_data;
	struct portal_entry *entry = portal_find(model, change->text);

	if (entry == NULL) {
		return;
	}
	if (error == 0) {
		entry->saved_port = change->port;
		entry->saved_listen = change->listen;
	} else if (entry->generation == change->generation) {
		/* As the store has it; a later change answers for itself. */
		portal_move(model, entry, entry->saved_port,
			    entry->saved_listen);
	}
}

static struct tevent_req *portal_commit_send(TALLOC_CTX *mem_ctx,
					     struct model *model,
					     struct portal_entry *entry)
{
	struct portal_change *change = talloc_zero(model, struct portal_change);
	struct istm_state_data data = {
		.kind = ISTM_STATE_PORTAL,
		.body.portal =
			{
				.guid = entry->p.guid,
				.address = entry->p.text,
				.port = entry->port,
				.listen = entry->p.listen,
			},
	};
	struct change_list changes = {NULL, 0};

	if (change == NULL) {
		return NULL;
	}
	*change = (struct portal_change){
		.text = talloc_strdup(change, entry->p.text),
		.port = entry->port,
		.listen = entry->p.listen,
		.generation = entry->generation = ++model->generation,
	};
	if (change->text == NULL ||
	    !change_add_record(change, &changes,
			       talloc_asprintf(change, "portal:%s",
					       entry->p.text),
			       &data)) {
		talloc_free(change);
		return NULL;
	}
	return model_commit_send(mem_ctx, model, &changes, portal_kept, change);
}

/* MS-ISTM 3.30.4.16: the portal is looked at first, then the port. */
struct tevent_req *model_portal_set_send(TALLOC_CTX *mem_ctx,
					 struct model *model, const char *text,
					 uint16_t port, bool listen)
{
	struct portal_entry *entry = portal_of_text(model, text);
	struct tevent_req *req;
	uint16_t port_before;
	bool listen_before;
	HRESULT hr;

	if (entry == NULL) {
		return model_req_failed(mem_ctx, model, ISTM_FILE_NOT_FOUND);
	}
	if (port == 0) {
		return model_req_failed(mem_ctx, model,
					model_refuse(ISTM_INVALID_ARG,
						     "portal %s: port 0",
						     text));
	}
	port_before = entry->port;
	listen_before = entry->p.listen;
	hr = portal_move(model, entry, port, listen);
	if (ISTM_FAILED(hr)) {
		return model_req_failed(mem_ctx, model, hr);
	}
	req = portal_commit_send(mem_ctx, model, entry);
	if (req == NULL) {
		portal_move(model, entry, port_before, listen_before);
		return model_req_failed(mem_ctx, model, ISTM_OUT_OF_MEMORY);
	}
	return req;
}

HRESULT model_portal_set_recv(struct tevent_req *req)
{
	return model_req_recv(req);
}
