/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Through which portals a target is reached, and by which processors it is
 * served: IHost's ListenAllNetworkAdapters, AddPortal and Processor.
 */
#include <sched.h>
#include <string.h>

#include "server/model/names.h"
#include "server/model/private.h"

HRESULT model_target_set_listen_all(struct model *model, struct model_target *t,
				    bool value)
{
	if (t->listen_all != value) {
		t->listen_all = value;
		target_changed(target_entry(t));
	}
	return ISTM_S_OK;
}

/* Position in the target's list, or num_portals. A handful at most: as many
 * as the machine has addresses. */
static size_t find_portal(const struct model_target *t, const char *text)
{
	size_t i = 0;

	while (i < t->num_portals && strcmp(t->portals[i], text) != 0) {
		i++;
	}
	return i;
}

HRESULT model_target_add_portal(struct model *model, struct model_target *t,
				const char *address)
{
	struct target_entry *entry = target_entry(t);
	struct model_portal *portal = NULL;
	struct sockaddr_storage addr;
	const char **portals;
	HRESULT hr;

	if (address == NULL || !name_parse_address(address, &addr)) {
		return model_refuse(ISTM_INVALID_ARG,
				    "target %s: portal '%.100s' is no address",
				    t->name, address == NULL ? "" : address);
	}
	hr = model_portal_by_address(model, entry, address, &portal);
	if (ISTM_FAILED(hr)) {
		return hr;
	}
	if (find_portal(t, portal->text) < t->num_portals) {
		talloc_free(portal);
		return ISTM_S_OK;
	}
	portals = talloc_realloc(entry, t->portals, const char *,
				 t->num_portals + 1);
	if (portals == NULL) {
		talloc_free(portal);
		return ISTM_OUT_OF_MEMORY;
	}
	t->portals = portals;
	portals[t->num_portals] = talloc_steal(portals, portal->text);
	t->num_portals++;
	talloc_free(portal);
	target_changed(entry);
	return ISTM_S_OK;
}

HRESULT model_target_remove_portal(struct model *model, struct model_target *t,
				   const char *address)
{
	struct target_entry *entry = target_entry(t);
	struct sockaddr_storage addr;
	char *text;
	size_t i;

	if (address == NULL || !name_parse_address(address, &addr)) {
		return ISTM_S_OK; /* so it cannot be there */
	}
	text = name_format_address(entry, &addr);
	if (text == NULL) {
		return ISTM_OUT_OF_MEMORY;
	}
	i = find_portal(t, text);
	talloc_free(text);
	if (i == t->num_portals) {
		return ISTM_S_OK;
	}
	talloc_free(discard_const_p(char, t->portals[i]));
	memmove(&t->portals[i], &t->portals[i + 1],
		(t->num_portals - i - 1) * sizeof(t->portals[0]));
	t->num_portals--;
	target_changed(entry);
	return ISTM_S_OK;
}

HRESULT model_target_remove_all_portals(struct model *model,
					struct model_target *t)
{
	if (t->num_portals > 0) {
		TALLOC_FREE(t->portals);
		t->num_portals = 0;
		target_changed(target_entry(t));
	}
	return ISTM_S_OK;
}

size_t model_target_portals(struct model *model, const struct model_target *t,
			    TALLOC_CTX *mem_ctx, struct model_portal **portals)
{
	size_t all = model_portals(model, mem_ctx, portals), kept = 0;

	for (size_t i = 0; i < all; i++) {
		if (t->listen_all ||
		    find_portal(t, (*portals)[i].text) < t->num_portals) {
			(*portals)[kept++] = (*portals)[i];
		}
	}
	return kept;
}

/* ---- processors ---- */

uint32_t model_processors(struct model *model)
{
	uint32_t mask = 0;
	cpu_set_t set;

	CPU_ZERO(&set);
	if (sched_getaffinity(0, sizeof(set), &set) != 0) {
		return 0;
	}
	for (unsigned i = 0; i < 32; i++) {
		mask |= CPU_ISSET(i, &set) ? 1u << i : 0;
	}
	return mask;
}

HRESULT model_target_set_processors(struct model *model, struct model_target *t,
				    uint32_t mask)
{
	uint32_t all = model_processors(model);

	if (mask == 0 || (mask & ~all) != 0) {
		return model_refuse(ISTM_INVALID_ARG,
				    "target %s: processors 0x%x, there are "
				    "0x%x",
				    t->name, (unsigned)mask, (unsigned)all);
	}
	if (mask == all) {
		mask = 0; /* any, also of those that a later start has */
	}
	if (t->processors != mask) {
		t->processors = mask;
		target_changed(target_entry(t));
	}
	return ISTM_S_OK;
}

/* Those designated that are there (a machine may lose some); else all. */
uint32_t model_target_processors(struct model *model,
				 const struct model_target *t)
{
	uint32_t all = model_processors(model);

	return (t->processors & all) != 0 ? t->processors & all : all;
}
