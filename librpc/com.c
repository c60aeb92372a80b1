/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <string.h>
#include <strings.h>

#include "librpc/com.h"

const struct com_interface *com_interface_by_iid(
	const struct com_interface *const *list, const struct GUID *iid)
{
	for (; *list != NULL; list++) {
		if (GUID_equal(&(*list)->iid, iid)) {
			return *list;
		}
	}
	return NULL;
}

const struct com_interface *com_interface_by_name(
	const struct com_interface *const *list, const char *name)
{
	for (; *list != NULL; list++) {
		if (strcmp((*list)->name, name) == 0) {
			return *list;
		}
	}
	return NULL;
}

const struct com_class *com_class_by_clsid(const struct com_class *const *list,
					   const struct GUID *clsid)
{
	for (; *list != NULL; list++) {
		if (GUID_equal(&(*list)->clsid, clsid)) {
			return *list;
		}
	}
	return NULL;
}

const struct com_method *com_method_by_opnum(const struct com_interface *iface,
					     uint32_t opnum)
{
	if (opnum < COM_FIRST_OPNUM || opnum >= iface->num_calls) {
		return NULL;
	}
	return &iface->methods[opnum];
}

bool com_interface_derives(const struct com_interface *iface,
			   const struct com_interface *base)
{
	for (; iface != NULL; iface = iface->base) {
		if (iface == base) {
			return true;
		}
	}
	return false;
}

void com_interface_table(const struct com_interface *iface,
			 struct ndr_interface_table *table)
{
	*table = *iface->ndr;
	table->name = iface->name;
	table->syntax_id.uuid = iface->iid;
	table->num_calls = iface->num_calls;
}
